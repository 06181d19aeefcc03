//! The relay's store, in the simulation: what is committed survives any crash, what is being committed survives or not.

use std::collections::VecDeque;

use bytes::Bytes;
use weftline::sync::Row;
use weftline::{Delta, VersionEntry, VersionVector, codec};
use weftline_relay::store::{Epoch, Position, Recovered, Snapshot, Tail};

use crate::rng::Rng;

/// A write that is not complete.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Rows.
    Append(Position, Vec<Bytes>),
    /// A snapshot.
    Snapshot(Position, Bytes),
}

/// One document's log.
#[derive(Debug, Default)]
pub(crate) struct RelayDisk {
    backup: Option<Backup>,
    snapshot: Option<Snapshot>,
    rows: VecDeque<(Position, Bytes)>,
    head: Position,
    epochs: Vec<Epoch>,
    in_flight: VecDeque<Operation>,
    /// What the committed rows add up to: what may be shown to anybody (FAN-1).
    pub(crate) version: VersionVector,
    /// The most bytes ever stored, and the longest snapshot.
    pub(crate) peak_bytes: usize,
    pub(crate) longest_snapshot: usize,
}

impl RelayDisk {
    /// A relay starts: what it finds. Some of what was in flight when the last one stopped has arrived.
    pub(crate) fn open(&mut self, epoch: u64, rng: &mut Rng) -> Recovered {
        let arrived = rng.below(self.in_flight.len() + 1);
        for _ in 0..arrived {
            self.complete();
        }
        self.in_flight.clear();
        if self.epochs.last().is_none_or(|last| last.id != epoch) {
            self.epochs.push(Epoch { id: epoch, first_position: self.head + 1 });
        }
        Recovered {
            snapshot: self.snapshot.clone(),
            rows: self.rows.iter().cloned().collect(),
            head: self.head,
            epochs: self.epochs.clone(),
        }
    }

    /// The operator takes a backup.
    pub(crate) fn back_up(&mut self) {
        self.backup = Some(Backup {
            snapshot: self.snapshot.clone(),
            rows: self.rows.clone(),
            head: self.head,
            epochs: self.epochs.clone(),
            version: self.version.clone(),
        });
    }

    /// The operator puts the backup back, while the relay is down: whatever was stored since is gone, acked or not.
    pub(crate) fn restore(&mut self) {
        let Some(Backup { snapshot, rows, head, epochs, version }) = self.backup.clone() else { return };
        self.in_flight.clear();
        (self.snapshot, self.rows, self.head, self.epochs, self.version) = (snapshot, rows, head, epochs, version);
    }

    /// Starts a write.
    pub(crate) fn begin(&mut self, operation: Operation) {
        self.in_flight.push_back(operation);
    }

    /// The oldest write fails: nothing of it arrives.
    pub(crate) fn fail(&mut self) -> Option<Operation> {
        self.in_flight.pop_front()
    }

    /// The oldest write is complete.
    pub(crate) fn complete(&mut self) -> Option<Operation> {
        let operation = self.in_flight.pop_front()?;
        match &operation {
            Operation::Append(first, rows) => {
                assert_eq!(*first, self.head + 1, "rows are appended at the head");
                for row in rows {
                    self.head += 1;
                    self.version.join(&moves(row));
                    self.rows.push_back((self.head, row.clone()));
                }
            }
            Operation::Snapshot(upto, bytes) => {
                assert!(*upto <= self.head, "a snapshot covers rows that are stored");
                self.longest_snapshot = self.longest_snapshot.max(bytes.len());
                self.rows.retain(|(position, _)| position > upto);
                self.snapshot = Some(Snapshot { upto: *upto, bytes: bytes.clone() });
            }
        }
        self.peak_bytes = self.peak_bytes.max(self.bytes());
        Some(operation)
    }

    /// Rows for somebody who is behind.
    pub(crate) fn read(&self, after: Position, max_bytes: usize) -> Tail {
        let floor = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.upto);
        if after < floor {
            return Tail::Trimmed { floor };
        }
        let mut bytes = 0;
        let rows = self.rows.iter().filter(|(position, _)| *position > after).take_while(|(_, row)| {
            let first = bytes == 0;
            bytes += row.len();
            first || bytes <= max_bytes
        });
        Tail::Rows(rows.cloned().collect())
    }

    fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(|(_, row)| row.len()).sum();
        rows + self.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len())
    }
}

/// What an operator keeps elsewhere.
#[derive(Debug, Clone)]
struct Backup {
    snapshot: Option<Snapshot>,
    rows: VecDeque<(Position, Bytes)>,
    head: Position,
    epochs: Vec<Epoch>,
    version: VersionVector,
}

/// What a row adds to the version.
fn moves(row: &[u8]) -> VersionVector {
    match Row::decode(row).expect("a stored row decodes") {
        Row::Delta { prev_tag, bytes } => {
            let delta = Delta::decode(&bytes, prev_tag).expect("a stored delta decodes");
            let dot = delta.dot();
            [(dot.replica, VersionEntry { seq: dot.seq, tag: delta.tag() })].into_iter().collect()
        }
        Row::Diff { bytes } => codec::decode_diff(&bytes).expect("a stored diff decodes").head,
        Row::Void(_) | Row::Lease { .. } => VersionVector::new(),
    }
}
