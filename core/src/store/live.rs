//! A live entry as it lies in memory: 56 bytes and whatever its value needs beyond them.
//!
//! Most slots hold little, and what has a member has no payload. So a slot is a class and one word (the number of a key, or
//! of a bunch), and a member lies where other entries have their payload.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::keys::KeyId;
use super::{Kind, LocalContainer, NONE, Payload, PayloadRef, Rights};
use crate::clock::Hlc;
use crate::value::Value;

/// Where in its container an entry sits, by this document's numbers.
#[derive(Clone, Debug)]
pub(crate) enum LocalSlot {
    Unit,
    /// Holds one use of the key.
    Key(KeyId),
    /// With its hash in the tables of this document.
    Member(u32, Value),
    Owner,
    Position {
        bunch: u64,
        backward: bool,
    },
}

/// A [`LocalSlot`], to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LocalSlotRef<'a> {
    Unit,
    Key(KeyId),
    Member(u32, &'a Value),
    Owner,
    Position { bunch: u64, backward: bool },
}

/// What an entry holds: its payload, or its member if it has one.
#[derive(Clone, Debug)]
enum Body {
    Empty,
    Value(Value),
    Total {
        plus: u64,
        minus: u64,
    },
    Opaque(Arc<[u8]>),
    Rights(Arc<Rights>),
    /// A member and a payload: of kinds that this version does not know.
    Both(Box<(Value, Payload)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Unit,
    Key,
    Member,
    Owner,
    Position,
}

/// A live entry inside one document.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) hlc: Hlc,
    container: LocalContainer,
    word: u64,
    body: Body,
    /// The place that shows it, if it is an entity that is attached.
    pub(crate) place: u32,
    pub(crate) kind: Kind,
    pub(crate) entity: bool,
    class: Class,
}

impl Live {
    pub(crate) fn new(
        container: LocalContainer,
        slot: LocalSlot,
        kind: Kind,
        entity: bool,
        payload: Payload,
        hlc: Hlc,
    ) -> Self {
        let (class, word, member) = match slot {
            LocalSlot::Unit => (Class::Unit, 0, None),
            LocalSlot::Key(key) => (Class::Key, u64::from(key.0), None),
            LocalSlot::Member(hash, member) => (Class::Member, u64::from(hash), Some(member)),
            LocalSlot::Owner => (Class::Owner, 0, None),
            LocalSlot::Position { bunch, backward } => (Class::Position, bunch << 1 | u64::from(backward), None),
        };
        let body = match (member, payload) {
            (None, Payload::Empty) => Body::Empty,
            (None, Payload::Value(value)) | (Some(value), Payload::Empty) => Body::Value(value),
            (None, Payload::Total { plus, minus }) => Body::Total { plus, minus },
            (None, Payload::Opaque(bytes)) => Body::Opaque(bytes),
            (None, Payload::Rights(rights)) => Body::Rights(rights),
            (Some(member), payload) => Body::Both(Box::new((member, payload))),
        };
        Self { hlc, container, word, body, place: NONE, kind, entity, class }
    }

    /// What overwrites it: a plain entry of its kind, in its slot. A member is the same again.
    pub(crate) fn again(&self, payload: Payload, hlc: Hlc) -> Self {
        let body = match (self.slot(), payload) {
            (LocalSlotRef::Member(_, member), _) => Body::Value(member.clone()),
            (_, Payload::Value(value)) => Body::Value(value),
            (_, Payload::Total { plus, minus }) => Body::Total { plus, minus },
            (_, Payload::Rights(rights)) => Body::Rights(rights),
            (_, Payload::Opaque(bytes)) => Body::Opaque(bytes),
            (_, Payload::Empty) => Body::Empty,
        };
        let Self { container, word, kind, class, .. } = *self;
        Self { hlc, container, word, body, place: NONE, kind, entity: false, class }
    }

    /// What lies where no entry does.
    pub(crate) fn nothing() -> Self {
        Self::new(LocalContainer::root(0), LocalSlot::Unit, Kind(0), false, Payload::Empty, Hlc(0))
    }

    /// What it is in.
    pub(crate) fn container(&self) -> LocalContainer {
        self.container
    }

    /// Where in it.
    pub(crate) fn slot(&self) -> LocalSlotRef<'_> {
        match self.class {
            Class::Unit => LocalSlotRef::Unit,
            Class::Key => LocalSlotRef::Key(KeyId(self.word as u32)),
            Class::Member => {
                let member = match &self.body {
                    Body::Value(member) => member,
                    Body::Both(both) => &both.0,
                    _ => unreachable!("a member lies in the body"),
                };
                LocalSlotRef::Member(self.word as u32, member)
            }
            Class::Owner => LocalSlotRef::Owner,
            Class::Position => LocalSlotRef::Position { bunch: self.word >> 1, backward: self.word & 1 == 1 },
        }
    }

    /// What it holds.
    pub(crate) fn payload(&self) -> PayloadRef<'_> {
        match &self.body {
            Body::Value(_) if self.class == Class::Member => PayloadRef::Empty,
            Body::Empty => PayloadRef::Empty,
            Body::Value(value) => PayloadRef::Value(value),
            Body::Total { plus, minus } => PayloadRef::Total { plus: *plus, minus: *minus },
            Body::Opaque(bytes) => PayloadRef::Opaque(bytes),
            Body::Rights(rights) => PayloadRef::Rights(rights),
            Body::Both(both) => both.1.borrowed(),
        }
    }

    /// Gives a member another hash.
    pub(crate) fn rehash(&mut self, hash: impl FnOnce(&Value) -> u32) {
        if let LocalSlotRef::Member(_, member) = self.slot() {
            self.word = u64::from(hash(member));
        }
    }

    /// Puts a plain value in place of the one it holds.
    pub(crate) fn set_value(&mut self, value: Value) {
        debug_assert!(self.class != Class::Member, "a member is for ever");
        self.body = Body::Value(value);
    }

    /// Adds to the running totals that it holds, unless they would not fit.
    pub(crate) fn grow_total(&mut self, more: u64, less: u64) -> Option<()> {
        if let Body::Total { plus, minus } = &mut self.body {
            (*plus, *minus) = (plus.checked_add(more)?, minus.checked_add(less)?);
        }
        Some(())
    }

    /// About how many bytes it takes when it is written, its key aside: what the removal log is held in proportion to.
    pub(crate) fn byte_len(&self) -> usize {
        let value = |value: &Value| value.byte_len();
        let body = match &self.body {
            Body::Empty => 0,
            Body::Value(held) => value(held),
            Body::Total { .. } => 8,
            Body::Opaque(bytes) => bytes.len(),
            Body::Rights(rights) => 8 + 24 * rights.given.len(),
            Body::Both(both) => value(&both.0) + 8,
        };
        8 + body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<Live>(), 56);
    }
}
