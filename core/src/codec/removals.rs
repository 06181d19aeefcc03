//! Removal pairs: which dots were removed, by the delta of which name.
//!
//! Rules: REM-1 what is removed was written by somebody, and not later than its remover. DIFF-3 is kept by whoever makes
//! the list; here is only how it is written.

use alloc::vec::Vec;

use super::columns::{RunWriter, Scope, TableReader, TableWriter, read_dots, read_set, write_set};
use super::reader::{Reader, Refused};
use super::varint;
use crate::clock::{Dot, DotRuns};
use crate::diff::LiveEntry;

/// Notes the replicas that the pairs name.
pub(crate) fn note(table: &mut TableWriter, removals: &[(Dot, DotRuns)]) {
    for (remover, removed) in removals {
        table.note(remover.replica);
        table.note_set(removed);
    }
}

/// Appends the number of removers, the removers, and what each of them removed.
#[inline(never)]
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, removals: &[(Dot, DotRuns)]) {
    varint::write_len(out, removals.len());
    let mut runs = RunWriter::new();
    for (remover, _) in removals {
        runs.dot(out, table, *remover);
    }
    runs.finish(out);
    for (_, removed) in removals {
        write_set(out, table, removed);
    }
}

/// Reads what [`write`] wrote. Removers are new in `scope`; what they removed is covered, and none of `live`, which are
/// ascending.
#[inline(never)]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    scope: &Scope<'_>,
    live: &[LiveEntry],
    removals: &mut Vec<(Dot, DotRuns)>,
) -> Result<(), Refused> {
    let count = reader.count("number of removers", 3, u64::MAX);
    removals.reserve_exact(count);
    read_dots(reader, table, count, &mut |dot| removals.push((dot, DotRuns::new())))?;
    for (remover, removed) in removals {
        if !scope.is_new(*remover) {
            return Err(reader.invalid("DIFF-3: a remover outside of what is told"));
        }
        read_set(reader, table, removed)?;
        for (replica, first, last) in removed.runs() {
            let (first, last) = (Dot::new(replica, first), Dot::new(replica, last));
            if replica == remover.replica && last.seq >= remover.seq {
                return Err(reader.invalid("REM-1: a dot removed by an earlier one of its replica"));
            }
            if !scope.covers(last) {
                return Err(reader.invalid("REM-1: a removed dot that nobody wrote"));
            }
            let at = live.partition_point(|live| live.dot < first);
            if live.get(at).is_some_and(|live| live.dot <= last) {
                return Err(reader.invalid("a dot that is both live and removed"));
            }
        }
    }
    Ok(())
}
