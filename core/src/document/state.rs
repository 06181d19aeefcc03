//! The state of a document: version, live store, positions and view, kept in step by two operations, insert and kill.
//!
//! Everything that changes what lives, local or remote, delta or diff, goes through [`State::insert`] and [`State::kill`].
//! Each costs O(log n) a dot; the death of an entity costs its subtree, each dot of which can die only once.
//!
//! Rules: ENT-1 the subtree of a removed entity dies with it. VALID-1 what does not fit its container is stored and hidden.

use alloc::vec::Vec;

use super::view::{Content, Dots, KeySlot, Link, Note, PlaceId, Seat, View};
use crate::clock::{Dot, DotRuns, Hlc, LocalDot, Tag, VersionEntry, VersionVector};
use crate::fault::{self, Fault};
use crate::ordered::Set;
use crate::replica_id::{Origin, Origins, ReplicaId};
use crate::sequence::{BunchRecord, Forest, LocalPosition};
use crate::store::{
    Container, Entry, Kind, Live, LocalContainer, LocalRun, Payload, Removals, Slot, Store, beacon_share,
};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) origins: Origins,
    /// By replica number: last dot covered and the chain tag there.
    version: Vec<VersionEntry>,
    pub(crate) heads: Set<LocalDot>,
    pub(crate) store: Store,
    pub(crate) removals: Removals,
    pub(crate) forest: Forest,
    pub(crate) view: View,
}

impl State {
    // ---- version ----

    pub(crate) fn seq(&self, origin: Origin) -> u64 {
        self.version.get(origin.0 as usize).map_or(0, |entry| entry.seq)
    }

    pub(crate) fn tag(&self, origin: Origin) -> Tag {
        match self.version.get(origin.0 as usize) {
            Some(entry) if entry.seq > 0 => entry.tag,
            _ => Tag::start(self.origins.id(origin)),
        }
    }

    pub(crate) fn covers_dot(&self, dot: Dot) -> bool {
        self.origins.get(&dot.replica).is_some_and(|origin| dot.seq <= self.seq(origin))
    }

    pub(crate) fn advance(&mut self, origin: Origin, entry: VersionEntry) {
        let index = origin.0 as usize;
        if self.version.len() <= index {
            // The tags of those who have not written yet are not looked at.
            self.version.resize(index + 1, VersionEntry { seq: 0, tag: entry.tag });
        }
        self.version[index] = entry;
    }

    pub(crate) fn entry_of(&self, replica: ReplicaId) -> Option<VersionEntry> {
        let origin = self.origins.get(&replica)?;
        self.version.get(origin.0 as usize).copied().filter(|entry| entry.seq > 0)
    }

    pub(crate) fn version(&self) -> VersionVector {
        let mut version = VersionVector::new();
        for (id, origin) in self.origins.iter() {
            if let Some(entry) = self.version.get(origin.0 as usize) {
                version.set(id, *entry);
            }
        }
        version
    }

    /// Sequence numbers by replica number.
    pub(crate) fn seqs(&self) -> Vec<u64> {
        let mut seqs = Vec::with_capacity(self.version.len());
        for entry in &self.version {
            seqs.push(entry.seq);
        }
        seqs
    }

    pub(crate) fn horizon(&self) -> VersionVector {
        let mut horizon = VersionVector::new();
        for (id, origin) in self.origins.iter() {
            // Tags are known only at the present version; a horizon is compared by sequence numbers alone.
            horizon.set(id, VersionEntry { seq: self.removals.horizon(origin), tag: self.tag(origin) });
        }
        horizon
    }

    /// Keeps the removal log in proportion, and drops the dead structure that only the log still needed (SEQ-6).
    pub(crate) fn keep_log_short(&mut self) {
        if self.removals.is_long(self.store.len()) && self.removals.shorten(self.store.len(), self.seqs()) {
            self.drop_dead_structure();
        }
    }

    pub(crate) fn drop_dead_structure(&mut self) {
        let removals = &self.removals;
        self.forest.drop_dead(|cause| removals.within_horizon(cause));
    }

    // ---- translation between replicas' names and this document's numbers ----

    /// Where an entry's container is here, or nothing if it is an entity of an unknown replica.
    pub(crate) fn localize(&mut self, container: &Container) -> Option<LocalContainer> {
        match container {
            Container::Root { name, kind } => Some(LocalContainer::Root(self.view.root_or_new(name, *kind))),
            Container::Entity(dot) => self.origins.local(*dot).map(LocalContainer::Entity),
        }
    }

    pub(crate) fn globalize(&self, container: LocalContainer) -> Container {
        match container {
            LocalContainer::Root(number) => {
                let (name, kind) = self.view.root_name(number);
                Container::Root { name: name.clone(), kind: *kind }
            }
            LocalContainer::Entity(dot) => Container::Entity(self.origins.dot(dot)),
        }
    }

    pub(crate) fn export(&self, live: &Live) -> Entry {
        Entry {
            container: self.globalize(live.container),
            slot: live.slot.clone(),
            kind: live.kind,
            entity: live.entity,
            payload: live.payload.clone(),
        }
    }

    fn share(&self, dot: LocalDot, live: &Live) -> u128 {
        let container = self.globalize(live.container);
        let hlc = if fault::active(Fault::BeaconIgnoresStamps) { Hlc(0) } else { live.hlc };
        beacon_share(self.origins.dot(dot), hlc, &container, &live.slot, live.kind, live.entity, &live.payload)
    }

    /// The position of an entry that has one.
    pub(crate) fn position(dot: LocalDot, slot: &Slot) -> Option<LocalPosition> {
        let Slot::Position { bunch, backward } = slot else { return None };
        LocalPosition::of(dot, *bunch, *backward)
    }

    // ---- insert ----

    /// Takes in bunches, parents before children, and returns those that are known now. One whose parent is unknown, or that
    /// is too deep, is left out: callers have checked that nothing that survives needs it.
    pub(crate) fn take_bunches<'r>(&mut self, records: impl Iterator<Item = &'r BunchRecord>) -> Vec<LocalDot> {
        let mut known = Vec::new();
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
        let (slot, payload) = (entry.slot.clone(), entry.payload.clone());
        self.insert(dot, Live { container, slot, kind: entry.kind, entity: entry.entity, payload, hlc });
    }

    /// Binds a dot. Returns false, and does nothing, if the container is not alive (VALID-1).
    pub(crate) fn insert(&mut self, dot: LocalDot, live: Live) -> bool {
        let Some(place) = self.view.container(live.container) else {
            if fault::active(Fault::DeadContainerKept) {
                self.store.insert(dot, live, 0);
            }
            return false;
        };
        if let Some(position) = Self::position(dot, &live.slot) {
            // SEQ-5 was checked before anything was changed; a caller that did not check loses the entry, not the process.
            if !self.forest.contains(position.bunch) {
                return false;
            }
            self.forest.acquire(position.bunch);
        }
        self.attach(place, dot, &live);
        let share = self.share(dot, &live);
        self.store.insert(dot, live, share);
        true
    }

    fn attach(&mut self, place: PlaceId, dot: LocalDot, live: &Live) {
        let own = self.view.place(place);
        let (own_kind, depth, element) = (own.kind, own.depth + 1, own.seat.is_some());
        match (&mut self.view.place_mut(place).content, &live.slot, live.kind, live.entity) {
            (Content::Map(keys), Slot::Key(key), Kind::REGISTER, false) => {
                keys.get_or_insert_with(key.clone(), Default::default).registers.add(dot);
                self.view.note(place, Note::Key(key.clone()));
            }
            (Content::Map(keys), Slot::Key(key), Kind::FLAG, false) => {
                keys.get_or_insert_with(key.clone(), Default::default).flags.add(dot);
                self.view.note(place, Note::Key(key.clone()));
            }
            // Registers and flags under a key are plain entries; unknown kinds of containers may come.
            (Content::Map(keys), Slot::Key(key), kind, true) if kind > Kind::FLAG => {
                let child = keys.get(key).and_then(|slot| slot.child(kind));
                let child = child.filter(|_| !fault::active(Fault::CreationsDoNotMerge));
                let child = child.unwrap_or_else(|| {
                    let child = self.view.open(Link::Key(place, key.clone()), kind, depth, None);
                    if let Content::Map(keys) = &mut self.view.place_mut(place).content {
                        let slot: &mut KeySlot = keys.get_or_insert_with(key.clone(), Default::default);
                        let at = slot.children.iter().position(|other| other.0 > kind).unwrap_or(slot.children.len());
                        slot.children.insert(at, (kind, child));
                    }
                    child
                });
                self.view.incarnate(child, dot);
                self.view.note(place, Note::Key(key.clone()));
            }
            (Content::Set(members), Slot::Member(value), Kind::MEMBER, false) => {
                members.get_or_insert_with(value.clone(), Default::default).add(dot);
                self.view.note(place, Note::Member(value.clone()));
            }
            (Content::Counter(totals), Slot::Owner, Kind::TOTAL, false) => {
                totals.insert(dot);
                self.view.note(place, Note::Value);
            }
            (Content::Unit(dots), Slot::Unit, kind, false) if kind == own_kind => {
                dots.add(dot);
                self.view.note(place, Note::Value);
            }
            (Content::List(_), Slot::Position { .. }, kind, true) => self.attach_element(place, dot, live, kind, depth),
            (_, Slot::Position { .. }, Kind::MOVE, false) if element => {
                self.move_came(place, dot, live);
            }
            (_, _, kind, true) => {
                let hidden = self.view.open(Link::Hidden, kind, depth, None);
                self.view.incarnate(hidden, dot);
            }
            _ => {}
        }
    }

    fn seat(&mut self, place: PlaceId) -> &mut Seat {
        self.view.place_mut(place).seat.as_mut().expect("the caller saw that the place is an element")
    }

    fn attach_element(&mut self, list: PlaceId, dot: LocalDot, live: &Live, kind: Kind, depth: u32) {
        let Some(at) = Self::position(dot, &live.slot) else { return };
        let seat = Seat { initial: at, moves: Dots::None, current: at };
        let place = self.view.open(Link::Element(list, dot), kind, depth, Some(seat));
        self.view.incarnate(place, dot);
        if let Content::List(sequence) = &mut self.view.place_mut(list).content {
            sequence.insert(&self.forest, &self.origins, at, dot);
        }
        self.view.note(list, Note::Inserted(dot));
    }

    /// A move came that is not in the store yet. It counts if it wins over the one that counts: a comparison a move.
    fn move_came(&mut self, place: PlaceId, dot: LocalDot, live: &Live) {
        let Some(position) = Self::position(dot, &live.slot) else { return };
        let seat = self.seat(place);
        seat.moves.add(dot);
        // A position names the dot it was made for: here the winning move, or the element itself.
        let before = (seat.current != seat.initial).then(|| seat.current.dot()).flatten();
        let before = before.and_then(|before| Some((self.store.get(before)?.hlc, before)));
        let wins = before
            .is_none_or(|(hlc, before)| live.hlc.cmp(&hlc).then_with(|| self.origins.compare(dot, before)).is_gt());
        if wins || fault::active(Fault::LastMoveToArriveCounts) {
            self.reseat(place, position);
        }
    }

    /// A move went. If it was the one that counted, the winner of the others does, or where the element was created.
    fn move_went(&mut self, place: PlaceId, dot: LocalDot) {
        let Some(seat) = &self.view.place(place).seat else { return };
        if seat.current.dot() == Some(dot) && !fault::active(Fault::MoveNotTakenBack) {
            let winner = self.winner(&seat.moves).and_then(|dot| Self::position(dot, &self.store.get(dot)?.slot));
            let now = winner.unwrap_or(seat.initial);
            self.reseat(place, now);
        }
    }

    fn reseat(&mut self, place: PlaceId, now: LocalPosition) {
        let Link::Element(list, element) = self.view.place(place).link else { return };
        let before = core::mem::replace(&mut self.seat(place).current, now);
        if let Content::List(sequence) = &mut self.view.place_mut(list).content {
            sequence.remove(&self.forest, &self.origins, before);
            sequence.insert(&self.forest, &self.origins, now, element);
        }
        self.view.note(list, Note::Moved(element));
    }

    // ---- kill ----

    /// Takes a live dot away, with everything inside it. `cause` is the delta that removed it, if one is known; the dead
    /// positions are kept until the horizon covers it. Returns what died, parents before children.
    pub(crate) fn kill(&mut self, dot: LocalDot, cause: Option<LocalDot>) -> Vec<(LocalDot, Live)> {
        if self.store.get(dot).is_none() {
            return Vec::new();
        }
        let mut doomed = Vec::from([dot]);
        let mut next = 0;
        while next < doomed.len() {
            if !fault::active(Fault::NoCascade) {
                doomed.extend(self.store.children(doomed[next]));
            }
            next += 1;
        }
        // Children first, so that a place is empty before it is given up. Only the top tells the application.
        let mut dead = Vec::with_capacity(doomed.len());
        for (index, dot) in doomed.into_iter().enumerate().rev() {
            dead.extend(self.kill_one(dot, cause, index == 0));
        }
        dead.reverse();
        dead
    }

    /// Kills every live dot of a run but those to `spare`. O(live dots in the run · log n), however long the run is.
    pub(crate) fn kill_run(&mut self, run: LocalRun, cause: Option<LocalDot>, spare: &Set<LocalDot>) {
        let (first, more) = run;
        let mut doomed = Vec::new();
        for (dot, _) in self.store.range(first.origin(), first.seq()..=first.seq() + more) {
            if !spare.contains(&dot) {
                doomed.push(dot);
            }
        }
        for dot in doomed {
            self.kill(dot, cause);
        }
    }

    /// Notes in the log that `remover` removed these dots (REM-2), and kills them if `alive`.
    pub(crate) fn remove_runs(&mut self, remover: LocalDot, removed: &DotRuns, alive: bool) {
        for (replica, first, last) in removed.runs() {
            let run = (LocalDot::new(self.origins.intern(replica), first), last - first);
            if alive {
                self.kill_run(run, Some(remover), &Set::new());
            }
        }
        self.removals.log(remover, removed);
    }

    fn kill_one(&mut self, dot: LocalDot, cause: Option<LocalDot>, tell: bool) -> Option<(LocalDot, Live)> {
        let live = self.store.remove(dot)?;
        if !fault::active(Fault::BeaconCountsDead) {
            self.store.subtract(self.share(dot, &live));
        }
        if let Some(place) = self.view.container(live.container) {
            self.detach(place, dot, &live, tell);
        }
        if let Some(position) = Self::position(dot, &live.slot) {
            self.forest.release(position.bunch, cause);
        }
        Some((dot, live))
    }

    fn detach(&mut self, place: PlaceId, dot: LocalDot, live: &Live, tell: bool) {
        if live.entity {
            self.detach_entity(place, dot, live, tell);
            return;
        }
        let element = self.view.place(place).seat.is_some();
        let note = match (&mut self.view.place_mut(place).content, &live.slot, live.kind) {
            (Content::Map(keys), Slot::Key(key), kind @ (Kind::REGISTER | Kind::FLAG)) => {
                if let Some(slot) = keys.get_mut(key) {
                    if kind == Kind::REGISTER {
                        slot.registers.remove(dot)
                    } else {
                        slot.flags.remove(dot)
                    }
                    if slot.is_empty() && !fault::active(Fault::EmptyKeysStay) {
                        keys.remove(key);
                    }
                }
                Some(Note::Key(key.clone()))
            }
            (Content::Set(members), Slot::Member(value), Kind::MEMBER) => {
                if let Some(dots) = members.get_mut(value) {
                    dots.remove(dot);
                    if dots.is_empty() || fault::active(Fault::RemovalHidesUnseen) {
                        members.remove(value);
                    }
                }
                Some(Note::Member(value.clone()))
            }
            (Content::Counter(totals), Slot::Owner, Kind::TOTAL) => {
                totals.remove(&dot);
                Some(Note::Value)
            }
            (Content::Unit(dots), Slot::Unit, _) => {
                dots.remove(dot);
                Some(Note::Value)
            }
            (_, Slot::Position { .. }, Kind::MOVE) if element => {
                // If the element dies too, its seat goes with it, and the order is left alone until then.
                self.seat(place).moves.remove(dot);
                if tell {
                    self.move_went(place, dot);
                }
                None
            }
            _ => None,
        };
        if let (Some(note), true) = (note, tell) {
            self.view.note(place, note);
        }
    }

    fn detach_entity(&mut self, parent: PlaceId, dot: LocalDot, live: &Live, tell: bool) {
        let Some(own) = self.view.entity(dot) else { return };
        let link = self.view.place(own).link.clone();
        if let (Link::Element(list, _), Some(seat)) = (&link, &self.view.place(own).seat) {
            let at = seat.current;
            if let Content::List(sequence) = &mut self.view.place_mut(*list).content {
                sequence.remove(&self.forest, &self.origins, at);
            }
            if tell && !fault::active(Fault::RemovalNotTold) {
                self.view.note(*list, Note::Removed(dot));
            }
        }
        let last = self.view.disincarnate(dot).is_some_and(|(_, last)| last);
        if let Link::Key(_, key) = &link {
            if let Content::Map(keys) = &mut self.view.place_mut(parent).content
                && let Some(slot) = keys.get_mut(key).filter(|_| last)
            {
                slot.children.retain(|child| child.0 != live.kind);
                if slot.is_empty() && !fault::active(Fault::EmptyKeysStay) {
                    keys.remove(key);
                }
            }
            if tell {
                self.view.note(parent, Note::Key(key.clone()));
            }
        }
    }

    // ---- reading helpers shared by the types ----

    /// The winner among concurrent writes: the greatest by (stamp, replica id, seq).
    pub(crate) fn winner(&self, dots: &Dots) -> Option<LocalDot> {
        let earliest = fault::active(Fault::EarliestWins);
        dots.iter().max_by(|a, b| if earliest { self.by_stamp(*b, *a) } else { self.by_stamp(*a, *b) })
    }

    pub(crate) fn by_stamp(&self, a: LocalDot, b: LocalDot) -> core::cmp::Ordering {
        let by_id = || if fault::active(Fault::WinnerByNumber) { a.cmp(&b) } else { self.origins.compare(a, b) };
        self.stamp(a).cmp(&self.stamp(b)).then_with(by_id)
    }

    pub(crate) fn stamp(&self, dot: LocalDot) -> Hlc {
        self.store.get(dot).map_or(Hlc::default(), |live| live.hlc)
    }

    pub(crate) fn payload(&self, dot: LocalDot) -> &Payload {
        self.store.get(dot).map_or(&Payload::Empty, |live| &live.payload)
    }
}
