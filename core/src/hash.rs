//! The one hash of the crate: SipHash-2-4 with 128 bits of output, under public keys.
//!
//! It identifies (chain tags, version hashes, the beacon, derived ids); it protects nobody from malice. The key is the
//! eight bytes `weftline` and the number of the use, so that hashes of different uses never compare equal by chance.

use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

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
pub(crate) struct Hasher(SipHasher24);

impl Hasher {
    pub(crate) fn new(domain: Domain) -> Self {
        Self(SipHasher24::new_with_keys(u64::from_le_bytes(*b"weftline"), domain as u64))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}
