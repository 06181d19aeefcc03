//! Tests that are about more than one crate, in `tests/`; here is what they share.

pub use weftline_simulation::{Failure, Faults, Report, Rng, Simulation, workload};

pub mod vectors;

/// The Rust example of the README, as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
