//! What became of the faults: as a table to read, as JSON lines, and as the table in the rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::trial::Ending;
use super::{Outcome, Row};
use crate::repo;

const BEGIN: &str = "<!-- faults -->\n";
const END: &str = "<!-- end of faults -->";
const EQUIVALENT: &str = "equivalent: ";

/// One fault in a line.
pub(super) fn line(row: &Row) -> String {
    let (rule, _) = row.fault.text.split_once(':').unwrap_or((&row.fault.text, ""));
    format!("{:<24} {:<14} {:>6.1} s  {}", row.fault.name, rule, row.took.as_secs_f64(), outcome(row))
}

fn outcome(row: &Row) -> String {
    match &row.outcome {
        Outcome::Killed { by, ending: Ending::TimedOut } => format!("{by} (ended, it hung)"),
        Outcome::Killed { by, .. } => by.clone(),
        Outcome::Equivalent => format!("{EQUIVALENT}{}", row.fault.equivalent.as_deref().unwrap_or_default()),
        Outcome::NotEquivalent { by } => format!("NOT EQUIVALENT: {by} fails"),
        Outcome::Survived => "SURVIVED: no test fails".into(),
    }
}

/// Every fault, and the sum.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!("\n{:<24} {:<14} {:>8}  killed by\n", "fault", "breaks", "time");
    for row in rows {
        text += &line(row);
        text.push('\n');
    }
    let count = |is: fn(&Outcome) -> bool| rows.iter().filter(|row| is(&row.outcome)).count();
    let killed = count(|outcome| matches!(outcome, Outcome::Killed { .. }));
    let equivalent = count(|outcome| matches!(outcome, Outcome::Equivalent));
    let wrong = count(|outcome| !outcome.is_right());
    write!(text, "{killed} killed, {equivalent} equivalent, {wrong} not noticed").expect("a string takes all");
    text
}

pub(super) fn write_json(file: &Path, rows: &[Row]) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        let (how, by) = match &row.outcome {
            Outcome::Killed { by, ending: Ending::TimedOut } => ("timeout", Some(by)),
            Outcome::Killed { by, .. } => ("killed", Some(by)),
            Outcome::Equivalent => ("equivalent", None),
            Outcome::NotEquivalent { by } => ("not equivalent", Some(by)),
            Outcome::Survived => ("survived", None),
        };
        let value = json!({
            "fault": row.fault.name, "breaks": row.fault.text, "outcome": how, "test": by, "seconds": row.took.as_secs_f64(),
        });
        writeln!(text, "{value}").expect("a string takes all");
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The table in the rules: it names the test that is tried first.
pub(super) struct Table(BTreeMap<String, String>);

impl Table {
    pub(super) fn read() -> Result<Self> {
        let rules = fs::read_to_string(rules())?;
        let (_, table, _) = split(&rules)?;
        Ok(Self::parse(table))
    }

    fn parse(table: &str) -> Self {
        let cell = |text: &str| text.trim().trim_matches('`').to_owned();
        let row = |line: &str| {
            let mut cells = line.trim_matches('|').split(" | ");
            Some((cell(cells.next()?), cell(cells.nth(1)?)))
        };
        Self(table.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect())
    }

    /// The test that is named for a fault.
    pub(super) fn killer(&self, fault: &str) -> Option<&str> {
        self.0.get(fault).map(String::as_str)
    }

    /// Writes what was found into the rules.
    pub(super) fn write(rows: &[Row]) -> Result<()> {
        let file = rules();
        let rules = fs::read_to_string(&file)?;
        let (before, _, after) = split(&rules)?;
        let mut table = String::from("| fault | breaks | killed by |\n|---|---|---|\n");
        for row in rows {
            let killer = match &row.outcome {
                Outcome::Killed { by, .. } => format!("`{by}`"),
                Outcome::Equivalent => outcome(row),
                Outcome::NotEquivalent { .. } | Outcome::Survived => String::new(),
            };
            writeln!(table, "| `{}` | {} | {killer} |", row.fault.name, row.fault.text).expect("a string takes all");
        }
        fs::write(&file, format!("{before}{table}{after}")).with_context(|| format!("cannot write {}", file.display()))
    }
}

fn rules() -> PathBuf {
    repo::root().join("core/docs/rules.md")
}

/// What is before the table, the table, and what is after it, the marks left outside.
fn split(rules: &str) -> Result<(&str, &str, &str)> {
    let (begin, end) = (rules.find(BEGIN), rules.find(END));
    let (begin, end) = begin.map(|begin| begin + BEGIN.len()).zip(end).context("the rules hold no table of faults")?;
    ensure!(begin <= end, "the marks around the table of faults are mixed up");
    Ok((&rules[..begin], &rules[begin..end], &rules[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_rules_is_found_and_read() {
        let text = "# Rules\n<!-- faults -->\n| fault | breaks | killed by |\n|---|---|---|\n\
                    | `A` | DOT-1: x | `laws::a` |\n| `B` | X: y | equivalent: z |\n<!-- end of faults -->\nmore\n";
        let (before, table, after) = split(text).expect("it is there");
        assert!(before.ends_with(BEGIN) && after.starts_with(END));
        let table = Table::parse(table);
        assert_eq!(table.killer("A"), Some("laws::a"));
        assert_eq!(table.killer("C"), None);
        assert!(split("nothing").is_err());
    }
}
