//! Which of several entries readers are shown: the winner by stamp, the extreme, the floor. Shared by the types and by what is
//! told of changes.

use core::cmp::Ordering;

use super::dots::DotsRef;
use super::state::State;
use super::view::PlaceId;
use crate::fault::{self, Fault};
use crate::store::{EntryId, Kind, Live, PayloadRef};
use crate::value::Value;

impl State {
    /// The winner among concurrent writes: the greatest by (stamp, replica id, seq).
    pub(crate) fn winner(&self, dots: DotsRef<'_>) -> Option<EntryId> {
        let earliest = fault::active(Fault::EarliestWins);
        dots.iter().max_by(|a, b| if earliest { self.by_stamp(*b, *a) } else { self.by_stamp(*a, *b) })
    }

    /// Whether there are entries, and all of this kind.
    pub(crate) fn all_are(&self, dots: DotsRef<'_>, kind: Kind) -> bool {
        let is = |id| self.store.live(id).kind == kind;
        !dots.is_empty() && (dots.iter().all(is) || fault::active(Fault::MarksIgnored) && dots.iter().any(is))
    }

    /// The value that comes out `best` of a comparison with any other.
    pub(crate) fn extreme(&self, dots: DotsRef<'_>, best: Ordering) -> Option<&Value> {
        if fault::active(Fault::ExtremeByStamp) {
            return self.winner(dots).and_then(|id| self.value_of(id));
        }
        let mut found: Option<&Value> = None;
        for id in dots.iter() {
            if let Some(value) = self.value_of(id)
                && found.is_none_or(|found| value.cmp(found) == best)
            {
                found = Some(value);
            }
        }
        found
    }

    /// What the value of a bounded counter never goes below.
    pub(crate) fn floor(&self, place: PlaceId) -> i64 {
        let mut floor: Option<i64> = None;
        for entity in self.view.place(place).incarnations.iter() {
            let said = if let Some(Value::Int(said)) = self.value_of(entity) { *said } else { 0 };
            floor = Some(match floor {
                Some(floor) if fault::active(Fault::FloorsAdd) => floor.saturating_add(said),
                Some(floor) => floor.max(said),
                None => said,
            });
        }
        floor.unwrap_or(0)
    }

    pub(crate) fn by_stamp(&self, a: EntryId, b: EntryId) -> Ordering {
        #[cfg(test)]
        work::count();
        let stamp = |id| self.store.live(id).hlc;
        let (of_a, of_b) = (self.store.dot(a), self.store.dot(b));
        let by_number = fault::active(Fault::WinnerByNumber);
        let by_id = || if by_number { of_a.cmp(&of_b) } else { self.origins.compare(of_a, of_b) };
        stamp(a).cmp(&stamp(b)).then_with(by_id)
    }
}

/// What an entry adds to its counter.
pub(crate) fn amount(live: &Live) -> i128 {
    match live.payload() {
        PayloadRef::Total { plus, .. } if fault::active(Fault::CounterIgnoresMinus) => i128::from(plus),
        PayloadRef::Total { plus, minus } => i128::from(plus) - i128::from(minus),
        PayloadRef::Rights(rights) => i128::from(rights.plus) - i128::from(rights.minus),
        _ => 0,
    }
}

/// How often stamps were compared, for tests of what it costs to find a winner.
#[cfg(test)]
pub(super) mod work {
    use core::cell::Cell;

    std::thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::document) fn count() {
        COMPARED.set(COMPARED.get() + 1);
    }

    /// How often `work` compares.
    pub(in crate::document) fn of(work: impl FnOnce()) -> usize {
        let before = COMPARED.get();
        work();
        COMPARED.get() - before
    }
}
