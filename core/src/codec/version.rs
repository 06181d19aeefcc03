//! Version vectors with their tags, and digests, which say also what lives.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, read_set, write_set};
use super::reader::{Reader, Refused};
use super::writer::{put, put_byte};
use super::{DecodeError, FORMAT_VERSION, varint};
use crate::clock::{Dot, VersionEntry, VersionVector};
use crate::diff::Digest;

/// The bytes of a version vector with tags: 16 bytes of id, 8 of tag and 1 to 7 of sequence number a replica. O(replicas).
pub fn encode_version(version: &VersionVector) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 28 * version.len());
    write(&mut out, version);
    out
}

/// The bytes of a digest: its version, then the runs of what lives. About one byte for each live dot at worst, next to
/// nothing where little was ever removed.
pub fn encode_digest(digest: &Digest) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 28 * digest.version.len() + digest.live.run_count());
    let table = write(&mut out, &digest.version);
    write_set(&mut out, &table, &digest.live);
    out
}

/// Reads what [`encode_digest`] wrote.
///
/// # Errors
/// When the bytes are not the encoding of a digest whose live dots its version covers.
pub fn decode_digest(bytes: &[u8]) -> Result<Digest, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut digest = Digest::default();
    let result = read_digest(&mut reader, &mut digest);
    reader.outcome(result, digest)
}

fn read_digest(reader: &mut Reader<'_>, digest: &mut Digest) -> Result<(), Refused> {
    let mut table = read_entries(reader, &mut digest.version)?;
    read_set(reader, &mut table, &mut digest.live)?;
    for (replica, _, last) in digest.live.runs() {
        if !digest.version.covers(Dot::new(replica, last)) {
            return Err(reader.invalid("VALID-1: a live dot that the digest's version does not cover"));
        }
    }
    reader.finish()
}

fn write(out: &mut Vec<u8>, version: &VersionVector) -> TableWriter {
    let mut table = TableWriter::sorted();
    table.note_version(version);
    put_byte(out, FORMAT_VERSION);
    table.write(out);
    for (_, entry) in version.iter() {
        write_entry(out, Some(entry), 0);
    }
    table
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
    read_entries(reader, version)?;
    reader.finish()
}

fn read_entries(reader: &mut Reader<'_>, version: &mut VersionVector) -> Result<TableReader, Refused> {
    reader.format_version();
    let mut table = TableReader::default();
    table.read(reader, false)?;
    for replica in table.ids() {
        let seq = reader.seq();
        version.set(*replica, VersionEntry { seq, tag: reader.tag() });
    }
    reader.ok()?;
    Ok(table)
}

/// Appends how far an entry goes beyond `from`, and its tag; 0 if there is none.
pub(super) fn write_entry(out: &mut Vec<u8>, entry: Option<VersionEntry>, from: u64) {
    varint::write(out, entry.map_or(0, |entry| entry.seq.wrapping_sub(from)));
    if let Some(entry) = entry {
        put(out, entry.tag.as_bytes());
    }
}
