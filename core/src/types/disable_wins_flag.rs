//! Flags where disabling wins: consent that anybody can withdraw, an alarm that anybody can silence.
//!
//! Off by default. A flag is on while an enabling lives and no disabling does. Disabling always leaves a mark under a fresh
//! dot, also when the flag is off: that is what wins over a concurrent enabling, and what the flag costs while it is off, one
//! live entry. Enabling takes away the marks that it has seen; where the flag is on already it writes nothing, since no
//! enabling could win over anything by being newer.
//!
//! Not here: the flag where enabling wins, in [`crate::FlagRef`], which costs nothing while it is off.

use super::{At, AtMut};
use crate::document::{Content, DotsRef, EditError};
use crate::fault::{self, Fault};
use crate::store::{Kind, LocalSlot, Payload};

/// A disable-wins flag, to read.
#[derive(Clone, Copy)]
pub struct DisableWinsFlagRef<'d> {
    at: At<'d>,
}

impl<'d> DisableWinsFlagRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    fn dots(&self) -> DotsRef<'d> {
        if let Some(Content::Unit(dots)) = self.at.content() { dots.view() } else { DotsRef::None }
    }

    /// Whether it is on. O(concurrent edits · log n).
    pub fn is_enabled(&self) -> bool {
        self.at.state().all_are(self.dots(), Kind::FLAG)
    }
}

/// A disable-wins flag, to edit.
#[derive(Debug)]
pub struct DisableWinsFlagMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

impl<'t, 'd> DisableWinsFlagMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    /// The flag as it is now, to read.
    pub fn read(&self) -> DisableWinsFlagRef<'_> {
        DisableWinsFlagRef::at(self.at.read())
    }

    /// Turns it on, unless it is. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn enable(&mut self) -> Result<(), EditError> {
        if self.read().is_enabled() { Ok(()) } else { self.write(Kind::FLAG) }
    }

    /// Turns it off, also against enablings that are made concurrently. O(log n).
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn disable(&mut self) -> Result<(), EditError> {
        if fault::active(Fault::DisableLeavesNoMark) {
            for dot in self.read().dots().to_vec() {
                self.at.tx.remove(dot);
            }
            return Ok(());
        }
        self.write(Kind::DISABLED)
    }

    fn write(&mut self, kind: Kind) -> Result<(), EditError> {
        let observed = self.read().dots().to_vec();
        self.at.replace(&observed, |_| LocalSlot::Unit, kind, Payload::Empty)
    }
}
