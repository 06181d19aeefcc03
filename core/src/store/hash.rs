//! The beacon: a 128-bit sum over the live dots, each with a hash of all it is bound to.
//!
//! Equal versions with unequal beacons mean that somewhere one dot was bound to two payloads, the one fault that versions
//! cannot show. The sum is kept up by addition and subtraction, in any order. The bytes hashed are fixed in
//! `docs/format.md`.

use alloc::vec::Vec;

use super::{ContainerRef, Live, LocalSlotRef, PayloadRef};
use crate::clock::Dot;
use crate::fault::{self, Fault};
use crate::hash::{Domain, Words, hash};
use crate::value::Value;

/// One dot's share of the beacon: what it is bound to, with the names of the container, and of the key if the slot is one.
pub(crate) fn beacon_share(dot: Dot, container: ContainerRef<'_>, key: &str, live: &Live) -> u128 {
    let mut words = Words::new();
    // Its place is taken first: which parts follow, and of what sort.
    words.push(0);
    put_dot(&mut words, dot);
    words.push(if fault::active(Fault::BeaconIgnoresStamps) { 0 } else { live.hlc.0 });
    let (of_container, root_kind) = match container {
        ContainerRef::Root { name, kind } => {
            put_bytes(&mut words, 0, name.as_bytes());
            (0, kind.0)
        }
        ContainerRef::Entity(dot) => {
            put_dot(&mut words, dot);
            (1, 0)
        }
    };
    let of_slot = match live.slot() {
        LocalSlotRef::Unit => 0,
        LocalSlotRef::Key(_) => {
            put_bytes(&mut words, 0, key.as_bytes());
            1
        }
        LocalSlotRef::Member(_, value) => {
            put_value(&mut words, value);
            2
        }
        LocalSlotRef::Owner => 3,
        LocalSlotRef::Position { bunch, backward } => {
            words.push(bunch << 1 | u64::from(backward));
            4
        }
    };
    let of_payload = match live.payload() {
        PayloadRef::Empty => 0,
        PayloadRef::Value(value) => {
            put_value(&mut words, value);
            1
        }
        PayloadRef::Total { plus, minus } => {
            words.push(plus);
            words.push(minus);
            2
        }
        PayloadRef::Opaque(bytes) => {
            put_bytes(&mut words, 0, bytes);
            3
        }
        PayloadRef::Rights(rights) => {
            words.push(rights.plus);
            words.push(rights.minus);
            let mut given = Vec::new();
            for (replica, amount) in &rights.given {
                given.extend_from_slice(&replica.to_bytes());
                given.extend_from_slice(&amount.to_le_bytes());
            }
            put_bytes(&mut words, 0, &given);
            4
        }
    };
    let shape = [live.kind.0, live.entity.into(), of_container, root_kind, of_slot, of_payload, 0, 0];
    words.hash(u64::from_le_bytes(shape), Domain::Beacon)
}

/// More bytes than these are hashed on their own. An entry has three texts at most, and ten words beside them.
const MOST_BYTES: usize = 48;
const _: () = assert!(10 + 3 * MOST_BYTES / 8 <= Words::MOST);

/// As in the bytes of values.
const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn put_dot(words: &mut Words, dot: Dot) {
    let (high, low) = dot.replica.words();
    words.push(high);
    words.push(low);
    words.push(dot.seq);
}

/// A word of their sort and number, and the bytes, filled up with zeros to whole words; of many bytes their hash.
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn put_bytes(words: &mut Words, sort: u8, bytes: &[u8]) {
    words.push((bytes.len() as u64) << 8 | u64::from(sort));
    if bytes.len() > MOST_BYTES {
        let hash = hash(Domain::Beacon, bytes);
        words.push(hash as u64);
        words.push((hash >> 64) as u64);
        return;
    }
    let (whole, rest) = bytes.as_chunks::<8>();
    for word in whole {
        words.push(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        words.push(last);
    }
}

#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn put_value(words: &mut Words, value: &Value) {
    let sort = value.rank();
    let number = match value {
        Value::String(text) => return put_bytes(words, sort, text.as_bytes()),
        Value::Bytes(bytes) => return put_bytes(words, sort, bytes),
        Value::Null => 0,
        Value::Bool(truth) => u64::from(*truth),
        Value::Int(number) => *number as u64,
        // Every NaN is one NaN here too: whoever built the variant by hand may hold another than those who read its bytes.
        Value::Float(number) if number.is_nan() => CANONICAL_NAN,
        Value::Float(number) => number.to_bits(),
    };
    words.push(sort.into());
    words.push(number);
}
