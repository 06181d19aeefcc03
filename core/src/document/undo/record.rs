//! Steps: what one local transaction did, in a form that can be taken back later.
//!
//! What only that time can tell is noted at the end of the transaction: what replaced what, who had written it, and between
//! which neighbours the dead list elements were.

use alloc::vec::Vec;

use super::super::state::Dead;
use super::super::winner::amount;
use super::super::{Content, State};
use super::place::{Gap, Nook, order_of};
use super::text::{Dots, Fresh, KilledText, follow};
use crate::clock::{Hlc, LocalDot};
use crate::ordered::Set;
use crate::replica_id::Origin;
use crate::sequence::{LocalPosition, Stretch};
use crate::store::{EntryId, Kind, LocalContainer, Payload, Slot};
use crate::string::Str;
use crate::value::Value;

/// What a transaction did, as its journal tells it.
#[derive(Debug)]
pub(crate) struct Done<'t> {
    pub(crate) origin: Origin,
    pub(crate) first_seq: u64,
    pub(crate) next_seq: u64,
    /// What it added and left alive, in the order of the edits.
    pub(crate) added: &'t [(LocalDot, EntryId)],
    /// What it killed of what was there before, with what died inside, in any order.
    pub(crate) killed: &'t [Dead],
    /// The text that it killed of what was there before, each run in the order of its dots.
    pub(crate) text: &'t [(Stretch, Str)],
}

/// What a transaction did, net.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// What it added and left alive but for totals and rights, containers before their contents.
    pub(super) added: Vec<LocalDot>,
    /// What it killed, in any order.
    pub(super) killed: Vec<Killed>,
    /// What it typed and left alive.
    pub(super) typed: Vec<Dots>,
    /// The text that it killed, in order.
    pub(super) text: Vec<KilledText>,
    /// Elements that it moved and that go back to where they were created.
    pub(super) movers: Vec<Mover>,
    /// The first dot that was free after it.
    pub(super) end: Option<LocalDot>,
    /// Where in lists that still lived the killed positions were.
    pub(super) gaps: Vec<Gap>,
    /// What it added to counters.
    pub(super) amounts: Vec<Amount>,
    /// Sequence numbers by replica number after it, if it killed marks.
    pub(super) seen: Vec<u64>,
    /// About what it takes in memory.
    pub(super) bytes: usize,
}

/// An entry that died.
#[derive(Clone, Debug)]
pub(super) struct Killed {
    pub(super) dot: LocalDot,
    pub(super) container: LocalContainer,
    /// By name, since keys are given up when nothing lives under them.
    pub(super) slot: Slot,
    pub(super) kind: Kind,
    pub(super) entity: bool,
    pub(super) payload: Payload,
    pub(super) hlc: Hlc,
    /// Whether another replica wrote it, or what it is a copy of.
    pub(super) foreign: bool,
    /// What the transaction wrote in its stead.
    pub(super) replaced_by: Option<LocalDot>,
    /// For positions.
    pub(super) nook: Nook,
}

/// An element that was moved for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mover {
    pub(super) element: LocalDot,
    /// The move.
    pub(super) by: LocalDot,
    /// Where it was.
    pub(super) nook: Nook,
}

/// What was added to one counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    pub(super) container: LocalContainer,
    pub(super) net: i128,
    /// Whether nothing of this replica was in the counter before.
    pub(super) first: bool,
    /// Whether other replicas added some of it, which went with the counter.
    pub(super) foreign: bool,
}

impl Killed {
    pub(super) fn position(&self) -> Option<LocalPosition> {
        let Slot::Position { bunch, backward } = self.slot else { return None };
        LocalPosition::of(self.dot, bunch, backward)
    }
}

impl Step {
    pub(super) fn of(
        state: &State,
        done: Done<'_>,
        is_own: &dyn Fn(LocalDot) -> bool,
        is_foreign: &dyn Fn(&Stretch) -> bool,
    ) -> Self {
        let mut step = Self { end: Some(LocalDot::new(done.origin, done.next_seq)), ..Self::default() };
        for (dot, id) in done.added {
            let live = state.store.live(*id);
            if is_amount(live.kind) {
                let (container, net) = (live.container(), amount(live));
                step.amounts.push(Amount { container, net, first: true, foreign: false });
            } else {
                step.added.push(*dot);
            }
        }
        let made = |dot: LocalDot| dot.origin() == done.origin && dot.seq() >= done.first_seq;
        for (dot, live) in done.killed {
            let (dot, container, foreign) = (*dot, live.container(), !is_own(*dot));
            if is_amount(live.kind) {
                step.amounts.push(Amount { container, net: -amount(live), first: false, foreign });
                continue;
            }
            let entry = state.export(live);
            let mut replaced_by = None;
            for id in &state.in_slot(container, &entry.slot, live.kind) {
                let other = state.store.dot(*id);
                let alike = live.kind != Kind::MARK || state.is_key_of_both(live, state.store.live(*id));
                if made(other) && alike && state.store.live(*id).container() == container {
                    replaced_by = Some(other);
                }
            }
            if is_mark(live.kind) && step.seen.is_empty() {
                step.seen = state.seqs();
            }
            let (slot, payload, nook) = (entry.slot, entry.payload, Nook::default());
            let (kind, entity, hlc) = (live.kind, live.entity, live.hlc);
            step.killed.push(Killed { dot, container, slot, kind, entity, payload, hlc, foreign, replaced_by, nook });
        }
        step.add_up();
        step.find_movers(state, &made);
        step.gaps = super::place::find_gaps(state, &made, &mut step.killed, &mut step.movers);
        step.take_text(state, &done, is_foreign);
        step.bytes = step.weigh();
        step
    }

    fn find_movers(&mut self, state: &State, made: &dyn Fn(LocalDot) -> bool) {
        let mut moved = Set::new();
        for killed in &self.killed {
            if let (Kind::MOVE, Some(element)) = (killed.kind, killed.container.as_entity()) {
                moved.insert(element);
            }
        }
        for by in self.added.iter().copied() {
            let live = state.store.get(by).filter(|live| live.kind == Kind::MOVE);
            if let Some(element) = live.and_then(|live| live.container().as_entity())
                && !made(element)
                && !moved.contains(&element)
            {
                self.movers.push(Mover { element, by, nook: Nook::default() });
            }
        }
    }

    /// One amount a counter.
    fn add_up(&mut self) {
        let amounts = &self.amounts;
        let order = order_of(amounts.len(), &|a, b| amounts[a].container.cmp(&amounts[b].container));
        let mut sums: Vec<Amount> = Vec::new();
        for at in order {
            let amount = amounts[at as usize];
            match sums.last_mut().filter(|sum| sum.container == amount.container) {
                Some(sum) => {
                    sum.net += amount.net;
                    sum.first &= amount.first;
                    sum.foreign |= amount.foreign;
                }
                None => sums.push(amount),
            }
        }
        self.amounts = sums;
    }

    fn weigh(&self) -> usize {
        let mut bytes = size_of::<Self>() + self.added.len() * size_of::<LocalDot>();
        bytes += self.amounts.len() * size_of::<Amount>() + self.gaps.len() * size_of::<Gap>();
        bytes += self.movers.len() * size_of::<Mover>() + self.seen.len() * size_of::<u64>();
        bytes += self.typed.len() * size_of::<Dots>();
        for text in &self.text {
            bytes += text.bytes();
        }
        for killed in &self.killed {
            let slot = match &killed.slot {
                Slot::Key(key) => key.len(),
                Slot::Member(value) => value.byte_len(),
                _ => 0,
            };
            let payload = match &killed.payload {
                Payload::Value(value) => Value::byte_len(value),
                Payload::Opaque(bytes) => bytes.len(),
                _ => 0,
            };
            bytes += size_of::<Killed>() + slot + payload;
        }
        bytes
    }

    /// Names what came back by its fresh dots.
    pub(super) fn rename(&mut self, state: &State, fresh: &Fresh) {
        let rename = |dot: &mut LocalDot| *dot = newest(fresh, *dot);
        let within = |container: &mut LocalContainer| {
            if let Some(dot) = container.as_entity() {
                *container = LocalContainer::entity(newest(fresh, dot));
            }
        };
        self.added.iter_mut().for_each(rename);
        for killed in &mut self.killed {
            within(&mut killed.container);
            killed.replaced_by.iter_mut().for_each(rename);
            follow(state, fresh, killed.kind, &mut killed.payload);
        }
        let typed = core::mem::take(&mut self.typed);
        for dots in typed {
            fresh.append_newest(dots, &mut self.typed);
        }
        for text in &mut self.text {
            within(&mut text.stretch.container);
            if let Some(gap) = &mut text.gap {
                gap.left.iter_mut().for_each(rename);
                gap.right.iter_mut().for_each(rename);
            }
        }
        for mover in &mut self.movers {
            rename(&mut mover.element);
            rename(&mut mover.by);
        }
        for gap in &mut self.gaps {
            gap.left.iter_mut().for_each(rename);
            gap.right.iter_mut().for_each(rename);
        }
        for amount in &mut self.amounts {
            within(&mut amount.container);
        }
    }
}

/// Under which dot something lives now, or lived last.
pub(super) fn newest(fresh: &Fresh, dot: LocalDot) -> LocalDot {
    let mut dot = dot;
    while let Some(fresh) = fresh.get(dot) {
        dot = fresh;
    }
    dot
}

/// Whether an entry is what a replica did to a counter, in sum.
fn is_amount(kind: Kind) -> bool {
    kind == Kind::TOTAL || kind == Kind::RIGHTS
}

/// Whether an entry hides whatever is beside it in its slot.
pub(super) fn is_mark(kind: Kind) -> bool {
    kind == Kind::ABSENT || kind == Kind::DISABLED
}

impl State {
    /// What lives in the slot that an entry of this kind has: under a key, in every incarnation of the map.
    pub(super) fn in_slot(&self, container: LocalContainer, slot: &Slot, kind: Kind) -> Vec<EntryId> {
        let mut all = Vec::new();
        let Some(place) = self.container(container) else { return all };
        let place = self.view.place(place);
        match (&place.content, slot) {
            (Content::Map(keys), Slot::Key(key)) => {
                let key = self.keys.find(self.seed, key);
                if let Some(view) = key.and_then(|key| keys.get(key, &self.store)) {
                    view.registers().append_to(&mut all);
                    view.flags().append_to(&mut all);
                }
            }
            (Content::Set(members), Slot::Member(value)) => {
                members.get(value.hash(self.seed), value, &self.store).append_to(&mut all);
            }
            (Content::Unit(unit), Slot::Unit) => unit.view().append_to(&mut all),
            (Content::Text(marks), Slot::Unit) if kind == Kind::MARK => marks.dots.view().append_to(&mut all),
            (_, Slot::Position { .. }) if kind == Kind::MOVE => {
                if let Some(seat) = &place.seat {
                    seat.moves.append_to(&mut all);
                }
            }
            _ => {}
        }
        all
    }

    /// Whether an entry of this kind is one that nothing takes out of its container, as long as that lives.
    pub(super) fn is_kept(&self, container: LocalContainer, kind: Kind) -> bool {
        let keeps = |own: Kind| own.only_grows() && own.shows(kind);
        self.container(container).is_some_and(|place| keeps(self.view.place(place).kind))
    }
}
