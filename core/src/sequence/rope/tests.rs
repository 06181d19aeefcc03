//! A rope against a sorted list of values, after every operation.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::forest::Forest;
use super::super::place::Placement;
use super::super::position::{LocalPosition, Side};
use super::super::runs::{NONE, Runs, Stretch};
use super::super::walk::Loaded;
use super::expected::{Expected, Known};
use super::leaf::Leaf;
use super::tree::WIDTH;
use super::{Cursor, Rope, Span, Weight, lay_out};
use crate::clock::LocalDot;
use crate::replica_id::{Origin, Origins, ReplicaId};
use crate::store::LocalContainer;

/// Sequence numbers between two bunches of one replica.
const SPACE: u64 = 1000;
/// The number of the rope.
const NUMBER: u32 = 7;

/// Random bunches of several replicas, some with the same parents as others.
#[derive(Clone, Debug)]
struct Wood {
    origins: Origins,
    forest: Forest,
    bunches: Vec<LocalDot>,
}

fn woods() -> impl Strategy<Value = Wood> {
    let bunch =
        (0u32..4, any::<prop::sample::Index>(), -9i64..9, any::<bool>(), prop_oneof![6 => Just(0), 1 => -1..=1]);
    (prop::collection::vec(bunch, 1..9), Just([7u128, 3, 9, 5]).prop_shuffle()).prop_map(|(bunches, ids)| {
        let mut origins = Origins::default();
        for id in ids {
            origins.intern(ReplicaId::from(id));
        }
        let mut wood = Wood { origins, forest: Forest::default(), bunches: Vec::new() };
        for (nth, (owner, parent, index, left, rank)) in bunches.into_iter().enumerate() {
            let id = LocalDot::new(Origin(owner), SPACE * (nth as u64 + 1));
            let parent = match parent.index(nth + 1) {
                0 => LocalPosition::START,
                nth => LocalPosition { bunch: wood.bunches[nth - 1], index },
            };
            let side = if left && parent != LocalPosition::START { Side::Left } else { Side::Right };
            wood.forest.insert(id, parent, side, rank).expect("its parent is there");
            wood.bunches.push(id);
        }
        wood
    })
}

#[derive(Clone, Debug)]
enum Step {
    /// Values of a bunch, at distances from its first.
    Insert {
        bunch: prop::sample::Index,
        from: u64,
        backward: bool,
        container: u32,
        text: String,
        by_index: bool,
    },
    Remove {
        index: prop::sample::Index,
        more: usize,
        by_dot: bool,
    },
}

fn scalars() -> impl Strategy<Value = char> {
    prop_oneof![6 => prop::char::range('a', 'z'), 1 => Just('\n'), 1 => Just('é'), 1 => Just('€'), 1 => Just('🦀')]
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![
        3 => prop::collection::vec(scalars(), 1..2),
        3 => prop::collection::vec(scalars(), 1..30),
        1 => prop::collection::vec(prop::char::range('a', 'e'), 1..30),
    ];
    let from = prop_oneof![0u64..12, 0u64..100];
    let container = prop_oneof![4 => Just(0u32), 1 => 0u32..3];
    let insert = (any::<prop::sample::Index>(), from, any::<bool>(), container, text, any::<bool>()).prop_map(
        |(bunch, from, backward, container, text, by_index)| {
            let text = text.into_iter().collect();
            Step::Insert { bunch, from, backward, container, text, by_index }
        },
    );
    let more = prop_oneof![1usize..2, 1usize..40];
    let remove = (any::<prop::sample::Index>(), more, any::<bool>()).prop_map(|(index, more, by_dot)| Step::Remove {
        index,
        more,
        by_dot,
    });
    prop_oneof![3 => insert, 2 => remove]
}

/// A rope, and the same as a sorted list.
struct Pair {
    wood: Wood,
    runs: Runs,
    rope: Rope,
    list: Expected,
}

impl Pair {
    fn new(wood: Wood, is_text: bool) -> Self {
        Self::numbered(wood, is_text, NUMBER)
    }

    fn numbered(wood: Wood, is_text: bool, number: u32) -> Self {
        Self { wood, runs: Runs::default(), rope: Rope::new(number), list: Expected::new(is_text) }
    }

    /// Where a position is in the sorted list.
    fn place(&self, at: LocalPosition) -> usize {
        self.list.place(&self.wood.forest, &self.wood.origins, at)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Insert { bunch, from, backward, container, text, by_index } => {
                let bunch = self.wood.bunches[bunch.index(self.wood.bunches.len())];
                let dot = |distance| LocalDot::new(bunch.origin(), bunch.seq() + distance);
                let is_free = |dot| self.list.values.iter().all(|known| known.stretch.first != dot);
                let Some(from) = (from..SPACE / 2).find(|distance| is_free(dot(*distance))) else { return };
                let mut values = Vec::new();
                for (scalar, distance) in text.chars().zip(from..) {
                    if !is_free(dot(distance)) {
                        break;
                    }
                    let container = LocalContainer::root(container);
                    let stretch = Stretch { first: dot(distance), len: 1, backward, bunch: bunch.seq(), container };
                    values.push(Known { stretch, scalar });
                }
                self.insert(&values, by_index);
            }
            Step::Remove { index, more, by_dot } if !self.list.values.is_empty() => {
                self.remove(index.index(self.list.values.len()), more, by_dot);
            }
            Step::Remove { .. } => {}
        }
    }

    /// Values in the order of dots.
    fn insert(&mut self, values: &[Known], by_index: bool) {
        let stretch = Stretch { len: values.len() as u32, ..values[0].stretch };
        let text = self.list.text_of(values);
        let first = self.place(stretch.read(0));
        let together = first == self.place(stretch.read(stretch.len - 1));
        for value in values {
            let place = self.place(value.stretch.position(0));
            self.list.values.insert(place, *value);
        }
        if by_index && together {
            self.rope.insert_at(&mut self.runs, first, stretch, &text);
            return;
        }
        let mut told = Vec::new();
        let Wood { forest, origins, .. } = &self.wood;
        self.rope.insert(&mut self.runs, forest, origins, stretch, &text, &mut told);
        assert!(told.len() == 1 || !together, "in one piece where nothing lies between");
        let mut count = 0;
        for Span { index, stretch } in told {
            for place in 0..stretch.len {
                let known = &self.list.values[index + place as usize].stretch;
                assert_eq!(*known, stretch.read_part(place, 1));
            }
            count += stretch.len as usize;
        }
        assert_eq!(count, values.len());
    }

    fn remove(&mut self, index: usize, more: usize, by_dot: bool) {
        let mut text = String::new();
        let span = if by_dot {
            let (run, nth) = self.rope.at(&self.runs, index).unwrap();
            let more = (self.runs.stretch(run).len - nth).min(more as u32);
            self.rope.remove(&mut self.runs, run, nth, more, &mut text)
        } else {
            let span = self.rope.remove_at(&mut self.runs, index, more, &mut text).unwrap();
            assert_eq!(span.index, index);
            span
        };
        assert!(span.stretch.len as usize <= more);
        assert!(by_dot || span.stretch.len > 0);
        self.list.take(span, &text);
    }

    /// That everything is as in the sorted list.
    fn check(&self) {
        self.rope.check(&self.runs);
        self.runs.check();
        self.list.check(&self.rope, &self.runs);
    }

    /// Conversions at a place, reading from one place to another, and the runs between two dots.
    fn check_at(&self, index: usize, end: usize) {
        let (runs, Wood { forest, origins, .. }) = (&self.runs, &self.wood);
        self.list.check_at(&self.rope, runs, forest, origins, (index, end));
        let bounds = |known: &Known| (known.stretch.first.origin(), known.stretch.first.seq());
        if let (Some(next), Some(last)) = (self.list.values.get(index), self.list.values.get(end)) {
            let ((origin, start), (_, end)) = (bounds(next), bounds(last));
            let found = runs.range(origin, start..=end).flat_map(|(id, part)| {
                assert!(runs.find(part.first).unwrap().0 == id && runs.find(part.last()).unwrap().0 == id);
                (0..part.len).map(move |nth| part.part(nth, 1))
            });
            let mut expected: Vec<Stretch> = self.list.values.iter().map(|known| known.stretch).collect();
            expected.retain(|value| value.first.origin() == origin && (start..=end).contains(&value.first.seq()));
            expected.sort_by_key(|value| value.first);
            assert!(found.eq(expected));
        }
    }
}

impl Rope {
    /// Every invariant of the tree and its leaves.
    pub(in super::super) fn check(&self, runs: &Runs) {
        let tree = &self.tree;
        if tree.root == NONE {
            assert!(tree.total == Weight::default() && tree.height == 0 && tree.leaves.is_empty());
            return;
        }
        let mut order = Vec::new();
        let mut nodes = alloc::vec![(tree.height, tree.root, NONE, tree.total)];
        while let Some((level, id, parent, weight)) = nodes.pop() {
            if level == 0 {
                assert_eq!((tree.leaf(id).parent, tree.leaf(id).weight), (parent, weight));
                order.push(id);
                continue;
            }
            let inner = &tree.inner[id as usize];
            assert_eq!((tree.parent(level, id).0, inner.weight()), (parent, weight));
            for (slot, child) in inner.children().iter().enumerate() {
                assert_eq!(tree.parent(level - 1, *child), (id, slot));
            }
            assert!((1..=WIDTH).contains(&inner.len) && (parent != NONE || inner.len > 1));
            for (child, weight) in inner.children().iter().zip(inner.weights).rev() {
                nodes.push((level - 1, *child, id, weight));
            }
        }
        let mut before = NONE;
        let mut sum = Weight::default();
        for id in &order {
            let leaf = tree.leaf(*id);
            assert_eq!(leaf.before, before);
            assert!(before == NONE || tree.leaf(before).next == *id);
            assert_eq!(tree.before(*id), sum);
            sum = sum.plus(leaf.weight);
            self.check_leaf(runs, *id, leaf);
            before = *id;
        }
        assert_eq!((tree.leaf(before).next, tree.last_leaf()), (NONE, before));
        let Cursor { place, before } = self.cursor;
        if place.leaf != NONE {
            assert!(order.contains(&place.leaf) && place.offset == 0);
            assert_eq!(tree.before(place.leaf).values, before);
            let start = tree.leaf(place.leaf).start(place.leaf, place.piece);
            assert_eq!((start.values, start.bytes), (place.values, place.bytes));
        }
    }

    fn check_leaf(&self, runs: &Runs, id: u32, leaf: &Leaf) {
        assert!(!leaf.pieces.is_empty() && !leaf.is_full() && leaf.text.len() <= Leaf::MOST_BYTES);
        let values = leaf.pieces.iter().map(|piece| piece.len).sum();
        assert_eq!(leaf.weight, Weight { values, ..Weight::of(&leaf.text) });
        assert_eq!(leaf.text.len(), leaf.pieces.iter().map(|piece| piece.bytes as usize).sum::<usize>());
        let mut byte = 0;
        for piece in &leaf.pieces {
            let run = runs.get(piece.run);
            assert_eq!((run.stretch.len, run.rope, run.leaf), (piece.len, self.number, id));
            let text = &leaf.text[byte..byte + piece.bytes as usize];
            assert!(text.is_empty() || text.chars().count() == piece.len as usize);
            byte += text.len();
        }
        for pair in leaf.pieces.windows(2) {
            assert!(!runs.stretch(pair[0].run).adjoins(runs.stretch(pair[1].run)), "they could be one");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn seq_4_a_rope_is_its_values_sorted(
        wood in woods(),
        is_text in prop::bool::weighted(0.8),
        steps in prop::collection::vec(step(), 1..60),
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 4),
        all_at_once in prop::option::of(Just(())),
    ) {
        let mut pair = Pair::new(wood, is_text);
        for step in steps {
            pair.step(step);
            pair.check();
            for (index, end) in &at {
                let len = pair.list.values.len() + 1;
                pair.check_at(index.index(len), end.index(len));
            }
        }
        // All goes: value by value, or all at once.
        while all_at_once.is_none() && !pair.list.values.is_empty() {
            pair.remove(pair.list.values.len() / 2, 9, false);
            pair.check();
        }
        pair.rope.clear(&mut pair.runs);
        pair.list.values.clear();
        pair.check();
        prop_assert_eq!(pair.runs.len(), 0);
    }
}

/// Several ropes in one forest, each with values of all bunches.
fn shared(wood: Wood, steps: Vec<(Step, usize)>) -> (Runs, Vec<Rope>, Vec<Pair>) {
    let mut pairs: Vec<Pair> = (0..3).map(|number| Pair::numbered(wood.clone(), number != 2, number)).collect();
    for (step, which) in steps {
        // A dot is in one of them.
        let Step::Insert { bunch, from, backward, container, text, by_index } = step else {
            pairs[which].step(step);
            continue;
        };
        let from = from % 40 + 80 * which as u64 + if backward { 240 } else { 0 };
        let name = wood.bunches[bunch.index(wood.bunches.len())];
        let first = LocalDot::new(name.origin(), name.seq() + from);
        if pairs[which].list.values.iter().any(|known| known.stretch.first == first) {
            continue;
        }
        pairs[which].step(Step::Insert { bunch, from, backward, container, text, by_index });
    }
    let ropes = (0..3).map(Rope::new).collect();
    (Runs::default(), ropes, pairs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn seq_4_what_is_laid_out_is_as_if_inserted(
        wood in woods(),
        steps in prop::collection::vec((step(), 0usize..3), 1..60),
        cuts in prop::collection::vec(any::<bool>(), 64),
    ) {
        let (mut runs, mut ropes, mut pairs) = shared(wood.clone(), steps);
        // Every value with its text, ascending by dot, and as long stretches as there are; some are cut nevertheless.
        let mut known: Vec<(Known, u32)> = Vec::new();
        for (number, pair) in pairs.iter().enumerate() {
            known.extend(pair.list.values.iter().map(|known| (*known, number as u32)));
        }
        known.sort_by_key(|(known, _)| known.stretch.first);
        let mut loaded: Vec<(Stretch, u32, String)> = Vec::new();
        for (nth, (known, rope)) in known.iter().enumerate() {
            let Known { stretch, scalar } = known;
            let text = if pairs[*rope as usize].list.is_text { Some(*scalar) } else { None };
            match loaded.last_mut() {
                Some((last, number, so_far))
                    if number == rope
                        && (if last.backward { stretch.adjoins(last) } else { last.adjoins(stretch) })
                        && cuts[nth % cuts.len()] =>
                {
                    last.len += 1;
                    so_far.extend(text);
                }
                _ => loaded.push((*stretch, *rope, text.into_iter().collect())),
            }
        }
        let mut forest = wood.forest.clone();
        let loaded: Vec<Loaded<'_>> =
            loaded.iter().map(|(stretch, rope, text)| {
                let bunch = wood.forest.number(stretch.bunch());
                Loaded { rope: *rope, bunch, stretch: *stretch, text }
            }).collect();
        lay_out(&mut runs, &mut forest, &wood.origins, &loaded, &mut ropes);
        runs.check();
        for (stretch, bunch) in loaded.iter().map(|loaded| (loaded.stretch, loaded.stretch.bunch())) {
            prop_assert!(forest.is_needed(bunch));
            forest.release(bunch, stretch.len, None);
        }
        prop_assert!(wood.bunches.iter().all(|bunch| !forest.is_needed(*bunch)), "each value was counted once");
        // From now on the models have the ropes that were laid out, one after the other.
        for (pair, rope) in pairs.iter_mut().zip(ropes) {
            (pair.rope, pair.runs) = (rope, runs);
            pair.check();
            while pair.list.values.len() > 3 {
                pair.remove(pair.list.values.len() / 2, 5, true);
                pair.check();
            }
            runs = core::mem::take(&mut pair.runs);
        }
    }
}

/// A document of two replicas with one text.
struct Two {
    forest: Forest,
    origins: Origins,
    runs: Runs,
    rope: Rope,
}

impl Two {
    fn new() -> Self {
        let mut origins = Origins::default();
        origins.intern(ReplicaId::from(1));
        origins.intern(ReplicaId::from(2));
        Self { forest: Forest::default(), origins, runs: Runs::default(), rope: Rope::new(0) }
    }

    fn insert(&mut self, stretch: Stretch, text: &str) -> Vec<(usize, u32)> {
        let mut told = Vec::new();
        self.rope.insert(&mut self.runs, &self.forest, &self.origins, stretch, text, &mut told);
        self.rope.check(&self.runs);
        told.into_iter().map(|span| (span.index, span.stretch.len)).collect()
    }

    fn text(&self) -> String {
        self.rope.chunks(0..self.rope.len()).collect()
    }
}

fn stretch(who: u32, first: u64, len: u32, bunch: u64, backward: bool) -> Stretch {
    Stretch { first: LocalDot::new(Origin(who), first), len, bunch, backward, container: LocalContainer::root(0) }
}

#[test]
fn seq_4_what_was_typed_into_a_run_is_inside_of_it_when_it_comes_first() {
    let mut two = Two::new();
    let (a, b, c) = (LocalDot::new(Origin(0), 1), LocalDot::new(Origin(1), 1), LocalDot::new(Origin(1), 20));
    two.forest.insert(a, LocalPosition::START, Side::Right, 0).unwrap();
    // The other replica typed before the fourth value and before the seventh of this one.
    two.forest.insert(b, LocalPosition { bunch: a, index: 3 }, Side::Left, 0).unwrap();
    two.forest.insert(c, LocalPosition { bunch: a, index: 6 }, Side::Left, 0).unwrap();
    assert_eq!(two.insert(stretch(1, 1, 3, 1, false), "xyz"), [(0, 3)]);
    assert_eq!(two.insert(stretch(1, 20, 2, 20, false), "vw"), [(3, 2)]);
    assert_eq!(two.insert(stretch(0, 1, 8, 1, false), "abcdefgh"), [(0, 3), (6, 3), (11, 2)]);
    assert_eq!(two.text(), "abcxyzdefvwgh");
    // What continues a run is behind it, however it is found.
    assert_eq!(two.insert(stretch(0, 9, 1, 1, false), "i"), [(13, 1)]);
    assert_eq!(two.insert(stretch(1, 4, 1, 1, false), "!"), [(6, 1)]);
    assert_eq!((two.text().as_str(), two.runs.len()), ("abcxyz!defvwghi", 5));
}

#[test]
fn seq_4_backward_runs_are_read_against_their_dots() {
    let mut two = Two::new();
    let (a, b) = (LocalDot::new(Origin(0), 1), LocalDot::new(Origin(1), 1));
    two.forest.insert(a, LocalPosition::START, Side::Right, 0).unwrap();
    two.forest.insert(b, LocalPosition { bunch: a, index: -2 }, Side::Right, 0).unwrap();
    assert_eq!(two.insert(stretch(1, 1, 1, 1, false), "-"), [(0, 1)]);
    assert_eq!(two.insert(stretch(0, 1, 5, 1, true), "edcba"), [(0, 3), (4, 2)]);
    assert_eq!(two.text(), "abc-de");
    assert_eq!(two.insert(stretch(0, 6, 2, 1, true), "€🦀"), [(0, 2)]);
    assert_eq!((two.text().as_str(), two.runs.len()), ("🦀€abc-de", 3));
    let mut gone = String::new();
    let Span { index, stretch } = two.rope.remove_at(&mut two.runs, 1, 3, &mut gone).unwrap();
    assert_eq!((index, stretch.first.seq(), stretch.len, gone.as_str()), (1, 4, 3, "ba€"));
    assert_eq!(two.text(), "🦀c-de");
}

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn a_million_values_stay_flat_and_their_leaves_filled() {
    let mut forest = Forest::default();
    let mut origins = Origins::default();
    let me = origins.intern(ReplicaId::from(1));
    let (mut runs, mut rope, mut numbers) = (Runs::default(), Rope::new(0), Numbers(1));
    let mut seq = 1;
    let mut insert = |runs: &mut Runs, rope: &mut Rope, index: usize, text: &str| {
        let (left, right) = rope.neighbours(runs, index);
        let first = LocalDot::new(me, seq);
        let (bunch, backward) = match forest.place(&origins, me, seq, left, right).unwrap() {
            Placement::Extend { bunch, backward } => (bunch.seq(), backward),
            Placement::New { parent, side, rank } => {
                forest.insert(first, parent, side, rank).unwrap();
                (seq, false)
            }
        };
        let len = text.chars().count() as u32;
        rope.insert_at(runs, index, Stretch { first, len, backward, bunch, container: LocalContainer::root(0) }, text);
        seq += u64::from(len);
    };
    // Words at random places, between which more than is left is taken out again.
    let word = "wörter und 🦀 Zeilen\n".repeat(5);
    let (mut came, mut most, mut gone) = (0, 0, String::new());
    while came < 1_000_000 {
        let index = numbers.below(rope.len() + 1);
        insert(&mut runs, &mut rope, index, &word);
        came += word.chars().count();
        most = most.max(rope.len());
        if rope.len() > 60_000 {
            for _ in 0..900 {
                let index = numbers.below(rope.len());
                rope.remove_at(&mut runs, index, 60, &mut gone).unwrap();
            }
            gone.clear();
            flat(&rope, &runs);
        }
    }
    assert!(most > 60_000 && came > 15 * most, "most of what came has gone");
    while !rope.is_empty() {
        let index = numbers.below(rope.len());
        rope.remove_at(&mut runs, index, 60, &mut gone).unwrap();
    }
    assert_eq!(runs.len(), 0);
}

/// That there are no more leaves, and no more levels above them, than what is in them needs.
fn flat(rope: &Rope, runs: &Runs) {
    rope.check(runs);
    runs.check();
    let (mut leaves, mut id) = (1, rope.tree.first_leaf(rope.tree.height, rope.tree.root));
    while rope.tree.leaf(id).next != NONE {
        (leaves, id) = (leaves + 1, rope.tree.leaf(id).next);
    }
    // A leaf is a quarter full, by runs or by text, on the average at least; and so are the nodes above.
    let by_runs = runs.len() * 4 / Leaf::MOST_PIECES;
    let by_text = rope.weight().utf8 as usize * 4 / Leaf::MOST_BYTES;
    assert!(leaves <= by_runs + by_text + 1, "{leaves} leaves, {} runs, {:?}", runs.len(), rope.weight());
    let (mut nodes, mut levels) = (leaves, 0);
    while nodes > 1 {
        (nodes, levels) = (nodes * 2 / WIDTH, levels + 1);
    }
    assert!(rope.tree.height <= levels, "{} levels over {leaves} leaves", rope.tree.height);
}
