//! Transactions: local edits that become one delta, or nothing.
//!
//! Edits take effect on the document at once, so that a transaction reads what it wrote, and are journalled, so that a
//! rollback undoes them in reverse. What a transaction adds and takes away again is netted out before the delta exists.
//!
//! Rules: DOT-2 every delta takes at least one dot. CAUSAL-2 nothing is added below what is removed. REM-1 only observed dots
//! are removed: a transaction can only name what the view shows.

use alloc::vec::Vec;

use super::view::PlaceId;
use super::{ChangeOrigin, Changes, Document};
use crate::clock::{Dot, DotRuns, Hlc, HlcClock, LocalDot, Timestamp, VersionEntry};
use crate::codec::limits;
use crate::delta::{Delta, DeltaParts};
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::replica_id::{Origin, Origins};
use crate::sequence::{Forest, ForestError, LocalPosition, Placement};
use crate::store::{Kind, Live, LocalContainer, Payload, Slot};

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
    /// The replica has used up its sequence numbers, or the document its replica numbers.
    #[error("no dot is left for this writer")]
    OutOfDots,
}

/// A transaction under way.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    origin: Origin,
    first_seq: u64,
    next_seq: u64,
    hlc: Hlc,
    /// The clock before this transaction: a stamp that nobody saw is taken back.
    clock: HlcClock,
    /// Observed dots that were removed on purpose (not those that died with them).
    removed: Vec<LocalDot>,
    /// Bunches created, by id.
    bunches: Vec<LocalDot>,
    /// What each running total overwrote when the transaction began.
    totals_before: Map<LocalDot, (u64, u64)>,
    journal: Vec<Step>,
}

impl Open {
    /// Whether this transaction has bound `dot`.
    fn is_own(&self, dot: LocalDot) -> bool {
        dot.origin() == self.origin && dot.seq() >= self.first_seq
    }
}

#[derive(Clone, Debug)]
enum Step {
    Inserted(LocalDot),
    /// Parents before children.
    Killed(Vec<(LocalDot, Live)>),
}

impl Document {
    /// Runs `edit` as one atomic transaction at time `now`.
    ///
    /// Nothing is changed if `edit` returns an error. Costs O(edits · log n). If `edit` panics and somebody catches that, the
    /// transaction is still open: [`Document::rollback`] ends it.
    ///
    /// # Errors
    /// What `edit` returns, [`EditError::NoWriter`] without a writer id, or [`EditError::TooLarge`] if the delta would be.
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
        self.open = Some(Open {
            origin,
            first_seq,
            next_seq: first_seq,
            hlc: self.clock.tick(now),
            clock,
            removed: Vec::new(),
            bunches: Vec::new(),
            totals_before: Map::new(),
            journal: Vec::new(),
        });
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
        let Some(open) = self.open.take() else { return Err(EditError::NoTransaction) };
        let state = &self.state;
        let adds_nothing = state.store.range(open.origin, open.first_seq..=Dot::MAX_SEQ).next().is_none();
        if adds_nothing && open.removed.is_empty() {
            self.open = Some(open);
            self.rollback();
            return Ok(Commit { value: (), delta: None, changes: local(Vec::new()) });
        }
        let parts = self.parts(&open);
        let delta = Delta::seal(parts, self.state.tag(open.origin));
        if delta.bytes().len() > limits::MAX_DELTA_BYTES {
            let (found, limit) = (delta.bytes().len(), limits::MAX_DELTA_BYTES);
            self.open = Some(open);
            self.rollback();
            return Err(EditError::TooLarge { what: "bytes", found, limit });
        }
        let state = &mut self.state;
        let last = LocalDot::new(open.origin, delta.parts().last_seq());
        state.remove_runs(last, &delta.parts().removes, false);
        state.advance(open.origin, VersionEntry { seq: last.seq(), tag: delta.tag() });
        if !fault::active(Fault::HeadsPileUp) {
            state.heads.clear();
        }
        state.heads.insert(last);
        state.keep_log_short();
        let list = self.state.view.take_changes(&self.state.origins);
        Ok(Commit { value: (), delta: Some(delta), changes: local(list) })
    }

    fn parts(&self, open: &Open) -> DeltaParts {
        let state = &self.state;
        let id = state.origins.id(open.origin);
        let least = if fault::active(Fault::RemovalTakesNoDot) { 0 } else { 1 };
        let dots = (open.next_seq - open.first_seq).max(least);
        let mut adds = Vec::new();
        let mut totals_before = Vec::new();
        for (dot, live) in state.store.range(open.origin, open.first_seq..=Dot::MAX_SEQ) {
            adds.push((dot.seq(), state.export(live)));
            if let Some((plus, minus)) = open.totals_before.get(&dot) {
                totals_before.push((dot.seq(), *plus, *minus));
            }
        }
        let mut removes = DotRuns::new();
        for dot in &open.removed {
            removes.insert(state.origins.dot(*dot));
        }
        // A bunch whose values are all gone again is left out unless another one hangs on it. Ids ascend as they were made.
        let mut bunches = Vec::new();
        for id in &open.bunches {
            if state.forest.is_needed(*id) {
                bunches.extend(state.forest.record(&state.origins, *id));
            }
        }
        let (replica, first_seq, hlc) = (id, open.first_seq, open.hlc);
        DeltaParts { replica, first_seq, dots, deps: self.heads(), hlc, bunches, adds, totals_before, removes }
    }

    /// Ends the open transaction and undoes all that it did. Does nothing if none is open.
    pub fn rollback(&mut self) {
        let Some(open) = self.open.take() else { return };
        if !fault::active(Fault::RollbackKeepsClock) {
            self.clock = open.clock;
        }
        for step in open.journal.into_iter().rev() {
            match step {
                Step::Inserted(dot) => _ = self.state.kill(dot, None),
                Step::Killed(_) if fault::active(Fault::RollbackLeavesDead) => {}
                Step::Killed(dead) => {
                    for (dot, live) in dead {
                        let alive = self.state.insert(dot, live);
                        debug_assert!(alive, "what died after its container comes back before it");
                    }
                }
            }
        }
        for id in open.bunches.into_iter().rev().filter(|_| !fault::active(Fault::RollbackKeepsBunches)) {
            self.state.forest.forget(id);
        }
        self.state.view.drop_changes();
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
    pub(crate) slot: Slot,
}

impl Transaction<'_> {
    /// The document as it is now, with the edits of this transaction.
    pub fn document(&self) -> &Document {
        self.document
    }

    fn open(&mut self) -> &mut Open {
        self.document.open.as_mut().expect("a Transaction exists only while one is open")
    }

    /// Whether this transaction has bound `dot`.
    pub(crate) fn is_own(&mut self, dot: LocalDot) -> bool {
        self.open().is_own(dot)
    }

    /// The stamp of this transaction.
    pub(crate) fn hlc(&mut self) -> Hlc {
        self.open().hlc
    }

    pub(crate) fn origin(&mut self) -> Origin {
        self.open().origin
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
        if !self.document.state.insert(dot, Live { container, slot, kind, entity, payload, hlc }) {
            // The dot will be given to something else, so a bunch of that name must not stay.
            let bunches = &mut self.open().bunches;
            if bunches.pop_if(|bunch| *bunch == dot).is_some() {
                self.document.state.forest.forget(dot);
            }
            return Err(EditError::Gone);
        }
        let open = self.open();
        open.next_seq += 1;
        open.journal.push(Step::Inserted(dot));
        Ok(dot)
    }

    /// Removes an observed dot, or takes back one of this transaction.
    pub(crate) fn remove(&mut self, dot: LocalDot) {
        let open = self.open();
        let own = open.is_own(dot);
        let cause = LocalDot::new(open.origin, open.first_seq);
        let dead = self.document.state.kill(dot, Some(cause));
        if dead.is_empty() {
            return;
        }
        let open = self.open();
        if !own || fault::active(Fault::NettingMissed) {
            open.removed.push(dot);
        }
        open.journal.push(Step::Killed(dead));
    }

    /// Notes what the running total at `dot` overwrote, so that others can tell how much was added.
    pub(crate) fn total_overwrote(&mut self, dot: LocalDot, old: LocalDot, total: (u64, u64)) {
        let open = self.open();
        let before = if open.is_own(old) && !fault::active(Fault::CounterForgetsBefore) {
            open.totals_before.get(&old).copied().unwrap_or((0, 0))
        } else {
            total
        };
        if before != (0, 0) {
            open.totals_before.insert(dot, before);
        }
    }

    /// The slot for the next dot between two neighbours of a list's order.
    pub(crate) fn place_between(
        &mut self,
        left: Option<LocalPosition>,
        right: Option<LocalPosition>,
    ) -> Result<Slot, EditError> {
        let dot = self.next_dot()?;
        let origin = self.origin();
        let state = &mut self.document.state;
        let too_deep = |_: ForestError| EditError::PositionTooDeep { limit: Forest::MAX_DEPTH };
        match state.forest.place(&state.origins, origin, dot.seq(), left, right).map_err(too_deep)? {
            Placement::Extend { bunch, backward } => Ok(Slot::Position { bunch: bunch.seq(), backward }),
            Placement::New { parent, side, rank } => {
                state.forest.insert(dot, parent, side, rank).map_err(too_deep)?;
                self.open().bunches.push(dot);
                Ok(Slot::Position { bunch: dot.seq(), backward: false })
            }
        }
    }

    /// The lowest incarnation of a place: where a new slot goes.
    pub(crate) fn lowest(&self, place: PlaceId) -> Result<LocalContainer, EditError> {
        let state = &self.document.state;
        state.view.lowest(place, &state.origins).ok_or(EditError::Gone)
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
