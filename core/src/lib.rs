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
mod document;
mod fault;
mod hash;
mod replica_id;
mod sequence;
mod store;
pub mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod types;
mod value;

pub use clock::{Dot, DotRuns, Hlc, HlcClock, Tag, Timestamp, VersionEntry, VersionVector};
pub use delta::{Delta, DeltaParts};
pub use diff::{Diff, LiveEntry, Snapshot, Tier};
pub use document::{
    Applied, ApplyError, Change, ChangeKind, ChangeOrigin, Changes, Commit, Document, EditError, LoadError, Outcome,
    Path, PathStep, Readiness, Transaction,
};
pub use replica_id::{ReplicaId, ReplicaIdError};
pub use sequence::{BunchRecord, Position, Side};
pub use store::{Container, Entry, Kind, Payload, Slot};
pub use types::{
    CounterMut, CounterRef, FlagMut, FlagRef, ListMut, ListRef, MapMut, MapRef, NodeMut, NodeRef, RegisterMut,
    RegisterRef, SetMut, SetRef,
};
pub use value::Value;
