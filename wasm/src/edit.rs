//! Edits, by number and path.
//!
//! An edit creates the containers that are missing on its way, except where it only takes something away: what is not there
//! needs no container to be missing from.

use weftline::{Dot, Kind, ListMut, MapMut, NodeMut, SetMut, Transaction, Value};

use crate::error::Fault;
use crate::wire::{Reader, Writer};

// The edits; `js/ops.ts` has the same numbers.
const MAP_PUT: u8 = 0;
const MAP_REMOVE: u8 = 1;
const MAP_CLEAR: u8 = 2;
const LIST_INSERT: u8 = 3;
const LIST_INSERT_CONTAINER: u8 = 4;
const LIST_REMOVE: u8 = 5;
const LIST_MOVE: u8 = 6;
const LIST_SET: u8 = 7;
const SET_ADD: u8 = 8;
const SET_REMOVE: u8 = 9;
const SET_CLEAR: u8 = 10;
const COUNTER_ADD: u8 = 11;
const FLAG_SET: u8 = 12;
const REGISTER_SET: u8 = 13;

/// Makes one edit. What it gives (the id of a new element) is written to `out`.
pub(crate) fn run(tx: &mut Transaction<'_>, op: u8, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), Fault> {
    let path = args.path();
    args.ok()?;
    if takes_away(op, *args) && tx.document().at(&path).is_none() {
        return if matches!(op, LIST_REMOVE | LIST_MOVE | LIST_SET) { Err(Fault::no_such_element()) } else { Ok(()) };
    }
    match (op, tx.at(&path)?) {
        (MAP_PUT..=MAP_CLEAR, NodeMut::Map(mut map)) => edit_map(&mut map, op, args),
        (LIST_INSERT..=LIST_SET, NodeMut::List(mut list)) => edit_list(&mut list, op, args, out),
        (SET_ADD..=SET_CLEAR, NodeMut::Set(mut set)) => edit_set(&mut set, op, args),
        (COUNTER_ADD, NodeMut::Counter(mut counter)) => {
            Ok(counter.add(args.value().as_int().ok_or_else(Fault::argument)?)?)
        }
        (FLAG_SET, NodeMut::Flag(mut flag)) => Ok(if args.byte() == 0 { flag.disable() } else { flag.enable() }?),
        (REGISTER_SET, NodeMut::Register(mut register)) => Ok(register.set(value(args)?)?),
        (_, other) => Err(Fault::wrong_kind(kind_of(op), kind(&other))),
    }
}

fn takes_away(op: u8, mut args: Reader<'_>) -> bool {
    match op {
        MAP_REMOVE | MAP_CLEAR | LIST_REMOVE | LIST_MOVE | LIST_SET | SET_REMOVE | SET_CLEAR => true,
        FLAG_SET => args.byte() == 0,
        _ => false,
    }
}

/// A value that is to be written.
fn value(args: &mut Reader<'_>) -> Result<Value, Fault> {
    let value = args.value();
    args.ok().map(|()| value)
}

fn edit_map(map: &mut MapMut<'_, '_>, op: u8, args: &mut Reader<'_>) -> Result<(), Fault> {
    if op == MAP_CLEAR {
        return Ok(map.clear()?);
    }
    let key = args.text();
    args.ok()?;
    if op == MAP_REMOVE {
        map.remove(key)?;
        return Ok(());
    }
    Ok(map.put(key, value(args)?)?)
}

fn edit_list(list: &mut ListMut<'_, '_>, op: u8, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), Fault> {
    if op <= LIST_INSERT_CONTAINER {
        let index = args.index();
        let id = if op == LIST_INSERT {
            list.insert(index, value(args)?)
        } else {
            list.insert_container(index, args.kind())
        };
        out.element(id?);
        return Ok(());
    }
    let id = target(list, args)?;
    Ok(match op {
        LIST_REMOVE => list.remove(id),
        LIST_MOVE => list.move_to(id, args.index()),
        _ => list.put(id, value(args)?),
    }?)
}

fn edit_set(set: &mut SetMut<'_, '_>, op: u8, args: &mut Reader<'_>) -> Result<(), Fault> {
    if op == SET_CLEAR {
        return Ok(set.clear()?);
    }
    let member = value(args)?;
    if op == SET_REMOVE {
        set.remove(&member)?;
        return Ok(());
    }
    Ok(set.add(member)?)
}

/// The element meant by an index or an id.
fn target(list: &ListMut<'_, '_>, args: &mut Reader<'_>) -> Result<Dot, Fault> {
    if args.byte() != 0 {
        return Ok(args.element());
    }
    let (index, list) = (args.index(), list.read());
    list.id_at(index).ok_or_else(|| Fault::index_out_of_range(index, list.len()))
}

/// What an edit edits.
fn kind_of(op: u8) -> Kind {
    match op {
        MAP_PUT..=MAP_CLEAR => Kind::MAP,
        LIST_INSERT..=LIST_SET => Kind::LIST,
        SET_ADD..=SET_CLEAR => Kind::SET,
        COUNTER_ADD => Kind::COUNTER,
        FLAG_SET => Kind::FLAG,
        _ => Kind::REGISTER,
    }
}

fn kind(node: &NodeMut<'_, '_>) -> Kind {
    match node {
        NodeMut::Map(_) => Kind::MAP,
        NodeMut::List(_) => Kind::LIST,
        NodeMut::Set(_) => Kind::SET,
        NodeMut::Counter(_) => Kind::COUNTER,
        NodeMut::Flag(_) => Kind::FLAG,
        _ => Kind::REGISTER,
    }
}
