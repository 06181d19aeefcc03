//! The one thread that writes: group commit.

use std::fs::File;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tracing::{error, warn};

use super::reader::{ReadJob, epochs, find, window};
use super::{READERS, Reply, Source, window};
use crate::metrics::Histogram;
use crate::store::{MAX_EPOCHS, Mode, Position, Recovered, StoreError, extend_epochs};

/// The most bytes of a group, but for a single longer call: enough to make the fsync a small part of the cost, little enough to answer soon.
const GROUP_BYTES: usize = 4 << 20;

/// The document that reserved space is written under: none has this id.
const RESERVED: i64 = 0;

/// After so long without a job the store is quiet.
const PAUSE: Duration = Duration::from_secs(2);

/// What the writer can be asked.
pub(super) enum Job {
    Recover {
        document: Arc<str>,
        reply: Reply<Recovered>,
    },
    Append {
        document: Arc<str>,
        first_position: Position,
        rows: Vec<Bytes>,
        reply: Reply<()>,
    },
    Snapshot {
        document: Arc<str>,
        upto: Position,
        bytes: Bytes,
        reply: Reply<()>,
    },
    Delete {
        document: Arc<str>,
        reply: Reply<bool>,
    },
    SetMode {
        document: Arc<str>,
        mode: Mode,
        reply: Reply<()>,
    },
    Reserve {
        bytes: usize,
        reply: Reply<()>,
    },
    Probe {
        reply: Reply<()>,
    },
    Close {
        reply: Reply<()>,
    },
    /// Lets a test reach the writer's connection, which alone can run out of pages.
    #[cfg(test)]
    Inspect(Box<dyn FnOnce(&Connection) + Send>),
}

/// What a job led to inside the transaction, to be told after the commit.
enum Outcome {
    Recover(Result<(), StoreError>, Arc<str>, Reply<Recovered>),
    Done(Result<(), StoreError>, Reply<()>),
    Reserved(Result<(), StoreError>, Reply<()>),
    Deleted(Result<bool, StoreError>, Reply<bool>),
}

pub(super) struct Writer {
    source: Source,
    epoch: u64,
    /// None after an I/O error: what the engine still remembers of the file may not be what is in it, so it is opened anew.
    connection: Option<Connection>,
    reads: mpsc::Sender<ReadJob>,
    readers: Vec<JoinHandle<()>>,
    _lock: File,
    /// How long commits take.
    commits: Arc<Histogram>,
}

impl Writer {
    pub(super) fn new(
        source: Source,
        epoch: u64,
        connection: Connection,
        reads: mpsc::Sender<ReadJob>,
        readers: Vec<JoinHandle<()>>,
        lock: File,
        commits: Arc<Histogram>,
    ) -> Self {
        Writer { source, epoch, connection: Some(connection), reads, readers, _lock: lock, commits }
    }

    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut closing = None;
        // What did not fit into the last group.
        let mut left = None;
        while closing.is_none()
            && let Some(first) = left.take().or_else(|| self.wait(jobs))
        {
            let mut group: Vec<Job> = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(job) = next.take() {
                if !group.is_empty() && bytes + job.bytes() > GROUP_BYTES {
                    left = Some(job);
                    break;
                }
                match job {
                    Job::Close { reply } => {
                        closing = Some(reply);
                        break;
                    }
                    #[cfg(test)]
                    Job::Inspect(inspect) => inspect(self.connection.as_ref().expect("inspected while healthy")),
                    job => {
                        bytes += job.bytes();
                        group.push(job);
                    }
                }
                if bytes < GROUP_BYTES {
                    next = jobs.try_recv().ok();
                }
            }
            self.commit(group);
        }
        self.stop();
        if let Some(reply) = closing {
            let _ = reply.send(Ok(()));
        }
    }

    /// The next job; nothing when there will be none. After a pause the memory goes that was taken for what was busy.
    fn wait(&self, jobs: &mpsc::Receiver<Job>) -> Option<Job> {
        match jobs.recv_timeout(PAUSE) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(connection) = &self.connection
            && let Err(error) = connection.execute_batch("PRAGMA shrink_memory")
        {
            warn!(%error, "the store keeps memory that it does not need");
        }
        jobs.recv().ok()
    }

    /// One transaction for the whole group, then the answers.
    fn commit(&mut self, group: Vec<Job>) {
        if group.is_empty() {
            return;
        }
        match self.transact(&group) {
            Ok(results) => {
                for (job, result) in group.into_iter().zip(results) {
                    self.answer(job.with(result));
                }
            }
            Err(failure) => {
                error!(%failure, calls = group.len(), "a commit failed");
                if matches!(failure, StoreError::Io { .. }) {
                    self.connection = None;
                }
                if group.len() > 1 {
                    // One damaged document, or one append that does not fit, must not fail the others.
                    group.into_iter().for_each(|job| self.commit(vec![job]));
                } else {
                    group.into_iter().for_each(|job| self.answer(job.with(Err(failure.clone()))));
                }
            }
        }
    }

    /// An inner error concerns one job, which has then changed nothing; an outer one the whole transaction.
    fn transact(&mut self, group: &[Job]) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        let (source, commits) = (&self.source, &self.commits);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(source.connect_to_write()?),
        };
        let mut run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let work = Work { source, epoch: self.epoch, transaction: &transaction };
            let results = group.iter().map(|job| work.apply(job)).collect::<rusqlite::Result<_>>()?;
            let started = Instant::now();
            transaction.commit()?;
            commits.observe(started.elapsed());
            Ok(results)
        };
        run().map_err(|error| source.sql(&error))
    }

    /// Takes away what a reservation has written. That it was written is what was to be found out; in the same transaction it never would be.
    fn give_back(&self) -> Result<(), StoreError> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let deleted = connection.execute("DELETE FROM snapshot WHERE document = ?1", [RESERVED]);
        deleted.map(|_| ()).map_err(|error| self.source.sql(&error))
    }

    fn answer(&self, outcome: Outcome) {
        // Whoever asked may be gone by now; then nobody misses the answer.
        match outcome {
            Outcome::Recover(Ok(()), document, reply) => {
                let _ = self.reads.send(ReadJob::Recover { document, reply });
            }
            // What is there can be read, although its list of epochs cannot be extended.
            Outcome::Recover(Err(StoreError::Full { .. } | StoreError::Io { .. }), document, reply) => {
                let _ = self.reads.send(ReadJob::Recover { document, reply });
            }
            Outcome::Recover(Err(error), _, reply) => {
                let _ = reply.send(Err(error));
            }
            Outcome::Reserved(result, reply) => {
                let _ = reply.send(result.and_then(|()| self.give_back()));
            }
            Outcome::Done(result, reply) => {
                let _ = reply.send(result);
            }
            Outcome::Deleted(result, reply) => {
                let _ = reply.send(result);
            }
        }
    }

    fn stop(&mut self) {
        for _ in 0..READERS {
            let _ = self.reads.send(ReadJob::Stop);
        }
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if let Some(connection) = self.connection.take()
            && let Err((_, error)) = connection.close()
        {
            // Everything acknowledged is in the write-ahead log, which the next opening reads.
            warn!(%error, file = %self.source.name, "the database did not close cleanly");
        }
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Append { rows, .. } => rows.iter().map(Bytes::len).sum(),
            Job::Snapshot { bytes, .. } => bytes.len(),
            Job::Reserve { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    fn with(self, result: Result<bool, StoreError>) -> Outcome {
        match self {
            Job::Recover { document, reply } => Outcome::Recover(result.map(|_| ()), document, reply),
            Job::Append { reply, .. }
            | Job::Snapshot { reply, .. }
            | Job::SetMode { reply, .. }
            | Job::Probe { reply }
            | Job::Close { reply } => Outcome::Done(result.map(|_| ()), reply),
            Job::Reserve { reply, .. } => Outcome::Reserved(result.map(|_| ()), reply),
            Job::Delete { reply, .. } => Outcome::Deleted(result, reply),
            #[cfg(test)]
            Job::Inspect(_) => unreachable!("inspections are not in a group"),
        }
    }
}

/// One transaction. Every step looks first and writes after, so that a refusal leaves nothing behind.
struct Work<'a> {
    source: &'a Source,
    epoch: u64,
    transaction: &'a Transaction<'a>,
}

impl Work<'_> {
    fn apply(&self, job: &Job) -> rusqlite::Result<Result<bool, StoreError>> {
        match job {
            Job::Recover { document, .. } => self.recover(document),
            Job::Append { document, first_position, rows, .. } => self.append(document, *first_position, rows),
            Job::Snapshot { document, upto, bytes, .. } => self.snapshot(document, *upto, bytes),
            Job::Reserve { bytes, .. } => self.reserve(*bytes),
            Job::Delete { document, .. } => self.delete(document),
            Job::SetMode { document, mode, .. } => self.set_mode(document, *mode),
            Job::Probe { .. } => self.probe(),
            Job::Close { .. } => Ok(Ok(true)),
            #[cfg(test)]
            Job::Inspect(_) => Ok(Ok(true)),
        }
    }

    /// CUR-1: a document that exists has the running epoch in its list before anybody sees it.
    fn recover(&self, name: &str) -> rusqlite::Result<Result<bool, StoreError>> {
        if let Some(document) = find(self.transaction, name)? {
            self.extend_epochs(document.id, document.head)?;
        }
        Ok(Ok(true))
    }

    fn append(
        &self,
        name: &Arc<str>,
        first_position: Position,
        rows: &[Bytes],
    ) -> rusqlite::Result<Result<bool, StoreError>> {
        let found = find(self.transaction, name)?;
        let head = found.map_or(0, |document| document.head);
        if first_position != head + 1 {
            let document = Arc::clone(name);
            return Ok(Err(StoreError::OutOfOrder { document, expected: head + 1, found: first_position }));
        }
        if rows.is_empty() {
            return Ok(Ok(true));
        }
        let document = match found {
            Some(document) => document.id,
            None => self
                .transaction
                .prepare_cached("INSERT INTO document(name, head, floor) VALUES(?1, 0, 0)")?
                .insert([name])?,
        };
        self.extend_epochs(document, head)?;
        let end = self.windows(document, first_position, rows)?;
        self.transaction
            .prepare_cached("UPDATE document SET head = ?2 WHERE id = ?1")?
            .execute(params![document, (end - 1).cast_signed()])?;
        Ok(Ok(true))
    }

    fn snapshot(&self, name: &Arc<str>, upto: Position, bytes: &Bytes) -> rusqlite::Result<Result<bool, StoreError>> {
        let found = find(self.transaction, name)?;
        let (floor, head) = found.map_or((0, 0), |document| (document.floor, document.head));
        let Some(document) = found.filter(|_| floor <= upto && upto <= head && upto > 0) else {
            return Ok(Err(StoreError::SnapshotOutside { document: Arc::clone(name), upto, floor, head }));
        };
        // The last window to go may hold rows that stay.
        let last = self
            .transaction
            .prepare_cached(
                "SELECT first, count, checksum, bytes FROM log WHERE document = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
            )?
            .query_row(params![document.id, upto.cast_signed()], window)
            .optional()?;
        let staying = match last {
            Some((first, window)) if first.saturating_add(window.count) > upto + 1 => {
                let Some(mut rows) = window.unpack() else {
                    return Ok(Err(self.source.corrupt(format!("the log of {name:?} at {first}"))));
                };
                let covered = usize::try_from(upto + 1 - first).unwrap_or(usize::MAX).min(rows.len());
                rows.split_off(covered)
            }
            _ => Vec::new(),
        };
        self.transaction
            .prepare_cached("DELETE FROM log WHERE document = ?1 AND first <= ?2")?
            .execute(params![document.id, upto.cast_signed()])?;
        self.windows(document.id, upto + 1, &staying)?;
        self.transaction.prepare_cached("DELETE FROM snapshot WHERE document = ?1")?.execute([document.id])?;
        self.transaction
            .prepare_cached("INSERT INTO snapshot(document, upto, checksum, bytes) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![document.id, upto.cast_signed(), crc32fast::hash(bytes), &bytes[..]])?;
        self.transaction
            .prepare_cached("UPDATE document SET floor = ?2 WHERE id = ?1")?
            .execute(params![document.id, upto.cast_signed()])?;
        Ok(Ok(true))
    }

    fn set_mode(&self, name: &str, mode: Mode) -> rusqlite::Result<Result<bool, StoreError>> {
        match mode {
            Mode::ReadWrite => self.transaction.prepare_cached("DELETE FROM mode WHERE name = ?1")?.execute([name])?,
            Mode::ReadOnly | Mode::Closed => self
                .transaction
                .prepare_cached("INSERT INTO mode VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET mode = ?2")?
                .execute(params![name, if mode == Mode::ReadOnly { 1 } else { 2 }])?,
        };
        Ok(Ok(true))
    }

    fn reserve(&self, bytes: usize) -> rusqlite::Result<Result<bool, StoreError>> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO snapshot(document, upto, checksum, bytes) VALUES(?1, 0, 0, zeroblob(?2))",
            )?
            .execute([RESERVED, bytes])?;
        Ok(Ok(true))
    }

    /// A number that changes: what is as it was would not be written.
    fn probe(&self) -> rusqlite::Result<Result<bool, StoreError>> {
        let count = "INSERT INTO meta VALUES('probe', 1) ON CONFLICT(key) DO UPDATE SET value = (value + 1) & 0xffff";
        self.transaction.prepare_cached(count)?.execute([])?;
        Ok(Ok(true))
    }

    fn delete(&self, name: &str) -> rusqlite::Result<Result<bool, StoreError>> {
        let Some(document) = find(self.transaction, name)? else { return Ok(Ok(false)) };
        for sql in [
            "DELETE FROM log WHERE document = ?1",
            "DELETE FROM snapshot WHERE document = ?1",
            "DELETE FROM epoch WHERE document = ?1",
            "DELETE FROM document WHERE id = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([document.id])?;
        }
        Ok(Ok(true))
    }

    /// Writes rows in windows; returns the position after the last.
    fn windows(&self, document: i64, first: Position, rows: &[Bytes]) -> rusqlite::Result<Position> {
        let mut insert = self
            .transaction
            .prepare_cached("INSERT INTO log(document, first, count, checksum, bytes) VALUES(?1, ?2, ?3, ?4, ?5)")?;
        let mut next = first;
        for window in window::pack(rows) {
            let (at, count) = (next.cast_signed(), window.count.cast_signed());
            insert.execute(params![document, at, count, window.checksum, &window.bytes[..]])?;
            next += window.count;
        }
        Ok(next)
    }

    fn extend_epochs(&self, document: i64, head: Position) -> rusqlite::Result<()> {
        let stored = epochs(self.transaction, document)?;
        let ordinal = stored.last().map_or(0, |(ordinal, _)| ordinal + 1);
        let mut list = stored.into_iter().map(|(_, epoch)| epoch).collect();
        if !extend_epochs(&mut list, self.epoch, head) {
            return Ok(());
        }
        let added = list.last().expect("the list was just extended");
        self.transaction
            .prepare_cached("INSERT INTO epoch(document, ordinal, id, first) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![document, ordinal, added.id.cast_signed(), added.first_position.cast_signed()])?;
        self.transaction
            .prepare_cached("DELETE FROM epoch WHERE document = ?1 AND ordinal <= ?2")?
            .execute(params![document, ordinal - MAX_EPOCHS as i64])?;
        Ok(())
    }
}
