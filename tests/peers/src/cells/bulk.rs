//! Many edits on one replica, and what the document costs after them.

use super::{BATCH, Metric, SEED, Scale, assert_converges, bytes, edit_in_batches, ms, time};
use crate::alloc;
use crate::peer::{Contents, Edit, Peer};
use crate::workload::{self, Rng, Workload, keys, replica};

/// How many keys, counters or members the rows with many edits of few things have.
const FEW: usize = 1_000;

/// 100 000 keys set once.
pub(super) fn map_set<P: Peer>(scale: Scale) -> Vec<Metric> {
    let workload = workload::map_set(SEED, scale.of(100_000));
    let (mut peer, cost) = edited::<P>(&workload);
    assert_converges(&mut peer, &workload.expected);
    vec![cost.time, cost.heap]
}

/// 100 000 times one of 1 000 keys overwritten.
pub(super) fn map_overwrite<P: Peer>(scale: Scale) -> Vec<Metric> {
    let keys = keys(&mut Rng::new(SEED + 1), scale.of(FEW));
    at_rest::<P>(&workload::map_overwrite(SEED, scale.of(100_000), &keys))
}

/// 100 000 increments of one counter.
pub(super) fn counter_one<P: Peer>(scale: Scale) -> Vec<Metric> {
    at_rest::<P>(&workload::counter_one(SEED, scale.of(100_000)))
}

/// 100 000 increments of 1 000 counters in a map.
pub(super) fn counter_map<P: Peer>(scale: Scale) -> Vec<Metric> {
    let keys = keys(&mut Rng::new(SEED + 1), scale.of(FEW));
    at_rest::<P>(&workload::counter_map(SEED, scale.of(100_000), &keys))
}

/// 100 000 members added, then half of them removed.
pub(super) fn set_add<P: Peer>(scale: Scale) -> Vec<Metric> {
    let members = keys(&mut Rng::new(SEED), scale.of(100_000));
    let workload = workload::set_add(&members);
    let (mut peer, cost) = edited::<P>(&workload);
    assert_converges(&mut peer, &workload.expected);

    let removals = workload::set_remove_half(&members);
    let ((), removing) = time(|| edit_in_batches(&mut peer, &removals));
    let mut expected: Contents = workload.expected;
    removals.iter().for_each(|edit| expected.apply(edit));
    assert_converges(&mut peer, &expected);
    vec![cost.time, cost.heap, ms("remove half", removing)]
}

/// A million times one of 1 000 members added or removed.
pub(super) fn set_churn<P: Peer>(scale: Scale) -> Vec<Metric> {
    let members = keys(&mut Rng::new(SEED), scale.of(FEW));
    at_rest::<P>(&workload::set_churn(SEED, scale.of(1_000_000), &members))
}

/// What making a document took.
struct Cost {
    time: Metric,
    heap: Metric,
}

fn edited<P: Peer>(workload: &Workload) -> (P, Cost) {
    let ((peer, time), heap) = alloc::count(|| {
        time(|| {
            let mut peer = P::new(replica(1));
            workload.edits.chunks(BATCH).for_each(|batch: &[Edit]| drop(peer.transact(batch, false)));
            peer
        })
    });
    (peer, Cost { time: ms("time", time), heap: bytes("heap", heap.live) })
}

/// Time, heap, and the bytes of a snapshot.
fn at_rest<P: Peer>(workload: &Workload) -> Vec<Metric> {
    let (mut peer, cost) = edited::<P>(workload);
    let snapshot = peer.save();
    assert_converges(&mut peer, &workload.expected);
    assert_converges(&mut P::load(&snapshot, replica(2)), &workload.expected);
    vec![cost.time, cost.heap, bytes("snapshot", snapshot.len())]
}
