//! Snapshots: a document at rest, in an envelope.
//!
//! One table of replicas serves all sections. Rules: REM-2 removers are beyond the horizon; the horizon is within the head.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter};
use super::envelope::{self, EnvelopeKind, EnvelopeWriter};
use super::limits::MAX_SEQ;
use super::reader::Reader;
use super::{DecodeError, diff, removals, varint};
use crate::clock::{Dot, Tag, VersionEntry, VersionVector};
use crate::diff::{Snapshot, Tier};

const REPLICAS: u64 = 2;
const STATE: u64 = 4;
const HORIZON: u64 = 6;
const REMOVALS: u64 = 8;
const BEACON: u64 = 10;

/// The bytes of a snapshot, in a checksummed envelope.
pub fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    debug_assert!(snapshot.diff.tier == Tier::Full, "a snapshot holds a full diff");
    let mut replicas = diff::replicas_of(&snapshot.diff);
    replicas.extend(snapshot.horizon.iter().map(|(replica, _)| replica));
    for (remover, removed) in &snapshot.removals {
        replicas.insert(remover.replica);
        replicas.extend(removed.runs().map(|(replica, _, _)| replica));
    }
    let table = TableWriter::sorted(replicas);
    let mut out = EnvelopeWriter::new(EnvelopeKind::Snapshot);
    let mut section = |id, write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        out.section(id, &bytes);
    };
    section(REPLICAS, &|bytes| table.write(bytes));
    section(STATE, &|bytes| diff::write_body(bytes, &table, &snapshot.diff));
    section(HORIZON, &|bytes| write_horizon(bytes, &table, &snapshot.horizon));
    section(REMOVALS, &|bytes| removals::write(bytes, &table, &snapshot.removals));
    section(BEACON, &|bytes| bytes.extend_from_slice(&snapshot.beacon));
    out.finish()
}

/// Reads what [`encode_snapshot`] wrote. Sections with unknown odd ids are passed over.
///
/// # Errors
/// When the checksum does not fit, when a newer version is needed, or when what is inside breaks the rules.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Snapshot, DecodeError> {
    let mut parts = Parts::default();
    for (id, part) in envelope::open(bytes, EnvelopeKind::Snapshot)? {
        match id {
            REPLICAS => parts.replicas = Some(part),
            STATE => parts.state = Some(part),
            HORIZON => parts.horizon = Some(part),
            REMOVALS => parts.removals = Some(part),
            BEACON => parts.beacon = Some(part),
            _ if id % 2 == 1 => {}
            _ => return Err(part.unknown("section", id)),
        }
    }
    let missing = |id| DecodeError::MissingSection { id };

    let mut reader = parts.replicas.ok_or(missing(REPLICAS))?;
    let mut table = TableReader::sorted(&mut reader)?;
    reader.finish()?;

    let mut reader = parts.state.ok_or(missing(STATE))?;
    let diff = diff::read_body(&mut reader, &mut table, Tier::Full)?;
    reader.finish()?;

    let mut reader = parts.horizon.ok_or(missing(HORIZON))?;
    let horizon = read_horizon(&mut reader, &table, &diff.head)?;
    reader.finish()?;

    let mut reader = parts.removals.ok_or(missing(REMOVALS))?;
    let is_remover = |dot: Dot| diff.head.covers(dot) && !horizon.covers(dot);
    let removals = removals::read(&mut reader, &mut table, is_remover, |dot| diff.head.covers(dot))?;
    let live: Vec<Dot> = diff.adds.iter().map(|add| add.dot).collect();
    removals::check_disjoint(&reader, &removals, &live)?;
    reader.finish()?;

    let mut reader = parts.beacon.ok_or(missing(BEACON))?;
    let beacon = reader.array()?;
    reader.finish()?;
    Ok(Snapshot { diff, horizon, removals, beacon })
}

#[derive(Default)]
struct Parts<'a> {
    replicas: Option<Reader<'a>>,
    state: Option<Reader<'a>>,
    horizon: Option<Reader<'a>>,
    removals: Option<Reader<'a>>,
    beacon: Option<Reader<'a>>,
}

/// For each replica of the table how far the log was truncated, and the tag there unless that is 0.
fn write_horizon(out: &mut Vec<u8>, table: &TableWriter, horizon: &VersionVector) {
    for replica in table.ids() {
        match horizon.get(*replica) {
            None => varint::write(out, 0),
            Some(entry) => {
                varint::write(out, entry.seq);
                out.extend_from_slice(entry.tag.as_bytes());
            }
        }
    }
}

fn read_horizon(
    reader: &mut Reader<'_>,
    table: &TableReader,
    head: &VersionVector,
) -> Result<VersionVector, DecodeError> {
    let mut horizon = VersionVector::new();
    for replica in table.ids() {
        let seq = reader.varint()?;
        if seq > MAX_SEQ {
            let (found, limit) = (seq, MAX_SEQ);
            return Err(DecodeError::OverLimit { at: reader.at(), what: "sequence number", found, limit });
        }
        if seq > head.seq(*replica) {
            return Err(reader.invalid("REM-2: a horizon beyond the head"));
        }
        if seq > 0 {
            horizon.set(*replica, VersionEntry { seq, tag: Tag::from_bytes(reader.array()?) });
        }
    }
    Ok(horizon)
}
