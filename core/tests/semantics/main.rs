//! The table of concurrent outcomes in `core/README.md`, row by row: each test is named in a row, and each row names its tests.
//!
//! Every story is told in several places: at a root, nested, in a list element, where something was removed before, and where
//! two creations were merged (`place`). A new row is a line of the table and a test; `table` fails where one of them is missing.

#[path = "../common/mod.rs"]
mod common;

mod counters;
mod lists;
mod maps;
mod marks;
mod pair;
mod place;
mod policies;
mod sets_and_flags;
mod table;
mod text;
mod transactions;
mod values;
