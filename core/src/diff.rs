//! Diffs: what a version lacks. Catch-up, repair and snapshots are all diffs.
//!
//! What deaths are told by is the *tier* of a diff. The maker's log of removals is exact and as short as what is missing, but
//! reaches back to the maker's horizon only. Beyond that, a peer says what lives with it (a [`Digest`], about a byte for each
//! live dot at worst), and the maker compares. And whoever says nothing is sent everything that lives.
//!
//! Rules: DIFF-1 applies only where base ≤ version. DIFF-3 a version-tier diff tells all that removers beyond its base
//! removed. DIFF-4 a digest or full diff sets the receiver's horizon to its version. DIFF-7 a diff is made at its
//! maker's whole version.

use alloc::vec::Vec;

use crate::clock::{Dot, DotRuns, Hlc, VersionVector};
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use crate::store::{Entry, RemovalRun, TextRun};

/// How a diff tells which dots died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// By the removal log: for a peer whose version covers the maker's horizon.
    Version,
    /// By comparison with what the peer said lives with it: for a peer below the maker's horizon that sent a [`Digest`].
    Digest,
    /// By absence: everything live is in it, its base is empty.
    Full,
}

/// What a peer has, dot by dot: its version, and which of the dots that it covers live.
///
/// It is true of its version for ever, since equal versions mean equal states: an answer to it fits every replica that
/// covers this version, and whoever makes a false one harms nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// How far each replica's history is known.
    pub version: VersionVector,
    /// The dots that live there.
    pub live: DotRuns,
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
    /// What the receiver must have too, beyond `base` and beyond the maker: on the digest tier the rest of the digest's
    /// version, because what was dead there is not told. Empty on the other tiers; tags are not looked at.
    pub ahead: VersionVector,
    /// What the receiver will have: the entries that moved beyond `base`, with tags.
    pub head: VersionVector,
    /// The maker's heads.
    pub heads: Vec<Dot>,
    /// The live dots beyond `base` but for characters, ascending by (replica id, seq).
    pub adds: Vec<LiveEntry>,
    /// The live characters beyond `base`, as runs that are as long as they can be, ascending by (replica id, seq).
    pub text: Vec<TextRun>,
    /// On the version tier what was removed beyond `base`, by each replica that removed anything, ascending. Which of its deltas
    /// it was is not told: the receiver notes the last one of `head`. Empty on the other tiers.
    pub removes: Vec<(ReplicaId, DotRuns)>,
    /// On the digest tier the dots of the digest that died. Empty on the other tiers.
    pub dead: DotRuns,
    /// The bunches that `adds` and `text` need, whole chains, ascending by id; on the version tier also retained dead ones.
    pub bunches: Vec<BunchRecord>,
}

/// A document at rest: a full diff with what a diff leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub diff: Diff,
    /// The version up to which the removal log was truncated: sequence numbers (its tags mean nothing).
    pub horizon: VersionVector,
    /// The removal log beyond the horizon: for each remover's replica, ascending by remover.
    pub removals: Vec<RemovalRun>,
    /// The beacon, to check what was loaded.
    pub beacon: [u8; 16],
}
