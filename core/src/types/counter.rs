//! Counters: numbers that replicas add to, where every increment counts once.
//!
//! Each replica keeps one running total (its increments and its decrements) in the lowest live incarnation and overwrites it
//! alone; the value is the sum of all live totals. So a counter costs one entry a replica, however often it was changed, and
//! removing one of several incarnations takes away exactly the increments made on it.

use super::{At, AtMut};
use crate::clock::{Dot, LocalDot};
use crate::document::{Content, EditError, Target};
use crate::fault::{self, Fault};
use crate::store::{Kind, Payload, Slot};

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
            Payload::Total { plus, .. } if fault::active(Fault::CounterIgnoresMinus) => i128::from(*plus),
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
        let me = self.at.tx.origin();
        let at = self.at.read();
        let state = at.state();
        let own = match at.content() {
            Some(Content::Counter(totals)) if fault::active(Fault::CounterTakesOver) => totals.iter().next().copied(),
            Some(Content::Counter(totals)) => {
                totals.range(LocalDot::new(me, 0)..=LocalDot::new(me, Dot::MAX_SEQ)).rev().copied().find(|dot| {
                    let here = state.store.get(*dot).is_some_and(|live| live.container == container);
                    here || fault::active(Fault::CounterMovesTotals)
                })
            }
            _ => None,
        };
        let old = match own.map(|dot| state.payload(dot)) {
            Some(Payload::Total { plus, minus }) => (*plus, *minus),
            _ => (0, 0),
        };
        if own.is_some_and(|own| fault::active(Fault::CounterCountsOnce) && self.at.tx.is_own(own)) {
            return Ok(());
        }
        let size = amount.unsigned_abs();
        let (plus, minus) =
            if amount > 0 { (old.0.checked_add(size), Some(old.1)) } else { (Some(old.0), old.1.checked_add(size)) };
        let (Some(plus), Some(minus)) = (plus, minus) else { return Err(EditError::CounterOverflow) };
        self.at.tx.has_room(1)?;
        if let Some(own) = own {
            self.at.tx.remove(own);
        }
        let target = Target { container, slot: Slot::Owner };
        let dot = self.at.tx.add(target, Kind::TOTAL, false, Payload::Total { plus, minus })?;
        if let Some(own) = own {
            self.at.tx.total_overwrote(dot, own, old);
        }
        Ok(())
    }
}
