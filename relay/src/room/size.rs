//! How large the document is, so that it does not grow beyond what the relay takes.
//!
//! The exact size, that of a diff of everything that lives, costs O(document) to find out. So it is found out only when an upper bound says
//! that it may be too large: what it was when it was measured last, and every byte that was written since. Near the limit it is measured
//! again when something was taken away, but not often.
//!
//! Rules: REF-3 what only removes is always taken: without it nobody could make the document smaller.

use weftline::fault::{self, Fault};
use weftline::{Delta, Document, Timestamp, VersionVector, codec};

/// How long between two measurements, unless much was written: a second of work for the largest documents must not become all there is.
const MEASURED_EVERY_MS: u64 = 10_000;

/// What part of the limit is much. So the work is in proportion to what is written, and only who is this near the limit may be refused
/// something for which there would have been place, for a moment.
const MUCH: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// What was measured last, or an upper bound of it.
    measured: usize,
    /// Bytes that were written since.
    grown: usize,
    /// Whether it may have become smaller than that.
    is_stale: bool,
    measured_at: Option<Timestamp>,
}

impl Size {
    /// A row was applied.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.grown = self.grown.saturating_add(bytes);
        // What it replaced is not known.
        self.is_stale = true;
    }

    /// Something was removed, and nothing written.
    pub(super) fn removed(&mut self) {
        self.is_stale = true;
    }

    /// A snapshot has so many bytes: never less than what lives.
    pub(super) fn snapshot(&mut self, bytes: usize) {
        (self.measured, self.grown, self.is_stale) = (bytes, 0, true);
    }

    /// Whether the document may have so many more bytes. O(1), or O(document) near the limit, now and then.
    pub(super) fn takes(&mut self, document: &Document, more: usize, most: usize, now: Timestamp) -> bool {
        let fits = |size: &Self| size.measured.saturating_add(size.grown).saturating_add(more) <= most;
        let is_time = self.measured_at.is_none_or(|at| now >= at.plus_ms(MEASURED_EVERY_MS));
        if !fits(self) && self.is_stale && (is_time || self.grown >= most / MUCH) {
            self.measured = codec::encode_diff(&document.diff_since(&VersionVector::new())).len();
            (self.grown, self.is_stale, self.measured_at) = (0, false, Some(now));
        }
        fits(self) || fault::active(Fault::DocumentsWithoutLimit)
    }
}

/// Whether a delta does nothing but remove.
pub(super) fn only_removes(delta: &Delta) -> bool {
    let parts = delta.parts();
    parts.adds.is_empty() && parts.text.is_empty() && parts.bunches.is_empty()
}
