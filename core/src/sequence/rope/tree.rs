//! The tree over the leaves: which leaf comes after which, and how much is before each.
//!
//! A B-tree with parent links, in two arenas. Every inner node holds the weight of each of its children, so that a place is
//! found from above by any unit, and counted from below. Nodes split when they are full and melt with a neighbour when both
//! together fill no more than three quarters; nothing is ever borrowed, so nothing moves twice.
//!
//! Not here: what a leaf holds, and when it splits ([`super::leaf`]).

use alloc::vec::Vec;

use super::super::runs::NONE;
use super::leaf::Leaf;
use super::weight::Weight;

/// Children of a node. Tests have small nodes, so that they see many.
pub(super) const WIDTH: usize = if cfg!(test) { 4 } else { 16 };

/// A node above leaves or above other nodes.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    /// [`NONE`] at the root; of a free node, the next free one.
    pub(super) parent: u32,
    /// Which of its parent's children it is.
    slot: u32,
    pub(super) len: usize,
    pub(super) children: [u32; WIDTH],
    pub(super) weights: [Weight; WIDTH],
}

impl Inner {
    pub(super) fn children(&self) -> &[u32] {
        &self.children[..self.len]
    }

    fn insert(&mut self, slot: usize, child: u32, weight: Weight) {
        self.children.copy_within(slot..self.len, slot + 1);
        self.weights.copy_within(slot..self.len, slot + 1);
        (self.children[slot], self.weights[slot]) = (child, weight);
        self.len += 1;
    }

    fn remove(&mut self, slot: usize) {
        self.children.copy_within(slot + 1..self.len, slot);
        self.weights.copy_within(slot + 1..self.len, slot);
        self.len -= 1;
    }

    /// Moves the children from `from` on to the end of another node.
    fn give(&mut self, from: usize, other: &mut Self) {
        let more = self.len - from;
        other.children[other.len..other.len + more].copy_from_slice(&self.children[from..self.len]);
        other.weights[other.len..other.len + more].copy_from_slice(&self.weights[from..self.len]);
        other.len += more;
        self.len = from;
    }

    pub(super) fn weight(&self) -> Weight {
        self.weights[..self.len].iter().fold(Weight::default(), |sum, weight| sum.plus(*weight))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) leaves: Vec<Leaf>,
    pub(super) inner: Vec<Inner>,
    free_leaf: u32,
    free_inner: u32,
    /// A leaf when the height is 0, else an inner node; [`NONE`] when the tree is empty.
    pub(super) root: u32,
    pub(super) height: u32,
    pub(super) total: Weight,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            leaves: Vec::new(),
            inner: Vec::new(),
            free_leaf: NONE,
            free_inner: NONE,
            root: NONE,
            height: 0,
            total: Weight::default(),
        }
    }
}

impl Tree {
    pub(super) fn leaf(&self, id: u32) -> &Leaf {
        &self.leaves[id as usize]
    }

    pub(super) fn leaf_mut(&mut self, id: u32) -> &mut Leaf {
        &mut self.leaves[id as usize]
    }

    fn inner_mut(&mut self, id: u32) -> &mut Inner {
        &mut self.inner[id as usize]
    }

    /// The parent of a node `level` levels above the leaves, and which of its children it is.
    pub(super) fn parent(&self, level: u32, id: u32) -> (u32, usize) {
        if level == 0 {
            let Leaf { parent, slot, .. } = *self.leaf(id);
            (parent, slot as usize)
        } else {
            let Inner { parent, slot, .. } = self.inner[id as usize];
            (parent, slot as usize)
        }
    }

    fn set_parent(&mut self, level: u32, id: u32, parent: u32, slot: usize) {
        if level == 0 {
            let leaf = self.leaf_mut(id);
            (leaf.parent, leaf.slot) = (parent, slot as u32);
        } else {
            let inner = self.inner_mut(id);
            (inner.parent, inner.slot) = (parent, slot as u32);
        }
    }

    /// Tells the children of an inner node, from one on, which they are. They are `level` levels above the leaves.
    fn number(&mut self, level: u32, parent: u32, from: usize) {
        for slot in from..self.inner[parent as usize].len {
            self.set_parent(level, self.inner[parent as usize].children[slot], parent, slot);
        }
    }

    /// Says that the weight of a leaf changed by so much, to the leaf and all above it.
    pub(super) fn add(&mut self, leaf: u32, by: Weight) {
        let own = self.leaf_mut(leaf);
        own.weight = own.weight.plus(by);
        let (mut parent, mut slot) = (own.parent, own.slot);
        while parent != NONE {
            let inner = self.inner_mut(parent);
            let weight = &mut inner.weights[slot as usize];
            *weight = weight.plus(by);
            (parent, slot) = (inner.parent, inner.slot);
        }
        self.total = self.total.plus(by);
    }

    /// How much is before a leaf.
    pub(super) fn before(&self, leaf: u32) -> Weight {
        let mut sum = Weight::default();
        let (mut parent, mut slot) = (self.leaf(leaf).parent, self.leaf(leaf).slot);
        while parent != NONE {
            let inner = &self.inner[parent as usize];
            for weight in &inner.weights[..slot as usize] {
                sum = sum.plus(*weight);
            }
            (parent, slot) = (inner.parent, inner.slot);
        }
        sum
    }

    /// The first leaf below a node.
    pub(super) fn first_leaf(&self, mut level: u32, mut id: u32) -> u32 {
        while level > 0 {
            id = self.inner[id as usize].children[0];
            level -= 1;
        }
        id
    }

    /// The last leaf of all, if there is one.
    pub(super) fn last_leaf(&self) -> u32 {
        let mut id = self.root;
        for _ in 0..self.height {
            let inner = &self.inner[id as usize];
            id = inner.children[inner.len - 1];
        }
        id
    }

    /// The one leaf of a tree that had none.
    pub(super) fn plant(&mut self) -> u32 {
        debug_assert!(self.root == NONE, "an empty tree");
        self.root = self.new_leaf(Leaf::new());
        self.root
    }

    /// Puts a leaf right after another, whose weight was that of both together.
    pub(super) fn insert_after(&mut self, leaf: u32, new: Leaf) -> u32 {
        let weight = new.weight;
        let id = self.new_leaf(new);
        let own = self.leaf_mut(leaf);
        own.weight = own.weight.minus(weight);
        let next = core::mem::replace(&mut own.next, id);
        let right = self.leaf_mut(id);
        (right.before, right.next) = (leaf, next);
        if next != NONE {
            self.leaf_mut(next).before = id;
        }
        self.insert_child(leaf, id, weight);
        id
    }

    fn insert_child(&mut self, left: u32, right: u32, weight: Weight) {
        let (mut level, mut left, mut right, mut weight) = (0, left, right, weight);
        loop {
            let (parent, slot) = self.parent(level, left);
            if parent == NONE {
                let rest = self.total.minus(weight);
                let root = self.new_inner();
                let inner = self.inner_mut(root);
                inner.insert(0, left, rest);
                inner.insert(1, right, weight);
                self.number(level, root, 0);
                (self.root, self.height) = (root, level + 1);
                return;
            }
            let inner = self.inner_mut(parent);
            inner.weights[slot] = inner.weights[slot].minus(weight);
            if inner.len < WIDTH {
                inner.insert(slot + 1, right, weight);
                self.number(level, parent, slot + 1);
                return;
            }
            // Whoever appends goes on appending: then the full node stays full.
            let keep = if slot + 1 == WIDTH { WIDTH } else { WIDTH / 2 };
            let mut other = Inner { len: 0, ..inner.clone() };
            inner.give(keep, &mut other);
            let id = self.new_inner();
            if slot < keep && keep < WIDTH {
                self.inner_mut(parent).insert(slot + 1, right, weight);
                self.number(level, parent, slot + 1);
            } else {
                other.insert(slot + 1 - keep, right, weight);
            }
            weight = other.weight();
            *self.inner_mut(id) = other;
            self.number(level, id, 0);
            (level, left, right) = (level + 1, parent, id);
        }
    }

    /// Takes out a leaf, whose weight is nothing by now.
    pub(super) fn remove(&mut self, leaf: u32) {
        debug_assert!(self.leaf(leaf).weight == Weight::default(), "an empty leaf");
        self.unlink(leaf);
        let (mut level, (mut id, mut slot)) = (0, self.parent(0, leaf));
        self.drop_leaf(leaf);
        loop {
            if id == NONE {
                // It was the only one: nothing is left.
                *self = Self::default();
                return;
            }
            self.inner_mut(id).remove(slot);
            if self.inner[id as usize].len > 0 {
                break;
            }
            level += 1;
            (id, slot) = self.parent(level, id);
        }
        self.number(level, id, slot);
        self.melt(level + 1, id);
    }

    /// The leaves before and after a leaf that have the same parent.
    pub(super) fn siblings(&self, leaf: u32) -> (u32, u32) {
        let Leaf { parent, before, next, .. } = *self.leaf(leaf);
        let same = |other: u32| if other != NONE && self.leaf(other).parent == parent { other } else { NONE };
        (same(before), same(next))
    }

    /// Takes out a leaf whose content went to the one before it, which has the same parent.
    pub(super) fn absorb(&mut self, left: u32, right: u32) {
        let Leaf { weight, parent, slot, .. } = *self.leaf(right);
        self.unlink(right);
        self.drop_leaf(right);
        let own = self.leaf_mut(left);
        own.weight = own.weight.plus(weight);
        let (inner, slot) = (self.inner_mut(parent), slot as usize);
        inner.weights[slot - 1] = inner.weights[slot - 1].plus(weight);
        inner.remove(slot);
        self.number(0, parent, slot);
        self.melt(1, parent);
    }

    /// Melts an inner node with a neighbour as long as both are small, then those above; takes away a root with one child.
    fn melt(&mut self, level: u32, id: u32) {
        let (mut level, mut id) = (level, id);
        loop {
            let Inner { parent, slot, len, .. } = self.inner[id as usize];
            if parent == NONE || len > WIDTH / 2 {
                break;
            }
            let (above, slot) = (&self.inner[parent as usize], slot as usize);
            let fits = |left: usize| {
                let (Some(a), Some(b)) = (above.children().get(left), above.children().get(left + 1)) else {
                    return false;
                };
                self.inner[*a as usize].len + self.inner[*b as usize].len <= WIDTH * 3 / 4
            };
            let left = if fits(slot) {
                slot
            } else if slot > 0 && fits(slot - 1) {
                slot - 1
            } else {
                break;
            };
            let (a, b) = (above.children[left], above.children[left + 1]);
            let mut right = self.inner[b as usize].clone();
            self.drop_inner(b);
            right.give(0, self.inner_mut(a));
            self.number(level - 1, a, 0);
            let above = self.inner_mut(parent);
            above.weights[left] = above.weights[left].plus(above.weights[left + 1]);
            above.remove(left + 1);
            self.number(level, parent, left + 1);
            (level, id) = (level + 1, parent);
        }
        while self.height > 0 && self.inner[self.root as usize].len == 1 {
            let child = self.inner[self.root as usize].children[0];
            self.drop_inner(self.root);
            (self.root, self.height) = (child, self.height - 1);
            self.set_parent(self.height, child, NONE, 0);
        }
    }

    fn unlink(&mut self, leaf: u32) {
        let Leaf { before, next, .. } = *self.leaf(leaf);
        if before != NONE {
            self.leaf_mut(before).next = next;
        }
        if next != NONE {
            self.leaf_mut(next).before = before;
        }
    }

    fn new_leaf(&mut self, leaf: Leaf) -> u32 {
        if self.free_leaf == NONE {
            if self.leaves.len() == self.leaves.capacity() {
                // Most lists and texts are small.
                self.leaves.reserve_exact(self.leaves.len() / 4 + 1);
            }
            self.leaves.push(leaf);
            return self.leaves.len() as u32 - 1;
        }
        let id = self.free_leaf;
        self.free_leaf = core::mem::replace(self.leaf_mut(id), leaf).parent;
        id
    }

    fn drop_leaf(&mut self, id: u32) {
        let free = core::mem::replace(&mut self.free_leaf, id);
        *self.leaf_mut(id) = Leaf { parent: free, ..Leaf::new() };
    }

    fn new_inner(&mut self) -> u32 {
        let new = Inner { parent: NONE, slot: 0, len: 0, children: [NONE; WIDTH], weights: [Weight::default(); WIDTH] };
        if self.free_inner == NONE {
            if self.inner.len() == self.inner.capacity() {
                self.inner.reserve_exact(self.inner.len() / 4 + 1);
            }
            self.inner.push(new);
            return self.inner.len() as u32 - 1;
        }
        let id = self.free_inner;
        self.free_inner = core::mem::replace(self.inner_mut(id), new).parent;
        id
    }

    fn drop_inner(&mut self, id: u32) {
        let free = core::mem::replace(&mut self.free_inner, id);
        self.inner_mut(id).parent = free;
    }
}
