//! A room, its disk, clients and their stores. Nothing moves by itself: a test says what arrives, what is written and what is lost.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use weftline::sync::{
    Class, Message, Opening, Output, Persist, Record, Replica, Retry, Row, Session, SessionConfig, Status,
};
use weftline::{Delta, EditError, ReplicaId, Timestamp};
use weftline_relay::room::{Effect, Input, MemberId, Rights, Room, RoomConfig, RoomSnapshot};
use weftline_relay::store::{Epoch, Position, Recovered, Snapshot, Tail};

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(super) const DOCUMENT: &str = "todo/home";

/// What a client's disk holds, in the order of writing. A clone is a copy of the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    batches: Vec<Persist>,
}

impl Store {
    /// The power goes: what was written behind the last strict batch is lost.
    pub(super) fn cut_power(&mut self) {
        let kept = self.batches.iter().rposition(|batch| batch.class == Class::Strict).map_or(0, |last| last + 1);
        self.batches.truncate(kept);
    }

    pub(super) fn strict_writes(&self) -> usize {
        self.batches.iter().filter(|batch| batch.class == Class::Strict).count()
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.batches.iter().flat_map(|batch| batch.records.iter().cloned())
    }
}

/// What the relay's disk holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) rows: Vec<(Position, Bytes)>,
    head: Position,
    epochs: Vec<Epoch>,
}

/// A client process.
pub(super) struct Client {
    pub(super) replica: Replica,
    pub(super) store: Store,
    pending: Vec<Persist>,
    link: Option<u64>,
    /// It wants the connection closed, and says when to come back if it says so.
    pub(super) hung_up: Option<Retry>,
}

/// A connection: what is on its way, and the relay's end.
struct Link {
    client: usize,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    session: Session,
    channel: Option<u64>,
}

pub(super) struct World {
    pub(super) room: Room,
    pub(super) disk: Disk,
    config: RoomConfig,
    appending: Vec<(Position, Bytes)>,
    /// How many appends were committed.
    pub(super) commits: usize,
    clients: Vec<Option<Client>>,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    /// Bytes that went each way, and messages that came down.
    pub(super) bytes_up: usize,
    pub(super) bytes_down: usize,
    openings: u8,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(RoomConfig::default())
    }

    pub(super) fn with(config: RoomConfig) -> Self {
        let mut disk = Disk::default();
        let room = start(&mut disk, config);
        Self {
            room,
            disk,
            config,
            appending: Vec::new(),
            commits: 0,
            clients: Vec::new(),
            links: BTreeMap::new(),
            next_link: 0,
            bytes_up: 0,
            bytes_down: 0,
            openings: 0,
        }
    }

    /// Opens a store with the lock of its first slot.
    pub(super) fn open(&mut self, store: Store) -> usize {
        self.open_slot(store, 0)
    }

    pub(super) fn open_slot(&mut self, store: Store, slot: u32) -> usize {
        self.openings += 1;
        let opening = Opening { slot: Some(slot), entropy: [self.openings; 16], now: NOW };
        let replica = Replica::open(DOCUMENT, opening, store.records()).expect("it was written by a replica");
        self.clients.push(Some(Client { replica, store, pending: Vec::new(), link: None, hung_up: None }));
        self.clients.len() - 1
    }

    /// The process dies, and another one opens its store.
    pub(super) fn reopen(&mut self, index: usize) -> usize {
        let store = self.kill(index);
        self.open(store)
    }

    /// Opens a copy of a store that is in use.
    pub(super) fn open_copy(&mut self, index: usize) -> usize {
        let store = self.store(index);
        self.open(store)
    }

    /// Openings of another world differ from those of this one.
    pub(super) fn openings_from(mut self, first: u8) -> Self {
        self.openings = first;
        self
    }

    pub(super) fn client(&mut self, index: usize) -> &mut Client {
        self.clients[index].as_mut().expect("it runs")
    }

    pub(super) fn writer(&mut self, index: usize) -> Option<ReplicaId> {
        self.client(index).replica.writer()
    }

    pub(super) fn status(&mut self, index: usize) -> Status {
        self.client(index).replica.status()
    }

    pub(super) fn store(&mut self, index: usize) -> Store {
        self.client(index).store.clone()
    }

    pub(super) fn has(&mut self, index: usize, key: &str) -> bool {
        self.client(index).replica.document().map("m").contains(key)
    }

    pub(super) fn relay_has(&self, key: &str) -> bool {
        self.room.document().map("m").contains(key)
    }

    /// An edit that is not durable yet.
    pub(super) fn edit(&mut self, index: usize, key: &str) -> Delta {
        let put = self.client(index).replica.transact(NOW, |tx| {
            tx.map("m")?.put(key, key)?;
            Ok::<_, EditError>(())
        });
        self.drain(index);
        put.expect("it is allowed").delta.expect("it changes something")
    }

    /// An edit that is durable here.
    pub(super) fn write(&mut self, index: usize, key: &str) -> Delta {
        let delta = self.edit(index, key);
        self.flush(index);
        delta
    }

    /// The client's disk has written everything.
    pub(super) fn flush(&mut self, index: usize) {
        loop {
            let client = self.client(index);
            if client.pending.is_empty() {
                return;
            }
            for persist in std::mem::take(&mut client.pending) {
                let token = persist.token;
                client.store.batches.push(persist);
                client.replica.durable(token, NOW);
            }
            self.drain(index);
        }
    }

    /// A new connection; what was on its way on the one before stays where it is. Nothing is delivered yet.
    pub(super) fn connect(&mut self, index: usize) -> u64 {
        self.next_link += 1;
        let id = self.next_link;
        let session = Session::new(SessionConfig::default(), NOW);
        let link = Link { client: index, up: VecDeque::new(), down: VecDeque::new(), session, channel: None };
        self.links.insert(id, link);
        let client = self.client(index);
        client.replica.disconnected(NOW);
        client.link = Some(id);
        client.hung_up = None;
        client.replica.connected(NOW);
        self.drain(index);
        self.flush(index);
        id
    }

    /// Connects and lets everything happen.
    pub(super) fn sync(&mut self, index: usize) {
        self.connect(index);
        self.run();
    }

    /// The connection is gone, and the relay hears of it.
    pub(super) fn disconnect(&mut self, index: usize) {
        let client = self.client(index);
        client.replica.disconnected(NOW);
        if let Some(id) = client.link.take() {
            self.links.remove(&id);
            self.handle(Input::Leave { member: MemberId(id) });
        }
    }

    /// The process dies; the relay does not hear of it. What is left is its store.
    pub(super) fn kill(&mut self, index: usize) -> Store {
        let client = self.clients[index].take().expect("it runs");
        if let Some(link) = client.link.and_then(|id| self.links.get_mut(&id)) {
            link.up.clear();
            link.down.clear();
        }
        client.store
    }

    /// Everything that is on its way up on a connection arrives.
    pub(super) fn deliver_up(&mut self, id: u64) {
        while let Some(frame) = self.links.get_mut(&id).and_then(|link| link.up.pop_front()) {
            self.bytes_up += frame.len();
            let link = self.links.get_mut(&id).expect("it was just there");
            let message = link.session.frame(NOW, &frame).expect("a client says what it may say");
            match message {
                None => {}
                Some((channel, Message::Open(open))) => {
                    link.channel = Some(channel);
                    self.handle(Input::Join { member: MemberId(id), open: Box::new(open), rights: Rights::ALL });
                }
                Some((_, Message::Goodbye(_) | Message::Close(_))) => {
                    self.links.remove(&id);
                    self.handle(Input::Leave { member: MemberId(id) });
                }
                Some((_, message)) => self.handle(Input::Message { member: MemberId(id), message }),
            }
            self.pump(id);
        }
    }

    /// What is on its way down on a connection is lost.
    pub(super) fn lose_down(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.down.clear();
        }
    }

    /// The append in flight is on the relay's disk.
    pub(super) fn commit(&mut self) {
        while let Some((upto, _)) = self.appending.last() {
            let upto = *upto;
            self.commits += 1;
            self.disk.rows.append(&mut self.appending);
            self.disk.head = upto;
            self.handle(Input::Committed { upto });
        }
    }

    /// Everything arrives and is written, until nothing moves.
    pub(super) fn run(&mut self) {
        loop {
            let mut moved = !self.appending.is_empty();
            self.commit();
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                self.pump(id);
                moved |= self.links.get(&id).is_some_and(|link| link.up.len() + link.down.len() > 0);
                self.deliver_up(id);
                self.deliver_down(id);
            }
            for index in 0..self.clients.len() {
                if self.clients[index].is_some() {
                    self.flush(index);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// The relay dies with what is not committed, and comes back.
    pub(super) fn restart_relay(&mut self) {
        for index in 0..self.clients.len() {
            if let Some(client) = &mut self.clients[index] {
                client.replica.disconnected(NOW);
                client.link = None;
            }
        }
        self.links.clear();
        self.appending.clear();
        self.room = start(&mut self.disk, self.config);
    }

    /// The log becomes a snapshot, and the relay forgets all that it knew besides.
    pub(super) fn compact(&mut self) {
        let before = self.disk.snapshot.iter().flat_map(|snapshot| RoomSnapshot::decode(&snapshot.bytes).unwrap().kept);
        let rows = self.disk.rows.iter().map(|(_, row)| Row::decode(row).unwrap());
        let kept = before.chain(rows).filter(|row| matches!(row, Row::Lease { .. } | Row::Void(_))).collect();
        let document = self.room.document().snapshot().into();
        self.disk.snapshot = Some(Snapshot { upto: self.disk.head, bytes: RoomSnapshot { kept, document }.encode() });
        self.disk.rows.clear();
        self.restart_relay();
    }

    /// The operator puts a backup back.
    pub(super) fn restore_relay(&mut self, backup: &Disk) {
        let epochs = self.disk.epochs.len();
        self.disk = backup.clone();
        // Another start, whose number nobody has seen.
        self.disk.epochs.push(Epoch { id: 1_000 + epochs as u64, first_position: self.disk.head + 1 });
        self.restart_relay();
    }

    pub(super) fn deliver_down(&mut self, id: u64) {
        while let Some(frame) = self.links.get_mut(&id).and_then(|link| link.down.pop_front()) {
            self.bytes_down += frame.len();
            let Some(index) = self.links.get(&id).map(|link| link.client) else { return };
            // What comes on another connection than the present one is dropped unread (SES-1).
            if let Some(client) = &mut self.clients[index]
                && client.link == Some(id)
            {
                client.replica.frame(NOW, &frame).expect("the relay says what it may say");
                self.drain(index);
            }
            if self.links.get(&id).is_some_and(|link| link.down.is_empty()) {
                self.handle(Input::Drained { member: MemberId(id), bytes: usize::MAX });
            }
        }
    }

    fn drain(&mut self, index: usize) {
        let client = self.clients[index].as_mut().expect("it runs");
        while let Some(output) = client.replica.poll(NOW) {
            match output {
                Output::Transmit(frame) => {
                    if let Some(link) = client.link.and_then(|id| self.links.get_mut(&id)) {
                        link.up.push_back(frame);
                    }
                }
                Output::Persist(persist) => client.pending.push(persist),
                Output::Disconnect { retry } => client.hung_up = Some(retry),
                _ => {}
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.room.handle(NOW, input);
        while let Some(effect) = self.room.poll() {
            match effect {
                Effect::Append { first_position, rows } => self.appending = (first_position..).zip(rows).collect(),
                Effect::Send { member, message } => {
                    if let Some(link) = self.links.get_mut(&member.0)
                        && let Some(channel) = link.channel
                    {
                        link.session.send_body(channel, message.kind, &message.body);
                        self.pump(member.0);
                    }
                }
                Effect::ReadLog { member, after, .. } => {
                    let rows = self.disk.rows.iter().filter(|(position, _)| *position > after);
                    let tail = Tail::Rows(rows.cloned().collect());
                    self.room.handle(NOW, Input::LogRead { member, tail });
                }
                Effect::Snapshot { upto, bytes } => {
                    self.disk.rows.retain(|(position, _)| *position > upto);
                    self.disk.snapshot = Some(Snapshot { upto, bytes });
                    self.room.handle(NOW, Input::SnapshotStored { upto });
                }
                Effect::Close { member, close } => {
                    if let Some(link) = self.links.get_mut(&member.0)
                        && let Some(channel) = link.channel.take()
                    {
                        link.session.send(channel, &Message::Close(close));
                        self.pump(member.0);
                    }
                }
            }
        }
    }

    fn pump(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            while let Some(frame) = link.session.poll() {
                link.down.push_back(frame);
            }
        }
    }
}

fn start(disk: &mut Disk, config: RoomConfig) -> Room {
    disk.epochs.push(Epoch { id: disk.epochs.len() as u64 + 1, first_position: disk.head + 1 });
    let Disk { snapshot, rows, head, epochs } = disk.clone();
    Room::recover(config, Recovered { snapshot, rows, head, epochs }, NOW).expect("the disk is whole")
}
