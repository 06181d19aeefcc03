//! Shapes: kind, class of slot and entity bit of an entry, as one number.
//!
//! The usual ones are numbers of one byte; every other combination is written out. Which ones are usual is part of the format.

use crate::store::{Kind, SlotRef};

pub(crate) const UNIT: u8 = 0;
pub(crate) const KEY: u8 = 1;
pub(crate) const MEMBER: u8 = 2;
pub(crate) const OWNER: u8 = 3;
pub(crate) const POSITION: u8 = 4;

/// The shapes that have a number of their own: 1 and up.
const USUAL: [Shape; 30] = [
    Shape::plain(Kind::REGISTER, KEY),
    Shape::plain(Kind::REGISTER, UNIT),
    Shape::plain(Kind::REGISTER, POSITION),
    Shape::plain(Kind::FLAG, UNIT),
    Shape::plain(Kind::MEMBER, MEMBER),
    Shape::plain(Kind::TOTAL, OWNER),
    Shape::plain(Kind::MOVE, POSITION),
    Shape::entity(Kind::REGISTER, KEY),
    Shape::entity(Kind::FLAG, KEY),
    Shape::entity(Kind::COUNTER, KEY),
    Shape::entity(Kind::SET, KEY),
    Shape::entity(Kind::MAP, KEY),
    Shape::entity(Kind::LIST, KEY),
    Shape::entity(Kind::TEXT, KEY),
    Shape::entity(Kind::REGISTER, POSITION),
    Shape::entity(Kind::COUNTER, POSITION),
    Shape::entity(Kind::SET, POSITION),
    Shape::entity(Kind::MAP, POSITION),
    Shape::entity(Kind::LIST, POSITION),
    Shape::entity(Kind::TEXT, POSITION),
    Shape::plain(Kind::ABSENT, MEMBER),
    Shape::plain(Kind::RIGHTS, OWNER),
    Shape::plain(Kind::DISABLED, UNIT),
    Shape::entity(Kind::MAX_REGISTER, KEY),
    Shape::entity(Kind::MIN_REGISTER, KEY),
    Shape::entity(Kind::DISABLE_WINS_FLAG, KEY),
    Shape::entity(Kind::REMOVE_WINS_SET, KEY),
    Shape::entity(Kind::GROW_ONLY_SET, KEY),
    Shape::entity(Kind::BOUNDED_COUNTER, KEY),
    Shape::plain(Kind::MARK, UNIT),
];

/// What an entry is, apart from where it is and what it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) class: u8,
    pub(crate) entity: bool,
}

impl Shape {
    const fn plain(kind: Kind, class: u8) -> Self {
        Self { kind, class, entity: false }
    }

    const fn entity(kind: Kind, class: u8) -> Self {
        Self { kind, class, entity: true }
    }

    pub(crate) const fn of(slot: SlotRef<'_>, kind: Kind, entity: bool) -> Self {
        let class = match slot {
            SlotRef::Unit => UNIT,
            SlotRef::Key(_) => KEY,
            SlotRef::Member(_) => MEMBER,
            SlotRef::Owner => OWNER,
            SlotRef::Position { .. } => POSITION,
        };
        Self { kind, class, entity }
    }

    /// Its number.
    pub(crate) fn code(self) -> u64 {
        match USUAL.iter().position(|usual| *usual == self) {
            Some(place) => place as u64 + 1,
            None => FIRST_UNUSUAL + (u64::from(self.kind.0) << 4 | u64::from(self.class) << 1 | u64::from(self.entity)),
        }
    }

    /// The shape of a number; `None` for what has another number, or none in this version.
    pub(crate) fn from_code(code: u64) -> Option<Self> {
        let Some(unusual) = code.checked_sub(FIRST_UNUSUAL) else {
            return USUAL.get((code as usize).wrapping_sub(1)).copied();
        };
        let shape =
            Self { kind: Kind((unusual >> 4) as u8), class: (unusual >> 1) as u8 & 7, entity: unusual & 1 == 1 };
        (code <= LAST && shape.class <= POSITION && !USUAL.contains(&shape)).then_some(shape)
    }
}

/// From here on the number says kind, class and entity bit; below, 0 is nothing, and those beyond the usual ones are free.
const FIRST_UNUSUAL: u64 = 64;

/// The last number that stands for anything.
const LAST: u64 = FIRST_UNUSUAL + (1 << 12) - 1;
