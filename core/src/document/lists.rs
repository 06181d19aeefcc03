//! The order of all lists: where each element sits, by the dots that its place is named by.
//!
//! A position names the dot that it was made for: an element where it was created, or a move. The rope of a list holds those
//! dots as runs without text, so that a thousand elements appended by one replica are one run; what sits there is found in
//! the store, by the dot: the element itself, or what the move is in.
//!
//! A plain value that nobody has overwritten or moved is *bare*: it has no place of its own in the view, and all that is to
//! be said of it is in its entry. Whatever comes to be inside of it has its place made first ([`State::open_element`]).
//!
//! Rules: SEQ-4 the order of a list is that of its positions.
//! Not here: how a rope is built ([`crate::sequence`]), which of several moves counts ([`super::moves`]).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::moves::Moves;
use super::seating::Waiting;
use super::state::State;
use super::view::{Content, Link, PlaceId, Seat};
use crate::clock::LocalDot;
use crate::replica_id::Origins;
use crate::sequence::{Forest, Loaded, LocalPosition, Rope, Runs, Span, Stretch, Stretches, lay_out};
use crate::store::{EntryId, Kind, LiveDots, LocalContainer, NONE};
use crate::value::Value;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    runs: Runs,
    /// By number. A list has one as soon as an element was in it.
    ropes: Vec<Rope>,
    free: Vec<u32>,
    /// Where what came last was put.
    spans: Vec<Span>,
    /// What an edit is about to put somewhere, and at which index that is.
    expected: Option<(LocalDot, usize)>,
    /// Set while a document is loaded.
    pub(super) waiting: Option<Waiting>,
}

impl Lists {
    fn open(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let number = self.ropes.len() as u32;
            self.ropes.push(Rope::new(number));
            number
        })
    }

    /// Gives up the rope of a list that is gone.
    pub(super) fn close(&mut self, number: u32) {
        if number != NONE {
            self.ropes[number as usize].clear(&mut self.runs);
            self.free.push(number);
        }
    }

    /// Says at which index a dot will sit, if that is the next to come.
    pub(crate) fn expect(&mut self, expected: Option<(LocalDot, usize)>) {
        self.expected = expected;
    }
}

/// The order of one list.
#[derive(Clone, Copy)]
pub(crate) struct Order<'d> {
    pub(super) runs: &'d Runs,
    pub(super) rope: Option<&'d Rope>,
}

impl<'d> Order<'d> {
    /// How many elements there are. O(1).
    pub(crate) fn len(self) -> usize {
        self.rope.map_or(0, Rope::len)
    }

    /// What sits at an index. O(log n).
    pub(crate) fn name_at(self, index: usize) -> Option<LocalDot> {
        self.rope?.dot_at(self.runs, index)
    }

    /// The position at an index. O(log n).
    pub(crate) fn position_at(self, index: usize) -> Option<LocalPosition> {
        let (stretch, nth) = self.stretch_at(index)?;
        Some(stretch.position(nth))
    }

    /// What sits at an index, as one of its run. O(log n).
    pub(crate) fn stretch_at(self, index: usize) -> Option<(Stretch, u32)> {
        let (run, nth) = self.rope?.at(self.runs, index)?;
        Some((*self.runs.stretch(run), nth))
    }

    /// What a new element at an index, which is not behind the end, goes between. O(log n).
    pub(crate) fn neighbours(self, index: usize) -> (Option<LocalPosition>, Option<LocalPosition>) {
        self.rope.map_or((None, None), |rope| rope.neighbours(self.runs, index))
    }

    /// Where something sits. O(log n).
    pub(crate) fn index_of(self, name: LocalDot) -> Option<usize> {
        self.rope?.index_of(self.runs, name)
    }

    /// The index of the first element that is not before a position. O(depth · log n).
    pub(crate) fn index_from(self, forest: &Forest, origins: &Origins, at: LocalPosition) -> usize {
        self.rope.map_or(0, |rope| rope.index_from(self.runs, forest, origins, at))
    }
}

/// The elements of a list in order.
#[derive(Clone)]
pub(crate) struct Elements<'d> {
    state: &'d State,
    stretches: Option<Stretches<'d>>,
    /// What is read of a short run, or of one that goes against its dots.
    stretch: Option<Stretch>,
    read: u32,
    /// What is read of a long run: the store has it in the same order.
    run: LiveDots<'d>,
}

impl Iterator for Elements<'_> {
    type Item = EntryId;

    #[cfg_attr(target_family = "wasm", inline(never))]
    fn next(&mut self) -> Option<EntryId> {
        loop {
            if let Some((_, id)) = self.run.next() {
                return self.state.seated_at(id);
            }
            if let Some(stretch) = self.stretch.filter(|stretch| self.read < stretch.len) {
                let name = stretch.dot(stretch.turn(self.read));
                self.read += 1;
                return self.state.seated(name);
            }
            let (_, stretch) = self.stretches.as_mut()?.next()?;
            if stretch.backward || stretch.len < 4 {
                (self.stretch, self.read) = (Some(stretch), 0);
            } else {
                let (first, last) = (stretch.first, stretch.last());
                self.run = self.state.store.ids(first.origin(), first.seq()..=last.seq());
            }
        }
    }
}

impl State {
    /// The order of a list; that of an empty one, if the place is something else.
    pub(crate) fn order(&self, list: PlaceId) -> Order<'_> {
        let rope = match &self.view.place(list).content {
            Content::List(number) => self.lists.ropes.get(*number as usize),
            _ => None,
        };
        Order { runs: &self.lists.runs, rope }
    }

    /// The elements of a list from an index on, in order. O(log n), and O(1) for each of a long run, O(log n) for others.
    pub(crate) fn elements(&self, list: Option<PlaceId>, from: usize) -> Elements<'_> {
        let mut elements = Elements { state: self, stretches: None, stretch: None, read: 0, run: LiveDots::default() };
        if let Some(Order { runs, rope: Some(rope) }) = list.map(|list| self.order(list)) {
            elements.stretches = Some(rope.stretches(runs, from..rope.len()));
        }
        elements
    }

    /// The element that sits where a live dot does: itself, or what it moves. O(log n).
    pub(crate) fn seated(&self, name: LocalDot) -> Option<EntryId> {
        self.seated_at(self.store.find(name)?)
    }

    fn seated_at(&self, id: EntryId) -> Option<EntryId> {
        let live = self.store.live(id);
        if live.entity { Some(id) } else { self.store.find(live.container().as_entity()?) }
    }

    /// Whether an entry is an element without a place of its own.
    pub(super) fn is_bare(&self, id: EntryId) -> bool {
        let live = self.store.live(id);
        live.entity && live.place == NONE
    }

    /// The list that a live element is in.
    pub(crate) fn list_at(&self, id: EntryId) -> Option<PlaceId> {
        if self.is_bare(id) {
            return self.container(self.store.live(id).container());
        }
        match self.view.place(self.entity_at(id)?).link {
            Link::Element(list, _) => Some(list),
            _ => None,
        }
    }

    /// Where a live element was created, and where it sits now.
    pub(crate) fn seat_at(&self, id: EntryId) -> Option<(LocalPosition, LocalPosition)> {
        if self.is_bare(id) {
            let at = Self::position(self.store.dot(id), self.store.live(id))?;
            return Some((at, at));
        }
        let seat = self.view.place(self.entity_at(id)?).seat.as_deref()?;
        Some((seat.initial, seat.current))
    }

    /// What reading an element plainly gives.
    pub(super) fn shown_element(&self, id: EntryId) -> Option<Value> {
        match self.entity_at(id) {
            Some(place) => self.shown(place),
            None => self.value_of(id).cloned(),
        }
    }

    /// How deep a live entity is in containers, itself counted.
    pub(crate) fn depth_of(&self, id: EntryId) -> usize {
        let (place, more) = match self.entity_at(id) {
            Some(place) => (Some(place), 0),
            None => (self.list_at(id), 1),
        };
        place.map_or(0, |place| self.view.place(place).depth as usize + more)
    }

    /// The place of a live entity, which a bare element is given.
    pub(crate) fn open_element(&mut self, id: EntryId) -> Option<PlaceId> {
        if !self.is_bare(id) {
            return self.entity_at(id);
        }
        let (list, (at, _), dot) = (self.list_at(id)?, self.seat_at(id)?, self.store.dot(id));
        let depth = self.view.place(list).depth + 1;
        let place = self.open_seat(list, dot, at, Kind::REGISTER, depth);
        self.incarnate(place, id);
        Some(place)
    }

    /// The place that shows a live container, which a bare element is given.
    pub(super) fn open_container(&mut self, container: LocalContainer) -> Option<PlaceId> {
        match container.as_entity() {
            Some(entity) => self.open_element(self.store.find(entity)?),
            None => self.container(container),
        }
    }

    pub(super) fn open_seat(
        &mut self,
        list: PlaceId,
        dot: LocalDot,
        at: LocalPosition,
        kind: Kind,
        depth: u32,
    ) -> PlaceId {
        let seat = Seat { initial: at, moves: Moves::None, current: at };
        self.view.open(Link::Element(list, dot), kind, depth, Some(Box::new(seat)))
    }

    /// Seats an element. O(depth · log n), or O(log n) where the index is known or it goes on where another one ends.
    pub(super) fn sit(&mut self, list: PlaceId, at: LocalPosition, moved: bool) {
        let (Some(first), Content::List(number)) = (at.dot(), &mut self.view.place_mut(list).content) else { return };
        if *number == NONE {
            *number = self.lists.open();
        }
        // What the values of a rope live and die with is asked of texts only.
        let container = LocalContainer::root(0);
        let stretch = Stretch { first, len: 1, backward: at.index < 0, bunch: at.bunch.seq(), container };
        if let Some(waiting) = &mut self.lists.waiting {
            return waiting.sit(*number, stretch, moved);
        }
        let Lists { runs, ropes, spans, expected, .. } = &mut self.lists;
        let rope = &mut ropes[*number as usize];
        match expected.take() {
            Some((dot, index)) if dot == first => rope.insert_at(runs, index, stretch, ""),
            _ => {
                spans.clear();
                rope.insert(runs, &self.forest, &self.origins, stretch, "", spans);
            }
        }
    }

    /// Takes all elements of a list from their seats, which are about to die. O(runs · log runs of the document).
    pub(crate) fn clear_seats(&mut self, list: PlaceId) {
        if let Content::List(number) = self.view.place(list).content
            && let Some(rope) = self.lists.ropes.get_mut(number as usize)
        {
            rope.clear(&mut self.lists.runs);
        }
    }

    /// Lays out what sits in lists that are empty so far; it ascends by dot. O(runs + bunches).
    pub(super) fn lay_out_lists(&mut self, loaded: &[Loaded<'_>]) {
        let Lists { runs, ropes, .. } = &mut self.lists;
        lay_out(runs, &mut self.forest, &self.origins, loaded, ropes);
    }

    /// Takes an element from its seat. O(log n).
    pub(super) fn unsit(&mut self, list: PlaceId, name: LocalDot) {
        let Content::List(number) = self.view.place(list).content else { return };
        if let Some(waiting) = &mut self.lists.waiting {
            return waiting.leave(name);
        }
        let Lists { runs, ropes, .. } = &mut self.lists;
        if let (Some((run, nth)), Some(rope)) = (runs.find(name), ropes.get_mut(number as usize)) {
            rope.remove(runs, run, nth, 1, &mut String::new());
        }
    }
}
