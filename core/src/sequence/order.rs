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

use super::forest::{Forest, LocalBunch, Node};
use super::position::{BunchRecord, LocalPosition, Position, Side};
use super::runs::NONE;
use crate::clock::{Dot, LocalDot};
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

    /// Whether a position comes before a place that is compared with many.
    pub(super) fn is_before(&self, origins: &Origins, a: LocalPosition, b: Point) -> bool {
        let is_value = a.bunch == b.bunch && b.side.is_none();
        let order = if is_value { a.index.cmp(&b.index) } else { self.compare_points(origins, self.point(a), b) };
        order == Ordering::Less
    }

    /// The indexes of a bunch that are before a position: those below the answer. Some of them are, that is known.
    pub(crate) fn indexes_before(&self, bunch: LocalDot, next: LocalPosition) -> i64 {
        if next.bunch == bunch {
            return next.index;
        }
        self.indexes_before_point(bunch, self.point(next))
    }

    /// The same before any place.
    pub(super) fn indexes_before_point(&self, bunch: LocalDot, mut point: Point) -> i64 {
        let depth = self.depth(bunch);
        while point.depth > depth {
            self.lift(&mut point);
        }
        if point.bunch == bunch { point.indexes_before() } else { i64::MAX }
    }

    /// Where a position is, that of a value which may be dead or unknown here: by what is known of its `chain`, whose bunches
    /// ascend by id. No value that lives is in a bunch that is not known, or below it, so the place where the first such
    /// bunch would hang tells as much (SEQ-3, SEQ-4). `None` if neither the forest nor the chain knows a bunch of it.
    pub(crate) fn point_by_chain(&self, origins: &Origins, at: Position, chain: &[BunchRecord]) -> Option<Point> {
        let (mut at, mut below) = (at, None);
        // A chain that came from outside has no circle; who made one by hand gets nothing.
        for _ in 0..=chain.len() {
            let bunch = if at.bunch == Dot::ROOT { LocalDot::ROOT } else { origins.local(at.bunch)? };
            if self.contains(bunch) {
                let parent = LocalPosition { bunch, index: at.index };
                return Some(match below {
                    None => self.point(parent),
                    Some((side, rank, id)) => self.point_of_bunch(LocalBunch { parent, side, rank }, Among::Id(id)),
                });
            }
            let record = &chain[chain.binary_search_by(|record| record.id.cmp(&at.bunch)).ok()?];
            below = Some((record.side, record.rank, bunch));
            at = record.parent;
        }
        None
    }

    /// The first value of a bunch.
    pub(super) fn within(&self, node: u32) -> Point {
        let Node { name, depth, .. } = *self.nth(node);
        Point { bunch: name, node, depth, index: 0, side: None, rank: 0, among: Among::First }
    }

    pub(super) fn point(&self, position: LocalPosition) -> Point {
        let LocalPosition { bunch, index } = position;
        let (node, depth) = self.level(bunch);
        Point { bunch, node, depth, index, side: None, rank: 0, among: Among::First }
    }

    /// Where everything in a bunch is, whether the bunch exists or not; with [`Among::First`] or [`Among::Last`], the
    /// bounds of all bunches there could be with that parent, side and rank.
    pub(super) fn point_of_bunch(&self, bunch: LocalBunch, among: Among) -> Point {
        let LocalBunch { parent, side, rank } = bunch;
        let (node, depth) = self.level(parent.bunch);
        Point { bunch: parent.bunch, node, depth, index: parent.index, side: Some(side), rank, among }
    }

    /// The node of a known bunch, and its depth.
    fn level(&self, bunch: LocalDot) -> (u32, u32) {
        let node = self.number(bunch);
        (node, if node == NONE { 0 } else { self.nth(node).depth })
    }

    pub(super) fn compare_points(&self, origins: &Origins, mut a: Point, mut b: Point) -> Ordering {
        while a.depth > b.depth {
            self.lift(&mut a);
        }
        while b.depth > a.depth {
            self.lift(&mut b);
        }
        while a.node != b.node {
            self.lift(&mut a);
            self.lift(&mut b);
        }
        a.beside(origins, &b)
    }

    /// From a point in a bunch to the point where that bunch hangs.
    pub(super) fn lift(&self, point: &mut Point) {
        let node = self.nth(point.node);
        debug_assert!(node.name == point.bunch, "SEQ-3: the chain of what is compared is present");
        let LocalBunch { parent, side, rank } = node.bunch;
        let above =
            Point { bunch: parent.bunch, node: node.above, depth: node.depth - 1, index: parent.index, ..*point };
        if fault::active(Fault::SkipsEmptyAncestors) && node.values == 0 && point.side.is_some() {
            *point = above;
            return;
        }
        *point = Point { side: Some(side), rank, among: Among::Id(point.bunch), ..above };
    }
}

/// A place in a bunch: a value, or a bunch that hangs there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(super) bunch: LocalDot,
    /// The node of the bunch.
    node: u32,
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
    /// The order of two places in one bunch.
    pub(super) fn beside(&self, origins: &Origins, other: &Self) -> Ordering {
        self.step().cmp(&other.step()).then(self.rank.cmp(&other.rank)).then_with(|| match (self.among, other.among) {
            (Among::Id(x), Among::Id(y)) => siblings(origins, self.bunch, self.side, x, y),
            (x, y) => x.class().cmp(&y.class()),
        })
    }

    /// The indexes of the bunch that are before a bunch which hangs in it: those below the answer.
    pub(super) fn indexes_before(&self) -> i64 {
        self.step().indexes_before()
    }

    fn step(&self) -> Step {
        Step::of(self.index, self.side)
    }
}

/// Where something is in a bunch, but for its place among siblings: the zone, the place in the zone, and whether it is before or
/// at or after the value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step(i8, i64, u8);

impl Step {
    /// Of what hangs on an index, on a side; of the value itself, without one.
    pub(super) fn of(index: i64, side: Option<Side>) -> Self {
        let side = if fault::active(Fault::IgnoresSide) { side.and(Some(Side::Right)) } else { side };
        match side {
            None => Self(0, index, 1),
            Some(Side::Right) if index >= 0 => {
                Self(1, if fault::active(Fault::RightZoneAscending) { index } else { -index }, 0)
            }
            Some(Side::Left) if index <= 0 => Self(-1, -index, 0),
            Some(Side::Left) => Self(0, index, 0),
            Some(Side::Right) => Self(0, index, 2),
        }
    }

    /// The indexes of the bunch that are before it: those below the answer.
    pub(super) fn indexes_before(self) -> i64 {
        match self {
            Self(-1, ..) => i64::MIN,
            Self(0, index, behind) => index + i64::from(behind == 2),
            _ => i64::MAX,
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
