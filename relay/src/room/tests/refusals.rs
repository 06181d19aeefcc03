//! What a room refuses because of a limit, or because nothing can be stored.

use weftline::sync::{Nack, Retry};

use super::*;

fn nack(desk: &mut Desk, member: MemberId) -> Nack {
    let heard = desk.heard(member);
    let [.., Message::Nack(nack)] = &heard[..] else { panic!("a refusal: {heard:?}") };
    nack.clone()
}

fn remove(document: &mut Document, key: &str) -> Delta {
    let removed = document.transact(NOW, |tx| tx.map("m")?.remove(key).map(drop));
    let removed: Result<weftline::Commit<()>, EditError> = removed;
    removed.unwrap().delta.unwrap()
}

fn put(document: &mut Document, key: &str, length: usize) -> Delta {
    let put = document.transact(NOW, |tx| tx.map("m")?.put(key, "x".repeat(length)));
    put.unwrap().delta.unwrap()
}

#[test]
fn ack_1_rows_that_come_while_an_append_is_under_way_are_appended_together_in_pieces_of_the_limit() {
    let mut desk = Desk::new(RoomConfig { max_append: 1_000, ..RoomConfig::default() });
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    desk.push(ANN, &[&put(&mut document, "first", 10)]);
    assert_eq!(desk.appending.len(), 1, "at once, when nothing is under way");
    for number in 0..20 {
        desk.push(ANN, &[&put(&mut document, &number.to_string(), 300)]);
        assert_eq!(desk.appending.len(), 1, "one append is under way at a time");
    }
    desk.push(ANN, &[&put(&mut document, "long", 5_000)]);
    desk.push(ANN, &[&put(&mut document, "last", 10)]);
    let mut sizes = Vec::new();
    while let Some((upto, _)) = desk.appending.last().cloned() {
        sizes.push((desk.appending.len(), desk.appending.iter().map(|(_, row)| row.len()).sum::<usize>()));
        desk.rows.append(&mut desk.appending);
        desk.handle(Input::Committed { upto });
    }
    assert_eq!(sizes.iter().map(|(rows, _)| rows).sum::<usize>(), 23);
    assert!(sizes.iter().all(|(rows, bytes)| *rows == 1 || *bytes <= 1_000), "{sizes:?}");
    assert_eq!(sizes.len(), 13, "two by two, and the first, the long one and the last by themselves: {sizes:?}");
    let acks: Vec<_> = desk.heard(ANN).into_iter().filter(|message| message.kind() == MessageKind::Ack).collect();
    assert_eq!(acks.len(), sizes.len(), "one ack for all that is committed together");
    let Some(Message::Ack(ack)) = acks.last() else { panic!("an ack") };
    let named = (ack.replica, ack.through, ack.level);
    assert_eq!(named, (ReplicaId::from(1), document.seq(ReplicaId::from(1)), weftline::sync::Level::Stored));
}

#[test]
fn ref_2_while_nothing_can_be_stored_nothing_is_appended_and_everything_stored_is_read() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    let mut document = writer(1);
    let first = write(&mut document, "a");
    desk.push(ANN, &[&first]);
    desk.commit();
    desk.heard(ANN);
    desk.handle(Input::Store { trouble: Some(NackReason::StorageFull) });
    let second = write(&mut document, "b");
    desk.push(ANN, &[&second]);
    let refused = nack(&mut desk, ANN);
    assert_eq!((refused.replica, refused.seq, refused.reason), (ReplicaId::from(1), 2, NackReason::StorageFull));
    assert!(refused.retry.delay_ms().is_some_and(|ms| (1_000..2_000).contains(&ms)));
    // What is known is acked, also now.
    desk.push(ANN, &[&first]);
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::Ack]);
    // Nor is it asked for what could not be stored, or taken.
    let version = document.version();
    desk.say(ANN, Message::Offer(Offer { version, by_digest: false }));
    assert_eq!((nack(&mut desk, ANN).replica, nack_seq(&mut desk)), (ReplicaId::NIL, None));
    let bytes = codec::encode_diff(&document.diff_since(&first_version(&first))).into();
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes }));
    assert_eq!(nack(&mut desk, ANN).reason, NackReason::StorageFull);

    // Who comes is answered at once, although it claims an id, and is shown what is stored.
    let claim =
        Claim { replica: ReplicaId::from(9), seq: 0, tag: Tag::start(ReplicaId::from(9)), lease_no: 0, incs: vec![] };
    let carl = MemberId(3);
    let ack = desk.join(carl, Open { claims: vec![claim], ..open_as(3) });
    assert_eq!((ack.resume, ack.facts.len(), ack.facts[0].lease), (Resume::Diff, 1, None));
    assert!(desk.appending.is_empty());

    desk.handle(Input::Store { trouble: None });
    desk.push(ANN, &[&second]);
    desk.commit();
    assert!(kinds(&desk.heard(ANN)).contains(&MessageKind::Ack));
    assert_eq!(desk.room.committed(), 2);
    assert_eq!(desk.closed, []);
}

/// What else was said.
fn nack_seq(desk: &mut Desk) -> Option<u64> {
    desk.heard(ANN).iter().find_map(|message| if let Message::Nack(nack) = message { Some(nack.seq) } else { None })
}

fn first_version(delta: &Delta) -> VersionVector {
    [(delta.replica(), VersionEntry { seq: delta.dot().seq, tag: delta.tag() })].into_iter().collect()
}

#[test]
fn a_failed_commit_says_whether_the_disk_is_full() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.push(ANN, &[&write(&mut writer(1), "a")]);
    desk.handle(Input::Store { trouble: Some(NackReason::StorageFull) });
    desk.handle(Input::CommitFailed);
    assert_eq!(desk.closed, [(ANN, CloseReason::StorageFull)]);
}

#[test]
fn ref_3_a_document_that_is_full_takes_what_makes_it_smaller_and_then_grows_again() {
    let mut desk = Desk::new(RoomConfig { max_document: 10_000, ..RoomConfig::default() });
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    let (mut ann, mut ben) = (writer(1), writer(2));
    // Overwritten again and again, it is small, however much was written.
    for _ in 0..50 {
        desk.push(ANN, &[&put(&mut ann, "same", 1_000)]);
    }
    for number in 0..7 {
        desk.push(ANN, &[&put(&mut ann, &number.to_string(), 1_000)]);
    }
    desk.commit();
    assert!(nacked(&desk.heard(ANN)).is_empty());
    let too_much = put(&mut ann, "too much", 3_000);
    desk.push(ANN, &[&too_much]);
    let refused = nack(&mut desk, ANN);
    assert_eq!((refused.reason, refused.seq), (NackReason::DocumentFull, too_much.dot().seq));
    assert!(refused.retry.delay_ms().is_some_and(|ms| (30_000..60_000).contains(&ms)));

    // Others fill what is left, down to the last few bytes.
    for (number, length) in [(11, 100), (12, 10), (13, 0)] {
        let mut filler = writer(number);
        loop {
            let key = filler.seq(ReplicaId::from(number)).to_string();
            desk.push(BEN, &[&put(&mut filler, &key, length)]);
            desk.commit();
            if nacked(&desk.heard(BEN)) == [NackReason::DocumentFull] {
                break;
            }
        }
    }

    // Somebody else takes something away, and later the edit passes.
    for delta in desk.rows.iter().filter_map(|(_, row)| Row::decode(row).unwrap().delta()?.ok()) {
        ben.apply(&delta).unwrap();
    }
    let removals: Vec<Delta> = (0..4).map(|number| remove(&mut ben, &number.to_string())).collect();
    desk.push(BEN, &removals.iter().collect::<Vec<_>>());
    desk.commit();
    assert!(nacked(&desk.heard(BEN)).is_empty());
    desk.now = desk.now.plus_ms(60_000);
    desk.push(ANN, &[&too_much]);
    desk.commit();
    assert!(nacked(&desk.heard(ANN)).is_empty());

    // A diff is no way around it.
    let mut carl = writer(3);
    put(&mut carl, "huge", 20_000);
    let bytes = codec::encode_diff(&carl.diff_since(&VersionVector::new())).into();
    desk.say(BEN, Message::Diff(DiffMessage { position: 0, bytes }));
    let refused = nack(&mut desk, BEN);
    assert_eq!((refused.reason, refused.seq, refused.retry), (NackReason::DocumentFull, 0, Retry::NEVER));
}

#[test]
fn limits_on_deltas_and_members_are_told() {
    let mut desk = Desk::new(RoomConfig { max_delta: 1_000, max_members: 2, ..RoomConfig::default() });
    desk.join(ANN, open_as(1));
    desk.push(ANN, &[&put(&mut writer(1), "long", 1_000)]);
    let refused = nack(&mut desk, ANN);
    assert_eq!((refused.reason, refused.retry), (NackReason::TooLarge, Retry::NEVER));
    desk.join(BEN, open_as(2));
    let carl = MemberId(3);
    desk.handle(Input::Join { member: carl, open: Box::new(open_as(3)), rights: Rights::ALL });
    assert_eq!(desk.closed, [(carl, CloseReason::TooMany)]);
    // A newer connection of somebody who is there takes its own place.
    desk.join(MemberId(4), Open { connection: 2, ..open_as(2) });
    desk.handle(Input::Leave { member: ANN });
    desk.join(MemberId(5), open_as(3));
}

#[test]
fn new_ids_are_counted_by_subject_over_its_connections_and_beyond_the_life_of_a_room() {
    let config = RoomConfig { max_new_replicas: 3, ..RoomConfig::default() };
    let mut desk = Desk::new(config);
    let subject: std::sync::Arc<str> = "address 192.0.2.1".into();
    let rights = Rights { subject: Some(subject), ..Rights::ALL };
    let mut member = 0;
    // Another connection for each id.
    let mut bring = |desk: &mut Desk, rights: &Rights| {
        member += 1;
        let (id, rights) = (MemberId(member), rights.clone());
        desk.handle(Input::Join { member: id, open: Box::new(open_as(member)), rights });
        desk.commit();
        desk.heard(id);
        let mut document = writer(u128::from(member));
        desk.push(id, &[&write(&mut document, "key")]);
        desk.commit();
        let refused = desk.heard(id).into_iter().find_map(|message| match message {
            Message::Nack(nack) => Some((nack.reason, nack.retry.delay_ms())),
            _ => None,
        });
        desk.handle(Input::Leave { member: id });
        refused
    };
    for _ in 0..3 {
        assert_eq!(bring(&mut desk, &rights), None);
    }
    let Some((NackReason::TooManyReplicas, Some(ms))) = bring(&mut desk, &rights) else { panic!("one too many") };
    assert!((300_000..600_000).contains(&ms));
    assert_eq!(bring(&mut desk, &Rights::ALL), None, "others are not counted with it");

    // The room is let go, and another one is opened.
    let newcomers = desk.room.newcomers().clone();
    let (rows, now) = (desk.rows.clone(), desk.now);
    let head = rows.last().map_or(0, |(position, _)| *position);
    desk.room = Room::recover(config, Recovered { rows, head, ..empty() }, now).unwrap();
    desk.room.remember(newcomers);
    assert!(bring(&mut desk, &rights).is_some());
    desk.now = desk.now.plus_ms(3_600_000);
    assert_eq!(bring(&mut desk, &rights), None);
}
