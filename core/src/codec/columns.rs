//! What the columns of deltas and diffs have in common: replica tables, runs of dots, sets of dots, stamps.
//!
//! A dot is a number in the table of replicas and a sequence number. Ascending dots are written as runs; neighbouring runs
//! always have a gap between them, because the gap is stored less one: runs that should have been merged cannot be said.
//! A table may be *led* by a writer, whose own dots then count from the first of its delta.
//!
//! Writers here accept anything and never panic: contents that break the rules give bytes that readers refuse.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use super::limits::{MAX_REPLICAS, MAX_SEQ};
use super::reader::{Reader, Refused};
use super::varint;
use super::writer::put_id;
use crate::clock::{Dot, DotRuns, Hlc, VersionVector};
use crate::few::Few;
use crate::replica_id::ReplicaId;

/// The replicas that one message names. First all are noted, then each has its number: its place.
pub(crate) struct TableWriter {
    /// Whose table it is, with the first dot of its delta. Its number is 0.
    writer: Option<Dot>,
    /// The others, ascending.
    ids: Vec<ReplicaId>,
}

impl TableWriter {
    /// A table in the order of ids.
    pub(crate) fn sorted() -> Self {
        Self { writer: None, ids: Vec::new() }
    }

    /// A table that begins with the writer of a delta; the others follow in the order of ids.
    pub(crate) fn led_by(first: Dot) -> Self {
        Self { writer: Some(first), ids: Vec::new() }
    }

    /// Takes an id into the table.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn note(&mut self, id: ReplicaId) {
        if self.is_writer(id) {
            return;
        }
        if let Err(place) = self.ids.binary_search(&id) {
            self.ids.insert(place, id);
        }
    }

    /// Takes the ids of a version into the table.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn note_version(&mut self, version: &VersionVector) {
        for (replica, _) in version.iter() {
            self.note(replica);
        }
    }

    /// Takes the ids of a set of dots into the table.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn note_set(&mut self, set: &DotRuns) {
        for (replica, _, _) in set.runs() {
            self.note(replica);
        }
    }

    /// The ids but for the leading one.
    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// The number of a replica; one that is beyond every table if it is not in this one.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn number(&self, id: ReplicaId) -> u64 {
        if self.is_writer(id) {
            return 0;
        }
        match self.ids.binary_search(&id) {
            Ok(place) => place as u64 + u64::from(self.writer.is_some()),
            Err(_) => u64::MAX >> 1,
        }
    }

    /// Appends the number of ids beyond the leading one, and the ids.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        varint::write_len(out, self.ids.len());
        if let Some(writer) = &self.writer {
            put_id(out, writer.replica);
        }
        for id in &self.ids {
            put_id(out, *id);
        }
    }

    fn is_writer(&self, id: ReplicaId) -> bool {
        self.writer.is_some_and(|writer| writer.replica == id)
    }
}

/// A table as it was read, with a mark for each replica that was named since.
#[derive(Default)]
pub(crate) struct TableReader {
    /// The one that leads it, which counts as named.
    writer: Option<ReplicaId>,
    /// The others.
    ids: Vec<ReplicaId>,
    used: Vec<u8>,
    /// The dots of the delta whose writer leads the table.
    own: Option<OwnRange>,
}

/// The dots of the delta that is read.
#[derive(Clone, Copy)]
pub(crate) struct OwnRange {
    pub(crate) replica: ReplicaId,
    pub(crate) first_seq: u64,
    pub(crate) dots: u64,
}

impl OwnRange {
    /// Whether a dot is the writer's and not before the first of its delta.
    pub(crate) fn contains(&self, dot: Dot) -> bool {
        dot.replica == self.replica && dot.seq >= self.first_seq
    }
}

impl TableReader {
    /// Reads what [`TableWriter::write`] wrote.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, led: bool) -> Result<(), Refused> {
        let others = reader.count("number of replicas", 16, (MAX_REPLICAS - usize::from(led)) as u64);
        if led {
            let writer = reader.replica();
            if writer == ReplicaId::NIL {
                return Err(reader.invalid("the nil id writes nothing"));
            }
            self.writer = Some(writer);
        }
        if others > 0 {
            self.ids.reserve_exact(others);
            self.used = vec![0; others];
        }
        // The nil id names nobody, so starting from it also keeps it out.
        let mut last = ReplicaId::NIL;
        for _ in 0..others {
            let id = reader.replica();
            if id <= last {
                return Err(reader.not_canonical("the table of replicas is not ascending"));
            }
            if self.writer == Some(id) {
                return Err(reader.not_canonical("the writer is twice in the table of replicas"));
            }
            self.ids.push(id);
            last = id;
        }
        reader.ok()
    }

    /// The table of a delta whose header was split: its writer, and the other ids one after the other.
    pub(crate) fn of(writer: ReplicaId, others: &[u8]) -> Self {
        let mut table = Self { writer: Some(writer), ..Self::default() };
        for id in others.as_chunks::<16>().0 {
            table.ids.push(ReplicaId::from_bytes(*id));
            table.used.push(0);
        }
        table
    }

    /// From now on columns of dots are of these.
    pub(crate) fn set_own(&mut self, own: OwnRange) {
        self.own = Some(own);
    }

    /// The ids but for the leading one.
    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// The replica of a number.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn id(&mut self, reader: &mut Reader<'_>, number: u64) -> ReplicaId {
        let mut index = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(writer) = self.writer {
            if index == 0 {
                return writer;
            }
            index -= 1;
        }
        match (self.ids.get(index), self.used.get_mut(index)) {
            (Some(id), Some(used)) => {
                *used = 1;
                *id
            }
            _ => {
                reader.invalid("a number that is not in the table of replicas");
                ReplicaId::NIL
            }
        }
    }

    /// A dot whose replica has this number and whose sequence number comes next.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn dot(&mut self, reader: &mut Reader<'_>, number: u64) -> Dot {
        let replica = self.id(reader, number);
        Dot::new(replica, reader.seq())
    }

    /// Refuses ids that nothing named.
    pub(crate) fn finish(&self, reader: &mut Reader<'_>) -> Result<(), Refused> {
        // Not `contains`, which brings a search of its own for bytes.
        for used in &self.used {
            if *used == 0 {
                return Err(reader.not_canonical("a replica in the table that nothing names"));
            }
        }
        Ok(())
    }

    /// The dot that a column means by a number and a sequence number.
    fn named(&mut self, reader: &mut Reader<'_>, number: u64, seq: u64) -> Dot {
        let Some(own) = self.own else { return Dot::new(self.id(reader, number), seq) };
        if number != 0 || seq > own.dots {
            reader.invalid("DOT-1: a dot that is not the delta's own");
        }
        Dot::new(own.replica, own.first_seq.saturating_add(seq - 1))
    }
}

/// What a diff or a snapshot is about: from a base to a head.
pub(crate) struct Scope<'v> {
    base: &'v VersionVector,
    head: &'v VersionVector,
    /// The replica that was asked for last, and both for it: many dots of one follow one another.
    last: Cell<(ReplicaId, u64, u64)>,
}

impl<'v> Scope<'v> {
    pub(crate) fn new(base: &'v VersionVector, head: &'v VersionVector) -> Self {
        // Nobody has that id; nothing of it is covered.
        Self { base, head, last: Cell::new((ReplicaId::NIL, 0, 0)) }
    }

    /// How far the base covers a replica, and the head.
    pub(crate) fn bounds(&self, replica: ReplicaId) -> (u64, u64) {
        let (known, base, head) = self.last.get();
        if known == replica {
            return (base, head);
        }
        let (base, head) = (self.base.seq(replica), self.head.seq(replica));
        self.last.set((replica, base, head));
        (base, head)
    }

    /// How far a replica is covered.
    pub(crate) fn seq(&self, replica: ReplicaId) -> u64 {
        let (base, head) = self.bounds(replica);
        base.max(head)
    }

    /// Whether somebody wrote the dot.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn covers(&self, dot: Dot) -> bool {
        dot.seq <= self.seq(dot.replica)
    }

    /// Whether the dot is in the head and beyond the base.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn is_new(&self, dot: Dot) -> bool {
        let (base, head) = self.bounds(dot.replica);
        base < dot.seq && dot.seq <= head
    }
}

/// Where a run of dots is counted from: before the first, the dot 0 of the first replica less one, so that the first needs
/// no rule of its own.
const BEFORE_ALL: (u64, u64) = (0, u64::MAX);

/// Writes ascending dots as runs, each relative to the one before. How many they are must be known to the reader.
pub(crate) struct RunWriter {
    before: (u64, u64),
    open: Option<(u64, u64, u64)>,
    /// The last of the run that is open, if dots are given one by one.
    last: Option<Dot>,
}

impl RunWriter {
    pub(crate) fn new() -> Self {
        Self { before: BEFORE_ALL, open: None, last: None }
    }

    /// Appends a dot of a message with this table.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn dot(&mut self, out: &mut Vec<u8>, table: &TableWriter, dot: Dot) {
        let last = self.last.replace(dot);
        if let (Some(open), Some(last)) = (&mut self.open, last)
            && last.replica == dot.replica
            && last.seq.wrapping_add(1) == dot.seq
        {
            open.2 = open.2.wrapping_add(1);
            return;
        }
        let (number, seq) = match table.writer {
            Some(first) => (0, dot.seq.wrapping_sub(first.seq).wrapping_add(1)),
            None => (table.number(dot.replica), dot.seq),
        };
        self.run(out, number, seq, seq);
    }

    /// Appends the dots `first..=last` of the replica with this number.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn run(&mut self, out: &mut Vec<u8>, number: u64, first: u64, last: u64) {
        if let Some(open) = &mut self.open
            && open.0 == number
            && open.2.wrapping_add(1) == first
        {
            open.2 = last;
            return;
        }
        self.finish(out);
        self.open = Some((number, first, last));
    }

    /// Appends the last run.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let Some((number, first, last)) = self.open else { return };
        let (number_before, last_before) = self.before;
        let step = number.wrapping_sub(number_before);
        let least = if step == 0 { last_before.wrapping_add(2) } else { 1 };
        let head = first.wrapping_sub(least) << 2 | u64::from(step != 0) << 1 | u64::from(first != last);
        varint::write(out, head);
        if step != 0 {
            varint::write(out, step.wrapping_sub(1));
        }
        if first != last {
            varint::write(out, last.wrapping_sub(first).wrapping_sub(1));
        }
        self.before = (number, last);
    }
}

/// Reads what [`RunWriter`] wrote.
struct RunReader {
    before: (u64, u64),
}

impl RunReader {
    /// The next run: number, first, last.
    #[cfg_attr(target_family = "wasm", inline(never))]
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(u64, u64, u64), Refused> {
        let head = reader.varint();
        let (number_before, last_before) = self.before;
        let (mut number, mut least) = (number_before, last_before.wrapping_add(2));
        if head & 2 != 0 {
            number = number_before.saturating_add(reader.varint()).saturating_add(1);
            least = 1;
        }
        let first = reader.seq_at_most_max(least.saturating_add(head >> 2));
        let mut last = first;
        if head & 1 == 1 {
            let length = reader.varint();
            last = reader.seq_at_most_max(first.saturating_add(length).saturating_add(1));
        }
        reader.ok()?;
        self.before = (number, last);
        Ok((number, first, last))
    }
}

impl Reader<'_> {
    /// A sequence number that a dot can have.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn seq(&mut self) -> u64 {
        let seq = self.varint();
        if seq == 0 {
            self.invalid("a dot with the sequence number 0");
        }
        self.seq_at_most_max(seq)
    }

    /// Checks a sequence number, which may be 0, against the limit.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn seq_at_most_max(&mut self, seq: u64) -> u64 {
        self.at_most("sequence number", seq, MAX_SEQ)
    }

    /// Reads how many elements a run has: one, or, where the lowest bit of its head says so, at least two, of the `left`
    /// that are to come.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn run_len(&mut self, head: u64, left: usize) -> Result<usize, Refused> {
        let len = if head & 1 == 1 { self.varint().saturating_add(2) } else { 1 };
        if len > left as u64 {
            return Err(self.invalid("a run beyond the last element"));
        }
        self.ok()?;
        Ok(len as usize)
    }
}

/// Appends the head of a run and its length; nothing for a run without elements.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write_run(out: &mut Vec<u8>, head: u64, len: usize) {
    if len > 0 {
        varint::write(out, head << 1 | u64::from(len > 1));
        write_run_len(out, len);
    }
}

/// Appends the length of a run whose head said that it has more than one element.
pub(crate) fn write_run_len(out: &mut Vec<u8>, len: usize) {
    if len > 1 {
        varint::write_len(out, len - 2);
    }
}

/// Reads `count` dots. The caller has checked that the remaining bytes can hold `count` elements.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn read_dots(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    count: usize,
    push: &mut dyn FnMut(Dot),
) -> Result<(), Refused> {
    each_run(reader, table, count, &mut |first, last| {
        for seq in first.seq..=last {
            push(Dot::new(first.replica, seq));
        }
    })
}

/// Reads the dots of `count` entries, as runs. The caller has checked that the remaining bytes can hold that many.
pub(crate) fn read_runs(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    count: usize,
    dots: &mut Few<(ReplicaId, u64, u64)>,
) -> Result<(), Refused> {
    each_run(reader, table, count, &mut |first, last| dots.push((first.replica, first.seq, last)))
}

/// Reads runs of `count` dots in all: the first of each, and the last sequence number.
#[cfg_attr(target_family = "wasm", inline(never))]
fn each_run(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    count: usize,
    each: &mut dyn FnMut(Dot, u64),
) -> Result<(), Refused> {
    let mut runs = RunReader { before: BEFORE_ALL };
    let mut left = count as u64;
    while left > 0 {
        let (number, first, last) = runs.read(reader)?;
        if last - first >= left {
            return Err(reader.invalid("more dots than there are elements"));
        }
        left -= last - first + 1;
        // The last is within bounds if both are: then so is whatever lies between.
        let (first, last) = (table.named(reader, number, first), table.named(reader, number, last));
        each(first, last.seq);
    }
    reader.ok()
}

/// Refuses a dot that is not above the last one of its list.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn ascends(reader: &mut Reader<'_>, last: Option<&Dot>, dot: Dot) -> Result<(), Refused> {
    if last.is_some_and(|last| *last >= dot) {
        return Err(reader.not_canonical("dots that are not ascending"));
    }
    reader.ok()
}

/// Appends a set of dots: the number of runs, and the runs in the order of the table.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write_set(out: &mut Vec<u8>, table: &TableWriter, set: &DotRuns) {
    varint::write_len(out, set.run_count());
    let mut runs = RunWriter::new();
    // Both are in the order of ids, but for a writer that leads the table.
    for leads in [true, false] {
        for (replica, first, last) in set.runs() {
            let number = table.number(replica);
            if (number == 0) == leads {
                runs.run(out, number, first, last);
            }
        }
    }
    runs.finish(out);
}

/// Reads a set of dots, which may be empty.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn read_set(reader: &mut Reader<'_>, table: &mut TableReader, set: &mut DotRuns) -> Result<(), Refused> {
    let count = reader.count("number of runs", 1, u64::MAX);
    let mut runs = RunReader { before: BEFORE_ALL };
    for _ in 0..count {
        let (number, first, last) = runs.read(reader)?;
        set.insert_run(table.id(reader, number), first, last);
    }
    reader.ok()
}

/// The column of stamps: runs of equal ones, the milliseconds as the difference from the run before, the counter if it is not 0.
pub(crate) struct StampWriter {
    before: u64,
    open: Option<Hlc>,
    len: usize,
}

impl StampWriter {
    pub(crate) const fn new() -> Self {
        Self { before: 0, open: None, len: 0 }
    }

    /// Appends the stamp of the next entry.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, stamp: Hlc) {
        if self.open != Some(stamp) {
            self.finish(out);
            self.open = Some(stamp);
        }
        self.len += 1;
    }

    /// Appends the last run.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let Some(stamp) = self.open else { return };
        let (millis, counter) = (stamp.millis(), stamp.0 & 0xffff);
        let step = varint::fold(millis.wrapping_sub(self.before) as i64);
        varint::write(out, step << 2 | u64::from(counter != 0) << 1 | u64::from(self.len > 1));
        if counter != 0 {
            varint::write(out, counter);
        }
        write_run_len(out, self.len);
        (self.before, self.len) = (millis, 0);
    }
}

/// Reads the stamps of `count` entries, as runs.
pub(crate) fn read_stamps(
    reader: &mut Reader<'_>,
    count: usize,
    stamps: &mut Few<(Hlc, usize)>,
) -> Result<(), Refused> {
    let mut before: Option<Hlc> = None;
    let mut left = count;
    while left > 0 {
        let head = reader.varint();
        let millis = before.map_or(0, Hlc::millis).wrapping_add_signed(varint::unfold(head >> 2));
        let counter = if head & 2 != 0 { reader.varint() } else { 0 };
        if millis >> 48 != 0 || counter > 0xffff {
            return Err(reader.invalid("a stamp out of range"));
        }
        if head & 2 != 0 && counter == 0 {
            return Err(reader.not_canonical("a counter of 0"));
        }
        let stamp = Hlc(millis << 16 | counter);
        if before == Some(stamp) {
            return Err(reader.not_canonical("neighbouring runs of one stamp"));
        }
        before = Some(stamp);
        let len = reader.run_len(head, left)?;
        left -= len;
        stamps.push((stamp, len));
    }
    Ok(())
}
