//! Why bytes were refused.

/// Why bytes were refused. Offsets count from the first byte handed to the decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends too early.
    #[error("input ends too early: at byte {at}, {missing} more expected")]
    Truncated {
        /// Where the missing bytes were wanted.
        at: usize,
        /// How many bytes more would be needed at least.
        missing: u64,
    },
    /// Something follows what was decoded.
    #[error("{extra} bytes too many from byte {at} on")]
    TrailingBytes {
        /// Where it begins.
        at: usize,
        /// How long it is.
        extra: usize,
    },
    /// A number is above its limit; the limits are in [`crate::codec::limits`].
    #[error("{what} is {found} at byte {at}, the limit is {limit}")]
    OverLimit {
        /// Just behind the number.
        at: usize,
        /// What is limited.
        what: &'static str,
        /// What was found.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The same content has another, canonical, encoding.
    #[error("not canonical at byte {at}: {what}")]
    NotCanonical {
        /// Just behind what was read.
        at: usize,
        /// What should have been written otherwise.
        what: &'static str,
    },
    /// No sender that keeps the rules makes this.
    #[error("invalid at byte {at}: {what}")]
    Invalid {
        /// Just behind what was read.
        at: usize,
        /// Which rule it breaks.
        what: &'static str,
    },
    /// A code this version does not know: written by a newer version, or not a message of this library at all.
    #[error("unknown {what} {found} at byte {at}: a newer version may be needed")]
    Unknown {
        /// Just behind the code.
        at: usize,
        /// What the code stands for.
        what: &'static str,
        /// The code.
        found: u64,
    },
    /// What was stored was changed, or was cut and padded.
    #[error("checksum is {found:08x}, the header says {expected:08x}")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// A section that must be there is not.
    #[error("section {id} is missing")]
    MissingSection {
        /// Its id.
        id: u64,
    },
}
