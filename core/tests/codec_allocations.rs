//! BYTES-1: what a decoder allocates is bounded by the length of its input, whatever the input declares.

#[path = "common/allocations.rs"]
mod allocations;

use proptest::prelude::*;
use weftline::{
    BunchRecord, Container, Delta, DeltaParts, Document, Dot, DotRuns, EditError, Few, Hlc, Kind, Position, ReplicaId,
    Side, Tag, TextRun, Timestamp, Transaction, VersionVector, codec,
};

use allocations::{live, peak_of};

/// An entry takes about 350 bytes while it is read and at least one byte of input.
const FACTOR: usize = 512;
const CONSTANT: usize = 4096;

fn assert_bounded(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limit = FACTOR * bytes.len() + CONSTANT;
    let peaks = [
        peak_of(|| codec::decode_delta(bytes)),
        peak_of(|| codec::decode_diff(bytes)),
        peak_of(|| codec::decode_snapshot(bytes)),
        peak_of(|| codec::decode_version(bytes)),
        peak_of(|| codec::decode_digest(bytes)),
    ];
    prop_assert!(peaks.iter().all(|peak| *peak <= limit), "{:?} of {} for {} bytes", peaks, limit, bytes.len());
    Ok(())
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Bytes that get past the header of a delta or a diff, then numbers of every size.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        // Format version, no further replicas, writer 1…, flags, first dot, stamp, dots.
        (any::<u8>(), 1..3u64, prop_oneof![0..9u64, Just(999_999)]).prop_map(|(flags, first, dots)| {
            let mut bytes = vec![1, 0];
            bytes.extend([1; 16]);
            bytes.push(flags);
            bytes.extend(varint(first));
            bytes.extend([0; 8]);
            if flags & 0x40 != 0 {
                bytes.extend(varint(dots));
            }
            bytes
        }),
        // Format version, tier, one replica, covered to a million, tag.
        (0..3u8).prop_map(|tier| {
            let mut bytes = vec![1, tier, 1];
            bytes.extend([1; 16]);
            bytes.extend(if tier == 1 { vec![] } else { vec![0] });
            // The step of the digest tier is signed.
            bytes.extend(varint(if tier == 2 { 2_000_000 } else { 1_000_000 }));
            bytes.extend([0; 8]);
            bytes
        }),
    ];
    let number = prop_oneof![4 => 0..4u64, 2 => 0..300u64, 1 => (0..64u32).prop_map(|bit| 1 << bit)];
    (start, prop::collection::vec(number, 0..300)).prop_map(|(mut bytes, numbers)| {
        bytes.extend(numbers.into_iter().flat_map(varint));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn bytes_1_decoding_allocates_in_proportion(bytes in plausible()) {
        assert_bounded(&bytes)?;
    }
}

/// A document goes into its tables entry by entry: nothing of it is in memory twice but a table that grows, and what runs of
/// entries have alike.
#[test]
fn bytes_1_loading_takes_little_more_memory_than_what_is_loaded() {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let fill = |tx: &mut Transaction<'_>| -> Result<(), EditError> {
        for number in 0..10_000_i64 {
            tx.map("texts")?.put(&format!("a key of some length: {number}"), format!("a text, {number}").as_str())?;
        }
        for number in 0..10_000_i64 {
            tx.set("numbers")?.add(number)?;
        }
        Ok(())
    };
    assert!(document.transact(Timestamp(1), fill).is_ok());
    let bytes = document.snapshot();
    drop(document);
    let before = live();
    let mut held = 0;
    let peak = peak_of(|| {
        let loaded = Document::load(&bytes).expect("what was saved is loaded");
        held = (live() - before) as usize;
        loaded
    });
    assert!(peak < held + held / 4, "{peak} for {held}");
}

/// The cheapest runs there are: every other dot of a replica, a byte each.
#[test]
fn bytes_1_the_cheapest_runs_are_paid_for() {
    let count = 1 << 18;
    let mut bytes = vec![1, 1];
    bytes.extend([1; 16]);
    bytes.extend(varint(1 << 40));
    bytes.extend([0; 8]);
    bytes.extend(varint(count));
    bytes.extend(vec![0; count as usize]);
    assert_eq!(codec::decode_digest(&bytes).map(|digest| digest.live.run_count() as u64), Ok(count));
    assert!(peak_of(|| codec::decode_digest(&bytes)) < 64 * bytes.len(), "far below the factor of entries");
}

/// The cheapest entries there are: a million enabled flags in one container, a byte each.
#[test]
fn bytes_1_the_cheapest_entries_are_paid_for() {
    let count = 1 << 18;
    let mut bytes = vec![1, 0];
    bytes.extend([1; 16]);
    // Adds, every dot, more than one.
    bytes.push(0b101_1000);
    bytes.push(1);
    bytes.extend([0; 8]);
    bytes.extend(varint(count - 2));
    // All in the root "", a map.
    bytes.extend([3, 5]);
    bytes.extend(varint(count - 2));
    // Kind 2, slot 0: shape 4.
    bytes.extend(vec![8; count as usize]);
    assert_eq!(codec::decode_delta(&bytes).map(|parts| parts.adds.len() as u64), Ok(count));
    assert_bounded(&bytes).unwrap();
    bytes.truncate(40);
    assert!(codec::decode_delta(&bytes).is_err());
    assert_bounded(&bytes).unwrap();
}

/// The dearest text there is: each character in a bunch of its own, in turn on either side of the one before the last.
#[test]
fn bytes_1_bunches_of_one_character_are_paid_for() {
    let replica = ReplicaId::from(9);
    let count = 1 << 14;
    let dot = |seq| Dot::new(replica, seq);
    let bunch = |seq: u64| {
        let parent = if seq < 3 { Dot::ROOT } else { dot(seq / 2) };
        let side = if seq < 3 || seq % 2 == 1 { Side::Right } else { Side::Left };
        BunchRecord { id: dot(seq), parent: Position { bunch: parent, index: 0 }, side, rank: 0 }
    };
    let container = Container::Root { name: "t".into(), kind: Kind::TEXT };
    let run =
        |seq| TextRun { first: dot(seq), container: container.clone(), bunch: seq, backward: false, text: "x".into() };
    let parts = DeltaParts {
        replica,
        first_seq: 1,
        dots: count,
        deps: Few::new(),
        hlc: Hlc(0),
        bunches: (1..=count).map(bunch).collect(),
        adds: Few::new(),
        text: (1..=count).map(run).collect(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    };
    let delta = Delta::seal(parts, Tag::start(replica));
    let mut document = Document::new();
    document.apply(&delta).expect("it applies");
    let (diff, snapshot) = (codec::encode_diff(&document.diff_since(&VersionVector::new())), document.snapshot());
    for bytes in [&delta.bytes()[..], &diff, &snapshot] {
        assert_bounded(bytes).unwrap();
        // As few bytes as they take, so that what follows says something.
        assert!(bytes.len() < 16 * count as usize, "{} bytes", bytes.len());
    }
    let applied = peak_of(|| {
        let mut document = Document::new();
        document.apply(&Delta::decode(delta.bytes(), Tag::start(replica)).expect("it is read")).expect("it applies");
        document
    });
    let joined = peak_of(|| {
        let mut document = Document::new();
        document.apply_diff(&codec::decode_diff(&diff).expect("it is read")).expect("it applies");
        document
    });
    let loaded = peak_of(|| Document::load(&snapshot).expect("what was saved loads"));
    for (peak, bytes) in [(applied, delta.bytes().len()), (joined, diff.len()), (loaded, snapshot.len())] {
        assert!(peak <= FACTOR * bytes + CONSTANT, "{peak} for {bytes} bytes");
    }
}
