//! Runs of text: many characters whose dots follow one another, as replicas exchange them.
//!
//! Each character is bound to a dot of its own, as if it were an entry of the kind [`Kind::CHARACTER`] at a position. Nothing
//! ever chooses between characters, so they have no stamp. They are only ever held and sent as runs: what neighbours have
//! alike is said once, and a character costs its own bytes.
//!
//! Rules: DOT-1, SEQ-1, SEQ-2 as for any entry at a position.

use super::{Container, Entry, Kind, Payload, Slot};
use crate::clock::Dot;
use crate::string::{Str, characters};
use crate::value::Value;

/// Characters (Unicode scalar values) of one text in one bunch of positions, whose dots follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRun {
    /// The dot of the first character.
    pub first: Dot,
    /// What they are in.
    pub container: Container,
    /// The sequence number of their bunch; its replica is that of the dots.
    pub bunch: u64,
    /// Whether their indexes count to the left: then the text reads from its last character to its first.
    pub backward: bool,
    /// The characters in the order of their dots; at least one.
    pub text: Str,
}

impl TextRun {
    /// How many characters, and dots, it has. O(bytes).
    pub fn dots(&self) -> u64 {
        // Most are one key.
        if self.text.len() == 1 { 1 } else { characters(&self.text) as u64 }
    }

    /// The last sequence number. O(bytes).
    pub fn last_seq(&self) -> u64 {
        self.first.seq.saturating_add(self.dots()).saturating_sub(1)
    }

    /// Each character with its dot, as the entry that it stands for. O(bytes).
    pub fn entries(&self) -> impl Iterator<Item = (Dot, Entry)> + '_ {
        self.text.chars().zip(self.first.seq..).map(|(character, seq)| {
            let mut bytes = [0; 4];
            let text: &str = character.encode_utf8(&mut bytes);
            let entry = Entry {
                container: self.container.clone(),
                slot: Slot::Position { bunch: self.bunch, backward: self.backward },
                kind: Kind::CHARACTER,
                entity: false,
                payload: Payload::Value(Value::from(text)),
            };
            (Dot::new(self.first.replica, seq), entry)
        })
    }

    /// Whether another run says what could be said in this one; `dots` are this one's.
    #[cfg(test)]
    pub(crate) fn goes_on_in(&self, dots: u64, next: &Self) -> bool {
        next.first.replica == self.first.replica
            && next.first.seq == self.first.seq.saturating_add(dots)
            && (next.bunch, next.backward) == (self.bunch, self.backward)
            && next.container == self.container
    }
}
