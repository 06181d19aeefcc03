//! What every encoding is made of besides numbers: bytes, appended.
//!
//! Functions of their own and never inlined, because growing a vector in place at each of the many places that write is
//! most of what an encoder would consist of.

use alloc::vec::Vec;

use super::varint;
use crate::replica_id::ReplicaId;

/// Appends one byte.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn put_byte(out: &mut Vec<u8>, byte: u8) {
    out.push(byte);
}

/// Appends bytes as they are.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Puts bytes in front of those that are there.
#[inline(never)]
pub(crate) fn put_in_front(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = out.len();
    put(out, bytes);
    out.copy_within(..len, bytes.len());
    if let Some(front) = out.get_mut(..bytes.len()) {
        front.copy_from_slice(bytes);
    }
}

/// Appends the length of bytes, and the bytes.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::write_len(out, bytes.len());
    put(out, bytes);
}

/// Appends a replica id.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn put_id(out: &mut Vec<u8>, id: ReplicaId) {
    put(out, &id.to_bytes());
}
