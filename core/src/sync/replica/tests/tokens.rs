//! What says what may be done at the relay, and what waits for it.

use super::*;
use crate::sync::frame::CONNECTION;

fn kinds(messages: &[Message]) -> Vec<MessageKind> {
    messages.iter().map(Message::kind).collect()
}

fn read_only(delta: &Delta) -> Message {
    let Dot { replica, seq } = delta.dot();
    Message::Nack(Nack { replica, seq, reason: NackReason::ReadOnly, retry: Retry::NEVER, version: None })
}

/// What is said from the moment at which there is a connection.
fn said_on_connection(desk: &mut Desk) -> Vec<Message> {
    desk.relay = Session::new(SessionConfig::default(), NOW);
    desk.replica.connected(NOW);
    desk.drain();
    desk.flush();
    desk.heard()
}

#[test]
fn auth_2_the_token_is_said_before_everything_else_and_on_every_connection() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    assert_eq!(kinds(&said_on_connection(&mut desk)), [MessageKind::Open], "where there is none, none");
    desk.replica.disconnected(NOW);
    desk.replica.set_token(b"first");
    desk.drain();
    assert_eq!(desk.heard(), []);
    for _ in 0..2 {
        let heard = said_on_connection(&mut desk);
        assert_eq!(heard[0], Message::Token(b"first".as_slice().into()));
        assert_eq!(kinds(&heard[1..]), [MessageKind::Open]);
        desk.replica.disconnected(NOW);
    }
    desk.replica.set_token(b"");
    assert_eq!(kinds(&said_on_connection(&mut desk)), [MessageKind::Open]);
}

#[test]
fn another_token_is_asked_for_and_said_on_the_connection_that_there_is() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.replica.set_token(b"first");
    said_on_connection(&mut desk);
    desk.relay.send(CONNECTION, &Message::Token([].into()));
    while let Some(frame) = desk.relay.poll() {
        desk.replica.frame(NOW, &frame).unwrap();
    }
    desk.drain();
    assert_eq!(desk.tokens_wanted, 1);
    desk.replica.set_token(b"second");
    desk.drain();
    assert_eq!(desk.heard(), [Message::Token(b"second".as_slice().into())]);
}

#[test]
fn auth_3_what_may_not_be_written_waits_for_another_token_or_connection() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    let facts = vec![fact(first.replica(), 0, Tag::start(first.replica()))];
    let heard = desk.connect_to(VersionVector::new(), facts.clone());
    assert_eq!(pushed(&heard), [Row::of(&first)]);
    desk.say(read_only(&first)).unwrap();
    // Nothing of it is sent again, nor what is written now, however much time passes.
    let second = desk.write("b");
    desk.flush();
    desk.replica.tick(NOW.plus_ms(1 << 40)).unwrap_or_default();
    assert_eq!(pushed(&desk.heard()), []);
    let status = desk.replica.status();
    assert_eq!((status.unsaved, status.stuck), (2, 2));
    assert_eq!(status.refused.map(|refused| refused.reason), Some(NackReason::ReadOnly));

    desk.replica.disconnected(NOW);
    let heard = desk.connect_to(VersionVector::new(), facts);
    assert_eq!(pushed(&heard), [Row::of(&first), Row::of(&second)], "another connection may be another relay");
    desk.say(read_only(&first)).unwrap();
    desk.replica.set_token(b"with the right to write");
    desk.drain();
    let heard = desk.heard();
    assert_eq!(heard[0].kind(), MessageKind::Token, "before what needs it");
    assert_eq!(pushed(&heard[1..]), [Row::of(&first), Row::of(&second)]);
    assert_eq!(desk.replica.status().stuck, 0);
}
