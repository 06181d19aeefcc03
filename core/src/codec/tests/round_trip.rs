//! What is written comes back, and what comes back was written so.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::Debug;

use proptest::prelude::*;

use super::generators;
use crate::clock::{Dot, DotRuns, Hlc, Tag, VersionEntry, VersionVector};
use crate::codec::{self, DecodeError};
use crate::diff::{Diff, LiveEntry, Tier};

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
        note(!diff.dead.is_empty(), "dead dots");
        note(!diff.ahead.is_empty(), "a digest beyond its answer");
        note(diff.adds.len() > 20, "many entries");
        note(diff.text.len() > 5, "much text");
        let snapshot = generators::snapshot().new_tree(&mut runner).unwrap().current();
        note(!snapshot.removals.is_empty(), "snapshot removals");
        note(snapshot.removals.iter().any(|run| run.chain), "chains of removals");
        note(snapshot.removals.iter().any(|run| !run.chain && run.len > 1), "runs of removals");
        note(!snapshot.horizon.is_empty(), "horizon");
    }
    assert!(seen.values().all(|times| *times >= 5), "{seen:?}");
}

/// A full diff of so many puts, the keys and values of which are equally long but for those at `other`.
fn alike(count: u64, other: Option<u64>) -> Diff {
    use crate::store::{Container, Entry, Kind, Payload, Slot};
    let text =
        |seq: u64| if other == Some(seq) { alloc::format!("other {seq:06}") } else { alloc::format!("{seq:06}") };
    let root = Container::Root { name: "m".into(), kind: Kind::MAP };
    let adds = (1..=count).map(|seq| LiveEntry {
        dot: Dot::new(generators::id(1), seq),
        hlc: Hlc(0),
        entry: Entry {
            container: root.clone(),
            slot: Slot::Key(text(seq).into()),
            kind: Kind::REGISTER,
            entity: false,
            payload: Payload::Value(text(seq).into()),
        },
    });
    let (base, ahead, dead, tier) = (VersionVector::new(), VersionVector::new(), DotRuns::new(), Tier::Full);
    let tag = Tag::from_bytes([7; 8]);
    let head = [(generators::id(1), VersionEntry { seq: count, tag })].into_iter().collect();
    let (heads, adds, removes, bunches) = (Vec::new(), adds.collect(), Vec::new(), Vec::new());
    Diff { tier, base, ahead, head, heads, adds, text: Vec::new(), removes, dead, bunches }
}

#[test]
fn bytes_2_heads_of_contents_are_counted_where_many_are_alike() {
    for count in (1..12).chain(250..270).chain(505..525) {
        for other in [None, Some(1), Some(3), Some(4), Some(count / 2), Some(258), Some(259), Some(count)] {
            let diff = alike(count, other);
            let bytes = codec::encode_diff(&diff);
            assert_eq!(codec::decode_diff(&bytes).as_ref(), Ok(&diff), "{count} entries, {other:?}");
        }
    }
    let costs = |count| codec::encode_diff(&alike(count, None)).len() as u64;
    assert_eq!(costs(2_000) - costs(1_000), 12_000 + 2 * 4, "for 255 contents one byte");
}

#[test]
fn bytes_2_a_count_of_heads_has_one_form() {
    let bytes = codec::encode_diff(&alike(7, None));
    // After three keys with a head each: four more. Behind that come key, head, count, and value.
    let find = |part: &[u8]| bytes.windows(part.len()).position(|window| window == part).unwrap();
    let at = find(b"\x0d\x04000003\x46\x04000003");
    let changed = |count: u8, insert: Option<&[u8]>| {
        let mut bytes = bytes.clone();
        bytes[at + 1] = count;
        if let Some(head) = insert {
            let last = find(b"000007000007");
            bytes.splice(last..last, head.iter().copied());
        }
        codec::decode_diff(&bytes).unwrap_err()
    };
    assert!(matches!(changed(5, None), DecodeError::Invalid { .. }), "more than there are");
    assert!(matches!(changed(3, Some(b"\x0d")), DecodeError::NotCanonical { .. }), "one that is not counted");
    assert!(matches!(changed(255, None), DecodeError::Invalid { .. }));
}
