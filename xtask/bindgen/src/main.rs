//! Generates the JavaScript bindings of a module: `xtask-bindgen MODULE.wasm OUT_DIR`.
//!
//! The generator must have exactly the version of the `wasm-bindgen` crate that the module was built with. As a library it is pinned
//! beside that crate in the workspace manifest and by the lock file, so the two cannot drift apart as an installed tool can.
//!
//! A program of its own and not a module of `xtask`, because the generator is by far the heaviest dependency of the tasks, and most
//! of them do not need it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let module = arguments.next().context("the first argument is the module")?;
    let out_dir = arguments.next().context("the second argument is the folder to write to")?;

    Bindgen::new()
        .input_path(&module)
        .web(true)?
        .typescript(true)
        .generate(&out_dir)
        .with_context(|| format!("cannot generate bindings of {}", module.display()))
}
