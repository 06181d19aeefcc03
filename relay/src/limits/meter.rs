//! How fast something may go: so much in a second, and so much at once after a pause.
//!
//! One number: until when what was taken so far is paid for. Nothing is refused here. Whoever takes too much is told how long to wait before
//! taking more, and a session that waits does not read its socket: the client is slowed down, and nothing of it is lost. (This is GCRA, the
//! leaky bucket of ATM, with debt.) Several may take from one meter at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// So much in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second, over time.
    pub per_second: u64,
    /// At once, after a pause.
    pub burst: u64,
}

impl Rate {
    /// A rate with so many seconds' worth at once.
    #[must_use]
    pub const fn new(per_second: u64, seconds: u64) -> Self {
        Rate { per_second, burst: per_second.saturating_mul(seconds) }
    }

    /// The lower of both.
    #[must_use]
    pub fn lowest(self, other: Self) -> Self {
        Rate { per_second: self.per_second.min(other.per_second), burst: self.burst.min(other.burst) }
    }

    /// How long so much takes.
    fn nanos(self, amount: u64) -> u64 {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    /// In nanoseconds since the start.
    paid_until: AtomicU64,
}

impl Meter {
    /// A meter that nothing was taken from.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Meter { start: now, paid_until: AtomicU64::new(0) }
    }

    /// Takes so much; gives how long to wait before taking more.
    pub fn take(&self, rate: Rate, amount: u64, now: Instant) -> Duration {
        let now = u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX);
        let takes = rate.nanos(amount);
        let after = |paid_until: u64| paid_until.max(now).saturating_add(takes);
        // Relaxed: it is a number by itself.
        let update = |paid_until| Some(after(paid_until));
        let before = self.paid_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        let paid_until = after(before.unwrap_or_else(|before| before));
        let free = rate.nanos(rate.burst);
        Duration::from_nanos(paid_until.saturating_sub(now.saturating_add(free)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_is_beyond_it_is_waited_for() {
        let start = Instant::now();
        let meter = Meter::new(start);
        let rate = Rate { per_second: 10, burst: 30 };
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(meter.take(rate, 30, at(0)), Duration::ZERO);
        assert_eq!(meter.take(rate, 1, at(0)), Duration::from_millis(100));
        // Who does not wait owes more.
        assert_eq!(meter.take(rate, 5, at(0)), Duration::from_millis(600));
        assert_eq!(meter.take(rate, 0, at(600)), Duration::ZERO);
        assert_eq!(meter.take(rate, 1, at(600)), Duration::from_millis(100));
        // A long pause gives the burst back, and no more than that.
        assert_eq!(meter.take(rate, 30, at(1_000_000)), Duration::ZERO);
        assert_eq!(meter.take(rate, 1, at(1_000_000)), Duration::from_millis(100));
    }

    #[test]
    fn over_time_a_meter_lets_its_rate_pass() {
        let start = Instant::now();
        let meter = Meter::new(start);
        let rate = Rate::new(1_000, 1);
        let (mut now, mut taken) = (start, 0);
        while now < start + Duration::from_secs(100) {
            taken += 7;
            now += meter.take(rate, 7, now);
        }
        assert!((101_000..=101_014).contains(&taken), "{taken}");
    }

    #[test]
    fn amounts_without_measure_overflow_nothing() {
        let start = Instant::now();
        let meter = Meter::new(start);
        let rate = Rate { per_second: 0, burst: 0 };
        assert!(meter.take(rate, u64::MAX, start) > Duration::from_secs(1 << 30));
        assert!(meter.take(rate, u64::MAX, start) > Duration::from_secs(1 << 30));
    }
}
