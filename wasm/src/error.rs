//! What went wrong, as a code and numbers: the texts are made in JavaScript (`js/engine.ts`).

use alloc::vec::Vec;

use weftline::sync::{OpenError, PresenceTooLong, ProtocolError};
use weftline::{EditError, Kind};

use crate::wire::Writer;

// The codes; `js/ops.ts` has the same numbers.
const NO_SUCH_ELEMENT: u8 = 1;
const INDEX_OUT_OF_RANGE: u8 = 2;
const WRONG_KIND: u8 = 3;
const LIMIT: u8 = 4;
const COUNTER_OVERFLOW: u8 = 5;
const TRANSACTION: u8 = 6;
const PROTOCOL: u8 = 7;
const STORED_DATA: u8 = 8;
const ARGUMENT: u8 = 0xff;

/// What a limit is on: the numbers of the texts in JavaScript.
#[derive(Clone, Copy)]
enum LimitOn {
    Key = 1,
    Depth,
    Transaction,
    Name,
    Position,
    Presence,
}

/// Why a call was refused: already as the bytes of its reply, so that results stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(Vec<u8>);

impl Fault {
    pub(crate) fn reply(self) -> Vec<u8> {
        self.0
    }

    /// The other half sent what it never sends.
    #[cold]
    pub(crate) fn argument() -> Self {
        Self::of(ARGUMENT)
    }

    #[cold]
    fn no_such_element() -> Self {
        Self::of(NO_SUCH_ELEMENT)
    }

    #[cold]
    fn index_out_of_range(index: usize, len: usize) -> Self {
        let mut out = Writer::starting(INDEX_OUT_OF_RANGE);
        out.count(index);
        out.count(len);
        Self(out.into_bytes())
    }

    #[cold]
    fn wrong_kind(expected: Kind, found: Kind) -> Self {
        let mut out = Writer::starting(WRONG_KIND);
        out.kind(expected);
        out.kind(found);
        Self(out.into_bytes())
    }

    /// What exactly the relay did is told by a number: 0 that it broke the protocol, 1 nothing, 2 that it speaks other versions.
    #[cold]
    pub(crate) fn broken(error: &ProtocolError) -> Self {
        let code = match error {
            ProtocolError::TimedOut { .. } => 1,
            ProtocolError::Version { .. } => 2,
            _ => 0,
        };
        Self([PROTOCOL, code].into())
    }

    /// What exactly cannot be read is told by `code`, for those who report it.
    #[cold]
    pub(crate) fn stored_data(code: u8) -> Self {
        Self([STORED_DATA, code].into())
    }

    #[cold]
    fn limit(on: LimitOn, found: u64, limit: u64) -> Self {
        let mut out = Writer::starting(LIMIT);
        out.byte(on as u8);
        out.uint(found);
        out.uint(limit);
        Self(out.into_bytes())
    }

    fn of(code: u8) -> Self {
        Self([code].into())
    }
}

impl From<EditError> for Fault {
    #[cold]
    fn from(error: EditError) -> Self {
        match error {
            EditError::NoSuchElement | EditError::Gone => Self::no_such_element(),
            EditError::OutOfRange { index, len } => Self::index_out_of_range(index, len),
            EditError::WrongKind { expected, found } => Self::wrong_kind(expected, found),
            EditError::KeyTooLong { len, limit } => Self::limit(LimitOn::Key, len as u64, limit as u64),
            EditError::TooDeep { limit } => Self::limit(LimitOn::Depth, limit as u64 + 1, limit as u64),
            EditError::PositionTooDeep { limit } => {
                Self::limit(LimitOn::Position, u64::from(limit) + 1, u64::from(limit))
            }
            EditError::TooLarge { found, limit, .. } => Self::limit(LimitOn::Transaction, found as u64, limit as u64),
            EditError::CounterOverflow => Self::of(COUNTER_OVERFLOW),
            _ => Self::of(TRANSACTION),
        }
    }
}

impl From<PresenceTooLong> for Fault {
    #[cold]
    fn from(PresenceTooLong { len, limit }: PresenceTooLong) -> Self {
        Self::limit(LimitOn::Presence, len as u64, limit as u64)
    }
}

impl From<OpenError> for Fault {
    #[cold]
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Name { len, limit } => Self::limit(LimitOn::Name, len as u64, limit as u64),
            OpenError::Snapshot(_) => Self::stored_data(1),
            _ => Self::stored_data(2),
        }
    }
}
