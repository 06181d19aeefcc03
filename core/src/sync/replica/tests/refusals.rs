//! What the relay does not take for a time or for good, and what it says of coming back.

use super::*;
use crate::sync::message::{CloseReason, Goodbye};
use crate::sync::status::Refusal;

fn nack(dot: Dot, reason: NackReason, retry: Retry) -> Message {
    Message::Nack(Nack { replica: dot.replica, seq: dot.seq, reason, retry, version: Some(VersionVector::new()) })
}

/// Three edits that were pushed to an empty relay.
fn three() -> (Desk, [Delta; 3]) {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let deltas = ["a", "b", "c"].map(|key| desk.write(key));
    desk.flush();
    let replica = deltas[0].replica();
    let heard = desk.connect_to(VersionVector::new(), vec![fact(replica, 0, Tag::start(replica))]);
    assert_eq!(pushed(&heard).len(), 3);
    (desk, deltas)
}

#[test]
fn ref_1_what_a_full_relay_refuses_is_pushed_again_when_the_time_has_passed_and_not_before() {
    let (mut desk, deltas) = three();
    let dot = deltas[0].dot();
    let retry = Retry::after_ms(5_000);
    desk.say(nack(dot, NackReason::StorageFull, retry)).unwrap();
    // What was on its way behind it finds a gap, as often as there are messages: no repair, and no reason to give anything back.
    for delta in deltas[1..].iter().cycle().take(20) {
        desk.say(nack(delta.dot(), NackReason::Gap, Retry::BACKOFF)).unwrap();
    }
    let status = desk.replica.status();
    let reason = NackReason::StorageFull;
    assert_eq!((status.unsaved, status.stuck, status.refused), (3, 0, Some(Refusal { dot, reason, retry })));
    // An edit made meanwhile waits as well.
    let fourth = desk.write("d");
    desk.flush();
    let until = NOW.plus_ms(5_000);
    assert_eq!(desk.replica.deadline(), Some(until));
    desk.replica.tick(Timestamp(until.0 - 1)).unwrap();
    desk.drain();
    assert_eq!(desk.heard(), []);

    desk.replica.tick(until).unwrap();
    desk.drain();
    let all: Vec<Row> = deltas.iter().chain([&fourth]).map(Row::of).collect();
    assert_eq!(pushed(&desk.heard()), all);
    assert!(desk.replica.status().refused.is_some(), "nothing is taken yet");
    let through = fourth.last_seq();
    desk.say(Message::Ack(Ack { replica: dot.replica, through, level: Level::Stored, position: 4 })).unwrap();
    let status = desk.replica.status();
    assert_eq!((status.unsaved, status.refused), (0, None));
}

#[test]
fn ref_1_a_diff_that_a_full_relay_refuses_is_offered_again_when_the_time_has_passed() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    desk.connect_to(version_of(&first), vec![fact(first.replica(), first.dot().seq, first.tag())]);
    desk.replica.disconnected(NOW);
    let heard = desk.connect_to(VersionVector::new(), vec![fact(first.replica(), 0, Tag::start(first.replica()))]);
    desk.asked_for_it(&heard, VersionVector::new());
    let nothing = Dot::new(ReplicaId::NIL, 0);
    desk.say(nack(nothing, NackReason::Storage, Retry::after_ms(300))).unwrap();
    assert_eq!(desk.heard(), []);
    let status = desk.replica.status();
    assert_eq!((status.unsaved, status.stuck, status.refused.map(|refused| refused.dot)), (1, 0, Some(nothing)));
    desk.replica.tick(NOW.plus_ms(300)).unwrap();
    desk.drain();
    let heard = desk.heard();
    desk.asked_for_it(&heard, VersionVector::new());
}

#[test]
fn ref_1_what_is_refused_for_good_stays_and_the_status_says_which_and_why() {
    let (mut desk, deltas) = three();
    let Dot { replica, seq: through } = deltas[0].dot();
    desk.say(Message::Ack(Ack { replica, through, level: Level::Stored, position: 1 })).unwrap();
    let dot = deltas[1].dot();
    desk.say(nack(dot, NackReason::TooLarge, Retry::NEVER)).unwrap();
    let status = desk.replica.status();
    assert_eq!((status.unsaved, status.stuck), (2, 2));
    let refused = Some(Refusal { dot, reason: NackReason::TooLarge, retry: Retry::NEVER });
    assert_eq!(status.refused, refused);
    assert_eq!(desk.heard(), []);
}

#[test]
fn ses_1_why_the_relay_ended_a_connection_is_told_until_it_answers_again() {
    let (mut desk, deltas) = three();
    for (close, on_channel) in [
        (Close { reason: CloseReason::Quarantined, retry: Retry::after_ms(60_000) }, true),
        (Close { reason: CloseReason::Expired, retry: Retry::NEVER }, false),
        (Close { reason: CloseReason::Restart, retry: Retry::BACKOFF }, false),
    ] {
        if on_channel {
            desk.say(Message::Close(close)).unwrap();
        } else {
            let Close { reason, retry } = close;
            desk.relay.send(crate::sync::frame::CONNECTION, &Message::Goodbye(Goodbye { reason, retry }));
            while let Some(frame) = desk.relay.poll() {
                desk.replica.frame(NOW, &frame).unwrap();
            }
            desk.drain();
        }
        assert_eq!((desk.hung_up, desk.replica.status().closed), (Some(close.retry), Some(close)));
        desk.replica.disconnected(NOW);
        assert_eq!(desk.replica.status().closed, Some(close));
        desk.hung_up = None;
        let replica = deltas[0].replica();
        desk.connect_to(VersionVector::new(), vec![fact(replica, 0, Tag::start(replica))]);
        assert_eq!(desk.replica.status().closed, None);
    }
}
