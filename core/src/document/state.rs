//! The state of a document: version, live store, positions and view, kept in step by two operations, insert and kill.
//!
//! Everything that changes what lives, local or remote, delta or diff, goes through [`State::insert`] and [`State::kill`].
//! Each costs O(log n) a dot; the death of an entity costs its subtree, each dot of which can die only once.
//!
//! Rules: ENT-1 the subtree of a removed entity dies with it. VALID-1 what does not fit its container is stored and hidden.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::dots::{Dots, DotsRef};
use super::notes::{ElementNote, Notes};
use super::transaction::Step;
use super::view::{Content, Incarnations, Link, PlaceId, Seat, View};
use crate::clock::{Dot, DotRuns, Hlc, LocalDot, Tag, VersionEntry, VersionVector};
use crate::fault::{self, Fault};
use crate::hash::Seed;
use crate::ordered::Set;
use crate::replica_id::{Origin, Origins, ReplicaId};
use crate::sequence::{BunchRecord, Forest, LocalPosition};
use crate::store::{
    Container, ContainerRef, Entry, EntryId, EntryRef, KeyId, Keys, Kind, Live, LocalContainer, LocalRun, LocalSlot,
    LocalSlotRef, NONE, Payload, PayloadRef, Removals, Slot, SlotRef, Store, beacon_share,
};
use crate::string::Str;
use crate::value::Value;

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
    pub(crate) keys: Keys,
    pub(crate) notes: Notes,
    pub(crate) seed: Seed,
}

/// What of its place an entry is part of.
enum Touched {
    Key(KeyId),
    Member,
    Value,
    Nothing,
}

/// What died, with the dot that it was.
pub(crate) type Dead = (LocalDot, Live);

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

    pub(crate) fn covers_local(&self, dot: LocalDot) -> bool {
        dot.seq() <= self.seq(dot.origin())
    }

    pub(crate) fn advance(&mut self, origin: Origin, entry: VersionEntry) {
        let index = origin.0 as usize;
        while self.version.len() <= index {
            // The tags of those who have not written yet are not looked at.
            self.version.push(VersionEntry { seq: 0, tag: entry.tag });
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
        let live_bytes = self.store.live_bytes();
        if self.removals.is_long(live_bytes) && self.removals.shorten(live_bytes, self.seqs()) {
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
            Container::Root { name, kind } => Some(LocalContainer::root(self.view.root_or_new(name, *kind))),
            Container::Entity(dot) => self.origins.local(*dot).map(LocalContainer::entity),
        }
    }

    /// One more use of a key whose number was looked up before.
    pub(crate) fn acquire_key(&mut self, found: Option<KeyId>, key: &str) -> KeyId {
        match found {
            Some(found) => {
                self.keys.acquire_again(found);
                found
            }
            None => self.keys.acquire(self.seed, key),
        }
    }

    /// A slot by this document's numbers. Holds one more use of its key.
    pub(crate) fn localize_slot(&mut self, slot: &Slot) -> LocalSlot {
        match slot {
            Slot::Unit => LocalSlot::Unit,
            Slot::Key(key) => LocalSlot::Key(self.keys.acquire(self.seed, key)),
            Slot::Member(member) => LocalSlot::Member(member.hash(self.seed), member.clone()),
            Slot::Owner => LocalSlot::Owner,
            Slot::Position { bunch, backward } => LocalSlot::Position { bunch: *bunch, backward: *backward },
        }
    }

    pub(crate) fn export(&self, live: &Live) -> Entry {
        let container = match live.container().as_entity() {
            Some(dot) => Container::Entity(self.origins.dot(dot)),
            None => {
                let (name, kind) = self.root_of(live);
                Container::Root { name: name.clone(), kind }
            }
        };
        let slot = match live.slot() {
            LocalSlotRef::Unit => Slot::Unit,
            LocalSlotRef::Key(key) => Slot::Key(self.keys.text(key).clone()),
            LocalSlotRef::Member(_, member) => Slot::Member(member.clone()),
            LocalSlotRef::Owner => Slot::Owner,
            LocalSlotRef::Position { bunch, backward } => Slot::Position { bunch, backward },
        };
        Entry { container, slot, kind: live.kind, entity: live.entity, payload: live.payload().to_payload() }
    }

    /// The same, borrowed: for whoever only reads it.
    pub(crate) fn entry_ref<'a>(&'a self, live: &'a Live) -> EntryRef<'a> {
        let container = match live.container().as_entity() {
            Some(dot) => ContainerRef::Entity(self.origins.dot(dot)),
            None => {
                let (name, kind) = self.root_of(live);
                ContainerRef::Root { name, kind }
            }
        };
        let slot = match live.slot() {
            LocalSlotRef::Unit => SlotRef::Unit,
            LocalSlotRef::Key(key) => SlotRef::Key(self.keys.text(key)),
            LocalSlotRef::Member(_, member) => SlotRef::Member(member),
            LocalSlotRef::Owner => SlotRef::Owner,
            LocalSlotRef::Position { bunch, backward } => SlotRef::Position { bunch, backward },
        };
        EntryRef { container, slot, kind: live.kind, entity: live.entity, payload: live.payload() }
    }

    fn root_of(&self, live: &Live) -> (&Str, Kind) {
        self.view.root_name(live.container().as_root().unwrap_or_default())
    }

    /// The share of the beacon of a dot that is bound to `live`.
    fn share(&self, dot: LocalDot, live: &Live) -> u128 {
        beacon_share(self.origins.dot(dot), live.hlc, self.entry_ref(live))
    }

    /// Adds the shares of these entries, which were inserted without them.
    pub(crate) fn count(&mut self, added: &[(LocalDot, EntryId)]) {
        let mut sum = self.store.beacon;
        for (dot, id) in added {
            sum = sum.wrapping_add(self.share(*dot, self.store.live(*id)));
        }
        self.store.beacon = sum;
    }

    /// The position of an entry that has one.
    pub(crate) fn position(dot: LocalDot, live: &Live) -> Option<LocalPosition> {
        let LocalSlotRef::Position { bunch, backward } = live.slot() else { return None };
        LocalPosition::of(dot, bunch, backward)
    }

    /// The place of a live entity.
    pub(crate) fn entity(&self, dot: LocalDot) -> Option<PlaceId> {
        self.entity_at(self.store.find(dot)?)
    }

    fn entity_at(&self, id: EntryId) -> Option<PlaceId> {
        let place = self.store.live(id).place;
        (place != NONE).then_some(PlaceId(place))
    }

    /// The place that shows a live container.
    pub(crate) fn container(&self, container: LocalContainer) -> Option<PlaceId> {
        match container.as_root() {
            Some(number) => Some(self.view.root_place(number)),
            None => self.entity(container.as_entity()?),
        }
    }

    /// The lowest incarnation of a place by (replica id, seq). O(incarnations), of which there is almost always one.
    pub(crate) fn lowest(&self, place: PlaceId) -> Option<LocalContainer> {
        let place = self.view.place(place);
        if let Link::Root(number) = place.link {
            return Some(LocalContainer::root(number));
        }
        let mut lowest: Option<LocalDot> = None;
        for entity in place.incarnations.iter() {
            let dot = self.store.dot(entity);
            let by_number = fault::active(Fault::LowestByNumber);
            let lower = |lowest| if by_number { dot < lowest } else { self.origins.compare(dot, lowest).is_lt() };
            if lowest.is_none_or(lower) {
                lowest = Some(dot);
            }
        }
        lowest.map(LocalContainer::entity)
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
        let slot = self.localize_slot(&entry.slot);
        let live = Live::new(container, slot, entry.kind, entry.entity, entry.payload.clone(), hlc);
        self.insert(dot, live, true);
    }

    /// Binds a dot. Does nothing but release its key, and gives nothing, if the container is not alive (VALID-1). Its share
    /// of the beacon is added if it is `counted`: what a transaction inserts counts when it commits.
    pub(crate) fn insert(&mut self, dot: LocalDot, live: Live, counted: bool) -> Option<EntryId> {
        let parent = live.container().as_entity().map(|entity| self.store.find(entity));
        let place = match parent {
            None => self.container(live.container()),
            Some(parent) => parent.and_then(|id| self.entity_at(id)),
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
        if let Some(position) = position {
            self.forest.acquire(position.bunch);
        }
        if counted {
            let share = self.share(dot, &live);
            self.store.beacon = self.store.beacon.wrapping_add(share);
        }
        self.note_coming(place, &live);
        let id = self.store.insert(dot, live);
        if let Some(head) = parent.flatten().and_then(|parent| self.view.place_mut(place).incarnations.head(parent)) {
            self.store.link(head, id);
        }
        self.attach(place, dot, id);
        Some(id)
    }

    /// Gives up what a dead entry holds.
    pub(crate) fn discard(&mut self, live: Live) {
        if let LocalSlotRef::Key(key) = live.slot() {
            self.keys.release(key);
        }
    }

    /// Notes what is about to change where an entry comes. Elements and their moves are noted where that is known.
    fn note_coming(&mut self, place: PlaceId, live: &Live) {
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
    fn note_going(&mut self, place: PlaceId, id: EntryId) {
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
    fn touched(&self, place: PlaceId, live: &Live) -> Touched {
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

    fn attach(&mut self, place: PlaceId, dot: LocalDot, id: EntryId) {
        let live = self.store.live(id);
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
                let child = child.unwrap_or_else(|| {
                    let child = self.view.open(Link::Key(place, key), kind, depth, None);
                    if let Content::Map(index) = &mut self.view.place_mut(place).content {
                        index.add_child(key, kind, child, &self.store);
                    }
                    child
                });
                self.incarnate(child, id);
            }
            (Content::Set(index), LocalSlotRef::Member(hash, _), kind, false) if own_kind.shows(kind) => {
                index.add(hash, id, &self.store);
            }
            (Content::Counter(totals), LocalSlotRef::Owner, kind, false) if own_kind.shows(kind) => {
                totals.dots.add(id);
                totals.sum += amount(live);
            }
            (Content::Unit(dots), LocalSlotRef::Unit, kind, false) if own_kind.shows(kind) => dots.add(id),
            (Content::List(_), LocalSlotRef::Position { .. }, kind, true) => {
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

    fn incarnate(&mut self, place: PlaceId, id: EntryId) {
        self.view.incarnate(place, id);
        self.store.live_mut(id).place = place.0;
    }

    fn seat(&mut self, place: PlaceId) -> &mut Seat {
        self.view.place_mut(place).seat.as_mut().expect("the caller saw that the place is an element")
    }

    fn attach_element(&mut self, list: PlaceId, dot: LocalDot, id: EntryId, kind: Kind, depth: u32) {
        let Some(at) = Self::position(dot, self.store.live(id)) else { return };
        let seat = Seat { initial: at, moves: Dots::None, current: at };
        let place = self.view.open(Link::Element(list, dot), kind, depth, Some(seat));
        self.incarnate(place, id);
        if let Content::List(sequence) = &mut self.view.place_mut(list).content {
            sequence.insert(&self.forest, &self.origins, at, dot);
        }
        self.notes.element(list, ElementNote::Inserted(dot), None);
    }

    /// A move came. It counts if it wins over the one that counts: a comparison a move.
    fn move_came(&mut self, place: PlaceId, dot: LocalDot, id: EntryId) {
        let Some(position) = Self::position(dot, self.store.live(id)) else { return };
        let seat = self.seat(place);
        seat.moves.add(id);
        // A position names the dot it was made for: here the winning move, or the element itself.
        let before = (seat.current != seat.initial).then(|| seat.current.dot()).flatten();
        let before = before.and_then(|before| self.store.find(before));
        if before.is_none_or(|before| self.by_stamp(id, before).is_gt()) || fault::active(Fault::LastMoveToArriveCounts)
        {
            self.reseat(place, position);
        }
    }

    /// A move went. If it was the one that counted, the winner of the others does, or where the element was created.
    fn move_went(&mut self, place: PlaceId, dot: LocalDot) {
        let Some(seat) = &self.view.place(place).seat else { return };
        if seat.current.dot() == Some(dot) && !fault::active(Fault::MoveNotTakenBack) {
            let winner = self.winner(seat.moves.view());
            let winner = winner.and_then(|id| Self::position(self.store.dot(id), self.store.live(id)));
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
        self.notes.element(list, ElementNote::Moved(element), None);
    }

    // ---- kill ----

    /// Takes a live dot away, with everything inside it. `cause` is the delta that removed it, if one is known; the dead
    /// positions are kept until the horizon covers it. Says whether it lived.
    pub(crate) fn kill(&mut self, dot: LocalDot, cause: Option<LocalDot>) -> bool {
        self.kill_into(dot, cause, None)
    }

    /// The same, and journals what died, children before parents. Without a journal it is for ever.
    pub(super) fn kill_into(
        &mut self,
        dot: LocalDot,
        cause: Option<LocalDot>,
        mut journal: Option<&mut Vec<Step>>,
    ) -> bool {
        let Some(top) = self.store.find(dot) else { return false };
        if !self.store.live(top).entity {
            let live = self.kill_one(top, cause, true, None);
            self.bury(dot, live, &mut journal);
            return true;
        }
        // What is read there now, before what is in it goes.
        let told = !self.notes.quiet && !fault::active(Fault::RemovedShowedNothing);
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
            if let Some(head) = self.view.place_mut(place).incarnations.head(entity) {
                self.store.append_list(*head, &mut doomed);
            }
        }
        // Children first, so that a place is empty before it is given up. The top tells the application; so does what is plain
        // in a place that lives on in other incarnations, because what is read there changes.
        let mut shown = Some(shown);
        while let Some(id) = doomed.pop() {
            let (dot, is_top) = (self.store.dot(id), doomed.is_empty());
            let old = if is_top { shown.take().flatten() } else { None };
            let live = self.kill_one(id, cause, is_top || self.lives_on_without(id), old);
            self.bury(dot, live, &mut journal);
        }
        true
    }

    /// Whether an entry is a plain one in a place that has more incarnations than the one that it is in.
    fn lives_on_without(&self, id: EntryId) -> bool {
        let live = self.store.live(id);
        if self.notes.quiet || live.entity || live.kind == Kind::MOVE {
            return false;
        }
        let place = live.container().as_entity().and_then(|entity| self.entity(entity));
        place.is_some_and(|place| matches!(self.view.place(place).incarnations, Incarnations::Many(_)))
    }

    fn bury(&mut self, dot: LocalDot, live: Live, journal: &mut Option<&mut Vec<Step>>) {
        match journal {
            Some(journal) => journal.push(Step::Killed((dot, live))),
            None => self.discard(live),
        }
    }

    /// Kills every live dot of a run but those to `spare`. O(live dots in the run · log n), however long the run is.
    pub(crate) fn kill_run(
        &mut self,
        run: LocalRun,
        cause: Option<LocalDot>,
        spare: Option<&dyn Fn(LocalDot) -> bool>,
    ) {
        let (first, more) = run;
        let spare = |dot: LocalDot| spare.is_some_and(|spare| spare(dot));
        if more == 0 {
            if !spare(first) {
                self.kill(first, cause);
            }
            return;
        }
        let mut doomed = Vec::new();
        for (dot, _) in self.store.ids(first.origin(), first.seq()..=first.seq() + more) {
            if !spare(dot) {
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
                self.kill_run(run, Some(remover), None);
            }
            self.removals.log(remover, run.0, run.1 + 1, false);
        }
    }

    fn kill_one(&mut self, id: EntryId, cause: Option<LocalDot>, tell: bool, old: Option<Value>) -> Live {
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
        // What a transaction inserted does not count before it commits.
        let counted = self.covers_local(dot) || fault::active(Fault::BeaconTakesUncounted);
        if counted && !fault::active(Fault::BeaconCountsDead) {
            let share = self.share(dot, &live);
            self.store.beacon = self.store.beacon.wrapping_sub(share);
        }
        if let Some(position) = Self::position(dot, &live) {
            self.forest.release(position.bunch, cause);
        }
        live
    }

    fn detach(&mut self, place: PlaceId, dot: LocalDot, id: EntryId, tell: bool, old: Option<Value>) {
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
                totals.sum -= if fault::active(Fault::SumKeepsDead) { 0 } else { amount(live) };
            }
            (Content::Unit(dots), LocalSlotRef::Unit, _) => dots.remove(id),
            (_, LocalSlotRef::Position { .. }, Kind::MOVE) if element => {
                // If the element dies too, its seat goes with it, and the order is left alone until then.
                self.seat(place).moves.remove(id);
                if tell {
                    self.move_went(place, dot);
                }
            }
            _ => {}
        }
    }

    fn detach_entity(&mut self, parent: PlaceId, dot: LocalDot, id: EntryId, kind: Kind, tell: Option<Option<Value>>) {
        let Some(own) = self.entity_at(id) else { return };
        let link = self.view.place(own).link;
        if let (Link::Element(list, _), Some(seat)) = (link, &self.view.place(own).seat) {
            let at = seat.current;
            if let Content::List(sequence) = &mut self.view.place_mut(list).content {
                sequence.remove(&self.forest, &self.origins, at);
            }
            if let Some(old) = tell.filter(|_| !fault::active(Fault::RemovalNotTold)) {
                self.notes.element(list, ElementNote::Removed(dot), old);
            }
        }
        let last = self.view.disincarnate(own, id);
        if let (Link::Key(_, key), true) = (link, last)
            && let Content::Map(index) = &mut self.view.place_mut(parent).content
        {
            index.remove_child(key, kind);
            self.notes.emptied = self.notes.emptied || index.get(key, &self.store).is_none();
        }
    }

    /// Keys the tables of this document with another seed. O(n).
    pub(crate) fn reseed(&mut self, seed: Seed) {
        self.seed = seed;
        self.keys.reseed(seed);
        self.store.rehash(|member| member.hash(seed));
        for place in self.view.places_mut() {
            if let Content::Set(index) = &mut place.content {
                index.reseed(&self.store);
            }
        }
    }

    // ---- reading helpers shared by the types ----

    /// The winner among concurrent writes: the greatest by (stamp, replica id, seq).
    pub(crate) fn winner(&self, dots: DotsRef<'_>) -> Option<EntryId> {
        let earliest = fault::active(Fault::EarliestWins);
        dots.iter().max_by(|a, b| if earliest { self.by_stamp(*b, *a) } else { self.by_stamp(*a, *b) })
    }

    /// Whether there are entries, and all of this kind.
    pub(crate) fn all_are(&self, dots: DotsRef<'_>, kind: Kind) -> bool {
        let is = |id| self.store.live(id).kind == kind;
        !dots.is_empty() && (dots.iter().all(is) || fault::active(Fault::MarksIgnored) && dots.iter().any(is))
    }

    /// The value that comes out `best` of a comparison with any other.
    pub(crate) fn extreme(&self, dots: DotsRef<'_>, best: Ordering) -> Option<&Value> {
        if fault::active(Fault::ExtremeByStamp) {
            return self.winner(dots).and_then(|id| self.value_of(id));
        }
        let mut found: Option<&Value> = None;
        for id in dots.iter() {
            if let Some(value) = self.value_of(id)
                && found.is_none_or(|found| value.cmp(found) == best)
            {
                found = Some(value);
            }
        }
        found
    }

    /// What the value of a bounded counter never goes below.
    pub(crate) fn floor(&self, place: PlaceId) -> i64 {
        let mut floor: Option<i64> = None;
        for entity in self.view.place(place).incarnations.iter() {
            let said = if let Some(Value::Int(said)) = self.value_of(entity) { *said } else { 0 };
            floor = Some(match floor {
                Some(floor) if fault::active(Fault::FloorsAdd) => floor.saturating_add(said),
                Some(floor) => floor.max(said),
                None => said,
            });
        }
        floor.unwrap_or(0)
    }

    pub(crate) fn by_stamp(&self, a: EntryId, b: EntryId) -> Ordering {
        let stamp = |id| self.store.live(id).hlc;
        let (of_a, of_b) = (self.store.dot(a), self.store.dot(b));
        let by_number = fault::active(Fault::WinnerByNumber);
        let by_id = || if by_number { of_a.cmp(&of_b) } else { self.origins.compare(of_a, of_b) };
        stamp(a).cmp(&stamp(b)).then_with(by_id)
    }
}

/// What an entry adds to its counter.
pub(crate) fn amount(live: &Live) -> i128 {
    match live.payload() {
        PayloadRef::Total { plus, .. } if fault::active(Fault::CounterIgnoresMinus) => i128::from(plus),
        PayloadRef::Total { plus, minus } => i128::from(plus) - i128::from(minus),
        PayloadRef::Rights(rights) => i128::from(rights.plus) - i128::from(rights.minus),
        _ => 0,
    }
}
