//! The bytes of messages.
//!
//! A message is a kind (one byte) and a body. Those of control messages are in [`super::control`]. [`Rows`], [`PackedRows`] and
//! [`DiffMessage`] are long, are encoded once for many receivers, and their rows are passed on as they are. The channel is
//! in the frame's header ([`super::frame`]), never in the body, so that a body can be shared.
//!
//! Rules: BYTES-1 any bytes are a message or refused.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::message::{DiffMessage, Message, PackedRows, Part, Rows};
use super::presence::Presence;
use super::row::Row;
use super::wire::{Malformed, Reader, put_bytes, put_varint, told};
use super::{control, limits};
use crate::replica_id::ReplicaId;

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
    /// [`Message::Hello`]
    Hello = 1,
    /// [`Message::Open`]
    Open = 2,
    /// [`Message::OpenAck`]
    OpenAck = 3,
    /// [`Rows`]
    Rows = 4,
    /// [`Message::CaughtUp`]
    CaughtUp = 5,
    /// [`Message::Ack`]
    Ack = 6,
    /// [`Message::Want`]
    Want = 7,
    /// [`DiffMessage`]
    Diff = 8,
    /// [`Message::Durable`]
    Durable = 9,
    /// [`Message::Nack`]
    Nack = 10,
    /// [`Message::Close`]
    Close = 11,
    /// [`Message::Goodbye`]
    Goodbye = 12,
    /// [`Message::Ping`]
    Ping = 13,
    /// [`Message::Pong`]
    Pong = 14,
    /// [`Message::Ask`]
    Ask = 15,
    /// [`Part`]
    Part = 16,
    /// [`Message::Offer`]
    Offer = 17,
    /// [`PackedRows`]
    Packed = 18,
    /// [`Presence`]
    Presence = 128,
    /// [`Message::Token`]
    Token = 129,
}

impl MessageKind {
    const ALL: [Self; 20] = [
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
        Self::Part,
        Self::Offer,
        Self::Packed,
        Self::Presence,
        Self::Token,
    ];

    /// The kind with this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_byte(kind: u8) -> Result<Self, MessageError> {
        Self::ALL.into_iter().find(|known| *known as u8 == kind).ok_or(MessageError::UnknownKind { kind })
    }

    /// Whether whoever does not know a kind ignores it: those from 128 on are of that sort.
    pub(super) const fn is_ignorable(kind: u8) -> bool {
        kind >= 128
    }

    /// The bit of Hello's features that says that messages of this kind are taken; 0 if everybody takes them.
    pub(super) const fn feature(self) -> u64 {
        match self {
            Self::Presence => limits::PRESENCE,
            _ => 0,
        }
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
            Self::Part => "Part",
            Self::Offer => "Offer",
            Self::Packed => "Packed",
            Self::Presence => "Presence",
            Self::Token => "Token",
        }
    }
}

/// Reads a control message.
type ReadControl = fn(MessageKind, Reader<'_>) -> Result<Message, Malformed>;

impl Message {
    /// Which message it is.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Hello(_) => MessageKind::Hello,
            Self::Open(_) => MessageKind::Open,
            Self::OpenAck(_) => MessageKind::OpenAck,
            Self::Rows(_) => MessageKind::Rows,
            Self::Part(_) => MessageKind::Part,
            Self::Offer(_) => MessageKind::Offer,
            Self::Packed(_) => MessageKind::Packed,
            Self::Presence(_) => MessageKind::Presence,
            Self::Token(_) => MessageKind::Token,
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
            Self::Part(body) => body.encode(),
            Self::OpenAck(_) | Self::CaughtUp(_) | Self::Ack(_) | Self::Durable(_) | Self::Nack(_) => {
                control::write(self)
            }
            _ => self.encode_upward(),
        }
    }

    /// The same of what a client says. Nothing else of the encoding is in a page's module.
    pub(super) fn encode_upward(&self) -> Vec<u8> {
        match self {
            Self::Rows(body) => body.encode(),
            Self::Packed(body) => body.encode(),
            Self::Diff(body) => body.encode(),
            Self::Presence(body) => body.encode(),
            Self::Token(body) => body.to_vec(),
            Self::Ask | Self::Ping | Self::Pong => Vec::new(),
            _ => control::write_upward(self),
        }
    }

    /// Reads what [`Self::encode_body`] gave. Rows and diffs are cut apart, not decoded.
    ///
    /// # Errors
    /// When the body is not what its kind says. Never panics, whatever the bytes (BYTES-1).
    pub fn decode(kind: MessageKind, body: &[u8]) -> Result<Self, MessageError> {
        Self::decode_by(kind, body, control::read)
    }

    /// The same of what a client hears: what only it says is refused, as malformed.
    pub(super) fn decode_downward(kind: MessageKind, body: &[u8]) -> Result<Self, MessageError> {
        Self::decode_by(kind, body, control::read_downward)
    }

    fn decode_by(kind: MessageKind, body: &[u8], read: ReadControl) -> Result<Self, MessageError> {
        let bulk = matches!(kind, MessageKind::Rows | MessageKind::Packed | MessageKind::Diff | MessageKind::Part);
        if !bulk && body.len() > limits::MAX_CONTROL {
            return Err(MessageError::TooLong { what: told(kind.name()), len: body.len(), limit: limits::MAX_CONTROL });
        }
        Self::read(kind, Reader::new(body), read)
            .map_err(|Malformed| MessageError::Malformed { what: told(kind.name()) })
    }

    fn read(kind: MessageKind, mut body: Reader<'_>, control: ReadControl) -> Result<Self, Malformed> {
        match kind {
            MessageKind::Rows => return Rows::read(body).map(Self::Rows),
            MessageKind::Packed => return PackedRows::read(body).map(Self::Packed),
            MessageKind::Part => return Part::read(body).map(Self::Part),
            MessageKind::Presence => return Presence::read(body).map(Self::Presence),
            MessageKind::Token => return Ok(Self::Token(body.rest().into())),
            MessageKind::Diff => {
                let position = body.varint();
                let bytes = body.rest().into();
                return body.ok().map(|()| Self::Diff(DiffMessage { position, bytes }));
            }
            // What a later version adds to these is ignored.
            MessageKind::Ask => return Ok(Self::Ask),
            MessageKind::Ping => return Ok(Self::Ping),
            MessageKind::Pong => return Ok(Self::Pong),
            _ => {}
        }
        control(kind, body)
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
        let mut out = Vec::new();
        put_varint(&mut out, self.from);
        put_varint(&mut out, self.to);
        for row in &self.rows {
            put_bytes(&mut out, &row.encode());
        }
        out
    }

    fn read(mut body: Reader<'_>) -> Result<Self, Malformed> {
        let (from, to) = (body.varint(), body.varint());
        let mut rows = Vec::new();
        while !body.is_empty() {
            rows.push(Row::read(body.bytes())?);
        }
        body.ok().map(|()| Self { from, to, rows })
    }
}

/// The flags of packed rows; from bit 2, how many positions they are about.
const NEW_IDS: u64 = 1;
const ONE_ROW: u64 = 2;

impl PackedRows {
    /// The body of a Packed message, from rows that are packed already: what fan-out shares.
    pub fn encode_shared(from: u64, to: u64, new_ids: &[ReplicaId], rows: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + rows.iter().map(|row| row.len() + 2).sum::<usize>());
        put_varint(&mut out, to);
        let mut head = to.wrapping_add(1).wrapping_sub(from) << 2;
        if !new_ids.is_empty() {
            head |= NEW_IDS;
        }
        if rows.len() == 1 {
            head |= ONE_ROW;
        }
        put_varint(&mut out, head);
        if !new_ids.is_empty() {
            put_varint(&mut out, new_ids.len() as u64);
        }
        for id in new_ids {
            out.extend_from_slice(&id.to_bytes());
        }
        match rows {
            [row] => out.extend_from_slice(row),
            rows => rows.iter().for_each(|row| put_bytes(&mut out, row)),
        }
        out
    }

    fn encode(&self) -> Vec<u8> {
        let mut rows = Vec::new();
        for row in &self.rows {
            rows.push(row.to_vec());
        }
        Self::encode_shared(self.from, self.to, &self.new_ids, &rows)
    }

    fn read(mut body: Reader<'_>) -> Result<Self, Malformed> {
        let (to, head) = (body.varint(), body.varint());
        let from = to.checked_add(1).and_then(|end| end.checked_sub(head >> 2)).ok_or(Malformed)?;
        let mut new_ids = Vec::new();
        if head & NEW_IDS != 0 {
            let count = body.varint();
            for _ in 0..count {
                new_ids.push(body.replica());
                body.ok()?;
            }
            if count == 0 {
                return Err(Malformed);
            }
        }
        let mut rows: Vec<Arc<[u8]>> = Vec::new();
        if head & ONE_ROW != 0 {
            rows.push(body.rest().into());
        } else {
            while !body.is_empty() {
                rows.push(body.bytes().into());
            }
            if rows.len() == 1 {
                return Err(Malformed);
            }
        }
        body.ok().map(|()| Self { from, to, new_ids, rows })
    }
}

impl Part {
    /// The body of a Part message, from a piece of a diff that is shared.
    pub fn encode_shared(position: u64, total: u64, id: &[u8; 16], offset: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(46 + bytes.len());
        put_varint(&mut out, position);
        put_varint(&mut out, total);
        out.extend_from_slice(id);
        put_varint(&mut out, offset);
        out.extend_from_slice(bytes);
        out
    }

    fn encode(&self) -> Vec<u8> {
        Self::encode_shared(self.position, self.total, &self.id, self.offset, &self.bytes)
    }

    /// Reads a body, or the beginning of one.
    pub(super) fn read(mut body: Reader<'_>) -> Result<Self, Malformed> {
        let (position, total) = (body.varint(), body.varint());
        let (id, offset) = (body.bytes_16(), body.varint());
        let bytes = body.rest().into();
        body.ok().map(|()| Self { position, total, id, offset, bytes })
    }
}

impl DiffMessage {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.bytes.len());
        put_varint(&mut out, self.position);
        out.extend_from_slice(&self.bytes);
        out
    }
}
