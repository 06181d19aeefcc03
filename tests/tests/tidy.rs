//! The tree is as the documentation draws it: who imports whom, what a file looks like, what is never left behind.
//!
//! Reads text, not syntax. What the compiler or clippy can check is left to them; what is here would otherwise be seen by a
//! reviewer on a good day.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use weftline::testing::Fault;

/// A file longer than this holds more than one concept.
const LONGEST_FILE: usize = 900;

/// Extensions of files that people write.
const TEXT: &[&str] =
    &["css", "html", "js", "json", "md", "mjs", "rs", "sh", "sql", "svg", "toml", "ts", "tsx", "txt", "yml"];

/// Extensions of files that hold code.
const CODE: &[&str] = &["js", "mjs", "rs", "ts", "tsx"];

/// The modules of the core from the bottom to the top, in groups: a module imports from its own group and from those before it. Deltas
/// know their bytes, since those are what a chain tag hashes: hence the codec is beside them and not above.
const CORE_LAYERS: &[&[&str]] = &[
    &["clock", "hash", "replica_id", "value"],
    &["sequence", "store"],
    &["codec", "delta", "diff"],
    &["document"],
    &["types"],
    &["sync"],
    &["testing"],
];

/// What each package may import of ours.
const PACKAGES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("core/fuzz", &["weftline"]),
    ("relay", &["weftline"]),
    ("relay/client", &["weftline"]),
    ("relay/simulation", &["weftline", "weftline-relay"]),
    ("wasm", &["weftline"]),
    ("examples/todo", &["weftline", "weftline-client"]),
    ("tests/load", &["weftline"]),
    ("tests/peers", &["weftline"]),
    ("xtask", &[]),
    ("xtask/snip", &[]),
];

struct File {
    /// Below the root, with slashes.
    path: String,
    text: String,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }

    /// Lines of code with their numbers: without comments and, the tests being last, without the tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        lines
            .take_while(|(_, line)| *line != "mod tests {" && *line != "mod tests;")
            .filter(|(_, line)| !line.starts_with("//"))
    }
}

#[test]
fn every_rust_file_begins_by_saying_what_it_is() {
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.has_extension(&["rs"])) {
        if !file.text.starts_with("//! ") {
            faults.add(&file.path, 1, "has no module head");
        }
    }
    faults.assert_none();
}

#[test]
fn packages_import_only_what_they_may() {
    let mut faults = Faults::default();
    for (package, allowed) in PACKAGES {
        let path = format!("{package}/Cargo.toml");
        let manifest = read(&root().join(&path));
        let mut in_dependencies = false;
        for (index, line) in manifest.lines().enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            }
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if in_dependencies && name.starts_with("weftline") && !allowed.contains(&name) {
                faults.add(&path, index + 1, &format!("{package} must not import {name}"));
            }
        }
    }
    faults.assert_none();
}

#[test]
fn core_promises_no_std_and_no_unsafe() {
    // That the promise is kept is the compiler's to check, on a target without std.
    let head = read(&root().join("core/src/lib.rs"));
    for promise in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(head.lines().any(|line| line == promise), "core/src/lib.rs does not say {promise}");
    }
}

#[test]
fn core_imports_go_one_way() {
    let mut faults = Faults::default();
    for file in core_files() {
        let Some(layer) = layer(module_of(&file.path)) else { continue };
        for (number, line) in file.code() {
            for (_, imported) in line.match_indices("crate::").map(|(at, found)| (at, &line[at + found.len()..])) {
                let name =
                    imported.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
                if self::layer(name).is_some_and(|other| other > layer) {
                    faults.add(
                        &file.path,
                        number,
                        &format!("{} imports {name}, which lies above it", module_of(&file.path)),
                    );
                }
            }
        }
    }
    faults.assert_none();
}

#[test]
fn bytes_1_the_codec_denies_indexing_and_unwrap() {
    let head = read(&root().join("core/src/codec/mod.rs"));
    for lint in ["clippy::indexing_slicing", "clippy::unwrap_used"] {
        assert!(head.contains(lint), "core/src/codec/mod.rs does not deny {lint}");
    }
}

#[test]
fn nothing_is_left_to_do() {
    // Put together here, so that this file does not find itself.
    let left = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[", "ignore"),
        concat!(".", "only("),
        concat!("test", ".skip("),
        concat!("it", ".skip("),
        concat!("describe", ".skip("),
    ];
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.has_extension(CODE)) {
        for (index, line) in file.text.lines().enumerate() {
            for found in left.iter().filter(|left| line.contains(**left)) {
                faults.add(&file.path, index + 1, &format!("holds {found}"));
            }
        }
    }
    faults.assert_none();
}

#[test]
fn text_is_clean() {
    let mut faults = Faults::default();
    for file in &files() {
        for (index, line) in file.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                faults.add(&file.path, index + 1, "ends in white space");
            }
        }
        if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
            faults.add(&file.path, file.text.lines().count(), "does not end in one line break");
        }
    }
    faults.assert_none();
}

#[test]
fn every_rule_that_is_quoted_is_written_down() {
    let rules = read(&root().join("core/docs/rules.md"));
    let written: Vec<&str> = rule_ids(&rules).collect();
    let mut missing = String::new();
    for file in files().iter().filter(|file| file.has_extension(CODE)) {
        for id in rule_ids(&file.text).filter(|id| !written.contains(id)) {
            writeln!(missing, "{}: {id}", file.path).unwrap();
        }
    }
    assert!(missing.is_empty(), "core/docs/rules.md lacks:\n{missing}");
}

/// The ids of rules in a text: a family in capitals, a hyphen, a number.
fn rule_ids(text: &str) -> impl Iterator<Item = &str> {
    const FAMILIES: &[&str] = &[
        "ACK", "BYTES", "CAUSAL", "CLU", "CUR", "DIFF", "DOT", "DUR", "ENT", "ESC", "FAN", "FORK", "ID", "LEASE",
        "REM", "SEQ", "SES", "TAB", "VALID",
    ];
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| {
        let parts = word.split_once('-');
        parts.is_some_and(|(family, number)| FAMILIES.contains(&family) && number.parse::<u32>().is_ok())
    })
}

#[test]
fn every_fault_is_in_the_rules_with_what_notices_it() {
    const AGAIN: &str = "cargo xtask mutants --write";
    let rules = read(&root().join("core/docs/rules.md"));
    let (_, table) = rules.split_once("<!-- faults -->").expect("the table begins");
    let (table, _) = table.split_once("<!-- end of faults -->").expect("the table ends");
    let mut rows = table.lines().filter(|line| line.starts_with("| `"));
    for fault in Fault::ALL {
        let row = rows.next().unwrap_or_else(|| panic!("the table lacks {fault:?}: {AGAIN}"));
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let name = format!("`{}`", fault.name());
        let text = fault.text().trim_end_matches('.');
        assert_eq!(cells[..2], [name.as_str(), text], "{AGAIN}");
        match fault.equivalent() {
            Some(why) => assert_eq!(cells[2..], [format!("equivalent: {why}")], "{AGAIN}"),
            None => assert!(cells[2].len() > 2 && cells[2].starts_with('`'), "nothing notices {fault:?}: {AGAIN}"),
        }
    }
    assert_eq!(rows.next(), None, "a fault that is gone: {AGAIN}");
}

#[test]
fn a_file_holds_one_concept() {
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.has_extension(CODE)) {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            faults.add(&file.path, lines, &format!("is longer than {LONGEST_FILE} lines"));
        }
    }
    faults.assert_none();
}

#[test]
fn the_rust_example_of_the_readme_is_run() {
    let tests = read(&root().join("tests/src/lib.rs"));
    assert!(
        tests.contains("include_str!(\"../../README.md\")"),
        "tests/src/lib.rs does not take the README as a doc test"
    );
    assert!(read(&root().join("README.md")).contains("```rust\n"), "the README holds no Rust example");
}

#[test]
fn lock_files_name_no_mirror() {
    let mut faults = Faults::default();
    for file in files().iter().filter(|file| file.path.ends_with("package-lock.json")) {
        for (index, line) in file.text.lines().enumerate() {
            if line.contains("\"resolved\": \"http") {
                faults.add(&file.path, index + 1, "names a registry host");
            }
        }
    }
    for path in ["Cargo.lock", "core/fuzz/Cargo.lock", "tests/peers/Cargo.lock"] {
        for (index, line) in read(&root().join(path)).lines().enumerate() {
            if line.starts_with("source = ")
                && line != "source = \"registry+https://github.com/rust-lang/crates.io-index\""
            {
                faults.add(path, index + 1, "names a source other than crates.io");
            }
        }
    }
    faults.assert_none();
}

/// All that is wrong, collected so that one run shows everything.
#[derive(Default)]
struct Faults(String);

impl Faults {
    fn add(&mut self, path: &str, line: usize, fault: &str) {
        let _ = writeln!(self.0, "{path}:{line}: {fault}");
    }

    fn assert_none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root of the repository")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Every file that people write, below the root.
fn files() -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                // Made by tools, or not ours.
                if !["target", "node_modules", "dist", "pkg", ".git"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.rsplit_once('.').is_some_and(|(_, extension)| TEXT.contains(&extension)) {
                let below = path.strip_prefix(root()).expect("found below the root");
                found.push(File { path: below.to_string_lossy().replace('\\', "/"), text: read(&path) });
            }
        }
    }
    assert!(found.len() > 20, "only {} files were found", found.len());
    found
}

fn core_files() -> Vec<File> {
    files().into_iter().filter(|file| file.path.starts_with("core/src/") && file.has_extension(&["rs"])).collect()
}

/// `core/src/store/entry.rs` → `store`.
fn module_of(path: &str) -> &str {
    let below = path.trim_start_matches("core/src/");
    below.split(['/', '.']).next().unwrap_or_default()
}

fn layer(module: &str) -> Option<usize> {
    CORE_LAYERS.iter().position(|layer| layer.contains(&module))
}
