//! Clients in the simulation: what a driver does for a replica, and what users do to it.

use weftline::EditError;
use weftline::sync::{CloseReason, Link, Output, ProtocolError, Record, Replica};

use super::{Checked, Event, World, without_log};
use crate::oracle::Edit;
use crate::rng::Rng;
use crate::workload;

impl World<'_> {
    pub(super) fn start(&mut self, index: usize) -> Checked {
        let now = self.time(index);
        let peer = &mut self.peers[index];
        if peer.replica.is_some() || !peer.active {
            return Ok(());
        }
        let may_fork = self.settings.faults.copies();
        let disk = &self.disks[peer.disk];
        let replica = peer.start(disk, now).map_err(|error| format!("a peer cannot start: {index}: {error}"))?;
        for edit in self.edits.iter_mut().filter(|edit| edit.peer == index && !edit.lost && !edit.uncertain) {
            let here = match edit.number {
                // What it was named first it may be named no more.
                Some(number) if may_fork => workload::shows(&replica.document().grow_only_set(workload::EDITS), number),
                _ => replica.document().covers(edit.dot),
            };
            if !here {
                let safe = disk.is_safe(edit.dot.replica, edit.dot.seq);
                // What another tab heard of a copy stands in its place until the relay has told the two apart.
                if safe && may_fork {
                    continue;
                }
                if safe {
                    return Err(format!("DUR-1: peer {index} lost its durable edit {:?} at {}", edit.number, edit.dot));
                }
                edit.lost = true;
                self.report.lost += 1;
            }
        }
        self.report.processes += 1;
        let process = self.peers[index].process;
        self.note(|| format!("peer {index} starts process {process}"));
        let delay = self.peers[index].rng.between(0, 300);
        self.after(delay, Event::Dial { peer: index, process });
        self.drain(index)
    }

    /// A user edits; so often, and what, follows from `rng`.
    pub(super) fn edit(&mut self, index: usize, number: u64, mut rng: Rng) -> Checked {
        let now = self.time(index);
        let (schema, countable) = (self.schema, self.counts_copies());
        let Some(replica) = &mut self.peers[index].replica else { return Ok(()) };
        let commit = replica.transact(now, |tx| {
            schema.edit(tx, &mut rng)?;
            if countable {
                workload::leave_countable(tx, number)?;
            }
            workload::leave_number(tx, number)
        });
        let commit =
            commit.map_err(|error: EditError| format!("an edit was refused: {number} of peer {index}: {error}"))?;
        let delta = commit.delta.ok_or("an edit made no delta")?;
        self.written(index, Some(number), delta)
    }

    /// A user takes the last edit back, or takes that back.
    pub(super) fn undo(&mut self, index: usize, redo: bool) -> Checked {
        let now = self.time(index);
        let Some(replica) = &mut self.peers[index].replica else { return Ok(()) };
        let commit = if redo { replica.redo(now) } else { replica.undo(now) };
        let commit = commit.map_err(|error| format!("an undo was refused: at peer {index}: {error}"))?;
        match commit.and_then(|commit| commit.delta) {
            Some(delta) => self.written(index, None, delta),
            None => self.drain(index),
        }
    }

    fn written(&mut self, index: usize, number: Option<u64>, delta: weftline::Delta) -> Checked {
        self.report.edits += 1;
        self.payloads.write(&delta);
        let peer = &mut self.peers[index];
        let (dot, process, room) = (delta.dot(), peer.process, peer.room);
        if !peer.ids.contains(&dot.replica) {
            peer.ids.push(dot.replica);
        }
        self.edits.push(Edit {
            number,
            room,
            delta,
            peer: index,
            process,
            dot,
            lost: false,
            uncertain: false,
            saved: false,
        });
        self.note(|| format!("peer {index} makes edit {number:?} at {dot}"));
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
        let delay = peer.rng.between(1, 200);
        self.after(delay, Event::Dialed { peer: index, process });
        self.drain(index)
    }

    pub(super) fn dialed(&mut self, index: usize, process: u64) -> Checked {
        let now = self.time(index);
        let offline = self.machines[self.peers[index].machine].offline_until > self.now;
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return Ok(()) };
        if peer.process != process {
            return Ok(());
        }
        peer.dialing = false;
        if !self.relay.is_up() || offline {
            replica.disconnected(now);
            self.redial(index, None);
            return self.drain(index);
        }
        replica.connected(now);
        self.connect(index);
        self.drain(index)
    }

    pub(super) fn redial(&mut self, index: usize, after_ms: Option<u64>) {
        let peer = &mut self.peers[index];
        let delay = after_ms.unwrap_or_else(|| peer.backoff.next_delay_ms());
        let process = peer.process;
        self.after(delay + 1, Event::Dial { peer: index, process });
    }

    pub(super) fn tick(&mut self, index: usize, process: u64) -> Checked {
        let now = self.time(index);
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
        let connection = self.peers[index].connection.and_then(|id| self.connections.get(&id));
        let tampered = connection.is_some_and(|connection| connection.tampered);
        self.drain(index)?;
        match result {
            Ok(()) => Ok(()),
            // Half-open connections end like this; nothing else is the network's fault.
            Err(ProtocolError::TimedOut { .. }) => self.hang_up(index, None),
            Err(error) if tampered => {
                self.note(|| format!("peer {index} gives its connection up: {error}"));
                self.hang_up(index, None)
            }
            Err(error) => Err(format!("a peer gives its connection up: {index}: {error}")),
        }
    }

    /// The client closes its connection, and comes back later. What it sent may still arrive.
    pub(super) fn hang_up(&mut self, index: usize, retry_after_ms: Option<u64>) -> Checked {
        let now = self.time(index);
        self.close_client_end(index);
        if let Some(replica) = &mut self.peers[index].replica {
            replica.disconnected(now);
        }
        self.redial(index, retry_after_ms);
        self.drain(index)
    }

    pub(super) fn drain(&mut self, index: usize) -> Checked {
        let now = self.time(index);
        while let Some(output) = self.peers[index].replica.as_mut().and_then(|replica| replica.poll(now)) {
            match output {
                Output::Transmit(bytes) => self.transmit(index, bytes)?,
                Output::Persist(persist) => {
                    let disk = self.peers[index].disk;
                    let write = self.disks[disk].begin(index, persist);
                    let delay = self.write_takes(index);
                    self.after(delay, Event::Stored { disk, write });
                }
                Output::Changed(changes) => {
                    if changes.is_empty() {
                        return Err("an application was told of nothing".to_owned());
                    }
                }
                Output::ForkRepaired { dots } => self.note(|| format!("peer {index} has repaired {dots:?}")),
                Output::Presence(_) | Output::TokenWanted => {}
                Output::Status(status) => {
                    self.note(|| format!("peer {index}: {status:?}"));
                    if status.link == Link::Live {
                        self.peers[index].backoff.reset();
                    }
                    self.check_status(index)?;
                    self.note_saved(index);
                }
                Output::Disconnect { retry } => self.hang_up(index, retry.delay_ms().map(u64::from))?,
            }
        }
        self.check_writer(index)?;
        let peer = &self.peers[index];
        if let Some(deadline) = peer.replica.as_ref().and_then(Replica::deadline) {
            let (process, at) = (peer.process, peer.clock.when(deadline));
            self.at(at, Event::Tick { peer: index, process });
        }
        Ok(())
    }

    fn write_takes(&mut self, index: usize) -> u64 {
        let peer = &mut self.peers[index];
        let machine = &self.machines[peer.machine];
        match self.now {
            now if now < machine.slow_until => peer.rng.between(100, 3_000),
            now if now < machine.full_until => peer.rng.between(100, 900),
            _ => peer.rng.between(0, 40),
        }
    }

    pub(super) fn stored(&mut self, disk: usize, write: u64) -> Checked {
        let Some(writer) = self.disks[disk].writer_of(write) else { return Ok(()) };
        if self.now < self.machines[self.peers[writer].machine].full_until {
            return self.fail_store(writer);
        }
        for write in self.disks[disk].complete(write) {
            let now = self.time(write.peer);
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

    /// Whatever a peer is writing does not get written.
    pub(super) fn fail_store(&mut self, index: usize) -> Checked {
        let now = self.time(index);
        self.note(|| format!("peer {index}'s store fails"));
        let disk = self.peers[index].disk;
        self.disks[disk].fail(index);
        if let Some(replica) = &mut self.peers[index].replica {
            replica.store_failed(now);
        }
        self.drain(index)
    }

    fn compact(&mut self, index: usize) {
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
            self.report.compactions += 1;
            self.note(|| format!("peer {index} compacts"));
        }
    }

    /// The process of a peer dies.
    pub(super) fn kill(&mut self, index: usize) {
        self.close_client_end(index);
        let peer = &mut self.peers[index];
        if peer.replica.take().is_some() {
            let process = peer.process;
            peer.dialing = false;
            peer.clock = crate::clock::Clock::default();
            self.disks[peer.disk].crash(index, &mut peer.rng);
            self.note(|| format!("peer {index} process {process} dies"));
        }
    }

    /// A client is told by the relay that its connection is over.
    pub(super) fn check_goodbye(&self, id: u64, reason: CloseReason) -> Checked {
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        let current = self.peers[connection.peer].connection == Some(id);
        let tolerated = self.settings.faults.copies() || connection.tampered;
        if reason == CloseReason::Superseded && current && !tolerated {
            return Err(format!("SES-2: the current connection of peer {} is superseded", connection.peer));
        }
        Ok(())
    }
}
