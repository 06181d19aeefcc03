//! Two deltas at one dot, as the room finds them.

use weftline::VersionEntry;
use weftline::sync::Settle;

use super::*;

/// Three deltas of the log, and three of a branch that begins behind the first of them.
fn branches() -> ([Delta; 3], [Delta; 3]) {
    let mut document = writer(9);
    let first = write(&mut document, "a");
    let mut copy = document.clone();
    let log = [first.clone(), write(&mut document, "b"), write(&mut document, "c")];
    (log, [write(&mut copy, "d"), write(&mut copy, "e"), write(&mut copy, "f")])
}

fn begins(delta: &Delta) -> VoidFact {
    VoidFact { replica: delta.replica(), first_seq: delta.first_seq(), tag: delta.tag() }
}

fn with_log() -> (Desk, [Delta; 3]) {
    let mut desk = Desk::new(RoomConfig::default());
    let (log, branch) = branches();
    desk.join(ANN, open_as(1));
    desk.push(ANN, &log.each_ref());
    desk.commit();
    desk.heard(ANN);
    (desk, branch)
}

fn void_rows(heard: &[Message]) -> Vec<VoidFact> {
    let rows = heard.iter().filter_map(|said| if let Message::Rows(rows) = said { Some(&rows.rows) } else { None });
    rows.flatten().filter_map(|row| if let Row::Void(fact) = row { Some(*fact) } else { None }).collect()
}

#[test]
fn fork_2_everybody_is_told_which_branch_does_not_count_once_that_is_stored() {
    let (mut desk, branch) = with_log();
    desk.join(BEN, open_as(2));
    desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
    desk.heard(BEN);
    desk.push(BEN, &[&branch[0]]);
    assert!(desk.heard(BEN).is_empty() && desk.heard(ANN).is_empty());
    desk.commit();
    let heard = desk.heard(BEN);
    assert_eq!(nacked(&heard), [NackReason::Fork]);
    assert_eq!((void_rows(&heard), void_rows(&desk.heard(ANN))), (vec![begins(&branch[0])], vec![begins(&branch[0])]));
    let ack = desk.join(MemberId(3), open_as(3));
    assert_eq!(ack.voids, [begins(&branch[0])], "and whoever comes later");
    let ack = desk.join(MemberId(4), Open { voids: vec![begins(&branch[0])], ..open_as(4) });
    assert_eq!(ack.voids, [], "unless it knows");
}

#[test]
fn fork_2_a_branch_begins_with_its_first_delta_whoever_brings_the_rest() {
    let (mut desk, branch) = with_log();
    for delta in &branch {
        desk.push(ANN, &[delta]);
        desk.commit();
    }
    assert_eq!(nacked(&desk.heard(ANN)), [NackReason::Fork; 3]);
    assert_eq!(desk.room.voids().collect::<Vec<_>>(), [begins(&branch[0])]);
    // Whoever has only the rest says nothing new: it follows what is not the log's.
    let (mut desk, branch) = with_log();
    desk.push(ANN, &[&branch[1]]);
    desk.commit();
    assert_eq!((nacked(&desk.heard(ANN)), desk.room.voids().count()), (vec![NackReason::Fork], 0));
}

#[test]
fn fork_2_what_open_names_tells_before_anything_is_pushed() {
    let (log, branch) = branches();
    let ends = [&log[0], &branch[0], &branch[1], &branch[2]];
    let marks: Vec<VersionEntry> =
        ends.iter().map(|delta| VersionEntry { seq: delta.last_seq(), tag: delta.tag() }).collect();
    // How many boundaries are named, whether all of them are, and whether that tells.
    for (named, is_whole, tells) in [(4, true, true), (2, true, true), (1, true, false), (4, false, false)] {
        let (mut desk, _) = with_log();
        let settles = vec![Settle { replica: ReplicaId::from(9), is_whole, marks: marks[..named].to_vec() }];
        desk.handle(Input::Join { member: BEN, open: Box::new(Open { settles, ..open_as(2) }), rights: Rights::ALL });
        assert_eq!(desk.heard(BEN).is_empty(), tells, "the answer waits for the commit");
        desk.commit();
        let heard = desk.heard(BEN);
        // Where nothing was appended, the answer came before.
        if let Some(Message::OpenAck(ack)) = heard.first() {
            assert_eq!((&ack.voids[..], ack.facts[0].same_upto), (&[begins(&branch[0])][..], 1));
        }
        assert_eq!(desk.room.voids().count(), usize::from(tells));
    }
}

#[test]
fn fork_2_a_delta_in_which_the_log_ends_begins_a_branch() {
    // The log's last delta is shorter than that of the branch.
    let mut document = writer(9);
    let mut copy = document.clone();
    let short = write(&mut document, "a");
    let long = copy.transact(NOW, |tx| {
        tx.map("m")?.put("b", 1)?;
        tx.map("m")?.put("c", 2)?;
        Ok::<_, EditError>(())
    });
    let long = long.unwrap().delta.unwrap();
    assert!(long.last_seq() > short.last_seq());
    let marks = [(0, long.prev_tag()), (long.last_seq(), long.tag())].map(|(seq, tag)| VersionEntry { seq, tag });
    for pushed in [false, true] {
        let mut desk = Desk::new(RoomConfig::default());
        desk.join(ANN, open_as(1));
        desk.push(ANN, &[&short]);
        desk.commit();
        if pushed {
            desk.push(ANN, &[&long]);
        } else {
            let settles = vec![Settle { replica: ReplicaId::from(9), is_whole: true, marks: marks.to_vec() }];
            desk.handle(Input::Join {
                member: BEN,
                open: Box::new(Open { settles, ..open_as(2) }),
                rights: Rights::ALL,
            });
        }
        desk.commit();
        assert_eq!(desk.room.voids().collect::<Vec<_>>(), [begins(&long)]);
    }
}

#[test]
fn fork_2_a_void_branch_is_not_taken_where_it_fits() {
    // A relay that was put back to before the fork, and a client that knows of it.
    let (log, branch) = branches();
    let mut desk = Desk::new(RoomConfig::default());
    desk.join(ANN, open_as(1));
    desk.push(ANN, &[&log[0]]);
    desk.commit();
    let open = Open { voids: vec![begins(&branch[0])], ..open_as(2) };
    desk.handle(Input::Join { member: BEN, open: Box::new(open), rights: Rights::ALL });
    desk.commit();
    desk.heard(ANN);
    desk.push(ANN, &[&branch[0]]);
    desk.push(ANN, &[&log[1]]);
    desk.commit();
    let heard = desk.heard(ANN);
    assert_eq!(nacked(&heard), [NackReason::Fork]);
    assert_eq!(desk.room.committed_version().seq(ReplicaId::from(9)), log[1].last_seq());
    // What the log has is not made void by anybody's word.
    let open = Open { voids: vec![begins(&log[1])], ..open_as(3) };
    desk.handle(Input::Join { member: MemberId(3), open: Box::new(open), rights: Rights::ALL });
    desk.commit();
    assert_eq!(desk.room.voids().collect::<Vec<_>>(), [begins(&branch[0])]);
}

#[test]
fn fork_2_void_facts_outlive_the_room_as_rows_and_in_its_snapshot() {
    for compact_from in [300, 1 << 20] {
        let config = RoomConfig { compact_from, ..RoomConfig::default() };
        let mut desk = Desk::new(config);
        let (log, branch) = branches();
        desk.join(ANN, open_as(1));
        desk.push(ANN, &log.each_ref());
        desk.push(ANN, &[&branch[0]]);
        let mut other = writer(3);
        for _ in 0..20 {
            desk.push(ANN, &[&write(&mut other, "a")]);
            desk.commit();
        }
        assert_eq!(desk.snapshot.is_some(), compact_from == 300);
        let head = desk.room.committed();
        let (snapshot, rows) = (desk.snapshot.clone(), desk.rows.clone());
        let room = Room::recover(config, Recovered { snapshot, rows, head, ..empty() }, NOW).unwrap();
        assert_eq!(room.voids().collect::<Vec<_>>(), [begins(&branch[0])]);
    }
}

#[test]
fn fork_2_what_another_tab_pushed_is_no_fork_when_the_log_was_compacted_since() {
    let mut desk = Desk::new(RoomConfig { compact_from: 300, ..RoomConfig::default() });
    let mut document = writer(9);
    let mine: Vec<Delta> = (0..20).map(|_| write(&mut document, "a")).collect();
    let last = &mine[19];
    let claim = Claim { replica: last.replica(), seq: last.last_seq(), tag: last.tag(), lease_no: 0, incs: Vec::new() };
    let claims = vec![claim];
    desk.join(ANN, open_as(1));
    desk.handle(Input::Join { member: BEN, open: Box::new(Open { claims, ..open_as(2) }), rights: Rights::ALL });
    desk.commit();
    desk.heard(BEN);
    // Both tabs of a store have what one of them wrote. All but its last delta is dead by the time the second pushes it.
    for tab in [ANN, BEN] {
        for delta in &mine {
            desk.push(tab, &[delta]);
            desk.commit();
        }
        assert_eq!(nacked(&desk.heard(tab)), []);
    }
    assert!(desk.snapshot.is_some());
    assert_eq!(desk.room.voids().count(), 0);
}

#[test]
fn fork_2_a_diff_hides_no_void_fact() {
    for packed in [false, true] {
        let (mut desk, branch) = with_log();
        // Nothing of this one's place in the log is known, so it is not sent rows before it has asked.
        let unknown = Open { version_hash: [7; 16], version: None, packed, ..open_as(2) };
        assert_eq!(desk.join(BEN, unknown).resume, Resume::Ask);
        desk.push(ANN, &[&branch[0]]);
        desk.commit();
        assert_eq!(desk.heard(BEN), []);
        desk.say(BEN, Message::Want(Want::since(VersionVector::new())));
        desk.handle(Input::Drained { member: BEN, bytes: usize::MAX });
        match &desk.heard(BEN)[..] {
            [Message::Diff(diff), Message::Rows(rows), ..] if !packed => {
                assert_eq!((diff.position, rows.from, rows.to), (4, 5, 4));
                assert_eq!(rows.rows, [Row::Void(begins(&branch[0]))]);
            }
            [Message::Diff(diff), Message::Packed(rows), ..] if packed => {
                assert_eq!((diff.position, rows.from, rows.to), (4, 5, 4));
                let row = unpack(&rows.rows[0], desk.room.roster());
                assert_eq!(row, Ok(Unpacked::Row(Row::Void(begins(&branch[0])))));
            }
            other => panic!("{other:?}"),
        }
    }
}
