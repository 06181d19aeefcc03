//! Whole chains of bunches by themselves: what is kept beside a delta at rest that hangs on them.
//!
//! Rules: BYTES-1, BYTES-2; SEQ-3 nothing in them hangs on what is not among them.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter};
use super::reader::{Reader, Refused};
use super::writer::put_byte;
use super::{DecodeError, FORMAT_VERSION, bunches, varint};
use crate::sequence::BunchRecord;

/// The bytes of chains that are whole; the bunches ascend by id. O(bytes · log n).
pub(crate) fn encode_positions(chains: &[BunchRecord]) -> Vec<u8> {
    let mut out = Vec::with_capacity(36 + 6 * chains.len());
    put_byte(&mut out, FORMAT_VERSION);
    write(&mut out, chains);
    out
}

/// Appends chains that are whole; the bunches ascend by id.
pub(super) fn write(out: &mut Vec<u8>, chains: &[BunchRecord]) {
    let mut table = TableWriter::sorted();
    bunches::note(&mut table, chains);
    table.write(out);
    varint::write_len(out, chains.len());
    bunches::write(out, &table, chains);
}

/// Reads what [`encode_positions`] wrote.
///
/// # Errors
/// When the bytes are not the encoding of whole chains. Nothing is allocated beyond a constant factor of their length.
pub(crate) fn decode_positions(bytes: &[u8]) -> Result<Vec<BunchRecord>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut chains = Vec::new();
    reader.format_version();
    let result = read(&mut reader, &mut chains);
    let result = result.and_then(|()| reader.finish());
    reader.outcome(result, chains)
}

/// Reads whole chains up to their end.
pub(super) fn read(reader: &mut Reader<'_>, chains: &mut Vec<BunchRecord>) -> Result<(), Refused> {
    let mut table = TableReader::default();
    table.read(reader, false)?;
    let count = reader.count("number of bunches", 1, u64::MAX);
    bunches::read(reader, &mut table, count, chains)?;
    for bunch in chains.iter() {
        let parent = bunch.parent;
        if parent != bunches::START && bunches::place_of(chains, parent.bunch).is_none() {
            return Err(reader.invalid("SEQ-3: a bunch that hangs on one which is not told"));
        }
    }
    reader.ok()?;
    table.finish(reader)
}
