//! Questions, by number and path. Reading creates nothing: what is not there reads as empty.
//!
//! A container is read *shallowly*: its values, flags and counters, and of maps, lists and sets in it only that they are
//! there. So one call reads one container, and what did not change below it is not touched.

use alloc::vec::Vec;

use weftline::{Bias, Cursor, Document, Dot, Kind, ListRef, MapRef, NodeRef, Path, ReplicaId, TextRef};

use crate::wire::{Reader, Writer};

/// The questions; `js/ops.ts` has the same numbers.
const CONTENT: u8 = 0;
const CELLS: u8 = 1;
const MAP_GET: u8 = 2;
const MAP_VALUES: u8 = 3;
const MAP_HAS: u8 = 4;
const MAP_KEYS: u8 = 5;
const LIST_LENGTH: u8 = 6;
const LIST_GET: u8 = 7;
const LIST_IDS: u8 = 8;
const LIST_INDEX_OF: u8 = 9;
const LIST_KIND: u8 = 10;
const SET_HAS: u8 = 11;
const SET_SIZE: u8 = 12;
const REGISTER_VALUES: u8 = 13;
const TEXT_LENGTH: u8 = 14;
const TEXT_SLICE: u8 = 15;
const TEXT_CURSOR: u8 = 16;
const TEXT_INDEX_OF: u8 = 17;
const TEXT_SPANS: u8 = 18;

/// Answers one question.
pub(crate) fn run(document: &Document, op: u8, args: &mut Reader<'_>, out: &mut Writer) {
    let path = args.path();
    let node = document.at(&path);
    match op {
        CONTENT if path.steps().is_empty() => document_content(document, out),
        CONTENT => content(node, out),
        CELLS if path.steps().is_empty() => {
            for _ in 0..args.count() {
                root_cell(document, args.text(), out);
            }
        }
        CELLS => cells(node, args, out),
        MAP_GET..=MAP_KEYS => read_map(as_map(node), op, args, out),
        LIST_LENGTH..=LIST_KIND => read_list(as_list(node), op, args, out),
        SET_HAS => {
            let value = args.value();
            out.byte(u8::from(matches!(node, Some(NodeRef::Set(set)) if set.contains(&value))));
        }
        SET_SIZE => out.count(if let Some(NodeRef::Set(set)) = node { set.len() } else { 0 }),
        REGISTER_VALUES => match node {
            Some(NodeRef::Register(register)) => out.values(&register.values()),
            _ => out.count(0),
        },
        TEXT_LENGTH..=TEXT_SPANS => {
            let text = if let Some(NodeRef::Text(text)) = node { Some(text) } else { None };
            read_text(document, text, op, args, out);
        }
        _ => args.fail(),
    }
}

fn read_text(document: &Document, text: Option<TextRef<'_>>, op: u8, args: &mut Reader<'_>, out: &mut Writer) {
    let len = text.map_or(0, |text| text.len_utf16());
    // The index of the character at an index of UTF-16, if it is no place in the text told as 0, that index and the length.
    let char_at = |index, out: &mut Writer| {
        let found = text.map_or((index == 0).then_some(0), |text| text.from_utf16(index));
        if found.is_none() {
            out.byte(0);
            out.count(index);
            out.count(len);
        }
        found
    };
    match op {
        TEXT_LENGTH => {
            out.count(len);
            out.count(text.map_or(1, |text| text.lines()));
        }
        // What is beyond the end is left out.
        TEXT_SLICE => {
            let (start, end) = (args.index().min(len), args.index().min(len));
            if let Some(start) = char_at(start, out)
                && let Some(end) = char_at(end, out)
            {
                out.byte(1);
                out.text(&text.map(|text| text.slice(start..end)).unwrap_or_default());
            }
        }
        TEXT_CURSOR => {
            let bias = if args.byte() == 0 { Bias::Left } else { Bias::Right };
            let Some(index) = char_at(args.index(), out) else { return };
            // The start and the end are the same of every text, also of one that is not there yet.
            let other = document.text("");
            let at_end = if bias == Bias::Left { 0 } else { other.len() };
            let cursor = text.map_or_else(|| other.cursor(at_end, bias), |text| text.cursor(index, bias));
            if let Some(cursor) = cursor {
                out.byte(1);
                out.bytes(&cursor.to_bytes());
            }
        }
        TEXT_INDEX_OF => match Cursor::from_bytes(args.bytes()) {
            Ok(cursor) => {
                let index = text.and_then(|text| text.to_utf16(text.index_of(&cursor)?));
                out.count(index.map_or(0, |index| index + 1));
            }
            Err(_) => args.fail(),
        },
        _ => {
            for span in text.iter().flat_map(|text| text.spans()) {
                out.text(&span.text);
                out.count(span.marks.len());
                for (key, value) in &span.marks {
                    out.text(key);
                    out.value(value);
                }
            }
        }
    }
}

fn read_map(map: Option<MapRef<'_>>, op: u8, args: &mut Reader<'_>, out: &mut Writer) {
    match op {
        MAP_KEYS => match map {
            Some(map) => {
                out.count(map.len());
                for key in map.keys() {
                    out.text(key);
                }
            }
            None => out.count(0),
        },
        MAP_VALUES => {
            let key = args.text();
            out.values(&map.map(|map| map.values(key)).unwrap_or_default());
        }
        MAP_HAS => {
            let key = args.text();
            out.byte(u8::from(map.is_some_and(|map| map.contains(key))));
        }
        MAP_GET => {
            let key = args.text();
            out.optional(map.and_then(|map| map.get(key)).as_ref());
        }
        _ => args.fail(),
    }
}

fn read_list(list: Option<ListRef<'_>>, op: u8, args: &mut Reader<'_>, out: &mut Writer) {
    let target = |args: &mut Reader<'_>| {
        if args.byte() != 0 {
            return Some(args.element());
        }
        let index = args.index();
        list.and_then(|list| list.id_at(index))
    };
    match op {
        LIST_LENGTH => out.count(list.map_or(0, |list| list.len())),
        LIST_IDS => ids(list, out, |_, _| ()),
        LIST_INDEX_OF => {
            let id = args.element();
            out.count(list.and_then(|list| list.index_of(id)).map_or(0, |index| index + 1));
        }
        LIST_KIND => {
            let kind = target(args).and_then(|id| list?.kind(id)).filter(|kind| is_known(*kind));
            out.byte(u8::from(kind.is_some()));
            kind.into_iter().for_each(|kind| out.kind(kind));
        }
        LIST_GET => {
            let value = target(args).and_then(|id| list?.value(id));
            out.optional(value.as_ref());
        }
        _ => args.fail(),
    }
}

/// All that is directly in a container: its kind first, or that there is none.
fn content(node: Option<NodeRef<'_>>, out: &mut Writer) {
    let Some(node) = node else { return out.byte(0) };
    cell(node, out);
    match node {
        NodeRef::Set(set) => {
            out.count(set.len());
            for member in set.iter() {
                out.value(member);
            }
        }
        NodeRef::Map(map) => {
            out.count(map.len());
            for key in map.keys() {
                out.text(key);
                map_cell(map, key, out);
            }
        }
        NodeRef::List(list) => ids(Some(list), out, |id, out| list_cell(list, id, out)),
        NodeRef::Text(text) => out.text(&text.slice(..)),
        _ => {}
    }
}

/// What a container is, and its content if that is one value.
fn cell(node: NodeRef<'_>, out: &mut Writer) {
    out.byte(1);
    out.kind(node.kind());
    match node {
        NodeRef::Register(register) => out.optional(register.get().as_ref()),
        NodeRef::Flag(flag) => out.value(&flag.is_enabled().into()),
        NodeRef::Counter(counter) => out.integer(counter.value()),
        _ => {}
    }
}

/// Whether JavaScript has a name for the kind. What it has none for is not shown to it.
fn is_known(kind: Kind) -> bool {
    kind >= Kind::REGISTER && kind <= Kind::TEXT
}

/// Which of several kinds under one name or key is shown: the last, as the untyped readers of the core do. Lists before maps, maps
/// before texts, and those before sets and plain things.
fn rank(kind: Kind) -> u8 {
    if kind == Kind::TEXT { 2 * Kind::MAP.0 - 1 } else { 2 * kind.0 }
}

/// Which of them is shown.
fn foremost(kinds: Vec<Kind>) -> Option<Kind> {
    let mut shown: Option<Kind> = None;
    for kind in kinds {
        if is_known(kind) && shown.is_none_or(|shown| rank(shown) <= rank(kind)) {
            shown = Some(kind);
        }
    }
    shown
}

/// The roots, as if the document were a map of them.
fn document_content(document: &Document, out: &mut Writer) {
    let mut roots = Vec::new();
    for (name, _) in document.roots() {
        if roots.last() != Some(&name) {
            roots.push(name);
        }
    }
    out.byte(1);
    out.kind(Kind::MAP);
    out.count(roots.len());
    for name in roots {
        out.text(name);
        root_cell(document, name, out);
    }
}

fn root_cell(document: &Document, name: &str, out: &mut Writer) {
    let mut kinds = Vec::new();
    for (root, kind) in document.roots() {
        if root == name {
            kinds.push(kind);
        }
    }
    match foremost(kinds).and_then(|kind| document.at(&Path::root(name, kind))) {
        Some(node) => cell(node, out),
        None => out.byte(0),
    }
}

/// What is at some keys or in some elements.
fn cells(node: Option<NodeRef<'_>>, args: &mut Reader<'_>, out: &mut Writer) {
    let count = args.count();
    match node {
        Some(NodeRef::Map(map)) => {
            for _ in 0..count {
                map_cell(map, args.text(), out);
            }
        }
        Some(NodeRef::List(list)) => {
            for _ in 0..count {
                let id = args.element();
                match list.index_of(id) {
                    Some(index) => {
                        out.count(index + 1);
                        list_cell(list, id, out);
                    }
                    None => out.count(0),
                }
            }
        }
        _ => (0..count).for_each(|_| out.byte(0)),
    }
}

fn map_cell(map: MapRef<'_>, key: &str, out: &mut Writer) {
    let node = match foremost(map.kinds(key)) {
        Some(Kind::REGISTER) => NodeRef::Register(map.register(key)),
        Some(Kind::FLAG) => NodeRef::Flag(map.flag(key)),
        Some(Kind::COUNTER) => NodeRef::Counter(map.counter(key)),
        Some(Kind::SET) => NodeRef::Set(map.set(key)),
        Some(Kind::MAP) => NodeRef::Map(map.map(key)),
        Some(Kind::LIST) => NodeRef::List(map.list(key)),
        Some(Kind::TEXT) => NodeRef::Text(map.text(key)),
        _ => return out.byte(0),
    };
    cell(node, out);
}

fn list_cell(list: ListRef<'_>, id: Dot, out: &mut Writer) {
    match list.node(id).filter(|node| is_known(node.kind())) {
        Some(node) => cell(node, out),
        None => out.byte(0),
    }
}

/// The elements of a list. A replica is named only where it is another one than that of the element before.
fn ids(list: Option<ListRef<'_>>, out: &mut Writer, mut each: impl FnMut(Dot, &mut Writer)) {
    let Some(list) = list else { return out.count(0) };
    out.count(list.len());
    let mut before = ReplicaId::NIL;
    for id in list.ids() {
        out.byte(u8::from(id.replica != before));
        if id.replica != before {
            out.raw(&id.replica.to_bytes());
            before = id.replica;
        }
        out.uint(id.seq);
        each(id, out);
    }
}

fn as_map(node: Option<NodeRef<'_>>) -> Option<MapRef<'_>> {
    if let Some(NodeRef::Map(map)) = node { Some(map) } else { None }
}

fn as_list(node: Option<NodeRef<'_>>) -> Option<ListRef<'_>> {
    if let Some(NodeRef::List(list)) = node { Some(list) } else { None }
}
