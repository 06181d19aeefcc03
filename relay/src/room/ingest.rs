//! What members push: checked, applied, appended.
//!
//! A delta is accepted if it extends its origin's chain and is ready, whoever sends it; the room parks nothing. What is refused is
//! refused by a Nack that says why, and the rest of that message is not looked at: it most likely builds upon what was refused.
//!
//! Rules: CAUSAL-2 readiness is checked, not trusted. DIFF-1 an uploaded diff must start from what is here. FORK-2 a delta at a dot that
//! is taken is the same one, or a fork (`forks`), and one that begins a void branch is never taken. BYTES-1 nothing here panics, and every count and length has a limit.

use std::sync::Arc;

use weftline::codec::{self, decode_diff};
use weftline::sync::{CloseReason, Message, Nack, NackReason, PackedRows, Row, Rows, Source, Unpacked, limits};
use weftline::{ApplyError, Delta, Diff, Outcome, Readiness, ReplicaId, VersionEntry, VersionVector};

use super::recent::LogRow;
use super::{Held, MemberId, Room};

/// Why a delta was not taken.
struct Refusal {
    reason: NackReason,
    /// Whether the member is told what is here.
    with_version: bool,
}

impl From<NackReason> for Refusal {
    fn from(reason: NackReason) -> Self {
        Self { reason, with_version: matches!(reason, NackReason::NotReady | NackReason::Gap) }
    }
}

impl Room {
    pub(super) fn message(&mut self, id: MemberId, message: Message) {
        // Whoever is not known was closed; what it said meanwhile does not count (SES-3).
        let Some(member) = self.members.get(&id) else { return };
        if !member.opened {
            return self.close(id, CloseReason::Protocol);
        }
        match message {
            Message::Rows(rows) => self.pushed(id, rows),
            Message::Packed(rows) => self.pushed_packed(id, &rows),
            Message::Diff(diff) => self.uploaded(id, &diff.bytes),
            Message::Want(want) => self.want(id, want),
            Message::Offer(offer) => self.offered(id, offer),
            Message::Presence(presence) => self.show(id, presence),
            _ => self.close(id, CloseReason::Protocol),
        }
    }

    fn pushed(&mut self, id: MemberId, rows: Rows) {
        let bytes: usize = rows.rows.iter().map(Row::encoded_len).sum();
        if rows.rows.len() > 1 && bytes > limits::MAX_BATCH {
            return self.close(id, CloseReason::Limit);
        }
        self.untold.clear();
        for row in &rows.rows {
            if !self.take_row(id, row) {
                break;
            }
        }
        self.take_untold(id);
    }

    /// The same, packed. A row without the tag before it continues what this member pushed before; if that was not taken, neither is it.
    fn pushed_packed(&mut self, id: MemberId, rows: &PackedRows) {
        let bytes: usize = rows.rows.iter().map(|row| row.len()).sum();
        if rows.rows.len() > 1 && bytes > limits::MAX_BATCH {
            return self.close(id, CloseReason::Limit);
        }
        // All of them are heard, also those behind one that is refused: what comes after them continues what they said.
        let mut refused = false;
        self.untold.clear();
        for packed in &rows.rows {
            let Some(member) = self.members.get_mut(&id) else { return };
            let Ok(unpacked) = member.said.unpack(packed, &self.roster) else {
                return self.close(id, CloseReason::Protocol);
            };
            if refused {
                continue;
            }
            let row = match unpacked {
                Unpacked::Row(row) => row,
                Unpacked::Next { replica, first_seq, last_seq, bytes } => match member.pushed.get(&replica) {
                    Some(Some((seq, tag))) if seq + 1 == first_seq => Row::Delta { prev_tag: *tag, bytes },
                    before => {
                        let reason = if before == Some(&None) { NackReason::Fork } else { NackReason::Gap };
                        self.refuse(id, replica, last_seq, reason.into());
                        refused = true;
                        continue;
                    }
                },
            };
            refused = !self.take_row(id, &row);
        }
        self.take_untold(id);
    }

    /// Takes a row, or refuses it; says whether to go on.
    fn take_row(&mut self, id: MemberId, row: &Row) -> bool {
        // A diff has a message of its own, and what is not a delta has no name by which it could be refused.
        let Some(Ok(delta)) = row.delta() else {
            self.close(id, CloseReason::Protocol);
            return false;
        };
        let dot = delta.dot();
        let taken = self.take_delta(id, &delta, row);
        if let Some(member) = self.members.get_mut(&id) {
            match &taken {
                Ok(()) => _ = member.pushed.insert(dot.replica, Some((dot.seq, delta.tag()))),
                // Only of those that the log knows: of others anybody could name as many as they like.
                Err(Refusal { reason: NackReason::Fork, .. }) if self.document.seq(dot.replica) > 0 => {
                    _ = member.pushed.insert(dot.replica, None);
                }
                Err(_) => _ = member.pushed.remove(&dot.replica),
            }
        }
        let Err(refusal) = taken else { return true };
        self.refuse(id, dot.replica, dot.seq, refusal);
        false
    }

    fn refuse(&mut self, id: MemberId, replica: ReplicaId, seq: u64, refusal: Refusal) {
        let version = refusal.with_version.then(|| self.document.version());
        self.hold(Held::Nack { member: id, nack: Nack { replica, seq, reason: refusal.reason, version } });
    }

    fn take_delta(&mut self, id: MemberId, delta: &Delta, row: &Row) -> Result<(), Refusal> {
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        let dot = delta.dot();
        if !member.may_write {
            return Err(NackReason::ReadOnly.into());
        }
        if delta.bytes().len() > limits::MAX_DELTA {
            return Err(NackReason::TooLarge.into());
        }
        let known_id = member.leases.contains(&dot.replica);
        if self.is_void(delta) {
            return Err(NackReason::Fork.into());
        }
        let readiness = match self.document.check(delta) {
            Err(ApplyError::Fork { .. }) => {
                self.found_fork(id, delta);
                return Err(NackReason::Fork.into());
            }
            checked => checked.map_err(|error| refusal_of(&error))?,
        };
        match readiness {
            Readiness::Known => {
                // Only the newest delta of an origin is compared by the document.
                match self.is_known(id, delta) {
                    Some(true) => {
                        self.untold.retain(|before| before.replica() != dot.replica);
                        self.hold_ack(id, dot.replica, dot.seq);
                    }
                    Some(false) => {
                        self.found_fork(id, delta);
                        return Err(NackReason::Fork.into());
                    }
                    None => self.untold.push(delta.clone()),
                }
                return Ok(());
            }
            Readiness::NotReady => {
                let gap = delta.first_seq() > self.document.seq(dot.replica) + 1;
                return Err(if gap { NackReason::Gap } else { NackReason::NotReady }.into());
            }
            Readiness::Ready => {}
        }
        if self.document.depth_after(delta) > codec::limits::MAX_CONTAINER_DEPTH {
            return Err(NackReason::Invalid.into());
        }
        if self.document.seq(dot.replica) == 0 && !known_id {
            let (most, are_many) = (self.config.max_new_replicas, self.replica_count() >= self.config.max_replicas);
            let member = self.members.get_mut(&id).expect("the member was just found");
            if member.new_replicas >= most || are_many {
                return Err(NackReason::TooManyReplicas.into());
            }
            member.new_replicas += 1;
        }
        self.document.apply(delta).map_err(|error| refusal_of(&error))?;
        self.chains.insert(delta, self.head + 1);
        let moves = [(dot.replica, VersionEntry { seq: dot.seq, tag: delta.tag() })].into_iter().collect();
        self.append_row(Some(id), row, moves);
        self.hold_ack(id, dot.replica, dot.seq);
        Ok(())
    }

    /// What nothing tells to be another one than the log's, nor what was pushed with it, is the log's.
    fn take_untold(&mut self, id: MemberId) {
        for delta in std::mem::take(&mut self.untold) {
            self.hold_ack(id, delta.replica(), delta.last_seq());
        }
    }

    /// A client gives back what the relay lost.
    fn uploaded(&mut self, id: MemberId, bytes: &Arc<[u8]>) {
        let Some(member) = self.members.get(&id) else { return };
        let may_write = member.may_write;
        self.refills.answered(id);
        let Ok(diff) = decode_diff(bytes) else { return self.close(id, CloseReason::Protocol) };
        let fresh = diff.head.iter().filter(|(replica, _)| self.document.seq(*replica) == 0).count();
        let refused = if !may_write {
            Some((ReplicaId::NIL, Refusal::from(NackReason::ReadOnly)))
        } else if self.replica_count() + fresh > self.config.max_replicas {
            Some((ReplicaId::NIL, NackReason::TooManyReplicas.into()))
        } else if self.document.depth_after_diff(&diff) > codec::limits::MAX_CONTAINER_DEPTH {
            Some((ReplicaId::NIL, NackReason::Invalid.into()))
        } else if self.has_moved(&diff) {
            Some((ReplicaId::NIL, NackReason::NotReady.into()))
        } else {
            match self.document.apply_diff(&diff) {
                Ok(applied) => {
                    if applied.outcome == Outcome::Applied {
                        let row = Row::Diff { bytes: Arc::clone(bytes) };
                        self.append_row(Some(id), &row, diff.head);
                    }
                    let version = self.document.version();
                    return self.hold(Held::Durable { member: id, version });
                }
                Err(error) => {
                    let origin = if let ApplyError::Fork { replica, .. } = error { replica } else { ReplicaId::NIL };
                    Some((origin, refusal_of(&error)))
                }
            }
        };
        let Some((replica, Refusal { reason, with_version })) = refused else { return };
        let version = with_version.then(|| self.document.version());
        self.hold(Held::Nack { member: id, nack: Nack { replica, seq: 0, reason, version } });
    }

    /// Whether an origin that a diff brings on has moved here since its base, to another place. A diff tells the tag at its end only, so
    /// whether what is here and what it brings are of one branch cannot be known; were they not, it would be taken in part. Its maker
    /// is told how far this log is now, and begins there.
    fn has_moved(&self, diff: &Diff) -> bool {
        diff.head.iter().any(|(replica, entry)| {
            let here = self.document.seq(replica);
            diff.base.seq(replica) < here && here != entry.seq
        })
    }

    /// `moves` is what the row adds to the version.
    pub(super) fn append_row(&mut self, pusher: Option<MemberId>, row: &Row, moves: VersionVector) {
        self.head += 1;
        self.kept.fold(row, self.head);
        for (replica, _) in moves.iter() {
            self.roster.add(replica);
            self.refills.moved();
        }
        // Rows without a pusher say nothing that a later one could do without.
        let at = Source { position: self.head, pusher: pusher.map_or(u64::MAX, |pusher| pusher.0) };
        self.appending.push_back(LogRow {
            position: self.head,
            before: self.log_said.tell(row, at),
            bytes: row.encode().into(),
            moves,
            pusher,
            is_private: matches!(row, Row::Lease { .. }),
            named: self.roster.len(),
        });
    }

    /// One ack for all that is committed together.
    fn hold_ack(&mut self, id: MemberId, origin: ReplicaId, seq: u64) {
        let in_flight = self.in_flight.unwrap_or(self.committed);
        if let Some((position, Held::Ack { member, replica, through })) = self.held.back_mut()
            && (*position > in_flight || *position == self.head)
            && (*member, *replica) == (id, origin)
        {
            *position = self.head;
            *through = seq.max(*through);
            return;
        }
        self.hold(Held::Ack { member: id, replica: origin, through: seq });
    }

    fn replica_count(&self) -> usize {
        // What is being appended may add a few that are counted at the commit.
        self.version.len() + self.appending.len().min(self.config.max_new_replicas)
    }
}

fn refusal_of(error: &ApplyError) -> Refusal {
    match error {
        ApplyError::Fork { .. } => NackReason::Fork,
        ApplyError::BaseNotCovered { .. } => NackReason::NotReady,
        ApplyError::TooManyReplicas { .. } => NackReason::TooManyReplicas,
        _ => NackReason::Invalid,
    }
    .into()
}
