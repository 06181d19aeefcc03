//! Replicas, relay rooms, their disks, their clocks and the network between them, in virtual time, from one seed.
//!
//! The machines under test are the real ones, those that the client, the browser and the relay run ([`weftline::sync`],
//! [`weftline_relay::room`]); only what is around them is simulated. For a while users edit while everything fails that may fail:
//! connections end, go silent or mix up frames, processes die, power is cut, disks are full or slow, clocks jump, the relay dies and comes
//! back with what it had committed, or with a backup. Rules are checked at every step. Then the faults stop, and when everything has
//! come to rest everybody must have the same document, with every edit that was ever durable in it, once.
//!
//! A seed replays exactly. What is going to happen is a list, drawn from the seed: a history that breaks a rule is made short by leaving
//! out of the list what it can do without, and is told as a trace.
//!
//! # Your own documents
//!
//! Say what your users do and what must be true of a document, whatever they do, and let a thousand histories look for one in
//! which it is not:
//!
//! ```
//! use weftline_simulation::{Simulation, schema};
//!
//! let shopping = schema(
//!     |tx, rng| {
//!         let mut list = tx.list("shopping")?;
//!         match list.read().len() {
//!             len if len > 0 && rng.chance(30) => list.remove_at(rng.below(len)),
//!             _ => list.push("milk").map(drop),
//!         }
//!     },
//!     |documents| match documents[0].list("shopping").len() {
//!         len if len > 1_000 => Err(format!("{len} things to buy")),
//!         _ => Ok(()),
//!     },
//! );
//! for seed in 0..5 {
//!     if let Err(failure) = Simulation::seeded(seed).edits(20, 200).run_on(&shopping) {
//!         panic!("{failure}");
//!     }
//! }
//! ```
//!
//! A failure prints its seed and what is left of the list; the same seed fails again until what is wrong has been put right. Every edit
//! leaves its number in a grow-only set beside yours ([`workload::EDITS`]), by which it is found again.

mod clock;
mod disk;
mod network;
mod oracle;
mod peer;
mod plan;
mod relay_disk;
mod report;
mod rng;
mod schema;
mod settings;
mod shrink;
pub mod workload;
mod world;

pub use report::{Failure, Report};
pub use rng::Rng;
pub use schema::{AllTypes, Schema, schema};
pub use settings::{Faults, Simulation};
