//! Entries: what a dot is bound to, as replicas exchange it.
//!
//! Everything the join and the live set depend on is in the entry's header (container, slot, kind, entity bit), never in
//! its payload, so that a version which does not know a kind still computes the same live set and passes the entry on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::container::Container;
use crate::clock::Dot;
use crate::replica_id::ReplicaId;
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
    /// Characters in an order that everybody agrees on.
    pub const TEXT: Self = Self(7);
    /// A value that only grows: the greatest of all that were written.
    pub const MAX_REGISTER: Self = Self(8);
    /// A value that only shrinks: the least of all that were written.
    pub const MIN_REGISTER: Self = Self(9);
    /// On or off; disabling wins over a concurrent enabling.
    pub const DISABLE_WINS_FLAG: Self = Self(10);
    /// Values without order; removing wins over a concurrent addition.
    pub const REMOVE_WINS_SET: Self = Self(11);
    /// Values without order, which are only ever added.
    pub const GROW_ONLY_SET: Self = Self(12);
    /// A number that never goes below its floor.
    pub const BOUNDED_COUNTER: Self = Self(13);
    /// A member of a set.
    pub const MEMBER: Self = Self(16);
    /// One replica's running total in a counter.
    pub const TOTAL: Self = Self(17);
    /// A later position of a list element.
    pub const MOVE: Self = Self(18);
    /// A value that was removed from a remove-wins set.
    pub const ABSENT: Self = Self(19);
    /// One replica's rights in a bounded counter.
    pub const RIGHTS: Self = Self(20);
    /// That a disable-wins flag was turned off.
    pub const DISABLED: Self = Self(21);
    /// A character of a text. It is in no list of entries: characters are held and sent as runs ([`super::TextRun`]).
    pub const CHARACTER: Self = Self(22);
    /// What is said of a range of a text. Its payload is opaque to all but those who show it.
    pub const MARK: Self = Self(23);

    /// Whether this version knows the kind as one a container can have.
    pub const fn is_container(self) -> bool {
        self.0 >= Self::REGISTER.0 && self.0 <= Self::BOUNDED_COUNTER.0
    }

    /// Whether a container of this kind shows plain entries of kind `entry`, in the slot that its kind has. What a map or a
    /// list shows is decided where they are read.
    pub(crate) const fn shows(self, entry: Self) -> bool {
        match self {
            Self::REGISTER | Self::MAX_REGISTER | Self::MIN_REGISTER => entry.0 == Self::REGISTER.0,
            Self::FLAG => entry.0 == Self::FLAG.0,
            Self::DISABLE_WINS_FLAG => entry.0 == Self::FLAG.0 || entry.0 == Self::DISABLED.0,
            Self::SET | Self::GROW_ONLY_SET => entry.0 == Self::MEMBER.0,
            Self::REMOVE_WINS_SET => entry.0 == Self::MEMBER.0 || entry.0 == Self::ABSENT.0,
            Self::COUNTER => entry.0 == Self::TOTAL.0,
            Self::BOUNDED_COUNTER => entry.0 == Self::RIGHTS.0,
            _ => false,
        }
    }

    /// Whether nothing is ever taken out of a container of this kind, but with it.
    pub(crate) const fn only_grows(self) -> bool {
        matches!(self, Self::MAX_REGISTER | Self::MIN_REGISTER | Self::GROW_ONLY_SET)
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
            Self::MAX_REGISTER => "max register",
            Self::MIN_REGISTER => "min register",
            Self::DISABLE_WINS_FLAG => "disable-wins flag",
            Self::REMOVE_WINS_SET => "remove-wins set",
            Self::GROW_ONLY_SET => "grow-only set",
            Self::BOUNDED_COUNTER => "bounded counter",
            Self::MEMBER => "member",
            Self::TOTAL => "total",
            Self::MOVE => "move",
            Self::ABSENT => "absent member",
            Self::RIGHTS => "rights",
            Self::DISABLED => "disabling",
            Self::CHARACTER => "character",
            Self::MARK => "mark",
            _ => "unknown kind",
        }
    }
}

/// Where in its container an entry sits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The only slot of a register or a flag, of whichever policy; of a text the one of its marks.
    Unit,
    /// A map key.
    Key(Str),
    /// A member of a set.
    Member(Value),
    /// The slot of the writing replica: counters, bounded or not.
    Owner,
    /// A position: elements of lists, characters of texts. The value's dot has the same replica as the bunch (SEQ-2), and its distance
    /// from the bunch's dot is its index, so only the bunch's sequence number is given.
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
    /// What a replica did with its rights.
    Rights(Arc<Rights>),
    /// The payload of a kind this version does not know, kept byte for byte.
    Opaque(Arc<[u8]>),
}

/// What one replica did in one incarnation of a bounded counter, from the beginning on: its owner alone overwrites it, and
/// every number in it only grows (ESC-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// All that it added.
    pub plus: u64,
    /// All that it subtracted.
    pub minus: u64,
    /// All that it gave away: to whom and how much, ascending by id, nobody twice, none of it 0 and none to itself.
    pub given: Vec<(ReplicaId, u64)>,
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

/// A [`Payload`] that is borrowed from wherever it is held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PayloadRef<'a> {
    Empty,
    Value(&'a Value),
    Total { plus: u64, minus: u64 },
    Opaque(&'a Arc<[u8]>),
    Rights(&'a Arc<Rights>),
}

/// An [`Entry`] that is borrowed from wherever it is held: what is written needs not be put together first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRef<'a> {
    pub(crate) container: ContainerRef<'a>,
    pub(crate) slot: SlotRef<'a>,
    pub(crate) kind: Kind,
    pub(crate) entity: bool,
    pub(crate) payload: PayloadRef<'a>,
}

impl Payload {
    /// The same, borrowed.
    pub(crate) fn borrowed(&self) -> PayloadRef<'_> {
        match self {
            Self::Empty => PayloadRef::Empty,
            Self::Value(value) => PayloadRef::Value(value),
            Self::Total { plus, minus } => PayloadRef::Total { plus: *plus, minus: *minus },
            Self::Opaque(bytes) => PayloadRef::Opaque(bytes),
            Self::Rights(rights) => PayloadRef::Rights(rights),
        }
    }
}

impl PayloadRef<'_> {
    /// The payload, as replicas exchange it.
    pub(crate) fn to_payload(self) -> Payload {
        match self {
            Self::Empty => Payload::Empty,
            Self::Value(value) => Payload::Value(value.clone()),
            Self::Total { plus, minus } => Payload::Total { plus, minus },
            Self::Opaque(bytes) => Payload::Opaque(bytes.clone()),
            Self::Rights(rights) => Payload::Rights(rights.clone()),
        }
    }
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
        let (kind, entity, payload) = (entry.kind, entry.entity, entry.payload.borrowed());
        Self { container: (&entry.container).into(), slot, kind, entity, payload }
    }
}
