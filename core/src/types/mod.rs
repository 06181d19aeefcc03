//! The types, and how concurrent edits of each come together.
//!
//! Which one to choose:
//!
//! | type | holds | two edits that did not see each other |
//! |---|---|---|
//! | [register](crate::RegisterRef) | one value | both are kept; reading gives the later stamp, `values()` gives both |
//! | [max register](crate::MaxRegisterRef), [min register](crate::MinRegisterRef) | one value that only grows, or only shrinks | the greater, or the lesser, is read |
//! | [flag](crate::FlagRef) | on or off | enabling wins over disabling |
//! | [disable-wins flag](crate::DisableWinsFlagRef) | on or off | disabling wins over enabling |
//! | [counter](crate::CounterRef) | a number | both increments count |
//! | [bounded counter](crate::BoundedCounterRef) | a number that is never below its floor | all that had the rights to be done counts; what has not is refused where it is tried |
//! | [set](crate::SetRef) | distinct values | adding a value wins over removing it |
//! | [remove-wins set](crate::RemoveWinsSetRef) | distinct values | removing a value wins over adding it |
//! | [grow-only set](crate::GrowOnlySetRef) | distinct values, never removed | both additions count |
//! | [map](crate::MapRef) | keys with values and containers | putting survives removing; containers created under one key merge |
//! | [list](crate::ListRef) | elements in order | an element that both move is at one place; runs typed at one place stay whole |
//! | [text](crate::TextRef) | characters in order | both insertions stay, each whole; what is typed into a range that is deleted survives |
//!
//! What each costs, in live entries, which is all that a document keeps:
//!
//! | type | entries |
//! |---|---|
//! | register, max and min register | one, and one more for each concurrent write until the next write settles them |
//! | flag | one while it is on, none while it is off |
//! | disable-wins flag | one, **also while it is off**, once it was switched |
//! | counter | one for each replica that added something |
//! | bounded counter | one for each replica that added, subtracted or transferred something; each holds whom it gave rights to |
//! | set, grow-only set | one a member |
//! | remove-wins set | one a member, and **one for each value that was removed** |
//! | map | one a value, flag or container |
//! | list | one an element, one more if it was moved |
//! | text | none: characters are held as runs, some bytes each beside what is written; one for each range that is marked |
//!
//! Under a map key, registers and flags are plain entries; all others are containers, and cost one entry more for being there.
//!
//! The whole table, with the tests that hold each row, is in `core/README.md`, and in the documentation of the crate.
//!
//! For everything nested: removing a key or an element wins over edits inside of what was removed.
//!
//! `…Ref` types read and never create anything; a container that does not exist reads as empty. `…Mut` types edit inside a
//! [`Transaction`], and reaching into a container creates it.

mod bounded_counter;
mod counter;
mod cursor;
mod debug;
mod disable_wins_flag;
mod extreme_registers;
mod flag;
mod grow_only_set;
#[cfg(feature = "json")]
mod json;
mod list;
mod map;
mod marks;
mod register;
mod remove_wins_set;
#[cfg(feature = "serde")]
mod serialize;
mod set;
mod text;
mod text_diff;
mod untyped;

use alloc::vec::Vec;

pub use bounded_counter::{BoundedCounterMut, BoundedCounterRef};
pub use counter::{CounterMut, CounterRef};
pub use cursor::Cursor;
pub use disable_wins_flag::{DisableWinsFlagMut, DisableWinsFlagRef};
pub use extreme_registers::{MaxRegisterMut, MaxRegisterRef, MinRegisterMut, MinRegisterRef};
pub use flag::{FlagMut, FlagRef};
pub use grow_only_set::{GrowOnlySetMut, GrowOnlySetRef};
pub use list::{ListMut, ListRef};
pub use map::{MapMut, MapRef};
pub use marks::{Expand, TextSpan};
pub use register::{RegisterMut, RegisterRef};
pub use remove_wins_set::{RemoveWinsSetMut, RemoveWinsSetRef};
pub use set::{SetMut, SetRef};
pub use text::{TextMut, TextRef};

use crate::clock::LocalDot;
use crate::document::{
    Content, Document, DotsRef, EditError, KeyView, Path, PathStep, PlaceId, State, Target, Transaction, check_key,
};
use crate::fault::{self, Fault};
use crate::ordered::{Set, sort_by};
use crate::store::{EntryId, KeyId, Kind, LocalContainer, LocalSlot, Payload};
use crate::string::Str;
use crate::value::Value;

/// A container of any kind, to read: what is met on a walk ([`Document::nodes`], [`MapRef::iter`], [`ListRef::iter`]) and at a
/// [`Path`] ([`Document::at`]).
#[derive(Clone, Copy)]
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
    /// A text.
    Text(TextRef<'d>),
    /// A max register.
    MaxRegister(MaxRegisterRef<'d>),
    /// A min register.
    MinRegister(MinRegisterRef<'d>),
    /// A disable-wins flag.
    DisableWinsFlag(DisableWinsFlagRef<'d>),
    /// A remove-wins set.
    RemoveWinsSet(RemoveWinsSetRef<'d>),
    /// A grow-only set.
    GrowOnlySet(GrowOnlySetRef<'d>),
    /// A bounded counter.
    BoundedCounter(BoundedCounterRef<'d>),
}

/// A container of any kind, to edit: what [`Transaction::at`] finds at a [`Path`].
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
    /// A text.
    Text(TextMut<'t, 'd>),
    /// A max register.
    MaxRegister(MaxRegisterMut<'t, 'd>),
    /// A min register.
    MinRegister(MinRegisterMut<'t, 'd>),
    /// A disable-wins flag.
    DisableWinsFlag(DisableWinsFlagMut<'t, 'd>),
    /// A remove-wins set.
    RemoveWinsSet(RemoveWinsSetMut<'t, 'd>),
    /// A grow-only set.
    GrowOnlySet(GrowOnlySetMut<'t, 'd>),
    /// A bounded counter.
    BoundedCounter(BoundedCounterMut<'t, 'd>),
}

/// A place to read; absent if nothing was ever created there.
#[derive(Clone, Copy)]
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
    fn replace(
        &mut self,
        observed: &[EntryId],
        // One copy serves every type: it is not what bulk edits take, which replace one entry or none.
        slot: &dyn Fn(&mut State) -> LocalSlot,
        kind: Kind,
        payload: Payload,
    ) -> Result<(), EditError> {
        if observed.is_empty() {
            let container = self.tx.lowest(self.place)?;
            self.tx.has_room(1)?;
            let slot = slot(&mut self.tx.document.state);
            return self.tx.add(Target { container, slot }, kind, false, payload).map(drop);
        }
        let state = &self.tx.document().state;
        // A root is its only incarnation, and is never removed.
        let mut into: Option<LocalContainer> = None;
        let mut more: Set<LocalDot> = Set::new();
        for id in observed {
            let container = state.store.live(*id).container();
            if let Some(entity) = container.as_entity()
                && into != Some(container)
            {
                match into {
                    None => into = Some(container),
                    Some(_) => _ = more.insert(entity),
                }
            }
        }
        if into.is_none() || fault::active(Fault::PutIntoLowestOnly) {
            into = Some(self.tx.lowest(self.place)?);
            more.clear();
        }
        self.tx.has_room(1 + more.len())?;
        for id in observed {
            let stamp = self.read().state().store.live(*id).hlc;
            if !fault::active(Fault::PutLosesToLaterStamp) || self.tx.hlc() >= stamp {
                self.tx.remove(*id);
            }
        }
        let mut more = more.iter();
        while let Some(container) = into {
            let slot = slot(&mut self.tx.document.state);
            self.tx.add(Target { container, slot }, kind, false, payload.clone())?;
            into = more.next().map(|entity| LocalContainer::entity(*entity));
        }
        Ok(())
    }

    /// Whether one observed entry, as there almost always is, can be overwritten where it is.
    fn in_place(&self) -> bool {
        !fault::active(Fault::PutIntoLowestOnly) && !fault::active(Fault::PutLosesToLaterStamp)
    }

    /// The container of a kind under a key, created in the lowest incarnation if there is none.
    fn child(&mut self, key: &str, kind: Kind) -> Result<PlaceId, EditError> {
        self.child_or_new(key, kind, creation(kind))
    }

    fn child_or_new(&mut self, key: &str, kind: Kind, payload: Payload) -> Result<PlaceId, EditError> {
        check_key(key)?;
        let at = self.read();
        let id = at.key_id(key);
        if let Some(child) = id.and_then(|id| at.under(id)).and_then(|slot| slot.child(kind)) {
            return Ok(child);
        }
        self.tx.check_depth(self.place)?;
        if fault::active(Fault::ReachingRemoves) {
            for value in self.read().key(key).map_or(Vec::new(), |slot| slot.registers().to_vec()) {
                self.tx.remove(value);
            }
        }
        let container = self.tx.lowest(self.place)?;
        self.tx.has_room(1)?;
        let state = &mut self.tx.document.state;
        let slot = LocalSlot::Key(state.acquire_key(id, key));
        let dot = self.tx.add(Target { container, slot }, kind, true, payload)?;
        self.tx.document().state.entity(dot).ok_or(EditError::Gone)
    }
}

/// What the creation of a container holds, if nothing else is said: of a bounded counter the floor.
fn creation(kind: Kind) -> Payload {
    if kind == Kind::BOUNDED_COUNTER { Payload::Value(Value::Int(0)) } else { Payload::Empty }
}

impl<'d> At<'d> {
    fn key(self, key: &str) -> Option<KeyView<'d>> {
        self.under(self.key_id(key)?)
    }

    fn key_id(self, key: &str) -> Option<KeyId> {
        self.state().keys.find(self.state().seed, key)
    }

    fn under(self, key: KeyId) -> Option<KeyView<'d>> {
        let Some(Content::Map(index)) = self.content() else { return None };
        index.get(key, &self.state().store)
    }

    /// Every entry seen under a key.
    fn observed(self, view: KeyView<'_>) -> Vec<EntryId> {
        let mut observed = Vec::new();
        view.registers().append_to(&mut observed);
        if !fault::active(Fault::RemoveLeavesFlags) {
            view.flags().append_to(&mut observed);
        }
        for (_, child) in view.children() {
            if fault::active(Fault::RemoveLeavesContainers) {
                break;
            }
            for entity in self.state().view.place(child).incarnations.iter() {
                observed.push(entity);
                if fault::active(Fault::RemovesOneIncarnation) {
                    break;
                }
            }
        }
        observed
    }
}

impl State {
    /// Takes the values of concurrent writes, the winner first. Entries that one delta wrote into several incarnations count once.
    fn each_value<'s>(&'s self, dots: DotsRef<'_>, take: &mut dyn FnMut(&'s Value)) {
        let mut ids = dots.to_vec();
        sort_by(&mut ids, |a, b| self.by_stamp(*b, *a));
        let mut last = None;
        for id in ids {
            let delta = Some((self.store.dot(id).origin(), self.store.live(id).hlc));
            if (delta != last || fault::active(Fault::ValuesShowCopies))
                && let Some(value) = self.value_of(id)
            {
                take(value);
            }
            last = delta;
        }
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
        text, TEXT, TextRef, "text";
        max_register, MAX_REGISTER, MaxRegisterRef, "max register";
        min_register, MIN_REGISTER, MinRegisterRef, "min register";
        disable_wins_flag, DISABLE_WINS_FLAG, DisableWinsFlagRef, "disable-wins flag";
        remove_wins_set, REMOVE_WINS_SET, RemoveWinsSetRef, "remove-wins set";
        grow_only_set, GROW_ONLY_SET, GrowOnlySetRef, "grow-only set";
        bounded_counter, BOUNDED_COUNTER, BoundedCounterRef, "bounded counter";
    }

    /// The roots that hold something, by name, then by kind. Marks alone are nothing: a flag that is off, a set whose members are all
    /// gone. O(1) a root, O(values) of a remove-wins set.
    pub fn roots(&self) -> impl Iterator<Item = (&str, Kind)> + '_ {
        self.filled_roots().map(|(name, kind, _)| (name, kind))
    }

    fn filled_roots(&self) -> impl Iterator<Item = (&str, Kind, PlaceId)> + '_ {
        let roots = self.state.view.roots().filter(|(_, kind, place)| self.holds(*place, *kind));
        roots.map(|(name, kind, place)| (name.as_ref(), kind, place))
    }

    /// Whether a container shows anything.
    fn holds(&self, place: PlaceId, kind: Kind) -> bool {
        match &self.state.view.place(place).content {
            Content::Set(members) if kind == Kind::REMOVE_WINS_SET => {
                members.iter(&self.state.store).any(|(_, dots)| self.state.all_are(dots, Kind::MEMBER))
            }
            Content::Unit(dots) if kind == Kind::DISABLE_WINS_FLAG => self.state.all_are(dots.view(), Kind::FLAG),
            Content::Map(keys) => keys.len() > 0,
            Content::Set(members) => members.len() > 0,
            Content::Counter(totals) => !totals.dots.is_empty(),
            Content::Unit(dots) => !dots.is_empty(),
            Content::List(_) => self.state.order(place).len() > 0,
            Content::Text(_) => self.state.rope(place).is_some_and(|rope| !rope.is_empty()),
            Content::Unknown => false,
        }
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
                Kind::REGISTER => NodeRef::Register(RegisterRef::of(self, slot.registers(), None)),
                _ => NodeRef::Flag(FlagRef::of(slot.flags())),
            });
        }
        if let PathStep::Element(id) = last {
            return ListRef::at(at).node(*id);
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
            // In a bare element there is nothing to step into.
            PathStep::Element(id) => self.state().entity_at(ListRef::at(self).element(*id)?)?,
        };
        Some(At { document: self.document, place: Some(place) })
    }
}

impl<'d> NodeRef<'d> {
    /// A live element of a list.
    fn element(document: &'d Document, id: EntryId) -> Option<Self> {
        match document.state.store.live(id).kind {
            Kind::REGISTER => Some(Self::Register(RegisterRef::element(document, id))),
            kind => Self::of(kind, At { document, place: Some(document.state.entity_at(id)?) }),
        }
    }

    fn of(kind: Kind, at: At<'d>) -> Option<Self> {
        Some(match kind {
            Kind::REGISTER => Self::Register(RegisterRef::at(at)),
            Kind::FLAG => Self::Flag(FlagRef::at(at)),
            Kind::COUNTER => Self::Counter(CounterRef::at(at)),
            Kind::SET => Self::Set(SetRef::at(at)),
            Kind::MAP => Self::Map(MapRef::at(at)),
            Kind::LIST => Self::List(ListRef::at(at)),
            Kind::TEXT => Self::Text(TextRef::at(at)),
            Kind::MAX_REGISTER => Self::MaxRegister(MaxRegisterRef::at(at)),
            Kind::MIN_REGISTER => Self::MinRegister(MinRegisterRef::at(at)),
            Kind::DISABLE_WINS_FLAG => Self::DisableWinsFlag(DisableWinsFlagRef::at(at)),
            Kind::REMOVE_WINS_SET => Self::RemoveWinsSet(RemoveWinsSetRef::at(at)),
            Kind::GROW_ONLY_SET => Self::GrowOnlySet(GrowOnlySetRef::at(at)),
            Kind::BOUNDED_COUNTER => Self::BoundedCounter(BoundedCounterRef::at(at)),
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
            Self::Text(_) => Kind::TEXT,
            Self::MaxRegister(_) => Kind::MAX_REGISTER,
            Self::MinRegister(_) => Kind::MIN_REGISTER,
            Self::DisableWinsFlag(_) => Kind::DISABLE_WINS_FLAG,
            Self::RemoveWinsSet(_) => Kind::REMOVE_WINS_SET,
            Self::GrowOnlySet(_) => Kind::GROW_ONLY_SET,
            Self::BoundedCounter(_) => Kind::BOUNDED_COUNTER,
        }
    }
}

macro_rules! root_editors {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The root ", $what, " of this name, to edit.")]
        /// O(log n).
        ///
        /// # Errors
        /// [`EditError::KeyTooLong`] when the name is.
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
        text, TEXT, TextMut, "text";
        max_register, MAX_REGISTER, MaxRegisterMut, "max register";
        min_register, MIN_REGISTER, MinRegisterMut, "min register";
        disable_wins_flag, DISABLE_WINS_FLAG, DisableWinsFlagMut, "disable-wins flag";
        remove_wins_set, REMOVE_WINS_SET, RemoveWinsSetMut, "remove-wins set";
        grow_only_set, GROW_ONLY_SET, GrowOnlySetMut, "grow-only set";
        bounded_counter, BOUNDED_COUNTER, BoundedCounterMut, "bounded counter";
    }

    fn root_place(&mut self, name: &str, kind: Kind) -> Result<PlaceId, EditError> {
        check_key(name)?;
        let view = &mut self.document.state.view;
        let number = view.root_or_new(&Str::from(name), kind);
        Ok(view.root_place(number))
    }

    /// The container at `path`, to edit; containers under keys on the way are created where they do not exist.
    /// O(steps · log n).
    ///
    /// # Errors
    /// [`EditError::NoSuchElement`] when a list element on the way does not exist, [`EditError::WrongKind`] when something on the way
    /// is of another kind, [`EditError::Gone`] when the path does not begin at a root, and the errors of creating
    /// ([`MapMut::map`]).
    ///
    /// ```
    /// # use weftline::{Document, EditError, Kind, NodeMut, Path, PathStep, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// let settings = Path::root("user", Kind::MAP).join(PathStep::Key { key: "settings".into(), kind: Kind::MAP });
    /// doc.transact(Timestamp(1), |tx| match tx.at(&settings)? {
    ///     NodeMut::Map(mut map) => map.put("theme", "dark"),
    ///     _ => unreachable!("the path says that it is a map"),
    /// })?;
    /// assert_eq!(doc.map("user").map("settings").get_as("theme"), Some("dark"));
    /// # Ok::<(), EditError>(())
    /// ```
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
                PathStep::Element(id) => {
                    let list = ListRef::at(At { document: self.document, place: Some(place) });
                    let element = list.element(*id).and_then(|element| self.document.state.open_element(element));
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
            Kind::TEXT => NodeMut::Text(TextMut::at(at)),
            Kind::MAX_REGISTER => NodeMut::MaxRegister(MaxRegisterMut::at(at)),
            Kind::MIN_REGISTER => NodeMut::MinRegister(MinRegisterMut::at(at)),
            Kind::DISABLE_WINS_FLAG => NodeMut::DisableWinsFlag(DisableWinsFlagMut::at(at)),
            Kind::REMOVE_WINS_SET => NodeMut::RemoveWinsSet(RemoveWinsSetMut::at(at)),
            Kind::GROW_ONLY_SET => NodeMut::GrowOnlySet(GrowOnlySetMut::at(at)),
            Kind::BOUNDED_COUNTER => NodeMut::BoundedCounter(BoundedCounterMut::at(at)),
            found => return Err(EditError::WrongKind { expected: Kind::MAP, found }),
        })
    }
}
