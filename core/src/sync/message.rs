//! What peers say.
//!
//! Not here: their bytes ([`super::encoding`]), and how they ride on a connection ([`super::frame`]).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::limits;
use super::presence::Presence;
use super::record::Cursor;
use super::roster::RosterNews;
use super::row::{Lease, Row};
use crate::clock::{DotRuns, Tag, VersionEntry, VersionVector, VoidFact};
use crate::codec;
use crate::diff::{Diff, Digest};
use crate::document::Document;
use crate::replica_id::ReplicaId;

/// Everything a peer can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message of either side.
    Hello(Hello),
    /// The client asks for a document on a channel of its choice.
    Open(Open),
    /// The relay's answer.
    OpenAck(OpenAck),
    /// Rows of the relay's log, or deltas that a client pushes.
    Rows(Rows),
    /// The same for a peer that keeps a roster.
    Packed(PackedRows),
    /// The relay has sent everything that was stored when it said this.
    CaughtUp(CaughtUp),
    /// Pushed deltas are durable.
    Ack(Ack),
    /// Asks for a diff: from the client, or from a relay that a client has asked what it lacks.
    Want(Want),
    /// A diff, in either direction.
    Diff(DiffMessage),
    /// A part of a long diff, downward.
    Part(Part),
    /// An uploaded diff is durable.
    Durable(Durable),
    /// The client has something to give back. The relay answers Want when it is its turn, or Durable when nothing is missing any more.
    Offer(Offer),
    /// The client is to send Want: the rows between its cursor and the log's floor are gone.
    Ask,
    /// What peers show of themselves.
    Presence(Presence),
    /// Says what the client may do: signed by somebody whom the relay trusts, and opaque to both ends of the protocol. From the relay,
    /// empty: what it was told so far ends soon, and it is to be told anew.
    Token(Arc<[u8]>),
    /// Something pushed was refused.
    Nack(Nack),
    /// The channel is closed.
    Close(Close),
    /// The connection is about to be closed.
    Goodbye(Goodbye),
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

/// Which protocol, which frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest version of the protocol that is spoken.
    pub min_version: u16,
    /// The newest.
    pub max_version: u16,
    /// Bits of optional features that this side takes ([`super::limits::FEATURES`]); unknown ones are ignored.
    pub features: u64,
    /// Who this is, for logs.
    pub agent: String,
    /// The longest frame taken in.
    pub max_frame: u32,
    /// After how long a silence this side sends a Ping.
    pub heartbeat_ms: u32,
}

/// An id that the client goes on writing under, and how far its chain is durable there. It asks for the id's *lease*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The id.
    pub replica: ReplicaId,
    /// The last durable dot.
    pub seq: u64,
    /// The chain tag there.
    pub tag: Tag,
    /// The number of the last lease that the store knows of, 0 if of none.
    pub lease_no: u64,
    /// The openings before this one that may hold the lease: the one that the store knows to have held it, and those since that
    /// never heard (ID-4).
    pub incs: Vec<u64>,
}

/// The chain of an id with deltas that wait for their ack: some of its *boundaries*, which are the places between two deltas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The id.
    pub replica: ReplicaId,
    /// Whether the boundaries between the first and the last are all here, so that each two enclose one delta.
    pub is_whole: bool,
    /// The boundaries, ascending: before the first delta that waits, after the last one, and between, at most
    /// [`super::limits::MAX_MARKS`].
    pub marks: Vec<VersionEntry>,
}

/// What the relay knows of a claimed or settled id. The client judges from what it has at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The id.
    pub replica: ReplicaId,
    /// The last dot that is durable at the relay, 0 if none is.
    pub seq: u64,
    /// The chain tag there.
    pub tag: Tag,
    /// The last boundary named in Open at which the relay's chain is known to have the same tag; 0 if it is known of none.
    pub same_upto: u64,
    /// Who may write under the id, as of now.
    pub lease: Option<Lease>,
}

/// Asks for a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The document's name.
    pub document: String,
    /// A random number of this opening of the client's store, its *inc*: who holds the lease of a claimed id.
    pub opening: u64,
    /// Counts the connections of this opening: a delayed Open of an older one must not replace a newer one (SES-2).
    pub connection: u64,
    /// How far the relay's log was followed.
    pub cursor: Option<Cursor>,
    /// The hash of the *settled* version: everything durable here without the own deltas that are not acked.
    pub version_hash: [u8; 16],
    /// The beacon of the document.
    pub beacon: [u8; 16],
    /// The durable version, when it is short and there is no cursor.
    pub version: Option<VersionVector>,
    /// The void facts that the client knows.
    pub voids: Vec<VoidFact>,
    /// The ids that the client goes on writing under.
    pub claims: Vec<Claim>,
    /// The ids that it has deltas of to push.
    pub settles: Vec<Settle>,
    /// Whether the client keeps a roster: rows then travel packed, in both directions.
    pub packed: bool,
    /// What has arrived of a diff that an earlier connection was too short for.
    pub staged: Option<Box<Staged>>,
}

/// How a client that opened a document comes up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Its cursor is valid: the rows after it follow.
    Tail,
    /// Its settled version is the relay's: nothing follows, its cursor is the head.
    Same,
    /// Its cursor is not valid, its version is known: a diff follows.
    Diff,
    /// Its cursor is not valid: it is to send Want.
    Ask,
}

impl Resume {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Tail, Self::Same, Self::Diff, Self::Ask];
}

/// The relay's answer to [`Open`]. Everything in it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAck {
    /// The epoch that cursors are to be kept in.
    pub epoch: u64,
    /// The last position of the log.
    pub head: u64,
    /// The hash of the relay's version at the head.
    pub version_hash: [u8; 16],
    /// The relay's beacon at the head.
    pub beacon: [u8; 16],
    /// The relay's version, when the hashes differ.
    pub version: Option<VersionVector>,
    /// With it, how far back the relay's removal log does not reach: sequence numbers. Whoever is below that sends a digest.
    pub horizon: VersionVector,
    /// One for each id that was claimed or settled.
    pub facts: Vec<Fact>,
    /// The void facts that the relay knows beyond those of Open.
    pub voids: Vec<VoidFact>,
    /// What follows.
    pub resume: Resume,
    /// The roster at the head, for a client that keeps one.
    pub roster: Option<RosterNews>,
}

/// Rows. Downward: the rows of the log from position `from` to `to`, without those that the receiver itself pushed on this
/// connection. Upward: deltas to store, `from` and `to` are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The first position.
    pub from: u64,
    /// The last position.
    pub to: u64,
    /// The rows, in the order of the log.
    pub rows: Vec<Row>,
}

/// [`Rows`] in the form that rows have within a session ([`super::pack`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedRows {
    /// The first position. Upward, and where there are only new ids to tell, one beyond the last.
    pub from: u64,
    /// The last position. Upward 0.
    pub to: u64,
    /// The ids that have a number since the receiver was last told, in their order. Upward none.
    pub new_ids: Vec<ReplicaId>,
    /// The rows, packed.
    pub rows: Vec<Arc<[u8]>>,
}

/// The end of catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// The position reached.
    pub position: u64,
    /// The hash of the relay's version there (CUR-3).
    pub version_hash: [u8; 16],
}

/// How durable "durable" is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// In the relay's memory only: a relay without a disk, for tests and demonstrations.
    Memory,
    /// On the relay's stable storage.
    Stored,
    /// On the stable storage of a quorum.
    Quorum,
}

impl Level {
    /// In the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Stored, Self::Quorum];
}

/// Everything of `replica` up to `through` is durable (ACK-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Whose deltas.
    pub replica: ReplicaId,
    /// Up to which dot.
    pub through: u64,
    /// How durable.
    pub level: Level,
    /// The receiver has been sent every row up to here, or pushed it itself: its cursor may move to it.
    pub position: u64,
}

/// Asks for everything beyond a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The version.
    pub version: VersionVector,
    /// What lives there, if the answer may need it: with the version a [`crate::Digest`].
    pub live: Option<DotRuns>,
}

impl Want {
    /// Asks by version alone.
    pub const fn since(version: VersionVector) -> Self {
        Self { version, live: None }
    }

    /// Asks by what a document holds, unless that would be longer than [`super::limits::MAX_DIGEST`]. O(live).
    pub fn by_digest(document: &Document) -> Self {
        let digest = document.digest();
        let fits = codec::encode_digest(&digest).len() <= limits::MAX_DIGEST;
        Self { version: digest.version, live: fits.then_some(digest.live) }
    }

    /// The answer of a document.
    pub fn answer(self, document: &Document) -> Diff {
        match self.live {
            Some(live) => document.diff_for(&Digest { version: self.version, live }),
            None => document.diff_since(&self.version),
        }
    }
}

/// What a client has and the relay, as far as the client was told, has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Everything durable at the client.
    pub version: VersionVector,
    /// Whether its log does not reach back to the relay's version, so that it needs to know what lives there.
    pub by_digest: bool,
}

/// A diff. Downward: what the relay has beyond the version it was given, at `position` of its log. Upward: what the relay
/// lacks; `position` is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffMessage {
    /// The position it reaches.
    pub position: u64,
    /// The encoded [`crate::Diff`].
    pub bytes: Arc<[u8]>,
}

/// A part of a diff that is too long for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The position that the diff reaches.
    pub position: u64,
    /// How long the diff is.
    pub total: u64,
    /// What names the diff ([`super::diff_id`]).
    pub id: [u8; 16],
    /// Where in the diff the bytes belong: behind those that were sent, or kept from an earlier connection.
    pub offset: u64,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

/// The beginning of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// What names the diff ([`super::diff_id`]).
    pub id: [u8; 16],
    /// How much of it is there.
    pub len: u64,
}

/// An uploaded diff is durable: an ack for everything that `version` covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The relay's version.
    pub version: VersionVector,
    /// How durable.
    pub level: Level,
    /// As in [`Ack`].
    pub position: u64,
}

/// Why something pushed was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NackReason {
    /// The relay lacks what it depends on, or the base of a diff: refill.
    NotReady,
    /// It is not the next one of its origin: refill.
    Gap,
    /// The relay has another delta at this dot (FORK-2).
    Fork,
    /// Longer than the relay takes.
    TooLarge,
    /// Not a valid delta or diff.
    Invalid,
    /// The document has as many writers as the relay allows.
    TooManyReplicas,
    /// This session may not write.
    ReadOnly,
    /// The document is as large as the relay takes. What makes it smaller is taken.
    DocumentFull,
    /// The relay's store fails.
    Storage,
    /// The relay's store is full.
    StorageFull,
}

impl NackReason {
    /// In the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::NotReady,
        Self::Gap,
        Self::Fork,
        Self::TooLarge,
        Self::Invalid,
        Self::TooManyReplicas,
        Self::ReadOnly,
        Self::DocumentFull,
        Self::Storage,
        Self::StorageFull,
    ];
}

/// Something pushed was refused. Rows after it in the same message were not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// Whose delta; the nil id for a diff.
    pub replica: ReplicaId,
    /// Its last dot; 0 for a diff.
    pub seq: u64,
    /// Why.
    pub reason: NackReason,
    /// When to push it again, if not at once.
    pub retry: Retry,
    /// The relay's durable version, where the answer to the refusal is to refill.
    pub version: Option<VersionVector>,
}

/// Whether and when to try again what was refused: to connect, or to push. The relay says it each time, so that clients need no table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry(pub(super) u32);

impl Retry {
    /// As the client thinks best: its backoff for a connection; for what was pushed, what the protocol says of the reason.
    pub const BACKOFF: Self = Self(0);
    /// Not before somebody has changed something: the same would be refused again.
    pub const NEVER: Self = Self(1);

    /// Not before so many milliseconds have passed; at least 2.
    pub const fn after_ms(ms: u32) -> Self {
        Self(if ms < 2 { 2 } else { ms })
    }

    /// How long to wait, if it says so.
    pub const fn delay_ms(self) -> Option<u32> {
        if self.0 > Self::NEVER.0 { Some(self.0) } else { None }
    }
}

/// Why a channel or a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It was asked for.
    Done,
    /// No common version of the protocol.
    Version,
    /// The peer said something it must not say.
    Protocol,
    /// Not allowed.
    Denied,
    /// A newer connection of the same opening took over (SES-2).
    Superseded,
    /// Longer than a limit allows, or not as a limit allows it.
    Limit,
    /// The relay stops or must read its store again: come back.
    Restart,
    /// The relay's store fails.
    Storage,
    /// The relay's store is full.
    StorageFull,
    /// As many are here, or as many documents are open, as a limit allows.
    TooMany,
    /// The relay cannot read the document, or fails when it does, and has put it aside.
    Quarantined,
    /// What allowed it has expired.
    Expired,
    /// Nobody may be here without a token, or not with this one.
    Token,
    /// What allowed it was taken back.
    Revoked,
}

impl CloseReason {
    /// In the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Done,
        Self::Version,
        Self::Protocol,
        Self::Denied,
        Self::Superseded,
        Self::Limit,
        Self::Restart,
        Self::Storage,
        Self::StorageFull,
        Self::TooMany,
        Self::Quarantined,
        Self::Expired,
        Self::Token,
        Self::Revoked,
    ];
}

/// The channel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Why.
    pub reason: CloseReason,
    /// When to open it again.
    pub retry: Retry,
}

/// The connection is about to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye {
    /// Why.
    pub reason: CloseReason,
    /// When to come back.
    pub retry: Retry,
}
