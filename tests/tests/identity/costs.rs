//! What a connection costs when nothing has changed, and what an opening costs the disks.

use weftline_relay::room::RoomConfig;

use super::world::{DOCUMENT, Store, World};

#[test]
fn a_connection_of_somebody_who_missed_nothing_takes_two_hundred_bytes() {
    let mut world = World::new();
    let client = world.open(Store::default());
    for number in 0..200 {
        world.write(client, &format!("key {number}"));
    }
    world.sync(client);
    // The store of an opening that never heard is the longest claim of an ordinary day.
    for _ in 0..2 {
        world.disconnect(client);
        world.sync(client);
    }
    world.disconnect(client);
    let hello = {
        let mut session = weftline::sync::Session::new(Default::default(), super::world::NOW);
        std::iter::from_fn(|| session.poll()).map(|frame| frame.len()).sum::<usize>()
    };
    (world.bytes_up, world.bytes_down) = (0, 0);
    world.sync(client);
    let (up, down) = (world.bytes_up - hello, world.bytes_down - hello);
    assert!(world.status(client).is_synced());
    assert!(up <= 105 + DOCUMENT.len(), "{up} bytes up");
    assert!(down <= 130, "{down} bytes down, CaughtUp included");
}

#[test]
fn lease_2_a_new_opening_costs_one_commit_and_another_connection_of_it_none() {
    let mut world = World::new();
    let client = world.open(Store::default());
    world.write(client, "a");
    world.sync(client);
    world.disconnect(client);
    let mut client = client;
    for _ in 0..3 {
        let commits = world.commits;
        client = world.reopen(client);
        world.sync(client);
        assert_eq!(world.commits, commits + 1);
        let writes = world.store(client).strict_writes();
        for _ in 0..3 {
            world.disconnect(client);
            world.sync(client);
        }
        assert_eq!(world.commits, commits + 1);
        assert_eq!(world.store(client).strict_writes(), writes, "nor does it cost the client a strict write");
    }
    // Who only reads costs nobody anything.
    let (commits, reader) = (world.commits, world.open(Store::default()));
    world.sync(reader);
    assert!(world.has(reader, "a") && world.commits == commits && world.store(reader).strict_writes() == 0);
}

#[test]
fn a_room_does_not_grow_by_those_who_come_and_go() {
    let mut world = World::with(RoomConfig { compact_from: 2_000, ..RoomConfig::default() });
    let mut client = world.open(Store::default());
    world.write(client, "a");
    world.sync(client);
    let mut peak = 0;
    for opening in 0..240 {
        world.disconnect(client);
        client = world.reopen(client);
        world.sync(client);
        assert!(world.status(client).is_synced() && world.writer(client).is_some(), "opening {opening}");
        let rows: usize = world.disk.rows.iter().map(|(_, row)| row.len()).sum();
        peak = peak.max(rows + world.disk.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len()));
    }
    let snapshot = world.disk.snapshot.clone().expect("leases are rows, and rows are folded");
    assert!(snapshot.bytes.len() < 400 && peak < 3_000, "{} bytes, at most {peak}", snapshot.bytes.len());
    world.restart_relay();
    world.sync(client);
    assert!(world.writer(client).is_some());
}
