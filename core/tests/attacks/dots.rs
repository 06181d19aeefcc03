//! Who says that it is somebody else, or that more has happened than did: forged dots, inflated versions, equivocation.
//!
//! | attack | what stops it | what honest replicas see |
//! |---|---|---|
//! | a delta under the id of another, beyond its next dot | a delta must follow what is known, dot by dot (CAUSAL-1): it waits, and counts for nothing | nothing; it is dropped when the real one comes |
//! | the same at the next dot, without knowing the chain | the chain tag (DOT-1) | a fork, refused |
//! | the same, knowing the chain | nothing: tags are no signatures | whoever has the other one refuses it; the forged replica gives its id up |
//! | a diff that claims more of a history than there is | nothing but trust in whoever makes diffs; `MAX_SEQ` | equal versions with unequal beacons; the replica whose numbers are gone goes on under a fresh id |
//! | two deltas at one dot, each told to another | the chain tag, and the beacon | a fork, refused; where it slipped in by a diff, unequal beacons |

use weftline::sync::{DiffMessage, Message, OpenAck, Opening, Output, Replica, Resume, Session, SessionConfig};
use weftline::testing::dump;
use weftline::{
    ApplyError, Commit, Container, Delta, Document, Dot, EditError, Entry, Few, Hlc, Kind, Outcome, Payload, ReplicaId,
    Tag, Timestamp, VersionEntry, VersionVector, codec,
};

use super::common::{edit, writer};
use super::strangers::{assert_same, nothing, put, root, sealed, sent, still_works_for, with_entry};

const VICTIM: ReplicaId = ReplicaId::from_bytes([1; 16]);

/// The victim with some edits, and those.
fn victim() -> (Document, Vec<Delta>) {
    let mut document = Document::with_writer(VICTIM);
    let deltas = (1..=6).map(|nth| edit(&mut document, nth, |tx| tx.map("r")?.put("k", nth as i64))).collect();
    (document, deltas)
}

#[test]
fn causal_1_forged_dots_beyond_the_next_one_count_for_nothing() {
    let (honest, deltas) = victim();
    let mut document = Document::new();
    document.apply(&deltas[0]).expect("it applies");
    // The attacker does as if it had seen all of the victim's edits but the second.
    for first_seq in 3..=6 {
        let (mut parts, _) = nothing(&document, VICTIM);
        (parts.first_seq, parts.adds) = (first_seq, Few::one((first_seq, put(root(Kind::MAP), "k", "forged"))));
        let forged = sealed(parts, Tag::from_bytes([7; 8])).expect("the bytes keep the rules");
        assert_eq!(document.apply(&forged).expect("it waits").outcome, Outcome::Parked);
    }
    assert_eq!((document.seq(VICTIM), document.parked()), (1, 4));
    for delta in &deltas[1..] {
        assert_eq!(document.apply(delta).expect("the real ones apply").outcome, Outcome::Applied);
    }
    assert_same(&document, &honest);
    assert_eq!(document.parked(), 0, "what was forged is gone");
}

#[test]
fn dot_1_a_forged_dot_without_the_chain_is_a_fork() {
    let (honest, deltas) = victim();
    let mut document = Document::new();
    document.apply(&deltas[0]).expect("it applies");
    for tag in [Tag::start(VICTIM), deltas[1].tag(), Tag::from_bytes([7; 8])] {
        let (mut parts, _) = nothing(&document, VICTIM);
        parts.adds = Few::one((2, put(root(Kind::MAP), "k", "forged")));
        let forged = sealed(parts, tag).expect("the bytes keep the rules");
        assert!(matches!(document.apply(&forged), Err(ApplyError::Fork { replica: VICTIM, seq: 2 })));
    }
    for delta in &deltas[1..] {
        document.apply(delta).expect("the real ones apply");
    }
    assert_same(&document, &honest);
}

/// Tags are public: whoever has seen the victim's last delta can go on in its name. It is evident, not prevented.
#[test]
fn dot_1_a_forged_dot_in_the_chain_parts_those_who_have_it_from_those_who_do_not() {
    let (mut honest, deltas) = victim();
    let mut fooled = Document::new();
    for delta in &deltas {
        fooled.apply(delta).expect("it applies");
    }
    let (mut parts, before) = nothing(&fooled, VICTIM);
    parts.adds = Few::one((7, put(root(Kind::MAP), "k", "forged")));
    let forged = sealed(parts, before).expect("the bytes keep the rules");
    fooled.apply(&forged).expect("nothing tells it from a real one");
    let real = edit(&mut honest, 9, |tx| tx.map("r")?.put("k", "real"));
    for (document, other) in [(&mut fooled, &real), (&mut honest, &forged)] {
        let before = (document.version(), document.beacon());
        assert!(matches!(document.apply(other), Err(ApplyError::Fork { replica: VICTIM, seq: 7 })));
        assert_eq!((document.version(), document.beacon()), before, "what is refused changes nothing");
    }
    assert_ne!(fooled.version_hash(), honest.version_hash(), "they know that they are not at one");
    let told = honest.diff_since(&VersionVector::new());
    assert!(matches!(fooled.apply_diff(&sent(&told)), Err(ApplyError::Fork { replica: VICTIM, seq: 7 })));
}

#[test]
fn an_inflated_head_hides_the_victims_next_edits_and_shows_in_the_beacon() {
    let (mut honest, deltas) = victim();
    let (mut fooled, mut careful) = (writer(2), writer(3));
    for delta in &deltas {
        fooled.apply(delta).expect("it applies");
        careful.apply(delta).expect("it applies");
    }
    let mut inflated = honest.diff_since(&VersionVector::new());
    let tag = Tag::from_bytes([7; 8]);
    inflated.head.set(VICTIM, VersionEntry { seq: 1000, tag });
    fooled.apply_diff(&sent(&inflated)).expect("nothing tells it from a real one");
    let next = edit(&mut honest, 9, |tx| tx.map("r")?.put("k", "unseen"));
    assert_eq!(fooled.apply(&next).expect("it is taken for known").outcome, Outcome::Known);
    // Whoever listens to deltas only is not touched, and whoever compares finds out.
    careful.apply(&next).expect("it applies");
    assert_same(&careful, &honest);
    assert_ne!(fooled.beacon(), honest.beacon());
    // Nothing can be claimed beyond what a dot can be.
    inflated.head.set(VICTIM, VersionEntry { seq: Dot::MAX_SEQ + 1, tag });
    assert!(codec::decode_diff(&codec::encode_diff(&inflated)).is_err());
    still_works_for(fooled, ReplicaId::from(77));
}

/// The same against the victim itself: its numbers are used up to the last one. A document alone can write no more under this
/// id (below); a replica takes a fresh one.
#[test]
fn id_6_a_replica_whose_numbers_were_used_up_goes_on_under_a_fresh_id() {
    let now = Timestamp(1_000_000);
    let mut replica = Replica::open("d", Opening { slot: Some(0), entropy: [1; 16], now }, []).expect("it opens");
    let mut relay = Session::new(SessionConfig::default(), now);
    let mut heard = Vec::new();
    let put = |replica: &mut Replica, value: i64| {
        let commit: Result<Commit<()>, EditError> = replica.transact(now, |tx| tx.map("r")?.put("k", value));
        commit.expect("it can be edited").delta.expect("an edit")
    };
    let mut settle = |replica: &mut Replica, relay: &mut Session| {
        loop {
            while let Some(frame) = relay.poll() {
                replica.frame(now, &frame).expect("the relay keeps the protocol");
            }
            match replica.poll(now) {
                Some(Output::Transmit(frame)) => heard.extend(relay.frame(now, &frame).expect("it is well-formed")),
                Some(Output::Persist(persist)) => replica.durable(persist.token, now),
                Some(_) => {}
                None => return,
            }
        }
    };
    let mine = put(&mut replica, 1);
    replica.connected(now);
    settle(&mut replica, &mut relay);
    let empty = Document::new();
    relay.send(
        1,
        &Message::OpenAck(OpenAck {
            epoch: 7,
            head: 0,
            version_hash: empty.version_hash(),
            beacon: empty.beacon(),
            version: Some(VersionVector::new()),
            horizon: VersionVector::new(),
            facts: Vec::new(),
            voids: Vec::new(),
            resume: Resume::Diff,
            roster: None,
        }),
    );
    settle(&mut replica, &mut relay);
    let mut inflated = writer(5).diff_since(&VersionVector::new());
    inflated.head.set(mine.replica(), VersionEntry { seq: Dot::MAX_SEQ, tag: Tag::from_bytes([7; 8]) });
    let bytes = codec::encode_diff(&inflated).into();
    relay.send(1, &Message::Diff(DiffMessage { position: 0, bytes }));
    settle(&mut replica, &mut relay);
    assert_eq!(replica.writer(), None, "the id is given up");
    let next = put(&mut replica, 2);
    assert_ne!(next.replica(), mine.replica());
    assert_eq!(replica.document().map("r").get_as("k"), Some(2));
}

#[test]
fn dot_1_a_writer_whose_numbers_were_used_up_by_others_edits_no_more() {
    let writer = ReplicaId::from(1);
    let mut document = Document::with_writer(writer);
    let mut diff = {
        let mut other = Document::with_writer(ReplicaId::from(2));
        let commit: Result<Commit<()>, EditError> = other.transact(Timestamp(1), |tx| tx.map("r")?.put("k", 1));
        drop(commit.expect("the edit is possible"));
        other.diff_since(&VersionVector::new())
    };
    diff.head.set(writer, VersionEntry { seq: Dot::MAX_SEQ, tag: Tag::start(writer) });
    let diff = codec::decode_diff(&codec::encode_diff(&diff)).expect("the bytes keep the rules");
    document.apply_diff(&diff).expect("it applies");
    let commit: Result<Commit<()>, EditError> =
        document.transact(Timestamp(1), |tx| tx.map("r")?.remove("k").map(drop));
    assert_eq!(commit.unwrap_err(), EditError::OutOfDots);
    still_works_for(document, ReplicaId::from(77));
}

#[test]
fn dot_1_a_dot_that_is_bound_to_anything_else_gives_another_beacon() {
    let map = || root(Kind::MAP);
    let other = Container::Root { name: "other".into(), kind: Kind::MAP };
    let deltas = [
        with_entry(put(map(), "k", 1), Hlc(5)),
        with_entry(put(map(), "k", 1), Hlc(6)),
        with_entry(put(map(), "k", 2), Hlc(5)),
        with_entry(put(map(), "l", 1), Hlc(5)),
        with_entry(put(other, "k", 1), Hlc(5)),
        with_entry(put(root(Kind::LIST), "k", 1), Hlc(5)),
        with_entry(Entry { kind: Kind::FLAG, payload: Payload::Empty, ..put(map(), "k", 1) }, Hlc(5)),
        with_entry(Entry { kind: Kind::MAP, entity: true, payload: Payload::Empty, ..put(map(), "k", 1) }, Hlc(5)),
    ];
    let beacon = |delta: &Delta| {
        let mut document = Document::new();
        document.apply(delta).expect("it applies");
        assert_eq!(document.live_count(), 1);
        document.beacon()
    };
    let beacons: std::collections::BTreeSet<_> = deltas.iter().map(beacon).collect();
    assert_eq!(beacons.len(), deltas.len());
}

#[test]
fn dot_1_equivocation_is_refused_where_it_shows_and_found_where_it_slips_in() {
    let start = || writer(9);
    let (mut a, mut b) = (Document::new(), Document::new());
    let mut to_a = start();
    let mut to_b = start();
    let first_a = edit(&mut to_a, 1, |tx| tx.map("r")?.put("k", "a"));
    let first_b = edit(&mut to_b, 1, |tx| tx.map("r")?.put("k", "b"));
    a.apply(&first_a).expect("it applies");
    b.apply(&first_b).expect("it applies");
    // Each refuses what the other was told, by delta and by diff.
    assert!(matches!(a.apply(&first_b), Err(ApplyError::Fork { .. })));
    assert!(matches!(b.apply_diff(&sent(&a.diff_since(&VersionVector::new()))), Err(ApplyError::Fork { .. })));
    let second = edit(&mut to_a, 2, |tx| tx.map("r")?.put("l", 1));
    a.apply(&second).expect("it applies");
    assert!(matches!(b.apply(&second), Err(ApplyError::Fork { .. })), "its chain is another one");
    // A diff does not say the tags of what it builds upon. It slips in, the versions are equal, and the beacons are not.
    b.apply_diff(&sent(&a.diff_since(&b.version()))).expect("nothing tells it from a real one");
    assert_eq!(a.version_hash(), b.version_hash());
    assert_ne!((a.beacon(), dump(&a)), (b.beacon(), dump(&b)));
}
