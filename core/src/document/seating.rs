//! Seating the elements of all lists at once, when a document is loaded.
//!
//! Which of its moves an element sits by is known when all have come. So while a document is loaded, what comes waits, as
//! runs that mostly grow longer; then every list is laid out in one walk, without a comparison of positions.

use alloc::vec::Vec;

use super::state::State;
use crate::clock::LocalDot;
use crate::ordered::sort_by;
use crate::sequence::{Loaded, Stretch};

/// What waits to be seated, with the numbers of the ropes.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// Where elements were created. Their bunches do not count them yet.
    elements: Vec<(u32, Stretch)>,
    /// Where they were moved.
    moves: Vec<(u32, Stretch)>,
    /// What of all that nothing sits at any more.
    left: Vec<LocalDot>,
}

impl Waiting {
    pub(super) fn sit(&mut self, rope: u32, stretch: Stretch, moved: bool) {
        let all = if moved { &mut self.moves } else { &mut self.elements };
        match all.last_mut() {
            Some((last, before)) if *last == rope && before.goes_on_in(&stretch) => before.len += stretch.len,
            _ => all.push((rope, stretch)),
        }
    }

    pub(super) fn leave(&mut self, name: LocalDot) {
        self.left.push(name);
    }

    /// Gives the parts of a stretch at which something sits to `take`, and the other values to `leave`.
    fn cut(&self, stretch: &Stretch, take: &mut dyn FnMut(Stretch), leave: &mut dyn FnMut(LocalDot)) {
        let (mut at, from) = (0, self.left.partition_point(|dot| *dot < stretch.first));
        for dot in &self.left[from..] {
            if *dot > stretch.last() {
                break;
            }
            let nth = (dot.bits() - stretch.first.bits()) as u32;
            if nth > at {
                take(stretch.part(at, nth - at));
            }
            leave(*dot);
            at = nth + 1;
        }
        if at < stretch.len {
            take(stretch.part(at, stretch.len - at));
        }
    }
}

impl State {
    /// From here on elements wait, until [`Self::seat_all`].
    pub(super) fn put_off_seating(&mut self) {
        self.lists.waiting = Some(Waiting::default());
    }

    /// Seats what waits. O(runs + bunches).
    pub(super) fn seat_all(&mut self) {
        let Some(mut waiting) = self.lists.waiting.take() else { return };
        sort_by(&mut waiting.left, Ord::cmp);
        let mut loaded = Vec::with_capacity(waiting.elements.len() + waiting.moves.len());
        for (rope, stretch) in &waiting.elements {
            let mut take = |stretch| loaded.push(Loaded { rope: *rope, bunch: None, stretch, text: "" });
            waiting.cut(stretch, &mut take, &mut |_| self.forest.acquire(stretch.bunch(), 1));
        }
        let mut moved = Vec::new();
        for (rope, stretch) in &waiting.moves {
            let mut take = |stretch| {
                loaded.push(Loaded { rope: *rope, bunch: None, stretch, text: "" });
                moved.push((stretch.bunch(), stretch.len));
            };
            waiting.cut(stretch, &mut take, &mut drop);
        }
        if loaded.is_empty() {
            return;
        }
        sort_by(&mut loaded, |a, b| a.stretch.first.cmp(&b.stretch.first));
        self.lay_out_lists(&loaded);
        // Moves were counted when they came.
        for (bunch, len) in moved {
            self.forest.release(bunch, len, None);
        }
    }
}
