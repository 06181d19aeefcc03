//! The table of concurrent outcomes, row by row, and the three sentences that predict it.

use weftline::{
    ApplyError, ChangeKind, Commit, Document, Dot, EditError, Kind, NodeMut, Outcome, Path, PathStep, ReplicaId, Tier,
    Timestamp, Transaction, Value,
};

/// Two replicas that have not met, or have met and then edit apart.
struct Pair {
    a: Document,
    b: Document,
    clock: u64,
}

type Edit = fn(&mut Transaction<'_>) -> Result<(), EditError>;

impl Pair {
    fn new() -> Self {
        let writer = |id: u128| Document::with_writer(ReplicaId::from(id));
        Self { a: writer(1), b: writer(2), clock: 1_000 }
    }

    /// Both start from what `setup` made at `a`.
    fn after(setup: Edit) -> Self {
        let mut pair = Self::new();
        pair.a(setup);
        pair.meet();
        pair
    }

    fn a(&mut self, edit: Edit) -> &mut Self {
        self.clock += 10;
        let _: Commit<()> = self.a.transact(Timestamp(self.clock), edit).expect("the edit is possible");
        self
    }

    fn b(&mut self, edit: Edit) -> &mut Self {
        self.clock += 10;
        let _: Commit<()> = self.b.transact(Timestamp(self.clock), edit).expect("the edit is possible");
        self
    }

    /// Both learn what the other did.
    fn meet(&mut self) -> &mut Self {
        let to_a = self.b.diff_since(&self.a.version());
        let to_b = self.a.diff_since(&self.b.version());
        self.a.apply_diff(&to_a).expect("the diff applies");
        self.b.apply_diff(&to_b).expect("the diff applies");
        assert_eq!(self.a.version(), self.b.version());
        assert_eq!(self.a.beacon(), self.b.beacon());
        self
    }

    /// Meets, and reads the same at both.
    #[track_caller]
    fn both<T: PartialEq + std::fmt::Debug>(&mut self, read: impl Fn(&Document) -> T) -> T {
        self.meet();
        let (a, b) = (read(&self.a), read(&self.b));
        assert_eq!(a, b, "both replicas show the same");
        a
    }
}

fn texts(values: Vec<Value>) -> Vec<String> {
    values.iter().map(|value| value.as_str().unwrap_or("?").to_string()).collect()
}

fn items(document: &Document, root: &str) -> Vec<String> {
    let list = document.list(root);
    list.ids().map(|id| list.value(id).and_then(|value| value.as_str().map(String::from)).unwrap_or_default()).collect()
}

#[test]
fn put_and_put_are_both_kept_and_the_later_stamp_is_read() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.put("k", "from a")).b(|tx| tx.map("m")?.put("k", "from b"));
    assert_eq!(texts(pair.both(|doc| doc.map("m").values("k"))), ["from b", "from a"]);
    assert_eq!(pair.a.map("m").get("k"), Some("from b".into()));
    pair.a(|tx| tx.map("m")?.put("k", "settled"));
    assert_eq!(texts(pair.both(|doc| doc.map("m").values("k"))), ["settled"]);
}

#[test]
fn an_observed_write_is_overwritten_whatever_the_clocks_say() {
    let mut pair = Pair::new();
    pair.clock = 1_000_000_000;
    pair.a(|tx| tx.register("r")?.set("from a clock far ahead")).meet();
    pair.clock = 1_000;
    pair.b(|tx| tx.register("r")?.set("later"));
    assert_eq!(texts(pair.both(|doc| doc.register("r").values())), ["later"]);
}

#[test]
fn a_put_survives_a_concurrent_delete() {
    let mut pair = Pair::after(|tx| tx.map("m")?.put("k", "old"));
    pair.a(|tx| tx.map("m")?.remove("k").map(drop)).b(|tx| tx.map("m")?.put("k", "new"));
    assert_eq!(texts(pair.both(|doc| doc.map("m").values("k"))), ["new"]);
}

#[test]
fn deletion_wins_over_edits_inside_what_it_deleted() {
    let mut pair = Pair::after(|tx| {
        let mut map = tx.map("m")?;
        map.map("record")?.put("title", "old")?;
        map.map("record")?.counter("votes")?.add(5)
    });
    pair.a(|tx| tx.map("m")?.remove("record").map(drop)).b(|tx| {
        let mut map = tx.map("m")?;
        map.map("record")?.put("title", "edited")?;
        map.map("record")?.counter("votes")?.add(1)
    });
    assert!(pair.both(|doc| !doc.map("m").contains("record")), "no half record");
    assert_eq!(pair.a.map("m").map("record").counter("votes").value(), 0, "no half counter");
    assert_eq!(pair.a.live_count(), 0, "nothing is left behind");
}

#[test]
fn deleting_an_element_wins_over_editing_and_moving_it() {
    let mut pair = Pair::after(|tx| {
        let mut list = tx.list("l")?;
        list.push("x")?;
        list.push("y")?;
        list.push("z").map(drop)
    });
    pair.a(|tx| tx.list("l")?.remove_at(0)).b(|tx| {
        let mut list = tx.list("l")?;
        let id = list.read().id_at(0).expect("x is there");
        list.put(id, "edited")?;
        list.move_to(id, 2)
    });
    assert_eq!(pair.both(|doc| items(doc, "l")), ["y", "z"]);
}

#[test]
fn removing_and_creating_anew_keeps_the_new_creation_wholly() {
    let mut pair = Pair::after(|tx| tx.map("m")?.map("k")?.put("old", 1));
    pair.a(|tx| tx.map("m")?.remove("k").map(drop)).b(|tx| {
        let mut map = tx.map("m")?;
        map.remove("k")?;
        map.map("k")?.put("new", 2)
    });
    let keys = pair.both(|doc| doc.map("m").map("k").keys().map(String::from).collect::<Vec<_>>());
    assert_eq!(keys, ["new"]);
}

#[test]
fn creations_under_one_key_merge() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.list("todos")?.push("from a").map(drop));
    pair.b(|tx| tx.map("m")?.list("todos")?.push("from b").map(drop));
    let all = pair.both(|doc| {
        let list = doc.map("m").list("todos");
        list.ids().filter_map(|id| list.value(id)).collect::<Vec<_>>()
    });
    assert_eq!(all.len(), 2, "no initialisation race");
    // Removing the key removes both incarnations.
    pair.b(|tx| tx.map("m")?.remove("todos").map(drop));
    assert!(pair.both(|doc| doc.map("m").is_empty()));
    assert_eq!(pair.a.live_count(), 0);
}

#[test]
fn creations_merge_at_every_depth() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.map("x")?.map("y")?.put("a", 1));
    pair.b(|tx| tx.map("m")?.map("x")?.map("y")?.put("b", 2));
    assert_eq!(
        pair.both(|doc| doc.map("m").map("x").map("y").keys().map(String::from).collect::<Vec<_>>()),
        ["a", "b"]
    );
}

#[test]
fn creations_of_other_kinds_are_both_kept() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.map("k")?.put("x", 1)).b(|tx| tx.map("m")?.list("k")?.push("y").map(drop));
    assert_eq!(pair.both(|doc| doc.map("m").kinds("k")), [Kind::MAP, Kind::LIST]);
    assert_eq!(pair.a.map("m").map("k").get("x"), Some(1.into()));
    assert_eq!(pair.a.map("m").list("k").get(0), Some("y".into()));
}

#[test]
fn increments_all_count_once() {
    let mut pair = Pair::after(|tx| tx.counter("c")?.add(10));
    pair.a(|tx| tx.counter("c")?.add(5)).a(|tx| tx.counter("c")?.add(-2)).b(|tx| tx.counter("c")?.add(7));
    assert_eq!(pair.both(|doc| doc.counter("c").value()), 20);
    assert_eq!(pair.a.live_count(), 2, "one running total a replica, whatever the history");
}

#[test]
fn a_counter_keeps_exactly_the_increments_made_on_what_still_lives() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.counter("k")?.add(1)).b(|tx| tx.map("m")?.counter("k")?.add(10)).meet();
    // Both incarnations are known to both now; what each adds goes to the lowest.
    pair.a(|tx| tx.map("m")?.counter("k")?.add(100)).b(|tx| tx.map("m")?.counter("k")?.add(1_000));
    assert_eq!(pair.both(|doc| doc.map("m").counter("k").value()), 1_111);
}

#[test]
fn a_counter_created_concurrently_with_its_removal_loses_only_what_was_observed() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.counter("k")?.add(1));
    pair.b(|tx| tx.map("m")?.counter("k")?.add(10));
    // `a` removes its own incarnation before it hears of the other.
    pair.a(|tx| tx.map("m")?.remove("k").map(drop));
    assert_eq!(pair.both(|doc| doc.map("m").counter("k").value()), 10);
}

#[test]
fn a_total_stays_in_the_incarnation_it_was_made_in() {
    // `b` (the higher id) counts in its own incarnation, then learns of the lower one and counts there.
    let mut pair = Pair::new();
    pair.b(|tx| tx.map("m")?.counter("k")?.add(10));
    pair.a(|tx| tx.map("m")?.counter("k")?.add(1));
    let mut third = Document::with_writer(ReplicaId::from(3));
    third.apply_diff(&pair.b.diff_since(&third.version())).expect("the diff applies");
    pair.meet();
    pair.b(|tx| tx.map("m")?.counter("k")?.add(5));
    // Somebody who knows only the higher incarnation removes it: the ten go, the five stay.
    let removal: Commit<()> = third
        .transact(Timestamp(9_000), |tx| tx.map("m")?.remove("k").map(drop))
        .map_err(|error: EditError| error)
        .expect("the edit is possible");
    let delta = removal.delta.expect("something was removed");
    pair.a.apply(&delta).expect("the delta applies");
    assert_eq!(pair.both(|doc| doc.map("m").counter("k").value()), 6);
}

#[test]
fn adding_wins_over_removing_in_a_set() {
    let mut pair = Pair::after(|tx| tx.set("s")?.add("x"));
    pair.a(|tx| tx.set("s")?.remove(&"x".into()).map(drop)).b(|tx| tx.set("s")?.add("x"));
    assert!(pair.both(|doc| doc.set("s").contains(&"x".into())));
}

#[test]
fn enabling_wins_over_disabling_a_flag() {
    let mut pair = Pair::after(|tx| tx.map("m")?.enable("done"));
    pair.a(|tx| tx.map("m")?.disable("done")).b(|tx| tx.map("m")?.enable("done"));
    assert!(pair.both(|doc| doc.map("m").flag("done").is_enabled()));
    pair.a(|tx| tx.map("m")?.disable("done"));
    assert!(!pair.both(|doc| doc.map("m").flag("done").is_enabled()));
}

#[test]
fn what_a_clear_did_not_see_survives() {
    let mut pair = Pair::after(|tx| {
        tx.map("m")?.put("old", 1)?;
        tx.set("s")?.add("old")?;
        tx.list("l")?.push("old").map(drop)
    });
    pair.a(|tx| {
        tx.map("m")?.clear()?;
        tx.set("s")?.clear()?;
        tx.list("l")?.clear()
    });
    pair.b(|tx| {
        tx.map("m")?.put("new", 1)?;
        tx.set("s")?.add("new")?;
        tx.list("l")?.push("new").map(drop)
    });
    assert_eq!(pair.both(|doc| doc.map("m").keys().map(String::from).collect::<Vec<_>>()), ["new"]);
    assert_eq!(texts(pair.a.set("s").iter().cloned().collect()), ["new"]);
    assert_eq!(items(&pair.a, "l"), ["new"]);
}

#[test]
fn move_and_move_leave_one_element_at_one_place() {
    let mut pair = Pair::after(|tx| {
        for item in ["a", "b", "c", "d"] {
            tx.list("l")?.push(item)?;
        }
        Ok(())
    });
    pair.a(|tx| {
        let id = tx.document().list("l").id_at(0).expect("it is there");
        tx.list("l")?.move_to(id, 3)
    });
    pair.b(|tx| {
        let id = tx.document().list("l").id_at(0).expect("it is there");
        tx.list("l")?.move_to(id, 1)
    });
    assert_eq!(pair.both(|doc| items(doc, "l")), ["b", "a", "c", "d"], "the later move wins, wholly");
}

#[test]
fn an_insert_into_a_deleted_range_survives() {
    let mut pair = Pair::after(|tx| {
        for item in ["a", "b", "c", "d"] {
            tx.list("l")?.push(item)?;
        }
        Ok(())
    });
    pair.a(|tx| tx.list("l")?.clear()).b(|tx| tx.list("l")?.insert(2, "between").map(drop));
    assert_eq!(pair.both(|doc| items(doc, "l")), ["between"]);
}

#[test]
fn removing_and_adding_again_is_fresh() {
    let mut pair = Pair::after(|tx| {
        let mut map = tx.map("m")?;
        map.map("k")?.put("old", 1)?;
        map.map("k")?.counter("n")?.add(5)
    });
    pair.b(|tx| tx.map("m")?.remove("k").map(drop)).meet();
    pair.a(|tx| tx.map("m")?.map("k")?.counter("n")?.add(1));
    assert_eq!(pair.both(|doc| doc.map("m").map("k").keys().map(String::from).collect::<Vec<_>>()), ["n"]);
    assert_eq!(pair.a.map("m").map("k").counter("n").value(), 1, "nothing old resurrects");
}

#[test]
fn runs_typed_at_one_place_do_not_interleave() {
    let mut pair = Pair::new();
    for index in 0..4 {
        let edit = |doc: &mut Document, text: &str, at: usize| {
            let commit: Result<Commit<Dot>, EditError> =
                doc.transact(Timestamp(1_000), |tx| tx.list("l")?.insert(at, format!("{text}{at}")));
            drop(commit.expect("the edit is possible"));
        };
        edit(&mut pair.a, "a", index);
        edit(&mut pair.b, "b", index);
    }
    let all = pair.both(|doc| items(doc, "l"));
    let a_first = ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"];
    let b_first = ["b0", "b1", "b2", "b3", "a0", "a1", "a2", "a3"];
    assert!(all == a_first || all == b_first, "{all:?}");
}

#[test]
fn a_put_is_written_into_every_incarnation_that_holds_the_key() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.map("k")?.put("x", "a")).b(|tx| tx.map("m")?.map("k")?.put("x", "b"));
    // A third knows only one incarnation and removes it; the put was made knowing both.
    let mut third = Document::with_writer(ReplicaId::from(3));
    third.apply_diff(&pair.a.diff_since(&third.version())).expect("the diff applies");
    pair.meet();
    pair.b(|tx| tx.map("m")?.map("k")?.put("x", "both"));
    assert_eq!(texts(pair.both(|doc| doc.map("m").map("k").values("x"))), ["both"], "one delta's value counts once");
    let removal: Result<Commit<()>, EditError> =
        third.transact(Timestamp(9_000), |tx| tx.map("m")?.remove("k").map(drop));
    let delta = removal.expect("the edit is possible").delta.expect("something was removed");
    pair.a.apply(&delta).expect("the delta applies");
    assert_eq!(texts(pair.both(|doc| doc.map("m").map("k").values("x"))), ["both"]);
}

/// `b` creates what is under the key, `a` does too, and a third has only heard of the one of `b`; then `b`, who knows both, edits.
/// What is left when the third removes the key, and so the incarnation of `b` alone.
fn after_the_higher_incarnation_goes(create: Edit, edit: Edit) -> Pair {
    let mut pair = Pair::new();
    pair.b(create);
    let mut third = Document::with_writer(ReplicaId::from(3));
    third.apply_diff(&pair.b.diff_since(&third.version())).expect("the diff applies");
    pair.a(create).meet();
    pair.b(edit);
    let removal: Result<Commit<()>, EditError> =
        third.transact(Timestamp(9_000), |tx| tx.map("m")?.remove("k").map(drop));
    let delta = removal.expect("the edit is possible").delta.expect("something was removed");
    pair.meet();
    for doc in [&mut pair.a, &mut pair.b] {
        doc.apply(&delta).expect("the delta applies");
    }
    pair
}

#[test]
fn what_is_new_goes_into_the_incarnation_of_the_lowest_id_whichever_came_first() {
    let mut pair = after_the_higher_incarnation_goes(
        |tx| tx.map("m")?.map("k").map(drop),
        |tx| tx.map("m")?.map("k")?.put("x", 1),
    );
    assert_eq!(pair.both(|doc| doc.map("m").map("k").get("x")), Some(1.into()));
    let mut pair = after_the_higher_incarnation_goes(
        |tx| tx.map("m")?.counter("k").map(drop),
        |tx| tx.map("m")?.counter("k")?.add(1),
    );
    assert_eq!(pair.both(|doc| doc.map("m").counter("k").value()), 1);
}

#[test]
fn an_element_lives_and_dies_with_what_it_was_put_next_to() {
    let mut pair = after_the_higher_incarnation_goes(
        |tx| {
            let writer = tx.document().writer().map(|id| id.to_string()).unwrap_or_default();
            tx.map("m")?.list("k")?.push(writer).map(drop)
        },
        |tx| {
            let mut map = tx.map("m")?;
            let mut list = map.list("k")?;
            list.insert(1, "after the first")?;
            list.insert(3, "after the second").map(drop)
        },
    );
    let b = ReplicaId::from(2).to_string();
    let left = pair.both(|doc| {
        let list = doc.map("m").list("k");
        list.ids().filter_map(|id| list.value(id)).collect::<Vec<_>>()
    });
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.contains(&b.as_str().into()), "what the third removed is gone, and what was beside it: {left:?}");
}

#[test]
fn an_observed_move_is_replaced_whatever_the_clocks_say() {
    let mut pair =
        Pair::after(|tx| ["a", "b", "c"].into_iter().try_for_each(|item| tx.list("l")?.push(item).map(drop)));
    pair.clock = 1_000_000_000;
    pair.a(|tx| {
        let a = tx.document().list("l").id_at(0).expect("it is there");
        tx.list("l")?.move_to(a, 2)
    });
    pair.meet();
    pair.clock = 2_000;
    pair.b(|tx| {
        let a = tx.document().list("l").id_at(2).expect("it is there");
        tx.list("l")?.move_to(a, 1)
    });
    assert_eq!(pair.both(|doc| items(doc, "l")), ["b", "a", "c"]);
    assert_eq!(pair.a.live_count(), 4, "an element has one place");
}

#[test]
fn when_the_move_that_counts_is_replaced_the_latest_of_the_others_counts() {
    let mut pair =
        Pair::after(|tx| ["a", "b", "c", "d"].into_iter().try_for_each(|item| tx.list("l")?.push(item).map(drop)));
    fn to(tx: &mut Transaction<'_>, index: usize) -> Result<(), EditError> {
        let list = tx.document().list("l");
        let a = list.ids().find(|id| list.value(*id) == Some("a".into())).expect("it is there");
        tx.list("l")?.move_to(a, index)
    }
    // Somebody else moves it too, unseen by both.
    let mut third = pair.a.clone();
    third.set_writer(Some(ReplicaId::from(3))).expect("no transaction is open");
    let moved: Result<Commit<()>, EditError> = third.transact(Timestamp(3_000), |tx| to(tx, 1));
    let moved = moved.expect("the edit is possible").delta.expect("an edit");
    // The first move is stamped by a clock far ahead; the one that replaces it is not, and so comes before the third's.
    pair.clock = 1_000_000_000;
    pair.a(|tx| to(tx, 3)).meet();
    pair.clock = 2_000;
    pair.a.apply(&moved).expect("it applies");
    assert_eq!(items(&pair.a, "l"), ["b", "c", "d", "a"]);
    pair.b(|tx| to(tx, 2));
    assert_eq!(items(&pair.b, "l"), ["b", "c", "a", "d"]);
    assert_eq!(pair.both(|doc| items(doc, "l")), ["b", "a", "c", "d"]);
}

#[test]
fn everything_under_a_key_is_replaced_and_removed_whatever_its_kind() {
    let all: Edit = |tx| {
        let mut map = tx.map("m")?;
        map.enable("k")?;
        map.map("k")?.put("x", 1)?;
        map.counter("k")?.add(1)?;
        map.list("k")?.push("y").map(drop)
    };
    let mut pair = Pair::after(all);
    pair.a(|tx| tx.map("m")?.put("k", "alone"));
    assert_eq!(pair.both(|doc| doc.map("m").kinds("k")), [Kind::REGISTER]);
    pair.b(all);
    assert_eq!(
        pair.both(|doc| doc.map("m").kinds("k")),
        [Kind::REGISTER, Kind::FLAG, Kind::COUNTER, Kind::MAP, Kind::LIST],
        "reaching into a container removes nothing"
    );
    pair.a(|tx| tx.map("m")?.remove("k").map(drop));
    assert!(!pair.both(|doc| doc.map("m").contains("k")));
    assert_eq!(pair.a.live_count(), 0);
}

#[test]
fn adding_and_removing_know_every_concurrent_addition() {
    let mut pair = Pair::new();
    let add: Edit = |tx| {
        tx.set("s")?.add("x")?;
        tx.set("s")?.add("y")?;
        tx.map("m")?.enable("f")
    };
    pair.a(add).b(add).meet();
    pair.a(|tx| {
        tx.set("s")?.remove(&"x".into())?;
        tx.map("m")?.disable("f")
    });
    assert_eq!(texts(pair.both(|doc| doc.set("s").iter().cloned().collect())), ["y"]);
    assert!(!pair.a.map("m").flag("f").is_enabled());
    pair.b(|tx| tx.set("s")?.add("z")).a(|tx| tx.set("s")?.add("y"));
    pair.meet();
    pair.b(|tx| tx.set("s")?.clear());
    assert!(pair.both(|doc| doc.set("s").is_empty()));
    assert_eq!(pair.a.live_count(), 0, "one addition a member is left once it was added again");
}

#[test]
fn a_transaction_is_atomic() {
    let mut pair = Pair::new();
    let failed: Result<Commit<()>, EditError> = pair.a.transact(Timestamp(1), |tx| {
        tx.map("m")?.put("k", 1)?;
        tx.list("l")?.push("x")?;
        tx.list("l")?.remove_at(7)
    });
    assert_eq!(failed.unwrap_err(), EditError::OutOfRange { index: 7, len: 1 });
    assert_eq!(pair.a.roots().count(), 0, "nothing of it is left");
    assert_eq!(pair.a.live_count(), 0);
    assert_eq!(pair.a.version(), Document::new().version());
    pair.a(|tx| tx.list("l")?.push("y").map(drop));
    assert_eq!(pair.both(|doc| items(doc, "l")), ["y"]);
}

#[test]
fn what_a_transaction_takes_back_never_travels() {
    let mut doc = Document::with_writer(ReplicaId::from(1));
    let commit: Commit<()> = doc
        .transact(Timestamp(1), |tx| {
            tx.map("m")?.put("secret", "x")?;
            tx.map("m")?.remove("secret")?;
            Ok::<_, EditError>(())
        })
        .expect("the edit is possible");
    assert_eq!(commit.delta, None);
    assert!(commit.changes.is_empty());
}

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
    let mut pair = Pair::new();
    let first: Commit<()> =
        pair.a.transact(Timestamp(1), |tx| tx.map("m")?.put("k", 1)).map_err(|e: EditError| e).expect("possible");
    let second: Commit<()> =
        pair.a.transact(Timestamp(2), |tx| tx.map("m")?.put("k", 2)).map_err(|e: EditError| e).expect("possible");
    let (first, second) = (first.delta.expect("an edit"), second.delta.expect("an edit"));
    assert_eq!(pair.b.apply(&second).expect("it is parked").outcome, Outcome::Parked);
    assert!(pair.b.map("m").is_empty(), "a provisional state is never shown");
    assert_eq!(pair.b.apply(&first).expect("it applies").outcome, Outcome::Applied);
    assert_eq!(pair.b.map("m").get("k"), Some(2.into()));
    assert_eq!(pair.b.apply(&first).expect("it is known").outcome, Outcome::Known);
}

#[test]
fn a_diff_for_somebody_else_is_refused() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.put("k", 1));
    let base = pair.a.version();
    pair.a(|tx| tx.map("m")?.put("k", 2));
    let diff = pair.a.diff_since(&base);
    assert!(matches!(pair.b.apply_diff(&diff), Err(ApplyError::BaseNotCovered { .. })));
    assert_eq!(pair.b.version(), Document::new().version());
}

#[test]
fn a_float_that_is_no_number_is_the_same_everywhere() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.put("k", Value::Float(f64::from_bits(0xfff8_0000_0000_0001))));
    pair.meet();
    let loaded = Document::load(&pair.a.snapshot()).expect("what was saved loads");
    assert_eq!(loaded.beacon(), pair.a.beacon());
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
fn a_forged_delta_does_not_take_the_place_of_the_real_one() {
    let mut pair = Pair::new();
    let mut deltas = Vec::new();
    for value in 1..=2 {
        let commit: Result<Commit<()>, EditError> =
            pair.a.transact(Timestamp(value), |tx| tx.map("m")?.put("k", value as i64));
        deltas.push(commit.expect("possible").delta.expect("an edit"));
    }
    let mut parts = deltas[1].parts().clone();
    parts.hlc = weftline::Hlc(7);
    let forged = weftline::Delta::seal(parts, weftline::Tag::from_bytes([7; 8]));
    for delta in [&forged, &deltas[1], &deltas[0]] {
        pair.b.apply(delta).expect("it waits, or applies");
    }
    assert_eq!((pair.b.map("m").get("k"), pair.b.parked()), (Some(2.into()), 0));
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
    for round in 0..1_500 {
        set = edit(&mut maker, &|tx| {
            tx.set("s")?.remove(&Value::from(2 * round))?;
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
        for maker in [&maker, &Document::load(&maker.snapshot()).expect("it loads")] {
            let mut old = old.clone();
            old.apply_diff(&maker.diff_since(&old.version())).expect("it applies");
            assert_eq!(old.version(), maker.version());
            assert_eq!(old.beacon(), maker.beacon());
            assert_eq!(items(&old, "l"), items(maker, "l"));
        }
    }
    assert!(tiers[0] > 2 && tiers[1] > 2, "both tiers were served: {tiers:?}");
}

#[test]
fn seq_6_a_saved_document_passes_on_the_dead_structure_of_removals_that_a_peer_lacks() {
    let writer = |id: u128| Document::with_writer(ReplicaId::from(id));
    let (mut first, mut author, mut remover, mut late) = (writer(1), writer(2), writer(3), writer(4));
    let edit = |doc: &mut Document, edit: Edit| {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1), edit);
        commit.expect("the edit is possible").delta.expect("an edit")
    };
    let push: Edit = |tx| tx.list("l")?.push("x").map(drop);
    let begun = edit(&mut first, push);
    let (mut relay, mut peer) = (Document::new(), Document::new());
    for doc in [&mut author, &mut remover, &mut late, &mut relay, &mut peer] {
        doc.apply(&begun).expect("it applies");
    }
    let inserted = edit(&mut author, push);
    for doc in [&mut remover, &mut late, &mut relay] {
        doc.apply(&inserted).expect("it applies");
    }
    let removed = edit(&mut remover, |tx| tx.list("l")?.remove_at(1));
    let beside = edit(&mut late, push);
    relay.apply(&removed).expect("it applies");
    let mut relay = Document::load(&relay.snapshot()).expect("what was saved loads");
    peer.apply_diff(&relay.diff_since(&peer.version())).expect("it applies");
    for doc in [&mut relay, &mut peer] {
        assert_eq!(doc.apply(&beside).expect("it applies").outcome, Outcome::Applied, "what it hangs on is here");
        assert_eq!(items(doc, "l"), ["x", "x"]);
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
