//! Void branches between the moment that they are known and the moment that they are renamed.

use super::*;
use crate::sync::fork::fact_of;

fn shows(desk: &Desk, keys: &[&str]) -> bool {
    keys.iter().all(|key| desk.replica.document().map("m").get(key).is_some())
}

/// A relay's document, as the answer to an Open; what the replica does not have follows as a diff.
fn answer(desk: &mut Desk, relay: &Document, voids: Vec<VoidFact>, resume: Resume) {
    desk.say(Message::OpenAck(OpenAck {
        epoch: 7,
        head: 4,
        version_hash: relay.version_hash(),
        beacon: relay.beacon(),
        version: Some(relay.version()),
        horizon: VersionVector::new(),
        facts: Vec::new(),
        voids,
        resume,
        roster: None,
    }))
    .unwrap();
}

#[test]
fn fork_4_an_opening_renames_a_branch_as_a_whole_however_many_facts_name_it() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let deltas = ["a", "b", "c", "d"].map(|key| desk.write(key));
    desk.flush();
    for named in [[0, 1, 3], [3, 1, 0], [1, 0, 1]] {
        let mut store = desk.store.clone();
        store.extend(named.map(|at| Record::Row(Row::Void(fact_of(&deltas[at])))));
        let mut copy = Desk::open(Some(0), 2, store);
        assert!(shows(&copy, &["a", "b", "c", "d"]), "facts of {named:?}");
        let renamed = fact_of(&deltas[0]).renamed();
        assert_eq!(copy.replica.document().version().iter().map(|(id, _)| id).collect::<Vec<_>>(), [renamed]);
        assert_eq!(copy.replica.status().unsaved, 4, "facts of {named:?}");
        assert_eq!(copy.connect().voids.len(), named.len() - usize::from(named[0] == named[2]), "each once");
    }
}

#[test]
fn fork_4_an_opening_renames_what_was_written_upon_a_branch_under_another_id_with_it() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("a");
    desk.write("b");
    desk.replica.retire();
    let upon = desk.write("c");
    desk.flush();
    let mut store = desk.store.clone();
    store.push(Record::Row(Row::Void(fact_of(&first))));
    let mut copy = Desk::open(Some(0), 2, store);
    assert!(shows(&copy, &["a", "b", "c"]));
    let ids: Vec<_> = copy.replica.document().version().iter().map(|(id, _)| id).collect();
    let mut renamed = [fact_of(&first).renamed(), fact_of(&upon).renamed()];
    renamed.sort_unstable();
    assert_eq!((ids, copy.replica.status().unsaved), (renamed.to_vec(), 3));
    // ID-3: acks of what the log has under the old id would be taken for acks of the branch.
    assert_eq!((copy.replica.writer(), copy.connect().voids.len()), (None, 2));
}

#[test]
fn fork_4_an_opening_joins_what_waits_or_what_the_log_has_of_the_same_id_and_no_mixture() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let base = desk.write("base");
    desk.flush();
    let mut log = Document::with_writer(base.replica());
    log.apply(&base).unwrap();
    let mut theirs = |key: &str| {
        let written: Result<crate::Commit<()>, EditError> = log.transact(NOW, |tx| tx.map("m")?.put(key, 1));
        written.unwrap().delta.unwrap()
    };
    theirs("log 1");
    theirs("log 2");
    let ours = desk.write("ours");
    desk.flush();
    // Another tab of the store was sent the log's branch, which tells the tag at its end only.
    let diff = log.diff_since(&version_of(&ours));
    let mut store = desk.store.clone();
    store.push(Record::Row(Row::Diff { bytes: codec::encode_diff(&diff).into() }));
    let copy = Desk::open(Some(0), 2, store);
    assert!(shows(&copy, &["base", "ours"]) && !shows(&copy, &["log 2"]));
}

#[test]
fn fork_4_a_branch_that_is_known_but_not_renamed_is_shown_by_the_next_opening() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let first = desk.write("saved");
    desk.flush();
    desk.connect_to(version_of(&first), vec![fact(first.replica(), first.dot().seq, first.tag())]);
    let branch = desk.write("branch");
    desk.flush();
    assert_eq!(desk.replica.status().unsaved, 1);
    let snapshot = desk.replica.compact().unwrap();
    // What was acked is not in the outbox any more.
    let acked = Outbox::record(&first, &[]);
    desk.store.retain(|record| !desk.replica.covers(record) && *record != acked);
    desk.store.push(snapshot);
    desk.replica.disconnected(NOW);
    desk.heard();
    desk.connect();
    let mut relay = Document::new();
    relay.apply(&first).unwrap();
    answer(&mut desk, &relay, vec![fact_of(&branch)], Resume::Same);
    assert!(desk.hung_up.is_some(), "the document is to be built anew");
    desk.flush();
    // That never comes about: the relay is out of reach.
    assert!(shows(&desk.reopen(2), &["saved", "branch"]));
}

#[test]
fn fork_4_nothing_is_told_of_what_was_built_anew_before_it_is_durable() {
    // The relay was put back to nothing, and a copy of this store has written there.
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let ours = desk.write("ours");
    desk.flush();
    desk.connect_to(version_of(&ours), vec![fact(ours.replica(), ours.dot().seq, ours.tag())]);
    assert_eq!(desk.replica.status().unsaved, 0);
    let mut relay = Document::with_writer(ours.replica());
    let theirs: Result<crate::Commit<()>, EditError> = relay.transact(NOW, |tx| tx.map("m")?.put("theirs", 1));
    assert_eq!(theirs.unwrap().delta.unwrap().dot(), ours.dot());
    desk.replica.disconnected(NOW);
    desk.connect();
    answer(&mut desk, &relay, Vec::new(), Resume::Diff);
    desk.flush();
    desk.replica.disconnected(NOW);
    desk.heard();
    let open = desk.connect();
    assert_eq!(open.version, Some(VersionVector::new()), "everything is asked for");
    answer(&mut desk, &relay, Vec::new(), Resume::Diff);
    let bytes = codec::encode_diff(&relay.diff_since(&VersionVector::new())).into();
    desk.say(Message::Diff(DiffMessage { position: 4, bytes })).unwrap();
    assert!(shows(&desk, &["ours", "theirs"]));
    assert!(!desk.pending.is_empty(), "it is being written");
    desk.replica.disconnected(NOW);
    desk.heard();
    desk.relay = Session::new(SessionConfig::default(), NOW);
    desk.replica.connected(NOW);
    desk.drain();
    assert_eq!(desk.heard(), [], "not even Open");
    desk.flush();
    assert!(matches!(desk.heard()[..], [Message::Open(_)]));
}

#[test]
fn diff_6_what_has_come_of_another_diff_is_no_part_of_one_that_tells_everything() {
    let mut desk = Desk::open(Some(0), 1, Vec::new());
    let branch = desk.write("branch");
    desk.flush();
    desk.connect();
    let relay = version_of(&branch);
    desk.say(Message::OpenAck(OpenAck {
        epoch: 7,
        head: 9,
        version_hash: [3; 16],
        beacon: [0; 16],
        version: Some(VersionVector::new()),
        horizon: relay,
        facts: Vec::new(),
        voids: Vec::new(),
        resume: Resume::Diff,
        roster: None,
    }))
    .unwrap();
    let bytes = [0; 100].as_slice().into();
    desk.say(Message::Part(Part { position: 9, id: [1; 16], total: 1_000, offset: 0, bytes })).unwrap();
    assert!(desk.replica.staging.told().is_some());
    let (dot, reason) = (branch.dot(), NackReason::Fork);
    desk.say(Message::Nack(Nack { replica: dot.replica, seq: dot.seq, reason, retry: Retry::BACKOFF, version: None }))
        .unwrap();
    assert!(desk.hung_up.is_some());
    desk.replica.disconnected(NOW);
    desk.flush();
    desk.heard();
    let open = desk.connect();
    assert_eq!((open.version, open.staged), (Some(VersionVector::new()), None));
}
