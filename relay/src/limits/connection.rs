//! What one connection may do, and what it has done.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use weftline::sync::Message;

use super::meter::{Meter, Rate};

/// What a question costs, in deltas: an Open, a Want or an Offer makes the relay compare versions, and perhaps make a diff.
const QUESTION: u64 = 50;

/// The longest that a session does not read because its client was too fast, or a heartbeat, if that is shorter: beyond it the client would
/// be taken for silent.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What one connection may do. The relay's options say the most; a token may lower it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Documents open at a time. More are refused.
    pub max_documents: usize,
    /// Deltas pushed in a second, and questions.
    pub deltas: Rate,
    /// Bytes sent in a second, of anything.
    pub bytes: Rate,
    /// Changes of presence in a second.
    pub presence: Rate,
}

/// Limits that a token names. What it does not name is the relay's own; what it names and is not known here refuses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLimits {
    /// Documents open at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_documents: Option<usize>,
    /// Deltas in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_rate: Option<u64>,
    /// Bytes in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_rate: Option<u64>,
    /// Changes of presence in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_rate: Option<u64>,
}

impl TokenLimits {
    /// Whether it names none.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl ConnectionLimits {
    /// The lower of both, one by one: a token cannot raise anything.
    #[must_use]
    pub fn lowered(&self, token: &TokenLimits) -> Self {
        let rate = |own: Rate, named: Option<u64>| {
            // As many seconds' worth at once as ever.
            let seconds = own.burst / own.per_second.max(1);
            named.map_or(own, |named| own.lowest(Rate::new(named, seconds)))
        };
        ConnectionLimits {
            max_documents: self.max_documents.min(token.max_documents.unwrap_or(usize::MAX)),
            deltas: rate(self.deltas, token.delta_rate),
            bytes: rate(self.bytes, token.byte_rate),
            presence: rate(self.presence, token.presence_rate),
        }
    }
}

/// What all connections together may do with one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// Deltas pushed in a second.
    pub deltas: Rate,
    /// Bytes pushed in a second.
    pub bytes: Rate,
}

/// How fast a document is written to, by everybody.
#[derive(Debug)]
pub struct RoomMeters {
    limits: RoomLimits,
    deltas: Meter,
    bytes: Meter,
}

impl RoomMeters {
    pub(crate) fn new(limits: RoomLimits, now: Instant) -> Self {
        RoomMeters { limits, deltas: Meter::new(now), bytes: Meter::new(now) }
    }
}

/// How fast a connection is. Where it is too fast its socket is not read for a while; nothing is refused, and nothing is lost.
#[derive(Debug)]
pub(crate) struct Throttle {
    deltas: Meter,
    bytes: Meter,
    presence: Meter,
    longest_pause: Duration,
    /// Nothing is read before.
    paused_until: Option<Instant>,
}

impl Throttle {
    pub(crate) fn new(now: Instant, heartbeat: Duration) -> Self {
        let meter = || Meter::new(now);
        let longest_pause = LONGEST_PAUSE.min(heartbeat);
        Throttle { deltas: meter(), bytes: meter(), presence: meter(), longest_pause, paused_until: None }
    }

    /// When reading goes on, if it is paused.
    pub(crate) fn paused_until(&mut self, now: Instant) -> Option<Instant> {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        self.paused_until
    }

    /// A frame was read.
    pub(crate) fn frame(&mut self, limits: &ConnectionLimits, bytes: usize, now: Instant) {
        let wait = self.bytes.take(limits.bytes, bytes as u64, now);
        self.pause(wait, now);
    }

    /// A message was read, for this document if for one. Says whether the client is too fast.
    pub(crate) fn message(
        &mut self,
        limits: &ConnectionLimits,
        room: Option<&RoomMeters>,
        message: &Message,
        now: Instant,
    ) -> bool {
        let (deltas, bytes) = cost(message);
        let mut wait = match message {
            Message::Presence(_) => self.presence.take(limits.presence, 1, now),
            _ => self.deltas.take(limits.deltas, deltas, now),
        };
        if let Some(room) = room.filter(|_| bytes > 0) {
            wait = wait.max(room.deltas.take(room.limits.deltas, deltas, now));
            wait = wait.max(room.bytes.take(room.limits.bytes, bytes, now));
        }
        self.pause(wait, now);
        !wait.is_zero()
    }

    fn pause(&mut self, wait: Duration, now: Instant) {
        if !wait.is_zero() {
            let until = now + wait.min(self.longest_pause);
            self.paused_until = Some(self.paused_until.map_or(until, |earlier| earlier.max(until)));
        }
    }
}

/// How much a message is, in deltas, and how many bytes of it are pushed.
fn cost(message: &Message) -> (u64, u64) {
    match message {
        Message::Rows(rows) => {
            let bytes: usize = rows.rows.iter().map(weftline::sync::Row::encoded_len).sum();
            (rows.rows.len().max(1) as u64, bytes as u64)
        }
        Message::Packed(rows) => {
            let bytes: usize = rows.rows.iter().map(|row| row.len()).sum();
            (rows.rows.len().max(1) as u64, bytes as u64)
        }
        Message::Diff(diff) => (QUESTION, diff.bytes.len() as u64),
        Message::Open(_) | Message::Want(_) | Message::Offer(_) => (QUESTION, 0),
        _ => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use weftline::sync::{Presence, Rows, Want};

    use super::*;
    use crate::limits::LimitOptions;

    const HEARTBEAT: Duration = Duration::from_secs(15);

    fn limits() -> ConnectionLimits {
        LimitOptions { max_delta_rate: 100, max_presence_rate: 10, ..LimitOptions::default() }.of_connection(10)
    }

    #[test]
    fn a_token_lowers_single_limits_and_raises_none() {
        let own = limits();
        assert_eq!(own.lowered(&TokenLimits::default()), own);
        let named = TokenLimits {
            max_documents: Some(3),
            delta_rate: Some(7),
            byte_rate: Some(u64::MAX),
            ..TokenLimits::default()
        };
        let lowered = own.lowered(&named);
        assert_eq!((lowered.max_documents, lowered.deltas), (3, Rate { per_second: 7, burst: 35 }));
        assert_eq!((lowered.bytes, lowered.presence), (own.bytes, own.presence));
    }

    #[test]
    fn who_is_too_fast_is_not_read_for_a_while() {
        let (limits, now) = (limits(), Instant::now());
        let mut throttle = Throttle::new(now, HEARTBEAT);
        let rows = Message::Rows(Rows::default());
        for _ in 0..500 {
            assert!(!throttle.message(&limits, None, &rows, now));
        }
        assert_eq!(throttle.paused_until(now), None);
        assert!(throttle.message(&limits, None, &rows, now));
        assert_eq!(throttle.paused_until(now), Some(now + Duration::from_millis(10)));
        // A question is as much as many deltas.
        throttle.message(&limits, None, &Message::Want(Want::since(weftline::VersionVector::new())), now);
        assert_eq!(throttle.paused_until(now), Some(now + Duration::from_millis(510)));
        assert_eq!(throttle.paused_until(now + Duration::from_secs(1)), None);
    }

    #[test]
    fn bytes_and_presence_are_measured_by_themselves_and_no_pause_is_too_long() {
        let (limits, now) = (limits(), Instant::now());
        let mut throttle = Throttle::new(now, HEARTBEAT);
        let presence = Message::Presence(Presence::default());
        for _ in 0..50 {
            assert!(!throttle.message(&limits, None, &presence, now));
        }
        assert!(throttle.message(&limits, None, &presence, now));
        assert!(!throttle.message(&limits, None, &Message::Rows(Rows::default()), now), "edits are not presence");
        throttle.frame(&limits, 1 << 40, now);
        assert_eq!(throttle.paused_until(now), Some(now + LONGEST_PAUSE));
        let mut throttle = Throttle::new(now, Duration::from_secs(1));
        throttle.frame(&limits, 1 << 40, now);
        assert_eq!(throttle.paused_until(now), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn all_who_write_to_a_document_share_its_rate() {
        let now = Instant::now();
        let limits = LimitOptions { max_document_delta_rate: 100, ..LimitOptions::default() };
        let room = RoomMeters::new(limits.of_room(), now);
        let own = limits.of_connection(1);
        let (mut one, mut two) = (Throttle::new(now, HEARTBEAT), Throttle::new(now, HEARTBEAT));
        let row = weftline::sync::Row::Diff { bytes: [1].as_slice().into() };
        let rows = Message::Rows(Rows { rows: vec![row; 300], ..Rows::default() });
        assert!(!one.message(&own, Some(&room), &rows, now));
        assert!(two.message(&own, Some(&room), &rows, now));
        assert_eq!(two.paused_until(now), Some(now + Duration::from_secs(1)));
        // Who only asks waits for nobody's edits.
        let mut reader = Throttle::new(now, HEARTBEAT);
        assert!(!reader.message(&own, Some(&room), &Message::Want(Want::since(weftline::VersionVector::new())), now));
    }
}
