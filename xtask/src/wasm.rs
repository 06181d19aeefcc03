//! Builds the npm package in `wasm/`: the module, snipped and optimised, then the TypeScript around it.
//!
//! The first ends in `wasm/pkg/`, the other in `wasm/dist/`, by the package's own `npm run build`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::process::{cargo, node, npm, run};
use crate::{repo, setup, similar};

/// Set once the package was built by this process: several steps of one run need it.
static BUILT: AtomicBool = AtomicBool::new(false);

/// Builds the package unless this process already did.
pub(crate) fn ensure_package() -> Result<()> {
    if BUILT.load(Ordering::Relaxed) {
        return Ok(());
    }
    build_module()?;
    setup::npm_packages(&repo::wasm())?;
    run(npm(&repo::wasm()).args(["run", "build"]))?;
    BUILT.store(true, Ordering::Relaxed);
    Ok(())
}

/// `wasm/pkg/`: the optimised module.
fn build_module() -> Result<()> {
    setup::rust_target(setup::WASM_TARGET)?;
    setup::node()?;

    let profile = ["--profile", "wasm", "--target", setup::WASM_TARGET, "--package", "weftline-wasm"];
    run(cargo().arg("build").args(profile))?;
    let compiled = repo::target().join(setup::WASM_TARGET).join("wasm/weftline_wasm.wasm");

    let pkg = repo::wasm().join("pkg");
    // Files of an older build must not survive beside the new one.
    if pkg.exists() {
        fs::remove_dir_all(&pkg).with_context(|| format!("cannot empty {}", pkg.display()))?;
    }
    fs::create_dir_all(&pkg).with_context(|| format!("cannot make {}", pkg.display()))?;
    let module = pkg.join("weftline.wasm");
    let between = pkg.join("between.wasm");
    run(cargo().args(["run", "--quiet", "--package", "xtask-snip", "--"]).arg(&compiled).arg(&module))?;
    optimise(&module, &between, &["--debuginfo"])?;
    let named = similar::named_by_order(&fs::read(&between).context("cannot read the optimised module")?)?;
    fs::write(&between, named).context("cannot name the functions")?;
    optimise(&between, &module, &["--reorder-functions-by-name"])?;
    fs::remove_file(&between).context("cannot remove the module between two steps")?;
    compiles(&module)
}

/// What counts is the size after compression. Inlining makes the module smaller and its compressed form an eighth larger: what was
/// alike is not any more. Common subexpressions are left alone for the same reason. The first kilobyte of memory is the end of the
/// stack, so nothing is ever addressed there, which makes offsets foldable. A further round, which knows what each function touches,
/// finds a little more, and so does trying several ways for locals to share places. Control flow laid out afresh is more uniform
/// than what the compiler wrote. How far an address is aligned is a hint that no engine takes, and noise.
const OPTIMISER: [&str; 15] = [
    "-Oz",
    "--flatten",
    "--rereloop",
    "-Oz",
    "--generate-global-effects",
    "-Oz",
    "--coalesce-locals-learning",
    "--reorder-locals",
    "--vacuum",
    "--dealign",
    "--low-memory-unused",
    "--skip-pass=local-cse",
    "--always-inline-max-function-size=0",
    "--flexible-inline-max-function-size=0",
    "--one-caller-inline-max-function-size=0",
];

/// No feature flags: the optimiser reads from the module what it may use. Told to use all it knows, it writes encodings that no
/// engine accepts yet. On one core it writes the same everywhere, and half a kilobyte less.
fn optimise(module: &Path, optimised: &Path, more: &[&str]) -> Result<()> {
    let mut wasm_opt = setup::tool("node_modules/binaryen/bin/wasm-opt")?;
    wasm_opt.env("BINARYEN_CORES", "1");
    run(wasm_opt.args(OPTIMISER).args(more).arg(module).arg("-o").arg(optimised))
}

/// An optimiser that is ahead of the engines writes modules that do not compile; better to see it here than in a browser.
fn compiles(module: &Path) -> Result<()> {
    let script = "await WebAssembly.compile(await (await import('node:fs/promises')).readFile(process.argv[1]))";
    run(node(repo::root()).args(["--input-type=module", "--eval", script, "--"]).arg(module))
}
