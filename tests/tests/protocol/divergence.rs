//! Equal versions with unequal contents: a fault that nothing in the protocol makes, and that everything after it would hide.

use super::*;

/// A client that holds another value under a dot than everybody else, with the same version and the same tags.
fn damaged(keys: usize, words: usize) -> (World, usize) {
    let mut world = World::new(RoomConfig::default());
    let writer = world.client();
    world.connect(writer, usize::MAX);
    world.settle();
    for number in 0..keys {
        world.put(writer, &format!("key {number}"), &"right ".repeat(words));
        world.settle();
    }
    // As after a bit in the memory of its machine, or in its store, is another one.
    let mut diff = world.room.document().diff_since(&weftline::VersionVector::new());
    let mut other = weftline::Document::with_writer(weftline::ReplicaId::from(77));
    let delta = other.transact(world.now, |tx| tx.map("m")?.put("key 1", "wrong")).unwrap().delta.unwrap();
    let mut wrong = weftline::Document::new();
    wrong.apply(&delta).unwrap();
    let wrong = wrong.diff_since(&weftline::VersionVector::new());
    let payload = wrong.adds.last().unwrap().entry.clone();
    let at = diff.adds.iter().position(|add| add.entry.slot == payload.slot).expect("the key is there");
    diff.adds[at].entry.payload = payload.payload;
    let record = Record::Row(weftline::sync::Row::Diff { bytes: weftline::codec::encode_diff(&diff).into() });
    let client = world.client_with([record]);
    let (ours, theirs) = (world.clients[client].replica.document(), world.room.document());
    assert_eq!(ours.version_hash(), theirs.version_hash());
    assert_ne!(ours.beacon(), theirs.beacon());
    assert_eq!(ours.map("m").get("key 1").as_ref().and_then(weftline::Value::as_str), Some("wrong"));
    (world, client)
}

#[test]
fn fork_2_equal_versions_with_unequal_contents_are_found_repaired_and_told() {
    // Once with a document that goes down in parts.
    for (keys, words) in [(3, 1), (200, 300)] {
        let (mut world, client) = damaged(keys, words);
        world.connect(client, usize::MAX);
        world.settle();
        assert!(world.is_live(client) && world.clients[client].replica.status().is_synced());
        assert_eq!(world.clients[client].down_bytes > 300_000, keys == 200);
        assert_eq!(world.clients[client].repaired, 1, "the application is told");
        let document = world.clients[client].replica.document();
        let values: Vec<String> =
            document.map("m").values("key 1").iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
        assert!(values.iter().any(|value| value.starts_with("right")), "{values:?}");
        world.connect(0, usize::MAX);
        world.settle();
        world.assert_equal();
    }
}

#[test]
fn fork_2_edits_that_are_not_at_the_relay_yet_are_kept() {
    let (mut world, client) = damaged(3, 1);
    world.connect(client, usize::MAX);
    // Before the relay has answered.
    world.put(client, "mine", "kept");
    world.settle();
    assert!(world.clients[client].replica.status().is_synced());
    let next = world.clients[client].connections;
    world.connect(client, usize::MAX);
    world.settle();
    assert!(world.clients[client].connections > next, "it is found as soon as nothing hides it");
    assert!(world.clients[client].replica.status().is_synced());
    world.connect(0, usize::MAX);
    world.settle();
    for document in [world.room.document(), world.clients[client].replica.document()] {
        assert_eq!(document.map("m").get("mine").as_ref().and_then(weftline::Value::as_str), Some("kept"));
    }
    world.assert_equal();
}
