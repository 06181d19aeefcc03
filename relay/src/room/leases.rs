//! Leases: which opening of a client's store goes on writing under an id.
//!
//! Whether a delta is taken is decided by its chain alone, whoever has the lease. The lease only finds a copied store before it
//! collides with the original: the two name different openings, and the second to ask is told of the first. A crash is told from a copy by
//! what the claim says of openings before (ID-4), and a relay that was put back to an older state by the lease's number.
//!
//! Rules: LEASE-1 to LEASE-3. The relay states what is so; what it means, the client judges.

use weftline::fault::{self, Fault};
use weftline::sync::{Claim, CloseReason, Lease, Open, Row};

use super::forks::Examined;
use super::{MemberId, Room};

impl Room {
    /// Gives the lease of a claimed id to the opening that claims it, or leaves it where it is.
    pub(super) fn lease(&mut self, id: MemberId, open: &Open, claim: &Claim, examined: &Examined) {
        let held = self.kept.leases.get(&claim.replica).copied();
        let foreign = |held: Lease| held.inc != open.opening && !claim.incs.contains(&held.inc);
        let is_later = |held: Lease| held.number >= claim.lease_no || fault::active(Fault::LeaseNotNumbered);
        let is_clone = held.is_some_and(|held| foreign(held) && is_later(held));
        // Longer here than it was claimed to be: another tab has pushed for this one, or the store was put back to an older state.
        let is_behind = examined.here.seq > claim.seq;
        let Some(member) = self.members.get(&id).filter(|member| member.rights.may_write_as(claim.replica)) else {
            return;
        };
        if is_clone || is_behind || examined.contradicts {
            return;
        }
        if held.is_none() {
            let is_new = examined.here.seq == 0;
            let is_one_too_many = member.new_replicas >= self.config.max_new_replicas
                || !self.may_introduce(id, 1)
                || self.waits_to_introduce(id).is_some();
            if self.kept.leases.len() >= self.config.max_replicas || (is_new && is_one_too_many) {
                return;
            }
            if is_new {
                self.introduces(id, 1);
                self.introduced_one(id);
            }
        }
        let Some(member) = self.members.get_mut(&id) else { return };
        member.new_replicas += usize::from(held.is_none() && examined.here.seq == 0);
        member.leases.push(claim.replica);
        let passes = held.is_none_or(|held| held.inc != open.opening);
        let before = held.map_or(0, |held| held.number).max(claim.lease_no);
        let lease = Lease { number: before.saturating_add(u64::from(passes)), inc: open.opening };
        if held != Some(lease) {
            self.append_row(None, &Row::Lease { replica: claim.replica, lease }, Default::default());
        }
        if fault::active(Fault::FormerSessionStays) {
            return;
        }
        let others =
            self.members.iter().filter(|(other, member)| **other != id && member.leases.contains(&claim.replica));
        for other in others.map(|(other, _)| *other).collect::<Vec<_>>() {
            self.close(other, CloseReason::Superseded);
        }
    }
}
