//! The map keys of one document, each held once and known by a number.
//!
//! A table of a thousand rows has its column names a thousand times; here they are counted instead of copied. A key that
//! nothing refers to any more is given up at the end of the batch of changes, not before: notes of what changed name keys
//! by their numbers.

use alloc::vec::Vec;

use super::push_tight;
use super::table::Table;
use crate::fault::{self, Fault};
use crate::hash::Seed;
use crate::string::Str;

/// The number of a key inside one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId(pub(crate) u32);

impl KeyId {
    /// Its hash in a table of keys. Numbers are given in turn, so nobody chooses them; no two have the same. The upper bytes
    /// are mixed into the lowest, so that keys at equal distances do not meet; numbers in turn still have places of their own.
    pub(crate) const fn hash(self) -> u32 {
        let half = self.0 ^ self.0 >> 16;
        (half ^ half >> 8).wrapping_mul(SPREAD)
    }

    /// The key with this hash.
    pub(crate) const fn of(hash: u32) -> Self {
        let mixed = hash.wrapping_mul(GATHER);
        Self(mixed ^ mixed >> 8)
    }
}

const SPREAD: u32 = 0x9e37_79b1;
/// Its inverse: of an odd number it comes out of Newton's iteration, whose right bits double each time, from three on.
const GATHER: u32 = {
    let (mut inverse, mut step) = (SPREAD, 0);
    while step < 4 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(SPREAD.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};
const _: () = assert!(SPREAD.wrapping_mul(GATHER) == 1);

#[derive(Clone, Debug)]
struct Name {
    text: Str,
    hash: u32,
    uses: u32,
}

/// Keys by number and by text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    names: Vec<Name>,
    table: Table,
    free: Vec<u32>,
    /// Keys whose last use went in this batch; some may be in use again.
    idle: Vec<u32>,
}

const KEY: u8 = 1;

impl Keys {
    pub(crate) fn text(&self, key: KeyId) -> &Str {
        &self.names[key.0 as usize].text
    }

    /// The number of a key, if it has one.
    pub(crate) fn find(&self, seed: Seed, text: &str) -> Option<KeyId> {
        self.find_hashed(seed.hash(KEY, text.as_bytes()), text)
    }

    fn find_hashed(&self, hash: u32, text: &str) -> Option<KeyId> {
        self.table.find(hash, |id| self.names[id as usize].text.as_str() == text).map(KeyId)
    }

    /// The number of a key, given now if it has none, for one more use.
    pub(crate) fn acquire(&mut self, seed: Seed, text: &str) -> KeyId {
        let hash = seed.hash(KEY, text.as_bytes());
        if let Some(key) = self.find_hashed(hash, text) {
            self.acquire_again(key);
            return key;
        }
        self.add(hash, text)
    }

    /// The number of a key that has none, for its first use; nothing if it has one.
    pub(crate) fn acquire_new(&mut self, seed: Seed, text: &str) -> Option<KeyId> {
        let hash = seed.hash(KEY, text.as_bytes());
        self.find_hashed(hash, text).is_none().then(|| self.add(hash, text))
    }

    fn add(&mut self, hash: u32, text: &str) -> KeyId {
        let name = Name { text: text.into(), hash, uses: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                self.names[id as usize] = name;
                id
            }
            None => {
                push_tight(&mut self.names, name);
                self.names.len() as u32 - 1
            }
        };
        self.table.insert(hash, id);
        KeyId(id)
    }

    /// Whether a key has one use.
    pub(crate) fn is_used_once(&self, key: KeyId) -> bool {
        self.names[key.0 as usize].uses == 1
    }

    /// One more use of a key.
    pub(crate) fn acquire_again(&mut self, key: KeyId) {
        self.names[key.0 as usize].uses += 1;
    }

    /// One use less.
    pub(crate) fn release(&mut self, key: KeyId) {
        let name = &mut self.names[key.0 as usize];
        name.uses -= 1;
        if name.uses == 0 {
            self.idle.push(key.0);
        }
    }

    /// Gives back what room there is for more keys.
    pub(crate) fn shrink(&mut self) {
        self.names.shrink_to_fit();
    }

    /// How many uses of it are counted.
    #[cfg(test)]
    pub(crate) fn uses(&self, key: KeyId) -> u32 {
        self.names[key.0 as usize].uses
    }

    /// Ends a batch: gives up the keys that are in use no more.
    pub(crate) fn settle(&mut self) {
        while let Some(id) = self.idle.pop() {
            let name = &mut self.names[id as usize];
            // One that went twice is here twice.
            let unused = name.uses == 0 || fault::active(Fault::KeyGivenUpInUse);
            if unused && self.table.remove(name.hash, id) {
                name.text = Str::default();
                self.free.push(id);
            }
        }
    }

    /// Spreads the keys by another seed.
    pub(crate) fn reseed(&mut self, seed: Seed) {
        let old = core::mem::take(&mut self.table);
        for id in old.iter() {
            let name = &mut self.names[id as usize];
            name.hash = seed.hash(KEY, name.text.as_bytes());
            self.table.insert(name.hash, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_at_equal_distances_have_places_of_their_own() {
        for distance in [1, 2, 256, 512, 1 << 16, 1 << 24] {
            let numbers = (0..64).map(|number| KeyId(number * distance));
            assert!(numbers.clone().all(|key| KeyId::of(key.hash()) == key), "the hash tells the number");
            let places: BTreeSet<u32> = numbers.map(|key| key.hash() % 256).collect();
            assert!(places.len() >= 32, "{distance}: {places:?}");
        }
    }

    #[test]
    fn a_key_keeps_its_number_while_it_is_used_and_until_the_batch_ends() {
        let (mut keys, seed) = (Keys::default(), Seed::new(7));
        let a = keys.acquire(seed, "a");
        assert_eq!(keys.acquire(seed, "a"), a);
        keys.release(a);
        keys.settle();
        assert_eq!(keys.find(seed, "a"), Some(a));
        keys.release(a);
        assert_eq!(keys.acquire(seed, "a"), a, "it is not given up before the batch ends");
        keys.release(a);
        keys.settle();
        assert_eq!(keys.find(seed, "a"), None);
        let b = keys.acquire(seed, "b");
        assert_eq!(b, a, "numbers are used again");
        assert_eq!(keys.text(b), &"b");
        keys.reseed(Seed::new(8));
        assert_eq!(keys.find(Seed::new(8), "b"), Some(b));
    }
}
