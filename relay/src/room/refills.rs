//! Getting back what a relay has lost, from its members, who are replicas: from one at a time.
//!
//! After a restore everybody who comes back has the same to give, and each of them would send all of it. So a member says only what it has;
//! one is asked for its diff, and when that is stored, most of the others have nothing left to give and are told so. Of those who wait,
//! the one with the most is next. Who does not answer in time does not hold up the next one: after a second another is asked as well, then
//! after two, four and so on, because what is sent may be long and the line slow.
//!
//! Many may wait. Each is compared with what is here when it offers, and then only when more has come and is stored, or the next is to be asked.
//!
//! Rules: ACK-5. ACK-1 who need not send anything is acked as if it had, after the same commit.

use std::collections::BTreeMap;

use weftline::sync::{CloseReason, Nack, NackReason, Offer, Retry, Want, limits};
use weftline::{ReplicaId, Timestamp, VersionVector};

use super::ingest::WHILE_READ_ONLY;
use super::{Held, MemberId, Room};

/// How long the first who was asked may take before the next is asked as well.
const PATIENCE_MS: u64 = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Refills {
    offers: BTreeMap<MemberId, Offer>,
    asked: Option<Asked>,
    /// How many were asked in vain since the last answer.
    in_vain: u32,
    /// The version here is another one than that which all offers were compared with.
    is_stale: bool,
}

#[derive(Debug)]
struct Asked {
    member: MemberId,
    until: Timestamp,
}

impl Refills {
    /// When the next is to be asked whatever the present one does.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.asked.as_ref().filter(|_| !self.offers.is_empty()).map(|asked| asked.until)
    }

    /// A row has moved the version.
    pub(super) fn moved(&mut self) {
        self.is_stale = true;
    }

    /// A member is gone.
    pub(super) fn forget(&mut self, id: MemberId) {
        self.offers.remove(&id);
        self.answered(id);
    }

    /// A member has sent its diff, taken or not.
    pub(super) fn answered(&mut self, id: MemberId) {
        if self.asked.take_if(|asked| asked.member == id).is_some() {
            self.in_vain = 0;
        }
    }
}

impl Room {
    /// A member has something that it thinks is missing here.
    pub(super) fn offered(&mut self, id: MemberId, offer: Offer) {
        let Some(member) = self.members.get_mut(&id) else { return };
        // What lives here costs O(live) to tell: as often as a client repairs, which it does anew when the log has moved meanwhile.
        if offer.by_digest {
            member.digests += 1;
            if member.digests > limits::MAX_REPAIRS + 1 {
                return self.close(id, CloseReason::Protocol);
            }
        }
        if !member.rights.write || self.is_read_only {
            let retry = if member.rights.write { WHILE_READ_ONLY } else { Retry::NEVER };
            let nack = Nack { replica: ReplicaId::NIL, seq: 0, reason: NackReason::ReadOnly, retry, version: None };
            return self.hold(Held::Nack { member: id, nack });
        }
        self.refills.answered(id);
        self.refills.offers.remove(&id);
        let version = self.document.version();
        if version.dominates(&offer.version) {
            return self.hold(Held::Durable { member: id, version });
        }
        if self.refuses_offer(id) {
            return;
        }
        self.refills.offers.insert(id, offer);
    }

    /// Acks what is here by now, and asks the next one, if it is time.
    pub(super) fn refill(&mut self, now: Timestamp) {
        let is_due = self.refills.asked.as_ref().is_none_or(|asked| now >= asked.until);
        if self.refills.offers.is_empty() || !(is_due || self.refills.is_stale && self.appending.is_empty()) {
            return;
        }
        let version = self.document.version();
        if std::mem::take(&mut self.refills.is_stale) {
            let (covered, offers) = std::mem::take(&mut self.refills.offers)
                .into_iter()
                .partition(|(_, offer)| version.dominates(&offer.version));
            self.refills.offers = offers;
            for member in BTreeMap::into_keys(covered) {
                self.hold(Held::Durable { member, version: version.clone() });
            }
        }
        if !is_due {
            return;
        }
        self.refills.in_vain += u32::from(self.refills.asked.is_some());
        let most = self.refills.offers.iter().max_by_key(|(_, offer)| missing(&version, &offer.version));
        let Some(member) = most.map(|(member, _)| *member) else { return };
        let offer = self.refills.offers.remove(&member).expect("it was just found");
        let until = now.plus_ms(PATIENCE_MS << self.refills.in_vain.min(10));
        self.refills.asked = Some(Asked { member, until });
        let want = if offer.by_digest { Want::by_digest(&self.document) } else { Want::since(version) };
        self.hold(Held::Want { member, want });
    }
}

/// How many dots of `theirs` are not in `ours`.
fn missing(ours: &VersionVector, theirs: &VersionVector) -> u64 {
    theirs.iter().map(|(replica, entry)| entry.seq.saturating_sub(ours.seq(replica))).sum()
}
