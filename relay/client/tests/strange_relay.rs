//! Servers that are no relay, or one gone mad: an error in the status, another attempt, and a replica that works on.

use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use weftline_client::weftline::Timestamp;
use weftline_client::weftline::sync::{CloseReason, Retry, Session, SessionConfig};
use weftline_client::{ClientConfig, Replica, Status};

/// Serves each connection with `serve`; what the replica says about it, after it has come back for another attempt.
async fn error_of<F>(serve: impl Fn(TcpStream) -> F) -> String
where
    F: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/sync", listener.local_addr().unwrap());
    let replica = Replica::open(ClientConfig::new("a").relay(address)).await.unwrap();
    replica.transact(|tx| tx.map("root")?.put("milk", "yes")).unwrap();
    let mut status = replica.watch_status();
    serve(listener.accept().await.unwrap().0).await;
    let wait = status.wait_for(|status| status.error.is_some());
    let error = tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap().error.clone().unwrap();
    // It comes back.
    let again = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await.unwrap();
    drop(again);
    assert_eq!(replica.status().unsaved, 1);
    replica.transact(|tx| tx.map("root")?.put("bread", "yes")).unwrap();
    replica.close().await.unwrap();
    error
}

/// Accepts a websocket, sends these messages, and holds the connection until the client closes it.
async fn say(stream: TcpStream, messages: Vec<Message>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    for message in messages {
        // The client may have had enough already.
        if socket.send(message).await.is_err() {
            break;
        }
    }
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn noise_is_refused() {
    let error = error_of(|stream| say(stream, vec![Message::binary(vec![0xff; 100])])).await;
    assert_eq!(error, "the relay does not keep to the protocol: malformed frame header");
}

#[tokio::test]
async fn a_frame_beyond_the_limit_is_refused_before_it_is_held() {
    let error = error_of(|stream| say(stream, vec![Message::binary(vec![0; 3 << 20])])).await;
    assert!(error.contains("long"), "{error}");
}

#[tokio::test]
async fn text_is_not_our_protocol() {
    let error = error_of(|stream| say(stream, vec![Message::text("hello")])).await;
    assert!(error.contains("text message"), "{error}");
}

#[tokio::test]
async fn the_reason_of_a_close_is_passed_on() {
    let close = || CloseFrame { code: CloseCode::Policy, reason: "not today".into() };
    let error = error_of(|stream| say(stream, vec![Message::Close(Some(close()))])).await;
    assert!(error.contains("not today"), "{error}");
}

#[tokio::test]
async fn who_is_sent_away_says_so_and_comes_back_when_told_to_connect() {
    const HOUR_MS: u32 = 3_600_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ClientConfig::new("a").relay(format!("ws://{}", listener.local_addr().unwrap()));
    let replica = Replica::open(config).await.unwrap();
    let mut status = replica.watch_status();
    let mut relay = Session::new(SessionConfig::default(), Timestamp(0));
    relay.goodbye(CloseReason::Restart, Retry::after_ms(HOUR_MS));
    let goodbye = std::iter::from_fn(|| relay.poll()).map(Message::binary).collect();
    say(listener.accept().await.unwrap().0, goodbye).await;
    let wait = status.wait_for(|status| status.error.is_some());
    let error = tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap().error.clone().unwrap();
    assert_eq!(error, "the relay ended the connection: it restarts");

    replica.connect();
    let again = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
    assert!(again.is_ok(), "it waits although the application wants to be connected");
    replica.close().await.unwrap();
}

#[tokio::test]
async fn who_is_told_not_to_come_again_is_parked_until_told_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ClientConfig::new("a").relay(format!("ws://{}", listener.local_addr().unwrap()));
    let replica = Replica::open(config).await.unwrap();
    let mut status = replica.watch_status();
    let mut relay = Session::new(SessionConfig::default(), Timestamp(0));
    relay.goodbye(CloseReason::Denied, Retry::NEVER);
    let goodbye = std::iter::from_fn(|| relay.poll()).map(Message::binary).collect();
    say(listener.accept().await.unwrap().0, goodbye).await;
    let wait = status.wait_for(Status::is_parked);
    let parked = tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap().clone();
    assert_eq!(parked.closed.map(|close| close.reason), Some(CloseReason::Denied));
    assert_eq!(parked.error.as_deref(), Some("the relay ended the connection: it does not allow this"));
    // An edit makes it no more eager.
    replica.transact(|tx| tx.map("m")?.put("a", "b")).unwrap();
    assert!(replica.status().is_parked());

    replica.connect();
    let again = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
    assert!(again.is_ok(), "it stays away although the application wants to be connected");
    replica.close().await.unwrap();
}

#[tokio::test]
async fn a_web_server_is_not_a_relay() {
    let error = error_of(|mut stream| async move {
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    assert!(error.contains("404"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again() {
    let error = error_of(|stream| async move { drop(stream) }).await;
    // Which of the two depends on whether the request had arrived.
    assert!(error.contains("Handshake not finished") || error.contains("cannot be reached"), "{error}");
}
