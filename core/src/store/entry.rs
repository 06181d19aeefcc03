//! Entries: what a dot is bound to, as replicas exchange it.
//!
//! Everything the join and the live set depend on is in the entry's header (container, slot, kind, entity bit), never in
//! its payload, so that a version which does not know a kind still computes the same live set and passes the entry on.

use alloc::sync::Arc;

use super::container::Container;
use crate::clock::Dot;
use crate::string::Str;
use crate::value::Value;

/// What kind of thing an entry or a container is. Unknown kinds are stored, joined by dots and passed on, but not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// A value that is overwritten as a whole; concurrent writes are all kept.
    pub const REGISTER: Self = Self(1);
    /// On or off; enabling wins over a concurrent disabling.
    pub const FLAG: Self = Self(2);
    /// A number that replicas add to.
    pub const COUNTER: Self = Self(3);
    /// Values without order; adding wins over a concurrent removal.
    pub const SET: Self = Self(4);
    /// Keys with values and nested containers.
    pub const MAP: Self = Self(5);
    /// Elements in an order that everybody agrees on.
    pub const LIST: Self = Self(6);
    /// Text. The number is taken; the type is not built yet.
    pub const TEXT: Self = Self(7);
    /// A member of a set.
    pub const MEMBER: Self = Self(16);
    /// One replica's running total in a counter.
    pub const TOTAL: Self = Self(17);
    /// A later position of a list element.
    pub const MOVE: Self = Self(18);

    /// Whether this version knows the kind as one a container can have.
    pub const fn is_container(self) -> bool {
        self.0 >= Self::REGISTER.0 && self.0 <= Self::LIST.0
    }

    /// A name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::REGISTER => "register",
            Self::FLAG => "flag",
            Self::COUNTER => "counter",
            Self::SET => "set",
            Self::MAP => "map",
            Self::LIST => "list",
            Self::TEXT => "text",
            Self::MEMBER => "member",
            Self::TOTAL => "total",
            Self::MOVE => "move",
            _ => "unknown kind",
        }
    }
}

/// Where in its container an entry sits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The only slot of a register or a flag.
    Unit,
    /// A map key.
    Key(Str),
    /// A member of a set.
    Member(Value),
    /// The slot of the writing replica: counters.
    Owner,
    /// A position: lists. The value's dot has the same replica as the bunch (SEQ-2), and its distance from the bunch's
    /// dot is its index, so only the bunch's sequence number is given.
    Position {
        /// The sequence number of the bunch; its replica is the replica of the entry's dot.
        bunch: u64,
        /// Whether the index counts to the left.
        backward: bool,
    },
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: presence is all it says.
    Empty,
    /// A plain value.
    Value(Value),
    /// A replica's running totals.
    Total {
        /// The sum of all increments.
        plus: u64,
        /// The sum of all decrements.
        minus: u64,
    },
    /// The payload of a kind this version does not know, kept byte for byte.
    Opaque(Arc<[u8]>),
}

/// What one dot is bound to (DOT-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is in.
    pub container: Container,
    /// Where in it.
    pub slot: Slot,
    /// What it is.
    pub kind: Kind,
    /// Whether other entries may be in it.
    pub entity: bool,
    /// What it holds.
    pub payload: Payload,
}

/// A [`Container`] that is borrowed from wherever it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerRef<'a> {
    Root { name: &'a str, kind: Kind },
    Entity(Dot),
}

/// A [`Slot`] that is borrowed from wherever it is held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SlotRef<'a> {
    Unit,
    Key(&'a str),
    Member(&'a Value),
    Owner,
    Position { bunch: u64, backward: bool },
}

/// An [`Entry`] that is borrowed from wherever it is held: what is written needs not be put together first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRef<'a> {
    pub(crate) container: ContainerRef<'a>,
    pub(crate) slot: SlotRef<'a>,
    pub(crate) kind: Kind,
    pub(crate) entity: bool,
    pub(crate) payload: &'a Payload,
}

impl<'a> From<&'a Container> for ContainerRef<'a> {
    fn from(container: &'a Container) -> Self {
        match container {
            Container::Root { name, kind } => Self::Root { name, kind: *kind },
            Container::Entity(entity) => Self::Entity(*entity),
        }
    }
}

impl<'a> From<&'a Entry> for EntryRef<'a> {
    fn from(entry: &'a Entry) -> Self {
        let slot = match &entry.slot {
            Slot::Unit => SlotRef::Unit,
            Slot::Key(key) => SlotRef::Key(key),
            Slot::Member(member) => SlotRef::Member(member),
            Slot::Owner => SlotRef::Owner,
            Slot::Position { bunch, backward } => SlotRef::Position { bunch: *bunch, backward: *backward },
        };
        let (kind, entity, payload) = (entry.kind, entry.entity, &entry.payload);
        Self { container: (&entry.container).into(), slot, kind, entity, payload }
    }
}
