//! Bunches of positions: the structure of lists and text.
//!
//! The ids are a column of dots; behind it is what each bunch hangs on. Whoever edits a text goes on near where they were, so
//! that half of all bunches hang on the same one as the bunch before, and near it: those say the difference. Most other
//! parents are in the same message and are named by the distance between the two.
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
/// It hangs on the same bunch as the bunch before: then the difference of the indexes.
const BESIDE: u64 = 0;
/// On one so many places before it, or after it, in the same message.
const BEFORE: u64 = 1;
const AFTER: u64 = 2;
/// On the start, or on one that is not in the message; or a rank comes first.
const ELSEWHERE: u64 = 3;
const CLASS_SHIFT: u32 = 1;
const REFERENCE_SHIFT: u32 = 3;
/// What [`ELSEWHERE`] refers to, where that is no replica.
const THE_START: u64 = 0;
const RANK: u64 = 1;
const REPLICAS: u64 = 2;

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
    let mut beside = START;
    for (place, bunch) in bunches.iter().enumerate() {
        let parent = bunch.parent;
        if bunch.rank != 0 {
            varint::write(out, RANK << REFERENCE_SHIFT | ELSEWHERE << CLASS_SHIFT);
            varint::write_signed(out, bunch.rank.into());
        }
        let left = if bunch.side == Side::Left { LEFT } else { 0 };
        let mut head =
            |class: u64, reference: u64| varint::write(out, reference << REFERENCE_SHIFT | class << CLASS_SHIFT | left);
        if parent == START {
            head(ELSEWHERE, THE_START);
        } else if is_beside(beside, parent) {
            head(BESIDE, varint::fold(parent.index.wrapping_sub(beside.index)));
        } else if let Some(parent_place) = place_of(bunches, parent.bunch) {
            match place.checked_sub(parent_place) {
                Some(distance) => head(BEFORE, distance as u64),
                None => head(AFTER, (parent_place - place) as u64),
            }
            varint::write_signed(out, parent.index);
        } else {
            // Where nothing is known of the replica, no reader knows it either.
            head(ELSEWHERE, table.number(parent.bunch.replica).min(u64::MAX >> 4) + REPLICAS);
            varint::write(out, parent.bunch.seq);
            varint::write_signed(out, parent.index);
        }
        beside = parent;
    }
}

/// Whether a parent is named by that of the bunch before.
fn is_beside(before: Position, parent: Position) -> bool {
    before != START && before.bunch == parent.bunch
}

/// How a bunch hangs in its message.
#[derive(Clone, Copy)]
pub(crate) struct Hung {
    /// The place of what it hangs on; [`NOT_HERE`] if that is the start, or not in the message.
    pub(crate) above: usize,
    /// How many there are from it up to the first that hangs on none of the message, itself included.
    pub(crate) depth: usize,
}

/// Stands for the place of a parent that is not in the message.
pub(crate) const NOT_HERE: usize = usize::MAX;

/// Reads `count` bunches, and tells how they hang on one another. The caller has checked that the remaining bytes can hold that
/// many.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    count: usize,
    bunches: &mut Vec<BunchRecord>,
) -> Result<Vec<Hung>, Refused> {
    bunches.reserve_exact(count);
    let blank = |id| BunchRecord { id, parent: START, side: Side::Right, rank: 0 };
    read_dots(reader, table, count, &mut |id| bunches.push(blank(id)))?;
    let mut hung = vec![Hung { above: NOT_HERE, depth: 0 }; count];
    let mut beside = START;
    for place in 0..count {
        let mut head = reader.varint();
        let mut rank = 0;
        if head == RANK << REFERENCE_SHIFT | ELSEWHERE << CLASS_SHIFT {
            rank = reader.signed();
            if rank == 0 {
                return Err(reader.not_canonical("a rank of 0"));
            }
            if rank != i64::from(rank as i32) {
                return Err(reader.invalid("a rank of more than 32 bits"));
            }
            head = reader.varint();
        }
        let reference = head >> REFERENCE_SHIFT;
        let mut parent_place = NOT_HERE;
        let class = head >> CLASS_SHIFT & 3;
        let parent = match (class, reference) {
            (BESIDE, difference) => {
                parent_place =
                    place.checked_sub(1).and_then(|before| hung.get(before)).map_or(NOT_HERE, |hung| hung.above);
                Position { bunch: beside.bunch, index: beside.index.wrapping_add(varint::unfold(difference)) }
            }
            (ELSEWHERE, THE_START) => START,
            (ELSEWHERE, RANK) => return Err(reader.not_canonical("two ranks")),
            (ELSEWHERE, reference) => {
                let bunch = table.dot(reader, reference - REPLICAS);
                if place_of(bunches, bunch).is_some() {
                    return Err(reader.not_canonical("a bunch of this message, named in full"));
                }
                Position { bunch, index: reader.signed() }
            }
            (class, distance) => {
                let distance = usize::try_from(distance).unwrap_or(NOT_HERE);
                let found = if class == BEFORE { place.checked_sub(distance) } else { place.checked_add(distance) };
                parent_place = found.filter(|found| class == BEFORE || *found != place).unwrap_or(NOT_HERE);
                let Some(parent) = bunches.get(parent_place) else {
                    return Err(reader.invalid("a bunch that hangs on none of this message"));
                };
                Position { bunch: parent.id, index: reader.signed() }
            }
        };
        if is_beside(beside, parent) != (class == BESIDE) {
            return Err(reader.not_canonical("a parent in a longer form than it needs, or beside none"));
        }
        beside = parent;
        reader.ok()?;
        if let (Some(bunch), Some(here)) = (bunches.get_mut(place), hung.get_mut(place)) {
            check_parent(reader, bunch.id, parent)?;
            bunch.parent = parent;
            bunch.side = if head & LEFT != 0 { Side::Left } else { Side::Right };
            bunch.rank = rank as i32;
            here.above = parent_place;
        }
    }
    measure(reader, &mut hung)?;
    Ok(hung)
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

/// Walks every chain once, for the depths.
#[cfg_attr(target_family = "wasm", inline(never))]
fn measure(reader: &mut Reader<'_>, all: &mut [Hung]) -> Result<(), Refused> {
    for start in 0..all.len() {
        // 0 for those whose chain was not walked yet.
        let (mut depth, mut place) = (0, start);
        while let Some(Hung { above, depth: 0 }) = all.get(place) {
            depth += 1;
            if depth > all.len() {
                return Err(reader.invalid("SEQ-5: a bunch that hangs on itself"));
            }
            place = *above;
        }
        depth += all.get(place).map_or(0, |known| known.depth);
        reader.at_most("depth of bunches", depth as u64, MAX_BUNCH_DEPTH as u64);
        reader.ok()?;
        place = start;
        while let Some(Hung { above, depth: known @ 0 }) = all.get_mut(place) {
            *known = depth;
            depth -= 1;
            place = *above;
        }
    }
    Ok(())
}
