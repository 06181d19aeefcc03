//! List elements and whole rows that come and go.

use super::*;

#[test]
fn undo_1_an_inserted_element_that_another_replica_wrote_or_moved_stays() {
    let mut pair = Pair::after(ABC);
    pair.ann(|tx| tx.list("l")?.insert(0, "x").map(drop)).meet();
    pair.bob(|tx| {
        let first = id(tx, 0)?;
        tx.list("l")?.move_to(first, 3)
    });
    pair.meet().undoes_nothing();
    assert_eq!(pair.both(items), "abcx");
}

#[test]
fn undo_3_a_removed_row_comes_back_whole_in_its_place() {
    let mut pair = Pair::after(|tx| {
        ABC(tx)?;
        tx.list("l")?.insert_container(1, Kind::MAP)?;
        let row = id(tx, 1)?;
        let mut list = tx.list("l")?;
        let mut row = list.map(row)?;
        row.put("title", "milk")?;
        row.counter("votes")?.add(3)?;
        row.set("tags")?.add("shop")?;
        row.enable("urgent")?;
        row.map("more")?.list("notes")?.push("one")?;
        row.map("more")?.list("notes")?.push("two").map(drop)
    });
    let shape = |doc: &Document| {
        let row = doc.list("l").map(doc.list("l").id_at(1).expect("the row"));
        let notes = row.map("more").list("notes");
        (
            items(doc),
            row.get("title"),
            row.counter("votes").value(),
            row.set("tags").contains(&"shop".into()),
            row.flag("urgent").is_enabled(),
            notes.ids().filter_map(|id| notes.value(id)).collect::<Vec<_>>(),
        )
    };
    let before = pair.both(shape);
    let removed = pair.ann.list("l").id_at(1).expect("the row");
    pair.ann(|tx| tx.list("l")?.remove_at(1));
    let now = pair.now();
    let commit = pair.ann.undo(now).expect("it is possible").expect("there is something to undo");
    let came = commit.changes.list.iter().find_map(|change| match change.kind {
        ChangeKind::Inserted(id) => Some(id),
        _ => None,
    });
    assert_eq!(pair.both(shape), before);
    assert_eq!(came, pair.ann.list("l").id_at(1), "the application is told its new name");
    assert_ne!(came, Some(removed), "DOT-1: a dead dot never returns");
}

#[test]
fn a_removed_row_comes_back_as_it_was_seen_and_edits_inside_that_were_not_seen_are_gone() {
    let mut pair = Pair::after(|tx| {
        tx.list("l")?.insert_container(0, Kind::MAP)?;
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("title", "milk")
    });
    pair.ann(|tx| tx.list("l")?.remove_at(0)).bob(|tx| {
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("title", "oat milk")
    });
    pair.meet().undo();
    let read = |doc: &Document| doc.list("l").map(doc.list("l").id_at(0).expect("the row")).values("title");
    assert_eq!(pair.both(read), ["milk".into()], "deletion wins over edits inside what it deleted");
}

#[test]
fn undo_1_what_came_back_is_removed_again_wholly_or_not_at_all() {
    let mut pair = Pair::after(|tx| {
        tx.list("l")?.insert_container(0, Kind::MAP)?;
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("title", "milk")
    });
    pair.ann(|tx| tx.list("l")?.remove_at(0)).undo().meet().bob(|tx| {
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("done", true)
    });
    pair.meet();
    let now = pair.now();
    assert_eq!(pair.ann.redo(now), Ok(None), "Bob has written into it");
    let read = |doc: &Document| doc.list("l").map(doc.list("l").id_at(0).expect("the row")).len();
    assert_eq!(pair.both(read), 2, "no half record");
}

#[test]
fn undo_2_a_row_that_both_removed_stays_removed() {
    let mut pair = Pair::after(ABC);
    pair.ann(|tx| tx.list("l")?.remove_at(1)).bob(|tx| tx.list("l")?.remove_at(1)).meet().undoes_nothing();
    assert_eq!(pair.both(items), "ac");
}

#[test]
fn undo_2_what_another_replica_removed_inside_stays_removed_when_the_whole_comes_back() {
    let mut pair = Pair::after(|tx| {
        let mut map = tx.map("m")?;
        let mut list = map.list("rows")?;
        list.push("a")?;
        list.push("b").map(drop)
    });
    pair.ann(|tx| tx.map("m")?.remove("rows").map(drop)).bob(|tx| tx.map("m")?.list("rows")?.remove_at(0));
    pair.meet().undo();
    let rows = |doc: &Document| {
        let list = doc.map("m").list("rows");
        list.ids().filter_map(|id| list.value(id)).collect::<Vec<_>>()
    };
    assert_eq!(pair.both(rows), ["b".into()]);
}

#[test]
fn undo_2_an_edit_in_a_row_that_another_replica_removed_is_not_undone_into_being() {
    let mut pair = Pair::after(ABC);
    pair.ann(|tx| {
        let second = id(tx, 1)?;
        tx.list("l")?.put(second, "B")
    });
    pair.bob(|tx| tx.list("l")?.remove_at(1)).meet().undoes_nothing();
    assert_eq!(pair.both(items), "ac");
}

#[test]
fn undo_1_copies_of_what_others_wrote_stay_theirs() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.list("l")?.insert_container(0, Kind::MAP).map(drop)).meet().bob(|tx| {
        let row = id(tx, 0)?;
        tx.list("l")?.map(row)?.put("title", "bob's")
    });
    pair.meet().ann(|tx| tx.list("l")?.remove_at(0));
    for _ in 0..2 {
        // The row came back under Ann's name, but the title in it is Bob's: her creation of the row cannot be undone.
        pair.undo();
        let read = |doc: &Document| doc.list("l").map(doc.list("l").id_at(0).expect("the row")).get("title");
        assert_eq!(pair.both(read), Some("bob's".into()));
        pair.redo();
        assert_eq!(pair.both(|doc| doc.list("l").len()), 0);
    }
    pair.undo().undoes_nothing();
    assert_eq!(pair.both(|doc| doc.list("l").len()), 1);
}

#[test]
fn a_range_comes_back_between_its_neighbours_and_around_what_was_inserted_meanwhile() {
    let mut pair = Pair::after(|tx| {
        ABC(tx)?;
        tx.list("l")?.push("d").map(drop)
    });
    pair.ann(|tx| {
        tx.list("l")?.remove_at(1)?;
        tx.list("l")?.remove_at(1)
    });
    pair.bob(|tx| {
        tx.list("l")?.insert(2, "+").map(drop)?;
        tx.list("l")?.insert(0, "<").map(drop)?;
        tx.list("l")?.push(">").map(drop)
    });
    assert_eq!(pair.both(items), "<a+d>");
    pair.undo();
    assert_eq!(pair.both(items), "<ab+cd>");
    pair.redo();
    assert_eq!(pair.both(items), "<a+d>");
}

#[test]
fn an_element_whose_neighbours_went_comes_back_where_it_was() {
    let mut pair = Pair::after(|tx| {
        let mut list = tx.list("l")?;
        for item in ["a", "b", "c", "d", "e"] {
            list.push(item)?;
        }
        Ok(())
    });
    pair.ann(|tx| tx.list("l")?.remove_at(2)).meet();
    pair.bob(|tx| {
        // Its neighbours: one is removed, one is moved away.
        tx.list("l")?.remove_at(1)?;
        let d = id(tx, 1)?;
        tx.list("l")?.move_to(d, 0)
    });
    assert_eq!(pair.both(items), "dae");
    pair.undo();
    assert_eq!(pair.both(items), "dace");
    // Without any trace of where it was, it comes last.
    pair.ann(|tx| tx.list("l")?.remove_at(2)).meet().bob(|tx| {
        tx.list("l")?.clear()?;
        tx.list("l")?.push("z").map(drop)
    });
    pair.meet();
    pair.ann.truncate_removals();
    pair.undo();
    assert_eq!(pair.both(items), "zc");
}

#[test]
fn a_move_is_undone_to_where_the_element_was() {
    let mut pair = Pair::after(ABC);
    let to_front: Edit = |tx| {
        let last = id(tx, 2)?;
        tx.list("l")?.move_to(last, 0)
    };
    pair.ann(to_front).ann(to_front);
    assert_eq!(pair.both(items), "bca");
    pair.undo();
    assert_eq!(pair.both(items), "cab");
    pair.undo();
    assert_eq!(pair.both(items), "abc");
    pair.redo().redo();
    assert_eq!(pair.both(items), "bca");
}

#[test]
fn undo_1_a_move_beside_another_replicas_move() {
    let to_front: Edit = |tx| {
        let last = id(tx, 2)?;
        tx.list("l")?.move_to(last, 0)
    };
    let to_middle: Edit = |tx| {
        let last = id(tx, 2)?;
        tx.list("l")?.move_to(last, 1)
    };
    // Bob moved it after Ann did.
    let mut pair = Pair::after(ABC);
    pair.ann(to_front).meet().bob(|tx| {
        let first = id(tx, 0)?;
        tx.list("l")?.move_to(first, 1)
    });
    pair.meet().undoes_nothing();
    assert_eq!(pair.both(items), "acb");
    // Bob moved it at the same time, and Ann's move was read.
    let mut pair = Pair::after(ABC);
    pair.bob(to_middle).ann(to_front);
    assert_eq!(pair.both(items), "cab");
    pair.undo();
    assert_eq!(pair.both(items), "acb", "Bob's move remains");
}

#[test]
fn undo_3_steps_go_back_through_a_row_that_was_removed_and_came_back() {
    let mut pair = Pair::new();
    let read = |doc: &Document| {
        let list = doc.list("l");
        list.ids().map(|id| (list.map(id).get("title"), list.map(id).counter("n").value())).collect::<Vec<_>>()
    };
    let mut seen = vec![read(&pair.ann)];
    let edits: [Edit; 6] = [
        |tx| tx.list("l")?.insert_container(0, Kind::MAP).map(drop),
        |tx| {
            let row = id(tx, 0)?;
            tx.list("l")?.map(row)?.put("title", "one")
        },
        |tx| {
            let row = id(tx, 0)?;
            tx.list("l")?.map(row)?.put("title", "two")
        },
        |tx| {
            let row = id(tx, 0)?;
            tx.list("l")?.map(row)?.counter("n")?.add(4)
        },
        |tx| tx.list("l")?.remove_at(0),
        |tx| tx.list("l")?.insert_container(0, Kind::MAP).map(drop),
    ];
    for edit in edits {
        pair.ann(edit);
        seen.push(read(&pair.ann));
    }
    for _ in 0..3 {
        for before in seen.iter().rev().skip(1) {
            pair.undo();
            assert_eq!(pair.both(read), *before);
        }
        for after in seen.iter().skip(1) {
            pair.redo();
            assert_eq!(pair.both(read), *after);
        }
    }
}
