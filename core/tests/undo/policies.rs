//! Undo in the types with other policies: marks, what only grows, rights.

use weftline::{Document, EditError, Transaction, Value};

use super::pair::{ANN, BOB, Pair};

fn members(document: &Document) -> Vec<i64> {
    document.remove_wins_set("s").iter().filter_map(Value::as_int).collect()
}

fn is_on(document: &Document) -> bool {
    document.disable_wins_flag("f").is_enabled()
}

#[test]
fn a_disable_wins_flag_goes_back_and_forth() {
    let mut pair = Pair::after(|tx| tx.disable_wins_flag("f")?.enable());
    pair.ann(|tx| tx.disable_wins_flag("f")?.disable()).ann(|tx| tx.disable_wins_flag("f")?.enable());
    for _ in 0..2 {
        pair.undo();
        assert!(!pair.both(is_on));
        pair.undo();
        assert!(pair.both(is_on), "no mark is left of the disabling");
        pair.redo();
        assert!(!pair.both(is_on), "and it is there again");
        pair.redo();
        assert!(pair.both(is_on));
    }
    pair.bob(|tx| tx.disable_wins_flag("f")?.disable()).meet().undoes_nothing();
    assert!(!pair.both(is_on), "Bob's disabling stays");
}

#[test]
fn undo_2_a_mark_does_not_come_back_over_what_another_replica_wrote_since() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.disable_wins_flag("f")?.disable()).ann(|tx| tx.disable_wins_flag("f")?.enable());
    pair.bob(|tx| tx.disable_wins_flag("f")?.enable()).meet().undo();
    assert!(pair.both(is_on), "Bob has turned it on, and never saw that it had been turned off");

    let mut pair = Pair::new();
    pair.ann(|tx| tx.remove_wins_set("s")?.add(1)).ann(|tx| tx.remove_wins_set("s")?.remove(&1.into()).map(drop));
    pair.ann(|tx| tx.remove_wins_set("s")?.add(1)).bob(|tx| tx.remove_wins_set("s")?.add(1)).meet().undo();
    assert_eq!(pair.both(members), [1]);
}

#[test]
fn undo_3_a_mark_that_hid_a_concurrent_write_hides_it_again_on_redo() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.disable_wins_flag("f")?.disable()).bob(|tx| tx.disable_wins_flag("f")?.enable());
    assert!(!pair.both(is_on));
    pair.undo();
    assert!(pair.both(is_on));
    pair.redo();
    assert!(!pair.both(is_on));
}

#[test]
fn a_remove_wins_set_goes_back_and_forth_and_what_both_removed_stays_away() {
    let mut pair = Pair::after(|tx| (1..4).try_for_each(|value| tx.remove_wins_set("s")?.add(value)));
    pair.ann(|tx| tx.remove_wins_set("s")?.remove(&1.into()).map(drop)).ann(|tx| tx.remove_wins_set("s")?.clear());
    pair.undo();
    assert_eq!(pair.both(members), [2, 3]);
    pair.undo();
    assert_eq!(pair.both(members), [1, 2, 3]);
    pair.redo();
    assert_eq!(pair.both(members), [2, 3]);
    pair.ann(|tx| tx.remove_wins_set("s")?.remove(&2.into()).map(drop));
    pair.bob(|tx| tx.remove_wins_set("s")?.remove(&2.into()).map(drop)).meet().undo();
    assert_eq!(pair.both(members), [3], "Bob removed 2 as well");
}

#[test]
fn what_only_grows_stays_as_it_is_unless_it_goes_as_a_whole() {
    let read = |doc: &Document| {
        let map = doc.map("m");
        let grown = map.grow_only_set("seen");
        (map.max_register("high").get(), map.min_register("low").get(), grown.iter().cloned().collect::<Vec<_>>())
    };
    let grown = (Some(Value::from(9)), Some(Value::from(1)), vec![Value::from("x")]);
    let mut pair = Pair::after(|tx| {
        tx.map("m")?.max_register("high")?.raise(5)?;
        tx.map("m")?.min_register("low")?.lower(5)?;
        tx.map("m")?.grow_only_set("seen").map(drop)
    });
    pair.ann(|tx| tx.map("m")?.put("title", "new"));
    pair.ann(|tx| tx.map("m")?.max_register("high")?.raise(9).map(drop));
    pair.ann(|tx| tx.map("m")?.min_register("low")?.lower(1).map(drop));
    pair.ann(|tx| tx.map("m")?.grow_only_set("seen")?.add("x").map(drop));
    pair.undo();
    assert_eq!(pair.both(read), grown);
    assert!(!pair.both(|doc| doc.map("m").contains("title")), "the step before is undone");
    pair.undoes_nothing().ann(|tx| tx.map("m")?.clear()).undo();
    assert_eq!(pair.both(read), grown, "removed with the map's keys, they come back with them");
    pair.redo();
    assert!(pair.both(|doc| doc.map("m").is_empty()));
}

#[test]
fn a_bounded_counter_goes_back_and_forth() {
    let read = |doc: &Document| doc.bounded_counter("c").value();
    let mut pair = Pair::after(|tx| tx.bounded_counter("c")?.add(100));
    pair.ann(|tx| tx.bounded_counter("c")?.add(10)).ann(|tx| tx.bounded_counter("c")?.subtract(3));
    for _ in 0..2 {
        pair.undo();
        assert_eq!(pair.both(read), 110);
        pair.undo();
        assert_eq!(pair.both(read), 100);
        assert_eq!(pair.ann.bounded_counter("c").rights(), 0);
        pair.redo().redo();
        assert_eq!(pair.both(read), 107);
    }
}

#[test]
fn esc_2_an_addition_is_taken_back_as_far_as_ones_own_rights_go() {
    let read = |doc: &Document| {
        let counter = doc.bounded_counter("c");
        (counter.value(), counter.rights_of(ANN), counter.rights_of(BOB))
    };
    let mut pair = Pair::new();
    pair.ann(|tx| tx.bounded_counter("c")?.add(10)).ann(|tx| tx.bounded_counter("c")?.transfer(BOB, 4));
    pair.meet().bob(|tx| tx.bounded_counter("c")?.subtract(1));
    assert_eq!(pair.both(read), (9, 6, 3));
    pair.undo();
    assert_eq!(pair.both(read), (3, 0, 3), "what was given is Bob's");
    pair.redo();
    assert_eq!(pair.both(read), (9, 6, 3));

    let mut pair = Pair::new();
    pair.ann(|tx| tx.bounded_counter("c")?.add(4)).ann(|tx| tx.bounded_counter("c")?.transfer(BOB, 4)).undoes_nothing();
    assert_eq!(pair.both(read), (4, 0, 4));
}

#[test]
fn a_removed_bounded_counter_comes_back_with_its_floor_and_its_value_as_ones_own() {
    let read = |doc: &Document| {
        let counter = doc.map("m").bounded_counter("c");
        (counter.value(), counter.floor(), counter.rights_of(ANN), counter.rights_of(BOB))
    };
    let mut pair = Pair::after(|tx| {
        let mut map = tx.map("m")?;
        let mut counter = map.bounded_counter_above("c", -5)?;
        counter.add(8)?;
        counter.transfer(ANN, 2)
    });
    pair.ann(|tx| tx.map("m")?.bounded_counter("c")?.subtract(1));
    assert_eq!(pair.both(read), (2, -5, 1, 6));
    pair.ann(|tx| tx.map("m")?.remove("c").map(drop)).undo();
    assert_eq!(pair.both(read), (2, -5, 7, 0));
    pair.undo();
    assert_eq!(
        pair.both(read),
        (3, -5, 8, 0),
        "what was subtracted from the one that went is added to the one that came"
    );
    pair.redo().redo();
    assert!(!pair.both(|doc| doc.map("m").contains("c")), "a redo removes what the undo brought back");
}

#[test]
fn undo_1_a_bounded_counter_with_rights_of_another_replica_stays() {
    let read = |doc: &Document| doc.map("m").bounded_counter("c").value();
    let make = |tx: &mut Transaction<'_>| -> Result<(), EditError> { tx.map("m")?.bounded_counter("c")?.add(3) };
    let mut pair = Pair::new();
    pair.ann(make).meet().bob(|tx| tx.map("m")?.bounded_counter("c")?.add(5)).meet().undo();
    assert_eq!(pair.both(read), 5);
    pair.redo();
    assert_eq!(pair.both(read), 8);
}
