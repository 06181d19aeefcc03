//! `cargo xtask`: every task of the repository, each doing its own set-up, so that a fresh machine needs Rust, Node and git alone.
//!
//! A task prints what it runs as a line that can be run by hand. This file only reads the command line; each task has its file.

mod bench;
mod consumer;
mod coverage;
mod crash;
mod demo;
mod fuzz;
mod mutants;
mod process;
mod programs;
mod readme;
mod repo;
mod setup;
mod sim;
mod similar;
mod size;
mod steps;
mod tally;
mod test;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of the Weftline repository", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything, start the relay and the web app, print the address; Ctrl-C stops both
    Demo(demo::Options),
    /// Run every check and test, with the time each step took and a closing summary
    Test(test::Options),
    /// Simulate replicas, a relay, disks and a network with everything that may fail, from many seeds
    Sim(sim::Options),
    /// Turn on one mistake after the other, and see that some test notices each
    Mutants(mutants::Options),
    /// Feed what reads bytes from strangers with bytes that a fuzzer makes up
    Fuzz(fuzz::Options),
    /// Measure which lines and branches of the core the tests reach
    Coverage(coverage::Options),
    /// Kill real clients and a real relay at random moments, and see that nothing they promised is lost
    Crash(crash::Options),
    /// Measure how Weftline compares with other libraries
    Bench(bench::Options),
    /// Build the npm package: bindings, optimised module, TypeScript
    Wasm,
    /// Measure what a minimal app downloads, and fail above the budget
    Size,
    /// Install what the other tasks need and this machine lacks
    Setup,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Demo(options) => demo::demo(&options),
        Task::Test(options) => test::test(&options),
        Task::Sim(options) => sim::sim(&options),
        Task::Mutants(options) => mutants::mutants(&options),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::Coverage(options) => coverage::coverage(&options),
        Task::Crash(options) => crash::crash(&options),
        Task::Bench(options) => bench::bench(&options),
        Task::Wasm => wasm::ensure_package().map(|()| ExitCode::SUCCESS),
        Task::Size => size::size().map(|()| ExitCode::SUCCESS),
        Task::Setup => setup::everything().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
