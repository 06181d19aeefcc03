//! The state of a document: version, live store, positions and view, kept in step by two operations, insert and kill.
//!
//! Everything that changes what lives, local or remote, delta or diff, goes through [`State::insert`] and [`State::kill`], which
//! have files of their own. Each costs O(log n) a dot; the death of an entity costs its subtree, each dot of which can die once.
//!
//! Rules: ENT-1 the subtree of a removed entity dies with it. VALID-1 what does not fit its container is stored and hidden.

use alloc::vec::Vec;

use super::beacon::Beacon;
use super::lists::Lists;
use super::notes::Notes;
use super::texts::Texts;
use super::view::{Content, Link, PlaceId, View};
use crate::clock::{Dot, LocalDot, Tag, VersionEntry, VersionVector};
use crate::fault::{self, Fault};
use crate::few::Few;
use crate::hash::Seed;
use crate::ordered::{Set, sort_by};
use crate::replica_id::{Origin, Origins, ReplicaId};
use crate::sequence::{Forest, LocalPosition, Stretch};
use crate::store::{
    Container, ContainerRef, Entry, EntryId, EntryRef, KeyId, Keys, Kind, Live, LocalContainer, LocalSlot,
    LocalSlotRef, NONE, Removals, Slot, SlotRef, Store,
};
use crate::string::Str;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) origins: Origins,
    /// By replica number: last dot covered and the chain tag there.
    version: Vec<VersionEntry>,
    pub(crate) heads: Set<LocalDot>,
    pub(crate) store: Store,
    pub(crate) beacon: Beacon,
    pub(crate) removals: Removals,
    pub(crate) forest: Forest,
    pub(crate) texts: Texts,
    pub(crate) lists: Lists,
    pub(crate) view: View,
    pub(crate) keys: Keys,
    pub(crate) notes: Notes,
    pub(crate) seed: Seed,
}

/// What died, with the dot that it was.
pub(crate) type Dead = (LocalDot, Live);

/// What died of what was there before a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Children before parents.
    pub(super) entries: Vec<Dead>,
    /// Characters, each run in the order of its dots.
    pub(super) text: Vec<(Stretch, Str)>,
}

impl Journal {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.text.clear();
    }
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

    /// The heads, ascending by replica id.
    pub(crate) fn head_dots(&self) -> Few<Dot> {
        if let (1, Some(only)) = (self.heads.len(), self.heads.iter().next()) {
            return Few::one(self.origins.dot(*only));
        }
        let mut heads = Few::new();
        for head in self.heads.iter() {
            heads.push(self.origins.dot(*head));
        }
        if heads.len() > 1 {
            sort_by(&mut heads, Ord::cmp);
        }
        heads
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

    /// Ends a batch: keeps the removal log in proportion, drops the dead structure that only the log still needed (SEQ-6), and
    /// keeps the sum of the beacon near.
    pub(crate) fn keep_log_short(&mut self) {
        self.keep_beacon_near();
        let live_bytes = self.live_bytes();
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
        let container = self.container_ref(live);
        let slot = match live.slot() {
            LocalSlotRef::Unit => SlotRef::Unit,
            LocalSlotRef::Key(key) => SlotRef::Key(self.keys.text(key)),
            LocalSlotRef::Member(_, member) => SlotRef::Member(member),
            LocalSlotRef::Owner => SlotRef::Owner,
            LocalSlotRef::Position { bunch, backward } => SlotRef::Position { bunch, backward },
        };
        EntryRef { container, slot, kind: live.kind, entity: live.entity, payload: live.payload() }
    }

    pub(super) fn container_ref(&self, live: &Live) -> ContainerRef<'_> {
        match live.container().as_entity() {
            Some(dot) => ContainerRef::Entity(self.origins.dot(dot)),
            None => {
                let (name, kind) = self.root_of(live);
                ContainerRef::Root { name, kind }
            }
        }
    }

    pub(super) fn root_of(&self, live: &Live) -> (&Str, Kind) {
        self.view.root_name(live.container().as_root().unwrap_or_default())
    }

    /// The position of an entry that has one.
    pub(crate) fn position(dot: LocalDot, live: &Live) -> Option<LocalPosition> {
        let LocalSlotRef::Position { bunch, backward } = live.slot() else { return None };
        LocalPosition::of(dot, bunch, backward)
    }

    /// The place of a live entity, but of a bare element, which has none.
    pub(crate) fn entity(&self, dot: LocalDot) -> Option<PlaceId> {
        self.entity_at(self.store.find(dot)?)
    }

    /// Whether a dot is that of a live entity.
    pub(crate) fn is_entity(&self, dot: LocalDot) -> bool {
        self.store.get(dot).is_some_and(|live| live.entity)
    }

    /// Whether something can be put into a container.
    pub(crate) fn is_alive(&self, container: LocalContainer) -> bool {
        container.as_entity().is_none_or(|dot| self.is_entity(dot))
    }

    pub(crate) fn entity_at(&self, id: EntryId) -> Option<PlaceId> {
        let place = self.store.live(id).place;
        (place != NONE).then_some(PlaceId(place))
    }

    /// The place that shows a live container, but for a bare element, in which there is nothing.
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
}
