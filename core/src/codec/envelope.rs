//! The envelope of what is kept at rest: a header with a checksum, and sections.
//!
//! A section is an id, a length and its bytes. A version that does not know an *odd* id passes over it; one that does not
//! know an *even* id refuses the whole, since it would misread the rest.

use alloc::vec::Vec;

use super::reader::Reader;
use super::{DecodeError, FORMAT_VERSION, varint};
use crate::hash::{Domain, Hasher};

const MAGIC: [u8; 4] = *b"WFTL";

/// Magic 4, format version 1, kind 1, flags 2, length 8; the checksum follows and covers these and the sections.
const CHECKED_HEADER_LEN: usize = 16;

/// What is in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeKind {
    Snapshot = 1,
}

/// Collects sections.
pub(crate) struct EnvelopeWriter {
    kind: EnvelopeKind,
    sections: Vec<u8>,
}

impl EnvelopeWriter {
    pub(crate) fn new(kind: EnvelopeKind) -> Self {
        Self { kind, sections: Vec::new() }
    }

    /// Appends a section. Ids ascend.
    pub(crate) fn section(&mut self, id: u64, bytes: &[u8]) {
        varint::write(&mut self.sections, id);
        varint::write_len(&mut self.sections, bytes.len());
        self.sections.extend_from_slice(bytes);
    }

    /// The whole: header, checksum, sections.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(CHECKED_HEADER_LEN + 4 + self.sections.len());
        out.extend_from_slice(&MAGIC);
        out.push(FORMAT_VERSION);
        out.push(self.kind as u8);
        // Flags: none yet.
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(self.sections.len() as u64).to_le_bytes());
        let checksum = checksum(&out, &self.sections);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&self.sections);
        out
    }
}

/// Checks the header and the checksum, and gives the sections `(id, part)` in ascending order.
pub(crate) fn open(bytes: &[u8], kind: EnvelopeKind) -> Result<Vec<(u64, Reader<'_>)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != MAGIC {
        return Err(reader.invalid("not a file of this library"));
    }
    reader.format_version()?;
    let found_kind = reader.byte()?;
    if found_kind != kind as u8 {
        return Err(reader.unknown("kind of envelope", found_kind.into()));
    }
    let flags = u16::from_le_bytes(reader.array()?);
    if flags != 0 {
        return Err(reader.unknown("flags", flags.into()));
    }
    let len = u64::from_le_bytes(reader.array()?);
    let expected = u32::from_le_bytes(reader.array()?);
    let len = reader.fits("length of the sections", len, 1, u64::MAX)?;
    let header = bytes.get(..CHECKED_HEADER_LEN).unwrap_or_default();
    let mut sections = reader.part(len)?;
    reader.finish()?;
    let found = checksum(header, bytes.get(sections.at()..).unwrap_or_default());
    if found != expected {
        return Err(DecodeError::Checksum { expected, found });
    }
    let mut all: Vec<(u64, Reader<'_>)> = Vec::new();
    while sections.remaining() > 0 {
        let id = sections.varint()?;
        if all.last().is_some_and(|(last, _)| *last >= id) {
            return Err(sections.not_canonical("sections that are not ascending"));
        }
        let len = sections.length("length of a section", usize::MAX)?;
        all.push((id, sections.part(len)?));
    }
    Ok(all)
}

/// Four bytes of the crate's hash: a checksum of its own would bring a table that does not compress.
pub(super) fn checksum(header: &[u8], sections: &[u8]) -> u32 {
    let mut hasher = Hasher::new(Domain::Checksum);
    hasher.write(header);
    hasher.write(sections);
    hasher.finish() as u32
}
