//! What an edit removes and where it writes: all that it has seen, in the right one of several incarnations, and nothing else.

mod common;
#[path = "semantics/pair.rs"]
mod pair;

use common::items;
use pair::{Pair, texts};
use weftline::{Commit, Document, EditError, Kind, ReplicaId, Timestamp, Transaction};

type Edit = fn(&mut Transaction<'_>) -> Result<(), EditError>;

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
    assert_eq!(pair.both(|doc| items(doc.list("l"))), ["b", "a", "c"]);
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
    assert_eq!(items(pair.a.list("l")), ["b", "c", "d", "a"]);
    pair.b(|tx| to(tx, 2));
    assert_eq!(items(pair.b.list("l")), ["b", "c", "a", "d"]);
    assert_eq!(pair.both(|doc| items(doc.list("l"))), ["b", "a", "c", "d"]);
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
fn a_tie_of_stamps_is_broken_by_the_greater_id_wherever_it_was_heard_of_first() {
    let mut pair = Pair::new();
    let mut stamps = Vec::new();
    for (doc, value) in [(&mut pair.a, "lower"), (&mut pair.b, "greater")] {
        let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(5_000), |tx| tx.map("m")?.put("k", value));
        let delta = commit.expect("the edit is possible").delta.expect("an edit");
        stamps.push(delta.parts().hlc);
    }
    assert_eq!(stamps[0], stamps[1], "it is a tie");
    assert_eq!(texts(pair.both(|doc| doc.map("m").values("k"))), ["greater", "lower"]);
}

#[test]
fn a_change_says_what_was_shown_before_also_where_one_of_two_incarnations_dies_with_it() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.map("k")?.put("a", 1));
    pair.b(|tx| tx.map("m")?.map("k")?.put("b", "old"));
    let mut third = Document::with_writer(ReplicaId::from(3));
    for doc in [&pair.a, &pair.b] {
        third.apply_diff(&doc.diff_since(&third.version())).expect("the diff applies");
    }
    // Who has not heard of the other incarnation removes the own one and creates it anew, all at once.
    let commit: Result<Commit<()>, EditError> = pair.b.transact(Timestamp(9_000), |tx| {
        let mut map = tx.map("m")?;
        map.remove("k")?;
        map.map("k")?.put("b", "new")
    });
    let delta = commit.expect("the edit is possible").delta.expect("something was edited");
    let changes = third.apply(&delta).expect("the delta applies").changes;
    let told =
        changes.list.iter().find(|change| change.kind == weftline::ChangeKind::Key("b".into())).expect("it is told");
    assert_eq!((told.old.clone(), told.new.clone()), (Some("old".into()), Some("new".into())));
}
