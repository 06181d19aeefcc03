//! A deterministic world for testing: replicas, a relay, their disks and the network between them, all driven by one seed.
//!
//! The machines under test are the real ones; only what is around them is simulated. See [`Simulation`].

mod disk;
mod network;
mod oracle;
mod peer;
mod relay_disk;
mod rng;
mod simulation;
pub mod vectors;
pub mod workload;

pub use rng::Rng;
pub use simulation::{Failure, Faults, Report, Simulation};

/// The Rust example of the README, as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
