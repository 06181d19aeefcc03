//! Counters: numbers that replicas add to, where every increment counts once.
//!
//! Each replica keeps one running total (its increments and its decrements) in the lowest live incarnation and overwrites it
//! alone; the value is the sum of all live totals. So a counter costs one entry a replica, however often it was changed, and
//! removing one of several incarnations takes away exactly the increments made on it.

use super::{At, AtMut};
use crate::clock::LocalDot;
use crate::document::{Content, EditError};
use crate::store::Payload;

/// A counter, to read.
#[derive(Clone, Copy, Debug)]
pub struct CounterRef<'d> {
    at: At<'d>,
}

impl<'d> CounterRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    /// The sum of everything added. O(replicas that added something).
    pub fn value(&self) -> i128 {
        let Some(Content::Counter(totals)) = self.at.content() else { return 0 };
        let state = self.at.state();
        let sum = |dot: &LocalDot| match state.payload(*dot) {
            Payload::Total { plus, minus } => i128::from(*plus) - i128::from(*minus),
            _ => 0,
        };
        totals.iter().map(sum).sum()
    }
}

/// A counter, to edit.
#[derive(Debug)]
pub struct CounterMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

impl<'t, 'd> CounterMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    /// The sum of everything added, this transaction included.
    pub fn value(&self) -> i128 {
        CounterRef::at(self.at.read()).value()
    }

    /// Adds `amount`, which may be negative. O(log n).
    ///
    /// # Errors
    /// [`EditError::CounterOverflow`] when this replica's running total would not fit 64 bits.
    pub fn add(&mut self, amount: i64) -> Result<(), EditError> {
        if amount == 0 {
            return Ok(());
        }
        let container = self.at.tx.lowest(self.at.place)?;
        let size = amount.unsigned_abs();
        let (plus, minus) = if amount > 0 { (size, 0) } else { (0, size) };
        self.at.tx.add_total(container, plus, minus)
    }
}
