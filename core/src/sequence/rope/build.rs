//! Laying out what a replica loads: every rope of a document in one walk, without a comparison of values.

use alloc::vec::Vec;

use super::super::forest::Forest;
use super::super::runs::{NONE, Runs, Stretch};
use super::super::walk::Loaded;
use super::leaf::{Leaf, Piece, byte_of};
use super::tree::Tree;
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
    // How much of each text is laid out.
    let mut used = alloc::vec![0; loaded.len()];
    // Some are cut by what lies between their values.
    let most = loaded.len() + loaded.len() / 4;
    let mut order = Vec::with_capacity(most);
    runs.reserve(most);
    let mut open = NONE;
    forest.walk(origins, loaded, &mut |nth, from, more| {
        let Loaded { rope, stretch: whole, text, .. } = loaded[nth];
        if rope != open {
            if open != NONE {
                ropes.rope(open).tree.weigh();
            }
            open = rope;
        }
        let stretch = whole.read_part(from, more);
        // Backward, what is read next is at the end.
        let (done, rest) = (used[nth], text.len() - used[nth]);
        let text = if more == whole.len || text.is_empty() {
            text
        } else if stretch.backward {
            let left = &text[..rest];
            let kept = if text.len() == whole.len as usize {
                rest - more as usize
            } else {
                left.char_indices().rev().nth(more as usize - 1).map_or(0, |(at, _)| at)
            };
            &left[kept..]
        } else {
            let left = &text[done..];
            let taken = if text.len() == whole.len as usize { more as usize } else { byte_of(left, more as usize) };
            &left[..taken]
        };
        used[nth] += text.len();
        ropes.rope(rope).append(runs, stretch, &turned(&stretch, text), &mut |run| order.push((nth as u32, run)));
    });
    if open != NONE {
        ropes.rope(open).tree.weigh();
    }
    runs.index_all(&|nth| loaded[nth as usize].stretch.backward, loaded.len(), &order);
}

impl Rope {
    /// Puts values behind all others, without weighing them.
    fn append(&mut self, runs: &mut Runs, stretch: Stretch, text: &str, told: &mut dyn FnMut(u32)) {
        let (mut from, mut rest) = (0, text);
        loop {
            let mut id = self.tree.last_leaf();
            if id == NONE {
                id = self.tree.plant();
            }
            let leaf = self.tree.leaf_mut(id);
            let room = Leaf::MOST_BYTES * 3 / 4 - leaf.text.len().min(Leaf::MOST_BYTES * 3 / 4);
            let mut bytes = rest.len().min(room);
            while !rest.is_char_boundary(bytes) {
                bytes -= 1;
            }
            let is_full = bytes == 0 && !rest.is_empty() || leaf.pieces.len() >= Leaf::MOST_PIECES * 3 / 4;
            if is_full && !leaf.pieces.is_empty() {
                self.tree.weigh();
                let mut next = Leaf::new();
                // Who has filled a leaf fills another, with as many runs or as much text.
                next.pieces.reserve_exact(Leaf::MOST_PIECES * 3 / 4);
                next.text.reserve_exact(self.tree.leaf(id).text.len());
                self.tree.insert_after(id, next);
                continue;
            }
            let (now, later) = rest.split_at(bytes);
            let more = match later.is_empty() {
                true => stretch.len - from,
                false => Weight::of(now).values,
            };
            let part = stretch.read_part(from, more);
            leaf.text.push_str(now);
            match leaf.pieces.last_mut() {
                Some(last) if runs.extend(last.run, &part) => {
                    last.len += more;
                    last.bytes += bytes as u32;
                }
                _ => {
                    let run = runs.push(part, self.number, id);
                    leaf.pieces.push(Piece { run, len: more, bytes: bytes as u32 });
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

impl Tree {
    /// Weighs the last leaf, where something was added.
    fn weigh(&mut self) {
        let id = self.last_leaf();
        let leaf = self.leaf(id);
        let values = leaf.pieces.iter().map(|piece| piece.len).sum();
        let weight = Weight { values, ..Weight::of(&leaf.text) };
        self.add(id, weight.minus(leaf.weight));
    }
}
