//! Catching up after having been apart.

use super::{Metric, SEED, Scale, assert_shows, bytes, edit_in_batches, edit_singly, ms, time};
use crate::peer::{Contents, Peer, Traffic};
use crate::workload::{self, contested, replica};

/// Keys of the map that both have.
const KEYS: usize = 100_000;
/// The same is done several times from the same start, and the quickest counts: one catch-up is short.
const ROUNDS: usize = 2;

/// Two replicas with the same large map; one or both make `missed` edits, a transaction each; then they catch up.
pub(super) fn run<P: Peer>(scale: Scale, missed: usize, concurrent: bool, loaded: bool) -> Vec<Metric> {
    let start = workload::map_set(SEED, scale.of(KEYS));
    let keys: Vec<String> = start.expected.map.keys().cloned().collect();
    let here = workload::map_edits(SEED + 1, missed, &mut keys.clone());
    let there = workload::map_edits(SEED + 2, if concurrent { missed } else { 0 }, &mut keys.clone());

    let mut origin = P::new(replica(1));
    edit_in_batches(&mut origin, &start.edits);
    let snapshot = origin.save();
    let mut best = None;
    for _ in 0..ROUNDS {
        // Every round has fresh replicas; they are warm from their own edits and from having read all, unless they are loaded again.
        let mut one = P::load(&snapshot, replica(2));
        let mut other = P::load(&snapshot, replica(3));
        assert_eq!(one.scan(), start.expected.scan());
        assert_eq!(other.scan(), start.expected.scan());
        edit_singly(&mut one, &here);
        edit_singly(&mut other, &there);
        if loaded {
            one = P::load(&one.save(), replica(4));
            other = P::load(&other.save(), replica(5));
        }
        let (traffic, took) = time(|| one.catch_up(&mut other, concurrent));

        let shown = one.contents();
        assert_shows(&other, &shown);
        let contested = contested(&here, &there);
        let mut expected = start.expected.clone();
        here.iter().chain(&there).for_each(|edit| expected.apply(edit));
        assert!(shown.without(&contested) == expected.without(&contested), "{} caught up to something else", P::NAME);
        let round: (std::time::Duration, Traffic) = (took, traffic);
        if best.is_none_or(|(least, _)| took < least) {
            best = Some(round);
        }
        drop::<Contents>(shown);
    }
    let (took, traffic) = best.expect("at least one round");
    vec![
        ms("time", took),
        bytes("bytes", traffic.bytes as usize),
        Metric { name: "messages", unit: "", value: traffic.messages as f64 },
    ]
}
