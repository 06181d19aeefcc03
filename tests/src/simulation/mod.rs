//! Replicas, one relay, their disks and the network between them, in virtual time, from one seed.
//!
//! For a while users edit while everything fails that may fail: connections end or go silent, processes die, power is cut, the relay
//! dies and comes back with what it had committed. Rules are checked at every step ([`crate::oracle`]). Then the faults stop, and after a few
//! quiet minutes everybody must have the same document, with every edit that was ever durable in it.

mod clients;
mod faults;
mod relay;
mod rest;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use weftline::sync::{Message, Want};
use weftline::{Tier, Timestamp, codec};
use weftline_relay::room::{Input, MemberId, Room};

use crate::disk::{Disk, Layout};
use crate::network::Connection;
use crate::oracle::{Edit, Payloads};
use crate::peer::Peer;
use crate::relay_disk::RelayDisk;
use crate::rng::Rng;

/// How long after the last fault everything must have come to rest: half-open connections are noticed after three heartbeats, and the
/// longest backoff follows.
const HEALING_MS: u64 = 180_000;

/// How many of the last events are shown when something fails.
const TRACE: usize = 60;

/// What may go wrong, in percent of the moments at which something is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// A connection ends.
    pub cut: u64,
    /// A connection goes silent in one direction or both.
    pub half_open: u64,
    /// A client's process dies.
    pub crash: u64,
    /// A client's machine loses power.
    pub power_cut: u64,
    /// A client's writes fail.
    pub store_failure: u64,
    /// The relay's process dies.
    pub relay_crash: u64,
    /// The relay's writes fail.
    pub relay_store_failure: u64,
    /// The relay's operator takes a backup, or puts the last one back.
    pub relay_restore: u64,
    /// A client is taken off the network for a while.
    pub partition: u64,
    /// A client loses the lock of its slot.
    pub lock_loss: u64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        cut: 0,
        half_open: 0,
        crash: 0,
        power_cut: 0,
        store_failure: 0,
        relay_crash: 0,
        relay_store_failure: 0,
        relay_restore: 0,
        partition: 0,
        lock_loss: 0,
    };

    /// Everything goes wrong.
    pub const ALL: Self = Self {
        cut: 20,
        half_open: 5,
        crash: 12,
        power_cut: 6,
        store_failure: 5,
        relay_crash: 6,
        relay_store_failure: 3,
        relay_restore: 4,
        partition: 10,
        lock_loss: 1,
    };
}

/// A simulation to run.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    seed: u64,
    replicas: usize,
    edits: u64,
    edit_every_ms: u64,
    faults: Faults,
}

/// What happened in a simulation that kept every rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// How many edits were made.
    pub edits: u64,
    /// How many of them died undurable with their process.
    pub lost: usize,
    /// How many connections there were.
    pub connections: u64,
    /// How many processes, of clients.
    pub processes: u64,
    /// Of the relay.
    pub relay_starts: u64,
    /// How many diffs went down.
    pub diffs_down: u64,
    /// And up.
    pub diffs_up: u64,
    /// How many of those down told deaths by comparing with a digest.
    pub digests_down: u64,
    /// And up.
    pub digests_up: u64,
    /// How often the relay's log was read for somebody who was behind.
    pub log_reads: u64,
    /// How often somebody was so far behind that the log did not reach back to them.
    pub asks: u64,
    /// How often the relay was put back to an older state.
    pub restores: u64,
    /// The most bytes the relay ever stored.
    pub relay_peak_bytes: usize,
    /// Its longest snapshot.
    pub relay_longest_snapshot: usize,
}

/// A rule was broken.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// When, in milliseconds.
    pub at_ms: u64,
    /// Which rule, and how.
    pub what: String,
    /// The last events.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} at {} ms: {}", self.seed, self.at_ms, self.what)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Simulation {
    /// Three replicas, sixty edits, every fault.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, replicas: 3, edits: 60, edit_every_ms: 400, faults: Faults::ALL }
    }

    /// With so many replicas.
    #[must_use]
    pub const fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// With so many edits, one every `every_ms` on average.
    #[must_use]
    pub const fn edits(self, edits: u64, every_ms: u64) -> Self {
        Self { edits, edit_every_ms: every_ms, ..self }
    }

    /// With these faults.
    #[must_use]
    pub const fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Runs it.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn run(self) -> Result<Report, Box<Failure>> {
        let mut world = World::new(self);
        let result = world.run();
        result.map(|()| world.report).map_err(|what| {
            Box::new(Failure { seed: self.seed, at_ms: world.now, what, trace: world.trace.into_iter().collect() })
        })
    }
}

/// What happens at some time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Start { peer: usize },
    Edit,
    Fault,
    Dial { peer: usize, process: u64 },
    Dialed { peer: usize, process: u64 },
    Tick { peer: usize, process: u64 },
    Stored { disk: usize, write: u64 },
    Up { connection: u64 },
    Down { connection: u64 },
    UpEnded { connection: u64 },
    DownEnded { connection: u64 },
    SessionTick { connection: u64 },
    RelayStart,
    RelayStored { start: u64 },
    RelayRead { start: u64, member: MemberId, after: u64, max_bytes: usize },
}

struct World {
    plan: Simulation,
    rng: Rng,
    now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), Event>,
    peers: Vec<Peer>,
    disks: Vec<Disk>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    room: Option<Room>,
    relay_disk: RelayDisk,
    relay_start: u64,
    relay_store_at: u64,
    next_member: u64,
    members: BTreeMap<MemberId, u64>,
    /// Connections up to this one were made before the relay was last put back to an older state.
    outdated: u64,
    faulty: bool,
    edits: Vec<Edit>,
    payloads: Payloads,
    report: Report,
    trace: VecDeque<String>,
}

type Checked = Result<(), String>;

impl World {
    fn new(plan: Simulation) -> Self {
        let mut rng = Rng::new(plan.seed);
        let mut peers = Vec::new();
        let mut disks = Vec::new();
        for index in 0..plan.replicas {
            // Now and then two tabs share a store; now and then there are no locks.
            if index > 0 && rng.chance(15) {
                let slot = peers.iter().filter(|peer: &&Peer| peer.disk == disks.len() - 1).count() as u32;
                peers.push(Peer::new(disks.len() - 1, Some(slot)));
                continue;
            }
            disks.push(Disk::new(if rng.chance(50) { Layout::Log } else { Layout::Keyed }));
            let slot = (!rng.chance(10)).then_some(0);
            peers.push(Peer::new(disks.len() - 1, slot));
        }
        Self {
            plan,
            rng,
            now: 1_700_000_000_000,
            order: 0,
            queue: BTreeMap::new(),
            peers,
            disks,
            connections: BTreeMap::new(),
            next_connection: 0,
            room: None,
            relay_disk: RelayDisk::default(),
            relay_start: 0,
            relay_store_at: 0,
            next_member: 0,
            members: BTreeMap::new(),
            outdated: 0,
            faulty: true,
            edits: Vec::new(),
            payloads: Payloads::default(),
            report: Report::default(),
            trace: VecDeque::new(),
        }
    }

    fn run(&mut self) -> Checked {
        self.after(0, Event::RelayStart);
        for peer in 0..self.peers.len() {
            let delay = self.rng.between(0, 500);
            self.after(delay, Event::Start { peer });
        }
        self.after(100, Event::Edit);
        self.after(200, Event::Fault);
        while self.report.edits < self.plan.edits {
            self.step()?;
        }
        self.heal()?;
        let end = self.now + HEALING_MS;
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step()?;
        }
        self.now = end;
        self.check_at_rest()
    }

    fn step(&mut self) -> Checked {
        let ((at, _), event) = self.queue.pop_first().expect("there is always a next edit or deadline");
        self.now = at;
        match event {
            Event::Start { peer } => self.start(peer),
            Event::Edit => self.edit(),
            Event::Fault => self.fault(),
            Event::Dial { peer, process } => self.dial(peer, process),
            Event::Dialed { peer, process } => self.dialed(peer, process),
            Event::Tick { peer, process } => self.tick(peer, process),
            Event::Stored { disk, write } => self.stored(disk, write),
            Event::Up { connection } => self.up(connection),
            Event::Down { connection } => self.down(connection),
            Event::UpEnded { connection } => self.relay_end_closed(connection),
            Event::DownEnded { connection } => self.client_end_closed(connection),
            Event::SessionTick { connection } => self.session_tick(connection),
            Event::RelayStart => self.start_relay(),
            Event::RelayStored { start } => self.relay_stored(start),
            Event::RelayRead { start, member, after, max_bytes } => {
                if start != self.relay_start {
                    return Ok(());
                }
                let tail = self.relay_disk.read(after, max_bytes);
                self.room_handle(Input::LogRead { member, tail })
            }
        }
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + delay, self.order), event);
    }

    fn at(&mut self, time: u64, event: Event) {
        self.after(time.saturating_sub(self.now), event);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        let line = line();
        self.trace.push_back(format!("{} {line}", self.now % 10_000_000));
    }

    const fn time(&self) -> Timestamp {
        Timestamp(self.now)
    }
}

/// A document at rest without its removal log, which may be dropped at any time, and asks nobody (REM-3). The structure of the dead
/// stays: rows behind the snapshot may need it (SEQ-6).
fn without_log(snapshot: &[u8]) -> Vec<u8> {
    let mut snapshot = codec::decode_snapshot(snapshot).expect("a snapshot that was just made decodes");
    snapshot.removals.clear();
    snapshot.horizon = snapshot.diff.head.clone();
    codec::encode_snapshot(&snapshot)
}

fn is_by_digest(message: &Message) -> bool {
    let Message::Diff(diff) = message else { return false };
    codec::decode_diff(&diff.bytes).is_ok_and(|diff| diff.tier == Tier::Digest)
}

fn brief(message: &Message) -> String {
    match message {
        Message::Rows(rows) => {
            let names = rows.rows.iter().map(|row| match row.delta() {
                Some(Ok(delta)) => delta.dot().to_string(),
                _ => "diff".to_owned(),
            });
            format!("Rows {}..={} {:?}", rows.from, rows.to, names.collect::<Vec<_>>())
        }
        Message::Diff(diff) => format!("Diff at {}, {} bytes", diff.position, diff.bytes.len()),
        Message::Open(open) => format!("Open #{} cursor {:?} claims {:?}", open.connection, open.cursor, open.claims),
        Message::Want(Want { version, live: Some(live) }) => {
            format!("Want by {} runs from {version:?}", live.run_count())
        }
        Message::OpenAck(ack) => format!("OpenAck {:?} head {} facts {:?}", ack.resume, ack.head, ack.facts),
        other => format!("{other:?}"),
    }
}
