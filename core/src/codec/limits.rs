//! Every limit on what one message may hold, with its reason.
//!
//! A limit that makes bytes refused is part of the format: raising one needs a new format version, or old versions refuse
//! what new ones write.

use crate::clock::Dot;
use crate::replica_id::Origins;

/// The longest delta. One transaction is applied as a whole, so it has to fit in memory at every replica, browsers and the
/// relay's staging area included.
pub const MAX_DELTA_BYTES: usize = 16 << 20;

/// The most dots one delta takes. Together with [`MAX_SEQ`] it leaves every writer sixteen million of the largest
/// transactions, and it keeps a few bytes from claiming the whole range of a replica.
pub const MAX_DELTA_DOTS: u64 = 1 << 20;

/// The longest map key or root name. Keys are held in memory and compared at every access; a longer text is a value.
pub const MAX_KEY_BYTES: usize = 1 << 10;

/// The largest sequence number: a dot packs into 64 bits, and a number of JavaScript holds it exactly.
pub const MAX_SEQ: u64 = Dot::MAX_SEQ;

/// The most replicas one document can have met: what a packed dot has room for.
pub const MAX_REPLICAS: usize = Origins::LIMIT;

/// The longest chain of bunches above a position. Comparing two positions walks their chains.
pub const MAX_BUNCH_DEPTH: usize = 4096;

/// The deepest nesting of containers. Checked where containers are created and at the relay.
pub const MAX_CONTAINER_DEPTH: usize = 64;

/// The most deltas one document parks until what they depend on arrives. Beyond it a diff is cheaper than waiting.
pub const MAX_PARKED_DELTAS: usize = 1000;

/// The most bytes of parked deltas, for the same reason.
pub const MAX_PARKED_BYTES: usize = 1 << 20;
