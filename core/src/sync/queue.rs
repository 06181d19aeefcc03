//! What waits in line.
//!
//! Two lists instead of a ring: new items go to the end of one, the other has those that are next in reverse. When it is empty,
//! all of the first are turned over, so each item is moved once. In a web page a ring costs three times the code.

use alloc::vec::Vec;

use crate::ordered::retain;

/// Items in the order in which they came. Both ends cost O(1), taking one amortised.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The next ones, the very next last.
    next: Vec<T>,
    /// Those behind them.
    last: Vec<T>,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { next: Vec::new(), last: Vec::new() }
    }

    pub(super) fn push(&mut self, item: T) {
        self.last.push(item);
    }

    /// Takes out the first item, if that is one to take.
    pub(super) fn pop_if(&mut self, is_wanted: impl FnOnce(&mut T) -> bool) -> Option<T> {
        if self.next.is_empty() {
            self.next.append(&mut self.last);
            self.next.reverse();
        }
        self.next.pop_if(is_wanted)
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.pop_if(|_| true)
    }

    /// The items, the last one first.
    pub(super) fn last_to_first(&self) -> impl Iterator<Item = &T> {
        self.last.iter().rev().chain(&self.next)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for items in [&mut self.next, &mut self.last] {
            retain(items, |item| keep(item));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out() {
        let mut queue = Queue::new();
        let mut taken = Vec::new();
        for number in 0..10 {
            queue.push(2 * number);
            queue.push(2 * number + 1);
            taken.extend(queue.pop());
        }
        assert!(queue.last_to_first().copied().eq((10..20).rev()));
        queue.retain(|number| number % 3 != 0);
        assert_eq!(queue.pop_if(|number| *number > 10), None);
        taken.extend(core::iter::from_fn(|| queue.pop()));
        let left = (10..20).filter(|number| number % 3 != 0);
        assert!(taken.into_iter().eq((0..10).chain(left)));
    }
}
