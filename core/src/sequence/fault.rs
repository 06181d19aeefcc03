//! Faults that the tests turn on, one at a time, to show that they would be noticed. Outside of tests none is ever on.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Bunches of other replicas are extended like own ones.
    ExtendsForeign,
    /// A bunch is extended to the right of an index below 0.
    ExtendsRightFromLeft,
    /// A bunch is extended to the left of an index above 0.
    ExtendsLeftFromRight,
    /// A new value always goes to the right of its left neighbour.
    AlwaysRightChild,
    /// What is deep becomes the sibling of an ancestor wherever that is.
    RerootsAnywhere,
    /// Left and right children compare alike.
    IgnoresSide,
    /// Right children of low indexes come first.
    RightZoneAscending,
    /// Siblings are ordered by the number a replica has here.
    SiblingsByNumber,
    /// Siblings are ordered by sequence number only.
    SiblingsBySeq,
    /// Foreign siblings are nearest to the parent.
    ForeignNearest,
    /// Ancestors without a value of their own do not count.
    SkipsEmptyAncestors,
    /// What has no value of its own is dropped, whatever hangs on it.
    DropsNeeded,
    /// Chains are bunches without their ancestors.
    ChainsWithoutAncestors,
}

#[cfg(not(test))]
#[inline]
pub(super) const fn active(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub(super) use switch::{active, with};

#[cfg(test)]
mod switch {
    use core::cell::Cell;

    use super::Fault;

    std::thread_local! {
        static ACTIVE: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub(in super::super) fn active(fault: Fault) -> bool {
        ACTIVE.get() == Some(fault)
    }

    /// Runs `body` with `fault` on, in this thread.
    pub(in super::super) fn with<R>(fault: Option<Fault>, body: impl FnOnce() -> R) -> R {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                ACTIVE.set(None);
            }
        }
        let _off = Off;
        ACTIVE.set(fault);
        body()
    }
}
