//! What peers say to each other and what a client keeps: one of each kind, and what it says as JSON.

use serde_json::{Value as Json, json};
use weftline::sync::{
    Ack, CaughtUp, Claim, Close, CloseReason, Cursor, DiffMessage, Durable, Fact, Goodbye, Hello, Lease, Level,
    Message, MessageKind, Nack, NackReason, Offer, Open, OpenAck, PackedRows, Part, PeerId, PeerState, Presence,
    Record, Resume, Retry, Roster, RosterNews, Row, Rows, Settle, Staged, Want, diff_id, pack,
};
use weftline::{
    Commit, Delta, Document, EditError, ReplicaId, Timestamp, VersionEntry, VersionVector, VoidFact, codec,
};

use super::content::{self, hex, id, number, tag};
use super::{Kind, Vector};

const NOW: u64 = 1_700_000_000_000;

/// A message's bytes in a vector: its kind and its body.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    [&[message.kind() as u8], message.encode_body().as_slice()].concat()
}

/// The message that [`encode`] gave.
///
/// # Errors
/// When there is none.
pub fn decode(bytes: &[u8]) -> Result<Message, Box<dyn std::error::Error>> {
    let (kind, body) = bytes.split_first().ok_or("an empty message")?;
    Ok(Message::decode(MessageKind::from_byte(*kind)?, body)?)
}

/// The vectors, always the same.
///
/// # Panics
/// When the library no longer writes what is asked of it.
#[must_use]
pub fn examples() -> Vec<Vector> {
    let mut anna = Document::with_writer(ReplicaId::from(0xa));
    let mut write = |number: i64| -> Delta {
        let edit = |tx: &mut weftline::Transaction<'_>| tx.map("m")?.put("k", number);
        let commit: Result<Commit<()>, EditError> = anna.transact(Timestamp(NOW + number as u64), edit);
        commit.expect("an edit").delta.expect("an edit")
    };
    let deltas = [write(1), write(2), write(3)];
    let messages = messages(&anna, &deltas).into_iter().map(|message| {
        let name = format!("{:?}", message.kind());
        Vector::of(name, Kind::Message, &encode(&message), None)
    });
    let records = records(&anna, &deltas)
        .into_iter()
        .enumerate()
        .map(|(at, record)| Vector::of(format!("record {at}"), Kind::Record, &record.encode(), None));
    let roster = (vec![ReplicaId::from(0xb), ReplicaId::from(0xa)], NOW);
    let packed = [(0, true), (1, false), (2, true)].map(|(at, follows)| {
        let name = format!("packed delta {at}");
        Vector::packed(name, &deltas[at], roster.clone(), follows)
    });
    messages.chain(records).chain(packed).collect()
}

fn messages(anna: &Document, deltas: &[Delta; 3]) -> Vec<Message> {
    let writer = deltas[0].replica();
    let (version, version_hash, beacon) = (anna.version(), anna.version_hash(), anna.beacon());
    let diff = codec::encode_diff(&anna.diff_since(&VersionVector::new()));
    let roster = Roster::new(Timestamp(NOW), &version);
    let [first, second, third] = deltas;
    let void = VoidFact { replica: writer, first_seq: 2, tag: second.tag() };
    let lease = Lease { number: 300, inc: 0x0102_0304_0506_0708 };
    let marks = [second.prev_tag(), third.tag()].into_iter().zip([1, 3]).map(|(tag, seq)| VersionEntry { seq, tag });
    let packed = |delta: &Delta, follows| pack(&Row::of(delta), &roster, follows).into();
    vec![
        Message::Hello(Hello {
            min_version: 1,
            max_version: 300,
            features: 1 << 63 | 1,
            agent: "weftline/0.1.0".into(),
            max_frame: 1 << 20,
            heartbeat_ms: 15_000,
        }),
        Message::Open(Open { document: "lists/42".into(), opening: 7, connection: 1, packed: true, ..Open::default() }),
        Message::Open(Open {
            document: "ü".into(),
            opening: u64::MAX,
            connection: 3,
            cursor: Some(Cursor { epoch: u64::MAX, position: 300 }),
            version_hash,
            beacon,
            version: Some(version.clone()),
            voids: vec![void],
            claims: vec![Claim { replica: writer, seq: 3, tag: third.tag(), lease_no: 299, incs: vec![5, 6] }],
            settles: vec![Settle { replica: writer, is_whole: true, marks: marks.collect() }],
            packed: false,
            staged: Some(Box::new(Staged { id: diff_id(&diff), len: 20 })),
        }),
        Message::OpenAck(OpenAck {
            epoch: 9,
            head: 300,
            version_hash,
            beacon,
            version: Some(version.clone()),
            horizon: version.clone(),
            facts: vec![Fact { replica: writer, seq: 3, tag: third.tag(), same_upto: 3, lease: Some(lease) }],
            voids: vec![void],
            resume: Resume::Ask,
            roster: Some(RosterNews { since: Timestamp(NOW), later: vec![0] }),
        }),
        Message::Rows(Rows {
            from: 1,
            to: 3,
            rows: vec![Row::of(first), Row::Diff { bytes: diff.as_slice().into() }, Row::Void(void)],
        }),
        Message::Packed(PackedRows {
            from: 2,
            to: 3,
            new_ids: vec![writer],
            rows: vec![packed(second, false), packed(third, true)],
        }),
        Message::Packed(PackedRows { from: 1, to: 0, new_ids: Vec::new(), rows: vec![packed(first, true)] }),
        Message::CaughtUp(CaughtUp { position: 300, version_hash }),
        Message::Ack(Ack { replica: writer, through: 3, level: Level::Stored, position: 300 }),
        Message::Want(Want::since(version.clone())),
        Message::Want(Want::by_digest(anna)),
        Message::Offer(Offer { version: version.clone(), by_digest: true }),
        Message::Diff(DiffMessage { position: 300, bytes: diff.as_slice().into() }),
        Message::Part(Part {
            position: 300,
            total: diff.len() as u64,
            id: diff_id(&diff),
            offset: 7,
            bytes: diff[7..20].into(),
        }),
        Message::Durable(Durable { version: version.clone(), level: Level::Quorum, position: 300 }),
        Message::Nack(Nack {
            replica: writer,
            seq: 3,
            reason: NackReason::NotReady,
            retry: Retry::BACKOFF,
            version: Some(version),
        }),
        Message::Nack(nothing(ReplicaId::NIL, NackReason::ReadOnly, Retry::NEVER)),
        Message::Nack(nothing(writer, NackReason::StorageFull, Retry::after_ms(300))),
        Message::Close(Close { reason: CloseReason::Superseded, retry: Retry::BACKOFF }),
        Message::Close(Close { reason: CloseReason::Quarantined, retry: Retry::after_ms(60_000) }),
        Message::Goodbye(Goodbye { reason: CloseReason::Restart, retry: Retry::after_ms(300) }),
        Message::Presence(Presence {
            whole: true,
            states: vec![
                PeerState { peer: PeerId::of(7), clock: 300, value: Some([1, 2, 3].into()) },
                PeerState { peer: PeerId(8), clock: 2, value: None },
            ],
        }),
        Message::Token([].into()),
        Message::Token([101, 121, 74].into()),
        Message::Close(Close { reason: CloseReason::Revoked, retry: Retry::BACKOFF }),
        Message::Ask,
        Message::Ping,
        Message::Pong,
    ]
}

fn records(anna: &Document, deltas: &[Delta; 3]) -> Vec<Record> {
    let [first, second, third] = deltas;
    let replica = first.replica();
    let tag = third.tag();
    vec![
        Record::Slot { index: 300, replica: Some(replica), high_water: 3, tag, lease_no: 2, incs: vec![5, u64::MAX] },
        Record::Slot { index: 0, replica: None, high_water: 0, tag, lease_no: 0, incs: Vec::new() },
        Record::Row(Row::of(first)),
        Record::Row(Row::Diff { bytes: codec::encode_diff(&anna.diff_since(&VersionVector::new())).into() }),
        Record::Outbox { replica, first_seq: 2, last_seq: 2, deps: vec![tag], row: Row::of(second) },
        Record::Acked { replica, through: 300 },
        Record::Cursor(Cursor { epoch: u64::MAX, position: 300 }),
        Record::Snapshot(anna.snapshot().into()),
    ]
}

/// What a message says.
///
/// # Errors
/// When what is in it cannot be read.
pub fn message(message: &Message) -> Result<Json, Box<dyn std::error::Error>> {
    Ok(match message {
        Message::Hello(hello) => json!({ "hello": {
            "min_version": hello.min_version,
            "max_version": hello.max_version,
            "features": number(hello.features),
            "agent": hello.agent,
            "max_frame": hello.max_frame,
            "heartbeat_ms": hello.heartbeat_ms,
        } }),
        Message::Open(open) => json!({ "open": {
            "document": open.document,
            "opening": word(open.opening),
            "connection": open.connection,
            "cursor": open.cursor.map(cursor),
            "version_hash": hex(&open.version_hash),
            "beacon": hex(&open.beacon),
            "version": open.version.as_ref().map(content::version),
            "voids": voids(&open.voids),
            "claims": open.claims.iter().map(claim).collect::<Vec<_>>(),
            "settles": open.settles.iter().map(settle).collect::<Vec<_>>(),
            "packed": open.packed,
            "staged": open.staged.as_ref().map(|staged| json!({ "id": hex(&staged.id), "len": staged.len })),
        } }),
        Message::OpenAck(ack) => json!({ "open_ack": {
            "epoch": number(ack.epoch),
            "head": ack.head,
            "version_hash": hex(&ack.version_hash),
            "beacon": hex(&ack.beacon),
            "version": ack.version.as_ref().map(content::version),
            "horizon": content::seqs(&ack.horizon),
            "facts": ack.facts.iter().map(fact).collect::<Vec<_>>(),
            "voids": voids(&ack.voids),
            "resume": match ack.resume {
                Resume::Tail => "tail",
                Resume::Same => "same",
                Resume::Diff => "diff",
                Resume::Ask => "ask",
            },
            "roster": ack.roster.as_ref().map(|news| json!({ "since": news.since.0, "later": news.later })),
        } }),
        Message::Rows(rows) => {
            let said: Result<Vec<Json>, _> = rows.rows.iter().map(row).collect();
            json!({ "rows": { "from": rows.from, "to": rows.to, "rows": said? } })
        }
        Message::Packed(rows) => json!({ "packed": {
            "from": rows.from,
            "to": rows.to,
            "new_ids": rows.new_ids.iter().copied().map(id).collect::<Vec<_>>(),
            "rows": rows.rows.iter().map(|row| hex(row)).collect::<Vec<_>>(),
        } }),
        Message::CaughtUp(reached) => {
            json!({ "caught_up": { "position": reached.position, "version_hash": hex(&reached.version_hash) } })
        }
        Message::Ack(ack) => json!({ "ack": {
            "replica": id(ack.replica),
            "through": ack.through,
            "level": level(ack.level),
            "position": ack.position,
        } }),
        Message::Want(Want { version, live: None }) => json!({ "want": { "version": content::version(version) } }),
        Message::Want(Want { version, live: Some(live) }) => {
            json!({ "want": { "digest": { "version": content::version(version), "live": content::runs(live) } } })
        }
        Message::Offer(offer) => {
            json!({ "offer": { "version": content::version(&offer.version), "by_digest": offer.by_digest } })
        }
        Message::Diff(diff) => {
            json!({ "diff": { "position": diff.position, "diff": content::diff(&codec::decode_diff(&diff.bytes)?) } })
        }
        Message::Part(part) => json!({ "part": {
            "position": part.position,
            "total": part.total,
            "id": hex(&part.id),
            "offset": part.offset,
            "bytes": hex(&part.bytes),
        } }),
        Message::Durable(durable) => json!({ "durable": {
            "version": content::version(&durable.version),
            "level": level(durable.level),
            "position": durable.position,
        } }),
        Message::Nack(nack) => json!({ "nack": {
            "replica": id(nack.replica),
            "seq": nack.seq,
            "reason": refusal(nack.reason),
            "retry": retry(nack.retry),
            "version": nack.version.as_ref().map(content::version),
        } }),
        Message::Close(close) => json!({ "close": { "reason": reason(close.reason), "retry": retry(close.retry) } }),
        Message::Goodbye(goodbye) => {
            json!({ "goodbye": { "reason": reason(goodbye.reason), "retry": retry(goodbye.retry) } })
        }
        Message::Presence(presence) => json!({ "presence": {
            "whole": presence.whole,
            "states": presence.states.iter().map(peer).collect::<Vec<_>>(),
        } }),
        Message::Token(token) => json!({ "token": content::hex(token) }),
        Message::Ask => json!({ "ask": true }),
        Message::Ping => json!({ "ping": true }),
        Message::Pong => json!({ "pong": true }),
    })
}

/// What a record says.
///
/// # Errors
/// When what is in it cannot be read, or its kind has no vectors.
pub fn record(record: &Record) -> Result<Json, Box<dyn std::error::Error>> {
    Ok(match record {
        Record::Slot { index, replica, high_water, tag: at, lease_no, incs } => json!({ "slot": {
            "index": index,
            "replica": replica.map(id),
            "high_water": high_water,
            "tag": tag(*at),
            "lease_no": lease_no,
            "incs": incs.iter().copied().map(word).collect::<Vec<_>>(),
        } }),
        Record::Row(held) => json!({ "row": row(held)? }),
        Record::Outbox { replica, first_seq, last_seq, deps, row: held } => {
            let deps: Vec<_> = deps.iter().map(|dep| tag(*dep)).collect();
            json!({ "outbox": { "replica": id(*replica), "first_seq": first_seq, "last_seq": last_seq, "deps": deps,
                "row": row(held)? } })
        }
        Record::Acked { replica, through } => json!({ "acked": [id(*replica), through] }),
        Record::Cursor(held) => json!({ "cursor": cursor(*held) }),
        Record::Snapshot(bytes) => json!({ "snapshot": content::snapshot(&codec::decode_snapshot(bytes)?) }),
        other => return Err(format!("no vectors of {other:?}").into()),
    })
}

fn row(row: &Row) -> Result<Json, Box<dyn std::error::Error>> {
    Ok(match row {
        Row::Delta { prev_tag, bytes } => json!({ "delta": content::delta(&Delta::decode(bytes, *prev_tag)?) }),
        Row::Diff { bytes } => json!({ "diff": content::diff(&codec::decode_diff(bytes)?) }),
        Row::Void(fact) => json!({ "void": void(fact) }),
        Row::Lease { replica, lease } => json!({ "lease": [id(*replica), lease.number, word(lease.inc)] }),
    })
}

fn voids(facts: &[VoidFact]) -> Json {
    facts.iter().map(void).collect()
}

fn void(fact: &VoidFact) -> Json {
    json!([id(fact.replica), fact.first_seq, tag(fact.tag)])
}

fn claim(claim: &Claim) -> Json {
    json!({
        "replica": id(claim.replica),
        "seq": claim.seq,
        "tag": tag(claim.tag),
        "lease_no": claim.lease_no,
        "incs": claim.incs.iter().copied().map(word).collect::<Vec<_>>(),
    })
}

fn settle(settle: &Settle) -> Json {
    let marks: Vec<Json> = settle.marks.iter().map(|mark| json!([mark.seq, tag(mark.tag)])).collect();
    json!({ "replica": id(settle.replica), "is_whole": settle.is_whole, "marks": marks })
}

fn fact(fact: &Fact) -> Json {
    json!({
        "replica": id(fact.replica),
        "seq": fact.seq,
        "tag": tag(fact.tag),
        "same_upto": fact.same_upto,
        "lease": fact.lease.map(|lease| json!([lease.number, word(lease.inc)])),
    })
}

fn peer(state: &PeerState) -> Json {
    json!({ "peer": word(state.peer.0), "clock": state.clock, "value": state.value.as_ref().map(|value| hex(value)) })
}

fn cursor(cursor: Cursor) -> Json {
    json!({ "epoch": number(cursor.epoch), "position": cursor.position })
}

fn word(word: u64) -> Json {
    json!(hex(&word.to_le_bytes()))
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Memory => "memory",
        Level::Stored => "stored",
        Level::Quorum => "quorum",
    }
}

/// What a refusal says that names no version.
const fn nothing(replica: ReplicaId, reason: NackReason, retry: Retry) -> Nack {
    Nack { replica, seq: 0, reason, retry, version: None }
}

fn retry(retry: Retry) -> Json {
    match retry.delay_ms() {
        Some(ms) => json!(ms),
        None if retry == Retry::NEVER => json!("never"),
        None => json!("backoff"),
    }
}

const fn refusal(reason: NackReason) -> &'static str {
    match reason {
        NackReason::NotReady => "not ready",
        NackReason::Gap => "gap",
        NackReason::Fork => "fork",
        NackReason::TooLarge => "too large",
        NackReason::Invalid => "invalid",
        NackReason::TooManyReplicas => "too many replicas",
        NackReason::ReadOnly => "read only",
        NackReason::DocumentFull => "document full",
        NackReason::Storage => "storage",
        NackReason::StorageFull => "storage full",
    }
}

const fn reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Done => "done",
        CloseReason::Version => "version",
        CloseReason::Protocol => "protocol",
        CloseReason::Denied => "denied",
        CloseReason::Superseded => "superseded",
        CloseReason::Limit => "limit",
        CloseReason::Restart => "restart",
        CloseReason::Storage => "storage",
        CloseReason::StorageFull => "storage full",
        CloseReason::TooMany => "too many",
        CloseReason::Quarantined => "quarantined",
        CloseReason::Expired => "expired",
        CloseReason::Token => "token",
        CloseReason::Revoked => "revoked",
    }
}
