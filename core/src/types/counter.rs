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
use crate::document::{Content, EditError, Target, Totals};
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, LocalContainer, LocalSlot, NONE, Payload, PayloadRef};

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
        if let Some(Content::Counter(totals)) = self.at.content() { totals.sum } else { 0 }
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
        let container = self.at.tx.lowest(self.at.place)?;
        let own = self.own(container);
        let old = match own.map(|own| self.at.read().state().store.live(own).payload()) {
            Some(PayloadRef::Total { plus, minus }) => (plus, minus),
            _ => (0, 0),
        };
        let size = amount.unsigned_abs();
        let (plus, minus) =
            if amount > 0 { (old.0.checked_add(size), Some(old.1)) } else { (Some(old.0), old.1.checked_add(size)) };
        let (Some(plus), Some(minus)) = (plus, minus) else { return Err(EditError::CounterOverflow) };
        if let Some(own) = own.filter(|own| self.at.tx.is_own(*own)) {
            // This transaction wrote it: it is the same total, grown.
            self.at.tx.total_again(own, plus, minus);
            self.totals().sum += i128::from(amount);
            return Ok(());
        }
        self.at.tx.has_room(1)?;
        if let Some(own) = own {
            self.at.tx.remove(own);
        }
        let target = Target { container, slot: LocalSlot::Owner };
        let dot = self.at.tx.add(target, Kind::TOTAL, false, Payload::Total { plus, minus })?;
        if own.is_some() {
            self.at.tx.total_overwrote(dot, old);
        }
        let own = self.at.read().state().store.find(dot).map_or(NONE, |own| own.0);
        self.totals().own = own;
        Ok(())
    }

    /// This writer's total in an incarnation. O(1) for whoever goes on counting, else O(totals).
    fn own(&mut self, container: LocalContainer) -> Option<EntryId> {
        let me = self.at.tx.origin();
        let at = self.at.read();
        let Some(Content::Counter(totals)) = at.content() else { return None };
        let store = &at.state().store;
        let is_own = |id: &EntryId| {
            let here = store.live(*id).container() == container || fault::active(Fault::CounterMovesTotals);
            here && store.dot(*id).origin() == me
        };
        // The hint may be of another incarnation, or of something else that lies there now.
        let hint = EntryId(totals.own);
        let hinted = totals.own != NONE && totals.dots.view().contains(hint);
        if hinted && is_own(&hint) { Some(hint) } else { totals.dots.view().iter().find(is_own) }
    }

    fn totals(&mut self) -> &mut Totals {
        match &mut self.at.tx.document.state.view.place_mut(self.at.place).content {
            Content::Counter(totals) => totals,
            _ => unreachable!("a counter's place holds totals"),
        }
    }
}
