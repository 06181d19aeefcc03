//! Sets where removing wins: permissions, invitations, whatever must stay taken away once somebody took it away.
//!
//! A value is a member while an addition of it lives and no mark of its removal does. Removing replaces the additions and
//! marks it has seen by one mark under a fresh dot, also when the value is removed already: that is what wins over a
//! concurrent addition. Adding replaces what it has seen by an addition; a value that is a member is not written again, since
//! no addition could win over anything by being newer.
//!
//! **The cost:** each value that was ever removed, and not added again, leaves one live entry, until the container that holds
//! the set is removed. A value that nobody added leaves nothing: removing it writes nothing.
//!
//! Not here: the set where adding wins, in [`crate::SetRef`], which keeps nothing of what was removed.

use alloc::vec::Vec;

use super::{At, AtMut};
use crate::document::{Content, DotsRef, EditError};
use crate::fault::{self, Fault};
use crate::ordered::sort_by;
use crate::store::{Kind, LocalSlot, Payload};
use crate::value::Value;

/// A remove-wins set, to read.
#[derive(Clone, Copy)]
pub struct RemoveWinsSetRef<'d> {
    at: At<'d>,
}

impl<'d> RemoveWinsSetRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    fn dots(&self, value: &Value) -> DotsRef<'d> {
        let Some(Content::Set(entries)) = self.at.content() else { return DotsRef::None };
        let state = self.at.state();
        entries.get(value.hash(state.seed), value, &state.store)
    }

    /// The members in no order.
    fn members(&self) -> Vec<&'d Value> {
        let mut members = Vec::new();
        if let Some(Content::Set(entries)) = self.at.content() {
            let state = self.at.state();
            for (value, dots) in entries.iter(&state.store) {
                if state.all_are(dots, Kind::MEMBER) {
                    members.push(value);
                }
            }
        }
        members
    }

    /// Whether `value` is a member. O(1).
    pub fn contains(&self, value: &Value) -> bool {
        self.at.state().all_are(self.dots(value), Kind::MEMBER)
    }

    /// The members in the order of values. Passes over what was removed, and sorts the members: O(n log n).
    pub fn iter(&self) -> impl Iterator<Item = &'d Value> + use<'d> {
        let mut members = self.members();
        sort_by(&mut members, |a, b| a.cmp(b));
        members.into_iter()
    }

    /// How many members there are. O(values ever added).
    pub fn len(&self) -> usize {
        self.members().len()
    }

    /// Whether there are none. O(values ever added).
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }
}

/// A remove-wins set, to edit.
#[derive(Debug)]
pub struct RemoveWinsSetMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

impl<'t, 'd> RemoveWinsSetMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    /// The set as it is now, to read.
    pub fn read(&self) -> RemoveWinsSetRef<'_> {
        RemoveWinsSetRef::at(self.at.read())
    }

    /// Adds a value, unless it is a member. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn add(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        let value = value.into();
        if self.read().contains(&value) { Ok(()) } else { self.write(value, Kind::MEMBER) }
    }

    /// Removes a value, also against additions that are made concurrently, and says whether it was a member. What nobody has
    /// added, as far as is known here, is not written down. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn remove(&mut self, value: &Value) -> Result<bool, EditError> {
        let was = self.read().contains(value);
        if fault::active(Fault::RemoveLeavesNoMark) {
            for dot in self.read().dots(value).to_vec() {
                self.at.tx.remove(dot);
            }
        } else if !self.read().dots(value).is_empty() {
            self.write(value.clone(), Kind::ABSENT)?;
        }
        Ok(was)
    }

    /// Removes every member seen. A value that is added concurrently, and was not seen, stays. O(members · log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let members: Vec<Value> = self.read().iter().cloned().collect();
        for value in &members {
            self.remove(value)?;
        }
        Ok(())
    }

    fn write(&mut self, value: Value, kind: Kind) -> Result<(), EditError> {
        let observed = self.read().dots(&value).to_vec();
        let hash = value.hash(self.at.read().state().seed);
        self.at.replace(&observed, |_| LocalSlot::Member(hash, value.clone()), kind, Payload::Empty)
    }
}
