//! A replica that talks with a relay that says anything: what an honest one would, that with damage, and what no relay says.
//!
//! The bytes are steps: the relay says the next thing, whole or damaged; something of any kind comes out of turn; the replica edits; its
//! store writes, or its process dies and is opened again from what was written; the relay is put back to where it was before. Whatever it
//! was told, the replica goes on: it can be opened again from its store, has all that it wrote itself and its store kept, and its document
//! can do everything a document can.
//!
//! Rules: BYTES-1, DUR-1, ACK-2, SES-1.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::super::{Random, random_edit};
use super::apply::goes_on;
use super::{Input, world};
use crate::clock::{Timestamp, VersionEntry, VersionVector};
use crate::sync::{
    Ack, CaughtUp, Claim, DiffMessage, Durable, Fact, Lease, Level, Message, MessageKind, OpenAck, Opening, Output,
    PackedRows, Persist, Record, Replica, Resume, Roster, Row, Rows, Said, Session, SessionConfig, StoreChange, Table,
    Unpacked, Want, pack,
};
use crate::{Commit, Delta, Document, Dot, EditError, ReplicaId, VoidFact, codec};

const MOST_STEPS: usize = 96;
const START: Timestamp = Timestamp(1_700_000_000_000);
const CHANNEL: u64 = 1;

/// Has a replica live through what the bytes say.
///
/// # Panics
/// When a rule is broken.
pub fn session(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut scene = Scene::new();
    for _ in 0..MOST_STEPS {
        let Some(operation) = input.next() else { break };
        scene.step(operation, &mut input);
    }
    scene.flush();
    scene.reopen();
    goes_on(scene.replica.document().clone());
}

/// Byte strings to begin with: relays that are honest, that are mostly so, and that are not.
pub fn valid_sessions() -> Vec<Vec<u8>> {
    let steps = |seed: u8| {
        let mut random = Random::seeded(seed.into());
        let mut bytes = Vec::new();
        for _ in 0..60 {
            // What an honest relay and an ordinary life would have; others the more, the greater the seed.
            let honest = [SAY, SAY, EDIT, WRITE, SAY, FOREIGN, SAY, SAY, CONNECT, REOPEN, COMPACT, UNDO];
            let any = random.below(16) < usize::from(seed);
            bytes.push(if any { random.below(usize::from(OPERATIONS)) as u8 } else { *random.pick(&honest) });
            bytes.extend([random.next_u64() as u8, random.next_u64() as u8]);
        }
        bytes
    };
    (0..12).map(steps).collect()
}

const SAY: u8 = 0;
const SAY_DAMAGED: u8 = 1;
const FRAME: u8 = 2;
const BODY: u8 = 3;
const OUT_OF_TURN: u8 = 4;
const EDIT: u8 = 5;
const FOREIGN: u8 = 6;
const WRITE: u8 = 7;
const CONNECT: u8 = 8;
const REOPEN: u8 = 9;
const ROLL_BACK: u8 = 10;
const WAIT: u8 = 11;
const COMPACT: u8 = 12;
const UNDO: u8 = 13;
const VOID: u8 = 14;
const OPERATIONS: u8 = 15;

struct Scene {
    replica: Replica,
    now: Timestamp,
    /// By table and key, as a database keeps them.
    store: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    /// Batches that are not written.
    pending: VecDeque<Persist>,
    /// The last own dot that the store has.
    kept: BTreeMap<ReplicaId, u64>,
    openings: u8,
    /// Ids of which the relay said that a branch does not count. What was written there has other names since.
    voided: BTreeMap<ReplicaId, ()>,
    relay: Relay,
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let replica = opened(0, START, Vec::new());
        Self {
            replica,
            now: START,
            store: BTreeMap::new(),
            pending: VecDeque::new(),
            kept: BTreeMap::new(),
            openings: 0,
            voided: BTreeMap::new(),
            relay,
        }
    }

    fn step(&mut self, operation: u8, input: &mut Input<'_>) {
        match operation % OPERATIONS {
            SAY => {
                let said = self.relay.says.pop_front();
                if let Some(said) = said {
                    self.relay.session.send(CHANNEL, &said);
                }
            }
            SAY_DAMAGED => {
                let said = self.relay.says.pop_front();
                if let Some(said) = said {
                    let mut body = said.encode_body();
                    let place = input.below(body.len() + 1);
                    match input.byte() % 4 {
                        0 => body.truncate(place),
                        1 => body.insert(place, input.byte()),
                        _ => {
                            if let Some(byte) = body.get_mut(place) {
                                *byte = input.byte();
                            }
                        }
                    }
                    self.relay.session.send_body(CHANNEL, said.kind(), &body);
                }
            }
            FRAME => {
                let frame = input.piece().unwrap_or_default();
                self.hears(frame);
            }
            BODY => {
                let kind = MessageKind::from_byte(input.byte() % 20);
                let body = input.piece().unwrap_or_default();
                if let Ok(kind) = kind {
                    self.relay.session.send_body(CHANNEL, kind, body);
                }
            }
            OUT_OF_TURN => {
                let news = self.relay.roster.news(&self.relay.document.version());
                let mut messages = world::control_messages(news);
                let message = messages.swap_remove(input.below(messages.len()));
                self.relay.session.send(CHANNEL, &message);
            }
            EDIT => {
                let mut random = Random::seeded(input.byte().into());
                let commit: Result<Commit<()>, EditError> =
                    self.replica.transact(self.now, |tx| random_edit(tx, &mut random, true));
                drop(commit);
            }
            FOREIGN => self.relay.foreign(input.byte()),
            WRITE => {
                self.write_one();
            }
            CONNECT => {
                self.replica.disconnected(self.now);
                self.relay.connect(self.now);
                self.replica.dialing();
                self.replica.connected(self.now);
            }
            REOPEN => self.reopen(),
            ROLL_BACK => {
                self.replica.disconnected(self.now);
                self.relay.roll_back();
            }
            WAIT => {
                self.now = self.now.plus_ms(u64::from(input.byte()) << (input.byte() % 32));
                drop(self.replica.tick(self.now));
            }
            COMPACT => self.compact(),
            VOID => {
                if let Some(fact) = self.relay.void(input.below(self.relay.log.len())) {
                    self.voided.insert(fact.replica, ());
                }
            }
            _ => drop(if input.byte().is_multiple_of(2) {
                self.replica.undo(self.now)
            } else {
                self.replica.redo(self.now)
            }),
        }
        self.drain();
    }

    /// Everything that can be done without the store goes on.
    fn drain(&mut self) {
        loop {
            let mut idle = true;
            while let Some(frame) = self.relay.session.poll() {
                idle = false;
                self.hears(&frame);
            }
            while let Some(output) = self.replica.poll(self.now) {
                idle = false;
                match output {
                    Output::Transmit(frame) => self.relay.hears(self.now, &frame),
                    Output::Persist(persist) => self.pending.push_back(persist),
                    Output::Disconnect { .. } => self.replica.disconnected(self.now),
                    Output::Changed(_)
                    | Output::ForkRepaired { .. }
                    | Output::Presence(_)
                    | Output::TokenWanted
                    | Output::Status(_) => {}
                }
            }
            if idle {
                return;
            }
        }
    }

    fn hears(&mut self, frame: &[u8]) {
        if self.replica.frame(self.now, frame).is_err() {
            while let Some(output) = self.replica.poll(self.now) {
                if let Output::Persist(persist) = output {
                    self.pending.push_back(persist);
                }
            }
            self.replica.disconnected(self.now);
        }
    }

    /// The store completes the oldest batch; says whether there was one.
    fn write_one(&mut self) -> bool {
        let Some(persist) = self.pending.pop_front() else { return false };
        for record in &persist.records {
            if let Record::Slot { replica: Some(replica), high_water, .. } = record {
                let kept = self.kept.entry(*replica).or_default();
                *kept = (*kept).max(*high_water);
            }
            self.put(record);
        }
        self.replica.durable(persist.token, self.now);
        true
    }

    fn put(&mut self, record: &Record) {
        match record.change() {
            StoreChange::Put { table, key, value } => _ = self.store.insert((table, key), value),
            StoreChange::Delete { table, first, last } => {
                self.store.retain(|(of, key), _| *of != table || *key < first || *key > last);
            }
        }
    }

    fn flush(&mut self) {
        while self.write_one() {
            self.drain();
        }
    }

    /// The process dies. What was not written is gone; the next one opens what was.
    fn reopen(&mut self) {
        self.pending.clear();
        self.openings = self.openings.wrapping_add(1);
        let decode = |bytes: &Vec<u8>| Record::decode(bytes).expect("what was written is read");
        self.replica = opened(self.openings, self.now, self.store.values().map(decode).collect());
        for (replica, seq) in &self.kept {
            let dot = Dot::new(*replica, *seq);
            let is_void = self.voided.contains_key(replica);
            assert!(
                is_void || *seq == 0 || self.replica.document().covers(dot),
                "DUR-1: the store has {dot}, its reader has not"
            );
        }
        self.drain();
    }

    fn compact(&mut self) {
        let Some(snapshot) = self.replica.compact() else { return };
        let covers = |bytes: &Vec<u8>| Record::decode(bytes).is_ok_and(|record| self.replica.covers(&record));
        self.store.retain(|_, bytes| !covers(bytes));
        self.put(&snapshot);
    }
}

fn opened(nth: u8, now: Timestamp, stored: Vec<Record>) -> Replica {
    let opening = Opening { slot: Some(0), entropy: [nth; 16], now };
    Replica::open("d", opening, stored).expect("what a replica wrote can be opened, whatever it was told")
}

/// A relay that means well and stores at once. What it says waits until a step lets it.
struct Relay {
    document: Document,
    /// The replica whose edits come from elsewhere.
    other: Document,
    log: Vec<Row>,
    /// Where the log was when the relay was last saved.
    saved: (Document, usize),
    epoch: u64,
    session: Session,
    says: VecDeque<Message>,
    roster: Roster,
    said: Said,
    /// Rows that the client was told of, or gave.
    told: usize,
    live: bool,
}

impl Relay {
    fn new() -> Self {
        let mut relay = Self {
            document: Document::new(),
            other: Document::with_writer(ReplicaId::from(20)),
            log: Vec::new(),
            saved: (Document::new(), 0),
            epoch: 1,
            session: Session::new(SessionConfig::default(), START),
            says: VecDeque::new(),
            roster: Roster::new(START, &VersionVector::new()),
            said: Said::new(),
            told: 0,
            live: false,
        };
        for delta in &world::deltas(1) {
            relay.store(Row::of(delta));
            relay.other.apply(delta).expect("it is honest");
        }
        relay
    }

    fn connect(&mut self, now: Timestamp) {
        self.session = Session::new(SessionConfig::default(), now);
        self.says.clear();
        (self.said, self.live) = (Said::new(), false);
    }

    /// A step back to where it was when this was last called.
    fn roll_back(&mut self) {
        let now = (self.document.clone(), self.log.len());
        let (document, rows) = core::mem::replace(&mut self.saved, now);
        if rows <= self.log.len() {
            self.document = document;
            self.log.truncate(rows);
        }
        self.epoch += 1;
        self.roster = Roster::new(START, &self.document.version());
        self.connect(START);
    }

    fn foreign(&mut self, seed: u8) {
        let mut random = Random::seeded(seed.into());
        if let Some(delta) = world::edit(&mut self.other, |tx| random_edit(tx, &mut random, true)) {
            self.store(Row::of(&delta));
        }
        self.tell_rows();
    }

    /// Says of a branch that it does not count, from the delta of a row on.
    fn void(&mut self, row: usize) -> Option<VoidFact> {
        let delta = self.log.get(row)?.delta()?.ok()?;
        let fact = VoidFact { replica: delta.replica(), first_seq: delta.first_seq(), tag: delta.tag() };
        self.log.push(Row::Void(fact));
        self.tell_rows();
        Some(fact)
    }

    /// Takes a row into the log, if it fits there.
    fn store(&mut self, row: Row) -> Option<Dot> {
        let Some(Ok(delta)) = row.delta() else { return None };
        if !matches!(self.document.check(&delta), Ok(crate::Readiness::Ready)) {
            return None;
        }
        self.document.apply(&delta).expect("it was checked");
        self.roster.add(delta.replica());
        self.log.push(row);
        Some(delta.dot())
    }

    /// What the client has not been told of the log.
    fn tell_rows(&mut self) {
        if !self.live || self.told >= self.log.len() {
            return;
        }
        let (from, to) = (self.told as u64 + 1, self.log.len() as u64);
        let rows = &self.log[self.told..];
        self.told = self.log.len();
        let packed = rows.iter().map(|row| pack(row, &self.roster, false).into()).collect();
        let new_ids = self.roster.range(0, self.roster.len()).to_vec();
        let message = if to % 2 == 0 {
            Message::Packed(PackedRows { from, to, new_ids, rows: packed })
        } else {
            Message::Rows(Rows { from, to, rows: rows.to_vec() })
        };
        self.says.push_back(message);
    }

    fn caught_up(&mut self) {
        self.tell_rows();
        let (position, version_hash) = (self.log.len() as u64, self.document.version_hash());
        self.says.push_back(Message::CaughtUp(CaughtUp { position, version_hash }));
    }

    fn hears(&mut self, now: Timestamp, frame: &[u8]) {
        let Ok(Some((_, message))) = self.session.frame(now, frame) else { return };
        let head = self.log.len() as u64;
        match message {
            Message::Open(open) => {
                let version = self.document.version();
                let fact = |(replica, marks, lease): (ReplicaId, &[VersionEntry], _)| {
                    let here = self.document.chain(replica);
                    let same_upto = if marks.contains(&here) { here.seq } else { 0 };
                    Fact { replica, seq: here.seq, tag: here.tag, same_upto, lease }
                };
                let settled = open.settles.iter().map(|settle| fact((settle.replica, &settle.marks[..], None)));
                let claim = |claim: &Claim| {
                    let lease = Lease { number: claim.lease_no + 1, inc: open.opening };
                    fact((claim.replica, &[VersionEntry { seq: claim.seq, tag: claim.tag }], Some(lease)))
                };
                let facts = open.claims.iter().map(claim).chain(settled).collect();
                let same = open.version_hash == self.document.version_hash();
                let cursor = open.cursor.filter(|cursor| cursor.epoch == self.epoch && cursor.position <= head);
                let resume = match (cursor, &open.version) {
                    _ if same => Resume::Same,
                    (Some(_), _) => Resume::Tail,
                    (None, Some(_)) => Resume::Diff,
                    (None, None) => Resume::Ask,
                };
                self.told = if resume == Resume::Tail {
                    cursor.map_or(0, |cursor| cursor.position as usize)
                } else {
                    self.log.len()
                };
                self.live = true;
                let ack = OpenAck {
                    epoch: self.epoch,
                    head,
                    version_hash: self.document.version_hash(),
                    beacon: self.document.beacon(),
                    version: (!same).then(|| version.clone()),
                    horizon: self.document.horizon(),
                    facts,
                    voids: Vec::new(),
                    resume,
                    roster: open.packed.then(|| self.roster.news(&version)),
                };
                self.says.push_back(Message::OpenAck(ack));
                if let (Resume::Diff, Some(version)) = (resume, open.version) {
                    self.answer(Want::since(version));
                }
                if resume != Resume::Ask {
                    self.caught_up();
                }
            }
            Message::Want(want) => {
                self.answer(want);
                self.caught_up();
            }
            Message::Rows(rows) => rows.rows.into_iter().for_each(|row| self.pushed(row)),
            Message::Packed(rows) => {
                for packed in rows.rows {
                    let row = match self.said.unpack(&packed, &self.roster) {
                        Ok(Unpacked::Row(row)) => row,
                        Ok(Unpacked::Next { replica, bytes, .. }) => {
                            let Some(entry) = self.document.version().get(replica) else { return };
                            Row::Delta { prev_tag: entry.tag, bytes }
                        }
                        Err(_) => return,
                    };
                    self.pushed(row);
                }
            }
            Message::Diff(diff) => {
                let Ok(read) = codec::decode_diff(&diff.bytes) else { return };
                if self.document.apply_diff(&read).is_ok() {
                    self.log.push(Row::Diff { bytes: diff.bytes });
                    let (version, position) = (self.document.version(), self.log.len() as u64);
                    self.says.push_back(Message::Durable(Durable { version, level: Level::Stored, position }));
                    self.told = self.log.len();
                }
            }
            Message::Offer(_) => self.says.push_back(Message::Want(Want::by_digest(&self.document))),
            _ => {}
        }
    }

    fn pushed(&mut self, row: Row) {
        let Some(Ok(delta)) = row.delta() else { return };
        let dot = self.store(row).unwrap_or_else(|| Delta::dot(&delta));
        if self.document.covers(dot) {
            let position = self.log.len() as u64;
            self.told = self.log.len();
            let ack = Ack { replica: dot.replica, through: dot.seq, level: Level::Stored, position };
            self.says.push_back(Message::Ack(ack));
        }
    }

    fn answer(&mut self, want: Want) {
        let bytes = codec::encode_diff(&want.answer(&self.document)).into();
        self.told = self.log.len();
        self.says.push_back(Message::Diff(DiffMessage { position: self.log.len() as u64, bytes }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dur_1_replicas_outlive_relays_of_every_sort() {
        for bytes in valid_sessions() {
            session(&bytes);
        }
    }
}
