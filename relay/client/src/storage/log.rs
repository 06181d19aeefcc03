//! The log: one file to which groups of items are appended.
//!
//! Appending and syncing are two steps, so that all groups that wait are synced together. After an error neither works
//! again (DUR-6): what the disk then holds is found out by opening the file anew. The exception is a full disk: nothing
//! of a write that found no room was promised to anybody, and what was there before it is untouched, so it is cut off
//! again and the log goes on when there is room.
//!
//! Not here: what the items mean, and when a log is replaced; that is [`super::slot`].

use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::frame::{self, FILE_HEADER_LEN, FileKind, Header, Rest};
use std::path::{Path, PathBuf};

/// An open log, to be written by the holder of the slot's lock alone.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    len: u64,
    synced: u64,
    failed: bool,
}

/// What a log held when it was read.
#[derive(Debug, Default)]
pub(crate) struct LogContent {
    /// The items of every whole group from the asked offset on, each with the offset of its group.
    pub(crate) items: Vec<(u64, Vec<u8>)>,
    /// Where the whole groups end.
    pub(crate) end: u64,
}

impl Log {
    /// Makes a new, empty log that is on stable storage when this returns; its folder is not synced yet.
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let file = disk.create(path).map_err(StoreError::io("create", path))?;
        let mut log = Self { path: path.to_owned(), file, len: 0, synced: 0, failed: false };
        log.start()?;
        Ok(log)
    }

    /// Opens a log and reads it. A tail that was never confirmed is cut off, and what is left is synced: some of it
    /// may have been written without a sync (DUR-3), and claims may name it from now on.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<(Self, LogContent), StoreError> {
        let mut file = disk.open(path).map_err(StoreError::io("open", path))?;
        let bytes = file.read_all().map_err(StoreError::io("read", path))?;
        let mut log = Self { path: path.to_owned(), file, len: 0, synced: 0, failed: false };
        match frame::read_header(&bytes, FileKind::Log) {
            Header::Valid => {}
            Header::Foreign => return Err(StoreError::Foreign { path: path.to_owned() }),
            Header::Unwritten => {
                if frame::scan(&bytes, 0).rest == Rest::Corrupt {
                    return Err(corrupt(path, 0, "the file header is gone"));
                }
                log.start()?;
                return Ok((log, LogContent { items: Vec::new(), end: FILE_HEADER_LEN as u64 }));
            }
        }
        let content = content(path, &bytes, FILE_HEADER_LEN as u64)?;
        if content.end < bytes.len() as u64 && !faulty!(TornTailKept) {
            log.file.set_len(content.end).map_err(StoreError::io("cut the torn tail of", path))?;
        }
        log.len = content.end;
        if faulty!(TornTailKept) {
            log.len = bytes.len() as u64;
        }
        if !faulty!(FoundLogNotSynced) {
            log.sync()?;
        }
        Ok((log, content))
    }

    /// Whether an error was final: the log must be replaced.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed
    }

    /// Length of the log in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends groups, each whole or not there after a crash, without a sync.
    pub(crate) fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), StoreError> {
        self.check()?;
        let mut bytes = Vec::new();
        for payload in payloads {
            let offset = self.len + bytes.len() as u64;
            frame::push_frame(&mut bytes, offset, self.synced, payload);
        }
        self.write(&bytes)
    }

    /// Brings everything appended so far to stable storage.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        self.check()?;
        if (self.synced < self.len || self.synced == 0) && !faulty!(FileNotSynced) {
            if let Err(source) = self.file.sync() {
                self.failed = !faulty!(FailedSyncForgotten);
                return Err(StoreError::io("sync", &self.path)(source));
            }
            self.synced = self.len;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(StoreError::io("create", &self.path))?;
        self.write(&frame::file_header(FileKind::Log))?;
        self.sync()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Err(source) = self.file.write_at(self.len, bytes) {
            let error = StoreError::io("write", &self.path)(source);
            // What came before is where it was: only what was being appended is in doubt, and that is cut off.
            if error.is_full() && faulty!(FullTailKept) {
                self.len = self.file.read_all().map_or(self.len, |bytes| bytes.len() as u64);
                return Err(error);
            }
            let goes_on = error.is_full() && self.file.set_len(self.len).is_ok();
            self.failed = !goes_on;
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.failed { Err(StoreError::Failed { path: self.path.clone() }) } else { Ok(()) }
    }
}

/// Reads a log that somebody else may be writing, from the offset of a group on, and changes nothing in it. What was
/// read is on stable storage when this returns: the sync is ours, so it does not matter whether the writer has come to
/// its own (DUR-1).
pub(crate) fn read_shared(disk: &dyn Disk, path: &Path, from: u64) -> Result<LogContent, StoreError> {
    let mut file = disk.open(path).map_err(StoreError::io("open", path))?;
    let bytes = file.read_all().map_err(StoreError::io("read", path))?;
    match frame::read_header(&bytes, FileKind::Log) {
        Header::Valid if from <= bytes.len() as u64 => {}
        Header::Foreign => return Err(StoreError::Foreign { path: path.to_owned() }),
        Header::Valid | Header::Unwritten => return Ok(LogContent { items: Vec::new(), end: from }),
    }
    let content = content(path, &bytes, from.max(FILE_HEADER_LEN as u64))?;
    if !content.items.is_empty() {
        file.sync().map_err(StoreError::io("sync", path))?;
    }
    Ok(content)
}

fn content(path: &Path, bytes: &[u8], from: u64) -> Result<LogContent, StoreError> {
    let scan = frame::scan(bytes, from);
    if scan.rest == Rest::Corrupt {
        return Err(corrupt(path, scan.end, "a stored group of records is not readable"));
    }
    let mut items = Vec::new();
    for (offset, payload) in scan.frames {
        let group = frame::items(payload).ok_or_else(|| corrupt(path, offset, "a group is not made of whole items"))?;
        items.extend(group.into_iter().map(|item| (offset, item.to_vec())));
    }
    Ok(LogContent { items, end: scan.end })
}

fn corrupt(path: &Path, offset: u64, what: &str) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), offset, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::FileSystem;
    use std::fs;

    fn group(items: &[&[u8]]) -> Vec<u8> {
        let mut payload = Vec::new();
        for item in items {
            frame::push_item(&mut payload, item);
        }
        payload
    }

    fn texts(content: &LogContent) -> Vec<String> {
        content.items.iter().map(|(_, item)| String::from_utf8(item.clone()).unwrap()).collect()
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_byte_of_the_last_group_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&FileSystem, &path).unwrap();
        log.append(&[group(&[b"a", b"b"]), group(&[b"c"])]).unwrap();
        log.sync().unwrap();
        let kept = log.len();
        log.append(&[group(&[b"d", b"e"])]).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in usize::try_from(kept).unwrap()..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, content) = Log::open(&FileSystem, &path).unwrap();
            assert_eq!(texts(&content), ["a", "b", "c"], "cut at {cut}");
            assert_eq!(fs::metadata(&path).unwrap().len(), kept);
            log.append(&[group(&[b"f"])]).unwrap();
            drop(log);
            assert_eq!(texts(&Log::open(&FileSystem, &path).unwrap().1), ["a", "b", "c", "f"]);
        }
    }

    #[test]
    fn a_log_that_was_never_synced_is_cut_at_every_byte_to_the_groups_that_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&FileSystem, &path).unwrap();
        let mut ends = vec![log.len()];
        for name in ["a", "b", "c", "d"] {
            log.append(&[group(&[name.as_bytes(), b"x"])]).unwrap();
            ends.push(log.len());
        }
        let whole = fs::read(&path).unwrap();
        for cut in FILE_HEADER_LEN..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let groups = ends.iter().filter(|&&end| end <= cut as u64).count() - 1;
            let (_, content) = Log::open(&FileSystem, &path).unwrap();
            let expected: Vec<_> = ["a", "x", "b", "x", "c", "x", "d", "x"][..2 * groups].to_vec();
            assert_eq!(
                (texts(&content), content.end),
                (expected.iter().map(|name| (*name).to_owned()).collect(), ends[groups])
            );
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_that_names_file_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&FileSystem, &path).unwrap();
        log.append(&[group(&[b"a"])]).unwrap();
        log.sync().unwrap();
        log.append(&[group(&[b"b"])]).unwrap();
        drop(log);
        let mut bytes = fs::read(&path).unwrap();
        bytes[FILE_HEADER_LEN + 6] ^= 1;
        fs::write(&path, &bytes).unwrap();
        match Log::open(&FileSystem, &path) {
            Err(StoreError::Corrupt { path: named, offset, .. }) => {
                assert_eq!((named, offset), (path.clone(), FILE_HEADER_LEN as u64));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "an unreadable log is left as it was found");
    }

    #[test]
    fn a_log_whose_creation_was_cut_off_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for len in 0..FILE_HEADER_LEN {
            fs::write(&path, &frame::file_header(FileKind::Log)[..len]).unwrap();
            assert_eq!(texts(&Log::open(&FileSystem, &path).unwrap().1), Vec::<String>::new());
            assert_eq!(fs::read(&path).unwrap(), frame::file_header(FileKind::Log));
        }
        fs::write(&path, "somebody else's notes").unwrap();
        assert!(matches!(Log::open(&FileSystem, &path), Err(StoreError::Foreign { .. })));
    }

    #[test]
    fn a_shared_reader_takes_whole_groups_and_cuts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&FileSystem, &path).unwrap();
        log.append(&[group(&[b"a"])]).unwrap();
        let after_a = log.len();
        log.append(&[group(&[b"b"]), group(&[b"c"])]).unwrap();
        let whole = fs::read(&path).unwrap();
        let half = &whole[..whole.len() - 1];
        fs::write(&path, half).unwrap();
        assert_eq!(texts(&read_shared(&FileSystem, &path, 0).unwrap()), ["a", "b"]);
        assert_eq!(texts(&read_shared(&FileSystem, &path, after_a).unwrap()), ["b"]);
        assert_eq!(fs::read(&path).unwrap(), half);
    }
}
