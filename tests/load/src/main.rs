//! `weftline-load`: puts load on a relay, or on one of the servers beside it, and says what that cost.
//!
//! A *cell* is one server under one *shape* of load. It runs the server as a process of its own, which it pins to one core and itself to
//! another, and prints one line of JSON. `cargo xtask bench relay` runs the cells and shows the table.
//!
//! What is measured is the server, so everything here is as cheap as can be: one thread, sockets without a library between them and the
//! kernel ([`socket`]), and readers that look for what the writers marked ([`stamp`]) and decode nothing. A few readers are real replicas, which
//! check at the end that they have what the writers have; and every reader counts, so that nothing is lost unnoticed.

mod client;
mod host;
mod measure;
mod protocol;
mod raw;
mod shapes;
mod socket;
mod stamp;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use host::Kind;
use shapes::Shape;

#[derive(Parser)]
#[command(name = "weftline-load", about = "Load for relays")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Name every cell, as server and shape
    List,
    /// Run one cell and print what was measured
    Run(Cell),
    /// Be the least that a websocket server can be: whatever comes goes to everybody else on the same path
    Serve,
}

/// One server under one shape of load.
#[derive(clap::Args)]
struct Cell {
    server: Kind,
    shape: Shape,
    /// The relay's program
    #[arg(long, value_name = "FILE")]
    relay: PathBuf,
    /// The folder of the servers that run in Node
    #[arg(long, value_name = "DIR")]
    servers: PathBuf,
    /// Everything small and short: shows that it works
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::List => {
            for (server, shape) in shapes::cells() {
                println!("{server} {shape}");
            }
            Ok(())
        }
        Task::Run(cell) => run(&cell),
        Task::Serve => raw::serve(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cell: &Cell) -> Result<()> {
    let files = measure::allow_files()?;
    let host = host::Host { relay: cell.relay.clone(), servers: cell.servers.clone(), files };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let metrics = runtime.block_on(tasks.run_until(shapes::run(&host, cell.server, cell.shape, cell.quick)))?;
    println!("{}", measure::json(cell.server, cell.shape, &metrics));
    Ok(())
}
