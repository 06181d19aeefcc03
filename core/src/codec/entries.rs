//! Entries in columns: containers (in a file of their own), shapes, positions, slots, payloads.
//!
//! Every entry takes at least one byte in one of its columns, so a declared number of entries never exceeds the bytes that
//! are left. A shape whose entries would take none (no key, no member, no payload) is therefore written for each of them
//! instead of once for a run.
//!
//! Keys are written where they first occur and by number after that.

use crate::string::Str;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::columns::{Numbers, RunWriter, TableReader, TableWriter, read_dots, write_run};
use super::limits::MAX_KEY_BYTES;
use super::reader::{Reader, Refused};
use super::writer::{put, put_byte, put_id, put_sized};
use super::{containers, value, varint};
use crate::clock::{Dot, Hlc};
use crate::diff::LiveEntry;
use crate::replica_id::ReplicaId;
use crate::store::{Container, Entry, Kind, Payload, Rights, Slot};

/// The entries to write, of a delta or of a diff.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    Own(ReplicaId, &'a [(u64, Entry)]),
    Live(&'a [LiveEntry]),
}

impl<'a> Rows<'a> {
    /// The entry at a place, with its dot.
    #[inline(never)]
    pub(crate) fn get(self, at: usize) -> Option<(Dot, &'a Entry)> {
        match self {
            Self::Own(replica, adds) => adds.get(at).map(|(seq, entry)| (Dot::new(replica, *seq), entry)),
            Self::Live(adds) => adds.get(at).map(|add| (add.dot, &add.entry)),
        }
    }

    /// Notes the replicas that the entries name.
    #[inline(never)]
    pub(crate) fn note(self, table: &mut TableWriter) {
        let mut at = 0;
        while let Some((dot, entry)) = self.get(at) {
            table.note(dot.replica);
            if let Container::Entity(entity) = entry.container {
                table.note(entity.replica);
            }
            at += 1;
        }
    }

    /// Appends the column of dots.
    #[inline(never)]
    pub(crate) fn write_dots(self, out: &mut Vec<u8>, table: &TableWriter) {
        let mut runs = RunWriter::new();
        let mut at = 0;
        while let Some((dot, _)) = self.get(at) {
            runs.dot(out, table, dot);
            at += 1;
        }
        runs.finish(out);
    }
}

/// The totals that running totals overwrite, as in [`crate::DeltaParts::totals_before`]. Only deltas say them.
pub(crate) type TotalsBefore = Vec<(u64, u64, u64)>;

/// Adds an entry of which only the dot is known; [`read`] fills in the rest, column by column.
#[inline(never)]
pub(crate) fn push(rows: &mut Vec<LiveEntry>, dot: Dot) {
    let container = Container::Entity(Dot::ROOT);
    let entry = Entry { container, slot: Slot::Unit, kind: Kind(0), entity: false, payload: Payload::Empty };
    rows.push(LiveEntry { dot, hlc: Hlc(0), entry });
}

/// Reads the column of the dots of `count` entries.
#[inline(never)]
pub(crate) fn read_rows(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    count: usize,
    rows: &mut Vec<LiveEntry>,
) -> Result<(), Refused> {
    rows.reserve_exact(count);
    read_dots(reader, table, count, &mut |dot| push(rows, dot))
}

/// Appends entries, whose dots must be known to the reader.
#[inline(never)]
pub(crate) fn write(out: &mut Vec<u8>, table: &TableWriter, totals: Option<&TotalsBefore>, rows: Rows<'_>) {
    containers::write(out, table, rows);
    write_shapes(out, rows);
    write_positions(out, rows);
    write_slots(out, rows);
    write_payloads(out, totals, rows);
}

/// Reads the entries of rows whose dots are known. The caller has checked that the remaining bytes can hold that many.
#[inline(never)]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    totals: Option<&mut TotalsBefore>,
    rows: &mut [LiveEntry],
) -> Result<(), Refused> {
    let (mut containers, mut keys) = (Numbers::default(), Numbers::default());
    let mut classes = Vec::with_capacity(rows.len());
    containers::read(reader, table, &mut containers, rows)?;
    read_shapes(reader, &mut classes, rows)?;
    read_positions(reader, rows)?;
    read_slots(reader, &classes, &mut keys, rows)?;
    read_payloads(reader, totals, rows)
}

// Shapes: kind, class of slot, entity bit. The bits of a code are those of the format: entity 0, slot 1-3, kind 4-11.

const UNIT: u8 = 0;
const KEY: u8 = 1;
const MEMBER: u8 = 2;
const OWNER: u8 = 3;
const POSITION: u8 = 4;

/// What the payload of a kind looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PayloadClass {
    Empty,
    Value,
    Total,
    Rights,
    Opaque,
}

impl PayloadClass {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::REGISTER | Kind::BOUNDED_COUNTER => Self::Value,
            Kind::TOTAL => Self::Total,
            Kind::RIGHTS => Self::Rights,
            Kind::MEMBER | Kind::MOVE | Kind::ABSENT | Kind::DISABLED => Self::Empty,
            kind if kind.is_container() => Self::Empty,
            _ => Self::Opaque,
        }
    }

    const fn fits(self, payload: &Payload) -> bool {
        matches!(
            (self, payload),
            (Self::Empty, Payload::Empty)
                | (Self::Value, Payload::Value(_))
                | (Self::Total, Payload::Total { .. })
                | (Self::Rights, Payload::Rights(_))
                | (Self::Opaque, Payload::Opaque(_))
        )
    }
}

#[inline(never)]
fn shape_of(entry: &Entry) -> u64 {
    let class = match entry.slot {
        Slot::Unit => UNIT,
        Slot::Key(_) => KEY,
        Slot::Member(_) => MEMBER,
        Slot::Owner => OWNER,
        Slot::Position { .. } => POSITION,
    };
    u64::from(entry.kind.0) << 4 | u64::from(class) << 1 | u64::from(entry.entity)
}

/// Whether each entry of this shape takes a byte in a later column, so that a run of any length is paid for.
#[inline(never)]
fn is_paid_for(class: u8, kind: Kind) -> bool {
    matches!(class, KEY | MEMBER) || PayloadClass::of(kind) != PayloadClass::Empty
}

fn write_shapes(out: &mut Vec<u8>, rows: Rows<'_>) {
    let mut at = 0;
    while let Some((_, entry)) = rows.get(at) {
        let shape = shape_of(entry);
        let mut len = 1;
        if is_paid_for((shape >> 1) as u8 & 7, entry.kind) {
            while rows.get(at + len).is_some_and(|(_, next)| shape_of(next) == shape) {
                len += 1;
            }
        }
        write_run(out, shape, len);
        at += len;
    }
}

/// Reads the shapes; the classes of the slots are for the columns that follow.
fn read_shapes(reader: &mut Reader<'_>, classes: &mut Vec<u8>, rows: &mut [LiveEntry]) -> Result<(), Refused> {
    let mut before = None;
    let mut run = 0;
    let mut left = rows.len();
    let (mut kind, mut class, mut entity) = (Kind(0), UNIT, false);
    for row in rows {
        if run == 0 {
            let head = reader.varint();
            if head >> 13 != 0 {
                return Err(reader.unknown("shape", head));
            }
            kind = Kind((head >> 5) as u8);
            class = (head >> 2) as u8 & 7;
            entity = head & 2 != 0;
            if class > POSITION {
                return Err(reader.unknown("class of slot", class.into()));
            }
            let shape = head >> 1;
            if is_paid_for(class, kind) {
                if before == Some(shape) {
                    return Err(reader.not_canonical("neighbouring runs of one shape"));
                }
            } else if head & 1 == 1 {
                return Err(reader.not_canonical("a run of a shape that is written for each entry"));
            }
            before = Some(shape);
            run = reader.run_len(head, left)?;
            left -= run;
        }
        run -= 1;
        row.entry.slot = match class {
            OWNER => Slot::Owner,
            POSITION => Slot::Position { bunch: 0, backward: false },
            // Keys and members come in a later column.
            _ => Slot::Unit,
        };
        row.entry.kind = kind;
        row.entry.entity = entity;
        classes.push(class);
    }
    Ok(())
}

// Positions: the bunch and the direction, for the entries that have one, in runs.

fn write_positions(out: &mut Vec<u8>, rows: Rows<'_>) {
    // The run that is not written yet: its head, what its entries have alike, and its length.
    let (mut head, mut place, mut len) = (0, (0, false), 0);
    let mut at = 0;
    while let Some((dot, entry)) = rows.get(at) {
        at += 1;
        let Slot::Position { bunch, backward } = entry.slot else { continue };
        if len == 0 || place != (bunch, backward) {
            write_run(out, head, len);
            head = dot.seq.wrapping_sub(bunch) << 1 | u64::from(backward);
            (place, len) = ((bunch, backward), 0);
        }
        len += 1;
    }
    write_run(out, head, len);
}

fn read_positions(reader: &mut Reader<'_>, rows: &mut [LiveEntry]) -> Result<(), Refused> {
    let mut left = rows.iter().filter(|row| matches!(row.entry.slot, Slot::Position { .. })).count();
    let mut run = 0;
    let mut place = None;
    for row in rows {
        let Slot::Position { bunch, backward } = &mut row.entry.slot else { continue };
        if run == 0 {
            let head = reader.varint();
            let here = Some((row.dot.seq.saturating_sub(head >> 2), head & 2 != 0));
            if place == here {
                return Err(reader.not_canonical("neighbouring runs of one bunch"));
            }
            place = here;
            run = reader.run_len(head, left)?;
            left -= run;
        }
        run -= 1;
        (*bunch, *backward) = place.unwrap_or_default();
        // The lowest index to the left is -1: index 0 has one form.
        if *bunch == 0 || *bunch > row.dot.seq || (*backward && *bunch == row.dot.seq) {
            return Err(reader.invalid("SEQ-2: a position that its dot cannot have"));
        }
    }
    Ok(())
}

// Slots: keys, by number after their first occurrence, and members.

fn write_slots(out: &mut Vec<u8>, rows: Rows<'_>) {
    let mut known = Numbers::default();
    let mut at = 0;
    while let Some((_, entry)) = rows.get(at) {
        at += 1;
        match &entry.slot {
            Slot::Key(key) => {
                let (number, is_new) = known.of(key.as_bytes());
                if is_new {
                    varint::write(out, (key.len() as u64) << 1 | 1);
                    put(out, key.as_bytes());
                } else {
                    varint::write(out, number << 1);
                }
            }
            Slot::Member(member) => value::write(out, member),
            Slot::Unit | Slot::Owner | Slot::Position { .. } => {}
        }
    }
}

fn read_slots(
    reader: &mut Reader<'_>,
    classes: &[u8],
    known: &mut Numbers,
    rows: &mut [LiveEntry],
) -> Result<(), Refused> {
    for (at, class) in classes.iter().enumerate() {
        let slot = match *class {
            MEMBER => Slot::Member(reader.value()),
            KEY => Slot::Key(read_key(reader, known, at, rows)?),
            _ => continue,
        };
        if let Some(row) = rows.get_mut(at) {
            row.entry.slot = slot;
        }
        reader.ok()?;
    }
    Ok(())
}

#[inline(never)]
fn read_key(reader: &mut Reader<'_>, known: &mut Numbers, at: usize, rows: &[LiveEntry]) -> Result<Str, Refused> {
    let head = reader.varint();
    if head & 1 == 0 {
        let first = known.place(head >> 1).and_then(|place| rows.get(place));
        let Some(Slot::Key(key)) = first.map(|row| &row.entry.slot) else {
            return Err(reader.invalid("the number of a key that did not occur"));
        };
        return Ok(key.clone());
    }
    let len = reader.fits("key length", head >> 1, 1, MAX_KEY_BYTES as u64);
    let key = reader.text(len);
    if !known.give(key.as_bytes(), at) {
        return Err(reader.not_canonical("a key that is written twice"));
    }
    Ok(key)
}

// Payloads, as the kind says.

fn write_payloads(out: &mut Vec<u8>, totals: Option<&TotalsBefore>, rows: Rows<'_>) {
    let mut at = 0;
    while let Some((dot, entry)) = rows.get(at) {
        at += 1;
        let payload = &entry.payload;
        debug_assert!(PayloadClass::of(entry.kind).fits(payload), "VALID-1: the payload is of the entry's kind");
        match payload {
            Payload::Empty => {}
            Payload::Value(value) => value::write(out, value),
            Payload::Total { plus, minus } => {
                varint::write(out, *plus);
                varint::write(out, *minus);
                if let Some(totals) = totals {
                    let before = totals.binary_search_by(|total| total.0.cmp(&dot.seq)).ok();
                    let before = before.and_then(|before| totals.get(before));
                    put_byte(out, before.is_some().into());
                    if let Some((_, plus_before, minus_before)) = before {
                        varint::write(out, plus.wrapping_sub(*plus_before));
                        varint::write(out, minus.wrapping_sub(*minus_before));
                    }
                }
            }
            Payload::Rights(rights) => write_rights(out, rights),
            Payload::Opaque(bytes) => put_sized(out, bytes),
        }
    }
}

#[inline(never)]
fn write_rights(out: &mut Vec<u8>, rights: &Rights) {
    varint::write(out, rights.plus);
    varint::write(out, rights.minus);
    varint::write_len(out, rights.given.len());
    for (replica, amount) in &rights.given {
        // In full: rights can be given to a replica that has written nothing yet, and is then in no table.
        put_id(out, *replica);
        varint::write(out, *amount);
    }
}

/// Reads the rights of `owner`. Whether they add up with those of others depends on what others wrote, so readers see to it.
#[inline(never)]
fn read_rights(reader: &mut Reader<'_>, owner: ReplicaId) -> Result<Rights, Refused> {
    let (plus, minus) = (reader.varint(), reader.varint());
    let count = reader.count("number of those given rights", 17, u64::MAX);
    reader.ok()?;
    let mut given: Vec<(ReplicaId, u64)> = Vec::with_capacity(count);
    let mut last = ReplicaId::NIL;
    for _ in 0..count {
        let (replica, amount) = (reader.replica(), reader.varint());
        reader.ok()?;
        if replica <= last {
            return Err(reader.not_canonical("those given rights, not ascending"));
        }
        if amount == 0 {
            return Err(reader.not_canonical("none given"));
        }
        if replica == owner {
            return Err(reader.invalid("ESC-1: rights given to oneself"));
        }
        given.push((replica, amount));
        last = replica;
    }
    Ok(Rights { plus, minus, given })
}

fn read_payloads(
    reader: &mut Reader<'_>,
    mut totals: Option<&mut TotalsBefore>,
    rows: &mut [LiveEntry],
) -> Result<(), Refused> {
    for row in rows {
        row.entry.payload = match PayloadClass::of(row.entry.kind) {
            PayloadClass::Empty => continue,
            PayloadClass::Value => Payload::Value(reader.value()),
            PayloadClass::Rights => Payload::Rights(Arc::new(read_rights(reader, row.dot.replica)?)),
            PayloadClass::Opaque => {
                let len = reader.length("payload length");
                Payload::Opaque(reader.blob(len))
            }
            PayloadClass::Total => {
                let (plus, minus) = (reader.varint(), reader.varint());
                if let Some(totals) = &mut totals {
                    match reader.byte() {
                        0 => {}
                        1 => {
                            let (plus_step, minus_step) = (reader.varint(), reader.varint());
                            if plus_step > plus || minus_step > minus {
                                return Err(reader.invalid("a total that is less than what was added to it"));
                            }
                            totals.push((row.dot.seq, plus - plus_step, minus - minus_step));
                        }
                        code => return Err(reader.unknown("mark of a total", code.into())),
                    }
                }
                Payload::Total { plus, minus }
            }
        };
        reader.ok()?;
    }
    Ok(())
}
