//! Paths: how a container is named by the way to it, whatever its incarnations.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::clock::Dot;
use crate::store::Kind;
use crate::string::Str;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    /// A root container; always the first step, and only that.
    Root {
        /// Its name.
        name: Str,
        /// Its kind.
        kind: Kind,
    },
    /// The container of this kind under a map key.
    Key {
        /// The key.
        key: Str,
        /// The kind.
        kind: Kind,
    },
    /// A list element.
    Element(Dot),
}

/// The way from a root to a container, as [`crate::Changes`] name it and [`crate::Document::at`] and
/// [`crate::Transaction::at`] follow it. It stays the same when what is there is removed and created anew, except that a list element is
/// named by its own dot. Cloning is cheap.
///
/// ```
/// # use weftline::{Document, EditError, Kind, Path, PathStep, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// let commit = doc.transact(Timestamp(1), |tx| tx.map("user")?.counter("visits")?.add(1))?;
/// let visits = Path::root("user", Kind::MAP).join(PathStep::Key { key: "visits".into(), kind: Kind::COUNTER });
/// assert!(commit.changes.list.iter().any(|change| change.path == visits));
/// assert_eq!(doc.at(&visits).and_then(|node| node.as_counter()).map(|counter| counter.value()), Some(1));
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Arc<[PathStep]>);

impl Path {
    /// The path of a root. It always leads somewhere.
    pub fn root(name: &str, kind: Kind) -> Self {
        Self(Arc::from([PathStep::Root { name: name.into(), kind }]))
    }

    /// A path of these steps. The first must be a root, the others must not; [`crate::Document::at`] finds nothing
    /// otherwise.
    pub fn new(steps: Vec<PathStep>) -> Self {
        Self(steps.into())
    }

    /// This path and one more step. O(steps).
    #[must_use]
    pub fn join(&self, step: PathStep) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The steps, root first.
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }
}
