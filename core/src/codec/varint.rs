//! Variable-length integers: LEB128 of 64 bits, and its signed form.
//!
//! Seven bits per byte, lowest first, the top bit says that more follow. Only the shortest form is accepted. A signed number
//! is first folded (zigzag: 0, -1, 1, -2 …), so that small numbers of either sign are short.

use alloc::vec::Vec;

use super::DecodeError;
use super::reader::Reader;

/// Appends `number`.
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
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.invalid("a number of more than 64 bits"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.not_canonical("a number in more bytes than it needs"));
                }
                return Ok(number);
            }
        }
        Err(self.invalid("a number of more than 64 bits"))
    }

    /// A signed number in its shortest form.
    pub(crate) fn signed(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(unfold)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_2_numbers_come_back(number in prop_oneof![any::<u64>(), 0..300u64, (0..64u32).prop_map(|bit| 1 << bit)]) {
            let mut out = Vec::new();
            write(&mut out, number);
            prop_assert_eq!(Reader::new(&out).varint(), Ok(number));
            prop_assert_eq!(unfold(fold(number as i64)), number as i64);
            for cut in 0..out.len() {
                prop_assert!(Reader::new(&out[..cut]).varint().is_err());
            }
        }

        #[test]
        fn bytes_2_there_is_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(number) = reader.varint() {
                let mut out = Vec::new();
                write(&mut out, number);
                prop_assert_eq!(&out[..], &bytes[..reader.at()]);
            }
        }
    }

    #[test]
    fn bytes_1_long_and_padded_numbers_are_refused() {
        assert!(matches!(Reader::new(&[0x80, 0]).varint(), Err(DecodeError::NotCanonical { at: 2, .. })));
        assert!(matches!(Reader::new(&[0xff; 10]).varint(), Err(DecodeError::Invalid { at: 10, .. })));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(Reader::new(&most).varint(), Ok(u64::MAX));
        most[9] = 2;
        assert!(Reader::new(&most).varint().is_err());
    }
}
