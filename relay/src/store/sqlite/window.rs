//! Windows: several log rows in one row of the database.
//!
//! A window is its rows one after the other, each behind its length (u32, little-endian). A checksum beside it finds what the engine's
//! own checks do not: SQLite has none for the content of a page.

use bytes::{BufMut, Bytes, BytesMut};

/// A window is closed at this size, so that reading a piece of the log never loads much more than was asked for.
const WINDOW_BYTES: usize = 1 << 20;

/// Rows as the database keeps them.
pub(super) struct Window {
    pub(super) count: u64,
    pub(super) checksum: u32,
    pub(super) bytes: Bytes,
}

/// Packs rows into windows, in order.
pub(super) fn pack(rows: &[Bytes]) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut size = 0;
        let fits = rest.iter().take_while(|row| {
            let first = size == 0;
            size += 4 + row.len();
            first || size <= WINDOW_BYTES
        });
        let (taken, later) = rest.split_at(fits.count());
        let mut bytes = BytesMut::with_capacity(taken.iter().map(|row| 4 + row.len()).sum());
        for row in taken {
            bytes.put_u32_le(
                u32::try_from(row.len()).expect("a row is far below 4 GiB: the engine caps a value at 1 GB"),
            );
            bytes.put_slice(row);
        }
        let bytes = bytes.freeze();
        windows.push(Window { count: taken.len() as u64, checksum: crc32fast::hash(&bytes), bytes });
        rest = later;
    }
    windows
}

impl Window {
    /// The rows again, sharing the window's memory; `None` if they are not what was once packed.
    pub(super) fn unpack(mut self) -> Option<Vec<Bytes>> {
        if crc32fast::hash(&self.bytes) != self.checksum {
            return None;
        }
        let mut rows = Vec::new();
        while !self.bytes.is_empty() {
            let (length, _) = self.bytes.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let end = length.checked_add(4).filter(|end| *end <= self.bytes.len())?;
            rows.push(self.bytes.split_to(end).slice(4..));
        }
        (rows.len() as u64 == self.count).then_some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_and_big_ones_stand_alone() {
        let rows: Vec<Bytes> = [0, 10, WINDOW_BYTES - 30, 5, 3 * WINDOW_BYTES, 1]
            .iter()
            .enumerate()
            .map(|(index, length)| Bytes::from(vec![index as u8; *length]))
            .collect();
        let windows = pack(&rows);
        let counts: Vec<u64> = windows.iter().map(|window| window.count).collect();
        assert_eq!(counts, [3, 1, 1, 1]);
        let back: Vec<Bytes> = windows.into_iter().flat_map(|window| window.unpack().unwrap()).collect();
        assert_eq!(back, rows);
    }

    #[test]
    fn damage_is_noticed() {
        let rows = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let whole = pack(&rows).remove(0);
        for at in 0..whole.bytes.len() {
            let mut bytes = whole.bytes.to_vec();
            bytes[at] ^= 1;
            let bytes = Bytes::from(bytes);
            // Once as the checksum sees it, once as the lengths do when the checksum was computed over the damage.
            assert!(Window { count: 2, checksum: whole.checksum, bytes: bytes.clone() }.unpack().is_none());
            let _ = Window { count: 2, checksum: crc32fast::hash(&bytes), bytes }.unpack();
        }
    }
}
