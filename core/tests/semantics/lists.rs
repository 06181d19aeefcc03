//! Elements that are inserted, moved, edited and removed.

use weftline::{Dot, EditError, Kind, ListMut, MapMut};

use crate::common::items;
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
