//! Stores in which a later write survived the power and an earlier one did not.
//!
//! A batch that is written relaxed may be lost although one behind it was not, whatever a store promises of their order. What
//! an own delta builds upon is in its own batch only as long as it is not written; after that it may be gone all the same. So
//! an opening looks whether what it finds hangs together (DUR-5), and if it does not, loses an id and nothing else.

use super::*;

/// A relay's document, what it has sent, and in which batch each record of a store was.
struct History {
    relay: Document,
    rows: Vec<Row>,
    batches: Vec<Persist>,
    own: Vec<Delta>,
}

impl History {
    /// Rows of the relay, each written relaxed, and own edits, each of which overwrites what came before it.
    fn new(steps: &[char]) -> Self {
        let mut relay = Document::with_writer(ReplicaId::from(9));
        let mut desk = Desk::open(Some(0), 1, Vec::new());
        desk.connect_to(VersionVector::new(), Vec::new());
        let mut history = Self { relay: Document::new(), rows: Vec::new(), batches: Vec::new(), own: Vec::new() };
        for (step, kind) in steps.iter().enumerate() {
            if *kind == 'r' {
                let commit = relay.transact(NOW, |tx| tx.map("m")?.put("k", step as i64).map(drop));
                let commit: Result<crate::Commit<()>, EditError> = commit;
                history.rows.push(Row::of(&commit.unwrap().delta.unwrap()));
                let position = 3 + history.rows.len() as u64;
                let rows = history.rows[history.rows.len() - 1..].to_vec();
                desk.say(Message::Rows(Rows { from: position, to: position, rows })).unwrap();
            } else {
                history.own.push(desk.write("k"));
            }
            history.batches.extend(desk.pending.iter().cloned());
            desk.flush();
        }
        history.relay = relay;
        history
    }

    /// What is left when of the relaxed batches only those are that `kept` has a bit for.
    fn survivors(&self, kept: usize) -> Vec<Record> {
        let mut relaxed = 0;
        let mut records = Vec::new();
        for batch in &self.batches {
            let stays = batch.class == Class::Strict || kept & (1 << relaxed) != 0;
            relaxed += usize::from(batch.class == Class::Relaxed);
            if stays {
                records.extend(batch.records.iter().cloned());
            }
        }
        records
    }

    fn relaxed(&self) -> usize {
        self.batches.iter().filter(|batch| batch.class == Class::Relaxed).count()
    }
}

#[test]
fn dur_5_whichever_relaxed_writes_are_lost_nothing_told_durable_is_and_no_dot_is_made_twice() {
    for steps in ["ror", "rroro", "orror", "rorror"] {
        let history = History::new(&steps.chars().collect::<Vec<_>>());
        let own_id = history.own[0].replica();
        let last = history.own.last().unwrap();
        for kept in 0..1 << history.relaxed() {
            let story = alloc::format!("{steps}, of the relaxed batches {kept:b}");
            let mut desk = Desk::open(Some(0), 2, history.survivors(kept));
            let have = desk.replica.document().version();
            assert_eq!(desk.replica.status().unsaved, history.own.len(), "{story}: the outbox is whole");
            // The id goes on only where everything of it is here.
            let continues = desk.replica.writer() == Some(own_id);
            assert!(!continues || have.covers(last.dot()), "{story}");
            assert!(continues || kept + 1 < 1 << history.relaxed(), "{story}: nothing is lost, and no id");
            let fresh = desk.write("new");
            assert_eq!(fresh.replica() == own_id, continues, "{story}");
            assert!(fresh.replica() != own_id || fresh.first_seq() > last.last_seq(), "{story}: a dot is made twice");
            desk.flush();

            // The relay has its own rows alone; it sends those that are after the cursor, or a diff.
            let mut relay = history.relay.clone();
            let head = 3 + history.rows.len() as u64;
            let open = desk.connect();
            let version = relay.version();
            desk.say(Message::OpenAck(OpenAck {
                epoch: 7,
                head,
                version_hash: version.hash(),
                beacon: [0; 16],
                version: Some(version),
                horizon: VersionVector::new(),
                facts: open.claims.iter().map(|claim| fact(claim.replica, 0, Tag::start(claim.replica))).collect(),
                voids: Vec::new(),
                resume: if open.cursor.is_some() { Resume::Tail } else { Resume::Diff },
                roster: None,
            }))
            .unwrap();
            match open.cursor {
                Some(cursor) => {
                    let sent = usize::try_from(cursor.position - 3).unwrap();
                    let rows = history.rows[sent..].to_vec();
                    if !rows.is_empty() {
                        desk.say(Message::Rows(Rows { from: cursor.position + 1, to: head, rows })).unwrap();
                    }
                }
                None => {
                    let base = open.version.unwrap_or_default();
                    let bytes = codec::encode_diff(&relay.diff_since(&base)).into();
                    desk.say(Message::Diff(crate::sync::DiffMessage { position: head, bytes })).unwrap();
                }
            }
            desk.say(Message::CaughtUp(CaughtUp { position: head, version_hash: relay.version_hash() })).unwrap();
            desk.flush();

            // What builds upon another id's edits waits until those are acked.
            for position in head + 1.. {
                let heard = desk.heard();
                if heard.is_empty() {
                    break;
                }
                for message in heard {
                    match message {
                        Message::Rows(rows) => {
                            for row in rows.rows {
                                relay.apply(&row.delta().unwrap().unwrap()).unwrap();
                            }
                        }
                        Message::Diff(diff) => {
                            relay.apply_diff(&codec::decode_diff(&diff.bytes).unwrap()).unwrap();
                        }
                        other => panic!("{story}: {other:?}"),
                    }
                }
                for delta in history.own.iter().chain([&fresh]) {
                    let (replica, level) = (delta.replica(), Level::Stored);
                    let through = relay.seq(replica);
                    desk.say(Message::Ack(Ack { replica, through, level, position })).unwrap();
                }
                desk.flush();
            }
            assert_eq!(desk.replica.status().unsaved, 0, "{story}");
            for delta in history.own.iter().chain([&fresh]) {
                assert!(relay.version().covers(delta.dot()), "{story}: the relay has every edit");
            }
            assert_eq!(relay.version_hash(), desk.replica.document().version_hash(), "{story}");
            assert_eq!(relay.beacon(), desk.replica.document().beacon(), "{story}: and both show the same");
        }
    }
}
