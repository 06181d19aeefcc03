//! Documents that exchange what honest replicas wrote, and what somebody made up: well-formed bytes of any content.
//!
//! The bytes are steps: deliver a delta, give a diff of some tier, edit, save and load, forget the log; and in between a delta or a diff
//! in which the bytes themselves choose what is said: dots, containers, slots, payloads, positions, removals, versions. What is refused
//! leaves a document as it was; what is taken in leaves one that can be saved, loaded, told to others and edited.
//!
//! Two sorts of strangers are told apart. One who writes under an id of its own, whatever it writes, breaks nothing: documents that have
//! applied the same deltas are the same (VALID-1). One who says something else than was written under the ids of others, or makes up a
//! diff, may mislead the document that it talks to; that one is then only looked at by itself.
//!
//! Rules: BYTES-1, BYTES-2, CAUSAL-2, VALID-1, DIFF-5, DOT-1.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::{Random, Shape, dump, random_edit};
use super::{Input, world};
use crate::clock::{VersionEntry, VersionVector};
use crate::{
    BunchRecord, Container, Delta, DeltaParts, Diff, Document, Dot, DotRuns, Entry, Few, Hlc, Kind, Outcome, Payload,
    Position, ReplicaId, Rights, Side, Slot, Tag, TextRun, Tier, Value, codec,
};

/// So that one byte string takes no longer than some milliseconds.
const MOST_STEPS: usize = 48;
/// A document that was changed so often is looked at as a whole.
const STEPS_BETWEEN_CHECKS: usize = 6;
/// Who writes here beside the honest ones.
const STRANGER: ReplicaId = ReplicaId::from_bytes([9; 16]);

/// Does to three documents what the bytes say.
///
/// # Panics
/// When a rule is broken.
pub fn apply(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut scene = Scene::new();
    for step in 1..=MOST_STEPS {
        let Some(operation) = input.next() else { break };
        let at = scene.step(operation, &mut input);
        scene.changed.insert(at, ());
        if step % STEPS_BETWEEN_CHECKS == 0 {
            scene.check();
        }
    }
    scene.check();
    for place in scene.places {
        goes_on(place.document);
    }
}

/// Byte strings to begin with: strangers of all sorts, each for some steps.
pub fn valid_applies() -> Vec<Vec<u8>> {
    let steps = |seed: u8| {
        let mut random = Random::seeded(seed.into());
        let len = 40 + random.below(200);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
        // Half of them keep to one sort of step, so that it is met in every state.
        if seed.is_multiple_of(2) {
            bytes.iter_mut().step_by(7).for_each(|byte| *byte = OPERATIONS[usize::from(seed / 2) % OPERATIONS.len()]);
        }
        bytes
    };
    (0..16).map(steps).collect()
}

const DELIVER: u8 = 0;
const STRANGE: u8 = 1;
const TWISTED: u8 = 2;
const TELL: u8 = 3;
const TELL_BY_DIGEST: u8 = 4;
const TELL_ALL: u8 = 5;
const MADE_UP: u8 = 6;
const EDIT: u8 = 7;
const SAVE: u8 = 8;
const FORGET: u8 = 9;
const SPOILED: u8 = 10;
const OPERATIONS: [u8; 11] =
    [DELIVER, STRANGE, TWISTED, TELL, TELL_BY_DIGEST, TELL_ALL, MADE_UP, EDIT, SAVE, FORGET, SPOILED];

struct Place {
    document: Document,
    /// Somebody told it something that nobody wrote under the ids that it is told of.
    misled: bool,
}

/// What a document shows.
type Shown = BTreeMap<(String, Kind), Shape>;

struct Scene {
    places: [Place; 3],
    /// What was written so far, by whomever.
    deltas: Vec<Delta>,
    dots: Vec<Dot>,
    /// How far the stranger's own history goes.
    stranger: VersionEntry,
    /// The documents that were changed since they were looked at.
    changed: BTreeMap<usize, ()>,
    /// What documents of one version show.
    seen: BTreeMap<[u8; 16], ([u8; 16], Shown)>,
}

impl Scene {
    fn new() -> Self {
        let deltas = world::deltas(2);
        let part = |end: usize, writer: u128| {
            let mut document = world::document(&deltas[..end]);
            document.set_writer(Some(ReplicaId::from(writer))).expect("no transaction is open");
            Place { document, misled: false }
        };
        let places = [part(deltas.len(), 11), part(deltas.len() / 2, 12), part(0, 13)];
        let dots = world::dots(&deltas);
        let stranger = VersionEntry { seq: 0, tag: Tag::start(STRANGER) };
        Self { places, deltas, dots, stranger, changed: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// One step; says which document it was about.
    fn step(&mut self, operation: u8, input: &mut Input<'_>) -> usize {
        let at = input.below(self.places.len());
        match OPERATIONS[usize::from(operation) % OPERATIONS.len()] {
            DELIVER => {
                let delta = self.deltas[input.below(self.deltas.len())].clone();
                self.take(at, &delta, false);
            }
            STRANGE => self.strange(at, input),
            TWISTED => {
                let honest = self.deltas[input.below(self.deltas.len())].clone();
                let mut parts = honest.parts().into_owned();
                (0..=input.byte() % 4).for_each(|_| self.twist(&mut parts, input));
                if let Some(twisted) = sealed(parts, honest.prev_tag()) {
                    self.take(at, &twisted, twisted != honest);
                }
            }
            TELL | TELL_BY_DIGEST | TELL_ALL => self.tell(at, operation, input),
            MADE_UP => {
                let from = &self.places[input.below(self.places.len())].document;
                let mut diff = match input.byte() % 3 {
                    0 => from.diff_since(&VersionVector::new()),
                    1 => from.diff_for(&self.places[at].document.digest()),
                    _ => from.diff_since(&self.places[at].document.version()),
                };
                (0..=input.byte() % 4).for_each(|_| self.make_up(&mut diff, input));
                let bytes = codec::encode_diff(&diff);
                self.take_diff_bytes(at, &bytes, true);
            }
            EDIT => {
                let mut random = Random::seeded(u64::from(input.byte()) << 8 | u64::from(input.byte()));
                let document = &mut self.places[at].document;
                let delta = world::edit(document, |tx| random_edit(tx, &mut random, true));
                self.remember(delta);
            }
            SAVE => {
                let place = &mut self.places[at];
                let writer = place.document.writer();
                place.document = Document::load(&place.document.snapshot()).expect("what was saved loads");
                place.document.set_writer(writer).expect("no transaction is open");
            }
            FORGET => self.places[at].document.truncate_removals(),
            _ => self.spoiled(at, input),
        }
        at
    }

    fn remember(&mut self, delta: Option<Delta>) {
        if let Some(delta) = delta {
            self.dots.push(delta.dot());
            self.deltas.push(delta);
        }
    }

    /// A delta of any content, in a chain that breaks no rule.
    fn strange(&mut self, at: usize, input: &mut Input<'_>) {
        let mut parts = DeltaParts {
            replica: STRANGER,
            first_seq: self.stranger.seq + 1,
            dots: 1 + u64::from(input.byte() % 8),
            deps: Few::new(),
            hlc: Hlc(u64::from(input.byte()) << (input.byte() % 64)),
            bunches: Vec::new(),
            adds: Few::new(),
            text: Few::new(),
            totals_before: Few::new(),
            removes: DotRuns::new(),
        };
        for seq in parts.first_seq..=parts.last_seq() {
            match input.byte() % 4 {
                0 => parts.bunches.push(self.bunch(seq, input)),
                1 => {}
                _ => parts.adds.push((seq, self.entry(&parts, seq, input))),
            }
        }
        (0..input.byte() % 3).for_each(|_| self.twist(&mut parts, input));
        let Some(delta) = sealed(parts, self.stranger.tag) else { return };
        if delta.replica() == STRANGER && delta.first_seq() == self.stranger.seq + 1 {
            self.stranger = VersionEntry { seq: delta.last_seq(), tag: delta.tag() };
            self.take(at, &delta, false);
            self.remember(Some(delta));
        }
    }

    /// Changes one thing of what a delta says.
    fn twist(&self, parts: &mut DeltaParts, input: &mut Input<'_>) {
        let dot = self.dot(input);
        match input.byte() % 12 {
            0 => parts.dots = 1 + u64::from(input.byte()),
            1 => parts.hlc = Hlc(u64::from(input.byte()) << (input.byte() % 64)),
            2 => parts.removes.insert(dot),
            3 => parts.removes = DotRuns::new(),
            4 => {
                let last = dot.seq.saturating_add(u64::from(input.byte()) << (input.byte() % 48));
                parts.removes.insert_run(dot.replica, dot.seq, last);
            }
            5 => parts.deps = Few::one(dot),
            6 => parts.deps.clear(),
            7 => {
                let seq = parts.first_seq + u64::from(input.byte()) % parts.dots;
                parts.bunches.retain(|bunch| bunch.id.seq != seq);
                parts.bunches.push(BunchRecord { id: Dot::new(parts.replica, seq), ..self.bunch(seq, input) });
                parts.bunches.sort_by_key(|bunch| bunch.id);
            }
            8 => parts.bunches.clear(),
            9 => {
                let seq = parts.first_seq + u64::from(input.byte()) % parts.dots;
                let text: String = ["ab", "é🦀", "\n", "x"][usize::from(input.byte()) % 4].into();
                let first = Dot::new(parts.replica, seq);
                let bunch = seq.saturating_sub(u64::from(input.byte() % 4));
                let (container, backward) = (self.container(parts.replica, seq, input), input.byte() % 2 == 1);
                let run = TextRun { first, container, bunch, backward, text: text.as_str().into() };
                parts.text = Few::one(run);
            }
            _ => {
                let len = parts.adds.len();
                let chosen = input.below(len);
                let Some((seq, _)) = parts.adds.get(chosen) else { return };
                let changed = (*seq, self.entry(parts, *seq, input));
                parts.adds = core::mem::take(&mut parts.adds)
                    .iter()
                    .map(|add| if add.0 == changed.0 { changed.clone() } else { add.clone() })
                    .collect();
            }
        }
    }

    /// Changes one thing of what a diff says.
    fn make_up(&self, diff: &mut Diff, input: &mut Input<'_>) {
        let dot = self.dot(input);
        let seq = dot.seq.saturating_add(u64::from(input.byte()) << (input.byte() % 48));
        let entry = VersionEntry { seq, tag: Tag::from_bytes([input.byte(); 8]) };
        match input.byte() % 10 {
            0 => diff.head.set(dot.replica, entry),
            // What the tier has no room for cannot be written.
            1 if diff.tier != Tier::Full => diff.base.set(dot.replica, entry),
            2 if diff.tier == Tier::Digest => diff.ahead.set(dot.replica, entry),
            3 => diff.heads = [dot].into(),
            4 if diff.tier == Tier::Digest => diff.dead.insert(dot),
            5 if diff.tier == Tier::Version => {
                let run = core::iter::once(dot).collect();
                diff.removes = [(ReplicaId::from(world::WRITERS[input.below(3)]), run)].into();
            }
            6 => drop(diff.bunches.pop()),
            7 => {
                let len = diff.bunches.len();
                if let Some(bunch) = diff.bunches.get_mut(input.below(len)) {
                    *bunch = BunchRecord { id: bunch.id, ..self.bunch(bunch.id.seq, input) };
                }
            }
            8 => {
                let len = diff.adds.len();
                if len > 0 {
                    diff.adds.remove(input.below(len));
                }
            }
            _ => {
                let len = diff.adds.len();
                let chosen = input.below(len);
                let Some(add) = diff.adds.get(chosen) else { return };
                let parts = world_of(add.dot);
                diff.adds[chosen].entry = self.entry(&parts, parts.first_seq, input);
            }
        }
    }

    fn dot(&self, input: &mut Input<'_>) -> Dot {
        self.dots[input.below(self.dots.len())]
    }

    fn container(&self, replica: ReplicaId, seq: u64, input: &mut Input<'_>) -> Container {
        match input.byte() % 4 {
            0 => Container::Entity(self.dot(input)),
            1 => Container::Entity(Dot::new(replica, seq.saturating_sub(1 + u64::from(input.byte() % 4)).max(1))),
            _ => Container::Root { name: "r".into(), kind: Kind(input.byte() % 26) },
        }
    }

    fn bunch(&self, seq: u64, input: &mut Input<'_>) -> BunchRecord {
        let bunch = if input.byte().is_multiple_of(3) { Dot::ROOT } else { self.dot(input) };
        let index = i64::from(input.byte() as i8) << (input.byte() % 4 * 16);
        let side = if input.byte().is_multiple_of(2) { Side::Right } else { Side::Left };
        let rank = i32::from(input.byte() as i8) << (input.byte() % 25);
        let parent = if bunch == Dot::ROOT { Position { bunch, index: 0 } } else { Position { bunch, index } };
        BunchRecord { id: Dot::new(STRANGER, seq), parent, side, rank }
    }

    /// An entry of any content, whose payload is one that its kind can be written with.
    fn entry(&self, parts: &DeltaParts, seq: u64, input: &mut Input<'_>) -> Entry {
        let container = self.container(parts.replica, seq, input);
        let slot = match input.byte() % 6 {
            0 => Slot::Unit,
            1 => Slot::Key(["a", "b", ""][usize::from(input.byte()) % 3].into()),
            2 => Slot::Member(value(input)),
            3 => Slot::Owner,
            _ => {
                let bunch = seq.saturating_sub(u64::from(input.byte() % 4)).max(1);
                Slot::Position { bunch, backward: input.byte() % 2 == 1 }
            }
        };
        let number = |input: &mut Input<'_>| u64::from(input.byte()).wrapping_neg() >> (input.byte() % 64);
        let kind = Kind(input.byte() % 26);
        let payload = match kind {
            Kind::REGISTER | Kind::BOUNDED_COUNTER => Payload::Value(value(input)),
            Kind::TOTAL => Payload::Total { plus: number(input), minus: number(input) },
            Kind::RIGHTS => {
                let given = [(ReplicaId::from(world::WRITERS[0]), number(input) | 1)].into();
                Payload::Rights(Arc::new(Rights { plus: number(input), minus: number(input), given }))
            }
            Kind::MEMBER | Kind::MOVE | Kind::ABSENT | Kind::DISABLED => Payload::Empty,
            kind if kind.is_container() => Payload::Empty,
            // Marks, and kinds that nobody knows.
            _ => Payload::Opaque([input.byte(), input.byte()].as_slice().into()),
        };
        Entry { container, slot, kind, entity: input.byte().is_multiple_of(3), payload }
    }

    /// What a document was told in honest bytes, some of which are others now.
    fn spoiled(&mut self, at: usize, input: &mut Input<'_>) {
        let of_delta = input.byte().is_multiple_of(2);
        let delta = &self.deltas[input.below(self.deltas.len())];
        let prev_tag = delta.prev_tag();
        let mut bytes = if of_delta {
            delta.bytes().to_vec()
        } else {
            codec::encode_diff(&self.places[input.below(self.places.len())].document.diff_since(&VersionVector::new()))
        };
        for _ in 0..=input.byte() % 3 {
            let place = input.below(bytes.len());
            match input.byte() % 3 {
                0 => bytes[place] = input.byte(),
                1 => bytes.insert(place, input.byte()),
                _ => drop(bytes.remove(place)),
            }
        }
        if !of_delta {
            self.take_diff_bytes(at, &bytes, true);
        } else if let Ok(spoiled) = Delta::decode(&bytes, prev_tag) {
            let known = self.deltas.contains(&spoiled);
            self.take(at, &spoiled, !known);
        }
    }

    fn take(&mut self, at: usize, delta: &Delta, misleads: bool) {
        let place = &mut self.places[at];
        let before = state(&place.document);
        let readiness = place.document.check(delta);
        let result = place.document.apply(delta);
        match &result {
            Ok(applied) => place.misled |= misleads && applied.outcome != Outcome::Known,
            Err(_) => assert!(state(&place.document) == before, "BYTES-1: what is refused changes nothing"),
        }
        let parked = matches!(result, Err(crate::ApplyError::TooMuchParked { .. }));
        assert!(parked || readiness.is_ok() == result.is_ok(), "what is checked is applied: {readiness:?}, {result:?}");
    }

    /// One document tells another what that lacks.
    fn tell(&mut self, at: usize, operation: u8, input: &mut Input<'_>) {
        let from = input.below(self.places.len());
        let (teller, hearer) = (&self.places[from].document, &self.places[at].document);
        let diff = match OPERATIONS[usize::from(operation) % OPERATIONS.len()] {
            TELL => teller.diff_since(&hearer.version()),
            TELL_BY_DIGEST => teller.diff_for(&hearer.digest()),
            _ => teller.diff_since(&VersionVector::new()),
        };
        let mut joined = teller.version();
        joined.join(&hearer.version());
        let misled = self.places[from].misled;
        let bytes = codec::encode_diff(&diff);
        let again = codec::decode_diff(&bytes).map(|diff| codec::encode_diff(&diff));
        assert_eq!(again.as_ref(), Ok(&bytes), "BYTES-2: what a document tells is read, and written again as it was");
        let taken = self.take_diff_bytes(at, &bytes, misled);
        if !misled && !self.places[at].misled {
            assert!(taken, "DIFF-1: what was made for a version applies there");
            assert!(self.places[at].document.version().dominates(&joined), "DIFF-5: who was told all has all");
        }
    }

    fn take_diff_bytes(&mut self, at: usize, bytes: &[u8], misleads: bool) -> bool {
        let Ok(diff) = codec::decode_diff(bytes) else { return false };
        let place = &mut self.places[at];
        let before = state(&place.document);
        match place.document.apply_diff(&diff) {
            Ok(applied) => {
                place.misled |= misleads && applied.outcome != Outcome::Known;
                true
            }
            Err(_) => {
                assert!(state(&place.document) == before, "BYTES-1: what is refused changes nothing");
                false
            }
        }
    }

    /// Looks at the documents that were changed.
    fn check(&mut self) {
        for at in core::mem::take(&mut self.changed).into_keys() {
            let place = &self.places[at];
            let document = &place.document;
            let loaded = Document::load(&document.snapshot()).expect("what was saved loads, and its beacon is right");
            let shown = dump(document);
            assert_eq!((loaded.version(), dump(&loaded)), (document.version(), shown.clone()));
            if !place.misled {
                let shows = (document.beacon(), shown);
                let known = self.seen.entry(document.version_hash()).or_insert_with(|| shows.clone());
                assert_eq!(*known, shows, "VALID-1: equal versions are equal states");
            }
        }
    }
}

/// What must be as it was after something was refused.
fn state(document: &Document) -> (VersionVector, [u8; 16], usize) {
    (document.version(), document.beacon(), document.live_count())
}

/// As if a delta were being written at this dot.
fn world_of(dot: Dot) -> DeltaParts {
    DeltaParts::blank(dot.replica, dot.seq)
}

/// What the decoder makes of it, if anything.
fn sealed(parts: DeltaParts, prev_tag: Tag) -> Option<Delta> {
    let bytes = codec::encode_delta(&parts);
    Delta::decode(&bytes, prev_tag).ok()
}

fn value(input: &mut Input<'_>) -> Value {
    match input.byte() % 9 {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::Int(i64::from(input.byte()) << (input.byte() % 64)),
        3 => Value::Float(f64::NAN),
        4 => Value::Float(-0.0),
        5 => Value::Float(f64::from_bits(u64::from(input.byte()) << 56)),
        6 => Value::from("text"),
        7 => Value::Bytes([input.byte()].as_slice().into()),
        _ => Value::Int(i64::from(input.byte() % 4)),
    }
}

/// A document that took something in can still do everything.
pub(super) fn goes_on(mut document: Document) {
    let mut told = Document::new();
    told.apply_diff(&document.diff_since(&VersionVector::new())).expect("what a document tells applies");
    assert_eq!((told.beacon(), dump(&told)), (document.beacon(), dump(&document)), "DIFF-5");
    document.set_writer(Some(ReplicaId::from(77))).expect("no transaction is open");
    for seed in 0..4 {
        let mut random = Random::seeded(seed);
        // Whose numbers were used up by others edits no more; then nothing happens.
        if let Some(delta) = world::edit(&mut document, |tx| random_edit(tx, &mut random, true)) {
            told.apply(&delta).expect("what a document did applies where all else is known");
        }
    }
    assert_eq!((told.beacon(), dump(&told)), (document.beacon(), dump(&document)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_every_sort_go_through() {
        for bytes in valid_applies() {
            apply(&bytes);
        }
    }
}
