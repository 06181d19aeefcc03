//! One edit, one delta: what a live session does all day.

use std::time::Duration;

use super::{Metric, SEED, Scale, assert_shows, bytes, edit_in_batches, time, us_each};
use crate::peer::{Contents, Edit, Peer};
use crate::workload::{self, Rng, keys, replica};

/// How many edits are made and applied.
const EDITS: usize = 10_000;
/// They are made and applied in stretches of so many, …
const STRETCH: usize = 100;
/// … no further ones after this time: libraries that go over the whole map for each edit would take minutes, and the time of one edit is
/// known by then.
const LONGEST: Duration = Duration::from_secs(10);
/// Keys or members of the small rows.
const FEW: usize = 1_000;
/// Keys of the large map.
const MANY: usize = 100_000;

/// On a map that comes to have 1 000 keys.
pub(super) fn map<P: Peer>(scale: Scale) -> Vec<Metric> {
    let keys = keys(&mut Rng::new(SEED + 1), scale.of(FEW));
    live::<P>(&[], &workload::map_overwrite(SEED, scale.of(EDITS), &keys).edits)
}

/// On one counter.
pub(super) fn counter<P: Peer>(scale: Scale) -> Vec<Metric> {
    live::<P>(&[], &workload::counter_one(SEED, scale.of(EDITS)).edits)
}

/// On a set of at most 1 000 members.
pub(super) fn set<P: Peer>(scale: Scale) -> Vec<Metric> {
    let members = keys(&mut Rng::new(SEED), scale.of(FEW));
    live::<P>(&[], &workload::set_churn(SEED, scale.of(EDITS), &members).edits)
}

/// On a map of 100 000 keys.
pub(super) fn large<P: Peer>(scale: Scale) -> Vec<Metric> {
    let start = workload::map_set(SEED, scale.of(MANY));
    let keys: Vec<String> = start.expected.map.keys().cloned().collect();
    live::<P>(&start.edits, &workload::map_overwrite(SEED + 1, scale.of(EDITS), &keys).edits)
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

/// Two replicas begin with `start`; one makes `edits` and sends each, the other applies each.
fn live<P: Peer>(start: &[Edit], edits: &[Edit]) -> Vec<Metric> {
    let (mut writer, mut reader) = (P::new(replica(1)), P::new(replica(2)));
    edit_in_batches(&mut writer, start);
    if !start.is_empty() {
        writer.catch_up(&mut reader, false);
    }
    let mut expected = Contents::default();
    start.iter().for_each(|edit| expected.apply(edit));

    let (mut making, mut applying) = (Duration::ZERO, Duration::ZERO);
    let (mut done, mut sent_bytes) = (0, 0);
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
        done += stretch.len();
        sent_bytes += sent.iter().map(Vec::len).sum::<usize>();
        if making + applying > LONGEST {
            break;
        }
    }
    assert_shows(&writer, &expected);
    assert_shows(&reader, &expected);
    let each = Metric { value: sent_bytes as f64 / done as f64, ..bytes("bytes", 0) };
    vec![us_each("make", making, done), us_each("apply", applying, done), each]
}
