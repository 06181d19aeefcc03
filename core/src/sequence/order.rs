//! The order of positions.
//!
//! Read without bunches, index i ≥ 0 is a chain of right children and i ≤ 0 a chain of left children of the bunch's first
//! value. So inside one bunch, from the outside in on both ends:
//!
//! - left zone: what hangs on the left of 0, −1, −2, … in this order, so 0 is furthest left;
//! - the indexes ascending, each with what hangs on its inner side: left of i > 0, right of i < 0;
//! - right zone: what hangs on the right of the highest index first, 0 last.
//!
//! Siblings are ordered by rank, then by distance (the children of the bunch's owner are nearest to their parent, so that
//! nobody's own run is torn), then by id.
//!
//! Rules: SEQ-4 the order depends on two ancestor chains and on nothing else. Ids are compared in full, because the numbers
//! that stand for replicas differ from document to document.

use core::cmp::Ordering;

use super::forest::{Forest, LocalBunch};
use super::position::{LocalPosition, Side};
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::replica_id::Origins;

impl Forest {
    /// Which of two positions comes first. Both chains must be present. O(depth), without allocating.
    pub(crate) fn compare(&self, origins: &Origins, a: LocalPosition, b: LocalPosition) -> Ordering {
        if a.bunch == b.bunch {
            return a.index.cmp(&b.index);
        }
        self.compare_points(origins, self.point(a), self.point(b))
    }

    /// The indexes of a bunch that are before a position: those below the answer. Some of them are, that is known.
    pub(super) fn indexes_before(&self, bunch: LocalDot, next: LocalPosition) -> i64 {
        if next.bunch == bunch {
            return next.index;
        }
        let depth = self.depth(bunch);
        let mut point = self.point(next);
        while point.depth > depth {
            self.lift(&mut point);
        }
        match point.step() {
            _ if point.bunch != bunch => i64::MAX,
            (-1, ..) => i64::MIN,
            (0, index, behind) => index + i64::from(behind == 2),
            _ => i64::MAX,
        }
    }

    pub(super) fn point(&self, position: LocalPosition) -> Point {
        let LocalPosition { bunch, index } = position;
        Point { bunch, depth: self.depth(bunch), index, side: None, rank: 0, among: Among::First }
    }

    /// Where everything in a bunch is, whether the bunch exists or not; with [`Among::First`] or [`Among::Last`], the
    /// bounds of all bunches there could be with that parent, side and rank.
    pub(super) fn point_of_bunch(&self, bunch: LocalBunch, among: Among) -> Point {
        let LocalBunch { parent, side, rank } = bunch;
        Point {
            bunch: parent.bunch,
            depth: self.depth(parent.bunch),
            index: parent.index,
            side: Some(side),
            rank,
            among,
        }
    }

    pub(super) fn compare_points(&self, origins: &Origins, mut a: Point, mut b: Point) -> Ordering {
        while a.depth > b.depth {
            self.lift(&mut a);
        }
        while b.depth > a.depth {
            self.lift(&mut b);
        }
        while a.bunch != b.bunch {
            self.lift(&mut a);
            self.lift(&mut b);
        }
        a.step().cmp(&b.step()).then(a.rank.cmp(&b.rank)).then_with(|| match (a.among, b.among) {
            (Among::Id(x), Among::Id(y)) => siblings(origins, a.bunch, a.side, x, y),
            (x, y) => x.class().cmp(&y.class()),
        })
    }

    /// From a point in a bunch to the point where that bunch hangs.
    pub(super) fn lift(&self, point: &mut Point) {
        let node = self.node(point.bunch);
        if fault::active(Fault::SkipsEmptyAncestors) && node.values == 0 && point.side.is_some() {
            let LocalBunch { parent, .. } = node.bunch;
            *point = Point { bunch: parent.bunch, depth: node.depth - 1, index: parent.index, ..*point };
            return;
        }
        let LocalBunch { parent, side, rank } = node.bunch;
        *point = Point {
            bunch: parent.bunch,
            depth: node.depth - 1,
            index: parent.index,
            side: Some(side),
            rank,
            among: Among::Id(point.bunch),
        };
    }
}

/// A place in a bunch: a value, or a bunch that hangs there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) bunch: LocalDot,
    pub(super) depth: u32,
    pub(super) index: i64,
    /// `None` for the value itself; rank and place among siblings mean nothing then.
    pub(super) side: Option<Side>,
    rank: i32,
    among: Among,
}

/// A place among the siblings of one rank.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among {
    /// Before all there could be.
    First,
    /// Where the bunch of this name is.
    Id(LocalDot),
    /// After all there could be.
    Last,
}

impl Among {
    fn class(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Id(_) => 1,
            Self::Last => 2,
        }
    }
}

impl Point {
    /// (zone, place in the zone, before or at or after the value).
    fn step(&self) -> (i8, i64, u8) {
        let index = self.index;
        let side = if fault::active(Fault::IgnoresSide) { self.side.and(Some(Side::Right)) } else { self.side };
        match side {
            None => (0, index, 1),
            Some(Side::Right) if index >= 0 => {
                (1, if fault::active(Fault::RightZoneAscending) { index } else { -index }, 0)
            }
            Some(Side::Left) if index <= 0 => (-1, -index, 0),
            Some(Side::Left) => (0, index, 0),
            Some(Side::Right) => (0, index, 2),
        }
    }
}

/// The order of two siblings of one rank.
fn siblings(origins: &Origins, parent: LocalDot, side: Option<Side>, a: LocalDot, b: LocalDot) -> Ordering {
    if fault::active(Fault::SiblingsByNumber) {
        return a.cmp(&b);
    }
    if fault::active(Fault::SiblingsBySeq) {
        return a.seq().cmp(&b.seq()).then_with(|| origins.compare(a, b));
    }
    // The root belongs to nobody, although its number looks like that of the first replica.
    let foreign = |id: LocalDot| parent == LocalDot::ROOT || id.origin() != parent.origin();
    let nearest_first = foreign(a).cmp(&foreign(b));
    let distance = if side == Some(Side::Left) { nearest_first.reverse() } else { nearest_first };
    let distance = if fault::active(Fault::ForeignNearest) { distance.reverse() } else { distance };
    distance.then_with(|| origins.compare(a, b))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::super::arbitrary::{INDEXES, Wood, woods};
    use super::*;

    /// The order as the module head tells it, read off from the root.
    fn read(wood: &Wood, bunch: LocalDot, out: &mut Vec<LocalPosition>) {
        let hangs = |side: Side, index: i64, out: &mut Vec<LocalPosition>| {
            let is_child = |id: &LocalDot| {
                let record = wood.forest.get(*id).unwrap();
                record.parent == LocalPosition { bunch, index } && record.side == side
            };
            let mut children: Vec<LocalDot> = wood.bunches.iter().copied().filter(is_child).collect();
            children.sort_by_key(|id| {
                let foreign = bunch == LocalDot::ROOT || id.origin() != bunch.origin();
                let near = if side == Side::Right { foreign } else { !foreign };
                (wood.forest.get(*id).unwrap().rank, near, wood.origins.dot(*id))
            });
            for child in children {
                read(wood, child, out);
            }
        };
        let (low, high) = (*INDEXES.start(), *INDEXES.end());
        for index in (low..=0).rev() {
            hangs(Side::Left, index, out);
        }
        for index in INDEXES {
            if index > 0 {
                hangs(Side::Left, index, out);
            }
            if bunch != LocalDot::ROOT {
                out.push(LocalPosition { bunch, index });
            }
            if index < 0 {
                hangs(Side::Right, index, out);
            }
        }
        for index in (0..=high).rev() {
            hangs(Side::Right, index, out);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn seq_4_compare_is_the_order_read_off_the_forest(wood in woods(14)) {
            let mut order = Vec::new();
            read(&wood, LocalDot::ROOT, &mut order);
            prop_assert_eq!(order.len(), wood.positions().len());
            // All pairs against one list: total, antisymmetric and transitive.
            for (i, a) in order.iter().enumerate() {
                for (j, b) in order.iter().enumerate() {
                    prop_assert_eq!(wood.forest.compare(&wood.origins, *a, *b), i.cmp(&j), "{:?} {:?}", a, b);
                }
                prop_assert_eq!(wood.forest.compare(&wood.origins, LocalPosition::START, *a), Ordering::Less);
            }
        }

        #[test]
        fn seq_4_the_order_does_not_depend_on_numbers_or_siblings(wood in woods(14), keep in any::<prop::sample::Index>()) {
            let (other, translate) = wood.renumbered();
            let positions = wood.positions();
            let kept = positions[keep.index(positions.len())];
            let second = positions[keep.index(positions.len()) / 2];
            let expected = wood.forest.compare(&wood.origins, kept, second);
            prop_assert_eq!(other.forest.compare(&other.origins, translate(kept), translate(second)), expected);
            // A forest of the two chains alone.
            let mut alone = Forest::default();
            for (id, bunch) in wood.forest.chains([kept.bunch, second.bunch]) {
                alone.insert(id, bunch.parent, bunch.side, bunch.rank).unwrap();
            }
            prop_assert_eq!(alone.compare(&wood.origins, kept, second), expected);
        }
    }
}
