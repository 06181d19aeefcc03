//! What a store keeps: the core's records, and how far this slot has taken over the others.

use super::error::StoreError;
use std::path::Path;
use weftline::sync::Record;

const RECORD: u8 = 0;
const ADOPTED: u8 = 1;

/// One item of a group in a log or snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A record of the core.
    Record(Record),
    /// Everything that another slot held up to the mark is in this slot too.
    Adopted {
        /// The name of its folder.
        slot: String,
        /// Up to where.
        mark: AdoptedMark,
    },
}

/// A place in the store of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdoptedMark {
    /// Which generation of its files.
    pub(crate) generation: u64,
    /// Up to which byte of its log.
    pub(crate) offset: u64,
}

impl Item {
    /// The record of the core, if it is one.
    pub(crate) fn into_record(self) -> Option<Record> {
        match self {
            Self::Record(record) => Some(record),
            Self::Adopted { .. } => None,
        }
    }

    /// Whether a record is a part of the state and not of what is held beside it.
    pub(crate) fn is_state(record: &Record) -> bool {
        matches!(record, Record::Row(_) | Record::Positions { .. } | Record::Snapshot(_))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Record(record) => {
                let mut bytes = vec![RECORD];
                bytes.extend_from_slice(&record.encode());
                bytes
            }
            Self::Adopted { slot, mark } => {
                let mut bytes = vec![ADOPTED];
                bytes.extend_from_slice(&mark.generation.to_le_bytes());
                bytes.extend_from_slice(&mark.offset.to_le_bytes());
                bytes.extend_from_slice(slot.as_bytes());
                bytes
            }
        }
    }

    /// Reads an item; the place it came from is for the error alone.
    pub(crate) fn decode(bytes: &[u8], path: &Path, offset: u64) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::Corrupt { path: path.to_owned(), offset, what };
        match bytes.split_first() {
            Some((&RECORD, rest)) => match Record::decode(rest) {
                Ok(record) => Ok(Self::Record(record)),
                Err(error) => Err(damaged(format!("a record is not readable: {error}"))),
            },
            Some((&ADOPTED, rest)) => match adopted(rest) {
                Some(item) => Ok(item),
                None => Err(damaged("a mark has the wrong length".to_owned())),
            },
            Some((kind, _)) => Err(damaged(format!("an item has the unknown kind {kind}"))),
            None => Err(damaged("an item is empty".to_owned())),
        }
    }
}

/// Records in the order in which they were written, without those that were dropped since.
pub(crate) fn folded(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut left = Vec::new();
    for record in records {
        Record::fold(&mut left, record);
    }
    left
}

fn adopted(bytes: &[u8]) -> Option<Item> {
    let (generation, rest) = bytes.split_first_chunk::<8>()?;
    let (offset, slot) = rest.split_first_chunk::<8>()?;
    let mark = AdoptedMark { generation: u64::from_le_bytes(*generation), offset: u64::from_le_bytes(*offset) };
    Some(Item::Adopted { slot: str::from_utf8(slot).ok()?.to_owned(), mark })
}
