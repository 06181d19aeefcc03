//! The removal log: which dots were removed, and by which delta; or, where a diff told it, by which delta that replica had got to
//! (DIFF-3).
//!
//! Pairs are kept as runs, for each remover's replica in the order of removers, and complete beyond the *horizon*;
//! truncating raises the horizon and asks nobody. A run is either one delta that removed neighbouring dots, or a *chain*:
//! neighbouring deltas that removed one of neighbouring dots each, as happens where one thing is overwritten again and
//! again. So the log of a counter is one run, however often it was counted up.
//!
//! What is known of a replica only ever grows at its end, so pairs come in the order of their removers and are appended.
//!
//! Rules: REM-2 completeness beyond the horizon. REM-3 truncation only moves old peers to a costlier tier.
//! Not here: which dots are live; that is [`super::Store`].

use alloc::vec::Vec;

use crate::clock::{Dot, LocalDot};
use crate::fault::{self, Fault};
use crate::replica_id::Origin;

/// The dots `first ..= first.seq + more` of one replica.
pub(crate) type LocalRun = (LocalDot, u64);

/// Removal pairs that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovalRun {
    /// The delta that removed the first of the dots.
    pub remover: Dot,
    /// The first of the removed dots.
    pub removed: Dot,
    /// How many dots were removed: these and those after it. At least one.
    pub len: u64,
    /// Whether each was removed by the next remover: `removed + i` by `remover + i`. Otherwise one delta removed all. Never
    /// set where `len` is 1.
    pub chain: bool,
}

impl RemovalRun {
    /// The name of the delta that removed the last of the dots.
    pub const fn last_remover(&self) -> Dot {
        let more = if self.chain { self.len.saturating_sub(1) } else { 0 };
        Dot::new(self.remover.replica, self.remover.seq.saturating_add(more))
    }

    /// The last of the removed dots.
    pub const fn last_removed(&self) -> Dot {
        Dot::new(self.removed.replica, self.removed.seq.saturating_add(self.len.saturating_sub(1)))
    }

    /// Whether `next`, which comes right after this one, could be a part of it.
    pub(crate) fn goes_on_in(&self, next: &Self) -> bool {
        let (remover, removed) = (self.last_remover(), self.last_removed());
        let step = if remover.seq == next.remover.seq {
            !self.chain && !next.chain
        } else {
            remover.seq + 1 == next.remover.seq && (self.chain || self.len == 1) && (next.chain || next.len == 1)
        };
        step && remover.replica == next.remover.replica
            && removed.replica == next.removed.replica
            && removed.seq + 1 == next.removed.seq
    }
}

/// A run of pairs of one remover's replica.
#[derive(Clone, Copy, Debug)]
struct Run {
    remover: u64,
    removed: LocalDot,
    /// How many pairs, and in the lowest bit whether they are a chain.
    len: u64,
}

impl Run {
    const fn new(remover: u64, removed: LocalDot, len: u64, chain: bool) -> Self {
        Self { remover, removed, len: len << 1 | (chain && len > 1) as u64 }
    }

    const fn len(self) -> u64 {
        self.len >> 1
    }

    const fn is_chain(self) -> bool {
        self.len & 1 == 1
    }

    const fn last_remover(self) -> u64 {
        if self.is_chain() { self.remover + self.len() - 1 } else { self.remover }
    }

    fn last_removed(self) -> LocalDot {
        LocalDot::new(self.removed.origin(), self.removed.seq() + (self.len() - 1))
    }

    /// What of it is beyond `after`, of which something is.
    fn beyond(self, after: u64) -> Self {
        if self.remover > after {
            return self;
        }
        let skip = after - self.remover + 1;
        let removed_skip = if fault::active(Fault::ChainCutInRemoversOnly) { 0 } else { skip };
        let removed = LocalDot::new(self.removed.origin(), self.removed.seq() + removed_skip);
        Self::new(self.remover + skip, removed, self.len() - skip, true)
    }

    /// This run with one more pair, if it is a chain, or can be the first of one, that goes on so.
    fn extended(self, next: Self) -> Option<Self> {
        let chains = |run: Self| run.is_chain() || run.len() == 1;
        let follows = self.last_remover() + 1 == next.remover
            && self.removed.origin() == next.removed.origin()
            && (self.last_removed().seq() + 1 == next.removed.seq() || fault::active(Fault::ChainOverGaps));
        (follows && chains(self) && chains(next))
            .then(|| Self::new(self.remover, self.removed, self.len() + next.len(), true))
    }

    /// How many bytes it takes in a snapshot, behind `before`: as `docs/format.md` writes pairs, but for the width of
    /// replica numbers.
    fn encoded_len(self, origin: Origin, before: Option<Self>) -> usize {
        let step = self.remover - before.map_or(0, Self::last_remover);
        let gap = before.filter(|before| step == 0 && before.removed.origin() == self.removed.origin());
        let removed = match gap {
            Some(before) => varint_len(self.removed.seq().saturating_sub(before.last_removed().seq())),
            None if self.removed.origin() == origin => varint_len(self.remover.saturating_sub(self.removed.seq())),
            None => 1 + varint_len(self.removed.seq()),
        };
        varint_len(step << 2) + removed + if self.len() > 1 { varint_len(self.len) } else { 0 }
    }
}

const fn varint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Removed dots by the deltas that removed them, beyond a horizon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    /// By the number of the remover's replica. The ranges of removers ascend and overlap in their ends at most.
    logs: Vec<Vec<Run>>,
    /// About how many bytes all of them take when they are written.
    bytes: usize,
    /// Sequence numbers by replica number; what is missing is 0.
    horizon: Vec<u64>,
    /// A version some time back, to which the horizon is raised when the log grows too long.
    checkpoint: Option<Vec<u64>>,
}

impl Removals {
    /// The log may always take so many bytes: less would not pay for the state that old peers are sent instead. It is about
    /// a thousand removals by one replica.
    const MIN_BYTES: usize = 4 << 10;
    /// The log may take one byte for so many bytes that live: whoever keeps a document at rest pays a quarter more at most,
    /// whatever its history was.
    const LIVE_PER_BYTE: usize = 4;

    pub(crate) fn horizon(&self, origin: Origin) -> u64 {
        self.horizon.get(origin.0 as usize).copied().unwrap_or(0)
    }

    /// Whether the horizon covers `dot`.
    pub(crate) fn within_horizon(&self, dot: LocalDot) -> bool {
        dot.seq() <= self.horizon(dot.origin())
    }

    /// About how many bytes the log takes when it is written.
    #[cfg(test)]
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes
    }

    /// Notes that `remover` removed `len` dots from `removed` on, or, if they are a `chain`, that it and those after it
    /// removed one each. Pairs within the horizon are not kept. The removers of a replica come in their order. O(1).
    pub(crate) fn log(&mut self, remover: LocalDot, removed: LocalDot, len: u64, chain: bool) {
        let origin = remover.origin();
        let run = Run::new(remover.seq(), removed, len, chain);
        let horizon = self.horizon(origin);
        if run.last_remover() <= horizon || fault::active(Fault::RemovalNotLogged) {
            return;
        }
        if fault::active(Fault::OnePairForEachDot) && len == 1 && self.is_noted(removed) {
            return;
        }
        let run = run.beyond(horizon);
        let index = origin.0 as usize;
        while self.logs.len() <= index {
            self.logs.push(Vec::new());
        }
        let log = &mut self.logs[index];
        if let Some(last) = log.last_mut().filter(|last| last.is_chain())
            && let Some(longer) = last.extended(run)
        {
            // What goes on as it went on before costs what its length does.
            self.bytes += varint_len(longer.len) - varint_len(last.len);
            *last = longer;
            return;
        }
        let mut before = log.last().copied();
        debug_assert!(before.is_none_or(|before| before.last_remover() <= run.remover), "removers come in their order");
        let mut grown = run;
        if let Some(longer) = before.and_then(|before| before.extended(run)) {
            let last = log.pop();
            before = log.last().copied();
            self.bytes -= last.map_or(0, |last| last.encoded_len(origin, before));
            grown = longer;
        }
        self.bytes += grown.encoded_len(origin, before);
        log.push(grown);
    }

    /// Whether a dot is in some pair.
    fn is_noted(&self, removed: LocalDot) -> bool {
        self.logs.iter().flatten().any(|run| run.removed <= removed && removed <= run.last_removed())
    }

    /// Every pair whose remover is a dot of `origin` beyond `after`, in runs ascending by remover: the remover, the first
    /// removed dot, how many, whether they are a chain. O(log runs + found).
    pub(crate) fn beyond(
        &self,
        origin: Origin,
        after: u64,
    ) -> impl Iterator<Item = (LocalDot, LocalDot, u64, bool)> + '_ {
        let log = self.logs.get(origin.0 as usize).map_or(&[][..], Vec::as_slice);
        let start = log.partition_point(|run| run.last_remover() <= after);
        log[start..].iter().map(move |run| {
            let run = run.beyond(after);
            (LocalDot::new(origin, run.remover), run.removed, run.len(), run.is_chain())
        })
    }

    /// Raises the horizon to `version` (sequence numbers by replica number) and forgets what it covers. REM-3.
    pub(crate) fn truncate(&mut self, version: &[u64]) {
        if self.horizon.len() < version.len() {
            self.horizon.resize(version.len(), 0);
        }
        for (known, raised) in self.horizon.iter_mut().zip(version) {
            *known = if fault::active(Fault::TruncationKeepsHorizon) { *known } else { (*known).max(*raised) };
        }
        self.bytes = 0;
        for (index, log) in self.logs.iter_mut().enumerate() {
            let horizon = self.horizon.get(index).copied().unwrap_or(0);
            log.drain(..log.partition_point(|run| run.last_remover() <= horizon));
            if log.capacity() > 4 * log.len() {
                log.shrink_to(2 * log.len());
            }
            let mut before = None;
            for run in log {
                *run = run.beyond(horizon);
                self.bytes += run.encoded_len(Origin(index as u32), before);
                before = Some(*run);
            }
        }
    }

    fn cap(live_bytes: usize) -> usize {
        Self::MIN_BYTES.max(live_bytes / Self::LIVE_PER_BYTE)
    }

    /// Whether the log is long enough, beside so many live bytes, for [`Self::shorten`] to have something to do.
    pub(crate) fn is_long(&self, live_bytes: usize) -> bool {
        let cap = Self::cap(live_bytes);
        self.bytes > if self.checkpoint.is_none() { cap / 2 } else { cap }
    }

    /// Keeps the log in proportion to what lives: a long one gets a checkpoint at the present `version`, and a longer one
    /// is truncated to the checkpoint, or wholly where that is not enough. Returns whether the horizon was raised. Amortised
    /// O(1) a removal.
    pub(crate) fn shorten(&mut self, live_bytes: usize, version: Vec<u64>) -> bool {
        let cap = Self::cap(live_bytes);
        let long = self.bytes > cap;
        if long {
            if let Some(checkpoint) = self.checkpoint.take() {
                self.truncate(&checkpoint);
            }
            if self.bytes > cap {
                self.truncate(&version);
            }
        }
        self.checkpoint = Some(version);
        long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(origin: u32, seq: u64) -> LocalDot {
        LocalDot::new(Origin(origin), seq)
    }

    fn pairs(log: &Removals, origin: u32, after: u64) -> Vec<(u64, LocalDot)> {
        let mut pairs = Vec::new();
        for (remover, removed, len, chain) in log.beyond(Origin(origin), after) {
            for at in 0..len {
                let remover = remover.seq() + if chain { at } else { 0 };
                pairs.push((remover, LocalDot::new(removed.origin(), removed.seq() + at)));
            }
        }
        pairs
    }

    #[test]
    fn rem_2_pairs_come_back_whatever_runs_they_became() {
        let mut log = Removals::default();
        let mut all = Vec::new();
        let mut random = 1u64;
        for remover in 2..2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match random >> 60 {
                0..10 => {
                    log.log(dot(0, remover), dot(0, remover - 1), 1, false);
                    all.push((remover, dot(0, remover - 1)));
                }
                10..12 => {
                    log.log(dot(0, remover), dot(1, 10 * remover), 3, false);
                    all.extend((0..3).map(|at| (remover, dot(1, 10 * remover + at))));
                }
                12 => {
                    for first in [5, 9] {
                        log.log(dot(0, remover), dot(1, 10 * remover + first), 1, false);
                        all.push((remover, dot(1, 10 * remover + first)));
                    }
                }
                _ => {}
            }
        }
        assert!(log.logs[0].len() < all.len() / 2, "chains were found");
        for after in [0, 1, 2, 77, 500, 501, 502, 1_999, 3_000] {
            let expected: Vec<_> = all.iter().copied().filter(|pair| pair.0 > after).collect();
            assert_eq!(pairs(&log, 0, after), expected);
            let mut truncated = log.clone();
            truncated.truncate(&[after]);
            assert_eq!(pairs(&truncated, 0, 0), expected);
            assert!(truncated.bytes <= log.bytes);
            assert_eq!(truncated.bytes == 0, expected.is_empty());
        }
    }

    #[test]
    fn rem_3_the_log_never_outgrows_its_share() {
        let mut log = Removals::default();
        for seq in 2..100_000u64 {
            // Far apart, so that no two are neighbours.
            log.log(dot(0, seq * 3), dot(1, seq * 7), 1, false);
            if log.is_long(40_000) {
                log.shorten(40_000, Vec::from([seq * 3]));
            }
            assert!(log.byte_len() <= 10_000);
        }
        assert!(log.byte_len() > 4_000, "and is not thrown away for nothing");
        for seq in 1..1_000_000 {
            log.log(dot(1, seq + 1), dot(1, seq), 1, false);
        }
        assert_eq!(log.logs[1].len(), 1, "a chain is one run");
    }
}
