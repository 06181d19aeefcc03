//! What is written comes back, and what comes back was written so.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::Debug;

use proptest::prelude::*;

use super::generators;
use crate::codec::{self, DecodeError};

/// `decode(encode(x)) == x`, no prefix decodes, and nothing may follow.
fn comes_back<T: PartialEq + Debug>(
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<(), TestCaseError> {
    let mut bytes = encode(value);
    let read = decode(&bytes);
    prop_assert_eq!(read.as_ref(), Ok(value));
    for cut in 0..bytes.len() {
        prop_assert!(decode(&bytes[..cut]).is_err(), "the first {} bytes decode", cut);
    }
    bytes.push(0);
    prop_assert!(decode(&bytes).is_err(), "a byte too many decodes");
    Ok(())
}

proptest! {
    #[test]
    fn bytes_2_a_delta_comes_back(parts in generators::delta()) {
        comes_back(&parts, codec::encode_delta, codec::decode_delta)?;
    }

    #[test]
    fn bytes_2_a_diff_comes_back(diff in generators::diff()) {
        comes_back(&diff, codec::encode_diff, codec::decode_diff)?;
    }

    #[test]
    fn bytes_2_a_snapshot_comes_back(snapshot in generators::snapshot()) {
        comes_back(&snapshot, codec::encode_snapshot, codec::decode_snapshot)?;
    }

    #[test]
    fn bytes_2_a_version_comes_back(version in generators::version()) {
        comes_back(&version, codec::encode_version, codec::decode_version)?;
    }

    #[test]
    fn bytes_2_a_digest_comes_back(digest in generators::digest()) {
        comes_back(&digest, codec::encode_digest, codec::decode_digest)?;
    }

    #[test]
    fn bytes_2_positions_come_back(diff in generators::diff()) {
        comes_back(&diff.bunches, |chains| codec::encode_positions(chains), codec::decode_positions)?;
    }

    #[test]
    fn bytes_2_equal_deltas_have_equal_bytes(a in generators::delta(), b in generators::delta()) {
        prop_assert_eq!(a == b, codec::encode_delta(&a) == codec::encode_delta(&b));
    }
}

/// The generators reach what the format has to say: a guard against tests that pass because they test little.
#[test]
fn generators_reach_every_column() {
    use crate::store::{Container, Slot};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut note = |condition, what| *seen.entry(what).or_default() += usize::from(condition);
    for _ in 0..200 {
        let parts = generators::delta().new_tree(&mut runner).unwrap().current();
        note(parts.deps.len() > 1, "deps");
        note(!parts.removes.is_empty(), "removes");
        note(!parts.totals_before.is_empty(), "totals before");
        note(parts.adds.len() as u64 == parts.dots, "dense");
        note(!parts.adds.is_empty() && (parts.adds.len() as u64) < parts.dots, "sparse");
        note(parts.text.len() > 1, "runs of text");
        note(!parts.text.is_empty() && !parts.adds.is_empty(), "text and entries");
        note(!parts.text.is_empty() && parts.adds.is_empty() && !parts.removes.is_empty(), "text and removes");
        note(parts.text.iter().any(|run| run.backward && run.dots() > 1), "backward text");
        note(parts.bunches.iter().any(|bunch| bunch.parent.bunch.replica == parts.replica), "own parent");
        note(parts.bunches.iter().any(|bunch| bunch.rank != 0), "rank");
        for (seq, entry) in &parts.adds {
            note(matches!(entry.slot, Slot::Position { backward: true, .. }), "backward");
            note(matches!(&entry.container, Container::Entity(dot) if dot.replica == parts.replica), "own container");
            note(matches!(&entry.container, Container::Entity(dot) if dot.replica != parts.replica), "other container");
            note(*seq == crate::Dot::MAX_SEQ, "last seq");
        }
        let diff = generators::diff().new_tree(&mut runner).unwrap().current();
        note(!diff.removes.is_empty(), "removal pairs");
        note(diff.removes.iter().any(|run| run.chain), "chains of removals");
        note(diff.removes.iter().any(|run| !run.chain && run.len > 1), "runs of removals");
        note(!diff.dead.is_empty(), "dead dots");
        note(!diff.ahead.is_empty(), "a digest beyond its answer");
        note(diff.adds.len() > 20, "many entries");
        note(diff.text.len() > 5, "much text");
        let snapshot = generators::snapshot().new_tree(&mut runner).unwrap().current();
        note(!snapshot.removals.is_empty(), "snapshot removals");
        note(!snapshot.horizon.is_empty(), "horizon");
    }
    assert!(seen.values().all(|times| *times >= 5), "{seen:?}");
}
