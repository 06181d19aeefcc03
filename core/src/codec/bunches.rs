//! Bunches of positions: the structure of lists and text.
//!
//! The ids are a column of dots, written by the caller; here is what each bunch hangs on. Most parents are in the same
//! message, near their child, and are named by the distance between the two.
//!
//! Rules: SEQ-2 a bunch belongs to the replica of its id. SEQ-5 as far as one message can tell: what a bunch hangs on is
//! older than the bunch where both are of one replica, nothing hangs on itself, and no chain is longer than the limit.

use alloc::vec;
use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, check_seq};
use super::limits::{MAX_BUNCH_DEPTH, MAX_SEQ};
use super::reader::Reader;
use super::{DecodeError, varint};
use crate::clock::Dot;
use crate::ordered::Map;
use crate::sequence::{BunchRecord, Position, Side};

const LEFT: u64 = 1;
const RANKED: u64 = 2;
const PARENT_SHIFT: u32 = 2;
const PARENT_ROOT: u64 = 0;
const PARENT_HERE: u64 = 1;
const PARENT_ELSEWHERE: u64 = 2;
const REFERENCE_SHIFT: u32 = 4;

/// Appends what the bunches hang on.
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, bunches: &[BunchRecord]) {
    let places: Map<Dot, i64> = bunches.iter().map(|bunch| bunch.id).zip(0..).collect();
    for (bunch, place) in bunches.iter().zip(0i64..) {
        let parent = bunch.parent;
        let mut head = if bunch.side == Side::Left { LEFT } else { 0 };
        if bunch.rank != 0 {
            head |= RANKED;
        }
        if parent == START {
            varint::write(out, head | PARENT_ROOT << PARENT_SHIFT);
        } else if let Some(parent_place) = places.get(&parent.bunch) {
            let distance = varint::fold(place - parent_place);
            varint::write(out, head | PARENT_HERE << PARENT_SHIFT | distance << REFERENCE_SHIFT);
            varint::write_signed(out, parent.index);
        } else {
            let number = table.number(parent.bunch.replica);
            varint::write(out, head | PARENT_ELSEWHERE << PARENT_SHIFT | number << REFERENCE_SHIFT);
            varint::write(out, parent.bunch.seq);
            varint::write_signed(out, parent.index);
        }
        if bunch.rank != 0 {
            varint::write_signed(out, bunch.rank.into());
        }
    }
}

/// Reads what the bunches `ids`, ascending, hang on.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    ids: &[Dot],
) -> Result<Vec<BunchRecord>, DecodeError> {
    let mut bunches = Vec::with_capacity(ids.len());
    let mut parents = Vec::with_capacity(ids.len());
    for (id, place) in ids.iter().zip(0i64..) {
        let head = reader.varint()?;
        let side = if head & LEFT != 0 { Side::Left } else { Side::Right };
        let reference = head >> REFERENCE_SHIFT;
        let mut parent_place = None;
        let parent = match (head >> PARENT_SHIFT) & 3 {
            PARENT_ROOT if reference == 0 => START,
            PARENT_HERE => {
                let found = place.checked_sub(varint::unfold(reference)).and_then(|place| usize::try_from(place).ok());
                parent_place = found;
                let bunch = found.and_then(|place| ids.get(place)).copied();
                let bunch = bunch.ok_or_else(|| reader.invalid("a bunch that hangs on none of this message"))?;
                Position { bunch, index: reader.signed()? }
            }
            PARENT_ELSEWHERE => {
                let replica = table.id(reader, reference)?;
                let seq = reader.varint()?;
                check_seq(reader, seq)?;
                let bunch = Dot::new(replica, seq);
                if ids.binary_search(&bunch).is_ok() {
                    return Err(reader.not_canonical("a bunch of this message, named in full"));
                }
                Position { bunch, index: reader.signed()? }
            }
            class => return Err(reader.unknown("class of parent", class)),
        };
        check_parent(reader, *id, parent)?;
        let rank = if head & RANKED != 0 { read_rank(reader)? } else { 0 };
        bunches.push(BunchRecord { id: *id, parent, side, rank });
        parents.push(parent_place);
    }
    check_depth(reader, &parents)?;
    Ok(bunches)
}

/// The dot of the value at a position; `None` if no dot can have it. Nobody wrote the one position of the root bunch.
pub(crate) fn dot_at(position: Position) -> Option<Dot> {
    let seq = position.bunch.seq.checked_add(position.index.unsigned_abs())?;
    (seq <= MAX_SEQ).then_some(Dot::new(position.bunch.replica, seq))
}

/// The one position of the root bunch.
pub(crate) const START: Position = Position { bunch: Dot::ROOT, index: 0 };

fn read_rank(reader: &mut Reader<'_>) -> Result<i32, DecodeError> {
    match i32::try_from(reader.signed()?) {
        Ok(0) => Err(reader.not_canonical("a rank of 0")),
        Ok(rank) => Ok(rank),
        Err(_) => Err(reader.invalid("a rank of more than 32 bits")),
    }
}

fn check_parent(reader: &Reader<'_>, id: Dot, parent: Position) -> Result<(), DecodeError> {
    if parent == START {
        return Ok(());
    }
    match dot_at(parent) {
        Some(dot) if dot.replica != id.replica || dot.seq < id.seq => Ok(()),
        Some(_) => Err(reader.invalid("SEQ-5: a bunch that hangs on a later dot of its replica")),
        None => Err(reader.invalid("a position that no dot can have")),
    }
}

/// Walks every chain once: `parents` are the places of the parents that are in the same message.
fn check_depth(reader: &Reader<'_>, parents: &[Option<usize>]) -> Result<(), DecodeError> {
    const UNKNOWN: usize = 0;
    const OPEN: usize = usize::MAX;
    let mut depths = vec![UNKNOWN; parents.len()];
    let mut path = Vec::new();
    for start in 0..parents.len() {
        let mut depth = 0;
        let mut next = Some(start);
        while let Some(place) = next
            && let Some(known) = depths.get_mut(place)
        {
            match *known {
                UNKNOWN => *known = OPEN,
                OPEN => return Err(reader.invalid("SEQ-5: a bunch that hangs on itself")),
                _ => {
                    depth = *known;
                    break;
                }
            }
            path.push(place);
            next = parents.get(place).copied().flatten();
        }
        while let Some(place) = path.pop() {
            depth += 1;
            if depth > MAX_BUNCH_DEPTH {
                let (found, limit) = (depth as u64, MAX_BUNCH_DEPTH as u64);
                return Err(DecodeError::OverLimit { at: reader.at(), what: "depth of bunches", found, limit });
            }
            if let Some(known) = depths.get_mut(place) {
                *known = depth;
            }
        }
    }
    Ok(())
}
