//! The files below a store, behind a trait small enough that tests can fill the disk, fail a sync and cut the power at
//! every call.
//!
//! What a caller may rely on is what POSIX promises and no more: a write may reach the disk in part, in any order, or
//! not at all until [`DiskFile::sync`] has returned; a name made, changed or removed may come back or be gone until
//! [`Disk::sync_folder`] has returned; a rename is whole or absent. After a sync that failed nobody knows what of the
//! file is on the disk, and a second sync that succeeds proves nothing.
//!
//! [`FileSystem`] is the one of the operating system. On Apple's systems its sync asks the drive itself to empty its
//! cache, as the standard library does there.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// A place for files.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a new, empty file, also where there was one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that is there, to read and to write.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Everything in a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Gives a file another name, whether or not that was taken.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Whether there is a folder of this name.
    fn is_folder(&self, path: &Path) -> bool;
    /// Makes a folder whose parent is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Tries to lock a file, which is made if it is not there.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// An open file.
pub(crate) trait DiskFile: Debug + Send {
    /// Everything in it.
    fn read_all(&mut self) -> io::Result<Vec<u8>>;
    /// Writes at a place that is at most its length. After an error some of it may be there.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes its bytes and its length durable, whoever wrote them.
    fn sync(&mut self) -> io::Result<()>;
}

/// What came of trying to lock.
#[derive(Debug)]
pub(crate) enum Lock {
    /// It is held until this is dropped.
    Held(Box<dyn Held>),
    /// Somebody else holds it.
    Taken,
    /// There are no locks here, or none that hold for every computer that can open the file.
    Untrusted,
}

/// A lock that is held.
pub(crate) trait Held: Debug + Send {}
impl<T: Debug + Send> Held for T {}

/// The files of the operating system.
#[derive(Debug)]
pub(crate) struct FileSystem;

impl FileSystem {
    /// As the stores take it.
    pub(crate) fn shared() -> Arc<dyn Disk> {
        Arc::new(Self)
    }
}

impl Disk for FileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    /// Windows has no such call and journals names by itself.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if is_remote(&file) {
            return Ok(Lock::Untrusted);
        }
        Ok(match file.try_lock() {
            Ok(()) => Lock::Held(Box::new(file)),
            Err(TryLockError::WouldBlock) => Lock::Taken,
            Err(TryLockError::Error(_)) => Lock::Untrusted,
        })
    }
}

impl DiskFile for File {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.rewind()?;
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Whether a file lies on a file system that other computers mount too. Locks there may be those of one computer only,
/// depending on how it was mounted, and nothing tells.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_remote(file: &File) -> bool {
    /// NFS, SMB, CIFS, SMB2, AFS, Coda, Ceph, 9P, and what programs provide (sshfs among others). From `linux/magic.h`.
    const REMOTE: [u32; 9] =
        [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x5346_414F, 0x7375_7245, 0x00C3_6400, 0x0102_1997, 0x6573_5546];
    rustix::fs::fstatfs(file).is_ok_and(|stat| REMOTE.contains(&(stat.f_type as u32)))
}

/// Elsewhere the operating system says so when it has no locks.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_remote(_file: &File) -> bool {
    false
}
