//! Steps: what one local transaction did, in a form that can be taken back later.
//!
//! What only that time can tell is noted at the end of the transaction: what replaced what, who had written it, and between
//! which neighbours the dead list elements were.

use alloc::vec::Vec;

use super::super::{Content, State};
use super::place::{Gap, Nook};
use crate::clock::LocalDot;
use crate::ordered::{Map, Set, sort_by};
use crate::replica_id::Origin;
use crate::store::{Kind, Live, LocalContainer, Payload, Slot};
use crate::value::Value;

/// What a transaction did, as its journal tells it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) origin: Origin,
    pub(crate) first_seq: u64,
    pub(crate) next_seq: u64,
    /// In the order of the edits; some may be dead again.
    pub(crate) inserted: Vec<LocalDot>,
    /// With what died inside them, in any order.
    pub(crate) killed: Vec<(LocalDot, Live)>,
}

/// What a transaction did, net.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// What it added and left alive but for totals, containers before their contents.
    pub(super) added: Vec<LocalDot>,
    /// What it killed, by stamp, so that of concurrent writes the one that was read comes last.
    pub(super) killed: Vec<Killed>,
    /// Elements that it moved and that go back to where they were created.
    pub(super) movers: Vec<Mover>,
    /// The first dot that was free after it.
    pub(super) end: Option<LocalDot>,
    /// Where in lists that still lived the killed positions were.
    pub(super) gaps: Vec<Gap>,
    /// What it added to counters.
    pub(super) amounts: Vec<Amount>,
    /// About what it takes in memory.
    pub(super) bytes: usize,
}

/// An entry that died.
#[derive(Clone, Debug)]
pub(super) struct Killed {
    pub(super) dot: LocalDot,
    pub(super) live: Live,
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
}

impl Step {
    pub(super) fn of(state: &State, done: Done, is_own: &dyn Fn(LocalDot) -> bool) -> Self {
        let mut step = Self { end: Some(LocalDot::new(done.origin, done.next_seq)), ..Self::default() };
        for dot in &done.inserted {
            let Some(live) = state.store.get(*dot) else { continue };
            if live.kind == Kind::TOTAL {
                step.amounts.push(Amount { container: live.container, net: net(&live.payload), first: true });
            } else {
                step.added.push(*dot);
            }
        }
        let made = |dot: LocalDot| dot.origin() == done.origin && dot.seq() >= done.first_seq;
        for (dot, live) in done.killed {
            if made(dot) {
                continue;
            }
            if live.kind == Kind::TOTAL && state.view.container(live.container).is_some() {
                step.amounts.push(Amount { container: live.container, net: -net(&live.payload), first: false });
                continue;
            }
            let in_slot = state.in_slot(live.container, &live.slot, live.kind);
            let here = |dot: LocalDot| state.store.get(dot).is_some_and(|other| other.container == live.container);
            let replaced_by = in_slot.into_iter().find(|other| made(*other) && here(*other));
            step.killed.push(Killed { dot, live, foreign: !is_own(dot), replaced_by, nook: Nook::default() });
        }
        step.add_up();
        step.find_movers(state, &made);
        step.gaps = super::place::find_gaps(state, &made, &mut step.killed, &mut step.movers);
        let origins = &state.origins;
        sort_by(&mut step.killed, |a, b| a.live.hlc.cmp(&b.live.hlc).then_with(|| origins.compare(a.dot, b.dot)));
        step.bytes = step.weigh();
        step
    }

    fn find_movers(&mut self, state: &State, made: &dyn Fn(LocalDot) -> bool) {
        let mut moved = Set::new();
        for killed in &self.killed {
            if let (Kind::MOVE, LocalContainer::Entity(element)) = (killed.live.kind, killed.live.container) {
                moved.insert(element);
            }
        }
        for by in self.added.iter().copied() {
            let live = state.store.get(by).filter(|live| live.kind == Kind::MOVE);
            if let Some(LocalContainer::Entity(element)) = live.map(|live| live.container)
                && !made(element)
                && !moved.contains(&element)
            {
                self.movers.push(Mover { element, by, nook: Nook::default() });
            }
        }
    }

    /// One amount a counter.
    fn add_up(&mut self) {
        sort_by(&mut self.amounts, |a, b| a.container.cmp(&b.container));
        let mut sums: Vec<Amount> = Vec::new();
        for amount in &self.amounts {
            match sums.last_mut().filter(|sum| sum.container == amount.container) {
                Some(sum) => {
                    sum.net += amount.net;
                    sum.first &= amount.first;
                }
                None => sums.push(*amount),
            }
        }
        self.amounts = sums;
    }

    fn weigh(&self) -> usize {
        let mut bytes = size_of::<Self>() + self.added.len() * size_of::<LocalDot>();
        bytes += self.amounts.len() * size_of::<Amount>() + self.gaps.len() * size_of::<Gap>();
        bytes += self.movers.len() * size_of::<Mover>();
        for killed in &self.killed {
            let slot = match &killed.live.slot {
                Slot::Key(key) => key.len(),
                Slot::Member(value) => value.byte_len(),
                _ => 0,
            };
            let payload = match &killed.live.payload {
                Payload::Value(value) => Value::byte_len(value),
                Payload::Opaque(bytes) => bytes.len(),
                _ => 0,
            };
            bytes += size_of::<Killed>() + slot + payload;
        }
        bytes
    }

    /// Names what came back by its fresh dots.
    pub(super) fn rename(&mut self, fresh: &Map<LocalDot, LocalDot>) {
        let rename = |dot: &mut LocalDot| *dot = newest(fresh, *dot);
        let within = |container: &mut LocalContainer| {
            if let LocalContainer::Entity(dot) = container {
                *dot = newest(fresh, *dot);
            }
        };
        self.added.iter_mut().for_each(rename);
        for killed in &mut self.killed {
            within(&mut killed.live.container);
            killed.replaced_by.iter_mut().for_each(rename);
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
pub(super) fn newest(fresh: &Map<LocalDot, LocalDot>, dot: LocalDot) -> LocalDot {
    let mut dot = dot;
    while let Some(fresh) = fresh.get(&dot) {
        dot = *fresh;
    }
    dot
}

/// Whether of several entries in one slot only the latest is read, so that what comes back would hide what others wrote.
pub(super) fn is_read_as_one(kind: Kind) -> bool {
    kind == Kind::REGISTER || kind == Kind::MOVE
}

/// What a running total amounts to.
pub(super) fn net(payload: &Payload) -> i128 {
    match payload {
        Payload::Total { plus, minus } => i128::from(*plus) - i128::from(*minus),
        _ => 0,
    }
}

impl State {
    /// What lives in the slot that an entry of this kind has: under a key, in every incarnation of the map.
    pub(super) fn in_slot(&self, container: LocalContainer, slot: &Slot, kind: Kind) -> Vec<LocalDot> {
        let mut dots = Vec::new();
        let Some(place) = self.view.container(container) else { return dots };
        let place = self.view.place(place);
        match (&place.content, slot) {
            (Content::Map(keys), Slot::Key(key)) => {
                if let Some(slot) = keys.get(key) {
                    slot.registers.append_to(&mut dots);
                    slot.flags.append_to(&mut dots);
                }
            }
            (Content::Set(members), Slot::Member(value)) => {
                if let Some(members) = members.get(value) {
                    members.append_to(&mut dots);
                }
            }
            (Content::Unit(unit), Slot::Unit) => unit.append_to(&mut dots),
            (_, Slot::Position { .. }) if kind == Kind::MOVE => {
                if let Some(seat) = &place.seat {
                    seat.moves.append_to(&mut dots);
                }
            }
            _ => {}
        }
        dots
    }
}
