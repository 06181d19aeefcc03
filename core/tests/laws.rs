//! The specification and the laws of the join over random histories of all types, and the faults that they must notice.
#![cfg(feature = "testing")]

use std::panic::catch_unwind;

use weftline::testing::{Fault, History, Options, Random, dump, with_fault};
use weftline::{Delta, Document, VersionVector};

/// How many histories a test runs; `WEFTLINE_SEEDS` sets another number for a long run.
fn seeds() -> u64 {
    std::env::var("WEFTLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

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
    let by_digest: usize = (0..seeds()).map(|seed| grown(seed, &Options::default()).by_digest()).sum();
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
                assert_equal(&by_diff, &joined_in_full(a, b), "version tier and full tier");
                let by_digest = joined_by_digest(a, b);
                assert_equal(&by_digest, &by_diff, "digest tier");
                if by_digest.version() != a.version() {
                    let seqs =
                        |version: VersionVector| -> Vec<u64> { version.iter().map(|(_, entry)| entry.seq).collect() };
                    assert_eq!(seqs(by_digest.horizon()), seqs(by_digest.version()), "DIFF-4");
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

#[test]
fn every_linear_extension_of_a_few_deltas_agrees() {
    let mut orders = 0;
    for seed in 0..seeds() {
        let options = Options { steps: 12, diffs: false, truncate: false, disks: false, ..Options::default() };
        let history = grown(seed, &options);
        let deltas: Vec<&Delta> = history.spec().deltas().take(6).collect();
        let mut results: Vec<Document> = Vec::new();
        permute(&mut deltas.clone(), 0, &mut |order| {
            let mut document = Document::new();
            for delta in order {
                document.apply(delta).expect("honest deltas apply");
            }
            if let Some(first) = results.first() {
                assert_equal(&document, first, "another order");
            } else {
                results.push(document);
            }
            orders += 1;
        });
    }
    assert!(orders > 1_000, "histories are large enough to have many orders");
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

/// Runs histories with `fault` on until one goes wrong.
fn noticed_by(fault: Fault, options: &Options) -> Option<u64> {
    (0..5_000).find(|seed| {
        let run = || catch_unwind(|| History::run(*seed, options));
        !matches!(with_fault(Some(fault), run), Ok(Ok(())))
    })
}

macro_rules! noticed {
    ($($name:ident: $fault:ident;)*) => {$(
        #[test]
        fn $name() {
            let seed = noticed_by(Fault::$fault, &Options::default());
            assert!(seed.is_some(), "the specification does not notice {:?}", Fault::$fault);
        }
    )*};
}

noticed! {
    dot_2_a_removal_without_a_dot_is_noticed: RemovalTakesNoDot;
    causal_2_a_missing_dependency_check_is_noticed: NoDependencyCheck;
    diff_4_a_full_diff_that_keeps_the_horizon_is_noticed: FullKeepsHorizon;
    diff_4_a_digest_diff_that_keeps_the_horizon_is_noticed: DigestKeepsHorizon;
    diff_5_a_digest_diff_that_tells_only_own_deaths_is_noticed: DigestOnlyOwnDeaths;
    diff_2_the_version_tier_below_the_horizon_is_noticed: VersionTierBelowHorizon;
    diff_3_pairs_only_for_known_dots_are_noticed: PairsOnlyForKnownDots;
    diff_1_a_missing_base_check_is_noticed: NoBaseCheck;
    ent_1_a_missing_cascade_is_noticed: NoCascade;
    rem_2_a_removal_that_is_not_logged_is_noticed: RemovalNotLogged;
    a_diff_that_resurrects_is_noticed: DiffResurrects;
    a_change_that_is_not_told_is_noticed: ChangeNotTold;
    a_max_register_that_reads_the_last_write_is_noticed: ExtremeByStamp;
    marks_that_are_ignored_are_noticed: MarksIgnored;
    esc_2_rights_of_all_are_noticed: RightsOfAll;
    esc_2_rights_that_are_given_and_kept_are_noticed: GivenRightsKept;
    floors_that_add_up_are_noticed: FloorsAdd;
}

#[test]
fn dot_1_a_copy_that_keeps_its_id_is_found_out_by_its_chain() {
    let options = Options { clones_keep_id: true, diffs: false, truncate: false, ..Options::default() };
    let fault = Fault::NoChainCheck;
    assert!(noticed_by(fault, &options).is_some(), "without chains two payloads get one dot unseen");
}
