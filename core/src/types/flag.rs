//! Flags: on or off, where enabling wins.
//!
//! A flag is on while an enabling lives. Disabling removes the enablings it has seen, so one that it has not seen stays.
//! Enabling always takes a fresh dot, also when the flag is on: that is what survives a concurrent disabling.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{At, AtMut};
use crate::clock::LocalDot;
use crate::document::{Content, Dots, EditError};
use crate::fault::{self, Fault};
use crate::store::{Kind, Payload, Slot};

/// A flag, to read.
#[derive(Clone, Copy, Debug)]
pub struct FlagRef<'d> {
    dots: &'d Dots,
}

impl<'d> FlagRef<'d> {
    pub(super) fn of(dots: &'d Dots) -> Self {
        Self { dots }
    }

    pub(super) fn at(at: At<'d>) -> Self {
        Self { dots: if let Some(Content::Unit(dots)) = at.content() { dots } else { &Dots::None } }
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
    key: Option<Arc<str>>,
}

impl<'t, 'd> FlagMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at, key: None }
    }

    pub(super) fn under(at: AtMut<'t, 'd>, key: Arc<str>) -> Self {
        Self { at, key: Some(key) }
    }

    fn observed(&self) -> Vec<LocalDot> {
        let at = self.at.read();
        match &self.key {
            Some(key) => at.key(key).map_or(Vec::new(), |slot| slot.flags.to_vec()),
            None => FlagRef::at(at).dots.to_vec(),
        }
    }

    /// Whether it is on. O(1).
    pub fn is_enabled(&self) -> bool {
        !self.observed().is_empty()
    }

    /// Turns it on. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn enable(&mut self) -> Result<(), EditError> {
        if fault::active(Fault::EnableWithoutDot) && self.is_enabled() {
            return Ok(());
        }
        let slot = self.key.clone().map_or(Slot::Unit, Slot::Key);
        self.at.replace(&self.observed(), slot, Kind::FLAG, Payload::Empty)
    }

    /// Turns it off. O(log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn disable(&mut self) -> Result<(), EditError> {
        let all = if fault::active(Fault::DisablesOneOfMany) { 1 } else { usize::MAX };
        for dot in self.observed().into_iter().take(all) {
            self.at.tx.remove(dot);
        }
        Ok(())
    }
}
