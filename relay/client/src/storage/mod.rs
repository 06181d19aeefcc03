//! Where a native replica keeps its records: a folder of files, or memory alone.
//!
//! [`folder`] finds a free slot, [`slot`] holds a snapshot and a log, [`log`] appends and cuts torn tails, [`frame`]
//! is the bytes, [`disk`] is what all of it is written to.
//!
//! Rules: ID-2 slots behind exclusive locks, TAB-4 and none where locks cannot be trusted. DUR-5 a group of records is
//! stored wholly or not at all. DUR-6 sync before anybody is told; an error is final. ID-7 the outbox of every slot is
//! sent, under its own id. Not here: when something is written; that is [`crate::writer`].

/// Whether a mistake is turned on: in the tests of this crate only, to show that they notice it.
#[cfg(test)]
macro_rules! faulty {
    ($name:ident) => {
        weftline::testing::is_fault_active(weftline::testing::Fault::$name)
    };
}
#[cfg(not(test))]
macro_rules! faulty {
    ($name:ident) => {
        false
    };
}

#[cfg(test)]
mod contract;
mod disk;
mod error;
mod folder;
mod frame;
mod item;
mod log;
mod slot;
#[cfg(test)]
pub(crate) mod test_disk;

pub(crate) use disk::{Disk, FileSystem};
pub use error::StoreError;
pub(crate) use folder::{FolderStore, Opened, open};
pub(crate) use item::Item;
