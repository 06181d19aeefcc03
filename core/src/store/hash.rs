//! The beacon: a 128-bit sum over the live dots, each with a hash of all it is bound to.
//!
//! Equal versions with unequal beacons mean that somewhere one dot was bound to two payloads, the one fault that versions
//! cannot show. The sum is kept up by addition and subtraction, in any order. The bytes hashed are fixed in
//! `docs/format.md`.

use alloc::vec::Vec;

use super::{ContainerRef, EntryRef, Kind, PayloadRef, SlotRef};
use crate::clock::{Dot, Hlc};
use crate::fault::{self, Fault};
use crate::hash::{Domain, Words, hash};
use crate::replica_id::ReplicaId;
use crate::value::Value;

/// One dot's share of the beacon.
pub(crate) fn beacon_share(dot: Dot, hlc: Hlc, entry: EntryRef<'_>) -> u128 {
    let mut words = Words::new();
    let EntryRef { container, slot, kind, entity, payload } = entry;
    let (of_container, root_kind) = match container {
        ContainerRef::Root { kind, .. } => (0, kind.0),
        ContainerRef::Entity(_) => (1, 0),
    };
    let of_slot = match slot {
        SlotRef::Unit => 0,
        SlotRef::Key(_) => 1,
        SlotRef::Member(_) => 2,
        SlotRef::Owner => 3,
        SlotRef::Position { .. } => 4,
    };
    let of_payload = match payload {
        PayloadRef::Empty => 0,
        PayloadRef::Value(_) => 1,
        PayloadRef::Total { .. } => 2,
        PayloadRef::Opaque(_) => 3,
        PayloadRef::Rights(_) => 4,
    };
    // Which parts follow, and of what sort.
    let shape = [kind.0, entity.into(), of_container, root_kind, of_slot, of_payload, 0, 0];
    words.push(u64::from_le_bytes(shape));
    put_dot(&mut words, dot);
    words.push(if fault::active(Fault::BeaconIgnoresStamps) { 0 } else { hlc.0 });
    put_container(&mut words, container);
    match slot {
        SlotRef::Unit | SlotRef::Owner => {}
        SlotRef::Key(key) => put_bytes(&mut words, 0, key.as_bytes()),
        SlotRef::Member(value) => put_value(&mut words, value),
        SlotRef::Position { bunch, backward } => words.push(bunch << 1 | u64::from(backward)),
    }
    match payload {
        PayloadRef::Empty => {}
        PayloadRef::Value(value) => put_value(&mut words, value),
        PayloadRef::Total { plus, minus } => {
            words.push(plus);
            words.push(minus);
        }
        PayloadRef::Opaque(bytes) => put_bytes(&mut words, 0, bytes),
        PayloadRef::Rights(rights) => {
            words.push(rights.plus);
            words.push(rights.minus);
            let mut given = Vec::new();
            for (replica, amount) in &rights.given {
                given.extend_from_slice(&replica.to_bytes());
                given.extend_from_slice(&amount.to_le_bytes());
            }
            put_bytes(&mut words, 0, &given);
        }
    }
    words.hash()
}

/// The shares of characters whose dots begin at `first`, however they are cut into runs.
pub(crate) fn text_share(first: Dot, container: ContainerRef<'_>, bunch: u64, backward: bool, text: &str) -> u128 {
    text_keys(first.replica, container, bunch, backward).share(first.seq, text, text.is_ascii())
}

/// What the shares of all characters of one bunch, container and direction have in common.
///
/// It is hashed once, which gives two keys. Then each share is the product of two words under these keys, one of its sequence
/// number and one of the character. The first is spread so that no sum of some of them is that of others.
#[derive(Clone, Copy)]
pub(crate) struct TextKeys {
    of_seq: u64,
    of_character: u64,
}

/// The keys of such characters. Their dots and their bunch are of one replica.
pub(crate) fn text_keys(replica: ReplicaId, container: ContainerRef<'_>, bunch: u64, backward: bool) -> TextKeys {
    let mut words = Words::new();
    let (of_container, root_kind) = match container {
        ContainerRef::Root { kind, .. } => (0, kind.0),
        ContainerRef::Entity(_) => (1, 0),
    };
    words.push(u64::from_le_bytes([Kind::CHARACTER.0, 0, of_container, root_kind, 4, 1, 0, 0]));
    put_dot(&mut words, Dot::new(replica, bunch << 1 | u64::from(backward)));
    put_container(&mut words, container);
    let keys = words.hash();
    TextKeys { of_seq: keys as u64, of_character: (keys >> 64) as u64 }
}

impl TextKeys {
    /// The shares of characters with consecutive dots. `plain`: each is known to be of one byte. O(bytes).
    pub(crate) fn share(self, first_seq: u64, text: &str, plain: bool) -> u128 {
        let from = if fault::active(Fault::BeaconCountsRuns) { 1 } else { first_seq };
        // The product of each sequence number with the first constant: one is the sum of the one before and the constant.
        let mut shares = Shares { keys: self, sum: 0, spread: from.wrapping_mul(SPREAD[0]) };
        // Most text is ASCII, which needs not be decoded. In a web page one loop does for all.
        if cfg!(not(target_family = "wasm")) && plain {
            for byte in text.as_bytes() {
                shares.add((*byte).into());
            }
        } else {
            text.chars().for_each(|character| shares.add(character.into()));
        }
        shares.sum
    }
}

/// The shares of some characters, added up.
struct Shares {
    keys: TextKeys,
    sum: u128,
    /// Of the next sequence number.
    spread: u64,
}

impl Shares {
    #[inline(always)]
    fn add(&mut self, character: u32) {
        let of_one = (self.spread ^ self.spread >> 32).wrapping_mul(SPREAD[1]);
        let character = u64::from(character).wrapping_mul(SPREAD[2]);
        let share = u128::from(self.keys.of_seq ^ of_one) * u128::from(self.keys.of_character ^ character);
        self.sum = self.sum.wrapping_add(share);
        self.spread = self.spread.wrapping_add(SPREAD[0]);
    }
}

/// The first constants of [`Words`], made odd where they were not.
const SPREAD: [u64; 3] = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f5, 0x06c4_5d18_8009_454f];

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

#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn put_container(words: &mut Words, container: ContainerRef<'_>) {
    match container {
        ContainerRef::Root { name, .. } => put_bytes(words, 0, name.as_bytes()),
        ContainerRef::Entity(dot) => put_dot(words, dot),
    }
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
