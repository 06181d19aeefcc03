//! The live entries by dot, and the log of removals.
//!
//! `live` is ordered by (replica number, seq), so what one replica wrote beyond a version is one range scan. `children`
//! pairs every entity with the live dots inside it, so that the death of an entity finds its subtree. The beacon is kept
//! up to date by every insertion and removal.
//!
//! Not here: what the entries mean to a reader; that is the view in `crate::document`.

mod container;
mod entry;
mod hash;
mod removals;

use core::ops::RangeInclusive;

pub use container::Container;
pub(crate) use container::LocalContainer;
pub use entry::{Entry, Kind, Payload, Slot};
pub(crate) use hash::beacon_share;
pub use removals::RemovalRun;
pub(crate) use removals::{LocalRun, Removals};

use crate::clock::{Dot, Hlc, LocalDot};
use crate::ordered::{Map, Set};
use crate::replica_id::Origin;
use crate::value::Value;

/// A live entry inside one document.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) container: LocalContainer,
    pub(crate) slot: Slot,
    pub(crate) kind: Kind,
    pub(crate) entity: bool,
    pub(crate) payload: Payload,
    pub(crate) hlc: Hlc,
}

/// Every live dot with what it is bound to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    live: Map<LocalDot, Live>,
    children: Set<(LocalDot, LocalDot)>,
    beacon: u128,
    bytes: usize,
}

impl Live {
    /// About how many bytes it takes when it is written: what its slot and payload hold, and what else every entry takes.
    pub(crate) fn byte_len(&self) -> usize {
        const REST: usize = 8;
        let value = |value: &Value| match value {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 4,
        };
        let slot = match &self.slot {
            Slot::Key(key) => key.len(),
            Slot::Member(member) => value(member),
            _ => 0,
        };
        let payload = match &self.payload {
            Payload::Value(content) => value(content),
            Payload::Opaque(bytes) => bytes.len(),
            _ => 0,
        };
        slot + payload + REST
    }
}

impl Store {
    pub(crate) fn get(&self, dot: LocalDot) -> Option<&Live> {
        self.live.get(&dot)
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// About how many bytes all that lives takes when it is written.
    pub(crate) fn live_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn beacon(&self) -> u128 {
        self.beacon
    }

    /// Adds a dot; `share` is its share of the beacon.
    pub(crate) fn insert(&mut self, dot: LocalDot, entry: Live, share: u128) {
        if let LocalContainer::Entity(parent) = entry.container {
            self.children.insert((parent, dot));
        }
        self.bytes += entry.byte_len();
        let old = self.live.insert(dot, entry);
        debug_assert!(old.is_none(), "DOT-1: a dot is inserted once");
        self.beacon = self.beacon.wrapping_add(share);
    }

    /// Removes a dot; its share of the beacon is subtracted separately.
    pub(crate) fn remove(&mut self, dot: LocalDot) -> Option<Live> {
        let entry = self.live.remove(&dot)?;
        self.bytes -= entry.byte_len();
        if let LocalContainer::Entity(parent) = entry.container {
            self.children.remove(&(parent, dot));
        }
        Some(entry)
    }

    pub(crate) fn subtract(&mut self, share: u128) {
        self.beacon = self.beacon.wrapping_sub(share);
    }

    /// The live dots of `origin` in a range of sequence numbers, ascending. O(log n + found).
    pub(crate) fn range(
        &self,
        origin: Origin,
        seqs: RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = (LocalDot, &Live)> {
        let last = (*seqs.end()).min(Dot::MAX_SEQ);
        // An empty range is given as 1..=0, which the map would refuse.
        let first = (*seqs.start()).min(last);
        let nothing = *seqs.start() > last;
        self.live
            .range(LocalDot::new(origin, first)..=LocalDot::new(origin, last))
            .filter(move |_| !nothing)
            .map(|(dot, entry)| (*dot, entry))
    }

    /// The live dots directly inside an entity.
    pub(crate) fn children(&self, entity: LocalDot) -> impl Iterator<Item = LocalDot> + '_ {
        let first = LocalDot::ROOT;
        self.children.range((entity, first)..).take_while(move |pair| pair.0 == entity).map(|pair| pair.1)
    }
}
