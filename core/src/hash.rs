//! The one hash of the crate: SipHash-1-3 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input
//! PRF", 2012; the reduced rounds are those that Rust's own maps use).
//!
//! Under public keys it identifies (chain tags, version hashes, the beacon, derived ids); that protects nobody from malice.
//! The key is the eight bytes `weftline` and the number of the use, so that hashes of different uses never compare equal by
//! chance. Under a [`Seed`] that others do not know it spreads keys over the tables in memory, where nobody can aim at it.

use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// What a hash is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// `tag(i, 0)`.
    ChainStart = 1,
    /// `tag(i, s)` for s > 0.
    Chain = 2,
    /// The hash of a version vector with its tags.
    Version = 3,
    /// One live dot's share of the beacon.
    Beacon = 4,
    /// Replica ids minted from an opening's entropy.
    Mint = 5,
    /// The checksum of what is kept at rest.
    Checksum = 6,
}

/// Feeds bytes, gives 128 bits.
pub(crate) struct Hasher(SipHasher13);

impl Hasher {
    pub(crate) fn new(domain: Domain) -> Self {
        Self(SipHasher13::new_with_keys(u64::from_le_bytes(*b"weftline"), domain as u64))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}

/// The hash of bytes that are at hand in one piece.
pub(crate) fn hash(domain: Domain, bytes: &[u8]) -> u128 {
    let mut hasher = Hasher::new(domain);
    hasher.write(bytes);
    hasher.finish()
}

/// What the tables of one document are keyed with. What it is never shows: no order and no byte depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64, u64);

impl Seed {
    pub(crate) const fn new(random: u128) -> Self {
        Self(random as u64, (random >> 64) as u64)
    }

    /// 32 bits over bytes of one kind.
    pub(crate) fn hash(self, kind: u8, bytes: &[u8]) -> u32 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1 ^ u64::from(kind));
        hasher.write(bytes);
        hasher.finish128().as_u128() as u32
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
