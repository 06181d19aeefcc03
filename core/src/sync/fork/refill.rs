//! What a document has that the relay lacks, beside what waits for its ack, as a diff upon what the relay has.
//!
//! Only where the relay was put back to an older state is there any such thing. What waits is left out, so that each of its
//! deltas can be joined as it is, or under its new name: what they removed is dead here already, and is removed by them
//! again, so that it is known who did it.

use alloc::vec::Vec;

use super::Moved;
use super::living::parts;
use super::salvage::{Lost, Salvaged, differs};
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
    for add in &relay.adds {
        if is_own(add.entry.kind) && moved.facts.iter().any(|fact| fact.replica == add.dot.replica) {
            spared.insert(add.dot);
            if diff.tier == Tier::Full && diff.adds.iter().all(|told| told.dot != add.dot) {
                diff.adds.push(add.clone());
            }
        }
    }
    sort_by(&mut diff.adds, |a, b| a.dot.cmp(&b.dot));
    let stays = |dot: Dot| spared.contains(dot) || !within(dot);
    diff.dead = diff.dead.dots().filter(|dot| !stays(*dot)).collect();
    let mut removes = Vec::new();
    for (replica, dots) in diff.removes {
        // What a lost branch called so is not what the relay does.
        let dots: DotRuns = dots.dots().filter(|dot| !spared.contains(*dot) && !differs(lost, *dot)).collect();
        if diff.head.seq(replica) > 0 && !dots.is_empty() {
            removes.push((replica, dots));
        }
    }
    diff.removes = removes;
    Some(diff)
}

/// Where both are known to the same dot the relay's tag is the one that counts.
fn agreed(new: &Document, replica: ReplicaId, entry: VersionEntry) -> VersionEntry {
    let known = new.version().get(replica).filter(|known| known.seq == entry.seq);
    known.unwrap_or(entry)
}
