//! Numbers for what a column says in full only once: by the order of first occurrence.
//!
//! A few are found by looking at each; many through a table of hashes. What is numbered came from outside, so the hash is
//! seeded with something that depends on all of it: whoever wants many to collide would have to know the seed before they
//! choose what it is made of.

use alloc::vec;
use alloc::vec::Vec;

use crate::store::ContainerRef;

/// Up to here comparing with each is faster than hashing.
const FEW: usize = 12;

/// What can be numbered.
pub(crate) trait Numbered: Copy + PartialEq {
    fn hash(&self, seed: u64) -> u64;
}

impl Numbered for &str {
    fn hash(&self, seed: u64) -> u64 {
        hash_bytes(seed, self.as_bytes())
    }
}

impl Numbered for ContainerRef<'_> {
    fn hash(&self, seed: u64) -> u64 {
        match self {
            Self::Root { name, kind } => hash_bytes(mix(seed, kind.0.into()), name.as_bytes()),
            Self::Entity(entity) => {
                let id = entity.replica.to_bytes();
                hash_bytes(mix(seed, entity.seq), &id)
            }
        }
    }
}

/// What was numbered so far.
pub(crate) struct Numbers<K> {
    /// By number: what it stands for, and with what it was noted: at which entry it occurred first, or its number among more.
    known: Vec<(K, usize)>,
    /// Numbers plus one by hash, each below the upper half of its hash; 0 where there is none; empty while there are few.
    table: Vec<u64>,
    seed: u64,
}

impl<K: Numbered> Numbers<K> {
    pub(crate) const fn new() -> Self {
        Self { known: Vec::new(), table: Vec::new(), seed: 0 }
    }

    /// The number of `key`; `None` if it is new, and then it has one from now on. `seed` is asked for when there are many.
    pub(crate) fn number(&mut self, key: K, place: usize, seed: impl FnOnce() -> u64) -> Option<u64> {
        if self.table.is_empty() {
            if let Some(number) = self.known.iter().position(|(known, _)| *known == key) {
                return Some(number as u64);
            }
            self.known.push((key, place));
            if self.known.len() > FEW {
                self.seed = seed();
                self.grow();
            }
            return None;
        }
        let hash = key.hash(self.seed);
        let mut slot = hash as usize;
        let mask = self.table.len() - 1;
        loop {
            let taken = self.table.get_mut(slot & mask)?;
            if *taken == 0 {
                *taken = mark(hash, self.known.len());
                break;
            }
            if (*taken ^ hash) >> 32 == 0 {
                let number = (*taken as u32 - 1) as usize;
                if self.known.get(number).is_some_and(|(known, _)| *known == key) {
                    return Some(number as u64);
                }
            }
            slot = slot.wrapping_add(1);
        }
        self.known.push((key, place));
        if self.known.len() * 2 > self.table.len() {
            self.grow();
        }
        None
    }

    /// How many numbers were given.
    pub(crate) fn given(&self) -> u64 {
        self.known.len() as u64
    }

    /// What was noted with a number.
    pub(crate) fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number).ok().and_then(|number| self.known.get(number)).map(|(_, place)| *place)
    }

    #[cfg_attr(target_family = "wasm", inline(never))]
    fn grow(&mut self) {
        let len = (self.known.len() * 4).next_power_of_two();
        self.table = vec![0; len];
        for (number, (key, _)) in self.known.iter().enumerate() {
            let hash = key.hash(self.seed);
            let mut slot = hash as usize;
            while let Some(taken) = self.table.get_mut(slot & (len - 1)) {
                if *taken == 0 {
                    *taken = mark(hash, number);
                    break;
                }
                slot = slot.wrapping_add(1);
            }
        }
    }
}

/// What the table holds for a number.
fn mark(hash: u64, number: usize) -> u64 {
    hash >> 32 << 32 | (number as u64 + 1)
}

#[cfg_attr(target_family = "wasm", inline(never))]
fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed, bytes.len() as u64);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        hash = mix(hash, word.try_into().map_or(0, u64::from_le_bytes));
    }
    let rest = words.remainder().iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    mix(hash, rest)
}

/// Folds the product: every bit of both has a part in the low ones.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ b ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
    product as u64 ^ (product >> 64) as u64
}
