//! Who is here: what members show of themselves, and who is told when.

use std::sync::Arc;

use weftline::sync::{PeerId, PeerState, Presence};

use super::*;

const CARL: MemberId = MemberId(3);

impl Desk {
    fn shows(&mut self, member: MemberId, clock: u64, value: &str) {
        let value = (!value.is_empty()).then(|| value.as_bytes().into());
        let state = PeerState { peer: PeerId(0), clock, value };
        self.say(member, Message::Presence(Presence { whole: false, states: vec![state] }));
    }

    fn tick(&mut self, now: Timestamp) {
        self.room.handle(now, Input::Tick);
        self.drain();
    }

    /// Lets changes be told that were collected.
    fn later(&mut self, times: u64) -> Timestamp {
        let now = NOW.plus_ms(times * RoomConfig::default().presence_interval_ms);
        self.tick(now);
        now
    }

    fn told(&mut self, member: MemberId) -> Vec<Presence> {
        let only = |message| if let Message::Presence(presence) = message { Some(presence) } else { None };
        self.heard(member).into_iter().filter_map(only).collect()
    }
}

fn state(opening: u64, clock: u64, value: &str) -> PeerState {
    let value: Option<Arc<[u8]>> = (!value.is_empty()).then(|| value.as_bytes().into());
    PeerState { peer: PeerId::of(opening), clock, value }
}

fn news(states: &[PeerState]) -> Presence {
    let mut states = states.to_vec();
    states.sort_by_key(|state| (state.value.is_none(), state.peer));
    Presence { whole: false, states }
}

fn room_of_three() -> Desk {
    let mut desk = Desk::new(RoomConfig::default());
    for (member, opening) in [(ANN, 1), (BEN, 2), (CARL, 3)] {
        desk.join(member, open_as(opening));
        desk.heard(member);
    }
    desk
}

#[test]
fn pres_2_others_are_told_and_never_the_sender_and_nothing_is_stored() {
    let mut desk = room_of_three();
    desk.shows(ANN, 1, "ann");
    let ann = news(&[state(1, 1, "ann")]);
    assert_eq!((desk.told(ANN), desk.told(BEN), desk.told(CARL)), (vec![], vec![ann.clone()], vec![ann]));
    assert!(desk.appending.is_empty() && desk.room.committed() == 0);

    // Whoever comes is told who is here before it is told that it has caught up; the others are not told of it.
    let dora = MemberId(4);
    desk.handle(Input::Join { member: dora, open: Box::new(open_as(4)), rights: Rights::READ });
    let heard = desk.heard(dora);
    assert_eq!(kinds(&heard), [MessageKind::OpenAck, MessageKind::Presence]);
    desk.handle(Input::Drained { member: dora, bytes: usize::MAX });
    assert_eq!(kinds(&desk.heard(dora)), [MessageKind::CaughtUp]);
    assert_eq!((desk.told(ANN), desk.told(BEN)), (vec![], vec![]));

    // Also who may not write shows itself.
    desk.shows(dora, 1, "dora");
    desk.later(1);
    assert_eq!(desk.told(ANN).len(), 1);
}

#[test]
fn pres_3_changes_are_collected_and_only_the_newest_of_each_is_told() {
    let mut desk = room_of_three();
    desk.shows(ANN, 1, "a");
    desk.told(CARL);
    for clock in 2..100 {
        desk.shows(ANN, clock, "a");
        desk.shows(BEN, clock, "b");
    }
    assert_eq!(desk.told(CARL), [], "not more often than this");
    assert_eq!(desk.room.deadline(), Some(NOW.plus_ms(RoomConfig::default().presence_interval_ms)));
    // It has not taken the first message yet.
    desk.later(1);
    desk.shows(ANN, 100, "A");
    desk.later(2);
    assert_eq!(desk.told(CARL), []);
    desk.handle(Input::Drained { member: CARL, bytes: usize::MAX });
    assert_eq!(desk.told(CARL), [news(&[state(1, 100, "A"), state(2, 99, "b")])]);
    assert_eq!(desk.room.deadline(), None);
    assert_eq!(desk.bulk, 4, "two to Carl, one to Ben who has not taken it, one to Ann");
}

#[test]
fn pres_3_rows_come_first() {
    let mut desk = room_of_three();
    let delta = write(&mut writer(1), "a");
    desk.push(ANN, &[&delta]);
    desk.commit();
    desk.shows(ANN, 1, "ann");
    desk.later(1);
    assert_eq!(kinds(&desk.heard(BEN)), [MessageKind::Rows]);
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    assert_eq!(kinds(&desk.heard(BEN)), [MessageKind::Presence]);
}

#[test]
fn pres_1_old_values_and_old_connections_bring_nothing_back() {
    let mut desk = room_of_three();
    desk.shows(ANN, 5, "new");
    desk.shows(ANN, 4, "old");
    desk.shows(ANN, 5, "same");
    desk.later(1);
    assert_eq!(desk.told(BEN), [news(&[state(1, 5, "new")])]);
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });

    // A newer connection of the same opening: nobody is told that it went and came back.
    let again = MemberId(11);
    desk.join(again, Open { connection: 2, ..open_as(1) });
    desk.shows(ANN, 9, "from the old connection");
    desk.handle(Input::Leave { member: ANN });
    desk.later(2);
    assert_eq!(desk.told(BEN), []);
    desk.shows(again, 6, "newer");
    desk.later(3);
    assert_eq!(desk.told(BEN), [news(&[state(1, 6, "newer")])]);
}

#[test]
fn who_leaves_is_gone_at_once_and_so_is_who_shows_nothing_any_more() {
    let mut desk = room_of_three();
    desk.shows(ANN, 1, "ann");
    desk.shows(BEN, 1, "ben");
    desk.later(1);
    desk.handle(Input::Drained { member: CARL, bytes: usize::MAX });
    desk.later(2);
    assert_eq!(desk.told(CARL).len(), 2);
    desk.handle(Input::Drained { member: CARL, bytes: usize::MAX });
    let now = desk.later(4);
    desk.room.handle(now, Input::Leave { member: ANN });
    desk.drain();
    assert_eq!(desk.told(CARL), [news(&[state(1, 1, "")])]);
    desk.handle(Input::Drained { member: CARL, bytes: usize::MAX });
    desk.shows(BEN, 2, "");
    desk.later(9);
    assert_eq!(desk.told(CARL), [news(&[state(2, 2, "")])]);
    let dora = MemberId(4);
    desk.handle(Input::Join { member: dora, open: Box::new(open_as(4)), rights: Rights::ALL });
    assert_eq!(
        kinds(&desk.heard(dora)),
        [MessageKind::OpenAck, MessageKind::CaughtUp],
        "nobody is there to be told of"
    );
}

#[test]
fn bytes_1_what_no_client_says_closes_its_channel() {
    let many = Presence { whole: false, states: vec![state(1, 1, "a"), state(2, 1, "b")] };
    for presence in [many, Presence::default(), Presence { whole: true, states: vec![state(1, 1, "a")] }] {
        let mut desk = room_of_three();
        desk.say(ANN, Message::Presence(presence));
        assert_eq!(desk.closed, [(ANN, CloseReason::Protocol)]);
    }
}

#[test]
fn no_more_than_so_many_are_shown_and_who_missed_too_much_is_told_anew() {
    let mut desk = Desk::new(RoomConfig { max_present: 2, ..RoomConfig::default() });
    for member in 1..=4 {
        desk.join(MemberId(member), open_as(member));
        desk.shows(MemberId(member), 1, "x");
    }
    desk.later(1);
    let dora = MemberId(9);
    desk.handle(Input::Join { member: dora, open: Box::new(open_as(9)), rights: Rights::ALL });
    assert_eq!(desk.told(dora)[0].states.len(), 2);

    // Dora takes nothing any more, while many come and go.
    for number in 100..100 + 2 * 1_024 {
        desk.handle(Input::Leave { member: MemberId(1) });
        desk.join(MemberId(number), open_as(number));
        desk.shows(MemberId(number), 1, "x");
        desk.handle(Input::Leave { member: MemberId(number) });
    }
    desk.later(3);
    desk.handle(Input::Drained { member: dora, bytes: usize::MAX });
    let told = desk.told(dora);
    assert_eq!(told, [Presence { whole: true, states: vec![state(2, 1, "x")] }]);
}
