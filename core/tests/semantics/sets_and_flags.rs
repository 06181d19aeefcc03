//! Members and switches: adding and enabling win.

use weftline::Value;

use crate::common::{edit, meet, same, writer};
use crate::place::everywhere;

#[test]
fn adding_wins_over_removing_in_a_set() {
    everywhere(|pair| {
        pair.begin(|map| map.set("s")?.add("x").and(map.set("s")?.add("y")));
        pair.a(|map| map.set("s")?.remove(&"x".into()).map(drop)).b(|map| map.set("s")?.add("x"));
        assert_eq!(pair.both(|map| map.set("s").iter().cloned().collect::<Vec<_>>()), ["x".into(), Value::from("y")]);
        // What was seen is removed, at last.
        pair.a(|map| map.set("s")?.remove(&"x".into()).map(drop));
        assert!(!pair.both(|map| map.set("s").contains(&"x".into())));
    });
}

#[test]
fn enabling_wins_over_disabling_a_flag() {
    everywhere(|pair| {
        pair.begin(|map| map.enable("done"));
        pair.a(|map| map.disable("done")).b(|map| map.enable("done"));
        assert!(pair.both(|map| map.flag("done").is_enabled()));
        pair.a(|map| map.disable("done"));
        assert!(!pair.both(|map| map.flag("done").is_enabled()));
    });
}

#[test]
fn adding_and_enabling_win_at_roots_too() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, 1, |tx| tx.set("s")?.add("x").and(tx.flag("f")?.enable()));
    meet(&mut a, &mut b);
    edit(&mut a, 2, |tx| tx.set("s")?.remove(&"x".into()).and(tx.flag("f")?.disable()));
    edit(&mut b, 3, |tx| tx.set("s")?.add("x").and(tx.flag("f")?.enable()));
    meet(&mut a, &mut b);
    assert!(same(&a, &b, |doc| doc.set("s").contains(&"x".into()) && doc.flag("f").is_enabled()));
}
