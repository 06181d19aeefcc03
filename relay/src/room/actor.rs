//! The task that drives one room.
//!
//! It recovers the document, gives the pure [`Room`] what arrives from sessions and from the store, and does what the room asks for. It
//! never waits for a session: a member whose inbox is full is closed. Nor does it wait for the store; appends, snapshots and reads are
//! under way while messages are handled, up to a bound on what waits for a commit.
//!
//! A room that fails (a commit that did not come through, a document that cannot be read, a bug) is forgotten by the registry, tells its
//! members, and ends. After a failed commit its memory is ahead of the disk, so going on would show what is not stored (FAN-1); whoever
//! comes back gets a room that was read from the store anew, and that appends nothing while the store fails ([`super::health`]). What cannot
//! be read is put aside, and so is what brings out a bug twice ([`crate::limits::Quarantine`]).

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, Span, debug, debug_span, error, info_span, warn};
use weftline::Timestamp;
use weftline::sync::{Close, CloseReason, Level, Message, Open, Retry};

use super::RoomReport;
use super::inbox::{NotTaken, Outlet};
use super::registry::RoomLease;
use super::{Effect, Input, MemberId, Note, Outgoing, RecoverError, Rights, Room, RoomConfig};
use crate::metrics::Metrics;
use crate::store::{Pending, Position, StoreError, Tail};

/// How many messages are handled before what the room asks for is done: their rows share one append.
const AT_ONCE: usize = 64;

/// A list of more messages than these is not kept for the next ones: most documents are quiet most of the time.
const FEW: usize = 8;

/// No more messages are taken from members while so many bytes of rows wait for a commit: a disk that is slower than the writers must slow
/// them down, not fill the memory.
const MAX_WAITING: usize = 32 << 20;

/// How many bytes may be on the way to a member before its connection says that it took some. Small edits then follow each other without a
/// word from the connection; what a member that reads no more costs is this, one batch, and what the system buffers.
pub(crate) const WINDOW: usize = 32 << 10;
/// About how long clients take to come back to a room that failed.
const RETURN_MS: u32 = 1_000;

/// The target of events that tell what becomes of single edits. The native client uses the same.
const EDITS: &str = "weftline::edit";

/// In a room with more members it is counted only now and then how many are behind.
const LOOKED_AT_EACH_TIME: usize = 64;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What sessions say to a room.
pub(crate) enum ToRoom {
    /// A connection opens the document.
    Join { member: MemberId, connection: u64, channel: u64, outlet: Outlet, open: Box<Open>, rights: Rights },
    /// A member may do more than before, or less.
    Rights { member: MemberId, rights: Rights },
    /// The client said something on its channel.
    Message { member: MemberId, message: Box<Message>, at: Instant },
    /// So many bytes of bulk messages went out on the socket ([`Outgoing::weight`]).
    Drained { member: MemberId, bytes: usize },
    /// Nothing more will come; asks for [`Said::Finished`] when all that came is settled.
    Finish { member: MemberId },
    /// The connection or the channel is closed.
    Leave { member: MemberId },
    /// An operator asks how things are.
    Report { reply: oneshot::Sender<Told> },
    /// An operator wants the log replaced by a snapshot, and to hear when that is so.
    Compact { reply: oneshot::Sender<Told> },
    /// Edits are taken from nobody, or from those who may write.
    ReadOnly { on: bool },
    /// The room is to end, and everybody in it to be told so.
    Shut { close: Close },
}

/// What operators are told of a room.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) report: RoomReport,
    /// The connection of each member.
    pub(crate) connections: BTreeMap<MemberId, u64>,
}

impl ToRoom {
    /// Whom it is about, unless it is about all.
    pub(crate) fn member(&self) -> Option<MemberId> {
        match self {
            ToRoom::Join { member, .. }
            | ToRoom::Rights { member, .. }
            | ToRoom::Message { member, .. }
            | ToRoom::Drained { member, .. }
            | ToRoom::Finish { member }
            | ToRoom::Leave { member } => Some(*member),
            ToRoom::Report { .. } | ToRoom::Compact { .. } | ToRoom::ReadOnly { .. } | ToRoom::Shut { .. } => None,
        }
    }
}

/// What a room says to one member.
#[derive(Debug)]
pub(crate) struct FromRoom {
    pub(crate) member: MemberId,
    pub(crate) channel: u64,
    pub(crate) said: Said,
}

#[derive(Debug)]
pub(crate) enum Said {
    /// To be sent to the client.
    Message(Outgoing),
    /// The channel is closed, and the room has forgotten the member.
    Closed(Close),
    /// The connection is to end.
    End(Close),
    /// Everything that came before [`ToRoom::Finish`] is committed, and its answers are sent.
    Finished,
}

/// Runs a room until it is idle or fails.
pub(super) async fn run(lease: RoomLease, mailbox: mpsc::Receiver<ToRoom>) {
    let metrics = lease.metrics().clone();
    let mut driver = Driver {
        lease,
        mailbox,
        members: BTreeMap::new(),
        metrics,
        behind: 0,
        look_at: Instant::now(),
        looks_old: false,
        arrived: None,
        compacting: Vec::new(),
    };
    // A bug that one document brings out must not take the process down with all others.
    let failure = match AssertUnwindSafe(driver.drive()).catch_unwind().await {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::Panic(panic_text(&*panic)),
    };
    if let Failure::Shut(close) = failure {
        debug!(document = &**driver.lease.name(), ?close, "the room is shut");
        return driver.give_up(close);
    }
    error!(document = &**driver.lease.name(), %failure, "the room is closed");
    driver.metrics.rooms_failed.one();
    let close = driver.close_for_failure(&failure);
    driver.give_up(close);
}

/// Why a room ends before it is idle.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what is stored is not a document: {0}")]
    Recover(#[from] RecoverError),
    #[error("a bug: {0}")]
    Panic(String),
    #[error("an operator wanted it")]
    Shut(Close),
}

struct Driver {
    lease: RoomLease,
    mailbox: mpsc::Receiver<ToRoom>,
    members: BTreeMap<MemberId, Way>,
    metrics: Arc<Metrics>,
    /// How many members are counted as behind, when that is to be looked at again, and whether anything has happened since.
    behind: i64,
    look_at: Instant,
    looks_old: bool,
    /// When the first of the edits that are not handed to the store yet arrived.
    arrived: Option<Instant>,
    /// Those who wait for a snapshot.
    compacting: Vec<oneshot::Sender<Told>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.metrics.members_behind.add(-self.behind);
        self.metrics.members.add(-i64::try_from(self.members.len()).unwrap_or(0));
    }
}

/// The way to a member.
struct Way {
    connection: u64,
    channel: u64,
    outlet: Outlet,
    finishing: bool,
}

/// What the store is doing for the room. Appends and snapshots are one at a time each, by the room's own rule.
#[derive(Default)]
struct UnderWay {
    append: Option<(Position, Pending<()>)>,
    snapshot: Option<(Position, Pending<()>)>,
    appending: Appending,
    reads: FuturesUnordered<futures_util::future::BoxFuture<'static, (MemberId, Result<Tail, StoreError>)>>,
}

/// The append that is under way.
#[derive(Default)]
struct Appending {
    since: Option<Instant>,
    /// When the first of its edits arrived.
    arrived: Option<Instant>,
    rows: u64,
    bytes: u64,
    /// Ends with it.
    _span: Option<Span>,
}

impl Driver {
    async fn drive(&mut self) -> Result<(), Failure> {
        let store = self.lease.store().clone();
        let level = if store.is_durable() { Level::Stored } else { Level::Memory };
        let started = Instant::now();
        let opening = info_span!(parent: None, "open", document = &**self.lease.name());
        let recovered = store
            .recover(self.lease.name())
            .instrument(opening.clone())
            .await
            .inspect_err(|error| self.metrics.store_failed(error))?;
        let stored = recovered.rows.iter().map(|(_, row)| row.len()).sum::<usize>()
            + recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len());
        let rows = recovered.rows.len();
        debug!(document = &**self.lease.name(), head = recovered.head, rows, "opening");
        let config = RoomConfig { level, window: WINDOW, ..self.lease.settings().room };
        // Reading a large document takes long enough to hold up everything else on this thread.
        let recover = tokio::task::spawn_blocking(move || Room::recover(config, recovered, now()));
        let mut room = recover.await.map_err(|failed| match failed.try_into_panic() {
            Ok(panic) => Failure::Panic(panic_text(&*panic)),
            Err(cancelled) => Failure::Panic(cancelled.to_string()),
        })??;

        drop(opening);
        self.metrics.rooms_opened.one();
        self.metrics.recovered_bytes.add(stored as u64);
        self.metrics.recover_seconds.observe(started.elapsed());

        room.set_read_only(self.lease.is_read_only());
        room.remember(self.lease.newcomers());
        let mut store_state = self.lease.health().watch();
        room.handle(now(), Input::Store { trouble: *store_state.borrow_and_update() });
        let mut stop = self.lease.stop();
        let mut stopping = false;
        let mut under_way = UnderWay::default();
        let mut idle_since = Instant::now();
        let mut messages = Vec::new();
        loop {
            while let Some(effect) = room.poll() {
                self.perform(&mut room, &mut under_way, effect);
            }
            if under_way.append.is_none() {
                self.finish();
                self.arrived = None;
            }
            if !room.is_compacting() {
                for reply in std::mem::take(&mut self.compacting) {
                    let _ = reply.send(self.told(&room));
                }
            }
            self.count(&mut room);
            let due = room.deadline().map(|due| Duration::from_millis(due.0.saturating_sub(now().0)));
            let look = self.looks_old.then(|| self.look_at.saturating_duration_since(Instant::now()));
            let due = due.into_iter().chain(look).min();
            let idle = room.is_idle() && self.members.is_empty();
            // Nothing is gained by keeping what costs nothing to make.
            let linger = if stopping || room.committed() == 0 { Duration::ZERO } else { self.lease.settings().idle };
            tokio::select! {
                taken = self.mailbox.recv_many(&mut messages, AT_ONCE), if room.waiting_bytes() < MAX_WAITING => {
                    for message in messages.drain(..) {
                        if let ToRoom::Shut { close } = message {
                            return Err(Failure::Shut(close));
                        }
                        self.take(&mut room, message);
                    }
                    if messages.capacity() > FEW {
                        messages = Vec::new();
                    }
                    // The registry holds a sender until the room is forgotten.
                    debug_assert_ne!(taken, 0, "a room outlives its mailbox");
                }
                (upto, committed) = waited(&mut under_way.append) => match committed {
                    Ok(()) => {
                        room.handle(now(), Input::Committed { upto });
                        self.appended(&mut room, &std::mem::take(&mut under_way.appending));
                    }
                    Err(error) => {
                        self.metrics.append_failed(&error);
                        self.lease.append_failed(&error, room.waiting_bytes());
                        self.lease.keep(room.newcomers());
                        room.handle(now(), Input::CommitFailed);
                        return Err(error.into());
                    }
                },
                (upto, stored) = waited(&mut under_way.snapshot) => match stored {
                    Ok(()) => room.handle(now(), Input::SnapshotStored { upto }),
                    Err(error) => {
                        warn!(document = &**self.lease.name(), %error, "no snapshot");
                        self.metrics.store_failed(&error);
                        room.handle(now(), Input::SnapshotFailed);
                    }
                },
                Some((member, read)) = under_way.reads.next() => match read {
                    Ok(tail) => room.handle(now(), Input::LogRead { member, tail }),
                    Err(error) => {
                        warn!(document = &**self.lease.name(), %error, "the log cannot be read");
                        self.metrics.store_failed(&error);
                        room.handle(now(), Input::LogReadFailed { member });
                    }
                },
                Ok(()) = store_state.changed() => {
                    let trouble = *store_state.borrow_and_update();
                    room.handle(now(), Input::Store { trouble });
                }
                () = sleep(due.unwrap_or_default()), if due.is_some() => room.handle(now(), Input::Tick),
                () = sleep_until(idle_since + linger), if idle => {
                    self.lease.keep(room.newcomers());
                    if self.lease.forget_if_unused() {
                        debug!(document = &**self.lease.name(), "idle");
                        self.metrics.rooms_evicted.one();
                        return Ok(());
                    }
                    // Somebody is on the way in.
                    idle_since = Instant::now();
                }
                // An error means that the relay was dropped, which stops it too.
                _ = stop.wait_for(|stop| *stop), if !stopping => stopping = true,
            }
            if !idle {
                idle_since = Instant::now();
            }
        }
    }

    fn take(&mut self, room: &mut Room, message: ToRoom) {
        match message {
            ToRoom::Join { member, connection, channel, outlet, open, rights } => {
                self.metrics.members.add(1);
                self.members.insert(member, Way { connection, channel, outlet, finishing: false });
                room.handle(now(), Input::Join { member, open, rights });
            }
            ToRoom::Rights { member, rights } => room.handle(now(), Input::Rights { member, rights }),
            ToRoom::Message { member, message, at } => {
                self.arrived.get_or_insert(at);
                room.handle(now(), Input::Message { member, message: *message });
            }
            ToRoom::Drained { member, bytes } => room.handle(now(), Input::Drained { member, bytes }),
            ToRoom::Report { reply } => _ = reply.send(self.told(room)),
            ToRoom::Compact { reply } => {
                if room.compact() {
                    self.compacting.push(reply);
                } else {
                    _ = reply.send(self.told(room));
                }
            }
            ToRoom::ReadOnly { on } => room.set_read_only(on),
            // Whoever takes the messages ends the room.
            ToRoom::Shut { .. } => {}
            ToRoom::Finish { member } => {
                if let Some(way) = self.members.get_mut(&member) {
                    way.finishing = true;
                }
            }
            ToRoom::Leave { member } => {
                self.forget(member);
                room.handle(now(), Input::Leave { member });
            }
        }
    }

    fn told(&self, room: &Room) -> Told {
        let connections = self.members.iter().map(|(member, inbox)| (*member, inbox.connection)).collect();
        Told { report: room.report(), connections }
    }

    fn forget(&mut self, member: MemberId) {
        if self.members.remove(&member).is_some() {
            self.metrics.members.add(-1);
        }
    }

    /// Adds what the room has counted to what the relay counts.
    fn count(&mut self, room: &mut Room) {
        let follow = tracing::enabled!(target: EDITS, tracing::Level::DEBUG);
        room.follow_edits(follow);
        for Note { step, replica, seq, position, member } in room.take_notes() {
            let (document, member) = (self.lease.name(), member.map(|member| member.0));
            debug!(target: EDITS, document = &**document, %replica, seq, position, member, "{step:?}");
        }
        self.metrics.count(&room.take_counts());
        // A look costs O(members), which few are worth each time, and many are not.
        let now = Instant::now();
        self.looks_old = room.members() > LOOKED_AT_EACH_TIME && now < self.look_at;
        if self.looks_old {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        let behind = room.members_behind();
        self.lease.glance().set(room.members(), behind, room.committed());
        let behind = i64::try_from(behind).unwrap_or(i64::MAX);
        if behind != self.behind {
            self.metrics.members_behind.add(behind - self.behind);
            self.behind = behind;
        }
    }

    /// Counts an append that came through. Every ack that it let out is counted as if its edit had been the first to arrive.
    fn appended(&self, room: &mut Room, append: &Appending) {
        self.metrics.appended_rows.add(append.rows);
        self.metrics.appended_bytes.add(append.bytes);
        if let Some(since) = append.since {
            self.metrics.append_seconds.observe(since.elapsed());
        }
        let counts = room.take_counts();
        if let Some(arrived) = append.arrived.filter(|_| counts.acks > 0) {
            self.metrics.ack_seconds[room.level() as usize].observe_all(arrived.elapsed(), counts.acks);
        }
        self.metrics.count(&counts);
    }

    fn perform(&mut self, room: &mut Room, under_way: &mut UnderWay, effect: Effect) {
        let store = self.lease.store();
        let name = self.lease.name();
        match effect {
            Effect::Append { first_position, rows } => {
                let upto = first_position + rows.len() as u64 - 1;
                under_way.appending = Appending {
                    since: Some(Instant::now()),
                    arrived: self.arrived.take(),
                    rows: rows.len() as u64,
                    bytes: rows.iter().map(|row| row.len() as u64).sum(),
                    _span: Some(
                        debug_span!(parent: None, "append", document = &**name, first_position, rows = rows.len()),
                    ),
                };
                under_way.append = Some((upto, store.append(name, first_position, rows)));
            }
            Effect::Snapshot { upto, bytes } => {
                self.metrics.snapshots.one();
                self.metrics.snapshot_bytes.add(bytes.len() as u64);
                under_way.snapshot = Some((upto, store.snapshot(name, upto, bytes)));
            }
            Effect::ReadLog { member, after, max_bytes } => {
                self.metrics.log_reads.one();
                let read = store.read(name, after, max_bytes);
                under_way.reads.push(read.map(move |read| (member, read)).boxed());
            }
            Effect::Send { member, message } => self.say(room, member, Said::Message(message)),
            Effect::Close { member, close } => {
                self.say(room, member, Said::Closed(close));
                self.forget(member);
            }
        }
    }

    fn say(&mut self, room: &mut Room, member: MemberId, said: Said) {
        let Some(Way { channel, outlet, .. }) = self.members.get(&member) else { return };
        let channel = *channel;
        match outlet.say(FromRoom { member, channel, said }) {
            Ok(()) => return,
            // The connection has ended, and its Leave is on the way.
            Err(NotTaken::Closed) => {}
            Err(NotTaken::Full) => {
                // It may have been a burst: it comes back by its backoff.
                let too_much = Close { reason: CloseReason::Limit, retry: Retry::BACKOFF };
                warn!(
                    document = &**self.lease.name(),
                    member = member.0,
                    "a member asks for more than its connection takes"
                );
                outlet.say_last(FromRoom { member, channel, said: Said::Closed(too_much) });
            }
        }
        self.forget(member);
        room.handle(now(), Input::Leave { member });
    }

    /// Tells those who asked that everything is settled. Nothing is being appended now.
    fn finish(&mut self) {
        for (member, way) in &mut self.members {
            if std::mem::take(&mut way.finishing) {
                way.outlet.say_last(FromRoom { member: *member, channel: way.channel, said: Said::Finished });
            }
        }
    }

    /// What to tell everybody when the room has failed. A document that cannot be read is put aside, and one that fails again.
    fn close_for_failure(&self, failure: &Failure) -> Close {
        let random = getrandom::u32().unwrap_or_default();
        let later = |reason| Close { reason, retry: Retry::after_ms(RETURN_MS / 2 + random % RETURN_MS) };
        let damaged = match failure {
            Failure::Store(StoreError::Full { .. }) => return later(CloseReason::StorageFull),
            Failure::Store(StoreError::Corrupt { .. }) | Failure::Recover(_) => true,
            Failure::Store(StoreError::OutOfOrder { .. }) | Failure::Panic(_) => false,
            Failure::Store(_) => return later(CloseReason::Storage),
            Failure::Shut(close) => return *close,
        };
        let aside = self.lease.quarantine().failed(self.lease.name(), &failure.to_string(), damaged, Instant::now());
        if let Some(close) = &aside {
            error!(
                document = &**self.lease.name(),
                ?close,
                "the document is put aside; what is stored of it stays as it is"
            );
        }
        aside.unwrap_or_else(|| later(CloseReason::Restart))
    }

    /// Makes way for a new room, then sends everybody away, also those who were just coming in.
    fn give_up(&mut self, close: Close) {
        self.lease.forget();
        self.mailbox.close();
        while let Ok(message) = self.mailbox.try_recv() {
            if let ToRoom::Join { member, connection, channel, outlet, .. } = message {
                self.metrics.members.add(1);
                self.members.insert(member, Way { connection, channel, outlet, finishing: false });
            }
        }
        self.metrics.members.add(-i64::try_from(self.members.len()).unwrap_or(0));
        for (member, way) in std::mem::take(&mut self.members) {
            way.outlet.say_last(FromRoom { member, channel: way.channel, said: Said::Closed(close) });
        }
    }
}

/// Waits for what is under way, and makes place for the next; never resolves while nothing is.
async fn waited(slot: &mut Option<(Position, Pending<()>)>) -> (Position, Result<(), StoreError>) {
    let Some((position, pending)) = slot else { return std::future::pending().await };
    let result = pending.await;
    let position = *position;
    *slot = None;
    (position, result)
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests;
