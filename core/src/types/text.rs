//! Text: characters in an order that everybody agrees on.
//!
//! A character is a Unicode scalar value. It is put between two others and stays between them. What replicas type at one place at
//! the same time stays whole: what one typed is behind what the other typed, each in the order in which it was typed. Deleting a
//! range takes away the characters that were seen, and leaves no trace: what somebody else types into the range survives.
//!
//! Indexes count scalar values here; [`TextRef::len_utf16`] and its siblings count in other units.
//!
//! The order is that of Weidner and Kleppmann, "The art of the Fugue: minimizing interleaving in collaborative text editing" (2023),
//! with positions in bunches (see `crate::sequence`).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Bound, RangeBounds};

use super::text_diff::{Hunk, hunks};
use super::{At, AtMut};
use crate::document::{EditError, LiveMark};
use crate::sequence::{Rope, Unit, Weight};
use crate::string::characters;

/// A text, to read.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| {
///     let mut text = tx.text("note")?;
///     text.push("buy 🥛")?;
///     text.insert(4, "fresh ")
/// })?;
/// let note = doc.text("note");
/// assert_eq!(note.to_string(), "buy fresh 🥛");
/// assert_eq!((note.len(), note.len_utf8(), note.len_utf16()), (11, 14, 12));
/// assert_eq!(note.slice(4..9), "fresh");
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct TextRef<'d> {
    pub(super) at: At<'d>,
}

impl<'d> TextRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    fn rope(&self) -> Option<&'d Rope> {
        self.at.state().rope(self.at.place?)
    }

    fn weight(&self) -> Weight {
        self.rope().map_or(Weight::default(), Rope::weight)
    }

    /// How many characters (Unicode scalar values) there are. O(1).
    pub fn len(&self) -> usize {
        self.weight().values as usize
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes it has in UTF-8. O(1).
    pub fn len_utf8(&self) -> usize {
        self.weight().utf8 as usize
    }

    /// How many code units it has in UTF-16, as a string of JavaScript counts them. O(1).
    pub fn len_utf16(&self) -> usize {
        self.weight().utf16 as usize
    }

    /// How many lines there are: one more than line feeds. O(1).
    pub fn lines(&self) -> usize {
        self.weight().lines as usize + 1
    }

    /// The index of what begins at an index that counts code units of UTF-16: a character, or the end. `None` beyond the end, and
    /// in the middle of a character that takes two units. O(log n).
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| tx.text("note")?.push("🥛 and bread"))?;
    /// let note = doc.text("note");
    /// assert_eq!((note.from_utf16(2), note.from_utf16(1), note.from_utf16(13)), (Some(1), None, None));
    /// assert_eq!(note.to_utf16(1), Some(2));
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn from_utf16(&self, index: usize) -> Option<usize> {
        self.convert(Unit::Utf16, index).map(|weight| weight.values as usize)
    }

    /// The index that counts code units of UTF-16, of the character at `index`, or of the end. `None` beyond the end. O(log n).
    pub fn to_utf16(&self, index: usize) -> Option<usize> {
        self.convert(Unit::Values, index).map(|weight| weight.utf16 as usize)
    }

    /// The index of the character that begins at a byte of UTF-8; the length, at the end. `None` inside of a character and
    /// beyond the end. O(log n).
    pub fn from_utf8(&self, byte: usize) -> Option<usize> {
        self.convert(Unit::Utf8, byte).map(|weight| weight.values as usize)
    }

    /// The byte of UTF-8 at which the character at `index` begins, or the end. `None` beyond the end. O(log n).
    pub fn to_utf8(&self, index: usize) -> Option<usize> {
        self.convert(Unit::Values, index).map(|weight| weight.utf8 as usize)
    }

    /// The index of the first character of a line, which is counted from 0. `None` beyond the last. O(log n).
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| tx.text("note")?.push("milk\nbread"))?;
    /// let note = doc.text("note");
    /// assert_eq!((note.line_start(0), note.line_start(1), note.line_start(2)), (Some(0), Some(5), None));
    /// assert_eq!((note.line_of(4), note.line_of(5), note.line_of(11)), (Some(0), Some(1), None));
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn line_start(&self, line: usize) -> Option<usize> {
        self.convert(Unit::Lines, line).map(|weight| weight.values as usize)
    }

    /// The line, counted from 0, of the character at `index`, or of the end. A line feed is the last of its line. `None` beyond
    /// the end. O(log n).
    pub fn line_of(&self, index: usize) -> Option<usize> {
        self.convert(Unit::Values, index).map(|weight| weight.lines as usize)
    }

    /// How much is before an index at which a character begins.
    fn convert(&self, unit: Unit, index: usize) -> Option<Weight> {
        let Some(rope) = self.rope() else { return (index == 0).then(Weight::default) };
        rope.find(unit, index).and_then(|(weight, is_exact)| is_exact.then_some(weight))
    }

    /// The characters with indexes in `range`, as far as there are any. O(log n + bytes).
    pub fn slice(&self, range: impl RangeBounds<usize>) -> String {
        let mut text = String::new();
        for chunk in self.chunks(range) {
            text.push_str(chunk);
        }
        text
    }

    /// The same in pieces, borrowed, none of them empty: nothing is copied. O(log n), and O(1) a piece of some hundred bytes.
    pub fn chunks<R: RangeBounds<usize>>(&self, range: R) -> impl Iterator<Item = &'d str> + use<'d, R> {
        let (start, end) = bounds(&range, self.len());
        self.rope().map(|rope| rope.chunks(start..end)).into_iter().flatten()
    }

    /// Every character. O(log n), and O(1) a character.
    pub fn chars(&self) -> impl Iterator<Item = char> + use<'d> {
        self.chunks(..).flat_map(str::chars)
    }
}

fn append_chars(all: &mut Vec<char>, text: &str) {
    for char in text.chars() {
        all.push(char);
    }
}

/// Where a range begins and ends, within the length.
fn bounds(range: &impl RangeBounds<usize>, len: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => len,
    };
    (start.min(len), end.min(len))
}

impl fmt::Display for TextRef<'_> {
    /// The text. O(bytes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chunks(..).try_for_each(|chunk| f.write_str(chunk))
    }
}

impl PartialEq<str> for TextRef<'_> {
    /// Whether it reads so. O(bytes).
    fn eq(&self, other: &str) -> bool {
        let mut rest = other.as_bytes();
        for chunk in self.chunks(..) {
            match rest.strip_prefix(chunk.as_bytes()) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

impl PartialEq<&str> for TextRef<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// A text, to edit. Indexes count characters (Unicode scalar values), and mean the text as it is at that moment.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| {
///     let mut todo = tx.map("todo")?;
///     let mut text = todo.text("note")?;
///     text.push("buy bread")?;
///     text.replace(4..9, "milk")?;
///     text.delete(..1)?;
///     text.insert(0, "B")
/// })?;
/// assert_eq!(doc.map("todo").text("note"), "Buy milk");
/// # Ok::<(), EditError>(())
/// ```
#[derive(Debug)]
pub struct TextMut<'t, 'd> {
    pub(super) at: AtMut<'t, 'd>,
    /// Where the marks are, if that is known and the text was not edited since.
    pub(super) marks: Option<Vec<LiveMark>>,
}

impl<'t, 'd> TextMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at, marks: None }
    }

    /// The text as it is now, to read.
    pub fn read(&self) -> TextRef<'_> {
        TextRef::at(self.at.read())
    }

    /// Inserts `text` so that it begins at `index`. It takes a dot for each character. O(log n + bytes).
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] when the index is beyond the end, [`EditError::TooLarge`] when the transaction has no room for it
    /// (split it then), [`EditError::PositionTooDeep`] after thousands of insertions, each by another replica into the gap that the
    /// last one made.
    pub fn insert(&mut self, index: usize, text: &str) -> Result<(), EditError> {
        let len = self.read().len();
        if index > len {
            return Err(EditError::OutOfRange { index, len });
        }
        self.marks = None;
        self.at.tx.type_text(self.at.place, index, text)
    }

    /// Appends `text`. O(log n + bytes).
    ///
    /// # Errors
    /// As [`TextMut::insert`].
    pub fn push(&mut self, text: &str) -> Result<(), EditError> {
        self.insert(self.read().len(), text)
    }

    /// Deletes the characters with indexes in `range`. What others type into it at the same time stays. O(runs of it · log n).
    ///
    /// # Errors
    /// [`EditError::OutOfRange`] when the range ends beyond the end, or before it begins.
    pub fn delete(&mut self, range: impl RangeBounds<usize>) -> Result<(), EditError> {
        let (start, end) = self.checked(&range)?;
        self.marks = None;
        self.at.tx.delete_text(self.at.place, start, end - start);
        self.drop_bare_marks(end - start);
        Ok(())
    }

    /// Puts `text` in place of the characters with indexes in `range`. O(runs of it · log n + bytes).
    ///
    /// # Errors
    /// As [`TextMut::delete`] and [`TextMut::insert`]; nothing is deleted then.
    pub fn replace(&mut self, range: impl RangeBounds<usize>, text: &str) -> Result<(), EditError> {
        let (start, end) = self.checked(&range)?;
        // What comes goes before what goes, so that it is put next to what is seen there.
        self.insert(start, text)?;
        let typed = characters(text);
        self.at.tx.delete_text(self.at.place, start + typed, end - start);
        self.drop_bare_marks(end - start);
        Ok(())
    }

    /// Makes it read `text`, with the fewest characters inserted and deleted: for callers that have only the new text as a whole,
    /// as an input field gives it. What others typed meanwhile stays where it is, as far as what it is next to stays. Where the two have
    /// little in common, after some thousand edits, what is between the first and the last difference is replaced as a whole.
    ///
    /// Characters are compared as such: a family of emoji, or a letter and its accent, may be cut in two. O(bytes · differences) at worst,
    /// and that within some passes over both and a million steps.
    ///
    /// # Errors
    /// As [`TextMut::insert`].
    pub fn set_text(&mut self, text: &str) -> Result<(), EditError> {
        let mut old = Vec::new();
        let mut new = Vec::new();
        for chunk in self.read().chunks(..) {
            append_chars(&mut old, chunk);
        }
        append_chars(&mut new, text);
        let hunks = hunks(&old, &new, &mut 0);
        let mut typed = 0;
        for hunk in &hunks {
            typed += hunk.new.len();
        }
        self.at.tx.has_room(typed)?;
        for Hunk { old, new: typed } in hunks {
            let mut text = String::new();
            text.extend(&new[typed]);
            self.replace(old, &text)?;
        }
        Ok(())
    }

    /// Deletes all of it; what is typed concurrently stays. O(runs · log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        self.delete(..)
    }

    pub(super) fn checked(&self, range: &impl RangeBounds<usize>) -> Result<(usize, usize), EditError> {
        let len = self.read().len();
        // A range that is cut is one that was beyond the end.
        let (start, end) = bounds(range, usize::MAX);
        let end = if range.end_bound() == Bound::Unbounded { len } else { end };
        if start > end || end > len {
            return Err(EditError::OutOfRange { index: start.max(end), len });
        }
        Ok((start, end))
    }
}
