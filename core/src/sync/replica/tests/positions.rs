//! Two tabs on one store: what one of them wrote hangs on positions that the other forgot when it wrote the state at rest.

use super::*;
use crate::document::Readiness;
use crate::{Commit, Value};

fn edit(document: &mut Document, edit: impl FnOnce(&mut crate::Transaction<'_>) -> Result<(), EditError>) -> Delta {
    let commit: Result<Commit<()>, EditError> = document.transact(NOW, edit);
    commit.unwrap().delta.unwrap()
}

fn shown(document: &Document) -> Vec<Value> {
    document.list("l").iter().map(|(_, element)| element.value().unwrap().clone()).collect()
}

impl Desk {
    fn insert(&mut self, at: usize, value: &str) -> Delta {
        let commit = self.replica.transact(NOW, |tx| tx.list("l")?.insert(at, value).map(drop));
        let commit: Result<Commit<()>, EditError> = commit;
        self.drain();
        commit.unwrap().delta.unwrap()
    }

    fn receive(&mut self, position: u64, delta: &Delta) {
        self.say(Message::Rows(Rows { from: position, to: position, rows: vec![Row::of(delta)] })).unwrap();
        self.flush();
    }
}

/// A relay with one element in the list, and two tabs on a store that has it.
fn two_tabs() -> (Document, [Desk; 2]) {
    let mut relay = Document::with_writer(ReplicaId::from(9));
    let first = edit(&mut relay, |tx| tx.list("l")?.push("x").map(drop));
    let store = vec![Record::Row(Row::of(&first))];
    (relay, [Desk::open(Some(0), 1, store.clone()), Desk::open(Some(1), 2, store)])
}

/// The relay's document after the element was removed; nobody there knows any more where it was.
fn emptied(mut relay: Document) -> Document {
    edit(&mut relay, |tx| tx.list("l")?.clear());
    relay.truncate_removals();
    relay
}

/// The other tab is sent everything by `relay`, and writes the state at rest over what the first one has stored.
fn compacted_by_the_other(tab: &Desk, mut other: Desk, relay: &Document) -> Vec<Record> {
    other.connect();
    let version = relay.version();
    other
        .say(Message::OpenAck(OpenAck {
            epoch: 7,
            head: 3,
            version_hash: version.hash(),
            beacon: relay.beacon(),
            version: Some(version),
            horizon: relay.horizon(),
            facts: Vec::new(),
            voids: Vec::new(),
            resume: Resume::Diff,
            roster: None,
        }))
        .unwrap();
    let full: Arc<[u8]> = codec::encode_diff(&relay.diff_since(&VersionVector::new())).into();
    other.say(Message::Diff(crate::sync::DiffMessage { position: 3, bytes: full })).unwrap();
    other.flush();
    let mut kept = vec![other.replica.compact().unwrap()];
    kept.extend(tab.store.iter().filter(|record| !other.replica.covers(record)).cloned());
    kept
}

#[test]
fn seq_6_an_edit_at_rest_needs_no_position_that_another_tab_dropped() {
    let (relay, [mut tab, other]) = two_tabs();
    let delta = tab.insert(1, "a");
    tab.flush();
    let mut relay = emptied(relay);
    let kept = compacted_by_the_other(&tab, other, &relay);
    assert_eq!(Document::load(&relay.snapshot()).unwrap().check(&delta), Ok(Readiness::NotReady));

    let is_beside = |record: &&Record| matches!(record, Record::Positions { .. });
    let Some(Record::Positions { replica, last_seq, bytes }) = kept.iter().find(is_beside) else { panic!("positions") };
    assert_eq!((Dot::new(*replica, *last_seq), codec::decode_positions(bytes).unwrap().len()), (delta.dot(), 1));
    assert_eq!(bytes.len(), 21, "16 of them an id");
    // BYTES-1: what is damaged is an error, or is of no use.
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1;
        for bytes in [&damaged[..], &bytes[..at]] {
            let bytes = bytes.into();
            let mut records = kept.clone();
            records.retain(|record| !is_beside(&record));
            records.push(Record::Positions { replica: *replica, last_seq: *last_seq, bytes });
            let opening = Opening { slot: Some(0), entropy: [4; 16], now: NOW };
            if let Ok(opened) = Replica::open("d", opening, records) {
                assert!(opened.document().covers(delta.dot()) || opened.writer().is_none());
                assert_eq!(opened.status().unsaved, 1, "the edit itself is not lost");
            }
        }
    }

    let mut next = Desk::open(Some(0), 3, kept);
    assert_eq!(shown(next.replica.document()), ["a".into()]);
    assert_eq!(next.replica.writer(), Some(delta.replica()), "ID-3: nothing is lost, so the id goes on");

    // The relay has forgotten it too, and is given what it lacks as a diff (ACK-5).
    let heard = next.connect_to(relay.version(), vec![fact(delta.replica(), 0, Tag::start(delta.replica()))]);
    assert_eq!(pushed(&heard), [Row::of(&delta)]);
    assert_eq!(relay.check(&delta), Ok(Readiness::NotReady));
    let dot = delta.dot();
    let (reason, version) = (NackReason::NotReady, Some(relay.version()));
    next.say(Message::Nack(Nack { replica: dot.replica, seq: dot.seq, reason, retry: Retry::BACKOFF, version }))
        .unwrap();
    let heard = next.heard();
    let diff = next.asked_for_it(&heard, relay.version());
    relay.apply_diff(&codec::decode_diff(&diff.bytes).unwrap()).unwrap();
    assert_eq!(shown(&relay), ["a".into()]);
    next.say(Message::Durable(Durable { version: relay.version(), level: Level::Stored, position: 4 })).unwrap();
    assert_eq!(next.replica.status().unsaved, 0);
}

#[test]
fn id_3_a_row_that_waits_for_a_repair_costs_the_cursor_and_no_id() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let own = desk.write("a");
    desk.flush();
    desk.connect_to(version_of(&own), Vec::new());
    let mut author = Document::with_writer(ReplicaId::from(9));
    let first = edit(&mut author, |tx| tx.list("l")?.push("x").map(drop));
    let second = edit(&mut author, |tx| tx.list("l")?.push("y").map(drop));
    desk.store.push(Record::Cursor(Cursor { epoch: 7, position: 3 }));
    desk.receive(4, &second);
    assert!(desk.store.contains(&Record::Row(Row::of(&second))));
    // The process dies before the repair.
    let mut next = desk.reopen(2);
    assert_eq!(next.replica.writer(), Some(own.replica()));
    assert_eq!(next.connect().cursor, None);
    // Once the row before it is there too, it is read.
    next.store.push(Record::Row(Row::of(&first)));
    assert_eq!(next.reopen(3).replica.document().list("l").len(), 2);
}

#[test]
fn seq_6_neither_does_what_was_acked_or_built_upon() {
    let (relay, [mut tab, other]) = two_tabs();
    tab.connect_to(relay.version(), Vec::new());
    // Somebody else's element beside the one that is removed, and an own one beside that; later only the first is acked.
    let mut third = Document::with_writer(ReplicaId::from(5));
    third.apply_diff(&relay.diff_since(&VersionVector::new())).unwrap();
    let theirs = edit(&mut third, |tx| tx.list("l")?.insert(1, "y").map(drop));
    tab.receive(4, &theirs);
    let first = tab.insert(1, "a");
    // Typed on in the bunch that was just made.
    let second = tab.insert(2, "b");
    tab.flush();
    let ack = Ack { replica: first.replica(), through: first.dot().seq, level: Level::Stored, position: 5 };
    tab.say(Message::Ack(ack)).unwrap();
    tab.flush();
    let relay = emptied(relay);
    let kept = compacted_by_the_other(&tab, other, &relay);

    let next = Desk::open(Some(0), 3, kept);
    assert_eq!(shown(next.replica.document()), ["a".into(), "b".into(), "y".into()]);
    assert_eq!((next.replica.writer(), next.replica.status().unsaved), (Some(second.replica()), 1));
}
