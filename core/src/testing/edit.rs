//! One edit as a value: made at random, done to a document, and done to what the document shows.
//!
//! The second of the two is the specification of the types as their user sees them: whatever others did before, what is shown
//! after an edit is what was shown before it with just this changed. So a history notices a type that does something else
//! than it says, although what it does may well be the same everywhere.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Random, Shape};
use crate::{Document, Dot, EditError, Kind, NodeMut, NodeRef, Path, PathStep, ReplicaId, Transaction, Value};

type Keyed = BTreeMap<(String, Kind), Shape>;

/// Every kind a container can have.
const KINDS: [Kind; 13] = [
    Kind::REGISTER,
    Kind::FLAG,
    Kind::COUNTER,
    Kind::SET,
    Kind::MAP,
    Kind::LIST,
    Kind::TEXT,
    Kind::MAX_REGISTER,
    Kind::MIN_REGISTER,
    Kind::DISABLE_WINS_FLAG,
    Kind::REMOVE_WINS_SET,
    Kind::GROW_ONLY_SET,
    Kind::BOUNDED_COUNTER,
];

/// What is done to the container at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Set(Value),
    Raise(Value),
    Lower(Value),
    Enable,
    Disable,
    Count(i64),
    Gain(u64),
    /// Refused, and without effect, where there are not the rights to it; so is giving.
    Spend(u64),
    Give(ReplicaId, u64),
    Add(Value),
    Remove(Value),
    Clear,
    Put(&'static str, Value),
    EnableKey(&'static str),
    RemoveKey(&'static str),
    Reach(&'static str, Kind),
    ReachAbove(&'static str, i64),
    Insert(usize, Value),
    InsertContainer(usize, Kind),
    InsertBounded(usize, i64),
    PutElement(Dot, Value),
    MoveElement(Dot, usize),
    RemoveElement(Dot),
    Type(usize, &'static str),
    Delete(usize, usize),
    Replace(usize, usize, &'static str),
}

impl Edit {
    /// An edit somewhere in a small document, so that edits meet. Rights in bounded counters are given away only if it `gives`.
    pub(super) fn random(document: &Document, random: &mut Random, gives: bool) -> (Path, Self) {
        // Half of all edits begin in a map or a list, where there is more to go wrong.
        let kinds: &[Kind] = if random.one_in(2) { &[Kind::MAP, Kind::MAP, Kind::LIST, Kind::TEXT] } else { &KINDS };
        let mut path = Path::root("r", *random.pick(kinds));
        for _ in 0..random.below(3) {
            let next = match document.at(&path) {
                Some(NodeRef::Map(_)) => {
                    PathStep::Key { key: (*random.pick(&["a", "b"])).into(), kind: *random.pick(&KINDS) }
                }
                Some(NodeRef::List(list)) if !list.is_empty() => {
                    let index = random.below(list.len());
                    let Some(id) = list.id_at(index) else { break };
                    PathStep::Element(id)
                }
                _ => break,
            };
            path = path.join(next);
        }
        let value = Value::Int(random.below(4) as i64);
        let edit = match kind_of(document, &path) {
            Kind::REGISTER => Self::Set(value),
            Kind::MAX_REGISTER => Self::Raise(value),
            Kind::MIN_REGISTER => Self::Lower(value),
            Kind::FLAG | Kind::DISABLE_WINS_FLAG if random.one_in(2) => Self::Enable,
            Kind::FLAG | Kind::DISABLE_WINS_FLAG => Self::Disable,
            Kind::COUNTER => Self::Count(random.below(7) as i64 - 3),
            Kind::GROW_ONLY_SET => Self::Add(value),
            Kind::BOUNDED_COUNTER => Self::random_in_bounded(document, random, gives),
            Kind::SET | Kind::REMOVE_WINS_SET => match random.below(5) {
                0 | 1 => Self::Remove(value),
                2 if random.one_in(4) => Self::Clear,
                _ => Self::Add(value),
            },
            Kind::MAP => Self::random_in_map(value, random),
            Kind::TEXT => Self::random_in_text(document, &path, random),
            _ => Self::random_in_list(document, &path, value, random),
        };
        (path, edit)
    }

    fn random_in_map(value: Value, random: &mut Random) -> Self {
        let key = *random.pick(&["a", "b"]);
        match random.below(10) {
            0..=2 => Self::Put(key, value),
            3 | 4 => Self::RemoveKey(key),
            5 => Self::EnableKey(key),
            6 if random.one_in(4) => Self::Clear,
            7 => Self::Reach(key, Kind::MAP),
            8 => Self::ReachAbove(key, random.below(9) as i64 - 4),
            _ => Self::Reach(key, *random.pick(&[Kind::LIST, Kind::TEXT])),
        }
    }

    fn random_in_text(document: &Document, path: &Path, random: &mut Random) -> Self {
        let len = if let Some(NodeRef::Text(text)) = document.at(path) { text.len() } else { 0 };
        let text = *random.pick(&["a", "bcd", "e\n", "ü", "🎈f"]);
        let start = random.below(len + 1);
        let deleted = random.below((len - start).min(4) + 1);
        match random.below(8) {
            0 | 1 => Self::Delete(start, deleted),
            2 => Self::Replace(start, deleted, text),
            3 if random.one_in(8) => Self::Clear,
            // Often where one types, or goes on.
            4 | 5 => Self::Type(len, text),
            _ => Self::Type(start, text),
        }
    }

    fn random_in_bounded(document: &Document, random: &mut Random, gives: bool) -> Self {
        let amount = random.below(6) as u64;
        match random.below(6) {
            0..=2 => Self::Gain(amount),
            5 if gives => {
                // To somebody known, or to somebody who has written nothing yet.
                let everybody: Vec<ReplicaId> = document.version().iter().map(|(id, _)| id).collect();
                let somebody = everybody.is_empty() || random.one_in(4);
                Self::Give(if somebody { ReplicaId::from(7) } else { *random.pick(&everybody) }, amount)
            }
            _ => Self::Spend(amount),
        }
    }

    fn random_in_list(document: &Document, path: &Path, value: Value, random: &mut Random) -> Self {
        let list = if let Some(NodeRef::List(list)) = document.at(path) { Some(list) } else { None };
        let len = list.map_or(0, |list| list.len());
        let some = (len > 0).then(|| random.below(len.max(1)));
        let id = some.and_then(|index| list?.id_at(index));
        match (random.below(9), id) {
            (0 | 1, Some(id)) => Self::RemoveElement(id),
            (2 | 3, Some(id)) => Self::MoveElement(id, random.below(len)),
            (4, Some(id)) if list.and_then(|list| list.kind(id)) == Some(Kind::REGISTER) => Self::PutElement(id, value),
            (5, _) => match (*random.pick(&KINDS), random.below(len + 1)) {
                (Kind::REGISTER, index) => Self::InsertBounded(index, random.below(9) as i64 - 4),
                (kind, index) => Self::InsertContainer(index, kind),
            },
            (6, _) if random.one_in(8) => Self::Clear,
            _ => Self::Insert(random.below(len + 1), value),
        }
    }

    /// Does it to the container at `path`. Gives the id of what was inserted.
    pub(super) fn apply(&self, tx: &mut Transaction<'_>, path: &Path) -> Result<Option<Dot>, EditError> {
        match (tx.at(path)?, self.clone()) {
            (NodeMut::Register(mut register), Self::Set(value)) => register.set(value)?,
            (NodeMut::Flag(mut flag), Self::Enable) => flag.enable()?,
            (NodeMut::Flag(mut flag), Self::Disable) => flag.disable()?,
            (NodeMut::MaxRegister(mut register), Self::Raise(value)) => drop(register.raise(value)?),
            (NodeMut::MinRegister(mut register), Self::Lower(value)) => drop(register.lower(value)?),
            (NodeMut::DisableWinsFlag(mut flag), Self::Enable) => flag.enable()?,
            (NodeMut::DisableWinsFlag(mut flag), Self::Disable) => flag.disable()?,
            (NodeMut::RemoveWinsSet(mut set), Self::Add(value)) => set.add(value)?,
            (NodeMut::RemoveWinsSet(mut set), Self::Remove(value)) => drop(set.remove(&value)?),
            (NodeMut::RemoveWinsSet(mut set), Self::Clear) => set.clear()?,
            (NodeMut::GrowOnlySet(mut set), Self::Add(value)) => drop(set.add(value)?),
            (NodeMut::BoundedCounter(mut counter), Self::Gain(amount)) => counter.add(amount)?,
            (NodeMut::BoundedCounter(mut counter), Self::Spend(amount)) => {
                let rights = counter.read().rights();
                refused_without_rights(counter.subtract(amount), amount, rights)?;
            }
            (NodeMut::BoundedCounter(mut counter), Self::Give(to, amount)) => {
                let rights = counter.read().rights();
                refused_without_rights(counter.transfer(to, amount), amount, rights)?;
            }
            (NodeMut::Counter(mut counter), Self::Count(amount)) => counter.add(amount)?,
            (NodeMut::Set(mut set), Self::Add(value)) => set.add(value)?,
            (NodeMut::Set(mut set), Self::Remove(value)) => drop(set.remove(&value)?),
            (NodeMut::Set(mut set), Self::Clear) => set.clear()?,
            (NodeMut::Map(mut map), Self::Put(key, value)) => map.put(key, value)?,
            (NodeMut::Map(mut map), Self::EnableKey(key)) => map.enable(key)?,
            (NodeMut::Map(mut map), Self::RemoveKey(key)) => drop(map.remove(key)?),
            (NodeMut::Map(mut map), Self::Clear) => map.clear()?,
            (NodeMut::Map(mut map), Self::Reach(key, Kind::MAP)) => _ = map.map(key)?,
            (NodeMut::Map(mut map), Self::Reach(key, Kind::TEXT)) => _ = map.text(key)?,
            (NodeMut::Map(mut map), Self::Reach(key, _)) => _ = map.list(key)?,
            (NodeMut::Map(mut map), Self::ReachAbove(key, floor)) => _ = map.bounded_counter_above(key, floor)?,
            (NodeMut::List(mut list), Self::Insert(index, value)) => return list.insert(index, value).map(Some),
            (NodeMut::List(mut list), Self::InsertContainer(index, kind)) => {
                return list.insert_container(index, kind).map(Some);
            }
            (NodeMut::List(mut list), Self::InsertBounded(index, floor)) => {
                return list.insert_bounded_counter(index, floor).map(Some);
            }
            (NodeMut::List(mut list), Self::PutElement(id, value)) => list.put(id, value)?,
            (NodeMut::List(mut list), Self::MoveElement(id, index)) => list.move_to(id, index)?,
            (NodeMut::List(mut list), Self::RemoveElement(id)) => list.remove(id)?,
            (NodeMut::List(mut list), Self::Clear) => list.clear()?,
            (NodeMut::Text(mut text), Self::Type(index, new)) => text.insert(index, new)?,
            (NodeMut::Text(mut text), Self::Delete(start, len)) => text.delete(start..start + len)?,
            (NodeMut::Text(mut text), Self::Replace(start, len, new)) => text.replace(start..start + len, new)?,
            (NodeMut::Text(mut text), Self::Clear) => text.clear()?,
            (other, edit) => unreachable!("{edit:?} in {other:?}"),
        }
        Ok(None)
    }

    /// Does it to what `writer` is shown. `new` is the id of what was inserted.
    pub(super) fn show(&self, shown: &mut Keyed, path: &Path, writer: ReplicaId, new: Option<Dot>) {
        let (way, last) = path.steps().split_at(path.steps().len() - 1);
        if let [PathStep::Key { key, kind: kind @ (Kind::REGISTER | Kind::FLAG) }] = last {
            // What is under a key is of the map.
            let Shape::Map(keys) = reach(shown, way) else { return };
            let at = (key.to_string(), *kind);
            match self {
                Self::Set(value) => put(keys, key, value),
                Self::Enable => drop(keys.insert(at, Shape::Flag(true))),
                _ => drop(keys.remove(&at)),
            }
            return;
        }
        match (reach(shown, path.steps()), self) {
            (Shape::Register(values), Self::Set(value)) => *values = [value.clone()].into(),
            (Shape::Flag(on), edit) => *on = *edit == Self::Enable,
            (Shape::Counter(sum), Self::Count(amount)) => *sum += i128::from(*amount),
            (Shape::Extreme(value), Self::Raise(written)) => *value = value.take().max(Some(written.clone())),
            (Shape::Extreme(value), Self::Lower(written)) => {
                *value = Some(value.take().map_or_else(|| written.clone(), |now| now.min(written.clone())));
            }
            (Shape::Bounded { value, rights, .. }, edit) => edit.show_in_bounded(value, rights, writer),
            (Shape::Set(members), Self::Add(value)) => {
                members.retain(|member| member != value);
                members.push(value.clone());
                members.sort();
            }
            (Shape::Set(members), Self::Remove(value)) => members.retain(|member| member != value),
            (Shape::Set(members), Self::Clear) => members.clear(),
            (Shape::Map(keys), Self::Put(key, value)) => put(keys, key, value),
            (Shape::Map(keys), Self::EnableKey(key)) => {
                keys.insert((key.to_string(), Kind::FLAG), Shape::Flag(true));
            }
            (Shape::Map(keys), Self::RemoveKey(key)) => keys.retain(|at, _| at.0 != *key),
            (Shape::Map(keys), Self::Clear) => keys.clear(),
            (Shape::Map(keys), Self::Reach(key, kind)) => {
                keys.entry((key.to_string(), *kind)).or_insert_with(|| empty(*kind));
            }
            (Shape::Map(keys), Self::ReachAbove(key, floor)) => {
                keys.entry((key.to_string(), Kind::BOUNDED_COUNTER)).or_insert_with(|| bounded(*floor));
            }
            (Shape::List(elements), edit) => edit.show_in_list(elements, new),
            (Shape::Text(text), edit) => edit.show_in_text(text),
            (shape, edit) => unreachable!("{edit:?} in {shape:?}"),
        }
    }

    fn show_in_bounded(&self, value: &mut i128, rights: &mut Vec<(ReplicaId, i128)>, writer: ReplicaId) {
        let own = rights_of(rights, writer);
        match self {
            Self::Gain(amount) => {
                give(rights, writer, i128::from(*amount));
                *value += i128::from(*amount);
            }
            Self::Spend(amount) if own >= i128::from(*amount) => {
                give(rights, writer, -i128::from(*amount));
                *value -= i128::from(*amount);
            }
            Self::Give(to, amount) if own >= i128::from(*amount) => {
                give(rights, writer, -i128::from(*amount));
                give(rights, *to, i128::from(*amount));
            }
            _ => {}
        }
    }

    fn show_in_text(&self, text: &mut String) {
        let (start, len, new) = match self {
            Self::Type(index, new) => (*index, 0, *new),
            Self::Delete(start, len) => (*start, *len, ""),
            Self::Replace(start, len, new) => (*start, *len, *new),
            _ => (0, usize::MAX, ""),
        };
        let before = text.chars().take(start);
        *text = before.chain(new.chars()).chain(text.chars().skip(start.saturating_add(len))).collect();
    }

    fn show_in_list(&self, elements: &mut Vec<(Dot, Shape)>, new: Option<Dot>) {
        let find = |elements: &[(Dot, Shape)], id: &Dot| elements.iter().position(|element| element.0 == *id);
        match self {
            Self::Insert(index, value) => {
                elements.extend(new.map(|id| (id, Shape::Register([value.clone()].into()))));
                elements[*index..].rotate_right(1);
            }
            Self::InsertContainer(index, kind) => {
                elements.extend(new.map(|id| (id, empty(*kind))));
                elements[*index..].rotate_right(1);
            }
            Self::InsertBounded(index, floor) => {
                elements.extend(new.map(|id| (id, bounded(*floor))));
                elements[*index..].rotate_right(1);
            }
            Self::MoveElement(id, index) => {
                if let Some(from) = find(elements, id) {
                    let element = elements.remove(from);
                    elements.insert(*index, element);
                }
            }
            Self::PutElement(id, value) => {
                if let Some(at) = find(elements, id) {
                    elements[at].1 = Shape::Register([value.clone()].into());
                }
            }
            Self::RemoveElement(id) => elements.retain(|element| element.0 != *id),
            _ => elements.clear(),
        }
    }
}

/// That there are not enough rights is no failure, as long as it is so.
fn refused_without_rights(done: Result<(), EditError>, amount: u64, rights: i128) -> Result<(), EditError> {
    match done {
        Err(EditError::NotEnoughRights { wanted, available })
            if wanted == amount && i128::from(available) == rights && rights < i128::from(amount) =>
        {
            Ok(())
        }
        done => done,
    }
}

/// Does one random edit somewhere in a small document. Rights in bounded counters are given away only if it `gives`: that is
/// no undo's to take back.
///
/// # Errors
/// What the document says; nothing here should make it say anything.
pub fn random_edit(tx: &mut Transaction<'_>, random: &mut Random, gives: bool) -> Result<(), EditError> {
    let (path, edit) = Edit::random(tx.document(), random, gives);
    edit.apply(tx, &path).map(drop)
}

/// What a root shows when it was never written to, and when it is as if it never was: these two are shown alike.
pub(super) fn without_blanks(mut shown: Keyed) -> Keyed {
    shown.retain(|(_, kind), shape| *shape != empty(*kind));
    shown
}

fn kind_of(document: &Document, path: &Path) -> Kind {
    document.at(path).map_or_else(|| last_kind(path), |node| node.kind())
}

/// The kind of a container that is not there yet.
fn last_kind(path: &Path) -> Kind {
    match path.steps().last() {
        Some(PathStep::Root { kind, .. } | PathStep::Key { kind, .. }) => *kind,
        _ => Kind::REGISTER,
    }
}

fn empty(kind: Kind) -> Shape {
    match kind {
        Kind::REGISTER => Shape::Register(Vec::new()),
        Kind::FLAG | Kind::DISABLE_WINS_FLAG => Shape::Flag(false),
        Kind::MAX_REGISTER | Kind::MIN_REGISTER => Shape::Extreme(None),
        Kind::COUNTER => Shape::Counter(0),
        Kind::BOUNDED_COUNTER => bounded(0),
        Kind::SET | Kind::REMOVE_WINS_SET | Kind::GROW_ONLY_SET => Shape::Set(Vec::new()),
        Kind::MAP => Shape::Map(Keyed::new()),
        Kind::TEXT => Shape::Text(String::new()),
        _ => Shape::List(Vec::new()),
    }
}

fn bounded(floor: i64) -> Shape {
    Shape::Bounded { value: floor.into(), floor, rights: Vec::new() }
}

fn rights_of(rights: &[(ReplicaId, i128)], who: ReplicaId) -> i128 {
    rights.iter().find(|holder| holder.0 == who).map_or(0, |holder| holder.1)
}

fn give(rights: &mut Vec<(ReplicaId, i128)>, to: ReplicaId, amount: i128) {
    let now = rights_of(rights, to) + amount;
    rights.retain(|holder| holder.0 != to);
    rights.extend((now > 0).then_some((to, now)));
    rights.sort();
}

fn put(keys: &mut Keyed, key: &str, value: &Value) {
    keys.retain(|at, _| at.0 != key);
    keys.insert((key.to_string(), Kind::REGISTER), Shape::Register([value.clone()].into()));
}

/// What is shown at a path; containers on the way are there from now on.
fn reach<'s>(shown: &'s mut Keyed, steps: &[PathStep]) -> &'s mut Shape {
    let Some((PathStep::Root { name, kind }, steps)) = steps.split_first() else { unreachable!("a path has a root") };
    let mut at = shown.entry((name.to_string(), *kind)).or_insert_with(|| empty(*kind));
    for step in steps {
        at = match (at, step) {
            (Shape::Map(keys), PathStep::Key { key, kind }) => {
                keys.entry((key.to_string(), *kind)).or_insert_with(|| empty(*kind))
            }
            (Shape::List(elements), PathStep::Element(id)) => {
                &mut elements.iter_mut().find(|element| element.0 == *id).expect("the element is there").1
            }
            (shape, step) => unreachable!("{step:?} in {shape:?}"),
        };
    }
    at
}
