//! Conflict-free replicated documents: registers, flags, counters, sets, maps and lists that several replicas edit, offline
//! too, and that come together by themselves.
//!
//! ```
//! use weftline::{Document, EditError, ReplicaId, Timestamp};
//!
//! let mut phone = Document::with_writer(ReplicaId::from(1));
//! let mut laptop = Document::with_writer(ReplicaId::from(2));
//! let now = Timestamp(1_700_000_000_000);
//!
//! // Each edits on its own. A transaction gives the delta that other replicas need.
//! let milk = phone.transact(now, |tx| tx.map("shopping")?.put("milk", 2))?.delta.expect("an edit");
//! let eggs = laptop.transact(now, |tx| tx.map("shopping")?.put("eggs", 12))?.delta.expect("an edit");
//!
//! // In whatever order the deltas arrive, both show the same.
//! laptop.apply(&milk)?;
//! phone.apply(&eggs)?;
//! assert_eq!(phone.map("shopping").keys().collect::<Vec<_>>(), ["eggs", "milk"]);
//! assert_eq!(phone.version(), laptop.version());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The tour
//! - [`Document`] is the state: read it through [`Document::map`] and its siblings, edit it in [`Document::transact`], join what others did
//!   with [`Document::apply`] and [`Document::apply_diff`]. [`Document::diff_since`] gives exactly what another version lacks, removals
//!   included; [`Document::snapshot`] saves it. Nothing is kept of what was removed or overwritten.
//! - [`Document::undo`] and [`Document::redo`] take back one's own edits, beside what others do, once [`Document::keep_undo`] asks for it.
//! - The types and their concurrent outcomes: [`RegisterRef`], [`FlagRef`], [`CounterRef`], [`SetRef`], [`MapRef`], [`ListRef`]. Creations
//!   under one key merge; deletion wins over edits inside what it deleted; a put survives a concurrent delete.
//! - [`sync`] is the protocol between a replica and a relay, and a replica's outbox and identity, without any input or output of its own.
//! - [`codec`] is the bytes, laid down in `docs/format.md`. The invariants are in `docs/rules.md`.
//!
//! The crate reads no clock and no randomness, does no I/O, holds no global state, and needs only `alloc`.
//!
//! # Features
//! | feature | default | gives |
//! |---|---|---|
//! | `std` | yes | nothing but `std::error::Error` for dependencies' errors |
//! | `testing` | no | `testing`: an executable specification, random histories and named faults, for your own tests |
//!
//! # Layout
//! Each part uses only those before it: ids and clocks; entries and the store; positions; deltas and diffs; bytes; the document; the
//! types; sync. (A document knows the bytes of its deltas, because their hash chain is part of its version.)
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
mod ordered;
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
    Path, PathStep, Readiness, Transaction, UndoLimits,
};
pub use replica_id::{ReplicaId, ReplicaIdError};
pub use sequence::{BunchRecord, Position, Side};
pub use store::{Container, Entry, Kind, Payload, Slot};
pub use types::{
    CounterMut, CounterRef, FlagMut, FlagRef, ListMut, ListRef, MapMut, MapRef, NodeMut, NodeRef, RegisterMut,
    RegisterRef, SetMut, SetRef,
};
pub use value::Value;
