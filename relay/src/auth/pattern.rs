//! Which documents a right is about.
//!
//! A pattern is the name of one document, or a beginning of names and a `*` at the end. Nothing in a name means anything: there are no
//! folders, no `..`, no escapes, no cases that are the same. So `todo/*` is about `todo/../x`, which is a document of just that name and
//! has nothing to do with `x`; and it is not about `todo`, nor about `todolist`.

use std::fmt;
use std::str::FromStr;

use weftline::sync::limits::MAX_DOCUMENT_NAME;

/// Some documents, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    name: String,
    is_prefix: bool,
}

/// What is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Names nothing.
    #[error("a pattern is the name of a document, or a beginning of names and a * at the end; this one is empty")]
    Empty,
    /// Longer than any name.
    #[error("a pattern of {len} bytes; names of documents are at most {MAX_DOCUMENT_NAME} bytes long")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// A `*` that is not at the end would look as if it meant something.
    #[error("a pattern with a * that is not at its end")]
    InnerStar,
}

impl Pattern {
    /// Whether it is about the document of this name. O(name).
    #[must_use]
    pub fn covers(&self, document: &str) -> bool {
        if self.is_prefix { document.starts_with(&self.name) } else { document == self.name }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (name, is_prefix) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if name.len() > MAX_DOCUMENT_NAME {
            return Err(PatternError::TooLong { len: name.len() });
        }
        if name.contains('*') {
            return Err(PatternError::InnerStar);
        }
        Ok(Self { name: name.to_owned(), is_prefix })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.name, if self.is_prefix { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_one_name_or_those_that_begin_so_and_no_others() {
        for (pattern, covered, others) in [
            ("todo", &["todo"][..], &["todo/", "todo*", "Todo", "tod", "x/todo", "todo\0"][..]),
            ("todo/*", &["todo/", "todo/a", "todo/../x", "todo/*"], &["todo", "todolist", "x", "./todo/a", "todo%2fa"]),
            ("todo*", &["todo", "todolist", "todo/../x"], &["tod", "../todo", " todo"]),
            ("*", &["a", "../a", "*"], &[]),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.to_string(), pattern);
            for name in covered {
                assert!(parsed.covers(name), "{pattern} covers {name}");
            }
            for name in others {
                assert!(!parsed.covers(name), "{pattern} does not cover {name}");
            }
        }
    }

    #[test]
    fn what_looks_like_more_than_a_pattern_is_refused() {
        for (text, expected) in [
            ("", PatternError::Empty),
            ("a*b", PatternError::InnerStar),
            ("**", PatternError::InnerStar),
            ("*/secret", PatternError::InnerStar),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(expected), "{text}");
        }
        let long = "a".repeat(MAX_DOCUMENT_NAME + 1);
        assert_eq!(long.parse::<Pattern>(), Err(PatternError::TooLong { len: MAX_DOCUMENT_NAME + 1 }));
    }
}
