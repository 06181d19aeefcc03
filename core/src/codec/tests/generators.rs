//! Valid messages of every kind, drawn from a tape of random numbers, so that a failing one shrinks with its tape.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::clock::{Dot, DotRuns, Hlc, Tag, VersionEntry, VersionVector};
use crate::delta::DeltaParts;
use crate::diff::{Diff, Digest, LiveEntry, Snapshot, Tier};
use crate::replica_id::ReplicaId;
use crate::sequence::{BunchRecord, Position, Side};
use crate::store::{Container, Entry, Kind, Payload, RemovalRun, Rights, Slot, TextRun};
use crate::string::Str;
use crate::value::Value;

pub(super) fn delta() -> impl Strategy<Value = DeltaParts> {
    tape().prop_map(|mut tape| tape.delta())
}

pub(super) fn diff() -> impl Strategy<Value = Diff> {
    let tier = prop_oneof![Just(Tier::Version), Just(Tier::Digest), Just(Tier::Full)];
    (tape(), tier).prop_map(|(mut tape, tier)| tape.diff(tier))
}

pub(super) fn digest() -> impl Strategy<Value = Digest> {
    tape().prop_map(|mut tape| {
        let version = tape.version(20, true);
        Digest { live: tape.runs(25, |dot| version.covers(dot)), version }
    })
}

pub(super) fn snapshot() -> impl Strategy<Value = Snapshot> {
    tape().prop_map(|mut tape| tape.snapshot())
}

pub(super) fn version() -> impl Strategy<Value = VersionVector> {
    tape().prop_map(|mut tape| tape.version(20, true))
}

pub(super) fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number.wrapping_mul(53); 16])
}

const REPLICAS: u64 = 5;

fn tape() -> impl Strategy<Value = Tape> {
    prop::collection::vec(any::<u32>(), 0..1000).prop_map(|numbers| Tape { numbers, next: 0 })
}

#[derive(Debug)]
struct Tape {
    numbers: Vec<u32>,
    next: usize,
}

impl Tape {
    /// A number below `end`; zeros once the tape is used up.
    fn below(&mut self, end: u64) -> u64 {
        let number = self.numbers.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        u64::from(number) % end
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == odds - 1
    }

    fn replica(&mut self) -> ReplicaId {
        id(1 + self.below(REPLICAS) as u8)
    }

    fn stamp(&mut self) -> Hlc {
        Hlc((self.below(1 << 31) << 16 | self.below(3)) << self.below(2))
    }

    fn tag(&mut self) -> Tag {
        Tag::from_bytes((self.below(u64::MAX) * 0x0101_0101).to_le_bytes())
    }

    fn text(&mut self) -> Str {
        ["", "title", "done", "naïve", "a rather longer key than the others, but below the limit"]
            [self.below(5) as usize]
            .into()
    }

    fn value(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Bool(false),
            3 => Value::Int(self.below(1 << 20) as i64 - 500),
            4 => Value::Int(if self.one_in(2) { i64::MIN } else { i64::MAX }),
            5 => Value::from([0.0, -0.0, f64::NAN, f64::INFINITY, 1.5][self.below(5) as usize]),
            6 => Value::String(self.text()),
            7 => Value::Bytes([0, 255, 7][..self.below(4) as usize].into()),
            _ => Value::Null,
        }
    }

    fn kind(&mut self) -> Kind {
        Kind([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 16, 17, 18, 19, 20, 21, 0, 255][self.below(19) as usize])
    }

    fn payload(&mut self, kind: Kind, owner: ReplicaId) -> Payload {
        match kind {
            Kind::REGISTER | Kind::BOUNDED_COUNTER => Payload::Value(self.value()),
            Kind::RIGHTS => Payload::Rights(Arc::new(self.rights(owner))),
            Kind::TOTAL => Payload::Total { plus: self.below(5) << self.below(60), minus: self.below(1000) },
            Kind(0 | 255) => Payload::Opaque([1, 2, 3][..self.below(4) as usize].into()),
            _ => Payload::Empty,
        }
    }

    fn rights(&mut self, owner: ReplicaId) -> Rights {
        let mut given = BTreeMap::new();
        for _ in 0..self.below(3) {
            // One of those who write, or somebody that no table names.
            let to = if self.one_in(2) { ReplicaId::from(u128::from(self.below(9) + 1)) } else { self.replica() };
            given.insert(to, 1 + (self.below(5) << self.below(60)));
        }
        given.remove(&owner);
        let (plus, minus) = (self.below(5) << self.below(60), self.below(1000));
        Rights { plus, minus, given: given.into_iter().collect() }
    }

    /// An entry at `dot`, in the root, in an older entity of the same replica, or in one of those offered.
    fn entry(&mut self, dot: Dot, others: &[Dot], bunches: &[u64]) -> Entry {
        let older = others.iter().filter(|other| other.replica != dot.replica || other.seq < dot.seq);
        let older: Vec<Dot> = older.copied().collect();
        let container = if older.is_empty() || self.one_in(2) {
            Container::Root { name: self.text(), kind: self.kind() }
        } else {
            Container::Entity(older[self.below(older.len() as u64) as usize])
        };
        let usable: Vec<u64> = bunches.iter().copied().filter(|bunch| *bunch <= dot.seq).collect();
        let slot = match self.below(6) {
            0 => Slot::Unit,
            1 => Slot::Member(self.value()),
            2 => Slot::Owner,
            3 if !usable.is_empty() => {
                let bunch = usable[self.below(usable.len() as u64) as usize];
                Slot::Position { bunch, backward: bunch < dot.seq && self.one_in(2) }
            }
            _ => Slot::Key(self.text()),
        };
        let kind = self.kind();
        Entry { container, slot, kind, entity: self.one_in(2), payload: self.payload(kind, dot.replica) }
    }

    /// A bunch at `id` whose parent is one of `parents` or START.
    fn bunch(&mut self, id: Dot, parents: &[Dot], reach: u64) -> BunchRecord {
        let older = parents.iter().filter(|parent| parent.replica != id.replica || parent.seq < id.seq);
        let older: Vec<Dot> = older.copied().collect();
        let parent = if older.is_empty() || self.one_in(2) {
            Position { bunch: Dot::ROOT, index: 0 }
        } else {
            let bunch = older[self.below(older.len() as u64) as usize];
            let most = if bunch.replica == id.replica { id.seq - 1 - bunch.seq } else { reach };
            let distance = self.below(most.min(200) + 1) as i64;
            Position { bunch, index: if self.one_in(2) { -distance } else { distance } }
        };
        let side = if self.one_in(2) { Side::Left } else { Side::Right };
        let rank = if self.one_in(4) { [1, -1, i32::MAX, i32::MIN][self.below(4) as usize] } else { 0 };
        BunchRecord { id, parent, side, rank }
    }

    fn runs(&mut self, most: u64, usable: impl Fn(Dot) -> bool) -> DotRuns {
        let mut set = DotRuns::new();
        for _ in 0..self.below(6) {
            let (replica, first, len) = (self.replica(), 1 + self.below(most), self.below(3));
            for dot in (first..=first + len).map(|seq| Dot::new(replica, seq)).filter(|dot| usable(*dot)) {
                set.insert(dot);
            }
        }
        set
    }

    fn delta(&mut self) -> DeltaParts {
        let replica = self.replica();
        let dots = 1 + self.below(14);
        let first_seq = match self.below(4) {
            0 => 1,
            1 => Dot::MAX_SEQ + 1 - dots,
            _ => 1 + self.below(300),
        };
        let is_foreign = |dot: Dot| dot.replica != replica || dot.seq < first_seq;
        let own = |seq| Dot::new(replica, seq);
        let mut deps: BTreeSet<Dot> = BTreeSet::new();
        if first_seq > 1 && !self.one_in(3) {
            deps.insert(own(first_seq - 1));
        }
        for _ in 0..self.below(4) {
            let dot = Dot::new(self.replica(), 1 + self.below(1000));
            deps.extend(is_foreign(dot).then_some(dot));
        }
        let removes = self.runs(300, is_foreign);

        let range = first_seq..first_seq + dots;
        let mut parents = Vec::from([Dot::new(id(1), 4), Dot::new(id(2), 900), Dot::new(id(5), 1)]);
        parents.retain(|dot| is_foreign(*dot));
        let mut bunches = Vec::new();
        for seq in range.clone() {
            if self.one_in(4) {
                bunches.push(self.bunch(own(seq), &parents, 1000));
                parents.push(own(seq));
            }
        }
        let mut places: Vec<u64> = bunches.iter().map(|bunch| bunch.id.seq).collect();
        if first_seq > 5 {
            places.push(first_seq - 3);
        }
        let mut containers = Vec::from([Dot::new(id(3), 12), Dot::new(id(4), 1)]);
        containers.retain(|dot| !removes.contains(*dot));
        let (dense, text_only) = (self.one_in(2), self.one_in(4));
        let (mut adds, mut text, mut totals_before) = (Vec::new(), Vec::new(), Vec::new());
        for seq in range {
            let has_text = text_only && (dense || self.one_in(2)) || !text_only && !dense && self.one_in(4);
            if has_text {
                self.character(own(seq), &containers, &places, &mut text);
            }
            if !has_text && !text_only && (dense || self.one_in(2)) {
                let entry = self.entry(own(seq), &containers, &places);
                if let Payload::Total { plus, minus } = entry.payload
                    && self.one_in(2)
                {
                    totals_before.push((seq, plus / 2, minus - minus.min(3)));
                }
                adds.push((seq, entry));
                containers.push(own(seq));
            }
        }
        let (deps, stamp) = (deps.into_iter().collect(), self.stamp());
        let hlc = if adds.is_empty() { Hlc(0) } else { stamp };
        let (adds, text, totals_before) = (adds.into(), text.into(), totals_before.into());
        DeltaParts { replica, first_seq, dots, deps, hlc, bunches, adds, text, totals_before, removes }
    }

    /// A character at `dot`, in a run with those before it where it can be; none where there is no bunch for it.
    fn character(&mut self, dot: Dot, others: &[Dot], bunches: &[u64], text: &mut Vec<TextRun>) {
        let characters = ["a", "é", "🎈", "x", "\n"];
        let character = characters[self.below(characters.len() as u64) as usize];
        if let Some(last) = text.last_mut()
            && last.first.replica == dot.replica
            && last.last_seq() + 1 == dot.seq
            && !self.one_in(4)
        {
            last.text = [last.text.as_str(), character].concat().as_str().into();
            return;
        }
        let usable: Vec<u64> = bunches.iter().copied().filter(|bunch| *bunch <= dot.seq).collect();
        if usable.is_empty() {
            return;
        }
        let bunch = usable[self.below(usable.len() as u64) as usize];
        let backward = bunch < dot.seq && self.one_in(2);
        let container = self.entry(dot, others, &[]).container;
        let run = TextRun { first: dot, container, bunch, backward, text: character.into() };
        match text.last_mut() {
            Some(last) if last.goes_on_in(last.dots(), &run) => {
                last.text = [last.text.as_str(), character].concat().as_str().into();
            }
            _ => text.push(run),
        }
    }

    fn version(&mut self, most: u64, tags: bool) -> VersionVector {
        (1..=REPLICAS as u8)
            .map(|number| {
                let tag = if tags { self.tag() } else { Tag::from_bytes([0; 8]) };
                (id(number), VersionEntry { seq: self.below(most), tag })
            })
            .collect()
    }

    fn diff(&mut self, tier: Tier) -> Diff {
        let base = if tier == Tier::Full { VersionVector::new() } else { self.version(20, false) };
        let mut head = VersionVector::new();
        for (replica, step) in self.version(20, true).iter() {
            head.set(replica, VersionEntry { seq: base.seq(replica) + step.seq, tag: step.tag });
        }
        let mut covered = base.clone();
        covered.join(&head);
        let mut heads: Vec<Dot> = covered.iter().map(|(replica, entry)| Dot::new(replica, entry.seq)).collect();
        heads.retain(|_| self.one_in(2));

        let mut ids: BTreeSet<Dot> = BTreeSet::new();
        for (replica, entry) in covered.iter() {
            for seq in 1..=entry.seq {
                ids.extend(self.one_in(8).then_some(Dot::new(replica, seq)));
            }
        }
        // A bunch hangs on one that precedes it in the order of dots, so that there is no cycle.
        let (mut bunches, mut parents): (Vec<BunchRecord>, Vec<Dot>) = (Vec::new(), Vec::new());
        for id in ids {
            let mut bunch = self.bunch(id, &parents, 0);
            if bunch.parent.bunch.replica != id.replica {
                bunch.parent.index = 0;
            }
            bunches.push(bunch);
            parents.push(id);
        }
        let (mut adds, mut containers): (Vec<LiveEntry>, Vec<Dot>) = (Vec::new(), Vec::new());
        let mut text = Vec::new();
        let mut hlc = self.stamp();
        for (replica, entry) in head.iter() {
            for seq in base.seq(replica) + 1..=entry.seq {
                if self.one_in(3) {
                    continue;
                }
                if self.one_in(3) {
                    hlc = self.stamp();
                }
                let dot = Dot::new(replica, seq);
                if self.one_in(3) {
                    let own = bunches.iter().filter(|bunch| bunch.id.replica == replica);
                    let places: Vec<u64> = own.map(|bunch| bunch.id.seq).collect();
                    self.character(dot, &containers, &places, &mut text);
                    continue;
                }
                let entry = self.entry(dot, &containers, &[seq.div_ceil(2)]);
                adds.push(LiveEntry { dot, hlc, entry });
                containers.push(dot);
            }
        }
        let removes = match tier {
            Tier::Digest | Tier::Full => Vec::new(),
            Tier::Version => self.told(&covered, &head, &adds, &text),
        };
        let (mut ahead, mut dead) = (VersionVector::new(), DotRuns::new());
        if tier == Tier::Digest {
            dead = self.runs(25, |dot| base.covers(dot));
            for (replica, further) in self.version(12, false).iter() {
                if head.get(replica).is_none() {
                    ahead.set(replica, VersionEntry { seq: base.seq(replica) + further.seq, ..further });
                }
            }
        }
        Diff { tier, base, ahead, head, heads, adds, text, removes, dead, bunches }
    }

    /// What each replica with a head removed, if anything.
    fn told(
        &mut self,
        covered: &VersionVector,
        head: &VersionVector,
        adds: &[LiveEntry],
        text: &[TextRun],
    ) -> Vec<(ReplicaId, DotRuns)> {
        let mut told = Vec::new();
        for (replica, entry) in head.iter() {
            let is_live = |dot: Dot| is_live(adds, text, dot);
            let is_older = |dot: Dot| dot.replica != replica || dot.seq < entry.seq;
            let removed = self.runs(30, |dot| covered.covers(dot) && is_older(dot) && !is_live(dot));
            if !removed.is_empty() {
                told.push((replica, removed));
            }
        }
        told
    }

    fn removals(
        &mut self,
        covered: &VersionVector,
        adds: &[LiveEntry],
        text: &[TextRun],
        is_remover: impl Fn(Dot) -> bool,
    ) -> Vec<RemovalRun> {
        let mut removals: Vec<RemovalRun> = Vec::new();
        for (replica, entry) in covered.iter() {
            let back = 1 + self.below(3);
            for remover in (1..=entry.seq).map(|seq| Dot::new(replica, seq)).filter(|dot| is_remover(*dot)) {
                let is_live = |dot: Dot| is_live(adds, text, dot);
                let is_older = |dot: Dot| dot.replica != remover.replica || dot.seq < remover.seq;
                let usable = |dot: Dot| covered.covers(dot) && is_older(dot) && !is_live(dot);
                let before = Dot::new(replica, remover.seq.saturating_sub(back));
                // What overwrites itself again and again makes chains.
                let removed = if before.seq > 0 && usable(before) && !self.one_in(4) {
                    DotRuns::from_iter([before])
                } else {
                    self.runs(30, usable)
                };
                for (replica, first, last) in removed.runs() {
                    let removed = Dot::new(replica, first);
                    let run = RemovalRun { remover, removed, len: last - first + 1, chain: false };
                    match removals.last_mut() {
                        Some(before) if before.goes_on_in(&run) => {
                            (before.len, before.chain) = (before.len + 1, true);
                        }
                        _ => removals.push(run),
                    }
                }
            }
        }
        removals
    }

    fn snapshot(&mut self) -> Snapshot {
        let diff = self.diff(Tier::Full);
        let mut horizon = VersionVector::new();
        for (replica, entry) in diff.head.iter() {
            let tag = Tag::from_bytes([0; 8]);
            horizon.set(replica, VersionEntry { seq: self.below(entry.seq + 1), tag });
        }
        let is_remover = |dot: Dot| diff.head.covers(dot) && !horizon.covers(dot);
        let removals = self.removals(&diff.head, &diff.adds, &diff.text, is_remover);
        Snapshot { diff, horizon, removals, beacon: [self.below(256) as u8; 16] }
    }
}

fn is_live(adds: &[LiveEntry], text: &[TextRun], dot: Dot) -> bool {
    let is_text = |run: &TextRun| run.first <= dot && dot <= Dot::new(run.first.replica, run.last_seq());
    adds.binary_search_by_key(&dot, |add| add.dot).is_ok() || text.iter().any(is_text)
}
