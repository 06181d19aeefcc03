//! The simulation, over some seeds; `cargo xtask sim` runs many. `WEFTLINE_SEEDS` says how many; `WEFTLINE_SEED` replays a single one. Seeds
//! that ever failed are in `seeds.txt` and are run first, always.

use weftline::{EditError, Value};
use weftline_simulation::{Faults, Report, Simulation, schema};

/// How many seeds are run without being asked for more.
const SEEDS: u64 = 60;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// The seeds of histories of a kind.
fn kept_seeds(kind: &str) -> impl Iterator<Item = u64> {
    let lines = include_str!("../seeds.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(move |line| {
        let number = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        let number = number.expect("seeds.txt: a line begins with the kind of a history and a seed");
        line.starts_with(kind).then_some(number)
    })
}

/// Few histories, so each is long, and another size and another mix of faults.
fn long(seed: u64) -> Simulation {
    let faults = Faults::ALL;
    let simulation = Simulation::seeded(seed).rooms(1 + (seed % 2) as usize);
    match seed % 6 {
        0 => simulation.replicas(2).edits(80, 300).undo(10),
        1 => simulation.replicas(5).edits(120, 150),
        // Many connections, stable machines.
        2 => simulation.replicas(4).edits(100, 200).faults(Faults { cut: 60, ..Faults::NONE }),
        // Machines that die all the time.
        3 => {
            simulation.replicas(3).edits(60, 500).faults(Faults { crash: 40, power_cut: 20, relay_crash: 15, ..faults })
        }
        // Far apart for long: diffs rather than rows.
        4 => simulation.replicas(3).edits(250, 30).faults(Faults { partition: 50, ..faults }),
        _ => simulation.undo(10),
    }
}

/// A relay that loses what it had again and again, while everybody edits: refills are rare otherwise, and rarer with an edit that is
/// just being written.
fn forgetful_relay(seed: u64) -> Simulation {
    let faults = Faults { relay_restore: 100, relay_crash: 40, cut: 100, store_failure: 0, ..Faults::ALL };
    Simulation::seeded(seed).replicas(4).edits(150, 100).faults(faults)
}

/// Stores that are copied and put back.
fn copies(seed: u64) -> Simulation {
    Simulation::mixed(seed).with_copies()
}

fn run(seeds: impl Iterator<Item = u64>, plan: fn(u64) -> Simulation) -> Report {
    let mut sum = Report::default();
    for seed in seeds {
        println!("seed {seed}");
        sum.add(&plan(seed).run().unwrap_or_else(|failure| panic!("{failure}")));
    }
    println!("{sum:?}");
    sum
}

#[test]
fn everything_converges_after_every_fault() {
    if let Some(seed) = variable("WEFTLINE_SEED") {
        run(std::iter::once(seed), long);
        return;
    }
    run(kept_seeds("long"), long);
    run(kept_seeds("mixed"), Simulation::mixed);
    run(kept_seeds("copies"), copies);
    let seeds = variable("WEFTLINE_SEEDS").unwrap_or(SEEDS);
    let sum = run(0..seeds, long);
    let refills = run(0..seeds / 4, forgetful_relay);
    let mixed = run(0..seeds * 2, Simulation::mixed);
    // A simulation in which nothing goes wrong proves nothing.
    assert!(sum.lost > 0, "edits died before they were durable");
    assert!(sum.digests_down > 0 && refills.digests_up > 0, "the digest tier was used, both ways");
    assert!(sum.diffs_down > 0 && sum.connections > 5 * SEEDS && sum.relay_starts > 2 * SEEDS);
    assert!(mixed.compared > 0 && sum.compactions > 0 && sum.asks > 0);
    for kind in [
        "clock_jump",
        "crash",
        "cut",
        "disk_full",
        "disk_slow",
        "frame_duplicated",
        "frame_lost",
        "frame_misdelivered",
        "frame_reordered",
        "half_open",
        "newer_kind",
        "partition",
        "power_cut",
        "relay_crash",
        "relay_disk_full",
        "relay_disk_slow",
        "relay_restored",
        "relay_write_failed",
        "write_failed",
    ] {
        assert!(mixed.faults.contains_key(kind), "{kind} was never injected");
    }
}

#[test]
fn a_seed_replays() {
    let run = || format!("{:?}", Simulation::mixed(1).run());
    assert_eq!(run(), run());
}

#[test]
fn without_faults_nothing_is_lost_and_no_connection_is_repeated() {
    let simulation = Simulation::seeded(1).replicas(4).edits(80, 50).faults(Faults::NONE);
    let report = simulation.run().unwrap_or_else(|failure| panic!("{failure}"));
    let processes = report.processes;
    assert_eq!((report.lost, report.connections, report.diffs_up), (0, processes, 0), "{report:?}");
}

/// A schema of a user of the library: seats, of which there are three. Whoever looks and then takes one cannot know that nobody else
/// does the same, so the check fails sooner or later; a bounded counter knows.
fn seats(bounded: bool) -> impl weftline_simulation::Schema {
    schema(
        move |tx, rng| {
            if bounded {
                let mut seats = tx.bounded_counter("seats")?;
                return match seats.read().rights() {
                    rights if rights > 0 && rng.chance(50) => seats.subtract(1),
                    _ if seats.read().value() < 3 => seats.add(1),
                    _ => Ok(()),
                };
            }
            let taken = tx.list("taken")?.read().len();
            if taken < 3 { tx.list("taken")?.push(Value::Int(1)).map(drop) } else { Ok::<(), EditError>(()) }
        },
        move |documents| {
            let left = documents.iter().all(|document| document.bounded_counter("seats").value() >= 0);
            let taken = documents.iter().all(|document| document.list("taken").len() <= 3);
            if left && taken { Ok(()) } else { Err(format!("{} seats are taken", documents[0].list("taken").len())) }
        },
    )
}

#[test]
fn a_schema_that_promises_too_much_fails_with_the_few_steps_that_matter() {
    let simulation = |seed| Simulation::seeded(seed).edits(15, 150).faults(Faults { partition: 30, ..Faults::NONE });
    let failed = (0..20).find_map(|seed| simulation(seed).run_on(&seats(false)).err());
    let failure = failed.expect("two replicas that do not see each other take the last seat");
    assert!(failure.what.contains("seats are taken"), "{failure}");
    // Four seats were taken where there are three: no more edits are left, and what kept them apart.
    let edits = failure.steps.iter().filter(|step| step.contains("Edit")).count();
    assert!(edits <= 4 && failure.steps.len() <= 8, "{failure}");
    assert!(failure.steps.len() < failure.drawn && !failure.trace.is_empty(), "{failure}");

    for seed in 0..20 {
        let _ = simulation(seed).run_on(&seats(true)).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
