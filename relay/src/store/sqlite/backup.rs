//! Copies of a database that is in use, and putting one back.
//!
//! A copy is made by the engine's own online backup, in one step: it is the database at one moment, whatever is written meanwhile, and writers
//! do not wait. It is checked, is one file without a log beside it, and appears under its name only when it is whole and on the disk.
//!
//! Putting one back is that, with a lock on the place, so that no relay runs there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{Source, beside};
use crate::store::StoreError;

/// How long to wait for a database that somebody holds for a moment, and how often.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const BUSY_TRIES: usize = 200;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The database, or the copy, fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something is there already.
    #[error("{} exists", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A file fails.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
}

/// Copies a database that a relay may be using to a file that must not exist. Blocks; takes as long as reading and writing all of it.
///
/// # Errors
/// When either fails, or the copy is not sound. Then there is no file.
pub fn backup(database: &Path, copy: &Path) -> Result<(), BackupError> {
    if copy.exists() {
        return Err(BackupError::Exists { path: copy.to_owned() });
    }
    let part = beside(copy, ".part");
    let made = copy_whole(database, &part).and_then(|()| put(&part, copy));
    if made.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    made
}

/// Puts a copy where a relay keeps, or is to keep, its database. No relay may run there. What is there is replaced only if that is wanted.
///
/// # Errors
/// When a relay runs there, something is there, or the copy is not sound. Then what was there still is.
pub fn restore(copy: &Path, database: &Path, replace: bool) -> Result<(), BackupError> {
    let failed = |path: &Path, source| BackupError::File { path: path.to_owned(), source };
    if let Some(parent) = database.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    }
    let _lock = Source::new(database, None).lock()?;
    if database.exists() && !replace {
        return Err(BackupError::Exists { path: database.to_owned() });
    }
    let part = beside(database, ".part");
    let _ = std::fs::remove_file(&part);
    let made = copy_whole(copy, &part).and_then(|()| {
        // The log beside the old database must not be taken for the new one's. What is in it goes to the old database first, so that that is
        // whole as long as it is there; one that cannot be opened any more has nothing to lose.
        if let Ok(old) = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE) {
            let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        for suffix in ["-wal", "-shm"] {
            let path = beside(database, suffix);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, error)),
                _ => {}
            }
        }
        put(&part, database)
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    made
}

fn copy_whole(from: &Path, to: &Path) -> Result<(), BackupError> {
    let source = Source::new(from, None);
    if !from.exists() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(BackupError::File { path: from.to_owned(), source });
    }
    let open = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(from, open).map_err(|error| source.sql(&error))?;
    source.is_ours(&database)?;
    let target = Source::new(to, None);
    let mut copy = Connection::open(to).map_err(|error| target.sql(&error))?;
    {
        let backup = Backup::new(&database, &mut copy).map_err(|error| source.sql(&error))?;
        let mut tries = 0;
        while backup.step(-1).map_err(|error| source.sql(&error))? != StepResult::Done {
            tries += 1;
            if tries > BUSY_TRIES {
                let detail = "somebody holds it all the time".into();
                return Err(StoreError::Io { file: Arc::clone(&source.name), detail }.into());
            }
            sleep(BUSY_PAUSE);
        }
    }
    let check = || {
        let _: String = copy.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get(0))?;
        copy.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    };
    match check().map_err(|error| target.sql(&error))?.as_str() {
        "ok" => Ok(()),
        damage => Err(source.corrupt(damage).into()),
    }
}

/// Gives a whole file its name, durably.
fn put(part: &Path, path: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    File::open(part).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(part, path).map_err(failed)?;
    // A directory can be synced where that means something.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(directory) = File::open(parent) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// The end of the names of copies that are to be taken away, before a number.
const AWAY: &str = ".backup-";

/// Takes away copies that are left over beside a database. Nobody else may be using it.
pub(super) fn sweep(database: &Path) {
    let prefix = beside(database, AWAY);
    let parent = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(files) = std::fs::read_dir(parent) else { return };
    for file in files.flatten() {
        let is_one = prefix
            .file_name()
            .is_some_and(|prefix| file.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()));
        if is_one {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// A copy for somebody to take away. The file is gone when this is.
#[derive(Debug)]
pub struct Copied {
    path: PathBuf,
}

impl Copied {
    /// Makes one beside the database.
    pub(super) fn of(database: &Path, number: u64) -> Result<Self, StoreError> {
        let path = beside(database, &format!("{AWAY}{number:016x}"));
        let copied = Copied { path };
        backup(database, &copied.path).map_err(|error| match error {
            BackupError::Store(error) => error,
            other => StoreError::Io { file: database.display().to_string().into(), detail: other.to_string().into() },
        })?;
        Ok(copied)
    }

    /// The file, to be read to its end.
    ///
    /// # Errors
    /// When the system does not open it.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{SqliteStore, Store};

    #[tokio::test]
    async fn a_copy_of_a_database_in_use_is_what_was_stored_when_it_was_made() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let store = SqliteStore::open(&at("relay.db"), 1).unwrap();
        store.append("d", 1, vec![Bytes::from_static(b"one")]).await.unwrap();
        backup(&at("relay.db"), &at("copy")).unwrap();
        assert!(matches!(backup(&at("relay.db"), &at("copy")), Err(BackupError::Exists { .. })));
        store.append("d", 2, vec![Bytes::from_static(b"two")]).await.unwrap();
        assert!(matches!(
            restore(&at("copy"), &at("relay.db"), true),
            Err(BackupError::Store(StoreError::Locked { .. }))
        ));
        let copied = store.backup().unwrap().await.unwrap();
        // The relay is killed meanwhile.
        std::mem::forget(copied);
        drop(store);
        let left = || std::fs::read_dir(directory.path()).unwrap().flatten().count();
        let before = left();
        drop(SqliteStore::open(&at("relay.db"), 2).unwrap());
        assert_eq!(left(), before - 1);

        assert!(matches!(restore(&at("copy"), &at("relay.db"), false), Err(BackupError::Exists { .. })));
        restore(&at("copy"), &at("relay.db"), true).unwrap();
        restore(&at("copy"), &at("elsewhere/relay.db"), false).unwrap();
        for database in ["relay.db", "elsewhere/relay.db"] {
            let store = SqliteStore::open(&at(database), 2).unwrap();
            let recovered = store.recover("d").await.unwrap();
            assert_eq!(recovered.rows, [(1, Bytes::from_static(b"one"))], "{database}");
        }
    }

    #[test]
    fn what_is_no_store_is_neither_copied_nor_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("text"), "not a database, and long enough that nobody thinks so".repeat(20)).unwrap();
        Connection::open(at("other")).unwrap().execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES(1)").unwrap();
        drop(SqliteStore::open(&at("relay.db"), 1).unwrap());
        for nonsense in ["text", "other", "missing"] {
            backup(&at(nonsense), &at("copy")).unwrap_err();
            restore(&at(nonsense), &at("relay.db"), true).unwrap_err();
        }
        // What was there still is, and nothing is left behind.
        drop(SqliteStore::open(&at("relay.db"), 2).unwrap());
        let mut left: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", "relay.db", "relay.db.lock", "text"]);
    }
}
