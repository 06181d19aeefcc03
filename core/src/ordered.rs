//! Ordered maps and sets, and a sort, that cost little code.
//!
//! Every kind of `BTreeMap` costs a web page about 8 kB of wasm and every kind of `sort` about 7 kB: together they were half
//! of the module. These do the same with a list of sorted chunks. Finding is two binary searches; inserting and removing
//! move at most one chunk's entries and, once in many times, the list of chunks. Iteration is ascending, so what is
//! iterated or encoded is the same everywhere. Nothing here hashes, so nobody can flood it.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::ops::{Bound, RangeBounds};

/// Entries in a chunk: few enough to move cheaply, many enough that the list of chunks stays short.
const CHUNK: usize = 64;

/// A map in the order of its keys.
#[derive(Clone)]
pub(crate) struct Map<K, V> {
    /// None is empty, none is longer than [`CHUNK`].
    chunks: Vec<Vec<(K, V)>>,
    len: usize,
}

/// A place in a map: which chunk, and where in it. The end is `(number of chunks, 0)`.
type Place = (usize, usize);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Map<K, V> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        Iter { chunks: &self.chunks, front: (0, 0), back: (self.chunks.len(), 0) }
    }

    /// The entries themselves.
    pub(crate) fn pairs(&self) -> Pairs<'_, K, V> {
        Pairs(self.iter())
    }

    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.chunks.iter_mut().flatten().map(|(key, value)| (&*key, value))
    }

    /// The entry with the greatest key. O(1).
    pub(crate) fn last_mut(&mut self) -> Option<(&K, &mut V)> {
        let (key, value) = self.chunks.last_mut()?.last_mut()?;
        Some((key, value))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.len = 0;
        for chunk in &mut self.chunks {
            retain(chunk, |(key, value)| keep(key, value));
            self.len += chunk.len();
        }
        retain(&mut self.chunks, |chunk| !chunk.is_empty());
    }

    fn take(&mut self, (chunk, at): Place) -> (K, V) {
        let entry = self.chunks[chunk].remove(at);
        self.len -= 1;
        let left = self.chunks[chunk].len();
        if left == 0 {
            self.chunks.remove(chunk);
        } else if left < CHUNK / 4 && chunk > 0 && self.chunks[chunk - 1].len() + left <= CHUNK / 2 {
            // Few are left here: they join their neighbours, so that a map that shrank is not a list of small chunks.
            let mut rest = self.chunks.remove(chunk);
            self.chunks[chunk - 1].append(&mut rest);
        }
        entry
    }
}

impl<K: Ord, V> Map<K, V> {
    #[cfg_attr(not(target_family = "wasm"), inline)]
    fn locate<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        if cfg!(target_family = "wasm") {
            return self.locate_any(key);
        }
        let before = self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key);
        let Some(chunk) = before.checked_sub(1) else { return Err((0, 0)) };
        match self.chunks[chunk].binary_search_by(|entry| entry.0.borrow().cmp(key)) {
            Ok(at) => Ok((chunk, at)),
            Err(at) => Err((chunk, at)),
        }
    }

    /// The same through the copy of the search that serves every type in a web page.
    fn locate_any<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let len = |chunk: usize| self.chunks[chunk].len();
        search(self.chunks.len(), &len, &mut |(chunk, at)| self.chunks[chunk][at].0.borrow().cmp(key))
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<&(K, V)> {
        self.chunks.last()?.last()
    }

    /// The last entry. A caller that changes its key leaves it the last.
    pub(crate) fn last_entry_mut(&mut self) -> Option<&mut (K, V)> {
        self.chunks.last_mut()?.last_mut()
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.locate(key).is_ok()
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (chunk, at) = self.locate(key).ok()?;
        Some(&self.chunks[chunk][at].1)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (chunk, at) = self.locate(key).ok()?;
        Some(&mut self.chunks[chunk][at].1)
    }

    /// Sets the value of `key`.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.locate(&key) {
            Ok((chunk, at)) => self.chunks[chunk][at].1 = value,
            Err(place) => _ = self.put(place, (key, value)),
        }
    }

    /// Sets the value of `key`, unless it has one; says whether it had none.
    pub(crate) fn insert_new(&mut self, key: K, value: V) -> bool {
        let place = self.locate(&key);
        if let Err(place) = place {
            self.put(place, (key, value));
        }
        place.is_err()
    }

    /// Gives the entry of a key another one, which has the same place among all others.
    pub(crate) fn rename(&mut self, old: &K, new: K) {
        if let Ok((chunk, at)) = self.locate(old) {
            self.chunks[chunk][at].0 = new;
        }
    }

    /// Sets the value of a key that comes after all others.
    pub(crate) fn append(&mut self, key: K, value: V) {
        debug_assert!(self.keys().next_back().is_none_or(|last| *last < key), "keys ascend");
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push((key, value)),
            last => {
                // Who has filled a chunk fills another.
                let mut chunk = Vec::with_capacity(if last.is_some() { CHUNK } else { 1 });
                chunk.push((key, value));
                self.chunks.push(chunk);
            }
        }
        self.len += 1;
    }

    /// The value of `key`, made now if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let (chunk, at) = match self.locate(&key) {
            Ok(place) => place,
            Err(place) => self.put(place, (key, make())),
        };
        &mut self.chunks[chunk][at].1
    }

    fn put(&mut self, (mut chunk, mut at): Place, entry: (K, V)) -> Place {
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        if self.chunks[chunk].len() == CHUNK {
            // Whoever appends goes on appending: then the full chunk stays full. Otherwise it gives half away.
            let keep = if at == CHUNK { CHUNK } else { CHUNK / 2 };
            let mut rest = self.chunks[chunk].split_off(keep);
            if at == CHUNK {
                rest.reserve_exact(CHUNK / 4);
            } else {
                self.chunks[chunk].shrink_to(CHUNK / 2 + CHUNK / 8);
            }
            self.chunks.insert(chunk + 1, rest);
            if at >= keep {
                at -= keep;
                chunk += 1;
            }
        }
        let entries = &mut self.chunks[chunk];
        if entries.len() == entries.capacity() && entries.len() >= CHUNK / 4 {
            // Not twice as much: a large map has many chunks.
            entries.reserve_exact(CHUNK / 8);
        }
        entries.insert(at, entry);
        (chunk, at)
    }

    pub(crate) fn remove_entry<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        self.locate(key).ok().map(|place| self.take(place))
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.locate(key).ok().map(|place| self.take(place).1)
    }

    /// The entries whose keys are in `range`. An empty or inverted range has none.
    pub(crate) fn range(&self, range: impl RangeBounds<K>) -> Iter<'_, K, V> {
        let place = |key: &K, after: bool| match self.locate(key) {
            Ok((chunk, at)) => self.normal((chunk, at + usize::from(after))),
            Err(place) => self.normal(place),
        };
        let front = match range.start_bound() {
            Bound::Included(key) => place(key, false),
            Bound::Excluded(key) => place(key, true),
            Bound::Unbounded => (0, 0),
        };
        let back = match range.end_bound() {
            Bound::Included(key) => place(key, true),
            Bound::Excluded(key) => place(key, false),
            Bound::Unbounded => (self.chunks.len(), 0),
        };
        Iter { chunks: &self.chunks, front, back: back.max(front) }
    }

    /// The end of a chunk is the start of the next.
    fn normal(&self, (chunk, at): Place) -> Place {
        match self.chunks.get(chunk) {
            Some(entries) if at >= entries.len() => (chunk + 1, 0),
            _ => (chunk, at),
        }
    }
}

/// Finds a place among chunks: first which chunk, by their first entries, then where in it. `compare` compares the entry at
/// a place with what is looked for. One copy of this serves every type.
#[inline(never)]
fn search(
    chunks: usize,
    len: &dyn Fn(usize) -> usize,
    compare: &mut dyn FnMut(Place) -> Ordering,
) -> Result<Place, Place> {
    // Whoever appends, or looks for what came last, is at the end.
    if let Some(last) = chunks.checked_sub(1) {
        let place = (last, len(last) - 1);
        match compare(place) {
            Ordering::Less => return Err((last, len(last))),
            Ordering::Equal => return Ok(place),
            Ordering::Greater => {}
        }
    }
    let (mut start, mut end) = (0, chunks);
    let mut chunk = None;
    loop {
        while start < end {
            let middle = start.midpoint(end);
            let place = chunk.map_or((middle, 0), |chunk| (chunk, middle));
            match compare(place) {
                Ordering::Less => start = middle + 1,
                Ordering::Equal => return Ok(place),
                Ordering::Greater => end = middle,
            }
        }
        match chunk {
            Some(chunk) => return Err((chunk, start)),
            None if start == 0 => return Err((0, 0)),
            None => {
                chunk = Some(start - 1);
                (start, end) = (1, len(start - 1));
            }
        }
    }
}

/// Entries in order.
pub(crate) struct Iter<'m, K, V> {
    chunks: &'m [Vec<(K, V)>],
    front: Place,
    back: Place,
}

impl<K, V> Default for Iter<'_, K, V> {
    fn default() -> Self {
        Self { chunks: &[], front: (0, 0), back: (0, 0) }
    }
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'m, K, V> Iterator for Iter<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        if self.front == self.back {
            return None;
        }
        let chunk = &self.chunks[self.front.0];
        let (key, value) = &chunk[self.front.1];
        self.front.1 += 1;
        if self.front.1 == chunk.len() {
            self.front = (self.front.0 + 1, 0);
        }
        Some((key, value))
    }
}

/// Entries in order, copied. A type of its own, so that its step exists once, whatever is done with them.
pub(crate) struct Pairs<'m, K, V>(Iter<'m, K, V>);

impl<K: Copy, V: Copy> Iterator for Pairs<'_, K, V> {
    type Item = (K, V);

    #[cfg_attr(target_family = "wasm", inline(never))]
    fn next(&mut self) -> Option<(K, V)> {
        self.0.next().map(|(key, value)| (*key, *value))
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front == self.back {
            return None;
        }
        if self.back.1 == 0 {
            self.back = (self.back.0 - 1, self.chunks[self.back.0 - 1].len());
        }
        self.back.1 -= 1;
        let (key, value) = &self.chunks[self.back.0][self.back.1];
        Some((key, value))
    }
}

impl<'m, K, V> IntoIterator for &'m Map<K, V> {
    type Item = (&'m K, &'m V);
    type IntoIter = Iter<'m, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = core::iter::Flatten<alloc::vec::IntoIter<Vec<(K, V)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flatten()
    }
}

impl<K: Ord, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A set in order.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Set<K>(Map<K, ()>);

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Set<K> {
    pub(crate) const fn new() -> Self {
        Self(Map::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.keys()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.0.retain(|key, ()| keep(key));
    }
}

impl<K: Ord> Set<K> {
    pub(crate) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Whether it is new.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        self.0.insert_new(key, ())
    }

    /// Puts another in the place of one, which has the same place among all others.
    pub(crate) fn rename(&mut self, old: &K, new: K) {
        self.0.rename(old, new);
    }

    /// Has this one and no other from now on. Takes no memory where it was one before.
    pub(crate) fn reset_to(&mut self, key: K) {
        if let (1, Some(Some(first))) = (self.len(), self.0.chunks.first_mut().map(|chunk| chunk.first_mut())) {
            first.0 = key;
        } else {
            self.clear();
            self.insert(key);
        }
    }

    /// Whether it was there.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).is_some()
    }

    pub(crate) fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = &K> {
        self.0.range(range).map(|(key, ())| key)
    }
}

impl<K> IntoIterator for Set<K> {
    type Item = K;
    type IntoIter = core::iter::Map<<Map<K, ()> as IntoIterator>::IntoIter, fn((K, ())) -> K>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(key, ())| key)
    }
}

impl<K: Ord> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Ord> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

impl<K: fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Numbers in groups, one group after the other.
pub(crate) struct Groups {
    /// Where each group begins, and at last where all end.
    starts: Vec<u32>,
    pub(crate) items: Vec<u32>,
}

impl Groups {
    /// Sorts items by their groups, each of which is below `groups`. Those of one group stay in their order. O(n).
    pub(crate) fn of(groups: usize, items: &[(u32, u32)]) -> Self {
        let mut starts = alloc::vec![0; groups + 1];
        for (_, group) in items {
            starts[*group as usize] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += core::mem::replace(start, sum);
        }
        let mut all = alloc::vec![0; items.len()];
        for (item, group) in items {
            let next = &mut starts[*group as usize];
            all[*next as usize] = *item;
            *next += 1;
        }
        // Each start has come to where its group ends, which is where the next one begins.
        starts.rotate_right(1);
        starts[0] = 0;
        Self { starts, items: all }
    }

    /// Where the items of a group are.
    pub(crate) fn bounds(&self, group: usize) -> (usize, usize) {
        (self.starts[group] as usize, self.starts[group + 1] as usize)
    }
}

/// Takes out the items that `keep` says no to; the others stay in their order. In a web page it is half of what the method of
/// lists is.
pub(crate) fn retain<T>(items: &mut Vec<T>, mut keep: impl FnMut(&mut T) -> bool) {
    if cfg!(not(target_family = "wasm")) {
        return items.retain_mut(keep);
    }
    retain_short(items, &mut keep);
}

#[inline]
fn retain_short<T>(items: &mut Vec<T>, keep: &mut impl FnMut(&mut T) -> bool) {
    let mut kept = 0;
    for at in 0..items.len() {
        if keep(&mut items[at]) {
            items.swap(kept, at);
            kept += 1;
        }
    }
    items.truncate(kept);
}

/// Sorts in place, O(n log n) whatever the order. Equal items may change places. In a web page it is a heap sort, which is
/// slower and much smaller.
pub(crate) fn sort_by<T>(items: &mut [T], compare: impl FnMut(&T, &T) -> Ordering) {
    if cfg!(target_family = "wasm") {
        heap_sort(items.len(), &mut Sorting { items, compare });
    } else {
        items.sort_unstable_by(compare);
    }
}

/// What a sort does with items, so that one copy of it serves all types.
trait Sortable {
    fn is_before(&mut self, a: usize, b: usize) -> bool;
    fn swap(&mut self, a: usize, b: usize);
}

struct Sorting<'i, T, F> {
    items: &'i mut [T],
    compare: F,
}

impl<T, F: FnMut(&T, &T) -> Ordering> Sortable for Sorting<'_, T, F> {
    fn is_before(&mut self, a: usize, b: usize) -> bool {
        (self.compare)(&self.items[a], &self.items[b]).is_lt()
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.items.swap(a, b);
    }
}

fn heap_sort(len: usize, items: &mut dyn Sortable) {
    let (mut heap, mut end) = (len / 2, len);
    loop {
        // First every item finds its place in the heap, from the middle up; then the greatest is put behind, one by one.
        let mut at = if heap > 0 {
            heap -= 1;
            heap
        } else if end > 1 {
            end -= 1;
            items.swap(0, end);
            0
        } else {
            return;
        };
        loop {
            let mut child = 2 * at + 1;
            if child >= end {
                break;
            }
            if child + 1 < end && items.is_before(child, child + 1) {
                child += 1;
            }
            if !items.is_before(at, child) {
                break;
            }
            items.swap(at, child);
            at = child;
        }
    }
}

/// Sorts in place by a key; see [`sort_by`].
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

#[cfg(test)]
mod tests;
