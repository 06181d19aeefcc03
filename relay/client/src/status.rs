//! What a running replica says about itself.

use weftline::sync::{self, Close, CloseReason, Link, NackReason, Refusal, Retry};

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
    /// The edit that the relay refused last, until it takes one: why, and when it is sent again. It is in the outbox, and those that were
    /// made after it wait with it.
    pub refused: Option<Refusal>,
    /// Why the relay has ended the last connection, until it answers on another one. See [`Status::is_parked`].
    pub closed: Option<Close>,
    /// Whether the local store works.
    pub store: Option<StoreProblem>,
    /// What went wrong last, in words, while it matters: why there is no connection, or why nothing is stored any more.
    pub error: Option<String>,
}

impl Status {
    pub(crate) fn new(core: sync::Status, store: Option<StoreProblem>, error: Option<String>) -> Self {
        let sync::Status { link, unsaved, unstored, stuck, refused, closed } = core;
        Self { link, unsaved, unstored, stuck, refused, closed, store, error }
    }

    /// Whether the relay said not to come again: no further connection is made until [`Replica::connect`](crate::Replica::connect) is called.
    pub fn is_parked(&self) -> bool {
        self.link == Link::Offline && self.closed.is_some_and(|close| close.retry == Retry::NEVER)
    }

    /// Live, and everything is durable at the relay.
    pub fn is_synced(&self) -> bool {
        self.link == Link::Live && self.unsaved == 0
    }
}

/// Why the relay ended a connection, in words.
pub(crate) fn reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Done => "it is done",
        CloseReason::Version => "it speaks other versions of the protocol",
        CloseReason::Protocol => "it does not understand what it was told",
        CloseReason::Denied => "it does not allow this",
        CloseReason::Superseded => "another connection has taken over",
        CloseReason::Limit => "more than it allows",
        CloseReason::Restart => "it restarts",
        CloseReason::Storage => "its store fails",
        CloseReason::StorageFull => "its store is full",
        CloseReason::TooMany => "too many are there",
        CloseReason::Quarantined => "it has put the document aside",
        CloseReason::Expired => "the token has expired",
        CloseReason::Token => "it wants a token, or another than this one",
        CloseReason::Revoked => "the token was revoked",
    }
}

/// Why the relay refuses an edit, in words.
pub(crate) fn refusal(reason: NackReason) -> &'static str {
    match reason {
        NackReason::NotReady | NackReason::Gap => "it lacks something before it",
        NackReason::Fork => "it has another one in its place",
        NackReason::TooLarge => "it is too large",
        NackReason::Invalid => "it is not valid",
        NackReason::TooManyReplicas => "too many have written to the document",
        NackReason::ReadOnly => "writing is not allowed",
        NackReason::DocumentFull => "the document is as large as it may be",
        NackReason::Storage => "its store fails",
        NackReason::StorageFull => "its store is full",
    }
}
