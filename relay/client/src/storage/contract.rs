//! What every store of a replica promises, as a suite that each kind of it runs: files of the operating system, files in
//! memory, and both as they are where locks cannot be trusted. `wasm/test/contract.ts` is the same suite for the stores of
//! the npm package; a rule is told in one sentence there and here.

use super::disk::{Disk, FileSystem};
use super::error::StoreError;
use super::folder::{self, Opened};
use super::item::Item;
use super::test_disk::{TestDisk, Trouble};
use std::path::Path;
use std::sync::Arc;
use weftline::sync::{Cursor, Record, Row};
use weftline::{ReplicaId, Tag};

/// A place where a store of the kind under test can be opened, several times at once.
struct Lab {
    disk: Arc<dyn Disk>,
    root: std::path::PathBuf,
    openings: u128,
    has_slots: bool,
    /// Makes an opening end without a goodbye; where the power can be cut, by that.
    crash: Box<dyn Fn()>,
    /// Keeps the folder.
    _folder: Option<tempfile::TempDir>,
}

impl Lab {
    fn files() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            disk: FileSystem::shared(),
            root: folder.path().to_owned(),
            openings: 0,
            has_slots: true,
            crash: Box::new(|| ()),
            _folder: Some(folder),
        }
    }

    fn memory(disk: &TestDisk, has_slots: bool) -> Self {
        let power = disk.clone();
        Self {
            disk: disk.shared(),
            root: Path::new("/store").to_owned(),
            openings: 0,
            has_slots,
            // Nothing that was not synced is left.
            crash: Box::new(move || power.restart(|_| 0)),
            _folder: None,
        }
    }

    fn open(&mut self, document: &str) -> Opened {
        self.try_open(document).unwrap()
    }

    fn try_open(&mut self, document: &str) -> Result<Opened, StoreError> {
        self.openings += 1;
        folder::open(Arc::clone(&self.disk), &self.root, document, self.openings)
    }
}

/// Runs a part of the suite in a fresh lab of each kind.
fn each(part: impl Fn(Lab)) {
    part(Lab::files());
    part(Lab::memory(&TestDisk::new(), true));
    part(Lab::memory(&TestDisk::without_locks(), false));
}

fn me() -> ReplicaId {
    ReplicaId::from(7)
}

fn row(text: impl std::fmt::Display) -> Record {
    Record::Row(Row::Diff { bytes: text.to_string().into_bytes().into() })
}

fn outbox(seq: u64) -> Record {
    Record::Outbox {
        replica: me(),
        first_seq: seq,
        last_seq: seq,
        deps: Vec::new(),
        row: Row::Diff { bytes: [0; 9].as_slice().into() },
    }
}

fn acked(through: u64) -> Record {
    Record::Acked { replica: me(), through }
}

fn slot(high_water: u64) -> Record {
    Record::Slot { index: 0, replica: Some(me()), high_water, tag: Tag::start(me()), lease_no: 1, incs: vec![7] }
}

fn cursor(position: u64) -> Record {
    Record::Cursor(Cursor { epoch: 1, position })
}

fn write(opened: &mut Opened, records: &[Record], strict: bool) {
    let group = records.iter().cloned().map(Item::Record).collect();
    opened.store.slot.append(&[group], strict).unwrap();
}

/// What is stored, without what only the slot itself is told.
fn stored(opened: &Opened) -> Vec<Record> {
    opened.records.iter().filter(|record| !matches!(record, Record::Slot { .. })).cloned().collect()
}

#[test]
fn a_store_that_is_opened_for_the_first_time_is_empty() {
    each(|mut lab| assert_eq!(lab.open("a").records, []));
}

#[test]
fn dur_6_what_was_written_strictly_is_there_after_a_crash_and_what_came_before_it_too() {
    each(|mut lab| {
        let mut store = lab.open("a");
        write(&mut store, &[row(1), cursor(1)], false);
        write(&mut store, &[row(2), outbox(1), slot(1)], true);
        drop(store);
        (lab.crash)();
        let store = lab.open("a");
        assert_eq!(stored(&store), [row(1), row(2), cursor(1), outbox(1)]);
        assert_eq!(store.records.contains(&slot(1)), lab.has_slots, "TAB-4: what a slot was told is for the slot");
    });
}

#[test]
fn an_ack_takes_out_of_the_outbox_what_it_covers_and_leaves_the_state() {
    each(|mut lab| {
        let mut store = lab.open("a");
        write(&mut store, &[row(1), outbox(1), row(2), outbox(2), row(3), outbox(3)], true);
        write(&mut store, &[acked(2)], true);
        drop(store);
        assert_eq!(stored(&lab.open("a")), [row(1), row(2), row(3), acked(2), outbox(3)]);
    });
}

#[test]
fn of_what_replaces_the_last_is_there() {
    each(|mut lab| {
        let mut store = lab.open("a");
        for position in 1..5 {
            write(&mut store, &[cursor(position), slot(position)], true);
        }
        drop(store);
        let records = lab.open("a").records;
        let expected = [slot(4), cursor(4)];
        assert_eq!(records, expected[usize::from(!lab.has_slots)..]);
    });
}

#[test]
fn documents_are_apart() {
    each(|mut lab| {
        let mut store = lab.open("a");
        write(&mut store, &[row(1)], true);
        assert_eq!(lab.open("b").records, []);
    });
}

#[test]
fn dur_4_openings_at_the_same_time_overwrite_nothing_of_each_other() {
    each(|mut lab| {
        let mut stores = [lab.open("a"), lab.open("a"), lab.open("a")];
        for round in 0..4 {
            for (number, store) in stores.iter_mut().enumerate() {
                write(store, &[row(format!("{number} {round}"))], round % 2 == 0);
                if round == number {
                    store.store.slot.compact(vec![Record::Snapshot([number as u8].as_slice().into())]).unwrap();
                }
            }
        }
        drop(stores);
        let records = stored(&lab.open("a"));
        for (number, from) in [(0, 1), (1, 2), (2, 3)] {
            assert!(records.contains(&Record::Snapshot([number].as_slice().into())));
            for round in from..4 {
                assert!(records.contains(&row(format!("{number} {round}"))), "{number} {round} in {records:?}");
            }
        }
    });
}

#[test]
fn id_2_no_two_openings_hold_one_slot() {
    each(|mut lab| {
        let stores = [lab.open("a"), lab.open("a")];
        let indices: Vec<_> = stores.iter().map(|opened| opened.index).collect();
        assert_eq!(indices, if lab.has_slots { [Some(0), Some(1)] } else { [None, None] });
        drop(stores);
        assert_eq!(lab.open("a").index, lab.has_slots.then_some(0));
    });
}

#[test]
fn a_compaction_keeps_what_it_does_not_stand_for() {
    each(|mut lab| {
        let mut store = lab.open("a");
        write(&mut store, &[row(1), outbox(1), row(2), outbox(2), slot(2), cursor(9), acked(1)], true);
        let snapshot = Record::Snapshot(b"one".as_slice().into());
        store.store.slot.compact(vec![snapshot.clone(), row(2)]).unwrap();
        write(&mut store, &[row(3)], true);
        drop(store);
        (lab.crash)();
        assert_eq!(stored(&lab.open("a")), [snapshot, row(2), row(3), cursor(9), acked(1), outbox(2)]);
    });
}

#[test]
fn storage_stays_within_three_snapshots_and_a_constant_over_a_long_history() {
    for make in [TestDisk::new, TestDisk::without_locks] {
        let disk = make();
        let mut lab = Lab::memory(&disk, true);
        let mut store = lab.open("a");
        let mut largest_log = 0;
        for seq in 1..6_000_u64 {
            // The state grows to 200 kB and shrinks again, and all of it is acked in time.
            let state = vec![1_u8; usize::try_from(200 - seq.abs_diff(3_000) / 15).unwrap() * 1_000];
            let delta = [7; 150].as_slice();
            let group = [Record::Row(Row::Diff { bytes: delta.into() }), outbox(seq), slot(seq), acked(seq - 1)];
            write(&mut store, &group, seq % 16 == 0);
            if store.store.slot.wants_compaction() {
                store.store.slot.compact(vec![Record::Snapshot(state.as_slice().into())]).unwrap();
            }
            let bound = 3 * state.len() + 192 * 1024;
            assert!(disk.used() <= bound, "{} bytes are stored for a state of {}", disk.used(), state.len());
            largest_log = largest_log.max(disk.used().saturating_sub(state.len()));
        }
        assert!(largest_log > 64 * 1024, "the log was left to grow, and compacted");
        if !disk.is_folder(Path::new("/store/a/slot-0")) {
            store.store.close();
            drop(lab.open("a"));
            let left = disk.list(Path::new("/store/a")).unwrap();
            assert_eq!(left.iter().filter(|name| name.starts_with("opening-")).count(), 1, "{left:?}");
        }
    }
}

#[test]
fn tab_4_without_locks_nothing_is_lost_and_what_was_closed_is_cleared_away() {
    let disk = TestDisk::without_locks();
    let mut lab = Lab::memory(&disk, false);
    let mut first = lab.open("a");
    write(&mut first, &[row(1), outbox(1)], true);
    // The second one dies, the third one says goodbye.
    let mut second = lab.open("a");
    write(&mut second, &[row(2)], true);
    let mut third = lab.open("a");
    write(&mut third, &[row(3), acked(1)], true);
    third.store.close();
    drop((first, second));
    (lab.crash)();
    let count = |disk: &TestDisk| disk.list(Path::new("/store/a")).unwrap().len();
    assert_eq!(count(&disk), 4, "three openings, and a slot that nobody could lock");
    let mut fourth = lab.open("a");
    let mut found = stored(&fourth);
    found.sort_by_key(|record| record.encode());
    let mut expected = vec![row(1), row(2), row(3), acked(1)];
    expected.sort_by_key(|record| record.encode());
    found.dedup();
    assert_eq!(found, expected);
    assert_eq!(count(&disk), 4, "the third one is gone, this one is there");
    write(&mut fourth, &[row(4)], true);
    fourth.store.close();
    for _ in 0..10 {
        let opened = lab.open("a");
        for number in 1..=4 {
            assert!(opened.records.contains(&row(number)));
        }
        opened.store.close();
    }
    assert_eq!(count(&disk), 4, "openings that end leave no trace");
}

/// A slot's history in which every group is strict and holds the mark of how far it is.
fn told(records: &[Record]) -> u64 {
    let mark = records.iter().find_map(|record| match record {
        Record::Slot { high_water, .. } => Some(*high_water),
        _ => None,
    });
    mark.unwrap_or(0)
}

/// Everything up to the mark is there: rows, or a snapshot that stands for them, and the outbox.
fn assert_whole(records: &[Record], acked_through: u64, story: &str) {
    let mark = told(records);
    let covered = records.iter().filter_map(|record| match record {
        Record::Snapshot(bytes) => Some(u64::from_le_bytes(bytes[..].try_into().unwrap())),
        _ => None,
    });
    let covered = covered.max().unwrap_or(0);
    for seq in covered + 1..=mark {
        assert!(records.contains(&row(seq)), "{story}: row {seq} of {mark} is missing");
    }
    assert!(!records.contains(&row(mark + 1)) || covered > mark, "{story}: a group is there in part");
    for seq in acked_through + 1..=mark {
        assert!(records.contains(&outbox(seq)), "{story}: outbox entry {seq} of {mark} is missing");
    }
}

/// One opening after another on one disk, each until something goes wrong. Checks after each that what was told is there.
fn endure(disk: &TestDisk, seed: u64, mut trouble: impl FnMut(usize, &TestDisk)) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = move |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % limit.max(1) as u64).unwrap()
    };
    let mut lab = Lab::memory(disk, true);
    let mut promised = 0;
    for opening in 0..4 {
        let story = format!("seed {seed}, opening {opening}");
        trouble(opening, disk);
        if let Ok(mut opened) = lab.try_open("a") {
            let mut seq = told(&opened.records);
            assert!(seq >= promised, "{story}: {promised} was told durable, {seq} is there");
            assert_whole(&opened.records, 0, &story);
            // What an opening has read it may tell others of.
            promised = seq;
            for step in 0..12 {
                seq += 1;
                let group = [row(seq), outbox(seq), slot(seq)].map(Item::Record).to_vec();
                let relaxed = vec![Item::Record(cursor(seq))];
                let written = opened.store.slot.append(&[group], true).and_then(|()| {
                    promised = seq;
                    opened.store.slot.append(&[relaxed], false)?;
                    if step % 5 == 4 {
                        opened.store.slot.compact(vec![Record::Snapshot(seq.to_le_bytes().as_slice().into())])?;
                    }
                    Ok(())
                });
                if written.is_err() {
                    // DUR-6: nothing is trusted that was not promised before. Half of the time the program goes on.
                    let is_failed = opened.store.slot.is_failed();
                    let goes_on = below(2) == 0 && (!is_failed || opened.store.reopen().is_ok());
                    seq = match goes_on {
                        true => told(&opened.store.slot.held()),
                        false => break,
                    };
                    assert!(seq >= promised, "{story}: {promised} was told durable before the error, {seq} is left");
                    promised = seq;
                }
            }
        }
        if below(2) == 0 && opening < 3 {
            disk.revive();
        } else {
            disk.restart(&mut below);
        }
    }
    let opened = lab.open("a");
    assert!(told(&opened.records) >= promised, "seed {seed}");
    assert_whole(&opened.records, 0, &format!("seed {seed}, at the end"));
}

#[test]
fn dur_6_programs_end_at_any_call_with_and_without_the_power_and_nothing_that_was_told_is_lost() {
    // One opening makes about 110 calls.
    for call in 0..120 {
        for seed in 0..4 {
            endure(&TestDisk::new(), seed * 1_000 + call, |opening, disk| {
                // The first one ends at each of its calls, the later ones somewhere.
                let places = [call, (call * 7 + seed * 3) % 40, (call * 11 + seed * 5) % 90];
                if let Some(&place) = places.get(opening) {
                    disk.plan(place, Trouble::End);
                }
            });
        }
    }
}

#[test]
fn dur_6_a_sync_that_failed_is_final_and_nothing_that_was_told_is_lost() {
    for call in 0..90 {
        for seed in 0..2 {
            for trouble in [Trouble::SyncFails, Trouble::WriteFails] {
                let disk = TestDisk::new();
                endure(&disk, seed * 1_000 + call, |opening, disk| {
                    if let Ok(opening @ 0..3) = u64::try_from(opening) {
                        disk.plan(call * (opening + 1), trouble);
                    }
                });
            }
        }
    }
}

#[test]
fn dur_6_after_a_failed_sync_nothing_is_written_any_more_and_a_later_sync_proves_nothing() {
    let disk = TestDisk::new();
    let mut lab = Lab::memory(&disk, true);
    let mut opened = lab.open("a");
    write(&mut opened, &[row(1), slot(1)], true);
    // The write, then the sync.
    disk.plan(1, Trouble::SyncFails);
    let group = |seq| vec![vec![Item::Record(row(seq)), Item::Record(slot(seq))]];
    assert!(matches!(opened.store.slot.append(&group(2), true), Err(StoreError::Io { action: "sync", .. })));
    assert!(matches!(opened.store.slot.append(&group(3), true), Err(StoreError::Failed { .. })));
    opened.store.reopen().unwrap();
    assert_eq!(told(&opened.store.slot.held()), 2, "everybody still sees what was not stored");
    drop(opened);
    disk.restart(|_| 0);
    assert_eq!(told(&lab.open("a").records), 2, "and by then it was written again, elsewhere");
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_goes_on_when_there_is_room() {
    let disk = TestDisk::new();
    let mut lab = Lab::memory(&disk, true);
    let mut opened = lab.open("a");
    write(&mut opened, &[row(1), slot(1)], true);
    for room in 0..60 {
        disk.set_capacity(Some(disk.used() + room));
        let group = vec![vec![Item::Record(row("x".repeat(60)))]];
        let error = opened.store.slot.append(&group, true).unwrap_err();
        assert!(error.is_full(), "{error:?}");
        assert!(!opened.store.slot.is_failed(), "nothing of what is there is in doubt");
        assert_eq!(opened.store.slot.state().unwrap(), [row(1)]);
    }
    // No room for a snapshot either: the log goes on.
    opened.store.slot.compact(vec![Record::Snapshot([1; 500].as_slice().into())]).unwrap();
    assert_eq!(opened.store.slot.state().unwrap(), [row(1)]);
    disk.set_capacity(None);
    write(&mut opened, &[row(2), slot(2)], true);
    drop(opened);
    (lab.crash)();
    let opened = lab.open("a");
    assert_eq!((stored(&opened), told(&opened.records)), (vec![row(1), row(2)], 2));
}

#[test]
fn dur_3_what_an_opening_finds_survives_the_power_although_it_was_not_synced_before() {
    let disk = TestDisk::new();
    let mut lab = Lab::memory(&disk, true);
    let mut opened = lab.open("a");
    write(&mut opened, &[row(1), slot(1)], false);
    drop(opened);
    disk.revive();
    assert_eq!(told(&lab.open("a").records), 1);
    disk.restart(|_| 0);
    assert_eq!(told(&lab.open("a").records), 1);
}

#[test]
fn groups_that_wait_share_one_sync() {
    let disk = TestDisk::new();
    let mut lab = Lab::memory(&disk, true);
    let mut opened = lab.open("a");
    let before = disk.syncs();
    let groups: Vec<_> = (0..100).map(|seq| vec![Item::Record(row(seq))]).collect();
    opened.store.slot.append(&groups, true).unwrap();
    assert_eq!(disk.syncs() - before, 1);
}
