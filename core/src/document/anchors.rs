//! Anchors in a text: from an index to a place that stays, and back.
//!
//! A place is named by the character that it is next to, and carries the chain of that one's bunch. So it is found also where the
//! character is gone and its bunch is known to nobody any more: no document keeps anything for the sake of an anchor.
//!
//! Rules: SEQ-4 the index depends on the anchor and on what lives, not on what else is known.

use alloc::vec::Vec;

use super::state::State;
use super::view::PlaceId;
use crate::fault::{self, Fault};
use crate::ordered::Set;
use crate::sequence::{Anchor, Bias, BunchRecord, LocalPosition, Position};
use crate::store::LocalContainer;

impl State {
    /// The place before the character at an index or, of the end, behind the last. `None` beyond the end. O(log n).
    pub(crate) fn anchor(&self, place: PlaceId, index: usize, bias: Bias) -> Option<Anchor> {
        let len = self.rope(place).map_or(0, |rope| rope.len());
        let (end, next) = match bias {
            Bias::Left => (Anchor::START, index.checked_sub(1)),
            Bias::Right => (Anchor::END, Some(index).filter(|index| *index < len)),
        };
        if index > len {
            return None;
        }
        let Some((position, _)) = next.and_then(|next| self.character(place, next)) else { return Some(end) };
        let at = Position { bunch: self.origins.dot(position.bunch), index: position.index };
        Some(Anchor { at, bias })
    }

    /// The position of a character, and what it is in. O(log n).
    pub(crate) fn character(&self, place: PlaceId, index: usize) -> Option<(LocalPosition, LocalContainer)> {
        let (run, nth) = self.rope(place)?.at(&self.texts.runs, index)?;
        let stretch = self.texts.runs.stretch(run);
        Some((stretch.position(nth), stretch.container))
    }

    /// All bunches that anchors hang on, ascending by id. O(depth · log n).
    pub(crate) fn chains_of(&self, anchors: &[Anchor]) -> Vec<BunchRecord> {
        let mut bunches = Set::new();
        for anchor in anchors.iter().filter(|anchor| anchor.at != Position::START) {
            if let Some(bunch) = self.origins.local(anchor.at.bunch) {
                bunches.insert(bunch);
            }
        }
        self.chains(&bunches)
    }

    /// The index of the first character behind an anchor, or the length. `None` if the anchor's character, whether it lives or
    /// not, has not come yet. O(depth · log n).
    pub(crate) fn index_of_anchor(
        &self,
        place: Option<PlaceId>,
        anchor: &Anchor,
        chains: &[BunchRecord],
    ) -> Option<usize> {
        let Anchor { at, bias } = *anchor;
        let rope = place.and_then(|place| self.rope(place));
        if at == Position::START {
            return Some(rope.filter(|_| bias == Bias::Right).map_or(0, |rope| rope.len()));
        }
        let bunch = self.origins.local(at.bunch)?;
        let position = LocalPosition { bunch, index: at.index };
        let dot = position.dot()?;
        let runs = &self.texts.runs;
        // The one that lives and has this dot may have another position, if the anchor was made up.
        let lives = runs.find(dot).is_some_and(|(run, nth)| runs.stretch(run).position(nth) == position);
        if let Some(index) = rope.filter(|_| lives).and_then(|rope| rope.index_of(runs, dot)) {
            return Some(index + usize::from(bias == Bias::Left && !fault::active(Fault::CursorIgnoresBias)));
        }
        if !lives && !self.covers_local(dot) {
            return None;
        }
        let chains = if fault::active(Fault::CursorForgetsChain) { &[] } else { chains };
        let point = self.forest.point_by_chain(&self.origins, at, chains)?;
        Some(rope.map_or(0, |rope| rope.index_from_point(runs, &self.forest, &self.origins, point)))
    }
}
