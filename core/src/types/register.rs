//! Registers: one value, overwritten as a whole.
//!
//! A write replaces every value it has seen. Values written without seeing each other are all kept; reading gives the one
//! with the greatest (stamp, replica id, seq), so the clock decides only between writes that causality leaves open.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{At, AtMut};
use crate::clock::LocalDot;
use crate::document::{Content, Document, Dots, EditError, Link};
use crate::fault::{self, Fault};
use crate::store::{Kind, Payload, Slot};
use crate::value::Value;

/// A register, to read.
#[derive(Clone, Copy, Debug)]
pub struct RegisterRef<'d> {
    document: &'d Document,
    dots: &'d Dots,
    /// The list element that holds the first value, hidden by any later write.
    first: Option<LocalDot>,
}

impl<'d> RegisterRef<'d> {
    pub(super) fn of(document: &'d Document, dots: &'d Dots, first: Option<LocalDot>) -> Self {
        Self { document, dots, first }
    }

    pub(super) fn at(at: At<'d>) -> Self {
        let dots = if let Some(Content::Unit(dots)) = at.content() { dots } else { &Dots::None };
        let first = at.place.and_then(|place| match at.state().view.place(place).link {
            Link::Element(_, dot) => Some(dot),
            _ => None,
        });
        Self::of(at.document, dots, first)
    }

    /// The value: among concurrent writes the one with the latest stamp. Nothing if it was never set. O(concurrent writes).
    pub fn get(&self) -> Option<Value> {
        let state = &self.document.state;
        state.value(state.winner(self.dots).or(self.first)?)
    }

    /// The values of all concurrent writes, the winner first. More than one is a conflict that a write settles.
    pub fn values(&self) -> Vec<Value> {
        let state = &self.document.state;
        match self.first {
            Some(first) if self.dots.is_empty() => state.values(&Dots::One(first)),
            Some(first) if fault::active(Fault::FirstValueStays) => {
                let mut values = state.values(self.dots);
                values.extend(state.values(&Dots::One(first)));
                values
            }
            _ => state.values(self.dots),
        }
    }
}

/// A register, to edit.
#[derive(Debug)]
pub struct RegisterMut<'t, 'd> {
    at: AtMut<'t, 'd>,
    /// The map key it is under; none for a root or a list element.
    key: Option<Arc<str>>,
}

impl<'t, 'd> RegisterMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at, key: None }
    }

    pub(super) fn under(at: AtMut<'t, 'd>, key: Arc<str>) -> Self {
        Self { at, key: Some(key) }
    }

    /// Sets the value. Every value seen so far is replaced; under a map key, like [`MapMut::put`](crate::MapMut::put), all
    /// that is seen there, of every kind. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn set(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        if let Some(key) = &self.key {
            let key = key.clone();
            return super::MapMut::at(self.at.reborrow(self.at.place)).put(&key, value);
        }
        let observed = RegisterRef::at(self.at.read()).dots.to_vec();
        self.at.replace(&observed, Slot::Unit, Kind::REGISTER, Payload::Value(value.into()))
    }
}
