//! An edit can be followed by its replica and seq through the logs of its author, the relay and another replica.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use weftline_client::{ClientConfig, Replica};
use weftline_relay::{Config, Relay, StoreChoice};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What nobody may find in a log.
const CONTENT: &str = "the-content-of-an-edit";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn open(relay: SocketAddr) -> Replica {
    Replica::open(ClientConfig::new("followed").relay(format!("ws://{relay}"))).await.unwrap()
}

// The only test of this process: the log is the process's.
#[tokio::test]
async fn an_edit_is_followed_from_its_author_through_the_relay_to_another_replica() {
    let log = Log::default();
    let written = log.clone();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::new("weftline=debug,weftline_relay=debug,weftline_client=debug"))
        .with_writer(move || written.clone())
        .init();
    let mut config = Config::new(StoreChoice::Memory);
    config.listen = ([127, 0, 0, 1], 0).into();
    let relay = Relay::bind(config).await.unwrap();
    let (author, reader) = (open(relay.local_addr()).await, open(relay.local_addr()).await);
    reader.synced(PATIENCE).await.unwrap();
    let mut changes = reader.changes();
    author.transact(|edit| edit.map("map")?.put("key", CONTENT)).unwrap();
    let (replica, seq) = author.read(|document| {
        let version = document.version();
        let (replica, entry) = version.iter().next().unwrap();
        (replica.to_string(), entry.seq)
    });
    let applied = async {
        while reader.read(|document| document.map("map").is_empty()) {
            changes.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, applied).await.unwrap();
    tokio::time::timeout(PATIENCE, author.saved()).await.unwrap();
    author.close().await.unwrap();
    reader.close().await.unwrap();
    relay.shutdown().await.unwrap();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains(CONTENT), "content in the log");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_edit = lines
        .iter()
        .filter(|line| line["target"] == "weftline::edit" && line["replica"] == replica.as_str() && line["seq"] == seq);
    let steps: Vec<&str> = of_edit.clone().map(|line| line["message"].as_str().unwrap()).collect();
    let seen: BTreeSet<&str> = steps.iter().copied().collect();
    let all = ["Written", "Pushed", "Taken", "Stored", "Acked", "Saved", "Sent", "Applied"];
    assert_eq!(seen, BTreeSet::from(all), "{text}");
    let at = |step: &str| steps.iter().position(|seen| *seen == step).unwrap();
    for pair in [
        ["Written", "Pushed"],
        ["Pushed", "Taken"],
        ["Taken", "Stored"],
        ["Stored", "Acked"],
        ["Acked", "Saved"],
        ["Stored", "Sent"],
        ["Sent", "Applied"],
    ] {
        assert!(at(pair[0]) < at(pair[1]), "{pair:?}: {steps:?}");
    }
    assert!(of_edit.clone().all(|line| line["document"] == "followed"));
    // A member of a document is a connection, which says so.
    let sent = of_edit.clone().find(|line| line["message"] == "Sent").unwrap();
    let opening = lines.iter().find(|line| line["message"] == "opening" && line["member"] == sent["member"]);
    let connection = &opening.expect("every member opens")["span"];
    assert!(connection["id"].is_u64() && connection["peer"].is_string(), "{connection}");
}
