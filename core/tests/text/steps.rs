//! Steps of a change, of characters that are one code unit in UTF-16.

use weftline::{TextLen, TextStep};

pub(crate) fn retain(chars: usize) -> TextStep {
    TextStep::Retain(TextLen { chars, utf16: chars })
}

pub(crate) fn delete(chars: usize) -> TextStep {
    TextStep::Delete(TextLen { chars, utf16: chars })
}
