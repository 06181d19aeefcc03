//! What operators see of a room, and do to it.

use super::*;
use crate::room::{Note, Step};

#[test]
fn a_report_tells_who_is_behind_and_by_how_much() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    let mut document = Document::with_writer(ReplicaId::from(1));
    for key in 0..3 {
        let delta = write(&mut document, &key.to_string());
        desk.push(ANN, &[&delta]);
        desk.commit();
    }
    let report = desk.room.report();
    assert_eq!((report.head, report.committed, report.floor), (3, 3, 0));
    // The first batch is on its way to Ben; what came after it waits.
    let behind: Vec<(MemberId, u64)> =
        report.members.iter().map(|member| (member.member, member.rows_behind)).collect();
    assert_eq!(behind, [(ANN, 0), (BEN, 2)]);
    assert_eq!(desk.room.members_behind(), 1);
    let counts = desk.room.take_counts();
    assert_eq!((counts.acks, counts.deliveries, counts.delivered_batches), (3, 1, 1));
    assert_eq!(counts.resumes[Resume::Same as usize], 2);
    assert_eq!(desk.room.take_counts(), crate::room::Counts::default(), "they are taken");

    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    assert_eq!(desk.room.members_behind(), 0);
    assert_eq!(desk.room.take_counts().deliveries, 2);
}

#[test]
fn a_log_is_replaced_when_somebody_wants_it_and_what_it_covers_is_stored() {
    let mut desk = Desk::new(RoomConfig::default());
    assert!(!desk.room.compact(), "there is nothing");
    desk.join(ANN, open_as(1));
    let mut document = Document::with_writer(ReplicaId::from(1));
    desk.push(ANN, &[&write(&mut document, "a")]);
    assert!(desk.room.compact());
    desk.drain();
    assert!(desk.snapshot.is_none(), "FAN-1: not before its rows are stored");
    desk.commit();
    assert_eq!(desk.snapshot.as_ref().map(|snapshot| snapshot.upto), Some(1));
    assert!(!desk.room.is_compacting());
    assert_eq!(desk.room.report().floor, 1);
}

#[test]
fn while_a_room_is_read_only_edits_are_refused_for_a_time_and_those_who_wait_are_sent_away_when_it_ends() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.room.set_read_only(true);
    desk.drain();
    let mut document = Document::with_writer(ReplicaId::from(1));
    let delta = write(&mut document, "a");
    desk.push(ANN, &[&delta]);
    let heard = desk.heard(ANN);
    let Some(Message::Nack(nack)) = heard.first() else { panic!("expected Nack, got {heard:?}") };
    assert_eq!(nack.reason, NackReason::ReadOnly);
    assert!(nack.retry.delay_ms().is_some(), "the client tries again by itself: {:?}", nack.retry);
    assert!(desk.appending.is_empty());
    assert!(desk.room.report().is_read_only);

    desk.room.set_read_only(false);
    desk.drain();
    assert_eq!(desk.closed, [(ANN, CloseReason::Restart)]);
    desk.join(BEN, open_as(2));
    desk.push(BEN, &[&delta]);
    desk.commit();
    assert_eq!(desk.room.committed(), 1);
}

#[test]
fn what_becomes_of_an_edit_is_noted_when_somebody_follows_and_not_otherwise() {
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.join(BEN, open_as(2));
    let mut document = Document::with_writer(ReplicaId::from(1));
    desk.push(ANN, &[&write(&mut document, "a")]);
    desk.commit();
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    assert_eq!(desk.room.take_notes(), []);

    desk.room.follow_edits(true);
    desk.push(ANN, &[&write(&mut document, "b")]);
    desk.commit();
    let note = |step, member| Note { step, replica: ReplicaId::from(1), seq: 2, position: 2, member };
    let expected = [
        note(Step::Taken, Some(ANN)),
        note(Step::Stored, Some(ANN)),
        note(Step::Acked, Some(ANN)),
        note(Step::Sent, Some(BEN)),
    ];
    assert_eq!(desk.room.take_notes(), expected);
    // A hole before it.
    let _lost = write(&mut document, "c");
    desk.push(ANN, &[&write(&mut document, "d")]);
    let notes: Vec<Step> = desk.room.take_notes().into_iter().map(|note| note.step).collect();
    assert_eq!(notes, [Step::Refused(NackReason::Gap)]);
}
