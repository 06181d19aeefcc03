//! Containers: what entries are in.

use core::fmt;

use super::Kind;
use crate::clock::{Dot, LocalDot};
use crate::string::Str;

/// What an entry is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Container {
    /// A container that always exists and is never removed.
    Root {
        /// Its name.
        name: Str,
        /// Its kind. Roots of one name and different kinds are different containers.
        kind: Kind,
    },
    /// A container born with a dot: the entry of that dot is in its parent.
    Entity(Dot),
}

/// A container inside one document: a root's number, or the dot of an entity, in 64 bits. Numbers of replicas leave the
/// highest bit free, which marks roots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LocalContainer(u64);

const ROOT: u64 = 1 << 63;

impl LocalContainer {
    pub(crate) const fn root(number: u32) -> Self {
        Self(ROOT | number as u64)
    }

    pub(crate) const fn entity(dot: LocalDot) -> Self {
        Self(dot.bits())
    }

    /// The number of a root.
    pub(crate) const fn as_root(self) -> Option<u32> {
        if self.0 & ROOT != 0 { Some(self.0 as u32) } else { None }
    }

    /// The dot of an entity.
    pub(crate) const fn as_entity(self) -> Option<LocalDot> {
        if self.0 & ROOT == 0 { Some(LocalDot::from_bits(self.0)) } else { None }
    }
}

impl fmt::Debug for LocalContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_root(), self.as_entity()) {
            (Some(number), _) => write!(f, "root {number}"),
            (_, dot) => write!(f, "{dot:?}"),
        }
    }
}
