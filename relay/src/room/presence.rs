//! Who is here, and what each member shows of itself (`weftline::sync::Presence`). In memory only, beside the log: nothing of it waits for
//! a commit, and nothing of it is stored.
//!
//! Every change has a number. A member is a number as well: what it was told. So nothing is queued for anybody; a member that can take
//! something is sent the newest value of whoever changed since, all in one message. Changes are collected for a moment, so that the number of
//! messages grows with the members, not with its square. Rows come first: a member that has a batch on its way gets its presence when it
//! has taken that.
//!
//! Rules: PRES-1 a value with a lower count than the last is dropped. PRES-2 nobody is sent its own, and nothing is sent because something
//! was taken. PRES-3 a slow member gets only the newest of each.

use std::collections::BTreeMap;

use bytes::Bytes;
use weftline::Timestamp;
use weftline::sync::{CloseReason, MessageKind, PeerId, PeerState, Presence};

use super::member::Member;
use super::{MemberId, Room};

/// How many peers that are gone are remembered, for members that have not been told. A member that has missed more is told anew who is here.
const MAX_GONE: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    here: BTreeMap<PeerId, Shown>,
    gone: BTreeMap<PeerId, Change>,
    /// The last change, and the last one that may be told.
    last: u64,
    told: u64,
    /// Changes that are not told wait until then.
    next: Timestamp,
    /// Who was told less than this has missed that somebody went.
    forgotten: u64,
}

#[derive(Debug)]
struct Shown {
    /// Who shows it.
    member: MemberId,
    change: Change,
}

/// A change: its number, and what it leads to.
#[derive(Debug)]
struct Change {
    number: u64,
    state: PeerState,
}

/// The last message made: those who were told as much and are not in it share its bytes.
#[derive(Default)]
pub(super) struct SharedNews {
    after: Option<u64>,
    body: Bytes,
}

impl Board {
    /// Nobody is here. Change 0 is before all others, and told to nobody.
    pub(super) fn new() -> Self {
        Self { last: 1, told: 1, ..Self::default() }
    }

    /// The last change that may be told.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// When there is something to tell that waits.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        (self.last > self.told).then_some(self.next)
    }

    fn leave(&mut self, peer: PeerId) {
        let Some(shown) = self.here.remove(&peer) else { return };
        self.last += 1;
        let state = PeerState { value: None, ..shown.change.state };
        self.gone.insert(peer, Change { number: self.last, state });
        if self.gone.len() > MAX_GONE {
            self.gone.clear();
            self.forgotten = self.last;
        }
    }

    /// What changed after `after`; who is here, if that is too long ago.
    fn news(&self, after: u64) -> Presence {
        let whole = after == 0 || after < self.forgotten;
        let here = self.here.values().map(|shown| &shown.change);
        let changes = here.chain(self.gone.values().filter(|_| !whole));
        let states = changes.filter(|change| whole || change.number > after).map(|change| change.state.clone());
        Presence { whole, states: states.collect() }
    }

    /// Whether the news after `after` would tell a peer of itself.
    fn is_in_news(&self, peer: PeerId, after: u64) -> bool {
        self.here.get(&peer).is_some_and(|shown| shown.change.number > after || after < self.forgotten)
    }
}

impl Room {
    /// A member shows something else of itself.
    pub(super) fn show(&mut self, id: MemberId, presence: Presence) {
        self.counts.presence_received += 1;
        let Some(member) = self.members.get(&id) else { return };
        let (peer, may_show) = (PeerId::of(member.opening), member.rights.presence);
        let Presence { whole: false, states } = presence else { return self.close(id, CloseReason::Protocol) };
        let Ok([state]) = <[PeerState; 1]>::try_from(states) else { return self.close(id, CloseReason::Protocol) };
        if !may_show {
            return;
        }
        let board = &mut self.board;
        let before = board.here.get(&peer).map(|shown| shown.change.state.clock);
        if before.is_some_and(|before| before >= state.clock) {
            return;
        }
        if state.value.is_none() {
            if let Some(shown) = board.here.get_mut(&peer) {
                shown.change.state.clock = state.clock;
            }
            return board.leave(peer);
        }
        if before.is_none() && board.here.len() >= self.config.max_present {
            return;
        }
        board.last += 1;
        board.gone.remove(&peer);
        let change = Change { number: board.last, state: PeerState { peer, ..state } };
        board.here.insert(peer, Shown { member: id, change });
    }

    /// A newer connection of the same opening has come: what it showed stays, without going and coming back.
    pub(super) fn keeps_showing(&mut self, opening: u64, id: MemberId) {
        if let Some(shown) = self.board.here.get_mut(&PeerId::of(opening)) {
            shown.member = id;
        }
    }

    /// A member is gone.
    pub(super) fn shows_no_more(&mut self, id: MemberId, opening: u64) {
        let peer = PeerId::of(opening);
        if self.board.here.get(&peer).is_some_and(|shown| shown.member == id) {
            self.board.leave(peer);
        }
    }

    /// Lets what changed be told, if it is time.
    pub(super) fn tell_presence(&mut self, now: Timestamp) {
        let board = &mut self.board;
        if board.last > board.told && now >= board.next {
            board.told = board.last;
            board.next = now.plus_ms(self.config.presence_interval_ms);
        }
    }

    /// Sends a member who is here, right behind OpenAck; nothing, if nobody is.
    pub(super) fn introduce(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.presence = self.board.last;
        let mut presence = self.board.news(0);
        let own = PeerId::of(member.opening);
        presence.states.retain(|state| state.peer != own);
        if !presence.states.is_empty() {
            self.send_bulk(id, MessageKind::Presence, body(presence));
        }
    }

    /// Sends a member what has changed since it was told last, if it can take something.
    pub(super) fn feed_presence(&mut self, id: MemberId, member: &mut Member, shared: &mut SharedNews) {
        let board = &self.board;
        if !member.opened || member.presence >= board.told || member.is_busy(self.config.window) {
            return;
        }
        let after = std::mem::replace(&mut member.presence, board.last);
        let own = PeerId::of(member.opening);
        if board.is_in_news(own, after) {
            let mut presence = board.news(after);
            presence.states.retain(|state| state.peer != own);
            if presence.whole || !presence.states.is_empty() {
                self.send_to(id, member, MessageKind::Presence, body(presence));
            }
            return;
        }
        if shared.after != Some(after) {
            *shared = SharedNews { after: Some(after), body: body(board.news(after)) };
        }
        self.counts.presence_sent += 1;
        self.send_to(id, member, MessageKind::Presence, shared.body.clone());
    }
}

fn body(presence: Presence) -> Bytes {
    weftline::sync::Message::Presence(presence).encode_body().into()
}
