//! Depth, length and number: little that is dear to take in.
//!
//! | attack | bound |
//! |---|---|
//! | containers in containers without end | nothing recurses; changes are told as far down as `MAX_CONTAINER_DEPTH`, the relay refuses more |
//! | positions that hang on each other without end | `MAX_BUNCH_DEPTH`, where something alive needs them |
//! | long keys and names | `MAX_KEY_BYTES` |
//! | a delta of very many dots, runs, entries, moves, incarnations | `MAX_DELTA_DOTS`, `MAX_DELTA_BYTES`; each costs no more than others |
//! | messages that are begun on very many channels, and never end | `MAX_STAGED`, of which each takes `STAGED_MESSAGE` |
//! | lengths that are announced and not there | a decoder reserves for what is there (also `codec_allocations`) |
//!
//! Honest replicas see a refusal, or a document that is as large as what was sent.

use weftline::sync::{
    FrameError, Message, MessageKind, ProtocolError, Record, Roster, Row, Session, SessionConfig, limits, unpack,
};
use weftline::{
    ApplyError, BunchRecord, Commit, Container, Cursor, Delta, Document, Dot, EditError, Entry, Few, Kind, Payload,
    Position, ReplicaId, Side, Slot, Tag, Timestamp, Transaction, Value, VersionVector, codec,
};

use super::allocations::{live, peak_of};
use super::strangers::{crafted, nothing, put, root, sealed, still_works, with_entry};

/// How many entries. Were the work on them to grow with their square, these tests would not come to an end.
const MANY: u64 = 400_000;

/// Applies a delta and edits after it.
#[track_caller]
fn applies_and_goes_on(delta: &Delta, edit: fn(&mut Transaction<'_>) -> Result<(), EditError>) {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let applied = document.apply(delta).expect("it applies");
    assert!(
        applied.changes.list.iter().map(|change| change.path.steps().len()).sum::<usize>() < delta.bytes().len() * 70
    );
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), edit);
    drop(commit.expect("edits go on"));
    assert_eq!(document.live_count(), 0);
}

#[test]
fn bytes_1_many_moves_of_one_element_cost_no_more_than_many_of_others() {
    let replica = ReplicaId::from(9);
    let mut honest = Document::with_writer(replica);
    let commit: Result<Commit<Dot>, EditError> = honest.transact(Timestamp(1), |tx| tx.list("r")?.push(1));
    let commit = commit.expect("the edit is possible");
    let mut parts = commit.delta.expect("an edit").parts().into_owned();
    for seq in 2..=MANY {
        let slot = Slot::Position { bunch: 1, backward: false };
        let (container, payload) = (Container::Entity(commit.value), Payload::Empty);
        parts.adds.push((seq, Entry { container, slot, kind: Kind::MOVE, entity: false, payload }));
    }
    parts.dots = MANY;
    let sealed = Delta::seal(parts, Tag::start(replica));
    let delta = Delta::decode(sealed.bytes(), Tag::start(replica)).expect("the bytes keep the rules");
    applies_and_goes_on(&delta, |tx| tx.list("r")?.clear());
}

#[test]
fn bytes_1_many_entries_of_one_slot_cost_no_more_than_many_of_others() {
    for (kind, entity) in [(Kind::FLAG, false), (Kind::REGISTER, false), (Kind::MAP, true)] {
        let entries = (0..MANY).map(|_| (root(Kind::MAP), Slot::Key("k".into()), kind, entity)).collect();
        applies_and_goes_on(&crafted(entries), |tx| tx.map("r")?.remove("k").map(drop));
    }
}

#[test]
fn bytes_1_many_incarnations_of_a_bounded_counter_cost_no_more_than_many_entries() {
    let entry = |seq: u64| {
        if seq % 2 == 1 {
            return (root(Kind::MAP), Slot::Key("k".into()), Kind::BOUNDED_COUNTER, true);
        }
        (Container::Entity(Dot::new(ReplicaId::from(9), seq - 1)), Slot::Owner, Kind::RIGHTS, false)
    };
    applies_and_goes_on(&crafted((1..=MANY).map(entry).collect()), |tx| {
        let mut map = tx.map("r")?;
        let mut counter = map.bounded_counter("k")?;
        assert_eq!(counter.read().holders(), [(ReplicaId::from(1), i128::from(MANY))]);
        counter.subtract(MANY / 2)?;
        counter.subtract(MANY / 2)?;
        assert!(matches!(counter.subtract(1), Err(EditError::NotEnoughRights { available: 0, .. })));
        map.remove("k").map(drop)
    });
}

#[test]
fn bytes_1_containers_nested_without_end_are_told_of_as_far_as_any_may_nest() {
    let inside =
        |seq: u64| if seq == 1 { root(Kind::MAP) } else { Container::Entity(Dot::new(ReplicaId::from(9), seq - 1)) };
    let entries = (1..=MANY).map(|seq| (inside(seq), Slot::Key("k".into()), Kind::MAP, true)).collect();
    applies_and_goes_on(&crafted(entries), |tx| tx.map("r")?.remove("k").map(drop));
}

#[test]
fn rem_2_a_removal_of_many_runs_costs_no_more_than_its_dots() {
    let entries = (1..=2 * MANY)
        .map(|seq| (root(Kind::SET), Slot::Member(Value::from(seq as i64)), Kind::MEMBER, false))
        .collect();
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.apply(&crafted(entries)).expect("it applies");
    let before = document.clone();
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| {
        (0..MANY as i64).try_for_each(|value| tx.set("r")?.remove(&Value::from(2 * value)).map(drop))
    });
    let delta = commit.expect("the edit is possible").delta.expect("an edit");
    let mut other = before.clone();
    other.apply(&delta).expect("it applies");
    let mut third = before.clone();
    third.apply_diff(&document.diff_since(&before.version())).expect("it applies");
    assert_eq!((other.beacon(), third.beacon()), (document.beacon(), document.beacon()));
}

/// The bunch that a replica begins a text with.
pub(super) fn bunches_at_start(replica: ReplicaId, seq: u64) -> Vec<BunchRecord> {
    let parent = Position { bunch: Dot::ROOT, index: 0 };
    Vec::from([BunchRecord { id: Dot::new(replica, seq), parent, side: Side::Right, rank: 0 }])
}

/// Bunches, each hanging on the one before, on changing sides, the first on `parent`; and an element in the last.
fn chain(first_seq: u64, count: u64, mut parent: Position, container: &Container, before: Tag) -> Delta {
    let mut parts = crafted(Vec::from([(root(Kind::LIST), Slot::Unit, Kind::FLAG, true)])).parts().into_owned();
    (parts.first_seq, parts.dots, parts.adds) = (first_seq, count, Few::new());
    for seq in first_seq..first_seq + count {
        let id = Dot::new(parts.replica, seq);
        let side = if seq % 2 == 1 { Side::Right } else { Side::Left };
        parts.bunches.push(BunchRecord { id, parent, side, rank: 0 });
        parent = Position { bunch: id, index: 0 };
    }
    let slot = Slot::Position { bunch: parent.bunch.seq, backward: false };
    let (container, payload) = (container.clone(), Payload::Empty);
    parts.adds.push((parent.bunch.seq, Entry { container, slot, kind: Kind::FLAG, entity: true, payload }));
    let sealed = Delta::seal(parts, before);
    Delta::decode(sealed.bytes(), before).expect("the bytes keep the rules")
}

#[test]
fn valid_1_depth_is_judged_only_where_an_entry_needs_it() {
    let start = Position { bunch: Dot::ROOT, index: 0 };
    let limit = codec::limits::MAX_BUNCH_DEPTH as u64;
    let deep = chain(1, limit, start, &root(Kind::LIST), Tag::start(ReplicaId::from(9)));
    let deepest = Position { bunch: deep.dot(), index: 0 };
    let mut keeps = Document::new();
    keeps.apply(&deep).expect("it applies");
    let below = chain(limit + 1, 1, deepest, &root(Kind::LIST), deep.tag());
    assert!(matches!(keeps.apply(&below), Err(ApplyError::TooDeep { .. })));
    // All of it dies; one replica keeps the positions, the other never had them.
    let mut clears = keeps.clone();
    clears.set_writer(Some(ReplicaId::from(1))).expect("no transaction is open");
    let commit: Result<Commit<()>, EditError> = clears.transact(Timestamp(1), |tx| tx.list("r")?.clear());
    keeps.apply(&commit.expect("the edit is possible").delta.expect("an edit")).expect("it applies");
    clears.truncate_removals();
    let mut lacks = Document::new();
    lacks.apply_diff(&clears.diff_since(&VersionVector::new())).expect("it applies");
    let dead = Container::Entity(deep.dot());
    let below = chain(limit + 1, 1, deepest, &dead, deep.tag());
    for mut document in [keeps, lacks] {
        document.apply(&below).expect("it applies wherever the version is the same");
        assert_eq!(document.live_count(), 0);
    }
}

#[test]
fn a_key_or_name_is_no_longer_than_its_limit() {
    let long = "k".repeat(codec::limits::MAX_KEY_BYTES + 1);
    let mut document = Document::with_writer(ReplicaId::from(1));
    let refused: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| tx.map("r")?.put(&long, 1));
    assert!(matches!(refused, Err(EditError::KeyTooLong { .. })));
    for (container, key) in
        [(root(Kind::MAP), long.as_str()), (Container::Root { name: long.as_str().into(), kind: Kind::MAP }, "k")]
    {
        let (mut parts, before) = nothing(&document, ReplicaId::from(9));
        parts.adds = Few::one((1, put(container, key, 1)));
        assert!(sealed(parts, before).is_none(), "what nobody can write is read by nobody");
    }
}

/// A few bytes claim a million dots. They are used up, which is their writer's loss, and nothing is kept for each of them.
#[test]
fn a_claim_of_many_dots_costs_nothing_and_has_a_limit() {
    let mut document = Document::new();
    let (mut parts, before) = nothing(&document, ReplicaId::from(9));
    parts.dots = codec::limits::MAX_DELTA_DOTS;
    let delta = sealed(parts.clone(), before).expect("the bytes keep the rules");
    let held = live();
    let peak = peak_of(|| document.apply(&delta).expect("it applies"));
    assert!(peak < 16 << 10 && live() - held < 16 << 10, "{peak} bytes");
    assert_eq!(document.seq(ReplicaId::from(9)), codec::limits::MAX_DELTA_DOTS);
    parts.dots += 1;
    assert!(sealed(parts, before).is_none());
    still_works(document);
}

#[test]
fn a_removal_of_all_there_ever_was_is_one_run() {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let fill: Result<Commit<()>, EditError> =
        document.transact(Timestamp(1), |tx| (0..1000).try_for_each(|number| tx.set("r")?.add(number)));
    assert!(fill.is_ok());
    let (mut parts, before) = nothing(&document, ReplicaId::from(9));
    parts.removes.insert_run(ReplicaId::from(1), 1, Dot::MAX_SEQ);
    let beyond = sealed(parts.clone(), before).expect("the bytes keep the rules");
    // What it removes was never seen: it waits.
    document.apply(&beyond).expect("it waits");
    assert_eq!((document.live_count(), document.parked()), (1000, 1));
    parts.removes = (1..=1000).map(|seq| Dot::new(ReplicaId::from(1), seq)).collect();
    let all = sealed(parts, before).expect("the bytes keep the rules");
    let peak = peak_of(|| document.apply(&all).expect("it applies"));
    assert_eq!(document.live_count(), 0);
    assert!(peak < 512 << 10, "{peak} bytes to remove a thousand entries");
    still_works(document);
}

/// Numbers as large as can be, wherever a decoder may read a length or a count.
#[test]
fn bytes_1_what_is_announced_and_not_there_takes_no_memory() {
    let roster = Roster::new(Timestamp(1), &VersionVector::new());
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let plausible = [0x80, 0x80, 0x80, 0x10];
    let lead: [&[u8]; 6] = [&[], &[1], &[1, 0], &[1, 1, 0], &[1, 0, 0, 0], &[1, 2, 0, 0, 0, 0]];
    for lead in lead {
        for number in [&huge[..], &plausible[..]] {
            for repeats in 1..8 {
                let bytes = [lead, &number.repeat(repeats)].concat();
                let limit = 512 * bytes.len() + 4096;
                let mut peaks = vec![
                    peak_of(|| codec::decode_delta(&bytes).is_ok()),
                    peak_of(|| codec::decode_diff(&bytes).is_ok()),
                    peak_of(|| codec::decode_snapshot(&bytes).is_ok()),
                    peak_of(|| codec::decode_version(&bytes).is_ok()),
                    peak_of(|| codec::decode_digest(&bytes).is_ok()),
                    peak_of(|| Cursor::from_bytes(&bytes).is_ok()),
                    peak_of(|| Record::decode(&bytes).is_ok()),
                    peak_of(|| Row::decode(&bytes).is_ok()),
                    peak_of(|| unpack(&bytes, &roster).is_ok()),
                ];
                let kinds = (0..=u8::MAX).filter_map(|kind| MessageKind::from_byte(kind).ok());
                peaks.extend(kinds.map(|kind| peak_of(|| Message::decode(kind, &bytes).is_ok())));
                assert!(peaks.iter().all(|peak| *peak <= limit), "{peaks:?} of {limit} for {bytes:?}");
            }
        }
    }
}

#[test]
fn a_long_value_is_held_once() {
    let value = Value::from("x".repeat(1 << 20).as_str());
    let mut document = Document::new();
    let delta = with_entry(put(root(Kind::MAP), "k", value), weftline::Hlc(5));
    let peak = peak_of(|| document.apply(&delta).expect("it applies"));
    assert!(peak < 3 << 20, "{peak} bytes for a value of a mebibyte");
}

/// The least that begins a message: five bytes on a channel of its own, again and again.
#[test]
fn bytes_1_messages_that_are_begun_and_never_end_are_bounded_together() {
    let max_staged = 1 << 20;
    let config = SessionConfig { max_staged, ..SessionConfig::default() };
    let session = || {
        let (mut attacked, mut attacker) =
            (Session::new(config.clone(), Timestamp(1)), Session::new(config.clone(), Timestamp(1)));
        let hello = attacker.poll().expect("it says hello");
        attacked.frame(Timestamp(1), &hello).expect("hello is taken");
        (attacked, hello[0] >> 2)
    };
    // Frames are numbered from that of the hello on (SES-4).
    let frame = |number: u64, channel: u64, body: &[u8]| {
        let mut frame = vec![(((number % 64) as u8) << 2) | 2, MessageKind::Rows as u8];
        frame.extend((0..4).map(|nth| (channel >> (7 * nth)) as u8 | if nth < 3 { 0x80 } else { 0 }));
        frame.extend(body);
        frame
    };
    let (mut attacked, hello) = session();
    let nothing = attacked.frame(Timestamp(1), &frame(u64::from(hello) + 1, 1 << 22, &[]));
    assert!(
        !matches!(nothing, Ok(_) | Err(ProtocolError::Frame(FrameError::Number { .. }))),
        "one that carries nothing begins nothing: {nothing:?}"
    );
    let (mut attacked, hello) = session();
    let mut number = u64::from(hello);
    let mut begun = 0;
    let peak = peak_of(|| {
        for channel in (1 << 22).. {
            number += 1;
            match attacked.frame(Timestamp(1), &frame(number, channel, &[1])) {
                Ok(None) => begun += 1,
                Ok(Some(said)) => panic!("nothing was said to the end: {said:?}"),
                Err(error) => {
                    assert!(matches!(error, ProtocolError::Frame(FrameError::Staged { .. })), "{error}");
                    break;
                }
            }
        }
    });
    assert_eq!(begun, max_staged / (limits::STAGED_MESSAGE + 1));
    assert!(peak < 2 * max_staged, "{peak} bytes for {begun} messages");
}
