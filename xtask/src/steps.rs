//! A run of named steps: says what it does, times each, goes on after a failure, and ends with a summary.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::tally::Tally;

/// One thing that must hold.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Steps without which this one cannot hold: it is not tried when one of them failed in this run. One that was left out on
    /// purpose does not count: each step builds what it needs itself.
    pub(crate) needs: &'static [&'static str],
    /// Counts into the tally the tests it knows of; a step without counted tests counts as one itself.
    pub(crate) run: fn(&mut Tally) -> Result<()>,
}

enum Outcome {
    Passed,
    Failed(String),
    Blocked(&'static str),
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    tally: Tally,
    took: Duration,
}

/// Runs the steps in order and prints the summary; the last line is `N passed, N failed`. True if nothing failed.
pub(crate) fn run(steps: &[&Step]) -> bool {
    let began = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        eprintln!("\n==> {}/{} {}: {}", index + 1, steps.len(), step.name, step.about);
        let row = run_one(step, &rows);
        match &row.outcome {
            Outcome::Passed => eprintln!("<== {} passed in {}", row.name, seconds(row.took)),
            Outcome::Failed(why) => eprintln!("<== {} FAILED after {}: {why}", row.name, seconds(row.took)),
            Outcome::Blocked(by) => eprintln!("<== {} not tried, since {by} failed", row.name),
        }
        rows.push(row);
    }
    summarise(&rows, began.elapsed())
}

fn run_one(step: &Step, before: &[Row]) -> Row {
    let began = Instant::now();
    let mut tally = Tally::default();
    let broken = before.iter().find(|row| step.needs.contains(&row.name) && !matches!(row.outcome, Outcome::Passed));
    let outcome = match broken {
        Some(row) => Outcome::Blocked(row.name),
        None => match (step.run)(&mut tally) {
            Ok(()) if tally.failed == 0 => Outcome::Passed,
            Ok(()) => Outcome::Failed(format!("{} tests failed", tally.failed)),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        },
    };
    match outcome {
        Outcome::Passed => tally.passed = tally.passed.max(1),
        Outcome::Failed(_) | Outcome::Blocked(_) => tally.failed = tally.failed.max(1),
    }
    Row { name: step.name, outcome, tally, took: began.elapsed() }
}

fn summarise(rows: &[Row], took: Duration) -> bool {
    let mut total = Tally::default();
    println!("\n{:<12} {:<8} {:>7} {:>7} {:>9}", "step", "", "passed", "failed", "time");
    for row in rows {
        total.add(row.tally);
        let outcome = match row.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed(_) => "FAILED",
            Outcome::Blocked(_) => "blocked",
        };
        println!(
            "{:<12} {:<8} {:>7} {:>7} {:>9}",
            row.name,
            outcome,
            row.tally.passed,
            row.tally.failed,
            seconds(row.took)
        );
    }
    println!("{:<12} {:<8} {:>7} {:>7} {:>9}", "all", "", total.passed, total.failed, seconds(took));
    for row in rows {
        if let Outcome::Failed(why) = &row.outcome {
            println!("{} failed: {why}", row.name);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str, needs: &'static [&'static str], run: fn(&mut Tally) -> Result<()>) -> Step {
        Step { name, about: "", needs, run }
    }

    #[test]
    fn a_step_that_needs_a_failed_one_is_not_tried_and_counts_as_failed() {
        let build = step("build", &[], |_| anyhow::bail!("no compiler"));
        let test = step("test", &["build"], |_| panic!("must not run"));
        let built = run_one(&build, &[]);
        let tested = run_one(&test, &[built]);
        assert!(matches!(tested.outcome, Outcome::Blocked("build")));
        assert_eq!(tested.tally, Tally { passed: 0, failed: 1 });
        assert!(!run(&[&build, &test]));
    }

    #[test]
    fn a_failure_is_counted_also_when_no_test_was() {
        let compile = step("compile", &[], |tally| {
            tally.passed = 3;
            anyhow::bail!("one crate does not compile")
        });
        assert_eq!(run_one(&compile, &[]).tally, Tally { passed: 3, failed: 1 });
        let quiet = step("quiet", &[], |_| Ok(()));
        assert_eq!(run_one(&quiet, &[]).tally, Tally { passed: 1, failed: 0 });
    }
}
