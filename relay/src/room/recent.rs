//! The newest committed rows, in memory: what members that are nearly up to date are fed from, without reading the disk.

use std::collections::VecDeque;

use bytes::Bytes;
use weftline::VersionVector;
use weftline::sync::Before;

use super::MemberId;
use crate::store::Position;

/// A row of the log.
#[derive(Debug)]
pub(super) struct LogRow {
    pub(super) position: Position,
    /// The encoded row.
    pub(super) bytes: Bytes,
    /// What it adds to the version.
    pub(super) moves: VersionVector,
    /// Who pushed it: it is not sent back to them.
    pub(super) pusher: Option<MemberId>,
    /// What of the rows before it its packed form does without.
    pub(super) before: Option<Before>,
    /// It is sent to nobody.
    pub(super) is_private: bool,
    /// How many replicas had a number in the roster after it.
    pub(super) named: usize,
}

/// The newest rows, contiguous up to the last committed one.
#[derive(Debug)]
pub(super) struct Recent {
    rows: VecDeque<LogRow>,
    bytes: usize,
    max_bytes: usize,
    /// The last position pushed.
    last: Position,
}

impl Recent {
    pub(super) fn new(last: Position, max_bytes: usize) -> Self {
        Self { rows: VecDeque::new(), bytes: 0, max_bytes, last }
    }

    pub(super) fn push(&mut self, row: LogRow) {
        self.last = row.position;
        self.bytes += row.bytes.len();
        self.rows.push_back(row);
        // The newest row always stays, however long it is: everybody is about to be sent it.
        while self.bytes > self.max_bytes && self.rows.len() > 1 {
            let oldest = self.rows.pop_front().expect("there is more than one");
            self.bytes -= oldest.bytes.len();
        }
    }

    /// Whether every row after `position` is here.
    pub(super) fn reaches(&self, position: Position) -> bool {
        position >= self.last || self.rows.front().is_some_and(|row| row.position <= position + 1)
    }

    /// The rows after `position`, if [`Self::reaches`] it.
    pub(super) fn after(&self, position: Position) -> impl Iterator<Item = &LogRow> {
        let start = match self.rows.front() {
            Some(first) if first.position <= position + 1 => (position + 1 - first.position) as usize,
            _ => self.rows.len(),
        };
        self.rows.range(start.min(self.rows.len())..)
    }
}
