//! Marks of texts: what is said of a range of characters, such as that they are bold, under a key.
//!
//! A mark is one live plain entry in the incarnation that its first character is in. Its payload is opaque to all but those who read
//! it: whether it lives is told by its header alone, and where it is by its anchors, which keep nothing alive. Of the marks of one key
//! over one character the one with the greatest stamp is read; one whose value is null takes the key off.
//!
//! After Litt, Lim, Kleppmann and van Hardenberg, "Peritext: a CRDT for collaborative rich text editing" (2022), where marks are
//! kept for ever and beside each character.
//!
//! Rules: MARK-1 what a character shows is a function of what lives. VALID-1 what cannot be read is held and hidden.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::state::State;
use super::view::{Content, PlaceId};
use crate::clock::{Hlc, LocalDot};
use crate::codec::{MarkParts, decode_mark};
use crate::fault::{self, Fault};
use crate::ordered::{retain, sort_by};
use crate::store::{EntryId, Kind, Live, LocalContainer, NONE, PayloadRef};
use crate::string::Str;
use crate::value::Value;

/// A mark that lives, and where it is now.
#[derive(Debug)]
pub(crate) struct LiveMark {
    pub(crate) id: EntryId,
    pub(crate) parts: MarkParts,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A stretch of text that reads the same under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextMark {
    /// The indexes of the characters.
    pub range: Range<usize>,
    /// What is said of them.
    pub key: Str,
    /// And how; never null.
    pub value: Value,
}

impl State {
    /// Every mark of a text that can be read here, in no order, also those that cover nothing. O(marks · depth · log n).
    pub(crate) fn live_marks(&self, place: PlaceId) -> Vec<LiveMark> {
        let mut all = Vec::new();
        let Content::Text(marks) = &self.view.place(place).content else { return all };
        for id in marks.dots.view().iter() {
            if let Some(mark) = self.live_mark(place, id) {
                all.push(mark);
            }
        }
        all
    }

    fn live_mark(&self, place: PlaceId, id: EntryId) -> Option<LiveMark> {
        let live = self.store.live(id);
        let PayloadRef::Opaque(bytes) = live.payload() else { return None };
        let parts = decode_mark(bytes).filter(|_| live.kind == Kind::MARK)?;
        let (start, end) = self.covered(place, &parts)?;
        Some(LiveMark { id, parts, start, end })
    }

    /// Which characters are between the anchors of a mark: none if the first is not before the second.
    pub(super) fn covered(&self, place: PlaceId, mark: &MarkParts) -> Option<(usize, usize)> {
        let start = self.index_of_anchor(Some(place), &mark.start, &mark.chains)?;
        let end = self.index_of_anchor(Some(place), &mark.end, &mark.chains)?;
        Some((start, end.max(start)))
    }

    /// What is read of all marks of a text, by start, then by key: each key has one value at each character, and neighbours that read the same are
    /// one. O(marks · (depth · log n + log marks)).
    pub(crate) fn shown_marks(&self, place: PlaceId) -> Vec<TextMark> {
        let mut all = self.live_marks(place);
        retain(&mut all, |mark| mark.start < mark.end);
        let mut order: Vec<u32> = Vec::new();
        order.extend(0..all.len() as u32);
        let mark = |at: u32| &all[at as usize];
        // Of one key, the one that is read comes first.
        sort_by(&mut order, |a, b| {
            let (a, b) = (mark(*a), mark(*b));
            let by_stamp = self.by_stamp(b.id, a.id);
            let by_stamp = if fault::active(Fault::OldestMarkCounts) { by_stamp.reverse() } else { by_stamp };
            a.parts.key.cmp(&b.parts.key).then(by_stamp)
        });
        let mut shown: Vec<TextMark> = Vec::new();
        let mut rest = order.as_slice();
        while let Some(first) = rest.first() {
            let key = &mark(*first).parts.key;
            let same = rest.partition_point(|at| mark(*at).parts.key == *key);
            let (group, others) = rest.split_at(same);
            rest = others;
            let mut bounds: Vec<usize> = Vec::new();
            for at in group {
                bounds.push(mark(*at).start);
                bounds.push(mark(*at).end);
            }
            sort_by(&mut bounds, Ord::cmp);
            bounds.dedup();
            let from = shown.len();
            for (at, over) in paint(group, &bounds, &mark).into_iter().enumerate() {
                let Some(over) = all.get(over as usize).filter(|over| over.parts.value != Value::Null) else {
                    continue;
                };
                let (start, end) = (bounds[at], bounds[at + 1]);
                match shown[from..].last_mut() {
                    Some(last) if last.range.end == start && last.value == over.parts.value => last.range.end = end,
                    _ => shown.push(TextMark { range: start..end, key: key.clone(), value: over.parts.value.clone() }),
                }
            }
        }
        sort_by(&mut shown, |a, b| a.range.start.cmp(&b.range.start).then_with(|| a.key.cmp(&b.key)));
        shown
    }

    /// Whether two marks are of one key.
    pub(super) fn is_key_of_both(&self, a: &Live, b: &Live) -> bool {
        let key = |live: &Live| match live.payload() {
            PayloadRef::Opaque(bytes) => decode_mark(bytes).map(|mark| mark.key),
            _ => None,
        };
        key(a).is_some_and(|a| key(b) == Some(a))
    }

    /// Whether a mark that is `later`, by its dot and its stamp, is over something of where this one would be, under the same key.
    pub(super) fn is_marked_since(
        &self,
        container: LocalContainer,
        mark: &[u8],
        later: &dyn Fn(LocalDot, Hlc) -> bool,
    ) -> bool {
        let (Some(place), Some(mark)) = (self.container(container), decode_mark(mark)) else { return false };
        let Some((start, end)) = self.covered(place, &mark) else { return false };
        self.live_marks(place).iter().any(|other| {
            let overlaps = other.start < end && start < other.end && other.parts.key == mark.key;
            overlaps && later(self.store.dot(other.id), self.store.live(other.id).hlc)
        })
    }

    /// Notes that a mark came, or that it is about to go.
    pub(super) fn note_mark(&mut self, place: PlaceId, dot: LocalDot, id: EntryId, came: bool) {
        // What came and goes within a transaction is not told.
        if !came && !self.covers_local(dot) {
            return;
        }
        let PayloadRef::Opaque(bytes) = self.store.live(id).payload() else { return };
        let note = MarkNote { dot, bytes: bytes.clone(), came };
        if let Some(text) = self.text_note(place) {
            text.marks.push(note);
        }
    }
}

/// A mark that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MarkNote {
    pub(super) dot: LocalDot,
    pub(super) bytes: alloc::sync::Arc<[u8]>,
    pub(super) came: bool,
}

/// Which mark is on top between any two bounds, the marks being given from the top down; [`NONE`] if none is. Each part is painted once, and what is painted
/// is leapt over: `next` leads to what is not, or nearer to it.
fn paint<'m>(group: &[u32], bounds: &[usize], mark: &dyn Fn(u32) -> &'m LiveMark) -> Vec<u32> {
    let mut top = vec![NONE; bounds.len()];
    let mut next: Vec<u32> = Vec::new();
    next.extend(0..bounds.len() as u32);
    for over in group {
        let place = |index: usize| bounds.partition_point(|bound| *bound < index);
        let (mut at, end) = (place(mark(*over).start), place(mark(*over).end));
        loop {
            while next[at] as usize != at {
                next[at] = next[next[at] as usize];
                at = next[at] as usize;
            }
            if at >= end {
                break;
            }
            top[at] = *over;
            next[at] = at as u32 + 1;
        }
    }
    top
}
