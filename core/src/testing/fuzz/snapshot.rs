//! Documents at rest, as anybody may have written them: refused, or loaded into something that works.
//!
//! Whoever writes a snapshot also writes its checksum and its beacon. So the header is made to fit what follows, and what is read but
//! has another beacon is tried again with the right one, which a document that joins its state tells.
//!
//! Rules: BYTES-1, BYTES-2, DIFF-4, DIFF-5.

use alloc::vec::Vec;

use super::super::dump;
use super::decoders::resealed;
use super::{apply::goes_on, world};
use crate::document::LoadError;
use crate::{Document, codec};

/// Loads the bytes.
///
/// # Panics
/// When a rule is broken.
pub fn snapshot(bytes: &[u8]) {
    let mut bytes = resealed(bytes);
    let mut result = Document::load(&bytes);
    if let (Err(LoadError::BeaconMismatch), Ok(mut snapshot)) = (&result, codec::decode_snapshot(&bytes)) {
        let mut joined = Document::new();
        joined.apply_diff(&snapshot.diff).expect("what loads but for its beacon can be joined");
        snapshot.beacon = joined.beacon();
        bytes = codec::encode_snapshot(&snapshot);
        result = Document::load(&bytes);
        let loaded = result.as_ref().expect("the beacon was all that was wrong");
        assert_eq!(dump(loaded), dump(&joined), "DIFF-5: what is loaded is what is joined");
    }
    let Ok(document) = result else { return };
    let again = Document::load(&document.snapshot()).expect("what was saved loads");
    assert_eq!(
        (again.beacon(), again.version(), again.horizon()),
        (document.beacon(), document.version(), document.horizon())
    );
    assert_eq!(dump(&again), dump(&document));
    goes_on(document);
}

/// Byte strings to begin with: saved documents of some sizes, with and without a log.
pub fn valid_snapshots() -> Vec<Vec<u8>> {
    let deltas = world::deltas(4);
    let mut all = Vec::new();
    for part in 1..=6 {
        let mut document = world::document(&deltas[..deltas.len() * part / 6]);
        all.push(document.snapshot());
        document.truncate_removals();
        all.push(document.snapshot());
    }
    all.sort();
    all.dedup();
    all
}
