//! Bytes: see `docs/format.md`.

use alloc::vec::Vec;

use crate::clock::VersionVector;
use crate::delta::DeltaParts;
use crate::diff::{Diff, Snapshot};

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends too early.
    #[error("input ends at byte {at}")]
    Truncated {
        /// Where.
        at: usize,
    },
}

/// The canonical bytes of a delta.
pub fn encode_delta(_parts: &DeltaParts) -> Vec<u8> {
    todo!()
}

/// Reads what [`encode_delta`] wrote.
pub fn decode_delta(_bytes: &[u8]) -> Result<DeltaParts, DecodeError> {
    todo!()
}

/// The bytes of a diff.
pub fn encode_diff(_diff: &Diff) -> Vec<u8> {
    todo!()
}

/// Reads what [`encode_diff`] wrote.
pub fn decode_diff(_bytes: &[u8]) -> Result<Diff, DecodeError> {
    todo!()
}

/// The bytes of a snapshot, in a checksummed envelope.
pub fn encode_snapshot(_snapshot: &Snapshot) -> Vec<u8> {
    todo!()
}

/// Reads what [`encode_snapshot`] wrote.
pub fn decode_snapshot(_bytes: &[u8]) -> Result<Snapshot, DecodeError> {
    todo!()
}

/// The bytes of a version vector with tags.
pub fn encode_version(_version: &VersionVector) -> Vec<u8> {
    todo!()
}

/// Reads what [`encode_version`] wrote.
pub fn decode_version(_bytes: &[u8]) -> Result<VersionVector, DecodeError> {
    todo!()
}
