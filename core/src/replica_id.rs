//! Who writes: a replica's 128-bit id, and the small numbers that stand for ids inside one document.
//!
//! A [`ReplicaId`] also breaks ties, so comparisons that every replica must agree on use the full id, never the interned
//! number, which depends on the order in which a replica met the others.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use crate::clock::{Dot, LocalDot};
use crate::ordered::Map;

/// The identity of one writer: a UUID (version 4 when minted, any 128 bits when derived).
///
/// Ids are ordered by their bytes; that order breaks ties between concurrent writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId {
    // The bytes as two numbers, most significant first: they compare in two instructions, and ids are compared everywhere.
    high: u64,
    low: u64,
}

impl ReplicaId {
    /// The id nobody has. It stands for "no replica" where a table needs a value.
    pub const NIL: Self = Self { high: 0, low: 0 };

    /// Takes 16 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        Self { high: (number >> 64) as u64, low: number as u64 }
    }

    /// A version-4 UUID made of 16 random bytes. The caller supplies the randomness.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self::from_bytes(uuid::Builder::from_random_bytes(random).into_uuid().into_bytes())
    }

    /// The 16 bytes as two little-endian numbers.
    pub(crate) const fn words(self) -> (u64, u64) {
        (self.high.swap_bytes(), self.low.swap_bytes())
    }

    /// The 16 bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        (((self.high as u128) << 64) | self.low as u128).to_be_bytes()
    }
}

impl From<u128> for ReplicaId {
    fn from(number: u128) -> Self {
        Self::from_bytes(number.to_be_bytes())
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&uuid::Uuid::from_bytes(self.to_bytes()), f)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a replica id: a UUID was expected")]
pub struct ReplicaIdError;

impl FromStr for ReplicaId {
    type Err = ReplicaIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::try_parse(text).map(|uuid| Self::from_bytes(uuid.into_bytes())).map_err(|_| ReplicaIdError)
    }
}

/// The number of a replica inside one document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Origin(pub(crate) u32);

/// The replicas one document has met, each with a small number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    ids: Vec<ReplicaId>,
    numbers: Map<ReplicaId, Origin>,
}

impl Origins {
    /// How many replicas one document can hold: what a packed dot has room for.
    pub(crate) const LIMIT: usize = 1 << 19;
    /// Up to here comparing with each is faster than searching.
    const FIRST: usize = 4;

    /// The number of `id`, given now if it has none. Callers check [`Self::LIMIT`] before they intern what came from
    /// outside.
    pub(crate) fn intern(&mut self, id: ReplicaId) -> Origin {
        if let Some(known) = self.get(&id) {
            return known;
        }
        let next = Origin(self.ids.len() as u32);
        self.numbers.insert(id, next);
        self.ids.push(id);
        next
    }

    pub(crate) fn get(&self, id: &ReplicaId) -> Option<Origin> {
        // Most documents have a few writers, and one of the first is asked for again and again.
        for (number, first) in self.ids.iter().take(Self::FIRST).enumerate() {
            if first == id {
                return Some(Origin(number as u32));
            }
        }
        if self.ids.len() <= Self::FIRST { None } else { self.numbers.get(id).copied() }
    }

    pub(crate) fn id(&self, origin: Origin) -> ReplicaId {
        self.ids[origin.0 as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Every known replica in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReplicaId, Origin)> + '_ {
        self.numbers.pairs()
    }

    pub(crate) fn local(&self, dot: Dot) -> Option<LocalDot> {
        if dot == Dot::ROOT {
            return Some(LocalDot::ROOT);
        }
        self.get(&dot.replica).map(|origin| LocalDot::new(origin, dot.seq))
    }

    pub(crate) fn intern_dot(&mut self, dot: Dot) -> LocalDot {
        if dot == Dot::ROOT { LocalDot::ROOT } else { LocalDot::new(self.intern(dot.replica), dot.seq) }
    }

    pub(crate) fn dot(&self, local: LocalDot) -> Dot {
        if local == LocalDot::ROOT {
            return Dot::ROOT;
        }
        Dot { replica: self.id(local.origin()), seq: local.seq() }
    }

    /// The order every replica agrees on: full id, then sequence number.
    pub(crate) fn compare(&self, a: LocalDot, b: LocalDot) -> Ordering {
        if a.origin() == b.origin() { a.seq().cmp(&b.seq()) } else { self.dot(a).cmp(&self.dot(b)) }
    }
}
