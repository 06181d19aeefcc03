//! Lists and texts in whole documents: what users are promised, in random histories and told as stories.
#![cfg(feature = "testing")]

#[path = "../common/mod.rs"]
mod common;

mod archive;
mod draft;
mod incarnations;
mod moves;
mod refused;
mod story;
mod structure;
mod traces;
mod world;

use common::seeds;
use world::{Options, Seen, history};

fn run(options: Options) -> Seen {
    run_some(options, seeds())
}

fn run_some(options: Options, histories: u64) -> Seen {
    let mut all = Seen::default();
    for seed in 0..histories {
        let seen = std::panic::catch_unwind(|| history(seed, options));
        let seen = seen.unwrap_or_else(|_| panic!("seed {seed} of {options:?}"));
        all.parked += seen.parked;
        all.by_version += seen.by_version;
        all.by_digest += seen.by_digest;
        all.in_full += seen.in_full;
        all.undone += seen.undone;
        all.several += seen.several;
        all.cursors += seen.cursors;
        all.values += seen.values;
        all.pairs = (all.pairs.0 + seen.pairs.0, all.pairs.1 + seen.pairs.1);
    }
    println!("{all:?}");
    all
}

const TEXTS: Options = Options { steps: 40, lists: 0, moves: 0, keyed: 0, undo: false };

#[test]
fn c_1_to_3_and_n_1_to_3_hold_in_texts_of_whole_documents() {
    let seen = run(TEXTS);
    assert!(seen.parked > 0 && seen.by_version > 0 && seen.by_digest > 0 && seen.in_full > 0, "{seen:?}");
    assert!(seen.cursors > 0);
    assert!(seen.pairs.0 > 0 && seen.pairs.1 > 0, "there was something to interleave: {seen:?}");
}

#[test]
fn c_1_to_3_and_n_1_to_3_hold_in_lists_and_texts_of_several_incarnations() {
    let seen = run(Options { lists: 40, keyed: 75, ..TEXTS });
    assert!(seen.several > 0, "creations met: {seen:?}");
}

#[test]
fn c_1_to_3_hold_in_lists_whose_elements_move() {
    let seen = run(Options { lists: 90, moves: 40, keyed: 20, ..TEXTS });
    assert!(seen.values > 0);
}

#[test]
fn c_1_to_3_hold_where_edits_are_undone() {
    let seen = run(Options { lists: 40, moves: 20, keyed: 20, undo: true, ..TEXTS });
    assert!(seen.undone > 0);
}

#[test]
fn c_1_to_3_and_n_1_to_3_hold_in_long_histories() {
    let seen = run_some(Options { steps: 400, lists: 15, keyed: 15, ..TEXTS }, seeds().div_ceil(40));
    assert!(seen.values > 1000);
}
