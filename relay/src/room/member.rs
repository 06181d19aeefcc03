//! What a room remembers of a member.

use std::collections::BTreeMap;

use weftline::sync::{Said, Settle, Staged, Want};
use weftline::{ReplicaId, Tag, VersionEntry};

use super::diffs::Transfer;
use super::rights::Rights;
use crate::store::Position;

/// One member: a cursor into the log, and what is on its way.
#[derive(Debug)]
pub(super) struct Member {
    /// The client's opening, and which of its connections this is (SES-2).
    pub(super) opening: u64,
    pub(super) connection: u64,
    pub(super) rights: Rights,
    /// OpenAck has been sent: it may talk.
    pub(super) opened: bool,
    /// It is sent rows. Not while a diff is being prepared for it, or it has been told to ask for one.
    pub(super) feeding: bool,
    /// What it asked for.
    pub(super) question: Question,
    /// How often it has asked what lives here.
    pub(super) digests: u32,
    /// Every row up to here was sent to it, or is its own.
    pub(super) cursor: Position,
    /// Up to where it knows that.
    pub(super) told: Position,
    /// What it had of a diff when it came.
    pub(super) staged: Option<Staged>,
    /// The diff of which parts are still to be sent.
    pub(super) transfer: Option<Transfer>,
    /// What batches of rows, diffs and presence that are on their way weigh.
    pub(super) on_the_way: usize,
    /// The rows after this position are being read for it.
    pub(super) reading: Option<Position>,
    /// Up to which change it was told what others show of themselves.
    pub(super) presence: u64,
    /// It has been told that it is up to date.
    pub(super) caught_up: bool,
    /// How many replicas it has introduced.
    pub(super) new_replicas: usize,
    /// Rows travel packed, in both directions.
    pub(super) packed: bool,
    /// How many ids of the roster it was told.
    pub(super) named: usize,
    /// It knows the chains of the log from this position on: later rows do without the tag before them.
    pub(super) chains_from: Position,
    /// Every row after this position was sent to it, or is its own.
    pub(super) sent_from: Position,
    /// The ids whose lease it has.
    pub(super) leases: Vec<ReplicaId>,
    /// Void facts with rows up to here were told to it.
    pub(super) voids_upto: Position,
    /// What it said last of each origin, so that the next row need not say it.
    pub(super) said: Said,
    /// The ids that it claims, how far it has them, and whether the log went on behind that before it came.
    pub(super) claims: Vec<(ReplicaId, VersionEntry, bool)>,
    /// The chains that wait there for an ack.
    pub(super) settles: Vec<Settle>,
    /// What it pushed last of each origin here: its dot and tag, or that it was a fork.
    pub(super) pushed: BTreeMap<ReplicaId, Option<(u64, Tag)>>,
}

/// A diff that a member asked for. At most one is made, held or on its way at a time: it is as large as the document may be.
#[derive(Debug, Default)]
pub(super) enum Question {
    /// Nothing was asked.
    #[default]
    None,
    /// Asked while a batch of rows was still on its way.
    Waits(Want),
    /// The diff is held, or on its way.
    Answered,
}

impl Member {
    pub(super) fn new(opening: u64, connection: u64, rights: Rights) -> Self {
        Self {
            opening,
            connection,
            rights,
            opened: false,
            feeding: false,
            question: Question::None,
            digests: 0,
            cursor: 0,
            told: 0,
            staged: None,
            transfer: None,
            on_the_way: 0,
            reading: None,
            presence: 0,
            caught_up: false,
            new_replicas: 0,
            packed: false,
            named: 0,
            chains_from: 0,
            sent_from: 0,
            leases: Vec::new(),
            voids_upto: 0,
            said: Said::default(),
            claims: Vec::new(),
            settles: Vec::new(),
            pushed: BTreeMap::new(),
        }
    }

    /// Whether nothing more is sent before it has taken something.
    pub(super) fn is_busy(&self, window: usize) -> bool {
        self.on_the_way > window
    }

    /// It is at `position` now, and may be fed from there.
    pub(super) fn start_at(&mut self, position: Position) {
        self.cursor = position;
        self.told = position;
        self.sent_from = position;
        self.feeding = true;
        self.caught_up = false;
    }
}
