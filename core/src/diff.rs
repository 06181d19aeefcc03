//! Diffs: what a version lacks. Catch-up, repair and snapshots are all diffs.
//!
//! Rules: DIFF-1 applies only where base ≤ version. DIFF-3 a version-tier diff carries every removal pair whose remover is
//! beyond its base. DIFF-4 a full diff sets the receiver's horizon to its version. DIFF-7 a diff is made at its maker's whole
//! version.

use alloc::vec::Vec;

use crate::clock::{Dot, DotRuns, Hlc, VersionVector};
use crate::sequence::BunchRecord;
use crate::store::Entry;

/// How a diff tells which dots died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// By the removal log: for a peer whose version covers the maker's horizon.
    Version,
    /// By absence: everything live is in it, its base is empty.
    Full,
}

/// A dot that is live at the maker, with what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEntry {
    /// Its name.
    pub dot: Dot,
    /// The stamp of its delta.
    pub hlc: Hlc,
    /// What it is bound to.
    pub entry: Entry,
}

/// The join of every delta beyond a base: what [`crate::Document::diff_since`] gives, and
/// [`crate::Document::apply_diff`] takes. As large as what is missing, whatever happened in between.
///
/// ```
/// # use weftline::{Document, ReplicaId, Tier, Timestamp, codec};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut here = Document::with_writer(ReplicaId::from(1));
/// here.transact(Timestamp(1), |tx| tx.set("s")?.add("old"))?;
/// let mut there = here.clone();
/// for round in 0..100 {
///     here.transact(Timestamp(2), |tx| tx.set("s")?.remove(&"old".into()).and(tx.register("r")?.set(round)))?;
/// }
///
/// let diff = here.diff_since(&there.version());
/// assert_eq!(diff.tier, Tier::Version);
/// assert_eq!(diff.adds.len(), 1); // the last of a hundred writes
/// assert!(diff.removes[0].1.contains(weftline::Dot::new(ReplicaId::from(1), 1))); // the removal, by name
/// there.apply_diff(&codec::decode_diff(&codec::encode_diff(&diff))?)?;
/// assert_eq!((there.set("s").len(), there.register("r").get_as()), (0, Some(99)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// How deaths are told.
    pub tier: Tier,
    /// What the receiver must have: sequence numbers (the tags are not looked at). Empty on the full tier.
    pub base: VersionVector,
    /// What the receiver will have: the entries that moved beyond `base`, with tags.
    pub head: VersionVector,
    /// The maker's heads.
    pub heads: Vec<Dot>,
    /// The live dots beyond `base`, ascending by (replica id, seq).
    pub adds: Vec<LiveEntry>,
    /// Removal pairs: which dots, removed by the delta of that name; ascending by remover. Empty on the full tier.
    pub removes: Vec<(Dot, DotRuns)>,
    /// The bunches that `adds` needs, whole chains, ascending by id; on the version tier also retained dead ones.
    pub bunches: Vec<BunchRecord>,
}

/// A document at rest: a full diff with what a diff leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub diff: Diff,
    /// The version up to which the removal log was truncated.
    pub horizon: VersionVector,
    /// The removal log beyond the horizon, ascending by remover.
    pub removals: Vec<(Dot, DotRuns)>,
    /// The beacon, to check what was loaded.
    pub beacon: [u8; 16],
}
