//! What users did and saw: between which neighbours each value was put, and what its writer knew.
//!
//! From this, and from nothing else, follows what must hold of every order that anybody is ever shown:
//! - C2 two values never swap, at any replica, at any time;
//! - C3 a value lies between the visible neighbours it was put between;
//! - N1 two runs, each typed at one gap, neither knowing the other, are not interleaved;
//! - N2 between u and x, typed right after u, is only what saw x or was itself typed, transitively, after u;
//! - N3 between two values that one replica typed one after the other is nothing that did not see the second.

use std::collections::{BTreeMap, BTreeSet};

use weftline::{Dot, ReplicaId, VersionVector};

/// The number of a value, in the order in which all of them came to be.
pub(crate) type Item = usize;

/// How a value came to be where it is.
pub(crate) struct Story {
    pub(crate) left: Option<Item>,
    pub(crate) right: Option<Item>,
    pub(crate) writer: ReplicaId,
    /// What its writer knew when the transaction began.
    pub(crate) saw: VersionVector,
    /// What the same writer put in just before.
    pub(crate) previous: Option<Item>,
    /// Nothing for what a transaction took away again.
    pub(crate) dot: Option<Dot>,
}

/// Values that were put in one after the other at one gap.
pub(crate) struct Run {
    pub(crate) place: usize,
    left: Option<Item>,
    right: Option<Item>,
    values: Vec<Item>,
}

/// Everything that anybody did and was shown.
#[derive(Default)]
pub(crate) struct Stories {
    stories: Vec<Story>,
    items: BTreeMap<Dot, Item>,
    runs: Vec<Run>,
    shown: BTreeSet<(Dot, Dot)>,
    /// How many pairs of runs, and pairs of neighbours, were looked at.
    pub(crate) pairs: (usize, usize),
}

impl Stories {
    pub(crate) fn next(&self) -> Item {
        self.stories.len()
    }

    pub(crate) fn begin(&mut self, story: Story) -> Item {
        self.stories.push(story);
        self.stories.len() - 1
    }

    /// Says which dot a value got.
    pub(crate) fn bind(&mut self, item: Item, dot: Dot) {
        self.stories[item].dot = Some(dot);
        self.items.insert(dot, item);
    }

    pub(crate) fn item(&self, dot: Dot) -> Item {
        self.items[&dot]
    }

    pub(crate) fn dot(&self, item: Item) -> Option<Dot> {
        self.stories[item].dot
    }

    /// Goes on with a run, if the value was put to where that is, or begins another.
    pub(crate) fn goes_on(&mut self, run: Option<usize>, place: usize, item: Item) -> usize {
        let Story { left, right, .. } = &self.stories[item];
        let (left, right) = (*left, *right);
        let run = run.filter(|run| {
            let run = &self.runs[*run];
            let near = |side: Option<Item>, end| side == end || side.is_some_and(|item| run.values.contains(&item));
            run.place == place && near(left, run.left) && near(right, run.right)
        });
        match run {
            Some(run) => {
                self.runs[run].values.push(item);
                run
            }
            None => {
                self.runs.push(Run { place, left, right, values: vec![item] });
                self.runs.len() - 1
            }
        }
    }

    /// Whether whoever wrote `z` knew `x`.
    fn saw(&self, z: Item, x: Item) -> bool {
        let (by, of) = (&self.stories[z], &self.stories[x]);
        by.writer == of.writer && z > x || of.dot.is_some_and(|dot| by.saw.covers(dot))
    }

    /// Notes what somebody is shown.
    pub(crate) fn show(&mut self, order: &[Dot]) {
        self.shown.extend(order.windows(2).map(|pair| (pair[0], pair[1])));
    }

    /// C3 in what somebody is shown; N1, N2 and N3 where they are promised.
    pub(crate) fn check(&mut self, place: usize, order: &[Dot], promises_runs: bool) {
        let items: Vec<Item> = order.iter().map(|dot| self.item(*dot)).collect();
        let index: BTreeMap<Item, usize> = items.iter().enumerate().map(|(at, item)| (*item, at)).collect();
        let find = |item: Option<Item>| index.get(&item?).copied();
        for (at, x) in items.iter().enumerate() {
            let Story { left, right, dot, .. } = &self.stories[*x];
            let left_is_before = find(*left).is_none_or(|left| left < at);
            let right_is_behind = find(*right).is_none_or(|right| right > at);
            assert!(left_is_before && right_is_behind, "C3: {dot:?} has left its neighbours");
        }
        if !promises_runs {
            return;
        }
        for (at, x) in items.iter().enumerate() {
            let Story { left: Some(u), previous, dot, .. } = &self.stories[*x] else { continue };
            let Some(start) = find(Some(*u)) else { continue };
            self.pairs.1 += 1;
            for z in items[start + 1..at].iter().filter(|z| !self.saw(**z, *x)) {
                let mut ancestor = self.stories[*z].left;
                while let Some(item) = ancestor.filter(|item| item != u) {
                    ancestor = self.stories[item].left;
                }
                let torn = self.stories[*z].dot;
                assert_eq!(ancestor, Some(*u), "N2: {torn:?} is between {u} and {dot:?}");
                assert_ne!(*previous, Some(*u), "N3: {torn:?} tears {u} and {dot:?}");
            }
        }
        let of_run = |run: &Run| {
            let live = || run.values.iter().filter_map(|item| find(Some(*item)));
            Some((live().min()?, live().max()?))
        };
        let runs: Vec<(&Run, (usize, usize))> =
            self.runs.iter().filter(|run| run.place == place).filter_map(|run| Some((run, of_run(run)?))).collect();
        // What a transaction took away again nobody saw.
        let first = |run: &Run| run.values.iter().copied().find(|item| self.stories[*item].dot.is_some());
        let saw = |a: &Run, b: &Run| first(b).is_some_and(|b| self.saw(a.values[a.values.len() - 1], b));
        let mut pairs = 0;
        for (at, (a, (a_first, a_last))) in runs.iter().enumerate() {
            for (b, (b_first, b_last)) in &runs[at + 1..] {
                if !saw(a, b) && !saw(b, a) {
                    pairs += 1;
                    let apart = a_last < b_first || b_last < a_first;
                    assert!(apart, "N1: the runs of {} and {} are interleaved", a.values[0], b.values[0]);
                }
            }
        }
        self.pairs.0 += pairs;
    }

    /// C2: nothing that was ever shown contradicts anything else that was.
    pub(crate) fn check_all_shown(&self) {
        let mut before: BTreeMap<Dot, usize> = BTreeMap::new();
        for (first, second) in &self.shown {
            before.entry(*first).or_default();
            *before.entry(*second).or_default() += 1;
        }
        let mut free: Vec<Dot> = before.iter().filter(|(_, count)| **count == 0).map(|(dot, _)| *dot).collect();
        let mut sorted = 0;
        while let Some(dot) = free.pop() {
            sorted += 1;
            for (_, next) in self.shown.range((dot, Dot::ROOT)..).take_while(|pair| pair.0 == dot) {
                let count = before.get_mut(next).expect("every value shown is counted");
                *count -= 1;
                if *count == 0 {
                    free.push(*next);
                }
            }
        }
        assert_eq!(sorted, before.len(), "C2: two values have swapped");
    }
}
