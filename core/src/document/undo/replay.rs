//! Taking a step back: the edits of an undo.
//!
//! First what the step added goes, as far as it is one's own still; then what it killed comes back, containers before
//! their contents; then what it added to counters is taken off. Every kind of entry comes back as it was but for two: a
//! position is given anew, and the running totals of a counter become one of this replica.

use alloc::vec::Vec;

use super::super::transaction::{Target, Transaction};
use super::super::{Content, EditError, State};
use super::Role;
use super::place::Placed;
use super::record::{Amount, Killed, Mover, Step, is_mark, newest};
use super::text::{Fresh, follow, text_removed_by_others};
use crate::clock::{Dot, LocalDot};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set, retain, sort_by};
use crate::sequence::LocalPosition;
use crate::store::{Kind, LocalContainer, LocalSlot, Payload, Slot};

/// The undo of one group of steps.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// What came back, by the dot it had.
    pub(super) fresh: Fresh,
    /// Fresh dots of what others wrote.
    pub(super) copies: Set<LocalDot>,
    /// The same of text: the first dots of runs, and how many.
    pub(super) copied_text: Map<LocalDot, u32>,
}

impl Replay {
    /// Takes one step back, as part of the open transaction.
    pub(super) fn take_back(&mut self, tx: &mut Transaction<'_>, step: &Step) -> Result<(), EditError> {
        // What lives and who removed what is asked before anything changes.
        let mut waiting: Vec<u32> = Vec::new();
        let removed = removed_by_others(tx, step);
        let removed_text = text_removed_by_others(tx, step);
        for (at, killed) in step.killed.iter().enumerate() {
            let Killed { dot, container, entity, replaced_by, .. } = killed;
            let container = self.now(*container);
            let overwritten = replaced_by.is_some_and(|by| !self.lives(tx, by));
            // Values inside of what died come back as they were, also those that others have overwritten there in vain.
            let inside = !tx.document().state.is_alive(container);
            let removed = removed.contains(dot) && (*entity || !inside);
            let stays = overwritten || removed || tx.document().state.is_kept(container, killed.kind);
            if fault::active(Fault::UndoResurrects) || !stays {
                waiting.push(at as u32);
            }
        }
        // Of concurrent writes the one that was read comes last.
        let (origins, killed) = (&tx.document().state.origins, |at: u32| &step.killed[at as usize]);
        sort_by(&mut waiting, |a, b| {
            let (a, b) = (killed(*a), killed(*b));
            a.hlc.cmp(&b.hlc).then_with(|| origins.compare(a.dot, b.dot))
        });
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
        self.remove_typed(tx, step, &mine);
        let mut placed = Placed::default();
        for mover in back {
            self.move_back(tx, step, mover, &mut placed)?;
        }
        // Marks come back onto the text that they were on.
        let mut marks: Vec<u32> = Vec::new();
        retain(&mut waiting, |at| {
            let other = killed(*at).kind != Kind::MARK;
            if !other {
                marks.push(*at);
            }
            other
        });
        // A container comes back before what is in it. Stamps mostly say so; where clocks ran apart, it takes another round.
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            for at in waiting {
                if !self.restore(tx, step, killed(at), &mut placed)? {
                    still.push(at);
                }
            }
            if still.len() == before || still.is_empty() {
                break;
            }
            waiting = still;
        }
        self.retype(tx, step, &removed_text)?;
        for at in marks {
            self.restore(tx, step, killed(at), &mut placed)?;
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
        tx.document().state.store.find(newest(&self.fresh, dot)).is_some()
    }

    fn now(&self, container: LocalContainer) -> LocalContainer {
        container.as_entity().map_or(container, |dot| LocalContainer::entity(newest(&self.fresh, dot)))
    }

    fn remove_added(&self, tx: &mut Transaction<'_>, step: &Step, mine: &Set<LocalDot>) {
        let typed = self.typed_set(step);
        for dot in &step.added {
            let dot = newest(&self.fresh, *dot);
            let state = &tx.document().state;
            let Some(id) = state.store.find(dot) else { continue };
            let container = state.store.live(id).container();
            let stays = state.is_kept(container, state.store.live(id).kind) || stays_whole(tx, container, mine);
            if !stays && self.is_free(tx, dot, (mine, &typed)) || fault::active(Fault::UndoRemovesForeign) {
                tx.remove(id);
            }
        }
    }

    /// Whether nothing that another replica wrote is in a dot. What came back in an undo, `mine`, is the exception of its redo.
    fn is_free(&self, tx: &Transaction<'_>, dot: LocalDot, mine: (&Set<LocalDot>, &Map<LocalDot, u32>)) -> bool {
        let Some(undo) = &tx.document().undo else { return false };
        let mut inside = Vec::from([dot]);
        while let Some(dot) = inside.pop() {
            let redo = undo.role == Role::Redo;
            let back = redo && mine.0.contains(&dot);
            if !back && (!undo.is_own(dot) || self.copies.contains(&dot)) {
                return false;
            }
            let state = &tx.document().state;
            if !self.is_own_text(state, undo, dot, redo.then_some(mine.1)) {
                return false;
            }
            state.add_inside(dot, &mut inside);
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
        let container = self.now(killed.container);
        if !tx.document().state.is_alive(container) {
            return Ok(false);
        }
        if container != killed.container && fault::active(Fault::UndoRestoresTopOnly) {
            return Ok(true);
        }
        let mut payload = killed.payload.clone();
        follow(&tx.document().state, &self.fresh, killed.kind, &mut payload);
        if Self::is_taken(tx, step, killed, &payload, container) {
            return Ok(true);
        }
        let slot = match &killed.slot {
            Slot::Position { .. } => {
                let document = tx.document();
                let list = match container.as_entity() {
                    Some(element) if killed.kind == Kind::MOVE => document.state.list_of(element),
                    _ => document.state.live_list(container),
                };
                let old = killed.position();
                let (left, right) = placed.neighbours(document, &self.fresh, step, killed.nook, list, old);
                tx.place_between(left, right)?
            }
            slot => {
                tx.has_room(1)?;
                tx.document.state.localize_slot(slot)
            }
        };
        let at = position(tx.next_dot()?, &slot);
        let fresh = tx.add(Target { container, slot }, killed.kind, killed.entity, payload)?;
        if let Some(at) = at {
            placed.insert(killed.nook, at);
        }
        self.fresh.insert(killed.dot, fresh);
        if killed.foreign {
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
        let (Some((initial, current)), Some(list)) = (state.seat_of(element), state.list_of(element)) else {
            return Ok(());
        };
        if current != initial {
            return Ok(());
        }
        let mut at = initial;
        if !placed.fits(state, &self.fresh, step, mover.nook, list, at) {
            let (left, right) = placed.neighbours(document, &self.fresh, step, mover.nook, Some(list), Some(at));
            let slot = tx.place_between(left, right)?;
            at = position(tx.next_dot()?, &slot).unwrap_or(at);
            let container = LocalContainer::entity(element);
            tx.add(Target { container, slot }, Kind::MOVE, false, Payload::Empty)?;
        }
        placed.insert(mover.nook, at);
        Ok(())
    }

    /// Whether others wrote something into its slot that it would hide: later, if the latest is read; of a mark, since it was
    /// taken away.
    fn is_taken(
        tx: &Transaction<'_>,
        step: &Step,
        killed: &Killed,
        payload: &Payload,
        container: LocalContainer,
    ) -> bool {
        let document = tx.document();
        let state = &document.state;
        if let (Kind::MARK, Payload::Opaque(bytes)) = (killed.kind, payload) {
            let own = |dot| document.undo.as_ref().is_some_and(|undo| undo.is_own(dot));
            return state.is_marked_since(container, bytes, &|dot, hlc| {
                let later = hlc.cmp(&killed.hlc).then_with(|| state.origins.compare(dot, killed.dot)).is_gt();
                later && !own(dot)
            });
        }
        let mark = is_mark(killed.kind);
        let latest =
            killed.kind == Kind::MOVE || killed.kind == Kind::REGISTER && !state.is_kept(container, killed.kind);
        if !mark && !latest || fault::active(Fault::UndoResurrects) {
            return false;
        }
        for id in &state.in_slot(container, &killed.slot, killed.kind) {
            let (dot, live) = (state.store.dot(*id), state.store.live(*id));
            // Of marks it is the others that they hide, of values those of their kind.
            if tx.made(dot) || mark == (live.kind == killed.kind) {
                continue;
            }
            let hidden = if mark {
                let seen = step.seen.get(dot.origin().0 as usize).is_some_and(|seen| dot.seq() <= *seen);
                !seen && !document.undo.as_ref().is_some_and(|undo| undo.is_own(dot))
            } else {
                live.hlc.cmp(&killed.hlc).then_with(|| state.origins.compare(dot, killed.dot)).is_gt()
            };
            if hidden {
                return true;
            }
        }
        false
    }

    /// Takes off what was added to a counter, if it lives, or puts back what went with it.
    fn take_off(
        &mut self,
        tx: &mut Transaction<'_>,
        container: LocalContainer,
        amount: &Amount,
    ) -> Result<(), EditError> {
        let state = &tx.document().state;
        let Some(place) = state.container(container) else { return Ok(()) };
        if let (true, Some(counter)) = (amount.foreign, container.as_entity()) {
            self.copies.insert(counter);
        }
        let mut net = amount.net;
        if net == 0 || container != amount.container && fault::active(Fault::UndoRestoresTopOnly) {
            return Ok(());
        }
        let own = state.view.place(place);
        if fault::active(Fault::UndoTakesForeignTotals)
            && let Content::Counter(totals) = &own.content
        {
            net = totals.sum.0;
        }
        let (plus, minus) = split(-net)?;
        if own.kind == Kind::BOUNDED_COUNTER {
            return tx.change_rights(place, container, (plus, minus));
        }
        // A counter that nobody had added to is as it was again.
        if let Some((own, (plus, minus))) = tx.own_total(place, container)
            && amount.first
            && i128::from(plus) - i128::from(minus) == net
        {
            tx.remove(own);
            return Ok(());
        }
        tx.add_total(place, Some(container), plus, minus).map(drop)
    }
}

impl State {
    /// Adds the dots of the entries in an entity.
    fn add_inside(&self, dot: LocalDot, all: &mut Vec<LocalDot>) {
        let (Some(id), Some(place)) = (self.store.find(dot), self.entity(dot)) else { return };
        let mut inside = Vec::new();
        self.store.append_list(self.view.place(place).incarnations.first(id), &mut inside);
        for id in inside {
            all.push(self.store.dot(id));
        }
    }
}

/// The position that a dot takes with a slot.
fn position(dot: LocalDot, slot: &LocalSlot) -> Option<LocalPosition> {
    let LocalSlot::Position { bunch, backward } = slot else { return None };
    LocalPosition::of(dot, *bunch, *backward)
}

/// Whether what is in a container stays because the container does: what came back as a whole goes as a whole or not at
/// all. An edit is taken back out of what it created, if that cannot go.
pub(super) fn stays_whole(tx: &Transaction<'_>, container: LocalContainer, mine: &Set<LocalDot>) -> bool {
    let document = tx.document();
    let redo = document.undo.as_ref().is_some_and(|undo| undo.role == Role::Redo);
    let lives = |dot| mine.contains(&dot) && document.state.store.find(dot).is_some();
    redo && container.as_entity().is_some_and(lives)
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
    if dots.len() == 0 {
        return removed;
    }
    let state = &document.state;
    for (_, remover) in state.origins.iter() {
        if undo.own.contains(&remover) {
            continue;
        }
        for (_, first, len, _) in state.removals.beyond(remover, 0) {
            let last = LocalDot::new(first.origin(), (first.seq() + (len - 1)).min(Dot::MAX_SEQ));
            for dot in dots.range(first..=last) {
                removed.insert(*dot);
            }
        }
    }
    removed
}
