//! What only this engine promises: settings, group commit, full disks, locks, power cuts and damage. The contract is in
//! [`super::super::contract`].

use std::fs;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::contract::{self, Lab};
use super::*;

struct SqliteLab(TempDir);

impl SqliteLab {
    fn new() -> Self {
        SqliteLab(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("deep").join("relay.db")
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.path().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

impl Lab for SqliteLab {
    type Store = SqliteStore;

    fn open(&mut self, epoch: u64) -> SqliteStore {
        SqliteStore::open(&self.path(), epoch).unwrap()
    }
}

/// Runs `inspect` on the writer's connection, after everything called for before.
async fn on_writer<T: Send + 'static>(
    store: &SqliteStore,
    inspect: impl FnOnce(&Connection) -> T + Send + 'static,
) -> T {
    let (reply, answer) = oneshot::channel();
    let job = Job::Inspect(Box::new(move |connection| {
        let _ = reply.send(inspect(connection));
    }));
    store.writes.as_ref().unwrap().send(job).ok().unwrap();
    answer.await.unwrap()
}

fn filler(length: usize) -> Bytes {
    Bytes::from((0..length).map(|index| (index % 251) as u8).collect::<Vec<_>>())
}

#[tokio::test]
async fn keeps_the_contract() {
    contract::run(SqliteLab::new).await;
}

#[tokio::test]
async fn ack_1_the_settings_that_durability_rests_on_are_in_force() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    let (mode, level) = on_writer(&store, |connection| {
        let read = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, String>(0));
        let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        (read("journal_mode").unwrap(), level)
    })
    .await;
    assert_eq!((mode.as_str(), level), ("wal", 2));
}

#[tokio::test]
async fn waiting_calls_share_one_commit() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    // The writer is held up while a hundred documents call for an append; a transaction each would show as a change counter of 100.
    let (go, wait) = mpsc::channel::<()>();
    let held = Job::Inspect(Box::new(move |_| wait.recv().unwrap()));
    store.writes.as_ref().unwrap().send(held).ok().unwrap();
    let appends: Vec<_> = (0..100).map(|number| store.append(&number.to_string(), 1, vec![filler(10)])).collect();
    go.send(()).unwrap();
    for append in appends {
        append.await.unwrap();
    }
    // The first frame of every transaction that was written after the last checkpoint is in the log with the page count of its commit.
    let wal = fs::read(lab.path().with_extension("db-wal")).unwrap();
    let frames = wal[32..].chunks_exact(24 + 4096);
    let commits = frames.filter(|frame| frame[4..8] != [0; 4]).count();
    // One for the tables, one for the appends.
    assert_eq!(commits, 2);
}

#[tokio::test]
async fn a_full_disk_is_told_and_forgotten_when_there_is_space() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    store.append("d", 1, vec![filler(10)]).await.unwrap();
    let pages = on_writer(&store, |connection| {
        let used: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection.query_row(&format!("PRAGMA max_page_count={}", used + 4), [], |row| row.get::<_, i64>(0)).unwrap()
    });
    pages.await;
    let full = Err(StoreError::Full { file: lab.path().display().to_string().into() });
    // Two that cannot fit and one that does, in one group or not: the small one must come through.
    let (go, wait) = mpsc::channel::<()>();
    let held = Job::Inspect(Box::new(move |_| wait.recv().unwrap()));
    store.writes.as_ref().unwrap().send(held).ok().unwrap();
    let big = store.append("d", 2, vec![filler(100), filler(1 << 20)]);
    let small = store.append("small", 1, vec![filler(10)]);
    let snapshot = store.snapshot("d", 1, filler(1 << 20));
    go.send(()).unwrap();
    assert_eq!(big.await, full);
    small.await.unwrap();
    assert_eq!(snapshot.await, full);
    assert_eq!(store.recover("d").await.unwrap().rows, [(1, filler(10))], "nothing is half written");

    on_writer(&store, |connection| {
        connection.query_row("PRAGMA max_page_count=1000000", [], |row| row.get::<_, i64>(0)).unwrap()
    })
    .await;
    store.append("d", 2, vec![filler(100), filler(1 << 20)]).await.unwrap();
    store.snapshot("d", 1, filler(1 << 20)).await.unwrap();
    assert_eq!(store.recover("d").await.unwrap().head, 3);
}

#[test]
fn a_second_relay_is_kept_out_until_the_first_is_gone() {
    let mut lab = SqliteLab::new();
    let first = lab.open(1);
    let refusal = SqliteStore::open(&lab.path(), 2).unwrap_err();
    assert_eq!(refusal, StoreError::Locked { file: lab.path().display().to_string().into() });
    drop(first);
    lab.open(3);
}

#[tokio::test]
async fn a_power_cut_leaves_a_prefix_that_opens() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    for position in 1..=20 {
        store.append("d", position, vec![filler(3000)]).await.unwrap();
    }
    // What a disk would hold if the power went now and the log's end had not all arrived.
    let wal_path = lab.path().with_extension("db-wal");
    let (database, wal) = (fs::read(lab.path()).unwrap(), fs::read(&wal_path).unwrap());
    drop(store);
    let mut heads = Vec::new();
    for cut in (0..=wal.len()).rev().step_by(1777) {
        for file in lab.files() {
            fs::remove_file(file).unwrap();
        }
        fs::write(lab.path(), &database).unwrap();
        fs::write(&wal_path, &wal[..cut]).unwrap();
        let store = lab.open(2);
        let recovered = store.recover("d").await.unwrap();
        assert_eq!(recovered.rows, (1..=recovered.head).map(|position| (position, filler(3000))).collect::<Vec<_>>());
        heads.push(recovered.head);
    }
    assert!(heads.is_sorted_by(|longer, shorter| longer >= shorter), "{heads:?}");
    assert_eq!((heads[0], heads.last()), (20, Some(&0)));
}

#[tokio::test]
async fn damage_names_the_file_and_never_panics() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    store.append("d", 1, (0..50).map(|_| filler(500)).collect()).await.unwrap();
    store.snapshot("d", 10, filler(20_000)).await.unwrap();
    store.append("d", 51, (0..50).map(|_| filler(500)).collect()).await.unwrap();
    let whole = store.recover("d").await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let database = fs::read(lab.path()).unwrap();
    let name: Arc<str> = lab.path().display().to_string().into();

    let mut refused = 0;
    for at in (0..database.len()).step_by(97) {
        let mut damaged = database.clone();
        damaged[at] ^= 0x55;
        for file in lab.files() {
            fs::remove_file(file).unwrap();
        }
        fs::write(lab.path(), damaged).unwrap();
        let result = match SqliteStore::open(&lab.path(), 1) {
            Ok(store) => store.recover("d").await,
            Err(error) => Err(error),
        };
        match result {
            // The byte is one that nobody reads, or it is in the document's name, and then there is no such document.
            Ok(recovered) => {
                assert!(recovered.head == 0 || recovered.rows == whole.rows, "damage at {at} is shown to clients")
            }
            Err(
                StoreError::Corrupt { file, .. }
                | StoreError::Io { file, .. }
                | StoreError::Foreign { file }
                | StoreError::Version { file, .. },
            ) => {
                refused += 1;
                assert_eq!(file, name);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > database.len() / 97 / 2, "only {refused} noticed");
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let lab = SqliteLab::new();
    fs::create_dir_all(lab.path().parent().unwrap()).unwrap();

    let text = "Dear diary, ".repeat(1000);
    fs::write(lab.path(), &text).unwrap();
    assert!(matches!(SqliteStore::open(&lab.path(), 1), Err(StoreError::Corrupt { .. })));
    assert_eq!(fs::read_to_string(lab.path()).unwrap(), text);

    fs::remove_file(lab.path()).unwrap();
    Connection::open(lab.path()).unwrap().execute_batch("CREATE TABLE recipes(name TEXT)").unwrap();
    assert!(matches!(SqliteStore::open(&lab.path(), 1), Err(StoreError::Foreign { .. })));

    fs::remove_file(lab.path()).unwrap();
    drop(SqliteStore::open(&lab.path(), 1).unwrap());
    Connection::open(lab.path()).unwrap().execute("UPDATE meta SET value = 9", []).unwrap();
    let newer = StoreError::Version { file: lab.path().display().to_string().into(), found: 9, known: 1 };
    assert_eq!(SqliteStore::open(&lab.path(), 1).unwrap_err(), newer);
}

#[tokio::test]
async fn a_database_that_is_full_is_read_and_tried_until_there_is_space() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    store.append("d", 1, vec![filler(10)]).await.unwrap();
    store.append("filler", 1, vec![filler(1 << 20)]).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = SqliteStore::open_limited(&lab.path(), 2, Some(1 << 20)).unwrap();
    let full = StoreError::Full { file: lab.path().display().to_string().into() };
    assert_eq!(store.append("d", 2, vec![filler(100_000)]).await, Err(full.clone()));
    assert_eq!(store.reserve(100_000).await, Err(full));
    // It was not opened in this start, whose epoch has no place in its list, and is read all the same.
    let recovered = store.recover("d").await.unwrap();
    assert_eq!((recovered.rows, recovered.epochs.last().map(|epoch| epoch.id)), (vec![(1, filler(10))], Some(2)));

    store.delete("filler").await.unwrap();
    store.reserve(100_000).await.unwrap();
    let left = on_writer(&store, |connection| {
        connection.query_row("SELECT count(*) FROM snapshot", [], |row| row.get::<_, i64>(0)).unwrap()
    });
    assert_eq!(left.await, 0, "what was reserved is given back");
    store.append("d", 2, vec![filler(100_000)]).await.unwrap();
    assert_eq!(store.recover("d").await.unwrap().head, 2);
}

#[tokio::test]
async fn a_group_takes_no_more_than_its_limit() {
    let mut lab = SqliteLab::new();
    let store = lab.open(1);
    let (go, wait) = mpsc::channel::<()>();
    let held = Job::Inspect(Box::new(move |_| wait.recv().unwrap()));
    store.writes.as_ref().unwrap().send(held).ok().unwrap();
    // Three of three mebibytes, and small ones: no two of the long ones fit into one group of four.
    let appends: Vec<_> = (0..6)
        .map(|number| {
            let length = if number % 2 == 0 { 3 << 20 } else { 10 };
            store.append(&number.to_string(), 1, vec![filler(length)])
        })
        .collect();
    go.send(()).unwrap();
    for append in appends {
        append.await.unwrap();
    }
    let wal = fs::read(lab.path().with_extension("db-wal")).unwrap();
    let frames = wal[32..].chunks_exact(24 + 4096);
    let commits = frames.filter(|frame| frame[4..8] != [0; 4]).count();
    // A checkpoint may have begun the log anew; it never makes commits more.
    assert!((1..=4).contains(&commits), "{commits}");
    for number in 0..6 {
        assert_eq!(store.recover(&number.to_string()).await.unwrap().head, 1);
    }
}
