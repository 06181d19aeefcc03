//! Edits of lists. Numbers are small, as ids of rows and counts are.

use super::Rng;
use crate::peer::{Edit, List, ListEdit};

/// Adds `count` numbers at the end of a list that has none.
pub fn list_pushes(seed: u64, list: List, count: usize) -> Vec<Edit> {
    let mut rng = Rng::new(seed);
    (0..count).map(|at| Edit::List { list, at, edit: ListEdit::Insert(rng.below(100_000) as i64) }).collect()
}

/// Inserts `count` numbers anywhere into a list that has `len`.
pub fn list_inserts(seed: u64, len: usize, count: usize) -> Vec<Edit> {
    let mut rng = Rng::new(seed);
    let list = List::Fixed;
    (len..len + count)
        .map(|len| Edit::List { list, at: rng.below(len + 1), edit: ListEdit::Insert(rng.below(100_000) as i64) })
        .collect()
}

/// Moves one of `len` elements to anywhere, `count` times.
pub fn list_moves(seed: u64, len: usize, count: usize) -> Vec<Edit> {
    let mut rng = Rng::new(seed);
    let list = List::Ordered;
    (0..count).map(|_| Edit::List { list, at: rng.below(len), edit: ListEdit::Move(rng.below(len)) }).collect()
}

/// Deletes `count` of `len` elements.
pub fn list_deletes(seed: u64, len: usize, count: usize) -> Vec<Edit> {
    let mut rng = Rng::new(seed);
    let list = List::Fixed;
    (0..count).map(|gone| Edit::List { list, at: rng.below(len - gone), edit: ListEdit::Delete }).collect()
}
