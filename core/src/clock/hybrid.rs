//! The hybrid logical clock: wall time that never goes back, with a counter for what happens within a millisecond.
//!
//! Kulkarni, Demirbas and others, "Logical Physical Clocks" (2014), section 3. Here it only breaks ties between writes that
//! did not see each other; an observed write is always overwritten, whatever the clocks say. So a clock that runs ahead can
//! win ties but never blocks anybody, and no stamp is ever refused. A stamp more than a minute ahead is not merged into
//! one's own clock, so that one wrong clock does not spread.

use crate::fault::{self, Fault};

/// Milliseconds since 1970, as the caller's clock gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This time plus `ms` milliseconds.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// A stamp: 48 bits of milliseconds, 16 bits of counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The milliseconds part.
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    const fn at(millis: u64) -> Self {
        Self(millis << 16)
    }
}

/// A replica's own hybrid clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// A stamp this far ahead of one's own time is not merged into one's own clock.
    pub const MAX_DRIFT_MS: u64 = 60_000;

    const MAX_MILLIS: u64 = (1 << 48) - 1;

    /// The next stamp: later than every stamp given or merged before, and not before `now`.
    pub fn tick(&mut self, now: Timestamp) -> Hlc {
        let wall = Hlc::at(now.0.min(Self::MAX_MILLIS));
        // The counter overflows into the milliseconds, which keeps the order.
        self.last = wall.max(Hlc(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of a stamp seen at `now`, unless it is too far ahead.
    pub fn observe(&mut self, seen: Hlc, now: Timestamp) {
        let is_near = seen.millis() <= now.0.saturating_add(Self::MAX_DRIFT_MS);
        if is_near || fault::active(Fault::FarStampsSpread) {
            self.last = self.last.max(seen);
        }
    }

    /// Takes note of a stamp of one's own history, however far ahead it is.
    pub fn resume(&mut self, own: Hlc) {
        self.last = self.last.max(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_only_grow() {
        let mut clock = HlcClock::default();
        let first = clock.tick(Timestamp(1_000));
        let second = clock.tick(Timestamp(900));
        assert!(second > first);
        clock.observe(Hlc::at(2_000), Timestamp(1_000));
        assert!(clock.tick(Timestamp(1_000)) > Hlc::at(2_000));
    }

    #[test]
    fn a_clock_far_ahead_does_not_spread() {
        let mut clock = HlcClock::default();
        clock.observe(Hlc::at(1_000_000_000), Timestamp(1_000));
        assert!(clock.tick(Timestamp(1_000)) < Hlc::at(2_000));
    }
}
