//! Copies of stores, and openings that follow each other, with the real replica and the real room.

use weftline::sync::limits::MAX_UNCONFIRMED;

use super::world::{Store, World};

#[test]
fn lease_1_a_copy_is_told_before_it_writes_and_nothing_is_lost_or_doubled() {
    let mut world = World::new();
    let original = world.open(Store::default());
    world.write(original, "a");
    world.sync(original);
    let id = world.writer(original);
    world.write(original, "b");
    // With `b` waiting for its ack in both.
    let copied = world.store(original);
    world.run();
    world.disconnect(original);
    let store = world.kill(original);

    let (first, second) = (world.open(store), world.open(copied));
    world.sync(first);
    world.sync(second);
    assert_eq!(world.writer(first), id);
    assert_eq!(world.writer(second), None, "the other one was first");
    assert_eq!(world.status(second).unsaved, 0, "ID-7: its outbox is settled all the same");
    let (theirs, ours) = (world.write(first, "c"), world.write(second, "d"));
    assert_ne!(theirs.replica(), ours.replica());
    world.run();
    for client in [first, second] {
        assert!(world.status(client).is_synced());
        assert!(["a", "b", "c", "d"].iter().all(|key| world.has(client, key)));
    }
    assert_eq!(world.room.voids().count(), 0, "no edit was made twice under one name");
}

#[test]
fn id_5_of_two_that_live_under_one_id_the_former_stops() {
    let mut world = World::new();
    let former = world.open(Store::default());
    world.write(former, "a");
    world.sync(former);
    let id = world.writer(former).unwrap();
    // Its machine was only thought to be dead; or its disk was copied while it ran.
    let latter = world.open_copy(former);
    world.sync(latter);
    assert_eq!((world.writer(former), world.writer(latter)), (None, Some(id)));
    let (one, other) = (world.write(former, "b"), world.write(latter, "c"));
    assert_ne!(one.replica(), other.replica());
    world.sync(former);
    world.run();
    assert!(world.has(former, "c") && world.has(latter, "b"));
    assert_eq!(world.room.voids().count(), 0);
}

#[test]
fn id_4_after_too_many_openings_that_never_heard_a_fresh_id_is_taken() {
    for (unheard, goes_on) in [(MAX_UNCONFIRMED, true), (MAX_UNCONFIRMED + 1, false)] {
        let mut world = World::new();
        let mut client = world.open(Store::default());
        world.write(client, "a");
        world.sync(client);
        let id = world.writer(client);
        for _ in 1..unheard {
            client = world.reopen(client);
            world.connect(client);
        }
        // One more that claims.
        client = world.reopen(client);
        assert_eq!(world.writer(client) == id, goes_on || unheard == MAX_UNCONFIRMED);
        world.sync(client);
        let next = world.reopen(client);
        world.sync(next);
        world.write(next, "b");
        world.run();
        assert!(world.status(next).is_synced());
    }
}

#[test]
fn id_4_openings_without_a_connection_are_no_openings_that_never_heard() {
    let mut world = World::new();
    let mut client = world.open(Store::default());
    world.write(client, "a");
    world.sync(client);
    let id = world.writer(client);
    for number in 0..3 * MAX_UNCONFIRMED {
        client = world.reopen(client);
        world.write(client, &format!("key {number}"));
    }
    assert_eq!(world.writer(client), id);
    world.sync(client);
    assert_eq!(world.writer(client), id);
    assert!(world.status(client).is_synced());
}

#[test]
fn lease_2_a_lease_outlives_the_relay() {
    let mut world = World::new();
    let original = world.open(Store::default());
    world.write(original, "a");
    world.sync(original);
    let copied = world.store(original);
    let next = world.reopen(original);
    world.sync(next);
    world.restart_relay();
    let copy = world.open(copied);
    world.sync(copy);
    assert_eq!(world.writer(copy), None, "LEASE-1");
    world.sync(next);
    assert!(world.writer(next).is_some());
}
