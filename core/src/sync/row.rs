//! Rows: what a relay's log consists of, and most of a replica's store.
//!
//! A row is passed on and stored as it came; only who wants to know what it says decodes it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::wire::{Malformed, Reader, put_varint, told};
use crate::clock::{Tag, VoidFact};
use crate::codec::DecodeError;
use crate::delta::Delta;
use crate::replica_id::ReplicaId;

/// Who may write under an id: an opening of a store, and how often the lease has passed from one opening to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows whenever the lease passes on, so that a relay that was put back to an older state is told from a copied store (LEASE-1).
    pub number: u64,
    /// The opening's random number.
    pub inc: u64,
}

/// One row of a log: what one transaction did, a diff that filled a hole, or what the relay has found out about an id.
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
    /// A branch that does not count (FORK-2).
    Void(VoidFact),
    /// From here on this opening may write under the id. Rows of this kind stay at the relay: no other row depends on them, and
    /// nobody else needs them.
    Lease {
        /// The id.
        replica: ReplicaId,
        /// Its lease.
        lease: Lease,
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
const ROW_VOID: u8 = 3;
const ROW_LEASE: u8 = 4;

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
            _ => None,
        }
    }

    /// The bytes in a log and in a Rows message: a kind, the tag if it is a delta, the content to the end.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Self::Delta { bytes, .. } | Self::Diff { bytes } = self {
            out.reserve(1 + 8 + bytes.len());
        }
        self.encode_into(&mut out);
        out
    }

    /// Whether an encoded row is one of those that stay at the relay.
    pub fn is_private(bytes: &[u8]) -> bool {
        bytes.first() == Some(&ROW_LEASE)
    }

    /// How many bytes [`Self::encode`] gives.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Delta { bytes, .. } => 1 + 8 + bytes.len(),
            Self::Diff { bytes } => 1 + bytes.len(),
            Self::Void(_) | Self::Lease { .. } => self.encode().len(),
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
            Self::Void(fact) => {
                out.push(ROW_VOID);
                put_void(out, fact);
            }
            Self::Lease { replica, lease } => {
                out.push(ROW_LEASE);
                out.extend_from_slice(&replica.to_bytes());
                put_lease(out, *lease);
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
            ROW_VOID => {
                let fact = void(&mut reader);
                reader.finish().map(|()| Self::Void(fact))
            }
            ROW_LEASE => {
                let (replica, lease) = (reader.replica(), lease(&mut reader));
                reader.finish().map(|()| Self::Lease { replica, lease })
            }
            _ => Err(Malformed),
        }
    }
}

pub(super) fn put_void(out: &mut Vec<u8>, fact: &VoidFact) {
    out.extend_from_slice(&fact.replica.to_bytes());
    put_varint(out, fact.first_seq);
    out.extend_from_slice(fact.tag.as_bytes());
}

/// Reads what [`put_void`] gave. No branch begins before the first dot.
pub(super) fn void(from: &mut Reader<'_>) -> VoidFact {
    let fact = VoidFact { replica: from.replica(), first_seq: from.varint(), tag: from.tag() };
    if fact.first_seq == 0 {
        from.refuse();
    }
    fact
}

pub(super) fn put_lease(out: &mut Vec<u8>, lease: Lease) {
    put_varint(out, lease.number);
    out.extend_from_slice(&lease.inc.to_le_bytes());
}

pub(super) fn lease(from: &mut Reader<'_>) -> Lease {
    Lease { number: from.varint(), inc: from.word() }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_2_rows_come_back_as_they_were() {
        let (replica, tag) = (ReplicaId::from(3), Tag::from_bytes([9; 8]));
        let rows = vec![
            Row::Delta { prev_tag: tag, bytes: [1, 2].as_slice().into() },
            Row::Diff { bytes: [3].as_slice().into() },
            Row::Void(VoidFact { replica, first_seq: 300, tag }),
            Row::Lease { replica, lease: Lease { number: 200, inc: u64::MAX } },
        ];
        for row in rows {
            let bytes = row.encode();
            assert_eq!(Row::is_private(&bytes), matches!(row, Row::Lease { .. }));
            assert_eq!((row.encoded_len(), Row::decode(&bytes)), (bytes.len(), Ok(row)));
        }
    }

    proptest! {
        #[test]
        fn bytes_1_any_bytes_are_a_row_in_its_one_form_or_refused(
            kind in 0u8..6,
            bytes in prop::collection::vec(any::<u8>(), 0..48),
        ) {
            let bytes = [&[kind], &bytes[..]].concat();
            if let Ok(row) = Row::decode(&bytes) {
                prop_assert_eq!(row.encode(), bytes);
            }
        }
    }
}
