//! Too many, too fast, too slow, too long: each is refused or slowed down, counted, and noticed by nobody else.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, interval, timeout};
use tokio_tungstenite::tungstenite::Message as WsMessage;
use weftline::sync::{
    Close, CloseReason, Goodbye, Level, Link, Message, MessageKind, Open, Retry, Row, Rows, Session, SessionConfig,
};
use weftline::{Document, ReplicaId, VersionVector};
use weftline_relay::metrics::Refused;
use weftline_relay::{Config, Relay, StoreChoice};

use super::client::{Client, PATIENCE, Socket, now, websocket};
use super::convergence::config;

async fn relay(change: impl FnOnce(&mut Config)) -> Relay {
    let mut config = config(StoreChoice::Memory);
    change(&mut config);
    Relay::bind(config).await.unwrap()
}

/// How often something was refused for this reason.
fn refused(relay: &Relay, reason: Refused) -> u64 {
    relay.registry().metrics().refused.get().nth(reason as usize).unwrap()
}

/// Two who work together while others misbehave.
struct Pair {
    writer: Client,
    reader: Client,
    written: usize,
}

impl Pair {
    async fn at(relay: SocketAddr) -> Self {
        let mut pair = Pair { writer: Client::new("work"), reader: Client::new("work"), written: 0 };
        for client in [&mut pair.writer, &mut pair.reader] {
            client.connect(relay).await;
            client.until_live().await;
        }
        pair
    }

    /// Writes so much, each acknowledged and seen by the other before the next.
    async fn work(&mut self, edits: usize) {
        for _ in 0..edits {
            self.written += 1;
            let written = self.written;
            self.writer.put(&written.to_string(), "done");
            self.writer.until_synced().await;
            self.reader.until("it arrives", |reader| reader.keys() == written).await;
        }
        assert_eq!((self.writer.sent_away, self.reader.sent_away), (None, None));
    }
}

/// Reads until the relay closes; gives the last words, if there are any.
async fn last_words(socket: &mut Socket, link: &mut Session) -> Option<Close> {
    let mut said = None;
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("the relay closes") {
            Some(Ok(WsMessage::Binary(frame))) => {
                if let Ok(Some((_, Message::Goodbye(Goodbye { reason, retry })))) = link.frame(now(), &frame) {
                    said = Some(Close { reason, retry });
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return said,
        }
    }
}

/// Whether the relay closes the connection without another byte, or with what is left of an answer.
async fn is_dropped(mut stream: TcpStream) -> bool {
    let mut buffer = [0; 1024];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    timeout(PATIENCE, read).await.is_ok()
}

async fn say(socket: &mut Socket, link: &mut Session) -> bool {
    while let Some(frame) = link.poll() {
        if socket.send(WsMessage::Binary(frame.into())).await.is_err() {
            return false;
        }
    }
    true
}

fn open(document: &str, opening: u64) -> Message {
    let empty = Document::new();
    Message::Open(Open {
        document: document.into(),
        opening,
        connection: 1,
        version_hash: empty.version_hash(),
        beacon: empty.beacon(),
        version: Some(VersionVector::new()),
        ..Open::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_from_one_address_is_told_to_come_later_and_takes_nobodys_place() {
    const FLOOD: usize = 60;
    let relay = relay(|config| {
        config.limits.limit_loopback = true;
        config.limits.max_address_connections = 5;
    })
    .await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    let flood: Vec<_> = (0..FLOOD)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Client::new("flood");
                client.connect(at).await;
                client
                    .until("in or out", |client| !client.is_connected() || client.replica.status().link == Link::Live)
                    .await;
                (number, client)
            })
        })
        .collect();
    pair.work(20).await;
    let mut inside = Vec::new();
    let mut told = 0;
    for client in flood {
        let (_, client) = client.await.unwrap();
        if client.is_connected() {
            inside.push(client);
            continue;
        }
        let close = client.replica.status().closed.expect("it is told why");
        assert_eq!(close.reason, CloseReason::TooMany);
        assert!(close.retry.delay_ms().is_some_and(|ms| ms >= 15_000), "{close:?}");
        told += 1;
    }
    assert_eq!((inside.len(), told), (3, FLOOD - 3), "two places are taken by those who work");
    assert_eq!(refused(&relay, Refused::AddressConnections), told as u64);
    // Whoever leaves makes place for the next.
    drop(inside);
    let mut next = Client::new("flood");
    while next.replica.status().link != Link::Live {
        next.connect(at).await;
        next.until("in or out", |next| !next.is_connected() || next.replica.status().link == Link::Live).await;
    }
    pair.work(5).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_trickle_or_never_begin_are_few_and_end() {
    const TRICKLING: usize = 6;
    let relay = relay(|config| {
        config.handshake_timeout = Duration::from_millis(1_500);
        config.limits.limit_loopback = true;
        config.limits.max_address_handshakes = TRICKLING;
    })
    .await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    // A byte now and then, of a request that would be a good one.
    let mut trickling = Vec::new();
    for _ in 0..TRICKLING {
        let mut stream = TcpStream::connect(at).await.unwrap();
        trickling.push(tokio::spawn(async move {
            let mut pace = interval(Duration::from_millis(20));
            for byte in b"GET / HTTP/1.1\r\nHost: relay\r\nX-Patience: ".iter().chain(b"z".iter().cycle().take(100_000))
            {
                pace.tick().await;
                if stream.write_all(&[*byte]).await.is_err() {
                    return true;
                }
            }
            false
        }));
    }
    // Meanwhile there is no place for more of them, and those who are inside do not notice.
    let mut dropped = 0;
    while refused(&relay, Refused::AddressHandshakes) < 3 {
        if is_dropped(TcpStream::connect(at).await.unwrap()).await {
            dropped += 1;
        }
    }
    assert!(dropped >= 3);
    pair.work(20).await;
    for stream in trickling {
        assert!(timeout(PATIENCE, stream).await.unwrap().unwrap(), "the relay has closed it");
    }
    assert!(refused(&relay, Refused::Timeout) >= TRICKLING as u64);

    // The same behind the upgrade: nothing is said, or a frame begins and never ends.
    let mut silent = websocket(at).await;
    let mut begun = websocket(at).await;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = begun.get_mut() else { panic!("it is not encrypted") };
    stream.write_all(&[0x82, 0xfe, 0x10]).await.unwrap();
    for socket in [&mut silent, &mut begun] {
        let mut link = Session::new(SessionConfig::default(), now());
        assert_eq!(last_words(socket, &mut link).await, None, "it is not there, as far as anybody can tell");
    }
    pair.work(5).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_1_bad_frames_as_fast_as_they_go_hold_up_nobody() {
    const ATTACKERS: u64 = 4;
    const CONNECTIONS: u64 = 40;
    let relay = relay(|_| {}).await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    let attacks: Vec<_> = (0..ATTACKERS)
        .map(|attacker| {
            tokio::spawn(async move {
                for number in 0..CONNECTIONS {
                    let mut socket = websocket(at).await;
                    let mut link = Session::new(SessionConfig::default(), now());
                    if number % 2 == 0 {
                        // Frames that are none: the first ends it, and a hundred more are on their way.
                        link.send(1, &open("target", 1 + attacker * CONNECTIONS + number));
                        say(&mut socket, &mut link).await;
                        for _ in 0..100 {
                            if socket.send(WsMessage::Binary(vec![0xff; 100].into())).await.is_err() {
                                break;
                            }
                        }
                    } else {
                        // Deltas that nothing is before, in good order: each is refused, and the connection goes on.
                        link.send(1, &open("target", 1 + attacker * CONNECTIONS + number));
                        let mut document = Document::with_writer(ReplicaId::from(u128::from(attacker) + 1));
                        let mut write = || document.transact(now(), |edit| edit.map("map")?.put("key", 1)).unwrap();
                        let _first = write();
                        let second = write().delta.unwrap();
                        for _ in 0..200 {
                            link.send(1, &Message::Rows(Rows { from: 0, to: 0, rows: vec![Row::of(&second)] }));
                        }
                        say(&mut socket, &mut link).await;
                        let mut refusals = 0;
                        while refusals < 200 {
                            let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
                            let said = link.frame(now(), &frame).unwrap();
                            refusals += u32::from(said.is_some_and(|(_, message)| message.kind() == MessageKind::Nack));
                        }
                    }
                }
            })
        })
        .collect();
    pair.work(60).await;
    for attack in attacks {
        attack.await.unwrap();
    }
    pair.work(5).await;
    let metrics = relay.registry().metrics();
    let nacks: u64 = metrics.nacks.get().sum();
    assert!(nacks >= ATTACKERS * CONNECTIONS / 2 * 200, "{nacks}");
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_1_frames_and_messages_that_are_too_long_end_the_connection_for_good() {
    let relay = relay(|config| config.max_frame = 64 << 10).await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    // One frame.
    let mut socket = websocket(at).await;
    let mut link = Session::new(SessionConfig::default(), now());
    say(&mut socket, &mut link).await;
    let _ = socket.send(WsMessage::Binary(vec![0; (64 << 10) + 1].into())).await;
    let said = last_words(&mut socket, &mut link).await;
    // The relay stops reading in the middle of it, so that what it says may be lost in the reset.
    assert!(said.is_none_or(|close| close == Close { reason: CloseReason::Limit, retry: Retry::NEVER }), "{said:?}");

    // A message that never ends, in frames as long as they may be.
    let mut socket = websocket(at).await;
    let mut link = Session::new(SessionConfig::default(), now());
    link.send(1, &open("target", 1));
    link.send_body(1, MessageKind::Diff, &vec![7; 80 << 20]);
    let sent = say(&mut socket, &mut link).await;
    let said = last_words(&mut socket, &mut link).await;
    assert!(said.is_some() || !sent, "it was refused before it had ended");
    assert!(said.is_none_or(|close| close == Close { reason: CloseReason::Limit, retry: Retry::NEVER }), "{said:?}");
    pair.work(5).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_1_messages_that_begin_and_never_end_take_a_bounded_part_of_memory_together() {
    let relay = relay(|config| config.limits.max_unfinished = 8 << 20).await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    // Each begins a message that the limit of a connection allows, and stops in the middle of it.
    let mut begun = JoinSet::new();
    for opening in 1..=4 {
        begun.spawn(async move {
            let mut socket = websocket(at).await;
            let mut link = Session::new(SessionConfig::default(), now());
            link.send(1, &open("target", opening));
            link.send_body(1, MessageKind::Diff, &vec![7; 20 << 20]);
            let mut sent = 0;
            while sent < 3 << 20 {
                let frame = link.poll().expect("there is more");
                sent += frame.len();
                if socket.send(WsMessage::Binary(frame.into())).await.is_err() {
                    break;
                }
            }
            last_words(&mut socket, &mut link).await
        });
    }
    // One is too many, and is told so; the others have time.
    let close = begun.join_next().await.unwrap().unwrap().expect("it is told why");
    assert!(close.reason == CloseReason::TooMany && close.retry.delay_ms().is_some(), "{close:?}");
    assert!(refused(&relay, Refused::Unfinished) >= 1);
    pair.work(5).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_too_fast_is_slowed_down_and_loses_nothing() {
    let relay = relay(|config| {
        config.limits.max_delta_rate = 200;
        config.heartbeat = Duration::from_secs(1);
    })
    .await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    let mut hasty = Client::new("haste");
    hasty.connect(at).await;
    hasty.until_live().await;
    for number in 0..1_500 {
        hasty.put(&number.to_string(), 1);
    }
    let (_, ()) = tokio::join!(hasty.until_synced(), pair.work(20));
    assert!(refused(&relay, Refused::Rate) > 0);
    assert_eq!(hasty.sent_away, None, "not even for silence");
    let mut reader = Client::new("haste");
    reader.connect(at).await;
    reader.until("all of it is there", |reader| reader.keys() == 1_500).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_document_has_so_many_members_and_the_next_is_told_to_come_later() {
    let relay = relay(|config| config.limits.max_members = 2).await;
    let at = relay.local_addr();
    let mut pair = Pair::at(at).await;
    let mut third = Client::new("work");
    third.connect(at).await;
    third.until("sent away", |third| !third.is_connected()).await;
    let close = third.replica.status().closed.expect("it is told why");
    assert_eq!(close.reason, CloseReason::TooMany);
    assert!(close.retry.delay_ms().is_some(), "{close:?}");
    pair.work(2).await;
    relay.shutdown().await.unwrap();
}

#[tokio::test]
async fn ack_1_an_ack_says_how_durable_and_up_to_which_edit_of_whom() {
    let directory = tempfile::tempdir().unwrap();
    let stores =
        [(StoreChoice::Memory, Level::Memory), (StoreChoice::Sqlite(directory.path().join("db")), Level::Stored)];
    for (store, level) in stores {
        let relay = Relay::bind(config(store)).await.unwrap();
        let mut socket = websocket(relay.local_addr()).await;
        let mut link = Session::new(SessionConfig::default(), now());
        link.send(1, &open("d", 1));
        let mut document = Document::with_writer(ReplicaId::from(7));
        let mut rows = Vec::new();
        for key in ["a", "b"] {
            let put = document.transact(now(), |edit| edit.map("map")?.put(key, 1)).unwrap();
            rows.push(Row::of(&put.delta.unwrap()));
        }
        say(&mut socket, &mut link).await;
        let mut ack = None;
        while ack.is_none() {
            let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
            match link.frame(now(), &frame).unwrap() {
                Some((1, Message::OpenAck(_))) => {
                    link.send(1, &Message::Rows(Rows { from: 0, to: 0, rows: std::mem::take(&mut rows) }));
                    say(&mut socket, &mut link).await;
                }
                Some((1, Message::Ack(said))) => ack = Some(said),
                _ => {}
            }
        }
        let ack = ack.unwrap();
        assert_eq!(
            (ack.replica, ack.through, ack.level),
            (ReplicaId::from(7), document.seq(ReplicaId::from(7)), level)
        );
        relay.shutdown().await.unwrap();
    }
}
