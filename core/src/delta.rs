//! Deltas: what one transaction did.
//!
//! A [`Delta`] is always in step with its canonical bytes: a transaction writes them, [`Delta::seal`] encodes them, and
//! [`Delta::decode`] decodes them. The chain tag is computed from those bytes.
//!
//! Rules: DOT-2 every delta takes at least one dot. CAUSAL-2 a delta never removes its own dot nor adds below what it removes.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::clock::{Dot, DotRuns, Hlc, Tag};
use crate::codec::{self, DecodeError};
use crate::few::Few;
use crate::replica_id::ReplicaId;
use crate::sequence::BunchRecord;
use crate::store::{Entry, TextRun};

/// The content of a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaParts {
    /// Who wrote it.
    pub replica: ReplicaId,
    /// Its first dot.
    pub first_seq: u64,
    /// How many dots it takes, at least one. Some may have nothing bound to them.
    pub dots: u64,
    /// The heads its writer had seen: it is ready where these are covered.
    pub deps: Few<Dot>,
    /// When it was written, to break ties between entries; 0 where it adds none, since then there is nothing to choose.
    pub hlc: Hlc,
    /// The bunches of positions it creates, in the order of their ids.
    pub bunches: Vec<BunchRecord>,
    /// What it adds, ascending by sequence number; the dots are the writer's own.
    pub adds: Few<(u64, Entry)>,
    /// The characters it adds, as runs that are as long as they can be: ascending by dots, which are the writer's own and
    /// none of those in `adds`.
    pub text: Few<TextRun>,
    /// For running totals in `adds` that overwrite one: (its seq, plus before, minus before), ascending by seq.
    pub totals_before: Few<(u64, u64, u64)>,
    /// The observed dots it removes.
    pub removes: DotRuns,
}

impl DeltaParts {
    /// A delta of one dot that says nothing yet: what [`Self`] is built from with `..DeltaParts::blank(replica, first_seq)`.
    pub const fn blank(replica: ReplicaId, first_seq: u64) -> Self {
        Self {
            replica,
            first_seq,
            dots: 1,
            deps: Few::new(),
            hlc: Hlc(0),
            bunches: Vec::new(),
            adds: Few::new(),
            text: Few::new(),
            totals_before: Few::new(),
            removes: DotRuns::new(),
        }
    }

    /// The last dot, which names the delta.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.dots - 1
    }
}

/// What one transaction did: its content, its canonical bytes, and its place in its writer's chain. Cloning is cheap: both are shared.
///
/// Deltas are what is sent and stored as it happens: the delta-mutations of Almeida, Shoker and Baquero, "Delta state replicated data
/// types" (2018), joined in causal order; one that comes too early waits.
///
/// ```
/// # use weftline::{Delta, Document, ReplicaId, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut here = Document::with_writer(ReplicaId::from(1));
/// let delta = here.transact(Timestamp(1), |tx| tx.counter("n")?.add(5))?.delta.expect("an edit");
///
/// // What travels is the bytes, and the tag of the writer's chain before them.
/// let (bytes, before) = (delta.bytes(), delta.prev_tag());
/// let mut there = Document::new();
/// there.apply(&Delta::decode(bytes, before)?)?;
/// assert_eq!(there.counter("n").value(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Delta {
    replica: ReplicaId,
    first_seq: u64,
    last_seq: u64,
    /// Shared, like the bytes: a delta is cloned by whoever keeps it, and its content can be large. What was made here is in the
    /// document already, so its bytes are all there is, and are read again by the few who ask.
    parts: Option<Arc<DeltaParts>>,
    bytes: Arc<[u8]>,
    prev_tag: Tag,
    tag: Tag,
}

impl Delta {
    /// Encodes `parts` as the continuation of a chain that stands at `prev_tag`. O(bytes). Parts that break the rules give a delta
    /// whose bytes nobody can decode; what [`crate::Document::transact`] gives never does.
    pub fn seal(parts: DeltaParts, prev_tag: Tag) -> Self {
        let bytes = codec::encode_delta(&parts).into();
        Self::of(Arc::new(parts), bytes, prev_tag)
    }

    /// What a transaction wrote: by whom, its first dot, how many dots.
    pub(crate) fn written((replica, first_seq, dots): (ReplicaId, u64, u64), bytes: &[u8], prev_tag: Tag) -> Self {
        let (bytes, tag, last_seq) = (bytes.into(), prev_tag.extend(bytes), first_seq + dots - 1);
        Self { replica, first_seq, last_seq, parts: None, bytes, prev_tag, tag }
    }

    fn of(parts: Arc<DeltaParts>, bytes: Arc<[u8]>, prev_tag: Tag) -> Self {
        let (replica, first_seq, last_seq) = (parts.replica, parts.first_seq, parts.last_seq());
        let tag = prev_tag.extend(&bytes);
        Self { replica, first_seq, last_seq, parts: Some(parts), bytes, prev_tag, tag }
    }

    /// Reads canonical bytes. Costs O(bytes), and allocates no more than a constant factor of them (BYTES-1).
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a valid delta. A wrong `prev_tag` is no error here: the document that is to
    /// apply the delta finds that out, as [`crate::ApplyError::Fork`].
    pub fn decode(bytes: &[u8], prev_tag: Tag) -> Result<Self, DecodeError> {
        Self::decode_shared(&bytes.into(), prev_tag)
    }

    /// Reads canonical bytes that are shared already, and keeps them. Costs O(bytes).
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a valid delta.
    pub fn decode_shared(bytes: &Arc<[u8]>, prev_tag: Tag) -> Result<Self, DecodeError> {
        // Read where it stays: it is large to move.
        let mut parts = Arc::new(codec::NO_PARTS);
        let nobody_elses = Arc::get_mut(&mut parts).expect("it was just made");
        codec::read_delta(bytes, nobody_elses)?;
        Ok(Self::of(parts, Arc::clone(bytes), prev_tag))
    }

    /// The content. O(1) for what was decoded, O(bytes) for what a transaction here has made: that is read from its bytes.
    pub fn parts(&self) -> Cow<'_, DeltaParts> {
        match &self.parts {
            Some(parts) => Cow::Borrowed(parts),
            None => Cow::Owned(codec::decode_delta(&self.bytes).expect("BYTES-2: what a transaction wrote is read")),
        }
    }

    /// The heads that its writer had seen, but for its own. O(1) where there are none, which a bit says.
    pub(crate) fn deps_on_others(&self) -> Vec<Dot> {
        let some = codec::DeltaHeader::split(&self.bytes).is_ok_and(|header| header.has_deps());
        let mut deps = if some { self.parts().deps.to_vec() } else { Vec::new() };
        deps.retain(|dep| dep.replica != self.replica);
        deps
    }

    /// The canonical bytes: what is stored, sent and hashed.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Who wrote it.
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Its first dot.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Its last dot.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The dot that names it: its last one.
    pub fn dot(&self) -> Dot {
        Dot::new(self.replica, self.last_seq)
    }

    /// The writer's chain tag before this delta.
    pub fn prev_tag(&self) -> Tag {
        self.prev_tag
    }

    /// The writer's chain tag after this delta.
    pub fn tag(&self) -> Tag {
        self.tag
    }
}

impl PartialEq for Delta {
    /// Equal bytes say the same.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.prev_tag == other.prev_tag
    }
}

impl Eq for Delta {}
