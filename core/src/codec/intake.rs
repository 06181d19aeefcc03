//! Taking in entries as they are read.
//!
//! Whoever reads them lends what many have alike, and names keys by number: in the order in which they come, from 0. Deltas
//! and diffs become entries of their own ([`Owned`], [`Listed`]). A snapshot goes into its document entry by entry, which
//! implements [`Intake`] itself, so that nothing of it is in memory twice.
//!
//! Rule: BYTES-2 a key is written once; whoever takes keys in tells which of them came before.

use alloc::vec::Vec;

use super::bunches::Hung;
use super::numbers::Numbers;
use super::reader::Reader;
use crate::clock::{Dot, Hlc};
use crate::diff::{Diff, LiveEntry};
use crate::few::Few;
use crate::store::{Container, Entry, Kind, Payload, Slot, TextRun};
use crate::string::Str;
use crate::value::Value;

/// An entry as it is read.
pub(crate) struct Incoming<'r> {
    /// The number of the run of entries in one container that it is in, and how many there are in that run.
    pub(crate) run: (usize, usize),
    pub(crate) container: &'r Container,
    pub(crate) slot: IncomingSlot,
    pub(crate) kind: Kind,
    pub(crate) entity: bool,
    pub(crate) payload: Payload,
}

/// A slot as it is read.
pub(crate) enum IncomingSlot {
    Unit,
    /// The number of a key that was taken in.
    Key(usize),
    Member(Value),
    Owner,
    Position {
        bunch: u64,
        backward: bool,
    },
}

impl IncomingSlot {
    /// The same, with its key in full.
    pub(crate) fn with_key(self, key: impl FnOnce(usize) -> Str) -> Slot {
        match self {
            Self::Unit => Slot::Unit,
            Self::Key(number) => Slot::Key(key(number)),
            Self::Member(member) => Slot::Member(member),
            Self::Owner => Slot::Owner,
            Self::Position { bunch, backward } => Slot::Position { bunch, backward },
        }
    }
}

/// A run of text as it is read.
pub(crate) struct IncomingText<'r, 'a> {
    /// The number of the run of such runs in one container that it is in.
    pub(crate) run: usize,
    pub(crate) container: &'r Container,
    pub(crate) first: Dot,
    /// How many characters; one at least.
    pub(crate) dots: u64,
    pub(crate) bunch: u64,
    /// Of a diff, the place of the bunch among those it carries.
    pub(crate) place: usize,
    pub(crate) backward: bool,
    pub(crate) text: &'a str,
    /// How many such runs follow.
    pub(crate) left: usize,
}

impl IncomingText<'_, '_> {
    /// The same, with all it has in full.
    pub(crate) fn own(&self) -> TextRun {
        let Self { container, first, bunch, backward, text, .. } = *self;
        TextRun { first, container: container.clone(), bunch, backward, text: Str::from(text) }
    }
}

/// Whoever takes in what lives.
pub(crate) trait Intake<'a> {
    /// So many entries follow, and all that a diff says before them is known: its bunches, too, and how those hang.
    fn begin(&mut self, reader: &mut Reader<'a>, diff: &Diff, hung: &[Hung], count: usize);

    /// The next key. Says whether it is new.
    fn key(&mut self, reader: &Reader<'a>, text: &'a str) -> bool;

    /// The next entry. One that is refused is the last.
    fn entry(&mut self, reader: &mut Reader<'a>, dot: Dot, hlc: Hlc, entry: Incoming<'_>);

    /// The next run of text, behind all entries. They ascend by dot.
    fn text(&mut self, _run: IncomingText<'_, 'a>) {}

    /// Whether anything was taken in whose dot is `first` or, of the same replica, up to `last`.
    fn has(&self, first: Dot, last: Dot) -> bool;
}

/// Keys that are held in full.
pub(crate) struct OwnedKeys<'a> {
    numbers: Numbers<&'a str>,
    texts: Few<Str>,
}

impl<'a> OwnedKeys<'a> {
    const fn new() -> Self {
        Self { numbers: Numbers::new(), texts: Few::new() }
    }

    fn key(&mut self, reader: &Reader<'a>, text: &'a str) -> bool {
        self.texts.push(Str::from(text));
        self.numbers.number(text, 0, || reader.seed()).is_none()
    }

    fn entry(&self, entry: Incoming<'_>) -> Entry {
        let Incoming { container, slot, kind, entity, payload, .. } = entry;
        let slot = slot.with_key(|number| self.texts.get(number).cloned().unwrap_or_default());
        Entry { container: container.clone(), slot, kind, entity, payload }
    }
}

/// Holds the key of the only entry of a message.
#[derive(Default)]
pub(crate) struct Only {
    pub(crate) key: Str,
}

impl<'a> Intake<'a> for Only {
    fn begin(&mut self, _reader: &mut Reader<'a>, _diff: &Diff, _hung: &[Hung], _count: usize) {}

    fn key(&mut self, _reader: &Reader<'a>, text: &'a str) -> bool {
        self.key = Str::from(text);
        true
    }

    fn entry(&mut self, _reader: &mut Reader<'a>, _dot: Dot, _hlc: Hlc, _entry: Incoming<'_>) {}

    fn has(&self, _first: Dot, _last: Dot) -> bool {
        false
    }
}

/// Gives each entry, made whole, to a function: those of a delta.
pub(crate) struct Owned<'e, 'a> {
    keys: OwnedKeys<'a>,
    each: &'e mut dyn FnMut(Dot, Entry),
}

impl<'e> Owned<'e, '_> {
    pub(crate) fn new(each: &'e mut dyn FnMut(Dot, Entry)) -> Self {
        Self { keys: OwnedKeys::new(), each }
    }
}

impl<'a> Intake<'a> for Owned<'_, 'a> {
    fn begin(&mut self, _reader: &mut Reader<'a>, _diff: &Diff, _hung: &[Hung], _count: usize) {}

    fn key(&mut self, reader: &Reader<'a>, text: &'a str) -> bool {
        self.keys.key(reader, text)
    }

    fn entry(&mut self, _reader: &mut Reader<'a>, dot: Dot, _hlc: Hlc, entry: Incoming<'_>) {
        (self.each)(dot, self.keys.entry(entry));
    }

    fn has(&self, _first: Dot, _last: Dot) -> bool {
        false
    }
}

/// Lists the entries and the text of a diff.
pub(crate) struct Listed<'a> {
    keys: OwnedKeys<'a>,
    pub(crate) adds: Vec<LiveEntry>,
    pub(crate) text: Vec<TextRun>,
    /// The first and the last character of each run.
    spans: Vec<(Dot, u64)>,
}

impl Listed<'_> {
    pub(crate) const fn new() -> Self {
        Self { keys: OwnedKeys::new(), adds: Vec::new(), text: Vec::new(), spans: Vec::new() }
    }
}

impl<'a> Intake<'a> for Listed<'a> {
    fn begin(&mut self, _reader: &mut Reader<'a>, _diff: &Diff, _hung: &[Hung], count: usize) {
        self.adds.reserve_exact(count);
    }

    fn key(&mut self, reader: &Reader<'a>, text: &'a str) -> bool {
        self.keys.key(reader, text)
    }

    fn entry(&mut self, _reader: &mut Reader<'a>, dot: Dot, hlc: Hlc, entry: Incoming<'_>) {
        self.adds.push(LiveEntry { dot, hlc, entry: self.keys.entry(entry) });
    }

    fn text(&mut self, run: IncomingText<'_, 'a>) {
        if self.text.is_empty() {
            self.text.reserve_exact(run.left + 1);
            self.spans.reserve_exact(run.left + 1);
        }
        self.text.push(run.own());
        self.spans.push((run.first, run.first.seq.saturating_add(run.dots).saturating_sub(1)));
    }

    fn has(&self, first: Dot, last: Dot) -> bool {
        let after = self.spans.partition_point(|run| run.0 <= last);
        let run = after.checked_sub(1).and_then(|at| self.spans.get(at));
        let in_text = run.is_some_and(|run| run.0.replica == first.replica && run.1 >= first.seq);
        in_text || is_among(&self.adds, first, last)
    }
}

/// Whether a dot from `first` to `last` is in an ascending list.
pub(crate) fn is_among(adds: &[LiveEntry], first: Dot, last: Dot) -> bool {
    let at = adds.partition_point(|add| add.dot < first);
    adds.get(at).is_some_and(|add| add.dot <= last)
}
