//! `cargo xtask sim`: many seeded simulations, each with its own size and mix of faults, on all processors.
//!
//! Its own program does the work (`relay/simulation`); this builds it optimised, without the relay's sockets and database. The last line is
//! one JSON object.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, program, read, run};
use crate::repo;
use crate::tally::Tally;

/// How many seeds `cargo xtask test` runs: a minute on two processors.
const CHECKED: u64 = 10_000;

/// And how many in which stores are copied and put back.
const CHECKED_COPIES: u64 = 3_000;

#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds to run
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed; without --seeds, this one only
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How many to run at once
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Begin no further seed after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Stores are copied and put back as well
    #[arg(long)]
    copies: bool,
    /// Print nothing but the JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn sim(options: &Options) -> Result<ExitCode> {
    let mut sim = built()?;
    let numbers = [("--seeds", options.seeds), ("--seed", options.seed), ("--seconds", options.seconds)];
    for (name, number) in numbers.into_iter().chain([("--jobs", options.jobs.map(|jobs| jobs as u64))]) {
        if let Some(number) = number {
            sim.arg(name).arg(number.to_string());
        }
    }
    if options.copies {
        sim.arg("--copies");
    }
    if options.json {
        sim.arg("--json");
    }
    Ok(if sim.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The step of `cargo xtask test`.
pub(crate) fn check(tally: &mut Tally) -> Result<()> {
    for (seeds, more) in [(CHECKED, &[][..]), (CHECKED_COPIES, &["--copies"])] {
        let last = read(built()?.args(["--json", "--seeds", &seeds.to_string()]).args(more))?;
        println!("{}", last.trim_end());
    }
    tally.passed += 1;
    Ok(())
}

fn built() -> Result<std::process::Command> {
    run(cargo().args(["build", "--release", "--package", "weftline-simulation", "--bins"]))?;
    let name = format!("weftline-simulation{}", std::env::consts::EXE_SUFFIX);
    Ok(program(repo::target().join("release").join(name)))
}
