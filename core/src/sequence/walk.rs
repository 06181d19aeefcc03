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
    child: u32,
    children_end: u32,
    /// The number of the stretch that is read, or [`NONE`].
    stretch: u32,
    /// How many values of the stretch are behind.
    read: u32,
}

impl Forest {
    /// Acquires the values of some stretches, and says in which order they are read: `part` is told the number of a stretch,
    /// and from which place of it how many values come next. The stretches ascend by dot, and no value is in two.
    pub(super) fn walk(&mut self, origins: &Origins, loaded: &[Loaded<'_>], mut part: impl FnMut(usize, u32, u32)) {
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

        // The first in each bunch, and the next in the same: backward ones first, from the last to the first.
        let (mut first, mut next) = (alloc::vec![NONE; root + 1], alloc::vec![NONE; loaded.len()]);
        let mut prepend = |nth: usize, values: &Loaded<'_>| {
            next[nth] = core::mem::replace(&mut first[values.bunch as usize], nth as u32);
        };
        for (nth, values) in loaded.iter().enumerate().rev() {
            if !values.stretch.backward {
                prepend(nth, values);
            }
        }
        for (nth, values) in loaded.iter().enumerate() {
            if values.stretch.backward {
                prepend(nth, values);
            }
        }

        let enter = |bunch: usize| {
            let (child, children_end) = children.bounds(bunch);
            Level { child: child as u32, children_end: children_end as u32, stretch: first[bunch], read: 0 }
        };
        let (mut above, mut level) = (Vec::new(), enter(root));
        loop {
            let child = (level.child < level.children_end).then(|| children.items[level.child as usize]);
            if level.stretch != NONE {
                let nth = level.stretch as usize;
                let stretch = &loaded[nth].stretch;
                let child = child.filter(|_| !fault::active(Fault::LaidOutWithoutSides));
                let before = child.map_or(i64::MAX, |child| places[child as usize].indexes_before());
                let more = before.saturating_sub(stretch.read(level.read).index);
                if more > 0 {
                    let more = more.min(i64::from(stretch.len - level.read)) as u32;
                    part(nth, level.read, more);
                    level.read += more;
                    if level.read == stretch.len {
                        (level.stretch, level.read) = (next[nth], 0);
                    }
                    continue;
                }
            }
            if let Some(child) = child {
                level.child += 1;
                above.push(level);
                level = enter(child as usize);
            } else if let Some(back) = above.pop() {
                level = back;
            } else {
                return;
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
