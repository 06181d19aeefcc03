//! Positions of lists and text: immutable, kept apart from the values, so that what is deleted leaves nothing behind.

mod position;

pub use position::{BunchRecord, Position, Side};
