//! The handle that an application holds.

use crate::clock::Clock;
use crate::config::{ClientConfig, Durability, Store};
use crate::error::{FlushError, NotSynced, OpenError};
use crate::link;
use crate::shared::{Present, Shared, Wish};
use crate::status::Status;
use crate::storage::{self, Disk, FileSystem, Opened};
use crate::websocket::Address;
use crate::writer;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use weftline::sync::{Backoff, Opening, PeerId, PresenceTooLong, Replica as Machine};
use weftline::{Changes, Commit, Document, DotRuns, EditError, Transaction};

/// A document that this program reads and edits at once, stores by itself, and keeps equal to every other replica of
/// it.
///
/// Clones are handles to one replica. When the last one is dropped the replica ends by itself, but only
/// [`Replica::close`] or [`Replica::flushed`] tells when everything is on the disk; a program that exits at once may
/// lose its last edits.
#[derive(Debug, Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    document: String,
    /// How many of the link and the writer are still running.
    running: watch::Receiver<u32>,
    pid: u32,
}

impl Replica {
    /// Opens a document: reads the store, then connects to the relay if one was given. Must be called inside a tokio
    /// runtime.
    ///
    /// Returns as soon as the stored state is there; [`Replica::synced`] waits for the relay.
    ///
    /// # Errors
    /// When the address is none, or the store cannot be opened or read.
    pub async fn open(config: ClientConfig) -> Result<Self, OpenError> {
        Self::open_on(FileSystem::shared(), config).await
    }

    /// [`Self::open`], with the store on this disk.
    pub(crate) async fn open_on(disk: Arc<dyn Disk>, config: ClientConfig) -> Result<Self, OpenError> {
        let ClientConfig { document, relay, store, durability, token, connect } = config;
        let address = match relay {
            Some(address) => match Address::parse(&address) {
                Ok(parsed) => Some(parsed),
                Err(reason) => return Err(OpenError::BadAddress { address, reason }),
            },
            None => None,
        };
        let backoff = Backoff::new(random()?);
        let mut clock = Clock::new();
        let opening = Opening { slot: None, entropy: random()?, now: clock.now() };
        let name = document.clone();
        let unique = u128::from_le_bytes(random()?);
        let place = Place { disk, store, durability, unique };
        let blocking = tokio::task::spawn_blocking(move || open_machine(&name, &place, opening));
        let (machine, store) = blocking.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))?;

        let wish = if connect { Wish::Online } else { Wish::Offline };
        let shared = Arc::new(Shared::new(machine, store.is_some(), wish, clock));
        let (running, running_seen) = watch::channel(0);
        let running = Arc::new(running);
        if let Some(store) = store {
            let (shared, running) = (Arc::clone(&shared), Running::one_more(&running));
            let thread = std::thread::Builder::new().name("weftline-store".to_owned());
            let body = move || {
                writer::run(&shared, store, durability);
                drop(running);
            };
            thread.spawn(body).map_err(OpenError::Thread)?;
        }
        if let Some(address) = address {
            let (shared, running) = (Arc::clone(&shared), Running::one_more(&running));
            tokio::spawn(async move {
                link::run(shared, address, token, backoff).await;
                drop(running);
            });
        }
        Ok(Self { inner: Arc::new(Inner { shared, document, running: running_seen, pid: std::process::id() }) })
    }

    /// The document's name.
    pub fn name(&self) -> &str {
        &self.inner.document
    }

    /// Edits the document: all of it at once, or nothing if `edit` returns an error or panics. The edit is visible to
    /// reads when this returns; storing and sending go on in the background.
    ///
    /// # Errors
    /// What `edit` returns; [`EditError::NoWriter`] if the replica was closed; [`EditError::InTransaction`] when
    /// called inside another transaction or read of this replica.
    pub fn transact<T, E: From<EditError>>(
        &self,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let shared = &self.inner.shared;
        if shared.is_inside() {
            return Err(EditError::InTransaction.into());
        }
        let ended = shared.with(|state, now| {
            if shared.is_closed() {
                return Ok(Err(EditError::NoWriter.into()));
            }
            if std::process::id() != self.inner.pid {
                // A forked process holds the same lock: it must not write as the same replica (ID-5).
                state.machine.retire();
            }
            match catch_unwind(AssertUnwindSafe(|| state.machine.transact(now, edit))) {
                Ok(Ok(Commit { value, changes, .. })) => {
                    if !changes.is_empty() {
                        // Nobody may be listening.
                        drop(shared.changes.send(Update::Changes(Arc::new(changes))));
                    }
                    Ok(Ok(value))
                }
                Ok(Err(error)) => Ok(Err(error)),
                Err(panic) => {
                    state.machine.rollback();
                    Err(panic)
                }
            }
        });
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Reads the document. Keep it short: edits and arriving changes wait meanwhile.
    ///
    /// # Panics
    /// When called inside a transaction or read of this replica; a transaction has reads of its own.
    pub fn read<T>(&self, read: impl FnOnce(&Document) -> T) -> T {
        read(self.inner.shared.lock().machine.document())
    }

    /// What changes from now on, in local transactions and by others.
    pub fn changes(&self) -> ChangeStream {
        let shared = &self.inner.shared;
        ChangeStream { receiver: shared.changes.subscribe(), wish: shared.wish.subscribe() }
    }

    /// Shows this to everybody else who has the document open, in place of what was shown before; `None` shows nothing
    /// any more. A name, a colour, a cursor: at most [`weftline::sync::limits::MAX_PRESENCE`] bytes, which mean
    /// something to the application alone (the npm package writes JSON). Never stored; gone for the others when this
    /// replica disconnects.
    ///
    /// # Errors
    /// When it is too long; what was shown before stays.
    ///
    /// # Panics
    /// When called inside a transaction or read of this replica.
    pub fn set_presence(&self, value: Option<&[u8]>) -> Result<(), PresenceTooLong> {
        self.inner.shared.with(|state, now| state.machine.set_presence(now, value))
    }

    /// The others who have the document open and show something, and what.
    pub fn presence(&self) -> Present {
        self.inner.shared.presence.borrow().clone()
    }

    /// The same as it changes. A slow reader sees the newest of each.
    pub fn watch_presence(&self) -> watch::Receiver<Present> {
        self.inner.shared.presence.subscribe()
    }

    /// The name that this replica has among those.
    ///
    /// # Panics
    /// When called inside a transaction or read of this replica.
    pub fn peer(&self) -> PeerId {
        self.inner.shared.lock().machine.peer()
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        self.inner.shared.status.borrow().clone()
    }

    /// The status as it changes.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.inner.shared.status.subscribe()
    }

    /// Connects to the relay, if there is one and no connection is there or being made, and stays connected. The next
    /// attempt is made at once, however long it would have been waited for.
    pub fn connect(&self) {
        self.inner.shared.wish(Wish::Online);
        self.inner.shared.hurry.notify_one();
    }

    /// Closes the connection and stays offline until told to connect.
    pub fn disconnect(&self) {
        self.inner.shared.wish(Wish::Offline);
    }

    /// Waits until every edit made so far is durable in the local store. With [`Store::Memory`] there is nothing to
    /// wait for.
    ///
    /// # Errors
    /// When the store fails. The replica opens it again by itself and tries on.
    pub async fn flushed(&self) -> Result<(), FlushError> {
        let shared = &self.inner.shared;
        let mut status = shared.status.subscribe();
        loop {
            {
                let state = shared.lock();
                if state.machine.status().unstored == 0 {
                    return Ok(());
                }
                if let Some(error) = &state.store_error {
                    return Err(FlushError(Arc::clone(error)));
                }
            }
            if status.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Waits until the replica is live and every edit made so far is durable at the relay, for as long as that takes.
    pub async fn saved(&self) {
        let mut status = self.watch_status();
        // The sender lives as long as this handle.
        let _ = status.wait_for(Status::is_synced).await;
    }

    /// Waits until the replica is live and every edit made so far is durable at the relay, but no longer than this.
    ///
    /// # Errors
    /// When the time is over. Nothing is lost then: the outbox keeps what the relay does not have.
    pub async fn synced(&self, within: Duration) -> Result<(), NotSynced> {
        match tokio::time::timeout(within, self.saved()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(NotSynced { status: self.status() }),
        }
    }

    /// Ends the replica: says goodbye to the relay, stores what is not stored yet, and gives the slot back. Other
    /// handles can still read, and edit nothing.
    ///
    /// # Errors
    /// When edits could not be stored.
    pub async fn close(self) -> Result<(), FlushError> {
        let shared = &self.inner.shared;
        shared.wish(Wish::Closed);
        let mut running = self.inner.running.clone();
        // An error means that nobody is left who could be running.
        let _ = running.wait_for(|running| *running == 0).await;
        let state = shared.lock();
        match &state.store_error {
            Some(error) if state.machine.status().unstored > 0 => Err(FlushError(Arc::clone(error))),
            _ => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.wish(Wish::Closed);
    }
}

/// Counts a task or thread of a replica for as long as it lives, also if it panics.
#[derive(Debug)]
struct Running(Arc<watch::Sender<u32>>);

impl Running {
    fn one_more(running: &Arc<watch::Sender<u32>>) -> Self {
        running.send_modify(|running| *running += 1);
        Self(Arc::clone(running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

/// What changes in a document, batch by batch.
#[derive(Debug)]
pub struct ChangeStream {
    receiver: broadcast::Receiver<Update>,
    /// Other handles keep the sender alive when the replica is closed.
    wish: watch::Receiver<Wish>,
}

/// One item of a [`ChangeStream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// What one transaction, or one delta or diff of others, changed.
    Changes(Arc<Changes>),
    /// The store had been copied, or put back to an older state, and both copies wrote: what this one wrote was repaired. What lived under
    /// these dots, which are the ids of list elements, has other ones now: anything may have changed.
    ForkRepaired(Arc<DotRuns>),
    /// The reader was too slow and missed batches: anything may have changed.
    Missed,
}

impl ChangeStream {
    /// The next batch; `None` once the replica is closed and everything was read.
    pub async fn next(&mut self) -> Option<Update> {
        let received = tokio::select! {
            biased;
            received = self.receiver.recv() => received,
            _ = self.wish.wait_for(|wish| *wish == Wish::Closed) => return None,
        };
        match received {
            Ok(update) => Some(update),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Update::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Where a store is, and what is asked of it.
struct Place {
    disk: Arc<dyn Disk>,
    store: Store,
    durability: Durability,
    /// Random, for what must not be named twice.
    unique: u128,
}

fn open_machine(
    document: &str,
    place: &Place,
    opening: Opening,
) -> Result<(Machine, Option<storage::FolderStore>), OpenError> {
    let (opening, records, store) = match &place.store {
        Store::Memory => (opening, Vec::new(), None),
        Store::Folder(root) => {
            let Opened { index, records, store } =
                storage::open(Arc::clone(&place.disk), root, document, place.unique)?;
            // ID-3: an id goes on only if every mark of how far it went was synced.
            let slot = index.filter(|_| place.durability == Durability::PowerCut);
            (Opening { slot, ..opening }, records, Some(store))
        }
    };
    let machine = Machine::open(document, opening, records)
        .map_err(|source| OpenError::Records { document: document.to_owned(), source })?;
    Ok((machine, store))
}

fn random() -> Result<[u8; 16], OpenError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(OpenError::Randomness)?;
    Ok(bytes)
}
