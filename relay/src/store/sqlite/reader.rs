//! Reads, each on one consistent view of the database, beside the writer.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::window::Window;
use super::{Reply, Source};
use crate::store::{DocumentInfo, Epoch, Mode, Position, Recovered, Snapshot, StoreError, Tail, extend_epochs};

/// What a reader can be asked.
pub(super) enum ReadJob {
    Recover { document: Arc<str>, reply: Reply<Recovered> },
    Tail { document: Arc<str>, after: Position, max_bytes: usize, reply: Reply<Tail> },
    Document { name: Arc<str>, reply: Reply<Option<DocumentInfo>> },
    Modes { reply: Reply<Vec<(Arc<str>, Mode)>> },
    Documents { after: Option<Arc<str>>, most: usize, reply: Reply<Vec<DocumentInfo>> },
    Stop,
}

/// One thread that answers reads.
pub(super) struct Reader {
    source: Source,
    epoch: u64,
    connection: Connection,
    jobs: Arc<Mutex<mpsc::Receiver<ReadJob>>>,
}

impl Reader {
    pub(super) fn open(
        source: Source,
        epoch: u64,
        jobs: Arc<Mutex<mpsc::Receiver<ReadJob>>>,
    ) -> Result<Self, StoreError> {
        let connection = source.connect()?;
        connection.pragma_update(None, "query_only", true).map_err(|error| source.sql(&error))?;
        Ok(Reader { source, epoch, connection, jobs })
    }

    pub(super) fn run(mut self) {
        loop {
            let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            // Whoever asked may be gone by now; then nobody misses the answer.
            match job {
                Ok(ReadJob::Recover { document, reply }) => {
                    let epoch = self.epoch;
                    let _ = reply.send(self.view(|view| view.recover(&document, epoch)));
                }
                Ok(ReadJob::Tail { document, after, max_bytes, reply }) => {
                    let _ = reply.send(self.view(|view| view.tail(&document, after, max_bytes)));
                }
                Ok(ReadJob::Document { name, reply }) => {
                    let _ = reply.send(self.view(|view| view.document(&name)));
                }
                Ok(ReadJob::Modes { reply }) => {
                    let _ = reply.send(self.view(|view| view.modes()));
                }
                Ok(ReadJob::Documents { after, most, reply }) => {
                    let _ = reply.send(self.view(|view| view.documents(after.as_deref(), most)));
                }
                Ok(ReadJob::Stop) | Err(_) => return,
            }
        }
    }

    fn view<T>(&mut self, read: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.connection.transaction().map_err(|error| self.source.sql(&error))?;
        read(&View { source: &self.source, transaction })
    }
}

/// The database at one moment.
struct View<'a> {
    source: &'a Source,
    transaction: Transaction<'a>,
}

/// A row of the table `document`.
#[derive(Clone, Copy)]
pub(super) struct DocumentRow {
    pub(super) id: i64,
    pub(super) head: Position,
    pub(super) floor: Position,
}

/// Finds a document by its name.
pub(super) fn find(connection: &Connection, document: &str) -> rusqlite::Result<Option<DocumentRow>> {
    connection
        .prepare_cached("SELECT id, head, floor FROM document WHERE name = ?1")?
        .query_row([document], |row| {
            Ok(DocumentRow { id: row.get(0)?, head: unsigned(row, 1)?, floor: unsigned(row, 2)? })
        })
        .optional()
}

/// The columns that [`info`] reads. `length` does not load what it measures.
const INFO: &str = "name, head, floor,
    (SELECT coalesce(sum(length(bytes) - 4 * count), 0) FROM log WHERE document = id),
    (SELECT coalesce(sum(length(bytes)), 0) FROM snapshot WHERE document = id)";

fn info(row: &Row<'_>) -> rusqlite::Result<DocumentInfo> {
    Ok(DocumentInfo {
        name: row.get::<_, String>(0)?.into(),
        head: unsigned(row, 1)?,
        floor: unsigned(row, 2)?,
        log_bytes: unsigned(row, 3)?,
        snapshot_bytes: unsigned(row, 4)?,
    })
}

/// The epochs of a document, oldest first, each with its ordinal.
pub(super) fn epochs(connection: &Connection, document: i64) -> rusqlite::Result<Vec<(i64, Epoch)>> {
    connection
        .prepare_cached("SELECT ordinal, id, first FROM epoch WHERE document = ?1 ORDER BY ordinal")?
        .query_map([document], |row| {
            Ok((row.get(0)?, Epoch { id: row.get::<_, i64>(1)?.cast_unsigned(), first_position: unsigned(row, 2)? }))
        })?
        .collect()
}

/// Reads the columns `first, count, checksum, bytes`.
pub(super) fn window(row: &Row<'_>) -> rusqlite::Result<(Position, Window)> {
    let bytes = Bytes::from(row.get::<_, Vec<u8>>(3)?);
    Ok((unsigned(row, 0)?, Window { count: unsigned(row, 1)?, checksum: row.get(2)?, bytes }))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column)
        .and_then(|value| u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value)))
}

impl View<'_> {
    fn recover(&self, name: &str, epoch: u64) -> Result<Recovered, StoreError> {
        let Some(document) = self.sql(find(&self.transaction, name))? else {
            let epochs = vec![Epoch { id: epoch, first_position: 1 }];
            return Ok(Recovered { snapshot: None, rows: Vec::new(), head: 0, epochs });
        };
        let snapshot = self.snapshot(document)?;
        let rows = self.rows(document, document.floor, usize::MAX)?;
        let reached = rows.last().map_or(document.floor, |(position, _)| *position);
        if reached != document.head {
            return Err(self
                .source
                .corrupt(format!("the log of {name:?} ends at {reached}, not at {}", document.head)));
        }
        let mut epochs: Vec<Epoch> =
            self.sql(epochs(&self.transaction, document.id))?.into_iter().map(|(_, epoch)| epoch).collect();
        // It is there, unless the writer could not write it.
        extend_epochs(&mut epochs, epoch, document.head);
        Ok(Recovered { snapshot, rows, head: document.head, epochs })
    }

    fn tail(&self, name: &str, after: Position, max_bytes: usize) -> Result<Tail, StoreError> {
        match self.sql(find(&self.transaction, name))? {
            Some(document) if after < document.floor => Ok(Tail::Trimmed { floor: document.floor }),
            Some(document) => self.rows(document, after, max_bytes).map(Tail::Rows),
            None => Ok(Tail::Rows(Vec::new())),
        }
    }

    fn documents(&self, after: Option<&str>, most: usize) -> Result<Vec<DocumentInfo>, StoreError> {
        let list = || {
            self.transaction
                .prepare_cached(&format!(
                    "SELECT {INFO} FROM document WHERE ?1 IS NULL OR name > ?1 ORDER BY name LIMIT ?2"
                ))?
                .query_map(params![after, i64::try_from(most).unwrap_or(i64::MAX)], info)?
                .collect()
        };
        self.sql(list())
    }

    fn document(&self, name: &str) -> Result<Option<DocumentInfo>, StoreError> {
        let find = || {
            self.transaction
                .prepare_cached(&format!("SELECT {INFO} FROM document WHERE name = ?1"))?
                .query_row([name], info)
                .optional()
        };
        self.sql(find())
    }

    fn modes(&self) -> Result<Vec<(Arc<str>, Mode)>, StoreError> {
        let list = || {
            self.transaction
                .prepare_cached("SELECT name, mode FROM mode ORDER BY name")?
                .query_map([], |row| {
                    let mode = if row.get::<_, i64>(1)? == 1 { Mode::ReadOnly } else { Mode::Closed };
                    Ok((row.get::<_, String>(0)?.into(), mode))
                })?
                .collect()
        };
        self.sql(list())
    }

    fn snapshot(&self, document: DocumentRow) -> Result<Option<Snapshot>, StoreError> {
        if document.floor == 0 {
            return Ok(None);
        }
        let load = || {
            self.transaction
                .prepare_cached("SELECT checksum, bytes FROM snapshot WHERE document = ?1 AND upto = ?2")?
                .query_row(params![document.id, document.floor.cast_signed()], |row| {
                    Ok((row.get::<_, u32>(0)?, Bytes::from(row.get::<_, Vec<u8>>(1)?)))
                })
                .optional()
        };
        match self.sql(load())? {
            Some((checksum, bytes)) if crc32fast::hash(&bytes) == checksum => {
                Ok(Some(Snapshot { upto: document.floor, bytes }))
            }
            Some(_) => Err(self.source.corrupt(format!("the snapshot upto {}", document.floor))),
            None => Err(self.source.corrupt(format!("the snapshot upto {} is missing", document.floor))),
        }
    }

    /// The rows after a position that is not below the floor: at least one if there is one, then while they fit.
    fn rows(
        &self,
        document: DocumentRow,
        after: Position,
        max_bytes: usize,
    ) -> Result<Vec<(Position, Bytes)>, StoreError> {
        let mut rows: Vec<(Position, Bytes)> = Vec::new();
        if after >= document.head {
            return Ok(rows);
        }
        let mut next = after + 1;
        let mut taken = 0;
        // The window that holds the first row wanted may begin before it.
        let mut statement = self.sql(self.transaction.prepare_cached(
            "SELECT first, count, checksum, bytes FROM log
             WHERE document = ?1
               AND first >= coalesce((SELECT max(first) FROM log WHERE document = ?1 AND first <= ?2), 0)
             ORDER BY first",
        ))?;
        let windows = self.sql(statement.query_map(params![document.id, next.cast_signed()], window))?;
        for found in windows {
            let (first, window) = self.sql(found)?;
            let damaged = || self.source.corrupt(format!("the log of document {} at {first}", document.id));
            let unpacked = window.unpack().ok_or_else(damaged)?;
            if first > next || first + unpacked.len() as u64 <= next {
                return Err(damaged());
            }
            let before = usize::try_from(next - first).unwrap_or(usize::MAX);
            for (position, row) in (first..).zip(unpacked).skip(before) {
                taken += row.len();
                if taken > max_bytes && position != after + 1 {
                    return Ok(rows);
                }
                rows.push((position, row));
                next = position + 1;
            }
        }
        Ok(rows)
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.source.sql(&error))
    }
}
