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
            let (rope, bunch) = (*rope, self.forest.number_again(stretch.bunch()));
            let mut take = |stretch| loaded.push(Loaded { rope, bunch, stretch, text: "" });
            waiting.cut(stretch, &mut take, &mut |_| self.forest.acquire(stretch.bunch(), 1));
        }
        let mut moved = Vec::new();
        for (rope, stretch) in &waiting.moves {
            let (rope, bunch) = (*rope, self.forest.number_again(stretch.bunch()));
            let mut take = |stretch| {
                loaded.push(Loaded { rope, bunch, stretch, text: "" });
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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use alloc::vec::Vec;

    use crate::clock::{Dot, Timestamp};
    use crate::replica_id::ReplicaId;
    use crate::testing::Random;
    use crate::{Commit, Document, EditError, Kind, ListMut, Transaction};

    fn edit(doc: &mut Document, now: u64, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(now), edit);
        assert!(commit.expect("the edit is accepted").delta.is_some());
    }

    fn anything(list: &mut ListMut<'_, '_>, random: &mut Random) -> Result<(), EditError> {
        let len = list.read().len();
        let index = random.below(len.max(1));
        match (random.below(8), list.read().id_at(index)) {
            (0, Some(_)) => list.remove_at(index),
            (1 | 2, Some(id)) => list.move_to(id, random.below(len)),
            (3, Some(id)) if list.read().kind(id) == Some(Kind::REGISTER) => list.put(id, "put"),
            (4, _) => list.insert_container(index.min(len), Kind::LIST).map(drop),
            (5, _) => list.insert(0, "first").map(drop),
            _ => list.insert(index.min(len), "value").map(drop),
        }
    }

    fn shown(doc: &Document) -> Vec<(Dot, Option<crate::Value>)> {
        let list = doc.list("l");
        list.ids().map(|id| (id, list.value(id))).collect()
    }

    #[test]
    fn seq_4_a_list_that_is_loaded_is_in_order_and_its_bunches_are_counted() {
        for seed in 0..40 {
            let mut random = Random::seeded(seed);
            let mut doc = Document::default();
            for step in 0..60 {
                // Ids that are greater and smaller than the first one's.
                let writer = ReplicaId::from(*random.pick(&[5u128, 2, 9]));
                doc.set_writer(Some(writer)).expect("no transaction is open");
                edit(&mut doc, step, |tx| {
                    tx.counter("steps")?.add(1)?;
                    let mut list = tx.list("l")?;
                    (0..5).try_for_each(|_| anything(&mut list, &mut random))
                });
            }
            let mut loaded = Document::load(&doc.snapshot()).expect("it was just saved");
            assert_eq!(shown(&loaded), shown(&doc), "seed {seed}");
            let list = loaded.list("l");
            assert!(list.ids().enumerate().all(|(index, id)| list.index_of(id) == Some(index)), "seed {seed}");
            // Where a count is wrong, structure goes too early or not at all.
            for doc in [&mut doc, &mut loaded] {
                doc.set_writer(Some(ReplicaId::from(1))).expect("no transaction is open");
                let half = doc.list("l").len() / 2;
                edit(doc, 100, |tx| {
                    tx.counter("steps")?.add(1)?;
                    (0..half).try_for_each(|_| tx.list("l")?.remove_at(0))
                });
                doc.truncate_removals();
            }
            assert_eq!(loaded.snapshot(), doc.snapshot(), "seed {seed}");
            edit(&mut loaded, 101, |tx| {
                tx.counter("steps")?.add(1)?;
                tx.list("l")?.clear()
            });
            loaded.truncate_removals();
            assert_eq!(loaded.state.forest.needed().len(), 0, "seed {seed}");
        }
    }

    #[test]
    fn a_plain_element_has_a_place_once_something_is_in_it() {
        let mut doc = Document::with_writer(ReplicaId::from(1));
        edit(&mut doc, 1, |tx| ["a", "b", "c"].iter().try_for_each(|text| tx.list("l")?.push(*text).map(drop)));
        let bare = |doc: &Document| {
            let entries = doc.list("l").ids().filter_map(|id| doc.state.store.find(doc.state.origins.local(id)?));
            entries.map(|id| doc.state.is_bare(id)).collect::<Vec<_>>()
        };
        assert_eq!(bare(&doc), [true, true, true]);
        let ids: Vec<Dot> = doc.list("l").ids().collect();
        edit(&mut doc, 2, |tx| tx.list("l")?.put(ids[0], "A"));
        edit(&mut doc, 3, |tx| tx.list("l")?.move_to(ids[1], 2));
        assert_eq!(bare(&doc), [false, true, false]);
        assert_eq!(bare(&Document::load(&doc.snapshot()).expect("it was just saved")), [false, true, false]);
        assert!(doc.list("l").values().filter_map(|value| value.as_str()).eq(["A", "c", "b"]));
    }
}
