//! The fuzz targets of `core/fuzz`, for a while each: what was tried, and what was found.
//!
//! A fuzzer needs a nightly compiler and cargo-fuzz, which are installed by whoever wants them; here it is only said what is missing. The
//! core has no `unsafe` code, so no sanitizer is used, which makes it twice as fast; debug assertions are on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::json;

use crate::process::{run, run_status};
use crate::{repo, setup};

/// Byte strings longer than this repeat themselves.
const LONGEST: usize = 4096;

/// No byte string may take longer: it would be a way to hold up a replica.
const SLOWEST_S: u32 = 25;

/// Nor more memory, in MiB.
const MOST_MEMORY: u32 = 2048;

#[derive(Args)]
pub(crate) struct Options {
    /// How long in all, shared out to the targets
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
    /// Run this target alone; may be given several times
    #[arg(long, value_name = "T")]
    target: Vec<String>,
    /// A line of JSON for each target, too
    #[arg(long)]
    json: bool,
}

/// What one target did.
struct Outcome {
    target: String,
    executions: u64,
    /// Byte strings that panicked, took too long or too much.
    findings: Vec<PathBuf>,
}

pub(crate) fn fuzz(options: &Options) -> Result<ExitCode> {
    let all = targets()?;
    for target in &options.target {
        ensure!(all.contains(target), "there is no target {target}; there are {}", all.join(", "));
    }
    let chosen: Vec<&String> =
        all.iter().filter(|target| options.target.is_empty() || options.target.contains(target)).collect();
    ensure_fuzzer()?;
    run(fuzzer("build").args(chosen.first().filter(|_| chosen.len() == 1)))?;
    let seconds = (options.seconds / chosen.len() as u64).max(1);
    let mut outcomes = Vec::new();
    for target in chosen {
        let outcome = fuzz_one(target, seconds)?;
        if options.json {
            let findings = outcome.findings.len();
            println!("{}", json!({ "target": target, "executions": outcome.executions, "findings": findings }));
        }
        for finding in &outcome.findings {
            eprintln!("{target} failed on {}", finding.display());
        }
        outcomes.push(outcome);
    }
    let executions: u64 = outcomes.iter().map(|outcome| outcome.executions).sum();
    let findings: usize = outcomes.iter().map(|outcome| outcome.findings.len()).sum();
    let targets: Vec<&str> = outcomes.iter().map(|outcome| outcome.target.as_str()).collect();
    let seconds = seconds * targets.len() as u64;
    println!("{}", json!({ "targets": targets, "seconds": seconds, "executions": executions, "findings": findings }));
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folder of the fuzz package.
fn folder() -> PathBuf {
    repo::root().join("core/fuzz")
}

/// The targets, which are files.
fn targets() -> Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn ensure_fuzzer() -> Result<()> {
    setup::nightly("a fuzz target")?;
    if !setup::answers(setup::nightly_cargo().args(["fuzz", "--version"])) {
        bail!("cargo-fuzz is missing: `cargo install cargo-fuzz --locked` installs it");
    }
    Ok(())
}

/// `cargo fuzz`, with where it writes apart from what other builds write.
fn fuzzer(command: &str) -> std::process::Command {
    let mut fuzzer = setup::nightly_cargo();
    fuzzer.current_dir(repo::root().join("core"));
    fuzzer.env("CARGO_TARGET_DIR", repo::target().join("fuzz"));
    fuzzer.args(["fuzz", command, "--sanitizer", "none"]);
    fuzzer
}

fn fuzz_one(target: &str, seconds: u64) -> Result<Outcome> {
    let (found, corpus) = (folder().join("found").join(target), folder().join("corpus").join(target));
    let artifacts = folder().join("artifacts").join(target);
    for folder in [&found, &corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let before = files(&artifacts)?;
    let log = repo::target().join("fuzz").join(format!("{target}.log"));
    let mut command = fuzzer("run");
    command.arg(target).args([&found, &corpus]).arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={LONGEST}"),
        format!("-timeout={SLOWEST_S}"),
        format!("-rss_limit_mb={MOST_MEMORY}"),
        "-print_final_stats=1".to_owned(),
    ]);
    command.stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
    let status = run_status(&mut command)?;
    let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let findings: Vec<PathBuf> = files(&artifacts)?.difference(&before).cloned().collect();
    if !status.success() && findings.is_empty() {
        bail!("{target} ended with {status} and left nothing: see {}", log.display());
    }
    Ok(Outcome { target: target.to_owned(), executions: executions(&said), findings })
}

/// What libFuzzer says at its end; where it ended at a finding, the last number that it showed.
fn executions(said: &str) -> u64 {
    let of_line = |line: &str| {
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            return count.trim().parse().ok();
        }
        line.strip_prefix('#')?.split_whitespace().next()?.parse().ok()
    };
    said.lines().filter_map(of_line).max().unwrap_or(0)
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_read_from_what_the_fuzzer_says() {
        let said = "#2\tINITED cov: 5\n#1024\tpulse  cov: 9\nDone 1500 runs\nstat::number_of_executed_units: 1500\n";
        assert_eq!(executions(said), 1500);
        assert_eq!(executions("#2\tINITED cov: 5\n#77\tNEW    cov: 6\n==1== ERROR: libFuzzer: deadly signal\n"), 77);
        assert_eq!(executions(""), 0);
    }
}
