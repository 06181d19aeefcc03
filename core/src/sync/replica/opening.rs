//! Opening a replica: folding what its store held, in whatever order the store gives it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{Replica, VoidRow};
use crate::clock::{Dot, Tag, Timestamp, VersionEntry, VersionVector, VoidFact};
use crate::codec::{self, DecodeError};
use crate::delta::Delta;
use crate::diff::Diff;
use crate::document::{ApplyError, Document, LoadError, Readiness};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set, sort_by_key};
use crate::replica_id::ReplicaId;
use crate::sync::entropy::Entropy;
use crate::sync::fork::{self, Chains, Moved, Waiting};
use crate::sync::limits;
use crate::sync::outbox::Outbox;
use crate::sync::presence::Peers;
use crate::sync::queue::Queue;
use crate::sync::record::{Cursor, Record, Token};
use crate::sync::row::Row;
use crate::sync::slot::Slot;
use crate::sync::staging::Staging;
use crate::sync::status::Status;

/// What an opening is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The slot whose exclusive lock is held until the replica is dropped: the lowest that was free (ID-2). `None` where
    /// locks cannot be had, or the store cannot write strictly: then no id is ever continued (TAB-4).
    pub slot: Option<u32>,
    /// Random bytes, fresh for every opening.
    pub entropy: [u8; 16],
    /// The time.
    pub now: Timestamp,
}

/// Why a store's content could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The document's name is empty or too long.
    #[error("a document name of {len} bytes; it must have between 1 and {limit}")]
    Name {
        /// How long it is.
        len: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A snapshot is damaged.
    #[error(transparent)]
    Snapshot(#[from] LoadError),
    /// A row is damaged.
    #[error("a stored row cannot be read: {0}")]
    Row(#[from] DecodeError),
}

/// The records of a store, sorted by kind.
#[derive(Default)]
struct Stored {
    slot: Option<Record>,
    snapshots: Vec<Document>,
    deltas: Vec<Delta>,
    diffs: Vec<Diff>,
    /// What waits for its ack, with the tags that its dependencies have, and once all is sorted, by chain.
    outbox: Vec<(Delta, Vec<Tag>)>,
    chains: Chains,
    acked: Map<ReplicaId, u64>,
    /// What a delta hangs on, by its name.
    positions: Map<Dot, Arc<[u8]>>,
    cursor: Option<Cursor>,
    voids: Vec<VoidFact>,
}

impl Replica {
    /// Opens a document from what its store held: every record that survived, in any order. Costs O(stored).
    ///
    /// # Errors
    /// When something stored cannot be read. What is missing is no error: it comes back from the relay, and in any doubt
    /// about its own id the replica takes a fresh one.
    pub fn open(
        document_name: &str,
        opening: Opening,
        stored: impl IntoIterator<Item = Record>,
    ) -> Result<Self, OpenError> {
        let len = document_name.len();
        if !(1..=limits::MAX_DOCUMENT_NAME).contains(&len) {
            return Err(OpenError::Name { len, limit: limits::MAX_DOCUMENT_NAME });
        }
        let mut entropy = Entropy::new(opening.entropy);
        // Also what the store holds was written by strangers.
        let keys = entropy.next();
        let mut stored = Stored::sort(opening.slot, stored, keys)?;
        let (void_rows, clean, is_shown) = stored.settle()?;
        let mut snapshots = stored.snapshots;
        let first = snapshots.pop().unwrap_or_else(|| keyed(keys));
        let (mut document, whole, complete) = fold(first, &snapshots, stored.deltas, stored.diffs, &stored.positions)?;
        document.observe_time(opening.now);

        let mut outbox = Outbox::default();
        let version = document.version();
        let mut unacked = Vec::new();
        // Token 0 is before every batch of this opening. That it may have been written relaxed only is what the proof is for
        // (DUR-3).
        outbox.replace(&stored.chains, Token(0));
        for Waiting { delta, .. } in stored.chains.values().flatten() {
            if !version.covers(delta.dot()) {
                unacked.push(delta.clone());
            }
        }

        let positions = |delta: &Delta| stored.positions.get(&delta.dot()).cloned();
        // DUR-5: an outbox that does not hang together with the rest means that something before it is lost.
        let whole = whole && unacked.is_empty() && is_shown;
        let unready = unacked.into_iter().map(|delta| (positions(&delta), delta)).collect();
        let inc = entropy.next() as u64;
        let mut slot = Slot::open(opening.slot, inc, stored.slot, &version, whole);
        // Nor is one continued of which a branch here is void: acks of what the log has of it would be taken for acks of that.
        if slot.replica().is_some_and(|id| void_rows.iter().any(|(dot, _)| dot.replica == id)) {
            slot.retire();
        }
        let set = document.set_writer(slot.replica());
        debug_assert!(set.is_ok(), "a document that was just loaded has no open transaction");

        Ok(Self {
            name: document_name.into(),
            document,
            slot,
            outbox,
            unready,
            opening: inc,
            entropy,
            connections: 0,
            // The cursor promises that everything up to it is here.
            cursor: stored.cursor.filter(|_| whole && complete && clean),
            dialing: false,
            connection: None,
            peers: Peers::new(inc),
            staging: Staging::default(),
            unfinished: Queue::new(),
            last_token: Token(0),
            stored: Token(0),
            compacted: VersionVector::new(),
            outputs: Queue::new(),
            reported: Status::default(),
            refused: None,
            closed: None,
            token: Vec::new(),
            voids: stored.voids,
            void_rows,
            contradicted: Set::new(),
            must_rebuild: false,
            rebuilt: 0,
        })
    }
}

impl Stored {
    fn sort(slot: Option<u32>, records: impl IntoIterator<Item = Record>, keys: u128) -> Result<Self, OpenError> {
        let mut stored = Self::default();
        let mut folded = Vec::new();
        for record in records {
            Record::fold(&mut folded, record);
        }
        for record in folded {
            match record {
                Record::Slot { index, .. } => {
                    if slot == Some(index) || fault::active(Fault::LockIgnored) {
                        stored.slot = Some(record);
                    }
                }
                Record::Row(row) => stored.row(&row)?,
                Record::Outbox { row, deps, .. } => {
                    if let Some(delta) = row.delta() {
                        stored.outbox.push((delta?, deps));
                    }
                }
                Record::Acked { replica, through } => {
                    let acked = stored.acked.get_or_insert_with(replica, Default::default);
                    *acked = through.max(*acked);
                }
                Record::Positions { replica, last_seq, bytes } => {
                    stored.positions.insert(Dot::new(replica, last_seq), bytes);
                }
                Record::Cursor(cursor) => stored.cursor = (cursor != Cursor::NONE).then_some(cursor),
                Record::Snapshot(bytes) => stored.snapshots.push(keyed(keys).loaded(&bytes)?),
                Record::Dropped(_) => {}
            }
        }
        Ok(stored)
    }

    fn row(&mut self, row: &Row) -> Result<(), OpenError> {
        match row {
            Row::Delta { prev_tag, bytes } => self.deltas.push(Delta::decode(bytes, *prev_tag)?),
            Row::Diff { bytes } => self.diffs.push(codec::decode_diff(bytes)?),
            // Every opening that hears of one writes it.
            Row::Void(fact) if self.voids.contains(fact) => {}
            Row::Void(fact) => self.voids.push(*fact),
            Row::Lease { .. } => {}
        }
        Ok(())
    }
}

impl Stored {
    /// Puts the outbox into chains. FORK-4: what in it is void is renamed before anything is joined, whoever wrote it; what was
    /// summed up with it is left out, since whoever renamed it wrote the whole state beside it, and so is what tells of another branch
    /// than the one that waits here: joined with that it would be a mixture of the two. Gives the names and the tags of the void deltas, and whether
    /// nothing was left out.
    fn settle(&mut self) -> Result<(Vec<VoidRow>, bool, bool), DecodeError> {
        let acked = core::mem::take(&mut self.acked);
        let is_unacked = |delta: &Delta| delta.last_seq() > acked.get(&delta.replica()).copied().unwrap_or(0);
        sort_by_key(&mut self.outbox, |(delta, _)| (delta.replica(), delta.first_seq()));
        for (delta, tags) in core::mem::take(&mut self.outbox) {
            if !is_unacked(&delta) {
                continue;
            }
            let positions = match self.positions.get(&delta.dot()) {
                Some(bytes) => codec::decode_positions(bytes)?,
                None => Vec::new(),
            };
            let chain = self.chains.get_or_insert_with(delta.replica(), Vec::new);
            match chain.last().map_or(delta.first_seq(), |last| last.delta.last_seq() + 1) {
                next if next > delta.first_seq() => continue,
                // What is before a hole was acked.
                next if next < delta.first_seq() => chain.clear(),
                _ => {}
            }
            let deps = delta.deps_on_others().into_iter().zip(tags).collect();
            chain.push(Waiting { delta, deps, positions });
        }
        let mut moved = Moved::default();
        fork::rename_void(&mut self.chains, &self.voids, &mut moved);
        // What is acked under its new name is here under that.
        for (_, chain) in self.chains.iter_mut() {
            chain.retain(|waiting| is_unacked(&waiting.delta));
        }
        let mut void_rows = moved.names;
        sort_by_key(&mut void_rows, |row| *row);
        for fact in moved.facts {
            if !self.voids.contains(&fact) {
                self.voids.push(fact);
            }
        }

        let is_void = |name: VoidRow| void_rows.binary_search(&name).is_ok();
        let tells_of_void = |version: &VersionVector| {
            version.iter().any(|(replica, VersionEntry { seq, tag })| is_void((Dot::new(replica, seq), tag)))
        };
        let count = |stored: &Self| stored.deltas.len() + stored.diffs.len() + stored.snapshots.len();
        self.deltas.retain(|delta| !is_void((delta.dot(), delta.tag())));
        let before = count(self);
        self.diffs.retain(|diff| !tells_of_void(&diff.head));
        self.snapshots.retain(|document| !tells_of_void(&document.version()));
        // Either what waits or what the log has of the same id: of what waits the state at rest knows, or none of it is shown yet.
        let mut shown = self.chains.clone();
        let is_other = |chain: &[Waiting], VersionEntry { seq, tag }: VersionEntry| {
            let is_within = chain.first().is_some_and(|first| first.delta.first_seq() <= seq);
            is_within && chain.iter().all(|waiting| (waiting.delta.last_seq(), waiting.delta.tag()) != (seq, tag))
        };
        let fits = |shown: &Chains, version: &VersionVector| {
            let mut entries = version.iter();
            !entries.any(|(replica, entry)| shown.get(&replica).is_some_and(|chain| is_other(chain, entry)))
        };
        let at_rest: Vec<VersionVector> = self.snapshots.iter().map(Document::version).collect();
        if let Some(last) = at_rest.last()
            && !at_rest.iter().any(|version| fits(&shown, version))
        {
            shown.retain(|replica, chain| last.get(*replica).is_none_or(|entry| !is_other(chain, entry)));
        }
        self.deltas.retain(|delta| {
            let (Dot { replica, seq }, tag) = (delta.dot(), delta.tag());
            shown.get(&replica).is_none_or(|chain| !is_other(chain, VersionEntry { seq, tag }))
        });
        self.diffs.retain(|diff| fits(&shown, &diff.head));
        self.snapshots.retain(|document| fits(&shown, &document.version()));
        let clean = before == count(self);
        for Waiting { delta, positions, .. } in shown.values().flatten() {
            if !positions.is_empty() {
                self.positions.insert(delta.dot(), codec::encode_positions(positions).into());
            }
            // An outbox entry is its row as well: one of them may have been written by a tab that this store's rows do not know.
            self.deltas.push(delta.clone());
        }
        Ok((void_rows, clean, shown.len() == self.chains.len()))
    }
}

/// An empty document whose tables nobody can aim at.
fn keyed(random: u128) -> Document {
    let mut document = Document::new();
    document.seed_hashes(random);
    document
}

/// Joins everything; says whether all of it fitted together, and whether none of it waits for what is not there. Rows from the
/// relay may wait: they were stored as they came, and a repair was asked for. That loses nothing that the store promised.
fn fold(
    mut document: Document,
    others: &[Document],
    deltas: Vec<Delta>,
    mut diffs: Vec<Diff>,
    positions: &Map<Dot, Arc<[u8]>>,
) -> Result<(Document, bool, bool), DecodeError> {
    let mut whole = true;
    for other in others {
        // Two tabs have compacted: neither snapshot need cover the other.
        whole &= document.apply_diff(&other.diff_since(&document.version())).is_ok();
    }

    // A log gives rows in an order that is ready at once; what a keyed store gives out of order waits here, by chain.
    let mut waiting: Map<ReplicaId, Vec<Delta>> = Map::new();
    for delta in deltas {
        match check(&mut document, &delta, positions.get(&delta.dot()))? {
            Ok(Readiness::Known) => {}
            Ok(Readiness::Ready) => whole &= document.apply(&delta).is_ok(),
            Ok(Readiness::NotReady) => waiting.get_or_insert_with(delta.replica(), Default::default).push(delta),
            Err(_) => whole = false,
        }
    }
    for (_, chain) in waiting.iter_mut() {
        // The first is at the end, from where it is taken.
        sort_by_key(chain, |delta| Reverse(delta.first_seq()));
    }
    loop {
        let mut progress = false;
        diffs.retain(|diff| {
            let applied = document.apply_diff(diff).is_ok();
            progress |= applied;
            !applied
        });
        for (_, chain) in waiting.iter_mut() {
            while let Some(delta) = chain.last() {
                match check(&mut document, delta, positions.get(&delta.dot()))? {
                    Ok(Readiness::NotReady) => break,
                    Ok(Readiness::Known) => {}
                    Ok(Readiness::Ready) => whole &= document.apply(delta).is_ok(),
                    Err(_) => whole = false,
                }
                chain.pop();
                progress = true;
            }
        }
        if !progress {
            break;
        }
    }
    whole &= diffs.is_empty();
    let complete = waiting.values().all(Vec::is_empty);
    Ok((document, whole, complete))
}

/// Whether a delta is ready; what is not may lack nothing but positions that another tab's snapshot did not keep (SEQ-6).
#[inline(never)]
pub(super) fn check(
    document: &mut Document,
    delta: &Delta,
    positions: Option<&Arc<[u8]>>,
) -> Result<Result<Readiness, ApplyError>, DecodeError> {
    let readiness = document.check(delta);
    match positions {
        Some(bytes) if readiness == Ok(Readiness::NotReady) => {
            Ok(document.check_upon(delta, &codec::decode_positions(bytes)?))
        }
        _ => Ok(readiness),
    }
}
