//! A replica on a websocket, without a disk of its own: what it has stored is what it has in memory.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use weftline::sync::{Link, Opening, Output, Replica, Retry};
use weftline::{EditError, Timestamp, Value};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

pub(crate) async fn websocket(relay: SocketAddr) -> Socket {
    connect_async(format!("ws://{relay}/")).await.unwrap().0
}

pub(crate) struct Client {
    pub(crate) replica: Replica,
    socket: Option<Socket>,
    /// What the relay said about coming back, when it ended the connection in good order.
    pub(crate) sent_away: Option<Retry>,
    /// How often the relay wanted another token.
    pub(crate) asked_for_token: usize,
    edits: usize,
}

impl Client {
    pub(crate) fn new(document: &str) -> Self {
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy).unwrap();
        let replica = Replica::open(document, Opening { slot: Some(0), entropy, now: now() }, []).unwrap();
        Client { replica, socket: None, sent_away: None, asked_for_token: 0, edits: 0 }
    }

    pub(crate) async fn connect(&mut self, relay: SocketAddr) {
        self.connect_by(websocket(relay).await);
    }

    /// By this socket, on which nothing was said yet.
    pub(crate) fn connect_by(&mut self, socket: Socket) {
        self.socket = Some(socket);
        self.sent_away = None;
        self.replica.connected(now());
    }

    /// Cuts the connection, as a network does: without a word.
    pub(crate) fn cut(&mut self) {
        self.socket = None;
        self.replica.disconnected(now());
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Writes under a key of the map that all tests use.
    pub(crate) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.replica.transact(now(), |edit| edit.map("map")?.put(key, value)).map(|_| ()).unwrap_or_else(refused);
        self.edits += 1;
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.replica.document().map("map").get(key)
    }

    pub(crate) fn keys(&self) -> usize {
        self.replica.document().map("map").len()
    }

    /// How many of its edits the relay has acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.edits - self.replica.status().unsaved
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.replica.status().is_synced()
    }

    /// Serves the connection until the condition holds.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + PATIENCE;
        loop {
            self.transmit().await;
            if condition(self) {
                return;
            }
            assert!(self.step(limit).await, "waited in vain until {what}: {:?}", self.replica.status());
        }
    }

    pub(crate) async fn until_synced(&mut self) {
        self.until("synced", Self::is_synced).await;
    }

    pub(crate) async fn until_live(&mut self) {
        self.until("live", |client| client.replica.status().link == Link::Live).await;
    }

    /// Waits for one frame, or the replica's deadline; false when `limit` passes before, or there is nothing to wait for.
    async fn step(&mut self, limit: Instant) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        let wait = self.replica.deadline().map_or(PATIENCE, |at| Duration::from_millis(at.0.saturating_sub(now().0)));
        let received = tokio::select! {
            received = timeout_at(limit, socket.next()) => match received {
                Ok(received) => received,
                Err(_) => return false,
            },
            () = sleep_until(Instant::now() + wait) => {
                self.replica.tick(now()).expect("the relay is alive");
                return true;
            }
        };
        match received {
            Some(Ok(Message::Binary(frame))) => {
                self.replica.frame(now(), &frame).expect("the relay keeps the protocol")
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => self.cut(),
        }
        true
    }

    /// Does what the replica asks for.
    pub(crate) async fn transmit(&mut self) {
        while let Some(output) = self.replica.poll(now()) {
            match output {
                Output::Transmit(frame) => {
                    let Some(socket) = &mut self.socket else { continue };
                    if socket.send(Message::Binary(frame.into())).await.is_err() {
                        self.cut();
                    }
                }
                Output::Persist(persist) => self.replica.durable(persist.token, now()),
                Output::Disconnect { retry } => {
                    self.sent_away = Some(retry);
                    self.cut();
                }
                Output::TokenWanted => self.asked_for_token += 1,
                Output::Changed(_) | Output::ForkRepaired { .. } | Output::Presence(_) | Output::Status(_) => {}
            }
        }
    }
}

fn refused(error: EditError) {
    panic!("an edit was refused: {error}");
}
