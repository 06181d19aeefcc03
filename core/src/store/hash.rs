//! The beacon: a 128-bit sum over the live dots, each with a hash of all it is bound to.
//!
//! Equal versions with unequal beacons mean that somewhere one dot was bound to two payloads, the one fault that versions
//! cannot show. The sum is kept up by addition and subtraction, in any order. The bytes hashed are fixed in
//! `docs/format.md`.

use crate::clock::{Dot, Hlc};
use crate::hash::{Domain, Hasher};
use crate::store::{Container, Kind, Payload, Slot};
use crate::value::Value;

/// One dot's share of the beacon.
pub(crate) fn beacon_share(
    dot: Dot,
    hlc: Hlc,
    container: &Container,
    slot: &Slot,
    kind: Kind,
    entity: bool,
    payload: &Payload,
) -> u128 {
    let mut hasher = Hasher::new(Domain::Beacon);
    write_dot(&mut hasher, dot);
    hasher.write(&hlc.0.to_le_bytes());
    match container {
        Container::Root { name, kind } => {
            hasher.write(&[0, kind.0]);
            write_bytes(&mut hasher, name.as_bytes());
        }
        Container::Entity(dot) => {
            hasher.write(&[1]);
            write_dot(&mut hasher, *dot);
        }
    }
    match slot {
        Slot::Unit => hasher.write(&[0]),
        Slot::Key(key) => {
            hasher.write(&[1]);
            write_bytes(&mut hasher, key.as_bytes());
        }
        Slot::Member(value) => {
            hasher.write(&[2]);
            write_value(&mut hasher, value);
        }
        Slot::Owner => hasher.write(&[3]),
        Slot::Position { bunch, backward } => {
            hasher.write(&[4, u8::from(*backward)]);
            hasher.write(&bunch.to_le_bytes());
        }
    }
    hasher.write(&[kind.0, u8::from(entity)]);
    match payload {
        Payload::Empty => hasher.write(&[0]),
        Payload::Value(value) => {
            hasher.write(&[1]);
            write_value(&mut hasher, value);
        }
        Payload::Total { plus, minus } => {
            hasher.write(&[2]);
            hasher.write(&plus.to_le_bytes());
            hasher.write(&minus.to_le_bytes());
        }
        Payload::Opaque(bytes) => {
            hasher.write(&[3]);
            write_bytes(&mut hasher, bytes);
        }
        Payload::Rights(rights) => {
            hasher.write(&[4]);
            hasher.write(&rights.plus.to_le_bytes());
            hasher.write(&rights.minus.to_le_bytes());
            hasher.write(&(rights.given.len() as u64).to_le_bytes());
            for (replica, amount) in &rights.given {
                hasher.write(&replica.to_bytes());
                hasher.write(&amount.to_le_bytes());
            }
        }
    }
    hasher.finish()
}

/// As in the bytes of values.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

fn write_dot(hasher: &mut Hasher, dot: Dot) {
    hasher.write(&dot.replica.to_bytes());
    hasher.write(&dot.seq.to_le_bytes());
}

fn write_bytes(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.write(&(bytes.len() as u64).to_le_bytes());
    hasher.write(bytes);
}

fn write_value(hasher: &mut Hasher, value: &Value) {
    match value {
        Value::Null => hasher.write(&[0]),
        Value::Bool(truth) => hasher.write(&[1, u8::from(*truth)]),
        Value::Int(number) => {
            hasher.write(&[2]);
            hasher.write(&number.to_le_bytes());
        }
        Value::Float(number) => {
            hasher.write(&[3]);
            // Every NaN is one NaN here too: whoever built the variant by hand may hold another than those who read its bytes.
            let bits = if number.is_nan() { CANONICAL_NAN } else { number.to_bits() };
            hasher.write(&bits.to_le_bytes());
        }
        Value::String(text) => {
            hasher.write(&[4]);
            write_bytes(hasher, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            hasher.write(&[5]);
            write_bytes(hasher, bytes);
        }
    }
}
