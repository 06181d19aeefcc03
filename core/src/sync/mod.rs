//! How replicas and a relay come to agree: the protocol, as machines without input or output of their own.
//!
//! [`Replica`] is a document, what of it the relay does not have yet, who it is written as, and the link to its home relay.
//! [`Session`] is one end of one connection. Both take what happened as method calls (a frame came, a write is durable, time
//! passed) and give what is to be done through `poll`. The same code runs in the native client, in browsers, in the relay
//! and in the simulator. The relay's other half, the room that holds a document's log, is in the relay's crate.
//!
//! # The idea
//!
//! The relay keeps, for each document, a *log*: rows at positions 1, 2, 3, …, each the delta of one transaction or a diff that
//! fills a hole. A client follows the log by a *cursor* and pushes its own deltas, which become rows. Everything else is
//! about what happens when something was interrupted:
//!
//! - Whatever happened, a *version vector* with chain tags says exactly what a replica has, and a *diff* from one version
//!   to another exists. So every connection begins by comparing 16-byte version hashes, and ends up there in any doubt.
//! - Nothing is shown to others before it is durable: neither by a client (DUR-1) nor by the relay (FAN-1). So a crash never
//!   takes back what somebody has seen, and a client can keep its writer id through crashes and power cuts.
//! - The relay states facts, the client judges. Only the client knows what it has *now*.
//! - Clients are replicas. What a relay lost, they give back.
//!
//! # One connection
//!
//! ```text
//!   client                                              relay
//!     │  Hello{versions, max frame, heartbeat}            │  both at once, without waiting
//!     │ ─────────────────────────────────────────────►    │
//!     │    ◄───────────────────────────────────────────── │
//!     │  Open{document, opening, connection, cursor?,     │
//!     │       version hash, beacon, version?, voids,      │
//!     │       claims, settles}                            │  after the proof (DUR-3)
//!     │ ─────────────────────────────────────────────►    │
//!     │    OpenAck{epoch, head, version hash, beacon,     │
//!     │            version?, horizon, facts, voids,       │
//!     │            resume, roster?}                       │  once all it names is committed
//!     │    ◄───────────────────────────────────────────── │
//!     │                                                   │
//!     │    resume = Same: nothing is missing here         │
//!     │    resume = Tail: rows after the cursor follow    │
//!     │    resume = Diff: a diff from `version` follows   │
//!     │    resume = Ask:                                  │
//!     │  Want{version, live?}                             │  below the relay's horizon with what lives here
//!     │ ─────────────────────────────────────────────►    │
//!     │    Diff{position, bytes}                          │
//!     │    ◄───────────────────────────────────────────── │
//!     │    Rows{from, to, rows}                           │  one batch at a time
//!     │    ◄───────────────────────────────────────────── │
//!     │    CaughtUp{position, version hash}               │  compared (CUR-3): unequal → Want, or refill
//!     │    ◄───────────────────────────────────────────── │
//!     ┆                                                   ┆
//!     │  Rows{deltas of the outbox}                       │  each after its own batch is durable here (DUR-1)
//!     │ ─────────────────────────────────────────────►    │  checked, applied, appended, committed
//!     │    Ack{replica, through, level, position}         │  after the commit (ACK-1)
//!     │    ◄───────────────────────────────────────────── │
//!     │    Rows{from, to, rows} to everybody else         │  after the commit (FAN-1)
//!     │    ◄───────────────────────────────────────────── │
//!     ┆                                                   ┆
//!     │  Offer{version, by digest}                        │  when the relay lacks more than the outbox brings
//!     │ ─────────────────────────────────────────────►    │
//!     │    Want{version, live?}                           │  to one client at a time
//!     │    ◄───────────────────────────────────────────── │
//!     │  Diff{bytes}                                      │
//!     │ ─────────────────────────────────────────────►    │  appended as one row
//!     │    Durable{version, level, position}              │  an ack for everything it covers
//!     │    ◄───────────────────────────────────────────── │
//! ```
//!
//! At any time after OpenAck *Presence* goes both ways: who is here and what each shows of itself, without any of the promises
//! made of edits (`presence.rs`). It goes to those only who said in Hello that they take it.
//!
//! *Nack{replica, seq, reason, version?}* refuses something pushed; *Ask* tells a client that the rows after its cursor are
//! gone, and that it is to send Want; *Close* ends a channel, *Goodbye* a connection; *Ping* and *Pong* show that a silent peer lives.
//! Nack, Close and Goodbye say why, and when to try again ([`Retry`]): by the client's own backoff, after a time, or never by itself. What
//! was refused for a time is pushed again then, on the same connection; what was refused for good stays in the outbox, stuck. [`Status`] says which
//! and why.
//! The bytes are in `docs/format.md`, section 10.
//!
//! # Downward: the log
//!
//! A cursor is (epoch, position). The relay draws a random *epoch* at each start and keeps the list of them; a cursor means
//! something only if its epoch is in the list and its position was reached in it (CUR-1), so a relay that was put back to
//! an older state is found out. The client moves its cursor by contiguous rows only, in the same stored batch as the rows
//! (CUR-2). A client's own rows are not sent back to it: they count as sent, and `position` in Ack says how far.
//!
//! CaughtUp carries the hash of the relay's version at the position reached. The client compares it with its own *settled*
//! version, which is everything here minus the outbox. If they differ although nothing has to be given back, the cursor is
//! dropped and a diff repairs whatever it was (CUR-3). The same happens when a row stays unready: the log is in causal order,
//! so what is missing then will not come by itself.
//!
//! What died is told by the relay's log of removals, which reaches back to its *horizon*. A client that was away for longer
//! says in Want also which dots live here (the digest tier), as long as it is not in the middle of writing: what an edit that
//! is not durable yet has removed still lives at the durable version. Whoever gives no digest, or would have to give more
//! than [`limits::MAX_DIGEST`], is sent everything.
//!
//! Within a session rows are *packed*: replicas are numbers of a [`Roster`], stamps are distances, and the tag before a delta
//! is left out where it was told on this connection. That is a form of the same bytes, made once for all members: in full, or
//! short, for those who were sent the rows before of the same writer (`relayed.rs`). Logs and stores hold whole rows.
//!
//! A slow client is a cursor, not a queue: the relay has a little on its way to each, and one batch of rows at most beyond that.
//!
//! A long diff goes down in *parts*, the next when the last was taken, each with the hash of the whole. What arrived before a connection
//! was lost is kept, and the next Open says so: the relay goes on from there if it still has that diff, or makes one of the same bytes.
//! It takes effect when it is whole (DIFF-6).
//!
//! # Upward: the outbox
//!
//! An own delta is durable here before it is pushed, stays in the outbox until the home relay acks it, and stays in the
//! document for ever (ACK-2). Deltas are pushed in the order of their chains, and so that each finds at the relay what it
//! builds upon; then the relay needs no room for unready deltas and refuses them.
//!
//! That works only if the relay has everything else the client has. If it does not (it was restored, or it refused a delta
//! as unready), the client sends one diff from the relay's version to its own *whole* durable version, of all origins
//! (ACK-5, DIFF-7), and waits for Durable. A part of a version would not do: what an unsent delta removed cannot be rebuilt.
//! It offers first: everybody who comes back to a relay that was restored has the same to give, and the relay asks one at a
//! time. Those who have nothing left to give when their turn comes are sent Durable as if they had sent it. Where a client's log
//! does not reach back to the relay's version, it says so, and is told with the question what lives there, once on a connection;
//! so what goes up is what was lost, not the whole state.
//!
//! # Identity
//!
//! *Slots* (`slot.rs`) say who may write as whom. At connect the client *claims* the id that it goes on writing under, and
//! *settles* every id with deltas that wait for their ack: it names the boundaries of those chains. The relay answers with
//! what it has of each, and with who has the *lease* of it; the client judges, from its state at that moment:
//!
//! | of an own id | then |
//! |---|---|
//! | the relay's chain is a prefix of ours, the lease is ours | that much is acked, the rest is pushed |
//! | its chain is longer than ours *now* | this store was put back to an older state, or copied: the id is retired (ID-5), the rest of the chain comes down like everything else |
//! | it ends before something that was acked, or its lease is older than the one we know of | the relay lost data: a diff gives it back |
//! | an opening has the lease that this store knows nothing of | this is a copy, or was copied: the id is retired before it writes anything more (LEASE-1) |
//! | the lease was not given, since another tab had pushed for us meanwhile | it is asked for again |
//! | the two chains contradict each other at some dot | a fork: the id is retired, and one of the branches is *void* |
//!
//! The chain carries the safety: a delta is taken if it extends the log's chain, whoever sends it. The lease is early warning.
//! Who has it is a pair of a number and an *inc*, the random number of an opening. Whoever opens the store next names all
//! openings before it that may have got the lease and died before they heard, so that a crash does not look like a copy.
//!
//! A *void fact* names the branch that is not the log's, by its first dot and the tag after its first delta (FORK-2). The relay finds
//! it by the boundaries that were named, or when the branch is pushed, and writes it into the log: so it is durable before anybody
//! is told, and everybody is told it, in its place among the rows.
//!
//! # Forks
//!
//! Whoever holds a void branch renames it (FORK-3), and builds the document anew from what the relay has, because nothing takes a
//! document back to before the branch: the connection is given up, the next Open asks for everything, and its answer is joined
//! with the renamed outbox and whatever the relay lacks. The application is told to read everything again. Where nobody
//! has the branch's deltas any more, because a relay that was put back had acked them, what lives of them is moved (FORK-5).
//!
//! ```text
//!   client                                              relay
//!     │  Rows{deltas of the outbox}                       │  the first that is not the log's begins the branch
//!     │ ─────────────────────────────────────────────►    │
//!     │    Nack{fork}, and Void among the rows            │  or Void in OpenAck, where marks told it
//!     │    ◄───────────────────────────────────────────── │
//!     │  Goodbye; then Open{no cursor, empty version}     │
//!     │ ─────────────────────────────────────────────►    │
//!     │    OpenAck{voids}, Diff of everything             │
//!     │    ◄───────────────────────────────────────────── │
//!     │  one strict batch, Goodbye, and Open as ever      │
//! ```
//!
//! # What this version does not do
//!
//! *Forks of which nobody has the deltas* are repaired by what lives of them: something may be there twice then. And where a relay
//! was put back, a copy of a store has written there, and somebody else gives back what the original had written, nobody can tell
//! that the one does not go on from the other: unequal payloads show it at the next connection, and by then something may be gone.
//! Numbers in `features` and layout versions in every message leave room for more.

mod backoff;
mod control;
mod encoding;
mod entropy;
mod fork;
mod frame;
pub mod limits;
mod link;
mod message;
mod outbox;
mod packed;
mod presence;
mod queue;
mod record;
mod relayed;
mod replica;
mod roster;
mod row;
mod session;
mod slot;
mod staging;
mod status;
mod wire;

pub use backoff::Backoff;
pub use encoding::{MessageError, MessageKind};
pub use frame::{CONNECTION, FrameError};
pub use limits::compaction_due;
pub use message::{
    Ack, CaughtUp, Claim, Close, CloseReason, DiffMessage, Durable, Fact, Goodbye, Hello, Level, Message, Nack,
    NackReason, Offer, Open, OpenAck, PackedRows, Part, Resume, Retry, Rows, Settle, Staged, Want,
};
pub use packed::{Said, Source, Unpacked, pack, unpack};
pub use presence::{PeerId, PeerState, Presence, PresenceTooLong};
pub use record::{Class, Cursor, Persist, Record, StoreChange, Table, Token};
pub use relayed::{Before, LogSaid};
pub use replica::{OpenError, Opening, Output, Replica};
pub use roster::{Roster, RosterNews};
pub use row::{Lease, RecordError, Row};
pub use session::{ProtocolError, Session, SessionConfig};
pub use staging::diff_id;
pub use status::{Link, Refusal, Status};
