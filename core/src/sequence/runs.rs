//! Runs: what one replica wrote in one go into one bunch, one after the other, as far as it lives and nothing lies between.
//!
//! Live values exist as runs only. A [`Stretch`] names consecutive dots of one bunch and container; a [`Run`] is a stretch
//! that lies in one leaf of one rope, and [`Runs`] finds it by any of its dots. The k-th value of a stretch has the dot
//! `first + k`. Read, a forward run goes with its dots and a backward run against them, so both ascend by index.
//!
//! Rules: SEQ-1 a value's index is the distance of its dot from the bunch's, so that nothing but the dots is held.
//! Not here: where in its leaf a run lies, and the text ([`super::rope`]).

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::position::LocalPosition;
use super::walk::Loaded;
use crate::clock::{Dot, LocalDot};
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::replica_id::Origin;
use crate::store::LocalContainer;

/// No run, no leaf, no node.
pub(super) const NONE: u32 = u32::MAX;

/// The number of a run inside one document. Whatever comes or goes may cut a run in two or make two one, so a number is only
/// good until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunId(pub(super) u32);

/// Values with consecutive dots at consecutive indexes of one bunch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The lowest dot.
    pub(crate) first: LocalDot,
    /// How many values; never 0 but in what `Runs` holds free.
    pub(crate) len: u32,
    /// Whether the indexes fall while the dots rise.
    pub(crate) backward: bool,
    /// The bunch, which is of the same replica (SEQ-2).
    pub(crate) bunch: u64,
    /// The incarnation that the values live and die with.
    pub(crate) container: LocalContainer,
}

impl Stretch {
    /// The bunch by its whole name.
    pub(crate) fn bunch(&self) -> LocalDot {
        LocalDot::new(self.first.origin(), self.bunch)
    }

    /// The dot of the `nth` value.
    pub(crate) fn dot(&self, nth: u32) -> LocalDot {
        LocalDot::from_bits(self.first.bits() + u64::from(nth))
    }

    /// The highest dot.
    pub(crate) fn last(&self) -> LocalDot {
        self.dot(self.len - 1)
    }

    /// The position of the `nth` value.
    pub(crate) fn position(&self, nth: u32) -> LocalPosition {
        let distance = (self.first.seq() - self.bunch + u64::from(nth)) as i64;
        LocalPosition { bunch: self.bunch(), index: if self.backward { -distance } else { distance } }
    }

    /// Which value is read at a place, and at which place a value is read.
    pub(crate) fn turn(&self, nth: u32) -> u32 {
        if self.backward { self.len - 1 - nth } else { nth }
    }

    /// The position of the value that is read at a place.
    pub(crate) fn read(&self, place: u32) -> LocalPosition {
        self.position(self.turn(place))
    }

    /// `more` of its values, from the `nth` on.
    pub(crate) fn part(&self, nth: u32, more: u32) -> Self {
        Self { first: self.dot(nth), len: more, ..*self }
    }

    /// The part that is read from one place on.
    pub(crate) fn read_part(&self, from: u32, more: u32) -> Self {
        self.part(if self.backward { self.len - from - more } else { from }, more)
    }

    /// Whether the dots of `next` follow those of this one, so that both can be told as one.
    pub(crate) fn goes_on_in(&self, next: &Self) -> bool {
        self.first.bits() + u64::from(self.len) == next.first.bits()
            && (self.bunch == next.bunch || fault::active(Fault::RunsJoinAcrossBunches))
            && self.backward == next.backward
            && (self.container == next.container || fault::active(Fault::RunsJoinAcrossIncarnations))
    }

    /// Whether `next` goes on where this ends, read, so that both can be one.
    pub(super) fn adjoins(&self, next: &Self) -> bool {
        let (low, high) = if self.backward { (next, self) } else { (self, next) };
        low.goes_on_in(high)
    }
}

/// A stretch that lies in one leaf.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) stretch: Stretch,
    /// The number of its rope.
    pub(crate) rope: u32,
    /// The leaf in that rope; of a free run, the next free one.
    pub(super) leaf: u32,
}

/// Every live value of the lists and texts of one document, by dot.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    slab: Vec<Run>,
    free: u32,
    /// By first dot.
    index: Map<LocalDot, u32>,
}

impl Default for Runs {
    fn default() -> Self {
        Self { slab: Vec::new(), free: NONE, index: Map::new() }
    }
}

impl Runs {
    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn get(&self, id: RunId) -> &Run {
        &self.slab[id.0 as usize]
    }

    /// The stretch of a run.
    pub(crate) fn stretch(&self, id: RunId) -> &Stretch {
        &self.get(id).stretch
    }

    /// The run that a live value is in, and which of its values it is. O(log runs).
    pub(crate) fn find(&self, dot: LocalDot) -> Option<(RunId, u32)> {
        // Whoever types looks for the last dot.
        let id = match self.index.iter().next_back() {
            Some((first, id)) if *first <= dot => *id,
            _ => *self.index.range(..=dot).next_back()?.1,
        };
        let stretch = &self.slab[id as usize].stretch;
        let nth = dot.bits() - stretch.first.bits();
        (nth < u64::from(stretch.len)).then_some((RunId(id), nth as u32))
    }

    /// The live values of `origin` in a range of sequence numbers, ascending: runs with the parts of them that are in the
    /// range. Neighbours may go on where the one before ends. O(log runs + found).
    pub(crate) fn range(
        &self,
        origin: Origin,
        seqs: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (RunId, Stretch)> + '_ {
        let (start, end) = (*seqs.start(), (*seqs.end()).min(Dot::MAX_SEQ));
        let (first, last) = (LocalDot::new(origin, start.min(end)), LocalDot::new(origin, end));
        let within = self.find(first).filter(|_| !fault::active(Fault::RangeForgetsCutRuns));
        let from = within.map_or(first, |(id, _)| self.stretch(id).first);
        let found = self.index.range(from..=last).filter(move |_| start <= end);
        found.map(move |(_, id)| {
            let stretch = &self.slab[*id as usize].stretch;
            let skip = first.bits().saturating_sub(stretch.first.bits()) as u32;
            if fault::active(Fault::RangeTakesWholeRuns) {
                return (RunId(*id), *stretch);
            }
            let end = stretch.last().min(last).bits() - stretch.first.bits() + 1;
            (RunId(*id), stretch.part(skip, end as u32 - skip))
        })
    }

    pub(super) fn add(&mut self, stretch: Stretch, rope: u32, leaf: u32) -> RunId {
        let run = Run { stretch, rope, leaf };
        let id = if self.free == NONE {
            if self.slab.len() == self.slab.capacity() {
                // Not twice as many: there are a lot of them, and what is free is given again.
                self.slab.reserve_exact(self.slab.len() / 4 + 1);
            }
            self.slab.push(run);
            self.slab.len() as u32 - 1
        } else {
            let id = self.free;
            self.free = core::mem::replace(&mut self.slab[id as usize], run).leaf;
            id
        };
        let is_new = self.index.insert_new(stretch.first, id);
        debug_assert!(is_new, "DOT-1: a dot is inserted once");
        RunId(id)
    }

    /// Makes room for so many runs.
    pub(super) fn reserve(&mut self, runs: usize) {
        self.slab.reserve_exact(runs);
    }

    /// Adds a run that is not yet found by its dots: [`Self::index_all`] follows.
    pub(super) fn push(&mut self, stretch: Stretch, rope: u32, leaf: u32) -> RunId {
        self.slab.push(Run { stretch, rope, leaf });
        RunId(self.slab.len() as u32 - 1)
    }

    /// Makes a run longer by what follows it, if it adjoins. The run is not yet found by its dots.
    pub(super) fn extend(&mut self, id: RunId, next: &Stretch) -> bool {
        let stretch = &mut self.slab[id.0 as usize].stretch;
        let adjoins = stretch.adjoins(next);
        if adjoins {
            stretch.len += next.len;
            stretch.first = stretch.first.min(next.first);
        }
        adjoins
    }

    /// Has all runs found by their dots that were pushed: the parts of these stretches, which ascend by dot.
    pub(super) fn index_all(&mut self, stretches: &[Loaded<'_>], parts: &Parts) {
        let mut of_one = Vec::new();
        for (nth, last) in parts.last.iter().enumerate() {
            let mut at = *last;
            while at != NONE {
                let (run, before) = parts.runs[at as usize];
                if before == NONE && of_one.is_empty() {
                    // Most are whole.
                    self.index.append(self.slab[run as usize].stretch.first, run);
                } else {
                    of_one.push(run);
                }
                at = before;
            }
            if of_one.is_empty() {
                continue;
            }
            // Backward, the one that is read last has the lowest dots.
            if !stretches[nth].stretch.backward {
                of_one.reverse();
            }
            for run in &of_one {
                self.index.append(self.slab[*run as usize].stretch.first, *run);
            }
            of_one.clear();
        }
    }

    pub(super) fn set_leaf(&mut self, id: RunId, leaf: u32) {
        self.slab[id.0 as usize].leaf = leaf;
    }

    /// Makes a forward run longer by what continues it, if it does. Says whether it did.
    pub(super) fn type_on(&mut self, id: RunId, next: &Stretch) -> bool {
        let stretch = &mut self.slab[id.0 as usize].stretch;
        let continues = !stretch.backward && stretch.adjoins(next);
        if continues {
            stretch.len += next.len;
        }
        continues
    }

    /// Makes a run longer by a stretch that adjoins it, on either side.
    pub(super) fn grow(&mut self, id: RunId, by: &Stretch) {
        let stretch = &mut self.slab[id.0 as usize].stretch;
        stretch.len += by.len;
        let old = stretch.first;
        if by.first < old {
            stretch.first = by.first;
            self.index.rename(&old, by.first);
        }
    }

    /// Two runs that adjoin, one.
    pub(super) fn join(&mut self, a: RunId, b: RunId) -> RunId {
        let (low, high) = if self.stretch(a).first < self.stretch(b).first { (a, b) } else { (b, a) };
        let by = *self.stretch(high);
        self.remove(high);
        self.grow(low, &by);
        low
    }

    /// Takes `more` values out of a run, from the `nth` on. What is left of it with lower and with higher dots; all of it
    /// stays in its leaf.
    pub(super) fn cut(&mut self, id: RunId, nth: u32, more: u32) -> (Option<RunId>, Option<RunId>) {
        let Run { stretch, rope, leaf } = *self.get(id);
        let end = nth + more;
        let rest = stretch.len - end;
        if nth > 0 {
            self.slab[id.0 as usize].stretch.len = nth;
            let high = (rest > 0 && !fault::active(Fault::CutRunLosesTail))
                .then(|| self.add(stretch.part(end, rest), rope, leaf));
            return (Some(id), high);
        }
        if rest == 0 {
            self.remove(id);
            return (None, None);
        }
        let left = stretch.part(end, rest);
        self.slab[id.0 as usize].stretch = left;
        self.index.rename(&stretch.first, left.first);
        (None, Some(id))
    }

    pub(super) fn remove(&mut self, id: RunId) {
        let run = &mut self.slab[id.0 as usize];
        self.index.remove(&run.stretch.first);
        (run.stretch.len, run.leaf) = (0, self.free);
        self.free = id.0;
        if self.index.is_empty() {
            *self = Self::default();
        }
    }
}

/// Which runs the parts of some stretches have become, in the order in which they are read. What goes on where another part
/// ends has become a part of that one's run.
pub(super) struct Parts {
    /// Each with the place of the one before it that is of the same stretch.
    runs: Vec<(u32, u32)>,
    /// The place of the last one, by stretch.
    last: Vec<u32>,
}

impl Parts {
    pub(super) fn of(stretches: usize, most: usize) -> Self {
        Self { runs: Vec::with_capacity(most), last: alloc::vec![NONE; stretches] }
    }

    /// Adds the run of the next part.
    pub(super) fn add(&mut self, stretch: usize, run: u32) {
        let before = core::mem::replace(&mut self.last[stretch], self.runs.len() as u32);
        self.runs.push((run, before));
    }
}

#[cfg(test)]
impl Runs {
    /// That every run is known by its first dot, that none overlap, and that nothing is lost.
    pub(super) fn check(&self) {
        let mut end = LocalDot::ROOT;
        for (first, id) in self.index.iter() {
            let stretch = &self.slab[*id as usize].stretch;
            assert!(stretch.first == *first && stretch.len > 0 && end <= *first);
            end = LocalDot::from_bits(stretch.last().bits() + 1);
        }
        let (mut free, mut count) = (self.free, 0);
        while free != NONE {
            assert_eq!(self.slab[free as usize].stretch.len, 0);
            (free, count) = (self.slab[free as usize].leaf, count + 1);
        }
        assert_eq!(self.slab.len(), self.index.len() + count);
    }
}
