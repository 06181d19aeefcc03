//! Histories in which an earlier design of the handshake failed.

use weftline::ReplicaId;
use weftline::sync::Retry;

use super::world::{Store, World};

/// A client that has written `a` and heard that it has the lease of its id.
fn settled(world: &mut World) -> (usize, ReplicaId) {
    let client = world.open(Store::default());
    world.write(client, "a");
    world.sync(client);
    let id = world.writer(client).expect("it wrote");
    assert!(world.status(client).is_synced());
    (client, id)
}

/// A backup is taken when a claim is under way; then an edit is made and acked, the backup is put back, and another edit is made.
/// Who holds the lease is then what the backup says, and the last dot is the relay's: only the chain tells them apart.
#[test]
fn counterexample_1_an_edit_that_takes_the_dot_of_an_acked_one_is_found_by_its_chain() {
    let mut world = World::new();
    let (first, id) = settled(&mut world);
    let second = world.reopen(first);
    let link = world.connect(second);
    world.deliver_up(link);
    let backup = world.store(second);
    world.run();
    let acked = world.write(second, "b");
    world.run();
    assert!(world.status(second).is_synced());
    world.kill(second);

    let third = world.open(backup);
    let lost = world.write(third, "c");
    assert_eq!((lost.dot(), world.writer(third)), (acked.dot(), Some(id)));
    world.sync(third);
    assert_ne!(world.writer(third), Some(id), "somebody else has written under it");
    assert!(world.relay_has("b"), "what was acked stays");
    assert_eq!(world.room.document().chain(id).tag, acked.tag());
    let voids: Vec<_> = world.room.voids().map(|fact| (fact.first(), fact.tag)).collect();
    assert_eq!(voids, [(lost.dot(), lost.tag())]);
    assert!(world.has(third, "c"), "and what was not is not lost");
}

/// One opening gets the lease and dies before it hears of it; the next one dies before it is heard. Whoever remembers only the last
/// opening takes the one with the lease for a stranger.
#[test]
fn counterexample_2_openings_that_die_before_they_hear_cost_no_id() {
    let mut world = World::new();
    let (first, id) = settled(&mut world);
    let second = world.reopen(first);
    let link = world.connect(second);
    world.deliver_up(link);
    world.commit();
    world.lose_down(link);
    let third = world.reopen(second);
    world.connect(third);
    let fourth = world.reopen(third);
    world.sync(fourth);
    assert_eq!(world.writer(fourth), Some(id));
    world.write(fourth, "b");
    world.run();
    assert!(world.status(fourth).is_synced());
    assert_eq!(world.room.document().version().len(), 1);
}

/// Another tab pushes this tab's durable edit while its Open is under way: the relay then has more than was claimed.
#[test]
fn counterexample_3_a_race_with_an_own_tab_is_no_rollback_and_no_clone() {
    let mut world = World::new();
    let (first, id) = settled(&mut world);
    let second = world.reopen(first);
    world.connect(second);
    world.write(second, "b");
    let shared = world.store(second);
    let sibling = world.open_slot(shared, 1);
    let link = world.connect(sibling);
    for _ in 0..3 {
        world.deliver_up(link);
        world.commit();
        world.deliver_down(link);
    }
    assert!(world.relay_has("b"));

    world.run();
    assert_eq!(world.client(second).hung_up, Some(Retry::after_ms(0)), "it asks for the lease again, at once");
    assert_eq!(world.writer(second), Some(id), "and gives nothing up");
    world.sync(second);
    assert_eq!((world.client(second).hung_up, world.writer(second)), (None, Some(id)));
    // The list of openings is as it must be, too: the next one is no stranger.
    let third = world.reopen(second);
    world.sync(third);
    assert_eq!(world.writer(third), Some(id));
    world.write(third, "c");
    world.run();
    assert!(world.status(third).is_synced() && world.relay_has("c"));
}

/// The Open of a connection that was given up arrives after that of the connection that took its place.
#[test]
fn counterexample_4_a_delayed_open_of_an_older_connection_takes_nothing_over() {
    let mut world = World::new();
    let (first, id) = settled(&mut world);
    let second = world.reopen(first);
    let delayed = world.connect(second);
    let present = world.connect(second);
    for _ in 0..3 {
        world.deliver_up(present);
        world.commit();
        world.deliver_down(present);
    }
    world.deliver_up(delayed);
    world.run();
    assert_eq!((world.client(second).hung_up, world.writer(second)), (None, Some(id)));
    world.write(second, "b");
    world.run();
    assert!(world.status(second).is_synced() && world.relay_has("b"));
}

/// A relay that was put back to an older state knows an opening that the store has long forgotten.
#[test]
fn counterexample_5_a_relay_that_was_put_back_does_not_look_like_a_copied_store() {
    let mut world = World::new();
    let (first, id) = settled(&mut world);
    let backup = world.disk.clone();
    let second = world.reopen(first);
    world.sync(second);
    world.write(second, "b");
    world.run();
    let third = world.reopen(second);
    world.restore_relay(&backup);
    world.sync(third);
    assert_eq!(world.writer(third), Some(id));
    assert!(world.status(third).is_synced() && world.relay_has("b"), "what it lost was given back");
    let fourth = world.reopen(third);
    world.sync(fourth);
    assert_eq!(world.writer(fourth), Some(id));
}

/// The power goes after an edit was sent. What says that the store may go on was written strictly, or not at all.
#[test]
fn counterexample_9_a_power_cut_after_an_edit_was_sent_reuses_no_dot() {
    for edits in 1..4 {
        let mut world = World::new();
        let (first, id) = settled(&mut world);
        let second = world.reopen(first);
        world.connect(second);
        let mut last = 0;
        for number in 0..edits {
            last = world.write(second, &format!("key {number}")).dot().seq;
        }
        world.run();
        let mut store = world.kill(second);
        store.cut_power();
        let third = world.open(store);
        let next = world.write(third, "next");
        assert_eq!((next.replica(), next.first_seq()), (id, last + 1));
        world.sync(third);
        assert!(world.status(third).is_synced() && world.room.voids().count() == 0);
    }
}

/// Two relays that know nothing of each other, one after the other, and one list of openings.
#[test]
fn counterexample_11_a_store_that_was_at_another_relay_is_no_copy() {
    let mut world = World::new();
    let mut other = World::new().openings_from(100);
    let (first, id) = settled(&mut world);
    let there = other.open(world.kill(first));
    other.sync(there);
    other.write(there, "b");
    other.run();
    let back = world.open(other.kill(there));
    world.sync(back);
    assert_eq!(world.writer(back), Some(id));
    assert!(world.status(back).is_synced() && world.relay_has("b"));
    let again = other.open(world.kill(back));
    other.sync(again);
    assert_eq!(other.writer(again), Some(id));
}
