//! Maps: keys with values, flags and containers.
//!
//! Under a key there can be a register (what `put` writes), a flag, and a container of each kind; concurrent creations of
//! containers of one kind under one key are shown merged. `put` replaces all that it has seen under the key, of every kind.
//! `remove` takes all of that away. What either has not seen survives.

use alloc::vec::Vec;

use super::{
    At, AtMut, BoundedCounterMut, BoundedCounterRef, CounterMut, CounterRef, DisableWinsFlagMut, DisableWinsFlagRef,
    FlagMut, FlagRef, GrowOnlySetMut, GrowOnlySetRef, ListMut, ListRef, MaxRegisterMut, MaxRegisterRef, MinRegisterMut,
    MinRegisterRef, RegisterMut, RegisterRef, RemoveWinsSetMut, RemoveWinsSetRef, SetMut, SetRef, TextMut, TextRef,
};
use crate::document::{Content, Document, DotsRef, EditError, KeyIndex, KeyView, State, check_key};
use crate::fault::{self, Fault};
use crate::ordered::{retain, sort_by};
use crate::store::{KeyId, Kind, LocalSlot, Payload};
use crate::string::Str;
use crate::value::Value;

/// A map, to read: what is under its keys. Whatever does not exist reads as empty.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| {
///     let mut todo = tx.map("todo")?;
///     todo.put("title", "buy milk")?;
///     todo.map("origin")?.put("shop", "corner")?;
///     todo.counter("votes")?.add(2)
/// })?;
/// let todo = doc.map("todo");
/// assert!(todo.keys().eq(["origin", "title", "votes"]));
/// assert_eq!(todo.get("title"), Some("buy milk".into()));
/// assert_eq!(todo.map("origin").get_as("shop"), Some("corner"));
/// assert_eq!(todo.counter("no such key").value(), 0);
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Copy)]
pub struct MapRef<'d> {
    at: At<'d>,
}

macro_rules! child_readers {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, " under `key`; empty if there is none. O(log n).")]
        pub fn $name(&self, key: &str) -> $type<'d> {
            let place = self.at.key(key).and_then(|slot| slot.child(Kind::$kind));
            $type::at(At { document: self.at.document, place })
        }
    )*};
}

impl<'d> MapRef<'d> {
    pub(super) fn at(at: At<'d>) -> Self {
        Self { at }
    }

    child_readers! {
        map, MAP, MapRef, "map";
        list, LIST, ListRef, "list";
        text, TEXT, TextRef, "text";
        set, SET, SetRef, "set";
        counter, COUNTER, CounterRef, "counter";
        max_register, MAX_REGISTER, MaxRegisterRef, "max register";
        min_register, MIN_REGISTER, MinRegisterRef, "min register";
        disable_wins_flag, DISABLE_WINS_FLAG, DisableWinsFlagRef, "disable-wins flag";
        remove_wins_set, REMOVE_WINS_SET, RemoveWinsSetRef, "remove-wins set";
        grow_only_set, GROW_ONLY_SET, GrowOnlySetRef, "grow-only set";
        bounded_counter, BOUNDED_COUNTER, BoundedCounterRef, "bounded counter";
    }

    /// The register under `key`. O(log n).
    pub fn register(&self, key: &str) -> RegisterRef<'d> {
        RegisterRef::of(self.at.document, self.at.key(key).map_or(DotsRef::None, KeyView::registers), None)
    }

    /// The flag under `key`. O(log n).
    pub fn flag(&self, key: &str) -> FlagRef<'d> {
        FlagRef::of(self.at.key(key).map_or(DotsRef::None, KeyView::flags))
    }

    /// The value that was put under `key`. O(log n).
    pub fn get(&self, key: &str) -> Option<Value> {
        self.register(key).get()
    }

    /// The value that was put under `key`, borrowed. O(log n).
    pub fn get_ref(&self, key: &str) -> Option<&'d Value> {
        self.register(key).get_ref()
    }

    /// The value that was put under `key`, as a Rust type. Nothing if there is none, or if it is of another type; see
    /// [`RegisterRef::get_as`]. O(log n).
    ///
    /// ```
    /// # use weftline::{Document, EditError, ReplicaId, Timestamp};
    /// # let mut doc = Document::with_writer(ReplicaId::from(1));
    /// doc.transact(Timestamp(1), |tx| tx.map("todo")?.put("title", "buy milk"))?;
    /// let todo = doc.map("todo");
    /// assert_eq!(todo.get_as("title"), Some("buy milk"));
    /// assert_eq!(todo.get_as::<i64>("title"), None); // there, but no number
    /// assert_eq!(todo.get_as("done").unwrap_or(false), false);
    /// # Ok::<(), EditError>(())
    /// ```
    pub fn get_as<T: TryFrom<&'d Value>>(&self, key: &str) -> Option<T> {
        self.register(key).get_as()
    }

    /// The values that were put under `key` concurrently, the winner first; see [`RegisterRef::values`]. O(log n).
    pub fn values(&self, key: &str) -> Vec<Value> {
        self.register(key).values()
    }

    /// The values that were put under `key` concurrently, borrowed, the winner first. O(log n).
    pub fn values_ref(&self, key: &str) -> Vec<&'d Value> {
        self.register(key).values_ref()
    }

    /// Whether there is anything under `key`. O(log n).
    pub fn contains(&self, key: &str) -> bool {
        self.at.key(key).is_some()
    }

    /// What kinds of things are under `key`, in a fixed order. More than one is the work of concurrent edits, or of
    /// containers created beside a value. O(log n).
    pub fn kinds(&self, key: &str) -> Vec<Kind> {
        let mut kinds = Vec::new();
        let Some(slot) = self.at.key(key) else { return kinds };
        if !slot.registers().is_empty() {
            kinds.push(Kind::REGISTER);
        }
        if !slot.flags().is_empty() {
            kinds.push(Kind::FLAG);
        }
        for (kind, _) in slot.children() {
            kinds.push(kind);
        }
        kinds
    }

    /// The keys under which there is something, ascending by their bytes. O(n log n), to sort them.
    pub fn keys(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        self.slots().map(|(key, _)| key)
    }

    /// Every key in order, with what is under it: all iteration over maps begins here.
    pub(super) fn slots(&self) -> impl Iterator<Item = (&'d str, KeyView<'d>)> + use<'d> {
        let state = self.at.state();
        let index = if let Some(Content::Map(index)) = self.at.content() { Some(index) } else { None };
        let text = |key: KeyId| state.keys.text(key).as_str();
        // How a key begins tells most of them apart; the others are compared in full.
        let mut sorted: Vec<(u64, KeyId, u32)> = Vec::with_capacity(index.map_or(0, KeyIndex::len));
        if let Some(index) = index {
            for (key, number) in index.iter() {
                sorted.push((beginning(text(key)), key, number));
            }
        }
        sort_by(&mut sorted, |a, b| a.0.cmp(&b.0).then_with(|| text(a.1).cmp(text(b.1))));
        let view = move |(_, key, number)| Some((state.keys.text(key).as_str(), index?.view(number, &state.store)));
        sorted.into_iter().filter_map(view)
    }

    pub(super) fn slot(&self, key: &str) -> Option<KeyView<'d>> {
        self.at.key(key)
    }

    pub(super) fn document(&self) -> &'d Document {
        self.at.document
    }

    /// How many keys there are. O(1).
    pub fn len(&self) -> usize {
        if let Some(Content::Map(keys)) = self.at.content() { keys.len() } else { 0 }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The first eight bytes of a text as a number; zeros behind a shorter one. Of two texts with unequal ones the lesser has the
/// lesser one.
fn beginning(text: &str) -> u64 {
    match text.as_bytes().first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => text.bytes().rev().fold(0, |number, byte| number >> 8 | u64::from(byte) << 56),
    }
}

/// A map, to edit. Reaching into a container under a key creates it where there is none, and replicas that create one apart have
/// one: nobody needs to set up a document first.
///
/// ```
/// # use weftline::{Document, EditError, ReplicaId, Timestamp};
/// # let mut doc = Document::with_writer(ReplicaId::from(1));
/// doc.transact(Timestamp(1), |tx| {
///     let mut todo = tx.map("todo")?;
///     todo.list("tags")?.push("home")?; // creates the list
///     todo.put("tags", "none")?; // replaces it, with all that is in it
///     todo.remove("tags") // and this takes the value away
/// })?;
/// assert!(!doc.map("todo").contains("tags"));
/// # Ok::<(), EditError>(())
/// ```
#[derive(Debug)]
pub struct MapMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

macro_rules! child_editors {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, " under `key`, created if there is none. Removes nothing. O(log n).")]
        ///
        /// # Errors
        /// [`EditError::KeyTooLong`], [`EditError::TooDeep`] when containers would nest too deep, [`EditError::TooLarge`] when the
        /// transaction is full.
        pub fn $name(&mut self, key: &str) -> Result<$type<'_, 'd>, EditError> {
            let place = self.at.child(key, Kind::$kind)?;
            Ok($type::at(self.at.reborrow(place)))
        }
    )*};
}

impl<'t, 'd> MapMut<'t, 'd> {
    pub(super) fn at(at: AtMut<'t, 'd>) -> Self {
        Self { at }
    }

    child_editors! {
        map, MAP, MapMut, "map";
        list, LIST, ListMut, "list";
        text, TEXT, TextMut, "text";
        set, SET, SetMut, "set";
        counter, COUNTER, CounterMut, "counter";
        max_register, MAX_REGISTER, MaxRegisterMut, "max register";
        min_register, MIN_REGISTER, MinRegisterMut, "min register";
        disable_wins_flag, DISABLE_WINS_FLAG, DisableWinsFlagMut, "disable-wins flag";
        remove_wins_set, REMOVE_WINS_SET, RemoveWinsSetMut, "remove-wins set";
        grow_only_set, GROW_ONLY_SET, GrowOnlySetMut, "grow-only set";
        bounded_counter, BOUNDED_COUNTER, BoundedCounterMut, "bounded counter";
    }

    /// The bounded counter under `key`, created with this floor if there is none; one that is there keeps its own. Removes
    /// nothing. O(log n).
    ///
    /// # Errors
    /// When the key is too long, or containers would nest too deep.
    pub fn bounded_counter_above(&mut self, key: &str, floor: i64) -> Result<BoundedCounterMut<'_, 'd>, EditError> {
        let place = self.at.child_or_new(key, Kind::BOUNDED_COUNTER, Payload::Value(floor.into()))?;
        Ok(BoundedCounterMut::at(self.at.reborrow(place)))
    }

    /// The map as it is now, to read.
    pub fn read(&self) -> MapRef<'_> {
        MapRef::at(self.at.read())
    }

    /// The register under `key`, to set. Creates nothing.
    ///
    /// # Errors
    /// [`EditError::KeyTooLong`].
    pub fn register(&mut self, key: &str) -> Result<RegisterMut<'_, 'd>, EditError> {
        check_key(key)?;
        Ok(RegisterMut::under(self.at.reborrow(self.at.place), key.into()))
    }

    /// The flag under `key`, to switch. Creates nothing.
    ///
    /// # Errors
    /// [`EditError::KeyTooLong`].
    pub fn flag(&mut self, key: &str) -> Result<FlagMut<'_, 'd>, EditError> {
        check_key(key)?;
        Ok(FlagMut::under(self.at.reborrow(self.at.place), key.into()))
    }

    /// Puts a value under `key`, in place of all that is seen there, of every kind. O(log n) and what is replaced.
    ///
    /// # Errors
    /// [`EditError::KeyTooLong`], or [`EditError::TooLarge`] when the transaction is full.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) -> Result<(), EditError> {
        check_key(key)?;
        let at = self.at.read();
        let id = at.key_id(key);
        let view = id.and_then(|id| at.under(id));
        let lone = view.and_then(|view| view.registers().lone().filter(|_| view.is_lone()));
        if let Some(own) = lone.filter(|own| self.at.tx.is_own(*own)) {
            // This transaction put what is there: it never was anything else.
            self.at.tx.put_again(own, value.into());
            return Ok(());
        }
        if let Some(lone) = lone.filter(|_| self.at.in_place()) {
            return self.at.tx.overwrite(self.at.place, lone, Payload::Value(value.into())).map(drop);
        }
        let mut observed = view.map_or(Vec::new(), |view| at.observed(view));
        if fault::active(Fault::PutLeavesContainers) {
            retain(&mut observed, |id| !at.state().store.live(*id).entity);
        }
        let slot = |state: &mut State| LocalSlot::Key(state.acquire_key(id, key));
        self.at.replace(&observed, &slot, Kind::REGISTER, Payload::Value(value.into()))
    }

    /// Removes all that is seen under `key`, with everything inside, and says whether there was anything. O(log n) and what dies, and
    /// one dot for each thing under the key, however much is inside.
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn remove(&mut self, key: &str) -> Result<bool, EditError> {
        let at = self.at.read();
        let observed = at.key(key).map_or(Vec::new(), |view| at.observed(view));
        for id in &observed {
            self.at.tx.remove(*id);
        }
        Ok(!observed.is_empty())
    }

    /// Removes all that is seen under every key; what is put or created concurrently stays. O(what dies · log n).
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let mut keys = Vec::new();
        for key in self.read().keys() {
            keys.push(Str::from(key));
        }
        for key in &keys {
            self.remove(key)?;
        }
        Ok(())
    }

    /// Turns on the flag under `key`; see [`FlagMut::enable`]. O(log n).
    ///
    /// # Errors
    /// [`EditError::KeyTooLong`], or [`EditError::TooLarge`] when the transaction is full.
    pub fn enable(&mut self, key: &str) -> Result<(), EditError> {
        self.flag(key)?.enable()
    }

    /// Turns off the flag under `key`; see [`FlagMut::disable`]. O(log n).
    ///
    /// # Errors
    /// [`EditError::KeyTooLong`].
    pub fn disable(&mut self, key: &str) -> Result<(), EditError> {
        self.flag(key)?.disable()
    }
}
