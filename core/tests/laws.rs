//! The specification and the laws over random histories of all types, and the faults that they must notice.
#![cfg(feature = "testing")]

use weftline::testing::{Fault, History, Options, with_fault};

fn seeds() -> u64 {
    std::env::var("WEFTLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

fn run(options: &Options) {
    for seed in 0..seeds() {
        if let Err(failure) = History::run(seed, options) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.what);
        }
    }
}

#[test]
fn documents_equal_the_specification_by_deltas_alone() {
    run(&Options { diffs: false, truncate: false, disks: false, ..Options::default() });
}

#[test]
fn documents_equal_the_specification_by_deltas_and_diffs_on_every_tier() {
    run(&Options::default());
}

#[test]
fn long_histories_of_many_replicas() {
    for seed in 0..seeds() / 20 {
        let options = Options { steps: 400, replicas: 6, ..Options::default() };
        if let Err(failure) = History::run(seed, &options) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.what);
        }
    }
}

#[test]
fn every_fault_is_noticed() {
    let faults = [
        Fault::RemovalTakesNoDot,
        Fault::NoDependencyCheck,
        Fault::FullKeepsHorizon,
        Fault::VersionTierBelowHorizon,
        Fault::PairsOnlyForKnownDots,
        Fault::NoBaseCheck,
        Fault::NoCascade,
        Fault::PutIntoLowestOnly,
        Fault::CounterMovesTotals,
        Fault::DiffResurrects,
        Fault::RemovalNotLogged,
    ];
    for fault in faults {
        let noticed = (0..20_000).find(|seed| {
            let run = || std::panic::catch_unwind(|| History::run(*seed, &Options::default()));
            !matches!(with_fault(Some(fault), run), Ok(Ok(())))
        });
        let seed = noticed.unwrap_or_else(|| panic!("{fault:?} is not noticed"));
        println!("{fault:?}: noticed by seed {seed}");
    }
}
