//! Values put under keys, into registers and into list elements.

use weftline::{ListRef, Value};

use crate::common::{edit, keys, meet, same, writer};
use crate::place::everywhere;

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(|value| value.as_str().unwrap_or("?").to_string()).collect()
}

#[test]
fn two_puts_are_both_kept_and_the_later_stamp_is_read() {
    everywhere(|pair| {
        pair.a(|map| map.put("k", "from a")).b(|map| map.put("k", "from b"));
        assert_eq!(texts(&pair.both(|map| map.values("k"))), ["from b", "from a"]);
        assert_eq!(pair.both(|map| map.get("k")), Some("from b".into()));
        pair.a(|map| map.put("k", "settled"));
        assert_eq!(texts(&pair.both(|map| map.values("k"))), ["settled"]);
    });
}

#[test]
fn two_writes_to_one_element_are_both_kept() {
    fn values(list: ListRef<'_>) -> Vec<Value> {
        list.id_at(0).map(|id| list.register(id).values()).unwrap_or_default()
    }
    everywhere(|pair| {
        pair.begin(|map| map.list("l")?.push("first").map(drop));
        pair.a(|map| {
            let mut list = map.list("l")?;
            let id = list.read().id_at(0).expect("it is there");
            list.put(id, "from a")
        });
        pair.b(|map| {
            let mut list = map.list("l")?;
            let id = list.read().id_at(0).expect("it is there");
            list.put(id, "from b")
        });
        assert_eq!(texts(&pair.both(|map| values(map.list("l")))), ["from b", "from a"]);
    });
}

#[test]
fn two_writes_to_a_root_register_are_both_kept() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, 1, |tx| tx.register("r")?.set("from a"));
    edit(&mut b, 2, |tx| tx.register("r")?.set("from b"));
    meet(&mut a, &mut b);
    assert_eq!(texts(&same(&a, &b, |doc| doc.register("r").values())), ["from b", "from a"]);
}

#[test]
fn an_observed_write_is_overwritten_whatever_the_clocks_say() {
    everywhere(|pair| {
        pair.clock = 1_000_000_000;
        pair.begin(|map| map.put("k", "from a clock far ahead"));
        pair.clock = 1_000;
        pair.b(|map| map.put("k", "later"));
        assert_eq!(texts(&pair.both(|map| map.values("k"))), ["later"]);
    });
}

#[test]
fn a_put_replaces_all_that_it_saw_of_every_kind() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.put("k", "a value")?;
            map.enable("k")?;
            map.map("k")?.put("x", 1)?;
            map.counter("k")?.add(5)
        });
        assert_eq!(pair.both(|map| map.kinds("k").len()), 4);
        pair.b(|map| map.put("k", "alone"));
        assert_eq!(pair.both(|map| map.kinds("k")), [weftline::Kind::REGISTER]);
        assert_eq!(pair.both(|map| (map.map("k").len(), map.counter("k").value())), (0, 0));
    });
}

#[test]
fn a_put_survives_a_concurrent_removal() {
    everywhere(|pair| {
        pair.begin(|map| map.put("k", "old"));
        pair.a(|map| map.remove("k").map(drop)).b(|map| map.put("k", "new"));
        assert_eq!(texts(&pair.both(|map| map.values("k"))), ["new"]);
    });
}

#[test]
fn two_removals_are_one() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.put("k", "value")?;
            map.list("l")?.push("x").map(drop)
        });
        pair.a(|map| map.remove("k").and(map.remove("l")).map(drop));
        pair.b(|map| map.list("l")?.remove_at(0).and(map.remove("k").map(drop)));
        assert_eq!(pair.both(keys), [""; 0]);
        pair.nothing_is_left();
    });
}
