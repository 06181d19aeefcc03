//! The part of a delta's bytes that a session says in fewer: table of replicas, first dot, stamp. What is behind it names
//! replicas by their place in the table and is the same in both forms.
//!
//! Not here: how a session says it ([`crate::sync`]). Whether the rest is a delta is for [`super::decode_delta`] to find.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter};
use super::delta::{ADDS, DENSE, DEPS, FOLLOWS, MANY, MIXED, has_stamp};
use super::limits::{MAX_DELTA_DOTS, MAX_REPLICAS, MAX_SEQ};
use super::reader::{Reader, Refused};
use super::writer::{put, put_byte, put_id};
use super::{DecodeError, FORMAT_VERSION, containers, varint};
use crate::clock::{Dot, Hlc};
use crate::replica_id::ReplicaId;
use crate::store::Container;

/// What the bytes of a delta begin with, and what is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeltaHeader<'a> {
    pub(crate) writer: ReplicaId,
    /// The ids of the table but for the writer's, one after the other.
    pub(crate) others: &'a [u8],
    pub(crate) flags: u8,
    pub(crate) first_seq: u64,
    pub(crate) hlc: Hlc,
    pub(crate) rest: &'a [u8],
}

/// What a delta says that does nothing but add characters, which are one run.
pub(crate) struct LoneText<'a> {
    /// How many dots, and what the run says of its bunch.
    pub(crate) lead: &'a [u8],
    pub(crate) container: Container,
    pub(crate) characters: &'a [u8],
}

impl<'a> LoneText<'a> {
    /// Splits what is left of the text of a delta with these flags where its container is not said.
    pub(crate) fn split(bytes: &'a [u8], flags: u8, container: Container) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if flags & MANY != 0 {
            reader.varint();
        }
        let another = reader.varint() & 1 == 1;
        reader.ok().ok().filter(|()| !another)?;
        let (lead, characters) = bytes.split_at_checked(reader.at())?;
        Some(Self { lead, container, characters })
    }
}

impl<'a> DeltaHeader<'a> {
    /// Splits the canonical bytes of a delta.
    ///
    /// # Errors
    /// When they do not begin as those of a delta do.
    pub(crate) fn split(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.format_version();
        let others = reader.count("number of replicas", 16, MAX_REPLICAS as u64 - 1);
        let writer = reader.replica();
        let others = reader.take(others * 16);
        let (flags, first_seq) = (reader.byte(), reader.seq());
        let hlc = Hlc(if has_stamp(flags) { reader.fixed(8) } else { 0 });
        let rest = reader.take(reader.remaining());
        reader.outcome(Ok(()), Self { writer, others, flags, first_seq, hlc, rest })
    }

    /// The canonical bytes that [`Self::split`] splits.
    pub(crate) fn join(&self) -> Arc<[u8]> {
        let len = 40 + self.others.len() + self.rest.len();
        if len <= SHORT {
            // Few bytes are put together where they need no memory of their own.
            let mut out = Short { bytes: [0; SHORT], len: 0 };
            out.put(&[FORMAT_VERSION]);
            out.varint((self.others.len() / 16) as u64);
            out.put(&self.writer.to_bytes());
            out.put(self.others);
            out.put(&[self.flags]);
            out.varint(self.first_seq);
            if has_stamp(self.flags) {
                out.put(&self.hlc.0.to_le_bytes());
            }
            out.put(self.rest);
            return out.bytes.get(..out.len).unwrap_or_default().into();
        }
        let mut out = Vec::with_capacity(len);
        put_byte(&mut out, FORMAT_VERSION);
        varint::write_len(&mut out, self.others.len() / 16);
        put_id(&mut out, self.writer);
        put(&mut out, self.others);
        put_byte(&mut out, self.flags);
        varint::write(&mut out, self.first_seq);
        if has_stamp(self.flags) {
            put(&mut out, &self.hlc.0.to_le_bytes());
        }
        put(&mut out, self.rest);
        out.into()
    }

    /// Whether there are characters.
    pub(crate) const fn has_text(&self) -> bool {
        self.flags & MIXED == MIXED || self.flags & (ADDS | DENSE) == DENSE
    }

    /// What the delta says if it follows the one before it and does nothing but add characters, which are one run.
    pub(crate) fn lone_text(&self) -> Option<LoneText<'a>> {
        if self.flags & !MANY != FOLLOWS | DENSE {
            return None;
        }
        let mut reader = Reader::new(self.rest);
        if self.flags & MANY != 0 {
            reader.varint();
        }
        let another = reader.varint() & 1 == 1;
        let (lead, behind) = self.rest.split_at_checked(reader.at())?;
        let mut table = TableReader::of(self.writer, self.others);
        let dot = Dot::new(self.writer, self.first_seq);
        let container = containers::read_one(&mut reader, &mut table, dot).ok()?;
        let characters = behind.get(reader.at().checked_sub(lead.len())?..)?;
        let lone = LoneText { lead, container, characters };
        (!another).then_some(lone).filter(|_| reader.ok().is_ok())
    }

    /// The canonical bytes of such a delta.
    pub(crate) fn join_lone_text(writer: ReplicaId, first_seq: u64, flags: u8, text: &LoneText<'_>) -> Arc<[u8]> {
        let first = Dot::new(writer, first_seq);
        let mut table = TableWriter::led_by(first);
        if let Container::Entity(entity) = text.container {
            table.note(entity.replica);
        }
        let mut others = Vec::new();
        for id in table.ids() {
            put_id(&mut others, *id);
        }
        let mut rest = Vec::with_capacity(16 + text.lead.len() + text.characters.len());
        put(&mut rest, text.lead);
        containers::write_run(&mut rest, &table, first, (&text.container).into(), None, 1);
        put(&mut rest, text.characters);
        DeltaHeader { writer, others: &others, flags, first_seq, hlc: Hlc(0), rest: &rest }.join()
    }

    /// The flags of a delta whose text is said without its container, and back; nothing if they are not those of one.
    pub(crate) const fn flags_of_lone_text(flags: u8, said: bool) -> Option<u8> {
        let expected = if said { FOLLOWS | DENSE | DEPS } else { FOLLOWS | DENSE };
        if flags & !MANY == expected { Some(flags ^ DEPS) } else { None }
    }

    /// Whether it depends on more than what its writer did before.
    pub(crate) const fn has_deps(&self) -> bool {
        self.flags & DEPS != 0
    }

    /// Whether flags say that a stamp is there.
    pub(crate) const fn has_stamp(flags: u8) -> bool {
        has_stamp(flags)
    }

    /// The last dot.
    ///
    /// # Errors
    /// When a delta cannot have it.
    pub(crate) fn last_seq(&self) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(self.rest);
        let dots = if self.flags & MANY == 0 { 1 } else { reader.varint().saturating_add(2) };
        let dots = reader.at_most("number of dots", dots, MAX_DELTA_DOTS);
        let last = self.first_seq.saturating_add(dots).saturating_sub(1);
        let result = if last <= MAX_SEQ { Ok(()) } else { Err(Refused) };
        reader.outcome(result, last)
    }
}

const SHORT: usize = 192;

/// What takes no memory of its own while it is put together. What does not fit is left out: whoever puts has counted.
struct Short {
    bytes: [u8; SHORT],
    len: usize,
}

impl Short {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put(&[number as u8 | 0x80]);
            number >>= 7;
        }
        self.put(&[number as u8]);
    }
}
