//! Text that no honest replica makes: refused, or taken as the rules say; never a panic, and no more memory than bytes call for.

use std::collections::BTreeMap;

use weftline::testing::{History, Options, Random, dump};
use weftline::{
    ApplyError, BunchRecord, Commit, Container, Delta, DeltaParts, Document, Dot, DotRuns, EditError, Entry, Few, Hlc,
    Kind, Outcome, Payload, Position, ReplicaId, Side, Slot, Tag, TextRun, Timestamp, VersionVector, codec,
};

const START: Position = Position { bunch: Dot::ROOT, index: 0 };

fn replica() -> ReplicaId {
    ReplicaId::from(9)
}

fn dot(seq: u64) -> Dot {
    Dot::new(replica(), seq)
}

fn root(kind: Kind) -> Container {
    Container::Root { name: "t".into(), kind }
}

fn run(first: u64, bunch: u64, container: &Container, text: &str) -> TextRun {
    TextRun { first: dot(first), container: container.clone(), bunch, backward: false, text: text.into() }
}

fn bunch(seq: u64, parent: Position, side: Side) -> BunchRecord {
    BunchRecord { id: dot(seq), parent, side, rank: 0 }
}

fn parts(first_seq: u64, dots: u64, bunches: Vec<BunchRecord>, text: Vec<TextRun>) -> DeltaParts {
    DeltaParts {
        replica: replica(),
        first_seq,
        dots,
        deps: Few::new(),
        hlc: Hlc(0),
        bunches,
        adds: Few::new(),
        text: text.into(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    }
}

/// As it comes from outside.
fn sent(parts: DeltaParts, before: Tag) -> Delta {
    let sealed = Delta::seal(parts, before);
    Delta::decode(sealed.bytes(), before).expect("the bytes keep the rules")
}

fn start() -> Tag {
    Tag::start(replica())
}

/// It can be saved, told, edited and emptied.
fn still_works(document: &Document) {
    let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
    assert_eq!((loaded.beacon(), dump(&loaded)), (document.beacon(), dump(document)));
    let mut told = Document::new();
    told.apply_diff(&document.diff_since(&VersionVector::new())).expect("its own diff applies to nothing");
    assert_eq!((told.beacon(), dump(&told)), (document.beacon(), dump(document)));
    let mut edited = document.clone();
    edited.set_writer(Some(ReplicaId::from(77))).expect("no transaction is open");
    let before = told.version();
    let commit: Result<Commit<()>, EditError> = edited.transact(Timestamp(1), |tx| {
        let mut text = tx.text("t")?;
        let middle = text.read().len() / 2;
        text.insert(0, "before")?;
        text.delete(3..3 + middle)?;
        text.push("ü")
    });
    drop(commit.expect("edits go on"));
    told.apply_diff(&edited.diff_since(&before)).expect("it applies");
    assert_eq!((told.beacon(), dump(&told)), (edited.beacon(), dump(&edited)));
    let commit: Result<Commit<()>, EditError> = edited.transact(Timestamp(2), |tx| tx.text("t")?.clear());
    drop(commit.expect("edits go on"));
    assert!(edited.text("t").is_empty());
}

/// Bunches of a character each, every one in the middle of the one before.
fn chain(first_seq: u64, count: u64, mut parent: Position) -> DeltaParts {
    let (mut bunches, mut text) = (Vec::new(), Vec::new());
    for seq in first_seq..first_seq + count {
        bunches.push(bunch(seq, parent, if seq % 2 == 1 { Side::Right } else { Side::Left }));
        text.push(run(seq, seq, &root(Kind::TEXT), "x"));
        parent = Position { bunch: dot(seq), index: 0 };
    }
    parts(first_seq, count, bunches, text)
}

#[test]
fn valid_1_text_is_as_deep_as_the_limit_and_no_deeper() {
    let limit = codec::limits::MAX_BUNCH_DEPTH as u64;
    let deep = sent(chain(1, limit, START), start());
    let mut document = Document::new();
    assert_eq!(document.apply(&deep).expect("it applies").outcome, Outcome::Applied);
    assert_eq!(document.text("t").len(), limit as usize);
    let before = document.snapshot();
    let deepest = Position { bunch: dot(limit), index: 0 };
    let below = sent(chain(limit + 1, 1, deepest), deep.tag());
    assert!(matches!(document.apply(&below), Err(ApplyError::TooDeep { .. })));
    assert_eq!(document.snapshot(), before);
    let all = Delta::seal(chain(1, limit + 1, START), start());
    assert!(Delta::decode(all.bytes(), start()).is_err());
    let mut fresh = Document::new();
    // In a diff likewise.
    let mut diff = document.diff_since(&VersionVector::new());
    diff.bunches.push(bunch(limit + 1, deepest, Side::Right));
    diff.text.push(run(limit + 1, limit + 1, &root(Kind::TEXT), "x"));
    let entry = diff.head.get(replica()).expect("it wrote");
    diff.head.set(replica(), weftline::VersionEntry { seq: limit + 1, ..entry });
    assert!(codec::decode_diff(&codec::encode_diff(&diff)).is_err());
    assert!(matches!(fresh.apply_diff(&diff), Err(ApplyError::TooDeep { .. })));
    assert!(fresh.version().is_empty() && fresh.text("t").is_empty());
    // Whoever types where nothing deeper may be is told so, and has lost nothing.
    document.set_writer(Some(ReplicaId::from(3))).expect("no transaction is open");
    let order = document.text("t").len();
    let refused = (0..=order).filter(|at| {
        let commit: Result<Commit<()>, EditError> =
            document.clone().transact(Timestamp(1), |tx| tx.text("t")?.insert(*at, "y"));
        matches!(commit, Err(EditError::PositionTooDeep { .. }))
    });
    assert!(refused.take(3).count() > 0);
    still_works(&document);
}

#[test]
fn seq_5_a_bunch_that_hangs_on_an_index_nobody_has_waits_or_is_refused() {
    for (index, bunch_of, refused) in [
        (0, dot(7), false),
        (5, Dot::new(ReplicaId::from(8), 1), false),
        (-5, Dot::new(ReplicaId::from(8), 1), false),
        (i64::MAX, Dot::new(ReplicaId::from(8), 1), true),
        (i64::MIN, Dot::new(ReplicaId::from(8), 1), true),
        (1, Dot::ROOT, true),
    ] {
        let parent = Position { bunch: bunch_of, index };
        let made = parts(1, 1, vec![bunch(1, parent, Side::Right)], vec![run(1, 1, &root(Kind::TEXT), "x")]);
        let sealed = Delta::seal(made, start());
        let mut document = Document::new();
        let taken = match Delta::decode(sealed.bytes(), start()) {
            Ok(delta) => document.apply(&delta).map(|applied| applied.outcome).ok(),
            Err(_) => None,
        };
        assert!(taken != Some(Outcome::Applied), "{parent:?}");
        assert!(!refused || taken.is_none(), "{parent:?}");
        assert!(document.version().is_empty() && document.text("t").is_empty());
        assert_eq!(document.live_count(), 0);
    }
}

#[test]
fn bytes_1_text_is_utf_8_and_cut_between_characters() {
    let good = parts(1, 4, vec![bunch(1, START, Side::Right)], vec![run(1, 1, &root(Kind::TEXT), "añ🎈z")]);
    let bytes = codec::encode_delta(&good);
    assert!(codec::decode_delta(&bytes).is_ok());
    let text = bytes.len() - "añ🎈z".len();
    let refused = |text_bytes: &[u8]| {
        let mut other = bytes[..text].to_vec();
        other.extend_from_slice(text_bytes);
        codec::decode_delta(&other).expect_err("refused");
    };
    // A surrogate, both halves of a pair, beyond the last scalar value, longer than need be, halves of characters.
    for wrong in [
        &b"abc\xed\xa0\x80"[..],
        b"ab\xed\xa0\xbc\xed\xbe\x88",
        b"abc\xf4\x90\x80\x80",
        b"abc\xc1\x81",
        b"abc\xc3",
        b"abc\x80",
        b"abc\xff",
        b"abc",
        b"abcde",
        b"",
    ] {
        refused(wrong);
    }
    let whole = Delta::decode(&bytes, start()).expect("the bytes keep the rules");
    let mut document = Document::new();
    document.apply(&whole).expect("it applies");
    let diff = codec::encode_diff(&document.diff_since(&VersionVector::new()));
    let at = diff.windows(8).position(|window| window == "añ🎈z".as_bytes()).expect("it is in there");
    for (offset, byte) in [(1, 0xed), (2, b'x'), (3, 0x80), (3, 0xff), (6, 0xc3), (7, 0xc3), (0, 0xbf)] {
        let mut other = diff.clone();
        other[at + offset] = byte;
        assert!(codec::decode_diff(&other).is_err(), "{byte:x} at {offset}");
    }
}

#[test]
fn valid_1_text_in_what_is_no_text_is_kept_hidden_and_passed_on() {
    let kinds =
        [Kind::LIST, Kind::MAP, Kind::SET, Kind::COUNTER, Kind::REGISTER, Kind::FLAG, Kind(99), Kind::BOUNDED_COUNTER];
    for kind in kinds {
        let made = parts(1, 3, vec![bunch(1, START, Side::Right)], vec![run(1, 1, &root(kind), "abc")]);
        let delta = sent(made, start());
        let mut document = Document::with_writer(ReplicaId::from(1));
        document.apply(&delta).expect("it applies");
        assert_eq!((document.live_count(), dump(&document).len()), (3, 0), "{kind:?}");
        // It is told, and dies when it is removed.
        let diff = document.diff_since(&VersionVector::new());
        assert_eq!(diff.text.iter().map(|run| &*run.text).collect::<Vec<_>>(), ["abc"]);
        let mut parts = delta.parts().into_owned();
        (parts.first_seq, parts.dots, parts.bunches, parts.text) = (4, 1, Vec::new(), Few::new());
        parts.deps = Few::one(delta.dot());
        parts.removes = DotRuns::from_iter([dot(2)]);
        let removal = sent(parts, delta.tag());
        for mut told in [document.clone(), Document::load(&document.snapshot()).expect("it loads"), {
            let mut fresh = Document::new();
            fresh.apply_diff(&diff).expect("it applies");
            fresh
        }] {
            assert_eq!(told.beacon(), document.beacon(), "{kind:?}");
            told.apply(&removal).expect("it applies");
            assert_eq!(told.live_count(), 2);
            still_works(&told);
        }
    }
}

#[test]
fn valid_1_entries_among_text_and_text_among_elements_do_not_disturb_each_other() {
    let list = root(Kind::LIST);
    let slot = |bunch| Slot::Position { bunch, backward: false };
    let entry = |container: &Container, bunch| Entry {
        container: container.clone(),
        slot: slot(bunch),
        kind: Kind::FLAG,
        entity: true,
        payload: Payload::Empty,
    };
    let bunches = vec![bunch(1, START, Side::Right), bunch(2, START, Side::Right)];
    // One bunch holds elements and characters in turn, in the list and in the text.
    let mut made = parts(
        1,
        8,
        bunches,
        vec![
            run(1, 1, &root(Kind::TEXT), "a"),
            run(3, 1, &root(Kind::TEXT), "b"),
            run(5, 2, &list, "c"),
            run(7, 1, &list, "d"),
        ],
    );
    made.hlc = Hlc(5);
    made.adds = [
        (2, entry(&list, 2)),
        (4, entry(&root(Kind::TEXT), 1)),
        (6, entry(&list, 1)),
        (8, entry(&root(Kind::TEXT), 2)),
    ]
    .into();
    let mut document = Document::new();
    document.apply(&sent(made, start())).expect("it applies");
    assert_eq!(document.text("t"), "ab");
    assert_eq!(document.list("t").ids().collect::<Vec<_>>(), [dot(6), dot(2)]);
    assert_eq!(document.live_count(), 8);
    still_works(&document);
}

#[test]
fn ent_1_runs_of_one_bunch_in_two_incarnations_stay_two() {
    let mut makers = [1, 2].map(|id| Document::with_writer(ReplicaId::from(id)));
    let made = makers.each_mut().map(|maker| {
        let commit: Result<Commit<()>, EditError> = maker.transact(Timestamp(1), |tx| tx.map("m")?.text("t").map(drop));
        commit.expect("the edit is possible").delta.expect("an edit")
    });
    let [first, second] = [&made[0], &made[1]].map(|delta| Container::Entity(delta.dot()));
    let text = vec![run(1, 1, &first, "ab"), run(3, 1, &second, "cd"), run(5, 1, &first, "ef")];
    let mut crafted = parts(1, 6, vec![bunch(1, START, Side::Right)], text);
    crafted.deps = made.iter().map(Delta::dot).collect();
    let crafted = sent(crafted, start());
    let mut document = Document::new();
    for delta in made.iter().chain([&crafted]) {
        document.apply(delta).expect("it applies");
    }
    assert_eq!(document.map("m").text("t"), "abcdef");
    for (maker, left) in makers.iter_mut().zip(["cd", "abef"]) {
        let commit: Result<Commit<()>, EditError> =
            maker.transact(Timestamp(2), |tx| tx.map("m")?.remove("t").map(drop));
        let removal = commit.expect("the edit is possible").delta.expect("an edit");
        for mut document in [document.clone(), Document::load(&document.snapshot()).expect("it loads")] {
            document.apply(&removal).expect("it applies");
            assert_eq!(document.map("m").text("t"), left);
            assert_eq!(document.live_count(), left.len() + 1);
        }
    }
}

#[test]
fn dot_1_runs_of_a_diff_that_overlap_are_refused() {
    let made = parts(1, 6, vec![bunch(1, START, Side::Right)], vec![run(1, 1, &root(Kind::TEXT), "abcdef")]);
    let mut document = Document::new();
    document.apply(&sent(made, start())).expect("it applies");
    let diff = document.diff_since(&VersionVector::new());
    let cases: [Vec<TextRun>; 6] = [
        vec![run(1, 1, &root(Kind::TEXT), "abc"), run(3, 1, &root(Kind::LIST), "def")],
        vec![run(1, 1, &root(Kind::TEXT), "abc"), run(1, 1, &root(Kind::LIST), "abc")],
        vec![run(4, 1, &root(Kind::TEXT), "abc"), run(1, 1, &root(Kind::TEXT), "abc")],
        vec![run(1, 1, &root(Kind::TEXT), "abcdefg")],
        vec![run(1, 1, &root(Kind::TEXT), "")],
        vec![TextRun { first: Dot::new(replica(), Dot::MAX_SEQ), ..run(1, 1, &root(Kind::TEXT), "ab") }],
    ];
    for text in cases {
        let bytes = codec::encode_diff(&weftline::Diff { text, ..diff.clone() });
        assert!(codec::decode_diff(&bytes).is_err());
    }
}

#[test]
fn bytes_1_many_bunches_of_one_character_cost_no_more_than_their_bytes() {
    const MANY: u64 = 50_000;
    // All on the start, all on one character, each on the one before the last but as flat as that; two by two on both sides.
    let shapes: [&dyn Fn(u64) -> (Position, Side); 3] = [
        &|_| (START, Side::Right),
        &|seq| {
            if seq == 1 {
                (START, Side::Right)
            } else {
                (Position { bunch: dot(1), index: 0 }, if seq % 2 == 0 { Side::Left } else { Side::Right })
            }
        },
        &|seq| {
            if seq < 3 {
                (START, Side::Right)
            } else {
                (Position { bunch: dot(seq / 2), index: 0 }, if seq % 2 == 0 { Side::Left } else { Side::Right })
            }
        },
    ];
    for shape in shapes {
        let bunches = (1..=MANY).map(|seq| {
            let (parent, side) = shape(seq);
            bunch(seq, parent, side)
        });
        let text = (1..=MANY).map(|seq| run(seq, seq, &root(Kind::TEXT), "x")).collect();
        let delta = sent(parts(1, MANY, bunches.collect(), text), start());
        let mut document = Document::new();
        document.apply(&delta).expect("it applies");
        assert_eq!(document.text("t").len() as u64, MANY);
        let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
        assert_eq!(loaded.beacon(), document.beacon());
        let mut told = Document::new();
        told.apply_diff(&document.diff_since(&VersionVector::new())).expect("it applies");
        // Nothing of it is left where all is gone.
        told.set_writer(Some(ReplicaId::from(1))).expect("no transaction is open");
        let commit: Result<Commit<()>, EditError> = told.transact(Timestamp(1), |tx| tx.text("t")?.clear());
        drop(commit.expect("edits go on"));
        told.truncate_removals();
        assert!(told.snapshot().len() < 300, "{}", told.snapshot().len());
    }
}

fn histories() -> impl Iterator<Item = (Random, History)> {
    (0..60).map(|seed| {
        let history = History::grow(seed, &Options::default()).unwrap_or_else(|failure| panic!("{}", failure.what));
        (Random::seeded(seed), history)
    })
}

/// Runs put together wrongly on purpose, beyond what flipping bytes reaches.
fn twist(parts: &mut DeltaParts, dots: &[Dot], random: &mut Random) {
    let kinds = [Kind::TEXT, Kind::TEXT, Kind::LIST, Kind::MAP, Kind::REGISTER, Kind(99)];
    let first_seq = parts.first_seq;
    for run in parts.text.iter_mut() {
        match random.below(6) {
            0 => run.container = Container::Entity(*random.pick(dots)),
            1 => run.container = Container::Root { name: "r".into(), kind: *random.pick(&kinds) },
            2 => run.bunch = run.first.seq.saturating_sub(random.below(6) as u64),
            3 => run.backward = !run.backward,
            4 => run.bunch = 1 + (run.bunch + first_seq) / 2,
            _ => run.text = run.text.chars().map(|_| *random.pick(&['a', 'ß', '🎈', '\n'])).collect::<String>().into(),
        }
    }
    for bunch in &mut parts.bunches {
        match random.below(4) {
            0 => bunch.parent = Position { bunch: *random.pick(dots), index: random.below(7) as i64 - 3 },
            1 => bunch.side = if bunch.side == Side::Left { Side::Right } else { Side::Left },
            2 => bunch.rank = random.next_u64() as i32 >> random.below(31),
            _ => {}
        }
    }
    if random.one_in(3) {
        parts.removes.insert(*random.pick(dots));
    }
}

#[test]
fn valid_1_twisted_text_never_panics_and_means_the_same_everywhere() {
    let mut taken = 0;
    for (mut random, history) in histories() {
        let mut seen = BTreeMap::new();
        let deltas: Vec<&Delta> = history.spec().deltas().filter(|delta| !delta.parts().text.is_empty()).collect();
        let dots: Vec<Dot> = history.spec().deltas().map(Delta::dot).collect();
        for delta in &deltas {
            for _ in 0..4 {
                let mut parts = delta.parts().into_owned();
                twist(&mut parts, &dots, &mut random);
                let sealed = Delta::seal(parts, delta.prev_tag());
                let Ok(twisted) = Delta::decode(sealed.bytes(), delta.prev_tag()) else { continue };
                for document in history.documents() {
                    let (mut document, before) = (document.clone(), document);
                    if document.apply(&twisted).is_err() {
                        assert_eq!((document.version(), document.beacon()), (before.version(), before.beacon()));
                    } else if document.version().get(twisted.replica()).is_some_and(|entry| entry.tag == twisted.tag())
                    {
                        taken += 1;
                        let known =
                            seen.entry(document.version_hash()).or_insert_with(|| (document.beacon(), dump(&document)));
                        assert_eq!(*known, (document.beacon(), dump(&document)));
                        still_works(&document);
                    }
                }
            }
        }
    }
    assert!(taken > 50, "some twisted text is acceptable, else this shows nothing: {taken}");
}

#[test]
fn bytes_1_spoiled_text_never_panics() {
    let mut taken = 0;
    for (mut random, history) in histories() {
        for document in history.documents().iter().filter(|document| !document.text("r").is_empty()) {
            let bytes = [codec::encode_diff(&document.diff_since(&VersionVector::new())), document.snapshot()];
            for _ in 0..30 {
                // Bytes of the end, where the text is, and of anywhere.
                let nth = random.below(2);
                let mut spoiled = bytes[nth].clone();
                let from = if random.one_in(2) { spoiled.len() * 2 / 3 } else { 0 };
                for _ in 0..=random.below(2) {
                    let at = from + random.below(spoiled.len() - from);
                    spoiled[at] ^= 1 << random.below(8);
                }
                if nth == 1 {
                    drop(Document::load(&spoiled).map(|document| still_works(&document)));
                } else if let Ok(diff) = codec::decode_diff(&spoiled) {
                    let mut other = history.documents()[random.below(history.documents().len())].clone();
                    let before = other.snapshot();
                    match other.apply_diff(&diff) {
                        Ok(_) => {
                            taken += 1;
                            still_works(&other);
                        }
                        Err(_) => assert_eq!(other.snapshot(), before),
                    }
                }
            }
        }
    }
    assert!(taken > 50, "some spoiled diffs are readable, else this shows nothing: {taken}");
}
