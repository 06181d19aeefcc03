//! One slot of a document's store: a snapshot, the log that follows it, and the change from one pair to the next.
//!
//! A slot belongs to one running program at a time, which holds its lock. It is complete in itself: whoever opens it
//! needs no other slot. Generation `n` is `snapshot-n` and `log-n`; generation 0 has no snapshot. A new generation
//! counts from the moment its snapshot has its final name: everything it needs is on stable storage before, and the
//! old files go only after, so that a crash at any point leaves one readable generation (DUR-6).
//!
//! Not here: which slot is taken and what is read from the others; that is [`super::folder`].

use super::error::StoreError;
use super::frame::{self, FILE_HEADER_LEN, FileKind, Header, Rest};
use super::item::{AdoptedMark, Item};
use super::log::{self, Log, LogContent};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use weftline::ReplicaId;
use weftline::sync::{Record, compaction_due};

/// How often a reader of somebody else's slot starts again because a compaction took the files away under its hands.
const READ_ATTEMPTS: u32 = 8;

/// An open slot.
#[derive(Debug)]
pub(crate) struct Slot {
    folder: PathBuf,
    generation: u64,
    log: Log,
    snapshot_len: u64,
    held: Held,
    #[cfg(test)]
    crash_after: Option<u32>,
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
    adopted: BTreeMap<u32, AdoptedMark>,
}

impl Slot {
    /// Opens the slot in this folder, which exists and whose lock is held. Gives back its state: snapshot and rows,
    /// oldest first.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let files = Files::list(folder)?;
        let generation = files.snapshots.last().copied().unwrap_or(0);
        let mut items = Vec::new();
        let mut snapshot_len = 0;
        if !files.snapshots.is_empty() {
            (items, snapshot_len) = read_snapshot(&snapshot_path(folder, generation))?;
        }
        let path = log_path(folder, generation);
        let log = if files.logs.contains(&generation) {
            let (log, content) = Log::open(&path)?;
            items.extend(decode_items(&path, content)?);
            log
        } else if files.snapshots.is_empty() && files.logs.is_empty() {
            let log = Log::create(&path)?;
            sync_folder(folder)?;
            log
        } else {
            return Err(StoreError::Corrupt {
                path,
                offset: 0,
                what: "the log of this snapshot is missing".to_owned(),
            });
        };
        // What an interrupted compaction left: files of older generations, or of one that never came to count.
        for &old in files.snapshots.iter().filter(|&&old| old != generation) {
            remove(&snapshot_path(folder, old))?;
        }
        for &old in files.logs.iter().filter(|&&old| old != generation) {
            remove(&log_path(folder, old))?;
        }
        if files.unfinished {
            remove(&unfinished_path(folder))?;
        }
        let mut held = Held::default();
        items.iter().for_each(|item| held.note(item));
        let state = items.into_iter().filter_map(Item::into_state).collect();
        let slot = Self {
            folder: folder.to_owned(),
            generation,
            log,
            snapshot_len,
            held,
            #[cfg(test)]
            crash_after: None,
        };
        Ok((slot, state))
    }

    /// The stored state, read again.
    pub(crate) fn state(&self) -> Result<Vec<Record>, StoreError> {
        let stored = read_shared(&self.folder, None)?;
        let records = stored.map(|(records, _)| records).unwrap_or_default();
        Ok(records.into_iter().filter(Item::is_state).collect())
    }

    /// What the slot holds besides the state: its own record, the cursor, the acks and the outbox, each as it is now.
    pub(crate) fn held(&self) -> Vec<Record> {
        self.held.records().collect()
    }

    /// Up to where the slot of that number had been taken over into this one.
    pub(crate) fn adopted(&self, index: u32) -> Option<AdoptedMark> {
        self.held.adopted.get(&index).copied()
    }

    /// Whether this slot knows a cursor of its own.
    pub(crate) fn has_cursor(&self) -> bool {
        self.held.cursor.is_some()
    }

    /// Appends groups of items in this order, each group whole or absent after a crash; syncs once if asked to. When a
    /// sync was asked for and this returns, everything ever appended is on stable storage.
    pub(crate) fn append(&mut self, groups: &[Vec<Item>], sync: bool) -> Result<(), StoreError> {
        let payloads: Vec<Vec<u8>> = groups.iter().map(|group| payload(group)).collect();
        self.log.append(&payloads)?;
        if sync {
            self.log.sync()?;
        }
        for item in groups.iter().flatten() {
            self.held.note(item);
        }
        Ok(())
    }

    /// Whether the log has grown past what the next start should have to read.
    pub(crate) fn wants_compaction(&self) -> bool {
        let in_memory = |len| usize::try_from(len).unwrap_or(usize::MAX);
        compaction_due(in_memory(self.log.len()), in_memory(self.snapshot_len))
    }

    /// Starts a new generation from `state`, which stands for every state record appended so far.
    pub(crate) fn compact(&mut self, state: Vec<Record>) -> Result<(), StoreError> {
        let next = self.generation + 1;
        let items: Vec<Item> = state.into_iter().map(Item::Record).chain(self.held.items()).collect();
        let mut bytes = frame::file_header(FileKind::Snapshot).to_vec();
        frame::push_frame(&mut bytes, FILE_HEADER_LEN as u64, 0, &payload(&items));
        let unfinished = unfinished_path(&self.folder);
        self.step()?;
        write_synced(&unfinished, &bytes)?;
        self.step()?;
        let log = Log::create(&log_path(&self.folder, next))?;
        self.step()?;
        sync_folder(&self.folder)?;
        self.step()?;
        fs::rename(&unfinished, snapshot_path(&self.folder, next)).map_err(StoreError::io("rename", &unfinished))?;
        self.step()?;
        sync_folder(&self.folder)?;
        self.step()?;
        let old = std::mem::replace(&mut self.generation, next);
        self.log = log;
        self.snapshot_len = bytes.len() as u64;
        remove(&log_path(&self.folder, old))?;
        self.step()?;
        if old > 0 {
            remove(&snapshot_path(&self.folder, old))?;
        }
        self.step()
    }

    /// In tests, the point where the power may fail.
    #[cfg(test)]
    fn step(&mut self) -> Result<(), StoreError> {
        match &mut self.crash_after {
            Some(0) => Err(StoreError::Failed { path: self.folder.clone() }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the same signature as the one that tests let fail"
    )]
    fn step(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What another slot holds beyond `known`, read without its lock, and the mark to remember. What is returned is on
/// stable storage in that slot already, whoever wrote it and whether or not it is still running, so it may be shown to
/// anybody (DUR-1).
pub(crate) fn read_shared(
    folder: &Path,
    known: Option<AdoptedMark>,
) -> Result<Option<(Vec<Record>, AdoptedMark)>, StoreError> {
    let mut attempt = 0;
    loop {
        match try_read_shared(folder, known) {
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
    folder: &Path,
    known: Option<AdoptedMark>,
) -> Result<Option<(Vec<Record>, AdoptedMark)>, StoreError> {
    let files = Files::list(folder)?;
    let generation = files.snapshots.last().copied().unwrap_or(0);
    if generation == 0 && !files.logs.contains(&0) {
        return Ok(None);
    }
    let mut items = Vec::new();
    let from = match known {
        Some(mark) if mark.generation == generation => mark.offset,
        _ => {
            if generation > 0 {
                (items, _) = read_snapshot(&snapshot_path(folder, generation))?;
            }
            0
        }
    };
    let path = log_path(folder, generation);
    let content = log::read_shared(&path, from)?;
    let mark = AdoptedMark { generation, offset: content.end };
    items.extend(decode_items(&path, content)?);
    let records = items.into_iter().filter_map(Item::into_record).collect();
    Ok((known != Some(mark)).then_some((records, mark)))
}

impl Held {
    fn note(&mut self, item: &Item) {
        match item {
            Item::Adopted { index, mark } => {
                self.adopted.insert(*index, *mark);
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
                Record::Row(_) | Record::Positions { .. } | Record::Snapshot(_) => {}
            },
        }
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let acked = self.acked.iter().map(|(&replica, &through)| Record::Acked { replica, through });
        let newest = self.slot.iter().chain(&self.cursor).cloned();
        newest.chain(acked).chain(self.outbox.values().cloned())
    }

    fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let adopted = self.adopted.iter().map(|(&index, &mark)| Item::Adopted { index, mark });
        self.records().map(Item::Record).chain(adopted)
    }
}

/// The files of a slot, by generation, in ascending order.
#[derive(Debug, Default)]
struct Files {
    snapshots: Vec<u64>,
    logs: Vec<u64>,
    unfinished: bool,
}

impl Files {
    fn list(folder: &Path) -> Result<Self, StoreError> {
        let mut files = Self::default();
        for entry in fs::read_dir(folder).map_err(StoreError::io("list", folder))? {
            let name = entry.map_err(StoreError::io("list", folder))?.file_name();
            let name = name.to_string_lossy();
            if let Some(generation) = name.strip_prefix("snapshot-").and_then(|digits| digits.parse().ok()) {
                files.snapshots.push(generation);
            } else if let Some(generation) = name.strip_prefix("log-").and_then(|digits| digits.parse().ok()) {
                files.logs.push(generation);
            } else if name == UNFINISHED {
                files.unfinished = true;
            }
        }
        files.snapshots.sort_unstable();
        files.logs.sort_unstable();
        Ok(files)
    }
}

const UNFINISHED: &str = "snapshot.unfinished";

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
fn read_snapshot(path: &Path) -> Result<(Vec<Item>, u64), StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
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

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = File::create(path).map_err(StoreError::io("create", path))?;
    file.write_all(bytes).map_err(StoreError::io("write", path))?;
    file.sync_all().map_err(StoreError::io("sync", path))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).map_err(StoreError::io("remove", path))
}

/// Makes names in a folder durable. Windows has no such call and journals names by itself.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let file = File::open(folder).map_err(StoreError::io("open", folder))?;
        file.sync_all().map_err(StoreError::io("sync", folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
        Record::Outbox { replica: ReplicaId::from(7), first_seq: seq, last_seq: seq, row }
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
        let (mut slot, state) = Slot::open(folder).unwrap();
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
        let (slot, state) = Slot::open(folder.path()).unwrap();
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
        let (mut slot, state) = Slot::open(folder.path()).unwrap();
        assert_eq!(state, [snapshot("ab"), row("waiting"), row("c")]);
        assert_eq!(slot.held(), [slot_record(2), cursor(3), acked(2)]);
        assert_eq!(slot.state().unwrap(), state);
        slot.compact(vec![snapshot("abc")]).unwrap();
        drop(slot);
        assert_eq!(Slot::open(folder.path()).unwrap().1, [snapshot("abc")]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the files of older generations are gone");
    }

    #[test]
    fn dur_6_a_crash_at_any_step_of_a_compaction_leaves_a_readable_store() {
        let mut seen = (0, 0);
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let mut slot = filled(folder.path());
            slot.compact(vec![snapshot("ab")]).unwrap();
            slot.append(&[group(&[row("c")])], true).unwrap();
            slot.crash_after = Some(step);
            let finished = slot.compact(vec![snapshot("abc")]).is_ok();
            drop(slot);
            for _ in 0..2 {
                let (slot, state) = Slot::open(folder.path()).unwrap();
                assert_eq!(slot.held(), HELD(), "step {step}");
                if state == [snapshot("ab"), row("c")] {
                    seen.0 += 1;
                } else {
                    assert_eq!(state, [snapshot("abc")], "step {step}");
                    seen.1 += 1;
                }
                drop(slot);
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "leftovers are removed");
            }
            if finished {
                break;
            }
        }
        assert!(seen.0 > 2 && seen.1 > 2, "both generations were met: {seen:?}");
    }

    #[test]
    fn a_log_is_worth_a_compaction_when_it_is_longer_than_both_limits() {
        let folder = tempfile::tempdir().unwrap();
        let (mut slot, _) = Slot::open(folder.path()).unwrap();
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
            match Slot::open(folder.path()) {
                Err(StoreError::Corrupt { path: named, .. }) => assert_eq!(named, path),
                other => panic!("{other:?}"),
            }
        }
        fs::write(&path, &whole).unwrap();
        fs::remove_file(log_path(folder.path(), 1)).unwrap();
        match Slot::open(folder.path()) {
            Err(StoreError::Corrupt { path: named, .. }) => assert_eq!(named, log_path(folder.path(), 1)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_slot_is_read_from_where_it_was_left_or_anew_after_a_compaction() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_shared(folder.path(), None).unwrap(), None, "an empty folder");
        let mut slot = filled(folder.path());
        let (records, mark) = read_shared(folder.path(), None).unwrap().unwrap();
        assert_eq!(records.iter().filter(|record| Item::is_state(record)).count(), 2);
        assert_eq!(read_shared(folder.path(), Some(mark)).unwrap(), None, "nothing new");
        slot.append(&[group(&[row("c")])], false).unwrap();
        let (records, mark) = read_shared(folder.path(), Some(mark)).unwrap().unwrap();
        assert_eq!(records, [row("c")]);
        slot.compact(vec![snapshot("abc")]).unwrap();
        let (records, _) = read_shared(folder.path(), Some(mark)).unwrap().unwrap();
        assert_eq!(records[0], snapshot("abc"));
    }
}
