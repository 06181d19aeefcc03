//! What the columns of deltas and diffs have in common: replica tables, runs of dots, sets of dots, stamps.
//!
//! A dot is a number in the table of replicas and a sequence number. Ascending dots are written as runs; neighbouring runs
//! always have a gap between them, because the gap is stored less one: runs that should have been merged cannot be said.
//!
//! Writers here accept anything and never panic: contents that break the rules give bytes that readers refuse.

use alloc::vec;
use alloc::vec::Vec;

use super::limits::{MAX_REPLICAS, MAX_SEQ};
use super::reader::Reader;
use super::{DecodeError, varint};
use crate::clock::{DotRuns, Hlc};
use crate::ordered::{Map, Set, sort_by};
use crate::replica_id::ReplicaId;

/// The replicas that one message names, with their numbers in it.
pub(crate) struct TableWriter {
    ids: Vec<ReplicaId>,
    numbers: Map<ReplicaId, u64>,
    leads: usize,
}

impl TableWriter {
    /// A table in the order of ids.
    pub(crate) fn sorted(ids: Set<ReplicaId>) -> Self {
        Self::numbered(ids.into_iter().collect(), 0)
    }

    /// A table that begins with `writer`; the others follow in the order of ids.
    pub(crate) fn led_by(writer: ReplicaId, mut others: Set<ReplicaId>) -> Self {
        others.remove(&writer);
        Self::numbered(core::iter::once(writer).chain(others).collect(), 1)
    }

    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// The number of a replica; one that is beyond every table if it is not in this one.
    pub(crate) fn number(&self, id: ReplicaId) -> u64 {
        self.numbers.get(&id).copied().unwrap_or(u64::MAX >> 1)
    }

    /// Appends the number of ids beyond the leading one, and the ids.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        varint::write_len(out, self.ids.len() - self.leads);
        for id in &self.ids {
            out.extend_from_slice(&id.to_bytes());
        }
    }

    fn numbered(ids: Vec<ReplicaId>, leads: usize) -> Self {
        let numbers = ids.iter().copied().zip(0..).collect();
        Self { ids, numbers, leads }
    }
}

/// A table as it was read, with a mark for each replica that was named since.
pub(crate) struct TableReader {
    ids: Vec<ReplicaId>,
    used: Vec<bool>,
}

impl TableReader {
    /// Reads what [`TableWriter::sorted`] wrote.
    pub(crate) fn sorted(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count("number of replicas", 16, MAX_REPLICAS as u64)?;
        Self::read(reader, Vec::with_capacity(count), count)
    }

    /// Reads what [`TableWriter::led_by`] wrote. The leading id counts as used.
    pub(crate) fn led(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count("number of replicas", 16, MAX_REPLICAS as u64 - 1)?;
        let writer = ReplicaId::from_bytes(reader.array()?);
        if writer == ReplicaId::NIL {
            return Err(reader.invalid("the nil id writes nothing"));
        }
        let mut ids = Vec::with_capacity(count + 1);
        ids.push(writer);
        let mut table = Self::read(reader, ids, count)?;
        if table.ids.iter().skip(1).any(|id| *id == writer) {
            return Err(reader.not_canonical("the writer is twice in the table of replicas"));
        }
        table.mark(0);
        Ok(table)
    }

    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// The replica of a number.
    pub(crate) fn id(&mut self, reader: &Reader<'_>, number: u64) -> Result<ReplicaId, DecodeError> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let id = self.ids.get(index).copied();
        self.mark(index);
        id.ok_or_else(|| reader.invalid("a number that is not in the table of replicas"))
    }

    /// Refuses ids that nothing named.
    pub(crate) fn finish(&self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        if self.used.iter().all(|used| *used) {
            Ok(())
        } else {
            Err(reader.not_canonical("a replica in the table that nothing names"))
        }
    }

    fn mark(&mut self, index: usize) {
        if let Some(used) = self.used.get_mut(index) {
            *used = true;
        }
    }

    fn read(reader: &mut Reader<'_>, mut ids: Vec<ReplicaId>, count: usize) -> Result<Self, DecodeError> {
        let mut last = ReplicaId::NIL;
        for _ in 0..count {
            let id = ReplicaId::from_bytes(reader.array()?);
            // The nil id names nobody, so starting from it also keeps it out.
            if id <= last {
                return Err(reader.not_canonical("the table of replicas is not ascending"));
            }
            ids.push(id);
            last = id;
        }
        let used = vec![false; ids.len()];
        Ok(Self { ids, used })
    }
}

/// Writes runs of dots, each relative to the one before.
#[derive(Default)]
pub(crate) struct RunWriter {
    before: Option<(u64, u64)>,
}

impl RunWriter {
    /// Appends the dots `first..=last` of the replica with this number.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, number: u64, first: u64, last: u64) {
        let (number_before, last_before) = self.before.unwrap_or((0, 0));
        let step = number.wrapping_sub(number_before);
        let more = first != last;
        varint::write(out, step << 1 | u64::from(more));
        let gap = if self.before.is_some() && step == 0 {
            first.wrapping_sub(last_before).wrapping_sub(2)
        } else {
            first.wrapping_sub(1)
        };
        varint::write(out, gap);
        if more {
            varint::write(out, last.wrapping_sub(first).wrapping_sub(1));
        }
        self.before = Some((number, last));
    }
}

/// Reads what [`RunWriter`] wrote.
#[derive(Default)]
pub(crate) struct RunReader {
    before: Option<(u64, u64)>,
}

impl RunReader {
    /// The next run: number, first, last.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Result<(u64, u64, u64), DecodeError> {
        let head = reader.varint()?;
        let (step, more) = (head >> 1, head & 1 == 1);
        let (number_before, last_before) = self.before.unwrap_or((0, 0));
        let least = if self.before.is_some() && step == 0 { last_before.saturating_add(2) } else { 1 };
        let number = number_before.saturating_add(step);
        let gap = reader.varint()?;
        let first = sum(reader, least, gap)?;
        let mut last = first;
        if more {
            let length = reader.varint()?;
            last = sum(reader, first, length.saturating_add(1))?;
        }
        self.before = Some((number, last));
        Ok((number, first, last))
    }
}

/// Appends ascending dots `(number, seq)` as runs. How many they are must be known to the reader.
pub(crate) fn write_dots(out: &mut Vec<u8>, dots: impl Iterator<Item = (u64, u64)>) {
    let mut runs = RunWriter::default();
    let mut open: Option<(u64, u64, u64)> = None;
    for (number, seq) in dots {
        open = match open {
            Some((same, first, last)) if same == number && last.wrapping_add(1) == seq => Some((same, first, seq)),
            _ => {
                if let Some((number, first, last)) = open {
                    runs.write(out, number, first, last);
                }
                Some((number, seq, seq))
            }
        };
    }
    if let Some((number, first, last)) = open {
        runs.write(out, number, first, last);
    }
}

/// Reads `count` dots. The caller has checked that the remaining bytes can hold `count` elements.
pub(crate) fn read_dots(reader: &mut Reader<'_>, count: usize) -> Result<Vec<(u64, u64)>, DecodeError> {
    let mut dots = Vec::with_capacity(count);
    let mut runs = RunReader::default();
    while dots.len() < count {
        let (number, first, last) = runs.read(reader)?;
        if last - first >= (count - dots.len()) as u64 {
            return Err(reader.invalid("more dots than there are elements"));
        }
        dots.extend((first..=last).map(|seq| (number, seq)));
    }
    Ok(dots)
}

/// Appends a set of dots: the number of runs, and the runs in the order of the table.
pub(crate) fn write_set(out: &mut Vec<u8>, table: &TableWriter, set: &DotRuns) {
    let mut runs: Vec<_> = set.runs().map(|(replica, first, last)| (table.number(replica), first, last)).collect();
    sort_by(&mut runs, Ord::cmp);
    varint::write_len(out, runs.len());
    let mut writer = RunWriter::default();
    for (number, first, last) in runs {
        writer.write(out, number, first, last);
    }
}

/// Reads a set of dots that is not empty.
pub(crate) fn read_set(reader: &mut Reader<'_>, table: &mut TableReader) -> Result<DotRuns, DecodeError> {
    let count = reader.count("number of runs", 2, u64::MAX)?;
    if count == 0 {
        return Err(reader.not_canonical("an empty set of dots"));
    }
    let mut set = DotRuns::new();
    let mut runs = RunReader::default();
    for _ in 0..count {
        let (number, first, last) = runs.read(reader)?;
        set.insert_run(table.id(reader, number)?, first, last);
    }
    Ok(set)
}

/// Appends stamps: runs of equal ones, the milliseconds as the difference from the run before.
pub(crate) fn write_stamps(out: &mut Vec<u8>, stamps: impl Iterator<Item = Hlc>) {
    let mut stamps = stamps.peekable();
    let mut before = 0u64;
    while let Some(stamp) = stamps.next() {
        let mut len = 1usize;
        while stamps.next_if_eq(&stamp).is_some() {
            len += 1;
        }
        let millis = stamp.millis();
        varint::write(out, varint::fold(millis.wrapping_sub(before) as i64) << 1 | u64::from(len > 1));
        varint::write(out, stamp.0 & 0xffff);
        if len > 1 {
            varint::write_len(out, len - 2);
        }
        before = millis;
    }
}

/// Reads `count` stamps. The caller has checked that the remaining bytes can hold `count` elements.
pub(crate) fn read_stamps(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Hlc>, DecodeError> {
    let mut stamps: Vec<Hlc> = Vec::with_capacity(count);
    let mut before = 0i64;
    while stamps.len() < count {
        let head = reader.varint()?;
        let millis = before.checked_add(varint::unfold(head >> 1)).filter(|millis| (0..1 << 48).contains(millis));
        let millis = millis.ok_or_else(|| reader.invalid("a stamp out of range"))?;
        let counter = reader.varint()?;
        if counter > 0xffff {
            return Err(reader.invalid("a stamp out of range"));
        }
        let stamp = Hlc((millis as u64) << 16 | counter);
        if stamps.last() == Some(&stamp) {
            return Err(reader.not_canonical("neighbouring runs of one stamp"));
        }
        let len = read_run_len(reader, head & 1 == 1, count - stamps.len())?;
        stamps.extend(core::iter::repeat_n(stamp, len));
        before = millis;
    }
    Ok(stamps)
}

/// Reads how many elements a run has: one, or, where `more` says so, at least two, of the `left` that are to come.
pub(crate) fn read_run_len(reader: &mut Reader<'_>, more: bool, left: usize) -> Result<usize, DecodeError> {
    if !more {
        return Ok(1);
    }
    let len = reader.varint()?.saturating_add(2);
    match usize::try_from(len) {
        Ok(len) if len <= left => Ok(len),
        _ => Err(reader.invalid("a run beyond the last element")),
    }
}

/// A sequence number that a dot can have.
pub(crate) fn check_seq(reader: &Reader<'_>, seq: u64) -> Result<(), DecodeError> {
    if seq == 0 {
        return Err(reader.invalid("a dot with the sequence number 0"));
    }
    if seq > MAX_SEQ {
        return Err(DecodeError::OverLimit { at: reader.at(), what: "sequence number", found: seq, limit: MAX_SEQ });
    }
    Ok(())
}

/// Takes what satisfies `same` from the front, and says how many that were.
pub(crate) fn count_while<T>(
    items: &mut core::iter::Peekable<impl Iterator<Item = T>>,
    same: impl Fn(&T) -> bool,
) -> usize {
    let mut count = 0;
    while items.next_if(&same).is_some() {
        count += 1;
    }
    count
}

fn sum(reader: &Reader<'_>, seq: u64, step: u64) -> Result<u64, DecodeError> {
    let found = seq.saturating_add(step);
    if found > MAX_SEQ {
        return Err(DecodeError::OverLimit { at: reader.at(), what: "sequence number", found, limit: MAX_SEQ });
    }
    Ok(found)
}
