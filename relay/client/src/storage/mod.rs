//! Where a native replica keeps its records: a folder of files, or memory alone.
//!
//! [`folder`] finds a free slot, [`slot`] holds a snapshot and a log, [`log`] appends and cuts torn tails, [`frame`]
//! is the bytes.
//!
//! Rules: ID-2 slots behind exclusive locks. DUR-5 a group of records is stored wholly or not at all. DUR-6 sync
//! before anybody is told; an error is final. ID-7 the outbox of every slot is sent, under its own id. Not here: when
//! something is written; that is [`crate::writer`].

mod error;
mod folder;
mod frame;
mod item;
mod log;
mod slot;

pub use error::StoreError;
pub(crate) use folder::{FolderStore, Opened, open};
pub(crate) use item::Item;
