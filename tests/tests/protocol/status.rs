//! The status is true at every moment, whatever happens in whatever order.

use proptest::prelude::*;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Happens {
    Edit(usize),
    Connect(usize),
    Cut(usize),
    /// One round of messages of one client.
    Step(usize),
    /// The store of a client completes what it was given.
    Flush(usize),
    /// The relay's store does.
    Commit,
    /// The relay dies, and loses what was not stored.
    Crash,
    /// It is put back to an older state, of so many percent of its rows.
    Restore(usize),
}

const CLIENTS: usize = 3;

fn happens() -> impl Strategy<Value = Happens> {
    let client = 0..CLIENTS;
    prop_oneof![
        6 => client.clone().prop_map(Happens::Edit),
        3 => client.clone().prop_map(Happens::Connect),
        1 => client.clone().prop_map(Happens::Cut),
        16 => client.clone().prop_map(Happens::Step),
        6 => client.prop_map(Happens::Flush),
        6 => Just(Happens::Commit),
        1 => Just(Happens::Crash),
        1 => (0usize..100).prop_map(Happens::Restore),
    ]
}

/// What each client has written, by key; whether the relay was put back since it was connected.
struct Truth {
    written: Vec<Vec<String>>,
    restored: bool,
}

/// What the relay would have if it died now.
fn stored_at_relay(world: &World) -> weftline::Document {
    let recovered = Recovered {
        snapshot: None,
        rows: world.rows.clone(),
        head: world.rows.len() as u64,
        epochs: world.epochs.clone(),
    };
    Room::recover(world.config, recovered, world.now).unwrap().document().clone()
}

fn check(world: &World, truth: &Truth) {
    let relay = stored_at_relay(world);
    for (number, client) in world.clients.iter().enumerate() {
        let status = client.replica.status();
        let at_relay = truth.written[number].iter().filter(|key| relay.map("m").contains(key)).count();
        let missing = truth.written[number].len() - at_relay;
        // "Saved": of an edit that is not on the relay's disk nobody says so, once the relay has said what it has.
        if status.is_synced() {
            assert_eq!(missing, 0, "client {number} says {status:?}");
        }
        if !truth.restored {
            assert!(status.unsaved >= missing, "client {number} says {status:?}, {missing} are missing");
        }
        // "Stored": what its store would give to the next opening.
        let opening = Opening { slot: Some(0), entropy: [99; 16], now: world.now };
        let next = Replica::open("d", opening, client.records.iter().cloned()).unwrap();
        let here = truth.written[number].iter().filter(|key| next.document().map("m").contains(key)).count();
        assert!(status.unstored >= truth.written[number].len() - here, "client {number} says {status:?}");
        assert!(status.link != Link::Offline || client.link.is_none());
    }
}

fn run(schedule: &[Happens]) {
    let mut world = World::new(RoomConfig::default());
    world.holds_commits = true;
    for _ in 0..CLIENTS {
        let client = world.client();
        world.clients[client].holds_writes = true;
    }
    let mut truth = Truth { written: vec![Vec::new(); CLIENTS], restored: false };
    for (number, what) in schedule.iter().enumerate() {
        match what {
            Happens::Edit(client) => {
                let key = format!("{client} {number}");
                world.put(*client, &key, "x");
                truth.written[*client].push(key);
            }
            Happens::Connect(client) => world.connect(*client, usize::MAX),
            Happens::Cut(client) => world.cut(*client),
            Happens::Step(client) => _ = world.step(*client),
            Happens::Flush(client) => _ = world.flush(*client),
            Happens::Commit => world.commit(),
            Happens::Crash => {
                world.appending.clear();
                world.restart_relay(world.rows.clone());
            }
            Happens::Restore(percent) => {
                world.appending.clear();
                let kept = world.rows.len() * percent / 100;
                world.restart_relay(world.rows[..kept].to_vec());
                truth.restored = true;
            }
        }
        check(&world, &truth);
    }
    // Then nothing fails any more.
    world.holds_commits = false;
    world.commit();
    for client in 0..CLIENTS {
        world.clients[client].holds_writes = false;
        world.connect(client, usize::MAX);
    }
    world.settle();
    truth.restored = false;
    check(&world, &truth);
    world.assert_equal();
    for client in 0..CLIENTS {
        let status = world.clients[client].replica.status();
        assert!(status.is_synced() && status.unstored == 0, "client {client} says {status:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn ack_6_the_status_is_true_at_every_moment(schedule in prop::collection::vec(happens(), 1..120)) {
        run(&schedule);
    }
}
