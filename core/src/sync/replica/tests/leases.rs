//! What a client makes of what it is told about its ids. The relay's part is in its own crate, and both together in `tests`.

use super::*;

fn ack(facts: Vec<Fact>, version: VersionVector, resume: Resume) -> OpenAck {
    OpenAck {
        epoch: 7,
        head: 3,
        version_hash: version.hash(),
        beacon: [0; 16],
        version: Some(version),
        horizon: VersionVector::new(),
        facts,
        voids: Vec::new(),
        resume,
        roster: None,
    }
}

/// A store whose one edit is acked, under a lease that it knows of.
fn settled() -> (Vec<Record>, Delta) {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let delta = desk.write("a");
    desk.flush();
    let open = desk.connect();
    let lease = Some(Lease { number: 4, inc: open.opening });
    let fact = Fact { lease, ..fact(delta.replica(), 1, delta.tag()) };
    desk.say(Message::OpenAck(ack(vec![fact], version_of(&delta), Resume::Same))).unwrap();
    desk.flush();
    assert!(desk.replica.status().is_synced() || desk.replica.status().unsaved == 0);
    (desk.store, delta)
}

#[test]
fn id_4_the_opening_that_is_told_to_have_the_lease_is_the_only_one_to_remember() {
    let (store, delta) = settled();
    let slots: Vec<&Record> = store.iter().filter(|record| matches!(record, Record::Slot { .. })).collect();
    let Some(Record::Slot { lease_no: 4, incs, .. }) = slots.last() else { panic!("{slots:?}") };
    let [confirmed] = incs[..] else { panic!("{incs:?}") };
    // The next two never hear.
    let mut next = Desk::open(Some(0), 2, store);
    let second = next.connect();
    let mut next = next.reopen(3);
    let third = next.connect();
    let [claim] = &third.claims[..] else { panic!("one claim") };
    assert_eq!((claim.replica, claim.seq, claim.tag, claim.lease_no), (delta.replica(), 1, delta.tag(), 4));
    assert_eq!(claim.incs, [confirmed, second.opening]);
    assert!(third.settles.is_empty(), "nothing waits");
}

#[test]
fn ack_4_what_was_acked_once_is_not_saved_where_it_is_lost() {
    let (store, delta) = settled();
    let mut desk = Desk::open(Some(0), 2, store);
    assert_eq!(desk.replica.status().unsaved, 0);
    desk.connect();
    // The relay was put back to an older state. It has not even said how far it has come.
    let answer = fact(delta.replica(), 0, Tag::start(delta.replica()));
    desk.say(Message::OpenAck(ack(vec![answer], VersionVector::new(), Resume::Tail))).unwrap();
    assert_eq!(desk.replica.status().unsaved, 1);
    assert_eq!(desk.replica.writer(), Some(delta.replica()), "that is no reason to give the id up");
}

#[test]
fn id_5_whoever_is_superseded_on_its_present_connection_writes_under_another_id() {
    for by_goodbye in [false, true] {
        let (store, delta) = settled();
        let mut desk = Desk::open(Some(0), 2, store);
        desk.connect();
        let reason = CloseReason::Superseded;
        if by_goodbye {
            desk.relay.goodbye(reason, Retry::BACKOFF);
            while let Some(frame) = desk.relay.poll() {
                desk.replica.frame(NOW, &frame).unwrap();
            }
            desk.drain();
        } else {
            desk.say(Message::Close(Close { reason, retry: Retry::BACKOFF })).unwrap();
        }
        assert!(desk.hung_up.is_some() && desk.replica.writer().is_none());
        desk.flush();
        let Some(Record::Slot { replica: None, .. }) =
            desk.store.iter().rfind(|record| matches!(record, Record::Slot { .. }))
        else {
            panic!("the store has to know")
        };
        assert_ne!(desk.write("b").replica(), delta.replica());
    }
    // Any other end is none of the id's business.
    let (store, delta) = settled();
    let mut desk = Desk::open(Some(0), 2, store);
    desk.connect();
    desk.say(Message::Close(Close { reason: CloseReason::Restart, retry: Retry::BACKOFF })).unwrap();
    assert_eq!(desk.replica.writer(), Some(delta.replica()));
}

#[test]
fn dur_2_what_is_settled_is_durable_and_named_from_before_its_first_delta() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let deltas: Vec<Delta> = (0..200).map(|number| desk.write(&alloc::format!("key {number}"))).collect();
    desk.flush();
    for (acked, whole) in [(150, true), (137, true), (136, false), (0, false)] {
        let mut desk = desk.reopen(2);
        desk.replica.outbox.acked(deltas[0].replica(), acked);
        desk.replica.connected(NOW);
        desk.drain();
        _ = desk.write("not durable");
        let proof = desk.pending.remove(0);
        desk.replica.durable(proof.token, NOW);
        desk.drain();
        let heard = desk.heard();
        let [Message::Open(open)] = &heard[..] else { panic!("{heard:?}") };
        let [settle] = &open.settles[..] else { panic!("one chain") };
        let (first, last) = (settle.marks[0], settle.marks[settle.marks.len() - 1]);
        assert_eq!((settle.replica, settle.is_whole, first.seq), (deltas[0].replica(), whole, acked));
        assert!(settle.marks.len() <= crate::sync::limits::MAX_MARKS && last.seq == 200);
        assert!(settle.marks.is_sorted_by(|one, next| one.seq < next.seq));
        for mark in settle.marks.iter().filter(|mark| mark.seq > 0) {
            assert_eq!(mark.tag, deltas[mark.seq as usize - 1].tag());
        }
    }
}
