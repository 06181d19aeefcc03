//! Joining and making diffs: catch-up on the version and full tiers, and snapshots at rest.
//!
//! Rules: DIFF-1 base ≤ version. DIFF-2 the version tier only for a peer at or beyond the horizon. DIFF-3 all removal pairs
//! beyond the peer. DIFF-4 a full diff raises the receiver's horizon to its version, loading a snapshot does not. DIFF-5 the
//! result equals the join of the states. The proof is by cases over a dot's presence in version, base and adds: the table in
//! `docs/rules.md`.

use alloc::vec::Vec;

use super::apply::{Applied, ApplyError, Outcome};
use super::state::State;
use super::{Document, LoadError};
use crate::clock::{Dot, LocalDot, VersionEntry, VersionVector};
use crate::codec;
use crate::diff::{Diff, LiveEntry, Snapshot, Tier};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set, sort_by};
use crate::replica_id::Origins;
use crate::sequence::{BunchRecord, Forest};
use crate::store::{Container, Slot};

/// For how many heads the dead structure of a diff is kept.
const MAX_CAUSES: usize = 16;

impl Document {
    /// What a replica at `base` lacks: on the version tier if `base` covers the horizon, else on the full tier.
    ///
    /// Costs O(replicas + what is missing) on the version tier, O(live) on the full tier. Never made inside a transaction
    /// (DIFF-7): a diff describes the whole version.
    pub fn diff_since(&self, base: &VersionVector) -> Diff {
        debug_assert!(!self.in_transaction(), "DIFF-7: a diff is made at a whole version");
        let removals = &self.state.removals;
        let covers_horizon = self.state.origins.iter().all(|(id, origin)| base.seq(id) >= removals.horizon(origin));
        if !covers_horizon && !fault::active(Fault::VersionTierBelowHorizon) {
            return self.make_diff(Tier::Full, VersionVector::new());
        }
        // Nothing beyond one's own version is claimed as a base, so that the base is as small as it can be.
        let mut own = VersionVector::new();
        for (id, entry) in base.iter() {
            own.set(id, VersionEntry { seq: entry.seq.min(self.seq(id)), ..entry });
        }
        self.make_diff(Tier::Version, own)
    }

    fn make_diff(&self, tier: Tier, base: VersionVector) -> Diff {
        let state = &self.state;
        let mut adds = Vec::new();
        let mut removes = Vec::new();
        let mut bunches = Set::new();
        for (id, origin) in state.origins.iter() {
            let after = base.seq(id);
            for (dot, live) in state.store.range(origin, after + 1..=state.seq(origin)) {
                if let Some(position) = State::position(dot, &live.slot) {
                    bunches.insert(position.bunch);
                }
                adds.push(LiveEntry { dot: state.origins.dot(dot), hlc: live.hlc, entry: state.export(live) });
            }
            if tier == Tier::Version {
                for (remover, runs) in state.removals.beyond(origin, after) {
                    let unknown = |(id, _, last)| last > base.seq(id);
                    if !(fault::active(Fault::PairsOnlyForKnownDots) && runs.runs().any(unknown)) {
                        removes.push((state.origins.dot(remover), runs.clone()));
                    }
                }
            }
        }
        if tier == Tier::Version {
            for (id, cause) in state.forest.dead() {
                if !base.covers(state.origins.dot(cause)) {
                    bunches.insert(id);
                }
            }
        }
        let bunches = state.chains(&bunches);
        let mut head = VersionVector::new();
        for (id, entry) in self.version().iter() {
            if entry.seq > base.seq(id) {
                head.set(id, entry);
            }
        }
        Diff { tier, base, head, heads: self.heads(), adds, removes, bunches }
    }

    /// Joins what another replica has beyond the diff's base.
    ///
    /// Costs O(diff · log n + live dots in the range it speaks of).
    ///
    /// # Errors
    /// When the base is not covered here, or the diff contradicts what is known. The document is unchanged then.
    pub fn apply_diff(&mut self, diff: &Diff) -> Result<Applied, ApplyError> {
        if self.in_transaction() {
            return Err(ApplyError::InTransaction);
        }
        for (replica, entry) in diff.base.iter() {
            if entry.seq > self.seq(replica) && !fault::active(Fault::NoBaseCheck) {
                return Err(ApplyError::BaseNotCovered { replica, seq: entry.seq });
            }
        }
        for (replica, entry) in diff.head.iter() {
            if self.state.entry_of(replica).is_some_and(|known| known.seq == entry.seq && known.tag != entry.tag) {
                return Err(ApplyError::Fork { replica, seq: entry.seq });
            }
        }
        if diff.head.iter().all(|(replica, entry)| entry.seq <= self.seq(replica)) {
            return Ok(self.applied(Outcome::Known));
        }
        let fresh = diff.head.iter().filter(|(id, _)| self.state.origins.get(id).is_none()).count();
        if self.state.origins.len() + fresh > Origins::LIMIT {
            return Err(ApplyError::TooManyReplicas { limit: Origins::LIMIT });
        }
        let order = self.order_bunches(diff)?;
        self.join_diff(diff, &order);
        if diff.tier == Tier::Full && !fault::active(Fault::FullKeepsHorizon) {
            let version = self.state.seqs();
            self.state.removals.truncate(&version);
            self.state.drop_dead_structure();
        }
        self.apply_parked();
        Ok(self.applied(Outcome::Applied))
    }

    /// The unknown bunches of a diff, parents first; checks that every chain is whole and not too deep.
    fn order_bunches<'d>(&self, diff: &'d Diff) -> Result<Vec<&'d BunchRecord>, ApplyError> {
        let forest = &self.state.forest;
        let known_depth = |bunch: Dot| {
            let bunch = self.state.origins.local(bunch)?;
            forest.contains(bunch).then(|| forest.depth(bunch))
        };
        let mut coming: Map<Dot, &BunchRecord> = Map::new();
        for record in &diff.bunches {
            record.check_place()?;
            let known = self.state.origins.local(record.id).and_then(|id| forest.record(&self.state.origins, id));
            match known {
                Some(known) if known != *record => return Err(ApplyError::BunchConflict { bunch: record.id }),
                Some(_) => {}
                None => _ = coming.insert(record.id, record),
            }
        }
        let mut depths: Map<Dot, u32> = Map::new();
        let mut order = Vec::with_capacity(coming.len());
        for start in coming.keys() {
            // Climb to something known, then come down again. A cycle would climb for ever: it shows as too deep.
            let mut chain = Vec::new();
            let mut at = *start;
            let mut depth = loop {
                if let Some(depth) = depths.get(&at).copied().or_else(|| known_depth(at)) {
                    break depth;
                }
                let record = *coming.get(&at).ok_or(ApplyError::MissingBunch { bunch: at })?;
                if chain.len() >= Forest::MAX_DEPTH as usize {
                    return Err(ApplyError::TooDeep { bunch: *start, limit: Forest::MAX_DEPTH });
                }
                chain.push(record);
                at = record.parent.bunch;
            };
            for record in chain.into_iter().rev() {
                depth += 1;
                if depth > Forest::MAX_DEPTH {
                    return Err(ApplyError::TooDeep { bunch: record.id, limit: Forest::MAX_DEPTH });
                }
                depths.insert(record.id, depth);
                order.push(record);
            }
        }
        for add in &diff.adds {
            if let Slot::Position { bunch, .. } = add.entry.slot {
                let bunch = Dot::new(add.dot.replica, bunch);
                if !depths.contains_key(&bunch) && known_depth(bunch).is_none() {
                    return Err(ApplyError::MissingBunch { bunch });
                }
            }
        }
        Ok(order)
    }

    fn join_diff(&mut self, diff: &Diff, order: &[&BunchRecord]) {
        let Self { state, clock, now, .. } = self;
        for (replica, _) in diff.head.iter() {
            state.origins.intern(replica);
        }
        let old: Vec<u64> = state.seqs();
        let old_covers = |dot: LocalDot| dot.seq() <= old.get(dot.origin().0 as usize).copied().unwrap_or(0);
        let mut bunches = state.take_bunches(order.iter().copied());

        // A dot that is live here and that the maker's log names died there, beyond the base.
        let log = fault::active(Fault::DiffPairsNotLogged).then(|| state.removals.clone());
        for (remover, removed) in &diff.removes {
            let mut remover = state.origins.intern_dot(*remover);
            if fault::active(Fault::WrongRemover) {
                remover = LocalDot::new(remover.origin(), 1);
            }
            state.remove_runs(remover, removed, true);
        }
        if let Some(log) = log {
            state.removals = log;
        }
        // A dot that is live here, that the maker has seen beyond the base, and that is not among its live dots died there.
        let mut living = Set::new();
        for add in &diff.adds {
            living.insert(state.origins.intern_dot(add.dot));
        }
        for (replica, entry) in diff.head.iter() {
            let first = diff.base.seq(replica) + 1;
            if first <= entry.seq && !fault::active(Fault::FullKillsNothing) {
                let first = LocalDot::new(state.origins.intern(replica), first);
                // The full tier, which alone tells deaths by absence, raises the horizon over all of them.
                state.kill_run((first, entry.seq - first.seq()), None, &living);
            }
        }
        // A live dot of the maker that was not known here is new; one that was known and is not live here died here.
        let mut coming: Map<LocalDot, &LiveEntry> = Map::new();
        for add in &diff.adds {
            clock.observe(add.hlc, *now);
            let dot = state.origins.intern_dot(add.dot);
            if !old_covers(dot) || fault::active(Fault::DiffResurrects) {
                coming.insert(dot, add);
            }
        }
        state.insert_parents_first(coming);
        // Dead structure comes without the removals it is kept for. Whoever covers the maker's heads covers those; there are
        // few heads, and of very many the first have to do: to drop structure too early only costs a question.
        bunches.retain(|id| !state.forest.is_needed(*id));
        for head in diff.heads.iter().take(MAX_CAUSES) {
            let cause = state.origins.intern_dot(*head);
            for id in bunches.iter().filter(|_| !old_covers(cause)) {
                state.forest.hold(*id, cause);
            }
        }

        let head_covers = |dot: Dot| dot.seq <= diff.head.seq(dot.replica).max(diff.base.seq(dot.replica));
        let mut heads = Set::new();
        for head in &diff.heads {
            let head = state.origins.intern_dot(*head);
            let unseen = !old_covers(head) && !fault::active(Fault::DiffForgetsHeads);
            if unseen || state.heads.contains(&head) {
                heads.insert(head);
            }
        }
        for head in state.heads.iter() {
            if !head_covers(state.origins.dot(*head)) {
                heads.insert(*head);
            }
        }
        state.heads = heads;
        for (replica, entry) in diff.head.iter() {
            let origin = state.origins.intern(replica);
            if entry.seq > state.seq(origin) {
                state.advance(origin, entry);
            }
        }
        state.keep_log_short();
    }

    /// The document at rest, in the bytes of `docs/format.md`. O(live).
    pub fn snapshot(&self) -> Vec<u8> {
        let state = &self.state;
        let mut diff = self.make_diff(Tier::Full, VersionVector::new());
        let mut bunches = Set::new();
        for (id, _) in state.forest.dead().filter(|_| !fault::active(Fault::SnapshotForgetsDead)) {
            bunches.insert(id);
        }
        for bunch in &diff.bunches {
            bunches.extend(state.origins.local(bunch.id));
        }
        diff.bunches = state.chains(&bunches);
        let mut removals = Vec::new();
        for (_, origin) in state.origins.iter() {
            for (remover, runs) in state.removals.beyond(origin, 0) {
                if fault::active(Fault::SnapshotForgetsLog) {
                    break;
                }
                removals.push((state.origins.dot(remover), runs.clone()));
            }
        }
        codec::encode_snapshot(&Snapshot { diff, horizon: state.horizon(), removals, beacon: self.beacon() })
    }

    /// Reads what [`Document::snapshot`] wrote. The document has no writer.
    ///
    /// # Errors
    /// When the bytes are damaged, or their content is not what its beacon says.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let snapshot = codec::decode_snapshot(bytes)?;
        let mut document = Self::new();
        let order = document.order_bunches(&snapshot.diff)?;
        document.join_diff(&snapshot.diff, &order);
        let state = &mut document.state;
        let mut horizon = state.seqs();
        for (id, origin) in state.origins.iter() {
            if let Some(seq) = horizon.get_mut(origin.0 as usize) {
                *seq = if fault::active(Fault::LoadForgetsHorizon) { 0 } else { snapshot.horizon.seq(id) };
            }
        }
        state.removals.truncate(&horizon);
        for (remover, removed) in &snapshot.removals {
            let remover = state.origins.intern_dot(*remover);
            state.remove_runs(remover, removed, false);
        }
        state.view.drop_changes();
        if document.beacon() != snapshot.beacon {
            return Err(LoadError::BeaconMismatch);
        }
        Ok(document)
    }
}

impl State {
    /// These bunches with their ancestors, ascending by id.
    fn chains(&self, bunches: &Set<LocalDot>) -> Vec<BunchRecord> {
        let mut chains = self.forest.chains(bunches.iter().copied());
        sort_by(&mut chains, |a, b| self.origins.compare(a.0, b.0));
        let mut records = Vec::with_capacity(chains.len());
        for (id, _) in chains {
            records.extend(self.forest.record(&self.origins, id));
        }
        records
    }

    /// Inserts entries whose containers may be among them. What is under a container that is not alive is dropped; so is a
    /// circle of containers, which no honest maker has.
    fn insert_parents_first(&mut self, mut coming: Map<LocalDot, &LiveEntry>) {
        let mut stack: Vec<(LocalDot, &LiveEntry)> = Vec::new();
        while let Some((dot, add)) = coming.pop_last() {
            stack.push((dot, add));
            while let Some((dot, add)) = stack.last().copied() {
                if let Container::Entity(parent) = &add.entry.container {
                    let parent = self.origins.local(*parent);
                    if let Some((parent, above)) = parent.and_then(|parent| coming.remove_entry(&parent)) {
                        stack.push((parent, above));
                        continue;
                    }
                }
                stack.pop();
                self.take_entry(dot, add.hlc, &add.entry);
            }
        }
    }
}
