//! Clients that meet at a relay.

use std::time::Duration;

use tempfile::tempdir;
use weftline::sync::Retry;
use weftline_relay::{Config, Relay, StoreChoice};

use super::client::Client;

pub(crate) fn config(store: StoreChoice) -> Config {
    let mut config = Config::new(store);
    config.listen = ([127, 0, 0, 1], 0).into();
    config.room_idle = Duration::ZERO;
    config
}

#[tokio::test]
async fn two_clients_converge_in_one_document_and_a_third_reads_it_later() {
    let relay = Relay::bind(config(StoreChoice::Memory)).await.unwrap();
    let (mut one, mut two) = (Client::new("todo/shared"), Client::new("todo/shared"));
    // Both write before they meet.
    one.put("a", "from one");
    two.put("b", "from two");
    one.connect(relay.local_addr()).await;
    two.connect(relay.local_addr()).await;
    one.until_synced().await;
    two.until_synced().await;
    one.until("one has two's", |one| one.get("b").is_some()).await;
    two.until("two has one's", |two| two.get("a").is_some()).await;

    // One is away while the other goes on.
    one.cut();
    one.put("a", "offline");
    for number in 0..50 {
        two.put("b", number);
    }
    two.until_synced().await;
    one.connect(relay.local_addr()).await;
    one.until_synced().await;
    two.until("two has what one wrote offline", |two| two.get("a") == Some("offline".into())).await;
    assert_eq!(one.get("b"), Some(49.into()));
    assert_eq!(one.replica.document().version(), two.replica.document().version());

    let mut late = Client::new("todo/shared");
    late.connect(relay.local_addr()).await;
    late.until_live().await;
    assert_eq!((late.get("a"), late.get("b")), (Some("offline".into()), Some(49.into())));
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn documents_are_apart_and_leave_memory_with_their_last_client() {
    let relay = Relay::bind(config(StoreChoice::Memory)).await.unwrap();
    let (mut one, mut two) = (Client::new("one"), Client::new("two"));
    for client in [&mut one, &mut two] {
        client.connect(relay.local_addr()).await;
        client.put("key", "value");
        client.until_synced().await;
    }
    assert_eq!(relay.registry().open_rooms(), 2);
    one.cut();
    relay.registry().closed("one").await;
    assert_eq!(relay.registry().open_rooms(), 1);

    let mut again = Client::new("one");
    again.connect(relay.local_addr()).await;
    again.until_live().await;
    assert_eq!(again.keys(), 1);
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn cur_1_a_cursor_is_good_across_a_restart_that_lost_nothing() {
    let directory = tempdir().unwrap();
    let store = StoreChoice::Sqlite(directory.path().join("relay.db"));
    let (mut one, mut two) = (Client::new("d"), Client::new("d"));
    for round in 0..3u32 {
        let relay = Relay::bind(config(store.clone())).await.unwrap();
        one.connect(relay.local_addr()).await;
        two.connect(relay.local_addr()).await;
        one.put(&format!("one/{round}"), round);
        two.put(&format!("two/{round}"), round);
        one.until_synced().await;
        two.until_synced().await;
        for client in [&mut one, &mut two] {
            client.until("everything is everywhere", |client| client.keys() == 2 * (round as usize + 1)).await;
        }
        relay.shutdown().await.unwrap();
        for client in [&mut one, &mut two] {
            client.until("told to come back", |client| !client.is_connected()).await;
            let wait = client.sent_away.and_then(Retry::delay_ms).expect("a stopping relay says when to come back");
            assert!(wait <= 3_000);
        }
    }
}

#[tokio::test]
async fn a_document_larger_than_a_frame_passes_in_pieces() {
    let relay = Relay::bind(config(StoreChoice::Memory)).await.unwrap();
    let mut writer = Client::new("large");
    writer.connect(relay.local_addr()).await;
    writer.put("large", "x".repeat(3 << 20));
    for number in 0..40 {
        writer.put(&number.to_string(), "y".repeat(100_000));
    }
    writer.until_synced().await;
    let mut reader = Client::new("large");
    reader.connect(relay.local_addr()).await;
    reader.until_live().await;
    assert_eq!(reader.keys(), 41);
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_document_compacts_while_it_is_in_use() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("relay.db");
    let relay = Relay::bind(config(StoreChoice::Sqlite(path.clone()))).await.unwrap();
    let (mut writer, mut watcher) = (Client::new("d"), Client::new("d"));
    writer.connect(relay.local_addr()).await;
    watcher.connect(relay.local_addr()).await;
    watcher.until_live().await;
    // Eight megabytes of history of one register.
    for number in 0..80 {
        writer.put("key", format!("{number} {}", "z".repeat(100_000)));
        writer.until_synced().await;
    }
    watcher.until("the last write", |watcher| watcher.get("key") == writer.get("key")).await;
    relay.shutdown().await.unwrap();

    let store = weftline_relay::store::SqliteStore::open(&path, 1).unwrap();
    let info = weftline_relay::store::Store::documents(&store).await.unwrap().remove(0);
    assert!(info.floor > 0, "{info:?}");
    assert!(info.log_bytes + info.snapshot_bytes < 500_000, "{info:?}");
    drop(store);

    let relay = Relay::bind(config(StoreChoice::Sqlite(path))).await.unwrap();
    let mut late = Client::new("d");
    late.connect(relay.local_addr()).await;
    late.until_live().await;
    assert_eq!(late.get("key"), writer.get("key"));
    relay.shutdown().await.unwrap();
}
