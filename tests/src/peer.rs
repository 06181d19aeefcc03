//! A client process in the simulation: a replica and what a driver keeps beside it.

use weftline::sync::{Backoff, OpenError, Opening, Replica};
use weftline::{ReplicaId, Timestamp};

use crate::disk::Disk;
use crate::rng::Rng;

/// The document of every simulation.
pub(crate) const DOCUMENT: &str = "simulated/document";

/// One client. Its processes come and go; its disk and its slot stay.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The running process, if there is one.
    pub(crate) replica: Option<Replica>,
    /// How many processes there have been. What was meant for an older one is dropped.
    pub(crate) process: u64,
    /// Its disk; tabs share one.
    pub(crate) disk: usize,
    /// The slot whose lock it gets, if there are locks.
    pub(crate) slot: Option<u32>,
    /// The lock was lost in some process: then a second id is no waste.
    pub(crate) lost_lock: bool,
    /// The current connection.
    pub(crate) connection: Option<u64>,
    /// A connection is being made.
    pub(crate) dialing: bool,
    /// The user pulled the plug.
    pub(crate) offline: bool,
    pub(crate) backoff: Backoff,
    /// The ids that its edits were written under.
    pub(crate) ids: Vec<ReplicaId>,
}

impl Peer {
    /// A client that is not running.
    pub(crate) fn new(disk: usize, slot: Option<u32>) -> Self {
        Self {
            replica: None,
            process: 0,
            disk,
            slot,
            lost_lock: false,
            connection: None,
            dialing: false,
            offline: false,
            backoff: Backoff::new([0; 16]),
            ids: Vec::new(),
        }
    }

    /// Starts a process on what the disk holds.
    ///
    /// # Errors
    /// When the disk's content cannot be opened, which no fault of a simulation explains.
    pub(crate) fn start(&mut self, disk: &Disk, now: Timestamp, rng: &mut Rng) -> Result<&Replica, OpenError> {
        let opening = Opening { slot: self.slot, entropy: rng.entropy(), now };
        self.process += 1;
        self.backoff = Backoff::new(rng.entropy());
        self.connection = None;
        self.dialing = false;
        Ok(self.replica.insert(Replica::open(DOCUMENT, opening, disk.records())?))
    }
}
