//! What operators ask a relay over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use weftline_relay::store::Store;
use weftline_relay::{Config, Relay, StoreChoice};

use super::client::{Client, PATIENCE};
use super::convergence::config;
use super::failures::Faulty;
use super::http::{exchange, get};

pub(crate) const TOKEN: &str = "an admin token for tests";

/// A relay with an address for operators, a token, and a store on disk.
pub(crate) struct Lab {
    pub(crate) relay: Relay,
    pub(crate) directory: TempDir,
}

impl Lab {
    pub(crate) async fn new(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(StoreChoice::Sqlite(directory.path().join("relay.db")));
        config.admin_listen = Some(([127, 0, 0, 1], 0).into());
        config.admin_token_file = Some(token_file(&directory));
        change(&mut config);
        Lab { relay: Relay::bind(config).await.unwrap(), directory }
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.relay.admin_addr().unwrap()
    }

    pub(crate) async fn live(&self, document: &str) -> Client {
        let mut client = Client::new(document);
        client.connect(self.relay.local_addr()).await;
        client.until_live().await;
        client
    }
}

pub(crate) fn token_file(directory: &TempDir) -> PathBuf {
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{}\n", TOKEN.replace(' ', "-"))).unwrap();
    file
}

/// The numbers of a scrape, by name and labels.
pub(crate) async fn scrape(at: SocketAddr) -> BTreeMap<String, f64> {
    let answer = get(at, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.ends_with("# EOF\n"), "{body}");
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap())
        .collect()
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let lab = Lab::new(|_| {}).await;
    let before = scrape(lab.admin()).await;
    let (mut one, mut two) = (lab.live("d").await, lab.live("d").await);
    for number in 0..10 {
        one.put(&number.to_string(), number);
        one.until_synced().await;
    }
    two.until("two has it all", |two| two.keys() == 10).await;
    let connected = scrape(lab.admin()).await;
    one.cut();
    two.cut();
    lab.relay.registry().closed("d").await;
    // Connections are counted as long as they say goodbye.
    while scrape(lab.admin()).await["weftline_relay_connections"] > 0.0 {
        tokio::task::yield_now().await;
    }
    let after = scrape(lab.admin()).await;

    let grown = |name: &str| after[name] - before[name];
    for (name, least) in [
        ("weftline_relay_connections_opened_total", 2.0),
        ("weftline_relay_connections_ended_total{reason=\"gone\"}", 2.0),
        ("weftline_relay_documents_opened_total", 1.0),
        ("weftline_relay_documents_evicted_total", 1.0),
        ("weftline_relay_resumes_total{how=\"same\"}", 2.0),
        ("weftline_relay_deliveries_total", 10.0),
        ("weftline_relay_appended_rows_total", 10.0),
        ("weftline_relay_appended_bytes_total", 100.0),
        ("weftline_relay_acks_total", 10.0),
        ("weftline_relay_ack_seconds_count{level=\"stored\"}", 10.0),
        ("weftline_relay_ack_seconds_sum{level=\"stored\"}", 0.000_001),
        ("weftline_relay_append_seconds_count", 10.0),
        ("weftline_relay_commit_seconds_count", 10.0),
        ("weftline_relay_commit_seconds_bucket{le=\"+Inf\"}", 10.0),
        ("weftline_relay_frames_received_total", 12.0),
        ("weftline_relay_received_bytes_total", 100.0),
        ("weftline_relay_frames_sent_total", 12.0),
        ("weftline_relay_sent_bytes_total", 100.0),
        ("weftline_relay_recover_seconds_count", 1.0),
    ] {
        assert!(grown(name) >= least, "{name} grew by {}", grown(name));
    }
    for (name, expected) in [
        ("weftline_relay_connections", 2.0),
        ("weftline_relay_open_documents", 1.0),
        ("weftline_relay_members", 2.0),
        ("weftline_relay_members_behind", 0.0),
        ("weftline_relay_draining", 0.0),
    ] {
        assert_eq!(connected[name], expected, "{name}");
        assert_eq!(after[name], 0.0, "{name}");
    }
    for name in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_cpu_seconds_total",
        "weftline_relay_store_bytes{file=\"database\"}",
        "weftline_relay_store_free_bytes",
    ] {
        assert!(after[name] > 0.0, "{name}");
    }
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn numbers_are_at_one_address_and_for_those_who_may() {
    let lab = Lab::new(|_| {}).await;
    let (main, admin) = (lab.relay.local_addr(), lab.admin());
    assert!(get(main, "/metrics").await.starts_with("HTTP/1.1 404"));
    assert!(get(admin, "/").await.starts_with("HTTP/1.1 404"), "no websockets here");
    for path in ["/healthz", "/readyz"] {
        assert!(
            exchange(main, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
    // A page whose name leads to loopback.
    let rebound = exchange(admin, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(rebound.starts_with("HTTP/1.1 401"), "{rebound}");
    lab.relay.shutdown().await.unwrap();

    let lab = Lab::new(|config| config.admin_listen = None).await;
    let main = lab.relay.local_addr();
    assert!(get(main, "/metrics").await.starts_with("HTTP/1.1 401"));
    let authorized =
        format!("GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", TOKEN.replace(' ', "-"));
    assert!(exchange(main, authorized.as_bytes()).await.starts_with("HTTP/1.1 200"));
    lab.relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn readyz_is_red_while_commits_fail_and_green_again_when_they_do_not() {
    let store = Faulty::new();
    let relay = Relay::bind_with(config(StoreChoice::Memory), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let at = relay.local_addr();
    assert!(get(at, "/readyz").await.starts_with("HTTP/1.1 200"));
    store.is_full.store(true, Ordering::SeqCst);
    let red = async {
        loop {
            let answer = get(at, "/readyz").await;
            if answer.starts_with("HTTP/1.1 503") {
                return answer;
            }
        }
    };
    let red = timeout(PATIENCE, red).await.expect("a probe is never old");
    assert!(red.contains("no space left"), "{red}");
    assert!(get(at, "/healthz").await.starts_with("HTTP/1.1 200"), "it is alive all the same");
    store.is_full.store(false, Ordering::SeqCst);
    let green = async { while !get(at, "/readyz").await.starts_with("HTTP/1.1 200") {} };
    timeout(PATIENCE, green).await.expect("it recovers by itself");
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_relay_that_stops_is_not_ready_before_it_stops_taking_connections() {
    const LONG: Duration = Duration::from_secs(3600);
    let lab = Lab::new(|config| config.drain_delay = LONG).await;
    let (main, admin) = (lab.relay.local_addr(), lab.admin());
    let mut client = lab.live("d").await;
    let stopping = tokio::spawn(lab.relay.shutdown());
    let red = async { while !get(main, "/readyz").await.starts_with("HTTP/1.1 503") {} };
    timeout(PATIENCE, red).await.unwrap();
    assert_eq!(scrape(admin).await["weftline_relay_draining"], 1.0);
    // Who is here goes on.
    client.put("key", 1);
    client.until_synced().await;
    stopping.abort();
}
