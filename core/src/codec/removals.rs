//! What was removed: at rest as pairs, which dots by the delta of which name, in runs; in a diff as sets, which dots by which
//! replica. Who asks lacks all of that replica beyond the base, so that naming its last delta loses nothing, and a set in
//! the order of dots takes a quarter of the bytes.
//!
//! Rules: REM-1 what is removed was written by somebody, and not later than its remover. DIFF-3 is kept by whoever makes
//! the list; here is only how it is written.

use alloc::vec::Vec;

use super::columns::{Scope, TableReader, TableWriter, read_set, write_set};
use super::intake::Intake;
use super::limits::MAX_SEQ;
use super::reader::{Reader, Refused};
use super::varint;
use crate::clock::{Dot, DotRuns};
use crate::replica_id::ReplicaId;
use crate::store::RemovalRun;

/// Notes the replicas that the sets name.
pub(crate) fn note_told(table: &mut TableWriter, told: &[(ReplicaId, DotRuns)]) {
    for (remover, removed) in told {
        table.note(*remover);
        table.note_set(removed);
    }
}

/// Appends, for each replica that removed something, its number and the set.
#[inline(never)]
pub(crate) fn write_told(out: &mut Vec<u8>, table: &TableWriter, told: &[(ReplicaId, DotRuns)]) {
    varint::write_len(out, told.len());
    let mut next = 0;
    for (remover, removed) in told {
        let number = table.number(*remover);
        varint::write(out, number.wrapping_sub(next));
        next = number.wrapping_add(1);
        write_set(out, table, removed);
    }
}

/// Reads what [`write_told`] wrote. Every remover's replica has new dots in `scope`; what it removed is covered, and not in
/// `live`.
#[inline(never)]
pub(crate) fn read_told(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    scope: &Scope<'_>,
    live: &dyn Intake<'_>,
    told: &mut Vec<(ReplicaId, DotRuns)>,
) -> Result<(), Refused> {
    let groups = reader.count("number of removing replicas", 3, u64::MAX);
    let mut next = 0u64;
    for _ in 0..groups {
        let number = next.saturating_add(reader.varint());
        next = number.saturating_add(1);
        let remover = Dot::new(table.id(reader, number), scope.bounds(table.id(reader, number)).1);
        let mut removed = DotRuns::new();
        read_set(reader, table, &mut removed)?;
        if removed.is_empty() {
            return Err(reader.not_canonical("a replica that removed nothing"));
        }
        for (replica, first, last) in removed.runs() {
            check(reader, scope, live, remover, (Dot::new(replica, first), last))?;
        }
        told.push((remover.replica, removed));
    }
    reader.ok()
}

/// Notes the replicas that the pairs name.
pub(crate) fn note(table: &mut TableWriter, removals: &[RemovalRun]) {
    for run in removals {
        table.note(run.remover.replica);
        table.note(run.removed.replica);
    }
}

/// Appends, for each replica that removed something, its number and its runs. A run is written relative to the one before:
/// the remover, and if that is the same delta also what it removed; else what it removed is counted back from it.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, removals: &[RemovalRun]) {
    let mut groups = 0;
    let mut rest = removals;
    while !rest.is_empty() {
        groups += 1;
        rest = split(rest).1;
    }
    varint::write_len(out, groups);
    let mut next = 0;
    let mut rest = removals;
    while let Some(first) = rest.first() {
        let group;
        (group, rest) = split(rest);
        let number = table.number(first.remover.replica);
        varint::write(out, number.wrapping_sub(next));
        next = number.wrapping_add(1);
        varint::write_len(out, group.len() - 1);
        let mut before =
            RemovalRun { remover: Dot::new(first.remover.replica, 0), removed: Dot::ROOT, len: 1, chain: false };
        for run in group {
            let step = run.remover.seq.wrapping_sub(before.last_remover().seq);
            let (up, from) = reference(&before, step, run.remover);
            let elsewhere = run.removed.replica != from.replica;
            varint::write(out, step << 2 | u64::from(elsewhere) << 1 | u64::from(run.len > 1));
            if elsewhere {
                varint::write(out, table.number(run.removed.replica));
                varint::write(out, run.removed.seq);
            } else {
                let (low, high) = if up { (from, run.removed) } else { (run.removed, from) };
                varint::write(out, high.seq.wrapping_sub(low.seq));
            }
            if run.len > 1 {
                varint::write(out, run.len.wrapping_sub(2) << 1 | u64::from(run.chain));
            }
            before = *run;
        }
    }
}

/// The runs of the first run's remover's replica, and the others.
fn split(removals: &[RemovalRun]) -> (&[RemovalRun], &[RemovalRun]) {
    let mut len = 0;
    let replica = removals.first().map(|run| run.remover.replica);
    while removals.get(len).is_some_and(|run| Some(run.remover.replica) == replica) {
        len += 1;
    }
    removals.split_at(len)
}

/// What the removed dot of a run is written relative to: whether counted up, and from which dot.
fn reference(before: &RemovalRun, step: u64, remover: Dot) -> (bool, Dot) {
    if step == 0 {
        let last = before.last_removed();
        (true, Dot::new(last.replica, last.seq.saturating_add(2)))
    } else {
        (false, Dot::new(remover.replica, remover.seq.saturating_sub(1)))
    }
}

/// Reads what [`write`] wrote. Removers are new in `scope`; what they removed is covered, and not in `live`.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    scope: &Scope<'_>,
    live: &dyn Intake<'_>,
    removals: &mut Vec<RemovalRun>,
) -> Result<(), Refused> {
    let groups = reader.count("number of removing replicas", 4, u64::MAX);
    let mut next = 0u64;
    for _ in 0..groups {
        let number = next.saturating_add(reader.varint());
        next = number.saturating_add(1);
        let replica = table.id(reader, number);
        let more = reader.varint();
        let count = reader.fits("number of removals", more.saturating_add(1), 2, u64::MAX);
        reader.ok()?;
        removals.reserve(count);
        let mut before = RemovalRun { remover: Dot::new(replica, 0), removed: Dot::ROOT, len: 1, chain: false };
        for at in 0..count {
            let run = read_run(reader, table, &before)?;
            if at > 0 && before.goes_on_in(&run) {
                return Err(reader.not_canonical("neighbouring runs of removals"));
            }
            if !scope.is_new(run.remover) {
                return Err(reader.invalid("DIFF-3: a remover outside of what is told"));
            }
            check(reader, scope, live, run.last_remover(), (run.removed, run.last_removed().seq))?;
            removals.push(run);
            before = run;
        }
    }
    reader.ok()
}

#[cfg_attr(target_family = "wasm", inline(never))]
fn read_run(reader: &mut Reader<'_>, table: &mut TableReader, before: &RemovalRun) -> Result<RemovalRun, Refused> {
    let head = reader.varint();
    let last = before.last_remover();
    let step = head >> 2;
    let remover = Dot::new(last.replica, reader.seq_at_most_max(last.seq.saturating_add(step)));
    let (up, from) = reference(before, step, remover);
    let removed = if head & 2 != 0 {
        let number = reader.varint();
        let removed = table.dot(reader, number);
        let ascends = removed.replica > from.replica;
        if removed.replica == from.replica || (up && !ascends) {
            return Err(reader.not_canonical("a removed dot in a longer form than it needs, or not ascending"));
        }
        removed
    } else {
        let distance = reader.varint();
        let seq = if up { from.seq.saturating_add(distance) } else { from.seq.saturating_sub(distance) };
        Dot::new(from.replica, reader.seq_at_most_max(seq))
    };
    let (mut len, mut chain) = (1, false);
    if head & 1 == 1 {
        let more = reader.varint();
        (len, chain) = ((more >> 1) + 2, more & 1 == 1);
    }
    // Neither end is beyond what a dot can be, so that nothing overflows from here on.
    let most = if chain { remover.seq.max(removed.seq) } else { removed.seq };
    if len > MAX_SEQ || most + (len - 1) > MAX_SEQ || removed.seq == 0 || remover.seq == 0 {
        return Err(reader.invalid("REM-1: removals beyond what dots can be"));
    }
    reader.ok()?;
    Ok(RemovalRun { remover, removed, len, chain })
}

fn check(
    reader: &mut Reader<'_>,
    scope: &Scope<'_>,
    live: &dyn Intake<'_>,
    remover: Dot,
    (first, last): (Dot, u64),
) -> Result<(), Refused> {
    if !scope.is_new(remover) {
        return Err(reader.invalid("DIFF-3: a remover outside of what is told"));
    }
    if first.replica == remover.replica && last >= remover.seq {
        return Err(reader.invalid("REM-1: a dot removed by an earlier one of its replica"));
    }
    let last = Dot::new(first.replica, last);
    if !scope.covers(last) {
        return Err(reader.invalid("REM-1: a removed dot that nobody wrote"));
    }
    if live.has(first, last) {
        return Err(reader.invalid("a dot that is both live and removed"));
    }
    Ok(())
}
