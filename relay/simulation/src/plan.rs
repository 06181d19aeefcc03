//! What will happen in a simulation, written down before it begins: who is there, and a list of edits and faults with their times.
//!
//! The list is drawn from the seed. A history that breaks a rule can then be made short by leaving things out ([`crate::shrink`]); what is
//! left keeps its number and its own seed, so that it stays the same thing.

use std::fmt;

use crate::disk::Layout;
use crate::rng::Rng;
use crate::settings::Simulation;

/// One thing that is done to the world at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its number in the list that was drawn.
    pub(crate) number: u64,
    /// When, from the beginning.
    pub(crate) at_ms: u64,
    /// What it draws from.
    pub(crate) seed: u64,
    pub(crate) op: Op,
}

/// What is done. A *peer* is one document opened by one process; a *machine* has a clock, a network cable and the stores of its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Edit {
        peer: usize,
    },
    Undo {
        peer: usize,
    },
    Redo {
        peer: usize,
    },
    /// A peer of a newer version edits a document, with kinds that nobody here knows.
    EditNewer {
        room: usize,
    },
    /// A document is compared with the specification.
    Inspect {
        peer: usize,
    },
    Cut {
        peer: usize,
    },
    /// A connection goes silent.
    Silence {
        peer: usize,
        up: bool,
        down: bool,
    },
    /// A frame is lost, or arrives twice, late, or at somebody else.
    Tamper {
        peer: usize,
        down: bool,
        how: Tampering,
    },
    Offline {
        machine: usize,
        for_ms: u64,
    },
    Crash {
        peer: usize,
        for_ms: u64,
    },
    PowerCut {
        machine: usize,
        for_ms: u64,
    },
    /// The writes in flight of a peer fail.
    FailWrites {
        peer: usize,
    },
    FullDisk {
        machine: usize,
        for_ms: u64,
    },
    SlowDisk {
        machine: usize,
        for_ms: u64,
    },
    LoseLock {
        peer: usize,
    },
    JumpClock {
        machine: usize,
        by_ms: i64,
    },
    CrashRelay {
        for_ms: u64,
    },
    FailCommit {
        room: usize,
    },
    FullRelay {
        for_ms: u64,
    },
    SlowRelay {
        for_ms: u64,
    },
    JumpRelayClock {
        by_ms: i64,
    },
    /// The relay lets go of rooms that nobody is in.
    Evict,
    BackUpRelay,
    RestoreRelay {
        for_ms: u64,
    },
    /// The stores of a machine are copied, and both are used.
    Clone {
        from: usize,
        to: usize,
    },
    BackUp {
        machine: usize,
    },
    Restore {
        machine: usize,
        for_ms: u64,
    },
}

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tampering {
    Lose,
    Repeat,
    Swap,
    Misdeliver,
}

impl Op {
    /// The name that reports count it under; `None` for what is no fault.
    pub(crate) const fn fault(&self) -> Option<&'static str> {
        Some(match self {
            Self::Edit { .. } | Self::Undo { .. } | Self::Redo { .. } | Self::Inspect { .. } | Self::BackUp { .. } => {
                return None;
            }
            Self::Evict | Self::BackUpRelay => return None,
            Self::EditNewer { .. } => "newer_kind",
            Self::Cut { .. } => "cut",
            Self::Silence { .. } => "half_open",
            Self::Tamper { how: Tampering::Lose, .. } => "frame_lost",
            Self::Tamper { how: Tampering::Repeat, .. } => "frame_duplicated",
            Self::Tamper { how: Tampering::Swap, .. } => "frame_reordered",
            Self::Tamper { how: Tampering::Misdeliver, .. } => "frame_misdelivered",
            Self::Offline { .. } => "partition",
            Self::Crash { .. } => "crash",
            Self::PowerCut { .. } => "power_cut",
            Self::FailWrites { .. } => "write_failed",
            Self::FullDisk { .. } => "disk_full",
            Self::SlowDisk { .. } => "disk_slow",
            Self::LoseLock { .. } => "lock_lost",
            Self::JumpClock { .. } | Self::JumpRelayClock { .. } => "clock_jump",
            Self::CrashRelay { .. } => "relay_crash",
            Self::FailCommit { .. } => "relay_write_failed",
            Self::FullRelay { .. } => "relay_disk_full",
            Self::SlowRelay { .. } => "relay_disk_slow",
            Self::RestoreRelay { .. } => "relay_restored",
            Self::Clone { .. } => "store_cloned",
            Self::Restore { .. } => "store_restored",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ms  #{:<4} {:?}", self.at_ms, self.number, self.op)
    }
}

/// A machine and what runs on it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) stores: Vec<Store>,
    /// It comes into being when a store is copied to it.
    pub(crate) is_clone: bool,
    /// How far its clock is off at the beginning.
    pub(crate) skew_ms: i64,
    pub(crate) age: Age,
}

/// The store of one document on a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    pub(crate) room: usize,
    pub(crate) layout: Layout,
    /// How many processes share it.
    pub(crate) tabs: u32,
    /// Whether there are locks.
    pub(crate) locks: bool,
}

/// Which version of the library a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Without optional features.
    Older,
    Present,
    /// It speaks later versions, too, and has features that nobody else knows.
    Newer,
}

/// Who is there, and what will happen.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) machines: Vec<Machine>,
    /// The machine whose stores the last one may get copies of.
    pub(crate) copied: Option<usize>,
    /// The machine of each peer.
    pub(crate) peers: Vec<usize>,
    pub(crate) steps: Vec<Step>,
    pub(crate) end_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn draw(settings: &Simulation) -> Self {
        let mut rng = Rng::of(settings.seed, 1, 0);
        let mut machines: Vec<Machine> = Vec::new();
        for index in 0..settings.replicas {
            machines.push(machine(settings, index, &mut rng));
        }
        let copied = (settings.faults.clone > 0).then(|| rng.below(machines.len()));
        if let Some(from) = copied {
            machines.push(Machine { is_clone: true, ..machines[from].clone() });
        }
        let tabs = |machine: &Machine| machine.stores.iter().map(|store| store.tabs as usize).sum::<usize>();
        let peers: Vec<usize> =
            machines.iter().enumerate().flat_map(|(index, machine)| vec![index; tabs(machine)]).collect();
        let mut plan = Self { machines, copied, peers, steps: Vec::new(), end_ms: 0 };
        let mut drawn = Vec::new();
        let end = plan.draw_edits(settings, &mut rng, &mut drawn);
        plan.draw_faults(settings, &mut rng, end, &mut drawn);
        drawn.sort_by_key(|(at, _)| *at);
        plan.end_ms = end;
        plan.steps = drawn
            .into_iter()
            .enumerate()
            .map(|(number, (at_ms, op))| Step { number: number as u64, at_ms, seed: rng.bits(), op })
            .collect();
        plan
    }

    fn draw_edits(&self, settings: &Simulation, rng: &mut Rng, drawn: &mut Vec<(u64, Op)>) -> u64 {
        let mut at = 100;
        for _ in 0..settings.edits {
            let peer = rng.below(self.peers.len());
            let op = match rng.between(0, 99) {
                draw if draw < settings.undo && rng.chance(70) => Op::Undo { peer },
                draw if draw < settings.undo => Op::Redo { peer },
                draw if draw < settings.undo + settings.faults.newer_kind => {
                    Op::EditNewer { room: rng.below(settings.rooms) }
                }
                _ => Op::Edit { peer },
            };
            drawn.push((at, op));
            at += rng.between(0, 2 * settings.edit_every_ms);
        }
        for _ in 0..2 {
            drawn.push((rng.between(0, at), Op::Inspect { peer: rng.below(self.peers.len()) }));
        }
        at + 100
    }

    fn draw_faults(&self, settings: &Simulation, rng: &mut Rng, end: u64, drawn: &mut Vec<(u64, Op)>) {
        let faults = settings.faults;
        let mut copied = self.copied;
        let mut at = 200;
        while at < end {
            let peer = rng.below(self.peers.len());
            let machine = self.peers[peer];
            let down = rng.chance(50);
            let mut push = |percent: u64, rng: &mut Rng, op: &dyn Fn(&mut Rng) -> Op| {
                if rng.chance(percent) {
                    let op = op(rng);
                    drawn.push((at, op));
                }
            };
            push(faults.cut, rng, &|_| Op::Cut { peer });
            push(faults.half_open, rng, &|rng| match rng.below(3) {
                0 => Op::Silence { peer, up: true, down: false },
                1 => Op::Silence { peer, up: false, down: true },
                _ => Op::Silence { peer, up: true, down: true },
            });
            push(faults.tamper, rng, &|rng| {
                const ALL: [Tampering; 4] =
                    [Tampering::Lose, Tampering::Repeat, Tampering::Swap, Tampering::Misdeliver];
                Op::Tamper { peer, down, how: *rng.pick(&ALL) }
            });
            push(faults.crash, rng, &|rng| Op::Crash { peer, for_ms: rng.between(1, 4_000) });
            push(faults.power_cut, rng, &|rng| Op::PowerCut { machine, for_ms: rng.between(1, 4_000) });
            push(faults.partition, rng, &|rng| Op::Offline { machine, for_ms: rng.between(100, 15_000) });
            push(faults.store_failure, rng, &|_| Op::FailWrites { peer });
            push(faults.full_disk, rng, &|rng| Op::FullDisk { machine, for_ms: rng.between(100, 8_000) });
            push(faults.slow_disk, rng, &|rng| Op::SlowDisk { machine, for_ms: rng.between(500, 10_000) });
            push(faults.lock_loss, rng, &|_| Op::LoseLock { peer });
            push(faults.clock, rng, &|rng| {
                let by_ms = jump(rng);
                if rng.chance(20) { Op::JumpRelayClock { by_ms } } else { Op::JumpClock { machine, by_ms } }
            });
            push(faults.relay_crash, rng, &|rng| Op::CrashRelay { for_ms: rng.between(10, 5_000) });
            push(faults.relay_store_failure, rng, &|rng| Op::FailCommit { room: rng.below(settings.rooms) });
            push(faults.relay_disk, rng, &|rng| {
                let for_ms = rng.between(100, 6_000);
                if rng.chance(50) { Op::FullRelay { for_ms } } else { Op::SlowRelay { for_ms } }
            });
            push(faults.relay_restore, rng, &|rng| {
                if rng.chance(70) { Op::BackUpRelay } else { Op::RestoreRelay { for_ms: rng.between(10, 5_000) } }
            });
            push(5, rng, &|_| Op::Evict);
            push(faults.restore, rng, &|rng| {
                if rng.chance(60) {
                    Op::BackUp { machine }
                } else {
                    Op::Restore { machine, for_ms: rng.between(1, 4_000) }
                }
            });
            if rng.chance(faults.clone)
                && let Some(from) = copied.take()
            {
                drawn.push((at, Op::Clone { from, to: self.machines.len() - 1 }));
            }
            at += rng.between(1, 1_500);
        }
    }
}

fn machine(settings: &Simulation, index: usize, rng: &mut Rng) -> Machine {
    let mut stores = Vec::new();
    for room in 0..settings.rooms {
        // Not everybody has every document open; the first two have, so that each has two.
        if index < 2 || room == index % settings.rooms || rng.chance(60) {
            let layout = if rng.chance(50) { Layout::Log } else { Layout::Keyed };
            // Now and then two tabs share a store; now and then there are no locks.
            let tabs = if rng.chance(15) { 2 } else { 1 };
            stores.push(Store { room, layout, tabs, locks: !rng.chance(10) });
        }
    }
    let skewed = settings.faults.clock > 0 && rng.chance(40);
    let skew_ms = if skewed { jump(rng) } else { 0 };
    let age = match rng.below(100) {
        draw if (draw as u64) < settings.faults.other_versions => Age::Older,
        draw if (draw as u64) < 2 * settings.faults.other_versions => Age::Newer,
        _ => Age::Present,
    };
    Machine { stores, is_clone: false, skew_ms, age }
}

/// By how much clocks are off, or are set: mostly seconds, now and then days.
fn jump(rng: &mut Rng) -> i64 {
    let most = *rng.pick(&[2_000, 60_000, 3_600_000, 100_000_000]);
    let by = rng.between(1, most) as i64;
    if rng.chance(50) { by } else { -by }
}
