//! What a room keeps about ids, beside the document: who may write under them, and which branches of them do not count.
//!
//! Both come about as rows of the log, so that they are durable with the commit of everything around them, and are folded into the
//! snapshot: one lease for each id, and every void fact. A room that is idle does not grow by those who come and look.
//!
//! Rules: LEASE-2 a lease is a row. FORK-2 so is a void fact.
//! Not here: who gets a lease ([`super::leases`]), and how a branch is found out ([`super::forks`]).

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use weftline::fault::{self, Fault};
use weftline::sync::{Lease, Row};
use weftline::{ReplicaId, VoidFact};

use crate::store::Position;

/// Leases and void facts, as of the head.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) leases: BTreeMap<ReplicaId, Lease>,
    /// With the position of the row, 0 if it is gone.
    pub(super) voids: BTreeMap<VoidFact, Position>,
}

impl Kept {
    /// A row of the log.
    pub(super) fn fold(&mut self, row: &Row, position: Position) {
        match row {
            Row::Lease { replica, lease } => _ = self.leases.insert(*replica, *lease),
            Row::Void(fact) => _ = self.voids.entry(*fact).or_insert(position),
            Row::Delta { .. } | Row::Diff { .. } => {}
        }
    }

    /// The void facts whose rows are after one position and not after another.
    pub(super) fn voids_between(&self, after: Position, upto: Position) -> impl Iterator<Item = VoidFact> {
        self.voids.iter().filter(move |(_, position)| after < **position && **position <= upto).map(|(fact, _)| *fact)
    }
}

/// A room at rest, as it is given to a store: the rows that stay, and the snapshot of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// Leases and void facts, folded.
    pub kept: Vec<Row>,
    /// The snapshot of the document.
    pub document: Bytes,
}

/// A room's snapshot is not what was once written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rows kept beside the document cannot be read")]
pub struct KeptError;

impl RoomSnapshot {
    pub(super) fn new(kept: &Kept, document: Vec<u8>) -> Self {
        let (no_leases, no_voids) = (fault::active(Fault::LeasesNotFolded), fault::active(Fault::VoidsNotFolded));
        let leases = kept
            .leases
            .iter()
            .filter(|_| !no_leases)
            .map(|(replica, lease)| Row::Lease { replica: *replica, lease: *lease });
        let voids = kept.voids.keys().filter(|_| !no_voids).map(|fact| Row::Void(*fact));
        Self { kept: leases.chain(voids).collect(), document: document.into() }
    }

    /// The bytes: how many rows there are, each with its length before it, and the document's snapshot to the end.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u32_le(u32::try_from(self.kept.len()).expect("there are limits to both"));
        for row in &self.kept {
            let row = row.encode();
            out.put_u8(u8::try_from(row.len()).expect("leases and void facts are short"));
            out.put_slice(&row);
        }
        out.put_slice(&self.document);
        out.freeze()
    }

    /// Reads what [`Self::encode`] gave. The document is not looked at.
    ///
    /// # Errors
    /// When it is not that.
    pub fn decode(bytes: &Bytes) -> Result<Self, KeptError> {
        let mut rest = bytes.clone();
        let take = |rest: &mut Bytes, len: usize| (len <= rest.len()).then(|| rest.split_to(len)).ok_or(KeptError);
        let count = take(&mut rest, 4)?.iter().rev().fold(0, |count, byte| count << 8 | u32::from(*byte));
        let mut kept = Vec::new();
        for _ in 0..count {
            let len = usize::from(take(&mut rest, 1)?[0]);
            let row = Row::decode(&take(&mut rest, len)?).map_err(|_| KeptError)?;
            if matches!(row, Row::Delta { .. } | Row::Diff { .. }) {
                return Err(KeptError);
            }
            kept.push(row);
        }
        Ok(Self { kept, document: rest })
    }
}

#[cfg(test)]
mod tests {
    use weftline::Tag;

    use super::*;

    #[test]
    fn bytes_1_a_snapshot_comes_back_as_it_was_or_is_refused() {
        let mut kept = Kept::default();
        for number in 1..=3 {
            let replica = ReplicaId::from(u128::from(number));
            let fact = VoidFact { replica, first_seq: 300, tag: Tag::start(replica) };
            kept.fold(&Row::Lease { replica, lease: Lease { number, inc: 8 } }, number);
            // Only the last one counts.
            kept.fold(&Row::Lease { replica, lease: Lease { number: number + 1, inc: 9 } }, number);
            kept.fold(&Row::Void(fact), number);
            kept.fold(&Row::Void(fact), number + 1);
        }
        assert_eq!(kept.voids_between(1, 2).count(), 1);
        let snapshot = RoomSnapshot::new(&kept, vec![1, 2, 3]);
        assert_eq!(snapshot.kept.len(), 6);
        let bytes = snapshot.encode();
        assert_eq!(RoomSnapshot::decode(&bytes), Ok(snapshot));
        for cut in 0..bytes.len() - 3 {
            assert_eq!(RoomSnapshot::decode(&bytes.slice(..cut)), Err(KeptError));
        }
        for at in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[at] ^= 0xff;
            // Whatever it is: no panic, and nothing but leases and void facts.
            if let Ok(read) = RoomSnapshot::decode(&other.into()) {
                assert!(read.kept.iter().all(|row| matches!(row, Row::Lease { .. } | Row::Void(_))));
            }
        }
    }
}
