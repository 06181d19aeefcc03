//! The forest: the bunches one document knows, and how long it keeps them.
//!
//! Structure is a cache. A bunch is *needed* while a live value is in it or below it; after that it stays while a removal
//! that emptied it is beyond the horizon, because a delta whose writer had not seen that removal may still be placed next
//! to what was removed. Dropping earlier would change no order, it would only cost a question to a peer. Equal versions
//! may hold different dead structure.
//!
//! Rules: SEQ-3 every live value has its whole ancestor chain present. SEQ-5 an unknown parent is an error, never a
//! provisional place. SEQ-6 nothing drops what a live value or a removal beyond the horizon still needs.
//! Not here: the order, in [`super::order`]; where a new value goes, in [`super::place`].

use alloc::vec::Vec;

use super::position::{LocalPosition, Side};
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::replica_id::Origin;

/// What a bunch is, for ever. Its name is the key it is held under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalBunch {
    pub(crate) parent: LocalPosition,
    pub(crate) side: Side,
    pub(crate) rank: i32,
}

/// Why a bunch cannot be in the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ForestError {
    /// Not ready, rather than wrong (SEQ-5): a peer that has applied it can answer with a diff.
    #[error("bunch {bunch:?} hangs on an unknown bunch")]
    UnknownParent { bunch: LocalDot },
    #[error("bunch {bunch:?} hangs on a position that nothing can have")]
    InvalidParent { bunch: LocalDot },
    #[error("bunch {bunch:?} would be deeper than {limit}")]
    TooDeep { bunch: LocalDot, limit: u32 },
    /// Two payloads for one dot (DOT-1): somebody wrote twice under one name.
    #[error("bunch {bunch:?} is known with another parent, side or rank")]
    Conflict { bunch: LocalDot },
}

/// The bunches of one document, all below one root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forest {
    bunches: Map<LocalDot, Node>,
    /// The bunches with no value and no known child: where dropping begins.
    unused: Set<LocalDot>,
    /// (bunch, removing dot): what keeps a bunch without live values. Of one remover only the last dot, since whoever
    /// covers that covers the earlier ones.
    holds: Set<(LocalDot, LocalDot)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) bunch: LocalBunch,
    /// Its distance from the root: a pure function of the chain, so every replica finds the same bunches too deep.
    pub(super) depth: u32,
    /// The live values in it.
    pub(super) values: u32,
    /// The known bunches that hang on it, and how many of those are needed.
    children: u32,
    needed_children: u32,
}

impl Node {
    fn is_needed(&self) -> bool {
        self.values > 0 || self.needed_children > 0
    }

    fn is_unused(&self) -> bool {
        self.values == 0 && self.children == 0
    }
}

impl Forest {
    /// How deep a chain may be. Only inserting thousands of times into one shrinking gap gets there, and it bounds what a
    /// comparison costs.
    pub(crate) const MAX_DEPTH: u32 = 4096;

    /// Whether `bunch` is known. The root always is.
    pub(crate) fn contains(&self, bunch: LocalDot) -> bool {
        bunch == LocalDot::ROOT || self.bunches.contains_key(&bunch)
    }

    /// What `bunch` is; `None` for the root and for what is not known.
    pub(crate) fn get(&self, bunch: LocalDot) -> Option<LocalBunch> {
        self.bunches.get(&bunch).map(|node| node.bunch)
    }

    /// The distance of a known bunch from the root, whose own depth is 0.
    pub(crate) fn depth(&self, bunch: LocalDot) -> u32 {
        if bunch == LocalDot::ROOT { 0 } else { self.node(bunch).depth }
    }

    /// How many bunches are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bunches.len()
    }

    /// Adds a bunch whose parent is known. Adding the same again changes nothing.
    ///
    /// # Errors
    /// When it cannot be there; the forest is as before.
    pub(crate) fn insert(
        &mut self,
        id: LocalDot,
        parent: LocalPosition,
        side: Side,
        rank: i32,
    ) -> Result<(), ForestError> {
        let bunch = LocalBunch { parent, side, rank };
        if let Some(depth) = self.admit(id, bunch)? {
            self.add(id, bunch, depth);
        }
        Ok(())
    }

    /// So many more live values are in this bunch.
    pub(crate) fn acquire(&mut self, bunch: LocalDot, values: u32) {
        if bunch == LocalDot::ROOT || values == 0 {
            return;
        }
        let node = self.node_mut(bunch);
        let was_needed = node.is_needed();
        node.values += values;
        self.unused.remove(&bunch);
        if !was_needed {
            self.climb(bunch, |parent| parent.needed_children += 1);
        }
    }

    /// So many live values fewer are in this bunch, because of the removal `cause`.
    ///
    /// The bunch is kept at least until [`Self::drop_dead`] is called with a `covered` that has the cause; without a
    /// cause, until it is called at all.
    pub(crate) fn release(&mut self, bunch: LocalDot, values: u32, cause: Option<LocalDot>) {
        if bunch == LocalDot::ROOT || values == 0 {
            return;
        }
        let node = self.node_mut(bunch);
        node.values = node.values.checked_sub(values).expect("SEQ-3: a value is released as often as it was acquired");
        let (is_needed, is_unused) = (node.is_needed(), node.is_unused());
        if is_unused {
            self.unused.insert(bunch);
        }
        if let Some(cause) = cause {
            self.hold(bunch, cause);
        }
        if !is_needed {
            self.climb(bunch, |parent| parent.needed_children -= 1);
        }
    }

    /// Keeps a known bunch, needed or not, until `cause` is covered: for dead structure that came with a diff or a
    /// snapshot, which do not name the removals. Their heads are a safe cause, since they cover every removal within.
    pub(crate) fn hold(&mut self, bunch: LocalDot, cause: LocalDot) {
        let first = (bunch, LocalDot::new(cause.origin(), 0));
        let known = self.holds.range(first..).next().copied();
        if let Some(hold) = known.filter(|hold| hold.0 == bunch && hold.1.origin() == cause.origin()) {
            if hold.1 >= cause {
                return;
            }
            self.holds.remove(&hold);
        }
        self.holds.insert((bunch, cause));
    }

    /// Whether a live value is in this bunch or below it.
    pub(crate) fn is_needed(&self, bunch: LocalDot) -> bool {
        self.bunches.get(&bunch).is_some_and(Node::is_needed)
    }

    /// The bunches that a live value is in or below.
    pub(crate) fn needed(&self) -> impl Iterator<Item = LocalDot> + '_ {
        self.bunches.iter().filter(|(_, node)| node.is_needed()).map(|(id, _)| *id)
    }

    /// The dead bunches that are kept for a removal, with the removal: a version-tier diff carries the chains of those
    /// whose removal is beyond its base. A bunch comes once per replica that emptied it.
    pub(crate) fn dead(&self) -> impl Iterator<Item = (LocalDot, LocalDot)> + '_ {
        self.holds.iter().copied().filter(|(bunch, _)| !self.is_needed(*bunch))
    }

    /// Forgets the dead bunches that no removal beyond the horizon keeps, and ancestors that only they needed.
    ///
    /// `covered` says whether the horizon covers a dot; saying always yes drops all dead structure.
    pub(crate) fn drop_dead(&mut self, covered: impl Fn(LocalDot) -> bool) {
        self.holds.retain(|(_, cause)| !covered(*cause));
        let mut free = Vec::new();
        for id in self.unused.iter() {
            if !self.is_held(*id) {
                free.push(*id);
            }
        }
        if fault::active(Fault::DropsNeeded) {
            let empty = self.bunches.iter().filter(|(id, node)| node.values == 0 && !self.is_held(**id));
            free = empty.map(|(id, _)| *id).collect();
        }
        while let Some(id) = free.pop() {
            let Some(node) = self.bunches.remove(&id) else { continue };
            self.unused.remove(&id);
            let parent_id = node.bunch.parent.bunch;
            let Some(parent) = self.bunches.get_mut(&parent_id) else { continue };
            parent.children -= 1;
            if parent.is_unused() {
                self.unused.insert(parent_id);
                if !self.is_held(parent_id) {
                    free.push(parent_id);
                }
            }
        }
    }

    /// Takes back a bunch that nobody else has seen and nothing is in any more: its name may be given again (a transaction
    /// that is rolled back). Children are taken back before their parents.
    pub(crate) fn forget(&mut self, id: LocalDot) {
        if !self.unused.remove(&id) {
            return;
        }
        while let Some(hold) = self.first_hold(id) {
            self.holds.remove(&hold);
        }
        let Some(node) = self.bunches.remove(&id) else { return };
        let parent_id = node.bunch.parent.bunch;
        if let Some(parent) = self.bunches.get_mut(&parent_id) {
            parent.children -= 1;
            if parent.is_unused() {
                self.unused.insert(parent_id);
            }
        }
    }

    /// These bunches and all their ancestors, each once, parents before children: what a diff carries.
    pub(crate) fn chains(&self, bunches: impl IntoIterator<Item = LocalDot>) -> Vec<(LocalDot, LocalBunch)> {
        let mut seen = Set::new();
        let mut all = Vec::new();
        let mut chain = Vec::new();
        for bunch in bunches {
            let mut id = bunch;
            while id != LocalDot::ROOT && seen.insert(id) {
                let bunch = self.node(id).bunch;
                chain.push((id, bunch));
                if fault::active(Fault::ChainsWithoutAncestors) {
                    break;
                }
                id = bunch.parent.bunch;
            }
            while let Some(bunch) = chain.pop() {
                all.push(bunch);
            }
        }
        all
    }

    pub(super) fn node(&self, bunch: LocalDot) -> &Node {
        self.bunches.get(&bunch).expect("SEQ-3: the chain of what is compared is present")
    }

    fn node_mut(&mut self, bunch: LocalDot) -> &mut Node {
        self.bunches.get_mut(&bunch).expect("SEQ-3: a live value is in a known bunch")
    }

    fn is_held(&self, bunch: LocalDot) -> bool {
        self.first_hold(bunch).is_some()
    }

    fn first_hold(&self, bunch: LocalDot) -> Option<(LocalDot, LocalDot)> {
        let first = (bunch, LocalDot::new(Origin(0), 0));
        self.holds.range(first..).next().copied().filter(|hold| hold.0 == bunch)
    }

    /// The depth a bunch will have, or `None` when it is there already.
    fn admit(&self, id: LocalDot, bunch: LocalBunch) -> Result<Option<u32>, ForestError> {
        if let Some(known) = self.get(id) {
            return if known == bunch { Ok(None) } else { Err(ForestError::Conflict { bunch: id }) };
        }
        let parent = bunch.parent;
        let possible = if parent.bunch == LocalDot::ROOT {
            // Nothing is to the left of the start, so that whatever comes first can have another before it.
            parent.index == 0 && bunch.side == Side::Right
        } else {
            parent.dot().is_some()
        };
        if id == LocalDot::ROOT || !possible {
            return Err(ForestError::InvalidParent { bunch: id });
        }
        if !self.contains(parent.bunch) {
            return Err(ForestError::UnknownParent { bunch: id });
        }
        let depth = self.depth(parent.bunch) + 1;
        if depth > Self::MAX_DEPTH {
            return Err(ForestError::TooDeep { bunch: id, limit: Self::MAX_DEPTH });
        }
        Ok(Some(depth))
    }

    fn add(&mut self, id: LocalDot, bunch: LocalBunch, depth: u32) {
        self.bunches.insert(id, Node { bunch, depth, values: 0, children: 0, needed_children: 0 });
        self.unused.insert(id);
        if let Some(parent) = self.bunches.get_mut(&bunch.parent.bunch) {
            parent.children += 1;
            self.unused.remove(&bunch.parent.bunch);
        }
    }

    /// Tells ancestors that a child became needed, or is no longer: up to the first that is needed before and after.
    fn climb(&mut self, bunch: LocalDot, change: impl Fn(&mut Node)) {
        let mut id = self.node(bunch).bunch.parent.bunch;
        while let Some(node) = self.bunches.get_mut(&id) {
            let was_needed = node.is_needed();
            change(node);
            if node.is_needed() == was_needed {
                break;
            }
            id = node.bunch.parent.bunch;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seq: u64) -> LocalDot {
        LocalDot::new(Origin(0), seq)
    }

    fn removal(origin: u32, seq: u64) -> LocalDot {
        LocalDot::new(Origin(origin), seq)
    }

    fn hang(forest: &mut Forest, bunch: u64, parent: u64) {
        let parent = if parent == 0 { LocalPosition::START } else { LocalPosition { bunch: id(parent), index: 0 } };
        forest.insert(id(bunch), parent, Side::Right, 0).unwrap();
    }

    /// 1 ← 2 ← 3, and 1 ← 4.
    fn forest() -> Forest {
        let mut forest = Forest::default();
        for (bunch, parent) in [(1, 0), (2, 1), (3, 2), (4, 1)] {
            hang(&mut forest, bunch, parent);
        }
        forest
    }

    fn known(forest: &Forest) -> Vec<u64> {
        (1..=4).filter(|seq| forest.contains(id(*seq))).collect()
    }

    #[test]
    fn seq_5_what_cannot_be_there_is_an_error_and_changes_nothing() {
        let mut forest = forest();
        let at = |bunch, index| LocalPosition { bunch, index };
        let unknown = ForestError::UnknownParent { bunch: id(7) };
        assert_eq!(forest.insert(id(7), at(id(6), 0), Side::Right, 0), Err(unknown));
        assert_eq!(forest.insert(id(7), at(id(7), 0), Side::Right, 0), Err(unknown), "nothing hangs on itself");
        let conflict = ForestError::Conflict { bunch: id(2) };
        assert_eq!(forest.insert(id(2), at(id(1), 0), Side::Left, 0), Err(conflict));
        assert_eq!(forest.insert(id(2), at(id(1), 0), Side::Right, 1), Err(conflict));
        assert_eq!(forest.insert(id(2), at(id(1), 0), Side::Right, 0), Ok(()), "the same again");
        let invalid = ForestError::InvalidParent { bunch: id(7) };
        assert_eq!(forest.insert(id(7), LocalPosition::START, Side::Left, 0), Err(invalid));
        assert_eq!(forest.insert(id(7), at(LocalDot::ROOT, 1), Side::Right, 0), Err(invalid));
        assert_eq!(forest.insert(id(7), at(id(1), i64::MIN), Side::Right, 0), Err(invalid));
        let root = ForestError::InvalidParent { bunch: LocalDot::ROOT };
        assert_eq!(forest.insert(LocalDot::ROOT, at(id(1), 0), Side::Right, 0), Err(root));
        assert_eq!(forest.len(), 4);
        assert_eq!([1, 2, 3, 4].map(|bunch| forest.depth(id(bunch))), [1, 2, 3, 2]);
    }

    #[test]
    fn seq_6_what_a_live_value_needs_stays() {
        let mut forest = forest();
        forest.acquire(id(3), 1);
        forest.drop_dead(|_| true);
        assert_eq!(known(&forest), [1, 2, 3], "4 had nothing, 3 needs its chain");
        assert!(forest.is_needed(id(1)));
        forest.release(id(3), 1, None);
        assert!(!forest.is_needed(id(1)));
        assert_eq!(known(&forest), [1, 2, 3], "dropping is a step of its own");
        forest.drop_dead(|_| false);
        assert_eq!(known(&forest), [0; 0]);
    }

    #[test]
    fn seq_6_a_removal_beyond_the_horizon_keeps_the_chain() {
        let mut forest = forest();
        for bunch in [1, 3, 3] {
            forest.acquire(id(bunch), 1);
        }
        forest.release(id(3), 1, Some(removal(1, 5)));
        assert_eq!(forest.dead().count(), 0, "a value is left in it");
        forest.release(id(3), 1, Some(removal(2, 9)));
        let dead: Vec<_> = forest.dead().collect();
        assert_eq!(dead, [(id(3), removal(1, 5)), (id(3), removal(2, 9))]);
        forest.drop_dead(|cause| cause.origin() == Origin(2));
        assert_eq!(known(&forest), [1, 2, 3], "the other removal is still beyond the horizon");
        forest.drop_dead(|cause| cause.seq() <= 5);
        assert_eq!(known(&forest), [1], "2 was there for 3 only");
    }

    #[test]
    fn a_hold_is_kept_once_for_each_remover() {
        let mut forest = forest();
        for seq in [4, 9, 6] {
            forest.hold(id(4), removal(1, seq));
        }
        forest.hold(id(4), removal(0, 3));
        assert_eq!(forest.dead().collect::<Vec<_>>(), [(id(4), removal(0, 3)), (id(4), removal(1, 9))]);
        forest.acquire(id(4), 1);
        assert_eq!(forest.dead().count(), 0, "what is needed is not dead");
    }

    #[test]
    fn seq_3_chains_are_whole_and_parents_come_first() {
        let forest = forest();
        let ids =
            |chains: Vec<(LocalDot, LocalBunch)>| chains.into_iter().map(|bunch| bunch.0.seq()).collect::<Vec<_>>();
        assert_eq!(ids(forest.chains([id(3)])), [1, 2, 3]);
        assert_eq!(ids(forest.chains([id(2), id(4), id(3), id(2)])), [1, 2, 4, 3]);
        assert_eq!(ids(forest.chains([LocalDot::ROOT])), [0; 0]);
    }

    #[test]
    fn what_was_taken_back_can_be_given_again() {
        let mut forest = forest();
        forest.acquire(id(2), 1);
        forest.hold(id(3), removal(1, 1));
        forest.forget(id(2));
        assert_eq!(known(&forest), [1, 2, 3, 4], "it is in use");
        forest.forget(id(3));
        assert_eq!(known(&forest), [1, 2, 4]);
        assert_eq!(forest.insert(id(3), LocalPosition::START, Side::Right, 0), Ok(()));
        assert_eq!(forest.dead().count(), 0, "nothing is left of the other bunch of that name");
    }
}
