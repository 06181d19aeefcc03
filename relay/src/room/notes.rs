//! What becomes of single edits, for whoever follows them through the logs: by replica and seq, never their content.
//!
//! Noted only when asked for; then everything is, and a room with many members notes much.

use weftline::ReplicaId;
use weftline::sync::NackReason;

use super::recent::LogRow;
use super::{MemberId, Room};
use crate::store::Position;

/// Something happened to an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// What.
    pub step: Step,
    /// Whose edit.
    pub replica: ReplicaId,
    /// Its last dot. An ack stands for every edit up to it.
    pub seq: u64,
    /// Where it is in the log, or how far the log reached then.
    pub position: Position,
    /// Who sent it, or is sent it.
    pub member: Option<MemberId>,
}

/// What happened to an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is part of the document, and is handed to the store.
    Taken,
    /// It was refused.
    Refused(NackReason),
    /// It is on stable storage.
    Stored,
    /// Its author is told so.
    Acked,
    /// A member is sent it.
    Sent,
}

impl Room {
    /// Whether to note what becomes of edits.
    pub fn follow_edits(&mut self, follow: bool) {
        if self.notes.is_some() != follow {
            self.notes = follow.then(Vec::new);
        }
    }

    /// What was noted since this was last called.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn note(&mut self, step: Step, replica: ReplicaId, seq: u64, member: Option<MemberId>) {
        let position = self.head;
        if let Some(notes) = &mut self.notes {
            notes.push(Note { step, replica, seq, position, member });
        }
    }

    pub(super) fn note_stored(&mut self, row: &LogRow) {
        if let Some(notes) = &mut self.notes {
            notes.extend(of(row).map(|note| Note { step: Step::Stored, member: row.pusher, ..note }));
        }
    }

    /// Rows of the recent ones are sent to a member. Of older ones nothing is known here but their bytes.
    pub(super) fn note_sent(&mut self, id: MemberId, after: Position, upto: Position) {
        let Some(notes) = self.notes.as_mut().filter(|_| self.recent.reaches(after)) else { return };
        let sent = self.recent.after(after).take_while(|row| row.position <= upto);
        let sent = sent.filter(|row| row.pusher != Some(id) && !row.is_private);
        notes.extend(sent.flat_map(of).map(|note| Note { step: Step::Sent, member: Some(id), ..note }));
    }
}

fn of(row: &LogRow) -> impl Iterator<Item = Note> {
    let (step, position) = (Step::Stored, row.position);
    row.moves.iter().map(move |(replica, entry)| Note { step, replica, seq: entry.seq, position, member: None })
}
