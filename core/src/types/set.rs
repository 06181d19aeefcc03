//! Sets: distinct values, where adding wins.
//!
//! A value is a member while an addition of it lives. Removing takes away the additions it has seen; one that it has not
//! seen stays. Adding always takes a fresh dot, also when the value is a member: that is what survives a concurrent removal.

use alloc::vec::Vec;

use super::{At, AtMut};
use crate::document::{Content, Dots, EditError};
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::store::{Kind, Payload, Slot};
use crate::value::Value;

/// A set, to read.
#[derive(Clone, Copy, Debug)]
pub struct SetRef<'d> {
    at: At<'d>,
}

impl<'d> SetRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    fn dots(&self, value: &Value) -> &'d Dots {
        match self.at.content() {
            Some(Content::Set(members)) => members.get(value).unwrap_or(&Dots::None),
            _ => &Dots::None,
        }
    }

    /// Whether `value` is a member. O(log n).
    pub fn contains(&self, value: &Value) -> bool {
        !self.dots(value).is_empty()
    }

    /// The members in the order of values.
    pub fn iter(&self) -> impl Iterator<Item = &'d Value> + use<'d> {
        const NONE: &Map<Value, Dots> = &Map::new();
        let members = if let Some(Content::Set(members)) = self.at.content() { members } else { NONE };
        members.keys()
    }

    /// How many members there are. O(1).
    pub fn len(&self) -> usize {
        if let Some(Content::Set(members)) = self.at.content() { members.len() } else { 0 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A set, to edit.
#[derive(Debug)]
pub struct SetMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

impl<'t, 'd> SetMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    /// The set as it is now, to read.
    pub fn read(&self) -> SetRef<'_> {
        SetRef::at(self.at.read())
    }

    /// Adds a value. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn add(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        let value = value.into();
        let observed = self.read().dots(&value).to_vec();
        if fault::active(Fault::AddWithoutDot) && !observed.is_empty() {
            return Ok(());
        }
        self.at.replace(&observed, Slot::Member(value), Kind::MEMBER, Payload::Empty)
    }

    /// Removes a value and says whether it was a member. O(log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn remove(&mut self, value: &Value) -> Result<bool, EditError> {
        let observed = self.read().dots(value).to_vec();
        for dot in observed.iter().take(if fault::active(Fault::RemovesOneOfMany) { 1 } else { usize::MAX }) {
            self.at.tx.remove(*dot);
        }
        Ok(!observed.is_empty())
    }

    /// Removes every member seen; what is added concurrently stays. O(members · log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let members: Vec<Value> = self.read().iter().cloned().collect();
        for value in members.iter().take(if fault::active(Fault::ClearRemovesFirst) { 1 } else { usize::MAX }) {
            self.remove(value)?;
        }
        Ok(())
    }
}
