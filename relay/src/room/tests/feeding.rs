//! Members as cursors into the log: slow ones, old ones, and those that come back.

use super::*;

#[test]
fn a_slow_member_is_a_cursor_not_a_queue() {
    let mut desk = Desk::new(RoomConfig { max_batch: 300, recent_bytes: 500, ..RoomConfig::default() });
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    desk.heard(BEN);
    let mut document = writer(1);
    for number in 0..40 {
        let delta = write(&mut document, &format!("key {number}"));
        desk.push(ANN, &[&delta]);
        desk.commit();
    }
    assert_eq!(desk.bulk, 1, "the first batch was never taken, so no other is sent");

    // When it takes them, it gets every row once, in order, from the log and from memory.
    let mut next = 1;
    loop {
        let heard = desk.heard(BEN);
        for message in &heard {
            let Message::Rows(rows) = message else { continue };
            assert_eq!(rows.from, next);
            assert_eq!(rows.rows.len() as u64, rows.to - rows.from + 1);
            assert!(rows.rows.len() == 1 || rows.rows.iter().map(Row::encoded_len).sum::<usize>() <= 300);
            next = rows.to + 1;
        }
        if heard.is_empty() {
            break;
        }
        desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    }
    assert_eq!(next, 41);
    assert_eq!(desk.heard(ANN).len(), 40, "forty acks: the slow one delayed nobody");
}

#[test]
fn a_member_that_asks_and_does_not_take_the_answer_costs_one_diff() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    desk.push(ANN, &[&write(&mut document, "a")]);
    desk.commit();
    desk.heard(ANN);
    let want = || Message::Want(Want::since(VersionVector::new()));
    for _ in 0..50 {
        desk.say(ANN, want());
    }
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::Diff]);
    desk.handle(Input::Drained { member: ANN, bytes: usize::MAX });
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::CaughtUp]);

    // Asked while rows are on their way, it waits until they are taken.
    desk.join(BEN, open_as(2));
    desk.push(BEN, &[&write(&mut writer(2), "b")]);
    desk.commit();
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::Rows]);
    for _ in 0..50 {
        desk.say(ANN, want());
    }
    assert!(desk.heard(ANN).is_empty());
    desk.handle(Input::Drained { member: ANN, bytes: usize::MAX });
    let heard = desk.heard(ANN);
    let [Message::Diff(answer)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(codec::decode_diff(&answer.bytes).unwrap().head, *desk.room.committed_version());
    desk.handle(Input::Drained { member: ANN, bytes: usize::MAX });
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::CaughtUp]);
    desk.say(ANN, want());
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::Diff], "a new question");
}

#[test]
fn fan_1_a_member_is_told_what_lives_here_as_often_as_it_repairs_and_only_what_is_stored() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    desk.push(ANN, &[&write(&mut document, "a")]);
    let version = [(ReplicaId::from(9), VersionEntry { seq: 1, tag: Tag::from_bytes([1; 8]) })].into_iter().collect();
    let offer = Offer { version, by_digest: true };
    desk.say(ANN, Message::Offer(offer.clone()));
    assert!(desk.heard(ANN).is_empty(), "not before the commit");
    desk.commit();
    let heard = desk.heard(ANN);
    let wants: Vec<&Want> =
        heard.iter().filter_map(|said| if let Message::Want(want) = said { Some(want) } else { None }).collect();
    let [want] = wants[..] else { panic!("{heard:?}") };
    assert_eq!((&want.version, &want.live), (&document.version(), &Some(document.digest().live)));
    for _ in 0..weftline::sync::limits::MAX_REPAIRS {
        desk.say(ANN, Message::Offer(offer.clone()));
        assert!(desk.closed.is_empty());
    }
    desk.say(ANN, Message::Offer(offer));
    assert_eq!(desk.closed, [(ANN, CloseReason::Protocol)]);
}

#[test]
fn diff_2_whoever_is_below_the_horizon_is_asked_for_a_digest_not_sent_everything() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    desk.push(ANN, &[&write(&mut document, "a"), &write(&mut document, "b")]);
    desk.commit();
    let old = document.clone();
    // A refill by somebody who has forgotten how things died makes the room forget as well (DIFF-4).
    let gone = document.transact(NOW, |tx| tx.map("m")?.remove("a").map(drop));
    let gone: Result<weftline::Commit<()>, weftline::EditError> = gone;
    assert!(gone.unwrap().delta.is_some());
    document.truncate_removals();
    let bytes = codec::encode_diff(&document.diff_for(&old.digest())).into();
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes }));
    desk.commit();
    assert_eq!(desk.room.committed_version(), &document.version());

    let ack = desk.join(BEN, Open { version: Some(old.version()), version_hash: old.version_hash(), ..open_as(2) });
    assert_eq!(ack.resume, Resume::Ask);
    assert!(!old.version().dominates(&ack.horizon));
    desk.say(BEN, Message::Want(Want::by_digest(&old)));
    let heard = desk.heard(BEN);
    let [.., Message::Diff(answer)] = &heard[..] else { panic!("{heard:?}") };
    let answer = codec::decode_diff(&answer.bytes).unwrap();
    assert_eq!((answer.tier, answer.dead.dot_count(), answer.adds.len()), (weftline::Tier::Digest, 1, 0));

    // Who has nothing needs no digest.
    let ack = desk.join(MemberId(3), Open { version: Some(VersionVector::new()), ..open_as(3) });
    assert_eq!(ack.resume, Resume::Diff);
}

#[test]
fn rows_read_for_a_member_that_was_given_a_diff_meanwhile_are_of_no_use() {
    let mut desk = Desk::new(RoomConfig { recent_bytes: 1, max_batch: 1, ..RoomConfig::default() });
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    for key in ["a", "b", "c", "d"] {
        let delta = write(&mut document, key);
        desk.push(ANN, &[&delta]);
        desk.commit();
    }
    desk.hold_reads = true;
    let cursor = Some(Cursor { epoch: 77, position: 0 });
    desk.join(BEN, Open { cursor, version_hash: [9; 16], version: None, ..open_as(2) });
    let [(BEN, Tail::Rows(rows))] = &desk.reads[..] else { panic!("{:?}", desk.reads) };
    assert_eq!(rows.len(), 1);

    // It asks before the disk has answered, and the answer is there first.
    desk.say(BEN, Message::Want(Want::since(VersionVector::new())));
    assert_eq!(kinds(&desk.heard(BEN)), [MessageKind::Diff]);
    let (member, tail) = desk.reads.remove(0);
    desk.handle(Input::LogRead { member, tail });
    desk.handle(Input::LogRead { member, tail: Tail::Trimmed { floor: 3 } });
    assert_eq!(desk.closed, []);
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    assert_eq!(kinds(&desk.heard(BEN)), [MessageKind::CaughtUp]);
}

#[test]
fn cur_1_a_cursor_means_something_only_where_it_was_given() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    for key in ["a", "b", "c"] {
        let delta = write(&mut document, key);
        desk.push(ANN, &[&delta]);
        desk.commit();
    }
    let mut at = |opening, epoch, position| {
        let member = MemberId(opening);
        let cursor = Some(Cursor { epoch, position });
        let ack = desk.join(member, Open { cursor, version: None, version_hash: [9; 16], ..open_as(opening) });
        desk.handle(Input::Leave { member });
        ack.resume
    };
    assert_eq!(at(10, 77, 0), Resume::Tail);
    assert_eq!(at(11, 77, 3), Resume::Tail);
    assert_eq!(at(12, 77, 4), Resume::Ask, "never reached");
    assert_eq!(at(13, 78, 2), Resume::Ask, "unknown epoch");
    let version_hash = document.version_hash();
    let ack = desk.join(MemberId(14), Open { version_hash, ..open_as(14) });
    assert_eq!((ack.resume, ack.head, ack.version), (Resume::Same, 3, None));

    // A relay that was put back to row 1 and went on: the old epoch ended where the new one began.
    let rows = desk.rows[..1].to_vec();
    let epochs = vec![Epoch { id: 77, first_position: 1 }, Epoch { id: 79, first_position: 2 }];
    desk.room = Room::recover(RoomConfig::default(), Recovered { snapshot: None, rows, head: 1, epochs }, NOW).unwrap();
    for (opening, position, resume) in [(20, 1, Resume::Tail), (21, 2, Resume::Ask)] {
        let cursor = Some(Cursor { epoch: 77, position });
        let open = Open { cursor, version: None, version_hash: [9; 16], ..open_as(opening) };
        assert_eq!(desk.join(MemberId(opening), open).resume, resume);
    }
}

#[test]
fn cur_3_catching_up_ends_with_the_hash_of_the_version_reached() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    let mut document = writer(1);
    let deltas: Vec<Delta> = ["a", "b"].iter().map(|key| write(&mut document, key)).collect();
    desk.push(ANN, &deltas.iter().collect::<Vec<_>>());
    desk.commit();
    let cursor = Some(Cursor { epoch: 77, position: 0 });
    desk.handle(Input::Join {
        member: BEN,
        open: Box::new(Open { cursor, version_hash: [9; 16], ..open_as(2) }),
        rights: Rights::ALL,
    });
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    let heard = desk.heard(BEN);
    let [Message::OpenAck(_), Message::Rows(rows), Message::CaughtUp(reached)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((rows.from, rows.to), (1, 2));
    assert_eq!((reached.position, reached.version_hash), (2, document.version_hash()));
}
