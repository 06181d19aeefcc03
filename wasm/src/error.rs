//! What went wrong, as a code and numbers: the texts are made in JavaScript (`js/engine.ts`).

use alloc::vec::Vec;

use weftline::sync::OpenError;
use weftline::{EditError, Kind};

use crate::wire::Writer;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NoSuchElement,
    IndexOutOfRange {
        index: usize,
        len: usize,
    },
    WrongKind {
        expected: Kind,
        found: Kind,
    },
    Limit {
        on: LimitOn,
        found: u64,
        limit: u64,
    },
    CounterOverflow,
    Transaction,
    Protocol(u8),
    StoredData(u8),
    /// The other half sent what it never sends.
    Argument,
}

/// What a limit is on: the numbers of the texts in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitOn {
    Key = 1,
    Depth,
    Transaction,
    Name,
}

impl Fault {
    pub(crate) fn reply(self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::NoSuchElement => out.byte(1),
            Self::IndexOutOfRange { index, len } => {
                out.byte(2);
                out.count(index);
                out.count(len);
            }
            Self::WrongKind { expected, found } => {
                out.byte(3);
                out.kind(expected);
                out.kind(found);
            }
            Self::Limit { on, found, limit } => {
                out.byte(4);
                out.byte(on as u8);
                out.uint(found);
                out.uint(limit);
            }
            Self::CounterOverflow => out.byte(5),
            Self::Transaction => out.byte(6),
            Self::Protocol(code) => {
                out.byte(7);
                out.byte(code);
            }
            Self::StoredData(code) => {
                out.byte(8);
                out.byte(code);
            }
            Self::Argument => out.byte(0xff),
        }
        out.into_bytes()
    }
}

impl From<EditError> for Fault {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NoSuchElement(_) | EditError::Gone => Self::NoSuchElement,
            EditError::OutOfRange { index, len } => Self::IndexOutOfRange { index, len },
            EditError::WrongKind { expected, found } => Self::WrongKind { expected, found },
            EditError::KeyTooLong { len, limit } => {
                Self::Limit { on: LimitOn::Key, found: len as u64, limit: limit as u64 }
            }
            EditError::TooDeep { limit } => {
                Self::Limit { on: LimitOn::Depth, found: limit as u64 + 1, limit: limit as u64 }
            }
            EditError::PositionTooDeep { limit } => {
                Self::Limit { on: LimitOn::Depth, found: u64::from(limit) + 1, limit: u64::from(limit) }
            }
            EditError::TooLarge { found, limit, .. } => Self::Limit { on: LimitOn::Transaction, found, limit },
            EditError::CounterOverflow => Self::CounterOverflow,
            _ => Self::Transaction,
        }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Name { len, limit } => Self::Limit { on: LimitOn::Name, found: len as u64, limit: limit as u64 },
            OpenError::Snapshot(_) => Self::StoredData(1),
            _ => Self::StoredData(2),
        }
    }
}
