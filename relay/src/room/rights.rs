//! What a member may do in a room, and the ids that subjects have brought.
//!
//! Rights are decided elsewhere and may change while a member is here. What it may not do is refused, one delta at a time: nothing of what
//! it did before is taken back, and what it is sent does not change.
//!
//! How many ids nobody has written under yet a subject may bring by its token is counted for as long as the room is open, over all its
//! connections. It keeps a client that mints an id per edit, or a person with a script, from filling the version vector that everybody pays
//! for. What everybody may bring is another count ([`super::newcomers`]).

use std::sync::Arc;

use weftline::ReplicaId;
use weftline::fault::{self, Fault};

use super::{MemberId, Room};

/// What a member may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether what it pushes is taken.
    pub write: bool,
    /// Whether it is shown to others. It is shown the others in any case.
    pub presence: bool,
    /// On whose behalf it is here, if that is known.
    pub subject: Option<Arc<str>>,
    /// How many new ids its subject may bring, over all members of this subject.
    pub new_replicas: Option<usize>,
    /// The only ids of which deltas are taken.
    pub only_replicas: Option<Arc<[ReplicaId]>>,
}

impl Rights {
    /// Everything: who has these is not restricted by whoever it is.
    pub const ALL: Self = Self { write: true, presence: true, subject: None, new_replicas: None, only_replicas: None };

    /// Reading, and being seen.
    pub const READ: Self = Self { write: false, ..Self::ALL };

    /// Whether deltas of this id are taken.
    #[must_use]
    pub fn may_write_as(&self, replica: ReplicaId) -> bool {
        self.write && self.only_replicas.as_ref().is_none_or(|only| only.contains(&replica))
    }
}

impl Room {
    /// A member may do more, or less, from now on.
    pub(super) fn set_rights(&mut self, id: MemberId, rights: Rights) {
        let Some(member) = self.members.get_mut(&id).filter(|_| !fault::active(Fault::RightsFixed)) else { return };
        let opening = member.opening;
        let (writes, shows) = (rights.write, rights.presence);
        member.rights = rights;
        if !writes {
            self.refills.forget(id);
        }
        if !shows {
            self.shows_no_more(id, opening);
        }
    }

    /// Whether a member may bring so many ids more.
    pub(super) fn may_introduce(&self, id: MemberId, more: usize) -> bool {
        let Some(member) = self.members.get(&id) else { return false };
        let Rights { subject: Some(subject), new_replicas: Some(most), .. } = &member.rights else { return true };
        self.introduced.get(subject).unwrap_or(&0).saturating_add(more) <= *most
    }

    /// How long a member has to wait before it may bring another id by a delta, as everybody has to who brings many.
    pub(super) fn waits_to_introduce(&self, id: MemberId) -> Option<u64> {
        let subject = self.members.get(&id)?.rights.subject.as_ref()?;
        self.newcomers.wait_ms(subject, self.config.max_new_replicas, self.now)
    }

    /// A member has brought an id by a delta, or claims one.
    pub(super) fn introduced_one(&mut self, id: MemberId) {
        if let Some(subject) = self.members.get(&id).and_then(|member| member.rights.subject.as_ref()) {
            self.newcomers.one(subject, self.now);
        }
    }

    /// A member brings so many ids more. What one connection may bring by deltas is counted by itself: a diff gives back what others wrote.
    pub(super) fn introduces(&mut self, id: MemberId, more: usize) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if let Rights { subject: Some(subject), new_replicas: Some(_), .. } = &member.rights {
            *self.introduced.entry(Arc::clone(subject)).or_default() += more;
        }
    }
}
