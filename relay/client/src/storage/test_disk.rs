//! A disk in memory that behaves as badly as a disk may, for tests.
//!
//! What is written is seen at once and is safe after a sync. When the power is cut, of everything that was not synced an
//! arbitrary part is left: of each write nothing, all or a piece; of each name the old or the new. A sync that fails
//! forgets what it should have written while everybody goes on seeing it, as some operating systems do.

use super::disk::{Disk, DiskFile, Lock};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What goes wrong, at which call that changes anything, counted from the last [`TestDisk::plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The program ends, by itself or with the power: this call and all later ones fail.
    End,
    /// If the call is a sync it fails, and what it should have written is forgotten.
    SyncFails,
    /// If the call is a write it fails halfway.
    WriteFails,
}

#[derive(Debug, Clone)]
pub(crate) struct TestDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    /// Names as everybody sees them, and as they would be found after a power cut: to a file, or `None` to a folder.
    names: BTreeMap<PathBuf, Option<u64>>,
    safe_names: BTreeMap<PathBuf, Option<u64>>,
    unsynced_names: Vec<NameChange>,
    next_file: u64,
    locks: BTreeSet<PathBuf>,
    has_locks: bool,
    capacity: Option<usize>,
    calls: u64,
    trouble: Option<(u64, Trouble)>,
    is_off: bool,
    syncs: u64,
}

#[derive(Debug, Default, Clone)]
struct Content {
    seen: Vec<u8>,
    safe: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

/// One change of names in one folder: these are gone, this one is there.
#[derive(Debug, Clone)]
struct NameChange {
    folder: PathBuf,
    gone: Option<PathBuf>,
    there: Option<(PathBuf, Option<u64>)>,
}

impl TestDisk {
    pub(crate) fn new() -> Self {
        let state = State { has_locks: true, ..State::default() };
        let disk = Self { state: Arc::new(Mutex::new(state)) };
        for root in ["/", "/store"] {
            disk.with(|state| {
                state.names.insert(root.into(), None);
                state.safe_names.insert(root.into(), None);
            });
        }
        disk
    }

    /// As a network file system is.
    pub(crate) fn without_locks() -> Self {
        let disk = Self::new();
        disk.with(|state| state.has_locks = false);
        disk
    }

    pub(crate) fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// From now on, the call after this many others goes wrong.
    pub(crate) fn plan(&self, calls: u64, trouble: Trouble) {
        self.with(|state| {
            state.calls = 0;
            state.trouble = Some((calls, trouble));
        });
    }

    /// How much fits onto the disk in all.
    pub(crate) fn set_capacity(&self, capacity: Option<usize>) {
        self.with(|state| state.capacity = capacity);
    }

    /// How many bytes the files have that have a name.
    pub(crate) fn used(&self) -> usize {
        self.with(|state| state.used())
    }

    /// How often something was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.with(|state| state.syncs)
    }

    /// The program was killed, and the computer goes on: what was written is seen, and as unsafe as before.
    pub(crate) fn revive(&self) {
        self.with(|state| {
            state.locks.clear();
            state.trouble = None;
            state.is_off = false;
        });
    }

    /// Everything is as after a power cut: what was not synced is left in part, as the numbers that `below` gives decide.
    /// Nobody holds a lock any more.
    pub(crate) fn restart(&self, mut below: impl FnMut(usize) -> usize) {
        self.with(|state| {
            for change in std::mem::take(&mut state.unsynced_names) {
                if below(2) == 0 {
                    change.apply(&mut state.safe_names);
                }
            }
            for content in state.files.values_mut() {
                content.survive(&mut below);
            }
            state.names = state.safe_names.clone();
            state.locks.clear();
            state.trouble = None;
            state.is_off = false;
        });
    }

    fn with<T>(&self, call: impl FnOnce(&mut State) -> T) -> T {
        call(&mut self.state.lock().expect("no test panics while it holds this"))
    }

    /// A call that changes something. The trouble that is planned for it, if any.
    fn change<T>(&self, call: impl FnOnce(&mut State, Option<Trouble>) -> io::Result<T>) -> io::Result<T> {
        self.with(|state| {
            let trouble = state.trouble.filter(|(at, _)| *at == state.calls).map(|(_, trouble)| trouble);
            state.calls += 1;
            state.is_off |= trouble == Some(Trouble::End);
            state.powered()?;
            call(state, trouble)
        })
    }

    fn file(&self, number: u64) -> Box<dyn DiskFile> {
        Box::new(TestFile { disk: self.clone(), number })
    }
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the program has ended")) } else { Ok(()) }
    }

    fn used(&self) -> usize {
        self.names.values().flatten().map(|number| self.files[number].seen.len()).sum()
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().flatten().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn rename(&mut self, gone: Option<&Path>, there: Option<(&Path, Option<u64>)>) {
        let folder = gone.or(there.map(|(path, _)| path)).and_then(Path::parent).expect("names lie in folders");
        let there = there.map(|(path, number)| (path.to_owned(), number));
        let change = NameChange { folder: folder.to_owned(), gone: gone.map(Path::to_owned), there };
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Option<u64>>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((path, number)) = &self.there {
            names.insert(path.clone(), *number);
        }
    }
}

impl Content {
    fn survive(&mut self, below: &mut impl FnMut(usize) -> usize) {
        self.apply_unsynced(|is_write, len| match below(if is_write { 4 } else { 2 }) {
            0 => None,
            1 if is_write => Some((0, below(len + 1))),
            2 => Some((below(len + 1), len)),
            _ => Some((0, len)),
        });
        self.seen = self.safe.clone();
    }

    /// Makes safe of each change, a write or not, the part that is asked for.
    fn apply_unsynced(&mut self, mut part: impl FnMut(bool, usize) -> Option<(usize, usize)>) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Write(at, bytes) => {
                    if let Some((from, to)) = part(true, bytes.len()) {
                        put(&mut self.safe, at + from, &bytes[from..to]);
                    }
                }
                Change::Cut(len) => {
                    if part(false, 0).is_some() {
                        self.safe.truncate(len);
                    }
                }
            }
        }
    }
}

/// A hole before what is written reads as zeros.
fn put(into: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if into.len() < at + bytes.len() {
        into.resize(at + bytes.len(), 0);
    }
    into[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self.change(|state, _| {
            if let Ok(number) = state.find(path) {
                let content = state.files.get_mut(&number).expect("names have files");
                content.seen.clear();
                content.unsynced.push(Change::Cut(0));
                return Ok(number);
            }
            state.next_file += 1;
            let number = state.next_file;
            state.files.insert(number, Content::default());
            state.rename(None, Some((path, Some(number))));
            Ok(number)
        })?;
        Ok(self.file(number))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self.with(|state| state.powered().and_then(|()| state.find(path)))?;
        Ok(self.file(number))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.open(path)?.read_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state, _| {
            let number = state.find(from)?;
            state.rename(Some(from), Some((to, Some(number))));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state, _| {
            state.find(path)?;
            state.rename(Some(path), None);
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.with(|state| {
            state.powered()?;
            let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
        })
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.with(|state| state.names.get(path) == Some(&None))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.change(|state, _| {
            if state.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            state.rename(None, Some((path, None)));
            Ok(())
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.change(|state, _| {
            if state.names.keys().any(|name| name.parent() == Some(path)) {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            state.rename(Some(path), None);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|state, trouble| {
            if trouble == Some(Trouble::SyncFails) {
                return Err(io::Error::other("the disk does not answer"));
            }
            state.syncs += 1;
            let changes = std::mem::take(&mut state.unsynced_names);
            let (synced, waiting) = changes.into_iter().partition(|change| change.folder == folder);
            state.unsynced_names = waiting;
            Vec::into_iter(synced).for_each(|change| change.apply(&mut state.safe_names));
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.with(|state| {
            state.powered()?;
            if !state.has_locks {
                return Ok(Lock::Untrusted);
            }
            let free = state.locks.insert(path.to_owned());
            let lock = || TestLock { disk: self.clone(), path: path.to_owned() };
            Ok(if free { Lock::Held(Box::new(lock())) } else { Lock::Taken })
        })
    }
}

#[derive(Debug)]
struct TestLock {
    disk: TestDisk,
    path: PathBuf,
}

impl Drop for TestLock {
    fn drop(&mut self) {
        self.disk.with(|state| state.locks.remove(&self.path));
    }
}

#[derive(Debug)]
struct TestFile {
    disk: TestDisk,
    number: u64,
}

impl TestFile {
    fn change<T>(&self, call: impl FnOnce(&mut Content, Option<Trouble>) -> io::Result<T>) -> io::Result<T> {
        self.disk.change(|state, trouble| call(state.files.get_mut(&self.number).expect("files stay"), trouble))
    }
}

impl DiskFile for TestFile {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.disk.with(|state| state.powered().map(|()| state.files[&self.number].seen.clone()))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(|state, trouble| {
            let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(state.used()));
            let content = state.files.get_mut(&self.number).expect("files stay");
            let at = usize::try_from(offset).expect("tests are small");
            assert!(at <= content.seen.len(), "no writer leaves a hole");
            let grows = (at + bytes.len()).saturating_sub(content.seen.len());
            let (len, error) = match trouble {
                Some(Trouble::WriteFails) => (bytes.len() / 2, Some(io::Error::other("the cable is loose"))),
                _ if grows > room => (bytes.len() - (grows - room), Some(ErrorKind::StorageFull.into())),
                _ => (bytes.len(), None),
            };
            put(&mut content.seen, at, &bytes[..len]);
            content.unsynced.push(Change::Write(at, bytes[..len].to_vec()));
            error.map_or(Ok(()), Err)
        })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.change(|content, _| {
            let len = usize::try_from(len).expect("tests are small");
            content.seen.truncate(len);
            content.unsynced.push(Change::Cut(len));
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.with(|state| state.syncs += 1);
        self.change(|content, trouble| {
            if trouble == Some(Trouble::SyncFails) {
                // Every second change is on the disk, and no later sync knows of the others.
                let mut turn = 0;
                let seen = content.seen.clone();
                content.survive(&mut |below| {
                    turn += 1;
                    turn % below
                });
                content.seen = seen;
                return Err(io::Error::other("the disk does not answer"));
            }
            // What an earlier sync has forgotten is not in the list any more.
            content.apply_unsynced(|_, len| Some((0, len)));
            Ok(())
        })
    }
}
