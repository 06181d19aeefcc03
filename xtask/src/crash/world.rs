//! A relay, clients with their stores, and what happens to them in a round.
//!
//! A world lives for a few rounds: a round begins with the stores as the one before left them. What befalls it follows
//! from the seed; when exactly, and what the processes are in the middle of, is up to the machine.
//!
//! What may be lost depends on the fate of the world, so that each promise is put to the proof somewhere: where the relay
//! loses its store, no client loses its own, and everything that was ever stored must come back; where devices are
//! lost, the relay loses nothing, and everything that was ever saved must be there.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::client::{Client, Opens};
use super::ledger::{Counts, Held, Ledger};
use super::random::Random;
use super::relay::{Relay, replace};
use super::rest::{Finding, at_rest, in_stores};

/// How many documents every client has open.
const DOCUMENTS: usize = 3;

/// Where to look for a port: below those that systems give out by themselves, so that it is still free when a relay
/// comes back.
const PORTS: (u64, u64) = (20_000, 30_000);

/// How many stores are used twice in a world, at most.
const CLONES: usize = 2;

/// Which promise a world puts to the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Processes die, stores stay.
    Plain,
    /// The relay's store is wiped, or put back to an earlier state.
    RelayLoses,
    /// Stores of clients are gone for good.
    DevicesLost,
    /// Stores of clients are put back to an earlier state, or copied and used twice.
    Copies,
}

/// The programs, and how many clients.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) relay: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) clients: usize,
}

/// What happened so far, counted.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

/// See the module.
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) fate: Fate,
    setting: Setting,
    pub(crate) relay: Relay,
    pub(crate) clients: Vec<Client>,
    ledger: Arc<Mutex<Ledger>>,
    /// What the copies of stores hold of what was promised.
    copies: BTreeMap<PathBuf, Held>,
    /// How many replica ids a document may have come to: one for each client and device.
    pub(crate) most_ids: usize,
    pub(crate) tally: Tally,
    pub(crate) events: Vec<String>,
    began: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill,
    KillStarting,
    KillCompacting,
    Pause,
    Quit,
    RelayKill,
    RelayKillStarting,
    RelayDrain,
    RelayPause,
    RelayFull,
    RelayWipe,
    RelayCopy,
    RelayPutBack,
    DeviceLost,
    StoreCopy,
    StorePutBack,
    StoreClone,
}

impl World {
    /// A new one in an empty folder.
    pub(crate) fn new(folder: &Path, setting: &Setting, fate: Fate, random: &mut Random) -> Result<Self> {
        if folder.is_dir() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let relay = Relay::new(&setting.relay, folder, free_port(random)?);
        let ledger = Arc::default();
        let documents: Vec<String> = (0..DOCUMENTS).map(|index| format!("crash/{index}")).collect();
        let clients = (0..setting.clients).map(|index| {
            // The first two share a store; everybody else has one alone.
            let store = folder.join(format!("store-{}", index.max(1)));
            let opens = Opens { documents: documents.clone(), relay: Some(relay.address()), store: Some(store) };
            Client::new(&setting.client, folder, (index, format!("client-{index}")), (opens, true), &ledger)
        });
        Ok(Self {
            folder: folder.to_owned(),
            fate,
            setting: setting.clone(),
            clients: clients.collect(),
            relay,
            ledger,
            copies: BTreeMap::new(),
            // Where stores are copied, every copy may come to ids of its own.
            most_ids: if fate == Fate::Copies { usize::MAX } else { setting.clients },
            tally: Tally::new(),
            events: Vec::new(),
            began: Instant::now(),
        })
    }

    /// What was promised so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.ledger().counts()
    }

    /// A client beside the others, that edits nothing.
    pub(crate) fn witness(&self, name: &str, relay: bool, store: Option<PathBuf>) -> Client {
        let documents = (0..DOCUMENTS).map(|index| format!("crash/{index}")).collect();
        let opens = Opens { documents, relay: relay.then(|| self.relay.address()), store };
        // Its number is nobody's: it has no edits.
        let identity = (usize::from(u8::MAX), name.to_owned());
        Client::new(&self.setting.client, &self.folder, identity, (opens, false), &self.ledger)
    }

    /// One round: edits and blows, then rest, then what is wrong.
    pub(crate) fn round(&mut self, random: &mut Random, last: bool) -> Result<Finding> {
        self.blows(random)?;
        self.everybody_up()?;
        let mut finding = at_rest(self)?;
        self.all_well()?;
        if finding.is_empty() && (last || random.chance(30)) {
            for index in 0..self.clients.len() {
                self.kill(index, "client_kill_at_rest")?;
            }
            finding = in_stores(self)?;
            self.all_well()?;
        }
        Ok(finding)
    }

    fn blows(&mut self, random: &mut Random) -> Result<()> {
        self.start_relay()?;
        for client in &mut self.clients {
            if client.is_running() {
                client.tell("edit");
            } else {
                client.start()?;
            }
        }
        for _ in 0..random.between(8, 14) {
            thread::sleep(Duration::from_millis(random.between(10, 220)));
            self.come_back(random)?;
            let blow = self.draw(random);
            self.strike(blow, random)?;
            self.all_well()?;
        }
        Ok(())
    }

    /// Some of what is down or paused goes on.
    fn come_back(&mut self, random: &mut Random) -> Result<()> {
        let (resume, start, hurry) = (random.chance(60), random.chance(60), random.chance(50));
        if self.relay.paused && resume {
            self.note("the relay goes on");
            self.relay.resume()?;
        }
        if !self.relay.is_running() && start {
            self.start_relay()?;
            // Otherwise they come in their own time.
            if hurry {
                self.clients.iter_mut().for_each(|client| client.tell("connect"));
            }
        }
        for index in 0..self.clients.len() {
            let (resume, start) = (random.chance(60), random.chance(60));
            let client = &mut self.clients[index];
            let (paused, running) = (client.paused, client.is_running());
            if paused && resume {
                client.resume()?;
                self.note(&format!("client {index} goes on"));
            } else if !running && start {
                self.start_client(index)?;
            }
        }
        Ok(())
    }

    fn draw(&self, random: &mut Random) -> Blow {
        let only = |fate, weight| if self.fate == fate { weight } else { 0 };
        random.weighted(&[
            (30, Blow::Kill),
            (8, Blow::KillStarting),
            (12, Blow::KillCompacting),
            (8, Blow::Pause),
            (5, Blow::Quit),
            (18, Blow::RelayKill),
            (6, Blow::RelayKillStarting),
            (8, Blow::RelayDrain),
            (5, Blow::RelayPause),
            (8, Blow::RelayFull),
            (only(Fate::RelayLoses, 8), Blow::RelayWipe),
            (only(Fate::RelayLoses, 6), Blow::RelayCopy),
            (only(Fate::RelayLoses, 10), Blow::RelayPutBack),
            (only(Fate::DevicesLost, 10), Blow::DeviceLost),
            (only(Fate::Copies, 8), Blow::StoreCopy),
            (only(Fate::Copies, 10), Blow::StorePutBack),
            (only(Fate::Copies, 4), Blow::StoreClone),
        ])
    }

    fn strike(&mut self, blow: Blow, random: &mut Random) -> Result<()> {
        let victim = random.below(self.clients.len());
        let delay = Duration::from_millis(random.between(0, 60));
        match blow {
            Blow::Kill => {
                let kind = if self.clients[victim].paused { "client_kill_paused" } else { "client_kill" };
                self.kill(victim, kind)?;
            }
            Blow::KillStarting => {
                self.kill(victim, "client_kill")?;
                self.start_client(victim)?;
                thread::sleep(delay);
                self.kill(victim, "client_kill_starting")?;
            }
            Blow::KillCompacting => {
                if !self.clients[victim].is_running() {
                    self.start_client(victim)?;
                }
                let kind = if self.clients[victim].compacts() { "client_kill_compacting" } else { "client_kill" };
                // Within the few milliseconds that a compaction takes.
                thread::sleep(delay / 20);
                self.kill(victim, kind)?;
            }
            Blow::Pause => {
                self.note(&format!("client {victim} is paused"));
                self.clients[victim].pause()?;
                self.count("client_pause");
            }
            Blow::Quit => {
                self.note(&format!("client {victim} is asked to end"));
                self.clients[victim].quit()?;
                self.count("client_quit");
            }
            Blow::RelayKill => {
                let kind = if self.relay.paused { "relay_kill_paused" } else { "relay_kill" };
                self.kill_relay(kind)?;
            }
            Blow::RelayKillStarting => {
                self.kill_relay("relay_kill")?;
                self.note("the relay starts");
                self.relay.start()?;
                thread::sleep(delay);
                self.kill_relay("relay_kill_starting")?;
            }
            Blow::RelayDrain => {
                self.note("the relay is asked to end");
                self.relay.drain()?;
                self.count("relay_drain");
            }
            Blow::RelayPause => {
                self.note("the relay is paused");
                self.relay.pause()?;
                self.count("relay_pause");
            }
            Blow::RelayFull => {
                // Until it dies again, or everybody comes to rest.
                self.kill_relay("relay_kill")?;
                self.note("the relay starts on a disk that is full");
                self.relay.start_full()?;
                self.relay.listens()?;
                self.count("relay_full");
            }
            Blow::RelayWipe => {
                self.kill_relay("relay_kill")?;
                self.note("the relay's store is wiped");
                self.relay.wipe()?;
                // What was copied is still an earlier state of something.
                self.count("relay_wipe");
            }
            Blow::RelayPutBack if self.relay.has_copy() => {
                self.kill_relay("relay_kill")?;
                self.note("the relay's store is put back");
                self.relay.put_back()?;
                self.count("relay_rollback");
            }
            Blow::RelayCopy | Blow::RelayPutBack => {
                self.kill_relay("relay_kill")?;
                self.note("the relay's store is copied");
                self.relay.copy()?;
            }
            Blow::DeviceLost => {
                // A relay that hears nothing more, and then nothing at all: what a client has only sent is lost.
                let unheard = random.chance(50) && self.relay.is_running();
                if unheard {
                    self.note("the relay is paused");
                    self.relay.pause()?;
                    thread::sleep(3 * delay);
                }
                self.lose_device(victim)?;
                if unheard {
                    self.kill_relay("relay_kill_paused")?;
                }
            }
            Blow::StoreCopy | Blow::StorePutBack => self.copy_or_put_back(victim, matches!(blow, Blow::StoreCopy))?,
            Blow::StoreClone => self.clone_store(victim)?,
        }
        Ok(())
    }

    fn lose_device(&mut self, victim: usize) -> Result<()> {
        let (store, owners) = self.closed_store_of(victim)?;
        self.note(&format!("the store of clients {owners:?} is gone"));
        if store.is_dir() {
            fs::remove_dir_all(&store)?;
        }
        self.ledger().keep(&owners, &Held::new());
        self.most_ids += owners.len();
        self.count("device_lost");
        Ok(())
    }

    fn copy_or_put_back(&mut self, victim: usize, copy: bool) -> Result<()> {
        let (store, owners) = self.closed_store_of(victim)?;
        let beside = store.with_extension("copy");
        match self.copies.get(&store) {
            Some(held) if !copy => {
                self.ledger().keep(&owners, held);
                self.note(&format!("the store of clients {owners:?} is put back"));
                replace(&beside, &store)?;
                self.count("store_rollback");
            }
            _ => {
                let held = self.ledger().held(&owners);
                self.note(&format!("the store of clients {owners:?} is copied"));
                replace(&store, &beside)?;
                self.copies.insert(store, held);
            }
        }
        Ok(())
    }

    fn clone_store(&mut self, victim: usize) -> Result<()> {
        let index = self.clients.len();
        if index >= self.setting.clients + CLONES {
            return Ok(());
        }
        let (store, owners) = self.closed_store_of(victim)?;
        self.note(&format!("the store of clients {owners:?} is used by client {index}, too"));
        let copy = self.folder.join(format!("store-{index}"));
        replace(&store, &copy)?;
        let opens = Opens { store: Some(copy), ..self.clients[victim].opens.clone() };
        let identity = (index, format!("client-{index}"));
        let client = Client::new(&self.setting.client, &self.folder, identity, (opens, true), &self.ledger);
        self.clients.push(client);
        self.count("store_clone");
        Ok(())
    }

    /// The store of a client and its owners, none of whom runs any more.
    fn closed_store_of(&mut self, victim: usize) -> Result<(PathBuf, Vec<usize>)> {
        let (store, owners) = self.store_of(victim);
        for &owner in &owners {
            self.kill(owner, "client_kill")?;
        }
        Ok((store, owners))
    }

    /// The store of a client, and who else writes to it.
    pub(crate) fn store_of(&self, client: usize) -> (PathBuf, Vec<usize>) {
        let store = self.clients[client].opens.store.clone().expect("a client that edits has a store");
        let owners = (0..self.clients.len()).filter(|&other| self.clients[other].opens.store.as_ref() == Some(&store));
        (store.clone(), owners.collect())
    }

    fn everybody_up(&mut self) -> Result<()> {
        self.relay.resume()?;
        if self.relay.is_running() && self.relay.full {
            self.kill_relay("relay_kill")?;
        }
        self.start_relay()?;
        for index in 0..self.clients.len() {
            self.clients[index].resume()?;
            if !self.clients[index].is_running() {
                self.start_client(index)?;
            }
        }
        Ok(())
    }

    fn start_relay(&mut self) -> Result<()> {
        if !self.relay.is_running() {
            self.note("the relay starts");
            self.relay.start()?;
            self.relay.listens()?;
        }
        Ok(())
    }

    fn start_client(&mut self, index: usize) -> Result<()> {
        self.note(&format!("client {index} starts"));
        self.clients[index].start()
    }

    fn kill(&mut self, index: usize, kind: &'static str) -> Result<()> {
        if self.clients[index].kill()? {
            self.note(&format!("{kind} {index}"));
            self.count(kind);
        }
        Ok(())
    }

    fn kill_relay(&mut self, kind: &'static str) -> Result<()> {
        if self.relay.kill()? {
            self.note(kind);
            self.count(kind);
        }
        Ok(())
    }

    /// An error if a process ended that nobody ended, or panicked.
    pub(crate) fn all_well(&mut self) -> Result<()> {
        self.relay.is_well()?;
        self.clients.iter_mut().try_for_each(Client::is_well)
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub(crate) fn note(&mut self, event: &str) {
        self.events.push(format!("{:>8.3} s  {event}", self.began.elapsed().as_secs_f64()));
    }
}

fn free_port(random: &mut Random) -> Result<u16> {
    let (first, last) = PORTS;
    for _ in 0..100 {
        // Not from the seed alone: two runs with one seed may be at work at once.
        let drawn = random.next().wrapping_add(u64::from(std::process::id()));
        let port = u16::try_from(first + drawn % (last - first)).context("a port")?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
