//! A cursor over bytes from outside.
//!
//! Every read is checked against the end and fails with the offset. Nothing is allocated here, and [`Reader::count`] turns a
//! declared number of elements into a `usize` only when the remaining bytes can hold that many, so that what callers
//! reserve is bounded by the input.

use super::DecodeError;

/// Reads `bytes` from `at` on. Offsets stay those of the whole input, also in a part of it.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
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
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.peek(len)?;
        self.at = self.at.saturating_add(len);
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(bytes).map_err(|_| DecodeError::Truncated { at: self.at, missing: N as u64 })
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// The next `len` bytes as a part that ends by itself.
    pub(crate) fn part(&mut self, len: usize) -> Result<Self, DecodeError> {
        let at = self.at;
        self.take(len)?;
        Ok(Self { bytes: self.bytes.get(..self.at).unwrap_or_default(), at })
    }

    /// A length that the remaining bytes can satisfy.
    pub(crate) fn length(&mut self, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
        self.count(what, 1, limit as u64)
    }

    /// A number of elements, each of which takes at least `least` bytes of what remains.
    pub(crate) fn count(&mut self, what: &'static str, least: usize, limit: u64) -> Result<usize, DecodeError> {
        let found = self.varint()?;
        self.fits(what, found, least, limit)
    }

    /// Checks a number of elements that was computed from what was read.
    pub(crate) fn fits(&self, what: &'static str, found: u64, least: usize, limit: u64) -> Result<usize, DecodeError> {
        if found > limit {
            return Err(DecodeError::OverLimit { at: self.at, what, found, limit });
        }
        let needed = found.saturating_mul(least as u64);
        let remaining = self.remaining() as u64;
        if needed > remaining {
            return Err(DecodeError::Truncated { at: self.at, missing: needed - remaining });
        }
        usize::try_from(found).map_err(|_| DecodeError::OverLimit {
            at: self.at,
            what,
            found,
            limit: usize::MAX as u64,
        })
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            extra => Err(DecodeError::TrailingBytes { at: self.at, extra }),
        }
    }

    /// The error for something that has another, canonical, encoding.
    pub(crate) fn not_canonical(&self, what: &'static str) -> DecodeError {
        DecodeError::NotCanonical { at: self.at, what }
    }

    /// The error for something that breaks a rule.
    pub(crate) fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::Invalid { at: self.at, what }
    }

    /// The error for a code of a newer version.
    pub(crate) fn unknown(&self, what: &'static str, found: u64) -> DecodeError {
        DecodeError::Unknown { at: self.at, what, found }
    }

    fn peek(&self, len: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        bytes
            .ok_or_else(|| DecodeError::Truncated { at: self.at, missing: len.saturating_sub(self.remaining()) as u64 })
    }
}
