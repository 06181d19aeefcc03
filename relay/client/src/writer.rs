//! The thread that writes the store.
//!
//! Group commit without a timer: whatever waits is appended and synced together, then the core is told, then whatever
//! came meanwhile. So a single edit waits for nobody, and many at once share a sync; a group has a largest size, so that
//! of a long row of edits the first ones are told early.
//!
//! After an error nothing that was in flight is trusted (DUR-6): the core sends nothing more and gives out everything
//! again that was not durable. Unless there was merely no room, the files are read anew and rewritten into new ones,
//! because an operating system may drop what it failed to write and then report success. Until everything that waits is
//! stored the error stands in the status; reads and edits go on in memory.

use crate::config::Durability;
use crate::shared::{Shared, State};
use crate::storage::{FolderStore, Item, StoreError};
use std::sync::Arc;
use std::time::Duration;
use weftline::sync::{Class, Persist, Record};

/// How long to wait before a store that failed is tried again: long enough not to hammer a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// No more than this is written in front of one sync, unless a single batch is larger.
const LARGEST_GROUP: usize = 256 * 1024;

/// Writes until the replica is closed and nothing waits. Dropping the store at the end releases the slot.
pub(crate) fn run(shared: &Shared, mut store: FolderStore, durability: Durability) {
    loop {
        let batch = take(&mut shared.wait_for_work());
        if batch.is_empty() {
            return store.close();
        }
        let mut written = write(shared, &mut store, batch, durability);
        while let Err(error) = written {
            if shared.lock().store_error.is_none() {
                tracing::error!(%error, "the store failed; nothing is sent until it works again");
            }
            fail(shared, error);
            let is_closed = shared.pause(RETRY_AFTER);
            written = try_again(shared, &mut store, durability);
            if is_closed && let Err(error) = written {
                return fail(shared, error);
            }
        }
        if shared.lock().store_error.is_some() {
            shared.with(|state, _| state.store_error = None);
        }
    }
}

fn take(state: &mut State) -> Vec<Persist> {
    take_up_to(&mut state.unwritten)
}

/// What is written together: everything that waits, up to a size.
fn take_up_to(unwritten: &mut Vec<Persist>) -> Vec<Persist> {
    let mut bytes = 0;
    let fits = |persist: &Persist| {
        bytes += persist.records.iter().map(len).sum::<usize>();
        bytes <= LARGEST_GROUP
    };
    let count = unwritten.iter().map(fits).take_while(|fits| *fits).count();
    let count = count.max(1).min(unwritten.len());
    unwritten.drain(..count).collect()
}

/// About how long a record is, without encoding it.
fn len(record: &Record) -> usize {
    match record {
        Record::Row(row) | Record::Outbox { row, .. } => row.encoded_len(),
        Record::Snapshot(bytes) | Record::Positions { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

/// Stores what waits, in new files if the old ones are not to be trusted.
fn try_again(shared: &Shared, store: &mut FolderStore, durability: Durability) -> Result<(), StoreError> {
    if store.slot.is_failed() {
        store.reopen()?;
    }
    loop {
        let batch = take(&mut shared.lock());
        if batch.is_empty() {
            return Ok(());
        }
        write(shared, store, batch, durability)?;
    }
}

/// Stores a batch, tells the core, and starts a new generation if it is time.
fn write(
    shared: &Shared,
    store: &mut FolderStore,
    batch: Vec<Persist>,
    durability: Durability,
) -> Result<(), StoreError> {
    let strict = batch.iter().any(|persist| persist.class == Class::Strict);
    let last = batch.last().map(|persist| persist.token);
    store.slot.append(&groups(batch), strict && durability == Durability::PowerCut)?;
    if let Some(token) = last {
        shared.with(|state, now| state.machine.durable(token, now));
    }
    if store.slot.wants_compaction() {
        compact(shared, store)?;
    }
    Ok(())
}

/// Replaces what the present state covers by that state. What waits in the queue meanwhile is written after it, which
/// is harmless: rows that are covered already are read as such.
fn compact(shared: &Shared, store: &mut FolderStore) -> Result<(), StoreError> {
    let stored = store.slot.state()?;
    let state = shared.with(|state, _| {
        let snapshot = state.machine.compact()?;
        let uncovered = stored.into_iter().filter(|record| !state.machine.covers(record));
        Some([snapshot].into_iter().chain(uncovered).collect())
    });
    match state {
        Some(state) => store.slot.compact(state),
        // An own edit is on its way into the queue: the next batch asks again.
        None => Ok(()),
    }
}

fn groups(batch: Vec<Persist>) -> Vec<Vec<Item>> {
    batch.into_iter().map(|persist| persist.records.into_iter().map(Item::Record).collect()).collect()
}

fn fail(shared: &Shared, error: StoreError) {
    shared.with(|state, now| {
        // The core gives all of it out again, as one group.
        state.unwritten.clear();
        state.store_error = Some(Arc::new(error));
        state.machine.store_failed(now);
    });
}

#[cfg(test)]
mod tests {
    use crate::storage::test_disk::{TestDisk, Trouble};
    use crate::{ClientConfig, Durability, Replica, Status, StoreProblem};

    async fn open_with(disk: &TestDisk, durability: Durability) -> Replica {
        let config = ClientConfig::new("a").folder("/store").durability(durability);
        Replica::open_on(disk.shared(), config).await.unwrap()
    }

    async fn open(disk: &TestDisk) -> Replica {
        open_with(disk, Durability::PowerCut).await
    }

    fn put(replica: &Replica, key: &str, value: &str) {
        replica.transact(|tx| tx.map("root")?.put(key, value)).unwrap();
    }

    fn get(replica: &Replica, key: &str) -> Option<String> {
        let value = replica.read(|document| document.map("root").get(key));
        value.and_then(|value| value.as_str().map(str::to_owned))
    }

    fn writers(replica: &Replica) -> usize {
        replica.read(|document| document.version().len())
    }

    async fn until(replica: &Replica, is: impl FnMut(&Status) -> bool) -> Status {
        replica.watch_status().wait_for(is).await.unwrap().clone()
    }

    #[tokio::test]
    async fn a_full_disk_is_told_reads_go_on_and_everything_is_stored_once_there_is_room() {
        let disk = TestDisk::new();
        let replica = open(&disk).await;
        put(&replica, "milk", "1");
        replica.flushed().await.unwrap();
        disk.set_capacity(Some(disk.used() + 100));
        put(&replica, "large", &"x".repeat(1_000));
        let full = until(&replica, |status| status.store.is_some()).await;
        assert_eq!((full.store, full.unstored), (Some(StoreProblem::Full), 1));
        assert!(replica.flushed().await.unwrap_err().store().is_full());
        put(&replica, "bread", "2");
        assert_eq!(get(&replica, "bread").as_deref(), Some("2"), "reads and edits go on in memory");

        disk.set_capacity(None);
        let well = until(&replica, |status| status.store.is_none()).await;
        assert_eq!((well.unstored, well.error), (0, None));
        drop(replica);
        disk.restart(|_| 0);
        let replica = open(&disk).await;
        assert_eq!(get(&replica, "large").map(|text| text.len()), Some(1_000));
        assert_eq!((get(&replica, "bread").as_deref(), writers(&replica)), (Some("2"), 1));
    }

    #[tokio::test]
    async fn dur_6_a_failed_sync_is_told_and_everything_is_written_again_elsewhere() {
        let disk = TestDisk::new();
        let replica = open(&disk).await;
        put(&replica, "milk", "1");
        replica.flushed().await.unwrap();
        // The write, then the sync.
        disk.plan(1, Trouble::SyncFails);
        put(&replica, "bread", "2");
        let failed = until(&replica, |status| status.store.is_some()).await;
        assert_eq!((failed.store, failed.unstored), (Some(StoreProblem::Failing), 1));
        assert!(failed.error.unwrap().contains("sync"));
        until(&replica, |status| status.store.is_none() && status.unstored == 0).await;
        // Also what was safe before, for the files are others.
        disk.restart(|_| 0);
        drop(replica);
        let replica = open(&disk).await;
        assert_eq!(["milk", "bread"].map(|key| get(&replica, key).unwrap()), ["1", "2"]);
        assert_eq!(replica.status().unsaved, 2);
    }

    #[tokio::test]
    async fn closing_tries_once_more_and_says_what_could_not_be_stored() {
        let disk = TestDisk::new();
        let replica = open(&disk).await;
        disk.set_capacity(Some(disk.used()));
        put(&replica, "milk", "1");
        assert!(replica.close().await.unwrap_err().store().is_full());
        let replica = open(&disk).await;
        assert_eq!(get(&replica, "milk"), None);
        put(&replica, "milk", "1");
        until(&replica, |status| status.store.is_some()).await;
        disk.set_capacity(None);
        replica.close().await.unwrap();
        assert_eq!(get(&open(&disk).await, "milk").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn id_3_a_replica_that_never_syncs_takes_a_fresh_id_at_each_opening() {
        let disk = TestDisk::new();
        let replica = open_with(&disk, Durability::ProgramCrash).await;
        let before = disk.syncs();
        put(&replica, "milk", "1");
        replica.flushed().await.unwrap();
        assert_eq!(disk.syncs(), before);
        replica.close().await.unwrap();
        disk.revive();
        for opening in 1..4 {
            let replica = open_with(&disk, Durability::ProgramCrash).await;
            assert_eq!((get(&replica, "milk").as_deref(), writers(&replica)), (Some("1"), opening));
            put(&replica, "milk", "1");
            replica.close().await.unwrap();
        }
        // Who syncs goes on under the id it had.
        for _ in 0..3 {
            let replica = open(&disk).await;
            put(&replica, "bread", "2");
            assert_eq!(writers(&replica), 5);
            replica.close().await.unwrap();
        }
    }

    #[tokio::test]
    async fn tab_4_without_locks_each_opening_that_writes_takes_a_fresh_id_and_nothing_is_lost() {
        let disk = TestDisk::without_locks();
        for opening in 0..4 {
            let replica = open(&disk).await;
            assert_eq!((writers(&replica), replica.status().unsaved), (opening, opening));
            put(&replica, &opening.to_string(), "x");
            replica.close().await.unwrap();
        }
        let replica = open(&disk).await;
        assert!((0..4).all(|opening| get(&replica, &opening.to_string()).is_some()));
        assert_eq!(writers(&replica), 4, "readers take none");
    }

    #[test]
    fn a_group_has_a_largest_size_and_holds_one_batch_at_least() {
        use super::{LARGEST_GROUP, take_up_to};
        use weftline::sync::{Class, Persist, Record, Token};
        let batch = |len: usize| Persist {
            token: Token(1),
            class: Class::Strict,
            records: vec![Record::Snapshot(vec![0; len].into())],
        };
        let mut waiting = [10, 20, LARGEST_GROUP - 30, 1, 3 * LARGEST_GROUP, 5].map(batch).to_vec();
        let counts: Vec<_> = std::iter::from_fn(|| Some(take_up_to(&mut waiting).len())).take(5).collect();
        assert_eq!(counts, [3, 1, 1, 1, 0]);
    }
}
