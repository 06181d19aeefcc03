//! Control messages: what is written is read, and nothing else.

use alloc::sync::Arc;
use alloc::vec;

use super::*;
use crate::clock::Dot;
use crate::sync::message::{DiffMessage, PackedRows, Part, Rows};
use crate::sync::presence::{PeerId, PeerState, Presence};
use crate::sync::row::{Lease, Row};

/// One of each kind, with every option there and away.
fn examples() -> Vec<Message> {
    let replica = ReplicaId::from(9);
    let tag = Tag::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
    let version: VersionVector = [(replica, VersionEntry { seq: 300, tag })].into_iter().collect();
    let open = Open {
        document: "todo/home".into(),
        opening: u64::MAX,
        connection: 1,
        cursor: Some(Cursor { epoch: 1 << 40, position: 128 }),
        version_hash: [2; 16],
        beacon: [3; 16],
        version: Some(version.clone()),
        voids: vec![VoidFact { replica, first_seq: 200, tag }],
        claims: vec![Claim { replica, seq: 300, tag, lease_no: 200, incs: vec![u64::MAX, 0] }],
        settles: vec![Settle { replica, is_whole: true, marks: vec![VersionEntry { seq: 300, tag }] }],
        packed: true,
        staged: Some(Box::new(Staged { id: [5; 16], len: 300 })),
    };
    let fact = Fact { replica, seq: 1, tag, same_upto: 300, lease: None };
    let facts = vec![fact, Fact { lease: Some(Lease { number: 200, inc: 7 }), ..fact }];
    let ack = OpenAck {
        epoch: 5,
        head: 6,
        version_hash: [7; 16],
        beacon: [8; 16],
        version: None,
        horizon: VersionVector::new(),
        facts,
        voids: vec![VoidFact { replica, first_seq: 1, tag }, VoidFact { replica, first_seq: 300, tag }],
        resume: Resume::Ask,
        roster: None,
    };
    let hello = Hello {
        min_version: 1,
        max_version: 2,
        features: 3,
        agent: "someone".into(),
        max_frame: 1 << 20,
        heartbeat_ms: 15_000,
    };
    let nack = Nack { replica, seq: 4, reason: NackReason::ReadOnly, retry: Retry::NEVER, version: None };
    let goodbye = Goodbye { reason: CloseReason::Storage, retry: Retry::after_ms(2_000) };
    let rows = vec![
        Row::Delta { prev_tag: tag, bytes: [1, 2].as_slice().into() },
        Row::Diff { bytes: [].as_slice().into() },
        Row::Void(VoidFact { replica, first_seq: 5, tag }),
    ];
    let packed: Vec<Arc<[u8]>> = vec![[1, 2, 3].as_slice().into(), [].as_slice().into()];
    vec![
        Message::Hello(hello),
        Message::Open(open.clone()),
        Message::Open(Open { cursor: None, version: None, packed: false, staged: None, ..open.clone() }),
        Message::Open(Open { voids: Vec::new(), claims: Vec::new(), settles: Vec::new(), ..open }),
        Message::OpenAck(ack.clone()),
        Message::OpenAck(OpenAck {
            version: Some(version.clone()),
            horizon: [(replica, VersionEntry { seq: 200, tag: Tag::from_bytes([0; 8]) })].into_iter().collect(),
            facts: Vec::new(),
            voids: Vec::new(),
            resume: Resume::Tail,
            roster: Some(RosterNews { since: Timestamp(1 << 41), later: vec![300, 0] }),
            ..ack
        }),
        Message::Rows(Rows { from: 1, to: 200, rows }),
        Message::Packed(PackedRows { from: 199, to: 200, new_ids: vec![replica], rows: packed.clone() }),
        Message::Packed(PackedRows { from: 1, to: 0, new_ids: Vec::new(), rows: packed[..1].to_vec() }),
        Message::Packed(PackedRows { from: 8, to: 7, new_ids: vec![replica], rows: Vec::new() }),
        Message::CaughtUp(CaughtUp { position: 200, version_hash: [9; 16] }),
        Message::Ack(Ack { replica, through: 300, level: Level::Quorum, position: 0 }),
        Message::Want(Want::since(version.clone())),
        Message::Want(Want {
            version: version.clone(),
            live: Some([3, 4, 9].map(|seq| Dot::new(replica, seq)).into_iter().collect()),
        }),
        Message::Diff(DiffMessage { position: 1 << 20, bytes: [4; 9].as_slice().into() }),
        Message::Offer(Offer { version: version.clone(), by_digest: true }),
        Message::Durable(Durable { version: version.clone(), level: Level::Memory, position: 1 }),
        Message::Nack(nack.clone()),
        Message::Nack(Nack {
            reason: NackReason::NotReady,
            retry: Retry::BACKOFF,
            version: Some(version),
            ..nack.clone()
        }),
        Message::Nack(Nack { reason: NackReason::StorageFull, retry: Retry::after_ms(u32::MAX), ..nack }),
        Message::Close(Close { reason: CloseReason::Done, retry: Retry::BACKOFF }),
        Message::Close(Close { reason: CloseReason::Expired, retry: Retry::NEVER }),
        Message::Goodbye(goodbye),
        Message::Goodbye(Goodbye { retry: Retry::BACKOFF, ..goodbye }),
        Message::Ping,
        Message::Pong,
        Message::Ask,
        Message::Part(Part {
            position: 300,
            total: 1 << 20,
            id: [6; 16],
            offset: 1 << 10,
            bytes: [1, 2, 3].as_slice().into(),
        }),
        Message::Token([].as_slice().into()),
        Message::Token([1, 2, 3].as_slice().into()),
        Message::Presence(Presence { whole: true, states: Vec::new() }),
        Message::Presence(Presence {
            whole: false,
            states: vec![
                PeerState { peer: PeerId(1 << 60), clock: 300, value: Some([1, 2].as_slice().into()) },
                PeerState { peer: PeerId(0), clock: 0, value: None },
            ],
        }),
    ]
}

#[test]
fn bytes_2_messages_come_back_as_they_were() {
    for message in examples() {
        let body = message.encode_body();
        assert_eq!(Message::decode(message.kind(), &body), Ok(message));
    }
}

#[test]
fn bytes_1_a_control_message_has_no_other_form() {
    for message in examples() {
        let (kind, body) = (message.kind(), message.encode_body());
        for changed in (0..body.len()).flat_map(|at| [1, 0x80, 0xff].map(|bits| (at, bits))) {
            let mut other = body.clone();
            other[changed.0] ^= changed.1;
            // What is behind a Hello is ignored.
            if let Ok(read) = Message::decode(kind, &other)
                && kind != MessageKind::Hello
            {
                assert_eq!(read.encode_body(), other);
            }
        }
        if !matches!(
            message,
            Message::Rows(_)
                | Message::Packed(_)
                | Message::Diff(_)
                | Message::Part(_)
                | Message::Presence(_)
                | Message::Token(_)
                | Message::Ask
                | Message::Ping
                | Message::Pong
        ) {
            for cut in 0..body.len() {
                assert!(Message::decode(kind, &body[..cut]).is_err());
            }
            let longer = Message::decode(kind, &[&body[..], &[0]].concat());
            assert_eq!(longer.is_err(), kind != MessageKind::Hello);
        }
    }
}

/// The layouts as postcard would derive them. A version is the bytes of its encoding, empty for none.
#[derive(serde::Serialize)]
enum Layout<T> {
    V0(T),
}

type Place = ([u8; 16], u64, [u8; 8]);

fn place(replica: ReplicaId, seq: u64, tag: Tag) -> Place {
    (replica.to_bytes(), seq, *tag.as_bytes())
}

fn voids(voids: &[VoidFact]) -> Vec<Place> {
    voids.iter().map(|fact| place(fact.replica, fact.first_seq, fact.tag)).collect()
}

fn by_postcard(message: &Message) -> Option<Vec<u8>> {
    fn body<T: serde::Serialize>(fields: T) -> Option<Vec<u8>> {
        Some(postcard::to_allocvec(&Layout::V0(fields)).expect("it fits into memory"))
    }
    let version = |version: Option<&VersionVector>| version.map_or(Vec::new(), codec::encode_version);
    match message.clone() {
        Message::Hello(it) => {
            body((it.min_version, it.max_version, it.features, it.agent, it.max_frame, it.heartbeat_ms))
        }
        Message::Open(it) => {
            let inc = |inc: &u64| inc.to_le_bytes();
            let claim = |at: &Claim| {
                let incs: Vec<[u8; 8]> = at.incs.iter().map(inc).collect();
                (place(at.replica, at.seq, at.tag), at.lease_no, incs)
            };
            let claims: Vec<(Place, u64, Vec<[u8; 8]>)> = it.claims.iter().map(claim).collect();
            let settle = |at: &Settle| {
                let marks: Vec<(u64, [u8; 8])> = at.marks.iter().map(|mark| (mark.seq, *mark.tag.as_bytes())).collect();
                (at.replica.to_bytes(), at.is_whole, marks)
            };
            let settles: Vec<_> = it.settles.iter().map(settle).collect();
            let who = (it.document, it.opening.to_le_bytes(), it.connection);
            let cursor = it.cursor.map(|cursor| (cursor.epoch, cursor.position));
            let (hashes, known) = ((it.version_hash, it.beacon), version(it.version.as_ref()));
            let staged = it.staged.map(|staged| (staged.id, staged.len));
            body((who, cursor, hashes, known, voids(&it.voids), claims, settles, (it.packed, staged)))
        }
        Message::OpenAck(it) => {
            let lease = |lease: Lease| (lease.number, lease.inc.to_le_bytes());
            let fact = |at: &Fact| (place(at.replica, at.seq, at.tag), at.same_upto, at.lease.map(lease));
            let facts: Vec<_> = it.facts.iter().map(fact).collect();
            let hashes = (it.version_hash, it.beacon);
            let horizon: Vec<u64> = it.horizon.iter().map(|(_, entry)| entry.seq).collect();
            let roster = it.roster.map(|news| (news.since.0, news.later));
            let version = version(it.version.as_ref());
            let told = (facts, voids(&it.voids));
            body((it.epoch, it.head, hashes, version, horizon, told, it.resume as u8, roster))
        }
        Message::CaughtUp(it) => body((it.position, it.version_hash)),
        Message::Ack(it) => body((it.replica.to_bytes(), it.through, it.level as u8, it.position)),
        Message::Want(Want { version: known, live: None }) => body((false, version(Some(&known)))),
        Message::Want(Want { version, live: Some(live) }) => {
            body((true, codec::encode_digest(&Digest { version, live })))
        }
        Message::Offer(it) => body((version(Some(&it.version)), it.by_digest)),
        Message::Durable(it) => body((version(Some(&it.version)), it.level as u8, it.position)),
        Message::Nack(it) => {
            body((it.replica.to_bytes(), it.seq, it.reason as u8, it.retry.0, version(it.version.as_ref())))
        }
        Message::Close(it) => body((it.reason as u8, it.retry.0)),
        Message::Goodbye(it) => body((it.reason as u8, it.retry.0)),
        Message::Rows(_)
        | Message::Packed(_)
        | Message::Diff(_)
        | Message::Part(_)
        | Message::Presence(_)
        | Message::Token(_)
        | Message::Ask
        | Message::Ping
        | Message::Pong => None,
    }
}

#[test]
fn control_messages_are_what_postcard_would_write() {
    let mut compared = 0;
    for message in examples() {
        if let Some(expected) = by_postcard(&message) {
            assert_eq!(message.encode_body(), expected, "{message:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 19);
}

#[test]
fn the_bytes_are_those_of_the_format_description() {
    let ack = Message::Ack(Ack { replica: ReplicaId::from(9), through: 300, level: Level::Stored, position: 5 });
    let mut expected = vec![0];
    expected.extend_from_slice(&ReplicaId::from(9).to_bytes());
    expected.extend_from_slice(&[0xac, 0x02, 1, 5]);
    assert_eq!((ack.kind() as u8, ack.encode_body()), (6, expected));
    let goodbye = |retry| Message::Goodbye(Goodbye { reason: CloseReason::Restart, retry }).encode_body();
    assert_eq!(goodbye(Retry::BACKOFF), [0, 6, 0]);
    assert_eq!(goodbye(Retry::NEVER), [0, 6, 1]);
    assert_eq!(goodbye(Retry::after_ms(0)), [0, 6, 2], "as soon as can be said");
    assert_eq!(goodbye(Retry::after_ms(300)), [0, 6, 0xac, 0x02]);
}
