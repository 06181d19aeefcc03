//! Laying out what a replica loads: every rope of a document in one walk, without a comparison of values.
//!
//! A leaf is filled beside its rope and put there when it is full, so that it takes no more memory than it holds.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::forest::Forest;
use super::super::runs::{NONE, Parts, Runs, Stretch};
use super::super::walk::Loaded;
use super::leaf::{Leaf, Piece, byte_of};
use super::weight::Weight;
use super::{Rope, turned};
use crate::replica_id::Origins;

/// The ropes of a document by number.
pub(crate) trait Ropes {
    /// The rope of a number that one of the values has.
    fn rope(&mut self, number: u32) -> &mut Rope;
}

impl Ropes for Vec<Rope> {
    fn rope(&mut self, number: u32) -> &mut Rope {
        &mut self[number as usize]
    }
}

/// Lays out all values of a document, whose ropes are empty so far, and has their bunches count them. `loaded` ascends by
/// the dots of this document, and all bunches are known.
/// O(runs + bunches + bytes).
pub(crate) fn lay_out(
    runs: &mut Runs,
    forest: &mut Forest,
    origins: &Origins,
    loaded: &[Loaded<'_>],
    ropes: &mut dyn Ropes,
) {
    // How much of each text is laid out, if one is cut whose characters are not all as long.
    let mut used = Vec::new();
    // Some are cut by what lies between their values.
    let most = loaded.len() + loaded.len() / 4;
    runs.reserve(most);
    let mut parts = Parts::of(loaded.len(), most);
    let mut filling = Filling::new();
    forest.walk(origins, loaded, |nth, from, more| {
        let Loaded { rope, stretch: whole, text, .. } = &loaded[nth];
        let stretch = whole.read_part(from, more);
        let mut text = *text;
        if more < whole.len && !text.is_empty() {
            // Backward, what is read next is at the end.
            let end = text.len();
            let (from, to) = if end == whole.len as usize {
                let from = (stretch.first.bits() - whole.first.bits()) as usize;
                (from, from + more as usize)
            } else {
                used.resize(loaded.len(), 0);
                let done = used[nth];
                used[nth] += if stretch.backward {
                    let left = text[..end - done].char_indices().rev().nth(more as usize - 1);
                    end - done - left.map_or(0, |(at, _)| at)
                } else {
                    byte_of(&text[done..], more as usize)
                };
                if stretch.backward { (end - used[nth], end - done) } else { (done, used[nth]) }
            };
            text = &text[from..to];
        }
        if filling.rope != *rope {
            filling.open(ropes, *rope);
        }
        let mut told = |run| parts.add(nth, run);
        if stretch.backward {
            filling.put(ropes, runs, stretch, &turned(&stretch, text), &mut told);
        } else {
            filling.put(ropes, runs, stretch, text, &mut told);
        }
    });
    filling.close(ropes);
    runs.index_all(loaded, &parts);
}

/// A leaf that is filled: the last of its rope, which does not have it as yet.
struct Filling {
    rope: u32,
    leaf: u32,
    pieces: Vec<Piece>,
    text: String,
}

impl Filling {
    const MOST_PIECES: usize = Leaf::MOST_PIECES * 3 / 4;
    const MOST_BYTES: usize = Leaf::MOST_BYTES * 3 / 4;

    const fn new() -> Self {
        Self { rope: NONE, leaf: NONE, pieces: Vec::new(), text: String::new() }
    }

    /// Goes on at the end of another rope, or in another leaf of the same.
    fn open(&mut self, ropes: &mut dyn Ropes, rope: u32) {
        self.close(ropes);
        let tree = &mut ropes.rope(rope).tree;
        self.leaf = tree.last_leaf();
        if self.leaf == NONE {
            self.leaf = tree.plant();
        } else if self.rope == rope {
            self.leaf = tree.insert_after(self.leaf, Leaf::new());
        } else {
            let leaf = tree.leaf(self.leaf);
            self.pieces.extend_from_slice(&leaf.pieces);
            self.text.push_str(&leaf.text);
        }
        self.rope = rope;
    }

    /// Puts what there is into its rope.
    fn close(&mut self, ropes: &mut dyn Ropes) {
        if self.rope == NONE {
            return;
        }
        let tree = &mut ropes.rope(self.rope).tree;
        let values = self.pieces.iter().map(|piece| piece.len).sum();
        let weight = Weight { values, ..Weight::of(&self.text) };
        let leaf = tree.leaf_mut(self.leaf);
        (leaf.pieces, leaf.text) = (self.pieces.clone(), self.text.clone());
        let before = leaf.weight;
        tree.add(self.leaf, weight.minus(before));
        self.pieces.clear();
        self.text.clear();
    }

    /// Puts values behind all others.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn put(&mut self, ropes: &mut dyn Ropes, runs: &mut Runs, stretch: Stretch, text: &str, told: &mut dyn FnMut(u32)) {
        let (mut from, mut rest) = (0, text);
        loop {
            let room = Self::MOST_BYTES - self.text.len();
            let mut bytes = rest.len().min(room);
            while !rest.is_char_boundary(bytes) {
                bytes -= 1;
            }
            let is_full = bytes == 0 && !rest.is_empty() || self.pieces.len() >= Self::MOST_PIECES;
            if is_full {
                self.open(ropes, self.rope);
                continue;
            }
            let (now, later) = rest.split_at(bytes);
            let more = match later.is_empty() {
                true => stretch.len - from,
                false => Weight::of(now).values,
            };
            let part = stretch.read_part(from, more);
            self.text.push_str(now);
            match self.pieces.last_mut() {
                Some(last) if runs.extend(last.run, &part) => {
                    last.len += more;
                    last.bytes += bytes as u32;
                }
                _ => {
                    let run = runs.push(part, self.rope, self.leaf);
                    self.pieces.push(Piece { run, len: more, bytes: bytes as u32 });
                    told(run.0);
                }
            }
            (from, rest) = (from + more, later);
            if rest.is_empty() {
                return;
            }
        }
    }
}
