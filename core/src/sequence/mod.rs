//! Positions of lists and text: immutable, kept apart from the values, so that what is deleted leaves nothing behind.
//!
//! A value sits at a [`Position`]: a *bunch* and a signed index. A bunch is named by the dot of its first value and hangs
//! on one side of another position, so positions form a forest under one root; [`Forest`] holds one document's. The order
//! is a pure function of two ancestor chains (`order`), a new value's place follows from its two visible neighbours
//! (`place`). [`Rope`] keeps the values of one list or text in that order, by runs.
//!
//! Rules:
//! - SEQ-1 a position is given to one dot for ever: the index is the distance of the value's dot from the bunch's dot.
//! - SEQ-2 the replica of a value's dot is the replica of its bunch.
//! - SEQ-3 every live value has its whole ancestor chain present.
//! - SEQ-4 the order never depends on which values or siblings are present.
//! - SEQ-5 an unknown parent is an error, never a provisional place.
//! - SEQ-6 nothing drops a bunch that a live value or a removal beyond the horizon still needs.

#[cfg(test)]
mod arbitrary;
mod forest;
mod order;
mod place;
mod position;
mod rope;
mod runs;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod sorted;
mod walk;

pub(crate) use forest::{Forest, ForestError, LocalBunch};
pub(crate) use place::Placement;
pub(crate) use position::Anchor;
pub(crate) use position::LocalPosition;
pub use position::{Bias, BunchRecord, Position, Side};
#[cfg(feature = "testing")]
pub(crate) use rope::{Expected, Known};
pub(crate) use rope::{Rope, Ropes, Span, Stretches, Unit, Weight, lay_out, turned};
pub(crate) use runs::{RunId, Runs, Stretch};
pub(crate) use walk::Loaded;
