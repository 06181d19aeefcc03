//! What a rope must be, as plainly as it can be said: its values in a sorted list. For the tests and for the fuzz harness.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::super::forest::Forest;
use super::super::position::LocalPosition;
use super::super::runs::{Runs, Stretch};
use super::{Rope, Span, Unit, Weight};
use crate::replica_id::Origins;

/// One value as the list knows it: a stretch of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) stretch: Stretch,
    pub(crate) scalar: char,
}

/// The values of a rope in order.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) values: Vec<Known>,
    pub(crate) is_text: bool,
}

impl Expected {
    pub(crate) const fn new(is_text: bool) -> Self {
        Self { values: Vec::new(), is_text }
    }

    /// Where a position is.
    pub(crate) fn place(&self, forest: &Forest, origins: &Origins, at: LocalPosition) -> usize {
        let position = |known: &Known| known.stretch.position(0);
        self.values.partition_point(|known| forest.compare(origins, position(known), at) == Ordering::Less)
    }

    pub(crate) fn text_of(&self, known: &[Known]) -> String {
        if self.is_text { known.iter().map(|known| known.scalar).collect() } else { String::new() }
    }

    fn weight(&self, known: &[Known]) -> Weight {
        let values = known.len() as u32;
        if !self.is_text {
            return Weight::values(values);
        }
        let sum = |of: fn(char) -> usize| known.iter().map(|known| of(known.scalar)).sum::<usize>() as u32;
        let lines = sum(|scalar| usize::from(scalar == '\n'));
        Weight { values, utf8: sum(char::len_utf8), utf16: sum(char::len_utf16), lines }
    }

    /// What the rope took out, and what it said of that.
    pub(crate) fn take(&mut self, span: Span, text: &str) {
        let stretch = span.stretch;
        let mut gone: Vec<Known> = self.values.drain(span.index..span.index + stretch.len as usize).collect();
        if stretch.backward {
            gone.reverse();
        }
        for (nth, gone) in (0..).zip(&gone) {
            assert_eq!(gone.stretch, stretch.part(nth, 1));
        }
        assert_eq!(text, self.text_of(&gone), "in the order of dots");
    }

    /// That everything in the rope is as here.
    pub(crate) fn check(&self, rope: &Rope, runs: &Runs) {
        let len = self.values.len();
        let total = self.weight(&self.values);
        assert_eq!((rope.len(), rope.is_empty(), rope.weight()), (len, len == 0, total));
        let read = rope.stretches(runs, 0..len).flat_map(|(_, stretch)| single(stretch));
        assert!(read.eq(self.values.iter().map(|known| known.stretch)), "the values in order");
        assert!(rope.chunks(0..len).collect::<String>() == self.text_of(&self.values), "the text in order");
        for (index, known) in self.values.iter().enumerate() {
            assert_eq!(rope.dot_at(runs, index), Some(known.stretch.first));
            assert_eq!(rope.index_of(runs, known.stretch.first), Some(index));
        }
        assert_eq!(rope.dot_at(runs, len), None);
        for unit in [Unit::Values, Unit::Utf8, Unit::Utf16, Unit::Lines] {
            assert_eq!(rope.find(unit, total.get(unit) as usize + 1), None, "beyond the end");
        }
    }

    /// Conversions at an index, and reading from one to another.
    pub(crate) fn check_at(
        &self,
        rope: &Rope,
        runs: &Runs,
        forest: &Forest,
        origins: &Origins,
        (index, end): (usize, usize),
    ) {
        let (before, after) = self.values.split_at(index);
        let weight = self.weight(before);
        let at = |known: Option<&Known>| known.map(|known| known.stretch.position(0));
        assert_eq!(rope.neighbours(runs, index), (at(before.last()), at(after.first())));
        assert_eq!(rope.find(Unit::Values, index), Some((weight, true)));
        if let Some(next) = after.first() {
            assert_eq!(rope.index_from(runs, forest, origins, next.stretch.position(0)), index);
        }
        if self.is_text {
            assert_eq!(rope.find(Unit::Utf8, weight.utf8 as usize), Some((weight, true)));
            assert_eq!(rope.find(Unit::Utf16, weight.utf16 as usize), Some((weight, true)));
            if let Some(next) = after.first() {
                for inside in 1..next.scalar.len_utf8() {
                    assert_eq!(rope.find(Unit::Utf8, weight.utf8 as usize + inside), Some((weight, false)));
                }
                for inside in 1..next.scalar.len_utf16() {
                    assert_eq!(rope.find(Unit::Utf16, weight.utf16 as usize + inside), Some((weight, false)));
                }
            }
            let feed = before.iter().rposition(|known| known.scalar == '\n');
            let line = self.weight(&before[..feed.map_or(0, |feed| feed + 1)]);
            assert_eq!(rope.find(Unit::Lines, weight.lines as usize), Some((line, true)));
        }
        let (start, end) = (index.min(end), index.max(end));
        assert_eq!(rope.chunks(start..end).collect::<String>(), self.text_of(&self.values[start..end]));
        let read = rope.stretches(runs, start..end).flat_map(|(_, stretch)| single(stretch));
        assert!(read.eq(self.values[start..end].iter().map(|known| known.stretch)), "the values of a part");
    }
}

/// The values of a stretch in the order of reading.
fn single(stretch: Stretch) -> impl Iterator<Item = Stretch> {
    (0..stretch.len).map(move |place| stretch.read_part(place, 1))
}
