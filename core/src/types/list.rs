//! Lists: elements in an order that everybody agrees on.
//!
//! An element is an entity, named for ever by the dot that created it: a plain value (a register) or a container. Its place
//! is an immutable position; moving it adds a later position under it, read like a register, so that two moves leave it at
//! one place. Removing it wins over moves and edits inside. Elements inserted between two others stay between them.
//!
//! The order is that of Weidner and Kleppmann, "The art of the Fugue: minimizing interleaving in collaborative text editing" (2023),
//! with positions in bunches (see `crate::sequence`); a place as a register is Kleppmann, "Moving elements in list CRDTs" (2020).

use alloc::vec::Vec;

use super::{
    At, AtMut, BoundedCounterMut, BoundedCounterRef, CounterMut, CounterRef, DisableWinsFlagMut, DisableWinsFlagRef,
    FlagMut, FlagRef, GrowOnlySetMut, GrowOnlySetRef, MapMut, MapRef, MaxRegisterMut, MaxRegisterRef, MinRegisterMut,
    MinRegisterRef, RegisterMut, RegisterRef, RemoveWinsSetMut, RemoveWinsSetRef, SetMut, SetRef, TextMut, TextRef,
    creation,
};
use crate::clock::{Dot, LocalDot};
use crate::document::{Content, EditError, Link, PlaceId, Target};
use crate::fault::{self, Fault};
use crate::sequence::{LocalPosition, Sequence};
use crate::store::{Kind, LocalContainer, Payload};
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
    at: At<'d>,
}

macro_rules! element_readers {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The element `id`, which is a ", $what, "; empty if it is not there or of another kind. O(log n).")]
        pub fn $name(&self, id: Dot) -> $type<'d> {
            $type::at(At { document: self.at.document, place: self.element_of(id, Kind::$kind) })
        }
    )*};
}

impl<'d> ListRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    element_readers! {
        register, REGISTER, RegisterRef, "plain value";
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

    fn sequence(&self) -> Option<&'d Sequence<LocalDot>> {
        if let Some(Content::List(sequence)) = self.at.content() { Some(sequence) } else { None }
    }

    fn element(&self, id: Dot) -> Option<PlaceId> {
        let state = self.at.state();
        let place = state.entity(state.origins.local(id)?)?;
        match state.view.place(place).link {
            Link::Element(list, _) if Some(list) == self.at.place => Some(place),
            _ => None,
        }
    }

    fn element_of(&self, id: Dot, kind: Kind) -> Option<PlaceId> {
        self.element(id).filter(|place| self.at.state().view.place(*place).kind == kind)
    }

    /// How many elements there are. O(1).
    pub fn len(&self) -> usize {
        self.sequence().map_or(0, Sequence::len)
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of the elements, in order. O(1) an element.
    pub fn ids(&self) -> impl Iterator<Item = Dot> + use<'d> {
        let origins = &self.at.state().origins;
        self.dots().map(|dot| origins.dot(dot))
    }

    fn dots(&self) -> impl Iterator<Item = LocalDot> + use<'d> {
        const NONE: &Sequence<LocalDot> = &Sequence::new();
        self.sequence().unwrap_or(NONE).iter().map(|(_, dot)| dot)
    }

    /// The id of the element at `index`; nothing beyond the end.
    pub fn id_at(&self, index: usize) -> Option<Dot> {
        let (_, dot) = self.sequence()?.get(index)?;
        Some(self.at.state().origins.dot(dot))
    }

    /// Where the element `id` is now; nothing if it is not in this list, or no longer.
    pub fn index_of(&self, id: Dot) -> Option<usize> {
        let state = self.at.state();
        let seat = state.view.place(self.element(id)?).seat.as_ref()?;
        self.sequence()?.index_of(&state.forest, &state.origins, seat.current)
    }

    /// What kind of element `id` is; nothing if it is not in this list. A plain value is a [`Kind::REGISTER`]. O(log n).
    pub fn kind(&self, id: Dot) -> Option<Kind> {
        self.element(id).map(|place| self.at.state().view.place(place).kind)
    }

    /// The plain value of the element `id`; nothing if it is not there, or a container. O(log n).
    pub fn value(&self, id: Dot) -> Option<Value> {
        self.value_ref(id).cloned()
    }

    /// The plain value of the element `id`, borrowed. O(log n).
    pub fn value_ref(&self, id: Dot) -> Option<&'d Value> {
        let place = self.element_of(id, Kind::REGISTER)?;
        RegisterRef::at(At { document: self.at.document, place: Some(place) }).get_ref()
    }

    /// The plain value at `index`; nothing if that is beyond the end, or a container.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.get_ref(index).cloned()
    }

    /// The plain value at `index`, borrowed.
    pub fn get_ref(&self, index: usize) -> Option<&'d Value> {
        self.value_ref(self.id_at(index)?)
    }

    /// The plain value at `index`, as a Rust type. Nothing if there is none, or if it is of another type; see
    /// [`RegisterRef::get_as`].
    pub fn get_as<T: TryFrom<&'d Value>>(&self, index: usize) -> Option<T> {
        T::try_from(self.get_ref(index)?).ok()
    }

    /// Every element in order, with its kind: all iteration over what is in a list begins here.
    pub(super) fn elements(&self) -> impl Iterator<Item = (Dot, Kind, At<'d>)> + use<'d> {
        let document = self.at.document;
        let state = &document.state;
        self.dots().filter_map(move |dot| {
            let place = state.entity(dot)?;
            Some((state.origins.dot(dot), state.view.place(place).kind, At { document, place: Some(place) }))
        })
    }

    pub(super) fn element_at(&self, id: Dot) -> Option<(Kind, At<'d>)> {
        let place = self.element(id)?;
        Some((self.at.state().view.place(place).kind, At { document: self.at.document, place: Some(place) }))
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

    fn element(&self, id: Dot) -> Result<(PlaceId, LocalDot), EditError> {
        let place = self.read().element(id).ok_or(EditError::NoSuchElement)?;
        let dot = self.at.read().state().origins.local(id).ok_or(EditError::NoSuchElement)?;
        Ok((place, dot))
    }

    fn element_of(&self, id: Dot, expected: Kind) -> Result<PlaceId, EditError> {
        let (place, _) = self.element(id)?;
        let found = self.at.read().state().view.place(place).kind;
        if found == expected { Ok(place) } else { Err(EditError::WrongKind { expected, found }) }
    }

    fn nth(&self, index: usize) -> Option<(LocalPosition, LocalDot)> {
        self.read().sequence()?.get(index)
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
        let left = index.checked_sub(1).and_then(|before| self.nth(before));
        let right = self.nth(index);
        // A new element lives and dies with the incarnation of what it was put next to.
        let neighbour = left.or(right).and_then(|(_, dot)| self.at.read().state().store.get(dot));
        let container = match neighbour {
            Some(live) if !fault::active(Fault::ElementIntoLowest) => live.container(),
            _ => self.at.tx.lowest(self.at.place)?,
        };
        let slot = self.at.tx.place_between(left.map(|left| left.0), right.map(|right| right.0))?;
        let dot = self.at.tx.add(Target { container, slot }, kind, true, payload)?;
        Ok(self.at.read().state().origins.dot(dot))
    }

    /// Removes the element `id`, with everything inside. O(log n) and what dies, and one dot.
    ///
    /// # Errors
    /// [`EditError::NoSuchElement`] when it is not in the list, or no longer.
    pub fn remove(&mut self, id: Dot) -> Result<(), EditError> {
        let (_, dot) = self.element(id)?;
        let entry = self.at.read().state().store.find(dot).ok_or(EditError::NoSuchElement)?;
        self.at.tx.remove(entry);
        Ok(())
    }

    /// Removes the element at `index`, with everything inside. O(log n) and what dies, and one dot.
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] when the index is beyond the end.
    pub fn remove_at(&mut self, index: usize) -> Result<(), EditError> {
        let len = self.read().len();
        let id = self.read().id_at(index).ok_or(EditError::OutOfRange { index, len })?;
        self.remove(id)
    }

    /// Removes every element seen; what is inserted concurrently stays. O(what dies · log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let mut ids = Vec::new();
        for id in self.read().ids() {
            ids.push(id);
        }
        for id in ids {
            self.remove(id)?;
        }
        Ok(())
    }

    /// Moves the element `id` so that it is at `index` afterwards; moving it to where it is is no edit. O(log n).
    ///
    /// # Errors
    /// [`EditError::NoSuchElement`] when it is not in the list, [`EditError::OutOfRange`] when the index is beyond the last element, and
    /// as [`ListMut::insert`].
    pub fn move_to(&mut self, id: Dot, index: usize) -> Result<(), EditError> {
        let (place, dot) = self.element(id)?;
        let len = self.read().len();
        if index >= len {
            return Err(EditError::OutOfRange { index, len });
        }
        let from = self.read().index_of(id).ok_or(EditError::NoSuchElement)?;
        if from == index {
            return Ok(());
        }
        // The neighbours it will have: the order without it, at `index - 1` and `index`.
        let other = |at: usize| if at < from { at } else { at + 1 };
        let left = index.checked_sub(1).and_then(|before| self.nth(other(before)));
        let right = self.nth(other(index));
        let slot = self.at.tx.place_between(left.map(|left| left.0), right.map(|right| right.0))?;
        let mut observed = Vec::new();
        if let Some(seat) = &self.at.read().state().view.place(place).seat {
            seat.moves.append_to(&mut observed);
        }
        for entry in observed.into_iter().filter(|_| !fault::active(Fault::MoveKeepsOld)) {
            self.at.tx.remove(entry);
        }
        let target = Target { container: LocalContainer::entity(dot), slot };
        self.at.tx.add(target, Kind::MOVE, false, Payload::Empty)?;
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
