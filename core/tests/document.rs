//! What a document does whatever its types: waiting, refusing, taking back, forgetting its history, and passing on what others need.

mod common;

use common::{copy, edit, items, meet, writer};
use weftline::{
    ApplyError, ChangeKind, Commit, Delta, Document, Dot, EditError, Kind, NodeMut, Outcome, Path, PathStep, ReplicaId,
    Tier, Timestamp, Transaction, Value,
};

#[test]
fn stamps_go_on_after_loading_whatever_the_wall_clock_says() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let put = |doc: &mut Document, now: u64, value: i64| {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(now), |tx| tx.map("m")?.put("k", value));
        commit.expect("the edit is possible").delta.expect("an edit").parts().hlc
    };
    let before = put(&mut doc, 5_000_000, 1);
    let mut doc = Document::load(&doc.snapshot()).expect("what was saved loads");
    doc.set_writer(Some(ReplicaId::from(1))).expect("no transaction is open");
    assert!(put(&mut doc, 4_000, 2) > before);
}

#[test]
fn reading_creates_nothing() {
    let doc = Document::new();
    assert!(doc.map("m").map("x").list("y").is_empty());
    assert_eq!(doc.map("m").map("x").counter("y").value(), 0);
    assert_eq!(doc.map("m").kinds("x"), []);
    assert_eq!(doc.roots().count(), 0);
}

#[test]
fn state_is_as_large_as_what_lives_not_as_its_history() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let mut sizes = Vec::new();
    for round in 0..20_000_u64 {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(round), |tx| {
            tx.map("m")?.put("k", i64::try_from(round).unwrap_or(0))?;
            tx.counter("c")?.add(1)?;
            let mut list = tx.list("l")?;
            list.push("x")?;
            if list.read().len() > 5 { list.remove_at(2) } else { Ok(()) }
        });
        drop(commit.expect("the edit is possible"));
        if round % 5_000 == 4_999 {
            sizes.push(doc.snapshot().len());
        }
    }
    assert_eq!(doc.live_count(), 7);
    let (least, most) = (sizes.iter().min(), sizes.iter().max());
    assert!(most < Some(&16_384), "the log and the positions are truncated too: {least:?} to {most:?}");
}

#[test]
fn a_delta_waits_for_what_it_depends_on() {
    let (mut a, mut b) = (writer(1), writer(2));
    let first = edit(&mut a, 1, |tx| tx.map("m")?.put("k", 1));
    let second = edit(&mut a, 2, |tx| tx.map("m")?.put("k", 2));
    assert_eq!(b.apply(&second).expect("it is parked").outcome, Outcome::Parked);
    assert!(b.map("m").is_empty(), "a provisional state is never shown");
    assert_eq!(b.apply(&first).expect("it applies").outcome, Outcome::Applied);
    assert_eq!(b.map("m").get("k"), Some(2.into()));
    assert_eq!(b.apply(&first).expect("it is known").outcome, Outcome::Known);
}

#[test]
fn a_diff_for_somebody_else_is_refused() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, 1, |tx| tx.map("m")?.put("k", 1));
    let base = a.version();
    edit(&mut a, 1, |tx| tx.map("m")?.put("k", 2));
    let diff = a.diff_since(&base);
    assert!(matches!(b.apply_diff(&diff), Err(ApplyError::BaseNotCovered { .. })));
    assert_eq!(b.version(), Document::new().version());
}

#[test]
fn a_float_that_is_no_number_is_the_same_everywhere() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, 1, |tx| tx.map("m")?.put("k", Value::Float(f64::from_bits(0xfff8_0000_0000_0001))));
    meet(&mut a, &mut b);
    let loaded = Document::load(&a.snapshot()).expect("what was saved loads");
    assert_eq!(loaded.beacon(), a.beacon());
}

#[test]
fn a_plain_value_in_the_deepest_list_is_not_too_deep() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let limit = weftline::codec::limits::MAX_CONTAINER_DEPTH;
    let mut path = Path::root("r", Kind::MAP);
    for _ in 0..limit - 2 {
        path = path.join(PathStep::Key { key: "k".into(), kind: Kind::MAP });
    }
    path = path.join(PathStep::Key { key: "k".into(), kind: Kind::LIST });
    let relay = Document::new();
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1), |tx| match tx.at(&path)? {
        NodeMut::List(mut list) => {
            list.push("x")?;
            assert_eq!(list.insert_container(0, Kind::MAP), Err(EditError::TooDeep { limit }));
            Ok(())
        }
        other => panic!("{other:?}"),
    });
    let delta = commit.expect("the edit is possible").delta.expect("an edit");
    assert_eq!(relay.depth_after(&delta), limit, "what a replica may make, a relay takes");
}

#[test]
fn a_rollback_takes_the_clock_back() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let failed: Result<Commit<()>, EditError> = doc.transact(Timestamp(1 << 40), |tx| {
        tx.map("m")?.put("k", 1)?;
        Err(EditError::Gone)
    });
    assert_eq!(failed.unwrap_err(), EditError::Gone);
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1_000), |tx| tx.map("m")?.put("k", 1));
    let delta = commit.expect("the edit is possible").delta.expect("an edit");
    assert_eq!(delta.parts().hlc.millis(), 1_000, "a stamp that nobody saw stamps nothing later");
}

#[test]
fn an_element_that_came_and_went_is_no_change() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1), |tx| {
        tx.list("l")?.push("kept")?;
        tx.list("l")?.push("taken back")?;
        tx.list("l")?.move_to(Dot::new(ReplicaId::from(1), 2), 0)?;
        tx.list("l")?.remove_at(0)
    });
    let kinds: Vec<_> = commit.expect("possible").changes.list.into_iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Inserted(Dot::new(ReplicaId::from(1), 1))]);
}

#[test]
fn an_element_that_is_new_showed_nothing_before() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1), |tx| {
        let id = tx.list("l")?.push("first")?;
        tx.list("l")?.put(id, "second")
    });
    let changes = commit.expect("possible").changes.list;
    let of_value = changes.iter().find(|change| change.kind == ChangeKind::Value).expect("it was written to");
    assert_eq!((&of_value.old, &of_value.new), (&None, &Some("second".into())));
}

#[test]
fn a_total_may_grow_by_as_much_as_there_is() {
    let (mut doc, mut other) = (writer(1), writer(2));
    let steps = [(1, 1), (i64::MAX, i64::MIN + 2), (1 << 60, -1), (1 << 59, -(1 << 60)), (1, -1)];
    let mut sum = 0;
    for (now, (up, down)) in (1..).zip(steps) {
        let delta = edit(&mut doc, now, |tx| {
            tx.counter("up")?.add(up)?;
            tx.counter("down")?.add(down)?;
            tx.counter("both")?.add(up)?;
            tx.counter("both")?.add(down)
        });
        let read = Delta::decode(delta.bytes(), delta.prev_tag()).expect("what was written is read");
        assert_eq!(read, delta);
        assert_eq!(other.apply(&read).expect("it applies").outcome, Outcome::Applied);
        sum += i128::from(up) + i128::from(down);
        assert_eq!(other.counter("both").value(), sum);
    }
}

#[test]
fn a_total_that_is_gone_again_is_not_spoken_of() {
    let mut doc = writer(1);
    edit(&mut doc, 1, |tx| tx.map("m")?.counter("votes")?.add(1));
    let delta = edit(&mut doc, 2, |tx| {
        tx.map("m")?.counter("votes")?.add(1)?;
        tx.map("m")?.remove("votes").map(drop)
    });
    assert_eq!((delta.parts().adds.len(), delta.parts().totals_before.len()), (0, 0));
}

#[test]
fn a_forged_delta_does_not_take_the_place_of_the_real_one() {
    let (mut a, mut b) = (writer(1), writer(2));
    let mut deltas = Vec::new();
    for value in 1..=2 {
        let commit: Result<Commit<()>, EditError> =
            a.transact(Timestamp(value), |tx| tx.map("m")?.put("k", value as i64));
        deltas.push(commit.expect("possible").delta.expect("an edit"));
    }
    let mut parts = deltas[1].parts().into_owned();
    parts.hlc = weftline::Hlc(7);
    let forged = weftline::Delta::seal(parts, weftline::Tag::from_bytes([7; 8]));
    for delta in [&forged, &deltas[1], &deltas[0]] {
        b.apply(delta).expect("it waits, or applies");
    }
    assert_eq!((b.map("m").get("k"), b.parked()), (Some(2.into()), 0));
}

#[test]
fn rem_2_a_log_cut_in_the_middle_serves_whoever_is_beyond_the_cut() {
    let mut maker = Document::with_writer(ReplicaId::from(2));
    let mut other = Document::with_writer(ReplicaId::from(1));
    let mut saved = Vec::new();
    let edit = |doc: &mut Document, edit: &dyn Fn(&mut Transaction<'_>) -> Result<(), EditError>| {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1), edit);
        commit.expect("possible").delta.expect("an edit")
    };
    let mut set = edit(&mut maker, &|tx| (0..3_000).try_for_each(|value| tx.set("s")?.add(value)));
    other.apply(&set).expect("it applies");
    for round in 0..3_000 {
        set = edit(&mut maker, &|tx| {
            // In no order, so that no two are neighbours.
            tx.set("s")?.remove(&Value::from(round * 1_009 % 3_000))?;
            tx.list("l")?.insert(0, round)?;
            if round % 3 == 0 { tx.list("l")?.remove_at(0) } else { Ok(()) }
        });
        other.apply(&set).expect("it applies");
        if round % 7 == 0 {
            set = edit(&mut other, &|tx| {
                let middle = tx.list("l")?.read().len() / 2;
                tx.list("l")?.insert(middle, -round)?;
                if round % 2 == 0 && middle > 1 { tx.list("l")?.remove_at(0) } else { Ok(()) }
            });
            maker.apply(&set).expect("it applies");
        }
        if round % 100 == 0 {
            saved.push(other.clone());
        }
    }
    let horizon = maker.horizon();
    assert!(!horizon.is_empty() && !horizon.dominates(&maker.version()), "the log was cut in its middle");
    let mut tiers = [0, 0];
    for old in &saved {
        let diff = maker.diff_since(&old.version());
        assert_eq!(diff.tier == Tier::Version, old.version().dominates(&horizon));
        tiers[usize::from(diff.tier == Tier::Full)] += 1;
        assert_eq!(maker.diff_for(&old.digest()).tier == Tier::Version, old.version().dominates(&horizon));
        for maker in [&maker, &Document::load(&maker.snapshot()).expect("it loads")] {
            let (before, mut old) = (old, old.clone());
            old.apply_diff(&maker.diff_since(&old.version())).expect("it applies");
            assert_eq!(old.version(), maker.version());
            assert_eq!(old.beacon(), maker.beacon());
            assert!(old.list("l").values().eq(maker.list("l").values()));
            let mut by_digest = before.clone();
            by_digest.apply_diff(&maker.diff_for(&by_digest.digest())).expect("it applies");
            assert_eq!((by_digest.version(), by_digest.beacon()), (maker.version(), maker.beacon()));
        }
    }
    assert!(tiers[0] > 2 && tiers[1] > 2, "both tiers were served: {tiers:?}");
}

#[test]
fn seq_6_a_saved_document_passes_on_the_dead_structure_of_removals_that_a_peer_lacks() {
    let (mut first, mut author, mut remover, mut late) = (writer(1), writer(2), writer(3), writer(4));
    let push = |tx: &mut Transaction<'_>| tx.list("l")?.push("x").map(drop);
    let begun = edit(&mut first, 1, push);
    let (mut relay, mut peer) = (Document::new(), Document::new());
    for doc in [&mut author, &mut remover, &mut late, &mut relay, &mut peer] {
        doc.apply(&begun).expect("it applies");
    }
    let inserted = edit(&mut author, 1, push);
    for doc in [&mut remover, &mut late, &mut relay] {
        doc.apply(&inserted).expect("it applies");
    }
    let removed = edit(&mut remover, 1, |tx| tx.list("l")?.remove_at(1));
    let beside = edit(&mut late, 1, push);
    relay.apply(&removed).expect("it applies");
    let mut relay = Document::load(&relay.snapshot()).expect("what was saved loads");
    peer.apply_diff(&relay.diff_since(&peer.version())).expect("it applies");
    for doc in [&mut relay, &mut peer] {
        assert_eq!(doc.apply(&beside).expect("it applies").outcome, Outcome::Applied, "what it hangs on is here");
        assert_eq!(items(doc.list("l")), ["x", "x"]);
    }
}

#[test]
fn handles_cross_threads() {
    fn both<T: Send + Sync>() {}
    both::<Document>();
    both::<weftline::Delta>();
    both::<weftline::Diff>();
    both::<Commit<()>>();
    both::<weftline::MapRef<'_>>();
    both::<Transaction<'_>>();
}

#[test]
#[should_panic(expected = "DIFF-7")]
fn diff_7_a_snapshot_is_not_made_of_half_a_transaction() {
    let mut document = Document::with_writer(ReplicaId::from(1));
    document.begin(Timestamp(1)).expect("none is open");
    drop(document.snapshot());
}

#[test]
fn diff_3_a_diff_tells_removals_by_replica_and_whoever_stands_in_between_learns_all_it_lacks() {
    let mut maker = writer(1);
    let keys = ["a", "b", "c", "d"];
    edit(&mut maker, 1, |tx| keys.iter().try_for_each(|key| tx.map("m")?.put(key, 1)));
    let [mut behind, mut between, mut last] = [2, 3, 4].map(|id| copy(&maker, id));
    let removals: Vec<Delta> =
        keys.iter().map(|key| edit(&mut maker, 2, |tx| tx.map("m")?.remove(key).map(drop))).collect();
    between.apply(&removals[0]).expect("it applies");

    let diff = maker.diff_since(&behind.version());
    let [(remover, removed)] = &diff.removes[..] else { panic!("{:?}", diff.removes) };
    assert_eq!((*remover, removed.dot_count()), (ReplicaId::from(1), 4));
    behind.apply_diff(&diff).expect("it applies");

    // What the first removal took is told again, and harms nothing; the others are told for the first time.
    let again = behind.diff_since(&between.version());
    assert_eq!((again.tier, again.removes[0].1.dot_count()), (Tier::Version, 4));
    between.apply_diff(&again).expect("it applies");
    for maker in [&behind, &between] {
        let mut last = last.clone();
        last.apply_diff(&maker.diff_since(&last.version())).expect("it applies");
        assert_eq!((last.map("m").len(), last.version(), last.beacon()), (0, maker.version(), maker.beacon()));
    }
    meet(&mut between, &mut last);
    // Nobody is told of removals that it covers.
    assert!(behind.diff_since(&last.version()).removes.is_empty());
}

#[test]
fn what_is_in_a_container_of_a_replica_with_a_greater_id_is_loaded_although_it_comes_first() {
    let mut creator = Document::with_writer(ReplicaId::from(2));
    let created = creator.transact(Timestamp(1), |tx| tx.map("rows")?.map("row")?.map("inner").map(drop)).unwrap();
    let mut other = Document::with_writer(ReplicaId::from(1));
    other.apply(&created.delta.unwrap()).unwrap();
    let fill = |tx: &mut Transaction<'_>| {
        let mut rows = tx.map("rows")?;
        let mut row = rows.map("row")?;
        // Nested as well, and a key that is known by number when it comes again.
        row.map("own")?.put("title", "of the first")?;
        row.map("inner")?.put("title", "of the second")?;
        rows.put("title", "of all")
    };
    assert!(other.transact(Timestamp(2), fill).is_ok());

    let loaded = Document::load(&other.snapshot()).unwrap();
    let row = loaded.map("rows").map("row");
    assert_eq!(row.map("own").get_as("title"), Some("of the first"));
    assert_eq!(row.map("inner").get_as("title"), Some("of the second"));
    assert_eq!(loaded.map("rows").get_as("title"), Some("of all"));
    assert_eq!((loaded.live_count(), loaded.beacon()), (other.live_count(), other.beacon()));
    assert_eq!(loaded.snapshot(), other.snapshot());
}
