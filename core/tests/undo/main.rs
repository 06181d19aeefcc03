//! Undo and redo, type by type and beside others: the rules UNDO-1 to UNDO-3, each as a story.

mod pair;
mod policies;
mod rows;
mod text;

use pair::{Edit, Pair};
use weftline::{
    ChangeKind, Commit, Document, Dot, EditError, Kind, ReplicaId, Timestamp, Transaction, UndoLimits, Value,
};

fn title(document: &Document) -> Vec<Value> {
    document.map("m").values("title")
}

fn items(document: &Document) -> String {
    let list = document.list("l");
    let item = |id| list.value(id).and_then(|value| value.as_str().map(String::from)).unwrap_or("?".into());
    list.ids().map(item).collect()
}

fn id(tx: &Transaction<'_>, index: usize) -> Result<Dot, EditError> {
    tx.document().list("l").id_at(index).ok_or(EditError::NoSuchElement)
}

const ABC: Edit = |tx| {
    let mut list = tx.list("l")?;
    list.push("a")?;
    list.push("b")?;
    list.push("c").map(drop)
};

// ---- what is written over ----

#[test]
fn a_put_is_undone_and_what_it_replaced_comes_back() {
    let mut pair = Pair::after(|tx| tx.map("m")?.put("title", "old"));
    pair.ann(|tx| tx.map("m")?.put("title", "new")).undo();
    assert_eq!(pair.both(title), ["old".into()]);
    pair.redo();
    assert_eq!(pair.both(title), ["new".into()]);
    pair.undo().undoes_nothing();
    assert_eq!(pair.both(title), ["old".into()]);
}

#[test]
fn undo_1_a_put_that_was_overwritten_elsewhere_stays_overwritten() {
    let mut pair = Pair::after(|tx| tx.map("m")?.put("title", "old"));
    pair.ann(|tx| tx.map("m")?.put("title", "ann's")).meet().bob(|tx| tx.map("m")?.put("title", "bob's")).meet();
    pair.undoes_nothing();
    assert_eq!(pair.both(title), ["bob's".into()]);
}

#[test]
fn undo_1_of_two_concurrent_puts_only_ones_own_goes() {
    for seen in [false, true] {
        let mut pair = Pair::new();
        pair.ann(|tx| tx.map("m")?.put("title", "first"));
        if seen {
            pair.meet();
        }
        pair.ann(|tx| tx.map("m")?.put("title", "ann's")).bob(|tx| tx.map("m")?.put("title", "bob's")).meet().undo();
        assert_eq!(pair.both(title), ["bob's".into()], "what was replaced does not hide what Bob wrote");
        let now = pair.now();
        assert_eq!(pair.ann.redo(now), Ok(None), "what is redone does not hide it either");
        assert_eq!(pair.both(title), ["bob's".into()]);
    }
}

#[test]
fn undo_2_what_another_replica_removed_does_not_come_back_with_what_replaced_it() {
    let mut pair = Pair::after(|tx| tx.map("m")?.put("title", "old"));
    pair.ann(|tx| tx.map("m")?.put("title", "new")).bob(|tx| tx.map("m")?.remove("title").map(drop)).meet();
    assert_eq!(pair.both(title), ["new".into()], "a put survives a concurrent delete");
    pair.undo();
    assert!(pair.both(title).is_empty(), "without it, the key would be gone");
    // And a put that was removed with the key is not undone to what was there before.
    pair.redo().meet().bob(|tx| tx.map("m")?.remove("title").map(drop)).meet().undoes_nothing();
    assert!(pair.both(title).is_empty());
}

#[test]
fn root_registers_and_plain_elements_go_back_to_what_they_held() {
    let mut pair = Pair::after(|tx| {
        tx.register("r")?.set(1)?;
        tx.list("l")?.push("a").map(drop)
    });
    pair.ann(|tx| tx.register("r")?.set(2)).ann(|tx| {
        let first = id(tx, 0)?;
        tx.list("l")?.put(first, "b")
    });
    pair.ann(|tx| {
        let first = id(tx, 0)?;
        tx.list("l")?.put(first, "c")
    });
    pair.undo();
    assert_eq!(pair.both(items), "b");
    pair.undo();
    assert_eq!(pair.both(items), "a", "the first value is in the element itself");
    pair.undo();
    assert_eq!(pair.both(|doc| doc.register("r").get()), Some(1.into()));
    pair.redo().redo().redo();
    assert_eq!(pair.both(|doc| (doc.register("r").get(), items(doc))), (Some(2.into()), "c".into()));
}

#[test]
fn a_put_over_a_container_gives_it_back_with_all_that_was_in_it() {
    let mut pair = Pair::after(|tx| {
        let mut map = tx.map("m")?;
        map.map("title")?.put("de", "Titel")?;
        map.map("title")?.list("notes")?.push("x").map(drop)
    });
    pair.ann(|tx| tx.map("m")?.put("title", "plain")).undo();
    assert_eq!(pair.both(|doc| doc.map("m").kinds("title")), [Kind::MAP]);
    let map = pair.bob.map("m").map("title");
    assert_eq!((map.get("de"), map.list("notes").get(0)), (Some("Titel".into()), Some("x".into())));
}

// ---- sets, flags, counters ----

#[test]
fn set_members_come_and_go_as_they_were() {
    let read = |doc: &Document| doc.set("s").iter().filter_map(Value::as_int).collect::<Vec<_>>();
    let mut pair = Pair::after(|tx| tx.set("s")?.add(1));
    pair.ann(|tx| tx.set("s")?.add(2)).ann(|tx| tx.set("s")?.add(1)).ann(|tx| tx.set("s")?.clear());
    pair.undo();
    assert_eq!(pair.both(read), [1, 2]);
    pair.undo();
    assert_eq!(pair.both(read), [1, 2], "Bob's 1 was there before it was added again");
    pair.undo();
    assert_eq!(pair.both(read), [1]);
    pair.undoes_nothing().redo().redo().redo();
    assert_eq!(pair.both(read), Vec::<i64>::new());
}

#[test]
fn undo_1_and_undo_2_in_a_set_beside_another_replica() {
    let read = |doc: &Document| doc.set("s").iter().filter_map(Value::as_int).collect::<Vec<_>>();
    let mut pair = Pair::after(|tx| tx.set("s")?.add(1));
    // Both add 2: Bob's stays. Both remove 1: it stays away.
    pair.ann(|tx| tx.set("s")?.add(2)).bob(|tx| tx.set("s")?.add(2)).meet().undo();
    assert_eq!(pair.both(read), [1, 2]);
    pair.ann(|tx| tx.set("s")?.remove(&1.into()).map(drop)).bob(|tx| tx.set("s")?.remove(&1.into()).map(drop));
    pair.meet().undoes_nothing();
    assert_eq!(pair.both(read), [2]);
    // Ann adds 3, Bob takes it away: nothing is left to undo.
    pair.ann(|tx| tx.set("s")?.add(3))
        .meet()
        .bob(|tx| tx.set("s")?.remove(&3.into()).map(drop))
        .meet()
        .undoes_nothing();
    assert_eq!(pair.both(read), [2]);
}

#[test]
fn flags_go_back_and_bobs_enabling_stays() {
    let read = |doc: &Document| (doc.flag("f").is_enabled(), doc.map("m").flag("done").is_enabled());
    let mut pair = Pair::after(|tx| tx.map("m")?.enable("done"));
    pair.ann(|tx| tx.flag("f")?.enable()).ann(|tx| tx.map("m")?.disable("done"));
    assert_eq!(pair.both(read), (true, false));
    pair.undo();
    assert_eq!(pair.both(read), (true, true));
    pair.bob(|tx| tx.flag("f")?.enable()).ann(|tx| tx.flag("f")?.enable()).meet().undo();
    assert_eq!(pair.both(read), (true, true), "Bob has enabled it too");
}

#[test]
fn an_increment_is_taken_back_by_itself_alone() {
    let read = |doc: &Document| doc.counter("c").value();
    let mut pair = Pair::after(|tx| tx.counter("c")?.add(100));
    pair.ann(|tx| tx.counter("c")?.add(5)).ann(|tx| tx.counter("c")?.add(-2)).bob(|tx| tx.counter("c")?.add(10)).meet();
    pair.undo();
    assert_eq!(pair.both(read), 115);
    pair.undo();
    assert_eq!(pair.both(read), 110);
    assert_eq!(pair.ann.live_count(), 1, "a counter that Ann had added nothing to holds nothing of hers");
    pair.redo().redo();
    assert_eq!(pair.both(read), 113);
}

#[test]
fn undo_2_an_increment_on_a_counter_that_is_gone_stays_gone() {
    let mut pair = Pair::after(|tx| tx.map("m")?.counter("c")?.add(1));
    pair.ann(|tx| tx.map("m")?.counter("c")?.add(5)).bob(|tx| tx.map("m")?.remove("c").map(drop)).meet();
    pair.undoes_nothing();
    assert!(!pair.both(|doc| doc.map("m").contains("c")));
}

#[test]
fn a_removed_counter_comes_back_with_its_value_and_others_increments_in_it_stay_theirs() {
    let read = |doc: &Document| doc.map("m").counter("c").value();
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.counter("c")?.add(1)).meet().bob(|tx| tx.map("m")?.counter("c")?.add(10)).meet();
    pair.ann(|tx| tx.map("m")?.remove("c").map(drop)).undo();
    assert_eq!(pair.both(read), 11);
    pair.undo();
    assert_eq!(pair.both(read), 10, "Ann's own increment goes, but not the counter: Bob's is in it");
    pair.redo().redo();
    assert!(!pair.both(|doc| doc.map("m").contains("c")));
}

// ---- creations ----

#[test]
fn a_creation_goes_with_all_that_is_ones_own_in_it() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.map("x")?.list("y")?.push("z").map(drop)).undo();
    assert_eq!(pair.both(Document::live_count), 0);
    pair.redo();
    assert_eq!(pair.both(|doc| doc.map("m").map("x").list("y").get(0)), Some("z".into()));
}

#[test]
fn undo_1_a_creation_with_something_of_another_replica_inside_stays() {
    let mut pair = Pair::new();
    pair.ann(|tx| {
        tx.list("l")?.insert_container(0, Kind::MAP)?;
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("title", "milk")
    });
    pair.meet().bob(|tx| {
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("done", true)
    });
    pair.meet().undo();
    let keys = pair.both(|doc| {
        let list = doc.list("l");
        list.map(list.id_at(0).expect("the row is there")).keys().map(String::from).collect::<Vec<_>>()
    });
    assert_eq!(keys, ["done"], "what Ann put goes, what Bob put stays, and what it is in");
    pair.redo();
    let get = |doc: &Document, key: &str| doc.list("l").map(doc.list("l").id_at(0).expect("the row")).get(key);
    assert_eq!(pair.both(|doc| (get(doc, "title"), get(doc, "done"))), (Some("milk".into()), Some(true.into())));
}

// ---- removals ----

#[test]
fn clear_is_undone_for_every_type() {
    let mut pair = Pair::after(|tx| {
        ABC(tx)?;
        tx.map("m")?.put("x", 1)?;
        tx.map("m")?.map("y")?.put("z", 2)?;
        tx.set("s")?.add(1)?;
        tx.set("s")?.add(2)
    });
    pair.ann(|tx| {
        tx.list("l")?.clear()?;
        tx.map("m")?.clear()?;
        tx.set("s")?.clear()
    });
    assert_eq!(pair.ann.live_count(), 0);
    pair.bob(|tx| {
        tx.map("m")?.put("x", "bob's")?;
        tx.list("l")?.insert(1, "+").map(drop)
    });
    pair.meet().undo();
    assert_eq!(pair.both(items), "a+bc");
    let map = |doc: &Document| (doc.map("m").values("x"), doc.map("m").map("y").get("z"), doc.set("s").len());
    assert_eq!(pair.both(map), (vec!["bob's".into()], Some(2.into()), 2));
}

#[test]
fn incarnations_come_back_side_by_side() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.list("todos")?.push("ann's").map(drop));
    pair.bob(|tx| tx.map("m")?.list("todos")?.push("bob's").map(drop)).meet();
    let read = |doc: &Document| {
        let list = doc.map("m").list("todos");
        list.ids().filter_map(|id| list.value(id)).collect::<Vec<_>>()
    };
    let before = pair.both(read);
    pair.ann(|tx| tx.map("m")?.remove("todos").map(drop)).undo();
    assert_eq!(pair.both(read), before);
    // The creation of her own one can still be undone: Bob's was never in it.
    pair.undo();
    assert_eq!(pair.both(read), ["bob's".into()]);
    pair.redo();
    assert_eq!(pair.both(read).len(), 2);
}

#[test]
fn a_put_in_every_incarnation_is_undone_in_every_one() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.map("k")?.put("x", "ann's")).bob(|tx| tx.map("m")?.map("k")?.put("x", "bob's")).meet();
    pair.ann(|tx| tx.map("m")?.map("k")?.put("x", "settled")).undo();
    assert_eq!(pair.both(|doc| doc.map("m").map("k").get("x")), Some("bob's".into()), "the one that was read");
    pair.undo();
    assert_eq!(pair.both(|doc| doc.map("m").map("k").values("x")), ["bob's".into()]);
}

// ---- moves ----

// ---- many steps ----

#[test]
fn several_edits_of_one_transaction_are_one_step() {
    let mut pair = Pair::after(ABC);
    pair.ann(|tx| {
        tx.list("l")?.remove_at(0)?;
        tx.list("l")?.push("x")?;
        let last = id(tx, 2)?;
        tx.list("l")?.put(last, "y")?;
        tx.list("l")?.remove_at(0)?;
        tx.map("m")?.put("k", 1)?;
        tx.map("m")?.put("k", 2)
    });
    assert_eq!(pair.both(items), "cy");
    pair.undo();
    assert_eq!(pair.both(|doc| (items(doc), doc.map("m").len())), ("abc".into(), 0));
    pair.redo();
    assert_eq!(pair.both(|doc| (items(doc), doc.map("m").get("k"))), ("cy".into(), Some(2.into())));
}

#[test]
fn a_new_edit_ends_what_can_be_redone_and_a_remote_one_does_not() {
    let mut pair = Pair::after(ABC);
    pair.ann(|tx| tx.list("l")?.push("d").map(drop)).undo();
    pair.bob(|tx| tx.list("l")?.push("e").map(drop)).meet();
    assert!(pair.ann.can_redo());
    pair.ann(|tx| tx.map("m")?.put("k", 1));
    assert!(!pair.ann.can_redo());
    assert_eq!(pair.ann.redo(Timestamp(9_999)), Ok(None));
}

#[test]
fn a_transaction_that_was_rolled_back_or_kept_out_is_no_step() {
    let mut pair = Pair::new();
    let refused: Result<Commit<()>, EditError> = pair.ann.transact(Timestamp(1), |tx| {
        tx.map("m")?.put("k", 1)?;
        Err(EditError::Gone)
    });
    assert_eq!(refused, Err(EditError::Gone));
    assert!(!pair.ann.can_undo());
    pair.ann(|tx| tx.map("m")?.put("k", "hers")).undo();
    pair.ann(|tx| {
        tx.leave_out_of_undo();
        tx.map("m")?.put("version", 2)
    });
    assert!(pair.ann.can_redo() && !pair.ann.can_undo());
    pair.redo().undo();
    assert_eq!(pair.both(|doc| doc.map("m").keys().map(String::from).collect::<Vec<_>>()), ["version"]);
}

#[test]
fn transactions_close_together_are_one_group_until_it_is_ended() {
    let mut ann = Document::with_writer(ReplicaId::from(1));
    ann.keep_undo(Some(UndoLimits { group_ms: 500, ..UndoLimits::default() }));
    let push = |ann: &mut Document, at: u64, text: &str| {
        let commit: Result<Commit<Dot>, EditError> = ann.transact(Timestamp(at), |tx| tx.list("l")?.push(text));
        commit.expect("the edit is possible").value
    };
    for (at, text) in [(1_000, "a"), (1_400, "b"), (1_800, "c"), (2_300, "d")] {
        push(&mut ann, at, text);
    }
    ann.end_undo_group();
    push(&mut ann, 2_310, "e");
    for left in ["abcd", "abc", ""] {
        assert!(ann.undo(Timestamp(3_000)).expect("it is possible").is_some());
        assert_eq!(items(&ann), left);
    }
    assert!(!ann.can_undo());
    // What is undone ends a group, too.
    push(&mut ann, 3_001, "x");
    for left in ["", "abc"] {
        let _undone = ann.undo(Timestamp(3_001)).expect("it is possible");
        assert_eq!(items(&ann), left.replace("abc", ""));
    }
}

#[test]
fn limits_forget_the_oldest_steps() {
    let put = |ann: &mut Document, text: &str| {
        let commit: Result<Commit<()>, EditError> = ann.transact(Timestamp(1), |tx| tx.map("m")?.put("k", text));
        assert!(commit.expect("the edit is possible").delta.is_some());
    };
    let undo_all = |ann: &mut Document| {
        let mut steps = 0;
        while ann.undo(Timestamp(2)).expect("it is possible").is_some() {
            steps += 1;
        }
        steps
    };
    let mut ann = Document::with_writer(ReplicaId::from(1));
    ann.keep_undo(Some(UndoLimits { steps: 3, ..UndoLimits::default() }));
    for text in ["1", "2", "3", "4", "5"] {
        put(&mut ann, text);
    }
    assert_eq!(undo_all(&mut ann), 3);
    assert_eq!(ann.map("m").get("k"), Some("2".into()));

    ann.keep_undo(Some(UndoLimits { bytes: 5_000, ..UndoLimits::default() }));
    for _ in 0..5 {
        put(&mut ann, &"x".repeat(2_000));
    }
    assert_eq!(undo_all(&mut ann), 2, "each keeps the 2 000 bytes it replaced");
    ann.keep_undo(None);
    put(&mut ann, "y");
    assert!(!ann.can_undo());
    assert_eq!(ann.undo(Timestamp(3)), Ok(None));
}

#[test]
fn undo_asks_for_a_writer_and_no_open_transaction_and_keeps_the_step_if_refused() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.put("k", 1));
    pair.ann.begin(Timestamp(5_000)).expect("none is open");
    assert_eq!(pair.ann.undo(Timestamp(5_000)), Err(EditError::InTransaction));
    assert!(pair.ann.in_transaction());
    pair.ann.rollback();
    pair.ann.set_writer(None).expect("none is open");
    assert_eq!(pair.ann.undo(Timestamp(5_000)), Err(EditError::NoWriter));
    // Under another id, what was written under the first is one's own still.
    pair.ann.set_writer(Some(ReplicaId::from(3))).expect("none is open");
    pair.undo();
    assert!(pair.ann.map("m").is_empty());
}
