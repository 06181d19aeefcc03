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

use crate::clock::{Dot, DotRuns, Tag, VersionEntry, VersionVector, VoidFact};
use crate::delta::Delta;
use crate::diff::Diff;
use crate::document::{ApplyError, Document, Readiness, Renaming};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use living::Living;

/// A delta that waits for its ack.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) delta: Delta,
    /// What it depends on beside what its writer did before, and the tags there: whose branch it has seen.
    pub(super) deps: Vec<(Dot, Tag)>,
    /// The positions that it hangs on (SEQ-6).
    pub(super) positions: Vec<BunchRecord>,
}

/// The deltas that wait, of each id ascending.
pub(super) type Chains = Map<ReplicaId, Vec<Waiting>>;

/// What was done to branches.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// The facts by which branches were renamed.
    pub(super) facts: Vec<VoidFact>,
    /// The deltas of those branches, by the names that they had.
    pub(super) names: Vec<(Dot, Tag)>,
    /// The dots that mean nothing any more here, or something else: what lived under them has other names.
    pub(super) dots: DotRuns,
}

/// Renames all void branches among `chains`: those that `known` facts name, and whatever builds upon them. Branches of branches
/// follow. What of a branch is renamed in a delta of another id follows from what that has seen of it, and not from what else is
/// void. O(deltas · branches).
pub(super) fn rename_void(chains: &mut Chains, known: &[VoidFact], moved: &mut Moved) {
    loop {
        let mut branches = Chains::new();
        loop {
            let mut begins = Vec::new();
            for (replica, chain) in chains.iter() {
                let is_void = |waiting: &Waiting| {
                    let builds = waiting.deps.iter().any(|dep| find(&branches, dep).is_some());
                    known.contains(&fact_of(&waiting.delta)) || builds && !fault::active(Fault::OnlyTheBranchIsVoid)
                };
                if let Some(at) = chain.iter().position(is_void) {
                    begins.push((*replica, if fault::active(Fault::RenamedFromTheStart) { 0 } else { at }));
                }
            }
            if begins.is_empty() {
                break;
            }
            for (replica, at) in begins {
                let Some(chain) = chains.get_mut(&replica) else { continue };
                let mut branch = chain.split_off(at);
                if chain.is_empty() {
                    chains.remove(&replica);
                }
                // What comes before a branch may turn out to be void, too.
                branch.append(branches.get_or_insert_with(replica, Vec::new));
                branches.insert(replica, branch);
            }
        }
        if branches.is_empty() {
            return;
        }
        let mut renamed = Vec::new();
        for (replica, branch) in branches.iter() {
            let mut renaming = Renaming::default();
            for seen in seen_by(*replica, &branches).iter() {
                let seen = branches.get(seen).map_or(&[][..], |branch| branch);
                renaming.add(fact_of(&seen[0].delta));
                for waiting in seen {
                    renaming.learn(&waiting.delta);
                }
            }
            let first = &branch[0].delta;
            let fact = fact_of(first);
            moved.facts.push(fact);
            let mut chain = Vec::with_capacity(branch.len());
            for Waiting { delta, deps, positions } in branch {
                moved.names.push((delta.dot(), delta.tag()));
                moved.dots.insert_run(*replica, delta.first_seq(), delta.last_seq());
                let mut deps = deps.clone();
                // What the new id follows first is what its writer did before, which goes without saying in a chain.
                deps.push((Dot::new(*replica, fact.first_seq - 1), first.prev_tag()));
                let positions = renaming.positions(delta, positions);
                chain.push(Waiting { positions, delta: renaming.rename(delta), deps });
            }
            renamed.push(chain);
        }
        let mut there = Chains::new();
        for chain in &renamed {
            there.insert(chain[0].delta.replica(), chain.clone());
        }
        for mut chain in renamed {
            for waiting in &mut chain {
                let tag = |dep: Dot| {
                    let named = waiting.deps.iter().find(|known| known.0 == dep).map(|known| known.1);
                    named.or_else(|| at(&there, dep).map(|found| found.delta.tag())).map(|tag| (dep, tag))
                };
                waiting.deps = waiting.delta.deps_on_others().into_iter().filter_map(tag).collect();
            }
            // Another opening may have renamed a part of it before.
            let last = |chain: &[Waiting]| chain.last().map_or(0, |waiting| waiting.delta.last_seq());
            let id = chain[0].delta.replica();
            if chains.get(&id).is_none_or(|there| last(there) < last(&chain)) {
                chains.insert(id, chain);
            }
        }
    }
}

/// The fact that names the branch from this delta on.
pub(super) fn fact_of(delta: &Delta) -> VoidFact {
    VoidFact { replica: delta.replica(), first_seq: delta.first_seq(), tag: delta.tag() }
}

/// The delta that ends with this dot.
fn at(chains: &Chains, dot: Dot) -> Option<&Waiting> {
    let chain = chains.get(&dot.replica)?;
    let at = chain.partition_point(|waiting| waiting.delta.last_seq() < dot.seq);
    chain.get(at).filter(|waiting| waiting.delta.last_seq() == dot.seq)
}

/// The very delta that was depended on, and not one of another branch of that name.
fn find<'c>(chains: &'c Chains, (dot, tag): &(Dot, Tag)) -> Option<&'c Waiting> {
    at(chains, *dot).filter(|waiting| waiting.delta.tag() == *tag)
}

/// The branches that somebody had before him who wrote a branch, that one among them.
fn seen_by(replica: ReplicaId, branches: &Chains) -> Set<ReplicaId> {
    let mut seen = Set::new();
    let mut left = Vec::from([replica]);
    while let Some(next) = left.pop() {
        if seen.insert(next) {
            let branch = branches.get(&next).map_or(&[][..], |branch| branch);
            let others = branch.iter().flat_map(|waiting| &waiting.deps).filter(|dep| find(branches, dep).is_some());
            left.extend(others.map(|(dot, _)| dot.replica));
        }
    }
    seen
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
    rename_void(&mut chains, known, &mut moved);

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
            while let Some(Waiting { delta, positions, .. }) = chain.get(*at) {
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
