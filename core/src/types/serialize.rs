//! What a document shows, through serde: one way, for export, search and looking at things.
//!
//! | what | becomes |
//! |---|---|
//! | document, map | a map: root names or keys in ascending order; of several kinds under one name the one that stands for all |
//! | list, set | a sequence, in the order of the list or of values |
//! | text | a string |
//! | register | its value; null if it was never set |
//! | flag | a truth value |
//! | counter | an integer; beyond 64 bits decimal text, since no format of our users holds it |
//! | float | a float; formats without infinities and NaN have their own way (JSON: null) |
//! | bytes | lower-case hexadecimal text in formats made for people, bytes in others |
//! | what this version does not know | null, so that lengths and indices are those of the document |
//!
//! So two documents of equal versions give equal bytes. Containers nested deeper than they may be are null: nobody who keeps the
//! rules makes them, and no stack is deep enough for whoever does not.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_core::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use super::{
    BoundedCounterRef, CounterRef, DisableWinsFlagRef, FlagRef, GrowOnlySetRef, ListRef, MapRef, MaxRegisterRef,
    MinRegisterRef, NodeRef, RegisterRef, RemoveWinsSetRef, SetRef, TextRef,
};
use crate::codec::limits;
use crate::document::Document;
use crate::value::Value;

/// One container inside what is being written, or something unreadable, and how many containers it is in, itself included.
struct Shown<'d> {
    node: Option<NodeRef<'d>>,
    depth: usize,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let inside = |node| Shown { node, depth: self.depth + 1 };
        let Some(node) = self.node else { return to.serialize_unit() };
        match node {
            NodeRef::Register(register) => value(register.get_ref(), to),
            NodeRef::MaxRegister(register) => value(register.get_ref(), to),
            NodeRef::MinRegister(register) => value(register.get_ref(), to),
            NodeRef::Flag(flag) => to.serialize_bool(flag.is_enabled()),
            NodeRef::DisableWinsFlag(flag) => to.serialize_bool(flag.is_enabled()),
            NodeRef::Counter(counter) => integer(counter.value(), to),
            NodeRef::BoundedCounter(counter) => integer(counter.value(), to),
            NodeRef::Text(text) => to.collect_str(&text),
            NodeRef::Set(set) => to.collect_seq(set.iter()),
            NodeRef::GrowOnlySet(set) => to.collect_seq(set.iter()),
            // Collected first, so that its length is known.
            NodeRef::RemoveWinsSet(set) => to.collect_seq(set.iter().collect::<Vec<_>>()),
            NodeRef::Map(_) | NodeRef::List(_) if self.depth > limits::MAX_CONTAINER_DEPTH => to.serialize_unit(),
            NodeRef::Map(map) => {
                let mut all = to.serialize_map(Some(map.len()))?;
                for (key, node) in map.each() {
                    all.serialize_entry(key, &inside(node))?;
                }
                all.end()
            }
            NodeRef::List(list) => {
                let mut all = to.serialize_seq(Some(list.len()))?;
                for node in list.each() {
                    all.serialize_element(&inside(node))?;
                }
                all.end()
            }
        }
    }
}

fn value<S: Serializer>(value: Option<&Value>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(to),
        None => to.serialize_unit(),
    }
}

fn integer<S: Serializer>(number: i128, to: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = i64::try_from(number) {
        to.serialize_i64(number)
    } else if let Ok(number) = u64::try_from(number) {
        to.serialize_u64(number)
    } else {
        to.serialize_str(&number.to_string())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Null, bool, integer, float and text as they are; bytes as lower-case hexadecimal text in formats made for people.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(truth) => to.serialize_bool(*truth),
            Self::Int(number) => to.serialize_i64(*number),
            Self::Float(number) => to.serialize_f64(*number),
            Self::String(text) => to.serialize_str(text),
            Self::Bytes(bytes) if to.is_human_readable() => to.serialize_str(&hexadecimal(bytes)),
            Self::Bytes(bytes) => to.serialize_bytes(bytes),
        }
    }
}

/// The roots that hold something, by name, as if the document were a map of them. Of several kinds under one name the one that
/// stands for all is written: a list before a map, a map before a text, a text before all others. O(document).
impl Serialize for Document {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut names = 0;
        for_each_root(self, |_, _| {
            names += 1;
            Ok::<_, S::Error>(())
        })?;
        let mut all = to.serialize_map(Some(names))?;
        for_each_root(self, |name, node| all.serialize_entry(name, &Shown { node, depth: 1 }))?;
        all.end()
    }
}

/// Once for each name, whatever the kinds under it.
fn for_each_root<'d, E>(
    document: &'d Document,
    mut each: impl FnMut(&'d str, Option<NodeRef<'d>>) -> Result<(), E>,
) -> Result<(), E> {
    let mut roots = document.nodes().peekable();
    while let Some((name, node)) = roots.next() {
        let others = core::iter::from_fn(|| roots.next_if(|(next, _)| *next == name));
        let all = core::iter::once(node).chain(others.map(|(_, node)| node));
        each(name, super::untyped::shown(all))?;
    }
    Ok(())
}

macro_rules! containers {
    ($($type:ident: $what:literal;)*) => {$(
        #[doc = $what]
        impl Serialize for $type<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                Shown { node: Some((*self).into()), depth: 1 }.serialize(to)
            }
        }
    )*};
}

containers! {
    NodeRef: "As the container that it is.";
    RegisterRef: "Its value; null if it was never set.";
    FlagRef: "A truth value.";
    CounterRef: "An integer; beyond 64 bits decimal text.";
    SetRef: "A sequence in the order of values.";
    MapRef: "A map, by key in ascending order; of several kinds under one key the one that stands for all. O(what is inside).";
    ListRef: "A sequence in the order of the list. O(what is inside).";
    TextRef: "A string. O(bytes).";
    MaxRegisterRef: "Its value; null if it was never raised.";
    MinRegisterRef: "Its value; null if it was never lowered.";
    DisableWinsFlagRef: "A truth value.";
    RemoveWinsSetRef: "A sequence in the order of values.";
    GrowOnlySetRef: "A sequence in the order of values.";
    BoundedCounterRef: "An integer; beyond 64 bits decimal text.";
}
