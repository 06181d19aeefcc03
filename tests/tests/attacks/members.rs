//! What one who may write does to the others.
//!
//! | attack | what stops it | what the others see |
//! |---|---|---|
//! | deltas in the name of another, with a gap or in no chain | the relay takes the next dot of a chain only | nothing |
//! | the same in the chain, whose tag everybody knows | nothing | the forged replica gives its id up and goes on under another |
//! | removing and writing under what nobody wrote | the relay parks nothing | nothing |
//! | false removals, inflated versions in a diff | nothing: members are trusted with diffs | what the diff says, all alike; whoever was away is told that something is wrong |
//! | declaring void what the log has | the relay believes it only of what is not in its log | nothing |
//! | containers too deep, by delta or by diff | `MAX_CONTAINER_DEPTH` | nothing |
//! | an id for every delta | `max_new_replicas` for each connection, `max_replicas` for each document | a longer version vector |
//! | refused messages without end | nothing of them is kept, and what waits to be answered is counted | nothing |

use weftline::codec::limits::MAX_CONTAINER_DEPTH;
use weftline::sync::{Message, NackReason, Row, Rows, limits};
use weftline::{
    Container, Delta, Dot, Entry, Few, Hlc, Kind, LiveEntry, Payload, ReplicaId, Slot, Tag, VersionEntry,
    VersionVector, VoidFact,
};
use weftline_relay::room::RoomConfig;

use super::allocations::{live, peak_of};
use super::desk::{Attacker, Honest, Relay, delta};

const STRANGER: ReplicaId = ReplicaId::from_bytes([9; 16]);

fn put(key: &str) -> Entry {
    let container = Container::Root { name: "m".into(), kind: Kind::MAP };
    Entry {
        container,
        slot: Slot::Key(key.into()),
        kind: Kind::REGISTER,
        entity: false,
        payload: Payload::Value(1.into()),
    }
}

#[test]
fn causal_1_and_dot_1_a_relay_takes_the_next_dot_of_a_chain_only() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let victim = honest.clients[0].replica.writer().expect("it has written");
    let known = relay.room.document().clone();
    let gap = delta(&known, victim, |parts, _| parts.first_seq += 1);
    assert_eq!(attacker.push(&mut relay, &[gap]), Some(NackReason::Gap));
    let elsewhere = delta(&known, victim, |parts, before| {
        parts.adds = Few::one((parts.first_seq, put("forged")));
        *before = Tag::from_bytes([7; 8]);
    });
    assert_eq!(attacker.push(&mut relay, &[elsewhere]), Some(NackReason::Fork));
    assert_eq!(relay.room.document().version(), known.version());
    honest.put(0, &mut relay);
    honest.put(1, &mut relay);
    honest.assert_at_one(&relay);
    assert!(!honest.show("forged"));
}

#[test]
fn id_6_a_replica_in_whose_name_others_wrote_goes_on_under_another_id() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let victim = honest.clients[0].replica.writer().expect("it has written");
    let forged =
        delta(relay.room.document(), victim, |parts, _| parts.adds = Few::one((parts.first_seq, put("forged"))));
    assert_eq!(attacker.push(&mut relay, &[forged]), None, "tags are no signatures");
    honest.settle(&mut relay);
    assert_eq!(honest.clients[0].replica.writer(), None);
    let key = honest.put(0, &mut relay);
    assert!(honest.clients[0].replica.writer().is_some_and(|id| id != victim));
    honest.assert_at_one(&relay);
    assert!(honest.show(&key) && honest.show("forged"));
}

#[test]
fn causal_2_a_relay_parks_nothing() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let known = relay.room.document().clone();
    let ghost = Dot::new(ReplicaId::from(999), 1);
    let unready = [
        delta(&known, STRANGER, |parts, _| parts.deps = Few::one(ghost)),
        delta(&known, STRANGER, |parts, _| parts.removes.insert(ghost)),
        delta(&known, STRANGER, |parts, _| {
            parts.adds = Few::one((1, Entry { container: Container::Entity(ghost), ..put("k") }));
        }),
    ];
    for delta in unready {
        assert_eq!(attacker.push(&mut relay, &[delta]), Some(NackReason::NotReady));
    }
    assert_eq!((relay.room.document().parked(), relay.room.document().version()), (0, known.version()));
    honest.put(0, &mut relay);
    honest.assert_at_one(&relay);
}

#[test]
fn a_false_removal_in_a_diff_removes_for_all_alike() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(3, &mut relay);
    let lost = honest.put(0, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let victim = honest.clients[0].replica.writer().expect("it has written");
    let mut ahead = relay.room.document().clone();
    ahead.apply(&delta(&ahead, STRANGER, |parts, _| parts.adds = Few::one((1, put("mine"))))).expect("it applies");
    let mut lie = ahead.diff_since(&relay.room.document().version());
    lie.removes = vec![(STRANGER, (1..=ahead.seq(victim)).map(|seq| Dot::new(victim, seq)).collect())];
    assert_eq!(attacker.upload(&mut relay, &lie), None);
    honest.settle(&mut relay);
    honest.assert_at_one(&relay);
    assert!(!honest.show(&lost) && honest.show("mine"));
    let key = honest.put(0, &mut relay);
    assert!(honest.show(&key), "what comes after it stays");
}

#[test]
fn an_inflated_head_ends_an_id_and_not_its_holder() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let victim = honest.clients[0].replica.writer().expect("it has written");
    let known = relay.room.document().version();
    let inflated_since = |relay: &Relay, base: &VersionVector| {
        let mut inflated = relay.room.document().diff_since(base);
        inflated.head.set(victim, VersionEntry { seq: Dot::MAX_SEQ, tag: Tag::from_bytes([7; 8]) });
        inflated
    };
    // Which branch of that id it is of, a diff from before what is here does not tell.
    let from_before = inflated_since(&relay, &VersionVector::new());
    assert_eq!(attacker.upload(&mut relay, &from_before), Some(NackReason::NotReady));
    assert_eq!(relay.room.document().version(), known);
    let from_here = inflated_since(&relay, &known);
    assert_eq!(attacker.upload(&mut relay, &from_here), None, "members are trusted with diffs");
    honest.settle(&mut relay);
    for nth in 0..2 {
        let key = honest.put(nth, &mut relay);
        assert!(honest.show(&key));
    }
    honest.assert_at_one(&relay);
    assert!(honest.clients[0].replica.writer().is_some_and(|id| id != victim));
}

#[test]
fn valid_1_containers_too_deep_are_refused_by_delta_and_by_diff() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let nested = |seq: u64| {
        let container = if seq == 1 { put("k").container } else { Container::Entity(Dot::new(STRANGER, seq - 1)) };
        Entry { container, kind: Kind::MAP, entity: true, payload: Payload::Empty, ..put("k") }
    };
    let known = relay.room.document().clone();
    for (depth, refused) in [(MAX_CONTAINER_DEPTH as u64 + 1, true), (MAX_CONTAINER_DEPTH as u64 - 1, false)] {
        let deep = delta(&known, STRANGER, |parts, _| {
            parts.dots = depth;
            parts.adds = (1..=depth).map(|seq| (seq, nested(seq))).collect();
        });
        let mut diff = known.diff_since(&known.version());
        diff.head.set(STRANGER, VersionEntry { seq: depth, tag: deep.tag() });
        diff.adds = (1..=depth)
            .map(|seq| LiveEntry { dot: Dot::new(STRANGER, seq), hlc: Hlc(0), entry: nested(seq) })
            .collect();
        let reason = refused.then_some(NackReason::Invalid);
        assert_eq!(attacker.upload(&mut relay, &diff), reason, "{depth} by diff");
        assert_eq!(attacker.push(&mut relay, &[deep]), reason, "{depth} by delta");
    }
    // Two that are inside of one another.
    let mut circle = relay.room.document().diff_since(&relay.room.document().version());
    for (id, other) in [(5, 6), (6, 5)] {
        let (id, other) = (ReplicaId::from(id), Dot::new(ReplicaId::from(other), 1));
        circle.head.set(id, VersionEntry { seq: 1, tag: Tag::start(id) });
        let entry = Entry { container: Container::Entity(other), ..nested(1) };
        circle.adds.push(LiveEntry { dot: Dot::new(id, 1), hlc: Hlc(0), entry });
    }
    assert_eq!(attacker.upload(&mut relay, &circle), Some(NackReason::Invalid));
    honest.settle(&mut relay);
    honest.put(1, &mut relay);
    honest.assert_at_one(&relay);
}

/// A void fact takes a branch out of everybody's history. Whoever could make one up about what the log has, and whose tags are forgotten
/// there, could have clients rename what the relay does not.
#[test]
fn fork_2_what_the_log_has_is_declared_void_by_nobody() {
    for compact_from in [1, usize::MAX] {
        let mut relay = Relay::with(RoomConfig { compact_from, ..RoomConfig::default() });
        let mut honest = Honest::new(2, &mut relay);
        let keys: Vec<String> = (0..40).map(|nth| honest.put(nth % 2, &mut relay)).collect();
        let deltas = relay.log.iter().filter_map(|row| Row::decode(row).expect("it was stored").delta());
        let fact = |delta: Delta| VoidFact { replica: delta.replica(), first_seq: delta.first_seq(), tag: delta.tag() };
        let facts: Vec<VoidFact> = deltas.map(|delta| fact(delta.expect("it was stored"))).collect();
        let known = relay.log.len();
        drop(Attacker::join_saying(9, &mut relay, |open| open.voids = facts));
        assert_eq!(relay.log.len(), known, "nothing of it is stored");
        honest.settle(&mut relay);
        for nth in 0..2 {
            relay.disconnect(nth + 1);
            honest.put(nth, &mut relay);
        }
        honest.assert_at_one(&relay);
        assert!(keys.iter().all(|key| honest.show(key)));
    }
}

/// So many ids as one connection may introduce; over many connections, so many as the document may have. Those who write already, write on.
#[test]
fn ids_without_number_are_refused_and_whoever_has_one_goes_on() {
    let config = RoomConfig { max_replicas: 40, max_new_replicas: 8, ..RoomConfig::default() };
    let mut relay = Relay::with(config);
    let mut honest = Honest::new(2, &mut relay);
    let fresh = |relay: &Relay, id: u128| delta(relay.room.document(), ReplicaId::from(id), |_, _| {});
    let mut attacker = Attacker::join(9, &mut relay);
    let answers: Vec<_> = (100..120)
        .map(|id| {
            let delta = fresh(&relay, id);
            attacker.push(&mut relay, &[delta])
        })
        .collect();
    assert_eq!(answers[..8], [None; 8]);
    assert_eq!(answers[8..], [Some(NackReason::TooManyReplicas); 12]);
    let mut crowd = relay.room.document().diff_since(&VersionVector::new());
    for id in 1000..1100 {
        let id = ReplicaId::from(id);
        crowd.head.set(id, VersionEntry { seq: 1, tag: Tag::start(id) });
    }
    assert_eq!(attacker.upload(&mut relay, &crowd), Some(NackReason::TooManyReplicas));
    // A newcomer finds its place all the same.
    honest.join(&mut relay);
    honest.put(2, &mut relay);
    honest.assert_at_one(&relay);
    // Whoever comes again may introduce as many again, until the document has as many as it may.
    for again in 0..8 {
        let mut attacker = Attacker::join(10 + again, &mut relay);
        for id in 0..8 {
            let delta = fresh(&relay, 2000 + 8 * again as u128 + id);
            let refused = attacker.push(&mut relay, &[delta]);
            assert!(matches!(refused, None | Some(NackReason::TooManyReplicas)));
        }
    }
    assert!(relay.room.document().version().len() <= config.max_replicas);
    for nth in 0..3 {
        honest.put(nth, &mut relay);
    }
    honest.assert_at_one(&relay);
}

#[test]
fn what_is_refused_is_not_kept_however_often_it_is_said() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let known = relay.room.document().clone();
    let victim = honest.clients[0].replica.writer().expect("it has written");
    let mut flood = |relay: &mut Relay, times: u128| {
        for nth in 0..times {
            let id = ReplicaId::from(5000 + nth);
            let unready = delta(&known, id, |parts, _| parts.deps = Few::one(Dot::new(ReplicaId::from(999), 1)));
            let forked = delta(&known, victim, |_, before| *before = Tag::from_bytes([nth as u8; 8]));
            assert_eq!(attacker.push(relay, &[unready]), Some(NackReason::NotReady));
            assert_eq!(attacker.push(relay, &[forked]), Some(NackReason::Fork));
        }
    };
    flood(&mut relay, 50);
    let held = live();
    let peak = peak_of(|| flood(&mut relay, 2000));
    assert!(live() - held < 16 << 10 && peak < 256 << 10, "{} bytes stay, {peak} at most", live() - held);
    honest.put(0, &mut relay);
    honest.assert_at_one(&relay);
}

/// A refusal says the relay's version, which is long where many have written, and waits until that is stored. Little said makes much wait;
/// what waits is counted, and while it is too much, a relay listens to nobody.
#[test]
fn what_is_refused_while_the_store_is_slow_is_counted() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    for id in 0..200 {
        let delta = delta(relay.room.document(), ReplicaId::from(7000 + id), |_, _| {});
        assert_eq!(attacker.push(&mut relay, &[delta]), None);
    }
    relay.stalled = true;
    let known = relay.room.document().clone();
    let slow = delta(&known, ReplicaId::from(7000), |_, _| {});
    assert_eq!(attacker.push(&mut relay, &[slow]), None);
    let unready = delta(&known, STRANGER, |parts, _| parts.deps = Few::one(Dot::new(ReplicaId::from(999), 1)));
    let (held, waiting) = (live(), relay.room.waiting_bytes());
    for _ in 0..500 {
        assert_eq!(
            attacker.push(&mut relay, std::slice::from_ref(&unready)),
            None,
            "nothing is told before the commit"
        );
    }
    let (held, waiting) = ((live() - held) as usize, relay.room.waiting_bytes() - waiting);
    assert!(held > 500 * 200 * 16, "it takes memory: {held} bytes");
    assert!(2 * waiting > held, "{held} bytes are taken, {waiting} are counted");
    relay.resume();
    assert!(relay.room.waiting_bytes() < 1 << 10);
    honest.put(0, &mut relay);
    honest.assert_at_one(&relay);
}

#[test]
fn whoever_sends_too_much_at_once_is_closed() {
    let mut relay = Relay::new();
    let mut honest = Honest::new(2, &mut relay);
    let mut attacker = Attacker::join(9, &mut relay);
    let known = relay.room.document().clone();
    let long = "x".repeat(limits::MAX_BATCH / 2);
    let big = |nth: u128| {
        delta(&known, ReplicaId::from(100 + nth), |parts, _| {
            parts.adds = Few::one((1, Entry { payload: Payload::Value(long.as_str().into()), ..put("k") }));
        })
    };
    let rows = (0..3).map(|nth| Row::of(&big(nth))).collect();
    attacker.say(&mut relay, &Message::Rows(Rows { from: 0, to: 0, rows }));
    assert!(!attacker.is_connected(&relay));
    assert_eq!(relay.room.document().version(), known.version());
    honest.put(0, &mut relay);
    honest.assert_at_one(&relay);
}
