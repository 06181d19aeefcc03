//! Positions and the bunches they are in.
//!
//! Rules: SEQ-1 the index of a value is the distance of its dot from the dot of its bunch, so that no index is ever given
//! twice. SEQ-2 both dots are of one replica.

use crate::clock::{Dot, LocalDot};

/// An immutable place in the order of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The bunch, named by the dot of its first value; [`Dot::ROOT`] for the bunch above all.
    pub bunch: Dot,
    /// The place in the bunch.
    pub index: i64,
}

/// On which side of its parent position a bunch hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Before it.
    Left,
    /// After it.
    Right,
}

/// A bunch as replicas exchange it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BunchRecord {
    /// Its name: the dot of its first value.
    pub id: Dot,
    /// What it hangs on.
    pub parent: Position,
    /// On which side.
    pub side: Side,
    /// Its place among siblings that avoid depth; 0 for almost all.
    pub rank: i32,
}

/// Which neighbour a place between two values keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bias {
    /// The one on the left: what is inserted there comes behind the place.
    Left,
    /// The one on the right: what is inserted there comes before the place.
    Right,
}

/// A place between values, named by the position of a value that it is next to, whether that lives or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The position; that of the root stands for both ends.
    pub(crate) at: Position,
    /// Whether the value is on the left of the place: behind the root is the start, before it the end.
    pub(crate) bias: Bias,
}

impl Anchor {
    pub(crate) const START: Self = Self { at: Position::START, bias: Bias::Left };
    pub(crate) const END: Self = Self { at: Position::START, bias: Bias::Right };
}

impl Position {
    /// The one position of the root bunch.
    pub(crate) const START: Self = Self { bunch: Dot::ROOT, index: 0 };
}

/// A [`Position`] inside one document.
///
/// The derived order is only good for sets and maps; the order of values is `Forest::compare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LocalPosition {
    pub(crate) bunch: LocalDot,
    pub(crate) index: i64,
}

impl LocalPosition {
    /// Before every value: the one position of the root, with no value in it.
    pub(crate) const START: Self = Self { bunch: LocalDot::ROOT, index: 0 };

    /// The position of the value `dot` in the bunch that its own replica began at `bunch_seq`.
    ///
    /// `None` when there is no such bunch: its number is 0, or larger than the value's own.
    pub(crate) fn of(dot: LocalDot, bunch_seq: u64, backward: bool) -> Option<Self> {
        if bunch_seq == 0 {
            return None;
        }
        // Sequence numbers have 44 bits, so the distance fits.
        let distance = i64::try_from(dot.seq().checked_sub(bunch_seq)?).ok()?;
        let index = if backward { -distance } else { distance };
        Some(Self { bunch: LocalDot::new(dot.origin(), bunch_seq), index })
    }

    /// The dot whose value has, had or could have this position; `None` for [`Self::START`], and when no dot can be so
    /// far from the bunch's.
    pub(crate) fn dot(self) -> Option<LocalDot> {
        if self.bunch == LocalDot::ROOT {
            return None;
        }
        let seq = self.bunch.seq().checked_add(self.index.unsigned_abs())?;
        (seq <= Dot::MAX_SEQ).then(|| LocalDot::new(self.bunch.origin(), seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica_id::Origin;

    #[test]
    fn seq_1_position_and_dot_name_each_other() {
        let origin = Origin(3);
        for (seq, bunch, backward) in [(7, 7, false), (9, 7, false), (9, 7, true), (Dot::MAX_SEQ, 1, true)] {
            let dot = LocalDot::new(origin, seq);
            let position = LocalPosition::of(dot, bunch, backward).unwrap();
            assert_eq!(position.dot(), Some(dot));
            assert_eq!(position.bunch, LocalDot::new(origin, bunch));
            assert!(if backward { position.index <= 0 } else { position.index >= 0 });
        }
    }

    #[test]
    fn impossible_positions_are_none() {
        let dot = LocalDot::new(Origin(0), 5);
        assert_eq!(LocalPosition::of(dot, 6, false), None, "a bunch is not younger than its values");
        assert_eq!(LocalPosition::of(dot, 0, false), None, "sequence numbers start at 1");
        assert_eq!(LocalPosition::START.dot(), None);
        let bunch = LocalDot::new(Origin(0), 1);
        for index in [i64::MIN, i64::MAX, Dot::MAX_SEQ as i64, -(Dot::MAX_SEQ as i64)] {
            assert_eq!(LocalPosition { bunch, index }.dot(), None);
        }
    }
}
