//! Every limit of the protocol, by name, with its reason.

/// The version of the protocol spoken here.
pub const PROTOCOL_VERSION: u16 = 1;

/// The bit of Hello's features that says: Presence is taken.
pub const PRESENCE: u64 = 1;

/// The features that are spoken here.
pub const FEATURES: u64 = PRESENCE;

/// The longest websocket message taken in by default. Small enough that a heartbeat is never stuck behind one for long,
/// large enough that almost nothing is ever split.
pub const MAX_FRAME: usize = 1 << 20;

/// What every peer must take in: the frame length used until the peer's Hello tells its own limit.
pub const MIN_FRAME: usize = 64 << 10;

/// The longest message put together from fragments, over all channels of a connection. A full diff of a large document
/// must pass; a peer that never finishes a message must not hold more than this.
pub const MAX_STAGED: usize = 64 << 20;

/// What an unfinished message counts for beside its bytes: about what keeping one takes. Without it a few bytes on each of
/// very many channels would take many times [`MAX_STAGED`].
pub const STAGED_MESSAGE: usize = 128;

/// The longest control message. They hold a version vector at most, 26 bytes for each replica that ever wrote.
pub const MAX_CONTROL: usize = 16 << 20;

/// The longest digest that is sent: a quarter of a million live dots scattered as badly as can be, or any number in runs.
/// Whoever would need a longer one asks by version, and is sent the whole state. It is read into some forty times its bytes.
pub const MAX_DIGEST: usize = 256 << 10;

/// The longest delta, as [`crate::Document`] makes and takes them.
pub const MAX_DELTA: usize = crate::codec::limits::MAX_DELTA_BYTES;

/// Silence after which a Ping is sent: shorter than the idle time-outs of common proxies.
pub const HEARTBEAT_MS: u64 = 15_000;

/// The shortest heartbeat a peer may ask for, so that nobody is made to send without pause.
pub const MIN_HEARTBEAT_MS: u64 = 1_000;

/// How many heartbeats of silence make a dead link: the first sends a Ping, the second another one.
pub const DEAD_AFTER_HEARTBEATS: u64 = 3;

/// How long a new connection may take to say Hello.
pub const HELLO_WITHIN_MS: u64 = 10_000;

/// The most rows sent at once to one receiver, in bytes; a single longer row is sent alone.
pub const MAX_BATCH: usize = 256 << 10;

/// The longest frame with a piece of a diff that is sent in parts: what is lost of it when the connection is. A tenth of a second of a
/// bad line, and some four bytes in eight thousand.
pub const PART_FRAME: usize = 8 << 10;

/// A version vector up to this length rides in Open, which saves a round trip when no cursor is valid.
pub const INLINE_VERSION: usize = 64;

/// The most claims and settled ids in one Open: one for the opening's own id and one for each id that still has an outbox.
pub const MAX_CLAIMS: usize = 1_024;

/// The most openings of a slot in a row that may claim an id and never hear whether they got its lease (ID-4). After one more a
/// fresh id is cheaper than a longer claim.
pub const MAX_UNCONFIRMED: usize = 8;

/// The most boundaries of one chain that are named in Open. Of more, some are named, and the deltas between two of them tell the rest.
pub const MAX_MARKS: usize = 64;

/// The most void facts of one document. Each is a fork that was found, and costs everybody some 26 bytes for ever.
pub const MAX_VOIDS: usize = 1_024;

/// The longest value that a peer shows of itself: a name, a colour, a cursor or a selection, not content.
pub const MAX_PRESENCE: usize = 4 << 10;

/// The least time between two values that a replica sends: ten a second make a cursor that moves.
pub const PRESENCE_INTERVAL_MS: u64 = 100;

/// How long others are shown after the connection is lost: longer than most breaks, shorter than anybody looks.
pub const PRESENCE_TTL_MS: u64 = 30_000;

/// The most peers of a document that a replica keeps; more are not shown to it.
pub const MAX_PEERS: usize = 4_096;

/// The longest name of a document, in bytes.
pub const MAX_DOCUMENT_NAME: usize = 512;

/// How often one connection refills or repairs before it gives up and reconnects with backoff: twice is once more than any
/// fault we know of needs, and a fault we do not know of must not make two peers exchange states for ever.
pub const MAX_REPAIRS: u32 = 4;

/// Below this a log is never worth a snapshot.
pub const COMPACT_FROM: usize = 64 << 10;

/// Whether a log this long is worth being replaced by a snapshot, when the last one was this long. Storage then never
/// exceeds a constant factor of the state, and each byte is rewritten a constant number of times.
pub const fn compaction_due(log_bytes: usize, snapshot_bytes: usize) -> bool {
    log_bytes > COMPACT_FROM && log_bytes > snapshot_bytes
}
