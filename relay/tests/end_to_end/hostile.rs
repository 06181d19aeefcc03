//! Hostile bytes to a running relay: errors and closes, never a panic, and everybody else is served.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{SinkExt, StreamExt};
use tempfile::tempdir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use weftline::sync::{
    Close, CloseReason, DiffMessage, Hello, Message, MessageKind, Open, Retry, Row, Rows, Session, SessionConfig, Want,
};
use weftline::{Document, ReplicaId, VersionVector};

use super::client::{Client, PATIENCE, Socket, now, websocket};
use super::http::{exchange, get};
use super::processes::Process;

/// Bytes that look random and are the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }
}

/// Reads until the relay closes; gives the code it closes with, if it says one.
async fn closed(socket: &mut Socket) -> Option<u16> {
    let mut code = None;
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("the relay closes") {
            Some(Ok(WsMessage::Close(Some(CloseFrame { code: said, .. })))) => code = Some(said.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return code,
        }
    }
}

/// What a client says that opens a document for the first time. Each is another client.
fn open() -> Message {
    static OPENINGS: AtomicU64 = AtomicU64::new(1);
    let document = Document::new();
    Message::Open(Open {
        document: "target".into(),
        opening: OPENINGS.fetch_add(1, Ordering::Relaxed),
        connection: 1,
        cursor: None,
        version_hash: document.version_hash(),
        beacon: document.beacon(),
        version: Some(VersionVector::new()),
        voids: Vec::new(),
        claims: Vec::new(),
        settles: Vec::new(),
        packed: false,
        staged: None,
    })
}

/// Messages of every kind that a client may send, and some that it may not, all well formed.
fn messages() -> Vec<Message> {
    let mut document = Document::with_writer(ReplicaId::from(77));
    let delta = document.transact(now(), |edit| edit.map("map")?.put("hostile", 1)).unwrap().delta.unwrap();
    let diff = weftline::codec::encode_diff(&document.diff_since(&VersionVector::new()));
    vec![
        Message::Rows(Rows { from: 0, to: 0, rows: vec![Row::of(&delta)] }),
        Message::Rows(Rows { from: u64::MAX, to: 1, rows: vec![Row::Diff { bytes: diff.clone().into() }] }),
        Message::Diff(DiffMessage { position: 0, bytes: diff.into() }),
        Message::Want(Want::since(document.version())),
        Message::Ask,
        Message::Ping,
        open(),
        Message::Close(Close { reason: CloseReason::Done, retry: Retry::BACKOFF }),
        Message::Hello(Hello {
            min_version: 0,
            max_version: u16::MAX,
            features: u64::MAX,
            agent: "h".repeat(1000),
            max_frame: 0,
            heartbeat_ms: 0,
        }),
    ]
}

/// Says hello as a client does, and opens a document if asked to.
async fn greeted(process: &Process, opened: bool) -> (Socket, Session) {
    let mut socket = websocket(process.address).await;
    let mut link = Session::new(SessionConfig::default(), now());
    if opened {
        link.send(1, &open());
    }
    send(&mut socket, &mut link).await;
    if opened {
        loop {
            let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
            if let Some((1, Message::OpenAck(_))) = link.frame(now(), &frame).unwrap() {
                break;
            }
        }
    }
    (socket, link)
}

async fn send(socket: &mut Socket, link: &mut Session) {
    while let Some(frame) = link.poll() {
        // A relay that has heard enough may have closed already.
        let _ = socket.send(WsMessage::Binary(frame.into())).await;
    }
}

/// A relay with a client whose document must not suffer.
async fn relay(directory: &Path) -> (Process, Client) {
    let process = Process::start(&directory.join("relay.db")).await;
    let mut client = Client::new("victim");
    client.connect(process.address).await;
    client.put("key", "value");
    client.until_synced().await;
    (process, client)
}

/// The relay is well, and so is its client; nothing in its log says that something broke.
async fn unharmed(process: Process, mut client: Client) {
    client.put("after", 1);
    client.until_synced().await;
    assert!(get(process.address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let mut target = Client::new("target");
    target.connect(process.address).await;
    target.put("key", "value");
    target.until_synced().await;
    drop((client, target));
    let log = process.stop().await;
    assert!(!log.contains("panicked") && !log.contains("a bug"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_1_bad_http_and_half_open_handshakes() {
    let directory = tempdir().unwrap();
    let (process, client) = relay(directory.path()).await;
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..50 {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(&noise.bytes(2_000)).await.unwrap();
    }
    for request in [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n".into(),
        "BREW /pot HTCPCP/1.0\r\n\r\n".into(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(5_000)),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "z".repeat(1 << 20)),
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}".into(),
    ] {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        // The relay may answer and close before it has read all of it.
        let _ = stream.write_all(request.as_bytes()).await;
        drop(stream);
        exchange(process.address, &request.as_bytes()[..request.len().min(1_000)]).await;
    }
    unharmed(process, client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_1_frames_that_are_none() {
    let directory = tempdir().unwrap();
    let (process, client) = relay(directory.path()).await;

    let mut socket = websocket(process.address).await;
    socket.send(WsMessage::text("hello")).await.unwrap();
    assert_eq!(closed(&mut socket).await, Some(1003));

    let (mut socket, _) = greeted(&process, false).await;
    let _ = socket.send(WsMessage::Binary(vec![0; (1 << 20) + 1].into())).await;
    // The relay stops reading in the middle of the frame; what it then says may be lost in the reset.
    assert!(matches!(closed(&mut socket).await, None | Some(1009)));

    let mut socket = websocket(process.address).await;
    socket.send(WsMessage::Binary(Vec::new().into())).await.unwrap();
    assert_eq!(closed(&mut socket).await, Some(1002));

    let mut noise = Noise(0xd1b5_4a32_d192_ed03);
    for round in 0..200 {
        let (mut socket, _) = if round % 2 == 0 {
            (websocket(process.address).await, None)
        } else {
            let (socket, link) = greeted(&process, round % 4 == 1).await;
            (socket, Some(link))
        };
        for _ in 0..=noise.below(4) {
            if socket.send(WsMessage::Binary(noise.bytes(300).into())).await.is_err() {
                break;
            }
        }
    }
    unharmed(process, client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_1_messages_that_are_cut_changed_or_out_of_place() {
    let directory = tempdir().unwrap();
    let (process, client) = relay(directory.path()).await;
    let mut noise = Noise(0xa076_1d64_78bd_642f);

    // Whole ones in any order, before and after hello and open.
    for first in messages() {
        for second in messages() {
            let (mut socket, mut link) = greeted(&process, true).await;
            link.send(1, &first);
            link.send(1, &second);
            send(&mut socket, &mut link).await;
        }
        let mut socket = websocket(process.address).await;
        let mut link = Session::new(SessionConfig::default(), now());
        let _hello = link.poll();
        link.send(1, &first);
        send(&mut socket, &mut link).await;
        if !matches!(first, Message::Hello(_)) {
            assert_eq!(closed(&mut socket).await, Some(1002), "{first:?} before hello");
        }
    }

    // Bodies with bytes changed, cut off or added, under their own kind and under others.
    for round in 0..400 {
        let messages = messages();
        let message = &messages[round % messages.len()];
        let mut body = message.encode_body();
        match noise.below(3) {
            0 if !body.is_empty() => body.truncate(noise.below(body.len())),
            1 => body.extend(noise.bytes(20)),
            _ => {
                for _ in 0..=noise.below(4) {
                    if !body.is_empty() {
                        let at = noise.below(body.len());
                        body[at] = noise.next() as u8;
                    }
                }
            }
        }
        let kind = if noise.below(4) == 0 {
            MessageKind::from_byte(1 + noise.below(15) as u8).unwrap()
        } else {
            message.kind()
        };
        let (mut socket, mut link) = greeted(&process, true).await;
        link.send_body(noise.below(3) as u64, kind, &body);
        send(&mut socket, &mut link).await;
    }

    // Documents that a limit refuses, and more of them than may be open.
    let (mut socket, mut link) = greeted(&process, false).await;
    for channel in 1..=150 {
        let Message::Open(mut open) = open() else { unreachable!() };
        open.document = match channel {
            1 => String::new(),
            2 => "n".repeat(100_000),
            _ => format!("many/{channel}"),
        };
        link.send(channel, &Message::Open(open));
    }
    send(&mut socket, &mut link).await;
    let (mut refused, mut answered, mut reasons) = (0, 0, Vec::new());
    while refused + answered < 150 {
        let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
        match link.frame(now(), &frame).unwrap() {
            Some((_, Message::Close(close))) => {
                reasons.push(close.reason);
                refused += 1;
            }
            Some((_, Message::OpenAck(_))) => answered += 1,
            _ => {}
        }
    }
    assert_eq!((refused, answered), (50, 100));
    assert_eq!(reasons[..3], [CloseReason::Limit, CloseReason::Limit, CloseReason::TooMany]);
    unharmed(process, client).await;
}
