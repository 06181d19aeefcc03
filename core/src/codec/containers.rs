//! The column of containers.
//!
//! Runs of entries in one container. A container is written where it first occurs and by number after that; there is no
//! dictionary in front, so there is nothing in it that could be unused or in another order. An entity is mostly named by
//! the distance from the first entry in it: a new row of a table is one or two dots before its fields.
//!
//! Rule: CAUSAL-2 an entry is in a container that is older than itself.

use alloc::vec::Vec;

use super::columns::{Numbers, TableReader, TableWriter, write_run_len};
use super::entries::Rows;
use super::limits::MAX_KEY_BYTES;
use super::reader::{Reader, Refused};
use super::varint;
use super::writer::{put, put_byte, put_id};
use crate::clock::Dot;
use crate::diff::LiveEntry;
use crate::store::{Container, Kind};

const ROOT: u64 = 0;
const ENTITY_OF_SAME_REPLICA: u64 = 1;
const ENTITY_OF_OTHER_REPLICA: u64 = 2;

/// Appends the containers of the entries.
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, rows: Rows<'_>) {
    let mut known = Numbers::default();
    let mut at = 0;
    while let Some((dot, entry)) = rows.get(at) {
        let container = &entry.container;
        let mut len = 1;
        while rows.get(at + len).is_some_and(|(_, next)| next.container == *container) {
            len += 1;
        }
        let (number, is_new) = known.of(&identity(container));
        varint::write(out, number << 1 | u64::from(len > 1));
        if is_new {
            write_container(out, table, dot, container);
        }
        write_run_len(out, len);
        at += len;
    }
}

/// Bytes that are equal for equal containers only.
#[inline(never)]
fn identity(container: &Container) -> Vec<u8> {
    let mut bytes = Vec::new();
    match container {
        Container::Root { name, kind } => {
            put(&mut bytes, &[0, kind.0]);
            put(&mut bytes, name.as_bytes());
        }
        Container::Entity(entity) => {
            put_byte(&mut bytes, 1);
            put_id(&mut bytes, entity.replica);
            varint::write(&mut bytes, entity.seq);
        }
    }
    bytes
}

fn write_container(out: &mut Vec<u8>, table: &TableWriter, dot: Dot, container: &Container) {
    match container {
        Container::Root { name, kind } => {
            varint::write(out, (name.len() as u64) << 2 | ROOT);
            put_byte(out, kind.0);
            put(out, name.as_bytes());
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

/// Reads the containers of entries whose dots are known.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    known: &mut Numbers,
    rows: &mut [LiveEntry],
) -> Result<(), Refused> {
    let mut before = None;
    let mut at = 0;
    while let Some(first) = rows.get_mut(at) {
        let head = reader.varint();
        let number = head >> 1;
        if before == Some(number) {
            return Err(reader.not_canonical("neighbouring runs of one container"));
        }
        before = Some(number);
        if number == known.given() {
            read_container(reader, table, first)?;
            if !known.give(&identity(&first.entry.container), at) {
                return Err(reader.not_canonical("a container that is written twice"));
            }
        }
        let Some(place) = known.place(number) else {
            return Err(reader.invalid("the number of a container that did not occur"));
        };
        let end = at + reader.run_len(head, rows.len() - at)?;
        while at < end {
            if let Some(container) = rows.get(place).map(|row| row.entry.container.clone()) {
                set(rows.get_mut(at), container);
            }
            at += 1;
        }
    }
    // An entity of the same replica is older than the first entry of its first run by construction; a later entry or run
    // may be of another replica, or of dots that precede it.
    for row in rows {
        if let Container::Entity(entity) = row.entry.container
            && entity.replica == row.dot.replica
            && entity.seq >= row.dot.seq
        {
            return Err(reader.invalid("CAUSAL-2: an entry in a container that is not older than itself"));
        }
    }
    Ok(())
}

#[inline(never)]
fn set(row: Option<&mut LiveEntry>, container: Container) {
    if let Some(row) = row {
        row.entry.container = container;
    }
}

/// Reads a container in full, as it is said at the first entry in it.
#[inline(never)]
fn read_container(reader: &mut Reader<'_>, table: &mut TableReader, row: &mut LiveEntry) -> Result<(), Refused> {
    let dot = row.dot;
    let head = reader.varint();
    let rest = head >> 2;
    let container = match head & 3 {
        ROOT => {
            let len = reader.fits("name length", rest, 1, MAX_KEY_BYTES as u64);
            let kind = Kind(reader.byte());
            Container::Root { name: reader.text(len), kind }
        }
        ENTITY_OF_SAME_REPLICA => {
            if rest == 0 || rest >= dot.seq {
                return Err(reader.invalid("CAUSAL-2: an entry in a container that is not older than itself"));
            }
            Container::Entity(Dot::new(dot.replica, dot.seq - rest))
        }
        ENTITY_OF_OTHER_REPLICA => {
            let entity = table.dot(reader, rest);
            if entity.replica == dot.replica {
                return Err(reader.not_canonical("an entity of the same replica, named in full"));
            }
            Container::Entity(entity)
        }
        class => return Err(reader.unknown("class of container", class)),
    };
    set(Some(row), container);
    reader.ok()
}
