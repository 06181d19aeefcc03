//! One build of the tests, and what it holds: the programs of the suites, and the list of faults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{cargo, program, read};
use crate::repo;

/// The suites that have to notice: the name of each, its source below the root, and how the names of its tests begin.
const SUITES: &[(&str, &str, &str)] = &[
    ("semantics", "core/tests/semantics/main.rs", ""),
    ("observed", "core/tests/observed.rs", ""),
    ("document", "core/tests/document.rs", ""),
    ("undo", "core/tests/undo/main.rs", ""),
    ("undo_laws", "core/tests/undo_laws.rs", ""),
    ("bounded_counters", "core/tests/bounded_counters.rs", ""),
    ("laws", "core/tests/laws.rs", ""),
    ("lists", "core/tests/lists.rs", ""),
    ("text", "core/tests/text/main.rs", ""),
    ("text_histories", "core/tests/text_histories/main.rs", ""),
    ("attacks", "core/tests/attacks/main.rs", ""),
    ("core", "core/src/lib.rs", ""),
    ("convergence", "tests/tests/convergence.rs", ""),
    ("sync_faults", "tests/tests/sync_faults.rs", ""),
    ("forks", "tests/tests/forks.rs", ""),
    ("identity", "tests/tests/identity/main.rs", ""),
    ("relay", "relay/src/lib.rs", "room::"),
    ("client", "relay/client/src/lib.rs", ""),
];

/// The program that lists the faults.
const LIST: &str = "tests/src/bin/faults.rs";

/// A built suite.
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) prefix: &'static str,
    pub(super) program: PathBuf,
    /// The folder of its package, in which its tests run.
    pub(super) folder: PathBuf,
}

/// A fault that the build can turn on.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    /// The rule it breaks, and how.
    pub(crate) text: String,
    /// Why no test can notice it, if none can.
    pub(crate) equivalent: Option<String>,
}

/// Builds the suites: the packages that they are in, or the whole workspace where that is built anyway.
pub(super) fn build(workspace: bool) -> Result<(Vec<Suite>, Vec<Fault>)> {
    let mut command = cargo();
    command.args(["test", "--no-run", "--message-format", "json-render-diagnostics"]);
    if workspace {
        command.arg("--workspace");
    } else {
        command.args(["--package", "weftline", "--package", "weftline-relay"]);
        command.args(["--package", "weftline-client", "--package", "weftline-tests"]);
    }
    let messages = read(&mut command)?;
    let programs: Vec<Program> = messages.lines().filter_map(Program::of_message).collect();
    let find = |source: &str, is_test: bool| {
        let source = repo::root().join(source);
        let found = programs.iter().find(|program| program.source == source && program.is_test == is_test);
        found.with_context(|| format!("cargo did not build {}", source.display()))
    };
    let suite = |(name, source, prefix): &(&'static str, &str, &'static str)| {
        let found = find(source, true)?;
        let folder = found.manifest.parent().unwrap_or(repo::root()).to_owned();
        Ok(Suite { name, prefix, program: found.program.clone(), folder })
    };
    let suites = SUITES.iter().map(suite).collect::<Result<_>>()?;
    let list = read(&mut program(&find(LIST, false)?.program))?;
    let faults = list.lines().map(fault).collect::<Option<_>>().context("the list of faults cannot be read")?;
    Ok((suites, faults))
}

fn fault(line: &str) -> Option<Fault> {
    let mut fields = line.split('\t').map(str::to_owned);
    let (name, text) = (fields.next()?, fields.next()?);
    Some(Fault { name, text, equivalent: fields.next().filter(|why| !why.is_empty()) })
}

/// A program that cargo says it built.
struct Program {
    source: PathBuf,
    manifest: PathBuf,
    is_test: bool,
    program: PathBuf,
}

impl Program {
    fn of_message(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = |value: &Value| value.as_str().map(|text| Path::new(text).to_owned());
        Some(Self {
            source: path(&message["target"]["src_path"])?,
            manifest: path(&message["manifest_path"])?,
            is_test: message["profile"]["test"].as_bool()?,
            program: path(&message["executable"])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_cargo_names_a_program_its_source_and_its_package() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/r/core/Cargo.toml","target":{"name":"laws",
            "src_path":"/r/core/tests/laws.rs"},"profile":{"test":true},"executable":"/r/target/debug/deps/laws-1"}"#;
        let found = Program::of_message(line).expect("it can be read");
        assert_eq!((found.source, found.is_test), ("/r/core/tests/laws.rs".into(), true));
        assert_eq!(found.program, PathBuf::from("/r/target/debug/deps/laws-1"));
        assert!(Program::of_message(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert!(Program::of_message(&line.replace("\"/r/target/debug/deps/laws-1\"", "null")).is_none());
    }

    #[test]
    fn a_fault_is_read_with_and_without_a_reason() {
        let found = fault("NoCascade\tENT-1: the subtree stays\t").expect("it can be read");
        assert_eq!((found.name.as_str(), found.text.as_str()), ("NoCascade", "ENT-1: the subtree stays"));
        assert_eq!(found.equivalent, None);
        assert_eq!(fault("A\tB: c\twhy").and_then(|fault| fault.equivalent).as_deref(), Some("why"));
        assert!(fault("A").is_none());
    }
}
