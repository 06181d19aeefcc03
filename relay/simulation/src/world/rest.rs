//! What a client may say of itself at any time, and what must be true when everything has come to rest.

use std::collections::BTreeMap;

use weftline::testing::{Shape, dump};
use weftline::{Document, Kind, ReplicaId, Value};
use weftline_relay::room::{Room, RoomConfig};

use super::{Checked, World, spec};
use crate::workload;

/// What a document shows.
type Shown = BTreeMap<(String, Kind), Shape>;

impl World<'_> {
    /// ACK-6: what a client says of itself is true when it says it.
    pub(super) fn check_status(&self, index: usize) -> Checked {
        let peer = &self.peers[index];
        let Some(replica) = &peer.replica else { return Ok(()) };
        let status = replica.status();
        if status.stuck > 0 && !self.settings.faults.copies() {
            return Err(format!("a peer is stuck: {index}: {status:?}"));
        }
        // What a connection was told is true until an operator undoes it; the next connection tells.
        let informed = peer.connection.is_some_and(|connection| connection > self.outdated) && status.is_synced();
        if (!informed && status.unstored > 0) || self.settings.faults.copies() {
            return Ok(());
        }
        let stored = &self.relay.rooms[peer.room].disk.version;
        for edit in self.edits.iter().filter(|edit| edit.peer == index && !edit.lost && !edit.uncertain) {
            let dot = edit.dot;
            if informed && !stored.covers(dot) {
                return Err(format!(
                    "ACK-6: peer {index} calls edit {:?} saved; the relay has not stored {dot}",
                    edit.number
                ));
            }
            let own = edit.process == peer.process;
            if own && status.unstored == 0 && !self.disks[peer.disk].is_safe(dot.replica, dot.seq) {
                return Err(format!(
                    "DUR-1: peer {index} calls edit {:?} stored; its disk may lose {dot}",
                    edit.number
                ));
            }
        }
        Ok(())
    }

    /// Remembers what a client has called saved.
    pub(super) fn note_saved(&mut self, index: usize) {
        let peer = &self.peers[index];
        let informed = peer.connection.is_some_and(|connection| connection > self.outdated);
        if !self.settings.faults.copies()
            || !informed
            || !peer.replica.as_ref().is_some_and(|it| it.status().is_synced())
        {
            return;
        }
        for edit in self.edits.iter_mut().filter(|edit| edit.peer == index && !edit.lost && !edit.uncertain) {
            edit.saved = true;
        }
    }

    /// ID-5: without copies nobody gives an id up. It takes its first one with its first edit, and keeps it.
    pub(super) fn check_writer(&self, index: usize) -> Checked {
        let peer = &self.peers[index];
        let (Some(replica), Some(last)) = (&peer.replica, peer.ids.last()) else { return Ok(()) };
        let kept = replica.writer() == Some(*last)
            || !self
                .edits
                .iter()
                .any(|edit| edit.dot.replica == *last && edit.process == peer.process && edit.peer == index);
        if kept || peer.lost_lock || self.settings.faults.copies() {
            return Ok(());
        }
        Err(format!("ID-5: peer {index} gives its id up: it was {last}, it is {:?}", replica.writer()))
    }

    /// Whether nothing is left to be done: no rule, only the moment to look at them.
    pub(super) fn is_at_rest(&self) -> bool {
        let settled = |state: &super::relay::RoomState| {
            state.newer.is_acked()
                && state.room.as_ref().is_none_or(|room| *room.committed_version() == room.document().version())
        };
        self.relay.is_up()
            && self.disks.iter().all(crate::disk::Disk::is_quiet)
            && self.relay.rooms.iter().all(settled)
            && self.peers.iter().filter(|peer| peer.active).all(|peer| {
                let connection = peer.connection.and_then(|id| self.connections.get(&id));
                let whole = connection.is_some_and(|it| it.relay_open && !it.up.broken && !it.down.broken);
                let room = self.relay.rooms[peer.room].room.as_ref();
                whole
                    && peer.replica.as_ref().is_some_and(|replica| {
                        let status = replica.status();
                        status.is_synced()
                            && status.unstored == 0
                            && room.is_some_and(|room| room.document().version() == replica.document().version())
                    })
            })
    }

    pub(super) fn check_at_rest(&mut self) -> Checked {
        for room in 0..self.relay.rooms.len() {
            self.check_room(room)?;
        }
        for index in 0..self.peers.len() {
            self.check_ids(index)?;
        }
        self.check_disks()
    }

    fn check_room(&mut self, number: usize) -> Checked {
        if !self.relay.rooms[number].newer.is_acked() {
            return Err(format!("what a newer peer wrote is not stored: in room {number}"));
        }
        self.open_room(number)?;
        let room = self.relay.rooms[number].room.as_ref().ok_or("a room that was just opened is open")?;
        let expected = dump(room.document());
        let version = room.document().version();
        if room.committed_version() != &version {
            return Err(format!("the relay has not committed everything: in room {number}"));
        }
        let mut documents: Vec<&Document> = Vec::new();
        for (index, peer) in self.peers.iter().enumerate().filter(|(_, peer)| peer.active && peer.room == number) {
            let replica = peer.replica.as_ref().ok_or_else(|| format!("a peer is not running: {index}"))?;
            let status = replica.status();
            if !status.is_synced() || status.unstored > 0 || status.stuck > 0 {
                return Err(format!("a peer has not come to rest: {index}: {status:?}"));
            }
            let document = replica.document();
            if document.version() != version {
                return Err(format!("a peer has another version: {index}:\n{:?}\n{version:?}", document.version()));
            }
            if document.beacon() != room.document().beacon() {
                return Err(format!("a peer has another beacon: {index}"));
            }
            if documents.is_empty() {
                let shown = dump(document);
                if shown != expected {
                    return Err(format!(
                        "a peer shows something else: {index}:\n{shown:#?}\nthe relay:\n{expected:#?}"
                    ));
                }
            } else if dump(document) != expected {
                return Err(format!("a peer shows something else: {index} than the others"));
            }
            documents.push(document);
        }
        let Some(first) = documents.first() else { return Ok(()) };
        self.check_edits(number, first)?;
        if !self.settings.faults.copies() {
            let spec = self.spec(number);
            self.report.compared += 1;
            spec::compare(&spec, first)
                .map_err(|what| format!("at rest a document is not what was written: in room {number} it {what}"))?;
        }
        self.schema.check(&documents).map_err(|what| format!("the schema's check failed: {what}"))
    }

    /// Every edit that was ever durable is there, once; those that were lost are not.
    fn check_edits(&self, room: usize, document: &Document) -> Checked {
        let edits = document.grow_only_set(workload::EDITS);
        for edit in self.edits.iter().filter(|edit| edit.room == room) {
            let Some(number) = edit.number else { continue };
            let visible = workload::shows(&edits, number);
            // A store that was put back takes with it what the relay has not got, and nothing else.
            let certain = edit.saved || !edit.uncertain;
            if edit.lost == visible && certain {
                return Err(format!("an edit is lost or back: {number}, lost: {}, is visible: {visible}", edit.lost));
            }
        }
        if !self.counts_copies() {
            return Ok(());
        }
        let list = document.list(workload::COUNTED);
        let listed: Vec<Value> = list.ids().filter_map(|id| list.register(id).get()).collect();
        let shown = self.edits.iter().filter(|edit| edit.room == room).filter_map(|edit| edit.number);
        let shown = shown.filter(|number| workload::shows(&edits, *number));
        let mut count = 0;
        for number in shown {
            count += 1;
            let times = listed.iter().filter(|value| value.as_int() == i64::try_from(number).ok()).count();
            if times != 1 {
                return Err(format!("an edit is there more than once, or in part: {number} is listed {times} times"));
            }
        }
        let counted = document.counter(workload::COUNTED).value();
        if counted != count {
            return Err(format!("edits are not counted once: {count} are there, the counter says {counted}"));
        }
        Ok(())
    }

    /// Whether edits leave what shows that one is there twice. Undo would take it back.
    pub(super) const fn counts_copies(&self) -> bool {
        self.settings.undo == 0
    }

    /// No id is given up without need: a slot keeps its id whatever happens to processes and power.
    fn check_ids(&self, index: usize) -> Checked {
        let peer = &self.peers[index];
        let disk = &self.disks[peer.disk];
        let used: Vec<&ReplicaId> = peer.ids.iter().filter(|id| disk.is_safe(**id, 1)).collect();
        if peer.slot.is_some() && !peer.lost_lock && !self.settings.faults.copies() && used.len() > 1 {
            return Err(format!("ID-3: peer {index} wrote under {} ids: {used:?}", used.len()));
        }
        Ok(())
    }

    /// What is stored adds up to what is shown.
    fn check_disks(&mut self) -> Checked {
        for index in 0..self.peers.len() {
            if !self.peers[index].active {
                continue;
            }
            let now = self.time(index);
            let peer = &mut self.peers[index];
            let Some(running) = peer.replica.take() else { continue };
            let reopened = peer.start(&self.disks[peer.disk], now).map_err(|error| error.to_string())?;
            same(running.document(), reopened.document())
                .map_err(|what| format!("a disk holds something else than was shown: of peer {index}: {what}"))?;
        }
        let now = self.relay.time(self.now);
        for (number, state) in self.relay.rooms.iter_mut().enumerate() {
            let Some(running) = state.room.take() else { continue };
            let recovered = state.disk.open(1, &mut self.relay.rng);
            let room = Room::recover(RoomConfig::default(), recovered, now).map_err(|error| error.to_string())?;
            same(running.document(), room.document()).map_err(|what| {
                format!("the relay's disk holds something else than was shown: room {number}: {what}")
            })?;
        }
        Ok(())
    }
}

/// Two documents at rest that must be one. Equal beacons say that what lives is the same; that what is shown follows from it is
/// checked where documents are compared with the specification.
fn same(running: &Document, reopened: &Document) -> Checked {
    if running.version() != reopened.version() {
        return Err(format!("another version:\n{:?}\n{:?}", reopened.version(), running.version()));
    }
    if running.beacon() != reopened.beacon() {
        return Err("other contents".to_owned());
    }
    let (shown, expected): (Shown, Shown) = (dump(reopened), dump(running));
    if shown == expected { Ok(()) } else { Err(format!("\n{shown:#?}\nand not\n{expected:#?}")) }
}
