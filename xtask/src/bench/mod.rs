//! `cargo xtask bench`: how Weftline compares.
//!
//! `core` builds `tests/peers` once and runs every cell of it, a library and a row, in a process of its own. Short cells run several
//! times, one library after the other each time, so that what else the machine does hits all alike; the least counts. A cell that fails, takes
//! too long or does not converge makes the whole command fail; a bound that is missed is shown and does not.
//!
//! `relay` has its own file.

mod cell;
mod chart;
mod readme;
mod relay;
mod results;
mod rows;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

use crate::process::{cargo, program, read, run, run_tests};
use crate::repo;
use crate::tally::Tally;
use results::{Cell, FLOOR, OURS, Results};
use rows::{LINES, Line, TRACED};

/// The comparison, which is a workspace of its own: whoever builds Weftline does not compile the others.
pub(crate) const MANIFEST: &str = "tests/peers/Cargo.toml";

/// A cell that runs for longer is stopped: a library that needs this for what others do in a second has lost.
const CELL_TIMEOUT: Duration = Duration::from_secs(600);

/// How often a cell runs, at most, by how long it took the first time; one that takes longer than all of these runs once.
const REPETITIONS: [(Duration, usize); 3] =
    [(Duration::from_secs(1), 5), (Duration::from_secs(4), 3), (Duration::from_secs(16), 2)];

/// What sizes are divided by in a quick run.
const QUICK_DIVISOR: usize = 20;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Documents in memory, on the wire and at rest, beside other CRDT libraries
    Core(CoreOptions),
    /// The relay under load, beside other servers
    Relay(relay::Options),
}

#[derive(Args, Default)]
pub(crate) struct CoreOptions {
    /// Write one line of JSON for each number to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A twentieth of the sizes, each cell once: shows that all works, and little about speed
    #[arg(long)]
    quick: bool,
    /// Run no cell more often than this
    #[arg(long, value_name = "N", default_value_t = REPETITIONS[0].1)]
    runs: usize,
    /// Only rows whose name contains one of these
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    rows: Vec<String>,
    /// Only these libraries, beside Weftline and the floor
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    peers: Vec<String>,
    /// A folder of recorded editing: files of the public collection josephg/editing-traces, as they are. Where it has none, rows that
    /// type texts use a synthetic trace
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Write the table and the chart of the README from this run
    #[arg(long, conflicts_with_all = ["quick", "rows", "peers"])]
    readme: bool,
}

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    match &options.what {
        What::Core(options) => core(options)?,
        What::Relay(options) => relay::bench(options)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The comparison's own lints and tests, in the profile that is measured, so that the other libraries are not compiled once more.
pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    let clippy = ["clippy", "--release", "--locked", "--all-targets", "--manifest-path", MANIFEST, "--", "-Dwarnings"];
    run(cargo().args(clippy))?;
    run_tests(cargo().args(["test", "--release", "--locked", "--manifest-path", MANIFEST]), tally)
}

/// Every cell once, at small sizes.
pub(crate) fn quick() -> Result<()> {
    core(&CoreOptions { quick: true, runs: 1, ..CoreOptions::default() })?;
    relay::quick()
}

fn core(options: &CoreOptions) -> Result<()> {
    let binary = build()?;
    let cells = chosen(&list(&binary)?, options)?;
    let mut peers = table::columns(cells.iter().map(|(peer, _)| peer.as_str()).collect::<BTreeSet<_>>());
    peers.retain(|peer| cells.iter().any(|(other, _)| other == peer));

    let mut failed = Vec::new();
    // Cells run elsewhere than this command.
    let traces = options.traces.as_deref().map(std::path::absolute).transpose()?;
    let settings = Settings {
        divisor: if options.quick { QUICK_DIVISOR } else { 1 },
        runs: if options.quick { 1 } else { options.runs },
        traces: traces.as_deref(),
    };
    let synthetic = synthetic(&cells, settings.traces);
    let note = format!("synthetic typing, since {}: {}", unrecorded(settings.traces), synthetic.join(", "));
    if !synthetic.is_empty() {
        eprintln!("    {note}");
    }
    let results = measure(&binary, &cells, &settings, &mut failed);
    let lines: Vec<&Line> = LINES.iter().filter(|line| wanted(line.row, &options.rows)).collect();

    println!("{}", table::terminal(&lines, &results, &peers, std::io::stdout().is_terminal()));
    report_gaps(&cells, &peers);
    if !synthetic.is_empty() {
        println!("{note}");
    }
    let (met, bounds) = table::met(&lines, &results);
    println!("{met} of {bounds} bounds are met{}", if options.quick { " at these sizes" } else { "" });
    if let Some(path) = &options.json {
        let text: String =
            lines.iter().filter_map(|line| results.standing(line)).map(|standing| standing.json() + "\n").collect();
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !failed.is_empty() {
        bail!("{} cells failed:\n{}", failed.len(), failed.join("\n"));
    }
    if options.readme {
        readme::write(&lines, &results, &peers, &synthetic)?;
    }
    Ok(())
}

/// Compiles the comparison.
fn build() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--locked", "--manifest-path", MANIFEST]))?;
    Ok(repo::target().join("release").join(format!("weftline-peers{}", std::env::consts::EXE_SUFFIX)))
}

/// Every cell there is, as library and row.
fn list(binary: &Path) -> Result<Vec<(String, String)>> {
    let listed = read(program(binary).arg("list"))?;
    let pair = |line: &str| line.split_once(' ').map(|(peer, row)| (peer.to_owned(), row.to_owned()));
    let cells: Vec<_> =
        listed.lines().map(pair).collect::<Option<_>>().with_context(|| format!("not a list of cells: {listed}"))?;
    let listed: BTreeSet<&str> = cells.iter().map(|(_, row)| row.as_str()).collect();
    let known: BTreeSet<&str> = LINES.iter().map(|line| line.row).collect();
    ensure!(listed == known, "rows here and in tests/peers differ: {:?}", listed.symmetric_difference(&known));
    Ok(cells)
}

fn chosen(cells: &[(String, String)], options: &CoreOptions) -> Result<Vec<(String, String)>> {
    for peer in &options.peers {
        ensure!(cells.iter().any(|(known, _)| known == peer), "there is no library {peer}");
    }
    let with = |peer: &str| {
        options.peers.is_empty() || [OURS, FLOOR].contains(&peer) || options.peers.iter().any(|named| named == peer)
    };
    let chosen: Vec<_> = cells.iter().filter(|(peer, row)| with(peer) && wanted(row, &options.rows)).cloned().collect();
    ensure!(!chosen.is_empty(), "no row is named like that");
    Ok(chosen)
}

fn wanted(row: &str, filter: &[String]) -> bool {
    filter.is_empty() || filter.iter().any(|part| row.contains(part.as_str()))
}

/// How cells run.
struct Settings<'a> {
    divisor: usize,
    runs: usize,
    traces: Option<&'a Path>,
}

/// The rows that have no recorded trace.
fn synthetic(cells: &[(String, String)], traces: Option<&Path>) -> Vec<&'static str> {
    let lacks = |file: &str| traces.is_none_or(|folder| !folder.join(file).is_file());
    let asked = |row: &str| cells.iter().any(|(_, known)| known == row);
    TRACED.iter().filter(|(row, file)| asked(row) && lacks(file)).map(|(row, _)| *row).collect()
}

/// Why they have none.
fn unrecorded(traces: Option<&Path>) -> String {
    match traces {
        None => "no folder of recorded traces is named with --traces DIR".to_owned(),
        Some(folder) if !folder.is_dir() => format!("there is no folder {}", folder.display()),
        Some(folder) => format!("{} lacks their files", folder.display()),
    }
}

/// Runs every cell, row by row, and within a row library by library, as often as it is short.
fn measure(binary: &Path, cells: &[(String, String)], settings: &Settings<'_>, failed: &mut Vec<String>) -> Results {
    let mut results = Results::default();
    let mut rows: Vec<&str> = Vec::new();
    for (_, row) in cells {
        if !rows.contains(&row.as_str()) {
            rows.push(row);
        }
    }
    for row in rows {
        let began = Instant::now();
        // How often each library runs: known after its first run.
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        let libraries: Vec<&str> =
            cells.iter().filter(|(_, other)| other == row).map(|(peer, _)| peer.as_str()).collect();
        for round in 0..settings.runs.max(1) {
            for peer in &libraries {
                if round > 0 && times.get(peer).is_none_or(|times| *times <= round) {
                    continue;
                }
                let ran = Instant::now();
                match run_cell(binary, peer, row, settings) {
                    Ok(cell) => {
                        results.add(&cell);
                        times.entry(peer).or_insert_with(|| repetitions(ran.elapsed()));
                    }
                    Err(error) => {
                        failed.push(format!("{peer} {row}: {error:#}"));
                        times.insert(peer, 0);
                    }
                }
            }
        }
        eprintln!("    {row}: {} libraries, {:.1} s", libraries.len(), began.elapsed().as_secs_f64());
    }
    results
}

/// How often to run a cell that took this long.
fn repetitions(took: Duration) -> usize {
    REPETITIONS.iter().find(|(limit, _)| took < *limit).map_or(1, |(_, times)| *times)
}

/// One process, and what it measured; every number that the row is known to have must be there.
fn run_cell(binary: &Path, peer: &str, row: &str, settings: &Settings<'_>) -> Result<Cell> {
    let mut command = program(binary);
    command.args(["run", peer, row, &settings.divisor.to_string()]).args(settings.traces);
    let cell = cell::run(&mut command, CELL_TIMEOUT)?;
    let named: BTreeSet<&str> = cell.metrics.iter().map(|(name, ..)| name.as_str()).collect();
    let known: BTreeSet<&str> = LINES.iter().filter(|line| line.row == row).map(|line| line.metric).collect();
    ensure!(named == known, "measured {named:?} instead of {known:?}");
    Ok(cell)
}

/// Which libraries lack which rows.
fn report_gaps(cells: &[(String, String)], peers: &[&str]) {
    let rows: BTreeSet<&str> = cells.iter().map(|(_, row)| row.as_str()).collect();
    for peer in peers {
        let missing: Vec<&str> =
            rows.iter().filter(|row| !cells.iter().any(|(p, r)| p == peer && r == *row)).copied().collect();
        if !missing.is_empty() {
            println!("{peer} has no type for, or does not do rightly: {}", missing.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<(String, String)> {
        [("weftline", "map-set"), ("yrs", "map-set"), ("loro", "set-add"), ("floor", "set-add")]
            .map(|(peer, row)| (peer.to_owned(), row.to_owned()))
            .to_vec()
    }

    #[test]
    fn filters_choose_rows_by_a_part_of_the_name_and_libraries_by_the_whole() {
        let rows = |rows: &[&str], peers: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let (rows, peers) = (owned(rows), owned(peers));
            let options = CoreOptions { rows, peers, ..CoreOptions::default() };
            chosen(&cells(), &options).map(|cells| cells.len())
        };
        assert_eq!(rows(&[], &[]).unwrap(), 4);
        assert_eq!(rows(&["map"], &[]).unwrap(), 2);
        assert_eq!(rows(&[], &["yrs"]).unwrap(), 3, "Weftline and the floor are always there");
        assert!(rows(&["tree"], &[]).is_err());
        assert!(rows(&[], &["yr"]).is_err());
    }

    #[test]
    fn rows_without_a_recorded_trace_are_named_with_the_reason() {
        let cells =
            [("weftline", "text-paper"), ("yrs", "map-set")].map(|(peer, row)| (peer.to_owned(), row.to_owned()));
        for folder in [None, Some(Path::new("no such folder"))] {
            assert_eq!(synthetic(&cells, folder), ["text-paper"]);
            assert!(synthetic(&cells[1..], folder).is_empty());
        }
        assert!(unrecorded(None).contains("--traces"));
        assert_eq!(unrecorded(Some(Path::new("no such folder"))), "there is no folder no such folder");
    }

    #[test]
    fn short_cells_run_more_often_than_long_ones() {
        assert_eq!([0, 3, 10, 60].map(|seconds| repetitions(Duration::from_secs(seconds))), [5, 3, 2, 1]);
    }
}
