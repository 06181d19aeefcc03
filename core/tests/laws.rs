//! The specification and the laws of the join over random histories of all types.
#![cfg(feature = "testing")]

mod common;

use weftline::testing::{self, History, Options, Random, Spec, dump};
use weftline::{Commit, Delta, Document, EditError, ReplicaId, Timestamp, VersionEntry, VersionVector, codec};

use common::seeds;

fn run(options: &Options) {
    for seed in 0..seeds() {
        if let Err(failure) = History::run(seed, options) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.what);
        }
    }
}

fn grown(seed: u64, options: &Options) -> History {
    History::grow(seed, options).unwrap_or_else(|failure| panic!("seed {seed}: {}", failure.what))
}

/// The states alone: what is parked is no part of a state, but would be applied by a join.
fn states(history: &History) -> Vec<Document> {
    history
        .documents()
        .iter()
        .map(|document| Document::load(&document.snapshot()).expect("what was saved loads"))
        .collect()
}

#[track_caller]
fn assert_equal(a: &Document, b: &Document, what: &str) {
    assert_eq!(a.version(), b.version(), "{what}: versions");
    assert_eq!(a.heads(), b.heads(), "{what}: heads");
    assert_eq!(a.beacon(), b.beacon(), "{what}: beacons");
    assert_eq!(dump(a), dump(b), "{what}: contents");
}

fn joined(into: &Document, from: &Document) -> Document {
    let mut into = into.clone();
    into.apply_diff(&from.diff_since(&into.version())).expect("a diff for this version applies");
    into
}

fn joined_in_full(into: &Document, from: &Document) -> Document {
    let mut from = from.clone();
    from.truncate_removals();
    let diff = from.diff_since(&VersionVector::new());
    let mut into = into.clone();
    into.apply_diff(&diff).expect("a full diff applies anywhere");
    into
}

/// On the digest tier, whatever the log still holds.
fn joined_by_digest(into: &Document, from: &Document) -> Document {
    let mut from = from.clone();
    from.truncate_removals();
    let diff = from.diff_for(&into.digest());
    let mut into = into.clone();
    into.apply_diff(&diff).expect("an answer to its digest applies");
    into
}

#[test]
fn documents_equal_the_specification_by_deltas_alone() {
    run(&Options { diffs: false, truncate: false, disks: false, ..Options::default() });
}

#[test]
fn documents_equal_the_specification_by_deltas_and_diffs_on_every_tier() {
    run(&Options::default());
    let by_digest: usize = (0..seeds().max(20)).map(|seed| grown(seed, &Options::default()).by_digest()).sum();
    assert!(by_digest > 0, "the digest tier was used");
}

#[test]
fn documents_equal_the_specification_in_long_histories_of_many_replicas() {
    for seed in 0..seeds() / 20 {
        let options = Options { steps: 400, replicas: 6, ..Options::default() };
        if let Err(failure) = History::run(seed, &options) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.what);
        }
    }
}

#[test]
fn the_join_is_commutative_associative_and_idempotent() {
    for seed in 0..seeds() {
        let documents = states(&grown(seed, &Options::default()));
        let [a, b, c] = &documents[..3] else { unreachable!("three replicas at least") };
        let ab = joined(a, b);
        assert_equal(&ab, &joined(b, a), "commutative");
        assert_equal(&joined(&ab, c), &joined(a, &joined(b, c)), "associative");
        assert_equal(&joined(&ab, b), &ab, "idempotent");
        assert_equal(&joined(a, &a.clone()), a, "idempotent with itself");
    }
}

#[test]
fn diff_5_join_of_diff_equals_join_of_state_on_every_tier() {
    for seed in 0..seeds() {
        let history = grown(seed, &Options::default());
        let documents = states(&history);
        for a in &documents {
            for b in &documents {
                let by_diff = joined(a, b);
                let (in_full, by_digest) = (joined_in_full(a, b), joined_by_digest(a, b));
                assert_equal(&by_diff, &in_full, "version tier and full tier");
                assert_equal(&by_digest, &by_diff, "digest tier");
                for told in [&in_full, &by_digest].into_iter().filter(|told| told.version() != a.version()) {
                    let seqs =
                        |version: VersionVector| -> Vec<u64> { version.iter().map(|(_, entry)| entry.seq).collect() };
                    assert_eq!(seqs(told.horizon()), seqs(told.version()), "DIFF-4");
                }
                let saved = Document::load(&by_diff.snapshot()).expect("what was saved loads");
                assert_equal(&saved, &by_diff, "snapshot");
                // The deltas that `a` lacks, in any order, lead to the same.
                let mut by_delta = a.clone();
                let mut missing: Vec<&Delta> = history.spec().deltas().filter(|delta| b.covers(delta.dot())).collect();
                Random::seeded(seed).shuffle(&mut missing);
                for delta in missing {
                    by_delta.apply(delta).expect("honest deltas apply");
                }
                if by_delta.parked() > 0 {
                    // Whoever raised its horizon dropped dead positions (SEQ-6). A delta of a writer that had not seen the
                    // removals may hang on them: it waits, and a diff answers it.
                    assert!(!a.horizon().is_empty(), "everything that was missing is here");
                    by_delta.apply_diff(&b.diff_since(&by_delta.version())).expect("a diff applies");
                }
                assert_eq!(by_delta.parked(), 0, "what waited is answered");
                assert_equal(&by_delta, &by_diff, "deltas and diff");
            }
        }
    }
}

/// Up to six deltas of three replicas that knew the same and then did not talk, each one or two, over containers of every
/// kind that are there already; with what they knew, and the specification of all of it.
fn concurrent(seed: u64) -> (Document, Vec<Delta>, Spec) {
    let history = grown(seed, &Options { steps: 40, ..Options::default() });
    let base = states(&history).iter().skip(1).fold(states(&history)[0].clone(), |all, other| joined(&all, other));
    let mut spec = history.spec().clone();
    let mut deltas = Vec::new();
    let mut random = Random::seeded(seed);
    for writer in 0..3_u128 {
        let mut document = base.clone();
        // In the middle of all ids, and after every one of the history.
        document.set_writer(Some(ReplicaId::from((1 << 127) + 1_000_000 - writer))).expect("no transaction is open");
        for _ in 0..1 + random.below(2) {
            let before = document.clone();
            let now = Timestamp(2_000 + random.next_u64() % 3);
            let commit: Result<Commit<()>, EditError> = document.transact(now, |tx| {
                (0..1 + random.below(3)).try_for_each(|_| testing::random_edit(tx, &mut random, true))
            });
            let Some(delta) = commit.expect("the edit is possible").delta else { continue };
            // A transaction is the join of what was and its delta.
            let mut by_delta = before;
            by_delta.apply(&delta).expect("an own delta applies");
            assert_equal(&by_delta, &document, "a transaction and its delta");
            spec.record(&delta);
            deltas.push(delta);
        }
    }
    (base, deltas, spec)
}

#[test]
fn every_order_of_a_few_concurrent_deltas_agrees_with_the_specification() {
    let mut most = 0;
    // However few are asked for, some of these end in many deltas.
    for seed in 0..seeds().div_ceil(5).max(20) {
        let (base, deltas, spec) = concurrent(seed);
        let mut version = base.version();
        for delta in &deltas {
            version.set(delta.replica(), VersionEntry { seq: delta.dot().seq, tag: delta.tag() });
        }
        let expected = spec.dump(&version);
        let mut first: Option<Document> = None;
        let mut orders = 0;
        permute(&mut deltas.iter().collect(), 0, &mut |order| {
            let mut document = base.clone();
            for delta in order {
                document.apply(delta).expect("honest deltas apply");
            }
            orders += 1;
            match &first {
                Some(first) => assert_equal(&document, first, "another order"),
                None => {
                    assert_eq!(dump(&document), expected, "seed {seed}");
                    first = Some(document);
                }
            }
        });
        most = most.max(orders);
    }
    assert_eq!(most, 720, "some histories end in six deltas");
}

#[test]
fn bytes_2_what_a_history_makes_is_read_and_written_again_as_it_was() {
    for seed in 0..seeds() {
        let history = grown(seed, &Options::default());
        for delta in history.spec().deltas() {
            let decoded = codec::decode_delta(delta.bytes()).expect("what was written is read");
            assert_eq!(decoded, *delta.parts(), "seed {seed}");
            assert_eq!(codec::encode_delta(&decoded), delta.bytes()[..], "seed {seed}");
        }
        let documents = history.documents();
        for document in documents {
            for base in documents.iter().map(Document::version).chain([VersionVector::new()]) {
                let diff = document.diff_since(&base);
                let bytes = codec::encode_diff(&diff);
                let decoded = codec::decode_diff(&bytes).expect("what was written is read");
                assert_eq!(codec::encode_diff(&decoded), bytes, "seed {seed}");
                assert_eq!(
                    (&decoded.adds, &decoded.removes, &decoded.bunches),
                    (&diff.adds, &diff.removes, &diff.bunches)
                );
                assert_eq!((&decoded.heads, &decoded.head, decoded.tier), (&diff.heads, &diff.head, diff.tier));
            }
            let bytes = document.snapshot();
            let decoded = codec::decode_snapshot(&bytes).expect("what was written is read");
            assert_eq!(codec::encode_snapshot(&decoded), bytes, "seed {seed}");
            let loaded = Document::load(&bytes).expect("what was saved loads");
            assert_eq!(loaded.snapshot(), bytes, "seed {seed}: what was loaded is saved as it was");
        }
    }
}

/// Every order of `items`, those included in which a delta comes before what it depends on: it is parked until then.
fn permute<'d>(items: &mut Vec<&'d Delta>, from: usize, each: &mut impl FnMut(&[&'d Delta])) {
    if from == items.len() {
        return each(items);
    }
    for at in from..items.len() {
        items.swap(from, at);
        permute(items, from + 1, each);
        items.swap(from, at);
    }
}

#[test]
fn dot_1_a_copy_that_keeps_its_id_is_found_out_by_its_chain() {
    run(&Options { clones_keep_id: true, diffs: false, truncate: false, ..Options::default() });
}
