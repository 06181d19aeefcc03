//! The thread that writes the store.
//!
//! Group commit without a timer: whatever waits is appended and synced together, then the core is told, then whatever
//! came meanwhile. After an error nothing that was in flight is trusted (DUR-6): the core sends nothing more and gives
//! out everything again that was not durable, the files are read anew and rewritten into new ones, because an
//! operating system may drop what it failed to write and then report success. Until that works the error stands in the
//! status.

use crate::shared::Shared;
use crate::storage::{FolderStore, Item, StoreError};
use std::sync::Arc;
use std::time::Duration;
use weftline::sync::{Class, Persist};

/// How long to wait before a store that failed is opened again: long enough not to hammer a full disk.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Writes until the replica is closed and nothing waits. Dropping the store at the end releases the slot.
pub(crate) fn run(shared: &Shared, mut store: FolderStore) {
    loop {
        let batch = {
            let mut guard = shared.wait_for_work();
            std::mem::take(&mut guard.unwritten)
        };
        if batch.is_empty() {
            return;
        }
        let Err(error) = write(shared, &mut store, batch) else { continue };
        tracing::error!(%error, "the store failed; nothing is sent until it works again");
        fail(shared, error);
        loop {
            if shared.pause(REOPEN_AFTER) {
                return;
            }
            match store.reopen() {
                Ok(()) => break shared.with(|state, _| state.store_error = None),
                Err(error) => fail(shared, error),
            }
        }
    }
}

/// Stores a batch, tells the core, and starts a new generation if it is time.
fn write(shared: &Shared, store: &mut FolderStore, batch: Vec<Persist>) -> Result<(), StoreError> {
    let strict = batch.iter().any(|persist| persist.class == Class::Strict);
    let last = batch.last().map(|persist| persist.token);
    store.slot.append(&groups(batch), strict)?;
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
