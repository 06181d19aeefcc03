//! A room: one document at the relay, as a pure machine. Inputs are what members say and what the store has done; effects are what the
//! driver is to do. No clock, no I/O, no tasks: the task in `actor` drives it in production, the simulator in tests.
//!
//! The room's document runs ahead of the disk by the rows that are being appended. So everything that is told to anybody is computed
//! from the document at some position and *held* until that position is committed: acks, answers, diffs. What goes to other members is
//! read from the rows that are committed. If a commit fails, the document has shown nothing of it to anyone; the room is dropped and
//! opened again from the store.
//!
//! A member is a cursor into the log, not a queue: batches are cut for it while what is on its way to it is within a window, and the next
//! when it has taken them (`feeding`). While nothing can be stored, what is pushed is refused for a time, nothing is appended, and all the
//! rest goes on. Recent rows are in memory (`recent`); older ones are read from the log; below the log's floor a diff takes over.
//!
//! Rules: FAN-1 nothing is shown before it is stored. ACK-1 an ack follows the commit. CUR-1 a cursor means something only in an epoch
//! that the log has. CUR-3 catching up ends with the hash of the version at the position reached. SES-2 an older connection never
//! replaces a newer one. BYTES-1 whatever a member says, it is answered or closed, and nobody else notices (`ingest`).
//! Not here: connections and frames (`session`), who may enter, when an idle room is let go.

#[cfg(feature = "server")]
pub(crate) mod actor;
mod chains;
mod counts;
mod diffs;
mod feeding;
mod forks;
#[cfg(feature = "server")]
pub(crate) mod health;
#[cfg(feature = "server")]
pub(crate) mod inbox;
mod ingest;
mod io;
mod joining;
mod kept;
mod leases;
mod member;
mod newcomers;
mod notes;
mod presence;
mod recent;
mod refills;
#[cfg(feature = "server")]
pub(crate) mod registry;
mod report;
mod rights;
mod size;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use weftline::fault::{self, Fault};
use weftline::sync::{
    Ack, CloseReason, Durable, LogSaid, Message, MessageKind, Nack, NackReason, OpenAck, Roster, Row, Want,
};
use weftline::{Delta, Document, Dot, Outcome, ReplicaId, Timestamp, VersionEntry, VersionVector, VoidFact};

pub use self::counts::Counts;
pub(crate) use self::io::close_for;
pub use self::io::{Effect, Input, MemberId, Outgoing, RecoverError, RoomConfig};
pub use self::kept::{KeptError, RoomSnapshot};
pub use self::newcomers::Newcomers;
pub use self::notes::{Note, Step};
pub use self::report::{MemberReport, RoomReport};
pub use self::rights::Rights;
use crate::store::{Epoch, Position, Recovered};
use chains::Chains;
use counts::Resync;
use diffs::{Diffs, Made};
use kept::Kept;
use member::Member;
use presence::Board;
use recent::{LogRow, Recent};
use refills::Refills;
use size::Size;

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
    /// Whom it is told.
    fn member(&self) -> Option<MemberId> {
        match self {
            Held::Opened { member, .. }
            | Held::Diff { member, .. }
            | Held::Ack { member, .. }
            | Held::Durable { member, .. }
            | Held::Want { member, .. }
            | Held::Nack { member, .. } => Some(*member),
            Held::Snapshot { .. } => None,
        }
    }

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
    /// Where the last append of those that wait begins, and how many bytes it has so far.
    piece: (Position, usize),
    held: VecDeque<(Position, Held)>,
    members: BTreeMap<MemberId, Member>,
    /// How many ids each subject has brought whose number of them is limited.
    introduced: BTreeMap<Arc<str>, usize>,
    /// How many each has brought of late.
    newcomers: Newcomers,
    /// What members show of themselves.
    board: Board,
    /// Those who may be given something, though it is nothing that is new to all.
    touched: Vec<MemberId>,
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
    size: Size,
    failed: bool,
    /// Why nothing can be stored at present.
    trouble: Option<NackReason>,
    effects: VecDeque<Effect>,
    counts: Counts,
    /// What became of edits, if somebody follows them.
    notes: Option<Vec<Note>>,
    /// Nothing is taken from anybody.
    is_read_only: bool,
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
            piece: (1, 0),
            held: VecDeque::new(),
            members: BTreeMap::new(),
            introduced: BTreeMap::new(),
            newcomers: Newcomers::default(),
            board: Board::new(),
            touched: Vec::new(),
            refills: Refills::default(),
            diffs: Diffs::default(),
            now,
            tail_bytes: 0,
            snapshot_bytes,
            snapshot: None,
            no_snapshot_below: 0,
            size: Size::default(),
            failed: false,
            trouble: None,
            effects: VecDeque::new(),
            counts: Counts::default(),
            notes: None,
            is_read_only: false,
        };
        room.size.snapshot(snapshot_bytes);
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
        let (committed, shown) = (self.committed, self.board.told());
        match input {
            Input::Join { member, open, rights } => self.join(member, &open, rights),
            Input::Rights { member, rights } => self.set_rights(member, rights),
            Input::Leave { member } => _ = self.forget(member),
            Input::Tick => {}
            Input::Message { member, message } => {
                self.touched.push(member);
                self.message(member, message);
            }
            Input::Committed { upto } => self.commit(upto),
            Input::CommitFailed => self.fail(),
            Input::Store { trouble } => self.trouble = trouble,
            Input::Drained { member, bytes } => self.drained(member, bytes),
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
        if (committed, shown) == (self.committed, self.board.told()) {
            self.feed_touched();
        } else {
            self.feed_all();
        }
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

    /// What was done since this was last called.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// What its acks claim.
    pub fn level(&self) -> weftline::sync::Level {
        self.config.level
    }

    /// How many members have not taken the last batch while newer rows wait for them.
    pub fn members_behind(&self) -> usize {
        self.members.values().filter(|member| member.feeding && member.cursor < self.committed).count()
    }

    /// Who has brought how many new ids of late, as the room before this one knew it.
    pub fn remember(&mut self, newcomers: Newcomers) {
        self.newcomers = newcomers;
    }

    /// The same as it is now, for the room after this one.
    pub fn newcomers(&self) -> &Newcomers {
        &self.newcomers
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
        self.size.wrote(bytes.len());
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
        let (None, Some(first)) = (self.in_flight, self.appending.front()) else { return };
        let first_position = first.position;
        let (mut bytes, mut rows) = (0, Vec::new());
        for row in &self.appending {
            bytes += row.bytes.len();
            if !rows.is_empty() && bytes > self.config.max_append {
                break;
            }
            rows.push(row.bytes.clone());
        }
        self.in_flight = Some(first_position + rows.len() as u64 - 1);
        self.effects.push_back(Effect::Append { first_position, rows });
    }

    fn commit(&mut self, upto: Position) {
        if self.in_flight != Some(upto) {
            return;
        }
        self.in_flight = None;
        while self.appending.front().is_some_and(|row| row.position <= upto) {
            let row = self.appending.pop_front().expect("the front was just looked at");
            self.note_stored(&row);
            self.store_row(row);
        }
        self.committed = upto;
        self.consider_snapshot();
    }

    fn fail(&mut self) {
        self.failed = true;
        let reason = match self.trouble {
            Some(NackReason::StorageFull) => CloseReason::StorageFull,
            _ => CloseReason::Storage,
        };
        for member in std::mem::take(&mut self.members).into_keys() {
            self.effects.push_back(Effect::Close { member, close: close_for(reason) });
        }
    }

    fn consider_snapshot(&mut self) {
        let least = self.config.compact_from.max(self.snapshot_bytes).max(self.no_snapshot_below);
        if self.tail_bytes <= least || self.snapshot.is_some() {
            return;
        }
        // The document is ahead of the disk; so is its snapshot, until what it covers is committed.
        let bytes = RoomSnapshot::new(&self.kept, self.document.snapshot()).encode();
        self.size.snapshot(bytes.len());
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
        self.touched.extend(held.member());
        match held {
            Held::Opened { member, ack, diff } => self.tell_opened(member, *ack, diff),
            Held::Diff { member, diff } => self.tell_diff(member, diff),
            Held::Ack { member, replica, through } => {
                let Some(told) = self.told(member) else { return };
                self.tell_new_ids(member);
                self.counts.acks += 1;
                self.note(Step::Acked, replica, through, Some(member));
                self.send(member, &Message::Ack(Ack { replica, through, level, position: told }));
            }
            Held::Durable { member, version } => {
                let Some(told) = self.told(member) else { return };
                self.counts.refills += 1;
                // What it gave back may have hidden a difference in the other direction: compare once more (CUR-3).
                self.members.entry(member).and_modify(|member| {
                    member.caught_up = false;
                    member.chains_from = member.chains_from.max(position);
                });
                self.send(member, &Message::Durable(Durable { version, level, position: told }));
            }
            Held::Want { member, want } => self.send_if_here(member, &Message::Want(want)),
            Held::Nack { member, nack } => {
                self.counts.nacks[nack.reason as usize] += 1;
                self.send_if_here(member, &Message::Nack(nack));
            }
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

    fn send_bulk(&mut self, id: MemberId, kind: MessageKind, body: Bytes) {
        self.with(id, |room, member| room.send_to(id, member, kind, body));
    }

    /// The same for a member that is at hand.
    fn send_to(&mut self, id: MemberId, member: &mut Member, kind: MessageKind, body: Bytes) {
        let message = Outgoing { kind, body, bulk: true };
        member.on_the_way += message.weight();
        self.effects.push_back(Effect::Send { member: id, message });
    }

    /// Does something with a member and the rest of the room, which has no members meanwhile.
    fn with<T>(&mut self, id: MemberId, act: impl FnOnce(&mut Self, &mut Member) -> T) -> Option<T> {
        let mut members = std::mem::take(&mut self.members);
        let done = members.get_mut(&id).map(|member| act(self, member));
        self.members = members;
        done
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
            self.effects.push_back(Effect::Close { member, close: close_for(reason) });
        }
    }
}
