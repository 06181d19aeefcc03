//! The network: connections that are ordered and reliable until they are not.
//!
//! A websocket never loses, repeats or reorders a message within a connection; what it does is end, at any moment, taking what is on its
//! way with it; or seem to live while nothing arrives (half-open). Across connections everything is possible: the last messages of a
//! connection that its client gave up may arrive at the relay after the first ones of the next connection.

use std::collections::VecDeque;

use weftline::Timestamp;
use weftline::sync::{Roster, Said, Session, SessionConfig};
use weftline_relay::room::MemberId;

use crate::rng::Rng;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    frames: VecDeque<Frame>,
    /// When the last frame arrives: none overtakes it.
    last_at: u64,
    /// What is put in from now on never arrives.
    broken: bool,
}

/// A frame on its way.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What.
    pub(crate) bytes: Vec<u8>,
    /// The member whose batch ends with it: its arrival is the sign that the receiver takes what it is sent.
    pub(crate) drains: Option<MemberId>,
}

impl Pipe {
    /// Puts a frame in; gives the time of its arrival, if it will arrive.
    pub(crate) fn send(&mut self, frame: Frame, now: u64, delay: u64) -> Option<u64> {
        if self.broken {
            return None;
        }
        self.frames.push_back(frame);
        self.last_at = self.last_at.max(now + delay);
        Some(self.last_at)
    }

    /// The frame that arrives now.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// From now on nothing arrives, and nobody is told.
    pub(crate) const fn break_silently(&mut self) {
        self.broken = true;
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whose.
    pub(crate) peer: usize,
    /// The relay's end.
    pub(crate) session: Session,
    /// Reads along as the client sends, to check what leaves its process at the moment when it leaves.
    pub(crate) tap: Session,
    /// The roster that the relay told on it, to read packed rows by.
    pub(crate) roster: Roster,
    /// What the client has said on it, which its next rows leave out.
    pub(crate) said: Said,
    /// What the rows that the client was sent have said, which later ones leave out.
    pub(crate) heard: Said,
    /// The channels that are open, each a member of the room.
    pub(crate) member: Option<(u64, MemberId)>,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    /// Whether each end holds the connection for open.
    pub(crate) client_open: bool,
    pub(crate) relay_open: bool,
    /// The most a frame is delayed.
    pub(crate) max_delay: u64,
}

impl Connection {
    /// A connection that has just come up.
    pub(crate) fn new(peer: usize, now: u64, rng: &mut Rng) -> Self {
        let now = Timestamp(now);
        let slow = if rng.chance(10) { 5_000 } else { 150 };
        Self {
            peer,

            session: Session::new(SessionConfig::default(), now),
            tap: Session::new(SessionConfig::default(), now),
            roster: Roster::default(),
            said: Said::new(),
            heard: Said::of_log(),
            member: None,
            up: Pipe::default(),
            down: Pipe::default(),
            client_open: true,
            relay_open: true,
            max_delay: rng.between(5, slow),
        }
    }
}
