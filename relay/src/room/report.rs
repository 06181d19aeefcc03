//! What a room tells operators about itself, and what they may ask of it.

use super::{CloseReason, Effect, Held, MemberId, PendingSnapshot, Room, RoomSnapshot, close_for};
use crate::store::Position;

/// A room at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomReport {
    /// The last position that is part of the document.
    pub head: Position,
    /// The last one that is on stable storage.
    pub committed: Position,
    /// Rows up to here are stored only as part of the snapshot.
    pub floor: Position,
    /// Bytes of the rows above it.
    pub tail_bytes: usize,
    /// Bytes of the snapshot.
    pub snapshot_bytes: usize,
    /// How many replicas have ever written.
    pub replicas: usize,
    /// Whether nothing is taken from anybody.
    pub is_read_only: bool,
    /// Who is here.
    pub members: Vec<MemberReport>,
}

/// A member at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberReport {
    /// Who.
    pub member: MemberId,
    /// How many rows it has not been sent.
    pub rows_behind: u64,
    /// Whether so much is on its way to it that nothing more is sent.
    pub is_sending: bool,
    /// Whether it is being compared, or has not been answered yet, and is sent no rows until then.
    pub is_catching_up: bool,
}

impl Room {
    /// What there is. O(members).
    pub fn report(&self) -> RoomReport {
        let member = |(id, member): (&MemberId, &super::member::Member)| MemberReport {
            member: *id,
            rows_behind: self.committed.saturating_sub(member.cursor),
            is_sending: member.is_busy(self.config.window),
            is_catching_up: !member.feeding,
        };
        RoomReport {
            head: self.head,
            committed: self.committed,
            floor: self.floor,
            tail_bytes: self.tail_bytes,
            snapshot_bytes: self.snapshot_bytes,
            replicas: self.version.len(),
            is_read_only: self.is_read_only,
            members: self.members.iter().map(member).collect(),
        }
    }

    /// How many members there are.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Takes edits from nobody any more, or from those who may write again. Then the members are closed, so that they come back and push what
    /// was refused.
    pub fn set_read_only(&mut self, is_read_only: bool) {
        if std::mem::replace(&mut self.is_read_only, is_read_only) && !is_read_only {
            let members: Vec<MemberId> = self.members.keys().copied().collect();
            for member in members {
                self.forget(member);
                self.effects.push_back(Effect::Close { member, close: close_for(CloseReason::Restart) });
            }
        }
    }

    /// Replaces the log by a snapshot, whatever its length. Says whether one is on its way now.
    pub fn compact(&mut self) -> bool {
        if self.snapshot.is_none() && self.head > self.floor {
            let bytes = RoomSnapshot::new(&self.kept, self.document.snapshot()).encode();
            self.snapshot = Some(PendingSnapshot { upto: self.head, bytes: bytes.len(), tail_bytes: 0 });
            self.hold(Held::Snapshot { bytes });
            self.release();
        }
        self.snapshot.is_some()
    }

    /// Whether a snapshot is being made or stored.
    pub fn is_compacting(&self) -> bool {
        self.snapshot.is_some()
    }
}
