//! The walk through the forest, in order: how many values come to be where they are read, without comparing them.
//!
//! Children are gathered under what they hang on and sorted among themselves, which are few; then one walk, deep before
//! broad, comes by every value. So laying out a document costs O(values' runs + bunches), where inserting one run after the
//! other costs a descent with comparisons for each.
//!
//! Rules: SEQ-4 the order is that of `Forest::compare`. SEQ-3 the chain of every value is present.

use alloc::vec::Vec;

use super::forest::Forest;
use super::order::{Point, Step};
use super::runs::{NONE, Stretch};
use crate::fault::{self, Fault};
use crate::ordered::{Groups, sort_by};
use crate::replica_id::Origins;

/// Values that are there when a document is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded<'t> {
    /// The rope they go into.
    pub(crate) rope: u32,
    /// The number of their bunch.
    pub(crate) bunch: u32,
    pub(crate) stretch: Stretch,
    /// In the order of dots; empty in a list.
    pub(crate) text: &'t str,
}

/// A bunch that the walk is in.
struct Level {
    child: usize,
    children_end: usize,
    stretch: usize,
    stretches_end: usize,
    /// How many values of the stretch are behind.
    read: u32,
}

impl Forest {
    /// Acquires the values of some stretches, and says in which order they are read: `part` is told the number of a stretch,
    /// and from which place of it how many values come next. The stretches ascend by dot, and no value is in two.
    pub(super) fn walk(&mut self, origins: &Origins, loaded: &[Loaded<'_>], part: &mut dyn FnMut(usize, u32, u32)) {
        for values in loaded {
            self.acquire_nth(values.bunch, values.stretch.len);
        }
        let root = self.node_count();
        let group = |above: u32| if above == NONE { root as u32 } else { above };
        let mut needed = Vec::with_capacity(root);
        // Where each hangs, by number.
        let mut places = Vec::with_capacity(root);
        for number in 0..root as u32 {
            let node = self.nth(number);
            if node.is_needed() {
                needed.push((number, group(node.above)));
            }
            places.push(Step::of(node.bunch.parent.index, Some(node.bunch.side)));
        }
        let mut children = Groups::of(root + 1, &needed);
        for bunch in 0..=root {
            let (start, end) = children.bounds(bunch);
            if end - start > 1 {
                let siblings = &mut children.items[start..end];
                sort_by(siblings, |a, b| {
                    let by_place = places[*a as usize].cmp(&places[*b as usize]);
                    by_place.then_with(|| self.hanging(*a).beside(origins, &self.hanging(*b)))
                });
            }
        }

        // By bunch, and there backward ones first: read from the last to the first, they ascend.
        let mut numbered = Vec::with_capacity(loaded.len());
        for (nth, values) in loaded.iter().enumerate().rev() {
            if values.stretch.backward {
                numbered.push((nth as u32, values.bunch));
            }
        }
        for (nth, values) in loaded.iter().enumerate() {
            if !values.stretch.backward {
                numbered.push((nth as u32, values.bunch));
            }
        }
        let values = Groups::of(root, &numbered);

        let enter = |bunch: usize| {
            let (child, children_end) = children.bounds(bunch);
            let (stretch, stretches_end) = if bunch == root { (0, 0) } else { values.bounds(bunch) };
            Level { child, children_end, stretch, stretches_end, read: 0 }
        };
        let mut levels = alloc::vec![enter(root)];
        while let Some(level) = levels.last_mut() {
            let child = (level.child < level.children_end).then(|| children.items[level.child]);
            if level.stretch < level.stretches_end {
                let nth = values.items[level.stretch] as usize;
                let stretch = &loaded[nth].stretch;
                let child = child.filter(|_| !fault::active(Fault::LaidOutWithoutSides));
                let before = child.map_or(i64::MAX, |child| places[child as usize].indexes_before());
                let more = before.saturating_sub(stretch.read(level.read).index);
                if more > 0 {
                    let more = more.min(i64::from(stretch.len - level.read)) as u32;
                    part(nth, level.read, more);
                    level.read += more;
                    if level.read == stretch.len {
                        (level.stretch, level.read) = (level.stretch + 1, 0);
                    }
                    continue;
                }
            }
            match child {
                Some(child) => {
                    level.child += 1;
                    levels.push(enter(child as usize));
                }
                None => _ = levels.pop(),
            }
        }
    }

    /// Where a bunch hangs.
    fn hanging(&self, number: u32) -> Point {
        let mut point = self.within(number);
        self.lift(&mut point);
        point
    }
}
