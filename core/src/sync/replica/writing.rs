//! Local edits, and what happens to them on the way to the disk.
//!
//! Rules: ID-1 the writer id is minted at the first write. DUR-1 an own delta, its outbox entry and its slot's high-water
//! mark are one strict batch, which also carries what the delta builds upon and is still being written (DUR-5). DUR-3 what
//! was loaded is proven durable before anything is claimed.

use alloc::vec::Vec;

use super::{Output, Replica};
use crate::clock::{Dot, Timestamp, VersionEntry};
use crate::codec;
use crate::delta::Delta;
use crate::document::{Commit, EditError, Transaction, UndoLimits};
use crate::fault::{self, Fault};
use crate::sync::message::{CloseReason, Retry};
use crate::sync::outbox::Outbox;
use crate::sync::record::{Class, Cursor, Persist, Record, Token};
use crate::sync::row::Row;

impl Replica {
    /// Runs `edit` as one atomic transaction at time `now`. The edit is visible at once, durable and sent later: see
    /// [`Self::status`].
    ///
    /// # Errors
    /// What `edit` returns; nothing is changed then.
    pub fn transact<T, E: From<EditError>>(
        &mut self,
        now: Timestamp,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<Commit<T>, E> {
        self.take_writer()?;
        let commit = self.document.transact(now, edit)?;
        self.written(commit.delta.as_ref());
        Ok(commit)
    }

    /// Opens a transaction, for callers that cannot pass a closure.
    ///
    /// # Errors
    /// When one is open already.
    pub fn begin(&mut self, now: Timestamp) -> Result<(), EditError> {
        self.take_writer()?;
        self.document.begin(now)
    }

    /// The open transaction.
    ///
    /// # Errors
    /// When none is open.
    pub fn edit(&mut self) -> Result<Transaction<'_>, EditError> {
        self.document.edit()
    }

    /// Ends the open transaction.
    ///
    /// # Errors
    /// When none is open, or its delta would be too large; it is rolled back then.
    pub fn commit(&mut self) -> Result<Commit<()>, EditError> {
        let commit = self.document.commit()?;
        self.written(commit.delta.as_ref());
        Ok(commit)
    }

    /// Ends the open transaction and undoes it.
    pub fn rollback(&mut self) {
        self.document.rollback();
    }

    /// Keeps, from now on, what [`Self::undo`] needs: see [`Document::keep_undo`](crate::Document::keep_undo).
    pub fn keep_undo(&mut self, limits: Option<UndoLimits>) {
        self.document.keep_undo(limits);
    }

    /// The next edit is an undo step of its own, however soon it comes.
    pub fn end_undo_group(&mut self) {
        self.document.end_undo_group();
    }

    /// Takes back the latest step of one's own edits: see [`Document::undo`](crate::Document::undo). Written and sent like any edit.
    ///
    /// # Errors
    /// As [`Document::undo`](crate::Document::undo); nothing is changed then.
    pub fn undo(&mut self, now: Timestamp) -> Result<Option<Commit<()>>, EditError> {
        self.take_back(now, false)
    }

    /// Takes back the latest undo: see [`Document::redo`](crate::Document::redo).
    ///
    /// # Errors
    /// As [`Document::redo`](crate::Document::redo); nothing is changed then.
    pub fn redo(&mut self, now: Timestamp) -> Result<Option<Commit<()>>, EditError> {
        self.take_back(now, true)
    }

    fn take_back(&mut self, now: Timestamp, redo: bool) -> Result<Option<Commit<()>>, EditError> {
        // No id is taken for nothing (ID-1).
        if !(if redo { self.document.can_redo() } else { self.document.can_undo() }) {
            return Ok(None);
        }
        self.take_writer()?;
        let commit = if redo { self.document.redo(now)? } else { self.document.undo(now)? };
        self.written(commit.as_ref().and_then(|commit| commit.delta.as_ref()));
        Ok(commit)
    }

    /// The lock of the slot was lost, or may be held by a copy of this process (ID-5): no further dot under this id. What
    /// was written under it is still sent; the next edit takes a fresh id, which no later opening continues.
    pub fn retire(&mut self) {
        self.slot.abandon();
        if !self.document.in_transaction() {
            self.release_writer();
        }
    }

    /// A batch is durable, and with it every batch before.
    pub fn durable(&mut self, token: Token, _now: Timestamp) {
        if token <= self.stored {
            return;
        }
        self.stored = token.min(self.last_token);
        while self.unfinished.pop_if(|persist| persist.token <= self.stored).is_some() {}
        self.open_channel();
        self.push();
    }

    /// The store failed: nothing that was not durable is known to be written. All of it is given out again as one strict
    /// batch; the driver writes it once the store works again. Until then nothing is sent.
    pub fn store_failed(&mut self, _now: Timestamp) {
        let mut records = Vec::new();
        while let Some(mut persist) = self.unfinished.pop() {
            records.append(&mut persist.records);
        }
        self.outputs.retain(|output| !matches!(output, Output::Persist(_)));
        if !records.is_empty() {
            let token = self.persist(Class::Strict, records);
            self.outbox.rewrite(self.stored, token);
            self.slot.rewrite(self.stored, token);
        }
        if self.connection.is_some() {
            self.hang_up(CloseReason::Storage, Retry::BACKOFF);
        }
    }

    /// Makes sure that there is an id to write under, when the next delta may be made.
    fn take_writer(&mut self) -> Result<(), EditError> {
        if self.document.in_transaction() {
            return Err(EditError::InTransaction);
        }
        if self.slot.replica().is_none() {
            self.slot.mint(self.entropy.mint());
        }
        self.document.set_writer(self.slot.replica())
    }

    /// No further dot under the present id; the slot says so in the store as well.
    pub(super) fn retire_writer(&mut self) {
        if let Some(record) = self.slot.retire() {
            self.persist(Class::Strict, [record].into());
        }
        self.release_writer();
    }

    fn release_writer(&mut self) {
        let unset = self.document.set_writer(None);
        debug_assert!(unset.is_ok(), "ids are retired between transactions");
    }

    fn written(&mut self, delta: Option<&Delta>) {
        let Some(delta) = delta else { return };
        let last = VersionEntry { seq: delta.last_seq(), tag: delta.tag() };
        if self.slot.replica() == Some(delta.replica()) {
            self.slot.advance(last);
        }
        let mut records = self.unfinished_basis();
        records.push(Record::Row(Row::of(delta)));
        let mut hangs_on = None;
        if let Some(record) = self.positions_of(delta) {
            if let Record::Positions { bytes, .. } = &record {
                hangs_on = Some(bytes.clone());
            }
            records.push(record);
        }
        let deps = self.document.deps_of(delta);
        records.push(Outbox::record(delta, &deps));
        if self.connection.is_some() {
            self.slot.name();
        }
        if let Some(record) = self.slot.record() {
            records.push(record);
        }
        let class = if fault::active(Fault::WriteRelaxed) { Class::Relaxed } else { Class::Strict };
        let token = self.persist(class, records);
        self.outbox.push(delta, deps, hangs_on, token);
        if self.connection.is_some() && !self.slot.is_proving() {
            self.slot.prove(token);
        }
    }

    /// What is kept beside the row of a delta that was just applied, if it hangs on anything (SEQ-6).
    pub(super) fn positions_of(&self, delta: &Delta) -> Option<Record> {
        let chains = self.document.positions_of(delta);
        let Dot { replica, seq } = delta.dot();
        let bytes = || codec::encode_positions(&chains).into();
        (!chains.is_empty()).then(|| Record::Positions { replica, last_seq: seq, bytes: bytes() })
    }

    /// DUR-5: what was received since the last strict batch and is not written yet. An own delta may build upon it, and
    /// batches of one store need not become durable in their order, whatever the store promises.
    fn unfinished_basis(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for persist in self.unfinished.last_to_first().take_while(|persist| persist.class == Class::Relaxed) {
            records.extend(persist.records.iter().rev().cloned());
        }
        records.reverse();
        records
    }

    /// DUR-3: what was loaded may itself have been written relaxed only. Before anything of it is claimed or sent, one
    /// strict write makes it durable, and names this opening (ID-4). An opening that never connects does without.
    pub(super) fn prove(&mut self) {
        let claims = self.slot.has_history() || self.outbox.len() > 0;
        if !claims || self.slot.is_proving() {
            return;
        }
        self.slot.name();
        let record = self.slot.record().unwrap_or(Record::Cursor(self.cursor.unwrap_or(Cursor::NONE)));
        let class = if fault::active(Fault::OpeningRelaxed) { Class::Relaxed } else { Class::Strict };
        let token = self.persist(class, [record].into());
        self.slot.prove(token);
    }

    /// Whether claims and own deltas may be sent. Where nothing is claimed there may be a document that was built anew and is being
    /// written.
    pub(super) fn is_proven(&self) -> bool {
        let claims = self.slot.has_history() || self.outbox.len() > 0;
        !(claims || self.slot.is_proving()) || self.slot.is_proven(self.stored) || fault::active(Fault::NoProof)
    }

    pub(super) fn persist(&mut self, class: Class, records: Vec<Record>) -> Token {
        self.last_token = Token(self.last_token.0 + 1);
        let persist = Persist { token: self.last_token, class, records };
        self.unfinished.push(persist.clone());
        self.outputs.push(Output::Persist(persist));
        self.last_token
    }
}
