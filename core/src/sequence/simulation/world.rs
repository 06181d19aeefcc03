//! Random edits and random exchanges.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::super::forest::{Forest, LocalBunch};
use super::super::place::Placement;
use super::super::position::{BunchRecord, LocalPosition, Position, Side};
use super::replica::{Add, Delta, Replica, Version, covers, includes};
use super::{Mutant, Outcome};
use crate::clock::{Dot, LocalDot};
use crate::replica_id::ReplicaId;

/// What a value was put between, and what its writer had seen.
pub(super) struct Story {
    pub(super) left: Option<Dot>,
    pub(super) right: Option<Dot>,
    pub(super) saw: Version,
    /// What the same replica put in just before.
    pub(super) previous: Option<Dot>,
}

pub(super) struct Run {
    pub(super) left: Option<Dot>,
    pub(super) right: Option<Dot>,
    pub(super) values: Vec<Dot>,
}

pub(super) struct Transaction {
    pub(super) delta: Delta,
    pub(super) first_seq: u64,
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) mutant: Option<Mutant>,
    pub(super) soft_depth: u32,
    /// Whether dead structure goes after every step, whatever the horizon.
    pub(super) hasty: bool,
    pub(super) moves: bool,
    pub(super) replicas: Vec<Replica>,
    pub(super) deltas: Vec<Delta>,
    pub(super) taken: BTreeMap<Position, Dot>,
    pub(super) shown: BTreeSet<(Dot, Dot)>,
    pub(super) stories: BTreeMap<Dot, Story>,
    pub(super) runs: Vec<Run>,
    pub(super) parked: usize,
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut rng = Rng(seed);
        let soft_depth = if rng.chance(20) { 3 } else { Forest::SOFT_DEPTH };
        let (hasty, moves) = (rng.chance(50), rng.chance(30));
        let mut world = Self {
            rng,
            mutant,
            soft_depth,
            hasty,
            moves,
            replicas: Vec::new(),
            deltas: Vec::new(),
            taken: BTreeMap::new(),
            shown: BTreeSet::new(),
            stories: BTreeMap::new(),
            runs: Vec::new(),
            parked: 0,
        };
        for _ in 0..2 + world.rng.below(4) {
            world.join();
        }
        world
    }

    /// N1 to N3 are promised for what is typed; re-rooting loosens them, and a move is not typing.
    pub(super) fn promises_runs(&self) -> bool {
        !self.moves && self.soft_depth == Forest::SOFT_DEPTH
    }

    pub(super) fn join(&mut self) {
        let id = self.fresh_id();
        let mut strangers: Vec<ReplicaId> = self.replicas.iter().map(|replica| replica.id).collect();
        for at in (1..strangers.len()).rev() {
            strangers.swap(at, self.rng.below(at + 1));
        }
        self.replicas.push(Replica::new(id, &strangers));
    }

    pub(super) fn fresh_id(&mut self) -> ReplicaId {
        ReplicaId::from(u128::from(self.rng.next()) << 64 | u128::from(self.rng.next()))
    }

    pub(super) fn step(&mut self) -> Outcome<()> {
        let who = self.rng.below(self.replicas.len());
        match self.rng.below(100) {
            0..45 => self.type_run(who)?,
            45..55 => self.delete_range(who)?,
            55..60 => self.overtype(who)?,
            60..66 if self.moves => self.move_one(who)?,
            66..68 if self.replicas.len() < 7 => {
                let mut clone = self.replicas[who].clone();
                clone.old_id = Some(clone.id);
                clone.id = self.fresh_id();
                clone.origins.intern(clone.id);
                (clone.previous, clone.run) = (None, None);
                self.replicas.push(clone);
            }
            68..70 if self.replicas.len() < 7 => {
                self.join();
                self.full_diff(who, self.replicas.len() - 1)?;
            }
            70..73 => self.replicas[who].raise_horizon(),
            _ => {
                let from = self.rng.below(self.replicas.len());
                if from != who {
                    self.exchange(from, who)?;
                }
            }
        }
        if self.hasty || self.mutant == Some(Mutant::DropsEarly) {
            for replica in &mut self.replicas {
                replica.drop_dead(true);
            }
        }
        for who in 0..self.replicas.len() {
            self.look(who)?;
        }
        Ok(())
    }

    // Editing.

    pub(super) fn begin(&self, who: usize) -> Transaction {
        let replica = &self.replicas[who];
        let last_seq = replica.version.get(&replica.id).copied().unwrap_or(0);
        let delta = Delta {
            replica: replica.id,
            last_seq,
            deps: replica.version.clone(),
            bunches: Vec::new(),
            adds: Vec::new(),
            removes: Vec::new(),
        };
        Transaction { delta, first_seq: last_seq + 1 }
    }

    pub(super) fn commit(&mut self, who: usize, mut transaction: Transaction) {
        if transaction.delta.last_seq < transaction.first_seq {
            transaction.delta.last_seq += 1;
        }
        let delta = transaction.delta;
        let replica = &mut self.replicas[who];
        replica.version.insert(replica.id, delta.last_seq);
        let name = Dot::new(delta.replica, delta.last_seq);
        replica.removals.extend(delta.removes.iter().map(|dot| (*dot, name)));
        self.deltas.push(delta);
    }

    /// Puts a value into a gap of what is visible and returns its dot.
    pub(super) fn insert(
        &mut self,
        who: usize,
        transaction: &mut Transaction,
        gap: usize,
        element: Option<Dot>,
    ) -> Outcome<Dot> {
        let replica = &mut self.replicas[who];
        let visible = replica.visible();
        let left = gap.checked_sub(1).map(|at| visible[at]);
        let right = visible.get(gap).copied();
        transaction.delta.last_seq += 1;
        let dot = Dot::new(replica.id, transaction.delta.last_seq);
        let local = replica.origins.intern_dot(dot);
        let (l, r) = (left.map(|add| replica.local(add.position)), right.map(|add| replica.local(add.position)));
        let mut place = |me| replica.forest.place_above(&replica.origins, me, l, r, self.soft_depth);
        let mut placement = place(local).map_err(|error| format!("{error}"))?;
        let mut reuses = self.mutant == Some(Mutant::ReusesIndex);
        if let Some(old_id) = replica.old_id.filter(|_| self.mutant == Some(Mutant::ExtendsOldId)) {
            let old = replica.origins.get(&old_id).map(|origin| LocalDot::new(origin, 1 << 40));
            if let Some(Ok(extend @ Placement::Extend { .. })) = old.map(place) {
                (placement, reuses) = (extend, true);
            }
        }
        let at = match placement {
            Placement::Extend { bunch, backward } => {
                let mut distance = local.seq().wrapping_sub(bunch.seq()) as i64;
                if reuses {
                    let indexes = replica.sequence.iter().filter(|entry| entry.0.bunch == bunch);
                    let outermost = indexes.map(|entry| if backward { -entry.0.index } else { entry.0.index }).max();
                    distance = outermost.unwrap_or(0) + 1;
                }
                LocalPosition { bunch, index: if backward { -distance } else { distance } }
            }
            Placement::New { parent, side, rank } => {
                replica.forest.insert(local, parent, side, rank).map_err(|error| format!("{error}"))?;
                transaction.delta.bunches.push(replica.record(local, LocalBunch { parent, side, rank }));
                LocalPosition { bunch: local, index: 0 }
            }
        };
        if self.mutant.is_none() && at != placement.position(local) {
            return Err(format!("SEQ-1: {dot} is not at the distance of its dot"));
        }
        let between = l.is_none_or(|l| replica.forest.compare(&replica.origins, l, at) == Ordering::Less)
            && r.is_none_or(|r| replica.forest.compare(&replica.origins, at, r) == Ordering::Less);
        if !between {
            return Err(format!("C3: {dot} is not between its neighbours"));
        }
        let add = Add { dot, element: element.unwrap_or(dot), position: replica.global(at) };
        if add.position.bunch.replica != dot.replica {
            return Err(format!("SEQ-2: {dot} is in a foreign bunch"));
        }
        if self.taken.insert(add.position, dot).is_some() {
            return Err(format!("SEQ-1: the position of {dot} was given before"));
        }
        let mut saw = transaction.delta.deps.clone();
        saw.insert(replica.id, dot.seq - 1);
        replica.add(add);
        transaction.delta.adds.push(add);
        let (left, right) = (left.map(|add| add.dot), right.map(|add| add.dot));
        self.stories.insert(dot, Story { left, right, saw, previous: replica.previous });
        replica.previous = Some(dot);
        let run = replica.run.filter(|run| {
            let run = &self.runs[*run];
            let near = |side: Option<Dot>, end| side == end || side.is_some_and(|dot| run.values.contains(&dot));
            near(left, run.left) && near(right, run.right)
        });
        match run {
            Some(run) => self.runs[run].values.push(dot),
            None => {
                replica.run = Some(self.runs.len());
                self.runs.push(Run { left, right, values: alloc::vec![dot] });
            }
        }
        Ok(dot)
    }

    pub(super) fn remove(&mut self, who: usize, transaction: &mut Transaction, element: Dot) -> Outcome<()> {
        let cause = Dot::new(transaction.delta.replica, transaction.first_seq);
        let replica = &mut self.replicas[who];
        let moves = replica.live.values().filter(|add| add.element == element).map(|add| add.dot);
        transaction.delta.removes.extend(moves);
        replica.kill(element, Some(cause))
    }

    /// Ends and middle are hot, and so is the place where one typed last.
    pub(super) fn gap(&mut self, who: usize) -> usize {
        let visible = self.replicas[who].visible();
        let last = self.replicas[who].previous;
        let after_last = last.and_then(|last| visible.iter().position(|add| add.dot == last));
        match (self.rng.below(6), after_last) {
            (0, _) => 0,
            (1, _) => visible.len(),
            (2, _) => visible.len() / 2,
            (3, Some(at)) => at + 1,
            (4, Some(at)) => at,
            _ => self.rng.below(visible.len() + 1),
        }
    }

    pub(super) fn type_run(&mut self, who: usize) -> Outcome<()> {
        let mut gap = self.gap(who);
        let (one_transaction, backward) = (self.rng.chance(30), self.rng.chance(35));
        let mut transaction = self.begin(who);
        for count in 0..1 + self.rng.below(4) {
            if count > 0 && !one_transaction {
                self.commit(who, transaction);
                transaction = self.begin(who);
            }
            self.insert(who, &mut transaction, gap, None)?;
            gap += usize::from(!backward);
        }
        self.commit(who, transaction);
        Ok(())
    }

    pub(super) fn delete_range(&mut self, who: usize) -> Outcome<()> {
        let mut transaction = self.begin(who);
        self.delete_some(who, &mut transaction)?;
        self.commit(who, transaction);
        Ok(())
    }

    pub(super) fn delete_some(&mut self, who: usize, transaction: &mut Transaction) -> Outcome<usize> {
        let visible = self.replicas[who].visible();
        let start = self.rng.below(visible.len() + 1);
        let end = (start + 1 + self.rng.below(5)).min(visible.len());
        for add in &visible[start..end] {
            self.remove(who, transaction, add.element)?;
        }
        Ok(start)
    }

    pub(super) fn overtype(&mut self, who: usize) -> Outcome<()> {
        let mut transaction = self.begin(who);
        let gap = self.delete_some(who, &mut transaction)?;
        for offset in 0..1 + self.rng.below(3) {
            self.insert(who, &mut transaction, gap + offset, None)?;
        }
        self.commit(who, transaction);
        Ok(())
    }

    pub(super) fn move_one(&mut self, who: usize) -> Outcome<()> {
        let visible = self.replicas[who].visible();
        if visible.is_empty() {
            return Ok(());
        }
        let moved = visible[self.rng.below(visible.len())];
        let mut transaction = self.begin(who);
        let gap = self.gap(who);
        let observed: Vec<Dot> = self.replicas[who]
            .live
            .values()
            .filter(|add| add.element == moved.element && add.dot != add.element)
            .map(|add| add.dot)
            .collect();
        self.insert(who, &mut transaction, gap, Some(moved.element))?;
        let cause = Dot::new(transaction.delta.replica, transaction.first_seq);
        for dot in observed {
            self.replicas[who].kill(dot, Some(cause))?;
            transaction.delta.removes.push(dot);
        }
        self.commit(who, transaction);
        Ok(())
    }

    // Exchanging.

    pub(super) fn exchange(&mut self, from: usize, to: usize) -> Outcome<()> {
        match self.rng.below(10) {
            0 => self.full_diff(from, to),
            1..3 => self.any_diff(from, to),
            _ => self.some_deltas(from, to),
        }
    }

    pub(super) fn some_deltas(&mut self, from: usize, to: usize) -> Outcome<()> {
        while !self.rng.chance(8) {
            let (holder, taker) = (&self.replicas[from].version, &self.replicas[to].version);
            let name = |delta: &Delta| Dot::new(delta.replica, delta.last_seq);
            let ready = self.deltas.iter().filter(|delta| {
                covers(holder, name(delta)) && !covers(taker, name(delta)) && includes(taker, &delta.deps)
            });
            let ready: Vec<&Delta> = ready.collect();
            if ready.is_empty() {
                break;
            }
            let delta = ready[self.rng.below(ready.len())].clone();
            if !self.apply(to, &delta)? {
                self.parked += 1;
                if !self.hasty && includes(&delta.deps, &self.replicas[to].horizon) {
                    return Err("SEQ-6: structure was dropped that a removal beyond the horizon still needs".into());
                }
                return self.any_diff(from, to);
            }
            self.look(to)?;
        }
        Ok(())
    }

    /// Applies a delta whose deps are covered; `false` when structure is missing (SEQ-5).
    pub(super) fn apply(&mut self, to: usize, delta: &Delta) -> Outcome<bool> {
        let replica = &mut self.replicas[to];
        let bunches: Vec<_> = delta.bunches.iter().map(|record| replica.bunch(record)).collect();
        let guesses = self.mutant == Some(Mutant::GuessesParent);
        let comes = |id: LocalDot| bunches.iter().any(|bunch| bunch.0 == id);
        let known = |id: LocalDot| replica.forest.contains(id) || comes(id);
        let uses: Vec<LocalDot> = delta.adds.iter().map(|add| replica.origins.intern_dot(add.position.bunch)).collect();
        let parents = bunches.iter().map(|(_, bunch)| bunch.parent.bunch);
        let missing: Vec<LocalDot> = uses.into_iter().chain(parents).filter(|id| !known(*id)).collect();
        if !missing.is_empty() && !guesses {
            return Ok(false);
        }
        for id in missing {
            replica.forest.insert(id, LocalPosition::START, Side::Right, 0).map_err(|error| format!("{error}"))?;
        }
        for (id, LocalBunch { parent, side, rank }) in bunches {
            replica.forest.insert(id, parent, side, rank).map_err(|error| format!("{error}"))?;
        }
        let name = Dot::new(delta.replica, delta.last_seq);
        for dot in &delta.removes {
            replica.kill(*dot, Some(name))?;
            replica.removals.push((*dot, name));
        }
        for add in &delta.adds {
            if add.element == add.dot || replica.live.contains_key(&add.element) {
                replica.add(*add);
            }
        }
        replica.version.insert(delta.replica, delta.last_seq);
        Ok(true)
    }

    pub(super) fn any_diff(&mut self, from: usize, to: usize) -> Outcome<()> {
        if includes(&self.replicas[to].version, &self.replicas[from].horizon) {
            self.version_diff(from, to)
        } else {
            self.full_diff(from, to)
        }
    }

    pub(super) fn full_diff(&mut self, from: usize, to: usize) -> Outcome<()> {
        let (head, adds, bunches) = self.diff_of(from, &Version::new(), false);
        let replica = &mut self.replicas[to];
        replica.insert_bunches(&bunches)?;
        let gone = replica.live.keys().filter(|dot| covers(&head, **dot) && !adds.contains_key(dot));
        for dot in gone.copied().collect::<Vec<_>>() {
            replica.kill(dot, None)?;
        }
        self.take(to, &adds, &head);
        self.replicas[to].raise_horizon();
        self.look(to)
    }

    pub(super) fn version_diff(&mut self, from: usize, to: usize) -> Outcome<()> {
        let base = self.replicas[to].version.clone();
        let (head, adds, bunches) = self.diff_of(from, &base, true);
        let removals = self.replicas[from].removals.clone();
        let replica = &mut self.replicas[to];
        let bunches = replica.insert_bunches(&bunches)?;
        for (dot, remover) in removals.into_iter().filter(|(_, remover)| !covers(&base, *remover)) {
            replica.kill(dot, Some(remover))?;
            replica.removals.push((dot, remover));
        }
        self.take(to, &adds, &head);
        let replica = &mut self.replicas[to];
        for id in bunches {
            for (writer, seq) in head.iter().filter(|(writer, seq)| !covers(&base, Dot::new(**writer, **seq))) {
                let cause = replica.origins.intern_dot(Dot::new(*writer, *seq));
                replica.forest.hold(id, cause);
            }
        }
        self.look(to)
    }

    /// What a replica has beyond a base, and the structure of it.
    pub(super) fn diff_of(
        &self,
        from: usize,
        base: &Version,
        with_dead: bool,
    ) -> (Version, BTreeMap<Dot, Add>, Vec<BunchRecord>) {
        let replica = &self.replicas[from];
        let adds = replica.live.iter().filter(|(dot, _)| !covers(base, **dot));
        let adds: BTreeMap<Dot, Add> = adds.map(|(dot, add)| (*dot, *add)).collect();
        let mut used: Vec<LocalDot> =
            adds.values().filter_map(|add| replica.origins.local(add.position.bunch)).collect();
        if with_dead && self.mutant != Some(Mutant::DiffWithoutDead) {
            let dead =
                replica.forest.dead().into_iter().filter(|(_, cause)| !covers(base, replica.origins.dot(*cause)));
            used.extend(dead.map(|(bunch, _)| bunch));
        }
        let chains = replica.forest.chains(used);
        let bunches = chains.into_iter().map(|(id, bunch)| replica.record(id, bunch)).collect();
        (replica.version.clone(), adds, bunches)
    }

    pub(super) fn take(&mut self, to: usize, adds: &BTreeMap<Dot, Add>, head: &Version) {
        let replica = &mut self.replicas[to];
        let elements_first = adds.values().filter(|add| add.dot == add.element);
        for add in elements_first.chain(adds.values().filter(|add| add.dot != add.element)) {
            let alive = add.dot == add.element || replica.live.contains_key(&add.element);
            if !covers(&replica.version, add.dot) && alive {
                replica.add(*add);
            }
        }
        for (writer, seq) in head {
            let known = replica.version.entry(*writer).or_insert(0);
            *known = (*known).max(*seq);
        }
    }
}

/// Splitmix64: a seed replays.
#[derive(Clone)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}
