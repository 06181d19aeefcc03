//! Faults that the tests turn on, one at a time, to show that they would be noticed. Outside of tests none is ever on.
#![cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "public with the feature `testing`"))]

/// A mistake an implementation could make. Named after what it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A delta that only removes takes no dot (against DOT-2).
    RemovalTakesNoDot,
    /// A delta is applied before what it depends on (against CAUSAL-2).
    NoDependencyCheck,
    /// Two histories under one id are not told apart, so that a copied document may keep its id (against DOT-1).
    NoChainCheck,
    /// A full diff leaves the receiver's horizon where it was (against DIFF-4).
    FullKeepsHorizon,
    /// A diff of the digest tier leaves the receiver's horizon where it was (against DIFF-4).
    DigestKeepsHorizon,
    /// A diff of the digest tier tells only what died of its maker's own dots (against DIFF-5).
    DigestOnlyOwnDeaths,
    /// A diff of the digest tier is applied by replicas that do not cover the digest's version (against DIFF-1).
    DigestIgnoresAhead,
    /// The version tier is served to a peer below the horizon (against DIFF-2).
    VersionTierBelowHorizon,
    /// Removal pairs are left out where the peer has not seen the removed dot (against DIFF-3).
    PairsOnlyForKnownDots,
    /// A diff is applied whatever its base (against DIFF-1).
    NoBaseCheck,
    /// The subtree of a removed entity stays (against ENT-1).
    NoCascade,
    /// A put writes only into the lowest incarnation.
    PutIntoLowestOnly,
    /// A counter's total is overwritten wherever it is, and written into the lowest incarnation.
    CounterMovesTotals,
    /// A max or min register reads what was written last.
    ExtremeByStamp,
    /// A disable-wins flag, or a value of a remove-wins set, is there although it was also taken away.
    MarksIgnored,
    /// Disabling a disable-wins flag only removes what enabled it.
    DisableLeavesNoMark,
    /// Removing from a remove-wins set only removes the additions.
    RemoveLeavesNoMark,
    /// Adding a member of a grow-only set again writes it again.
    GrowOnlyAddsAgain,
    /// Whoever subtracts may use everybody's rights (against ESC-2).
    RightsOfAll,
    /// Rights that were given away are kept as well (against ESC-2).
    GivenRightsKept,
    /// Rights are used up in the first incarnation that has any, whatever it has (against ESC-2).
    RightsSpentAtOnce,
    /// A replica's rights are overwritten wherever they are, and written into another incarnation (against ESC-3).
    RightsMoveIncarnations,
    /// The floors of several incarnations are added up.
    FloorsAdd,
    /// A diff inserts what was known and has died here (resurrection).
    DiffResurrects,
    /// The application is not told that an element moved, or that a value changed.
    ChangeNotTold,
    /// A delta's removal is not noted in the log (against REM-2).
    RemovalNotLogged,
    /// An undo takes away a container although another replica wrote into it.
    UndoRemovesForeign,
    /// What was undone and comes back under fresh dots is not found by the steps that named it before.
    UndoForgetsNames,
    /// Undoing a removal brings back what was removed, but nothing inside.
    UndoRestoresTopOnly,
    /// A write that was overwritten elsewhere is undone all the same: what it had replaced comes back.
    UndoResurrects,
    /// A list element comes back at the end, wherever it was.
    UndoForgetsPlace,
    /// Undoing an increment takes back what the others added, too.
    UndoTakesForeignTotals,
    /// An own delta is sent, and claimed, before it is durable (against DUR-1).
    SendBeforeDurable,
    /// An own delta and its slot are written without waiting for the disk (against DUR-1).
    WriteRelaxed,
    /// What was loaded is claimed before it is known to be durable (against DUR-3).
    NoProof,
    /// A delta leaves the outbox when it is sent (against ACK-3).
    EmptyOutboxOnSend,
    /// What a relay lost is not given back (against ACK-5).
    NeverRefill,
    /// A refill is made although an own delta is not durable (against DIFF-7).
    RefillPart,
    /// Rows that stay unready are waited for (against CUR-3).
    NeverRepair,
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

#[cfg(not(any(test, feature = "testing")))]
#[inline]
pub(crate) const fn active(_: Fault) -> bool {
    false
}

#[cfg(any(test, feature = "testing"))]
pub(crate) use switch::active;
#[cfg(any(test, feature = "testing"))]
pub use switch::with_fault;

#[cfg(any(test, feature = "testing"))]
mod switch {
    extern crate std;

    use core::cell::Cell;

    use super::Fault;

    std::thread_local! {
        static ACTIVE: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub(crate) fn active(fault: Fault) -> bool {
        ACTIVE.get() == Some(fault)
    }

    /// Runs `body` with `fault` on, in this thread.
    pub fn with_fault<R>(fault: Option<Fault>, body: impl FnOnce() -> R) -> R {
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
