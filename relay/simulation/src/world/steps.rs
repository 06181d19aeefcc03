//! The steps of a plan: what users and operators do, what goes wrong, and how it ends.

use super::{Checked, Event, World};
use crate::plan::{Op, Tampering};
use crate::rng::Rng;

impl World<'_> {
    pub(super) fn step(&mut self, index: usize) -> Checked {
        let step = self.plan.steps[index];
        if let Some(fault) = step.op.fault() {
            *self.report.faults.entry(fault).or_default() += 1;
            self.note(|| format!("step {step}"));
        }
        let rng = Rng::new(step.seed);
        match step.op {
            Op::Edit { peer } => return self.edit(peer, step.number, rng),
            Op::Undo { peer } => return self.undo(peer, false),
            Op::Redo { peer } => return self.undo(peer, true),
            Op::EditNewer { room } => return self.edit_newer(room, rng),
            Op::Inspect { peer } => return self.inspect(peer),
            Op::Cut { peer } => self.cut_peer(peer),
            Op::Silence { peer, up, down } => self.silence(peer, up, down),
            Op::Tamper { peer, down, how } => self.tamper(peer, down, how),
            Op::Offline { machine, for_ms } => {
                self.machines[machine].offline_until = self.now + for_ms;
                for peer in self.peers_on(machine) {
                    self.cut_peer(peer);
                }
            }
            Op::Crash { peer, for_ms } => {
                self.kill(peer);
                self.after(for_ms, Event::Start { peer });
            }
            Op::PowerCut { machine, for_ms } => self.cut_power(machine, for_ms),
            Op::FailWrites { peer } => return self.fail_store(peer),
            Op::FullDisk { machine, for_ms } => self.machines[machine].full_until = self.now + for_ms,
            Op::SlowDisk { machine, for_ms } => self.machines[machine].slow_until = self.now + for_ms,
            Op::LoseLock { peer } => return self.lose_lock(peer),
            Op::JumpClock { machine, by_ms } => return self.jump_clock(machine, by_ms),
            Op::JumpRelayClock { by_ms } => self.relay.off_ms += by_ms,
            Op::CrashRelay { for_ms } => self.crash_relay(for_ms),
            Op::FailCommit { room } => return self.fail_commit(room),
            Op::FullRelay { for_ms } => self.relay.full_until = self.now + for_ms,
            Op::SlowRelay { for_ms } => self.relay.slow_until = self.now + for_ms,
            Op::Evict => self.evict(),
            Op::BackUpRelay => self.relay.rooms.iter_mut().for_each(|room| room.disk.back_up()),
            Op::RestoreRelay { for_ms } => self.restore_relay(for_ms),
            Op::Clone { from, to } => self.copy_machine(from, to),
            Op::BackUp { machine } => {
                let disks = self.machines[machine].disks.iter().map(|disk| self.disks[*disk].copy()).collect();
                self.machines[machine].backup = Some(disks);
            }
            Op::Restore { machine, for_ms } => self.restore(machine, for_ms),
        }
        Ok(())
    }

    fn peers_on(&self, machine: usize) -> impl Iterator<Item = usize> + use<> {
        let on: Vec<usize> = (0..self.peers.len()).filter(|peer| self.peers[*peer].machine == machine).collect();
        on.into_iter()
    }

    fn cut_peer(&mut self, peer: usize) {
        if let Some(id) = self.peers[peer].connection {
            self.cut(id);
        }
    }

    fn silence(&mut self, peer: usize, up: bool, down: bool) {
        let Some(connection) = self.peers[peer].connection.and_then(|id| self.connections.get_mut(&id)) else { return };
        if up {
            connection.up.break_silently();
        }
        if down {
            connection.down.break_silently();
        }
    }

    fn tamper(&mut self, peer: usize, down: bool, how: Tampering) {
        let Some(id) = self.peers[peer].connection else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let pipe = if down { &mut connection.down } else { &mut connection.up };
        pipe.tampering = Some(how);
        self.tamper_with(id);
    }

    fn cut_power(&mut self, machine: usize, for_ms: u64) {
        for peer in self.peers_on(machine) {
            self.kill(peer);
            self.after(for_ms, Event::Start { peer });
        }
        for disk in self.machines[machine].disks.clone() {
            let Some(owner) = (0..self.peers.len()).find(|peer| self.peers[*peer].disk == disk) else { continue };
            let (torn, lost) = self.disks[disk].cut_power(&mut self.peers[owner].rng);
            self.report.torn += torn as u64;
            self.report.unsynced += lost as u64;
        }
    }

    fn lose_lock(&mut self, index: usize) -> Checked {
        let peer = &mut self.peers[index];
        let Some(replica) = &mut peer.replica else { return Ok(()) };
        peer.lost_lock = true;
        replica.retire();
        self.drain(index)
    }

    /// Whoever waits for a time looks again.
    fn jump_clock(&mut self, machine: usize, by_ms: i64) -> Checked {
        self.machines[machine].off_ms += by_ms;
        for peer in self.peers_on(machine) {
            self.drain(peer)?;
        }
        Ok(())
    }

    fn restore_relay(&mut self, for_ms: u64) {
        if !self.relay.is_up() {
            return;
        }
        self.crash_relay(for_ms);
        self.relay.rooms.iter_mut().for_each(|room| room.disk.restore());
        self.outdated = self.next_connection;
        self.edits.iter_mut().for_each(|edit| edit.saved = false);
    }

    fn copy_machine(&mut self, from: usize, to: usize) {
        let pairs: Vec<(usize, usize)> =
            self.machines[from].disks.iter().copied().zip(self.machines[to].disks.iter().copied()).collect();
        for (original, copy) in pairs {
            self.disks[copy] = self.disks[original].copy();
        }
        for peer in self.peers_on(to) {
            self.peers[peer].active = true;
            self.after(1, Event::Start { peer });
        }
    }

    fn restore(&mut self, machine: usize, for_ms: u64) {
        let Some(backup) = self.machines[machine].backup.clone() else { return };
        for peer in self.peers_on(machine) {
            self.kill(peer);
            self.after(for_ms, Event::Start { peer });
        }
        for (disk, older) in self.machines[machine].disks.clone().into_iter().zip(&backup) {
            self.disks[disk].put_back(older);
        }
        let on: Vec<usize> = self.peers_on(machine).collect();
        for edit in self.edits.iter_mut().filter(|edit| on.contains(&edit.peer)) {
            edit.uncertain = true;
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) -> Checked {
        self.faulty = false;
        self.note(|| "healing begins".to_owned());
        for machine in &mut self.machines {
            (machine.offline_until, machine.full_until, machine.slow_until) = (0, 0, 0);
        }
        (self.relay.full_until, self.relay.slow_until) = (0, 0);
        let tampered: Vec<u64> = self.connections.iter().filter(|(_, it)| it.tampered).map(|(id, _)| *id).collect();
        for id in tampered {
            self.cut(id);
        }
        self.start_relay()?;
        for peer in 0..self.peers.len() {
            self.start(peer)?;
        }
        (0..self.relay.rooms.len()).try_for_each(|room| self.push_newer(room))
    }
}
