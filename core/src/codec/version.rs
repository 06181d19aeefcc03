//! Version vectors with their tags.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter};
use super::reader::{Reader, Refused};
use super::writer::{put, put_byte};
use super::{DecodeError, FORMAT_VERSION, varint};
use crate::clock::{VersionEntry, VersionVector};

/// The bytes of a version vector with tags: 16 bytes of id, 8 of tag and 1 to 7 of sequence number a replica. O(replicas).
pub fn encode_version(version: &VersionVector) -> Vec<u8> {
    let mut table = TableWriter::sorted();
    table.note_version(version);
    let mut out = Vec::with_capacity(2 + 28 * version.len());
    put_byte(&mut out, FORMAT_VERSION);
    table.write(&mut out);
    for (_, entry) in version.iter() {
        write_entry(&mut out, Some(entry), 0);
    }
    out
}

/// Reads what [`encode_version`] wrote.
///
/// # Errors
/// When the bytes are not the encoding of a version vector.
pub fn decode_version(bytes: &[u8]) -> Result<VersionVector, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut version = VersionVector::new();
    let result = read(&mut reader, &mut version);
    reader.outcome(result, version)
}

fn read(reader: &mut Reader<'_>, version: &mut VersionVector) -> Result<(), Refused> {
    reader.format_version();
    let mut table = TableReader::default();
    table.read(reader, false)?;
    for replica in table.ids() {
        let seq = reader.seq();
        version.set(*replica, VersionEntry { seq, tag: reader.tag() });
    }
    reader.finish()
}

/// Appends how far an entry goes beyond `from`, and its tag; 0 if there is none.
pub(super) fn write_entry(out: &mut Vec<u8>, entry: Option<VersionEntry>, from: u64) {
    varint::write(out, entry.map_or(0, |entry| entry.seq.wrapping_sub(from)));
    if let Some(entry) = entry {
        put(out, entry.tag.as_bytes());
    }
}
