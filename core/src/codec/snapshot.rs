//! Snapshots: a document at rest, in an envelope.
//!
//! One table of replicas serves all sections. Rules: REM-2 removers are beyond the horizon; the horizon is within the head.

use alloc::vec::Vec;

use super::columns::{Scope, TableReader, TableWriter};
use super::entries::Rows;
use super::envelope::{self, EnvelopeKind, EnvelopeWriter};
use super::intake::{Intake, Listed};
use super::reader::{Reader, Refused};
use super::writer::put;
use super::{DecodeError, diff, removals, text, varint};
use crate::clock::{Tag, VersionEntry, VersionVector};
use crate::diff::{Snapshot, Tier};

const REPLICAS: u64 = 2;
const STATE: u64 = 4;
const HORIZON: u64 = 6;
const REMOVALS: u64 = 8;
const BEACON: u64 = 10;
/// All that there are, in their order.
const SECTIONS: [u64; 5] = [REPLICAS, STATE, HORIZON, REMOVALS, BEACON];

/// The bytes of a snapshot, in a checksummed envelope. O(bytes · log n). [`crate::Document::snapshot`] makes and encodes one.
pub fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    encode_snapshot_of(snapshot, &snapshot.diff.adds)
}

/// The same, with `adds` for those of the snapshot: whoever holds them in another form needs not make a copy of all that lives.
pub(crate) fn encode_snapshot_of(snapshot: &Snapshot, adds: &dyn Rows) -> Vec<u8> {
    debug_assert!(snapshot.diff.tier == Tier::Full, "a snapshot holds a full diff");
    let mut table = TableWriter::sorted();
    diff::note(&mut table, &snapshot.diff);
    table.note_version(&snapshot.horizon);
    removals::note(&mut table, &snapshot.removals);
    let mut out = EnvelopeWriter::new(EnvelopeKind::Snapshot);
    for id in SECTIONS {
        let mut bytes = Vec::new();
        match id {
            REPLICAS => table.write(&mut bytes),
            STATE => {
                let mut contents = diff::write_columns(&mut bytes, &table, &snapshot.diff, adds);
                text::write_in_diff(&mut contents, &table, &snapshot.diff.bunches, &snapshot.diff.text);
                out.long_section(id, &bytes, contents);
                continue;
            }
            HORIZON => write_horizon(&mut bytes, &table, &snapshot.horizon),
            REMOVALS => removals::write(&mut bytes, &table, &snapshot.removals),
            _ => put(&mut bytes, &snapshot.beacon),
        }
        out.section(id, &bytes);
    }
    out.finish()
}

/// Reads what [`encode_snapshot`] wrote. Sections with unknown odd ids are passed over.
///
/// # Errors
/// When the checksum does not fit, when a newer version is needed, or when what is inside breaks the rules.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Snapshot, DecodeError> {
    let mut intake = Listed::new();
    let mut snapshot = read_snapshot(bytes, &mut intake)?;
    (snapshot.diff.adds, snapshot.diff.text) = (intake.adds, intake.text);
    Ok(snapshot)
}

/// The same, but what lives goes to `intake`, and is not in the snapshot that is returned. When the bytes are refused,
/// some of it may have gone there already.
pub(crate) fn read_snapshot<'a>(bytes: &'a [u8], intake: &mut dyn Intake<'a>) -> Result<Snapshot, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (diff, horizon) = (diff::empty(), VersionVector::new());
    let mut snapshot = Snapshot { diff, horizon, removals: Vec::new(), beacon: [0; 16] };
    let result = read(&mut reader, bytes, &mut snapshot, intake);
    reader.outcome(result, snapshot)
}

fn read<'a>(
    reader: &mut Reader<'a>,
    bytes: &'a [u8],
    snapshot: &mut Snapshot,
    intake: &mut dyn Intake<'a>,
) -> Result<(), Refused> {
    let sections = envelope::open(reader, bytes, EnvelopeKind::Snapshot)?;
    for (id, _) in &sections {
        if id % 2 == 0 && !SECTIONS.contains(id) {
            return Err(reader.unknown("section", *id));
        }
    }
    envelope::enter(reader, &sections, REPLICAS)?;
    let mut table = TableReader::default();
    table.read(reader, false)?;
    envelope::enter(reader, &sections, STATE)?;
    let diff = &mut snapshot.diff;
    diff::read_body(reader, &mut table, diff, intake)?;
    envelope::enter(reader, &sections, HORIZON)?;
    read_horizon(reader, &table, &diff.head, &mut snapshot.horizon)?;
    envelope::enter(reader, &sections, REMOVALS)?;
    // The horizon is within the head, so that this covers what the head covers.
    let scope = Scope::new(&snapshot.horizon, &diff.head);
    removals::read(reader, &mut table, &scope, intake, &mut snapshot.removals)?;
    envelope::enter(reader, &sections, BEACON)?;
    snapshot.beacon = reader.bytes_16();
    reader.finish()
}

/// For each replica of the table how far the log was truncated; nothing where it never was.
fn write_horizon(out: &mut Vec<u8>, table: &TableWriter, horizon: &VersionVector) {
    if horizon.is_empty() {
        return;
    }
    for replica in table.ids() {
        varint::write(out, horizon.seq(*replica));
    }
}

fn read_horizon(
    reader: &mut Reader<'_>,
    table: &TableReader,
    head: &VersionVector,
    horizon: &mut VersionVector,
) -> Result<(), Refused> {
    if reader.remaining() == 0 {
        return reader.ok();
    }
    for replica in table.ids() {
        let seq = reader.varint();
        let seq = reader.seq_at_most_max(seq);
        if seq > head.seq(*replica) {
            return Err(reader.invalid("REM-2: a horizon beyond the head"));
        }
        horizon.set(*replica, VersionEntry { seq, tag: Tag::from_bytes([0; 8]) });
    }
    if horizon.is_empty() {
        return Err(reader.not_canonical("a horizon before every dot"));
    }
    reader.ok()
}
