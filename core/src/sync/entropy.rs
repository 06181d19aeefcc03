//! Randomness derived from an opening's sixteen random bytes, so that a seed replays.

use crate::hash::{Domain, Hasher};
use crate::replica_id::ReplicaId;

/// A stream of values derived from one seed.
///
/// It must not repeat between openings: the caller's bytes have to be fresh each time. Within an opening the counter keeps
/// values apart.
#[derive(Clone, Debug)]
pub(super) struct Entropy {
    seed: [u8; 16],
    drawn: u64,
}

impl Entropy {
    pub(super) const fn new(seed: [u8; 16]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn next(&mut self) -> u128 {
        self.drawn += 1;
        let mut hasher = Hasher::new(Domain::Mint);
        let seed = u128::from_le_bytes(self.seed);
        hasher.word(seed as u64);
        hasher.word((seed >> 64) as u64);
        hasher.word(self.drawn);
        hasher.end(&[])
    }

    /// A fresh replica id (ID-1).
    pub(super) fn mint(&mut self) -> ReplicaId {
        ReplicaId::from_random(self.next().to_le_bytes())
    }
}
