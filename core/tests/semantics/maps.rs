//! Keys and what is created, removed and edited under them.

use weftline::{Kind, Value};

use crate::common::{items, keys};
use crate::place::everywhere;

#[test]
fn deletion_wins_over_edits_inside_what_it_deleted() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.map("record")?.put("title", "old")?;
            map.map("record")?.counter("votes")?.add(5)
        });
        pair.a(|map| map.remove("record").map(drop)).b(|map| {
            map.map("record")?.put("title", "edited")?;
            map.map("record")?.map("created inside")?.put("x", 1)?;
            map.map("record")?.counter("votes")?.add(1)
        });
        assert!(!pair.both(|map| map.contains("record")), "no half record");
        assert_eq!(pair.both(|map| map.map("record").counter("votes").value()), 0, "no half counter");
        pair.nothing_is_left();
    });
}

#[test]
fn removing_and_creating_anew_keeps_the_new_creation_wholly() {
    everywhere(|pair| {
        pair.begin(|map| map.map("k")?.put("old", 1));
        pair.a(|map| map.remove("k").map(drop)).b(|map| {
            map.remove("k")?;
            map.map("k")?.put("new", 2)
        });
        assert_eq!(pair.both(|map| keys(map.map("k"))), ["new"]);
    });
}

#[test]
fn creations_under_one_key_merge() {
    everywhere(|pair| {
        pair.a(|map| map.list("todos")?.push("from a").map(drop)).b(|map| map.list("todos")?.push("from b").map(drop));
        assert_eq!(pair.both(|map| map.list("todos").len()), 2, "no initialisation race");
        // Removing the key removes both incarnations.
        pair.b(|map| map.remove("todos").map(drop));
        assert!(!pair.both(|map| map.contains("todos")));
        pair.nothing_is_left();
    });
}

#[test]
fn creations_merge_at_every_depth() {
    everywhere(|pair| {
        pair.a(|map| map.map("x")?.map("y")?.set("z")?.add("from a"));
        pair.b(|map| map.map("x")?.map("y")?.set("z")?.add("from b"));
        let members = pair.both(|map| map.map("x").map("y").set("z").iter().cloned().collect::<Vec<_>>());
        assert_eq!(members, ["from a".into(), Value::from("from b")]);
    });
}

#[test]
fn a_put_is_written_into_every_incarnation_that_holds_the_key() {
    everywhere(|pair| {
        pair.a(|map| map.map("k")?.put("x", "a")).b(|map| map.map("k")?.put("x", "b"));
        let first = pair.a.clone();
        pair.meet().b(|map| map.map("k")?.put("x", "both"));
        assert_eq!(pair.both(|map| map.map("k").values("x")), ["both".into()], "one delta's value counts once");
        // Somebody who knows only one incarnation removes it; the put was made knowing both.
        pair.third(&first, |map| map.remove("k").map(drop));
        assert_eq!(pair.both(|map| map.map("k").values("x")), ["both".into()]);
    });
}

#[test]
fn creations_of_other_kinds_are_both_kept() {
    everywhere(|pair| {
        pair.a(|map| map.map("k")?.put("x", 1)).b(|map| map.list("k")?.push("y").map(drop));
        assert_eq!(pair.both(|map| map.kinds("k")), [Kind::MAP, Kind::LIST]);
        assert_eq!(pair.both(|map| map.map("k").get("x")), Some(1.into()));
        assert_eq!(pair.both(|map| items(map.list("k"))), ["y"]);
        assert_eq!(
            pair.both(|map| map.node("k").map(|node| node.kind())),
            Some(Kind::LIST),
            "the list stands for both"
        );
    });
}

#[test]
fn a_put_and_a_concurrent_creation_are_both_kept() {
    everywhere(|pair| {
        pair.a(|map| map.put("k", "value")).b(|map| map.map("k")?.put("x", 1));
        assert_eq!(pair.both(|map| map.kinds("k")), [Kind::REGISTER, Kind::MAP]);
        assert_eq!(pair.both(|map| (map.get("k"), map.map("k").get("x"))), (Some("value".into()), Some(1.into())));
        assert_eq!(pair.both(|map| map.node("k").map(|node| node.kind())), Some(Kind::MAP), "the map stands for both");
    });
}

#[test]
fn what_a_clear_did_not_see_survives() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.map("m")?.put("old", 1)?;
            map.map("m")?.map("old map")?.put("x", 1)?;
            map.set("s")?.add("old")?;
            map.list("l")?.push("old").map(drop)
        });
        pair.a(|map| {
            map.map("m")?.clear()?;
            map.set("s")?.clear()?;
            map.list("l")?.clear()
        });
        pair.b(|map| {
            map.map("m")?.put("new", 1)?;
            map.map("m")?.map("new map")?.put("x", 1)?;
            map.map("m")?.map("old map")?.put("y", 1)?;
            map.set("s")?.add("new")?;
            map.list("l")?.push("new").map(drop)
        });
        assert_eq!(pair.both(|map| keys(map.map("m"))), ["new", "new map"]);
        assert_eq!(pair.both(|map| map.set("s").iter().cloned().collect::<Vec<_>>()), ["new".into()]);
        assert_eq!(pair.both(|map| items(map.list("l"))), ["new"]);
    });
}

#[test]
fn removing_and_adding_again_is_fresh() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.map("k")?.put("old", 1)?;
            map.map("k")?.counter("n")?.add(5)?;
            map.set("s")?.add("old")
        });
        pair.b(|map| map.remove("k").and(map.remove("s")).map(drop)).meet();
        pair.a(|map| {
            map.map("k")?.counter("n")?.add(1)?;
            map.set("s")?.add("new")
        });
        assert_eq!(pair.both(|map| keys(map.map("k"))), ["n"]);
        assert_eq!(pair.both(|map| map.map("k").counter("n").value()), 1, "nothing old resurrects");
        assert_eq!(pair.both(|map| map.set("s").iter().cloned().collect::<Vec<_>>()), ["new".into()]);
    });
}
