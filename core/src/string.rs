//! Short text, held in place: keys, names, and the strings of values.
//!
//! Most keys and many values are short. Up to 23 bytes need no memory of their own; longer text is shared, so cloning is
//! cheap for both. In a web page all text is shared: to tell the two apart costs 2 kB of wasm.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

#[cfg(target_family = "wasm")]
type Text = alloc::sync::Arc<str>;
#[cfg(not(target_family = "wasm"))]
type Text = smol_str::SmolStr;

/// How many characters a text has. O(bytes), several at a time; in a web page one by one, for a kilobyte less of wasm.
pub(crate) fn characters(text: &str) -> usize {
    if cfg!(target_family = "wasm") {
        return text.bytes().filter(|byte| byte & 0xc0 != 0x80).count();
    }
    // Most text is ASCII and short, and to see that is quicker than to count.
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// Immutable text that is cheap to clone: up to 23 bytes in place, longer ones shared. Ordered and compared like `str`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Text);

impl Str {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Text::from(text))
    }
}

impl From<alloc::string::String> for Str {
    fn from(text: alloc::string::String) -> Self {
        Self(Text::from(text))
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
