//! One room, its inputs and effects by hand.

use bytes::Bytes;
use weftline::sync::{
    CaughtUp, Claim, CloseReason, Cursor, DiffMessage, Message, MessageKind, NackReason, Offer, Open, OpenAck,
    PackedRows, Resume, Roster, Row, Rows, Unpacked, Want, pack, unpack,
};
use weftline::{
    Delta, Document, EditError, ListMut, ReplicaId, Tag, Timestamp, VersionEntry, VersionVector, VoidFact, codec,
};

use super::{Effect, Input, MemberId, RecoverError, Rights, Room, RoomConfig};
use crate::store::{Epoch, Position, Recovered, Snapshot, Tail};

mod feeding;
mod forks;
mod leases;
mod operators;
mod packed;
mod presence;
mod refills;
mod refusals;
mod rights;
mod short_rows;

const NOW: Timestamp = Timestamp(1_000_000);
const ANN: MemberId = MemberId(1);
const BEN: MemberId = MemberId(2);

/// A room and what it has stored; appends wait until [`Desk::commit`].
struct Desk {
    room: Room,
    now: Timestamp,
    rows: Vec<(Position, Bytes)>,
    appending: Vec<(Position, Bytes)>,
    snapshot: Option<Snapshot>,
    sent: Vec<(MemberId, Message)>,
    closed: Vec<(MemberId, CloseReason)>,
    bulk: usize,
    /// The disk is slow: reads of the log stay in `reads`.
    hold_reads: bool,
    reads: Vec<(MemberId, Tail)>,
}

impl Desk {
    fn new(config: RoomConfig) -> Self {
        let room = Room::recover(config, empty(), NOW).unwrap();
        Self {
            room,
            now: NOW,
            rows: Vec::new(),
            appending: Vec::new(),
            snapshot: None,
            sent: Vec::new(),
            closed: Vec::new(),
            bulk: 0,
            hold_reads: false,
            reads: Vec::new(),
        }
    }

    fn handle(&mut self, input: Input) {
        self.room.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.room.poll() {
            match effect {
                Effect::Append { first_position, rows } => {
                    assert!(self.appending.is_empty(), "one append is in flight at a time");
                    self.appending = (first_position..).zip(rows).collect();
                }
                Effect::Send { member, message } => {
                    self.bulk += usize::from(message.bulk);
                    self.sent.push((member, Message::decode(message.kind, &message.body).unwrap()));
                }
                Effect::ReadLog { member, after, max_bytes } => {
                    let mut bytes = 0;
                    let rows = self.rows.iter().filter(|(position, _)| *position > after);
                    let rows = rows.take_while(|(_, row)| {
                        bytes += row.len();
                        bytes == row.len() || bytes <= max_bytes
                    });
                    let tail = Tail::Rows(rows.cloned().collect());
                    if self.hold_reads {
                        self.reads.push((member, tail));
                    } else {
                        self.room.handle(self.now, Input::LogRead { member, tail });
                    }
                }
                Effect::Snapshot { upto, bytes } => {
                    self.rows.retain(|(position, _)| *position > upto);
                    self.snapshot = Some(Snapshot { upto, bytes });
                    self.room.handle(self.now, Input::SnapshotStored { upto });
                }
                Effect::Close { member, close } => self.closed.push((member, close.reason)),
            }
        }
    }

    fn commit(&mut self) {
        while !self.appending.is_empty() {
            let upto = self.appending.last().unwrap().0;
            self.rows.append(&mut self.appending);
            self.handle(Input::Committed { upto });
        }
    }

    fn join(&mut self, member: MemberId, open: Open) -> OpenAck {
        self.handle(Input::Join { member, open: Box::new(open), rights: Rights::ALL });
        match self.heard(member).first() {
            Some(Message::OpenAck(ack)) => ack.clone(),
            other => panic!("expected OpenAck, got {other:?}"),
        }
    }

    fn push(&mut self, member: MemberId, deltas: &[&Delta]) {
        let rows = deltas.iter().map(|delta| Row::of(delta)).collect();
        self.say(member, Message::Rows(Rows { from: 0, to: 0, rows }));
    }

    fn say(&mut self, member: MemberId, message: Message) {
        self.handle(Input::Message { member, message });
    }

    /// What a member was sent since the last time.
    fn heard(&mut self, member: MemberId) -> Vec<Message> {
        let (mine, rest) = std::mem::take(&mut self.sent).into_iter().partition(|(to, _)| *to == member);
        self.sent = rest;
        let mine: Vec<(MemberId, Message)> = mine;
        mine.into_iter().map(|(_, message)| message).collect()
    }
}

fn empty() -> Recovered {
    Recovered { snapshot: None, rows: Vec::new(), head: 0, epochs: vec![Epoch { id: 77, first_position: 1 }] }
}

fn open_as(opening: u64) -> Open {
    Open {
        document: "d".to_owned(),
        opening,
        connection: 1,
        cursor: None,
        version_hash: VersionVector::new().hash(),
        beacon: [0; 16],
        version: Some(VersionVector::new()),
        voids: Vec::new(),
        claims: Vec::new(),
        settles: Vec::new(),
        packed: false,
        staged: None,
    }
}

fn writer(number: u128) -> Document {
    Document::with_writer(ReplicaId::from(number))
}

fn write(document: &mut Document, key: &str) -> Delta {
    let edit = document.transact(NOW, |tx| {
        tx.map("m")?.put(key, "some value")?;
        Ok::<_, EditError>(())
    });
    edit.unwrap().delta.unwrap()
}

fn kinds(messages: &[Message]) -> Vec<MessageKind> {
    messages.iter().map(Message::kind).collect()
}

fn nacked(messages: &[Message]) -> Vec<NackReason> {
    messages
        .iter()
        .filter_map(|message| if let Message::Nack(nack) = message { Some(nack.reason) } else { None })
        .collect()
}

#[test]
fn fan_1_and_ack_1_nothing_is_told_before_the_commit() {
    let mut desk = Desk::new(RoomConfig::default());
    assert_eq!(desk.join(ANN, open_as(1)).resume, Resume::Same);
    desk.join(BEN, open_as(2));
    desk.heard(BEN);
    let mut document = writer(1);
    let delta = write(&mut document, "a");
    desk.push(ANN, &[&delta]);
    assert!(desk.heard(ANN).is_empty() && desk.heard(BEN).is_empty());

    // Somebody who comes meanwhile is not told of it either.
    let carl = MemberId(3);
    desk.handle(Input::Join { member: carl, open: Box::new(open_as(3)), rights: Rights::ALL });
    assert!(desk.heard(carl).is_empty());

    desk.commit();
    let [Message::Ack(ack)] = desk.heard(ANN)[..] else { panic!("an ack, and not the own row") };
    assert_eq!((ack.replica, ack.through, ack.position), (ReplicaId::from(1), delta.dot().seq, 1));
    let [Message::Rows(rows)] = &desk.heard(BEN)[..] else { panic!("the row") };
    assert_eq!((rows.from, rows.to, &rows.rows[..]), (1, 1, &[Row::of(&delta)][..]));
    assert_eq!(kinds(&desk.heard(carl)), [MessageKind::OpenAck, MessageKind::Diff]);
}

#[test]
fn ses_2_an_older_connection_never_replaces_a_newer_one() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, Open { connection: 4, ..open_as(1) });
    desk.handle(Input::Join { member: BEN, open: Box::new(Open { connection: 3, ..open_as(1) }), rights: Rights::ALL });
    assert_eq!(desk.closed, [(BEN, CloseReason::Superseded)]);
    desk.join(MemberId(3), Open { connection: 5, ..open_as(1) });
    assert_eq!(desk.closed[1..], [(ANN, CloseReason::Superseded)]);
}

#[test]
fn facts_say_whether_the_chain_is_the_same() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    let deltas: Vec<Delta> = ["a", "b"].iter().map(|key| write(&mut document, key)).collect();
    desk.push(ANN, &deltas.iter().collect::<Vec<_>>());
    desk.commit();
    let other = Tag::from_bytes([1; 8]);
    for (seq, tag, same_upto) in [(1, deltas[0].tag(), 1), (1, other, 0), (2, other, 0), (3, other, 0)] {
        let claims = vec![Claim { replica: ReplicaId::from(1), seq, tag, lease_no: 0, incs: Vec::new() }];
        desk.handle(Input::Join { member: BEN, open: Box::new(Open { claims, ..open_as(2) }), rights: Rights::ALL });
        desk.commit();
        let heard = desk.heard(BEN);
        let Some(Message::OpenAck(ack)) = heard.first() else { panic!("{heard:?}") };
        let [fact] = &ack.facts[..] else { panic!("one fact") };
        assert_eq!((fact.seq, fact.tag, fact.same_upto), (2, deltas[1].tag(), same_upto));
        desk.handle(Input::Leave { member: BEN });
    }
}

#[test]
fn bytes_1_what_cannot_be_is_refused_and_nobody_else_notices() {
    let mut desk = Desk::new(RoomConfig { max_replicas: 3, max_new_replicas: 2, ..RoomConfig::default() });
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    desk.heard(ANN);
    let mut document = writer(1);
    let (first, second) = (write(&mut document, "a"), write(&mut document, "b"));

    // A gap, and what comes after it in the same message, is refused; the relay says what it has.
    desk.push(ANN, &[&second, &first]);
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::Gap]);
    // A delta whose dependency is missing.
    let mut other = writer(2);
    other.apply(&first).unwrap();
    let late = write(&mut other, "c");
    desk.push(ANN, &[&late]);
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::NotReady]);

    desk.push(ANN, &[&first, &second, &late]);
    desk.commit();
    // The same again is acked again; another one at the same dot is a fork.
    desk.push(ANN, &[&first]);
    let heard = desk.heard(ANN);
    assert!(matches!(heard.last(), Some(Message::Ack(ack)) if ack.through == 1), "{heard:?}");
    let forked = write(&mut writer(1), "elsewhere");
    desk.push(ANN, &[&forked]);
    assert_eq!(nacked(&desk.heard(ANN)), [], "the void fact is stored first");
    desk.commit();
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::Fork]);
    // One replica too many.
    desk.push(ANN, &[&write(&mut writer(3), "d")]);
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::TooManyReplicas]);
    // A diff that starts from what is not here.
    let mut ahead = document.clone();
    let base = {
        write(&mut ahead, "e");
        ahead.version()
    };
    write(&mut ahead, "f");
    let bytes = codec::encode_diff(&ahead.diff_since(&base)).into();
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes }));
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::NotReady]);

    // What is not even a delta has no name to be refused by.
    let junk = Row::Delta { prev_tag: first.prev_tag(), bytes: vec![1, 2, 3].into() };
    desk.say(ANN, Message::Rows(Rows { from: 0, to: 0, rows: vec![junk] }));
    assert_eq!(desk.closed, [(ANN, CloseReason::Protocol)]);
    desk.join(ANN, open_as(1));
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes: vec![9; 50].into() }));
    desk.join(ANN, open_as(1));
    desk.say(ANN, Message::CaughtUp(CaughtUp { position: 1, version_hash: [0; 16] }));
    assert_eq!(desk.closed.len(), 3);

    // Who was closed says nothing more; who was not has all that was taken.
    desk.push(ANN, &[&second]);
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    assert!(desk.heard(ANN).iter().all(|message| !matches!(message, Message::Ack(_) | Message::Nack(_))));
    assert_eq!(desk.room.document().version(), {
        other.apply(&second).unwrap();
        other.version()
    });
}

#[test]
fn who_may_only_read_is_told_so() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.handle(Input::Join { member: ANN, open: Box::new(open_as(1)), rights: Rights::READ });
    desk.push(ANN, &[&write(&mut writer(1), "a")]);
    let diff = {
        let mut document = writer(1);
        write(&mut document, "a");
        document.diff_since(&VersionVector::new())
    };
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes: codec::encode_diff(&diff).into() }));
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::ReadOnly; 2]);
    desk.say(ANN, Message::Want(Want::since(VersionVector::new())));
    assert!(kinds(&desk.heard(ANN)).contains(&MessageKind::Diff));
}

#[test]
fn a_failed_commit_closes_everybody_and_ends_the_room() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    desk.heard(BEN);
    desk.push(ANN, &[&write(&mut writer(1), "a")]);
    desk.handle(Input::CommitFailed);
    assert_eq!(desk.closed, [(ANN, CloseReason::Storage), (BEN, CloseReason::Storage)]);
    assert!(desk.room.is_failed() && desk.room.is_idle() && desk.heard(BEN).is_empty());
}

#[test]
fn a_diff_gives_back_what_was_lost_and_is_a_row_like_any_other() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    desk.heard(BEN);
    let mut document = writer(1);
    for key in ["a", "b", "a"] {
        write(&mut document, key);
    }
    let bytes: std::sync::Arc<[u8]> = codec::encode_diff(&document.diff_since(&VersionVector::new())).into();
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes: bytes.clone() }));
    desk.commit();
    let heard = desk.heard(ANN);
    // It is told so, and compares once more.
    let [.., Message::Durable(durable), Message::CaughtUp(reached)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((&durable.version, reached.version_hash), (&document.version(), document.version_hash()));
    let [Message::Rows(rows)] = &desk.heard(BEN)[..] else { panic!("the row") };
    assert_eq!(rows.rows, [Row::Diff { bytes }]);

    let recovered = Recovered { rows: desk.rows.clone(), head: 1, ..empty() };
    let room = Room::recover(RoomConfig::default(), recovered, NOW).unwrap();
    assert_eq!(room.document().version(), document.version());
}

#[test]
fn fork_2_a_diff_that_began_before_its_origin_moved_is_not_taken_in_part() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    // Two who write as the same replica, each with edits that the other has not seen.
    let (mut log, mut copy) = (writer(1), writer(1));
    for key in ["a", "b"] {
        desk.push(ANN, &[&write(&mut log, key)]);
    }
    for keys in [vec!["c"], vec!["d", "e", "f"]] {
        keys.iter().for_each(|key| drop(write(&mut copy, key)));
        // From when the relay had nothing. Once it is behind the log, once beyond it.
        let bytes = codec::encode_diff(&copy.diff_since(&VersionVector::new())).into();
        desk.say(BEN, Message::Diff(DiffMessage { position: 0, bytes }));
        desk.commit();
        let heard = desk.heard(BEN);
        let Some(Message::Nack(nack)) = heard.last() else { panic!("{heard:?}") };
        assert_eq!((nack.reason, nack.version.as_ref()), (NackReason::NotReady, Some(&log.version())));
        assert_eq!(desk.room.document().snapshot(), log.snapshot());
    }
}

#[test]
fn seq_6_a_delta_on_positions_that_were_dropped_here_is_taken_as_a_diff() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    desk.heard(BEN);
    let list = |document: &mut Document, edit: &dyn Fn(&mut ListMut<'_, '_>) -> Result<(), EditError>| {
        let commit: Result<_, EditError> = document.transact(NOW, |tx| edit(&mut tx.list("l")?));
        commit.unwrap().delta.unwrap()
    };
    let mut ann = writer(1);
    let first = list(&mut ann, &|list| list.push("x").map(drop));
    let mut ben = writer(2);
    ben.apply(&first).unwrap();
    let delta = list(&mut ben, &|list| list.insert(1, "b").map(drop));
    list(&mut ann, &|list| list.clear());
    ann.truncate_removals();
    let full = codec::encode_diff(&ann.diff_since(&VersionVector::new())).into();
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes: full }));
    desk.commit();
    desk.heard(BEN);

    // Everything that it depends on is here, but nobody remembers where that was.
    desk.push(BEN, &[&delta]);
    let heard = desk.heard(BEN);
    let [Message::Nack(nack)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(nack.reason, NackReason::NotReady);
    let bytes = codec::encode_diff(&ben.diff_since(nack.version.as_ref().unwrap())).into();
    desk.say(BEN, Message::Diff(DiffMessage { position: 0, bytes }));
    desk.commit();
    assert!(desk.heard(BEN).iter().any(|message| matches!(message, Message::Durable(_))));
    assert_eq!(desk.room.document().list("l").get(0), Some("b".into()));
    desk.push(BEN, &[&delta]);
    assert!(matches!(desk.heard(BEN).last(), Some(Message::Ack(_))), "it is known by its name, too");
}

#[test]
fn storage_stays_below_three_snapshots_whatever_the_history() {
    let config = RoomConfig { compact_from: 4_000, ..RoomConfig::default() };
    let mut desk = Desk::new(config);
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    let mut peak = 0;
    for number in 0..2_000 {
        let delta = write(&mut document, &format!("key {}", number % 50));
        desk.push(ANN, &[&delta]);
        desk.commit();
        let rows: usize = desk.rows.iter().map(|(_, row)| row.len()).sum();
        peak = peak.max(rows + desk.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len()));
    }
    let snapshot = desk.snapshot.clone().expect("the log was replaced");
    assert!(
        peak <= 3 * snapshot.bytes.len() + 3 * config.compact_from,
        "{peak} bytes, snapshot {}",
        snapshot.bytes.len()
    );
    let epochs = vec![Epoch { id: 77, first_position: 1 }];
    let recovered = Recovered { snapshot: Some(snapshot), rows: desk.rows.clone(), head: 2_000, epochs };
    let room = Room::recover(config, recovered, NOW).unwrap();
    assert_eq!(room.document().version(), document.version());
}

#[test]
fn a_damaged_log_is_not_served() {
    let mut document = writer(1);
    let rows: Vec<Bytes> = ["a", "b"].iter().map(|key| Row::of(&write(&mut document, key)).encode().into()).collect();
    let recover = |rows: Vec<(Position, Bytes)>| {
        let head = rows.last().map_or(0, |(position, _)| *position);
        Room::recover(RoomConfig::default(), Recovered { rows, head, ..empty() }, NOW).err()
    };
    assert_eq!(recover(vec![(1, rows[0].clone()), (2, rows[1].clone())]), None);
    assert!(matches!(recover(vec![(1, rows[1].clone())]), Some(RecoverError::NotReady { position: 1 })));
    assert!(matches!(recover(vec![(1, rows[0].slice(..20))]), Some(RecoverError::Decode { position: 1, .. })));
    assert!(matches!(recover(vec![(1, Bytes::from_static(b"?"))]), Some(RecoverError::Row { position: 1, .. })));
}
