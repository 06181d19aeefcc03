//! Seeded randomness: everything a simulation does is drawn from one of these, so that a seed replays.
//!
//! Each machine, disk and connection has a stream of its own: what happens at one of them does not change what is drawn for another, so that
//! a history can be thinned without becoming another one.

use weftline::testing::Random;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Rng(Random);

impl Rng {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Random::seeded(seed))
    }

    /// The stream of something that has this number among its like.
    pub(crate) fn of(seed: u64, like: u64, number: u64) -> Self {
        let mut own = Self::new(seed ^ like.rotate_left(40) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Seeds that differ by little are apart after one step.
        Self::new(own.bits())
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.below(end) }
    }

    /// A number from `first` to `last`.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.bits() % (last - first + 1)
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    /// One of these, of which there must be one.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        self.0.pick(items)
    }

    /// The same stream, as the core's own tests take it.
    pub fn random(&mut self) -> &mut Random {
        &mut self.0
    }

    /// Sixteen bytes, as an opening takes them.
    pub fn entropy(&mut self) -> [u8; 16] {
        (u128::from(self.bits()) << 64 | u128::from(self.bits())).to_le_bytes()
    }
}
