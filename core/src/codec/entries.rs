//! Entries in columns: containers (in a file of their own), shapes, positions, slots, payloads.
//!
//! Every entry takes at least one byte in one of its columns, so a declared number of entries never exceeds the bytes that
//! are left. A shape whose entries would take none (no key, no member, no payload) is therefore written for each of them
//! instead of once for a run.
//!
//! Keys are written where they first occur and by number after that.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, count_while, read_run_len};
use super::limits::MAX_KEY_BYTES;
use super::reader::Reader;
use super::{DecodeError, containers, value, varint};
use crate::clock::Dot;
use crate::ordered::{Map, Set};
use crate::store::{Entry, Kind, Payload, Slot};

/// One entry to write.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) dot: Dot,
    pub(crate) entry: &'a Entry,
    /// For a running total in a delta: the totals it overwrites.
    pub(crate) before: Option<(u64, u64)>,
}

/// Whether running totals say what they overwrite. Only deltas do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Totals {
    WithBefore,
    Alone,
}

/// What was read.
pub(crate) struct Entries {
    pub(crate) entries: Vec<Entry>,
    /// As in [`crate::DeltaParts::totals_before`].
    pub(crate) totals_before: Vec<(u64, u64, u64)>,
}

/// Appends entries, whose dots must be known to the reader.
pub(crate) fn write<'a>(
    out: &mut Vec<u8>,
    table: &TableWriter,
    totals: Totals,
    rows: impl Iterator<Item = Row<'a>> + Clone,
) {
    containers::write(out, table, rows.clone());
    write_shapes(out, rows.clone());
    write_positions(out, rows.clone());
    write_slots(out, rows.clone());
    for row in rows {
        write_payload(out, totals, row);
    }
}

/// Reads the entries of `dots`. The caller has checked that the remaining bytes can hold that many elements.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    totals: Totals,
    dots: &[Dot],
) -> Result<Entries, DecodeError> {
    let containers = containers::read(reader, table, dots)?;
    let shapes = read_shapes(reader, dots.len())?;
    let positions = read_positions(reader, dots, &shapes)?;
    let slots = read_slots(reader, &shapes, positions)?;
    let mut totals_before = Vec::new();
    let mut entries = Vec::with_capacity(dots.len());
    for (((container, shape), slot), dot) in containers.into_iter().zip(shapes).zip(slots).zip(dots) {
        let (payload, before) = read_payload(reader, totals, shape.kind)?;
        totals_before.extend(before.map(|(plus, minus)| (dot.seq, plus, minus)));
        entries.push(Entry { container, slot, kind: shape.kind, entity: shape.entity, payload });
    }
    Ok(Entries { entries, totals_before })
}

// Shapes: kind, class of slot, entity bit.

#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    kind: Kind,
    slot: SlotClass,
    entity: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SlotClass {
    Unit = 0,
    Key = 1,
    Member = 2,
    Owner = 3,
    Position = 4,
}

/// What the payload of a kind looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PayloadClass {
    Empty,
    Value,
    Total,
    Opaque,
}

impl PayloadClass {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::REGISTER => Self::Value,
            Kind::TOTAL => Self::Total,
            Kind::FLAG | Kind::COUNTER | Kind::SET | Kind::MAP | Kind::LIST | Kind::MEMBER | Kind::MOVE => Self::Empty,
            _ => Self::Opaque,
        }
    }

    const fn fits(self, payload: &Payload) -> bool {
        matches!(
            (self, payload),
            (Self::Empty, Payload::Empty)
                | (Self::Value, Payload::Value(_))
                | (Self::Total, Payload::Total { .. })
                | (Self::Opaque, Payload::Opaque(_))
        )
    }
}

impl Shape {
    fn of(entry: &Entry) -> Self {
        let slot = match entry.slot {
            Slot::Unit => SlotClass::Unit,
            Slot::Key(_) => SlotClass::Key,
            Slot::Member(_) => SlotClass::Member,
            Slot::Owner => SlotClass::Owner,
            Slot::Position { .. } => SlotClass::Position,
        };
        Self { kind: entry.kind, slot, entity: entry.entity }
    }

    /// Whether each entry of this shape takes a byte in a later column, so that a run of any length is paid for.
    fn is_paid_for(self) -> bool {
        matches!(self.slot, SlotClass::Key | SlotClass::Member) || PayloadClass::of(self.kind) != PayloadClass::Empty
    }

    fn code(self) -> u64 {
        u64::from(self.kind.0) << 4 | (self.slot as u64) << 1 | u64::from(self.entity)
    }
}

fn write_shapes<'a>(out: &mut Vec<u8>, rows: impl Iterator<Item = Row<'a>>) {
    let mut shapes = rows.map(|row| Shape::of(row.entry)).peekable();
    while let Some(shape) = shapes.next() {
        let more = if shape.is_paid_for() { count_while(&mut shapes, |next| *next == shape) } else { 0 };
        varint::write(out, shape.code() << 1 | u64::from(more > 0));
        if more > 0 {
            varint::write_len(out, more - 1);
        }
    }
}

fn read_shapes(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Shape>, DecodeError> {
    let mut shapes: Vec<Shape> = Vec::with_capacity(count);
    while shapes.len() < count {
        let head = reader.varint()?;
        let kind = u8::try_from(head >> 5).map_err(|_| reader.unknown("shape", head))?;
        let slot = match (head >> 2) & 7 {
            0 => SlotClass::Unit,
            1 => SlotClass::Key,
            2 => SlotClass::Member,
            3 => SlotClass::Owner,
            4 => SlotClass::Position,
            code => return Err(reader.unknown("class of slot", code)),
        };
        let shape = Shape { kind: Kind(kind), slot, entity: head & 2 != 0 };
        let more = head & 1 == 1;
        if shape.is_paid_for() {
            if shapes.last() == Some(&shape) {
                return Err(reader.not_canonical("neighbouring runs of one shape"));
            }
        } else if more {
            return Err(reader.not_canonical("a run of a shape that is written for each entry"));
        }
        let len = read_run_len(reader, more, count - shapes.len())?;
        shapes.extend(core::iter::repeat_n(shape, len));
    }
    Ok(shapes)
}

// Positions: the bunch and the direction, for the entries that have one, in runs.

fn write_positions<'a>(out: &mut Vec<u8>, rows: impl Iterator<Item = Row<'a>>) {
    let mut positions = rows
        .filter_map(|row| match row.entry.slot {
            Slot::Position { bunch, backward } => Some((row.dot.seq, bunch, backward)),
            _ => None,
        })
        .peekable();
    while let Some((seq, bunch, backward)) = positions.next() {
        let more = count_while(&mut positions, |next| (next.1, next.2) == (bunch, backward));
        varint::write(out, seq.wrapping_sub(bunch) << 2 | u64::from(backward) << 1 | u64::from(more > 0));
        if more > 0 {
            varint::write_len(out, more - 1);
        }
    }
}

fn read_positions(reader: &mut Reader<'_>, dots: &[Dot], shapes: &[Shape]) -> Result<Vec<Slot>, DecodeError> {
    let placed = || dots.iter().zip(shapes).filter(|(_, shape)| shape.slot == SlotClass::Position);
    let mut left = placed().count();
    let mut slots = Vec::with_capacity(left);
    let mut placed = placed();
    let mut before = None;
    while left > 0 {
        let head = reader.varint()?;
        let backward = head & 2 != 0;
        let len = read_run_len(reader, head & 1 == 1, left)?;
        let mut bunch = None;
        for (dot, _) in placed.by_ref().take(len) {
            let first = dot.seq.saturating_sub(head >> 2);
            let bunch = *bunch.get_or_insert(first);
            // The lowest index to the left is -1: index 0 has one form.
            if bunch == 0 || bunch > dot.seq || (backward && bunch == dot.seq) {
                return Err(reader.invalid("SEQ-2: a position that its dot cannot have"));
            }
            slots.push(Slot::Position { bunch, backward });
        }
        if before == Some((bunch, backward)) {
            return Err(reader.not_canonical("neighbouring runs of one bunch"));
        }
        before = Some((bunch, backward));
        left -= len;
    }
    Ok(slots)
}

// Slots: keys, by number after their first occurrence, and members.

fn write_slots<'a>(out: &mut Vec<u8>, rows: impl Iterator<Item = Row<'a>>) {
    let mut known: Map<&str, u64> = Map::new();
    for row in rows {
        match &row.entry.slot {
            Slot::Key(key) => {
                let next_number = known.len() as u64;
                let number = *known.get_or_insert_with(key, || next_number);
                if number == next_number {
                    varint::write(out, (key.len() as u64) << 1 | 1);
                    out.extend_from_slice(key.as_bytes());
                } else {
                    varint::write(out, number << 1);
                }
            }
            Slot::Member(member) => value::write(out, member),
            Slot::Unit | Slot::Owner | Slot::Position { .. } => {}
        }
    }
}

fn read_slots(reader: &mut Reader<'_>, shapes: &[Shape], positions: Vec<Slot>) -> Result<Vec<Slot>, DecodeError> {
    let mut slots = Vec::with_capacity(shapes.len());
    let mut positions = positions.into_iter();
    let mut keys: Vec<Arc<str>> = Vec::new();
    let mut known: Set<Arc<str>> = Set::new();
    for shape in shapes {
        slots.push(match shape.slot {
            SlotClass::Unit => Slot::Unit,
            SlotClass::Owner => Slot::Owner,
            SlotClass::Member => Slot::Member(reader.value()?),
            SlotClass::Position => positions.next().ok_or_else(|| reader.invalid("a position is missing"))?,
            SlotClass::Key => {
                let head = reader.varint()?;
                if head & 1 == 1 {
                    let len = reader.fits("key length", head >> 1, 1, MAX_KEY_BYTES as u64)?;
                    let key: Arc<str> = Arc::from(reader.text(len)?);
                    if !known.insert(key.clone()) {
                        return Err(reader.not_canonical("a key that is written twice"));
                    }
                    keys.push(key.clone());
                    Slot::Key(key)
                } else {
                    let key = usize::try_from(head >> 1).ok().and_then(|number| keys.get(number)).cloned();
                    Slot::Key(key.ok_or_else(|| reader.invalid("the number of a key that did not occur"))?)
                }
            }
        });
    }
    Ok(slots)
}

// Payloads, as the kind says.

fn write_payload(out: &mut Vec<u8>, totals: Totals, row: Row<'_>) {
    let payload = &row.entry.payload;
    debug_assert!(PayloadClass::of(row.entry.kind).fits(payload), "VALID-1: the payload is of the entry's kind");
    match payload {
        Payload::Empty => {}
        Payload::Value(value) => value::write(out, value),
        Payload::Total { plus, minus } => {
            varint::write(out, *plus);
            varint::write(out, *minus);
            if totals == Totals::WithBefore {
                out.push(row.before.is_some().into());
                if let Some((plus_before, minus_before)) = row.before {
                    varint::write(out, plus.wrapping_sub(plus_before));
                    varint::write(out, minus.wrapping_sub(minus_before));
                }
            }
        }
        Payload::Opaque(bytes) => {
            varint::write_len(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// A payload, and the totals it overwrites.
type WithBefore = (Payload, Option<(u64, u64)>);

fn read_payload(reader: &mut Reader<'_>, totals: Totals, kind: Kind) -> Result<WithBefore, DecodeError> {
    let payload = match PayloadClass::of(kind) {
        PayloadClass::Empty => Payload::Empty,
        PayloadClass::Value => Payload::Value(reader.value()?),
        PayloadClass::Opaque => {
            let len = reader.length("payload length", usize::MAX)?;
            Payload::Opaque(Arc::from(reader.take(len)?))
        }
        PayloadClass::Total => {
            let (plus, minus) = (reader.varint()?, reader.varint()?);
            let has_before = totals == Totals::WithBefore
                && match reader.byte()? {
                    0 => false,
                    1 => true,
                    code => return Err(reader.unknown("mark of a total", code.into())),
                };
            let mut before = None;
            if has_before {
                let (plus_step, minus_step) = (reader.varint()?, reader.varint()?);
                before = plus.checked_sub(plus_step).zip(minus.checked_sub(minus_step));
                if before.is_none() {
                    return Err(reader.invalid("a total that is less than what was added to it"));
                }
            }
            return Ok((Payload::Total { plus, minus }, before));
        }
    };
    Ok((payload, None))
}
