//! What is overwritten: a plain entry whose slot and incarnation another one takes, under another dot.
//!
//! That is what most edits of what is there do: a key is put again, a member added again, a total counted on. To remove the one
//! and to add the other would take it out of every index and put it back in. Here the entry stays where it lies, so that
//! whatever finds it goes on finding it, and only what tells the two apart is changed: the dot, the stamp and what it holds.
//!
//! Rules: DOT-1 the dot is another one. REM-1 callers log the old one's removal, or [`State::joined_overwrite`] does.

use super::state::{Dead, State};
use super::view::{Content, PlaceId};
use super::winner::amount;
use crate::clock::{Dot, Hlc, LocalDot};
use crate::delta::DeltaParts;
use crate::fault::{self, Fault};
use crate::replica_id::Origin;
use crate::store::{EntryId, Kind, LocalSlotRef, Payload, Slot, SlotRef};

impl State {
    /// Overwrites a plain entry with one of its kind, under a dot that the version does not cover yet. Gives what was there.
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
        self.beacon_loses(old.0, &old.1);
        self.beacon_comes();
        if let Content::Counter(totals) = &mut self.view.place_mut(place).content {
            totals.sum.0 -= if fault::active(Fault::SumKeepsDead) { 0 } else { amount(&old.1) };
            totals.sum.0 += amount(self.store.live(id));
        }
        old
    }

    /// Joins a delta that does nothing but overwrite one value or total that lives here; says whether it is one. What it does is
    /// what removing the one and adding the other does. O(log n).
    pub(super) fn joined_overwrite(&mut self, origin: Origin, parts: &DeltaParts) -> bool {
        let ([(seq, entry)], 1) = (&*parts.adds, parts.removes.run_count()) else { return false };
        if !parts.bunches.is_empty() || !parts.text.is_empty() {
            return false;
        }
        let Some((replica, first, last)) = parts.removes.runs().next() else { return false };
        let old = self.origins.local(Dot::new(replica, last)).filter(|_| first == last);
        let Some((removed, id)) = old.and_then(|old| Some((old, self.store.find(old)?))) else { return false };
        let live = self.store.live(id);
        let plain = !entry.entity && matches!(entry.kind, Kind::REGISTER | Kind::TOTAL);
        if !plain || live.entity || live.kind != entry.kind || self.is_owned_by_another(id, LocalDot::new(origin, *seq))
        {
            return false;
        }
        let there = self.entry_ref(live);
        let same_slot = match (&entry.slot, there.slot) {
            (Slot::Key(key), SlotRef::Key(known)) => key.as_str() == known,
            (Slot::Unit, SlotRef::Unit) | (Slot::Owner, SlotRef::Owner) => true,
            _ => false,
        };
        if !same_slot || there.container != (&entry.container).into() {
            return false;
        }
        let Some(place) = self.container(live.container()) else { return false };
        // What is hidden in a counter was never counted.
        let own = self.view.place(place);
        let owner = matches!(entry.slot, Slot::Owner);
        if matches!(own.content, Content::Counter(_)) && !(owner && own.kind.shows(entry.kind)) {
            return false;
        }
        let dot = LocalDot::new(origin, *seq);
        let (_, old) = self.overwrite(place, id, dot, entry.payload.clone(), parts.hlc);
        self.discard(old);
        self.removals.log(LocalDot::new(origin, parts.last_seq()), removed, 1, false);
        true
    }
}
