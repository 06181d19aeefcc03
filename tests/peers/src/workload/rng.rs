//! Randomness from a seed: SplitMix64, which is a permutation of a counter, so that 64-bit draws of one generator never repeat.

/// A generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same draws for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x5eed)))
    }

    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0. The bias is below 2⁻³² for the bounds that are used.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A replica's id, well mixed: libraries draw theirs at random, and small numbers would encode shorter than real ones.
pub fn replica(number: u64) -> u64 {
    mix(number.wrapping_add(0x00c0_ffee_0000_0001))
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
