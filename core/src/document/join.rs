//! Joining and making diffs: catch-up on every tier.
//!
//! Rules: DIFF-1 base ≤ version. DIFF-2 the version tier only for a peer at or beyond the horizon. DIFF-3 all that removers
//! beyond the peer removed. DIFF-4 a digest or full diff raises the receiver's horizon to its version, since it names no removers.
//! DIFF-5 the result equals the join of the states. The proof is by cases over a dot's presence
//! in version, base and adds: the table in `docs/rules.md`.

use alloc::vec::Vec;

use super::Document;
use super::apply::{Applied, ApplyError, Outcome};
use super::kill::Spared;
use super::state::State;
use crate::clock::{Dot, DotRuns, LocalDot, VersionEntry, VersionVector};
use crate::diff::{Diff, Digest, LiveEntry, Tier};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set, retain, sort_by};
use crate::replica_id::{Origin, Origins, ReplicaId};
use crate::sequence::{BunchRecord, Forest};
use crate::store::{Container, Live, RemovalRun, Slot, TextRun};

/// So many runs of dead dots cost about as much as one live entry.
const DEAD_RUNS_PER_ENTRY: usize = 8;

/// So many characters cost about as much as a run of dead dots.
const CHARACTERS_PER_DEAD_RUN: usize = 2;

/// For how many heads the dead structure of a diff is kept.
const MAX_CAUSES: usize = 16;

impl Document {
    /// What a replica at `base` lacks: on the version tier if `base` covers the horizon, else on the full tier.
    ///
    /// Costs O(replicas + what is missing) on the version tier, O(live) on the full tier. Never made inside a transaction
    /// (DIFF-7): a diff describes the whole version.
    pub fn diff_since(&self, base: &VersionVector) -> Diff {
        if !self.reaches_back_to(base) {
            return self.make_diff(Tier::Full, VersionVector::new());
        }
        self.make_diff(Tier::Version, self.common(base))
    }

    /// What a replica with this digest lacks, on the cheapest tier that tells it all: the version tier if its version covers
    /// the horizon, else the digest tier, or the full one where next to nothing of it lives here.
    ///
    /// Costs as [`Document::diff_since`] on those tiers; on the digest tier O((runs of the digest + replicas) · log n + what
    /// of it lives here + what is missing). Whatever the digest says, nothing here changes: a false one gets its maker a
    /// wrong answer.
    pub fn diff_for(&self, digest: &Digest) -> Diff {
        if digest.version.is_empty() || self.reaches_back_to(&digest.version) {
            return self.diff_since(&digest.version);
        }
        let dead = self.dead_of(&digest.live);
        let mut diff = self.make_diff(Tier::Digest, self.common(&digest.version));
        // A run of the dead is a few bytes, and every entry that need not be sent is worth several of them.
        let spared = self.state.store.len() - diff.adds.len();
        let mut characters = self.state.texts.len();
        for run in &diff.text {
            characters -= run.dots() as usize;
        }
        let worth = spared.saturating_mul(DEAD_RUNS_PER_ENTRY) + characters / CHARACTERS_PER_DEAD_RUN;
        if dead.run_count() > worth {
            return self.make_diff(Tier::Full, VersionVector::new());
        }
        for (id, entry) in digest.version.iter() {
            if entry.seq > self.seq(id) {
                diff.ahead.set(id, entry);
            }
        }
        diff.dead = dead;
        diff
    }

    /// What is here, dot by dot, for whoever may have forgotten what died since ([`Document::diff_for`]). O(live). Never made
    /// inside a transaction: what that has removed lives at the version.
    pub fn digest(&self) -> Digest {
        debug_assert!(!self.in_transaction(), "DIFF-7: a digest is made at a whole version");
        let version = self.version();
        let mut live = DotRuns::new();
        for (id, origin) in self.state.origins.iter() {
            // Ascending, so that each is appended or makes the last run longer.
            self.state.each_live(origin, 1..=version.seq(id), &mut |first, last| live.insert_run(id, first, last));
        }
        Digest { version, live }
    }

    /// Whether the removal log tells everything that died since `version`, so that whoever is there can be answered on the
    /// version tier (DIFF-2). O(replicas).
    pub fn reaches_back_to(&self, version: &VersionVector) -> bool {
        debug_assert!(!self.in_transaction(), "DIFF-7: a diff is made at a whole version");
        let removals = &self.state.removals;
        let covers_horizon = self.state.origins.iter().all(|(id, origin)| version.seq(id) >= removals.horizon(origin));
        covers_horizon || fault::active(Fault::VersionTierBelowHorizon)
    }

    /// What both this document and one at `version` have. Nothing beyond one's own version is claimed as a base, so that the
    /// base is as small as it can be.
    fn common(&self, version: &VersionVector) -> VersionVector {
        let mut common = VersionVector::new();
        for (id, entry) in version.iter() {
            common.set(id, VersionEntry { seq: entry.seq.min(self.seq(id)), ..entry });
        }
        common
    }

    /// Which of these dots died here: those that are covered and do not live. O(runs · log n + what lives of them).
    fn dead_of(&self, dots: &DotRuns) -> DotRuns {
        let state = &self.state;
        let mut dead = DotRuns::new();
        for (id, first, last) in dots.runs() {
            let Some(origin) = state.origins.get(&id) else { continue };
            if fault::active(Fault::DigestOnlyOwnDeaths) && self.writer() != Some(id) {
                continue;
            }
            let last = last.min(state.seq(origin));
            let mut next = first;
            state.each_live(origin, first..=last, &mut |first, last| {
                if next < first {
                    dead.insert_run(id, next, first - 1);
                }
                next = last + 1;
            });
            if next <= last {
                dead.insert_run(id, next, last);
            }
        }
        dead
    }

    fn make_diff(&self, tier: Tier, base: VersionVector) -> Diff {
        let state = &self.state;
        let mut adds = Vec::new();
        let mut diff = self.diff_around(tier, base, &mut |(dot, live)| {
            adds.push(LiveEntry { dot: state.origins.dot(dot), hlc: live.hlc, entry: state.export(live) });
        });
        diff.adds = adds;
        diff
    }

    /// A diff but for its live entries, each of which is given to `add`.
    fn diff_around(&self, tier: Tier, base: VersionVector, add: &mut dyn FnMut((LocalDot, &Live))) -> Diff {
        let state = &self.state;
        let (mut removes, mut text) = (Vec::new(), Vec::new());
        let mut bunches = Set::new();
        for (id, origin) in state.origins.iter() {
            let after = base.seq(id);
            for (dot, live) in state.store.range(origin, after + 1..=state.seq(origin)) {
                if let Some(position) = State::position(dot, live) {
                    bunches.insert(position.bunch);
                }
                add((dot, live));
            }
            if state.texts.len() > 0 {
                let seqs = after + 1..=state.seq(origin);
                for (_, stretch) in state.texts.runs.range(origin, seqs.clone()) {
                    bunches.insert(stretch.bunch());
                }
                state.export_text(origin, seqs, &mut text);
            }
            if tier == Tier::Version {
                let mut removed = DotRuns::new();
                for (_, first, len, _) in state.removals.beyond(origin, after) {
                    let first = state.origins.dot(first);
                    removed.insert_run(first.replica, first.seq, first.seq + (len - 1));
                }
                if fault::active(Fault::PairsOnlyForKnownDots) {
                    let known = removed.dots().filter(|dot| base.covers(*dot));
                    removed = known.collect();
                }
                if !removed.is_empty() {
                    removes.push((id, removed));
                }
            }
        }
        if tier == Tier::Version && !fault::active(Fault::DiffForgetsDead) {
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
        let (ahead, dead, adds) = (VersionVector::new(), DotRuns::new(), Vec::new());
        Diff { tier, base, ahead, head, heads: self.heads(), adds, text, removes, dead, bunches }
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
        for (version, fault) in [(&diff.base, Fault::NoBaseCheck), (&diff.ahead, Fault::DigestIgnoresAhead)] {
            for (replica, entry) in version.iter() {
                if entry.seq > self.seq(replica) && !fault::active(fault) {
                    return Err(ApplyError::BaseNotCovered { replica, seq: entry.seq });
                }
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
        let order = self.order_bunches(&diff.bunches, &diff.adds, &diff.text)?;
        self.join_diff(diff, &order);
        let keeps = match diff.tier {
            Tier::Version => true,
            Tier::Digest => fault::active(Fault::DigestKeepsHorizon),
            Tier::Full => fault::active(Fault::FullKeepsHorizon),
        };
        if !keeps {
            let version = self.state.seqs();
            self.state.removals.truncate(&version);
            self.state.drop_dead_structure();
        }
        self.apply_parked();
        Ok(self.applied(Outcome::Applied))
    }

    /// Those of `bunches` that are unknown, parents first; checks that every chain is whole and not too deep, also those that
    /// `adds` and `text` are in.
    #[inline(never)]
    pub(super) fn order_bunches<'d>(
        &self,
        bunches: &'d [BunchRecord],
        adds: &[LiveEntry],
        text: &[TextRun],
    ) -> Result<Vec<&'d BunchRecord>, ApplyError> {
        let forest = &self.state.forest;
        let known_depth = |bunch: Dot| {
            let bunch = self.state.origins.local(bunch)?;
            forest.contains(bunch).then(|| forest.depth(bunch))
        };
        let mut coming: Map<Dot, u64> = Map::new();
        // By number; 0 of those that were not come by yet.
        let mut depths = alloc::vec![0; bunches.len()];
        for (number, record) in bunches.iter().enumerate() {
            record.check_place()?;
            let id = self.state.origins.local(record.id).filter(|id| forest.contains(*id));
            if let Some(id) = id {
                if forest.record(&self.state.origins, id).is_some_and(|known| known != *record) {
                    return Err(ApplyError::BunchConflict { bunch: record.id });
                }
                depths[number] = forest.depth(id);
            } else if coming.last().is_none_or(|last| last.0 < record.id) {
                // As they are told, ascending.
                coming.append(record.id, number as u64);
            } else if !coming.insert_new(record.id, number as u64)
                && coming.get(&record.id).is_some_and(|other| bunches[*other as usize] != *record)
            {
                return Err(ApplyError::BunchConflict { bunch: record.id });
            }
        }
        let mut order = Vec::with_capacity(coming.len());
        let mut chain = Vec::new();
        // Many hang on the same one as the bunch before.
        let mut above: Option<(Dot, usize)> = None;
        for (start, record) in bunches.iter().enumerate() {
            // Climb to something known, then come down again. A cycle would climb for ever: it shows as too deep.
            let mut at = start;
            let mut depth = loop {
                if depths[at] > 0 {
                    break depths[at];
                }
                if chain.len() >= Forest::MAX_DEPTH as usize {
                    return Err(ApplyError::TooDeep { bunch: record.id, limit: Forest::MAX_DEPTH });
                }
                chain.push(at);
                let bunch = bunches[at].parent.bunch;
                let number = match above {
                    Some((known, number)) if known == bunch => Some(number),
                    _ => coming.get(&bunch).map(|number| *number as usize),
                };
                match number {
                    Some(number) => (at, above) = (number, Some((bunch, number))),
                    None => break known_depth(bunch).ok_or(ApplyError::MissingBunch { bunch })?,
                }
            };
            while let Some(at) = chain.pop() {
                depth += 1;
                if depth > Forest::MAX_DEPTH {
                    return Err(ApplyError::TooDeep { bunch: bunches[at].id, limit: Forest::MAX_DEPTH });
                }
                depths[at] = depth;
                order.push(&bunches[at]);
            }
        }
        let is_missing = |bunch: Dot| !coming.contains_key(&bunch) && known_depth(bunch).is_none();
        for add in adds {
            if let Slot::Position { bunch, .. } = add.entry.slot {
                let bunch = Dot::new(add.dot.replica, bunch);
                if is_missing(bunch) {
                    return Err(ApplyError::MissingBunch { bunch });
                }
            }
        }
        for run in text {
            let bunch = Dot::new(run.first.replica, run.bunch);
            if is_missing(bunch) {
                return Err(ApplyError::MissingBunch { bunch });
            }
        }
        Ok(order)
    }

    /// Takes in whose entries come and where: all that must be known before the entries.
    pub(super) fn begin_join(&mut self, diff: &Diff, order: &[&BunchRecord]) -> Vec<LocalDot> {
        for (replica, _) in diff.head.iter() {
            self.state.origins.intern(replica);
        }
        self.state.take_bunches(order.iter().copied())
    }

    fn join_diff(&mut self, diff: &Diff, order: &[&BunchRecord]) {
        let mut bunches = self.begin_join(diff, order);
        let Self { state, clock, now, .. } = self;
        let old: Vec<u64> = state.seqs();
        let old_covers = |dot: LocalDot| dot.seq() <= old.get(dot.origin().0 as usize).copied().unwrap_or(0);

        // A dot that is live here and that the maker's log names died there, beyond the base.
        for (replica, removed) in &diff.removes {
            let known = state.origins.get(replica).and_then(|origin| old.get(origin.0 as usize)).copied().unwrap_or(0);
            state.take_removals(*replica, known, diff.head.seq(*replica), removed);
        }
        // One that the maker was told of and that is not live there died there. Who removed it is not said: the digest tier
        // raises the horizon over all of that.
        for (replica, first, last) in diff.dead.runs().filter(|_| !fault::active(Fault::DigestDeadIgnored)) {
            let first = LocalDot::new(state.origins.intern(replica), first);
            state.kill_run((first, last - first.seq()), None, None);
        }
        let coming = Coming::of(state, &diff.adds);
        let spared_text = state.spans_of(&diff.text);
        // A dot that is live here, that the maker has seen beyond the base, and that is not among its live dots died there.
        for (replica, entry) in diff.head.iter() {
            let first = diff.base.seq(replica) + 1;
            if first <= entry.seq && !fault::active(Fault::FullKillsNothing) {
                let first = LocalDot::new(state.origins.intern(replica), first);
                // Who removed it is in the log where the log was told; the other tiers raise the horizon over it.
                let spared = Spared { entry: &|dot| coming.find(dot).is_some(), text: &spared_text };
                state.kill_run((first, entry.seq - first.seq()), None, Some(&spared));
            }
        }
        // A live dot of the maker that was not known here is new; one that was known and is not live here died here.
        for add in &diff.adds {
            clock.observe(add.hlc, *now);
        }
        state.insert_parents_first(coming, |dot| !old_covers(dot) || fault::active(Fault::DiffResurrects));
        state.take_runs(&diff.text, &old);
        retain(&mut bunches, |id| !state.forest.is_needed(*id));
        self.end_join(diff, &old, &bunches);
    }

    /// Goes to the diff's head, when all that lives is there. `old` is how far the replicas were known before, by number;
    /// `dead` are the bunches that came with it and that nothing is in.
    pub(super) fn end_join(&mut self, diff: &Diff, old: &[u64], dead: &[LocalDot]) {
        let state = &mut self.state;
        let old_covers = |dot: LocalDot| dot.seq() <= old.get(dot.origin().0 as usize).copied().unwrap_or(0);
        // Dead structure comes without the removals it is kept for. Whoever covers the maker's heads covers those; there are
        // few heads, and of very many the first have to do: to drop structure too early only costs a question.
        for head in diff.heads.iter().take(MAX_CAUSES) {
            let cause = state.origins.intern_dot(*head);
            for id in dead.iter().filter(|_| !old_covers(cause)) {
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
}

impl State {
    /// Appends the log's pairs whose remover is a dot of `origin`.
    pub(super) fn removals_by(&self, origin: Origin, all: &mut Vec<RemovalRun>) {
        for (remover, removed, len, chain) in self.removals.beyond(origin, 0) {
            let (remover, removed) = (self.origins.dot(remover), self.origins.dot(removed));
            all.push(RemovalRun { remover, removed, len, chain });
        }
    }

    /// The first and the last dot of each run, ascending by this document's dots.
    fn spans_of(&mut self, runs: &[TextRun]) -> Vec<(LocalDot, LocalDot)> {
        let mut spans = Vec::with_capacity(runs.len());
        for run in runs {
            let first = self.origins.intern_dot(run.first);
            spans.push((first, LocalDot::new(first.origin(), run.last_seq().min(Dot::MAX_SEQ))));
        }
        if !spans.is_sorted() {
            sort_by(&mut spans, Ord::cmp);
        }
        spans
    }

    pub(super) fn log_removals(&mut self, run: &RemovalRun) {
        let (remover, removed) = (self.origins.intern_dot(run.remover), self.origins.intern_dot(run.removed));
        self.removals.log(remover, removed, run.len, run.chain);
    }

    /// Takes over what a replica removed up to its dot `last`: kills it and notes it under that dot (DIFF-3). Up to `known` it is
    /// here already.
    fn take_removals(&mut self, replica: ReplicaId, known: u64, last: u64, removed: &DotRuns) {
        if last <= known {
            return;
        }
        let seq = if fault::active(Fault::WrongRemover) { known + 1 } else { last };
        let remover = self.origins.intern_dot(Dot::new(replica, seq));
        if !fault::active(Fault::DiffPairsNotLogged) {
            return self.remove_runs(remover, removed, true);
        }
        for (replica, first, last) in removed.runs() {
            let first = self.origins.intern_dot(Dot::new(replica, first));
            self.kill_run((first, last - first.seq()), Some(remover), None);
        }
    }

    /// These bunches with their ancestors, ascending by id.
    #[inline(never)]
    pub(crate) fn chains(&self, bunches: &Set<LocalDot>) -> Vec<BunchRecord> {
        let mut chains = self.forest.chains(bunches.iter().copied());
        sort_by(&mut chains, |a, b| self.origins.compare(a.0, b.0));
        let mut records = Vec::with_capacity(chains.len());
        for (id, _) in chains {
            if let Some(record) = self.forest.record(&self.origins, id) {
                records.push(record);
            }
        }
        records
    }

    /// Inserts those entries that are `new`; their containers may be among them. What is under a container that is not alive
    /// is dropped; so is a circle of containers, which no honest maker has.
    pub(super) fn insert_parents_first(&mut self, mut coming: Coming<'_>, new: impl Fn(LocalDot) -> bool) {
        let mut stack = Vec::new();
        for at in 0..coming.dots.len() {
            stack.push(at);
            while let Some(at) = stack.last().copied() {
                let (dot, add) = (coming.dots[at].0, coming.add(at));
                let step = core::mem::replace(&mut coming.steps[at], Step::Begun);
                if step == Step::Done || !new(dot) {
                    coming.steps[at] = Step::Done;
                    stack.pop();
                    continue;
                }
                if step == Step::Untouched
                    && let Container::Entity(parent) = &add.entry.container
                    && let Some(parent) = self.origins.local(*parent)
                    && self.store.find(parent).is_none()
                    && let Some(above) = coming.find(parent)
                    && coming.steps[above] == Step::Untouched
                {
                    stack.push(above);
                    continue;
                }
                coming.steps[at] = Step::Done;
                stack.pop();
                self.take_entry(dot, add.hlc, &add.entry);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Untouched,
    /// What it is in comes first.
    Begun,
    Done,
}

/// The entries of a diff by this document's dots, ascending.
pub(super) struct Coming<'d> {
    adds: &'d [LiveEntry],
    dots: Vec<(LocalDot, u32)>,
    steps: Vec<Step>,
}

impl<'d> Coming<'d> {
    pub(super) fn of(state: &mut State, adds: &'d [LiveEntry]) -> Self {
        let mut dots = Vec::with_capacity(adds.len());
        let mut last = None;
        for (at, add) in adds.iter().enumerate() {
            let origin = match last {
                Some((replica, origin)) if replica == add.dot.replica => origin,
                _ => state.origins.intern(add.dot.replica),
            };
            last = Some((add.dot.replica, origin));
            dots.push((LocalDot::new(origin, add.dot.seq), at as u32));
        }
        // They ascend by full ids: here that is mostly one run a replica.
        if !dots.is_sorted() {
            sort_by(&mut dots, Ord::cmp);
        }
        let steps = alloc::vec![Step::Untouched; dots.len()];
        Self { adds, dots, steps }
    }

    fn find(&self, dot: LocalDot) -> Option<usize> {
        self.dots.binary_search_by_key(&dot, |coming| coming.0).ok()
    }

    fn add(&self, at: usize) -> &'d LiveEntry {
        &self.adds[self.dots[at].1 as usize]
    }
}
