//! The file with the keys, and when it is read again: every few seconds, on request, and for a token that is signed with a key which is
//! not there, but then at most once a second, whatever strangers send.
//!
//! A file that cannot be read, or that is none, leaves the keys as they are: an editor that saves in two steps, or a slip, must not shut
//! everybody out. It is told, once for each such file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::keys::{KeyError, Keys};

/// How often the file is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often tokens of unknown keys make it be looked at.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The longest file. A hundred keys are some twenty kilobytes.
const MAX_FILE: u64 = 1 << 20;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is none.
    #[error("{}: {source}", path.display())]
    Keys {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Arc<Keys>,
    /// What was read last, keys or not.
    last: Found,
    looked: Instant,
}

/// What reading gave, to tell whether it is news.
#[derive(PartialEq, Eq)]
enum Found {
    Bytes(Vec<u8>),
    Failed(io::ErrorKind),
}

impl std::fmt::Debug for Found {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Self::Failed(kind) => write!(formatter, "{kind}"),
        }
    }
}

impl KeyFile {
    /// Reads the file for the first time.
    pub(super) fn open(path: PathBuf) -> Result<Self, KeyFileError> {
        let bytes = read(&path).map_err(|source| KeyFileError::Read { path: path.clone(), source })?;
        let keys = Keys::parse(&bytes).map_err(|source| KeyFileError::Keys { path: path.clone(), source })?;
        let state = State { keys: Arc::new(keys), last: Found::Bytes(bytes), looked: Instant::now() };
        Ok(Self { path, state: Mutex::new(state) })
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.state().keys)
    }

    /// Whether a token of an unknown key is a reason to look again now. Says so to one at a time.
    pub(super) fn is_worth_a_look(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_worth = now.saturating_duration_since(state.looked) >= AT_MOST_EVERY;
        if is_worth {
            state.looked = now;
        }
        is_worth
    }

    /// Reads the file again; says whether the keys are others now. Blocks for as long as the disk takes.
    pub(super) fn look(&self) -> bool {
        let read = match read(&self.path) {
            Ok(bytes) => Found::Bytes(bytes),
            Err(error) => Found::Failed(error.kind()),
        };
        let mut state = self.state();
        state.looked = Instant::now();
        if state.last == read {
            return false;
        }
        let parsed = match &read {
            Found::Bytes(bytes) => Keys::parse(bytes).map_err(|error| error.to_string()),
            Found::Failed(kind) => Err(kind.to_string()),
        };
        state.last = read;
        let path = self.path.display();
        match parsed {
            Ok(keys) => {
                info!(%path, keys = keys.len(), "the keys for tokens were read again");
                state.keys = Arc::new(keys.keeping(&state.keys));
                true
            }
            Err(reason) => {
                error!(%path, reason, "no keys for tokens can be read any more; those that were read before stay");
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs while it is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::auth::keys::{Algorithm, Minted};

    #[test]
    fn keys_follow_their_file_and_stay_when_it_breaks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(matches!(KeyFile::open(path.clone()), Err(KeyFileError::Read { .. })));
        fs::write(&path, "short").unwrap();
        assert!(matches!(KeyFile::open(path.clone()), Err(KeyFileError::Keys { .. })));

        let first = Minted::new(Algorithm::EdDsa, "first", [1; 32], None).unwrap();
        fs::write(&path, &first.private).unwrap();
        let file = KeyFile::open(path.clone()).unwrap();
        assert!(!file.look(), "nothing has changed");
        let kept = file.keys();
        let both = Minted::new(Algorithm::EdDsa, "second", [2; 32], Some(&first)).unwrap();
        fs::write(&path, both.public.as_ref().unwrap()).unwrap();
        assert!(file.look());
        let keys = file.keys();
        assert!(keys.find(Some("second")).is_some());
        let same = |one: &Arc<Keys>, other: &Arc<Keys>| {
            Arc::ptr_eq(one.find(Some("first")).unwrap(), other.find(Some("first")).unwrap())
        };
        assert!(same(&keys, &kept), "a key that is still there is the same one");

        fs::write(&path, "{").unwrap();
        assert!(!file.look() && !file.look());
        fs::remove_file(&path).unwrap();
        assert!(!file.look());
        assert!(file.keys().find(Some("second")).is_some());
        fs::write(&path, &Minted::new(Algorithm::EdDsa, "first", [3; 32], None).unwrap().private).unwrap();
        assert!(file.look());
        assert!(!same(&file.keys(), &kept), "another key of the same name is another one");
    }

    #[test]
    fn unknown_keys_are_a_reason_to_look_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, "a secret that is long enough to be one").unwrap();
        let file = KeyFile::open(path).unwrap();
        let later = Instant::now() + AT_MOST_EVERY;
        assert!(file.is_worth_a_look(later));
        assert!(!file.is_worth_a_look(later));
        assert!(!file.is_worth_a_look(later + AT_MOST_EVERY - Duration::from_millis(1)));
        assert!(file.is_worth_a_look(later + AT_MOST_EVERY));
    }
}
