//! The program as a person uses it, without a relay.

use std::path::Path;
use std::process::{Command, Output};

fn todo(store: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_todo"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TODO_")) {
        command.env_remove(name);
    }
    command.arg("--offline").arg("--store").arg(store).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Marks and titles, as `list --json` tells them.
fn list(store: &Path) -> Vec<String> {
    let text = stdout(&todo(store, &["list", "--json"]));
    let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mark = |todo: &serde_json::Value| if todo["completed"].as_bool().unwrap() { 'x' } else { ' ' };
    array.iter().map(|todo| format!("[{}] {}", mark(todo), todo["title"].as_str().unwrap())).collect()
}

#[test]
fn every_command_does_what_it_says() {
    let store = tempfile::tempdir().unwrap();
    let store = store.path();
    assert_eq!(list(store), Vec::<String>::new());
    let added = todo(store, &["add", "buy", "milk"]);
    assert_eq!(stdout(&added), "added 1: “buy milk”\n");
    assert!(String::from_utf8_lossy(&added.stderr).contains("kept on this computer"));
    todo(store, &["add", "bread"]);
    todo(store, &["add", "tea"]);
    stdout(&todo(store, &["toggle", "2"]));
    stdout(&todo(store, &["edit", "3", "green", "tea"]));
    stdout(&todo(store, &["move", "3", "1"]));
    assert_eq!(list(store), ["[ ] green tea", "[ ] buy milk", "[x] bread"]);
    assert_eq!(stdout(&todo(store, &[])), "todos\n1 [ ] green tea\n2 [ ] buy milk\n3 [x] bread\n2 items left\n");
    assert_eq!(stdout(&todo(store, &["clear-completed"])), "removed 1\n");
    stdout(&todo(store, &["rm", "1"]));
    assert_eq!(list(store), ["[ ] buy milk"]);
    stdout(&todo(store, &["toggle", "1"]));
    stdout(&todo(store, &["toggle", "1"]));
    assert_eq!(list(store), ["[ ] buy milk"]);
}

#[test]
fn a_todo_is_found_by_its_id() {
    let store = tempfile::tempdir().unwrap();
    let store = store.path();
    todo(store, &["add", "milk"]);
    todo(store, &["add", "bread"]);
    let text = stdout(&todo(store, &["list", "--json"]));
    let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    stdout(&todo(store, &["rm", array[0]["id"].as_str().unwrap()]));
    assert_eq!(list(store), ["[ ] bread"]);
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let store = tempfile::tempdir().unwrap();
    let store = store.path();
    todo(store, &["add", "milk"]);
    for (mistake, message) in [
        (&["toggle", "2"][..], "there is no todo 2: the list has 1"),
        (&["rm", "0"], "there is no todo 0"),
        (&["rm", "nonsense"], "there is no todo nonsense"),
        (&["move", "1", "2"], "there is no place 2"),
        (&["add", "  "], "a todo needs a text"),
        (&["add"], "required"),
        (&["--relay", "nowhere", "list"], "not the address of a relay"),
    ] {
        let output = todo(store, mistake);
        assert!(!output.status.success(), "{mistake:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(message), "{mistake:?}: {stderr}");
    }
    assert_eq!(list(store), ["[ ] milk"]);
}

#[test]
fn lists_are_apart_and_stores_are_apart() {
    let (store, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    todo(store.path(), &["add", "milk"]);
    todo(store.path(), &["--list", "work", "add", "letter"]);
    assert_eq!(list(store.path()), ["[ ] milk"]);
    assert!(stdout(&todo(store.path(), &["list", "--list", "work"])).contains("letter"));
    assert_eq!(list(other.path()), Vec::<String>::new());
}
