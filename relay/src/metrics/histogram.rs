//! How long things took, as counts between fixed bounds.
//!
//! The library's own histogram takes a lock for each observation; this one adds to two numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds: from a disk that answers from its cache to one that hangs.
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// Durations, counted by how long they are.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last one has no bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Something took so long.
    pub fn observe(&self, took: Duration) {
        self.observe_all(took, 1);
    }

    /// So many things took so long, together.
    pub fn observe_all(&self, took: Duration, count: u64) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        self.counts[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum_us.fetch_add(took.saturating_mul(count), Ordering::Relaxed);
    }

    /// The bounds in seconds, each with how many are above the one before it.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|us| Duration::from_micros(*us).as_secs_f64()).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }

    /// The sum of all, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_long_as_a_bound_is_below_it_and_nothing_is_lost() {
        let histogram = Histogram::default();
        histogram.observe(Duration::ZERO);
        histogram.observe(Duration::from_micros(100));
        histogram.observe_all(Duration::from_micros(101), 3);
        histogram.observe(Duration::from_secs(3600));
        let buckets = histogram.buckets();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 6);
        assert_eq!(buckets[..2], [(0.0001, 2), (0.00025, 3)]);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1)));
    }
}
