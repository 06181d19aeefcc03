//! Every decoder by itself: what it reads it writes again as it was, and nothing makes it panic.
//!
//! The first byte says what the rest is. A snapshot's header is made to fit what follows it, so that its sections are reached; the pieces
//! of one connection (packed rows, frames) are cut by a length in front of each. What a document does with what was read is not looked
//! at here: that is [`super::positions`] and [`super::apply`].
//!
//! Rules: BYTES-1, BYTES-2, FORK-2.

use alloc::vec::Vec;

use super::{Input, world};
use crate::clock::{Timestamp, VersionEntry, VersionVector};
use crate::sync::{
    Message, MessageKind, PackedRows, Record, Roster, Row, Rows, Said, Session, SessionConfig, Unpacked, pack, unpack,
};
use crate::{ReplicaId, Tag, codec};

const DELTA: u8 = 0;
const DIFF: u8 = 1;
const SNAPSHOT: u8 = 2;
const VERSION: u8 = 3;
const DIGEST: u8 = 4;
const RECORD: u8 = 5;
const ROW: u8 = 6;
const MESSAGE: u8 = 7;
const PACKED: u8 = 8;
const SAID: u8 = 9;
const FRAMES: u8 = 10;
const SORTS: u8 = 11;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Reads the bytes as what the first of them says, and writes what was read.
///
/// # Panics
/// When something is written otherwise than it was read.
pub fn decoders(bytes: &[u8]) {
    let Some((sort, bytes)) = bytes.split_first() else { return };
    match sort % SORTS {
        DELTA => same(bytes, codec::decode_delta(bytes).ok().map(|parts| codec::encode_delta(&parts))),
        DIFF => same(bytes, codec::decode_diff(bytes).ok().map(|diff| codec::encode_diff(&diff))),
        SNAPSHOT => snapshot(bytes),
        VERSION => same(bytes, codec::decode_version(bytes).ok().map(|version| codec::encode_version(&version))),
        DIGEST => same(bytes, codec::decode_digest(bytes).ok().map(|digest| codec::encode_digest(&digest))),
        RECORD => record(bytes),
        ROW => same(bytes, Row::decode(bytes).ok().map(|row| row.encode())),
        MESSAGE => message(bytes),
        PACKED => packed(bytes),
        SAID => said(&mut Input(bytes)),
        _ => frames(&mut Input(bytes)),
    }
}

/// Byte strings to begin with: one of everything that replicas and relays write.
pub fn valid_decoders() -> Vec<Vec<u8>> {
    let deltas = world::deltas(6);
    let document = world::document(&deltas);
    let half = world::document(&deltas[..deltas.len() / 2]);
    let roster = roster();
    let sort = |sort: u8, bytes: &[u8]| [&[sort], bytes].concat();
    let mut all: Vec<Vec<u8>> = Vec::new();
    let rows: Vec<Row> = deltas.iter().map(Row::of).collect();
    for (delta, row) in deltas.iter().zip(&rows).step_by(3) {
        all.push(sort(DELTA, delta.bytes()));
        all.push(sort(ROW, &row.encode()));
        all.push(sort(PACKED, &pack(row, &roster, false)));
    }
    let diffs = [
        document.diff_since(&VersionVector::new()),
        document.diff_since(&half.version()),
        document.diff_for(&half.digest()),
    ];
    for diff in &diffs {
        all.push(sort(DIFF, &codec::encode_diff(diff)));
    }
    let diff = Row::Diff { bytes: codec::encode_diff(&diffs[1]).into() };
    all.push(sort(PACKED, &pack(&diff, &roster, false)));
    all.push(sort(SNAPSHOT, &document.snapshot()));
    all.push(sort(VERSION, &codec::encode_version(&document.version())));
    all.push(sort(DIGEST, &codec::encode_digest(&document.digest())));
    all.extend(world::records(&deltas).iter().map(|record| sort(RECORD, &record.encode())));

    let mut told = Said::new();
    let conversation: Vec<Vec<u8>> = rows.iter().take(8).map(|row| told.pack(row, &roster)).collect();
    all.push(sort(SAID, &pieces(&conversation)));
    for message in messages(&rows, &roster) {
        let body = message.encode_body();
        all.push(sort(MESSAGE, &[&[message.kind() as u8], &body[..]].concat()));
    }
    let mut session = Session::new(SessionConfig::default(), NOW);
    for (channel, message) in (1..3).zip(messages(&rows[..2], &roster)) {
        session.send(channel, &message);
    }
    let frames: Vec<Vec<u8>> = core::iter::from_fn(|| session.poll()).collect();
    all.push(sort(FRAMES, &pieces(&frames)));
    all.sort();
    all.dedup();
    all
}

fn same(bytes: &[u8], again: Option<Vec<u8>>) {
    assert!(again.is_none_or(|again| again == bytes), "BYTES-2: what was read is written as it was");
}

/// A header and a checksum that fit the sections; where the bytes are too few for a header, they are as they came.
fn snapshot(bytes: &[u8]) {
    let bytes = resealed(bytes);
    // It may hold sections that are passed over, so its bytes are not the only ones; its content is.
    if let Ok(snapshot) = codec::decode_snapshot(&bytes) {
        assert_eq!(codec::decode_snapshot(&codec::encode_snapshot(&snapshot)), Ok(snapshot));
    }
}

pub(super) fn resealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    codec::reseal(&mut bytes);
    bytes
}

fn record(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(&record));
    _ = record.change();
}

fn message(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let Ok(kind) = MessageKind::from_byte(*kind) else { return };
    let Ok(message) = Message::decode(kind, body) else { return };
    assert_eq!(message.kind(), kind);
    // What a later version adds at the end is passed over, so the bytes may be others.
    assert_eq!(Message::decode(kind, &message.encode_body()), Ok(message));
}

fn packed(bytes: &[u8]) {
    let roster = roster();
    let Ok(Unpacked::Row(row)) = unpack(bytes, &roster) else { return };
    if row.delta().is_none_or(|delta| delta.is_ok()) {
        assert_eq!(unpack(&pack(&row, &roster, false), &roster), Ok(Unpacked::Row(row)));
    }
}

/// Rows of one connection, each by what was said before. Whoever passes them on says the same.
fn said(input: &mut Input<'_>) {
    let roster = roster();
    let (mut heard, mut passes_on, mut hears) = (Said::new(), Said::new(), Said::new());
    while let Some(piece) = input.piece() {
        // An end that could not read one ends the connection.
        let Ok(unpacked) = heard.unpack(piece, &roster) else { return };
        let (row, bytes) = match unpacked {
            Unpacked::Row(row) => (row.clone(), None),
            // The tag is whatever the receiver knows of the chain.
            Unpacked::Next { replica, bytes, .. } => {
                (Row::Delta { prev_tag: Tag::start(replica), bytes: bytes.clone() }, Some(bytes))
            }
        };
        if row.delta().is_some_and(|delta| delta.is_err()) {
            return;
        }
        match hears.unpack(&passes_on.pack(&row, &roster), &roster).expect("what was packed is read") {
            Unpacked::Row(again) => assert_eq!(again, row),
            Unpacked::Next { bytes: again, .. } => {
                let Row::Delta { bytes: whole, .. } = &row else { panic!("a diff continues nothing") };
                assert_eq!(&again, bytes.as_ref().unwrap_or(whole));
            }
        }
    }
}

fn frames(input: &mut Input<'_>) {
    let mut session = Session::new(SessionConfig { max_frame: 4096, ..SessionConfig::default() }, NOW);
    while let Some(piece) = input.piece() {
        if session.frame(NOW, piece).is_err() {
            return;
        }
        while session.poll().is_some() {}
    }
}

/// What a packed row may name by numbers.
fn roster() -> Roster {
    let entry = |id: u128| {
        let id = ReplicaId::from(id);
        (id, VersionEntry { seq: 1, tag: Tag::start(id) })
    };
    Roster::new(NOW, &world::WRITERS.map(entry).into_iter().collect())
}

fn messages(rows: &[Row], roster: &Roster) -> Vec<Message> {
    let mut all = world::control_messages(roster.news(&VersionVector::new()));
    let packed = rows.iter().take(3).map(|row| pack(row, roster, false).into()).collect();
    all.push(Message::Rows(Rows { from: 1, to: rows.len() as u64, rows: rows.to_vec() }));
    all.push(Message::Packed(PackedRows { from: 1, to: 3, new_ids: Vec::new(), rows: packed }));
    all
}

/// Pieces with their lengths, as [`Input::piece`] reads them.
fn pieces(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces {
        let len = u16::try_from(piece.len()).expect("the pieces are small");
        all.extend(len.to_be_bytes());
        all.extend(piece);
    }
    all
}
