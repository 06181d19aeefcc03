//! When to try again: exponential, with full jitter.
//!
//! After a relay restarts, everybody reconnects; a delay drawn evenly from the whole interval spreads them best (Brooker,
//! "Exponential Backoff And Jitter", 2015).

use super::entropy::Entropy;

/// The delays before the next attempts to connect.
#[derive(Clone, Debug)]
pub struct Backoff {
    entropy: Entropy,
    attempts: u32,
}

impl Backoff {
    /// The first delay is below this.
    pub const BASE_MS: u64 = 500;
    /// No delay is longer than this.
    pub const CAP_MS: u64 = 30_000;

    /// Draws its jitter from `entropy`.
    pub const fn new(entropy: [u8; 16]) -> Self {
        Self { entropy: Entropy::new(entropy), attempts: 0 }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay_ms(&mut self) -> u64 {
        let ceiling = Self::BASE_MS.checked_shl(self.attempts.min(16)).map_or(Self::CAP_MS, |ms| ms.min(Self::CAP_MS));
        self.attempts = self.attempts.saturating_add(1);
        (self.entropy.next() as u64) % (ceiling + 1)
    }

    /// The link came up: the next delay is a short one again.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_fall_back() {
        let mut backoff = Backoff::new([7; 16]);
        for attempt in 0..40 {
            let ceiling = (Backoff::BASE_MS << attempt.min(16)).min(Backoff::CAP_MS);
            assert!(backoff.next_delay_ms() <= ceiling);
        }
        backoff.reset();
        assert!(backoff.next_delay_ms() <= Backoff::BASE_MS);
    }

    #[test]
    fn a_seed_replays() {
        let (mut a, mut b) = (Backoff::new([1; 16]), Backoff::new([1; 16]));
        assert!((0..10).all(|_| a.next_delay_ms() == b.next_delay_ms()));
    }
}
