//! What the relay says, message by message.
//!
//! Rules: SES-1. ACK-1 to ACK-4. CUR-2 the cursor moves by contiguous rows only, CUR-3 catching up ends with a comparison
//! of version hashes. ID-5, ID-6: the relay tells facts, the judgement is made here, from the state of the moment.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::opening::check;
use super::{FOREVER, Output, Replica};
use crate::clock::{Dot, Timestamp, VersionEntry, VersionVector};
use crate::codec;
use crate::delta::Delta;
use crate::document::{ApplyError, Outcome, Readiness};
use crate::fault::{self, Fault};
use crate::ordered::retain;
use crate::replica_id::ReplicaId;
use crate::sync::link::{Refill, Stage};
use crate::sync::message::{
    Ack, CaughtUp, Close, CloseReason, DiffMessage, Durable, Fact, Goodbye, Message, Nack, NackReason, OpenAck,
    PackedRows, Part, Resume, Retry, Rows, Want,
};
use crate::sync::outbox::Verdict;
use crate::sync::packed::Unpacked;
use crate::sync::record::{Class, Cursor, Record};
use crate::sync::roster::Roster;
use crate::sync::row::Row;
use crate::sync::session::ProtocolError;
use crate::sync::slot::LeaseVerdict;
use crate::sync::staging::{Misplaced, Staging};
use crate::sync::status::Refusal;
use crate::sync::wire::told;

/// A row as it was sent.
enum Sent {
    Whole(Row),
    Packed(Arc<[u8]>),
}

impl Replica {
    pub(super) fn receive(&mut self, now: Timestamp, message: Message) -> Result<(), ProtocolError> {
        self.heard(now, message)?;
        self.rebuild_once_told();
        Ok(())
    }

    fn heard(&mut self, now: Timestamp, message: Message) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let unexpected = |what| Err(ProtocolError::Unexpected { what: told(what) });
        match message {
            Message::Close(Close { reason, retry }) | Message::Goodbye(Goodbye { reason, retry }) => {
                self.turned_away(Close { reason, retry });
            }
            Message::Token(_) => self.outputs.push(Output::TokenWanted),
            Message::OpenAck(ack) if connection.stage == Stage::Opening => return self.opened(ack),
            Message::OpenAck(_) => return unexpected("OpenAck"),
            _ if !connection.is_answered() => return unexpected("message before OpenAck"),
            Message::Diff(diff) if connection.rebuilding => return self.rebuild(&diff),
            Message::Part(part) if connection.rebuilding => return self.part(&part),
            _ if connection.rebuilding => {}
            Message::Rows(Rows { from, to, rows }) => {
                let mut sent = Vec::new();
                for row in rows {
                    sent.push(Sent::Whole(row));
                }
                return self.rows(from, to, sent);
            }
            Message::Packed(rows) => return self.packed(rows),
            Message::Diff(diff) => return self.diff(&diff),
            Message::Part(part) => return self.part(&part),
            Message::CaughtUp(reached) => {
                // Whoever is here was told of before.
                let gone = self.peers.settle();
                self.told_of(gone);
                return self.caught_up(reached);
            }
            Message::Presence(presence) => {
                let news = self.peers.receive(now, presence);
                self.told_of(news);
            }
            // One that crosses a Want was said before that arrived, which is answered all the same.
            Message::Ask if connection.wanted => {}
            Message::Ask => {
                // Its horizon may have risen since OpenAck told it: as far as anything that the relay has.
                connection.horizon = connection.relay.clone();
                self.want();
            }
            Message::Want(want) => return self.asked(want),
            Message::Ack(ack) => {
                self.acked(&ack);
                return self.ask_again();
            }
            Message::Durable(durable) => {
                self.refilled(durable);
                return self.ask_again();
            }
            Message::Nack(nack) => return self.refused(now, &nack),
            Message::Hello(_) | Message::Open(_) | Message::Offer(_) | Message::Ping | Message::Pong => {
                return unexpected("message of a client");
            }
        }
        Ok(())
    }

    /// Whatever the reason was, what the relay says of coming back is the answer.
    fn turned_away(&mut self, close: Close) {
        // This is the connection that counts (SES-1): whoever took it over writes under the same id, and is not us (ID-5).
        if close.reason == CloseReason::Superseded && !fault::active(Fault::SupersededGoesOn) {
            self.retire_writer();
        }
        if let Some(connection) = &mut self.connection {
            connection.stage = Stage::Closed;
        }
        self.closed = Some(close);
        self.outputs.push(Output::Disconnect { retry: close.retry });
    }

    fn opened(&mut self, ack: OpenAck) -> Result<(), ProtocolError> {
        self.learn_voids(&ack.voids);
        let may_rebuild = self.may_rebuild();
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if connection.stage == Stage::Closed {
            return Ok(());
        }
        connection.stage = Stage::CatchingUp;
        connection.epoch = ack.epoch;
        self.closed = None;
        if connection.rebuilding {
            return self.rebuilding(ack);
        }
        // The same version and nothing here beyond it, yet other payloads: some dot was bound twice, unnoticed (FORK-2).
        let same = ack.version.is_none() && self.outbox.len() == 0;
        connection.diverged = same && ack.beacon != self.document.beacon();
        if connection.diverged && may_rebuild {
            self.must_rebuild(ReplicaId::NIL);
            return Ok(());
        }
        if let Some(version) = ack.version {
            connection.relay = version;
            connection.horizon = ack.horizon;
        }
        connection.pushed = connection.relay.clone();
        connection.heard = connection.relay.clone();
        if let Some(news) = &ack.roster {
            let roster = Roster::from_news(news, &connection.relay);
            connection.roster = Some(roster.map_err(|_| ProtocolError::Invalid { what: told("roster") })?);
        }
        let relay = connection.relay.clone();
        match ack.resume {
            Resume::Tail => {
                connection.position = self.cursor.map_or(0, |cursor| cursor.position);
            }
            Resume::Same => {
                connection.position = ack.head;
                self.move_cursor(Vec::new());
            }
            Resume::Diff => connection.wanted = true,
            Resume::Ask => self.want(),
        }

        let mut lost = false;
        for fact in &ack.facts {
            self.judge(fact);
            lost |= self.judge_lease(fact);
        }
        if lost {
            self.hang_up(CloseReason::Done, Retry::after_ms(0));
            return Ok(());
        }
        for (replica, entry) in relay.iter() {
            let here = self.document.chain(replica);
            if here.seq == entry.seq && here.tag != entry.tag && !self.outbox.has(replica) {
                self.contradicted(replica, entry.seq);
            }
        }
        // Edits made since Open was sent have no fact; another tab may have pushed them meanwhile.
        self.judge_by(&relay);
        self.outbox.rewind(&relay);
        // ACK-5: what the relay lacks of any origin, beyond what the outbox will bring, goes up as a diff.
        let settled = self.settled_version();
        let lacks = settled.iter().any(|(id, entry)| entry.seq > relay.seq(id) && !self.outbox.is_stuck(id));
        if lacks && !fault::active(Fault::AckedOnlyGrows) {
            self.need_refill();
        }
        self.push();
        Ok(())
    }

    /// What a fact means for an id of ours.
    fn judge(&mut self, fact: &Fact) {
        let own = self.slot.replica() == Some(fact.replica);
        let here = self.document.chain(fact.replica);
        let verdict = self.outbox.judge(fact);
        if let Some(Verdict::Agrees { through } | Verdict::Unsure { through } | Verdict::Differs { through }) = verdict
        {
            self.empty_outbox(fact.replica, through);
        }
        let differs = match verdict {
            Some(Verdict::Agrees { .. }) => false,
            Some(Verdict::Unsure { .. } | Verdict::Differs { .. }) => {
                self.outbox.doubt(fact.replica, fact.seq);
                matches!(verdict, Some(Verdict::Differs { .. }))
            }
            None => fact.seq == here.seq && fact.tag != here.tag,
        };
        // Longer than ours *now*: somebody else writes this id, or this store was rolled back (ID-5). Nothing is lost: the
        // rest of the chain comes down like everything else.
        let claimed = self.connection.as_ref().and_then(|connection| connection.claimed);
        let seq = if fault::active(Fault::JudgedByClaim) { claimed.unwrap_or(here.seq) } else { here.seq };
        if own && (fact.seq > seq || differs) {
            self.retire_writer();
        }
    }

    /// Whether we may go on writing under an id of ours; whether the lease has to be asked for again.
    fn judge_lease(&mut self, fact: &Fact) -> bool {
        let claimed = self.connection.as_ref().and_then(|connection| connection.claimed);
        match self.slot.judge(fact) {
            // Losing this costs a longer claim, nothing more.
            Some(LeaseVerdict::Ours(Some(record))) => _ = self.persist(Class::Relaxed, vec![record]),
            Some(LeaseVerdict::Foreign) if !fault::active(Fault::CloneUnnoticed) => self.retire_writer(),
            // Another tab has pushed for us meanwhile, so that what we claimed was behind when it was looked at. That is
            // no reason to give anything up (ID-5).
            Some(LeaseVerdict::Withheld) if claimed.is_some_and(|claimed| fact.seq > claimed) => {
                if fault::active(Fault::RaceRetires) {
                    self.retire_writer();
                }
                return true;
            }
            _ => {}
        }
        false
    }

    /// The relay durably has what `version` covers: as far as that is in the outbox, it is acked.
    fn judge_by(&mut self, version: &VersionVector) {
        for replica in self.outbox.replicas() {
            // A chain that goes on beyond ours is not judged by its end.
            if let Some(VersionEntry { seq, tag }) = version.get(replica)
                && seq <= self.document.seq(replica)
            {
                self.judge(&Fact { replica, seq, tag, same_upto: 0, lease: None });
            }
        }
    }

    /// Rows of a session: what is new in the roster, and the rows, if there are any.
    fn packed(&mut self, rows: PackedRows) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let Some(roster) = &mut connection.roster else {
            return Err(ProtocolError::Unexpected { what: told("packed rows") });
        };
        for id in rows.new_ids {
            roster.add(id);
        }
        if rows.from > rows.to && rows.rows.is_empty() {
            return Ok(());
        }
        let mut sent = Vec::new();
        for row in rows.rows {
            sent.push(Sent::Packed(row));
        }
        self.rows(rows.from, rows.to, sent)
    }

    /// What was packed; `None` if all of it is here already.
    fn unpack(&mut self, packed: &[u8]) -> Result<Option<Row>, ProtocolError> {
        let invalid = ProtocolError::Invalid { what: told("packed row") };
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let Some(roster) = &connection.roster else { return Err(invalid) };
        let (replica, first_seq, last_seq, bytes) =
            match connection.log_said.unpack(packed, roster).map_err(|_| invalid.clone())? {
                Unpacked::Row(row) => return Ok(Some(row)),
                Unpacked::Next { replica, first_seq, last_seq, bytes } => (replica, first_seq, last_seq, bytes),
            };
        match connection.heard.get(replica) {
            Some(entry) if entry.seq + 1 == first_seq || fault::active(Fault::TagGuessed) => {
                Ok(Some(Row::Delta { prev_tag: entry.tag, bytes }))
            }
            // Another tab pushed it for us, and the ack for what we pushed after it has overtaken it.
            Some(entry) if entry.seq >= last_seq && self.document.seq(replica) >= last_seq => Ok(None),
            _ => Err(invalid),
        }
    }

    fn rows(&mut self, from: u64, to: u64, rows: Vec<Sent>) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        // A batch about no position repeats what a diff cannot say.
        if from != connection.position + 1 || to < connection.position {
            return Err(ProtocolError::Unexpected { what: told("position of rows") });
        }
        connection.position = to;
        let mut records = Vec::new();
        for sent in rows {
            let row = match sent {
                Sent::Whole(row) => row,
                Sent::Packed(packed) => match self.unpack(&packed)? {
                    Some(row) => row,
                    None => continue,
                },
            };
            let outcome = match (row.delta(), &row) {
                (Some(delta), _) => {
                    let delta = delta.map_err(|_| ProtocolError::Invalid { what: told("delta") })?;
                    let outcome = self.apply_delta(&delta)?;
                    if outcome == Outcome::Applied
                        && let Some(record) = self.positions_of(&delta)
                    {
                        records.push(record);
                    }
                    outcome
                }
                (None, Row::Diff { bytes }) => self.apply_diff_bytes(bytes)?,
                (None, Row::Void(fact)) => {
                    self.learn_voids(&[*fact]);
                    Outcome::Known
                }
                (None, _) => return Err(ProtocolError::Invalid { what: told("row") }),
            };
            if outcome != Outcome::Known {
                records.push(Record::Row(row));
            }
        }
        self.move_cursor(records);
        self.push();
        // The log is in causal order, so what is not ready now builds upon something that is missing here for good: most
        // likely structure of the dead that a full diff had no reason to bring. A diff brings what the living hang on.
        let waiting = self.document.parked() > 0;
        let asked = self.connection.as_ref().is_none_or(|connection| connection.wanted || connection.passed_over);
        if waiting && !asked && !fault::active(Fault::NeverRepair) { self.repair() } else { Ok(()) }
    }

    fn apply_delta(&mut self, delta: &Delta) -> Result<Outcome, ProtocolError> {
        let last = delta.dot();
        let moves = VersionVector::of(last.replica, VersionEntry { seq: last.seq, tag: delta.tag() });
        self.relay_has(&moves);
        // Whoever sees the log go on otherwise needs no fact from the relay, which may have forgotten how it went on there.
        if let Some(fact) = self.outbox.branch_beside(delta) {
            self.learn_voids(&[fact]);
        }
        // A row of the log that another tab pushed for us is as good as an ack (FAN-1).
        self.judge_by(&moves);
        // ID-6: a delta of our own id beyond our own chain was made by somebody else.
        let longer = last.seq > self.document.seq(last.replica) && !fault::active(Fault::OwnRowIgnored);
        if self.slot.replica() == Some(last.replica) && longer {
            self.retire_writer();
        }
        match self.document.apply(delta) {
            Ok(applied) => {
                self.show(applied.changes);
                Ok(applied.outcome)
            }
            Err(ApplyError::Fork { replica, .. }) => {
                self.contradicted(replica, last.seq);
                Ok(Outcome::Known)
            }
            // Nothing is lost by dropping it: the comparison at the end of catching up finds that it is missing.
            Err(ApplyError::TooMuchParked { .. }) => Ok(Outcome::Known),
            Err(_) => Err(ProtocolError::Invalid { what: told("delta") }),
        }
    }

    fn apply_diff_bytes(&mut self, bytes: &[u8]) -> Result<Outcome, ProtocolError> {
        let diff = codec::decode_diff(bytes).map_err(|_| ProtocolError::Invalid { what: told("diff") })?;
        self.relay_has(&diff.head);
        self.judge_by(&diff.head);
        if let Some(own) = self.slot.replica().filter(|_| !fault::active(Fault::OwnRowIgnored))
            && diff.head.seq(own) > self.document.seq(own)
        {
            self.retire_writer();
        }
        if self.is_doubted(&diff.head) {
            return Ok(Outcome::Known);
        }
        match self.document.apply_diff(&diff) {
            Ok(applied) => {
                self.show(applied.changes);
                Ok(applied.outcome)
            }
            // Of two branches of one chain, each made a bunch of its own at one dot.
            Err(ApplyError::Fork { replica, .. } | ApplyError::BunchConflict { bunch: Dot { replica, .. } }) => {
                self.contradicted(replica, diff.head.seq(replica));
                Ok(Outcome::Known)
            }
            Err(ApplyError::BaseNotCovered { .. }) => Ok(Outcome::Known),
            Err(_) => Err(ProtocolError::Invalid { what: told("diff") }),
        }
    }

    /// Whether a diff goes on beyond what waits here for its ack, so that nobody can tell whether it is of the same branch: it says the
    /// tag at its end only. Joined, it would put the rest of one branch upon the beginning of another. It is left alone: what waits is
    /// pushed, which tells, and then the relay is asked again.
    fn is_doubted(&mut self, head: &VersionVector) -> bool {
        let mut waiting = self.outbox.replicas();
        retain(&mut waiting, |id| self.outbox.is_within(*id, head.seq(*id)));
        if waiting.is_empty() || fault::active(Fault::DiffUponUnacked) {
            return false;
        }
        for replica in waiting {
            self.outbox.doubt(replica, head.seq(replica));
        }
        if let Some(connection) = &mut self.connection {
            connection.passed_over = true;
        }
        true
    }

    /// What waited is known to be the relay's: the diff that was left alone is asked for again.
    fn ask_again(&mut self) -> Result<(), ProtocolError> {
        match &mut self.connection {
            Some(connection) if connection.passed_over && !connection.wanted && !self.outbox.is_any_unsure() => {
                connection.passed_over = false;
                self.repair()
            }
            _ => Ok(()),
        }
    }

    fn diff(&mut self, message: &DiffMessage) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if !connection.wanted {
            return Err(ProtocolError::Unexpected { what: told("Diff") });
        }
        connection.wanted = false;
        // It was asked for later than any that was left alone, and stands for it.
        connection.passed_over = false;
        connection.position = message.position;
        let outcome = self.apply_diff_bytes(&message.bytes)?;
        let row = Row::Diff { bytes: message.bytes.clone() };
        self.move_cursor(if outcome == Outcome::Known { Vec::new() } else { vec![Record::Row(row)] });
        self.push();
        Ok(())
    }

    /// A part of a diff: it is applied when it is whole (DIFF-6).
    fn part(&mut self, part: &Part) -> Result<(), ProtocolError> {
        let rebuilding = self.connection.as_ref().is_some_and(|connection| connection.rebuilding);
        if !rebuilding && self.connection.as_ref().is_none_or(|connection| !connection.wanted) {
            return Err(ProtocolError::Unexpected { what: told("Part") });
        }
        match self.staging.take(part) {
            Ok(None) => Ok(()),
            Ok(Some(bytes)) => {
                let message = DiffMessage { position: part.position, bytes };
                if rebuilding { self.rebuild(&message) } else { self.diff(&message) }
            }
            Err(Misplaced) => {
                self.staging = Staging::default();
                Err(ProtocolError::Invalid { what: told("part") })
            }
        }
    }

    fn caught_up(&mut self, reached: CaughtUp) -> Result<(), ProtocolError> {
        let mut settled = self.settled_version();
        let Some(connection) = &self.connection else { return Ok(()) };
        if settled.hash() != reached.version_hash && !connection.wanted {
            // Of a chain that another tab went on with, only now is here what the relay was told to have: it says that ours is
            // in it.
            let relay = connection.relay.clone();
            self.judge_by(&relay);
            settled = self.settled_version();
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if connection.wanted || connection.passed_over {
            // Said before our Want arrived; another one follows the diff.
            return Ok(());
        }
        if reached.position != connection.position {
            return Err(ProtocolError::Unexpected { what: told("position of CaughtUp") });
        }
        connection.stage = Stage::Live;
        if self.document.parked() == 0 && settled.hash() == reached.version_hash {
            connection.repaired();
            self.staging = Staging::default();
            if !connection.diverged {
                self.rebuilt = 0;
            }
            return Ok(());
        }
        // CUR-3. Two differences are no fault of the cursor: the relay is being refilled, or a branch is stuck here.
        let lacks = settled.iter().any(|(id, entry)| entry.seq > connection.relay.seq(id));
        if connection.refill != Refill::None || self.outbox.is_any_stuck() {
            return Ok(());
        }
        if lacks {
            connection.need_refill();
            self.push();
            return Ok(());
        }
        self.repair()
    }

    /// The rows received do not add up to what the relay has: a diff takes their place.
    fn repair(&mut self) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.repair()?;
        connection.stage = Stage::CatchingUp;
        self.cursor = None;
        self.persist(Class::Relaxed, vec![Record::Cursor(Cursor::NONE)]);
        self.want();
        Ok(())
    }

    /// Asks for everything that is missing here; below the relay's horizon by a digest.
    fn want(&mut self) {
        let version = self.durable_version();
        let Some(connection) = &mut self.connection else { return };
        connection.wanted = true;
        let below = connection.horizon.iter().any(|(replica, entry)| entry.seq > version.seq(replica));
        // What an edit that is not durable removed still lives at the durable version; and nobody must be told (DUR-1).
        let whole = self.outbox.unstored(self.stored) == 0 && !self.document.in_transaction();
        let want =
            if below && whole && !version.is_empty() { Want::by_digest(&self.document) } else { Want::since(version) };
        self.send(&Message::Want(want));
    }

    /// The relay says what lives there, because it was asked.
    fn asked(&mut self, want: Want) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if connection.refill != Refill::Asked {
            return Err(ProtocolError::Unexpected { what: told("Want") });
        }
        connection.refill = Refill::Needed;
        connection.digest = Some(want);
        self.push();
        Ok(())
    }

    fn acked(&mut self, ack: &Ack) {
        let here = self.document.version().get(ack.replica).filter(|entry| entry.seq <= ack.through);
        let pushed = self.outbox.tag(ack.replica, ack.through).map(|tag| VersionEntry { seq: ack.through, tag });
        self.empty_outbox(ack.replica, ack.through);
        if let Some(entry) = here {
            self.relay_has(&VersionVector::of(ack.replica, entry));
        }
        let pushed = pushed.filter(|_| !fault::active(Fault::AckNotHeard));
        if let (Some(entry), Some(connection)) = (pushed, &mut self.connection) {
            connection.heard.join(&VersionVector::of(ack.replica, entry));
        }
        self.sent_up_to(ack.position);
        self.taken();
        self.push();
    }

    /// An uploaded diff is durable.
    fn refilled(&mut self, durable: Durable) {
        self.judge_by(&durable.version);
        self.relay_has(&durable.version);
        if let Some(connection) = &mut self.connection {
            connection.refill = Refill::None;
            connection.pushed = connection.relay.clone();
            let relay = &connection.relay;
            self.outbox.rewind(relay);
        }
        self.sent_up_to(durable.position);
        self.taken();
        self.push();
    }

    fn refused(&mut self, now: Timestamp, nack: &Nack) -> Result<(), ProtocolError> {
        let &Nack { replica, seq, reason, retry, .. } = nack;
        let later = match reason {
            // Nothing else would be taken either. Another token may change that, or another connection.
            NackReason::ReadOnly if !fault::active(Fault::ReadersPush) => Some(FOREVER),
            _ => retry.delay_ms().map(|ms| now.plus_ms(ms.into())),
        };
        let diff = seq == 0;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        // What follows a delta that is stuck, or will be pushed again, has a gap before it: that asks for nothing.
        let stuck = !diff && (connection.paused.is_some() || self.outbox.is_stuck(replica));
        if !matches!(reason, NackReason::NotReady | NackReason::Gap | NackReason::Fork) {
            self.refused = Some(Refusal { dot: Dot::new(replica, seq), reason, retry });
        }
        match nack.reason {
            NackReason::NotReady | NackReason::Gap => {
                // What was pushed after it is refused for the same reason: one diff answers all of that.
                if stuck || (!diff && connection.refill != Refill::None) {
                    connection.said_in_vain();
                    return Ok(());
                }
                connection.repair()?;
                if let Some(version) = &nack.version {
                    connection.relay = version.clone();
                }
                connection.refill = Refill::Needed;
            }
            NackReason::Fork if diff => self.contradicted(replica, u64::MAX),
            NackReason::Fork => self.refused_as_fork(replica),
            _ if later.is_some() => {
                connection.paused = later.filter(|_| !fault::active(Fault::PauseIgnored));
                if diff {
                    connection.refill = Refill::Needed;
                }
            }
            _ if diff => connection.refill = Refill::Refused,
            _ => self.outbox.stick(replica, seq),
        }
        // Rows after the refused one were not looked at.
        if let Some(connection) = &mut self.connection {
            connection.said_in_vain();
            connection.pushed = connection.relay.clone();
            let relay = &connection.relay;
            self.outbox.rewind(relay);
        }
        self.push();
        Ok(())
    }

    /// What was refused before is of the past, unless it is stuck.
    pub(super) fn taken(&mut self) {
        if self.outbox.stuck() == 0 {
            self.refused = None;
        }
    }

    fn empty_outbox(&mut self, replica: ReplicaId, through: u64) {
        if self.outbox.acked(replica, through) {
            // Losing this costs a repeated push, nothing more.
            self.persist(Class::Relaxed, vec![Record::Acked { replica, through }]);
        }
    }

    fn relay_has(&mut self, version: &VersionVector) {
        if let Some(connection) = &mut self.connection {
            connection.relay.join(version);
            connection.pushed.join(version);
            connection.heard.join(version);
        }
    }

    /// Every row up to `position` was sent to us, or pushed by us.
    fn sent_up_to(&mut self, position: u64) {
        let Some(connection) = &mut self.connection else { return };
        if position > connection.position {
            connection.position = position;
            self.move_cursor(Vec::new());
        }
    }

    /// DUR-5: what was made upon something that the store had lost is shown again once that is back.
    fn apply_unready(&mut self) {
        let mut progress = !fault::active(Fault::UnreadyForgotten);
        while core::mem::take(&mut progress) {
            for (positions, delta) in core::mem::take(&mut self.unready) {
                if matches!(check(&mut self.document, &delta, positions.as_ref()), Ok(Ok(Readiness::NotReady))) {
                    self.unready.push((positions, delta));
                } else if let Ok(applied) = self.document.apply(&delta) {
                    self.show(applied.changes);
                    progress = true;
                }
            }
        }
    }

    /// Writes what was received, and with it the cursor that promises it.
    fn move_cursor(&mut self, mut records: Vec<Record>) {
        self.apply_unready();
        // What is parked is stored, but whether it will ever be part of the document is not known; and while a diff is
        // awaited, something before the position may be missing.
        if let Some(connection) = &self.connection
            && !connection.wanted
            && !connection.passed_over
            && self.document.parked() == 0
        {
            let cursor = Cursor { epoch: connection.epoch, position: connection.position };
            if self.cursor != Some(cursor) {
                self.cursor = Some(cursor);
                records.push(Record::Cursor(cursor));
            }
        }
        if !records.is_empty() {
            self.persist(Class::Relaxed, records);
        }
    }

    fn need_refill(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.need_refill();
        }
    }

    fn show(&mut self, changes: crate::document::Changes) {
        if !changes.is_empty() {
            self.outputs.push(Output::Changed(changes));
        }
    }
}
