//! Numbers, text and kinds that do not mean the same to all, or nothing at all.
//!
//! | attack | bound |
//! |---|---|
//! | totals that overflow when they are added up | sums of 128 bits: 2⁶⁴ replicas may each count to 2⁶⁴ |
//! | rights in a bounded counter that were never there | read as none; the value is never below the floor |
//! | NaN in many forms, and two zeros | one NaN has bytes; values have one order, in which −0 and 0 are two |
//! | bytes that are no UTF-8 | refused wherever text is read |
//! | entries of another kind, in slots and containers that do not fit them | kept, passed on, and hidden (VALID-1) |
//!
//! Honest replicas all read the same.

use std::sync::Arc;

use weftline::{
    Commit, Container, Delta, Document, EditError, Entry, Few, Hlc, Kind, Payload, ReplicaId, Rights, Slot, Tag,
    TextRun, Timestamp, Value, VersionVector, codec,
};

use super::strangers::{assert_same, crafted, nothing, put, root, sealed, still_works, with_entry};

#[test]
fn esc_2_rights_that_were_never_there_are_read_the_same_everywhere_and_never_below_the_floor() {
    let delta = crafted([(root(Kind::BOUNDED_COUNTER), Slot::Owner, Kind::RIGHTS, false)].into());
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.apply(&delta).expect("it applies");
    let commit: Result<Commit<()>, EditError> =
        document.transact(Timestamp(1), |tx| tx.bounded_counter("r")?.subtract(2));
    let spent = commit.expect("nobody can know better").delta.expect("an edit");
    let mut other = Document::with_writer(ReplicaId::from(2));
    let honest: Result<Commit<()>, EditError> = other.transact(Timestamp(1), |tx| tx.bounded_counter("r")?.add(1));
    document.apply(&honest.expect("possible").delta.expect("an edit")).expect("it applies");
    for delta in [&delta, &spent] {
        other.apply(delta).expect("it applies");
    }
    for document in [&document, &other, &Document::load(&other.snapshot()).expect("what was saved loads")] {
        let counter = document.bounded_counter("r");
        assert_eq!((counter.value(), counter.holders()), (0, [(ReplicaId::from(2), 1)].into()));
        assert_eq!(counter.rights_of(ReplicaId::from(9)), 0);
    }
}

#[test]
fn valid_1_a_register_that_claims_to_be_an_entity_is_hidden() {
    let entries = Vec::from([
        (root(Kind::MAP), Slot::Key("k".into()), Kind::REGISTER, true),
        (root(Kind::MAP), Slot::Key("k".into()), Kind::REGISTER, false),
        (root(Kind::MAP), Slot::Key("l".into()), Kind::FLAG, true),
    ]);
    let mut document = Document::new();
    document.apply(&crafted(entries)).expect("it applies");
    assert_eq!(document.map("r").kinds("k"), [Kind::REGISTER]);
    assert!(!document.map("r").contains("l"));
    assert_eq!(document.live_count(), 3, "it is stored, and passed on");
    still_works(document);
}

#[test]
fn valid_1_what_this_version_does_not_know_is_kept_and_passed_on() {
    let unknown =
        || Entry { kind: Kind(99), payload: Payload::Opaque([1, 2, 3][..].into()), ..put(root(Kind::MAP), "k", 1) };
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.apply(&with_entry(unknown(), Hlc(5))).expect("it applies");
    assert_eq!((document.live_count(), document.map("r").len()), (1, 0), "kept, and not shown");
    let mut other = Document::load(&document.snapshot()).expect("what was saved loads");
    other = {
        let mut third = Document::new();
        third.apply_diff(&other.diff_since(&third.version())).expect("it applies");
        third
    };
    let diff = other.diff_since(&VersionVector::new());
    assert_eq!(diff.adds.iter().map(|add| &add.entry).collect::<Vec<_>>(), [&unknown()], "byte for byte");
    assert_eq!(other.beacon(), document.beacon());
    still_works(document);
}

#[test]
fn valid_1_what_is_hidden_counts_neither_when_it_comes_nor_when_it_goes() {
    let rights = Payload::Rights(Arc::new(Rights { plus: 7, minus: 0, given: Vec::new() }));
    let cases = [
        (Kind::COUNTER, Kind::RIGHTS, rights),
        (Kind::BOUNDED_COUNTER, Kind::TOTAL, Payload::Total { plus: 0, minus: 7 }),
    ];
    for (counter, kind, payload) in cases {
        let hidden = Entry { container: root(counter), slot: Slot::Owner, kind, entity: false, payload };
        let came = with_entry(hidden, Hlc(5));
        let mut parts = came.parts().into_owned();
        (parts.first_seq, parts.deps, parts.adds) = (2, Few::one(came.dot()), Few::new());
        parts.removes = [came.dot()].into_iter().collect();
        let gone = Delta::seal(parts, came.tag());
        let mut document = Document::new();
        let value = |document: &Document| (document.counter("r").value(), document.bounded_counter("r").value());
        for delta in [came, gone] {
            document.apply(&delta).expect("it applies");
            assert_eq!(value(&document), (0, 0), "{kind:?} in {counter:?}");
            let loaded = Document::load(&document.snapshot()).expect("it loads");
            assert_eq!((value(&loaded), loaded.beacon()), ((0, 0), document.beacon()));
        }
    }
}

#[test]
fn totals_as_large_as_can_be_add_up_exactly() {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let mut other = Document::new();
    let mut expected = 0_i128;
    for id in 100..200 {
        let replica = ReplicaId::from(id);
        let (mut parts, before) = nothing(&document, replica);
        let (plus, minus) = if id % 3 == 0 { (u64::MAX, 0) } else { (id as u64, u64::MAX - 1) };
        let payload = Payload::Total { plus, minus };
        let entry =
            Entry { container: root(Kind::COUNTER), slot: Slot::Owner, kind: Kind::TOTAL, entity: false, payload };
        parts.adds = Few::one((1, entry));
        let delta = sealed(parts, before).expect("the bytes keep the rules");
        document.apply(&delta).expect("it applies");
        other.apply(&delta).expect("it applies");
        expected += i128::from(plus) - i128::from(minus);
    }
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| tx.counter("r")?.add(i64::MAX));
    other.apply(&commit.expect("the edit is possible").delta.expect("an edit")).expect("it applies");
    assert_eq!(other.counter("r").value(), expected + i128::from(i64::MAX));
    assert_same(&document, &other);
    still_works(other);
}

/// A writer whose own total was driven to its end by somebody who wrote under its id is refused, not wrapped.
#[test]
fn a_total_at_its_end_is_not_counted_past_it() {
    let mut document = Document::new();
    let writer = ReplicaId::from(1);
    let (mut parts, before) = nothing(&document, writer);
    let payload = Payload::Total { plus: u64::MAX, minus: 0 };
    let entry = Entry { container: root(Kind::COUNTER), slot: Slot::Owner, kind: Kind::TOTAL, entity: false, payload };
    parts.adds = Few::one((1, entry));
    document.apply(&sealed(parts, before).expect("the bytes keep the rules")).expect("it applies");
    document.set_writer(Some(writer)).expect("no transaction is open");
    let refused: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| tx.counter("r")?.add(1));
    assert!(refused.is_err(), "{refused:?}");
    let below: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| tx.counter("r")?.add(-1));
    assert!(below.is_ok());
    assert_eq!(document.counter("r").value(), i128::from(u64::MAX) - 1);
}

#[test]
fn there_is_one_nan_and_there_are_two_zeros() {
    let nans = [f64::NAN, -f64::NAN, f64::from_bits(0x7ff8_0000_0000_0001), f64::from_bits(0xfff0_dead_beef_0001)];
    let honest = with_entry(put(root(Kind::MAP), "k", Value::Float(f64::NAN)), Hlc(5));
    for nan in nans {
        let delta = with_entry(put(root(Kind::MAP), "k", Value::Float(nan)), Hlc(5));
        assert_eq!(delta.bytes(), honest.bytes(), "whoever writes one writes this one");
    }
    // Whoever puts another one into the bytes is refused.
    let canonical = f64::NAN.to_bits().to_le_bytes();
    let at = honest.bytes().windows(8).position(|bytes| bytes == canonical).expect("it is in the bytes");
    for bit in [0, 1, 50, 63] {
        let mut bytes = honest.bytes().to_vec();
        bytes[at + bit / 8] ^= 1 << (bit % 8);
        assert!(Delta::decode(&bytes, Tag::start(ReplicaId::from(9))).is_err(), "bit {bit}");
    }
    let values = [f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    let mut orders = Vec::new();
    for turn in 0..values.len() {
        let mut document = Document::with_writer(ReplicaId::from(1));
        let add: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| {
            (0..values.len()).try_for_each(|nth| tx.set("s")?.add(Value::Float(values[(nth + turn) % values.len()])))
        });
        assert!(add.is_ok());
        let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
        orders.push(loaded.set("s").iter().cloned().collect::<Vec<_>>());
    }
    assert_eq!(orders[0].len(), values.len());
    assert!(orders.iter().all(|order| *order == orders[0]), "one order, whatever the order of writing: {orders:?}");
}

#[test]
fn text_that_is_no_utf_8_is_refused_wherever_it_stands() {
    const MARK: &str = "QZQZ";
    let replica = ReplicaId::from(9);
    let (parts, before) = nothing(&Document::new(), replica);
    let with = |entry: Entry| {
        let mut parts = parts.clone();
        parts.adds = Few::one((1, entry));
        parts
    };
    let member = Entry {
        slot: Slot::Member(MARK.into()),
        kind: Kind::MEMBER,
        payload: Payload::Empty,
        ..put(root(Kind::SET), "", 0)
    };
    let container = Container::Root { name: MARK.into(), kind: Kind::MAP };
    let mut typed = parts.clone();
    typed.dots = 4;
    typed.bunches = crate::bombs::bunches_at_start(replica, 1);
    let (first, text) = (weftline::Dot::new(replica, 1), MARK.into());
    typed.text = Few::one(TextRun { first, container: root(Kind::TEXT), bunch: 1, backward: false, text });
    for parts in [
        with(put(root(Kind::MAP), MARK, 1)),
        with(put(container, "k", 1)),
        with(put(root(Kind::MAP), "k", MARK)),
        with(member),
        typed,
    ] {
        let delta = sealed(parts, before).expect("the bytes keep the rules");
        let mut document = Document::new();
        document.apply(&delta).expect("it applies");
        let diff = codec::encode_diff(&document.diff_since(&VersionVector::new()));
        let snapshot = document.snapshot();
        for wrong in [[0xff, b'Z'], [0xc0, 0x80], [0xed, 0xa0]] {
            let spoil = |bytes: &[u8]| {
                let at = bytes.windows(4).position(|bytes| bytes == MARK.as_bytes()).expect("it is in the bytes");
                let mut bytes = bytes.to_vec();
                bytes[at..at + 2].copy_from_slice(&wrong);
                bytes
            };
            assert!(Delta::decode(&spoil(delta.bytes()), before).is_err());
            assert!(codec::decode_diff(&spoil(&diff)).is_err());
            assert!(codec::decode_snapshot(&spoil(&snapshot)).is_err());
        }
    }
}
