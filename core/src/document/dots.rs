//! A few entries that readers see in one place; almost always one.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::ordered::Set;
use crate::store::EntryId;

/// Entries that live in one place. As many as somebody cares to send, so each is found in O(log n).
#[derive(Clone, Debug, Default)]
pub(crate) enum Dots {
    #[default]
    None,
    One(EntryId),
    Many(Box<Set<EntryId>>),
}

/// The same, to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum DotsRef<'d> {
    #[default]
    None,
    One(EntryId),
    Many(&'d Set<EntryId>),
}

impl Dots {
    pub(crate) fn view(&self) -> DotsRef<'_> {
        match self {
            Self::None => DotsRef::None,
            Self::One(id) => DotsRef::One(*id),
            Self::Many(ids) => DotsRef::Many(ids),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(crate) fn add(&mut self, id: EntryId) {
        match self {
            Self::None => *self = Self::One(id),
            Self::One(first) => {
                let mut ids = Set::new();
                ids.insert(*first);
                ids.insert(id);
                *self = Self::Many(Box::new(ids));
            }
            Self::Many(ids) => _ = ids.insert(id),
        }
    }

    pub(crate) fn remove(&mut self, id: EntryId) {
        match self {
            Self::One(one) if *one == id => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(ids) => {
                ids.remove(&id);
                if ids.len() == 1 {
                    let last = ids.iter().next().copied();
                    *self = last.map_or(Self::None, Self::One);
                }
            }
        }
    }
}

impl<'d> DotsRef<'d> {
    /// Every entry, in an order that means nothing.
    pub(crate) fn iter(self) -> impl Iterator<Item = EntryId> + use<'d> {
        const NONE: &Set<EntryId> = &Set::new();
        let (one, many) = match self {
            Self::None => (None, NONE),
            Self::One(id) => (Some(id), NONE),
            Self::Many(ids) => (None, ids),
        };
        one.into_iter().chain(many.iter().copied())
    }

    pub(crate) fn to_vec(self) -> Vec<EntryId> {
        let mut all = Vec::new();
        self.append_to(&mut all);
        all
    }

    pub(crate) fn append_to(self, all: &mut Vec<EntryId>) {
        for id in self.iter() {
            all.push(id);
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether this entry is among them. O(log n).
    pub(crate) fn contains(self, id: EntryId) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == id,
            Self::Many(ids) => ids.contains(&id),
        }
    }

    /// The only one, if there is one only.
    pub(crate) fn lone(self) -> Option<EntryId> {
        if let Self::One(id) = self { Some(id) } else { None }
    }
}
