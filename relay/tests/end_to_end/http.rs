//! What is not a websocket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weftline::sync::{CloseReason, Link};
use weftline_relay::{Config, Relay, StoreChoice};

use super::client::{Client, PATIENCE, websocket};
use super::convergence::config;

/// Sends bytes, and gives everything that comes until the relay closes.
pub(crate) async fn exchange(relay: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(relay).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset counts as the end.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the relay closes");
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn get(relay: SocketAddr, path: &str) -> String {
    exchange(relay, format!("GET {path} HTTP/1.1\r\nHost: {relay}\r\n\r\n").as_bytes()).await
}

fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// The status line that answers a request for a websocket.
async fn status(relay: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(relay).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut status)).await.unwrap().unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

async fn relay(change: impl FnOnce(&mut Config)) -> Relay {
    let mut config = config(StoreChoice::Memory);
    change(&mut config);
    Relay::bind(config).await.unwrap()
}

#[tokio::test]
async fn healthz_tells_what_is_going_on() {
    let relay = relay(|_| {}).await;
    let answer = get(relay.local_addr(), "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let mut client = Client::new("d");
    client.connect(relay.local_addr()).await;
    client.until_live().await;
    let answer = get(relay.local_addr(), "/healthz").await;
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(body, serde_json::json!({ "status": "ok", "version": version, "documents": 1, "connections": 1 }));
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn requests_that_are_no_websockets_are_answered() {
    let relay = relay(|_| {}).await;
    let at = relay.local_addr();
    for (path, expected) in [("/", "426"), ("/any/sync", "426"), ("/index.html", "404"), ("/healthz/more", "404")] {
        let answer = get(at, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {answer}");
    }
    let answer = exchange(at, b"POST /healthz HTTP/1.1\r\nHost: relay\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    for path in ["/", "/some/path/", "/v1/sync", "/?token=1"] {
        assert_eq!(status(at, &upgrade(path, "")).await, "HTTP/1.1 101", "{path}");
    }
    for request in [
        upgrade("/", "").replace("Version: 13", "Version: 12"),
        upgrade("/", "").replace("Upgrade: websocket", "Upgrade: h2c"),
        upgrade("/", "").replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        upgrade("/", "").replace("GET", "POST"),
    ] {
        assert_eq!(status(at, &request).await, "HTTP/1.1 400", "{request}");
    }
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn pages_of_strangers_are_refused() {
    let at = |relay: &Relay| relay.local_addr();
    let relay = relay(|config| config.allow_origin = vec!["https://app.example".into()]).await;
    for (origin, expected) in [
        ("https://evil.example", "HTTP/1.1 403"),
        ("null", "HTTP/1.1 403"),
        ("https://app.example", "HTTP/1.1 101"),
        ("http://localhost:5173", "HTTP/1.1 101"),
    ] {
        let request = upgrade("/", &format!("Origin: {origin}\r\n"));
        assert_eq!(status(at(&relay), &request).await, expected, "{origin}");
    }
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn half_open_handshakes_end() {
    let relay = relay(|config| config.handshake_timeout = Duration::from_millis(200)).await;
    let at = relay.local_addr();
    // Nothing, half a request, and a websocket on which nobody says hello.
    exchange(at, b"").await;
    exchange(at, b"GET / HTTP/1.1\r\nHost: re").await;
    let answer = exchange(at, upgrade("/", "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away_and_health_is_still_told() {
    let relay = relay(|config| config.max_connections = 2).await;
    let at = relay.local_addr();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::new("d");
        client.connect(at).await;
        client.until_live().await;
        clients.push(client);
    }
    let mut late = Client::new("d");
    late.connect(at).await;
    late.until("sent away", |late| !late.is_connected()).await;
    let closed = late.replica.status().closed.expect("it is told why");
    assert_eq!(closed.reason, CloseReason::TooMany);
    assert!(closed.retry.delay_ms().is_some_and(|ms| ms >= 15_000), "{closed:?}");
    assert!(get(at, "/healthz").await.starts_with("HTTP/1.1 200"));
    drop(clients);
    // A place is free again as soon as the relay has noticed.
    while !late.is_connected() || late.replica.status().link != Link::Live {
        late.connect(at).await;
        late.until("let in or not", |late| !late.is_connected() || late.replica.status().link == Link::Live).await;
    }
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let relay = relay(|_| {}).await;
    let mut second = config(StoreChoice::Memory);
    second.listen = relay.local_addr();
    let error = Relay::bind(second).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
    let _socket = websocket(relay.local_addr()).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn who_connects_and_says_nothing_holds_up_no_stop() {
    const LONG: Duration = Duration::from_secs(600);
    let relay = relay(|config| (config.handshake_timeout, config.drain_timeout) = (LONG, LONG)).await;
    let mut silent = TcpStream::connect(relay.local_addr()).await.unwrap();
    let mut half = TcpStream::connect(relay.local_addr()).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    // Connections are accepted in their order.
    assert!(get(relay.local_addr(), "/healthz").await.starts_with("HTTP/1.1 200"));
    // Less than the HTTP library's own patience.
    tokio::time::timeout(Duration::from_secs(10), relay.shutdown()).await.expect("it stops").unwrap();
    for stream in [&mut silent, &mut half] {
        assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)), "closed without an answer");
    }
}
