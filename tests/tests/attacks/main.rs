//! Attacks through a relay: what a client can do to the others, and a relay to its clients.
//!
//! What hostile bytes do to one document is tried in `core/tests/attacks`, and what they do to a running relay in
//! `relay/tests/end_to_end/hostile.rs`. The table of attacks is in `core/docs/threat-model.md`.

#[path = "../../../core/tests/common/allocations.rs"]
mod allocations;
mod desk;
mod members;
mod random;
mod relays;
