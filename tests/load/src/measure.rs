//! Numbers: what a cell measured, and the limits under which it did.

use anyhow::Result;
use hdrhistogram::Histogram;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::host::Kind;
use crate::shapes::Shape;

/// One number.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

/// Collects numbers.
#[derive(Default)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    pub(crate) fn add(&mut self, name: &'static str, unit: &'static str, value: f64) {
        self.0.push(Metric { name, unit, value });
    }
}

/// Latencies, in nanoseconds up to a minute, to three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("a minute to three digits is allowed")
}

pub(crate) fn millis(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1e6
}

/// Lets this process and those that it starts open as many files as the system allows it; says how many.
pub(crate) fn allow_files() -> Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}

/// The line that a cell prints.
pub(crate) fn json(server: Kind, shape: Shape, metrics: &Metrics) -> String {
    let metrics: Vec<_> = metrics
        .0
        .iter()
        .map(|Metric { name, unit, value }| json!({ "name": name, "unit": unit, "value": value }))
        .collect();
    json!({ "peer": server.to_string(), "row": shape.to_string(), "metrics": metrics }).to_string()
}
