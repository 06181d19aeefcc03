//! Containers: what entries are in.

use alloc::sync::Arc;

use super::Kind;
use crate::clock::{Dot, LocalDot};

/// What an entry is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Container {
    /// A container that always exists and is never removed.
    Root {
        /// Its name.
        name: Arc<str>,
        /// Its kind. Roots of one name and different kinds are different containers.
        kind: Kind,
    },
    /// A container born with a dot: the entry of that dot is in its parent.
    Entity(Dot),
}

/// A container inside one document: a root's number, or the dot of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LocalContainer {
    Root(u32),
    Entity(LocalDot),
}
