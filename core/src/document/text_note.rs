//! What changed in a text within a batch: what is retained, what is inserted, what is deleted, from the beginning to the end.
//!
//! Each edit is composed with those before it. What is inserted is told when the batch ends, as it reads then.

use alloc::vec::Vec;
use core::ops::Range;

use super::marks::MarkNote;
use crate::fault::{self, Fault};
use crate::ordered::retain;

/// How many characters of what is there now are as they were, came in the batch, or were there before and went. Of those that
/// went also how many were wide, which nobody can look up any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Retained(usize),
    Inserted(usize),
    Deleted(usize, usize),
}

/// Whether a character takes two code units of UTF-16.
fn is_wide(character: &char) -> bool {
    character.len_utf16() > 1
}

/// See the module. What is behind the last part is retained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextNote {
    parts: Vec<Part>,
    /// A part, and how many characters there are before it: where the last edit was, since the next is likely there.
    cursor: (usize, usize),
    /// The marks that came and went.
    pub(super) marks: Vec<MarkNote>,
}

impl TextNote {
    /// More parts than this are told as one deletion and one insertion: to compose n edits that are all over the place would
    /// take n² steps, and nobody draws so many pieces one by one.
    const MOST: usize = 2048;

    /// Composes an edit: at `index` of what is there now, so many characters come, and so many that were there go. Those read as
    /// `gone`, which may be left out where none of them is wide.
    pub(super) fn edit(&mut self, index: usize, inserted: usize, deleted: usize, gone: &str) {
        let near = self.cursor.1 <= index || fault::active(Fault::TextChangesMisplaced);
        let (mut at, mut before) = if near { self.cursor } else { (0, 0) };
        while let Some(part) = self.parts.get(at) {
            let len = part.len();
            // What is deleted at the same place comes first, so that the parts of one place are in one order.
            if before + len > index {
                break;
            }
            (at, before) = (at + 1, before + len);
        }
        // Cut the part that the edit is in.
        match self.parts.get(at).copied() {
            Some(part) if index > before => {
                let (left, right) = part.cut(index - before);
                self.parts[at] = left;
                self.parts.insert(at + 1, right);
                at += 1;
            }
            None if index > before => {
                self.parts.push(Part::Retained(index - before));
                at += 1;
            }
            _ => {}
        }
        self.cursor = (at.saturating_sub(1), index - at.checked_sub(1).map_or(0, |at| self.parts[at].len()));
        let mut left = deleted;
        let mut gone = gone.chars();
        let (mut went, mut wide) = (0, 0);
        while left > 0 {
            let (less, is_old, is_over) = match self.parts.get_mut(at) {
                Some(Part::Deleted(..)) => {
                    at += 1;
                    continue;
                }
                // All behind the parts is retained.
                None => (left, true, false),
                Some(part) => {
                    let is_old = matches!(part, Part::Retained(_)) || fault::active(Fault::TakenBackTextTold);
                    let (Part::Retained(len) | Part::Inserted(len) | Part::Deleted(len, _)) = part;
                    let less = (*len).min(left);
                    *len -= less;
                    (less, is_old, *len == 0)
                }
            };
            if is_over {
                self.parts.remove(at);
            }
            left -= less;
            let wide_here = gone.by_ref().take(less).filter(is_wide).count();
            if is_old {
                (went, wide) = (went + less, wide + wide_here);
            }
        }
        if inserted > 0 {
            self.put(at, Part::Inserted(inserted));
        }
        if went > 0 {
            self.put(at, Part::Deleted(went, wide));
        }
    }

    /// Whether it has more parts than are told.
    pub(super) fn is_long(&self) -> bool {
        self.parts.len() > Self::MOST
    }

    /// Puts a part in, or makes the one before or at its place longer.
    fn put(&mut self, at: usize, part: Part) {
        for near in [at.wrapping_sub(1), at] {
            match (self.parts.get_mut(near), part) {
                (Some(Part::Inserted(len)), Part::Inserted(more)) => {
                    *len += more;
                    return;
                }
                (Some(Part::Deleted(len, wide)), Part::Deleted(more, more_wide)) => {
                    (*len, *wide) = (*len + more, *wide + more_wide);
                    return;
                }
                _ => {}
            }
        }
        self.parts.insert(at, part);
    }

    /// Makes everything from the first change to the last one: what is retained between them went and came again. `wide_in` says
    /// how many characters of a range of what is there now are wide.
    pub(super) fn coarsen(&mut self, wide_in: impl Fn(Range<usize>) -> usize) {
        let first = if let Some(Part::Retained(len)) = self.parts.first() { *len } else { 0 };
        let (mut at, mut went, mut wide) = (0, 0, 0);
        for part in &self.parts {
            match part {
                Part::Retained(len) if at > 0 || first == 0 => {
                    (went, wide) = (went + len, wide + wide_in(at..at + len));
                }
                Part::Deleted(len, wide_here) => (went, wide) = (went + len, wide + wide_here),
                _ => {}
            }
            at += part.len();
        }
        self.parts.clear();
        for part in [Part::Retained(first), Part::Deleted(went, wide), Part::Inserted(at - first)] {
            self.parts.push(part);
        }
        retain(&mut self.parts, |part| part.len_told() > 0);
        self.cursor = (0, 0);
    }

    /// The parts, from the beginning; those of one place as one deletion before one insertion.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut told: Vec<Part> = Vec::with_capacity(self.parts.len());
        let (mut came, mut went, mut wide) = (0, 0, 0);
        let flush = |told: &mut Vec<Part>, came: &mut usize, went: &mut usize, wide: &mut usize| {
            for part in [Part::Deleted(*went, *wide), Part::Inserted(*came)] {
                if part.len_told() > 0 {
                    told.push(part);
                }
            }
            (*came, *went, *wide) = (0, 0, 0);
        };
        for part in &self.parts {
            match part {
                Part::Inserted(len) => came += len,
                Part::Deleted(len, wide_here) => (went, wide) = (went + len, wide + wide_here),
                Part::Retained(len) => {
                    flush(&mut told, &mut came, &mut went, &mut wide);
                    match told.last_mut() {
                        Some(Part::Retained(before)) => *before += len,
                        _ => told.push(Part::Retained(*len)),
                    }
                }
            }
        }
        flush(&mut told, &mut came, &mut went, &mut wide);
        if let Some(Part::Retained(_)) = told.last() {
            told.pop();
        }
        told
    }
}

impl Part {
    /// How many characters of what is there now it is about.
    fn len(self) -> usize {
        match self {
            Self::Retained(len) | Self::Inserted(len) => len,
            Self::Deleted(..) => 0,
        }
    }

    fn len_told(self) -> usize {
        let (Self::Retained(len) | Self::Inserted(len) | Self::Deleted(len, _)) = self;
        len
    }

    /// Two parts, the first of which is so long.
    fn cut(self, at: usize) -> (Self, Self) {
        match self {
            Self::Retained(len) => (Self::Retained(at), Self::Retained(len - at)),
            Self::Inserted(len) => (Self::Inserted(at), Self::Inserted(len - at)),
            Self::Deleted(..) => (self, Self::Deleted(0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    /// What was there before, with the parts done to it; what came is taken from what is there now.
    fn replay(parts: &[Part], before: &[char], now: &[char]) -> String {
        let (mut old, mut text) = (before.iter(), String::new());
        for part in parts {
            match part {
                Part::Retained(len) => text.extend(old.by_ref().take(*len)),
                Part::Inserted(len) => {
                    let at = text.chars().count();
                    text.extend(&now[at..at + len]);
                }
                Part::Deleted(len, wide) => assert_eq!(old.by_ref().take(*len).filter(|c| is_wide(c)).count(), *wide),
            }
        }
        text.extend(old);
        text
    }

    proptest! {
        #[test]
        fn what_is_composed_leads_from_what_was_to_what_is(
            before in prop::collection::vec(prop::sample::select(&['a', 'b', 'ß', '字', '😀', '🥛'][..]), 0..40),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, 0..5usize), 0..60),
            coarse in prop::collection::vec(0..200usize, 0..3),
        ) {
            let is_new = |character: &char| "ABC𝔸𝔹".contains(*character);
            let mut now = before.clone();
            let mut note = TextNote::default();
            for (number, (index, inserted, deleted)) in edits.into_iter().enumerate() {
                let index = index.index(now.len() + 1);
                let deleted = deleted.min(now.len() - index);
                let new = (0..inserted).map(|at| ['A', 'B', 'C', '𝔸', '𝔹'][(number + at) % 5]);
                let gone: String = now.splice(index..index + deleted, new).collect();
                note.edit(index, inserted, deleted, &gone);
                if coarse.contains(&number) {
                    note.coarsen(|range| now[range].iter().filter(|c| is_wide(c)).count());
                    prop_assert_eq!(replay(&note.parts(), &before, &now), now.iter().collect::<String>(), "{:?}", note);
                    continue;
                }
                let parts = note.parts();
                prop_assert_eq!(replay(&parts, &before, &now), now.iter().collect::<String>(), "{:?}", parts);
                // What came in the batch is in capitals: nothing of it is told as retained, nor, but for what was made coarse,
                // anything else as inserted.
                let is_fine = coarse.iter().all(|at| *at > number);
                let mut at = 0;
                for part in &parts {
                    if let Part::Retained(len) = part {
                        prop_assert!(!now[at..at + len].iter().any(is_new));
                    }
                    if let Part::Inserted(len) = part {
                        prop_assert!(!is_fine || now[at..at + len].iter().all(is_new));
                    }
                    at += part.len();
                }
            }
        }
    }

    #[test]
    fn edits_all_over_the_place_are_told_as_one() {
        let mut note = TextNote::default();
        let before: Vec<char> = ['x', '😀'].into_iter().cycle().take(10_010).collect();
        let mut now = before.clone();
        for at in 0..5_000 {
            let index = 2 * (5_000 - at) + 1;
            now[index] = 'Y';
            note.edit(index, 1, 1, "😀");
            if note.is_long() {
                note.coarsen(|range| now[range].iter().filter(|c| is_wide(c)).count());
            }
        }
        assert!(note.parts().len() <= TextNote::MOST);
        assert_eq!(replay(&note.parts(), &before, &now), now.iter().collect::<String>());
    }
}
