//! The network: connections that are ordered and reliable until they are not.
//!
//! A websocket never loses, repeats or reorders a message within a connection; what it does is end, at any moment, taking what is on its
//! way with it; or seem to live while nothing arrives (half-open). Across connections everything is possible: the last messages of a
//! connection that its client gave up may arrive at the relay after the first ones of the next connection.
//!
//! A proxy between the two may do worse: lose a frame, deliver it twice, late, or to somebody else. Nobody can go on
//! with a connection on which that happened, but nobody may come to harm by it.

use std::collections::VecDeque;

use weftline::Timestamp;
use weftline::sync::{Roster, Said, Session, SessionConfig};
use weftline_relay::room::MemberId;

use crate::plan::Tampering;
use crate::rng::Rng;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    frames: VecDeque<Frame>,
    /// When the last frame arrives: none overtakes it.
    last_at: u64,
    /// What is put in from now on never arrives.
    pub(crate) broken: bool,
    /// What is done to the next frame.
    pub(crate) tampering: Option<Tampering>,
    /// A frame that is to arrive after the next one.
    held: Option<Frame>,
    /// The number of the last frame put in.
    last_number: Option<u8>,
}

/// A frame on its way.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// What.
    pub(crate) bytes: Vec<u8>,
    /// The member whose batch ends with it: its arrival is the sign that the receiver takes what it is sent.
    pub(crate) drains: Option<MemberId>,
}

impl Pipe {
    /// Puts a frame in; gives the time at which one arrives, and how many do then.
    pub(crate) fn send(&mut self, frame: Frame, now: u64, delay: u64) -> (u64, usize) {
        self.last_at = self.last_at.max(now + delay);
        if self.broken {
            return (self.last_at, 0);
        }
        self.last_number = number(&frame).or(self.last_number);
        let mut count = 1;
        match self.tampering.take_if(|how| *how != Tampering::Misdeliver) {
            Some(Tampering::Lose) => count = 0,
            Some(Tampering::Swap) => {
                count = 0;
                self.held = Some(frame.clone());
            }
            Some(Tampering::Repeat) => {
                count = 2;
                self.frames.push_back(frame.clone());
            }
            _ => {}
        }
        if count > 0 {
            self.frames.push_back(frame);
            if let Some(held) = self.held.take() {
                self.frames.push_back(held);
                count += 1;
            }
        }
        (self.last_at, count)
    }

    /// Whether a frame of another connection passes here for the next one, as one in 64 does: numbers of six bits cannot tell (SES-4).
    pub(crate) fn passes(&self, frame: &Frame) -> bool {
        number(frame).is_none_or(|number| self.last_number.is_none_or(|last| (last + 1) % 64 == number))
    }

    /// Whether the next frame is to arrive at somebody else.
    pub(crate) fn misdelivers(&mut self) -> bool {
        self.tampering.take_if(|how| *how == Tampering::Misdeliver).is_some()
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

/// The number that a frame says it has on its connection.
fn number(frame: &Frame) -> Option<u8> {
    frame.bytes.first().map(|flags| flags >> 2)
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whose.
    pub(crate) peer: usize,
    /// To which room.
    pub(crate) room: usize,
    /// A frame was tampered with on it: what its ends say of each other is no rule broken.
    pub(crate) tampered: bool,
    pub(crate) rng: Rng,
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
    pub(crate) fn new(peer: usize, room: usize, now: Timestamp, mut rng: Rng) -> Self {
        let slow = if rng.chance(10) { 5_000 } else { 150 };
        let max_delay = rng.between(5, slow);
        Self {
            peer,
            room,
            tampered: false,
            rng,
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
            max_delay,
        }
    }
}
