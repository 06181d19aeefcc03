//! Spans reach a collector.

use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::{Client, PATIENCE};
use super::processes::Process;

#[tokio::test]
async fn spans_of_a_document_and_its_appends_reach_a_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let (tell, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = collector.accept().await.unwrap();
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if request.len() >= head.len() + 4 + length.unwrap_or(0usize) {
                        let _ = stream
                            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                            .await;
                        let _ = tell.send(text);
                        return;
                    }
                }
            });
        }
    });
    let directory = tempdir().unwrap();
    let more = ["--otlp-endpoint", &endpoint, "--log", "debug"];
    let process = Process::start_with(&directory.path().join("relay.db"), &more).await;
    let mut client = Client::new("a-document");
    client.connect(process.address).await;
    client.put("key", "the-content");
    client.until_synced().await;
    client.cut();
    // What is still to be sent is sent at the end.
    process.stop().await;
    let all = async {
        let mut all = String::new();
        while !["POST /v1/traces", "weftline-relay", "a-document", "append", "connection"]
            .iter()
            .all(|part| all.contains(part))
        {
            all.push_str(&told.recv().await.unwrap());
        }
        all
    };
    let all = timeout(PATIENCE, all).await.expect("spans come");
    assert!(!all.contains("the-content"));
}
