//! For tests, ours and yours (feature `testing`): an executable specification, random histories, and laws over them.
//!
//! [`Spec`] computes from the set of deltas alone what a document must show; [`History`] makes documents edit, talk, forget
//! and fail at random, and compares each with the specification after every step. A seed replays exactly. What [`fuzz`] does
//! follows from a byte string instead.

mod edit;
pub mod fuzz;
mod history;
mod random;
#[cfg(test)]
mod renaming;
mod shape;
mod spec;
mod told;
mod told_values;

pub use edit::random_edit;
pub use history::{Failure, History, Options};
pub use random::Random;
pub use shape::{Shape, content, dump};
pub use spec::Spec;

pub use crate::fault::{Fault, UnknownFault, active as is_fault_active, with_fault};
