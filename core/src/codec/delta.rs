//! Deltas. These bytes are canonical: the chain of hashes runs over them.
//!
//! The table of replicas is in front and led by the writer, so that a later format can send numbers in its place and keep
//! everything behind it. Contents that almost every delta has alike (its only dependency is the writer's previous dot, every
//! dot has an entry) are one bit each.
//!
//! Rules: BYTES-2; DOT-2; CAUSAL-2 as far as the delta itself tells: it removes no dot of its own, adds nothing below itself
//! or below what it removes, and depends on nothing of its own.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, check_seq, read_dots, read_set, write_dots, write_set};
use super::entries::{self, Entries, Row, Totals};
use super::limits::{MAX_DELTA_BYTES, MAX_DELTA_DOTS, MAX_REPLICAS, MAX_SEQ};
use super::reader::Reader;
use super::{DecodeError, FORMAT_VERSION, bunches, varint};
use crate::clock::{Dot, DotRuns, Hlc};
use crate::delta::DeltaParts;
use crate::ordered::Set;
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use crate::store::{Container, Entry, Kind, Slot};

/// It depends on the writer's previous dot and nothing else.
const FOLLOWS: u8 = 1 << 0;
/// There is a list of dependencies.
const DEPS: u8 = 1 << 1;
const BUNCHES: u8 = 1 << 2;
const ADDS: u8 = 1 << 3;
/// Every dot has an entry.
const DENSE: u8 = 1 << 4;
const REMOVES: u8 = 1 << 5;
const KNOWN_FLAGS: u8 = FOLLOWS | DEPS | BUNCHES | ADDS | DENSE | REMOVES;

/// The canonical bytes of a delta.
///
/// Parts that break the rules of [`DeltaParts`] give bytes that [`decode_delta`] refuses or reads as something else; what a
/// transaction makes never does.
pub fn encode_delta(parts: &DeltaParts) -> Vec<u8> {
    let table = table_of(parts);
    let mut out = Vec::with_capacity(64 + 8 * parts.adds.len());
    out.push(FORMAT_VERSION);
    table.write(&mut out);
    let follows = follows(parts);
    let dense = parts.adds.len() as u64 == parts.dots;
    let flags = [
        (FOLLOWS, follows),
        (DEPS, !follows && !parts.deps.is_empty()),
        (BUNCHES, !parts.bunches.is_empty()),
        (ADDS, !parts.adds.is_empty()),
        (DENSE, !parts.adds.is_empty() && dense),
        (REMOVES, !parts.removes.is_empty()),
    ];
    let flags = flags.iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag);
    out.push(flags);
    varint::write(&mut out, parts.first_seq);
    varint::write(&mut out, parts.dots.wrapping_sub(1));
    out.extend_from_slice(&parts.hlc.0.to_le_bytes());
    if flags & DEPS != 0 {
        varint::write_len(&mut out, parts.deps.len() - 1);
        for dep in &parts.deps {
            varint::write(&mut out, table.number(dep.replica));
            varint::write(&mut out, dep.seq);
        }
    }
    // Own dots are written as 1 for the first, 2 for the second …
    let own = |seq: u64| (0, seq.wrapping_sub(parts.first_seq).wrapping_add(1));
    if flags & BUNCHES != 0 {
        varint::write_len(&mut out, parts.bunches.len() - 1);
        write_dots(&mut out, parts.bunches.iter().map(|bunch| own(bunch.id.seq)));
        bunches::write(&mut out, &table, &parts.bunches);
    }
    if flags & ADDS != 0 {
        if flags & DENSE == 0 {
            varint::write_len(&mut out, parts.adds.len() - 1);
            write_dots(&mut out, parts.adds.iter().map(|(seq, _)| own(*seq)));
        }
        entries::write(&mut out, &table, Totals::WithBefore, rows(parts));
    }
    if flags & REMOVES != 0 {
        write_set(&mut out, &table, &parts.removes);
    }
    out
}

/// Reads what [`encode_delta`] wrote.
///
/// # Errors
/// When the bytes are not the canonical encoding of a delta that keeps the rules. Nothing is allocated beyond a constant
/// factor of their length.
pub fn decode_delta(bytes: &[u8]) -> Result<DeltaParts, DecodeError> {
    if bytes.len() > MAX_DELTA_BYTES {
        let (found, limit) = (bytes.len() as u64, MAX_DELTA_BYTES as u64);
        return Err(DecodeError::OverLimit { at: 0, what: "delta length", found, limit });
    }
    let mut reader = Reader::new(bytes);
    let reader = &mut reader;
    reader.format_version()?;
    let mut table = TableReader::led(reader)?;
    let flags = reader.byte()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(reader.unknown("flags", flags.into()));
    }
    let range = OwnRange::read(reader, &mut table)?;
    let hlc = Hlc(u64::from_le_bytes(reader.array()?));
    let deps = read_deps(reader, &mut table, flags, &range)?;
    let bunches = if flags & BUNCHES != 0 { read_bunches(reader, &mut table, &range)? } else { Vec::new() };
    let (adds, totals_before) = read_adds(reader, &mut table, flags, &range)?;
    let removes = if flags & REMOVES != 0 { read_set(reader, &mut table)? } else { DotRuns::new() };
    reader.finish()?;
    table.finish(reader)?;
    check_positions(reader, &range, &bunches, &adds)?;
    check_removes(reader, &range, &removes, &adds)?;
    let OwnRange { replica, first_seq, dots } = range;
    Ok(DeltaParts { replica, first_seq, dots, deps, hlc, bunches, adds, totals_before, removes })
}

fn follows(parts: &DeltaParts) -> bool {
    parts.first_seq > 1 && parts.deps == [Dot::new(parts.replica, parts.first_seq - 1)]
}

fn table_of(parts: &DeltaParts) -> TableWriter {
    let mut replicas: Set<ReplicaId> = parts.deps.iter().map(|dep| dep.replica).collect();
    replicas.extend(parts.removes.runs().map(|(replica, _, _)| replica));
    replicas.extend(parts.bunches.iter().map(|bunch| bunch.parent.bunch.replica));
    let containers = parts.adds.iter().filter_map(|(_, entry)| match &entry.container {
        Container::Entity(entity) => Some(entity.replica),
        Container::Root { .. } => None,
    });
    replicas.extend(containers);
    // It comes from bunches on the root bunch, which is not named by a number.
    replicas.remove(&ReplicaId::NIL);
    TableWriter::led_by(parts.replica, replicas)
}

fn rows(parts: &DeltaParts) -> impl Iterator<Item = Row<'_>> + Clone {
    parts.adds.iter().map(|(seq, entry)| {
        let before = if entry.kind == Kind::TOTAL {
            let at = parts.totals_before.binary_search_by_key(seq, |total| total.0).ok();
            at.and_then(|at| parts.totals_before.get(at)).map(|(_, plus, minus)| (*plus, *minus))
        } else {
            None
        };
        Row { dot: Dot::new(parts.replica, *seq), entry, before }
    })
}

/// The dots of the delta that is read.
struct OwnRange {
    replica: ReplicaId,
    first_seq: u64,
    dots: u64,
}

impl OwnRange {
    fn read(reader: &mut Reader<'_>, table: &mut TableReader) -> Result<Self, DecodeError> {
        let replica = table.id(reader, 0)?;
        let first_seq = reader.varint()?;
        check_seq(reader, first_seq)?;
        let dots = reader.varint()?.saturating_add(1);
        if dots > MAX_DELTA_DOTS {
            let (found, limit) = (dots, MAX_DELTA_DOTS);
            return Err(DecodeError::OverLimit { at: reader.at(), what: "number of dots", found, limit });
        }
        let last = first_seq.saturating_add(dots - 1);
        if last > MAX_SEQ {
            let (found, limit) = (last, MAX_SEQ);
            return Err(DecodeError::OverLimit { at: reader.at(), what: "sequence number", found, limit });
        }
        Ok(Self { replica, first_seq, dots })
    }

    fn contains(&self, dot: Dot) -> bool {
        dot.replica == self.replica && dot.seq >= self.first_seq
    }

    /// Own dots in the column that counts them from 1.
    fn read_dots(&self, reader: &mut Reader<'_>, count: usize) -> Result<Vec<Dot>, DecodeError> {
        let mut dots = Vec::with_capacity(count);
        for (number, place) in read_dots(reader, count)? {
            if number != 0 || place > self.dots {
                return Err(reader.invalid("DOT-1: a dot that is not the delta's own"));
            }
            dots.push(Dot::new(self.replica, self.first_seq.saturating_add(place - 1)));
        }
        Ok(dots)
    }
}

fn read_deps(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    flags: u8,
    range: &OwnRange,
) -> Result<Vec<Dot>, DecodeError> {
    let previous = Dot::new(range.replica, range.first_seq - 1);
    if flags & FOLLOWS != 0 {
        if flags & DEPS != 0 || previous.seq == 0 {
            return Err(reader.invalid("a delta that follows none, or more than one"));
        }
        return Ok(alloc::vec![previous]);
    }
    if flags & DEPS == 0 {
        return Ok(Vec::new());
    }
    let count = read_count(reader, "number of dependencies", 2, MAX_REPLICAS as u64)?;
    let mut deps: Vec<Dot> = Vec::with_capacity(count);
    for _ in 0..count {
        let number = reader.varint()?;
        let replica = table.id(reader, number)?;
        let seq = reader.varint()?;
        check_seq(reader, seq)?;
        let dep = Dot::new(replica, seq);
        if range.contains(dep) {
            return Err(reader.invalid("CAUSAL-2: a delta that depends on itself"));
        }
        if deps.last().is_some_and(|last| *last >= dep) {
            return Err(reader.not_canonical("dependencies that are not ascending"));
        }
        deps.push(dep);
    }
    if deps == [previous] {
        return Err(reader.not_canonical("the previous dot as the only dependency, in a list"));
    }
    Ok(deps)
}

fn read_bunches(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    range: &OwnRange,
) -> Result<Vec<BunchRecord>, DecodeError> {
    let count = read_count(reader, "number of bunches", 1, range.dots)?;
    let ids = range.read_dots(reader, count)?;
    let bunches = bunches::read(reader, table, &ids)?;
    for bunch in &bunches {
        if range.contains(bunch.parent.bunch) && ids.binary_search(&bunch.parent.bunch).is_err() {
            return Err(reader.invalid("SEQ-5: a bunch that hangs on one of this delta which it does not create"));
        }
    }
    Ok(bunches)
}

/// The adds and the totals they overwrite.
type Adds = (Vec<(u64, Entry)>, Vec<(u64, u64, u64)>);

fn read_adds(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    flags: u8,
    range: &OwnRange,
) -> Result<Adds, DecodeError> {
    if flags & ADDS == 0 {
        if flags & DENSE != 0 {
            return Err(reader.invalid("every dot has an entry, and there is none"));
        }
        return Ok(Adds::default());
    }
    let dots: Vec<Dot> = if flags & DENSE != 0 {
        let count = reader.fits("number of entries", range.dots, 1, range.dots)?;
        (range.first_seq..).take(count).map(|seq| Dot::new(range.replica, seq)).collect()
    } else {
        let count = read_count(reader, "number of entries", 1, range.dots)?;
        if count as u64 == range.dots {
            return Err(reader.not_canonical("the dots of entries, where every dot has one"));
        }
        range.read_dots(reader, count)?
    };
    let Entries { entries, totals_before } = entries::read(reader, table, Totals::WithBefore, &dots)?;
    Ok((dots.iter().map(|dot| dot.seq).zip(entries).collect(), totals_before))
}

/// Reads a number of elements that is at least one and written less one.
fn read_count(reader: &mut Reader<'_>, what: &'static str, least: usize, limit: u64) -> Result<usize, DecodeError> {
    let count = reader.varint()?.saturating_add(1);
    reader.fits(what, count, least, limit)
}

fn check_positions(
    reader: &Reader<'_>,
    range: &OwnRange,
    bunches: &[BunchRecord],
    adds: &[(u64, Entry)],
) -> Result<(), DecodeError> {
    for (_, entry) in adds {
        if let Slot::Position { bunch, .. } = entry.slot
            && bunch >= range.first_seq
            && bunches.binary_search_by_key(&bunch, |record| record.id.seq).is_err()
        {
            return Err(reader.invalid("SEQ-5: a position in a bunch of this delta which it does not create"));
        }
    }
    Ok(())
}

fn check_removes(
    reader: &Reader<'_>,
    range: &OwnRange,
    removes: &DotRuns,
    adds: &[(u64, Entry)],
) -> Result<(), DecodeError> {
    if removes.runs().any(|(replica, _, last)| range.contains(Dot::new(replica, last))) {
        return Err(reader.invalid("CAUSAL-2: a delta that removes its own dot"));
    }
    for (_, entry) in adds {
        if let Container::Entity(entity) = entry.container
            && removes.contains(entity)
        {
            return Err(reader.invalid("CAUSAL-2: an entry below what the same delta removes"));
        }
    }
    Ok(())
}
