//! What can go wrong before and while a replica runs. An edit never fails for a reason of the network.

use crate::status::Status;
use crate::storage::StoreError;
use std::sync::Arc;
use weftline::sync;

/// A replica that could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address of the relay is not one.
    #[error("{address:?} is not the address of a relay: {reason}")]
    BadAddress {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store could not be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store was read, but what it holds is not a replica.
    #[error("the stored records of {document:?} do not make a replica")]
    Records {
        /// Which document.
        document: String,
        /// What is wrong with them.
        source: sync::OpenError,
    },
    /// The operating system gives no random numbers, without which no replica id is safe.
    #[error("the operating system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// The operating system gives no thread to write the store with.
    #[error("cannot start the thread that writes the store")]
    Thread(#[source] std::io::Error),
}

/// Edits that are not durable in the local store, because it fails. While the replica is open it keeps trying.
#[derive(Debug, Clone, thiserror::Error)]
#[error("edits could not be stored")]
pub struct FlushError(#[source] pub(crate) Arc<StoreError>);

impl FlushError {
    /// What is wrong with the store.
    pub fn store(&self) -> &StoreError {
        &self.0
    }
}

/// Edits that were not acknowledged by the relay in time. They are not lost: the outbox keeps them.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not everything is saved at the relay yet (edits waiting: {})", .status.unsaved)]
pub struct NotSynced {
    /// How things stood when the time was over.
    pub status: Status,
}
