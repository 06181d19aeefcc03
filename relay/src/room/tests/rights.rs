//! What members may do, and that it may change.

use std::sync::Arc;

use weftline::sync::{PeerId, PeerState, Presence, Retry};

use super::*;

fn subject(name: &str, new_replicas: usize) -> Rights {
    Rights { subject: Some(name.into()), new_replicas: Some(new_replicas), ..Rights::ALL }
}

fn enter(desk: &mut Desk, member: MemberId, opening: u64, rights: Rights) {
    desk.handle(Input::Join { member, open: Box::new(open_as(opening)), rights });
    desk.commit();
    desk.heard(member);
}

#[test]
fn auth_4_rights_change_while_a_member_is_here_and_what_was_taken_stays() {
    let mut desk = Desk::new(RoomConfig::default());
    enter(&mut desk, ANN, 1, Rights::READ);
    let mut document = writer(1);
    let first = write(&mut document, "a");
    desk.push(ANN, &[&first]);
    let Some(Message::Nack(nack)) = desk.heard(ANN).pop() else { panic!("a refusal") };
    assert_eq!((nack.seq, nack.reason, nack.retry), (1, NackReason::ReadOnly, Retry::NEVER));

    desk.handle(Input::Rights { member: ANN, rights: Rights::ALL });
    desk.push(ANN, &[&first]);
    desk.commit();
    assert_eq!(kinds(&desk.heard(ANN)), [MessageKind::Ack]);

    desk.handle(Input::Rights { member: ANN, rights: Rights::READ });
    let second = write(&mut document, "b");
    desk.push(ANN, &[&second]);
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::ReadOnly]);
    assert_eq!(desk.room.document().seq(ReplicaId::from(1)), 1);
    desk.handle(Input::Rights { member: BEN, rights: Rights::ALL });
    assert!(desk.closed.is_empty(), "whoever is not here has no rights");
}

#[test]
fn a_subject_brings_as_many_ids_as_it_may_over_all_its_connections() {
    let mut desk = Desk::new(RoomConfig::default());
    let carl = MemberId(3);
    enter(&mut desk, ANN, 1, subject("ann", 2));
    enter(&mut desk, BEN, 2, subject("ann", 2));
    enter(&mut desk, carl, 3, subject("carl", 1));
    let mut documents: Vec<Document> = (1..=5).map(writer).collect();
    let mut deltas = Vec::new();
    for (index, member, expected) in [
        (0, ANN, vec![]),
        (1, BEN, vec![]),
        (2, ANN, vec![NackReason::TooManyReplicas]),
        (3, carl, vec![]),
        (4, BEN, vec![NackReason::TooManyReplicas]),
    ] {
        let delta = write(&mut documents[index], "k");
        desk.push(member, &[&delta]);
        desk.commit();
        assert_eq!(nacked(&desk.heard(member)), expected, "id {}", index + 1);
        deltas.push(delta);
    }
    // An id that is there already brings nothing.
    let more = write(&mut documents[0], "more");
    desk.push(carl, &[&more]);
    desk.commit();
    assert_eq!(kinds(&desk.heard(carl)).last(), Some(&MessageKind::Ack));

    // Nor is a lease a way around it, nor a diff, nor another connection.
    desk.handle(Input::Leave { member: ANN });
    let claims = vec![Claim {
        replica: ReplicaId::from(9),
        seq: 0,
        tag: Document::new().chain(ReplicaId::from(9)).tag,
        lease_no: 0,
        incs: Vec::new(),
    }];
    desk.handle(Input::Join { member: ANN, open: Box::new(Open { claims, ..open_as(7) }), rights: subject("ann", 2) });
    desk.commit();
    let heard = desk.heard(ANN);
    let Some(Message::OpenAck(ack)) = heard.first() else { panic!("{heard:?}") };
    assert_eq!(ack.facts[0].lease, None);
    let diff = documents[4].diff_since(&VersionVector::new());
    let bytes: Arc<[u8]> = codec::encode_diff(&diff).into();
    desk.say(BEN, Message::Diff(DiffMessage { position: 0, bytes }));
    assert_eq!(nacked(&desk.heard(BEN)), [NackReason::TooManyReplicas]);
}

#[test]
fn deltas_are_taken_of_those_ids_only_that_a_member_is_bound_to() {
    let mut desk = Desk::new(RoomConfig::default());
    let only = Rights { only_replicas: Some([ReplicaId::from(1)].into()), ..Rights::ALL };
    enter(&mut desk, ANN, 1, only);
    enter(&mut desk, BEN, 2, Rights::ALL);
    let (mut ann, mut ben) = (writer(1), writer(2));
    let theirs = write(&mut ben, "b");
    desk.push(BEN, &[&theirs]);
    desk.commit();
    desk.heard(BEN);
    // In the name of another, whom it has seen write.
    let forged = write(&mut ben, "forged");
    desk.push(ANN, &[&forged]);
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::TooManyReplicas]);
    let bytes: Arc<[u8]> = codec::encode_diff(&ben.diff_since(&desk.room.document().version())).into();
    desk.say(ANN, Message::Diff(DiffMessage { position: 0, bytes }));
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::TooManyReplicas]);
    let own = write(&mut ann, "a");
    desk.push(ANN, &[&own]);
    desk.commit();
    assert!(kinds(&desk.heard(ANN)).contains(&MessageKind::Ack));
    // Nor does it get the lease of another's id, which would send that one away.
    let claims = vec![Claim { replica: ReplicaId::from(2), seq: 1, tag: theirs.tag(), lease_no: 0, incs: Vec::new() }];
    let only = Rights { only_replicas: Some([ReplicaId::from(1)].into()), ..Rights::ALL };
    desk.handle(Input::Join { member: MemberId(3), open: Box::new(Open { claims, ..open_as(3) }), rights: only });
    desk.commit();
    let heard = desk.heard(MemberId(3));
    let Some(Message::OpenAck(ack)) = heard.first() else { panic!("{heard:?}") };
    assert_eq!((ack.facts[0].seq, ack.facts[0].lease), (1, None));
    assert!(desk.closed.is_empty());
}

#[test]
fn who_may_not_be_seen_sees_the_others() {
    let mut desk = Desk::new(RoomConfig::default());
    let unseen = Rights { presence: false, ..Rights::READ };
    enter(&mut desk, ANN, 1, Rights::ALL);
    enter(&mut desk, BEN, 2, unseen.clone());
    let shows = |desk: &mut Desk, member, clock| {
        let state = PeerState { peer: PeerId(0), clock, value: Some([1].into()) };
        desk.say(member, Message::Presence(Presence { whole: false, states: vec![state] }));
        desk.room.handle(NOW.plus_ms(clock * 1_000), Input::Tick);
        desk.drain();
        for member in [ANN, BEN] {
            desk.handle(Input::Drained { member, bytes: usize::MAX });
        }
    };
    shows(&mut desk, BEN, 1);
    assert!(!kinds(&desk.heard(ANN)).contains(&MessageKind::Presence));
    shows(&mut desk, ANN, 2);
    assert!(kinds(&desk.heard(BEN)).contains(&MessageKind::Presence));
    // What it showed before goes with the right to.
    desk.handle(Input::Rights { member: ANN, rights: unseen });
    desk.room.handle(NOW.plus_ms(9_000), Input::Tick);
    desk.drain();
    let heard = desk.heard(BEN);
    let gone = |message: &Message| matches!(message, Message::Presence(presence) if presence.states.iter().all(|state| state.value.is_none()));
    assert!(heard.iter().any(gone), "{heard:?}");
}
