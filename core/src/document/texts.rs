//! The characters of all texts: by dot as runs, and of each place in the order in which they are read.
//!
//! Characters are no entries: they come, go and are told in runs. A place has a rope as soon as a character is in it, also
//! one that shows none: what does not fit its container is held and hidden.
//!
//! Rules: ENT-1 characters die with what they are in. VALID-1 what is in nothing that lives is dropped. SEQ-3 a bunch is kept
//! while a character is in it.
//! Not here: how a rope is built ([`crate::sequence`]), what is told of changes ([`super::text_note`]).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::lists::Order;
use super::state::{Journal, State};
use super::view::PlaceId;
use crate::clock::LocalDot;
use crate::fault::{self, Fault};
use crate::ordered::{retain, sort_by};
use crate::replica_id::Origin;
use crate::sequence::{Loaded, Rope, Ropes, RunId, Runs, Span, Stretch, lay_out, turned};
use crate::store::{
    Container, ContainerRef, Kind, LocalContainer, LocalRun, NONE, TextKeys, TextRun, text_keys, text_share,
};
use crate::string::Str;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    pub(crate) runs: Runs,
    /// By number.
    ropes: Vec<Held>,
    free: Vec<u32>,
    /// How many characters live, and their bytes.
    values: usize,
    bytes: usize,
    /// Where the characters that came last were put.
    spans: Vec<Span>,
}

/// A rope and whose it is.
#[derive(Clone, Debug)]
struct Held {
    rope: Rope,
    place: PlaceId,
}

impl Ropes for Vec<Held> {
    fn rope(&mut self, number: u32) -> &mut Rope {
        &mut self[number as usize].rope
    }
}

impl Texts {
    /// For so many bytes a run counts in what the removal log is held in proportion to, REM-3.
    const RUN_BYTES: usize = 1;

    /// Characters count for so much less than their bytes there: of who forgot the log, a digest tells runs, so that there is
    /// little to be lost.
    const WEIGHT: usize = 16;

    /// How many characters live.
    pub(crate) fn len(&self) -> usize {
        self.values
    }

    /// About how many bytes a digest of them takes, and a part of what they take themselves.
    pub(crate) fn live_bytes(&self) -> usize {
        self.bytes / Self::WEIGHT + Self::RUN_BYTES * self.runs.len()
    }

    pub(crate) fn rope(&self, number: u32) -> Option<&Rope> {
        self.ropes.get(number as usize).map(|held| &held.rope)
    }

    fn open(&mut self, place: PlaceId) -> u32 {
        let number = self.free.pop().unwrap_or(self.ropes.len() as u32);
        let held = Held { rope: Rope::new(number), place };
        match self.ropes.get_mut(number as usize) {
            Some(free) => *free = held,
            None => self.ropes.push(held),
        }
        number
    }

    /// Gives up a rope that nothing is in any more.
    pub(crate) fn close(&mut self, number: u32) {
        if number != NONE {
            debug_assert!(self.ropes[number as usize].rope.is_empty(), "ENT-1: characters die with what they are in");
            self.free.push(number);
        }
    }

    /// The text of a part of a run, in the order of dots.
    fn read(&self, run: RunId, part: &Stretch) -> Cow<'_, str> {
        let rope = self.runs.get(run).rope;
        self.ropes[rope as usize].rope.read(&self.runs, run, part)
    }
}

impl State {
    /// How many dots live.
    pub(crate) fn live_count(&self) -> usize {
        self.store.len() + self.texts.len()
    }

    /// About how many bytes all that lives takes when it is written.
    pub(crate) fn live_bytes(&self) -> usize {
        self.store.live_bytes() + self.texts.live_bytes()
    }

    /// The rope of a place, if a character was ever in it.
    pub(crate) fn rope(&self, place: PlaceId) -> Option<&Rope> {
        self.texts.rope(self.view.place(place).rope)
    }

    /// The order of the characters of a place.
    pub(super) fn text_order(&self, place: PlaceId) -> Order<'_> {
        Order { runs: &self.texts.runs, rope: self.rope(place) }
    }

    fn rope_number(&mut self, place: PlaceId) -> u32 {
        let own = self.view.place_mut(place);
        if own.rope == NONE {
            own.rope = self.texts.open(place);
        }
        own.rope
    }

    /// What of a run this document knows by numbers of its own; nothing if it is in an entity of an unknown replica.
    pub(crate) fn localize_run(&mut self, run: &TextRun) -> Option<Stretch> {
        let container = self.localize(&run.container)?;
        let first = self.origins.intern_dot(run.first);
        let len = u32::try_from(run.dots()).ok().filter(|len| *len > 0)?;
        Some(Stretch { first, len, backward: run.backward, bunch: run.bunch, container })
    }

    /// Takes in those characters of a run that are beyond `known`, the last sequence number of its replica that was known
    /// before; nothing happens if the container is not alive (VALID-1).
    pub(crate) fn take_run(&mut self, run: &TextRun, known: u64) {
        if let Some((stretch, text)) = self.beyond(run, known) {
            self.insert_text(stretch, text, true);
        }
    }

    fn beyond<'r>(&mut self, run: &'r TextRun, known: u64) -> Option<(Stretch, &'r str)> {
        let (stretch, text) = (self.localize_run(run)?, run.text.as_str());
        let mut skip = (known + 1).saturating_sub(stretch.first.seq());
        if fault::active(Fault::KnownTextByOne) && skip > 0 {
            skip += 1;
        }
        if skip == 0 {
            return Some((stretch, text));
        }
        let skip = u32::try_from(skip).ok().filter(|skip| *skip < stretch.len)?;
        let bytes = text.char_indices().nth(skip as usize).map_or(text.len(), |(at, _)| at);
        Some((stretch.part(skip, stretch.len - skip), &text[bytes..]))
    }

    /// Takes in the runs of a diff, which ascend by dot, where `old` says how much of each replica was known before. Where no
    /// character was, they are laid out without a comparison.
    pub(crate) fn take_runs(&mut self, runs: &[TextRun], old: &[u64]) {
        let mut loaded = Vec::new();
        if self.texts.len() == 0 {
            loaded.reserve_exact(runs.len());
        }
        let (mut last, mut near) = (None, None);
        let (mut replica, mut known) = (None, 0);
        for run in runs {
            if replica != Some(run.first.replica) {
                replica = Some(run.first.replica);
                let origin = self.origins.intern(run.first.replica);
                known = old.get(origin.0 as usize).copied().unwrap_or(0);
            }
            if self.texts.len() > 0 {
                self.take_run(run, known);
                continue;
            }
            let Some((stretch, text)) = self.beyond(run, known) else { continue };
            // Many are in one text, and many in the bunch of the run before.
            let rope = match last {
                Some((container, rope)) if container == stretch.container => rope,
                _ => self.open_container(stretch.container).map(|place| self.rope_number(place)),
            };
            last = Some((stretch.container, rope));
            let bunch = match near {
                Some((name, bunch)) if name == stretch.bunch() => bunch,
                _ => self.forest.find(stretch.bunch()),
            };
            near = Some((stretch.bunch(), bunch));
            // That its bunch is there was checked before anything was changed (SEQ-5): a caller that did not check loses the
            // text, not the process.
            if let Some(rope) = rope
                && let Some(bunch) = bunch
                && stretch.bunch <= stretch.first.seq()
            {
                loaded.push(Loaded { rope, bunch, stretch, text });
            }
        }
        self.lay_out_text(loaded);
    }

    /// Takes in the text that a document is loaded with, each run in one of these containers: the one whose number it says for
    /// its rope.
    pub(crate) fn take_loaded(&mut self, mut loaded: Vec<Loaded<'_>>, containers: &[Container]) {
        let mut ropes = Vec::with_capacity(containers.len());
        for container in containers {
            let container = self.localize(container);
            let place = container.and_then(|container| self.open_container(container));
            let rope = place.map(|place| self.rope_number(place));
            ropes.push(container.zip(rope));
        }
        retain(&mut loaded, |values| match ropes[values.rope as usize] {
            Some(found) => {
                (values.stretch.container, values.rope) = found;
                true
            }
            None => false,
        });
        self.lay_out_text(loaded);
    }

    /// Lays out all text of a document, whose bunches are there.
    fn lay_out_text(&mut self, mut loaded: Vec<Loaded<'_>>) {
        if loaded.is_empty() {
            return;
        }
        sort_by(&mut loaded, |a, b| a.stretch.first.cmp(&b.stretch.first));
        let Texts { runs, ropes, .. } = &mut self.texts;
        lay_out(runs, &mut self.forest, &self.origins, &loaded, ropes);
        // Many are in the bunch of the run before.
        let mut last = None;
        for Loaded { stretch, text, .. } in &loaded {
            self.text_came(stretch, text, false);
            let alike = (stretch.bunch(), stretch.backward, stretch.container);
            let keys = match last {
                Some((known, keys)) if known == alike => keys,
                _ => self.text_keys(stretch),
            };
            last = Some((alike, keys));
            self.beacon.text = self.beacon.text.wrapping_add(keys.share(
                stretch.first.seq(),
                text,
                text.len() == stretch.len as usize,
            ));
        }
        for number in 0..self.texts.ropes.len() {
            let Held { rope, place } = &self.texts.ropes[number];
            let (place, len) = (*place, rope.len());
            if len > 0 {
                self.note_text(place, 0, len, 0, "");
            }
        }
    }

    /// The place of what a run is in, if that is alive and its bunch is known. SEQ-5 was checked before anything was changed:
    /// a caller that did not check loses the text, not the process.
    fn seat_of_text(&mut self, stretch: &Stretch) -> Option<PlaceId> {
        let seated = stretch.first.seq() >= stretch.bunch && self.forest.contains(stretch.bunch());
        if seated { self.open_container(stretch.container) } else { None }
    }

    /// Binds the dots of a run, whose text is in their order. Does nothing, and says so, if the container is not alive
    /// (VALID-1). What a transaction inserts is `counted` when it commits.
    pub(crate) fn insert_text(&mut self, stretch: Stretch, text: &str, counted: bool) -> bool {
        let Some(place) = self.seat_of_text(&stretch) else { return false };
        self.forest.acquire(stretch.bunch(), stretch.len);
        let number = self.rope_number(place) as usize;
        let Texts { runs, ropes, spans, .. } = &mut self.texts;
        spans.clear();
        ropes[number].rope.insert(runs, &self.forest, &self.origins, stretch, text, spans);
        self.text_came(&stretch, text, counted);
        for at in 0..self.texts.spans.len() {
            let Span { index, stretch } = self.texts.spans[at];
            self.note_text(place, index, stretch.len as usize, 0, "");
        }
        self.shorten_text_note(place);
        true
    }

    /// The same, at an index of the place that shows it, where its position is known to be.
    pub(crate) fn insert_text_at(&mut self, place: PlaceId, index: usize, stretch: Stretch, text: &str) {
        self.forest.acquire(stretch.bunch(), stretch.len);
        let number = self.rope_number(place) as usize;
        let Texts { runs, ropes, .. } = &mut self.texts;
        ropes[number].rope.insert_at(runs, index, stretch, text);
        self.text_came(&stretch, text, false);
        self.note_text(place, index, stretch.len as usize, 0, "");
        self.shorten_text_note(place);
    }

    fn text_came(&mut self, stretch: &Stretch, text: &str, counted: bool) {
        self.texts.values += stretch.len as usize;
        self.texts.bytes += text.len();
        if counted {
            let share = self.share_of_text(stretch, text);
            self.beacon.text = self.beacon.text.wrapping_add(share);
        }
    }

    /// The shares of the beacon of characters: of the first in the order of dots, if the text is not all of them.
    pub(crate) fn share_of_text(&self, stretch: &Stretch, text: &str) -> u128 {
        self.text_keys(stretch).share(stretch.first.seq(), text, text.is_ascii())
    }

    fn text_keys(&self, stretch: &Stretch) -> TextKeys {
        let replica = self.origins.id(stretch.first.origin());
        text_keys(replica, self.export_container(stretch.container), stretch.bunch, stretch.backward)
    }

    fn export_container(&self, container: LocalContainer) -> ContainerRef<'_> {
        match container.as_entity() {
            Some(dot) => ContainerRef::Entity(self.origins.dot(dot)),
            None => {
                let (name, kind) = self.view.root_name(container.as_root().unwrap_or_default());
                ContainerRef::Root { name, kind }
            }
        }
    }

    /// Takes the live characters of a run of dots away but for those to `spare`, which are runs in ascending order: the first
    /// and the last dot of each. `cause` is the delta that removed them, if one is known. O(runs in it · log n + bytes).
    pub(super) fn kill_text(
        &mut self,
        (first, more): LocalRun,
        cause: Option<LocalDot>,
        spare: &[(LocalDot, LocalDot)],
        journal: &mut Option<&mut Journal>,
    ) {
        let mut doomed = Vec::new();
        let spare = if fault::active(Fault::DiffKillsItsText) { &[] } else { spare };
        for (_, stretch) in self.texts.runs.range(first.origin(), first.seq()..=first.seq() + more) {
            let (mut from, end) = (stretch.first.bits(), stretch.last().bits() + 1);
            let spared = spare.partition_point(|(_, last)| last.bits() < from);
            for (first, last) in &spare[spared..] {
                if first.bits() >= end {
                    break;
                }
                if first.bits() > from {
                    doomed.push((from, first.bits()));
                }
                from = last.bits() + 1;
            }
            if from < end {
                doomed.push((from, end));
            }
        }
        for (from, end) in doomed {
            self.kill_piece(LocalDot::from_bits(from), (end - from) as u32, cause, true, journal);
        }
    }

    /// Takes all characters of one incarnation of a place away.
    pub(super) fn kill_text_in(
        &mut self,
        place: PlaceId,
        entity: LocalDot,
        cause: Option<LocalDot>,
        journal: &mut Option<&mut Journal>,
    ) {
        let mut doomed = Vec::new();
        if fault::active(Fault::TextOutlivesContainer) {
            return;
        }
        self.text_inside(place, entity, &mut |stretch| doomed.push((stretch.first, stretch.len)));
        // From the end, so that nothing has to be moved. A place that goes as a whole is not told of.
        let tell = self.view.place(place).incarnations.len() > 1;
        while let Some((first, len)) = doomed.pop() {
            self.kill_piece(first, len, cause, tell, journal);
        }
    }

    /// Gives the runs in one incarnation of a place to `take`. O(runs of the place).
    pub(super) fn text_inside(&self, place: PlaceId, entity: LocalDot, take: &mut dyn FnMut(&Stretch)) {
        let Some(rope) = self.rope(place) else { return };
        let container = LocalContainer::entity(entity);
        for (_, stretch) in rope.stretches(&self.texts.runs, 0..rope.len()) {
            if stretch.container == container {
                take(&stretch);
            }
        }
    }

    /// Takes away live characters whose dots follow one another.
    fn kill_piece(
        &mut self,
        first: LocalDot,
        len: u32,
        cause: Option<LocalDot>,
        tell: bool,
        journal: &mut Option<&mut Journal>,
    ) {
        let (mut at, mut left) = (first.bits(), len);
        while left > 0 {
            // One run when they were looked for; taking others out may have cut it anew.
            let Some((run, nth)) = self.texts.runs.find(LocalDot::from_bits(at)) else { return };
            let more = (self.texts.runs.stretch(run).len - nth).min(left);
            let number = self.texts.runs.get(run).rope as usize;
            let mut text = String::new();
            let Texts { runs, ropes, .. } = &mut self.texts;
            let span = ropes[number].rope.remove(runs, run, nth, more, &mut text);
            let place = ropes[number].place;
            (at, left) = (at + u64::from(more), left - more);
            let (observed, bytes) = self.text_went(place, &span, &text, cause, tell);
            // What a transaction itself typed never was for anybody else.
            if let Some(journal) = journal
                && observed > 0
            {
                journal.text.push((span.stretch.part(0, observed), Str::from(&text[..bytes])));
            }
        }
    }

    /// Says how many of the characters others may have seen, and their bytes: what comes first in the order of dots.
    fn text_went(
        &mut self,
        place: PlaceId,
        span: &Span,
        text: &str,
        cause: Option<LocalDot>,
        tell: bool,
    ) -> (u32, usize) {
        let stretch = &span.stretch;
        self.texts.values -= stretch.len as usize;
        self.texts.bytes -= text.len();
        // What a transaction inserted does not count before it commits.
        let (covered, bytes) = self.covered_part(stretch, text);
        if covered > 0 {
            let share = self.share_of_text(stretch, &text[..bytes]);
            self.beacon.text = self.beacon.text.wrapping_sub(share);
        }
        self.forest.release(stretch.bunch(), stretch.len, cause);
        if tell {
            // Only where there are wide characters is it asked which of them went.
            let is_narrow = text.bytes().all(|byte| byte < 0xf0);
            let gone = if is_narrow { Cow::Borrowed("") } else { turned(stretch, text) };
            self.note_text(place, span.index, 0, stretch.len as usize, &gone);
            self.shorten_text_note(place);
        }
        (covered, bytes)
    }

    /// Takes characters out of a text from an index on: those of one run, and no more than `most`. Those that others may have
    /// seen go into the journal. Gives what they were, and how many of them those are.
    pub(crate) fn take_text_at(
        &mut self,
        place: PlaceId,
        index: usize,
        most: usize,
        cause: LocalDot,
        journal: &mut Journal,
    ) -> Option<(Stretch, u32)> {
        let number = self.view.place(place).rope as usize;
        let Texts { runs, ropes, .. } = &mut self.texts;
        let mut text = String::new();
        let span = ropes.get_mut(number)?.rope.remove_at(runs, index, most, &mut text)?;
        let (observed, bytes) = self.text_went(place, &span, &text, Some(cause), true);
        if observed > 0 {
            text.truncate(bytes);
            journal.text.push((span.stretch.part(0, observed), Str::from(text)));
        }
        Some((span.stretch, observed))
    }

    /// Adds the shares of text, which was inserted without them.
    pub(crate) fn count_text(&mut self, runs: &[TextRun]) {
        for run in runs {
            let share = text_share(run.first, (&run.container).into(), run.bunch, run.backward, &run.text);
            self.beacon.text = self.beacon.text.wrapping_add(share);
        }
    }

    /// How many characters of a run the version covers, and their bytes: what comes first in the order of dots.
    pub(crate) fn covered_part(&self, stretch: &Stretch, text: &str) -> (u32, usize) {
        let covered = (self.seq(stretch.first.origin()) + 1).saturating_sub(stretch.first.seq());
        if covered >= u64::from(stretch.len) {
            return (stretch.len, text.len());
        }
        let bytes = text.char_indices().nth(covered as usize).map_or(text.len(), |(at, _)| at);
        (covered as u32, bytes)
    }

    // ---- telling ----

    /// Appends the live characters of `origin` in a range of sequence numbers, as runs that are as long as they can be.
    pub(crate) fn export_text(&self, origin: Origin, seqs: RangeInclusive<u64>, all: &mut Vec<TextRun>) {
        // Who typed a key is asked for what is in one run.
        let Some(more) = seqs.end().checked_sub(*seqs.start()).filter(|_| self.texts.runs.len() > 0) else { return };
        if let Some((run, nth)) = self.texts.runs.find(LocalDot::new(origin, *seqs.start()))
            && let stretch = self.texts.runs.stretch(run)
            && more < u64::from(stretch.len - nth)
        {
            let part = stretch.part(nth, more as u32 + 1);
            return self.export_run(&part, &self.texts.read(run, &part), all);
        }
        let mut open: Option<Stretch> = None;
        let mut text = String::new();
        for (run, part) in self.texts.runs.range(origin, seqs) {
            match &mut open {
                Some(open) if open.goes_on_in(&part) => open.len += part.len,
                _ => {
                    if let Some(whole) = open.replace(part) {
                        self.export_run(&whole, &text, all);
                        text.clear();
                    }
                }
            }
            text.push_str(&self.texts.read(run, &part));
        }
        if let Some(whole) = open {
            self.export_run(&whole, &text, all);
        }
    }

    fn export_run(&self, stretch: &Stretch, text: &str, all: &mut Vec<TextRun>) {
        if fault::active(Fault::HiddenTextNotTold)
            && self.container(stretch.container).is_some_and(|place| self.view.place(place).kind != Kind::TEXT)
        {
            return;
        }
        let container = match stretch.container.as_entity() {
            Some(dot) => Container::Entity(self.origins.dot(dot)),
            None => {
                let (name, kind) = self.view.root_name(stretch.container.as_root().unwrap_or_default());
                Container::Root { name: name.clone(), kind }
            }
        };
        let (first, bunch, backward) = (self.origins.dot(stretch.first), stretch.bunch, stretch.backward);
        all.push(TextRun { first, container, bunch, backward, text: Str::from(text) });
    }

    /// Every live dot of `origin` in a range of sequence numbers, ascending, as first and last of runs, which may touch.
    pub(crate) fn each_live(&self, origin: Origin, seqs: RangeInclusive<u64>, each: &mut dyn FnMut(u64, u64)) {
        let mut text = self.texts.runs.range(origin, seqs.clone());
        let mut next = text.next().filter(|_| !fault::active(Fault::DigestWithoutText));
        for (dot, _) in self.store.ids(origin, seqs) {
            while let Some((_, stretch)) = next.filter(|(_, stretch)| stretch.first < dot) {
                each(stretch.first.seq(), stretch.last().seq());
                next = text.next();
            }
            each(dot.seq(), dot.seq());
        }
        while let Some((_, stretch)) = next {
            each(stretch.first.seq(), stretch.last().seq());
            next = text.next();
        }
    }
}
