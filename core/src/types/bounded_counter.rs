//! Bounded counters: numbers that never go below their floor, whoever subtracts, offline too.
//!
//! For stock, seats, budgets: what there is of must not be given out twice, and nobody can be asked while offline. So the
//! right to subtract is itself divided among the replicas (Balegas et al., "Extending eventually consistent cloud databases
//! for enforcing numeric invariants", 2015; the idea is O'Neil's escrow of 1986). Adding gives the adder rights; subtracting
//! uses one's own up, and is refused without enough of them; a transfer hands some to another replica, which has them once it
//! has heard of it.
//!
//! Each replica has one entry in an incarnation, which it alone overwrites: all that it added, subtracted, and gave to whom.
//! Its rights there are `plus − minus − given + received`, the last as told by the entries of others. The value is the floor
//! and all rights of all live incarnations, which is the floor and every `plus − minus`, since transfers cancel out. The floor
//! is said by whoever creates the counter; it counts once, and of several live incarnations the greatest counts. A root has
//! the floor 0.
//!
//! # Why the value is never below the floor
//! Take a version, an incarnation that lives there, and a replica `i`. Entries die only with their incarnation or under the
//! next one of their owner. The live entry of `i` was written when `i` had at least 0 rights left *in this incarnation*
//! (ESC-2), by what it had received until then. Whoever covers that entry covers all that `i` had seen (CAUSAL-1), and
//! what others gave only grows (ESC-1), so `i` has at least 0 rights here as well; so has whoever only received. The sum over
//! all replicas is therefore at least 0 in each incarnation by itself, also when others die. That is why an edit which uses
//! rights of several incarnations writes into each of them no more than what is there, and why a transfer stays in the
//! incarnation its rights are of (ESC-3).
//!
//! # What it does not do
//! The rights of a replica that writes no more (a lost device, a retired id) are stranded: they count in the value, and nobody
//! can use them. A replica that lies can hand out rights that it does not have; where entries do not add up, negative rights
//! read as none, and the value as the floor, the same everywhere.
//!
//! A delta does not say what a replica's rights were before, as it does for running totals. Totals of two histories under one
//! id can be added up; rights cannot, for both histories have used up the same ones. A history that is given up as a fork
//! takes its rights with it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{At, AtMut};
use crate::document::{Content, DotsRef, EditError, Target, kept};
use crate::fault::{self, Fault};
use crate::ordered::{Map, sort_by};
use crate::replica_id::ReplicaId;
use crate::store::{EntryId, Kind, LocalContainer, LocalSlot, Payload, PayloadRef, Rights};

/// A bounded counter, to read.
#[derive(Clone, Copy)]
pub struct BoundedCounterRef<'d> {
    at: At<'d>,
}

impl<'d> BoundedCounterRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    /// The floor and all that was added and not subtracted. Never below the floor. O(incarnations).
    pub fn value(&self) -> i128 {
        let rights = if let Some(Content::Counter(totals)) = self.at.content() { totals.sum.0 } else { 0 };
        i128::from(self.floor()) + rights.max(0)
    }

    /// What the value never goes below: what the creator said, 0 if it said nothing. Of counters created concurrently under
    /// one key the greatest floor counts. O(incarnations).
    pub fn floor(&self) -> i64 {
        self.at.place.map_or(0, |place| self.at.state().floor(place))
    }

    /// What the writer of this document may subtract or give away; 0 without a writer. O(entries · log n).
    pub fn rights(&self) -> i128 {
        self.at.document.writer().map_or(0, |writer| self.rights_of(writer))
    }

    /// What `replica` may subtract or give away, as far as is known here. O(entries · log n).
    pub fn rights_of(&self, replica: ReplicaId) -> i128 {
        self.usable(replica).iter().map(|(_, rights)| rights).sum()
    }

    /// Who has rights, and how many, ascending by id: whom to ask for some. O(entries and transfers · log n).
    pub fn holders(&self) -> Vec<(ReplicaId, i128)> {
        let mut balances: Map<(ReplicaId, LocalContainer), i128> = Map::new();
        for (owner, container, entry) in self.entries() {
            *balances.get_or_insert_with((owner, container), || 0) += kept(entry);
            for (to, amount) in &entry.given {
                *balances.get_or_insert_with((*to, container), || 0) += i128::from(*amount);
            }
        }
        let mut holders: Vec<(ReplicaId, i128)> = Vec::new();
        for ((replica, _), rights) in balances.iter().filter(|(_, rights)| **rights > 0) {
            match holders.last_mut() {
                Some(last) if last.0 == *replica => last.1 += rights,
                _ => holders.push((*replica, *rights)),
            }
        }
        holders
    }

    fn dots(&self) -> DotsRef<'d> {
        if let Some(Content::Counter(totals)) = self.at.content() { totals.dots.view() } else { DotsRef::None }
    }

    /// Every entry with its owner and its incarnation.
    fn entries(&self) -> impl Iterator<Item = (ReplicaId, LocalContainer, &'d Rights)> + use<'d> {
        let state = self.at.state();
        self.dots().iter().filter_map(move |id| {
            let live = state.store.live(id);
            let PayloadRef::Rights(rights) = live.payload() else { return None };
            Some((state.origins.id(state.store.dot(id).origin()), live.container(), rights.as_ref()))
        })
    }

    /// What `replica` has in each incarnation where it has any, the lowest incarnation first.
    fn usable(&self, replica: ReplicaId) -> Vec<(LocalContainer, i128)> {
        let mut balances: Map<LocalContainer, i128> = Map::new();
        for (owner, container, entry) in self.entries() {
            let received = || entry.given.binary_search_by(|given| given.0.cmp(&replica)).ok();
            let change = if owner == replica || fault::active(Fault::RightsOfAll) {
                kept(entry)
            } else {
                received().and_then(|at| entry.given.get(at)).map_or(0, |given| i128::from(given.1))
            };
            *balances.get_or_insert_with(container, || 0) += change;
        }
        let mut usable = Vec::new();
        for (container, rights) in balances.iter().filter(|(_, rights)| **rights > 0) {
            usable.push((*container, *rights));
        }
        let origins = &self.at.state().origins;
        sort_by(&mut usable, |a, b| match (a.0.as_entity(), b.0.as_entity()) {
            (Some(a), Some(b)) => origins.compare(a, b),
            _ => a.0.cmp(&b.0),
        });
        usable
    }
}

/// A bounded counter, to edit.
///
/// ```
/// use weftline::{Document, EditError, ReplicaId, Timestamp};
///
/// let (shop, web) = (ReplicaId::from(1), ReplicaId::from(2));
/// let (mut at_shop, mut at_web) = (Document::with_writer(shop), Document::with_writer(web));
/// let stock = at_shop.transact(Timestamp(1), |tx| {
///     let mut stock = tx.bounded_counter("stock")?;
///     stock.add(10)?;
///     stock.transfer(web, 4)
/// })?;
/// at_web.apply(&stock.delta.expect("an edit"))?;
///
/// // Offline, either sells what it has the rights to, and no more.
/// let sold = at_web.transact(Timestamp(2), |tx| tx.bounded_counter("stock")?.subtract(4))?;
/// let refused = at_web.transact(Timestamp(3), |tx| tx.bounded_counter("stock")?.subtract(1));
/// assert_eq!(refused, Err(EditError::NotEnoughRights { wanted: 1, available: 0 }));
/// assert_eq!(at_web.bounded_counter("stock").value(), 6);
/// # let _ = sold;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BoundedCounterMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

/// What to do with some of one's own rights.
#[derive(Clone, Copy)]
enum Use {
    Add,
    Subtract,
    Give(ReplicaId),
}

impl<'t, 'd> BoundedCounterMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    /// The counter as it is now, to read.
    pub fn read(&self) -> BoundedCounterRef<'_> {
        BoundedCounterRef::at(self.at.read())
    }

    /// Adds `amount` to the value, and to this replica's rights. O(entries of this replica · log n).
    ///
    /// # Errors
    /// [`EditError::CounterOverflow`] when all that this replica ever added would not fit 64 bits.
    pub fn add(&mut self, amount: u64) -> Result<(), EditError> {
        let lowest = self.at.tx.lowest(self.at.place)?;
        self.write(&[(lowest, i128::from(amount))], amount, Use::Add)
    }

    /// Subtracts `amount`, if this replica has the rights to. They may be of several incarnations. O(entries · log n).
    ///
    /// # Errors
    /// [`EditError::NotEnoughRights`] if it has not, and nothing is changed; [`EditError::CounterOverflow`] when all that this
    /// replica ever subtracted would not fit 64 bits.
    pub fn subtract(&mut self, amount: u64) -> Result<(), EditError> {
        let usable = self.enough(amount)?;
        self.write(&usable, amount, Use::Subtract)
    }

    /// Gives `amount` of this replica's rights to another one, which need not have written anything yet. To itself it gives
    /// nothing. The value stays as it is. O(entries · log n).
    ///
    /// # Errors
    /// [`EditError::NotEnoughRights`] if this replica has fewer, and nothing is changed; [`EditError::NilReplica`] for the id
    /// that nobody has; [`EditError::CounterOverflow`] when all that was ever given to `to` would not fit 64 bits.
    pub fn transfer(&mut self, to: ReplicaId, amount: u64) -> Result<(), EditError> {
        if to == ReplicaId::NIL {
            return Err(EditError::NilReplica);
        }
        let usable = self.enough(amount)?;
        if self.at.tx.document().writer() == Some(to) {
            return Ok(());
        }
        self.write(&usable, amount, Use::Give(to))
    }

    /// The rights to use, if there are enough.
    fn enough(&self, wanted: u64) -> Result<Vec<(LocalContainer, i128)>, EditError> {
        let writer = self.at.tx.document().writer().ok_or(EditError::NoWriter)?;
        let usable = self.read().usable(writer);
        let available: i128 = usable.iter().map(|(_, rights)| rights).sum();
        if available < i128::from(wanted) {
            // Less than what fits 64 bits.
            return Err(EditError::NotEnoughRights { wanted, available: available as u64 });
        }
        Ok(usable)
    }

    /// Overwrites the own entry in one incarnation after the other, in each by no more than what is there (ESC-2). All new
    /// entries are worked out before the first is written, so that an error leaves everything as it was.
    fn write(&mut self, usable: &[(LocalContainer, i128)], amount: u64, what: Use) -> Result<(), EditError> {
        let own = self.own();
        let mut left = amount;
        let mut entries = Vec::new();
        for (container, rights) in usable {
            let part = if fault::active(Fault::RightsSpentAtOnce) { left } else { capped(*rights, left) };
            if part > 0 {
                let mut old = own.get(container).copied();
                if fault::active(Fault::RightsMoveIncarnations) {
                    old = own.values().next_back().copied();
                }
                let rights = self.changed(old, part, what).ok_or(EditError::CounterOverflow)?;
                entries.push((*container, old, rights));
                left -= part;
            }
        }
        self.at.tx.has_room(entries.len())?;
        for (container, old, rights) in entries {
            if let Some(old) = old {
                self.at.tx.remove(old);
            }
            let target = Target { container, slot: LocalSlot::Owner };
            self.at.tx.add(target, Kind::RIGHTS, false, Payload::Rights(Arc::new(rights)))?;
        }
        Ok(())
    }

    /// This replica's entries by incarnation.
    fn own(&mut self) -> Map<LocalContainer, EntryId> {
        let me = self.at.tx.origin();
        let read = self.read();
        let mut own = Map::new();
        let store = &read.at.state().store;
        for id in read.dots().iter() {
            if store.dot(id).origin() == me {
                own.insert(store.live(id).container(), id);
            }
        }
        own
    }

    /// An entry with `amount` more of something; nothing if that does not fit 64 bits.
    fn changed(&self, old: Option<EntryId>, amount: u64, what: Use) -> Option<Rights> {
        let mut rights = match old.map(|id| self.at.read().state().store.live(id).payload()) {
            Some(PayloadRef::Rights(rights)) => rights.as_ref().clone(),
            _ => Rights::default(),
        };
        let total = match what {
            Use::Add => &mut rights.plus,
            Use::Subtract => &mut rights.minus,
            Use::Give(to) => {
                let at = rights.given.binary_search_by(|given| given.0.cmp(&to)).unwrap_or_else(|at| {
                    rights.given.insert(at, (to, 0));
                    at
                });
                &mut rights.given.get_mut(at)?.1
            }
        };
        *total = total.checked_add(amount)?;
        Some(rights)
    }
}

/// The lesser of the two; `rights` is not negative.
fn capped(rights: i128, left: u64) -> u64 {
    u64::try_from(rights).map_or(left, |rights| rights.min(left))
}
