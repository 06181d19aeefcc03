//! How a simulation is set up, and how it is run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::plan::{Plan, Step};
use crate::report::{Failure, Report};
use crate::rng::Rng;
use crate::schema::{AllTypes, Schema};
use crate::shrink;
use crate::world::World;

/// What may go wrong, in percent of the moments at which something is drawn: those come every 750 ms on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A connection ends.
    pub cut: u64,
    /// A connection goes silent in one direction or both.
    pub half_open: u64,
    /// A frame is lost, or arrives twice, late, or on another connection.
    pub tamper: u64,
    /// A machine is taken off the network for a while.
    pub partition: u64,
    /// A client's process dies.
    pub crash: u64,
    /// A client's machine loses power.
    pub power_cut: u64,
    /// A client's writes fail.
    pub store_failure: u64,
    /// A client's disk is full for a while.
    pub full_disk: u64,
    /// A client's disk is slow for a while.
    pub slow_disk: u64,
    /// A client loses the lock of its slot.
    pub lock_loss: u64,
    /// A clock is set. If this is not 0, clocks also differ from the beginning.
    pub clock: u64,
    /// The relay's process dies.
    pub relay_crash: u64,
    /// The relay's writes fail.
    pub relay_store_failure: u64,
    /// The relay's disk is full or slow for a while.
    pub relay_disk: u64,
    /// The relay's operator takes a backup, or puts the last one back.
    pub relay_restore: u64,
    /// Of a hundred machines, so many run an older version, and as many a newer one.
    pub other_versions: u64,
    /// Of a hundred edits, so many are of kinds that only a newer version knows.
    pub newer_kind: u64,
    /// A client's store is copied, and both copies are used.
    pub clone: u64,
    /// A client's store is backed up, or put back to its backup.
    pub restore: u64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        cut: 0,
        half_open: 0,
        tamper: 0,
        partition: 0,
        crash: 0,
        power_cut: 0,
        store_failure: 0,
        full_disk: 0,
        slow_disk: 0,
        lock_loss: 0,
        clock: 0,
        relay_crash: 0,
        relay_store_failure: 0,
        relay_disk: 0,
        relay_restore: 0,
        other_versions: 0,
        newer_kind: 0,
        clone: 0,
        restore: 0,
    };

    /// Everything goes wrong that may go wrong, but stores are neither copied nor put back.
    pub const ALL: Self = Self {
        cut: 20,
        half_open: 5,
        tamper: 0,
        partition: 10,
        crash: 12,
        power_cut: 6,
        store_failure: 2,
        full_disk: 3,
        slow_disk: 3,
        lock_loss: 1,
        clock: 4,
        relay_crash: 6,
        relay_store_failure: 2,
        relay_disk: 3,
        relay_restore: 4,
        other_versions: 10,
        newer_kind: 3,
        clone: 0,
        restore: 0,
    };

    /// Whether stores are copied or put back: then dots may be bound twice, and have to be told apart again.
    #[must_use]
    pub const fn copies(&self) -> bool {
        self.clone > 0 || self.restore > 0
    }
}

/// A simulation to run.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    pub(crate) seed: u64,
    pub(crate) replicas: usize,
    pub(crate) rooms: usize,
    pub(crate) edits: u64,
    pub(crate) edit_every_ms: u64,
    pub(crate) undo: u64,
    pub(crate) faults: Faults,
}

impl Simulation {
    /// Three machines, one document, sixty edits, every fault.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, replicas: 3, rooms: 1, edits: 60, edit_every_ms: 400, undo: 0, faults: Faults::ALL }
    }

    /// One of many: its size and its mix of faults follow from the seed as well. Most are small.
    #[must_use]
    pub fn mixed(seed: u64) -> Self {
        let mut rng = Rng::of(seed, 2, 0);
        let all = Faults::ALL;
        let faults = match rng.below(10) {
            // Many connections, stable machines.
            0 => Faults { cut: 60, newer_kind: 3, other_versions: 10, ..Faults::NONE },
            // Machines that die all the time.
            1 => Faults { crash: 40, power_cut: 20, relay_crash: 15, ..all },
            // Far apart for long: diffs rather than rows.
            2 => Faults { partition: 50, ..all },
            // A relay that loses what it had, again and again.
            3 => Faults { relay_restore: 100, relay_crash: 40, cut: 80, store_failure: 0, ..all },
            // Disks that are full and slow, clocks that jump.
            4 => Faults { full_disk: 12, slow_disk: 12, relay_disk: 15, clock: 20, store_failure: 8, ..all },
            // A network that does what no network should.
            5 => Faults { tamper: 30, ..all },
            _ => all,
        };
        let (edits, every) = match rng.below(10) {
            0 => (rng.between(120, 250), rng.between(20, 150)),
            1..=3 => (rng.between(50, 100), rng.between(100, 400)),
            _ => (rng.between(8, 40), rng.between(50, 800)),
        };
        let undo = if rng.chance(50) { 8 } else { 0 };
        Self {
            seed,
            replicas: rng.between(2, 5) as usize,
            rooms: *rng.pick(&[1, 1, 1, 2, 2, 3]),
            edits,
            edit_every_ms: every,
            undo,
            faults,
        }
    }

    /// The same with stores that are copied and put back.
    #[must_use]
    pub const fn with_copies(self) -> Self {
        // Undo would take back what counts how often an edit is there. That a relay is put back to before a fork that was settled
        // there, and the copy that lost is the first to come back, is more than void facts can tell apart.
        let faults = Faults { clone: 15, restore: 10, relay_restore: 0, ..self.faults };
        Self { undo: 0, ..self.faults(faults) }
    }

    /// With so many machines.
    #[must_use]
    pub const fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// With so many documents, each a room of the relay.
    #[must_use]
    pub const fn rooms(self, rooms: usize) -> Self {
        Self { rooms, ..self }
    }

    /// With so many edits, one every `every_ms` on average.
    #[must_use]
    pub const fn edits(self, edits: u64, every_ms: u64) -> Self {
        Self { edits, edit_every_ms: every_ms, ..self }
    }

    /// With so many of a hundred edits taking back an edit, or the taking back.
    #[must_use]
    pub const fn undo(self, percent: u64) -> Self {
        Self { undo: percent, ..self }
    }

    /// With these faults.
    #[must_use]
    pub const fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Runs it, with small edits of every type.
    ///
    /// # Errors
    /// When a rule is broken.
    pub fn run(self) -> Result<Report, Box<Failure>> {
        self.run_on(&AllTypes)
    }

    /// Runs it, with edits of a schema. A failure is made short before it is given.
    ///
    /// # Errors
    /// When a rule is broken, or the schema's own check fails.
    pub fn run_on(self, schema: &dyn Schema) -> Result<Report, Box<Failure>> {
        let plan = Plan::draw(&self);
        match self.attempt(schema, &plan, false) {
            Ok(report) => Ok(report),
            Err(failure) => Err(Box::new(shrink::shrink(&self, schema, plan, *failure))),
        }
    }

    /// Runs a plan.
    pub(crate) fn attempt(self, schema: &dyn Schema, plan: &Plan, traced: bool) -> Result<Report, Box<Failure>> {
        let mut world = World::new(self, schema, plan, traced);
        // What panics is a broken rule, too: the core's own, or the schema's.
        let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| Err(words(&*panic)));
        result.map(|()| world.report.clone()).map_err(|what| {
            let steps = plan.steps.iter().map(Step::to_string).collect();
            let drawn = plan.steps.len();
            let (at_ms, trace) = (world.elapsed_ms(), world.take_trace());
            Box::new(Failure { seed: self.seed, at_ms, what, steps, drawn, trace })
        })
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    format!("panic: {}", text.unwrap_or_default())
}
