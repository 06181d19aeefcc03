//! The default store: one SQLite database, written by one thread.
//!
//! The database is in WAL mode with `synchronous=FULL`, so a commit is one fsync and survives power loss. All writes go through one
//! thread that commits in groups: it takes everything that waits, in one transaction, with one fsync, and then answers everybody. When
//! nothing else waits, a write is committed at once. Reads run on connections of their own and wait neither for the writer nor for its
//! fsync; a recovery passes through the writer first, so that it sees whatever was called for before it.
//!
//! The rows that one document appended in one commit are kept together in *windows* ([`window`]): scattered small rows would cost SQLite
//! a page each. A file beside the database, locked for as long as the store is open, keeps a second relay out.
//!
//! Rules: ACK-1 an append resolves after the commit that holds it. A commit that fails (full disk, I/O error) leaves
//! nothing behind; its calls are tried once more, each alone, and the next group starts afresh.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use futures_util::FutureExt;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use tokio::sync::oneshot;

use super::{Condition, DocumentInfo, Mode, Pending, Position, Recovered, Store, StoreError, Tail};
use crate::metrics::Histogram;
use backup::Copied;
use reader::{ReadJob, Reader};
use writer::{Job, Writer};

pub(super) mod backup;
mod reader;
mod window;
mod writer;

/// The version of the tables, kept in `meta`.
const FORMAT: i64 = 1;

/// How many reads run side by side: one that is long must not hold up the others, and more than a few only fight for the disk.
const READERS: usize = 2;

/// The write-ahead log is copied into the database when it has so many pages. Busy documents write the same pages again and again, and each is
/// copied once; with fewer, more of the work is copying.
const CHECKPOINT_PAGES: i64 = 8_192;

/// What the writer keeps of the database in memory, at most, in KiB: the pages that a thousand busy documents append to, and all that one group
/// changes. With less, pages are written and read again within one commit.
const WRITER_CACHE_KIB: i64 = 32 << 10;

/// More statements than the writer has: none is prepared twice.
const STATEMENTS: usize = 64;

/// The write-ahead log is cut back to this size after a burst.
const WAL_BYTES: i64 = 64 << 20;

const SCHEMA: &str = "
    CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE document(
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        head INTEGER NOT NULL,
        floor INTEGER NOT NULL
    ) STRICT;
    -- One row is what one document appended in one commit: `count` log rows from position `first` on.
    CREATE TABLE log(
        document INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY(document, first)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshot(
        document INTEGER NOT NULL,
        upto INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY(document, upto)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE epoch(
        document INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        id INTEGER NOT NULL,
        first INTEGER NOT NULL,
        PRIMARY KEY(document, ordinal)
    ) STRICT, WITHOUT ROWID;
    -- 1: edits are taken from nobody. 2: nobody may open it.
    CREATE TABLE mode(name TEXT PRIMARY KEY, mode INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES('format', 1);
";

/// A [`Store`] in a SQLite database.
///
/// Dropping it finishes what was called for and waits for its threads, which takes as long as one commit.
#[derive(Debug)]
pub struct SqliteStore {
    /// Taken only when the store is dropped.
    writes: Option<mpsc::Sender<Job>>,
    reads: Option<mpsc::Sender<ReadJob>>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
    commits: Arc<Histogram>,
}

impl SqliteStore {
    /// Opens the database at `path`, or creates it, with the epoch of this start. Blocks on the disk.
    pub fn open(path: &Path, epoch: u64) -> Result<Self, StoreError> {
        Self::open_limited(path, epoch, None)
    }

    /// The same with a database that may have so many bytes: beyond them it behaves as on a full disk. The write-ahead log beside it, which is
    /// cut back to 64 MiB, is not counted.
    pub fn open_limited(path: &Path, epoch: u64, max_bytes: Option<u64>) -> Result<Self, StoreError> {
        let source = Source::new(path, max_bytes);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| source.io(&error))?;
        }
        let lock = source.lock()?;
        // Copies that nobody took away before the last relay was killed.
        backup::sweep(path);
        let connection = source.connect_to_write()?;
        source.prepare(&connection)?;

        let (reads, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let reader = Reader::open(source.clone(), epoch, Arc::clone(&waiting))?;
            readers.push(source.spawn("weftline-read", move || reader.run())?);
        }
        let (writes, jobs) = mpsc::channel();
        let commits = Arc::new(Histogram::default());
        let seen = Arc::clone(&commits);
        let writer = Writer::new(source.clone(), epoch, connection, reads.clone(), readers, lock, seen);
        let writer = source.spawn("weftline-write", move || writer.run(&jobs))?;
        let path = path.to_owned();
        Ok(SqliteStore { writes: Some(writes), reads: Some(reads), writer: Some(writer), path, commits })
    }

    fn write<T: Send + 'static>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        if let Some(writes) = &self.writes {
            // When the writer has stopped, the job is dropped here and its reply with it, which is the answer.
            let _ = writes.send(job(reply));
        }
        answered(answer)
    }

    fn query<T: Send + 'static>(&self, job: impl FnOnce(Reply<T>) -> ReadJob) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        if let Some(reads) = &self.reads {
            let _ = reads.send(job(reply));
        }
        answered(answer)
    }
}

impl Store for SqliteStore {
    fn is_durable(&self) -> bool {
        true
    }

    fn recover(&self, document: &str) -> Pending<Recovered> {
        self.write(|reply| Job::Recover { document: document.into(), reply })
    }

    fn append(&self, document: &str, first_position: Position, rows: Vec<Bytes>) -> Pending<()> {
        self.write(|reply| Job::Append { document: document.into(), first_position, rows, reply })
    }

    fn snapshot(&self, document: &str, upto: Position, bytes: Bytes) -> Pending<()> {
        self.write(|reply| Job::Snapshot { document: document.into(), upto, bytes, reply })
    }

    fn read(&self, document: &str, after: Position, max_bytes: usize) -> Pending<Tail> {
        self.query(|reply| ReadJob::Tail { document: document.into(), after, max_bytes, reply })
    }

    fn reserve(&self, bytes: usize) -> Pending<()> {
        self.write(|reply| Job::Reserve { bytes, reply })
    }

    fn documents(&self) -> Pending<Vec<DocumentInfo>> {
        self.query(|reply| ReadJob::Documents { after: None, most: usize::MAX, reply })
    }

    fn documents_after(&self, name: &str, most: usize) -> Pending<Vec<DocumentInfo>> {
        self.query(|reply| ReadJob::Documents { after: Some(name.into()), most, reply })
    }

    fn document(&self, name: &str) -> Pending<Option<DocumentInfo>> {
        self.query(|reply| ReadJob::Document { name: name.into(), reply })
    }

    fn set_mode(&self, document: &str, mode: Mode) -> Pending<()> {
        self.write(|reply| Job::SetMode { document: document.into(), mode, reply })
    }

    fn modes(&self) -> Pending<Vec<(Arc<str>, Mode)>> {
        self.query(|reply| ReadJob::Modes { reply })
    }

    fn probe(&self) -> Pending<()> {
        self.write(|reply| Job::Probe { reply })
    }

    fn backup(&self) -> Option<Pending<Copied>> {
        let path = self.path.clone();
        let copy = tokio::task::spawn_blocking(move || {
            let number =
                getrandom::u64().map_err(|error| Source::new(&path, None).io(&io::Error::other(error.to_string())))?;
            Copied::of(&path, number)
        });
        Some(copy.map(|copied| copied.expect("copying does not panic")).boxed())
    }

    fn condition(&self) -> Condition {
        let size = |path: &Path| std::fs::metadata(path).map(|file| file.len()).ok();
        let files = [("database", self.path.clone()), ("wal", beside(&self.path, "-wal"))];
        Condition {
            files: files.into_iter().filter_map(|(what, path)| Some((what, size(&path)?))).collect(),
            free_bytes: free_bytes(&self.path),
            commits: Some(Arc::clone(&self.commits)),
        }
    }

    fn delete(&self, document: &str) -> Pending<bool> {
        self.write(|reply| Job::Delete { document: document.into(), reply })
    }

    fn close(&self) -> Pending<()> {
        self.write(|reply| Job::Close { reply })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The writer sees the end of its queue after all that is in it, and takes the readers with it.
        self.writes = None;
        self.reads = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

fn answered<T: Send + 'static>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Pending<T> {
    async { answer.await.unwrap_or(Err(StoreError::Closed)) }.boxed()
}

/// The database file: how to open it, and what to call it in an error.
#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    name: Arc<str>,
    max_bytes: Option<u64>,
}

impl Source {
    fn new(path: &Path, max_bytes: Option<u64>) -> Self {
        Source { path: path.to_owned(), name: path.display().to_string().into(), max_bytes }
    }

    /// Keeps a second relay out until the returned file is dropped. SQLite's own locks would let two processes take turns, and each
    /// would believe that it knows the head of every document.
    fn lock(&self) -> Result<File, StoreError> {
        let path = beside(&self.path, ".lock");
        let file =
            File::options().create(true).truncate(false).write(true).open(path).map_err(|error| self.io(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { file: Arc::clone(&self.name) }),
            Err(TryLockError::Error(error)) => Err(self.io(&error)),
        }
    }

    /// The writer's connection.
    fn connect_to_write(&self) -> Result<Connection, StoreError> {
        let connection = self.connect()?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let tune = || {
            connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
            connection.query_row(&format!("PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}"), [], |_| Ok(()))
        };
        tune().map_err(|error| self.sql(&error))?;
        Ok(connection)
    }

    /// A connection with every setting that durability rests on. Settings of SQLite belong to the connection, not to the file.
    fn connect(&self) -> Result<Connection, StoreError> {
        let open = || {
            let connection = Connection::open_with_flags(
                &self.path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            // Where fsync does not reach the platter unless asked twice.
            connection.pragma_update(None, "fullfsync", true)?;
            connection.pragma_update(None, "checkpoint_fullfsync", true)?;
            connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
            if let Some(max_bytes) = self.max_bytes {
                let page: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
                let pages = (max_bytes / u64::from(page.max(1))).max(1);
                // It answers with what it has set: never less than there are.
                connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))?;
            }
            let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            Ok((connection, mode, level))
        };
        let (connection, mode, level) = open().map_err(|error| self.sql(&error))?;
        if mode != "wal" || level != 2 {
            let detail =
                format!("the engine offers journal mode {mode} with synchronous={level}, not wal with 2").into();
            return Err(StoreError::Io { file: Arc::clone(&self.name), detail });
        }
        Ok(connection)
    }

    /// Creates the tables in a new database, and checks that an old one is ours.
    fn prepare(&self, connection: &Connection) -> Result<(), StoreError> {
        let tables = |condition: &str| {
            let sql = format!("SELECT count(*) FROM sqlite_schema WHERE type = 'table' {condition}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(|error| self.sql(&error))
        };
        if tables("")? == 0 {
            return connection
                .execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))
                .map_err(|error| self.sql(&error));
        }
        self.is_ours(connection)
    }

    /// Whether the tables are those of a store that this relay reads.
    fn is_ours(&self, connection: &Connection) -> Result<(), StoreError> {
        let tables = |condition: &str| {
            let sql = format!("SELECT count(*) FROM sqlite_schema WHERE type = 'table' {condition}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(|error| self.sql(&error))
        };
        if tables("AND name IN ('meta', 'document', 'log', 'snapshot', 'epoch', 'mode')")? != 6 {
            return Err(StoreError::Foreign { file: Arc::clone(&self.name) });
        }
        let format = connection
            .query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get(0))
            .optional()
            .map_err(|error| self.sql(&error))?;
        match format {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(StoreError::Version { file: Arc::clone(&self.name), found, known: FORMAT }),
            None => Err(StoreError::Foreign { file: Arc::clone(&self.name) }),
        }
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
        thread::Builder::new().name(name.into()).spawn(run).map_err(|error| self.io(&error))
    }

    fn io(&self, error: &io::Error) -> StoreError {
        StoreError::Io { file: Arc::clone(&self.name), detail: error.to_string().into() }
    }

    fn corrupt(&self, detail: impl Into<Arc<str>>) -> StoreError {
        StoreError::Corrupt { file: Arc::clone(&self.name), detail: detail.into() }
    }

    fn sql(&self, error: &rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full { file: Arc::clone(&self.name) },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => self.corrupt(error.to_string()),
            Some(_) => StoreError::Io { file: Arc::clone(&self.name), detail: error.to_string().into() },
            // No code of the engine: a column holds what we never wrote.
            None => self.corrupt(error.to_string()),
        }
    }
}

/// The path of a file whose name begins with that of the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(path).ok()?;
    // Their widths are not the same on all systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Some(disk.blocks_available() as u64 * disk.fragment_size() as u64)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests;
