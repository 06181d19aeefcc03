//! What a document shows, as plain values that can be compared.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::clock::Dot;
use crate::{Document, Kind, ListRef, MapRef, NodeRef, Path, PathStep, ReplicaId, Value};

/// What a container shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The values of concurrent writes, the winner first.
    Register(Vec<Value>),
    /// The value of a max or min register.
    Extreme(Option<Value>),
    /// Whether it is on, whichever wins.
    Flag(bool),
    /// The value.
    Counter(i128),
    /// A bounded counter.
    Bounded {
        /// The value.
        value: i128,
        /// What it never goes below.
        floor: i64,
        /// Who has rights.
        rights: Vec<(ReplicaId, i128)>,
    },
    /// The members in order, of a set of any policy.
    Set(Vec<Value>),
    /// What is under each key, by kind.
    Map(BTreeMap<(String, Kind), Shape>),
    /// The elements in order.
    List(Vec<(Dot, Shape)>),
    /// The characters in order.
    Text(String),
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
/// register those that it won over, who has the rights in a bounded counter, and root counters at 0. Also without what only
/// grows, which no undo takes back.
pub fn content(document: &Document) -> BTreeMap<(String, Kind), Shape> {
    let mut all = BTreeMap::new();
    for ((name, kind), shape) in dump(document) {
        let zero = matches!(shape, Shape::Counter(0) | Shape::Bounded { value: 0, .. });
        if !zero && !kind.only_grows() {
            let shape = shape.plain(document, &Path::root(&name, kind));
            all.insert((name, kind), shape);
        }
    }
    all
}

impl Shape {
    fn plain(self, document: &Document, path: &Path) -> Self {
        match self {
            Self::Register(values) => Self::Register(values.into_iter().take(1).collect()),
            Self::Extreme(_) => Self::Extreme(None),
            Self::Set(_) if document.at(path).is_some_and(|node| node.kind().only_grows()) => Self::Set(Vec::new()),
            Self::Bounded { value, floor, .. } => Self::Bounded { value, floor, rights: Vec::new() },
            Self::Map(keys) => {
                let plain = |((key, kind), shape): ((String, Kind), Self)| {
                    let path = path.join(PathStep::Key { key: key.as_str().into(), kind });
                    ((key, kind), shape.plain(document, &path))
                };
                Self::Map(keys.into_iter().map(plain).collect())
            }
            Self::List(elements) => {
                let plain =
                    |(id, shape): (Dot, Self)| (Dot::ROOT, shape.plain(document, &path.join(PathStep::Element(id))));
                Self::List(elements.into_iter().map(plain).collect())
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
        NodeRef::MaxRegister(register) => Shape::Extreme(register.get()),
        NodeRef::MinRegister(register) => Shape::Extreme(register.get()),
        NodeRef::DisableWinsFlag(flag) => Shape::Flag(flag.is_enabled()),
        NodeRef::RemoveWinsSet(set) => Shape::Set(set.iter().cloned().collect()),
        NodeRef::GrowOnlySet(set) => Shape::Set(set.iter().cloned().collect()),
        NodeRef::BoundedCounter(counter) => {
            Shape::Bounded { value: counter.value(), floor: counter.floor(), rights: counter.holders() }
        }
        NodeRef::Text(text) => Shape::Text(text.to_string()),
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
                Kind::TEXT => NodeRef::Text(map.text(key)),
                Kind::MAX_REGISTER => NodeRef::MaxRegister(map.max_register(key)),
                Kind::MIN_REGISTER => NodeRef::MinRegister(map.min_register(key)),
                Kind::DISABLE_WINS_FLAG => NodeRef::DisableWinsFlag(map.disable_wins_flag(key)),
                Kind::REMOVE_WINS_SET => NodeRef::RemoveWinsSet(map.remove_wins_set(key)),
                Kind::GROW_ONLY_SET => NodeRef::GrowOnlySet(map.grow_only_set(key)),
                Kind::BOUNDED_COUNTER => NodeRef::BoundedCounter(map.bounded_counter(key)),
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
        Some(Kind::TEXT) => NodeRef::Text(list.text(id)),
        Some(Kind::MAX_REGISTER) => NodeRef::MaxRegister(list.max_register(id)),
        Some(Kind::MIN_REGISTER) => NodeRef::MinRegister(list.min_register(id)),
        Some(Kind::DISABLE_WINS_FLAG) => NodeRef::DisableWinsFlag(list.disable_wins_flag(id)),
        Some(Kind::REMOVE_WINS_SET) => NodeRef::RemoveWinsSet(list.remove_wins_set(id)),
        Some(Kind::GROW_ONLY_SET) => NodeRef::GrowOnlySet(list.grow_only_set(id)),
        Some(Kind::BOUNDED_COUNTER) => NodeRef::BoundedCounter(list.bounded_counter(id)),
        _ => NodeRef::Register(list.register(id)),
    };
    shape(node)
}
