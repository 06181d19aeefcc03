//! Taking a step back: the edits of an undo.
//!
//! First what the step added goes, as far as it is one's own still; then what it killed comes back, containers before
//! their contents; then what it added to counters is taken off. Every kind of entry comes back as it was but for two: a
//! position is given anew, and the running totals of a counter become one of this replica.

use alloc::vec::Vec;

use super::super::transaction::{Target, Transaction};
use super::super::{EditError, State};
use super::Role;
use super::place::Placed;
use super::record::{Amount, Killed, Mover, Step, is_read_as_one, net, newest};
use crate::clock::{Dot, LocalDot};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::store::{Kind, Live, LocalContainer, Payload, Slot};

/// The undo of one group of steps.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// What came back, by the dot it had.
    pub(super) fresh: Map<LocalDot, LocalDot>,
    /// Fresh dots of what others wrote.
    pub(super) copies: Set<LocalDot>,
}

impl Replay {
    /// Takes one step back, as part of the open transaction.
    pub(super) fn take_back(&mut self, tx: &mut Transaction<'_>, step: &Step) -> Result<(), EditError> {
        // What lives and who removed what is asked before anything changes.
        let mut waiting: Vec<&Killed> = Vec::new();
        let removed = removed_by_others(tx, step);
        for killed in &step.killed {
            let Killed { dot, live, replaced_by, .. } = killed;
            let overwritten = replaced_by.is_some_and(|by| !self.lives(tx, by));
            // Values inside of what died come back as they were, also those that others have overwritten there in vain.
            let inside = tx.document().state.view.container(self.now(live.container)).is_none();
            let removed = removed.contains(dot) && (live.entity || !inside);
            if fault::active(Fault::UndoResurrects) || !overwritten && !removed {
                waiting.push(killed);
            }
        }
        let mut mine = Set::new();
        for dot in &step.added {
            mine.insert(newest(&self.fresh, *dot));
        }
        let mut back: Vec<&Mover> = Vec::new();
        for mover in &step.movers {
            if self.lives(tx, mover.by) {
                back.push(mover);
            }
        }
        self.remove_added(tx, step, &mine);
        let mut placed = Placed::default();
        for mover in back {
            self.move_back(tx, step, mover, &mut placed)?;
        }
        // A container comes back before what is in it. Stamps mostly say so; where clocks ran apart, it takes another round.
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            for killed in waiting {
                if !self.restore(tx, step, killed, &mut placed)? {
                    still.push(killed);
                }
            }
            if still.len() == before || still.is_empty() {
                break;
            }
            waiting = still;
        }
        for amount in &step.amounts {
            let container = self.now(amount.container);
            if !stays_whole(tx, container, &mine) {
                self.take_off(tx, container, amount)?;
            }
        }
        Ok(())
    }

    fn lives(&self, tx: &Transaction<'_>, dot: LocalDot) -> bool {
        tx.document().state.store.get(newest(&self.fresh, dot)).is_some()
    }

    fn now(&self, container: LocalContainer) -> LocalContainer {
        match container {
            LocalContainer::Entity(dot) => LocalContainer::Entity(newest(&self.fresh, dot)),
            root => root,
        }
    }

    fn remove_added(&self, tx: &mut Transaction<'_>, step: &Step, mine: &Set<LocalDot>) {
        for dot in &step.added {
            let dot = newest(&self.fresh, *dot);
            let Some(container) = tx.document().state.store.get(dot).map(|live| live.container) else { continue };
            let goes = self.is_free(tx, dot, mine) && !stays_whole(tx, container, mine);
            if goes || fault::active(Fault::UndoRemovesForeign) {
                tx.remove(dot);
            }
        }
    }

    /// Whether nothing that another replica wrote is in a dot. What came back in an undo, `mine`, is the exception of its redo.
    fn is_free(&self, tx: &Transaction<'_>, dot: LocalDot, mine: &Set<LocalDot>) -> bool {
        let Some(undo) = &tx.document().undo else { return false };
        let mut inside = Vec::from([dot]);
        while let Some(dot) = inside.pop() {
            let back = undo.role == Role::Redo && mine.contains(&dot);
            if !back && (!undo.is_own(dot) || self.copies.contains(&dot)) {
                return false;
            }
            inside.extend(tx.document().state.store.children(dot));
        }
        true
    }

    /// Writes again what was killed, if that makes sense. Gives false if its container has not come back.
    fn restore(
        &mut self,
        tx: &mut Transaction<'_>,
        step: &Step,
        killed: &Killed,
        placed: &mut Placed,
    ) -> Result<bool, EditError> {
        let Killed { dot, live, foreign, .. } = killed;
        let container = self.now(live.container);
        if tx.document().state.view.container(container).is_none() {
            return Ok(false);
        }
        if container != live.container && fault::active(Fault::UndoRestoresTopOnly) {
            return Ok(true);
        }
        if is_read_as_one(live.kind) && Self::is_taken(tx, killed, container) {
            return Ok(true);
        }
        if live.kind == Kind::TOTAL {
            let (plus, minus) = split(net(&live.payload))?;
            tx.add_total(container, plus, minus)?;
            if let (true, LocalContainer::Entity(counter)) = (*foreign, container) {
                self.copies.insert(counter);
            }
            return Ok(true);
        }
        let slot = match &live.slot {
            Slot::Position { .. } => {
                let document = tx.document();
                let list = match container {
                    LocalContainer::Entity(element) if live.kind == Kind::MOVE => document.state.list_of(element),
                    _ => document.state.live_list(container),
                };
                let old = State::position(*dot, &live.slot);
                let (left, right) = placed.neighbours(document, &self.fresh, step, killed.nook, list, old);
                tx.place_between(left, right)?
            }
            slot => slot.clone(),
        };
        let at = State::position(tx.next_dot()?, &slot);
        let fresh = tx.add(Target { container, slot }, live.kind, live.entity, live.payload.clone())?;
        if let Some(at) = at {
            placed.insert(killed.nook, at);
        }
        self.fresh.insert(*dot, fresh);
        if *foreign {
            self.copies.insert(fresh);
        }
        Ok(true)
    }

    /// The move is gone, so the element is where it was created. What it was next to may have come back elsewhere since; then
    /// it follows.
    fn move_back(
        &self,
        tx: &mut Transaction<'_>,
        step: &Step,
        mover: &Mover,
        placed: &mut Placed,
    ) -> Result<(), EditError> {
        let element = newest(&self.fresh, mover.element);
        let document = tx.document();
        let state = &document.state;
        let (Some(seat), Some(list)) = (state.seat_of(element), state.list_of(element)) else { return Ok(()) };
        if seat.current != seat.initial {
            return Ok(());
        }
        let mut at = seat.initial;
        if !placed.fits(state, &self.fresh, step, mover.nook, list, at) {
            let (left, right) = placed.neighbours(document, &self.fresh, step, mover.nook, Some(list), Some(at));
            let slot = tx.place_between(left, right)?;
            at = State::position(tx.next_dot()?, &slot).unwrap_or(at);
            let container = LocalContainer::Entity(element);
            tx.add(Target { container, slot }, Kind::MOVE, false, Payload::Empty)?;
        }
        placed.insert(mover.nook, at);
        Ok(())
    }

    /// Whether others wrote something later into its slot, which what comes back under a fresh stamp would hide.
    fn is_taken(tx: &Transaction<'_>, killed: &Killed, container: LocalContainer) -> bool {
        let state = &tx.document().state;
        state.in_slot(container, &killed.live.slot, killed.live.kind).into_iter().any(|dot| {
            let by_stamp = |live: &Live| {
                let stamp = live.hlc.cmp(&killed.live.hlc);
                live.kind == killed.live.kind && stamp.then_with(|| state.origins.compare(dot, killed.dot)).is_gt()
            };
            !tx.made(dot) && state.store.get(dot).is_some_and(by_stamp) && !fault::active(Fault::UndoResurrects)
        })
    }

    /// Takes off what was added to a counter, if it lives.
    fn take_off(&self, tx: &mut Transaction<'_>, container: LocalContainer, amount: &Amount) -> Result<(), EditError> {
        let state = &tx.document().state;
        if amount.net == 0 || state.view.container(container).is_none() {
            return Ok(());
        }
        let mut net = amount.net;
        if fault::active(Fault::UndoTakesForeignTotals)
            && let Some(place) = state.view.container(container)
            && let super::super::Content::Counter(totals) = &state.view.place(place).content
        {
            net = totals.iter().map(|dot| super::record::net(state.payload(*dot))).sum();
        }
        // A counter that nobody had added to is as it was again.
        if let Some((own, (plus, minus))) = tx.own_total(container)
            && amount.first
            && i128::from(plus) - i128::from(minus) == net
        {
            tx.remove(own);
            return Ok(());
        }
        let (plus, minus) = split(-net)?;
        tx.add_total(container, plus, minus)
    }
}

/// Whether what is in a container stays because the container does: what came back as a whole goes as a whole or not at
/// all. An edit is taken back out of what it created, if that cannot go.
fn stays_whole(tx: &Transaction<'_>, container: LocalContainer, mine: &Set<LocalDot>) -> bool {
    let document = tx.document();
    let redo = document.undo.as_ref().is_some_and(|undo| undo.role == Role::Redo);
    match container {
        LocalContainer::Entity(dot) => redo && mine.contains(&dot) && document.state.store.get(dot).is_some(),
        LocalContainer::Root(_) => false,
    }
}

/// An amount as increments and decrements.
fn split(net: i128) -> Result<(u64, u64), EditError> {
    let size = u64::try_from(net.unsigned_abs()).map_err(|_| EditError::CounterOverflow)?;
    Ok(if net > 0 { (size, 0) } else { (0, size) })
}

/// Which of the dots that a step killed others have removed, too. O(removal log beyond the horizon · log n).
fn removed_by_others(tx: &Transaction<'_>, step: &Step) -> Set<LocalDot> {
    let mut removed = Set::new();
    let mut dots = Set::new();
    for killed in &step.killed {
        dots.insert(killed.dot);
    }
    let document = tx.document();
    let Some(undo) = &document.undo else { return removed };
    if dots.is_empty() {
        return removed;
    }
    let state = &document.state;
    for (_, remover) in state.origins.iter() {
        if undo.own.contains(&remover) {
            continue;
        }
        for (_, runs) in state.removals.beyond(remover, 0) {
            for (replica, first, last) in runs.runs() {
                let Some(origin) = state.origins.get(&replica) else { continue };
                let (first, last) = (LocalDot::new(origin, first), LocalDot::new(origin, last.min(Dot::MAX_SEQ)));
                for dot in dots.range(first..=last) {
                    removed.insert(*dot);
                }
            }
        }
    }
    removed
}
