//! What members push: checked, applied, appended.
//!
//! A delta is accepted if it extends its origin's chain and is ready, whoever sends it; the room parks nothing. What is refused is
//! refused by a Nack that says why, and the rest of that message is not looked at: it most likely builds upon what was refused.
//!
//! Rules: CAUSAL-2 readiness is checked, not trusted. DIFF-1 an uploaded diff must start from what is here. FORK-2 a delta at a dot that
//! is taken is the same one, or a fork (`forks`), and one that begins a void branch is never taken. BYTES-1 nothing here panics, and every count and length has a limit.

use std::sync::Arc;

use weftline::codec::{self, decode_diff};
use weftline::fault::{self, Fault};
use weftline::sync::{CloseReason, Message, Nack, NackReason, PackedRows, Retry, Row, Rows, Source, Unpacked, limits};
use weftline::{ApplyError, Delta, Diff, Outcome, Readiness, ReplicaId, VersionEntry, VersionVector};

use super::recent::LogRow;
use super::size::only_removes;
use super::{Held, MemberId, Room, Step};

/// When a member may push again what could not be stored, at the earliest. The store is tried more often than that.
const STORE_RETRY_MS: u32 = 1_000;

/// When a member may push again what a document has no place for, at the earliest: somebody must have taken something away.
const FULL_RETRY_MS: u32 = 30_000;

/// When to try again what an operator does not let anybody do. When that ends, the members are sent away, and come back at once.
pub(super) const WHILE_READ_ONLY: Retry = Retry::after_ms(60_000);

/// When a subject that has brought too many ids tries again, at the latest.
const NEWCOMER_RETRY_MS: u32 = 300_000;

/// Why a delta was not taken.
struct Refusal {
    reason: NackReason,
    retry: Retry,
    /// Whether the member is told what is here.
    with_version: bool,
}

impl From<NackReason> for Refusal {
    fn from(reason: NackReason) -> Self {
        let with_version = matches!(reason, NackReason::NotReady | NackReason::Gap);
        let retry = if with_version || reason == NackReason::Fork { Retry::BACKOFF } else { Retry::NEVER };
        Self { reason, retry, with_version }
    }
}

impl Refusal {
    /// An operator lets nobody write for now.
    fn while_read_only() -> Self {
        Self { retry: WHILE_READ_ONLY, ..NackReason::ReadOnly.into() }
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
        let Refusal { reason, retry, .. } = refusal;
        self.note(Step::Refused(reason), replica, seq, Some(id));
        self.hold(Held::Nack { member: id, nack: Nack { replica, seq, reason, retry, version } });
    }

    fn take_delta(&mut self, id: MemberId, delta: &Delta, row: &Row) -> Result<(), Refusal> {
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        let dot = delta.dot();
        if !member.rights.write {
            return Err(NackReason::ReadOnly.into());
        }
        if self.is_read_only {
            return Err(Refusal::while_read_only());
        }
        if !member.rights.may_write_as(dot.replica) {
            return Err(NackReason::TooManyReplicas.into());
        }
        if delta.bytes().len() > self.config.max_delta {
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
        self.storable(id)?;
        let removes = only_removes(delta) && !fault::active(Fault::RemovalsNeedPlace);
        let most = self.config.max_document;
        if !removes && !self.size.takes(&self.document, delta.bytes().len(), most, self.now) {
            return Err(self.refused_for_a_time(id, NackReason::DocumentFull, FULL_RETRY_MS));
        }
        if self.document.seq(dot.replica) == 0 && !known_id {
            let (most, are_many) = (self.config.max_new_replicas, self.replica_count() >= self.config.max_replicas);
            let is_within = self.may_introduce(id, 1);
            let member = self.members.get_mut(&id).expect("the member was just found");
            if member.new_replicas >= most || are_many || !is_within {
                return Err(NackReason::TooManyReplicas.into());
            }
            if let Some(wait_ms) = self.waits_to_introduce(id) {
                let ms = u32::try_from(wait_ms).unwrap_or(u32::MAX).clamp(1, NEWCOMER_RETRY_MS);
                return Err(self.refused_for_a_time(id, NackReason::TooManyReplicas, ms));
            }
            let member = self.members.get_mut(&id).expect("the member was just found");
            member.new_replicas += 1;
            self.introduces(id, 1);
            self.introduced_one(id);
        }
        self.document.apply(delta).map_err(|error| refusal_of(&error))?;
        if removes {
            self.size.removed();
        } else {
            self.size.wrote(delta.bytes().len());
        }
        self.chains.insert(delta, self.head + 1);
        let moves = [(dot.replica, VersionEntry { seq: dot.seq, tag: delta.tag() })].into_iter().collect();
        self.append_row(Some(id), row, moves);
        self.note(Step::Taken, dot.replica, dot.seq, Some(id));
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
        let rights = member.rights.clone();
        self.refills.answered(id);
        let Ok(diff) = decode_diff(bytes) else { return self.close(id, CloseReason::Protocol) };
        let fresh = diff.head.iter().filter(|(replica, _)| self.document.seq(*replica) == 0).count();
        let mut moves = diff.head.iter().filter(|(replica, entry)| entry.seq > self.document.seq(*replica));
        let is_foreign = moves.any(|(replica, _)| !rights.may_write_as(replica));
        drop(moves);
        let refused = if !rights.write {
            Some((ReplicaId::NIL, Refusal::from(NackReason::ReadOnly)))
        } else if self.is_read_only {
            Some((ReplicaId::NIL, Refusal::while_read_only()))
        } else if is_foreign {
            Some((ReplicaId::NIL, NackReason::TooManyReplicas.into()))
        } else if let Err(refusal) = self.storable(id) {
            Some((ReplicaId::NIL, refusal))
        } else if self.replica_count() + fresh > self.config.max_replicas || !self.may_introduce(id, fresh) {
            Some((ReplicaId::NIL, NackReason::TooManyReplicas.into()))
        } else if !self.size.takes(&self.document, bytes.len(), self.config.max_document, self.now) {
            // It will not be smaller next time.
            Some((
                ReplicaId::NIL,
                Refusal { reason: NackReason::DocumentFull, retry: Retry::NEVER, with_version: false },
            ))
        } else if self.document.depth_after_diff(&diff) > codec::limits::MAX_CONTAINER_DEPTH {
            Some((ReplicaId::NIL, NackReason::Invalid.into()))
        } else if self.has_moved(&diff) {
            Some((ReplicaId::NIL, NackReason::NotReady.into()))
        } else {
            match self.document.apply_diff(&diff) {
                Ok(applied) => {
                    if applied.outcome == Outcome::Applied {
                        self.introduces(id, fresh);
                        self.size.wrote(bytes.len());
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
        let Some((replica, refusal)) = refused else { return };
        self.refuse(id, replica, 0, refusal);
    }

    /// Whether anything can be stored.
    fn storable(&self, id: MemberId) -> Result<(), Refusal> {
        self.trouble
            .filter(|_| !fault::active(Fault::AppendsInTrouble))
            .map_or(Ok(()), |reason| Err(self.refused_for_a_time(id, reason, STORE_RETRY_MS)))
    }

    /// Refuses something until so much time has passed, and up to as much again: members that were refused together come back one by one.
    fn refused_for_a_time(&self, id: MemberId, reason: NackReason, ms: u32) -> Refusal {
        let spread = (id.0 ^ self.now.0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let spread = u32::try_from(spread).unwrap_or(0) % ms;
        Refusal { reason, retry: Retry::after_ms(ms + spread), with_version: false }
    }

    /// Refuses an offer while nothing of it could be stored; says whether it did.
    pub(super) fn refuses_offer(&mut self, id: MemberId) -> bool {
        let Err(refusal) = self.storable(id) else { return false };
        self.refuse(id, ReplicaId::NIL, 0, refusal);
        true
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
        let len = row.encoded_len();
        if self.piece.0 <= self.in_flight.unwrap_or(self.committed) || self.piece.1 + len > self.config.max_append {
            self.piece = (self.head, 0);
        }
        self.piece.1 += len;
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
        // Of what waits, the rows from the last piece on are committed together.
        let in_flight = self.in_flight.unwrap_or(self.committed);
        if let Some((position, Held::Ack { member, replica, through })) = self.held.back_mut()
            && (*position > in_flight.max(self.piece.0 - 1) || *position == self.head)
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
