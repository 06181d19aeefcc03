//! Typing from a seed, for when no recorded trace is at hand.
//!
//! An author types words in bursts, takes some keys back, pauses, jumps to another place, most often a near one, and deletes there, key by
//! key or a selection at once. Two authors at once keep to their own halves of a text, with one character between them that stays: then
//! every library must end with the same text, whatever it does with those who type at one place.

use std::collections::VecDeque;

use ropey::Rope;

use super::trace::{Concurrent, Recorded, Sequential, splice_rope, steps, text_after};
use super::{Rng, SEED};
use crate::peer::Edit;

/// How somebody writes.
pub struct Typing {
    /// How many edits, about.
    pub edits: usize,
    /// Whether whole words come at once, and selections are replaced, as a program's editor does; else every key is an edit.
    pub words: bool,
}

/// As many edits as the recorded paper has, and about its length in the end.
pub const PAPER: Typing = Typing { edits: 259_778, words: false };
/// As many as the recorded program.
pub const RUST: Typing = Typing { edits: 40_173, words: true };
/// As many as the recorded talk of two.
const FRIENDS: usize = 26_078;
/// Transactions between two merges of an author, on average.
const APART: usize = 11;

/// One author.
pub fn sequential(typing: &Typing, divisor: usize) -> Sequential {
    let count = (typing.edits / divisor).max(10);
    let mut author = Author::new(SEED, typing.words);
    let mut edits = Vec::with_capacity(count + 100);
    while edits.len() < count {
        author.burst(&mut edits);
    }
    let ends = (1..=edits.len()).collect();
    Sequential { end: text_after("", &edits), edits, ends }
}

/// Two authors.
pub fn concurrent(divisor: usize) -> Concurrent {
    let count = (FRIENDS / divisor).max(10);
    let mut rng = Rng::new(SEED);
    let mut authors = [Author::new(SEED + 1, false), Author::new(SEED + 2, false)];
    // What each is about to do in their half, how long each half is for its author and was at each of its transactions, and whose last
    // transaction the other has merged.
    let mut ahead: [VecDeque<Edit>; 2] = Default::default();
    let mut last = [0, 0];
    let mut lengths: [usize; 2] = [0, 0];
    let mut seen = [(0, 0); 2];
    let between = Edit::Splice { at: 0, delete: 0, insert: "\n".into() };
    let mut recorded = vec![Recorded { author: 0, parents: Vec::new(), edits: vec![between] }];
    for _ in 0..count {
        let who = rng.below(2);
        let other = 1 - who;
        let mut parents = vec![last[who]];
        if rng.below(APART) == 0 && seen[who].0 != last[other] {
            seen[who] = (last[other], lengths[other]);
            parents.push(last[other]);
        }
        while ahead[who].is_empty() {
            let mut burst = Vec::new();
            authors[who].burst(&mut burst);
            ahead[who].extend(burst);
        }
        let Some(Edit::Splice { at, delete, insert }) = ahead[who].pop_front() else { unreachable!("just filled") };
        lengths[who] = lengths[who] + insert.chars().count() - delete;
        // The first half and what is between precede the second.
        let before = if who == 0 { 0 } else { seen[1].1 + 1 };
        parents.dedup();
        last[who] = recorded.len();
        recorded.push(Recorded { author: who, parents, edits: vec![Edit::Splice { at: before + at, delete, insert }] });
    }
    // What nobody came to do any more is not in the end.
    let half = |author: &Author, left: &VecDeque<Edit>| text_after("", &author.done[..author.done.len() - left.len()]);
    let end = format!("{}\n{}", half(&authors[0], &ahead[0]), half(&authors[1], &ahead[1]));
    Concurrent { authors: 2, transactions: steps(2, recorded.into_iter()), end: Some(end) }
}

/// Words of one to twelve letters, of which a few are not ASCII, `bytes` long or a little more.
pub fn prose(rng: &mut Rng, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        word(rng, &mut text);
    }
    text
}

fn word(rng: &mut Rng, text: &mut String) {
    const LETTERS: &[u8; 32] = b"etaoinshrdlucmfwypvbgkjqxzeeaato";
    for _ in 0..=rng.below(8) {
        text.push(if rng.below(200) == 0 { 'é' } else { char::from(LETTERS[rng.below(32)]) });
    }
    text.push(if rng.below(15) == 0 { '\n' } else { ' ' });
}

struct Author {
    rng: Rng,
    words: bool,
    text: Rope,
    cursor: usize,
    /// All that was done.
    done: Vec<Edit>,
}

impl Author {
    fn new(seed: u64, words: bool) -> Self {
        Self { rng: Rng::new(seed), words, text: Rope::new(), cursor: 0, done: Vec::new() }
    }

    /// What is done between two pauses.
    fn burst(&mut self, edits: &mut Vec<Edit>) {
        let before = self.done.len();
        match self.rng.below(10) {
            0..6 => self.write(),
            6..8 => self.delete(),
            8 => self.jump(200),
            _ => self.jump(usize::MAX),
        }
        edits.extend_from_slice(&self.done[before..]);
    }

    fn write(&mut self) {
        for _ in 0..=self.rng.below(12) {
            let mut word = String::new();
            self::word(&mut self.rng, &mut word);
            if self.words {
                // Now and then what is selected is replaced.
                let selected = if self.rng.below(10) == 0 { 1 + self.rng.below(20) } else { 0 };
                self.splice(selected.min(self.text.len_chars() - self.cursor), word);
            } else {
                word.chars().for_each(|key| self.splice(0, key.into()));
            }
            if self.rng.below(5) == 0 {
                let wrong = 1 + self.rng.below(6);
                self.backspace(wrong);
            }
        }
    }

    fn delete(&mut self) {
        let many = 1 + self.rng.below(40);
        if self.rng.below(4) == 0 {
            self.splice(many.min(self.text.len_chars() - self.cursor), String::new());
        } else {
            self.backspace(many);
        }
    }

    fn backspace(&mut self, keys: usize) {
        for _ in 0..keys.min(self.cursor) {
            self.cursor -= 1;
            self.splice(1, String::new());
        }
    }

    fn jump(&mut self, reach: usize) {
        let from = self.cursor.saturating_sub(reach);
        let to = self.cursor.saturating_add(reach).min(self.text.len_chars());
        self.cursor = from + self.rng.below(to - from + 1);
    }

    fn splice(&mut self, delete: usize, insert: String) {
        if delete == 0 && insert.is_empty() {
            return;
        }
        let typed = insert.chars().count();
        let edit = Edit::Splice { at: self.cursor, delete, insert };
        splice_rope(&mut self.text, &edit);
        self.done.push(edit);
        self.cursor += typed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_is_typed_key_by_key_and_about_a_third_of_it_is_taken_back() {
        let paper = sequential(&PAPER, 10);
        let (mut typed, mut taken) = (0, 0);
        for edit in &paper.edits {
            let Edit::Splice { delete, insert, .. } = edit else { panic!("{edit:?} is no edit of a text") };
            assert!(insert.chars().count() <= 1);
            typed += insert.chars().count();
            taken += delete;
        }
        assert_eq!(paper.end.chars().count(), typed - taken);
        assert!((3..6).contains(&(10 * taken / typed)), "{taken} of {typed}");
        assert_eq!(paper.ends.len(), paper.edits.len());
        assert!(!paper.end.is_ascii(), "some letters take two bytes");
    }

    #[test]
    fn a_program_comes_in_words_and_some_selections_are_replaced() {
        let program = sequential(&RUST, 10);
        let replaced = |edit: &&Edit| matches!(edit, Edit::Splice { delete: 1.., insert, .. } if !insert.is_empty());
        assert!(program.edits.iter().filter(replaced).count() > program.edits.len() / 50);
    }

    #[test]
    fn two_authors_merge_now_and_then_and_each_edits_what_they_see() {
        let trace = concurrent(10);
        let merges = trace.transactions.iter().filter(|step| !step.merges.is_empty()).count();
        assert!((100..400).contains(&merges), "{merges} merges");
        let merged: usize = trace.transactions.iter().flat_map(|step| &step.merges).map(|(_, count)| count).sum();
        assert!(merged > trace.transactions.len() / 2, "{merged} transactions are merged");
        assert!(trace.end.is_some_and(|end| end.contains('\n')));
    }

    #[test]
    fn prose_is_as_long_as_asked_for() {
        let text = prose(&mut Rng::new(1), 1_000);
        assert!((1_000..1_020).contains(&text.len()), "{}", text.len());
    }
}
