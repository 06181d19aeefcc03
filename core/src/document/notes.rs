//! What changed since the last batch, before it is told: which place, what in it, and what was read there before.
//!
//! A note is made before the change that it is about. While a batch goes on, what it inserted is not covered by the version
//! yet: so a slot that holds such an entry has been noted already, and nearly every note is made once. Only where that does
//! not tell are notes compared with one another at the end.
//!
//! Not here: what is told of them, in [`super::Change`].

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::index::KeyView;
use super::marks::MarkNote;
use super::state::State;
use super::text_note::{Part, TextNote};
use super::view::{Content, Link, PlaceId};
use super::{Change, ChangeKind, Path, TextLen, TextStep};
use crate::clock::LocalDot;
use crate::codec::decode_mark;
use crate::fault::{self, Fault};
use crate::ordered::{Map, sort_by};
use crate::sequence::Unit;
use crate::store::{EntryId, KeyId, Kind, NONE, PayloadRef, Table};
use crate::string::Str;
use crate::value::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Key(KeyId),
    /// With its hash, so that most are told apart by that.
    Member(u32, Value),
    Value,
    Text(TextNote),
}

impl What {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Key(a), Self::Key(b)) => a.cmp(b),
            (Self::Member(a, of_a), Self::Member(b, of_b)) => a.cmp(b).then_with(|| of_a.cmp(of_b)),
            // In one place all are of one sort.
            _ => Ordering::Equal,
        }
    }
}

#[derive(Clone, Debug)]
struct Note {
    place: PlaceId,
    what: What,
    old: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ElementNote {
    Inserted(LocalDot),
    Removed(LocalDot),
    Moved(LocalDot),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    list: Vec<Note>,
    /// Of list elements, with what was read there before.
    elements: Map<(PlaceId, ElementNote), Option<Value>>,
    /// The numbers of those notes that it would take long to make again.
    seen: Table,
    /// Whether the list may say something twice.
    pub(crate) repeats: bool,
    /// Whether a slot became empty in this batch: then an empty one may have been noted.
    pub(super) emptied: bool,
    /// Whether nobody is to be told of anything.
    pub(crate) quiet: bool,
}

impl Notes {
    /// Whether this was noted last, as when one entry is replaced by another, or is known to have been noted.
    fn is_seen(&self, place: PlaceId, hash: u32, what: &What) -> bool {
        let is_it = |note: &Note| note.place == place && note.what == *what;
        self.list.last().is_some_and(is_it)
            || self.seen.find(Self::mixed(place, hash), |number| is_it(&self.list[number as usize])).is_some()
    }

    /// Remembers that the next note is about this.
    fn see(&mut self, place: PlaceId, hash: u32) {
        self.seen.insert(Self::mixed(place, hash), self.list.len() as u32);
    }

    const fn mixed(place: PlaceId, hash: u32) -> u32 {
        hash ^ place.0.wrapping_mul(0x85eb_ca6b)
    }

    pub(super) fn element(&mut self, list: PlaceId, note: ElementNote, old: Option<Value>) {
        if self.quiet {
            return;
        }
        match note {
            ElementNote::Removed(dot) => {
                // Whoever never saw an element come needs not see it go.
                self.elements.remove(&(list, ElementNote::Moved(dot)));
                if self.elements.remove(&(list, ElementNote::Inserted(dot))).is_some() {
                    return;
                }
            }
            ElementNote::Moved(_) if fault::active(Fault::ChangeNotTold) => return,
            _ => {}
        }
        self.elements.insert((list, note), old);
    }

    /// Keeps the first note of each thing, in the order in which they were made.
    fn keep_first(&mut self) {
        let mut order = Vec::with_capacity(self.list.len());
        for at in 0..self.list.len() as u32 {
            order.push(at);
        }
        let list = &self.list;
        let same = |a: &Note, b: &Note| a.place.cmp(&b.place).then_with(|| a.what.compare(&b.what));
        sort_by(&mut order, |a, b| same(&list[*a as usize], &list[*b as usize]).then_with(|| a.cmp(b)));
        if fault::active(Fault::NotesKeepLast) {
            order.reverse();
        }
        let mut first = alloc::vec![true; list.len()];
        for pair in order.windows(2) {
            first[pair[1] as usize] = same(&list[pair[0] as usize], &list[pair[1] as usize]).is_ne();
        }
        let mut kept = 0;
        for (at, first) in first.iter().enumerate() {
            if *first {
                self.list.swap(kept, at);
                kept += 1;
            }
        }
        self.list.truncate(kept);
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen = Table::default();
        // What a large batch took is given back.
        self.list.shrink_to(64);
        self.elements.clear();
        (self.repeats, self.emptied) = (false, false);
    }
}

impl State {
    /// Whether an entry was there before this batch.
    fn is_old(&self, id: EntryId) -> bool {
        self.covers_local(self.store.dot(id))
    }

    /// Notes that what is under a key is about to change.
    pub(super) fn note_key(&mut self, place: PlaceId, key: KeyId) {
        if self.notes.quiet {
            return;
        }
        let Content::Map(index) = &self.view.place(place).content else { return };
        let what = What::Key(key);
        let old = match index.get(key, &self.store) {
            None if !self.notes.emptied => None,
            Some(KeyView::Lone(id, _)) if !self.is_old(id) || fault::active(Fault::OverwritesNotTold) => return,
            Some(KeyView::Lone(id, kind)) => self.lone(id, kind),
            _ if self.notes.is_seen(place, key.hash(), &what) => return,
            found => {
                // Working out what many entries show takes its time: once a batch is enough.
                self.notes.repeats = true;
                let old = found.and_then(|view| self.under_key(view));
                self.notes.see(place, key.hash());
                old
            }
        };
        self.notes.list.push(Note { place, what, old });
    }

    /// Notes that a value is about to become a member, or one no longer.
    pub(super) fn note_member(&mut self, place: PlaceId, hash: u32, member: &Value) {
        if self.notes.quiet {
            return;
        }
        let Content::Set(index) = &self.view.place(place).content else { return };
        let dots = index.get(hash, member, &self.store);
        if let Some(id) = dots.lone()
            && !self.is_old(id)
        {
            return;
        }
        let what = What::Member(hash, member.clone());
        let again = dots.lone().is_none() && (!dots.is_empty() || self.notes.emptied);
        if again && self.notes.is_seen(place, hash, &what) {
            return;
        }
        let was = self.all_are(dots, Kind::MEMBER).then_some(Value::Bool(true));
        if again {
            self.notes.repeats = true;
            self.notes.see(place, hash);
        }
        self.notes.list.push(Note { place, what, old: was });
    }

    /// Notes that the value of a register, flag or counter is about to change.
    pub(super) fn note_value(&mut self, place: PlaceId) {
        if self.notes.quiet || self.view.place(place).noted != NONE || fault::active(Fault::ChangeNotTold) {
            return;
        }
        // An element that came in this batch showed nothing before it.
        let came = match self.view.place(place).link {
            Link::Element(list, dot) => self.notes.elements.contains_key(&(list, ElementNote::Inserted(dot))),
            _ => false,
        };
        let old = if came && !fault::active(Fault::NewElementsShowedBefore) { None } else { self.shown(place) };
        self.view.place_mut(place).noted = self.notes.list.len() as u32;
        self.notes.list.push(Note { place, what: What::Value, old });
    }

    /// Notes that in a text, at an index of what is there now, so many characters came and so many went, which read as `gone`
    /// if any of them is wide. When all is noted that happened to it, [`Self::shorten_text_note`] is to be called.
    pub(super) fn note_text(&mut self, place: PlaceId, index: usize, inserted: usize, deleted: usize, gone: &str) {
        if let Some(note) = self.text_note(place) {
            note.edit(index, inserted, deleted, gone);
        }
    }

    /// What is noted of a text in this batch.
    pub(super) fn text_note(&mut self, place: PlaceId) -> Option<&mut TextNote> {
        let own = self.view.place_mut(place);
        if self.notes.quiet || !matches!(own.content, Content::Text(_)) {
            return None;
        }
        if own.noted == NONE {
            own.noted = self.notes.list.len() as u32;
            self.notes.list.push(Note { place, what: What::Text(TextNote::default()), old: None });
        }
        match self.notes.list.get_mut(own.noted as usize) {
            Some(Note { what: What::Text(note), .. }) => Some(note),
            _ => None,
        }
    }

    /// Tells of the marks of a text that came and went.
    fn tell_marks(&self, place: PlaceId, path: &Path, marks: &[MarkNote], changes: &mut Vec<Change>) {
        for MarkNote { dot, bytes, came } in marks {
            if *came && self.store.find(*dot).is_none() || fault::active(Fault::ChangeNotTold) {
                continue;
            }
            let Some(parts) = decode_mark(bytes) else { continue };
            if let Some((start, end)) = self.covered(place, &parts).filter(|(start, end)| start < end) {
                let kind = ChangeKind::Marks { start, end, key: parts.key };
                let (old, new) = if *came { (None, Some(parts.value)) } else { (Some(parts.value), None) };
                changes.push(Change { path: path.clone(), kind, old, new });
            }
        }
    }

    /// Makes a note that became too long coarse, while the text is what the note is of.
    pub(super) fn shorten_text_note(&mut self, place: PlaceId) {
        let noted = self.view.place(place).noted as usize;
        let Some(Note { what: What::Text(note), .. }) =
            self.notes.list.get_mut(noted).filter(|_| noted != NONE as usize)
        else {
            return;
        };
        if note.is_long() {
            let mut note = core::mem::take(note);
            note.coarsen(|range| {
                let len = self.text_len(place, &range);
                len.utf16 - len.chars
            });
            self.notes.list[noted].what = What::Text(note);
        }
    }

    /// How much is in a range of a text.
    fn text_len(&self, place: PlaceId, range: &Range<usize>) -> TextLen {
        let before = |index| self.rope(place)?.find(Unit::Values, index).map(|(weight, _)| weight.utf16 as usize);
        let utf16 = before(range.end).unwrap_or_default() - before(range.start).unwrap_or_default();
        TextLen { chars: range.len(), utf16 }
    }

    /// What became of a text, with what came as it reads now.
    fn text_steps(&self, place: PlaceId, note: &TextNote) -> Vec<TextStep> {
        let (mut steps, mut at) = (Vec::new(), 0);
        for part in note.parts() {
            steps.push(match part {
                Part::Retained(len) => {
                    at += len;
                    TextStep::Retain(self.text_len(place, &(at - len..at)))
                }
                Part::Inserted(len) => {
                    at += len;
                    let mut text = String::new();
                    if let Some(rope) = self.rope(place) {
                        for chunk in rope.chunks(at - len..at) {
                            text.push_str(chunk);
                        }
                    }
                    TextStep::Insert(Str::from(text))
                }
                Part::Deleted(len, wide) => TextStep::Delete(TextLen { chars: len, utf16: len + wide }),
            });
        }
        steps
    }

    /// What reading a register, flag, counter or plain element gives.
    pub(super) fn shown(&self, place: PlaceId) -> Option<Value> {
        let own = self.view.place(place);
        match &own.content {
            Content::Counter(totals) => {
                let bounded = own.kind == Kind::BOUNDED_COUNTER;
                let sum = totals.sum.0;
                let sum = if bounded { i128::from(self.floor(place)) + sum.max(0) } else { sum };
                let cut = sum.clamp(i64::MIN.into(), i64::MAX.into());
                Some(Value::Int(cut as i64))
            }
            Content::Unit(dots) => match own.kind {
                Kind::FLAG => (!dots.is_empty()).then_some(Value::Bool(true)),
                Kind::DISABLE_WINS_FLAG => self.all_are(dots.view(), Kind::FLAG).then_some(Value::Bool(true)),
                Kind::MAX_REGISTER => self.extreme(dots.view(), Ordering::Greater).cloned(),
                Kind::MIN_REGISTER => self.extreme(dots.view(), Ordering::Less).cloned(),
                _ => match (self.winner(dots.view()), own.link) {
                    (Some(winner), _) => self.value_of(winner).cloned(),
                    (None, Link::Element(_, dot)) => self.value_of(self.store.find(dot)?).cloned(),
                    _ => None,
                },
            },
            _ => None,
        }
    }

    /// What reading it gave before this batch.
    pub(super) fn shown_before(&self, place: PlaceId) -> Option<Value> {
        match self.notes.list.get(self.view.place(place).noted as usize) {
            Some(note) => note.old.clone(),
            None => self.shown(place),
        }
    }

    /// What a lone entry under a key shows.
    fn lone(&self, id: EntryId, kind: Kind) -> Option<Value> {
        if kind == Kind::FLAG { Some(Value::Bool(true)) } else { self.value_of(id).cloned() }
    }

    fn under_key(&self, view: KeyView<'_>) -> Option<Value> {
        match self.winner(view.registers()) {
            Some(winner) => self.value_of(winner).cloned(),
            None => (!view.flags().is_empty()).then_some(Value::Bool(true)),
        }
    }

    /// The plain value of an entry.
    pub(crate) fn value_of(&self, id: EntryId) -> Option<&Value> {
        if let PayloadRef::Value(value) = self.store.live(id).payload() { Some(value) } else { None }
    }

    /// The changes noted since the last call, as values, and the end of the batch.
    ///
    /// What is deeper than containers may nest is left out: nobody who keeps the rules made it, and paths as long as
    /// somebody cares to nest would take memory as the square of that.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        if self.notes.list.is_empty() && self.notes.elements.is_empty() {
            self.settle();
            return Vec::new();
        }
        let mut moved = Vec::new();
        for ((list, note), _) in &self.notes.elements {
            if let ElementNote::Moved(dot) = note {
                let came = self.notes.elements.contains_key(&(*list, ElementNote::Inserted(*dot)));
                let place = self.entity(*dot).filter(|_| !came);
                moved.push(place.and_then(|place| self.shown_before(place)));
            }
        }
        let mut moved_before = moved.iter_mut();
        if self.notes.repeats && !fault::active(Fault::ToldTwice) {
            self.notes.keep_first();
        }
        let mut list = core::mem::take(&mut self.notes.list);
        let elements = core::mem::take(&mut self.notes.elements);
        let mut changes = Vec::with_capacity(list.len() + elements.len());
        let (mut paths, mut marked) = (Paths::default(), Vec::new());
        for Note { place, what, old } in list.drain(..) {
            let Some(path) = paths.of(self, place) else { continue };
            let (kind, new) = match what {
                What::Value => {
                    self.view.place_mut(place).noted = NONE;
                    (ChangeKind::Value, self.shown(place))
                }
                What::Text(note) => {
                    self.view.place_mut(place).noted = NONE;
                    let steps = self.text_steps(place, &note);
                    self.tell_marks(place, &path, &note.marks, &mut marked);
                    if steps.is_empty() {
                        changes.append(&mut marked);
                        continue;
                    }
                    (ChangeKind::Text(steps), None)
                }
                What::Key(key) => {
                    let view = match &self.view.place(place).content {
                        Content::Map(index) => index.get(key, &self.store),
                        _ => None,
                    };
                    (ChangeKind::Key(self.keys.text(key).clone()), view.and_then(|view| self.under_key(view)))
                }
                What::Member(hash, member) => {
                    let is = match &self.view.place(place).content {
                        Content::Set(index) => self.all_are(index.get(hash, &member, &self.store), Kind::MEMBER),
                        _ => false,
                    };
                    (ChangeKind::Member(member), is.then_some(Value::Bool(true)))
                }
            };
            changes.push(Change { path, kind, old, new });
            changes.append(&mut marked);
        }
        for ((place, note), old) in &elements {
            let before = match note {
                ElementNote::Moved(_) => moved_before.next().and_then(Option::take),
                _ => old.clone(),
            };
            let Some(path) = paths.of(self, *place) else { continue };
            let (kind, old, new) = match note {
                ElementNote::Inserted(dot) => (ChangeKind::Inserted(self.origins.dot(*dot)), None, self.element(*dot)),
                ElementNote::Removed(dot) => (ChangeKind::Removed(self.origins.dot(*dot)), before, None),
                ElementNote::Moved(dot) => (ChangeKind::Moved(self.origins.dot(*dot)), before, self.element(*dot)),
            };
            changes.push(Change { path, kind, old, new });
        }
        self.notes.list = list;
        self.settle();
        changes
    }

    /// The plain value of a list element.
    pub(super) fn element(&self, dot: LocalDot) -> Option<Value> {
        self.shown_element(self.store.find(dot)?)
    }

    /// Forgets the changes noted since the last batch.
    pub(crate) fn drop_changes(&mut self) {
        for note in core::mem::take(&mut self.notes.list) {
            if matches!(note.what, What::Value | What::Text(_))
                && !fault::active(Fault::NotedAfterRollback)
                && let Some(place) = self.view.place_if_any_mut(note.place)
            {
                place.noted = NONE;
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.notes.clear();
        self.view.settle();
        self.keys.settle();
    }
}

/// The path of the place that was asked for last: many changes are of one place.
#[derive(Default)]
struct Paths {
    known: Option<(PlaceId, Option<Path>)>,
}

impl Paths {
    fn of(&mut self, state: &State, place: PlaceId) -> Option<Path> {
        if self.known.as_ref().is_none_or(|known| known.0 != place) {
            let deep = state.view.is_too_deep(place);
            let path = if deep { None } else { state.view.path(place, &state.origins, &state.keys) };
            self.known = Some((place, path));
        }
        self.known.as_ref().and_then(|known| known.1.clone())
    }
}
