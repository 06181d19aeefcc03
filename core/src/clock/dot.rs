//! Dots: the names of single events.
//!
//! Rules: DOT-1 a dot is bound to one payload for ever.

use core::fmt;

use crate::replica_id::{Origin, ReplicaId};

/// `(replica, seq)`: the name of one immutable payload, and of a list element for as long as that lives.
///
/// Ordered by replica id, then by sequence number: the order that every replica agrees on. Shown as `replica:seq`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who wrote it.
    pub replica: ReplicaId,
    /// The writer's count of dots, from 1.
    pub seq: u64,
}

impl Dot {
    /// The largest sequence number: a dot packs into 64 bits together with its replica's number.
    pub const MAX_SEQ: u64 = (1 << 44) - 1;

    /// The bunch above all others in the forest of positions. Nobody wrote it.
    pub const ROOT: Self = Self { replica: ReplicaId::NIL, seq: 0 };

    /// The dot of `replica` with number `seq`.
    pub const fn new(replica: ReplicaId, seq: u64) -> Self {
        Self { replica, seq }
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.seq)
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A dot inside one document: 20 bits for the replica's number, 44 for the sequence number.
///
/// The order groups the dots of one replica, ascending by sequence number; it differs between replicas, so nothing that
/// replicas must agree on may depend on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LocalDot(u64);

impl LocalDot {
    /// Stands for [`Dot::ROOT`]. No written dot has it, because sequence numbers start at 1.
    pub(crate) const ROOT: Self = Self(0);

    pub(crate) const fn new(origin: Origin, seq: u64) -> Self {
        debug_assert!(seq <= Dot::MAX_SEQ);
        Self(((origin.0 as u64) << 44) | seq)
    }

    /// The 64 bits: the replica's number above the sequence number.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn origin(self) -> Origin {
        Origin((self.0 >> 44) as u32)
    }

    pub(crate) const fn seq(self) -> u64 {
        self.0 & Dot::MAX_SEQ
    }
}

impl fmt::Debug for LocalDot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}:{}", self.origin().0, self.seq())
    }
}
