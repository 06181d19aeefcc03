//! What is overwritten: a plain entry whose slot and incarnation another one takes, under another dot.
//!
//! That is what most edits of what is there do: a key is put again, a member added again, a total counted on. To remove the one
//! and to add the other would take it out of every index and put it back in. Here the entry stays where it lies, so that
//! whatever finds it goes on finding it, and only what tells the two apart is changed: the dot, the stamp and what it holds.
//!
//! Rules: DOT-1 the dot is another one. REM-1 callers log the old one's removal.

use super::state::{Dead, State};
use super::view::{Content, PlaceId};
use super::winner::amount;
use crate::clock::{Hlc, LocalDot};
use crate::fault::{self, Fault};
use crate::store::{EntryId, LocalSlotRef, Payload};

impl State {
    /// Overwrites a plain entry that counts in the beacon with one of its kind, which does not yet. Gives what was there.
    /// O(log n).
    pub(super) fn overwrite(&mut self, place: PlaceId, id: EntryId, dot: LocalDot, payload: Payload, hlc: Hlc) -> Dead {
        self.note_going(place, id);
        let known = self.store.live(id);
        debug_assert!(!known.entity, "what is inside would be in something else");
        if let LocalSlotRef::Key(key) = known.slot() {
            self.keys.acquire_again(key);
        }
        let live = known.again(payload, hlc);
        let old = self.store.overwrite(id, dot, live);
        if !fault::active(Fault::BeaconCountsDead) {
            let share = self.share(old.0, &old.1);
            self.store.beacon = self.store.beacon.wrapping_sub(share);
        }
        if let Content::Counter(totals) = &mut self.view.place_mut(place).content {
            totals.sum.0 -= if fault::active(Fault::SumKeepsDead) { 0 } else { amount(&old.1) };
            totals.sum.0 += amount(self.store.live(id));
        }
        old
    }
}
