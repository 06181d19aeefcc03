//! The simulation, over many seeds. `WEFTLINE_SEEDS` says how many; `WEFTLINE_SEED` replays a single one. Seeds that ever failed are in
//! `seeds.txt` and are run first, always.

use weftline_tests::{Faults, Report, Simulation};

/// How many seeds are run without being asked for more.
const SEEDS: u64 = 60;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn kept_seeds() -> impl Iterator<Item = u64> {
    let lines = include_str!("../seeds.txt").lines().map(str::trim);
    let seeds = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    seeds.map(|line| {
        let number = line.split_whitespace().next().unwrap_or_default();
        number.parse().expect("seeds.txt: a line begins with a seed")
    })
}

/// Each seed is another size and another mix of faults.
fn plan(seed: u64) -> Simulation {
    let faults = Faults::ALL;
    let simulation = Simulation::seeded(seed);
    match seed % 6 {
        0 => simulation.replicas(2).edits(80, 300),
        1 => simulation.replicas(5).edits(120, 150),
        // Many connections, stable machines.
        2 => simulation.replicas(4).edits(100, 200).faults(Faults { cut: 60, ..Faults::NONE }),
        // Machines that die all the time.
        3 => {
            simulation.replicas(3).edits(60, 500).faults(Faults { crash: 40, power_cut: 20, relay_crash: 15, ..faults })
        }
        // Far apart for long: diffs rather than rows.
        4 => simulation.replicas(3).edits(250, 30).faults(Faults { partition: 50, ..faults }),
        _ => simulation,
    }
}

/// A relay that loses what it had again and again, while everybody edits: refills are rare otherwise, and rarer with an edit that is
/// just being written.
fn forgetful_relay(seed: u64) -> Simulation {
    let faults = Faults { relay_restore: 150, relay_crash: 40, cut: 100, store_failure: 0, ..Faults::ALL };
    Simulation::seeded(seed).replicas(4).edits(150, 100).faults(faults)
}

fn run(seeds: impl Iterator<Item = u64>, plan: fn(u64) -> Simulation) -> Report {
    let mut sum = Report::default();
    for seed in seeds {
        println!("seed {seed}");
        let report = plan(seed).run().unwrap_or_else(|failure| panic!("{failure}"));
        sum.edits += report.edits;
        sum.lost += report.lost;
        sum.connections += report.connections;
        sum.processes += report.processes;
        sum.relay_starts += report.relay_starts;
        sum.diffs_down += report.diffs_down;
        sum.diffs_up += report.diffs_up;
        sum.digests_down += report.digests_down;
        sum.digests_up += report.digests_up;
        sum.log_reads += report.log_reads;
        sum.asks += report.asks;
        sum.restores += report.restores;
    }
    println!("{sum:?}");
    sum
}

#[test]
fn everything_converges_after_every_fault() {
    if let Some(seed) = variable("WEFTLINE_SEED") {
        run(std::iter::once(seed), plan);
        return;
    }
    run(kept_seeds(), plan);
    let seeds = variable("WEFTLINE_SEEDS").unwrap_or(SEEDS);
    let sum = run(0..seeds, plan);
    let refills = run(0..seeds / 4, forgetful_relay);
    // A simulation in which nothing goes wrong proves nothing.
    assert!(sum.lost > 0, "edits died before they were durable");
    assert!(sum.digests_down > 0 && refills.digests_up > 0, "the digest tier was used, both ways");
    assert!(sum.diffs_down > 0 && sum.connections > 5 * SEEDS && sum.relay_starts > 2 * SEEDS);
}

#[test]
fn a_seed_replays() {
    let run = || format!("{:?}", plan(1).run());
    assert_eq!(run(), run());
}

#[test]
fn without_faults_nothing_is_lost_and_no_connection_is_repeated() {
    let report = Simulation::seeded(1).replicas(4).edits(80, 50).faults(Faults::NONE).run();
    let report = report.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((report.lost, report.connections, report.diffs_up), (0, 4, 0), "{report:?}");
}
