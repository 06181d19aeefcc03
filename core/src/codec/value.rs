//! Plain values, and text.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reader::Reader;
use super::{DecodeError, varint};
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
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(number) => {
            out.push(INT);
            varint::write_signed(out, *number);
        }
        Value::Float(number) => {
            out.push(FLOAT);
            let bits = if number.is_nan() { CANONICAL_NAN } else { number.to_bits() };
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Value::String(text) => {
            out.push(STRING);
            varint::write_len(out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(BYTES);
            varint::write_len(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn value(&mut self) -> Result<Value, DecodeError> {
        Ok(match self.byte()? {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(self.signed()?),
            FLOAT => {
                let bits = u64::from_le_bytes(self.array()?);
                let number = f64::from_bits(bits);
                if number.is_nan() && bits != CANONICAL_NAN {
                    return Err(self.not_canonical("another NaN than the canonical one"));
                }
                // `from` gives NaN the representation that the crate uses.
                Value::from(number)
            }
            STRING => {
                let len = self.length("text length", usize::MAX)?;
                Value::String(Arc::from(self.text(len)?))
            }
            BYTES => {
                let len = self.length("bytes length", usize::MAX)?;
                Value::Bytes(Arc::from(self.take(len)?))
            }
            code => return Err(self.unknown("value type", code.into())),
        })
    }

    /// The next `len` bytes as text.
    pub(crate) fn text(&mut self, len: usize) -> Result<&'a str, DecodeError> {
        let bytes = self.take(len)?;
        core::str::from_utf8(bytes).map_err(|_| self.invalid("text that is not UTF-8"))
    }
}
