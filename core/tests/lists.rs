//! Lists edited by one replica: what is read of them at every index.

mod common;

use weftline::{EditError, Timestamp};

use crate::common::{edit, items, writer};

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
