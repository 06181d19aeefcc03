//! The bodies of control messages: the version of the layout, then the fields as postcard would write them. Written out
//! here, because the derived code alone would be a tenth of what a browser downloads.
//!
//! Numbers are varints, ids, tags and hashes are as they are, text and lists have their length before them, an option is 0 or
//! 1 and the value, a choice is its number.
//!
//! What only a relay says, or hears, is apart: nothing of a client refers to it, so that a page does not download it.
//!
//! Rules: BYTES-1 any bytes are a message or refused. BYTES-2 a message has one form.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::encoding::MessageKind;
use super::limits;
use super::message::{
    Ack, CaughtUp, Claim, Close, CloseReason, Durable, Fact, Goodbye, Hello, Level, Message, Nack, NackReason, Offer,
    Open, OpenAck, Resume, Retry, Settle, Staged, Want,
};
use super::record::Cursor;
use super::roster::RosterNews;
use super::row::{lease, put_lease, put_void, void};
use super::wire::{Malformed, Reader, put_bytes, put_varint};
use crate::clock::{Tag, Timestamp, VersionEntry, VersionVector, VoidFact};
use crate::codec;
use crate::diff::Digest;
use crate::replica_id::ReplicaId;

/// Every control body starts with the version of its layout. A later layout has another number.
const LAYOUT: u8 = 0;

/// The body of a control message.
pub(super) fn write(message: &Message) -> Vec<u8> {
    let mut out = Writer(Vec::from([LAYOUT]));
    match message {
        Message::OpenAck(OpenAck {
            epoch,
            head,
            version_hash,
            beacon,
            version,
            horizon,
            facts,
            voids,
            resume,
            roster,
        }) => {
            out.number(*epoch);
            out.number(*head);
            out.fixed(version_hash);
            out.fixed(beacon);
            out.version(version.as_ref());
            out.horizon(version.as_ref(), horizon);
            out.number(facts.len() as u64);
            for Fact { replica, seq, tag, same_upto, lease } in facts {
                out.place(*replica, *seq, *tag);
                out.number(*same_upto);
                out.0.push(u8::from(lease.is_some()));
                if let Some(lease) = lease {
                    put_lease(&mut out.0, *lease);
                }
            }
            out.voids(voids);
            out.0.push(*resume as u8);
            out.0.push(u8::from(roster.is_some()));
            if let Some(RosterNews { since, later }) = roster {
                out.number(since.0);
                out.number(later.len() as u64);
                for place in later {
                    out.number(*place);
                }
            }
        }
        Message::CaughtUp(CaughtUp { position, version_hash }) => {
            out.number(*position);
            out.fixed(version_hash);
        }
        Message::Ack(Ack { replica, through, level, position }) => {
            out.fixed(&replica.to_bytes());
            out.number(*through);
            out.0.push(*level as u8);
            out.number(*position);
        }
        Message::Durable(Durable { version, level, position }) => {
            out.version(Some(version));
            out.0.push(*level as u8);
            out.number(*position);
        }
        Message::Nack(Nack { replica, seq, reason, retry, version }) => {
            out.fixed(&replica.to_bytes());
            out.number(*seq);
            out.0.push(*reason as u8);
            out.number(u64::from(retry.0));
            out.version(version.as_ref());
        }
        Message::Hello(_)
        | Message::Open(_)
        | Message::Want(_)
        | Message::Offer(_)
        | Message::Close(_)
        | Message::Goodbye(_) => return write_upward(message),
        Message::Rows(_)
        | Message::Packed(_)
        | Message::Diff(_)
        | Message::Part(_)
        | Message::Presence(_)
        | Message::Token(_)
        | Message::Ask
        | Message::Ping
        | Message::Pong => {}
    }
    out.0
}

/// The body of a control message that a client says; of another one, nothing.
pub(super) fn write_upward(message: &Message) -> Vec<u8> {
    let mut out = Writer(Vec::from([LAYOUT]));
    match message {
        Message::Hello(Hello { min_version, max_version, features, agent, max_frame, heartbeat_ms }) => {
            out.number(u64::from(*min_version));
            out.number(u64::from(*max_version));
            out.number(*features);
            out.bytes(agent.as_bytes());
            out.number(u64::from(*max_frame));
            out.number(u64::from(*heartbeat_ms));
        }
        Message::Open(Open {
            document,
            opening,
            connection,
            cursor,
            version_hash,
            beacon,
            version,
            voids,
            claims,
            settles,
            packed,
            staged,
        }) => {
            out.bytes(document.as_bytes());
            out.fixed(&opening.to_le_bytes());
            out.number(*connection);
            out.0.push(u8::from(cursor.is_some()));
            if let Some(Cursor { epoch, position }) = cursor {
                out.number(*epoch);
                out.number(*position);
            }
            out.fixed(version_hash);
            out.fixed(beacon);
            out.version(version.as_ref());
            out.voids(voids);
            out.number(claims.len() as u64);
            for Claim { replica, seq, tag, lease_no, incs } in claims {
                out.place(*replica, *seq, *tag);
                out.number(*lease_no);
                out.number(incs.len() as u64);
                for inc in incs {
                    out.fixed(&inc.to_le_bytes());
                }
            }
            out.number(settles.len() as u64);
            for Settle { replica, is_whole, marks } in settles {
                out.fixed(&replica.to_bytes());
                out.0.push(u8::from(*is_whole));
                out.number(marks.len() as u64);
                for VersionEntry { seq, tag } in marks {
                    out.number(*seq);
                    out.fixed(tag.as_bytes());
                }
            }
            out.0.push(u8::from(*packed));
            out.0.push(u8::from(staged.is_some()));
            if let Some(staged) = staged {
                let Staged { id, len } = &**staged;
                out.fixed(id);
                out.number(*len);
            }
        }
        Message::Want(Want { version, live: None }) => {
            out.0.push(0);
            out.version(Some(version));
        }
        Message::Want(Want { version, live: Some(live) }) => {
            out.0.push(1);
            out.bytes(&codec::encode_digest(&Digest { version: version.clone(), live: live.clone() }));
        }
        Message::Offer(Offer { version, by_digest }) => {
            out.version(Some(version));
            out.0.push(u8::from(*by_digest));
        }
        Message::Close(Close { reason, retry }) | Message::Goodbye(Goodbye { reason, retry }) => {
            out.0.push(*reason as u8);
            out.number(u64::from(retry.0));
        }
        _ => {}
    }
    out.0
}

/// Reads what [`write`] gave.
pub(super) fn read(kind: MessageKind, mut body: Reader<'_>) -> Result<Message, Malformed> {
    if !matches!(kind, MessageKind::Open | MessageKind::Offer) {
        return read_downward(kind, body);
    }
    let from = &mut body;
    if from.u8() != LAYOUT {
        return Err(Malformed);
    }
    let message = match kind {
        MessageKind::Open => Message::Open(Open {
            document: text(from),
            opening: from.word(),
            connection: from.varint(),
            cursor: if from.flag() { Some(Cursor { epoch: from.varint(), position: from.varint() }) } else { None },
            version_hash: from.bytes_16(),
            beacon: from.bytes_16(),
            version: version_or_none(from),
            voids: list(from, void),
            claims: list(from, |from| Claim {
                replica: from.replica(),
                seq: from.varint(),
                tag: from.tag(),
                lease_no: from.varint(),
                incs: list(from, |from| from.word()),
            }),
            settles: list(from, |from| Settle {
                replica: from.replica(),
                is_whole: from.flag(),
                marks: list(from, |from| VersionEntry { seq: from.varint(), tag: from.tag() }),
            }),
            packed: from.flag(),
            staged: if from.flag() { Some(Box::new(Staged { id: from.bytes_16(), len: from.varint() })) } else { None },
        }),
        MessageKind::Offer => Message::Offer(Offer { version: version(from), by_digest: from.flag() }),
        _ => return Err(Malformed),
    };
    body.finish().map(|()| message)
}

/// Reads what [`write`] gave, unless only a client says it.
pub(super) fn read_downward(kind: MessageKind, mut body: Reader<'_>) -> Result<Message, Malformed> {
    if body.u8() != LAYOUT {
        return Err(Malformed);
    }
    let from = &mut body;
    let message = match kind {
        MessageKind::Hello => {
            let hello = Hello {
                min_version: number16(from),
                max_version: number16(from),
                features: from.varint(),
                agent: text(from),
                max_frame: from.number32(),
                heartbeat_ms: from.number32(),
            };
            // Every version has to understand this much of what every later one says here.
            from.rest();
            Message::Hello(hello)
        }
        MessageKind::OpenAck => {
            let (epoch, head) = (from.varint(), from.varint());
            let (version_hash, beacon) = (from.bytes_16(), from.bytes_16());
            let version = version_or_none(from);
            let horizon = horizon(from, version.as_ref());
            let facts = list(from, |from| {
                let (replica, seq, tag) = (from.replica(), from.varint(), from.tag());
                let same_upto = from.varint();
                let lease = if from.flag() { Some(lease(from)) } else { None };
                Fact { replica, seq, tag, same_upto, lease }
            });
            let voids = list(from, void);
            let resume = choice(from, &Resume::ALL);
            let roster = if from.flag() {
                Some(RosterNews { since: Timestamp(from.varint()), later: list(from, |from| from.varint()) })
            } else {
                None
            };
            Message::OpenAck(OpenAck {
                epoch,
                head,
                version_hash,
                beacon,
                version,
                horizon,
                facts,
                voids,
                resume,
                roster,
            })
        }
        MessageKind::CaughtUp => Message::CaughtUp(CaughtUp { position: from.varint(), version_hash: from.bytes_16() }),
        MessageKind::Ack => Message::Ack(Ack {
            replica: from.replica(),
            through: from.varint(),
            level: choice(from, &Level::ALL),
            position: from.varint(),
        }),
        MessageKind::Want => Message::Want(want(from)),
        MessageKind::Durable => Message::Durable(Durable {
            version: version(from),
            level: choice(from, &Level::ALL),
            position: from.varint(),
        }),
        MessageKind::Nack => Message::Nack(Nack {
            replica: from.replica(),
            seq: from.varint(),
            reason: choice(from, &NackReason::ALL),
            retry: Retry(from.number32()),
            version: version_or_none(from),
        }),
        MessageKind::Close => {
            Message::Close(Close { reason: choice(from, &CloseReason::ALL), retry: Retry(from.number32()) })
        }
        MessageKind::Goodbye => {
            Message::Goodbye(Goodbye { reason: choice(from, &CloseReason::ALL), retry: Retry(from.number32()) })
        }
        MessageKind::Open
        | MessageKind::Offer
        | MessageKind::Rows
        | MessageKind::Packed
        | MessageKind::Diff
        | MessageKind::Part
        | MessageKind::Presence
        | MessageKind::Token
        | MessageKind::Ask
        | MessageKind::Ping
        | MessageKind::Pong => {
            return Err(Malformed);
        }
    };
    body.finish().map(|()| message)
}

/// Writes the fields of control messages.
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        put_varint(&mut self.0, number);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        put_bytes(&mut self.0, bytes);
    }

    fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn place(&mut self, replica: ReplicaId, seq: u64, tag: Tag) {
        self.fixed(&replica.to_bytes());
        self.number(seq);
        self.fixed(tag.as_bytes());
    }

    fn voids(&mut self, voids: &[VoidFact]) {
        self.number(voids.len() as u64);
        for fact in voids {
            put_void(&mut self.0, fact);
        }
    }

    fn horizon(&mut self, version: Option<&VersionVector>, horizon: &VersionVector) {
        let Some(version) = version.filter(|_| !horizon.is_empty()) else { return self.number(0) };
        self.number(version.len() as u64);
        for (replica, _) in version.iter() {
            self.number(horizon.seq(replica));
        }
    }

    /// No version is the empty string: the encoding of a version is never empty.
    fn version(&mut self, version: Option<&VersionVector>) {
        match version {
            Some(version) => self.bytes(&codec::encode_version(version)),
            None => self.0.push(0),
        }
    }
}

fn want(from: &mut Reader<'_>) -> Want {
    if !from.flag() {
        return Want::since(version(from));
    }
    let bytes = from.bytes();
    match codec::decode_digest(bytes) {
        Ok(Digest { version, live }) if bytes.len() <= limits::MAX_DIGEST => Want { version, live: Some(live) },
        _ => {
            from.refuse();
            Want::since(VersionVector::new())
        }
    }
}

/// One number for each replica of the version, in their order, or none at all where all would be 0.
fn horizon(from: &mut Reader<'_>, version: Option<&VersionVector>) -> VersionVector {
    let count = from.varint();
    let mut horizon = VersionVector::new();
    if count == 0 {
        return horizon;
    }
    if let Some(version) = version.filter(|version| version.len() as u64 == count) {
        for (replica, entry) in version.iter() {
            let seq = from.varint();
            if seq > entry.seq {
                from.refuse();
            }
            horizon.set(replica, VersionEntry { seq, tag: Tag::from_bytes([0; 8]) });
        }
    }
    if horizon.is_empty() {
        from.refuse();
    }
    horizon
}

fn choice<T: Copy>(from: &mut Reader<'_>, all: &[T]) -> T {
    all.get(usize::from(from.u8())).copied().unwrap_or_else(|| {
        from.refuse();
        all[0]
    })
}

fn number16(from: &mut Reader<'_>) -> u16 {
    u16::try_from(from.varint()).unwrap_or_else(|_| {
        from.refuse();
        0
    })
}

#[inline(never)]
fn text(from: &mut Reader<'_>) -> String {
    let text = core::str::from_utf8(from.bytes());
    if text.is_err() {
        from.refuse();
    }
    text.unwrap_or_default().into()
}

fn version(from: &mut Reader<'_>) -> VersionVector {
    version_or_none(from).unwrap_or_else(|| {
        from.refuse();
        VersionVector::new()
    })
}

#[inline(never)]
fn version_or_none(from: &mut Reader<'_>) -> Option<VersionVector> {
    let bytes = from.bytes();
    if bytes.is_empty() {
        return None;
    }
    let version = codec::decode_version(bytes).ok();
    if version.is_none() {
        from.refuse();
    }
    version
}

/// As many items as are announced. Each takes bytes, so a count that is too high ends in an error, not in an allocation.
fn list<T>(from: &mut Reader<'_>, mut item: impl FnMut(&mut Reader<'_>) -> T) -> Vec<T> {
    let count = from.varint();
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(item(from));
        if from.ok().is_err() {
            break;
        }
    }
    items
}

#[cfg(test)]
mod tests;
