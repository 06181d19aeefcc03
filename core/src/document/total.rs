//! What a replica keeps in a counter and overwrites alone: its running total, and in a bounded counter its rights.
//!
//! A total stays in the incarnation it was made in, so that removing one of several incarnations takes away exactly the
//! increments made on it. So do rights (ESC-3).
//!
//! Not here: reading counters, which incarnation is added to, and giving rights away, in `crate::types`.

use alloc::sync::Arc;

use super::transaction::{Target, Transaction};
use super::view::Incarnations;
use super::{Content, EditError, PlaceId, Totals};
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, LocalContainer, LocalSlot, NONE, Payload, PayloadRef, Rights};

impl Transaction<'_> {
    /// Adds to this replica's running total in an incarnation of a counter, if none is said in the lowest. O(1) for whoever
    /// goes on counting, else O(totals).
    pub(crate) fn add_total(
        &mut self,
        place: PlaceId,
        container: Option<LocalContainer>,
        plus: u64,
        minus: u64,
    ) -> Result<EntryId, EditError> {
        let state = &self.document.state;
        let container = match container {
            // All that is in its only incarnation is where it is to be.
            None if !matches!(state.view.place(place).incarnations, Incarnations::Many(_)) => None,
            None => Some(self.lowest(place)?),
            said => said,
        };
        let own = self.own_total_in(place, container);
        let (own, old) = own.map_or((None, (0, 0)), |own| (Some(own.0), own.1));
        let (Some(all), Some(less)) = (old.0.checked_add(plus), old.1.checked_add(minus)) else {
            return Err(EditError::CounterOverflow);
        };
        if let Some(own) = own.filter(|own| self.is_own(*own)) {
            self.grow_total(place, own, plus, minus)?;
            return Ok(own);
        }
        let payload = Payload::Total { plus: all, minus: less };
        if let Some(own) = own.filter(|_| !fault::active(Fault::CounterMovesTotals)) {
            let dot = self.overwrite(place, own, payload)?;
            self.total_overwrote(dot, old);
            self.totals(place).own = own.0;
            return Ok(own);
        }
        self.has_room(1)?;
        if let Some(elsewhere) = own {
            self.remove(elsewhere);
        }
        let container = container.map_or_else(|| self.lowest(place), Ok)?;
        let target = Target { container, slot: LocalSlot::Owner };
        self.add(target, Kind::TOTAL, false, payload)?;
        let own = self.last_added().ok_or(EditError::Gone)?;
        self.totals(place).own = own.0;
        Ok(own)
    }

    /// Adds to a running total that this transaction wrote: it is the same total, grown. O(1).
    pub(crate) fn grow_total(&mut self, place: PlaceId, own: EntryId, plus: u64, minus: u64) -> Result<(), EditError> {
        debug_assert!(self.is_own(own), "DOT-1: others may have seen it");
        if fault::active(Fault::CounterCountsOnce) {
            return Ok(());
        }
        if fault::active(Fault::CounterForgetsBefore)
            && let PayloadRef::Total { plus, minus } = self.document.state.store.live(own).payload()
        {
            self.total_overwrote(self.document.state.store.dot(own), (plus, minus));
        }
        let live = self.document.state.store.live_mut(own);
        live.grow_total(plus, minus).ok_or(EditError::CounterOverflow)?;
        if !fault::active(Fault::SumKeepsOld) {
            self.totals(place).sum.0 += i128::from(plus) - i128::from(minus);
        }
        Ok(())
    }

    /// This replica's running total in an incarnation: the entry, the increments and the decrements.
    pub(super) fn own_total(&mut self, place: PlaceId, container: LocalContainer) -> Option<(EntryId, (u64, u64))> {
        self.own_total_in(place, Some(container))
    }

    /// The same, where it does not matter in which incarnation if none is said.
    fn own_total_in(&mut self, place: PlaceId, container: Option<LocalContainer>) -> Option<(EntryId, (u64, u64))> {
        let me = self.origin();
        let state = &self.document.state;
        let Content::Counter(totals) = &state.view.place(place).content else { return None };
        let is_own = |id: &EntryId| {
            let here = container.is_none_or(|container| state.store.live(*id).container() == container);
            (here || fault::active(Fault::CounterMovesTotals))
                && (state.store.dot(*id).origin() == me || fault::active(Fault::CounterTakesOver))
        };
        // The hint may be of another incarnation, or of something else that lies there now.
        let hint = EntryId(totals.own);
        let hinted = totals.own != NONE && totals.dots.view().contains(hint);
        let believed = fault::active(Fault::HintBelieved) && totals.own != NONE;
        let own =
            if believed || hinted && is_own(&hint) { Some(hint) } else { totals.dots.view().iter().find(is_own) }?;
        match state.store.live(own).payload() {
            PayloadRef::Total { plus, minus } => Some((own, (plus, minus))),
            _ => Some((own, (0, 0))),
        }
    }

    fn totals(&mut self, place: PlaceId) -> &mut Totals {
        match &mut self.document.state.view.place_mut(place).content {
            Content::Counter(totals) => totals,
            _ => unreachable!("a counter's place holds totals"),
        }
    }

    /// Adds to the value of a bounded counter in one incarnation, or subtracts from it as much as this replica's rights
    /// there allow (ESC-2). O(entries).
    pub(super) fn change_rights(
        &mut self,
        place: PlaceId,
        container: LocalContainer,
        (plus, minus): (u64, u64),
    ) -> Result<(), EditError> {
        let me = self.origin();
        let state = &self.document.state;
        let Content::Counter(totals) = &state.view.place(place).content else { return Ok(()) };
        let id = state.origins.id(me);
        let (mut own, mut rights, mut available) = (None, Rights::default(), 0);
        for entry in totals.dots.view().iter() {
            let live = state.store.live(entry);
            let PayloadRef::Rights(of) = live.payload() else { continue };
            if live.container() != container {
                continue;
            }
            if state.store.dot(entry).origin() == me {
                available += kept(of);
                (own, rights) = (Some(entry), of.as_ref().clone());
            } else {
                available +=
                    of.given.iter().filter(|given| given.0 == id).map(|given| i128::from(given.1)).sum::<i128>();
            }
        }
        let minus = u64::try_from(available.max(0)).map_or(minus, |available| minus.min(available));
        let (Some(all), Some(less)) = (rights.plus.checked_add(plus), rights.minus.checked_add(minus)) else {
            return Err(EditError::CounterOverflow);
        };
        if plus == 0 && minus == 0 {
            return Ok(());
        }
        (rights.plus, rights.minus) = (all, less);
        self.has_room(1)?;
        if let Some(own) = own {
            self.remove(own);
        }
        let target = Target { container, slot: LocalSlot::Owner };
        self.add(target, Kind::RIGHTS, false, Payload::Rights(Arc::new(rights))).map(drop)
    }
}

/// What an owner kept of what it added.
pub(crate) fn kept(entry: &Rights) -> i128 {
    let mut kept = i128::from(entry.plus) - i128::from(entry.minus);
    for (_, amount) in &entry.given {
        if !fault::active(Fault::GivenRightsKept) {
            kept -= i128::from(*amount);
        }
    }
    kept
}
