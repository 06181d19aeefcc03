//! Changes: what an application should look at again after a transaction, a delta or a diff.

use alloc::vec::Vec;

use super::Path;
use crate::clock::Dot;
use crate::string::Str;
use crate::value::Value;

/// Who caused a batch of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOrigin {
    /// A transaction of this document.
    Local,
    /// A delta or a diff from elsewhere.
    Remote,
}

/// All that one transaction, delta or diff changed, each thing once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Who caused it.
    pub origin: ChangeOrigin,
    /// What changed.
    pub list: Vec<Change>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// One thing that changed. Whatever is below it may have changed with it and is not reported on its own where it came or
/// went as a whole: under a key also one of several containers that are shown merged. A list element that came and went
/// within one batch is not reported, nor is what is nested deeper than containers may be.
///
/// `old` and `new` are what reading the changed thing plainly gave before the batch and gives after it: the winning value of
/// a register, key or list element; `true` for a flag that is on (also under a key without a value) and for a member of a
/// set; a counter's value, cut to 64 bits. Nothing where there was or is nothing, and for containers and texts. They may be equal:
/// where a value was written again, where values of concurrent writes came or went, where an element moved. In a container
/// that came in the batch, `old` is what it showed when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The container whose content changed.
    pub path: Path,
    /// What in it.
    pub kind: ChangeKind,
    /// What was read there before.
    pub old: Option<Value>,
    /// What is read there now.
    pub new: Option<Value>,
}

/// What in a container changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Map: what is under this key.
    Key(Str),
    /// Set of any policy: whether this value is a member.
    Member(Value),
    /// Register, flag or counter of any policy: its value; of a bounded counter also its floor and whose rights it is.
    Value,
    /// List: this element came.
    Inserted(Dot),
    /// List: this element went.
    Removed(Dot),
    /// List: this element changed its place.
    Moved(Dot),
    /// Text: what became of it, from the beginning on. What follows the last step is retained.
    Text(Vec<TextStep>),
    /// Text: a mark came, whose value is `new`, or went, whose value was `old`; null takes the key off. Another mark may count there:
    /// [`TextRef::marks`](crate::TextRef::marks) tells what is read now. Indexes are those after the batch; marks that cover nothing by
    /// then are not told.
    Marks {
        /// The index of the first character.
        start: usize,
        /// The index behind the last.
        end: usize,
        /// What was said of them.
        key: Str,
    },
}

/// One step from the text that was to the text that is. Where both a deletion and an insertion are at one place, the deletion comes
/// first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextStep {
    /// So much stays as it was.
    Retain(TextLen),
    /// This comes here.
    Insert(Str),
    /// So much goes from here.
    Delete(TextLen),
}

/// How much text there is in each unit that indexes are counted in: whoever is told may hold the text as a string of another language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextLen {
    /// Unicode scalar values, as indexes count here.
    pub chars: usize,
    /// Code units of UTF-16, as indexes count in JavaScript and its kin.
    pub utf16: usize,
}
