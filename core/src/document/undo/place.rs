//! Where in its list something comes back.
//!
//! A position is never used twice, so what comes back takes a fresh one: between the neighbours it had, if they are still
//! where they were. Where they are not, the old position itself tells the place, as long as its bunch is known. What others
//! inserted meanwhile stays on the side of the old position on which they put it.
//!
//! A position is named by the dot it was made for, here its *seat*: an element where it was created, or a move. Dead
//! positions are ranked by list and order when they die. Inside a list that died as a whole their order is all that counts.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::super::{Content, Document, PlaceId, State};
use super::record::{Killed, Mover, Step, newest};
use super::text::Fresh;
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::ordered::{Set, sort_by};
use crate::sequence::LocalPosition;
use crate::store::{LocalContainer, Slot};

/// A place between two elements that a transaction left alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// The seat of the one before; none at the start.
    pub(super) left: Option<LocalDot>,
    /// The seat of the one after; none at the end.
    pub(super) right: Option<LocalDot>,
}

/// Where a dead position was among those that died in the same transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Nook {
    /// Ascending by list and position.
    rank: u32,
    /// The gap it was in; none if its list died too.
    gap: Option<u32>,
}

/// Ranks the positions of `killed` and of `movers`, and finds the gaps in which those were whose list still lives.
pub(super) fn find_gaps(
    state: &State,
    made: &dyn Fn(LocalDot) -> bool,
    killed: &mut [Killed],
    movers: &mut [Mover],
) -> Vec<Gap> {
    // The elements that died out of lists that live, by dot.
    let mut elements: Vec<(LocalDot, PlaceId)> = Vec::new();
    for Killed { dot, container, slot, entity, .. } in killed.iter() {
        if let (Slot::Position { .. }, true, Some(list)) = (slot, *entity, state.live_list(*container)) {
            elements.push((*dot, list));
        }
    }
    let by_dot = order_of(elements.len(), &|a, b| elements[a].0.cmp(&elements[b].0));
    let list_of_dead = |dot: LocalDot| {
        let at = by_dot.binary_search_by(|at| elements[*at as usize].0.cmp(&dot)).ok()?;
        Some(elements[by_dot[at] as usize].1)
    };
    let mut positions: Vec<(Option<PlaceId>, LocalPosition, &mut Nook)> = Vec::new();
    for killed in killed.iter_mut() {
        let Some(at) = killed.position().filter(|at| state.forest.contains(at.bunch)) else { continue };
        let list = match killed.container.as_entity() {
            _ if killed.entity => list_of_dead(killed.dot),
            Some(element) => list_of_dead(element).or_else(|| state.list_of(element)),
            None => None,
        };
        positions.push((list, at, &mut killed.nook));
    }
    for Mover { element, nook, .. } in movers.iter_mut() {
        if let Some((initial, _)) = state.seat_of(*element) {
            positions.push((state.list_of(*element), initial, nook));
        }
    }
    let by_place = order_of(positions.len(), &|a, b| {
        let (a, b) = (&positions[a], &positions[b]);
        a.0.cmp(&b.0).then_with(|| state.forest.compare(&state.origins, a.1, b.1))
    });

    let mut gaps: Vec<Gap> = Vec::new();
    // The list of the last gap, and where that gap ends.
    let mut last: Option<(PlaceId, Option<LocalPosition>)> = None;
    for (rank, at) in by_place.into_iter().enumerate() {
        let (list, at, nook) = &mut positions[at as usize];
        let (list, at) = (*list, *at);
        nook.rank = rank as u32;
        let Some(list) = list else { continue };
        let order = state.order(list);
        let before = |end: LocalPosition| state.forest.compare(&state.origins, at, end) == Ordering::Less;
        if !last.is_some_and(|(same, end)| same == list && end.is_none_or(before)) {
            // What the transaction itself put there will be gone again when this comes back.
            let stays = |index: usize| order.position_at(index).filter(|at| !at.dot().is_some_and(made));
            let from = order.index_from(&state.forest, &state.origins, at);
            let (mut left, mut right) = (None, None);
            let mut index = from;
            while left.is_none() && index > 0 {
                index -= 1;
                left = stays(index);
            }
            index = from;
            while right.is_none() && index < order.len() {
                right = stays(index);
                index += 1;
            }
            let seat = |at: LocalPosition| at.dot();
            gaps.push(Gap { left: left.and_then(seat), right: right.and_then(seat) });
            last = Some((list, right));
        }
        nook.gap = Some(gaps.len() as u32 - 1);
    }
    gaps
}

/// The numbers below `len` in an order.
pub(super) fn order_of(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<u32> {
    let mut order = Vec::with_capacity(len);
    for at in 0..len as u32 {
        order.push(at);
    }
    sort_by(&mut order, |a, b| compare(*a as usize, *b as usize));
    order
}

/// The positions given in one undo of one step.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// Which ranks were given one; as dots, so that this is no other code than any set of dots.
    ranks: Set<LocalDot>,
    by_rank: Vec<(Option<u32>, LocalPosition)>,
}

/// Two neighbours; none at the ends.
type Between = (Option<LocalPosition>, Option<LocalPosition>);

impl Placed {
    pub(super) fn insert(&mut self, nook: Nook, at: LocalPosition) {
        let rank = nook.rank as usize;
        while self.by_rank.len() <= rank {
            self.by_rank.push((None, LocalPosition::START));
        }
        self.by_rank[rank] = (nook.gap, at);
        self.ranks.insert(Self::named(nook.rank));
    }

    const fn named(rank: u32) -> LocalDot {
        LocalDot::from_bits(rank as u64)
    }

    /// What came back from the same gap, or is a neighbour of that gap: the nearest of each side.
    fn bounds(&self, state: &State, fresh: &Fresh, step: &Step, nook: Nook, list: PlaceId) -> Between {
        let (before, after) = self.siblings(nook);
        let seat = |seat: Option<LocalDot>| state.seat_in(list, newest(fresh, seat?));
        let gap = nook.gap.and_then(|gap| step.gaps.get(gap as usize));
        (before.or_else(|| seat(gap?.left)), after.or_else(|| seat(gap?.right)))
    }

    fn siblings(&self, nook: Nook) -> Between {
        let same = |rank: &LocalDot| {
            let (gap, at) = self.by_rank[rank.bits() as usize];
            (gap == nook.gap).then_some(at)
        };
        let here = Self::named(nook.rank);
        let before = self.ranks.range(..here).next_back().and_then(same);
        let after = self.ranks.range(here..).next().and_then(same);
        (before, after)
    }

    /// Whether a position is where something was.
    pub(super) fn fits(
        &self,
        state: &State,
        fresh: &Fresh,
        step: &Step,
        nook: Nook,
        list: PlaceId,
        at: LocalPosition,
    ) -> bool {
        let less = |a: LocalPosition, b: LocalPosition| state.forest.compare(&state.origins, a, b) == Ordering::Less;
        let (left, right) = self.bounds(state, fresh, step, nook, list);
        left.is_none_or(|left| less(left, at)) && right.is_none_or(|right| less(at, right))
    }

    /// Between which positions something comes back that was at `old`. Without a list, only the order of what comes back
    /// counts.
    pub(super) fn neighbours(
        &self,
        document: &Document,
        fresh: &Fresh,
        step: &Step,
        nook: Nook,
        list: Option<PlaceId>,
        old: Option<LocalPosition>,
    ) -> Between {
        let state = &document.state;
        let (Some(list), Some(_)) = (list, nook.gap) else { return self.siblings(nook) };
        let (forest, origins, order) = (&state.forest, &state.origins, state.order(list));
        let nth = |index: usize| order.position_at(index);
        let prior = |index: usize| index.checked_sub(1).and_then(nth);
        if fault::active(Fault::UndoForgetsPlace) {
            return (prior(order.len()), None);
        }
        let less = |a: LocalPosition, b: LocalPosition| forest.compare(origins, a, b) == Ordering::Less;
        let index_from = |at: LocalPosition| order.index_from(forest, origins, at);
        // Whether a position is older than the step, or not one's own: only to those what died is compared. What came back
        // since is at another position than it was.
        let tells = |at: LocalPosition| {
            let own = |dot: LocalDot| document.undo.as_ref().is_some_and(|undo| undo.own.contains(&dot.origin()));
            let earlier = |dot: LocalDot| step.end.is_some_and(|end| dot.origin() == end.origin() && dot < end);
            at.dot().is_some_and(|dot| !own(dot) || earlier(dot))
        };
        let old = old.filter(|old| forest.contains(old.bunch));

        let (left, right) = self.bounds(state, fresh, step, nook, list);
        let left = if let Some(left) = left {
            // What others put between it and here stays before this.
            let mut index = old.map_or(0, index_from);
            let mut nearest = left;
            while let Some(beside) = prior(index).filter(|beside| less(left, *beside)) {
                if tells(beside) && right.is_none_or(|right| less(beside, right)) {
                    nearest = beside;
                    break;
                }
                index -= 1;
            }
            Some(nearest)
        } else if let Some(right) = right {
            let mut index = index_from(right);
            while let (Some(beside), Some(old)) = (prior(index), old)
                && tells(beside)
                && less(old, beside)
            {
                index -= 1;
            }
            prior(index)
        } else {
            prior(old.map_or(order.len(), index_from))
        };
        let next = left.map_or(0, |left| index_from(left) + usize::from(nth(index_from(left)) == Some(left)));
        // The one after may be a place that nobody sees, because the element that came back there was moved away.
        let right = match (nth(next), right) {
            (next, Some(right)) if left.is_none_or(|left| less(left, right)) => {
                Some(next.filter(|next| less(*next, right)).unwrap_or(right))
            }
            (next, _) => next,
        };
        (left, right)
    }
}

impl State {
    /// The place of a live list.
    pub(super) fn live_list(&self, container: LocalContainer) -> Option<PlaceId> {
        let place = self.container(container)?;
        matches!(self.view.place(place).content, Content::List(_)).then_some(place)
    }

    /// The list that a live element is in.
    pub(super) fn list_of(&self, element: LocalDot) -> Option<PlaceId> {
        self.list_at(self.store.find(element)?)
    }

    /// Where a live element was created, and where it sits now.
    pub(super) fn seat_of(&self, element: LocalDot) -> Option<(LocalPosition, LocalPosition)> {
        self.seat_at(self.store.find(element)?)
    }

    /// The position of this name, if it is where an element of the list sits now.
    fn seat_in(&self, list: PlaceId, name: LocalDot) -> Option<LocalPosition> {
        let element = self.seated(name)?;
        let (_, at) = self.seat_at(element)?;
        (self.list_at(element) == Some(list) && at.dot() == Some(name)).then_some(at)
    }
}
