//! Rows: what a relay's log consists of, and most of a replica's store.
//!
//! A row is passed on and stored as it came; only who wants to know what it says decodes it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::wire::{Malformed, Reader, told};
use crate::clock::Tag;
use crate::codec::DecodeError;
use crate::delta::Delta;

/// One row of a log: what one transaction did, or a diff that filled a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A delta: its canonical bytes, and its writer's chain tag before it.
    Delta {
        /// The tag before it.
        prev_tag: Tag,
        /// The canonical bytes.
        bytes: Arc<[u8]>,
    },
    /// An encoded diff.
    Diff {
        /// The bytes.
        bytes: Arc<[u8]>,
    },
}

/// The bytes of a stored row or record are not what was once written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub struct RecordError {
    /// What was being read.
    pub what: &'static str,
}

const ROW_DELTA: u8 = 1;
const ROW_DIFF: u8 = 2;

impl Row {
    /// The row of a delta. Shares its bytes.
    pub fn of(delta: &Delta) -> Self {
        Self::Delta { prev_tag: delta.prev_tag(), bytes: Arc::clone(delta.bytes()) }
    }

    /// Decodes the delta, if it is one.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a valid delta.
    pub fn delta(&self) -> Option<Result<Delta, DecodeError>> {
        match self {
            Self::Delta { prev_tag, bytes } => Some(Delta::decode_shared(bytes, *prev_tag)),
            Self::Diff { .. } => None,
        }
    }

    /// The bytes in a log and in a Rows message: a kind, the tag if it is a delta, the content to the end.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// How many bytes [`Self::encode`] gives.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Delta { bytes, .. } => 1 + 8 + bytes.len(),
            Self::Diff { bytes } => 1 + bytes.len(),
        }
    }

    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Delta { prev_tag, bytes } => {
                out.push(ROW_DELTA);
                out.extend_from_slice(prev_tag.as_bytes());
                out.extend_from_slice(bytes);
            }
            Self::Diff { bytes } => {
                out.push(ROW_DIFF);
                out.extend_from_slice(bytes);
            }
        }
    }

    /// Reads what [`Self::encode`] gave. The content is not looked at.
    ///
    /// # Errors
    /// When the kind is unknown or the bytes end before the content.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes).map_err(|_| RecordError { what: told("row") })
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        match reader.u8() {
            ROW_DELTA => {
                let prev_tag = reader.tag();
                reader.ok().map(|()| Self::Delta { prev_tag, bytes: reader.rest().into() })
            }
            ROW_DIFF => Ok(Self::Diff { bytes: reader.rest().into() }),
            _ => Err(Malformed),
        }
    }
}
