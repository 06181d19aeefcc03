//! Several authors of one text at once, each a replica that sends what it types and merges exactly what the trace says it knew.

use std::path::Path;

use super::{Metric, Scale, assert_text, bytes, ms, time};
use crate::alloc;
use crate::peer::Peer;
use crate::workload::replica;
use crate::workload::trace::{self, Concurrent};

pub(super) fn run<P: Peer>(scale: Scale, traces: Option<&Path>) -> Vec<Metric> {
    let trace = trace::concurrent(traces, trace::FRIENDS, scale.0);
    let ((peers, sent, took), heap) = alloc::count(|| {
        let mut peers: Vec<P> = (0..trace.authors).map(|author| P::new(replica(author as u64))).collect();
        // What each author sent: as much as the trace has.
        let mut sent: Vec<Vec<Vec<u8>>> = vec![Vec::with_capacity(trace.transactions.len()); trace.authors];
        let ((), took) = time(|| replay_authors(&mut peers, &mut sent, &trace));
        let bytes = sent.iter().flatten().map(Vec::len).sum();
        (peers, bytes, took)
    });
    // Where the trace is cut short, its replicas must still agree.
    let end = trace.end.unwrap_or_else(|| peers[0].text());
    peers.iter().for_each(|peer| assert_text(peer, &end));
    vec![ms("time", took), bytes("sent", sent), bytes("heap", heap.live)]
}

/// Lets every author do what they did, and bring each other up to date at the end. A profiler finds it by its name.
#[inline(never)]
fn replay_authors<P: Peer>(peers: &mut [P], sent: &mut [Vec<Vec<u8>>], trace: &Concurrent) {
    let mut merged = vec![vec![0; peers.len()]; peers.len()];
    for step in &trace.transactions {
        for (from, count) in &step.merges {
            let known = &mut merged[step.author][*from];
            peers[step.author].apply_all(&sent[*from][*known..*known + count]);
            *known += count;
        }
        sent[step.author].push(peers[step.author].transact(&step.edits, true).expect("an edit of a text is sent"));
    }
    for (author, peer) in peers.iter_mut().enumerate() {
        for (from, sent) in sent.iter().enumerate().filter(|(from, _)| *from != author) {
            peer.apply_all(&sent[merged[author][from]..]);
        }
    }
}
