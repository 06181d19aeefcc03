//! Logical time: dots, runs of dots, version vectors with chain tags, and the hybrid clock that breaks ties.

mod dot;
mod dot_runs;
mod hybrid;
mod tag;
mod version_vector;
mod void;

pub use dot::Dot;
pub(crate) use dot::LocalDot;
pub use dot_runs::DotRuns;
pub use hybrid::{Hlc, HlcClock, Timestamp};
pub use tag::Tag;
pub use version_vector::{VersionEntry, VersionVector};
pub use void::VoidFact;
