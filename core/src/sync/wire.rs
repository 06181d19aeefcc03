//! The few primitives that frames, messages, rows and records are laid out with.
//!
//! Numbers are LEB128 varints of at most ten bytes; nothing here allocates by a length that was merely announced.

use alloc::vec::Vec;

use crate::clock::Tag;
use crate::replica_id::ReplicaId;

/// The bytes are not what they should be. What they should be, whoever asked knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What an error says: nothing without the feature `texts`. The compiler then drops every text, and what passes it on.
pub(super) const fn told(what: &'static str) -> &'static str {
    if cfg!(feature = "texts") { what } else { "" }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A byte string with its length before it.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a slice. What cannot be read gives zero or nothing, and so does everything after it: reading needs
/// no check after each field, which halves its code. Whoever loops or computes with what was read asks [`Reader::ok`] before.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    is_malformed: bool,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_malformed: false }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// What was read is not what it should be.
    #[cold]
    #[inline(never)]
    pub(super) const fn refuse(&mut self) {
        *self = Self { rest: &[], is_malformed: true };
    }

    /// Whether everything that was read so far was there and well-formed.
    pub(super) const fn ok(&self) -> Result<(), Malformed> {
        if self.is_malformed { Err(Malformed) } else { Ok(()) }
    }

    /// The next `len` bytes, or none.
    #[cfg_attr(target_family = "wasm", inline(never))]
    fn take(&mut self, len: usize) -> &'a [u8] {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            self.refuse();
            return &[];
        };
        self.rest = rest;
        taken
    }

    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(super) fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// A hash, a beacon or an id.
    #[inline(never)]
    pub(super) fn bytes_16(&mut self) -> [u8; 16] {
        self.take(16).try_into().unwrap_or_default()
    }

    pub(super) fn replica(&mut self) -> ReplicaId {
        ReplicaId::from_bytes(self.bytes_16())
    }

    #[inline(never)]
    pub(super) fn tag(&mut self) -> Tag {
        Tag::from_bytes(self.take(8).try_into().unwrap_or_default())
    }

    /// Eight bytes that are a number without an order, so that a varint would be longer.
    #[inline(never)]
    pub(super) fn word(&mut self) -> u64 {
        u64::from_le_bytes(*self.tag().as_bytes())
    }

    /// One or zero.
    #[inline(never)]
    pub(super) fn flag(&mut self) -> bool {
        let byte = self.u8();
        if byte > 1 {
            self.refuse();
        }
        byte == 1
    }

    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(super) fn varint(&mut self) -> u64 {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8();
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // One number has one encoding: no padding with zero groups.
                if byte == 0 && shift > 0 {
                    break;
                }
                return number;
            }
        }
        self.refuse();
        0
    }

    /// A number that its sender had in 32 bits.
    #[inline(never)]
    pub(super) fn number32(&mut self) -> u32 {
        u32::try_from(self.varint()).unwrap_or_else(|_| {
            self.refuse();
            0
        })
    }

    #[inline(never)]
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.varint()).unwrap_or(usize::MAX);
        self.take(len)
    }

    pub(super) const fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { self.ok() } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_has_one_encoding(number: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), number);
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn bytes_1_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            for long in [false, true] {
                let mut reader = Reader::new(&bytes);
                while reader.ok().is_ok() {
                    if long {
                        reader.bytes();
                    } else {
                        reader.varint();
                    }
                }
                prop_assert_eq!((reader.varint(), reader.bytes(), reader.is_empty()), (0, [].as_slice(), true));
                prop_assert!(reader.finish().is_err());
            }
        }
    }

    #[test]
    fn padded_numbers_are_refused() {
        for bytes in [&[0x80, 0x00][..], &[0xff; 10]] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.varint(), 0);
            assert!(reader.ok().is_err());
        }
    }
}
