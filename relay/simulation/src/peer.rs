//! A client process in the simulation: a replica and what a driver keeps beside it.

use weftline::sync::{Backoff, OpenError, Opening, Replica};
use weftline::{ReplicaId, Timestamp, UndoLimits};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::plan::Age;
use crate::rng::Rng;

/// One client. Its processes come and go; its disk and its slot stay.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The running process, if there is one.
    pub(crate) replica: Option<Replica>,
    /// How many processes there have been. What was meant for an older one is dropped.
    pub(crate) process: u64,
    /// The machine it runs on.
    pub(crate) machine: usize,
    /// The document it has open, by the number of its room.
    pub(crate) room: usize,
    /// Its disk; tabs share one.
    pub(crate) disk: usize,
    /// Which version of the library it is.
    pub(crate) age: Age,
    /// It is there: only a copy is not from the beginning.
    pub(crate) active: bool,
    pub(crate) clock: Clock,
    /// What its driver draws from.
    pub(crate) rng: Rng,
    /// It keeps what undo needs.
    pub(crate) undo: bool,
    /// The slot whose lock it gets, if there are locks.
    pub(crate) slot: Option<u32>,
    /// The lock was lost in some process: then a second id is no waste.
    pub(crate) lost_lock: bool,
    /// The current connection.
    pub(crate) connection: Option<u64>,
    /// A connection is being made.
    pub(crate) dialing: bool,
    pub(crate) backoff: Backoff,
    /// The ids that its edits were written under.
    pub(crate) ids: Vec<ReplicaId>,
}

impl Peer {
    /// Starts a process on what the disk holds.
    ///
    /// # Errors
    /// When the disk's content cannot be opened, which no fault of a simulation explains.
    pub(crate) fn start(&mut self, disk: &Disk, now: Timestamp) -> Result<&Replica, OpenError> {
        let opening = Opening { slot: self.slot, entropy: self.rng.entropy(), now };
        self.process += 1;
        self.backoff = Backoff::new(self.rng.entropy());
        self.connection = None;
        self.dialing = false;
        let replica = self.replica.insert(Replica::open(&document(self.room), opening, disk.records())?);
        if self.undo {
            replica.keep_undo(Some(UndoLimits::default()));
        }
        Ok(replica)
    }
}

/// The name of the document of a room.
pub(crate) fn document(room: usize) -> String {
    format!("simulated/{room}")
}
