//! Harnesses: any byte string drives a part of the core, and whatever is not as it must be panics.
//!
//! [`rope`] reads its bytes as operations on a sequence and compares it with a sorted list. [`positions`] reads its bytes as somebody
//! else's message that holds positions. [`decoders`] reads them by every decoder there is. [`apply`] has documents exchange what honest
//! and other replicas wrote, and [`session`] has a replica talk with a relay that says anything. The same functions run under a fuzzer, which looks for byte strings that do something new,
//! and in a test, over a kept corpus and over what chance makes of it. Nothing is drawn at random here: a byte string replays exactly.
//!
//! Not here: the fuzzer and the corpus (`core/fuzz`), and the bound on memory, for which the test counts.

mod apply;
mod decoders;
mod positions;
mod rope;
mod session;
mod snapshot;
mod world;

pub use apply::{apply, valid_applies};
pub use decoders::{decoders, valid_decoders};
pub use positions::{decode, positions, valid_positions};
pub use rope::{rope, valid_ropes};
pub use session::{session, valid_sessions};
pub use snapshot::{snapshot, valid_snapshots};

/// The bytes that a harness has not used yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The next bytes, as many as two bytes before them say; as many as there are, if that is more. None at the end.
    fn piece(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let len = usize::from(self.byte()) << 8 | usize::from(self.byte());
        let (piece, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Some(piece)
    }

    /// The next byte, and whether there was one.
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, or 0 behind the end.
    fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// A number below `end`, from two bytes; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        number % end.max(1)
    }
}
