//! What lives in a document, to be found by dot: entries and characters alike.

use crate::clock::{Dot, VersionVector};
use crate::diff::{Diff, LiveEntry};
use crate::document::Document;
use crate::sequence::BunchRecord;
use crate::store::{Container, TextRun};

/// All that lives in a document.
pub(super) struct Living {
    pub(super) diff: Diff,
}

/// What a dot of a character is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Character<'l> {
    container: &'l Container,
    bunch: u64,
    backward: bool,
    character: char,
}

impl Living {
    pub(super) fn of(document: &Document) -> Self {
        Self { diff: document.diff_since(&VersionVector::new()) }
    }

    /// The entry under a dot.
    pub(super) fn entry(&self, dot: Dot) -> Option<&LiveEntry> {
        self.diff.adds.binary_search_by(|add| add.dot.cmp(&dot)).ok().map(|at| &self.diff.adds[at])
    }

    /// All characters that live, ascending by dot.
    pub(super) fn characters(&self) -> impl Iterator<Item = (Dot, Character<'_>)> {
        self.diff.text.iter().flat_map(|run| {
            let TextRun { first, container, bunch, backward, text } = run;
            text.chars().zip(first.seq..).map(move |(character, seq)| {
                let found = Character { container, bunch: *bunch, backward: *backward, character };
                (Dot::new(first.replica, seq), found)
            })
        })
    }

    /// A bunch that something living hangs on.
    pub(super) fn bunch(&self, id: Dot) -> Option<&BunchRecord> {
        self.diff.bunches.binary_search_by(|bunch| bunch.id.cmp(&id)).ok().map(|at| &self.diff.bunches[at])
    }
}

/// The parts of a run whose dots are `kept`.
pub(super) fn parts(run: &TextRun, kept: impl Fn(Dot) -> bool, mut take: impl FnMut(TextRun)) {
    let (mut begun, mut seq) = (None, run.first.seq);
    for (at, _) in run.text.char_indices() {
        let keep = kept(Dot::new(run.first.replica, seq));
        match begun {
            None if keep => begun = Some((seq, at)),
            Some((first, from)) if !keep => {
                take(part(run, first, &run.text[from..at]));
                begun = None;
            }
            _ => {}
        }
        seq += 1;
    }
    if let Some((first, from)) = begun {
        take(part(run, first, &run.text[from..]));
    }
}

fn part(run: &TextRun, first: u64, text: &str) -> TextRun {
    TextRun { first: Dot::new(run.first.replica, first), text: text.into(), ..run.clone() }
}
