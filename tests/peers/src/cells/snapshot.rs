//! A large map at rest: its size, saving, loading.

use super::{Metric, SEED, Scale, assert_shows, bytes, edit_in_batches, ms, time};
use crate::alloc;
use crate::peer::Peer;
use crate::workload::{self, replica};

/// A map of 100 000 keys.
pub(super) fn run<P: Peer>(scale: Scale) -> Vec<Metric> {
    let workload = workload::map_set(SEED, scale.of(100_000));
    let mut peer = P::new(replica(1));
    edit_in_batches(&mut peer, &workload.edits);
    let (snapshot, saving) = time(|| peer.save());
    let compressed = peer.save_compressed();
    drop(peer);

    let key = workload.expected.map.keys().nth(workload.expected.map.len() / 2).expect("a map that is not empty");
    let (read, first) = time(|| {
        let peer = P::load(&snapshot, replica(2));
        let value = peer.get(key);
        (value, peer)
    });
    assert_eq!(read.0.as_ref(), workload.expected.map.get(key), "{} loaded something else", P::NAME);
    drop(read);

    let ((peer, scan, all), heap) = alloc::count(|| {
        let ((peer, scan), all) = time(|| {
            let peer = P::load(&snapshot, replica(2));
            let scan = peer.scan();
            (peer, scan)
        });
        (peer, scan, all)
    });
    assert_eq!(scan, workload.expected.scan());
    assert_shows(&peer, &workload.expected);
    vec![
        bytes("bytes", snapshot.len()),
        bytes("compressed", compressed.len()),
        ms("save", saving),
        ms("load, read one", first),
        ms("load, read all", all),
        bytes("load peak heap", heap.peak),
    ]
}
