//! What a client may say of itself at any time, and what must be true when everything has come to rest.

use std::collections::BTreeMap;

use weftline::testing::{Shape, dump};
use weftline::{Kind, ReplicaId};
use weftline_relay::room::{Room, RoomConfig};

use super::{Checked, World};
use crate::peer::Peer;
use crate::workload;

/// What a document shows.
type Shown = BTreeMap<(String, Kind), Shape>;

impl World {
    /// ACK-6: what a client says of itself is true when it says it.
    pub(super) fn check_status(&self, index: usize) -> Checked {
        let peer = &self.peers[index];
        let Some(replica) = &peer.replica else { return Ok(()) };
        let status = replica.status();
        if status.stuck > 0 {
            return Err(format!("peer {index} is stuck: {status:?}"));
        }
        // What a connection was told is true until an operator undoes it; the next connection tells.
        let informed = peer.connection.is_some_and(|connection| connection > self.outdated);
        for edit in self.edits.iter().filter(|edit| edit.peer == index && !edit.lost) {
            let dot = edit.dot;
            if informed && status.is_synced() && !self.relay_disk.version.covers(dot) {
                return Err(format!(
                    "ACK-6: peer {index} calls edit {} saved; the relay has not stored {dot}",
                    edit.number
                ));
            }
            let own = edit.process == peer.process;
            if own && status.unstored == 0 && !self.disks[peer.disk].is_safe(dot.replica, dot.seq) {
                return Err(format!("DUR-1: peer {index} calls edit {} stored; its disk may lose {dot}", edit.number));
            }
        }
        Ok(())
    }

    pub(super) fn check_at_rest(&mut self) -> Checked {
        self.report.relay_peak_bytes = self.relay_disk.peak_bytes;
        self.report.relay_longest_snapshot = self.relay_disk.longest_snapshot;
        let room = self.room.as_ref().ok_or("the relay is not running")?;
        let expected = dump(room.document());
        let version = room.document().version();
        if room.committed_version() != &version {
            return Err("the relay has not committed everything".to_owned());
        }
        for (index, peer) in self.peers.iter().enumerate() {
            let replica = peer.replica.as_ref().ok_or_else(|| format!("peer {index} is not running"))?;
            let status = replica.status();
            if !status.is_synced() || status.unstored > 0 || status.stuck > 0 {
                return Err(format!("peer {index} has not come to rest: {status:?}"));
            }
            let document = replica.document();
            if document.version() != version {
                return Err(format!("peer {index} has another version:\n{:?}\n{version:?}", document.version()));
            }
            let shown = dump(document);
            if shown != expected {
                return Err(format!("peer {index} shows something else:\n{shown:#?}\nthe relay:\n{expected:#?}"));
            }
            if document.beacon() != room.document().beacon() {
                return Err(format!("peer {index} has another beacon"));
            }
            let edits = document.set(workload::EDITS);
            for edit in &self.edits {
                let visible = workload::shows(&edits, edit.number);
                if edit.lost == visible {
                    let number = edit.number;
                    return Err(format!("peer {index}: edit {number}, lost: {}, is visible: {visible}", edit.lost));
                }
            }
            self.check_ids(index, peer)?;
        }
        self.check_disks(&expected)
    }

    /// No id is given up without need: a slot keeps its id whatever happens to processes and power.
    pub(super) fn check_ids(&self, index: usize, peer: &Peer) -> Checked {
        let disk = &self.disks[peer.disk];
        let used: Vec<&ReplicaId> = peer.ids.iter().filter(|id| disk.is_safe(**id, 1)).collect();
        if peer.slot.is_some() && !peer.lost_lock && used.len() > 1 {
            return Err(format!("ID-3: peer {index} wrote under {} ids: {used:?}", used.len()));
        }
        Ok(())
    }

    /// What is stored adds up to what is shown.
    pub(super) fn check_disks(&mut self, expected: &Shown) -> Checked {
        let now = self.time();
        for index in 0..self.peers.len() {
            let disk = &self.disks[self.peers[index].disk];
            let reopened = self.peers[index].start(disk, now, &mut self.rng).map_err(|error| error.to_string())?;
            if dump(reopened.document()) != *expected {
                return Err(format!("peer {index}'s disk holds something else than it showed"));
            }
        }
        let recovered = self.relay_disk.open(Some(1), &mut self.rng);
        let room = Room::recover(RoomConfig::default(), recovered, now).map_err(|error| error.to_string())?;
        if dump(room.document()) != *expected {
            return Err("the relay's disk holds something else than it showed".to_owned());
        }
        Ok(())
    }
}
