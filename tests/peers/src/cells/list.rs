//! Lists of plain values: filled, then edited anywhere, in transactions of one and of many.

use std::time::Duration;

use super::{BATCH, Metric, SEED, Scale, assert_converges, assert_shows, bytes, edit_in_batches, ms, time, us_each};
use crate::alloc;
use crate::peer::{Contents, Edit, List, Peer};
use crate::workload::{Workload, list_deletes, list_inserts, list_moves, list_pushes, replica};

/// Elements of the lists.
const MANY: usize = 100_000;
/// How many are inserted, moved or deleted, in each of two ways.
const EDITS: usize = 10_000;
/// So many of them between two looks at the clock.
const STRETCH: usize = 1_000;

/// 100 000 numbers added at the end.
pub(super) fn push<P: Peer>(scale: Scale) -> Vec<Metric> {
    let workload = Workload::of(list_pushes(SEED, List::Fixed, scale.of(MANY)));
    let ((mut peer, adding), heap) = alloc::count(|| {
        time(|| {
            let mut peer = P::new(replica(1));
            edit_in_batches(&mut peer, &workload.edits);
            peer
        })
    });
    let snapshot = peer.save();
    let compressed = peer.save_compressed();
    assert_converges(&mut peer, &workload.expected);
    drop(peer);
    let ((peer, list), loading) = time(|| {
        let peer = P::load(&snapshot, replica(2));
        let list = peer.list();
        (peer, list)
    });
    assert!(list == workload.expected.list, "{} loads something else than it saved", P::NAME);
    drop(peer);
    vec![
        ms("time", adding),
        bytes("heap", heap.live),
        bytes("snapshot", snapshot.len()),
        bytes("compressed", compressed.len()),
        ms("load, read all", loading),
    ]
}

/// Numbers inserted anywhere into it.
pub(super) fn insert<P: Peer>(scale: Scale) -> Vec<Metric> {
    let len = scale.of(MANY);
    anywhere::<P>(scale, list_pushes(SEED, List::Fixed, len), list_inserts(SEED + 1, len, 2 * scale.of(EDITS)))
}

/// Elements of it moved.
pub(super) fn moves<P: Peer>(scale: Scale) -> Vec<Metric> {
    let len = scale.of(MANY);
    anywhere::<P>(scale, list_pushes(SEED, List::Ordered, len), list_moves(SEED + 1, len, 2 * scale.of(EDITS)))
}

/// Elements of it deleted.
pub(super) fn delete<P: Peer>(scale: Scale) -> Vec<Metric> {
    let len = scale.of(MANY);
    anywhere::<P>(
        scale,
        list_pushes(SEED, List::Fixed, len),
        list_deletes(SEED + 1, len, (2 * scale.of(EDITS)).min(len / 2)),
    )
}

/// Begins with `start`; half of `edits` are done one by one, the others in batches.
fn anywhere<P: Peer>(scale: Scale, start: Vec<Edit>, edits: Vec<Edit>) -> Vec<Metric> {
    let mut peer = P::new(replica(1));
    edit_in_batches(&mut peer, &start);
    let mut expected = Workload::of(start).expected;
    let (singly, batched) = edits.split_at(edits.len() / 2);
    let (one, ones) = run(scale, &mut peer, singly, 1, &mut expected);
    // Where not all of the first were done, the others speak of another list.
    let (batch, batches) =
        if ones == singly.len() { run(scale, &mut peer, batched, BATCH, &mut expected) } else { (one, ones) };
    assert_shows(&peer, &expected);
    assert_converges(&mut peer, &expected);
    vec![us_each("one by one", one, ones), us_each("batch", batch, batches)]
}

fn run<P: Peer>(
    scale: Scale,
    peer: &mut P,
    edits: &[Edit],
    transaction: usize,
    expected: &mut Contents,
) -> (Duration, usize) {
    let (mut took, mut done) = (Duration::ZERO, 0);
    for stretch in edits.chunks(STRETCH) {
        let ((), spent) = time(|| stretch.chunks(transaction).for_each(|edits| drop(peer.transact(edits, false))));
        stretch.iter().for_each(|edit| expected.apply(edit));
        took += spent;
        done += stretch.len();
        if took > scale.longest() {
            break;
        }
    }
    (took, done)
}
