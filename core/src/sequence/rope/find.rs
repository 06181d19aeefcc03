//! Finding places: by index in any unit, by position, by run; and reading from a place on.

use alloc::borrow::Cow;
use core::cmp::Ordering;
use core::ops::Range;

use super::super::forest::Forest;
use super::super::order::Point;
use super::super::position::LocalPosition;
use super::super::runs::{NONE, RunId, Runs, Stretch};
use super::leaf::{Leaf, Place};
use super::tree::Tree;
use super::weight::{Unit, Weight};
use super::{Cursor, Rope, turned};
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::replica_id::Origins;

impl Rope {
    /// The value at an index: its run, and which by dot it is there. O(log n).
    pub(crate) fn at(&self, runs: &Runs, index: usize) -> Option<(RunId, u32)> {
        if index >= self.len() {
            return None;
        }
        let (place, _) = self.value_at(index);
        let run = self.tree.leaf(place.leaf).pieces[place.piece].run;
        Some((run, runs.stretch(run).turn(place.offset)))
    }

    /// The dot at an index. O(log n).
    pub(crate) fn dot_at(&self, runs: &Runs, index: usize) -> Option<LocalDot> {
        self.at(runs, index).map(|(run, nth)| runs.stretch(run).dot(nth))
    }

    /// The positions of the values before and at an index, which is not behind the end: what a new value there goes between.
    /// O(log n).
    pub(crate) fn neighbours(&self, runs: &Runs, index: usize) -> (Option<LocalPosition>, Option<LocalPosition>) {
        if self.is_empty() {
            return (None, None);
        }
        let (place, _) = self.gap_at(index);
        (self.position_before(runs, &place), self.position_at(runs, &place))
    }

    /// The index of a live value of this rope. O(log n).
    pub(crate) fn index_of(&self, runs: &Runs, dot: LocalDot) -> Option<usize> {
        let (run, nth) = runs.find(dot)?;
        if runs.get(run).rope != self.number {
            return None;
        }
        let place = self.place_of_run(runs, run);
        let before = self.tree.before(place.leaf).values + place.values;
        Some((before + runs.stretch(run).turn(nth)) as usize)
    }

    /// The index of the first value that is not before a position. O(depth · log n).
    pub(crate) fn index_from(&self, runs: &Runs, forest: &Forest, origins: &Origins, at: LocalPosition) -> usize {
        self.index_from_point(runs, forest, origins, forest.point(at))
    }

    /// The same for any place.
    pub(crate) fn index_from_point(&self, runs: &Runs, forest: &Forest, origins: &Origins, at: Point) -> usize {
        let place = self.place_of(runs, forest, origins, at);
        if place.leaf == NONE {
            return 0;
        }
        (self.tree.before(place.leaf).values + place.values + place.offset) as usize
    }

    /// How much is before an index of any unit, and whether a value begins there: if not, what is before the value that the
    /// index is inside of. `None` beyond the end. O(log n).
    pub(crate) fn find(&self, unit: Unit, index: usize) -> Option<(Weight, bool)> {
        let mut rest = u32::try_from(index).ok().filter(|index| *index <= self.tree.total.get(unit))?;
        let (mut id, mut sum) = (self.tree.root, Weight::default());
        if id == NONE {
            return Some((sum, true));
        }
        for _ in 0..self.tree.height {
            let inner = &self.tree.inner[id as usize];
            let mut slot = 0;
            while rest > inner.weights[slot].get(unit) {
                rest -= inner.weights[slot].get(unit);
                sum = sum.plus(inner.weights[slot]);
                slot += 1;
            }
            id = inner.children[slot];
        }
        let leaf = self.tree.leaf(id);
        if leaf.text.is_empty() {
            return Some((sum.plus(Weight::values(rest)), true));
        }
        let (byte, exact) = match unit {
            Unit::Values => (leaf.byte(&leaf.gap(id, rest)), true),
            Unit::Utf8 => {
                let mut byte = rest as usize;
                while !leaf.text.is_char_boundary(byte) {
                    byte -= 1;
                }
                (byte, byte == rest as usize)
            }
            Unit::Utf16 => leaf.byte_of_utf16(rest),
            Unit::Lines => {
                let (mut feeds, mut begin) = (0, 0);
                for (at, byte) in leaf.text.bytes().enumerate() {
                    if feeds == rest {
                        break;
                    }
                    if byte == b'\n' {
                        (feeds, begin) = (feeds + 1, at + 1);
                    }
                }
                (begin, true)
            }
        };
        Some((sum.plus(leaf.weight_to(byte)), exact))
    }

    /// The text of a part of a run, in the order of its dots. O(runs of a leaf + bytes).
    pub(crate) fn read(&self, runs: &Runs, run: RunId, part: &Stretch) -> Cow<'_, str> {
        let (place, whole) = (self.place_of_run(runs, run), runs.stretch(run));
        let nth = (part.first.bits() - whole.first.bits()) as u32;
        let offset = if whole.backward { whole.len - nth - part.len } else { nth };
        let leaf = self.tree.leaf(place.leaf);
        let start = leaf.byte(&Place { offset, ..place });
        let end = leaf.byte(&Place { offset: offset + part.len, ..place });
        turned(part, &leaf.text[start..end])
    }

    /// The text of the values with indexes in a range, in pieces. O(log n), and O(pieces) to go through.
    pub(crate) fn chunks(&self, range: Range<usize>) -> Chunks<'_> {
        let (end, start) = (range.end.min(self.len()), range.start.min(self.len()));
        let (leaf, before) = self.descend(start as u32, true);
        Chunks { tree: &self.tree, leaf, skip: start as u32 - before, left: end.saturating_sub(start) as u32 }
    }

    /// The values with indexes in a range, in order of reading: runs with the parts of them that are in the range. Of a
    /// backward run the highest dot is read first. O(log n), and O(runs) to go through.
    pub(crate) fn stretches<'r>(&'r self, runs: &'r Runs, range: Range<usize>) -> Stretches<'r> {
        let (end, start) = (range.end.min(self.len()), range.start.min(self.len()));
        let left = end.saturating_sub(start) as u32;
        let (leaf, before) = self.descend(start as u32, left == 0);
        let (piece, skip) = if left == 0 {
            (0, 0)
        } else {
            let place = self.tree.leaf(leaf).walk(Place::start(leaf), start as u32 - before, false);
            (place.piece, place.offset)
        };
        Stretches { tree: &self.tree, runs, leaf, piece, skip, left }
    }

    /// The place before the value at an index or behind the last one, at the end of a run rather than at the start of the
    /// next; and how many values are before its leaf.
    pub(super) fn gap_at(&self, index: usize) -> (Place, u32) {
        debug_assert!(index <= self.len(), "an index is not behind the end");
        let (leaf, before) = self.descend(index as u32, true);
        (self.walk(leaf, index as u32 - before, true), before)
    }

    /// The place of the value at an index, and how many values are before its leaf.
    pub(super) fn value_at(&self, index: usize) -> (Place, u32) {
        debug_assert!(index < self.len(), "an index is before the end");
        let (leaf, before) = self.descend(index as u32, false);
        (self.walk(leaf, index as u32 - before, false), before)
    }

    fn walk(&self, leaf: u32, rest: u32, or_end: bool) -> Place {
        let start = match self.cursor.place {
            place if place.leaf == leaf && place.values <= rest => place,
            _ => Place::start(leaf),
        };
        self.tree.leaf(leaf).walk(start, rest - start.values, or_end)
    }

    /// The leaf that an index is in, and how many values are before it.
    fn descend(&self, index: u32, or_end: bool) -> (u32, u32) {
        let Cursor { place: Place { leaf, .. }, before } = self.cursor;
        if leaf != NONE
            && let Some(rest) = index.checked_sub(before)
            && rest < self.tree.leaf(leaf).weight.values + u32::from(or_end)
        {
            return (leaf, before);
        }
        let (mut id, mut rest) = (self.tree.root, index);
        for _ in 0..self.tree.height {
            let inner = &self.tree.inner[id as usize];
            let mut slot = 0;
            while rest >= inner.weights[slot].values + u32::from(or_end) {
                rest -= inner.weights[slot].values;
                slot += 1;
            }
            id = inner.children[slot];
        }
        (id, index - rest)
    }

    /// Where a run begins, as it is read.
    pub(super) fn place_of_run(&self, runs: &Runs, run: RunId) -> Place {
        let id = runs.get(run).leaf;
        let leaf = self.tree.leaf(id);
        // What was typed last is where the cursor is.
        let near = self.cursor.place;
        if near.leaf == id && leaf.pieces.get(near.piece).is_some_and(|piece| piece.run == run) {
            return near;
        }
        let piece = leaf.pieces.iter().position(|piece| piece.run == run);
        leaf.start(id, piece.expect("a run is one of its leaf's"))
    }

    /// The position of the value at a place.
    pub(super) fn position_at(&self, runs: &Runs, place: &Place) -> Option<LocalPosition> {
        let leaf = self.tree.leaf(place.leaf);
        let (piece, offset) = match leaf.pieces.get(place.piece) {
            Some(piece) if place.offset < piece.len => (piece, place.offset),
            _ => match leaf.pieces.get(place.piece + 1) {
                Some(next) => (next, 0),
                None if leaf.next == NONE => return None,
                None => (&self.tree.leaf(leaf.next).pieces[0], 0),
            },
        };
        Some(runs.stretch(piece.run).read(offset))
    }

    /// The position of the value before a place.
    fn position_before(&self, runs: &Runs, place: &Place) -> Option<LocalPosition> {
        let leaf = self.tree.leaf(place.leaf);
        if place.offset > 0 {
            return Some(runs.stretch(leaf.pieces[place.piece].run).read(place.offset - 1));
        }
        let piece = match place.piece.checked_sub(1) {
            Some(before) => &leaf.pieces[before],
            None if leaf.before == NONE => return None,
            None => self.tree.leaf(leaf.before).pieces.last()?,
        };
        Some(runs.stretch(piece.run).read(piece.len - 1))
    }

    /// Where values go that continue a run which is there, if nothing lies between: found without a descent.
    pub(super) fn continued(
        &self,
        runs: &Runs,
        forest: &Forest,
        origins: &Origins,
        stretch: &Stretch,
    ) -> Option<Place> {
        let (run, _) = runs.find(LocalDot::from_bits(stretch.first.bits() - 1))?;
        let known = runs.get(run);
        let adjoins = if stretch.backward { stretch.adjoins(&known.stretch) } else { known.stretch.adjoins(stretch) };
        if known.rope != self.number || !adjoins {
            return None;
        }
        let mut place = self.place_of_run(runs, run);
        let at = stretch.read(0);
        let is_between = if stretch.backward {
            let before = self.position_before(runs, &place);
            before.is_none_or(|before| forest.compare(origins, before, at) == Ordering::Less)
        } else {
            place.offset = known.stretch.len;
            let next = self.position_at(runs, &place);
            next.is_none_or(|next| at.index < forest.indexes_before(at.bunch, next))
        };
        is_between.then_some(place)
    }

    /// The place of the first value that is not before a place of the order.
    pub(super) fn place_of(&self, runs: &Runs, forest: &Forest, origins: &Origins, point: Point) -> Place {
        let mut id = self.tree.root;
        if id == NONE {
            return Place::start(NONE);
        }
        let is_before = |run: RunId| forest.is_before(origins, runs.stretch(run).read(0), point);
        for level in (0..self.tree.height).rev() {
            let children = self.tree.inner[id as usize].children();
            let first = |child: u32| self.tree.leaf(self.tree.first_leaf(level, child)).pieces[0].run;
            let after = children[1..].partition_point(|child| is_before(first(*child)));
            id = children[after];
        }
        let leaf = self.tree.leaf(id);
        let after = leaf.pieces.partition_point(|piece| is_before(piece.run));
        let Some(piece) = after.checked_sub(1) else { return leaf.start(id, 0) };
        let stretch = runs.stretch(leaf.pieces[piece].run);
        let indexes = forest.indexes_before_point(stretch.bunch(), point).saturating_sub(stretch.read(0).index);
        Place { offset: indexes.clamp(1, i64::from(stretch.len)) as u32, ..leaf.start(id, piece) }
    }
}

impl Leaf {
    /// The byte at a code unit, or where the value begins that the unit is inside of.
    fn byte_of_utf16(&self, units: u32) -> (usize, bool) {
        if self.weight.utf16 == self.weight.utf8 {
            return (units as usize, true);
        }
        let mut rest = units as usize;
        for (at, scalar) in self.text.char_indices() {
            if rest < scalar.len_utf16() {
                return (at, rest == 0 || fault::active(Fault::HalfPairsPass));
            }
            rest -= scalar.len_utf16();
        }
        (self.text.len(), true)
    }

    /// How much text is before a byte of it.
    fn weight_to(&self, byte: usize) -> Weight {
        if byte > self.text.len() / 2 {
            self.weight.minus(Weight::of(&self.text[byte..]))
        } else {
            Weight::of(&self.text[..byte])
        }
    }
}

/// The text of a range, leaf by leaf.
#[derive(Clone)]
pub(crate) struct Chunks<'r> {
    tree: &'r Tree,
    leaf: u32,
    /// How many values of the leaf are before the range.
    skip: u32,
    left: u32,
}

impl<'r> Iterator for Chunks<'r> {
    type Item = &'r str;

    fn next(&mut self) -> Option<&'r str> {
        while self.left > 0 {
            let leaf = self.tree.leaf(self.leaf);
            let here = (leaf.weight.values - self.skip).min(self.left);
            let start = leaf.byte(&leaf.gap(self.leaf, self.skip));
            let end = leaf.byte(&leaf.gap(self.leaf, self.skip + here));
            (self.leaf, self.skip, self.left) = (leaf.next, 0, self.left - here);
            if here > 0 {
                return Some(&leaf.text[start..end]);
            }
        }
        None
    }
}

/// The runs of a range, in order of reading.
#[derive(Clone)]
pub(crate) struct Stretches<'r> {
    tree: &'r Tree,
    runs: &'r Runs,
    leaf: u32,
    piece: usize,
    skip: u32,
    left: u32,
}

impl Iterator for Stretches<'_> {
    type Item = (RunId, Stretch);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.piece == self.tree.leaf(self.leaf).pieces.len() {
            (self.leaf, self.piece) = (self.tree.leaf(self.leaf).next, 0);
        }
        let piece = &self.tree.leaf(self.leaf).pieces[self.piece];
        let more = (piece.len - self.skip).min(self.left);
        let stretch = self.runs.stretch(piece.run).read_part(self.skip, more);
        (self.piece, self.skip, self.left) = (self.piece + 1, 0, self.left - more);
        Some((piece.run, stretch))
    }
}
