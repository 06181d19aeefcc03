//! A peer of a newer version, that writes kinds which nobody else here knows. It has no document and reads nothing; all of its deltas
//! stand alone. What it writes must be kept, passed on, hidden, and removed with what it is in, as if it were known.

use weftline::sync::{Message, Open, Row, Rows};
use weftline::{
    Container, Delta, DeltaParts, Dot, DotRuns, Entry, Hlc, Kind, Payload, ReplicaId, Slot, Tag, Timestamp,
    VersionVector,
};
use weftline_relay::room::{Input, MemberId, Rights};

use super::{Checked, Event, World};
use crate::rng::Rng;

/// A kind of the future.
const KIND: Kind = Kind(201);

/// What one such peer has written to a room.
#[derive(Debug)]
pub(super) struct Newer {
    replica: ReplicaId,
    deltas: Vec<Delta>,
    /// How many of them the relay has acked.
    acked: usize,
    member: Option<MemberId>,
    opening: u64,
}

impl Newer {
    pub(super) fn new(seed: u64, room: usize) -> Self {
        let mut rng = Rng::of(seed, 5, room as u64);
        let replica = ReplicaId::from(u128::from_le_bytes(rng.entropy()) | 1);
        Self { replica, deltas: Vec::new(), acked: 0, member: None, opening: 0 }
    }

    /// Everything it has written, and whether the relay has said that it has it.
    pub(super) fn deltas(&self) -> &[Delta] {
        &self.deltas
    }

    pub(super) const fn is_acked(&self) -> bool {
        self.acked == self.deltas.len()
    }

    pub(super) fn is(&self, member: MemberId) -> bool {
        self.member == Some(member)
    }

    /// Its connection is over. What it had been told of the relay may have changed when it comes back.
    pub(super) const fn left(&mut self) {
        self.member = None;
        self.acked = 0;
    }

    /// What the relay says. Rows and questions are for those who read.
    pub(super) fn told(&mut self, message: &Message) -> Checked {
        match message {
            Message::Ack(ack) if ack.replica == self.replica => {
                self.acked = self.deltas.iter().filter(|delta| delta.last_seq() <= ack.through).count();
                Ok(())
            }
            Message::Nack(nack) => Err(format!("a delta of a newer version is refused: {nack:?}")),
            _ => Ok(()),
        }
    }

    fn write(&mut self, now: Timestamp, rng: &mut Rng) {
        let prev_tag = self.deltas.last().map_or_else(|| Tag::start(self.replica), Delta::tag);
        let first_seq = self.deltas.last().map_or(0, Delta::last_seq) + 1;
        let map = || Container::Root { name: "map".into(), kind: Kind::MAP };
        let key = Slot::Key((*rng.pick(&["a", "b", "c", "future"])).into());
        let payload = Payload::Opaque(vec![7; rng.below(20)].into());
        let entity = rng.chance(40);
        let mut adds = vec![(first_seq, Entry { container: map(), slot: key, kind: KIND, payload, entity })];
        if entity {
            let inside = Container::Entity(Dot::new(self.replica, first_seq));
            let payload = Payload::Opaque([1, 2, 3][..].into());
            adds.push((
                first_seq + 1,
                Entry { container: inside, slot: Slot::Unit, kind: KIND, payload, entity: false },
            ));
        }
        let parts = DeltaParts {
            replica: self.replica,
            first_seq,
            dots: adds.len() as u64,
            deps: self.deltas.last().map(Delta::dot).into_iter().collect(),
            hlc: Hlc(now.0 << 16),
            bunches: Vec::new(),
            adds: adds.into_iter().collect(),
            text: std::iter::empty().collect(),
            totals_before: std::iter::empty().collect(),
            removes: DotRuns::new(),
        };
        self.deltas.push(Delta::seal(parts, prev_tag));
    }
}

impl World<'_> {
    /// The newer peer of a room writes, and sends what the relay has not acked.
    pub(super) fn edit_newer(&mut self, room: usize, mut rng: Rng) -> Checked {
        let now = Timestamp(self.now);
        self.relay.rooms[room].newer.write(now, &mut rng);
        let delta = self.relay.rooms[room].newer.deltas.last().cloned().ok_or("it has just written")?;
        self.payloads.write(&delta);
        self.report.edits += 1;
        self.note(|| format!("a newer peer writes {} to room {room}", delta.dot()));
        self.push_newer(room)
    }

    /// Sends what the relay has not acked, and looks again later.
    pub(super) fn push_newer(&mut self, room: usize) -> Checked {
        if self.relay.rooms[room].newer.is_acked() {
            return Ok(());
        }
        let delay = self.relay.rng.between(2_000, 6_000);
        self.after(delay, Event::PushNewer { room });
        if !self.relay.is_up() {
            return Ok(());
        }
        self.open_room(room)?;
        if self.relay.rooms[room].newer.member.is_none() {
            let member = self.relay.new_member(room, 0);
            let newer = &mut self.relay.rooms[room].newer;
            newer.member = Some(member);
            newer.opening += 1;
            let opening = u64::MAX - newer.opening;
            let open = Open {
                document: crate::peer::document(room),
                opening,
                connection: 1,
                cursor: None,
                version_hash: [0; 16],
                beacon: [0; 16],
                version: Some(VersionVector::new()),
                voids: Vec::new(),
                claims: Vec::new(),
                settles: Vec::new(),
                packed: false,
                staged: None,
            };
            self.room_handle(room, Input::Join { member, open: Box::new(open), rights: Rights::ALL })?;
        }
        // From the first on: the relay may have been put back. What it has it acks again.
        let newer = &self.relay.rooms[room].newer;
        let Some(member) = newer.member else { return Ok(()) };
        let rows = newer.deltas.iter().map(Row::of).collect();
        self.room_handle(room, Input::Message { member, message: Message::Rows(Rows { from: 0, to: 0, rows }) })
    }
}
