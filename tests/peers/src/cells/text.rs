//! Texts: replayed in transactions of one key and of many, edited anywhere, pasted; and what they cost to hold, store and open.

use std::path::Path;
use std::time::Duration;

use super::{BATCH, Metric, SEED, Scale, assert_converges, assert_text, bytes, ms, time, us_each};
use crate::alloc;
use crate::peer::{Contents, Edit, Peer};
use crate::workload::trace::{self, Sequential, splice_rope, text_after};
use crate::workload::{Rng, replica, typing};

/// How many documents are opened, since one that is small opens too fast to measure.
const DOCUMENTS: usize = 5;
/// Characters of the text that is edited anywhere.
const LARGE: usize = 1_000_000;
/// Edits of it, in each of two ways.
const ANYWHERE: usize = 100_000;
/// So many of them between two looks at the clock.
const STRETCH: usize = 1_000;
/// Bytes of the text that is pasted …
const PASTED: usize = 100_000_000;
/// … and of a transaction of it: far below what any library allows a transaction, and large enough that transactions cost nothing.
const PIECE: usize = 500_000;

/// A paper of one author: replayed, held, stored, opened, and typed on.
pub(super) fn paper<P: Peer>(scale: Scale, traces: Option<&Path>) -> Vec<Metric> {
    let trace = trace::sequential(traces, trace::PAPER, scale.0, typing::PAPER);
    let (mut peer, mut metrics) = typed::<P>(&trace);
    let snapshot = peer.save();
    metrics.extend([bytes("snapshot", snapshot.len()), bytes("compressed", peer.save_compressed().len())]);
    drop(peer);

    let (mut opened, opening) = time(|| {
        let open = |document| {
            let peer = P::load(&snapshot, replica(2 + document as u64));
            let text = peer.text();
            (peer, text)
        };
        (0..DOCUMENTS).map(open).collect::<Vec<(P, String)>>()
    });
    assert!(opened.iter().all(|(_, text)| *text == trace.end), "{} loads something else than it saved", P::NAME);
    // The next key, in the middle of what was opened.
    let key = [Edit::Splice { at: trace.end.chars().count() / 2, delete: 0, insert: "x".into() }];
    let ((), typing) = time(|| opened.iter_mut().for_each(|(peer, _)| drop(peer.transact(&key, true))));
    let edited = text_after(&trace.end, &key);
    opened.iter().for_each(|(peer, _)| assert_text(peer, &edited));
    metrics.extend([ms("load to text", opening / DOCUMENTS as u32), us_each("first edit", typing, DOCUMENTS)]);
    metrics
}

/// A program of one author: replayed, held and stored.
pub(super) fn rust<P: Peer>(scale: Scale, traces: Option<&Path>) -> Vec<Metric> {
    let trace = trace::sequential(traces, trace::RUST, scale.0, typing::RUST);
    let (mut peer, mut metrics) = typed::<P>(&trace);
    metrics.extend([bytes("snapshot", peer.save().len())]);
    metrics
}

/// Replays a trace in both ways; what was replayed key by key goes on.
fn typed<P: Peer>(trace: &Sequential) -> (P, Vec<Metric>) {
    let mut batched = P::new(replica(1));
    let ((), batches) = time(|| replay_batches(&mut batched, trace));
    assert_text(&batched, &trace.end);
    drop(batched);

    let ((mut peer, keys), heap) = alloc::count(|| {
        let mut peer = P::new(replica(1));
        let ((), keys) = time(|| replay_keys(&mut peer, trace));
        (peer, keys)
    });
    assert_converges(&mut peer, &Contents { text: trace.end.clone(), ..Contents::default() });
    let metrics = vec![ms("per key", keys), ms("per 1000", batches), bytes("heap", heap.live)];
    (peer, metrics)
}

/// One transaction for each that was recorded. A profiler finds this and the next by their names.
#[inline(never)]
fn replay_keys<P: Peer>(peer: &mut P, trace: &Sequential) {
    run(peer, trace.transactions());
}

/// One transaction for many edits.
#[inline(never)]
fn replay_batches<P: Peer>(peer: &mut P, trace: &Sequential) {
    run(peer, trace.edits.chunks(BATCH));
}

fn run<'t, P: Peer>(peer: &mut P, transactions: impl Iterator<Item = &'t [Edit]>) {
    for transaction in transactions {
        peer.transact(transaction, false);
    }
}

/// Single characters inserted and deleted anywhere in a text of a million, in transactions of one, then further ones in transactions of
/// many.
pub(super) fn random<P: Peer>(scale: Scale) -> Vec<Metric> {
    let mut rng = Rng::new(SEED);
    let text = typing::prose(&mut rng, scale.of(LARGE));
    let mut length = text.chars().count();
    let mut rope = ropey::Rope::from_str(&text);
    let mut anywhere = |count: usize| -> Vec<Edit> {
        let mut edit = |_| {
            let insert = if rng.below(2) == 0 { "x" } else { "" };
            let delete = usize::from(insert.is_empty());
            let at = rng.below(length - delete + 1);
            length = length + insert.len() - delete;
            Edit::Splice { at, delete, insert: insert.into() }
        };
        (0..count).map(&mut edit).collect()
    };
    let (singly, batched) = (anywhere(scale.of(ANYWHERE)), anywhere(scale.of(ANYWHERE)));

    let mut peer = P::new(replica(1));
    let mut end = 0;
    let paragraphs: Vec<char> = text.chars().collect();
    for paragraph in paragraphs.chunks(BATCH) {
        peer.transact(&[Edit::Splice { at: end, delete: 0, insert: paragraph.iter().collect() }], false);
        end += paragraph.len();
    }
    let mut measure = |edits: &[Edit], transaction: usize| {
        let (mut took, mut done) = (Duration::ZERO, 0);
        for stretch in edits.chunks(STRETCH) {
            let ((), spent) = time(|| run(&mut peer, stretch.chunks(transaction)));
            stretch.iter().for_each(|edit| splice_rope(&mut rope, edit));
            took += spent;
            done += stretch.len();
            if took > scale.longest() {
                break;
            }
        }
        (took, done)
    };
    let (one, ones) = measure(&singly, 1);
    // Where not all of the first were done, the others speak of another text.
    let (batch, batches) = if ones == singly.len() { measure(&batched, BATCH) } else { (one, ones) };
    assert_text(&peer, &rope.to_string());
    vec![us_each("one by one", one, ones), us_each("batch", batch, batches)]
}

/// A hundred megabytes pasted into the middle of a text, in consecutive transactions.
pub(super) fn paste<P: Peer>(scale: Scale) -> Vec<Metric> {
    let mut rng = Rng::new(SEED);
    let before = typing::prose(&mut rng, 1_000);
    let middle = before.chars().count() / 2;
    let mut at = middle;
    let mut edits = Vec::new();
    for _ in 0..(scale.of(PASTED) / PIECE).max(1) {
        let insert = typing::prose(&mut rng, PIECE);
        let length = insert.chars().count();
        edits.push(Edit::Splice { at, delete: 0, insert });
        at += length;
    }

    let ((peer, took, done), heap) = alloc::count(|| {
        let mut peer = P::new(replica(1));
        peer.transact(&[Edit::Splice { at: 0, delete: 0, insert: before.clone() }], false);
        let (mut took, mut done) = (Duration::ZERO, 0);
        for piece in edits.chunks(1) {
            took += time(|| run(&mut peer, std::iter::once(piece))).1;
            done += 1;
            if took > scale.longest() {
                break;
            }
        }
        (peer, took, done)
    });
    let pasted =
        edits[..done].iter().map(|edit| if let Edit::Splice { insert, .. } = edit { insert.as_str() } else { "" });
    let halfway = before.char_indices().nth(middle).map_or(before.len(), |(byte, _)| byte);
    let mut expected = before;
    expected.insert_str(halfway, &pasted.collect::<String>());
    assert_text(&peer, &expected);
    let size = expected.len() as f64;
    let times = |name, heap: usize| Metric { name, unit: "×", value: heap as f64 / size };
    vec![
        Metric { name: "each MB", unit: "ms", value: took.as_secs_f64() * 1e3 / (size / 1e6) },
        times("peak heap", heap.peak),
        times("heap", heap.live),
    ]
}
