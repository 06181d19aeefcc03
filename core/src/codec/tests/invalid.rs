//! Messages that no sender makes that keeps the rules: each is refused, and for the right reason.

use crate::string::Str;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::generators::id;
use crate::clock::{Dot, DotRuns, Hlc, Tag, VersionEntry, VersionVector};
use crate::codec::envelope::{EnvelopeKind, EnvelopeWriter};
use crate::codec::limits::{MAX_BUNCH_DEPTH, MAX_DELTA_BYTES, MAX_DELTA_DOTS, MAX_KEY_BYTES, MAX_SEQ};
use crate::codec::{self, DecodeError};
use crate::delta::DeltaParts;
use crate::diff::{Diff, Digest, LiveEntry, Snapshot, Tier};
use crate::few::Few;
use crate::replica_id::ReplicaId;
use crate::sequence::{BunchRecord, Position, Side};
use crate::store::{Container, Entry, Kind, Payload, RemovalRun, Rights, Slot};
use crate::value::Value;

const START: Position = Position { bunch: Dot::ROOT, index: 0 };

pub(super) fn dot(replica: u8, seq: u64) -> Dot {
    Dot::new(id(replica), seq)
}

pub(super) fn entry(container: Container) -> Entry {
    let payload = Payload::Value(Value::Null);
    Entry { container, slot: Slot::Unit, kind: Kind::REGISTER, entity: false, payload }
}

pub(super) fn root() -> Container {
    Container::Root { name: "m".into(), kind: Kind::MAP }
}

pub(super) fn bunch(id: Dot, parent: Position) -> BunchRecord {
    BunchRecord { id, parent, side: Side::Right, rank: 0 }
}

pub(super) fn at(bunch: Dot, index: i64) -> Position {
    Position { bunch, index }
}

/// Replica 1, dots 10 to 12, an entry at each.
pub(super) fn valid() -> DeltaParts {
    DeltaParts {
        replica: id(1),
        first_seq: 10,
        dots: 3,
        deps: [dot(1, 9)].into(),
        hlc: Hlc(1 << 30),
        bunches: Vec::new(),
        adds: (10..13).map(|seq| (seq, entry(root()))).collect(),
        text: Few::new(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    }
}

/// The error of a delta that is valid but for one change.
#[track_caller]
fn refused(change: impl FnOnce(&mut DeltaParts)) -> DecodeError {
    let mut parts = valid();
    assert_eq!(codec::decode_delta(&codec::encode_delta(&parts)).as_ref(), Ok(&parts));
    change(&mut parts);
    codec::decode_delta(&codec::encode_delta(&parts)).expect_err("refused")
}

#[track_caller]
pub(super) fn assert_says(error: &DecodeError, text: &str) {
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn dot_2_a_delta_without_dots() {
    let error = refused(|parts| {
        parts.dots = 0;
        parts.adds.clear();
    });
    assert_says(&error, "number of dots");
}

#[test]
fn limits_of_numbers() {
    let error = refused(|parts| parts.dots = MAX_DELTA_DOTS + 1);
    assert!(matches!(error, DecodeError::OverLimit { what: "number of dots", .. }), "{error}");
    let error = refused(|parts| parts.first_seq = MAX_SEQ);
    assert!(matches!(error, DecodeError::OverLimit { what: "sequence number", .. }), "{error}");
    assert_says(&refused(|parts| parts.first_seq = 0), "sequence number 0");
    let error = refused(|parts| parts.deps = [dot(2, MAX_SEQ + 1)].into());
    assert!(matches!(error, DecodeError::OverLimit { what: "sequence number", .. }), "{error}");
    let error = refused(|parts| parts.removes.insert(dot(2, MAX_SEQ + 1)));
    assert!(matches!(error, DecodeError::OverLimit { what: "sequence number", .. }), "{error}");
    refused(|parts| parts.removes.insert(dot(2, 0)));
    refused(|parts| parts.adds[0].1.container = Container::Entity(dot(2, 0)));
    refused(|parts| parts.adds[0].1.container = Container::Entity(dot(2, MAX_SEQ + 1)));
}

#[test]
fn limits_of_keys_and_names() {
    let long: Str = "k".repeat(MAX_KEY_BYTES).into();
    let longer: Str = "k".repeat(MAX_KEY_BYTES + 1).into();
    let mut parts = valid();
    parts.adds[0].1.slot = Slot::Key(long);
    assert_eq!(codec::decode_delta(&codec::encode_delta(&parts)), Ok(parts));
    let error = refused(|parts| parts.adds[0].1.slot = Slot::Key(longer.clone()));
    assert!(matches!(error, DecodeError::OverLimit { what: "key length", found: 1025, limit: 1024, .. }), "{error}");
    let error = refused(|parts| parts.adds[0].1.container = Container::Root { name: longer, kind: Kind::MAP });
    assert!(matches!(error, DecodeError::OverLimit { what: "name length", .. }), "{error}");
}

#[test]
fn limits_of_a_delta() {
    let error = codec::decode_delta(&alloc::vec![1; MAX_DELTA_BYTES + 1]);
    assert!(matches!(error, Err(DecodeError::OverLimit { what: "delta length", .. })));
}

#[test]
fn dot_1_an_add_outside_of_the_range() {
    assert_says(&refused(|parts| parts.adds = [(13, entry(root()))].into()), "DOT-1");
    refused(|parts| parts.adds = [(9, entry(root()))].into());
    refused(|parts| parts.adds = [(11, entry(root())), (10, entry(root()))].into());
    refused(|parts| parts.adds = [(11, entry(root())), (11, entry(root()))].into());
}

#[test]
fn causal_2_a_delta_that_removes_its_own_dot() {
    assert_says(&refused(|parts| parts.removes.insert(dot(1, 10))), "CAUSAL-2");
    assert_says(&refused(|parts| parts.removes.insert_run(id(1), 5, 11)), "CAUSAL-2");
    assert_says(&refused(|parts| parts.removes.insert(dot(1, 500))), "CAUSAL-2");
}

#[test]
fn causal_2_an_entry_below_itself_or_what_is_removed() {
    assert_says(&refused(|parts| parts.adds[1].1.container = Container::Entity(dot(1, 11))), "canonical");
    assert_says(&refused(|parts| parts.adds[1].1.container = Container::Entity(dot(1, 12))), "canonical");
    let own_later = |parts: &mut DeltaParts| {
        parts.adds[2].1.container = Container::Entity(dot(1, 9));
        parts.removes.insert(dot(1, 9));
    };
    assert_says(&refused(own_later), "CAUSAL-2");
    let below_removed = |parts: &mut DeltaParts| {
        parts.adds[2].1.container = Container::Entity(dot(2, 4));
        parts.removes.insert_run(id(2), 3, 5);
    };
    assert_says(&refused(below_removed), "CAUSAL-2");
}

#[test]
fn causal_2_dependencies() {
    assert_says(&refused(|parts| parts.deps = [dot(1, 10)].into()), "CAUSAL-2");
    assert_says(&refused(|parts| parts.deps = [dot(2, 3), dot(1, 9)].into()), "ascending");
    assert_says(&refused(|parts| parts.deps = [dot(2, 3), dot(2, 3)].into()), "ascending");
    refused(|parts| parts.deps = [dot(2, 0)].into());
}

#[test]
fn seq_5_bunches() {
    let with = |bunches: &[BunchRecord]| {
        let bunches = bunches.to_vec();
        refused(move |parts| parts.bunches = bunches)
    };
    assert_says(&with(&[bunch(dot(1, 13), START)]), "DOT-1");
    assert_says(&with(&[bunch(dot(1, 10), at(dot(1, 10), 0))]), "SEQ-5");
    assert_says(&with(&[bunch(dot(1, 10), at(dot(1, 5), 5))]), "SEQ-5");
    assert_says(&with(&[bunch(dot(1, 11), at(dot(1, 5), -6))]), "SEQ-5");
    assert_says(&with(&[bunch(dot(1, 12), at(dot(1, 10), 0))]), "SEQ-5");
    assert_says(&with(&[bunch(dot(1, 10), at(dot(2, 1), i64::MIN))]), "no dot can have");
    assert_says(&with(&[bunch(dot(1, 10), at(dot(2, MAX_SEQ), 1))]), "no dot can have");
    refuses_index_at_root();
    with(&[bunch(dot(1, 11), START), bunch(dot(1, 10), START)]);
}

fn refuses_index_at_root() {
    refused(|parts| parts.bunches = [bunch(dot(1, 10), at(Dot::ROOT, 1))].into());
}

#[test]
fn seq_2_positions() {
    let position =
        |seq: usize, bunch, backward| refused(move |parts| parts.adds[seq].1.slot = Slot::Position { bunch, backward });
    assert_says(&position(1, 12, false), "SEQ-2");
    assert_says(&position(1, 0, false), "SEQ-2");
    assert_says(&position(1, 11, true), "SEQ-2");
    assert_says(&position(1, 11, false), "SEQ-5");
    assert_says(&position(1, 10, true), "SEQ-5");
}

#[test]
fn a_total_below_what_it_overwrites() {
    let error = refused(|parts| {
        parts.adds[0].1.kind = Kind::TOTAL;
        parts.adds[0].1.payload = Payload::Total { plus: 3, minus: 3 };
        parts.totals_before = [(10, 3, 4)].into();
    });
    assert_says(&error, "total");
}

#[test]
fn esc_1_rights_that_nobody_can_have_given() {
    let given = |given: &[(ReplicaId, u64)]| {
        let given = given.to_vec();
        refused(move |parts| {
            parts.adds[0].1.kind = Kind::RIGHTS;
            parts.adds[0].1.payload = Payload::Rights(Arc::new(Rights { plus: 9, minus: 0, given }));
        })
    };
    assert_says(&given(&[(id(1), 1)]), "ESC-1");
    assert_says(&given(&[(id(2), 0)]), "none given");
    assert_says(&given(&[(id(3), 1), (id(2), 1)]), "ascending");
    assert_says(&given(&[(id(2), 1), (id(2), 1)]), "ascending");
    assert_says(&given(&[(ReplicaId::NIL, 1)]), "ascending");
}

#[test]
fn bytes_1_more_who_were_given_rights_than_there_are_bytes() {
    let mut parts = valid();
    parts.adds[0].1.kind = Kind::RIGHTS;
    parts.adds[0].1.payload = Payload::Rights(Arc::new(Rights { plus: 77, minus: 88, given: Vec::new() }));
    let mut bytes = codec::encode_delta(&parts);
    let at = bytes.windows(3).position(|window| window == [77, 88, 0]).expect("the payload is there");
    bytes.splice(at + 2..at + 3, [0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(codec::decode_delta(&bytes), Err(DecodeError::Truncated { .. })));
}

#[test]
fn the_nil_id_writes_nothing() {
    refused(|parts| {
        parts.replica = ReplicaId::NIL;
        parts.deps.clear();
    });
    refused(|parts| parts.removes.insert(Dot::new(ReplicaId::NIL, 3)));
}

/// What the bytes could say twice is refused in all but one form.
#[test]
fn bytes_2_other_forms_of_one_delta() {
    let mut parts = valid();
    parts.adds = [(11, entry(root())), (12, entry(Container::Entity(dot(2, 4))))].into();
    parts.adds[0].1.payload = Payload::Value(f64::NAN.into());
    let bytes = codec::encode_delta(&parts);
    let header = 2 + 32;
    assert_eq!(bytes[header..header + 2], [0b100_1001, 10]);
    assert_eq!(bytes[header + 10], 1, "three dots");
    let forms: [(&str, usize, &[u8], &[u8]); 7] = [
        // A table with a replica that nothing names.
        ("names", 0, &[1, 1], &[1, 2]),
        // The only dependency in a list.
        ("in a list", header, &[0b100_1001], &[0b100_1010]),
        // Every dot is bound, and the dots are listed.
        ("every dot", header + 10, &[1], &[0]),
        ("more bytes", header + 1, &[10], &[0x8a, 0]),
        ("way of removing", header, &[0b100_1001], &[0b1110_1001]),
        ("NaN", bytes.len() - 9, &[0, 0, 0, 0, 0, 0, 0xf8, 0x7f], &[1, 0, 0, 0, 0, 0, 0xf8, 0x7f]),
        ("format version", 0, &[1, 1], &[2, 1]),
    ];
    for (name, place, canonical, other) in forms {
        assert!(bytes[place..].starts_with(canonical), "{name}: {:?}", &bytes[place..]);
        let mut changed = bytes.clone();
        changed.splice(place..place + canonical.len(), other.iter().copied());
        if name == "names" {
            changed.splice(header..header, [0xff; 16]);
        }
        if name == "in a list" {
            changed.splice(header + 11..header + 11, [0, 0, 9]);
        }
        if name == "way of removing" {
            changed.insert(header + 11, 1);
        }
        let error = codec::decode_delta(&changed).expect_err(name);
        assert_says(&error, name);
    }
}

/// Shapes, values, totals and removed dots have one form each.
#[test]
fn bytes_2_short_forms_are_the_only_ones() {
    let one = |entry: Entry| {
        let mut parts = valid();
        (parts.dots, parts.adds) = (1, [(10, entry)].into());
        parts
    };
    let value = |value: Value| Entry { payload: Payload::Value(value), ..entry(root()) };
    let total = |plus, minus| {
        let payload = Payload::Total { plus, minus };
        Entry { slot: Slot::Owner, kind: Kind::TOTAL, payload, ..entry(root()) }
    };
    let mut removing = one(value(Value::Null));
    removing.removes.insert(dot(1, 7));
    let mut increment = one(total(5, 0));
    increment.totals_before = [(10, 3, 0)].into();
    // How the bytes end, and another end that would say the same.
    let forms: [(DeltaParts, &[u8], &[u8]); 7] = [
        (one(value(Value::Int(7))), &[0x27], &[3, 14]),
        (one(value("hi".into())), &[0x42, b'h', b'i'], &[5, 2, b'h', b'i']),
        (one(value(Value::Bytes([9].into()))), &[0x81, 9], &[6, 1, 9]),
        // Register at a unit, by its own number and written out.
        (one(value(Value::Null)), &[4, 0], &[0xa0, 1, 0]),
        (one(total(5, 0)), &[1, 5], &[3, 5, 0]),
        (increment, &[2 << 4 | 5, 5], &[2 << 4 | 13, 5, 0]),
        (removing, &[2], &[1, 0, 6]),
    ];
    for (parts, canonical, other) in forms {
        let mut bytes = codec::encode_delta(&parts);
        assert_eq!(codec::decode_delta(&bytes).as_ref(), Ok(&parts));
        assert!(bytes.ends_with(canonical), "{parts:?}: {bytes:?}");
        bytes.truncate(bytes.len() - canonical.len());
        if !parts.removes.is_empty() {
            let flags = bytes.iter().position(|byte| *byte == 0b1001_1001).unwrap();
            bytes[flags] = 0b0011_1001;
        }
        bytes.extend(other);
        assert!(codec::decode_delta(&bytes).is_err(), "{parts:?}");
    }
    assert_says(&refused_end(removing_first(), &[10]), "REM-1");
}

/// A delta that removes the writer's first dot.
fn removing_first() -> DeltaParts {
    let mut parts = valid();
    parts.removes.insert(dot(1, 1));
    parts
}

/// Why a delta whose last byte is replaced is refused.
fn refused_end(parts: DeltaParts, end: &[u8]) -> DecodeError {
    let mut bytes = codec::encode_delta(&parts);
    bytes.pop();
    bytes.extend(end);
    codec::decode_delta(&bytes).expect_err("refused")
}

// Diffs and snapshots.

fn covered(entries: &[(u8, u64)]) -> VersionVector {
    entries
        .iter()
        .map(|(replica, seq)| (id(*replica), VersionEntry { seq: *seq, tag: Tag::from_bytes([0; 8]) }))
        .collect()
}

fn live(dot: Dot, container: Container) -> LiveEntry {
    LiveEntry { dot, hlc: Hlc(9), entry: entry(container) }
}

pub(super) fn removal(remover: Dot, removed: Dot) -> RemovalRun {
    RemovalRun { remover, removed, len: 1, chain: false }
}

/// Beyond 1:5 and 2:5 everything up to 1:8.
pub(super) fn valid_diff() -> Diff {
    Diff {
        tier: Tier::Version,
        base: covered(&[(1, 5), (2, 5)]),
        head: covered(&[(1, 8)]),
        heads: [dot(1, 8)].into(),
        adds: [live(dot(1, 6), root()), live(dot(1, 7), Container::Entity(dot(2, 5)))].into(),
        ahead: VersionVector::new(),
        text: Vec::new(),
        removes: [(id(1), DotRuns::from_iter([dot(1, 5), dot(2, 4)]))].into(),
        dead: DotRuns::new(),
        bunches: [bunch(dot(2, 3), at(dot(1, 2), 1))].into(),
    }
}

#[track_caller]
fn diff_refused(change: impl FnOnce(&mut Diff)) -> DecodeError {
    let mut diff = valid_diff();
    assert_eq!(codec::decode_diff(&codec::encode_diff(&diff)).as_ref(), Ok(&diff));
    change(&mut diff);
    codec::decode_diff(&codec::encode_diff(&diff)).expect_err("refused")
}

#[test]
fn valid_1_dots_that_nobody_wrote() {
    assert_says(&diff_refused(|diff| diff.adds.push(live(dot(1, 9), root()))), "VALID-1");
    assert_says(&diff_refused(|diff| diff.adds.push(live(dot(2, 6), root()))), "VALID-1");
    diff_refused(|diff| diff.adds.push(live(dot(3, 1), root())));
    assert_says(&diff_refused(|diff| diff.adds[0].entry.container = Container::Entity(dot(2, 6))), "VALID-1");
    assert_says(&diff_refused(|diff| diff.bunches[0].parent.index = 7), "VALID-1");
    assert_says(&diff_refused(|diff| diff.bunches[0].id.seq = 6), "VALID-1");
    diff_refused(|diff| diff.heads = [dot(1, 9)].into());
    diff_refused(|diff| diff.heads = [dot(2, 5), dot(1, 8)].into());
}

#[test]
fn bytes_2_heads_have_one_form() {
    let mut diff = valid_diff();
    // Nobody who keeps the rules has two of one replica.
    diff.heads = [dot(1, 7), dot(1, 8), dot(2, 5)].into();
    let bytes = codec::encode_diff(&diff);
    assert_eq!(codec::decode_diff(&bytes).as_ref(), Ok(&diff));
    let at = bytes.windows(5).position(|window| window == [3, 1, 1, 0, 2]).unwrap();
    let mut other = bytes.clone();
    other[at + 2] = 0;
    assert!(matches!(codec::decode_diff(&other), Err(DecodeError::NotCanonical { .. })));
    let mut other = bytes;
    other.splice(at + 1..at + 3, [0]);
    assert!(matches!(codec::decode_diff(&other), Err(DecodeError::NotCanonical { .. })), "the same one twice");
}

#[test]
fn bytes_2_a_horizon_before_every_dot_is_not_written() {
    let snapshot = Snapshot { horizon: VersionVector::new(), ..valid_snapshot() };
    let bytes = codec::encode_snapshot(&snapshot);
    assert_eq!(codec::decode_snapshot(&bytes).as_ref(), Ok(&snapshot));
    let none = [0; 0];
    let sections = |horizon: &[u8]| sealed(&[(2, &[0]), (4, &[0, 0, 0, 0]), (6, horizon), (8, &[0]), (10, &[0; 16])]);
    assert!(codec::decode_snapshot(&sections(&none)).is_ok());
    assert!(codec::decode_snapshot(&sections(&[0])).is_err());
    // With one replica: the table, and the state that covers it up to 1.
    let (mut table, mut state) = (Vec::from([1]), Vec::from([1]));
    table.extend([7; 16]);
    state.extend([8; 8]);
    state.extend([0, 0, 0, 0]);
    let with = |horizon: &[u8]| sealed(&[(2, &table), (4, &state), (6, horizon), (8, &[0]), (10, &[0; 16])]);
    assert!(codec::decode_snapshot(&with(&[])).is_ok());
    assert!(codec::decode_snapshot(&with(&[1])).is_ok());
    let error = codec::decode_snapshot(&with(&[0])).expect_err("it says nothing");
    assert!(matches!(error, DecodeError::NotCanonical { .. }), "{error}");
}

#[test]
fn diff_1_entries_within_the_base() {
    assert_says(&diff_refused(|diff| diff.adds[0].dot.seq = 5), "base");
}

#[test]
fn diff_3_what_was_removed_beyond_the_base() {
    let refused = |remover: u8, removed: Dot, last: u64| {
        diff_refused(|diff| {
            let mut set = DotRuns::new();
            set.insert_run(removed.replica, removed.seq, last);
            diff.removes = [(id(remover), set)].into();
        })
    };
    // The head says nothing new of it, or nothing at all.
    assert_says(&refused(2, dot(2, 4), 4), "DIFF-3");
    refused(3, dot(2, 4), 4);
    assert_says(&refused(1, dot(1, 8), 8), "REM-1");
    assert_says(&refused(1, dot(1, 9), 9), "REM-1");
    assert_says(&refused(1, dot(2, 6), 6), "REM-1");
    assert_says(&refused(1, dot(2, 4), 6), "REM-1");
    assert_says(&refused(1, dot(1, 4), 1 << 43), "REM-1");
    assert_says(&refused(1, dot(1, 6), 6), "both live and removed");
}

#[test]
fn bytes_2_what_was_removed_has_one_form() {
    let set = || DotRuns::from_iter([dot(2, 4)]);
    let nothing = |diff: &mut Diff| diff.removes = [(id(1), DotRuns::new()), (id(2), set())].into();
    assert_says(&diff_refused(nothing), "removed nothing");
    diff_refused(|diff| diff.removes = [(id(1), set()), (id(1), set())].into());
}

/// Beyond a horizon of 1:4, up to 1:8 and 2:5, with 1:6 alive.
fn valid_snapshot() -> Snapshot {
    let diff = Diff {
        tier: Tier::Full,
        base: VersionVector::new(),
        head: covered(&[(1, 8), (2, 5)]),
        heads: [dot(1, 8)].into(),
        adds: [live(dot(1, 6), root())].into(),
        ahead: VersionVector::new(),
        text: Vec::new(),
        removes: Vec::new(),
        dead: DotRuns::new(),
        bunches: Vec::new(),
    };
    let removals = [removal(dot(1, 5), dot(1, 4)), removal(dot(1, 8), dot(1, 5)), removal(dot(1, 8), dot(2, 4))].into();
    Snapshot { diff, horizon: covered(&[(1, 4)]), removals, beacon: [7; 16] }
}

#[track_caller]
fn removals_refused(removals: &[RemovalRun]) -> DecodeError {
    let mut snapshot = valid_snapshot();
    assert_eq!(codec::decode_snapshot(&codec::encode_snapshot(&snapshot)).as_ref(), Ok(&snapshot));
    snapshot.removals = removals.to_vec();
    codec::decode_snapshot(&codec::encode_snapshot(&snapshot)).expect_err("refused")
}

#[test]
fn rem_1_removals_at_rest_are_of_what_was_written_before() {
    for remover in [dot(1, 4), dot(1, 9), dot(2, 6)] {
        assert_says(&removals_refused(&[removal(remover, dot(2, 4))]), "DIFF-3");
    }
    let refused = |removed: Dot, len: u64, chain: bool| {
        removals_refused(&[RemovalRun { remover: dot(1, 8), removed, len, chain }])
    };
    assert_says(&refused(dot(1, 8), 1, false), "REM-1");
    assert_says(&refused(dot(1, 9), 1, false), "REM-1");
    assert_says(&refused(dot(2, 6), 1, false), "REM-1");
    assert_says(&refused(dot(2, 4), 3, false), "REM-1");
    assert_says(&refused(dot(1, 4), 1 << 43, false), "REM-1");
    assert_says(&refused(dot(1, 4), 2, true), "DIFF-3");
    assert_says(&refused(dot(1, 6), 1, false), "both live and removed");
}

#[test]
fn bytes_2_removals_have_one_form() {
    let chain = [removal(dot(1, 7), dot(2, 3)), removal(dot(1, 8), dot(2, 4))];
    assert_says(&removals_refused(&chain), "neighbouring runs");
    assert_says(&removals_refused(&[removal(dot(1, 8), dot(2, 4)), removal(dot(1, 8), dot(1, 5))]), "not ascending");
    removals_refused(&[removal(dot(1, 8), dot(2, 2)), removal(dot(1, 8), dot(2, 3))]);
    removals_refused(&[removal(dot(1, 8), dot(2, 3)), removal(dot(1, 7), dot(2, 1))]);
}

#[test]
fn diff_1_what_a_digest_and_its_answer_have_in_common() {
    let mut valid = valid_diff();
    (valid.tier, valid.removes) = (Tier::Digest, Vec::new());
    valid.ahead = covered(&[(2, 9), (3, 1)]);
    valid.dead = DotRuns::from_iter([dot(1, 5), dot(2, 4)]);
    let read = |diff: &Diff| codec::decode_diff(&codec::encode_diff(diff));
    assert_eq!(read(&valid).as_ref(), Ok(&valid));
    for beyond in [dot(1, 6), dot(2, 6), dot(3, 1)] {
        let mut diff = valid.clone();
        diff.dead.insert(beyond);
        assert_says(&read(&diff).expect_err("beyond"), "DIFF-1");
    }
    let digest = Digest { version: covered(&[(1, 5)]), live: DotRuns::from_iter([dot(1, 6)]) };
    assert_says(&codec::decode_digest(&codec::encode_digest(&digest)).expect_err("beyond"), "VALID-1");
}

#[test]
fn diff_4_a_full_diff_has_no_base() {
    let mut diff = valid_diff();
    diff.tier = Tier::Full;
    diff.removes.clear();
    diff.head = covered(&[(1, 8), (2, 5)]);
    // The base is not written on this tier.
    let read = codec::decode_diff(&codec::encode_diff(&Diff { base: VersionVector::new(), ..diff.clone() })).unwrap();
    assert!(read.base.is_empty());
    assert_eq!(read.head, diff.head);
}

#[test]
fn seq_5_chains_of_bunches() {
    let cycle = |diff: &mut Diff| {
        diff.bunches = [bunch(dot(1, 2), at(dot(2, 3), 0)), bunch(dot(2, 3), at(dot(1, 2), 0))].into();
    };
    assert_says(&diff_refused(cycle), "SEQ-5");
    let chain = |len: u64| {
        let parent = |seq| if seq == 1 { START } else { at(dot(1, seq - 1), 0) };
        let mut diff = valid_diff();
        diff.base = covered(&[(1, len)]);
        (diff.head, diff.heads, diff.adds, diff.removes) = Default::default();
        diff.bunches = (1..=len).map(|seq| bunch(dot(1, seq), parent(seq))).collect();
        codec::decode_diff(&codec::encode_diff(&diff))
    };
    assert!(chain(MAX_BUNCH_DEPTH as u64).is_ok());
    let error = chain(MAX_BUNCH_DEPTH as u64 + 1).expect_err("too deep");
    assert!(matches!(error, DecodeError::OverLimit { what: "depth of bunches", .. }), "{error}");
}

#[test]
fn seq_3_positions_at_rest_are_whole_chains() {
    let refused = |chains: &[BunchRecord]| codec::decode_positions(&codec::encode_positions(chains)).unwrap_err();
    let (first, second) = (bunch(dot(1, 2), START), bunch(dot(2, 3), at(dot(1, 2), 1)));
    assert!(codec::decode_positions(&codec::encode_positions(&[first, second])).is_ok());
    // Its parent is of a replica that is in the table all the same.
    assert_says(&refused(&[second, bunch(dot(2, 9), START)]), "SEQ-3");
    assert_says(&refused(&[bunch(dot(1, 2), at(dot(2, 3), 0)), second]), "SEQ-5");
    let mut unused = codec::encode_positions(&[first]);
    unused.splice(1..18, [2].into_iter().chain([53; 16]).chain([106; 16]));
    assert!(matches!(codec::decode_positions(&unused), Err(DecodeError::NotCanonical { .. })));
}

#[test]
fn rem_2_horizon_and_removals_of_a_snapshot() {
    let snapshot = valid_snapshot();
    let read = |snapshot: &Snapshot| codec::decode_snapshot(&codec::encode_snapshot(snapshot));
    assert_eq!(read(&snapshot).as_ref(), Ok(&snapshot));
    let horizon = covered(&[(1, 9)]);
    assert_says(&read(&Snapshot { horizon, ..snapshot.clone() }).expect_err("beyond"), "REM-2");
    let horizon = covered(&[(1, 5)]);
    assert_says(&read(&Snapshot { horizon, ..snapshot }).expect_err("within"), "DIFF-3");
}

/// Writes sections into an envelope of a snapshot.
fn sealed(sections: &[(u64, &[u8])]) -> Vec<u8> {
    let mut envelope = EnvelopeWriter::new(EnvelopeKind::Snapshot);
    for (id, bytes) in sections {
        envelope.section(*id, bytes);
    }
    envelope.finish()
}

#[test]
fn sections_odd_ones_are_passed_over_even_ones_are_not() {
    // An empty document: no replicas; no heads, bunches, entries, text; no horizon; no removers; a beacon.
    let empty: [(u64, &[u8]); 5] = [(2, &[0]), (4, &[0, 0, 0, 0]), (6, &[]), (8, &[0]), (10, &[0; 16])];
    let read = codec::decode_snapshot(&sealed(&empty)).unwrap();
    assert_eq!(codec::encode_snapshot(&read), sealed(&empty));
    let with = |at: usize, section: (u64, &'static [u8])| {
        let mut sections = empty.to_vec();
        sections.insert(at, section);
        codec::decode_snapshot(&sealed(&sections))
    };
    assert_eq!(with(5, (11, b"later")).as_ref(), Ok(&read));
    assert_eq!(with(1, (3, b"")).as_ref(), Ok(&read));
    assert_says(&with(5, (12, b"later")).expect_err("even"), "unknown section 12");
    assert_says(&with(5, (3, b"")).expect_err("not ascending"), "ascending");
    for (gone, (id, _)) in empty.iter().enumerate() {
        let mut sections = empty.to_vec();
        sections.remove(gone);
        assert_eq!(codec::decode_snapshot(&sealed(&sections)), Err(DecodeError::MissingSection { id: *id }));
    }
}

#[test]
fn the_header_of_an_envelope_says_what_it_is() {
    let bytes = sealed(&[(2, &[0]), (4, &[0, 0, 0, 0]), (6, &[]), (8, &[0]), (10, &[0; 16])]);
    let error = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        codec::decode_snapshot(&bytes).expect_err("refused")
    };
    assert_says(&error(0, b'X'), "not a file of this library");
    assert_says(&error(4, 2), "unknown format version 2");
    assert_says(&error(5, 9), "unknown kind of envelope 9");
    assert_says(&error(6, 1), "unknown flags 1");
    assert!(matches!(error(8, 200), DecodeError::Truncated { .. }));
    assert!(matches!(error(8, 1), DecodeError::TrailingBytes { .. }));
    assert!(matches!(error(16, bytes[16] ^ 1), DecodeError::Checksum { .. }));
    assert!(matches!(error(bytes.len() - 1, 1), DecodeError::Checksum { .. }));
}
