//! A long catch-up over links that break again and again.

use super::*;

/// A room with a document of some 1.5 MB, and who wrote it.
fn large() -> World {
    let mut world = World::new(RoomConfig::default());
    let writer = world.client();
    world.connect(writer, usize::MAX);
    world.settle();
    let mut noise = 1u64;
    for number in 0..1_500 {
        let value: String = (0..64)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                format!("{:016x}", noise)
            })
            .collect();
        world.put(writer, &format!("key {number}"), &value);
        world.settle();
    }
    assert!(world.is_live(writer));
    world
}

fn size_of_diff(world: &World) -> usize {
    let everything = world.room.document().diff_since(&weftline::VersionVector::new());
    weftline::codec::encode_diff(&everything).len()
}

/// Connects until it is live, each time for so many bytes, and does something in between.
fn until_live(world: &mut World, client: usize, budget: usize, mut between: impl FnMut(&mut World)) {
    while !world.is_live(client) {
        world.connect(client, budget);
        world.settle();
        assert!(world.clients[client].connections < 200, "no progress");
        between(world);
    }
}

#[test]
fn diff_6_a_catch_up_goes_on_where_the_last_connection_ended() {
    for budget in [50_000, 90_000, 200_000, 700_000] {
        let mut world = large();
        let reader = world.client();
        let size = size_of_diff(&world);
        until_live(&mut world, reader, budget, |_| ());
        let sent = world.clients[reader].down_bytes;
        assert!(sent * 10 <= size * 12, "{sent} bytes for a diff of {size}, {budget} at a time");
        assert!(world.clients[reader].connections > size / budget);
        world.assert_equal();
    }
}

#[test]
fn diff_6_it_goes_on_when_others_write_meanwhile_and_when_it_writes_itself() {
    let mut world = large();
    let reader = world.client();
    let size = size_of_diff(&world);
    world.put(reader, "mine", "before");
    let mut number = 0;
    until_live(&mut world, reader, 90_000, |world| {
        number += 1;
        world.put(0, "theirs", &number.to_string());
        world.put(reader, "mine", &number.to_string());
        world.wait(1_000);
    });
    let sent = world.clients[reader].down_bytes;
    assert!(sent * 10 <= size * 12, "{sent} bytes for a diff of {size}");
    world.connect(reader, usize::MAX);
    world.settle();
    world.assert_equal();
}

#[test]
fn diff_6_it_goes_on_when_the_relay_was_restarted_or_has_forgotten_the_diff() {
    let mut world = large();
    let reader = world.client();
    let size = size_of_diff(&world);
    let mut number = 0;
    until_live(&mut world, reader, 90_000, |world| {
        number += 1;
        if number % 3 == 0 {
            world.restart_relay(world.rows.clone());
        } else if number % 5 == 0 {
            world.wait(120_000);
        }
    });
    let sent = world.clients[reader].down_bytes;
    assert!(sent * 10 <= size * 12, "{sent} bytes for a diff of {size}");
    world.connect(0, usize::MAX);
    world.settle();
    world.assert_equal();
}

#[test]
fn diff_6_where_the_diff_is_another_one_it_begins_anew() {
    let mut world = large();
    let reader = world.client();
    world.connect(reader, 700_000);
    world.settle();
    assert!(!world.is_live(reader));
    // The relay is put back to an older state: what was begun leads to one that it does not have.
    let older = world.rows[..1_400].to_vec();
    world.restart_relay(older);
    world.connect(reader, usize::MAX);
    world.settle();
    assert!(world.is_live(reader));
    world.assert_equal_to_room(reader);
}
