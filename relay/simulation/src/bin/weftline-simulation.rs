//! Many simulations, on all processors: `weftline-simulation --seeds 2000`. What fails is told as it is found, progress on standard error;
//! the last line of standard output is one JSON object.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use weftline_simulation::{Failure, Report, Simulation};

const USAGE: &str = "\
usage: weftline-simulation [--seeds N] [--seed S] [--jobs N] [--seconds N] [--copies] [--json]
  --seeds N    how many seeds to run (1000), from --seed on
  --seed S     the first seed (0); alone: this one only
  --jobs N     how many to run at once (the number of processors)
  --seconds N  begin no further seed after so many seconds
  --copies     stores are copied and put back as well
  --json       nothing but the JSON object on standard output
";

/// What to run.
#[derive(Clone, Copy, Debug)]
struct Options {
    seeds: u64,
    first: u64,
    jobs: usize,
    seconds: u64,
    copies: bool,
    json: bool,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    done: u64,
    sum: Report,
    failures: Vec<Failure>,
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprint!("{USAGE}");
        return ExitCode::FAILURE;
    };
    // What panics is a failure like any other: it is told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let found = run(&options, began);
    for failure in found.failures.iter().filter(|_| !options.json) {
        println!("{failure}replay: cargo xtask sim --seed {}{}\n", failure.seed, flag(&options));
    }
    println!("{}", json(&options, &found, began.elapsed()));
    if found.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const fn flag(options: &Options) -> &'static str {
    if options.copies { " --copies" } else { "" }
}

fn options() -> Option<Options> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { seeds: 0, first: 0, jobs, seconds: u64::MAX, copies: false, json: false };
    let mut only = false;
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--copies" => options.copies = true,
            "--json" => options.json = true,
            "--seeds" => options.seeds = words.next()?.parse().ok()?,
            "--seed" => {
                options.first = words.next()?.parse().ok()?;
                only = true;
            }
            "--jobs" => options.jobs = words.next()?.parse().ok()?,
            "--seconds" => options.seconds = words.next()?.parse().ok()?,
            _ => return None,
        }
    }
    if options.seeds == 0 {
        options.seeds = if only { 1 } else { 1_000 };
    }
    Some(options)
}

fn run(options: &Options, began: Instant) -> Found {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let found = Mutex::new(Found::default());
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= options.seeds || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = one(options, options.first.wrapping_add(index));
                    let mut found = found.lock().expect("nobody panics while holding it");
                    found.done += 1;
                    match outcome {
                        Ok(report) => found.sum.add(&report),
                        Err(failure) => {
                            eprintln!("{failure}replay: cargo xtask sim --seed {}{}", failure.seed, flag(options));
                            found.failures.push(*failure);
                        }
                    }
                    let late = began.elapsed() >= Duration::from_secs(options.seconds);
                    // Whoever fails everywhere has made the point.
                    if late || found.failures.len() >= 50 {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if found.done.is_multiple_of(500) {
                        let seconds = began.elapsed().as_secs_f64();
                        eprintln!(
                            "{} of {} seeds, {:.1} a second, {} failures",
                            found.done,
                            options.seeds,
                            found.done as f64 / seconds,
                            found.failures.len()
                        );
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().expect("nobody panicked while holding it");
    found.failures.sort_by_key(|failure| failure.seed);
    found
}

fn one(options: &Options, seed: u64) -> Result<Report, Box<Failure>> {
    let simulation = Simulation::mixed(seed);
    if options.copies { simulation.with_copies().run() } else { simulation.run() }
}

fn json(options: &Options, found: &Found, took: Duration) -> String {
    let seeds: Vec<String> = found.failures.iter().map(|failure| failure.seed.to_string()).collect();
    format!(
        "{{\"seeds\":{},\"first_seed\":{},\"copies\":{},\"seconds\":{:.1},{},\"failures\":[{}]}}",
        found.done,
        options.first,
        options.copies,
        took.as_secs_f64(),
        found.sum.json_fields(),
        seeds.join(",")
    )
}
