//! Whether the store takes anything, for all rooms of a relay.
//!
//! When an append fails, the room that made it is ahead of the disk and is opened again from there, once. From then on no room appends:
//! what is pushed is refused with the reason and a time, while everything that is stored is read, and passed on, as ever. So a disk that is
//! full closes nobody again and again. Meanwhile the store is tried, with as many bytes as were refused and some more; when it takes them,
//! all rooms go on.
//!
//! Rules: REF-2.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, error, info};
use weftline::sync::NackReason;

use crate::store::{Store, StoreError};

/// How long between two tries.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// How much a try writes at least and at most. Less would succeed where the next append does not.
const TRIED_BYTES: (usize, usize) = (256 << 10, 8 << 20);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Health {
    trouble: watch::Sender<Option<NackReason>>,
}

impl Health {
    /// The store works.
    pub(crate) fn new() -> Self {
        Health { trouble: watch::Sender::new(None) }
    }

    /// Why nothing can be stored at present, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<NackReason>> {
        self.trouble.subscribe()
    }

    /// An append of so many bytes has failed.
    pub(crate) fn append_failed(
        &self,
        store: &Arc<dyn Store>,
        failure: &StoreError,
        bytes: usize,
        mut stop: watch::Receiver<bool>,
    ) {
        let Some(reason) = reason(failure) else { return };
        // Of several that fail together, one begins to try.
        if self.trouble.send_replace(Some(reason)).is_some() {
            return;
        }
        error!(%failure, "nothing can be stored: edits are refused, reading goes on");
        let (store, trouble) = (Arc::clone(store), self.trouble.clone());
        let bytes = bytes.saturating_mul(2).clamp(TRIED_BYTES.0, TRIED_BYTES.1);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sleep(TRY_EVERY) => {}
                    // An error means that the relay was dropped, which stops it too.
                    _ = stop.wait_for(|stop| *stop) => return,
                }
                match store.reserve(bytes).await {
                    Ok(()) => break,
                    Err(StoreError::Closed) => return,
                    Err(failure) => {
                        debug!(%failure, "still nothing can be stored");
                        let now = reason_or(&failure, reason);
                        trouble.send_if_modified(|trouble| trouble.replace(now) != Some(now));
                    }
                }
            }
            info!("edits are stored again");
            trouble.send_replace(None);
        });
    }
}

/// What to tell clients of a failure that is the store's and no single document's.
fn reason(failure: &StoreError) -> Option<NackReason> {
    match failure {
        StoreError::Full { .. } => Some(NackReason::StorageFull),
        StoreError::Io { .. } => Some(NackReason::Storage),
        _ => None,
    }
}

fn reason_or(failure: &StoreError, otherwise: NackReason) -> NackReason {
    reason(failure).unwrap_or(otherwise)
}
