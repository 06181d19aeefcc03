//! The relay in the simulation: what a driver does for a room and its sessions.

use weftline::sync::{CloseReason, Message};
use weftline_relay::room::{Effect, Input, MemberId, Outgoing, Room, RoomConfig, RoomSnapshot};

use super::{Checked, Event, World, brief, is_by_digest, without_log};
use crate::network::Frame;
use crate::oracle;
use crate::relay_disk::Operation;

impl World {
    pub(super) fn start_relay(&mut self) -> Checked {
        if self.room.is_some() {
            return Ok(());
        }
        let epoch = self.rng.bits();
        self.open_room(Some(epoch))
    }

    pub(super) fn open_room(&mut self, epoch: Option<u64>) -> Checked {
        self.relay_start += 1;
        self.report.relay_starts += 1;
        self.relay_store_at = self.now;
        let recovered = self.relay_disk.open(epoch, &mut self.rng);
        // Small limits, so that batches are cut, the log is read, and snapshots are taken in short histories too.
        let config = RoomConfig { recent_bytes: 2_000, max_batch: 700, compact_from: 3_000, ..RoomConfig::default() };
        let room = Room::recover(config, recovered, self.time())
            .map_err(|error| format!("the relay cannot start: {error}"))?;
        self.note(|| format!("the relay starts at {}", room.committed()));
        self.room = Some(room);
        Ok(())
    }

    pub(super) fn room_handle(&mut self, input: Input) -> Checked {
        let now = self.time();
        let Some(room) = &mut self.room else { return Ok(()) };
        room.handle(now, input);
        while let Some(effect) = self.room.as_mut().and_then(Room::poll) {
            self.act(effect)?;
        }
        if self.room.as_ref().is_some_and(Room::is_failed) {
            self.note(|| "the room is dropped".to_owned());
            self.room = None;
            self.open_room(None)?;
        }
        Ok(())
    }

    pub(super) fn act(&mut self, effect: Effect) -> Checked {
        match effect {
            Effect::Append { first_position, rows } => self.begin_relay_write(Operation::Append(first_position, rows)),
            Effect::Snapshot { upto, bytes } => {
                // Histories are too short for the log of removals to be cut by its length.
                let bytes = if upto % 2 == 0 {
                    let mut snapshot = RoomSnapshot::decode(&bytes).map_err(|error| error.to_string())?;
                    snapshot.document = without_log(&snapshot.document).into();
                    snapshot.encode()
                } else {
                    bytes
                };
                self.begin_relay_write(Operation::Snapshot(upto, bytes));
            }
            Effect::ReadLog { member, after, max_bytes } => {
                self.report.log_reads += 1;
                let at = self.next_relay_time(20);
                let start = self.relay_start;
                self.at(at, Event::RelayRead { start, member, after, max_bytes });
            }
            Effect::Send { member, message } => return self.relay_sends(member, &message),
            Effect::Close { member, reason } => {
                let Some(id) = self.members.remove(&member) else { return Ok(()) };
                self.note(|| format!("the room closes {member:?} of connection {id}: {reason:?}"));
                self.relay_hangs_up(id, reason);
            }
        }
        Ok(())
    }

    pub(super) fn begin_relay_write(&mut self, operation: Operation) {
        self.relay_disk.begin(operation);
        let at = self.next_relay_time(60);
        let start = self.relay_start;
        self.at(at, Event::RelayStored { start });
    }

    /// What is called for later is done later.
    pub(super) fn next_relay_time(&mut self, longest: u64) -> u64 {
        self.relay_store_at = self.relay_store_at.max(self.now + self.rng.between(1, longest));
        self.relay_store_at
    }

    pub(super) fn relay_stored(&mut self, start: u64) -> Checked {
        if start != self.relay_start || self.room.is_none() {
            return Ok(());
        }
        if self.faulty && self.rng.chance(self.plan.faults.relay_store_failure) && self.rng.chance(20) {
            return match self.relay_disk.fail() {
                Some(Operation::Append(..)) => self.room_handle(Input::CommitFailed),
                Some(Operation::Snapshot(..)) => self.room_handle(Input::SnapshotFailed),
                None => Ok(()),
            };
        }
        match self.relay_disk.complete() {
            Some(Operation::Append(first, rows)) => {
                self.room_handle(Input::Committed { upto: first + rows.len() as u64 - 1 })
            }
            Some(Operation::Snapshot(upto, _)) => self.room_handle(Input::SnapshotStored { upto }),
            None => Ok(()),
        }
    }

    pub(super) fn relay_sends(&mut self, member: MemberId, outgoing: &Outgoing) -> Checked {
        let mut message =
            Message::decode(outgoing.kind, &outgoing.body).map_err(|error| format!("the room sends {error}"))?;
        let connection = self.members.get(&member).and_then(|id| self.connections.get_mut(id));
        if let Some(connection) = connection {
            match (&message, &self.room) {
                // As the client will have it once it has read this.
                (Message::OpenAck(_), Some(room)) => connection.roster = room.roster().clone(),
                (Message::Packed(rows), _) => rows.new_ids.iter().for_each(|id| connection.roster.add(*id)),
                _ => {}
            }
            message = oracle::unpacked(message, &connection.roster, &mut connection.heard, &mut self.payloads)?;
        }
        oracle::may_be_shown(&message, &self.relay_disk.version, &mut self.payloads)?;
        self.report.diffs_down += u64::from(matches!(message, Message::Diff(_)));
        self.report.digests_down += u64::from(is_by_digest(&message));
        self.report.asks += u64::from(matches!(message, Message::Ask));
        let Some(id) = self.members.get(&member).copied() else { return Ok(()) };
        self.note(|| format!("connection {id} <- {}", brief(&message)));
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some((channel, _)) = connection.member else { return Ok(()) };
        connection.session.send_body(channel, outgoing.kind, &outgoing.body);
        self.flush(id, outgoing.bulk.then_some(member));
        Ok(())
    }

    pub(super) fn flush_session(&mut self, id: u64) {
        self.flush(id, None);
    }

    pub(super) fn flush(&mut self, id: u64, drains: Option<MemberId>) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut times = Vec::new();
        let mut next = connection.session.poll();
        while let Some(bytes) = next {
            next = connection.session.poll();
            let drains = if next.is_none() { drains } else { None };
            let delay = self.rng.between(1, connection.max_delay);
            times.extend(connection.down.send(Frame { bytes, drains }, now, delay));
        }
        for at in times {
            self.at(at, Event::Down { connection: id });
        }
    }

    pub(super) fn up(&mut self, id: u64) -> Checked {
        let now = self.time();
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(frame) = connection.up.receive() else { return Ok(()) };
        if !connection.relay_open || self.room.is_none() {
            return Ok(());
        }
        if frame.bytes.is_empty() {
            return self.relay_end_closed(id);
        }
        let message = connection.session.frame(now, &frame.bytes);
        let member = connection.member;
        self.flush_session(id);
        match message {
            Ok(None) => Ok(()),
            Ok(Some((channel, Message::Open(open)))) => {
                self.next_member += 1;
                let member = MemberId(self.next_member);
                self.members.insert(member, id);
                self.connections.get_mut(&id).expect("the connection was just found").member = Some((channel, member));
                self.room_handle(Input::Join { member, open: Box::new(open), may_write: true })
            }
            Ok(Some((_, Message::Goodbye(_) | Message::Close(_)))) => self.relay_end_closed(id),
            Ok(Some((_, message))) => match member {
                Some((_, member)) => self.room_handle(Input::Message { member, message }),
                None => Err("a client talks on a channel that it did not open".to_owned()),
            },
            Err(error) => Err(format!("the relay gives connection {id} up: {error}")),
        }
    }

    pub(super) fn relay_end_closed(&mut self, id: u64) -> Checked {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        connection.relay_open = false;
        if let Some((_, member)) = connection.member.take() {
            self.members.remove(&member);
            self.room_handle(Input::Leave { member })?;
        }
        Ok(())
    }

    pub(super) fn relay_hangs_up(&mut self, id: u64, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.relay_open = false;
        connection.member = None;
        connection.session.goodbye(reason, None);
        self.flush_session(id);
        self.end_downstream(id);
    }

    pub(super) fn end_downstream(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let delay = self.rng.between(1, connection.max_delay);
        if let Some(at) = connection.down.send(Frame { bytes: Vec::new(), drains: None }, self.now, delay) {
            self.at(at, Event::Down { connection: id });
        }
    }

    pub(super) fn session_tick(&mut self, id: u64) -> Checked {
        let now = self.time();
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        if !connection.relay_open {
            return Ok(());
        }
        if connection.session.deadline() <= now && connection.session.tick(now).is_err() {
            self.note(|| format!("the relay gives connection {id} up: silence"));
            self.relay_end_closed(id)?;
            self.end_downstream(id);
            return Ok(());
        }
        self.flush_session(id);
        self.schedule_session_tick(id);
        Ok(())
    }

    pub(super) fn schedule_session_tick(&mut self, id: u64) {
        if let Some(connection) = self.connections.get(&id) {
            let deadline = connection.session.deadline().0;
            self.at(deadline.max(self.now + 1), Event::SessionTick { connection: id });
        }
    }

    pub(super) fn crash_relay(&mut self) {
        self.room = None;
        self.relay_start += 1;
        self.members.clear();
        self.note(|| "the relay dies".to_owned());
        let open: Vec<u64> = self.connections.iter().filter(|(_, c)| c.relay_open).map(|(id, _)| *id).collect();
        for id in open {
            let connection = self.connections.get_mut(&id).expect("the connection was just listed");
            connection.relay_open = false;
            connection.member = None;
            // A machine that loses its network takes the news with it.
            if self.rng.chance(80) {
                let delay = self.rng.between(1, 1_000);
                self.after(delay, Event::DownEnded { connection: id });
            }
        }
        let delay = self.rng.between(10, 5_000);
        self.after(delay, Event::RelayStart);
    }
}
