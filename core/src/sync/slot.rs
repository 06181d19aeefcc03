//! Slots: who may write as whom.
//!
//! A store has a pool of slots, each behind an exclusive lock that the driver takes; a slot holds the writer id of whoever
//! wrote last under that lock. An id is minted at the first write and written with it, never before, so readers never
//! enter a version vector (ID-1). The next opening of the slot continues the id if the store proves that no dot of it can
//! be lost: then a crash costs no id. In any doubt a fresh id is minted, which costs 26 bytes; a dot used twice would cost
//! the convergence of everybody.
//!
//! Rules: ID-1, ID-3 (a to c; d is the driver's: a store that cannot write strictly is opened without a slot), ID-5, ID-6
//! retirement. DUR-1 the high-water mark is written strictly with every own delta. DUR-3 what was loaded is made durable
//! before anything of it is claimed or sent. DUR-5 an id is not continued when the store lacks what its deltas build upon.
//! TAB-4 no lock, no continuation.
//! Not here: leases and void facts, by which a copied store will be found before it collides, and repaired after.

use super::record::{Record, Token};
use crate::clock::{Tag, VersionEntry, VersionVector};
use crate::fault::{self, Fault};
use crate::replica_id::ReplicaId;

/// The slot of this opening.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    index: Option<u32>,
    /// The id held, and how far it is being written.
    held: Option<Held>,
    /// The batch that proves what was loaded, once it was asked for.
    proof: Option<Token>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    replica: ReplicaId,
    /// The last dot made, and the tag there. Before the first dot of a fresh id there is nothing to write.
    high_water: VersionEntry,
}

impl Slot {
    /// The slot as an opening finds it: `record` is what the store has of it, `version` what the rest of the store adds up
    /// to, and `whole` whether nothing in the store was found unusable.
    pub(super) fn open(index: Option<u32>, record: Option<&Record>, version: &VersionVector, whole: bool) -> Self {
        let held = match record {
            Some(Record::Slot { replica: Some(replica), high_water, tag, .. }) if index.is_some() && whole => {
                proven(version, *replica, VersionEntry { seq: *high_water, tag: *tag })
            }
            _ => None,
        };
        Self { index, held, proof: None }
    }

    /// The id that own deltas are written under, if one is held.
    pub(super) fn replica(&self) -> Option<ReplicaId> {
        self.held.map(|held| held.replica)
    }

    /// Whether the id held has dots: then there is something to prove and to claim.
    pub(super) fn has_history(&self) -> bool {
        self.held.is_some_and(|held| held.high_water.seq > 0)
    }

    /// Takes a fresh id. It is written with its first delta.
    pub(super) fn mint(&mut self, replica: ReplicaId) {
        self.held = Some(Held { replica, high_water: VersionEntry { seq: 0, tag: Tag::start(replica) } });
    }

    /// Own dots up to `entry` exist.
    pub(super) fn advance(&mut self, entry: VersionEntry) {
        if let Some(held) = &mut self.held {
            held.high_water = entry;
        }
    }

    /// No further dot under this id (ID-5). Gives the record that says so; the lock is still held.
    pub(super) fn retire(&mut self) -> Option<Record> {
        self.held.take()?;
        self.record()
    }

    /// The lock is gone, or may be: nothing of the slot may be written any more, and no id be continued by it.
    pub(super) fn abandon(&mut self) {
        self.held = None;
        self.index = None;
    }

    /// What the store has to say about the slot.
    pub(super) fn record(&self) -> Option<Record> {
        let index = self.index?;
        Some(match self.held {
            Some(Held { replica, high_water }) if high_water.seq > 0 => {
                Record::Slot { index, replica: Some(replica), high_water: high_water.seq, tag: high_water.tag }
            }
            _ => Record::Slot { index, replica: None, high_water: 0, tag: Tag::start(ReplicaId::NIL) },
        })
    }

    /// Whether the strict write that proves what was loaded is done.
    pub(super) fn is_proven(&self, stored: Token) -> bool {
        self.proof.is_some_and(|token| token <= stored)
    }

    /// Whether that write has been asked for.
    pub(super) const fn is_proving(&self) -> bool {
        self.proof.is_some()
    }

    /// That write is `token`.
    pub(super) const fn prove(&mut self, token: Token) {
        self.proof = Some(token);
    }

    /// Everything that was not stored is being written again, with `token`.
    pub(super) fn rewrite(&mut self, stored: Token, token: Token) {
        if self.proof.is_some_and(|proof| proof > stored) {
            self.proof = Some(token);
        }
    }
}

/// ID-3 (c): every dot the slot knows of is here and the chain is the same. Another tab may have stored later deltas of
/// this id; then it is continued above those.
fn proven(version: &VersionVector, replica: ReplicaId, high_water: VersionEntry) -> Option<Held> {
    let have = version.get(replica)?;
    let agrees = have.seq > high_water.seq || have == high_water || fault::active(Fault::HighWaterIgnored);
    agrees.then_some(Held { replica, high_water: have })
}
