//! A document's folder: its slots, who holds which, and what each takes over from the others.
//!
//! ```text
//! STORE/todo%2Fgroceries/slot-0/{lock, log-3, snapshot-3}
//!                        slot-1/{lock, log-0}
//! ```
//! Every running program that opens the document holds one slot, by an exclusive lock on a file that is never deleted
//! (ID-2): lowest free slot first, so that a profile has as many replica ids as programs ever ran at once. A slot is
//! complete in itself. At opening it takes over what the other slots hold and it does not, outboxes included, so that
//! no edit waits for the program that made it to be started again: anyone may send a durable delta, only the holder of
//! the lock may create one (ID-7). Acks are taken over too and outlive what they acked, so that it is never taken over
//! again. The others are read without their locks, running or not: what was read is synced
//! before it is used, which is all that DUR-1 asks.
//!
//! Where locks cannot be trusted (a file system that other computers mount as well) there are no slots: each opening
//! writes into a folder of its own, `opening-0f3c…`, which nobody writes into ever again, and continues no id (TAB-4). A
//! folder whose opening was closed is removed by whoever has taken it over; one whose program was killed stays, because
//! nobody can tell that it was.
//!
//! Not here: files of a slot; that is [`super::slot`].

use super::disk::{Disk, Held, Lock};
use super::error::StoreError;
use super::item::{self, Item};
use super::slot::{self, Slot};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weftline::sync::Record;

/// How many programs may have one document of one store open at once. A limit, because a mistake that leaves programs
/// behind should show, and because every slot that ever wrote costs an entry in the version vector.
pub(crate) const MAX_SLOTS: u32 = 64;

const SLOT: &str = "slot-";
const OPENING: &str = "opening-";
/// In the folder of an opening that has ended: nobody will write into it.
const CLOSED: &str = "closed";

/// A slot that was taken, with everything it holds.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Which slot; none where locks cannot be trusted.
    pub(crate) index: Option<u32>,
    /// Its records and those taken over from other slots, already durable here.
    pub(crate) records: Vec<Record>,
    /// The store to write to.
    pub(crate) store: FolderStore,
}

/// A slot together with its lock.
#[derive(Debug)]
pub(crate) struct FolderStore {
    /// The slot's files.
    pub(crate) slot: Slot,
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Held until the store is dropped; declared last, so that it is released after the files are closed.
    lock: Option<Box<dyn Held>>,
}

impl FolderStore {
    /// Starts again after an error, with what the files hold. All of it is written into new files: what an operating
    /// system failed to write it may have dropped and still show (DUR-6).
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        (self.slot, _) = Slot::open(Arc::clone(&self.disk), &self.folder)?;
        Ok(())
    }

    /// Nothing more will be written. Best effort: what it leaves undone costs room, nothing else.
    pub(crate) fn close(self) {
        if self.lock.is_none() && self.disk.create(&self.folder.join(CLOSED)).is_ok() {
            drop(self.disk.sync_folder(&self.folder));
        }
    }
}

/// Takes the lowest free slot of the document in the store folder `root`, and brings it up to date with the others.
/// `unique` is a number that no other opening has.
pub(crate) fn open(disk: Arc<dyn Disk>, root: &Path, document: &str, unique: u128) -> Result<Opened, StoreError> {
    let folder = root.join(folder_name(document));
    ensure_folder(&*disk, root)?;
    ensure_folder(&*disk, &folder)?;
    for index in 0..MAX_SLOTS {
        let name = format!("{SLOT}{index}");
        let slot_folder = folder.join(&name);
        if !disk.is_folder(&slot_folder) {
            ensure_folder(&*disk, &slot_folder)?;
        }
        let lock_path = slot_folder.join("lock");
        match disk.lock(&lock_path).map_err(StoreError::io("lock", &lock_path))? {
            Lock::Held(lock) => return fill(disk, &folder, &name, Some((index, lock))),
            Lock::Taken if faulty!(FileLockIgnored) => {
                return fill(disk, &folder, &name, Some((index, Box::new(()))));
            }
            Lock::Taken => {}
            Lock::Untrusted if faulty!(RemoteLocksTrusted) => {
                return fill(disk, &folder, &name, Some((index, Box::new(()))));
            }
            Lock::Untrusted => {
                let name = format!("{OPENING}{unique:032x}");
                return fill(disk, &folder, &name, None);
            }
        }
    }
    Err(StoreError::AllSlotsInUse { folder, slots: MAX_SLOTS })
}

fn fill(
    disk: Arc<dyn Disk>,
    folder: &Path,
    name: &str,
    lock: Option<(u32, Box<dyn Held>)>,
) -> Result<Opened, StoreError> {
    let own = folder.join(name);
    ensure_folder(&*disk, &own)?;
    let (mut slot, mut records) = Slot::open(Arc::clone(&disk), &own)?;
    records.extend(adopt(&*disk, folder, name, &mut slot)?);
    records.extend(slot.held());
    let (index, lock) = lock.unzip();
    Ok(Opened { index, records, store: FolderStore { slot, disk, folder: own, lock } })
}

/// The name of a document's folder: readable, one to one, and the same on file systems that ignore case or limit names.
pub(crate) fn folder_name(document: &str) -> String {
    /// What is left of a long name; file systems allow 255 bytes.
    const MAX_LEN: usize = 160;
    let last = document.len().saturating_sub(1);
    let mut name = String::new();
    for (at, byte) in document.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            b'.' if at != 0 && at != last => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.is_empty() || name.len() > MAX_LEN || document.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.truncate(MAX_LEN);
        // No name contains "~" otherwise.
        name.push_str(&format!("~{:08x}", crc32fast::hash(document.as_bytes())));
    }
    name
}

/// Reads what the other slots hold beyond what this one knows, and stores it here. Gives back the state among it.
fn adopt(disk: &dyn Disk, folder: &Path, own: &str, slot: &mut Slot) -> Result<Vec<Record>, StoreError> {
    let mut names = disk.list(folder).map_err(StoreError::io("list", folder))?;
    names.retain(|name| name != own && (name.starts_with(SLOT) || name.starts_with(OPENING)));
    names.sort_unstable();
    let mut items = Vec::new();
    let mut ended = Vec::new();
    for name in names {
        let path = folder.join(&name);
        // Looked at first: what is closed by then is read whole.
        let is_closed =
            name.starts_with(OPENING) && (disk.read(&path.join(CLOSED)).is_ok() || faulty!(OpenFolderRemoved));
        match slot::read_shared(disk, &path, slot.adopted(&name)) {
            Ok(new) => {
                if let Some((records, mark)) = new {
                    // What it dropped of its own is no word about ours.
                    let records = item::folded(records);
                    let records = records.into_iter().filter(|record| may_adopt(record, slot.has_cursor()));
                    items.extend(records.map(Item::Record));
                    items.push(Item::Adopted { slot: name, mark });
                }
                if is_closed {
                    ended.push(path);
                }
            }
            // This slot is whole without it; whoever opens the damaged one gets the error.
            Err(error) => tracing::warn!(slot = name, %error, "another slot of this document is not readable"),
        }
    }
    if !items.is_empty() {
        slot.append(std::slice::from_ref(&items), true)?;
    }
    for path in ended {
        if let Err(error) = remove_ended(disk, &path) {
            tracing::warn!(folder = %path.display(), %error, "what an opening left behind cannot be removed");
        }
    }
    Ok(items.into_iter().filter_map(Item::into_record).filter(Item::is_state).collect())
}

/// Removes the folder of an opening that has ended, and its mark last: half of it is removed the next time.
fn remove_ended(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for name in disk.list(folder)?.into_iter().filter(|name| name != CLOSED) {
        disk.remove(&folder.join(name))?;
    }
    if !faulty!(OpenFolderRemoved) {
        disk.remove(&folder.join(CLOSED))?;
    }
    disk.remove_folder(folder)
}

/// Whether a record of another slot may stand in ours. What that slot is to its own replica stays there. Its cursor is
/// as good as one of ours, because all that it covers comes along, but ours is not moved back for it.
fn may_adopt(record: &Record, has_cursor: bool) -> bool {
    match record {
        Record::Slot { .. } => false,
        Record::Cursor(_) => !has_cursor,
        Record::Acked { .. } => !faulty!(AcksNotAdopted),
        Record::Row(_) | Record::Positions { .. } | Record::Outbox { .. } | Record::Snapshot(_) => true,
        Record::Dropped(_) => false,
    }
}

/// Creates a folder and its parents where they are missing. Its name is durable afterwards, also if somebody else made it
/// who did not come to making it so.
fn ensure_folder(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !disk.is_folder(folder) {
        if parent != Path::new(".") && !disk.is_folder(parent) {
            ensure_folder(disk, parent)?;
        }
        match disk.create_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", folder)(error));
            }
            _ => {}
        }
    }
    slot::sync_folder(disk, parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::FileSystem;
    use std::collections::BTreeSet;
    use std::fs;
    use weftline::sync::{Cursor, Row};
    use weftline::{ReplicaId, Tag};

    fn open(root: &Path, document: &str) -> Result<Opened, StoreError> {
        super::open(FileSystem::shared(), root, document, 0)
    }

    fn row(text: &str) -> Record {
        Record::Row(Row::Diff { bytes: text.as_bytes().into() })
    }

    fn outbox(replica: u128, seq: u64) -> Record {
        let row = Row::Diff { bytes: seq.to_le_bytes().as_slice().into() };
        Record::Outbox { replica: ReplicaId::from(replica), first_seq: seq, last_seq: seq, deps: Vec::new(), row }
    }

    fn slot_record(index: u32) -> Record {
        let replica = ReplicaId::from(u128::from(index) + 1);
        let tag = Tag::start(replica);
        Record::Slot { index, replica: Some(replica), high_water: 1, tag, lease_no: 0, incs: vec![7] }
    }

    fn cursor(position: u64) -> Record {
        Record::Cursor(Cursor { epoch: 1, position })
    }

    fn append(opened: &mut Opened, records: &[Record]) {
        let group = records.iter().cloned().map(Item::Record).collect();
        opened.store.slot.append(&[group], true).unwrap();
    }

    #[test]
    fn id_2_every_opening_holds_a_slot_of_its_own_lowest_free_first() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path(), "todo/a").unwrap();
        let second = open(root.path(), "todo/a").unwrap();
        let third = open(root.path(), "todo/a").unwrap();
        let other = open(root.path(), "todo/b").unwrap();
        assert_eq!([first.index, second.index, third.index, other.index], [0, 1, 2, 0].map(Some));
        drop(second);
        assert_eq!(open(root.path(), "todo/a").unwrap().index, Some(1));
        drop(first);
        assert_eq!(open(root.path(), "todo/a").unwrap().index, Some(0));
        drop(third);
    }

    #[test]
    fn more_openings_than_slots_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let all: Vec<_> = (0..MAX_SLOTS).map(|_| open(root.path(), "a").unwrap()).collect();
        assert!(matches!(open(root.path(), "a"), Err(StoreError::AllSlotsInUse { slots: MAX_SLOTS, .. })));
        drop(all);
    }

    #[test]
    fn id_7_what_another_slot_holds_is_taken_over_once_its_outbox_too() {
        let root = tempfile::tempdir().unwrap();
        let mut first = open(root.path(), "a").unwrap();
        let mut second = open(root.path(), "a").unwrap();
        append(&mut first, &[row("from 0"), slot_record(0)]);
        append(&mut second, &[row("from 1"), outbox(2, 1), slot_record(1), cursor(9)]);
        drop(first);
        drop(second);

        let first = open(root.path(), "a").unwrap();
        assert_eq!(first.index, Some(0));
        assert_eq!(first.records, [row("from 0"), row("from 1"), slot_record(0), cursor(9), outbox(2, 1)]);
        drop(first);
        // It is in this slot now, and not read again from the other one.
        let len = fs::metadata(root.path().join("a/slot-0/log-0")).unwrap().len();
        let first = open(root.path(), "a").unwrap();
        assert_eq!(first.records, [row("from 0"), row("from 1"), slot_record(0), cursor(9), outbox(2, 1)]);
        assert_eq!(fs::metadata(root.path().join("a/slot-0/log-0")).unwrap().len(), len);
    }

    #[test]
    fn the_slot_of_a_running_program_is_read_too() {
        let root = tempfile::tempdir().unwrap();
        let mut first = open(root.path(), "a").unwrap();
        append(&mut first, &[row("from 0"), outbox(1, 1), slot_record(0)]);
        let second = open(root.path(), "a").unwrap();
        assert_eq!((second.index, second.records.as_slice()), (Some(1), &[row("from 0"), outbox(1, 1)][..]));
        drop(second);
        let acked = Record::Acked { replica: ReplicaId::from(1), through: 1 };
        append(&mut first, &[row("more"), acked.clone()]);
        let second = open(root.path(), "a").unwrap();
        assert_eq!(second.records, [row("from 0"), row("more"), acked], "what was acked there is acked here");
    }

    #[test]
    fn ack_2_what_was_acked_does_not_come_back_from_a_slot_that_had_taken_it_over() {
        let acked = |through| Record::Acked { replica: ReplicaId::from(1), through };
        let root = tempfile::tempdir().unwrap();
        let mut first = open(root.path(), "a").unwrap();
        append(&mut first, &[outbox(1, 1), outbox(1, 2), slot_record(0)]);
        // Another program takes the two over, and dies before it hears of their acks.
        drop(open(root.path(), "a").unwrap());
        append(&mut first, &[acked(2), outbox(1, 3), outbox(1, 4), acked(3)]);
        first.store.slot.compact(Vec::new()).unwrap();
        drop(first);
        let mut first = open(root.path(), "a").unwrap();
        assert_eq!(first.records, [slot_record(0), acked(3), outbox(1, 4)], "a chain with a hole looks like a fork");
        // Nor does what is left of them come back to whoever had them before.
        first.store.slot.compact(Vec::new()).unwrap();
        assert_eq!(open(root.path(), "a").unwrap().records, [acked(3), outbox(1, 4)]);
    }

    #[test]
    fn a_damaged_slot_does_not_keep_the_others_from_opening() {
        let root = tempfile::tempdir().unwrap();
        let mut first = open(root.path(), "a").unwrap();
        let second = open(root.path(), "a").unwrap();
        append(&mut first, &[row("x")]);
        fs::write(root.path().join("a/slot-1/log-0"), "not a log at all").unwrap();
        drop((first, second));
        assert_eq!(open(root.path(), "a").unwrap().records, [row("x")]);
    }

    #[test]
    fn folder_names_are_readable_and_one_to_one() {
        assert_eq!(folder_name("todo/groceries"), "todo%2Fgroceries");
        assert_eq!(folder_name("v1.2_x-y"), "v1.2_x-y");
        assert_eq!(folder_name(".."), "%2E%2E");
        assert!(folder_name("Home").starts_with("Home~"));
        let long = "x".repeat(512);
        let names =
            ["", "a", "A", "a/b", "a%2Fb", "a~b", ".", "..", "a.", long.as_str(), &long[1..], "ä", "a\\b", "con:"];
        let folders: BTreeSet<String> = names.iter().map(|name| folder_name(name).to_lowercase()).collect();
        assert_eq!(folders.len(), names.len());
        for folder in &folders {
            assert!(
                folder.len() < 200 && folder.chars().all(|c| c.is_ascii_alphanumeric() || "%._-~".contains(c)),
                "{folder}"
            );
        }
    }
}
