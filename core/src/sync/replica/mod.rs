//! A replica: a document, what of it is not at the relay yet, who it writes as, and the link to its home relay.
//!
//! Sans-IO. The driver calls a method for everything that happens (a frame, a completed write, a passed deadline, a local
//! edit) and then drains [`Replica::poll`]. Outputs come in the order in which they must be acted upon.
//!
//! Rules: DUR-1, DUR-2 nothing of an own delta is transmitted before the batch that holds it is durable. ACK-6 the status is
//! true of the current connection. SES-1 the driver gives frames of the current connection only.
//! Not here, but beside: [`opening`] folds what a store held, [`writing`] is local edits and their durability, [`receiving`]
//! is what the relay says, [`pushing`] is what the relay is told, [`repairing`] is what is done where the two contradict each other.

mod opening;
mod pushing;
mod receiving;
mod repairing;
#[cfg(test)]
mod tests;
mod writing;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use opening::{OpenError, Opening};

use super::encoding::MessageKind;
use super::entropy::Entropy;
use super::link::{CHANNEL, Connection, Refill, Stage};
use super::message::{Close, CloseReason, Message, Part, Retry};
use super::outbox::Outbox;
use super::presence::{PeerId, PeerState, Peers, PresenceTooLong, earlier};
use super::queue::Queue;
use super::record::{Cursor, Persist, Record, Token};
use super::row::Row;
use super::session::{ProtocolError, Session, SessionConfig};
use super::slot::Slot;
use super::staging::Staging;
use super::status::{Link, Refusal, Status};
use super::wire::Reader;
use crate::clock::{Dot, DotRuns, Tag, Timestamp, VersionEntry, VersionVector, VoidFact};
use crate::codec;
use crate::delta::Delta;
use crate::document::{Changes, Document};
use crate::fault::{self, Fault};
use crate::ordered::Set;
use crate::replica_id::ReplicaId;

/// What the driver must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this websocket message.
    Transmit(Vec<u8>),
    /// Write this, then call [`Replica::durable`].
    Persist(Persist),
    /// Tell the application that the relay changed the document. Local edits return their changes instead.
    Changed(Changes),
    /// Others came, went, or show something else: the newest of each that changed. [`Replica::presences`] has all.
    Presence(Vec<PeerState>),
    /// The status is another one.
    Status(Status),
    /// The relay's log contradicted what was here, and that was repaired: what lived under these dots has other names now, and other
    /// positions among what others wrote meanwhile. So have list elements, whose dots are their ids, and cursors in texts. Read again
    /// whatever is shown; nothing else tells what changed. Steps of undo are forgotten.
    ForkRepaired {
        /// The dots.
        dots: DotRuns,
    },
    /// Close the connection, after sending what was given before.
    Disconnect {
        /// When to connect again. After [`Retry::NEVER`] only when the application asks for it.
        retry: Retry,
    },
    /// What [`Replica::set_token`] was given ends soon: it is time for another.
    TokenWanted,
}

/// Until when nothing is pushed where that is not allowed.
const FOREVER: Timestamp = Timestamp(u64::MAX);

/// The name of a delta of a void branch, and the tag after it.
type VoidRow = (Dot, Tag);

/// A document that one process holds, and its link to the home relay. See the [module](super) for the protocol.
#[derive(Debug)]
pub struct Replica {
    name: String,
    document: Document,
    slot: Slot,
    outbox: Outbox,
    /// What of it was made upon something that the store has lost, and the positions that are stored with it (DUR-5).
    unready: Vec<(Option<Arc<[u8]>>, Delta)>,
    entropy: Entropy,
    /// The random number that names this opening to the relay.
    opening: u64,
    /// How many connections this opening has made.
    connections: u64,
    cursor: Option<Cursor>,
    dialing: bool,
    connection: Option<Box<Connection>>,
    peers: Peers,
    /// What has arrived of a long diff.
    staging: Staging,
    /// Batches given out and not durable yet, ascending.
    unfinished: Queue<Persist>,
    last_token: Token,
    /// Everything up to this batch is durable.
    stored: Token,
    /// What the last snapshot given by [`Self::compact`] covers.
    compacted: VersionVector,
    outputs: Queue<Output>,
    reported: Status,
    /// What the relay refused last, and why it sent this replica away.
    refused: Option<Refusal>,
    closed: Option<Close>,
    /// What says what may be done at the relay; empty if nothing does.
    token: Vec<u8>,
    /// The branches that are known not to count.
    voids: Vec<VoidFact>,
    /// The deltas of those that are in the store, or were. Ascending.
    void_rows: Vec<VoidRow>,
    /// The ids of which the relay has something else than what is here, where no void fact tells what of it.
    contradicted: Set<ReplicaId>,
    /// Whether the document must be built anew from what the relay has, and how often it was.
    must_rebuild: bool,
    rebuilt: u32,
}

impl Replica {
    /// The document's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The document. Reading creates nothing; writing goes through [`Self::transact`].
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The id that local edits are written under, if one was taken yet.
    pub fn writer(&self) -> Option<ReplicaId> {
        self.slot.replica()
    }

    /// The last dot of every edit that the relay has not acked, with whether it was pushed on this connection: for whoever follows edits through
    /// logs. O(edits).
    pub fn waiting(&self) -> impl Iterator<Item = (Dot, bool)> + '_ {
        let is_pushed = |dot| self.connection.as_ref().is_some_and(|connection| connection.pushed.covers(dot));
        self.outbox.dots().map(move |dot| (dot, is_pushed(dot)))
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        let link = match &self.connection {
            Some(connection) => connection.link(),
            None if self.dialing => Link::Connecting,
            None => Link::Offline,
        };
        let refill = self.connection.as_ref().map_or(Refill::None, |connection| connection.refill);
        let waiting = self.outbox.len();
        // What the relay lost was counted when it was acked; how many edits that were is not known any more.
        let unsaved = if refill == Refill::None { waiting } else { waiting.max(1) };
        let stuck = if refill == Refill::Refused { unsaved } else { self.outbox.stuck() };
        let diverged = usize::from(self.connection.as_ref().is_some_and(|connection| connection.diverged));
        let (unsaved, mut stuck) = (unsaved.max(diverged), stuck.max(diverged));
        if self.connection.as_ref().is_some_and(|connection| connection.paused == Some(FOREVER)) {
            stuck = unsaved;
        }
        let unstored = self.outbox.unstored(self.stored);
        Status { link, unsaved, unstored, stuck, refused: self.refused, closed: self.closed }
    }

    /// The driver has begun to connect.
    pub fn dialing(&mut self) {
        self.dialing = true;
    }

    /// A connection has come up; it replaces any older one.
    pub fn connected(&mut self, now: Timestamp) {
        self.document.observe_time(now);
        self.dialing = false;
        self.connections += 1;
        self.keep_unfinished();
        self.outbox.start_over();
        self.taken();
        self.connection = Some(Box::new(Connection::new(Session::of_client(SessionConfig::default(), now))));
        self.present_token();
        self.peers.lost(now);
        self.peers.connected();
        self.prove();
        self.open_channel();
    }

    /// The connection is gone, or could not be made.
    pub fn disconnected(&mut self, now: Timestamp) {
        self.dialing = false;
        self.keep_unfinished();
        self.connection = None;
        self.peers.lost(now);
    }

    /// Says what may be done at the relay: a token that somebody signed whom it trusts. It is opaque here, and not stored. It is said at
    /// the beginning of each connection, and at once where there is one; then what was refused for want of a right is pushed again.
    pub fn set_token(&mut self, token: &[u8]) {
        self.token = token.into();
        self.present_token();
        if let Some(connection) = self.connection.as_mut().filter(|_| !fault::active(Fault::TokenLiftsNothing)) {
            connection.paused = None;
            self.push();
        }
    }

    /// Shows this to everybody who has the document open, in place of what was shown before, or nothing any more. A replica
    /// that only reads shows itself as well. The value means something to the application alone. It is not stored; it is sent
    /// at once, or as soon as there is a connection, but at most so often ([`super::limits::PRESENCE_INTERVAL_MS`]): in
    /// between the newest counts. O(value).
    ///
    /// # Errors
    /// When it is longer than [`super::limits::MAX_PRESENCE`]; what was shown before stays.
    pub fn set_presence(&mut self, now: Timestamp, value: Option<&[u8]>) -> Result<(), PresenceTooLong> {
        self.peers.set(value)?;
        self.show_myself(now);
        Ok(())
    }

    /// The others who have the document open and show something, and what. Ascending by peer.
    pub fn presences(&self) -> impl Iterator<Item = (PeerId, &[u8])> {
        self.peers.iter().map(|(peer, value)| (peer, &value[..]))
    }

    /// The name that this opening has for the others.
    pub const fn peer(&self) -> PeerId {
        self.peers.own().peer
    }

    /// A websocket message arrived on the current connection.
    ///
    /// # Errors
    /// When the relay said something it must not say: drain [`Self::poll`], close, call [`Self::disconnected`].
    pub fn frame(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.document.observe_time(now);
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if connection.stage == Stage::Closed {
            return Ok(());
        }
        let handled = connection.session.frame(now, bytes).and_then(|message| match message {
            Some((_, message)) => self.receive(now, message),
            None => Ok(()),
        });
        self.show_myself(now);
        self.give_up_on(handled)
    }

    /// Time has passed. To be called at [`Self::deadline`]; earlier does no harm.
    ///
    /// # Errors
    /// When the relay has been silent for too long: as for [`Self::frame`].
    pub fn tick(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        let gone = self.peers.expire(now);
        self.told_of(gone);
        self.show_myself(now);
        let Some(connection) = &mut self.connection else { return Ok(()) };
        if connection.stage == Stage::Closed {
            return Ok(());
        }
        let handled = connection.session.tick(now);
        if connection.paused.is_some_and(|until| until <= now) && !fault::active(Fault::PauseForGood) {
            connection.paused = None;
            self.push();
        }
        self.give_up_on(handled)
    }

    /// When [`Self::tick`] must be called.
    pub fn deadline(&self) -> Option<Timestamp> {
        let connection = self.connection.as_ref().filter(|connection| connection.stage != Stage::Closed);
        let can_send = connection.is_some_and(|connection| connection.is_answered());
        let session = connection.map(|connection| connection.session.deadline());
        let paused = connection.and_then(|connection| connection.paused);
        earlier(earlier(self.peers.deadline(can_send), session), paused)
    }

    /// The next thing to do. To be drained after every call of another method.
    pub fn poll(&mut self, _now: Timestamp) -> Option<Output> {
        if let Some(output) = self.outputs.pop() {
            return Some(output);
        }
        if let Some(frame) = self.connection.as_mut().and_then(|connection| connection.session.poll()) {
            return Some(Output::Transmit(frame));
        }
        let status = self.status();
        (status != self.reported).then(|| {
            self.reported = status;
            Output::Status(status)
        })
    }

    /// Whether the last snapshot given by [`Self::compact`] makes a stored record superfluous.
    pub fn covers(&self, record: &Record) -> bool {
        // What is void was renamed, and whatever was summed up with it is covered by what was written then.
        let is_void = |name: VoidRow| self.void_rows.binary_search(&name).is_ok();
        let tells_of_void = |version: &VersionVector| {
            let entry =
                |(dot, tag): &VoidRow| version.get(dot.replica) == Some(VersionEntry { seq: dot.seq, tag: *tag });
            self.void_rows.iter().any(entry)
        };
        let covered = |diff: &crate::Diff| self.compacted.dominates(&diff.head) || tells_of_void(&diff.head);
        match record {
            Record::Row(Row::Delta { prev_tag, bytes }) => crate::Delta::decode(bytes, *prev_tag)
                .is_ok_and(|delta| self.compacted.covers(delta.dot()) || is_void((delta.dot(), delta.tag()))),
            // What waits may have to be renamed, and hung on the same places (FORK-3).
            Record::Positions { replica, last_seq, .. } => {
                self.compacted.covers(Dot::new(*replica, *last_seq)) && self.outbox.tag(*replica, *last_seq).is_none()
            }
            Record::Row(Row::Diff { bytes }) => codec::decode_diff(bytes).is_ok_and(|diff| covered(&diff)),
            Record::Snapshot(bytes) => codec::decode_snapshot(bytes).is_ok_and(|snapshot| covered(&snapshot.diff)),
            Record::Row(Row::Void(_) | Row::Lease { .. })
            | Record::Slot { .. }
            | Record::Outbox { .. }
            | Record::Acked { .. }
            | Record::Dropped(_)
            | Record::Cursor(_) => false,
        }
    }

    /// The state at rest, for a store whose log has grown ([`super::compaction_due`]). Write it strictly and delete, in the
    /// same step, the rows and older snapshots that it [covers](Self::covers). There is none while an own edit is not
    /// durable, or a transaction is open: the snapshot would show it to others too early (DUR-1).
    pub fn compact(&mut self) -> Option<Record> {
        if self.document.in_transaction() || self.outbox.unstored(self.stored) > 0 {
            return None;
        }
        self.compacted = self.document.version();
        Some(Record::Snapshot(self.document.snapshot().into()))
    }

    /// The connection is gone: what has come of a part is worth as much as whole ones.
    fn keep_unfinished(&mut self) {
        if let Some(connection) = &mut self.connection
            && (connection.wanted && !self.must_rebuild || connection.rebuilding)
            && let Some((MessageKind::Part, begun)) = connection.session.unfinished(CHANNEL)
            && let Ok(part) = Part::read(Reader::new(&begun))
        {
            // One that does not fit, or claims to be the end of what it does not end, is worth nothing.
            _ = self.staging.take(&part);
        }
    }

    fn present_token(&mut self) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.stage != Stage::Closed)
            && !self.token.is_empty()
        {
            connection.session.token(&self.token);
        }
    }

    fn give_up_on(&mut self, handled: Result<(), ProtocolError>) -> Result<(), ProtocolError> {
        if let (Err(error), Some(connection)) = (&handled, &mut self.connection) {
            connection.session.goodbye(error.reason(), Retry::BACKOFF);
            connection.stage = Stage::Closed;
        }
        handled
    }

    /// Ends the connection without an error of the protocol.
    fn hang_up(&mut self, reason: CloseReason, retry: Retry) {
        if let Some(connection) = &mut self.connection {
            connection.session.goodbye(reason, Retry::BACKOFF);
            connection.stage = Stage::Closed;
            while let Some(frame) = connection.session.poll() {
                self.outputs.push(Output::Transmit(frame));
            }
        }
        self.outputs.push(Output::Disconnect { retry });
    }

    /// Sends what this replica shows of itself, if that is new and it is time.
    fn show_myself(&mut self, now: Timestamp) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_answered())
            && let Some(presence) = self.peers.take_due(now)
        {
            connection.send(&Message::Presence(presence));
        }
    }

    fn told_of(&mut self, news: Vec<PeerState>) {
        if !news.is_empty() {
            self.outputs.push(Output::Presence(news));
        }
    }

    fn send(&mut self, message: &Message) {
        if let Some(connection) = &mut self.connection {
            connection.send(message);
        }
    }

    /// Everything here that is durable: what others may be told of.
    fn durable_version(&self) -> VersionVector {
        self.outbox.durable(self.document.version(), self.stored)
    }

    /// What the relay has to have before the outbox can be pushed as deltas.
    fn settled_version(&self) -> VersionVector {
        self.outbox.settled(self.document.version())
    }
}
