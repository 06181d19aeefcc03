//! The types with another policy than the common one, row by row of the table of concurrent outcomes: max and min registers,
//! flags where disabling wins, sets where removing wins or that only grow, counters with a floor.
//!
//! What all of them have in common is run for each kind: *creations under one key merge; deletion wins over edits inside
//! what it deleted; a put survives a concurrent delete.*

use crate::pair::{Pair, texts};
use weftline::{
    Commit, Document, Dot, EditError, Kind, NodeMut, Path, PathStep, ReplicaId, Timestamp, Transaction, Value,
};

const KINDS: [Kind; 6] = [
    Kind::MAX_REGISTER,
    Kind::MIN_REGISTER,
    Kind::DISABLE_WINS_FLAG,
    Kind::REMOVE_WINS_SET,
    Kind::GROW_ONLY_SET,
    Kind::BOUNDED_COUNTER,
];

const A: u128 = 1;
const B: u128 = 2;

fn at_key(kind: Kind) -> Path {
    Path::root("m", Kind::MAP).join(PathStep::Key { key: "k".into(), kind })
}

fn in_list(document: &Document) -> Path {
    Path::root("l", Kind::LIST).join(PathStep::Element(document.list("l").id_at(0).expect("an element is there")))
}

/// Does to the container at `path` what shows: `number` is added, raised to, counted. Lower numbers show in a min register.
fn touch(tx: &mut Transaction<'_>, path: &Path, number: u32) -> Result<(), EditError> {
    match tx.at(path)? {
        NodeMut::MaxRegister(mut register) => register.raise(number).map(drop),
        NodeMut::MinRegister(mut register) => register.lower(number).map(drop),
        NodeMut::DisableWinsFlag(mut flag) => flag.enable(),
        NodeMut::RemoveWinsSet(mut set) => set.add(number),
        NodeMut::GrowOnlySet(mut set) => set.add(number).map(drop),
        NodeMut::BoundedCounter(mut counter) => counter.add(number.into()),
        other => panic!("{other:?}"),
    }
}

/// What the container at `path` shows, as text; nothing if it is not there.
fn shown(document: &Document, path: &Path) -> Option<String> {
    use weftline::NodeRef;
    Some(match document.at(path)? {
        NodeRef::MaxRegister(register) => format!("{:?}", register.get()),
        NodeRef::MinRegister(register) => format!("{:?}", register.get()),
        NodeRef::DisableWinsFlag(flag) => format!("{:?}", flag.is_enabled()),
        NodeRef::RemoveWinsSet(set) => format!("{:?}", set.iter().collect::<Vec<_>>()),
        NodeRef::GrowOnlySet(set) => format!("{:?}", set.iter().collect::<Vec<_>>()),
        NodeRef::BoundedCounter(counter) => format!("{}", counter.value()),
        other => panic!("{other:?}"),
    })
}

/// What a kind shows that was touched with both numbers.
fn merged(kind: Kind, low: u32, high: u32) -> String {
    match kind {
        Kind::MAX_REGISTER => format!("Some({high})"),
        Kind::MIN_REGISTER => format!("Some({low})"),
        Kind::DISABLE_WINS_FLAG => "true".into(),
        Kind::BOUNDED_COUNTER => (low + high).to_string(),
        _ => format!("[{low}, {high}]"),
    }
}

/// What a kind shows that was touched with one number.
fn alone(kind: Kind, number: u32) -> String {
    match kind {
        Kind::MAX_REGISTER | Kind::MIN_REGISTER => format!("Some({number})"),
        Kind::DISABLE_WINS_FLAG => "true".into(),
        Kind::BOUNDED_COUNTER => number.to_string(),
        _ => format!("[{number}]"),
    }
}

/// One transaction, with what it gave.
fn done<T>(document: &mut Document, edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError>) -> Commit<T> {
    document.transact(Timestamp(1), edit).expect("the edit is possible")
}

// Every kind.

#[test]
fn every_kind_is_a_container() {
    for kind in KINDS {
        assert!(kind.is_container(), "{}", kind.name());
    }
}

#[test]
fn edits_of_every_kind_come_together_in_roots_under_keys_and_in_elements() {
    for kind in KINDS {
        let mut pair = Pair::after(|tx| {
            tx.list("l")?.insert_container(0, kind)?;
            tx.at(&at_key(kind)).map(drop)
        });
        let paths = [Path::root("r", kind), at_key(kind), in_list(&pair.a)];
        for path in &paths {
            pair.a(|tx| touch(tx, path, 3)).b(|tx| touch(tx, path, 5));
            assert_eq!(pair.both(|doc| shown(doc, path)), Some(merged(kind, 3, 5)), "{} at {path:?}", kind.name());
        }
        let loaded = Document::load(&pair.a.snapshot()).expect("what was saved loads");
        assert!(loaded.roots().any(|root| root == ("r", kind)));
        for path in &paths {
            assert_eq!(shown(&loaded, path), shown(&pair.a, path), "{} as it was saved", kind.name());
        }
    }
}

#[test]
fn creations_of_every_kind_under_one_key_merge() {
    for kind in KINDS {
        let (mut pair, path) = (Pair::new(), at_key(kind));
        pair.a(|tx| touch(tx, &path, 3)).b(|tx| touch(tx, &path, 5));
        assert_eq!(pair.both(|doc| shown(doc, &path)), Some(merged(kind, 3, 5)), "{}", kind.name());
        assert_eq!(pair.a.map("m").kinds("k"), [kind]);
        // Removing the key removes both incarnations.
        pair.b(|tx| tx.map("m")?.remove("k").map(drop));
        assert_eq!(pair.both(|doc| shown(doc, &path)), None);
        assert_eq!(pair.a.live_count(), 0, "nothing is left behind");
    }
}

#[test]
fn removing_one_of_two_incarnations_of_every_kind_keeps_the_other_wholly() {
    for kind in KINDS {
        let (mut pair, path) = (Pair::new(), at_key(kind));
        pair.a(|tx| touch(tx, &path, 3)).b(|tx| touch(tx, &path, 5));
        // `a` removes its own one before it hears of the other.
        pair.a(|tx| tx.map("m")?.remove("k").map(drop));
        assert_eq!(pair.both(|doc| shown(doc, &path)), Some(alone(kind, 5)), "{}", kind.name());
    }
}

#[test]
fn deletion_wins_over_edits_inside_every_kind() {
    for kind in KINDS {
        let path = at_key(kind);
        let mut pair = Pair::after(|tx| {
            tx.list("l")?.insert_container(0, kind)?;
            touch(tx, &path, 5)
        });
        let element = in_list(&pair.a);
        pair.a(|tx| {
            tx.list("l")?.remove_at(0)?;
            tx.map("m")?.remove("k").map(drop)
        });
        pair.b(|tx| {
            touch(tx, &element, 4)?;
            touch(tx, &path, 6)?;
            touch(tx, &path, 4)
        });
        assert_eq!(pair.both(|doc| (shown(doc, &path), doc.list("l").len())), (None, 0), "{}", kind.name());
        assert_eq!(pair.a.live_count(), 0, "nothing is left behind");
    }
}

#[test]
fn removing_and_creating_anew_keeps_the_new_creation_of_every_kind_wholly() {
    for kind in KINDS {
        let path = at_key(kind);
        let mut pair = Pair::after(|tx| touch(tx, &path, 4));
        pair.a(|tx| tx.map("m")?.remove("k").map(drop)).b(|tx| {
            tx.map("m")?.remove("k")?;
            touch(tx, &path, 5)
        });
        assert_eq!(
            pair.both(|doc| shown(doc, &path)),
            Some(alone(kind, 5)),
            "nothing old resurrects in a {}",
            kind.name()
        );
    }
}

#[test]
fn creations_of_other_kinds_under_one_key_are_both_kept() {
    for (at, low) in KINDS.into_iter().enumerate() {
        for high in KINDS.into_iter().skip(at + 1) {
            let mut pair = Pair::new();
            pair.a(|tx| touch(tx, &at_key(high), 3)).b(|tx| touch(tx, &at_key(low), 5));
            assert_eq!(pair.both(|doc| doc.map("m").kinds("k")), [low, high]);
            assert_eq!(pair.both(|doc| shown(doc, &at_key(low))), Some(alone(low, 5)));
            assert_eq!(pair.both(|doc| shown(doc, &at_key(high))), Some(alone(high, 3)));
        }
    }
}

#[test]
fn moving_an_element_of_every_kind_keeps_what_is_in_it() {
    for kind in KINDS {
        let mut pair = Pair::after(|tx| {
            let mut list = tx.list("l")?;
            list.insert_container(0, kind)?;
            list.push("beside").map(drop)
        });
        let path = in_list(&pair.a);
        pair.a(|tx| {
            let id = tx.list("l")?.read().id_at(0).expect("it is there");
            tx.list("l")?.move_to(id, 1)
        });
        pair.b(|tx| touch(tx, &path, 5));
        assert_eq!(pair.both(|doc| shown(doc, &path)), Some(alone(kind, 5)), "{}", kind.name());
        assert_eq!(pair.a.list("l").get(0), Some("beside".into()));
    }
}

#[test]
fn a_put_replaces_what_it_saw_of_every_kind_and_survives_its_removal() {
    for kind in KINDS {
        let path = at_key(kind);
        let mut pair = Pair::after(|tx| touch(tx, &path, 4));
        pair.a(|tx| tx.map("m")?.remove("k").map(drop)).b(|tx| tx.map("m")?.put("k", "put"));
        assert_eq!(pair.both(|doc| doc.map("m").kinds("k")), [Kind::REGISTER], "{}", kind.name());
        assert_eq!(pair.a.live_count(), 1);
    }
}

#[test]
fn what_a_clear_of_the_map_did_not_see_survives_in_every_kind() {
    for kind in KINDS {
        let path = at_key(kind);
        let mut pair = Pair::after(|tx| tx.map("m")?.put("old", 1));
        pair.a(|tx| tx.map("m")?.clear()).b(|tx| touch(tx, &path, 5));
        assert_eq!(pair.both(|doc| doc.map("m").keys().map(String::from).collect::<Vec<_>>()), ["k"]);
    }
}

#[test]
fn reading_creates_nothing_of_any_kind() {
    let doc = Document::new();
    let map = doc.map("m");
    assert_eq!((map.max_register("k").get(), map.min_register("k").get()), (None, None));
    assert!(!map.disable_wins_flag("k").is_enabled() && map.remove_wins_set("k").is_empty());
    assert!(map.grow_only_set("k").is_empty());
    let counter = map.bounded_counter("k");
    assert_eq!((counter.value(), counter.floor(), counter.rights(), counter.holders()), (0, 0, 0, Vec::new()));
    assert_eq!(doc.roots().count(), 0);
}

// Max and min registers.

#[test]
fn the_greater_of_two_concurrent_raises_is_read_whatever_the_clocks_say() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.max_register("r")?.raise(7).map(drop)).b(|tx| tx.max_register("r")?.raise(3).map(drop));
    assert_eq!(pair.both(|doc| doc.max_register("r").get()), Some(7.into()));
    pair.a(|tx| tx.min_register("r")?.lower(3).map(drop)).b(|tx| tx.min_register("r")?.lower(7).map(drop));
    assert_eq!(pair.both(|doc| doc.min_register("r").get()), Some(3.into()));
    // What settles it replaces both.
    pair.a(|tx| tx.max_register("r")?.raise(8).map(drop)).a(|tx| tx.min_register("r")?.lower(2).map(drop)).meet();
    assert_eq!(pair.b.live_count(), 2);
}

#[test]
fn a_write_that_does_not_change_what_is_read_writes_nothing() {
    let mut pair = Pair::after(|tx| tx.max_register("r")?.raise("m").map(drop));
    let commit = done(&mut pair.b, |tx| tx.max_register("r")?.raise("m"));
    assert_eq!((commit.value, commit.delta), (false, None));
    let commit = done(&mut pair.b, |tx| tx.max_register("r")?.raise("a"));
    assert_eq!((commit.value, commit.delta), (false, None));
    let commit = done(&mut pair.b, |tx| tx.max_register("r")?.raise("z"));
    assert!(commit.value && commit.delta.is_some());
    assert_eq!(pair.both(|doc| doc.max_register("r").get()), Some("z".into()));
}

// Flags where disabling wins.

#[test]
fn disabling_wins_over_enabling() {
    let mut pair = Pair::after(|tx| tx.disable_wins_flag("f")?.enable());
    pair.a(|tx| tx.disable_wins_flag("f")?.disable()).b(|tx| {
        tx.disable_wins_flag("f")?.disable()?;
        tx.disable_wins_flag("f")?.enable()
    });
    assert!(!pair.both(|doc| doc.disable_wins_flag("f").is_enabled()));
    // Whoever has seen the disabling can undo it.
    pair.b(|tx| tx.disable_wins_flag("f")?.enable());
    assert!(pair.both(|doc| doc.disable_wins_flag("f").is_enabled()));
}

#[test]
fn disabling_wins_also_where_nothing_was_enabled_and_where_it_was_disabled_before() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.disable_wins_flag("f")?.disable()).b(|tx| tx.disable_wins_flag("f")?.enable());
    assert!(!pair.both(|doc| doc.disable_wins_flag("f").is_enabled()), "a consent does not win over a refusal");
    pair.a(|tx| tx.disable_wins_flag("f")?.disable()).b(|tx| tx.disable_wins_flag("f")?.enable());
    assert!(!pair.both(|doc| doc.disable_wins_flag("f").is_enabled()), "and not over one that is repeated");
}

#[test]
fn a_disable_wins_flag_costs_one_entry_also_while_it_is_off_and_then_no_root_shows_it() {
    let mut pair = Pair::new();
    for _ in 0..10 {
        pair.a(|tx| tx.disable_wins_flag("f")?.enable()).meet().b(|tx| tx.disable_wins_flag("f")?.disable()).meet();
    }
    assert_eq!((pair.a.live_count(), pair.a.roots().count()), (1, 0));
    let commit: Result<Commit<()>, EditError> = pair.a.transact(Timestamp(1), |tx| {
        tx.disable_wins_flag("f")?.enable()?;
        tx.disable_wins_flag("f")?.enable()
    });
    assert_eq!(
        commit.expect("possible").delta.expect("an edit").parts().adds.len(),
        1,
        "enabling twice is enabling once"
    );
    assert_eq!(pair.a.roots().collect::<Vec<_>>(), [("f", Kind::DISABLE_WINS_FLAG)]);
}

// Sets where removing wins.

fn set(document: &Document) -> Vec<String> {
    texts(document.remove_wins_set("s").iter().cloned().collect())
}

#[test]
fn removing_wins_over_adding() {
    let mut pair = Pair::after(|tx| tx.remove_wins_set("s")?.add("x"));
    pair.a(|tx| tx.remove_wins_set("s")?.remove(&"x".into()).map(drop)).b(|tx| {
        tx.remove_wins_set("s")?.remove(&"x".into())?;
        tx.remove_wins_set("s")?.add("x")
    });
    assert_eq!(pair.both(set), [""; 0]);
    assert_eq!((pair.a.remove_wins_set("s").len(), pair.a.roots().count()), (0, 0));
    // Whoever has seen the removal can add it again; whoever removes it again wins again.
    pair.b(|tx| tx.remove_wins_set("s")?.add("x"));
    assert_eq!(pair.both(set), ["x"]);
    pair.a(|tx| tx.remove_wins_set("s")?.remove(&"x".into()).map(drop)).meet();
    pair.a(|tx| tx.remove_wins_set("s")?.remove(&"x".into()).map(drop)).b(|tx| tx.remove_wins_set("s")?.add("x"));
    assert_eq!(pair.both(set), [""; 0], "a removal that is repeated wins too");
}

#[test]
fn adding_and_adding_is_adding_and_removing_what_nobody_added_writes_nothing() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.remove_wins_set("s")?.add("x")).b(|tx| tx.remove_wins_set("s")?.add("x"));
    assert_eq!(pair.both(set), ["x"]);
    let commit = done(&mut pair.a, |tx| {
        tx.remove_wins_set("s")?.add("x")?;
        tx.remove_wins_set("s")?.remove(&"never there".into())
    });
    assert_eq!((commit.value, commit.delta), (false, None), "no addition wins by being newer");
}

#[test]
fn a_value_that_a_clear_did_not_see_survives_and_one_that_it_saw_does_not() {
    let mut pair = Pair::after(|tx| tx.remove_wins_set("s")?.add("old"));
    pair.a(|tx| tx.remove_wins_set("s")?.clear()).b(|tx| {
        let mut set = tx.remove_wins_set("s")?;
        set.add("new")?;
        set.remove(&"old".into())?;
        set.add("old")
    });
    assert_eq!(pair.both(set), ["new"]);
}

#[test]
fn a_remove_wins_set_costs_one_entry_a_value_whatever_the_history() {
    let mut pair = Pair::new();
    for _ in 0..10 {
        pair.a(|tx| (0..4).try_for_each(|value| tx.remove_wins_set("s")?.add(value))).meet();
        pair.b(|tx| tx.remove_wins_set("s")?.clear()).meet();
    }
    assert_eq!((pair.a.live_count(), pair.a.remove_wins_set("s").len()), (4, 0), "what was removed leaves its mark");
}

// Sets that only grow.

#[test]
fn a_grow_only_set_keeps_what_anybody_added_and_writes_it_once() {
    let mut pair = Pair::after(|tx| tx.grow_only_set("s")?.add("old").map(drop));
    pair.a(|tx| tx.grow_only_set("s")?.add("a").map(drop)).b(|tx| tx.grow_only_set("s")?.add("b").map(drop));
    assert_eq!(pair.both(|doc| texts(doc.grow_only_set("s").iter().cloned().collect())), ["a", "b", "old"]);
    let commit = done(&mut pair.b, |tx| tx.grow_only_set("s")?.add("a"));
    assert_eq!((commit.value, commit.delta), (false, None));
}

// Counters with a floor.

#[test]
fn two_that_subtract_all_they_may_come_down_to_the_floor_and_no_further() {
    let mut pair = Pair::after(|tx| {
        let mut stock = tx.bounded_counter("stock")?;
        stock.add(10)?;
        stock.transfer(ReplicaId::from(B), 4)
    });
    assert_eq!(pair.both(|doc| doc.bounded_counter("stock").holders()), [(A.into(), 6), (B.into(), 4)]);
    pair.a(|tx| tx.bounded_counter("stock")?.subtract(6)).b(|tx| tx.bounded_counter("stock")?.subtract(4));
    assert_eq!(pair.both(|doc| doc.bounded_counter("stock").value()), 0);
    assert_eq!(pair.a.live_count(), 2, "one entry a replica, whatever the history");
}

#[test]
fn without_the_rights_nothing_is_changed_and_the_error_says_how_many_there_are() {
    let mut pair = Pair::after(|tx| {
        tx.bounded_counter("stock")?.add(10)?;
        tx.bounded_counter("stock")?.transfer(ReplicaId::from(B), 4)
    });
    let not_enough = |wanted, available| Err(EditError::NotEnoughRights { wanted, available });
    let commit = done(&mut pair.b, |tx| {
        let mut stock = tx.bounded_counter("stock")?;
        assert_eq!(stock.subtract(5), not_enough(5, 4), "although the value is 10");
        assert_eq!(stock.transfer(ReplicaId::from(A), 5), not_enough(5, 4));
        assert_eq!(stock.transfer(ReplicaId::from(B), 5), not_enough(5, 4));
        assert_eq!(stock.transfer(ReplicaId::NIL, 1), Err(EditError::NilReplica));
        stock.transfer(ReplicaId::from(B), 4)?;
        stock.subtract(0)?;
        stock.add(0)
    });
    assert_eq!(commit.delta, None);
    assert_eq!(pair.b.bounded_counter("stock").rights(), 4);
    assert_eq!(Document::new().bounded_counter("stock").rights(), 0, "who does not write has none");
}

#[test]
fn rights_that_were_given_to_one_who_had_not_written_yet_can_be_used_and_given_on() {
    let mut pair = Pair::after(|tx| {
        tx.bounded_counter("stock")?.add(10)?;
        tx.bounded_counter("stock")?.transfer(ReplicaId::from(B), 3)?;
        tx.bounded_counter("stock")?.transfer(ReplicaId::from(B), 4)
    });
    pair.b(|tx| {
        let mut stock = tx.bounded_counter("stock")?;
        stock.subtract(2)?;
        stock.transfer(ReplicaId::from(3), 4)
    });
    let holders = pair.both(|doc| doc.bounded_counter("stock").holders());
    assert_eq!(holders, [(A.into(), 3), (B.into(), 1), (3.into(), 4)]);
    assert_eq!(pair.a.bounded_counter("stock").value(), 8, "what is given away still counts");
    let mut third = Document::load(&pair.a.snapshot()).expect("what was saved loads");
    third.set_writer(Some(3.into())).expect("no transaction is open");
    let delta = done(&mut third, |tx| tx.bounded_counter("stock")?.subtract(4)).delta.expect("an edit");
    pair.a.apply(&delta).expect("it applies");
    assert_eq!(pair.both(|doc| doc.bounded_counter("stock").value()), 4);
}

#[test]
fn the_floor_is_said_at_creation_counts_once_and_the_greatest_of_several_counts() {
    let mut pair = Pair::new();
    pair.a(|tx| tx.map("m")?.bounded_counter_above("k", -5)?.add(2));
    assert_eq!((pair.a.map("m").bounded_counter("k").value(), pair.a.map("m").bounded_counter("k").floor()), (-3, -5));
    pair.a(|tx| tx.map("m")?.bounded_counter_above("k", 100).map(drop));
    assert_eq!(pair.a.map("m").bounded_counter("k").floor(), -5, "one that is there keeps its own");
    pair.b(|tx| tx.map("m")?.bounded_counter_above("k", 20)?.add(3));
    assert_eq!(pair.both(|doc| doc.map("m").bounded_counter("k").value()), 25, "20, and what both added");
    pair.b(|tx| tx.list("l")?.insert_bounded_counter(0, i64::MIN).map(drop));
    let id: Dot = pair.b.list("l").id_at(0).expect("it is there");
    assert_eq!(pair.both(|doc| doc.list("l").bounded_counter(id).value()), i64::MIN.into());
}

#[test]
fn rights_of_several_incarnations_are_used_together_and_die_each_with_its_own() {
    let mut pair = Pair::new();
    pair.b(|tx| tx.map("m")?.bounded_counter("k")?.add(10));
    let mut third = Document::with_writer(ReplicaId::from(3));
    third.apply_diff(&pair.b.diff_since(&third.version())).expect("the diff applies");
    pair.a(|tx| tx.map("m")?.bounded_counter("k")?.add(1)).meet();
    // `b` adds in the lowest incarnation, which is that of `a`, and then uses up more than it has there.
    pair.b(|tx| tx.map("m")?.bounded_counter("k")?.add(5)).b(|tx| tx.map("m")?.bounded_counter("k")?.subtract(12));
    assert_eq!(pair.both(|doc| doc.map("m").bounded_counter("k").value()), 4);
    // Somebody who knows only the first incarnation removes it. What was subtracted beyond the other one goes with it.
    let removal = done(&mut third, |tx| tx.map("m")?.remove("k"));
    pair.a.apply(&removal.delta.expect("it was there")).expect("it applies");
    assert_eq!(pair.both(|doc| doc.map("m").bounded_counter("k").value()), 1, "what `a` added, and no less");
}

#[test]
fn what_would_not_fit_64_bits_is_refused_and_leaves_everything_as_it_was() {
    let mut pair = Pair::after(|tx| tx.bounded_counter("c")?.add(u64::MAX));
    pair.a(|tx| {
        let mut counter = tx.bounded_counter("c")?;
        assert_eq!(counter.add(1), Err(EditError::CounterOverflow));
        counter.transfer(ReplicaId::from(B), u64::MAX)
    });
    pair.meet().b(|tx| tx.bounded_counter("c")?.transfer(ReplicaId::from(A), u64::MAX)).meet();
    pair.a(|tx| {
        let mut counter = tx.bounded_counter("c")?;
        assert_eq!(counter.transfer(ReplicaId::from(B), 1), Err(EditError::CounterOverflow));
        counter.subtract(u64::MAX)
    });
    assert_eq!(pair.both(|doc| doc.bounded_counter("c").value()), 0);
}

#[test]
fn an_edit_that_is_taken_back_takes_its_rights_back() {
    let mut pair = Pair::after(|tx| tx.bounded_counter("c")?.add(5));
    let failed: Result<Commit<()>, EditError> = pair.a.transact(Timestamp(1), |tx| {
        let mut counter = tx.bounded_counter("c")?;
        counter.subtract(3)?;
        counter.transfer(ReplicaId::from(B), 2)?;
        assert_eq!(counter.read().rights(), 0);
        Err(EditError::Gone)
    });
    assert_eq!(failed.unwrap_err(), EditError::Gone);
    assert_eq!(pair.both(|doc| doc.bounded_counter("c").rights_of(A.into())), 5);
    assert_eq!(pair.a.bounded_counter("c").value(), 5);
}

#[test]
fn sets_of_every_policy_list_members_in_the_order_of_values() {
    let mut pair = Pair::new();
    let values = [Value::from("b"), Value::from(2), Value::from("a"), Value::Null];
    pair.a(|tx| {
        for value in &values {
            tx.remove_wins_set("s")?.add(value.clone())?;
            tx.grow_only_set("s")?.add(value.clone())?;
        }
        Ok(())
    });
    let ordered = [Value::Null, Value::from(2), Value::from("a"), Value::from("b")];
    assert_eq!(pair.both(|doc| doc.remove_wins_set("s").iter().cloned().collect::<Vec<_>>()), ordered);
    assert_eq!(pair.both(|doc| doc.grow_only_set("s").iter().cloned().collect::<Vec<_>>()), ordered);
    assert_eq!((pair.a.remove_wins_set("s").len(), pair.a.grow_only_set("s").len()), (4, 4));
}
