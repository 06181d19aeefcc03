//! The beacon: a 128-bit sum over the live dots, each with a hash of all it is bound to.
//!
//! Equal versions with unequal beacons mean that somewhere one dot was bound to two payloads, the one fault that versions
//! cannot show. The sum is kept up by addition and subtraction, in any order. The bytes hashed are fixed in
//! `docs/format.md`.

use alloc::vec::Vec;

use super::{Keys, Live, PayloadView, SlotView};
use crate::clock::Dot;
use crate::store::Kind;
use crate::string::Str;
use crate::value::Value;

/// A container, by the names that replicas exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ContainerView<'a> {
    Root { name: &'a Str, kind: Kind },
    Entity(Dot),
}

/// Appends the bytes whose hash is one dot's share of the beacon.
pub(crate) fn write_share(out: &mut Vec<u8>, dot: Dot, container: ContainerView<'_>, live: &Live, keys: &Keys) {
    write_dot(out, dot);
    out.extend_from_slice(&live.hlc.0.to_le_bytes());
    match container {
        ContainerView::Root { name, kind } => {
            out.extend_from_slice(&[0, kind.0]);
            write_bytes(out, name.as_bytes());
        }
        ContainerView::Entity(dot) => {
            out.push(1);
            write_dot(out, dot);
        }
    }
    match live.slot() {
        SlotView::Unit => out.push(0),
        SlotView::Key(key) => {
            out.push(1);
            write_bytes(out, keys.text(key).as_bytes());
        }
        SlotView::Member(value) => {
            out.push(2);
            write_value(out, value);
        }
        SlotView::Owner => out.push(3),
        SlotView::Position { bunch, backward } => {
            out.extend_from_slice(&[4, u8::from(backward)]);
            out.extend_from_slice(&bunch.to_le_bytes());
        }
    }
    out.extend_from_slice(&[live.kind.0, u8::from(live.entity)]);
    match live.payload() {
        PayloadView::Empty => out.push(0),
        PayloadView::Value(value) => {
            out.push(1);
            write_value(out, value);
        }
        PayloadView::Total { plus, minus } => {
            out.push(2);
            out.extend_from_slice(&plus.to_le_bytes());
            out.extend_from_slice(&minus.to_le_bytes());
        }
        PayloadView::Opaque(bytes) => {
            out.push(3);
            write_bytes(out, bytes);
        }
    }
}

/// As in the bytes of values.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

fn write_dot(out: &mut Vec<u8>, dot: Dot) {
    out.extend_from_slice(&dot.replica.to_bytes());
    out.extend_from_slice(&dot.seq.to_le_bytes());
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends bytes that are equal for equal values only.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value) {
    out.push(value.rank());
    match value {
        Value::Null => {}
        Value::Bool(truth) => out.push(u8::from(*truth)),
        Value::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Float(number) => {
            // Every NaN is one NaN here too: whoever built the variant by hand may hold another than those who read its bytes.
            let bits = if number.is_nan() { CANONICAL_NAN } else { number.to_bits() };
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Value::String(text) => write_bytes(out, text.as_bytes()),
        Value::Bytes(bytes) => write_bytes(out, bytes),
    }
}
