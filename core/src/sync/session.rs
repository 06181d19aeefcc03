//! One connection, either end: Hello, fragments, heartbeat.
//!
//! Sans-IO. Give it every frame that arrives and the time; write every frame it wants to send; look at the deadline. What
//! the messages of a channel mean is above: [`super::Replica`] on the client, the room on the relay.
//!
//! Rules: BYTES-1 whatever arrives, a session answers or fails; it never panics and holds a bounded amount of it.

use alloc::string::String;
use alloc::vec::Vec;

use super::encoding::MessageKind;
use super::frame::{self, Assembler, CONNECTION, Decode, FrameError};
use super::limits;
use super::message::{CloseReason, Goodbye, Hello, Message, Retry};
use super::queue::Queue;
use super::wire::told;
use crate::clock::Timestamp;

/// What one end of a connection takes in and expects.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Who this is, for the peer's logs.
    pub agent: String,
    /// The longest frame taken in.
    pub max_frame: usize,
    /// The longest unfinished messages, together.
    pub max_staged: usize,
    /// After how long a silence to ask whether the peer is there.
    pub heartbeat_ms: u64,
    /// The oldest and the newest version of the protocol that is spoken.
    pub versions: (u16, u16),
    /// The optional features that are spoken.
    pub features: u64,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            agent: concat!("weftline/", env!("CARGO_PKG_VERSION")).into(),
            max_frame: limits::MAX_FRAME,
            max_staged: limits::MAX_STAGED,
            heartbeat_ms: limits::HEARTBEAT_MS,
            versions: (limits::PROTOCOL_VERSION, limits::PROTOCOL_VERSION),
            features: limits::FEATURES,
        }
    }
}

/// Why a connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message where it must not come.
    #[error("unexpected {what}")]
    Unexpected {
        /// Which.
        what: &'static str,
    },
    /// The peer speaks other versions.
    #[error("the peer speaks versions {min} to {max}, and here the newest is {ours}")]
    Version {
        /// The peer's oldest.
        min: u16,
        /// The peer's newest.
        max: u16,
        /// Our newest.
        ours: u16,
    },
    /// A row or a diff that cannot be what the peer says it is.
    #[error("invalid {what} from the peer")]
    Invalid {
        /// What.
        what: &'static str,
    },
    /// Nothing was heard for too long.
    #[error("nothing heard for {silence_ms} ms")]
    TimedOut {
        /// How long.
        silence_ms: u64,
    },
    /// The two sides do not come to agree.
    #[error("still different after {repairs} repairs")]
    NoProgress {
        /// How many exchanges were tried.
        repairs: u32,
    },
}

impl ProtocolError {
    /// What to tell the peer.
    pub const fn reason(&self) -> CloseReason {
        match self {
            Self::Version { .. } => CloseReason::Version,
            Self::Frame(FrameError::TooLong { .. } | FrameError::Staged { .. }) => CloseReason::Limit,
            _ => CloseReason::Protocol,
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    assembler: Assembler,
    peer: Option<Hello>,
    out: Queue<Vec<u8>>,
    /// The number of the frame that is sent next.
    next: u8,
    /// When anything was last heard, or the last Ping was sent after that.
    quiet_since: Timestamp,
    /// How many heartbeats have passed since anything was heard.
    missed: u64,
}

impl Session {
    /// A connection that has just come up. Both ends say Hello at once.
    pub fn new(config: SessionConfig, now: Timestamp) -> Self {
        Self::reading(Message::decode, config, now)
    }

    /// The same for a client, which reads nothing of what only a client says.
    pub(super) fn of_client(config: SessionConfig, now: Timestamp) -> Self {
        Self::reading(Message::decode_downward, config, now)
    }

    fn reading(decode: Decode, config: SessionConfig, now: Timestamp) -> Self {
        let assembler = Assembler::new(decode, config.max_frame, config.max_staged);
        let hello = Hello {
            min_version: config.versions.0,
            max_version: config.versions.1,
            features: config.features,
            agent: config.agent.clone(),
            max_frame: u32::try_from(config.max_frame).unwrap_or(u32::MAX),
            heartbeat_ms: u32::try_from(config.heartbeat_ms).unwrap_or(u32::MAX),
        };
        // Where the numbers of frames begin differs, so that frames of another connection do not fit in.
        let next = frame::after(now.0 as u8);
        let mut session = Self { config, assembler, peer: None, out: Queue::new(), next, quiet_since: now, missed: 0 };
        session.say(&Message::Hello(hello));
        session
    }

    /// Takes a frame that arrived. Gives the message it completes, if that is one for the layer above: messages of
    /// channels, and Goodbye and Token on channel 0.
    ///
    /// # Errors
    /// When the connection must be closed.
    pub fn frame(&mut self, now: Timestamp, bytes: &[u8]) -> Result<Option<(u64, Message)>, ProtocolError> {
        if self.peer.is_some() {
            self.quiet_since = now;
            self.missed = 0;
        }
        let Some((channel, message)) = self.assembler.take(bytes)? else { return Ok(None) };
        match message {
            Message::Hello(hello) if channel == CONNECTION && self.peer.is_none() => {
                let (oldest, ours) = self.config.versions;
                if hello.max_version.min(ours) < hello.min_version.max(oldest) {
                    return Err(ProtocolError::Version { min: hello.min_version, max: hello.max_version, ours });
                }
                self.peer = Some(hello);
                self.quiet_since = now;
                Ok(None)
            }
            Message::Hello(_) => Err(ProtocolError::Unexpected { what: told("Hello") }),
            // Before Hello nothing else may come: what the peer means is not known yet.
            _ if self.peer.is_none() => Err(ProtocolError::Unexpected { what: told("message before Hello") }),
            Message::Ping if channel == CONNECTION => {
                self.say(&Message::Pong);
                Ok(None)
            }
            Message::Pong if channel == CONNECTION => Ok(None),
            Message::Goodbye(_) | Message::Token(_) if channel == CONNECTION => Ok(Some((channel, message))),
            Message::Ping | Message::Pong | Message::Goodbye(_) | Message::Token(_) => {
                Err(ProtocolError::Unexpected { what: told("connection message on a channel") })
            }
            _ if channel == CONNECTION => {
                Err(ProtocolError::Unexpected { what: told("document message on channel 0") })
            }
            _ => Ok(Some((channel, message))),
        }
    }

    /// How much of unfinished messages is taken from now on: less, say, from a peer of whom nothing is known yet.
    pub const fn set_max_staged(&mut self, bytes: usize) {
        self.assembler.set_max_staged(bytes);
    }

    /// Queues a message, if the peer takes it.
    pub fn send(&mut self, channel: u64, message: &Message) {
        self.send_body(channel, message.kind(), &message.encode_body());
    }

    /// Queues a message about the connection. Both ends say those, so nothing but a client's encoding is needed.
    fn say(&mut self, message: &Message) {
        self.send_body(CONNECTION, message.kind(), &message.encode_upward());
    }

    /// Queues a message whose body is encoded already. Gives whether it did: a peer is not sent what it does not take.
    pub fn send_body(&mut self, channel: u64, kind: MessageKind, body: &[u8]) -> bool {
        if kind.feature() & !self.features() != 0 {
            return false;
        }
        // Until the peer's own limit is known, what every peer takes.
        let theirs = self.peer.as_ref().map_or(limits::MIN_FRAME, |hello| hello.max_frame as usize);
        // A peer cannot make us send in crumbs, nor in pieces larger than we would take ourselves.
        let mut max_frame = theirs.clamp(limits::MIN_FRAME, limits::MAX_FRAME);
        // Frames arrive whole or not at all: of a long diff little is to be lost with the connection.
        if kind == MessageKind::Part {
            max_frame = limits::PART_FRAME;
        }
        frame::cut(channel, kind, body, max_frame, |frame| self.out.push(frame));
        true
    }

    /// Queues what says what this end may do.
    pub(super) fn token(&mut self, token: &[u8]) {
        self.send_body(CONNECTION, MessageKind::Token, token);
    }

    /// What has come of the message begun on a channel, when the connection is gone.
    pub(super) fn unfinished(&mut self, channel: u64) -> Option<(MessageKind, Vec<u8>)> {
        self.assembler.unfinished(channel)
    }

    /// Queues a Goodbye: the driver closes the connection once it is sent.
    pub fn goodbye(&mut self, reason: CloseReason, retry: Retry) {
        self.say(&Message::Goodbye(Goodbye { reason, retry }));
    }

    /// The next frame to send.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        let mut next = self.out.pop()?;
        frame::number(&mut next, self.next);
        self.next = frame::after(self.next);
        Some(next)
    }

    /// Whether the peer has said Hello.
    pub const fn is_open(&self) -> bool {
        self.peer.is_some()
    }

    /// How many bytes of messages have come that are not finished. O(1).
    pub const fn staged_bytes(&self) -> usize {
        self.assembler.staged_bytes()
    }

    /// What the peer said of itself.
    pub const fn peer(&self) -> Option<&Hello> {
        self.peer.as_ref()
    }

    /// The version that is spoken on this connection, the newest that both speak; absent until the peer has said Hello.
    pub fn version(&self) -> Option<u16> {
        self.peer.as_ref().map(|hello| hello.max_version.min(self.config.versions.1))
    }

    /// The optional features that both sides speak; none until the peer has said Hello.
    pub fn features(&self) -> u64 {
        self.peer.as_ref().map_or(0, |hello| hello.features & self.config.features)
    }

    /// When [`Self::tick`] must be called next.
    pub fn deadline(&self) -> Timestamp {
        let patience = if self.peer.is_none() { limits::HELLO_WITHIN_MS } else { self.heartbeat_ms() };
        self.quiet_since.plus_ms(patience)
    }

    /// Time has passed: asks whether the peer is there, or gives it up.
    ///
    /// # Errors
    /// When nothing was heard for too long.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        if now < self.deadline() {
            return Ok(());
        }
        if self.peer.is_none() {
            return Err(ProtocolError::TimedOut { silence_ms: limits::HELLO_WITHIN_MS });
        }
        // One at a time, however much time has passed: after a machine slept, the peer gets the same chance to answer.
        self.quiet_since = now;
        self.missed += 1;
        if self.missed >= limits::DEAD_AFTER_HEARTBEATS {
            return Err(ProtocolError::TimedOut { silence_ms: self.missed.saturating_mul(self.heartbeat_ms()) });
        }
        self.say(&Message::Ping);
        Ok(())
    }

    fn heartbeat_ms(&self) -> u64 {
        self.config.heartbeat_ms.max(limits::MIN_HEARTBEAT_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VersionVector;
    use crate::sync::message::{Close, Want};
    use crate::sync::presence::Presence;

    const NOW: Timestamp = Timestamp(1_000);

    fn pair() -> (Session, Session) {
        let mut a = Session::new(SessionConfig::default(), NOW);
        let mut b = Session::new(SessionConfig::default(), NOW);
        deliver(&mut a, &mut b, NOW).unwrap();
        deliver(&mut b, &mut a, NOW).unwrap();
        (a, b)
    }

    fn deliver(from: &mut Session, to: &mut Session, now: Timestamp) -> Result<Vec<(u64, Message)>, ProtocolError> {
        let mut got = Vec::new();
        while let Some(frame) = from.poll() {
            got.extend(to.frame(now, &frame)?);
        }
        Ok(got)
    }

    #[test]
    fn a_silent_peer_is_asked_twice_and_then_given_up() {
        let (mut a, mut b) = pair();
        let second = NOW.plus_ms(limits::HEARTBEAT_MS);
        assert_eq!(a.deadline(), second);
        a.tick(second).unwrap();
        // The answer counts as having been heard.
        deliver(&mut a, &mut b, second).unwrap();
        deliver(&mut b, &mut a, second).unwrap();
        assert_eq!(a.deadline(), second.plus_ms(limits::HEARTBEAT_MS));

        a.tick(second.plus_ms(limits::HEARTBEAT_MS)).unwrap();
        a.tick(second.plus_ms(2 * limits::HEARTBEAT_MS)).unwrap();
        let dead = a.tick(second.plus_ms(3 * limits::HEARTBEAT_MS));
        assert!(matches!(dead, Err(ProtocolError::TimedOut { .. })));
    }

    #[test]
    fn nothing_comes_before_hello() {
        let (mut a, _) = pair();
        a.send(1, &Message::Close(Close { reason: CloseReason::Done, retry: Retry::BACKOFF }));
        let mut fresh = Session::new(SessionConfig::default(), NOW);
        assert!(matches!(deliver(&mut a, &mut fresh, NOW), Err(ProtocolError::Unexpected { .. })));
        let late = NOW.plus_ms(limits::HELLO_WITHIN_MS);
        assert!(matches!(fresh.tick(late), Err(ProtocolError::TimedOut { .. })));
    }

    #[test]
    fn messages_reach_the_layer_above_with_their_channel() {
        let (mut a, mut b) = pair();
        let want = Message::Want(Want::since(VersionVector::new()));
        a.send(9, &want);
        assert_eq!(deliver(&mut a, &mut b, NOW).unwrap(), [(9, want)]);
        a.send(CONNECTION, &Message::Ask);
        assert!(deliver(&mut a, &mut b, NOW).is_err());
    }

    fn speaking(versions: (u16, u16), features: u64) -> Session {
        Session::new(SessionConfig { versions, features, ..SessionConfig::default() }, NOW)
    }

    #[test]
    fn the_newest_version_that_both_speak_is_spoken_and_only_features_that_both_have() {
        for (ours, theirs, version) in [((1, 1), (1, 3), 1), ((1, 3), (2, 4), 3), ((2, 2), (1, 9), 2)] {
            let (mut a, mut b) = (speaking(ours, 0b0111), speaking(theirs, 0b1101 | 1 << 63));
            assert_eq!((a.version(), a.features()), (None, 0));
            deliver(&mut a, &mut b, NOW).unwrap();
            deliver(&mut b, &mut a, NOW).unwrap();
            assert_eq!((a.version(), b.version()), (Some(version), Some(version)));
            assert_eq!((a.features(), b.features()), (0b0101, 0b0101));
        }
    }

    #[test]
    fn without_a_common_version_both_ends_say_so() {
        for (ours, theirs) in [((1, 1), (2, 3)), ((3, 4), (1, 2)), ((1, 2), (5, 5))] {
            let (mut a, mut b) = (speaking(ours, 0), speaking(theirs, 0));
            for error in [deliver(&mut a, &mut b, NOW).unwrap_err(), deliver(&mut b, &mut a, NOW).unwrap_err()] {
                assert!(matches!(error, ProtocolError::Version { .. }), "{error}");
                assert_eq!(error.reason(), CloseReason::Version);
            }
        }
    }

    #[test]
    fn what_a_later_version_says_besides_is_ignored() {
        let (mut a, mut b) = pair();
        // A kind of message that nobody knows here, whole and in pieces; between them and after them others.
        let want = Message::Want(Want::since(VersionVector::new()));
        for frame in [&[0, 200, 9, 1, 2][..], &[2, 255, 9, 1], &[3, 255, 9, 7], &[1, 255, 9, 7]] {
            let mut frame = frame.to_vec();
            frame::number(&mut frame, a.next);
            a.next = frame::after(a.next);
            assert_eq!(b.frame(NOW, &frame), Ok(None));
            a.send(9, &want);
            assert_eq!(deliver(&mut a, &mut b, NOW).unwrap(), [(9, want.clone())]);
        }
        // Below 128 it would be missed.
        assert!(matches!(b.frame(NOW, &[a.next << 2, 127, 9]), Err(ProtocolError::Frame(FrameError::Message(_)))));

        // A Hello with more behind it.
        let mut fresh = speaking((1, 1), 0);
        let mut hello = speaking((1, 2), 0).poll().unwrap();
        hello.extend([1, 2, 3]);
        assert_eq!(fresh.frame(NOW, &hello), Ok(None));
        assert_eq!(fresh.version(), Some(1));
    }

    #[test]
    fn a_peer_is_not_sent_what_it_does_not_take() {
        let presence = Message::Presence(Presence::default());
        for (features, gets) in [(0, 0), (limits::PRESENCE, 1)] {
            let (mut a, mut b) = (speaking((1, 1), limits::FEATURES), speaking((1, 1), features));
            a.send(1, &presence);
            deliver(&mut a, &mut b, NOW).unwrap();
            deliver(&mut b, &mut a, NOW).unwrap();
            assert_eq!(a.send_body(1, presence.kind(), &presence.encode_body()), gets == 1);
            assert_eq!(deliver(&mut a, &mut b, NOW).unwrap().len(), gets, "before Hello nothing is known of it");
        }
    }
}
