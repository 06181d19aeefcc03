//! Positions and the bunches they are in.

use crate::clock::Dot;

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
