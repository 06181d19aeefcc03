//! The heads of contents: lengths of keys, types of values. Where many are alike in a row, they are counted instead of repeated.
//!
//! The third of equal heads is followed by a byte that says how many more of them come, which are left out; if that is 255, another
//! such byte stands in front of the next contents, and so on. So a writer passes over the entries once and only ever changes the
//! last such byte. Heads of contents without bytes are not counted: every entry takes at least one byte.

use alloc::vec::Vec;

use super::reader::Reader;
use super::varint;
use super::writer::put_byte;

/// So many equal heads in a row are written.
const WRITTEN: u8 = 3;
/// A count that says that another one follows.
const FULL: u8 = u8::MAX;

/// Heads of one sort, as they come.
pub(super) struct Heads {
    of_values: bool,
    last: Option<u64>,
    /// How many of the last head were written, one after the other.
    times: u8,
    /// Writing: the byte that counts the others. Reading: how many of them are to come.
    count: usize,
    /// Whether that byte said that another one follows.
    full: bool,
}

impl Heads {
    /// Of values, whose heads are bytes, or of keys, whose heads are numbers.
    pub(super) const fn new(of_values: bool) -> Self {
        Self { of_values, last: None, times: 0, count: 0, full: false }
    }

    /// Appends the head of contents that take bytes of their own if they are `counted`.
    #[inline(never)]
    pub(super) fn push(&mut self, out: &mut Vec<u8>, head: u64, counted: bool) {
        if self.full {
            self.begin(out);
        }
        if self.last == Some(head) {
            if self.times == WRITTEN {
                if let Some(count) = out.get_mut(self.count) {
                    *count += 1;
                    self.full = *count == FULL;
                }
                return;
            }
            self.times += 1;
        } else {
            (self.last, self.times) = (counted.then_some(head), 1);
        }
        if self.of_values {
            put_byte(out, head as u8);
        } else {
            varint::write(out, head);
        }
        if self.times == WRITTEN {
            self.begin(out);
        }
    }

    /// Appends a count.
    fn begin(&mut self, out: &mut Vec<u8>) {
        (self.count, self.full) = (out.len(), false);
        put_byte(out, 0);
    }

    /// Whether the next head was left out: then it is this one.
    pub(super) fn repeated(&mut self, reader: &mut Reader<'_>) -> Option<u64> {
        if self.full && self.count == 0 {
            self.read_count(reader);
        }
        self.count = self.count.checked_sub(1)?;
        self.last
    }

    /// Takes in a head that was read.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, head: u64, counted: bool) {
        if self.last != Some(head) {
            (self.last, self.times) = (counted.then_some(head), 1);
            return;
        }
        self.times += 1;
        if self.times == WRITTEN {
            self.read_count(reader);
        } else if self.times > WRITTEN {
            reader.not_canonical("a head that could have been counted");
        }
    }

    fn read_count(&mut self, reader: &mut Reader<'_>) {
        let count = reader.byte();
        (self.count, self.full) = (count.into(), count == FULL);
    }

    /// Refuses a count of more than there are.
    pub(super) fn finish(&self, reader: &mut Reader<'_>) {
        if self.count > 0 {
            reader.invalid("more heads than contents");
        }
    }
}
