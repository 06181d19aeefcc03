//! Elements that move while others move, remove and insert: one position each, and nobody's neighbours are lost.

use weftline::{Commit, Delta, Document, Dot, EditError, ListMut, ReplicaId, Timestamp, UndoLimits};

const LEN: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Move(usize, usize),
    Remove(usize),
    Insert(usize),
}

fn ops() -> Vec<Op> {
    let moves = (0..LEN).flat_map(|from| (0..LEN).filter(move |to| *to != from).map(move |to| Op::Move(from, to)));
    moves.chain((0..LEN).map(Op::Remove)).chain((0..=LEN).map(Op::Insert)).collect()
}

fn edit(document: &mut Document, story: impl FnOnce(&mut ListMut<'_, '_>) -> Result<(), EditError>) -> Delta {
    let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1), |tx| story(&mut tx.list("l")?));
    commit.expect("the edit is possible").delta.expect("something was edited")
}

fn perform(document: &mut Document, op: Op) -> Delta {
    edit(document, |list| match op {
        Op::Move(from, to) => {
            let id = list.read().id_at(from).expect("it is there");
            list.move_to(id, to)
        }
        Op::Remove(index) => list.remove_at(index),
        Op::Insert(index) => list.insert(index, 9).map(drop),
    })
}

fn ids(document: &Document) -> Vec<Dot> {
    document.list("l").ids().collect()
}

/// What one replica sees after its own edit.
fn alone(base: &[Dot], after: &[Dot], op: Op) -> Vec<Dot> {
    let mut expected = base.to_vec();
    match op {
        Op::Move(from, to) => {
            let id = expected.remove(from);
            expected.insert(to, id);
        }
        Op::Remove(index) => drop(expected.remove(index)),
        Op::Insert(index) => expected.insert(index, after[index]),
    }
    expected
}

fn base() -> (Document, Vec<Dot>) {
    let mut maker = Document::with_writer(ReplicaId::from(5));
    edit(&mut maker, |list| (0..LEN as i64).try_for_each(|value| list.push(value).map(drop)));
    let all = ids(&maker);
    (maker, all)
}

fn written_by(document: &Document, id: u128) -> Document {
    let mut copy = document.clone();
    copy.set_writer(Some(ReplicaId::from(id))).expect("no transaction is open");
    copy.keep_undo(Some(UndoLimits::default()));
    copy
}

/// The order of the elements that no edit touched, and what was put between two of them, are as each writer left them.
fn assert_between(shown: &[Dot], seen: &[Dot], op: Op, other: Op, base: &[Dot]) {
    let touched = |op: Op| match op {
        Op::Move(at, _) | Op::Remove(at) => Some(base[at]),
        Op::Insert(_) => None,
    };
    let subject = match op {
        Op::Move(_, to) | Op::Insert(to) => seen[to],
        Op::Remove(_) => return,
    };
    let Some(at) = shown.iter().position(|id| *id == subject) else {
        assert!(
            matches!((op, other), (Op::Move(from, _), Op::Remove(gone)) if from == gone),
            "only a removal takes it away"
        );
        return;
    };
    if touched(other) == Some(subject) {
        return;
    }
    let mine = seen.iter().position(|id| *id == subject).expect("it was put there");
    for (nth, id) in seen.iter().enumerate().filter(|(_, id)| **id != subject && touched(other) != Some(**id)) {
        let there = shown.iter().position(|other| other == id).expect("nobody touched it");
        assert_eq!(nth < mine, there < at, "{op:?} beside {other:?}: {id} is on the other side");
    }
}

#[test]
fn two_edits_of_a_list_at_once_leave_every_element_once_and_between_its_neighbours() {
    let (maker, base) = base();
    for first in ops() {
        for second in ops() {
            // The writer of the list itself, and somebody else, so that ids come before and after.
            for writers in [[5, 2], [2, 9]] {
                let mut pair = writers.map(|id| written_by(&maker, id));
                let deltas = [perform(&mut pair[0], first), perform(&mut pair[1], second)];
                let seen = [ids(&pair[0]), ids(&pair[1])];
                assert_eq!(seen[0], alone(&base, &seen[0], first));
                assert_eq!(seen[1], alone(&base, &seen[1], second));
                pair[0].apply(&deltas[1]).expect("it applies");
                pair[1].apply(&deltas[0]).expect("it applies");
                let shown = ids(&pair[0]);
                assert_eq!(shown, ids(&pair[1]), "{first:?} and {second:?}");
                let mut once = shown.clone();
                once.sort();
                once.dedup();
                assert_eq!(once.len(), shown.len(), "{first:?} and {second:?}: twice in {shown:?}");
                assert_between(&shown, &seen[0], first, second, &base);
                assert_between(&shown, &seen[1], second, first, &base);
                let loaded = Document::load(&pair[0].snapshot()).expect("what was saved loads");
                assert_eq!(ids(&loaded), shown);
                // Each takes back their own: it is as if they had done nothing, but for an element that the other removed, and
                // one that comes back anew.
                for at in 0..2 {
                    let (one, other) = if at == 0 { (first, second) } else { (second, first) };
                    let mut undone = pair[at].clone();
                    let commit = undone.undo(Timestamp(2)).expect("it is possible");
                    let mut there = pair[1 - at].clone();
                    if let Some(delta) = commit.and_then(|commit| commit.delta) {
                        there.apply(&delta).expect("it applies");
                    }
                    assert_eq!(ids(&undone), ids(&there), "{one:?} taken back beside {other:?}");
                    let count = LEN + usize::from(matches!(other, Op::Insert(_)));
                    let gone = usize::from(matches!(other, Op::Remove(_)));
                    assert_eq!(ids(&undone).len(), count - gone, "{one:?} taken back beside {other:?}");
                    if matches!(one, Op::Insert(_))
                        || matches!((one, other), (Op::Move(a, _), Op::Move(b, _)) if a != b)
                    {
                        assert_eq!(
                            ids(&undone),
                            alone(&base, &seen[1 - at], other),
                            "{one:?} taken back beside {other:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn moves_of_one_element_by_many_leave_it_at_one_place_in_whatever_order_they_come() {
    let (maker, base) = base();
    let mut writers: Vec<Document> = (1..=LEN as u128).map(|id| written_by(&maker, 10 * id)).collect();
    let deltas: Vec<Delta> =
        writers.iter_mut().zip([1, 2, 3, 1]).map(|(writer, to)| perform(writer, Op::Move(0, to))).collect();
    let mut first = None;
    for start in 0..deltas.len() {
        for backward in [false, true] {
            let mut document = maker.clone();
            let mut order: Vec<&Delta> = deltas.iter().cycle().skip(start).take(deltas.len()).collect();
            if backward {
                order.reverse();
            }
            for delta in order {
                document.apply(delta).expect("it applies");
            }
            let shown = ids(&document);
            assert_eq!(shown.len(), LEN);
            assert_eq!(shown.iter().filter(|id| **id == base[0]).count(), 1);
            assert_eq!(*first.get_or_insert(shown.clone()), shown);
            // Whoever sees them all replaces them all.
            let mut last = written_by(&document, 99);
            perform(&mut last, Op::Move(shown.iter().position(|id| *id == base[0]).expect("it is there"), 0));
            assert_eq!(last.live_count(), LEN + 1, "one move is left");
        }
    }
}

#[test]
fn what_moves_beside_an_element_that_moves_away_stays_where_that_was() {
    let (maker, base) = base();
    let (mut away, mut near) = (written_by(&maker, 1), written_by(&maker, 2));
    let moved = perform(&mut away, Op::Move(1, 3));
    // The last comes right behind the second, and another one right before it.
    let beside = [perform(&mut near, Op::Move(3, 2)), perform(&mut near, Op::Insert(1))];
    let new = ids(&near)[1];
    assert_eq!(ids(&near), [base[0], new, base[1], base[3], base[2]]);
    for delta in &beside {
        away.apply(delta).expect("it applies");
    }
    near.apply(&moved).expect("it applies");
    // Behind the last it was put, and that has moved before the third.
    assert_eq!(ids(&near), ids(&away));
    let shown: Vec<Dot> = ids(&near).into_iter().filter(|id| *id != base[1]).collect();
    assert_eq!(shown, [base[0], new, base[3], base[2]]);
    assert_eq!(ids(&near).last(), Some(&base[1]));
}
