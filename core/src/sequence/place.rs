//! Where a new value goes: strictly between its two visible neighbours, and so that runs stay whole.
//!
//! Three rules, in this order: continue one's own bunch to the right of the left neighbour; where the right neighbour hangs
//! on the right of the left one, go to the left of the right neighbour (Fugue's rule); else go to the right of the left one.
//! Neighbours that were deleted may be unknown, and are not looked at. Any bunch of the writer's own may be extended, also past
//! indexes whose values died: the next dot is by construction an index never used (SEQ-1).
//!
//! Why it is between: in the first rule the comparison says so; in the second what is left of the right neighbour begins
//! after the left one; in the third all that is right of the left neighbour ends before the right one.
//!
//! *Re-rooting* keeps logs that many replicas append to shallow: a bunch that would be deep becomes the sibling of an ancestor,
//! in a rank of its own, where that is between the same neighbours. It is an ordinary position; only its parent is another.

use core::cmp::Ordering;

use super::forest::{Forest, ForestError, LocalBunch};
use super::order::Among;
use super::position::{LocalPosition, Side};
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::replica_id::{Origin, Origins};

/// Where a new value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Into a bunch that its writer has already, at one of its ends.
    Extend { bunch: LocalDot, backward: bool },
    /// Into a new bunch, named by the value's dot.
    New { parent: LocalPosition, side: Side, rank: i32 },
}

impl Placement {
    /// The position that the value `dot` has by this placement.
    #[cfg(test)]
    pub(super) fn position(self, dot: LocalDot) -> LocalPosition {
        match self {
            Self::Extend { bunch, backward } => {
                LocalPosition::of(dot, bunch.seq(), backward).expect("SEQ-1: a dot comes after the bunch it extends")
            }
            Self::New { .. } => LocalPosition { bunch: dot, index: 0 },
        }
    }
}

impl Forest {
    /// New bunches deeper than this try to re-root.
    pub(crate) const SOFT_DEPTH: u32 = 64;

    /// Where the value with the dot `(me, seq)` goes, strictly between the visible neighbours `left` and `right` (`None`
    /// at the ends). The dot is newer than every dot of `me` so far.
    ///
    /// # Errors
    /// [`ForestError::TooDeep`] when thousands of values were put into one shrinking gap.
    pub(crate) fn place(
        &mut self,
        origins: &Origins,
        me: Origin,
        seq: u64,
        left: Option<LocalPosition>,
        right: Option<LocalPosition>,
    ) -> Result<Placement, ForestError> {
        self.place_above(origins, LocalDot::new(me, seq), left, right, Self::SOFT_DEPTH)
    }

    pub(super) fn place_above(
        &mut self,
        origins: &Origins,
        dot: LocalDot,
        left: Option<LocalPosition>,
        right: Option<LocalPosition>,
        soft_depth: u32,
    ) -> Result<Placement, ForestError> {
        let l = left.unwrap_or(LocalPosition::START);
        let mine = |position: LocalPosition| {
            position.bunch != LocalDot::ROOT
                && (position.bunch.origin() == dot.origin() || fault::active(Fault::ExtendsForeign))
        };
        let after_l = LocalBunch { parent: l, side: Side::Right, rank: 0 };
        if fault::active(Fault::AlwaysRightChild) {
            return self.new_bunch(origins, dot, after_l, left, right, soft_depth);
        }

        if mine(l) {
            let extends = l.index >= 0 || fault::active(Fault::ExtendsRightFromLeft);
            if extends {
                let extend = Placement::Extend { bunch: l.bunch, backward: false };
                // It goes on where it went before. That does not depend on how far it has come: nothing can be in it at an
                // index that was never used, and what is behind it stays behind it.
                if self.is_extended(l.bunch, right) {
                    return Ok(extend);
                }
                let next = LocalPosition { bunch: l.bunch, index: dot.seq() as i64 - l.bunch.seq() as i64 };
                if right.is_none_or(|r| self.compare(origins, next, r) == Ordering::Less) {
                    self.note_extended(l.bunch, right);
                    return Ok(extend);
                }
            } else {
                let point = self.point_of_bunch(after_l, Among::Id(dot));
                if right.is_none_or(|r| self.compare_points(origins, point, self.point(r)) == Ordering::Less) {
                    return self.new_bunch(origins, dot, after_l, left, right, soft_depth);
                }
            }
        }
        if let Some(r) = right.filter(|r| self.hangs_right_of(l, *r)) {
            if mine(r) && (r.index <= 0 || fault::active(Fault::ExtendsLeftFromRight)) {
                return Ok(Placement::Extend { bunch: r.bunch, backward: true });
            }
            let before_r = LocalBunch { parent: r, side: Side::Left, rank: 0 };
            return self.new_bunch(origins, dot, before_r, left, right, soft_depth);
        }
        self.new_bunch(origins, dot, after_l, left, right, soft_depth)
    }

    /// Whether `r` is in the right subtree of `l`, bunches read as chains: there `r` has nothing of `l` on its left.
    fn hangs_right_of(&self, l: LocalPosition, r: LocalPosition) -> bool {
        let depth = self.depth(l.bunch);
        let mut point = self.point(r);
        while point.depth > depth {
            self.lift(&mut point);
        }
        let directly = point.index == l.index && point.side == Some(Side::Right);
        point.bunch == l.bunch && (directly || l.index >= 0 && point.index > l.index)
    }

    /// `bunch`, or in its stead a sibling of an ancestor when it would be deep.
    fn new_bunch(
        &self,
        origins: &Origins,
        dot: LocalDot,
        bunch: LocalBunch,
        left: Option<LocalPosition>,
        right: Option<LocalPosition>,
        soft_depth: u32,
    ) -> Result<Placement, ForestError> {
        let depth = self.depth(bunch.parent.bunch) + 1;
        let rerooted = if depth > soft_depth { self.reroot(origins, bunch, left, right, soft_depth / 2) } else { None };
        let LocalBunch { parent, side, rank } = rerooted.unwrap_or(bunch);
        if self.depth(parent.bunch) >= Self::MAX_DEPTH {
            return Err(ForestError::TooDeep { bunch: dot, limit: Self::MAX_DEPTH });
        }
        Ok(Placement::New { parent, side, rank })
    }

    /// The sibling of the shallowest ancestor, at `min_depth` or below it, that is on the same side and has room next to
    /// it between the neighbours: room for a whole rank, so that all who come there concurrently are between them too.
    ///
    /// What is beside a shallower ancestor on the same side is further out, so the first without room ends the climb.
    fn reroot(
        &self,
        origins: &Origins,
        bunch: LocalBunch,
        left: Option<LocalPosition>,
        right: Option<LocalPosition>,
        min_depth: u32,
    ) -> Option<LocalBunch> {
        let outward = if bunch.side == Side::Right { 1 } else { -1 };
        let mut best = None;
        let mut id = bunch.parent.bunch;
        while id != LocalDot::ROOT {
            let node = self.node(id);
            if node.depth < min_depth.max(1) {
                break;
            }
            if node.bunch.side == bunch.side
                && let Some(rank) = node.bunch.rank.checked_add(outward)
            {
                let sibling = LocalBunch { rank, ..node.bunch };
                let first = self.point_of_bunch(sibling, Among::First);
                let last = self.point_of_bunch(sibling, Among::Last);
                let after_left =
                    left.is_none_or(|l| self.compare_points(origins, self.point(l), first) == Ordering::Less);
                let before_right =
                    right.is_none_or(|r| self.compare_points(origins, last, self.point(r)) == Ordering::Less);
                let has_room = after_left && before_right;
                if !has_room && !fault::active(Fault::RerootsAnywhere) {
                    break;
                }
                best = Some(sibling);
            }
            id = node.bunch.parent.bunch;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::{FRESH_SEQ, woods};
    use super::super::sorted::Sorted;
    use super::*;
    use crate::replica_id::ReplicaId;

    /// Replicas that edit one list in turn, each seeing what the others did.
    struct List {
        origins: Origins,
        forest: Forest,
        sequence: Sorted<LocalDot>,
        next_seq: u64,
        soft_depth: u32,
        born: usize,
    }

    impl List {
        fn new(replicas: u128) -> Self {
            let mut origins = Origins::default();
            for id in 1..=replicas {
                // Ids that are in no order.
                origins.intern(ReplicaId::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)));
            }
            let (forest, sequence) = (Forest::default(), Sorted::new());
            Self { origins, forest, sequence, next_seq: 1, soft_depth: Forest::SOFT_DEPTH, born: 0 }
        }

        fn insert(&mut self, who: usize, index: usize) -> LocalDot {
            let dot = LocalDot::new(Origin(who as u32), self.next_seq);
            self.next_seq += 1;
            let left = index.checked_sub(1).and_then(|index| self.sequence.get(index)).map(|entry| entry.0);
            let right = self.sequence.get(index).map(|entry| entry.0);
            let placement = self.forest.place_above(&self.origins, dot, left, right, self.soft_depth).unwrap();
            if let Placement::New { parent, side, rank } = placement {
                self.forest.insert(dot, parent, side, rank).unwrap();
                self.born += 1;
            }
            let at = placement.position(dot);
            self.forest.acquire(at.bunch, 1);
            assert_eq!(self.sequence.insert(&self.forest, &self.origins, at, dot), index, "C3");
            dot
        }

        fn remove(&mut self, index: usize) {
            let (at, dot) = self.sequence.get(index).unwrap();
            assert_eq!(self.sequence.remove(&self.forest, &self.origins, at), Some(dot));
            self.forest.release(at.bunch, 1, None);
            self.forest.drop_dead(|_| true);
        }

        fn depth(&self) -> u32 {
            self.sequence.iter().map(|entry| self.forest.depth(entry.0.bunch)).max().unwrap_or(0)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn c_3_a_place_is_between_its_neighbours(
            wood in woods(16),
            live in prop::collection::vec(any::<prop::sample::Index>(), 1..24),
            soft_depth in prop_oneof![Just(2), Just(4), Just(Forest::SOFT_DEPTH)],
        ) {
            let (mut forest, origins) = (wood.forest.clone(), &wood.origins);
            let positions = wood.positions();
            let mut live: alloc::vec::Vec<_> = live.into_iter().map(|nth| positions[nth.index(positions.len())]).collect();
            live.sort_by(|a, b| forest.compare(origins, *a, *b));
            live.dedup();
            // Up and down, so that what is remembered of one gap is asked for in others.
            for gap in (0..=live.len()).chain((0..=live.len()).rev()) {
                let (left, right) = (gap.checked_sub(1).map(|at| live[at]), live.get(gap).copied());
                for me in 0..4 {
                    let dot = LocalDot::new(Origin(me), FRESH_SEQ);
                    let placement = forest.place_above(origins, dot, left, right, soft_depth).unwrap();
                    let later = LocalDot::new(Origin(me), FRESH_SEQ + 7);
                    let remembered = forest.place_above(origins, later, left, right, soft_depth);
                    let anew = wood.forest.clone().place_above(origins, later, left, right, soft_depth);
                    prop_assert_eq!(remembered, anew, "what is remembered is what would be found");
                    let mut grown = wood.forest.clone();
                    match placement {
                        Placement::New { parent, side, rank } => grown.insert(dot, parent, side, rank).unwrap(),
                        Placement::Extend { bunch, .. } => prop_assert_eq!(bunch.origin(), Origin(me), "SEQ-2"),
                    }
                    let at = placement.position(dot);
                    prop_assert!(left.is_none_or(|l| grown.compare(origins, l, at) == Ordering::Less), "{:?}", placement);
                    prop_assert!(right.is_none_or(|r| grown.compare(origins, at, r) == Ordering::Less), "{:?}", placement);
                }
            }
        }
    }

    #[test]
    fn one_replica_typing_stays_in_one_bunch() {
        for prepends in [false, true] {
            let mut list = List::new(1);
            for count in 0..2000 {
                list.insert(0, if prepends { 0 } else { count });
            }
            assert_eq!((list.born, list.depth()), (1, 1));
        }
        // Always before the last inserted.
        let mut list = List::new(1);
        for count in 0..2000usize {
            list.insert(0, count.saturating_sub(1).min(1));
        }
        assert!(list.born <= 2 && list.depth() <= 2);
        // Typing, taking back, typing again.
        let mut list = List::new(1);
        for _ in 0..100 {
            for _ in 0..3 {
                list.insert(0, list.sequence.len());
            }
            list.remove(list.sequence.len() - 1);
        }
        assert_eq!((list.born, list.depth()), (1, 1));
    }

    #[test]
    fn lines_typed_at_the_start_are_two_deep() {
        let mut list = List::new(1);
        for _ in 0..400 {
            for column in 0..5 {
                list.insert(0, column);
            }
        }
        assert!(list.depth() <= 2, "depth {}", list.depth());
        assert!(list.born <= 401, "{} bunches", list.born);
    }

    #[test]
    fn two_ends_and_one_gap_stay_shallow() {
        let mut list = List::new(2);
        for count in 0..2000 {
            list.insert(0, if count % 2 == 0 { 0 } else { count });
        }
        assert!(list.born <= 3 && list.depth() <= 2, "{} bunches, depth {}", list.born, list.depth());
        // Insert and delete in the same gap, own and foreign: what died leaves nothing behind.
        for who in [0, 1] {
            for _ in 0..500 {
                list.insert(who, 1000);
                list.remove(1000);
            }
        }
        assert!(list.forest.len() <= 4 && list.depth() <= 2);
    }

    #[test]
    fn random_places_grow_with_the_logarithm() {
        let mut random = 1u64;
        let mut list = List::new(5);
        for count in 0..2000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            list.insert((random >> 33) as usize % 5, (random >> 40) as usize % (count + 1));
        }
        assert!(list.depth() <= 40, "depth {}", list.depth());
    }

    #[test]
    fn a_shared_log_stays_at_the_soft_depth() {
        for prepends in [false, true] {
            for writers in [2, 3, 500] {
                let mut list = List::new(writers as u128);
                for count in 0..500 {
                    list.insert(count % writers, if prepends { 0 } else { count });
                }
                assert_eq!(list.depth(), Forest::SOFT_DEPTH, "{writers} writers");
                let mut seqs: alloc::vec::Vec<u64> = list.sequence.iter().map(|entry| entry.1.seq()).collect();
                if prepends {
                    seqs.reverse();
                }
                assert!(seqs.is_sorted());
            }
        }
    }

    #[test]
    fn without_rerooting_a_shared_log_is_as_deep_as_long() {
        let mut list = List::new(2);
        list.soft_depth = u32::MAX;
        for count in 0..300 {
            list.insert(count % 2, count);
        }
        assert_eq!(list.depth(), 300);
    }

    #[test]
    fn a_shrinking_gap_ends_with_an_error() {
        let mut list = List::new(2);
        // Zig-zag into one gap: each value goes right before or right after the last, by the other replica.
        let mut index = 0;
        for count in 0..300 {
            list.insert(count % 2, index);
            index += usize::from(count % 4 < 2);
        }
        assert!(list.depth() > Forest::SOFT_DEPTH, "nested insertion is deep by nature, depth {}", list.depth());

        let mut forest = Forest::default();
        let mut parent = LocalPosition::START;
        for seq in 1..=u64::from(Forest::MAX_DEPTH) {
            let side = if seq % 2 == 1 { Side::Right } else { Side::Left };
            let id = LocalDot::new(Origin(0), seq);
            forest.insert(id, parent, side, 0).unwrap();
            parent = LocalPosition { bunch: id, index: 0 };
        }
        let above = forest.get(parent.bunch).unwrap().parent;
        let dot = LocalDot::new(Origin(1), 1);
        let error = ForestError::TooDeep { bunch: dot, limit: Forest::MAX_DEPTH };
        assert_eq!(forest.insert(dot, parent, Side::Left, 0), Err(error));
        assert_eq!(forest.place(&list.origins, Origin(1), 1, Some(parent), Some(above)), Err(error));
        assert!(forest.place(&list.origins, Origin(1), 1, None, None).is_ok());
    }
}
