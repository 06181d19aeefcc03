//! Conflict-free replicated documents that several replicas edit, offline too, and that come together by themselves.
#![doc = include_str!("../README.md")]
//!
//! # The tour
//! - [`Document`] is the state: read it through [`Document::map`] and its siblings, edit it in [`Document::transact`], join what others did
//!   with [`Document::apply`] and [`Document::apply_diff`]. [`Document::diff_since`] gives exactly what another version lacks, removals
//!   included; [`Document::snapshot`] saves it. Nothing is kept of what was removed or overwritten.
//! - [`Document::undo`] and [`Document::redo`] take back one's own edits, beside what others do, once [`Document::keep_undo`] asks for it.
//! - The types and their concurrent outcomes: [`RegisterRef`], [`FlagRef`], [`CounterRef`], [`SetRef`], [`MapRef`], [`ListRef`],
//!   [`TextRef`]. Creations under one key merge; deletion wins over edits inside what it deleted; a put survives a concurrent delete.
//!   A text also has [`Cursor`]s, which are places that stay, and marks, which make it rich text ([`TextMut::mark`]). With other
//!   policies: [`MaxRegisterRef`], [`MinRegisterRef`], [`DisableWinsFlagRef`], [`RemoveWinsSetRef`], [`GrowOnlySetRef`], and
//!   [`BoundedCounterRef`], which never goes below its floor.
//! - [`sync`] is the protocol between a replica and a relay, and a replica's outbox and identity, without any input or output of its own.
//! - [`codec`] is the bytes, laid down in `docs/format.md`. The invariants are in `docs/rules.md`, and what
//!   strangers can do is in `docs/threat-model.md`.
//!
//! The crate reads no clock and no randomness, does no I/O, holds no global state, and needs only `alloc`.
//!
//! # Features
//! | feature | default | gives |
//! |---|---|---|
//! | `std` | yes | nothing but `std::error::Error` for dependencies' errors |
//! | `texts` | yes | in errors about bytes, what exactly is wrong with them: `what` is empty without it |
//! | `serde` | no | `Serialize` for [`Document`], [`NodeRef`] and every other `…Ref`, [`Value`] included; needs only `alloc` |
//! | `json` | no | `to_json` on the same, with `serde_json`; needs only `alloc` |
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
#[doc(hidden)]
pub mod fault;
mod few;
mod hash;
mod ordered;
mod replica_id;
mod sequence;
mod store;
mod string;
pub mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod types;
mod value;

pub use clock::{Dot, DotRuns, Hlc, HlcClock, Tag, Timestamp, VersionEntry, VersionVector, VoidFact};
pub use delta::{Delta, DeltaParts};
pub use diff::{Diff, Digest, LiveEntry, Snapshot, Tier};
pub use document::{
    Applied, ApplyError, Change, ChangeKind, ChangeOrigin, Changes, Commit, Document, EditError, LoadError, Outcome,
    Path, PathStep, Readiness, TextLen, TextMark, TextStep, Transaction, UndoLimits,
};
pub use few::Few;
pub use replica_id::{ReplicaId, ReplicaIdError};
pub use sequence::{Bias, BunchRecord, Position, Side};
pub use store::{Container, Entry, Kind, Payload, RemovalRun, Rights, Slot, TextRun};
pub use string::Str;
pub use types::{
    BoundedCounterMut, BoundedCounterRef, CounterMut, CounterRef, Cursor, DisableWinsFlagMut, DisableWinsFlagRef,
    Expand, FlagMut, FlagRef, GrowOnlySetMut, GrowOnlySetRef, ListMut, ListRef, MapMut, MapRef, MaxRegisterMut,
    MaxRegisterRef, MinRegisterMut, MinRegisterRef, NodeMut, NodeRef, RegisterMut, RegisterRef, RemoveWinsSetMut,
    RemoveWinsSetRef, SetMut, SetRef, TextMut, TextRef, TextSpan,
};
pub use value::{Value, WrongType};
