//! What a replica says about itself.

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
}

impl Status {
    /// Live, with nothing unsaved.
    pub fn is_synced(&self) -> bool {
        self.link == Link::Live && self.unsaved == 0
    }
}
