//! What comes: an entry is bound to its dot, finds its place in the view, and takes the elements of a list to their seats.
//!
//! Rules: VALID-1 what is in nothing that lives is dropped, what does not fit its container is stored and hidden. SEQ-5 is
//! checked by callers before anything is changed.

use alloc::vec::Vec;

use super::notes::ElementNote;
use super::state::State;
use super::view::{Content, Link, PlaceId, Seat};
use super::winner::amount;
use crate::clock::{Hlc, LocalDot};
use crate::fault::{self, Fault};
use crate::sequence::{BunchRecord, LocalPosition};
use crate::store::{Entry, EntryId, KeyId, Kind, Live, LocalSlotRef, Payload};

/// What of its place an entry is part of.
pub(super) enum Touched {
    Key(KeyId),
    Member,
    Value,
    Nothing,
}

impl State {
    /// Takes in bunches, parents before children, and returns those that are known now. One whose parent is unknown, or that
    /// is too deep, is left out: callers have checked that nothing that survives needs it.
    pub(crate) fn take_bunches<'r>(&mut self, records: impl Iterator<Item = &'r BunchRecord>) -> Vec<LocalDot> {
        let mut known = Vec::new();
        let most = records.size_hint().0;
        known.reserve_exact(most);
        self.forest.reserve(most);
        for record in records {
            let id = self.origins.intern_dot(record.id);
            let bunch = self.origins.intern_dot(record.parent.bunch);
            let parent = LocalPosition { bunch, index: record.parent.index };
            if self.forest.insert(id, parent, record.side, record.rank).is_ok() {
                known.push(id);
            }
        }
        known
    }

    /// Binds a dot to what another replica bound it to; nothing happens if the container is not alive (VALID-1).
    pub(crate) fn take_entry(&mut self, dot: LocalDot, hlc: Hlc, entry: &Entry) {
        let Some(container) = self.localize(&entry.container) else { return };
        if fault::active(Fault::UnknownKindsDropped) && matches!(entry.payload, Payload::Opaque(_)) {
            return;
        }
        let slot = self.localize_slot(&entry.slot);
        let live = Live::new(container, slot, entry.kind, entry.entity, entry.payload.clone(), hlc);
        self.insert(dot, live);
    }

    /// Binds a dot. Does nothing but release its key, and gives nothing, if the container is not alive (VALID-1).
    pub(crate) fn insert(&mut self, dot: LocalDot, live: Live) -> Option<EntryId> {
        let parent = live.container().as_entity().map(|entity| self.store.find(entity));
        let place = match parent {
            None => self.container(live.container()),
            Some(parent) => parent.and_then(|id| self.open_element(id)),
        };
        let position = Self::position(dot, &live);
        // SEQ-5 was checked before anything was changed; a caller that did not check loses the entry, not the process.
        let seated = position.is_none_or(|position| self.forest.contains(position.bunch));
        let (Some(place), true) = (place, seated) else {
            if fault::active(Fault::DeadContainerKept) {
                self.store.insert(dot, live);
                return None;
            }
            self.discard(live);
            return None;
        };
        Some(self.insert_at(place, parent.flatten(), dot, live))
    }

    /// The same, into the place that shows its container: the entity `parent`, or a root. Its bunch is known, if it has one.
    pub(super) fn insert_at(&mut self, place: PlaceId, parent: Option<EntryId>, dot: LocalDot, live: Live) -> EntryId {
        // Of elements that wait to be seated the bunches are told then.
        let waits = self.lists.waiting.is_some() && live.entity;
        if let Some(position) = Self::position(dot, &live)
            && !(waits && matches!(self.view.place(place).content, Content::List(_)))
        {
            self.forest.acquire(position.bunch, 1);
        }
        self.beacon_gains(dot, &live);
        self.note_coming(place, &live);
        let id = self.store.insert(dot, live);
        if let Some(head) = parent.and_then(|parent| self.view.place_mut(place).incarnations.head(parent)) {
            self.store.link(head, id);
        }
        self.attach(place, dot, id);
        id
    }

    /// Gives up what a dead entry holds.
    pub(crate) fn discard(&mut self, live: Live) {
        if let LocalSlotRef::Key(key) = live.slot() {
            self.keys.release(key);
        }
    }

    /// Notes what is about to change where an entry comes. Elements and their moves are noted where that is known.
    pub(super) fn note_coming(&mut self, place: PlaceId, live: &Live) {
        if self.notes.quiet {
            return;
        }
        match self.touched(place, live) {
            Touched::Key(key) => self.note_key(place, key),
            Touched::Member => {
                if let LocalSlotRef::Member(hash, member) = live.slot() {
                    self.note_member(place, hash, member);
                }
            }
            Touched::Value => self.note_value(place),
            Touched::Nothing => {}
        }
    }

    /// The same, where an entry goes.
    pub(super) fn note_going(&mut self, place: PlaceId, id: EntryId) {
        if self.notes.quiet {
            return;
        }
        match self.touched(place, self.store.live(id)) {
            Touched::Key(key) => self.note_key(place, key),
            Touched::Member => {
                if let LocalSlotRef::Member(hash, member) = self.store.live(id).slot() {
                    let member = member.clone();
                    self.note_member(place, hash, &member);
                }
            }
            Touched::Value => self.note_value(place),
            Touched::Nothing => {}
        }
    }

    /// What of a place an entry is part of.
    pub(super) fn touched(&self, place: PlaceId, live: &Live) -> Touched {
        let own = self.view.place(place);
        match (&own.content, live.slot(), live.kind, live.entity) {
            (Content::Map(_), LocalSlotRef::Key(key), Kind::REGISTER | Kind::FLAG, false) => Touched::Key(key),
            (Content::Map(_), LocalSlotRef::Key(key), kind, true) if kind > Kind::FLAG => Touched::Key(key),
            (Content::Set(_), LocalSlotRef::Member(..), kind, false) if own.kind.shows(kind) => Touched::Member,
            (Content::Counter(_), LocalSlotRef::Owner, kind, false) if own.kind.shows(kind) => Touched::Value,
            (Content::Unit(_), LocalSlotRef::Unit, kind, false) if own.kind.shows(kind) => Touched::Value,
            _ => Touched::Nothing,
        }
    }

    pub(super) fn attach(&mut self, place: PlaceId, dot: LocalDot, id: EntryId) {
        let live = self.store.live(id);
        let position = Self::position(dot, live);
        let own = self.view.place(place);
        let (own_kind, depth, element) = (own.kind, own.depth + 1, own.seat.is_some());
        match (&mut self.view.place_mut(place).content, live.slot(), live.kind, live.entity) {
            (Content::Map(index), LocalSlotRef::Key(key), kind @ (Kind::REGISTER | Kind::FLAG), false) => {
                index.add(key, id, kind, &self.store);
            }
            // Registers and flags under a key are plain entries; unknown kinds of containers may come.
            (Content::Map(index), LocalSlotRef::Key(key), kind, true) if kind > Kind::FLAG => {
                let child = index.get(key, &self.store).and_then(|view| view.child(kind));
                let child = child.filter(|_| !fault::active(Fault::CreationsDoNotMerge));
                let known = child.is_some();
                let child = child.unwrap_or_else(|| self.view.open(Link::Key(place, key), kind, depth, None));
                if let Content::Map(index) = &mut self.view.place_mut(place).content {
                    if known {
                        index.spread(key, &self.store);
                    } else {
                        index.add_child(key, (kind, child), id, &self.store);
                    }
                }
                self.incarnate(child, id);
            }
            (Content::Set(index), LocalSlotRef::Member(hash, _), kind, false) if own_kind.shows(kind) => {
                index.add(hash, id, &self.store);
            }
            (Content::Counter(totals), LocalSlotRef::Owner, kind, false) if own_kind.shows(kind) => {
                totals.dots.add(id);
                totals.sum.0 += amount(live);
            }
            (Content::Unit(dots), LocalSlotRef::Unit, kind, false) if own_kind.shows(kind) => dots.add(id),
            (Content::Text(marks), LocalSlotRef::Unit, Kind::MARK, false) => {
                marks.dots.add(id);
                self.note_mark(place, dot, id, true);
            }
            (Content::List(_), LocalSlotRef::Position { .. }, kind, true) if position.is_some() => {
                self.attach_element(place, dot, id, kind, depth)
            }
            (_, LocalSlotRef::Position { .. }, Kind::MOVE, false) if element => self.move_came(place, dot, id),
            (_, _, kind, true) => {
                let hidden = self.view.open(Link::Hidden, kind, depth, None);
                self.incarnate(hidden, id);
            }
            _ => {}
        }
    }

    pub(super) fn incarnate(&mut self, place: PlaceId, id: EntryId) {
        self.view.incarnate(place, id);
        self.store.live_mut(id).place = place.0;
    }

    pub(super) fn seat(&mut self, place: PlaceId) -> &mut Seat {
        self.view.place_mut(place).seat.as_mut().expect("the caller saw that the place is an element")
    }

    /// A plain value is bare until something comes to be inside of it.
    pub(super) fn attach_element(&mut self, list: PlaceId, dot: LocalDot, id: EntryId, kind: Kind, depth: u32) {
        let Some(at) = Self::position(dot, self.store.live(id)) else { return };
        if kind != Kind::REGISTER {
            let place = self.open_seat(list, dot, at, kind, depth);
            self.incarnate(place, id);
        }
        self.sit(list, at, false);
        self.notes.element(list, ElementNote::Inserted(dot), None);
    }

    /// A move came. It counts if it wins over the one that counts: a comparison a move.
    pub(super) fn move_came(&mut self, place: PlaceId, dot: LocalDot, id: EntryId) {
        let Some(position) = Self::position(dot, self.store.live(id)) else { return };
        self.add_move(place, id);
        let seat = self.seat(place);
        // A position names the dot it was made for: here the winning move, or the element itself.
        let before = (seat.current != seat.initial).then(|| seat.current.dot()).flatten();
        let before = before.and_then(|before| self.store.find(before));
        if before.is_none_or(|before| self.by_stamp(id, before).is_gt()) || fault::active(Fault::LastMoveToArriveCounts)
        {
            self.reseat(place, position);
        }
    }

    /// A move went. If it was the one that counted, the winner of the others does, or where the element was created.
    pub(super) fn move_went(&mut self, place: PlaceId, dot: LocalDot) {
        let Some(seat) = &self.view.place(place).seat else { return };
        if seat.current.dot() == Some(dot) && !fault::active(Fault::MoveNotTakenBack) {
            let winner = seat.moves.last().and_then(|id| Self::position(self.store.dot(id), self.store.live(id)));
            let now = winner.unwrap_or(seat.initial);
            self.reseat(place, now);
        }
    }

    pub(super) fn reseat(&mut self, place: PlaceId, now: LocalPosition) {
        let Link::Element(list, element) = self.view.place(place).link else { return };
        let before = core::mem::replace(&mut self.seat(place).current, now);
        if let Some(before) = before.dot() {
            self.unsit(list, before);
        }
        self.sit(list, now, true);
        self.notes.element(list, ElementNote::Moved(element), None);
    }
}
