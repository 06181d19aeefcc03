//! Who writes under which id, and what happens when a store is copied, put back, or dies at a bad moment: histories by hand, with
//! the real replica and the real room.
//!
//! Each `counterexample_N` is a history in which an earlier design failed; its story is told where it is played.

mod costs;
mod counterexamples;
mod forks;
mod leases;
mod world;
