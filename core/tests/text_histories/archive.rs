//! What lists and texts must show, computed from the bytes of deltas alone, by somebody who forgets nothing.
//!
//! The order is written down a second time, for reading: a bunch is a chain of single values, each the child of the one before,
//! so that all values are one tree, in which a value comes after what hangs on its left and before what hangs on its right.
//! Nothing of the engine's comparison, its numbers for replicas or its runs is used.

use std::collections::{BTreeMap, BTreeSet};

use weftline::{BunchRecord, Container, Dot, Entry, Hlc, Kind, Position, ReplicaId, Side, Slot, VersionVector, codec};

/// A step down the tree, ordered as what is found there is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Left(LeftChild),
    Here,
    Right(RightChild),
}

/// Outermost first: the next value of the same bunch is nearest to its parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LeftChild {
    Bunch(Sibling),
    Continuation,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RightChild {
    Continuation,
    Bunch(Sibling),
}

/// By rank, what its parent's owner hung there nearest, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sibling {
    rank: i32,
    second: bool,
    replica: ReplicaId,
    seq: u64,
}

type Way = Vec<Step>;

/// A dot that has a position.
#[derive(Clone, Debug)]
struct Placed {
    way: Way,
    container: Container,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Character(char),
    Element,
    /// Another position of this element, with the stamp of its delta.
    Move(Dot, Hlc),
}

/// Everything that any delta ever said.
#[derive(Default)]
pub(crate) struct Archive {
    bunches: BTreeMap<Dot, BunchRecord>,
    placed: BTreeMap<Dot, Placed>,
    /// The positions of each place, in order.
    places: BTreeMap<String, Vec<Dot>>,
    entities: BTreeMap<Dot, Entry>,
    /// Of every dot that was removed the names of the deltas that did it.
    removers: BTreeMap<Dot, Vec<Dot>>,
    taken: BTreeMap<Position, Dot>,
}

impl Archive {
    /// Takes down what a delta says.
    pub(crate) fn record(&mut self, bytes: &[u8]) {
        let parts = codec::decode_delta(bytes).expect("what was written is read");
        for bunch in &parts.bunches {
            assert!(self.bunches.insert(bunch.id, *bunch).is_none(), "a bunch is made once");
        }
        for (seq, entry) in &parts.adds {
            let dot = Dot::new(parts.replica, *seq);
            if entry.entity {
                self.entities.insert(dot, entry.clone());
            }
            let Slot::Position { bunch, backward } = entry.slot else { continue };
            let what = match &entry.container {
                Container::Entity(element) if entry.kind == Kind::MOVE => What::Move(*element, parts.hlc),
                _ => What::Element,
            };
            self.put(dot, (bunch, backward), &entry.container, what);
        }
        for run in &parts.text {
            for (seq, character) in (run.first.seq..).zip(run.text.chars()) {
                let dot = Dot::new(run.first.replica, seq);
                self.put(dot, (run.bunch, run.backward), &run.container, What::Character(character));
            }
        }
        for dot in parts.removes.dots() {
            self.removers.entry(dot).or_default().push(Dot::new(parts.replica, parts.last_seq()));
        }
    }

    fn put(&mut self, dot: Dot, (bunch, backward): (u64, bool), container: &Container, what: What) {
        let distance = i64::try_from(dot.seq - bunch).expect("positions are near");
        let index = if backward { -distance } else { distance };
        let position = Position { bunch: Dot::new(dot.replica, bunch), index };
        assert_eq!(self.taken.insert(position, dot), None, "SEQ-1: {position:?} was given before");
        let mut way = self.way(position);
        way.push(Step::Here);
        let known = self.placed.insert(dot, Placed { way: way.clone(), container: container.clone(), what });
        assert!(known.is_none(), "DOT-1: {dot} was bound before");
        let place = match what {
            What::Move(element, _) => self.place(&self.placed[&element].container),
            _ => self.place(container),
        };
        let order = self.places.entry(place).or_default();
        let at = order.partition_point(|other| self.placed[other].way < way);
        order.insert(at, dot);
    }

    /// From the root to a position.
    fn way(&self, position: Position) -> Way {
        if position.bunch == Dot::ROOT {
            return Way::new();
        }
        let BunchRecord { id, parent, side, rank } = self.bunches[&position.bunch];
        let mut way = self.way(parent);
        let foreign = id.replica != parent.bunch.replica;
        let sibling = |second| Sibling { rank, second, replica: id.replica, seq: id.seq };
        way.push(match side {
            Side::Left => Step::Left(LeftChild::Bunch(sibling(!foreign))),
            Side::Right => Step::Right(RightChild::Bunch(sibling(foreign))),
        });
        let continuation = if position.index < 0 {
            Step::Left(LeftChild::Continuation)
        } else {
            Step::Right(RightChild::Continuation)
        };
        way.extend(std::iter::repeat_n(continuation, position.index.unsigned_abs() as usize));
        way
    }

    /// The name of what all incarnations of a container are shown as.
    fn place(&self, container: &Container) -> String {
        match container {
            Container::Root { name, kind } => root(name, *kind),
            Container::Entity(dot) => {
                let entry = &self.entities[dot];
                match &entry.slot {
                    Slot::Key(key) => under(&self.place(&entry.container), key, entry.kind),
                    _ => format!("{}[{dot}]", self.place(&entry.container)),
                }
            }
        }
    }

    /// Whether a dot is live at a version, and all that it is in.
    fn lives(&self, dot: Dot, container: &Container, version: &VersionVector) -> bool {
        let removers = self.removers.get(&dot);
        let removed = || removers.is_some_and(|names| names.iter().any(|name| version.covers(*name)));
        let inside = || match container {
            Container::Root { .. } => true,
            Container::Entity(entity) => self.lives(*entity, &self.entities[entity].container, version),
        };
        version.covers(dot) && !removed() && inside()
    }

    /// The positions that are shown of a place at a version, in order.
    pub(crate) fn order(&self, place: &str, version: &VersionVector) -> Vec<Dot> {
        let Some(order) = self.places.get(place) else { return Vec::new() };
        let alive = |dot: &Dot| self.lives(*dot, &self.placed[dot].container, version);
        let mut live: Vec<Dot> = order.iter().copied().filter(alive).collect();
        let mut moves: BTreeMap<Dot, (Hlc, Dot)> = BTreeMap::new();
        for dot in &live {
            if let What::Move(element, hlc) = self.placed[dot].what {
                let last = moves.entry(element).or_insert((hlc, *dot));
                *last = (*last).max((hlc, *dot));
            }
        }
        let winners: BTreeSet<Dot> = moves.values().map(|(_, dot)| *dot).collect();
        live.retain(|dot| match self.placed[dot].what {
            What::Character(_) => true,
            What::Element => !moves.contains_key(dot),
            What::Move(..) => winners.contains(dot),
        });
        live
    }

    /// How many positions come before one that may be dead.
    pub(crate) fn before(&self, order: &[Dot], dot: Dot) -> usize {
        let way = &self.placed[&dot].way;
        order.iter().filter(|other| self.placed[other].way < *way).count()
    }

    /// In how many live incarnations what is shown of a place is.
    pub(crate) fn incarnations(&self, place: &str, version: &VersionVector) -> usize {
        let order = self.order(place, version);
        order.iter().map(|dot| &self.placed[dot].container).collect::<BTreeSet<_>>().len()
    }

    fn what(&self, dot: Dot) -> What {
        self.placed[&dot].what
    }

    /// The text of characters.
    pub(crate) fn text(&self, order: &[Dot]) -> String {
        let character = |dot: &Dot| if let What::Character(character) = self.what(*dot) { character } else { '?' };
        order.iter().map(character).collect()
    }

    /// The elements whose positions these are.
    pub(crate) fn elements(&self, order: &[Dot]) -> Vec<Dot> {
        let element = |dot: &Dot| if let What::Move(element, _) = self.what(*dot) { element } else { *dot };
        order.iter().map(element).collect()
    }
}

/// The name of a root's place.
pub(crate) fn root(name: &str, kind: Kind) -> String {
    format!("{name}:{kind:?}")
}

/// The name of the place under a key of another.
pub(crate) fn under(place: &str, key: &str, kind: Kind) -> String {
    format!("{place}/{key}:{kind:?}")
}
