//! A hash table of numbers: what they stand for is elsewhere, so one piece of code serves every table of a document.
//!
//! Open addressing with linear probing; removal shifts back what follows, so there are no tombstones and a table is as large
//! as what is in it. The hash is kept beside the number, so growing looks at nothing else.
//!
//! Not here: the hash. It must be one that strangers cannot aim at ([`crate::hash::Seed`]), or of numbers that they do not
//! choose.

use crate::fault::{self, Fault};
use alloc::vec::Vec;

/// Numbers by hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// A power of two of them, or none; at most seven eighths are taken.
    slots: Vec<Slot>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    id: u32,
}

const FREE: Slot = Slot { hash: 0, id: u32::MAX };

impl Slot {
    const fn is_free(self) -> bool {
        self.id == u32::MAX
    }
}

impl Table {
    const LEAST: usize = 4;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number with this hash that `is_it`. O(1) on average.
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.place(hash, &mut is_it).map(|place| self.slots[place].id)
    }

    /// Makes room for so many more numbers.
    pub(crate) fn reserve(&mut self, more: usize) {
        let slots = ((self.len + more) * 8).div_ceil(7).next_power_of_two();
        if slots > self.slots.len() {
            self.resize(slots.max(Self::LEAST));
        }
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: u32, id: u32) {
        debug_assert!(id != u32::MAX, "the number that means free");
        self.make_room();
        self.put(Slot { hash, id });
        self.len += 1;
    }

    /// The number with this hash that `is_it`; where there is none, this one is added. O(1) on average.
    pub(crate) fn find_or_insert(&mut self, hash: u32, id: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        debug_assert!(id != u32::MAX, "the number that means free");
        self.make_room();
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.is_free() {
                *slot = Slot { hash, id };
                self.len += 1;
                return None;
            }
            if slot.hash == hash && is_it(slot.id) {
                return Some(slot.id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Puts another number in the place of one.
    pub(crate) fn replace(&mut self, hash: u32, old: u32, new: u32) {
        if let Some(place) = self.place(hash, &mut |id| id == old) {
            self.slots[place].id = new;
        }
    }

    /// Takes a number out and says whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, id: u32) -> bool {
        let Some(mut hole) = self.place(hash, &mut |other| other == id) else { return false };
        let mask = self.slots.len() - 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot.is_free() || fault::active(Fault::TableLosesNeighbours) {
                break;
            }
            // It may fill the hole unless it would then be before the place where its search begins.
            let home = slot.hash as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = next;
            }
        }
        self.slots[hole] = FREE;
        self.len -= 1;
        if self.len * 8 < self.slots.len() && self.slots.len() > Self::LEAST {
            self.resize(self.slots.len() / 2);
        }
        true
    }

    /// Every number with its hash, in an order that means nothing.
    pub(crate) fn hashed(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.slots.iter().filter(|slot| !slot.is_free()).map(|slot| (slot.hash, slot.id))
    }

    /// Every number, in an order that means nothing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + Clone + '_ {
        self.slots.iter().filter(|slot| !slot.is_free()).map(|slot| slot.id)
    }

    fn place(&self, hash: u32, is_it: &mut dyn FnMut(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.is_free() {
                return None;
            }
            if slot.hash == hash && is_it(slot.id) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn make_room(&mut self) {
        if (self.len + 1) * 8 > self.slots.len() * 7 {
            self.resize((self.slots.len() * 2).max(Self::LEAST));
        }
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.hash as usize & mask;
        while !self.slots[at].is_free() {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        let old = core::mem::replace(&mut self.slots, alloc::vec![FREE; slots]);
        for slot in old {
            if !slot.is_free() {
                self.put(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_table_holds_what_a_map_holds(
            // Few hashes, so that most of them collide or are neighbours, at the end of the table too.
            steps in prop::collection::vec((any::<bool>(), 0u32..40, prop::sample::select(alloc::vec![0u32, 1, 2, 30, 31, 63, u32::MAX])), 0..600),
        ) {
            let mut table = Table::default();
            let mut model = BTreeMap::new();
            for (add, id, hash) in steps {
                if add && !model.contains_key(&id) {
                    if id % 2 == 0 {
                        table.insert(hash, id);
                    } else {
                        prop_assert_eq!(table.find_or_insert(hash, id, |other| other == id), None);
                        prop_assert_eq!(table.find_or_insert(hash, 99, |other| other == id), Some(id));
                    }
                    model.insert(id, hash);
                } else if !add {
                    let hash = model.remove(&id);
                    prop_assert_eq!(hash.is_some_and(|hash| table.remove(hash, id)), hash.is_some());
                    prop_assert!(!table.remove(7, id));
                }
                prop_assert_eq!(table.len(), model.len());
                for (id, hash) in &model {
                    prop_assert_eq!(table.find(*hash, |other| other == *id), Some(*id));
                }
                prop_assert!(table.slots.len() <= Table::LEAST.max(16 * model.len()), "as large as what is in it");
            }
            let mut all: Vec<u32> = table.iter().collect();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(model.into_keys()));
        }
    }
}
