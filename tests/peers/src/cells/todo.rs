//! Todo lists on five replicas, partitioned at random: editing, syncing, and what is held and stored in the end.

use super::{Metric, SEED, Scale, bytes, ms, time};
use crate::alloc;
use crate::peer::{Peer, Traffic};
use crate::workload::{Step, TodoTrace, replica, todo_trace};

/// Todos that are created in all.
const TODOS: usize = 10_000;

pub(super) fn run<P: Peer>(scale: Scale) -> Vec<Metric> {
    let trace = todo_trace(SEED, scale.of(TODOS));
    let (((mut peers, traffic), took), heap) = alloc::count(|| time(|| play::<P>(&trace)));
    let snapshot = peers[0].save();
    let compressed = peers[0].save_compressed();

    let shown = peers[0].contents();
    for peer in &peers[1..] {
        assert!(peer.contents() == shown, "replicas of {} disagree", P::NAME);
    }
    assert!(P::load(&snapshot, replica(9)).contents() == shown, "{} loads something else than it saved", P::NAME);
    let settled = shown.without(&trace.contested);
    if settled != trace.expected {
        let differing = trace.expected.todos.iter().find(|(id, todo)| settled.todos.get(*id) != Some(*todo));
        panic!(
            "{} shows {} uncontested todos instead of {}; the first that differs is {differing:?}",
            P::NAME,
            settled.todos.len(),
            trace.expected.todos.len()
        );
    }
    vec![
        ms("time", took),
        bytes("synced", traffic.bytes as usize),
        Metric { name: "messages", unit: "", value: traffic.messages as f64 },
        bytes("heap", heap.live),
        bytes("snapshot", snapshot.len()),
        bytes("compressed", compressed.len()),
    ]
}

/// Plays the trace.
fn play<P: Peer>(trace: &TodoTrace) -> (Vec<P>, Traffic) {
    let mut peers: Vec<P> = (0..crate::workload::REPLICAS).map(|index| P::new(replica(index as u64))).collect();
    let mut traffic = Traffic::default();
    for step in &trace.steps {
        match step {
            Step::Edit(replica, edit) => {
                peers[*replica].transact(std::slice::from_ref(edit), false);
            }
            Step::Meet(group) => {
                // Up the line the last one learns all, down the line all learn it.
                for pair in group.windows(2) {
                    let [one, other] = pair_of(&mut peers, pair[0], pair[1]);
                    traffic += one.catch_up(other, true);
                }
                for pair in group.windows(2).rev() {
                    let [one, other] = pair_of(&mut peers, pair[0], pair[1]);
                    traffic += other.catch_up(one, false);
                }
            }
        }
    }
    (peers, traffic)
}

fn pair_of<P>(peers: &mut [P], one: usize, other: usize) -> [&mut P; 2] {
    peers.get_disjoint_mut([one, other]).expect("two different replicas")
}
