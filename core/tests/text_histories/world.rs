//! Replicas that edit lists and texts at random and talk over a bad network, each compared with the archive after every step.
//!
//! They are cut off from each other for a while, deltas come late, twice and in any order, diffs of every tier and of some time
//! ago, documents are saved and loaded, copied under a new id and forget what they may; in half of the histories all forget it
//! after every step, so that nothing dead is kept.

use std::collections::BTreeMap;

use weftline::testing::Random;
use weftline::{
    ApplyError, Bias, ChangeKind, Changes, Commit, Cursor, Delta, Diff, Digest, Document, Dot, EditError, Kind,
    Outcome, Path, ReplicaId, TextStep, Tier, Timestamp, UndoLimits, VersionVector, codec,
};

use super::archive::{Archive, root, under};
use super::draft::{Draft, PLACES, character};
use super::story::{Item, Stories, Story};

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) steps: usize,
    /// Of a hundred edits so many are in lists, and so many of those are moves.
    pub(crate) lists: usize,
    pub(crate) moves: usize,
    /// Of a hundred edits so many are under a key, where creations meet and are removed.
    pub(crate) keyed: usize,
    pub(crate) undo: bool,
}

/// What a history has seen, so that a test can say that it is not empty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) parked: usize,
    pub(crate) by_version: usize,
    pub(crate) by_digest: usize,
    pub(crate) in_full: usize,
    pub(crate) undone: usize,
    pub(crate) pairs: (usize, usize),
    pub(crate) values: usize,
    /// How often somebody was shown two live incarnations of one key.
    pub(crate) several: usize,
    pub(crate) cursors: usize,
}

struct Replica {
    document: Document,
    previous: Option<Item>,
    run: Option<usize>,
    /// Who is cut off from the others stands on another side.
    side: usize,
}

pub(crate) struct World {
    options: Options,
    random: Random,
    hasty: bool,
    replicas: Vec<Replica>,
    deltas: Vec<Delta>,
    diffs: Vec<Diff>,
    digests: Vec<Digest>,
    archive: Archive,
    stories: Stories,
    beacons: BTreeMap<[u8; 16], [u8; 16]>,
    /// Places in the first text as somebody kept them: in bytes, the character they keep to, and whether it is before them.
    cursors: Vec<(Vec<u8>, Option<Dot>, Bias)>,
    names: [String; 4],
    now: u64,
    pub(crate) seen: Seen,
}

/// Runs one history to its end.
pub(crate) fn history(seed: u64, options: Options) -> Seen {
    let mut world = World::new(seed, options);
    for _ in 0..options.steps {
        world.step();
    }
    world.finish();
    world.seen
}

impl World {
    pub(crate) fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::seeded(seed);
        let map = root("m", Kind::MAP);
        let names =
            [root("t", Kind::TEXT), under(&map, "t", Kind::TEXT), root("l", Kind::LIST), under(&map, "l", Kind::LIST)];
        let hasty = random.one_in(2);
        let mut world = Self {
            options,
            random,
            hasty,
            replicas: Vec::new(),
            deltas: Vec::new(),
            diffs: Vec::new(),
            digests: Vec::new(),
            archive: Archive::default(),
            stories: Stories::default(),
            beacons: BTreeMap::new(),
            cursors: Vec::new(),
            names,
            now: 1,
            seen: Seen::default(),
        };
        for _ in 0..2 + world.random.below(3) {
            world.join(Document::new());
        }
        world
    }

    /// A document that is written under an id of its own from now on.
    fn join(&mut self, mut document: Document) {
        let id = u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64());
        document.set_writer(Some(ReplicaId::from(id))).expect("no transaction is open");
        document.keep_undo(self.options.undo.then(UndoLimits::default));
        self.replicas.push(Replica { document, previous: None, run: None, side: 0 });
    }

    fn step(&mut self) {
        self.now += self.random.below(2) as u64;
        let who = self.random.below(self.replicas.len());
        match self.random.below(100) {
            0..55 => self.edit(who),
            55..60 if self.options.undo => self.undo_or_redo(who),
            60..62 if self.replicas.len() < 6 => {
                let copy = self.replicas[who].document.clone();
                self.join(copy);
            }
            62..66 => {
                let side = self.random.below(2);
                self.replicas[who].side = side;
            }
            66..69 => self.reload(who),
            69..72 => self.replicas[who].document.truncate_removals(),
            72..74 => self.digests.push(self.replicas[who].document.digest()),
            74..78 => self.keep_cursor(who),
            _ => self.hear(who),
        }
        if self.hasty {
            for replica in &mut self.replicas {
                replica.document.truncate_removals();
            }
        }
        self.look(who);
    }

    // ---- editing ----

    fn edit(&mut self, who: usize) {
        let list = self.random.below(100) < self.options.lists;
        let keyed = self.random.below(100) < self.options.keyed;
        let place = usize::from(list) * 2 + usize::from(keyed);
        // Typed in several transactions, without anybody between.
        let sittings = if self.random.one_in(3) { 1 + self.random.below(4) } else { 1 };
        let (backward, mut at) = (self.random.one_in(3), None);
        for _ in 0..sittings {
            let mut draft = self.draft(who, place);
            if sittings > 1 {
                let index = at.unwrap_or_else(|| self.gap(&draft)).min(draft.seen.len());
                draft.insert(&mut self.stories, index, 1);
                at = Some(index + usize::from(!backward));
            } else {
                for _ in 0..1 + self.random.below(3) {
                    self.plan(&mut draft);
                }
            }
            let fails = self.random.one_in(8);
            self.perform(who, &draft, fails);
        }
    }

    pub(crate) fn draft(&self, who: usize, place: usize) -> Draft {
        let replica = &self.replicas[who];
        let order = self.archive.order(&self.names[place], &replica.document.version());
        let elements = self.archive.elements(&order);
        let items = order.iter().zip(&elements);
        let seen = items.map(|(dot, element)| (self.stories.item(*dot), self.stories.item(*element))).collect();
        Draft::new(place, &replica.document, (replica.previous, replica.run), seen)
    }

    fn plan(&mut self, draft: &mut Draft) {
        let len = draft.seen.len();
        let list = PLACES[draft.place].list;
        if list && len > 1 && self.random.below(100) < self.options.moves {
            let (from, to) = (self.random.below(len), self.random.below(len));
            return draft.move_to(&mut self.stories, from, to);
        }
        if PLACES[draft.place].keyed && len > 0 && self.random.one_in(12) {
            return draft.remove_whole();
        }
        let gap = self.gap(draft);
        let count = match self.random.below(10) {
            0 if !list => 12 + self.random.below(60),
            1..4 => 2 + self.random.below(6),
            _ => 1,
        };
        match self.random.below(10) {
            0..3 if len > 0 => {
                let start = self.random.below(len);
                draft.delete(start, 1 + self.random.below((len - start).min(8)));
            }
            3 if len > 0 => {
                // As a selection that is typed over.
                let start = self.random.below(len);
                let more = 1 + self.random.below((len - start).min(5));
                draft.insert(&mut self.stories, start, count);
                draft.delete(start + count, more);
            }
            4 => {
                // Typed, and taken back in part at once.
                draft.insert(&mut self.stories, gap, count + 2);
                let less = 1 + self.random.below(count + 2);
                draft.delete(gap + self.random.below(count + 3 - less), less);
            }
            _ => draft.insert(&mut self.stories, gap, count),
        }
    }

    /// Ends and middle are hot, and so is the place where one typed last.
    fn gap(&mut self, draft: &Draft) -> usize {
        let (len, last) = (draft.seen.len(), draft.hand().0);
        let after_last = last.and_then(|last| draft.seen.iter().position(|seen| seen.0 == last));
        match (self.random.below(6), after_last) {
            (0, _) => 0,
            (1, _) => len,
            (2, _) => len / 2,
            (3, Some(at)) => at + 1,
            (4, Some(at)) => at,
            _ => self.random.below(len + 1),
        }
    }

    /// Has a document do what was planned; or begin it, and take it back.
    pub(crate) fn perform(&mut self, who: usize, draft: &Draft, fails: bool) {
        let (text, now) = (self.told_text(who), Timestamp(self.now));
        let replica = &mut self.replicas[who];
        let before = fails.then(|| replica.document.clone());
        let stories = &mut self.stories;
        let commit: Result<Commit<()>, EditError> = replica.document.transact(now, |tx| {
            draft.perform(tx, stories)?;
            if fails { Err(EditError::Gone) } else { Ok(()) }
        });
        if let Some(before) = before {
            assert_eq!(commit.err(), Some(EditError::Gone));
            assert_eq!(replica.document.snapshot(), before.snapshot(), "a transaction is rolled back without a trace");
            return self.look(who);
        }
        let commit = commit.expect("the edit is possible");
        self.check_told(who, &text, &commit.changes);
        let Some(delta) = commit.delta else { return self.look(who) };
        self.send(&delta);
        let parts = delta.parts();
        let mut born: BTreeMap<char, Item> = draft.born.iter().map(|(item, _)| (character(*item), *item)).collect();
        for (dot, character) in characters(&delta) {
            let item = born.remove(&character).expect("what a transaction typed");
            self.stories.bind(item, dot);
        }
        for (seq, entry) in parts.adds.iter().filter(|(_, entry)| entry.kind == Kind::MOVE) {
            let moved = |born: &&(Item, Item)| {
                let element = self.stories.dot(born.1).map(weftline::Container::Entity);
                born.0 != born.1 && element.as_ref() == Some(&entry.container)
            };
            let (item, _) = *draft.born.iter().rev().find(moved).expect("what a transaction moved");
            self.stories.bind(item, Dot::new(parts.replica, *seq));
        }
        let order = self.archive.order(&self.names[draft.place], &self.replicas[who].document.version());
        let seen: Vec<Option<Dot>> = draft.seen.iter().map(|(item, _)| self.stories.dot(*item)).collect();
        assert!(order.iter().copied().map(Some).eq(seen.iter().copied()), "what was put between two is there");
        (self.replicas[who].previous, self.replicas[who].run) = draft.hand();
        self.look(who);
    }

    fn undo_or_redo(&mut self, who: usize) {
        let (text, now) = (self.told_text(who), Timestamp(self.now));
        let redo = self.random.one_in(3);
        let document = &mut self.replicas[who].document;
        let commit = if redo { document.redo(now) } else { document.undo(now) };
        let Some(commit) = commit.expect("it is possible") else { return };
        self.seen.undone += 1;
        self.check_told(who, &text, &commit.changes);
        let Some(delta) = commit.delta else { return };
        self.send(&delta);
        let parts = delta.parts();
        // What came back has no neighbours that anybody chose.
        let positions = parts.adds.iter().filter(|(_, entry)| matches!(entry.slot, weftline::Slot::Position { .. }));
        let entries = positions.map(|(seq, _)| Dot::new(parts.replica, *seq));
        let all: Vec<Dot> = characters(&delta).into_iter().map(|(dot, _)| dot).chain(entries).collect();
        for dot in all {
            let saw = VersionVector::new();
            let story = Story { left: None, right: None, writer: parts.replica, saw, previous: None, dot: None };
            let item = self.stories.begin(story);
            self.stories.bind(item, dot);
        }
        self.look(who);
    }

    /// Gives a delta to the others, in time, and to the archive.
    fn send(&mut self, delta: &Delta) {
        self.archive.record(delta.bytes());
        self.deltas.push(Delta::decode(delta.bytes(), delta.prev_tag()).expect("what was written is read"));
    }

    // ---- hearing ----

    fn hear(&mut self, who: usize) {
        let near = |other: &usize| *other != who && self.replicas[*other].side == self.replicas[who].side;
        let near: Vec<usize> = (0..self.replicas.len()).filter(near).collect();
        if near.is_empty() {
            return;
        }
        let from = *self.random.pick(&near);
        match self.random.below(12) {
            0 | 1 => self.hear_diff(from, who),
            2 => {
                let digest = self.replicas[who].document.digest();
                let diff = self.replicas[from].document.diff_for(&digest);
                self.take_diff(who, &diff);
            }
            3 if !self.digests.is_empty() => {
                let digest = self.random.pick(&self.digests).clone();
                let diff = self.replicas[from].document.diff_for(&digest);
                self.take_diff(who, &diff);
            }
            4 if !self.diffs.is_empty() => {
                let diff = self.random.pick(&self.diffs).clone();
                self.take_diff(who, &diff);
            }
            _ => {
                // Any of them, in any order, and again.
                let known: Vec<Delta> = self
                    .deltas
                    .iter()
                    .filter(|delta| self.replicas[from].document.covers(delta.dot()))
                    .cloned()
                    .collect();
                for _ in 0..self.random.below(12) {
                    if known.is_empty() {
                        return;
                    }
                    let delta = self.random.pick(&known).clone();
                    self.take(who, &delta);
                }
            }
        }
    }

    fn take(&mut self, who: usize, delta: &Delta) {
        let text = self.told_text(who);
        let applied = self.replicas[who].document.apply(delta).expect("an honest delta is taken");
        self.check_told(who, &text, &applied.changes);
        self.seen.parked += usize::from(applied.outcome == Outcome::Parked);
        if applied.outcome == Outcome::Applied {
            self.look(who);
        }
    }

    fn hear_diff(&mut self, from: usize, who: usize) {
        let mut diff = self.replicas[from].document.diff_since(&self.replicas[who].document.version());
        if diff.tier == Tier::Full && self.random.one_in(2) {
            diff = self.replicas[from].document.diff_for(&self.replicas[who].document.digest());
        }
        self.take_diff(who, &diff);
        if self.random.one_in(3) {
            self.diffs.push(diff);
        }
    }

    fn take_diff(&mut self, who: usize, diff: &Diff) {
        let text = self.told_text(who);
        let diff = codec::decode_diff(&codec::encode_diff(diff)).expect("what was written is read");
        match self.replicas[who].document.apply_diff(&diff) {
            Ok(applied) => {
                self.check_told(who, &text, &applied.changes);
                match diff.tier {
                    Tier::Version => self.seen.by_version += 1,
                    Tier::Digest => self.seen.by_digest += 1,
                    Tier::Full => self.seen.in_full += 1,
                }
            }
            // It was for somebody else.
            Err(ApplyError::BaseNotCovered { .. }) => {}
            Err(error) => panic!("an honest diff is taken: {error}"),
        }
        self.look(who);
    }

    fn reload(&mut self, who: usize) {
        let replica = &mut self.replicas[who];
        let mut loaded = Document::load(&replica.document.snapshot()).expect("what was saved loads");
        assert_eq!(loaded.snapshot(), replica.document.snapshot(), "what was loaded is saved as it was");
        loaded.set_writer(replica.document.writer()).expect("no transaction is open");
        loaded.keep_undo(self.options.undo.then(UndoLimits::default));
        replica.document = loaded;
    }

    // ---- looking ----

    fn told_text(&self, who: usize) -> String {
        PLACES[0].read_text(&self.replicas[who].document)
    }

    /// The steps that are told lead from the text that was to the text that is.
    fn check_told(&self, who: usize, before: &str, changes: &Changes) {
        let path = Path::root("t", Kind::TEXT);
        let mut now = before.to_string();
        for change in changes.list.iter().filter(|change| change.path == path) {
            let ChangeKind::Text(steps) = &change.kind else { panic!("of a text something else is told: {change:?}") };
            now = followed(before, steps);
        }
        assert_eq!(now, self.told_text(who), "{before:?} and what is told of it: {changes:?}");
    }

    /// Compares what a document shows with the archive, and with all that was ever shown.
    fn look(&mut self, who: usize) {
        let document = &self.replicas[who].document;
        let version = document.version();
        for (place, name) in PLACES.iter().zip(&self.names) {
            let order = self.archive.order(name, &version);
            self.stories.show(&order);
            if place.list {
                assert_eq!(place.read_list(document), self.archive.elements(&order), "{name} of document {who}");
            } else {
                assert_eq!(place.read_text(document), self.archive.text(&order), "{name} of document {who}");
            }
        }
        let order = self.archive.order(&self.names[0], &version);
        self.check_cursor(who, &order);
        let document = &self.replicas[who].document;
        let text = document.text("t");
        let all = text.to_string();
        assert_eq!((text.len(), text.len_utf8()), (all.chars().count(), all.len()));
        assert_eq!((text.len_utf16(), text.lines()), (all.encode_utf16().count(), 1 + all.matches('\n').count()));
        let (from, more) = (self.random.below(text.len() + 1), self.random.below(20));
        assert_eq!(text.slice(from..from + more), all.chars().skip(from).take(more).collect::<String>());
        self.seen.several += usize::from(self.archive.incarnations(&self.names[1], &version) > 1);
        let beacon = document.beacon();
        let known = *self.beacons.entry(document.version_hash()).or_insert(beacon);
        assert_eq!(known, beacon, "equal versions mean equal states");
    }

    fn keep_cursor(&mut self, who: usize) {
        let document = &self.replicas[who].document;
        let order = self.archive.order(&self.names[0], &document.version());
        let index = self.random.below(order.len() + 1);
        let (bias, beside) = if self.random.one_in(2) {
            (Bias::Left, index.checked_sub(1).and_then(|before| order.get(before)))
        } else {
            (Bias::Right, order.get(index))
        };
        let cursor = document.text("t").cursor(index, bias).expect("within the text");
        self.cursors.push((cursor.to_bytes(), beside.copied(), bias));
    }

    /// A cursor is where its character is, or was, at everybody who knows that.
    fn check_cursor(&mut self, who: usize, order: &[Dot]) {
        if self.cursors.is_empty() {
            return;
        }
        let (bytes, beside, bias) = &self.cursors[self.random.below(self.cursors.len())];
        let cursor = Cursor::from_bytes(bytes).expect("what was written is read");
        let document = &self.replicas[who].document;
        let expected = match (beside, bias) {
            (Some(dot), _) if !document.covers(*dot) => None,
            (Some(dot), Bias::Left) => Some(self.archive.before(order, *dot) + usize::from(order.contains(dot))),
            (Some(dot), Bias::Right) => Some(self.archive.before(order, *dot)),
            (None, Bias::Left) => Some(0),
            (None, Bias::Right) => Some(order.len()),
        };
        assert_eq!(document.text("t").index_of(&cursor), expected, "{bias:?} of {beside:?} in document {who}");
        self.seen.cursors += 1;
    }

    fn check_stories(&mut self, who: usize) {
        let version = self.replicas[who].document.version();
        for (place, name) in self.names.iter().enumerate() {
            let order = self.archive.order(name, &version);
            // A move is not typing, nor is what an undo brings back.
            let typed = !(self.options.undo || PLACES[place].list && self.options.moves > 0);
            self.stories.check(place, &order, typed);
        }
    }

    /// Delivers everything to everybody.
    pub(crate) fn finish(&mut self) {
        for who in 0..self.replicas.len() {
            self.check_stories(who);
        }
        let mut deltas = self.deltas.clone();
        self.random.shuffle(&mut deltas);
        for delta in &deltas {
            self.take(0, delta);
        }
        for _ in 0..2 {
            for from in 0..self.replicas.len() {
                for to in (0..self.replicas.len()).filter(|to| *to != from) {
                    self.hear_diff(from, to);
                }
            }
        }
        let first = self.replicas[0].document.clone();
        for replica in &self.replicas {
            assert_eq!(replica.document.version(), first.version());
            assert_eq!(replica.document.beacon(), first.beacon());
            for place in PLACES {
                assert_eq!(place.read_text(&replica.document), place.read_text(&first), "C1");
                assert_eq!(place.read_list(&replica.document), place.read_list(&first), "C1");
            }
        }
        self.check_stories(0);
        self.stories.check_all_shown();
        (self.seen.pairs, self.seen.values) = (self.stories.pairs, self.stories.next());
    }
}

fn characters(delta: &Delta) -> Vec<(Dot, char)> {
    let parts = delta.parts();
    let of_run = |run: &weftline::TextRun| {
        let first = run.first;
        let dots = (first.seq..).map(move |seq| Dot::new(first.replica, seq));
        dots.zip(run.text.chars().collect::<Vec<_>>())
    };
    parts.text.iter().flat_map(of_run).collect()
}

/// The text that steps lead to.
pub(crate) fn followed(before: &str, steps: &[TextStep]) -> String {
    let (mut old, mut new) = (before.chars(), String::new());
    for step in steps {
        match step {
            TextStep::Retain(count) => new.extend(old.by_ref().take(count.chars)),
            TextStep::Insert(text) => new.push_str(text),
            TextStep::Delete(count) => {
                assert_eq!(old.by_ref().take(count.chars).count(), count.chars, "there is that much")
            }
        }
    }
    new + old.as_str()
}
