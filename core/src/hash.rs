//! The one hash of the crate: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, section 2; the
//! reduced rounds are those that Rust's own maps use; 128 bits of output as in the reference implementation).
//!
//! Under public keys it identifies (chain tags, version hashes, the beacon, derived ids); that protects nobody from malice.
//! The key is the eight bytes `weftline` and the number of the use, so that hashes of different uses never compare equal by
//! chance. Under a [`Seed`] that others do not know it spreads keys over the tables in memory, where nobody can aim at it.
//!
//! It is written out here because what is hashed is short: the crates that offer it take four times as long for a key of
//! sixteen bytes, and as many bytes of wasm. The tests compare it with one of them.

/// What a hash is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// `tag(i, 0)`.
    ChainStart = 1,
    /// `tag(i, s)` for s > 0.
    Chain = 2,
    /// The hash of a version vector with its tags.
    Version = 3,
    /// Text in a live dot's share of the beacon.
    Beacon = 4,
    /// Replica ids minted from an opening's entropy.
    Mint = 5,
    /// The checksum of what is kept at rest.
    Checksum = 6,
    /// The id that the deltas of a void branch get.
    Void = 7,
    /// The names that peers have for each other.
    Peer = 8,
    /// The names of diffs that are sent in parts.
    Diff = 9,
}

/// The 128 bits over bytes in one piece.
pub(crate) fn hash(domain: Domain, bytes: &[u8]) -> u128 {
    Hasher::new(domain).end(bytes)
}

/// Takes words of eight bytes, and at the end whatever bytes are left.
#[derive(Clone, Copy)]
pub(crate) struct Hasher {
    sip: Sip,
    words: u64,
}

impl Hasher {
    pub(crate) fn new(domain: Domain) -> Self {
        Self { sip: Sip::new(u64::from_le_bytes(*b"weftline"), domain as u64, true), words: 0 }
    }

    /// Eight bytes, as a little-endian number.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn word(&mut self, word: u64) {
        self.sip.absorb(word);
        self.words += 1;
    }

    /// The lower half of [`Self::end`].
    pub(crate) fn end_low(mut self, bytes: &[u8]) -> u64 {
        self.sip.absorb_rest(bytes, self.words * 8);
        self.sip.v2 ^= 0xee;
        self.sip.finish()
    }

    /// The hash of all words and of these bytes after them.
    pub(crate) fn end(mut self, bytes: &[u8]) -> u128 {
        self.sip.absorb_rest(bytes, self.words * 8);
        self.sip.v2 ^= 0xee;
        let low = self.sip.finish();
        self.sip.v1 ^= 0xdd;
        u128::from(low) | u128::from(self.sip.finish()) << 64
    }
}

/// A few words whose hash is wanted: the sum of the products of neighbouring words, each plus a constant (NH: Black, Halevi,
/// Krawczyk, Krovetz and Rogaway, "UMAC: Fast and Secure Message Authentication", 1999, section 4), and then three rounds of a
/// Feistel network over its two halves (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom
/// functions", 1988), because sums of products would cancel each other where hashes are added up. That takes every sum to a
/// hash of its own, so two lists of words collide with a chance of 2⁻⁶⁴, for a fifth of what hashing all of them costs.
pub(crate) struct Words {
    sum: u128,
    /// The last word, plus its constant, if it has no neighbour yet.
    first: u64,
    len: usize,
}

impl Words {
    /// As many as anybody puts in.
    pub(crate) const MOST: usize = 32;

    /// The first numbers of SplitMix64 from zero.
    const CONSTANTS: [u64; Self::MOST] = {
        let mut constants = [0; Self::MOST];
        let mut at = 0;
        while at < Self::MOST {
            constants[at] = Self::next((at as u64).wrapping_mul(Self::STEP));
            at += 1;
        }
        constants
    };

    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The number that SplitMix64 gives from a state (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    /// 2014, figure 17).
    const fn next(state: u64) -> u64 {
        let mut number = state.wrapping_add(Self::STEP);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    pub(crate) const fn new() -> Self {
        Self { sum: 0, first: 0, len: 0 }
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(crate) fn push(&mut self, word: u64) {
        let word = word.wrapping_add(Self::CONSTANTS[self.len % Self::MOST]);
        if self.len.is_multiple_of(2) {
            self.first = word;
        } else {
            self.sum = self.sum.wrapping_add(u128::from(self.first) * u128::from(word));
        }
        self.len += 1;
    }

    /// The hash. A missing last word is 0: the words say themselves how many they are.
    pub(crate) fn hash(mut self) -> u128 {
        debug_assert!(self.len <= Self::MOST, "there is a constant for each word");
        if !self.len.is_multiple_of(2) {
            self.push(0);
        }
        let (mut low, mut high) = (self.sum as u64, (self.sum >> 64) as u64);
        high ^= Self::next(low);
        low ^= Self::next(high);
        high ^= Self::next(low);
        u128::from(low) | u128::from(high) << 64
    }
}

/// What the tables of one document are keyed with. What it is never shows: no order and no byte depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64, u64);

impl Seed {
    pub(crate) const fn new(random: u128) -> Self {
        Self(random as u64, (random >> 64) as u64)
    }

    /// Bits that others do not know, for a table that is thrown away.
    pub(crate) const fn secret(self) -> u64 {
        self.0 ^ self.1.rotate_left(32)
    }

    /// 32 bits over bytes of one kind.
    pub(crate) fn hash(self, kind: u8, bytes: &[u8]) -> u32 {
        let mut sip = Sip::new(self.0, self.1 ^ u64::from(kind), false);
        sip.absorb_rest(bytes, 0);
        sip.v2 ^= 0xff;
        sip.finish() as u32
    }
}

impl Default for Seed {
    /// A seed that nobody else knows, where the standard library can give one.
    #[cfg(feature = "std")]
    fn default() -> Self {
        use core::hash::BuildHasher as _;
        use std::collections::hash_map::RandomState;

        let state = RandomState::new();
        Self(state.hash_one(0u8), state.hash_one(1u8))
    }

    /// Without the standard library there is no randomness: whoever takes in what strangers wrote gives a seed.
    #[cfg(not(feature = "std"))]
    fn default() -> Self {
        Self(0, 0)
    }
}

/// The state of the hash; the names are those of the paper.
#[derive(Clone, Copy)]
struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl Sip {
    #[inline]
    fn new(k0: u64, k1: u64, wide: bool) -> Self {
        let v1 = k1 ^ 0x646f_7261_6e64_6f6d ^ if wide { 0xee } else { 0 };
        Self { v0: k0 ^ 0x736f_6d65_7073_6575, v1, v2: k0 ^ 0x6c79_6765_6e65_7261, v3: k1 ^ 0x7465_6462_7974_6573 }
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    /// The last bytes, with the length of all that came before them.
    #[inline]
    fn absorb_rest(&mut self, bytes: &[u8], before: u64) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.absorb(u64::from_le_bytes(*word));
        }
        let mut last = (before + bytes.len() as u64) << 56;
        match (bytes.last_chunk::<8>(), rest.len()) {
            (_, 0) => {}
            // What is left is the end of the last eight bytes.
            (Some(end), left) => last |= u64::from_le_bytes(*end) >> (64 - 8 * left),
            (None, _) => {
                for (at, byte) in rest.iter().enumerate() {
                    last |= u64::from(*byte) << (8 * at);
                }
            }
        }
        self.absorb(last);
    }

    #[inline]
    fn finish(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::hash::Hasher as _;

    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;
    use siphasher::sip128::{Hasher128 as _, SipHasher13 as Wide};

    use super::*;

    /// Whoever knew the seed of a table could choose keys that crowd it. Under any other seed these are as good as any.
    #[test]
    fn keys_that_were_chosen_to_collide_do_so_under_one_seed_only() {
        const BUCKETS: u32 = 1 << 10;
        let bucket = |seed: u128, key: u64| Seed::new(seed).hash(1, &key.to_le_bytes()) % BUCKETS;
        let chosen: Vec<u64> = (0..).filter(|key| bucket(1, *key) == 0).take(100).collect();
        for seed in [0, 2, 3, u128::MAX] {
            let mut taken: Vec<u32> = chosen.iter().map(|key| bucket(seed, *key)).collect();
            taken.sort_unstable();
            let most = taken.chunk_by(|a, b| a == b).map(<[u32]>::len).max();
            assert!(most <= Some(5), "{most:?} of {} in one of {BUCKETS}", chosen.len());
        }
    }

    proptest! {
        #[test]
        fn it_is_siphash(words in prop::collection::vec(any::<u64>(), 0..4), bytes in prop::collection::vec(any::<u8>(), 0..70), key: u128) {
            let mut wide = Wide::new_with_keys(u64::from_le_bytes(*b"weftline"), Domain::Mint as u64);
            let mut hasher = Hasher::new(Domain::Mint);
            for word in words {
                wide.write(&word.to_le_bytes());
                hasher.word(word);
            }
            wide.write(&bytes);
            prop_assert_eq!(hasher.end(&bytes), wide.finish128().as_u128());

            let seed = Seed::new(key);
            let mut narrow = SipHasher13::new_with_keys(seed.0, seed.1 ^ 7);
            narrow.write(&bytes);
            prop_assert_eq!(seed.hash(7, &bytes), narrow.finish() as u32);
        }
    }
}
