//! Undo and redo of one's own edits, beside what others do meanwhile.
//!
//! A *step* is what one local transaction did, net: the dots it added that lived at its end, and what it killed, kept whole;
//! of text, both in runs.
//! To take a step back is an ordinary transaction with an ordinary delta: what was added and still lives is removed, what
//! was killed is written again under fresh dots. That transaction is a step itself, which the other stack keeps: redo is
//! the undo of an undo. Steps name dots, so whenever something comes back under fresh dots, every step that named the old
//! ones is told the new ones: what was done to a row before it was deleted can be undone after it has come back.
//!
//! Only one's own is undone:
//! - A write is taken back only while its own dot lives, and then what it replaced comes back: not where it would hide what
//!   another replica wrote later, and not what another replica has removed itself.
//! - A container or element that was created goes only while nothing that another replica wrote is inside.
//! - What was removed comes back as a deep copy, at its key or between the neighbours it had. Copies of what others wrote
//!   stay theirs: a later undo does not take them away.
//! - An increment is taken back by the opposite one, as long as the counter lives; of a bounded counter as far as one's own
//!   rights go. Rights that were given away are not: they are another replica's. What comes back with a removed counter is
//!   one's own total, or rights, of its whole value.
//! - Of what was typed goes what still lives. What was deleted is typed again where it was, around what others inserted there.
//! - What only grows (max and min registers, grow-only sets) stays as it is, unless it goes with what it is in.
//! - A mark (a disabling, a removal from a remove-wins set) does not come back over what another replica wrote since.
//!
//! What others removed is told by the removal log, so it is known as far back as the log goes (REM-3).
//!
//! Rules: REM-1, ENT-1, DOT-1 as for every transaction. UNDO-1 nothing that others wrote is removed. UNDO-2 nothing that
//! others removed comes back. UNDO-3 without others, undo restores the content that was, and redo what was undone.
//! Not here: steps are no part of a document's state. They are neither saved nor sent, and end with this [`Document`].

mod place;
mod record;
mod replay;
mod text;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub(crate) use record::Done;
use record::Step;
use replay::Replay;
use text::Fresh;

use super::transaction::Transaction;
use super::{Commit, Document, EditError, State};
use crate::clock::{LocalDot, Timestamp};
use crate::fault::{self, Fault};
use crate::ordered::{Map, Set};
use crate::replica_id::Origin;

/// How much is kept for undo. Past a limit the oldest steps are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UndoLimits {
    /// The most steps kept, of what was done and of what was undone each: more than anybody goes back one by one.
    pub steps: usize,
    /// About how many bytes of what was overwritten and removed may be kept, for each of the two. A single step larger than
    /// that cannot be undone.
    pub bytes: usize,
    /// Transactions that follow one another by less than this are undone together. 0, the default, keeps each one apart.
    pub group_ms: u64,
}

impl Default for UndoLimits {
    fn default() -> Self {
        Self { steps: 100, bytes: 4 << 20, group_ms: 0 }
    }
}

/// What can be undone and redone.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    /// [`Self::learn`], called through here alone: a program that never keeps undo does not carry the code either.
    record: fn(&mut Self, &State, Done<'_>, Timestamp),
    limits: UndoLimits,
    done: Stack,
    undone: Stack,
    /// What the transaction under way is.
    role: Role,
    /// When the last edit was, if the next one may join it.
    last_edit: Option<Timestamp>,
    /// Under which ids this document has written.
    own: Vec<Origin>,
    /// Own dots that stand for what others wrote, and came back in an undo.
    copies: Set<LocalDot>,
    /// The same of text: the first dots of runs, and how many.
    copied_text: Map<LocalDot, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Edit,
    Undo,
    Redo,
}

/// Groups of steps, the latest last.
#[derive(Clone, Debug, Default)]
struct Stack {
    groups: Vec<Vec<Step>>,
    bytes: usize,
}

impl Stack {
    fn push(&mut self, group: Vec<Step>, limits: &UndoLimits) {
        self.bytes += size(&group);
        self.groups.push(group);
        self.shorten(limits);
    }

    fn pop(&mut self) -> Option<Vec<Step>> {
        let group = self.groups.pop()?;
        self.bytes -= size(&group);
        Some(group)
    }

    fn shorten(&mut self, limits: &UndoLimits) {
        let mut oldest = 0;
        while self.groups.len() - oldest > limits.steps || self.bytes > limits.bytes {
            self.bytes -= size(&self.groups[oldest]);
            oldest += 1;
        }
        if oldest > 0 {
            self.groups = self.groups.split_off(oldest);
        }
    }

    fn rename(&mut self, state: &State, fresh: &Fresh) {
        for step in self.groups.iter_mut().flatten() {
            step.rename(state, fresh);
        }
    }
}

fn size(group: &[Step]) -> usize {
    group.iter().map(|step| step.bytes).sum()
}

impl Undo {
    fn new(limits: UndoLimits) -> Self {
        let (done, undone) = (Stack::default(), Stack::default());
        let (role, last_edit, own) = (Role::Edit, None, Vec::new());
        let (copies, copied_text) = (Set::new(), Map::new());
        Self { record: Self::learn, limits, done, undone, role, last_edit, own, copies, copied_text }
    }

    /// How much is kept.
    pub(super) const fn limits(&self) -> UndoLimits {
        self.limits
    }

    /// Learns of a local transaction that is about to end.
    pub(super) fn record(&mut self, state: &State, done: Done<'_>, now: Timestamp) {
        (self.record)(self, state, done, now);
    }

    fn learn(&mut self, state: &State, done: Done<'_>, now: Timestamp) {
        if !self.own.contains(&done.origin) {
            self.own.push(done.origin);
        }
        let step = Step::of(state, done, &|dot| self.is_own(dot), &|stretch| {
            let copied = |nth| text::is_in(&self.copied_text, stretch.dot(nth));
            !self.own.contains(&stretch.first.origin()) || (0..stretch.len).any(copied)
        });
        match self.role {
            Role::Edit => {
                self.undone = Stack::default();
                let joins = self.last_edit.is_some_and(|last| now.0.saturating_sub(last.0) < self.limits.group_ms);
                let mut group = if joins { self.done.pop().unwrap_or_default() } else { Vec::new() };
                group.push(step);
                self.done.push(group, &self.limits);
                self.last_edit = Some(now);
            }
            Role::Undo => self.undone.push([step].into(), &self.limits),
            Role::Redo => self.done.push([step].into(), &self.limits),
        }
    }

    fn stack(&mut self, role: Role) -> &mut Stack {
        if role == Role::Redo { &mut self.undone } else { &mut self.done }
    }

    /// Whether a live dot is what this document's user wrote.
    fn is_own(&self, dot: LocalDot) -> bool {
        self.own.contains(&dot.origin()) && !self.copies.contains(&dot)
    }

    /// Things came back under fresh dots.
    fn came_back(&mut self, state: &State, replay: &Replay) {
        let (fresh, copies) = (&replay.fresh, &replay.copies);
        self.done.rename(state, fresh);
        if !fault::active(Fault::UndoForgetsNames) {
            self.undone.rename(state, fresh);
        }
        let before = core::mem::take(&mut self.copies);
        for dots in [&before, copies] {
            for dot in dots.iter() {
                if state.store.find(*dot).is_some() {
                    self.copies.insert(*dot);
                }
            }
        }
        let before = core::mem::take(&mut self.copied_text);
        for runs in [&before, &replay.copied_text] {
            for (first, len) in runs.iter() {
                let seqs = first.seq()..=first.seq() + u64::from(*len) - 1;
                if state.texts.runs.range(first.origin(), seqs).next().is_some() {
                    self.copied_text.insert(*first, *len);
                }
            }
        }
    }
}

/// Undo and redo.
impl Document {
    /// Keeps, from now on, what [`Self::undo`] needs of every local transaction; with `None`, nothing any more. What was kept
    /// before is forgotten. A document that was not told to keep it, the default, pays nothing.
    ///
    /// Steps are kept in this document alone: not in snapshots, and not across a load. A clone has them too; one that goes on
    /// under an id of its own is told anew, so that it does not undo what the other one did.
    pub fn keep_undo(&mut self, limits: Option<UndoLimits>) {
        self.undo = limits.map(|limits| Box::new(Undo::new(limits)));
    }

    /// Whether there is a step to undo. What others did since may have left nothing of it to undo.
    pub fn can_undo(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| !undo.done.groups.is_empty())
    }

    /// Whether there is a step to redo, with the same reservation.
    pub fn can_redo(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| !undo.undone.groups.is_empty())
    }

    /// Ends the present group: the next edit is a step of its own, however soon it comes.
    pub fn end_undo_group(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.last_edit = None;
        }
    }

    /// Takes back the latest step of one's own edits, in one transaction at time `now`: its delta is sent like any other.
    ///
    /// What others wrote is never removed and what others removed never comes back, so it may undo a part of a step only;
    /// steps of which nothing is left to undo are passed over. Gives nothing when no step is left. List elements that come
    /// back have new ids, which the changes tell. Costs O(what is undone · log n), O(steps kept) where something comes back,
    /// and O(removal log) where something was removed.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Self::commit`]; also when a counter that comes back is too large for one replica's total, when
    /// positions would nest too deep, or when more text would come back than one transaction may type. Nothing is changed then, and the step is kept.
    pub fn undo(&mut self, now: Timestamp) -> Result<Option<Commit<()>>, EditError> {
        self.take_back(now, Role::Undo)
    }

    /// Takes back the latest undo, like [`Self::undo`], but no more than that: it gives nothing when others left nothing of it
    /// to redo. The first edit that is no undo ends what can be redone.
    ///
    /// # Errors
    /// As [`Self::undo`].
    pub fn redo(&mut self, now: Timestamp) -> Result<Option<Commit<()>>, EditError> {
        self.take_back(now, Role::Redo)
    }

    fn take_back(&mut self, now: Timestamp, role: Role) -> Result<Option<Commit<()>>, EditError> {
        loop {
            let Some(undo) = &mut self.undo else { return Ok(None) };
            undo.last_edit = None;
            let Some(group) = undo.stack(role).pop() else { return Ok(None) };
            let result = self.take_back_group(now, role, &group);
            let Some(undo) = &mut self.undo else { return Ok(None) };
            undo.role = Role::Edit;
            match result {
                Ok(commit) if commit.delta.is_some() => return Ok(Some(commit)),
                // To pass over it would redo more than was undone.
                Ok(_) if role == Role::Redo => return Ok(None),
                Ok(_) => {}
                Err(error) => {
                    let limits = undo.limits;
                    undo.stack(role).push(group, &limits);
                    return Err(error);
                }
            }
        }
    }

    fn take_back_group(&mut self, now: Timestamp, role: Role, group: &[Step]) -> Result<Commit<()>, EditError> {
        self.begin(now)?;
        if let Some(undo) = &mut self.undo {
            undo.role = role;
        }
        let mut replay = Replay::default();
        for step in group.iter().rev() {
            if let Err(error) = replay.take_back(&mut Transaction { document: self }, step) {
                self.rollback();
                return Err(error);
            }
        }
        let commit = self.commit()?;
        if let Some(undo) = &mut self.undo {
            undo.came_back(&self.state, &replay);
        }
        Ok(commit)
    }
}
