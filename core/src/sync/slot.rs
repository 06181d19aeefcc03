//! Slots: who may write as whom.
//!
//! A store has a pool of slots, each behind an exclusive lock that the driver takes; a slot holds the writer id of whoever
//! wrote last under that lock. An id is minted at the first write and written with it, never before, so readers never
//! enter a version vector (ID-1). The next opening of the slot continues the id if the store proves that no dot of it can
//! be lost: then a crash costs no id. In any doubt a fresh id is minted, which costs 26 bytes; a dot used twice would cost
//! the convergence of everybody.
//!
//! An opening that connects asks for the *lease* of its id, as who it is: the *inc*, a random number that is added to the slot
//! before it is said to anybody. Whoever opens the slot next names all those that may have got the lease and did not live to
//! hear of it, so that the relay can tell a crash from a copy of the store (LEASE-1).
//!
//! Rules: ID-1, ID-3 (a to c; d is the driver's: a store that cannot write strictly is opened without a slot), ID-4 the incs,
//! ID-5, ID-6 retirement. DUR-1 the high-water mark is written strictly with every own delta. DUR-3 what was loaded is made durable
//! before anything of it is claimed or sent. DUR-5 an id is not continued when the store lacks what its deltas build upon.
//! TAB-4 no lock, no continuation.
//! Not here: who gets the lease; that is the relay's.

use alloc::vec::Vec;

use super::limits;
use super::message::{Claim, Fact};
use super::record::{Record, Token};
use super::row::Lease;
use crate::clock::{Tag, VersionEntry, VersionVector};
use crate::fault::{self, Fault};
use crate::replica_id::ReplicaId;

/// The slot of this opening.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    index: Option<u32>,
    /// Which opening this is.
    inc: u64,
    /// Whether the slot's record names it.
    is_named: bool,
    /// The id held, and how far it is being written.
    held: Option<Held>,
    /// The batch that proves what was loaded, once it was asked for.
    proof: Option<Token>,
}

#[derive(Clone, Debug)]
struct Held {
    replica: ReplicaId,
    /// The last dot made, and the tag there. Before the first dot of a fresh id there is nothing to write.
    high_water: VersionEntry,
    /// The number of the last lease that was heard of, 0 if of none.
    lease_no: u64,
    /// The opening that had it, and those before this one that may have had a later one.
    earlier: Vec<u64>,
}

impl Held {
    fn new(replica: ReplicaId, high_water: VersionEntry) -> Self {
        Self { replica, high_water, lease_no: 0, earlier: Vec::new() }
    }
}

/// What a fact says about the lease that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeaseVerdict {
    /// It is ours. The record that says so, unless the store knows.
    Ours(Option<Record>),
    /// An opening has it that this store knows nothing of, and which came later than what this store knows: this is a copy, or
    /// was copied.
    Foreign,
    /// It was not given to us, and that says nothing about this store.
    Withheld,
}

impl Slot {
    /// The slot as an opening finds it: `record` is what the store has of it, `version` what the rest of the store adds up
    /// to, and `whole` whether nothing in the store was found unusable.
    /// `inc` is which opening this is.
    pub(super) fn open(
        index: Option<u32>,
        inc: u64,
        record: Option<Record>,
        version: &VersionVector,
        whole: bool,
    ) -> Self {
        let held = match record {
            Some(Record::Slot { replica: Some(replica), high_water, tag, lease_no, mut incs, .. })
                if (index.is_some() || fault::active(Fault::LockIgnored)) && whole =>
            {
                if fault::active(Fault::LastIncOnly) {
                    incs.drain(..incs.len().saturating_sub(1));
                }
                let unconfirmed = incs.len() - usize::from(lease_no > 0 && !incs.is_empty());
                proven(version, replica, VersionEntry { seq: high_water, tag })
                    .filter(|_| unconfirmed < limits::MAX_UNCONFIRMED || fault::active(Fault::IncsUnbounded))
                    .map(|high_water| Held { lease_no, earlier: incs, ..Held::new(replica, high_water) })
            }
            _ => None,
        };
        Self { index, inc, is_named: false, held, proof: None }
    }

    /// The id that own deltas are written under, if one is held.
    pub(super) fn replica(&self) -> Option<ReplicaId> {
        self.held.as_ref().map(|held| held.replica)
    }

    /// Whether the id held has dots: then there is something to prove and to claim.
    pub(super) fn has_history(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.high_water.seq > 0)
    }

    /// Takes a fresh id. It is written with its first delta.
    pub(super) fn mint(&mut self, replica: ReplicaId) {
        self.held = Some(Held::new(replica, VersionEntry { seq: 0, tag: Tag::start(replica) }));
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
        let nil = Held::new(ReplicaId::NIL, VersionEntry { seq: 0, tag: Tag::start(ReplicaId::NIL) });
        let held = self.held.as_ref().filter(|held| held.high_water.seq > 0);
        let Held { replica, high_water, lease_no, earlier } = held.unwrap_or(&nil);
        let mut incs = earlier.clone();
        if self.is_named && held.is_some() && !fault::active(Fault::IncNotStored) {
            incs.push(self.inc);
        }
        let (VersionEntry { seq: high_water, tag }, lease_no) = (*high_water, *lease_no);
        Some(Record::Slot { index, replica: held.map(|_| *replica), high_water, tag, lease_no, incs })
    }

    /// From now on the record names this opening: it is about to be said to others (ID-4).
    pub(super) const fn name(&mut self) {
        self.is_named = true;
    }

    /// The claim of the id held, if there is anything to continue. `durable` is how far it is durable. An id that no slot holds is
    /// continued by nobody, so nobody asks for its lease.
    pub(super) fn claim(&self, durable: &VersionVector) -> Option<Claim> {
        let held = self.held.as_ref().filter(|_| self.index.is_some())?;
        let VersionEntry { seq, tag } = durable.get(held.replica)?;
        Some(Claim { replica: held.replica, seq, tag, lease_no: held.lease_no, incs: held.earlier.clone() })
    }

    /// What a fact says about the lease of the id held; nothing, if it is about another id.
    pub(super) fn judge(&mut self, fact: &Fact) -> Option<LeaseVerdict> {
        let held = self.held.as_mut().filter(|held| held.replica == fact.replica)?;
        Some(match fact.lease {
            Some(Lease { number, inc }) if inc == self.inc || fault::active(Fault::ConfirmedByAny) => {
                let is_known = held.earlier.is_empty() && held.lease_no == number;
                held.lease_no = number;
                held.earlier.clear();
                LeaseVerdict::Ours(if is_known { None } else { self.record() })
            }
            Some(Lease { number, inc })
                if (number >= held.lease_no || fault::active(Fault::LeaseNotNumbered))
                    && !held.earlier.contains(&inc) =>
            {
                LeaseVerdict::Foreign
            }
            _ => LeaseVerdict::Withheld,
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
fn proven(version: &VersionVector, replica: ReplicaId, high_water: VersionEntry) -> Option<VersionEntry> {
    let have = version.get(replica)?;
    let agrees = have.seq > high_water.seq || have == high_water || fault::active(Fault::HighWaterIgnored);
    agrees.then_some(have)
}
