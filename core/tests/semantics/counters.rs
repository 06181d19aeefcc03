//! Increments, and exactly which of them count.

use crate::common::{edit, meet, same, writer};
use crate::place::everywhere;

#[test]
fn increments_all_count_once() {
    everywhere(|pair| {
        pair.begin(|map| map.counter("c")?.add(10));
        let before = pair.a.live_count();
        pair.a(|map| map.counter("c")?.add(5)).a(|map| map.counter("c")?.add(-2)).b(|map| map.counter("c")?.add(7));
        assert_eq!(pair.both(|map| map.counter("c").value()), 20);
        assert_eq!(pair.a.live_count(), before + 1, "one running total a replica, whatever the history");
    });
}

#[test]
fn increments_of_a_root_counter_all_count_once() {
    let (mut a, mut b) = (writer(1), writer(2));
    for round in 0..10 {
        edit(&mut a, round, |tx| tx.counter("c")?.add(3));
        edit(&mut b, round, |tx| tx.counter("c")?.add(-1));
        meet(&mut a, &mut b);
    }
    assert_eq!(same(&a, &b, |doc| doc.counter("c").value()), 20);
    assert_eq!(a.live_count(), 2);
}

#[test]
fn counters_created_apart_are_one() {
    everywhere(|pair| {
        pair.a(|map| map.counter("k")?.add(1)).b(|map| map.counter("k")?.add(10)).meet();
        // Both incarnations are known to both now; what each adds goes to the lowest.
        pair.a(|map| map.counter("k")?.add(100)).b(|map| map.counter("k")?.add(1_000));
        assert_eq!(pair.both(|map| map.counter("k").value()), 1_111);
    });
}

#[test]
fn a_counter_created_concurrently_with_its_removal_loses_only_what_was_observed() {
    everywhere(|pair| {
        pair.a(|map| map.counter("k")?.add(1)).b(|map| map.counter("k")?.add(10));
        // `a` removes its own incarnation before it hears of the other.
        pair.a(|map| map.remove("k").map(drop));
        assert_eq!(pair.both(|map| map.counter("k").value()), 10);
    });
}

#[test]
fn a_total_stays_in_the_incarnation_it_was_made_in() {
    everywhere(|pair| {
        // `b` (the higher id) counts in its own incarnation, then learns of the lower one and counts there.
        pair.b(|map| map.counter("k")?.add(10)).a(|map| map.counter("k")?.add(1));
        let higher = pair.b.clone();
        pair.meet().b(|map| map.counter("k")?.add(5));
        // Somebody who knows only the higher incarnation removes it: the ten go, the five stay.
        pair.third(&higher, |map| map.remove("k").map(drop));
        assert_eq!(pair.both(|map| map.counter("k").value()), 6);
    });
}
