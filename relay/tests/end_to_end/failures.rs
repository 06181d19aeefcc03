//! Stores that fail, and documents that cannot be read.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};
use tokio::sync::watch;
use tokio::time::Instant;
use weftline::sync::{CloseReason, Link, NackReason};
use weftline_relay::store::{
    DocumentInfo, MemoryStore, Mode, Pending, Position, Recovered, SqliteStore, Store, StoreError, Tail,
};
use weftline_relay::{Relay, StoreChoice};

use super::client::{Client, now};
use super::convergence::config;

/// A store whose disk is full for a while, and which has a bug.
pub(crate) struct Faulty {
    store: MemoryStore,
    pub(crate) is_full: AtomicBool,
    /// Its disk fails.
    is_failing: AtomicBool,
    /// Whether what is appended to [`SLOW`] is written at last, and how often something was to be.
    is_written: watch::Sender<bool>,
    slow_appends: AtomicUsize,
    /// How often a document was opened.
    recoveries: AtomicUsize,
    /// How often it was tried whether there is space again.
    tries: watch::Sender<usize>,
}

/// Appending to this document panics.
const CURSED: &str = "cursed";

/// Appending to this document takes until the test says so.
const SLOW: &str = "slow";

impl Faulty {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Faulty {
            store: MemoryStore::new(1),
            is_full: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            is_written: watch::Sender::new(false),
            slow_appends: AtomicUsize::new(0),
            recoveries: AtomicUsize::new(0),
            tries: watch::Sender::new(0),
        })
    }

    fn full(&self) -> Result<(), StoreError> {
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Io { file: "relay.db".into(), detail: "disk I/O error".into() });
        }
        if self.is_full.load(Ordering::SeqCst) { Err(StoreError::Full { file: "relay.db".into() }) } else { Ok(()) }
    }
}

impl Store for Faulty {
    fn is_durable(&self) -> bool {
        true
    }

    fn recover(&self, document: &str) -> Pending<Recovered> {
        self.recoveries.fetch_add(1, Ordering::SeqCst);
        self.store.recover(document)
    }

    fn append(&self, document: &str, first_position: Position, rows: Vec<Bytes>) -> Pending<()> {
        assert_ne!(document, CURSED, "this is the bug");
        match self.full() {
            Ok(()) if document == SLOW => {
                self.slow_appends.fetch_add(1, Ordering::SeqCst);
                let (store, mut is_written) = (self.store.clone(), self.is_written.subscribe());
                let append = async move {
                    is_written.wait_for(|is_written| *is_written).await.unwrap();
                    store.append(SLOW, first_position, rows).await
                };
                append.boxed()
            }
            Ok(()) => self.store.append(document, first_position, rows),
            Err(full) => ready(Err(full)).boxed(),
        }
    }

    fn reserve(&self, _: usize) -> Pending<()> {
        self.tries.send_modify(|tries| *tries += 1);
        ready(self.full()).boxed()
    }

    fn snapshot(&self, document: &str, upto: Position, bytes: Bytes) -> Pending<()> {
        self.store.snapshot(document, upto, bytes)
    }

    fn read(&self, document: &str, after: Position, max_bytes: usize) -> Pending<Tail> {
        self.store.read(document, after, max_bytes)
    }

    fn documents(&self) -> Pending<Vec<DocumentInfo>> {
        self.store.documents()
    }

    fn documents_after(&self, name: &str, most: usize) -> Pending<Vec<DocumentInfo>> {
        self.store.documents_after(name, most)
    }

    fn document(&self, name: &str) -> Pending<Option<DocumentInfo>> {
        self.store.document(name)
    }

    fn set_mode(&self, document: &str, mode: Mode) -> Pending<()> {
        self.store.set_mode(document, mode)
    }

    fn modes(&self) -> Pending<Vec<(Arc<str>, Mode)>> {
        self.store.modes()
    }

    fn probe(&self) -> Pending<()> {
        match self.full() {
            Ok(()) => self.store.probe(),
            Err(full) => ready(Err(full)).boxed(),
        }
    }

    fn delete(&self, document: &str) -> Pending<bool> {
        self.store.delete(document)
    }

    fn close(&self) -> Pending<()> {
        self.store.close()
    }
}

/// The reason and the time with which its last edit was refused.
fn refusal(client: &Client) -> Option<(NackReason, Option<u32>)> {
    client.replica.status().refused.map(|refused| (refused.reason, refused.retry.delay_ms()))
}

#[tokio::test]
async fn ref_2_while_the_disk_is_full_edits_are_refused_reading_goes_on_and_no_room_is_closed_twice() {
    in_trouble(|store| &store.is_full, CloseReason::StorageFull, NackReason::StorageFull).await;
}

#[tokio::test]
async fn ref_2_while_the_disk_fails_the_same_is_so() {
    in_trouble(|store| &store.is_failing, CloseReason::Storage, NackReason::Storage).await;
}

async fn in_trouble(trouble: impl Fn(&Faulty) -> &AtomicBool, closes: CloseReason, refuses: NackReason) {
    let store = Faulty::new();
    let relay = Relay::bind_with(config(StoreChoice::Memory), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let (mut writer, mut watcher, mut elsewhere) = (Client::new("d"), Client::new("d"), Client::new("other"));
    for client in [&mut writer, &mut watcher, &mut elsewhere] {
        client.connect(relay.local_addr()).await;
        client.put("before", 1);
        client.until_synced().await;
    }
    watcher.until("there it is", |watcher| watcher.keys() == 1).await;
    let opened = store.recoveries.load(Ordering::SeqCst);

    trouble(&store).store(true, Ordering::SeqCst);
    writer.put("key", "value");
    // The room is ahead of the disk: it shows nothing of that, and is read again from there, once.
    for client in [&mut writer, &mut watcher] {
        client.until("sent away", |client| !client.is_connected()).await;
        let closed = client.replica.status().closed.expect("it is told why");
        assert_eq!(closed.reason, closes);
        assert!(closed.retry.delay_ms().is_some_and(|ms| ms >= 500), "{closed:?}");
        client.connect(relay.local_addr()).await;
    }
    // From now on edits are refused with the reason and a time, in this document and in others, and nobody is sent away.
    let refused = |client: &Client| refusal(client).is_some();
    writer.until("refused", refused).await;
    elsewhere.put("key", "value");
    elsewhere.until("refused", refused).await;
    for client in [&writer, &elsewhere] {
        let Some((reason, Some(ms))) = refusal(client) else { panic!("{:?}", refusal(client)) };
        assert!(reason == refuses && (1_000..2_000).contains(&ms), "{reason:?} {ms}");
        let status = client.replica.status();
        assert_eq!((status.link, status.unsaved, status.stuck), (Link::Live, 1, 0));
    }
    // What is stored is read, also by those who come now, and presence goes on.
    let mut late = Client::new("d");
    late.connect(relay.local_addr()).await;
    late.put("too", "late");
    late.until("refused", refused).await;
    late.until("caught up", |late| late.get("before") == Some(1.into())).await;
    late.replica.set_presence(now(), Some(b"here")).unwrap();
    late.transmit().await;
    watcher.until("it sees the other", |watcher| watcher.replica.presences().count() == 1).await;
    assert_eq!(watcher.keys(), 1);
    // It is tried again, and edits are, in vain.
    let mut tries = store.tries.subscribe();
    let before = *tries.borrow_and_update();
    tries.wait_for(|tries| *tries >= before + 3).await.unwrap();
    writer.put("more", 1);
    let since = store.recoveries.load(Ordering::SeqCst) - opened;
    assert_eq!(since, 1, "one document was opened again, once");

    // There is space again: everything arrives, on the same connections.
    trouble(&store).store(false, Ordering::SeqCst);
    for client in [&mut writer, &mut elsewhere, &mut late] {
        client.until_synced().await;
        assert_eq!((client.sent_away, refusal(client)), (None, None));
    }
    watcher.until("everything", |watcher| watcher.keys() == 4).await;
    assert_eq!(
        (watcher.sent_away, watcher.get("key"), watcher.get("too")),
        (None, Some("value".into()), Some("late".into()))
    );
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ack_1_a_database_that_is_full_loses_nothing_that_was_acknowledged_and_takes_the_rest_when_there_is_space() {
    let directory = tempdir().unwrap();
    let store = Arc::new(SqliteStore::open_limited(&directory.path().join("relay.db"), 1, Some(2 << 20)).unwrap());
    let filler = vec![0; 1 << 20];
    store.append("filler", 1, vec![filler.into()]).await.unwrap();
    let free = Arc::clone(&store);
    full_for_a_while(store, async move || assert_eq!(free.delete("filler").await, Ok(true))).await;

    // The same on a disk that really is full, where one can be made for it.
    let Some(disk) = SmallDisk::new("size=6m") else { return };
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![1; 4 << 20]).unwrap();
    let store = Arc::new(SqliteStore::open(&disk.0.path().join("relay.db"), 1).unwrap());
    full_for_a_while(store, async || std::fs::remove_file(&filler).unwrap()).await;
}

/// A small disk of its own, in memory, until it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Only root may make one.
    fn new(size: &str) -> Option<Self> {
        let directory = tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", size, "none"]).arg(directory.path()).output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(SmallDisk(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = Command::new("umount").arg(self.0.path()).status();
        assert!(unmount.is_ok_and(|status| status.success()), "the disk is still in use");
    }
}

/// Three clients write to two documents until nothing more can be stored; then there is space again.
async fn full_for_a_while(store: Arc<SqliteStore>, free: impl AsyncFnOnce()) {
    let relay = Relay::bind_with(config(StoreChoice::Memory), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let mut writers = [Client::new("one"), Client::new("one"), Client::new("two")];
    let mut written = [0; 3];
    for writer in &mut writers {
        writer.connect(relay.local_addr()).await;
        writer.until_live().await;
    }
    // Until all of them are refused, whatever they were told before.
    while !writers.iter().all(|writer| matches!(refusal(writer), Some((NackReason::StorageFull, Some(_))))) {
        for (number, writer) in writers.iter_mut().enumerate() {
            if !writer.is_connected() {
                let reason = writer.replica.status().closed.map(|closed| closed.reason);
                assert_eq!(reason, Some(CloseReason::StorageFull));
                writer.connect(relay.local_addr()).await;
            }
            writer.put(&format!("{number}/{}", written[number]), "v".repeat(20_000));
            written[number] += 1;
            writer
                .until("taken or refused", |writer| {
                    !writer.is_connected() || writer.is_synced() || refusal(writer).is_some()
                })
                .await;
        }
    }
    let acknowledged: Vec<usize> = writers.iter().map(Client::acknowledged).collect();
    assert!(acknowledged.iter().sum::<usize>() > 10, "{acknowledged:?}");
    // What was acknowledged is what somebody finds who comes now.
    for (name, count) in [("one", acknowledged[0] + acknowledged[1]), ("two", acknowledged[2])] {
        let mut reader = Client::new(name);
        reader.connect(relay.local_addr()).await;
        reader.until_live().await;
        reader.until("what was acknowledged is there", |reader| reader.keys() >= count).await;
    }

    // All that waits arrives when there is space.
    free().await;
    for writer in &mut writers {
        if !writer.is_connected() {
            writer.connect(relay.local_addr()).await;
        }
        writer.until_synced().await;
    }
    for (name, count) in [("one", written[0] + written[1]), ("two", written[2])] {
        let mut reader = Client::new(name);
        reader.connect(relay.local_addr()).await;
        reader.until("all of it is there", |reader| reader.keys() == count).await;
    }
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn ack_1_a_slow_disk_makes_one_commit_of_all_that_waits_and_holds_up_no_other_document() {
    let store = Faulty::new();
    let relay = Relay::bind_with(config(StoreChoice::Memory), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let (mut writer, mut watcher, mut elsewhere) = (Client::new(SLOW), Client::new(SLOW), Client::new("other"));
    for client in [&mut writer, &mut watcher, &mut elsewhere] {
        client.connect(relay.local_addr()).await;
        client.until_live().await;
    }
    for number in 0..50 {
        writer.put(&number.to_string(), number);
        writer.transmit().await;
    }
    // What is shown waits for no commit, and comes behind the edits.
    writer.replica.set_presence(now(), Some(b"written")).unwrap();
    writer.transmit().await;
    watcher.until("the edits are at the relay", |watcher| watcher.replica.presences().count() == 1).await;
    assert_eq!((watcher.keys(), writer.acknowledged()), (0, 0), "nothing of them is stored");
    for number in 0..20 {
        elsewhere.put(&number.to_string(), number);
        elsewhere.until_synced().await;
    }
    assert_eq!(store.slow_appends.load(Ordering::SeqCst), 1, "the first, at once and alone");

    store.is_written.send_replace(true);
    writer.until_synced().await;
    watcher.until("everything", |watcher| watcher.keys() == 50).await;
    assert_eq!(store.slow_appends.load(Ordering::SeqCst), 2, "then all that waited");
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bug_that_one_document_brings_out_closes_that_document_only_and_twice_puts_it_aside() {
    let store = Faulty::new();
    let relay = Relay::bind_with(config(StoreChoice::Memory), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let mut sound = Client::new("sound");
    sound.connect(relay.local_addr()).await;
    sound.until_live().await;
    let mut reasons = Vec::new();
    for _ in 0..4 {
        let mut cursed = Client::new(CURSED);
        cursed.put("key", "value");
        cursed.connect(relay.local_addr()).await;
        cursed.until("sent away", |cursed| !cursed.is_connected()).await;
        assert_eq!(cursed.acknowledged(), 0);
        let closed = cursed.replica.status().closed.expect("it is told why");
        reasons.push(closed.reason);
        assert!(closed.retry.delay_ms().is_some(), "{closed:?}");
    }
    let aside = CloseReason::Quarantined;
    assert_eq!(reasons, [CloseReason::Restart, aside, aside, aside]);
    assert_eq!(store.recoveries.load(Ordering::SeqCst), 3, "what is aside is not opened");
    let quarantine = relay.registry().quarantine();
    let [aside] = &quarantine.list(Instant::now())[..] else { panic!("one") };
    assert!(&*aside.document == CURSED && aside.why.contains("this is the bug"), "{aside:?}");
    sound.put("key", "value");
    sound.until_synced().await;

    // Released, it is opened for those who ask.
    assert!(quarantine.release(CURSED));
    let mut again = Client::new(CURSED);
    again.connect(relay.local_addr()).await;
    again.until_live().await;
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_damaged_document_is_refused_and_others_do_not_notice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("relay.db");
    let relay = Relay::bind(config(StoreChoice::Sqlite(path.clone()))).await.unwrap();
    for name in ["damaged", "nonsense", "sound"] {
        let mut client = Client::new(name);
        client.connect(relay.local_addr()).await;
        client.put("key", name);
        client.until_synced().await;
    }
    relay.shutdown().await.unwrap();

    let database = Connection::open(&path).unwrap();
    let of = "document = (SELECT id FROM document WHERE name = ?1)";
    database.execute(&format!("UPDATE log SET checksum = checksum + 1 WHERE {of}"), ["damaged"]).unwrap();
    // A row whose storage is in order, and whose content is no row.
    let nonsense = b"\x03\x00\x00\x00abc";
    database
        .execute(
            &format!("UPDATE log SET checksum = ?2, bytes = ?3 WHERE {of}"),
            rusqlite::params!["nonsense", crc32fast::hash(nonsense), nonsense],
        )
        .unwrap();
    drop(database);

    let relay = Relay::bind(config(StoreChoice::Sqlite(path.clone()))).await.unwrap();
    let mut sound = Client::new("sound");
    sound.connect(relay.local_addr()).await;
    sound.until_live().await;
    for name in ["damaged", "nonsense", "damaged"] {
        let mut client = Client::new(name);
        client.connect(relay.local_addr()).await;
        client.until("sent away", |client| !client.is_connected()).await;
        assert_eq!(client.keys(), 0);
        let closed = client.replica.status().closed.expect("it is told why");
        assert_eq!(closed.reason, CloseReason::Quarantined);
    }
    let aside: Vec<_> =
        relay.registry().quarantine().list(Instant::now()).into_iter().map(|aside| aside.document).collect();
    assert_eq!(aside, ["damaged".into(), "nonsense".into()]);
    sound.put("more", 1);
    sound.until_synced().await;
    assert_eq!(sound.keys(), 2);
    relay.shutdown().await.unwrap();

    // What is stored of them is as it was: the one whose bytes are put right is read again.
    let database = Connection::open(&path).unwrap();
    database.execute(&format!("UPDATE log SET checksum = checksum - 1 WHERE {of}"), ["damaged"]).unwrap();
    drop(database);
    let relay = Relay::bind(config(StoreChoice::Sqlite(path))).await.unwrap();
    let mut repaired = Client::new("damaged");
    repaired.connect(relay.local_addr()).await;
    repaired.until("it is read", |repaired| repaired.get("key") == Some("damaged".into())).await;
    relay.shutdown().await.unwrap();
}
