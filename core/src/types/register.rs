//! Registers: one value, overwritten as a whole.
//!
//! A write replaces every value it has seen. Values written without seeing each other are all kept; reading gives the one
//! with the greatest (stamp, replica id, seq), so the clock decides only between writes that causality leaves open. It is the
//! multi-value register of Shapiro, Preguiça, Baquero and Zawirski, "A comprehensive study of convergent and commutative replicated
//! data types" (2011), section 3.2.2, with dots for its version vectors.

use alloc::vec::Vec;

use super::{At, AtMut};
use crate::document::{Content, Document, DotsRef, EditError, Link};
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, LocalSlot, Payload};
use crate::string::Str;
use crate::value::Value;

/// A register, to read: one value, or those of concurrent writes until the next one.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// let mut other = Document::with_writer(ReplicaId::from(2));
/// doc.transact(Timestamp(1), |tx| tx.register("title")?.set("mine"))?;
/// let there = other.transact(Timestamp(2), |tx| tx.register("title")?.set("theirs"))?;
/// doc.apply(&there.delta.expect("an edit")).expect("it fits");
/// assert_eq!(doc.register("title").values(), ["theirs".into(), "mine".into()]); // a conflict, the winner first
/// assert_eq!(doc.register("title").get_as(), Some("theirs"));
/// doc.transact(Timestamp(3), |tx| tx.register("title")?.set("settled"))?;
/// assert_eq!(doc.register("title").values(), ["settled".into()]);
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct RegisterRef<'d> {
    document: &'d Document,
    dots: DotsRef<'d>,
    /// The list element that holds the first value, hidden by any later write.
    first: Option<EntryId>,
}

impl<'d> RegisterRef<'d> {
    pub(super) fn of(document: &'d Document, dots: DotsRef<'d>, first: Option<EntryId>) -> Self {
        Self { document, dots, first }
    }

    /// A plain value of a list.
    pub(super) fn element(document: &'d Document, id: EntryId) -> Self {
        match document.state.entity_at(id) {
            Some(place) => Self::at(At { document, place: Some(place) }),
            None => Self::of(document, DotsRef::None, Some(id)),
        }
    }

    pub(super) fn at(at: At<'d>) -> Self {
        let dots = if let Some(Content::Unit(dots)) = at.content() { dots.view() } else { DotsRef::None };
        let first = at.place.and_then(|place| match at.state().view.place(place).link {
            Link::Element(_, dot) => at.state().store.find(dot),
            _ => None,
        });
        Self::of(at.document, dots, first)
    }

    /// The value: among concurrent writes the one with the latest stamp. Nothing if it was never set. O(concurrent writes).
    pub fn get(&self) -> Option<Value> {
        self.get_ref().cloned()
    }

    /// The value, borrowed: what [`RegisterRef::get`] gives. O(concurrent writes).
    pub fn get_ref(&self) -> Option<&'d Value> {
        let state = &self.document.state;
        state.value_of(state.winner(self.dots).or(self.first)?)
    }

    /// The value as a Rust type: `bool`, `i64`, `i32`, `u32`, `u64`, `f64`, `&str`, `String`, `&[u8]` or any other that can be
    /// made of a `&Value`. O(concurrent writes).
    ///
    /// Nothing if the register was never set, and nothing if its value is of another type or out of range: another version of an
    /// application may have written anything. [`RegisterRef::get_ref`] tells the two apart.
    pub fn get_as<T: TryFrom<&'d Value>>(&self) -> Option<T> {
        T::try_from(self.get_ref()?).ok()
    }

    /// The values of all concurrent writes, the winner first. More than one is a conflict that a write settles.
    /// O(w · log w) for w concurrent writes.
    pub fn values(&self) -> Vec<Value> {
        let mut values = Vec::new();
        self.each_value(&mut |value| values.push(value.clone()));
        values
    }

    /// The values of all concurrent writes, borrowed: what [`RegisterRef::values`] gives.
    pub fn values_ref(&self) -> Vec<&'d Value> {
        let mut values = Vec::new();
        self.each_value(&mut |value| values.push(value));
        values
    }

    fn each_value(&self, take: &mut dyn FnMut(&'d Value)) {
        let state = &self.document.state;
        match self.first {
            Some(first) if self.dots.is_empty() => state.each_value(DotsRef::One(first), take),
            Some(first) if fault::active(Fault::FirstValueStays) => {
                state.each_value(self.dots, take);
                state.each_value(DotsRef::One(first), take);
            }
            _ => state.each_value(self.dots, take),
        }
    }
}

/// A register, to edit.
#[derive(Debug)]
pub struct RegisterMut<'t, 'd> {
    at: AtMut<'t, 'd>,
    /// The map key it is under; none for a root or a list element.
    key: Option<Str>,
}

impl<'t, 'd> RegisterMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at, key: None }
    }

    pub(super) fn under(at: AtMut<'t, 'd>, key: Str) -> Self {
        Self { at, key: Some(key) }
    }

    /// Sets the value. Every value seen so far is replaced; under a map key, like [`MapMut::put`](crate::MapMut::put), all
    /// that is seen there, of every kind. O(log n) and what is replaced.
    ///
    /// # Errors
    /// [`EditError::TooLarge`] when the transaction is full.
    pub fn set(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        if let Some(key) = &self.key {
            let key = key.clone();
            return super::MapMut::at(self.at.reborrow(self.at.place)).put(&key, value);
        }
        let observed = RegisterRef::at(self.at.read()).dots.to_vec();
        self.at.replace(&observed, &|_| LocalSlot::Unit, Kind::REGISTER, Payload::Value(value.into()))
    }
}
