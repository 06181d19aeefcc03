//! Edits, by number and path.
//!
//! An edit creates the containers that are missing on its way, except where it only takes something away: what is not there
//! needs no container to be missing from.

use weftline::{Dot, EditError, Expand, Kind, ListMut, MapMut, NodeMut, SetMut, TextMut, Transaction};

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
const TEXT_REPLACE: u8 = 14;
const TEXT_SET: u8 = 15;
const TEXT_MARK: u8 = 16;
const TEXT_UNMARK: u8 = 17;

/// Makes one edit. What it gives (the id of a new element) is written to `out`. Nothing is done where an argument cannot be
/// read: who calls this asks the reader.
pub(crate) fn run(tx: &mut Transaction<'_>, op: u8, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), EditError> {
    let path = args.path();
    if takes_away(op, *args) && tx.document().at(&path).is_none() {
        return match op {
            LIST_REMOVE | LIST_MOVE | LIST_SET => Err(EditError::NoSuchElement),
            TEXT_REPLACE | TEXT_MARK | TEXT_UNMARK => match args.index().saturating_add(args.index()) {
                0 => Ok(()),
                index => Err(EditError::OutOfRange { index, len: 0 }),
            },
            _ => Ok(()),
        };
    }
    if args.is_failed() {
        return Ok(());
    }
    match (op, tx.at(&path)?) {
        (MAP_PUT..=MAP_CLEAR, NodeMut::Map(mut map)) => edit_map(&mut map, op, args),
        (LIST_INSERT..=LIST_SET, NodeMut::List(mut list)) => edit_list(&mut list, op, args, out),
        (SET_ADD..=SET_CLEAR, NodeMut::Set(mut set)) => edit_set(&mut set, op, args),
        (COUNTER_ADD, NodeMut::Counter(mut counter)) => match args.value().as_int() {
            Some(amount) => counter.add(amount),
            None => {
                args.fail();
                Ok(())
            }
        },
        (FLAG_SET, NodeMut::Flag(mut flag)) if args.byte() == 0 => flag.disable(),
        (FLAG_SET, NodeMut::Flag(mut flag)) => flag.enable(),
        (REGISTER_SET, NodeMut::Register(mut register)) => {
            let value = args.value();
            if args.is_failed() { Ok(()) } else { register.set(value) }
        }
        (TEXT_REPLACE..=TEXT_UNMARK, NodeMut::Text(mut text)) => edit_text(&mut text, op, args),
        (_, other) => Err(EditError::WrongKind { expected: kind_of(op), found: kind(&other) }),
    }
}

fn takes_away(op: u8, mut args: Reader<'_>) -> bool {
    match op {
        MAP_REMOVE | MAP_CLEAR | LIST_REMOVE | LIST_MOVE | LIST_SET | SET_REMOVE | SET_CLEAR => true,
        TEXT_MARK | TEXT_UNMARK => true,
        FLAG_SET => args.byte() == 0,
        TEXT_REPLACE => {
            args.index();
            args.index();
            args.text().is_empty()
        }
        TEXT_SET => args.text().is_empty(),
        _ => false,
    }
}

fn edit_map(map: &mut MapMut<'_, '_>, op: u8, args: &mut Reader<'_>) -> Result<(), EditError> {
    if op == MAP_CLEAR {
        return map.clear();
    }
    let key = args.text();
    let value = if op == MAP_PUT { Some(args.value()) } else { None };
    match value {
        _ if args.is_failed() => Ok(()),
        Some(value) => map.put(key, value),
        None => map.remove(key).map(drop),
    }
}

fn edit_list(list: &mut ListMut<'_, '_>, op: u8, args: &mut Reader<'_>, out: &mut Writer) -> Result<(), EditError> {
    if op <= LIST_INSERT_CONTAINER {
        let index = args.index();
        let id = if op == LIST_INSERT_CONTAINER {
            list.insert_container(index, args.kind())
        } else {
            let value = args.value();
            if args.is_failed() {
                return Ok(());
            }
            list.insert(index, value)
        };
        out.element(id?);
        return Ok(());
    }
    let id = target(list, args)?;
    match op {
        LIST_REMOVE => list.remove(id),
        LIST_MOVE => list.move_to(id, args.index()),
        _ => {
            let value = args.value();
            if args.is_failed() { Ok(()) } else { list.put(id, value) }
        }
    }
}

fn edit_set(set: &mut SetMut<'_, '_>, op: u8, args: &mut Reader<'_>) -> Result<(), EditError> {
    if op == SET_CLEAR {
        return set.clear();
    }
    let member = args.value();
    match op {
        _ if args.is_failed() => Ok(()),
        SET_ADD => set.add(member),
        _ => set.remove(&member).map(drop),
    }
}

/// Puts text in place of as many units of UTF-16 from an index on, or of all that differs; or marks so many, or takes a mark off.
fn edit_text(text: &mut TextMut<'_, '_>, op: u8, args: &mut Reader<'_>) -> Result<(), EditError> {
    let (start, count) = if op == TEXT_SET { (0, 0) } else { (args.index(), args.index()) };
    let end = start.saturating_add(count);
    // What is written, or the key of the mark.
    let new = args.text();
    let mark = if op == TEXT_MARK { Some((args.byte(), args.value())) } else { None };
    if args.is_failed() {
        return Ok(());
    }
    if op == TEXT_SET {
        return text.set_text(new);
    }
    let is = text.read();
    // An index within the length, told as out of range, is one in the middle of a character: JavaScript tells them apart.
    let char_at = |index| is.from_utf16(index).ok_or(EditError::OutOfRange { index, len: is.len_utf16() });
    let range = char_at(start)?..char_at(end)?;
    match mark {
        None if op == TEXT_REPLACE => text.replace(range, new),
        None => text.unmark(range, new),
        Some((expand, value)) => {
            let expand = match expand {
                0 => Expand::None,
                1 => Expand::Before,
                2 => Expand::After,
                _ => Expand::Both,
            };
            text.mark(range, new, value, expand)
        }
    }
}

/// The element meant by an index or an id.
fn target(list: &ListMut<'_, '_>, args: &mut Reader<'_>) -> Result<Dot, EditError> {
    if args.byte() != 0 {
        return Ok(args.element());
    }
    let (index, list) = (args.index(), list.read());
    list.id_at(index).ok_or_else(|| EditError::OutOfRange { index, len: list.len() })
}

/// What an edit edits.
fn kind_of(op: u8) -> Kind {
    match op {
        MAP_PUT..=MAP_CLEAR => Kind::MAP,
        LIST_INSERT..=LIST_SET => Kind::LIST,
        SET_ADD..=SET_CLEAR => Kind::SET,
        COUNTER_ADD => Kind::COUNTER,
        FLAG_SET => Kind::FLAG,
        TEXT_REPLACE..=TEXT_UNMARK => Kind::TEXT,
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
        NodeMut::Text(_) => Kind::TEXT,
        _ => Kind::REGISTER,
    }
}
