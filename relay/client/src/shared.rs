//! What the handles, the link and the writer of one replica share: the core's machine and the queues between them.
//!
//! Everything that touches the machine goes through [`Shared::with`], which drains the machine's outputs before the
//! lock is given back. So the queues always agree with the machine: frames are queued in the order the machine made
//! them, and the writer that takes the machine's state for a compaction knows that every record it stands for is in
//! the queue or stored.
//!
//! Nothing here waits, except for the lock, which is held for the time of one call into the core.

use crate::clock::Clock;
use crate::following::Following;
use crate::replica::Update;
use crate::status::{Status, StoreProblem, refusal};
use crate::storage::StoreError;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, watch};
use weftline::Timestamp;
use weftline::sync::{self, Output, PeerId, PeerState, Persist, Replica as Machine, Retry};

/// How many batches of changes a reader may be behind before it is told to read everything again instead.
const CHANGES_KEPT: usize = 1024;

/// The others who have a document open, and what each shows of itself.
pub type Present = BTreeMap<PeerId, Arc<[u8]>>;

/// What the application asked of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Be connected.
    Online,
    /// Stay offline.
    Offline,
    /// End.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Which thread holds the lock, by the address of a thread-local; 0 if none does.
    owner: AtomicUsize,
    /// There is something to store, or nothing more will come.
    pub(crate) work: Condvar,
    /// There are frames to send, or the core wants the connection ended. The sender waits for it.
    pub(crate) frames: Notify,
    /// The relay wants another token. Whoever renews it waits for it.
    pub(crate) renew: Notify,
    /// The deadline moved. The timer waits for it.
    pub(crate) deadline: Notify,
    /// The application wants to be connected now. Whoever waits for the next attempt waits for it too.
    pub(crate) hurry: Notify,
    /// What the application asked of the link.
    pub(crate) wish: watch::Sender<Wish>,
    /// The status as everybody sees it.
    pub(crate) status: watch::Sender<Status>,
    /// What others show of themselves.
    pub(crate) presence: watch::Sender<Present>,
    /// What changed in the document.
    pub(crate) changes: broadcast::Sender<Update>,
}

/// What lies under the lock.
#[derive(Debug)]
pub(crate) struct State {
    /// The core.
    pub(crate) machine: Machine,
    /// Frames for the present connection, oldest first.
    pub(crate) outgoing: VecDeque<Vec<u8>>,
    /// Groups of records that the writer has not taken yet, oldest first.
    pub(crate) unwritten: Vec<Persist>,
    /// Whether anything stores them at all; if not, they count as durable for what a memory is worth.
    pub(crate) stored: bool,
    /// The core asked for the end of the connection, and how long to stay away.
    pub(crate) hang_up: Option<HangUp>,
    /// Why nothing is stored any more.
    pub(crate) store_error: Option<Arc<StoreError>>,
    /// Why there is no connection.
    pub(crate) link_error: Option<String>,
    clock: Clock,
    deadline: Option<Timestamp>,
    following: Following,
}

/// The core's request to end the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HangUp {
    /// When to make the next attempt.
    pub(crate) retry: Retry,
}

impl Shared {
    /// Around a machine that was just opened.
    pub(crate) fn new(machine: Machine, stored: bool, wish: Wish, clock: Clock) -> Self {
        let status = Status::new(machine.status(), None, None);
        let state = State {
            machine,
            outgoing: VecDeque::new(),
            unwritten: Vec::new(),
            stored,
            hang_up: None,
            store_error: None,
            link_error: None,
            clock,
            deadline: None,
            following: Following::default(),
        };
        let shared = Self {
            state: Mutex::new(state),
            owner: AtomicUsize::new(0),
            work: Condvar::new(),
            frames: Notify::new(),
            renew: Notify::new(),
            deadline: Notify::new(),
            hurry: Notify::new(),
            wish: watch::Sender::new(wish),
            status: watch::Sender::new(status),
            presence: watch::Sender::new(Present::new()),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        };
        shared.with(|_, _| ());
        shared
    }

    /// Calls into the machine at the present time, then passes on what it put out.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let now = state.now();
        let result = call(&mut state, now);
        self.drain(&mut state);
        result
    }

    /// Whether this thread is inside [`Self::with`] already, as code that the application passes to a transaction is.
    pub(crate) fn is_inside(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == this_thread()
    }

    /// The state, without draining it; for those who only look.
    pub(crate) fn lock(&self) -> Guard<'_> {
        assert!(!self.is_inside(), "a replica was used inside one of its own transactions or reads");
        // A panic in the application's code was undone by whoever called it; the state is whole.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.owner.store(this_thread(), Ordering::Relaxed);
        Guard { shared: self, state: Some(state) }
    }

    /// Waits until there is something to store or the replica was closed.
    pub(crate) fn wait_for_work(&self) -> Guard<'_> {
        let mut guard = self.lock();
        while guard.unwritten.is_empty() && !self.is_closed() {
            guard = guard.unlocked(|state| self.work.wait(state).unwrap_or_else(PoisonError::into_inner));
        }
        guard
    }

    /// Waits for this long, or until the replica is closed; says whether it is.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut guard = self.lock();
        while !self.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard =
                guard.unlocked(|state| self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0);
        }
        true
    }

    /// Whether the replica was closed.
    pub(crate) fn is_closed(&self) -> bool {
        *self.wish.borrow() == Wish::Closed
    }

    /// Changes what the application asks of the link.
    pub(crate) fn wish(&self, wish: Wish) {
        // Under the lock, so that the writer cannot look at the wish just before this and then miss the notice.
        let _state = self.lock();
        self.wish.send_if_modified(|present| {
            let changes = *present != Wish::Closed && *present != wish;
            if changes {
                *present = wish;
            }
            changes
        });
        self.work.notify_all();
    }

    fn tell_presence(&self, news: &[PeerState]) {
        self.presence.send_modify(|present| {
            for PeerState { peer, value, .. } in news {
                match value {
                    Some(value) => _ = present.insert(*peer, Arc::clone(value)),
                    None => _ = present.remove(peer),
                }
            }
        });
    }

    fn drain(&self, state: &mut State) {
        loop {
            let now = state.now();
            let Some(output) = state.machine.poll(now) else { break };
            match output {
                Output::Transmit(frame) => state.outgoing.push_back(frame),
                Output::Persist(persist) if state.stored => state.unwritten.push(persist),
                Output::Persist(persist) => state.machine.durable(persist.token, now),
                // Nobody may be listening.
                Output::Changed(changes) => drop(self.changes.send(Update::Changes(Arc::new(changes)))),
                Output::ForkRepaired { dots } => drop(self.changes.send(Update::ForkRepaired(Arc::new(dots)))),
                Output::Presence(news) => self.tell_presence(&news),
                Output::TokenWanted => self.renew.notify_one(),
                Output::Status(_) => {}
                Output::Disconnect { retry } => state.hang_up = Some(HangUp { retry }),
            }
        }
        state.following.look(&state.machine);
        if !state.unwritten.is_empty() {
            self.work.notify_all();
        }
        if !state.outgoing.is_empty() || state.hang_up.is_some() {
            self.frames.notify_one();
        }
        let deadline = state.machine.deadline();
        if deadline != state.deadline {
            state.deadline = deadline;
            self.deadline.notify_one();
        }
        let status = Status::new(state.machine.status(), state.store_problem(), state.error());
        self.status.send_if_modified(|present| {
            let changes = *present != status;
            if changes {
                *present = status;
            }
            changes
        });
    }
}

impl State {
    /// The present.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.clock.now()
    }

    fn store_problem(&self) -> Option<StoreProblem> {
        let error = self.store_error.as_ref()?;
        Some(if error.is_full() { StoreProblem::Full } else { StoreProblem::Failing })
    }

    fn error(&self) -> Option<String> {
        match &self.store_error {
            Some(error) => Some(describe(error.as_ref())),
            None if self.machine.status().link == sync::Link::Live => {
                let refused = self.machine.status().refused?;
                Some(format!("the relay does not take an edit: {}", refusal(refused.reason)))
            }
            None => self.link_error.clone(),
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The lock, held.
pub(crate) struct Guard<'a> {
    shared: &'a Shared,
    /// Taken only while waiting for work and at the end.
    state: Option<MutexGuard<'a, State>>,
}

impl<'a> Guard<'a> {
    /// Gives the lock to `wait`, which gives it back.
    fn unlocked(mut self, wait: impl FnOnce(MutexGuard<'a, State>) -> MutexGuard<'a, State>) -> Self {
        self.shared.owner.store(0, Ordering::Relaxed);
        self.state = self.state.take().map(wait);
        self.shared.owner.store(this_thread(), Ordering::Relaxed);
        self
    }
}

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state.as_ref().expect("a guard holds its lock until it is dropped")
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_mut().expect("a guard holds its lock until it is dropped")
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.shared.owner.store(0, Ordering::Relaxed);
        drop(self.state.take());
    }
}

fn this_thread() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
