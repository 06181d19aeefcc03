//! Transactions: local edits that become one delta, or nothing.
//!
//! Edits take effect on the document at once, so that a transaction reads what it wrote. What they took away that others may
//! have seen is journalled: a rollback takes away what lives under the transaction's own dots, and brings that back. What a
//! transaction adds and takes away again is netted out before the delta exists, and leaves no trace in the journal.
//!
//! Rules: DOT-2 every delta takes at least one dot. CAUSAL-2 nothing is added below what is removed. REM-1 only observed dots
//! are removed: a transaction can only name what the view shows.

mod text;

use alloc::vec::Vec;

use super::state::{Journal, State};
use super::undo::Done;
use super::view::PlaceId;
use super::{ChangeOrigin, Changes, Document};
use crate::clock::{Dot, DotRuns, Hlc, HlcClock, LocalDot, Timestamp, VersionEntry};
use crate::codec::{Adds, Outline, limits, write_delta};
use crate::delta::Delta;
use crate::fault::{self, Fault};
use crate::ordered::{retain, sort_by};
use crate::replica_id::{Origin, Origins};
use crate::sequence::{Forest, ForestError, LocalPosition, Placement};
use crate::store::{EntryId, EntryRef, Kind, Live, LocalContainer, LocalSlot, Payload, TextRun};
use crate::value::Value;

/// What a transaction gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the delta is what other replicas need"]
pub struct Commit<T> {
    /// What the closure returned.
    pub value: T,
    /// What to send to other replicas; nothing if nothing was edited.
    pub delta: Option<Delta>,
    /// What the application should look at again.
    pub changes: Changes,
}

/// Why an edit was refused. Inside [`Document::transact`] an error that leaves the closure undoes the whole transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The document has no writer id.
    #[error("the document has no writer: set a replica id first")]
    NoWriter,
    /// A transaction is open already.
    #[error("a transaction is open already")]
    InTransaction,
    /// No transaction is open.
    #[error("no transaction is open")]
    NoTransaction,
    /// A key or a root name is too long.
    #[error("a key of {len} bytes, the limit is {limit}")]
    KeyTooLong {
        /// Its bytes.
        len: usize,
        /// [`limits::MAX_KEY_BYTES`].
        limit: usize,
    },
    /// A list has no such element, or no longer.
    #[error("this list has no such element, or no longer")]
    NoSuchElement,
    /// A container that was found is gone: something in this transaction removed it.
    #[error("the container was removed")]
    Gone,
    /// An index beyond the end.
    #[error("index {index} is out of range, the length is {len}")]
    OutOfRange {
        /// The index.
        index: usize,
        /// The length.
        len: usize,
    },
    /// The element or path is of another kind.
    #[error("a {expected} was expected, this is a {found}", expected = .expected.name(), found = .found.name())]
    WrongKind {
        /// What was asked for.
        expected: Kind,
        /// What is there.
        found: Kind,
    },
    /// Containers nest too deep.
    #[error("containers nest deeper than {limit}")]
    TooDeep {
        /// [`limits::MAX_CONTAINER_DEPTH`].
        limit: usize,
    },
    /// Positions nest too deep: too many insertions into one ever narrower gap.
    #[error("positions nest deeper than {limit}")]
    PositionTooDeep {
        /// The limit.
        limit: u32,
    },
    /// The transaction is too large.
    #[error("the transaction has {found} {what}, the limit is {limit}; split it")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A counter's running total would not fit 64 bits.
    #[error("the counter's running total would overflow")]
    CounterOverflow,
    /// This replica has not the rights to take so much from a bounded counter.
    #[error("{wanted} wanted, this replica has the rights to {available}")]
    NotEnoughRights {
        /// How much was to be subtracted or given away.
        wanted: u64,
        /// How much it may.
        available: u64,
    },
    /// Rights were to be given to [`ReplicaId::NIL`](crate::ReplicaId::NIL).
    #[error("the nil id names no replica")]
    NilReplica,
    /// The replica has used up its sequence numbers, or the document its replica numbers.
    #[error("no dot is left for this writer")]
    OutOfDots,
}

/// A transaction under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    origin: Origin,
    first_seq: u64,
    next_seq: u64,
    hlc: Hlc,
    /// The clock before this transaction: a stamp that nobody saw is taken back.
    clock: HlcClock,
    /// Whether the user can undo it, where undo is kept at all.
    undoable: bool,
}

/// What the open transaction did so far. Its memory is used again, so that whoever edits key by key takes none for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// Observed dots that were removed on purpose (not those that died with them).
    removed: Vec<LocalDot>,
    /// Observed characters that were removed: the first dot of runs, and how many.
    removed_text: Vec<(LocalDot, u32)>,
    /// Bunches created, by id.
    bunches: Vec<LocalDot>,
    /// What each running total overwrote when the transaction began, by its seq: ascending. Some may be gone again: those are not
    /// written.
    totals_before: Vec<(u64, u64, u64)>,
    /// What was added, ascending, with where it lies or lay.
    added: Vec<(LocalDot, EntryId)>,
    /// What died of what was there before it.
    journal: Journal,
    /// What was typed, when it is committed; empty before and after.
    text: Vec<TextRun>,
    /// For the bytes of the delta.
    bytes: Vec<u8>,
    /// How many entries a large transaction had, for the next one after it.
    room: usize,
}

impl Log {
    /// What takes more memory than this is given back.
    const KEPT: usize = 1024;
    const KEPT_RUNS: usize = 8;

    /// Whoever did much at once probably does as much again.
    fn make_room(&mut self) {
        let room = core::mem::take(&mut self.room);
        if room > 0 {
            self.removed.reserve(room);
            self.added.reserve(room);
            self.journal.entries.reserve(room);
        }
    }

    fn empty(&mut self) {
        let dead = self.journal.entries.capacity().max(self.journal.text.capacity());
        let entries = dead.max(self.removed.capacity()).max(self.added.capacity());
        if entries > Self::KEPT / 16 || self.bytes.capacity() > Self::KEPT {
            let room = self.journal.entries.len().max(self.added.len());
            *self = Self { room, ..Self::default() };
            return;
        }
        self.removed.clear();
        self.removed_text.clear();
        self.bunches.clear();
        self.totals_before.clear();
        self.added.clear();
        self.journal.clear();
        self.bytes.clear();
    }
}

impl Log {
    /// What was done, for those who will undo it.
    fn done(&self, open: &Open) -> Done<'_> {
        let (added, killed, text) = (&self.added, &self.journal.entries, &self.journal.text);
        Done { origin: open.origin, first_seq: open.first_seq, next_seq: open.next_seq, added, killed, text }
    }
}

impl Document {
    /// Runs `edit` as one atomic transaction at time `now`.
    ///
    /// Nothing is changed if `edit` returns an error. Costs O(edits · log n). If `edit` panics and somebody catches that, the
    /// transaction is still open: [`Document::rollback`] ends it.
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// # let now = Timestamp(1);
    /// let commit = doc.transact(now, |tx| {
    ///     tx.counter("from")?.add(-10)?;
    ///     tx.counter("to")?.add(10)
    /// })?;
    /// let delta = commit.delta.expect("something was edited"); // one for both
    ///
    /// let failed = doc.transact(now, |tx| {
    ///     tx.counter("from")?.add(-10)?;
    ///     if tx.document().counter("from").value() < -15 { Err(EditError::Gone) } else { Ok(()) }
    /// });
    /// assert!(failed.is_err());
    /// assert_eq!(doc.counter("from").value(), -10); // nothing of it is left
    /// # Ok::<(), EditError>(())
    /// ```
    ///
    /// # Errors
    /// What `edit` returns, [`EditError::NoWriter`] without a writer id, [`EditError::InTransaction`] when one is open already, or
    /// [`EditError::TooLarge`] if the delta would be.
    pub fn transact<T, E: From<EditError>>(
        &mut self,
        now: Timestamp,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<Commit<T>, E> {
        self.begin(now)?;
        match edit(&mut Transaction { document: self }) {
            Ok(value) => {
                let commit = self.commit()?;
                Ok(Commit { value, delta: commit.delta, changes: commit.changes })
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    /// Opens a transaction, for callers that cannot pass a closure. Edit through [`Document::edit`], then end it with
    /// [`Document::commit`] or [`Document::rollback`].
    ///
    /// # Errors
    /// Without a writer id, or when one is open already.
    pub fn begin(&mut self, now: Timestamp) -> Result<(), EditError> {
        let writer = self.writer().ok_or(EditError::NoWriter)?;
        if self.in_transaction() {
            return Err(EditError::InTransaction);
        }
        if self.state.origins.len() >= Origins::LIMIT && self.state.origins.get(&writer).is_none() {
            return Err(EditError::OutOfDots);
        }
        self.observe_time(now);
        let origin = self.state.origins.intern(writer);
        let first_seq = self.state.seq(origin) + 1;
        if first_seq > Dot::MAX_SEQ {
            return Err(EditError::OutOfDots);
        }
        let clock = self.clock;
        self.open =
            Some(Open { origin, first_seq, next_seq: first_seq, hlc: self.clock.tick(now), clock, undoable: true });
        self.log.make_room();
        Ok(())
    }

    /// The open transaction.
    ///
    /// # Errors
    /// When none is open.
    pub fn edit(&mut self) -> Result<Transaction<'_>, EditError> {
        if self.open.is_none() {
            return Err(EditError::NoTransaction);
        }
        Ok(Transaction { document: self })
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Ends the open transaction and makes its delta.
    ///
    /// # Errors
    /// When none is open, or the delta would be too large; the transaction is rolled back then.
    pub fn commit(&mut self) -> Result<Commit<()>, EditError> {
        let Some(open) = self.open else { return Err(EditError::NoTransaction) };
        let store = &self.state.store;
        retain(&mut self.log.added, |(dot, id)| store.lies_at(*id, *dot));
        let mut text = core::mem::take(&mut self.log.text);
        self.state.export_text(open.origin, open.first_seq..=open.next_seq - 1, &mut text);
        let removes_none = self.log.removed.is_empty() && self.log.removed_text.is_empty();
        if self.log.added.is_empty() && text.is_empty() && removes_none {
            self.rollback();
            return Ok(Commit { value: (), delta: None, changes: local(Vec::new()) });
        }
        // So that runs are appended to one another.
        sort_by(&mut self.log.removed, Ord::cmp);
        let mut removes = DotRuns::new();
        for dot in &self.log.removed {
            removes.insert(self.state.origins.dot(*dot));
        }
        for (first, len) in &self.log.removed_text {
            let first = self.state.origins.dot(*first);
            removes.insert_run(first.replica, first.seq, first.seq + u64::from(*len) - 1);
        }
        let dots = self.write(&open, &text, &removes);
        let (found, limit) = (self.log.bytes.len(), limits::MAX_DELTA_BYTES);
        if found > limit {
            self.rollback();
            return Err(EditError::TooLarge { what: "bytes", found, limit });
        }
        self.open = None;
        let (state, log) = (&mut self.state, &mut self.log);
        let name = (state.origins.id(open.origin), open.first_seq, dots);
        let delta = Delta::written(name, &log.bytes, state.tag(open.origin));
        let last = LocalDot::new(open.origin, delta.last_seq());
        if fault::active(Fault::BeaconForgetsOwn) {
            state.beacon_forgets(last);
        }
        if !fault::active(Fault::BeaconForgetsOwn) {
            state.count_text(&text);
        }
        state.remove_runs(last, &removes, false);
        state.advance(open.origin, VersionEntry { seq: last.seq(), tag: delta.tag() });
        if fault::active(Fault::HeadsPileUp) {
            state.heads.insert(last);
        } else {
            state.heads.reset_to(last);
        }
        // Where dead list elements were can be told only until the log is cut.
        if let Some(undo) = self.undo.as_mut().filter(|_| open.undoable) {
            undo.record(state, log.done(&open), self.now);
        }
        state.keep_log_short();
        for (_, live) in log.journal.entries.drain(..) {
            state.discard(live);
        }
        let list = state.take_changes();
        log.empty();
        text.clear();
        if text.capacity() <= Log::KEPT_RUNS {
            log.text = text;
        }
        Ok(Commit { value: (), delta: Some(delta), changes: local(list) })
    }

    /// Writes the delta of the open transaction, from where its entries lie, and says how many dots it takes.
    fn write(&mut self, open: &Open, text: &[TextRun], removes: &DotRuns) -> u64 {
        let (state, log) = (&self.state, &mut self.log);
        let least = if fault::active(Fault::RemovalTakesNoDot) { 0 } else { 1 };
        let dots = (open.next_seq - open.first_seq).max(least);
        // A bunch whose values are all gone again is left out unless another one hangs on it. Ids ascend as they were made.
        let mut bunches = Vec::new();
        for id in &log.bunches {
            if state.forest.is_needed(*id)
                && let Some(record) = state.forest.record(&state.origins, *id)
            {
                bunches.push(record);
            }
        }
        let outline = Outline {
            replica: state.origins.id(open.origin),
            first_seq: open.first_seq,
            dots,
            deps: &state.head_dots(),
            hlc: if log.added.is_empty() { Hlc(0) } else { open.hlc },
            bunches: &bunches,
            text,
            totals_before: &log.totals_before,
            removes,
        };
        log.bytes.clear();
        write_delta(&mut log.bytes, &outline, &Added { state, added: &log.added });
        dots
    }

    /// Ends the open transaction and undoes all that it did. Does nothing if none is open.
    pub fn rollback(&mut self) {
        let Some(open) = self.open.take() else { return };
        if !fault::active(Fault::RollbackKeepsClock) {
            self.clock = open.clock;
        }
        let mut own = Vec::new();
        for (dot, _) in self.state.store.ids(open.origin, open.first_seq..=Dot::MAX_SEQ) {
            own.push(dot);
        }
        let all = (LocalDot::new(open.origin, open.first_seq), Dot::MAX_SEQ - open.first_seq);
        self.state.kill_text(all, None, &[], &mut None);
        while let Some(dot) = own.pop() {
            self.state.kill(dot, None);
        }
        while let Some((dot, live)) = self.log.journal.entries.pop() {
            if !fault::active(Fault::RollbackLeavesDead) {
                let alive = self.state.insert(dot, live);
                debug_assert!(alive.is_some(), "what died after its container comes back before it");
            }
        }
        while let Some((stretch, text)) = self.log.journal.text.pop() {
            if !fault::active(Fault::RollbackForgetsText) {
                let alive = self.state.insert_text(stretch, &text, true);
                debug_assert!(alive, "what it was in has come back before it");
            }
        }
        while let Some(id) = self.log.bunches.pop() {
            if !fault::active(Fault::RollbackKeepsBunches) {
                self.state.forest.forget(id);
            }
        }
        self.state.drop_changes();
        self.log.empty();
    }
}

/// The entries of a transaction, where they lie.
struct Added<'s> {
    state: &'s State,
    added: &'s [(LocalDot, EntryId)],
}

impl Adds for Added<'_> {
    fn count(&self) -> usize {
        self.added.len()
    }

    fn each<'a>(&'a self, take: &mut dyn FnMut(u64, EntryRef<'a>)) {
        for (dot, id) in self.added {
            take(dot.seq(), self.state.entry_ref(self.state.store.live(*id)));
        }
    }
}

fn local(list: Vec<super::Change>) -> Changes {
    Changes { origin: ChangeOrigin::Local, list }
}

/// The edits of one transaction. Get typed handles from it: [`Transaction::map`] and its siblings.
#[derive(Debug)]
pub struct Transaction<'d> {
    pub(crate) document: &'d mut Document,
}

/// Where a new entry goes.
pub(crate) struct Target {
    pub(crate) container: LocalContainer,
    pub(crate) slot: LocalSlot,
}

impl Transaction<'_> {
    /// The document as it is now, with the edits of this transaction.
    pub fn document(&self) -> &Document {
        self.document
    }

    fn open(&mut self) -> &mut Open {
        self.document.open.as_mut().expect("a Transaction exists only while one is open")
    }

    /// The stamp of this transaction.
    pub(crate) fn hlc(&mut self) -> Hlc {
        self.open().hlc
    }

    pub(crate) fn origin(&mut self) -> Origin {
        self.open().origin
    }

    /// Keeps this transaction out of what [`Document::undo`] takes back: for edits that the user did not ask for. To undo
    /// it is as if another replica had done it, except that its writes may go with what they are in.
    pub fn leave_out_of_undo(&mut self) {
        self.open().undoable = false;
    }

    /// Whether a dot was bound in this transaction.
    pub(crate) fn made(&self, dot: LocalDot) -> bool {
        self.document.open.as_ref().is_some_and(|open| dot.origin() == open.origin && dot.seq() >= open.first_seq)
    }

    /// The dot that the next entry will take.
    pub(crate) fn next_dot(&mut self) -> Result<LocalDot, EditError> {
        self.has_room(1)?;
        let open = self.open();
        Ok(LocalDot::new(open.origin, open.next_seq))
    }

    /// Whether so many more dots can be bound. An edit that removes before it adds asks first, so that one that is refused
    /// has changed nothing.
    pub(crate) fn has_room(&mut self, dots: usize) -> Result<(), EditError> {
        let open = self.open();
        let found = (open.next_seq - open.first_seq) as usize + dots;
        let limit = limits::MAX_DELTA_DOTS as usize;
        if found > limit {
            return Err(EditError::TooLarge { what: "edits", found, limit });
        }
        if open.next_seq + dots as u64 - 1 > Dot::MAX_SEQ {
            return Err(EditError::OutOfDots);
        }
        Ok(())
    }

    /// Binds the next dot.
    pub(crate) fn add(
        &mut self,
        target: Target,
        kind: Kind,
        entity: bool,
        payload: Payload,
    ) -> Result<LocalDot, EditError> {
        let dot = self.next_dot()?;
        let hlc = self.open().hlc;
        let Target { container, slot } = target;
        let live = Live::new(container, slot, kind, entity, payload, hlc);
        let Document { state, log, .. } = &mut *self.document;
        let Some(id) = state.insert(dot, live) else {
            // The dot will be given to something else, so a bunch of that name must not stay.
            if log.bunches.pop_if(|bunch| *bunch == dot).is_some() {
                state.forest.forget(dot);
            }
            return Err(EditError::Gone);
        };
        log.added.push((dot, id));
        self.open().next_seq += 1;
        Ok(dot)
    }

    /// Where that lies which was added last.
    pub(crate) fn last_added(&self) -> Option<EntryId> {
        self.document.log.added.last().map(|added| added.1)
    }

    /// Removes an observed dot, or takes back one of this transaction.
    pub(crate) fn remove(&mut self, id: EntryId) {
        let Document { state, open, log, .. } = &mut *self.document;
        let open = open.as_mut().expect("a Transaction exists only while one is open");
        let dot = state.store.dot(id);
        let own = dot.origin() == open.origin && dot.seq() >= open.first_seq;
        let own = own && !fault::active(Fault::NettingMissed);
        let cause = LocalDot::new(open.origin, open.first_seq);
        if dot == LocalDot::ROOT {
            // It died with something else.
            return;
        }
        state.kill_at(id, Some(cause), Some(&mut log.journal));
        if !own {
            log.removed.push(dot);
        }
    }

    /// Overwrites a plain entry that this transaction did not write, in its slot and incarnation: as if it were removed and
    /// another one added, but that what finds the one finds the other. O(log n).
    pub(crate) fn overwrite(&mut self, place: PlaceId, id: EntryId, payload: Payload) -> Result<LocalDot, EditError> {
        debug_assert!(!self.is_own(id), "nobody has seen it: it may be changed in place");
        let dot = self.next_dot()?;
        let Document { state, open, log, .. } = &mut *self.document;
        let open = open.as_mut().expect("a Transaction exists only while one is open");
        let old = state.overwrite(place, id, dot, payload, open.hlc);
        log.added.push((dot, id));
        log.removed.push(old.0);
        log.journal.entries.push(old);
        open.next_seq += 1;
        Ok(dot)
    }

    /// Whether an entry was added by this transaction. Nobody else has seen it, so it may be changed in place.
    pub(crate) fn is_own(&self, id: EntryId) -> bool {
        let Some(open) = &self.document.open else { return false };
        let dot = self.document.state.store.dot(id);
        dot.origin() == open.origin && dot.seq() >= open.first_seq
    }

    /// Puts another value into an entry of this transaction.
    pub(crate) fn put_again(&mut self, own: EntryId, value: Value) {
        debug_assert!(self.is_own(own), "DOT-1: others may have seen it");
        if !fault::active(Fault::PutAgainKeepsOld) {
            self.document.state.store.update(own, |live| live.set_value(value));
        }
    }

    /// Notes what the running total at `dot` overwrote, so that others can tell how much was added.
    pub(crate) fn total_overwrote(&mut self, dot: LocalDot, total: (u64, u64)) {
        if total != (0, 0) {
            self.document.log.totals_before.push((dot.seq(), total.0, total.1));
        }
    }

    /// The slot for the next dot between two neighbours of a list's order.
    pub(crate) fn place_between(
        &mut self,
        left: Option<LocalPosition>,
        right: Option<LocalPosition>,
    ) -> Result<LocalSlot, EditError> {
        let dot = self.next_dot()?;
        let origin = self.origin();
        let state = &mut self.document.state;
        let too_deep = |_: ForestError| EditError::PositionTooDeep { limit: Forest::MAX_DEPTH };
        match state.forest.place(&state.origins, origin, dot.seq(), left, right).map_err(too_deep)? {
            Placement::Extend { bunch, backward } => Ok(LocalSlot::Position { bunch: bunch.seq(), backward }),
            Placement::New { parent, side, rank } => {
                state.forest.insert(dot, parent, side, rank).map_err(too_deep)?;
                self.document.log.bunches.push(dot);
                Ok(LocalSlot::Position { bunch: dot.seq(), backward: false })
            }
        }
    }

    /// The lowest incarnation of a place: where a new slot goes.
    pub(crate) fn lowest(&self, place: PlaceId) -> Result<LocalContainer, EditError> {
        self.document.state.lowest(place).ok_or(EditError::Gone)
    }

    pub(crate) fn check_depth(&self, place: PlaceId) -> Result<(), EditError> {
        if self.document.state.view.place(place).depth as usize >= limits::MAX_CONTAINER_DEPTH {
            return Err(EditError::TooDeep { limit: limits::MAX_CONTAINER_DEPTH });
        }
        Ok(())
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), EditError> {
    if key.len() > limits::MAX_KEY_BYTES {
        return Err(EditError::KeyTooLong { len: key.len(), limit: limits::MAX_KEY_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica_id::ReplicaId;
    use crate::types::MapMut;

    type Edit = fn(&mut MapMut<'_, '_>) -> Result<(), EditError>;

    #[test]
    fn an_edit_that_has_no_room_takes_no_use_of_its_key() {
        let mut document = Document::with_writer(ReplicaId::from(1));
        let filled = document.transact(Timestamp(1), |tx| {
            let mut map = tx.map("m")?;
            ["value", "two"].iter().try_for_each(|key| map.put(key, 1))?;
            map.enable("two")?;
            map.map("map")?;
            map.enable("flag")
        });
        assert!(filled.expect("it fits").delta.is_some());
        let uses = |document: &Document, key: &str| {
            let keys = &document.state.keys;
            keys.find(document.state.seed, key).map(|id| keys.uses(id))
        };
        let edits: [Edit; 6] = [
            |map| map.put("value", 2),
            |map| map.put("two", 2),
            |map| map.put("map", 2),
            |map| map.put("new", 2),
            |map| map.enable("flag"),
            |map| map.counter("value").map(drop),
        ];
        let known = ["value", "two", "map", "flag", "new"];
        let before = known.map(|key| uses(&document, key));
        assert_eq!(before, [Some(1), Some(2), Some(1), Some(1), None]);
        for edit in edits {
            document.begin(Timestamp(2)).expect("none is open");
            let open = document.open.as_mut().expect("it was just opened");
            open.next_seq = open.first_seq + limits::MAX_DELTA_DOTS;
            let refused = document.edit().and_then(|mut tx| edit(&mut tx.map("m")?));
            assert!(matches!(refused, Err(EditError::TooLarge { what: "edits", .. })), "{refused:?}");
            document.rollback();
            assert_eq!(known.map(|key| uses(&document, key)), before);
        }
        assert_eq!(document.map("m").get("value"), Some(1.into()), "nothing was taken away");
    }
}
