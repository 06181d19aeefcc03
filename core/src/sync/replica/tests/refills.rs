//! What one side lacks and the other gives: refills, digests, horizons.

use super::*;

#[test]
fn ack_4_and_ack_5_what_the_relay_lost_is_given_back_as_one_diff() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    desk.connect_to(version_of(&first), vec![fact(first.replica(), first.dot().seq, first.tag())]);
    assert_eq!(desk.replica.status().unsaved, 0);
    desk.replica.disconnected(NOW);
    // It comes back empty.
    let heard = desk.connect_to(VersionVector::new(), vec![fact(first.replica(), 0, Tag::start(first.replica()))]);
    assert_eq!(desk.replica.status().unsaved, 1, "nothing is called saved that is not");
    let diff = desk.asked_for_it(&heard, VersionVector::new());
    let mut relay = Document::new();
    relay.apply_diff(&codec::decode_diff(&diff.bytes).unwrap()).unwrap();
    assert_eq!(relay.version(), desk.replica.document().version());
    // Meanwhile nothing else is pushed; then it is.
    let second = desk.write("b");
    desk.flush();
    assert!(pushed(&desk.heard()).is_empty());
    desk.say(Message::Durable(Durable { version: relay.version(), level: Level::Stored, position: 4 })).unwrap();
    assert_eq!(pushed(&desk.heard()), [Row::of(&second)]);
}

#[test]
fn diff_7_a_refill_waits_until_every_own_edit_is_durable() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    desk.connect_to(VersionVector::new(), vec![fact(first.replica(), 0, Tag::start(first.replica()))]);
    let second = desk.write("b");
    let gap = Nack {
        replica: first.replica(),
        seq: 1,
        reason: NackReason::Gap,
        retry: Retry::BACKOFF,
        version: Some(VersionVector::new()),
    };
    desk.say(Message::Nack(gap)).unwrap();
    assert!(desk.heard().is_empty(), "an edit is not durable");
    desk.flush();
    let heard = desk.heard();
    let diff = desk.asked_for_it(&heard, VersionVector::new());
    assert!(codec::decode_diff(&diff.bytes).unwrap().head.covers(second.dot()));
}

/// What the relay has, and what a replica knows that has forgotten how it came to that.
fn without_log(desk: &Desk, mut relay: Document) -> (Desk, Document) {
    let mut document = Document::load(&desk.replica.document().snapshot()).unwrap();
    for document in [&mut document, &mut relay] {
        document.truncate_removals();
    }
    (Desk::open(None, 9, vec![Record::Snapshot(document.snapshot().into())]), relay)
}

fn remove(document: &mut Document, key: &str) -> Delta {
    let commit = document.transact(NOW, |tx| tx.map("m")?.remove(key).map(drop));
    let commit: Result<crate::Commit<()>, EditError> = commit;
    commit.unwrap().delta.unwrap()
}

fn seqs(version: &VersionVector) -> Vec<u64> {
    version.iter().map(|(_, entry)| entry.seq).collect()
}

#[test]
fn diff_2_below_the_relays_horizon_a_digest_is_sent_unless_an_edit_is_not_durable() {
    for in_the_middle in [false, true] {
        let mut desk = Desk::open(Some(0), 1, Vec::new());
        let mut relay = Document::with_writer(ReplicaId::from(5));
        for key in ["a", "b", "c"] {
            relay.apply(&desk.write(key)).unwrap();
        }
        let (mut desk, _) = without_log(&desk, relay.clone());
        let gone = remove(&mut relay, "b");
        relay.truncate_removals();
        desk.connect();
        if in_the_middle {
            _ = desk.write("d");
        }
        desk.say(Message::OpenAck(OpenAck {
            epoch: 7,
            head: 3,
            version_hash: relay.version_hash(),
            beacon: relay.beacon(),
            version: Some(relay.version()),
            horizon: relay.horizon(),
            facts: Vec::new(),
            voids: Vec::new(),
            resume: Resume::Ask,
            roster: None,
        }))
        .unwrap();
        let heard = desk.heard();
        let [Message::Want(want)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(want.live.is_none(), in_the_middle);
        let answer = want.clone().answer(&relay);
        assert_eq!(answer.tier, if in_the_middle { crate::Tier::Full } else { crate::Tier::Digest });
        let bytes = codec::encode_diff(&answer).into();
        desk.say(Message::Diff(crate::sync::DiffMessage { position: 3, bytes })).unwrap();
        let document = desk.replica.document();
        assert!(document.covers(gone.dot()) && !document.map("m").contains("b"));
        assert_eq!(document.map("m").len(), if in_the_middle { 3 } else { 2 });
    }
}

#[test]
fn diff_2_whoever_is_asked_later_on_does_not_judge_by_the_horizon_of_the_beginning() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let mut relay = Document::with_writer(ReplicaId::from(5));
    for key in ["a", "b", "c"] {
        relay.apply(&desk.write(key)).unwrap();
    }
    desk.flush();
    // Another client removes something. The relay says so, and before it has sent the row forgets how.
    let gone = remove(&mut relay, "b");
    assert_eq!(desk.connect_to(relay.version(), Vec::new()), []);
    relay.truncate_removals();
    desk.say(Message::Ask).unwrap();
    let heard = desk.heard();
    let [Message::Want(want)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(want.clone().answer(&relay).tier, crate::Tier::Digest);
    let bytes = codec::encode_diff(&want.clone().answer(&relay)).into();
    desk.say(Message::Diff(crate::sync::DiffMessage { position: 5, bytes })).unwrap();
    assert!(desk.replica.document().covers(gone.dot()));
    assert_eq!(desk.replica.document().map("m").len(), 2);
}

#[test]
fn ack_5_a_relay_below_ones_own_horizon_is_asked_what_lives_there() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let mut relay = Document::with_writer(ReplicaId::from(5));
    for key in ["a", "b", "c"] {
        relay.apply(&desk.write(key)).unwrap();
    }
    // A backup of the relay; then something is removed, and everybody forgets how.
    let (backup, gone) = (relay.clone(), remove(&mut relay, "b"));
    desk.replica.document.apply(&gone).unwrap();
    let (mut desk, _) = without_log(&desk, relay);
    let version = desk.replica.document().version();
    let offer = Message::Offer(Offer { version, by_digest: true });
    assert_eq!(desk.connect_to(backup.version(), Vec::new()), [offer]);
    assert_eq!(desk.replica.status().unsaved, 1);
    desk.say(Message::Want(Want::by_digest(&backup))).unwrap();
    let heard = desk.heard();
    let [Message::Diff(diff)] = &heard[..] else { panic!("{heard:?}") };
    let diff = codec::decode_diff(&diff.bytes).unwrap();
    assert_eq!((diff.tier, diff.adds.len(), diff.dead.dot_count()), (crate::Tier::Digest, 0, 1));
    let mut restored = backup;
    restored.apply_diff(&diff).unwrap();
    assert_eq!(seqs(&restored.version()), seqs(&desk.replica.document().version()));
    assert!(!restored.map("m").contains("b"));
    // Asked once; a relay that repeats itself is not listened to.
    assert!(desk.say(Message::Want(Want::by_digest(&restored))).is_err());
}
