//! Conflict-free replicated documents.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod clock;
pub mod codec;
mod delta;
mod diff;
mod hash;
mod replica_id;
mod sequence;
mod store;
mod value;

pub use clock::{Dot, DotRuns, Hlc, HlcClock, Tag, Timestamp, VersionEntry, VersionVector};
pub use delta::{Delta, DeltaParts};
pub use diff::{Diff, LiveEntry, Snapshot, Tier};
pub use replica_id::{ReplicaId, ReplicaIdError};
pub use sequence::{BunchRecord, Position, Side};
pub use store::{Container, Entry, Kind, Payload, Slot};
pub use value::Value;
