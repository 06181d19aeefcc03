//! Version vectors with their tags.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, check_seq};
use super::reader::Reader;
use super::{DecodeError, FORMAT_VERSION, varint};
use crate::clock::{Tag, VersionEntry, VersionVector};

/// The bytes of a version vector with tags.
pub fn encode_version(version: &VersionVector) -> Vec<u8> {
    let table = TableWriter::sorted(version.iter().map(|(replica, _)| replica).collect());
    let mut out = Vec::with_capacity(2 + 28 * version.len());
    out.push(FORMAT_VERSION);
    table.write(&mut out);
    for (_, entry) in version.iter() {
        varint::write(&mut out, entry.seq);
        out.extend_from_slice(entry.tag.as_bytes());
    }
    out
}

/// Reads what [`encode_version`] wrote.
///
/// # Errors
/// When the bytes are not the encoding of a version vector.
pub fn decode_version(bytes: &[u8]) -> Result<VersionVector, DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.format_version()?;
    let table = TableReader::sorted(&mut reader)?;
    let mut version = VersionVector::new();
    for replica in table.ids() {
        let seq = reader.varint()?;
        check_seq(&reader, seq)?;
        version.set(*replica, VersionEntry { seq, tag: Tag::from_bytes(reader.array()?) });
    }
    reader.finish()?;
    Ok(version)
}
