//! A native Weftline replica: the core's replica machine on tokio, with a websocket to the relay and files for its
//! records.
//!
//! ```no_run
//! use weftline_client::{ClientConfig, Replica};
//! use weftline_client::weftline::EditError;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::new("shopping").relay("ws://127.0.0.1:8787").folder("store");
//! let replica = Replica::open(config).await?;
//! replica.transact(|tx| tx.map("list")?.put("milk", "2 bottles"))?;      // visible at once, offline too
//! replica.flushed().await?;                                             // on this disk
//! replica.saved().await;                                                // on the relay's disk
//! let mut changes = replica.changes();
//! while changes.next().await.is_some() {
//!     println!("{:?}", replica.read(|document| document.map("list").get("milk")));
//! }
//! # Ok(()) }
//! ```
//!
//! The parts: `replica` is the handle; `shared` is the core's machine behind one lock; `link` connects, passes frames
//! and keeps deadlines; `websocket` is the only file that knows the websocket library; `writer` is the thread that
//! stores; `storage` is the folder of files. The document, the protocol and the rules are all in [`weftline`], which
//! does no I/O.
//!
//! Rules kept here: DUR-1 nothing of an own edit is sent before it is durable (the core holds it back until the writer
//! has synced). DUR-6 group commit, and an error is final. ID-2 slots behind exclusive file locks. SES-1 one
//! connection at a time.
#![forbid(unsafe_code)]

mod clock;
mod config;
mod error;
mod following;
mod link;
mod replica;
mod shared;
mod status;
mod token;
#[macro_use]
mod storage;
mod websocket;
mod writer;

pub use config::{ClientConfig, Durability, Store};
pub use error::{FlushError, NotSynced, OpenError};
pub use replica::{ChangeStream, Replica, Update};
pub use shared::Present;
pub use status::{Status, StoreProblem};
pub use storage::StoreError;
/// The core, in the version this crate is built on.
pub use weftline;
pub use weftline::sync::{Close, CloseReason, Link, NackReason, PeerId, PresenceTooLong, Refusal, Retry};
