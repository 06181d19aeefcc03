//! The outbox: own deltas that the home relay has not acked, in the chains of the ids that wrote them.
//!
//! Usually that is one chain, the current id's. After a crash, a retired id, or with several tabs on one store there are
//! more; each is *settled* under its own id: same dots, same bytes, pushed as an extension of its chain. Whoever holds a
//! durable delta may send it; only the holder of an id's slot may make one (ID-7).
//!
//! What is refused for its size or its contents is kept and counted as stuck, and so is what touches its dots; everything else
//! goes on. A chain that contradicts the relay's is renamed ([`super::fork`]).
//!
//! Rules: DUR-1 nothing is pushed before the batch it was written in is durable. ACK-2 an ack removes a delta from here,
//! never from the document. ID-8 nothing is renumbered here. FORK-3 what builds upon a chain that is not acked, and may turn out
//! to be void, is not pushed before the ack.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::fork::{Chains, Waiting};
use super::limits;
use super::message::{Fact, Settle};
use super::record::{Record, Token};
use super::row::Row;
use crate::clock::{Dot, DotRuns, Tag, VersionEntry, VersionVector, VoidFact};
use crate::codec;
use crate::delta::Delta;
use crate::document::Document;
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::replica_id::ReplicaId;
use crate::store::Container;

/// One delta that waits for its ack.
#[derive(Clone, Debug)]
struct Unacked {
    first_seq: u64,
    last_seq: u64,
    prev_tag: Tag,
    tag: Tag,
    /// What it depends on beside what its writer did before, and the tags there.
    deps: Vec<(Dot, Tag)>,
    /// What it hangs on (SEQ-6): the document need not have that any more.
    positions: Option<Arc<[u8]>>,
    row: Row,
    /// The batch that makes it durable.
    token: Token,
}

/// The deltas of one id, ascending.
#[derive(Clone, Debug, Default)]
struct Chain {
    entries: Vec<Unacked>,
    /// How many of them, from the front, are acked: they go when they are half of all.
    acked: usize,
    /// How many of the others, from the front, were pushed on this connection.
    pushed: usize,
    /// From this dot on, the relay refuses them as they are.
    stuck_from: Option<u64>,
    /// Up to this dot the relay has deltas of which it is not known on this connection whether they are these: pushing them tells.
    unsure_upto: u64,
    /// The relay has something else: it is not pushed again, but built anew once the relay has said what it has of the other chains.
    is_fork: bool,
}

/// What a fact says about a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The relay's chain is a prefix of ours, up to this dot, or ours is one of its.
    Agrees {
        /// The last of our dots that it has.
        through: u64,
    },
    /// The relay's chain goes on beyond this dot, and nobody has the tags to tell whether that is ours. Pushing tells.
    Unsure {
        /// The last of our dots that it is known to have.
        through: u64,
    },
    /// The two contradict each other somewhere beyond this dot (FORK-2). Pushing tells where.
    Differs {
        /// The last of our dots that it is known to have.
        through: u64,
    },
}

/// Every delta that waits for its ack.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    chains: Map<ReplicaId, Chain>,
}

impl Outbox {
    /// The last dot of every delta that waits.
    pub(super) fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        let of = |(replica, chain): (&ReplicaId, &'_ Chain)| {
            let replica = *replica;
            chain.entries.iter().map(move |waiting| Dot { replica, seq: waiting.last_seq }).collect::<Vec<_>>()
        };
        self.chains.iter().flat_map(of)
    }

    /// Takes in a delta that depends on `deps`, hangs on `positions`, and becomes durable with `token`. Deltas of one id come in order.
    pub(super) fn push(&mut self, delta: &Delta, deps: Vec<(Dot, Tag)>, positions: Option<Arc<[u8]>>, token: Token) {
        let chain = self.chains.get_or_insert_with(delta.replica(), Default::default);
        if let Some(last) = chain.entries.last().map(|last| last.last_seq) {
            if last >= delta.first_seq() {
                return;
            }
            if last + 1 < delta.first_seq() {
                // Only an ack takes anything out, and an ack is for a whole history: what is before a hole was acked too, and
                // came back from a store that had not heard of it.
                chain.entries.clear();
                chain.acked = 0;
                chain.pushed = 0;
            }
        }
        chain.entries.push(Unacked {
            first_seq: delta.first_seq(),
            last_seq: delta.last_seq(),
            prev_tag: delta.prev_tag(),
            tag: delta.tag(),
            deps,
            positions,
            row: Row::of(delta),
            token,
        });
    }

    /// What becomes durable with `token`, in place of everything here.
    pub(super) fn replace(&mut self, chains: &Chains, token: Token) {
        self.chains.clear();
        for (_, chain) in chains.iter() {
            for Waiting { delta, deps, positions } in chain {
                let positions = (!positions.is_empty()).then(|| codec::encode_positions(positions).into());
                self.push(delta, deps.clone(), positions, token);
            }
        }
    }

    /// Everything here, with what it hangs on, here or in `document`. O(deltas).
    pub(super) fn waiting(&self, document: &Document) -> Chains {
        let mut chains = Chains::new();
        for (replica, chain) in self.chains.iter() {
            let mut waiting = Vec::new();
            for entry in chain.waiting() {
                if let Some(Ok(delta)) = entry.row.delta() {
                    let positions = entry.positions.as_deref().and_then(|bytes| codec::decode_positions(bytes).ok());
                    let positions = positions.unwrap_or_else(|| document.positions_of(&delta));
                    waiting.push(Waiting { delta, deps: entry.deps.clone(), positions });
                }
            }
            chains.insert(*replica, waiting);
        }
        chains
    }

    /// Whether there are deltas of an id.
    pub(super) fn has(&self, replica: ReplicaId) -> bool {
        self.chains.contains_key(&replica)
    }

    /// The tag of a delta here, by its last dot.
    pub(super) fn tag(&self, replica: ReplicaId, last_seq: u64) -> Option<Tag> {
        let entries = self.chains.get(&replica)?.waiting();
        let entry = entries.get(entries.partition_point(|entry| entry.last_seq < last_seq))?;
        (entry.last_seq == last_seq).then_some(entry.tag)
    }

    /// Takes out everything of `replica` up to `through`; says whether there was anything.
    pub(super) fn acked(&mut self, replica: ReplicaId, through: u64) -> bool {
        let Some(chain) = self.chains.get_mut(&replica) else { return false };
        let count = chain.waiting().partition_point(|entry| entry.last_seq <= through);
        chain.acked += count;
        chain.pushed = chain.pushed.saturating_sub(count);
        if chain.waiting().is_empty() {
            self.chains.remove(&replica);
        } else if chain.acked > chain.waiting().len() {
            chain.entries = chain.entries.split_off(chain.acked);
            chain.acked = 0;
        }
        count > 0
    }

    /// The record that brings an entry back after a crash.
    pub(super) fn record(delta: &Delta, deps: &[(Dot, Tag)]) -> Record {
        Record::Outbox {
            replica: delta.replica(),
            first_seq: delta.first_seq(),
            last_seq: delta.last_seq(),
            deps: deps.iter().map(|(_, tag)| *tag).collect(),
            row: Row::of(delta),
        }
    }

    /// How many deltas there are.
    pub(super) fn len(&self) -> usize {
        let mut len = 0;
        for (_, chain) in self.chains.iter() {
            len += chain.waiting().len();
        }
        len
    }

    /// How many of them are not durable yet, when everything up to `stored` is.
    pub(super) fn unstored(&self, stored: Token) -> usize {
        let mut count = 0;
        for (_, chain) in self.chains.iter() {
            for entry in chain.waiting().iter().rev() {
                if entry.token <= stored {
                    break;
                }
                count += 1;
            }
        }
        count
    }

    /// How many of them the relay refuses.
    pub(super) fn stuck(&self) -> usize {
        let mut count = 0;
        for (_, chain) in self.chains.iter() {
            let waiting = chain.waiting();
            let from = chain.stuck_from.unwrap_or(u64::MAX);
            count += waiting.len() - waiting.partition_point(|entry| entry.last_seq < from);
        }
        count
    }

    /// The ids that have deltas here.
    pub(super) fn replicas(&self) -> Vec<ReplicaId> {
        let mut replicas = Vec::new();
        for (replica, _) in self.chains.iter() {
            replicas.push(*replica);
        }
        replicas
    }

    /// Whether the relay refuses something of `replica`.
    pub(super) fn is_stuck(&self, replica: ReplicaId) -> bool {
        self.chains.get(&replica).is_some_and(|chain| chain.stuck_from.is_some())
    }

    /// The relay refuses the delta with the dot `seq`, and with it all that continue its chain.
    pub(super) fn stick(&mut self, replica: ReplicaId, seq: u64) {
        if let Some(chain) = self.chains.get_mut(&replica) {
            let entry = chain.waiting().iter().find(|entry| entry.last_seq >= seq);
            let first = entry.map_or(seq, |entry| entry.first_seq);
            chain.stuck_from = Some(chain.stuck_from.map_or(first, |from| from.min(first)));
        }
    }

    /// Whether the relay refuses anything, or may be about to.
    pub(super) fn is_any_stuck(&self) -> bool {
        self.is_any(&|chain| chain.stuck_from.is_some() || chain.is_fork || chain.is_unsure())
    }

    /// The dots that the relay does not have, or has with another meaning.
    fn refused_dots(&self) -> DotRuns {
        let mut refused = DotRuns::new();
        for (replica, chain) in self.chains.iter() {
            if let (Some(from), Some(last)) = (chain.stuck_from, chain.entries.last())
                && from <= last.last_seq
            {
                refused.insert_run(*replica, from, last.last_seq);
            }
        }
        refused
    }

    /// Everything that failed to be written is written again, with `token`.
    pub(super) fn rewrite(&mut self, stored: Token, token: Token) {
        for (_, chain) in self.chains.iter_mut() {
            for entry in &mut chain.entries {
                if entry.token > stored {
                    entry.token = token;
                }
            }
        }
    }

    /// `version` without what is here: what the relay has to have before the deltas here can be pushed.
    pub(super) fn settled(&self, mut version: VersionVector) -> VersionVector {
        for (replica, chain) in &self.chains {
            cut_before(&mut version, *replica, chain.waiting().first());
        }
        version
    }

    /// `version` without what is not durable.
    pub(super) fn durable(&self, mut version: VersionVector, stored: Token) -> VersionVector {
        for (replica, chain) in &self.chains {
            cut_before(&mut version, *replica, chain.waiting().iter().find(|entry| entry.token > stored));
        }
        version
    }

    /// The boundaries of every chain with a durable delta here (DUR-2), evenly thinned out where they are many.
    pub(super) fn settles(&self, stored: Token) -> Vec<Settle> {
        let mut settles = Vec::new();
        for (replica, chain) in self.chains.iter() {
            let durable = chain.waiting().partition_point(|entry| entry.token <= stored);
            let Some(first) = chain.waiting().first().filter(|_| durable > 0 && settles.len() + 1 < limits::MAX_CLAIMS)
            else {
                continue;
            };
            let steps = durable.min(limits::MAX_MARKS - 1);
            let mut marks = Vec::from([VersionEntry { seq: first.first_seq - 1, tag: first.prev_tag }]);
            for step in 1..=steps {
                let entry = &chain.waiting()[step * durable / steps - 1];
                marks.push(VersionEntry { seq: entry.last_seq, tag: entry.tag });
            }
            settles.push(Settle { replica: *replica, is_whole: steps == durable, marks });
        }
        settles
    }

    /// Compares what the relay has of an id with what is here. That the document goes on beyond what is here, or ends where the relay
    /// ends, says nothing: a diff may have taken it there, which tells the tag at its end only. `None` when nothing of that id is here.
    pub(super) fn judge(&self, fact: &Fact) -> Option<Verdict> {
        let entries = self.chains.get(&fact.replica)?.waiting();
        let (first, last) = (entries.first()?, entries.last()?);
        let is_same = (last.last_seq, last.tag) == (fact.seq, fact.tag);
        if is_same || fact.same_upto >= last.last_seq {
            return Some(Verdict::Agrees { through: last.last_seq });
        }
        if fact.seq > last.last_seq {
            // Somebody continued our chain, or another one at its end.
            return Some(Verdict::Unsure { through: fact.same_upto });
        }
        if fact.seq == 0 || fact.seq + 1 < first.first_seq {
            // The relay has less than it once acked. There is no tag to compare, so nothing contradicts.
            return Some(Verdict::Agrees { through: fact.seq });
        }
        let ours = if fact.seq + 1 == first.first_seq {
            Some(first.prev_tag)
        } else {
            entries.iter().find(|entry| entry.last_seq == fact.seq).map(|entry| entry.tag)
        };
        // No boundary of ours there: their delta ends where none of ours does.
        let agrees = ours == Some(fact.tag);
        Some(if agrees { Verdict::Agrees { through: fact.seq } } else { Verdict::Differs { through: fact.same_upto } })
    }

    /// What the relay has of `replica` up to `seq` may be something else than what is here.
    pub(super) fn doubt(&mut self, replica: ReplicaId, seq: u64) {
        if let Some(chain) = self.chains.get_mut(&replica)
            && chain.unsure_upto < seq
        {
            chain.unsure_upto = seq;
            chain.pushed = 0;
        }
    }

    /// Whether a dot is one of those that wait here, or behind them.
    pub(super) fn is_within(&self, replica: ReplicaId, seq: u64) -> bool {
        self.chains.get(&replica).and_then(|chain| chain.waiting().first()).is_some_and(|first| first.first_seq <= seq)
    }

    /// The relay has something else than what is here of `replica`.
    pub(super) fn refuse(&mut self, replica: ReplicaId) {
        if let Some(chain) = self.chains.get_mut(&replica) {
            chain.is_fork = true;
        }
    }

    /// Whether the relay has yet to say of a chain whether it has the same.
    pub(super) fn is_any_unsure(&self) -> bool {
        self.is_any(&|chain| chain.is_unsure() && !chain.is_fork && chain.stuck_from.is_none())
    }

    /// Whether this very branch is here.
    pub(super) fn has_branch(&self, fact: &VoidFact) -> bool {
        let chain = self.chains.get(&fact.replica).map_or(&[][..], Chain::waiting);
        chain.iter().any(|entry| (entry.first_seq, entry.tag) == (fact.first_seq, fact.tag))
    }

    /// The branch here that begins where the log goes on with another delta.
    pub(super) fn branch_beside(&self, log: &Delta) -> Option<VoidFact> {
        let entries = self.chains.get(&log.replica())?.waiting();
        let entry = entries.get(entries.partition_point(|entry| entry.first_seq < log.first_seq()))?;
        let (replica, first_seq, tag) = (log.replica(), entry.first_seq, entry.tag);
        let parts = (first_seq, entry.prev_tag) == (log.first_seq(), log.prev_tag()) && tag != log.tag();
        parts.then_some(VoidFact { replica, first_seq, tag })
    }

    /// A new connection: nothing was pushed on it, and nothing is known of what the relay has.
    pub(super) fn start_over(&mut self) {
        for (_, chain) in self.chains.iter_mut() {
            chain.unsure_upto = 0;
            chain.pushed = 0;
            chain.is_fork = false;
        }
    }

    /// The relay turned out to have less than was pushed: `covered` is what it has.
    pub(super) fn rewind(&mut self, covered: &VersionVector) {
        for (replica, chain) in self.chains.iter_mut() {
            let has = |entry: &Unacked| entry.last_seq <= covered.seq(*replica);
            chain.pushed = if chain.is_unsure() { 0 } else { chain.waiting().partition_point(has) };
        }
    }

    /// The next rows of which it is not known whether the relay has these or others. They are told from what it has first, and by
    /// themselves: each is acked or a fork, none waits for another, and what builds upon them is pushed for what it is.
    pub(super) fn next_unsure(&mut self, stored: Token, max_bytes: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        for (_, chain) in self.chains.iter_mut() {
            let unsure = chain.unsure_upto;
            while let Some(entry) = chain.next(stored).filter(|entry| entry.first_seq <= unsure) {
                bytes += entry.row.encoded_len();
                if !rows.is_empty() && bytes > max_bytes {
                    return rows;
                }
                rows.push(entry.row.clone());
                chain.pushed += 1;
            }
        }
        rows
    }

    /// The next rows to push, at most `max_bytes` of them but at least one, in an order in which each is ready where
    /// `covered` is; `covered` is advanced over them. Empty when nothing is left that can be pushed.
    pub(super) fn next_rows(&mut self, covered: &mut VersionVector, stored: Token, max_bytes: usize) -> Vec<Row> {
        let mut rows = self.next_unsure(stored, max_bytes);
        let mut bytes = 0;
        if !rows.is_empty() {
            return rows;
        }
        let refused = self.refused_dots();
        let ids = self.replicas();
        // Each round takes what is ready from every chain. The deltas were made one after the other, so each round takes
        // at least one as long as the relay has what they build upon.
        loop {
            let before = rows.len();
            for replica in &ids {
                while let Some(entry) = self.chains.get(replica).and_then(|chain| chain.next(stored)) {
                    let (first_seq, len) = (entry.first_seq, entry.row.encoded_len());
                    if !rows.is_empty() && bytes + len > max_bytes {
                        return rows;
                    }
                    let extends = covered.seq(*replica) + 1 == first_seq;
                    let is_ready = extends && entry.deps.iter().all(|(dep, _)| covered.covers(*dep));
                    // At the relay a refused dot is missing, or it is somebody else's: what touches one waits with it.
                    let is_stuck = !refused.is_empty() && entry.touches(&refused);
                    if is_stuck || !is_ready || self.waits(entry) {
                        if let Some(chain) = self.chains.get_mut(replica).filter(|_| is_stuck) {
                            chain.stuck_from = Some(first_seq);
                        }
                        break;
                    }
                    covered.set(*replica, VersionEntry { seq: entry.last_seq, tag: entry.tag });
                    bytes += len;
                    rows.push(entry.row.clone());
                    if let Some(chain) = self.chains.get_mut(replica) {
                        chain.pushed += 1;
                    }
                }
            }
            if rows.len() == before {
                return rows;
            }
        }
    }

    /// Whether something durable was not pushed, and neither is refused nor waits for an ack.
    pub(super) fn has_unpushed(&self, stored: Token) -> bool {
        self.is_any(&|chain| chain.next(stored).is_some_and(|entry| !self.waits(entry)))
    }

    fn is_any(&self, is_one: &dyn Fn(&Chain) -> bool) -> bool {
        for (_, chain) in self.chains.iter() {
            if is_one(chain) {
                return true;
            }
        }
        false
    }

    /// Whether it builds upon another delta here: what the relay has under that name may be something else.
    fn waits(&self, entry: &Unacked) -> bool {
        let unacked = |(dep, tag): &(Dot, Tag)| self.tag(dep.replica, dep.seq) == Some(*tag);
        entry.deps.iter().any(unacked) && !fault::active(Fault::PushedUponUnacked)
    }
}

impl Unacked {
    /// Whether the delta removes one of these dots, or adds below one.
    fn touches(&self, dots: &DotRuns) -> bool {
        let Some(Ok(delta)) = self.row.delta() else { return false };
        let parts = delta.parts();
        let own = |dot: Dot| dot.replica == delta.replica() && dot.seq >= self.first_seq;
        let among = |dot: Dot| dots.contains(dot) && !own(dot);
        let within = |container: &Container| matches!(container, Container::Entity(dot) if among(*dot));
        parts.removes.dots().any(among)
            || parts.adds.iter().any(|(_, entry)| within(&entry.container))
            || parts.text.iter().any(|run| within(&run.container))
            || parts.bunches.iter().any(|bunch| among(bunch.parent.bunch))
    }
}

impl Chain {
    /// Those that are not acked: there is always one.
    fn waiting(&self) -> &[Unacked] {
        &self.entries[self.acked..]
    }

    /// Whether something that waits may be something else at the relay.
    fn is_unsure(&self) -> bool {
        self.waiting().first().is_some_and(|first| first.first_seq <= self.unsure_upto)
    }

    fn next(&self, stored: Token) -> Option<&Unacked> {
        let entry = self.waiting().get(self.pushed)?;
        let refused = self.is_fork || self.stuck_from.is_some_and(|from| entry.last_seq >= from);
        let durable = entry.token <= stored || fault::active(Fault::SendBeforeDurable);
        (durable && !refused).then_some(entry)
    }
}

fn cut_before(version: &mut VersionVector, replica: ReplicaId, entry: Option<&Unacked>) {
    if let Some(entry) = entry
        && version.seq(replica) >= entry.first_seq
    {
        version.set(replica, VersionEntry { seq: entry.first_seq - 1, tag: entry.prev_tag });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::{Commit, Document, EditError};

    #[test]
    fn ack_2_what_is_before_a_hole_was_acked() {
        let mut document = Document::with_writer(ReplicaId::from(1));
        let mut write = |value: i64| {
            let commit: Result<Commit<()>, EditError> =
                document.transact(Timestamp(1), |tx| tx.register("r")?.set(value));
            commit.unwrap().delta.unwrap()
        };
        let deltas = [write(1), write(2), write(3)];
        let mut outbox = Outbox::default();
        outbox.push(&deltas[0], Vec::new(), None, Token(1));
        outbox.push(&deltas[2], Vec::new(), None, Token(1));
        assert_eq!(outbox.len(), 1, "the first came back from somewhere");
        let (dot, tag) = (deltas[1].dot(), deltas[1].tag());
        let fact = Fact { replica: dot.replica, seq: dot.seq, tag, same_upto: 0, lease: None };
        assert_eq!(outbox.judge(&fact), Some(Verdict::Agrees { through: dot.seq }));
    }

    #[test]
    fn fork_2_a_log_that_goes_on_elsewhere_is_no_ack_wherever_the_document_is() {
        let mut document = Document::with_writer(ReplicaId::from(1));
        let mut write = |value: i64| {
            let commit: Result<Commit<()>, EditError> =
                document.transact(Timestamp(1), |tx| tx.register("r")?.set(value));
            commit.unwrap().delta.unwrap()
        };
        let (ours, later) = (write(1), [write(2), write(3)]);
        let mut outbox = Outbox::default();
        outbox.push(&ours, Vec::new(), None, Token(1));
        // A diff may have taken the document to where the relay is: that tells the tag at its end, and not which branch it is of.
        let (VersionEntry { seq, tag }, replica) = (document.chain(ours.replica()), ours.replica());
        assert_eq!((seq, tag), (later[1].last_seq(), later[1].tag()));
        let fact = |same_upto| Fact { replica, seq, tag, same_upto, lease: None };
        assert_eq!(outbox.judge(&fact(0)), Some(Verdict::Unsure { through: 0 }));
        let through = ours.last_seq();
        assert_eq!(outbox.judge(&fact(through)), Some(Verdict::Agrees { through }), "the relay knows the tag");
    }

    #[test]
    fn fork_2_text_in_what_the_relay_refuses_waits_with_it() {
        let mut document = Document::with_writer(ReplicaId::from(1));
        let mut outbox = Outbox::default();
        let created = document.transact(Timestamp(1), |tx| tx.map("m")?.text("t").map(drop));
        let created: Result<Commit<()>, EditError> = created;
        let created = created.unwrap().delta.unwrap();
        outbox.push(&created, Vec::new(), None, Token(1));
        outbox.stick(created.replica(), created.last_seq());
        // The relay has another delta of that name, so that whatever is said to follow it seems to be ready there.
        let mut covered = document.version();
        document.set_writer(Some(ReplicaId::from(2))).unwrap();
        let typed = document.transact(Timestamp(2), |tx| tx.map("m")?.text("t")?.push("x"));
        let typed: Result<Commit<()>, EditError> = typed;
        outbox.push(&typed.unwrap().delta.unwrap(), Vec::new(), None, Token(1));
        assert_eq!(outbox.next_rows(&mut covered, Token(1), 1 << 20), []);
        assert_eq!(outbox.stuck(), 2);
    }
}
