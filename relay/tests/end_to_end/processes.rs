//! The relay as a process: killed, asked to stop, started wrongly.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use weftline_relay::store::{SqliteStore, StoreError};

use super::client::{Client, PATIENCE};

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weftline-relay"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEFTLINE_RELAY_")) {
        command.env_remove(name);
    }
    command
}

/// A running relay.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it writes to stderr, read all the time: a full pipe would stop it.
    log: JoinHandle<String>,
}

impl Process {
    pub(crate) async fn start(store: &Path) -> Self {
        Self::start_with(store, &[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(store: &Path, arguments: &[&str]) -> Self {
        let mut child = command()
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--room-idle", "0s", "--handshake-timeout", "2s", "--store"])
            .arg(store)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        timeout(PATIENCE, stdout.read_line(&mut line)).await.unwrap().unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|url| url.split_once("://"))
            .map(|(_, address)| address)
            .unwrap_or_else(|| panic!("said {line:?}"));
        let mut stderr = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut log = String::new();
            stderr.read_to_string(&mut log).await.unwrap();
            log
        });
        Process { address: address.parse().unwrap(), child, log }
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    /// Waits for the end; gives whether it was in order, and the log.
    async fn ended(mut self) -> (bool, String) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (status.success(), self.log.await.unwrap())
    }

    /// Asks it to stop; gives the log.
    pub(crate) async fn stop(self) -> String {
        self.signal("-TERM").await;
        let (in_order, log) = self.ended().await;
        assert!(in_order, "{log}");
        log
    }
}

/// Writes without pause to its own keys, wherever the relay is, until told to stop.
async fn write_under_load(
    name: &'static str,
    mut relay: watch::Receiver<Option<SocketAddr>>,
    acknowledged: watch::Sender<usize>,
) -> Client {
    let mut client = Client::new("shared");
    let mut written = 0u32;
    loop {
        let Some(address) = *relay.borrow_and_update() else { return client };
        client.connect(address).await;
        while client.is_connected() {
            for _ in 0..5 {
                client.put(&format!("{name}/{written}"), written);
                written += 1;
            }
            let target = client.acknowledged() + 1;
            client
                .until("one more acknowledged", |client| !client.is_connected() || client.acknowledged() >= target)
                .await;
            acknowledged.send_replace(client.acknowledged());
            if relay.has_changed().unwrap() {
                client.cut();
            }
        }
        // The relay was killed; it comes back at another address.
        relay.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ack_1_a_killed_relay_has_every_acknowledged_edit() {
    let directory = tempdir().unwrap();
    let store = directory.path().join("relay.db");
    let mut process = Process::start(&store).await;
    let (tell, relay) = watch::channel(Some(process.address));
    let names = ["a", "b", "c"];
    let (told, mut counts): (Vec<_>, Vec<_>) = names.iter().map(|_| watch::channel(0)).unzip();
    let writers: Vec<_> = names
        .iter()
        .zip(told)
        .map(|(name, acknowledged)| tokio::spawn(write_under_load(name, relay.clone(), acknowledged)))
        .collect();

    for round in 1..=4 {
        // Killed in the middle of the work, when everybody has got on.
        let goals: Vec<_> = counts.iter().map(|count| *count.borrow() + 60).collect();
        let reached = async {
            for (count, goal) in counts.iter_mut().zip(goals) {
                count.wait_for(|count| *count >= goal).await.unwrap();
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("no progress in round {round}"));
        let acknowledged: Vec<_> = counts.iter().map(|count| *count.borrow()).collect();
        process.kill().await;

        // Somebody who has nothing, and comes before anybody who could give something back.
        process = Process::start(&store).await;
        let mut witness = Client::new("shared");
        witness.connect(process.address).await;
        witness.until_live().await;
        for (name, acknowledged) in names.iter().zip(acknowledged) {
            for number in 0..acknowledged {
                assert!(witness.get(&format!("{name}/{number}")).is_some(), "round {round}: {name}/{number} is lost");
            }
        }
        witness.cut();
        tell.send(Some(process.address)).unwrap();
    }

    tell.send(None).unwrap();
    let mut total = 0;
    for writer in writers {
        let mut writer = timeout(PATIENCE, writer).await.unwrap().unwrap();
        writer.connect(process.address).await;
        writer.until_synced().await;
        total += writer.acknowledged();
    }
    let mut last = Client::new("shared");
    last.connect(process.address).await;
    last.until_live().await;
    assert_eq!(last.keys(), total);
    let log = process.stop().await;
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn sigterm_commits_and_acknowledges_what_was_received_and_says_when_to_come_back() {
    let directory = tempdir().unwrap();
    let store = directory.path().join("relay.db");
    let process = Process::start(&store).await;
    let mut clients = Vec::new();
    for number in 0..5 {
        let mut client = Client::new(["d", "e"][number % 2]);
        client.connect(process.address).await;
        client.until_live().await;
        client.put(&number.to_string(), "x".repeat(10_000));
        // Sent, and not waited for.
        client.transmit().await;
        clients.push(client);
    }
    let log = {
        let stopping = process.stop();
        let told = async {
            for client in &mut clients {
                client.until("sent away", |client| !client.is_connected()).await;
                assert!(client.sent_away.is_some_and(|retry| retry.delay_ms().is_some()), "{:?}", client.sent_away);
            }
        };
        tokio::join!(stopping, told).0
    };
    assert!(!log.contains("panicked"), "{log}");
    // Who was told that an edit is safe finds it again; the rest is sent again.
    let acknowledged: usize = clients.iter().map(Client::acknowledged).sum();
    let process = Process::start(&store).await;
    let mut found = 0;
    for name in ["d", "e"] {
        let mut witness = Client::new(name);
        witness.connect(process.address).await;
        witness.until_live().await;
        found += witness.keys();
    }
    assert!(found >= acknowledged, "{found} of {acknowledged}");
    for client in &mut clients {
        client.connect(process.address).await;
        client.until_synced().await;
    }
    process.stop().await;
}

#[tokio::test]
async fn the_log_has_neither_content_nor_tokens_whatever_is_asked_of_it() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "the-admin-token-itself").unwrap();
    let more =
        ["--log", "trace,tungstenite=trace", "--log-format", "json", "--admin-token-file", file.to_str().unwrap()];
    let process = Process::start_with(&directory.path().join("relay.db"), &more).await;
    let (mut writer, mut reader) = (Client::new("a-document"), Client::new("a-document"));
    for client in [&mut writer, &mut reader] {
        client.connect(process.address).await;
        client.until_live().await;
    }
    writer.put("the-key", "the-content");
    writer.until_synced().await;
    reader.until("it has come", |reader| reader.keys() == 1).await;
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer the-admin-token-itself\r\n\r\n";
    assert!(super::http::exchange(process.address, request.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let log = process.stop().await;
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    assert!(log.contains("a-document") && log.contains("Acked"), "{log}");
    for secret in ["the-key", "the-content", "the-admin-token"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_name_that_breaks_lines_forges_none_in_the_log() {
    let directory = tempdir().unwrap();
    let process = Process::start_with(&directory.path().join("relay.db"), &["--log", "debug"]).await;
    let mut client = Client::new("a\nforged");
    client.connect(process.address).await;
    client.put("key", 1);
    client.until_synced().await;
    client.cut();
    let log = process.stop().await;
    assert!(log.contains("forged") && log.contains("Acked"), "{log}");
    let starts = |line: &str| line.starts_with("20") && line.contains('Z');
    let forged: Vec<&str> = log.lines().filter(|line| !starts(line)).collect();
    assert!(forged.is_empty(), "{forged:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn sighup_reads_the_certificate_again_and_stops_nobody() {
    let directory = tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    let more = ["--tls-cert", &at("cert.pem"), "--tls-key", &at("key.pem")];
    let process = Process::start_with(&directory.path().join("relay.db"), &more).await;
    process.signal("-HUP").await;
    let log = process.stop().await;
    assert!(log.contains("the certificate was read again"), "{log}");

    std::fs::write(at("cert.pem"), "no certificate").unwrap();
    let check = command().args(["check", "--store"]).arg(at("relay.db")).args(more).output().await.unwrap();
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(!check.status.success() && said.contains("cert.pem"), "{said}");
}

#[tokio::test]
async fn a_store_has_one_relay_at_a_time() {
    let directory = tempdir().unwrap();
    let store = directory.path().join("relay.db");
    let process = Process::start(&store).await;
    let Output { status, stderr, .. } =
        command().args(["--listen", "127.0.0.1:0", "--store"]).arg(&store).output().await.unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("relay.db: in use by another relay"), "{said}");
    assert!(matches!(SqliteStore::open(&store, 1), Err(StoreError::Locked { .. })));
    // A lock that outlived its holder would keep the relay down after a crash.
    process.kill().await;
    Process::start(&store).await.stop().await;
}

#[tokio::test]
async fn nonsense_on_the_command_line_is_explained() {
    let mut wrong = String::new();
    for (arguments, expected) in [
        (&["--listen", "0.0.0.0:0", "--store", "memory"] as &[_], "--allow-anyone-on-network"),
        (&["--max-frame", "1", "--store", "memory"], "out of range"),
        (&["--log", "a=b=c", "--store", "memory"], "--log"),
        (&["--colour"], "unexpected argument"),
    ] {
        let Output { status, stderr, .. } = command().args(arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&stderr);
        if status.code() != Some(2) || !said.contains(expected) {
            writeln!(wrong, "{arguments:?}: {status} {said}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");

    let Output { status, stdout, .. } =
        command().env("WEFTLINE_RELAY_MAX_FRAME", "2MiB").arg("--help").output().await.unwrap();
    let help = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success() && help.contains("[env: WEFTLINE_RELAY_MAX_FRAME=2MiB]"), "{help}");
}
