//! The rooms that are open: made when somebody comes, gone when nobody is there.
//!
//! Whoever talks to a room holds a [`RoomHandle`], and handles are counted under the same lock under which a room is looked up or
//! forgotten. So a room that ends because nobody uses it cannot be entered at that moment, and no message to it is lost. A room that fails
//! forgets itself first and then tells its members, who find a new one when they come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use weftline::sync::{Close, CloseReason, NackReason, Retry};

use super::actor::{self, ToRoom, now};
use super::close_for;
use super::health::Health;
use super::{Newcomers, RoomConfig};
use crate::config::Config;
use crate::limits::{Quarantine, RoomLimits, RoomMeters, Staged};
use crate::metrics::{Metrics, Refused};
use crate::session::connections::Connections;
use crate::store::{Mode, Store, StoreError};

/// Messages that wait for a room. Enough that a room finds a group to commit together; when it is full, sessions read no further.
const MAILBOX: usize = 256;

/// Of how many documents that are not open it is remembered who brought new ids to them. Of more, whoever comes first is forgotten last.
const NEWCOMERS_OF: usize = 10_000;

/// The open rooms of a relay. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    settings: RoomSettings,
    stop: watch::Receiver<bool>,
    rooms: Mutex<BTreeMap<Arc<str>, Entry>>,
    /// What operators have said of documents. Looked at while `rooms` is held, so that nobody enters past it.
    gates: Mutex<Gates>,
    connections: Connections,
    /// How many room tasks run. It falls after a room is forgotten, when the last of its work is done.
    running: watch::Sender<usize>,
    next_number: AtomicU64,
    health: Health,
    quarantine: Quarantine,
    staged: Arc<Staged>,
    /// What rooms knew of newcomers when they were let go.
    newcomers: Mutex<BTreeMap<Arc<str>, Newcomers>>,
}

/// What every room is told at its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomSettings {
    pub(super) idle: Duration,
    pub(super) room: RoomConfig,
    limits: RoomLimits,
}

struct Entry {
    number: u64,
    meters: Arc<RoomMeters>,
    mailbox: mpsc::Sender<ToRoom>,
    users: usize,
    glance: Arc<Glance>,
}

/// What can be seen of a room without asking it.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    members: AtomicUsize,
    behind: AtomicUsize,
    committed: AtomicU64,
}

impl Glance {
    pub(super) fn set(&self, members: usize, behind: usize, committed: u64) {
        self.members.store(members, Ordering::Relaxed);
        self.behind.store(behind, Ordering::Relaxed);
        self.committed.store(committed, Ordering::Relaxed);
    }
}

/// An open document, as it looks from outside.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) name: Arc<str>,
    pub(crate) members: usize,
    pub(crate) behind: usize,
    pub(crate) committed: u64,
}

/// What operators have said of documents.
#[derive(Debug, Default)]
struct Gates {
    modes: BTreeMap<Arc<str>, Mode>,
    /// Documents that something is done to which nobody may be there for.
    busy: BTreeSet<Arc<str>>,
}

impl Registry {
    pub(crate) fn new(store: Arc<dyn Store>, config: &Config, stop: watch::Receiver<bool>) -> Self {
        let limits = &config.limits;
        let room = RoomConfig {
            max_delta: limits.max_delta,
            max_document: limits.max_document,
            max_members: limits.max_members,
            max_replicas: limits.max_replicas,
            max_new_replicas: limits.max_new_replicas,
            ..RoomConfig::default()
        };
        let settings = RoomSettings { idle: config.room_idle, room, limits: limits.of_room() };
        let shared = Shared {
            store,
            metrics: Arc::default(),
            settings,
            stop,
            rooms: Mutex::default(),
            gates: Mutex::default(),
            connections: Connections::default(),
            running: watch::Sender::new(0),
            next_number: AtomicU64::new(1),
            health: Health::new(),
            quarantine: Quarantine::default(),
            staged: Arc::new(Staged::new(limits.max_unfinished)),
            newcomers: Mutex::default(),
        };
        Registry { shared: Arc::new(shared) }
    }

    /// How many documents are open.
    #[must_use]
    pub fn open_rooms(&self) -> usize {
        self.rooms().len()
    }

    /// Waits until a document is no longer open.
    pub async fn closed(&self, document: &str) {
        let mut running = self.shared.running.subscribe();
        // The sender lives as long as we do, so waiting cannot fail.
        let _ = running.wait_for(|_| !self.rooms().contains_key(document)).await;
    }

    /// Waits until no room is open.
    pub(crate) async fn drained(&self) {
        let _ = self.shared.running.subscribe().wait_for(|running| *running == 0).await;
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.shared.store
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// A number that no other room or session of this process has.
    pub(crate) fn next_number(&self) -> u64 {
        self.shared.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The connections that there are.
    pub(crate) fn connections(&self) -> &Connections {
        &self.shared.connections
    }

    /// What operators have said of a document.
    pub(crate) fn mode(&self, document: &str) -> Mode {
        self.gates().modes.get(document).copied().unwrap_or_default()
    }

    /// Keeps what operators have said of documents.
    pub(crate) fn set_mode(&self, document: &str, mode: Mode) {
        let mut gates = self.gates();
        match mode {
            Mode::ReadWrite => _ = gates.modes.remove(document),
            mode => _ = gates.modes.insert(document.into(), mode),
        }
    }

    /// The open documents with the most members, at most so many.
    pub(crate) fn largest(&self, most: usize) -> Vec<Open> {
        let look = |(name, entry): (&Arc<str>, &Entry)| Open {
            name: Arc::clone(name),
            members: entry.glance.members.load(Ordering::Relaxed),
            behind: entry.glance.behind.load(Ordering::Relaxed),
            committed: entry.glance.committed.load(Ordering::Relaxed),
        };
        let mut all: Vec<Open> = self.rooms().iter().map(look).collect();
        all.sort_by(|one, other| other.members.cmp(&one.members).then_with(|| one.name.cmp(&other.name)));
        all.truncate(most);
        all
    }

    /// The way to a room that is open.
    pub(crate) fn open_room(&self, document: &str) -> Option<RoomHandle> {
        let rooms = self.rooms();
        if !rooms.contains_key(document) {
            return None;
        }
        Some(self.enter_locked(rooms, document))
    }

    /// Ends the room of a document, and keeps everybody out while the guard lives.
    pub(crate) async fn shut(&self, document: &str, close: Close) -> Option<Shut> {
        let room = {
            let rooms = self.rooms();
            if !self.gates().busy.insert(document.into()) {
                return None;
            }
            rooms.contains_key(document).then(|| self.enter_locked(rooms, document))
        };
        let shut = Shut { registry: self.clone(), document: document.into() };
        if let Some(room) = room {
            // A room that has ended meanwhile needs not be told.
            let _ = room.mailbox().send(ToRoom::Shut { close }).await;
            drop(room);
            self.closed(document).await;
        }
        Some(shut)
    }

    /// Why nothing can be stored at present, if so: edits are refused for it.
    #[must_use]
    pub fn trouble(&self) -> Option<NackReason> {
        *self.shared.health.watch().borrow()
    }

    /// What unfinished messages of all connections take.
    pub(crate) fn staged(&self) -> &Arc<Staged> {
        &self.shared.staged
    }

    /// The documents that are put aside.
    #[must_use]
    pub fn quarantine(&self) -> &Quarantine {
        &self.shared.quarantine
    }

    /// The room of a document, opened if need be.
    ///
    /// # Errors
    /// When the document is put aside, or operators keep everybody out: what to tell whoever asks.
    pub(crate) fn enter(&self, document: &str) -> Result<RoomHandle, Close> {
        if let Some(close) = self.shared.quarantine.check(document, Instant::now()) {
            self.shared.metrics.refused.one(Refused::Quarantined as usize);
            return Err(close);
        }
        let rooms = self.rooms();
        let closed = {
            let gates = self.gates();
            let is_closed = gates.modes.get(document) == Some(&Mode::Closed);
            let busy = gates.busy.contains(document).then(|| close_for(CloseReason::Restart));
            // It may be opened again, which nobody tells those who were refused.
            let denied = Close { reason: CloseReason::Denied, retry: Retry::after_ms(60_000) };
            is_closed.then_some(denied).or(busy)
        };
        match closed {
            Some(close) => Err(close),
            None => Ok(self.enter_locked(rooms, document)),
        }
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        self.shared.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter_locked(&self, mut rooms: MutexGuard<'_, BTreeMap<Arc<str>, Entry>>, document: &str) -> RoomHandle {
        if let Some((name, entry)) = rooms.get_key_value(document).map(|(name, entry)| (Arc::clone(name), entry)) {
            let (number, mailbox, meters) = (entry.number, entry.mailbox.clone(), Arc::clone(&entry.meters));
            rooms.get_mut(&name).expect("it was just found").users += 1;
            return RoomHandle { registry: self.clone(), name, number, mailbox, meters };
        }
        let name: Arc<str> = document.into();
        let number = self.next_number();
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        let (meters, glance) = (Arc::new(RoomMeters::new(self.shared.settings.limits, Instant::now())), Arc::default());
        let entry = Entry {
            number,
            meters: Arc::clone(&meters),
            mailbox: mailbox.clone(),
            users: 1,
            glance: Arc::clone(&glance),
        };
        rooms.insert(Arc::clone(&name), entry);
        self.shared.running.send_modify(|running| *running += 1);
        let lease = RoomLease { registry: self.clone(), name: Arc::clone(&name), number, glance };
        tokio::spawn(actor::run(lease, messages));
        RoomHandle { registry: self.clone(), name, number, mailbox, meters }
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Entry>> {
        // Nothing that can panic runs while the map is half changed.
        self.shared.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("rooms", &self.open_rooms()).finish_non_exhaustive()
    }
}

/// Somebody's way to a room. The room stays open at least as long.
pub(crate) struct RoomHandle {
    registry: Registry,
    name: Arc<str>,
    number: u64,
    mailbox: mpsc::Sender<ToRoom>,
    meters: Arc<RoomMeters>,
}

impl RoomHandle {
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn mailbox(&self) -> &mpsc::Sender<ToRoom> {
        &self.mailbox
    }

    /// How fast the document is written to.
    pub(crate) fn meters(&self) -> &RoomMeters {
        &self.meters
    }
}

impl Drop for RoomHandle {
    fn drop(&mut self) {
        if let Some(entry) = self.registry.rooms().get_mut(&self.name)
            && entry.number == self.number
        {
            entry.users -= 1;
        }
    }
}

/// A room's own place in the registry, given up when the room's task ends, however it ends.
pub(super) struct RoomLease {
    registry: Registry,
    name: Arc<str>,
    number: u64,
    glance: Arc<Glance>,
}

/// Keeps everybody out of a document. See [`Registry::shut`].
pub(crate) struct Shut {
    registry: Registry,
    document: Arc<str>,
}

impl Drop for Shut {
    fn drop(&mut self) {
        self.registry.gates().busy.remove(&self.document);
    }
}

impl RoomLease {
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.registry.shared.store
    }

    pub(super) fn glance(&self) -> &Glance {
        &self.glance
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.registry.mode(&self.name) == Mode::ReadOnly
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.registry.shared.metrics
    }

    pub(super) fn settings(&self) -> RoomSettings {
        self.registry.shared.settings
    }

    pub(super) fn health(&self) -> &Health {
        &self.registry.shared.health
    }

    pub(super) fn quarantine(&self) -> &Quarantine {
        &self.registry.shared.quarantine
    }

    /// What the room before this one knew of newcomers.
    pub(super) fn newcomers(&self) -> Newcomers {
        let mut kept = self.registry.shared.newcomers.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&self.name).unwrap_or_default()
    }

    /// Keeps for the room after this one what counts of newcomers.
    pub(super) fn keep(&self, newcomers: &Newcomers) {
        let mut newcomers = newcomers.clone();
        let mut kept = self.registry.shared.newcomers.lock().unwrap_or_else(PoisonError::into_inner);
        if !newcomers.forget(now()) {
            kept.remove(&self.name);
            return;
        }
        if kept.len() >= NEWCOMERS_OF {
            kept.retain(|_, newcomers| newcomers.forget(now()));
        }
        if kept.len() < NEWCOMERS_OF {
            kept.insert(Arc::clone(&self.name), newcomers);
        }
    }

    /// So many bytes could not be appended.
    pub(super) fn append_failed(&self, failure: &StoreError, bytes: usize) {
        self.health().append_failed(self.store(), failure, bytes, self.stop());
    }

    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.registry.shared.stop.clone()
    }

    /// Forgets the room if nobody has a handle to it; says whether it did.
    pub(super) fn forget_if_unused(&self) -> bool {
        let mut rooms = self.registry.rooms();
        let unused = rooms.get(&self.name).is_none_or(|entry| entry.number != self.number || entry.users == 0);
        if unused {
            self.remove(&mut rooms);
        }
        unused
    }

    /// Forgets the room whoever has a handle to it: whoever comes next gets a new one.
    pub(super) fn forget(&self) {
        self.remove(&mut self.registry.rooms());
    }

    fn remove(&self, rooms: &mut BTreeMap<Arc<str>, Entry>) {
        if rooms.get(&self.name).is_some_and(|entry| entry.number == self.number) {
            rooms.remove(&self.name);
        }
    }
}

impl Drop for RoomLease {
    fn drop(&mut self) {
        self.forget();
        self.registry.shared.running.send_modify(|running| *running -= 1);
    }
}
