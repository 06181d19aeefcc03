//! The limits that honest replicas run into themselves, and those of what one message may say of structure: each refuses, and changes nothing.

use weftline::codec::limits::{MAX_BUNCH_DEPTH, MAX_DELTA_BYTES, MAX_DELTA_DOTS, MAX_REPLICAS};
use weftline::sync::{FrameError, MessageKind, ProtocolError, Session, SessionConfig};
use weftline::{
    ApplyError, BunchRecord, Commit, Diff, Document, Dot, EditError, Position, ReplicaId, Side, Tag, Timestamp,
    VersionEntry, VersionVector,
};

use super::common::{edit, writer};
use super::strangers::{assert_same, nothing, sealed, sent, still_works_for};

fn attempt(
    document: &mut Document,
    body: impl FnOnce(&mut weftline::Transaction<'_>) -> Result<(), EditError>,
) -> Result<Commit<()>, EditError> {
    document.transact(Timestamp(1), body)
}

#[test]
fn a_transaction_that_is_too_large_is_refused_whole() {
    let mut document = writer(1);
    _ = edit(&mut document, 1, |tx| tx.map("r")?.put("k", 1));
    let before = document.snapshot();
    let long = "x".repeat(MAX_DELTA_BYTES + 1);
    let refused = attempt(&mut document, |tx| tx.map("r")?.put("long", long.as_str()));
    assert!(matches!(refused, Err(EditError::TooLarge { what: "bytes", .. })), "{refused:?}");
    let many = "x".repeat(MAX_DELTA_DOTS as usize + 1);
    let refused = attempt(&mut document, |tx| tx.text("t")?.insert(0, &many));
    assert!(matches!(refused, Err(EditError::TooLarge { what: "edits", .. })), "{refused:?}");
    assert_eq!(document.snapshot(), before);
    let most = attempt(&mut document, |tx| tx.text("t")?.insert(0, &many[1..]));
    let delta = most.expect("as many as there may be").delta.expect("an edit");
    let mut other = Document::load(&before).expect("what was saved loads");
    other.apply(&delta).expect("it applies");
    assert_same(&other, &document);
}

#[test]
fn a_writer_that_nears_the_end_of_its_numbers_is_refused_before_it_passes_it() {
    let mut document = writer(1);
    let mut inflated = writer(2).diff_since(&VersionVector::new());
    let one = ReplicaId::from(1);
    inflated.head.set(one, VersionEntry { seq: Dot::MAX_SEQ - 2, tag: Tag::start(one) });
    document.apply_diff(&sent(&inflated)).expect("it applies");
    let refused = attempt(&mut document, |tx| tx.text("t")?.insert(0, "three"));
    assert_eq!(refused.unwrap_err(), EditError::OutOfDots);
    _ = edit(&mut document, 1, |tx| tx.text("t")?.insert(0, "ab"));
    assert_eq!((document.seq(one), document.text("t").len()), (Dot::MAX_SEQ, 2));
    still_works_for(document, ReplicaId::from(77));
}

/// The most replicas that a document can have met: more are refused, by delta, by diff and by edit, and those that are there go on.
#[test]
fn a_document_meets_so_many_replicas_and_no_more() {
    let mut document = writer(1);
    _ = edit(&mut document, 1, |tx| tx.map("r")?.put("k", 1));
    let crowd = |ids: u128| {
        let mut crowd = Document::new().diff_since(&VersionVector::new());
        for id in 0..ids {
            let id = ReplicaId::from(1_000 + id);
            crowd.head.set(id, VersionEntry { seq: 1, tag: Tag::start(id) });
        }
        crowd
    };
    let before = document.snapshot();
    let refused = document.apply_diff(&crowd(MAX_REPLICAS as u128));
    assert_eq!(refused.unwrap_err(), ApplyError::TooManyReplicas { limit: MAX_REPLICAS });
    assert_eq!(document.snapshot(), before);
    document.apply_diff(&crowd(MAX_REPLICAS as u128 - 1)).expect("it applies");
    assert_eq!(document.version().len(), MAX_REPLICAS);
    let (parts, tag) = nothing(&document, ReplicaId::from(2));
    let one_more = sealed(parts, tag).expect("the bytes keep the rules");
    assert_eq!(document.apply(&one_more).unwrap_err(), ApplyError::TooManyReplicas { limit: MAX_REPLICAS });
    // Whoever is there goes on.
    _ = edit(&mut document, 2, |tx| tx.map("r")?.put("k", 2));
    document.set_writer(Some(ReplicaId::from(2))).expect("no transaction is open");
    assert!(attempt(&mut document, |tx| tx.map("r")?.put("k", 3)).is_err());
    assert_eq!(document.map("r").get_as("k"), Some(2));
}

#[test]
fn nothing_comes_into_a_document_in_the_middle_of_a_transaction() {
    let mut other = writer(2);
    let delta = edit(&mut other, 1, |tx| tx.map("r")?.put("k", "theirs"));
    let diff = other.diff_since(&VersionVector::new());
    let mut document = writer(1);
    assert!(matches!(document.edit(), Err(EditError::NoTransaction)));
    assert!(matches!(document.commit(), Err(EditError::NoTransaction)));
    document.begin(Timestamp(1)).expect("none is open");
    document.edit().and_then(|mut tx| tx.map("r")?.put("k", "mine")).expect("one is open");
    assert_eq!(document.apply(&delta).unwrap_err(), ApplyError::InTransaction);
    assert_eq!(document.apply_diff(&diff).unwrap_err(), ApplyError::InTransaction);
    assert!(document.set_writer(None).is_err());
    document.seed_hashes(7);
    assert!(document.commit().expect("one is open").delta.is_some());
    document.apply(&delta).expect("none is open");
    assert_eq!(document.map("r").register("k").values().len(), 2, "both are there");
}

/// A text, and what somebody tells of its structure.
fn told(change: impl FnOnce(&mut Diff)) -> (Document, Diff) {
    let mut maker = writer(1);
    let first = edit(&mut maker, 1, |tx| tx.text("t")?.insert(0, "ab"));
    let mut document = Document::new();
    document.apply(&first).expect("it applies");
    maker.set_writer(Some(ReplicaId::from(2))).expect("no transaction is open");
    _ = edit(&mut maker, 2, |tx| tx.text("t")?.insert(1, "c"));
    let mut diff = maker.diff_since(&document.version());
    change(&mut diff);
    (document, diff)
}

#[test]
fn seq_5_a_diff_moves_no_position_and_makes_none_too_deep_or_without_what_it_hangs_on() {
    let (mut honest, diff) = told(|_| {});
    honest.apply_diff(&diff).expect("it applies");
    assert_eq!(honest.text("t").to_string(), "acb");

    let start = Position { bunch: Dot::ROOT, index: 0 };
    let elsewhere = |diff: &mut Diff| {
        for bunch in &mut diff.bunches {
            (bunch.parent, bunch.side, bunch.rank) = (start, Side::Right, 5);
        }
    };
    let twice = |diff: &mut Diff| {
        let last = *diff.bunches.last().expect("there is one");
        diff.bunches.push(BunchRecord { rank: last.rank + 1, ..last });
    };
    let missing = |diff: &mut Diff| {
        let last = diff.bunches.last_mut().expect("there is one");
        last.parent.bunch = Dot::new(ReplicaId::from(999), 1);
    };
    let circle = |diff: &mut Diff| {
        let last = diff.bunches.last_mut().expect("there is one");
        last.parent = Position { bunch: last.id, index: 0 };
    };
    let deep = |diff: &mut Diff| {
        let id = ReplicaId::from(3);
        let mut parent = start;
        for seq in 1..=MAX_BUNCH_DEPTH as u64 + 1 {
            let bunch = Dot::new(id, seq);
            diff.bunches.push(BunchRecord { id: bunch, parent, side: Side::Right, rank: 0 });
            parent = Position { bunch, index: 0 };
        }
        diff.head.set(id, VersionEntry { seq: MAX_BUNCH_DEPTH as u64 + 1, tag: Tag::start(id) });
    };
    type Change<'a> = Box<dyn Fn(&mut Diff) + 'a>;
    let changes: [(&str, Change<'_>); 5] = [
        ("elsewhere", Box::new(elsewhere)),
        ("twice", Box::new(twice)),
        ("missing", Box::new(missing)),
        ("circle", Box::new(circle)),
        ("deep", Box::new(deep)),
    ];
    for (name, change) in changes {
        let (mut document, diff) = told(|diff| change(diff));
        let before = document.snapshot();
        let refused = document.apply_diff(&diff).unwrap_err();
        let expected = match name {
            "elsewhere" | "twice" => matches!(refused, ApplyError::BunchConflict { .. }),
            "missing" => matches!(refused, ApplyError::MissingBunch { .. }),
            _ => matches!(refused, ApplyError::TooDeep { .. }),
        };
        assert!(expected, "{name}: {refused}");
        assert_eq!(document.snapshot(), before, "{name}");
    }
}

#[test]
fn a_frame_is_no_longer_than_was_said_and_a_message_keeps_its_kind() {
    let now = Timestamp(1);
    let config = SessionConfig { max_frame: 64 << 10, ..SessionConfig::default() };
    let session = || {
        let (mut one, mut other) = (Session::new(config.clone(), now), Session::new(config.clone(), now));
        let hello = other.poll().expect("it says hello");
        one.frame(now, &hello).expect("hello is taken");
        (one, hello[0] >> 2)
    };
    // Frames are numbered from that of the hello on (SES-4).
    let flags = |hello: u8, nth: u8, flags: u8| ((hello + nth) % 64) << 2 | flags;
    let kind = MessageKind::Rows as u8;
    let (mut one, hello) = session();
    let long = [&[flags(hello, 1, 2), kind, 1], &vec![0; config.max_frame][..]].concat();
    let refused = one.frame(now, &long).unwrap_err();
    assert!(matches!(refused, ProtocolError::Frame(FrameError::TooLong { .. })), "{refused}");
    let (mut begun, hello) = session();
    assert_eq!(begun.frame(now, &[flags(hello, 1, 2), kind, 1, 9]), Ok(None));
    let refused = begun.frame(now, &[flags(hello, 2, 1), MessageKind::Diff as u8, 1, 9]).unwrap_err();
    assert!(matches!(refused, ProtocolError::Frame(FrameError::OutOfOrder { channel: 1 })), "{refused}");
}
