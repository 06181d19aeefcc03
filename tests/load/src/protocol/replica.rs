//! Clients of the relay: whole replicas, and followers that look at nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use weftline::sync::{CONNECTION, Link, Message, MessageKind, Open, Opening, Output, Replica, Session, SessionConfig};
use weftline::{Document, EditError, Timestamp, VersionVector};

use super::Out;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A replica that has stored what it has in memory.
pub(crate) struct Full {
    replica: Replica,
}

impl Full {
    pub(super) fn new(document: &str) -> Result<Self> {
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy)?;
        let opening = Opening { slot: Some(0), entropy, now: now() };
        let replica = Replica::open(document, opening, []).context("an empty store can be opened")?;
        Ok(Self { replica })
    }

    pub(super) fn connected(&mut self, out: &mut Out) {
        self.replica.connected(now());
        self.transmit(out);
    }

    pub(super) fn disconnected(&mut self) {
        self.replica.disconnected(now());
        self.transmit(&mut Out::new());
    }

    pub(super) fn hear(&mut self, frame: &[u8], out: &mut Out) -> Result<()> {
        self.replica.frame(now(), frame)?;
        self.transmit(out);
        Ok(())
    }

    pub(super) fn is_live(&self) -> bool {
        self.replica.status().link == Link::Live
    }

    pub(super) fn is_saved(&self) -> bool {
        self.replica.status().is_synced()
    }

    pub(super) fn state(&self) -> [u8; 16] {
        self.replica.document().version_hash()
    }

    pub(super) fn put(&mut self, key: usize, text: &str, out: &mut Out) -> Result<()> {
        let key = format!("k{key}");
        let made = self.replica.transact::<_, EditError>(now(), |edit| edit.map("m")?.put(&key, text));
        let _commit = made.map_err(|error| anyhow!("an edit was refused: {error}"))?;
        self.transmit(out);
        Ok(())
    }

    fn transmit(&mut self, out: &mut Out) {
        while let Some(output) = self.replica.poll(now()) {
            match output {
                Output::Transmit(frame) => out.push(frame),
                Output::Persist(persist) => self.replica.durable(persist.token, now()),
                _ => {}
            }
        }
    }
}

/// Follows a log without reading it: only what comes before the rows is understood.
pub(crate) struct Follower {
    document: String,
    link: Session,
    live: bool,
}

impl Follower {
    pub(super) fn new(document: &str) -> Result<Self> {
        Ok(Self { document: document.to_owned(), link: Session::new(SessionConfig::default(), now()), live: false })
    }

    pub(super) fn connected(&mut self, out: &mut Out) {
        let empty = Document::new();
        let open = Open {
            document: self.document.clone(),
            // Two that are the same would take the connection from one another; by chance there are none.
            opening: getrandom::u64().unwrap_or_default(),
            connection: 1,
            version_hash: empty.version_hash(),
            beacon: empty.beacon(),
            version: Some(VersionVector::new()),
            packed: true,
            ..Open::default()
        };
        self.link.send(1, &Message::Open(open));
        self.transmit(out);
    }

    pub(super) fn hear(&mut self, frame: &[u8], out: &mut Out) -> Result<()> {
        if !self.live {
            let heard = self.link.frame(now(), frame)?;
            match heard {
                Some((_, Message::CaughtUp(_))) => self.live = true,
                Some((_, Message::Close(close))) => bail!("the channel was closed: {:?}", close.reason),
                _ => {}
            }
            self.transmit(out);
            return Ok(());
        }
        let kind = frame.get(1).and_then(|kind| MessageKind::from_byte(*kind).ok()).context("not a frame")?;
        match kind {
            MessageKind::Packed | MessageKind::Rows | MessageKind::CaughtUp | MessageKind::Presence => {}
            MessageKind::Ping => {
                self.link.send(CONNECTION, &Message::Pong);
                self.transmit(out);
            }
            // It keeps no document, so nothing but rows is of use to it.
            other => bail!("it was sent {other:?} in the place of rows"),
        }
        Ok(())
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    fn transmit(&mut self, out: &mut Out) {
        while let Some(frame) = self.link.poll() {
            out.push(frame);
        }
    }
}
