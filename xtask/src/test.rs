//! Every check and test, in steps that can be run alone.
//!
//! Ordered so that what is built once is used again: the compiler's checks, then one build of the whole workspace with its tests,
//! whose programs the browser tests and the demo start; the wasm module in its one shipped profile; the packed package for all that
//! needs JavaScript.

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::process::{cargo, node, npm, run, run_tests};
use crate::programs::Programs;
use crate::steps::{self, Step};
use crate::tally::Tally;
use crate::{bench, crash, demo, mutants, readme, repo, setup, sim, size, wasm};

const STEPS: &[Step] = &[
    Step { name: "format", about: "the formatter has nothing to change", needs: &[], run: format },
    Step { name: "clippy", about: "no warning in any target", needs: &[], run: clippy },
    Step { name: "docs", about: "the documentation builds without a warning", needs: &[], run: docs },
    Step { name: "build", about: "all crates with their tests", needs: &[], run: build },
    Step {
        name: "rust",
        about: "all Rust tests, the examples in the documentation included",
        needs: &["build"],
        run: rust,
    },
    Step { name: "sim", about: "every seed keeps every rule: cargo xtask sim", needs: &[], run: sim::check },
    Step {
        name: "vectors",
        about: "another reader, written from the format's document alone, finds the same in golden and in random bytes",
        needs: &["build"],
        run: vectors,
    },
    Step {
        name: "mutants",
        about: "the tests notice every fault: cargo xtask mutants --quick",
        needs: &["build", "rust"],
        run: notice_faults,
    },
    Step {
        name: "crash",
        about: "killed processes keep their promises: cargo xtask crash --rounds 20",
        needs: &["build"],
        run: crash_check,
    },
    Step { name: "no-std", about: "the core without std, for wasm and for bare metal", needs: &[], run: no_std },
    Step { name: "wasm", about: "the npm package", needs: &[], run: wasm_package },
    Step { name: "size", about: "a minimal app is within its budget", needs: &["wasm"], run: size_budget },
    Step { name: "js", about: "the tests of the npm package", needs: &["build", "wasm"], run: js },
    Step {
        name: "pack",
        about: "the packed package in Node, in Vite and Chromium, for the type checker",
        needs: &["build", "wasm"],
        run: pack,
    },
    Step { name: "browser", about: "the todo list in Chromium", needs: &["build", "wasm"], run: browser },
    Step {
        name: "demo",
        about: "two browsers, one terminal, one list: cargo xtask demo --check",
        needs: &["build", "wasm"],
        run: demo_check,
    },
    Step {
        name: "bench",
        about: "every library and server of the comparisons works and converges: cargo xtask bench core --quick, … relay --quick",
        needs: &[],
        run: bench_quick,
    },
];

fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

#[derive(Args)]
pub(crate) struct Options {
    /// Run this step alone; may be given several times
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    only: Vec<String>,
    /// Leave this step out; may be given several times
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    skip: Vec<String>,
    /// Name the steps and run none
    #[arg(long)]
    list: bool,
}

pub(crate) fn test(options: &Options) -> Result<ExitCode> {
    let named = |names: &[String], step: &Step| names.iter().any(|name| name == step.name);
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| (options.only.is_empty() || named(&options.only, step)) && !named(&options.skip, step))
        .collect();
    if options.list {
        for step in chosen {
            println!("{:<8} {}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(!chosen.is_empty(), "no step is left to run");
    Ok(if steps::run(&chosen) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn format(_: &mut Tally) -> Result<()> {
    setup::rust_component("rustfmt", "fmt")?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["fmt", "--check", "--manifest-path", bench::MANIFEST]))
}

fn clippy(_: &mut Tally) -> Result<()> {
    setup::rust_component("clippy", "clippy")?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"]))
}

fn docs(_: &mut Tally) -> Result<()> {
    run(cargo().env("RUSTDOCFLAGS", "-Dwarnings").args(["doc", "--workspace", "--no-deps"]))
}

fn build(_: &mut Tally) -> Result<()> {
    Programs::build_with_tests()?;
    Ok(())
}

fn rust(tally: &mut Tally) -> Result<()> {
    run_tests(cargo().args(["test", "--workspace", "--no-fail-fast"]), tally)
}

/// How many random histories the other reader is given.
const HISTORIES: &str = "300";

fn vectors(tally: &mut Tally) -> Result<()> {
    setup::node()?;
    let random = repo::target().join("random-vectors.json");
    let program = ["run", "--package", "weftline-tests", "--bin", "vectors", "--", "random", HISTORIES];
    run(cargo().args(program).arg(&random))?;
    let reader = repo::root().join("tests/vectors/reader");
    run_tests(node(&reader).args(["check.mjs", "../v1/story.json", "../v1/protocol.json"]).arg(random), tally)
}

fn notice_faults(tally: &mut Tally) -> Result<()> {
    tally.passed += mutants::check()?;
    Ok(())
}

fn crash_check(_: &mut Tally) -> Result<()> {
    if crash::check(&Programs::build_with_tests()?)? != ExitCode::SUCCESS {
        bail!("something that a killed process had promised is lost, or the replicas differ");
    }
    Ok(())
}

fn no_std(_: &mut Tally) -> Result<()> {
    for target in [setup::WASM_TARGET, setup::BARE_TARGET] {
        setup::rust_target(target)?;
        for features in ["", "json"] {
            let core = ["build", "--package", "weftline", "--no-default-features", "--features", features];
            run(cargo().args(core).args(["--target", target]))?;
        }
    }
    Ok(())
}

fn wasm_package(_: &mut Tally) -> Result<()> {
    wasm::ensure_package()
}

fn size_budget(_: &mut Tally) -> Result<()> {
    size::size()
}

/// The package's own tests pack it, install the archive elsewhere, and run on that, against a real relay and in a real browser.
fn js(tally: &mut Tally) -> Result<()> {
    let chromium = setup::chromium()?;
    let programs = Programs::build_with_tests()?;
    wasm::ensure_package()?;
    let mut tests = npm(&repo::wasm());
    tests.arg("test").env("WEFTLINE_RELAY_BIN", &programs.relay).env("CHROMIUM", chromium).env("NO_COLOR", "1");
    run_tests(&mut tests, tally)
}

/// The archive, as those get it who install it: its shape, its types, the example of the README in Node, a Vite app in Chromium.
fn pack(tally: &mut Tally) -> Result<()> {
    let programs = Programs::build_with_tests()?;
    run(npm(&repo::wasm()).args(["run", "lint:package"]))?;
    readme::check_types()?;
    readme::run_js_example(&programs)?;
    visit_minimal_app(&programs)?;
    tally.passed += 4;
    Ok(())
}

fn visit_minimal_app(programs: &Programs) -> Result<()> {
    let chromium = setup::chromium()?;
    let dist = size::minimal_app()?;
    let (_relay, address) = programs.start_relay("127.0.0.1:0", "memory", |_| ())?;
    run(setup::tool("visit.js")?.arg(dist).arg(address).env("CHROMIUM", chromium))
}

fn browser(tally: &mut Tally) -> Result<()> {
    let chromium = setup::chromium()?;
    let programs = Programs::build_with_tests()?;
    demo::build_web()?;
    run(npm(&repo::todo_web()).args(["run", "typecheck"]))?;
    let mut tests = npm(&repo::todo_web());
    tests.env("CHROMIUM", chromium).env("WEFTLINE_RELAY_BIN", &programs.relay).env("WEB_DIST", demo::web_dist());
    run_tests(tests.args(["run", "test:e2e"]), tally)
}

fn demo_check(_: &mut Tally) -> Result<()> {
    let code = demo::check(&Programs::build_with_tests()?)?;
    if code != ExitCode::SUCCESS {
        bail!("the replicas did not converge, or the script could not run");
    }
    Ok(())
}

/// Sizes are small and times tell nothing here: this keeps the comparison alive, with its own tests.
fn bench_quick(tally: &mut Tally) -> Result<()> {
    bench::test(tally)?;
    bench::quick()
}
