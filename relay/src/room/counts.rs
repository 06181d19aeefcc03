//! What a room has done, in plain numbers, for whoever drives it to collect.

use weftline::sync::NackReason;

/// What a room did since it was last asked ([`super::Room::take_counts`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows sent to members, each counted for each of them.
    pub deliveries: u64,
    /// Messages with those rows.
    pub delivered_batches: u64,
    /// Bytes of those messages.
    pub delivered_bytes: u64,
    /// Diffs sent to members.
    pub diffs: u64,
    /// Bytes of those diffs.
    pub diff_bytes: u64,
    /// Acks.
    pub acks: u64,
    /// Refusals, by the number of their reason.
    pub nacks: [u64; NackReason::ALL.len()],
    /// Forks found.
    pub forks: u64,
    /// Members told that all they have is stored.
    pub refills: u64,
    /// How those who opened the document go on, by the number of [`weftline::sync::Resume`].
    pub resumes: [u64; 4],
    /// Members that were compared instead of being sent rows: they asked by their version, by what lives there, or fell behind the log.
    pub resyncs: [u64; 3],
    /// Changes of presence from members.
    pub presence_received: u64,
    /// Messages with presence to members.
    pub presence_sent: u64,
}

/// The places in [`Counts::resyncs`].
pub(super) enum Resync {
    Version,
    Digest,
    FellBehind,
}

impl Counts {
    pub(super) fn resync(&mut self, why: Resync) {
        self.resyncs[why as usize] += 1;
    }
}
