//! What a room is told, and what it tells its driver to do.

use bytes::Bytes;
use weftline::codec::DecodeError;
use weftline::sync::{Close, CloseReason, Level, Message, MessageKind, NackReason, Open, RecordError, Retry, limits};
use weftline::{ApplyError, LoadError};

use super::kept::KeptError;
use super::rights::Rights;
use crate::store::{Position, Tail};

/// A member of a room: one channel of one connection. The driver numbers them and never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// What a room allows, and what its store promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomConfig {
    /// What an ack may claim.
    pub level: Level,
    /// The longest delta, in bytes.
    pub max_delta: usize,
    /// The largest document, in bytes of a snapshot. Beyond it only what takes something away is taken.
    pub max_document: usize,
    /// The most members at a time.
    pub max_members: usize,
    /// The most replicas that may ever write to the document. Each costs every member some 26 bytes, for ever.
    pub max_replicas: usize,
    /// The most replicas that one member may introduce by pushing deltas. A store pushes for each of its slots, and for each id that it
    /// had to give up with deltas unsent.
    pub max_new_replicas: usize,
    /// How many bytes of recent rows to keep in memory, for members that are a little behind.
    pub recent_bytes: usize,
    /// The most rows appended at once, in bytes; a single longer row is appended alone.
    pub max_append: usize,
    /// The most rows sent at once to one member, in bytes; a single longer row is sent alone.
    pub max_batch: usize,
    /// Nothing more is sent to a member while more bytes than these are on the way to it ([`Outgoing::weight`]). With 0 the next thing
    /// follows when the one before was taken; with more, driver and room need not speak of each.
    pub window: usize,
    /// The most members whose presence is shown to others: everybody is sent all of them.
    pub max_present: usize,
    /// How long changes of presence are collected before they are told, in milliseconds.
    pub presence_interval_ms: u64,
    /// The longest diff sent in one message, and the longest part of one, in bytes.
    pub max_part: usize,
    /// How many bytes of long diffs to keep in memory for a while, for members whose connection breaks.
    pub kept_bytes: usize,
    /// Below so many bytes a log is not worth a snapshot. Above, it is replaced by one as soon as it is longer than the last snapshot, so
    /// that storage stays below a constant factor of the state, whatever the history.
    pub compact_from: usize,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            level: Level::Stored,
            max_delta: limits::MAX_DELTA,
            max_document: 48 << 20,
            max_members: 10_000,
            max_replicas: 1 << 16,
            max_new_replicas: 256,
            recent_bytes: 1 << 20,
            max_append: 4 << 20,
            max_batch: limits::MAX_BATCH,
            window: 0,
            max_present: 1_000,
            presence_interval_ms: 50,
            max_part: limits::MAX_BATCH,
            kept_bytes: 32 << 20,
            compact_from: limits::COMPACT_FROM,
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Somebody opened the document.
    Join {
        /// Who.
        member: MemberId,
        /// With which words.
        open: Box<Open>,
        /// What it may do.
        rights: Rights,
    },
    /// A member may do more than before, or less.
    Rights {
        /// Who.
        member: MemberId,
        /// What it may do from now on.
        rights: Rights,
    },
    /// A member is gone.
    Leave {
        /// Who.
        member: MemberId,
    },
    /// A member said something. Open and Close are not for here.
    Message {
        /// Who.
        member: MemberId,
        /// What.
        message: Message,
    },
    /// [`super::Room::deadline`] has passed.
    Tick,
    /// The append in flight is on stable storage.
    Committed {
        /// Its last position.
        upto: Position,
    },
    /// Whether anything can be stored. While it cannot, everything that would be appended is refused.
    Store {
        /// Why not.
        trouble: Option<NackReason>,
    },
    /// The append in flight failed. The room closes all members and is of no more use.
    CommitFailed,
    /// Bulk messages sent to a member have been taken by its connection.
    Drained {
        /// Whose.
        member: MemberId,
        /// What they weigh; more than is on the way means all.
        bytes: usize,
    },
    /// What was read for a member.
    LogRead {
        /// For whom.
        member: MemberId,
        /// The rows.
        tail: Tail,
    },
    /// Reading for a member failed.
    LogReadFailed {
        /// For whom.
        member: MemberId,
    },
    /// The snapshot in flight is stored; the rows that it covers are gone.
    SnapshotStored {
        /// What it covers.
        upto: Position,
    },
    /// The snapshot in flight failed. The log is as it was.
    SnapshotFailed,
}

/// A message to a member: its kind, and its body, which may be shared with other receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The kind.
    pub kind: MessageKind,
    /// The body.
    pub body: Bytes,
    /// Whether [`Input::Drained`] is awaited.
    pub bulk: bool,
}

/// What a message takes beside its body, about: it is in a queue, and in a frame.
const ENVELOPE: usize = 64;

impl Outgoing {
    /// What it counts for while it is on its way.
    pub fn weight(&self) -> usize {
        self.body.len() + ENVELOPE
    }
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append rows to the log. At most one append is in flight; what comes meanwhile waits for the next, and they are committed together.
    Append {
        /// The position of the first.
        first_position: Position,
        /// The rows.
        rows: Vec<Bytes>,
    },
    /// Send to a member.
    Send {
        /// Whom.
        member: MemberId,
        /// What.
        message: Outgoing,
    },
    /// Read the log for a member.
    ReadLog {
        /// For whom.
        member: MemberId,
        /// The rows after this position.
        after: Position,
        /// At most this many bytes of them, but at least one.
        max_bytes: usize,
    },
    /// Store a snapshot. At most one is in flight.
    Snapshot {
        /// What it covers.
        upto: Position,
        /// Opaque to the store.
        bytes: Bytes,
    },
    /// Tell a member that its channel is closed, and forget it. The room has.
    Close {
        /// Whom.
        member: MemberId,
        /// Why, and when to come back.
        close: Close,
    },
}

/// What to say of coming back to whoever is sent away for this reason, where nothing else is known.
pub(crate) const fn close_for(reason: CloseReason) -> Close {
    let retry = match reason {
        CloseReason::Limit | CloseReason::Denied | CloseReason::Expired => Retry::NEVER,
        CloseReason::Storage | CloseReason::StorageFull => Retry::after_ms(1_000),
        CloseReason::TooMany => Retry::after_ms(30_000),
        CloseReason::Quarantined => Retry::after_ms(60_000),
        _ => Retry::BACKOFF,
    };
    Close { reason, retry }
}

/// Why what a store gave is not a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The snapshot.
    #[error("snapshot: {0}")]
    Snapshot(#[from] LoadError),
    /// What the snapshot keeps beside the document.
    #[error("snapshot: {0}")]
    Kept(#[from] KeptError),
    /// A row that is none.
    #[error("row {position}: {error}")]
    Row {
        /// Where.
        position: Position,
        /// What is wrong with it.
        error: RecordError,
    },
    /// A row that cannot be decoded.
    #[error("row {position}: {error}")]
    Decode {
        /// Where.
        position: Position,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A row that contradicts those before it.
    #[error("row {position}: {error}")]
    Apply {
        /// Where.
        position: Position,
        /// What is wrong with it.
        error: ApplyError,
    },
    /// A row that builds upon something that is not there.
    #[error("row {position} is not ready: something before it is missing")]
    NotReady {
        /// Where.
        position: Position,
    },
}
