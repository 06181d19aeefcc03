//! Rows of the relay's log as they come: contiguous, in their chains, adding up.

use super::*;

#[test]
fn cur_2_and_cur_3_rows_must_be_contiguous_and_add_up() {
    let mut relay = Document::with_writer(ReplicaId::from(9));
    let mut deltas = Vec::new();
    for key in ["a", "b"] {
        let commit = relay.transact(NOW, |tx| {
            tx.map("m")?.put(key, 1)?;
            Ok::<_, EditError>(())
        });
        deltas.push(commit.unwrap().delta.unwrap());
    }
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect_to(VersionVector::new(), Vec::new());
    desk.say(Message::Rows(Rows { from: 4, to: 4, rows: vec![Row::of(&deltas[0])] })).unwrap();
    desk.flush();
    assert!(
        desk.store.ends_with(&[Record::Row(Row::of(&deltas[0])), Record::Cursor(Cursor { epoch: 7, position: 4 })])
    );

    // The relay says that it has more than came: the cursor is dropped and a diff asked for.
    let reached = CaughtUp { position: 4, version_hash: relay.version_hash() };
    desk.say(Message::CaughtUp(reached)).unwrap();
    desk.flush();
    assert_eq!(desk.heard(), [Message::Want(Want::since(version_of(&deltas[0])))]);
    assert_eq!(
        (desk.store.last(), desk.replica.status().link),
        (Some(&Record::Cursor(Cursor::NONE)), Link::CatchingUp)
    );
    let bytes = codec::encode_diff(&relay.diff_since(&version_of(&deltas[0]))).into();
    desk.say(Message::Diff(crate::sync::DiffMessage { position: 5, bytes })).unwrap();
    desk.say(Message::CaughtUp(CaughtUp { position: 5, ..reached })).unwrap();
    assert_eq!(desk.replica.status().link, Link::Live);

    let gap = Message::Rows(Rows { from: 7, to: 7, rows: Vec::new() });
    assert!(matches!(desk.say(gap), Err(ProtocolError::Unexpected { .. })));
    assert!(matches!(desk.heard()[..], [Message::Goodbye(_)]));
}

#[test]
fn fork_2_a_tag_that_was_left_out_is_not_guessed() {
    let mut other = Document::with_writer(ReplicaId::from(9));
    let mut put = |value: i64| other.transact::<_, EditError>(NOW, |tx| tx.map("m")?.put("k", value));
    let deltas: Vec<Delta> = (0..3).filter_map(|value| put(value).unwrap().delta).collect();
    let roster = Roster::new(NOW, &VersionVector::new());
    let follows = |position: u64, delta: &Delta| {
        let rows = vec![pack(&Row::of(delta), &roster, true).into()];
        Message::Packed(PackedRows { from: position, to: position, new_ids: Vec::new(), rows })
    };
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect_with(VersionVector::new(), Vec::new(), Some(&roster));
    desk.say(follows(4, &deltas[0])).unwrap();
    desk.say(follows(5, &deltas[1])).unwrap();
    assert_eq!(desk.replica.document().version(), version_of(&deltas[1]));

    let mut desk = Desk::open(Some(0), 1, Vec::new());
    desk.connect_with(VersionVector::new(), Vec::new(), Some(&roster));
    desk.say(follows(4, &deltas[0])).unwrap();
    assert!(desk.say(follows(5, &deltas[2])).is_err(), "what it follows was not told");
}

#[test]
fn fork_2_what_follows_a_row_that_was_not_taken_says_the_tag_before_it() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.flush();
    let known = version_of(&first);
    let roster = Roster::new(NOW, &known);
    desk.connect_with(known.clone(), vec![fact(first.replica(), 1, first.tag())], Some(&roster));
    let mut said = Said::new();
    let mut last_pushed = |desk: &mut Desk, key: &str| {
        let delta = desk.write(key);
        desk.flush();
        let heard = desk.heard();
        let [Message::Packed(rows)] = &heard[..] else { panic!("packed rows: {heard:?}") };
        (delta, said.unpack(rows.rows.last().unwrap(), &roster).unwrap())
    };
    let (second, sent) = last_pushed(&mut desk, "b");
    assert_eq!(sent, Unpacked::Row(Row::of(&second)), "nothing was sent before it");
    let (third, sent) = last_pushed(&mut desk, "c");
    assert!(matches!(sent, Unpacked::Next { .. }), "it follows what was sent");

    // The relay lost what came before, and is given everything as one diff.
    let (replica, seq) = (third.replica(), second.dot().seq);
    desk.say(Message::Nack(Nack {
        replica,
        seq,
        reason: NackReason::Gap,
        retry: Retry::BACKOFF,
        version: Some(known.clone()),
    }))
    .unwrap();
    let heard = desk.heard();
    desk.asked_for_it(&heard, known);
    desk.say(Message::Durable(Durable { version: version_of(&third), level: Level::Stored, position: 4 })).unwrap();
    let (fourth, sent) = last_pushed(&mut desk, "d");
    assert_eq!(sent, Unpacked::Row(Row::of(&fourth)));
}

#[test]
fn fork_2_an_ack_tells_the_chain_that_a_row_pushed_by_another_tab_follows() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let mut roster = Roster::new(NOW, &VersionVector::new());
    desk.connect_with(VersionVector::new(), Vec::new(), Some(&roster));
    let first = desk.write("a");
    desk.flush();
    let (replica, through) = (first.replica(), first.dot().seq);
    // Of the same store, and not durable here yet.
    let second = desk.write("b");
    desk.say(Message::Ack(Ack { replica, through, level: Level::Stored, position: 4 })).unwrap();
    roster.add(replica);
    let rows = vec![pack(&Row::of(&second), &roster, true).into()];
    let packed = PackedRows { from: 5, to: 5, new_ids: vec![replica], rows };
    assert_eq!(desk.say(Message::Packed(packed)), Ok(()));
}
