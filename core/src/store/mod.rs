//! The live entries by dot, and the log of removals.
//!
//! Entries lie in a slab and are known by their place in it; [`windows`] finds them by dot, ascending by (replica number,
//! seq), so what one replica wrote beyond a version is one range scan. The entries inside an entity are linked to one
//! another, so that its death finds its subtree.
//!
//! Not here: what the entries mean to a reader; that is the view in `crate::document`.

mod container;
mod entry;
mod hash;
mod keys;
mod live;
mod removals;
mod table;
mod text_run;
mod windows;

use alloc::vec::Vec;
use core::ops::RangeInclusive;

pub use container::Container;
pub(crate) use container::LocalContainer;
pub(crate) use entry::{ContainerRef, EntryRef, PayloadRef, SlotRef};
pub use entry::{Entry, Kind, Payload, Rights, Slot};
pub(crate) use hash::{TextKeys, beacon_share, text_keys, text_share};
pub(crate) use keys::{KeyId, Keys};
pub(crate) use live::{Live, LocalSlot, LocalSlotRef};
pub use removals::RemovalRun;
pub(crate) use removals::{LocalRun, Removals};
pub(crate) use table::Table;
pub use text_run::TextRun;
pub(crate) use windows::Range as LiveDots;
use windows::Windows;

use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::replica_id::Origin;
use crate::value::Value;

/// Where an entry lies in the store. It stays there while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(pub(crate) u32);

/// Appends to a list that stays: it grows by a quarter of what is in it, so that little of it is empty.
pub(crate) fn push_tight<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() && list.len() >= 64 {
        list.reserve_exact(list.len() / 4);
    }
    list.push(item);
}

/// No entry, no place.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Node {
    /// [`LocalDot::ROOT`] if nothing lies here.
    dot: LocalDot,
    live: Live,
    /// Its neighbours in the same entity; of a free node, the next free one.
    next: u32,
    before: u32,
}

/// Every live dot with what it is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// All but the last are of [`Self::CHUNK`] nodes, so that growing moves at most one of them.
    chunks: Vec<Vec<Node>>,
    /// The first free node.
    free: u32,
    len: usize,
    live_bytes: usize,
    windows: Windows,
}

impl Default for Store {
    fn default() -> Self {
        let windows = Windows::default();
        Self { chunks: Vec::new(), free: NONE, len: 0, live_bytes: 0, windows }
    }
}

impl Store {
    const CHUNK: usize = 64;

    /// How many entries live.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// About how many bytes they take.
    pub(crate) fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    fn node(&self, id: EntryId) -> &Node {
        let at = id.0 as usize;
        &self.chunks[at / Self::CHUNK][at % Self::CHUNK]
    }

    fn node_mut(&mut self, id: EntryId) -> &mut Node {
        let at = id.0 as usize;
        &mut self.chunks[at / Self::CHUNK][at % Self::CHUNK]
    }

    /// Where a dot lies, if it lives. O(log n).
    pub(crate) fn find(&self, dot: LocalDot) -> Option<EntryId> {
        self.windows.find(dot)
    }

    /// What a dot is bound to, if it lives. O(log n).
    pub(crate) fn get(&self, dot: LocalDot) -> Option<&Live> {
        self.find(dot).map(|id| self.live(id))
    }

    /// The entry at a place.
    pub(crate) fn live(&self, id: EntryId) -> &Live {
        &self.node(id).live
    }

    pub(crate) fn live_mut(&mut self, id: EntryId) -> &mut Live {
        &mut self.node_mut(id).live
    }

    /// The dot of the entry at a place.
    pub(crate) fn dot(&self, id: EntryId) -> LocalDot {
        self.node(id).dot
    }

    /// Whether a dot lies at a place where it once was put.
    pub(crate) fn lies_at(&self, id: EntryId, dot: LocalDot) -> bool {
        let at = id.0 as usize;
        let node = self.chunks.get(at / Self::CHUNK).and_then(|chunk| chunk.get(at % Self::CHUNK));
        node.is_some_and(|node| node.dot == dot)
    }

    /// Adds a dot. O(log n).
    pub(crate) fn insert(&mut self, dot: LocalDot, live: Live) -> EntryId {
        self.len += 1;
        self.live_bytes += live.byte_len();
        let node = Node { dot, live, next: NONE, before: NONE };
        let id = if self.free == NONE {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == Self::CHUNK) {
                // A small document has a small first chunk, a large one whole ones.
                let room = if self.chunks.is_empty() { 4 } else { Self::CHUNK };
                self.chunks.push(Vec::with_capacity(room));
            }
            let last = self.chunks.len() - 1;
            let chunk = &mut self.chunks[last];
            chunk.push(node);
            EntryId((last * Self::CHUNK + chunk.len() - 1) as u32)
        } else {
            let id = EntryId(self.free);
            let place = self.node_mut(id);
            let next = core::mem::replace(place, node).next;
            self.free = next;
            id
        };
        self.windows.insert(dot, id);
        id
    }

    /// Takes an entry out, which must be linked no more. O(log n).
    pub(crate) fn remove(&mut self, id: EntryId) -> Live {
        self.windows.remove(self.dot(id));
        self.len -= 1;
        let free = self.free;
        let node = self.node_mut(id);
        let live = core::mem::replace(&mut node.live, Live::nothing());
        (node.dot, node.next) = (LocalDot::ROOT, free);
        self.free = id.0;
        self.live_bytes -= live.byte_len();
        if self.len == 0 && self.chunks.len() > 1 {
            // Whatever was here left holes only.
            self.chunks = Vec::new();
            self.free = NONE;
        }
        live
    }

    /// Binds another dot to what lies at a place, and gives what lay there. Both are linked in the same entity. O(log n).
    pub(crate) fn overwrite(&mut self, id: EntryId, dot: LocalDot, live: Live) -> (LocalDot, Live) {
        let (came, node) = (live.byte_len(), self.node_mut(id));
        let old = (core::mem::replace(&mut node.dot, dot), core::mem::replace(&mut node.live, live));
        self.live_bytes = self.live_bytes + came - old.1.byte_len();
        self.windows.rename(old.0, dot, id);
        old
    }

    /// Gives every member another hash.
    pub(crate) fn rehash(&mut self, hash: impl Fn(&Value) -> u32) {
        for node in self.chunks.iter_mut().flatten() {
            node.live.rehash(&hash);
        }
    }

    /// Changes what an entry holds.
    pub(crate) fn update(&mut self, id: EntryId, change: impl FnOnce(&mut Live)) {
        let live = self.live_mut(id);
        let before = live.byte_len();
        change(live);
        let after = live.byte_len();
        self.live_bytes = self.live_bytes - before + after;
    }

    /// The live dots of `origin` in a range of sequence numbers, ascending. O(log n + found).
    pub(crate) fn range(&self, origin: Origin, seqs: RangeInclusive<u64>) -> impl Iterator<Item = (LocalDot, &Live)> {
        self.ids(origin, seqs).map(|(dot, id)| (dot, self.live(id)))
    }

    /// The same, with their places instead of themselves.
    pub(crate) fn ids(&self, origin: Origin, seqs: RangeInclusive<u64>) -> LiveDots<'_> {
        self.windows.range(origin, seqs)
    }

    // ---- the entries inside an entity ----

    /// Puts an entry in front of the list that begins at `head`.
    pub(crate) fn link(&mut self, head: &mut u32, id: EntryId) {
        let next = core::mem::replace(head, id.0);
        self.node_mut(id).next = next;
        if next != NONE {
            self.node_mut(EntryId(next)).before = id.0;
        }
    }

    /// Takes an entry out of the list that begins at `head`.
    pub(crate) fn unlink(&mut self, head: &mut u32, id: EntryId) {
        let node = self.node_mut(id);
        let (next, before) = (node.next, node.before);
        (node.next, node.before) = (NONE, NONE);
        if next != NONE {
            self.node_mut(EntryId(next)).before = before;
        }
        if before == NONE {
            *head = next;
        } else {
            self.node_mut(EntryId(before)).next = if fault::active(Fault::TailUnlinked) { NONE } else { next };
        }
    }

    /// Appends the entries of the list that begins at `head`.
    pub(crate) fn append_list(&self, head: u32, all: &mut Vec<EntryId>) {
        let mut at = head;
        while at != NONE {
            all.push(EntryId(at));
            at = self.node(EntryId(at)).next;
        }
    }
}
