//! One slot of a document's store: a snapshot, the log that follows it, and the change from one pair to the next.
//!
//! A slot belongs to one running program at a time, which holds its lock. It is complete in itself: whoever opens it
//! needs no other slot. Generation `n` is `snapshot-n` and `log-n`; generation 0 has no snapshot. A new generation
//! counts from the moment its snapshot has its final name: everything it needs is on stable storage before, and the
//! old files go only after, so that a crash at any point leaves one readable generation (DUR-6).
//!
//! Not here: which slot is taken and what is read from the others; that is [`super::folder`].

use super::disk::Disk;
use super::error::StoreError;
use super::frame::{self, FILE_HEADER_LEN, FileKind, Header, Rest};
use super::item::{self, AdoptedMark, Item};
use super::log::{self, Log, LogContent};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weftline::ReplicaId;
use weftline::sync::{Record, compaction_due};

/// How often a reader of somebody else's slot starts again because a compaction took the files away under its hands.
const READ_ATTEMPTS: u32 = 8;

/// How much longer a log grows after a compaction that found no room, before it is tried again.
const GROWTH_BEFORE_ANOTHER_ATTEMPT: u64 = 64 * 1024;

/// An open slot.
#[derive(Debug)]
pub(crate) struct Slot {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    generation: u64,
    log: Log,
    snapshot_len: u64,
    /// Not before the log has this length.
    compact_from: u64,
    held: Held,
    /// After an error that is final: what the files hold is found out by opening the slot anew.
    failed: bool,
}

/// What a compaction must carry over besides the state itself: the newest of what replaces, and the outbox.
#[derive(Debug, Default)]
struct Held {
    slot: Option<Record>,
    cursor: Option<Record>,
    /// How far each id was acked. Never forgotten: another slot may still hold what was acked here, and if some of it
    /// came back, the outbox would hold a chain with a hole, which cannot be told from a fork.
    acked: BTreeMap<ReplicaId, u64>,
    outbox: BTreeMap<(ReplicaId, u64), Record>,
    adopted: BTreeMap<String, AdoptedMark>,
}

impl Slot {
    /// Opens the slot in this folder, which exists and whose lock is held. Gives back its state: snapshot and rows,
    /// oldest first.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let opened = Self::read(Arc::clone(&disk), folder);
        if matches!(opened, Err(StoreError::Io { .. })) {
            distrust(&*disk, folder);
        }
        let (mut slot, state) = opened?;
        if slot.failed {
            slot.replace(state.clone())?;
            remove(&*disk, &folder.join(DISTRUSTED))?;
        }
        Ok((slot, state))
    }

    fn read(disk: Arc<dyn Disk>, folder: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let files = Files::list(&*disk, folder)?;
        let generation = files.snapshots.last().copied().unwrap_or(0);
        let mut items = Vec::new();
        let mut snapshot_len = 0;
        if !files.snapshots.is_empty() {
            (items, snapshot_len) = read_snapshot(&*disk, &snapshot_path(folder, generation))?;
        }
        let path = log_path(folder, generation);
        let log = if files.logs.contains(&generation) {
            let (log, content) = Log::open(&*disk, &path)?;
            items.extend(decode_items(&path, content)?);
            log
        } else if files.snapshots.is_empty() && files.logs.is_empty() {
            Log::create(&*disk, &path)?
        } else {
            return Err(StoreError::Corrupt {
                path,
                offset: 0,
                what: "the log of this snapshot is missing".to_owned(),
            });
        };
        // Whoever made these names may not have come to making them durable.
        if !faulty!(FoundNamesNotSynced) {
            sync_folder(&*disk, folder)?;
        }
        // What an interrupted compaction left: files of older generations, or of one that never came to count.
        for &old in files.snapshots.iter().filter(|&&old| old != generation) {
            remove(&*disk, &snapshot_path(folder, old))?;
        }
        for &old in files.logs.iter().filter(|&&old| old != generation) {
            remove(&*disk, &log_path(folder, old))?;
        }
        if files.unfinished {
            remove(&*disk, &unfinished_path(folder))?;
        }
        let failed = files.distrusted && !faulty!(DistrustForgotten);
        let mut held = Held::default();
        items.iter().for_each(|item| held.note(item));
        let mut state = item::folded(items.into_iter().filter_map(Item::into_record));
        state.retain(Item::is_state);
        let slot =
            Self { disk, folder: folder.to_owned(), generation, log, snapshot_len, compact_from: 0, held, failed };
        Ok((slot, state))
    }

    /// The stored state, read again.
    pub(crate) fn state(&self) -> Result<Vec<Record>, StoreError> {
        let stored = read_shared(&*self.disk, &self.folder, None)?;
        let records = stored.map(|(records, _)| records).unwrap_or_default();
        let mut state = item::folded(records);
        state.retain(Item::is_state);
        Ok(state)
    }

    /// What the slot holds besides the state: its own record, the cursor, the acks and the outbox, each as it is now.
    pub(crate) fn held(&self) -> Vec<Record> {
        self.held.records().collect()
    }

    /// Up to where the slot of that name had been taken over into this one.
    pub(crate) fn adopted(&self, slot: &str) -> Option<AdoptedMark> {
        self.held.adopted.get(slot).copied()
    }

    /// Nothing that the files show is believed any more, by whoever opens them next.
    fn distrust(&mut self) {
        self.failed = true;
        distrust(&*self.disk, &self.folder);
    }

    /// Whether an error was final: nothing can be written any more.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed || self.log.is_failed()
    }

    /// Whether this slot knows a cursor of its own.
    pub(crate) fn has_cursor(&self) -> bool {
        self.held.cursor.is_some()
    }

    /// Appends groups of items in this order, each group whole or absent after a crash; syncs once if asked to. When a
    /// sync was asked for and this returns, everything ever appended is on stable storage.
    pub(crate) fn append(&mut self, groups: &[Vec<Item>], sync: bool) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.folder.clone() });
        }
        let payloads: Vec<Vec<u8>> = groups.iter().map(|group| payload(group)).collect();
        let written = self.log.append(&payloads).and_then(|()| if sync { self.log.sync() } else { Ok(()) });
        if written.is_err() && self.log.is_failed() {
            self.distrust();
        }
        written?;
        for item in groups.iter().flatten() {
            self.held.note(item);
        }
        Ok(())
    }

    /// Whether the log has grown past what the next start should have to read.
    pub(crate) fn wants_compaction(&self) -> bool {
        let in_memory = |len| usize::try_from(len).unwrap_or(usize::MAX);
        let len = self.log.len();
        len >= self.compact_from && compaction_due(in_memory(len), in_memory(self.snapshot_len))
    }

    /// Starts a new generation from `state`, which stands for every state record appended so far. If there is no room
    /// for it, the present generation goes on.
    pub(crate) fn compact(&mut self, state: Vec<Record>) -> Result<(), StoreError> {
        let compacted = self.start_generation(state);
        if compacted.is_err() && !faulty!(HalfCompactionForgotten) {
            self.distrust();
        }
        compacted
    }

    fn start_generation(&mut self, state: Vec<Record>) -> Result<(), StoreError> {
        let next = self.generation + 1;
        let items: Vec<Item> = state.into_iter().map(Item::Record).chain(self.held.items()).collect();
        let mut bytes = frame::file_header(FileKind::Snapshot).to_vec();
        frame::push_frame(&mut bytes, FILE_HEADER_LEN as u64, 0, &payload(&items));
        let log = match self.prepare(next, &bytes) {
            Err(error) if error.is_full() && !self.is_failed() => {
                tracing::warn!(%error, "no room for a snapshot: the log grows on");
                self.compact_from = self.log.len() + GROWTH_BEFORE_ANOTHER_ATTEMPT;
                return Ok(());
            }
            prepared => prepared?,
        };
        let disk = Arc::clone(&self.disk);
        let unfinished = unfinished_path(&self.folder);
        let finished = snapshot_path(&self.folder, next);
        disk.rename(&unfinished, &finished).map_err(StoreError::io("rename", &unfinished))?;
        if !faulty!(NamesNotSynced) {
            sync_folder(&*disk, &self.folder)?;
        }
        let old = std::mem::replace(&mut self.generation, next);
        self.log = log;
        self.snapshot_len = bytes.len() as u64;
        self.compact_from = 0;
        remove(&*disk, &log_path(&self.folder, old))?;
        if old > 0 {
            remove(&*disk, &snapshot_path(&self.folder, old))?;
        }
        Ok(())
    }

    /// Starts a new generation, because nothing of the present one may be trusted (DUR-6).
    fn replace(&mut self, state: Vec<Record>) -> Result<(), StoreError> {
        let replaced = self.start_generation(state);
        self.failed = replaced.is_err();
        replaced
    }

    /// Everything that a generation needs but its name.
    fn prepare(&self, generation: u64, snapshot: &[u8]) -> Result<Log, StoreError> {
        let unfinished = unfinished_path(&self.folder);
        let log_path = log_path(&self.folder, generation);
        let prepared = write_synced(&*self.disk, &unfinished, snapshot).and_then(|()| {
            let log = Log::create(&*self.disk, &log_path)?;
            if !faulty!(NamesNotSynced) {
                sync_folder(&*self.disk, &self.folder)?;
            }
            Ok(log)
        });
        if prepared.is_err() {
            // The room it took is needed elsewhere. Whoever opens the slot removes what this leaves.
            drop(self.disk.remove(&unfinished));
            drop(self.disk.remove(&log_path));
        }
        prepared
    }
}

/// What another slot holds beyond `known`, read without its lock, and the mark to remember. What is returned is on
/// stable storage in that slot already, whoever wrote it and whether or not it is still running, so it may be shown to
/// anybody (DUR-1).
pub(crate) fn read_shared(
    disk: &dyn Disk,
    folder: &Path,
    known: Option<AdoptedMark>,
) -> Result<Option<(Vec<Record>, AdoptedMark)>, StoreError> {
    let mut attempt = 0;
    loop {
        match try_read_shared(disk, folder, known) {
            // The owner started a new generation between our look at the folder and our look at the files.
            Err(StoreError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && attempt < READ_ATTEMPTS =>
            {
                attempt += 1
            }
            other => return other,
        }
    }
}

fn try_read_shared(
    disk: &dyn Disk,
    folder: &Path,
    known: Option<AdoptedMark>,
) -> Result<Option<(Vec<Record>, AdoptedMark)>, StoreError> {
    let files = Files::list(disk, folder)?;
    let generation = files.snapshots.last().copied().unwrap_or(0);
    if generation == 0 && !files.logs.contains(&0) {
        return Ok(None);
    }
    let mut items = Vec::new();
    let from = match known {
        Some(mark) if mark.generation == generation => mark.offset,
        _ => {
            if generation > 0 {
                (items, _) = read_snapshot(disk, &snapshot_path(folder, generation))?;
            }
            0
        }
    };
    let path = log_path(folder, generation);
    let content = log::read_shared(disk, &path, from)?;
    let mark = AdoptedMark { generation, offset: content.end };
    items.extend(decode_items(&path, content)?);
    let records = items.into_iter().filter_map(Item::into_record).collect();
    Ok((known != Some(mark)).then_some((records, mark)))
}

impl Held {
    fn note(&mut self, item: &Item) {
        match item {
            Item::Adopted { slot, mark } => {
                self.adopted.insert(slot.clone(), *mark);
            }
            Item::Record(record) => match record {
                Record::Slot { .. } => self.slot = Some(record.clone()),
                Record::Cursor(_) => self.cursor = Some(record.clone()),
                Record::Outbox { replica, last_seq, .. } => {
                    if self.acked.get(replica).is_none_or(|through| through < last_seq) {
                        self.outbox.insert((*replica, *last_seq), record.clone());
                    }
                }
                Record::Acked { replica, through } => {
                    let acked = self.acked.entry(*replica).or_default();
                    *acked = (*acked).max(*through);
                    self.outbox.retain(|(owner, last_seq), _| owner != replica || *last_seq > *through);
                }
                Record::Row(_) | Record::Positions { .. } | Record::Snapshot(_) | Record::Dropped(_) => {}
            },
        }
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let acked = self.acked.iter().map(|(&replica, &through)| Record::Acked { replica, through });
        let newest = self.slot.iter().chain(&self.cursor).cloned();
        newest.chain(acked).chain(self.outbox.values().cloned())
    }

    fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let adopted = self.adopted.iter().map(|(slot, &mark)| Item::Adopted { slot: slot.clone(), mark });
        let forgotten = |record: &Record| matches!(record, Record::Outbox { .. }) && faulty!(CompactionForgetsOutbox);
        self.records().filter(move |record| !forgotten(record)).map(Item::Record).chain(adopted)
    }
}

/// The files of a slot, by generation, in ascending order.
#[derive(Debug, Default)]
struct Files {
    snapshots: Vec<u64>,
    logs: Vec<u64>,
    unfinished: bool,
    distrusted: bool,
}

impl Files {
    fn list(disk: &dyn Disk, folder: &Path) -> Result<Self, StoreError> {
        let mut files = Self::default();
        for name in disk.list(folder).map_err(StoreError::io("list", folder))? {
            if let Some(generation) = name.strip_prefix("snapshot-").and_then(|digits| digits.parse().ok()) {
                files.snapshots.push(generation);
            } else if let Some(generation) = name.strip_prefix("log-").and_then(|digits| digits.parse().ok()) {
                files.logs.push(generation);
            } else if name == UNFINISHED {
                files.unfinished = true;
            } else if name == DISTRUSTED {
                files.distrusted = true;
            }
        }
        files.snapshots.sort_unstable();
        files.logs.sort_unstable();
        Ok(files)
    }
}

const UNFINISHED: &str = "snapshot.unfinished";
const DISTRUSTED: &str = "distrusted";

/// Leaves a note for whoever opens the slot next: a write or a sync has failed, so that the operating system may show what
/// the disk does not have, and succeed in syncing it. The note need not be synced: after a power cut nothing is shown but
/// what the disk has. Best effort, for there is nothing else to be done.
fn distrust(disk: &dyn Disk, folder: &Path) {
    if let Err(error) = disk.create(&folder.join(DISTRUSTED)) {
        tracing::warn!(%error, folder = %folder.display(), "cannot note that a store has failed");
    }
}

fn snapshot_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("snapshot-{generation}"))
}

fn log_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("log-{generation}"))
}

fn unfinished_path(folder: &Path) -> PathBuf {
    folder.join(UNFINISHED)
}

fn payload(items: &[Item]) -> Vec<u8> {
    let mut payload = Vec::new();
    for item in items {
        frame::push_item(&mut payload, &item.encode());
    }
    payload
}

fn decode_items(path: &Path, content: LogContent) -> Result<Vec<Item>, StoreError> {
    content.items.iter().map(|(offset, bytes)| Item::decode(bytes, path, *offset)).collect()
}

/// A snapshot got its name only after it was synced, so that anything but one whole group is damage.
fn read_snapshot(disk: &dyn Disk, path: &Path) -> Result<(Vec<Item>, u64), StoreError> {
    let bytes = disk.read(path).map_err(StoreError::io("read", path))?;
    if frame::read_header(&bytes, FileKind::Snapshot) == Header::Foreign {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let scan = frame::scan(&bytes, FILE_HEADER_LEN as u64);
    let damaged = |offset, what: &str| StoreError::Corrupt { path: path.to_owned(), offset, what: what.to_owned() };
    match (scan.frames.as_slice(), scan.rest) {
        (&[(offset, payload)], Rest::Nothing) => {
            let items =
                frame::items(payload).ok_or_else(|| damaged(offset, "the snapshot is not made of whole items"))?;
            let items = items.into_iter().map(|item| Item::decode(item, path, offset)).collect::<Result<_, _>>()?;
            Ok((items, bytes.len() as u64))
        }
        _ => Err(damaged(scan.end, "the snapshot is not readable")),
    }
}

fn write_synced(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = disk.create(path).map_err(StoreError::io("create", path))?;
    file.write_at(0, bytes).map_err(StoreError::io("write", path))?;
    if faulty!(SnapshotNotSynced) {
        return Ok(());
    }
    file.sync().map_err(StoreError::io("sync", path))
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    disk.remove(path).map_err(StoreError::io("remove", path))
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    disk.sync_folder(folder).map_err(StoreError::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::FileSystem;
    use std::fs;
    use weftline::Tag;
    use weftline::sync::{Cursor, Row};

    fn row(text: &str) -> Record {
        Record::Row(Row::Diff { bytes: text.as_bytes().into() })
    }

    fn slot_record(high_water: u64) -> Record {
        let replica = ReplicaId::from(7);
        let tag = Tag::start(replica);
        Record::Slot { index: 0, replica: Some(replica), high_water, tag, lease_no: 0, incs: vec![7] }
    }

    fn outbox(seq: u64) -> Record {
        let row = Row::Diff { bytes: seq.to_le_bytes().as_slice().into() };
        Record::Outbox { replica: ReplicaId::from(7), first_seq: seq, last_seq: seq, deps: Vec::new(), row }
    }

    fn acked(through: u64) -> Record {
        Record::Acked { replica: ReplicaId::from(7), through }
    }

    fn cursor(position: u64) -> Record {
        Record::Cursor(Cursor { epoch: 1, position })
    }

    fn group(records: &[Record]) -> Vec<Item> {
        records.iter().cloned().map(Item::Record).collect()
    }

    fn snapshot(text: &str) -> Record {
        Record::Snapshot(text.as_bytes().into())
    }

    /// A slot with a history: two rows, one of two outbox entries acked.
    fn filled(folder: &Path) -> Slot {
        let (mut slot, state) = Slot::open(FileSystem::shared(), folder).unwrap();
        assert_eq!(state, []);
        slot.append(
            &[group(&[row("a"), outbox(1), slot_record(1)]), group(&[row("b"), outbox(2), slot_record(2)])],
            true,
        )
        .unwrap();
        slot.append(&[group(&[cursor(3), acked(1)])], false).unwrap();
        slot
    }

    const HELD: fn() -> Vec<Record> = || vec![slot_record(2), cursor(3), acked(1), outbox(2)];

    #[test]
    fn a_slot_comes_back_as_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path()));
        let (slot, state) = Slot::open(FileSystem::shared(), folder.path()).unwrap();
        assert_eq!(state, [row("a"), row("b")]);
        assert_eq!(slot.held(), HELD());
    }

    #[test]
    fn a_compaction_keeps_what_is_held_beside_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let mut slot = filled(folder.path());
        slot.compact(vec![snapshot("ab"), row("waiting")]).unwrap();
        slot.append(&[group(&[row("c"), acked(2)])], true).unwrap();
        drop(slot);
        let (mut slot, state) = Slot::open(FileSystem::shared(), folder.path()).unwrap();
        assert_eq!(state, [snapshot("ab"), row("waiting"), row("c")]);
        assert_eq!(slot.held(), [slot_record(2), cursor(3), acked(2)]);
        assert_eq!(slot.state().unwrap(), state);
        slot.compact(vec![snapshot("abc")]).unwrap();
        drop(slot);
        assert_eq!(Slot::open(FileSystem::shared(), folder.path()).unwrap().1, [snapshot("abc")]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the files of older generations are gone");
    }

    #[test]
    fn a_log_is_worth_a_compaction_when_it_is_longer_than_both_limits() {
        let folder = tempfile::tempdir().unwrap();
        let (mut slot, _) = Slot::open(FileSystem::shared(), folder.path()).unwrap();
        let large = row(&"x".repeat(40_000));
        slot.append(&[group(std::slice::from_ref(&large))], false).unwrap();
        assert!(!slot.wants_compaction());
        slot.append(&[group(std::slice::from_ref(&large))], false).unwrap();
        assert!(slot.wants_compaction());
        slot.compact(vec![snapshot(&"x".repeat(100_000))]).unwrap();
        slot.append(&[group(&[large.clone(), large.clone()])], false).unwrap();
        assert!(!slot.wants_compaction(), "not before the log is as long as the snapshot");
        slot.append(&[group(&[large])], false).unwrap();
        assert!(slot.wants_compaction());
    }

    #[test]
    fn a_damaged_snapshot_and_a_missing_log_are_errors_that_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut slot = filled(folder.path());
        slot.compact(vec![snapshot("ab")]).unwrap();
        drop(slot);
        let path = snapshot_path(folder.path(), 1);
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &[whole.as_slice(), b"more"].concat(), &whole[..3]] {
            fs::write(&path, damaged).unwrap();
            match Slot::open(FileSystem::shared(), folder.path()) {
                Err(StoreError::Corrupt { path: named, .. }) => assert_eq!(named, path),
                other => panic!("{other:?}"),
            }
        }
        fs::write(&path, &whole).unwrap();
        fs::remove_file(log_path(folder.path(), 1)).unwrap();
        match Slot::open(FileSystem::shared(), folder.path()) {
            Err(StoreError::Corrupt { path: named, .. }) => assert_eq!(named, log_path(folder.path(), 1)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_slot_is_read_from_where_it_was_left_or_anew_after_a_compaction() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_shared(&FileSystem, folder.path(), None).unwrap(), None, "an empty folder");
        let mut slot = filled(folder.path());
        let (records, mark) = read_shared(&FileSystem, folder.path(), None).unwrap().unwrap();
        assert_eq!(records.iter().filter(|record| Item::is_state(record)).count(), 2);
        assert_eq!(read_shared(&FileSystem, folder.path(), Some(mark)).unwrap(), None, "nothing new");
        slot.append(&[group(&[row("c")])], false).unwrap();
        let (records, mark) = read_shared(&FileSystem, folder.path(), Some(mark)).unwrap().unwrap();
        assert_eq!(records, [row("c")]);
        slot.compact(vec![snapshot("abc")]).unwrap();
        let (records, _) = read_shared(&FileSystem, folder.path(), Some(mark)).unwrap().unwrap();
        assert_eq!(records[0], snapshot("abc"));
    }
}
