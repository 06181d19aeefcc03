//! Void facts: which branch of a replica's history is not the one that counts.

use super::{Dot, Tag};
use crate::hash::{Domain, Hasher};
use crate::replica_id::ReplicaId;

/// Two deltas were made at one dot, and this names the branch that is not in the log of the document's authority (FORK-2):
/// the deltas of `replica` from the one on whose first dot is `first_seq` and after which the tag is `tag`.
///
/// A void fact is a pure renaming (FORK-3): the branch's dots get the id [`Self::renamed`], which follows from the fact
/// alone, so all who hold the branch give it the same dots. Facts only accumulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoidFact {
    /// Whose history has two branches.
    pub replica: ReplicaId,
    /// The first dot of the branch.
    pub first_seq: u64,
    /// The chain tag after the branch's first delta.
    pub tag: Tag,
}

impl VoidFact {
    /// The first dot of the branch.
    pub const fn first(&self) -> Dot {
        Dot::new(self.replica, self.first_seq)
    }

    /// The id under which the branch goes on: its first dot becomes dot 1 of it. Nothing is ever written under it but what
    /// the branch already holds. Derived ids are not UUIDs of a version; they are any 128 bits.
    pub fn renamed(&self) -> ReplicaId {
        let mut hasher = Hasher::new(Domain::Void);
        hasher.word(self.first_seq);
        hasher.word(u64::from_le_bytes(*self.tag.as_bytes()));
        ReplicaId::from_bytes(hasher.end(&self.replica.to_bytes()).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fork_3_the_new_id_follows_from_all_of_the_fact() {
        let fact = |replica: u128, first_seq, tag| VoidFact {
            replica: ReplicaId::from_bytes(replica.to_le_bytes()),
            first_seq,
            tag: Tag::from_bytes([tag; 8]),
        };
        let one = fact(1, 2, 3).renamed();
        assert_eq!(one, fact(1, 2, 3).renamed());
        for other in [fact(2, 2, 3), fact(1, 3, 3), fact(1, 2, 4)] {
            assert_ne!(one, other.renamed());
        }
    }
}
