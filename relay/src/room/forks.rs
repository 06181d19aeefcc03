//! Finding out that two deltas were made at one dot.
//!
//! The log's branch stays. The other one gets a *void fact*, which names it by its first dot and the tag after its first delta, so
//! that everybody who holds it gives it the same new name. The fact is a row: it is durable before anybody is told of it, and all members
//! are sent it in its place.
//!
//! Where a branch begins is found out in two ways. Open names boundaries of the chains that wait for their ack: where two of them
//! enclose one delta, and the log has the first but not the second, that delta is the one. Otherwise the client pushes what it has, in
//! order, and the first delta that is not the log's is the one; where the log's tags are gone, deltas are compared by what lives of them.
//!
//! Rules: FORK-2.

use std::cmp::Ordering;

use weftline::fault::{self, Fault};
use weftline::sync::{Claim, Fact, Open, Row, Settle, limits};
use weftline::{Delta, ReplicaId, Tag, VersionEntry, VoidFact};

use super::chains::Boundary;
use super::{MemberId, Room};

impl Room {
    /// What is known of the place behind a dot of the document.
    pub(super) fn boundary(&self, replica: ReplicaId, seq: u64) -> Boundary {
        let end = self.document.chain(replica);
        match end.seq.cmp(&seq) {
            Ordering::Equal => Boundary::Tag(end.tag),
            Ordering::Greater => self.chains.behind(replica, seq),
            Ordering::Less => Boundary::Unknown,
        }
    }

    /// Takes over the void facts that a client knows, of branches that are not in the log for certain. Where the log's tags are gone, a fact
    /// may name what it has, by mistake or on purpose, and then clients would rename what is not renamed here. A branch that is one is
    /// found out again when it is pushed.
    pub(super) fn learn_voids(&mut self, open: &Open) {
        for fact in &open.voids {
            let beyond = fact.first_seq > self.document.seq(fact.replica);
            if beyond || self.chains.goes_otherwise(fact) {
                self.add_void(*fact);
            }
        }
    }

    /// What is known of an id, compared with the boundaries that were named of it; a void fact is added where they tell.
    pub(super) fn examine(&mut self, replica: ReplicaId, open: &Open, may_write: bool) -> Examined {
        let here = self.document.chain(replica);
        let mut examined = Examined { here, same_upto: 0, contradicts: false };
        for Claim { seq, tag, .. } in open.claims.iter().filter(|claim| claim.replica == replica) {
            examined.compare(self.boundary(replica, *seq), *seq, *tag);
        }
        for Settle { is_whole, marks, .. } in open.settles.iter().filter(|settle| settle.replica == replica) {
            let mut before: Option<VersionEntry> = None;
            for mark in marks {
                let boundary = self.boundary(replica, mark.seq);
                examined.compare(boundary, mark.seq, mark.tag);
                // The log goes on behind the last one, and not with this delta.
                let parts = match before {
                    Some(before) if before.seq < here.seq => mark.seq > here.seq || boundary.contradicts(mark.tag),
                    _ => false,
                };
                examined.contradicts |= parts;
                let is_told = parts && *is_whole && may_write && !fault::active(Fault::BoundariesIgnored);
                if let Some(before) = before.filter(|_| is_told) {
                    self.add_void(VoidFact { replica, first_seq: before.seq + 1, tag: mark.tag });
                }
                before = (boundary == Boundary::Tag(mark.tag)).then_some(*mark);
            }
        }
        examined
    }

    /// The fact about an id, after what was found out and decided.
    pub(super) fn fact(&self, replica: ReplicaId, examined: &Examined) -> Fact {
        let VersionEntry { seq, tag } = examined.here;
        let lease = self.kept.leases.get(&replica).copied();
        Fact { replica, seq, tag, same_upto: examined.same_upto, lease }
    }

    /// Whether a delta at dots that are taken is the one that took them, if anything tells. It is not where nothing of it lives and its
    /// chain parts from the log's somewhere: better that something dead lives once more, under another name, than that an edit is lost.
    pub(super) fn is_known(&self, id: MemberId, delta: &Delta) -> Option<bool> {
        match self.boundary(delta.replica(), delta.last_seq()) {
            Boundary::Unknown if fault::active(Fault::OldForkUnnoticed) => Some(true),
            Boundary::Unknown => {
                let agrees = self.document.agrees(delta);
                agrees.or_else(|| self.is_of_the_log(id, delta).then_some(true)).or_else(|| {
                    let is_copied = self.is_copied(id, delta.replica());
                    is_copied.then_some(false)
                })
            }
            known => Some(known == Boundary::Tag(delta.tag())),
        }
    }

    /// Whether the chain that a member named has the log's tag at the delta or behind it: then it was the log's before that, too. Another
    /// tab may have pushed what the member is pushing, and the log been compacted since.
    fn is_of_the_log(&self, id: MemberId, delta: &Delta) -> bool {
        let Some(member) = self.members.get(&id) else { return false };
        let replica = delta.replica();
        let claimed = member.claims.iter().filter(|claim| claim.0 == replica).map(|claim| &claim.1);
        let settled = member.settles.iter().filter(|settle| settle.replica == replica).flat_map(|settle| &settle.marks);
        let is_told = |mark: &VersionEntry| {
            mark.seq >= delta.last_seq() && self.boundary(replica, mark.seq) == Boundary::Tag(mark.tag)
        };
        claimed.chain(settled).any(is_told)
    }

    /// Whether the log of an id went on behind what a member has of it in another way than there, or before it came, at all where nobody
    /// but the member may go on.
    fn is_copied(&self, id: MemberId, replica: ReplicaId) -> bool {
        let Some(member) = self.members.get(&id) else { return false };
        let end = self.document.chain(replica);
        let parts = |settle: &Settle| {
            let differs = |mark: &VersionEntry| self.boundary(replica, mark.seq).contradicts(mark.tag);
            let is_beyond = settle.marks.last().is_some_and(|last| last.seq > end.seq);
            let passes_by = is_beyond && settle.is_whole && !settle.marks.contains(&end);
            settle.replica == replica && (passes_by || settle.marks.iter().any(differs))
        };
        let is_behind = |claim: &(ReplicaId, VersionEntry, bool)| claim.0 == replica && claim.2;
        member.claims.iter().any(is_behind) || member.settles.iter().any(parts)
    }

    /// Whether a delta begins a branch that is known not to count.
    pub(super) fn is_void(&self, delta: &Delta) -> bool {
        self.kept.voids.contains_key(&begins(delta)) && !fault::active(Fault::VoidBranchTaken)
    }

    /// A delta was found to be another one than the log's. If it is the first of its branch, the branch is void from here on: what comes
    /// before it is the log's. What was pushed right before it, and nothing tells whether that is the log's, is of the branch, too.
    pub(super) fn found_fork(&mut self, id: MemberId, delta: &Delta) {
        self.counts.forks += 1;
        let replica = delta.replica();
        let mut untold = std::mem::take(&mut self.untold);
        let (branch, rest) = untold.drain(..).partition(|untold| untold.replica() == replica);
        let branch: Vec<Delta> = branch;
        self.untold = rest;
        let delta = branch.first().unwrap_or(delta);
        let (replica, first_seq) = (delta.replica(), delta.first_seq());
        let known_to_differ = self.members.get(&id).is_none_or(|member| member.pushed.get(&replica) == Some(&None));
        let is_within = first_seq <= self.document.seq(replica);
        let follows = !self.boundary(replica, first_seq - 1).contradicts(delta.prev_tag());
        let is_first = (follows && !known_to_differ) || fault::active(Fault::BranchFromItsMiddle);
        if is_within && is_first {
            self.add_void(begins(delta));
        }
    }

    fn add_void(&mut self, fact: VoidFact) {
        // What cannot be stored must not be told. The limit is reached by whoever makes forks on purpose. The branch is refused then as any other, and stays where it is.
        if self.trouble.is_none() && self.kept.voids.len() < limits::MAX_VOIDS && !self.kept.voids.contains_key(&fact) {
            self.append_row(None, &Row::Void(fact), Default::default());
        }
    }
}

/// What was found out about an id that was claimed or settled.
#[derive(Debug)]
pub(super) struct Examined {
    /// The end of the log's chain.
    pub(super) here: VersionEntry,
    /// The last boundary that both chains have.
    pub(super) same_upto: u64,
    /// The two are known to differ.
    pub(super) contradicts: bool,
}

impl Examined {
    fn compare(&mut self, boundary: Boundary, seq: u64, tag: Tag) {
        if boundary == Boundary::Tag(tag) {
            self.same_upto = self.same_upto.max(seq);
        }
        self.contradicts |= boundary.contradicts(tag);
    }
}

fn begins(delta: &Delta) -> VoidFact {
    VoidFact { replica: delta.replica(), first_seq: delta.first_seq(), tag: delta.tag() }
}
