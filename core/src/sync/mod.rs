//! How replicas and their relay come to agree: the protocol, as machines without I/O.
//!
//! PROSE
mod backoff;
mod entropy;
mod frame;
pub mod limits;
mod link;
mod message;
mod outbox;
mod record;
mod replica;
mod session;
mod slot;
mod status;
mod wire;

pub use backoff::Backoff;
pub use frame::{CONNECTION, FrameError};
pub use limits::compaction_due;
pub use message::{
    Ack, CaughtUp, Claim, Close, CloseReason, CursorWire, DiffMessage, Durable, Fact, Goodbye, Hello, Level, Message,
    MessageError, MessageKind, Nack, NackReason, Open, OpenAck, Resume, Rows, Want,
};
pub use record::{Class, Cursor, Persist, Record, RecordError, Row, StoreChange, Table, Token};
pub use replica::{OpenError, Opening, Output, Replica};
pub use session::{ProtocolError, Session, SessionConfig};
pub use status::{Link, Status};
