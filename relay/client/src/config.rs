//! What a replica is opened with.

use std::path::PathBuf;

/// Where a replica keeps its records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Store {
    /// A folder with a sub-folder per document; several programs may use it at once.
    Folder(PathBuf),
    /// Nowhere. Edits that the relay has not acknowledged end with the program.
    Memory,
}

/// What an edit survives once it counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Everything that the disk survives: one sync for all edits that wait, and none for what only the relay sent.
    #[default]
    PowerCut,
    /// The end of the program, not that of the computer: no edit is ever waited for. For tests, and for stores that are as
    /// short-lived as the computer's memory. Because an edit may be sent and then be forgotten here, such a replica never
    /// goes on under an id of an earlier opening: each opening that writes costs the document one more id.
    ProgramCrash,
}

/// Which document, which relay, which store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name of the document: what all its replicas call it.
    pub document: String,
    /// The websocket address of the home relay, such as `ws://127.0.0.1:8787`; without one the replica stays local.
    pub relay: Option<String>,
    /// Where the records are kept.
    pub store: Store,
    /// What stored edits survive.
    pub durability: Durability,
    /// Whether to connect at once, or only when [`Replica::connect`](crate::Replica::connect) is called.
    pub connect: bool,
}

impl ClientConfig {
    /// A document in memory, without a relay.
    pub fn new(document: impl Into<String>) -> Self {
        Self {
            document: document.into(),
            relay: None,
            store: Store::Memory,
            durability: Durability::default(),
            connect: true,
        }
    }

    /// Follows this relay.
    #[must_use]
    pub fn relay(mut self, address: impl Into<String>) -> Self {
        self.relay = Some(address.into());
        self
    }

    /// Keeps the records here.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Keeps the records in this folder.
    #[must_use]
    pub fn folder(self, folder: impl Into<PathBuf>) -> Self {
        self.store(Store::Folder(folder.into()))
    }

    /// How much stored edits survive.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Stays offline until told to connect.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.connect = false;
        self
    }
}
