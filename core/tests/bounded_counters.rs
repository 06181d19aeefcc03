//! Bounded counters over random histories with partitions: whoever subtracts what, and whichever incarnations are removed, the
//! value is never below the floor.
//!
//! A document reads a negative sum as none, so it is not asked: the specification adds up what lives, bounds nothing, and
//! must show the same.
#![cfg(feature = "testing")]

mod common;

use weftline::testing::{Random, Shape, Spec, dump};
use weftline::{Commit, Document, EditError, Kind, ReplicaId, Timestamp, Transaction};

use common::seeds;

/// What was refused and what was done, so that a run shows something.
#[derive(Default)]
struct Seen {
    subtracted: usize,
    refused: usize,
    given: usize,
    removed: usize,
}

fn run(seed: u64, seen: &mut Seen) {
    let mut random = Random::seeded(seed);
    // Ids in another order than that of the documents, so that the lowest incarnation is anybody's.
    let id = |at: usize| ReplicaId::from(1 + ((at as u128 * 7 + u128::from(seed)) % 11));
    let mut documents: Vec<Document> = (0..4).map(|at| Document::with_writer(id(at))).collect();
    let mut spec = Spec::default();
    let mut groups = [0; 4];
    for step in 0..160 {
        if step % 20 == 0 {
            groups = [0; 4].map(|_| random.below(3));
        }
        let at = random.below(4);
        if random.one_in(2) {
            let to = id(random.below(4));
            let commit: Result<Commit<()>, EditError> =
                documents[at].transact(Timestamp(step), |tx| edit(tx, &mut random, to, seen));
            if let Some(delta) = commit.unwrap_or_else(|error| panic!("seed {seed}: {error}")).delta {
                spec.record(&delta);
            }
        } else {
            let from = random.below(4);
            if groups[from] == groups[at] {
                if random.one_in(8) {
                    documents[from].truncate_removals();
                }
                let diff = documents[from].diff_since(&documents[at].version());
                documents[at].apply_diff(&diff).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
        }
        check(&documents[at], &spec, seed);
    }
}

/// What lives never adds up to less than the floor, in any state that anybody was ever in; and that is what is shown.
fn check(document: &Document, spec: &Spec, seed: u64) {
    let expected = spec.dump(&document.version());
    for shape in expected.values() {
        let Shape::Map(keys) = shape else { panic!("there is only a map: {shape:?}") };
        for shape in keys.values() {
            let Shape::Bounded { value, floor, rights } = shape else { continue };
            assert!(*value >= i128::from(*floor), "seed {seed}: {value} is below {floor}");
            assert!(rights.iter().all(|(_, rights)| *rights > 0), "seed {seed}: negative rights in {rights:?}");
        }
    }
    assert_eq!(dump(document), expected, "seed {seed}");
}

fn edit(tx: &mut Transaction<'_>, random: &mut Random, to: ReplicaId, seen: &mut Seen) -> Result<(), EditError> {
    let amount = random.below(12) as u64;
    let mut map = tx.map("m")?;
    if random.one_in(10) {
        seen.removed += usize::from(map.remove("k")?);
        return Ok(());
    }
    let mut counter = map.bounded_counter_above("k", random.below(5) as i64 - 2)?;
    let (value, rights) = (counter.read().value(), counter.read().rights());
    let done = match random.below(5) {
        0 | 1 => return counter.add(amount),
        2 | 3 => counter.subtract(amount),
        _ => counter.transfer(to, amount),
    };
    let refused = matches!(done, Err(EditError::NotEnoughRights { .. }));
    assert_eq!(refused, rights < i128::from(amount), "an edit is refused for want of rights, and only then");
    if refused {
        seen.refused += 1;
        assert_eq!((counter.read().value(), counter.read().rights()), (value, rights), "and changes nothing");
        return Ok(());
    }
    if counter.read().value() < value {
        seen.subtracted += 1;
    } else if counter.read().rights() < rights {
        seen.given += 1;
    }
    done
}

#[test]
fn esc_2_no_history_brings_a_bounded_counter_below_its_floor() {
    let mut seen = Seen::default();
    for seed in 0..seeds().max(30) {
        run(seed, &mut seen);
    }
    let counts = [seen.subtracted, seen.refused, seen.given, seen.removed];
    assert!(counts.iter().all(|count| *count > 100), "all of it happens: {counts:?}");
}

#[test]
fn a_counter_that_nobody_may_subtract_from_is_still_one() {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| {
        let mut counter = tx.bounded_counter("c")?;
        counter.add(3)?;
        counter.transfer(ReplicaId::from(9), 3)
    });
    drop(commit.expect("the edit is possible"));
    assert_eq!(document.roots().collect::<Vec<_>>(), [("c", Kind::BOUNDED_COUNTER)]);
    assert_eq!(document.bounded_counter("c").value(), 3, "stranded rights still count");
    assert_eq!(document.bounded_counter("c").rights_of(ReplicaId::from(9)), 3);
}
