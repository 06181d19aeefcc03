//! Presence: who else has a document open, and what each shows of itself at this moment: a name, a colour, a cursor.
//!
//! Of each *peer*, which is one opening of a replica, there is one small value, the newest. It is never stored and never part
//! of the document. The relay passes values on as they are; what it promises of edits it does not promise here: whoever is
//! slow is sent the newest value only, and what does not get through is not sent again unless it is still the newest.
//!
//! A peer is here as long as its connection is: there are no messages that only say "still here". It goes at the moment its
//! connection ends at the relay. When one's own connection ends, what was known of others stays for [`limits::PRESENCE_TTL_MS`],
//! so that a short break does not make everybody vanish and come back; the relay then tells anew who is here.
//!
//! Rules: PRES-1 a value never replaces a newer one of its peer, in whatever order they arrive: every peer counts its values.
//! PRES-2 nobody is sent its own value, and nothing is sent because something was received.
//! Not here: the relay's half, which is the room's.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::limits;
use super::wire::{Malformed, Reader, put_bytes, put_varint};
use crate::clock::Timestamp;
use crate::hash::{Domain, hash};
use crate::ordered::retain;

/// Names a peer to the others: one opening of a replica, also of one that never writes. Nobody can tell from it what would
/// let them speak in the peer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

impl PeerId {
    /// The peer that an opening is.
    pub fn of(opening: u64) -> Self {
        Self(hash(Domain::Peer, &opening.to_le_bytes()) as u64)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What one peer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// Whose it is. 0 upward: the relay knows.
    pub peer: PeerId,
    /// Counts the values of a peer.
    pub clock: u64,
    /// The value; absent when the peer is gone, or shows nothing any more.
    pub value: Option<Arc<[u8]>>,
}

/// What peers show. Upward, the one value of the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whoever is not named is gone.
    pub whole: bool,
    /// The newest value of each.
    pub states: Vec<PeerState>,
}

/// A value is too long to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a presence value of {len} bytes, the limit is {limit}")]
pub struct PresenceTooLong {
    /// How long it is.
    pub len: usize,
    /// How long it may be.
    pub limit: usize,
}

const WHOLE: u8 = 1;

impl Presence {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::from([u8::from(self.whole)]);
        for PeerState { peer, clock, value } in &self.states {
            out.extend_from_slice(&peer.0.to_le_bytes());
            put_varint(&mut out, clock << 1 | u64::from(value.is_some()));
            if let Some(value) = value {
                put_bytes(&mut out, value);
            }
        }
        out
    }

    pub(super) fn read(mut body: Reader<'_>) -> Result<Self, Malformed> {
        let flags = body.u8();
        let mut states = Vec::new();
        while !body.is_empty() {
            let peer = PeerId(u64::from_le_bytes(*body.tag().as_bytes()));
            let head = body.varint();
            let value: Option<Arc<[u8]>> = if head & 1 == 1 { Some(body.bytes().into()) } else { None };
            if value.as_ref().is_some_and(|value| value.len() > limits::MAX_PRESENCE) {
                return Err(Malformed);
            }
            states.push(PeerState { peer, clock: head >> 1, value });
        }
        if flags > WHOLE {
            return Err(Malformed);
        }
        body.ok().map(|()| Self { whole: flags == WHOLE, states })
    }
}

/// What is known of a peer.
#[derive(Debug)]
struct Known {
    state: PeerState,
    /// When to forget it: it is gone, or the connection over which it was heard of is.
    until: Option<Timestamp>,
}

/// What a replica knows of the others, and shows of itself.
#[derive(Debug)]
pub(super) struct Peers {
    own: PeerState,
    /// The own value is to be sent, not before this.
    due: Option<Timestamp>,
    /// When it may be sent next.
    next: Timestamp,
    /// Ascending.
    known: Vec<Known>,
}

impl Peers {
    pub(super) fn new(opening: u64) -> Self {
        let own = PeerState { peer: PeerId::of(opening), clock: 0, value: None };
        Self { own, due: None, next: Timestamp(0), known: Vec::new() }
    }

    pub(super) const fn own(&self) -> &PeerState {
        &self.own
    }

    /// Those that are here, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerId, &Arc<[u8]>)> {
        self.known.iter().filter_map(|known| known.state.value.as_ref().map(|value| (known.state.peer, value)))
    }

    /// Shows another value, or nothing any more.
    pub(super) fn set(&mut self, value: Option<&[u8]>) -> Result<(), PresenceTooLong> {
        let (len, limit) = (value.map_or(0, <[u8]>::len), limits::MAX_PRESENCE);
        if len > limit {
            return Err(PresenceTooLong { len, limit });
        }
        if self.own.value.as_deref() != value {
            self.own.value = value.map(Arc::from);
            self.renew();
        }
        Ok(())
    }

    /// A connection is open. What it is told is newer than all that was said on an older one, also than that we were gone.
    pub(super) fn connected(&mut self) {
        if self.own.clock > 0 {
            self.renew();
        }
    }

    fn renew(&mut self) {
        self.own.clock += 1;
        self.due = Some(self.next);
    }

    /// What is to be sent now, if anything: the newest value, however many there were since the last.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Presence> {
        self.due.take_if(|due| *due <= now)?;
        self.next = now.plus_ms(limits::PRESENCE_INTERVAL_MS);
        let own = PeerState { peer: PeerId(0), ..self.own.clone() };
        Some(Presence { whole: false, states: Vec::from([own]) })
    }

    /// When there is something to send next, or to forget.
    pub(super) fn deadline(&self, can_send: bool) -> Option<Timestamp> {
        let mut first = self.due.filter(|_| can_send);
        for known in &self.known {
            first = earlier(first, known.until);
        }
        first
    }

    /// The relay tells of others. Gives what is new in it, as far as it is.
    pub(super) fn receive(&mut self, now: Timestamp, presence: Presence) -> Vec<PeerState> {
        let mut news = Vec::new();
        if presence.whole {
            self.lost(now);
        }
        for state in presence.states {
            let until = if state.value.is_some() { None } else { Some(now.plus_ms(limits::PRESENCE_TTL_MS)) };
            if state.peer == self.own.peer {
                continue;
            }
            match self.known.binary_search_by(|known| known.state.peer.cmp(&state.peer)) {
                Ok(at) => {
                    let known = &mut self.known[at];
                    if state.clock < known.state.clock {
                        continue;
                    }
                    let same = state.value == known.state.value;
                    // Of the same count is what is told again, or that the peer is gone: then it stays so.
                    if state.clock == known.state.clock && known.state.value.is_none() {
                        continue;
                    }
                    *known = Known { state: state.clone(), until };
                    if same {
                        continue;
                    }
                }
                Err(at) if self.known.len() < limits::MAX_PEERS => {
                    self.known.insert(at, Known { state: state.clone(), until });
                    if state.value.is_none() {
                        continue;
                    }
                }
                Err(_) => continue,
            }
            news.push(state);
        }
        if presence.whole {
            news.append(&mut self.settle());
        }
        news
    }

    /// The connection over which all of them were heard of is gone: they stay for a while.
    pub(super) fn lost(&mut self, now: Timestamp) {
        for known in &mut self.known {
            known.until.get_or_insert(now.plus_ms(limits::PRESENCE_TTL_MS));
        }
    }

    /// Everybody who is here has been told of: the others are not. Gives those.
    pub(super) fn settle(&mut self) -> Vec<PeerState> {
        self.forget(&|known| known.until.is_some() && known.state.value.is_some())
    }

    /// Forgets those whose time is over. Gives them.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<PeerState> {
        self.forget(&|known| known.until.is_some_and(|until| until <= now))
    }

    fn forget(&mut self, is_over: &dyn Fn(&Known) -> bool) -> Vec<PeerState> {
        let mut gone = Vec::new();
        retain(&mut self.known, |known| {
            let is_over = is_over(known);
            if is_over && known.state.value.take().is_some() {
                gone.push(known.state.clone());
            }
            !is_over
        });
        gone
    }
}

/// The earlier of two times, as far as there are any.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (time, None) | (None, time) => time,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn state(peer: u64, clock: u64, value: &str) -> PeerState {
        let value = (!value.is_empty()).then(|| value.as_bytes().into());
        PeerState { peer: PeerId(peer), clock, value }
    }

    fn told(states: &[PeerState]) -> Presence {
        Presence { whole: false, states: states.to_vec() }
    }

    fn shown(peers: &Peers) -> Vec<(u64, &[u8])> {
        peers.iter().map(|(peer, value)| (peer.0, &value[..])).collect()
    }

    proptest! {
        #[test]
        fn pres_1_in_whatever_order_values_arrive_the_newest_of_each_is_shown(
            said in prop::collection::vec((0u64..3, 0u8..4), 0..20),
            order in any::<prop::sample::Index>(),
            shuffled in Just(()).prop_perturb(|(), mut rng| rng.random::<u64>()),
        ) {
            let mut clocks = [0; 3];
            let mut states = Vec::new();
            for (peer, value) in said {
                clocks[peer as usize] += 1;
                states.push(state(peer, clocks[peer as usize], ["", "a", "b", "c"][usize::from(value)]));
            }
            let mut newest: Vec<PeerState> = Vec::new();
            for said in &states {
                newest.retain(|known| known.peer != said.peer);
                newest.push(said.clone());
            }
            newest.retain(|known| known.value.is_some());
            newest.sort_by_key(|known| known.peer);

            let mut peers = Peers::new(9);
            let mut random = shuffled;
            let mut rest = states.clone();
            while !rest.is_empty() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let next = rest.swap_remove((random >> 33) as usize % rest.len());
                peers.receive(NOW, told(&[next]));
            }
            // Whatever is told again changes nothing.
            if !states.is_empty() {
                let again = order.get(&states).clone();
                prop_assert!(peers.receive(NOW, told(&[again])).is_empty());
            }
            let expected: Vec<(u64, &[u8])> =
                newest.iter().map(|known| (known.peer.0, known.value.as_deref().unwrap())).collect();
            prop_assert_eq!(shown(&peers), expected);
        }

        #[test]
        fn bytes_1_any_bytes_are_presence_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(presence) = Presence::read(Reader::new(&bytes)) {
                prop_assert_eq!(presence.encode(), bytes);
            }
        }
    }

    #[test]
    fn bytes_2_what_is_written_is_read() {
        let states = vec![state(u64::MAX, 300, "ann"), state(0, 0, "")];
        for whole in [false, true] {
            let presence = Presence { whole, states: states.clone() };
            assert_eq!(Presence::read(Reader::new(&presence.encode())), Ok(presence));
        }
        let long = PeerState { value: Some(vec![0; limits::MAX_PRESENCE + 1].into()), ..state(1, 1, "") };
        assert!(Presence::read(Reader::new(&told(&[long]).encode())).is_err());
    }

    #[test]
    fn values_are_sent_so_often_and_no_more_and_the_last_one_counts() {
        let mut peers = Peers::new(1);
        assert_eq!(peers.take_due(NOW), None);
        peers.set(Some(b"a")).unwrap();
        assert_eq!(peers.take_due(NOW).unwrap().states, [state(0, 1, "a")]);
        for value in ["b", "c", "c"] {
            peers.set(Some(value.as_bytes())).unwrap();
            assert_eq!(peers.take_due(NOW), None);
        }
        let next = NOW.plus_ms(limits::PRESENCE_INTERVAL_MS);
        assert_eq!((peers.deadline(true), peers.deadline(false)), (Some(next), None));
        assert_eq!(peers.take_due(next).unwrap().states, [state(0, 3, "c")]);
        peers.set(Some(b"c")).unwrap();
        assert_eq!(peers.deadline(true), None, "nothing new is nothing to send");
        peers.set(None).unwrap();
        assert_eq!(peers.take_due(next.plus_ms(1_000)).unwrap().states, [state(0, 4, "")]);
        let len = limits::MAX_PRESENCE + 1;
        let refused = peers.set(Some(&vec![0; len]));
        assert_eq!(refused, Err(PresenceTooLong { len, limit: limits::MAX_PRESENCE }));
    }

    #[test]
    fn pres_1_who_comes_back_is_newer_than_that_it_was_gone() {
        let mut ann = Peers::new(1);
        let mut ben = Peers::new(2);
        ann.set(Some(b"a")).unwrap();
        let first = ann.take_due(NOW).unwrap().states[0].clone();
        let as_sent = |state: &PeerState| told(&[PeerState { peer: ann_id(), ..state.clone() }]);
        assert_eq!(ben.receive(NOW, as_sent(&first)).len(), 1);
        let gone = PeerState { value: None, ..first.clone() };
        assert_eq!(ben.receive(NOW, as_sent(&gone)).len(), 1);
        assert!(ben.receive(NOW, as_sent(&first)).is_empty(), "what was said before it left");
        ann.connected();
        let again = ann.take_due(NOW.plus_ms(limits::PRESENCE_INTERVAL_MS)).unwrap().states[0].clone();
        assert_eq!(ben.receive(NOW, as_sent(&again)).len(), 1);
    }

    fn ann_id() -> PeerId {
        PeerId::of(1)
    }

    #[test]
    fn others_stay_for_a_while_when_the_connection_is_gone_and_are_told_anew_by_the_next() {
        let mut peers = Peers::new(9);
        peers.receive(NOW, told(&[state(1, 1, "a"), state(2, 1, "b"), state(3, 1, "c")]));
        peers.lost(NOW);
        let end = NOW.plus_ms(limits::PRESENCE_TTL_MS);
        assert_eq!(peers.deadline(true), Some(end));
        assert!(peers.expire(NOW.plus_ms(1)).is_empty());
        // The relay tells all at once.
        let whole = Presence { whole: true, states: vec![state(1, 1, "a"), state(2, 4, "B")] };
        assert_eq!(peers.receive(NOW, whole), [state(2, 4, "B"), state(3, 1, "")]);
        assert_eq!(shown(&peers), [(1, &b"a"[..]), (2, b"B")]);
        assert_eq!(peers.deadline(true), None);
        // Or nobody is there to be told of.
        peers.lost(NOW);
        assert_eq!(peers.settle(), [state(1, 1, ""), state(2, 4, "")]);
        assert_eq!(shown(&peers), []);
        // Or there is no next connection.
        peers.receive(NOW, told(&[state(1, 9, "a")]));
        peers.lost(NOW);
        assert_eq!(peers.expire(end), [state(1, 9, "")]);
    }

    #[test]
    fn pres_2_ones_own_value_and_what_would_take_too_much_memory_are_not_kept() {
        let mut peers = Peers::new(1);
        assert!(peers.receive(NOW, told(&[PeerState { peer: ann_id(), ..state(0, 9, "a") }])).is_empty());
        let many: Vec<PeerState> = (0..limits::MAX_PEERS as u64 + 5).map(|peer| state(peer, 1, "a")).collect();
        assert_eq!(peers.receive(NOW, told(&many)).len(), limits::MAX_PEERS);
        assert_eq!(peers.take_due(NOW), None, "nothing is sent because something was received");
    }
}
