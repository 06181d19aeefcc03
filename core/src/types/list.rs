//! Lists: elements in an order that everybody agrees on.
//!
//! An element is an entity, named for ever by the dot that created it: a plain value (a register) or a container. Its place
//! is an immutable position; moving it adds a later position under it, read like a register, so that two moves leave it at
//! one place. Removing it wins over moves and edits inside. Elements inserted between two others stay between them.

use alloc::vec::Vec;

use super::{
    At, AtMut, CounterMut, CounterRef, FlagMut, FlagRef, MapMut, MapRef, RegisterMut, RegisterRef, SetMut, SetRef,
};
use crate::clock::{Dot, LocalDot};
use crate::document::{Content, EditError, Link, PlaceId, Target};
use crate::fault::{self, Fault};
use crate::sequence::{LocalPosition, Sequence};
use crate::store::{Kind, LocalContainer, Payload};
use crate::value::Value;

/// A list, to read.
#[derive(Clone, Copy, Debug)]
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
    }

    fn sequence(&self) -> Option<&'d Sequence<LocalDot>> {
        if let Some(Content::List(sequence)) = self.at.content() { Some(sequence) } else { None }
    }

    fn element(&self, id: Dot) -> Option<PlaceId> {
        let state = self.at.state();
        let place = state.view.entity(state.origins.local(id)?)?;
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of the elements, in order.
    pub fn ids(&self) -> impl Iterator<Item = Dot> + use<'d> {
        const NONE: &Sequence<LocalDot> = &Sequence::new();
        let origins = &self.at.state().origins;
        self.sequence().unwrap_or(NONE).iter().map(|(_, dot)| origins.dot(dot))
    }

    /// The id of the element at `index`.
    pub fn id_at(&self, index: usize) -> Option<Dot> {
        let (_, dot) = self.sequence()?.get(index)?;
        Some(self.at.state().origins.dot(dot))
    }

    /// Where the element `id` is.
    pub fn index_of(&self, id: Dot) -> Option<usize> {
        let state = self.at.state();
        let seat = state.view.place(self.element(id)?).seat.as_ref()?;
        self.sequence()?.index_of(&state.forest, &state.origins, seat.current)
    }

    /// What kind of element `id` is. A plain value is a [`Kind::REGISTER`].
    pub fn kind(&self, id: Dot) -> Option<Kind> {
        self.element(id).map(|place| self.at.state().view.place(place).kind)
    }

    /// The plain value of the element `id`.
    pub fn value(&self, id: Dot) -> Option<Value> {
        self.element_of(id, Kind::REGISTER)?;
        self.register(id).get()
    }

    /// The plain value at `index`.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.value(self.id_at(index)?)
    }
}

/// A list, to edit.
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
    /// When the index is beyond the end, or the transaction is full.
    pub fn insert(&mut self, index: usize, value: impl Into<Value>) -> Result<Dot, EditError> {
        self.insert_element(index, Kind::REGISTER, Payload::Value(value.into()))
    }

    /// Appends a plain value and returns its id. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn push(&mut self, value: impl Into<Value>) -> Result<Dot, EditError> {
        self.insert(self.read().len(), value)
    }

    /// Inserts an empty container so that it is at `index`, and returns its id. O(log n).
    ///
    /// # Errors
    /// When the kind is not one a container can have, the index is beyond the end, or containers would nest too deep.
    pub fn insert_container(&mut self, index: usize, kind: Kind) -> Result<Dot, EditError> {
        if !kind.is_container() || kind == Kind::REGISTER {
            return Err(EditError::WrongKind { expected: Kind::MAP, found: kind });
        }
        self.at.tx.check_depth(self.at.place)?;
        self.insert_element(index, kind, Payload::Empty)
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
            Some(live) if !fault::active(Fault::ElementIntoLowest) => live.container,
            _ => self.at.tx.lowest(self.at.place)?,
        };
        let slot = self.at.tx.place_between(left.map(|left| left.0), right.map(|right| right.0))?;
        let dot = self.at.tx.add(Target { container, slot }, kind, true, payload)?;
        Ok(self.at.read().state().origins.dot(dot))
    }

    /// Removes the element `id`, with everything inside. O(log n) and what dies.
    ///
    /// # Errors
    /// When it is not in the list.
    pub fn remove(&mut self, id: Dot) -> Result<(), EditError> {
        let (_, dot) = self.element(id)?;
        self.at.tx.remove(dot);
        Ok(())
    }

    /// Removes the element at `index`.
    ///
    /// # Errors
    /// When the index is beyond the end.
    pub fn remove_at(&mut self, index: usize) -> Result<(), EditError> {
        let len = self.read().len();
        let id = self.read().id_at(index).ok_or(EditError::OutOfRange { index, len })?;
        self.remove(id)
    }

    /// Removes every element seen; what is inserted concurrently stays.
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let ids: Vec<Dot> = self.read().ids().collect();
        for id in ids {
            self.remove(id)?;
        }
        Ok(())
    }

    /// Moves the element `id` so that it is at `index` afterwards. O(log n).
    ///
    /// # Errors
    /// When it is not in the list, or the index is beyond the last element.
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
        let seat = self.at.read().state().view.place(place).seat.as_ref();
        let observed = seat.map_or(Vec::new(), |seat| seat.moves.to_vec());
        for dot in observed.into_iter().filter(|_| !fault::active(Fault::MoveKeepsOld)) {
            self.at.tx.remove(dot);
        }
        let target = Target { container: LocalContainer::Entity(dot), slot };
        self.at.tx.add(target, Kind::MOVE, false, Payload::Empty)?;
        Ok(())
    }

    /// Overwrites the plain value of the element `id`. O(log n).
    ///
    /// # Errors
    /// When it is not in the list, or is a container.
    pub fn put(&mut self, id: Dot, value: impl Into<Value>) -> Result<(), EditError> {
        self.register(id)?.set(value)
    }
}
