//! The renaming of a void branch: its deltas under the id that its void fact gives it.
//!
//! The log of a document's authority holds one of two branches of a replica's history. The deltas of the other one are written
//! again under another id, [`VoidFact::renamed`]: the dots from the branch's first on become 1, 2, 3, …, and everything that
//! the branch says of its own dots is said of the new ones. What others say of them is left and means the log's.
//!
//! Each renamed delta follows from the void facts, and from the branch up to it, alone: never from a state. So all who hold
//! the branch, or the beginning of it, make the same bytes and the same tags of it, and none of its edits counts twice.
//!
//! Three things are not the same under another name:
//!
//! - *Positions.* Nobody but its owner puts values into a bunch (SEQ-2), so what the branch put into bunches that are older than
//!   itself goes into a bunch of the new id. That hangs on the last index that the bunch had when the branch began, before
//!   all else that hangs there; so it is where the values were, behind what the log's branch put into the same bunch.
//! - *Totals.* A running total says all that its replica ever counted. The new id's begins at zero: from each total the one
//!   is taken off that the branch overwrote first. That one is the log's and stays (OWN-1).
//! - *Rights.* Both branches have used the same rights up, so those of a void branch go with it, but in a counter that is a
//!   part of the branch.
//!
//! Rules: FORK-3. SEQ-2. OWN-1.
//! Not here: which branches are void, and the document that they are joined to, in `crate::sync`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::clock::{Dot, DotRuns, Hlc, Tag, VoidFact};
use crate::codec::{self, MarkParts};
use crate::delta::{Delta, DeltaParts};
use crate::fault::{self, Fault};
use crate::few::Few;
use crate::ordered::{Map, sort_by};
use crate::replica_id::ReplicaId;
use crate::sequence::{BunchRecord, Position, Side};
use crate::store::{Container, Entry, Kind, Payload, Slot, TextRun};

/// Void branches that are renamed together: what one of them says of another one's dots is renamed, too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renaming {
    branches: Map<ReplicaId, Branch>,
}

#[derive(Clone, Debug)]
struct Branch {
    fact: VoidFact,
    /// Its last dot. Beyond it a dot is the log's: a diff may have brought the rest of the log's branch before anybody knew that there
    /// are two.
    last_seq: u64,
    /// What it is called now.
    id: ReplicaId,
    /// The tag that the chain of the new id has come to.
    tag: Tag,
    /// The bunches older than the branch that it went on in, each on one side, and its first dot there.
    continued: Map<(u64, bool), u64>,
    /// What the totals were that it overwrote first, by what they are in.
    totals: Vec<(Container, (u64, u64))>,
}

impl Renaming {
    /// One more branch. Of each replica there is one.
    pub(crate) fn add(&mut self, fact: VoidFact) {
        let id = fact.renamed();
        let (continued, totals) = (Map::new(), Vec::new());
        self.branches.insert(fact.replica, Branch { fact, last_seq: 0, id, tag: Tag::start(id), continued, totals });
    }

    /// Learns of the next delta of a branch, before any is renamed: what is said of it may come before it.
    pub(crate) fn learn(&mut self, delta: &Delta) {
        let Some(branch) = self.branches.get_mut(&delta.replica()) else { return };
        branch.last_seq = delta.last_seq().max(branch.last_seq);
        if fault::active(Fault::RenamedByTheEnd) {
            branch.id = VoidFact { tag: delta.tag(), ..branch.fact }.renamed();
            branch.tag = Tag::start(branch.id);
        }
        let parts = delta.parts();
        for (seq, entry) in &parts.adds {
            if let Slot::Position { bunch, backward } = entry.slot {
                branch.note_continued(bunch, backward, *seq);
            }
        }
        for run in &parts.text {
            branch.note_continued(run.bunch, run.backward, run.first.seq);
        }
    }

    /// The next delta of a branch under its new name.
    pub(crate) fn rename(&mut self, delta: &Delta) -> Delta {
        let parts = delta.parts();
        let Some(branch) = self.branches.get_mut(&parts.replica) else { return delta.clone() };
        let (id, tag, first) = (branch.id, branch.tag, branch.fact.first_seq);
        let first_seq = parts.first_seq.saturating_sub(first - 1);
        let mut totals = core::mem::take(&mut branch.totals);
        let (mut adds, mut totals_before) = (Few::new(), Few::new());
        for (seq, entry) in &parts.adds {
            let here = Dot::new(parts.replica, *seq);
            let renamed = self.dot(here).seq;
            let mut entry = self.entry(here, entry);
            if entry.kind == Kind::RIGHTS && entry.container_is_not_of(id) {
                continue;
            }
            if let Payload::Total { plus, minus } = &mut entry.payload {
                let before =
                    parts.totals_before.iter().find(|before| before.0 == *seq).map(|before| (before.1, before.2));
                let known = totals.iter().position(|(container, _)| *container == entry.container);
                let base = match (before, known) {
                    (Some(_), Some(at)) => totals[at].1,
                    (before, known) => {
                        let base = before.unwrap_or((0, 0));
                        match known {
                            Some(at) => totals[at].1 = base,
                            None => totals.push((entry.container.clone(), base)),
                        }
                        base
                    }
                };
                if !fault::active(Fault::RenamedTotalsKept) {
                    (*plus, *minus) = (plus.saturating_sub(base.0), minus.saturating_sub(base.1));
                }
                if let (Some(before), Some(_)) = (before, known) {
                    totals_before.push((renamed, before.0.saturating_sub(base.0), before.1.saturating_sub(base.1)));
                }
            }
            adds.push((renamed, entry));
        }
        let renamed = DeltaParts {
            replica: id,
            first_seq,
            dots: parts.dots,
            deps: self.deps(&parts, first),
            hlc: if adds.is_empty() { Hlc::default() } else { parts.hlc },
            bunches: self.bunches_of(&parts),
            adds,
            text: self.text(&parts.text),
            totals_before,
            removes: self.dots(&parts.removes),
        };
        let renamed = Delta::seal(renamed, tag);
        if let Some(branch) = self.branches.get_mut(&parts.replica) {
            (branch.tag, branch.totals) = (renamed.tag(), totals);
        }
        renamed
    }

    /// What a dot is called now.
    pub(crate) fn dot(&self, dot: Dot) -> Dot {
        match self.branches.get(&dot.replica) {
            Some(branch) if branch.has(dot.seq) => branch.renamed(dot.seq),
            _ => dot,
        }
    }

    fn container(&self, container: &Container) -> Container {
        match container {
            Container::Entity(dot) => Container::Entity(self.dot(*dot)),
            Container::Root { .. } => container.clone(),
        }
    }

    fn dots(&self, dots: &DotRuns) -> DotRuns {
        let mut renamed = DotRuns::new();
        for (replica, first, last) in dots.runs() {
            let is_within = |branch: &&Branch| last >= branch.fact.first_seq && first <= branch.last_seq;
            match self.branches.get(&replica).filter(is_within) {
                Some(branch) if !fault::active(Fault::RenamedRemovalsKept) => {
                    let (begin, end) = (branch.fact.first_seq.max(first), branch.last_seq.min(last));
                    if first < begin {
                        renamed.insert_run(replica, first, begin - 1);
                    }
                    renamed.insert_run(branch.id, branch.renamed(begin).seq, branch.renamed(end).seq);
                    if end < last {
                        renamed.insert_run(replica, end + 1, last);
                    }
                }
                _ => renamed.insert_run(replica, first, last),
            }
        }
        renamed
    }

    /// What a delta follows; the first one of a branch also what its replica did before, which goes without saying in a chain.
    fn deps(&self, parts: &DeltaParts, first: u64) -> Few<Dot> {
        let mut deps = Vec::new();
        for dep in &parts.deps {
            deps.push(self.dot(*dep));
        }
        if parts.first_seq == first && first > 1 {
            deps.push(Dot::new(parts.replica, first - 1));
        }
        sort_by(&mut deps, Ord::cmp);
        deps.dedup();
        deps.into()
    }

    /// The entry of a dot that is renamed.
    fn entry(&self, dot: Dot, entry: &Entry) -> Entry {
        let slot = match entry.slot {
            Slot::Position { bunch, backward } => {
                let (bunch, backward) = self.bunch_of(dot, bunch, backward);
                Slot::Position { bunch, backward }
            }
            _ => entry.slot.clone(),
        };
        let payload = match &entry.payload {
            Payload::Opaque(bytes) if entry.kind == Kind::MARK => Payload::Opaque(self.mark(bytes)),
            payload => payload.clone(),
        };
        Entry { container: self.container(&entry.container), slot, payload, kind: entry.kind, entity: entry.entity }
    }

    /// The bunch of a value of a branch, and the side that it is on.
    fn bunch_of(&self, dot: Dot, bunch: u64, backward: bool) -> (u64, bool) {
        let Some(branch) = self.branches.get(&dot.replica) else { return (bunch, backward) };
        if bunch >= branch.fact.first_seq {
            return (branch.renamed(bunch).seq, backward);
        }
        let begun = branch.continued.get(&(bunch, backward)).copied().unwrap_or(dot.seq);
        (branch.renamed(begun).seq, backward && begun != dot.seq)
    }

    fn text(&self, runs: &[TextRun]) -> Few<TextRun> {
        let mut renamed = Few::new();
        for run in runs {
            let container = self.container(&run.container);
            let first = self.dot(run.first);
            let (bunch, backward) = self.bunch_of(run.first, run.bunch, run.backward);
            let split = run.text.chars().next().filter(|_| run.backward && !backward);
            let (begun, rest) = run.text.split_at(split.map_or(run.text.len(), char::len_utf8));
            renamed.push(TextRun { first, container: container.clone(), bunch, backward, text: begun.into() });
            if !rest.is_empty() {
                // The first value of a bunch is on neither side of it.
                let first = Dot::new(first.replica, first.seq + 1);
                renamed.push(TextRun { first, container, bunch, backward: true, text: rest.into() });
            }
        }
        renamed
    }

    fn position(&self, at: Position) -> Position {
        let Some(branch) = self.branches.get(&at.bunch.replica) else { return at };
        let (begins, distance) = (branch.fact.first_seq, at.index.unsigned_abs());
        if branch.has(at.bunch.seq) {
            return Position { bunch: branch.renamed(at.bunch.seq), index: at.index };
        }
        let seq = at.bunch.seq.saturating_add(distance);
        if !branch.has(seq) {
            return at;
        }
        let index = |distance: u64| if at.index < 0 { -(distance as i64) } else { distance as i64 };
        match branch.continued.get(&(at.bunch.seq, at.index < 0)) {
            Some(begun) if seq >= *begun => Position { bunch: branch.renamed(*begun), index: index(seq - begun) },
            // No value was ever there; what comes last in the bunch as it was is as near.
            _ => Position { index: index(begins - 1 - at.bunch.seq), ..at },
        }
    }

    /// The positions that a delta of a branch hangs on, as what it is renamed to does: among them those that the branches need in place
    /// of others. They ascend by id.
    pub(crate) fn positions(&self, delta: &Delta, chains: &[BunchRecord]) -> Vec<BunchRecord> {
        let mut renamed = self.bunches(chains);
        if let Some(branch) = self.branches.get(&delta.replica()) {
            let begun = |bunch: &BunchRecord| {
                let parent = bunch.parent.bunch;
                bunch.id < branch.renamed(delta.first_seq()) && chains.iter().any(|chain| chain.id == parent)
            };
            renamed.extend(branch.begun().filter(begun));
        }
        let mut at = 0;
        while let Some(parent) = renamed.get(at).map(|bunch| bunch.parent.bunch) {
            let is_new = renamed.iter().all(|bunch| bunch.id != parent);
            renamed.extend(self.branches.values().flat_map(Branch::begun).find(|bunch| is_new && bunch.id == parent));
            at += 1;
        }
        sort_by(&mut renamed, |a, b| a.id.cmp(&b.id));
        renamed
    }

    /// Bunches under their new names. They ascend by id.
    fn bunches(&self, bunches: &[BunchRecord]) -> Vec<BunchRecord> {
        let mut renamed = Vec::with_capacity(bunches.len());
        for bunch in bunches {
            renamed.push(self.bunch(bunch));
        }
        sort_by(&mut renamed, |a, b| a.id.cmp(&b.id));
        renamed
    }

    fn bunch(&self, bunch: &BunchRecord) -> BunchRecord {
        BunchRecord { id: self.dot(bunch.id), parent: self.position(bunch.parent), ..*bunch }
    }

    /// The bunches that a delta begins: its own, and those in which it goes on where it may not any more.
    fn bunches_of(&self, parts: &DeltaParts) -> Vec<BunchRecord> {
        let mut bunches = self.bunches(&parts.bunches);
        if let Some(branch) = self.branches.get(&parts.replica) {
            for bunch in branch.begun() {
                if (parts.first_seq..=parts.last_seq()).contains(&(bunch.id.seq + branch.fact.first_seq - 1)) {
                    bunches.push(bunch);
                }
            }
        }
        sort_by(&mut bunches, |a, b| a.id.cmp(&b.id));
        bunches
    }

    /// A mark is opaque to the join, not to those who show it: its ends are positions, and it carries what they hang on.
    fn mark(&self, bytes: &Arc<[u8]>) -> Arc<[u8]> {
        let Some(mark) = codec::decode_mark(bytes).filter(|_| !fault::active(Fault::RenamedMarksKept)) else {
            return bytes.clone();
        };
        let mut known: Map<Dot, BunchRecord> = Map::new();
        for bunch in
            mark.chains.iter().map(|bunch| self.bunch(bunch)).chain(self.branches.values().flat_map(Branch::begun))
        {
            known.insert(bunch.id, bunch);
        }
        let MarkParts { key, value, mut start, mut end, .. } = mark;
        let mut chains: Map<Dot, BunchRecord> = Map::new();
        for anchor in [&mut start, &mut end] {
            anchor.at = self.position(anchor.at);
            let mut bunch = anchor.at.bunch;
            while let Some(record) = known.get(&bunch)
                && chains.insert_new(bunch, *record)
            {
                bunch = record.parent.bunch;
            }
        }
        let chains = chains.values().copied().collect();
        codec::encode_mark(&MarkParts { key, value, start, end, chains }).into()
    }
}

impl Branch {
    fn has(&self, seq: u64) -> bool {
        (self.fact.first_seq..=self.last_seq).contains(&seq)
    }

    fn renamed(&self, seq: u64) -> Dot {
        Dot::new(self.id, seq - (self.fact.first_seq - 1))
    }

    fn note_continued(&mut self, bunch: u64, backward: bool, seq: u64) {
        if bunch < self.fact.first_seq {
            let first = self.continued.get_or_insert_with((bunch, backward), || seq);
            *first = seq.min(*first);
        }
    }

    /// The bunches that it needs in place of those that it went on in.
    fn begun(&self) -> impl Iterator<Item = BunchRecord> + '_ {
        self.continued.iter().map(|((bunch, backward), first)| {
            let distance = (self.fact.first_seq - 1 - bunch) as i64;
            let parent = Position {
                bunch: Dot::new(self.fact.replica, *bunch),
                index: if *backward { -distance } else { distance },
            };
            // Nearer to the parent than whatever else hangs there: that is nearest to a value that goes on after it.
            let (side, rank) = if *backward { (Side::Left, 1) } else { (Side::Right, -1) };
            let rank = if fault::active(Fault::RenamedTextAfterChildren) { 0 } else { rank };
            BunchRecord { id: self.renamed(*first), parent, side, rank }
        })
    }
}

impl Entry {
    /// Whether it is in nothing that this replica created.
    fn container_is_not_of(&self, replica: ReplicaId) -> bool {
        !matches!(&self.container, Container::Entity(dot) if dot.replica == replica)
    }
}
