//! Plain values, and text.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reader::Reader;
use super::varint;
use super::writer::{put, put_byte, put_sized};
use crate::string::Str;
use crate::value::Value;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const BYTES: u8 = 6;

/// Every NaN is written as this one, so that equal values have equal bytes.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    let code = match value {
        Value::Null => NULL,
        Value::Bool(false) => FALSE,
        Value::Bool(true) => TRUE,
        Value::Int(_) => INT,
        Value::Float(_) => FLOAT,
        Value::String(_) => STRING,
        Value::Bytes(_) => BYTES,
    };
    put_byte(out, code);
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Int(number) => varint::write_signed(out, *number),
        Value::Float(number) => {
            let bits = if number.is_nan() { CANONICAL_NAN } else { number.to_bits() };
            put(out, &bits.to_le_bytes());
        }
        Value::String(text) => put_sized(out, text.as_bytes()),
        Value::Bytes(bytes) => put_sized(out, bytes),
    }
}

impl Reader<'_> {
    #[inline(never)]
    pub(crate) fn value(&mut self) -> Value {
        match self.byte() {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(self.signed()),
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
                let len = self.length("text length");
                Value::String(self.text(len))
            }
            BYTES => {
                let len = self.length("bytes length");
                Value::Bytes(self.blob(len))
            }
            code => {
                self.unknown("value type", code.into());
                Value::Null
            }
        }
    }

    /// The next `len` bytes as text.
    #[inline(never)]
    pub(crate) fn text(&mut self, len: usize) -> Str {
        let text = core::str::from_utf8(self.take(len));
        if text.is_err() {
            self.invalid("text that is not UTF-8");
        }
        Str::from(text.unwrap_or_default())
    }

    /// The next `len` bytes, to keep.
    #[inline(never)]
    pub(crate) fn blob(&mut self, len: usize) -> Arc<[u8]> {
        Arc::from(self.take(len))
    }
}
