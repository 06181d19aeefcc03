//! `cargo xtask bench relay`: what the relay costs, beside the least that a server can be and beside the servers that others run.
//!
//! Builds the relay and `tests/load`, fetches the servers that run in Node, and runs every cell, a server under a shape of load, in
//! processes of their own. Cells run in rounds, one server after the other, so that what else the machine does hits all alike; the best of
//! the rounds counts, since what disturbs only adds. A cell that fails or loses something makes the command fail; a bound that is missed is
//! shown and does not.

mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::results::{OURS, Results};
use super::rows::Line;
use super::{cell, table};
use crate::process::{cargo, program, read, run};
use crate::programs::Programs;
use crate::{repo, setup};
use rows::{CEILING, LINES};

/// A cell that runs for longer is stuck: each waits a minute at most for what must happen.
const CELL_TIMEOUT: Duration = Duration::from_secs(300);

/// How often each cell runs.
const ROUNDS: usize = 3;

/// Where a quick run has all servers: enough to see that each still works.
const QUICK_FOR_ALL: &str = "100x10";

#[derive(Args)]
pub(crate) struct Options {
    /// Write one line of JSON for each number to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Everything small and short: shows that all works and nothing is lost, and nothing about speed
    #[arg(long)]
    quick: bool,
    /// Only shapes whose name contains one of these
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    shapes: Vec<String>,
    /// Only these servers, beside the relay
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    servers: Vec<String>,
    /// Run each cell so often
    #[arg(long, value_name = "N", default_value_t = ROUNDS)]
    rounds: usize,
}

/// The built programs.
struct Built {
    load: PathBuf,
    relay: PathBuf,
    servers: PathBuf,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let packages = ["build", "--release", "--package", "weftline-relay", "--package", "weftline-load", "--bins"];
    run(cargo().args(packages))?;
    measure(&Built::in_folder(&repo::target().join("release")), options)
}

/// Every shape at a small size, with what the tests have built.
pub(crate) fn quick() -> Result<()> {
    Programs::build_with_tests()?;
    let options = Options { json: None, quick: true, shapes: Vec::new(), servers: Vec::new(), rounds: 1 };
    measure(&Built::in_folder(&repo::target().join("debug")), &options)
}

fn measure(built: &Built, options: &Options) -> Result<()> {
    let cells = chosen(&built.list()?, options)?;
    if cells.iter().any(|(server, _)| ![OURS, CEILING].contains(&server.as_str())) {
        setup::npm_packages(&built.servers)?;
    }
    let mut failed = Vec::new();
    let results = run_all(built, &cells, options, &mut failed);
    let shown: Vec<&Line> = LINES.iter().collect();
    let servers = table::columns(servers(&cells));
    println!("{}", table::terminal(&shown, &results, &servers, std::io::stdout().is_terminal()));
    let (met, bounds) = table::met(&shown, &results);
    println!("{met} of {bounds} bounds are met{}", if options.quick { " at these sizes" } else { "" });
    if let Some(path) = &options.json {
        let text: String =
            shown.iter().filter_map(|line| results.standing(line)).map(|standing| standing.json() + "\n").collect();
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !failed.is_empty() {
        bail!("{} cells failed:\n{}", failed.len(), failed.join("\n"));
    }
    Ok(())
}

/// In the order in which they are listed.
fn servers(cells: &[(String, String)]) -> Vec<&str> {
    let mut servers: Vec<&str> = Vec::new();
    for (server, _) in cells {
        if !servers.contains(&server.as_str()) {
            servers.push(server);
        }
    }
    servers
}

fn run_all(built: &Built, cells: &[(String, String)], options: &Options, failed: &mut Vec<String>) -> Results {
    let mut results = Results::default();
    let mut shapes: Vec<&str> = Vec::new();
    for (_, shape) in cells {
        if !shapes.contains(&shape.as_str()) {
            shapes.push(shape);
        }
    }
    for shape in shapes {
        let began = Instant::now();
        let mut lost = BTreeSet::new();
        for _ in 0..options.rounds.max(1) {
            for (server, _) in cells
                .iter()
                .filter(|(server, other)| other == shape && !lost.contains(server))
                .cloned()
                .collect::<Vec<_>>()
            {
                match built.run(&server, shape, options.quick) {
                    Ok(measured) => results.add(&measured),
                    Err(error) => {
                        failed.push(format!("{server} {shape}: {error:#}"));
                        lost.insert(server);
                    }
                }
            }
        }
        eprintln!("    {shape}: {:.1} s", began.elapsed().as_secs_f64());
    }
    results
}

fn chosen(cells: &[(String, String)], options: &Options) -> Result<Vec<(String, String)>> {
    for server in &options.servers {
        ensure!(cells.iter().any(|(known, _)| known == server), "there is no server {server}");
    }
    let with = |server: &str, shape: &str| {
        let named = options.servers.is_empty() || options.servers.iter().any(|named| named == server);
        server == OURS || (named && (!options.quick || !options.servers.is_empty() || shape == QUICK_FOR_ALL))
    };
    let wanted =
        |shape: &str| options.shapes.is_empty() || options.shapes.iter().any(|part| shape.contains(part.as_str()));
    let chosen: Vec<_> = cells.iter().filter(|(server, shape)| with(server, shape) && wanted(shape)).cloned().collect();
    ensure!(!chosen.is_empty(), "no shape is named like that");
    Ok(chosen)
}

impl Built {
    fn in_folder(folder: &Path) -> Self {
        let file = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Self { load: file("weftline-load"), relay: file("weftline-relay"), servers: repo::load_servers() }
    }

    /// Every cell there is, as server and shape.
    fn list(&self) -> Result<Vec<(String, String)>> {
        let listed = read(program(&self.load).arg("list"))?;
        let pair = |line: &str| line.split_once(' ').map(|(server, shape)| (server.to_owned(), shape.to_owned()));
        let cells: Vec<_> = listed
            .lines()
            .map(pair)
            .collect::<Option<_>>()
            .with_context(|| format!("not a list of cells: {listed}"))?;
        let listed: BTreeSet<&str> = cells.iter().map(|(_, shape)| shape.as_str()).collect();
        let known: BTreeSet<&str> = LINES.iter().map(|line| line.row).collect();
        ensure!(listed == known, "shapes here and in tests/load differ: {:?}", listed.symmetric_difference(&known));
        Ok(cells)
    }

    /// One run of a cell; every number that the shape is known to have must be there, or none where the machine does not allow it.
    fn run(&self, server: &str, shape: &str, quick: bool) -> Result<super::results::Cell> {
        let mut command = program(&self.load);
        command.args(["run", server, shape, "--relay"]).arg(&self.relay).arg("--servers").arg(&self.servers);
        if quick {
            command.arg("--quick");
        }
        let measured = cell::run(&mut command, CELL_TIMEOUT)?;
        let named: BTreeSet<&str> = measured.metrics.iter().map(|(name, ..)| name.as_str()).collect();
        let known: BTreeSet<&str> = LINES.iter().filter(|line| line.row == shape).map(|line| line.metric).collect();
        ensure!(named.is_empty() || named == known, "measured {named:?} instead of {known:?}");
        let lost = measured.metrics.iter().find(|(name, ..)| name == "lost").map_or(0.0, |(.., lost)| *lost);
        ensure!(server != OURS || lost == 0.0, "lost {lost}");
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(shapes: &[&str], servers: &[&str], quick: bool) -> Options {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Options { json: None, quick, shapes: owned(shapes), servers: owned(servers), rounds: 1 }
    }

    #[test]
    fn the_relay_is_always_there_and_a_quick_run_has_the_others_once() {
        let cells = [("weftline", "1x100"), ("raw", "1x100"), ("weftline", QUICK_FOR_ALL), ("ws", QUICK_FOR_ALL)]
            .map(|(server, shape)| (server.to_owned(), shape.to_owned()));
        let count = |options: &Options| chosen(&cells, options).map(|cells| cells.len());
        assert_eq!(count(&options(&[], &[], false)).unwrap(), 4);
        assert_eq!(count(&options(&["1x"], &[], false)).unwrap(), 2);
        assert_eq!(count(&options(&[], &["ws"], false)).unwrap(), 3);
        assert_eq!(count(&options(&[], &[], true)).unwrap(), 3);
        assert!(count(&options(&["7x7"], &[], false)).is_err());
        assert!(count(&options(&[], &["w"], false)).is_err());
    }
}
