//! Marks: rich text. What is said of a range of characters, under a key: bold, a link, a colour, a comment.
//!
//! Each character has at most one value under each key. Where two replicas mark the same characters under one key, the later mark counts; under
//! different keys both do. What is typed at an end of a marked range, here or elsewhere at the same time, is marked too if the mark
//! *expands* there; what is typed inside always is.
//!
//! The state is as large as what is shown: a mark takes the place of those of its key that it covers wholly, and goes with the last
//! character that it covers. So what somebody else types at that moment into a marked range that is deleted as a whole comes
//! without the mark. Taking a key off where nothing else of it is left around leaves nothing behind either; it has taken off what was
//! seen (REM-1), and a mark made at the same time stays.
//!
//! Rules: MARK-1, MARK-2, MARK-3. Undo treats marks like other entries.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeBounds;

use super::{TextMut, TextRef};
use crate::codec::{MarkParts, encode_mark, limits};
use crate::document::{Content, EditError, LiveMark, Target, TextMark, check_key};
use crate::fault::{self, Fault};
use crate::ordered::{retain, sort_by};
use crate::sequence::Bias;
use crate::store::{Kind, LocalSlot, Payload};
use crate::string::Str;
use crate::value::Value;

/// At which of its ends a mark takes in what is typed right there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expand {
    /// At neither, as for links and comments.
    None,
    /// Before its first character.
    Before,
    /// Behind its last character, as for bold and italic: whoever goes on typing goes on so.
    After,
    /// At both.
    Both,
}

impl Expand {
    fn of(start: Bias, end: Bias) -> Self {
        match (start, end) {
            (Bias::Right, Bias::Left) => Self::None,
            (Bias::Left, Bias::Left) => Self::Before,
            (Bias::Right, Bias::Right) => Self::After,
            (Bias::Left, Bias::Right) => Self::Both,
        }
    }

    fn start(self) -> Bias {
        if matches!(self, Self::Before | Self::Both) { Bias::Left } else { Bias::Right }
    }

    fn end(self) -> Bias {
        if matches!(self, Self::After | Self::Both) { Bias::Right } else { Bias::Left }
    }
}

/// A piece of a text, all of which has the same marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// The characters.
    pub text: String,
    /// Their keys and values, by key.
    pub marks: Vec<(Str, Value)>,
}

impl TextRef<'_> {
    /// What is marked: ranges with one value under one key, by start, then by key. Ranges of one key do not overlap, and are as long as they can
    /// be. O(marks · (depth · log n + log marks)).
    pub fn marks(&self) -> Vec<TextMark> {
        self.at.place.map_or_else(Vec::new, |place| self.at.state().shown_marks(place))
    }

    /// The text in pieces, each with its marks, in order: nothing if it is empty, one if nothing is marked. O(bytes), and of
    /// marks as [`TextRef::marks`].
    pub fn spans(&self) -> Vec<TextSpan> {
        let (marks, len) = (self.marks(), self.len());
        let mut bounds = Vec::from([0, len]);
        for mark in &marks {
            bounds.push(mark.range.start);
            bounds.push(mark.range.end);
        }
        sort_by(&mut bounds, Ord::cmp);
        bounds.dedup();
        let (mut spans, mut open): (Vec<TextSpan>, Vec<&TextMark>) = (Vec::new(), Vec::new());
        let mut coming = &marks[..];
        for pair in bounds.windows(2) {
            retain(&mut open, |mark| mark.range.end > pair[0]);
            while let Some((mark, later)) = coming.split_first().filter(|(mark, _)| mark.range.start <= pair[0]) {
                open.push(mark);
                coming = later;
            }
            let mut here = Vec::with_capacity(open.len());
            for mark in &open {
                here.push((mark.key.clone(), mark.value.clone()));
            }
            sort_by(&mut here, |a, b| a.0.cmp(&b.0));
            spans.push(TextSpan { text: self.slice(pair[0]..pair[1]), marks: here });
        }
        spans
    }
}

impl TextMut<'_, '_> {
    /// The longest value of a mark, in bytes.
    const MOST_VALUE_BYTES: usize = limits::MAX_KEY_BYTES;

    /// Says `value` of the characters with indexes in `range`, under `key`. It takes one dot, and some sixty bytes of state; marks of this
    /// key that it covers wholly go. An empty range is left alone. Null takes the key off, like [`TextMut::unmark`], at its ends as
    /// `expand` says. O(marks · depth · log n). Further marks from the same handle take O(marks) each, as long as the text is not edited
    /// in between: whoever has many marks to make should make them one after the other.
    ///
    /// ```
    /// # use weftline::{Document, EditError, Expand, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| {
    ///     let mut text = tx.text("note")?;
    ///     text.push("buy fresh milk")?;
    ///     text.mark(4..9, "bold", true, Expand::After)?;
    ///     text.mark(10..14, "link", "https://milk.example", Expand::None)
    /// })?;
    /// doc.transact(Timestamp(2), |tx| tx.text("note")?.insert(9, "est"))?;
    /// let spans = doc.text("note").spans();
    /// let texts: Vec<&str> = spans.iter().map(|span| span.text.as_str()).collect();
    /// assert_eq!(texts, ["buy ", "freshest", " ", "milk"]);
    /// assert_eq!(spans[1].marks, [("bold".into(), true.into())]);
    /// # Ok::<(), EditError>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] as for [`TextMut::delete`], [`EditError::KeyTooLong`], and [`EditError::TooLarge`] for a value of more than 1 KiB
    /// or a transaction that has no room.
    pub fn mark(
        &mut self,
        range: impl RangeBounds<usize>,
        key: &str,
        value: impl Into<Value>,
        expand: Expand,
    ) -> Result<(), EditError> {
        let (start, end) = self.checked(&range)?;
        self.set_mark(start, end, key, value.into(), Some(expand))
    }

    /// Takes `key` off the characters with indexes in `range`. Where a mark is cut by that, what is typed at an end of the range
    /// is without it as if the taking off expanded like the mark. O(marks · depth · log n).
    ///
    /// # Errors
    /// As [`TextMut::mark`].
    pub fn unmark(&mut self, range: impl RangeBounds<usize>, key: &str) -> Result<(), EditError> {
        let (start, end) = self.checked(&range)?;
        self.set_mark(start, end, key, Value::Null, None)
    }

    fn set_mark(
        &mut self,
        start: usize,
        end: usize,
        key: &str,
        value: Value,
        expand: Option<Expand>,
    ) -> Result<(), EditError> {
        check_key(key)?;
        let (found, limit) = (value.byte_len(), Self::MOST_VALUE_BYTES);
        if found > limit {
            return Err(EditError::TooLarge { what: "bytes in the value of a mark", found, limit });
        }
        let known = self.marks.take();
        let state = &self.at.tx.document().state;
        let Some((_, container)) = state.character(self.at.place, start).filter(|_| start < end) else { return Ok(()) };
        let mut known = known.unwrap_or_else(|| state.live_marks(self.at.place));
        let beside = |mark: &LiveMark| mark.start < end && start < mark.end && *mark.parts.key == *key;
        let mut last: Option<&LiveMark> = None;
        for mark in known.iter().filter(|mark| beside(mark) && mark.parts.value != Value::Null) {
            if last.is_none_or(|last| state.by_stamp(mark.id, last.id).is_gt()) {
                last = Some(mark);
            }
        }
        let like = |last: &LiveMark| Expand::of(last.parts.start.bias, last.parts.end.bias);
        let expand = expand.or_else(|| last.map(like)).unwrap_or(Expand::None);
        let anchor = |index, bias| state.anchor(self.at.place, index, bias).ok_or(EditError::Gone);
        let (from, to) = (anchor(start, expand.start())?, anchor(end, expand.end())?);
        let chains = state.chains_of(&[from, to]);
        let parts = MarkParts { key: Str::from(key), value, start: from, end: to, chains };
        self.at.tx.has_room(1)?;
        let mut cut = false;
        retain(&mut known, |mark| {
            let covered = beside(mark) && covers(&parts, (start, end), mark) && !fault::active(Fault::MarksPileUp);
            let goes = covered || mark.start == mark.end;
            if goes {
                self.at.tx.remove(mark.id);
            }
            cut |= !goes && beside(mark) && mark.parts.value != Value::Null;
            !goes
        });
        if cut || parts.value != Value::Null {
            let target = Target { container, slot: LocalSlot::Unit };
            self.at.tx.add(target, Kind::MARK, false, Payload::Opaque(encode_mark(&parts).into()))?;
            if let Some(id) = self.at.tx.last_added() {
                known.push(LiveMark { id, parts, start, end });
            }
        }
        self.marks = Some(known);
        Ok(())
    }

    /// Removes the marks that cover nothing any more, when so many characters were deleted. It is looked which those are whenever as many
    /// characters were deleted as there are marks, or the text is empty: a few looks a character, however many there are.
    pub(super) fn drop_bare_marks(&mut self, deleted: usize) {
        let (place, empty) = (self.at.place, self.read().is_empty());
        let Content::Text(marks) = &mut self.at.tx.document.state.view.place_mut(place).content else { return };
        let count = marks.dots.view().len();
        marks.deleted = marks.deleted.saturating_add(deleted);
        if count == 0 || marks.deleted < count && !empty || fault::active(Fault::BareMarksStay) {
            return;
        }
        marks.deleted = 0;
        for mark in self.at.tx.document().state.live_marks(place) {
            if mark.start == mark.end {
                self.at.tx.remove(mark.id);
            }
        }
    }
}

/// Whether a new mark between two indexes covers another one wholly, whatever is typed where: its ends are next to characters that live, so in a
/// gap between two of them one that keeps to the outer neighbour is outermost.
fn covers(new: &MarkParts, (start, end): (usize, usize), old: &LiveMark) -> bool {
    let starts =
        start < old.start || start == old.start && (new.start.bias == Bias::Left || new.start == old.parts.start);
    let ends = end > old.end || end == old.end && (new.end.bias == Bias::Right || new.end == old.parts.end);
    starts && ends
}
