//! Cursors: places in a text that stay where they are while it is edited.
//!
//! An index means another place after somebody typed before it. A cursor is next to a character instead, and goes where that goes;
//! if the character is deleted, it stays where that was. It is a value by itself: documents know nothing of it, so it can be kept or
//! sent, and means the same place at every replica.
//!
//! Rules: SEQ-4 equal documents give one cursor one index. BYTES-1, BYTES-2.

use alloc::vec::Vec;

use super::TextRef;
use crate::codec::{self, DecodeError};
use crate::sequence::{Anchor, Bias, BunchRecord};

/// A place in a text: the caret of somebody, an end of a selection, what a comment is about. From [`TextRef::cursor`].
///
/// ```
/// # use weftline::{Bias, Cursor, Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| tx.text("note")?.push("buy milk"))?;
/// let cursor = doc.text("note").cursor(4, Bias::Right).expect("within the text"); // before "milk"
/// doc.transact(Timestamp(2), |tx| tx.text("note")?.replace(..4, "get some "))?;
/// assert_eq!(doc.text("note").index_of(&cursor), Some(9));
///
/// let stored = Cursor::from_bytes(&cursor.to_bytes()).expect("what was written is read");
/// assert_eq!(doc.text("note").index_of(&stored), Some(9));
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    anchor: Anchor,
    /// The bunch of the position and all above it, ascending by id: documents may have dropped them.
    chain: Vec<BunchRecord>,
}

impl Cursor {
    /// Which neighbour it keeps to.
    pub fn bias(&self) -> Bias {
        self.anchor.bias
    }

    /// Its bytes: some forty, of which each author of the text around it takes sixteen. O(depth · log depth).
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode_cursor(self.anchor, &self.chain)
    }

    /// Reads what [`Self::to_bytes`] wrote. O(bytes · log bytes).
    ///
    /// # Errors
    /// When the bytes are no cursor's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (anchor, chain) = codec::decode_cursor(bytes)?;
        Ok(Self { anchor, chain })
    }
}

impl TextRef<'_> {
    /// The place before the character at `index`, or at the end, as a value that stays while the text is edited. With [`Bias::Left`] it
    /// keeps to the character before it: what is inserted right there comes behind it. With [`Bias::Right`] it keeps to the one behind it:
    /// what is inserted there comes before it. At the start and at the end, where there is no such character, it keeps to the start or the
    /// end itself. `None` beyond the end. O(depth · log n).
    pub fn cursor(&self, index: usize, bias: Bias) -> Option<Cursor> {
        let state = self.at.state();
        let anchor = match self.at.place {
            Some(place) => state.anchor(place, index, bias)?,
            None if index > 0 => return None,
            None => {
                if bias == Bias::Left {
                    Anchor::START
                } else {
                    Anchor::END
                }
            }
        };
        Some(Cursor { anchor, chain: state.chains_of(&[anchor]) })
    }

    /// Where a cursor is now: the index of the first character behind it, or the length. The same at every replica that shows the same
    /// text. `None` if this document has not yet got the edit that its character came with. A cursor of another text of the document gives
    /// some index that means nothing. O(depth · log n).
    pub fn index_of(&self, cursor: &Cursor) -> Option<usize> {
        self.at.state().index_of_anchor(self.at.place, &cursor.anchor, &cursor.chain)
    }
}
