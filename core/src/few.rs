//! A list that is mostly of one: the first item lies in it, without memory of its own.
//!
//! Most deltas say one thing about one entry. Taking memory and giving it back is what would cost most about such a delta. In a
//! web page it is a plain list: to tell the two apart costs 3 kB of wasm.

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A list that is mostly of one item, which lies in it without memory of its own. Reads like a slice.
#[derive(Clone)]
pub struct Few<T>(Items<T>);

#[cfg(not(target_family = "wasm"))]
#[derive(Clone)]
enum Items<T> {
    None,
    One([T; 1]),
    Many(Vec<T>),
}

#[cfg(not(target_family = "wasm"))]
impl<T> Few<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Items::None)
    }

    /// A list of one.
    pub const fn one(item: T) -> Self {
        Self(Items::One([item]))
    }

    /// Appends an item. Amortised O(1).
    pub fn push(&mut self, item: T) {
        match &mut self.0 {
            Items::None => self.0 = Items::One([item]),
            Items::Many(items) => items.push(item),
            Items::One(_) => {
                let mut items = Vec::with_capacity(4);
                if let Items::One([first]) = core::mem::replace(&mut self.0, Items::None) {
                    items.push(first);
                }
                items.push(item);
                self.0 = Items::Many(items);
            }
        }
    }

    /// Takes memory for so many items, if they are more than lie in the list anyway and it has none yet.
    pub(crate) fn make_room(&mut self, items: usize) {
        if let (Items::None, 2..) = (&self.0, items) {
            self.0 = Items::Many(Vec::with_capacity(items));
        }
    }

    /// Takes out all items.
    pub fn clear(&mut self) {
        self.0 = Items::None;
    }

    const fn many(items: Vec<T>) -> Self {
        Self(Items::Many(items))
    }
}

#[cfg(not(target_family = "wasm"))]
impl<T> Items<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(item) => item,
            Self::Many(items) => items,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(item) => item,
            Self::Many(items) => items,
        }
    }
}

#[cfg(target_family = "wasm")]
type Items<T> = Vec<T>;

#[cfg(target_family = "wasm")]
impl<T> Few<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A list of one.
    pub fn one(item: T) -> Self {
        Self([item].into())
    }

    /// Appends an item. Amortised O(1).
    pub fn push(&mut self, item: T) {
        self.0.push(item);
    }

    /// Takes memory for so many items, if it has none yet.
    pub(crate) fn make_room(&mut self, items: usize) {
        self.0.reserve_exact(items);
    }

    /// Takes out all items.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    const fn many(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice()
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(items: Vec<T>) -> Self {
        Self::many(items)
    }
}

impl<T, const N: usize> From<[T; N]> for Few<T> {
    fn from(items: [T; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::new();
        for item in items {
            few.push(item);
        }
        few
    }
}

impl<'f, T> IntoIterator for &'f Few<T> {
    type Item = &'f T;
    type IntoIter = core::slice::Iter<'f, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_a_list() {
        let mut few = Few::new();
        let mut model = Vec::new();
        for item in 0..5 {
            assert_eq!((&*few, few.len()), (&*model, model.len()));
            assert_eq!(few, Few::from(model.clone()));
            assert_eq!(few, model.iter().copied().collect());
            few.push(item);
            model.push(item);
            few[0] += 1;
            model[0] += 1;
        }
        let mut roomy = Few::new();
        roomy.make_room(5);
        model.iter().for_each(|item| roomy.push(*item));
        assert_eq!(roomy, few);
        few.clear();
        assert!(few.is_empty());
        assert_eq!(Few::one(7), [7].into());
    }
}
