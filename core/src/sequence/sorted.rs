//! What a rope must be, as plainly as it can be said: positions with their values, sorted. For tests.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::forest::Forest;
use super::position::LocalPosition;
use crate::replica_id::Origins;

/// Values in the order of their positions.
#[derive(Clone, Debug)]
pub(super) struct Sorted<T: Copy> {
    entries: Vec<(LocalPosition, T)>,
}

impl<T: Copy> Sorted<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts a value at its position and returns its index.
    pub(super) fn insert(&mut self, forest: &Forest, origins: &Origins, at: LocalPosition, value: T) -> usize {
        let index = self.entries.partition_point(|entry| forest.compare(origins, entry.0, at) == Ordering::Less);
        match self.entries.get_mut(index).filter(|entry| entry.0 == at) {
            Some(entry) => entry.1 = value,
            None => self.entries.insert(index, (at, value)),
        }
        index
    }

    /// Takes out the value at a position, if there is one.
    pub(super) fn remove(&mut self, forest: &Forest, origins: &Origins, at: LocalPosition) -> Option<T> {
        let index = self.entries.binary_search_by(|entry| forest.compare(origins, entry.0, at)).ok()?;
        Some(self.entries.remove(index).1)
    }

    pub(super) fn get(&self, index: usize) -> Option<(LocalPosition, T)> {
        self.entries.get(index).copied()
    }

    /// The values in order, with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LocalPosition, T)> + '_ {
        self.entries.iter().copied()
    }
}
