//! Leaves: some runs that follow one another, and their text in one piece.
//!
//! A run lies in one leaf. So what is inserted into the middle of a run cuts it in two, and so does a leaf that splits inside
//! of it; runs of one leaf that go on where the one before ends are one. A leaf knows of each of its runs how long it is, so
//! that a place in it is found without looking at the runs.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::runs::{NONE, RunId, Runs};
use super::tree::Tree;
use super::weight::Weight;

/// A run as its leaf knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) run: RunId,
    pub(super) len: u32,
    /// Of its text; 0 in a list.
    pub(super) bytes: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// [`NONE`] at the root; of a free leaf, the next free one.
    pub(super) parent: u32,
    /// Which of its parent's children it is.
    pub(super) slot: u32,
    pub(super) before: u32,
    pub(super) next: u32,
    pub(super) weight: Weight,
    /// None is empty.
    pub(super) pieces: Vec<Piece>,
    /// What is read, one run after the other.
    pub(super) text: String,
}

/// A place in a leaf: in a run or at one of its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) leaf: u32,
    pub(super) piece: usize,
    /// How many values of that run are before it.
    pub(super) offset: u32,
    /// How many values of the leaf are before that run.
    pub(super) values: u32,
    /// How many bytes of the leaf's text are before that run.
    pub(super) bytes: u32,
}

impl Place {
    /// Where a leaf begins.
    pub(super) const fn start(leaf: u32) -> Self {
        Self { leaf, piece: 0, offset: 0, values: 0, bytes: 0 }
    }
}

impl Leaf {
    /// Runs in a leaf. Tests have small leaves, so that they see many.
    pub(super) const MOST_PIECES: usize = if cfg!(test) { 6 } else { 32 };
    /// Bytes of text in a leaf.
    pub(super) const MOST_BYTES: usize = if cfg!(test) { 48 } else { 1024 };

    pub(super) const fn new() -> Self {
        let weight = Weight::values(0);
        Self { parent: NONE, slot: 0, before: NONE, next: NONE, weight, pieces: Vec::new(), text: String::new() }
    }

    /// Whether there is a run too many, because one was cut.
    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() > Self::MOST_PIECES
    }

    /// Whether it is so small that it may melt with a neighbour.
    fn is_small(&self) -> bool {
        self.pieces.len() <= Self::MOST_PIECES / 2 && self.text.len() <= Self::MOST_BYTES / 2
    }

    fn fits(&self, other: &Self) -> bool {
        self.pieces.len() + other.pieces.len() <= Self::MOST_PIECES * 3 / 4
            && self.text.len() + other.text.len() <= Self::MOST_BYTES * 3 / 4
    }

    /// Puts text in. It grows by a quarter rather than to twice as much, since leaves are many.
    pub(super) fn insert_text(&mut self, byte: usize, text: &str) {
        if self.text.capacity() - self.text.len() < text.len() {
            self.text.reserve_exact(text.len().max(self.text.len() / 4 + 8));
        }
        self.text.insert_str(byte, text);
    }

    /// Puts a run in, which is tight as the text is.
    pub(super) fn insert_piece(&mut self, at: usize, piece: Piece) {
        if self.pieces.len() == self.pieces.capacity() {
            self.pieces.reserve_exact(self.pieces.len() / 4 + 1);
        }
        self.pieces.insert(at, piece);
    }

    /// The place `rest` values behind the start of a run: at the end of a run rather than at the start of the next, or the
    /// other way round.
    pub(super) fn walk(&self, start: Place, rest: u32, or_end: bool) -> Place {
        let mut place = Place { offset: rest, ..start };
        for piece in &self.pieces[start.piece..] {
            if place.offset < piece.len + u32::from(or_end) {
                break;
            }
            place.piece += 1;
            place.offset -= piece.len;
            place.values += piece.len;
            place.bytes += piece.bytes;
        }
        place
    }

    /// The place after `rest` values: at the end of a run rather than at the start of the next.
    pub(super) fn gap(&self, leaf: u32, rest: u32) -> Place {
        self.walk(Place::start(leaf), rest, true)
    }

    /// The start of a run.
    pub(super) fn start(&self, leaf: u32, piece: usize) -> Place {
        let mut place = Place { piece, ..Place::start(leaf) };
        for before in &self.pieces[..piece] {
            place.values += before.len;
            place.bytes += before.bytes;
        }
        place
    }

    /// Where in the text a place is.
    pub(super) fn byte(&self, place: &Place) -> usize {
        let start = place.bytes as usize;
        match self.pieces.get(place.piece) {
            Some(piece) if place.offset == piece.len => start + piece.bytes as usize,
            Some(piece) if place.offset > 0 => start + self.bytes_of(start, piece, place.offset),
            _ => start,
        }
    }

    /// The bytes of the first `values` values of a run whose text begins at `start`.
    pub(super) fn bytes_of(&self, start: usize, piece: &Piece, values: u32) -> usize {
        if piece.bytes == piece.len {
            return values as usize;
        }
        byte_of(&self.text[start..start + piece.bytes as usize], values as usize)
    }

    /// The place of a byte of the text, which begins a value.
    fn place_of_byte(&self, leaf: u32, byte: usize) -> Place {
        let mut place = Place::start(leaf);
        for piece in &self.pieces {
            if byte < (place.bytes + piece.bytes) as usize {
                break;
            }
            place.piece += 1;
            place.values += piece.len;
            place.bytes += piece.bytes;
        }
        place.offset = Weight::of(&self.text[place.bytes as usize..byte]).values;
        place
    }

    /// Where to split: in the middle, by runs if there are too many, else by text if there is much.
    fn middle(&self, leaf: u32) -> Place {
        if self.is_full() || self.text.len() <= Self::MOST_BYTES / 2 {
            return self.start(leaf, self.pieces.len() / 2);
        }
        let mut byte = self.text.len() / 2;
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let place = self.place_of_byte(leaf, byte);
        let piece = &self.pieces[place.piece];
        // A short run stays whole.
        if piece.bytes as usize <= Self::MOST_BYTES / 4 && place.piece > 0 {
            Place { offset: 0, ..place }
        } else {
            place
        }
    }

    /// The runs that end and begin at a place; none when it is inside of one.
    pub(super) fn around(&self, place: &Place) -> (Option<&Piece>, Option<&Piece>) {
        let next = match self.pieces.get(place.piece) {
            Some(piece) if place.offset == piece.len => place.piece + 1,
            Some(_) if place.offset > 0 => return (None, None),
            _ => place.piece,
        };
        (next.checked_sub(1).map(|left| &self.pieces[left]), self.pieces.get(next))
    }

    /// Whether so much text fits, and a run more, which may cut another in two.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        self.pieces.len() + 2 <= Self::MOST_PIECES && self.text.len() + bytes <= Self::MOST_BYTES
    }
}

/// The byte at which the value after `values` others begins.
pub(super) fn byte_of(text: &str, values: usize) -> usize {
    text.char_indices().nth(values).map_or(text.len(), |(at, _)| at)
}

impl Tree {
    /// Cuts the run at a place, so that the place is between two runs: the number of the second.
    pub(super) fn divide(&mut self, runs: &mut Runs, place: &Place) -> usize {
        let leaf = self.leaf_mut(place.leaf);
        let Some(piece) = leaf.pieces.get(place.piece).copied() else { return place.piece };
        if place.offset == 0 {
            return place.piece;
        }
        if place.offset < piece.len {
            let bytes = leaf.bytes_of(place.bytes as usize, &piece, place.offset) as u32;
            let stretch = runs.stretch(piece.run);
            let (backward, nth) =
                (stretch.backward, if stretch.backward { piece.len - place.offset } else { place.offset });
            let (low, high) = runs.cut(piece.run, nth, 0);
            let (left, right) = if backward { (high, low) } else { (low, high) };
            let (Some(left), Some(right)) = (left, right) else { unreachable!("both sides have values") };
            leaf.pieces[place.piece] = Piece { run: left, len: place.offset, bytes };
            let right = Piece { run: right, len: piece.len - place.offset, bytes: piece.bytes - bytes };
            leaf.insert_piece(place.piece + 1, right);
        }
        place.piece + 1
    }

    /// Makes two neighbours in a leaf one run, if the second goes on where the first ends.
    pub(super) fn join(&mut self, runs: &mut Runs, leaf: u32, first: usize) {
        let pieces = &mut self.leaf_mut(leaf).pieces;
        let (Some(a), Some(b)) = (pieces.get(first).copied(), pieces.get(first + 1).copied()) else { return };
        if runs.stretch(a.run).adjoins(runs.stretch(b.run)) {
            let run = runs.join(a.run, b.run);
            pieces[first] = Piece { run, len: a.len + b.len, bytes: a.bytes + b.bytes };
            pieces.remove(first + 1);
        }
    }

    /// Splits a leaf in the middle.
    pub(super) fn halve(&mut self, runs: &mut Runs, id: u32) {
        let middle = self.leaf(id).middle(id);
        self.split(runs, &middle);
    }

    /// Splits a leaf at a place that has values on both sides.
    pub(super) fn split(&mut self, runs: &mut Runs, place: &Place) {
        let id = place.leaf;
        let byte = self.leaf(id).byte(place);
        let at = self.divide(runs, place);
        let leaf = self.leaf_mut(id);
        let mut right = Leaf::new();
        right.pieces = leaf.pieces.split_off(at);
        right.text = leaf.text.split_off(byte);
        leaf.text.shrink_to(byte + byte / 4);
        leaf.pieces.shrink_to(at + at / 4);
        right.weight = Weight { values: right.pieces.iter().map(|piece| piece.len).sum(), ..Weight::of(&right.text) };
        debug_assert!(!leaf.pieces.is_empty() && !right.pieces.is_empty(), "both sides have runs");
        let right = self.insert_after(id, right);
        for piece in &self.leaves[right as usize].pieces {
            runs.set_leaf(piece.run, right);
        }
    }

    /// Takes out a leaf that is empty, and melts a small one with a neighbour: says which leaf is there now.
    pub(super) fn tidy(&mut self, runs: &mut Runs, id: u32) -> u32 {
        let leaf = self.leaf(id);
        if leaf.pieces.is_empty() {
            self.remove(id);
            return NONE;
        }
        if !leaf.is_small() {
            return id;
        }
        let (before, next) = self.siblings(id);
        if next != NONE && leaf.fits(self.leaf(next)) {
            self.merge(runs, id, next);
        } else if before != NONE && leaf.fits(self.leaf(before)) {
            self.merge(runs, before, id);
            return before;
        }
        id
    }

    fn merge(&mut self, runs: &mut Runs, left: u32, right: u32) {
        let from = self.leaf_mut(right);
        let (pieces, text) = (core::mem::take(&mut from.pieces), core::mem::take(&mut from.text));
        for piece in &pieces {
            runs.set_leaf(piece.run, left);
        }
        let to = self.leaf_mut(left);
        let seam = to.pieces.len() - 1;
        to.pieces.extend_from_slice(&pieces);
        to.text.push_str(&text);
        self.absorb(left, right);
        self.join(runs, left, seam);
    }
}
