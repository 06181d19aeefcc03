//! Native replicas at a relay that wants tokens.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::sync::watch;
use weftline_client::{ClientConfig, CloseReason, Link, NackReason, Replica, Status};
use weftline_relay::auth::claims::{Access, Claims};
use weftline_relay::auth::keys::{Algorithm, Keys, Minted};
use weftline_relay::auth::token::mint;
use weftline_relay::{Config, Relay, StoreChoice};

const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited for too long: {what}"))
}

/// A relay that wants tokens, and the key that they are made with.
async fn relay() -> (Relay, Arc<Keys>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let minted = Minted::new(Algorithm::Hs256, "key", [3; 32], None).unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, &minted.private).unwrap();
    let mut config = Config::new(StoreChoice::Memory);
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.auth.auth_keys = Some(path);
    config.auth.auth_leeway = Duration::ZERO;
    let relay = Relay::bind(config).await.unwrap();
    (relay, Arc::new(Keys::parse(minted.private.as_bytes()).unwrap()), folder)
}

fn token(keys: &Keys, for_s: u64, access: Access) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = Claims::new("alice", now + for_s);
    claims.documents = vec![("todo/*".parse().unwrap(), access)];
    mint(&claims, keys, None).unwrap()
}

fn config(relay: &Relay, document: &str) -> ClientConfig {
    ClientConfig::new(document).relay(format!("ws://{}", relay.local_addr()))
}

async fn until(replica: &Replica, what: &str, is: impl FnMut(&Status) -> bool) -> Status {
    let mut status = replica.watch_status();
    soon(what, status.wait_for(is)).await.unwrap().clone()
}

fn put(replica: &Replica, key: &str) {
    replica.transact(|tx| tx.map("map")?.put(key, 1)).unwrap();
}

fn keys_of(replica: &Replica) -> usize {
    replica.read(|document| document.map("map").len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_shows_its_token_and_says_why_it_is_not_let_in() {
    let (relay, keys, _folder) = relay().await;
    let write = token(&keys, 600, Access::Write);
    let alice = Replica::open(config(&relay, "todo/a").token(&write)).await.unwrap();
    put(&alice, "a");
    soon("saved", alice.saved()).await;
    for (document, token, reason, parks) in [
        ("todo/a", None, CloseReason::Token, true),
        ("news", Some(write.clone()), CloseReason::Denied, true),
        ("todo/a", Some(format!("{write}x")), CloseReason::Token, false),
        ("todo/a", Some(self::token(&keys, 0, Access::Write)), CloseReason::Expired, false),
    ] {
        let mut config = config(&relay, document);
        if let Some(token) = token {
            config = config.token(token);
        }
        let other = Replica::open(config).await.unwrap();
        put(&other, "b");
        let is_away =
            |status: &Status| status.closed.is_some() && status.link == Link::Offline && status.error.is_some();
        let status = until(&other, "turned away", is_away).await;
        assert_eq!((status.closed.unwrap().reason, status.is_parked()), (reason, parks), "{document}");
        assert_eq!(status.unsaved, 1, "the edit waits");
        assert!(status.error.is_some_and(|error| !error.contains(&write)));
        soon("closed", other.close()).await.unwrap();
    }
    assert_eq!(keys_of(&alice), 1);
    soon("closed", alice.close()).await.unwrap();
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_4_tokens_are_asked_for_in_time_and_the_connection_stays() {
    let (relay, keys, _folder) = relay().await;
    let (count, mut asked) = watch::channel(0);
    let config = config(&relay, "todo/a").token_from(move || {
        // The third lasts.
        count.send_modify(|count| *count += 1);
        let for_s = if *count.borrow() < 3 { 3 } else { 600 };
        let token = token(&keys, for_s, Access::Write);
        async move { Ok::<_, std::io::Error>(token) }
    });
    let replica = Replica::open(config).await.unwrap();
    until(&replica, "live", |status| status.link == Link::Live).await;
    let mut status = replica.watch_status();
    tokio::select! {
        asked = soon("two more tokens", asked.wait_for(|count| *count == 3)) => assert!(asked.is_ok()),
        _ = status.wait_for(|status| status.link != Link::Live) => panic!("the connection is lost"),
    }
    put(&replica, "a");
    soon("saved", replica.saved()).await;
    soon("closed", replica.close()).await.unwrap();
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_connected_and_it_is_asked_again() {
    let (relay, keys, _folder) = relay().await;
    let logged_in = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&logged_in);
    let config = config(&relay, "todo/a").token_from(move || {
        let token = seen.load(Ordering::SeqCst).then(|| token(&keys, 600, Access::Write));
        async move { token.ok_or("nobody is logged in") }
    });
    let replica = Replica::open(config).await.unwrap();
    let status = until(&replica, "no token", |status| status.error.is_some()).await;
    assert_eq!(status.error.as_deref(), Some("there is no token for the relay: nobody is logged in"));
    logged_in.store(true, Ordering::SeqCst);
    replica.connect();
    until(&replica, "live", |status| status.link == Link::Live).await;
    soon("closed", replica.close()).await.unwrap();
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_3_a_reader_keeps_its_edits_until_it_may_write() {
    let (relay, keys, _folder) = relay().await;
    let may_write = Arc::new(AtomicBool::new(false));
    let (seen, made) = (Arc::clone(&may_write), Arc::clone(&keys));
    let asking = config(&relay, "todo/a").token_from(move || {
        let access = if seen.load(Ordering::SeqCst) { Access::Write } else { Access::Read };
        let token = token(&made, 600, access);
        async move { Ok::<_, std::io::Error>(token) }
    });
    let reader = Replica::open(asking).await.unwrap();
    let writer = Replica::open(config(&relay, "todo/a").token(token(&keys, 600, Access::Write))).await.unwrap();
    put(&reader, "r");
    let status = until(&reader, "refused", |status| status.refused.is_some()).await;
    assert_eq!(status.refused.unwrap().reason, NackReason::ReadOnly);
    assert_eq!((status.link, status.unsaved, status.stuck), (Link::Live, 1, 1));
    let mut changes = reader.changes();
    put(&writer, "w");
    let wait = async {
        while keys_of(&reader) < 2 {
            assert!(changes.next().await.is_some());
        }
    };
    soon("what others write", wait).await;
    may_write.store(true, Ordering::SeqCst);
    reader.disconnect();
    reader.connect();
    soon("saved", reader.saved()).await;
    let mut changes = writer.changes();
    let wait = async {
        while keys_of(&writer) < 2 {
            assert!(changes.next().await.is_some());
        }
    };
    soon("the edit of the reader", wait).await;
    for replica in [reader, writer] {
        soon("closed", replica.close()).await.unwrap();
    }
    relay.shutdown().await.unwrap();
}
