//! The document of the model: what a replica holds, and what it exchanges.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::super::forest::{Forest, LocalBunch};
use super::super::position::{BunchRecord, LocalPosition, Position};
use super::super::sorted::Sorted;
use super::Outcome;
use crate::clock::{Dot, LocalDot};
use crate::replica_id::{Origins, ReplicaId};

pub(super) type Version = BTreeMap<ReplicaId, u64>;

pub(super) fn covers(version: &Version, dot: Dot) -> bool {
    version.get(&dot.replica).is_some_and(|seq| dot.seq <= *seq)
}

pub(super) fn includes(a: &Version, b: &Version) -> bool {
    b.iter().all(|(replica, seq)| covers(a, Dot::new(*replica, *seq)))
}

/// A position entry: the first one of its element, or a move of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Add {
    pub(super) dot: Dot,
    pub(super) element: Dot,
    pub(super) position: Position,
}

#[derive(Clone, Debug)]
pub(super) struct Delta {
    pub(super) replica: ReplicaId,
    pub(super) last_seq: u64,
    pub(super) deps: Version,
    pub(super) bunches: Vec<BunchRecord>,
    pub(super) adds: Vec<Add>,
    pub(super) removes: Vec<Dot>,
}

#[derive(Clone)]
pub(super) struct Replica {
    pub(super) id: ReplicaId,
    pub(super) old_id: Option<ReplicaId>,
    pub(super) origins: Origins,
    pub(super) forest: Forest,
    pub(super) sequence: Sorted<LocalDot>,
    pub(super) live: BTreeMap<Dot, Add>,
    pub(super) version: Version,
    pub(super) horizon: Version,
    pub(super) removals: Vec<(Dot, Dot)>,
    pub(super) previous: Option<Dot>,
    pub(super) run: Option<usize>,
}

impl Replica {
    pub(super) fn new(id: ReplicaId, strangers: &[ReplicaId]) -> Self {
        let mut origins = Origins::default();
        for stranger in strangers {
            origins.intern(*stranger);
        }
        origins.intern(id);
        Self {
            id,
            old_id: None,
            origins,
            forest: Forest::default(),
            sequence: Sorted::new(),
            live: BTreeMap::new(),
            version: Version::new(),
            horizon: Version::new(),
            removals: Vec::new(),
            previous: None,
            run: None,
        }
    }

    pub(super) fn local(&mut self, position: Position) -> LocalPosition {
        LocalPosition { bunch: self.origins.intern_dot(position.bunch), index: position.index }
    }

    pub(super) fn global(&self, position: LocalPosition) -> Position {
        Position { bunch: self.origins.dot(position.bunch), index: position.index }
    }

    pub(super) fn record(&self, id: LocalDot, bunch: LocalBunch) -> BunchRecord {
        let LocalBunch { parent, side, rank } = bunch;
        BunchRecord { id: self.origins.dot(id), parent: self.global(parent), side, rank }
    }

    pub(super) fn bunch(&mut self, record: &BunchRecord) -> (LocalDot, LocalBunch) {
        let BunchRecord { id, parent, side, rank } = *record;
        (self.origins.intern_dot(id), LocalBunch { parent: self.local(parent), side, rank })
    }

    pub(super) fn insert_bunches(&mut self, records: &[BunchRecord]) -> Outcome<Vec<LocalDot>> {
        let mut ids = Vec::new();
        for record in records {
            let (id, LocalBunch { parent, side, rank }) = self.bunch(record);
            self.forest.insert(id, parent, side, rank).map_err(|error| format!("SEQ-3: {error}"))?;
            ids.push(id);
        }
        Ok(ids)
    }

    pub(super) fn add(&mut self, add: Add) {
        let at = self.local(add.position);
        let dot = self.origins.intern_dot(add.dot);
        self.forest.acquire(at.bunch, 1);
        self.sequence.insert(&self.forest, &self.origins, at, dot);
        self.live.insert(add.dot, add);
    }

    /// Removes an entry and, if it is an element, its moves (ENT-1).
    pub(super) fn kill(&mut self, dot: Dot, cause: Option<Dot>) -> Outcome<()> {
        let below: Vec<Dot> = self.live.values().filter(|add| add.element == dot).map(|add| add.dot).collect();
        for dot in below.into_iter().chain([dot]) {
            let Some(add) = self.live.remove(&dot) else { continue };
            let at = self.local(add.position);
            let removed = self.sequence.remove(&self.forest, &self.origins, at);
            if removed.map(|removed| self.origins.dot(removed)) != Some(dot) {
                return Err(format!("C2: {dot} is not where it was put"));
            }
            let cause = cause.map(|cause| self.origins.intern_dot(cause));
            self.forest.release(at.bunch, 1, cause);
        }
        Ok(())
    }

    /// Every live position in order.
    pub(super) fn order(&self) -> Vec<Dot> {
        self.sequence.iter().map(|(_, dot)| self.origins.dot(dot)).collect()
    }

    /// What the user sees: of each element its last move, else its first position.
    pub(super) fn visible(&self) -> Vec<Add> {
        let mut shown: BTreeMap<Dot, Dot> = BTreeMap::new();
        for add in self.live.values() {
            let best = shown.entry(add.element).or_insert(add.dot);
            if *best == add.element || add.dot != add.element && *best < add.dot {
                *best = add.dot;
            }
        }
        self.order().into_iter().map(|dot| self.live[&dot]).filter(|add| shown[&add.element] == add.dot).collect()
    }

    pub(super) fn drop_dead(&mut self, all: bool) {
        let (origins, horizon) = (&self.origins, &self.horizon);
        self.forest.drop_dead(|dot| all || covers(horizon, origins.dot(dot)));
    }

    pub(super) fn raise_horizon(&mut self) {
        self.horizon = self.version.clone();
        self.removals.clear();
        self.drop_dead(false);
    }
}
