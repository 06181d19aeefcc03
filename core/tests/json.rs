//! The document as JSON: the same for all who know the same, whatever is in it and however they learnt it.

use serde_json::json;
use weftline::codec::limits::MAX_CONTAINER_DEPTH;
use weftline::{
    Commit, Container, Delta, DeltaParts, Document, DotRuns, EditError, Entry, Expand, Few, Hlc, Kind, NodeMut,
    NodeRef, Path, PathStep, Payload, ReplicaId, Slot, Tag, Timestamp, Transaction, Value,
};

fn writer(id: u128) -> Document {
    Document::with_writer(ReplicaId::from(id))
}

fn edit(doc: &mut Document, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Delta {
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1_000), edit);
    commit.expect("the edit is possible").delta.expect("an edit")
}

#[test]
fn each_kind_has_its_form() {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        let mut map = tx.map("all")?;
        map.put("text", "a \"quoted\" ünïcode 🧵\u{0}")?;
        map.put("ключ", -7)?;
        map.put("float", 0.5)?;
        map.put("whole", 2.0)?;
        map.put("null", ())?;
        map.put("bytes", &[0, 15, 255][..])?;
        map.enable("on")?;
        map.counter("counter")?.add(-3)?;
        map.set("set")?.add("b")?;
        map.set("set")?.add(1)?;
        let mut list = map.list("list")?;
        list.push("first")?;
        let row = list.insert_container(1, Kind::MAP)?;
        list.map(row)?.put("x", false)?;
        let switch = list.insert_container(2, Kind::FLAG)?;
        list.flag(switch)?.enable()?;
        tx.counter("hits")?.add(1)?;
        tx.flag("ready")?.enable()?;
        tx.register("title")?.set("a title")?;
        tx.set("tags")?.add("z").map(drop)
    });
    let expected = json!({
        "all": {
            "text": "a \"quoted\" ünïcode 🧵\u{0}",
            "ключ": -7,
            "float": 0.5,
            "whole": 2.0,
            "null": null,
            "bytes": "000fff",
            "on": true,
            "counter": -3,
            "set": [1, "b"],
            "list": ["first", { "x": false }, true],
        },
        "hits": 1,
        "ready": true,
        "title": "a title",
        "tags": ["z"],
    });
    assert_eq!(doc.to_json(), expected);
    // A part is what it is in the whole, whichever way it is reached.
    let all = doc.map("all");
    assert_eq!(all.to_json(), expected["all"]);
    assert_eq!(all.list("list").to_json(), expected["all"]["list"]);
    assert_eq!(all.set("set").to_json(), expected["all"]["set"]);
    assert_eq!(all.counter("counter").to_json(), expected["all"]["counter"]);
    assert_eq!(all.flag("on").to_json(), expected["all"]["on"]);
    assert_eq!(all.register("text").to_json(), expected["all"]["text"]);
    for (name, node) in doc.nodes() {
        assert_eq!(node.to_json(), expected[name]);
    }
    // Written without the tree between, in the order of names.
    let text = serde_json::to_string(&doc).expect("it can be written");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON"), expected);
    assert!(text.starts_with(r#"{"all":{"bytes":"000fff","counter":-3,"float":0.5,"#), "{text}");
}

#[test]
fn kinds_of_other_policies_have_the_same_forms() {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        let mut map = tx.map("all")?;
        map.max_register("max")?.raise(3)?;
        map.min_register("min")?.lower("low")?;
        map.min_register("unset")?;
        map.disable_wins_flag("flag")?.enable()?;
        map.remove_wins_set("set")?.add("kept")?;
        map.remove_wins_set("set")?.add("gone")?;
        map.remove_wins_set("set")?.remove(&"gone".into())?;
        map.grow_only_set("grown")?.add(1)?;
        map.bounded_counter("stock")?.add(5)?;
        map.bounded_counter("stock")?.subtract(2)
    });
    let expected = json!({ "all": {
        "max": 3, "min": "low", "unset": null, "flag": true, "set": ["kept"], "grown": [1], "stock": 3
    } });
    assert_eq!(doc.to_json(), expected);
    assert_eq!(doc.map("all").max_register("max").get_as(), Some(3));
    let shown = r#"{"flag": true, "grown": {1}, "max": 3, "min": "low", "set": {"kept"}, "stock": 3, "unset": unset}"#;
    assert_eq!(format!("{:?}", doc.map("all")), shown);
    // Lengths are told beforehand also where marks are counted out.
    assert_eq!(
        postcard::to_allocvec(&doc.map("all").remove_wins_set("set")).expect("it can be written"),
        b"\x01\x04kept"
    );
}

#[test]
fn what_is_empty_and_what_is_missing() {
    let mut doc = writer(1);
    assert_eq!(doc.to_json(), json!({}));
    assert_eq!(doc.map("m").to_json(), json!({}));
    assert_eq!(doc.list("l").to_json(), json!([]));
    assert_eq!(doc.set("s").to_json(), json!([]));
    assert_eq!(doc.counter("c").to_json(), json!(0));
    assert_eq!(doc.flag("f").to_json(), json!(false));
    assert_eq!(doc.register("r").to_json(), json!(null));
    edit(&mut doc, |tx| {
        let mut map = tx.map("m")?;
        map.map("map")?;
        map.list("list")?;
        map.set("set")?;
        map.counter("counter").map(drop)
    });
    assert_eq!(doc.to_json(), json!({ "m": { "map": {}, "list": [], "set": [], "counter": 0 } }));
    edit(&mut doc, |tx| tx.map("m")?.clear());
    assert_eq!(doc.to_json(), json!({}), "a root that holds nothing is none");
}

#[test]
fn numbers_that_json_does_not_have() {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        for (key, number) in [("nan", f64::NAN), ("more", f64::INFINITY), ("less", f64::NEG_INFINITY), ("zero", -0.0)] {
            tx.map("m")?.put(key, number)?;
        }
        tx.map("m")?.put("greatest", i64::MAX)?;
        tx.map("m")?.put("least", i64::MIN)
    });
    let expected = json!({
        "nan": null, "more": null, "less": null, "zero": -0.0, "greatest": i64::MAX, "least": i64::MIN
    });
    assert_eq!(doc.map("m").to_json(), expected);
}

#[test]
fn a_text_is_its_characters_whatever_is_said_of_them() {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        let mut text = tx.text("note")?;
        text.push("buy milk")?;
        text.mark(4..8, "bold", true, Expand::After)
    });
    assert_eq!(doc.to_json(), json!({ "note": "buy milk" }));
    assert_eq!(doc.text("note").to_json(), json!("buy milk"));
}

#[test]
fn a_counter_beyond_64_bits_is_text() {
    let mut all = writer(0);
    for id in 1..=3 {
        let mut doc = writer(id);
        let delta = edit(&mut doc, |tx| {
            tx.counter("up")?.add(i64::MAX)?;
            tx.counter("down")?.add(-i64::MAX)
        });
        all.apply(&delta).expect("it applies");
        let up = i128::from(i64::MAX) * i128::try_from(id).expect("it is small");
        let json = all.to_json();
        match id {
            1 => assert_eq!(json, json!({ "up": i64::MAX, "down": -i64::MAX })),
            2 => assert_eq!(json, json!({ "up": u64::MAX - 1, "down": (-up).to_string() })),
            _ => assert_eq!(json, json!({ "up": up.to_string(), "down": (-up).to_string() })),
        }
    }
}

#[test]
fn of_several_kinds_one_is_shown_and_of_concurrent_values_the_winner() {
    let (mut a, mut b) = (writer(1), writer(2));
    let mut deltas = Vec::new();
    deltas.push(edit(&mut a, |tx| {
        tx.map("m")?.put("k", "from a")?;
        tx.map("m")?.put("mixed", "a value")?;
        tx.map("m")?.counter("merged")?.add(1)?;
        tx.set("m")?.add("hidden by the map")
    }));
    deltas.push(edit(&mut b, |tx| {
        tx.map("m")?.put("k", "from b")?;
        tx.map("m")?.list("mixed")?.push("an element")?;
        tx.map("m")?.counter("merged")?.add(10)
    }));
    let expected = json!({ "m": { "k": "from b", "mixed": ["an element"], "merged": 11 } });
    for order in [[0, 1], [1, 0]] {
        let mut doc = Document::new();
        for at in order {
            doc.apply(&deltas[at]).expect("it applies");
        }
        assert_eq!(doc.to_json(), expected);
        assert_eq!(doc.map("m").kinds("mixed"), [Kind::REGISTER, Kind::LIST]);
        let loaded = Document::load(&doc.snapshot()).expect("what was saved loads");
        assert_eq!(loaded.to_json(), expected);
    }
}

#[test]
fn whoever_learnt_the_same_shows_the_same_whatever_the_order() {
    let mut authors: Vec<Document> = (1..=3).map(writer).collect();
    let mut deltas = Vec::new();
    for round in 0..12_i64 {
        for (at, author) in authors.iter_mut().enumerate() {
            deltas.push(edit(author, |tx| {
                let mut map = tx.map("m")?;
                map.put(&format!("k{}", round % 5), round)?;
                map.map("nested")?.list("l")?.insert(0, round)?;
                map.counter("c")?.add(round)?;
                map.set("s")?.add(round % 4)?;
                if round % 4 == 3 { map.remove("nested").map(drop) } else { Ok(()) }
            }));
            if (round + at as i64) % 3 == 0 {
                for delta in &deltas {
                    author.apply(delta).expect("it applies or waits");
                }
            }
        }
    }
    let mut forward = Document::new();
    deltas.iter().for_each(|delta| drop(forward.apply(delta).expect("it applies or waits")));
    let mut backward = Document::new();
    deltas.iter().rev().for_each(|delta| drop(backward.apply(delta).expect("it applies or waits")));
    assert_eq!(forward.version(), backward.version());
    let text = serde_json::to_string(&forward).expect("it can be written");
    assert_eq!(serde_json::to_string(&backward).expect("it can be written"), text);
    let loaded = Document::load(&forward.snapshot()).expect("what was saved loads");
    assert_eq!(serde_json::to_string(&loaded).expect("it can be written"), text);
    assert_eq!(forward.map("m").to_json()["s"], json!([0, 1, 2, 3]));
}

#[test]
fn the_deepest_containers_are_shown_with_what_is_in_them() {
    let mut doc = writer(1);
    let mut path = Path::root("r", Kind::MAP);
    for _ in 0..MAX_CONTAINER_DEPTH - 2 {
        path = path.join(PathStep::Key { key: "k".into(), kind: Kind::MAP });
    }
    path = path.join(PathStep::Key { key: "k".into(), kind: Kind::LIST });
    edit(&mut doc, |tx| match tx.at(&path)? {
        NodeMut::List(mut list) => list.push("at the bottom").map(drop),
        other => panic!("{other:?}"),
    });
    let json = doc.to_json();
    let mut at = &json["r"];
    for _ in 0..MAX_CONTAINER_DEPTH - 1 {
        at = &at["k"];
    }
    assert_eq!(*at, json!(["at the bottom"]));
    let text = serde_json::to_string(&doc).expect("it can be written");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("serde_json reads what it wrote"), json);
}

/// Maps in maps, deeper than any replica that keeps the rules would make them: only a delta from outside can.
fn nested(depth: u64) -> Delta {
    let replica = ReplicaId::from(7);
    let container = |seq: u64| match seq {
        0 => Container::Root { name: "r".into(), kind: Kind::MAP },
        seq => Container::Entity(weftline::Dot::new(replica, seq)),
    };
    let entry = |seq: u64| Entry {
        container: container(seq - 1),
        slot: Slot::Key("k".into()),
        kind: Kind::MAP,
        entity: true,
        payload: Payload::Empty,
    };
    let parts = DeltaParts {
        replica,
        first_seq: 1,
        dots: depth,
        deps: Few::new(),
        hlc: Hlc(1),
        bunches: Vec::new(),
        adds: (1..=depth).map(|seq| (seq, entry(seq))).collect(),
        text: Few::new(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    };
    Delta::seal(parts, Tag::start(replica))
}

#[test]
fn what_is_nested_too_deep_is_null_and_no_stack_overflows() {
    let mut doc = Document::new();
    doc.apply(&nested(50_000)).expect("depth is checked where containers are created and at the relay");
    let json = doc.to_json();
    let (mut at, mut depth) = (&json["r"], 1);
    while at["k"].is_object() {
        (at, depth) = (&at["k"], depth + 1);
    }
    assert_eq!((depth, &at["k"]), (MAX_CONTAINER_DEPTH, &json!(null)));
    assert!(doc.map("r").map("k").to_json().is_object());
    assert!(format!("{doc:?}").contains("…"), "nor does it for whoever looks");
}

#[test]
fn a_plain_value_is_written_on_its_own() {
    let all = [Value::Null, true.into(), 1.into(), 1.5.into(), "x".into(), Value::from(&[171, 0][..])];
    assert_eq!(serde_json::to_value(&all).expect("it can be written"), json!([null, true, 1, 1.5, "x", "ab00"]));
    let mut doc = writer(1);
    edit(&mut doc, |tx| tx.register("r")?.set("x"));
    assert_eq!(NodeRef::from(doc.register("r")).to_json(), json!("x"));
}

#[test]
fn bytes_stay_bytes_where_a_format_has_them() {
    // What postcard writes for bytes is their length and they themselves, for text the same: hexadecimal would be longer.
    let bytes = Value::from(&[1, 2, 3][..]);
    assert_eq!(postcard::to_allocvec(&bytes).expect("it can be written"), [3, 1, 2, 3]);
    let mut doc = writer(1);
    edit(&mut doc, |tx| tx.map("m")?.put("k", 1));
    assert_eq!(postcard::to_allocvec(&doc).expect("lengths are told beforehand"), [1, 1, b'm', 1, 1, b'k', 2]);
}
