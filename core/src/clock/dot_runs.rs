//! Sets of dots as runs of consecutive sequence numbers.

use alloc::vec::Vec;

use super::Dot;
use crate::ordered::Map;
use crate::replica_id::ReplicaId;

/// A set of dots, held per replica as sorted, disjoint, non-adjacent runs.
///
/// Membership is O(log runs), insertion O(runs of that replica) at worst and O(1) when appending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DotRuns {
    runs: Map<ReplicaId, Vec<(u64, u64)>>,
}

impl DotRuns {
    /// The empty set.
    pub const fn new() -> Self {
        Self { runs: Map::new() }
    }

    /// Whether no dot is in the set.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds one dot.
    pub fn insert(&mut self, dot: Dot) {
        self.insert_run(dot.replica, dot.seq, dot.seq);
    }

    /// Adds the dots `first..=last` of `replica`.
    pub fn insert_run(&mut self, replica: ReplicaId, first: u64, last: u64) {
        debug_assert!(first <= last, "a run is not empty");
        let runs = self.runs.get_or_insert_with(replica, Default::default);
        // All runs that touch or overlap [first, last] melt into one.
        let start = runs.partition_point(|run| run.1 < first.saturating_sub(1));
        let end = runs.partition_point(|run| run.0 <= last.saturating_add(1));
        let merged = runs[start..end].iter().fold((first, last), |all, run| (all.0.min(run.0), all.1.max(run.1)));
        runs.splice(start..end, [merged]);
    }

    /// Whether `dot` is in the set.
    pub fn contains(&self, dot: Dot) -> bool {
        self.runs.get(&dot.replica).is_some_and(|runs| {
            let at = runs.partition_point(|run| run.1 < dot.seq);
            runs.get(at).is_some_and(|run| run.0 <= dot.seq)
        })
    }

    /// The runs `(replica, first, last)` in ascending order.
    pub fn runs(&self) -> impl Iterator<Item = (ReplicaId, u64, u64)> + '_ {
        self.runs.iter().flat_map(|(replica, runs)| runs.iter().map(|run| (*replica, run.0, run.1)))
    }

    /// How many runs there are. O(replicas).
    pub fn run_count(&self) -> usize {
        self.runs.values().map(Vec::len).sum()
    }

    /// How many dots there are. O(runs).
    pub fn dot_count(&self) -> u64 {
        self.runs().map(|(_, first, last)| last - first + 1).sum()
    }

    /// Every dot in ascending order. As many as there are: bound the set before iterating what came from outside.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.runs().flat_map(|(replica, first, last)| (first..=last).map(move |seq| Dot { replica, seq }))
    }
}

impl FromIterator<Dot> for DotRuns {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut set = Self::new();
        for dot in dots {
            set.insert(dot);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_a_set(dots in prop::collection::vec((0u128..3, 1u64..40), 0..60)) {
            let dots: Vec<Dot> = dots.into_iter().map(|(r, s)| Dot::new(ReplicaId::from(r), s)).collect();
            let model: BTreeSet<Dot> = dots.iter().copied().collect();
            let set: DotRuns = dots.into_iter().collect();
            prop_assert_eq!(set.dots().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.dot_count(), model.len() as u64);
            for replica in 0u128..3 {
                for seq in 1u64..41 {
                    let dot = Dot::new(ReplicaId::from(replica), seq);
                    prop_assert_eq!(set.contains(dot), model.contains(&dot));
                }
            }
            let runs: Vec<_> = set.runs().collect();
            for pair in runs.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0 || pair[0].2 + 1 < pair[1].1, "runs are sorted and never adjacent");
            }
        }
    }
}
