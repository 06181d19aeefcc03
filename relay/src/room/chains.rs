//! What a room remembers of the chains of its log: the tag after each delta above the floor. It tells a repetition from a fork.
//!
//! Below the floor, and within diffs, tags are not known; what is not known contradicts nothing.

use std::collections::BTreeMap;

use weftline::{Delta, ReplicaId, Tag, VoidFact};

use crate::store::Position;

/// The log's deltas above the floor, by their last dots.
#[derive(Debug, Default)]
pub(super) struct Chains {
    deltas: BTreeMap<(ReplicaId, u64), Link>,
}

#[derive(Debug)]
struct Link {
    first_seq: u64,
    prev_tag: Tag,
    tag: Tag,
    position: Position,
}

/// What is known of the place behind a dot of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// A delta ends there, and this is the tag.
    Tag(Tag),
    /// It is in the middle of a delta.
    Inside,
    /// Nothing.
    Unknown,
}

impl Boundary {
    /// Whether a chain with this tag there is another one for certain.
    pub(super) fn contradicts(self, tag: Tag) -> bool {
        !matches!(self, Boundary::Unknown) && self != Boundary::Tag(tag)
    }
}

impl Chains {
    /// A delta of the log.
    pub(super) fn insert(&mut self, delta: &Delta, position: Position) {
        let (first_seq, prev_tag, tag) = (delta.first_seq(), delta.prev_tag(), delta.tag());
        let last = delta.dot();
        self.deltas.insert((last.replica, last.seq), Link { first_seq, prev_tag, tag, position });
    }

    /// The rows up to `floor` are gone.
    pub(super) fn forget(&mut self, floor: Position) {
        self.deltas.retain(|_, link| link.position > floor);
    }

    /// What is known of the place behind the dot.
    pub(super) fn behind(&self, replica: ReplicaId, seq: u64) -> Boundary {
        if seq == 0 {
            return Boundary::Tag(Tag::start(replica));
        }
        let mut around = self.deltas.range((replica, seq)..=(replica, u64::MAX));
        match around.next() {
            Some(((_, last), link)) if *last == seq => Boundary::Tag(link.tag),
            Some((_, next)) if next.first_seq <= seq => Boundary::Inside,
            Some((_, next)) if next.first_seq == seq + 1 => Boundary::Tag(next.prev_tag),
            _ => Boundary::Unknown,
        }
    }

    /// Whether the log is known to go on otherwise where this branch begins.
    pub(super) fn goes_otherwise(&self, fact: &VoidFact) -> bool {
        let mut from = self.deltas.range((fact.replica, fact.first_seq)..=(fact.replica, u64::MAX));
        from.next().is_some_and(|(_, link)| {
            link.first_seq <= fact.first_seq && (link.first_seq, link.tag) != (fact.first_seq, fact.tag)
        })
    }
}
