//! The envelope of what is kept at rest: a header with a checksum, and sections.
//!
//! A section is an id, a length and its bytes. A version that does not know an *odd* id passes over it; one that does not
//! know an *even* id refuses the whole, since it would misread the rest.

use alloc::vec::Vec;

use super::reader::{Part, Reader, Refused};
use super::writer::{put, put_byte, put_in_front, put_sized};
use super::{DecodeError, FORMAT_VERSION, varint};
use crate::hash::{Domain, Hasher};

const MAGIC: [u8; 4] = *b"WFTL";

/// Magic 4, format version 1, kind 1, flags 2, length 8; the checksum follows and covers these and the sections.
const CHECKED_HEADER_LEN: usize = 16;
const HEADER_LEN: usize = CHECKED_HEADER_LEN + 4;

/// What is in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeKind {
    Snapshot = 1,
}

/// Collects sections, behind room for the header.
pub(crate) struct EnvelopeWriter {
    kind: EnvelopeKind,
    bytes: Vec<u8>,
}

impl EnvelopeWriter {
    pub(crate) fn new(kind: EnvelopeKind) -> Self {
        Self { kind, bytes: [0; HEADER_LEN].into() }
    }

    /// Appends a section. Ids ascend.
    pub(crate) fn section(&mut self, id: u64, bytes: &[u8]) {
        varint::write(&mut self.bytes, id);
        put_sized(&mut self.bytes, bytes);
    }

    /// Appends a section whose end may be long. What there is so far is put in front of that, so that the long part moves by
    /// a few bytes and is in memory once.
    pub(crate) fn long_section(&mut self, id: u64, begin: &[u8], end: Vec<u8>) {
        let mut front = core::mem::replace(&mut self.bytes, end);
        varint::write(&mut front, id);
        varint::write_len(&mut front, begin.len() + self.bytes.len());
        put(&mut front, begin);
        put_in_front(&mut self.bytes, &front);
    }

    /// The whole: header, checksum, sections.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let sections = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        let mut header = Vec::with_capacity(HEADER_LEN);
        put(&mut header, &MAGIC);
        put_byte(&mut header, FORMAT_VERSION);
        put_byte(&mut header, self.kind as u8);
        // Flags: none yet.
        put(&mut header, &[0, 0]);
        put(&mut header, &(sections.len() as u64).to_le_bytes());
        let checksum = checksum(&header, sections);
        put(&mut header, &checksum.to_le_bytes());
        if let Some(room) = self.bytes.get_mut(..HEADER_LEN) {
            room.copy_from_slice(&header);
        }
        self.bytes
    }
}

/// The sections of an envelope `(id, part)` in ascending order.
pub(crate) type Sections<'a> = Vec<(u64, Part<'a>)>;

/// Checks the header and the checksum of `bytes`, which the reader begins to read, and gives the sections.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn open<'a>(reader: &mut Reader<'a>, bytes: &'a [u8], kind: EnvelopeKind) -> Result<Sections<'a>, Refused> {
    if reader.take(MAGIC.len()) != MAGIC {
        return Err(reader.invalid("not a file of this library"));
    }
    reader.format_version();
    let found_kind = reader.byte();
    if found_kind != kind as u8 {
        return Err(reader.unknown("kind of envelope", found_kind.into()));
    }
    let flags = reader.fixed(2);
    if flags != 0 {
        return Err(reader.unknown("flags", flags));
    }
    let len = reader.fixed(8);
    let expected = reader.fixed(4) as u32;
    let start = reader.at();
    let len = reader.fits("length of the sections", len, 1, u64::MAX);
    reader.take(len);
    reader.finish()?;
    let header = bytes.get(..CHECKED_HEADER_LEN).unwrap_or_default();
    let sections = bytes.get(start..).unwrap_or_default();
    let found = checksum(header, sections);
    if found != expected {
        return Err(reader.refuse(DecodeError::Checksum { expected, found }));
    }
    reader.enter(Part::new(bytes, start))?;
    let mut all: Sections<'a> = Vec::new();
    while reader.remaining() > 0 {
        let id = reader.varint();
        if all.last().is_some_and(|(last, _)| *last >= id) {
            return Err(reader.not_canonical("sections that are not ascending"));
        }
        let len = reader.length("length of a section");
        all.push((id, reader.part(len)));
    }
    reader.ok()?;
    Ok(all)
}

/// Ends the section that is read, and begins another.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn enter<'a>(reader: &mut Reader<'a>, sections: &[(u64, Part<'a>)], id: u64) -> Result<(), Refused> {
    match sections.iter().find(|(found, _)| *found == id) {
        Some((_, part)) => reader.enter(*part),
        None => Err(reader.refuse(DecodeError::MissingSection { id })),
    }
}

/// Four bytes of the crate's hash: a checksum of its own would bring a table that does not compress.
pub(super) fn checksum(header: &[u8], sections: &[u8]) -> u32 {
    let mut hasher = Hasher::new(Domain::Checksum);
    // A header is two words.
    for word in header.as_chunks::<8>().0 {
        hasher.word(u64::from_le_bytes(*word));
    }
    hasher.end(sections) as u32
}

/// Makes the length and the checksum of an envelope fit what follows, so that it gets read.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn reseal(bytes: &mut [u8]) {
    let Some((header, sections)) = bytes.split_at_mut_checked(HEADER_LEN) else { return };
    let Some((checked, sum)) = header.split_at_mut_checked(CHECKED_HEADER_LEN) else { return };
    let Some((_, len)) = checked.split_at_mut_checked(CHECKED_HEADER_LEN - 8) else { return };
    len.copy_from_slice(&(sections.len() as u64).to_le_bytes());
    sum.copy_from_slice(&checksum(checked, sections).to_le_bytes());
}
