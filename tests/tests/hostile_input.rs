//! Clients that say anything at all: nobody else notices, and nothing panics (BYTES-1).
//!
//! The attacker is a real replica whose frames are damaged on the way, so that what arrives is mostly almost right, which is what finds the
//! most. Beside it an honest replica works on the same document.

use std::collections::BTreeMap;

use weftline::Timestamp;
use weftline::sync::{Message, Opening, Output, Replica, Session, SessionConfig};
use weftline::testing::dump;
use weftline_relay::room::{Effect, Input, MemberId, Room, RoomConfig};
use weftline_relay::store::{Epoch, Recovered};
use weftline_tests::{Rng, workload};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// The relay's end of a connection.
struct Connection {
    session: Session,
    member: Option<(u64, MemberId)>,
}

/// A relay that stores at once.
struct Relay {
    room: Room,
    connections: BTreeMap<usize, Connection>,
    members: u64,
}

impl Relay {
    fn new() -> Self {
        let epochs = vec![Epoch { id: 1, first_position: 1 }];
        let empty = Recovered { snapshot: None, rows: Vec::new(), head: 0, epochs };
        let room = Room::recover(RoomConfig::default(), empty, NOW).unwrap();
        Self { room, connections: BTreeMap::new(), members: 0 }
    }

    fn connect(&mut self, client: usize) {
        self.disconnect(client);
        let session = Session::new(SessionConfig::default(), NOW);
        self.connections.insert(client, Connection { session, member: None });
    }

    fn disconnect(&mut self, client: usize) {
        if let Some(Connection { member: Some((_, member)), .. }) = self.connections.remove(&client) {
            self.handle(Input::Leave { member });
        }
    }

    /// A frame of a client; closes its connection if that is what it takes.
    fn frame(&mut self, client: usize, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&client) else { return };
        match connection.session.frame(NOW, bytes) {
            Ok(None) => {}
            Ok(Some((channel, Message::Open(open)))) => {
                self.members += 1;
                let member = MemberId(self.members);
                if let Some((_, older)) = connection.member.replace((channel, member)) {
                    self.handle(Input::Leave { member: older });
                }
                self.handle(Input::Join { member, open: Box::new(open), may_write: true });
            }
            Ok(Some((_, Message::Close(_) | Message::Goodbye(_)))) => self.disconnect(client),
            Ok(Some((_, message))) => {
                if let Some((_, member)) = connection.member {
                    self.handle(Input::Message { member, message });
                }
            }
            Err(_) => self.disconnect(client),
        }
    }

    fn handle(&mut self, input: Input) {
        self.room.handle(NOW, input);
        while let Some(effect) = self.room.poll() {
            match effect {
                Effect::Append { first_position, rows } => {
                    let upto = first_position + rows.len() as u64 - 1;
                    self.room.handle(NOW, Input::Committed { upto });
                }
                Effect::Snapshot { upto, .. } => self.room.handle(NOW, Input::SnapshotStored { upto }),
                Effect::ReadLog { member, .. } => self.room.handle(NOW, Input::LogReadFailed { member }),
                Effect::Send { member, message } => {
                    if let Some((channel, connection)) = self.connection_of(member) {
                        connection.session.send_body(channel, message.kind, &message.body);
                    }
                    if message.bulk {
                        self.room.handle(NOW, Input::Drained { member });
                    }
                }
                Effect::Close { member, .. } => {
                    self.connections.retain(|_, one| one.member.is_none_or(|it| it.1 != member))
                }
            }
        }
    }

    fn connection_of(&mut self, member: MemberId) -> Option<(u64, &mut Connection)> {
        self.connections.values_mut().find_map(|one| Some((one.member.filter(|it| it.1 == member)?.0, one)))
    }
}

/// A client and what damages its frames.
struct Client {
    number: usize,
    replica: Replica,
    /// Of a hundred frames, so many are damaged.
    damage: u64,
}

impl Client {
    fn new(number: usize, damage: u64, rng: &mut Rng) -> Self {
        let opening = Opening { slot: Some(0), entropy: rng.entropy(), now: NOW };
        Self { number, replica: Replica::open("d", opening, []).unwrap(), damage }
    }

    /// Everything that can happen without anything new happens.
    fn settle(&mut self, relay: &mut Relay, rng: &mut Rng) {
        loop {
            let mut idle = true;
            while let Some(output) = self.replica.poll(NOW) {
                idle = false;
                match output {
                    Output::Transmit(frame) => {
                        for frame in damaged(frame, self.damage, rng) {
                            relay.frame(self.number, &frame);
                        }
                    }
                    Output::Persist(persist) => self.replica.durable(persist.token, NOW),
                    Output::Disconnect { .. } => self.drop_connection(relay),
                    Output::Changed(_) | Output::ForkRepaired { .. } | Output::Status(_) => {}
                }
            }
            while let Some(frame) = relay.connections.get_mut(&self.number).and_then(|one| one.session.poll()) {
                idle = false;
                // An attacker's replica may be told anything: its frames were not its own.
                if self.replica.frame(NOW, &frame).is_err() {
                    assert!(self.damage > 0, "an honest client is told nothing it cannot take");
                    self.drop_connection(relay);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn drop_connection(&mut self, relay: &mut Relay) {
        relay.disconnect(self.number);
        self.replica.disconnected(NOW);
    }

    fn ensure_connected(&mut self, relay: &mut Relay, rng: &mut Rng) {
        if !relay.connections.contains_key(&self.number) {
            self.replica.disconnected(NOW);
            relay.connect(self.number);
            self.replica.connected(NOW);
            self.settle(relay, rng);
        }
    }
}

/// What arrives of a frame.
fn damaged(frame: Vec<u8>, damage: u64, rng: &mut Rng) -> Vec<Vec<u8>> {
    if !rng.chance(damage) {
        return vec![frame];
    }
    let mut other = frame.clone();
    match rng.below(8) {
        0..=3 => {
            for _ in 0..rng.between(1, 3) {
                let at = rng.below(other.len());
                other[at] ^= 1 << rng.below(8);
            }
            vec![other]
        }
        4 => {
            other.truncate(rng.below(other.len()));
            vec![other]
        }
        5 => vec![frame, other],
        6 => {
            let at = rng.below(other.len());
            other.insert(at, rng.bits() as u8);
            vec![other]
        }
        _ => vec![(0..rng.below(60)).map(|_| rng.bits() as u8).collect(), frame],
    }
}

#[test]
fn bytes_1_a_hostile_client_harms_only_itself() {
    for seed in 0..120 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut relay = Relay::new();
        let mut honest = Client::new(1, 0, &mut rng);
        let mut hostile = Client::new(2, 30, &mut rng);
        let mut last = 0;
        for number in 1..=80 {
            for client in [&mut honest, &mut hostile] {
                client.ensure_connected(&mut relay, &mut rng);
            }
            let client = if rng.chance(50) { &mut honest } else { &mut hostile };
            let _ = client.replica.transact(NOW, |tx| workload::edit(tx, &mut rng, number)).unwrap();
            client.settle(&mut relay, &mut rng);
            if client.number == 1 {
                last = number;
            }
            honest.settle(&mut relay, &mut rng);
            assert!(relay.connections.contains_key(&1), "the honest client was never closed");
        }
        honest.settle(&mut relay, &mut rng);
        assert!(honest.replica.status().is_synced(), "{:?}", honest.replica.status());
        assert_eq!(dump(honest.replica.document()), dump(relay.room.document()));
        assert!(workload::shows(&relay.room.document().set(workload::EDITS), last));

        let mut fresh = Client::new(3, 0, &mut rng);
        fresh.ensure_connected(&mut relay, &mut rng);
        assert_eq!(dump(fresh.replica.document()), dump(relay.room.document()));
    }
}
