//! The rules that are checked while a simulation runs.

use std::collections::BTreeMap;

use weftline::sync::{Message, Roster, Row, Rows, Said, Unpacked};
use weftline::{Delta, Dot, ReplicaId, Tag, VersionVector, codec};

use crate::disk::Disk;

/// A local edit and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    /// Its number: what it left in the document. An undo leaves none.
    pub(crate) number: Option<u64>,
    /// In which room.
    pub(crate) room: usize,
    pub(crate) delta: Delta,
    /// Who made it, in which process.
    pub(crate) peer: usize,
    pub(crate) process: u64,
    /// The last dot of its delta.
    pub(crate) dot: Dot,
    /// It died with its process before it was durable. Nobody may ever see it.
    pub(crate) lost: bool,
    /// Its store was put back to an older state, or copied, so that whether it is there depends on who else has it.
    pub(crate) uncertain: bool,
    /// Its writer called it saved, and nobody has put the relay back since.
    pub(crate) saved: bool,
}

/// DOT-1: one payload per dot, over the whole simulation.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    /// Stores are copied and put back: then a dot may be bound twice before anybody notices.
    may_fork: bool,
    seen: BTreeMap<(ReplicaId, u64), Tag>,
    /// The tags after all that was ever written, also what nobody has seen yet. What was lost before anybody saw it is
    /// overwritten by what takes its dots.
    written: BTreeMap<(ReplicaId, u64), Tag>,
}

impl Payloads {
    /// Nothing was written yet.
    pub(crate) fn new(may_fork: bool) -> Self {
        Self { may_fork, ..Self::default() }
    }

    /// Takes note of an edit that nobody has seen yet.
    pub(crate) fn write(&mut self, delta: &Delta) {
        let dot = delta.dot();
        self.written.insert((dot.replica, dot.seq), delta.tag());
    }

    /// Takes note of a delta; says so if its dot was seen with another payload.
    pub(crate) fn note(&mut self, delta: &Delta) -> Result<(), String> {
        let dot = delta.dot();
        let known = *self.seen.entry((dot.replica, dot.seq)).or_insert_with(|| delta.tag());
        if known == delta.tag() || self.may_fork { Ok(()) } else { Err(format!("DOT-1: {dot} has two payloads")) }
    }
}

/// A message as it is meant: packed rows, for which the connection has this roster, as whole ones, which leave out what was `said`
/// before on the same connection in the same direction.
pub(crate) fn unpacked(
    message: Message,
    roster: &Roster,
    said: &mut Said,
    payloads: &mut Payloads,
) -> Result<Message, String> {
    let Message::Packed(packed) = message else { return Ok(message) };
    let mut rows = Vec::new();
    for row in &packed.rows {
        let row = match said.unpack(row, roster).map_err(|error| format!("a row that nobody can unpack: {error}"))? {
            Unpacked::Row(row) => row,
            Unpacked::Next { replica, first_seq, bytes, .. } => {
                let Some(tag) = payloads.written.get(&(replica, first_seq - 1)) else {
                    // What was renamed is written by nobody; each replica that holds it makes it.
                    if payloads.may_fork {
                        continue;
                    }
                    return Err(format!("a row that follows {replica}:{}, which nobody wrote", first_seq - 1));
                };
                Row::Delta { prev_tag: *tag, bytes }
            }
        };
        if let Some(delta) = row.delta() {
            payloads.note(&delta.map_err(|error| format!("an undecodable row: {error}"))?)?;
        }
        rows.push(row);
    }
    Ok(Message::Rows(Rows { from: packed.from, to: packed.to, rows }))
}

/// DUR-1, DUR-2: what a client is about to send tells of no own delta that it could still lose.
pub(crate) fn may_leave(
    message: &Message,
    disk: &Disk,
    own: &[ReplicaId],
    stored: &VersionVector,
    payloads: &mut Payloads,
) -> Result<(), String> {
    // What a copy of this store has written under the same id came from the relay.
    let may_fork = payloads.may_fork;
    let safe = |what: &str, replica: ReplicaId, seq: u64| {
        let from_relay = may_fork && stored.seq(replica) >= seq;
        let exposed = own.contains(&replica) && !disk.is_safe(replica, seq) && !from_relay;
        if exposed { Err(format!("DUR-1: {what} shows {replica}:{seq}, which is not durable")) } else { Ok(()) }
    };
    let version_is_safe = |what: &str, version: &VersionVector| {
        version.iter().try_for_each(|(replica, entry)| safe(what, replica, entry.seq))
    };
    match message {
        Message::Open(open) => {
            for claim in &open.claims {
                safe("a claim", claim.replica, claim.seq)?;
            }
            for settle in &open.settles {
                settle.marks.iter().try_for_each(|mark| safe("a settle", settle.replica, mark.seq))?;
            }
            open.version.iter().try_for_each(|version| version_is_safe("Open", version))
        }
        Message::Want(want) => version_is_safe("Want", &want.version),
        Message::Diff(diff) => {
            let diff =
                codec::decode_diff(&diff.bytes).map_err(|error| format!("an undecodable diff was sent: {error}"))?;
            version_is_safe("a diff", &diff.head)
        }
        Message::Rows(rows) => {
            for row in &rows.rows {
                let Some(Ok(delta)) = row.delta() else { return Err("a row that is no delta was pushed".to_owned()) };
                payloads.note(&delta)?;
                safe("a push", delta.replica(), delta.dot().seq)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// FAN-1, ACK-1: what the relay is about to send tells of nothing that it has not stored.
pub(crate) fn may_be_shown(message: &Message, stored: &VersionVector, payloads: &mut Payloads) -> Result<(), String> {
    let shown = |what: &str, replica: ReplicaId, seq: u64| {
        let early = seq > stored.seq(replica);
        if early { Err(format!("FAN-1: {what} shows {replica}:{seq}, which is not stored")) } else { Ok(()) }
    };
    let version_is_stored = |what: &str, version: &VersionVector| {
        version.iter().try_for_each(|(replica, entry)| shown(what, replica, entry.seq))
    };
    let diff_is_stored = |bytes: &[u8]| {
        let diff = codec::decode_diff(bytes).map_err(|error| format!("an undecodable diff was sent: {error}"))?;
        version_is_stored("a diff", &diff.head)
    };
    match message {
        Message::OpenAck(ack) => {
            ack.version.iter().try_for_each(|version| version_is_stored("OpenAck", version))?;
            ack.facts.iter().try_for_each(|fact| shown("a fact", fact.replica, fact.seq))
        }
        Message::Rows(rows) => rows.rows.iter().try_for_each(|row| match row {
            Row::Diff { bytes } => diff_is_stored(bytes),
            Row::Void(_) => Ok(()),
            Row::Lease { .. } => Err("a lease was sent".to_owned()),
            Row::Delta { prev_tag, bytes } => {
                let delta = Delta::decode(bytes, *prev_tag).map_err(|error| format!("an undecodable row: {error}"))?;
                payloads.note(&delta)?;
                shown("a row", delta.replica(), delta.dot().seq)
            }
        }),
        Message::Diff(diff) => diff_is_stored(&diff.bytes),
        Message::Ack(ack) => shown("an ack", ack.replica, ack.through).map_err(|text| text.replace("FAN-1", "ACK-1")),
        Message::Durable(durable) => version_is_stored("Durable", &durable.version),
        Message::Nack(nack) => nack.version.iter().try_for_each(|version| version_is_stored("Nack", version)),
        Message::Want(want) => version_is_stored("Want", &want.version),
        _ => Ok(()),
    }
}
