//! Rows on their way down: short to those who were sent what they follow.
//!
//! Upward, two ends say the same things to one another and remember them alike ([`Said`]). Downward, a row is packed once for
//! many members, and each of those was sent another part of the log: from where it came in, and without what it pushed
//! itself. So a relay remembers for each row of its log what a short form would leave out, and which rows said that. Whoever was sent
//! these rows takes the short form, everybody else the long one; the receiver remembers the last row of each writer
//! ([`Said::of_log`]), which is all that a short form goes by.
//!
//! That is enough. The row that said how far a writer has come is the last one of that writer, and so is, of those that
//! typed, the one that said into what; a receiver that was sent both has heard nothing newer of either.
//!
//! Rules: FORK-2 nothing is left out that the receiver was not sent. CUR-2 own rows are not sent.
//! Not here: the forms ([`super::packed`]), and which rows a member was sent, which its relay knows.

use alloc::vec::Vec;

use super::packed::{Last, Said, Source, write};
use super::roster::Roster;
use super::row::Row;
use crate::codec::DeltaHeader;
use crate::fault::{self, Fault};

/// What the rows of a log have said of their writers so far.
#[derive(Clone, Debug, Default)]
pub struct LogSaid(Said);

/// What a row of a log may leave out, and which rows said that.
#[derive(Clone, Debug)]
pub struct Before(Last);

impl LogSaid {
    /// Takes in the next row of the log, and says what it may leave out; nothing, if it comes after none of its writer that is
    /// remembered. O(header) for a row that types one run or none, O(bytes) for others.
    pub fn tell(&mut self, row: &Row, at: Source) -> Option<Before> {
        let Row::Delta { bytes, .. } = row else { return None };
        let header = DeltaHeader::split(bytes).ok()?;
        let mut before = self.0.before(&header).cloned();
        if let Some(last) = &mut before {
            // What it does not type into needs not have been said.
            let typed = header.lone_text().map(|lone| lone.container);
            last.text = last.text.take().filter(|text| Some(text) == typed.as_ref());
        }
        self.0.hear(&header, at);
        before.map(Before)
    }
}

impl Before {
    /// Whether all that the row may leave out was sent to a member that was sent every row after position `from` but those
    /// that it pushed itself.
    pub fn was_sent(&self, from: u64, member: u64) -> bool {
        let Self(Last { text, at, text_at, .. }) = self;
        let sent = |row: &Source| row.position > from && row.pusher != member;
        let said = sent(at) || fault::active(Fault::ShortToAll);
        said && (text.is_none() || sent(text_at) || fault::active(Fault::ShortWithoutText))
    }

    /// The short form of the row, for whoever was sent what it leaves out and has been told the tag before it.
    pub fn pack(&self, row: &Row, roster: &Roster) -> Vec<u8> {
        write(row, roster, false, Some(&self.0))
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::clock::{Timestamp, VersionVector};
    use crate::delta::Delta;
    use crate::document::{Document, EditError};
    use crate::replica_id::ReplicaId;
    use crate::sync::{Unpacked, pack};
    use crate::testing::Random;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const MEMBERS: u64 = 4;

    /// A relay's end of a connection, and the member's.
    struct Member {
        from: u64,
        said: Said,
    }

    fn edit(document: &mut Document, random: &mut Random) -> Delta {
        let made = document.transact::<_, EditError>(NOW, |tx| match random.below(6) {
            0 => tx.counter("c")?.add(1),
            1 => tx.map("m")?.text("a long key of a text")?.push("x"),
            2 if tx.text("a root")?.read().len() > 2 => tx.text("a root")?.delete(0..1),
            3 => tx.text("a root")?.insert(0, "two ").and_then(|()| tx.text("another")?.push("of them")),
            _ => tx.text("a root")?.push("y"),
        });
        made.unwrap().delta.unwrap()
    }

    /// Writers push through members, the same one through several now and then; members come and go at any time.
    fn run(seed: u64) -> (usize, usize) {
        let mut random = Random::seeded(seed);
        let mut writers: Vec<Document> = (1..4).map(|id| Document::with_writer(ReplicaId::from(id))).collect();
        let mut roster = Roster::new(NOW, &VersionVector::new());
        writers.iter().for_each(|writer| roster.add(writer.writer().unwrap()));
        let mut log = LogSaid::default();
        let mut members: Vec<Member> = (0..MEMBERS).map(|_| Member { from: 0, said: Said::of_log() }).collect();
        let (mut short, mut long) = (0, 0);
        for position in 1..80 {
            let which = random.below(writers.len());
            let delta = edit(&mut writers[which], &mut random);
            let pusher = if random.below(8) == 0 { random.below(MEMBERS as usize) } else { which } as u64;
            if random.below(12) == 0 {
                // It comes anew, and is sent the log from here on.
                members[random.below(MEMBERS as usize)] = Member { from: position - 1, said: Said::of_log() };
            }
            let row = Row::of(&delta);
            let before = log.tell(&row, Source { position, pusher });
            for (id, member) in members.iter_mut().enumerate().filter(|(id, _)| *id as u64 != pusher) {
                let before = before.as_ref().filter(|before| before.was_sent(member.from, id as u64));
                let packed = before.map_or_else(|| pack(&row, &roster, true), |before| before.pack(&row, &roster));
                *(if before.is_some() { &mut short } else { &mut long }) += 1;
                let read = match member.said.unpack(&packed, &roster) {
                    Ok(Unpacked::Row(read)) => read,
                    Ok(Unpacked::Next { replica, first_seq, bytes, .. }) => {
                        assert_eq!((replica, first_seq), (delta.replica(), delta.first_seq()), "seed {seed}");
                        Row::Delta { prev_tag: delta.prev_tag(), bytes }
                    }
                    Err(error) => panic!("seed {seed}: row {position} for member {id}: {error}"),
                };
                assert_eq!(read, row, "seed {seed}: row {position} for member {id}");
            }
        }
        (short, long)
    }

    #[test]
    fn fork_2_a_row_is_short_only_to_those_who_were_sent_what_it_follows() {
        let (mut short, mut long) = (0, 0);
        for seed in 0..200 {
            let counts = run(seed);
            (short, long) = (short + counts.0, long + counts.1);
        }
        assert!(short > 20_000 && long > 5_000, "both forms are sent: {short}, {long}");
    }

    #[test]
    fn a_typed_character_takes_five_bytes_on_its_way_down() {
        let mut document = Document::with_writer(ReplicaId::from(4));
        let mut roster = Roster::new(NOW, &VersionVector::new());
        roster.add(ReplicaId::from(4));
        let (mut log, mut said) = (LogSaid::default(), Said::of_log());
        for position in 1..1_000 {
            let made = document.transact::<_, EditError>(NOW, |tx| tx.text("a rather long name")?.push("x"));
            let row = Row::of(&made.unwrap().delta.unwrap());
            let before = log.tell(&row, Source { position, pusher: 1 });
            let packed = before.map_or_else(|| pack(&row, &roster, true), |before| before.pack(&row, &roster));
            assert!(said.unpack(&packed, &roster).is_ok());
            assert!(packed.len() <= 5 || position == 1, "{} bytes", packed.len());
        }
    }
}
