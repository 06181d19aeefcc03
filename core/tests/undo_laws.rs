//! Undo and redo over random histories: the rules UNDO-1 and UNDO-3, and convergence.
#![cfg(feature = "testing")]

use weftline::testing::{History, Options, Random, Shape, content, random_edit};
use weftline::{Commit, Document, EditError, Kind, ReplicaId, Timestamp, UndoLimits};

fn seeds() -> u64 {
    std::env::var("WEFTLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// A document that others have written to, joined, and that goes on under an id of its own.
fn inherited(seed: u64) -> Document {
    let options = Options { steps: 30, ..Options::default() };
    let history = History::grow(seed, &options).unwrap_or_else(|failure| panic!("seed {seed}: {}", failure.what));
    let mut document = Document::new();
    for other in history.documents() {
        document.apply_diff(&other.diff_since(&document.version())).expect("the diff applies");
    }
    document.set_writer(Some(ReplicaId::from(u128::from(seed) << 64 | 7))).expect("no transaction is open");
    document.keep_undo(Some(UndoLimits::default()));
    document
}

type Content = std::collections::BTreeMap<(String, Kind), Shape>;

/// Edits, and returns the content before and after each step.
fn edited(document: &mut Document, random: &mut Random, steps: usize) -> Vec<Content> {
    let mut contents = vec![content(document)];
    for step in 0..steps {
        let edits = 1 + random.below(4);
        let commit: Result<Commit<()>, EditError> = document.transact(Timestamp(1_000_000 + step as u64), |tx| {
            (0..edits).try_for_each(|_| random_edit(tx, random, false))
        });
        if commit.expect("the edits are possible").delta.is_some() {
            contents.push(content(document));
        }
    }
    contents
}

/// Goes one step and says where among `contents` that led. Steps that changed nothing visible may be passed over.
#[track_caller]
fn go(document: &mut Document, contents: &[Content], from: usize, redo: bool, seed: u64) -> usize {
    let now = Timestamp(2_000_000);
    let gone = if redo { document.redo(now) } else { document.undo(now) }.expect("it is possible");
    let mut at = from;
    let next = |at: usize| if redo { at + 1 } else { at - 1 };
    let end = if redo { contents.len() - 1 } else { 0 };
    if gone.is_none() {
        assert_eq!(content(document), contents[from], "seed {seed}: nothing was done");
        assert!(
            (end.min(from)..=end.max(from)).all(|at| contents[at] == contents[from]),
            "seed {seed}: a step was lost"
        );
        return end;
    }
    assert_ne!(at, end, "seed {seed}: there was nothing left to do");
    at = next(at);
    while at != end && content(document) != contents[at] && contents[at] == contents[from] {
        at = next(at);
    }
    assert_eq!(content(document), contents[at], "seed {seed}: step {at}, redo {redo}");
    at
}

#[test]
fn undo_3_undoing_every_step_restores_each_content_in_turn_and_redoing_gives_it_back() {
    for seed in 0..seeds() {
        let mut random = Random::seeded(seed);
        let mut document = inherited(seed);
        let contents = edited(&mut document, &mut random, 12);
        let mut at = contents.len() - 1;
        for redo in [false, true, false, true] {
            while if redo { document.can_redo() } else { document.can_undo() } {
                at = go(&mut document, &contents, at, redo, seed);
            }
        }
        for _ in 0..30 {
            let redo = random.one_in(2);
            if if redo { document.can_redo() } else { document.can_undo() } {
                at = go(&mut document, &contents, at, redo, seed);
            }
        }
    }
}

#[test]
fn undo_3_a_group_is_undone_as_one() {
    for seed in 0..seeds() {
        let mut random = Random::seeded(seed);
        let mut document = inherited(seed);
        document.keep_undo(Some(UndoLimits { group_ms: 100, ..UndoLimits::default() }));
        let contents = edited(&mut document, &mut random, 8);
        let (first, last) = (&contents[0], &contents[contents.len() - 1]);
        for _ in 0..3 {
            let _undone = document.undo(Timestamp(2_000_000)).expect("it is possible");
            assert_eq!(content(&document), *first, "seed {seed}");
            assert!(!document.can_undo(), "seed {seed}: they were one group");
            let _redone = document.redo(Timestamp(2_000_000)).expect("it is possible");
            assert_eq!(content(&document), *last, "seed {seed}");
        }
    }
}

#[test]
fn undo_1_and_undo_3_beside_others_nothing_of_theirs_is_removed_and_all_converge() {
    for seed in 0..seeds() {
        let options = Options { steps: 90, undo: true, ..Options::default() };
        if let Err(failure) = History::run(seed, &options) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.what);
        }
    }
}
