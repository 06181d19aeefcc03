//! What a client knows about its current connection to the home relay. Dropped with it: nothing is believed on the word of
//! an older connection (ACK-6).

use alloc::vec::Vec;

use super::message::{Message, PackedRows, Rows, Want};
use super::packed::{Said, pack};
use super::roster::Roster;
use super::row::Row;
use super::session::{ProtocolError, Session};
use super::{limits, status};
use crate::clock::{Timestamp, VersionVector};
use crate::fault::{self, Fault};

/// The one channel a replica uses on its connection.
pub(super) const CHANNEL: u64 = 1;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Open is not sent: what was loaded from the store is not proven durable yet (DUR-3).
    Proving,
    /// Open is sent.
    Opening,
    /// OpenAck has come.
    CatchingUp,
    /// CaughtUp has come.
    Live,
    /// Given up: nothing more is read or sent but the Goodbye.
    Closed,
}

/// Whether the relay lacks something that cannot be pushed as deltas (ACK-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refill {
    /// It does not.
    None,
    /// A diff is to be sent as soon as every own delta is durable (DIFF-7).
    Needed,
    /// The relay was told what is here, and asks for it when it is this client's turn.
    Asked,
    /// It is sent, its Durable has not come.
    Sent,
    /// It was refused for good.
    Refused,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) stage: Stage,
    /// What the relay durably has, as far as it told on this connection. Until OpenAck: what Open hashed.
    pub(super) relay: VersionVector,
    /// How far back the relay's removal log does not reach, as of OpenAck.
    pub(super) horizon: VersionVector,
    /// The same as `relay` with everything pushed since.
    pub(super) pushed: VersionVector,
    /// The relay's roster as far as it told, if rows are packed.
    pub(super) roster: Option<Roster>,
    /// The chains of the log as far as they were told: what a packed row continues.
    pub(super) heard: VersionVector,
    /// What the rows of the log said last of each writer: what a short row leaves out.
    pub(super) log_said: Said,
    /// The last dot of each id that was pushed here: what a pushed row continues.
    said: Said,
    /// How far the id that is written under was claimed, if it was.
    pub(super) claimed: Option<u64>,
    /// The epoch and the last position of the relay's log that is here.
    pub(super) epoch: u64,
    pub(super) position: u64,
    /// A diff was asked for and has not come.
    pub(super) wanted: bool,
    /// A diff has come that could not be joined before it is known whose branch it is of.
    pub(super) passed_over: bool,
    pub(super) refill: Refill,
    /// What the relay has, of which it wants to be sent the rest, until the diff is made.
    pub(super) digest: Option<Want>,
    /// Nothing is pushed before: the relay has asked for time.
    pub(super) paused: Option<Timestamp>,
    /// The relay has the same version, with other payloads.
    pub(super) diverged: bool,
    /// Everything was asked for, to build the document anew: nothing else of what the relay says counts.
    pub(super) rebuilding: bool,
    repairs: u32,
}

impl Connection {
    pub(super) const fn new(session: Session) -> Self {
        Self {
            session,
            stage: Stage::Proving,
            relay: VersionVector::new(),
            horizon: VersionVector::new(),
            pushed: VersionVector::new(),
            roster: None,
            heard: VersionVector::new(),
            log_said: Said::of_log(),
            said: Said::new(),
            claimed: None,
            epoch: 0,
            position: 0,
            wanted: false,
            passed_over: false,
            refill: Refill::None,
            digest: None,
            paused: None,
            diverged: false,
            rebuilding: false,
            repairs: 0,
        }
    }

    pub(super) fn send(&mut self, message: &Message) {
        self.session.send_body(CHANNEL, message.kind(), &message.encode_upward());
    }

    pub(super) fn send_rows(&mut self, rows: Vec<Row>) {
        let Some(roster) = &self.roster else {
            return self.send(&Message::Rows(Rows { from: 0, to: 0, rows }));
        };
        let mut packed = Vec::new();
        for row in &rows {
            if fault::active(Fault::RowsWithoutTag) {
                packed.push(pack(row, roster, true).into());
            } else {
                packed.push(self.said.pack(row, roster).into());
            }
        }
        self.send(&Message::Packed(PackedRows { from: 1, to: 0, new_ids: Vec::new(), rows: packed }));
    }

    /// What was pushed was not taken: the next of each id is sent with the tag before it.
    pub(super) fn said_in_vain(&mut self) {
        if !fault::active(Fault::SaidInVainKept) {
            self.said.forget();
        }
    }

    /// Whether the relay has answered Open, so that deltas may be pushed.
    pub(super) const fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::CatchingUp | Stage::Live)
    }

    /// Counts an exchange that should not be needed more than once.
    pub(super) fn repair(&mut self) -> Result<(), ProtocolError> {
        self.repairs += 1;
        if self.repairs > limits::MAX_REPAIRS {
            return Err(ProtocolError::NoProgress { repairs: limits::MAX_REPAIRS });
        }
        Ok(())
    }

    /// The two sides agree: what was repaired before is no sign of a fault that stays.
    pub(super) const fn repaired(&mut self) {
        self.repairs = 0;
    }

    /// The relay lacks something that no delta in the outbox brings.
    pub(super) fn need_refill(&mut self) {
        if self.refill == Refill::None && !fault::active(Fault::NeverRefill) {
            self.refill = Refill::Needed;
        }
    }

    pub(super) const fn link(&self) -> status::Link {
        match self.stage {
            Stage::Proving | Stage::Opening => status::Link::Connecting,
            Stage::CatchingUp => status::Link::CatchingUp,
            Stage::Live => status::Link::Live,
            Stage::Closed => status::Link::Offline,
        }
    }
}
