//! Flags: on or off, where enabling wins.
//!
//! A flag is on while an enabling lives. Disabling removes the enablings it has seen, so one that it has not seen stays.
//! Enabling always takes a fresh dot, also when the flag is on: that is what survives a concurrent disabling. It is the add-wins set
//! of one member (see `set`).

use alloc::vec::Vec;

use super::{At, AtMut};
use crate::document::{Content, DotsRef, EditError, State};
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, LocalSlot, Payload};
use crate::string::Str;

/// A flag, to read: on while an enabling lives that no disabling has seen.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| tx.map("todo")?.enable("done"))?;
/// assert!(doc.map("todo").flag("done").is_enabled());
/// doc.transact(Timestamp(2), |tx| tx.map("todo")?.disable("done"))?;
/// assert!(!doc.map("todo").flag("done").is_enabled());
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct FlagRef<'d> {
    dots: DotsRef<'d>,
}

impl<'d> FlagRef<'d> {
    pub(super) fn of(dots: DotsRef<'d>) -> Self {
        Self { dots }
    }

    pub(super) fn at(at: At<'d>) -> Self {
        Self { dots: if let Some(Content::Unit(dots)) = at.content() { dots.view() } else { DotsRef::None } }
    }

    /// Whether it is on. O(1).
    pub fn is_enabled(&self) -> bool {
        !self.dots.is_empty()
    }
}

/// A flag, to edit.
#[derive(Debug)]
pub struct FlagMut<'t, 'd> {
    at: AtMut<'t, 'd>,
    /// The map key it is under; none for a root or a list element.
    key: Option<Str>,
}

impl<'t, 'd> FlagMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at, key: None }
    }

    pub(super) fn under(at: AtMut<'t, 'd>, key: Str) -> Self {
        Self { at, key: Some(key) }
    }

    fn observed(&self) -> Vec<EntryId> {
        let at = self.at.read();
        match &self.key {
            Some(key) => at.key(key).map_or(Vec::new(), |slot| slot.flags().to_vec()),
            None => FlagRef::at(at).dots.to_vec(),
        }
    }

    /// Whether it is on. O(1).
    pub fn is_enabled(&self) -> bool {
        !self.observed().is_empty()
    }

    /// Turns it on; where it is on already, once more, so that a disabling elsewhere does not win. O(log n).
    ///
    /// # Errors
    /// [`EditError::TooLarge`] when the transaction is full.
    pub fn enable(&mut self) -> Result<(), EditError> {
        let observed = self.observed();
        if fault::active(Fault::EnableWithoutDot) && !observed.is_empty() {
            return Ok(());
        }
        if let [one] = observed.as_slice()
            && self.at.tx.is_own(*one)
        {
            // This transaction enabled it: nothing is fresher.
            return Ok(());
        }
        let key = self.key.clone();
        let slot = |state: &mut State| match &key {
            Some(key) => LocalSlot::Key(state.keys.acquire(state.seed, key)),
            None => LocalSlot::Unit,
        };
        self.at.replace(&observed, &slot, Kind::FLAG, Payload::Empty)
    }

    /// Turns it off, as far as it was seen on; nothing happens where it is off. O(enablings seen · log n), almost always one.
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn disable(&mut self) -> Result<(), EditError> {
        let all = if fault::active(Fault::DisablesOneOfMany) { 1 } else { usize::MAX };
        for id in self.observed().into_iter().take(all) {
            self.at.tx.remove(id);
        }
        Ok(())
    }
}
