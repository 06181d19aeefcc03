//! Applying deltas: what one transaction of another replica did.
//!
//! A delta applies as a whole or not at all. It is *ready* when everything it names is covered by the version or by an
//! earlier dot of the same delta; that is checked, not trusted. One that is not ready is parked, within bounds, until it is.
//!
//! Rules: CAUSAL-1, CAUSAL-2, VALID-1, ENT-1, REM-1, REM-2, SEQ-5 an unknown parent is "not ready", never a provisional place.

use alloc::vec::Vec;

use super::{ChangeOrigin, Changes, Document};
use crate::clock::{Dot, LocalDot, Tag, VersionEntry};
use crate::codec::limits;
use crate::delta::{Delta, DeltaParts};
use crate::diff::Diff;
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::replica_id::{Origins, ReplicaId};
use crate::sequence::{BunchRecord, Forest, Position, Side};
use crate::store::{Container, Entry, Kind, Slot};

/// What became of a delta or a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is part of the document now.
    Applied,
    /// It was part of the document before.
    Known,
    /// It waits for what it depends on.
    Parked,
}

/// What a delta or a diff did to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What became of it.
    pub outcome: Outcome,
    /// What the application should look at again; includes what parked deltas changed that became ready.
    pub changes: Changes,
}

/// Whether a delta would apply now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It would.
    Ready,
    /// It is covered already.
    Known,
    /// Something that it names is missing here.
    NotReady,
}

/// Why a delta or a diff was refused. The document is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Two histories under one replica id: this one contradicts the one that is known.
    #[error("the history of replica {replica} forks at or before its dot {seq}")]
    Fork {
        /// Whose history.
        replica: ReplicaId,
        /// The last dot of what was refused.
        seq: u64,
    },
    /// A bunch of positions is known under this name with another place.
    #[error("bunch {bunch} is known with another place")]
    BunchConflict {
        /// Its name.
        bunch: Dot,
    },
    /// A bunch of positions lies too deep.
    #[error("bunch {bunch} lies deeper than {limit}")]
    TooDeep {
        /// Its name.
        bunch: Dot,
        /// The limit.
        limit: u32,
    },
    /// A bunch of positions hangs where nothing can hang.
    #[error("bunch {bunch} hangs on a position that does not exist")]
    InvalidBunch {
        /// Its name.
        bunch: Dot,
    },
    /// A diff does not carry the positions of what it adds.
    #[error("the diff lacks bunch {bunch}, which it refers to")]
    MissingBunch {
        /// Its name.
        bunch: Dot,
    },
    /// A diff starts from something that is not here (DIFF-1).
    #[error("the diff starts at dot {seq} of replica {replica}, which is not known here")]
    BaseNotCovered {
        /// Whose history.
        replica: ReplicaId,
        /// The dot it starts from.
        seq: u64,
    },
    /// Too much waits for what it depends on.
    #[error("{deltas} deltas ({bytes} bytes) are parked, the limit is reached")]
    TooMuchParked {
        /// How many wait.
        deltas: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// More replicas than a document can hold.
    #[error("a document holds at most {limit} replicas")]
    TooManyReplicas {
        /// The limit.
        limit: usize,
    },
    /// A local transaction is open.
    #[error("a transaction is open; commit it or roll it back first")]
    InTransaction,
}

type ParkedKey = (ReplicaId, u64, Tag);

/// Deltas that wait for what they depend on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parked {
    /// By replica, first dot and tag: where two claim one place, the chain will tell which is real.
    deltas: Map<ParkedKey, Delta>,
    bytes: usize,
}

impl Parked {
    pub(crate) fn len(&self) -> usize {
        self.deltas.len()
    }

    fn add(&mut self, delta: &Delta) -> Result<(), ApplyError> {
        let key = (delta.replica(), delta.first_seq(), delta.tag());
        if self.deltas.contains_key(&key) {
            return Ok(());
        }
        let (deltas, bytes) = (self.deltas.len(), self.bytes);
        if deltas >= limits::MAX_PARKED_DELTAS || bytes + delta.bytes().len() > limits::MAX_PARKED_BYTES {
            return Err(ApplyError::TooMuchParked { deltas, bytes });
        }
        self.bytes += delta.bytes().len();
        self.deltas.insert(key, delta.clone());
        Ok(())
    }

    fn take(&mut self, key: ParkedKey) -> Option<Delta> {
        let delta = self.deltas.remove(&key)?;
        self.bytes -= delta.bytes().len();
        Some(delta)
    }
}

impl Document {
    /// Joins what another replica's transaction did.
    ///
    /// A delta that is known already changes nothing. One that is not ready is parked and applied as soon as it is.
    /// Costs O(delta · log n), whatever the size of the containers it touches, and a look at each parked delta.
    ///
    /// ```
    /// # use weftline::{Document, EditError, Outcome, ReplicaId, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut author = Document::with_writer(ReplicaId::from(1));
    /// let first = author.transact(Timestamp(1), |tx| tx.map("m")?.put("k", 1))?.delta.expect("an edit");
    /// let second = author.transact(Timestamp(2), |tx| tx.map("m")?.put("k", 2))?.delta.expect("an edit");
    ///
    /// let mut reader = Document::new();
    /// assert_eq!(reader.apply(&second)?.outcome, Outcome::Parked); // too early: it waits
    /// assert_eq!(reader.apply(&first)?.outcome, Outcome::Applied); // and comes with this one
    /// assert_eq!(reader.apply(&first)?.outcome, Outcome::Known); // once is enough
    /// assert_eq!(reader.map("m").get_as("k"), Some(2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the delta contradicts what is known, or too much is parked. The document is unchanged then.
    pub fn apply(&mut self, delta: &Delta) -> Result<Applied, ApplyError> {
        if self.in_transaction() {
            return Err(ApplyError::InTransaction);
        }
        let mut readiness = self.follows(delta)?;
        if readiness == Readiness::Known {
            return Ok(self.applied(Outcome::Known));
        }
        let parts = &delta.parts();
        if readiness == Readiness::Ready {
            readiness = self.check_parts(parts)?;
        }
        let outcome = match readiness {
            Readiness::Ready => {
                self.join_delta(delta, parts);
                self.apply_parked();
                Outcome::Applied
            }
            _ => {
                self.parked.add(delta)?;
                if fault::active(Fault::ParkedInPart) {
                    self.take_adds(parts);
                }
                Outcome::Parked
            }
        };
        Ok(self.applied(outcome))
    }

    /// Whether `delta` would apply now. Costs O(delta · log n).
    ///
    /// # Errors
    /// When it contradicts what is known.
    pub fn check(&self, delta: &Delta) -> Result<Readiness, ApplyError> {
        match self.follows(delta)? {
            Readiness::Ready => self.check_parts(&delta.parts()),
            known_or_early => Ok(known_or_early),
        }
    }

    /// Whether a delta is known, or may be the next of its writer, as far as its place in the chain tells.
    fn follows(&self, delta: &Delta) -> Result<Readiness, ApplyError> {
        let (replica, first, last) = (delta.replica(), delta.first_seq(), delta.last_seq());
        let known = self.state.entry_of(replica);
        let (seq, tag) = known.map_or_else(|| (0, Tag::start(replica)), |entry| (entry.seq, entry.tag));
        if last <= seq {
            let contradicts = last == seq && tag != delta.tag() && !fault::active(Fault::NoChainCheck);
            return if contradicts { Err(ApplyError::Fork { replica, seq: last }) } else { Ok(Readiness::Known) };
        }
        let contradicts = first == seq + 1 && delta.prev_tag() != tag;
        if first <= seq || (contradicts && !fault::active(Fault::NoChainCheck)) {
            return Err(ApplyError::Fork { replica, seq: last });
        }
        if self.state.origins.len() >= Origins::LIMIT && known.is_none() {
            return Err(ApplyError::TooManyReplicas { limit: Origins::LIMIT });
        }
        Ok(if first > seq + 1 { Readiness::NotReady } else { Readiness::Ready })
    }

    /// Whether a delta that may come is ready by all that it names.
    fn check_parts(&self, parts: &DeltaParts) -> Result<Readiness, ApplyError> {
        if !self.names_known(parts) && !fault::active(Fault::NoDependencyCheck) {
            return Ok(Readiness::NotReady);
        }
        self.check_structure(parts)
    }

    /// How deep the deepest container is that `delta` would create here. A plain value is none, but what is in it would be.
    /// Only the relay asks: what is refused must be refused before anybody has it (VALID-1), and a replica refuses at
    /// creation. O(delta · log n).
    pub fn depth_after(&self, delta: &Delta) -> usize {
        let replica = delta.replica();
        let parts = delta.parts();
        let entities = parts.adds.iter().filter(|(_, entry)| entry.entity);
        self.deepest(entities.map(|(seq, entry)| (Dot::new(replica, *seq), entry)).collect())
    }

    /// The same for a diff, in which what is inside may come before what it is in. O(diff · log n).
    pub fn depth_after_diff(&self, diff: &Diff) -> usize {
        let entities = diff.adds.iter().filter(|add| add.entry.entity);
        self.deepest(entities.map(|add| (add.dot, &add.entry)).collect())
    }

    /// How deep the deepest of these entities would be. Those that are inside of one another in a circle are deeper than any.
    fn deepest(&self, entities: Vec<(Dot, &Entry)>) -> usize {
        let mut coming: Map<Dot, u64> = Map::new();
        for (number, (dot, _)) in entities.iter().enumerate() {
            coming.insert(*dot, number as u64);
        }
        // Of what is inside of it; 0 of those that were not come by yet.
        let mut depths = alloc::vec![0; entities.len()];
        let mut chain = Vec::new();
        let mut deepest = 0;
        for start in 0..entities.len() {
            // Climb to something known, then come down again.
            let mut at = start;
            let mut above = loop {
                if depths[at] > 0 {
                    break depths[at];
                }
                if chain.len() >= entities.len() {
                    return usize::MAX;
                }
                chain.push(at);
                match &entities[at].1.container {
                    Container::Root { .. } => break 1,
                    Container::Entity(dot) => match coming.get(dot) {
                        Some(number) => at = *number as usize,
                        None => {
                            let entity = self.state.origins.local(*dot).and_then(|dot| self.state.store.find(dot));
                            break entity.map_or(0, |entity| self.state.depth_of(entity));
                        }
                    },
                }
            };
            while let Some(at) = chain.pop() {
                let is_value = entities[at].1.kind == Kind::REGISTER;
                deepest = deepest.max(if is_value { above } else { above + 1 });
                above += 1;
                depths[at] = above;
            }
        }
        deepest
    }

    /// Whether a delta that is not ready lacks nothing but positions.
    pub(super) fn lacks_positions_only(&self, parts: &DeltaParts) -> bool {
        parts.first_seq == self.seq(parts.replica) + 1 && self.names_known(parts)
    }

    /// CAUSAL-2: every dependency, every removed dot and every container is covered, or earlier in the delta, which follows all
    /// that its writer wrote before.
    fn names_known(&self, parts: &DeltaParts) -> bool {
        let own_before = |dot: Dot, seq: u64| dot.replica == parts.replica && dot.seq < seq;
        let covered = |dot: Dot| own_before(dot, parts.first_seq) || self.state.covers_dot(dot);
        parts.deps.iter().all(|dep| covered(*dep))
            && parts
                .removes
                .runs()
                .all(|(replica, _, last)| covered(Dot::new(replica, last)) || fault::active(Fault::UnknownRemovals))
            && parts.adds.iter().all(|(seq, entry)| match &entry.container {
                Container::Root { .. } => true,
                Container::Entity(dot) => {
                    covered(*dot) || own_before(*dot, *seq) || fault::active(Fault::UnknownContainers)
                }
            })
            && parts.text.iter().all(|run| match &run.container {
                Container::Root { .. } => true,
                Container::Entity(dot) => covered(*dot) || own_before(*dot, run.first.seq),
            })
            && parts.bunches.iter().all(|bunch| {
                let value = bunch.parent.first_covering_dot();
                value.is_some_and(|dot| dot == Dot::ROOT || covered(dot) || own_before(dot, bunch.id.seq))
            })
    }

    /// SEQ-5: every bunch that a surviving entry needs is known or comes with the delta, and none lies too deep.
    fn check_structure(&self, parts: &DeltaParts) -> Result<Readiness, ApplyError> {
        let forest = &self.state.forest;
        let mut coming: Map<Dot, u64> = Map::new();
        for record in &parts.bunches {
            record.check_place()?;
            let known = self.state.origins.local(record.id).and_then(|id| forest.record(&self.state.origins, id));
            if known.is_some_and(|known| known != *record) {
                return Err(ApplyError::BunchConflict { bunch: record.id });
            }
            let above = match self.state.origins.local(record.parent.bunch) {
                Some(parent) if forest.contains(parent) => Some(u64::from(forest.depth(parent))),
                _ => coming.get(&record.parent.bunch).copied(),
            };
            if let Some(above) = above {
                coming.insert(record.id, above + 1);
            }
        }
        let mut born: Vec<u64> = Vec::new();
        let lives = |container: &Container, born: &[u64]| match container {
            Container::Root { .. } => true,
            Container::Entity(dot) if dot.replica == parts.replica && dot.seq >= parts.first_seq => {
                born.binary_search(&dot.seq).is_ok()
            }
            Container::Entity(dot) => self.state.origins.local(*dot).is_some_and(|dot| self.state.is_entity(dot)),
        };
        // Only where something that lives needs it: another replica may have dropped what makes it deep (VALID-1).
        let readiness = |bunch: u64| {
            let bunch = Dot::new(parts.replica, bunch);
            let known = self.state.origins.local(bunch).is_some_and(|bunch| forest.contains(bunch));
            match coming.get(&bunch) {
                Some(depth) if *depth > u64::from(Forest::MAX_DEPTH) => {
                    Err(ApplyError::TooDeep { bunch, limit: Forest::MAX_DEPTH })
                }
                None if !known => Ok(Readiness::NotReady),
                _ => Ok(Readiness::Ready),
            }
        };
        for (seq, entry) in &parts.adds {
            if !lives(&entry.container, &born) {
                continue;
            }
            if entry.entity {
                born.push(*seq);
            }
            if let Slot::Position { bunch, .. } = entry.slot
                && readiness(bunch)? == Readiness::NotReady
            {
                return Ok(Readiness::NotReady);
            }
        }
        for run in &parts.text {
            let unchecked = fault::active(Fault::TextReadyTooSoon);
            if lives(&run.container, &born) && readiness(run.bunch)? == Readiness::NotReady && !unchecked {
                return Ok(Readiness::NotReady);
            }
        }
        Ok(Readiness::Ready)
    }

    /// Joins a delta that was found ready.
    fn join_delta(&mut self, delta: &Delta, parts: &DeltaParts) {
        self.clock.observe(parts.hlc, self.now);
        let state = &mut self.state;
        let origin = state.origins.intern(parts.replica);
        let last = LocalDot::new(origin, parts.last_seq());

        let mut bunches = Vec::new();
        if state.joined_overwrite(origin, parts) {
            // Most edits are that.
        } else {
            state.remove_runs(last, &parts.removes, true);
            bunches = state.take_bunches(parts.bunches.iter());
            self.take_adds(parts);
        }
        let state = &mut self.state;
        // What nothing uses here may be the parent of something to come: it stays as long as dead structure does. What is
        // used is held when that dies, so that only dead structure is held and `Forest::dead` costs no more than there is.
        for id in bunches {
            if !state.forest.is_needed(id) {
                state.forest.hold(id, last);
            }
        }

        state.advance(origin, VersionEntry { seq: parts.last_seq(), tag: delta.tag() });
        let local = |dep: &Dot| state.origins.local(*dep);
        if let ([dep], 1) = (&*parts.deps, state.heads.len())
            && local(dep).is_some_and(|dep| state.heads.contains(&dep))
            && !fault::active(Fault::HeadsPileUp)
        {
            state.heads.reset_to(last);
        } else {
            for dep in parts.deps.iter().filter_map(local).filter(|_| !fault::active(Fault::HeadsPileUp)) {
                state.heads.remove(&dep);
            }
            state.heads.insert(last);
        }
        state.keep_log_short();
    }

    fn take_adds(&mut self, parts: &DeltaParts) {
        let origin = self.state.origins.intern(parts.replica);
        for (seq, entry) in &parts.adds {
            self.state.take_entry(LocalDot::new(origin, *seq), parts.hlc, entry);
        }
        for run in &parts.text {
            self.state.take_run(run, 0);
        }
    }

    /// Applies what was parked and is ready now, and drops what is covered or contradicts by now.
    pub(crate) fn apply_parked(&mut self) {
        // One that waits is looked at again after each that could be applied.
        while let Some((key, ready)) = self.next_parked() {
            if let (Some(delta), true) = (self.parked.take(key), ready) {
                // What came before in this batch is covered by now, so the notes do not see that it was noted.
                self.state.notes.repeats = true;
                self.join_delta(&delta, &delta.parts());
            }
        }
    }

    /// A parked delta that need not wait any longer, and whether it is to be applied or dropped.
    fn next_parked(&self) -> Option<(ParkedKey, bool)> {
        if fault::active(Fault::ParkedForgotten) {
            return None;
        }
        for (key, delta) in &self.parked.deltas {
            match self.check(delta) {
                Ok(Readiness::NotReady) => {}
                Ok(Readiness::Ready) => return Some((*key, true)),
                Ok(Readiness::Known) | Err(_) => return Some((*key, false)),
            }
        }
        None
    }

    pub(crate) fn applied(&mut self, outcome: Outcome) -> Applied {
        let list = self.state.take_changes();
        Applied { outcome, changes: Changes { origin: ChangeOrigin::Remote, list } }
    }
}

impl BunchRecord {
    /// Nothing is to the left of the start, and an index is never further from its bunch than sequence numbers reach.
    pub(crate) fn check_place(&self) -> Result<(), ApplyError> {
        let possible = match self.parent.first_covering_dot() {
            Some(Dot::ROOT) => self.side == Side::Right,
            parent => parent.is_some(),
        };
        if possible { Ok(()) } else { Err(ApplyError::InvalidBunch { bunch: self.id }) }
    }
}

impl Position {
    /// The dot whose value, dead or alive, this position belongs to: it must be covered before anything hangs on it.
    fn first_covering_dot(self) -> Option<Dot> {
        if self.bunch == Dot::ROOT {
            return (self.index == 0).then_some(Dot::ROOT);
        }
        let seq = self.bunch.seq.checked_add(self.index.unsigned_abs())?;
        (seq <= Dot::MAX_SEQ).then_some(Dot::new(self.bunch.replica, seq))
    }
}

impl Forest {
    /// A bunch as replicas exchange it.
    pub(crate) fn record(&self, origins: &Origins, id: LocalDot) -> Option<BunchRecord> {
        let bunch = self.get(id)?;
        Some(BunchRecord {
            id: origins.dot(id),
            parent: Position { bunch: origins.dot(bunch.parent.bunch), index: bunch.parent.index },
            side: bunch.side,
            rank: bunch.rank,
        })
    }
}
