//! What honest replicas write, for harnesses to begin with: the same on every machine and in every run.

use alloc::vec::Vec;

use super::super::{Random, random_edit};
use crate::clock::{Timestamp, VersionEntry, VersionVector, VoidFact};
use crate::sync::{
    Ack, CaughtUp, Claim, Close, CloseReason, Cursor, DiffMessage, Durable, Fact, Goodbye, Hello, Lease, Level,
    Message, Nack, NackReason, Offer, Open, OpenAck, Part, PeerId, PeerState, Presence, Record, Resume, Retry,
    RosterNews, Row, Settle, Staged, Want,
};
use crate::{Commit, Delta, Document, Dot, EditError, ReplicaId, Tag, Transaction, codec};

/// Who writes it. The nil id is nobody's.
pub(super) const WRITERS: [u128; 3] = [1, 2, 3];

/// What three writers do in so many rounds, to containers of every kind, partly at once: in an order in which it may be applied.
pub(super) fn deltas(rounds: usize) -> Vec<Delta> {
    let mut documents = WRITERS.map(|id| Document::with_writer(ReplicaId::from(id)));
    let mut random = Random::seeded(1);
    let mut all: Vec<Delta> = Vec::new();
    for _ in 0..rounds {
        let first = all.len();
        for document in &mut documents {
            for _ in 0..2 {
                all.extend(edit(document, |tx| (0..3).try_for_each(|_| random_edit(tx, &mut random, true))));
            }
        }
        for document in &mut documents {
            for delta in &all[first..] {
                document.apply(delta).expect("it is honest");
            }
        }
    }
    all
}

/// A document that has applied these.
pub(super) fn document(deltas: &[Delta]) -> Document {
    let mut document = Document::new();
    for delta in deltas {
        document.apply(delta).expect("it is honest");
    }
    document
}

/// What a transaction did; nothing if it was refused.
pub(super) fn edit<T>(
    document: &mut Document,
    body: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError>,
) -> Option<Delta> {
    let commit: Result<Commit<T>, EditError> = document.transact(Timestamp(1), body);
    commit.ok().and_then(|commit| commit.delta)
}

/// One record of each kind.
pub(super) fn records(deltas: &[Delta]) -> Vec<Record> {
    let document = document(deltas);
    let delta = &deltas[0];
    let (replica, last_seq) = (delta.replica(), delta.last_seq());
    let row = Row::of(delta);
    [
        Record::Slot {
            index: 0,
            replica: Some(replica),
            high_water: last_seq,
            tag: delta.tag(),
            lease_no: 3,
            incs: [8, 9].into(),
        },
        Record::Slot {
            index: 1,
            replica: None,
            high_water: 0,
            tag: Tag::start(replica),
            lease_no: 0,
            incs: Vec::new(),
        },
        Record::Row(row.clone()),
        Record::Row(Row::Diff { bytes: codec::encode_diff(&document.diff_since(&VersionVector::new())).into() }),
        Record::Row(Row::Void(VoidFact { replica, first_seq: 1, tag: delta.tag() })),
        Record::Row(Row::Lease { replica, lease: Lease { number: 1, inc: 7 } }),
        Record::Outbox { replica, first_seq: delta.first_seq(), last_seq, deps: Vec::new(), row },
        Record::Acked { replica, through: last_seq },
        Record::Cursor(Cursor { epoch: 5, position: 3 }),
        Record::Positions { replica, last_seq, bytes: codec::encode_positions(&delta.parts().bunches).into() },
        Record::Snapshot(document.snapshot().into()),
    ]
    .into()
}

/// One message of each kind but those that carry rows.
pub(super) fn control_messages(news: RosterNews) -> Vec<Message> {
    let deltas = deltas(2);
    let document = document(&deltas);
    let (version, hash, beacon) = (document.version(), document.version_hash(), document.beacon());
    let replica = ReplicaId::from(WRITERS[0]);
    let tag = Tag::start(replica);
    let diff = codec::encode_diff(&document.diff_since(&VersionVector::new()));
    [
        Message::Hello(Hello {
            min_version: 1,
            max_version: 1,
            features: 0,
            agent: "fuzz".into(),
            max_frame: 1 << 20,
            heartbeat_ms: 15_000,
        }),
        Message::Open(Open {
            document: "d".into(),
            opening: 9,
            connection: 1,
            cursor: Some(Cursor { epoch: 5, position: 3 }),
            version_hash: hash,
            beacon,
            version: Some(version.clone()),
            voids: [VoidFact { replica, first_seq: 1, tag }].into(),
            claims: [Claim { replica, seq: 2, tag, lease_no: 3, incs: [8].into() }].into(),
            settles: [Settle { replica, is_whole: true, marks: [VersionEntry { seq: 2, tag }].into() }].into(),
            packed: true,
            staged: Some(alloc::boxed::Box::new(Staged { id: hash, len: 300 })),
        }),
        Message::OpenAck(OpenAck {
            epoch: 5,
            head: 4,
            version_hash: hash,
            beacon,
            version: Some(version.clone()),
            horizon: version.clone(),
            facts: [Fact { replica, seq: 2, tag, same_upto: 2, lease: Some(Lease { number: 4, inc: 9 }) }].into(),
            voids: [VoidFact { replica, first_seq: 2, tag }].into(),
            resume: Resume::Tail,
            roster: Some(news),
        }),
        Message::CaughtUp(CaughtUp { position: 4, version_hash: hash }),
        Message::Ack(Ack { replica, through: 2, level: Level::Stored, position: 4 }),
        Message::Want(Want::since(version.clone())),
        Message::Want(Want::by_digest(&document)),
        Message::Diff(DiffMessage { position: 4, bytes: diff.into() }),
        Message::Durable(Durable { version: version.clone(), level: Level::Quorum, position: 4 }),
        Message::Ask,
        Message::Offer(Offer { version: version.clone(), by_digest: true }),
        Message::Part(Part { position: 4, total: 9, id: hash, offset: 0, bytes: [1, 2, 3].into() }),
        Message::Presence(Presence {
            whole: true,
            states: [Some([1, 2].as_slice().into()), None]
                .map(|value| PeerState { peer: PeerId::of(9), clock: 3, value })
                .into(),
        }),
        Message::Nack(Nack { replica, seq: 2, reason: NackReason::Gap, retry: Retry::BACKOFF, version: Some(version) }),
        Message::Close(Close { reason: CloseReason::Limit, retry: Retry::NEVER }),
        Message::Goodbye(Goodbye { reason: CloseReason::Restart, retry: Retry::after_ms(1000) }),
        Message::Token([1, 2, 3].into()),
        Message::Ping,
        Message::Pong,
    ]
    .into()
}

/// The dots that these take, and one that nobody wrote.
pub(super) fn dots(deltas: &[Delta]) -> Vec<Dot> {
    let mut dots = Vec::new();
    for delta in deltas {
        dots.extend((delta.first_seq()..=delta.last_seq()).map(|seq| Dot::new(delta.replica(), seq)));
    }
    dots.push(Dot::new(ReplicaId::from(99), 1));
    dots
}
