//! Native replicas, a real relay and real sockets on loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weftline_client::weftline::Kind;
use weftline_client::{ClientConfig, Link, NackReason, Replica, Update};
use weftline_relay::store::{SqliteStore, Store};
use weftline_relay::{Config, Relay, StoreChoice};

/// Far longer than anything here takes: a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited for too long: {what}"))
}

async fn relay(store: StoreChoice, listen: SocketAddr) -> Relay {
    let mut config = Config::new(store);
    config.listen = listen;
    Relay::bind(config).await.unwrap()
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn config(relay: SocketAddr) -> ClientConfig {
    ClientConfig::new("todo/test").relay(format!("ws://{relay}"))
}

async fn open(relay: SocketAddr, folder: &Path) -> Replica {
    Replica::open(config(relay).folder(folder)).await.unwrap()
}

fn add(replica: &Replica, title: &str) {
    let edit = replica.transact(|tx| {
        let mut root = tx.map("list")?;
        let mut todos = root.list("todos")?;
        let end = todos.read().len();
        let id = todos.insert_container(end, Kind::MAP)?;
        todos.map(id)?.put("title", title)
    });
    edit.unwrap();
}

fn titles(replica: &Replica) -> Vec<String> {
    replica.read(|document| {
        let todos = document.map("list").list("todos");
        let title = |id| todos.map(id).get("title").and_then(|title| title.as_str().map(str::to_owned));
        todos.ids().filter_map(title).collect()
    })
}

/// Waits until the replica shows this many todos.
async fn until_len(replica: &Replica, len: usize) {
    let mut changes = replica.changes();
    let wait = async {
        while titles(replica).len() != len {
            let update: Option<Update> = changes.next().await;
            assert!(update.is_some(), "the replica lives");
        }
    };
    soon("todos", wait).await;
}

async fn all_saved(replicas: &[&Replica]) {
    for replica in replicas {
        soon("saved", replica.saved()).await;
    }
}

/// Waits until all have equal versions, and checks that they then show the same.
async fn converged(replicas: &[&Replica]) {
    all_saved(replicas).await;
    let hash = |replica: &Replica| replica.read(|document| (document.version_hash(), document.beacon()));
    let first = replicas[0];
    for other in &replicas[1..] {
        let (mut ours, mut theirs) = (first.changes(), other.changes());
        let wait = async {
            while hash(first) != hash(other) {
                tokio::select! {
                    _ = ours.next() => {}
                    _ = theirs.next() => {}
                }
            }
        };
        soon("equal versions", wait).await;
        assert_eq!(titles(first), titles(other));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_follow_each_other_live() {
    let relay = relay(StoreChoice::Memory, any_port()).await;
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = open(relay.local_addr(), a.path()).await;
    let b = open(relay.local_addr(), b.path()).await;
    all_saved(&[&a, &b]).await;
    for number in 0..50 {
        add(&a, &format!("a{number}"));
        add(&b, &format!("b{number}"));
    }
    until_len(&a, 100).await;
    until_len(&b, 100).await;
    converged(&[&a, &b]).await;
    assert_eq!((a.status().link, a.status().unsaved), (Link::Live, 0));
    for replica in [a, b] {
        replica.close().await.unwrap();
    }
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_made_apart_and_across_a_restart_of_the_relay_are_all_there() {
    let data = tempfile::tempdir().unwrap();
    let store = || StoreChoice::Sqlite(data.path().join("relay.db"));
    let first = relay(store(), any_port()).await;
    let address = first.local_addr();
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = open(address, a.path()).await;
    let b = open(address, b.path()).await;
    add(&a, "before");
    until_len(&b, 1).await;

    b.disconnect();
    let mut status = b.watch_status();
    soon("offline", status.wait_for(|status| status.link == Link::Offline)).await.unwrap();
    add(&b, "b alone");
    add(&a, "a online");
    soon("saved", a.saved()).await;
    assert_eq!((titles(&b), b.status().unsaved), (vec!["before".to_owned(), "b alone".to_owned()], 1));

    first.shutdown().await.unwrap();
    let mut status = a.watch_status();
    soon("the relay is gone", status.wait_for(|status| status.link != Link::Live)).await.unwrap();
    add(&a, "a without a relay");
    let second = relay(store(), address).await;
    b.connect();
    until_len(&a, 4).await;
    until_len(&b, 4).await;
    converged(&[&a, &b]).await;
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn id_7_the_edits_of_a_program_that_ended_offline_are_sent_by_whoever_opens_the_store_next() {
    let relay = relay(StoreChoice::Memory, any_port()).await;
    let folder = tempfile::tempdir().unwrap();
    // Both at once, so that the second has a slot of its own.
    let first = Replica::open(config(relay.local_addr()).folder(folder.path()).offline()).await.unwrap();
    let second = Replica::open(config(relay.local_addr()).folder(folder.path()).offline()).await.unwrap();
    add(&first, "from the first slot");
    add(&second, "from the second slot");
    first.close().await.unwrap();
    second.close().await.unwrap();

    let third = open(relay.local_addr(), folder.path()).await;
    soon("saved", third.saved()).await;
    let elsewhere = Replica::open(config(relay.local_addr())).await.unwrap();
    until_len(&elsewhere, 2).await;
    assert_eq!(titles(&elsewhere), titles(&third));
    third.close().await.unwrap();

    // Next time there is nothing left to send.
    let fourth = Replica::open(config(relay.local_addr()).folder(folder.path()).offline()).await.unwrap();
    assert_eq!(fourth.status().unsaved, 0);
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_program_and_a_second_one_on_the_same_store_meet_through_the_relay() {
    let relay = relay(StoreChoice::Memory, any_port()).await;
    let folder = tempfile::tempdir().unwrap();
    let watching = open(relay.local_addr(), folder.path()).await;
    for round in 1..=5 {
        let adding = open(relay.local_addr(), folder.path()).await;
        soon("live", adding.saved()).await;
        add(&adding, &format!("round {round}"));
        soon("saved", adding.saved()).await;
        adding.close().await.unwrap();
        until_len(&watching, round).await;
    }
    assert_eq!(watching.read(|document| document.version().len()), 1, "one slot, one id, whoever holds it");
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_5_a_relay_that_lost_everything_is_filled_again_by_its_clients() {
    let first = relay(StoreChoice::Memory, any_port()).await;
    let address = first.local_addr();
    let folder = tempfile::tempdir().unwrap();
    let a = open(address, folder.path()).await;
    let b = Replica::open(config(address)).await.unwrap();
    add(&a, "from a");
    add(&b, "from b");
    until_len(&a, 2).await;
    converged(&[&a, &b]).await;
    b.close().await.unwrap();
    first.shutdown().await.unwrap();
    let mut status = a.watch_status();
    soon("the relay is gone", status.wait_for(|status| status.link != Link::Live)).await.unwrap();

    let second = relay(StoreChoice::Memory, address).await;
    soon("saved", a.saved()).await;
    let c = Replica::open(config(address)).await.unwrap();
    until_len(&c, 2).await;
    converged(&[&a, &c]).await;
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_document_passes_in_both_directions() {
    let relay = relay(StoreChoice::Memory, any_port()).await;
    let folder = tempfile::tempdir().unwrap();
    let a = open(relay.local_addr(), folder.path()).await;
    // Longer than a frame, and than what is sent at once.
    for number in 0..30 {
        add(&a, &format!("{number} {}", "x".repeat(100_000)));
    }
    add(&a, &"y".repeat(3 << 20));
    soon("saved", a.saved()).await;
    let b = Replica::open(config(relay.local_addr())).await.unwrap();
    until_len(&b, 31).await;
    converged(&[&a, &b]).await;
    a.close().await.unwrap();
    let a = open(relay.local_addr(), folder.path()).await;
    assert_eq!(titles(&a), titles(&b));
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_document_open_is_seen_by_the_others_until_it_closes() {
    let relay = relay(StoreChoice::Memory, any_port()).await;
    let here = relay.local_addr();
    let ann = Replica::open(config(here)).await.unwrap();
    let ben = Replica::open(config(here)).await.unwrap();
    ann.set_presence(Some(b"ann")).unwrap();
    let mut seen = ben.watch_presence();
    let ann_is_seen = soon("Ann", seen.wait_for(|present| !present.is_empty())).await.unwrap().clone();
    assert_eq!(ann_is_seen.into_iter().collect::<Vec<_>>(), [(ann.peer(), b"ann"[..].into())]);
    assert!(ann.presence().is_empty(), "nobody sees itself");

    // Far more often than is sent: the last one arrives.
    for number in 0..1_000 {
        ann.set_presence(Some(format!("ann at {number}").as_bytes())).unwrap();
    }
    let last: Arc<[u8]> = b"ann at 999"[..].into();
    drop(soon("the last value", seen.wait_for(|present| present.values().eq([&last]))).await.unwrap());

    ben.set_presence(Some(b"ben")).unwrap();
    let carl = Replica::open(config(here)).await.unwrap();
    let mut all = carl.watch_presence();
    drop(soon("both", all.wait_for(|present| present.len() == 2)).await.unwrap());
    ann.close().await.unwrap();
    drop(soon("one", all.wait_for(|present| present.len() == 1)).await.unwrap());
    drop(soon("none", seen.wait_for(|present| present.is_empty())).await.unwrap());
    assert!(ben.set_presence(Some(&[0; 5_000])).is_err());
    assert_eq!(relay_stored(&ben), 0, "nothing of it is in the document");
}

/// How many replicas ever wrote.
fn relay_stored(replica: &Replica) -> usize {
    replica.read(|document| document.version().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ref_1_while_the_relays_disk_is_full_a_client_says_which_edit_waits_and_why_and_sends_it_by_itself_when_there_is_space()
 {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open_limited(&folder.path().join("relay.db"), 1, Some(1 << 20)).unwrap());
    store.append("filler", 1, vec![vec![0; 700 << 10].into()]).await.unwrap();
    let mut settings = Config::new(StoreChoice::Memory);
    settings.listen = any_port();
    let relay = Relay::bind_with(settings, Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let (one, two) = (
        open(relay.local_addr(), &folder.path().join("1")).await,
        open(relay.local_addr(), &folder.path().join("2")).await,
    );
    all_saved(&[&one, &two]).await;
    let mut status = one.watch_status();
    let mut written = 0;
    while status.borrow_and_update().refused.is_none() {
        add(&one, &"long ".repeat(4_000));
        written += 1;
        let told = status.wait_for(|status| status.is_synced() || status.refused.is_some());
        drop(soon("taken or refused", told).await.unwrap());
    }
    let refused = one.status().refused.unwrap();
    assert_eq!(refused.reason, NackReason::StorageFull);
    let knows = |replica: &Replica| replica.read(|document| document.version().covers(refused.dot));
    assert!(knows(&one) && !knows(&two), "an edit that is here, and nowhere else");
    assert!(refused.retry.delay_ms().is_some(), "{refused:?}");
    assert_eq!(one.status().error.as_deref(), Some("the relay does not take an edit: its store is full"));
    // Whoever reads is not concerned, and has everything that was taken.
    until_len(&two, titles(&two).len()).await;
    assert!(titles(&two).len() < written);

    assert_eq!(store.delete("filler").await, Ok(true));
    let saved = status.wait_for(|status| status.is_synced() && status.refused.is_none());
    drop(soon("saved by itself", saved).await.unwrap());
    until_len(&two, written).await;
    one.close().await.unwrap();
    two.close().await.unwrap();
    relay.shutdown().await.unwrap();
}
