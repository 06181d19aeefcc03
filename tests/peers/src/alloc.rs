//! An allocator that counts, for the heap a document takes.
//!
//! It counts per thread, in plain cells: no library here allocates on a thread of its own, and an atomic in every allocation would slow down
//! those that allocate much. Requested bytes are counted, not what the system's allocator rounds them up to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
pub struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// What a stretch of work left allocated, and the most that it had allocated at once, both beyond what was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Allocated during the work and not freed by its end.
    pub live: usize,
    /// At the highest moment.
    pub peak: usize,
}

/// Runs `work` and counts.
pub fn count<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    let above = |bytes: isize| usize::try_from(bytes - before).unwrap_or(0);
    (result, Heap { live: above(LIVE.get()), peak: above(PEAK.get()) })
}

fn add(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    if live > PEAK.get() {
        PEAK.set(live);
    }
}

#[allow(unsafe_code)]
// SAFETY: every call goes to `System` with the arguments as they came; the cells are constant-initialised and need no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: `block` came from `System` with this layout, since all allocations go there.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: `block` came from `System` with this layout, since all allocations go there.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    // What nobody looks at is never allocated by an optimised build.

    #[test]
    fn what_is_kept_is_live_and_what_was_freed_is_in_the_peak() {
        let (kept, heap) = count(|| {
            drop(black_box(Vec::<u8>::with_capacity(10_000)));
            black_box(Vec::<u8>::with_capacity(1_000))
        });
        assert_eq!(kept.capacity(), 1_000);
        assert_eq!(heap, Heap { live: 1_000, peak: 10_000 });
    }

    #[test]
    fn a_vector_that_grows_is_counted_once() {
        let (kept, heap) = count(|| black_box((0..4_096u64).collect::<Vec<_>>()).into_boxed_slice());
        assert_eq!((kept.len(), heap.live), (4_096, 8 * 4_096));
    }
}
