//! Diffs.
//!
//! The table of replicas is exactly the replicas that the base or the head covers, so how far each is covered is a column
//! beside it, and every dot of the diff can be checked against it.
//!
//! Rules: BYTES-2; DIFF-3 removers are beyond the base; DIFF-4 a full diff has an empty base and tells no removals; VALID-1
//! every dot that is named is covered by the head or the base. That chains of bunches are whole, and that containers do not
//! contain each other, is for whoever applies the diff to find.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, read_dots, read_stamps, write_dots, write_stamps};
use super::entries::{self, Row, Totals};
use super::limits::MAX_SEQ;
use super::reader::Reader;
use super::{DecodeError, FORMAT_VERSION, bunches, removals, varint};
use crate::clock::{Dot, Tag, VersionEntry, VersionVector};
use crate::diff::{Diff, LiveEntry, Tier};
use crate::ordered::Set;
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use crate::store::Container;

const TIER_VERSION: u8 = 0;
const TIER_FULL: u8 = 1;

/// The bytes of a diff. The tags of its base are not written, since nobody looks at them.
pub fn encode_diff(diff: &Diff) -> Vec<u8> {
    let table = TableWriter::sorted(replicas_of(diff));
    let mut out = Vec::with_capacity(64 + 24 * table.ids().len() + 16 * diff.adds.len());
    out.push(FORMAT_VERSION);
    out.push(match diff.tier {
        Tier::Version => TIER_VERSION,
        Tier::Full => TIER_FULL,
    });
    table.write(&mut out);
    write_body(&mut out, &table, diff);
    out
}

/// Reads what [`encode_diff`] wrote. The tags of the base are zeros.
///
/// # Errors
/// When the bytes are not the encoding of a diff that keeps the rules. Nothing is allocated beyond a constant factor of
/// their length.
pub fn decode_diff(bytes: &[u8]) -> Result<Diff, DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.format_version()?;
    let tier = match reader.byte()? {
        TIER_VERSION => Tier::Version,
        TIER_FULL => Tier::Full,
        code => return Err(reader.unknown("tier", code.into())),
    };
    let mut table = TableReader::sorted(&mut reader)?;
    let diff = read_body(&mut reader, &mut table, tier)?;
    reader.finish()?;
    Ok(diff)
}

/// Every replica that the diff names.
pub(super) fn replicas_of(diff: &Diff) -> Set<ReplicaId> {
    let mut replicas: Set<ReplicaId> = diff.base.iter().chain(diff.head.iter()).map(|(id, _)| id).collect();
    replicas.extend(diff.heads.iter().map(|dot| dot.replica));
    for add in &diff.adds {
        replicas.insert(add.dot.replica);
        if let Container::Entity(entity) = add.entry.container {
            replicas.insert(entity.replica);
        }
    }
    replicas.extend(diff.bunches.iter().flat_map(|bunch| [bunch.id.replica, bunch.parent.bunch.replica]));
    replicas.extend(diff.removes.iter().map(|(remover, _)| remover.replica));
    replicas.extend(diff.removes.iter().flat_map(|(_, removed)| removed.runs()).map(|(replica, _, _)| replica));
    // It comes from bunches on the root bunch, which is not named by a number.
    replicas.remove(&ReplicaId::NIL);
    replicas
}

/// Appends everything behind the tier and the table.
pub(super) fn write_body(out: &mut Vec<u8>, table: &TableWriter, diff: &Diff) {
    let number = |dot: &Dot| (table.number(dot.replica), dot.seq);
    write_progress(out, table, diff);
    varint::write_len(out, diff.heads.len());
    for head in &diff.heads {
        varint::write(out, table.number(head.replica));
        let covered = diff.base.seq(head.replica).max(diff.head.seq(head.replica));
        varint::write(out, covered.wrapping_sub(head.seq));
    }
    varint::write_len(out, diff.bunches.len());
    write_dots(out, diff.bunches.iter().map(|bunch| number(&bunch.id)));
    bunches::write(out, table, &diff.bunches);
    varint::write_len(out, diff.adds.len());
    write_dots(out, diff.adds.iter().map(|add| number(&add.dot)));
    write_stamps(out, diff.adds.iter().map(|add| add.hlc));
    let rows = diff.adds.iter().map(|add| Row { dot: add.dot, entry: &add.entry, before: None });
    entries::write(out, table, Totals::Alone, rows);
    if diff.tier == Tier::Version {
        removals::write(out, table, &diff.removes);
    } else {
        debug_assert!(diff.removes.is_empty(), "DIFF-4: a full diff tells deaths by absence");
    }
}

/// Reads what [`write_body`] wrote.
pub(super) fn read_body(reader: &mut Reader<'_>, table: &mut TableReader, tier: Tier) -> Result<Diff, DecodeError> {
    let (base, head) = read_progress(reader, table, tier)?;
    let covers = |dot: Dot| base.covers(dot) || head.covers(dot);
    let is_new = |dot: Dot| head.covers(dot) && !base.covers(dot);
    let heads = read_heads(reader, table, &base, &head)?;
    let bunches = read_bunches(reader, table, covers)?;
    let adds = read_adds(reader, table, covers, is_new)?;
    let removes = match tier {
        Tier::Version => removals::read(reader, table, is_new, covers)?,
        Tier::Full => Vec::new(),
    };
    if !removes.is_empty() {
        let live: Vec<Dot> = adds.iter().map(|add| add.dot).collect();
        removals::check_disjoint(reader, &removes, &live)?;
    }
    Ok(Diff { tier, base, head, heads, adds, removes, bunches })
}

/// For each replica of the table how far the base covers it (not on the full tier), how much further the head, and the tag
/// there if it does.
fn write_progress(out: &mut Vec<u8>, table: &TableWriter, diff: &Diff) {
    for replica in table.ids() {
        let base = diff.base.seq(*replica);
        if diff.tier == Tier::Version {
            varint::write(out, base);
        }
        match diff.head.get(*replica) {
            None => varint::write(out, 0),
            Some(entry) => {
                varint::write(out, entry.seq.wrapping_sub(base));
                out.extend_from_slice(entry.tag.as_bytes());
            }
        }
    }
}

fn read_progress(
    reader: &mut Reader<'_>,
    table: &TableReader,
    tier: Tier,
) -> Result<(VersionVector, VersionVector), DecodeError> {
    let (mut base, mut head) = (VersionVector::new(), VersionVector::new());
    for replica in table.ids() {
        let from = if tier == Tier::Version { reader.varint()? } else { 0 };
        let step = reader.varint()?;
        let seq = from.saturating_add(step);
        if seq > MAX_SEQ {
            let (found, limit) = (seq, MAX_SEQ);
            return Err(DecodeError::OverLimit { at: reader.at(), what: "sequence number", found, limit });
        }
        if seq == 0 {
            return Err(reader.not_canonical("a replica in the table that nothing covers"));
        }
        base.set(*replica, VersionEntry { seq: from, tag: Tag::from_bytes([0; 8]) });
        if step > 0 {
            head.set(*replica, VersionEntry { seq, tag: Tag::from_bytes(reader.array()?) });
        }
    }
    Ok((base, head))
}

/// Heads are named by their distance from what is covered, which for almost all is 0.
fn read_heads(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    base: &VersionVector,
    head: &VersionVector,
) -> Result<Vec<Dot>, DecodeError> {
    let count = reader.count("number of heads", 2, u64::MAX)?;
    let mut heads: Vec<Dot> = Vec::with_capacity(count);
    for _ in 0..count {
        let number = reader.varint()?;
        let replica = table.id(reader, number)?;
        let covered = base.seq(replica).max(head.seq(replica));
        let seq = covered.checked_sub(reader.varint()?).filter(|seq| *seq > 0);
        let seq = seq.ok_or_else(|| reader.invalid("a head before the first dot"))?;
        let dot = Dot::new(replica, seq);
        if heads.last().is_some_and(|last| *last >= dot) {
            return Err(reader.not_canonical("heads that are not ascending"));
        }
        heads.push(dot);
    }
    Ok(heads)
}

/// Numbers of an ascending table, so the dots are ascending too.
fn named(reader: &Reader<'_>, table: &mut TableReader, dots: Vec<(u64, u64)>) -> Result<Vec<Dot>, DecodeError> {
    dots.into_iter().map(|(number, seq)| Ok(Dot::new(table.id(reader, number)?, seq))).collect()
}

fn read_bunches(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    covers: impl Fn(Dot) -> bool,
) -> Result<Vec<BunchRecord>, DecodeError> {
    let count = reader.count("number of bunches", 1, u64::MAX)?;
    let ids = read_dots(reader, count)?;
    let ids = named(reader, table, ids)?;
    let bunches = bunches::read(reader, table, &ids)?;
    for bunch in &bunches {
        let parent_written = bunch.parent == bunches::START || bunches::dot_at(bunch.parent).is_some_and(&covers);
        if !covers(bunch.id) || !parent_written {
            return Err(reader.invalid("VALID-1: a bunch of dots that nobody wrote"));
        }
    }
    Ok(bunches)
}

fn read_adds(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    covers: impl Fn(Dot) -> bool,
    is_new: impl Fn(Dot) -> bool,
) -> Result<Vec<LiveEntry>, DecodeError> {
    let count = reader.count("number of entries", 1, u64::MAX)?;
    let dots = read_dots(reader, count)?;
    let dots = named(reader, table, dots)?;
    if !dots.iter().copied().all(is_new) {
        return Err(reader.invalid("VALID-1: an entry that is not beyond the base, or that nobody wrote"));
    }
    let stamps = read_stamps(reader, count)?;
    let entries = entries::read(reader, table, Totals::Alone, &dots)?.entries;
    for entry in &entries {
        if let Container::Entity(entity) = entry.container
            && !covers(entity)
        {
            return Err(reader.invalid("VALID-1: an entry in a container that nobody created"));
        }
    }
    let adds = dots.into_iter().zip(stamps).zip(entries);
    Ok(adds.map(|((dot, hlc), entry)| LiveEntry { dot, hlc, entry }).collect())
}
