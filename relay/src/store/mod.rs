//! Where a relay keeps documents: one trait, several engines, one contract.
//!
//! To the store a document is a *log* of opaque rows at positions 1, 2, 3, …, at most one *snapshot* that stands for every row up to a
//! position, and the list of *epochs* in which the log grew. The last position is the *head*; the position of the snapshot is the *floor*:
//! rows at or below it are gone. The store never looks into a row; what a row means is the business of [`crate::room`].
//!
//! Every store is opened with an epoch, a random number that the caller draws once per start of the relay. A document's list of epochs is
//! extended by it no later than the first recovery or append of that start, durably, before the call returns. A document of which nothing
//! is stored yet gets its epoch with its first row, so that merely asking for a name creates nothing. While a store cannot write, its
//! recoveries name the epoch all the same: cursors of an epoch that no list has are worth nothing after the next start, and lead nobody astray.
//!
//! Rules: ACK-1 an append resolves only when its rows are on stable storage. CUR-1 the list of epochs tells which cursors still mean
//! something. Calls on one document take effect in the order in which they were made, whether or not their futures are polled; a
//! recovery sees everything that was called for before it.
//! Not here: when to take a snapshot, and who may read; those are the room's and the session's.

use std::sync::Arc;

use bytes::Bytes;
#[cfg(feature = "server")]
use futures_util::{FutureExt, future::BoxFuture};

#[cfg(test)]
mod contract;
#[cfg(feature = "server")]
mod memory;
#[cfg(feature = "server")]
mod sqlite;

#[cfg(feature = "server")]
pub use memory::MemoryStore;
#[cfg(feature = "server")]
pub use sqlite::SqliteStore;
#[cfg(feature = "server")]
pub use sqlite::backup::{BackupError, Copied, backup, restore};

/// A place in a document's log: the first row is at 1, and 0 is before everything.
pub type Position = u64;

/// How many epochs are remembered per document. Cursors from older starts of the relay fall back to a costlier catch-up, nothing more.
pub const MAX_EPOCHS: usize = 64;

/// One start of the relay, as the document's log remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// The random number drawn at that start.
    pub id: u64,
    /// The first position that can belong to it. It ends before the first position of the next epoch, or at the head.
    pub first_position: Position,
}

/// What stands for every row up to a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last position it covers.
    pub upto: Position,
    /// Opaque to the store.
    pub bytes: Bytes,
}

/// Everything that is stored of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Stands for the rows that are no longer in `rows`.
    pub snapshot: Option<Snapshot>,
    /// The rows above the snapshot, with contiguous positions.
    pub rows: Vec<(Position, Bytes)>,
    /// The position of the last row, 0 in an empty document.
    pub head: Position,
    /// Oldest first; the last is always the epoch the store was opened with.
    pub epochs: Vec<Epoch>,
}

/// A piece of a document's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// Rows with contiguous positions, the first right after the position asked for; none only when there are none.
    Rows(Vec<(Position, Bytes)>),
    /// The position asked for is below the floor: the rows after it are partly gone, only the snapshot still covers them.
    Trimmed {
        /// The oldest position from which the log can still be read.
        floor: Position,
    },
}

/// A document as [`Store::documents`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentInfo {
    /// Its name.
    pub name: Arc<str>,
    /// The position of its last row.
    pub head: Position,
    /// The position its snapshot covers, 0 without one.
    pub floor: Position,
    /// Bytes of the rows in the log.
    pub log_bytes: u64,
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
}

/// What operators have said of a document.
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    #[default]
    ReadWrite,
    /// Edits are taken from nobody.
    ReadOnly,
    /// Nobody may open it.
    Closed,
}

/// How an engine is doing.
#[cfg(feature = "server")]
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// Its files: what each is for, and its size.
    pub files: Vec<(&'static str, u64)>,
    /// How much is free where they are.
    pub free_bytes: Option<u64>,
    /// How long its commits took.
    pub commits: Option<Arc<crate::metrics::Histogram>>,
}

/// What went wrong in a store. Cloned to everybody who waited for the same commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The caller's idea of the head is not ours: it must recover the document and look again.
    #[error("document {document:?}: rows appended at {found}, the next position is {expected}")]
    OutOfOrder {
        /// The document.
        document: Arc<str>,
        /// Where the next row belongs.
        expected: Position,
        /// Where the caller wanted it.
        found: Position,
    },
    /// A snapshot can only cover rows that are in the log.
    #[error(
        "document {document:?}: a snapshot upto {upto} is outside of the log, which reaches from {floor} to {head}"
    )]
    SnapshotOutside {
        /// The document.
        document: Arc<str>,
        /// What the snapshot claims to cover.
        upto: Position,
        /// The oldest position a new snapshot may have.
        floor: Position,
        /// The newest one.
        head: Position,
    },
    /// The disk is full. Nothing was written; appends succeed again once there is space.
    #[error("{file}: no space left")]
    Full {
        /// The database.
        file: Arc<str>,
    },
    /// Reading or writing failed. Nothing is known to be written.
    #[error("{file}: {detail}")]
    Io {
        /// The database.
        file: Arc<str>,
        /// The engine's words.
        detail: Arc<str>,
    },
    /// What was read is not what was once written.
    #[error("{file}: damaged: {detail}")]
    Corrupt {
        /// The database.
        file: Arc<str>,
        /// What does not fit.
        detail: Arc<str>,
    },
    /// Another process serves from this database.
    #[error("{file}: in use by another relay")]
    Locked {
        /// The database.
        file: Arc<str>,
    },
    /// The file is a database, but not one of ours.
    #[error("{file}: not a store of this relay")]
    Foreign {
        /// The database.
        file: Arc<str>,
    },
    /// The store was written by a newer relay.
    #[error("{file}: format version {found}, this relay knows {known}")]
    Version {
        /// The database.
        file: Arc<str>,
        /// The version found.
        found: i64,
        /// The newest version this relay reads.
        known: i64,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// The answer to a call, to be awaited. Dropping it does not undo the call.
#[cfg(feature = "server")]
pub type Pending<T> = BoxFuture<'static, Result<T, StoreError>>;

/// An engine that keeps documents. See the [module](self) for what all of them promise.
#[cfg(feature = "server")]
pub trait Store: Send + Sync + 'static {
    /// Whether what was appended is there after the process has died, which is what an ack claims.
    fn is_durable(&self) -> bool;

    /// Everything that is stored of a document, after everything called for before.
    fn recover(&self, document: &str) -> Pending<Recovered>;

    /// Appends rows at `first_position`, which must be the position after the head. Resolves when they are on stable storage.
    fn append(&self, document: &str, first_position: Position, rows: Vec<Bytes>) -> Pending<()>;

    /// Replaces every row up to `upto` and every older snapshot by this one, at once.
    fn snapshot(&self, document: &str, upto: Position, bytes: Bytes) -> Pending<()>;

    /// The rows after a position, at most `max_bytes` of them but at least one if there is one. Sees only what is committed.
    fn read(&self, document: &str, after: Position, max_bytes: usize) -> Pending<Tail>;

    /// Writes so many bytes that mean nothing, and takes them away again, both durably: whether there is space for as much. What nobody
    /// counts costs nothing, so a store that cannot tell says yes.
    fn reserve(&self, bytes: usize) -> Pending<()> {
        let _ = bytes;
        futures_util::future::ready(Ok(())).boxed()
    }

    /// All documents, by name.
    fn documents(&self) -> Pending<Vec<DocumentInfo>>;

    /// The documents whose names come after this one, by name, at most so many.
    fn documents_after(&self, name: &str, most: usize) -> Pending<Vec<DocumentInfo>>;

    /// One of them, if there is anything of it.
    fn document(&self, name: &str) -> Pending<Option<DocumentInfo>>;

    /// Remembers what operators have said of a document, which need not exist.
    fn set_mode(&self, document: &str, mode: Mode) -> Pending<()>;

    /// Everything that operators have said.
    fn modes(&self) -> Pending<Vec<(Arc<str>, Mode)>>;

    /// Writes something that means nothing, and resolves when it is on stable storage: whether the store takes anything.
    fn probe(&self) -> Pending<()>;

    /// A copy of everything at one moment, beside which the store goes on, if the engine keeps anything that can be copied.
    fn backup(&self) -> Option<Pending<Copied>> {
        None
    }

    /// What the engine itself knows of how it is doing. Costs a few system calls.
    fn condition(&self) -> Condition {
        Condition::default()
    }

    /// Forgets a document; says whether there was one.
    fn delete(&self, document: &str) -> Pending<bool>;

    /// Writes what is still waiting and lets go of files. Later calls fail with [`StoreError::Closed`].
    fn close(&self) -> Pending<()>;
}

/// Extends a list of epochs by the running one, unless it is there already, and forgets the oldest.
#[cfg(feature = "server")]
fn extend_epochs(epochs: &mut Vec<Epoch>, id: u64, head: Position) -> bool {
    if epochs.last().is_some_and(|last| last.id == id) {
        return false;
    }
    epochs.push(Epoch { id, first_position: head + 1 });
    let surplus = epochs.len().saturating_sub(MAX_EPOCHS);
    epochs.drain(..surplus);
    true
}
