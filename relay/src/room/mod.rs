//! A room: one document at the relay, as a pure machine. Inputs are what members say and what the store has done; effects are what the
//! driver is to do. No clock, no I/O, no tasks: the task in `actor` drives it in production, the simulator in tests.
//!
//! The room's document runs ahead of the disk by the rows that are being appended. So everything that is told to anybody is computed
//! from the document at some position and *held* until that position is committed: acks, answers, diffs. What goes to other members is
//! read from the rows that are committed. If a commit fails, the document has shown nothing of it to anyone; the room is dropped and
//! opened again from the store.
//!
//! A member is a cursor into the log, not a queue: at most one batch is on its way to it, and the next is cut when it has been taken
//! (`feeding`). Recent rows are in memory (`recent`); older ones are read from the log; below the log's floor a diff takes over.
//!
//! Rules: FAN-1 nothing is shown before it is stored. ACK-1 an ack follows the commit. CUR-1 a cursor means something only in an epoch
//! that the log has. CUR-3 catching up ends with the hash of the version at the position reached. SES-2 an older connection never
//! replaces a newer one. BYTES-1 whatever a member says, it is answered or closed, and nobody else notices (`ingest`).
//! Not here: connections and frames (`session`), who may enter, when an idle room is let go.

#[cfg(feature = "server")]
pub(crate) mod actor;
mod chains;
mod diffs;
mod feeding;
mod forks;
mod ingest;
mod io;
mod joining;
mod kept;
mod leases;
mod member;
mod presence;
mod recent;
mod refills;
#[cfg(feature = "server")]
pub(crate) mod registry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use weftline::fault::{self, Fault};
use weftline::sync::{Ack, CloseReason, Durable, LogSaid, Message, MessageKind, Nack, OpenAck, Roster, Row, Want};
use weftline::{Delta, Document, Dot, Outcome, ReplicaId, Timestamp, VersionEntry, VersionVector, VoidFact};

pub use self::io::{Effect, Input, MemberId, Outgoing, RecoverError, RoomConfig};
pub use self::kept::{KeptError, RoomSnapshot};
use crate::store::{Epoch, Position, Recovered};
use chains::Chains;
use diffs::{Diffs, Made};
use kept::Kept;
use member::Member;
use presence::Board;
use recent::{LogRow, Recent};
use refills::Refills;

/// Something that may be told once a position is committed.
#[derive(Debug)]
enum Held {
    Opened { member: MemberId, ack: Box<OpenAck>, diff: Option<Made> },
    Diff { member: MemberId, diff: Made },
    Ack { member: MemberId, replica: ReplicaId, through: u64 },
    Durable { member: MemberId, version: VersionVector },
    Want { member: MemberId, want: Want },
    Nack { member: MemberId, nack: Nack },
    Snapshot { bytes: Bytes },
}

impl Held {
    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        let of = |version: &VersionVector| version.len() * size_of::<(ReplicaId, VersionEntry)>();
        size_of::<(Position, Self)>()
            + match self {
                Held::Opened { ack, diff, .. } => {
                    let versions = ack.version.as_ref().map_or(0, of) + of(&ack.horizon);
                    size_of::<OpenAck>() + versions + size_of_val(&*ack.facts) + diff.as_ref().map_or(0, Made::len)
                }
                Held::Diff { diff, .. } => diff.len(),
                Held::Ack { .. } => 0,
                Held::Durable { version, .. } => of(version),
                Held::Want { want, .. } => {
                    let runs = want.live.as_ref().map_or(0, weftline::DotRuns::run_count);
                    of(&want.version) + runs * size_of::<(Dot, u64)>()
                }
                Held::Nack { nack, .. } => nack.version.as_ref().map_or(0, of),
                Held::Snapshot { bytes } => bytes.len(),
            }
    }
}

/// One document at the relay. See the [module](self).
#[derive(Debug)]
pub struct Room {
    config: RoomConfig,
    document: Document,
    epochs: Vec<Epoch>,
    /// Rows up to here are stored only as part of the snapshot.
    floor: Position,
    /// Rows up to here are on stable storage.
    committed: Position,
    /// Rows up to here are part of the document.
    head: Position,
    /// What the committed rows add up to.
    version: VersionVector,
    chains: Chains,
    /// Deltas of the message that is looked at, of which nothing told so far whether they are the log's.
    untold: Vec<Delta>,
    kept: Kept,
    recent: Recent,
    /// Numbers for the replicas of the log up to the head, and how many of them are of committed rows.
    roster: Roster,
    /// What its rows said of their writers, for those that come next.
    log_said: LogSaid,
    named: usize,
    /// Rows that are not committed.
    appending: VecDeque<LogRow>,
    /// The last position of the append in flight.
    in_flight: Option<Position>,
    held: VecDeque<(Position, Held)>,
    members: BTreeMap<MemberId, Member>,
    /// What members show of themselves.
    board: Board,
    /// What members have to give back.
    refills: Refills,
    /// Long diffs, for those who come back.
    diffs: Diffs,
    now: Timestamp,
    /// Bytes of committed rows above the floor.
    tail_bytes: usize,
    snapshot_bytes: usize,
    /// The snapshot that is being made.
    snapshot: Option<PendingSnapshot>,
    /// No snapshot before the tail is this long: the last one failed.
    no_snapshot_below: usize,
    failed: bool,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
struct PendingSnapshot {
    upto: Position,
    bytes: usize,
    /// How many bytes of rows came after it.
    tail_bytes: usize,
}

impl Room {
    /// Opens the document that a store holds. Costs O(stored).
    ///
    /// # Errors
    /// When what is stored is not a document.
    pub fn recover(config: RoomConfig, recovered: Recovered, now: Timestamp) -> Result<Self, RecoverError> {
        let Recovered { snapshot, rows, head, epochs } = recovered;
        let floor = snapshot.as_ref().map_or(0, |snapshot| snapshot.upto);
        let snapshot_bytes = snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len());
        let mut kept = Kept::default();
        let mut document = match snapshot {
            Some(snapshot) => {
                let snapshot = RoomSnapshot::decode(&snapshot.bytes)?;
                snapshot.kept.iter().for_each(|row| kept.fold(row, 0));
                Document::load(&snapshot.document)?
            }
            None => Document::new(),
        };
        document.observe_time(now);
        // Nobody looks at a relay's document.
        document.tell_changes(false);
        let mut room = Self {
            config,
            version: document.version(),
            document,
            epochs,
            floor,
            committed: floor,
            head: floor,
            chains: Chains::default(),
            untold: Vec::new(),
            kept,
            recent: Recent::new(floor, config.recent_bytes),
            roster: Roster::default(),
            log_said: LogSaid::default(),
            named: 0,
            appending: VecDeque::new(),
            in_flight: None,
            held: VecDeque::new(),
            members: BTreeMap::new(),
            board: Board::new(),
            refills: Refills::default(),
            diffs: Diffs::default(),
            now,
            tail_bytes: 0,
            snapshot_bytes,
            snapshot: None,
            no_snapshot_below: 0,
            failed: false,
            effects: VecDeque::new(),
        };
        for (position, bytes) in rows {
            room.replay(position, bytes)?;
        }
        debug_assert_eq!(room.committed, head, "the store gave every row up to its head");
        room.committed = head;
        room.head = head;
        room.roster = Roster::new(now, &room.version);
        room.named = room.roster.len();
        Ok(room)
    }

    /// Something happened. Drain [`Self::poll`] afterwards.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        if self.failed {
            return;
        }
        self.document.observe_time(now);
        self.now = now;
        self.diffs.expire(now);
        match input {
            Input::Join { member, open, may_write } => self.join(member, &open, may_write),
            Input::Leave { member } => _ = self.forget(member),
            Input::Tick => {}
            Input::Message { member, message } => self.message(member, message),
            Input::Committed { upto } => self.commit(upto),
            Input::CommitFailed => self.fail(),
            Input::Drained { member } => self.drained(member),
            Input::LogRead { member, tail } => self.log_read(member, tail),
            Input::LogReadFailed { member } => self.close(member, CloseReason::Storage),
            Input::SnapshotStored { upto } => self.snapshot_stored(upto),
            Input::SnapshotFailed => {
                self.snapshot = None;
                self.no_snapshot_below = self.tail_bytes.saturating_mul(2);
            }
        }
        self.refill(now);
        self.append();
        self.release();
        self.tell_presence(now);
        self.feed();
    }

    /// When [`Input::Tick`] is due, if nothing else happens before.
    pub fn deadline(&self) -> Option<Timestamp> {
        [self.board.deadline(), self.diffs.deadline(), self.refills.deadline()].into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether nobody is here and nothing is on its way: the room may be let go, and costs nothing until it is opened again.
    pub fn is_idle(&self) -> bool {
        self.failed
            || (self.members.is_empty()
                && self.appending.is_empty()
                && self.snapshot.is_none()
                && self.effects.is_empty())
    }

    /// Whether an append failed: the room must be dropped, and opened again from the store.
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// How many bytes wait for a commit, of rows and of answers. A driver stops taking messages from members while these are too many:
    /// what is refused costs its sender little, and the answer may say the whole version.
    pub fn waiting_bytes(&self) -> usize {
        let rows: usize = self.appending.iter().map(|row| row.bytes.len()).sum();
        rows + self.held.iter().map(|(_, held)| held.bytes()).sum::<usize>()
    }

    /// The document, ahead of the disk by what is being appended.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The last position that is on stable storage.
    pub fn committed(&self) -> Position {
        self.committed
    }

    /// The branches that are known not to count (FORK-2).
    pub fn voids(&self) -> impl Iterator<Item = VoidFact> {
        self.kept.voids.keys().copied()
    }

    /// The numbers that rows of a session say replicas by.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The version at that position.
    pub fn committed_version(&self) -> &VersionVector {
        &self.version
    }

    fn replay(&mut self, position: Position, bytes: Bytes) -> Result<(), RecoverError> {
        let row = Row::decode(&bytes).map_err(|error| RecoverError::Row { position, error })?;
        let decode = |error| RecoverError::Decode { position, error };
        let (moves, applied) = match &row {
            Row::Delta { prev_tag, bytes } => {
                let delta = Delta::decode(bytes, *prev_tag).map_err(decode)?;
                let last = delta.dot();
                self.chains.insert(&delta, position);
                let moves = [(last.replica, VersionEntry { seq: last.seq, tag: delta.tag() })].into_iter().collect();
                (moves, Some(self.document.apply(&delta)))
            }
            Row::Diff { bytes } => {
                let diff = weftline::codec::decode_diff(bytes).map_err(decode)?;
                let applied = self.document.apply_diff(&diff);
                (diff.head, Some(applied))
            }
            Row::Void(_) | Row::Lease { .. } => (VersionVector::new(), None),
        };
        let applied = applied.transpose().map_err(|error| RecoverError::Apply { position, error })?;
        if applied.is_some_and(|applied| applied.outcome == Outcome::Parked) {
            return Err(RecoverError::NotReady { position });
        }
        self.kept.fold(&row, position);
        self.committed = position;
        self.head = position;
        let is_private = Row::is_private(&bytes);
        self.store_row(LogRow { position, bytes, moves, pusher: None, before: None, is_private, named: 0 });
        Ok(())
    }

    /// A row is on stable storage.
    fn store_row(&mut self, row: LogRow) {
        self.tail_bytes += row.bytes.len();
        if let Some(snapshot) = &mut self.snapshot
            && row.position > snapshot.upto
        {
            snapshot.tail_bytes += row.bytes.len();
        }
        self.version.join(&row.moves);
        self.named = row.named;
        self.recent.push(row);
    }

    fn append(&mut self) {
        let (None, Some(first), Some(last)) = (self.in_flight, self.appending.front(), self.appending.back()) else {
            return;
        };
        self.in_flight = Some(last.position);
        let rows = self.appending.iter().map(|row| row.bytes.clone()).collect();
        self.effects.push_back(Effect::Append { first_position: first.position, rows });
    }

    fn commit(&mut self, upto: Position) {
        if self.in_flight != Some(upto) {
            return;
        }
        self.in_flight = None;
        while self.appending.front().is_some_and(|row| row.position <= upto) {
            let row = self.appending.pop_front().expect("the front was just looked at");
            self.store_row(row);
        }
        self.committed = upto;
        self.consider_snapshot();
    }

    fn fail(&mut self) {
        self.failed = true;
        for member in std::mem::take(&mut self.members).into_keys() {
            self.effects.push_back(Effect::Close { member, reason: CloseReason::Storage });
        }
    }

    fn consider_snapshot(&mut self) {
        let least = self.config.compact_from.max(self.snapshot_bytes).max(self.no_snapshot_below);
        if self.tail_bytes <= least || self.snapshot.is_some() {
            return;
        }
        // The document is ahead of the disk; so is its snapshot, until what it covers is committed.
        let bytes = RoomSnapshot::new(&self.kept, self.document.snapshot()).encode();
        self.snapshot = Some(PendingSnapshot { upto: self.head, bytes: bytes.len(), tail_bytes: 0 });
        self.hold(Held::Snapshot { bytes });
    }

    fn snapshot_stored(&mut self, upto: Position) {
        let Some(snapshot) = self.snapshot.take_if(|snapshot| snapshot.upto == upto) else { return };
        self.floor = upto;
        self.tail_bytes = snapshot.tail_bytes;
        self.snapshot_bytes = snapshot.bytes;
        self.no_snapshot_below = 0;
        self.chains.forget(upto);
    }

    /// Tells something as soon as all that is part of the document now is committed.
    fn hold(&mut self, what: Held) {
        let early = fault::active(Fault::AckBeforeCommit) && matches!(what, Held::Ack { .. });
        self.held.push_back((if early { self.committed } else { self.head }, what));
    }

    /// Tells what was held for the rows that are committed now.
    fn release(&mut self) {
        while self.held.front().is_some_and(|(position, _)| *position <= self.committed) {
            let (position, held) = self.held.pop_front().expect("the front was just looked at");
            self.tell(position, held);
        }
    }

    fn tell(&mut self, position: Position, held: Held) {
        let level = self.config.level;
        match held {
            Held::Opened { member, ack, diff } => self.tell_opened(member, *ack, diff),
            Held::Diff { member, diff } => self.tell_diff(member, diff),
            Held::Ack { member, replica, through } => {
                let Some(told) = self.told(member) else { return };
                self.tell_new_ids(member);
                self.send(member, &Message::Ack(Ack { replica, through, level, position: told }));
            }
            Held::Durable { member, version } => {
                let Some(told) = self.told(member) else { return };
                // What it gave back may have hidden a difference in the other direction: compare once more (CUR-3).
                self.members.entry(member).and_modify(|member| {
                    member.caught_up = false;
                    member.chains_from = member.chains_from.max(position);
                });
                self.send(member, &Message::Durable(Durable { version, level, position: told }));
            }
            Held::Want { member, want } => self.send_if_here(member, &Message::Want(want)),
            Held::Nack { member, nack } => self.send_if_here(member, &Message::Nack(nack)),
            Held::Snapshot { bytes } => self.effects.push_back(Effect::Snapshot { upto: position, bytes }),
        }
    }

    fn send_if_here(&mut self, member: MemberId, message: &Message) {
        if self.members.contains_key(&member) {
            self.send(member, message);
        }
    }

    fn send(&mut self, member: MemberId, message: &Message) {
        let message = Outgoing { kind: message.kind(), body: message.encode_body().into(), bulk: false };
        self.effects.push_back(Effect::Send { member, message });
    }

    fn send_bulk(&mut self, member: MemberId, kind: MessageKind, body: Bytes) {
        self.effects.push_back(Effect::Send { member, message: Outgoing { kind, body, bulk: true } });
    }

    /// Says whether it was here.
    fn forget(&mut self, id: MemberId) -> bool {
        let Some(member) = self.members.remove(&id) else { return false };
        self.shows_no_more(id, member.opening);
        self.refills.forget(id);
        true
    }

    fn close(&mut self, member: MemberId, reason: CloseReason) {
        if self.forget(member) {
            self.effects.push_back(Effect::Close { member, reason });
        }
    }
}
