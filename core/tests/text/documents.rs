//! Text in documents: transactions and their deltas, changes, diffs, snapshots, limits.

use weftline::codec::limits::MAX_DELTA_DOTS;
use weftline::{
    BunchRecord, ChangeKind, Changes, Commit, Container, Delta, DeltaParts, Document, Dot, DotRuns, EditError, Entry,
    Few, Hlc, Kind, Outcome, Path, Payload, Position, ReplicaId, Side, Slot, Tag, TextLen, TextMut, TextRun, TextStep,
    Tier, Timestamp, codec,
};

use crate::steps::{delete, retain};

fn writer(id: u128) -> Document {
    Document::with_writer(ReplicaId::from(id))
}

fn edit(document: &mut Document, story: impl FnOnce(&mut TextMut<'_, '_>) -> Result<(), EditError>) -> Commit<()> {
    document.transact(Timestamp(1), |tx| story(&mut tx.text("t")?)).expect("the edit is possible")
}

/// The same, where nobody else is told of it yet.
fn alone(document: &mut Document, story: impl FnOnce(&mut TextMut<'_, '_>) -> Result<(), EditError>) {
    drop(edit(document, story));
}

fn steps(changes: &Changes) -> &[TextStep] {
    let [change] = &changes.list[..] else { panic!("one change was expected: {changes:?}") };
    assert_eq!(change.path, Path::root("t", Kind::TEXT));
    if let ChangeKind::Text(steps) = &change.kind { steps } else { panic!("{change:?}") }
}

/// As it travels: bytes, and the tag before them.
fn sent(delta: Option<Delta>) -> Delta {
    let delta = delta.expect("something was edited");
    Delta::decode(delta.bytes(), delta.prev_tag()).expect("what was written is read")
}

#[test]
fn text_goes_from_one_document_to_another_by_delta_diff_and_snapshot() {
    let (mut a, mut b) = (writer(1), writer(2));
    let first = sent(edit(&mut a, |text| text.push("Hello wörld 🎈")).delta);
    let second = sent(edit(&mut a, |text| text.replace(6..11, "you")).delta);
    assert_eq!(b.apply(&second).expect("it waits").outcome, Outcome::Parked);
    b.apply(&first).expect("it applies");
    assert_eq!(b.text("t"), "Hello you 🎈");
    assert_eq!((b.version(), b.beacon()), (a.version(), a.beacon()));

    let base = a.version();
    alone(&mut b, |text| text.insert(0, "> "));
    alone(&mut b, |text| text.delete(3..5));
    let diff = b.diff_since(&base);
    assert_eq!((diff.tier, diff.text.len()), (Tier::Version, 1), "what was typed; what was deleted is removed");
    a.apply_diff(&codec::decode_diff(&codec::encode_diff(&diff)).expect("it is read")).expect("it applies");
    assert_eq!(a.text("t"), "> Hlo you 🎈");

    let loaded = Document::load(&a.snapshot()).expect("what was saved loads");
    assert_eq!(loaded.text("t"), "> Hlo you 🎈");
    assert_eq!((loaded.beacon(), loaded.live_count()), (b.beacon(), a.text("t").len()));
}

#[test]
fn changes_tell_what_is_retained_inserted_and_deleted() {
    let (mut a, mut b) = (writer(1), writer(2));
    let first = edit(&mut a, |text| text.push("one two three"));
    assert_eq!(steps(&first.changes), [TextStep::Insert("one two three".into())]);
    b.apply(&sent(first.delta)).expect("it applies");
    let second = edit(&mut a, |text| {
        text.replace(4..7, "2")?;
        text.push("!")?;
        // Typed and taken back: nobody hears of it.
        text.insert(0, "zero ")?;
        text.delete(..5)
    });
    let expected = [retain(4), delete(3), TextStep::Insert("2".into()), retain(6), TextStep::Insert("!".into())];
    assert_eq!(steps(&second.changes), expected);
    let applied = b.apply(&sent(second.delta)).expect("it applies");
    assert_eq!(steps(&applied.changes), expected);
}

#[test]
fn changes_tell_lengths_in_utf_16_too() {
    let (mut a, mut b) = (writer(1), writer(2));
    let first = edit(&mut a, |text| text.push("🎈a🥛b🎈c"));
    b.apply(&sent(first.delta)).expect("it applies");
    let note = a.text("t");
    let places: Vec<_> = (0..=10).map(|index| note.from_utf16(index)).collect();
    assert_eq!(places, [Some(0), None, Some(1), Some(2), None, Some(3), Some(4), None, Some(5), Some(6), None]);
    assert_eq!((0..=7).filter_map(|index| note.to_utf16(index)).collect::<Vec<_>>(), [0, 2, 3, 5, 6, 8, 9]);
    let second = edit(&mut a, |text| {
        // What was typed in between, and goes with the rest, is not counted.
        text.insert(3, "🎈🎈")?;
        text.delete(2..7)
    });
    let expected = [TextStep::Retain(TextLen { chars: 2, utf16: 3 }), TextStep::Delete(TextLen { chars: 3, utf16: 5 })];
    assert_eq!(steps(&second.changes), expected);
    let applied = b.apply(&sent(second.delta)).expect("it applies");
    assert_eq!(steps(&applied.changes), expected);
}

#[test]
fn causal_2_what_a_transaction_types_and_deletes_is_netted_out() {
    let mut a = writer(1);
    let nothing = edit(&mut a, |text| {
        text.push("draft")?;
        text.clear()
    });
    assert_eq!((nothing.delta, nothing.changes.list.len()), (None, 0));
    let delta = sent(
        edit(&mut a, |text| {
            text.push("abcd")?;
            text.delete(1..3)
        })
        .delta,
    );
    let parts = delta.parts();
    assert!(parts.removes.is_empty());
    assert_eq!(parts.text.iter().map(|run| &*run.text).collect::<Vec<_>>(), ["a", "d"]);
    // Old and new characters may be one run here; only those that others saw are removed.
    let delta = sent(
        edit(&mut a, |text| {
            text.push("ef")?;
            text.delete(1..3)
        })
        .delta,
    );
    assert_eq!((delta.parts().removes.dot_count(), delta.parts().text.len()), (1, 1));
    assert_eq!(a.text("t"), "af");
}

#[test]
fn a_transaction_that_fails_leaves_the_text_as_it_was() {
    let mut a = writer(1);
    alone(&mut a, |text| text.push("one two three"));
    alone(&mut a, |text| text.insert(4, "and a half "));
    let (beacon, saved) = (a.beacon(), a.snapshot());
    let failed = a.transact(Timestamp(2), |tx| {
        let mut text = tx.text("t")?;
        text.replace(2..9, "?")?;
        text.delete(..5)?;
        text.insert(1, "never")?;
        text.clear()?;
        text.push("all gone")?;
        Err::<(), _>(EditError::Gone)
    });
    assert_eq!(failed.unwrap_err(), EditError::Gone);
    assert_eq!(a.text("t"), "one and a half two three");
    assert_eq!((a.beacon(), a.snapshot()), (beacon, saved));
    alone(&mut a, |text| text.delete(3..14));
    assert_eq!(a.text("t"), "one two three");
}

#[test]
fn ent_1_the_text_of_a_removed_entity_dies_and_comes_back_with_a_rollback() {
    let mut a = writer(1);
    let _made: Commit<()> = a
        .transact::<_, EditError>(Timestamp(1), |tx| tx.map("m")?.map("row")?.text("t")?.push("kept"))
        .expect("the edit is possible");
    let failed = a.transact(Timestamp(2), |tx| {
        tx.map("m")?.map("row")?.text("t")?.delete(1..3)?;
        tx.map("m")?.remove("row")?;
        assert_eq!(tx.document().live_count(), 0);
        Err::<(), _>(EditError::Gone)
    });
    assert_eq!(failed.unwrap_err(), EditError::Gone);
    assert_eq!(a.map("m").map("row").text("t"), "kept");
    let removed = a
        .transact::<_, EditError>(Timestamp(3), |tx| tx.map("m")?.remove("row").map(drop))
        .expect("the edit is possible");
    assert_eq!(removed.delta.expect("a removal").parts().removes.dot_count(), 1, "one dot, whatever is inside");
    assert_eq!((a.live_count(), a.beacon()), (0, [0; 16]));
}

#[test]
fn what_is_too_large_is_refused_before_anything_changes() {
    let mut a = writer(1);
    let half = "x".repeat(MAX_DELTA_DOTS as usize / 2 + 1);
    let refused = a.transact(Timestamp(1), |tx| {
        let mut text = tx.text("t")?;
        text.push(&half)?;
        let refused = text.push(&half);
        assert_eq!(text.read().len(), half.len());
        refused
    });
    assert!(matches!(refused, Err(EditError::TooLarge { what: "edits", .. })));
    assert!(a.text("t").is_empty());
    let refused = a.transact(Timestamp(1), |tx| tx.text("t")?.insert(1, "x"));
    assert_eq!(refused.unwrap_err(), EditError::OutOfRange { index: 1, len: 0 });
    let refused = a.transact(Timestamp(1), |tx| tx.text("t")?.delete(0..1));
    assert_eq!(refused.unwrap_err(), EditError::OutOfRange { index: 1, len: 0 });
    let refused = a.transact(Timestamp(1), |tx| tx.text("t")?.delete(1..));
    assert_eq!(refused.unwrap_err(), EditError::OutOfRange { index: 1, len: 0 });
}

#[test]
fn text_is_read_in_every_unit_and_in_pieces() {
    let mut a = writer(1);
    let line = "añb🎈\n";
    for _ in 0..500 {
        alone(&mut a, |text| text.push(line));
    }
    let text = a.text("t");
    assert_eq!((text.len(), text.len_utf8(), text.len_utf16(), text.lines()), (2500, 4500, 3000, 501));
    assert_eq!(text.slice(2490..), line.repeat(2));
    assert_eq!(text.slice(3..=4), "🎈\n");
    assert_eq!(text.slice(2499..9000), "\n");
    let backwards = core::ops::Range { start: 9, end: 3 };
    assert_eq!((text.slice(backwards), text.slice(9000..)), (String::new(), String::new()));
    assert_eq!(text.chunks(..).collect::<String>(), text.to_string());
    assert!(text.chunks(7..1000).all(|chunk| !chunk.is_empty()));
    assert!(text.chars().eq(line.repeat(500).chars()));
    assert_eq!(format!("{:?}", a.text("t")), format!("{:?}", line.repeat(500)));
    assert!(text != "añb" && text == text.to_string().as_str());
}

#[test]
fn a_removal_that_comes_first_is_not_undone_by_a_diff() {
    let (mut a, mut b, mut c) = (writer(1), writer(2), writer(3));
    let typed = edit(&mut a, |text| text.push("abcdef")).delta.expect("an edit");
    b.apply(&sent(Some(typed.clone()))).expect("it applies");
    c.apply(&sent(Some(typed))).expect("it applies");
    alone(&mut b, |text| text.delete(2..4));
    alone(&mut c, |text| text.insert(3, "-"));
    // The log of b is cut: whoever is behind is told by digest, or sent everything.
    b.truncate_removals();
    let by_digest = b.diff_for(&c.digest());
    assert_eq!(by_digest.tier, Tier::Digest);
    c.apply_diff(&codec::decode_diff(&codec::encode_diff(&by_digest)).expect("it is read")).expect("it applies");
    assert_eq!(c.text("t"), "ab-ef");
    let full = b.diff_since(&a.version());
    assert_eq!(full.tier, Tier::Full);
    a.apply_diff(&full).expect("it applies");
    assert_eq!(a.text("t"), "abef");
    a.apply_diff(&c.diff_for(&a.digest())).expect("it applies");
    assert_eq!(a.text("t"), "ab-ef");
}

/// A delta of replica 7 that creates a map under a key, and has text in it, in a root map, in a root text, and in what is none.
fn misplaced() -> Delta {
    let replica = ReplicaId::from(7);
    let root = |kind| Container::Root { name: "r".into(), kind };
    let create = |kind, key: &str| Entry {
        container: root(Kind::MAP),
        slot: Slot::Key(key.into()),
        kind,
        entity: true,
        payload: Payload::Empty,
    };
    let own = |seq| Container::Entity(Dot::new(replica, seq));
    let plain =
        Entry { payload: Payload::Value(1.into()), kind: Kind::REGISTER, entity: false, ..create(Kind::MAP, "v") };
    let run = |(first, container): (u64, Container)| TextRun {
        first: Dot::new(replica, first),
        container,
        bunch: 4,
        backward: false,
        text: "ab".into(),
    };
    let places =
        [(4, own(1)), (6, root(Kind::MAP)), (8, root(Kind::TEXT)), (10, own(2)), (12, own(3)), (14, root(Kind::LIST))];
    let parts = DeltaParts {
        replica,
        first_seq: 1,
        dots: 15,
        deps: Few::new(),
        hlc: Hlc(5),
        bunches: vec![BunchRecord {
            id: Dot::new(replica, 4),
            parent: Position { bunch: Dot::ROOT, index: 0 },
            side: Side::Right,
            rank: 0,
        }],
        adds: vec![(1, create(Kind::MAP, "m")), (2, create(Kind::TEXT, "t")), (3, plain)].into(),
        text: places.map(run).into_iter().collect::<Vec<_>>().into(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    };
    let sealed = Delta::seal(parts, Tag::start(replica));
    Delta::decode(sealed.bytes(), Tag::start(replica)).expect("the bytes keep the rules")
}

#[test]
fn valid_1_text_where_none_belongs_is_kept_and_hidden_and_passed_on() {
    let mut a = writer(1);
    let applied = a.apply(&misplaced()).expect("it is valid");
    assert_eq!((&*a.text("r").to_string(), &*a.map("r").text("t").to_string()), ("ab", "ab"));
    // What is in the plain entry is in nothing; all else lives, seen or not.
    assert_eq!(a.live_count(), 3 + 5 * 2);
    let told = applied.changes.list.iter().filter(|change| matches!(change.kind, ChangeKind::Text(_)));
    assert_eq!(told.count(), 2, "what is hidden is not told of");
    let mut b = Document::load(&a.snapshot()).expect("what was saved loads");
    let mut c = Document::new();
    c.apply_diff(&a.diff_since(&c.version())).expect("it applies");
    for other in [&b, &c] {
        assert_eq!((other.live_count(), other.beacon(), other.digest()), (a.live_count(), a.beacon(), a.digest()));
    }
    // It dies with what it is in, also where nobody sees it.
    b.set_writer(Some(ReplicaId::from(2))).expect("no transaction is open");
    let removed = b.transact::<_, EditError>(Timestamp(9), |tx| tx.map("r")?.clear()).expect("the edit is possible");
    assert_eq!(b.live_count(), 3 * 2);
    c.apply(&sent(removed.delta)).expect("it applies");
    assert_eq!((c.live_count(), c.beacon()), (b.live_count(), b.beacon()));
}
