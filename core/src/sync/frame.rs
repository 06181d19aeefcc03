//! Frames: how messages ride in websocket messages.
//!
//! A frame is one binary websocket message: flags (1 byte), message kind (1 byte), channel (varint), then the message's
//! body or a piece of it. Bit 0 of the flags says that the frame continues a message, bit 1 that more of it follows; the
//! other six are the number of the frame on its connection, by which one that was lost, came twice or belongs to another
//! connection is noticed (SES-4). Pieces of one message come in order on their channel; frames of other channels may come between.
//! Channel 0 is the connection itself. A kind that is not known is refused, or ignored if its number is 128 or more.
//!
//! Not here: what the messages mean ([`super::message`]).

use alloc::vec::Vec;

use super::encoding::{MessageError, MessageKind};
use super::limits::STAGED_MESSAGE;
use super::message::Message;
use super::wire::{Malformed, Reader, put_varint};
use crate::fault::{self, Fault};
use crate::ordered::Map;

/// The channel of the messages about the connection itself.
pub const CONNECTION: u64 = 0;

const CONTINUES: u8 = 1;
const MORE: u8 = 2;
/// From here on the flags are the number of the frame.
const NUMBER_SHIFT: u32 = 2;
/// Flags, kind and the longest varint.
const MAX_HEADER: usize = 2 + 10;

/// Why a frame was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than we said we take.
    #[error("frame of {len} bytes, the limit is {limit}")]
    TooLong {
        /// How long it is.
        len: usize,
        /// How long it may be.
        limit: usize,
    },
    /// No header, or flags that mean nothing.
    #[error("malformed frame header")]
    Header,
    /// Frames before this one were lost, or it was taken in before, or it is of another connection.
    #[error("frame {found} in the place of frame {expected}, of 64")]
    Number {
        /// Its number.
        found: u8,
        /// The number of the frame that comes next.
        expected: u8,
    },
    /// A piece that does not belong to the message begun on its channel.
    #[error("a piece of a message out of order on channel {channel}")]
    OutOfOrder {
        /// The channel.
        channel: u64,
    },
    /// The unfinished messages together are too long.
    #[error("unfinished messages of {len} bytes, the limit is {limit}")]
    Staged {
        /// How long they are.
        len: usize,
        /// How long they may be.
        limit: usize,
    },
    /// The message itself.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Says which frame of its connection this is. To be said once, when it is sent.
pub(super) fn number(frame: &mut [u8], number: u8) {
    if let Some(flags) = frame.first_mut() {
        *flags |= number << NUMBER_SHIFT;
    }
}

/// Cuts a message into frames of at most `max_frame` bytes.
pub(super) fn cut(channel: u64, kind: MessageKind, body: &[u8], max_frame: usize, mut each: impl FnMut(Vec<u8>)) {
    let room = max_frame.saturating_sub(MAX_HEADER).max(1);
    let mut rest = body;
    let mut flags = 0;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(room));
        flags = if after.is_empty() { flags & CONTINUES } else { flags | MORE };
        let mut frame = Vec::with_capacity(MAX_HEADER + piece.len());
        frame.extend_from_slice(&[flags, kind as u8]);
        put_varint(&mut frame, channel);
        frame.extend_from_slice(piece);
        each(frame);
        if after.is_empty() {
            return;
        }
        rest = after;
        flags = CONTINUES;
    }
}

/// How the body of a message is read: a client and a relay read different ones.
pub(super) type Decode = fn(MessageKind, &[u8]) -> Result<Message, MessageError>;

/// Puts messages together from frames.
#[derive(Debug)]
pub(super) struct Assembler {
    decode: Decode,
    max_frame: usize,
    max_staged: usize,
    staged: Map<u64, (MessageKind, Vec<u8>)>,
    staged_bytes: usize,
    /// The number of the frame that comes next. The first one says where it begins.
    next: Option<u8>,
}

/// The number of the frame after the one of this number.
pub(super) const fn after(number: u8) -> u8 {
    number.wrapping_add(1) & (u8::MAX >> NUMBER_SHIFT)
}

impl Assembler {
    pub(super) const fn new(decode: Decode, max_frame: usize, max_staged: usize) -> Self {
        Self { decode, max_frame, max_staged, staged: Map::new(), staged_bytes: 0, next: None }
    }

    /// How many bytes unfinished messages take.
    pub(super) const fn staged_bytes(&self) -> usize {
        self.staged_bytes
    }

    /// From now on so much is taken of unfinished messages.
    pub(super) const fn set_max_staged(&mut self, max_staged: usize) {
        self.max_staged = max_staged;
    }

    /// Takes one frame; gives the message that it completes.
    pub(super) fn take(&mut self, frame: &[u8]) -> Result<Option<(u64, Message)>, FrameError> {
        if frame.len() > self.max_frame {
            return Err(FrameError::TooLong { len: frame.len(), limit: self.max_frame });
        }
        let mut reader = Reader::new(frame);
        let (flags, kind, channel) = (reader.u8(), reader.u8(), reader.varint());
        reader.ok().map_err(|Malformed| FrameError::Header)?;
        let found = flags >> NUMBER_SHIFT;
        if let Some(expected) = self.next.filter(|next| *next != found)
            && !fault::active(Fault::FrameNumberIgnored)
        {
            return Err(FrameError::Number { found, expected });
        }
        self.next = Some(after(found));
        let flags = flags & (CONTINUES | MORE);
        let kind = match MessageKind::from_byte(kind) {
            Ok(kind) => kind,
            // Whole or in pieces, it is not kept.
            Err(_) if MessageKind::is_ignorable(kind) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let piece = reader.rest();

        if (flags & CONTINUES != 0) != self.staged.contains_key(&channel) {
            return Err(FrameError::OutOfOrder { channel });
        }
        if flags == 0 {
            return Ok(Some((channel, (self.decode)(kind, piece)?)));
        }
        // Every piece must carry something, else an endless message would cost its sender nothing. One that begins counts for more than
        // it carries: so do a million channels, on each of which a message was begun.
        if piece.is_empty() {
            return Err(FrameError::Header);
        }
        let begins = if flags & CONTINUES == 0 { STAGED_MESSAGE } else { 0 };
        let len = self.staged_bytes + piece.len() + begins;
        if len > self.max_staged {
            return Err(FrameError::Staged { len, limit: self.max_staged });
        }
        let (begun, body) = self.staged.get_or_insert_with(channel, || (kind, Vec::new()));
        if *begun != kind {
            return Err(FrameError::OutOfOrder { channel });
        }
        body.extend_from_slice(piece);
        self.staged_bytes = len;
        if flags & MORE != 0 {
            return Ok(None);
        }
        let (kind, body) = self.staged.remove(&channel).expect("the entry was just written");
        self.staged_bytes -= body.len() + STAGED_MESSAGE;
        Ok(Some((channel, (self.decode)(kind, &body)?)))
    }
}

impl Assembler {
    /// What has come of the message begun on a channel, which will not be finished.
    pub(super) fn unfinished(&mut self, channel: u64) -> Option<(MessageKind, Vec<u8>)> {
        let unfinished = self.staged.remove(&channel)?;
        self.staged_bytes -= unfinished.1.len();
        Some(unfinished)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::sync::message::DiffMessage;

    fn diff(len: usize) -> Message {
        Message::Diff(DiffMessage { position: 5, bytes: vec![7; len].into() })
    }

    proptest! {
        #[test]
        fn messages_survive_being_cut(lens in prop::collection::vec(0usize..2_000, 1..4), max_frame in 13usize..300) {
            // Pieces of messages on different channels interleave.
            let mut queues: Vec<Vec<Vec<u8>>> = Vec::new();
            for (channel, len) in lens.iter().enumerate() {
                let mut frames = Vec::new();
                let message = diff(*len);
                cut(channel as u64, message.kind(), &message.encode_body(), max_frame, |frame| frames.push(frame));
                frames.reverse();
                queues.push(frames);
            }
            let mut assembler = Assembler::new(Message::decode, max_frame, 10_000);
            let mut got = vec![None; lens.len()];
            let mut sent = 0;
            while queues.iter().any(|queue| !queue.is_empty()) {
                for queue in &mut queues {
                    let Some(mut frame) = queue.pop() else { continue };
                    number(&mut frame, sent);
                    sent = after(sent);
                    prop_assert!(frame.len() <= max_frame);
                    if let Some((channel, message)) = assembler.take(&frame).unwrap() {
                        got[channel as usize] = Some(message);
                    }
                }
            }
            for (message, len) in got.into_iter().zip(lens) {
                prop_assert_eq!(message, Some(diff(len)));
            }
            prop_assert_eq!(assembler.staged_bytes, 0);
        }

        #[test]
        fn bytes_1_any_frames_are_read_or_refused(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)
        ) {
            let mut assembler = Assembler::new(Message::decode, 1_000, 100);
            for frame in frames {
                let _ = assembler.take(&frame);
                prop_assert!(assembler.staged_bytes <= 100);
            }
        }

        #[test]
        fn bytes_1_any_body_is_read_or_refused(kind in 1u8..16, body in prop::collection::vec(any::<u8>(), 0..80)) {
            let kind = MessageKind::from_byte(kind).unwrap();
            let _ = Message::decode(kind, &body);
        }
    }

    #[test]
    fn unfinished_messages_are_bounded() {
        let mut assembler = Assembler::new(Message::decode, 1_000, 1_500);
        let mut frames = Vec::new();
        let message = diff(4_000);
        cut(1, message.kind(), &message.encode_body(), 1_000, |frame| frames.push(frame));
        number(&mut frames[1], 1);
        assert_eq!(assembler.take(&frames[0]), Ok(None));
        assert!(matches!(assembler.take(&frames[1]), Err(FrameError::Staged { .. })));
    }

    #[test]
    fn ses_4_a_frame_is_taken_in_its_turn_only() {
        let frame = |number: u8| [number << 2, MessageKind::Ping as u8, 0];
        let mut assembler = Assembler::new(Message::decode, 100, 100);
        for sent in (60..190).map(|count| count % 64) {
            assert_eq!(assembler.take(&frame(sent)), Ok(Some((CONNECTION, Message::Ping))));
        }
        for wrong in [61, 63, 0] {
            assert_eq!(assembler.take(&frame(wrong)), Err(FrameError::Number { found: wrong, expected: 62 }));
        }
    }
}
