//! Random forests, also such as no honest replica would make.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::forest::Forest;
use super::position::{LocalPosition, Side};
use crate::clock::LocalDot;
use crate::replica_id::{Origin, Origins, ReplicaId};

/// The indexes at which values are and bunches hang.
pub(super) const INDEXES: core::ops::RangeInclusive<i64> = -2..=2;
/// The first sequence number that no value has yet.
pub(super) const FRESH_SEQ: u64 = 1000;

#[derive(Clone, Debug)]
pub(super) struct Wood {
    pub(super) origins: Origins,
    pub(super) forest: Forest,
    pub(super) bunches: Vec<LocalDot>,
}

impl Wood {
    pub(super) fn positions(&self) -> Vec<LocalPosition> {
        let of = |bunch: &LocalDot| INDEXES.map(|index| LocalPosition { bunch: *bunch, index }).collect::<Vec<_>>();
        self.bunches.iter().flat_map(of).collect()
    }

    /// The same forest in a document that met the replicas in the opposite order.
    pub(super) fn renumbered(&self) -> (Self, impl Fn(LocalPosition) -> LocalPosition) {
        let mut origins = Origins::default();
        for number in (0..self.origins.len()).rev() {
            origins.intern(self.origins.id(Origin(number as u32)));
        }
        let (old, new) = (self.origins.clone(), origins.clone());
        let dot = move |id| new.local(old.dot(id)).expect("every replica is known to both");
        let translate = move |at: LocalPosition| LocalPosition { bunch: dot(at.bunch), index: at.index };
        let mut other = Self { origins, forest: Forest::default(), bunches: Vec::new() };
        for id in &self.bunches {
            let bunch = self.forest.get(*id).expect("it was inserted");
            let id = translate(LocalPosition { bunch: *id, index: 0 }).bunch;
            other.forest.insert(id, translate(bunch.parent), bunch.side, bunch.rank).expect("it is as before");
            other.bunches.push(id);
        }
        (other, translate)
    }
}

/// Up to `most` bunches of four replicas.
pub(super) fn woods(most: usize) -> impl Strategy<Value = Wood> {
    let bunch = (0u32..4, any::<prop::sample::Index>(), INDEXES, any::<bool>(), prop_oneof![4 => Just(0), 1 => -1..=1]);
    (prop::collection::vec(bunch, 1..most), Just([7u128, 3, 9, 5]).prop_shuffle()).prop_map(|(bunches, ids)| {
        let mut origins = Origins::default();
        for id in ids {
            origins.intern(ReplicaId::from(id));
        }
        let mut wood = Wood { origins, forest: Forest::default(), bunches: Vec::new() };
        for (nth, (owner, parent, index, left, rank)) in bunches.into_iter().enumerate() {
            let id = LocalDot::new(Origin(owner), 10 * (nth as u64 + 1));
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
