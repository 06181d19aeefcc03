//! Reading: typed, untyped and by reference, in an order that is the same everywhere, copying nothing.

use std::sync::Arc;

use weftline::{
    Commit, Container, Delta, DeltaParts, Document, Dot, DotRuns, EditError, Entry, Few, Hlc, Kind, MapRef, NodeRef,
    Path, Payload, ReplicaId, Slot, Tag, Timestamp, Transaction, Value,
};

fn writer(id: u128) -> Document {
    Document::with_writer(ReplicaId::from(id))
}

fn edit(doc: &mut Document, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) {
    let commit: Result<Commit<()>, EditError> = doc.transact(Timestamp(1_000), edit);
    drop(commit.expect("the edit is possible"));
}

fn meet(a: &mut Document, b: &mut Document) {
    let (to_a, to_b) = (b.diff_since(&a.version()), a.diff_since(&b.version()));
    a.apply_diff(&to_a).expect("the diff applies");
    b.apply_diff(&to_b).expect("the diff applies");
}

/// A document with something of each kind.
fn everything() -> Document {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        let mut map = tx.map("all")?;
        map.put("text", "hello")?;
        map.put("int", -7)?;
        map.put("float", 0.5)?;
        map.put("bool", true)?;
        map.put("null", ())?;
        map.put("bytes", &[0, 15, 255][..])?;
        map.enable("flag")?;
        map.counter("counter")?.add(3)?;
        map.set("set")?.add("x")?;
        map.map("map")?.put("inner", 1)?;
        map.list("list")?.push("a")?;
        tx.counter("hits")?.add(1)?;
        tx.register("title")?.set("a title")
    });
    doc
}

#[test]
fn a_value_is_read_as_the_type_it_is_wanted_as() {
    let doc = everything();
    let map = doc.map("all");
    assert_eq!(map.get_as("text"), Some("hello"));
    assert_eq!(map.get_as("text"), Some(String::from("hello")));
    assert_eq!(map.get_as("int"), Some(-7_i64));
    assert_eq!(map.get_as("int"), Some(-7.0), "a whole number is a float too");
    assert_eq!(map.get_as("float"), Some(0.5));
    assert_eq!(map.get_as("bool"), Some(true));
    assert_eq!(map.get_as("bytes"), Some(&[0, 15, 255][..]));
    assert_eq!(doc.register("title").get_as(), Some("a title"));
    assert_eq!(map.list("list").get_as(0), Some("a"));
}

#[test]
fn what_is_missing_and_what_is_of_another_type_are_nothing() {
    let doc = everything();
    let map = doc.map("all");
    assert_eq!(map.get_as::<&str>("missing"), None);
    assert_eq!(map.get_as::<&str>("int"), None);
    assert_eq!(map.get_as::<u32>("int"), None, "it is negative");
    assert_eq!(map.get_as::<&str>("null"), None);
    assert_eq!(map.get_as::<bool>("flag"), None, "a flag is no value");
    assert_eq!(map.list("list").get_as::<&str>(1), None);
    assert_eq!(map.get_ref("missing"), None);
    assert_eq!(map.get_ref("null"), Some(&Value::Null), "what tells the two apart");
}

#[test]
fn reading_by_reference_copies_nothing() {
    let doc = everything();
    let map = doc.map("all");
    let (first, again) = (map.get_ref("text").expect("it is there"), map.get_ref("text").expect("it is there"));
    assert!(std::ptr::eq(first, again));
    let (_, node) = map.iter().find(|(key, _)| *key == "text").expect("it is there");
    assert!(std::ptr::eq(node.value().expect("it is a value"), first));
    let list = map.list("list");
    let element = list.get_ref(0).expect("it is there");
    assert!(list.values().all(|value| std::ptr::eq(value, element)));
    assert!(map.values_ref("text").into_iter().eq([first]));
}

#[test]
fn a_map_is_walked_by_key_whatever_is_under_each() {
    let doc = everything();
    let kinds: Vec<_> = doc.map("all").iter().map(|(key, node)| (key, node.kind())).collect();
    assert_eq!(
        kinds,
        [
            ("bool", Kind::REGISTER),
            ("bytes", Kind::REGISTER),
            ("counter", Kind::COUNTER),
            ("flag", Kind::FLAG),
            ("float", Kind::REGISTER),
            ("int", Kind::REGISTER),
            ("list", Kind::LIST),
            ("map", Kind::MAP),
            ("null", Kind::REGISTER),
            ("set", Kind::SET),
            ("text", Kind::REGISTER),
        ]
    );
    assert!(doc.map("all").keys().eq(kinds.iter().map(|(key, _)| *key)));
    for (key, kind) in kinds {
        let node = doc.map("all").node(key).expect("it was listed");
        assert_eq!(node.kind(), kind);
        assert_eq!(node.as_register().is_some(), kind == Kind::REGISTER);
        assert_eq!(node.as_flag().is_some(), kind == Kind::FLAG);
        assert_eq!(node.as_counter().is_some(), kind == Kind::COUNTER);
        assert_eq!(node.as_set().is_some(), kind == Kind::SET);
        assert_eq!(node.as_map().is_some(), kind == Kind::MAP);
        assert_eq!(node.as_list().is_some(), kind == Kind::LIST);
        assert_eq!(node.value().is_some(), kind == Kind::REGISTER);
    }
    assert!(doc.map("all").node("missing").is_none());
    assert_eq!(doc.map("missing").iter().count(), 0);
}

#[test]
fn the_whole_document_is_walked_from_its_roots_and_each_path_leads_back() {
    fn walk(doc: &Document, path: &Path, node: NodeRef<'_>, seen: &mut Vec<(Path, Kind)>) {
        let back = doc.at(path).expect("what was found on a walk is at its path");
        assert_eq!((back.kind(), back.value()), (node.kind(), node.value()));
        seen.push((path.clone(), node.kind()));
        for (step, child) in node.children() {
            walk(doc, &path.join(step), child, seen);
        }
    }
    let doc = everything();
    let mut seen = Vec::new();
    for (name, node) in doc.nodes() {
        walk(&doc, &Path::root(name, node.kind()), node, &mut seen);
    }
    assert!(doc.nodes().map(|(name, node)| (name, node.kind())).eq(doc.roots()));
    assert_eq!(seen.len(), 3 + 11 + 2, "the roots, what is under the keys, and what is in the map and the list there");
    assert_eq!(doc.node("hits").map(|node| node.kind()), Some(Kind::COUNTER));
    assert!(doc.node("missing").is_none());
}

#[test]
fn of_several_kinds_one_stands_for_all_and_none_is_hidden() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, |tx| {
        tx.map("m")?.put("value or map", 1)?;
        tx.map("m")?.set("set or list")?.add("x")?;
        tx.map("m")?.list("list or map")?.push("y").map(drop)
    });
    edit(&mut b, |tx| {
        tx.map("m")?.map("value or map")?.put("x", 1)?;
        tx.map("m")?.list("set or list")?.push("y")?;
        tx.map("m")?.map("list or map")?.put("x", 1)?;
        tx.list("m")?.push("z").map(drop)
    });
    meet(&mut a, &mut b);
    for doc in [&a, &b] {
        let shown: Vec<_> = doc.map("m").iter().map(|(key, node)| (key, node.kind())).collect();
        let expected = [("list or map", Kind::LIST), ("set or list", Kind::LIST), ("value or map", Kind::MAP)];
        assert_eq!(shown, expected);
        for key in doc.map("m").keys() {
            let all: Vec<Kind> = doc.map("m").nodes(key).map(|node| node.kind()).collect();
            assert_eq!(all, doc.map("m").kinds(key));
            assert_eq!(all.len(), 2);
        }
        assert_eq!(doc.map("m").get_as("value or map"), Some(1_i64), "typed reading sees what is hidden untyped");
        assert_eq!(doc.node("m").map(|node| node.kind()), Some(Kind::LIST));
        let inside = doc.map("m");
        assert_eq!(NodeRef::from(inside).children().count(), 6, "a walk finds every kind");
    }
}

#[test]
fn concurrent_values_are_read_by_reference_the_winner_first() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, |tx| tx.map("m")?.put("k", "from a"));
    edit(&mut b, |tx| tx.map("m")?.put("k", "from b"));
    meet(&mut a, &mut b);
    let map = a.map("m");
    assert_eq!(map.values_ref("k"), [&Value::from("from b"), &Value::from("from a")]);
    assert_eq!(map.get_ref("k"), Some(&Value::from("from b")));
    assert!(map.values_ref("k").into_iter().eq(&map.values("k")));
}

#[test]
fn a_list_is_walked_by_element() {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        let mut list = tx.list("l")?;
        list.push("first")?;
        let map = list.insert_container(1, Kind::MAP)?;
        list.map(map)?.put("x", 1)?;
        list.push(3)?;
        let first = list.read().id_at(0).expect("it is there");
        list.put(first, "first, overwritten")
    });
    let list = doc.list("l");
    assert!(list.iter().map(|(id, _)| id).eq(list.ids()));
    let kinds: Vec<_> = list.iter().map(|(_, node)| node.kind()).collect();
    assert_eq!(kinds, [Kind::REGISTER, Kind::MAP, Kind::REGISTER]);
    assert!(list.values().eq([&Value::from("first, overwritten"), &Value::from(3)]));
    let map = list.id_at(1).expect("it is there");
    assert_eq!(list.node(map).and_then(|node| node.as_map()).map(|map| map.len()), Some(1));
    assert_eq!((list.value_ref(map), list.get_ref(1)), (None, None), "a container is no value");
    assert!(list.node(Dot::new(ReplicaId::from(9), 1)).is_none());
}

#[test]
fn a_set_lists_its_members_in_the_order_of_values() {
    let mut doc = writer(1);
    edit(&mut doc, |tx| {
        for value in [Value::from("b"), Value::from(2), Value::from("a"), Value::Null, Value::from(-1), true.into()] {
            tx.set("s")?.add(value)?;
        }
        Ok(())
    });
    let expected = [Value::Null, true.into(), Value::from(-1), Value::from(2), Value::from("a"), Value::from("b")];
    assert!(doc.set("s").iter().eq(&expected));
    assert!(expected.iter().all(|value| doc.set("s").contains(value)));
}

#[test]
fn debug_shows_contents_and_conflicts() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, |tx| {
        let mut map = tx.map("m")?;
        map.put("k", "from a")?;
        map.enable("f")?;
        map.set("s")?.add(1)?;
        map.list("l")?.push("x").map(drop)
    });
    edit(&mut b, |tx| tx.map("m")?.put("k", "from b").and(tx.map("m")?.counter("f")?.add(3)));
    meet(&mut a, &mut b);
    let map = r#"{"f": true, "f": 3, "k": Conflict(["from b", "from a"]), "l": ["x"], "s": {1}}"#;
    assert_eq!(format!("{:?}", a.map("m")), map);
    assert_eq!(format!("{:?} {:?}", a.register("none"), a.map("none")), "unset {}");
    assert!(format!("{a:?}").ends_with(&format!(r#"roots: {{"m": {map}}}, .. }}"#)), "{a:?}");
}

/// A delta with things of a kind that nobody knows yet: a container under a key and in a list, and a root.
fn from_the_future() -> Delta {
    let entry = |container: Container, slot: Slot, kind: Kind, payload: Payload| Entry {
        container,
        slot,
        kind,
        entity: true,
        payload,
    };
    let map = Container::Root { name: "m".into(), kind: Kind::MAP };
    let unknown = Kind(200);
    let opaque = || Payload::Opaque(Arc::from([1, 2, 3]));
    let parts = DeltaParts {
        replica: ReplicaId::from(7),
        first_seq: 1,
        dots: 2,
        deps: Few::new(),
        hlc: Hlc(1),
        bunches: Vec::new(),
        adds: [
            (1, entry(map.clone(), Slot::Key("new".into()), unknown, opaque())),
            (2, entry(map, Slot::Key("known".into()), Kind::MAP, Payload::Empty)),
        ]
        .into(),
        text: Few::new(),
        totals_before: Few::new(),
        removes: DotRuns::new(),
    };
    Delta::seal(parts, Tag::start(ReplicaId::from(7)))
}

#[test]
fn what_this_version_does_not_know_is_passed_over() {
    let mut doc = Document::new();
    doc.apply(&from_the_future()).expect("what is not known is kept");
    let map: MapRef<'_> = doc.map("m");
    assert!(map.keys().eq(["known", "new"]));
    assert!(map.iter().map(|(key, _)| key).eq(["known"]));
    assert!(map.node("new").is_none());
    assert_eq!(map.nodes("new").count(), 0);
    assert_eq!(map.kinds("new"), [Kind(200)]);
    #[cfg(feature = "json")]
    assert_eq!(doc.to_json(), serde_json::json!({ "m": { "known": {}, "new": null } }));
}

#[cfg(feature = "testing")]
mod histories {
    //! Random histories: what a walk finds, and what JSON shows, is what the specification says.

    use std::collections::BTreeMap;

    use weftline::testing::{History, Options, Shape, dump};
    use weftline::{Document, Kind, NodeRef, PathStep};

    type Keyed = BTreeMap<(String, Kind), Shape>;

    fn documents(mut check: impl FnMut(&Document, &Keyed)) {
        for seed in 0..60 {
            let history = History::grow(seed, &Options::default()).expect("the engine keeps to the specification");
            for document in history.documents() {
                check(document, &history.spec().dump(&document.version()));
            }
        }
    }

    /// What is found by walking alone, without a look at kinds or keys.
    fn walked(node: NodeRef<'_>) -> Shape {
        match node {
            NodeRef::Register(register) => Shape::Register(register.values_ref().into_iter().cloned().collect()),
            NodeRef::Flag(flag) => Shape::Flag(flag.is_enabled()),
            NodeRef::Counter(counter) => Shape::Counter(counter.value()),
            NodeRef::Set(set) => Shape::Set(set.iter().cloned().collect()),
            NodeRef::Map(_) => {
                let child = |(step, node): (PathStep, NodeRef<'_>)| match step {
                    PathStep::Key { key, kind } => ((key.to_string(), kind), walked(node)),
                    other => panic!("{other:?} leads nowhere in a map"),
                };
                Shape::Map(node.children().map(child).collect())
            }
            NodeRef::List(list) => Shape::List(list.iter().map(|(id, node)| (id, walked(node))).collect()),
            NodeRef::MaxRegister(register) => Shape::Extreme(register.get()),
            NodeRef::MinRegister(register) => Shape::Extreme(register.get()),
            NodeRef::DisableWinsFlag(flag) => Shape::Flag(flag.is_enabled()),
            NodeRef::RemoveWinsSet(set) => Shape::Set(set.iter().cloned().collect()),
            NodeRef::GrowOnlySet(set) => Shape::Set(set.iter().cloned().collect()),
            NodeRef::BoundedCounter(counter) => {
                let rights = counter.holders().into_iter().collect();
                Shape::Bounded { value: counter.value(), floor: counter.floor(), rights }
            }
            NodeRef::Text(text) => Shape::Text(text.to_string()),
            other => panic!("{other:?} is in no history"),
        }
    }

    #[test]
    fn a_walk_finds_what_the_specification_says() {
        let mut containers = 0;
        documents(|document, expected| {
            let found: Keyed =
                document.nodes().map(|(name, node)| ((name.to_string(), node.kind()), walked(node))).collect();
            assert_eq!(found, *expected);
            assert_eq!(found, dump(document));
            containers += found.len();
        });
        assert!(containers > 100, "the histories make something: {containers}");
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_is_what_the_specification_says() {
        use serde_json::{Value as Json, json};
        use weftline::Value;

        fn plain(value: &Value) -> Json {
            serde_json::to_value(value).expect("a plain value has a form in JSON")
        }

        /// Written from the sentence in the documentation: a list before a map before a text before all others, those by their numbers.
        fn keyed(all: &Keyed) -> Json {
            let mut object = serde_json::Map::new();
            let rank = |kind: Kind| {
                [Kind::TEXT, Kind::MAP, Kind::LIST].iter().position(|other| *other == kind).map(|at| at + 1)
            };
            let mut sorted: Vec<_> = all.iter().collect();
            sorted.sort_by_key(|((_, kind), _)| (rank(*kind), kind.0));
            object.extend(sorted.into_iter().map(|((name, _), shape)| (name.clone(), shown(shape))));
            Json::Object(object)
        }

        fn shown(shape: &Shape) -> Json {
            match shape {
                Shape::Register(values) => values.first().map_or(Json::Null, plain),
                Shape::Extreme(value) => value.as_ref().map_or(Json::Null, plain),
                Shape::Bounded { value, .. } => json!(i64::try_from(*value).expect("histories count a little")),
                Shape::Flag(on) => json!(on),
                Shape::Counter(number) => json!(i64::try_from(*number).expect("histories count a little")),
                Shape::Set(members) => members.iter().map(plain).collect(),
                Shape::Map(all) => keyed(all),
                Shape::List(elements) => elements.iter().map(|(_, shape)| shown(shape)).collect(),
                Shape::Text(text) => json!(text),
            }
        }

        let mut beside = 0;
        documents(|document, expected| {
            assert_eq!(document.to_json(), keyed(expected));
            let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
            let (here, there) = (serde_json::to_string(document), serde_json::to_string(&loaded));
            assert_eq!(here.expect("it can be written"), there.expect("it can be written"));
            let names: Vec<_> = document.nodes().map(|(name, _)| name).collect();
            beside += names.windows(2).filter(|pair| pair[0] == pair[1]).count();
            for map in document.nodes().filter_map(|(_, node)| node.as_map()) {
                beside += map.keys().filter(|key| map.kinds(key).len() > 1).count();
            }
        });
        assert!(beside > 10, "several kinds under one name are met: {beside}");
    }
}
