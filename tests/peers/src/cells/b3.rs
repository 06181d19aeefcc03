//! Many clients at once on one key: the rows B3 of the public crdt-benchmarks.
//!
//! 20·√6000 clients edit their empty documents, all at once. One client then takes the others' updates one by one, another one takes them
//! in a batch.

use super::{Metric, Scale, assert_shows, bytes, ms, time};
use crate::peer::{Edit, Peer};
use crate::workload::{self, replica};

/// 20·√6000.
const CLIENTS: usize = 1_549;

pub(super) fn number<P: Peer>(scale: Scale) -> Vec<Metric> {
    run::<P>(scale, |index, _| workload::b3_number(index))
}

pub(super) fn object<P: Peer>(scale: Scale) -> Vec<Metric> {
    run::<P>(scale, |index, _| workload::b3_object(index))
}

pub(super) fn string<P: Peer>(scale: Scale) -> Vec<Metric> {
    run::<P>(scale, workload::b3_string)
}

pub(super) fn counter<P: Peer>(scale: Scale) -> Vec<Metric> {
    run::<P>(scale, |index, _| workload::b3_counter(index))
}

fn run<P: Peer>(scale: Scale, edit: fn(usize, usize) -> Edit) -> Vec<Metric> {
    let clients = scale.of(CLIENTS);
    let edits: Vec<Edit> = (0..clients).map(|index| edit(index, clients)).collect();
    let mut peers: Vec<P> = (0..clients).map(|index| P::new(replica(index as u64))).collect();
    let mut updates: Vec<Vec<u8>> = peers
        .iter_mut()
        .zip(edits.chunks(1))
        .map(|(peer, edit)| peer.transact(edit, true).expect("an edit is sent"))
        .collect();
    let total_bytes = updates.iter().map(Vec::len).sum();
    peers.truncate(2);
    let [one, other] = peers.as_mut_slice() else { panic!("two clients at least") };
    let ((), singly) = time(|| updates[1..].iter().for_each(|update| one.apply(update)));
    // The second client's own update is not sent to it either; the order of the others does not matter.
    updates.swap_remove(1);
    let ((), together) = time(|| other.apply_all(&updates));
    let document = one.save();

    let shown = one.contents();
    assert_shows(other, &shown);
    assert_shows(&P::load(&document, replica(clients as u64)), &shown);
    let total: i64 = edits.iter().map(|edit| if let Edit::Increment { by, .. } = edit { *by } else { 0 }).sum();
    assert_eq!(shown.counter, total, "{} lost increments", P::NAME);
    if matches!(edits[0], Edit::Put { .. }) {
        assert_eq!(shown.map.keys().collect::<Vec<_>>(), ["v"], "{} shows other keys than were set", P::NAME);
        let value = &shown.map["v"];
        let put = edits.iter().any(|edit| matches!(edit, Edit::Put { value: put, .. } if put == value));
        assert!(put, "{} shows {value:?}, which nobody put", P::NAME);
    }
    vec![
        ms("one by one", singly),
        ms("batch", together),
        bytes("updates", total_bytes),
        bytes("document", document.len()),
    ]
}
