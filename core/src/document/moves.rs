//! The live moves of a list element, in the order of their stamps: the last one says where it sits.
//!
//! Almost always there is one at most. Of as many as somebody cares to send, each comes and goes in O(log n), also where always
//! the one that counts goes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::state::State;
use super::view::PlaceId;
use crate::clock::{Dot, Hlc};
use crate::ordered::Map;
use crate::store::EntryId;

/// What moves are ordered by: as [`State::by_stamp`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Hlc, Dot);

impl Ord for Stamp {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        super::winner::work::count();
        self.0.cmp(&other.0).then_with(|| self.1.cmp(&other.1))
    }
}

impl PartialOrd for Stamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Moves by stamp.
#[derive(Clone, Debug, Default)]
pub(crate) enum Moves {
    #[default]
    None,
    One(EntryId),
    Many(Box<Map<Stamp, EntryId>>),
}

impl Moves {
    /// Adds one, which has this stamp; `other` is that of the only one so far.
    pub(super) fn add(&mut self, stamp: Stamp, id: EntryId, other: Option<Stamp>) {
        match (&mut *self, other) {
            (Self::Many(moves), _) => moves.insert(stamp, id),
            (Self::One(first), Some(other)) => {
                let mut moves = Map::new();
                moves.insert(other, *first);
                moves.insert(stamp, id);
                *self = Self::Many(Box::new(moves));
            }
            _ => *self = Self::One(id),
        }
    }

    pub(super) fn remove(&mut self, stamp: Stamp) {
        match self {
            Self::Many(moves) => {
                moves.remove(&stamp);
                if moves.is_empty() {
                    *self = Self::None;
                }
            }
            _ => *self = Self::None,
        }
    }

    /// The one that counts.
    pub(super) fn last(&self) -> Option<EntryId> {
        match self {
            Self::None => None,
            Self::One(id) => Some(*id),
            Self::Many(moves) => moves.iter().next_back().map(|(_, id)| *id),
        }
    }

    /// All of them.
    pub(crate) fn append_to(&self, all: &mut Vec<EntryId>) {
        match self {
            Self::None => {}
            Self::One(id) => all.push(*id),
            Self::Many(moves) => {
                for (_, id) in moves.iter() {
                    all.push(*id);
                }
            }
        }
    }
}

impl State {
    fn stamp_of(&self, id: EntryId) -> Stamp {
        Stamp(self.store.live(id).hlc, self.origins.dot(self.store.dot(id)))
    }

    pub(super) fn add_move(&mut self, place: PlaceId, id: EntryId) {
        let stamp = self.stamp_of(id);
        let other = if let Moves::One(other) = self.seat(place).moves { Some(self.stamp_of(other)) } else { None };
        self.seat(place).moves.add(stamp, id, other);
    }

    pub(super) fn remove_move(&mut self, place: PlaceId, id: EntryId) {
        let stamp = self.stamp_of(id);
        self.seat(place).moves.remove(stamp);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::winner::work;
    use crate::clock::Timestamp;
    use crate::replica_id::ReplicaId;
    use crate::{Commit, Delta, Document, EditError, Transaction};

    fn edit(doc: &mut Document, now: u64, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Delta {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(now), edit);
        commit.expect("the edit is accepted").delta.expect("it changed something")
    }

    /// Moves the first element to the end.
    fn move_first(doc: &mut Document, now: u64) -> Delta {
        edit(doc, now, |tx| {
            let mut list = tx.list("l")?;
            let (first, end) = (list.read().ids().next().expect("it has elements"), list.read().len() - 1);
            list.move_to(first, end)
        })
    }

    #[test]
    fn killing_winning_moves_one_after_the_other_compares_few_stamps() {
        const MOVES: u64 = 500;
        let mut origin = Document::with_writer(ReplicaId::from(1));
        edit(&mut origin, 1, |tx| ["a", "b", "c"].iter().try_for_each(|text| tx.list("l")?.push(*text).map(drop)));
        // Everybody moves the same element at once; the lower the id, the later the stamp.
        let mut moves = Vec::new();
        for mover in 0..MOVES {
            let mut other = origin.clone();
            other.set_writer(Some(ReplicaId::from(u128::from(mover) + 2))).expect("no transaction is open");
            moves.push(move_first(&mut other, 10_000 - mover));
        }
        let mut last = origin.clone();
        let compared = work::of(|| moves.iter().for_each(|delta| drop(origin.apply(delta).expect("it applies"))));
        assert!(compared < MOVES as usize * 16, "{compared} comparisons for {MOVES} moves that come");
        moves.iter().rev().for_each(|delta| drop(last.apply(delta).expect("it applies")));
        let all_observed = edit(&mut last, 20_000, |tx| {
            let mut list = tx.list("l")?;
            let id = list.read().ids().last().expect("it has elements");
            list.move_to(id, 0)
        });
        assert_eq!(all_observed.parts().removes.dot_count(), MOVES);
        let compared = work::of(|| drop(origin.apply(&all_observed).expect("it applies")));
        assert!(compared < MOVES as usize * 40, "{compared} comparisons for {MOVES} moves that go");
        assert_eq!(origin.snapshot(), last.snapshot());
    }
}
