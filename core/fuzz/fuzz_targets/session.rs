//! Bytes are what a relay says to a replica, and what the replica lives through; see `weftline::testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weftline::testing::fuzz::session(bytes));
