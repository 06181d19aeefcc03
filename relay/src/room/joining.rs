//! Entering a room, and diffs for those whose cursor does not lead to where the log is.
//!
//! What Open names is looked at as one step: the connection takes over from older ones, void facts are noted, leases pass on, and the
//! answer tells of all that. It waits for the commit of everything that it names.
//!
//! Rules: CUR-1, SES-2, LEASE-2. The relay states facts about ids; the client judges.

use weftline::fault::{self, Fault};
use weftline::sync::{Claim, CloseReason, Cursor, Fact, Message, Open, OpenAck, Resume, Settle, Want, limits};
use weftline::{VersionEntry, VersionVector};

use super::diffs::Made;
use super::member::{Member, Question};
use super::{Held, MemberId, Resync, Rights, Room};
use crate::store::Position;

impl Room {
    pub(super) fn join(&mut self, id: MemberId, open: &Open, rights: Rights) {
        // While nothing can be stored, nothing is noted of whoever comes, which costs it no more than reading costs: an id without its lease.
        let may_note = rights.write && self.trouble.is_none();
        let too_many = open.claims.len() + open.settles.len() > limits::MAX_CLAIMS
            || open.voids.len() > limits::MAX_VOIDS
            || open.claims.iter().any(|claim| claim.incs.len() > limits::MAX_UNCONFIRMED + 1)
            || open.settles.iter().any(|settle| settle.marks.len() > limits::MAX_MARKS);
        if too_many {
            return self.turn_away(id, CloseReason::Limit);
        }
        // SES-2: of the connections of one opening, the newest counts, in whatever order their Opens arrive.
        let same = self.members.iter().find(|(_, member)| member.opening == open.opening);
        if let Some((older, member)) = same.map(|(older, member)| (*older, member.connection)) {
            if member >= open.connection && !fault::active(Fault::StaleOpenTakesOver) {
                return self.turn_away(id, CloseReason::Superseded);
            }
            if rights.presence {
                self.keeps_showing(open.opening, id);
            }
            self.close(older, CloseReason::Superseded);
        }
        if self.members.len() >= self.config.max_members {
            return self.turn_away(id, CloseReason::TooMany);
        }
        self.members.insert(id, Member::new(open.opening, open.connection, rights));
        if may_note {
            self.learn_voids(open);
        }
        let before = self.head;
        let facts = self.facts(id, open, may_note);
        let Some(mut member) = self.members.remove(&id) else { return };

        let version = self.document.version();
        let version_hash = version.hash();
        let mut diff = None;
        let resume = if version_hash == open.version_hash {
            member.start_at(self.head);
            Resume::Same
        } else if let Some(position) = self.follow(open.cursor) {
            member.start_at(position);
            Resume::Tail
        } else if let Some(base) = self.inline_base(open) {
            let made = || Made::new(self.head, &self.document.diff_since(base), Some(base.clone()));
            diff = Some(self.kept_diff(open.staged.as_deref().copied(), Some(base)).unwrap_or_else(made));
            member.question = Question::Answered;
            Resume::Diff
        } else {
            Resume::Ask
        };
        let claimed =
            |&Claim { replica, seq, tag, .. }: &Claim| (replica, VersionEntry { seq, tag }, version.seq(replica) > seq);
        member.claims = open.claims.iter().map(claimed).collect();
        member.settles.clone_from(&open.settles);
        member.packed = open.packed;
        member.staged = open.staged.as_deref().copied();
        member.named = self.roster.len();
        member.chains_from = self.head;
        member.voids_upto = self.head;
        // Nothing is sent before OpenAck, which waits for the commit of all that it names.
        member.feeding = false;
        let ack = OpenAck {
            epoch: self.epochs.last().map_or(0, |epoch| epoch.id),
            head: self.head,
            version_hash,
            beacon: self.document.beacon(),
            facts,
            voids: self.kept.voids.keys().filter(|fact| !open.voids.contains(fact)).copied().collect(),
            roster: open.packed.then(|| self.roster.news(&version)),
            version: (version_hash != open.version_hash).then_some(version),
            horizon: self.document.horizon(),
            resume,
        };
        self.members.insert(id, member);
        self.hold(Held::Opened { member: id, ack: Box::new(ack), diff });
        if fault::active(Fault::LeaseToldEarly)
            && let Some((position, _)) = self.held.back_mut()
        {
            *position = before;
        }
    }

    pub(super) fn tell_opened(&mut self, id: MemberId, ack: OpenAck, diff: Option<Made>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.opened = true;
        self.counts.resumes[ack.resume as usize] += 1;
        member.feeding = matches!(ack.resume, Resume::Same | Resume::Tail);
        self.send(id, &Message::OpenAck(ack));
        self.introduce(id);
        if let Some(diff) = diff {
            self.tell_diff(id, diff);
        }
    }

    /// A member asks for everything beyond its version.
    pub(super) fn want(&mut self, id: MemberId, want: Want) {
        let Some(member) = self.members.get_mut(&id) else { return };
        // Between a diff and its being taken nothing is sent that could make anybody ask again: one answer serves every question.
        if !matches!(member.question, Question::None) {
            return;
        }
        member.feeding = false;
        if member.is_busy(self.config.window) {
            member.question = Question::Waits(want);
        } else {
            self.answer(id, want);
        }
    }

    fn answer(&mut self, id: MemberId, want: Want) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.question = Question::Answered;
        self.counts.resync(if want.live.is_some() { Resync::Digest } else { Resync::Version });
        // What it asks from may be ahead of the log in some chains, of which the diff then says nothing. From here on every row says
        // which chain it continues.
        member.chains_from = Position::MAX;
        let staged = member.staged;
        let base = want.live.is_none().then(|| want.version.clone());
        let diff = match self.kept_diff(staged, base.as_ref()) {
            Some(kept) => kept,
            None => Made::new(self.head, &want.answer(&self.document), base),
        };
        self.hold(Held::Diff { member: id, diff });
    }

    /// A member has taken something of what was on its way.
    pub(super) fn drained(&mut self, id: MemberId, bytes: usize) {
        let window = self.config.window;
        self.touched.push(id);
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.on_the_way == 0 {
            return;
        }
        member.on_the_way = member.on_the_way.saturating_sub(bytes);
        if member.is_busy(window) {
            return;
        }
        if member.transfer.is_some() {
            return self.send_parts(id);
        }
        if let Question::Waits(want) = std::mem::take(&mut member.question) {
            self.answer(id, want);
        }
    }

    /// From where a diff can be made for whoever is opening, without asking what lives there: below the horizon only for those who have
    /// nothing at all.
    fn inline_base<'o>(&self, open: &'o Open) -> Option<&'o VersionVector> {
        open.version.as_ref().filter(|base| base.is_empty() || self.document.reaches_back_to(base))
    }

    /// CUR-1: whether a cursor leads to a place in this log from where the rows are still there. A restored log lacks the later epochs,
    /// or ends earlier in the one it has.
    fn follow(&self, cursor: Option<Cursor>) -> Option<Position> {
        let Cursor { epoch, position } = cursor?;
        let index = self.epochs.iter().position(|known| known.id == epoch)?;
        let end = self.epochs.get(index + 1).map_or(self.committed, |next| next.first_position - 1);
        let readable = position >= self.floor || self.recent.reaches(position);
        (position <= end && readable).then_some(position)
    }

    /// What is so of the ids that were claimed and settled, once forks are found and leases given.
    fn facts(&mut self, id: MemberId, open: &Open, may_note: bool) -> Vec<Fact> {
        let mut facts = Vec::with_capacity(open.claims.len() + open.settles.len());
        for claim in &open.claims {
            let examined = self.examine(claim.replica, open, may_note);
            if may_note {
                self.lease(id, open, claim, &examined);
            }
            facts.push(self.fact(claim.replica, &examined));
        }
        for Settle { replica, .. } in &open.settles {
            if open.claims.iter().all(|claim| claim.replica != *replica) {
                let examined = self.examine(*replica, open, may_note);
                facts.push(self.fact(*replica, &examined));
            }
        }
        facts
    }

    fn turn_away(&mut self, member: MemberId, reason: CloseReason) {
        self.effects.push_back(super::Effect::Close { member, close: super::close_for(reason) });
    }
}
