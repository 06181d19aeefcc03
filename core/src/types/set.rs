//! Sets: distinct values, where adding wins.
//!
//! A value is a member while an addition of it lives. Removing takes away the additions it has seen; one that it has not
//! seen stays. Adding always takes a fresh dot, also when the value is a member: that is what survives a concurrent removal. It is the
//! observed-remove set without tombstones of Bieniusa, Zawirski, Preguiça, Shapiro, Baquero, Balegas and Duarte, "An optimized
//! conflict-free replicated set" (2012), where a version vector tells what was removed from what was never seen.

use alloc::vec::Vec;

use super::{At, AtMut};
use crate::document::{Content, DotsRef, EditError};
use crate::fault::{self, Fault};
use crate::ordered::sort_by;
use crate::store::{Kind, LocalSlot, Payload};
use crate::value::Value;

/// A set, to read: distinct [`Value`]s, in their order.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| {
///     let mut tags = tx.set("tags")?;
///     tags.add("home")?;
///     tags.add("urgent")?;
///     tags.remove(&"home".into())
/// })?;
/// assert!(doc.set("tags").contains(&"urgent".into()));
/// assert!(doc.set("tags").iter().eq([&"urgent".into()]));
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct SetRef<'d> {
    at: At<'d>,
}

impl<'d> SetRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    fn hash(&self, value: &Value) -> u32 {
        value.hash(self.at.state().seed)
    }

    fn dots(&self, hash: u32, value: &Value) -> DotsRef<'d> {
        let Some(Content::Set(members)) = self.at.content() else { return DotsRef::None };
        members.get(hash, value, &self.at.state().store)
    }

    /// Whether `value` is a member. O(1).
    pub fn contains(&self, value: &Value) -> bool {
        !self.dots(self.hash(value), value).is_empty()
    }

    /// The members, borrowed, in the order of [`Value`]s: the same everywhere. O(n log n), to sort them.
    pub fn iter(&self) -> impl Iterator<Item = &'d Value> + use<'d> {
        let mut sorted = Vec::new();
        if let Some(Content::Set(members)) = self.at.content() {
            sorted.reserve_exact(members.len());
            for (member, _) in members.iter(&self.at.state().store) {
                sorted.push(member);
            }
            sort_by(&mut sorted, |a, b| a.cmp(b));
        }
        sorted.into_iter()
    }

    /// How many members there are. O(1).
    pub fn len(&self) -> usize {
        if let Some(Content::Set(members)) = self.at.content() { members.len() } else { 0 }
    }

    /// Whether there are none. O(1).
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

    /// Adds a value; where it is a member already, once more, so that a removal elsewhere does not win. O(log n).
    ///
    /// # Errors
    /// [`EditError::TooLarge`] when the transaction is full.
    pub fn add(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        let value = value.into();
        let hash = self.read().hash(&value);
        let observed = self.read().dots(hash, &value);
        let lone = observed.lone();
        if fault::active(Fault::AddWithoutDot) && !observed.is_empty() {
            return Ok(());
        }
        if lone.is_some_and(|one| self.at.tx.is_own(one)) {
            // This transaction added it: nothing is fresher.
            return Ok(());
        }
        if let Some(lone) = lone.filter(|_| self.at.in_place()) {
            return self.at.tx.overwrite(self.at.place, lone, Payload::Empty).map(drop);
        }
        let observed = observed.to_vec();
        self.at.replace(&observed, &|_| LocalSlot::Member(hash, value.clone()), Kind::MEMBER, Payload::Empty)
    }

    /// Removes a value, as far as its additions were seen, and says whether it was a member. O(additions seen · log n), almost always
    /// one.
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn remove(&mut self, value: &Value) -> Result<bool, EditError> {
        let observed = self.read().dots(self.read().hash(value), value);
        if let Some(lone) = observed.lone() {
            self.at.tx.remove(lone);
            return Ok(true);
        }
        let observed = observed.to_vec();
        for id in observed.iter().take(if fault::active(Fault::RemovesOneOfMany) { 1 } else { usize::MAX }) {
            self.at.tx.remove(*id);
        }
        Ok(!observed.is_empty())
    }

    /// Removes every member seen; what is added concurrently stays. O(members · log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let mut members = Vec::new();
        for member in self.read().iter() {
            members.push(member.clone());
            if fault::active(Fault::ClearRemovesFirst) {
                break;
            }
        }
        for value in &members {
            self.remove(value)?;
        }
        Ok(())
    }
}
