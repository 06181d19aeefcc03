//! Where things are in the tree.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the root of the repository")
}

/// Where cargo writes. Every cargo that a task starts is told this place, so that the two never look in different ones.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The npm package `weftline`.
pub(crate) fn wasm() -> PathBuf {
    root().join("wasm")
}

/// The todo list in the browser.
pub(crate) fn todo_web() -> PathBuf {
    root().join("examples/todo-web")
}

/// The servers in Node that the relay is measured beside.
pub(crate) fn load_servers() -> PathBuf {
    root().join("tests/load/servers")
}

/// The npm tools that tasks call.
pub(crate) fn tools() -> PathBuf {
    root().join("xtask/tools")
}
