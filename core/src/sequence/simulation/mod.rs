//! Replicas that type, delete, move and exchange, in small: what the order promises, checked against every list ever shown.
//!
//! The document around the forest is a model: a version, live entries, a removal log with its horizon, deltas, and diffs on
//! the full and the version tier. Forest, order, placement and sequence are the real ones. Structure is dropped as early as
//! the rules allow, and in half of the histories earlier, after every step.
//!
//! Checked: SEQ-1, SEQ-2, SEQ-3, SEQ-5, SEQ-6, and
//! - C1 the same live values are in the same order everywhere; C2 two values never swap, anywhere, at any time;
//! - C3 a value lies between the visible neighbours it was put between;
//! - N1 two runs, each typed at one gap, neither knowing the other, are not interleaved;
//! - N2 between u and x, typed right after u, is only what saw x or was itself typed, transitively, after u;
//! - N3 between two values that one replica typed one after the other is nothing that did not see the second.

mod checks;
mod replica;
mod world;

use alloc::string::String;

use self::replica::Replica;
use self::world::World;
use super::forest::Forest;
use crate::replica_id::ReplicaId;

type Outcome<T> = Result<T, String>;

/// Mutants of what surrounds the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// The index is one more than that of the outermost live value.
    ReusesIndex,
    /// After a change of id the bunches of the old id are extended.
    ExtendsOldId,
    /// A bunch that is unknown is taken to hang under the root, instead of being asked for.
    GuessesParent,
    /// Dead structure goes without regard to the horizon.
    DropsEarly,
    /// Version-tier diffs leave out the dead structure that is kept for removals.
    DiffWithoutDead,
}

fn history(seed: u64, mutant: Option<Mutant>) -> Outcome<usize> {
    let mut world = World::new(seed, mutant);
    for _ in 0..30 {
        world.step()?;
    }
    world.finish()?;
    Ok(world.parked)
}

#[test]
fn c_1_to_3_and_n_1_to_3_hold_in_random_histories() {
    let mut parked = 0;
    for seed in 0..1000 {
        match history(seed, None) {
            Ok(count) => parked += count,
            Err(failure) => panic!("seed {seed}: {failure}"),
        }
    }
    assert!(parked > 0, "SEQ-5: some deltas must have met missing structure");
}

/// Directed, since random histories rarely get there: what a value is put between is deleted and its structure dropped
/// before the value arrives.
fn inserted_inside_a_dropped_range(mutant: Option<Mutant>) -> Outcome<()> {
    let mut world = World::new(0, mutant);
    (world.hasty, world.moves, world.soft_depth) = (true, false, Forest::SOFT_DEPTH);
    let ids = [9u128, 5, 1].map(ReplicaId::from);
    world.replicas = ids.map(|id| Replica::new(id, &[])).into();
    let (a, b, c) = (0, 1, 2);
    let type_at = |world: &mut World, who: usize, gap: usize| {
        let mut transaction = world.begin(who);
        world.insert(who, &mut transaction, gap, None)?;
        world.commit(who, transaction);
        Ok::<usize, String>(world.deltas.len() - 1)
    };
    let last = type_at(&mut world, c, 0)?;
    world.any_diff(c, a)?;
    type_at(&mut world, a, 0)?;
    type_at(&mut world, a, 1)?;
    world.any_diff(a, b)?;
    // B types between the two values of A, while A deletes both and forgets that they had places.
    let inside = type_at(&mut world, b, 1)?;
    let mut transaction = world.begin(a);
    for add in &world.replicas[a].visible()[..2] {
        world.remove(a, &mut transaction, add.element)?;
    }
    world.commit(a, transaction);
    world.replicas[a].drop_dead(true);

    let delta = world.deltas[inside].clone();
    if !world.apply(a, &delta)? {
        world.parked += 1;
        world.any_diff(b, a)?;
    }
    world.look(a)?;
    world.any_diff(a, b)?;
    let names = [inside, last].map(|delta| world.deltas[delta].adds[0].dot);
    for replica in &world.replicas[..2] {
        if replica.order() != names {
            return Err("C1: what was typed inside is not where it was typed".into());
        }
    }
    world.check_acyclic()?;
    if world.parked == 1 { Ok(()) } else { Err("SEQ-5: the delta was not parked".into()) }
}

#[test]
fn seq_5_a_value_inside_a_dropped_range_parks_and_is_healed_by_a_diff() {
    assert_eq!(inserted_inside_a_dropped_range(None), Ok(()));
    let guess = inserted_inside_a_dropped_range(Some(Mutant::GuessesParent));
    assert!(guess.is_err_and(|failure| failure.starts_with('C')), "a guessed place is a wrong place");
}

/// Whether a mutant is noticed in one of so many histories, be it by a check or by a broken invariant of the engine.
fn is_caught(mutant: Mutant, histories: u64) -> bool {
    (0..histories).any(|seed| {
        let outcome = std::panic::catch_unwind(|| history(seed, Some(mutant)));
        outcome.is_err() || outcome.is_ok_and(|outcome| outcome.is_err())
    })
}

#[test]
fn mutants_are_caught() {
    for (mutant, histories) in [
        (Mutant::ReusesIndex, 100),
        (Mutant::ExtendsOldId, 200),
        (Mutant::DropsEarly, 3000),
        (Mutant::DiffWithoutDead, 3000),
    ] {
        assert!(is_caught(mutant, histories), "{mutant:?} was not noticed in {histories} histories");
    }
}
