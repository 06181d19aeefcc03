//! What changed in a text within a batch: what is retained, what is inserted, what is deleted, from the beginning to the end.
//!
//! Each edit is composed with those before it. What is inserted is told when the batch ends, as it reads then.

use alloc::vec::Vec;

use super::marks::MarkNote;

/// How many characters of what is there now are as they were, came in the batch, or were there before and went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Retained(usize),
    Inserted(usize),
    Deleted(usize),
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

    /// Composes an edit: at `index` of what is there now, so many characters come, and so many that were there go.
    pub(super) fn edit(&mut self, index: usize, inserted: usize, deleted: usize) {
        let (mut at, mut before) = if self.cursor.1 <= index { self.cursor } else { (0, 0) };
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
        let mut gone = 0;
        while left > 0 {
            match self.parts.get_mut(at) {
                Some(Part::Deleted(_)) => {
                    at += 1;
                }
                Some(Part::Inserted(len)) => {
                    let less = (*len).min(left);
                    (*len, left) = (*len - less, left - less);
                    if *len == 0 {
                        self.parts.remove(at);
                    }
                }
                Some(Part::Retained(len)) => {
                    let less = (*len).min(left);
                    (*len, left, gone) = (*len - less, left - less, gone + less);
                    if *len == 0 {
                        self.parts.remove(at);
                    }
                }
                // All behind the parts is retained.
                None => (gone, left) = (gone + left, 0),
            }
        }
        if inserted > 0 {
            self.put(at, Part::Inserted(inserted));
        }
        if gone > 0 {
            self.put(at, Part::Deleted(gone));
        }
        if self.parts.len() > Self::MOST {
            self.coarsen();
        }
    }

    /// Puts a part in, or makes the one before or at its place longer.
    fn put(&mut self, at: usize, part: Part) {
        for near in [at.wrapping_sub(1), at] {
            match (self.parts.get_mut(near), part) {
                (Some(Part::Inserted(len)), Part::Inserted(more)) | (Some(Part::Deleted(len)), Part::Deleted(more)) => {
                    *len += more;
                    return;
                }
                _ => {}
            }
        }
        self.parts.insert(at, part);
    }

    /// Everything from the first change to the last as one.
    fn coarsen(&mut self) {
        let first = if let Some(Part::Retained(len)) = self.parts.first() { *len } else { 0 };
        let (mut came, mut went) = (0, 0);
        for part in &self.parts {
            match part {
                Part::Retained(len) => (came, went) = (came + len, went + len),
                Part::Inserted(len) => came += len,
                Part::Deleted(len) => went += len,
            }
        }
        self.parts.clear();
        self.parts.extend([Part::Retained(first), Part::Deleted(went - first), Part::Inserted(came - first)]);
        self.parts.retain(|part| part.len_told() > 0);
        self.cursor = (0, 0);
    }

    /// The parts, from the beginning; those of one place as one deletion before one insertion.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut told: Vec<Part> = Vec::with_capacity(self.parts.len());
        let (mut came, mut went) = (0, 0);
        let flush = |told: &mut Vec<Part>, came: &mut usize, went: &mut usize| {
            for part in [Part::Deleted(*went), Part::Inserted(*came)] {
                if part.len_told() > 0 {
                    told.push(part);
                }
            }
            (*came, *went) = (0, 0);
        };
        for part in &self.parts {
            match part {
                Part::Inserted(len) => came += len,
                Part::Deleted(len) => went += len,
                Part::Retained(len) => {
                    flush(&mut told, &mut came, &mut went);
                    match told.last_mut() {
                        Some(Part::Retained(before)) => *before += len,
                        _ => told.push(Part::Retained(*len)),
                    }
                }
            }
        }
        flush(&mut told, &mut came, &mut went);
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
            Self::Deleted(_) => 0,
        }
    }

    fn len_told(self) -> usize {
        let (Self::Retained(len) | Self::Inserted(len) | Self::Deleted(len)) = self;
        len
    }

    /// Two parts, the first of which is so long.
    fn cut(self, at: usize) -> (Self, Self) {
        match self {
            Self::Retained(len) => (Self::Retained(at), Self::Retained(len - at)),
            Self::Inserted(len) => (Self::Inserted(at), Self::Inserted(len - at)),
            Self::Deleted(len) => (Self::Deleted(len), Self::Deleted(0)),
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
                Part::Deleted(len) => drop(old.by_ref().take(*len).count()),
            }
        }
        text.extend(old);
        text
    }

    proptest! {
        #[test]
        fn what_is_composed_leads_from_what_was_to_what_is(
            before in prop::collection::vec(prop::char::range('a', 'e'), 0..40),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, 0..5usize), 0..60),
        ) {
            let mut now = before.clone();
            let mut note = TextNote::default();
            for (number, (index, inserted, deleted)) in edits.into_iter().enumerate() {
                let index = index.index(now.len() + 1);
                let deleted = deleted.min(now.len() - index);
                let new = (0..inserted).map(|at| char::from(b'A' + ((number + at) % 26) as u8));
                now.splice(index..index + deleted, new);
                note.edit(index, inserted, deleted);
                let parts = note.parts();
                prop_assert_eq!(replay(&parts, &before, &now), now.iter().collect::<String>(), "{:?}", parts);
                // What came in the batch is in capitals: nothing else is told as inserted, nor that as retained.
                let mut at = 0;
                for part in &parts {
                    if let Part::Retained(len) = part {
                        prop_assert!(now[at..at + len].iter().all(char::is_ascii_lowercase));
                    }
                    if let Part::Inserted(len) = part {
                        prop_assert!(now[at..at + len].iter().all(char::is_ascii_uppercase));
                    }
                    at += part.len();
                }
            }
        }
    }

    #[test]
    fn edits_all_over_the_place_are_told_as_one() {
        let mut note = TextNote::default();
        for at in 0..5_000 {
            note.edit(2 * (5_000 - at), 1, 1);
        }
        assert!(note.parts().len() <= TextNote::MOST);
        let before: Vec<char> = (0..10_010).map(|_| 'x').collect();
        let mut now = before.clone();
        (0..5_000).for_each(|at| now[2 * (5_000 - at)] = 'Y');
        assert_eq!(replay(&note.parts(), &before, &now), now.iter().collect::<String>());
    }
}
