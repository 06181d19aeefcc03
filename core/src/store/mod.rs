//! The live entries by dot, and the log of removals.

mod container;
mod entry;

pub use container::Container;
pub(crate) use container::LocalContainer;
pub use entry::{Entry, Kind, Payload, Slot};
