//! Random histories: documents that edit, talk over a bad network, forget their logs, are copied and lost.
//!
//! After every edit the document is compared with what it showed before and what the edit is to change, and after every step
//! with the specification: what lives, what is shown, and its beacon with every other document of the same version. At the end everything is delivered, and all must be equal.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::edit::{Edit, without_blanks};
use super::told::untold;
use super::told_values::mistold;
use super::{Random, Shape, Spec, content, dump};
use crate::{
    ApplyError, Changes, Commit, Delta, Diff, Digest, Document, Dot, EditError, Entry, Kind, Outcome, Path, Payload,
    ReplicaId, Tier, Timestamp, UndoLimits, VersionVector, codec,
};

type Keyed = BTreeMap<(String, Kind), Shape>;

/// What a history may do.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many steps.
    pub steps: usize,
    /// How many documents at the start.
    pub replicas: usize,
    /// Whether documents also exchange diffs.
    pub diffs: bool,
    /// Whether logs are truncated at random.
    pub truncate: bool,
    /// Whether documents are saved, loaded, copied under a new id, and lost.
    pub disks: bool,
    /// Whether copies keep their id, which a real replica never may.
    pub clones_keep_id: bool,
    /// Whether documents also undo and redo.
    pub undo: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: 60, replicas: 3, diffs: true, truncate: true, disks: true, clones_keep_id: false, undo: false }
    }
}

/// What went wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: usize,
    /// What was expected and seen.
    pub what: String,
}

/// A run in progress.
#[derive(Debug)]
pub struct History {
    random: Random,
    options: Options,
    documents: Vec<Document>,
    /// Deltas in flight: any document may get any of them, at any time, more than once.
    deltas: Vec<Delta>,
    diffs: Vec<Diff>,
    /// What documents said of themselves, now or some time ago.
    digests: Vec<Digest>,
    /// How many diffs of the digest tier changed a document.
    by_digest: usize,
    spec: Spec,
    next_id: u128,
    step: usize,
    beacons: BTreeMap<[u8; 16], [u8; 16]>,
    /// What each delta added to the counter that is a root.
    counted: BTreeMap<Dot, i128>,
}

impl History {
    /// Runs one history to its end.
    ///
    /// # Errors
    /// When a document is not what the specification says.
    pub fn run(seed: u64, options: &Options) -> Result<(), Failure> {
        Self::grow(seed, options)?.settle()
    }

    /// Runs one history, but leaves its documents as they are: apart, at different versions.
    ///
    /// # Errors
    /// When a document is not what the specification says.
    pub fn grow(seed: u64, options: &Options) -> Result<Self, Failure> {
        let mut history = Self {
            random: Random::seeded(seed),
            options: options.clone(),
            documents: Vec::new(),
            deltas: Vec::new(),
            diffs: Vec::new(),
            digests: Vec::new(),
            by_digest: 0,
            spec: Spec::default(),
            next_id: 0,
            step: 0,
            beacons: BTreeMap::new(),
            counted: BTreeMap::new(),
        };
        for _ in 0..options.replicas {
            let id = history.fresh_id();
            let document = history.blank(id);
            history.documents.push(document);
        }
        for step in 0..options.steps {
            history.step = step;
            let changed = history.one_step()?;
            history.check(changed)?;
        }
        Ok(history)
    }

    /// The documents.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// How many diffs of the digest tier changed a document.
    pub fn by_digest(&self) -> usize {
        self.by_digest
    }

    /// The specification, which knows every delta made.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Ids are spread by hashing, so that their order is not the order of birth.
    fn fresh_id(&mut self) -> ReplicaId {
        self.next_id += 1;
        let high = u128::from(Random::seeded(self.next_id as u64 ^ self.random.clone().next_u64()).next_u64());
        ReplicaId::from((high << 64) | self.next_id)
    }

    fn blank(&self, id: ReplicaId) -> Document {
        let mut document = Document::with_writer(id);
        if self.options.undo {
            document.keep_undo(Some(UndoLimits::default()));
        }
        document
    }

    fn fail<T>(&self, what: String) -> Result<T, Failure> {
        Err(Failure { step: self.step, what })
    }

    /// Does one thing and says which document may have changed.
    fn one_step(&mut self) -> Result<usize, Failure> {
        let at = self.random.below(self.documents.len());
        if self.options.undo && self.random.one_in(5) {
            self.undo(at)?;
            return Ok(at);
        }
        match self.random.below(20) {
            0..=7 => self.edit(at)?,
            8..=13 if !self.deltas.is_empty() => {
                let delta = self.random.pick(&self.deltas).clone();
                self.deliver(at, &delta)?;
            }
            14 | 15 if self.options.diffs => {
                // What a peer asked for some time ago, or another peer asked for: the answer may arrive anywhere.
                let diff = self.answer(at)?;
                self.diffs.push(diff);
                if self.diffs.len() > 8 {
                    let drop = self.random.below(self.diffs.len());
                    self.diffs.swap_remove(drop);
                }
            }
            16 | 17 if !self.diffs.is_empty() => {
                let diff = self.random.pick(&self.diffs).clone();
                match codec::decode_diff(&codec::encode_diff(&diff)) {
                    // The tags of a base are not looked at, and do not travel.
                    Ok(decoded)
                        if decoded.adds == diff.adds
                            && decoded.text == diff.text
                            && decoded.removes == diff.removes
                            && decoded.dead == diff.dead
                            && decoded.ahead.len() == diff.ahead.len()
                            && decoded.head == diff.head => {}
                    decoded => return self.fail(format!("{diff:#?}\nwas read as {decoded:#?}")),
                }
                let before = dump(&self.documents[at]);
                match self.documents[at].apply_diff(&diff) {
                    Ok(applied) => {
                        self.by_digest += usize::from(diff.tier == Tier::Digest && applied.outcome == Outcome::Applied);
                        self.check_changes(at, &before, &applied.changes)?;
                    }
                    Err(ApplyError::BaseNotCovered { .. }) => {}
                    Err(error) => return self.fail(format!("diff refused: {error}")),
                }
            }
            18 if self.options.truncate => self.documents[at].truncate_removals(),
            19 if self.options.disks => self.disk(at)?,
            _ => {}
        }
        Ok(at.min(self.documents.len() - 1))
    }

    /// What some document lacks that the one at `at` has, by its version or by a digest that may be old.
    fn answer(&mut self, at: usize) -> Result<Diff, Failure> {
        let asker = self.random.below(self.documents.len());
        if self.random.one_in(2) {
            return Ok(self.documents[at].diff_since(&self.documents[asker].version()));
        }
        let digest = self.documents[asker].digest();
        match codec::decode_digest(&codec::encode_digest(&digest)) {
            Ok(decoded) if decoded == digest => {}
            decoded => return self.fail(format!("{digest:#?}\nwas read as {decoded:#?}")),
        }
        self.digests.push(digest);
        if self.digests.len() > 4 {
            self.digests.remove(0);
        }
        let digest = self.random.pick(&self.digests).clone();
        Ok(self.documents[at].diff_for(&digest))
    }

    fn edit(&mut self, at: usize) -> Result<(), Failure> {
        // Clocks differ, run backwards, and now and then agree to the millisecond.
        let now = Timestamp(1_000 + (self.step as u64 / 6) * 20 + self.random.next_u64() % 30);
        let random = &mut self.random;
        let edits = 1 + random.below(3);
        let (before, version) = (dump(&self.documents[at]), self.documents[at].version());
        let mut expected = before.clone();
        let mut counted = 0;
        let mut otherwise = None;
        let commit: Result<Commit<()>, EditError> = self.documents[at].transact(now, |tx| {
            for _ in 0..edits {
                let (path, edit) = Edit::random(tx.document(), random, true);
                let new = edit.apply(tx, &path)?;
                let writer = tx.document().writer().unwrap_or(ReplicaId::NIL);
                edit.show(&mut expected, &path, writer, new);
                expected = without_blanks(expected.clone());
                let shown = without_blanks(dump(tx.document()));
                if shown != expected && otherwise.is_none() {
                    otherwise = Some(format!("{edit:?} at {path:#?} gives {shown:#?}\nexpected was {expected:#?}"));
                }
                if let (Edit::Count(amount), true) = (&edit, path == Path::root("r", Kind::COUNTER)) {
                    counted += i128::from(*amount);
                }
            }
            if random.one_in(12) { Err(EditError::Gone) } else { Ok(()) }
        });
        if let Some(what) = otherwise {
            return self.fail(what);
        }
        match commit {
            Ok(commit) => {
                if let Some(delta) = commit.delta {
                    if !self.options.clones_keep_id {
                        self.check_totals(&version, &delta)?;
                    }
                    self.spec.record(&delta);
                    self.counted.insert(delta.dot(), counted);
                    self.deltas.push(delta);
                }
                self.check_changes(at, &before, &commit.changes)
            }
            // Rolled back: nothing is different.
            Err(EditError::Gone) if dump(&self.documents[at]) == before => Ok(()),
            Err(error) => self.fail(format!("edit refused: {error}")),
        }
    }

    /// What a delta says that its totals overwrote is what they overwrote.
    fn check_totals(&self, before: &VersionVector, delta: &Delta) -> Result<(), Failure> {
        let parts = delta.parts();
        let live = self.spec.live(before);
        for (seq, entry) in parts.adds.iter().filter(|(_, entry)| entry.kind == Kind::TOTAL) {
            let same = |dot: &Dot, other: &Entry| {
                dot.replica == parts.replica && other.kind == Kind::TOTAL && other.container == entry.container
            };
            let old = live.iter().find(|(dot, (_, other))| same(dot, other)).map(|(_, (_, other))| &other.payload);
            let old = if let Some(Payload::Total { plus, minus }) = old { (*plus, *minus) } else { (0, 0) };
            let said = parts.totals_before.iter().find(|said| said.0 == *seq).map_or((0, 0), |said| (said.1, said.2));
            if said != old {
                return self.fail(format!("a total says that it overwrote {said:?}, and it was {old:?}: {delta:#?}"));
            }
        }
        Ok(())
    }

    /// Goes some steps back or forth, and once in a while there and back again.
    fn undo(&mut self, at: usize) -> Result<(), Failure> {
        let (redo, returns) = (self.random.one_in(3), self.random.one_in(4));
        for _ in 0..self.random.below(5) {
            self.step_back(at, redo)?;
        }
        let content_before = content(&self.documents[at]);
        if self.step_back(at, redo)? && returns && self.step_back(at, !redo)? {
            let content_after = content(&self.documents[at]);
            if content_after != content_before {
                return self.fail(format!(
                    "undo_3: document {at} goes back and forth from {content_before:#?}\nto {content_after:#?}"
                ));
            }
        }
        Ok(())
    }

    fn step_back(&mut self, at: usize, redo: bool) -> Result<bool, Failure> {
        let now = Timestamp(1_000 + (self.step as u64) * 10 + self.random.next_u64() % 50);
        let document = &mut self.documents[at];
        let (before, version, can) = (dump(document), document.version(), document.can_undo());
        let counted = document.counter("r").value();
        let (me, can) = (document.writer(), if redo { document.can_redo() } else { can });
        let commit = match if redo { document.redo(now) } else { document.undo(now) } {
            Ok(Some(commit)) if can => commit,
            Ok(None) if dump(document) == before => return Ok(false),
            result => return self.fail(format!("undo gave {result:?}")),
        };
        let Some(delta) = commit.delta else { return self.fail("an undo did nothing".into()) };
        self.check_totals(&version, &delta)?;
        self.spec.record(&delta);
        self.counted.insert(delta.dot(), self.documents[at].counter("r").value() - counted);
        self.deltas.push(delta);
        let after = self.spec.live(&self.documents[at].version());
        for dot in self.spec.live(&version).into_keys() {
            if Some(dot.replica) != me && !after.contains_key(&dot) {
                return self.fail(format!("undo_1: document {at} removes {dot:?} of another replica"));
            }
        }
        self.check_changes(at, &before, &commit.changes)?;
        Ok(true)
    }

    /// Everything travels as bytes, and what was read is what was written.
    fn deliver(&mut self, at: usize, delta: &Delta) -> Result<(), Failure> {
        match Delta::decode(delta.bytes(), delta.prev_tag()) {
            Ok(decoded) if decoded == *delta => {}
            decoded => return self.fail(format!("{delta:#?}\nwas read as {decoded:#?}")),
        }
        let before = dump(&self.documents[at]);
        match self.documents[at].apply(delta) {
            Ok(applied) => self.check_changes(at, &before, &applied.changes),
            // A copy that kept its id is found out, by its chain or by where it put something; that it is refused is right.
            Err(ApplyError::Fork { .. } | ApplyError::BunchConflict { .. }) if self.options.clones_keep_id => Ok(()),
            Err(error) => self.fail(format!("delta refused: {error}")),
        }
    }

    fn disk(&mut self, at: usize) -> Result<(), Failure> {
        let writer = self.documents[at].writer();
        match self.random.below(4) {
            0 | 1 => {
                let saved = self.documents[at].snapshot();
                let mut loaded = match Document::load(&saved) {
                    Ok(loaded) => loaded,
                    Err(error) => return self.fail(format!("snapshot refused: {error}")),
                };
                _ = loaded.set_writer(writer);
                if self.options.undo {
                    loaded.keep_undo(Some(UndoLimits::default()));
                }
                self.documents[at] = loaded;
            }
            2 if self.documents.len() < 6 => {
                let mut copy = self.documents[at].clone();
                if !self.options.clones_keep_id {
                    _ = copy.set_writer(Some(self.fresh_id()));
                }
                if self.options.undo {
                    // What the other one did is nothing of its own any more.
                    copy.keep_undo(Some(UndoLimits::default()));
                }
                self.documents.push(copy);
            }
            _ => {
                // A lost disk: the id is not used again.
                let id = self.fresh_id();
                self.documents[at] = self.blank(id);
            }
        }
        Ok(())
    }

    /// The application is told of everything that is shown differently.
    fn check_changes(&self, at: usize, before: &Keyed, changes: &Changes) -> Result<(), Failure> {
        let after = dump(&self.documents[at]);
        if let Some(change) = mistold(before, &after, changes) {
            return self.fail(format!(
                "document {at} tells other values than it shows: {change:#?}\nbefore {before:#?}\nafter {after:#?}"
            ));
        }
        match untold(before, &after, changes) {
            None => Ok(()),
            Some(path) => self.fail(format!(
                "document {at} does not tell what changed in {path:#?}\nit tells {changes:#?}\nbefore {before:#?}\nafter {after:#?}"
            )),
        }
    }

    fn check(&mut self, at: usize) -> Result<(), Failure> {
        if !self.options.clones_keep_id {
            self.check_against_spec(at)?;
        }
        // DOT-1: where one dot was bound twice, the chains are different and so are the hashes of the versions.
        let document = &self.documents[at];
        let beacon = document.beacon();
        let known = *self.beacons.entry(document.version_hash()).or_insert(beacon);
        if known != beacon {
            return self.fail(format!("document {at} has another beacon than one of the same version"));
        }
        Ok(())
    }

    fn check_against_spec(&self, at: usize) -> Result<(), Failure> {
        let document = &self.documents[at];
        let version = document.version();
        let expected = self.spec.dump(&version);
        let shown = dump(document);
        if shown != expected {
            return self.fail(format!("document {at} shows {shown:#?}\nthe specification says {expected:#?}"));
        }
        let (heads, expected) = (document.heads(), self.spec.heads(&version));
        if heads != expected {
            return self.fail(format!("document {at} has the heads {heads:?}, the specification {expected:?}"));
        }
        // Every increment counts once, whoever made it and however it came here. Nothing ever removes a root.
        let covered = self.counted.iter().filter(|(dot, _)| version.covers(**dot));
        let (counted, counter) = (covered.map(|(_, amount)| amount).sum::<i128>(), document.counter("r").value());
        if counter != counted {
            return self.fail(format!("document {at} counts {counter}, and {counted} was added"));
        }
        let live: Vec<Dot> = self.spec.live(&version).into_keys().collect();
        if live.len() != document.live_count() {
            let count = document.live_count();
            return self.fail(format!("document {at} has {count} live dots, the specification {}", live.len()));
        }
        Ok(())
    }

    /// Delivers everything that anybody has, by deltas in random order and by diffs, until all are equal.
    fn settle(&mut self) -> Result<(), Failure> {
        self.step = self.options.steps;
        let mut deltas: Vec<Delta> = self.deltas.clone();
        self.random.shuffle(&mut deltas);
        for at in 0..self.documents.len() {
            if at % 2 == 0 {
                for delta in &deltas {
                    self.deliver(at, delta)?;
                }
            }
        }
        if self.options.clones_keep_id {
            // Whose history is the real one nobody here decides; but whoever says the same has the same.
            return (0..self.documents.len()).try_for_each(|at| self.check(at));
        }
        for _ in 0..2 {
            for from in 0..self.documents.len() {
                for to in 0..self.documents.len() {
                    let diff = if self.random.one_in(2) {
                        self.documents[from].diff_for(&self.documents[to].digest())
                    } else {
                        self.documents[from].diff_since(&self.documents[to].version())
                    };
                    match self.documents[to].apply_diff(&diff) {
                        Ok(_) => {}
                        Err(error) => return self.fail(format!("diff refused at the end: {error}")),
                    }
                }
            }
        }
        let version: VersionVector = self.documents[0].version();
        for at in 0..self.documents.len() {
            self.check(at)?;
            if self.documents[at].version() != version {
                return self.fail(format!("document {at} is at another version than document 0"));
            }
            if self.documents[at].heads() != self.documents[0].heads() {
                return self.fail(format!("document {at} has other heads than document 0"));
            }
        }
        Ok(())
    }
}
