//! Disks that lose what they may lose, and nothing else.
//!
//! A replica's disk is a sequence of atomic batches. Written batches are seen by whoever opens the disk next; after a power cut only a
//! prefix is left, which holds at least everything up to the last strict batch that was completed. Batches in flight may or may not have
//! arrived, in order.

use std::collections::{BTreeMap, VecDeque};

use weftline::ReplicaId;
use weftline::sync::{Class, Persist, Record, StoreChange, Table, Token};

use crate::rng::Rng;

/// Small, so that stores are compacted in short histories too.
const COMPACT_FROM: usize = 3_000;

/// How a disk keeps records: as a native client or as a browser does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A log, folded in the order written.
    Log,
    /// Tables by key, read back in the order of keys.
    Keyed,
}

/// A write that is not complete.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// Its number on this disk.
    pub(crate) number: u64,
    /// Which peer writes.
    pub(crate) peer: usize,
    /// To be reported to it.
    pub(crate) token: Token,
    class: Class,
    batch: Vec<Vec<u8>>,
}

/// The disk of one store, which several tabs may share.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    layout: Layout,
    written: Vec<Vec<Vec<u8>>>,
    /// How many of the written batches a power cut cannot take.
    durable: usize,
    in_flight: VecDeque<Write>,
    next_number: u64,
    /// The own deltas that no power cut can take: what may be shown to others (DUR-1).
    safe: BTreeMap<ReplicaId, u64>,
    snapshot_bytes: usize,
    log_bytes: usize,
    /// How many batches the last process that died was just writing and did not get written.
    torn: usize,
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            layout,
            written: Vec::new(),
            durable: 0,
            in_flight: VecDeque::new(),
            next_number: 0,
            safe: BTreeMap::new(),
            snapshot_bytes: 0,
            log_bytes: 0,
            torn: 0,
        }
    }

    /// Starts a write; gives its number.
    pub(crate) fn begin(&mut self, peer: usize, persist: Persist) -> u64 {
        self.next_number += 1;
        let batch = persist.records.iter().map(Record::encode).collect();
        let Persist { token, class, .. } = persist;
        self.in_flight.push_back(Write { number: self.next_number, peer, token, class, batch });
        self.next_number
    }

    /// A write is complete, and every one before it. Gives them.
    pub(crate) fn complete(&mut self, number: u64) -> Vec<Write> {
        let mut done = Vec::new();
        while self.in_flight.front().is_some_and(|write| write.number <= number) {
            let write = self.in_flight.pop_front().expect("the front was just looked at");
            self.write(&write);
            done.push(write);
        }
        done
    }

    /// Whose write this is, if it is still in flight.
    pub(crate) fn writer_of(&self, number: u64) -> Option<usize> {
        self.in_flight.iter().find(|write| write.number == number).map(|write| write.peer)
    }

    /// The writes of a peer fail; none of them arrives.
    pub(crate) fn fail(&mut self, peer: usize) {
        self.in_flight.retain(|write| write.peer != peer);
    }

    /// The process of a peer dies: of its writes in flight, some prefix arrives.
    pub(crate) fn crash(&mut self, peer: usize, rng: &mut Rng) {
        let mut left = rng.below(self.in_flight.len() + 1);
        self.torn = 0;
        for write in std::mem::take(&mut self.in_flight) {
            if write.peer != peer {
                self.in_flight.push_back(write);
            } else if left > 0 {
                left -= 1;
                // It arrives in memory; nobody was told, so nobody relies on it.
                self.log_bytes += write.batch.iter().map(Vec::len).sum::<usize>();
                self.written.push(write.batch);
            } else {
                self.torn += 1;
            }
        }
    }

    /// The power goes: a prefix is left. All peers on this disk must have been stopped. Gives how many batches were torn, and how
    /// many had been written but to no avail.
    pub(crate) fn cut_power(&mut self, rng: &mut Rng) -> (usize, usize) {
        let lost = rng.below(self.written.len() - self.durable + 1);
        self.written.truncate(self.written.len() - lost);
        let torn = self.torn + self.in_flight.len();
        self.in_flight.clear();
        // What is left has survived the worst: it is on the platter.
        self.durable = 0;
        self.settle();
        (torn, lost)
    }

    /// A copy, as a backup or a machine image takes it: what is written, and nothing that is being written.
    pub(crate) fn copy(&self) -> Self {
        Self { in_flight: VecDeque::new(), ..self.clone() }
    }

    /// An older state is put back. All peers on this disk must have been stopped.
    pub(crate) fn put_back(&mut self, backup: &Self) {
        *self = Self { next_number: self.next_number, ..backup.copy() };
        self.durable = 0;
        self.safe.clear();
        self.settle();
    }

    /// What is found when the disk is opened.
    pub(crate) fn records(&self) -> Vec<Record> {
        match self.layout {
            Layout::Log => self.log().collect(),
            Layout::Keyed => self.tables(),
        }
    }

    fn log(&self) -> impl Iterator<Item = Record> {
        self.written.iter().flatten().map(|bytes| Record::decode(bytes).expect("a stored record decodes"))
    }

    fn tables(&self) -> Vec<Record> {
        let mut tables: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
        for record in self.log() {
            match record.change() {
                StoreChange::Put { table, key, value } => _ = tables.insert((table, key), value),
                StoreChange::Delete { table, first, last } => {
                    tables.retain(|(at, key), _| *at != table || *key < first || *key > last);
                }
            }
        }
        tables.into_values().map(|bytes| Record::decode(&bytes).expect("a stored record decodes")).collect()
    }

    /// Whether nothing is being written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether the log has grown enough to be replaced, and nothing is being written.
    pub(crate) fn wants_compaction(&self) -> bool {
        self.in_flight.is_empty() && self.log_bytes > self.snapshot_bytes.max(COMPACT_FROM)
    }

    /// Replaces what a snapshot covers by it, in one strict step.
    pub(crate) fn compact(&mut self, snapshot: &Record, covers: impl Fn(&Record) -> bool) {
        let snapshot = snapshot.encode();
        self.snapshot_bytes = snapshot.len();
        let mut batch = vec![snapshot];
        // Of slots, cursors and acks only the last word counts, so a log is folded like tables when it is rewritten.
        let kept = self.tables().into_iter().filter(|record| !covers(record));
        batch.extend(kept.map(|record| record.encode()));
        self.log_bytes = batch.iter().skip(1).map(Vec::len).sum();
        self.written = vec![batch];
        self.durable = 0;
        self.settle();
    }

    /// Whether a dot that a peer wrote here can no longer be lost.
    pub(crate) fn is_safe(&self, replica: ReplicaId, seq: u64) -> bool {
        self.safe.get(&replica).is_some_and(|safe| seq <= *safe)
    }

    fn write(&mut self, write: &Write) {
        self.log_bytes += write.batch.iter().map(Vec::len).sum::<usize>();
        self.written.push(write.batch.clone());
        if write.class == Class::Strict {
            self.settle();
        }
    }

    fn settle(&mut self) {
        for bytes in self.written[self.durable..].iter().flatten() {
            if let Ok(Record::Outbox { replica, last_seq, .. }) = Record::decode(bytes) {
                let safe = self.safe.entry(replica).or_default();
                *safe = last_seq.max(*safe);
            }
        }
        self.durable = self.written.len();
    }
}
