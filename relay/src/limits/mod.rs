//! How much of a relay anybody may use, each limit with its name, its default and its reason ([`options`]).
//!
//! Two kinds. Beyond a *rate* a client is slowed down: its socket is not read for a while, and nothing is lost ([`meter`], [`connection`]).
//! Beyond anything else it is refused, in words that its machine understands: a Close or Goodbye for what it wanted to open, a Nack for what it
//! pushed, each with when to try again. Every refusal is counted by its reason ([`crate::metrics::Refused`]).
//!
//! | limit | where it is checked | beyond it |
//! |---|---|---|
//! | frame | transport | Goodbye, not to come again |
//! | delta, document, replicas, new replicas | room | Nack |
//! | members of a document | room | Close, later |
//! | documents of a connection | session | Close, not again |
//! | connections, of all, an address, a subject | [`Doors`], right after the handshake | Goodbye, later |
//! | handshakes of an address | [`Doors`], before the first byte | dropped |
//! | unfinished messages of all connections together | session | Goodbye, later |
//! | time for the handshake | server, session | dropped |
//! | deltas, bytes, presence in a second | session | not read for a while |
//!
//! Documents that fail are put aside by name ([`Quarantine`]).
//!
//! Not here: what a message, a name or a list may have at most, which is the protocol's ([`weftline::sync::limits`]).

mod connection;
mod doors;
mod meter;
mod options;
mod places;
mod quarantine;
mod staged;

pub(crate) use connection::Throttle;
pub use connection::{ConnectionLimits, RoomLimits, RoomMeters, TokenLimits};
pub use doors::{Admitted, Doors};
pub use meter::{Meter, Rate};
pub use options::LimitOptions;
pub use places::{Network, Place, Places};
pub use quarantine::{Aside, Quarantine};
pub(crate) use staged::{Share, Staged};
