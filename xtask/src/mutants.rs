//! The tests against the mistakes that they are there to notice: each fault is turned on, and some ordinary test must fail.
//!
//! One build serves all faults, since they are chosen at run time by the variable `WEFTLINE_FAULT`. Every test runs in a process of
//! its own, so that one that hangs or dies is known by name. First all of them run without a fault, and must pass. Then, for each
//! fault, first the test that `core/docs/rules.md` names for it, then all others, the fast ones first, until one fails. A fault that
//! breaks nothing says why; for it, all tests must pass.

mod build;
mod report;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;

use build::{Fault, Suite};
use report::Table;
use trial::{Ending, Test};

#[derive(Args)]
pub(crate) struct Options {
    /// Try this fault alone; may be given several times
    #[arg(long, value_name = "FAULT")]
    only: Vec<String>,
    /// Write the outcome to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table of faults and the tests that kill them into core/docs/rules.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// Leave out what only double-checks: the run without a fault, and the faults that break nothing
    #[arg(long)]
    quick: bool,
}

/// What became of a fault.
pub(crate) enum Outcome {
    /// This test failed, by its name with its suite's.
    Killed { by: String, ending: Ending },
    /// No test failed, as none can.
    Equivalent,
    /// A test failed, though the fault is said to break nothing.
    NotEquivalent { by: String },
    /// No test failed.
    Survived,
}

impl Outcome {
    fn is_right(&self) -> bool {
        matches!(self, Self::Killed { .. } | Self::Equivalent)
    }
}

/// One fault, tried.
pub(crate) struct Row {
    pub(crate) fault: Fault,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

pub(crate) fn mutants(options: &Options) -> Result<ExitCode> {
    let (suites, faults) = build::build(false)?;
    let rows = run(&suites, chosen(faults, options)?, options.quick)?;
    println!("{}", report::table(&rows));
    if let Some(file) = &options.json {
        report::write_json(file, &rows)?;
    }
    if options.write {
        ensure!(!options.quick, "the table is written from a whole run");
        Table::write(&rows)?;
    }
    Ok(if rows.iter().all(|row| row.outcome.is_right()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As a step of the tests, which have passed without a fault before, in the build of the whole workspace. Returns how many faults
/// were killed.
pub(crate) fn check() -> Result<u64> {
    let (suites, faults) = build::build(true)?;
    let rows = run(&suites, faults.into_iter().filter(|fault| fault.equivalent.is_none()).collect(), true)?;
    println!("{}", report::table(&rows));
    let wrong: Vec<&str> =
        rows.iter().filter(|row| !row.outcome.is_right()).map(|row| row.fault.name.as_str()).collect();
    ensure!(wrong.is_empty(), "no test notices {}", wrong.join(", "));
    Ok(rows.len() as u64)
}

fn chosen(faults: Vec<Fault>, options: &Options) -> Result<Vec<Fault>> {
    if let Some(unknown) = options.only.iter().find(|name| faults.iter().all(|fault| fault.name != **name)) {
        bail!("there is no fault {unknown:?}");
    }
    let named = |fault: &Fault| options.only.contains(&fault.name);
    let wanted = |fault: &Fault| {
        if options.only.is_empty() { !options.quick || fault.equivalent.is_none() } else { named(fault) }
    };
    Ok(faults.into_iter().filter(wanted).collect())
}

fn run(suites: &[Suite], faults: Vec<Fault>, quick: bool) -> Result<Vec<Row>> {
    let mut tests = trial::all_tests(suites)?;
    if !quick {
        eprintln!("{} tests without a fault", tests.len());
        let passed = in_parallel(&tests, |test| test.run(None));
        for (test, outcome) in tests.iter_mut().zip(passed) {
            let (ending, took) = outcome?;
            ensure!(ending == Ending::Passed, "{} fails without a fault", test.name());
            test.took = took;
        }
        // Whatever fails fast is tried first.
        tests.sort_by_key(|test| test.took);
    }
    let known = Table::read()?;
    eprintln!("{} faults", faults.len());
    let rows = in_parallel(&faults, |fault| {
        let began = Instant::now();
        let outcome = try_fault(fault, known.killer(&fault.name), &tests)?;
        let row = Row { fault: fault.clone(), outcome, took: began.elapsed() };
        eprintln!("{}", report::line(&row));
        Ok(row)
    });
    rows.into_iter().collect()
}

fn try_fault(fault: &Fault, killer: Option<&str>, tests: &[Test]) -> Result<Outcome> {
    let first = tests.iter().filter(|test| killer == Some(test.name().as_str()));
    let others = tests.iter().filter(|test| killer != Some(test.name().as_str()));
    for test in first.chain(others) {
        let (ending, _) = test.run(Some(&fault.name))?;
        if ending != Ending::Passed {
            let by = test.name();
            return Ok(if fault.equivalent.is_some() {
                Outcome::NotEquivalent { by }
            } else {
                Outcome::Killed { by, ending }
            });
        }
    }
    Ok(if fault.equivalent.is_some() { Outcome::Equivalent } else { Outcome::Survived })
}

/// Does `work` for every item, as many at once as there are cores, and returns what came of each, in their order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, items.get(index)?)))
                {
                    let result = work(item);
                    done.lock().expect("no worker panicked").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panicked");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_parallel_is_done_once_each_and_comes_back_in_order() {
        let items: Vec<u64> = (0..100).collect();
        assert_eq!(in_parallel(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[u64], |item| *item).is_empty());
    }
}
