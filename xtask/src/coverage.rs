//! Which lines and branches of the core are reached by its own tests, and by the simulation and what else lies across packages.
//!
//! Counting branches needs a nightly compiler with `llvm-tools`, and cargo-llvm-cov; here it is only said what is missing. What is there
//! for tests alone is not counted.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::process::run;
use crate::{repo, setup};

/// Files that are there for tests, or are not of the core, by a regular expression over their paths.
const FOR_TESTS: &str =
    "(core/src/(testing|fault|sequence/(simulation|sorted|arbitrary))|/tests?(/|\\.rs)|/relay/|/rustc/|registry)";

#[derive(Args)]
pub(crate) struct Options {
    /// A line of JSON for each file, too
    #[arg(long)]
    json: bool,
    /// Name the branches that were not taken, by file and line
    #[arg(long)]
    list: bool,
}

pub(crate) fn coverage(options: &Options) -> Result<ExitCode> {
    setup::nightly("counting branches")?;
    if !setup::answers(setup::nightly_cargo().args(["llvm-cov", "--version"])) {
        bail!("cargo-llvm-cov is missing: `cargo install cargo-llvm-cov --locked` installs it");
    }
    let report = repo::target().join("coverage.json");
    let mut command = setup::nightly_cargo();
    command.env("CARGO_TARGET_DIR", repo::target().join("coverage"));
    command.args(["llvm-cov", "--branch", "--package", "weftline", "--package", "weftline-tests", "--all-features"]);
    command.args(["--ignore-filename-regex", FOR_TESTS, "--json", "--output-path"]).arg(&report);
    run(&mut command)?;
    let text = fs::read_to_string(&report).with_context(|| format!("cannot read {}", report.display()))?;
    let report: Value = serde_json::from_str(&text).context("the report is no JSON")?;
    let data = &report["data"][0];
    for file in data["files"].as_array().context("the report has no files")? {
        let path = file["filename"].as_str().unwrap_or_default();
        let path = path.strip_prefix(&format!("{}/", repo::root().display())).unwrap_or(path);
        let summary = &file["summary"];
        if options.json {
            println!(
                "{}",
                json!({ "file": path, "lines": part(summary, "lines"), "branches": part(summary, "branches") })
            );
        }
        if options.list {
            for (line, column, way) in untaken(file) {
                println!("{path}:{line}:{column} never {way}");
            }
        }
    }
    let totals = &data["totals"];
    println!(
        "{}",
        json!({ "lines": part(totals, "lines"), "functions": part(totals, "functions"), "branches": part(totals, "branches") })
    );
    Ok(ExitCode::SUCCESS)
}

fn part(summary: &Value, what: &str) -> Value {
    let (count, covered) = (&summary[what]["count"], &summary[what]["covered"]);
    let percent = summary[what]["percent"].as_f64().unwrap_or(0.0);
    json!({ "count": count, "covered": covered, "percent": (percent * 100.0).round() / 100.0 })
}

/// The conditions that were never true, or never false: line, column, which. One in generic code is listed once for each of its
/// instances; it counts as taken if any of them took it.
fn untaken(file: &Value) -> Vec<(u64, u64, &'static str)> {
    let mut all: Vec<((u64, u64), u64, u64)> = Vec::new();
    for branch in file["branches"].as_array().into_iter().flatten() {
        let number = |nth: usize| branch[nth].as_u64().unwrap_or(0);
        all.push(((number(0), number(1)), number(4), number(5)));
    }
    all.sort_unstable();
    let mut untaken = Vec::new();
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        let (line, column) = same[0].0;
        if same.iter().all(|branch| branch.1 == 0) {
            untaken.push((line, column, "true"));
        }
        if same.iter().all(|branch| branch.2 == 0) {
            untaken.push((line, column, "false"));
        }
    }
    untaken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_taken_if_any_instance_of_it_was() {
        let file = json!({ "branches": [
            [3, 9, 3, 12, 5, 0, 0, 0, 4],
            [3, 9, 3, 12, 0, 1, 0, 0, 4],
            [7, 1, 7, 4, 0, 2, 0, 0, 4],
            [8, 1, 8, 4, 0, 0, 0, 0, 4],
        ] });
        assert_eq!(untaken(&file), [(7, 1, "true"), (8, 1, "true"), (8, 1, "false")]);
    }
}
