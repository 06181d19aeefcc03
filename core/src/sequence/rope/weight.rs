//! Weights: how much there is in a stretch of text, in every unit that positions are counted in.

/// What positions in a text are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Values: of a text, Unicode scalar values.
    Values,
    /// Bytes of UTF-8.
    Utf8,
    /// Code units of UTF-16.
    Utf16,
    /// Line feeds: the line `n` begins after the `n`th.
    Lines,
}

/// How much there is. Sums and differences wrap, so that a difference may be added before what it is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) values: u32,
    pub(crate) utf8: u32,
    pub(crate) utf16: u32,
    pub(crate) lines: u32,
}

impl Weight {
    /// Of values that are not text.
    pub(crate) const fn values(values: u32) -> Self {
        Self { values, utf8: 0, utf16: 0, lines: 0 }
    }

    /// Of a text. O(bytes).
    pub(crate) fn of(text: &str) -> Self {
        if let [byte] = text.as_bytes() {
            return Self { values: 1, utf8: 1, utf16: 1, lines: u32::from(*byte == b'\n') };
        }
        let mut weight = Self { utf8: text.len() as u32, ..Self::default() };
        // Counts of a few bytes each, so that many are counted at once.
        for bytes in text.as_bytes().chunks(128) {
            let (mut begin, mut long, mut feeds) = (0u8, 0u8, 0u8);
            for byte in bytes {
                // Every scalar value has one byte that begins it; those of four bytes are two units.
                begin += u8::from(byte & 0xc0 != 0x80);
                long += u8::from(*byte >= 0xf0);
                feeds += u8::from(*byte == b'\n');
            }
            weight.values += u32::from(begin);
            weight.utf16 += u32::from(begin) + u32::from(long);
            weight.lines += u32::from(feeds);
        }
        weight
    }

    pub(crate) fn get(&self, unit: Unit) -> u32 {
        match unit {
            Unit::Values => self.values,
            Unit::Utf8 => self.utf8,
            Unit::Utf16 => self.utf16,
            Unit::Lines => self.lines,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            values: self.values.wrapping_add(other.values),
            utf8: self.utf8.wrapping_add(other.utf8),
            utf16: self.utf16.wrapping_add(other.utf16),
            lines: self.lines.wrapping_add(other.lines),
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            values: self.values.wrapping_sub(other.values),
            utf8: self.utf8.wrapping_sub(other.utf8),
            utf16: self.utf16.wrapping_sub(other.utf16),
            lines: self.lines.wrapping_sub(other.lines),
        }
    }
}
