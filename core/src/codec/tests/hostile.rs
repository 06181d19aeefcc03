//! BYTES-1: bytes from outside give an error or a value that is written the same way, and never a panic.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::generators;
use crate::codec::envelope::reseal;
use crate::codec::{self, DecodeError, varint};

/// Decodes with every decoder. Whatever decodes must encode to the same bytes.
fn feed(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(parts) = codec::decode_delta(bytes) {
        prop_assert_eq!(codec::encode_delta(&parts), bytes);
    }
    if let Ok(diff) = codec::decode_diff(bytes) {
        prop_assert_eq!(codec::encode_diff(&diff), bytes);
    }
    if let Ok(version) = codec::decode_version(bytes) {
        prop_assert_eq!(codec::encode_version(&version), bytes);
    }
    if let Ok(digest) = codec::decode_digest(bytes) {
        prop_assert_eq!(codec::encode_digest(&digest), bytes);
    }
    if let Ok(chains) = codec::decode_positions(bytes) {
        prop_assert_eq!(codec::encode_positions(&chains), bytes);
    }
    // A snapshot may hold sections that are passed over, so its bytes are not the only ones; its content is.
    if let Ok(snapshot) = codec::decode_snapshot(bytes) {
        prop_assert_eq!(codec::decode_snapshot(&codec::encode_snapshot(&snapshot)), Ok(snapshot));
    }
    Ok(())
}

/// Something valid of any kind, as bytes.
fn encoded() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        generators::delta().prop_map(|parts| codec::encode_delta(&parts)),
        generators::diff().prop_map(|diff| codec::encode_diff(&diff)),
        generators::snapshot().prop_map(|snapshot| codec::encode_snapshot(&snapshot)),
        generators::version().prop_map(|version| codec::encode_version(&version)),
        generators::digest().prop_map(|digest| codec::encode_digest(&digest)),
        generators::diff().prop_map(|diff| codec::encode_positions(&diff.bunches)),
    ]
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(u8),
    Set(u8),
    Step(i8),
    Insert(u8),
    Delete,
    Cut,
    Double,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0..8u8).prop_map(Damage::Flip),
        any::<u8>().prop_map(Damage::Set),
        (-3..=3i8).prop_map(Damage::Step),
        any::<u8>().prop_map(Damage::Insert),
        Just(Damage::Delete),
        Just(Damage::Cut),
        Just(Damage::Double),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, at: prop::sample::Index) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    match damage {
        Damage::Flip(bit) => bytes[at] ^= 1 << bit,
        Damage::Set(byte) => bytes[at] = *byte,
        Damage::Step(step) => bytes[at] = bytes[at].wrapping_add_signed(*step),
        Damage::Insert(byte) => bytes.insert(at, *byte),
        Damage::Delete => drop(bytes.remove(at)),
        Damage::Cut => bytes.truncate(at),
        Damage::Double => {
            let tail = bytes[at..].to_vec();
            bytes.extend(tail);
        }
    }
}

proptest! {
    #[test]
    fn bytes_1_random_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        feed(&bytes)?;
        // The first byte as every encoding has it, so that more is read.
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        feed(&bytes)?;
    }

    #[test]
    fn bytes_1_damaged_bytes(
        mut bytes in encoded(),
        wounds in prop::collection::vec((damage(), any::<prop::sample::Index>()), 1..4),
    ) {
        for (damage, at) in &wounds {
            apply(&mut bytes, damage, *at);
        }
        feed(&bytes)?;
        reseal(&mut bytes);
        feed(&bytes)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn bytes_1_length_bombs_at_every_offset(bytes in encoded(), exponent in 7..64u32) {
        let mut bomb = Vec::new();
        varint::write(&mut bomb, (1 << exponent) | 1);
        for at in 0..bytes.len() {
            for removed in [0, 1] {
                let mut bytes = bytes.clone();
                bytes.splice(at..at + removed, bomb.iter().copied());
                feed(&bytes)?;
                reseal(&mut bytes);
                feed(&bytes)?;
            }
        }
    }

    #[test]
    fn bytes_1_every_bit_flipped(bytes in encoded()) {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                feed(&bytes)?;
            }
        }
    }

    #[test]
    fn bytes_1_a_flipped_bit_never_passes_for_a_snapshot(snapshot in generators::snapshot(), bit in 0..8u8) {
        let bytes = codec::encode_snapshot(&snapshot);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            prop_assert!(codec::decode_snapshot(&bytes).is_err());
        }
    }
}

#[test]
fn bytes_1_a_declared_trillion_is_refused_before_anything_is_reserved() {
    let mut count = Vec::new();
    varint::write(&mut count, 1 << 40);
    let mut version = Vec::from([1]);
    version.extend(&count);
    assert!(matches!(codec::decode_version(&version), Err(DecodeError::OverLimit { found: 0x100_0000_0000, .. })));
    let mut diff = Vec::from([1, 1]);
    diff.extend(&count);
    assert!(matches!(codec::decode_diff(&diff), Err(DecodeError::OverLimit { .. })));
    // No replicas, no heads, no bunches, and then a trillion entries.
    let mut diff = Vec::from([1, 1, 0, 0, 0]);
    diff.extend(&count);
    assert!(matches!(codec::decode_diff(&diff), Err(DecodeError::Truncated { .. })));
    let mut positions = Vec::from([1, 0]);
    positions.extend(&count);
    assert!(matches!(codec::decode_positions(&positions), Err(DecodeError::Truncated { .. })));
    let mut delta = Vec::from([1]);
    delta.extend(&count);
    assert!(matches!(codec::decode_delta(&delta), Err(DecodeError::OverLimit { .. })));
}

/// Whoever could choose the seed of a table of hashes could choose what collides in it. A tag is the easiest to forge: nothing else in
/// a message depends on it.
#[test]
fn bytes_1_no_part_of_a_diff_chooses_the_seed_of_its_tables() {
    use crate::clock::{Dot, DotRuns, Hlc, Tag, VersionEntry, VersionVector};
    use crate::codec::entries::Rows;
    use crate::codec::reader::Reader;
    use crate::diff::{Diff, LiveEntry, Tier};
    use crate::store::{Container, Entry, Kind, Payload, Slot};

    let with = |keys: [&str; 3], tag: u8| {
        let adds = (1..).zip(keys).map(|(seq, key)| LiveEntry {
            dot: Dot::new(generators::id(1), seq),
            hlc: Hlc(0),
            entry: Entry {
                container: Container::Root { name: "m".into(), kind: Kind::MAP },
                slot: Slot::Key(key.into()),
                kind: Kind::REGISTER,
                entity: false,
                payload: Payload::Value(1.into()),
            },
        });
        let entry = VersionEntry { seq: 3, tag: Tag::from_bytes([tag; 8]) };
        Diff {
            tier: Tier::Full,
            base: VersionVector::new(),
            ahead: VersionVector::new(),
            head: [(generators::id(1), entry)].into_iter().collect(),
            heads: Vec::new(),
            adds: adds.collect(),
            text: Vec::new(),
            removes: Vec::new(),
            dead: DotRuns::new(),
            bunches: Vec::new(),
        }
    };
    let mut writing = Vec::new();
    let mut reading = Vec::new();
    for keys in [["a", "b", "c"], ["a", "b", "d"], ["a", "d", "c"], ["d", "b", "c"]] {
        for tag in [1, 2] {
            let diff = with(keys, tag);
            writing.push(diff.adds.seed());
            reading.push(Reader::new(&codec::encode_diff(&diff)).seed());
        }
    }
    let distinct = |seeds: &[u64]| {
        let mut seeds = seeds.to_vec();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.len()
    };
    // The keys choose it, by a hash that takes in every one of them; for whoever reads, with every other byte as well.
    assert_eq!((distinct(&writing), distinct(&reading)), (4, 8));
}
