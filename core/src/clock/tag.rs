//! The hash chain of one replica's deltas.
//!
//! `tag(i, 0) = H(i)` and `tag(i, last dot of d) = H(tag before d ‖ canonical bytes of d)`, cut to 64 bits. Two histories of
//! one replica that differ anywhere differ in every later tag, so comparing one tag compares all that came before it.
//! The hash is unkeyed: it finds accidents (a copied disk, a restored backup), not malice.

use core::fmt;

use crate::hash::{Domain, Hasher, hash};
use crate::replica_id::ReplicaId;

/// Eight bytes that stand for one replica's history up to a dot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; 8]);

impl Tag {
    /// The tag before the first delta of `replica`.
    pub fn start(replica: ReplicaId) -> Self {
        Self::cut(hash(Domain::ChainStart, &replica.to_bytes()))
    }

    /// The tag after a delta with these canonical bytes.
    #[must_use]
    pub fn extend(self, canonical: &[u8]) -> Self {
        let mut hasher = Hasher::new(Domain::Chain);
        hasher.word(u64::from_le_bytes(self.0));
        Self(hasher.end_low(canonical).to_le_bytes())
    }

    /// Takes 8 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    fn cut(hash: u128) -> Self {
        Self((hash as u64).to_le_bytes())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
