//! What a replica says about itself.

use super::message::{Close, NackReason, Retry};
use crate::clock::Dot;

/// How the link to the home relay stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// No connection, and none being made.
    #[default]
    Offline,
    /// A connection is being made, or was made and the relay has not answered yet.
    Connecting,
    /// The relay has answered; not everything it has is here yet.
    CatchingUp,
    /// What the relay stores arrives here as it is stored.
    Live,
}

/// An edit that the relay does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its last dot; the nil id and 0 where it is not one edit, but what the relay was to be given back.
    pub dot: Dot,
    /// Why.
    pub reason: NackReason,
    /// When it is pushed again. It waits in the outbox, and what was written after it does too.
    pub retry: Retry,
}

/// One honest status: true of the current connection, never on the word of an older one (ACK-6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The link.
    pub link: Link,
    /// How many local edits are not known to be durable at the relay. While the relay is being given back something that
    /// it lost, this is at least one.
    pub unsaved: usize,
    /// How many edits of this opening are not yet durable in the local store.
    pub unstored: usize,
    /// How many local edits (among `unsaved`) the relay will not take as they are: their branch contradicts its log, or
    /// they break one of its limits. They stay in the outbox and are not sent again by this opening. At least one when the
    /// relay has the same version with other contents.
    pub stuck: usize,
    /// The edit that was refused last, until one is taken: because of it others wait, or it is one of the stuck.
    pub refused: Option<Refusal>,
    /// Why the relay has ended the last connection, until it has answered on another one. With [`Retry::NEVER`] no other is made before
    /// the application asks for it.
    pub closed: Option<Close>,
}

impl Status {
    /// Live, with nothing unsaved.
    pub fn is_synced(&self) -> bool {
        self.link == Link::Live && self.unsaved == 0
    }
}
