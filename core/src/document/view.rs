//! The view: what the live dots mean to a reader, by *place*.
//!
//! A place is a container as an application names it: a root, a key of a place, or an element of a list. All live entities
//! created under one (place, key, kind) are the *incarnations* of one place, and their contents are shown merged (DESIGN:
//! creations under one key merge). The view is derived from the live dots alone; every insertion and removal keeps it up.
//!
//! Not here: which dots live (the store), where list elements sit in the order (the sequence).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ChangeKind;
use super::path::{Path, PathStep};
use crate::clock::LocalDot;
use crate::codec::limits;
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::replica_id::Origins;
use crate::sequence::{LocalPosition, Sequence};
use crate::store::{Kind, LocalContainer};
use crate::value::Value;

/// The number of a place inside one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaceId(u32);

/// A few dots; almost always one. As many as somebody cares to send, so each is found in O(log n).
#[derive(Clone, Debug, Default)]
pub(crate) enum Dots {
    #[default]
    None,
    One(LocalDot),
    Many(Set<LocalDot>),
}

impl Dots {
    /// Every dot, in the order of this document's numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = LocalDot> + '_ {
        const NONE: &Set<LocalDot> = &Set::new();
        let (one, many) = match self {
            Self::None => (None, NONE),
            Self::One(dot) => (Some(*dot), NONE),
            Self::Many(dots) => (None, dots),
        };
        one.into_iter().chain(many.iter().copied())
    }

    pub(crate) fn to_vec(&self) -> Vec<LocalDot> {
        let mut all = Vec::new();
        self.append_to(&mut all);
        all
    }

    pub(crate) fn append_to(&self, all: &mut Vec<LocalDot>) {
        for dot in self.iter() {
            all.push(dot);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(crate) fn add(&mut self, dot: LocalDot) {
        match self {
            Self::None => *self = Self::One(dot),
            Self::One(first) => {
                let mut dots = Set::new();
                dots.insert(*first);
                dots.insert(dot);
                *self = Self::Many(dots);
            }
            Self::Many(dots) => _ = dots.insert(dot),
        }
    }

    pub(crate) fn remove(&mut self, dot: LocalDot) {
        match self {
            Self::One(one) if *one == dot => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(dots) => {
                dots.remove(&dot);
                if dots.len() == 1 {
                    let last = dots.iter().next().copied();
                    *self = last.map_or(Self::None, Self::One);
                }
            }
        }
    }
}

/// What is under one key of a map.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySlot {
    pub(crate) registers: Dots,
    pub(crate) flags: Dots,
    /// Nested containers, by kind.
    pub(crate) children: Vec<(Kind, PlaceId)>,
}

impl KeySlot {
    pub(crate) fn is_empty(&self) -> bool {
        self.registers.is_empty() && self.flags.is_empty() && self.children.is_empty()
    }

    pub(crate) fn child(&self, kind: Kind) -> Option<PlaceId> {
        self.children.iter().find(|child| child.0 == kind).map(|child| child.1)
    }
}

/// What a place holds, by its kind.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Map(Map<Arc<str>, KeySlot>),
    Set(Map<Value, Dots>),
    /// Every live running total.
    Counter(Set<LocalDot>),
    /// Register or flag.
    Unit(Dots),
    List(Sequence<LocalDot>),
    /// A kind this version does not read.
    Unknown,
}

impl Content {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::MAP => Self::Map(Map::new()),
            Kind::SET => Self::Set(Map::new()),
            Kind::COUNTER => Self::Counter(Set::new()),
            Kind::REGISTER | Kind::FLAG => Self::Unit(Dots::None),
            Kind::LIST => Self::List(Sequence::new()),
            _ => Self::Unknown,
        }
    }
}

/// How a place hangs in its parent.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Root(u32),
    Key(PlaceId, Arc<str>),
    Element(PlaceId, LocalDot),
    /// An entity whose slot does not fit its container: stored, hidden from readers.
    Hidden,
}

/// Where a list element sits.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// The position of the creation entry.
    pub(crate) initial: LocalPosition,
    /// The live later positions.
    pub(crate) moves: Dots,
    /// The position that counts now.
    pub(crate) current: LocalPosition,
}

/// A container as readers see it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) link: Link,
    pub(crate) kind: Kind,
    /// Containers above and including this one.
    pub(crate) depth: u32,
    /// The live entities shown merged here. A root has none.
    pub(crate) incarnations: Dots,
    pub(crate) content: Content,
    /// Set for list elements.
    pub(crate) seat: Option<Seat>,
}

/// Every place of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    places: Vec<Option<Place>>,
    free: Vec<PlaceId>,
    /// Places given up during the current batch; they are reused only after it, so that change notes stay unambiguous.
    freed: Vec<PlaceId>,
    roots: Vec<(Arc<str>, Kind)>,
    root_numbers: Map<(Arc<str>, Kind), u32>,
    root_places: Vec<PlaceId>,
    entities: Map<LocalDot, PlaceId>,
    notes: Set<(PlaceId, Note)>,
}

/// A change, before its path is worked out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    Key(Arc<str>),
    Member(Value),
    Value,
    Inserted(LocalDot),
    Removed(LocalDot),
    Moved(LocalDot),
}

impl View {
    pub(crate) fn place(&self, id: PlaceId) -> &Place {
        self.places[id.0 as usize].as_ref().expect("places are given up only when nothing refers to them")
    }

    pub(crate) fn place_mut(&mut self, id: PlaceId) -> &mut Place {
        self.places[id.0 as usize].as_mut().expect("places are given up only when nothing refers to them")
    }

    /// The place of a root, if anything was ever written there or asked for.
    pub(crate) fn root(&self, name: &str, kind: Kind) -> Option<PlaceId> {
        let number = self.root_numbers.get(&(Arc::from(name), kind))?;
        Some(self.root_places[*number as usize])
    }

    pub(crate) fn root_or_new(&mut self, name: &Arc<str>, kind: Kind) -> u32 {
        if let Some(number) = self.root_numbers.get(&(name.clone(), kind)) {
            return *number;
        }
        let number = self.roots.len() as u32;
        self.roots.push((name.clone(), kind));
        self.root_numbers.insert((name.clone(), kind), number);
        let place = self.open(Link::Root(number), kind, 1, None);
        self.root_places.push(place);
        number
    }

    pub(crate) fn root_place(&self, number: u32) -> PlaceId {
        self.root_places[number as usize]
    }

    pub(crate) fn root_name(&self, number: u32) -> &(Arc<str>, Kind) {
        &self.roots[number as usize]
    }

    /// The roots that something was written to, by name.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (&Arc<str>, Kind, PlaceId)> {
        self.root_numbers.iter().map(|((name, kind), number)| (name, *kind, self.root_places[*number as usize]))
    }

    /// The place of a live entity.
    pub(crate) fn entity(&self, dot: LocalDot) -> Option<PlaceId> {
        self.entities.get(&dot).copied()
    }

    /// The place that shows a live container.
    pub(crate) fn container(&self, container: LocalContainer) -> Option<PlaceId> {
        match container {
            LocalContainer::Root(number) => Some(self.root_place(number)),
            LocalContainer::Entity(dot) => self.entity(dot),
        }
    }

    pub(crate) fn open(&mut self, link: Link, kind: Kind, depth: u32, seat: Option<Seat>) -> PlaceId {
        let place = Place { link, kind, depth, incarnations: Dots::None, content: Content::of(kind), seat };
        if let Some(id) = self.free.pop() {
            self.places[id.0 as usize] = Some(place);
            return id;
        }
        self.places.push(Some(place));
        PlaceId(self.places.len() as u32 - 1)
    }

    /// Adds a live entity to the incarnations of a place.
    pub(crate) fn incarnate(&mut self, place: PlaceId, dot: LocalDot) {
        self.entities.insert(dot, place);
        self.place_mut(place).incarnations.add(dot);
    }

    /// The lowest incarnation of a place by (replica id, seq). O(incarnations), of which there is almost always one.
    pub(crate) fn lowest(&self, place: PlaceId, origins: &Origins) -> Option<LocalContainer> {
        let place = self.place(place);
        if let Link::Root(number) = place.link {
            return Some(LocalContainer::Root(number));
        }
        let mut lowest: Option<LocalDot> = None;
        for dot in place.incarnations.iter() {
            let lower = |lowest| origins.compare(dot, lowest).is_lt() && !fault::active(Fault::LowestByNumber);
            if lowest.is_none_or(lower) {
                lowest = Some(dot);
            }
        }
        lowest.map(LocalContainer::Entity)
    }

    /// Takes an entity from its place. Gives the place up, and returns true, if it was the last one.
    pub(crate) fn disincarnate(&mut self, dot: LocalDot) -> Option<(PlaceId, bool)> {
        let place = self.entities.remove(&dot)?;
        let incarnations = &mut self.place_mut(place).incarnations;
        incarnations.remove(dot);
        let last = incarnations.is_empty();
        if last {
            self.places[place.0 as usize] = None;
            self.freed.push(place);
        }
        Some((place, last))
    }

    pub(crate) fn note(&mut self, place: PlaceId, note: Note) {
        if let Note::Removed(dot) = note {
            // Whoever never saw an element come needs not see it go.
            self.notes.remove(&(place, Note::Moved(dot)));
            if self.notes.remove(&(place, Note::Inserted(dot))) {
                return;
            }
        }
        if matches!(note, Note::Moved(_) | Note::Value) && fault::active(Fault::ChangeNotTold) {
            return;
        }
        self.notes.insert((place, note));
    }

    /// The changes noted since the last call, as values, and the end of the batch.
    ///
    /// What is deeper than containers may nest is left out: nobody who keeps the rules made it, and paths as long as
    /// somebody cares to nest would take memory as the square of that.
    pub(crate) fn take_changes(&mut self, origins: &Origins) -> Vec<super::Change> {
        let notes = core::mem::take(&mut self.notes);
        let mut changes = Vec::with_capacity(notes.len());
        let mut known: Option<(PlaceId, Option<Path>)> = None;
        for (place, note) in notes {
            if known.as_ref().is_none_or(|known| known.0 != place) {
                known = Some((place, if self.is_too_deep(place) { None } else { self.path(place, origins) }));
            }
            let Some((_, Some(path))) = &known else { continue };
            let kind = match note {
                Note::Key(key) => ChangeKind::Key(key),
                Note::Member(value) => ChangeKind::Member(value),
                Note::Value => ChangeKind::Value,
                Note::Inserted(dot) => ChangeKind::Inserted(origins.dot(dot)),
                Note::Removed(dot) => ChangeKind::Removed(origins.dot(dot)),
                Note::Moved(dot) => ChangeKind::Moved(origins.dot(dot)),
            };
            changes.push(super::Change { path: path.clone(), kind });
        }
        self.free.append(&mut self.freed);
        changes
    }

    /// Forgets the changes noted since the last batch.
    pub(crate) fn drop_changes(&mut self) {
        self.notes.clear();
        self.free.append(&mut self.freed);
    }

    /// Whether a place is below the deepest containers and their elements.
    fn is_too_deep(&self, place: PlaceId) -> bool {
        let place = self.places[place.0 as usize].as_ref();
        place.is_some_and(|place| place.depth as usize > limits::MAX_CONTAINER_DEPTH + 1)
    }

    /// The path of a place that is still there and not hidden.
    pub(crate) fn path(&self, place: PlaceId, origins: &Origins) -> Option<Path> {
        let mut steps = Vec::new();
        let mut at = place;
        loop {
            let place = self.places[at.0 as usize].as_ref()?;
            match &place.link {
                Link::Root(number) => {
                    let (name, kind) = self.root_name(*number);
                    steps.push(PathStep::Root { name: name.clone(), kind: *kind });
                    steps.reverse();
                    return Some(Path::new(steps));
                }
                Link::Key(parent, key) => {
                    steps.push(PathStep::Key { key: key.clone(), kind: place.kind });
                    at = *parent;
                }
                Link::Element(parent, dot) => {
                    steps.push(PathStep::Element(origins.dot(*dot)));
                    at = *parent;
                }
                Link::Hidden => return None,
            }
        }
    }
}
