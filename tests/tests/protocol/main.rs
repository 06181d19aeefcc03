//! Replicas and one room, joined by hand: what travels is counted, links break when a test says so, and time stands still.
//!
//! Not here: random faults of everything at once, which is what the simulation is for.

mod divergence;
mod resume;
mod stampede;
mod status;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use weftline::sync::{
    CloseReason, Link, Message, MessageKind, Opening, Output, Persist, Record, Replica, Retry, Session, SessionConfig,
};
use weftline::{EditError, Timestamp};
use weftline_relay::room::{Effect, Input, MemberId, Rights, Room, RoomConfig};
use weftline_relay::store::{Epoch, Position, Recovered, Tail};

/// A room, what it stored, and everybody's links.
struct World {
    config: RoomConfig,
    room: Room,
    rows: Vec<(Position, Bytes)>,
    epochs: Vec<Epoch>,
    starts: u64,
    clients: Vec<Client>,
    now: Timestamp,
    members: u64,
    /// Appends wait until [`World::commit`].
    holds_commits: bool,
    appending: VecDeque<(Position, Vec<Bytes>)>,
    /// Messages that arrived at the room, by kind.
    heard: BTreeMap<&'static str, usize>,
}

/// A replica and both ends of its link.
struct Client {
    replica: Replica,
    /// Writes wait until [`World::flush`].
    holds_writes: bool,
    writes: VecDeque<Persist>,
    records: Vec<Record>,
    link: Option<Wire>,
    /// What arrived and was sent in vain, of all connections.
    down_bytes: usize,
    connections: usize,
    /// How often it was told that something was repaired.
    repaired: usize,
}

/// The relay's end of a link, and how long the link lives.
struct Wire {
    session: Session,
    member: Option<(u64, MemberId)>,
    owes_drained: bool,
    /// So many bytes still come through.
    budget: usize,
}

impl World {
    fn new(config: RoomConfig) -> Self {
        let epochs = vec![Epoch { id: 1, first_position: 1 }];
        let now = Timestamp(1_000_000);
        let recovered = Recovered { snapshot: None, rows: Vec::new(), head: 0, epochs: epochs.clone() };
        let room = Room::recover(config, recovered, now).unwrap();
        Self {
            config,
            room,
            rows: Vec::new(),
            epochs,
            starts: 1,
            clients: Vec::new(),
            now,
            members: 0,
            holds_commits: false,
            appending: VecDeque::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Another replica, with an empty store. Gives its number.
    fn client(&mut self) -> usize {
        self.client_with([])
    }

    /// Another replica, with this in its store.
    fn client_with(&mut self, records: impl IntoIterator<Item = Record>) -> usize {
        let number = self.clients.len();
        let opening = Opening { slot: Some(0), entropy: [number as u8 + 1; 16], now: self.now };
        self.clients.push(Client {
            replica: Replica::open("d", opening, records).unwrap(),
            holds_writes: false,
            writes: VecDeque::new(),
            records: Vec::new(),
            link: None,
            down_bytes: 0,
            connections: 0,
            repaired: 0,
        });
        number
    }

    fn put(&mut self, client: usize, key: &str, value: &str) {
        let now = self.now;
        let put = self.clients[client].replica.transact(now, |tx| tx.map("m")?.put(key, value));
        assert!(put.map_err(|error: EditError| error).unwrap().delta.is_some());
    }

    fn is_live(&self, client: usize) -> bool {
        self.clients[client].replica.status().link == Link::Live
    }

    /// Connects a client by a link that lets so many bytes through downward.
    fn connect(&mut self, client: usize, budget: usize) {
        self.cut(client);
        let session = Session::new(SessionConfig::default(), self.now);
        let one = &mut self.clients[client];
        one.link = Some(Wire { session, member: None, owes_drained: false, budget });
        one.connections += 1;
        one.replica.connected(self.now);
    }

    fn cut(&mut self, client: usize) {
        let one = &mut self.clients[client];
        if let Some(link) = one.link.take() {
            one.replica.disconnected(self.now);
            if let Some((_, member)) = link.member {
                self.room_handle(Input::Leave { member });
            }
        }
    }

    /// A new process on what is stored of these rows. A store that is put back to fewer has forgotten the starts after them, too (CUR-1).
    fn restart_relay(&mut self, rows: Vec<(Position, Bytes)>) {
        for client in 0..self.clients.len() {
            self.cut(client);
        }
        let head = rows.last().map_or(0, |(position, _)| *position);
        self.starts += 1;
        self.epochs.retain(|epoch| epoch.first_position <= head + 1);
        self.epochs.push(Epoch { id: self.starts, first_position: head + 1 });
        self.rows = rows.clone();
        let recovered = Recovered { snapshot: None, rows, head, epochs: self.epochs.clone() };
        self.room = Room::recover(self.config, recovered, self.now).unwrap();
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.room_handle(Input::Tick);
        for client in &mut self.clients {
            client.replica.tick(self.now).unwrap();
        }
        self.settle();
    }

    /// Everything that can happen without anything new happens.
    fn settle(&mut self) {
        loop {
            let mut happened = false;
            for client in 0..self.clients.len() {
                happened |= self.step(client);
            }
            if !happened {
                return;
            }
        }
    }

    /// Says whether anything happened.
    fn step(&mut self, client: usize) -> bool {
        let mut happened = false;
        let one = &mut self.clients[client];
        let mut up = Vec::new();
        let mut again = false;
        while let Some(output) = one.replica.poll(self.now) {
            happened = true;
            match output {
                Output::Transmit(frame) => up.push(frame),
                Output::Persist(persist) => one.writes.push_back(persist),
                Output::Disconnect { retry } => {
                    assert_eq!(retry, Retry::after_ms(0), "client {client} is sent away");
                    again = true;
                }
                Output::ForkRepaired { .. } => one.repaired += 1,
                Output::Changed(_) | Output::Presence(_) | Output::TokenWanted | Output::Status(_) => {}
            }
        }
        if !one.holds_writes {
            happened |= self.flush(client);
        }
        for frame in up {
            self.up(client, &frame);
        }
        if again {
            self.connect(client, usize::MAX);
        }
        happened | self.down(client)
    }

    /// The store of a client writes all that waits.
    fn flush(&mut self, client: usize) -> bool {
        let one = &mut self.clients[client];
        let mut any = false;
        while let Some(persist) = one.writes.pop_front() {
            any = true;
            one.records.extend(persist.records);
            one.replica.durable(persist.token, self.now);
        }
        any
    }

    fn up(&mut self, client: usize, frame: &[u8]) {
        let Some(link) = &mut self.clients[client].link else { return };
        let Some((channel, message)) = link.session.frame(self.now, frame).unwrap() else { return };
        *self.heard.entry(name_of(message.kind())).or_default() += 1;
        match message {
            Message::Open(open) => {
                self.members += 1;
                let member = MemberId(self.members);
                link.member = Some((channel, member));
                self.room_handle(Input::Join { member, open: Box::new(open), rights: Rights::ALL });
            }
            Message::Goodbye(goodbye) => assert_eq!(goodbye.reason, CloseReason::Done, "client {client} gives up"),
            message => {
                let (_, member) = link.member.expect("Open comes first");
                self.room_handle(Input::Message { member, message });
            }
        }
    }

    fn down(&mut self, client: usize) -> bool {
        let mut happened = false;
        while let Some(link) = &mut self.clients[client].link {
            let Some(frame) = link.session.poll() else {
                if std::mem::take(&mut link.owes_drained) {
                    let member = link.member.expect("somebody was sent something").1;
                    self.room_handle(Input::Drained { member, bytes: usize::MAX });
                    happened = true;
                    continue;
                }
                break;
            };
            happened = true;
            let passed = link.budget.min(frame.len());
            link.budget -= passed;
            self.clients[client].down_bytes += passed;
            if passed < frame.len() {
                self.cut(client);
            } else {
                self.clients[client].replica.frame(self.now, &frame).unwrap();
            }
        }
        happened
    }

    fn room_handle(&mut self, input: Input) {
        self.room.handle(self.now, input);
        self.room_drain();
    }

    fn room_drain(&mut self) {
        while let Some(effect) = self.room.poll() {
            match effect {
                Effect::Append { first_position, rows } => {
                    self.appending.push_back((first_position, rows));
                    if !self.holds_commits {
                        self.commit();
                    }
                }
                Effect::Send { member, message } => {
                    let links = self.clients.iter_mut().filter_map(|client| client.link.as_mut());
                    let mut of = links.filter(|link| link.member.is_some_and(|(_, id)| id == member));
                    if let Some(link) = of.next() {
                        let channel = link.member.expect("it was just found by it").0;
                        assert!(link.session.send_body(channel, message.kind, &message.body));
                        link.owes_drained |= message.bulk;
                    }
                }
                Effect::ReadLog { member, after, max_bytes } => {
                    let mut bytes = 0;
                    let rows = self.rows.iter().filter(|(position, _)| *position > after);
                    let rows = rows.take_while(|(_, row)| {
                        bytes += row.len();
                        bytes == row.len() || bytes <= max_bytes
                    });
                    let tail = Tail::Rows(rows.cloned().collect());
                    self.room.handle(self.now, Input::LogRead { member, tail });
                }
                // The log is never long here.
                Effect::Snapshot { .. } => self.room.handle(self.now, Input::SnapshotFailed),
                Effect::Close { member, close } => panic!("{member:?} is closed: {close:?}"),
            }
        }
    }

    /// What waits to be stored at the relay is.
    fn commit(&mut self) {
        while let Some((first, rows)) = self.appending.pop_front() {
            let upto = first + rows.len() as u64 - 1;
            self.rows.extend((first..).zip(rows));
            self.room.handle(self.now, Input::Committed { upto });
            self.room_drain();
        }
    }

    fn assert_equal(&self) {
        (0..self.clients.len()).for_each(|client| self.assert_equal_to_room(client));
    }

    fn assert_equal_to_room(&self, client: usize) {
        let (room, document) = (self.room.document(), self.clients[client].replica.document());
        assert_eq!((document.version_hash(), document.beacon()), (room.version_hash(), room.beacon()));
    }
}

fn name_of(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Diff => "Diff",
        MessageKind::Open => "Open",
        MessageKind::Packed | MessageKind::Rows => "Rows",
        MessageKind::Want => "Want",
        _ => "other",
    }
}
