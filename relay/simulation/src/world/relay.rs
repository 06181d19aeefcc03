//! The relay in the simulation: one process with a room for each document, and what a driver does for them.

use std::collections::BTreeMap;

use weftline::Timestamp;
use weftline::sync::{Close, Message};
use weftline_relay::room::{Effect, Input, MemberId, Outgoing, Room, RoomConfig, RoomSnapshot};

use super::newer::Newer;
use super::{Checked, Event, World, brief, is_by_digest, without_log};
use crate::clock::Clock;
use crate::oracle;
use crate::peer::document;
use crate::relay_disk::{Operation, RelayDisk};
use crate::rng::Rng;

/// The relay's process, and what it leaves behind.
#[derive(Debug)]
pub(super) struct Relay {
    up: bool,
    /// Drawn at each start of the process.
    epoch: u64,
    pub(super) rooms: Vec<RoomState>,
    pub(super) rng: Rng,
    clock: Clock,
    pub(super) off_ms: i64,
    pub(super) full_until: u64,
    pub(super) slow_until: u64,
}

/// A room, its store, and who is in it.
#[derive(Debug)]
pub(super) struct RoomState {
    pub(super) room: Option<Room>,
    pub(super) disk: RelayDisk,
    /// Counts the rooms that there have been on this store.
    start: u64,
    store_at: u64,
    next_member: u64,
    /// The connection of each.
    members: BTreeMap<MemberId, u64>,
    pub(super) newer: Newer,
}

impl Relay {
    pub(super) fn new(seed: u64, rooms: usize) -> Self {
        let state = |room| RoomState {
            room: None,
            disk: RelayDisk::default(),
            start: 0,
            store_at: 0,
            next_member: 0,
            members: BTreeMap::new(),
            newer: Newer::new(seed, room),
        };
        Self {
            up: false,
            epoch: 0,
            rooms: (0..rooms).map(state).collect(),
            rng: Rng::of(seed, 4, 0),
            clock: Clock::default(),
            off_ms: 0,
            full_until: 0,
            slow_until: 0,
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn time(&mut self, now: u64) -> Timestamp {
        self.clock.read(now, self.off_ms)
    }

    pub(super) fn when(&self, deadline: Timestamp) -> u64 {
        self.clock.when(deadline)
    }

    /// The room of a document.
    pub(super) fn room_of(&self, name: &str) -> Option<usize> {
        (0..self.rooms.len()).find(|room| document(*room) == name)
    }

    pub(super) fn new_member(&mut self, room: usize, connection: u64) -> MemberId {
        let room = &mut self.rooms[room];
        room.next_member += 1;
        let member = MemberId(room.next_member);
        room.members.insert(member, connection);
        member
    }

    pub(super) fn forget_member(&mut self, room: usize, member: MemberId) {
        self.rooms[room].members.remove(&member);
    }

    /// What is called for later is done later.
    fn next_time(&mut self, room: usize, now: u64, longest: u64) -> u64 {
        let longest = if now < self.slow_until { longest * 60 } else { longest };
        let at = now + self.rng.between(1, longest);
        let room = &mut self.rooms[room];
        room.store_at = room.store_at.max(at);
        room.store_at
    }
}

impl World<'_> {
    pub(super) fn start_relay(&mut self) -> Checked {
        if !self.relay.up {
            self.relay.up = true;
            self.relay.epoch = self.relay.rng.bits();
            self.note(|| "the relay starts".to_owned());
        }
        Ok(())
    }

    /// Opens a room from its store, unless it is open.
    pub(super) fn open_room(&mut self, room: usize) -> Checked {
        let now = self.relay.time(self.now);
        let state = &mut self.relay.rooms[room];
        if state.room.is_some() {
            return Ok(());
        }
        state.start += 1;
        state.store_at = self.now;
        self.report.relay_starts += 1;
        let recovered = state.disk.open(self.relay.epoch, &mut self.relay.rng);
        // Small limits, so that batches are cut, the log is read, and snapshots are taken in short histories too.
        let config = RoomConfig { recent_bytes: 2_000, max_batch: 700, compact_from: 3_000, ..RoomConfig::default() };
        let opened = Room::recover(config, recovered, now);
        let opened = opened.map_err(|error| format!("a room cannot be opened: {room}: {error}"))?;
        let position = opened.committed();
        state.room = Some(opened);
        self.note(|| format!("room {room} opens at {position}"));
        Ok(())
    }

    pub(super) fn room_handle(&mut self, room: usize, input: Input) -> Checked {
        let now = self.relay.time(self.now);
        let Some(machine) = &mut self.relay.rooms[room].room else { return Ok(()) };
        machine.handle(now, input);
        while let Some(effect) = self.relay.rooms[room].room.as_mut().and_then(Room::poll) {
            self.act(room, effect)?;
        }
        if self.relay.rooms[room].room.as_ref().is_some_and(Room::is_failed) {
            self.note(|| format!("room {room} is dropped"));
            self.relay.rooms[room].room = None;
            self.open_room(room)?;
        }
        Ok(())
    }

    fn act(&mut self, room: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Append { first_position, rows } => {
                self.begin_relay_write(room, Operation::Append(first_position, rows));
            }
            Effect::Snapshot { upto, bytes } => {
                // Histories are too short for the log of removals to be cut by its length.
                let bytes = if upto % 2 == 0 {
                    let mut snapshot = RoomSnapshot::decode(&bytes).map_err(|error| error.to_string())?;
                    snapshot.document = without_log(&snapshot.document).into();
                    snapshot.encode()
                } else {
                    bytes
                };
                self.begin_relay_write(room, Operation::Snapshot(upto, bytes));
            }
            Effect::ReadLog { member, after, max_bytes } => {
                self.report.log_reads += 1;
                let at = self.relay.next_time(room, self.now, 20);
                let start = self.relay.rooms[room].start;
                self.at(at, Event::RelayRead { room, start, member, after, max_bytes });
            }
            Effect::Send { member, message } => return self.relay_sends(room, member, &message),
            Effect::Close { member, .. } if self.relay.rooms[room].newer.is(member) => {
                self.relay.forget_member(room, member);
                self.relay.rooms[room].newer.left();
            }
            Effect::Close { member, close: Close { reason, .. } } => {
                let Some(id) = self.relay.rooms[room].members.remove(&member) else { return Ok(()) };
                self.note(|| format!("room {room} closes {member:?} of connection {id}: {reason:?}"));
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.member = None;
                }
                self.check_goodbye(id, reason)?;
                self.relay_hangs_up(id, reason);
            }
        }
        Ok(())
    }

    fn begin_relay_write(&mut self, room: usize, operation: Operation) {
        let at = self.relay.next_time(room, self.now, 60);
        let state = &mut self.relay.rooms[room];
        state.disk.begin(operation);
        let start = state.start;
        self.at(at, Event::RelayStored { room, start });
    }

    pub(super) fn relay_stored(&mut self, room: usize, start: u64) -> Checked {
        let state = &self.relay.rooms[room];
        if start != state.start || state.room.is_none() {
            return Ok(());
        }
        if self.now < self.relay.full_until {
            return self.fail_commit(room);
        }
        match self.relay.rooms[room].disk.complete() {
            Some(Operation::Append(first, rows)) => {
                self.room_handle(room, Input::Committed { upto: first + rows.len() as u64 - 1 })
            }
            Some(Operation::Snapshot(upto, _)) => self.room_handle(room, Input::SnapshotStored { upto }),
            None => Ok(()),
        }
    }

    /// The oldest write of a room fails.
    pub(super) fn fail_commit(&mut self, room: usize) -> Checked {
        let state = &mut self.relay.rooms[room];
        if state.room.is_none() {
            return Ok(());
        }
        match state.disk.fail() {
            Some(Operation::Append(..)) => self.room_handle(room, Input::CommitFailed),
            Some(Operation::Snapshot(..)) => self.room_handle(room, Input::SnapshotFailed),
            None => Ok(()),
        }
    }

    pub(super) fn relay_read(
        &mut self,
        room: usize,
        start: u64,
        member: MemberId,
        after: u64,
        max_bytes: usize,
    ) -> Checked {
        let state = &self.relay.rooms[room];
        if start != state.start {
            return Ok(());
        }
        let tail = state.disk.read(after, max_bytes);
        self.room_handle(room, Input::LogRead { member, tail })
    }

    fn relay_sends(&mut self, room: usize, member: MemberId, outgoing: &Outgoing) -> Checked {
        let mut message =
            Message::decode(outgoing.kind, &outgoing.body).map_err(|error| format!("the room sends {error}"))?;
        let state = &mut self.relay.rooms[room];
        let id = state.members.get(&member).copied();
        let connection = id.and_then(|id| self.connections.get_mut(&id));
        if let Some(connection) = connection {
            match (&message, &state.room) {
                // As the client will have it once it has read this.
                (Message::OpenAck(_), Some(room)) => connection.roster = room.roster().clone(),
                (Message::Packed(rows), _) => rows.new_ids.iter().for_each(|id| connection.roster.add(*id)),
                _ => {}
            }
            let (roster, heard) = (&connection.roster, &mut connection.heard);
            message = oracle::unpacked(message, roster, heard, &mut self.payloads)?;
        }
        oracle::may_be_shown(&message, &state.disk.version, &mut self.payloads)?;
        if state.newer.is(member) {
            return state.newer.told(&message);
        }
        self.report.diffs_down += u64::from(matches!(message, Message::Diff(_)));
        self.report.digests_down += u64::from(is_by_digest(&message));
        self.report.asks += u64::from(matches!(message, Message::Ask));
        let Some(id) = id else { return Ok(()) };
        self.note(|| format!("connection {id} <- {}", brief(&message)));
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some((channel, _)) = connection.member else { return Ok(()) };
        connection.session.send_body(channel, outgoing.kind, &outgoing.body);
        self.flush(id, outgoing.bulk.then_some(member));
        Ok(())
    }

    /// Lets go of the rooms that nobody is in.
    pub(super) fn evict(&mut self) {
        for state in &mut self.relay.rooms {
            state.room.take_if(|room| room.is_idle());
        }
    }

    pub(super) fn crash_relay(&mut self, for_ms: u64) {
        if !self.relay.up {
            return;
        }
        self.relay.up = false;
        self.relay.clock = Clock::default();
        for state in &mut self.relay.rooms {
            state.room = None;
            state.start += 1;
            state.members.clear();
            state.newer.left();
        }
        self.note(|| "the relay dies".to_owned());
        let open: Vec<u64> = self.connections.iter().filter(|(_, c)| c.relay_open).map(|(id, _)| *id).collect();
        for id in open {
            let connection = self.connections.get_mut(&id).expect("the connection was just listed");
            connection.relay_open = false;
            connection.member = None;
            // A machine that loses its network takes the news with it.
            if connection.rng.chance(80) {
                let delay = connection.rng.between(1, 1_000);
                self.after(delay, Event::DownEnded { connection: id });
            }
        }
        self.after(for_ms, Event::RelayStart);
    }
}
