//! The executable specification: what a set of deltas means, written for reading, not for speed.
//!
//! What lives is what was added, not removed, and is not under something dead. What is shown is a function of what lives.
//! Each character of a text is an entry here. The order of a list or a text is the order of its positions' paths, written out from the root.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Shape;
use crate::clock::{Dot, Hlc};
use crate::codec::decode_mark;
use crate::sequence::Anchor;
use crate::{
    Bias, BunchRecord, Container, Delta, Entry, Kind, Payload, Position, ReplicaId, Side, Slot, TextRun, Value,
    VersionVector,
};

/// Every delta ever made, by name.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    deltas: BTreeMap<Dot, Delta>,
    bunches: BTreeMap<Dot, BunchRecord>,
}

type Live = BTreeMap<Dot, (Hlc, Entry)>;
type Keyed = BTreeMap<(String, Kind), Shape>;
/// One step of a position's path: which way from the bunch, then which of the bunches there.
type PathKey = Vec<((i8, i64, u8), Option<(i32, bool, Dot)>)>;

impl Spec {
    /// Adds a delta that somebody made.
    pub fn record(&mut self, delta: &Delta) {
        self.bunches.extend(delta.parts().bunches.iter().map(|bunch| (bunch.id, *bunch)));
        self.deltas.insert(delta.dot(), delta.clone());
    }

    /// Every delta recorded.
    pub fn deltas(&self) -> impl Iterator<Item = &Delta> {
        self.deltas.values()
    }

    /// The deltas that no other one at `version` depends on, ascending by name.
    pub fn heads(&self, version: &VersionVector) -> Vec<Dot> {
        let known = || self.deltas.iter().filter(|(dot, _)| version.covers(**dot));
        let deps: BTreeSet<Dot> = known().flat_map(|(_, delta)| delta.parts().deps.to_vec()).collect();
        known().map(|(dot, _)| *dot).filter(|dot| !deps.contains(dot)).collect()
    }

    /// What lives at `version`.
    pub fn live(&self, version: &VersionVector) -> BTreeMap<Dot, (Hlc, Entry)> {
        let known: Vec<_> =
            self.deltas.iter().filter(|(dot, _)| version.covers(**dot)).map(|(_, delta)| delta.parts()).collect();
        let dot = |seq: &u64, parts: &crate::DeltaParts| Dot::new(parts.replica, *seq);
        let adds = known
            .iter()
            .flat_map(|parts| parts.adds.iter().map(|(seq, entry)| (dot(seq, parts), (parts.hlc, entry.clone()))));
        let mut live: Live = adds.collect();
        for parts in &known {
            let characters = parts.text.iter().flat_map(TextRun::entries);
            live.extend(characters.map(|(dot, entry)| (dot, (parts.hlc, entry))));
        }
        // OWN-1.
        let is_owned = |entry: &Entry| matches!(entry.kind, Kind::TOTAL | Kind::RIGHTS);
        live.retain(|dot, (_, entry)| {
            !known
                .iter()
                .any(|parts| parts.removes.contains(*dot) && (parts.replica == dot.replica || !is_owned(entry)))
        });
        loop {
            let alive: BTreeSet<Dot> =
                live.iter().filter(|(_, (_, entry))| entry.entity).map(|(dot, _)| *dot).collect();
            let before = live.len();
            live.retain(|_, (_, entry)| match &entry.container {
                Container::Root { .. } => true,
                Container::Entity(dot) => alive.contains(dot),
            });
            if live.len() == before {
                return live;
            }
        }
    }

    /// What is shown at `version`. Roots that show nothing are left out.
    pub fn dump(&self, version: &VersionVector) -> BTreeMap<(String, Kind), Shape> {
        let live = self.live(version);
        let roots: BTreeSet<_> = live.values().map(|(_, entry)| &entry.container).collect();
        let root = |container: &&Container| match container {
            Container::Root { name, kind } => {
                Some(((name.to_string(), *kind), self.read(&live, *kind, &[(*container).clone()], None)?))
            }
            Container::Entity(_) => None,
        };
        let all: Keyed = roots.iter().filter_map(root).collect();
        all.into_iter().filter(|(_, shape)| !is_blank(shape)).collect()
    }

    /// What the live containers `all` show together.
    fn read(&self, live: &Live, kind: Kind, all: &[Container], first: Option<Value>) -> Option<Shape> {
        let inside: Vec<_> = live.iter().filter(|(_, (_, entry))| all.contains(&entry.container)).collect();
        let in_unit = || inside.iter().filter(|(_, (_, entry))| entry.slot == Slot::Unit && entry.kind == kind);
        Some(match kind {
            Kind::REGISTER => {
                let mut values = values(in_unit().copied());
                values.extend(first.filter(|_| in_unit().next().is_none()));
                Shape::Register(values)
            }
            Kind::MAX_REGISTER | Kind::MIN_REGISTER => {
                let written = inside.iter().filter(|(_, (_, entry))| entry.kind == Kind::REGISTER);
                let written = written.filter_map(|(_, (_, entry))| value(&entry.payload));
                Shape::Extreme(if kind == Kind::MAX_REGISTER { written.max() } else { written.min() })
            }
            Kind::FLAG => Shape::Flag(in_unit().next().is_some()),
            Kind::DISABLE_WINS_FLAG => {
                let lives = |kind| inside.iter().any(|(_, (_, entry))| entry.kind == kind);
                Shape::Flag(lives(Kind::FLAG) && !lives(Kind::DISABLED))
            }
            Kind::COUNTER => Shape::Counter(inside.iter().map(|(_, (_, entry))| total(&entry.payload)).sum()),
            Kind::BOUNDED_COUNTER => bounded(live, &inside, all),
            Kind::SET | Kind::GROW_ONLY_SET | Kind::REMOVE_WINS_SET => {
                let named = |kind| inside.iter().filter(move |(_, (_, entry))| entry.kind == kind);
                let named = |kind| named(kind).filter_map(|(_, (_, entry))| member(&entry.slot)).collect();
                let (members, absent): (BTreeSet<_>, BTreeSet<_>) = (named(Kind::MEMBER), named(Kind::ABSENT));
                Shape::Set(members.difference(&absent).map(|member| (*member).clone()).collect())
            }
            Kind::MAP => Shape::Map(self.read_map(live, &inside)),
            Kind::LIST => {
                let elements = inside.iter().filter(|(_, (_, entry))| entry.entity);
                let mut order: Vec<_> =
                    elements.map(|(dot, (_, entry))| (self.place(live, **dot, entry), **dot, entry)).collect();
                order.sort_by(|a, b| a.0.cmp(&b.0));
                let shape = |dot: Dot, entry: &Entry| {
                    self.read(live, entry.kind, &[Container::Entity(dot)], value(&entry.payload))
                };
                Shape::List(order.into_iter().filter_map(|(_, dot, entry)| Some((dot, shape(dot, entry)?))).collect())
            }
            Kind::TEXT => {
                let characters = inside.iter().filter(|(_, (_, entry))| entry.kind == Kind::CHARACTER);
                let mut order: Vec<_> =
                    characters.map(|(dot, (_, entry))| (self.path(**dot, &entry.slot), &entry.payload)).collect();
                order.sort_by(|a, b| a.0.cmp(&b.0));
                let character = |payload: &Payload| value(payload)?.as_str().map(ToString::to_string);
                Shape::Text(order.into_iter().filter_map(|(_, payload)| character(payload)).collect())
            }
            _ => return None,
        })
    }

    fn read_map(&self, live: &Live, inside: &[(&Dot, &(Hlc, Entry))]) -> Keyed {
        let key =
            |entry: &Entry| if let Slot::Key(key) = &entry.slot { Some((key.to_string(), entry.kind)) } else { None };
        let keys: BTreeSet<_> = inside.iter().filter_map(|(_, (_, entry))| key(entry)).collect();
        let mut all = Keyed::new();
        for (name, kind) in keys {
            let at = || inside.iter().filter(|(_, (_, entry))| key(entry) == Some((name.clone(), kind))).copied();
            let shape = match kind {
                Kind::REGISTER => Some(Shape::Register(values(at()))),
                Kind::FLAG => Some(Shape::Flag(true)),
                _ => self.read(live, kind, &at().map(|(dot, _)| Container::Entity(*dot)).collect::<Vec<_>>(), None),
            };
            all.extend(shape.map(|shape| ((name, kind), shape)));
        }
        all
    }

    /// Where an element is: at its winning move, else where it was created.
    fn place(&self, live: &Live, dot: Dot, entry: &Entry) -> PathKey {
        let moves =
            live.iter().filter(|(_, (_, entry))| entry.kind == Kind::MOVE && entry.container == Container::Entity(dot));
        let winner = moves.max_by_key(|(dot, (hlc, _))| (*hlc, **dot));
        winner.map_or_else(|| self.path(dot, &entry.slot), |(dot, (_, entry))| self.path(*dot, &entry.slot))
    }

    /// The containers of a kind that are shown merged under a key of a root map at `version`.
    pub fn incarnations(&self, version: &VersionVector, root: &str, key: &str, kind: Kind) -> Vec<Container> {
        let is_here = |entry: &Entry| {
            let in_root = matches!(&entry.container, Container::Root { name, kind: Kind::MAP } if **name == *root);
            in_root && entry.kind == kind && matches!(&entry.slot, Slot::Key(found) if **found == *key)
        };
        let live = self.live(version);
        live.iter().filter(|(_, (_, entry))| is_here(entry)).map(|(dot, _)| Container::Entity(*dot)).collect()
    }

    /// Each character that the live texts `all` show together, with what is said of it by key: that of the marks over it whose stamp is
    /// the greatest, unless its value is null.
    pub fn marked(&self, version: &VersionVector, all: &[Container]) -> Vec<(char, BTreeMap<String, Value>)> {
        let live = self.live(version);
        let inside = || live.iter().filter(|(_, (_, entry))| all.contains(&entry.container));
        let characters = inside().filter(|(_, (_, entry))| entry.kind == Kind::CHARACTER);
        let mut order: Vec<_> =
            characters.map(|(dot, (_, entry))| (self.path(*dot, &entry.slot), &entry.payload)).collect();
        order.sort_by(|a, b| a.0.cmp(&b.0));
        let mut marks: Vec<_> = inside()
            .filter(|(_, (_, entry))| entry.kind == Kind::MARK && entry.slot == Slot::Unit)
            .filter_map(|(dot, (hlc, entry))| match &entry.payload {
                Payload::Opaque(bytes) => Some((*hlc, *dot, decode_mark(bytes)?)),
                _ => None,
            })
            .collect();
        marks.sort_by_key(|(hlc, dot, _)| (*hlc, *dot));
        let read = |path: &PathKey| {
            let mut said = BTreeMap::new();
            for (_, _, mark) in &marks {
                let is_behind = |anchor: &Anchor| {
                    if anchor.at == Position::START {
                        return anchor.bias == Bias::Left;
                    }
                    let place = self.climb(anchor.at, &mark.chains);
                    if anchor.bias == Bias::Left { *path > place } else { *path >= place }
                };
                if is_behind(&mark.start) && !is_behind(&mark.end) {
                    said.insert(mark.key.to_string(), mark.value.clone());
                }
            }
            said.retain(|_, value| *value != Value::Null);
            said
        };
        let character = |payload: &Payload| value(payload)?.as_str()?.chars().next();
        order.iter().filter_map(|(path, payload)| Some((character(payload)?, read(path)))).collect()
    }

    fn path(&self, dot: Dot, slot: &Slot) -> PathKey {
        let Slot::Position { bunch, backward } = slot else { return Vec::new() };
        let distance = (dot.seq - bunch) as i64;
        let index = if *backward { -distance } else { distance };
        self.climb(Position { bunch: Dot::new(dot.replica, *bunch), index }, &[])
    }

    /// The path of a position. A bunch that no delta has is among those `told`: its values were all deleted before anybody saw them.
    fn climb(&self, at: Position, told: &[BunchRecord]) -> PathKey {
        let mut path = PathKey::new();
        path.push(((0, at.index, 1), None));
        let mut at = at.bunch;
        while at != Dot::ROOT {
            let known = self.bunches.get(&at).or_else(|| told.iter().find(|bunch| bunch.id == at));
            let BunchRecord { id, parent, side, rank } = *known.expect("SEQ-3: a chain is whole");
            let step = match side {
                Side::Right if parent.index >= 0 => (1, -parent.index, 0),
                Side::Left if parent.index <= 0 => (-1, -parent.index, 0),
                Side::Left => (0, parent.index, 0),
                Side::Right => (0, parent.index, 2),
            };
            let foreign = id.replica != parent.bunch.replica;
            path.push((step, Some((rank, foreign == (side == Side::Right), id))));
            at = parent.bunch;
        }
        path.reverse();
        path
    }
}

fn is_blank(shape: &Shape) -> bool {
    match shape {
        Shape::Register(values) | Shape::Set(values) => values.is_empty(),
        Shape::Flag(on) => !on,
        Shape::Map(keys) => keys.is_empty(),
        Shape::List(elements) => elements.is_empty(),
        Shape::Text(text) => text.is_empty(),
        Shape::Extreme(value) => value.is_none(),
        Shape::Counter(_) | Shape::Bounded { .. } => false,
    }
}

/// A bounded counter: the floor once, and of each replica in each incarnation what it added and was given, less what it
/// subtracted and gave. Nothing is bounded here: were any of it negative, a document would show something else.
fn bounded(live: &Live, inside: &[(&Dot, &(Hlc, Entry))], all: &[Container]) -> Shape {
    let floors = all.iter().map(|container| match container {
        Container::Entity(dot) => live.get(dot).and_then(|(_, entry)| value(&entry.payload)?.as_int()).unwrap_or(0),
        Container::Root { .. } => 0,
    });
    let floor = floors.max().unwrap_or(0);
    let mut rights: BTreeMap<ReplicaId, i128> = BTreeMap::new();
    for (dot, (_, entry)) in inside {
        let Payload::Rights(told) = &entry.payload else { continue };
        *rights.entry(dot.replica).or_default() += i128::from(told.plus) - i128::from(told.minus);
        for (to, amount) in &told.given {
            *rights.entry(dot.replica).or_default() -= i128::from(*amount);
            *rights.entry(*to).or_default() += i128::from(*amount);
        }
    }
    let value = i128::from(floor) + rights.values().sum::<i128>();
    rights.retain(|_, rights| *rights != 0);
    Shape::Bounded { value, floor, rights: rights.into_iter().collect() }
}

fn value(payload: &Payload) -> Option<Value> {
    if let Payload::Value(value) = payload { Some(value.clone()) } else { None }
}

fn member(slot: &Slot) -> Option<&Value> {
    if let Slot::Member(value) = slot { Some(value) } else { None }
}

fn total(payload: &Payload) -> i128 {
    if let Payload::Total { plus, minus } = payload { i128::from(*plus) - i128::from(*minus) } else { 0 }
}

/// The values of concurrent writes, the winner first; what one delta wrote into several incarnations counts once.
fn values<'a>(entries: impl Iterator<Item = (&'a Dot, &'a (Hlc, Entry))>) -> Vec<Value> {
    let mut all: Vec<_> = entries.map(|(dot, (hlc, entry))| (*hlc, *dot, value(&entry.payload))).collect();
    all.sort_by_key(|(hlc, dot, _)| (*hlc, *dot));
    all.reverse();
    all.dedup_by_key(|(hlc, dot, _)| (*hlc, dot.replica));
    all.into_iter().filter_map(|(_, _, value)| value).collect()
}
