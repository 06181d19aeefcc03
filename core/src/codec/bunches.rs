//! Bunches of positions: the structure of lists and text.
//!
//! The ids are a column of dots; behind it is what each bunch hangs on. Most parents are in the same message, near their
//! child, and are named by the distance between the two.
//!
//! Rules: SEQ-2 a bunch belongs to the replica of its id. SEQ-5 as far as one message can tell: what a bunch hangs on is
//! older than the bunch where both are of one replica, nothing hangs on itself, and no chain is longer than the limit.

use alloc::vec;
use alloc::vec::Vec;

use super::columns::{RunWriter, TableReader, TableWriter, read_dots};
use super::limits::{MAX_BUNCH_DEPTH, MAX_SEQ};
use super::reader::{Reader, Refused};
use super::varint;
use crate::clock::Dot;
use crate::replica_id::ReplicaId;
use crate::sequence::{BunchRecord, Position, Side};

const LEFT: u64 = 1;
const RANKED: u64 = 2;
const PARENT_SHIFT: u32 = 2;
const PARENT_ROOT: u64 = 0;
const PARENT_HERE: u64 = 1;
const PARENT_ELSEWHERE: u64 = 2;
const REFERENCE_SHIFT: u32 = 4;

/// Notes the replicas that the bunches name. The root bunch is not named by a number.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn note(table: &mut TableWriter, bunches: &[BunchRecord]) {
    for bunch in bunches {
        for replica in [bunch.id.replica, bunch.parent.bunch.replica] {
            if replica != ReplicaId::NIL {
                table.note(replica);
            }
        }
    }
}

/// Appends the ids, which ascend, and what the bunches hang on.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, bunches: &[BunchRecord]) {
    let mut runs = RunWriter::new();
    for bunch in bunches {
        runs.dot(out, table, bunch.id);
    }
    runs.finish(out);
    for (place, bunch) in bunches.iter().enumerate() {
        let parent = bunch.parent;
        let mut head = if bunch.side == Side::Left { LEFT } else { 0 };
        if bunch.rank != 0 {
            head |= RANKED;
        }
        if parent == START {
            varint::write(out, head | PARENT_ROOT << PARENT_SHIFT);
        } else {
            if let Some(parent_place) = place_of(bunches, parent.bunch) {
                let distance = varint::fold(place as i64 - parent_place as i64);
                varint::write(out, head | PARENT_HERE << PARENT_SHIFT | distance << REFERENCE_SHIFT);
            } else {
                let number = table.number(parent.bunch.replica);
                varint::write(out, head | PARENT_ELSEWHERE << PARENT_SHIFT | number << REFERENCE_SHIFT);
                varint::write(out, parent.bunch.seq);
            }
            varint::write_signed(out, parent.index);
        }
        if bunch.rank != 0 {
            varint::write_signed(out, bunch.rank.into());
        }
    }
}

/// Reads `count` bunches. The caller has checked that the remaining bytes can hold that many.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    count: usize,
    bunches: &mut Vec<BunchRecord>,
) -> Result<(), Refused> {
    bunches.reserve_exact(count);
    let blank = |id| BunchRecord { id, parent: START, side: Side::Right, rank: 0 };
    read_dots(reader, table, count, &mut |id| bunches.push(blank(id)))?;
    let mut parents = vec![NOT_HERE; count];
    for place in 0..count {
        let head = reader.varint();
        let reference = head >> REFERENCE_SHIFT;
        let mut parent_place = NOT_HERE;
        let parent = match (head >> PARENT_SHIFT) & 3 {
            PARENT_ROOT if reference == 0 => START,
            PARENT_HERE => {
                let found = (place as i64).wrapping_sub(varint::unfold(reference));
                parent_place = usize::try_from(found).unwrap_or(NOT_HERE);
                let Some(parent) = bunches.get(parent_place) else {
                    return Err(reader.invalid("a bunch that hangs on none of this message"));
                };
                Position { bunch: parent.id, index: reader.signed() }
            }
            PARENT_ELSEWHERE => {
                let bunch = table.dot(reader, reference);
                if place_of(bunches, bunch).is_some() {
                    return Err(reader.not_canonical("a bunch of this message, named in full"));
                }
                Position { bunch, index: reader.signed() }
            }
            class => return Err(reader.unknown("class of parent", class)),
        };
        let mut rank = 0;
        if head & RANKED != 0 {
            rank = reader.signed();
            if rank == 0 {
                return Err(reader.not_canonical("a rank of 0"));
            }
            if rank != i64::from(rank as i32) {
                return Err(reader.invalid("a rank of more than 32 bits"));
            }
        }
        reader.ok()?;
        if let (Some(bunch), Some(here)) = (bunches.get_mut(place), parents.get_mut(place)) {
            check_parent(reader, bunch.id, parent)?;
            bunch.parent = parent;
            bunch.side = if head & LEFT != 0 { Side::Left } else { Side::Right };
            bunch.rank = rank as i32;
            *here = parent_place;
        }
    }
    check_depth(reader, &parents)
}

/// The place of a bunch among bunches whose ids ascend.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn place_of(bunches: &[BunchRecord], id: Dot) -> Option<usize> {
    bunches.binary_search_by(|bunch| bunch.id.cmp(&id)).ok()
}

/// The dot of the value at a position; `None` if no dot can have it. Nobody wrote the one position of the root bunch.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn dot_at(position: Position) -> Option<Dot> {
    let seq = position.bunch.seq.checked_add(position.index.unsigned_abs())?;
    (seq <= MAX_SEQ).then_some(Dot::new(position.bunch.replica, seq))
}

/// The one position of the root bunch.
pub(crate) const START: Position = Position::START;

fn check_parent(reader: &mut Reader<'_>, id: Dot, parent: Position) -> Result<(), Refused> {
    if parent == START {
        return Ok(());
    }
    match dot_at(parent) {
        Some(dot) if dot.replica != id.replica || dot.seq < id.seq => Ok(()),
        Some(_) => Err(reader.invalid("SEQ-5: a bunch that hangs on a later dot of its replica")),
        None => Err(reader.invalid("a position that no dot can have")),
    }
}

/// Stands for the place of a parent that is in another message.
const NOT_HERE: usize = usize::MAX;

/// Walks every chain once: `parents` are the places of the parents that are in the same message.
#[cfg_attr(target_family = "wasm", inline(never))]
fn check_depth(reader: &mut Reader<'_>, parents: &[usize]) -> Result<(), Refused> {
    // 0 for those whose chain was not walked yet.
    let mut depths = vec![0; parents.len()];
    for start in 0..parents.len() {
        let mut depth = 0;
        let mut place = start;
        while let (Some(0), Some(parent)) = (depths.get(place), parents.get(place)) {
            depth += 1;
            if depth > parents.len() {
                return Err(reader.invalid("SEQ-5: a bunch that hangs on itself"));
            }
            place = *parent;
        }
        depth += depths.get(place).copied().unwrap_or_default();
        reader.at_most("depth of bunches", depth as u64, MAX_BUNCH_DEPTH as u64);
        reader.ok()?;
        place = start;
        while let (Some(known @ 0), Some(parent)) = (depths.get_mut(place), parents.get(place)) {
            *known = depth;
            depth -= 1;
            place = *parent;
        }
    }
    Ok(())
}
