//! Variable-length integers: LEB128 of 64 bits, and its signed form.
//!
//! Seven bits per byte, lowest first, the top bit says that more follow. Only the shortest form is accepted. A signed number
//! is first folded (zigzag: 0, -1, 1, -2 …), so that small numbers of either sign are short.

use alloc::vec::Vec;

use super::reader::Reader;

/// Appends `number`.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number.
pub(crate) fn write_signed(out: &mut Vec<u8>, number: i64) {
    write(out, fold(number));
}

/// Appends a length.
pub(crate) fn write_len(out: &mut Vec<u8>, len: usize) {
    write(out, len as u64);
}

/// The unsigned number that stands for a signed one.
pub(crate) const fn fold(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The reverse of [`fold`].
pub(crate) const fn unfold(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl Reader<'_> {
    /// An unsigned number in its shortest form.
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline)]
    pub(crate) fn varint(&mut self) -> u64 {
        let byte = self.byte();
        if byte < 0x80 { byte.into() } else { self.long_varint(byte) }
    }

    /// A number of more than one byte, the first of which was read.
    #[inline(never)]
    fn long_varint(&mut self, first: u8) -> u64 {
        let mut number = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte();
            if shift == 63 && byte > 1 {
                self.invalid("a number of more than 64 bits");
                return 0;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 {
                    // Also where the bytes end within a number; then that was the first reason.
                    self.not_canonical("a number in more bytes than it needs");
                    return 0;
                }
                return number;
            }
            shift += 7;
        }
    }

    /// A signed number in its shortest form.
    pub(crate) fn signed(&mut self) -> i64 {
        unfold(self.varint())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::DecodeError;

    /// The number at the beginning, and how many bytes it takes.
    fn read(bytes: &[u8]) -> Result<(u64, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let number = reader.varint();
        let len = reader.at();
        reader.outcome(Ok(()), (number, len))
    }

    proptest! {
        #[test]
        fn bytes_2_numbers_come_back(number in prop_oneof![any::<u64>(), 0..300u64, (0..64u32).prop_map(|bit| 1 << bit)]) {
            let mut out = Vec::new();
            write(&mut out, number);
            prop_assert_eq!(read(&out), Ok((number, out.len())));
            prop_assert_eq!(unfold(fold(number as i64)), number as i64);
            for cut in 0..out.len() {
                prop_assert_eq!(read(&out[..cut]), Err(DecodeError::Truncated { at: cut, missing: 1 }));
            }
        }

        #[test]
        fn bytes_2_there_is_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Ok((number, len)) = read(&bytes) {
                let mut out = Vec::new();
                write(&mut out, number);
                prop_assert_eq!(&out[..], &bytes[..len]);
            }
        }
    }

    #[test]
    fn bytes_1_long_and_padded_numbers_are_refused() {
        assert!(matches!(read(&[0x80, 0]), Err(DecodeError::NotCanonical { at: 2, .. })));
        assert!(matches!(read(&[0xff; 10]), Err(DecodeError::Invalid { at: 10, .. })));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(read(&most), Ok((u64::MAX, 10)));
        most[9] = 2;
        assert!(read(&most).is_err());
    }
}
