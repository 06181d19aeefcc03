//! The column of containers.
//!
//! Runs of entries in one container. A container is written where it first occurs and by number after that; there is no
//! dictionary in front, so there is nothing in it that could be unused or in another order. An entity is mostly named by
//! the distance from the first entry in it: a new row of a table is one or two dots before its fields.
//!
//! Rule: CAUSAL-2 an entry is in a container that is older than itself.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, check_seq, count_while, read_run_len};
use super::entries::Row;
use super::limits::MAX_KEY_BYTES;
use super::reader::Reader;
use super::{DecodeError, varint};
use crate::clock::Dot;
use crate::ordered::{Map, Set};
use crate::store::{Container, Kind};

const ROOT: u64 = 0;
const ENTITY_OF_SAME_REPLICA: u64 = 1;
const ENTITY_OF_OTHER_REPLICA: u64 = 2;

/// Appends the containers of the entries.
pub(crate) fn write<'a>(out: &mut Vec<u8>, table: &TableWriter, rows: impl Iterator<Item = Row<'a>>) {
    let mut rows = rows.peekable();
    let mut known: Map<&Container, u64> = Map::new();
    while let Some(row) = rows.next() {
        let container = &row.entry.container;
        let len = 1 + count_while(&mut rows, |next| next.entry.container == *container);
        let next_number = known.len() as u64;
        let number = *known.get_or_insert_with(container, || next_number);
        varint::write(out, number << 1 | u64::from(len > 1));
        if number == next_number {
            write_container(out, table, row.dot, container);
        }
        if len > 1 {
            varint::write_len(out, len - 2);
        }
    }
}

fn write_container(out: &mut Vec<u8>, table: &TableWriter, dot: Dot, container: &Container) {
    match container {
        Container::Root { name, kind } => {
            varint::write(out, (name.len() as u64) << 2 | ROOT);
            out.push(kind.0);
            out.extend_from_slice(name.as_bytes());
        }
        Container::Entity(entity) if entity.replica == dot.replica && entity.seq < dot.seq => {
            varint::write(out, (dot.seq - entity.seq) << 2 | ENTITY_OF_SAME_REPLICA);
        }
        Container::Entity(entity) => {
            varint::write(out, table.number(entity.replica) << 2 | ENTITY_OF_OTHER_REPLICA);
            varint::write(out, entity.seq);
        }
    }
}

/// Reads the containers of the entries at `dots`.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    dots: &[Dot],
) -> Result<Vec<Container>, DecodeError> {
    let mut containers: Vec<Container> = Vec::with_capacity(dots.len());
    let mut known: Vec<Container> = Vec::new();
    let mut distinct: Set<Container> = Set::new();
    let mut before = None;
    while let Some(dot) = dots.get(containers.len()) {
        let head = reader.varint()?;
        let number = head >> 1;
        if before == Some(number) {
            return Err(reader.not_canonical("neighbouring runs of one container"));
        }
        if number == known.len() as u64 {
            let container = read_container(reader, table, *dot)?;
            if !distinct.insert(container.clone()) {
                return Err(reader.not_canonical("a container that is written twice"));
            }
            known.push(container);
        }
        let container = usize::try_from(number).ok().and_then(|number| known.get(number));
        let container = container.ok_or_else(|| reader.invalid("the number of a container that did not occur"))?;
        let len = read_run_len(reader, head & 1 == 1, dots.len() - containers.len())?;
        containers.extend(core::iter::repeat_n(container, len).cloned());
        before = Some(number);
    }
    // An entity of the same replica is older than the first entry of its run by construction, hence than every later one
    // of that replica; a later run may be of another replica, or of dots that precede it.
    for (container, dot) in containers.iter().zip(dots) {
        if let Container::Entity(entity) = container
            && entity.replica == dot.replica
            && entity.seq >= dot.seq
        {
            return Err(reader.invalid("CAUSAL-2: an entry in a container that is not older than itself"));
        }
    }
    Ok(containers)
}

fn read_container(reader: &mut Reader<'_>, table: &mut TableReader, dot: Dot) -> Result<Container, DecodeError> {
    let head = reader.varint()?;
    let rest = head >> 2;
    match head & 3 {
        ROOT => {
            let len = reader.fits("name length", rest, 1, MAX_KEY_BYTES as u64)?;
            let kind = Kind(reader.byte()?);
            Ok(Container::Root { name: Arc::from(reader.text(len)?), kind })
        }
        ENTITY_OF_SAME_REPLICA => match dot.seq.checked_sub(rest) {
            Some(seq) if seq > 0 && rest > 0 => Ok(Container::Entity(Dot::new(dot.replica, seq))),
            _ => Err(reader.invalid("CAUSAL-2: an entry in a container that is not older than itself")),
        },
        ENTITY_OF_OTHER_REPLICA => {
            let replica = table.id(reader, rest)?;
            if replica == dot.replica {
                return Err(reader.not_canonical("an entity of the same replica, named in full"));
            }
            let seq = reader.varint()?;
            check_seq(reader, seq)?;
            Ok(Container::Entity(Dot::new(replica, seq)))
        }
        class => Err(reader.unknown("class of container", class)),
    }
}
