//! Who is asked, of those who have something to give back.

use super::*;

const CARL: MemberId = MemberId(3);
const DORA: MemberId = MemberId(4);

fn offer(replica: u128, seq: u64) -> Message {
    let entry = VersionEntry { seq, tag: Tag::from_bytes([1; 8]) };
    Message::Offer(Offer { version: [(ReplicaId::from(replica), entry)].into_iter().collect(), by_digest: false })
}

fn asked(desk: &mut Desk) -> Vec<MemberId> {
    let asked =
        desk.sent.iter().filter(|(_, message)| matches!(message, Message::Want(_))).map(|(id, _)| *id).collect();
    desk.sent.clear();
    asked
}

fn offered() -> Desk {
    let mut desk = Desk::new(RoomConfig::default());
    for (member, opening) in [(ANN, 1), (BEN, 2), (CARL, 3), (DORA, 4)] {
        desk.join(member, open_as(opening));
    }
    for (member, seq) in [(ANN, 5), (BEN, 3), (CARL, 10), (DORA, 7)] {
        desk.say(member, offer(u128::from(member.0), seq));
    }
    desk
}

#[test]
fn ack_5_one_is_asked_at_a_time_and_of_those_who_wait_the_one_with_the_most() {
    let mut desk = offered();
    assert_eq!(asked(&mut desk), [ANN], "nobody else was here");
    desk.handle(Input::Leave { member: ANN });
    assert_eq!(asked(&mut desk), [CARL]);
    // What Carl sends is refused: it is an answer all the same.
    let from_nowhere = weftline::Document::new().diff_since(&VersionVector::new());
    let bytes = codec::encode_diff(&from_nowhere).into();
    desk.say(CARL, Message::Diff(DiffMessage { position: 0, bytes }));
    assert_eq!(asked(&mut desk), [DORA]);
    desk.handle(Input::Leave { member: DORA });
    assert_eq!(asked(&mut desk), [BEN]);
    assert_eq!(desk.room.deadline(), None, "nobody is left to be asked");
}

#[test]
fn ack_5_who_is_slow_is_not_waited_for_and_the_next_is_given_twice_as_long() {
    let mut desk = offered();
    asked(&mut desk);
    for (ms, expected) in [(999, vec![]), (1_000, vec![CARL]), (2_999, vec![]), (3_000, vec![DORA]), (7_000, vec![BEN])]
    {
        desk.room.handle(NOW.plus_ms(ms), Input::Tick);
        desk.drain();
        assert_eq!(asked(&mut desk), expected, "after {ms} ms");
    }
}

#[test]
fn ack_5_what_is_here_by_then_is_acked_after_its_commit_and_not_asked_for() {
    let mut desk = Desk::new(RoomConfig::default());
    for (member, opening) in [(ANN, 1), (BEN, 2)] {
        desk.join(member, open_as(opening));
    }
    let mut document = writer(1);
    let delta = write(&mut document, "a");
    for member in [ANN, BEN] {
        desk.say(member, Message::Offer(Offer { version: document.version(), by_digest: false }));
    }
    assert_eq!(asked(&mut desk), [ANN]);
    desk.push(ANN, &[&delta]);
    assert_eq!(asked(&mut desk), [], "not before the commit");
    desk.commit();
    assert!(kinds(&desk.heard(BEN)).contains(&MessageKind::Durable));

    // Who may not write is told so.
    desk.handle(Input::Join { member: CARL, open: Box::new(open_as(3)), rights: Rights::READ });
    desk.heard(CARL);
    desk.say(CARL, offer(9, 9));
    assert_eq!(nacked(&desk.heard(CARL)), [NackReason::ReadOnly]);
}
