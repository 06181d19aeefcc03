//! Diffs on their way to members: whole if they are short, else in parts, the next when the last was taken.
//!
//! A long diff is kept for a while after it was last asked for. A member whose connection broke says how much of it has arrived, and is sent
//! the rest, whatever was written meanwhile: the diff leads to the position that it was made at, and the rows after that follow. If the diff
//! is not kept any more, another is made, and if that has the same bytes, as it has when nothing was written, it goes on all the same. Whoever
//! asks from the same version in the meantime gets the same bytes, so that many newcomers cost one diff.
//!
//! Rules: DIFF-6 a part means nothing by itself. FAN-1 a diff is kept, and sent, only when what it was made at is committed.

use bytes::Bytes;
use weftline::fault::{self, Fault};
use weftline::sync::{DiffMessage, Message, MessageKind, PackedRows, Part, Row, Rows, Staged, diff_id, pack};
use weftline::{Diff, Timestamp, VersionVector};

use super::member::{Member, Question};
use super::{MemberId, Room};
use crate::store::Position;

/// How long a diff is kept for those who come back.
const KEEP_MS: u64 = 30_000;

/// A diff, encoded, and the position that it leads to.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) position: Position,
    bytes: Bytes,
    /// The version it starts from, if it was made by that alone.
    base: Option<VersionVector>,
}

impl Made {
    pub(super) fn new(position: Position, diff: &Diff, base: Option<VersionVector>) -> Self {
        Self { position, bytes: weftline::codec::encode_diff(diff).into(), base }
    }

    /// How many bytes the diff has.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// A long diff that is on its way to a member.
#[derive(Debug)]
pub(super) struct Transfer {
    position: Position,
    id: [u8; 16],
    bytes: Bytes,
    /// How much of it was sent, or had arrived before.
    sent: usize,
    /// Void facts up to here are known to the member.
    voids_upto: Position,
}

/// The diffs that are kept.
#[derive(Debug, Default)]
pub(super) struct Diffs(Vec<KeptDiff>);

#[derive(Debug)]
struct KeptDiff {
    id: [u8; 16],
    made: Made,
    until: Timestamp,
}

impl Diffs {
    /// When the next one is to be forgotten.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.0.iter().map(|kept| kept.until).min()
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|kept| kept.until > now);
    }

    /// Keeps a diff, at the cost of those that were asked for longest ago.
    fn keep(&mut self, id: [u8; 16], made: &Made, now: Timestamp, max_bytes: usize) {
        self.0.retain(|kept| kept.id != id);
        self.0.push(KeptDiff { id, made: made.clone(), until: now.plus_ms(KEEP_MS) });
        let mut bytes: usize = self.0.iter().map(|kept| kept.made.bytes.len()).sum();
        while bytes > max_bytes {
            bytes -= self.0.remove(0).made.bytes.len();
        }
    }
}

impl Room {
    /// A diff that was made before and serves a member as well as one made now: that of which it has a part, or one from the same version.
    pub(super) fn kept_diff(&self, staged: Option<Staged>, base: Option<&VersionVector>) -> Option<Made> {
        let serves = |kept: &&KeptDiff| {
            let is_asked = staged.is_some_and(|staged| staged.id == kept.id);
            let is_same = base.is_some() && kept.made.base.as_ref() == base;
            let readable = kept.made.position >= self.floor || self.recent.reaches(kept.made.position);
            (is_asked || is_same) && readable
        };
        self.diffs.0.iter().rev().find(serves).map(|kept| kept.made.clone())
    }

    /// Sends a diff, or begins to.
    pub(super) fn tell_diff(&mut self, id: MemberId, made: Made) {
        let max_diff = self.config.max_part;
        let Some(member) = self.members.get_mut(&id) else { return };
        let known = member.voids_upto.max(member.told);
        let voids_upto = if fault::active(Fault::DiffHidesVoids) { made.position } else { known };
        member.start_at(made.position);
        let Made { position, ref bytes, .. } = made;
        self.counts.diffs += 1;
        self.counts.diff_bytes += bytes.len() as u64;
        member.voids_upto = position;
        if bytes.len() <= max_diff {
            let message = Message::Diff(DiffMessage { position, bytes: bytes[..].into() });
            self.send_bulk(id, MessageKind::Diff, message.encode_body().into());
            self.answered(id);
            return self.tell_voids(id, voids_upto, position);
        }
        let name = diff_id(bytes);
        let total = bytes.len();
        let staged = member.staged.take().filter(|staged| staged.id == name && staged.len <= total as u64);
        let sent = staged.map_or(0, |staged| staged.len as usize);
        member.transfer = Some(Transfer { position, id: name, bytes: bytes.clone(), sent, voids_upto });
        self.diffs.keep(name, &made, self.now, self.config.kept_bytes);
        self.send_parts(id);
    }

    /// Sends as many parts of the diff that is on its way to a member as may be on their way together.
    pub(super) fn send_parts(&mut self, id: MemberId) {
        let window = self.config.window;
        let more = |member: &Member| member.transfer.is_some() && !member.is_busy(window);
        while self.members.get(&id).is_some_and(more) {
            self.send_part(id);
        }
    }

    /// Sends the next part of the diff that is on its way to a member.
    fn send_part(&mut self, id: MemberId) {
        let max_part = self.config.max_part;
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(transfer) = &mut member.transfer else { return };
        let Transfer { position, id: name, bytes, sent, voids_upto } = transfer;
        let (position, voids_upto) = (*position, *voids_upto);
        let (offset, total) = (*sent, bytes.len());
        *sent = total.min(offset + max_part);
        let body = Part::encode_shared(position, total as u64, name, offset as u64, &bytes[offset..*sent]);
        let is_last = *sent == total;
        if is_last {
            member.transfer = None;
        }
        self.send_bulk(id, MessageKind::Part, body.into());
        if is_last {
            self.answered(id);
            self.tell_voids(id, voids_upto, position);
        }
    }

    /// A diff went out as a whole. Whoever has room for more may ask for another one; who has not, when it has taken this one.
    fn answered(&mut self, id: MemberId) {
        let window = self.config.window;
        if let Some(member) = self.members.get_mut(&id).filter(|member| !member.is_busy(window)) {
            member.question = Question::None;
        }
    }

    /// A diff stands for the rows up to its position, but for the void facts among them.
    fn tell_voids(&mut self, id: MemberId, after: Position, upto: Position) {
        let voids: Vec<Row> = self.kept.voids_between(after, upto).map(Row::Void).collect();
        if let Some(member) = self.members.get(&id).filter(|_| !voids.is_empty()) {
            let (from, to) = (upto + 1, upto);
            let message = if member.packed {
                let rows = voids.iter().map(|row| pack(row, &self.roster, true).into()).collect();
                Message::Packed(PackedRows { from, to, new_ids: Vec::new(), rows })
            } else {
                Message::Rows(Rows { from, to, rows: voids })
            };
            self.send(id, &message);
        }
    }
}
