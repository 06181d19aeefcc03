//! What a document shows, as plain values that can be compared.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::clock::Dot;
use crate::{Document, Kind, ListRef, MapRef, NodeRef, Path, Value};

/// What a container shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The values of concurrent writes, the winner first.
    Register(Vec<Value>),
    /// Whether it is on.
    Flag(bool),
    /// The value.
    Counter(i128),
    /// The members in order.
    Set(Vec<Value>),
    /// What is under each key, by kind.
    Map(BTreeMap<(String, Kind), Shape>),
    /// The elements in order.
    List(Vec<(Dot, Shape)>),
}

/// Everything a document shows, by root name and kind. Roots that show nothing are left out.
pub fn dump(document: &Document) -> BTreeMap<(String, Kind), Shape> {
    let root = |(name, kind): (&str, Kind)| {
        let shape = shape(document.at(&Path::root(name, kind))?);
        Some(((name.to_string(), kind), shape))
    };
    document.roots().filter_map(root).collect()
}

/// What a document shows, without what nobody would call its content: the names of list elements, beside the value of a
/// register those that it won over, and root counters at 0.
pub fn content(document: &Document) -> BTreeMap<(String, Kind), Shape> {
    let mut all = dump(document);
    all.retain(|_, shape| *shape != Shape::Counter(0));
    all.into_iter().map(|(root, shape)| (root, shape.plain())).collect()
}

impl Shape {
    fn plain(self) -> Self {
        match self {
            Self::Register(values) => Self::Register(values.into_iter().take(1).collect()),
            Self::Map(keys) => Self::Map(keys.into_iter().map(|(key, shape)| (key, shape.plain())).collect()),
            Self::List(elements) => {
                Self::List(elements.into_iter().map(|(_, shape)| (Dot::ROOT, shape.plain())).collect())
            }
            other => other,
        }
    }
}

fn shape(node: NodeRef<'_>) -> Shape {
    match node {
        NodeRef::Register(register) => Shape::Register(register.values()),
        NodeRef::Flag(flag) => Shape::Flag(flag.is_enabled()),
        NodeRef::Counter(counter) => Shape::Counter(counter.value()),
        NodeRef::Set(set) => Shape::Set(set.iter().cloned().collect()),
        NodeRef::Map(map) => map_shape(map),
        NodeRef::List(list) => Shape::List(list.ids().map(|id| (id, element_shape(list, id))).collect()),
    }
}

fn map_shape(map: MapRef<'_>) -> Shape {
    let mut all = BTreeMap::new();
    for key in map.keys() {
        for kind in map.kinds(key) {
            let node = match kind {
                Kind::REGISTER => NodeRef::Register(map.register(key)),
                Kind::FLAG => NodeRef::Flag(map.flag(key)),
                Kind::COUNTER => NodeRef::Counter(map.counter(key)),
                Kind::SET => NodeRef::Set(map.set(key)),
                Kind::MAP => NodeRef::Map(map.map(key)),
                Kind::LIST => NodeRef::List(map.list(key)),
                _ => continue,
            };
            all.insert((key.to_string(), kind), shape(node));
        }
    }
    Shape::Map(all)
}

fn element_shape(list: ListRef<'_>, id: Dot) -> Shape {
    let node = match list.kind(id) {
        Some(Kind::FLAG) => NodeRef::Flag(list.flag(id)),
        Some(Kind::COUNTER) => NodeRef::Counter(list.counter(id)),
        Some(Kind::SET) => NodeRef::Set(list.set(id)),
        Some(Kind::MAP) => NodeRef::Map(list.map(id)),
        Some(Kind::LIST) => NodeRef::List(list.list(id)),
        _ => NodeRef::Register(list.register(id)),
    };
    shape(node)
}
