//! Clocks that are off, and are set. What a process reads is what a driver gives the machines: it follows the clock of its machine forwards,
//! and goes on by itself when that is set back.

use weftline::Timestamp;

/// What one process knows of the time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    last: u64,
    read_at: u64,
}

impl Clock {
    /// The time in a process at `now`, on a machine whose clock is off by so much.
    pub(crate) fn read(&mut self, now: u64, off_ms: i64) -> Timestamp {
        let passed = now.saturating_sub(self.read_at);
        self.last = (self.last + passed).max(now.saturating_add_signed(off_ms));
        self.read_at = now;
        Timestamp(self.last)
    }

    /// When a process that reads `deadline` as the time will have been reached, unless its clock is set before.
    pub(crate) fn when(&self, deadline: Timestamp) -> u64 {
        self.read_at + deadline.0.saturating_sub(self.last)
    }
}
