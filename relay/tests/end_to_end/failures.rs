//! Stores that fail, and documents that cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use rusqlite::Connection;
use tempfile::tempdir;
use weftline_relay::store::{DocumentInfo, MemoryStore, Mode, Pending, Position, Recovered, Store, StoreError, Tail};
use weftline_relay::{Relay, StoreChoice};

use super::client::Client;
use super::convergence::config;

/// A store whose disk is full for a while, and which has a bug.
pub(crate) struct Faulty {
    store: MemoryStore,
    /// How many appends still fail.
    pub(crate) failing: AtomicUsize,
}

/// Appending to this document panics.
const CURSED: &str = "cursed";

impl Faulty {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Faulty { store: MemoryStore::new(1), failing: AtomicUsize::new(0) })
    }
}

impl Store for Faulty {
    fn is_durable(&self) -> bool {
        true
    }

    fn recover(&self, document: &str) -> Pending<Recovered> {
        self.store.recover(document)
    }

    fn append(&self, document: &str, first_position: Position, rows: Vec<Bytes>) -> Pending<()> {
        assert_ne!(document, CURSED, "this is the bug");
        let failing = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match failing {
            Ok(_) => ready(Err(StoreError::Full { file: "relay.db".into() })).boxed(),
            Err(_) => self.store.append(document, first_position, rows),
        }
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
        match self.failing.load(Ordering::SeqCst) {
            0 => self.store.probe(),
            _ => ready(Err(StoreError::Full { file: "relay.db".into() })).boxed(),
        }
    }

    fn delete(&self, document: &str) -> Pending<bool> {
        self.store.delete(document)
    }

    fn close(&self) -> Pending<()> {
        self.store.close()
    }
}

#[tokio::test]
async fn fan_1_a_commit_that_fails_is_shown_to_nobody_and_tried_again_by_the_client() {
    let store = Faulty::new();
    let relay = Relay::bind_with(config(StoreChoice::Memory), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let (mut writer, mut watcher) = (Client::new("d"), Client::new("d"));
    for client in [&mut writer, &mut watcher] {
        client.connect(relay.local_addr()).await;
        client.until_live().await;
    }

    store.failing.store(3, Ordering::SeqCst);
    writer.put("key", "value");
    for _ in 0..3 {
        writer.until("sent away", |writer| !writer.is_connected()).await;
        assert_eq!(writer.acknowledged(), 0);
        writer.connect(relay.local_addr()).await;
    }
    // The room that failed has closed everybody in it, and has shown nothing.
    watcher.until("sent away", |watcher| !watcher.is_connected()).await;
    assert_eq!(watcher.keys(), 0);

    writer.until_synced().await;
    watcher.connect(relay.local_addr()).await;
    watcher.until("there it is", |watcher| watcher.keys() == 1).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bug_that_one_document_brings_out_closes_that_document_only() {
    let relay = Relay::bind_with(config(StoreChoice::Memory), Faulty::new()).await.unwrap();
    let mut sound = Client::new("sound");
    sound.connect(relay.local_addr()).await;
    sound.until_live().await;
    for _ in 0..2 {
        let mut cursed = Client::new(CURSED);
        cursed.put("key", "value");
        cursed.connect(relay.local_addr()).await;
        cursed.until("sent away", |cursed| !cursed.is_connected()).await;
        assert_eq!(cursed.acknowledged(), 0);
    }
    sound.put("key", "value");
    sound.until_synced().await;
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

    let relay = Relay::bind(config(StoreChoice::Sqlite(path))).await.unwrap();
    let mut sound = Client::new("sound");
    sound.connect(relay.local_addr()).await;
    sound.until_live().await;
    for name in ["damaged", "nonsense", "damaged"] {
        let mut client = Client::new(name);
        client.connect(relay.local_addr()).await;
        client.until("sent away", |client| !client.is_connected()).await;
        assert_eq!(client.keys(), 0);
    }
    sound.put("more", 1);
    sound.until_synced().await;
    assert_eq!(sound.keys(), 2);
    relay.shutdown().await.unwrap();
}
