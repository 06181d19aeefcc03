//! What peers say.
//!
//! A message is a kind (one byte) and a body. The body of a control message is the postcard encoding of its struct inside
//! an enum of versions; [`Rows`] and [`DiffMessage`] are hand-laid, because they are long, are encoded once for many
//! receivers, and their rows are passed on as they are. The channel is in the frame's header ([`super::frame`]), never in
//! the body, so that a body can be shared.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::limits;
use super::record::{Cursor, Row};
use super::wire::{self, Reader, put_bytes, put_varint};
use crate::clock::{Tag, VersionVector};
use crate::replica_id::ReplicaId;

/// Everything a peer can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message of either side.
    Hello(Hello),
    /// The client asks for a document on a channel of its choice.
    Open(Open),
    /// The relay's answer.
    OpenAck(OpenAck),
    /// Rows of the relay's log, or deltas that a client pushes.
    Rows(Rows),
    /// The relay has sent everything that was stored when it said this.
    CaughtUp(CaughtUp),
    /// Pushed deltas are durable.
    Ack(Ack),
    /// The client asks for a diff from a version.
    Want(Want),
    /// A diff, in either direction.
    Diff(DiffMessage),
    /// An uploaded diff is durable.
    Durable(Durable),
    /// The rows between a client's cursor and the log's floor are gone: the client is to send Want.
    Ask,
    /// Something pushed was refused.
    Nack(Nack),
    /// The channel is closed.
    Close(Close),
    /// The connection is about to be closed.
    Goodbye(Goodbye),
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

/// Which protocol, which frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest version of the protocol that is spoken.
    pub min_version: u16,
    /// The newest.
    pub max_version: u16,
    /// Bits of optional features; unknown ones are ignored. None is defined yet.
    pub features: u64,
    /// Who this is, for logs.
    pub agent: String,
    /// The longest frame taken in.
    pub max_frame: u32,
    /// After how long a silence this side sends a Ping.
    pub heartbeat_ms: u32,
}

/// An id that the client can send deltas of, and how far its chain is durable there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The id.
    #[serde(with = "wire::replica")]
    pub replica: ReplicaId,
    /// The last durable dot.
    pub seq: u64,
    /// The chain tag there.
    #[serde(with = "wire::tag")]
    pub tag: Tag,
}

/// What the relay knows of a claimed id. The client judges (identity is its own matter; see [`super::slot`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The id.
    #[serde(with = "wire::replica")]
    pub replica: ReplicaId,
    /// The last dot that is durable at the relay, 0 if none is.
    pub seq: u64,
    /// The chain tag there.
    #[serde(with = "wire::tag")]
    pub tag: Tag,
    /// Where the relay's chain reaches the claimed dot: whether it has the claimed tag there. Absent when it does not reach,
    /// or no longer knows the tag.
    pub agrees: Option<bool>,
}

/// Asks for a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The document's name.
    pub document: String,
    /// A random number of this opening of the client's store.
    pub opening: u64,
    /// Counts the connections of this opening: a delayed Open of an older one must not replace a newer one (SES-2).
    pub connection: u64,
    /// How far the relay's log was followed.
    pub cursor: Option<CursorWire>,
    /// The hash of the *settled* version: everything durable here without the own deltas that are not acked.
    pub version_hash: [u8; 16],
    /// The beacon of the document.
    pub beacon: [u8; 16],
    /// The durable version, when it is short.
    #[serde(with = "wire::version_option")]
    pub version: Option<VersionVector>,
    /// The ids that the client may push deltas of.
    pub claims: Vec<Claim>,
}

/// A [`Cursor`] inside a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorWire {
    /// The epoch.
    pub epoch: u64,
    /// The position.
    pub position: u64,
}

impl From<Cursor> for CursorWire {
    fn from(cursor: Cursor) -> Self {
        Self { epoch: cursor.epoch, position: cursor.position }
    }
}

/// How a client that opened a document comes up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resume {
    /// Its cursor is valid: the rows after it follow.
    Tail,
    /// Its settled version is the relay's: nothing follows, its cursor is the head.
    Same,
    /// Its cursor is not valid, its version is known: a diff follows.
    Diff,
    /// Its cursor is not valid: it is to send Want.
    Ask,
}

/// The relay's answer to [`Open`]. Everything in it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAck {
    /// The epoch that cursors are to be kept in.
    pub epoch: u64,
    /// The last position of the log.
    pub head: u64,
    /// The hash of the relay's version at the head.
    pub version_hash: [u8; 16],
    /// The relay's beacon at the head.
    pub beacon: [u8; 16],
    /// The relay's version, when the hashes differ.
    #[serde(with = "wire::version_option")]
    pub version: Option<VersionVector>,
    /// One for each claim, in their order.
    pub facts: Vec<Fact>,
    /// What follows.
    pub resume: Resume,
}

/// Rows. Downward: the rows of the log from position `from` to `to`, without those that the receiver itself pushed on this
/// connection. Upward: deltas to store, `from` and `to` are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The first position.
    pub from: u64,
    /// The last position.
    pub to: u64,
    /// The rows, in the order of the log.
    pub rows: Vec<Row>,
}

/// The end of catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtUp {
    /// The position reached.
    pub position: u64,
    /// The hash of the relay's version there (CUR-3).
    pub version_hash: [u8; 16],
}

/// How durable "durable" is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// In the relay's memory only: a relay without a disk, for tests and demonstrations.
    Memory,
    /// On the relay's stable storage.
    Stored,
    /// On the stable storage of a quorum.
    Quorum,
}

/// Everything of `replica` up to `through` is durable (ACK-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Whose deltas.
    #[serde(with = "wire::replica")]
    pub replica: ReplicaId,
    /// Up to which dot.
    pub through: u64,
    /// How durable.
    pub level: Level,
    /// The receiver has been sent every row up to here, or pushed it itself: its cursor may move to it.
    pub position: u64,
}

/// Asks for everything beyond a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The version.
    #[serde(with = "wire::version")]
    pub version: VersionVector,
}

/// A diff. Downward: what the relay has beyond the version it was given, at `position` of its log. Upward: what the relay
/// lacks; `position` is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffMessage {
    /// The position it reaches.
    pub position: u64,
    /// The encoded [`crate::Diff`].
    pub bytes: Arc<[u8]>,
}

/// An uploaded diff is durable: an ack for everything that `version` covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// The relay's version.
    #[serde(with = "wire::version")]
    pub version: VersionVector,
    /// How durable.
    pub level: Level,
    /// As in [`Ack`].
    pub position: u64,
}

/// Why something pushed was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NackReason {
    /// The relay lacks what it depends on, or the base of a diff: refill.
    NotReady,
    /// It is not the next one of its origin: refill.
    Gap,
    /// The relay has another delta at this dot (FORK-2).
    Fork,
    /// Longer than the relay takes.
    TooLarge,
    /// Not a valid delta or diff.
    Invalid,
    /// The document has as many writers as the relay allows.
    TooManyReplicas,
    /// This session may not write.
    ReadOnly,
}

/// Something pushed was refused. Rows after it in the same message were not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// Whose delta; the nil id for a diff.
    #[serde(with = "wire::replica")]
    pub replica: ReplicaId,
    /// Its last dot; 0 for a diff.
    pub seq: u64,
    /// Why.
    pub reason: NackReason,
    /// The relay's durable version, where the answer to the refusal is to refill.
    #[serde(with = "wire::version_option")]
    pub version: Option<VersionVector>,
}

/// Why a channel or a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// It was asked for.
    Done,
    /// No common version of the protocol.
    Version,
    /// The peer said something it must not say.
    Protocol,
    /// Not allowed.
    Denied,
    /// A newer connection of the same opening took over (SES-2).
    Superseded,
    /// More than a limit allows.
    Limit,
    /// The relay stops or must read its store again: come back.
    Restart,
    /// The relay cannot store: come back later.
    Storage,
}

/// The channel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// Why.
    pub reason: CloseReason,
}

/// The connection is about to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why.
    pub reason: CloseReason,
    /// Not to come back before.
    pub retry_after_ms: Option<u32>,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not a kind of message.
    #[error("message kind {kind} is unknown")]
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// Its body is not what its kind says.
    #[error("malformed {what} message")]
    Malformed {
        /// Which message.
        what: &'static str,
    },
    /// Too long for its kind.
    #[error("{what} message of {len} bytes, the limit is {limit}")]
    TooLong {
        /// Which message.
        what: &'static str,
        /// How long it is.
        len: usize,
        /// How long it may be.
        limit: usize,
    },
}

/// The byte that says which message follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageKind {
    /// [`Hello`]
    Hello = 1,
    /// [`Open`]
    Open = 2,
    /// [`OpenAck`]
    OpenAck = 3,
    /// [`Rows`]
    Rows = 4,
    /// [`CaughtUp`]
    CaughtUp = 5,
    /// [`Ack`]
    Ack = 6,
    /// [`Want`]
    Want = 7,
    /// [`DiffMessage`]
    Diff = 8,
    /// [`Durable`]
    Durable = 9,
    /// [`Nack`]
    Nack = 10,
    /// [`Close`]
    Close = 11,
    /// [`Goodbye`]
    Goodbye = 12,
    /// [`Message::Ping`]
    Ping = 13,
    /// [`Message::Pong`]
    Pong = 14,
    /// [`Message::Ask`]
    Ask = 15,
}

impl MessageKind {
    const ALL: [Self; 15] = [
        Self::Hello,
        Self::Open,
        Self::OpenAck,
        Self::Rows,
        Self::CaughtUp,
        Self::Ack,
        Self::Want,
        Self::Diff,
        Self::Durable,
        Self::Nack,
        Self::Close,
        Self::Goodbye,
        Self::Ping,
        Self::Pong,
        Self::Ask,
    ];

    /// The kind with this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_byte(kind: u8) -> Result<Self, MessageError> {
        Self::ALL.into_iter().find(|known| *known as u8 == kind).ok_or(MessageError::UnknownKind { kind })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Hello => "Hello",
            Self::Open => "Open",
            Self::OpenAck => "OpenAck",
            Self::Rows => "Rows",
            Self::CaughtUp => "CaughtUp",
            Self::Ack => "Ack",
            Self::Want => "Want",
            Self::Diff => "Diff",
            Self::Durable => "Durable",
            Self::Nack => "Nack",
            Self::Close => "Close",
            Self::Goodbye => "Goodbye",
            Self::Ping => "Ping",
            Self::Pong => "Pong",
            Self::Ask => "Ask",
        }
    }
}

/// Every control body starts with the version of its layout. A later layout is a further variant.
#[derive(Serialize, Deserialize)]
enum Versioned<T> {
    V1(T),
}

impl Message {
    /// Which message it is.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Hello(_) => MessageKind::Hello,
            Self::Open(_) => MessageKind::Open,
            Self::OpenAck(_) => MessageKind::OpenAck,
            Self::Rows(_) => MessageKind::Rows,
            Self::CaughtUp(_) => MessageKind::CaughtUp,
            Self::Ack(_) => MessageKind::Ack,
            Self::Want(_) => MessageKind::Want,
            Self::Diff(_) => MessageKind::Diff,
            Self::Durable(_) => MessageKind::Durable,
            Self::Ask => MessageKind::Ask,
            Self::Nack(_) => MessageKind::Nack,
            Self::Close(_) => MessageKind::Close,
            Self::Goodbye(_) => MessageKind::Goodbye,
            Self::Ping => MessageKind::Ping,
            Self::Pong => MessageKind::Pong,
        }
    }

    /// The bytes after the kind.
    pub fn encode_body(&self) -> Vec<u8> {
        match self {
            Self::Hello(body) => control(body),
            Self::Open(body) => control(body),
            Self::OpenAck(body) => control(body),
            Self::Rows(body) => body.encode(),
            Self::CaughtUp(body) => control(body),
            Self::Ack(body) => control(body),
            Self::Want(body) => control(body),
            Self::Diff(body) => body.encode(),
            Self::Durable(body) => control(body),
            Self::Nack(body) => control(body),
            Self::Close(body) => control(body),
            Self::Goodbye(body) => control(body),
            Self::Ask | Self::Ping | Self::Pong => Vec::new(),
        }
    }

    /// Reads what [`Self::encode_body`] gave. Rows and diffs are cut apart, not decoded.
    ///
    /// # Errors
    /// When the body is not what its kind says. Never panics, whatever the bytes (BYTES-1).
    pub fn decode(kind: MessageKind, body: &[u8]) -> Result<Self, MessageError> {
        Ok(match kind {
            MessageKind::Hello => Self::Hello(read_control(kind, body)?),
            MessageKind::Open => Self::Open(read_control(kind, body)?),
            MessageKind::OpenAck => Self::OpenAck(read_control(kind, body)?),
            MessageKind::Rows => Self::Rows(Rows::decode(body)?),
            MessageKind::CaughtUp => Self::CaughtUp(read_control(kind, body)?),
            MessageKind::Ack => Self::Ack(read_control(kind, body)?),
            MessageKind::Want => Self::Want(read_control(kind, body)?),
            MessageKind::Diff => Self::Diff(DiffMessage::decode(body)?),
            MessageKind::Durable => Self::Durable(read_control(kind, body)?),
            MessageKind::Nack => Self::Nack(read_control(kind, body)?),
            MessageKind::Close => Self::Close(read_control(kind, body)?),
            MessageKind::Goodbye => Self::Goodbye(read_control(kind, body)?),
            // What a later version adds to these is ignored.
            MessageKind::Ask => Self::Ask,
            MessageKind::Ping => Self::Ping,
            MessageKind::Pong => Self::Pong,
        })
    }
}

fn control<T: Serialize + Clone>(body: &T) -> Vec<u8> {
    // A vector grows as needed and none of the types refuses to be serialised.
    postcard::to_allocvec(&Versioned::V1(body.clone())).expect("serialising a control message into memory succeeds")
}

fn read_control<'a, T: Deserialize<'a>>(kind: MessageKind, body: &'a [u8]) -> Result<T, MessageError> {
    if body.len() > limits::MAX_CONTROL {
        return Err(MessageError::TooLong { what: kind.name(), len: body.len(), limit: limits::MAX_CONTROL });
    }
    match postcard::from_bytes(body) {
        Ok(Versioned::V1(message)) => Ok(message),
        Err(_) => Err(MessageError::Malformed { what: kind.name() }),
    }
}

impl Rows {
    /// The body of a Rows message, from rows that are already encoded: what fan-out shares.
    pub fn encode_shared<'a>(from: u64, to: u64, rows: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, from);
        put_varint(&mut out, to);
        for row in rows {
            put_bytes(&mut out, row);
        }
        out
    }

    fn encode(&self) -> Vec<u8> {
        let rows: Vec<Vec<u8>> = self.rows.iter().map(Row::encode).collect();
        Self::encode_shared(self.from, self.to, rows.iter().map(Vec::as_slice))
    }

    fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let malformed = || MessageError::Malformed { what: "Rows" };
        let mut reader = Reader::new(body, "Rows");
        let from = reader.varint().map_err(|_| malformed())?;
        let to = reader.varint().map_err(|_| malformed())?;
        let mut rows = Vec::new();
        while !reader.is_empty() {
            let row = reader.bytes().map_err(|_| malformed())?;
            rows.push(Row::decode(row).map_err(|_| malformed())?);
        }
        Ok(Self { from, to, rows })
    }
}

impl DiffMessage {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.bytes.len());
        put_varint(&mut out, self.position);
        out.extend_from_slice(&self.bytes);
        out
    }

    fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body, "Diff");
        let position = reader.varint().map_err(|_| MessageError::Malformed { what: "Diff" })?;
        Ok(Self { position, bytes: reader.rest().into() })
    }
}
