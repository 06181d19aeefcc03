//! Documents at rest: saving and loading.
//!
//! A document is written as it lies in the store, and read into its store entry by entry: there is no copy of all that lives
//! in between, which would be several times as large as the bytes. A document that is loaded is new, so that one of whose
//! bytes the end is refused is given up as a whole.
//!
//! What is in a container that comes later (its creator's id is greater) waits until all are there.
//!
//! Rules: BYTES-1. DIFF-4 loading restores the horizon, which a diff would raise. SEQ-5 positions in bunches that are not
//! there are refused. SEQ-6 dead positions that the log needs are saved with it.

use alloc::vec::Vec;

use super::apply::ApplyError;
use super::join::Coming;
use super::state::State;
use super::view::PlaceId;
use super::{Document, LoadError};
use crate::clock::{Dot, DotRuns, Hlc, LocalDot, VersionVector};
use crate::codec::{self, Hung, Incoming, IncomingSlot, IncomingText, Intake, NOT_HERE, Reader, Row, Rows};
use crate::diff::{Diff, LiveEntry, Snapshot, Tier};
use crate::fault::{self, Fault};
use crate::ordered::Set;
use crate::replica_id::{Origin, ReplicaId};
use crate::sequence::{BunchRecord, Loaded, LocalBunch, LocalPosition, Position, Stretch};
use crate::store::{Container, Entry, EntryId, KeyId, Live, LocalContainer, LocalSlot, LocalSlotRef};

/// All that lives.
impl Rows for State {
    fn each<'a>(&'a self, push: &mut dyn FnMut(Row<'a>)) {
        for (_, origin) in self.origins.iter() {
            for (dot, live) in self.store.range(origin, 1..=self.seq(origin)) {
                let alone = matches!(live.slot(), LocalSlotRef::Key(key) if self.keys.is_used_once(key));
                push((self.origins.dot(dot), live.hlc, self.entry_ref(live), alone));
            }
        }
    }

    fn seed(&self) -> u64 {
        self.seed.secret()
    }
}

impl Document {
    /// The document at rest, in the bytes of `docs/format.md`: what lives, how far each replica is known, and the removal log, so that
    /// what is loaded can go on serving others. O(live + log). [`Document`] shows it in use.
    ///
    /// # Panics
    /// While a transaction is open: what that has changed so far belongs to no version.
    pub fn snapshot(&self) -> Vec<u8> {
        assert!(!self.in_transaction(), "DIFF-7: a snapshot is made at a whole version");
        let state = &self.state;
        let mut bunches = Set::new();
        for id in state.forest.needed() {
            bunches.insert(id);
        }
        if !fault::active(Fault::SnapshotForgetsDead) {
            for (id, _) in state.forest.dead() {
                bunches.insert(id);
            }
        }
        let mut text = Vec::new();
        for (_, origin) in state.origins.iter() {
            state.export_text(origin, 1..=state.seq(origin), &mut text);
        }
        let diff = Diff {
            tier: Tier::Full,
            base: VersionVector::new(),
            ahead: VersionVector::new(),
            head: self.version(),
            heads: self.heads(),
            adds: Vec::new(),
            text,
            removes: Vec::new(),
            dead: DotRuns::new(),
            bunches: state.chains(&bunches),
        };
        let mut removals = Vec::new();
        for (_, origin) in state.origins.iter() {
            if !fault::active(Fault::SnapshotForgetsLog) {
                state.removals_by(origin, &mut removals);
            }
        }
        let snapshot = Snapshot { diff, horizon: state.horizon(), removals, beacon: self.beacon() };
        codec::encode_snapshot_of(&snapshot, state)
    }

    /// Reads what [`Document::snapshot`] wrote. The document has no writer. O(bytes · log n), and memory within a constant factor of the
    /// bytes (BYTES-1).
    ///
    /// # Errors
    /// When the bytes are damaged, or their content is not what its beacon says.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::new().loaded(bytes)
    }

    /// Loads into this document, which is empty: its tables are keyed already.
    pub(crate) fn loaded(mut self, bytes: &[u8]) -> Result<Self, LoadError> {
        debug_assert!(self.live_count() == 0, "what is loaded is the whole document");
        // Nobody has seen anything of it yet.
        let quiet = core::mem::replace(&mut self.state.notes.quiet, true);
        let mut loading = Loading::into(self);
        let snapshot = codec::read_snapshot(bytes, &mut loading);
        let Loading { mut document, text, text_in, late, error, .. } = loading;
        if let Some(error) = error {
            return Err(error.into());
        }
        let snapshot = snapshot?;
        // No bytes are read of text in a bunch that they do not tell.
        document.order_bunches(&[], &late, &[])?;
        let state = &mut document.state;
        let coming = Coming::of(state, &late);
        state.insert_parents_first(coming, |_| true);
        state.seat_all();
        state.take_loaded(text, &text_in);
        let dead = state.forest.unneeded();
        document.end_join(&snapshot.diff, &[], &dead);
        let state = &mut document.state;
        let mut horizon = state.seqs();
        for (id, origin) in state.origins.iter() {
            if let Some(seq) = horizon.get_mut(origin.0 as usize) {
                *seq = if fault::active(Fault::LoadForgetsHorizon) { 0 } else { snapshot.horizon.seq(id) };
            }
        }
        state.removals.truncate(&horizon);
        for run in &snapshot.removals {
            state.log_removals(run);
        }
        state.drop_changes();
        state.keys.shrink();
        state.notes.quiet = quiet;
        if document.beacon() != snapshot.beacon {
            return Err(LoadError::BeaconMismatch);
        }
        Ok(document)
    }
}

/// A document that is being loaded.
struct Loading<'a> {
    document: Document,
    /// The number of the run of entries that is read, and what they are in, if that is alive by now.
    run: usize,
    container: Option<Place>,
    /// Whose dots are read.
    origin: Option<(ReplicaId, Origin)>,
    /// The last stamp.
    hlc: Option<Hlc>,
    /// The key that was just read, whose use is counted already.
    new_key: Option<usize>,
    /// What is in something that is not alive by now; ascending.
    late: Vec<LiveEntry>,
    /// The runs of text, ascending by the dots of the snapshot. What they are in, by the number that each says for its rope, is
    /// found when all entries are there.
    text: Vec<Loaded<'a>>,
    text_in: Vec<Container>,
    /// The number of the run of such runs in one container that is read.
    text_run: Option<usize>,
    error: Option<ApplyError>,
}

/// Where the entries of one container go.
#[derive(Clone, Copy)]
struct Place {
    container: LocalContainer,
    place: PlaceId,
    parent: Option<EntryId>,
}

impl Loading<'_> {
    fn into(mut document: Document) -> Self {
        document.state.put_off_seating();
        Self {
            document,
            run: 0,
            container: None,
            origin: None,
            hlc: None,
            new_key: None,
            late: Vec::new(),
            text: Vec::new(),
            text_in: Vec::new(),
            text_run: None,
            error: None,
        }
    }

    fn refuse(&mut self, reader: &mut Reader<'_>, error: ApplyError) {
        self.error = Some(error);
        reader.invalid("what contradicts itself");
    }

    /// This document's name for a dot of the snapshot, whose replicas are all known.
    fn local(&mut self, dot: Dot) -> LocalDot {
        if let Some((replica, origin)) = self.origin
            && replica == dot.replica
        {
            return LocalDot::new(origin, dot.seq);
        }
        let origin = self.document.state.origins.intern(dot.replica);
        self.origin = Some((dot.replica, origin));
        LocalDot::new(origin, dot.seq)
    }

    /// Takes in the bunches, each under the number of its place.
    fn take_forest(&mut self, bunches: &[BunchRecord], hung: &[Hung]) -> Result<(), ApplyError> {
        self.document.state.forest.reserve(bunches.len());
        for (record, hung) in bunches.iter().zip(hung) {
            record.check_place()?;
            let parent = record.parent;
            if hung.above == NOT_HERE && parent != Position::START {
                return Err(ApplyError::MissingBunch { bunch: parent.bunch });
            }
            let bunch = if parent == Position::START { LocalDot::ROOT } else { self.local(parent.bunch) };
            let parent = LocalPosition { bunch, index: parent.index };
            let bunch = LocalBunch { parent, side: record.side, rank: record.rank };
            let id = self.local(record.id);
            self.document.state.forest.load(id, bunch, hung.above as u32, hung.depth as u32);
        }
        self.document.state.forest.count_children();
        Ok(())
    }

    /// Goes on in another container.
    #[inline(never)]
    fn enter(&mut self, entry: &Incoming<'_>) {
        let state = &mut self.document.state;
        self.run = entry.run.0;
        self.container = None;
        let Some(container) = state.localize(entry.container) else { return };
        let parent = container.as_entity().map(|entity| state.store.find(entity));
        let place = match parent {
            None => state.container(container),
            Some(parent) => parent.and_then(|id| state.open_element(id)),
        };
        let Some(place) = place else { return };
        self.container = Some(Place { container, place, parent: parent.flatten() });
        state.view.place_mut(place).content.reserve(entry.run.1);
    }

    /// Whether one of some dots was read.
    #[inline(never)]
    fn is_among(&self, first: Dot, last: Dot) -> bool {
        let state = &self.document.state;
        let origin = match self.origin {
            Some((replica, origin)) if replica == first.replica => Some(origin),
            _ => state.origins.get(&first.replica),
        };
        let Some(origin) = origin else { return false };
        // The replicas of the head have got their numbers in the order of their ids, so text ascends by these dots, too.
        let (from, to) = (LocalDot::new(origin, first.seq), LocalDot::new(origin, last.seq));
        let after = self.text.partition_point(|values| values.stretch.first <= to);
        if after.checked_sub(1).is_some_and(|at| self.text[at].stretch.last() >= from) {
            return true;
        }
        if state.store.len() == 0 && self.late.is_empty() {
            return false;
        }
        state.store.ids(origin, first.seq..=last.seq).next().is_some() || codec::is_among(&self.late, first, last)
    }

    /// Goes on with the text in another container.
    #[inline(never)]
    fn enter_text(&mut self, run: &IncomingText<'_, '_>) {
        self.text_run = Some(run.run);
        self.text_in.push(run.container.clone());
        self.text.reserve_exact(run.left + 1);
    }

    /// Keeps an entry until all are there.
    #[inline(never)]
    fn put_off(&mut self, dot: Dot, hlc: Hlc, entry: Incoming<'_>) {
        let Incoming { container, slot, kind, entity, payload, .. } = entry;
        let keys = &mut self.document.state.keys;
        let new_key = self.new_key.take();
        let slot = slot.with_key(|number| {
            let key = KeyId(number as u32);
            if new_key.is_some() {
                keys.release(key);
            }
            keys.text(key).clone()
        });
        let entry = Entry { container: container.clone(), slot, kind, entity, payload };
        self.late.push(LiveEntry { dot, hlc, entry });
    }
}

impl<'a> Intake<'a> for Loading<'a> {
    fn begin(&mut self, reader: &mut Reader<'a>, diff: &Diff, hung: &[Hung], _count: usize) {
        self.document.begin_join(diff, &[]);
        if let Err(error) = self.take_forest(&diff.bunches, hung) {
            self.refuse(reader, error);
        }
    }

    /// Nothing is given up before the end, so that the keys have the numbers here that they have in the bytes.
    fn key(&mut self, _reader: &Reader<'a>, text: &'a str) -> bool {
        let State { keys, seed, .. } = &mut self.document.state;
        let key = keys.acquire_new(*seed, text);
        self.new_key = key.map(|key| key.0 as usize);
        key.is_some()
    }

    fn entry(&mut self, reader: &mut Reader<'a>, dot: Dot, hlc: Hlc, entry: Incoming<'_>) {
        if self.hlc != Some(hlc) {
            self.hlc = Some(hlc);
            let Document { clock, now, .. } = &mut self.document;
            clock.observe(hlc, *now);
        }
        if self.run != entry.run.0 {
            self.enter(&entry);
        }
        let Some(Place { container, place, parent }) = self.container else {
            return self.put_off(dot, hlc, entry);
        };
        let local = self.local(dot);
        let state = &mut self.document.state;
        let slot = match entry.slot {
            IncomingSlot::Unit => LocalSlot::Unit,
            IncomingSlot::Key(number) => {
                let key = KeyId(number as u32);
                if self.new_key.take().is_none() {
                    state.keys.acquire_again(key);
                }
                LocalSlot::Key(key)
            }
            IncomingSlot::Member(member) => LocalSlot::Member(member.hash(state.seed), member),
            IncomingSlot::Owner => LocalSlot::Owner,
            IncomingSlot::Position { bunch, backward } => {
                let origin = local.origin();
                if !state.forest.contains(LocalDot::new(origin, bunch)) {
                    let bunch = Dot::new(dot.replica, bunch);
                    return self.refuse(reader, ApplyError::MissingBunch { bunch });
                }
                LocalSlot::Position { bunch, backward }
            }
        };
        let live = Live::new(container, slot, entry.kind, entry.entity, entry.payload, hlc);
        state.insert_at(place, parent, local, live);
    }

    fn text(&mut self, run: IncomingText<'_, 'a>) {
        if self.text_run != Some(run.run) {
            self.enter_text(&run);
        }
        // A count of characters is one of bytes that are there.
        let Ok(len) = u32::try_from(run.dots) else { return };
        let (first, container) = (self.local(run.first), LocalContainer::root(0));
        let stretch = Stretch { first, len, backward: run.backward, bunch: run.bunch, container };
        let rope = self.text_in.len() as u32 - 1;
        self.text.push(Loaded { rope, bunch: run.place as u32, stretch, text: run.text });
    }

    fn has(&self, first: Dot, last: Dot) -> bool {
        let nothing = self.text.is_empty() && self.document.state.store.len() == 0 && self.late.is_empty();
        !nothing && self.is_among(first, last)
    }
}
