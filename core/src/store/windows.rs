//! Where the live dots are: for each stretch of 64 sequence numbers of a replica, which of them live, and where in the store.
//!
//! What one replica wrote and what nobody overwrote is dense, so a live dot costs its place in the store and one bit; a
//! lone survivor costs one window. Which dots live is a matter of masks: runs come out of them without looking at entries.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::EntryId;
use crate::clock::{Dot, LocalDot};
use crate::fault::{self, Fault};
use crate::ordered::{Iter, Map};
use crate::replica_id::Origin;

/// Live dots by name, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    /// By the dot's upper bits: replica number, then sequence number without the last six.
    windows: Map<u64, Window>,
}

#[derive(Clone, Debug, Default)]
struct Window {
    mask: u64,
    /// As many as there are ones in the mask, in their order.
    ids: Vec<EntryId>,
}

const BITS: u32 = 6;

const fn split(dot: LocalDot) -> (u64, u32) {
    (dot.bits() >> BITS, (dot.bits() & 63) as u32)
}

impl Window {
    /// How many live dots of the window are before this one.
    fn rank(&self, bit: u32) -> usize {
        let rank = (self.mask & ((1 << bit) - 1)).count_ones() as usize;
        if fault::active(Fault::RankOffByOne) { rank.saturating_sub(1) } else { rank }
    }

    fn insert(&mut self, bit: u32, id: EntryId) {
        debug_assert!(self.mask >> bit & 1 == 0, "DOT-1: a dot is inserted once");
        let rank = self.rank(bit);
        self.mask |= 1 << bit;
        let len = self.ids.len();
        if len == self.ids.capacity() {
            // A window fills up in a few steps.
            self.ids.reserve_exact((3 * len).max(4).min(64 - len));
        }
        self.ids.insert(rank, id);
    }
}

impl Windows {
    /// Where a live dot is. O(log windows).
    pub(crate) fn find(&self, dot: LocalDot) -> Option<EntryId> {
        let (key, bit) = split(dot);
        let window = self.windows.get(&key)?;
        if window.mask >> bit & 1 == 0 {
            return None;
        }
        Some(window.ids[window.rank(bit)])
    }

    pub(crate) fn insert(&mut self, dot: LocalDot, id: EntryId) {
        let (key, bit) = split(dot);
        // Whoever writes or loads goes on where the last dot was.
        match self.windows.last_entry_mut() {
            Some((last, window)) if *last == key => return window.insert(bit, id),
            Some((last, window)) if *last < key && window.mask == 0 => {
                *last = key;
                return window.insert(bit, id);
            }
            _ => {}
        }
        self.windows.get_or_insert_with(key, Window::default).insert(bit, id);
    }

    /// Gives what lives under the dot `old` the name `new`, which nothing has.
    pub(crate) fn rename(&mut self, old: LocalDot, new: LocalDot, id: EntryId) {
        let ((key, bit), (next, after)) = (split(old), split(new));
        // Whoever goes on counting renames the last one: only its bit moves, and the window with it if it is alone there.
        if let Some((last, window)) = self.windows.last_entry_mut()
            && *last == key
            && window.mask >> bit == 1
            && (key == next && bit < after || key < next && window.mask == 1 << bit)
        {
            *last = next;
            window.mask = window.mask & !(1 << bit) | 1 << after;
            return;
        }
        self.remove(old);
        self.insert(new, id);
    }

    pub(crate) fn remove(&mut self, dot: LocalDot) -> Option<EntryId> {
        let (key, bit) = split(dot);
        let window = self.windows.get_mut(&key)?;
        if window.mask >> bit & 1 == 0 {
            return None;
        }
        let rank = window.rank(bit);
        window.mask &= !(1 << bit);
        let id = window.ids.remove(rank);
        if window.mask == 0 {
            // The last one stays: whoever counts on would take it away and make it again at every step.
            if self.windows.last().is_some_and(|last| last.0 != key) {
                self.windows.remove(&key);
            }
        } else if window.ids.capacity() > 4 * window.ids.len() {
            window.ids.shrink_to(2 * window.ids.len());
        }
        Some(id)
    }

    /// The live dots of `origin` in a range of sequence numbers, ascending, with their places. O(log windows + found).
    pub(crate) fn range(&self, origin: Origin, seqs: RangeInclusive<u64>) -> Range<'_> {
        let last = (*seqs.end()).min(Dot::MAX_SEQ);
        if *seqs.start() > last {
            return Range::default();
        }
        let (first, last) = (LocalDot::new(origin, *seqs.start()), LocalDot::new(origin, last));
        let windows = self.windows.range(split(first).0..);
        Range { windows, first: first.bits(), last: last.bits(), key: 0, mask: 0, ids: [].iter() }
    }
}

/// The live dots of a range, window by window.
#[derive(Clone, Default)]
pub(crate) struct Range<'w> {
    windows: Iter<'w, u64, Window>,
    first: u64,
    last: u64,
    key: u64,
    mask: u64,
    ids: core::slice::Iter<'w, EntryId>,
}

impl Iterator for Range<'_> {
    type Item = (LocalDot, EntryId);

    fn next(&mut self) -> Option<Self::Item> {
        while self.mask == 0 {
            let (key, window) = self.windows.next()?;
            self.key = *key << BITS;
            if self.key > self.last {
                self.windows = Iter::default();
                return None;
            }
            let (mut mask, mut ids) = (window.mask, window.ids.as_slice());
            if self.key < self.first && !fault::active(Fault::RangeBeginsEarly) {
                let before = mask & ((1 << (self.first - self.key)) - 1);
                mask &= !before;
                ids = &ids[before.count_ones() as usize..];
            }
            if self.last < self.key + 63 {
                mask &= u64::MAX >> (63 - (self.last - self.key));
            }
            (self.mask, self.ids) = (mask, ids.iter());
        }
        let bit = self.mask.trailing_zeros();
        self.mask &= self.mask - 1;
        Some((LocalDot::from_bits(self.key | u64::from(bit)), *self.ids.next()?))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::collections::btree_map::Entry;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn windows_hold_what_an_ordered_map_holds(
            steps in prop::collection::vec((0u8..3, 0u32..3, 1u64..300), 0..500),
            from in 0u64..310, to in 0u64..310,
        ) {
            let mut windows = Windows::default();
            let mut model = BTreeMap::new();
            for (id, (what, origin, seq)) in steps.into_iter().enumerate() {
                let (dot, id) = (LocalDot::new(Origin(origin), seq), EntryId(id as u32));
                let later = LocalDot::new(Origin(origin), seq + 7);
                if what == 0 {
                    prop_assert_eq!(windows.remove(dot), model.remove(&dot));
                } else if what == 1 && !model.contains_key(&later) && let Some(id) = model.remove(&dot) {
                    windows.rename(dot, later, id);
                    model.insert(later, id);
                    prop_assert_eq!(windows.find(later), Some(id));
                } else if let Entry::Vacant(vacant) = model.entry(dot) {
                    windows.insert(dot, id);
                    vacant.insert(id);
                }
                prop_assert_eq!(windows.find(dot), model.get(&dot).copied());
            }
            for origin in 0..3 {
                let found: Vec<_> = windows.range(Origin(origin), from..=to).collect();
                let expected: Vec<_> = model
                    .iter()
                    .filter(|(dot, _)| dot.origin() == Origin(origin) && (from..=to).contains(&dot.seq()))
                    .map(|(dot, id)| (*dot, *id))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
