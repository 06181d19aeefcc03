//! The beacon, summed up behind the edits.
//!
//! The beacon is a sum over the live dots (DOT-1). What is overwritten soon after it was written would be hashed twice for
//! nothing, once to be added and once to be subtracted. So the sum covers the live dots up to a version some way back, and
//! whoever asks for the beacon adds the few beyond it; once in many entries the sum is brought up to the present version.
//! So long as a dot is beyond the sum it comes and goes unseen.
//!
//! Not here: what is hashed, in `crate::store`.

use alloc::vec::Vec;

use super::state::State;
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::replica_id::Origin;
use crate::store::{Live, beacon_share};

/// How far the sum may be behind, and what it covers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beacon {
    /// Over the live dots that `covered` covers.
    sum: u128,
    /// Over all live characters: they are seldom overwritten, and counted as they come and go.
    pub(super) text: u128,
    /// Sequence numbers by replica number; what is missing is 0.
    covered: Vec<u64>,
    /// How many entries came since the sum was brought up.
    behind: usize,
}

impl Beacon {
    /// So many entries may come before the sum is brought up: most of what is overwritten again and again is dead by then, and
    /// to hash what lives of them is still quick for whoever asks. Few in tests, whose documents are small.
    const MOST_BEHIND: usize = if cfg!(any(test, feature = "testing")) { 8 } else { 4096 };

    fn covers(&self, dot: LocalDot) -> bool {
        self.covered.get(dot.origin().0 as usize).is_some_and(|seq| dot.seq() <= *seq)
    }
}

impl State {
    /// The sum over all live dots of the present version. O(replicas + entries that came since it was brought up).
    pub(crate) fn beacon(&self) -> u128 {
        let mut sum = self.beacon.sum.wrapping_add(self.beacon.text);
        for (origin, seq) in self.seqs().into_iter().enumerate() {
            let covered = self.beacon.covered.get(origin).copied().unwrap_or(0);
            for (dot, live) in self.store.range(Origin(origin as u32), covered + 1..=seq) {
                sum = sum.wrapping_add(self.share(dot, live));
            }
        }
        sum
    }

    /// An entry came.
    pub(super) fn beacon_gains(&mut self, dot: LocalDot, live: &Live) {
        self.beacon_comes();
        if self.beacon.covers(dot) && !fault::active(Fault::BeaconForgetsReturned) {
            self.beacon.sum = self.beacon.sum.wrapping_add(self.share(dot, live));
        }
    }

    /// An entry came under a dot that the version does not cover yet.
    pub(super) fn beacon_comes(&mut self) {
        self.beacon.behind += 1;
    }

    /// An entry went.
    pub(super) fn beacon_loses(&mut self, dot: LocalDot, live: &Live) {
        let counted = self.beacon.covers(dot) || fault::active(Fault::BeaconTakesUncounted);
        if counted && !fault::active(Fault::BeaconCountsDead) {
            self.beacon.sum = self.beacon.sum.wrapping_sub(self.share(dot, live));
        }
    }

    /// Ends a batch: brings the sum up to the present version if it is far behind. Amortised O(1) an entry, and O(replicas) in
    /// many entries.
    pub(super) fn keep_beacon_near(&mut self) {
        if self.beacon.behind > Beacon::MOST_BEHIND {
            let text = self.beacon.text;
            let (sum, covered) = (self.beacon().wrapping_sub(text), self.seqs());
            self.beacon = Beacon { sum, text, covered, behind: 0 };
        }
    }

    /// Takes what a replica wrote up to here for counted.
    pub(super) fn beacon_forgets(&mut self, last: LocalDot) {
        let at = last.origin().0 as usize;
        self.beacon.covered.resize(self.beacon.covered.len().max(at + 1), 0);
        self.beacon.covered[at] = last.seq();
    }

    /// The share of a dot that is bound to `live`.
    fn share(&self, dot: LocalDot, live: &Live) -> u128 {
        beacon_share(self.origins.dot(dot), live.hlc, self.entry_ref(live))
    }
}
