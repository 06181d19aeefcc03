//! Replicas that edit apart and then meet, for the tests that tell stories about them; and how many histories others run.
#![allow(dead_code, reason = "each test program uses its part")]

use std::fmt::Debug;

use weftline::{Commit, Delta, Document, EditError, ListRef, MapRef, ReplicaId, Timestamp, Transaction};

/// How many histories a test runs; `WEFTLINE_SEEDS` sets another number for a long run.
pub(crate) fn seeds() -> u64 {
    std::env::var("WEFTLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// A document that this replica writes to.
pub(crate) fn writer(id: u128) -> Document {
    Document::with_writer(ReplicaId::from(id))
}

/// Makes an edit that changes something, and gives its delta.
#[track_caller]
pub(crate) fn edit(
    doc: &mut Document,
    now: u64,
    edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>,
) -> Delta {
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(now), edit);
    commit.expect("the edit is possible").delta.expect("something was edited")
}

/// What one document knows, written on by somebody else.
#[track_caller]
pub(crate) fn copy(doc: &Document, id: u128) -> Document {
    let mut copy = writer(id);
    copy.apply_diff(&doc.diff_since(&copy.version())).expect("the diff applies");
    copy
}

/// Both learn what the other did.
#[track_caller]
pub(crate) fn meet(a: &mut Document, b: &mut Document) {
    let (to_a, to_b) = (b.diff_since(&a.version()), a.diff_since(&b.version()));
    a.apply_diff(&to_a).expect("the diff applies");
    b.apply_diff(&to_b).expect("the diff applies");
    assert_eq!(a.version(), b.version());
    assert_eq!(a.beacon(), b.beacon());
}

/// Reads the same at both.
#[track_caller]
pub(crate) fn same<T: PartialEq + Debug>(a: &Document, b: &Document, read: impl Fn(&Document) -> T) -> T {
    let (a, b) = (read(a), read(b));
    assert_eq!(a, b, "both replicas show the same");
    a
}

/// The plain texts of a list.
pub(crate) fn items(list: ListRef<'_>) -> Vec<String> {
    list.iter().map(|(_, node)| node.value().and_then(|value| value.as_str()).unwrap_or("?").to_string()).collect()
}

/// The keys of a map.
pub(crate) fn keys(map: MapRef<'_>) -> Vec<String> {
    map.keys().map(String::from).collect()
}
