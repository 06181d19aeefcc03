//! One edit, one delta: what a live session does all day.

use std::path::Path;
use std::time::Duration;

use super::{Metric, SEED, Scale, assert_shows, bytes, edit_in_batches, time, us_each};
use crate::peer::{Contents, Edit, Peer};
use crate::workload::{self, Rng, keys, replica, trace, typing};

/// How many edits are made and applied.
const EDITS: usize = 10_000;
/// They are made and applied in stretches of so many, no further ones after [`Scale::longest`].
const STRETCH: usize = 100;
/// Keys or members of the small rows.
const FEW: usize = 1_000;
/// Keys of the large map.
const MANY: usize = 100_000;

/// On a map that comes to have 1 000 keys.
pub(super) fn map<P: Peer>(scale: Scale) -> Vec<Metric> {
    let keys = keys(&mut Rng::new(SEED + 1), scale.of(FEW));
    live::<P>(scale, &[], &workload::map_overwrite(SEED, scale.of(EDITS), &keys).edits).metrics()
}

/// On one counter.
pub(super) fn counter<P: Peer>(scale: Scale) -> Vec<Metric> {
    live::<P>(scale, &[], &workload::counter_one(SEED, scale.of(EDITS)).edits).metrics()
}

/// On a set of at most 1 000 members.
pub(super) fn set<P: Peer>(scale: Scale) -> Vec<Metric> {
    let members = keys(&mut Rng::new(SEED), scale.of(FEW));
    live::<P>(scale, &[], &workload::set_churn(SEED, scale.of(EDITS), &members).edits).metrics()
}

/// On a map of 100 000 keys.
pub(super) fn large<P: Peer>(scale: Scale) -> Vec<Metric> {
    let start = workload::map_set(SEED, scale.of(MANY));
    let keys: Vec<String> = start.expected.map.keys().cloned().collect();
    live::<P>(scale, &start.edits, &workload::map_overwrite(SEED + 1, scale.of(EDITS), &keys).edits).metrics()
}

/// The beginning of a paper. `bytes` is the median over the keys that insert a character.
pub(super) fn typed<P: Peer>(scale: Scale, traces: Option<&Path>) -> Vec<Metric> {
    let paper = trace::sequential(traces, trace::PAPER, scale.0, typing::PAPER);
    let edits = &paper.edits[..scale.of(EDITS).min(paper.edits.len())];
    let live = live::<P>(scale, &[], edits);
    let inserts = edits.iter().map(|edit| matches!(edit, Edit::Splice { delete: 0, .. }));
    let mut typed: Vec<usize> =
        live.sizes.iter().zip(inserts).filter_map(|(size, insert)| insert.then_some(*size)).collect();
    typed.sort_unstable();
    let median = bytes("bytes", typed[typed.len() / 2]);
    live.metrics().into_iter().map(|metric| if metric.name == median.name { median.clone() } else { metric }).collect()
}

/// The first edit that is applied after a large map was loaded. Several documents are loaded, since one edit is too short to measure.
pub(super) fn first_apply<P: Peer>(scale: Scale) -> Vec<Metric> {
    const DOCUMENTS: usize = 5;
    let start = workload::map_set(SEED, scale.of(MANY));
    let mut writer = P::new(replica(1));
    edit_in_batches(&mut writer, &start.edits);
    let snapshot = writer.save();
    let key = start.expected.map.keys().next().expect("a map that is not empty").clone();
    let edits = workload::map_overwrite(SEED + 1, 1, &[key]).edits;
    let sent = writer.transact(&edits, true).expect("an edit is sent");

    let mut loaded: Vec<P> = (0..DOCUMENTS).map(|index| P::load(&snapshot, replica(2 + index as u64))).collect();
    let ((), applying) = time(|| loaded.iter_mut().for_each(|peer| peer.apply(&sent)));
    let mut expected = start.expected;
    edits.iter().for_each(|edit| expected.apply(edit));
    assert_shows(&loaded[0], &expected);
    vec![us_each("apply", applying, DOCUMENTS)]
}

/// What it cost to make edits, to apply them, and how many bytes each took.
struct Live {
    making: Duration,
    applying: Duration,
    sizes: Vec<usize>,
}

impl Live {
    /// Of each edit, on average.
    fn metrics(&self) -> Vec<Metric> {
        let done = self.sizes.len();
        let size = self.sizes.iter().sum::<usize>() as f64 / done as f64;
        let each = Metric { value: size, ..bytes("bytes", 0) };
        vec![us_each("make", self.making, done), us_each("apply", self.applying, done), each]
    }
}

/// Two replicas begin with `start`; one makes `edits` and sends each, the other applies each.
fn live<P: Peer>(scale: Scale, start: &[Edit], edits: &[Edit]) -> Live {
    let (mut writer, mut reader) = (P::new(replica(1)), P::new(replica(2)));
    edit_in_batches(&mut writer, start);
    if !start.is_empty() {
        writer.catch_up(&mut reader, false);
    }
    let mut expected = Contents::default();
    start.iter().for_each(|edit| expected.apply(edit));

    let (mut making, mut applying) = (Duration::ZERO, Duration::ZERO);
    let mut sizes = Vec::with_capacity(edits.len());
    for stretch in edits.chunks(STRETCH) {
        let mut sent = Vec::with_capacity(stretch.len());
        let ((), made) = time(|| {
            for edit in stretch.chunks(1) {
                sent.push(writer.transact(edit, true).expect("an edit is sent"));
            }
        });
        let ((), applied) = time(|| sent.iter().for_each(|one| reader.apply(one)));
        stretch.iter().for_each(|edit| expected.apply(edit));
        making += made;
        applying += applied;
        sizes.extend(sent.iter().map(Vec::len));
        if making + applying > scale.longest() {
            break;
        }
    }
    assert_shows(&writer, &expected);
    assert_shows(&reader, &expected);
    Live { making, applying, sizes }
}
