//! Edits of text: runs that are typed and characters that are taken away.
//!
//! Rules: REM-1 only what the rope shows is removed. SEQ-1 what is typed has its place for ever.

use alloc::string::String;

use super::Transaction;
use crate::clock::LocalDot;
use crate::document::view::PlaceId;
use crate::document::{Document, EditError};
use crate::fault::{self, Fault};
use crate::sequence::{LocalPosition, Stretch};
use crate::store::{LocalContainer, LocalSlot};
use crate::string::characters;

impl Transaction<'_> {
    /// Puts text into a place, so that it begins at an index, which is not beyond the end. O(log n + bytes).
    pub(crate) fn type_text(&mut self, place: PlaceId, index: usize, text: &str) -> Result<(), EditError> {
        if text.is_empty() {
            return Ok(());
        }
        let state = &self.document.state;
        let (mut left, mut right, mut container) = (None, None, None);
        if let Some(rope) = state.rope(place) {
            let neighbour = |index: usize| {
                let (run, nth) = rope.at(&state.texts.runs, index)?;
                let stretch = state.texts.runs.stretch(run);
                Some((stretch.position(nth), stretch.container))
            };
            (left, right) = (index.checked_sub(1).and_then(neighbour), neighbour(index));
            // New text lives and dies with the incarnation of what it was put next to.
            container = left.or(right).map(|neighbour| neighbour.1).filter(|_| !fault::active(Fault::TextIntoLowest));
        }
        let container = container.map_or_else(|| self.lowest(place), Ok)?;
        let between = (left.map(|left| left.0), right.map(|right| right.0));
        self.type_between(place, index, between, container, text).map(drop)
    }

    /// The same, of some text, into one incarnation and between the neighbours at the index. Gives what it became.
    pub(in crate::document) fn type_between(
        &mut self,
        place: PlaceId,
        index: usize,
        (left, right): (Option<LocalPosition>, Option<LocalPosition>),
        container: LocalContainer,
        text: &str,
    ) -> Result<Stretch, EditError> {
        let characters = characters(text);
        self.has_room(characters)?;
        let first = self.next_dot()?;
        let slot = self.place_between(left, right)?;
        let LocalSlot::Position { bunch, backward } = slot else { return Err(EditError::Gone) };
        let stretch = Stretch { first, len: characters as u32, backward, bunch, container };
        let turned: String;
        let in_dots = if backward && characters > 1 {
            turned = text.chars().rev().collect();
            &turned
        } else {
            text
        };
        self.document.state.insert_text_at(place, index, stretch, in_dots);
        self.open().next_seq += characters as u64;
        Ok(stretch)
    }

    /// Takes live characters away whose dots follow one another. O(runs · log n + bytes).
    pub(in crate::document) fn remove_text(&mut self, (first, len): (LocalDot, u32)) {
        let Document { state, open, log, .. } = &mut *self.document;
        let open = open.as_ref().expect("a Transaction exists only while one is open");
        let cause = LocalDot::new(open.origin, open.first_seq);
        // What this transaction has typed itself is netted out.
        let observed =
            if first.origin() == open.origin { open.first_seq.saturating_sub(first.seq()) } else { u64::MAX };
        let removed = u64::from(len).min(observed) as u32;
        state.kill_text((first, u64::from(len) - 1), Some(cause), &[], &mut Some(&mut log.journal));
        if removed > 0 {
            log.removed_text.push((first, removed));
        }
    }

    /// Takes so many characters out of a place, from an index on. O(runs · log n + bytes).
    pub(crate) fn delete_text(&mut self, place: PlaceId, index: usize, characters: usize) {
        let Document { state, open, log, .. } = &mut *self.document;
        let open = open.as_ref().expect("a Transaction exists only while one is open");
        let cause = LocalDot::new(open.origin, open.first_seq);
        let mut left = characters;
        while left > 0 {
            let taken = state.take_text_at(place, index, left, cause, &mut log.journal);
            let Some((stretch, observed)) = taken else { return };
            left -= stretch.len as usize;
            // What this transaction has typed itself is netted out.
            let removed = if fault::active(Fault::NettingMissed) { stretch.len } else { observed };
            match log.removed_text.last_mut() {
                Some((first, len)) if first.bits() + u64::from(*len) == stretch.first.bits() => *len += removed,
                _ if removed > 0 => log.removed_text.push((stretch.first, removed)),
                _ => {}
            }
        }
    }
}
