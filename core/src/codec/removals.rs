//! Removal pairs: which dots were removed, by the delta of which name.
//!
//! Rules: REM-1 what is removed was written by somebody, and not later than its remover. DIFF-3 is kept by whoever makes
//! the list; here is only how it is written.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, read_dots, read_set, write_dots, write_set};
use super::reader::Reader;
use super::{DecodeError, varint};
use crate::clock::{Dot, DotRuns};

/// Appends the number of removers, the removers, and what each of them removed.
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, removals: &[(Dot, DotRuns)]) {
    varint::write_len(out, removals.len());
    write_dots(out, removals.iter().map(|(remover, _)| (table.number(remover.replica), remover.seq)));
    for (_, removed) in removals {
        write_set(out, table, removed);
    }
}

/// Reads what [`write`] wrote. `is_remover` says which dots can be removers, `is_covered` which can be removed.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    is_remover: impl Fn(Dot) -> bool,
    is_covered: impl Fn(Dot) -> bool,
) -> Result<Vec<(Dot, DotRuns)>, DecodeError> {
    let count = reader.count("number of removers", 3, u64::MAX)?;
    let removers = read_dots(reader, count)?;
    let mut removals = Vec::with_capacity(count);
    for (number, seq) in removers {
        let remover = Dot::new(table.id(reader, number)?, seq);
        if !is_remover(remover) {
            return Err(reader.invalid("DIFF-3: a remover outside of what is told"));
        }
        let removed = read_set(reader, table)?;
        for (replica, _, last) in removed.runs() {
            if replica == remover.replica && last >= remover.seq {
                return Err(reader.invalid("REM-1: a dot removed by an earlier one of its replica"));
            }
            if !is_covered(Dot::new(replica, last)) {
                return Err(reader.invalid("REM-1: a removed dot that nobody wrote"));
            }
        }
        removals.push((remover, removed));
    }
    Ok(removals)
}

/// Refuses a list that removes one of `live`, which are ascending.
pub(crate) fn check_disjoint(
    reader: &Reader<'_>,
    removals: &[(Dot, DotRuns)],
    live: &[Dot],
) -> Result<(), DecodeError> {
    for (replica, first, last) in removals.iter().flat_map(|(_, removed)| removed.runs()) {
        let at = live.partition_point(|dot| *dot < Dot::new(replica, first));
        if live.get(at).is_some_and(|dot| *dot <= Dot::new(replica, last)) {
            return Err(reader.invalid("a dot that is both live and removed"));
        }
    }
    Ok(())
}
