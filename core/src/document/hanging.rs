//! What a delta hangs on: the positions that are kept beside it at rest.
//!
//! Structure of the dead is a cache, and every document drops its own when its horizon rises. So what one replica has written
//! down can hang on positions that are in no state at rest that another one writes over the same store; whoever keeps a delta
//! keeps these beside it, and can apply it wherever all else that it builds upon is known.
//!
//! Rules: SEQ-3, SEQ-6.

use alloc::vec::Vec;

use super::Document;
use super::apply::{ApplyError, Readiness};
use crate::clock::{Dot, Tag};
use crate::delta::Delta;
use crate::ordered::{Set, retain};
use crate::sequence::BunchRecord;
use crate::store::Slot;

impl Document {
    /// What a delta depends on that was just made here, beside what its writer did before, with the tags there.
    pub(crate) fn deps_of(&self, delta: &Delta) -> Vec<(Dot, Tag)> {
        delta.deps_on_others().into_iter().map(|dep| (dep, self.chain(dep.replica).tag)).collect()
    }

    /// The whole chains of what a delta that was just applied hangs on, but for what it creates itself. Ascending by id. What
    /// is not known here any more is left out: nothing of the delta lives there. O(delta · log n + chains).
    pub(crate) fn positions_of(&self, delta: &Delta) -> Vec<BunchRecord> {
        let parts = delta.parts();
        let mut uses = Set::new();
        let mut used = |bunch: Dot| {
            let known = self.state.origins.local(bunch).filter(|bunch| self.state.forest.contains(*bunch));
            uses.extend(known);
        };
        for bunch in &parts.bunches {
            used(bunch.parent.bunch);
        }
        for (_, entry) in &parts.adds {
            if let Slot::Position { bunch, .. } = entry.slot {
                used(Dot::new(parts.replica, bunch));
            }
        }
        for run in &parts.text {
            used(Dot::new(parts.replica, run.bunch));
        }
        let mut chains = self.state.chains(&uses);
        retain(&mut chains, |chain| chain.id.replica != parts.replica || chain.id.seq < parts.first_seq);
        chains
    }

    /// As [`Document::check`], but where nothing else is missing `chains` are taken in, which [`Document::positions_of`] gave.
    ///
    /// # Errors
    /// When the delta or the chains contradict what is known.
    pub(crate) fn check_upon(&mut self, delta: &Delta, chains: &[BunchRecord]) -> Result<Readiness, ApplyError> {
        let readiness = self.check(delta)?;
        if readiness != Readiness::NotReady || !self.lacks_positions_only(&delta.parts()) {
            return Ok(readiness);
        }
        // The chains are older than the delta, so all of them were written by replicas that are known by now.
        if !chains.iter().all(|chain| self.covers(chain.id)) {
            return Ok(readiness);
        }
        let order = self.order_bunches(chains, &[], &[])?;
        let state = &mut self.state;
        let cause = state.origins.intern_dot(delta.dot());
        for id in state.take_bunches(order.into_iter()) {
            state.forest.hold(id, cause);
        }
        self.check(delta)
    }
}
