//! Elements that are inserted, moved, edited and removed.

use weftline::{Dot, EditError, Kind, ListMut, MapMut, Timestamp};

use crate::common::{edit, items, writer};
use crate::place::everywhere;

fn push_all(map: &mut MapMut<'_, '_>, all: &[&str]) -> Result<(), EditError> {
    let mut list = map.list("l")?;
    all.iter().try_for_each(|item| list.push(*item).map(drop))
}

fn first(list: &ListMut<'_, '_>) -> Dot {
    list.read().id_at(0).expect("it is there")
}

#[test]
fn deleting_an_element_wins_over_editing_and_moving_it() {
    everywhere(|pair| {
        pair.begin(|map| push_all(map, &["x", "y", "z"]));
        pair.a(|map| map.list("l")?.remove_at(0)).b(|map| {
            let mut list = map.list("l")?;
            let id = first(&list);
            list.put(id, "edited")?;
            list.move_to(id, 2)
        });
        assert_eq!(pair.both(|map| items(map.list("l"))), ["y", "z"]);
    });
}

#[test]
fn deleting_an_element_wins_over_what_is_done_inside() {
    everywhere(|pair| {
        pair.begin(|map| {
            let mut list = map.list("l")?;
            let row = list.insert_container(0, Kind::MAP)?;
            list.map(row)?.counter("votes")?.add(5)
        });
        pair.a(|map| map.list("l")?.remove_at(0)).b(|map| {
            let mut list = map.list("l")?;
            let row = first(&list);
            list.map(row)?.counter("votes")?.add(1)?;
            list.map(row)?.put("title", "edited")
        });
        assert!(pair.both(|map| map.list("l").is_empty()));
        pair.a(|map| map.remove("l").map(drop)).meet().nothing_is_left();
    });
}

#[test]
fn move_and_move_leave_one_element_at_one_place() {
    everywhere(|pair| {
        pair.begin(|map| push_all(map, &["a", "b", "c", "d"]));
        pair.a(|map| {
            let mut list = map.list("l")?;
            list.move_to(first(&list), 3)
        });
        pair.b(|map| {
            let mut list = map.list("l")?;
            list.move_to(first(&list), 1)
        });
        assert_eq!(pair.both(|map| items(map.list("l"))), ["b", "a", "c", "d"], "the later move wins, wholly");
    });
}

#[test]
fn an_insert_into_a_deleted_range_survives() {
    everywhere(|pair| {
        pair.begin(|map| push_all(map, &["a", "b", "c", "d"]));
        pair.a(|map| map.list("l")?.clear()).b(|map| map.list("l")?.insert(2, "between").map(drop));
        assert_eq!(pair.both(|map| items(map.list("l"))), ["between"]);
    });
}

#[test]
fn runs_inserted_at_one_place_do_not_interleave() {
    everywhere(|pair| {
        pair.begin(|map| push_all(map, &["begin", "end"]));
        for _ in 0..4 {
            // Each goes on behind what it inserted before.
            pair.a(|map| {
                let mut list = map.list("l")?;
                list.insert(list.read().len() - 1, "a").map(drop)
            });
            pair.b(|map| {
                let mut list = map.list("l")?;
                list.insert(list.read().len() - 1, "b").map(drop)
            });
        }
        let all = pair.both(|map| items(map.list("l"))).join(" ");
        assert!(all == "begin a a a a b b b b end" || all == "begin b b b b a a a a end", "{all}");
    });
}

#[test]
fn a_range_moves_in_order_and_meets_what_others_do() {
    everywhere(|pair| {
        pair.begin(|map| push_all(map, &["a", "b", "c", "d", "e"]));
        // One moves two to the end, the other one of these to the start, and inserts between them.
        pair.a(|map| map.list("l")?.move_range(1..3, 3)).b(|map| {
            let mut list = map.list("l")?;
            list.insert(2, "between")?;
            let id = list.read().id_at(3).expect("it is there");
            list.move_to(id, 0)
        });
        assert_eq!(pair.both(|map| items(map.list("l"))), ["c", "a", "between", "d", "e", "b"], "the later move wins");
    });
}

#[test]
fn moving_a_range_is_moving_a_slice() {
    let names: Vec<String> = (0..7).map(|number| number.to_string()).collect();
    let mut doc = writer(1);
    edit(&mut doc, 1, |tx| names.iter().try_for_each(|name| tx.list("l")?.push(name.as_str()).map(drop)));
    let moves = (0..=8).flat_map(|start| (0..=8).flat_map(move |end| (0..=8).map(move |to| (start, end, to))));
    for (start, end, to) in moves {
        let mut doc = doc.clone();
        let mut expected = names.clone();
        let fits = start <= end && end <= 7 && to + (end - start) <= 7;
        let moved = doc.transact::<_, EditError>(Timestamp(2), |tx| tx.list("l")?.move_range(start..end, to));
        assert_eq!(moved.is_ok(), fits, "{start}..{end} to {to}: {moved:?}");
        if fits {
            let slice: Vec<String> = expected.drain(start..end).collect();
            expected.splice(to..to, slice);
            let moved = moved.map(|commit| commit.delta.is_some());
            assert_eq!(moved, Ok(expected != names), "what stays where it is is no edit");
        }
        assert_eq!(items(doc.list("l")), expected, "{start}..{end} to {to}");
    }
}

#[test]
fn a_list_is_read_from_any_index_on() {
    let mut doc = writer(1);
    // Appended, put in front of one another, and moved: runs that go with their dots, against them, and of one.
    edit(&mut doc, 1, |tx| (0..9).try_for_each(|number| tx.list("l")?.push(number.to_string()).map(drop)));
    edit(&mut doc, 2, |tx| (0..9).try_for_each(|_| tx.list("l")?.insert(3, "front").map(drop)));
    edit(&mut doc, 3, |tx| tx.list("l")?.move_range(2..5, 11));
    let list = doc.list("l");
    let all: Vec<_> = list.ids().collect();
    assert_eq!(all.len(), 18);
    for (index, id) in all.iter().enumerate() {
        assert!(list.iter_from(index).map(|(id, _)| id).eq(all[index..].iter().copied()));
        assert_eq!((list.id_at(index), list.index_of(*id)), (Some(*id), Some(index)));
    }
    assert_eq!(list.iter_from(18).chain(list.iter_from(99)).count(), 0);
}
