//! Bytes are operations on a rope; see `weftline::testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weftline::testing::fuzz::rope(bytes));
