//! The terminal list.
fn main() {}
