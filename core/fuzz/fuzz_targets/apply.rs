//! Bytes are what documents are told, by honest replicas and by strangers; see `weftline::testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weftline::testing::fuzz::apply(bytes));
