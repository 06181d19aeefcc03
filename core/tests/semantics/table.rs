//! The table says what the tests show: every row names tests that exist, and every test is in a row.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of this folder that hold no rows.
const OTHERS: &[&str] = &["main.rs", "pair.rs", "place.rs", "table.rs"];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The rows below the head: what happens at the same time, and the tests that show what becomes of it.
fn rows(markdown: &str) -> Vec<(String, Vec<String>)> {
    let below = markdown.lines().skip_while(|line| !line.starts_with("| at the same time |")).skip(2);
    below.take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &str) -> (String, Vec<String>) {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [case, _, tests] = cells[..] else { panic!("a row has three cells: {line}") };
    (case.to_string(), tests.split('`').skip(1).step_by(2).map(String::from).collect())
}

/// The names of the functions under `#[test]`.
fn tests(source: &str) -> Vec<String> {
    let below = source.split("#[test]\n").skip(1);
    let name =
        |text: &str| text.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name.into());
    below.filter_map(name).collect()
}

#[test]
fn every_row_has_its_tests_and_every_test_its_row() {
    let mut files: Vec<PathBuf> = fs::read_dir(package().join("tests/semantics"))
        .expect("this file is in it")
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| !OTHERS.contains(&path.file_name().and_then(|name| name.to_str()).unwrap_or_default()))
        .collect();
    files.sort();
    let mut known = BTreeSet::new();
    for test in files.iter().flat_map(|path| tests(&read(path))) {
        assert!(known.insert(test.clone()), "two tests are called {test}");
    }
    let rows = rows(&read(&package().join("README.md")));
    assert!(rows.len() > 10, "the table of core/README.md was not found");

    let mut named = BTreeSet::new();
    for (case, tests) in &rows {
        assert!(!tests.is_empty(), "the row «{case}» names no test");
        for test in tests {
            assert!(known.contains(test), "the row «{case}» names {test}, which is no test of core/tests/semantics");
            named.insert(test.clone());
        }
    }
    let unnamed: Vec<_> = known.difference(&named).collect();
    assert!(unnamed.is_empty(), "these are in no row of the table in core/README.md: {unnamed:#?}");
}

#[test]
fn a_row_and_a_test_are_found() {
    let markdown =
        "text\n| at the same time | result | tests |\n|---|---|---|\n| a ∥ b | `both` | `one` `two` |\n\ntext |";
    assert_eq!(rows(markdown), [("a ∥ b".to_string(), vec!["one".to_string(), "two".to_string()])]);
    assert_eq!(tests("fn helper() {}\n#[test]\nfn one() {}\n\n#[test]\npub(crate) fn two() {}"), ["one", "two"]);
}
