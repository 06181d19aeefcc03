//! The roster of a log: a number for every replica, and the time that stamps are counted from. It lets a row of a session do
//! without ids and without whole stamps.
//!
//! A relay has one roster for each document that it holds open, and it lives as long as that: numbers are given once and
//! never change, in the order of ids to those that the document had met when it was opened, and in the order of their first
//! rows to the others. A client is told of it in OpenAck, where both sides know the version that it is about, and with each
//! batch of rows it is told which ids are new. So at every point of a connection its roster is the beginning of the relay's.
//!
//! Rules: FAN-1 only ids of stored rows are told.

use alloc::vec::Vec;

use super::wire::Malformed;
use crate::clock::{Timestamp, VersionVector};
use crate::ordered::Map;
use crate::replica_id::ReplicaId;

/// Numbers for the replicas of one log.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    since: Timestamp,
    ids: Vec<ReplicaId>,
    numbers: Map<ReplicaId, u64>,
    /// How many of the ids are in their order, because they were there at the beginning.
    sorted: usize,
}

/// How a relay tells its roster to somebody who knows the version that it is about: which of its replicas came later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterNews {
    /// The time that stamps are counted from.
    pub since: Timestamp,
    /// The replicas that came later, in the order in which they came: the place of each in the version.
    pub later: Vec<u64>,
}

impl Roster {
    /// The roster of a log that begins with this version. O(replicas).
    pub fn new(since: Timestamp, version: &VersionVector) -> Self {
        let mut roster = Self { since, ..Self::default() };
        for (id, _) in version.iter() {
            roster.add(id);
        }
        roster.sorted = roster.len();
        roster
    }

    /// Gives the next number to `id`, unless it has one. O(log replicas).
    pub fn add(&mut self, id: ReplicaId) {
        let next = self.ids.len() as u64;
        if *self.numbers.get_or_insert_with(id, || next) == next {
            self.ids.push(id);
        }
    }

    /// How many replicas have a number.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids that were given a number from `first` on, below `end`.
    pub fn range(&self, first: usize, end: usize) -> &[ReplicaId] {
        self.ids.get(first..end).unwrap_or_default()
    }

    /// What to tell of it to somebody who knows the version of the log, which has just these replicas. O(replicas).
    pub fn news(&self, version: &VersionVector) -> RosterNews {
        let mut places = Map::new();
        for (place, (id, _)) in version.iter().enumerate() {
            places.insert(id, place as u64);
        }
        let mut later = Vec::new();
        for id in self.ids.iter().skip(self.sorted) {
            if let Some(place) = places.get(id) {
                later.push(*place);
            }
        }
        RosterNews { since: self.since, later }
    }

    /// The roster that `news` tell about a log with this version. O(replicas).
    pub(super) fn from_news(news: &RosterNews, version: &VersionVector) -> Result<Self, Malformed> {
        let mut ids = Vec::new();
        for (id, _) in version.iter() {
            ids.push(id);
        }
        let mut later = Roster::default();
        for place in &news.later {
            let id = usize::try_from(*place).ok().and_then(|place| ids.get(place)).ok_or(Malformed)?;
            let len = later.len();
            later.add(*id);
            if later.len() == len {
                return Err(Malformed);
            }
        }
        let mut roster = Self { since: news.since, ..Self::default() };
        for id in ids.iter().filter(|id| later.number(**id).is_none()) {
            roster.add(*id);
        }
        roster.sorted = roster.len();
        for id in later.ids {
            roster.add(id);
        }
        Ok(roster)
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn number(&self, id: ReplicaId) -> Option<u64> {
        self.numbers.get(&id).copied()
    }

    pub(super) fn id(&self, number: u64) -> Option<ReplicaId> {
        usize::try_from(number).ok().and_then(|number| self.ids.get(number)).copied()
    }
}
