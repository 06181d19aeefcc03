//! Two deltas at one dot: how the relay finds out, and what everybody is told.

use weftline::sync::limits::MAX_MARKS;
use weftline::{Dot, Tag};

use super::world::{Store, World};

/// A store with `before` acked edits, copied; the original makes `theirs` more edits, which are acked, and the copy `ours`.
struct Forked {
    world: World,
    copy: usize,
    /// The first delta of the copy's branch.
    begins: (Dot, Tag),
}

fn forked(before: usize, theirs: usize, ours: usize) -> Forked {
    let mut world = World::new();
    let original = world.open(Store::default());
    for number in 0..before {
        world.write(original, &format!("common {number}"));
    }
    world.sync(original);
    let copied = world.store(original);
    for number in 0..theirs {
        world.write(original, &format!("theirs {number}"));
    }
    world.run();
    world.disconnect(original);
    let copy = world.open(copied);
    let branch: Vec<_> = (0..ours).map(|number| world.write(copy, &format!("ours {number}"))).collect();
    let begins = (branch[0].dot(), branch[0].tag());
    Forked { world, copy, begins }
}

fn voids(world: &World) -> Vec<(Dot, Tag)> {
    world.room.voids().map(|fact| (fact.first(), fact.tag)).collect()
}

#[test]
fn fork_2_a_branch_is_named_by_its_first_delta_however_long_the_two_are() {
    let lengths = [1, 2, 5, MAX_MARKS - 1, MAX_MARKS, 3 * MAX_MARKS];
    for theirs in lengths {
        for ours in lengths {
            let Forked { mut world, copy, begins } = forked(3, theirs, ours);
            let id = world.writer(copy);
            world.sync(copy);
            assert_eq!(voids(&world), [begins], "{theirs} and {ours} edits");
            assert_ne!(world.writer(copy), id);
            assert!((0..theirs).all(|number| world.relay_has(&format!("theirs {number}"))));
            assert!((0..ours).all(|number| world.has(copy, &format!("ours {number}"))));
        }
    }
}

#[test]
fn fork_2_a_branch_behind_what_waits_is_named_by_its_first_delta() {
    // The copy has all of `theirs` that was pushed before it was taken, unacked; the branch begins behind that.
    for waiting in [1, 5, 2 * MAX_MARKS] {
        let mut world = World::new();
        let original = world.open(Store::default());
        world.write(original, "a");
        world.sync(original);
        world.disconnect(original);
        for number in 0..waiting {
            world.write(original, &format!("waits {number}"));
        }
        let copy = world.open_copy(original);
        world.write(original, "theirs");
        world.sync(original);
        world.disconnect(original);
        let ours = world.write(copy, "ours");
        world.sync(copy);
        assert_eq!(voids(&world), [(ours.dot(), ours.tag())]);
    }
}

#[test]
fn fork_2_a_branch_is_named_where_the_logs_tags_are_gone() {
    let Forked { mut world, copy, begins } = forked(3, 4, 3);
    world.compact();
    assert!(world.disk.rows.is_empty());
    world.sync(copy);
    assert_eq!(voids(&world), [begins]);
}

#[test]
fn fork_2_a_branch_is_named_where_nothing_lives_of_what_the_log_has_in_its_place() {
    for ours in 1..=3 {
        let mut world = World::new();
        let original = world.open(Store::default());
        world.write(original, "common");
        world.sync(original);
        let copied = world.store(original);
        // Each overwrites the one before, and of the compacted log only what lives is known.
        (0..5).for_each(|_| _ = world.write(original, "theirs"));
        world.run();
        world.disconnect(original);
        world.compact();
        let copy = world.open(copied);
        let branch: Vec<_> = (0..ours).map(|number| world.write(copy, &format!("ours {number}"))).collect();
        world.sync(copy);
        assert_eq!(voids(&world), [(branch[0].dot(), branch[0].tag())], "{ours} edits");
        assert!((0..ours).all(|number| world.has(copy, &format!("ours {number}"))), "{ours} edits");
    }
}
