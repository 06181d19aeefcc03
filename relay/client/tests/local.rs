//! A replica without a relay: what it stores, what it promises, who may use a store at once.

use std::fs;
use std::path::Path;
use std::time::Duration;
use weftline_client::weftline::{EditError, Value};
use weftline_client::{ClientConfig, Link, OpenError, Replica, Store, StoreError, Update};

async fn open(folder: &Path) -> Replica {
    Replica::open(ClientConfig::new("todo/test").folder(folder)).await.unwrap()
}

fn put(replica: &Replica, key: &str, value: &str) {
    replica.transact(|tx| tx.map("root")?.put(key, value)).unwrap();
}

fn get(replica: &Replica, key: &str) -> Option<String> {
    let value = replica.read(|document| document.map("root").get(key));
    value.and_then(|value| value.as_str().map(str::to_owned))
}

#[tokio::test]
async fn an_edit_is_visible_at_once_and_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    put(&replica, "milk", "2 bottles");
    assert_eq!(get(&replica, "milk").as_deref(), Some("2 bottles"));
    replica.flushed().await.unwrap();
    assert_eq!((replica.status().unstored, replica.status().unsaved), (0, 1));
    replica.close().await.unwrap();

    let replica = open(folder.path()).await;
    assert_eq!(get(&replica, "milk").as_deref(), Some("2 bottles"));
    let status = replica.status();
    assert_eq!((status.link, status.unsaved, status.unstored), (Link::Offline, 1, 0), "the outbox came back too");
}

#[tokio::test]
async fn dur_1_what_was_flushed_survives_a_program_that_ends_without_a_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    for number in 0..20 {
        put(&replica, "milk", &number.to_string());
    }
    replica.flushed().await.unwrap();
    // The files as they are at this moment, while the program still runs.
    for entry in fs::read_dir(folder.path().join("todo%2Ftest/slot-0")).unwrap() {
        let entry = entry.unwrap();
        let slot = copy.path().join("todo%2Ftest/slot-0");
        fs::create_dir_all(&slot).unwrap();
        fs::copy(entry.path(), slot.join(entry.file_name())).unwrap();
    }
    let revived = open(copy.path()).await;
    assert_eq!(get(&revived, "milk").as_deref(), Some("19"));
    assert_eq!(revived.status().unsaved, 20);
}

#[tokio::test]
async fn id_3_a_restart_continues_the_replica_id_and_a_second_program_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let writers = |replica: &Replica| replica.read(|document| document.version().len());
    let replica = open(folder.path()).await;
    put(&replica, "a", "1");
    replica.close().await.unwrap();
    let replica = open(folder.path()).await;
    put(&replica, "b", "2");
    assert_eq!(writers(&replica), 1);

    let second = open(folder.path()).await;
    put(&second, "c", "3");
    assert_eq!((writers(&replica), writers(&second)), (1, 2));
    replica.close().await.unwrap();
    second.close().await.unwrap();

    let third = open(folder.path()).await;
    let all = ["a", "b", "c"].map(|key| get(&third, key));
    assert_eq!(all, [Some("1".to_owned()), Some("2".to_owned()), Some("3".to_owned())]);
    assert_eq!(third.status().unsaved, 3, "the outbox of the other slot is ours to send");
    put(&third, "d", "4");
    assert_eq!(writers(&third), 2);
}

#[tokio::test]
async fn a_second_program_sees_what_the_first_has_stored_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    put(&first, "milk", "yes");
    first.flushed().await.unwrap();
    assert_eq!(get(&open(folder.path()).await, "milk").as_deref(), Some("yes"));
}

#[tokio::test]
async fn a_long_history_is_compacted_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    for number in 0..400 {
        put(&replica, "milk", &format!("{number} {}", "x".repeat(400)));
        if number % 50 == 0 {
            replica.flushed().await.unwrap();
        }
    }
    put(&replica, "bread", "1");
    replica.close().await.unwrap();
    let slot = folder.path().join("todo%2Ftest/slot-0");
    let snapshots = fs::read_dir(&slot)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("snapshot-"));
    assert_eq!(snapshots.count(), 1);
    let replica = open(folder.path()).await;
    assert!(get(&replica, "milk").unwrap().starts_with("399 "));
    assert_eq!(get(&replica, "bread").as_deref(), Some("1"));
    assert_eq!(replica.status().unsaved, 401, "a compaction empties no outbox");
}

#[tokio::test]
async fn changes_are_told_to_whoever_listens() {
    let replica = Replica::open(ClientConfig::new("a")).await.unwrap();
    let mut changes = replica.changes();
    put(&replica, "milk", "yes");
    let Some(Update::Changes(batch)) = changes.next().await else { panic!("a batch was sent") };
    assert_eq!(batch.list.len(), 1);
    drop(replica);
    assert_eq!(changes.next().await, None);
}

#[tokio::test]
async fn the_changes_end_when_the_replica_is_closed_although_a_handle_is_left() {
    let replica = Replica::open(ClientConfig::new("a")).await.unwrap();
    let (handle, mut changes) = (replica.clone(), replica.changes());
    put(&replica, "milk", "yes");
    replica.close().await.unwrap();
    let read = async { (changes.next().await, changes.next().await) };
    let (batch, end) = tokio::time::timeout(Duration::from_secs(10), read).await.expect("it ends");
    assert!(matches!(batch, Some(Update::Changes(_))), "what came before is still told");
    assert_eq!(end, None);
    assert_eq!(handle.changes().next().await, None);
}

#[tokio::test]
async fn a_transaction_that_fails_or_panics_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    put(&replica, "milk", "yes");
    let failed = replica.transact(|tx| {
        tx.map("root")?.put("milk", "no")?;
        Err::<(), EditError>(EditError::Gone)
    });
    assert_eq!(failed, Err(EditError::Gone));
    let panicking = {
        let replica = replica.clone();
        move || {
            replica.transact(|tx| -> Result<(), EditError> {
                tx.map("root")?.put("milk", "no")?;
                panic!("the application's own mistake")
            })
        }
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
    assert_eq!(get(&replica, "milk").as_deref(), Some("yes"));
    put(&replica, "milk", "again");
    assert_eq!(get(&replica, "milk").as_deref(), Some("again"));
}

#[tokio::test]
async fn a_transaction_inside_a_transaction_is_an_error_and_not_a_deadlock() {
    let replica = Replica::open(ClientConfig::new("a")).await.unwrap();
    let inner = replica.transact(|_| Ok::<_, EditError>(replica.transact(|tx| tx.map("root")?.put("a", "b")))).unwrap();
    assert_eq!(inner, Err(EditError::InTransaction));
    let other = Replica::open(ClientConfig::new("b")).await.unwrap();
    let value = replica.transact(|_| Ok::<_, EditError>(other.read(|document| document.map("root").get("a")))).unwrap();
    assert_eq!(value, None::<Value>, "another replica may be used");
}

#[tokio::test]
async fn a_closed_replica_reads_and_edits_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    let handle = replica.clone();
    put(&replica, "milk", "yes");
    replica.close().await.unwrap();
    assert_eq!(get(&handle, "milk").as_deref(), Some("yes"));
    assert_eq!(handle.transact(|tx| tx.map("root")?.put("milk", "no")), Err(EditError::NoWriter));
    // The slot was given back although a handle is still there.
    let again = open(folder.path()).await;
    assert!(folder.path().join("todo%2Ftest/slot-0").is_dir() && !folder.path().join("todo%2Ftest/slot-1").exists());
    assert_eq!(get(&again, "milk").as_deref(), Some("yes"));
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let bad = |address: &str| Replica::open(ClientConfig::new("a").relay(address));
    for address in ["", "http://relay.example", "relay.example:8787", "wss://relay.example", "ws://"] {
        assert!(matches!(bad(address).await, Err(OpenError::BadAddress { .. })), "{address}");
    }
    let folder = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    put(&replica, "milk", "yes");
    replica.flushed().await.unwrap();
    put(&replica, "milk", "no");
    replica.close().await.unwrap();
    let log = folder.path().join("todo%2Ftest/slot-0/log-0");
    let mut bytes = fs::read(&log).unwrap();
    bytes[30] ^= 1;
    fs::write(&log, bytes).unwrap();
    match Replica::open(ClientConfig::new("todo/test").folder(folder.path())).await {
        Err(OpenError::Store(StoreError::Corrupt { path, offset, .. })) => assert_eq!((path, offset), (log, 16)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(Replica::open(ClientConfig::new("")).await, Err(OpenError::Records { .. })));
}

#[tokio::test]
async fn a_relay_that_is_not_there_shows_in_the_status_and_stops_nothing() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = ClientConfig::new("a").relay(format!("ws://127.0.0.1:{port}")).store(Store::Memory);
    let replica = Replica::open(config).await.unwrap();
    put(&replica, "milk", "yes");
    let mut status = replica.watch_status();
    let failed = status.wait_for(|status| status.error.is_some()).await.unwrap().clone();
    assert_eq!((failed.link, failed.unsaved), (Link::Offline, 1));
    let error = failed.error.unwrap();
    assert!(error.contains(&format!("the relay at 127.0.0.1:{port} cannot be reached")), "{error}");
    let not_synced = replica.synced(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(not_synced.to_string(), "not everything is saved at the relay yet (edits waiting: 1)");
    replica.close().await.unwrap();
}

#[tokio::test]
async fn dur_6_a_store_that_fails_is_reported_and_used_again_when_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let replica = open(folder.path()).await;
    let mut status = replica.watch_status();
    // Where the next snapshot is to be written there is something that cannot be replaced by a file.
    let obstacle = folder.path().join("todo%2Ftest/slot-0/snapshot.unfinished");
    fs::create_dir(&obstacle).unwrap();
    put(&replica, "large", &"x".repeat(100_000));
    let failed = status.wait_for(|status| status.error.is_some()).await.unwrap().clone();
    assert!(failed.error.unwrap().contains("snapshot.unfinished"));
    put(&replica, "milk", "yes");
    assert_eq!(get(&replica, "milk").as_deref(), Some("yes"), "edits go on in memory");
    assert!(replica.flushed().await.is_err());

    fs::remove_dir(&obstacle).unwrap();
    status.wait_for(|status| status.error.is_none() && status.unstored == 0).await.unwrap();
    replica.flushed().await.unwrap();
    replica.close().await.unwrap();
    assert_eq!(get(&open(folder.path()).await, "milk").as_deref(), Some("yes"));
}
