//! Bytes are a document at rest; see `weftline::testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weftline::testing::fuzz::snapshot(bytes));
