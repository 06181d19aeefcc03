//! Clients in the simulation: what a driver does for a replica, and what users do to it.

use weftline::EditError;
use weftline::sync::{Link, Message, Output, ProtocolError, Record, Replica};
use weftline_relay::room::Input;

use super::{Checked, Event, World, brief, is_by_digest, without_log};
use crate::network::{Connection, Frame};
use crate::oracle::{self, Edit};
use crate::workload;

impl World {
    pub(super) fn start(&mut self, index: usize) -> Checked {
        let now = self.time();
        let peer = &mut self.peers[index];
        if peer.replica.is_some() {
            return Ok(());
        }
        let disk = &self.disks[peer.disk];
        let replica =
            peer.start(disk, now, &mut self.rng).map_err(|error| format!("peer {index} cannot start: {error}"))?;
        for edit in self.edits.iter_mut().filter(|edit| edit.peer == index && !edit.lost) {
            if !replica.document().covers(edit.dot) {
                if disk.is_safe(edit.dot.replica, edit.dot.seq) {
                    return Err(format!("peer {index} lost its durable edit {} at {}", edit.number, edit.dot));
                }
                edit.lost = true;
                self.report.lost += 1;
            }
        }
        self.report.processes += 1;
        let process = self.peers[index].process;
        self.note(|| format!("peer {index} starts process {process}"));
        let delay = self.rng.between(0, 300);
        self.after(delay, Event::Dial { peer: index, process });
        self.drain(index)
    }

    pub(super) fn edit(&mut self) -> Checked {
        let every = self.plan.edit_every_ms;
        let delay = self.rng.between(0, 2 * every);
        self.after(delay, Event::Edit);
        let index = self.rng.below(self.peers.len());
        let now = self.time();
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return Ok(()) };
        self.report.edits += 1;
        let number = self.report.edits;
        let rng = &mut self.rng;
        let commit = replica
            .transact(now, |tx| workload::edit(tx, rng, number))
            .map_err(|error: EditError| format!("edit {number} of peer {index} was refused: {error}"))?;
        let delta = commit.delta.ok_or("an edit made no delta")?;
        self.payloads.write(&delta);
        let (dot, process) = (delta.dot(), peer.process);
        if !peer.ids.contains(&dot.replica) {
            peer.ids.push(dot.replica);
        }
        self.edits.push(Edit { number, peer: index, process, dot, lost: false });
        self.note(|| format!("peer {index} makes edit {number} at {dot}"));
        self.drain(index)
    }

    pub(super) fn dial(&mut self, index: usize, process: u64) -> Checked {
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return Ok(()) };
        if peer.process != process || peer.connection.is_some() || peer.dialing {
            return Ok(());
        }
        peer.dialing = true;
        replica.dialing();
        let delay = self.rng.between(1, 200);
        self.after(delay, Event::Dialed { peer: index, process });
        self.drain(index)
    }

    pub(super) fn dialed(&mut self, index: usize, process: u64) -> Checked {
        let now = self.time();
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return Ok(()) };
        if peer.process != process {
            return Ok(());
        }
        peer.dialing = false;
        if self.room.is_none() || peer.offline {
            replica.disconnected(now);
            self.redial(index, None);
            return self.drain(index);
        }
        self.next_connection += 1;
        self.report.connections += 1;
        let id = self.next_connection;
        let connection = Connection::new(index, self.now, &mut self.rng);
        peer.connection = Some(id);
        replica.connected(now);
        self.connections.insert(id, connection);
        self.note(|| format!("peer {index} has connection {id}"));
        self.flush_session(id);
        self.schedule_session_tick(id);
        self.drain(index)
    }

    pub(super) fn redial(&mut self, index: usize, after_ms: Option<u64>) {
        let peer = &mut self.peers[index];
        let delay = after_ms.unwrap_or_else(|| peer.backoff.next_delay_ms());
        let process = peer.process;
        self.after(delay + 1, Event::Dial { peer: index, process });
    }

    pub(super) fn tick(&mut self, index: usize, process: u64) -> Checked {
        let now = self.time();
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return Ok(()) };
        if peer.process != process || replica.deadline().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let result = replica.tick(now);
        self.answered(index, result)
    }

    /// After a call that may end the connection.
    pub(super) fn answered(&mut self, index: usize, result: Result<(), ProtocolError>) -> Checked {
        self.drain(index)?;
        match result {
            Ok(()) => Ok(()),
            // Half-open connections end like this; nothing else is the network's fault.
            Err(ProtocolError::TimedOut { .. }) => self.hang_up(index, None),
            Err(error) => Err(format!("peer {index} gives its connection up: {error}")),
        }
    }

    /// The client closes its connection, and comes back later. What it sent may still arrive.
    pub(super) fn hang_up(&mut self, index: usize, retry_after_ms: Option<u64>) -> Checked {
        let now = self.time();
        self.close_client_end(index);
        if let Some(replica) = &mut self.peers[index].replica {
            replica.disconnected(now);
        }
        self.redial(index, retry_after_ms);
        self.drain(index)
    }

    pub(super) fn close_client_end(&mut self, index: usize) {
        let Some(id) = self.peers[index].connection.take() else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.client_open = false;
        let delay = self.rng.between(0, connection.max_delay);
        // The end arrives after everything sent before.
        let end = Frame { bytes: Vec::new(), drains: None };
        if let Some(at) = connection.up.send(end, self.now, delay) {
            self.at(at, Event::Up { connection: id });
        }
        self.note(|| format!("peer {index} closes connection {id}"));
    }

    pub(super) fn drain(&mut self, index: usize) -> Checked {
        let now = self.time();
        while let Some(output) = self.peers[index].replica.as_mut().and_then(|replica| replica.poll(now)) {
            match output {
                Output::Transmit(bytes) => self.transmit(index, bytes)?,
                Output::Persist(persist) => {
                    let disk = self.peers[index].disk;
                    let write = self.disks[disk].begin(index, persist);
                    let delay = self.rng.between(0, 40);
                    self.after(delay, Event::Stored { disk, write });
                }
                Output::Changed(changes) => {
                    if changes.is_empty() {
                        return Err("an application was told of nothing".to_owned());
                    }
                }
                Output::ForkRepaired { dots } => self.note(|| format!("peer {index} has repaired {dots:?}")),
                Output::Presence(_) => {}
                Output::Status(status) => {
                    self.note(|| format!("peer {index}: {status:?}"));
                    if status.link == Link::Live {
                        self.peers[index].backoff.reset();
                    }
                    self.check_status(index)?;
                }
                Output::Disconnect { retry_after_ms } => self.hang_up(index, retry_after_ms)?,
            }
        }
        let peer = &self.peers[index];
        if let Some(deadline) = peer.replica.as_ref().and_then(Replica::deadline) {
            let process = peer.process;
            self.at(deadline.0, Event::Tick { peer: index, process });
        }
        Ok(())
    }

    pub(super) fn transmit(&mut self, index: usize, bytes: Vec<u8>) -> Checked {
        let now = self.time();
        let peer = &self.peers[index];
        let Some(id) = peer.connection else { return Ok(()) };
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let message =
            connection.tap.frame(now, &bytes).map_err(|error| format!("peer {index} sends nonsense: {error}"))?;
        let message = match message {
            Some((_, message)) => {
                let (roster, said) = (&connection.roster, &mut connection.said);
                Some(oracle::unpacked(message, roster, said, &mut self.payloads)?)
            }
            None => None,
        };
        if let Some(message) = &message {
            oracle::may_leave(message, &self.disks[peer.disk], &peer.ids, &mut self.payloads)?;
            self.report.diffs_up += u64::from(matches!(message, Message::Diff(_)));
            self.report.digests_up += u64::from(is_by_digest(message));
        }
        let delay = self.rng.between(1, connection.max_delay);
        if let Some(at) = connection.up.send(Frame { bytes, drains: None }, self.now, delay) {
            self.at(at, Event::Up { connection: id });
        }
        if let Some(message) = message {
            self.note(|| format!("peer {index} -> {}", brief(&message)));
        }
        Ok(())
    }

    pub(super) fn stored(&mut self, disk: usize, write: u64) -> Checked {
        let now = self.time();
        if self.faulty && self.rng.chance(self.plan.faults.store_failure) && self.rng.chance(20) {
            return self.fail_store(disk, write);
        }
        for write in self.disks[disk].complete(write) {
            if let Some(replica) = &mut self.peers[write.peer].replica {
                replica.durable(write.token, now);
                self.drain(write.peer)?;
            }
        }
        for index in 0..self.peers.len() {
            if self.peers[index].disk == disk && self.disks[disk].wants_compaction() {
                self.compact(index);
            }
        }
        Ok(())
    }

    pub(super) fn fail_store(&mut self, disk: usize, write: u64) -> Checked {
        let now = self.time();
        let Some(peer) = self.disks[disk].writer_of(write) else { return Ok(()) };
        self.note(|| format!("peer {peer}'s store fails"));
        self.disks[disk].fail(peer);
        if let Some(replica) = &mut self.peers[peer].replica {
            replica.store_failed(now);
        }
        self.drain(peer)
    }

    pub(super) fn compact(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return };
        if let Some(mut snapshot) = replica.compact() {
            let replica = &*replica;
            if let Record::Snapshot(bytes) = &mut snapshot
                && self.now.is_multiple_of(2)
            {
                *bytes = without_log(bytes).into();
            }
            self.disks[peer.disk].compact(&snapshot, |record| replica.covers(record));
            self.note(|| format!("peer {index} compacts"));
        }
    }

    pub(super) fn crash(&mut self, index: usize) {
        self.close_client_end(index);
        let peer = &mut self.peers[index];
        if peer.replica.take().is_some() {
            let process = peer.process;
            peer.dialing = false;
            self.disks[peer.disk].crash(index, &mut self.rng);
            self.note(|| format!("peer {index} process {process} dies"));
        }
        let delay = self.rng.between(1, 4_000);
        self.after(delay, Event::Start { peer: index });
    }

    pub(super) fn down(&mut self, id: u64) -> Checked {
        let now = self.time();
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(frame) = connection.down.receive() else { return Ok(()) };
        let (index, current) = (connection.peer, connection.client_open);
        if frame.bytes.is_empty() {
            return self.client_end_closed(id);
        }
        if !current {
            return Ok(());
        }
        if let Some(member) = frame.drains {
            self.room_handle(Input::Drained { member })?;
        }
        let Some(replica) = &mut self.peers[index].replica else { return Ok(()) };
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
        let now = self.time();
        if let Some(replica) = &mut self.peers[index].replica {
            replica.disconnected(now);
        }
        self.note(|| format!("peer {index} finds connection {id} closed"));
        self.redial(index, None);
        self.drain(index)
    }
}
