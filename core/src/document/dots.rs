//! A few entries that readers see in one place; almost always one.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::ordered::{Iter, Map};
use crate::store::EntryId;

/// Entries that live in one place. As many as somebody cares to send, so each is found in O(log n).
#[derive(Clone, Debug, Default)]
pub(crate) enum Dots {
    #[default]
    None,
    One(EntryId),
    /// A map of the type that incarnations are kept in, whose values mean nothing: sets would be another kilobyte of wasm.
    Many(Box<Map<EntryId, u32>>),
}

/// The same, to look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum DotsRef<'d> {
    #[default]
    None,
    One(EntryId),
    Many(&'d Map<EntryId, u32>),
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
                let mut ids = Map::new();
                ids.insert(*first, 0);
                ids.insert(id, 0);
                *self = Self::Many(Box::new(ids));
            }
            Self::Many(ids) => ids.insert(id, 0),
        }
    }

    pub(crate) fn remove(&mut self, id: EntryId) {
        match self {
            Self::One(one) if *one == id => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(ids) => {
                ids.remove(&id);
                if ids.len() == 1 {
                    let last = ids.keys().next().copied();
                    *self = last.map_or(Self::None, Self::One);
                }
            }
        }
    }
}

impl<'d> DotsRef<'d> {
    /// Every entry, in an order that means nothing.
    pub(crate) fn iter(self) -> Ids<'d> {
        match self {
            Self::None => Ids::default(),
            Self::One(id) => Ids::one(id),
            Self::Many(ids) => Ids::many(ids),
        }
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
            Self::Many(ids) => ids.contains_key(&id),
        }
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(ids) => ids.len(),
        }
    }

    /// The only one, if there is one only.
    pub(crate) fn lone(self) -> Option<EntryId> {
        if let Self::One(id) = self { Some(id) } else { None }
    }
}

/// Entries, one after the other. A type of its own, so that its step exists once, whoever goes through them.
#[derive(Clone, Default)]
pub(crate) struct Ids<'d> {
    one: Option<EntryId>,
    many: Iter<'d, EntryId, u32>,
}

impl<'d> Ids<'d> {
    pub(crate) fn one(id: EntryId) -> Self {
        Self { one: Some(id), many: Iter::default() }
    }

    pub(crate) fn many(ids: &'d Map<EntryId, u32>) -> Self {
        Self { one: None, many: ids.iter() }
    }
}

impl Iterator for Ids<'_> {
    type Item = EntryId;

    #[cfg_attr(target_family = "wasm", inline(never))]
    fn next(&mut self) -> Option<EntryId> {
        match self.one.take() {
            Some(one) => Some(one),
            None => self.many.next().map(|(id, _)| *id),
        }
    }
}
