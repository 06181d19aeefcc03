//! Running totals: what a replica keeps in a counter, and overwrites alone.
//!
//! A total stays in the incarnation it was made in, so that removing one of several incarnations takes away exactly the
//! increments made on it.
//!
//! Not here: reading counters and which incarnation is added to, in `crate::types`.

use super::transaction::{Target, Transaction};
use super::{Content, EditError};
use crate::clock::{Dot, LocalDot};
use crate::fault::{self, Fault};
use crate::store::{Kind, LocalContainer, Payload, Slot};

impl Transaction<'_> {
    /// Adds to this replica's running total in a live counter. O(log n).
    pub(crate) fn add_total(&mut self, container: LocalContainer, plus: u64, minus: u64) -> Result<(), EditError> {
        let own = self.own_total(container);
        let old = own.map_or((0, 0), |own| own.1);
        let (Some(plus), Some(minus)) = (old.0.checked_add(plus), old.1.checked_add(minus)) else {
            return Err(EditError::CounterOverflow);
        };
        self.has_room(1)?;
        if let Some((own, _)) = own {
            self.remove(own);
        }
        let target = Target { container, slot: Slot::Owner };
        let dot = self.add(target, Kind::TOTAL, false, Payload::Total { plus, minus })?;
        if let Some((own, old)) = own {
            self.total_overwrote(dot, own, old);
        }
        Ok(())
    }

    /// This replica's running total in a counter: the dot, the increments and the decrements.
    pub(super) fn own_total(&mut self, container: LocalContainer) -> Option<(LocalDot, (u64, u64))> {
        let me = self.origin();
        let state = &self.document().state;
        let Content::Counter(totals) = &state.view.place(state.view.container(container)?).content else { return None };
        let own = totals.range(LocalDot::new(me, 0)..=LocalDot::new(me, Dot::MAX_SEQ)).rev().copied().find(|dot| {
            let here = state.store.get(*dot).is_some_and(|live| live.container == container);
            here || fault::active(Fault::CounterMovesTotals)
        })?;
        match state.payload(own) {
            Payload::Total { plus, minus } => Some((own, (*plus, *minus))),
            _ => None,
        }
    }
}
