//! The removal log: which dots were removed, and by which delta.
//!
//! Pairs are kept as runs of removed dots under the delta that removed them, complete beyond the *horizon*; truncating
//! raises the horizon and asks nobody.
//!
//! Rules: REM-2 completeness beyond the horizon. REM-3 truncation only moves old peers to a costlier tier.
//! Not here: which dots are live; that is [`super::Store`].

use alloc::vec::Vec;
use core::ops::Bound;

use crate::clock::{Dot, DotRuns, LocalDot};
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::replica_id::Origin;

/// The dots `first ..= first.seq + more` of one replica.
pub(crate) type LocalRun = (LocalDot, u64);

/// Removed dots by the delta that removed them, beyond a horizon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    by_remover: Map<LocalDot, DotRuns>,
    runs: usize,
    /// Sequence numbers by replica number; what is missing is 0.
    horizon: Vec<u64>,
    /// A version some time back, to which the horizon is raised when the log grows too long.
    checkpoint: Option<Vec<u64>>,
}

impl Removals {
    /// The log is never shortened below this many runs.
    const MIN_RUNS: usize = 512;
    /// The log may hold one run for so many live dots: about a quarter of their bytes.
    const LIVE_PER_RUN: usize = 8;

    pub(crate) fn horizon(&self, origin: Origin) -> u64 {
        self.horizon.get(origin.0 as usize).copied().unwrap_or(0)
    }

    /// Whether the horizon covers `dot`.
    pub(crate) fn within_horizon(&self, dot: LocalDot) -> bool {
        dot.seq() <= self.horizon(dot.origin())
    }

    /// Notes that `remover` removed these dots. Pairs within the horizon are not kept; a pair that is there stays once.
    pub(crate) fn log(&mut self, remover: LocalDot, removed: &DotRuns) {
        if self.within_horizon(remover) || fault::active(Fault::RemovalNotLogged) {
            return;
        }
        let unnoted;
        let removed = if fault::active(Fault::OnePairForEachDot) {
            unnoted = self.unnoted(removed);
            &unnoted
        } else {
            removed
        };
        if removed.is_empty() {
            return;
        }
        let known = self.by_remover.get_or_insert_with(remover, Default::default);
        self.runs -= known.run_count();
        for (replica, first, last) in removed.runs() {
            known.insert_run(replica, first, last);
        }
        self.runs += known.run_count();
    }

    /// What is in no pair yet.
    fn unnoted(&self, removed: &DotRuns) -> DotRuns {
        let mut unnoted = DotRuns::new();
        for dot in removed.dots().filter(|dot| self.by_remover.values().all(|runs| !runs.contains(*dot))) {
            unnoted.insert(dot);
        }
        unnoted
    }

    /// Every pair whose remover is a dot of `origin` beyond `after`, ascending by remover.
    pub(crate) fn beyond(&self, origin: Origin, after: u64) -> impl Iterator<Item = (LocalDot, &DotRuns)> {
        let after = LocalDot::new(origin, after.min(Dot::MAX_SEQ));
        let last = LocalDot::new(origin, Dot::MAX_SEQ);
        let range = (Bound::Excluded(after), Bound::Included(last));
        self.by_remover.range(range).map(|(remover, runs)| (*remover, runs))
    }

    /// Raises the horizon to `version` (sequence numbers by replica number) and forgets what it covers. REM-3.
    pub(crate) fn truncate(&mut self, version: &[u64]) {
        if self.horizon.len() < version.len() {
            self.horizon.resize(version.len(), 0);
        }
        for (known, raised) in self.horizon.iter_mut().zip(version) {
            *known = if fault::active(Fault::TruncationKeepsHorizon) { *known } else { (*known).max(*raised) };
        }
        // Against what was asked for, which the horizon covers now.
        self.by_remover
            .retain(|remover, _| remover.seq() > version.get(remover.origin().0 as usize).copied().unwrap_or(0));
        self.runs = self.by_remover.values().map(DotRuns::run_count).sum();
    }

    fn cap(live: usize) -> usize {
        Self::MIN_RUNS.max(live / Self::LIVE_PER_RUN)
    }

    /// Whether the log is long enough, beside so many live dots, for [`Self::shorten`] to have something to do.
    pub(crate) fn is_long(&self, live: usize) -> bool {
        let cap = Self::cap(live);
        self.runs > if self.checkpoint.is_none() { cap / 2 } else { cap }
    }

    /// Keeps the log in proportion to the live dots: a long one gets a checkpoint at the present `version`, and a longer one
    /// is truncated to the checkpoint. Returns whether the horizon was raised. Amortised O(1) a removal.
    pub(crate) fn shorten(&mut self, live: usize, version: Vec<u64>) -> bool {
        match &self.checkpoint {
            None => {
                self.checkpoint = Some(version);
                false
            }
            Some(_) if self.runs <= Self::cap(live) => false,
            Some(checkpoint) => {
                let checkpoint = checkpoint.clone();
                self.truncate(&checkpoint);
                self.checkpoint = Some(version);
                true
            }
        }
    }
}
