//! Connections, both ends: what is put in, what arrives, how they end.

use weftline::Timestamp;
use weftline::sync::{CloseReason, Message, MessageKind, Open, Retry};
use weftline_relay::room::{Input, MemberId, Rights};

use super::{Checked, Event, World, brief, is_by_digest};
use crate::network::{Connection, Frame};
use crate::oracle;
use crate::plan::Age;
use crate::rng::Rng;

impl World<'_> {
    /// A connection of a peer has come up.
    pub(super) fn connect(&mut self, index: usize) {
        self.next_connection += 1;
        self.report.connections += 1;
        let id = self.next_connection;
        let peer = &mut self.peers[index];
        peer.connection = Some(id);
        let rng = Rng::new(peer.rng.bits());
        let now = self.relay.time(self.now);
        self.connections.insert(id, Connection::new(index, self.peers[index].room, now, rng));
        self.note(|| format!("peer {index} has connection {id}"));
        self.flush(id, None);
        self.schedule_session_tick(id);
    }

    /// A peer sends.
    pub(super) fn transmit(&mut self, index: usize, bytes: Vec<u8>) -> Checked {
        let peer = &self.peers[index];
        let Some(id) = peer.connection else { return Ok(()) };
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let now = Timestamp(self.now);
        let bytes = aged(bytes, peer.age);
        let read = connection.tap.frame(now, &bytes);
        let mut message = read.map_err(|error| format!("a peer sends nonsense: {index}: {error}"))?.map(|read| read.1);
        // What is said by a roster that was tampered with cannot be read by ours.
        if !connection.tampered
            && let Some(said) = message
        {
            let (roster, told) = (&connection.roster, &mut connection.said);
            let said = oracle::unpacked(said, roster, told, &mut self.payloads)?;
            let stored = &self.relay.rooms[peer.room].disk.version;
            oracle::may_leave(&said, &self.disks[peer.disk], &peer.ids, stored, &mut self.payloads)?;
            self.report.diffs_up += u64::from(matches!(said, Message::Diff(_)));
            self.report.digests_up += u64::from(is_by_digest(&said));
            message = Some(said);
        }
        self.put_up(id, Frame { bytes, drains: None });
        if let Some(message) = message {
            self.note(|| format!("peer {index} -> {}", brief(&message)));
        }
        Ok(())
    }

    fn put_up(&mut self, id: u64, frame: Frame) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let to = if connection.up.misdelivers() { self.somebody_else(id) } else { id };
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&to) else { return };
        if to != id && connection.up.passes(&frame) {
            return;
        }
        let delay = connection.rng.between(1, connection.max_delay);
        let (at, count) = connection.up.send(frame, now, delay);
        for _ in 0..count {
            self.at(at, Event::Up { connection: to });
        }
    }

    fn put_down(&mut self, id: u64, frame: Frame) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let to = if connection.down.misdelivers() { self.somebody_else(id) } else { id };
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&to) else { return };
        if to != id && connection.down.passes(&frame) {
            return;
        }
        let delay = connection.rng.between(1, connection.max_delay);
        let (at, count) = connection.down.send(frame, now, delay);
        for _ in 0..count {
            self.at(at, Event::Down { connection: to });
        }
    }

    /// Another connection, to which a frame goes by mistake.
    fn somebody_else(&mut self, id: u64) -> u64 {
        let open = |other: &Connection| other.client_open && other.relay_open;
        let others: Vec<u64> =
            self.connections.iter().filter(|(other, it)| **other != id && open(it)).map(|(other, _)| *other).collect();
        let Some(connection) = self.connections.get_mut(&id) else { return id };
        if others.is_empty() {
            return id;
        }
        let other = *connection.rng.pick(&others);
        self.note(|| format!("a frame of connection {id} goes to connection {other}"));
        self.tamper_with(other);
        other
    }

    /// A connection on which frames are mixed up does not last.
    pub(super) fn tamper_with(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.tampered {
            connection.tampered = true;
            let delay = connection.rng.between(200, 8_000);
            self.after(delay, Event::Cut { connection: id });
        }
    }

    /// A connection ends, with everything on its way; each end hears of it in its own time.
    pub(super) fn cut(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.client_open && !connection.relay_open {
            return;
        }
        connection.up.break_silently();
        connection.down.break_silently();
        let (first, second) = (connection.rng.between(1, 300), connection.rng.between(1, 3_000));
        let index = connection.peer;
        self.after(first, Event::DownEnded { connection: id });
        self.after(second, Event::UpEnded { connection: id });
        self.note(|| format!("connection {id} of peer {index} is cut"));
    }

    pub(super) fn close_client_end(&mut self, index: usize) {
        let Some(id) = self.peers[index].connection.take() else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.client_open = false;
        // The end arrives after everything sent before.
        self.put_up(id, Frame { bytes: Vec::new(), drains: None });
        self.note(|| format!("peer {index} closes connection {id}"));
    }

    /// A frame arrives at a client.
    pub(super) fn down(&mut self, id: u64) -> Checked {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(frame) = connection.down.receive() else { return Ok(()) };
        let (index, current, room) = (connection.peer, connection.client_open, connection.room);
        if frame.bytes.is_empty() {
            return self.client_end_closed(id);
        }
        if !current {
            return Ok(());
        }
        if let Some(member) = frame.drains {
            self.room_handle(room, Input::Drained { member, bytes: usize::MAX })?;
        }
        let now = self.time(index);
        let Some(replica) = &mut self.peers[index].replica else { return Ok(()) };
        self.report.messages += 1;
        let result = replica.frame(now, &frame.bytes);
        self.answered(index, result)
    }

    pub(super) fn client_end_closed(&mut self, id: u64) -> Checked {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let (index, open) = (connection.peer, connection.client_open);
        connection.client_open = false;
        if !open || self.peers[index].connection != Some(id) {
            return Ok(());
        }
        self.peers[index].connection = None;
        let now = self.time(index);
        if let Some(replica) = &mut self.peers[index].replica {
            replica.disconnected(now);
        }
        self.note(|| format!("peer {index} finds connection {id} closed"));
        self.redial(index, None);
        self.drain(index)
    }

    /// Sends what the relay's end of a connection has to say. With the last of it a batch of a member ends.
    pub(super) fn flush(&mut self, id: u64, drains: Option<MemberId>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let age = self.peers[connection.peer].age;
        let mut frames = Vec::new();
        let mut next = connection.session.poll();
        while let Some(bytes) = next {
            next = connection.session.poll();
            frames.push(Frame { bytes: aged(bytes, age), drains: drains.filter(|_| next.is_none()) });
        }
        for frame in frames {
            self.put_down(id, frame);
        }
    }

    /// A frame arrives at the relay.
    pub(super) fn up(&mut self, id: u64) -> Checked {
        let now = self.relay.time(self.now);
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(frame) = connection.up.receive() else { return Ok(()) };
        if !connection.relay_open || !self.relay.is_up() {
            return Ok(());
        }
        if frame.bytes.is_empty() {
            return self.relay_end_closed(id);
        }
        let message = connection.session.frame(now, &frame.bytes);
        let (member, room, tampered) = (connection.member, connection.room, connection.tampered);
        self.flush(id, None);
        match message {
            Ok(None) => Ok(()),
            Ok(Some((channel, Message::Open(open)))) if member.is_none() => self.join(id, channel, open),
            Ok(Some((_, Message::Goodbye(_) | Message::Close(_)))) => self.relay_end_closed(id),
            Ok(Some((_, message))) => match member {
                Some((_, member)) => {
                    self.report.messages += 1;
                    self.room_handle(room, Input::Message { member, message })
                }
                None if tampered => {
                    self.relay_hangs_up(id, CloseReason::Protocol);
                    Ok(())
                }
                None => Err("a client talks on a channel that it did not open".to_owned()),
            },
            Err(error) if tampered => {
                self.note(|| format!("the relay gives connection {id} up: {error}"));
                self.relay_hangs_up(id, CloseReason::Protocol);
                self.leave(id)
            }
            Err(error) => Err(format!("the relay gives a connection up: {id}: {error}")),
        }
    }

    fn join(&mut self, id: u64, channel: u64, open: Open) -> Checked {
        // A frame that came to the wrong connection names another document.
        let Some(room) = self.relay.room_of(&open.document) else { return Ok(()) };
        self.open_room(room)?;
        let member = self.relay.new_member(room, id);
        let connection = self.connections.get_mut(&id).expect("a frame came on it");
        connection.member = Some((channel, member));
        connection.room = room;
        self.report.messages += 1;
        self.room_handle(room, Input::Join { member, open: Box::new(open), rights: Rights::ALL })
    }

    pub(super) fn relay_end_closed(&mut self, id: u64) -> Checked {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        connection.relay_open = false;
        self.leave(id)
    }

    fn leave(&mut self, id: u64) -> Checked {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some((_, member)) = connection.member.take() else { return Ok(()) };
        let room = connection.room;
        self.relay.forget_member(room, member);
        self.room_handle(room, Input::Leave { member })
    }

    pub(super) fn relay_hangs_up(&mut self, id: u64, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.relay_open = false;
        connection.session.goodbye(reason, Retry::BACKOFF);
        self.flush(id, None);
        self.end_downstream(id);
    }

    fn end_downstream(&mut self, id: u64) {
        self.put_down(id, Frame { bytes: Vec::new(), drains: None });
    }

    pub(super) fn session_tick(&mut self, id: u64) -> Checked {
        let now = self.relay.time(self.now);
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
        self.flush(id, None);
        self.schedule_session_tick(id);
        Ok(())
    }

    fn schedule_session_tick(&mut self, id: u64) {
        if let Some(connection) = self.connections.get(&id) {
            let at = self.relay.when(connection.session.deadline());
            self.at(at.max(self.now + 1), Event::SessionTick { connection: id });
        }
    }
}

/// A frame as a client of another version would send it, or be sent it: without what that does not know, or with what nobody else knows.
fn aged(bytes: Vec<u8>, age: Age) -> Vec<u8> {
    // Only whole messages are rewritten: those in question are short.
    let (Age::Older | Age::Newer, Some(0), Some(&kind)) = (age, bytes.first().map(|flags| flags & 3), bytes.get(1))
    else {
        return bytes;
    };
    let header = 2 + bytes[2..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let Some(body) = bytes.get(header..) else { return bytes };
    let Some(mut message) = MessageKind::from_byte(kind).ok().and_then(|kind| Message::decode(kind, body).ok()) else {
        return bytes;
    };
    match (&mut message, age) {
        (Message::Hello(hello), Age::Older) => hello.features = 0,
        (Message::Hello(hello), _) => {
            hello.max_version += 3;
            hello.features |= u64::MAX << 32;
        }
        (Message::Open(open), Age::Older) => open.packed = false,
        _ => return bytes,
    }
    let mut again = bytes[..header].to_vec();
    again.extend_from_slice(&message.encode_body());
    again
}
