//! Plain values, and text.
//!
//! Small numbers and short text and bytes, which most values are, have their content or their length in the type byte. What has
//! a short form has no other.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reader::Reader;
use super::varint;
use super::writer::{put, put_byte};
use crate::string::Str;
use crate::value::Value;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const BYTES: u8 = 6;

/// Integers from [`LEAST_SHORT_INT`] on, one for each byte.
const SHORT_INT: u8 = 0x10;
const LEAST_SHORT_INT: i64 = -16;
/// Text of 0 to 63 bytes, the length in the lower bits; bytes likewise.
const SHORT_STRING: u8 = 0x40;
const SHORT_BYTES: u8 = 0x80;
/// The first byte that stands for nothing yet.
const FREE: u8 = 0xc0;

/// Every NaN is written as this one, so that equal values have equal bytes.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// Appends a value.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    put_byte(out, head(value));
    write_body(out, value);
}

/// The type byte.
pub(crate) fn head(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(false) => FALSE,
        Value::Bool(true) => TRUE,
        Value::Int(number) => short_int(*number).unwrap_or(INT),
        Value::Float(_) => FLOAT,
        Value::String(text) => sized(STRING, SHORT_STRING, text.len()),
        Value::Bytes(bytes) => sized(BYTES, SHORT_BYTES, bytes.len()),
    }
}

fn sized(long: u8, short: u8, len: usize) -> u8 {
    if len < SHORT_LEN { short + len as u8 } else { long }
}

/// Whether something follows this type byte.
pub(crate) const fn has_body(head: u8) -> bool {
    !matches!(head, NULL | FALSE | TRUE | SHORT_INT..=SHORT_STRING | SHORT_BYTES)
}

/// Appends what follows the type byte.
#[inline(never)]
pub(crate) fn write_body(out: &mut Vec<u8>, value: &Value) {
    let bytes = match value {
        Value::Int(number) if short_int(*number).is_none() => return varint::write_signed(out, *number),
        Value::Null | Value::Bool(_) | Value::Int(_) => return,
        Value::Float(number) => {
            let bits = if number.is_nan() { CANONICAL_NAN } else { number.to_bits() };
            return put(out, &bits.to_le_bytes());
        }
        Value::String(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
    };
    if bytes.len() >= SHORT_LEN {
        varint::write_len(out, bytes.len());
    }
    put(out, bytes);
}

/// Lengths below this one are in the type byte.
const SHORT_LEN: usize = 64;

/// Text up to this length is copied to where it is checked faster.
const ALIGNED: usize = 64;

#[repr(align(16))]
struct Aligned([u8; ALIGNED]);

/// The byte of an integer that has one.
fn short_int(number: i64) -> Option<u8> {
    let code = number.checked_sub(LEAST_SHORT_INT)?.checked_add(SHORT_INT.into())?;
    (i64::from(SHORT_INT)..i64::from(SHORT_STRING)).contains(&code).then_some(code as u8)
}

impl Reader<'_> {
    /// A value whose type byte was read.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn value(&mut self, head: u8) -> Value {
        match head {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => {
                let number = self.signed();
                if short_int(number).is_some() {
                    self.not_canonical("a small integer in its long form");
                }
                Value::Int(number)
            }
            FLOAT => {
                let bits = self.fixed(8);
                let number = f64::from_bits(bits);
                if number.is_nan() && bits != CANONICAL_NAN {
                    self.not_canonical("another NaN than the canonical one");
                }
                // `from` gives NaN the representation that the crate uses.
                Value::from(number)
            }
            STRING => {
                let len = self.long_length("text length");
                Value::String(self.text(len))
            }
            BYTES => {
                let len = self.long_length("bytes length");
                Value::Bytes(self.blob(len))
            }
            code @ SHORT_INT..SHORT_STRING => Value::Int(i64::from(code - SHORT_INT) + LEAST_SHORT_INT),
            code @ SHORT_STRING..SHORT_BYTES => Value::String(self.text((code - SHORT_STRING).into())),
            code @ SHORT_BYTES..FREE => Value::Bytes(self.blob((code - SHORT_BYTES).into())),
            code => {
                self.unknown("value type", code.into());
                Value::Null
            }
        }
    }

    /// A length that has no short form.
    fn long_length(&mut self, what: &'static str) -> usize {
        let len = self.length(what);
        if len < SHORT_LEN {
            self.not_canonical("a short length in its long form");
        }
        len
    }

    /// The next `len` bytes as text, to keep.
    pub(crate) fn text(&mut self, len: usize) -> Str {
        if cfg!(target_family = "wasm") || len > ALIGNED {
            return Str::from(self.str(len));
        }
        // Text is checked a word at a time only where words begin, and in a message it begins anywhere.
        let mut aligned = Aligned([0; ALIGNED]);
        let bytes = self.take(len);
        let room = aligned.0.get_mut(..bytes.len()).unwrap_or_default();
        room.copy_from_slice(bytes);
        match core::str::from_utf8(room) {
            Ok(text) => Str::from(text),
            Err(_) => {
                self.invalid("text that is not UTF-8");
                Str::default()
            }
        }
    }

    /// The next `len` bytes, to keep.
    pub(crate) fn blob(&mut self, len: usize) -> Arc<[u8]> {
        Arc::from(self.take(len))
    }
}
