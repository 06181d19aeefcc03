//! Sending rows down: each member is a cursor into the log.
//!
//! A member that takes its batches is fed from memory. One that does not take them costs nothing: its cursor stays, and when it comes
//! back, the rows are read from the log, or a diff replaces them if they are gone.
//!
//! Rules: FAN-1 only committed rows. CUR-2 every row after the cursor is either sent, in order, or the member's own, or one that stays here.

use bytes::Bytes;
use weftline::sync::{Before, CaughtUp, CloseReason, Message, MessageKind, PackedRows, Row, Rows, pack};

use super::member::Member;
use super::presence::SharedNews;
use super::recent::LogRow;
use super::{Effect, MemberId, Resync, Room};
use crate::store::{Position, Tail};

/// The last batch cut, in one of the two forms: those who are at the same place share its bytes.
#[derive(Default)]
struct Shared {
    form: Option<Form>,
    body: Bytes,
}

/// What members that are fed together share.
#[derive(Default)]
struct Feed {
    rows: [Shared; 2],
    news: SharedNews,
}

/// What the bytes of a batch depend on besides the log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    from: Position,
    to: Position,
    /// For a member that keeps a roster: how much of it was told, up to where it needs the tag before each row, and whether it was
    /// sent all that the others may do without.
    packed: Option<(usize, Position, bool)>,
}

impl Form {
    fn is_short(&self) -> bool {
        self.packed.is_some_and(|(.., short)| short)
    }
}

impl Room {
    /// Gives every member that can take something the next thing.
    pub(super) fn feed_all(&mut self) {
        self.touched.clear();
        let mut feed = Feed::default();
        let mut members = std::mem::take(&mut self.members);
        for (id, member) in &mut members {
            self.feed(*id, member, &mut feed);
        }
        self.members = members;
    }

    /// The same for those with whom something has changed, when nothing has for the others.
    pub(super) fn feed_touched(&mut self) {
        let mut feed = Feed::default();
        while let Some(id) = self.touched.pop() {
            self.with(id, |room, member| room.feed(id, member, &mut feed));
        }
    }

    fn feed(&mut self, id: MemberId, member: &mut Member, feed: &mut Feed) {
        self.skip_own(id, member);
        while self.feed_rows(id, member, &mut feed.rows) {}
        self.feed_presence(id, member, &mut feed.news);
    }

    /// Says whether there may be more.
    fn feed_rows(&mut self, id: MemberId, member: &mut Member, shared: &mut [Shared; 2]) -> bool {
        let is_occupied = member.reading.is_some() || member.transfer.is_some();
        if !member.feeding || is_occupied || member.is_busy(self.config.window) {
            return false;
        }
        if member.cursor >= self.committed {
            if !member.caught_up {
                member.caught_up = true;
                let (told, position) = (member.told, member.cursor);
                member.told = position;
                if told < position {
                    // Own rows at the end: only the position moves.
                    self.send(id, &Message::Rows(Rows { from: told + 1, to: position, rows: Vec::new() }));
                }
                let version_hash = self.version.hash();
                self.send(id, &Message::CaughtUp(CaughtUp { position, version_hash }));
            }
            return false;
        }
        if self.recent.reaches(member.cursor) {
            self.send_recent(id, member, shared);
            return true;
        }
        if member.cursor < self.floor {
            member.feeding = false;
            self.counts.resync(Resync::FellBehind);
            self.send(id, &Message::Ask);
        } else {
            let (after, max_bytes) = (member.cursor, self.config.max_batch);
            member.reading = Some(after);
            self.effects.push_back(Effect::ReadLog { member: id, after, max_bytes });
        }
        false
    }

    fn send_recent(&mut self, id: MemberId, member: &mut Member, shared: &mut [Shared; 2]) {
        let max_batch = self.config.max_batch;
        let mut bytes = 0;
        let mut to = member.cursor;
        let mut own = false;
        let mut rows = Vec::new();
        for row in self.recent.after(member.cursor) {
            if row.pusher == Some(id) {
                own = true;
            } else if !row.is_private {
                bytes += row.bytes.len();
                if !rows.is_empty() && bytes > max_batch {
                    break;
                }
                rows.push((row.position, &row.bytes[..], row.before.as_ref()));
            }
            to = row.position;
        }
        let mut form = member.form(to);
        if let Some((_, chains_from, short)) = &mut form.packed {
            let was_sent = |before: &Before| before.was_sent(member.sent_from, id.0);
            *short = rows.iter().all(|(at, _, before)| at <= chains_from || before.is_none_or(was_sent));
        }
        let count = rows.len();
        let shared = &mut shared[usize::from(form.is_short())];
        let body = if !own && shared.form == Some(form) { shared.body.clone() } else { self.body(form, rows) };
        if !own {
            *shared = Shared { form: Some(form), body: body.clone() };
        }
        self.send_batch(id, member, form, body, count);
    }

    /// The body of a batch of rows.
    fn body<'a>(&self, form: Form, rows: impl IntoIterator<Item = (Position, &'a [u8], Option<&'a Before>)>) -> Bytes {
        let Form { from, to, packed } = form;
        let Some((named, chains_from, short)) = packed else {
            return Rows::encode_shared(from, to, rows.into_iter().map(|(_, row, _)| row)).into();
        };
        let mut packed = Vec::new();
        for (position, row, before) in rows {
            let row = Row::decode(row).expect("FAN-1: a row of the log was checked before it was stored");
            packed.push(match before.filter(|_| short && position > chains_from) {
                Some(before) => before.pack(&row, &self.roster),
                None => pack(&row, &self.roster, position > chains_from),
            });
        }
        PackedRows::encode_shared(from, to, self.roster.range(named, self.named), &packed).into()
    }

    fn send_batch(&mut self, id: MemberId, member: &mut Member, form: Form, body: Bytes, count: usize) {
        self.note_sent(id, form.from - 1, form.to);
        member.cursor = form.to;
        member.told = form.to;
        member.named = member.named.max(self.named);
        self.counts.deliveries += count as u64;
        self.counts.delivered_batches += 1;
        self.counts.delivered_bytes += body.len() as u64;
        let kind = if form.packed.is_some() { MessageKind::Packed } else { MessageKind::Rows };
        self.send_to(id, member, kind, body);
    }

    /// Tells a member the ids that have a number since it was last told: rows of its own are not sent to it, yet others may name them, and
    /// so may it.
    pub(super) fn tell_new_ids(&mut self, id: MemberId) {
        let named = self.named;
        let Some(member) = self.members.get_mut(&id) else { return };
        if !member.packed || member.named >= named {
            return;
        }
        let new_ids = self.roster.range(member.named, named).to_vec();
        member.named = named;
        let to = member.told;
        self.send(id, &Message::Packed(PackedRows { from: to + 1, to, new_ids, rows: Vec::new() }));
    }

    /// Rows that were too old to be in memory.
    pub(super) fn log_read(&mut self, id: MemberId, tail: Tail) {
        let committed = self.committed;
        self.touched.push(id);
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.reading.take() != Some(member.cursor) || !member.feeding {
            // A diff has taken over meanwhile.
            return;
        }
        let rows = match tail {
            Tail::Rows(rows) => rows,
            Tail::Trimmed { .. } => {
                member.feeding = false;
                self.counts.resync(Resync::FellBehind);
                return self.send(id, &Message::Ask);
            }
        };
        // The store may have committed rows whose commit has not been heard of here; their turn comes.
        let rows = rows.iter().filter(|(position, _)| (member.cursor + 1..=committed).contains(position));
        let rows: Vec<_> = rows.map(|(position, bytes)| (*position, &bytes[..], None)).collect();
        let (Some((first, ..)), Some((last, ..))) = (rows.first(), rows.last()) else {
            // Rows that the room knows to be committed are not there.
            return self.close(id, CloseReason::Storage);
        };
        if *first != member.cursor + 1 || last - first + 1 != rows.len() as u64 {
            return self.close(id, CloseReason::Storage);
        }
        let form = member.form(*last);
        let count = rows.len();
        let body = self.body(form, rows.into_iter().filter(|(_, row, _)| !Row::is_private(row)));
        self.with(id, |room, member| room.send_batch(id, member, form, body, count));
    }

    /// Where a member's cursor is, which it is about to be told.
    pub(super) fn told(&mut self, id: MemberId) -> Option<Position> {
        self.with(id, |room, member| {
            room.skip_own(id, member);
            member.told = member.cursor;
            member.cursor
        })
    }

    /// Moves a member's cursor over rows that it pushed itself, and those that nobody is sent.
    fn skip_own(&self, id: MemberId, member: &mut Member) {
        if member.feeding && self.recent.reaches(member.cursor) {
            let own = |row: &&LogRow| row.pusher == Some(id) || row.is_private;
            let own = self.recent.after(member.cursor).take_while(own).last();
            member.cursor = own.map_or(member.cursor, |row| row.position);
        }
    }
}

impl Member {
    /// The form of a batch from where it was told to be up to `to`.
    fn form(&self, to: Position) -> Form {
        let from = self.told + 1;
        let packed = self.packed.then(|| (self.named, self.chains_from.clamp(from - 1, to), false));
        Form { from, to, packed }
    }
}
