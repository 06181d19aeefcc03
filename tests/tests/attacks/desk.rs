//! A relay that stores at once, with its connections; honest clients; and an attacker, who says what it likes.

use std::collections::BTreeMap;

use bytes::Bytes;
use weftline::sync::{
    DiffMessage, Message, MessageKind, NackReason, Open, Opening, Output, Replica, Row, Rows, Session, SessionConfig,
};
use weftline::testing::dump;
use weftline::{Delta, DeltaParts, Diff, Document, EditError, ReplicaId, Tag, Timestamp, codec};
use weftline_relay::room::{Effect, Input, MemberId, Rights, Room, RoomConfig};
use weftline_relay::store::{Epoch, Recovered};
use weftline_tests::Rng;

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// The relay's end of a connection.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) member: Option<(u64, MemberId)>,
}

/// A relay that stores at once.
pub(super) struct Relay {
    pub(super) room: Room,
    pub(super) connections: BTreeMap<usize, Connection>,
    pub(super) members: u64,
    /// Every row that was ever stored.
    pub(super) log: Vec<Bytes>,
    /// The store takes its time: nothing is committed.
    pub(super) stalled: bool,
    /// Who is told nothing of what others write, and all is well.
    pub(super) withheld_from: Option<usize>,
}

impl Relay {
    pub(super) fn new() -> Self {
        Self::with(RoomConfig::default())
    }

    pub(super) fn with(config: RoomConfig) -> Self {
        let room = recovered(config, &[]);
        Self { room, connections: BTreeMap::new(), members: 0, log: Vec::new(), stalled: false, withheld_from: None }
    }

    /// The store has done what it was given.
    pub(super) fn resume(&mut self) {
        self.stalled = false;
        self.handle(Input::Committed { upto: self.log.len() as u64 });
    }

    /// Puts the log back to its first rows and says nothing of it: the epoch stays. Everybody has to connect again.
    pub(super) fn roll_back(&mut self, rows: usize) {
        self.connections.clear();
        self.log.truncate(rows);
        self.room = recovered(RoomConfig::default(), &self.log);
    }

    pub(super) fn connect(&mut self, client: usize) {
        self.disconnect(client);
        let session = Session::new(SessionConfig::default(), NOW);
        self.connections.insert(client, Connection { session, member: None });
    }

    pub(super) fn disconnect(&mut self, client: usize) {
        if let Some(Connection { member: Some((_, member)), .. }) = self.connections.remove(&client) {
            self.handle(Input::Leave { member });
        }
    }

    /// A frame of a client; closes its connection if that is what it takes.
    pub(super) fn frame(&mut self, client: usize, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&client) else { return };
        match connection.session.frame(NOW, bytes) {
            Ok(None) => {}
            Ok(Some((channel, Message::Open(open)))) => {
                self.members += 1;
                let member = MemberId(self.members);
                if let Some((_, older)) = connection.member.replace((channel, member)) {
                    self.handle(Input::Leave { member: older });
                }
                self.handle(Input::Join { member, open: Box::new(open), rights: Rights::ALL });
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

    pub(super) fn handle(&mut self, input: Input) {
        self.room.handle(NOW, input);
        while let Some(effect) = self.room.poll() {
            match effect {
                Effect::Append { first_position, rows } => {
                    let upto = first_position + rows.len() as u64 - 1;
                    self.log.extend(rows);
                    if !self.stalled {
                        self.room.handle(NOW, Input::Committed { upto });
                    }
                }
                Effect::Snapshot { upto, .. } => self.room.handle(NOW, Input::SnapshotStored { upto }),
                Effect::ReadLog { member, .. } => self.room.handle(NOW, Input::LogReadFailed { member }),
                Effect::Send { member, message } => {
                    let withheld_from = self.withheld_from;
                    if let Some((client, channel, connection)) = self.connection_of(member) {
                        let of_others = matches!(message.kind, MessageKind::Rows | MessageKind::Packed);
                        if withheld_from != Some(client) || !of_others {
                            connection.session.send_body(channel, message.kind, &message.body);
                        }
                    }
                    if message.bulk {
                        self.room.handle(NOW, Input::Drained { member, bytes: usize::MAX });
                    }
                }
                Effect::Close { member, .. } => {
                    self.connections.retain(|_, one| one.member.is_none_or(|it| it.1 != member))
                }
            }
        }
    }

    pub(super) fn connection_of(&mut self, member: MemberId) -> Option<(usize, u64, &mut Connection)> {
        let found = self.connections.iter_mut();
        found.into_iter().find_map(|(client, one)| Some((*client, one.member.filter(|it| it.1 == member)?.0, one)))
    }
}

fn recovered(config: RoomConfig, log: &[Bytes]) -> Room {
    let epochs = vec![Epoch { id: 1, first_position: 1 }];
    let rows = (1..).zip(log.iter().cloned()).collect();
    Room::recover(config, Recovered { snapshot: None, rows, head: log.len() as u64, epochs }, NOW).unwrap()
}

/// A client and what damages its frames.
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) replica: Replica,
    /// Of a hundred frames, so many are damaged.
    pub(super) damage: u64,
}

impl Client {
    pub(super) fn new(number: usize, damage: u64, rng: &mut Rng) -> Self {
        let opening = Opening { slot: Some(0), entropy: rng.entropy(), now: NOW };
        Self { number, replica: Replica::open("d", opening, []).unwrap(), damage }
    }

    /// Everything that can happen without anything new happens.
    pub(super) fn settle(&mut self, relay: &mut Relay, rng: &mut Rng) {
        loop {
            let mut idle = true;
            while let Some(output) = self.replica.poll(NOW) {
                idle = false;
                match output {
                    Output::Transmit(frame) => {
                        for frame in super::random::damaged(frame, self.damage, rng) {
                            relay.frame(self.number, &frame);
                        }
                    }
                    Output::Persist(persist) => self.replica.durable(persist.token, NOW),
                    Output::Disconnect { .. } => self.drop_connection(relay),
                    Output::TokenWanted => panic!("nobody has tokens here"),
                    Output::Changed(_) | Output::ForkRepaired { .. } | Output::Presence(_) | Output::Status(_) => {}
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

    pub(super) fn drop_connection(&mut self, relay: &mut Relay) {
        relay.disconnect(self.number);
        self.replica.disconnected(NOW);
    }

    pub(super) fn ensure_connected(&mut self, relay: &mut Relay, rng: &mut Rng) {
        if !relay.connections.contains_key(&self.number) {
            self.replica.disconnected(NOW);
            relay.connect(self.number);
            self.replica.connected(NOW);
            self.settle(relay, rng);
        }
    }
}

/// Clients that keep to the rules.
pub(super) struct Honest {
    pub(super) clients: Vec<Client>,
    rng: Rng,
}

impl Honest {
    /// So many of them, connected, each with an edit.
    pub(super) fn new(count: usize, relay: &mut Relay) -> Self {
        let mut rng = Rng::new(1);
        let clients = (1..=count).map(|number| Client::new(number, 0, &mut rng)).collect();
        let mut honest = Self { clients, rng };
        honest.settle(relay);
        for nth in 0..count {
            honest.put(nth, relay);
        }
        honest
    }

    /// One more.
    pub(super) fn join(&mut self, relay: &mut Relay) {
        let client = Client::new(self.clients.len() + 1, 0, &mut self.rng);
        self.clients.push(client);
        self.settle(relay);
    }

    /// One of them makes an edit, and what follows follows. Gives the key that is new.
    pub(super) fn put(&mut self, nth: usize, relay: &mut Relay) -> String {
        let key = self.edit(nth);
        self.settle(relay);
        key
    }

    /// One of them makes an edit.
    pub(super) fn edit(&mut self, nth: usize) -> String {
        let key = format!("{nth} {}", self.rng.bits());
        let done: Result<_, EditError> = self.clients[nth].replica.transact(NOW, |tx| tx.map("m")?.put(&key, 1));
        assert!(done.expect("edits go on").delta.is_some());
        key
    }

    pub(super) fn settle(&mut self, relay: &mut Relay) {
        // What one says, others hear.
        for _ in 0..4 {
            for client in &mut self.clients {
                client.ensure_connected(relay, &mut self.rng);
                client.settle(relay, &mut self.rng);
            }
        }
    }

    /// All show what the relay shows, and know it to be saved.
    #[track_caller]
    pub(super) fn assert_at_one(&self, relay: &Relay) {
        let there = relay.room.document();
        for client in &self.clients {
            let here = client.replica.document();
            assert!(client.replica.status().is_synced(), "{}: {:?}", client.number, client.replica.status());
            assert_eq!((here.version(), here.beacon(), dump(here)), (there.version(), there.beacon(), dump(there)));
        }
    }

    pub(super) fn show(&self, key: &str) -> bool {
        self.clients.iter().all(|client| client.replica.document().map("m").contains(key))
    }
}

/// Somebody with a connection of its own, which it says what it likes on.
pub(super) struct Attacker {
    number: usize,
    session: Session,
    channel: u64,
}

impl Attacker {
    /// Opens the document, as a client does.
    pub(super) fn join(number: usize, relay: &mut Relay) -> Self {
        Self::join_saying(number, relay, |_| {})
    }

    /// Opens the document, and says something else in it.
    pub(super) fn join_saying(number: usize, relay: &mut Relay, say: impl FnOnce(&mut Open)) -> Self {
        let opening = Opening { slot: Some(0), entropy: [number as u8; 16], now: NOW };
        let mut model = Replica::open("d", opening, []).unwrap();
        model.connected(NOW);
        let mut reader = Session::new(SessionConfig::default(), NOW);
        let mut open = None;
        while let Some(output) = model.poll(NOW) {
            match output {
                Output::Transmit(frame) => open = reader.frame(NOW, &frame).unwrap().or(open),
                Output::Persist(persist) => model.durable(persist.token, NOW),
                _ => {}
            }
        }
        let Some((channel, Message::Open(mut open))) = open else { panic!("a client opens its document") };
        say(&mut open);
        relay.connect(number);
        let mut attacker = Self { number, session: Session::new(SessionConfig::default(), NOW), channel };
        attacker.say(relay, &Message::Open(open));
        attacker
    }

    /// Says it; gives what is answered.
    pub(super) fn say(&mut self, relay: &mut Relay, message: &Message) -> Vec<Message> {
        self.session.send(self.channel, message);
        while let Some(frame) = self.session.poll() {
            relay.frame(self.number, &frame);
        }
        let mut heard = Vec::new();
        while let Some(frame) = relay.connections.get_mut(&self.number).and_then(|one| one.session.poll()) {
            heard.extend(self.session.frame(NOW, &frame).unwrap().map(|(_, message)| message));
        }
        heard
    }

    /// Pushes deltas; gives why one was refused, if one was.
    pub(super) fn push(&mut self, relay: &mut Relay, deltas: &[Delta]) -> Option<NackReason> {
        let rows = deltas.iter().map(Row::of).collect();
        nacked(&self.say(relay, &Message::Rows(Rows { from: 0, to: 0, rows })))
    }

    /// Uploads a diff; gives why it was refused, if it was.
    pub(super) fn upload(&mut self, relay: &mut Relay, diff: &Diff) -> Option<NackReason> {
        let bytes = codec::encode_diff(diff).into();
        nacked(&self.say(relay, &Message::Diff(DiffMessage { position: 0, bytes })))
    }

    pub(super) fn is_connected(&self, relay: &Relay) -> bool {
        relay.connections.contains_key(&self.number)
    }
}

fn nacked(heard: &[Message]) -> Option<NackReason> {
    heard.iter().find_map(|message| if let Message::Nack(nack) = message { Some(nack.reason) } else { None })
}

/// A delta that does nothing, after what a document knows of its writer; changed by `say`.
pub(super) fn delta(document: &Document, replica: ReplicaId, say: impl FnOnce(&mut DeltaParts, &mut Tag)) -> Delta {
    let mut before = document.version().get(replica).map_or(Tag::start(replica), |entry| entry.tag);
    let mut parts = DeltaParts::blank(replica, document.seq(replica) + 1);
    say(&mut parts, &mut before);
    Delta::seal(parts, before)
}
