//! The types, and how concurrent edits of each come together.
//!
//! Which one to choose:
//!
//! | type | holds | two edits that did not see each other |
//! |---|---|---|
//! | [register](crate::RegisterRef) | one value | both are kept; reading gives the later stamp, `values()` gives both |
//! | [flag](crate::FlagRef) | on or off | enabling wins over disabling |
//! | [counter](crate::CounterRef) | a number | both increments count |
//! | [set](crate::SetRef) | distinct values | adding a value wins over removing it |
//! | [map](crate::MapRef) | keys with values and containers | putting survives removing; containers created under one key merge |
//! | [list](crate::ListRef) | elements in order | an element that both move is at one place; runs typed at one place stay whole |
//!
//! For everything nested: removing a key or an element wins over edits inside of what was removed.
//!
//! `…Ref` types read and never create anything; a container that does not exist reads as empty. `…Mut` types edit inside a
//! [`Transaction`], and reaching into a container creates it.

mod counter;
mod flag;
mod list;
mod map;
mod register;
mod set;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use counter::{CounterMut, CounterRef};
pub use flag::{FlagMut, FlagRef};
pub use list::{ListMut, ListRef};
pub use map::{MapMut, MapRef};
pub use register::{RegisterMut, RegisterRef};
pub use set::{SetMut, SetRef};

use crate::clock::LocalDot;
use crate::document::{
    Content, Document, Dots, EditError, KeySlot, Link, Path, PathStep, PlaceId, State, Target, Transaction, check_key,
};
use crate::fault::{self, Fault};
use crate::ordered::{Set, sort_by};
use crate::store::{Kind, LocalContainer, Payload, Slot};
use crate::value::Value;

/// A container of any kind, to read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum NodeRef<'d> {
    /// A register.
    Register(RegisterRef<'d>),
    /// A flag.
    Flag(FlagRef<'d>),
    /// A counter.
    Counter(CounterRef<'d>),
    /// A set.
    Set(SetRef<'d>),
    /// A map.
    Map(MapRef<'d>),
    /// A list.
    List(ListRef<'d>),
}

/// A container of any kind, to edit.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeMut<'t, 'd> {
    /// A register.
    Register(RegisterMut<'t, 'd>),
    /// A flag.
    Flag(FlagMut<'t, 'd>),
    /// A counter.
    Counter(CounterMut<'t, 'd>),
    /// A set.
    Set(SetMut<'t, 'd>),
    /// A map.
    Map(MapMut<'t, 'd>),
    /// A list.
    List(ListMut<'t, 'd>),
}

/// A place to read; absent if nothing was ever created there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'d> {
    document: &'d Document,
    place: Option<PlaceId>,
}

impl<'d> At<'d> {
    fn state(self) -> &'d State {
        &self.document.state
    }

    fn content(self) -> Option<&'d Content> {
        self.place.map(|place| &self.state().view.place(place).content)
    }
}

/// A place to edit. It stays alive as long as the handle, because only this handle can edit meanwhile, and no edit through
/// it removes the place itself.
#[derive(Debug)]
pub(crate) struct AtMut<'t, 'd> {
    tx: &'t mut Transaction<'d>,
    place: PlaceId,
}

impl<'d> AtMut<'_, 'd> {
    fn read(&self) -> At<'_> {
        At { document: self.tx.document(), place: Some(self.place) }
    }

    fn reborrow(&mut self, place: PlaceId) -> AtMut<'_, 'd> {
        AtMut { tx: self.tx, place }
    }

    /// Replaces observed entries of a slot, each in its own incarnation; in the lowest one if there are none. All entries
    /// of a delta that replace one another hold the same thing, so whichever incarnations survive show it.
    fn replace(&mut self, observed: &[LocalDot], slot: Slot, kind: Kind, payload: Payload) -> Result<(), EditError> {
        let state = &self.tx.document().state;
        // A root is its only incarnation, and is never removed.
        let mut into: Set<LocalDot> = Set::new();
        for dot in observed {
            if let Some(LocalContainer::Entity(container)) = state.store.get(*dot).map(|live| live.container) {
                into.insert(container);
            }
        }
        let lowest = self.tx.lowest(self.place)?;
        self.tx.has_room(into.len().max(1))?;
        for dot in observed {
            if fault::active(Fault::PutLosesToLaterStamp) && self.tx.hlc() < self.tx.document().state.stamp(*dot) {
                continue;
            }
            self.tx.remove(*dot);
        }
        if into.is_empty() || fault::active(Fault::PutIntoLowestOnly) {
            self.tx.add(Target { container: lowest, slot }, kind, false, payload)?;
            return Ok(());
        }
        for container in into {
            let container = LocalContainer::Entity(container);
            self.tx.add(Target { container, slot: slot.clone() }, kind, false, payload.clone())?;
        }
        Ok(())
    }

    /// The container of a kind under a key, created in the lowest incarnation if there is none.
    fn child(&mut self, key: &str, kind: Kind) -> Result<PlaceId, EditError> {
        check_key(key)?;
        if let Some(child) = self.read().key(key).and_then(|slot| slot.child(kind)) {
            return Ok(child);
        }
        self.tx.check_depth(self.place)?;
        if fault::active(Fault::ReachingRemoves) {
            for dot in self.read().key(key).map_or(Vec::new(), |slot| slot.registers.to_vec()) {
                self.tx.remove(dot);
            }
        }
        let target = Target { container: self.tx.lowest(self.place)?, slot: Slot::Key(key.into()) };
        let dot = self.tx.add(target, kind, true, Payload::Empty)?;
        self.tx.document().state.view.entity(dot).ok_or(EditError::Gone)
    }
}

impl<'d> At<'d> {
    fn key(self, key: &str) -> Option<&'d KeySlot> {
        match self.content() {
            Some(Content::Map(keys)) => keys.get(key),
            _ => None,
        }
    }
}

impl State {
    /// The values of concurrent writes, the winner first. Entries that one delta wrote into several incarnations count once.
    fn values(&self, dots: &Dots) -> Vec<Value> {
        let mut dots = dots.to_vec();
        sort_by(&mut dots, |a, b| self.by_stamp(*b, *a));
        let mut values = Vec::new();
        let mut last = None;
        for dot in dots {
            let delta = Some((dot.origin(), self.store.get(dot).map(|live| live.hlc)));
            if delta != last || fault::active(Fault::ValuesShowCopies) {
                values.extend(self.value(dot));
            }
            last = delta;
        }
        values
    }

    fn value(&self, dot: LocalDot) -> Option<Value> {
        if let Payload::Value(value) = self.payload(dot) { Some(value.clone()) } else { None }
    }
}

macro_rules! root_readers {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The root ", $what, " of this name. It always exists; reading creates nothing. O(log n).")]
        pub fn $name(&self, name: &str) -> $type<'_> {
            $type::at(At { document: self, place: self.state.view.root(name, Kind::$kind) })
        }
    )*};
}

/// Reading.
impl Document {
    root_readers! {
        register, REGISTER, RegisterRef, "register";
        flag, FLAG, FlagRef, "flag";
        counter, COUNTER, CounterRef, "counter";
        set, SET, SetRef, "set";
        map, MAP, MapRef, "map";
        list, LIST, ListRef, "list";
    }

    /// The roots that hold something, by name.
    pub fn roots(&self) -> impl Iterator<Item = (&str, Kind)> + '_ {
        let holds = |place: PlaceId| match &self.state.view.place(place).content {
            Content::Map(keys) => !keys.is_empty(),
            Content::Set(members) => !members.is_empty(),
            Content::Counter(totals) => !totals.is_empty(),
            Content::Unit(dots) => !dots.is_empty(),
            Content::List(elements) => !elements.is_empty(),
            Content::Unknown => false,
        };
        self.state.view.roots().filter(move |(_, _, place)| holds(*place)).map(|(name, kind, _)| (name.as_ref(), kind))
    }

    /// The container at `path`, if it exists. A root of a known kind always does. O(steps · log n).
    pub fn at(&self, path: &Path) -> Option<NodeRef<'_>> {
        let (first, rest) = path.steps().split_first()?;
        let PathStep::Root { name, kind } = first else { return None };
        let Some((last, way)) = rest.split_last() else {
            return NodeRef::of(*kind, At { document: self, place: self.state.view.root(name, *kind) });
        };
        let mut at = At { document: self, place: Some(self.state.view.root(name, *kind)?) };
        for step in way {
            at = at.step(step)?;
        }
        if let PathStep::Key { key, kind: kind @ (Kind::REGISTER | Kind::FLAG) } = last {
            let slot = at.key(key)?;
            return Some(match *kind {
                Kind::REGISTER => NodeRef::Register(RegisterRef::of(self, &slot.registers, None)),
                _ => NodeRef::Flag(FlagRef::of(&slot.flags)),
            });
        }
        let at = at.step(last)?;
        NodeRef::of(self.state.view.place(at.place?).kind, at)
    }
}

impl<'d> At<'d> {
    fn step(self, step: &PathStep) -> Option<Self> {
        let place = match step {
            PathStep::Root { .. } => return None,
            PathStep::Key { key, kind } => self.key(key)?.child(*kind)?,
            PathStep::Element(dot) => {
                let state = self.state();
                let place = state.view.entity(state.origins.local(*dot)?)?;
                match state.view.place(place).link {
                    Link::Element(list, _) if Some(list) == self.place => place,
                    _ => return None,
                }
            }
        };
        Some(At { document: self.document, place: Some(place) })
    }
}

impl<'d> NodeRef<'d> {
    fn of(kind: Kind, at: At<'d>) -> Option<Self> {
        Some(match kind {
            Kind::REGISTER => Self::Register(RegisterRef::at(at)),
            Kind::FLAG => Self::Flag(FlagRef::at(at)),
            Kind::COUNTER => Self::Counter(CounterRef::at(at)),
            Kind::SET => Self::Set(SetRef::at(at)),
            Kind::MAP => Self::Map(MapRef::at(at)),
            Kind::LIST => Self::List(ListRef::at(at)),
            _ => return None,
        })
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Register(_) => Kind::REGISTER,
            Self::Flag(_) => Kind::FLAG,
            Self::Counter(_) => Kind::COUNTER,
            Self::Set(_) => Kind::SET,
            Self::Map(_) => Kind::MAP,
            Self::List(_) => Kind::LIST,
        }
    }
}

macro_rules! root_editors {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The root ", $what, " of this name, to edit.")]
        ///
        /// # Errors
        /// When the name is too long.
        pub fn $name(&mut self, name: &str) -> Result<$type<'_, 'd>, EditError> {
            let place = self.root_place(name, Kind::$kind)?;
            Ok($type::at(AtMut { tx: self, place }))
        }
    )*};
}

/// Reaching the containers to edit.
impl<'d> Transaction<'d> {
    root_editors! {
        register, REGISTER, RegisterMut, "register";
        flag, FLAG, FlagMut, "flag";
        counter, COUNTER, CounterMut, "counter";
        set, SET, SetMut, "set";
        map, MAP, MapMut, "map";
        list, LIST, ListMut, "list";
    }

    fn root_place(&mut self, name: &str, kind: Kind) -> Result<PlaceId, EditError> {
        check_key(name)?;
        let view = &mut self.document.state.view;
        let number = view.root_or_new(&Arc::from(name), kind);
        Ok(view.root_place(number))
    }

    /// The container at `path`, to edit; containers under keys on the way are created where they do not exist.
    ///
    /// # Errors
    /// When a list element on the way does not exist, or something on the way is of another kind.
    pub fn at(&mut self, path: &Path) -> Result<NodeMut<'_, 'd>, EditError> {
        let mut steps = path.steps().iter().peekable();
        let Some(PathStep::Root { name, kind }) = steps.next() else { return Err(EditError::Gone) };
        let mut place = self.root_place(name, *kind)?;
        while let Some(step) = steps.next() {
            let here = self.document.state.view.place(place).kind;
            match step {
                PathStep::Root { .. } => return Err(EditError::Gone),
                PathStep::Key { .. } if here != Kind::MAP => {
                    return Err(EditError::WrongKind { expected: Kind::MAP, found: here });
                }
                PathStep::Key { key, kind } => {
                    let mut at = AtMut { tx: self, place };
                    if steps.peek().is_none() && (*kind == Kind::REGISTER || *kind == Kind::FLAG) {
                        check_key(key)?;
                        let at = AtMut { tx: self, place };
                        return Ok(match *kind {
                            Kind::REGISTER => NodeMut::Register(RegisterMut::under(at, key.clone())),
                            _ => NodeMut::Flag(FlagMut::under(at, key.clone())),
                        });
                    }
                    if matches!(*kind, Kind::REGISTER | Kind::FLAG) || !kind.is_container() {
                        return Err(EditError::WrongKind { expected: Kind::MAP, found: *kind });
                    }
                    place = at.child(key, *kind)?;
                }
                PathStep::Element(_) => {
                    let at = At { document: self.document, place: Some(place) };
                    let element = at.step(step).and_then(|at| at.place);
                    place = element.ok_or(EditError::NoSuchElement)?;
                }
            }
        }
        let kind = self.document.state.view.place(place).kind;
        let at = AtMut { tx: self, place };
        Ok(match kind {
            Kind::REGISTER => NodeMut::Register(RegisterMut::at(at)),
            Kind::FLAG => NodeMut::Flag(FlagMut::at(at)),
            Kind::COUNTER => NodeMut::Counter(CounterMut::at(at)),
            Kind::SET => NodeMut::Set(SetMut::at(at)),
            Kind::MAP => NodeMut::Map(MapMut::at(at)),
            Kind::LIST => NodeMut::List(ListMut::at(at)),
            found => return Err(EditError::WrongKind { expected: Kind::MAP, found }),
        })
    }
}
