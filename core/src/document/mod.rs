//! The document: what an application reads and edits, and what replicas join.
//!
//! A [`Document`] is state alone. It never waits, never calls out, reads no clock and no randomness: time and ids are
//! arguments, effects are returned values. Two documents with equal versions have equal contents, whatever the order in
//! which they learnt them.
//!
//! Rules: DOT-1, DOT-2, CAUSAL-1, CAUSAL-2, VALID-1, REM-1..3, DIFF-1..5, DIFF-7, ENT-1, BYTES-1; see `docs/rules.md`.
//! Not here: bytes (`crate::codec`), peers and durability (`crate::sync`).

mod anchors;
mod apply;
mod beacon;
mod change;
mod compare;
mod dots;
mod hanging;
mod index;
mod insert;
mod join;
mod kill;
mod lists;
mod marks;
mod moves;
mod notes;
mod overwrite;
mod path;
mod rename;
mod seating;
mod snapshot;
mod state;
mod text_note;
mod texts;
mod total;
mod transaction;
mod undo;
mod view;
mod winner;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use apply::{Applied, ApplyError, Outcome, Readiness};
pub use change::{Change, ChangeKind, ChangeOrigin, Changes, TextLen, TextStep};
pub(crate) use dots::DotsRef;
pub(crate) use index::{KeyIndex, KeyView};
pub(crate) use lists::Order;
pub(crate) use marks::LiveMark;
pub use marks::TextMark;
pub use path::{Path, PathStep};
pub(crate) use rename::Renaming;
pub(crate) use state::State;
pub(crate) use total::kept;
pub use transaction::{Commit, EditError, Transaction};
pub(crate) use transaction::{Target, check_key};
pub use undo::UndoLimits;
pub(crate) use view::{Content, Link, PlaceId, Totals};

use crate::clock::{Dot, HlcClock, Tag, Timestamp, VersionEntry, VersionVector};
use crate::codec::DecodeError;
use crate::fault::{self, Fault};
use crate::hash::Seed;
use crate::replica_id::ReplicaId;
use transaction::{Log, Open};
use undo::Undo;

/// A replicated document of registers, flags, counters, sets, maps, lists and texts.
///
/// Roots are named and always exist; everything else is created inside of them. Read through [`Document::map`] and its siblings, which
/// never create; edit in [`Document::transact`]; join what others did with [`Document::apply`] and [`Document::apply_diff`]. Memory is
/// O(what lives + replicas that ever wrote). Cloning copies all of it.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut doc = Document::with_writer(ReplicaId::from(1));
/// let commit = doc.transact(Timestamp(1), |tx| tx.map("todo")?.put("title", "buy milk"))?;
/// assert!(commit.delta.is_some()); // for the others
/// assert_eq!(commit.changes.list.len(), 1); // for one's own screen
///
/// let saved = doc.snapshot();
/// let mut loaded = Document::load(&saved)?;
/// assert_eq!(loaded.map("todo").get_as("title"), Some("buy milk"));
/// assert_eq!(loaded.version(), doc.version());
///
/// // An edit needs a writer, and a snapshot does not say who goes on writing.
/// let refused = loaded.transact(Timestamp(2), |tx| tx.map("todo")?.put("title", "buy bread"));
/// assert_eq!(refused.unwrap_err(), EditError::NoWriter);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Document {
    pub(crate) state: State,
    writer: Option<ReplicaId>,
    clock: HlcClock,
    now: Timestamp,
    parked: apply::Parked,
    open: Option<Open>,
    /// What was done and undone here, if the document was told to keep it.
    undo: Option<Box<Undo>>,
    /// What the open transaction did, and nothing otherwise.
    log: Log,
}

/// Why a snapshot could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are damaged.
    #[error("the snapshot cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The content does not hang together.
    #[error("the snapshot contradicts itself: {0}")]
    Apply(#[from] ApplyError),
    /// The content is not what was saved.
    #[error("the snapshot's content does not match its beacon")]
    BeaconMismatch,
}

impl Document {
    /// An empty document that nobody writes to yet. It can read and join; [`Document::set_writer`] lets it write.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty document written by `replica`.
    pub fn with_writer(replica: ReplicaId) -> Self {
        Self { writer: Some(replica), ..Self::default() }
    }

    /// An empty document that goes on where this one is in time, keeps undo and tells changes as this one does, and that nobody writes to
    /// yet. Its tables are keyed with `random`.
    pub(crate) fn blank(&self, random: u128) -> Self {
        let mut blank = Self { clock: self.clock, now: self.now, ..Self::default() };
        blank.seed_hashes(random);
        blank.tell_changes(!self.state.notes.quiet);
        blank.keep_undo(self.undo.as_ref().map(|undo| undo.limits()));
        blank
    }

    /// Under which id local transactions are written.
    pub fn writer(&self) -> Option<ReplicaId> {
        self.writer
    }

    /// Sets the id for local transactions from now on.
    ///
    /// An id must have one writer at a time, and its history must go on where it stopped: two documents writing under one
    /// id bind one dot to two payloads (DOT-1), which nothing repairs. When in doubt, take a fresh id. Costs O(live dots of
    /// that id).
    ///
    /// # Errors
    /// [`EditError::InTransaction`] when a transaction is open.
    pub fn set_writer(&mut self, replica: Option<ReplicaId>) -> Result<(), EditError> {
        if self.in_transaction() {
            return Err(EditError::InTransaction);
        }
        self.writer = replica;
        if fault::active(Fault::StampsBeginAnew) {
            return Ok(());
        }
        // Stamps go on where this writer's own ones stopped, however its wall clock stands now.
        if let Some(origin) = replica.and_then(|id| self.state.origins.get(&id)) {
            for (_, live) in self.state.store.range(origin, 1..=Dot::MAX_SEQ) {
                self.clock.resume(live.hlc);
            }
        }
        Ok(())
    }

    /// Whether transactions, deltas and diffs say what they changed; they do until told otherwise. A document that nobody looks
    /// at, such as a relay's, is faster without: its [`Changes`] are all empty.
    pub fn tell_changes(&mut self, tell: bool) {
        self.state.notes.quiet = !tell;
    }

    /// Keys the tables in memory with this many random bits, so that nobody can choose keys that crowd them. With the
    /// feature `std` that happens by itself; without it, whoever takes in what strangers wrote calls this once. Nothing that
    /// can be seen depends on them. O(live dots).
    /// Does nothing while a transaction is open.
    pub fn seed_hashes(&mut self, random: u128) {
        if self.in_transaction() {
            return;
        }
        self.state.reseed(Seed::new(random));
    }

    /// Tells the document the time, so that [`Document::apply`] can judge whether a stamp is too far ahead.
    pub fn observe_time(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// How far each replica's history is known, with tags. O(replicas).
    pub fn version(&self) -> VersionVector {
        self.state.version()
    }

    /// 16 bytes that are equal where versions and tags are equal. O(replicas).
    pub fn version_hash(&self) -> [u8; 16] {
        self.version().hash()
    }

    /// 16 bytes over the payloads of all live dots: with equal versions, unequal beacons show that one dot was bound to two
    /// payloads somewhere. O(replicas), and O(1) for each of the last few thousand entries.
    pub fn beacon(&self) -> [u8; 16] {
        self.state.beacon().to_le_bytes()
    }

    /// The version up to which the removal log was truncated. Compare it by sequence numbers; its tags mean nothing. O(replicas).
    pub fn horizon(&self) -> VersionVector {
        self.state.horizon()
    }

    /// The names of the deltas that no known delta depends on, ascending. O(heads), of which there are as many as replicas are
    /// writing apart.
    pub fn heads(&self) -> Vec<Dot> {
        self.state.head_dots().to_vec()
    }

    /// The last dot of `replica` that is covered, 0 if none is. O(log replicas).
    pub fn seq(&self, replica: ReplicaId) -> u64 {
        self.state.entry_of(replica).map_or(0, |entry| entry.seq)
    }

    /// How far the chain of `replica` is covered: where it ends and the tag there, 0 and the tag before the first delta where
    /// nothing of it is. O(log replicas).
    pub fn chain(&self, replica: ReplicaId) -> VersionEntry {
        self.state.entry_of(replica).unwrap_or_else(|| VersionEntry { seq: 0, tag: Tag::start(replica) })
    }

    /// Whether `dot` is covered: known here, whether it still lives or not. O(log replicas).
    pub fn covers(&self, dot: Dot) -> bool {
        self.state.covers_dot(dot)
    }

    /// How many deltas wait for what they depend on. O(1). They are in no snapshot; whoever sent them sends them again.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// How many dots are live: the size of the state. O(1).
    pub fn live_count(&self) -> usize {
        self.state.live_count()
    }

    /// Raises the horizon to the present version and forgets the removal log (REM-3). Older peers are served the digest or the
    /// full tier from now on. It happens by itself when the log grows out of proportion. O(log + dead positions).
    pub fn truncate_removals(&mut self) {
        let version = self.state.seqs();
        self.state.removals.truncate(&version);
        self.state.drop_dead_structure();
    }
}
