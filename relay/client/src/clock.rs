//! Time for the core: milliseconds since 1970 that never go back and never stand still.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use weftline::Timestamp;

/// Follows the system's clock forwards (a laptop that slept, a clock that was set right) and a monotonic clock when
/// the system's goes back, so that heartbeats are never held up by somebody who sets the time.
#[derive(Debug)]
pub(crate) struct Clock {
    last_ms: u64,
    read_at: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { last_ms: wall_ms(), read_at: Instant::now() }
    }

    /// The present.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.advance(wall_ms(), Instant::now())
    }

    fn advance(&mut self, wall_ms: u64, instant: Instant) -> Timestamp {
        let elapsed_ms = u64::try_from(instant.saturating_duration_since(self.read_at).as_millis()).unwrap_or(u64::MAX);
        let monotonic_ms = self.last_ms.saturating_add(elapsed_ms);
        // The base moves by whole milliseconds only, or frequent readings would lose the fractions between them.
        if wall_ms > monotonic_ms {
            self.last_ms = wall_ms;
            self.read_at = instant;
        } else if elapsed_ms > 0 {
            self.last_ms = monotonic_ms;
            self.read_at += std::time::Duration::from_millis(elapsed_ms);
        }
        Timestamp(self.last_ms)
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_follows_the_wall_forwards_and_goes_on_when_the_wall_goes_back() {
        let start = Instant::now();
        let mut clock = Clock { last_ms: 1_000, read_at: start };
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(clock.advance(1_010, at(10)), Timestamp(1_010));
        assert_eq!(clock.advance(500, at(20)), Timestamp(1_020), "set back: the monotonic clock leads");
        assert_eq!(clock.advance(9_000, at(30)), Timestamp(9_000), "slept: the wall leads");
        assert_eq!(clock.advance(9_000, at(30)), Timestamp(9_000));
    }

    #[test]
    fn frequent_readings_lose_no_time() {
        let start = Instant::now();
        let mut clock = Clock { last_ms: 1_000, read_at: start };
        for step in 1..=1_000 {
            clock.advance(0, start + Duration::from_micros(step * 300));
        }
        assert_eq!(clock.last_ms, 1_300);
    }
}
