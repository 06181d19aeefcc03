//! A store that forgets: for tests, and for relays whose clients hold everything that matters.
//!
//! An append is "on stable storage" as soon as it is in this process's memory, so an ack of such a relay survives a lost connection and
//! nothing else. Clones share their content, which lets a test drop one handle and open another with a new epoch, as a restart would.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;

use super::{
    DocumentInfo, Epoch, Mode, Pending, Position, Recovered, Snapshot, Store, StoreError, Tail, extend_epochs,
};

/// A [`Store`] in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    epoch: u64,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    documents: BTreeMap<Arc<str>, Document>,
    modes: BTreeMap<Arc<str>, Mode>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Document {
    snapshot: Option<Snapshot>,
    /// The rows at `floor + 1 ..= head`.
    rows: VecDeque<Bytes>,
    epochs: Vec<Epoch>,
}

impl Document {
    fn floor(&self) -> Position {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.upto)
    }

    fn head(&self) -> Position {
        self.floor() + self.rows.len() as u64
    }

    fn info(&self, name: &Arc<str>) -> DocumentInfo {
        DocumentInfo {
            name: Arc::clone(name),
            head: self.head(),
            floor: self.floor(),
            log_bytes: self.rows.iter().map(|row| row.len() as u64).sum(),
            snapshot_bytes: self.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len() as u64),
        }
    }

    fn rows_after(&self, after: Position) -> impl Iterator<Item = (Position, Bytes)> {
        let skip = usize::try_from(after - self.floor()).unwrap_or(usize::MAX);
        (after + 1..).zip(self.rows.iter().skip(skip).cloned())
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        MemoryStore { epoch, shared: Arc::default() }
    }

    /// Another start of the relay on the same content.
    #[must_use]
    pub fn reopen(&self, epoch: u64) -> Self {
        self.shared().closed = false;
        MemoryStore { epoch, shared: Arc::clone(&self.shared) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // No method leaves the maps half changed, so what a panicking thread left behind is still whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Send + 'static>(&self, call: impl FnOnce(&mut Shared) -> Result<T, StoreError>) -> Pending<T> {
        let mut shared = self.shared();
        let result = if shared.closed { Err(StoreError::Closed) } else { call(&mut shared) };
        ready(result).boxed()
    }
}

impl Store for MemoryStore {
    fn is_durable(&self) -> bool {
        false
    }

    fn recover(&self, document: &str) -> Pending<Recovered> {
        self.with(|shared| {
            let Some(stored) = shared.documents.get_mut(document) else {
                let epochs = vec![Epoch { id: self.epoch, first_position: 1 }];
                return Ok(Recovered { snapshot: None, rows: Vec::new(), head: 0, epochs });
            };
            let head = stored.head();
            extend_epochs(&mut stored.epochs, self.epoch, head);
            Ok(Recovered {
                snapshot: stored.snapshot.clone(),
                rows: stored.rows_after(stored.floor()).collect(),
                head,
                epochs: stored.epochs.clone(),
            })
        })
    }

    fn append(&self, document: &str, first_position: Position, rows: Vec<Bytes>) -> Pending<()> {
        self.with(|shared| {
            let head = shared.documents.get(document).map_or(0, Document::head);
            if first_position != head + 1 {
                return Err(StoreError::OutOfOrder {
                    document: document.into(),
                    expected: head + 1,
                    found: first_position,
                });
            }
            if !rows.is_empty() {
                let stored = shared.documents.entry(document.into()).or_default();
                extend_epochs(&mut stored.epochs, self.epoch, head);
                stored.rows.extend(rows);
            }
            Ok(())
        })
    }

    fn snapshot(&self, document: &str, upto: Position, bytes: Bytes) -> Pending<()> {
        self.with(|shared| {
            let stored = shared.documents.get_mut(document);
            let (floor, head) = stored.as_ref().map_or((0, 0), |stored| (stored.floor(), stored.head()));
            match stored {
                Some(stored) if floor <= upto && upto <= head && upto > 0 => {
                    let covered = usize::try_from(upto - floor).unwrap_or(usize::MAX);
                    stored.rows.drain(..covered);
                    stored.snapshot = Some(Snapshot { upto, bytes });
                    Ok(())
                }
                _ => Err(StoreError::SnapshotOutside { document: document.into(), upto, floor, head }),
            }
        })
    }

    fn read(&self, document: &str, after: Position, max_bytes: usize) -> Pending<Tail> {
        self.with(|shared| {
            let Some(stored) = shared.documents.get(document) else { return Ok(Tail::Rows(Vec::new())) };
            if after < stored.floor() {
                return Ok(Tail::Trimmed { floor: stored.floor() });
            }
            let mut bytes = 0;
            let rows = stored.rows_after(after).take_while(|(position, row)| {
                bytes += row.len();
                *position == after + 1 || bytes <= max_bytes
            });
            Ok(Tail::Rows(rows.collect()))
        })
    }

    fn documents(&self) -> Pending<Vec<DocumentInfo>> {
        self.with(|shared| Ok(shared.documents.iter().map(|(name, stored)| stored.info(name)).collect()))
    }

    fn documents_after(&self, name: &str, most: usize) -> Pending<Vec<DocumentInfo>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.with(|shared| {
            let after = shared.documents.range::<str, _>((Excluded(name), Unbounded));
            Ok(after.take(most).map(|(name, stored)| stored.info(name)).collect())
        })
    }

    fn document(&self, name: &str) -> Pending<Option<DocumentInfo>> {
        self.with(|shared| Ok(shared.documents.get_key_value(name).map(|(name, stored)| stored.info(name))))
    }

    fn set_mode(&self, document: &str, mode: Mode) -> Pending<()> {
        self.with(|shared| {
            match mode {
                Mode::ReadWrite => _ = shared.modes.remove(document),
                mode => _ = shared.modes.insert(document.into(), mode),
            }
            Ok(())
        })
    }

    fn modes(&self) -> Pending<Vec<(Arc<str>, Mode)>> {
        self.with(|shared| Ok(shared.modes.iter().map(|(name, mode)| (Arc::clone(name), *mode)).collect()))
    }

    fn probe(&self) -> Pending<()> {
        self.with(|_| Ok(()))
    }

    fn delete(&self, document: &str) -> Pending<bool> {
        self.with(|shared| Ok(shared.documents.remove(document).is_some()))
    }

    fn close(&self) -> Pending<()> {
        self.with(|shared| {
            shared.closed = true;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, Lab};
    use super::*;

    struct MemoryLab(MemoryStore);

    impl Lab for MemoryLab {
        type Store = MemoryStore;

        fn open(&mut self, epoch: u64) -> MemoryStore {
            self.0.reopen(epoch)
        }
    }

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::run(|| MemoryLab(MemoryStore::new(0))).await;
    }
}
