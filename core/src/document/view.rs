//! The view: what the live dots mean to a reader, by *place*.
//!
//! A place is a container as an application names it: a root, a key of a place, or an element of a list. All live entities
//! created under one (place, key, kind) are the *incarnations* of one place, and their contents are shown merged (DESIGN:
//! creations under one key merge). The view is derived from the live dots alone; every insertion and removal keeps it up.
//!
//! Not here: which dots live (the store), where list elements sit in the order (the sequence), what is told of changes
//! (the notes).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::dots::{Dots, Ids};
use super::index::{KeyIndex, MemberIndex};
use super::moves::Moves;
use super::path::{Path, PathStep};
use crate::clock::LocalDot;
use crate::codec::limits;
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::replica_id::Origins;
use crate::sequence::LocalPosition;
use crate::store::{EntryId, KeyId, Keys, Kind, NONE, push_tight};
use crate::string::Str;

/// The number of a place inside one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaceId(pub(crate) u32);

/// What a place holds, by its kind.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Map(KeyIndex),
    /// A set of any policy: all that lives of each value, the marks of removed ones included.
    Set(MemberIndex),
    /// Every live running total, or of a bounded counter every replica's rights.
    Counter(Totals),
    /// Register or flag, of any policy.
    Unit(Dots),
    /// The number of the rope of its elements; [`NONE`] if there never were any.
    List(u32),
    /// Its marks. Its characters are in the rope of the place.
    Text(TextMarks),
    /// A kind this version does not read.
    Unknown,
}

/// The live marks of a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextMarks {
    pub(crate) dots: Dots,
    /// How many characters were deleted here since it was last looked which marks cover nothing any more.
    pub(crate) deleted: usize,
}

/// The live running totals, or rights, of a counter.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) dots: Dots,
    /// Of all of them.
    pub(crate) sum: Sum,
    /// The one that this document's writer wrote last, if it is known: a hint.
    pub(crate) own: u32,
}

/// A number of 128 bits that asks for no more room than one of 64 around it.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(8))]
pub(crate) struct Sum(pub(crate) i128);

impl Content {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::MAP => Self::Map(KeyIndex::default()),
            Kind::SET | Kind::REMOVE_WINS_SET | Kind::GROW_ONLY_SET => Self::Set(MemberIndex::default()),
            Kind::COUNTER | Kind::BOUNDED_COUNTER => Self::Counter(Totals { dots: Dots::None, sum: Sum(0), own: NONE }),
            Kind::REGISTER | Kind::FLAG | Kind::MAX_REGISTER | Kind::MIN_REGISTER | Kind::DISABLE_WINS_FLAG => {
                Self::Unit(Dots::None)
            }
            Kind::LIST => Self::List(NONE),
            Kind::TEXT => Self::Text(TextMarks::default()),
            _ => Self::Unknown,
        }
    }

    /// Makes room for so many more entries, where that spares making it step by step.
    pub(crate) fn reserve(&mut self, more: usize) {
        match self {
            Self::Map(index) => index.reserve(more),
            Self::Set(index) => index.reserve(more),
            _ => {}
        }
    }
}

/// How a place hangs in its parent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    Root(u32),
    Key(PlaceId, KeyId),
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
    pub(crate) moves: Moves,
    /// The position that counts now.
    pub(crate) current: LocalPosition,
}

/// The live entities shown merged at a place, each with the list of the entries in it. A root has none.
#[derive(Clone, Debug)]
pub(crate) enum Incarnations {
    None,
    One(EntryId, u32),
    Many(Box<Map<EntryId, u32>>),
}

impl Incarnations {
    fn add(&mut self, entity: EntryId) {
        match self {
            Self::None => *self = Self::One(entity, NONE),
            Self::One(first, head) => {
                let mut all = Map::new();
                all.insert(*first, *head);
                all.insert(entity, NONE);
                *self = Self::Many(Box::new(all));
            }
            Self::Many(all) => all.insert(entity, NONE),
        }
    }

    fn remove(&mut self, entity: EntryId) {
        match self {
            Self::One(one, _) if *one == entity => *self = Self::None,
            Self::None | Self::One(..) => {}
            Self::Many(all) => {
                all.remove(&entity);
                if all.len() == 1 {
                    let lost = fault::active(Fault::LastIncarnationEmptied);
                    let last = all.iter().next().map(|(entity, head)| (*entity, if lost { NONE } else { *head }));
                    *self = last.map_or(Self::None, |(entity, head)| Self::One(entity, head));
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(..) => 1,
            Self::Many(all) => all.len(),
        }
    }

    /// Every entity, in an order that means nothing.
    pub(crate) fn iter(&self) -> Ids<'_> {
        match self {
            Self::None => Ids::default(),
            Self::One(entity, _) => Ids::one(*entity),
            Self::Many(all) => Ids::many(all),
        }
    }

    /// The first of the entries in an entity; [`NONE`] if there is none.
    pub(crate) fn first(&self, entity: EntryId) -> u32 {
        match self {
            Self::One(one, head) if *one == entity => *head,
            Self::None | Self::One(..) => NONE,
            Self::Many(all) => all.get(&entity).copied().unwrap_or(NONE),
        }
    }

    /// Where the list of the entries in an entity begins.
    pub(crate) fn head(&mut self, entity: EntryId) -> Option<&mut u32> {
        match self {
            Self::One(one, head) if *one == entity => Some(head),
            Self::None | Self::One(..) => None,
            Self::Many(all) => all.get_mut(&entity),
        }
    }
}

/// A container as readers see it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) link: Link,
    pub(crate) kind: Kind,
    /// Which note of this batch is about its value; [`NONE`] if none is.
    pub(crate) noted: u32,
    /// The number of the rope of the characters in it, whether it shows them or not; [`NONE`] if there never were any.
    pub(crate) rope: u32,
    /// Containers above and including this one.
    pub(crate) depth: u32,
    pub(crate) incarnations: Incarnations,
    pub(crate) content: Content,
    /// Set for list elements, those that have a place.
    pub(crate) seat: Option<Box<Seat>>,
}

/// Every place of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    places: Vec<Option<Place>>,
    free: Vec<PlaceId>,
    /// Places given up during the current batch; they are reused only after it, so that change notes stay unambiguous.
    freed: Vec<PlaceId>,
    roots: Vec<Root>,
    root_numbers: Map<(Str, Kind), u32>,
}

#[derive(Clone, Debug)]
struct Root {
    name: Str,
    kind: Kind,
    place: PlaceId,
    /// Made once: most changes are near the top.
    path: Path,
}

impl View {
    pub(crate) fn place(&self, id: PlaceId) -> &Place {
        self.places[id.0 as usize].as_ref().expect("places are given up only when nothing refers to them")
    }

    pub(crate) fn place_mut(&mut self, id: PlaceId) -> &mut Place {
        self.places[id.0 as usize].as_mut().expect("places are given up only when nothing refers to them")
    }

    /// The place, unless it was given up.
    pub(crate) fn place_if_any(&self, id: PlaceId) -> Option<&Place> {
        self.places.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn place_if_any_mut(&mut self, id: PlaceId) -> Option<&mut Place> {
        self.places.get_mut(id.0 as usize)?.as_mut()
    }

    /// Every place there is.
    pub(crate) fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.places.iter_mut().flatten()
    }

    /// The place of a root, if anything was ever written there or asked for.
    pub(crate) fn root(&self, name: &str, kind: Kind) -> Option<PlaceId> {
        let number = self.root_numbers.get(&(Str::from(name), kind))?;
        Some(self.roots[*number as usize].place)
    }

    pub(crate) fn root_or_new(&mut self, name: &Str, kind: Kind) -> u32 {
        // Whoever edits mostly edits one root.
        if let [only] = self.roots.as_slice()
            && only.kind == kind
            && only.name == *name
        {
            return 0;
        }
        let key = (name.clone(), kind);
        if let Some(number) = self.root_numbers.get(&key) {
            return *number;
        }
        let number = self.roots.len() as u32;
        self.root_numbers.insert(key, number);
        let place = self.open(Link::Root(number), kind, 1, None);
        self.roots.push(Root { name: name.clone(), kind, place, path: Path::root(name, kind) });
        number
    }

    pub(crate) fn root_place(&self, number: u32) -> PlaceId {
        self.roots[number as usize].place
    }

    pub(crate) fn root_name(&self, number: u32) -> (&Str, Kind) {
        let root = &self.roots[number as usize];
        (&root.name, root.kind)
    }

    /// The roots that something was written to, by name.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (&Str, Kind, PlaceId)> {
        self.root_numbers.iter().map(|((name, kind), number)| (name, *kind, self.roots[*number as usize].place))
    }

    pub(crate) fn open(&mut self, link: Link, kind: Kind, depth: u32, seat: Option<Box<Seat>>) -> PlaceId {
        let content = Content::of(kind);
        let place =
            Place { link, kind, noted: NONE, rope: NONE, depth, incarnations: Incarnations::None, content, seat };
        if let Some(id) = self.free.pop() {
            self.places[id.0 as usize] = Some(place);
            return id;
        }
        push_tight(&mut self.places, Some(place));
        PlaceId(self.places.len() as u32 - 1)
    }

    /// Adds a live entity to the incarnations of a place.
    pub(crate) fn incarnate(&mut self, place: PlaceId, entity: EntryId) {
        self.place_mut(place).incarnations.add(entity);
    }

    /// Takes an entity from its place. Gives the place up, and returns true, if it was the last one.
    pub(crate) fn disincarnate(&mut self, place: PlaceId, entity: EntryId) -> bool {
        let incarnations = &mut self.place_mut(place).incarnations;
        incarnations.remove(entity);
        let last = incarnations.is_empty();
        if last {
            self.places[place.0 as usize] = None;
            let given_up = if fault::active(Fault::PlacesUsedAtOnce) { &mut self.free } else { &mut self.freed };
            given_up.push(place);
        }
        last
    }

    /// Ends a batch: places that were given up may be used again.
    pub(crate) fn settle(&mut self) {
        self.free.append(&mut self.freed);
    }

    /// Whether a place is below the deepest containers and their elements.
    pub(crate) fn is_too_deep(&self, place: PlaceId) -> bool {
        self.place_if_any(place).is_some_and(|place| place.depth as usize > limits::MAX_CONTAINER_DEPTH + 1)
    }

    /// The path of a place that is still there and not hidden.
    pub(crate) fn path(&self, start: PlaceId, origins: &Origins, keys: &Keys) -> Option<Path> {
        let mut steps = Vec::new();
        let mut at = start;
        loop {
            let place = self.place_if_any(at)?;
            match place.link {
                Link::Root(number) if at == start => return Some(self.roots[number as usize].path.clone()),
                Link::Root(number) => {
                    let (name, kind) = self.root_name(number);
                    steps.push(PathStep::Root { name: name.clone(), kind });
                    steps.reverse();
                    return Some(Path::new(steps));
                }
                Link::Key(parent, key) => {
                    steps.push(PathStep::Key { key: keys.text(key).clone(), kind: place.kind });
                    at = parent;
                }
                Link::Element(parent, dot) => {
                    steps.push(PathStep::Element(origins.dot(dot)));
                    at = parent;
                }
                Link::Hidden => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_small() {
        assert!(size_of::<Option<Place>>() <= 104, "{}", size_of::<Option<Place>>());
    }
}
