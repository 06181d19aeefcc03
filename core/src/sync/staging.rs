//! A long diff on its way here, kept outside the state until it is whole, also across connections.
//!
//! The relay cuts a long diff into parts, each with the hash of the whole. What has arrived is kept when the connection is lost, down
//! to the last frame of an unfinished part, and the next Open says so: if the relay still has that diff, or makes the same
//! one again, it goes on where this ends. Nothing is read of the diff before its hash is right.
//!
//! Rules: DIFF-6 staged outside the state, applied in one step. BYTES-1 what is kept never exceeds
//! [`limits::MAX_STAGED`], and grows with what arrives, not with what is announced.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::limits;
use super::message::{Part, Staged};
use crate::hash::{Domain, hash};

/// What names a diff: a hash of its bytes.
pub fn diff_id(bytes: &[u8]) -> [u8; 16] {
    hash(Domain::Diff, bytes).to_le_bytes()
}

/// A part that does not belong where it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misplaced;

/// What has arrived of a diff.
#[derive(Debug, Default)]
pub(super) struct Staging {
    id: [u8; 16],
    total: u64,
    bytes: Vec<u8>,
}

impl Staging {
    /// What to tell the relay of it.
    pub(super) fn told(&self) -> Option<Staged> {
        (!self.bytes.is_empty()).then_some(Staged { id: self.id, len: self.bytes.len() as u64 })
    }

    /// Takes a part, or the beginning of one. Gives the diff when it is whole, and is empty then.
    pub(super) fn take(&mut self, part: &Part) -> Result<Option<Arc<[u8]>>, Misplaced> {
        let end = part.offset.checked_add(part.bytes.len() as u64);
        if part.total > limits::MAX_STAGED as u64 || end.is_none_or(|end| end > part.total) {
            return Err(Misplaced);
        }
        if part.offset == 0 {
            *self = Self { id: part.id, total: part.total, bytes: Vec::new() };
        }
        if (part.id, part.total, part.offset) != (self.id, self.total, self.bytes.len() as u64) {
            return Err(Misplaced);
        }
        self.bytes.extend_from_slice(&part.bytes);
        if end != Some(part.total) {
            return Ok(None);
        }
        let whole = core::mem::take(self);
        if diff_id(&whole.bytes) == whole.id { Ok(Some(whole.bytes.into())) } else { Err(Misplaced) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn part(of: &[u8], offset: usize, len: usize) -> Part {
        Part {
            position: 1,
            total: of.len() as u64,
            id: diff_id(of),
            offset: offset as u64,
            bytes: of[offset..offset + len].into(),
        }
    }

    #[test]
    fn diff_6_parts_in_order_make_a_diff_and_anything_else_does_not() {
        let diff: Vec<u8> = (0..100).collect();
        let mut staging = Staging::default();
        assert_eq!(staging.take(&part(&diff, 0, 40)), Ok(None));
        assert_eq!(staging.told(), Some(Staged { id: diff_id(&diff), len: 40 }));
        assert_eq!(staging.take(&part(&diff, 50, 10)), Err(Misplaced), "a hole");
        let other = vec![7; 100];
        assert_eq!(staging.take(&part(&other, 40, 10)), Err(Misplaced), "of another diff");
        assert_eq!(staging.take(&part(&diff, 40, 60)), Ok(Some(diff.clone().into())));
        assert_eq!(staging.told(), None);

        // Another diff begins anew, one that is not what it says is not taken, and what is gone is no diff.
        assert_eq!(staging.take(&part(&diff, 0, 99)), Ok(None));
        assert_eq!(staging.take(&part(&other, 0, 99)), Ok(None));
        let lie = Part { bytes: [8].as_slice().into(), ..part(&other, 99, 1) };
        assert_eq!(staging.take(&lie), Err(Misplaced));
        assert_eq!(staging.take(&part(&other, 99, 1)), Err(Misplaced));
    }

    #[test]
    fn bytes_1_what_is_announced_costs_nothing_and_has_a_limit() {
        let mut staging = Staging::default();
        let long = Part { total: limits::MAX_STAGED as u64, ..part(&[1, 2], 0, 1) };
        assert_eq!(staging.take(&long), Ok(None));
        assert!(staging.bytes.capacity() < 64);
        for part in [
            Part { total: limits::MAX_STAGED as u64 + 1, ..part(&[1, 2], 0, 1) },
            Part { total: 1, ..part(&[1, 2], 0, 2) },
            Part { offset: u64::MAX, ..part(&[1, 2], 0, 2) },
        ] {
            assert_eq!(staging.take(&part), Err(Misplaced));
        }
    }
}
