//! Reading without knowing what is there: every container as a [`NodeRef`], in an order that is the same everywhere.
//!
//! Under one key of a map, and under one root name, there can be containers of several kinds. Where one of them stands for
//! all, it is a list before a map, a map before a text, a text before all others, and among those the one whose kind has the greatest number: what
//! holds most is not hidden by what holds least, and no clock is asked. Typed readers see each, and [`MapRef::nodes`] gives all.
//!
//! What this version does not know is passed over: it is stored and passed on, but cannot be read.

use super::{
    At, BoundedCounterRef, CounterRef, DisableWinsFlagRef, FlagRef, GrowOnlySetRef, ListRef, MapRef, MaxRegisterRef,
    MinRegisterRef, NodeRef, RegisterRef, RemoveWinsSetRef, SetRef, TextRef,
};
use crate::clock::Dot;
use crate::document::{Document, KeyView, PathStep};
use crate::store::{EntryId, Kind};
use crate::value::Value;

/// The order in which kinds stand for what is under one name, the last first.
fn weight(kind: Kind) -> (bool, bool, bool, u8) {
    (kind == Kind::LIST, kind == Kind::MAP, kind == Kind::TEXT, kind.0)
}

/// All that can be read under a key, in the order of kinds.
fn under<'d>(document: &'d Document, slot: KeyView<'d>) -> impl Iterator<Item = NodeRef<'d>> + use<'d> {
    let register = || NodeRef::Register(RegisterRef::of(document, slot.registers(), None));
    let flag = || NodeRef::Flag(FlagRef::of(slot.flags()));
    let register = (!slot.registers().is_empty()).then(register);
    let flag = (!slot.flags().is_empty()).then(flag);
    let nested = move |(kind, place)| NodeRef::of(kind, At { document, place: Some(place) });
    register.into_iter().chain(flag).chain(slot.children().filter_map(nested))
}

pub(super) fn shown<'d>(nodes: impl Iterator<Item = NodeRef<'d>>) -> Option<NodeRef<'d>> {
    nodes.max_by_key(|node| weight(node.kind()))
}

/// Reading untyped.
impl Document {
    /// The roots that hold something and can be read, by name, then by kind: where a walk through the whole document begins.
    ///
    /// ```
    /// # use weftline::{Document, EditError, NodeRef, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| {
    ///     tx.map("todo")?.put("title", "buy milk")?;
    ///     tx.map("todo")?.list("tags")?.push("home")
    /// })?;
    /// fn count_values(node: NodeRef<'_>) -> usize {
    ///     let inside: usize = node.children().map(|(_, child)| count_values(child)).sum();
    ///     inside + usize::from(node.value().is_some())
    /// }
    /// assert_eq!(doc.nodes().map(|(_, root)| count_values(root)).sum::<usize>(), 2);
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn nodes(&self) -> impl Iterator<Item = (&str, NodeRef<'_>)> + '_ {
        self.filled_roots().filter_map(move |(name, kind, place)| {
            Some((name, NodeRef::of(kind, At { document: self, place: Some(place) })?))
        })
    }

    /// The root of this name that holds something; of several kinds, the one that stands for all: a list before a map, a map
    /// before all others. O(roots).
    pub fn node(&self, name: &str) -> Option<NodeRef<'_>> {
        shown(self.nodes().filter(|(root, _)| *root == name).map(|(_, node)| node))
    }
}

impl<'d> MapRef<'d> {
    /// Every key, ascending by its bytes, with what is under it; where that is of several kinds, with the one that stands for all:
    /// a list before a map, a map before a text, a text before all others ([`MapRef::nodes`] gives each). Nothing is copied.
    ///
    /// A key that holds nothing but what this version does not know is passed over here, and listed by [`MapRef::keys`].
    ///
    /// ```
    /// # use weftline::{Document, EditError, NodeRef, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| {
    ///     tx.map("todo")?.put("title", "buy milk")?;
    ///     tx.map("todo")?.counter("votes")?.add(3)
    /// })?;
    /// for (key, node) in doc.map("todo").iter() {
    ///     match node {
    ///         NodeRef::Register(register) => assert_eq!((key, register.get_as()), ("title", Some("buy milk"))),
    ///         NodeRef::Counter(counter) => assert_eq!((key, counter.value()), ("votes", 3)),
    ///         _ => unreachable!(),
    ///     }
    /// }
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'d str, NodeRef<'d>)> + use<'d> {
        let document = self.document();
        self.slots().filter_map(move |(key, slot)| Some((key, shown(under(document, slot))?)))
    }

    /// Every key, and nothing where what is under it cannot be read.
    #[cfg(feature = "serde")]
    pub(super) fn each(&self) -> impl Iterator<Item = (&'d str, Option<NodeRef<'d>>)> + use<'d> {
        let document = self.document();
        self.slots().map(move |(key, slot)| (key, shown(under(document, slot))))
    }

    /// What is under `key`; of several kinds the one that stands for all, as in [`MapRef::iter`]. O(log n).
    pub fn node(&self, key: &str) -> Option<NodeRef<'d>> {
        shown(under(self.document(), self.slot(key)?))
    }

    /// All that is under `key`, one of each kind, in the order of kinds. O(log n).
    pub fn nodes(&self, key: &str) -> impl Iterator<Item = NodeRef<'d>> + use<'d> {
        let document = self.document();
        self.slot(key).into_iter().flat_map(move |slot| under(document, slot))
    }
}

impl<'d> ListRef<'d> {
    /// Every element in order: its id and what it is, a plain value being a [`NodeRef::Register`]. Nothing is copied.
    /// O(log n) an element.
    ///
    /// An element of a kind that this version does not know is passed over here, and counted by [`ListRef::len`].
    pub fn iter(&self) -> impl Iterator<Item = (Dot, NodeRef<'d>)> + use<'d> {
        self.iter_from(0)
    }

    /// Every element in order from an index on, as [`ListRef::iter`] gives them; nothing if there are not so many. O(log n) an
    /// element.
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| (0..9).try_for_each(|number| tx.list("l")?.push(number).map(drop)))?;
    /// let page: Vec<_> = doc.list("l").iter_from(4).take(2).filter_map(|(_, node)| node.value()?.as_int()).collect();
    /// assert_eq!(page, [4, 5]);
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = (Dot, NodeRef<'d>)> + use<'d> {
        self.elements(index).filter_map(|(id, node)| Some((id, node?)))
    }

    /// The plain values in order, borrowed; elements that are containers are passed over. O(log n) an element.
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| ["a", "b"].into_iter().try_for_each(|text| tx.list("l")?.push(text).map(drop)))?;
    /// assert!(doc.list("l").values().filter_map(|value| value.as_str()).eq(["a", "b"]));
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn values(&self) -> impl Iterator<Item = &'d Value> + use<'d> {
        let document = self.at.document;
        let plain = move |id: &EntryId| document.state.store.live(*id).kind == Kind::REGISTER;
        self.entries(0).filter(plain).filter_map(move |id| RegisterRef::element(document, id).get_ref())
    }

    /// The element `id`; nothing if it is not there, or of a kind that this version does not know. O(log n).
    pub fn node(&self, id: Dot) -> Option<NodeRef<'d>> {
        NodeRef::element(self.at.document, self.element(id)?)
    }

    /// The elements in order, and nothing where one cannot be read.
    #[cfg(feature = "serde")]
    pub(super) fn each(&self) -> impl Iterator<Item = Option<NodeRef<'d>>> + use<'d> {
        self.elements(0).map(|(_, node)| node)
    }
}

macro_rules! into_node {
    ($($variant:ident, $type:ident;)*) => {$(
        impl<'d> From<$type<'d>> for NodeRef<'d> {
            fn from(node: $type<'d>) -> Self {
                Self::$variant(node)
            }
        }
    )*};
}

into_node! {
    Register, RegisterRef;
    Flag, FlagRef;
    Counter, CounterRef;
    Set, SetRef;
    Map, MapRef;
    List, ListRef;
    Text, TextRef;
    MaxRegister, MaxRegisterRef;
    MinRegister, MinRegisterRef;
    DisableWinsFlag, DisableWinsFlagRef;
    RemoveWinsSet, RemoveWinsSetRef;
    GrowOnlySet, GrowOnlySetRef;
    BoundedCounter, BoundedCounterRef;
}

macro_rules! narrow {
    ($($name:ident, $variant:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, ", if it is one.")]
        pub fn $name(&self) -> Option<$type<'d>> {
            if let Self::$variant(node) = self { Some(*node) } else { None }
        }
    )*};
}

impl<'d> NodeRef<'d> {
    narrow! {
        as_register, Register, RegisterRef, "register";
        as_flag, Flag, FlagRef, "flag";
        as_counter, Counter, CounterRef, "counter";
        as_set, Set, SetRef, "set";
        as_map, Map, MapRef, "map";
        as_list, List, ListRef, "list";
        as_text, Text, TextRef, "text";
        as_max_register, MaxRegister, MaxRegisterRef, "max register";
        as_min_register, MinRegister, MinRegisterRef, "min register";
        as_disable_wins_flag, DisableWinsFlag, DisableWinsFlagRef, "disable-wins flag";
        as_remove_wins_set, RemoveWinsSet, RemoveWinsSetRef, "remove-wins set";
        as_grow_only_set, GrowOnlySet, GrowOnlySetRef, "grow-only set";
        as_bounded_counter, BoundedCounter, BoundedCounterRef, "bounded counter";
    }

    /// The plain value, if it is a register that was set.
    pub fn value(&self) -> Option<&'d Value> {
        self.as_register()?.get_ref()
    }

    /// What is directly inside, with the step that leads there: under the keys of a map all that there is, of every kind, and
    /// the elements of a list. Nothing else has anything inside that is a container.
    ///
    /// A walk that goes on from each child reaches all of a document, as deep as anybody nested it: no deeper than
    /// [`MAX_CONTAINER_DEPTH`](crate::codec::limits::MAX_CONTAINER_DEPTH) where all keep the rules, but whoever reads what came
    /// past a relay that does not check counts along.
    pub fn children(&self) -> impl Iterator<Item = (PathStep, NodeRef<'d>)> + use<'d> {
        let in_map = |map: MapRef<'d>| {
            let document = map.document();
            let step = |key: &str, node: &NodeRef<'d>| PathStep::Key { key: key.into(), kind: node.kind() };
            map.slots().flat_map(move |(key, slot)| under(document, slot).map(move |node| (step(key, &node), node)))
        };
        let in_list = |list: ListRef<'d>| list.iter().map(|(id, node)| (PathStep::Element(id), node));
        self.as_map().into_iter().flat_map(in_map).chain(self.as_list().into_iter().flat_map(in_list))
    }
}
