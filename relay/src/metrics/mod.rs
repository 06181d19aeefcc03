//! What a relay counts while it runs.
//!
//! Plain atomic numbers, one relaxed addition each, held in one place that everything counts in. Nothing is counted by document: a relay has as
//! many of them as it likes, and a monitoring system has not. Which document is large, or behind, is the admin API's to tell.
//!
//! A room counts for itself, in plain numbers ([`crate::room::Counts`]), and its driver adds them here once per wake-up. A connection does the
//! same with its bytes. So what is shared between threads is touched per batch and not per delivery.
//!
//! Not here: how the numbers are written out for Prometheus ([`export`]), and what the process itself uses ([`process`]).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weftline::sync::{CloseReason, Level, NackReason};

use crate::room::Counts;
use crate::store::StoreError;

pub(crate) mod export;
mod histogram;
pub(crate) mod process;

pub use histogram::Histogram;

/// How many files and sockets this process may have open, if that is known.
#[must_use]
pub fn max_files() -> Option<u64> {
    process::usage().max_files
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// So many more, or fewer.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// One more while the guard lives.
    pub fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }

    /// How many there are. Never negative, whatever order the changes are seen in.
    #[must_use]
    pub fn get(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// See [`Gauge::hold`].
#[derive(Debug)]
pub struct Held<'a>(&'a Gauge);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// A counter for each of `N` reasons, by their numbers.
#[derive(Debug)]
pub struct By<const N: usize>([Counter; N]);

impl<const N: usize> Default for By<N> {
    fn default() -> Self {
        By(std::array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> By<N> {
    /// One more for a reason. A number that is not known is not counted.
    pub fn one(&self, reason: usize) {
        self.add(reason, 1);
    }

    /// So many more for a reason.
    pub fn add(&self, reason: usize, more: u64) {
        if let Some(counter) = self.0.get(reason) {
            counter.add(more);
        }
    }

    /// All of them, in the order of their numbers.
    pub fn get(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Counter::get)
    }
}

macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $label:literal),* $(,)? }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$inner])* $variant),* }

        impl $name {
            /// The labels, in the order of their numbers.
            pub const LABELS: &'static [&'static str] = &[$($label),*];

            /// Its label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                Self::LABELS[self as usize]
            }
        }
    };
}

reasons! {
    /// What a client was refused, before anything it wrote was looked at.
    Refused {
        /// More connections than `--max-connections`.
        Connections = "connections",
        /// More documents on one connection than `--max-documents`.
        Documents = "documents",
        /// A document without a name, or with one that is too long.
        Name = "name",
        /// A page of a stranger.
        Origin = "origin",
        /// Came while the relay stops.
        Draining = "draining",
        /// Not a proper request for a websocket.
        Handshake = "handshake",
        /// Took too long for the handshake, of TLS, HTTP or the protocol.
        Timeout = "timeout",
        /// The admin API, with another token or none.
        Admin = "admin",
        /// No token where one is needed, or one that does not count.
        Token = "token",
        /// A document that the token does not allow, or the webhook.
        Denied = "denied",
        /// A document that nobody could say anything about: the webhook does not answer.
        Webhook = "webhook",
        /// More connections from one address than `--max-address-connections`.
        AddressConnections = "address_connections",
        /// More handshakes from one address than `--max-address-handshakes`.
        AddressHandshakes = "address_handshakes",
        /// More connections of one subject than `--max-subject-connections`.
        SubjectConnections = "subject_connections",
        /// Not refused but slowed down: a client that was too fast was not read for a while.
        Rate = "rate",
        /// A document that is put aside.
        Quarantined = "quarantined",
        /// Too many bytes of unfinished messages, of all connections: `--max-unfinished`.
        Unfinished = "unfinished",
    }
}

reasons! {
    /// Why a connection ended.
    Ended {
        /// The client closed it, or it broke.
        Gone = "gone",
        /// No sign of life.
        Silent = "silent",
        /// The client broke the protocol, or a limit of it.
        Protocol = "protocol",
        /// The client broke the rules of websockets.
        Transport = "transport",
        /// The relay stops.
        Drain = "drain",
        /// Its token does not count, or not any more.
        Token = "token",
        /// Somebody closed it through the admin API.
        Kicked = "kicked",
        /// A bug of the relay.
        Bug = "bug",
    }
}

reasons! {
    /// What a store failed at.
    StoreFailure {
        /// The disk is full.
        Full = "full",
        /// Reading or writing failed.
        Io = "io",
        /// What was read is not what was written.
        Corrupt = "corrupt",
        /// Anything else.
        Other = "other",
    }
}

/// Why members are sent a diff, or told to ask for one, instead of the rows that they lack.
pub(crate) const RESYNCS: [&str; 3] = ["version", "digest", "fell_behind"];

/// How those who open a document go on, in the order of the numbers of `Resume`.
pub(crate) const RESUMES: [&str; 4] = ["tail", "same", "diff", "ask"];

/// Everything that a relay counts. See the [module](self).
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the texts for operators, in `export`, say what each is")]
pub struct Metrics {
    pub connections: Gauge,
    pub connections_opened: Counter,
    pub connections_ended: By<{ Ended::LABELS.len() }>,
    pub refused: By<{ Refused::LABELS.len() }>,
    pub frames_received: Counter,
    pub bytes_received: Counter,
    pub frames_sent: Counter,
    pub bytes_sent: Counter,

    pub members: Gauge,
    pub members_behind: Gauge,
    pub documents_closed: By<{ CloseReason::ALL.len() }>,
    pub resumes: By<{ RESUMES.len() }>,
    pub resyncs: By<{ RESYNCS.len() }>,
    pub deliveries: Counter,
    pub delivered_batches: Counter,
    pub delivered_bytes: Counter,
    pub diffs: Counter,
    pub diff_bytes: Counter,
    pub acks: Counter,
    pub ack_seconds: [Histogram; Level::ALL.len()],
    pub nacks: By<{ NackReason::ALL.len() }>,
    pub forks: Counter,
    pub refills: Counter,
    pub presence_received: Counter,
    pub presence_sent: Counter,

    pub rooms_opened: Counter,
    pub rooms_evicted: Counter,
    pub rooms_failed: Counter,
    pub recovered_bytes: Counter,
    pub recover_seconds: Histogram,
    pub append_seconds: Histogram,
    pub appended_rows: Counter,
    pub appended_bytes: Counter,
    pub snapshots: Counter,
    pub snapshot_bytes: Counter,
    pub log_reads: Counter,
    pub store_failures: By<{ StoreFailure::LABELS.len() }>,
    /// When an append failed last, in milliseconds since an instant of our own, plus one; 0 if none has.
    last_failed_append: AtomicU64,
    started: Started,
}

#[derive(Debug)]
struct Started(Instant);

impl Default for Started {
    fn default() -> Self {
        Started(Instant::now())
    }
}

impl Metrics {
    /// Adds what a room has counted.
    pub(crate) fn count(&self, counts: &Counts) {
        for (counter, more) in [
            (&self.deliveries, counts.deliveries),
            (&self.delivered_batches, counts.delivered_batches),
            (&self.delivered_bytes, counts.delivered_bytes),
            (&self.diffs, counts.diffs),
            (&self.diff_bytes, counts.diff_bytes),
            (&self.acks, counts.acks),
            (&self.forks, counts.forks),
            (&self.refills, counts.refills),
            (&self.presence_received, counts.presence_received),
            (&self.presence_sent, counts.presence_sent),
        ] {
            // What is shared is not touched for nothing.
            if more > 0 {
                counter.add(more);
            }
        }
        let all = |by: &dyn Fn(usize, u64), counts: &[u64]| {
            counts.iter().enumerate().filter(|(_, more)| **more > 0).for_each(|(reason, more)| by(reason, *more));
        };
        all(&|reason, more| self.nacks.add(reason, more), &counts.nacks);
        all(&|reason, more| self.resumes.add(reason, more), &counts.resumes);
        all(&|reason, more| self.resyncs.add(reason, more), &counts.resyncs);
    }

    /// Something that a store was asked for failed.
    pub(crate) fn store_failed(&self, error: &StoreError) {
        let kind = match error {
            StoreError::Full { .. } => StoreFailure::Full,
            StoreError::Io { .. } => StoreFailure::Io,
            StoreError::Corrupt { .. } => StoreFailure::Corrupt,
            _ => StoreFailure::Other,
        };
        self.store_failures.one(kind as usize);
    }

    /// An append failed: whoever asks whether the store takes anything is told no for a while.
    pub(crate) fn append_failed(&self, error: &StoreError) {
        self.store_failed(error);
        let at = u64::try_from(self.started.0.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last_failed_append.store(at + 1, Ordering::Relaxed);
    }

    /// Whether an append failed within the last `within`.
    pub(crate) fn has_just_failed(&self, within: Duration) -> bool {
        let at = self.last_failed_append.load(Ordering::Relaxed);
        at > 0 && self.started.0.elapsed().saturating_sub(Duration::from_millis(at - 1)) < within
    }

    /// Since when it counts.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.0.elapsed()
    }
}
