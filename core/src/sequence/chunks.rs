//! The values of one list or text, in order, found by position and by index.
//!
//! A list of chunks of bounded length. A position is found by binary search over the chunks and inside one, by the
//! comparison of the forest; an index by adding up chunk lengths. Inserting moves one chunk's worth of entries at most.
//!
//! Rules: SEQ-4 the sequence equals its values sorted by `Forest::compare`. SEQ-3 is the caller's: the chain of every
//! position in the sequence is in the forest.
//! Not here: how a position is compared, in [`super::order`].

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::forest::Forest;
use super::position::LocalPosition;
use crate::replica_id::Origins;

/// Values in the order of their positions.
#[derive(Clone, Debug)]
pub(crate) struct Sequence<T: Copy> {
    /// None is empty, none is longer than [`Self::CHUNK`].
    chunks: Vec<Vec<(LocalPosition, T)>>,
    len: usize,
}

impl<T: Copy> Default for Sequence<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Sequence<T> {
    /// Entries in a chunk: few enough to move cheaply, many enough that adding up the lengths of all chunks is cheap.
    const CHUNK: usize = 128;

    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a value at its position and returns its index. A position that is taken gets the new value; by SEQ-1 that is
    /// the same value again.
    pub(crate) fn insert(&mut self, forest: &Forest, origins: &Origins, at: LocalPosition, value: T) -> usize {
        let (chunk, slot) = match self.find(forest, origins, at) {
            Ok((chunk, slot)) => {
                self.chunks[chunk][slot].1 = value;
                return self.before(chunk) + slot;
            }
            Err(place) => place,
        };
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        let index = self.before(chunk) + slot;
        let entries = &mut self.chunks[chunk];
        entries.insert(slot, (at, value));
        self.len += 1;
        if entries.len() > Self::CHUNK {
            // A chunk that overflows at its end is split there, so that appending leaves full chunks behind.
            let keep = if slot == Self::CHUNK { Self::CHUNK } else { Self::CHUNK / 2 };
            let rest = entries.split_off(keep);
            self.chunks.insert(chunk + 1, rest);
        }
        index
    }

    /// Takes out the value at a position, if there is one.
    pub(crate) fn remove(&mut self, forest: &Forest, origins: &Origins, at: LocalPosition) -> Option<T> {
        let (chunk, slot) = self.find(forest, origins, at).ok()?;
        let entries = &mut self.chunks[chunk];
        let (_, value) = entries.remove(slot);
        self.len -= 1;
        if entries.is_empty() {
            self.chunks.remove(chunk);
        } else if let Some(next) = self.chunks.get(chunk + 1)
            && self.chunks[chunk].len() + next.len() <= Self::CHUNK / 2
        {
            let next = self.chunks.remove(chunk + 1);
            self.chunks[chunk].extend(next);
        }
        Some(value)
    }

    /// The index of the value at a position, if there is one.
    pub(crate) fn index_of(&self, forest: &Forest, origins: &Origins, at: LocalPosition) -> Option<usize> {
        let (chunk, slot) = self.find(forest, origins, at).ok()?;
        Some(self.before(chunk) + slot)
    }

    /// The index of the first value that is not before a position.
    pub(crate) fn index_from(&self, forest: &Forest, origins: &Origins, at: LocalPosition) -> usize {
        let (Ok((chunk, slot)) | Err((chunk, slot))) = self.find(forest, origins, at);
        self.before(chunk) + slot
    }

    pub(crate) fn get(&self, index: usize) -> Option<(LocalPosition, T)> {
        let mut rest = index;
        for entries in &self.chunks {
            match entries.get(rest) {
                Some(entry) => return Some(*entry),
                None => rest -= entries.len(),
            }
        }
        None
    }

    /// The values in order, with their positions.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (LocalPosition, T)> + '_ {
        self.chunks.iter().flatten().copied()
    }

    /// Where a position is, or where it would be: (chunk, place in the chunk).
    fn find(&self, forest: &Forest, origins: &Origins, at: LocalPosition) -> Result<(usize, usize), (usize, usize)> {
        let order = |entry: &(LocalPosition, T)| forest.compare(origins, entry.0, at);
        let after = self.chunks.partition_point(|entries| order(&entries[0]) != Ordering::Greater);
        let chunk = after.saturating_sub(1);
        let Some(entries) = self.chunks.get(chunk) else { return Err((0, 0)) };
        match entries.binary_search_by(order) {
            Ok(slot) => Ok((chunk, slot)),
            Err(slot) => Err((chunk, slot)),
        }
    }

    /// How many values are in the chunks before this one.
    fn before(&self, chunk: usize) -> usize {
        self.chunks[..chunk].iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::woods;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn seq_4_a_sequence_is_its_values_sorted(
            wood in woods(5),
            edits in prop::collection::vec((any::<prop::sample::Index>(), -80i64..80, 0..5u8), 1..500),
        ) {
            let mut model: Vec<(LocalPosition, usize)> = Vec::new();
            let mut sequence = Sequence::new();
            for (value, (bunch, index, kind)) in edits.into_iter().enumerate() {
                let at = LocalPosition { bunch: wood.bunches[bunch.index(wood.bunches.len())], index };
                let place = model.binary_search_by(|entry| wood.forest.compare(&wood.origins, entry.0, at));
                prop_assert_eq!(sequence.index_of(&wood.forest, &wood.origins, at), place.ok());
                let (Ok(from) | Err(from)) = place;
                prop_assert_eq!(sequence.index_from(&wood.forest, &wood.origins, at), from);
                match (kind, place) {
                    (0, place) => {
                        let expected = place.ok().map(|slot| model.remove(slot).1);
                        prop_assert_eq!(sequence.remove(&wood.forest, &wood.origins, at), expected);
                    }
                    (_, Ok(_)) => {}
                    (_, Err(slot)) => {
                        model.insert(slot, (at, value));
                        prop_assert_eq!(sequence.insert(&wood.forest, &wood.origins, at, value), slot);
                    }
                }
                prop_assert_eq!(sequence.len(), model.len());
                prop_assert_eq!(sequence.is_empty(), model.is_empty());
                let nth = index.unsigned_abs() as usize;
                prop_assert_eq!(sequence.get(nth), model.get(nth).copied());
            }
            prop_assert!(sequence.iter().eq(model.iter().copied()));
            prop_assert!(sequence.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= Sequence::<usize>::CHUNK));
            for (at, _) in model.drain(..) {
                prop_assert!(sequence.remove(&wood.forest, &wood.origins, at).is_some());
            }
            prop_assert!(sequence.chunks.is_empty());
        }
    }

    #[test]
    fn appending_and_prepending_leave_full_chunks() {
        let forest = Forest::default();
        let origins = Origins::default();
        let bunch = crate::clock::LocalDot::ROOT;
        let mut sequence = Sequence::new();
        for index in 0..2000i64 {
            assert_eq!(sequence.insert(&forest, &origins, LocalPosition { bunch, index }, index), index as usize);
        }
        assert_eq!(sequence.chunks.len(), 2000usize.div_ceil(Sequence::<i64>::CHUNK));
        for index in 1..2000i64 {
            assert_eq!(sequence.insert(&forest, &origins, LocalPosition { bunch, index: -index }, -index), 0);
        }
        assert!(sequence.iter().map(|entry| entry.1).eq(-1999..2000));
        assert!(sequence.iter().rev().map(|entry| entry.1).eq((-1999..2000).rev()));
        assert!(sequence.chunks.len() <= 2 * 3999 / Sequence::<i64>::CHUNK + 1);
    }
}
