//! Deltas. These bytes are canonical: the chain of hashes runs over them.
//!
//! The table of replicas, the first dot and the stamp are in front, so that a session can say them in fewer bytes and keep
//! everything behind them as it is (see `docs/format.md`, section 10). Contents that almost every delta has alike (its only dependency is the
//! writer's previous dot, it takes one dot, every dot has an entry or is a character, it removes one own dot) are one bit each.
//! A stamp is there only where there are entries, because only between entries anything is ever chosen by it.
//!
//! Rules: BYTES-2; DOT-2; CAUSAL-2 as far as the delta itself tells: it removes no dot of its own, adds nothing below itself
//! or below what it removes, and depends on nothing of its own.

use alloc::vec::Vec;

use super::columns::{OwnRange, TableReader, TableWriter, ascends, read_set, write_set};
use super::entries::{Columns, EntryWriter, read_one, write_one};
use super::intake::Owned;
use super::limits::{MAX_DELTA_BYTES, MAX_DELTA_DOTS, MAX_REPLICAS};
use super::reader::{Reader, Refused};
use super::writer::{put, put_byte};
use super::{DecodeError, FORMAT_VERSION, bunches, text, varint};
use crate::clock::{Dot, DotRuns, Hlc};
use crate::delta::DeltaParts;
use crate::fault::{self, Fault};
use crate::few::Few;
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use crate::store::{Container, ContainerRef, Entry, EntryRef, Slot, TextRun};

/// It depends on the writer's previous dot and nothing else.
pub(super) const FOLLOWS: u8 = 1 << 0;
/// There is a list of dependencies.
pub(super) const DEPS: u8 = 1 << 1;
const BUNCHES: u8 = 1 << 2;
pub(super) const ADDS: u8 = 1 << 3;
/// Every dot has an entry; without entries, every dot is a character.
pub(super) const DENSE: u8 = 1 << 4;
/// There is a set of removed dots.
const REMOVES: u8 = 1 << 5;
/// It takes more than one dot.
pub(super) const MANY: u8 = 1 << 6;
/// It removes one dot, which is the writer's.
const REMOVES_OWN: u8 = 1 << 7;
/// There are characters besides other dots; how it removes is said by a second byte of flags, in their old places.
pub(super) const MIXED: u8 = REMOVES | REMOVES_OWN;

/// Whether these flags say that there are entries, and so a stamp.
pub(super) const fn has_stamp(flags: u8) -> bool {
    flags & ADDS != 0
}

/// What a delta says, but for its entries, wherever it is held.
pub(crate) struct Outline<'a> {
    pub(crate) replica: ReplicaId,
    pub(crate) first_seq: u64,
    pub(crate) dots: u64,
    pub(crate) deps: &'a [Dot],
    pub(crate) hlc: Hlc,
    pub(crate) bunches: &'a [BunchRecord],
    pub(crate) text: &'a [TextRun],
    pub(crate) totals_before: &'a [(u64, u64, u64)],
    pub(crate) removes: &'a DotRuns,
}

/// The entries of a delta, ascending by sequence number, wherever they are held.
pub(crate) trait Adds {
    /// How many they are.
    fn count(&self) -> usize;

    /// Gives each to `take`.
    fn each<'a>(&'a self, take: &mut dyn FnMut(u64, EntryRef<'a>));
}

impl Adds for Few<(u64, Entry)> {
    fn count(&self) -> usize {
        self.len()
    }

    fn each<'a>(&'a self, take: &mut dyn FnMut(u64, EntryRef<'a>)) {
        for (seq, entry) in self {
            take(*seq, entry.into());
        }
    }
}

/// The canonical bytes of a delta. O(bytes · log n).
///
/// Parts that break the rules of [`DeltaParts`] give bytes that [`decode_delta`] refuses or reads as something else; what a
/// transaction makes never does.
pub fn encode_delta(parts: &DeltaParts) -> Vec<u8> {
    let DeltaParts { replica, first_seq, dots, hlc, .. } = *parts;
    let DeltaParts { deps, bunches, adds, text, totals_before, removes, .. } = parts;
    let mut out = Vec::with_capacity(64 + 24 * adds.len());
    write_delta(
        &mut out,
        &Outline { replica, first_seq, dots, deps, hlc, bunches, text, totals_before, removes },
        adds,
    );
    out
}

/// Appends the canonical bytes of a delta.
pub(crate) fn write_delta(out: &mut Vec<u8>, parts: &Outline<'_>, adds: &dyn Adds) {
    let mut table = TableWriter::led_by(Dot::new(parts.replica, parts.first_seq));
    for dep in parts.deps {
        table.note(dep.replica);
    }
    bunches::note(&mut table, parts.bunches);
    let mut last = None;
    adds.each(&mut |seq, entry| {
        if let ContainerRef::Entity(entity) = entry.container {
            table.note(entity.replica);
        }
        last = Some((seq, entry));
    });
    text::note(&mut table, parts.text);
    table.note_set(parts.removes);
    let removes_own = only_own(parts.replica, parts.first_seq, parts.removes);

    let count = adds.count();
    let mut flags = 0;
    if parts.first_seq > 1 && *parts.deps == [Dot::new(parts.replica, parts.first_seq - 1)] {
        flags |= FOLLOWS;
    } else if !parts.deps.is_empty() {
        flags |= DEPS;
    }
    if !parts.bunches.is_empty() {
        flags |= BUNCHES;
    }
    if count > 0 {
        flags |= ADDS;
        if count as u64 == parts.dots {
            flags |= DENSE;
        }
    }
    if parts.dots != 1 {
        flags |= MANY;
    }
    let mut how_removed = 0;
    if removes_own.is_some() {
        how_removed |= REMOVES_OWN;
    } else if !parts.removes.is_empty() {
        how_removed |= REMOVES;
    }
    let all_text = count == 0 && text::count(parts.text) == parts.dots;
    let mixed = !all_text && !parts.text.is_empty();
    flags |= match (mixed, all_text) {
        (true, _) => MIXED,
        (false, true) => DENSE | how_removed,
        (false, false) => how_removed,
    };

    put_byte(out, FORMAT_VERSION);
    table.write(out);
    put_byte(out, flags);
    varint::write(out, parts.first_seq);
    if has_stamp(flags) {
        put(out, &parts.hlc.0.to_le_bytes());
    }
    if flags & MANY != 0 {
        varint::write(out, parts.dots.wrapping_sub(2));
    }
    if mixed {
        put_byte(out, how_removed);
    }
    if flags & DEPS != 0 {
        varint::write_len(out, parts.deps.len() - 1);
        for dep in parts.deps {
            varint::write(out, table.number(dep.replica));
            varint::write(out, dep.seq);
        }
    }
    if flags & BUNCHES != 0 {
        varint::write_len(out, parts.bunches.len() - 1);
        bunches::write(out, &table, parts.bunches);
    }
    let totals = Some(if fault::active(Fault::CodecForgetsTotals) { &[][..] } else { parts.totals_before });
    let dense = flags & DENSE != 0;
    match last {
        Some((seq, entry)) if count == 1 && dense => {
            write_one(out, &table, totals, Dot::new(parts.replica, seq), entry);
        }
        Some(_) => write_many(out, &table, parts, totals, adds, dense),
        None => {}
    }
    if let Some(seq) = removes_own {
        varint::write(out, parts.first_seq - 1 - seq);
    } else if how_removed != 0 {
        write_set(out, &table, parts.removes);
    }
    if all_text || mixed {
        text::write_in_delta(out, &table, parts.first_seq, all_text, parts.text);
    }
}

#[inline(never)]
fn write_many(
    out: &mut Vec<u8>,
    table: &TableWriter,
    parts: &Outline<'_>,
    totals: Option<&[(u64, u64, u64)]>,
    adds: &dyn Adds,
    dense: bool,
) {
    // One's own edits: nobody else chose their keys.
    let mut rows = EntryWriter::new(parts.hlc.0);
    adds.each(&mut |seq, entry| rows.push(table, totals, (Dot::new(parts.replica, seq), parts.hlc, entry, false)));
    if !dense {
        varint::write_len(out, adds.count() - 1);
        rows.write_dots(out);
    }
    rows.write_entries(out, table);
}

/// The dot that is removed, if it is one dot of the writer's before its delta.
fn only_own(replica: ReplicaId, first_seq: u64, removes: &DotRuns) -> Option<u64> {
    let mut runs = removes.runs();
    let (own, first, last) = runs.next()?;
    (runs.next().is_none() && own == replica && first == last && first > 0 && first < first_seq).then_some(first)
}

/// Reads what [`encode_delta`] wrote.
///
/// # Errors
/// When the bytes are not the canonical encoding of a delta that keeps the rules. Nothing is allocated beyond a constant
/// factor of their length.
pub fn decode_delta(bytes: &[u8]) -> Result<DeltaParts, DecodeError> {
    let mut parts = NO_PARTS;
    read_delta(bytes, &mut parts)?;
    Ok(parts)
}

/// What is not read yet.
pub(crate) const NO_PARTS: DeltaParts = DeltaParts::blank(ReplicaId::NIL, 0);

/// Reads into `parts`, which must be [`NO_PARTS`].
///
/// # Errors
/// Those of [`decode_delta`]. Then `parts` is nothing to go by.
pub(crate) fn read_delta(bytes: &[u8], parts: &mut DeltaParts) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let result = read(&mut reader, parts);
    reader.outcome(result, ())
}

fn read(reader: &mut Reader<'_>, parts: &mut DeltaParts) -> Result<(), Refused> {
    reader.at_most("delta length", reader.remaining() as u64, MAX_DELTA_BYTES as u64);
    reader.format_version();
    let mut table = TableReader::default();
    let table = &mut table;
    table.read(reader, true)?;
    let flags = reader.byte();
    let first = table.dot(reader, 0);
    if has_stamp(flags) {
        parts.hlc = Hlc(reader.fixed(8));
    }
    let own = read_range(reader, table, flags, first)?;
    let mixed = flags & MIXED == MIXED;
    let how_removed = if mixed { reader.byte() } else { flags & MIXED };
    if how_removed & !MIXED != 0 || how_removed == MIXED {
        return Err(reader.unknown("way of removing", how_removed.into()));
    }
    let all_text = flags & (ADDS | DENSE) == DENSE;
    (parts.replica, parts.first_seq, parts.dots) = (own.replica, own.first_seq, own.dots);
    read_deps(reader, table, flags, own, &mut parts.deps)?;
    if flags & BUNCHES != 0 {
        let count = read_count(reader, "number of bunches", 1, own.dots);
        bunches::read(reader, table, count, &mut parts.bunches)?;
    }
    if mixed && flags & DENSE != 0 {
        return Err(reader.invalid("nothing but entries, or nothing but characters, and both"));
    }
    if flags & ADDS != 0 {
        read_adds(reader, table, flags, own, parts)?;
    }
    read_removes(reader, table, how_removed, own, &mut parts.removes)?;
    if all_text || mixed {
        text::read_in_delta(reader, table, own, all_text, &mut |run| parts.text.push(run))?;
    }
    if mixed && parts.adds.is_empty() && text::count(&parts.text) == own.dots {
        return Err(reader.not_canonical("nothing but characters, as if there were more"));
    }
    reader.finish()?;
    table.finish(reader)?;
    check(reader, own, parts)
}

fn read_range(reader: &mut Reader<'_>, table: &mut TableReader, flags: u8, first: Dot) -> Result<OwnRange, Refused> {
    let dots = if flags & MANY == 0 { 1 } else { reader.varint().saturating_add(2) };
    let dots = reader.at_most("number of dots", dots, MAX_DELTA_DOTS);
    reader.seq_at_most_max(first.seq.saturating_add(dots).saturating_sub(1));
    reader.ok()?;
    let own = OwnRange { replica: first.replica, first_seq: first.seq, dots };
    table.set_own(own);
    Ok(own)
}

fn read_deps(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    flags: u8,
    own: OwnRange,
    deps: &mut Few<Dot>,
) -> Result<(), Refused> {
    let previous = Dot::new(own.replica, own.first_seq - 1);
    if flags & FOLLOWS != 0 {
        if flags & DEPS != 0 || previous.seq == 0 {
            return Err(reader.invalid("a delta that follows none, or more than one"));
        }
        deps.push(previous);
    } else if flags & DEPS != 0 {
        let count = read_count(reader, "number of dependencies", 2, MAX_REPLICAS as u64);
        deps.make_room(count);
        for _ in 0..count {
            let number = reader.varint();
            let dep = table.dot(reader, number);
            if own.contains(dep) {
                return Err(reader.invalid("CAUSAL-2: a delta that depends on itself"));
            }
            ascends(reader, deps.last(), dep)?;
            deps.push(dep);
        }
        if **deps == [previous] {
            return Err(reader.not_canonical("the previous dot as the only dependency, in a list"));
        }
    }
    reader.ok()
}

fn read_adds(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    flags: u8,
    own: OwnRange,
    parts: &mut DeltaParts,
) -> Result<(), Refused> {
    let DeltaParts { adds, totals_before, .. } = parts;
    if own.dots == 1 && flags & DENSE != 0 {
        let dot = Dot::new(own.replica, own.first_seq);
        adds.push((dot.seq, read_one(reader, table, Some(totals_before), dot)?));
        return Ok(());
    }
    let mut columns = if flags & DENSE == 0 {
        let count = read_count(reader, "number of entries", 1, own.dots);
        if count as u64 == own.dots {
            return Err(reader.not_canonical("the dots of entries, where every dot has one"));
        }
        let mut columns = Columns::new(count);
        columns.read_dots(reader, table)?;
        columns
    } else {
        let mut columns = Columns::new(reader.fits("number of entries", own.dots, 1, own.dots));
        columns.dots.push((own.replica, own.first_seq, own.first_seq + own.dots - 1));
        columns
    };
    reader.ok()?;
    adds.make_room(columns.count);
    columns.read_columns(reader, table)?;
    let mut push = |dot: Dot, entry| adds.push((dot.seq, entry));
    columns.read_contents(reader, Some(totals_before), &mut Owned::new(&mut push))
}

fn read_removes(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    flags: u8,
    own: OwnRange,
    removes: &mut DotRuns,
) -> Result<(), Refused> {
    match (flags & REMOVES != 0, flags & REMOVES_OWN != 0) {
        (false, false) => {}
        (true, false) => {
            read_set(reader, table, removes)?;
            if removes.is_empty() {
                return Err(reader.not_canonical("an empty set of dots"));
            }
            if only_own(own.replica, own.first_seq, removes).is_some() {
                return Err(reader.not_canonical("one removed dot of the writer, in a set"));
            }
        }
        (false, true) => {
            let distance = reader.varint();
            match own.first_seq.checked_sub(1).and_then(|last| last.checked_sub(distance)) {
                Some(seq) if seq > 0 => removes.insert(Dot::new(own.replica, seq)),
                _ => return Err(reader.invalid("REM-1: a removed dot before the first")),
            }
        }
        // Told apart by who calls: there it means that there is text.
        (true, true) => {}
    }
    reader.ok()
}

/// Reads a number of elements that is at least one and written less one.
fn read_count(reader: &mut Reader<'_>, what: &'static str, least: usize, limit: u64) -> usize {
    let count = reader.varint().saturating_add(1);
    reader.fits(what, count, least, limit)
}

/// Checks what only the whole delta can tell: what stands for a bunch and is in the delta's range is one that it creates,
/// and nothing removed is its own or has a new entry below it.
fn check(reader: &mut Reader<'_>, own: OwnRange, parts: &DeltaParts) -> Result<(), Refused> {
    let is_missing = |bunch: Dot| own.contains(bunch) && bunches::place_of(&parts.bunches, bunch).is_none();
    for bunch in &parts.bunches {
        if is_missing(bunch.parent.bunch) {
            return Err(reader.invalid("SEQ-5: a bunch that hangs on one of this delta which it does not create"));
        }
    }
    for (replica, _, last) in parts.removes.runs() {
        if own.contains(Dot::new(replica, last)) && !fault::active(Fault::CodecTakesOwnRemovals) {
            return Err(reader.invalid("CAUSAL-2: a delta that removes its own dot"));
        }
    }
    let mut runs = parts.text.iter();
    let mut next = runs.next();
    for (seq, entry) in &parts.adds {
        if let Slot::Position { bunch, .. } = entry.slot
            && is_missing(Dot::new(own.replica, bunch))
        {
            return Err(reader.invalid("SEQ-5: a position in a bunch of this delta which it does not create"));
        }
        if let Container::Entity(entity) = entry.container
            && parts.removes.contains(entity)
        {
            return Err(reader.invalid("CAUSAL-2: an entry below what the same delta removes"));
        }
        while let Some(run) = next.filter(|run| run.first.seq <= *seq) {
            if run.last_seq() >= *seq {
                return Err(reader.invalid("DOT-1: a dot that is a character and something else"));
            }
            next = runs.next();
        }
    }
    for run in &parts.text {
        if is_missing(Dot::new(own.replica, run.bunch)) {
            return Err(reader.invalid("SEQ-5: text in a bunch of this delta which it does not create"));
        }
        if let Container::Entity(entity) = run.container
            && parts.removes.contains(entity)
        {
            return Err(reader.invalid("CAUSAL-2: text below what the same delta removes"));
        }
    }
    Ok(())
}
