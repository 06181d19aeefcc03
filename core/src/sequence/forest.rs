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
use super::runs::NONE;
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
    /// Where each bunch is among the nodes.
    names: Map<LocalDot, u32>,
    /// The bunches, and free places. Here they know one another by number, so that a chain is followed without searching.
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// The bunch that was asked for last, and its node: whoever types asks for the same again.
    recent: Option<(LocalDot, u32)>,
    /// A bunch that can be extended, as it was found out, up to this right neighbour. That is for as long as both are known.
    extended: Option<(LocalDot, Option<LocalPosition>)>,
    /// Where dropping begins: every node with no value and no known child, and others that were so.
    idle: Vec<u32>,
    /// (bunch, removing dot): what keeps a bunch without live values. Of one remover only the last dot, since whoever
    /// covers that covers the earlier ones.
    holds: Set<(LocalDot, LocalDot)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) name: LocalDot,
    pub(super) bunch: LocalBunch,
    /// The node of the bunch it hangs on, or [`NONE`] for the root.
    pub(super) above: u32,
    /// Its distance from the root: a pure function of the chain, so every replica finds the same bunches too deep. 0 in a free
    /// place.
    pub(super) depth: u32,
    /// The live values in it.
    pub(super) values: u32,
    /// The known bunches that hang on it, and how many of those are needed.
    children: u32,
    needed_children: u32,
    /// Whether the place is among the idle ones.
    is_listed: bool,
}

impl Node {
    pub(super) fn is_needed(&self) -> bool {
        self.values > 0 || self.needed_children > 0
    }

    fn is_unused(&self) -> bool {
        self.values == 0 && self.children == 0 && self.depth > 0
    }
}

impl Forest {
    /// How deep a chain may be. Only inserting thousands of times into one shrinking gap gets there, and it bounds what a
    /// comparison costs.
    pub(crate) const MAX_DEPTH: u32 = 4096;

    /// Whether `bunch` is known. The root always is.
    pub(crate) fn contains(&self, bunch: LocalDot) -> bool {
        let recent = self.recent.is_some_and(|(name, _)| name == bunch);
        recent || bunch == LocalDot::ROOT || self.names.contains_key(&bunch)
    }

    /// What `bunch` is; `None` for the root and for what is not known.
    pub(crate) fn get(&self, bunch: LocalDot) -> Option<LocalBunch> {
        self.known(bunch).map(|node| node.bunch)
    }

    /// The distance of a known bunch from the root, whose own depth is 0.
    pub(crate) fn depth(&self, bunch: LocalDot) -> u32 {
        if bunch == LocalDot::ROOT { 0 } else { self.node(bunch).depth }
    }

    /// How many bunches are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.names.len()
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
        if let Some((above, depth)) = self.admit(id, bunch)? {
            self.add(id, bunch, above, depth);
            if let Some(node) = self.nodes.get_mut(above as usize) {
                node.children += 1;
                self.recent = Some((parent.bunch, above));
            }
        }
        Ok(())
    }

    /// Takes memory for so many bunches that come, where there are none yet.
    pub(crate) fn reserve(&mut self, bunches: usize) {
        if self.nodes.is_empty() {
            self.nodes.reserve_exact(bunches);
            self.idle.reserve_exact(bunches);
        }
    }

    /// Adds a bunch of a document that is loaded, whose bunches get the numbers in which they come: `above` is the number of what it
    /// hangs on, which may come later, or [`NONE`]. [`Self::count_children`] follows when all have come.
    pub(crate) fn load(&mut self, id: LocalDot, bunch: LocalBunch, above: u32, depth: u32) {
        self.add(id, bunch, above, depth);
    }

    /// Has all bunches count those that hang on them, which [`Self::load`] does not.
    pub(crate) fn count_children(&mut self) {
        for number in 0..self.nodes.len() {
            let above = self.nodes[number].above;
            if let Some(parent) = self.nodes.get_mut(above as usize) {
                parent.children += 1;
            }
        }
    }

    /// So many more live values are in this bunch.
    pub(crate) fn acquire(&mut self, bunch: LocalDot, values: u32) {
        if bunch != LocalDot::ROOT {
            let number = self.number_again(bunch);
            self.acquire_nth(number, values);
        }
    }

    /// The same for the bunch with a number.
    pub(super) fn acquire_nth(&mut self, number: u32, values: u32) {
        let node = &mut self.nodes[number as usize];
        let was_needed = node.is_needed();
        node.values += values;
        let (is_needed, above) = (node.is_needed(), node.above);
        if is_needed && !was_needed {
            self.climb(above, |parent| parent.needed_children += 1);
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
        let number = self.number_again(bunch);
        let node = &mut self.nodes[number as usize];
        node.values = node.values.checked_sub(values).expect("SEQ-3: a value is released as often as it was acquired");
        let (is_needed, is_unused, above) = (node.is_needed(), node.is_unused(), node.above);
        if is_unused {
            self.list(bunch);
        }
        if let Some(cause) = cause {
            self.hold(bunch, cause);
        }
        if !is_needed {
            self.climb(above, |parent| parent.needed_children -= 1);
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
            self.holds.rename(&hold, (bunch, cause));
            return;
        }
        self.holds.insert((bunch, cause));
    }

    /// Whether a live value is in this bunch or below it.
    pub(crate) fn is_needed(&self, bunch: LocalDot) -> bool {
        self.known(bunch).is_some_and(Node::is_needed)
    }

    /// The bunches that a live value is in or below.
    pub(crate) fn needed(&self) -> Vec<LocalDot> {
        self.by_need(true)
    }

    /// The other bunches.
    pub(crate) fn unneeded(&self) -> Vec<LocalDot> {
        self.by_need(false)
    }

    fn by_need(&self, is_needed: bool) -> Vec<LocalDot> {
        let mut found = Vec::new();
        for (name, number) in self.names.pairs() {
            if self.nth(number).is_needed() == is_needed {
                found.push(name);
            }
        }
        found
    }

    /// The dead bunches that are kept for a removal, with the removal: a version-tier diff carries the chains of those
    /// whose removal is beyond its base. A bunch comes once per replica that emptied it.
    pub(crate) fn dead(&self) -> Vec<(LocalDot, LocalDot)> {
        let mut dead = Vec::new();
        for hold in self.holds.iter() {
            if !self.is_needed(hold.0) {
                dead.push(*hold);
            }
        }
        dead
    }

    /// Forgets the dead bunches that no removal beyond the horizon keeps, and ancestors that only they needed.
    ///
    /// `covered` says whether the horizon covers a dot; saying always yes drops all dead structure.
    pub(crate) fn drop_dead(&mut self, covered: impl Fn(LocalDot) -> bool) {
        self.holds.retain(|(_, cause)| !covered(*cause));
        let mut free = Vec::new();
        for number in core::mem::take(&mut self.idle) {
            let node = &mut self.nodes[number as usize];
            let (name, is_unused) = (node.name, node.is_unused());
            node.is_listed = false;
            if is_unused && self.is_held(name) {
                self.list(name);
            } else if is_unused {
                free.push(name);
            }
        }
        if fault::active(Fault::DropsNeeded) {
            let empty = self.names.keys().filter(|name| self.node(**name).values == 0 && !self.is_held(**name));
            free = empty.copied().collect();
        }
        while let Some(id) = free.pop() {
            if let Some(parent) = self.remove(id)
                && !self.is_held(parent)
            {
                free.push(parent);
            }
        }
    }

    /// Takes back a bunch that nobody else has seen and nothing is in any more: its name may be given again (a transaction
    /// that is rolled back). Children are taken back before their parents.
    pub(crate) fn forget(&mut self, id: LocalDot) {
        if !self.known(id).is_some_and(Node::is_unused) {
            return;
        }
        while let Some(hold) = self.first_hold(id) {
            self.holds.remove(&hold);
        }
        self.remove(id);
    }

    /// Takes a bunch out. Its parent, if that is unused by now.
    fn remove(&mut self, id: LocalDot) -> Option<LocalDot> {
        (self.recent, self.extended) = (None, None);
        let number = self.names.remove(&id)?;
        self.free.push(number);
        let node = &mut self.nodes[number as usize];
        node.depth = 0;
        let above = node.above;
        let parent = self.nodes.get_mut(above as usize)?;
        parent.children -= 1;
        let name = parent.is_unused().then_some(parent.name)?;
        self.list(name);
        Some(name)
    }

    /// Notes that dropping may begin at a bunch.
    fn list(&mut self, bunch: LocalDot) {
        let number = self.number(bunch);
        let node = &mut self.nodes[number as usize];
        if !node.is_listed {
            node.is_listed = true;
            self.idle.push(number);
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

    /// Where a bunch is among the nodes, if it is known.
    pub(crate) fn find(&self, bunch: LocalDot) -> Option<u32> {
        self.names.get(&bunch).copied()
    }

    /// Where a known bunch is among the nodes; [`NONE`] for the root.
    pub(super) fn number(&self, bunch: LocalDot) -> u32 {
        if bunch == LocalDot::ROOT {
            return NONE;
        }
        *self.names.get(&bunch).expect("SEQ-3: the chain of what is compared is present")
    }

    /// That a bunch can be extended to the right, up to a neighbour.
    pub(super) fn note_extended(&mut self, bunch: LocalDot, right: Option<LocalPosition>) {
        self.extended = Some((bunch, right));
    }

    pub(super) fn is_extended(&self, bunch: LocalDot, right: Option<LocalPosition>) -> bool {
        let remembered = self.extended == Some((bunch, right));
        remembered || fault::active(Fault::PlaceForgetsRight) && self.extended.is_some_and(|last| last.0 == bunch)
    }

    /// Every number is below.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a number.
    pub(super) fn nth(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    fn known(&self, bunch: LocalDot) -> Option<&Node> {
        self.names.get(&bunch).map(|number| &self.nodes[*number as usize])
    }

    pub(super) fn node(&self, bunch: LocalDot) -> &Node {
        &self.nodes[self.number(bunch) as usize]
    }

    /// Where a known bunch is among the nodes, for one who is likely to ask for the same again.
    pub(crate) fn number_again(&mut self, bunch: LocalDot) -> u32 {
        let number = match self.recent {
            Some((name, number)) if name == bunch => return number,
            _ => self.number(bunch),
        };
        self.recent = Some((bunch, number));
        number
    }

    fn is_held(&self, bunch: LocalDot) -> bool {
        self.first_hold(bunch).is_some()
    }

    fn first_hold(&self, bunch: LocalDot) -> Option<(LocalDot, LocalDot)> {
        let first = (bunch, LocalDot::new(Origin(0), 0));
        self.holds.range(first..).next().copied().filter(|hold| hold.0 == bunch)
    }

    /// The node that a bunch will hang on and the depth it will have, or `None` when it is there already.
    fn admit(&self, id: LocalDot, bunch: LocalBunch) -> Result<Option<(u32, u32)>, ForestError> {
        // What comes after all others needs not be looked for.
        if !self.is_last(id)
            && let Some(known) = self.get(id)
        {
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
        let recent = self.recent.filter(|(name, _)| *name == parent.bunch).map(|(_, number)| number);
        let above = match recent.or_else(|| self.find(parent.bunch)) {
            Some(number) => number,
            None if parent.bunch == LocalDot::ROOT => NONE,
            None => return Err(ForestError::UnknownParent { bunch: id }),
        };
        let depth = self.nodes.get(above as usize).map_or(0, |node| node.depth) + 1;
        if depth > Self::MAX_DEPTH {
            return Err(ForestError::TooDeep { bunch: id, limit: Self::MAX_DEPTH });
        }
        Ok(Some((above, depth)))
    }

    /// Whether a bunch would come after all others.
    fn is_last(&self, id: LocalDot) -> bool {
        self.names.last().is_none_or(|last| last.0 < id)
    }

    fn add(&mut self, id: LocalDot, bunch: LocalBunch, above: u32, depth: u32) {
        let node = Node {
            name: id,
            bunch,
            above,
            depth,
            values: 0,
            children: 0,
            needed_children: 0,
            // It is unused, so far.
            is_listed: true,
        };
        let number = match self.free.pop() {
            Some(number) => {
                let free = core::mem::replace(&mut self.nodes[number as usize], node);
                if !free.is_listed {
                    self.idle.push(number);
                }
                number
            }
            None => {
                if self.nodes.len() == self.nodes.capacity() {
                    // Not twice as many: there are a lot of them, and what is free is given again.
                    self.nodes.reserve_exact(self.nodes.len() / 4 + 1);
                }
                self.nodes.push(node);
                let number = self.nodes.len() as u32 - 1;
                self.idle.push(number);
                number
            }
        };
        if self.is_last(id) {
            self.names.append(id, number);
        } else {
            self.names.insert(id, number);
        }
    }

    /// Tells a node and those above that a child became needed, or is no longer: up to the first that is needed before and
    /// after.
    fn climb(&mut self, from: u32, change: impl Fn(&mut Node)) {
        let mut number = from;
        while let Some(node) = self.nodes.get_mut(number as usize) {
            let was_needed = node.is_needed();
            change(node);
            if node.is_needed() == was_needed {
                break;
            }
            number = node.above;
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
        assert_eq!(forest.dead().len(), 0, "a value is left in it");
        forest.release(id(3), 1, Some(removal(2, 9)));
        let dead = forest.dead();
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
        assert_eq!(forest.dead(), [(id(4), removal(0, 3)), (id(4), removal(1, 9))]);
        forest.acquire(id(4), 1);
        assert_eq!(forest.dead().len(), 0, "what is needed is not dead");
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
        assert_eq!(forest.dead().len(), 0, "nothing is left of the other bunch of that name");
    }
}
