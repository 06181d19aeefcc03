//! Lists: elements in an order that everybody agrees on.
//!
//! An element is an entity, named for ever by the dot that created it: a plain value (a register) or a container. Its place
//! is an immutable position; moving it adds a later position under it, read like a register, so that two moves leave it at
//! one place. Removing it wins over moves and edits inside. Elements inserted between two others stay between them.
//!
//! The order is that of Weidner and Kleppmann, "The art of the Fugue: minimizing interleaving in collaborative text editing" (2023),
//! with positions in bunches (see `crate::sequence`); a place as a register is Kleppmann, "Moving elements in list CRDTs" (2020).

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    At, AtMut, BoundedCounterMut, BoundedCounterRef, CounterMut, CounterRef, DisableWinsFlagMut, DisableWinsFlagRef,
    FlagMut, FlagRef, GrowOnlySetMut, GrowOnlySetRef, MapMut, MapRef, MaxRegisterMut, MaxRegisterRef, MinRegisterMut,
    MinRegisterRef, NodeRef, RegisterMut, RegisterRef, RemoveWinsSetMut, RemoveWinsSetRef, SetMut, SetRef, TextMut,
    TextRef, creation,
};
use crate::clock::{Dot, LocalDot};
use crate::document::{DotsRef, EditError, Order, PlaceId, Target};
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, LocalContainer, Payload};
use crate::value::Value;

/// A list, to read: elements in an order that everybody agrees on, each with an id that it keeps wherever it moves.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// let commit = doc.transact(Timestamp(1), |tx| {
///     let mut list = tx.list("steps")?;
///     list.push("mix")?;
///     list.push("bake")
/// })?;
/// let bake = commit.value; // the id of the element
/// let steps = doc.list("steps");
/// assert_eq!((steps.len(), steps.get_as(1)), (2, Some("bake")));
/// assert_eq!((steps.index_of(bake), steps.value(bake)), (Some(1), Some("bake".into())));
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ListRef<'d> {
    pub(super) at: At<'d>,
}

macro_rules! element_readers {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The element `id`, which is a ", $what, "; empty if it is not there or of another kind. O(log n).")]
        pub fn $name(&self, id: Dot) -> $type<'d> {
            $type::at(At { document: self.at.document, place: self.place_of(id, Kind::$kind) })
        }
    )*};
}

impl<'d> ListRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    element_readers! {
        flag, FLAG, FlagRef, "flag";
        counter, COUNTER, CounterRef, "counter";
        set, SET, SetRef, "set";
        map, MAP, MapRef, "map";
        list, LIST, ListRef, "list";
        text, TEXT, TextRef, "text";
        max_register, MAX_REGISTER, MaxRegisterRef, "max register";
        min_register, MIN_REGISTER, MinRegisterRef, "min register";
        disable_wins_flag, DISABLE_WINS_FLAG, DisableWinsFlagRef, "disable-wins flag";
        remove_wins_set, REMOVE_WINS_SET, RemoveWinsSetRef, "remove-wins set";
        grow_only_set, GROW_ONLY_SET, GrowOnlySetRef, "grow-only set";
        bounded_counter, BOUNDED_COUNTER, BoundedCounterRef, "bounded counter";
    }

    /// The element `id`, which is a plain value; empty if it is not there or of another kind. O(log n).
    pub fn register(&self, id: Dot) -> RegisterRef<'d> {
        let document = self.at.document;
        let found = self.element(id).filter(|id| document.state.store.live(*id).kind == Kind::REGISTER);
        match found {
            Some(id) => RegisterRef::element(document, id),
            None => RegisterRef::of(document, DotsRef::None, None),
        }
    }

    fn order(&self) -> Option<Order<'d>> {
        Some(self.at.state().order(self.at.place?))
    }

    pub(super) fn element(&self, id: Dot) -> Option<EntryId> {
        let state = self.at.state();
        let id = state.store.find(state.origins.local(id)?)?;
        let list = state.list_at(id)?;
        (Some(list) == self.at.place).then_some(id)
    }

    fn place_of(&self, id: Dot, kind: Kind) -> Option<PlaceId> {
        let state = self.at.state();
        let id = self.element(id).filter(|id| state.store.live(*id).kind == kind)?;
        state.entity_at(id)
    }

    /// How many elements there are. O(1).
    pub fn len(&self) -> usize {
        self.order().map_or(0, Order::len)
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of the elements, in order. O(log n) an element.
    pub fn ids(&self) -> impl Iterator<Item = Dot> + use<'d> {
        let state = self.at.state();
        self.entries(0).map(move |id| state.origins.dot(state.store.dot(id)))
    }

    /// Every element in order from an index on: all iteration over what is in a list begins here.
    pub(super) fn entries(&self, from: usize) -> impl Iterator<Item = EntryId> + use<'d> {
        let state = self.at.state();
        state.elements(self.at.place, from)
    }

    fn entry_at(&self, index: usize) -> Option<EntryId> {
        self.at.state().seated(self.order()?.name_at(index)?)
    }

    /// The id of the element at `index`; nothing beyond the end. O(log n).
    pub fn id_at(&self, index: usize) -> Option<Dot> {
        let state = self.at.state();
        Some(state.origins.dot(state.store.dot(self.entry_at(index)?)))
    }

    /// Where the element `id` is now; nothing if it is not in this list, or no longer. O(log n).
    pub fn index_of(&self, id: Dot) -> Option<usize> {
        let (_, seat) = self.at.state().seat_at(self.element(id)?)?;
        self.order()?.index_of(seat.dot()?)
    }

    /// What kind of element `id` is; nothing if it is not in this list. A plain value is a [`Kind::REGISTER`]. O(log n).
    pub fn kind(&self, id: Dot) -> Option<Kind> {
        self.element(id).map(|id| self.at.state().store.live(id).kind)
    }

    /// The plain value of the element `id`; nothing if it is not there, or a container. O(log n).
    pub fn value(&self, id: Dot) -> Option<Value> {
        self.value_ref(id).cloned()
    }

    /// The plain value of the element `id`, borrowed. O(log n).
    pub fn value_ref(&self, id: Dot) -> Option<&'d Value> {
        self.register(id).get_ref()
    }

    /// The plain value at `index`; nothing if that is beyond the end, or a container. O(log n).
    pub fn get(&self, index: usize) -> Option<Value> {
        self.get_ref(index).cloned()
    }

    /// The plain value at `index`, borrowed. O(log n).
    pub fn get_ref(&self, index: usize) -> Option<&'d Value> {
        let id = self.entry_at(index)?;
        let plain = self.at.state().store.live(id).kind == Kind::REGISTER;
        if plain { RegisterRef::element(self.at.document, id).get_ref() } else { None }
    }

    /// The plain value at `index`, as a Rust type. Nothing if there is none, or if it is of another type; see
    /// [`RegisterRef::get_as`].
    pub fn get_as<T: TryFrom<&'d Value>>(&self, index: usize) -> Option<T> {
        T::try_from(self.get_ref(index)?).ok()
    }

    /// Every element in order from an index on, with what it is, as far as that is known.
    pub(super) fn elements(&self, from: usize) -> impl Iterator<Item = (Dot, Option<NodeRef<'d>>)> + use<'d> {
        let document = self.at.document;
        let id = |id| document.state.origins.dot(document.state.store.dot(id));
        self.entries(from).map(move |entry| (id(entry), NodeRef::element(document, entry)))
    }
}

/// A list, to edit. Elements are named by the ids that insertion returns: an index means something else as soon as anybody inserts.
///
/// ```
/// # use weftline::{Document, EditError, Kind, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| {
///     let mut list = tx.list("steps")?;
///     let mix = list.push("mix")?;
///     list.insert(0, "measure")?;
///     let bake = list.insert_container(2, Kind::MAP)?;
///     list.map(bake)?.put("minutes", 40)?;
///     list.put(mix, "mix well")?; // overwrites the value, in place
///     list.move_to(bake, 0)
/// })?;
/// let steps = doc.list("steps");
/// assert_eq!(steps.map(steps.id_at(0).expect("it is there")).get_as("minutes"), Some(40));
/// assert!(steps.values().eq([&"measure".into(), &"mix well".into()]));
/// # Ok::<(), EditError>(())
/// ```
#[derive(Debug)]
pub struct ListMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

macro_rules! element_editors {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The element `id`, which is a ", $what, ", to edit. O(log n).")]
        ///
        /// # Errors
        /// When it is not in the list, or of another kind.
        pub fn $name(&mut self, id: Dot) -> Result<$type<'_, 'd>, EditError> {
            let place = self.element_of(id, Kind::$kind)?;
            Ok($type::at(self.at.reborrow(place)))
        }
    )*};
}

impl<'t, 'd> ListMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    element_editors! {
        register, REGISTER, RegisterMut, "plain value";
        flag, FLAG, FlagMut, "flag";
        counter, COUNTER, CounterMut, "counter";
        set, SET, SetMut, "set";
        map, MAP, MapMut, "map";
        list, LIST, ListMut, "list";
        text, TEXT, TextMut, "text";
        max_register, MAX_REGISTER, MaxRegisterMut, "max register";
        min_register, MIN_REGISTER, MinRegisterMut, "min register";
        disable_wins_flag, DISABLE_WINS_FLAG, DisableWinsFlagMut, "disable-wins flag";
        remove_wins_set, REMOVE_WINS_SET, RemoveWinsSetMut, "remove-wins set";
        grow_only_set, GROW_ONLY_SET, GrowOnlySetMut, "grow-only set";
        bounded_counter, BOUNDED_COUNTER, BoundedCounterMut, "bounded counter";
    }

    /// The list as it is now, to read.
    pub fn read(&self) -> ListRef<'_> {
        ListRef::at(self.at.read())
    }

    fn element(&self, id: Dot) -> Result<EntryId, EditError> {
        self.read().element(id).ok_or(EditError::NoSuchElement)
    }

    fn element_of(&mut self, id: Dot, expected: Kind) -> Result<PlaceId, EditError> {
        let id = self.element(id)?;
        let state = &mut self.at.tx.document.state;
        let found = state.store.live(id).kind;
        if found != expected {
            return Err(EditError::WrongKind { expected, found });
        }
        state.open_element(id).ok_or(EditError::NoSuchElement)
    }

    /// Inserts a plain value so that it is at `index`, and returns its id. O(log n).
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] when the index is beyond the end, [`EditError::TooLarge`] when the transaction is full,
    /// [`EditError::PositionTooDeep`] after thousands of insertions, each by another replica into the gap that the last one made.
    pub fn insert(&mut self, index: usize, value: impl Into<Value>) -> Result<Dot, EditError> {
        self.insert_element(index, Kind::REGISTER, Payload::Value(value.into()))
    }

    /// Appends a plain value and returns its id. O(log n).
    ///
    /// # Errors
    /// As [`ListMut::insert`].
    pub fn push(&mut self, value: impl Into<Value>) -> Result<Dot, EditError> {
        self.insert(self.read().len(), value)
    }

    /// Inserts an empty container so that it is at `index`, and returns its id. O(log n).
    ///
    /// # Errors
    /// [`EditError::WrongKind`] when the kind is a plain value's or not one a container can have, [`EditError::TooDeep`] when
    /// containers would nest too deep, and as [`ListMut::insert`].
    pub fn insert_container(&mut self, index: usize, kind: Kind) -> Result<Dot, EditError> {
        if !kind.is_container() || kind == Kind::REGISTER {
            return Err(EditError::WrongKind { expected: Kind::MAP, found: kind });
        }
        self.at.tx.check_depth(self.at.place)?;
        self.insert_element(index, kind, creation(kind))
    }

    /// Inserts a bounded counter with this floor so that it is at `index`, and returns its id. O(log n).
    ///
    /// # Errors
    /// When the index is beyond the end, or containers would nest too deep.
    pub fn insert_bounded_counter(&mut self, index: usize, floor: i64) -> Result<Dot, EditError> {
        self.at.tx.check_depth(self.at.place)?;
        self.insert_element(index, Kind::BOUNDED_COUNTER, Payload::Value(floor.into()))
    }

    fn insert_element(&mut self, index: usize, kind: Kind, payload: Payload) -> Result<Dot, EditError> {
        let len = self.read().len();
        if index > len {
            return Err(EditError::OutOfRange { index, len });
        }
        let state = &self.at.tx.document.state;
        let (left, right) = state.order(self.at.place).neighbours(index);
        // A new element lives and dies with the incarnation of what it was put next to.
        let neighbour = left.or(right).and_then(|neighbour| state.seated(neighbour.dot()?));
        let container = match neighbour.filter(|_| !fault::active(Fault::ElementIntoLowest)) {
            Some(neighbour) => state.store.live(neighbour).container(),
            None => self.at.tx.lowest(self.at.place)?,
        };
        let slot = self.at.tx.place_between(left, right)?;
        let dot = self.put_at(index, Target { container, slot }, kind, true, payload)?;
        Ok(self.at.tx.document.state.origins.dot(dot))
    }

    /// Adds what will sit at an index.
    fn put_at(
        &mut self,
        index: usize,
        target: Target,
        kind: Kind,
        entity: bool,
        payload: Payload,
    ) -> Result<LocalDot, EditError> {
        let dot = self.at.tx.next_dot()?;
        self.at.tx.document.state.lists.expect(Some((dot, index)));
        let added = self.at.tx.add(target, kind, entity, payload);
        // What was refused, or is a move that does not count, sits nowhere.
        self.at.tx.document.state.lists.expect(None);
        added
    }

    /// Removes the element `id`, with everything inside. O(log n) and what dies, and one dot.
    ///
    /// # Errors
    /// [`EditError::NoSuchElement`] when it is not in the list, or no longer.
    pub fn remove(&mut self, id: Dot) -> Result<(), EditError> {
        let entry = self.element(id)?;
        self.at.tx.remove(entry);
        Ok(())
    }

    /// Removes the element at `index`, with everything inside. O(log n) and what dies, and one dot.
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] when the index is beyond the end.
    pub fn remove_at(&mut self, index: usize) -> Result<(), EditError> {
        let len = self.read().len();
        let entry = self.read().entry_at(index).ok_or(EditError::OutOfRange { index, len })?;
        self.at.tx.remove(entry);
        Ok(())
    }

    /// Removes every element seen; what is inserted concurrently stays. O(what dies · log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let mut all = Vec::new();
        for entry in self.read().entries(0) {
            all.push(entry);
        }
        self.at.tx.document.state.clear_seats(self.at.place);
        for entry in all {
            self.at.tx.remove(entry);
        }
        Ok(())
    }

    /// Moves the element `id` so that it is at `index` afterwards; moving it to where it is is no edit. O(log n).
    ///
    /// # Errors
    /// [`EditError::NoSuchElement`] when it is not in the list, [`EditError::OutOfRange`] when the index is beyond the last element, and
    /// as [`ListMut::insert`].
    pub fn move_to(&mut self, id: Dot, index: usize) -> Result<(), EditError> {
        let entry = self.element(id)?;
        let len = self.read().len();
        if index >= len {
            return Err(EditError::OutOfRange { index, len });
        }
        let state = &self.at.tx.document.state;
        let order = state.order(self.at.place);
        let seat = state.seat_at(entry).and_then(|(_, seat)| seat.dot());
        let from = seat.and_then(|seat| order.index_of(seat)).ok_or(EditError::NoSuchElement)?;
        if from == index {
            return Ok(());
        }
        // The neighbours it will have: those of a gap on the side from which it does not come.
        let (left, right) = order.neighbours(if index < from { index } else { index + 1 });
        let mut observed = Vec::new();
        if let Some(seat) = state.entity_at(entry).and_then(|place| state.view.place(place).seat.as_ref()) {
            seat.moves.append_to(&mut observed);
        }
        let container = LocalContainer::entity(state.store.dot(entry));
        let slot = self.at.tx.place_between(left, right)?;
        self.put_at(index, Target { container, slot }, Kind::MOVE, false, Payload::Empty)?;
        for entry in observed.into_iter().filter(|_| !fault::active(Fault::MoveKeepsOld)) {
            self.at.tx.remove(entry);
        }
        Ok(())
    }

    /// Moves the elements with indexes in `range` so that the first of them is at `to` afterwards, and the others follow it in
    /// the order they have; moving them to where they are is no edit. Each of them moves once: where somebody else moves one of
    /// them at the same time, that one ends up at one of the two places, and the others stay together. What others insert
    /// between them meanwhile stays where it was. O(elements of it · log n).
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] when the range ends beyond the end or before it begins, or when `to` is an index that the first of
    /// them cannot have; [`EditError::TooLarge`] when they do not fit into the transaction; and as [`ListMut::insert`].
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| {
    ///     let mut list = tx.list("l")?;
    ///     (0..6).try_for_each(|number| list.push(number).map(drop))?;
    ///     list.move_range(1..3, 4) // 1 and 2, to the end
    /// })?;
    /// assert!(doc.list("l").values().filter_map(|value| value.as_int()).eq([0, 3, 4, 5, 1, 2]));
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn move_range(&mut self, range: Range<usize>, to: usize) -> Result<(), EditError> {
        let (len, count) = (self.read().len(), range.len());
        let beyond = [range.start, range.end, to.saturating_add(count)].into_iter().find(|index| *index > len);
        if let Some(index) = beyond.or((range.start > range.end).then_some(range.start)) {
            return Err(EditError::OutOfRange { index, len });
        }
        self.at.tx.has_room(count)?;
        for nth in (0..count).take_while(|_| range.start != to) {
            // Towards the end, the next one is always where the first was.
            let (from, to) =
                if to < range.start { (range.start + nth, to + nth) } else { (range.start, to + count - 1) };
            let id = self.read().id_at(from).ok_or(EditError::NoSuchElement)?;
            self.move_to(id, to)?;
        }
        Ok(())
    }

    /// Overwrites the plain value of the element `id`, which keeps its id and its place. O(log n).
    ///
    /// # Errors
    /// [`EditError::NoSuchElement`] when it is not in the list, [`EditError::WrongKind`] when it is a container,
    /// [`EditError::TooLarge`] when the transaction is full.
    pub fn put(&mut self, id: Dot, value: impl Into<Value>) -> Result<(), EditError> {
        self.register(id)?.set(value)
    }
}
