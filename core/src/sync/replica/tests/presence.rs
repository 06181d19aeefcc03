//! What a replica shows of itself, and sees of others.

use super::*;
use crate::sync::limits;
use crate::sync::presence::Presence;

fn shown(peer: u64, clock: u64, value: &str) -> PeerState {
    PeerState { peer: PeerId(peer), clock, value: (!value.is_empty()).then(|| value.as_bytes().into()) }
}

fn sent(messages: &[Message]) -> Vec<PeerState> {
    let presence =
        messages.iter().filter_map(|said| if let Message::Presence(said) = said { Some(&said.states) } else { None });
    presence.flatten().cloned().collect()
}

fn caught_up(desk: &mut Desk) {
    desk.say(Message::CaughtUp(CaughtUp { position: 3, version_hash: VersionVector::new().hash() })).unwrap();
}

#[test]
fn what_is_shown_is_sent_once_there_is_a_connection_and_again_on_the_next() {
    let mut desk = Desk::open(None, 1, Vec::new());
    desk.replica.set_presence(NOW, Some(b"ann")).unwrap();
    desk.drain();
    assert_eq!(desk.replica.deadline(), None, "nobody to send it to");
    let heard = desk.connect_to(VersionVector::new(), Vec::new());
    assert_eq!(sent(&heard), [shown(0, 2, "ann")]);
    assert_eq!(desk.replica.writer(), None, "who only shows itself writes nothing");
    desk.replica.disconnected(NOW);
    let later = NOW.plus_ms(limits::PRESENCE_INTERVAL_MS);
    assert_eq!(sent(&desk.connect_to(VersionVector::new(), Vec::new())), [], "not so soon");
    assert_eq!(desk.replica.deadline(), Some(later));
    desk.replica.tick(later).unwrap();
    desk.drain();
    assert_eq!(sent(&desk.heard()), [shown(0, 3, "ann")]);
}

#[test]
fn pres_2_nothing_is_sent_because_something_was_received() {
    let mut desk = Desk::open(None, 1, Vec::new());
    desk.replica.set_presence(NOW, Some(b"ann")).unwrap();
    desk.connect_to(VersionVector::new(), Vec::new());
    let states = vec![shown(5, 1, "ben"), PeerState { peer: desk.replica.peer(), ..shown(0, 9, "me") }];
    desk.say(Message::Presence(Presence { whole: true, states })).unwrap();
    desk.replica.tick(NOW.plus_ms(1_000)).unwrap();
    desk.drain();
    assert_eq!(desk.heard(), []);
    assert_eq!(core::mem::take(&mut desk.news), [shown(5, 1, "ben")]);
    assert!(desk.replica.presences().eq([(PeerId(5), &b"ben"[..])]));
}

#[test]
fn who_was_there_before_a_break_and_is_not_told_of_after_it_is_gone() {
    let mut desk = Desk::open(None, 1, Vec::new());
    desk.connect_to(VersionVector::new(), Vec::new());
    desk.say(Message::Presence(Presence { whole: true, states: vec![shown(5, 1, "ben"), shown(6, 1, "cy")] })).unwrap();
    desk.replica.disconnected(NOW);
    assert_eq!(desk.replica.presences().count(), 2);
    desk.connect_to(VersionVector::new(), Vec::new());
    desk.say(Message::Presence(Presence { whole: false, states: vec![shown(6, 1, "cy")] })).unwrap();
    desk.news.clear();
    caught_up(&mut desk);
    assert_eq!(desk.news, [shown(5, 1, "")]);

    desk.replica.disconnected(NOW);
    let end = NOW.plus_ms(limits::PRESENCE_TTL_MS);
    assert_eq!(desk.replica.deadline(), Some(end));
    desk.replica.tick(end).unwrap();
    desk.drain();
    assert_eq!((desk.news.len(), desk.replica.presences().count()), (2, 0));
}

#[test]
fn a_relay_that_does_not_know_of_presence_is_sent_none() {
    let mut desk = Desk::open(None, 1, Vec::new());
    desk.replica.set_presence(NOW, Some(b"ann")).unwrap();
    desk.features = 0;
    assert_eq!(sent(&desk.connect_to(VersionVector::new(), Vec::new())), []);
}
