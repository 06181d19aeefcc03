//! Hostile peers: what somebody can do to a document who may write bytes of its choice, which named bound stops it, and what the others
//! see. The table of them is in `docs/threat-model.md`; through a relay they are tried in `tests/tests/attacks`.
//!
//! | file | attacks |
//! |---|---|
//! | `dots` | forged dots, inflated versions, equivocation |
//! | `removals` | false removals; removing or writing under what was never seen |
//! | `digests` | false digests |
//! | `waiting` | dependencies that never come |
//! | `bombs` | depth, length, number |
//! | `limits` | what honest replicas run into themselves, and what a diff may say of structure |
//! | `values` | overflow, NaN, two zeros, invalid UTF-8, kinds that do not fit |
//! | `many` | ids without number, crowded tables, far-future clocks |
//! | `random` | what nobody thought of |
//!
//! Memory is counted, not guessed. Where nothing stops an attack, a test says so, and shows by what it is found.
#![cfg(feature = "testing")]

#[path = "../common/allocations.rs"]
mod allocations;
mod bombs;
#[path = "../common/mod.rs"]
mod common;
mod digests;
mod dots;
mod limits;
mod many;
mod random;
mod removals;
mod strangers;
mod values;
mod waiting;
