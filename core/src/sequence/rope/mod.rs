//! The rope of one list or text: its runs in order, and of a text what is written.
//!
//! A B-tree with order statistics ([`tree`]). A [`leaf`] holds some runs and their text in one piece, in the order in which
//! it is read; the values of a list have no text, so that a thousand elements appended by one replica are one run. A place
//! is found by position, by index in any unit ([`weight`], [`find`]), and by dot through [`Runs`], which knows the leaf of
//! each run: from there it is counted upwards. What a replica loads is laid out without a comparison (`build`).
//!
//! Text comes and goes in the order of its dots, as it is exchanged; only what is read out is in the order of reading.
//!
//! Rules: SEQ-4 a rope equals its values sorted by `Forest::compare`. SEQ-3 is the caller's: the chain of every position in
//! the rope is in the forest.
//! Not here: how positions are compared ([`super::order`]), and where new values go ([`super::place`]).

mod build;
#[cfg(any(test, feature = "testing"))]
mod expected;
mod find;
mod leaf;
#[cfg(test)]
mod tests;
mod tree;
mod weight;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::forest::Forest;
use super::runs::{NONE, RunId, Runs, Stretch};
use crate::fault::{self, Fault};
use crate::replica_id::Origins;
pub(crate) use build::{Ropes, lay_out};
#[cfg(any(test, feature = "testing"))]
pub(crate) use expected::{Expected, Known};
pub(crate) use find::Stretches;
use leaf::{Leaf, Piece, Place, byte_of};
use tree::Tree;
pub(crate) use weight::{Unit, Weight};

/// The values of one list or text, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    /// What `Run::rope` says of its runs.
    number: u32,
    tree: Tree,
    cursor: Cursor,
}

/// Where the last edit was, since the next one is likely there.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The start of a run at or before it; in no leaf if that is not known.
    place: Place,
    /// How many values are before its leaf.
    before: u32,
}

impl Cursor {
    const NOWHERE: Self = Self::leaf(NONE, 0);

    /// The start of a leaf.
    const fn leaf(leaf: u32, before: u32) -> Self {
        Self { place: Place::start(leaf), before }
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::NOWHERE
    }
}

/// Values that follow one another in a rope: where new ones came to be, or where those taken out were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The index of the first that is read.
    pub(crate) index: usize,
    pub(crate) stretch: Stretch,
}

impl Rope {
    /// Text inserted at once.
    const MOST_BYTES_AT_ONCE: usize = Leaf::MOST_BYTES / 2;

    /// An empty rope. Its runs will say that they are in the rope of this number.
    pub(crate) fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// How many values there are. O(1).
    pub(crate) fn len(&self) -> usize {
        self.tree.total.values as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much there is, in every unit. O(1).
    pub(crate) fn weight(&self) -> Weight {
        self.tree.total
    }

    /// Puts new values at an index, which is not behind the end, where they follow one another. The caller knows by `Forest::place` that their positions
    /// are there. `text` is in the order of dots and empty in a list. O(log n + bytes).
    pub(crate) fn insert_at(&mut self, runs: &mut Runs, index: usize, stretch: Stretch, text: &str) {
        let text = turned(&stretch, text);
        let (place, before) = if self.is_empty() { (self.plant(), 0) } else { self.gap_at(index) };
        self.cursor = Cursor::leaf(place.leaf, before);
        self.put(runs, place, stretch, &text);
    }

    /// Puts new values where their positions are, and says where that is: in one piece, unless values that are there lie
    /// between them. None of the dots is in the rope. `text` is in the order of dots and empty in a list.
    ///
    /// O(depth · log n + bytes) a piece; O(log n + depth + bytes) when they go on where a run ends.
    pub(crate) fn insert(
        &mut self,
        runs: &mut Runs,
        forest: &Forest,
        origins: &Origins,
        stretch: Stretch,
        text: &str,
        told: &mut Vec<Span>,
    ) {
        let text = turned(&stretch, text);
        let (mut rest, mut from) = (&*text, 0);
        while from < stretch.len {
            let at = stretch.read(from);
            let mut place = match self.continued(runs, forest, origins, &stretch.read_part(from, stretch.len - from)) {
                Some(place) => place,
                None => self.place_of(runs, forest, origins, forest.point(at)),
            };
            let mut more = stretch.len - from;
            if place.leaf == NONE {
                place = self.plant();
            } else if more > 1
                && !fault::active(Fault::SpanInOnePiece)
                && let Some(next) = self.position_at(runs, &place)
            {
                let before = forest.indexes_before(at.bunch, next).saturating_sub(at.index);
                more = before.clamp(1, i64::from(more)) as u32;
            }
            let bytes = if rest.is_empty() { 0 } else { byte_of(rest, more as usize) };
            let part = stretch.read_part(from, more);
            let before = self.tree.before(place.leaf).values;
            self.cursor = Cursor::leaf(place.leaf, before);
            told.push(Span { index: (before + place.values + place.offset) as usize, stretch: part });
            self.put(runs, place, part, &rest[..bytes]);
            (from, rest) = (from + more, &rest[bytes..]);
        }
    }

    /// Takes `more` values of a run out, from the `nth` by dot on, and appends their text to `text`, in the order of dots.
    /// O(log n + bytes).
    pub(crate) fn remove(&mut self, runs: &mut Runs, run: RunId, nth: u32, more: u32, text: &mut String) -> Span {
        let mut place = self.place_of_run(runs, run);
        let stretch = runs.stretch(run);
        let falls = stretch.backward && !fault::active(Fault::RemovesWrongHalf);
        place.offset = if falls { stretch.len - nth - more } else { nth };
        let before = match self.cursor {
            Cursor { place: Place { leaf, .. }, before } if leaf == place.leaf => before,
            _ => self.tree.before(place.leaf).values,
        };
        self.cursor = Cursor::leaf(place.leaf, before);
        self.take(runs, place, more, text)
    }

    /// Takes out values from an index on: those of one run, and no more than `most`. Their text is appended to `text`, in the
    /// order of dots. `None` when there is no value at the index. O(log n + bytes).
    pub(crate) fn remove_at(&mut self, runs: &mut Runs, index: usize, most: usize, text: &mut String) -> Option<Span> {
        if index >= self.len() || most == 0 {
            return None;
        }
        let (place, before) = self.value_at(index);
        self.cursor = Cursor::leaf(place.leaf, before);
        let more = (self.tree.leaf(place.leaf).pieces[place.piece].len - place.offset).min(most.min(self.len()) as u32);
        Some(self.take(runs, place, more, text))
    }

    /// Takes out everything, and tells nothing of it. O(runs · log runs of the document).
    pub(crate) fn clear(&mut self, runs: &mut Runs) {
        for leaf in &self.tree.leaves {
            for piece in &leaf.pieces {
                runs.remove(piece.run);
            }
        }
        *self = Self::new(self.number);
    }

    /// The first leaf of a rope that has none.
    fn plant(&mut self) -> Place {
        Place::start(self.tree.plant())
    }

    /// Has the cursor begin at the run before a place where something is to change: what is before that stays.
    fn aim(&mut self, place: &Place) {
        self.cursor.place = Place { offset: 0, ..*place };
        if place.offset == 0
            && let Some(piece) = place.piece.checked_sub(1)
        {
            let before = &self.tree.leaf(place.leaf).pieces[piece];
            let (values, bytes) = (place.values - before.len, place.bytes - before.bytes);
            self.cursor.place = Place { piece, values, bytes, ..*place };
        }
    }

    /// Puts values, with their text as it is read, at a place in the leaf of the cursor.
    fn put(&mut self, runs: &mut Runs, place: Place, stretch: Stretch, text: &str) {
        if text.len() <= Self::MOST_BYTES_AT_ONCE {
            return self.put_piece(runs, place, stretch, text);
        }
        let (mut place, mut rest, mut from) = (place, text, 0);
        let mut index = self.cursor.before + place.values + place.offset;
        loop {
            let mut bytes = rest.len().min(Self::MOST_BYTES_AT_ONCE);
            while !rest.is_char_boundary(bytes) {
                bytes -= 1;
            }
            let (chunk, after) = rest.split_at(bytes);
            let more = Weight::of(chunk).values;
            self.put_piece(runs, place, stretch.read_part(from, more), chunk);
            (rest, from, index) = (after, from + more, index + more);
            if rest.is_empty() {
                return;
            }
            let before;
            (place, before) = self.gap_at(index as usize);
            self.cursor = Cursor::leaf(place.leaf, before);
        }
    }

    fn put_piece(&mut self, runs: &mut Runs, place: Place, stretch: Stretch, text: &str) {
        if self.type_on(runs, &place, &stretch, text) {
            return;
        }
        let mut place = place;
        while !self.has_room(runs, &place, &stretch, text.len()) {
            place = self.make_room(runs, &place, text.len());
        }
        self.aim(&place);
        let weight = if text.is_empty() { Weight::values(stretch.len) } else { Weight::of(text) };
        debug_assert!(weight.values == stretch.len, "a value is a scalar");
        let byte = self.tree.leaf(place.leaf).byte(&place);
        let at = self.tree.divide(runs, &place);
        let leaf = self.tree.leaf_mut(place.leaf);
        leaf.insert_text(byte, text);
        let grow = |runs: &mut Runs, piece: &mut Piece| {
            runs.grow(piece.run, &stretch);
            piece.len += weight.values;
            piece.bytes += weight.utf8;
        };
        if at > 0 && runs.stretch(leaf.pieces[at - 1].run).adjoins(&stretch) {
            grow(runs, &mut leaf.pieces[at - 1]);
            self.tree.join(runs, place.leaf, at - 1);
        } else if let Some(next) = leaf.pieces.get_mut(at)
            && stretch.adjoins(runs.stretch(next.run))
        {
            grow(runs, next);
        } else {
            let run = runs.add(stretch, self.number, place.leaf);
            leaf.insert_piece(at, Piece { run, len: weight.values, bytes: weight.utf8 });
        }
        self.tree.add(place.leaf, weight);
    }

    /// Puts values behind a run that they continue, which is what happens most. Says whether it did.
    fn type_on(&mut self, runs: &mut Runs, place: &Place, stretch: &Stretch, text: &str) -> bool {
        let leaf = self.tree.leaf_mut(place.leaf);
        let Some(piece) = leaf.pieces.get_mut(place.piece) else { return false };
        let fits = place.offset == piece.len && leaf.text.len() + text.len() <= Leaf::MOST_BYTES;
        if !fits || !runs.type_on(piece.run, stretch) {
            return false;
        }
        let weight = if text.is_empty() { Weight::values(stretch.len) } else { Weight::of(text) };
        let byte = (place.bytes + piece.bytes) as usize;
        piece.len += weight.values;
        piece.bytes += weight.utf8;
        leaf.insert_text(byte, text);
        self.cursor.place = Place { offset: 0, ..*place };
        self.tree.join(runs, place.leaf, place.piece);
        self.tree.add(place.leaf, weight);
        true
    }

    fn has_room(&self, runs: &Runs, place: &Place, stretch: &Stretch, bytes: usize) -> bool {
        let leaf = self.tree.leaf(place.leaf);
        if leaf.takes(bytes) {
            return true;
        }
        let (left, right) = leaf.around(place);
        let continues = left.is_some_and(|left| runs.stretch(left.run).adjoins(stretch))
            || right.is_some_and(|right| stretch.adjoins(runs.stretch(right.run)));
        continues && leaf.text.len() + bytes <= Leaf::MOST_BYTES
    }

    /// The same place, in a leaf with more room.
    fn make_room(&mut self, runs: &mut Runs, place: &Place, bytes: usize) -> Place {
        let (id, rest) = (place.leaf, place.values + place.offset);
        let leaf = self.tree.leaf(id);
        if rest == leaf.weight.values {
            // Whoever appends goes on appending: then the full leaf stays full.
            let has_room = leaf.next != NONE && self.tree.leaf(leaf.next).takes(bytes);
            let next = if has_room { leaf.next } else { self.tree.insert_after(id, Leaf::new()) };
            self.cursor = Cursor::leaf(next, self.cursor.before + rest);
            return Place::start(next);
        }
        if rest > 0 && bytes >= Self::MOST_BYTES_AT_ONCE / 2 {
            self.tree.split(runs, place);
        } else {
            self.tree.halve(runs, id);
        }
        let left = self.tree.leaf(id);
        if rest <= left.weight.values {
            return left.gap(id, rest);
        }
        let (id, rest) = (left.next, rest - left.weight.values);
        self.cursor = Cursor::leaf(id, self.cursor.before + left.weight.values);
        self.tree.leaf(id).gap(id, rest)
    }

    /// Takes out values of one run, in the leaf of the cursor.
    fn take(&mut self, runs: &mut Runs, place: Place, more: u32, text: &mut String) -> Span {
        self.aim(&place);
        let leaf = self.tree.leaf_mut(place.leaf);
        let piece = leaf.pieces[place.piece];
        let start = leaf.byte(&place);
        let end = leaf.byte(&Place { offset: place.offset + more, ..place });
        let stretch = runs.stretch(piece.run).read_part(place.offset, more);
        let nth = (stretch.first.bits() - runs.stretch(piece.run).first.bits()) as u32;
        let gone = &leaf.text[start..end];
        let weight = Weight { values: more, ..Weight::of(gone) };
        text.push_str(&turned(&stretch, gone));
        leaf.text.drain(start..end);

        let (low, high) = runs.cut(piece.run, nth, more);
        let (left, right) = if stretch.backward { (high, low) } else { (low, high) };
        let bytes = start as u32 - place.bytes;
        let left = left.map(|run| Piece { run, len: place.offset, bytes });
        let rest = (piece.len - place.offset - more, piece.bytes - bytes - weight.utf8);
        let right = right.map(|run| Piece { run, len: rest.0, bytes: rest.1 });
        match (left, right) {
            (Some(left), Some(right)) => {
                leaf.pieces[place.piece] = left;
                leaf.insert_piece(place.piece + 1, right);
            }
            (Some(rest), None) | (None, Some(rest)) => leaf.pieces[place.piece] = rest,
            (None, None) => _ = leaf.pieces.remove(place.piece),
        }
        let index = (self.cursor.before + place.values + place.offset) as usize;
        if left.is_none() && right.is_none() && place.piece > 0 {
            self.tree.join(runs, place.leaf, place.piece - 1);
        }
        self.tree.add(place.leaf, Weight::default().minus(weight));
        if self.tree.leaf(place.leaf).is_full() {
            // One run more, because one was cut.
            self.tree.halve(runs, place.leaf);
            self.cursor.place = Place::start(place.leaf);
        } else if self.tree.tidy(runs, place.leaf) != place.leaf {
            self.cursor = Cursor::NOWHERE;
        }
        Span { index, stretch }
    }
}

/// Text between the order of dots and the order of reading.
pub(crate) fn turned<'t>(stretch: &Stretch, text: &'t str) -> Cow<'t, str> {
    let turns = stretch.backward && stretch.len > 1 && !fault::active(Fault::BackwardTextNotTurned);
    if !turns {
        return Cow::Borrowed(text);
    }
    let mut turned = String::with_capacity(text.len());
    for char in text.chars().rev() {
        turned.push(char);
    }
    Cow::Owned(turned)
}
