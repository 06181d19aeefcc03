//! How things were over the last minutes, for the status page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weftline::sync::Level;

use crate::metrics::{Metrics, process};

/// How often a sample is taken.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// How many are kept: a quarter of an hour.
const KEPT: usize = 180;

/// Samples, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What had been counted when the last sample was taken.
    last: Option<Totals>,
    samples: VecDeque<Value>,
}

#[derive(Debug)]
struct Totals {
    at: Duration,
    rates: [(&'static str, u64); 7],
    acks: Vec<(f64, u64)>,
    appends: Vec<(f64, u64)>,
}

impl Samples {
    /// Takes one.
    pub(crate) fn take(&self, metrics: &Metrics, documents: usize) {
        let now = Totals {
            at: metrics.uptime(),
            rates: [
                ("deliveries", metrics.deliveries.get()),
                ("rows", metrics.appended_rows.get()),
                ("acks", metrics.acks.get()),
                ("nacks", metrics.nacks.get().sum()),
                ("refused", metrics.refused.get().sum()),
                ("bytes_received", metrics.bytes_received.get()),
                ("bytes_sent", metrics.bytes_sent.get()),
            ],
            acks: acks(metrics),
            appends: metrics.append_seconds.buckets(),
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &state.last {
            let seconds = (now.at - last.at).as_secs_f64().max(0.001);
            let quantile = |now: &[(f64, u64)], last: &[(f64, u64)], share| quantile(now, last, share);
            let mut sample = json!({
                "at": SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
                "connections": metrics.connections.get(),
                "documents": documents,
                "members": metrics.members.get(),
                "behind": metrics.members_behind.get(),
                "resident_bytes": process::usage().resident_bytes,
                "ack_p50": quantile(&now.acks, &last.acks, 0.5),
                "ack_p99": quantile(&now.acks, &last.acks, 0.99),
                "append_p99": quantile(&now.appends, &last.appends, 0.99),
            });
            for ((name, now), (_, last)) in now.rates.iter().zip(&last.rates) {
                sample[*name] = json!(((now - last) as f64 / seconds * 10.0).round() / 10.0);
            }
            state.samples.push_back(sample);
            if state.samples.len() > KEPT {
                state.samples.pop_front();
            }
        }
        state.last = Some(now);
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).samples.iter().cloned().collect()
    }
}

/// Acks of all levels together.
fn acks(metrics: &Metrics) -> Vec<(f64, u64)> {
    let mut all = metrics.ack_seconds[Level::Memory as usize].buckets();
    for level in [Level::Stored, Level::Quorum] {
        for (sum, (_, count)) in all.iter_mut().zip(metrics.ack_seconds[level as usize].buckets()) {
            sum.1 += count;
        }
    }
    all
}

/// The bound in seconds that this share of what came between two looks did not exceed; nothing if nothing came, or if it has no bound.
fn quantile(now: &[(f64, u64)], last: &[(f64, u64)], share: f64) -> Option<f64> {
    let counts = now.iter().zip(last).map(|((bound, now), (_, last))| (*bound, now - last));
    let total: u64 = counts.clone().map(|(_, count)| count).sum();
    let mut seen = 0;
    counts.filter(|_| total > 0).find_map(|(bound, count)| {
        seen += count;
        (seen as f64 >= share * total as f64).then_some(if bound.is_finite() { bound } else { 60.0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_rates_between_two_looks_and_the_oldest_go() {
        let (metrics, samples) = (Metrics::default(), Samples::default());
        samples.take(&metrics, 0);
        assert!(samples.all().is_empty());
        metrics.deliveries.add(1_000_000);
        metrics.ack_seconds[Level::Stored as usize].observe_all(Duration::from_millis(2), 99);
        metrics.ack_seconds[Level::Memory as usize].observe(Duration::from_millis(400));
        samples.take(&metrics, 3);
        let first = samples.all().remove(0);
        assert!(first["deliveries"].as_f64().unwrap() > 0.0);
        assert_eq!((&first["ack_p50"], &first["ack_p99"]), (&json!(0.0025), &json!(0.0025)));
        assert_eq!(first["documents"], 3);
        for _ in 0..2 * KEPT {
            samples.take(&metrics, 0);
        }
        assert_eq!(samples.all().len(), KEPT);
        assert_eq!(samples.all()[0]["ack_p99"], Value::Null);
    }
}
