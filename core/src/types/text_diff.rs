//! The least that turns one text into another, for who has only the two: an input field, a file that was edited elsewhere.
//!
//! What both begin and end with is left alone; between, Myers, "An O(ND) difference algorithm and its variations" (1986). The work is
//! bounded: where texts have little in common, what is between is replaced as a whole, which is what a reader would call it, too.

use alloc::vec::Vec;
use core::ops::Range;

/// What of the old characters goes, and which of the new ones come in its stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// What is tried beyond some passes over both texts: a thousand edits, or a few milliseconds.
const MOST_WORK: usize = 1 << 20;

/// The hunks from the last to the first, so that each is where it says when those behind it are done. `work` counts what it took, which is at
/// most some passes over both texts and [`MOST_WORK`].
pub(super) fn hunks(old: &[char], new: &[char], work: &mut usize) -> Vec<Hunk> {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[prefix..], &new[prefix..]);
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - suffix], &new[..new.len() - suffix]);
    let mut hunks = Vec::new();
    if !old.is_empty() && !new.is_empty() {
        let most = MOST_WORK + 8 * (old.len() + new.len());
        if let Some(fronts) = fronts(old, new, most, work) {
            back(&fronts, old.len(), new.len(), prefix, &mut hunks);
            return hunks;
        }
    }
    if !old.is_empty() || !new.is_empty() {
        hunks.push(Hunk { old: prefix..prefix + old.len(), new: prefix..prefix + new.len() });
    }
    hunks
}

/// Nothing gets there with so few edits.
const NOWHERE: i32 = -1;

/// How far with how many edits: the `n`th front has for every diagonal (old index less new index) from `-n` to `n`, in steps of
/// two, the furthest old index. The last one has the end. `None` if it would take too long.
fn fronts(old: &[char], new: &[char], most: usize, work: &mut usize) -> Option<Vec<Vec<i32>>> {
    let mut fronts: Vec<Vec<i32>> = Vec::new();
    loop {
        let edits = fronts.len();
        let mut front = Vec::with_capacity(edits + 1);
        for nth in 0..=edits {
            let diagonal = 2 * nth as i32 - edits as i32;
            let mut at = match fronts.last() {
                Some(before) => step(before, nth, diagonal, old.len(), new.len()).0,
                None => 0,
            };
            *work += 1;
            while at != NOWHERE
                && let (Some(a), Some(b)) = (old.get(at as usize), new.get((at - diagonal) as usize))
                && a == b
            {
                at += 1;
                *work += 1;
            }
            front.push(at);
            if at as usize == old.len() && at - diagonal == new.len() as i32 {
                fronts.push(front);
                return Some(fronts);
            }
        }
        fronts.push(front);
        if *work > most {
            return None;
        }
    }
}

/// Where one more edit leads on a diagonal, and whether that is a deletion.
fn step(before: &[i32], nth: usize, diagonal: i32, old: usize, new: usize) -> (i32, bool) {
    let insertion = before.get(nth).copied().filter(|at| *at != NOWHERE && at - diagonal <= new as i32);
    let deletion = nth.checked_sub(1).map(|nth| before[nth]).filter(|at| *at != NOWHERE && *at < old as i32);
    let (insertion, deletion) = (insertion.unwrap_or(NOWHERE), deletion.map_or(NOWHERE, |at| at + 1));
    if deletion > insertion { (deletion, true) } else { (insertion, false) }
}

/// From the end of both back to the beginning: single edits, those beside one another made one.
fn back(fronts: &[Vec<i32>], old: usize, new: usize, prefix: usize, hunks: &mut Vec<Hunk>) {
    let mut nth = fronts.last().map_or(0, |front| front.len() - 1);
    for edits in (1..fronts.len()).rev() {
        let diagonal = 2 * nth as i32 - edits as i32;
        let (at, deletes) = step(&fronts[edits - 1], nth, diagonal, old, new);
        // What was edited ends here; it began one before, in one of the two.
        let (end_old, end_new) = (prefix + at as usize, prefix + (at - diagonal) as usize);
        let start_old = end_old - usize::from(deletes);
        let start_new = end_new - usize::from(!deletes);
        match hunks.last_mut() {
            Some(last) if last.old.start == end_old && last.new.start == end_new => {
                (last.old.start, last.new.start) = (start_old, start_new);
            }
            _ => hunks.push(Hunk { old: start_old..end_old, new: start_new..end_new }),
        }
        nth -= usize::from(deletes);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn done(old: &[char], new: &[char], hunks: &[Hunk]) -> Vec<char> {
        let mut text = old.to_vec();
        for hunk in hunks {
            text.splice(hunk.old.clone(), new[hunk.new.clone()].iter().copied());
        }
        text
    }

    fn edits(hunks: &[Hunk]) -> usize {
        hunks.iter().map(|hunk| hunk.old.len() + hunk.new.len()).sum()
    }

    /// The longest common subsequence, by the table of all.
    fn common(a: &[char], b: &[char]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (at, y) in b.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if x == y { diagonal + 1 } else { above.max(row[at]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_is_the_least_and_leads_to_the_new_text(old in "[abc\u{1f95b}]{0,24}", new in "[abc\u{1f95b}]{0,24}") {
            let chars = |text: String| text.chars().collect::<Vec<char>>();
            let (old, new) = (chars(old), chars(new));
            let hunks = hunks(&old, &new, &mut 0);
            prop_assert_eq!(&done(&old, &new, &hunks), &new);
            prop_assert_eq!(edits(&hunks), old.len() + new.len() - 2 * common(&old, &new));
            for pair in hunks.windows(2) {
                prop_assert!(pair[1].old.end < pair[0].old.start || pair[1].new.end < pair[0].new.start, "{:?}", hunks);
            }
        }
    }

    #[test]
    fn large_texts_take_bounded_work() {
        let mut state = 1u64;
        let mut random = |kinds: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + ((state >> 33) % kinds) as u8)
        };
        let text: Vec<char> = (0..200_000).map(|_| random(26)).collect();
        // A few edits all over it are found.
        let mut edited = text.clone();
        for at in [150_000, 90_000, 10] {
            edited.splice(at..at + 2, "<EDITED>".chars());
        }
        let mut work = 0;
        let found = hunks(&text, &edited, &mut work);
        assert_eq!(done(&text, &edited, &found), edited);
        assert_eq!(edits(&found), 3 * 10);
        // Of what has little in common, that is all that is found out.
        let other: Vec<char> = (0..200_000).map(|_| random(2)).collect();
        for (old, new) in [(&text, &other), (&other, &text)] {
            let mut work = 0;
            let found = hunks(old, new, &mut work);
            assert_eq!(found.len(), 1);
            assert_eq!(&done(old, new, &found), new);
            // The front that goes beyond the limit is ended: it has a thousand places, each of which may be long.
            assert!(work < 2 * (MOST_WORK + 8 * 400_000), "{work}");
        }
    }
}
