//! Rows on their way down are short to those who were sent what they follow, and everybody reads what was written.

use std::collections::BTreeMap;

use weftline::sync::{Cursor, Message, Resume, Roster, Row, Said, Unpacked};
use weftline::{Delta, Document, EditError};

use super::packed::packed_as;
use super::{Desk, NOW, writer};
use crate::room::{Input, MemberId, Rights, RoomConfig};

/// A client's end of a connection.
struct Client {
    id: MemberId,
    roster: Roster,
    said: Said,
    /// Up to where it was sent the log.
    position: u64,
}

/// Numbers that repeat with their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

fn typed(document: &mut Document, random: &mut Random) -> Delta {
    let edit = document.transact::<_, EditError>(NOW, |tx| match random.below(5) {
        0 => tx.counter("c")?.add(1),
        1 => tx.map("m")?.text("notes")?.push("x"),
        2 if tx.text("title")?.read().len() > 1 => tx.text("title")?.delete(0..1),
        _ => tx.text("title")?.push("y"),
    });
    edit.unwrap().delta.unwrap()
}

/// What the log has, by position, and who pushed it.
type Log = BTreeMap<u64, (Delta, MemberId)>;

impl Client {
    fn hear(&mut self, desk: &mut Desk, log: &Log) -> usize {
        let mut bytes = 0;
        for message in desk.heard(self.id) {
            match message {
                Message::Diff(diff) => self.position = diff.position,
                Message::Packed(batch) => {
                    batch.new_ids.iter().for_each(|id| self.roster.add(*id));
                    if batch.from > batch.to {
                        continue;
                    }
                    assert_eq!(batch.from, self.position + 1, "CUR-2");
                    self.position = batch.to;
                    let told = log.range(batch.from..=batch.to).filter(|(_, (_, pusher))| *pusher != self.id);
                    let told: Vec<&Delta> = told.map(|(_, (delta, _))| delta).collect();
                    assert_eq!(told.len(), batch.rows.len(), "CUR-2");
                    for (packed, delta) in batch.rows.iter().zip(told) {
                        bytes += packed.len();
                        let row =
                            match self.said.unpack(packed, &self.roster).expect("it was sent what the row follows") {
                                Unpacked::Row(row) => row,
                                Unpacked::Next { bytes, .. } => Row::Delta { prev_tag: delta.prev_tag(), bytes },
                            };
                        assert_eq!(row, Row::of(delta));
                    }
                }
                Message::Rows(rows) => self.position = rows.to,
                // Over own rows.
                Message::Ack(ack) => self.position = ack.position,
                _ => {}
            }
        }
        bytes
    }
}

/// Members come at any time, by a cursor or by a diff, and take what they are sent when they like; writers push through any.
fn run(seed: u64) -> usize {
    let mut random = Random(seed);
    let mut desk = Desk::new(RoomConfig { max_batch: 300, recent_bytes: 2_000, ..RoomConfig::default() });
    let mut writers: Vec<Document> = (1..4).map(|id| writer(10 + id)).collect();
    let (mut log, mut clients) = (Log::new(), Vec::<Client>::new());
    let (mut next, mut bytes) = (1, 0);
    for _ in 0..120 {
        if clients.len() < 2 || random.below(12) == 0 {
            let id = MemberId(next);
            next += 1;
            desk.commit();
            let mut open = packed_as(id.0);
            if random.below(2) == 0 {
                open.cursor = Some(Cursor { epoch: 77, position: random.below(log.len() + 1) as u64 });
                // Something else than the relay has.
                open.version_hash = [1; 16];
            }
            let cursor = open.cursor.map_or(0, |cursor| cursor.position);
            desk.handle(Input::Join { member: id, open: Box::new(open), rights: Rights::ALL });
            let heard = desk.heard(id);
            let Some(Message::OpenAck(ack)) = heard.first() else { panic!("{heard:?}") };
            let position = if ack.resume == Resume::Tail { cursor } else { ack.head };
            desk.sent.extend(heard.into_iter().skip(1).map(|message| (id, message)));
            clients.push(Client { id, roster: desk.room.roster().clone(), said: Said::of_log(), position });
        }
        if clients.len() > 4 {
            let gone = clients.remove(random.below(clients.len()));
            desk.handle(Input::Leave { member: gone.id });
            desk.heard(gone.id);
        }
        let which = random.below(writers.len());
        let through = if random.below(6) == 0 { random.below(clients.len()) } else { which % clients.len() };
        let delta = typed(&mut writers[which], &mut random);
        let pusher = clients[through].id;
        log.insert(log.len() as u64 + 1, (delta.clone(), pusher));
        desk.push(pusher, &[&delta]);
        if random.below(3) > 0 {
            desk.commit();
        }
        for client in &mut clients {
            bytes += client.hear(&mut desk, &log);
            if random.below(3) > 0 {
                desk.handle(Input::Drained { member: client.id, bytes: usize::MAX });
            }
        }
    }
    desk.commit();
    for client in &mut clients {
        for _ in 0..log.len() {
            bytes += client.hear(&mut desk, &log);
            desk.handle(Input::Drained { member: client.id, bytes: usize::MAX });
        }
        let rest = log.range(client.position + 1..);
        assert!(rest.into_iter().all(|(_, (_, pusher))| *pusher == client.id), "CUR-2");
    }
    assert_eq!(desk.closed, []);
    bytes
}

#[test]
fn fork_2_and_cur_2_everybody_reads_what_was_written_whenever_they_came() {
    let bytes: usize = (0..60).map(run).sum();
    assert!(bytes > 0);
}

#[test]
fn a_character_typed_by_one_takes_five_bytes_on_its_way_to_the_others() {
    let mut desk = Desk::new(RoomConfig::default());
    let mut document = writer(9);
    let (ann, ben) = (MemberId(1), MemberId(2));
    let mut log = Log::new();
    for id in [ann, ben] {
        desk.join(id, packed_as(id.0));
        desk.heard(id);
    }
    let mut client = Client { id: ben, roster: desk.room.roster().clone(), said: Said::of_log(), position: 0 };
    for key in 1..200 {
        let edit = document.transact::<_, EditError>(NOW, |tx| tx.text("a rather long name")?.push("x"));
        let delta = edit.unwrap().delta.unwrap();
        log.insert(key, (delta.clone(), ann));
        desk.push(ann, &[&delta]);
        desk.commit();
        let bytes = client.hear(&mut desk, &log);
        assert!(bytes <= 5 || key == 1, "{bytes} bytes");
        desk.handle(Input::Drained { member: ben, bytes: usize::MAX });
    }
    assert_eq!(client.position, 199);
}
