//! A cursor over bytes from outside.
//!
//! Every read is checked against the end. One that fails gives zero or nothing, and from then on the reader is *refused*: it
//! keeps the first error and stands at its end, so that every later read gives zero as well. Reading therefore needs no
//! check after each field; whoever loops, reserves or computes with what was read asks [`Reader::ok`] before. That halves
//! the code of a decoder, as does what else all of them keep to: errors are thrown as the empty [`Refused`] while the reader
//! keeps the reason, and what is read is filled into what the caller owns instead of being handed up through results.
//!
//! Nothing is allocated here, and [`Reader::count`] turns a declared number of elements into a `usize` only when the
//! remaining bytes can hold that many, so that what callers reserve is bounded by the input.

use super::DecodeError;
use crate::clock::Tag;
use crate::hash::{Domain, hash};
use crate::replica_id::ReplicaId;

/// The bytes were refused; the reader has the reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// What a refusal says: nothing without the feature `texts`. The compiler then drops every text, and what passes it on.
const fn told(what: &'static str) -> &'static str {
    if cfg!(feature = "texts") { what } else { "" }
}

/// Reads bytes from `at` on. Offsets stay those of the whole input, also in a section of it.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    error: Option<DecodeError>,
}

/// A part of the input: the bytes up to its end, and where it begins.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Part<'a> {
    /// What is behind `at`.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, error: None }
    }

    /// The offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `len` bytes.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let bytes = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        match bytes {
            Some(_) => self.at = self.at.saturating_add(len),
            None => self.truncated(len.saturating_sub(self.remaining()) as u64),
        }
        bytes.unwrap_or_default()
    }

    /// The next byte.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn byte(&mut self) -> u8 {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                *byte
            }
            None => {
                self.truncated(1);
                0
            }
        }
    }

    /// The next `len` bytes as text.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn str(&mut self, len: usize) -> &'a str {
        let text = core::str::from_utf8(self.take(len));
        if text.is_err() {
            self.invalid("text that is not UTF-8");
        }
        text.unwrap_or_default()
    }

    /// A number that nobody could choose while choosing the input: it depends on all of it. O(input), for tables of hashes.
    #[inline(never)]
    pub(crate) fn seed(&self) -> u64 {
        hash(Domain::Checksum, self.bytes) as u64
    }

    /// A little-endian number of `width` bytes.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn fixed(&mut self, width: usize) -> u64 {
        let bytes = self.take(width);
        // Most are of eight bytes, and those are one load.
        match bytes.try_into() {
            Ok(bytes) => u64::from_le_bytes(bytes),
            Err(_) => bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    /// The next 16 bytes.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn bytes_16(&mut self) -> [u8; 16] {
        self.take(16).try_into().unwrap_or_default()
    }

    /// A replica id.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn replica(&mut self) -> ReplicaId {
        ReplicaId::from_bytes(self.bytes_16())
    }

    /// A chain tag.
    pub(crate) fn tag(&mut self) -> Tag {
        Tag::from_bytes(self.fixed(8).to_le_bytes())
    }

    /// Passes over the next `len` bytes, which are a part that ends by itself.
    pub(crate) fn part(&mut self, len: usize) -> Part<'a> {
        let at = self.at;
        self.take(len);
        Part { bytes: self.bytes.get(..self.at).unwrap_or_default(), at }
    }

    /// Goes on in a part of the same input, when what was read before has come to its end.
    pub(crate) fn enter(&mut self, part: Part<'a>) -> Result<(), Refused> {
        self.finish()?;
        (self.bytes, self.at) = (part.bytes, part.at);
        Ok(())
    }

    /// A length that the remaining bytes can satisfy.
    pub(crate) fn length(&mut self, what: &'static str) -> usize {
        self.count(what, 1, u64::MAX)
    }

    /// A number of elements, each of which takes at least `least` bytes of what remains.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn count(&mut self, what: &'static str, least: usize, limit: u64) -> usize {
        let found = self.varint();
        self.fits(what, found, least, limit)
    }

    /// Checks a number of elements that was computed from what was read.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn fits(&mut self, what: &'static str, found: u64, least: usize, limit: u64) -> usize {
        let needed = self.at_most(what, found, limit).saturating_mul(least as u64);
        let remaining = self.remaining() as u64;
        if needed > remaining {
            self.truncated(needed - remaining);
        }
        // What remains is counted by a `usize`, so what it can hold is as well.
        if self.error.is_none() { found as usize } else { 0 }
    }

    /// Checks a number against its limit.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn at_most(&mut self, what: &'static str, found: u64, limit: u64) -> u64 {
        if found <= limit {
            return found;
        }
        self.refuse(DecodeError::OverLimit { at: self.at, what: told(what), found, limit });
        0
    }

    /// Whether all that was read so far was there and within its limits.
    pub(crate) fn ok(&self) -> Result<(), Refused> {
        if self.error.is_none() { Ok(()) } else { Err(Refused) }
    }

    /// Ends the reading: nothing may be left.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn finish(&mut self) -> Result<(), Refused> {
        match self.remaining() {
            0 => self.ok(),
            extra => Err(self.refuse(DecodeError::TrailingBytes { at: self.at, extra })),
        }
    }

    /// What the reading filled in, or why the bytes were refused.
    pub(crate) fn outcome<T>(self, result: Result<(), Refused>, read: T) -> Result<T, DecodeError> {
        match (self.error, result) {
            (None, Ok(())) => Ok(read),
            (Some(error), _) => Err(error),
            (None, Err(Refused)) => Err(DecodeError::Invalid { at: self.at, what: told("refused without a reason") }),
        }
    }

    /// Refuses something that has another, canonical, encoding.
    #[cold]
    #[inline(never)]
    pub(crate) fn not_canonical(&mut self, what: &'static str) -> Refused {
        self.refuse(DecodeError::NotCanonical { at: self.at, what: told(what) })
    }

    /// Refuses something that breaks a rule.
    #[cold]
    #[inline(never)]
    pub(crate) fn invalid(&mut self, what: &'static str) -> Refused {
        self.refuse(DecodeError::Invalid { at: self.at, what: told(what) })
    }

    /// Refuses a code of a newer version.
    #[cold]
    #[inline(never)]
    pub(crate) fn unknown(&mut self, what: &'static str, found: u64) -> Refused {
        self.refuse(DecodeError::Unknown { at: self.at, what: told(what), found })
    }

    /// Refuses the input, for this reason if it is the first one.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&mut self, error: DecodeError) -> Refused {
        self.error.get_or_insert(error);
        self.at = self.bytes.len();
        Refused
    }

    #[cold]
    #[inline(never)]
    fn truncated(&mut self, missing: u64) {
        self.refuse(DecodeError::Truncated { at: self.at, missing });
    }
}
