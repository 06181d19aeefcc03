//! A client that stops reading, and comes back.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tempfile::tempdir;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use weftline::sync::{CONNECTION, Message, Open, Session, SessionConfig, diff_id};
use weftline::{Document, VersionVector};
use weftline_relay::{Relay, StoreChoice};

use super::client::{Client, PATIENCE, now, websocket};
use super::convergence::config;

/// More than the socket buffers of both sides hold.
const VALUES: usize = 400;
const VALUE: usize = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_pauses_holds_up_nobody_and_misses_nothing() {
    let directory = tempdir().unwrap();
    let relay = Relay::bind(config(StoreChoice::Sqlite(directory.path().join("relay.db")))).await.unwrap();

    // By hand, so that reading can stop: hello, open.
    let mut socket = websocket(relay.local_addr()).await;
    let mut link = Session::new(SessionConfig::default(), now());
    let empty = Document::new();
    let open = Open {
        document: "d".into(),
        opening: 1,
        connection: 1,
        cursor: None,
        version_hash: empty.version_hash(),
        beacon: empty.beacon(),
        version: Some(VersionVector::new()),
        voids: Vec::new(),
        claims: Vec::new(),
        settles: Vec::new(),
        packed: false,
        staged: None,
    };
    link.send(1, &Message::Open(open));
    while let Some(frame) = link.poll() {
        socket.send(WsMessage::Binary(frame.into())).await.unwrap();
    }
    let mut caught_up = false;
    while !caught_up {
        let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
        caught_up = matches!(link.frame(now(), &frame).unwrap(), Some((1, Message::CaughtUp(_))));
    }

    // It reads no more. The others do not notice.
    let (mut writer, mut reader) = (Client::new("d"), Client::new("d"));
    writer.connect(relay.local_addr()).await;
    reader.connect(relay.local_addr()).await;
    for number in 0..VALUES {
        writer.put(&number.to_string(), "v".repeat(VALUE));
        writer.until_synced().await;
    }
    reader.until("the others have everything", |reader| reader.keys() == VALUES).await;

    // It reads again, and gets every row or a diff that stands for them, in order, as any other.
    let mut document = Document::new();
    let mut position = None;
    let mut staged = Vec::new();
    while document.version() != writer.replica.document().version() {
        let frame = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap().into_data();
        match link.frame(now(), &frame).unwrap() {
            Some((1, Message::Rows(rows))) => {
                assert_eq!(rows.from, position.map_or(1, |position| position + 1), "no row is left out");
                position = Some(rows.to);
                for row in &rows.rows {
                    document.apply(&row.delta().expect("only deltas were pushed").unwrap()).unwrap();
                }
            }
            Some((1, Message::Ask)) => {
                // Its place in the log has been replaced by a snapshot meanwhile.
                link.send(1, &Message::Want(weftline::sync::Want::since(document.version())));
            }
            Some((1, Message::Diff(diff))) => {
                document.apply_diff(&weftline::codec::decode_diff(&diff.bytes).unwrap()).unwrap();
                position = Some(diff.position);
            }
            Some((1, Message::Part(part))) => {
                staged.truncate(part.offset as usize);
                staged.extend_from_slice(&part.bytes);
                if staged.len() as u64 == part.total {
                    assert_eq!(diff_id(&staged), part.id);
                    document.apply_diff(&weftline::codec::decode_diff(&staged).unwrap()).unwrap();
                    position = Some(part.position);
                }
            }
            Some((CONNECTION, other)) => panic!("{other:?}"),
            _ => {}
        }
        while let Some(frame) = link.poll() {
            socket.send(WsMessage::Binary(frame.into())).await.unwrap();
        }
    }
    assert_eq!(document.map("map").len(), VALUES);
    relay.shutdown().await.unwrap();
}

/// Writes more than the buffers of the system hold, in edits that each are as long as a picture in a text.
async fn write_much(writer: &mut Client) {
    for number in 0..LONG_VALUES {
        writer.put(&number.to_string(), "v".repeat(LONG_VALUE));
        writer.transmit().await;
    }
    writer.until_synced().await;
}

const LONG_VALUES: usize = 1_000;
const LONG_VALUE: usize = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stops_reading_stays_and_ends_with_everything() {
    let directory = tempdir().unwrap();
    let relay = Relay::bind(config(StoreChoice::Sqlite(directory.path().join("relay.db")))).await.unwrap();
    let (mut writer, mut reader, mut stalled) = (Client::new("d"), Client::new("d"), Client::new("d"));
    for client in [&mut writer, &mut reader, &mut stalled] {
        client.connect(relay.local_addr()).await;
        client.until_live().await;
    }
    // From here on nothing is read for it.
    write_much(&mut writer).await;
    reader.until("the others have everything", |reader| reader.keys() == LONG_VALUES).await;

    stalled.until("it has everything", |stalled| stalled.keys() == LONG_VALUES).await;
    assert!(stalled.is_connected(), "it was slow, which is no reason to cut it off");
    assert_eq!(stalled.replica.document().version(), writer.replica.document().version());
    relay.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_silent_for_three_heartbeats_is_let_go_and_misses_nothing() {
    let directory = tempdir().unwrap();
    let mut config = config(StoreChoice::Sqlite(directory.path().join("relay.db")));
    config.heartbeat = Duration::from_secs(1);
    let relay = Relay::bind(config).await.unwrap();
    let (mut writer, mut silent) = (Client::new("d"), Client::new("d"));
    for client in [&mut writer, &mut silent] {
        client.connect(relay.local_addr()).await;
        client.until_live().await;
    }
    write_much(&mut writer).await;
    // Nobody else holds the room, so it closes when the silent one is given up.
    writer.cut();
    relay.registry().closed("d").await;

    silent.cut();
    silent.connect(relay.local_addr()).await;
    silent.until("it has everything", |silent| silent.keys() == LONG_VALUES).await;
    assert_eq!(silent.replica.document().version(), writer.replica.document().version());
    relay.shutdown().await.unwrap();
}
