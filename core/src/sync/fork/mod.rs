//! Forks, repaired: a document without the branches that its authority's log contradicts, and those branches beside the log's.
//!
//! A document cannot be taken back to before a branch. So it is built anew, from what the relay has: to that come the deltas
//! that wait for their ack, those of void branches under their new names ([`Renaming`]), and what else the relay lacks. That
//! is what everybody else comes to who joins the same, so nobody needs to be told more than the deltas.
//!
//! What was written upon a void branch under another id, and is not acked either, names dots that nobody else will ever
//! see. It is void with the branch: its own fact follows from the delta that first depended on it.
//!
//! Where a branch is not in the outbox as a whole, because a relay that was put back to an older state had acked it, or
//! because it is another replica's, there are no deltas to rename. What lived of it is moved instead: see [`salvage`].
//!
//! Rules: FORK-1 the relay's log decides. FORK-3, FORK-5. ID-8 nothing but void branches is renumbered. DIFF-7.
//! Not here: when this is done, and how it gets into the store, in `super::replica`.

mod living;
mod refill;
mod salvage;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::clock::{Dot, DotRuns, VersionEntry, VersionVector, VoidFact};
use crate::delta::Delta;
use crate::diff::Diff;
use crate::document::{ApplyError, Document, Readiness, Renaming};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use living::Living;

/// A delta that waits for its ack, and the positions that it hangs on (SEQ-6).
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) delta: Delta,
    pub(super) positions: Vec<BunchRecord>,
}

/// The deltas that wait, of each id ascending.
pub(super) type Chains = Map<ReplicaId, Vec<Waiting>>;

/// What was done to branches.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// The facts by which branches were renamed.
    pub(super) facts: Vec<VoidFact>,
    /// The dots that mean nothing any more here, or something else: what lived under them has other names.
    pub(super) dots: DotRuns,
}

/// Renames all void branches among `chains`: those that `known` facts name, and, if it is `certain` that all was written by who
/// had the same branch before him, whatever builds upon them. Branches of branches follow. O(deltas).
pub(super) fn rename_void(chains: &mut Chains, known: &[VoidFact], certain: bool, moved: &mut Moved) {
    loop {
        let mut begins = Map::new();
        for (replica, chain) in chains.iter() {
            let is_first = |waiting: &Waiting| known.contains(&fact_of(&waiting.delta));
            if let Some(at) = chain.iter().position(is_first) {
                let at = if fault::active(Fault::RenamedFromTheStart) { 0 } else { at };
                begins.insert(*replica, at);
            }
        }
        if begins.is_empty() {
            return;
        }
        while certain && spread(chains, &mut begins) {}
        let mut renaming = Renaming::default();
        let mut branches = Vec::new();
        for (replica, at) in begins.iter() {
            let Some(chain) = chains.get_mut(replica) else { continue };
            let branch = chain.split_off(*at);
            if chain.is_empty() {
                chains.remove(replica);
            }
            let (Some(first), Some(last)) = (branch.first(), branch.last()) else { continue };
            let fact = fact_of(&first.delta);
            moved.dots.insert_run(*replica, fact.first_seq, last.delta.last_seq());
            moved.facts.push(fact);
            renaming.add(fact);
            for waiting in &branch {
                renaming.learn(&waiting.delta);
            }
            branches.push(branch);
        }
        for branch in branches {
            let mut renamed = Vec::with_capacity(branch.len());
            for Waiting { delta, positions } in branch {
                renamed.push(Waiting { positions: renaming.bunches(&positions), delta: renaming.rename(&delta) });
            }
            let Some(id) = renamed.first().map(|first: &Waiting| first.delta.replica()) else { continue };
            // Another opening may have renamed a part of it before.
            let last = |chain: &[Waiting]| chain.last().map_or(0, |waiting| waiting.delta.last_seq());
            if chains.get(&id).is_none_or(|there| last(there) < last(&renamed)) {
                chains.insert(id, renamed);
            }
        }
    }
}

/// The fact that names the branch from this delta on.
pub(super) fn fact_of(delta: &Delta) -> VoidFact {
    VoidFact { replica: delta.replica(), first_seq: delta.first_seq(), tag: delta.tag() }
}

/// What builds upon a void branch is void from there on; says whether that is anything more.
fn spread(chains: &Chains, begins: &mut Map<ReplicaId, usize>) -> bool {
    // What names no delta of the branch by its end names one of the log's: another opening has written that, and what it wrote waits here too.
    let is_void = |dot: Dot| {
        let branch = begins.get(&dot.replica).and_then(|at| chains.get(&dot.replica)?.get(*at..)).unwrap_or(&[]);
        let at = branch.partition_point(|waiting| waiting.delta.last_seq() < dot.seq);
        branch.get(at).is_some_and(|waiting| waiting.delta.last_seq() == dot.seq)
    };
    let mut more = Vec::new();
    for (replica, chain) in chains.iter() {
        let end = begins.get(replica).copied().unwrap_or(chain.len());
        let builds = |waiting: &Waiting| waiting.delta.deps_on_others().into_iter().any(is_void);
        if let Some(at) = chain[..end].iter().position(builds) {
            more.push((*replica, at));
        }
    }
    let spread = !more.is_empty();
    if fault::active(Fault::OnlyTheBranchIsVoid) {
        return false;
    }
    for (replica, at) in more {
        begins.insert(replica, at);
    }
    spread
}

/// A document that was built anew.
pub(super) struct Repaired {
    pub(super) document: Document,
    /// What waits for its ack now.
    pub(super) chains: Chains,
    pub(super) moved: Moved,
}

/// Builds a document anew, in `blank`: from `relay`, a diff of all that the relay has, and from what `old` has beside it. The
/// deltas in `chains` wait for their ack, `known` names void branches, and what `old` has of the `contradicted` replicas is not
/// what the relay has of them. O(old + relay).
///
/// # Errors
/// When the relay's diff, or something of `old`, does not hang together. Nothing is changed then.
pub(super) fn repair(
    old: &Document,
    blank: Document,
    relay: &Diff,
    mut chains: Chains,
    known: &[VoidFact],
    contradicted: &Set<ReplicaId>,
) -> Result<Repaired, ApplyError> {
    let mut document = blank;
    document.apply_diff(relay)?;
    let settled = settled(old, &chains);
    let mut moved = Moved::default();
    rename_void(&mut chains, known, true, &mut moved);

    let (was, is) = (Living::of(old), Living::of(&document));
    let mut lost = salvage::lost(&was, &is, &moved, contradicted);
    if !lost.is_empty() {
        salvage::give_up(&mut chains, &mut lost, &moved);
    }
    let salvaged = (!lost.is_empty()).then(|| salvage::salvage(&was, &is, &lost));
    let has = document.version();
    if let Some(refill) = refill::refill(old, &document, relay, &settled, &lost, &moved, salvaged.as_ref()) {
        document.apply_diff(&refill)?;
    }
    join_waiting(&mut document, &mut chains);
    if let Some(salvaged) = salvaged {
        for (replica, first, last) in salvaged.dots.runs() {
            moved.dots.insert_run(replica, first, last);
        }
        if let Some(diff) = salvaged.diff(old, &document, &has, &settled, &lost) {
            document.apply_diff(&diff)?;
        }
    }
    Ok(Repaired { document, chains, moved })
}

/// What is here without what waits.
fn settled(old: &Document, chains: &Chains) -> VersionVector {
    let mut settled = old.version();
    for (replica, chain) in chains.iter() {
        if let Some(Waiting { delta, .. }) = chain.first()
            && settled.seq(*replica) >= delta.first_seq()
        {
            settled.set(*replica, VersionEntry { seq: delta.first_seq() - 1, tag: delta.prev_tag() });
        }
    }
    settled
}

/// Joins whatever is ready, in an order in which it is.
fn join_waiting(document: &mut Document, chains: &mut Chains) {
    let mut next: Map<ReplicaId, usize> = Map::new();
    loop {
        let mut progress = false;
        for (replica, chain) in chains.iter() {
            let at = next.get_or_insert_with(*replica, || 0);
            while let Some(Waiting { delta, positions }) = chain.get(*at) {
                match document.check_upon(delta, positions) {
                    Ok(Readiness::Known) => {}
                    Ok(Readiness::Ready) if document.apply(delta).is_ok() => progress = true,
                    // It contradicts what the relay has, which the relay will say when it is pushed.
                    Ok(_) | Err(_) => break,
                }
                *at += 1;
            }
        }
        if !progress {
            return;
        }
    }
}
