//! Text in steps: what was typed and what was deleted, in runs, and how it comes back.
//!
//! To undo typing is to delete what still lives of it. To undo a deletion is to type the text again, under fresh dots at fresh
//! positions: between the neighbours it had, and where those are gone by its old position, as long as its bunch is known.
//! What others inserted meanwhile stays on the side on which they put it, also in the middle. Text that died with its
//! container comes back in order, after the container.
//!
//! What names a character by its position does not follow: a cursor, or the ends of a mark that lives, stay where the old one
//! was. A mark that comes back itself does.

use alloc::vec::Vec;

use super::super::lists::Order;
use super::super::transaction::Transaction;
use super::super::{Document, EditError, PlaceId, State};
use super::Undo;
use super::place::{Gap, order_of};
use super::record::{Done, Step, newest};
use super::replay::{Replay, stays_whole};
use crate::clock::{Dot, LocalDot};
use crate::codec::{decode_mark, encode_mark};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::sequence::{LocalPosition, Position, Stretch, turned};
use crate::store::{Kind, LocalContainer, Payload};
use crate::string::Str;

/// Dots that follow one another: the first, and how many.
pub(super) type Dots = (LocalDot, u32);

/// Characters that died.
#[derive(Clone, Debug)]
pub(super) struct KilledText {
    pub(super) stretch: Stretch,
    /// In the order of the dots.
    text: Str,
    /// Whether another replica typed some of it, or what that is a copy of.
    foreign: bool,
    /// What it was between; none if its container died too.
    pub(super) gap: Option<Gap>,
}

impl KilledText {
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

/// Under which dots things came back, by the dots they had.
#[derive(Clone, Debug, Default)]
pub(super) struct Fresh {
    dots: Map<LocalDot, LocalDot>,
    /// Into `again`, by the first dot.
    text: Map<LocalDot, u32>,
    again: Vec<Again>,
}

/// Characters that were typed again.
#[derive(Clone, Copy, Debug)]
struct Again {
    first: LocalDot,
    len: u32,
    fresh: LocalDot,
    /// Whether the fresh dots go against the old ones.
    turned: bool,
}

impl Fresh {
    pub(super) fn insert(&mut self, old: LocalDot, fresh: LocalDot) {
        self.dots.insert(old, fresh);
    }

    pub(super) fn get(&self, dot: LocalDot) -> Option<LocalDot> {
        self.dots.get(&dot).copied().or_else(|| Some(self.retyped(dot, 1)?.0))
    }

    fn insert_text(&mut self, old: &Stretch, fresh: &Stretch) {
        self.text.insert(old.first, self.again.len() as u32);
        let turned = old.backward != fresh.backward;
        self.again.push(Again { first: old.first, len: old.len, fresh: fresh.first, turned });
    }

    /// The fresh dots of the first of these, as many as came back together.
    fn retyped(&self, first: LocalDot, len: u32) -> Option<Dots> {
        let (_, at) = self.text.range(..=first).next_back()?;
        let again = &self.again[*at as usize];
        let skip = u32::try_from(first.bits() - again.first.bits()).ok().filter(|skip| *skip < again.len)?;
        let len = len.min(again.len - skip);
        let skip = if again.turned { again.len - skip - len } else { skip };
        Some((LocalDot::from_bits(again.fresh.bits() + u64::from(skip)), len))
    }

    /// Appends under which dots these live now, or lived last.
    pub(super) fn append_newest(&self, (first, len): Dots, all: &mut Vec<Dots>) {
        let (mut at, end) = (first.bits(), first.bits() + u64::from(len));
        while at < end {
            let dot = LocalDot::from_bits(at);
            let left = (end - at) as u32;
            let (fresh, more) = self.retyped(dot, left).unwrap_or_else(|| {
                let next = self.text.range(dot..).next().map_or(end, |(next, _)| next.bits().min(end));
                (dot, (next - at) as u32)
            });
            all.push((fresh, more));
            at += u64::from(more);
        }
    }
}

/// Leads the ends of a mark to the characters that came back, if it is known where everything is that they are next to.
pub(super) fn follow(state: &State, fresh: &Fresh, kind: Kind, payload: &mut Payload) {
    let Payload::Opaque(bytes) = payload else { return };
    if kind != Kind::MARK || fresh.again.is_empty() {
        return;
    }
    let Some(mut mark) = decode_mark(bytes) else { return };
    let mut follows = false;
    for anchor in [&mut mark.start, &mut mark.end] {
        if anchor.at == Position::START {
            continue;
        }
        let Some(bunch) = state.origins.local(anchor.at.bunch) else { return };
        let dot = LocalPosition { bunch, index: anchor.at.index }.dot();
        let run = dot.and_then(|dot| fresh.get(dot)).and_then(|dot| state.texts.runs.find(dot));
        if let Some((run, nth)) = run {
            let at = state.texts.runs.stretch(run).position(nth);
            anchor.at = Position { bunch: state.origins.dot(at.bunch), index: at.index };
            follows = true;
        } else if !state.forest.contains(bunch) {
            return;
        }
    }
    if follows {
        mark.chains = state.chains_of(&[mark.start, mark.end]);
        *payload = Payload::Opaque(encode_mark(&mark).into());
    }
}

/// Whether a dot is one of these runs of dots.
pub(super) fn is_in(runs: &Map<LocalDot, u32>, dot: LocalDot) -> bool {
    let run = runs.range(..=dot).next_back();
    run.is_some_and(|(first, len)| dot.bits() - first.bits() < u64::from(*len))
}

impl Step {
    /// Notes what the transaction typed and left alive, and the text that it killed.
    pub(super) fn take_text(&mut self, state: &State, done: &Done<'_>, is_foreign: &dyn Fn(&Stretch) -> bool) {
        for (_, stretch) in state.texts.runs.range(done.origin, done.first_seq..=done.next_seq - 1) {
            match self.typed.last_mut() {
                Some((first, len)) if first.bits() + u64::from(*len) == stretch.first.bits() => *len += stretch.len,
                _ => self.typed.push((stretch.first, stretch.len)),
            }
        }
        let mut found: Vec<(Option<PlaceId>, KilledText)> = Vec::new();
        for (stretch, text) in done.text {
            if state.forest.contains(stretch.bunch()) {
                let alive = state.is_alive(stretch.container);
                let place = state.container(stretch.container).filter(|_| alive);
                let (stretch, text) = (*stretch, text.clone());
                found.push((place, KilledText { stretch, text, foreign: is_foreign(&stretch), gap: None }));
            }
        }
        self.text = in_order(state, found, LocalDot::new(done.origin, done.first_seq));
    }
}

/// Text in the order of its positions, cut so that none lies inside of another, and with what it was between but for what
/// the transaction typed itself, from `made` on.
fn in_order(state: &State, found: Vec<(Option<PlaceId>, KilledText)>, made: LocalDot) -> Vec<KilledText> {
    let start = |text: &KilledText| text.stretch.read(0);
    let compare = |a: &(Option<PlaceId>, KilledText), b: &(Option<PlaceId>, KilledText)| {
        a.0.cmp(&b.0).then_with(|| state.forest.compare(&state.origins, start(&a.1), start(&b.1)))
    };
    // The first one last.
    let order = order_of(found.len(), &|a, b| compare(&found[b], &found[a]));
    let mut rest = Vec::new();
    for at in order {
        rest.push(found[at as usize].clone());
    }
    let mut all = Vec::new();
    let mut last: Option<(PlaceId, Gap, Option<LocalPosition>)> = None;
    while let Some((place, mut piece)) = rest.pop() {
        if let Some((_, next)) = rest.last().filter(|next| next.0 == place) {
            let before = state.forest.indexes_before(piece.stretch.bunch(), start(next));
            let before = before.saturating_sub(start(&piece).index).clamp(1, i64::from(piece.stretch.len)) as u32;
            if before < piece.stretch.len {
                let (low, high) = piece.cut(before);
                let high = (place, high);
                let at = rest.partition_point(|other| compare(other, &high).is_gt());
                rest.insert(at, high);
                piece = low;
            }
        }
        if let Some(place) = place {
            let at = start(&piece);
            let before = |end: LocalPosition| state.forest.compare(&state.origins, at, end).is_lt();
            let (gap, end) = match last {
                Some((same, gap, end)) if same == place && end.is_none_or(before) => (gap, end),
                _ => {
                    let order = state.text_order(place);
                    let from = order.index_from(&state.forest, &state.origins, at);
                    let (left, right) = (beside(order, from, false, made), beside(order, from, true, made));
                    let seat = |at: LocalPosition| at.dot();
                    (Gap { left: left.and_then(seat), right: right.and_then(seat) }, right)
                }
            };
            last = Some((place, gap, end));
            piece.gap = Some(gap);
        }
        all.push(piece);
    }
    all
}

/// The nearest character on one side of an index that is not of the transaction that began with `made`. O(runs · log n).
fn beside(order: Order<'_>, from: usize, right: bool, made: LocalDot) -> Option<LocalPosition> {
    let mut index = from;
    loop {
        let at = if right { index } else { index.checked_sub(1)? };
        let (stretch, nth) = order.stretch_at(at)?;
        let dot = stretch.dot(nth);
        if dot.origin() != made.origin() || dot < made {
            return Some(stretch.position(nth));
        }
        let read = stretch.turn(nth);
        let mut more = if right { stretch.len - read } else { read + 1 };
        if right == stretch.backward {
            more = more.min((dot.seq() - made.seq() + 1) as u32);
        }
        index = if right { index + more as usize } else { index - more as usize };
    }
}

impl KilledText {
    /// What is read first, and the rest.
    fn cut(&self, read: u32) -> (Self, Self) {
        let part = |from: u32, len: u32| {
            let stretch = self.stretch.read_part(from, len);
            let nth = (stretch.first.bits() - self.stretch.first.bits()) as u32;
            Self { stretch, text: Str::from(slice(&self.text, nth, len)), ..*self }
        };
        (part(0, read), part(read, self.stretch.len - read))
    }
}

/// So many characters of a text, from the `nth` on.
fn slice(text: &str, nth: u32, len: u32) -> &str {
    let rest = &text[byte_of(text, nth)..];
    &rest[..byte_of(rest, len)]
}

fn byte_of(text: &str, nth: u32) -> usize {
    text.char_indices().nth(nth as usize).map_or(text.len(), |(at, _)| at)
}

impl Replay {
    /// Deletes what still lives of what a step typed.
    pub(super) fn remove_typed(&self, tx: &mut Transaction<'_>, step: &Step, mine: &Set<LocalDot>) {
        for (first, len) in self.typed(step) {
            let mut doomed: Vec<Dots> = Vec::new();
            let runs = &tx.document().state.texts.runs;
            for (_, stretch) in runs.range(first.origin(), first.seq()..=first.seq() + u64::from(len) - 1) {
                if !stays_whole(tx, stretch.container, mine) {
                    doomed.push((stretch.first, stretch.len));
                }
            }
            for dots in doomed {
                tx.remove_text(dots);
            }
        }
    }

    fn typed(&self, step: &Step) -> Vec<Dots> {
        let mut typed = Vec::new();
        for dots in &step.typed {
            self.fresh.append_newest(*dots, &mut typed);
        }
        typed
    }

    /// What a step typed, as it is named now.
    pub(super) fn typed_set(&self, step: &Step) -> Map<LocalDot, u32> {
        let mut all = Map::new();
        for (first, len) in self.typed(step) {
            all.insert(first, len);
        }
        all
    }

    /// Whether all text in an entity is one's own, or one of `mine`.
    pub(super) fn is_own_text(
        &self,
        state: &State,
        undo: &Undo,
        entity: LocalDot,
        mine: Option<&Map<LocalDot, u32>>,
    ) -> bool {
        let Some(place) = state.entity(entity) else { return true };
        let mut own = true;
        state.text_inside(place, entity, &mut |stretch| {
            for nth in 0..stretch.len {
                let dot = stretch.dot(nth);
                let copied = is_in(&undo.copied_text, dot) || is_in(&self.copied_text, dot);
                let copied = copied && !fault::active(Fault::UndoOwnsCopiedText);
                own &= mine.is_some_and(|mine| is_in(mine, dot)) || undo.own.contains(&dot.origin()) && !copied;
            }
        });
        own
    }

    /// Types again what was killed, where its container lives. `removed` is what others have removed, too.
    pub(super) fn retype(
        &mut self,
        tx: &mut Transaction<'_>,
        step: &Step,
        removed: &[(LocalDot, LocalDot)],
    ) -> Result<(), EditError> {
        // Text is in order, so whatever comes back comes after what came back before it.
        let mut last = None;
        for piece in &step.text {
            let (mut from, end) = (piece.stretch.first.bits(), piece.stretch.last().bits() + 1);
            // What died with its container comes back as it was.
            let removed = if piece.gap.is_none() || fault::active(Fault::UndoResurrects) { &[] } else { removed };
            let known = removed.partition_point(|(_, last)| last.bits() < from);
            let mut parts = Vec::new();
            for (first, last) in &removed[known..] {
                if first.bits() >= end {
                    break;
                }
                if first.bits() > from {
                    parts.push((LocalDot::from_bits(from), (first.bits() - from) as u32));
                }
                from = last.bits() + 1;
            }
            if from < end {
                parts.push((LocalDot::from_bits(from), (end - from) as u32));
            }
            // In the order of reading.
            if piece.stretch.backward {
                parts.reverse();
            }
            for (first, len) in parts {
                let nth = (first.bits() - piece.stretch.first.bits()) as u32;
                self.retype_part(tx, step, piece, (nth, len), &mut last)?;
            }
        }
        Ok(())
    }

    fn retype_part(
        &mut self,
        tx: &mut Transaction<'_>,
        step: &Step,
        piece: &KilledText,
        (nth, len): (u32, u32),
        last: &mut Option<LocalDot>,
    ) -> Result<(), EditError> {
        let container = piece.stretch.container.as_entity();
        let container =
            container.map_or(piece.stretch.container, |dot| LocalContainer::entity(newest(&self.fresh, dot)));
        if container != piece.stretch.container && fault::active(Fault::UndoRestoresTopOnly) {
            return Ok(());
        }
        let mut old = piece.stretch.part(nth, len);
        let text = turned(&old, slice(&piece.text, nth, len));
        let mut text: &str = &text;
        loop {
            let Some(place) = tx.document.state.open_container(container) else { return Ok(()) };
            let (index, count) = self.seat_of_text(tx.document(), step, piece.gap, &old, place, *last);
            let (now, later) = text.split_at(byte_of(text, count));
            let between = tx.document().state.text_order(place).neighbours(index);
            let fresh = tx.type_between(place, index, between, container, now)?;
            self.fresh.insert_text(&old.read_part(0, count), &fresh);
            if piece.foreign {
                self.copied_text.insert(fresh.first, fresh.len);
            }
            *last = Some(fresh.dot(fresh.turn(fresh.len - 1)));
            if count == old.len {
                return Ok(());
            }
            (text, old) = (later, old.read_part(count, old.len - count));
        }
    }

    /// At which index text comes back, and how much of it together: up to what others inserted in its middle.
    fn seat_of_text(
        &self,
        document: &Document,
        step: &Step,
        gap: Option<Gap>,
        old: &Stretch,
        place: PlaceId,
        last: Option<LocalDot>,
    ) -> (usize, u32) {
        let state = &document.state;
        let (forest, origins, order) = (&state.forest, &state.origins, state.text_order(place));
        if fault::active(Fault::UndoForgetsPlace) {
            return (order.len(), old.len);
        }
        let index_of = |dot: Option<LocalDot>| order.index_of(newest(&self.fresh, dot?));
        let left = index_of(gap.and_then(|gap| gap.left)).max(index_of(last));
        let right = index_of(gap.and_then(|gap| gap.right));
        let from = left.map_or(0, |left| left + 1);
        let to = right.unwrap_or(order.len()).max(from);
        if !forest.contains(old.bunch()) {
            let was_first = right.is_none() && gap.is_some_and(|gap| gap.left.is_none());
            return (if left.is_some() || was_first { from } else { to }, old.len);
        }
        // Whether a position is older than the step, or not one's own: only to those what died is compared. What came back
        // since is at another position than it was.
        let tells = |index: usize| {
            let dot = order.position_at(index).and_then(LocalPosition::dot);
            let own = |dot: LocalDot| document.undo.as_ref().is_some_and(|undo| undo.own.contains(&dot.origin()));
            let earlier = |dot: LocalDot| step.end.is_some_and(|end| dot.origin() == end.origin() && dot < end);
            dot.is_some_and(|dot| !own(dot) || earlier(dot))
        };
        let start = old.read(0);
        let target = order.index_from(forest, origins, start).clamp(from, to);
        let mut index = target;
        while index > from && !tells(index - 1) {
            index -= 1;
        }
        let next = (target..to).find(|index| tells(*index)).and_then(|index| order.position_at(index));
        let next = next.filter(|_| !fault::active(Fault::UndoTypesInOnePiece));
        let before = next.map_or(i64::MAX, |next| forest.indexes_before(old.bunch(), next));
        (index, before.saturating_sub(start.index).clamp(1, i64::from(old.len)) as u32)
    }
}

/// What others have removed, as first and last dots of runs, ascending. O(removal log beyond the horizon · log n).
pub(super) fn text_removed_by_others(tx: &Transaction<'_>, step: &Step) -> Vec<(LocalDot, LocalDot)> {
    let mut all = Vec::new();
    let document = tx.document();
    let Some(undo) = document.undo.as_ref().filter(|_| !step.text.is_empty()) else { return all };
    let state = &document.state;
    let mut found: Vec<(LocalDot, LocalDot)> = Vec::new();
    for (_, remover) in state.origins.iter() {
        if undo.own.contains(&remover) {
            continue;
        }
        for (_, first, len, _) in state.removals.beyond(remover, 0) {
            found.push((first, LocalDot::new(first.origin(), (first.seq() + (len - 1)).min(Dot::MAX_SEQ))));
        }
    }
    for at in order_of(found.len(), &|a, b| found[a].0.cmp(&found[b].0)) {
        let (first, end) = found[at as usize];
        match all.last_mut() {
            Some((_, last)) if first <= *last => *last = end.max(*last),
            _ => all.push((first, end)),
        }
    }
    all
}
