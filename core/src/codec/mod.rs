//! Bytes: how deltas, diffs, snapshots and version vectors are written, as `docs/format.md` lays down.
//!
//! Every encoding begins with its format version and a table of replica ids; everything after that names replicas by their
//! place in the table. Entries are laid out in columns, because neighbours are alike: the dots of one transaction follow
//! each other, a container repeats, a key repeats. A *canonical* encoding has exactly one byte string per content, and a
//! decoder refuses every other one; that is what lets a chain of hashes run over deltas.
//!
//! Rules: BYTES-1 bytes from outside give an error or a value, never a panic, and never allocate more than a constant factor
//! of their length. BYTES-2 `decode(encode(x)) == x`, and `encode(decode(b)) == b` for every `b` that decodes. CAUSAL-2 and
//! VALID-1 as far as the bytes of one message alone can tell.
//!
//! Not here: what depends on a document's version or contents (readiness, dead containers, depth); the frames and messages
//! of the protocol, which are [`crate::sync`]'s.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod anchors;
mod bunches;
mod columns;
mod containers;
mod delta;
mod diff;
mod entries;
mod envelope;
mod error;
mod header;
mod heads;
mod intake;
pub mod limits;
mod numbers;
mod positions;
mod reader;
mod removals;
mod shapes;
mod snapshot;
mod text;
mod value;
mod varint;
mod version;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use anchors::{MarkParts, decode_cursor, decode_mark, encode_cursor, encode_mark};
pub(crate) use bunches::{Hung, NOT_HERE};
pub(crate) use delta::{Adds, NO_PARTS, Outline, read_delta, write_delta};
pub use delta::{decode_delta, encode_delta};
pub use diff::{decode_diff, encode_diff};
pub(crate) use entries::{Row, Rows};
#[cfg(feature = "testing")]
pub(crate) use envelope::reseal;
pub use error::DecodeError;
pub(crate) use header::{DeltaHeader, LoneText};
pub(crate) use intake::{Incoming, IncomingSlot, IncomingText, Intake, is_among};
pub(crate) use positions::{decode_positions, encode_positions};
pub(crate) use reader::Reader;
pub use snapshot::{decode_snapshot, encode_snapshot};
pub(crate) use snapshot::{encode_snapshot_of, read_snapshot};
pub use version::{decode_digest, decode_version, encode_digest, encode_version};

/// The format version that every encoding begins with. One number for all: a change to any of them makes a new version,
/// and each old version keeps decoding.
const FORMAT_VERSION: u8 = 1;

impl reader::Reader<'_> {
    /// Reads the format version.
    #[cfg_attr(target_family = "wasm", inline(never))]
    fn format_version(&mut self) {
        let found = self.byte();
        if found != FORMAT_VERSION {
            self.unknown("format version", found.into());
        }
    }
}
