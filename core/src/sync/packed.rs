//! Packed rows: the form that rows have within a session.
//!
//! A delta is the same bytes behind its header in both forms; the header says ids by their numbers in the [`Roster`], the stamp
//! by its distance from the roster's time, and leaves the tag before it out where the receiver has been told the chain that
//! it continues. Unpacking gives the row back byte for byte, so that chains and logs know nothing of this.
//!
//! What a row continues, and what it types into, is left out where the receiver was sent that on the same connection: upward by
//! [`Said`], downward as [`super::relayed`] has it.
//!
//! A tag is left out by a relay when it has told the receiver the log's version at a position before the row, and by a client
//! when it has sent the delta before on the same connection. Both are about what was *said* on one connection, not about what
//! the receiver holds: a receiver whose own chain parts from the log's resolves the tag to the log's, and finds the fork.
//!
//! Rules: BYTES-1 a number that the receiver was not told is refused. FORK-2 a tag that is left out is never guessed.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::roster::Roster;
use super::row::{RecordError, Row, put_void, void};
use super::wire::{Malformed, Reader, put_varint, told};
use crate::clock::{Hlc, Tag};
use crate::codec::limits::MAX_DELTA_BYTES;
use crate::codec::{DeltaHeader, LoneText, decode_delta};
use crate::ordered::Map;
use crate::replica_id::ReplicaId;
use crate::store::Container;

/// The head of a packed delta: the tag before it is there; ids of others than its writer are there; it continues what was said
/// last of its writer on the same connection, so that its first dot is not said; from bit 3 the writer.
const HAS_TAG: u64 = 1;
const HAS_OTHERS: u64 = 2;
const AFTER: u64 = 4;
const WRITER_SHIFT: u32 = 3;
/// In place of the head: a diff, or a void fact as in a log.
const DIFF: u64 = 0;
const VOID: u64 = 1;
/// The writer is told in full. Above, it is its number plus two.
const IN_FULL: u64 = 1;

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// A row.
    Row(Row),
    /// A delta that continues what the receiver has been told of its writer's chain.
    Next {
        /// Who wrote it.
        replica: ReplicaId,
        /// Its first dot.
        first_seq: u64,
        /// Its last dot.
        last_seq: u64,
        /// Its canonical bytes.
        bytes: Arc<[u8]>,
    },
}

/// What was said last of each writer on one connection, in one direction. Upward both ends keep it alike: one packs with it, the
/// other unpacks with it, every row in the same order. Downward it is the receiver's alone.
///
/// So a row that comes after another of its writer does without its first dot, and one that does nothing but type into the text
/// that the last one typed into, without naming that.
#[derive(Clone, Debug)]
pub struct Said {
    last: Map<ReplicaId, Last>,
    /// Of so many writers it is remembered what was said last. Where there are more, all are forgotten.
    most: usize,
}

/// What was said last of one writer.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) seq: u64,
    /// What it typed into last, if it typed.
    pub(super) text: Option<Container>,
    /// In a log, which row said the one, and which the other.
    pub(super) at: Source,
    pub(super) text_at: Source,
}

/// Which row of a log said something, and who is not sent it because they pushed it: a number that the relay gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The row's position.
    pub position: u64,
    /// Who pushed it.
    pub pusher: u64,
}

/// No dot comes after it.
const NEVER: u64 = u64::MAX;

impl Default for Said {
    fn default() -> Self {
        Self::new()
    }
}

impl Said {
    const MOST: usize = 64;

    /// Nothing was said so far.
    pub const fn new() -> Self {
        Self { last: Map::new(), most: Self::MOST }
    }

    /// The same for whoever is sent a log: the relay may go by any row that it has sent, so of each writer the last one is
    /// remembered. They are writers of the document, which remembers each of them anyway.
    pub const fn of_log() -> Self {
        Self { last: Map::new(), most: usize::MAX }
    }

    /// What was said last of the writer of a delta, if the delta comes next.
    pub(super) fn before(&self, header: &DeltaHeader<'_>) -> Option<&Last> {
        self.last.get(&header.writer).filter(|last| last.seq.wrapping_add(1) == header.first_seq)
    }

    /// What was said was in vain: the next row of each writer says everything, the tag before it included. Only whoever packs does
    /// this; the other end goes on.
    pub fn forget(&mut self) {
        for (_, last) in self.last.iter_mut() {
            last.seq = NEVER;
        }
    }

    /// The packed form of a row that is sent next.
    pub fn pack(&mut self, row: &Row, roster: &Roster) -> Vec<u8> {
        let header = if let Row::Delta { bytes, .. } = row { DeltaHeader::split(bytes).ok() } else { None };
        let Some(header) = header else { return write(row, roster, false, None) };
        let out = write(row, roster, false, self.before(&header));
        self.hear(&header, Source::default());
        out
    }

    /// Reads what [`Self::pack`] gave at the other end. O(bytes).
    ///
    /// # Errors
    /// When it is not the packed form of a row for this roster, or continues what was not said.
    pub fn unpack(&mut self, packed: &[u8], roster: &Roster) -> Result<Unpacked, RecordError> {
        let unpacked =
            read(packed, roster, Some(self)).map_err(|Malformed| RecordError { what: told("packed row") })?;
        let bytes = match &unpacked {
            Unpacked::Row(Row::Delta { bytes, .. }) | Unpacked::Next { bytes, .. } => bytes,
            Unpacked::Row(_) => return Ok(unpacked),
        };
        if let Ok(header) = DeltaHeader::split(bytes) {
            self.hear(&header, Source::default());
        }
        Ok(unpacked)
    }

    pub(super) fn hear(&mut self, header: &DeltaHeader<'_>, at: Source) {
        let before = self.last.remove(&header.writer);
        let (text, text_at) = match header.lone_text() {
            Some(lone) => (Some(lone.container), at),
            None if header.has_text() => (last_text(&header.join()), at),
            None => before.map_or((None, at), |before| (before.text, before.text_at)),
        };
        if self.last.len() >= self.most {
            self.last.clear();
        }
        if let Ok(seq) = header.last_seq() {
            self.last.insert(header.writer, Last { seq, text, at, text_at });
        }
    }
}

/// What a delta types into last.
fn last_text(bytes: &[u8]) -> Option<Container> {
    decode_delta(bytes).ok()?.text.last().map(|run| run.container.clone())
}

/// The packed form of a row by itself. `follows`: the receiver has been told the tag before it.
///
/// A row that is not one, which no store and no document gives, is packed as something that nobody unpacks.
pub fn pack(row: &Row, roster: &Roster, follows: bool) -> Vec<u8> {
    write(row, roster, follows, None)
}

pub(super) fn write(row: &Row, roster: &Roster, follows: bool, after: Option<&Last>) -> Vec<u8> {
    let (prev_tag, bytes) = match row {
        Row::Diff { bytes } => {
            let mut out = Vec::with_capacity(1 + bytes.len());
            put_varint(&mut out, DIFF);
            out.extend_from_slice(bytes);
            return out;
        }
        Row::Void(fact) => {
            let mut out = Vec::new();
            put_varint(&mut out, VOID);
            put_void(&mut out, fact);
            return out;
        }
        Row::Delta { prev_tag, bytes } => (prev_tag, bytes),
        // Nobody is sent one.
        Row::Lease { .. } => return Vec::new(),
    };
    let Ok(header) = DeltaHeader::split(bytes) else { return Vec::new() };
    let lone = after
        .and_then(|_| header.lone_text())
        .filter(|lone| after.and_then(|last| last.text.as_ref()) == Some(&lone.container));
    // The first delta of a chain follows what everybody knows.
    let first = header.first_seq == 1 && *prev_tag == Tag::start(header.writer);
    let follows = follows || after.is_some() || first;
    let has_others = !header.others.is_empty() && lone.is_none();
    let writer = roster.number(header.writer);
    let mut head = writer.map_or(IN_FULL, |number| number + IN_FULL + 1) << WRITER_SHIFT;
    for (flag, is_set) in [(HAS_TAG, !follows), (HAS_OTHERS, has_others), (AFTER, after.is_some())] {
        head |= if is_set { flag } else { 0 };
    }
    let mut out = Vec::with_capacity(16 + header.rest.len());
    put_varint(&mut out, head);
    if writer.is_none() {
        out.extend_from_slice(&header.writer.to_bytes());
    }
    if !follows {
        out.extend_from_slice(prev_tag.as_bytes());
    }
    if has_others {
        put_varint(&mut out, (header.others.len() / ID) as u64);
        for id in header.others.chunks_exact(ID) {
            let id = ReplicaId::from_bytes(id.try_into().unwrap_or_default());
            let number = roster.number(id);
            put_varint(&mut out, number.map_or(0, |number| number + 1));
            if number.is_none() {
                out.extend_from_slice(&id.to_bytes());
            }
        }
    }
    if let Some(lone) = lone {
        out.push(DeltaHeader::flags_of_lone_text(header.flags, false).unwrap_or(header.flags));
        out.extend_from_slice(lone.lead);
        out.extend_from_slice(lone.characters);
        return out;
    }
    out.push(header.flags);
    if after.is_none() {
        put_varint(&mut out, header.first_seq);
    }
    if DeltaHeader::has_stamp(header.flags) {
        let millis = (header.hlc.millis() as i64).wrapping_sub(roster.since().0 as i64);
        let counter = header.hlc.0 & COUNTER;
        put_varint(&mut out, fold(millis) << 1 | u64::from(counter > 0));
        if counter > 0 {
            put_varint(&mut out, counter);
        }
    }
    out.extend_from_slice(header.rest);
    out
}

/// Reads what [`pack`] gave. Whether it is a delta, only decoding it tells. O(bytes).
///
/// # Errors
/// When it is not the packed form of a row for this roster.
pub fn unpack(packed: &[u8], roster: &Roster) -> Result<Unpacked, RecordError> {
    read(packed, roster, None).map_err(|Malformed| RecordError { what: told("packed row") })
}

/// The length of an id.
const ID: usize = 16;
/// The bits of a stamp's counter.
const COUNTER: u64 = 0xffff;

fn read(packed: &[u8], roster: &Roster, said: Option<&Said>) -> Result<Unpacked, Malformed> {
    let mut reader = Reader::new(packed);
    let head = reader.varint();
    reader.ok()?;
    if head != DIFF && packed.len() > MAX_DELTA_BYTES {
        return Err(Malformed);
    }
    if head == DIFF {
        return Ok(Unpacked::Row(Row::Diff { bytes: reader.rest().into() }));
    }
    if head == VOID {
        let fact = void(&mut reader);
        return reader.finish().map(|()| Unpacked::Row(Row::Void(fact)));
    }
    let writer = match (head >> WRITER_SHIFT).checked_sub(IN_FULL).ok_or(Malformed)? {
        0 => reader.replica(),
        number => roster.id(number - 1).ok_or(Malformed)?,
    };
    let after = match said.and_then(|said| said.last.get(&writer)) {
        _ if head & AFTER == 0 => None,
        // What follows on the same connection needs no tag.
        Some(last) if head & HAS_TAG == 0 => Some(last),
        _ => return Err(Malformed),
    };
    let prev_tag = if head & HAS_TAG == 0 { None } else { Some(reader.tag()) };
    let mut others = Vec::new();
    if head & HAS_OTHERS != 0 {
        let count = reader.varint();
        // No id is there twice: those without a number take their bytes, and of the others there are no more than numbers.
        let most = roster.len() + packed.len() / ID;
        if count == 0 || usize::try_from(count).map_or(true, |count| count > most) {
            return Err(Malformed);
        }
        for _ in 0..count {
            // Each takes a byte at least: this ends with the input.
            let id = match reader.varint().checked_sub(1) {
                None => reader.bytes_16(),
                Some(number) => roster.id(number).ok_or(Malformed)?.to_bytes(),
            };
            others.extend_from_slice(&id);
            reader.ok()?;
        }
    }
    let flags = reader.u8();
    let first_seq = match after {
        Some(last) => last.seq.checked_add(1).ok_or(Malformed)?,
        None => reader.varint(),
    };
    reader.ok()?;
    if let (Some(last), Some(flags)) = (after, DeltaHeader::flags_of_lone_text(flags, true)) {
        let lone = LoneText::split(reader.rest(), flags, last.text.clone().ok_or(Malformed)?).ok_or(Malformed)?;
        if !others.is_empty() {
            return Err(Malformed);
        }
        let bytes = DeltaHeader::join_lone_text(writer, first_seq, flags, &lone);
        let last_seq = DeltaHeader::split(&bytes).and_then(|header| header.last_seq()).map_err(|_| Malformed)?;
        return Ok(Unpacked::Next { replica: writer, first_seq, last_seq, bytes });
    }
    let mut hlc = Hlc(0);
    if DeltaHeader::has_stamp(flags) {
        let stamp = reader.varint();
        let counter = if stamp & 1 == 0 { 0 } else { reader.varint() };
        let millis = (roster.since().0 as i64).wrapping_add(unfold(stamp >> 1)) as u64;
        if counter > COUNTER || (counter == 0 && stamp & 1 == 1) || millis >> 48 != 0 {
            return Err(Malformed);
        }
        hlc = Hlc(millis << 16 | counter);
    }
    reader.ok()?;
    let header = DeltaHeader { writer, others: &others, flags, first_seq, hlc, rest: reader.rest() };
    let last_seq = header.last_seq().map_err(|_| Malformed)?;
    let bytes = header.join();
    Ok(match prev_tag {
        Some(prev_tag) => Unpacked::Row(Row::Delta { prev_tag, bytes }),
        None if first_seq == 1 && after.is_none() => Unpacked::Row(Row::Delta { prev_tag: Tag::start(writer), bytes }),
        None => Unpacked::Next { replica: writer, first_seq, last_seq, bytes },
    })
}

/// The unsigned number that stands for a signed one: small for either sign.
const fn fold(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

const fn unfold(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Timestamp, VersionEntry, VersionVector, VoidFact};
    use crate::delta::Delta;
    use crate::document::{Document, EditError};
    use crate::sync::roster::RosterNews;
    use crate::sync::row::Lease;
    use crate::types::TextMut;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn version(ids: &[u128]) -> VersionVector {
        let entry = |id: &u128| {
            let id = ReplicaId::from(*id);
            (id, VersionEntry { seq: 1, tag: Tag::start(id) })
        };
        ids.iter().map(entry).collect()
    }

    /// Increments of one counter, a member toggled, puts: a chain of one writer, some of it upon another one's.
    fn history() -> Vec<Delta> {
        let mut other = Document::with_writer(ReplicaId::from(9));
        let mut document = Document::with_writer(ReplicaId::from(4));
        let mut deltas = Vec::new();
        for number in 0..200u64 {
            let now = NOW.plus_ms(3 * 3_600_000 + 7 * number);
            let theirs = other.transact(now, |tx| tx.map("m")?.put("k", number as i64)).unwrap().delta.unwrap();
            document.apply(&theirs).unwrap();
            deltas.extend(document.transact(now, |tx| tx.counter("c")?.add(1)).unwrap().delta);
            deltas.extend(document.transact(now, |tx| tx.set("s")?.add("m1234")).unwrap().delta);
            deltas.extend(document.transact(now, |tx| tx.set("s")?.remove(&"m1234".into())).unwrap().delta);
            deltas.extend(document.transact(now, |tx| tx.map("m")?.put("k", "v")).unwrap().delta);
        }
        deltas
    }

    /// The row as it comes out, where the receiver knows the tag before it.
    fn resolve(unpacked: Unpacked, tag: Tag) -> Row {
        match unpacked {
            Unpacked::Row(row) => row,
            Unpacked::Next { bytes, .. } => Row::Delta { prev_tag: tag, bytes },
        }
    }

    #[test]
    fn bytes_2_a_packed_row_comes_back_byte_for_byte() {
        let rosters = [version(&[]), version(&[4]), version(&[9]), version(&[1, 4, 9, 12])];
        for roster in rosters.map(|version| Roster::new(NOW, &version)) {
            for (number, delta) in history().iter().enumerate() {
                let row = Row::of(delta);
                let follows = number % 3 != 0;
                let packed = pack(&row, &roster, follows);
                assert_eq!(resolve(unpack(&packed, &roster).unwrap(), delta.prev_tag()), row);
                if let Unpacked::Next { replica, first_seq, last_seq, .. } = unpack(&packed, &roster).unwrap() {
                    assert_eq!((replica, first_seq), (delta.replica(), delta.first_seq()));
                    assert_eq!(last_seq, delta.last_seq());
                }
            }
        }
    }

    #[test]
    fn fork_2_a_void_fact_is_a_packed_row_and_a_lease_is_none() {
        let replica = ReplicaId::from(4);
        let (roster, tag) = (Roster::new(NOW, &version(&[])), Tag::from_bytes([7; 8]));
        let row = Row::Void(VoidFact { replica, first_seq: 300, tag });
        let packed = pack(&row, &roster, true);
        assert_eq!(unpack(&packed, &roster), Ok(Unpacked::Row(row.clone())));
        assert_eq!(Said::new().unpack(&Said::new().pack(&row, &roster), &roster), Ok(Unpacked::Row(row)));
        for cut in 1..packed.len() {
            assert!(unpack(&packed[..cut], &roster).is_err());
        }
        let lease = Row::Lease { replica, lease: Lease { number: 1, inc: 2 } };
        assert!(unpack(&pack(&lease, &roster, true), &roster).is_err());
    }

    #[test]
    fn an_edit_costs_few_bytes_within_a_session() {
        let roster = Roster::new(NOW, &version(&[4, 9]));
        let mut document = Document::with_writer(ReplicaId::from(4));
        let mut most = [0; 3];
        for number in 0..10_000u64 {
            // A day after the roster was made, many edits within one millisecond.
            let now = NOW.plus_ms(86_400_000 + number / 100);
            let mut len = |place: usize, delta: Option<Delta>| {
                let packed = pack(&Row::of(&delta.unwrap()), &roster, true);
                most[place] = packed.len().max(most[place]);
            };
            len(0, document.transact(now, |tx| tx.counter("c")?.add(1)).unwrap().delta);
            let toggle = document.transact(now, |tx| {
                let mut set = tx.set("s")?;
                if number % 2 == 0 { set.add("m1234") } else { set.remove(&"m1234".into()).map(drop) }
            });
            len(1, toggle.unwrap().delta);
            let (key, value) = (alloc::format!("{:016}", number % 100), alloc::format!("{number:032}"));
            len(2, document.transact(now, |tx| tx.map("m")?.put(&key, value.as_str())).unwrap().delta);
        }
        assert_eq!(most, [20, 22, 68]);
    }

    /// Two who type into texts of their own and of each other, under keys and at roots, with pauses, deletions and new lines.
    fn typing() -> Vec<Delta> {
        let mut documents = [4, 9].map(|id| Document::with_writer(ReplicaId::from(id)));
        let mut deltas = Vec::new();
        for number in 0..400usize {
            let [mine, other] = &mut documents;
            let now = NOW.plus_ms(100 * number as u64);
            let commit = mine.transact::<_, EditError>(now, |tx| {
                if number < 2 {
                    tx.map("m")?.text(["a", "b"][number])?.push("-")?;
                }
                let mut map = tx.map("m")?;
                let mut text = map.text(["a", "b"][number / 50 % 2])?;
                match number % 10 {
                    0 => text.insert(0, "new line\n"),
                    1 => text.delete(..1),
                    2 => text.replace(..1, "🎈"),
                    3 => tx.text("root")?.push("x"),
                    4 => tx.map("m")?.put("key", "value"),
                    _ => text.push("ä"),
                }
            });
            let delta = commit.unwrap().delta.unwrap();
            other.apply(&delta).unwrap();
            deltas.push(delta);
            if number % 7 == 0 {
                documents.swap(0, 1);
            }
        }
        deltas
    }

    #[test]
    fn bytes_2_what_is_said_after_another_comes_back_byte_for_byte() {
        for roster in [version(&[]), version(&[4, 9])].map(|version| Roster::new(NOW, &version)) {
            for deltas in [typing(), history()] {
                let (mut here, mut there) = (Said::new(), Said::new());
                let mut shorter = 0;
                for (number, delta) in deltas.iter().enumerate() {
                    let row = Row::of(delta);
                    let packed = here.pack(&row, &roster);
                    shorter += usize::from(packed.len() < pack(&row, &roster, true).len());
                    assert_eq!(resolve(there.unpack(&packed, &roster).unwrap(), delta.prev_tag()), row);
                    // Whoever has heard nothing before it reads nothing into it.
                    let alone = Said::new().unpack(&packed, &roster);
                    assert!(alone.is_err() || alone == Ok(Unpacked::Row(row)));
                    if number % 50 == 49 {
                        here.forget();
                    }
                }
                assert!(shorter > deltas.len() / 3, "{shorter} of {}", deltas.len());
            }
        }
    }

    #[test]
    fn a_typed_character_takes_four_bytes_within_a_session() {
        let roster = Roster::new(NOW, &version(&[4, 9]));
        let mut document = Document::with_writer(ReplicaId::from(4));
        let mut other = Document::with_writer(ReplicaId::from(9));
        let made = other.transact::<_, EditError>(NOW, |tx| tx.map("m")?.text("a rather long key")?.push("-"));
        document.apply(&made.unwrap().delta.unwrap()).unwrap();
        for place in ["root", "key"] {
            let mut said = Said::new();
            let mut len = |now: u64, edit: &dyn Fn(&mut TextMut<'_, '_>) -> Result<(), EditError>| {
                let delta = document.transact(NOW.plus_ms(now), |tx| match place {
                    "root" => edit(&mut tx.text("a rather long name")?),
                    _ => edit(&mut tx.map("m")?.text("a rather long key")?),
                });
                said.pack(&Row::of(&delta.unwrap().delta.unwrap()), &roster).len()
            };
            len(0, &|text| text.push("ab"));
            let typed: Vec<usize> = (1..1_000).map(|key| len(150 * key, &|text| text.push("x"))).collect();
            assert_eq!((typed[0], typed[20], typed[900]), (4, 4, 5), "{place}");
            let deleted = len(200_000, &|text| text.delete(text.read().len() - 1..));
            assert_eq!(deleted, 3);
        }
    }

    #[test]
    fn bytes_1_whoever_names_many_writers_is_not_remembered_for_ever() {
        let roster = Roster::new(NOW, &version(&[]));
        let (mut here, mut there) = (Said::new(), Said::new());
        for id in 0..1_000 {
            let mut document = Document::with_writer(ReplicaId::from(1 + id % 200));
            let delta = document.transact(NOW, |tx| tx.text("t")?.push("x")).unwrap().delta.unwrap();
            let packed = here.pack(&Row::of(&delta), &roster);
            assert!(there.unpack(&packed, &roster).is_ok());
            assert!(there.last.len() <= Said::MOST && here.last.len() == there.last.len());
        }
    }

    #[test]
    fn bytes_1_a_number_that_was_not_told_is_refused() {
        let known = Roster::new(NOW, &version(&[4, 9]));
        for delta in history() {
            let packed = pack(&Row::of(&delta), &known, true);
            assert!(unpack(&packed, &Roster::default()).is_err());
        }
    }

    #[test]
    fn a_roster_is_told_by_who_came_later() {
        let mut roster = Roster::new(NOW, &version(&[7, 3, 20]));
        for id in [11u128, 1, 30, 11] {
            roster.add(id.into());
        }
        let now = version(&[1, 3, 7, 11, 20, 30]);
        let news = roster.news(&now);
        assert_eq!(news, RosterNews { since: NOW, later: [3, 0, 5].into() });
        let told = Roster::from_news(&news, &now).unwrap();
        assert_eq!(told.range(0, 6), roster.range(0, 6));
        assert_eq!(told.number(11u128.into()), Some(3));
        for later in [&[6u64][..], &[1, 1], &[u64::MAX]] {
            assert!(Roster::from_news(&RosterNews { since: NOW, later: later.into() }, &now).is_err());
        }
    }

    proptest! {
        #[test]
        fn bytes_1_any_packed_bytes_are_read_or_refused(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            which in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let roster = Roster::new(NOW, &version(&[1, 4, 9]));
            let deltas = history();
            let mut packed = pack(&Row::of(&deltas[which.index(deltas.len())]), &roster, true);
            for (at, byte) in damage {
                let at = at.index(packed.len());
                packed[at] ^= byte;
            }
            packed.truncate(1 + cut.index(packed.len()));
            // Whatever is unpacked is either no delta, or one that is packed again to something that says the same.
            let Ok(unpacked) = unpack(&packed, &roster) else { return Ok(()) };
            let row = resolve(unpacked, Tag::start(ReplicaId::from(4)));
            if matches!(row.delta(), Some(Ok(_))) {
                let again = pack(&row, &roster, false);
                prop_assert_eq!(unpack(&again, &roster), Ok(Unpacked::Row(row)));
            }
        }
    }

    #[test]
    fn bytes_1_a_packed_row_names_no_more_ids_than_there_can_be() {
        let roster = Roster::new(NOW, &version(&[4, 9]));
        let mut row = Vec::new();
        put_varint(&mut row, (IN_FULL + 1) << WRITER_SHIFT | HAS_OTHERS);
        put_varint(&mut row, 1 << 20);
        // Two numbers, again and again: sixteen bytes for each of them, if they were copied.
        row.resize(row.len() + (1 << 20), 1);
        assert!(unpack(&row, &roster).is_err());
        row.truncate(1);
        row.resize(MAX_DELTA_BYTES + 1, 0);
        assert!(unpack(&row, &roster).is_err());
    }
}
