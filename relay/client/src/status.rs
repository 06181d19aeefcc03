//! What a running replica says about itself.

use weftline::sync::{self, Link};

/// Why edits are not stored at present. They stay in memory, and it is tried again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreProblem {
    /// There is no room. It passes by itself when there is.
    Full,
    /// Reading, writing or syncing fails.
    Failing,
}

/// One honest status: it is true of the present connection, never on the word of an earlier one (ACK-6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Offline, connecting, catching up or live.
    pub link: Link,
    /// Local edits not known to be durable at the relay.
    pub unsaved: usize,
    /// Local edits not yet durable in the local store.
    pub unstored: usize,
    /// Edits among the unsaved that the relay will not take as they are.
    pub stuck: usize,
    /// Whether the local store works.
    pub store: Option<StoreProblem>,
    /// What went wrong last, in words, while it matters: why there is no connection, or why nothing is stored any more.
    pub error: Option<String>,
}

impl Status {
    pub(crate) fn new(core: sync::Status, store: Option<StoreProblem>, error: Option<String>) -> Self {
        let sync::Status { link, unsaved, unstored, stuck } = core;
        Self { link, unsaved, unstored, stuck, store, error }
    }

    /// Live, and everything is durable at the relay.
    pub fn is_synced(&self) -> bool {
        self.link == Link::Live && self.unsaved == 0
    }
}
