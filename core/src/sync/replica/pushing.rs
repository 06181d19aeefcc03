//! What the relay is told: Open with its claims, the outbox as deltas, or a diff where deltas would not do.
//!
//! Rules: DUR-2 claims name durable dots only. LEASE-4 leases are asked of the home relay, which is the only one there is here.
//! ACK-5 what the relay lacks goes up as a diff at the whole durable version (DIFF-7), when the relay asks for it, which asks one
//! client at a time; the outbox goes as deltas only where the relay has everything else. DIFF-2 where the log here does not reach
//! back to the relay, it is asked for its digest; it is sent the whole state only if it gives none.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Replica;
use crate::clock::VersionVector;
use crate::codec;
use crate::fault::{self, Fault};
use crate::sync::limits;
use crate::sync::link::{Refill, Stage};
use crate::sync::message::{DiffMessage, Message, Offer, Open};

impl Replica {
    /// Sends Open, once what it claims is proven durable.
    pub(super) fn open_channel(&mut self) {
        let waiting = self.connection.as_ref().is_some_and(|connection| connection.stage == Stage::Proving);
        if !waiting || !self.is_proven() {
            return;
        }
        let settled = self.settled_version();
        let version = self.durable_version();
        let short = codec::encode_version(&version).len() < limits::INLINE_VERSION;
        let claim = self.slot.claim(&version);
        let claimed = claim.as_ref().map(|claim| claim.seq);
        let mut claims = Vec::new();
        if let Some(claim) = claim {
            claims.push(claim);
        }
        // Who builds his document anew asks for everything.
        let anew = self.must_rebuild;
        let nothing = VersionVector::new();
        let open = Open {
            document: self.name.clone(),
            opening: self.opening,
            connection: self.connections,
            cursor: self.cursor.filter(|_| !anew),
            version_hash: if anew { nothing.hash() } else { settled.hash() },
            beacon: self.document.beacon(),
            voids: self.voids[..self.voids.len().min(limits::MAX_VOIDS)].to_vec(),
            claims,
            settles: self.outbox.settles(self.stored),
            version: if anew { Some(nothing) } else { Some(version).filter(|_| short && self.cursor.is_none()) },
            packed: true,
            staged: self.staging.told().map(Box::new),
        };
        self.send(&Message::Open(open));
        if let Some(connection) = &mut self.connection {
            connection.stage = Stage::Opening;
            connection.claimed = claimed;
            connection.relay = if anew { VersionVector::new() } else { settled };
            connection.rebuilding = anew;
        }
    }

    /// Sends what can be sent of what the relay lacks.
    pub(super) fn push(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        // What is here is not what the relay has under the same names: nothing is written upon that.
        if !connection.is_answered() || connection.diverged || connection.paused.is_some() {
            return;
        }
        let stored = self.stored;
        if matches!(connection.refill, Refill::None | Refill::Refused) {
            loop {
                let rows = self.outbox.next_rows(&mut connection.pushed, stored, limits::MAX_BATCH);
                if rows.is_empty() {
                    break;
                }
                if fault::active(Fault::EmptyOutboxOnSend) {
                    for delta in rows.iter().filter_map(|row| row.delta()?.ok()) {
                        self.outbox.acked(delta.replica(), delta.dot().seq);
                    }
                }
                connection.send_rows(rows);
            }
            // Something builds upon what the relay lacks.
            if self.outbox.has_unpushed(stored) {
                connection.need_refill();
            }
        }
        // No refill goes up before it is known whose branch these are.
        loop {
            let rows = self.outbox.next_unsure(stored, limits::MAX_BATCH);
            if rows.is_empty() {
                break;
            }
            connection.send_rows(rows);
        }
        // While a branch is stuck, a diff would carry it and be refused.
        let waits = self.outbox.unstored(stored) > 0 && !fault::active(Fault::RefillPart);
        if connection.refill != Refill::Needed || waits || self.outbox.is_any_stuck() {
            return;
        }
        let Some(want) = connection.digest.take() else {
            let reaches = connection.relay.is_empty() || self.document.reaches_back_to(&connection.relay);
            connection.refill = Refill::Asked;
            let version = self.outbox.durable(self.document.version(), stored);
            return connection.send(&Message::Offer(Offer { version, by_digest: !reaches }));
        };
        let diff = want.answer(&self.document);
        connection.refill = Refill::Sent;
        let bytes = codec::encode_diff(&diff).into();
        connection.send(&Message::Diff(DiffMessage { position: 0, bytes }));
    }
}
