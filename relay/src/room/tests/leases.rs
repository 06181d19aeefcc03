//! Leases, as the room gives them.

use weftline::VersionEntry;
use weftline::sync::{Claim, Fact, Lease, Settle, limits};

use super::*;

fn claim(document: &Document, lease_no: u64, incs: &[u64]) -> Claim {
    let replica = document.version().iter().next().expect("it has written").0;
    let VersionEntry { seq, tag } = document.chain(replica);
    Claim { replica, seq, tag, lease_no, incs: incs.to_vec() }
}

fn claiming(opening: u64, claim: Claim) -> Open {
    Open { claims: vec![claim], ..open_as(opening) }
}

impl Desk {
    /// Joins, has what that appends committed, and gives the one fact.
    fn fact(&mut self, member: MemberId, open: Open) -> Fact {
        self.handle(Input::Join { member, open: Box::new(open), rights: Rights::ALL });
        self.commit();
        let heard = self.heard(member);
        let Some(Message::OpenAck(ack)) = heard.first() else { panic!("expected OpenAck, got {heard:?}") };
        ack.facts[0]
    }
}

#[test]
fn lease_2_nobody_is_told_of_a_lease_before_it_is_stored() {
    let mut desk = Desk::new(RoomConfig::default());
    let mut document = writer(1);
    write(&mut document, "a");
    let open = claiming(7, claim(&document, 0, &[]));
    desk.handle(Input::Join { member: ANN, open: Box::new(open.clone()), rights: Rights::ALL });
    assert!(desk.heard(ANN).is_empty());
    desk.commit();
    let heard = desk.heard(ANN);
    let Some(Message::OpenAck(ack)) = heard.first() else { panic!("{heard:?}") };
    assert_eq!(ack.facts[0].lease, Some(Lease { number: 1, inc: 7 }));
    // Another connection of the same opening has it already: nothing is stored, and nothing waited for.
    let ack = desk.join(BEN, Open { connection: 2, ..open });
    assert_eq!((ack.facts[0].lease, ack.head), (Some(Lease { number: 1, inc: 7 }), 1));
    // Whoever reads is given nothing.
    let carl = MemberId(3);
    let open = claiming(8, claim(&document, 1, &[7]));
    desk.handle(Input::Join { member: carl, open: Box::new(open), rights: Rights::READ });
    let heard = desk.heard(carl);
    assert!(
        matches!(heard.first(), Some(Message::OpenAck(ack)) if ack.facts[0].lease == Some(Lease { number: 1, inc: 7 }))
    );
}

#[test]
fn lease_1_the_first_who_could_not_know_of_the_other_has_it() {
    let mut desk = Desk::new(RoomConfig::default());
    let mut document = writer(1);
    write(&mut document, "a");
    let lease = |number, inc| Some(Lease { number, inc });
    assert_eq!(desk.fact(ANN, claiming(7, claim(&document, 0, &[]))).lease, lease(1, 7));
    // Two openings of copies of that store, neither of which knows of the other.
    assert_eq!(desk.fact(BEN, claiming(8, claim(&document, 1, &[7]))).lease, lease(2, 8));
    assert_eq!(desk.closed, [(ANN, CloseReason::Superseded)], "LEASE-3");
    let carl = MemberId(3);
    assert_eq!(desk.fact(carl, claiming(9, claim(&document, 1, &[7]))).lease, lease(2, 8));
    assert_eq!(desk.closed.len(), 1, "whoever is refused disturbs nobody");
    // One that knows of a later lease than the relay: the relay was put back to an older state.
    assert_eq!(desk.fact(MemberId(4), claiming(10, claim(&document, 5, &[6]))).lease, lease(6, 10));
    // Whose chain ends before the log's is given nothing either.
    let short = claim(&document, 6, &[10]);
    desk.push(
        MemberId(4),
        &[&{
            let mut first = writer(1);
            write(&mut first, "a")
        }],
    );
    let second = write(&mut document, "b");
    desk.push(MemberId(4), &[&second]);
    desk.commit();
    let fact = desk.fact(MemberId(5), claiming(11, short));
    assert_eq!((fact.seq, fact.same_upto, fact.lease), (second.dot().seq, 1, lease(6, 10)));
}

#[test]
fn lease_2_leases_outlive_the_room_as_rows_and_in_its_snapshot() {
    for compact_from in [200, 1 << 20] {
        let config = RoomConfig { compact_from, ..RoomConfig::default() };
        let mut desk = Desk::new(config);
        let mut document = writer(1);
        let first = write(&mut document, "a");
        desk.fact(ANN, claiming(7, claim(&document, 0, &[])));
        desk.push(ANN, &[&first]);
        for _ in 0..20 {
            desk.push(ANN, &[&write(&mut document, "a")]);
            desk.commit();
        }
        assert_eq!(desk.snapshot.is_some(), compact_from == 200);
        let head = desk.room.committed();
        let (snapshot, rows) = (desk.snapshot.clone(), desk.rows.clone());
        desk.room = Room::recover(config, Recovered { snapshot, rows, head, ..empty() }, NOW).unwrap();
        let fact = desk.fact(BEN, claiming(8, claim(&document, 1, &[])));
        assert_eq!(fact.lease, Some(Lease { number: 1, inc: 7 }));
    }
}

#[test]
fn lease_2_the_row_of_a_lease_is_sent_to_nobody() {
    let mut desk = Desk::new(RoomConfig { recent_bytes: 1, ..RoomConfig::default() });
    desk.join(BEN, open_as(2));
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    desk.heard(BEN);
    let mut document = writer(1);
    let first = write(&mut document, "a");
    desk.fact(ANN, claiming(7, claim(&document, 0, &[])));
    assert_eq!(desk.heard(BEN), [], "not even that the log is longer");
    desk.push(ANN, &[&first]);
    desk.commit();
    let [Message::Rows(rows)] = &desk.heard(BEN)[..] else { panic!("the delta") };
    assert_eq!((rows.from, rows.to, &rows.rows[..]), (1, 2, &[Row::of(&first)][..]));
    // Nor is it where the log is read for somebody.
    let (carl, cursor) = (MemberId(3), Some(Cursor { epoch: 77, position: 0 }));
    let open = Box::new(Open { cursor, ..open_as(3) });
    desk.handle(Input::Join { member: carl, open, rights: Rights::ALL });
    let heard = desk.heard(carl);
    assert!(
        heard.iter().any(|said| matches!(said, Message::Rows(rows) if rows.rows == [Row::of(&first)])),
        "{heard:?}"
    );
}

#[test]
fn bytes_1_there_is_an_end_to_what_can_be_claimed() {
    let mut document = writer(1);
    write(&mut document, "a");
    let claim = claim(&document, 0, &[]);
    let mark = VersionEntry { seq: claim.seq, tag: claim.tag };
    let settle = |marks| Settle { replica: claim.replica, is_whole: true, marks: vec![mark; marks] };
    let fact = VoidFact { replica: claim.replica, first_seq: 1, tag: claim.tag };
    let incs = vec![5; limits::MAX_UNCONFIRMED + 2];
    let too_much = [
        Open { claims: vec![claim.clone(); limits::MAX_CLAIMS + 1], ..open_as(1) },
        Open { settles: vec![settle(1); limits::MAX_CLAIMS + 1], ..open_as(1) },
        Open { settles: vec![settle(limits::MAX_MARKS + 1)], ..open_as(1) },
        Open { claims: vec![Claim { incs, ..claim.clone() }], ..open_as(1) },
        Open { voids: vec![fact; limits::MAX_VOIDS + 1], ..open_as(1) },
    ];
    for open in too_much {
        let mut desk = Desk::new(RoomConfig::default());
        desk.handle(Input::Join { member: ANN, open: Box::new(open), rights: Rights::ALL });
        assert_eq!(desk.closed, [(ANN, CloseReason::Limit)]);
        assert!(desk.appending.is_empty());
    }
    // Nor are leases of ids that nobody has heard of given without end.
    let mut desk = Desk::new(RoomConfig { max_new_replicas: 3, ..RoomConfig::default() });
    let made_up = |id: u128| Claim { replica: ReplicaId::from(id), ..claim.clone() };
    let claims = (0..100).map(made_up).collect();
    desk.handle(Input::Join { member: ANN, open: Box::new(Open { claims, ..open_as(1) }), rights: Rights::ALL });
    assert_eq!(desk.appending.len(), 3);
}
