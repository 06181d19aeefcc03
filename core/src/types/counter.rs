//! Counters: numbers that replicas add to, where every increment counts once.
//!
//! Each replica keeps one running total (its increments and its decrements) in the lowest live incarnation and overwrites it
//! alone; the value is the sum of all live totals. So a counter costs one entry a replica, however often it was changed, and
//! removing one of several incarnations takes away exactly the increments made on it.
//!
//! A running total for increments and one for decrements per replica is the PN-counter of Shapiro, Preguiça, Baquero and Zawirski, "A
//! comprehensive study of convergent and commutative replicated data types" (2011), section 3.1.3; that each is an entry of its own,
//! named by a dot, is what makes it removable.

use super::{At, AtMut};
use crate::document::{Content, EditError};
use crate::store::EntryId;

/// A counter, to read: a number to which every increment of every replica counts, once.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| tx.counter("votes")?.add(3))?;
/// doc.transact(Timestamp(2), |tx| tx.counter("votes")?.add(-1))?;
/// assert_eq!(doc.counter("votes").value(), 2);
/// assert_eq!(doc.live_count(), 1); // one entry a replica, whatever the history
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct CounterRef<'d> {
    at: At<'d>,
}

impl<'d> CounterRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    /// The sum of everything added, 0 if nothing was. O(1). It cannot overflow: each replica adds and takes away less than 2⁶⁴, and
    /// a document knows fewer than 2²⁰ replicas.
    pub fn value(&self) -> i128 {
        if let Some(Content::Counter(totals)) = self.at.content() { totals.sum.0 } else { 0 }
    }
}

/// A counter, to edit.
#[derive(Debug)]
pub struct CounterMut<'t, 'd> {
    at: AtMut<'t, 'd>,
    /// The total that this transaction writes, once it does: nothing else is edited as long as this handle is there.
    own: Option<EntryId>,
}

impl<'t, 'd> CounterMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at, own: None }
    }

    /// The sum of everything added, this transaction included. O(replicas that added something).
    pub fn value(&self) -> i128 {
        CounterRef::at(self.at.read()).value()
    }

    /// Adds `amount`, which may be negative; adding 0 is no edit. O(1) again and again, O(log n) for the first in a transaction.
    ///
    /// # Errors
    /// [`EditError::CounterOverflow`] when this replica's running total would not fit 64 bits, [`EditError::TooLarge`] when the
    /// transaction is full.
    pub fn add(&mut self, amount: i64) -> Result<(), EditError> {
        if amount == 0 {
            return Ok(());
        }
        let size = amount.unsigned_abs();
        let (plus, minus) = if amount > 0 { (size, 0) } else { (0, size) };
        if let Some(own) = self.own {
            return self.at.tx.grow_total(self.at.place, own, plus, minus);
        }
        self.own = Some(self.at.tx.add_total(self.at.place, None, plus, minus)?);
        Ok(())
    }
}
