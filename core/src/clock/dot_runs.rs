//! Sets of dots as runs of consecutive sequence numbers.

use super::Dot;
use crate::ordered::{Iter, Map};
use crate::replica_id::ReplicaId;

/// A set of dots, held as sorted, disjoint, non-adjacent runs.
///
/// Membership and insertion are O(log runs), and O(melted runs) more where a run closes gaps; appending is O(1). A set of one
/// run, which most sets are, allocates nothing.
///
/// ```
/// # use weftline::{Dot, DotRuns, ReplicaId};
/// let dot = |seq| Dot::new(ReplicaId::from(1), seq);
/// let mut dots: DotRuns = [dot(1), dot(2), dot(4)].into_iter().collect();
/// assert_eq!((dots.run_count(), dots.dot_count()), (2, 3));
/// dots.insert(dot(3));
/// assert!(dots.runs().eq([(ReplicaId::from(1), 1, 4)]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DotRuns {
    /// The lowest run: its first dot and its last sequence number.
    lowest: Option<(Dot, u64)>,
    /// The other runs: the last sequence number of each, by its first dot.
    rest: Map<Dot, u64>,
}

impl DotRuns {
    /// The empty set.
    pub const fn new() -> Self {
        Self { lowest: None, rest: Map::new() }
    }

    /// Whether no dot is in the set.
    pub const fn is_empty(&self) -> bool {
        self.lowest.is_none()
    }

    /// Adds one dot. O(log runs).
    pub fn insert(&mut self, dot: Dot) {
        self.insert_run(dot.replica, dot.seq, dot.seq);
    }

    /// Adds the dots `first..=last` of `replica`; `first` is not above `last`. O(log runs + melted runs).
    pub fn insert_run(&mut self, replica: ReplicaId, first: u64, last: u64) {
        debug_assert!(first <= last, "a run is not empty");
        // Whoever adds in ascending order looks at the end only.
        let run = Dot::new(replica, first);
        let Some(lowest) = &mut self.lowest else {
            self.lowest = Some((run, last));
            return;
        };
        let (start, end) = self.rest.last_mut().map_or((lowest.0, &mut lowest.1), |(first, last)| (*first, last));
        if start.replica < replica || start.replica == replica && *end < first {
            if start.replica == replica && *end + 1 == first {
                *end = last;
            } else {
                self.rest.append(run, last);
            }
            return;
        }
        let (mut first, mut last) = (first, last);
        // All runs that touch or overlap [first, last] melt into one, from the end.
        while let Some((start, end)) = self.run_before(Dot::new(replica, last.saturating_add(1)))
            && start.replica == replica
            && end >= first.saturating_sub(1)
        {
            last = last.max(end);
            if start.seq <= first {
                // It keeps its place, and whatever is before it does not touch it.
                first = start.seq;
                break;
            }
            self.remove(start);
        }
        self.put(Dot::new(replica, first), last);
    }

    /// Whether `dot` is in the set. O(log runs).
    pub fn contains(&self, dot: Dot) -> bool {
        self.run_before(dot).is_some_and(|(first, last)| first.replica == dot.replica && dot.seq <= last)
    }

    /// The runs `(replica, first, last)` in ascending order.
    pub fn runs(&self) -> impl Iterator<Item = (ReplicaId, u64, u64)> + '_ {
        Runs { lowest: self.lowest, rest: self.rest.iter() }
    }

    /// How many runs there are. O(1).
    pub fn run_count(&self) -> usize {
        usize::from(self.lowest.is_some()) + self.rest.len()
    }

    /// How many dots there are. O(runs).
    pub fn dot_count(&self) -> u64 {
        self.runs().map(|(_, first, last)| last - first + 1).sum()
    }

    /// Every dot in ascending order. As many as there are: bound the set before iterating what came from outside.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        Dots { runs: Runs { lowest: self.lowest, rest: self.rest.iter() }, next: Dot::ROOT, left: 0 }
    }

    /// The last run that begins at `dot` or before it.
    #[cfg_attr(target_family = "wasm", inline(never))]
    fn run_before(&self, dot: Dot) -> Option<(Dot, u64)> {
        let rest = self.rest.range(..=dot).next_back();
        rest.map(|(first, last)| (*first, *last)).or(self.lowest.filter(|lowest| lowest.0 <= dot))
    }

    fn remove(&mut self, start: Dot) {
        if self.lowest.is_some_and(|lowest| lowest.0 == start) {
            let next = self.rest.keys().next().copied();
            self.lowest = next.and_then(|next| self.rest.remove_entry(&next));
        } else {
            self.rest.remove(&start);
        }
    }

    fn put(&mut self, first: Dot, last: u64) {
        match self.lowest {
            Some(lowest) if lowest.0 < first => self.rest.insert(first, last),
            Some(lowest) if lowest.0 > first => {
                self.rest.insert(lowest.0, lowest.1);
                self.lowest = Some((first, last));
            }
            _ => self.lowest = Some((first, last)),
        }
    }
}

/// The runs of a set. A type of its own, so that its step exists once, whoever goes through them.
struct Runs<'s> {
    lowest: Option<(Dot, u64)>,
    rest: Iter<'s, Dot, u64>,
}

impl Iterator for Runs<'_> {
    type Item = (ReplicaId, u64, u64);

    #[cfg_attr(target_family = "wasm", inline(never))]
    fn next(&mut self) -> Option<Self::Item> {
        let (first, last) = match self.lowest.take() {
            Some(lowest) => lowest,
            None => self.rest.next().map(|(first, last)| (*first, *last))?,
        };
        Some((first.replica, first.seq, last))
    }
}

/// The dots of a set, likewise.
struct Dots<'s> {
    runs: Runs<'s>,
    next: Dot,
    /// How many of its run are left, with that one.
    left: u64,
}

impl Iterator for Dots<'_> {
    type Item = Dot;

    fn next(&mut self) -> Option<Dot> {
        if self.left == 0 {
            let (replica, first, last) = self.runs.next()?;
            (self.next, self.left) = (Dot { replica, seq: first }, (last - first).saturating_add(1));
        }
        let dot = self.next;
        self.next.seq = dot.seq.wrapping_add(1);
        self.left -= 1;
        Some(dot)
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
    use alloc::vec::Vec;

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
