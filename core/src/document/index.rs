//! What a map has under its keys, and a set's members: by hash, so that finding one costs the same however many there are.
//!
//! Under most keys there is one plain entry, or one container that was created once, and most members live by one entry. Those
//! are in the table itself; a slot of its own is made only for what is more than that. Nothing shows in which order a table has them: whoever lists them sorts.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::dots::{Dots, DotsRef};
use super::view::PlaceId;
use crate::fault::{self, Fault};
use crate::store::{EntryId, KeyId, Kind, LocalSlotRef, Store, Table, push_tight};
use crate::value::Value;

/// What is in a table: an entry, or, marked by the highest bit, the number of a slot.
const SLOT: u32 = 1 << 31;

/// Slots by number, which are given again when they are free. Most tables have none.
#[derive(Clone, Debug)]
struct Slots<T>(Option<Box<SlotList<T>>>);

#[derive(Clone, Debug)]
struct SlotList<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default> Slots<T> {
    fn list(&mut self) -> &mut SlotList<T> {
        self.0.get_or_insert_with(|| Box::new(SlotList { slots: Vec::new(), free: Vec::new() }))
    }

    fn add(&mut self, slot: T) -> u32 {
        let list = self.list();
        if let Some(number) = list.free.pop() {
            list.slots[number as usize] = slot;
            return number | SLOT;
        }
        push_tight(&mut list.slots, slot);
        (list.slots.len() as u32 - 1) | SLOT
    }

    fn get(&self, number: u32) -> &T {
        let list = self.0.as_ref().expect("a slot that has a number is in the list");
        &list.slots[(number & !SLOT) as usize]
    }

    fn get_mut(&mut self, number: u32) -> &mut T {
        &mut self.list().slots[(number & !SLOT) as usize]
    }

    fn free(&mut self, number: u32) {
        *self.get_mut(number) = T::default();
        let list = self.list();
        list.free.push(number & !SLOT);
        if list.free.len() == list.slots.len() {
            *self = Self::default();
        }
    }
}

/// What is under one key of a map.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySlot {
    registers: Dots,
    flags: Dots,
    /// Nested containers, by kind.
    children: Vec<(Kind, PlaceId)>,
}

impl KeySlot {
    fn is_empty(&self) -> bool {
        self.registers.is_empty() && self.flags.is_empty() && self.children.is_empty()
    }

    fn of_kind(&mut self, kind: Kind) -> &mut Dots {
        if kind == Kind::FLAG { &mut self.flags } else { &mut self.registers }
    }
}

/// What is under one key, to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyView<'d> {
    /// One plain entry: a register's or a flag's.
    Lone(EntryId, Kind),
    /// One nested container, which was created once.
    Child((Kind, PlaceId)),
    Slot(&'d KeySlot),
}

impl<'d> KeyView<'d> {
    fn plain(self, kind: Kind) -> DotsRef<'d> {
        match self {
            Self::Lone(id, found) if found == kind => DotsRef::One(id),
            Self::Lone(..) | Self::Child(_) => DotsRef::None,
            Self::Slot(slot) if kind == Kind::FLAG => slot.flags.view(),
            Self::Slot(slot) => slot.registers.view(),
        }
    }

    /// Whether there is one plain entry and nothing else.
    pub(crate) fn is_lone(self) -> bool {
        matches!(self, Self::Lone(..))
    }

    pub(crate) fn registers(self) -> DotsRef<'d> {
        self.plain(Kind::REGISTER)
    }

    pub(crate) fn flags(self) -> DotsRef<'d> {
        self.plain(Kind::FLAG)
    }

    /// The nested containers, by kind.
    pub(crate) fn children(self) -> impl Iterator<Item = (Kind, PlaceId)> + use<'d> {
        let (lone, others) = match self {
            Self::Lone(..) => (None, &[][..]),
            Self::Child(child) => (Some(child), &[][..]),
            Self::Slot(slot) => (None, &slot.children[..]),
        };
        lone.into_iter().chain(others.iter().copied())
    }

    pub(crate) fn child(self, kind: Kind) -> Option<PlaceId> {
        self.children().find(|child| child.0 == kind).map(|child| child.1)
    }
}

/// The keys of a map.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyIndex {
    table: Table,
    slots: Slots<KeySlot>,
}

impl KeyIndex {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Makes room for so many more keys.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.table.reserve(more);
    }

    fn find(&self, key: KeyId) -> Option<u32> {
        // The hash of a key is its own.
        self.table.find(key.hash(), |_| true)
    }

    /// What a number of the table stands for.
    pub(crate) fn view(&self, number: u32, store: &Store) -> KeyView<'_> {
        if number & SLOT != 0 {
            return KeyView::Slot(self.slots.get(number));
        }
        let live = store.live(EntryId(number));
        if live.entity {
            KeyView::Child((live.kind, PlaceId(live.place)))
        } else {
            KeyView::Lone(EntryId(number), live.kind)
        }
    }

    /// What is under a key. O(1).
    pub(crate) fn get(&self, key: KeyId, store: &Store) -> Option<KeyView<'_>> {
        self.find(key).map(|number| self.view(number, store))
    }

    /// Every key with the number of what is under it, in an order that means nothing. Looks at nothing but the table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyId, u32)> {
        self.table.hashed().map(|(hash, number)| (KeyId::of(hash), number))
    }

    /// The slot of a key, made if there is none.
    fn slot(&mut self, key: KeyId, store: &Store) -> &mut KeySlot {
        let number = match self.find(key) {
            Some(number) if number & SLOT != 0 => number,
            found => {
                let mut slot = KeySlot::default();
                if let Some(lone) = found.filter(|_| !fault::active(Fault::LoneForgotten)) {
                    match self.view(lone, store) {
                        KeyView::Child(child) => slot.children.push(child),
                        _ => slot.of_kind(store.live(EntryId(lone)).kind).add(EntryId(lone)),
                    }
                }
                let number = self.slots.add(slot);
                match found {
                    Some(lone) => self.table.replace(key.hash(), lone, number),
                    None => self.table.insert(key.hash(), number),
                }
                number
            }
        };
        self.slots.get_mut(number)
    }

    /// Adds a register's or a flag's entry.
    pub(crate) fn add(&mut self, key: KeyId, id: EntryId, kind: Kind, store: &Store) {
        // The hash of a key is its own.
        if self.table.find_or_insert(key.hash(), id.0, |_| true).is_some() {
            self.slot(key, store).of_kind(kind).add(id);
        }
    }

    /// Takes a register's or a flag's entry away, and the key with the last.
    pub(crate) fn remove(&mut self, key: KeyId, id: EntryId, kind: Kind) {
        let Some(number) = self.find(key) else { return };
        if number & SLOT == 0 {
            self.table.remove(key.hash(), id.0);
            return;
        }
        self.slots.get_mut(number).of_kind(kind).remove(id);
        self.close(key, number);
    }

    /// Adds a nested container, which the entry `id` creates.
    pub(crate) fn add_child(&mut self, key: KeyId, (kind, child): (Kind, PlaceId), id: EntryId, store: &Store) {
        if self.table.find_or_insert(key.hash(), id.0, |_| true).is_none() {
            return;
        }
        let children = &mut self.slot(key, store).children;
        let at = children.iter().position(|other| other.0 > kind).unwrap_or(children.len());
        children.insert(at, (kind, child));
    }

    /// A nested container was created again: it is no longer known by the entry that created it.
    pub(crate) fn spread(&mut self, key: KeyId, store: &Store) {
        self.slot(key, store);
    }

    /// Takes a nested container away, and the key with the last.
    pub(crate) fn remove_child(&mut self, key: KeyId, kind: Kind) {
        let Some(number) = self.find(key) else { return };
        if number & SLOT == 0 {
            self.table.remove(key.hash(), number);
            return;
        }
        let children = &mut self.slots.get_mut(number).children;
        if let Some(at) = children.iter().position(|child| child.0 == kind) {
            children.remove(at);
        }
        self.close(key, number);
    }

    fn close(&mut self, key: KeyId, number: u32) {
        if self.slots.get(number).is_empty() && !fault::active(Fault::EmptyKeysStay) {
            self.table.remove(key.hash(), number);
            self.slots.free(number);
        }
    }
}

/// The members of a set.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberIndex {
    table: Table,
    slots: Slots<Dots>,
}

impl MemberIndex {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Makes room for so many more members.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.table.reserve(more);
    }

    fn any(&self, number: u32) -> EntryId {
        any(&self.slots, number)
    }

    fn find(&self, hash: u32, member: &Value, store: &Store) -> Option<u32> {
        self.table.find(hash, |number| member_of(store, self.any(number)) == Some(member))
    }

    fn view(&self, number: u32) -> DotsRef<'_> {
        if number & SLOT == 0 { DotsRef::One(EntryId(number)) } else { self.slots.get(number).view() }
    }

    /// The entries by which a value is a member. O(1).
    pub(crate) fn get(&self, hash: u32, member: &Value, store: &Store) -> DotsRef<'_> {
        self.find(hash, member, store).map_or(DotsRef::None, |number| self.view(number))
    }

    /// Every member with its entries, in an order that means nothing.
    pub(crate) fn iter<'d>(&'d self, store: &'d Store) -> impl Iterator<Item = (&'d Value, DotsRef<'d>)> {
        self.table.iter().filter_map(|number| Some((member_of(store, self.any(number))?, self.view(number))))
    }

    /// Adds an entry, which is in the store.
    pub(crate) fn add(&mut self, hash: u32, id: EntryId, store: &Store) {
        let Some(member) = member_of(store, id) else { return };
        let slots = &self.slots;
        let is_it = |number| member_of(store, any(slots, number)) == Some(member);
        match self.table.find_or_insert(hash, id.0, is_it) {
            None => {}
            Some(number) if number & SLOT != 0 => self.slots.get_mut(number).add(id),
            Some(lone) => {
                let forgets = fault::active(Fault::LoneMemberForgotten);
                let mut dots = if forgets { Dots::None } else { Dots::One(EntryId(lone)) };
                dots.add(id);
                let number = self.slots.add(dots);
                self.table.replace(hash, lone, number);
            }
        }
    }

    /// Takes an entry away, which is in the store still.
    pub(crate) fn remove(&mut self, hash: u32, id: EntryId, store: &Store) {
        if self.table.remove(hash, id.0) {
            return;
        }
        let found = member_of(store, id).and_then(|member| self.find(hash, member, store));
        let Some(number) = found.filter(|number| number & SLOT != 0) else { return };
        if fault::active(Fault::RemovalHidesUnseen) {
            self.table.remove(hash, number);
            return;
        }
        let dots = self.slots.get_mut(number);
        dots.remove(id);
        if let Some(last) = dots.view().lone() {
            if !fault::active(Fault::SlotGivenTwice) {
                self.table.replace(hash, number, last.0);
            }
            self.slots.free(number);
        }
    }
}

/// The entry whose member stands for all that `number` stands for.
fn any(slots: &Slots<Dots>, number: u32) -> EntryId {
    if number & SLOT == 0 {
        return EntryId(number);
    }
    slots.get(number).view().iter().next().expect("a slot without entries is given up")
}

/// The member that an entry stands for.
pub(crate) fn member_of(store: &Store, id: EntryId) -> Option<&Value> {
    if let LocalSlotRef::Member(_, member) = store.live(id).slot() { Some(member) } else { None }
}

impl MemberIndex {
    /// Spreads the members by the hashes that they have now.
    pub(crate) fn reseed(&mut self, store: &Store) {
        let old = core::mem::take(&mut self.table);
        for number in old.iter() {
            if let LocalSlotRef::Member(hash, _) = store.live(self.any(number)).slot() {
                self.table.insert(hash, number);
            }
        }
    }
}
