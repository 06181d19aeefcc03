//! What can go wrong with a store, each with the file it happened to.

use std::io;
use std::path::{Path, PathBuf};

/// A store that could not be opened, read or written.
///
/// After an error from a write or a sync nobody knows what the disk holds: the replica stops sending, keeps its memory
/// readable, and opens the store again by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No space is left.
    #[error("the disk is full: cannot {action} {}", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// Data that had been stored is not readable any more.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file belongs to another program, or to a newer version of this one.
    #[error("{} is not a store file this version can read", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// Too many processes have this document open in this folder.
    #[error("all {slots} slots of {} are in use by running programs", folder.display())]
    AllSlotsInUse {
        /// The document's folder.
        folder: PathBuf,
        /// How many slots there are.
        slots: u32,
    },
    /// An earlier error on this store was final.
    #[error("the store {} failed before and must be opened again", path.display())]
    Failed {
        /// The slot's folder.
        path: PathBuf,
    },
}

impl StoreError {
    /// Whether there is no room: everything else is as it was, and it passes when there is room again.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }

    /// Names the action and the file an I/O error belongs to.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { action, path: path.to_owned() }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}
