//! `cargo xtask crash`: real clients and a real relay, killed at random moments, and nothing they promised may be lost.
//!
//! Native clients, each with a folder store, and the relay with SQLite run as processes on loopback. Clients edit several documents of
//! all types without pause, two of them on one store, and say of each edit when it is stored in their own store and when it is saved at
//! the relay. Meanwhile they and the relay are killed, also while starting or compacting, paused and asked to end; the relay's disk is
//! full for a while; its store is wiped or put back, or a client's device is lost. Then everything comes to rest, and every promised edit must be at every replica,
//! once, and all must show the same.
//!
//! A killed process takes its memory with it, but not what it has written, synced or not: power cuts are the simulation's part.
//!
//! `random` is what is drawn from the seed; `process` is something to be killed; `relay` and `client` are the two; `world` holds them
//! and strikes; `rest` compares; `ledger` knows what was promised; `watch` looks at the clock.

mod client;
mod ledger;
mod process;
mod random;
mod relay;
mod rest;
mod watch;
mod world;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use crate::programs::Programs;
use crate::repo;
use ledger::Counts;
use random::Random;
use rest::Finding;
use watch::Watch;
use world::{Fate, Setting, Tally, World};

/// How many rounds a world lives for.
const ROUNDS_OF_A_WORLD: u64 = 8;

/// After so many failed rounds the rest would show nothing new.
const ENOUGH_FAILURES: u64 = 5;

/// How many of the last events are shown when a round fails.
const EVENTS_SHOWN: usize = 40;

#[derive(Args)]
pub(crate) struct Options {
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u64,
    /// What happens follows from this; a failed round names it. Drawn from the clock if absent
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Begin with this round: a failed one names the round its stores were new in
    #[arg(long, value_name = "R", default_value_t = 0)]
    from: u64,
    /// How many clients, of which the first two share a store
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=64))]
    clients: u16,
    /// Put stores of clients back to an earlier state, and use copies of them beside them
    #[arg(long)]
    copies: bool,
    /// Print a JSON object for each round, too; the last line always is one
    #[arg(long)]
    json: bool,
    /// Build the programs with optimisation
    #[arg(long)]
    release: bool,
}

pub(crate) fn crash(options: &Options) -> Result<ExitCode> {
    eprintln!("==> building the relay and the client");
    let programs = Programs::build_to_crash(options.release)?;
    let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs());
    let seed = options.seed.unwrap_or_else(clock);
    let plan = Plan { seed, from: options.from, rounds: options.rounds, copies: options.copies, json: options.json };
    let totals = run(&programs, &plan, usize::from(options.clients))?;
    println!("{}", totals.json(seed));
    Ok(if totals.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A short run with a fixed seed, and a shorter one in which stores are copied.
pub(crate) fn check(programs: &Programs) -> Result<ExitCode> {
    let mut failures = 0;
    for (rounds, copies) in [(20, false), (8, true)] {
        let plan = Plan { seed: 1, from: 0, rounds, copies, json: false };
        let totals = run(programs, &plan, 4)?;
        println!("{}", totals.json(plan.seed));
        failures += totals.failures;
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to do.
struct Plan {
    seed: u64,
    from: u64,
    rounds: u64,
    copies: bool,
    json: bool,
}

/// What all rounds came to.
#[derive(Default)]
struct Totals {
    rounds: u64,
    clients: usize,
    tally: Tally,
    counts: Counts,
    lost: usize,
    duplicated: usize,
    failures: u64,
    seconds: f64,
}

fn run(programs: &Programs, plan: &Plan, clients: usize) -> Result<Totals> {
    let &Plan { seed, from, rounds, copies, json } = plan;
    let began = Instant::now();
    let setting = Setting { relay: programs.relay.clone(), client: programs.crash_client.clone(), clients };
    let mut totals = Totals { clients, ..Totals::default() };
    let mut world: Option<World> = None;
    eprintln!("==> {rounds} rounds of seed {seed}");
    let mut born = from;
    for round in from..from + rounds {
        let mut random = Random::of_round(seed, round);
        let mut present = match world.take() {
            Some(world) => world,
            None => {
                born = round;
                World::new(&folder(seed, round), &setting, fate(round, copies), &mut random)?
            }
        };
        let last = (round + 1) % ROUNDS_OF_A_WORLD == 0 || round + 1 == from + rounds;
        let before = present.counts();
        totals.seconds = began.elapsed().as_secs_f64();
        let watch = Watch::over([
            format!("round {round} of seed {seed} failed (its stores were new in round {born})"),
            totals.given_up(seed).to_string(),
        ]);
        let finding = present
            .round(&mut random, last)
            .unwrap_or_else(|error| Finding { other: vec![format!("{error:#}")], ..Finding::default() });
        drop(watch);
        totals.rounds += 1;
        totals.lost += finding.lost.len();
        totals.duplicated += finding.duplicated.len();
        let edits = present.counts().made - before.made;
        let failed = !finding.is_empty();
        if json {
            println!("{}", round_json(seed, round, &present, edits, &finding));
        } else {
            let word = if failed { "FAILED" } else { "ok" };
            eprintln!("  round {round} ({:?}): {edits} edits, {word}", present.fate);
        }
        if failed {
            totals.failures += 1;
            eprintln!("round {round} of seed {seed} failed; its stores were new in round {born}:");
            tell(&present, &finding);
        }
        if failed || last {
            totals.add(&present);
            let folder = present.folder.clone();
            // The processes end before the folders go.
            drop(present);
            if !failed {
                fs::remove_dir_all(folder)?;
            }
        } else {
            world = Some(present);
        }
        if totals.failures >= ENOUGH_FAILURES {
            eprintln!("==> {ENOUGH_FAILURES} rounds have failed; no more are tried");
            break;
        }
    }
    totals.seconds = began.elapsed().as_secs_f64();
    Ok(totals)
}

/// Which fate a world has that begins with this round: each in its turn.
fn fate(round: u64, copies: bool) -> Fate {
    match round / ROUNDS_OF_A_WORLD % 3 {
        _ if copies => Fate::Copies,
        0 => Fate::RelayLoses,
        1 => Fate::DevicesLost,
        _ => Fate::Plain,
    }
}

fn folder(seed: u64, round: u64) -> PathBuf {
    repo::target().join("crash").join(format!("{seed}-{round}"))
}

fn tell(world: &World, finding: &Finding) {
    finding.lines().iter().for_each(|line| eprintln!("  {line}"));
    eprintln!("what happened before:");
    let skipped = world.events.len().saturating_sub(EVENTS_SHOWN);
    world.events.iter().skip(skipped).for_each(|event| eprintln!("  {event}"));
    eprintln!("the stores, and what the processes complained about: {}", world.folder.display());
}

fn round_json(seed: u64, round: u64, world: &World, edits: u64, finding: &Finding) -> Value {
    let fate = format!("{:?}", world.fate);
    json!({ "seed": seed, "round": round, "fate": fate, "edits": edits, "wrong": finding.lines() })
}

impl Totals {
    fn add(&mut self, world: &World) {
        for (kind, count) in &world.tally {
            *self.tally.entry(kind).or_default() += count;
        }
        let Counts { made, stored, saved } = world.counts();
        self.counts.made += made;
        self.counts.stored += stored;
        self.counts.saved += saved;
    }

    /// What is said if the next round never ends.
    fn given_up(&self, seed: u64) -> Value {
        let mut given_up = self.json(seed);
        given_up["rounds"] = json!(self.rounds + 1);
        given_up["failures"] = json!(self.failures + 1);
        given_up
    }

    fn json(&self, seed: u64) -> Value {
        let count = |name| self.tally.get(name).copied().unwrap_or_default();
        let mut kills = Tally::new();
        for (kind, count) in self.tally.iter().filter(|(kind, _)| kind.contains("_kill")) {
            kills.insert(kind, *count);
        }
        json!({
            "command": "crash", "seed": seed, "rounds": self.rounds, "clients": self.clients, "kills": kills,
            "pauses": count("client_pause") + count("relay_pause"),
            "client_quits": count("client_quit"), "relay_drains": count("relay_drain"),
            "edits": self.counts.made, "stored": self.counts.stored, "acknowledged": self.counts.saved,
            "lost": self.lost, "duplicated": self.duplicated, "failures": self.failures,
            "relay_full": count("relay_full"), "relay_wipes": count("relay_wipe"), "relay_rollbacks": count("relay_rollback"),
            "devices_lost": count("device_lost"),
            "store_rollbacks": count("store_rollback"), "store_clones": count("store_clone"), "seconds": (self.seconds * 10.0).round() / 10.0,
        })
    }
}
