//! Bytes are read by one decoder after the other; see `weftline::testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weftline::testing::fuzz::decoders(bytes));
