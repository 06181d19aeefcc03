//! A rope with its runs and its forest against values in a sorted list.
//!
//! The first replica writes here: its values go where [`Forest::place`] says. What the others write comes as spans with positions of
//! their own, at once or late, upon positions that are gone as well; sides and ranks are any. As in a document, a dot is used once, and
//! what a bunch hangs on was written before.
//!
//! Rules: SEQ-1, SEQ-2, SEQ-3, SEQ-4, SEQ-6, DOT-1.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::super::Random;
use super::Input;
use crate::clock::LocalDot;
use crate::replica_id::{Origin, Origins, ReplicaId};
use crate::sequence::{Expected, Forest, Known, LocalPosition, Placement, Rope, Runs, Side, Span, Stretch};
use crate::store::LocalContainer;

/// So that one byte string takes no longer than some milliseconds.
const MOST_STEPS: usize = 2000;
const MOST_VALUES: usize = 3000;
const MOST_POSITIONS: usize = 4000;
/// Everything is looked at after so many steps, and at the end.
const STEPS_BETWEEN_CHECKS: usize = 32;
const REPLICAS: [u128; 4] = [7, 3, 9, 5];
const SCALARS: [char; 8] = ['a', 'b', 'z', '\n', 'é', '€', '🦀', ' '];

/// Does to a rope what the bytes say.
///
/// # Panics
/// When the rope is not as the sorted list is.
pub fn rope(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut pair = Pair::new(input.byte());
    for step in 0..MOST_STEPS {
        let Some(operation) = input.next() else { break };
        pair.step(operation, &mut input);
        while pair.list.values.len() > MOST_VALUES {
            pair.remove_at(0, MOST_VALUES, false);
        }
        if step % STEPS_BETWEEN_CHECKS == 0 {
            pair.check();
        }
    }
    pair.check();
}

/// Byte strings to begin with: some that type, some that mostly receive, and some that mostly remove.
pub fn valid_ropes() -> Vec<Vec<u8>> {
    const HABITS: [&[u8]; 4] =
        [&[0, 0, 0, 3, 5], &[1, 2, 2, 4, 3, 5], &[0, 1, 2, 3, 3, 3, 5], &[0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2]];
    let habit = |(seed, operations): (usize, &&[u8])| {
        let mut random = Random::seeded(seed as u64);
        let mut bytes = Vec::from([seed as u8]);
        for _ in 0..40 {
            bytes.push(random.pick(operations) | (random.next_u64() as u8 & 0xf8));
            (0..4).for_each(|_| bytes.push(random.next_u64() as u8));
        }
        bytes
    };
    HABITS.iter().cycle().take(8).enumerate().map(habit).collect()
}

/// A rope, and the same as a sorted list.
struct Pair {
    origins: Origins,
    forest: Forest,
    runs: Runs,
    rope: Rope,
    list: Expected,
    /// The bunches that were made, with the side they grow to.
    bunches: Vec<LocalDot>,
    /// By replica.
    next_seq: [u64; REPLICAS.len()],
    /// Positions that were here, or are on their way.
    seen: Vec<LocalPosition>,
    /// What is still on its way, each in the order of its dots.
    late: Vec<Vec<Known>>,
}

impl Pair {
    fn new(head: u8) -> Self {
        let mut origins = Origins::default();
        for nth in 0..REPLICAS.len() {
            // Document-wide numbers say nothing about the order of names.
            origins.intern(ReplicaId::from(REPLICAS[(nth + usize::from(head >> 1)) % REPLICAS.len()]));
        }
        Self {
            origins,
            forest: Forest::default(),
            runs: Runs::default(),
            rope: Rope::new(7),
            list: Expected::new(head & 1 == 0),
            bunches: Vec::new(),
            next_seq: [1; REPLICAS.len()],
            seen: Vec::from([LocalPosition::START]),
            late: Vec::new(),
        }
    }

    fn step(&mut self, operation: u8, input: &mut Input<'_>) {
        match operation & 7 {
            0 => self.write_here(operation, input),
            1 => self.begin_bunch(operation, input),
            2 => self.go_on(operation, input),
            3 => self.remove(operation, input),
            4 => {
                let nth = input.below(self.late.len());
                if nth < self.late.len() {
                    let values = self.late.swap_remove(nth);
                    self.deliver(&values);
                }
            }
            5 => self.check_at(input.below(self.list.values.len() + 1), input.below(self.list.values.len() + 1)),
            6 => self.remove_container(LocalContainer::root(u32::from(operation >> 3 & 3))),
            _ if operation >> 3 == 31 => self.clear(),
            _ => self.drop_dead(),
        }
    }

    /// The first replica writes at an index.
    fn write_here(&mut self, operation: u8, input: &mut Input<'_>) {
        let index = input.below(self.list.values.len() + 1);
        let (left, right) = self.rope.neighbours(&self.runs, index);
        let (me, seq) = (Origin(0), self.next_seq[0]);
        let placed = self.forest.place(&self.origins, me, seq, left, right).expect("the forest is not that deep");
        let (bunch, backward) = match placed {
            Placement::Extend { bunch, backward } => (bunch, backward),
            Placement::New { parent, side, rank } => {
                let bunch = LocalDot::new(me, seq);
                self.forest.insert(bunch, parent, side, rank).expect("SEQ-5: it hangs on a neighbour");
                self.bunches.push(bunch);
                (bunch, false)
            }
        };
        let values = self.values(bunch, backward, operation, input);
        let is_less = |a, b| self.forest.compare(&self.origins, a, b) == Ordering::Less;
        for value in &values {
            let at = value.stretch.position(0);
            assert!(left.is_none_or(|left| is_less(left, at)), "behind the value on the left");
            assert!(right.is_none_or(|right| is_less(at, right)), "before the value on the right");
        }
        let Some(stretch) = whole(&values) else { return };
        self.acquire(&values);
        let text = self.list.text_of(&values);
        self.list(&values);
        // Both ways in are used for what is written here; a document finds the index of its own edits.
        if operation & 0x80 == 0 {
            self.rope.insert_at(&mut self.runs, index, stretch, &text);
        } else {
            let told = self.insert(stretch, &text);
            assert_eq!(told.as_slice(), [Span { index, stretch }]);
        }
    }

    /// Another replica begins a bunch on a position that was here.
    fn begin_bunch(&mut self, operation: u8, input: &mut Input<'_>) {
        let parent = self.seen[input.below(self.seen.len())];
        if !self.forest.contains(parent.bunch) || self.forest.depth(parent.bunch) >= Forest::MAX_DEPTH {
            return;
        }
        let head = input.byte();
        let origin = Origin(1 + u32::from(head) % 3);
        let left = head & 0x10 != 0 && parent != LocalPosition::START;
        let side = if left { Side::Left } else { Side::Right };
        let rank = if head & 0x20 != 0 { i32::from(head >> 6) - 2 } else { 0 };
        let bunch = LocalDot::new(origin, self.next_seq[origin.0 as usize]);
        self.forest.insert(bunch, parent, side, rank).expect("SEQ-5: what it hangs on is known");
        self.forest.insert(bunch, parent, side, rank).expect("the same again changes nothing");
        self.bunches.push(bunch);
        let values = self.values(bunch, head & 8 != 0, operation, input);
        self.send(values, operation);
    }

    /// Another replica goes on in a bunch of its own, or the first one does elsewhere than it would from here.
    fn go_on(&mut self, operation: u8, input: &mut Input<'_>) {
        let nth = input.below(self.bunches.len());
        let Some(bunch) = self.bunches.get(nth).copied() else { return };
        if !self.forest.contains(bunch) || bunch.origin() == Origin(0) {
            return;
        }
        let head = input.byte();
        // Dots that others of its values took.
        self.next_seq[bunch.origin().0 as usize] += u64::from(head >> 1 & 3);
        let values = self.values(bunch, head & 1 != 0, operation, input);
        self.send(values, operation);
    }

    /// New values in a bunch, with the next dots of its replica.
    fn values(&mut self, bunch: LocalDot, backward: bool, operation: u8, input: &mut Input<'_>) -> Vec<Known> {
        let next_seq = &mut self.next_seq[bunch.origin().0 as usize];
        let head = input.byte();
        let most = if head & 0x80 == 0 { 2 } else { 64 };
        let container = LocalContainer::root(u32::from(operation >> 3 & 3));
        let mut values = Vec::new();
        for nth in 0..1 + usize::from(head & 0x7f) % most {
            let first = LocalDot::new(bunch.origin(), *next_seq);
            *next_seq += 1;
            let stretch = Stretch { first, len: 1, backward, bunch: bunch.seq(), container };
            let scalar = if head & 1 == 0 { 'a' } else { SCALARS[(nth + usize::from(head >> 1)) % SCALARS.len()] };
            values.push(Known { stretch, scalar });
        }
        values
    }

    fn send(&mut self, values: Vec<Known>, operation: u8) {
        self.acquire(&values);
        if operation & 0x80 == 0 {
            return self.deliver(&values);
        }
        // A diff has no order: what hangs on a value may come before it.
        self.seen.extend(values.iter().map(|value| value.stretch.position(0)));
        self.late.push(values);
    }

    fn acquire(&mut self, values: &[Known]) {
        if let Some(stretch) = whole(values) {
            self.forest.acquire(stretch.bunch(), stretch.len);
        }
    }

    /// Values from elsewhere, in the order of their dots.
    fn deliver(&mut self, values: &[Known]) {
        let Some(stretch) = whole(values) else { return };
        let text = self.list.text_of(values);
        self.list(values);
        let mut count = 0;
        for Span { index, stretch } in self.insert(stretch, &text) {
            for (place, known) in (0..stretch.len).zip(&self.list.values[index..]) {
                assert_eq!(known.stretch, stretch.part(stretch.turn(place), 1), "it is told where it is");
            }
            count += stretch.len;
        }
        assert_eq!(count, stretch.len, "all of it is told");
    }

    fn insert(&mut self, stretch: Stretch, text: &str) -> Vec<Span> {
        let mut told = Vec::new();
        self.rope.insert(&mut self.runs, &self.forest, &self.origins, stretch, text, &mut told);
        told
    }

    /// Puts values into the list.
    fn list(&mut self, values: &[Known]) {
        for value in values {
            let at = value.stretch.position(0);
            let place = self.place(at);
            self.list.values.insert(place, *value);
            if self.seen.len() < MOST_POSITIONS {
                self.seen.push(at);
            }
        }
    }

    /// Where a position is in the list.
    fn place(&self, at: LocalPosition) -> usize {
        self.list.place(&self.forest, &self.origins, at)
    }

    fn remove(&mut self, operation: u8, input: &mut Input<'_>) {
        if !self.list.values.is_empty() {
            let index = input.below(self.list.values.len());
            let most = 1 + usize::from(input.byte()) % if operation & 0x10 == 0 { 2 } else { 100 };
            self.remove_at(index, most, operation & 0x80 != 0);
        }
    }

    fn remove_at(&mut self, index: usize, most: usize, by_dot: bool) {
        let mut text = String::new();
        let span = if by_dot {
            let (run, nth) = self.rope.at(&self.runs, index).expect("there is a value");
            let more = (self.runs.stretch(run).len - nth).min(most as u32);
            let part = self.runs.stretch(run).part(nth, more);
            let span = self.rope.remove(&mut self.runs, run, nth, more, &mut text);
            assert_eq!(span.stretch, part, "those that were asked for");
            span
        } else {
            let span = self.rope.remove_at(&mut self.runs, index, most, &mut text).expect("there is a value");
            assert_eq!(span.index, index);
            span
        };
        let len = span.stretch.len as usize;
        assert!((1..=most).contains(&len));
        self.list.take(span, &text);
        self.forest.release(span.stretch.bunch(), span.stretch.len, None);
    }

    /// All of one incarnation, wherever it lies.
    fn remove_container(&mut self, container: LocalContainer) {
        while let Some(index) = self.list.values.iter().position(|known| known.stretch.container == container) {
            self.remove_at(index, 1, true);
        }
    }

    fn clear(&mut self) {
        self.rope.clear(&mut self.runs);
        for known in core::mem::take(&mut self.list.values) {
            self.forest.release(known.stretch.bunch(), 1, None);
        }
    }

    /// Forgets what nothing needs; what a live value needs stays.
    fn drop_dead(&mut self) {
        self.forest.drop_dead(|_| true);
        for value in self.list.values.iter().chain(self.late.iter().flatten()) {
            let mut bunch = value.stretch.bunch();
            while bunch != LocalDot::ROOT {
                assert!(self.forest.is_needed(bunch), "SEQ-6: a live value is in it or below it");
                bunch = self.forest.get(bunch).expect("SEQ-3: the chain is there").parent.bunch;
            }
        }
    }

    /// That everything is as in the list.
    fn check(&self) {
        self.list.check(&self.rope, &self.runs);
        let all = (0..REPLICAS.len() as u32).flat_map(|origin| self.runs.range(Origin(origin), 1..=u64::MAX));
        let in_runs: u32 = all.map(|(_, stretch)| stretch.len).sum();
        assert_eq!(in_runs as usize, self.list.values.len(), "every value is in one run");
    }

    /// Conversions at an index, and reading from one to another.
    fn check_at(&self, index: usize, end: usize) {
        let Self { rope, runs, forest, origins, .. } = self;
        self.list.check_at(rope, runs, forest, origins, (index, end));
        // Positions of what is gone have a place, too.
        let gone = self.seen[(index * 31 + end) % self.seen.len()];
        if forest.contains(gone.bunch) && gone != LocalPosition::START {
            assert_eq!(rope.index_from(runs, forest, origins, gone), self.place(gone));
        }
    }
}

/// All values, in the order of their dots, as one stretch.
fn whole(values: &[Known]) -> Option<Stretch> {
    Some(Stretch { len: values.len() as u32, ..values.first()?.stretch })
}
