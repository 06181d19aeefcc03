//! What a document has that the relay lacks, beside what waits for its ack, as a diff upon what the relay has.
//!
//! Only where the relay was put back to an older state is there any such thing. What waits is left out, so that each of its
//! deltas can be joined as it is, or under its new name: what they removed is dead here already, and is removed by them
//! again, so that it is known who did it.

use alloc::vec::Vec;

use super::Moved;
use super::living::parts;
use super::salvage::{Lost, Salvaged, same_upto};
use crate::clock::{Dot, DotRuns, VersionEntry, VersionVector};
use crate::diff::{Diff, Tier};
use crate::document::Document;
use crate::ordered::sort_by;
use crate::replica_id::ReplicaId;
use crate::store::Kind;

/// The diff from `new`, which holds what `relay` tells, to what of `old` is within `settled`. Nothing that is told of `lost`
/// branches, and nothing that is `salvaged`.
pub(super) fn refill(
    old: &Document,
    new: &Document,
    relay: &Diff,
    settled: &VersionVector,
    lost: &Lost,
    moved: &Moved,
    salvaged: Option<&Salvaged<'_>>,
) -> Option<Diff> {
    let keeps = |replica: ReplicaId| !lost.contains_key(&replica);
    if !settled.iter().any(|(replica, entry)| keeps(replica) && entry.seq > new.seq(replica)) {
        return None;
    }
    let taken = |dot: Dot| salvaged.is_some_and(|salvaged| salvaged.dots.contains(dot));
    let is_bad = |bunch: Dot| salvaged.is_some_and(|salvaged| salvaged.bad.contains(&bunch));
    let within = |dot: Dot| keeps(dot.replica) && settled.covers(dot) && !taken(dot);
    let mut diff = old.diff_for(&new.digest());

    let mut head = VersionVector::new();
    for (replica, entry) in settled.iter() {
        // Of what the relay has more of, what is within the present version may have died all the same: on the full tier that
        // is told by absence.
        let told = diff.head.get(replica).filter(|_| keeps(replica));
        let end = told.map(|told| if told.seq < entry.seq { told } else { entry });
        if let Some(end) = end.filter(|end| end.seq > diff.base.seq(replica)) {
            head.set(replica, agreed(new, replica, end));
        }
    }
    diff.head = head;
    diff.heads.retain(|dot| within(*dot));
    diff.adds.retain(|add| within(add.dot));
    let mut text = Vec::new();
    for run in &diff.text {
        parts(run, within, |part| text.push(part));
    }
    diff.text = text;
    diff.bunches.retain(|bunch| within(bunch.id) && !is_bad(bunch.id));

    // A total that a void branch overwrote is the log's, which the branch does not take away (OWN-1).
    let is_own = |kind: Kind| matches!(kind, Kind::TOTAL | Kind::RIGHTS);
    let mut spared = DotRuns::new();
    let told = diff.adds.len();
    for add in &relay.adds {
        if is_own(add.entry.kind) && moved.facts.iter().any(|fact| fact.replica == add.dot.replica) {
            spared.insert(add.dot);
            let is_told = diff.adds[..told].binary_search_by(|told| told.dot.cmp(&add.dot)).is_ok();
            if diff.tier == Tier::Full && !is_told {
                diff.adds.push(add.clone());
            }
        }
    }
    sort_by(&mut diff.adds, |a, b| a.dot.cmp(&b.dot));
    let upto = |replica: ReplicaId| if keeps(replica) { settled.seq(replica) } else { 0 };
    diff.dead = cut(&diff.dead, upto, &spared);
    if let Some(salvaged) = salvaged {
        diff.dead = cut(&diff.dead, upto, &salvaged.dots);
    }
    let mut removes = Vec::new();
    for (replica, dots) in diff.removes {
        // What a lost branch called so is not what the relay does.
        let dots = cut(&dots, |of| same_upto(lost, of), &spared);
        if diff.head.seq(replica) > 0 && !dots.is_empty() {
            removes.push((replica, dots));
        }
    }
    diff.removes = removes;
    Some(diff)
}

/// The dots of `from` up to the last of each replica that is wanted, without the spared ones. O(runs), however long they are: they
/// came from outside.
fn cut(from: &DotRuns, upto: impl Fn(ReplicaId) -> u64, spared: &DotRuns) -> DotRuns {
    let mut left = DotRuns::new();
    let mut spared = spared.runs().peekable();
    for (replica, first, last) in from.runs() {
        let (mut next, last) = (first, last.min(upto(replica)));
        while next <= last {
            while spared.next_if(|(of, _, end)| (*of, *end) < (replica, next)).is_some() {}
            let hit = spared.peek().copied().filter(|(of, begin, _)| *of == replica && *begin <= last);
            let (begin, end) = hit.map_or((u64::MAX, u64::MAX), |(_, begin, end)| (begin, end));
            if next < begin {
                left.insert_run(replica, next, last.min(begin - 1));
            }
            if end >= last {
                break;
            }
            next = end + 1;
        }
    }
    left
}

/// Where both are known to the same dot the relay's tag is the one that counts.
fn agreed(new: &Document, replica: ReplicaId, entry: VersionEntry) -> VersionEntry {
    let known = new.version().get(replica).filter(|known| known.seq == entry.seq);
    known.unwrap_or(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(runs: &[(u128, u64, u64)]) -> DotRuns {
        let mut all = DotRuns::new();
        runs.iter().for_each(|(replica, first, last)| all.insert_run(ReplicaId::from(*replica), *first, *last));
        all
    }

    #[test]
    fn bytes_1_a_run_is_cut_at_the_same_cost_however_long_it_is() {
        let from = runs(&[(1, 3, 9), (1, 20, u64::MAX - 1), (2, 1, 5), (3, 1, 5), (4, 7, 7)]);
        let spared = runs(&[(1, 1, 3), (1, 6, 6), (1, 9, 25), (2, 2, 9), (3, 9, 9), (4, 7, 7)]);
        let upto = |replica: ReplicaId| if replica == ReplicaId::from(3) { 2 } else { u64::MAX };
        let left = runs(&[(1, 4, 5), (1, 7, 8), (1, 26, u64::MAX - 1), (2, 1, 1), (3, 1, 2)]);
        assert_eq!(cut(&from, upto, &spared), left);
        assert_eq!(cut(&from, |_| 0, &DotRuns::new()), DotRuns::new());
    }
}
