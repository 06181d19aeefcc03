//! Rows that say replicas by numbers and leave out what their receiver knows.

use super::*;

pub(super) fn packed_as(opening: u64) -> Open {
    Open { packed: true, ..open_as(opening) }
}

/// Pushes deltas packed, the first of them with the tag before it if asked to.
fn push_packed(desk: &mut Desk, member: MemberId, deltas: &[&Delta], tagged: bool) {
    let roster = desk.room.roster().clone();
    let pack_one = |(place, delta): (usize, &&Delta)| pack(&Row::of(delta), &roster, place > 0 || !tagged).into();
    let rows = deltas.iter().enumerate().map(pack_one).collect();
    desk.say(member, Message::Packed(PackedRows { from: 1, to: 0, new_ids: Vec::new(), rows }));
}

#[test]
fn packed_rows_are_the_same_for_all_and_say_replicas_by_numbers() {
    let carl = MemberId(3);
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, packed_as(1));
    let mut document = writer(9);
    let deltas: Vec<Delta> = (0..3).map(|number| write(&mut document, &format!("key {number}"))).collect();
    push_packed(&mut desk, ANN, &[&deltas[0]], false);
    desk.commit();
    // Its own row does not come back, but the number of its id does, before the ack.
    let heard = desk.heard(ANN);
    let [Message::Packed(news), Message::Ack(_)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((&news.new_ids[..], news.rows.len()), (&[ReplicaId::from(9)][..], 0));

    for member in [BEN, carl] {
        let ack = desk.join(member, packed_as(member.0));
        assert_eq!(ack.roster.unwrap().later, [0]);
        desk.handle(Input::Drained { member, bytes: usize::MAX });
        desk.heard(member);
    }
    push_packed(&mut desk, ANN, &[&deltas[1], &deltas[2]], false);
    desk.commit();
    let (ben, other) = (desk.heard(BEN), desk.heard(carl));
    assert_eq!(ben, other);
    let [Message::Packed(rows)] = &ben[..] else { panic!("{ben:?}") };
    assert_eq!((rows.from, rows.to, rows.new_ids.len()), (2, 3, 0));
    for (packed, delta) in rows.rows.iter().zip(&deltas[1..]) {
        assert!(packed.len() < 40, "no id and no tag: {} bytes", packed.len());
        let Ok(Unpacked::Next { replica, first_seq, bytes, .. }) = unpack(packed, desk.room.roster()) else {
            panic!("it continues what BEN was told")
        };
        assert_eq!((replica, first_seq, &bytes), (delta.replica(), delta.first_seq(), delta.bytes()));
    }

    // Whoever asked for a diff may be ahead of the log somewhere: from then on every row says what it continues.
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    desk.say(BEN, Message::Want(Want::since(VersionVector::new())));
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    desk.heard(BEN);
    let last = write(&mut document, "last");
    push_packed(&mut desk, ANN, &[&last], false);
    desk.commit();
    let heard = desk.heard(BEN);
    let [Message::Packed(rows)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(unpack(&rows.rows[0], desk.room.roster()), Ok(Unpacked::Row(Row::of(&last))));
}

#[test]
fn fork_2_a_packed_row_continues_only_what_was_taken() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, packed_as(1));
    let mut document = writer(9);
    let deltas: Vec<Delta> = (0..3).map(|number| write(&mut document, &format!("key {number}"))).collect();
    push_packed(&mut desk, ANN, &[&deltas[1]], false);
    desk.commit();
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::Gap], "nothing was pushed before it");
    push_packed(&mut desk, ANN, &[&deltas[0], &deltas[1]], true);
    desk.commit();
    assert_eq!(nacked(&desk.heard(ANN)), []);

    // Another member has another branch. Its first delta is refused, so its second does not end up behind the one of ours.
    desk.join(BEN, packed_as(2));
    desk.heard(BEN);
    let mut branch = writer(9);
    let other: Vec<Delta> = (0..3).map(|number| write(&mut branch, &format!("other {number}"))).collect();
    push_packed(&mut desk, BEN, &[&other[1]], true);
    push_packed(&mut desk, BEN, &[&other[2]], false);
    desk.commit();
    assert_eq!(nacked(&desk.heard(BEN)), [NackReason::Fork, NackReason::Fork]);
    push_packed(&mut desk, ANN, &[&deltas[2]], false);
    desk.commit();
    assert_eq!(desk.room.committed_version().get(ReplicaId::from(9)), document.version().get(ReplicaId::from(9)));
}

#[test]
fn fork_2_forks_of_ids_that_the_log_does_not_know_are_refused_and_forgotten() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, packed_as(1));
    let forged = |id: u128| {
        let made = write(&mut writer(id), "key");
        Delta::decode(made.bytes(), Tag::from_bytes([7; 8])).unwrap()
    };
    for id in 100..200 {
        desk.push(ANN, &[&forged(id)]);
        assert_eq!(nacked(&desk.heard(ANN)), [NackReason::Fork]);
    }
    assert_eq!(desk.room.members[&ANN].pushed.len(), 0, "anybody could name as many as they like");
    // Of one that the log knows it is remembered, so that what follows it is not taken for a continuation of ours.
    let known = write(&mut writer(9), "key");
    desk.push(ANN, &[&known]);
    desk.commit();
    desk.push(ANN, &[&write(&mut writer(9), "another")]);
    desk.commit();
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::Fork]);
    assert_eq!(desk.room.members[&ANN].pushed[&known.replica()], None);
}

#[test]
fn bytes_1_a_packed_row_with_a_number_that_nobody_has_closes_its_sender_only() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, packed_as(1));
    let row = pack(&Row::of(&write(&mut writer(9), "key")), &Roster::new(NOW, &writer_version(9)), false);
    desk.say(ANN, Message::Packed(PackedRows { from: 1, to: 0, new_ids: Vec::new(), rows: vec![row.into()] }));
    assert_eq!(desk.closed, [(ANN, CloseReason::Protocol)]);
}

fn writer_version(number: u128) -> VersionVector {
    let mut document = writer(number);
    write(&mut document, "key");
    document.version()
}
