//! The world of a simulation: what is there, what happens next, and what time it is.

mod clients;
mod connections;
mod newer;
mod relay;
mod rest;
mod spec;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use weftline::sync::{Backoff, Message, Want};
use weftline::{Tier, Timestamp, codec};
use weftline_relay::room::MemberId;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::Connection;
use crate::oracle::{Edit, Payloads};
use crate::peer::Peer;
use crate::plan::Plan;
use crate::report::Report;
use crate::rng::Rng;
use crate::schema::Schema;
use crate::settings::Simulation;
use relay::Relay;

/// When a simulation begins.
const START: u64 = 1_700_000_000_000;

/// How long after the last fault everything must have come to rest: half-open connections are noticed after three heartbeats, and the
/// longest backoff follows.
const HEALING_MS: u64 = 180_000;

/// How many of the last events are shown when something fails.
const TRACE: usize = 80;

/// What happens at some time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A step of the plan.
    Step {
        index: usize,
    },
    Start {
        peer: usize,
    },
    Dial {
        peer: usize,
        process: u64,
    },
    Dialed {
        peer: usize,
        process: u64,
    },
    Tick {
        peer: usize,
        process: u64,
    },
    Stored {
        disk: usize,
        write: u64,
    },
    Up {
        connection: u64,
    },
    Down {
        connection: u64,
    },
    UpEnded {
        connection: u64,
    },
    DownEnded {
        connection: u64,
    },
    /// A connection that was tampered with ends.
    Cut {
        connection: u64,
    },
    SessionTick {
        connection: u64,
    },
    PushNewer {
        room: usize,
    },
    RelayStart,
    RelayStored {
        room: usize,
        start: u64,
    },
    RelayRead {
        room: usize,
        start: u64,
        member: MemberId,
        after: u64,
        max_bytes: usize,
    },
}

/// What becomes of a machine.
#[derive(Clone, Debug, Default)]
struct Machine {
    off_ms: i64,
    offline_until: u64,
    full_until: u64,
    slow_until: u64,
    disks: Vec<usize>,
    backup: Option<Vec<Disk>>,
}

pub(crate) struct World<'a> {
    settings: Simulation,
    schema: &'a dyn Schema,
    plan: &'a Plan,
    now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), Event>,
    machines: Vec<Machine>,
    peers: Vec<Peer>,
    disks: Vec<Disk>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    relay: Relay,
    /// Connections up to this one were made before the relay was last put back to an older state.
    outdated: u64,
    /// Faults go on.
    faulty: bool,
    edits: Vec<Edit>,
    payloads: Payloads,
    pub(crate) report: Report,
    traced: bool,
    trace: VecDeque<String>,
}

type Checked = Result<(), String>;

impl<'a> World<'a> {
    pub(crate) fn new(settings: Simulation, schema: &'a dyn Schema, plan: &'a Plan, traced: bool) -> Self {
        let (mut machines, mut peers, mut disks) = (Vec::new(), Vec::new(), Vec::new());
        for (index, machine) in plan.machines.iter().enumerate() {
            let first = disks.len();
            for store in &machine.stores {
                for tab in 0..store.tabs {
                    peers.push(Peer {
                        replica: None,
                        process: 0,
                        machine: index,
                        room: store.room,
                        disk: disks.len(),
                        slot: store.locks.then_some(tab),
                        lost_lock: false,
                        age: machine.age,
                        active: !machine.is_clone,
                        clock: Clock::default(),
                        rng: Rng::of(settings.seed, 3, peers.len() as u64),
                        undo: settings.undo > 0,
                        connection: None,
                        dialing: false,
                        backoff: Backoff::new([0; 16]),
                        ids: Vec::new(),
                    });
                }
                disks.push(Disk::new(store.layout));
            }
            let disks = (first..disks.len()).collect();
            machines.push(Machine { off_ms: machine.skew_ms, disks, ..Machine::default() });
        }
        Self {
            settings,
            schema,
            plan,
            now: START,
            order: 0,
            queue: BTreeMap::new(),
            machines,
            peers,
            disks,
            connections: BTreeMap::new(),
            next_connection: 0,
            relay: Relay::new(settings.seed, settings.rooms),
            outdated: 0,
            faulty: true,
            edits: Vec::new(),
            payloads: Payloads::new(settings.faults.copies()),
            report: Report::default(),
            traced,
            trace: VecDeque::new(),
        }
    }

    pub(crate) fn run(&mut self) -> Checked {
        self.after(0, Event::RelayStart);
        for peer in 0..self.peers.len() {
            if self.peers[peer].active {
                let delay = self.peers[peer].rng.between(0, 500);
                self.after(delay, Event::Start { peer });
            }
        }
        for (index, step) in self.plan.steps.iter().enumerate() {
            self.order += 1;
            self.queue.insert((START + step.at_ms, self.order), Event::Step { index });
        }
        self.run_until(START + self.plan.end_ms, false)?;
        self.heal()?;
        // Now and then to the very end: what was at rest must stay so.
        let early = !self.settings.seed.is_multiple_of(8);
        self.run_until(self.now + HEALING_MS, early)?;
        self.check_at_rest()
    }

    /// How long it has been running, in its own time.
    pub(crate) const fn elapsed_ms(&self) -> u64 {
        self.now - START
    }

    /// The last events.
    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        mem::take(&mut self.trace).into()
    }

    fn run_until(&mut self, end: u64, until_rest: bool) -> Checked {
        let mut looked = 0;
        while let Some(((at, _), _)) = self.queue.first_key_value()
            && *at <= end
        {
            // Where nothing happens for a while, all may be done.
            if until_rest && *at > self.now + 500 && looked < self.now {
                looked = self.now + 1_000;
                if self.is_at_rest() {
                    return Ok(());
                }
            }
            let ((at, _), event) = self.queue.pop_first().expect("the first was just looked at");
            self.now = at;
            self.happen(event)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Step { index } => self.step(index),
            Event::Start { peer } => self.start(peer),
            Event::Dial { peer, process } => self.dial(peer, process),
            Event::Dialed { peer, process } => self.dialed(peer, process),
            Event::Tick { peer, process } => self.tick(peer, process),
            Event::Stored { disk, write } => self.stored(disk, write),
            Event::Up { connection } => self.up(connection),
            Event::Down { connection } => self.down(connection),
            Event::UpEnded { connection } => self.relay_end_closed(connection),
            Event::DownEnded { connection } => self.client_end_closed(connection),
            Event::Cut { connection } => {
                self.cut(connection);
                Ok(())
            }
            Event::SessionTick { connection } => self.session_tick(connection),
            Event::PushNewer { room } => self.push_newer(room),
            Event::RelayStart => self.start_relay(),
            Event::RelayStored { room, start } => self.relay_stored(room, start),
            Event::RelayRead { room, start, member, after, max_bytes } => {
                self.relay_read(room, start, member, after, max_bytes)
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
        if !self.traced {
            return;
        }
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>7} ms  {}", self.now - START, line()));
    }

    /// The time in the process of a peer.
    fn time(&mut self, peer: usize) -> Timestamp {
        let off = self.machines[self.peers[peer].machine].off_ms;
        self.peers[peer].clock.read(self.now, off)
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
