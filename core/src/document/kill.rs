//! What goes: an entry is taken out of the store and of the view, with everything inside it.
//!
//! Each dot dies only once, and its death costs O(log n); children die before their parents, so that a place is empty before
//! it is given up.
//!
//! Rules: ENT-1 the subtree of a removed entity dies with it. REM-2 what a delta removed is noted in the log. OWN-1 what is its
//! replica's own is taken away by that alone.

use alloc::vec::Vec;

use super::notes::ElementNote;
use super::state::{Journal, State};
use super::view::{Content, Incarnations, Link, PlaceId};
use super::winner::amount;
use crate::clock::{DotRuns, LocalDot};
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, Live, LocalRun, LocalSlotRef, NONE};
use crate::value::Value;

/// What lives on of a run that is killed.
pub(super) struct Spared<'a> {
    /// Whether an entry does.
    pub(super) entry: &'a dyn Fn(LocalDot) -> bool,
    /// The characters that do: the first and the last dot of runs, ascending.
    pub(super) text: &'a [(LocalDot, LocalDot)],
}

impl State {
    /// Takes a live dot away, with everything inside it. `cause` is the delta that removed it, if one is known; the dead
    /// positions are kept until the horizon covers it. Says whether it lived.
    pub(crate) fn kill(&mut self, dot: LocalDot, cause: Option<LocalDot>) -> bool {
        let Some(top) = self.store.find(dot) else { return false };
        self.kill_at(top, cause, None);
        true
    }

    /// The same for an entry that lives. With a journal, what died before the transaction `cause` began goes there, children
    /// before parents; without one it is for ever.
    pub(super) fn kill_at(&mut self, top: EntryId, cause: Option<LocalDot>, mut journal: Option<&mut Journal>) {
        if !self.store.live(top).entity {
            let dot = self.store.dot(top);
            let live = self.kill_one(top, cause, true, None);
            return self.bury(dot, live, cause, &mut journal);
        }
        // What is read there now, before what is in it goes.
        let told = !self.notes.quiet && !fault::active(Fault::RemovedShowedNothing);
        if self.is_bare(top) {
            let shown = self.value_of(top).filter(|_| told).cloned();
            let dot = self.store.dot(top);
            let live = self.kill_one(top, cause, true, shown);
            return self.bury(dot, live, cause, &mut journal);
        }
        let element = self.entity_at(top).filter(|place| {
            // Of others nothing is read: there may be much of it.
            told && matches!(self.view.place(*place).link, Link::Element(..))
        });
        let shown = element.and_then(|place| self.shown_before(place));
        let mut doomed = Vec::from([top]);
        let mut next = 0;
        while next < doomed.len() {
            let entity = doomed[next];
            next += 1;
            let Some(place) = self.entity_at(entity).filter(|_| !fault::active(Fault::NoCascade)) else { continue };
            if self.view.place(place).incarnations.len() == 1 {
                // They all die: none needs to be found there.
                self.clear_seats(place);
            }
            if let Some(head) = self.view.place_mut(place).incarnations.head(entity) {
                self.store.append_list(*head, &mut doomed);
            }
        }
        // Children first, so that a place is empty before it is given up. The top tells the application; so does what is plain
        // in a place that lives on in other incarnations, because what is read there changes.
        let mut shown = Some(shown);
        while let Some(id) = doomed.pop() {
            let (dot, is_top) = (self.store.dot(id), doomed.is_empty());
            if let Some(place) = self.entity_at(id).filter(|_| !fault::active(Fault::NoCascade)) {
                self.kill_text_in(place, dot, cause, &mut journal);
            }
            let old = if is_top { shown.take().flatten() } else { None };
            let live = self.kill_one(id, cause, is_top || self.lives_on_without(id), old);
            self.bury(dot, live, cause, &mut journal);
        }
    }

    /// Whether an entry is a plain one in a place that has more incarnations than the one that it is in.
    pub(super) fn lives_on_without(&self, id: EntryId) -> bool {
        let live = self.store.live(id);
        if self.notes.quiet || live.entity || live.kind == Kind::MOVE {
            return false;
        }
        let place = live.container().as_entity().and_then(|entity| self.entity(entity));
        place.is_some_and(|place| matches!(self.view.place(place).incarnations, Incarnations::Many(_)))
    }

    fn bury(&mut self, dot: LocalDot, live: Live, cause: Option<LocalDot>, journal: &mut Option<&mut Journal>) {
        match journal {
            // What a transaction itself inserted never was for anybody else.
            Some(journal) if cause.is_none_or(|first| dot.origin() != first.origin() || dot < first) => {
                journal.entries.push((dot, live));
            }
            _ => self.discard(live),
        }
    }

    /// Kills every live dot of a run but those to `spare` and those that are not the remover's to take away, which it gives
    /// (OWN-1). O(live dots in the run · log n), however long the run is.
    pub(super) fn kill_run(
        &mut self,
        run: LocalRun,
        cause: Option<LocalDot>,
        spare: Option<&Spared<'_>>,
    ) -> Vec<LocalDot> {
        let (first, more) = run;
        if self.texts.len() > 0 {
            self.kill_text(run, cause, spare.map_or(&[], |spare| spare.text), &mut None);
        }
        let spare = |dot: LocalDot| spare.is_some_and(|spare| (spare.entry)(dot));
        let mut kept = Vec::new();
        let mut doomed = Vec::new();
        let mut look_at = |dot: LocalDot, id: EntryId| {
            if cause.is_some_and(|remover| self.is_owned_by_another(id, remover)) {
                kept.push(dot);
            } else if !spare(dot) {
                doomed.push(dot);
            }
        };
        if more == 0 {
            if let Some(id) = self.store.find(first) {
                look_at(first, id);
            }
        } else {
            for (dot, id) in self.store.ids(first.origin(), first.seq()..=first.seq() + more) {
                look_at(dot, id);
            }
        }
        for dot in doomed {
            self.kill(dot, cause);
        }
        kept
    }

    /// OWN-1: whether an entry is what its replica alone takes away, and this remover is of another one.
    pub(super) fn is_owned_by_another(&self, id: EntryId, remover: LocalDot) -> bool {
        matches!(self.store.live(id).kind, Kind::TOTAL | Kind::RIGHTS)
            && self.store.dot(id).origin() != remover.origin()
            && !fault::active(Fault::ForeignTotalsRemoved)
    }

    /// Notes in the log that `remover` removed these dots (REM-2), and kills them if `alive`.
    pub(crate) fn remove_runs(&mut self, remover: LocalDot, removed: &DotRuns, alive: bool) {
        for (replica, first, last) in removed.runs() {
            let (origin, mut next) = (self.origins.intern(replica), first);
            if alive {
                // What stays was not removed.
                for kept in self.kill_run((LocalDot::new(origin, first), last - first), Some(remover), None) {
                    if next < kept.seq() {
                        self.removals.log(remover, LocalDot::new(origin, next), kept.seq() - next, false);
                    }
                    next = kept.seq() + 1;
                }
            }
            if next <= last {
                self.removals.log(remover, LocalDot::new(origin, next), last - next + 1, false);
            }
        }
    }

    pub(super) fn kill_one(&mut self, id: EntryId, cause: Option<LocalDot>, tell: bool, old: Option<Value>) -> Live {
        let dot = self.store.dot(id);
        let container = self.store.live(id).container();
        let parent = container.as_entity().and_then(|entity| self.store.find(entity));
        let place = match parent {
            Some(parent) => self.entity_at(parent),
            None => self.container(container),
        };
        if let Some(place) = place {
            self.detach(place, dot, id, tell, old);
            if let Some(head) = parent.and_then(|parent| self.view.place_mut(place).incarnations.head(parent)) {
                self.store.unlink(head, id);
            }
        }
        let mut live = self.store.remove(id);
        live.place = NONE;
        self.beacon_loses(dot, &live);
        if let Some(position) = Self::position(dot, &live) {
            self.forest.release(position.bunch, 1, cause);
        }
        live
    }

    pub(super) fn detach(&mut self, place: PlaceId, dot: LocalDot, id: EntryId, tell: bool, old: Option<Value>) {
        if tell {
            self.note_going(place, id);
        }
        let live = self.store.live(id);
        if live.entity {
            let kind = live.kind;
            self.detach_entity(place, dot, id, kind, tell.then_some(old));
            return;
        }
        let own = self.view.place(place);
        let (own_kind, element) = (own.kind, own.seat.is_some());
        match (&mut self.view.place_mut(place).content, live.slot(), live.kind) {
            (Content::Map(index), LocalSlotRef::Key(key), kind @ (Kind::REGISTER | Kind::FLAG)) => {
                index.remove(key, id, kind);
                self.notes.emptied = self.notes.emptied || index.get(key, &self.store).is_none();
            }
            (Content::Set(index), LocalSlotRef::Member(hash, _), Kind::MEMBER | Kind::ABSENT) => {
                index.remove(hash, id, &self.store);
                self.notes.emptied = true;
            }
            // What is hidden was never counted.
            (Content::Counter(totals), LocalSlotRef::Owner, kind) if own_kind.shows(kind) => {
                totals.dots.remove(id);
                totals.sum.0 -= if fault::active(Fault::SumKeepsDead) { 0 } else { amount(live) };
            }
            (Content::Unit(dots), LocalSlotRef::Unit, _) => dots.remove(id),
            (Content::Text(marks), LocalSlotRef::Unit, Kind::MARK) => {
                marks.dots.remove(id);
                if tell {
                    self.note_mark(place, dot, id, false);
                }
            }
            (_, LocalSlotRef::Position { .. }, Kind::MOVE) if element => {
                // If the element dies too, its seat goes with it, and the order is left alone until then.
                self.remove_move(place, id);
                if tell {
                    self.move_went(place, dot);
                }
            }
            _ => {}
        }
    }

    pub(super) fn detach_entity(
        &mut self,
        parent: PlaceId,
        dot: LocalDot,
        id: EntryId,
        kind: Kind,
        tell: Option<Option<Value>>,
    ) {
        let (link, at) = match self.entity_at(id) {
            Some(own) => {
                let own = self.view.place(own);
                (own.link, own.seat.as_ref().and_then(|seat| seat.current.dot()))
            }
            None => (Link::Element(parent, dot), Some(dot)),
        };
        if let (Link::Element(list, _), Some(at)) = (link, at) {
            self.unsit(list, at);
            if let Some(old) = tell.filter(|_| !fault::active(Fault::RemovalNotTold)) {
                self.notes.element(list, ElementNote::Removed(dot), old);
            }
        }
        let Some(own) = self.entity_at(id) else { return };
        let place = self.view.place(own);
        let (text, order) = (place.rope, if let Content::List(order) = place.content { order } else { NONE });
        let last = self.view.disincarnate(own, id);
        if last {
            self.texts.close(text);
            self.lists.close(order);
        }
        if let (Link::Key(_, key), true) = (link, last)
            && let Content::Map(index) = &mut self.view.place_mut(parent).content
        {
            index.remove_child(key, kind);
            self.notes.emptied = self.notes.emptied || index.get(key, &self.store).is_none();
        }
    }
}
