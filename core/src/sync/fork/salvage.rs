//! What lived of a branch of which the deltas are gone, under names of its own.
//!
//! A relay that is put back to an older state may have acked a branch before, and everybody may hold it: then nobody has its
//! deltas any more, and from which dot on it is void is not known either. All that is left is what lives of it. What the relay
//! has under the same dot and the same payload stays; everything else is *moved*: each replica's part to an id that follows from
//! it and from what is moved, under the sequence numbers that it had. With it goes whatever is inside of it or hangs on its
//! positions. Who holds the same makes the same of it; who holds something else, something else beside it: nothing that
//! lives is lost, and something may be there twice.
//!
//! Not moved are running totals and rights in what stays: the log's count. Removals of the branch may come undone; of what the
//! relay lacks nobody can tell which of the dead the branch removed, so the repair says that it has removed all of them.
//!
//! Rules: FORK-5.

use alloc::vec::Vec;

use super::living::{Living, parts};
use super::{Chains, Moved};
use crate::clock::{Dot, DotRuns, Hlc, Tag, VersionEntry, VersionVector, VoidFact};
use crate::diff::{Diff, LiveEntry, Tier};
use crate::document::Document;
use crate::ordered::{Map, Set, sort_by};
use crate::replica_id::ReplicaId;
use crate::sequence::{BunchRecord, Position};
use crate::store::{Container, Entry, Kind, Slot, TextRun, beacon_share};

/// What is here of a replica that is not what the relay has of it, or may not be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    /// From this dot on it may not be, unless it is bound to the same.
    doubted: u64,
    /// From this dot on it is not: here is something else than there.
    differs: u64,
}

impl Since {
    const NEVER: Self = Self { doubted: u64::MAX, differs: u64::MAX };
}

/// By replica.
pub(super) type Lost = Map<ReplicaId, Since>;

fn is_doubted(lost: &Lost, dot: Dot) -> bool {
    lost.get(&dot.replica).is_some_and(|since| dot.seq >= since.doubted)
}

/// Up to where the dots of a replica are bound to the same here and there.
pub(super) fn same_upto(lost: &Lost, replica: ReplicaId) -> u64 {
    lost.get(&replica).map_or(u64::MAX, |since| since.differs.saturating_sub(1))
}

/// Whether a dot is bound to something else here than there.
fn differs(lost: &Lost, dot: Dot) -> bool {
    lost.get(&dot.replica).is_some_and(|since| dot.seq >= since.differs)
}

/// The replicas that contradict and whose branches could not be renamed. Whatever is bound to something else here than there
/// contradicts, too, whether anybody noticed or not (DOT-1).
pub(super) fn lost(was: &Living, is: &Living, moved: &Moved, contradicted: &Set<ReplicaId>) -> Lost {
    let mut lost = Lost::new();
    let mut doubt = |replica: ReplicaId, differs: u64| {
        let since = lost.get_or_insert_with(replica, || Since::NEVER);
        *since = Since { doubted: 1, differs: differs.min(since.differs) };
    };
    for replica in contradicted.iter() {
        if moved.facts.iter().all(|fact| fact.replica != *replica) {
            doubt(*replica, u64::MAX);
        }
    }
    for add in was.diff.adds.iter().filter(|add| !moved.dots.contains(add.dot)) {
        if is.entry(add.dot).is_some_and(|found| found != add) {
            doubt(add.dot.replica, add.dot.seq);
        }
    }
    let mut theirs = is.characters().peekable();
    for (dot, found) in was.characters() {
        while theirs.next_if(|(other, _)| *other < dot).is_some() {}
        let differs = theirs.peek().is_some_and(|(other, there)| *other == dot && *there != found);
        if differs && !moved.dots.contains(dot) {
            doubt(dot.replica, dot.seq);
        }
    }
    lost
}

/// Takes out of what waits what is lost, or builds upon it: it names what only those know who had the branch.
pub(super) fn give_up(chains: &mut Chains, lost: &mut Lost, moved: &Moved) {
    // What is taken out, by the names that it has here.
    let mut gone = DotRuns::new();
    loop {
        let mut found = None;
        for (replica, chain) in chains.iter() {
            let is_gone = |dep: Dot| is_doubted(lost, dep) || gone.contains(dep);
            let at = chain.iter().position(|waiting| {
                is_doubted(lost, waiting.delta.dot()) || waiting.deps.iter().any(|(dep, _)| is_gone(*dep))
            });
            if let Some(at) = at {
                found = Some((*replica, at));
                break;
            }
        }
        let Some((replica, at)) = found else { return };
        let Some(chain) = chains.get_mut(&replica) else { return };
        let mut first = Dot::new(replica, chain[at].delta.first_seq());
        gone.insert_run(replica, first.seq, u64::MAX - 1);
        chain.truncate(at);
        if chain.is_empty() {
            chains.remove(&replica);
        }
        // What lives of it has the name that it had before it was renamed.
        while let Some(fact) = moved.facts.iter().find(|fact| fact.renamed() == first.replica) {
            first = Dot::new(fact.replica, first.seq + fact.first_seq - 1);
        }
        let since = lost.get_or_insert_with(first.replica, || Since::NEVER);
        *since = Since { doubted: first.seq.min(since.doubted), differs: first.seq.min(since.differs) };
    }
}

/// What is moved.
pub(super) struct Salvaged<'l> {
    was: &'l Living,
    /// The dots of it, and of the totals that are not.
    pub(super) dots: DotRuns,
    /// The bunches that are not where they were.
    pub(super) bad: Set<Dot>,
    adds: Vec<&'l LiveEntry>,
    text: Vec<TextRun>,
}

/// Finds out what is to be moved.
pub(super) fn salvage<'l>(was: &'l Living, is: &Living, lost: &Lost) -> Salvaged<'l> {
    let mut bad: Set<Dot> = Set::new();
    loop {
        let before = bad.len();
        for bunch in &was.diff.bunches {
            let gone = is_doubted(lost, bunch.id) && is.bunch(bunch.id) != Some(bunch) || differs(lost, bunch.id);
            if gone || bad.contains(&bunch.parent.bunch) {
                bad.insert(bunch.id);
            }
        }
        if bad.len() == before {
            break;
        }
    }
    let (mut dots, mut uncounted) = (DotRuns::new(), DotRuns::new());
    for add in &was.diff.adds {
        let same = is.entry(add.dot) == Some(add) && !differs(lost, add.dot);
        if same || !is_doubted(lost, add.dot) {
            continue;
        }
        if matches!(add.entry.kind, Kind::TOTAL | Kind::RIGHTS) {
            uncounted.insert(add.dot);
        } else {
            dots.insert(add.dot);
        }
    }
    let mut theirs = is.characters().peekable();
    for (dot, found) in was.characters() {
        while theirs.next_if(|(other, _)| *other < dot).is_some() {}
        let same = theirs.peek() == Some(&(dot, found)) && !differs(lost, dot);
        if is_doubted(lost, dot) && !same {
            dots.insert(dot);
        }
    }
    loop {
        let before = dots.dot_count();
        let inside = |dots: &DotRuns, container: &Container| matches!(container, Container::Entity(entity) if dots.contains(*entity));
        for add in &was.diff.adds {
            let hangs = matches!(add.entry.slot, Slot::Position { bunch, .. }
                if bad.contains(&Dot::new(add.dot.replica, bunch)));
            if hangs || inside(&dots, &add.entry.container) {
                dots.insert(add.dot);
            }
        }
        for run in &was.diff.text {
            if bad.contains(&Dot::new(run.first.replica, run.bunch)) || inside(&dots, &run.container) {
                dots.insert_run(run.first.replica, run.first.seq, run.last_seq());
            }
        }
        if dots.dot_count() == before {
            break;
        }
    }
    let adds = was.diff.adds.iter().filter(|add| dots.contains(add.dot)).collect();
    let mut text = Vec::new();
    for run in &was.diff.text {
        parts(run, |dot| dots.contains(dot), |part| text.push(part));
    }
    for (replica, first, last) in uncounted.runs() {
        dots.insert_run(replica, first, last);
    }
    Salvaged { was, dots, bad, adds, text }
}

impl Salvaged<'_> {
    /// What is moved, and what is said to have been removed, as a diff upon `new`. The relay has what `relay` covers; `settled` was
    /// taken over from `old` beside it.
    pub(super) fn diff(
        &self,
        old: &Document,
        new: &Document,
        relay: &VersionVector,
        settled: &VersionVector,
        lost: &Lost,
    ) -> Option<Diff> {
        let mut naming = Naming { tag: self.tag(), dots: &self.dots, ids: Map::new() };
        let mut diff = Diff {
            tier: Tier::Version,
            base: new.version(),
            ahead: VersionVector::new(),
            head: VersionVector::new(),
            heads: Vec::new(),
            adds: Vec::new(),
            text: Vec::new(),
            removes: Vec::new(),
            dead: DotRuns::new(),
            bunches: Vec::new(),
        };
        let mut bunches: Map<Dot, BunchRecord> = Map::new();
        let is = Living::of(new);
        for add in &self.adds {
            let dot = naming.moved(add.dot);
            if let Slot::Position { bunch, .. } = add.entry.slot {
                self.hang(Dot::new(add.dot.replica, bunch), &is, &mut naming, &mut bunches);
            }
            let container = naming.container(&add.entry.container);
            diff.adds.push(LiveEntry { dot, hlc: add.hlc, entry: Entry { container, ..add.entry.clone() } });
        }
        for run in &self.text {
            self.hang(Dot::new(run.first.replica, run.bunch), &is, &mut naming, &mut bunches);
            let first = naming.moved(run.first);
            naming.moved(Dot::new(run.first.replica, run.last_seq()));
            diff.text.push(TextRun { first, container: naming.container(&run.container), ..run.clone() });
        }
        sort_by(&mut diff.adds, |a, b| a.dot.cmp(&b.dot));
        sort_by(&mut diff.text, |a, b| a.first.cmp(&b.first));
        diff.bunches = bunches.values().copied().collect();
        for (id, last) in naming.ids.values() {
            let tag = Tag::start(*id).extend(naming.tag.as_bytes());
            diff.head.set(*id, VersionEntry { seq: *last, tag });
        }

        let dead = dead_between(old, relay, settled, lost);
        if !dead.is_empty() {
            let mut bytes = Vec::new();
            for (replica, first, last) in dead.runs() {
                bytes.extend_from_slice(&replica.to_bytes());
                bytes.extend_from_slice(&first.to_le_bytes());
                bytes.extend_from_slice(&last.to_le_bytes());
            }
            let tag = Tag::start(ReplicaId::NIL).extend(&bytes);
            let id = VoidFact { replica: ReplicaId::NIL, first_seq: 0, tag }.renamed();
            diff.head.set(id, VersionEntry { seq: 1, tag: Tag::start(id).extend(tag.as_bytes()) });
            diff.removes.push((id, dead));
        }
        for (id, entry) in diff.head.iter() {
            diff.heads.push(Dot::new(id, entry.seq));
        }
        (!diff.head.is_empty()).then_some(diff)
    }

    /// The same for all who move the same.
    fn tag(&self) -> Tag {
        let mut sum: u128 = 0;
        for add in &self.adds {
            sum = sum.wrapping_add(beacon_share(add.dot, add.hlc, (&add.entry).into()));
        }
        for (dot, entry) in self.text.iter().flat_map(TextRun::entries) {
            sum = sum.wrapping_add(beacon_share(dot, Hlc::default(), (&entry).into()));
        }
        Tag::from_bytes((sum as u64).to_le_bytes())
    }

    /// Takes the chain of a bunch along, up to what is still there.
    fn hang(&self, bunch: Dot, is: &Living, naming: &mut Naming<'_>, bunches: &mut Map<Dot, BunchRecord>) {
        let mut at = bunch;
        while let Some(record) = self.was.bunch(at) {
            let above = record.parent.bunch;
            let stays = above == Dot::ROOT || !self.bad.contains(&above) && is.bunch(above) == self.was.bunch(above);
            let parent = if stays { above } else { naming.moved(above) };
            let parent = Position { bunch: parent, index: record.parent.index };
            let id = naming.moved(at);
            if !bunches.insert_new(id, BunchRecord { id, parent, ..*record }) || stays {
                return;
            }
            at = above;
        }
    }
}

/// The names of what is moved.
struct Naming<'l> {
    tag: Tag,
    dots: &'l DotRuns,
    /// By replica: the id of its part, and the last dot.
    ids: Map<ReplicaId, (ReplicaId, u64)>,
}

impl Naming<'_> {
    fn moved(&mut self, dot: Dot) -> Dot {
        // No branch begins at 0, so that no fact gives such an id.
        let fact = VoidFact { replica: dot.replica, first_seq: 0, tag: self.tag };
        let (id, last) = self.ids.get_or_insert_with(dot.replica, || (fact.renamed(), 0));
        *last = dot.seq.max(*last);
        Dot::new(*id, dot.seq)
    }

    fn container(&mut self, container: &Container) -> Container {
        match container {
            Container::Entity(entity) if self.dots.contains(*entity) => Container::Entity(self.moved(*entity)),
            container => container.clone(),
        }
    }
}

/// The dots within `settled` and beyond `relay` that do not live in `old`. O(runs of what lives).
fn dead_between(old: &Document, relay: &VersionVector, settled: &VersionVector, lost: &Lost) -> DotRuns {
    let live = old.digest().live;
    let mut live = live.runs().peekable();
    let mut dead = DotRuns::new();
    for (replica, entry) in settled.iter().filter(|(replica, _)| !lost.contains_key(replica)) {
        let mut next = relay.seq(replica) + 1;
        while live.next_if(|(of, ..)| *of < replica).is_some() {}
        while let Some((_, first, last)) = live.next_if(|(of, ..)| *of == replica) {
            if next < first.min(entry.seq + 1) {
                dead.insert_run(replica, next, first.min(entry.seq + 1) - 1);
            }
            next = next.max(last + 1);
        }
        if next <= entry.seq {
            dead.insert_run(replica, next, entry.seq);
        }
    }
    dead
}
