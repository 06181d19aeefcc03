//! What is done when the relay's log contradicts what is here.
//!
//! Where a branch begins is told by a void fact: from the relay, which found it out when the outbox was pushed. Then, or where
//! nothing tells it, the connection is given up, and the next one asks the relay for everything it has: from that the document
//! is built anew ([`crate::sync::fork`]), and written with the facts and the renamed outbox in one batch. Nobody but the
//! application is shown anything of it before that batch is durable. After that one more connection begins as if nothing had been.
//!
//! Rules: FORK-1, FORK-2. FORK-4 the renaming, the facts and the new outbox are one strict batch; what of the old branch is in the store
//! stays there, since another opening may still write upon it, and what it writes is renamed with what it says of the branch.
//! ID-5 the id of a void branch is retired. FORK-5 the application is told.

use alloc::vec::Vec;

use super::{Output, Replica};
use crate::clock::{Dot, VersionEntry, VersionVector, VoidFact};
use crate::codec;
use crate::diff::Diff;
use crate::document::Document;
use crate::fault::{self, Fault};
use crate::ordered::{Set, sort_by_key};
use crate::replica_id::ReplicaId;
use crate::sync::fork::{self, Repaired};
use crate::sync::limits;
use crate::sync::message::{CloseReason, DiffMessage, Fact, Message, OpenAck, Resume, Retry, Want};
use crate::sync::outbox::{Outbox, Verdict};
use crate::sync::record::{Class, Cursor, Record, Table};
use crate::sync::row::Row;
use crate::sync::session::ProtocolError;
use crate::sync::staging::Staging;
use crate::sync::wire::told;

impl Replica {
    /// Branches do not count, says the relay.
    pub(super) fn learn_voids(&mut self, facts: &[VoidFact]) {
        let mut records = Vec::new();
        for fact in facts {
            let is_here = self.outbox.has_branch(fact);
            if !self.voids.contains(fact) && (is_here || self.voids.len() < limits::MAX_VOIDS) {
                self.voids.push(*fact);
                // Of a branch that is here the store hears with the renaming (FORK-4): before that, an opening would leave out what was
                // summed up with it, and there would be nothing beside it.
                if !is_here {
                    records.push(Record::Row(Row::Void(*fact)));
                }
            }
            if is_here {
                self.refused_as_fork(fact.replica);
            }
        }
        if !records.is_empty() {
            self.persist(Class::Relaxed, records);
        }
    }

    /// The relay has other deltas than ours under this id, at `seq` or before. What waits is pushed, which tells from where on; where
    /// nothing waits, nothing can tell.
    pub(super) fn contradicted(&mut self, replica: ReplicaId, seq: u64) {
        self.outbox.doubt(replica, seq);
        if self.slot.replica() == Some(replica) {
            self.retire_writer();
        }
        if !self.outbox.has(replica) {
            self.contradicted.insert(replica);
        }
    }

    /// The relay refuses a delta, because it has something else of this id. The fact that tells from where on is at the relay by now,
    /// if there is one. Of other chains that it may have something else of it is asked first: what is void of them can be renamed with
    /// this one only if that is known, and could only be moved otherwise, while another tab of this store renames it.
    pub(super) fn refused_as_fork(&mut self, replica: ReplicaId) {
        self.contradicted.insert(replica);
        self.outbox.refuse(replica);
        if self.slot.replica() == Some(replica) {
            self.retire_writer();
        }
    }

    /// Begins anew, if there is anything void and nothing is left to be asked.
    pub(super) fn rebuild_once_told(&mut self) {
        let answered =
            self.connection.as_ref().is_some_and(|connection| connection.is_answered() && !connection.rebuilding);
        if answered && self.contradicted.iter().next().is_some() && !self.outbox.is_any_unsure() {
            self.must_rebuild(ReplicaId::NIL);
        }
    }

    /// Whether that has not been done again and again.
    pub(super) const fn may_rebuild(&self) -> bool {
        self.rebuilt < limits::MAX_REPAIRS
    }

    /// The document is to be built anew, because of what is here of this id.
    pub(super) fn must_rebuild(&mut self, replica: ReplicaId) {
        if self.slot.replica() == Some(replica) {
            self.retire_writer();
        }
        if !self.must_rebuild {
            self.must_rebuild = true;
            // What has come of another diff is no part of one that tells everything.
            self.staging = Staging::default();
            self.reconnect();
        }
    }

    /// Ends the connection; another one comes at once, unless that happens again and again.
    fn reconnect(&mut self) {
        let again = !self.may_rebuild();
        self.hang_up(CloseReason::Done, if again { Retry::BACKOFF } else { Retry::after_ms(0) });
    }

    /// The answer to an Open that asked for everything.
    pub(super) fn rebuilding(&mut self, ack: OpenAck) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.position = ack.head;
        match ack.resume {
            Resume::Diff => {}
            // It has nothing.
            Resume::Same => return self.build_anew(&Document::new().diff_since(&VersionVector::new())),
            Resume::Ask | Resume::Tail => connection.send(&Message::Want(Want::since(VersionVector::new()))),
        }
        Ok(())
    }

    /// Everything that the relay has.
    pub(super) fn rebuild(&mut self, message: &DiffMessage) -> Result<(), ProtocolError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.position = message.position;
        let diff = codec::decode_diff(&message.bytes).map_err(|_| invalid())?;
        if !diff.base.is_empty() {
            return Err(invalid());
        }
        self.build_anew(&diff)
    }

    fn build_anew(&mut self, relay: &Diff) -> Result<(), ProtocolError> {
        // What was not asked about because the relay had nothing of it then: a copy of this store may have been there meanwhile.
        for (replica, VersionEntry { seq, tag }) in relay.head.iter() {
            let verdict = self.outbox.judge(&Fact { replica, seq, tag, same_upto: 0, lease: None });
            let agrees = matches!(verdict, None | Some(Verdict::Agrees { .. }));
            if !agrees && !self.contradicted.contains(&replica) {
                self.must_rebuild = false;
                self.reconnect();
                return Ok(());
            }
        }
        let Some(connection) = &self.connection else { return Ok(()) };
        self.rebuilt += 1;
        let cursor = Cursor { epoch: connection.epoch, position: connection.position };
        let blank = self.document.blank(self.entropy.next());
        let waiting = self.outbox.waiting(&self.document);
        let repaired = fork::repair(&self.document, blank, relay, waiting, &self.voids, &self.contradicted);
        let Repaired { document, chains, moved } = repaired.map_err(|_| invalid())?;

        let own = self.slot.replica();
        if own.is_some_and(|own| document.chain(own) != self.document.chain(own) && self.document.seq(own) > 0) {
            self.retire_writer();
        }
        self.document = document;
        let set = self.document.set_writer(self.slot.replica());
        debug_assert!(set.is_ok(), "a document that was just built has no open transaction");
        let mut records = Vec::from([Record::Dropped(Table::Rows), Record::Dropped(Table::Snapshots)]);
        for fact in &moved.facts {
            if !self.voids.contains(fact) {
                self.voids.push(*fact);
            }
        }
        for fact in &self.voids {
            records.push(Record::Row(Row::Void(*fact)));
        }
        self.compacted = self.document.version();
        records.push(Record::Snapshot(self.document.snapshot().into()));
        for waiting in chains.values().flatten() {
            if !waiting.positions.is_empty() {
                let (Dot { replica, seq: last_seq }, positions) = (waiting.delta.dot(), &waiting.positions);
                records.push(Record::Positions { replica, last_seq, bytes: codec::encode_positions(positions).into() });
            }
            records.push(Outbox::record(&waiting.delta, &waiting.deps));
        }
        // The next Open names this opening, and waits for this batch.
        self.slot.name();
        if let Some(record) = self.slot.record() {
            records.push(record);
        }
        self.cursor = Some(cursor);
        records.push(Record::Cursor(cursor));
        let class = if fault::active(Fault::RepairedRelaxed) { Class::Relaxed } else { Class::Strict };
        let token = self.persist(class, records);
        self.outbox.replace(&chains, token);
        self.slot.prove(token);
        for (name, tag) in moved.names {
            self.void_rows.push((name, tag));
        }
        sort_by_key(&mut self.void_rows, |row| *row);
        self.contradicted = Set::new();
        self.must_rebuild = false;
        if !moved.dots.is_empty() {
            self.outputs.push(Output::ForkRepaired { dots: moved.dots });
        }
        self.reconnect();
        Ok(())
    }
}

fn invalid() -> ProtocolError {
    ProtocolError::Invalid { what: told("diff") }
}
