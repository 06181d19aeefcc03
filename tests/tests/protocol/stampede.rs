//! A relay that was put back to an older state, and everybody who comes back to it.

use super::*;

const CLIENTS: usize = 20;

/// Twenty who all have everything.
fn crowd() -> World {
    let mut world = World::new(RoomConfig::default());
    for _ in 0..CLIENTS {
        let client = world.client();
        world.connect(client, usize::MAX);
    }
    world.settle();
    for number in 0..60 {
        world.put(number % CLIENTS, &format!("key {number}"), "value");
        world.settle();
    }
    world.assert_equal();
    world
}

/// The first offers what it has, and has then an edit on its way to a disk that hangs: it must not send a part of what it has (DIFF-7).
fn ask_one_that_hangs(world: &mut World) {
    world.connect(0, usize::MAX);
    while world.clients[0].replica.status().unsaved == 0 {
        assert!(world.step(0), "it finds that something is missing");
    }
    world.clients[0].holds_writes = true;
    world.put(0, "late", "edit");
    while world.step(0) {}
    assert_eq!(diffs_up(world), 0);
}

/// The same, and all the others come after it.
fn crowd_behind_one_that_hangs() -> World {
    let mut world = crowd();
    world.restart_relay(Vec::new());
    ask_one_that_hangs(&mut world);
    for client in 1..CLIENTS {
        world.connect(client, usize::MAX);
    }
    world.settle();
    assert_eq!(diffs_up(&world), 0);
    world
}

fn diffs_up(world: &World) -> usize {
    world.heard.get("Diff").copied().unwrap_or_default()
}

#[test]
fn ack_5_of_twenty_who_could_refill_a_relay_one_does() {
    for kept in [0, 25] {
        let mut world = crowd();
        let older = world.rows[..kept].to_vec();
        world.restart_relay(older);
        // All at once, and with a disk that takes its time.
        world.holds_commits = true;
        for client in 0..CLIENTS {
            world.connect(client, usize::MAX);
        }
        world.settle();
        world.holds_commits = false;
        world.commit();
        world.settle();
        assert_eq!(diffs_up(&world), 1);
        world.assert_equal();
        assert!((0..CLIENTS).all(|client| world.clients[client].replica.status().is_synced()));
    }
}

#[test]
fn ack_5_who_does_not_answer_holds_up_nobody_for_longer_than_a_second() {
    let mut world = crowd_behind_one_that_hangs();
    world.wait(999);
    assert_eq!(diffs_up(&world), 0);
    world.wait(1);
    assert_eq!(diffs_up(&world), 1);
    assert!((1..CLIENTS).all(|client| world.clients[client].replica.status().is_synced()));
    world.clients[0].holds_writes = false;
    world.settle();
    world.assert_equal();
}

#[test]
fn ack_5_who_leaves_after_being_asked_is_not_waited_for() {
    let mut world = crowd_behind_one_that_hangs();
    world.cut(0);
    world.settle();
    assert_eq!(diffs_up(&world), 1);
    assert!((1..CLIENTS).all(|client| world.clients[client].replica.status().is_synced()));
}
