//! Maps: keys with values, flags and containers.
//!
//! Under a key there can be a register (what `put` writes), a flag, and a container of each kind; concurrent creations of
//! containers of one kind under one key are shown merged. `put` replaces all that it has seen under the key, of every kind.
//! `remove` takes all of that away. What either has not seen survives.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    At, AtMut, CounterMut, CounterRef, FlagMut, FlagRef, ListMut, ListRef, RegisterMut, RegisterRef, SetMut, SetRef,
};
use crate::clock::LocalDot;
use crate::document::{Content, Dots, EditError, KeySlot, check_key};
use crate::fault::{self, Fault};
use crate::ordered::Map;
use crate::store::{Kind, Payload, Slot};
use crate::value::Value;

/// A map, to read.
#[derive(Clone, Copy, Debug)]
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
        set, SET, SetRef, "set";
        counter, COUNTER, CounterRef, "counter";
    }

    /// The register under `key`. O(log n).
    pub fn register(&self, key: &str) -> RegisterRef<'d> {
        RegisterRef::of(self.at.document, self.at.key(key).map_or(&Dots::None, |slot| &slot.registers), None)
    }

    /// The flag under `key`. O(log n).
    pub fn flag(&self, key: &str) -> FlagRef<'d> {
        FlagRef::of(self.at.key(key).map_or(&Dots::None, |slot| &slot.flags))
    }

    /// The value that was put under `key`. O(log n).
    pub fn get(&self, key: &str) -> Option<Value> {
        self.register(key).get()
    }

    /// The values that were put under `key` concurrently, the winner first.
    pub fn values(&self, key: &str) -> Vec<Value> {
        self.register(key).values()
    }

    /// Whether there is anything under `key`. O(log n).
    pub fn contains(&self, key: &str) -> bool {
        self.at.key(key).is_some()
    }

    /// What kinds of things are under `key`, in a fixed order. More than one is the work of concurrent edits, or of
    /// containers created beside a value.
    pub fn kinds(&self, key: &str) -> Vec<Kind> {
        let mut kinds = Vec::new();
        let Some(slot) = self.at.key(key) else { return kinds };
        if !slot.registers.is_empty() {
            kinds.push(Kind::REGISTER);
        }
        if !slot.flags.is_empty() {
            kinds.push(Kind::FLAG);
        }
        for (kind, _) in &slot.children {
            kinds.push(*kind);
        }
        kinds
    }

    /// The keys under which there is something, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        const NONE: &Map<Arc<str>, KeySlot> = &Map::new();
        let keys = if let Some(Content::Map(keys)) = self.at.content() { keys } else { NONE };
        keys.keys().map(AsRef::as_ref)
    }

    /// How many keys there are. O(1).
    pub fn len(&self) -> usize {
        if let Some(Content::Map(keys)) = self.at.content() { keys.len() } else { 0 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A map, to edit.
#[derive(Debug)]
pub struct MapMut<'t, 'd> {
    at: AtMut<'t, 'd>,
}

macro_rules! child_editors {
    ($($name:ident, $kind:ident, $type:ident, $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, " under `key`, created if there is none. Removes nothing. O(log n).")]
        ///
        /// # Errors
        /// When the key is too long, or containers would nest too deep.
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
        set, SET, SetMut, "set";
        counter, COUNTER, CounterMut, "counter";
    }

    /// The map as it is now, to read.
    pub fn read(&self) -> MapRef<'_> {
        MapRef::at(self.at.read())
    }

    /// The register under `key`, to set.
    ///
    /// # Errors
    /// When the key is too long.
    pub fn register(&mut self, key: &str) -> Result<RegisterMut<'_, 'd>, EditError> {
        check_key(key)?;
        Ok(RegisterMut::under(self.at.reborrow(self.at.place), key.into()))
    }

    /// The flag under `key`, to switch.
    ///
    /// # Errors
    /// When the key is too long.
    pub fn flag(&mut self, key: &str) -> Result<FlagMut<'_, 'd>, EditError> {
        check_key(key)?;
        Ok(FlagMut::under(self.at.reborrow(self.at.place), key.into()))
    }

    /// Everything seen under `key`.
    fn observed(&self, key: &str) -> Vec<LocalDot> {
        let mut observed = Vec::new();
        let at = self.at.read();
        let Some(slot) = at.key(key) else { return observed };
        slot.registers.append_to(&mut observed);
        if !fault::active(Fault::RemoveLeavesFlags) {
            slot.flags.append_to(&mut observed);
        }
        for (_, child) in slot.children.iter().filter(|_| !fault::active(Fault::RemoveLeavesContainers)) {
            let before = observed.len();
            at.state().view.place(*child).incarnations.append_to(&mut observed);
            if fault::active(Fault::RemovesOneIncarnation) {
                observed.truncate(before + 1);
            }
        }
        observed
    }

    /// Puts a value under `key`, in place of all that is seen there. O(log n) and what is replaced.
    ///
    /// # Errors
    /// When the key is too long or the transaction is full.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) -> Result<(), EditError> {
        check_key(key)?;
        let mut observed = self.observed(key);
        if fault::active(Fault::PutLeavesContainers) {
            let state = self.at.read().state();
            observed.retain(|dot| state.view.entity(*dot).is_none());
        }
        self.at.replace(&observed, Slot::Key(key.into()), Kind::REGISTER, Payload::Value(value.into()))
    }

    /// Removes all that is seen under `key`, with everything inside, and says whether there was anything.
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn remove(&mut self, key: &str) -> Result<bool, EditError> {
        let observed = self.observed(key);
        for dot in &observed {
            self.at.tx.remove(*dot);
        }
        Ok(!observed.is_empty())
    }

    /// Removes all that is seen under every key.
    ///
    /// # Errors
    /// None yet; the signature leaves room for limits.
    pub fn clear(&mut self) -> Result<(), EditError> {
        let keys: Vec<alloc::string::String> = self.read().keys().map(Into::into).collect();
        for key in &keys {
            self.remove(key)?;
        }
        Ok(())
    }

    /// Turns on the flag under `key`.
    ///
    /// # Errors
    /// When the key is too long or the transaction is full.
    pub fn enable(&mut self, key: &str) -> Result<(), EditError> {
        self.flag(key)?.enable()
    }

    /// Turns off the flag under `key`.
    ///
    /// # Errors
    /// When the key is too long.
    pub fn disable(&mut self, key: &str) -> Result<(), EditError> {
        self.flag(key)?.disable()
    }
}
