//! What goes wrong, and how it ends.

use super::{Checked, Event, World};

impl World {
    pub(super) fn fault(&mut self) -> Checked {
        if !self.faulty {
            return Ok(());
        }
        let delay = self.rng.between(1, 1_500);
        self.after(delay, Event::Fault);
        let faults = self.plan.faults;
        let index = self.rng.below(self.peers.len());
        if self.rng.chance(faults.cut) {
            self.cut(index);
        }
        if self.rng.chance(faults.half_open)
            && let Some(connection) = self.peers[index].connection.and_then(|id| self.connections.get_mut(&id))
        {
            match self.rng.below(3) {
                0 => connection.up.break_silently(),
                1 => connection.down.break_silently(),
                _ => {
                    connection.up.break_silently();
                    connection.down.break_silently();
                }
            }
            self.note(|| format!("peer {index}'s connection goes silent"));
        }
        if self.rng.chance(faults.crash) {
            self.crash(index);
        }
        if self.rng.chance(faults.power_cut) {
            let disk = self.peers[index].disk;
            for peer in 0..self.peers.len() {
                if self.peers[peer].disk == disk {
                    self.crash(peer);
                }
            }
            self.disks[disk].cut_power(&mut self.rng);
            self.note(|| format!("disk {disk} loses power"));
        }
        if self.rng.chance(faults.relay_crash) && self.room.is_some() {
            self.crash_relay();
        }
        if self.rng.chance(faults.relay_restore) {
            if self.rng.chance(70) {
                self.relay_disk.back_up();
            } else if self.room.is_some() {
                self.crash_relay();
                self.relay_disk.restore();
                self.report.restores += 1;
                self.outdated = self.next_connection;
                self.note(|| "the relay is put back to its backup".to_owned());
            }
        }
        if self.rng.chance(faults.partition) {
            let peer = &mut self.peers[index];
            peer.offline = !peer.offline;
            let offline = peer.offline;
            self.note(|| format!("peer {index} offline: {offline}"));
            if offline {
                self.cut(index);
            }
        }
        if self.rng.chance(faults.lock_loss) {
            let peer = &mut self.peers[index];
            if let Some(replica) = &mut peer.replica {
                replica.retire();
                peer.lost_lock = true;
                self.note(|| format!("peer {index} loses its lock"));
                return self.drain(index);
            }
        }
        Ok(())
    }

    /// A connection ends, with everything on its way; each end hears of it in its own time.
    pub(super) fn cut(&mut self, index: usize) {
        let Some(id) = self.peers[index].connection else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.up.break_silently();
        connection.down.break_silently();
        let (first, second) = (self.rng.between(1, 300), self.rng.between(1, 3_000));
        self.after(first, Event::DownEnded { connection: id });
        self.after(second, Event::UpEnded { connection: id });
        self.note(|| format!("connection {id} of peer {index} is cut"));
    }

    pub(super) fn heal(&mut self) -> Checked {
        self.faulty = false;
        self.queue.retain(|_, event| !matches!(event, Event::Edit | Event::Fault));
        self.note(|| "healing begins".to_owned());
        for peer in &mut self.peers {
            peer.offline = false;
        }
        for peer in 0..self.peers.len() {
            self.start(peer)?;
        }
        self.start_relay()
    }
}
