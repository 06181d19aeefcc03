//! Sets that only grow: what was seen, what was signed, who ever took part.
//!
//! There is no removal, so there is nothing to be concurrent with: adding a member again writes nothing, and the set costs one
//! live entry for each member. Only removing the container that holds the set takes anything away.
//!
//! Not here: sets whose members can be removed, in [`crate::SetRef`] and [`crate::RemoveWinsSetRef`].

use super::{At, AtMut, SetMut, SetRef};
use crate::document::EditError;
use crate::fault::{self, Fault};
use crate::value::Value;

/// A grow-only set, to read.
#[derive(Clone, Copy)]
pub struct GrowOnlySetRef<'d> {
    set: SetRef<'d>,
}

impl<'d> GrowOnlySetRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { set: SetRef::at(at) }
    }

    /// Whether `value` is a member. O(log n).
    pub fn contains(&self, value: &Value) -> bool {
        self.set.contains(value)
    }

    /// The members in the order of values.
    pub fn iter(&self) -> impl Iterator<Item = &'d Value> + use<'d> {
        self.set.iter()
    }

    /// How many members there are. O(1).
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}

/// A grow-only set, to edit.
#[derive(Debug)]
pub struct GrowOnlySetMut<'t, 'd> {
    set: SetMut<'t, 'd>,
}

impl<'t, 'd> GrowOnlySetMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { set: SetMut::at(at) }
    }

    /// The set as it is now, to read.
    pub fn read(&self) -> GrowOnlySetRef<'_> {
        GrowOnlySetRef { set: self.set.read() }
    }

    /// Adds a value and says whether it is new. What is a member is not written again. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn add(&mut self, value: impl Into<Value>) -> Result<bool, EditError> {
        let value = value.into();
        if self.read().contains(&value) && !fault::active(Fault::GrowOnlyAddsAgain) {
            return Ok(false);
        }
        self.set.add(value)?;
        Ok(true)
    }
}
