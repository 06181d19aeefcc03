//! One replica and a relay played by hand.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use alloc::vec;

use super::*;
use crate::clock::{Tag, VersionEntry};
use crate::document::EditError;
use crate::sync::message::{
    Ack, CaughtUp, Close, DiffMessage, Durable, Fact, Level, Nack, NackReason, Offer, Open, OpenAck, PackedRows,
    Resume, Retry, Rows, Want,
};
use crate::sync::packed::{Said, Unpacked, pack};
use crate::sync::record::Class;
use crate::sync::roster::Roster;
use crate::sync::row::Lease;
use crate::sync::status::Link;
use crate::{Delta, Document, UndoLimits};

mod durability;
mod following;
mod forks;
mod leases;
mod positions;
mod presence;
mod refills;
mod refusals;
mod tokens;

const NOW: Timestamp = Timestamp(1_000_000);
const CHANNEL: u64 = 1;

/// A replica, its store, and the relay's end of its connection.
struct Desk {
    replica: Replica,
    store: Vec<Record>,
    pending: Vec<Persist>,
    relay: Session,
    heard: Vec<Message>,
    news: Vec<PeerState>,
    /// Those of the relay.
    features: u64,
    hung_up: Option<Retry>,
    repaired: Vec<DotRuns>,
    tokens_wanted: u32,
}

impl Desk {
    fn open(slot: Option<u32>, seed: u8, store: Vec<Record>) -> Self {
        let opening = Opening { slot, entropy: [seed; 16], now: NOW };
        let replica = Replica::open("d", opening, store.clone()).unwrap();
        let relay = Session::new(SessionConfig::default(), NOW);
        let features = SessionConfig::default().features;
        Self {
            replica,
            store,
            pending: Vec::new(),
            relay,
            heard: Vec::new(),
            news: Vec::new(),
            features,
            hung_up: None,
            repaired: Vec::new(),
            tokens_wanted: 0,
        }
    }

    /// The next process on the same store; what was not written is gone.
    fn reopen(&self, seed: u8) -> Self {
        Self::open(Some(0), seed, self.store.clone())
    }

    fn write(&mut self, key: &str) -> Delta {
        let commit = self.replica.transact(NOW, |tx| {
            tx.map("m")?.put(key, key)?;
            Ok::<_, EditError>(())
        });
        self.drain();
        commit.unwrap().delta.unwrap()
    }

    fn drain(&mut self) {
        while let Some(output) = self.replica.poll(NOW) {
            match output {
                Output::Transmit(frame) => {
                    self.heard.extend(self.relay.frame(NOW, &frame).unwrap().map(|(_, said)| said))
                }
                Output::Persist(persist) => self.pending.push(persist),
                Output::Disconnect { retry } => self.hung_up = Some(retry),
                Output::ForkRepaired { dots } => self.repaired.push(dots),
                Output::Presence(news) => self.news.extend(news),
                Output::TokenWanted => self.tokens_wanted += 1,
                Output::Changed(_) | Output::Status(_) => {}
            }
        }
    }

    /// The store writes everything it was given.
    fn flush(&mut self) {
        while !self.pending.is_empty() {
            for persist in core::mem::take(&mut self.pending) {
                self.store.extend(persist.records);
                self.replica.durable(persist.token, NOW);
            }
            self.drain();
        }
    }

    fn connect(&mut self) -> Open {
        let config = SessionConfig { features: self.features, ..SessionConfig::default() };
        self.relay = Session::new(config, NOW);
        self.replica.connected(NOW);
        self.drain();
        self.flush();
        match self.heard().as_slice() {
            [Message::Open(open)] => open.clone(),
            other => panic!("expected Open, got {other:?}"),
        }
    }

    fn say(&mut self, message: Message) -> Result<(), ProtocolError> {
        self.relay.send(CHANNEL, &message);
        let mut result = Ok(());
        while let Some(frame) = self.relay.poll() {
            result = result.and(self.replica.frame(NOW, &frame));
        }
        self.drain();
        result
    }

    /// It said that it has something to give back. The relay, which has this, asks for it.
    fn asked_for_it(&mut self, heard: &[Message], relay: VersionVector) -> DiffMessage {
        let [Message::Offer(Offer { by_digest: false, version })] = heard else { panic!("an offer: {heard:?}") };
        assert_eq!(*version, self.replica.document().version());
        self.say(Message::Want(Want::since(relay))).unwrap();
        match self.heard().as_slice() {
            [Message::Diff(diff)] => diff.clone(),
            other => panic!("a diff: {other:?}"),
        }
    }

    fn heard(&mut self) -> Vec<Message> {
        core::mem::take(&mut self.heard)
    }

    /// Connects to a relay that has `version` and answers `facts`.
    fn connect_to(&mut self, version: VersionVector, facts: Vec<Fact>) -> Vec<Message> {
        self.connect_with(version, facts, None)
    }

    /// Connects to a relay that packs rows by this roster.
    fn connect_with(&mut self, version: VersionVector, facts: Vec<Fact>, roster: Option<&Roster>) -> Vec<Message> {
        self.connect();
        let roster = roster.map(|roster| roster.news(&version));
        self.say(Message::OpenAck(OpenAck {
            epoch: 7,
            head: 3,
            version_hash: version.hash(),
            beacon: [0; 16],
            version: Some(version),
            horizon: VersionVector::new(),
            facts,
            voids: Vec::new(),
            resume: Resume::Same,
            roster,
        }))
        .unwrap();
        self.flush();
        self.heard()
    }
}

fn fact(replica: ReplicaId, seq: u64, tag: Tag) -> Fact {
    Fact { replica, seq, tag, same_upto: 0, lease: None }
}

fn version_of(delta: &Delta) -> VersionVector {
    [(delta.replica(), VersionEntry { seq: delta.dot().seq, tag: delta.tag() })].into_iter().collect()
}

fn pushed(messages: &[Message]) -> Vec<Row> {
    let rows =
        messages.iter().filter_map(|message| if let Message::Rows(rows) = message { Some(&rows.rows) } else { None });
    rows.flatten().cloned().collect()
}

#[test]
fn dur_1_nothing_of_an_edit_leaves_before_it_is_durable() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect_to(VersionVector::new(), Vec::new());
    let delta = desk.write("a");
    assert_eq!((desk.heard(), desk.replica.status().unstored), (Vec::new(), 1));
    let [persist] = &desk.pending[..] else { panic!("one batch") };
    assert_eq!(persist.class, Class::Strict);
    assert!(persist.records.contains(&Record::Row(Row::of(&delta))));
    let is_slot = |record: &Record| {
        let Record::Slot { index: 0, replica, high_water, tag, .. } = record else { return false };
        (*replica, *high_water, *tag) == (Some(delta.replica()), delta.dot().seq, delta.tag())
    };
    assert!(persist.records.iter().any(is_slot), "the high-water mark is in the same batch");
    desk.flush();
    assert_eq!(pushed(&desk.heard()), [Row::of(&delta)]);
    assert_eq!((desk.replica.status().unstored, desk.replica.status().unsaved), (0, 1));
}

#[test]
fn dur_3_what_was_loaded_is_proven_durable_before_it_is_claimed() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let delta = desk.write("a");
    desk.flush();
    let mut next = desk.reopen(2);
    next.replica.connected(NOW);
    next.drain();
    assert!(next.heard().is_empty(), "the strict write is not done");
    assert_eq!(next.pending[0].class, Class::Strict);
    next.flush();
    let [Message::Open(open)] = &next.heard()[..] else { panic!("Open") };
    assert_eq!((open.claims[0].replica, open.claims[0].seq), (delta.replica(), delta.dot().seq));
    // A reader proves nothing and claims nothing.
    let mut reader = Desk::open(Some(0), 3, Vec::new());
    reader.replica.connected(NOW);
    reader.drain();
    assert!(
        reader.pending.is_empty() && matches!(&reader.heard()[..], [Message::Open(open)] if open.claims.is_empty())
    );
}

#[test]
fn dur_1_an_undo_is_written_and_sent_like_any_edit() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.replica.keep_undo(Some(UndoLimits::default()));
    assert_eq!(desk.replica.undo(NOW), Ok(None));
    assert_eq!(desk.replica.writer(), None, "ID-1: no id is taken for nothing");
    desk.connect_to(VersionVector::new(), Vec::new());
    desk.write("a");
    desk.flush();
    desk.heard();
    for redo in [false, true] {
        let commit = if redo { desk.replica.redo(NOW) } else { desk.replica.undo(NOW) };
        let delta = commit.unwrap().unwrap().delta.unwrap();
        desk.drain();
        assert_eq!((desk.heard(), desk.replica.status().unstored), (Vec::new(), 1));
        desk.flush();
        assert_eq!(pushed(&desk.heard()), [Row::of(&delta)]);
        assert_eq!(desk.replica.document().map("m").contains("a"), redo);
    }
    assert_eq!(desk.reopen(2).replica.document().map("m").get("a"), Some("a".into()));
}

#[test]
fn id_1_and_id_3_an_id_is_minted_at_the_first_write_and_continued_where_it_is_safe() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    assert_eq!(desk.replica.writer(), None);
    let first = desk.write("a").replica();
    desk.flush();
    assert_eq!(desk.reopen(2).write("b").replica(), first);
    // Another slot, or none, never continues it (TAB-4).
    assert_ne!(Desk::open(Some(1), 3, desk.store.clone()).write("b").replica(), first);
    assert_ne!(Desk::open(None, 4, desk.store.clone()).write("b").replica(), first);
    // The slot knows of more than the store holds: something is lost.
    let mut torn = desk.store.clone();
    torn.retain(|record| !matches!(record, Record::Row(_) | Record::Outbox { .. }));
    assert_ne!(Desk::open(Some(0), 5, torn).write("b").replica(), first);
    let mut longer = desk.reopen(7);
    longer.write("b");
    let stored = desk.store.clone();
    longer.flush();
    let mut torn: Vec<Record> =
        longer.store.iter().filter(|record| matches!(record, Record::Slot { .. })).cloned().collect();
    torn.extend(stored.into_iter().filter(|record| !matches!(record, Record::Slot { .. })));
    assert_ne!(Desk::open(Some(0), 8, torn).write("c").replica(), first);
    // The lock is gone: no further dot, and the slot is not touched either (ID-5).
    let mut next = desk.reopen(6);
    next.replica.retire();
    assert_ne!(next.write("b").replica(), first);
    assert!(
        next.pending.iter().flat_map(|persist| &persist.records).all(|record| !matches!(record, Record::Slot { .. }))
    );
}

#[test]
fn ack_2_and_ack_3_an_ack_empties_the_outbox_and_nothing_else() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let (first, second) = (desk.write("a"), desk.write("b"));
    desk.flush();
    desk.connect_to(VersionVector::new(), vec![fact(first.replica(), 0, Tag::start(first.replica()))]);
    let ack = Ack { replica: first.replica(), through: first.dot().seq, level: Level::Stored, position: 4 };
    desk.say(Message::Ack(ack)).unwrap();
    desk.flush();
    assert_eq!(desk.replica.status().unsaved, 1);
    let mut next = desk.reopen(2);
    assert_eq!(next.replica.status().unsaved, 1);
    assert_eq!(next.replica.document().version(), desk.replica.document().version());
    let heard = next.connect_to(version_of(&first), vec![fact(first.replica(), first.dot().seq, first.tag())]);
    assert_eq!(pushed(&heard), [Row::of(&second)]);
}

#[test]
fn id_5_a_longer_chain_at_the_relay_retires_the_id_and_nothing_is_lost() {
    // A store put back to before edit b, which the relay has.
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    let mut restored = desk.reopen(2);
    let second = desk.write("b");
    let at_relay = version_of(&second);
    let answer = Fact { same_upto: first.dot().seq, ..fact(first.replica(), second.dot().seq, second.tag()) };
    restored.connect_to(at_relay, vec![answer]);
    assert_eq!((restored.replica.writer(), restored.replica.status().unsaved), (None, 0));
    assert!(restored.store.iter().any(|record| matches!(record, Record::Slot { replica: None, .. })));
    restored.say(Message::Rows(Rows { from: 4, to: 4, rows: vec![Row::of(&second)] })).unwrap();
    assert!(restored.replica.document().covers(second.dot()));
    let third = restored.write("c");
    assert_ne!(third.replica(), first.replica());
}

#[test]
fn fork_4_a_branch_that_contradicts_the_log_is_renamed_and_what_builds_upon_it_with_it() {
    // A store was copied, both copies wrote; the other one was first.
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    let mut copy = desk.reopen(2);
    let (theirs, ours) = (desk.write("b"), copy.write("c"));
    copy.flush();
    assert_eq!(theirs.dot(), ours.dot());
    // The relay has the tag of the delta before, which was named in Open.
    let answer = Fact { same_upto: first.dot().seq, ..fact(theirs.replica(), theirs.dot().seq, theirs.tag()) };
    let heard = copy.connect_to(version_of(&theirs), vec![answer]);
    assert_eq!(pushed(&heard), [Row::of(&ours)], "pushing tells where the branch begins");
    let refused = Nack {
        replica: ours.replica(),
        seq: ours.dot().seq,
        reason: NackReason::Fork,
        retry: Retry::BACKOFF,
        version: None,
    };
    copy.say(Message::Nack(refused)).unwrap();
    assert!(copy.hung_up.is_some() && copy.replica.writer().is_none());
    // What is written meanwhile goes with the branch, for it builds upon it.
    let next = copy.write("d");
    assert_ne!(next.replica(), ours.replica());
    copy.flush();
    copy.replica.disconnected(NOW);
    copy.heard();
    let open = copy.connect();
    assert_eq!((open.version, open.cursor), (Some(VersionVector::new()), None), "everything is asked for");
    let mut relay = Document::new();
    relay.apply(&first).unwrap();
    relay.apply(&theirs).unwrap();
    let void = VoidFact { replica: ours.replica(), first_seq: ours.first_seq(), tag: ours.tag() };
    copy.say(Message::OpenAck(OpenAck {
        epoch: 7,
        head: 4,
        version_hash: relay.version_hash(),
        beacon: relay.beacon(),
        version: Some(relay.version()),
        horizon: VersionVector::new(),
        facts: Vec::new(),
        voids: vec![void],
        resume: Resume::Diff,
        roster: None,
    }))
    .unwrap();
    assert!(copy.replica.document().map("m").get("b").is_none());
    let bytes = codec::encode_diff(&relay.diff_since(&VersionVector::new())).into();
    copy.say(Message::Diff(DiffMessage { position: 4, bytes })).unwrap();
    let document = copy.replica.document();
    assert!(["a", "b", "c", "d"].into_iter().all(|key| document.map("m").get(key).is_some()));
    let dots: Vec<_> = copy.repaired.iter().flat_map(DotRuns::dots).collect();
    assert_eq!(dots, {
        let mut dots = [ours.dot(), next.dot()];
        dots.sort_unstable();
        dots
    });
    assert_eq!(document.seq(void.renamed()), 1);
    let status = copy.replica.status();
    assert_eq!((status.unsaved, status.stuck), (2, 0));
}

#[test]
fn fork_2_the_gap_behind_what_is_stuck_asks_for_nothing() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let deltas: Vec<Delta> = (0..12).map(|number| desk.write(&alloc::format!("key {number}"))).collect();
    desk.flush();
    let first = &deltas[0];
    let heard = desk.connect_to(VersionVector::new(), vec![fact(first.replica(), 0, Tag::start(first.replica()))]);
    assert_eq!(pushed(&heard).len(), deltas.len());
    // The relay refuses the first one for good; all that follow it have a gap before them.
    let nack = |delta: &Delta, reason| {
        let dot = delta.dot();
        Message::Nack(Nack {
            replica: dot.replica,
            seq: dot.seq,
            reason,
            retry: Retry::BACKOFF,
            version: Some(VersionVector::new()),
        })
    };
    desk.say(nack(first, NackReason::Invalid)).unwrap();
    for delta in &deltas[1..] {
        desk.say(nack(delta, NackReason::Gap)).expect("more of them than repairs on a connection");
    }
    desk.flush();
    assert_eq!(desk.heard(), [], "neither a refill nor anything of the chain again");
    let status = desk.replica.status();
    assert_eq!((status.unsaved, status.stuck), (12, 12));
}

#[test]
fn fork_2_equal_versions_with_other_payloads_are_built_anew_and_not_called_synced() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let delta = desk.write("a");
    desk.flush();
    desk.connect_to(version_of(&delta), vec![fact(delta.replica(), delta.dot().seq, delta.tag())]);
    let version_hash = desk.replica.document().version_hash();
    let answer = |desk: &mut Desk, beacon, resume| {
        desk.replica.disconnected(NOW);
        desk.hung_up = None;
        desk.heard();
        desk.connect();
        desk.say(Message::OpenAck(OpenAck {
            epoch: 7,
            head: 3,
            version_hash,
            beacon,
            version: None,
            horizon: VersionVector::new(),
            facts: Vec::new(),
            voids: Vec::new(),
            resume,
            roster: None,
        }))
        .unwrap();
    };
    let ours = desk.replica.document().beacon();
    answer(&mut desk, ours, Resume::Same);
    desk.say(Message::CaughtUp(CaughtUp { position: 3, version_hash })).unwrap();
    assert!(desk.replica.status().is_synced());
    // The relay has something else, and what it tells does not change that: everything is asked for, but not for ever.
    for times in 1..=crate::sync::limits::MAX_REPAIRS {
        answer(&mut desk, [5; 16], Resume::Same);
        assert!(desk.hung_up.is_some(), "{times}");
        answer(&mut desk, [5; 16], Resume::Diff);
        let diff = desk.replica.document().diff_since(&VersionVector::new());
        let bytes = codec::encode_diff(&diff).into();
        desk.say(Message::Diff(DiffMessage { position: 3, bytes })).unwrap();
    }
    answer(&mut desk, [5; 16], Resume::Same);
    desk.say(Message::CaughtUp(CaughtUp { position: 3, version_hash })).unwrap();
    let status = desk.replica.status();
    assert_eq!((status.link, status.stuck, status.is_synced()), (Link::Live, 1, false));
}

#[test]
fn two_sides_that_never_agree_stop_trying() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect_to(VersionVector::new(), Vec::new());
    let nothing: Arc<[u8]> = codec::encode_diff(&Document::new().diff_since(&VersionVector::new())).into();
    for _ in 0..crate::sync::limits::MAX_REPAIRS {
        desk.say(Message::CaughtUp(CaughtUp { position: 3, version_hash: [1; 16] })).unwrap();
        desk.say(Message::Diff(crate::sync::DiffMessage { position: 3, bytes: nothing.clone() })).unwrap();
    }
    let last = desk.say(Message::CaughtUp(CaughtUp { position: 3, version_hash: [1; 16] }));
    assert!(matches!(last, Err(ProtocolError::NoProgress { .. })));
}

#[test]
fn a_store_that_fails_is_written_again_before_anything_is_sent() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect_to(VersionVector::new(), Vec::new());
    let first = desk.write("a");
    let second = desk.write("b");
    desk.pending.clear();
    desk.replica.store_failed(NOW);
    desk.drain();
    assert!(desk.hung_up.is_some());
    let [persist] = &desk.pending[..] else { panic!("one batch with everything") };
    assert_eq!(persist.class, Class::Strict);
    for delta in [&first, &second] {
        assert!(persist.records.contains(&Record::Row(Row::of(delta))));
    }
    desk.heard();
    desk.replica.disconnected(NOW);
    desk.relay = Session::new(SessionConfig::default(), NOW);
    desk.replica.connected(NOW);
    desk.drain();
    assert!(desk.heard().is_empty(), "not even Open: the store has not proven itself");
    desk.flush();
    assert!(matches!(&desk.heard()[..], [Message::Open(open)] if open.claims[0].seq == second.dot().seq));
}

#[test]
fn compaction_keeps_what_is_not_acked_and_waits_for_the_disk() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let delta = desk.write("a");
    assert_eq!(desk.replica.compact(), None, "an edit is not durable");
    desk.flush();
    let snapshot = desk.replica.compact().unwrap();
    let mut kept = vec![snapshot];
    kept.extend(desk.store.iter().filter(|record| !desk.replica.covers(record)).cloned());
    assert!(kept.iter().all(|record| !matches!(record, Record::Row(_))));
    let next = Desk::open(Some(0), 2, kept);
    assert_eq!((next.replica.writer(), next.replica.status().unsaved), (Some(delta.replica()), 1));
    assert_eq!(next.replica.document().version(), desk.replica.document().version());
}

#[test]
fn bytes_1_what_a_relay_must_not_say_ends_the_connection() {
    let junk: Arc<[u8]> = [1, 2, 3].as_slice().into();
    let row = Row::Delta { prev_tag: Tag::from_bytes([0; 8]), bytes: junk.clone() };
    let private = Row::Lease { replica: ReplicaId::from(1), lease: Lease { number: 1, inc: 2 } };
    for message in [
        Message::Rows(Rows { from: 4, to: 4, rows: vec![private] }),
        Message::Rows(Rows { from: 4, to: 4, rows: vec![row, Row::Diff { bytes: junk.clone() }] }),
        Message::Rows(Rows { from: 4, to: 2, rows: Vec::new() }),
        Message::Diff(crate::sync::DiffMessage { position: 9, bytes: junk }),
        Message::Want(Want::since(VersionVector::new())),
    ] {
        let mut desk = Desk::open(Some(0), 1, Vec::new());
        desk.connect_to(VersionVector::new(), Vec::new());
        assert!(desk.say(message).is_err());
        assert_eq!(desk.replica.status().link, Link::Offline);
    }
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect();
    assert!(desk.say(Message::Rows(Rows::default())).is_err(), "before OpenAck");
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect();
    desk.say(Message::Close(Close { reason: CloseReason::Denied, retry: Retry::BACKOFF })).unwrap();
    assert!(desk.hung_up.is_some());
    assert!(Replica::open("", Opening { slot: None, entropy: [0; 16], now: NOW }, Vec::new()).is_err());
    let damaged = Record::Snapshot("not a snapshot".to_owned().into_bytes().into());
    assert!(Replica::open("d", Opening { slot: None, entropy: [0; 16], now: NOW }, [damaged]).is_err());
}
