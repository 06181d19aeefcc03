//! The few primitives that frames, rows and records are laid out with, and how ids, tags and versions sit in the small
//! messages that postcard carries.
//!
//! Numbers are LEB128 varints of at most ten bytes; nothing here allocates by a length that was merely announced.

use alloc::vec::Vec;

/// Bytes from outside that cannot be what they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub(super) struct Malformed {
    pub(super) what: &'static str,
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

/// Reads from the front of a slice.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) const fn error(&self) -> Malformed {
        Malformed { what: self.what }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(self.error())?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or(self.error())?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error());
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // One number has one encoding: no padding with zero groups.
                return if byte == 0 && shift > 0 { Err(self.error()) } else { Ok(number) };
            }
        }
        Err(self.error())
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint()?).map_err(|_| self.error())?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(self.error())?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error()) }
    }
}

/// `#[serde(with = …)]` adapters: the types themselves stay unserialisable, so that nothing internal ever slips into a
/// format by accident.
pub(super) mod replica {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::replica_id::ReplicaId;

    pub(in crate::sync) fn serialize<S: Serializer>(id: &ReplicaId, serializer: S) -> Result<S::Ok, S::Error> {
        id.to_bytes().serialize(serializer)
    }

    pub(in crate::sync) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReplicaId, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(ReplicaId::from_bytes)
    }
}

pub(super) mod tag {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::clock::Tag;

    pub(in crate::sync) fn serialize<S: Serializer>(tag: &Tag, serializer: S) -> Result<S::Ok, S::Error> {
        tag.as_bytes().serialize(serializer)
    }

    pub(in crate::sync) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tag, D::Error> {
        <[u8; 8]>::deserialize(deserializer).map(Tag::from_bytes)
    }
}

pub(super) mod version {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::clock::VersionVector;
    use crate::codec;

    pub(in crate::sync) fn serialize<S: Serializer>(version: &VersionVector, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&codec::encode_version(version))
    }

    pub(in crate::sync) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VersionVector, D::Error> {
        let bytes = <&'de [u8]>::deserialize(deserializer)?;
        codec::decode_version(bytes).map_err(de::Error::custom)
    }
}

pub(super) mod version_option {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::clock::VersionVector;
    use crate::codec;

    pub(in crate::sync) fn serialize<S: Serializer>(
        version: &Option<VersionVector>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match version {
            // No version is the empty string: the encoding of a version is never empty.
            None => serializer.serialize_bytes(&[]),
            Some(version) => super::version::serialize(version, serializer),
        }
    }

    pub(in crate::sync) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<VersionVector>, D::Error> {
        let bytes = <&'de [u8]>::deserialize(deserializer)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        codec::decode_version(bytes).map(Some).map_err(de::Error::custom)
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
            let mut reader = Reader::new(&bytes, "number");
            prop_assert_eq!(reader.varint(), Ok(number));
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn bytes_1_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let mut reader = Reader::new(&bytes, "noise");
            while reader.varint().is_ok() {}
            let mut reader = Reader::new(&bytes, "noise");
            while reader.bytes().is_ok() {}
        }
    }

    #[test]
    fn padded_numbers_are_refused() {
        assert!(Reader::new(&[0x80, 0x00], "number").varint().is_err());
        assert!(Reader::new(&[0xff; 10], "number").varint().is_err());
    }
}
