//! What the cells measured, and how Weftline stands in it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::rows::{Bound, Line, Of};

/// The library that is compared.
pub(crate) const OURS: &str = "weftline";
/// What is no library: no CRDT at all.
pub(crate) const FLOOR: &str = "floor";

/// What one run of a cell printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) peer: String,
    pub(crate) row: String,
    /// Name, unit, value.
    pub(crate) metrics: Vec<(String, String, f64)>,
}

impl Cell {
    /// Reads the line that a cell prints.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line:?}"))?;
        let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
        let metric = |metric: &Value| Some((text(metric, "name")?, text(metric, "unit")?, metric["value"].as_f64()?));
        let read = || {
            Some(Self {
                peer: text(&value, "peer")?,
                row: text(&value, "row")?,
                metrics: value["metrics"].as_array()?.iter().map(metric).collect::<Option<_>>()?,
            })
        };
        read().with_context(|| format!("not what a cell prints: {line}"))
    }
}

/// The best of what was measured, by row and metric and then by library: what disturbs a measurement only adds to what it costs.
#[derive(Debug, Default)]
pub(crate) struct Results {
    values: BTreeMap<(String, String), Measured>,
}

#[derive(Debug, Default)]
struct Measured {
    unit: String,
    by_peer: BTreeMap<String, f64>,
}

/// One line of the outcome.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing<'a> {
    pub(crate) row: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) unit: &'a str,
    pub(crate) ours: Option<f64>,
    /// The best of the libraries that compete, with its name.
    pub(crate) best: Option<(&'a str, f64)>,
    pub(crate) floor: Option<f64>,
    pub(crate) bound: Option<Bound>,
    /// Ours as a part of what the bound speaks of; nothing where that was not measured.
    pub(crate) against_bound: Option<f64>,
}

impl Results {
    pub(crate) fn add(&mut self, cell: &Cell) {
        for (metric, unit, value) in &cell.metrics {
            let measured = self.values.entry((cell.row.clone(), metric.clone())).or_default();
            measured.unit.clone_from(unit);
            let best = measured.by_peer.entry(cell.peer.clone()).or_insert(*value);
            *best = if is_better(unit, *value, *best) { *value } else { *best };
        }
    }

    /// What a library reached.
    pub(crate) fn of(&self, row: &str, metric: &str, peer: &str) -> Option<f64> {
        self.measured(row, metric)?.by_peer.get(peer).copied()
    }

    /// How a line stands; nothing if nobody measured it.
    pub(crate) fn standing(&self, line: &Line) -> Option<Standing<'_>> {
        let measured = self.measured(line.row, line.metric)?;
        let best = measured
            .by_peer
            .iter()
            .filter(|(peer, _)| ![OURS, FLOOR].contains(&peer.as_str()) && !line.without.contains(&peer.as_str()))
            .reduce(|one, other| if is_better(&measured.unit, *other.1, *one.1) { other } else { one })
            .map(|(peer, value)| (peer.as_str(), *value));
        let ours = measured.by_peer.get(OURS).copied();
        let floor = measured.by_peer.get(FLOOR).copied();
        let measure = line.bound.and_then(|bound| match bound.of {
            Of::Best => best.map(|(_, value)| value),
            Of::Peer(peer) => measured.by_peer.get(peer).copied(),
            Of::Floor => floor,
            Of::Itself => Some(1.0),
        });
        let against_bound = ours.zip(measure).map(|(ours, measure)| ratio(ours, measure));
        Some(Standing {
            row: line.row,
            metric: line.metric,
            unit: &measured.unit,
            ours,
            best,
            floor,
            bound: line.bound,
            against_bound,
        })
    }

    fn measured(&self, row: &str, metric: &str) -> Option<&Measured> {
        // The keys are pairs of owned strings.
        self.values.get(&(row.to_owned(), metric.to_owned()))
    }
}

impl Standing<'_> {
    /// Ours as a part of the best other library's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.ours.zip(self.best).map(|(ours, (_, best))| ratio(ours, best))
    }

    /// Whether the bound is met; nothing without a bound or without what it speaks of.
    pub(crate) fn met(&self) -> Option<bool> {
        Some(self.against_bound? <= self.bound?.limit)
    }

    /// One line for machines.
    pub(crate) fn json(&self) -> String {
        json!({
            "row": self.row,
            "metric": self.metric,
            "unit": self.unit,
            "weftline": self.ours,
            "best_peer": self.best.map(|(peer, _)| peer),
            "best": self.best.map(|(_, value)| value),
            "ratio": self.ratio(),
            "floor": self.floor,
        })
        .to_string()
    }
}

/// Everything is a cost, but for how much was done in a second.
fn is_better(unit: &str, one: f64, other: f64) -> bool {
    if unit == "/s" { one > other } else { one < other }
}

fn ratio(ours: f64, theirs: f64) -> f64 {
    // Two zeros are alike: a message that nobody sends.
    if ours == theirs { 1.0 } else { ours / theirs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(peer: &str, value: f64) -> Cell {
        Cell { peer: peer.into(), row: "r".into(), metrics: vec![("time".into(), "ms".into(), value)] }
    }

    fn line(limit: f64, of: Of, without: &'static [&'static str]) -> Line {
        Line { row: "r", metric: "time", bound: Some(Bound { limit, of }), without, headline: None }
    }

    fn results() -> Results {
        let mut results = Results::default();
        for (peer, value) in [("weftline", 3.0), ("weftline", 2.0), ("yrs", 4.0), ("crdts", 1.0), ("floor", 0.5)] {
            results.add(&cell(peer, value));
        }
        results
    }

    #[test]
    fn what_a_cell_prints_is_read() {
        let line = r#"{"peer":"yrs","row":"r","metrics":[{"name":"time","unit":"ms","value":1.5}]}"#;
        assert_eq!(Cell::parse(line).unwrap(), cell("yrs", 1.5));
        assert!(Cell::parse("thread panicked").is_err());
        assert!(Cell::parse(r#"{"peer":"yrs"}"#).is_err());
    }

    #[test]
    fn the_least_of_several_runs_counts_and_the_floor_is_no_competitor() {
        let results = results();
        let line = line(1.0, Of::Best, &[]);
        let standing = results.standing(&line).unwrap();
        assert_eq!((standing.ours, standing.best, standing.floor), (Some(2.0), Some(("crdts", 1.0)), Some(0.5)));
        assert_eq!((standing.ratio(), standing.met()), (Some(2.0), Some(false)));
    }

    #[test]
    fn a_library_that_does_less_does_not_compete() {
        let results = results();
        let line = line(1.0, Of::Best, &["crdts"]);
        let standing = results.standing(&line).unwrap();
        assert_eq!((standing.best, standing.ratio(), standing.met()), (Some(("yrs", 4.0)), Some(0.5), Some(true)));
    }

    #[test]
    fn a_bound_speaks_of_the_floor_of_one_library_or_of_itself() {
        let results = results();
        let met = |limit, of| results.standing(&line(limit, of, &[])).unwrap().met();
        assert_eq!((met(4.0, Of::Floor), met(3.9, Of::Floor)), (Some(true), Some(false)));
        assert_eq!((met(0.5, Of::Peer("yrs")), met(0.4, Of::Peer("yrs"))), (Some(true), Some(false)));
        assert_eq!((met(2.0, Of::Itself), met(1.9, Of::Itself)), (Some(true), Some(false)));
        assert_eq!(met(1.0, Of::Peer("loro")), None);
    }

    #[test]
    fn a_line_for_machines_has_every_field() {
        let results = results();
        let line = line(1.0, Of::Best, &[]);
        let value: Value = serde_json::from_str(&results.standing(&line).unwrap().json()).unwrap();
        let expected = json!({
            "row": "r", "metric": "time", "unit": "ms", "weftline": 2.0, "best_peer": "crdts", "best": 1.0, "ratio": 2.0, "floor": 0.5,
        });
        assert_eq!(value, expected);
    }
}
