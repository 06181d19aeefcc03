//! Entries: runs of what neighbours have alike, then for each entry what it holds.
//!
//! First the columns of runs: containers (in a file of their own), shapes, positions. Behind them the contents, entry by
//! entry: key or member, and payload. So a reader builds each entry once, and a writer passes over them once. Every entry
//! takes at least one byte in one of the columns, so a declared number of entries never exceeds the bytes that are left. A
//! shape whose entries would take none (no key, no member, no payload) is therefore written for each of them instead of
//! once for a run.
//!
//! Keys are written where they first occur and by number after that. Equal lengths of keys and equal types of values in a row are
//! counted ([`super::heads`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::columns::{RunWriter, StampWriter, TableReader, TableWriter, read_runs, write_run};
use super::containers::{self, ContainerWriter};
use super::heads::Heads;
use super::intake::{Incoming, IncomingSlot, Intake, Only};
use super::limits::MAX_KEY_BYTES;
use super::numbers::Numbers;
use super::reader::{Reader, Refused};
use super::shapes::{KEY, MEMBER, OWNER, POSITION, Shape};
use super::writer::{put, put_id, put_sized};
use super::{value, varint};
use crate::clock::{Dot, Hlc};
use crate::diff::LiveEntry;
use crate::few::Few;
use crate::hash::{Domain, Hasher, hash};
use crate::replica_id::ReplicaId;
use crate::store::{Container, Entry, EntryRef, Kind, Payload, PayloadRef, Rights, Slot, SlotRef};
use crate::value::Value;

/// The totals that running totals overwrite, as in [`crate::DeltaParts::totals_before`]. Only deltas say them.
pub(crate) type TotalsBefore = Few<(u64, u64, u64)>;

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

    const fn fits(self, payload: PayloadRef<'_>) -> bool {
        matches!(
            (self, payload),
            (Self::Empty, PayloadRef::Empty)
                | (Self::Value, PayloadRef::Value(_))
                | (Self::Total, PayloadRef::Total { .. })
                | (Self::Rights, PayloadRef::Rights(_))
                | (Self::Opaque, PayloadRef::Opaque(_))
        )
    }
}

/// Whether each entry of this shape takes a byte in a later column, so that a run of any length is paid for.
fn is_paid_for(shape: Shape) -> bool {
    matches!(shape.class, KEY | MEMBER) || PayloadClass::of(shape.kind) != PayloadClass::Empty
}

// Writing.

/// Appends the only entry of a message, whose dot must be known to the reader.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write_one(
    out: &mut Vec<u8>,
    table: &TableWriter,
    totals: Option<&[(u64, u64, u64)]>,
    dot: Dot,
    entry: EntryRef<'_>,
) {
    containers::write_run(out, table, dot, entry.container, None, 1);
    write_run(out, Shape::of(entry.slot, entry.kind, entry.entity).code(), 1);
    if let SlotRef::Position { bunch, backward } = entry.slot {
        write_run(out, position_head(dot, bunch, backward), 1);
    }
    match entry.slot {
        SlotRef::Key(key) => {
            varint::write(out, new_key(key));
            put(out, key.as_bytes());
        }
        SlotRef::Member(member) => value::write(out, member),
        SlotRef::Unit | SlotRef::Owner | SlotRef::Position { .. } => {}
    }
    write_payload(out, totals, dot, entry);
}

/// An entry to write, with its dot and its stamp, and whether it is known that no other one has its key.
pub(crate) type Row<'a> = (Dot, Hlc, EntryRef<'a>, bool);

/// Entries to write, ascending by dot, wherever they are held.
pub(crate) trait Rows {
    /// Gives each to `push`.
    fn each<'a>(&'a self, push: &mut dyn FnMut(Row<'a>));

    /// For the tables of hashes while they are written: something that whoever chose what is written could not know. What is
    /// written does not depend on it.
    fn seed(&self) -> u64;
}

impl Rows for Vec<LiveEntry> {
    fn each<'a>(&'a self, push: &mut dyn FnMut(Row<'a>)) {
        for add in self {
            push((add.dot, add.hlc, (&add.entry).into(), false));
        }
    }

    /// A hash of all that the tables will hold: to aim at it, one would have to know it before choosing what it is made of.
    fn seed(&self) -> u64 {
        let mut hasher = Hasher::new(Domain::Checksum);
        for add in self {
            hasher.word(add.dot.seq);
            if let Slot::Key(key) = &add.entry.slot {
                hasher.word(hash(Domain::Checksum, key.as_bytes()) as u64);
            }
        }
        hasher.end(&[]) as u64
    }
}

/// Writes entries in one pass over them: each column has a buffer of its own until all are there.
pub(crate) struct EntryWriter<'a> {
    count: usize,
    dots: RunWriter,
    stamps: StampWriter,
    containers: ContainerWriter<'a>,
    shape: Option<Shape>,
    shape_len: usize,
    /// Bunch and direction of the run of positions that is not written yet, its head, its length.
    position: (u64, bool),
    position_head: u64,
    position_len: usize,
    /// The keys that may come again, each with its number.
    keys: Numbers<&'a str>,
    keys_given: usize,
    key_heads: Heads,
    value_heads: Heads,
    seed: u64,
    dots_out: Vec<u8>,
    stamps_out: Vec<u8>,
    containers_out: Vec<u8>,
    shapes_out: Vec<u8>,
    positions_out: Vec<u8>,
    contents_out: Vec<u8>,
}

impl<'a> EntryWriter<'a> {
    /// `seed` is for tables of hashes: something that depends on all that is written.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            count: 0,
            dots: RunWriter::new(),
            stamps: StampWriter::new(),
            containers: ContainerWriter::new(),
            shape: None,
            shape_len: 0,
            position: (0, false),
            position_head: 0,
            position_len: 0,
            keys: Numbers::new(),
            keys_given: 0,
            key_heads: Heads::new(false),
            value_heads: Heads::new(true),
            seed,
            dots_out: Vec::new(),
            stamps_out: Vec::new(),
            containers_out: Vec::new(),
            shapes_out: Vec::new(),
            positions_out: Vec::new(),
            contents_out: Vec::new(),
        }
    }

    /// Takes in the next entry, which has to be borrowed until all are there.
    pub(crate) fn push(&mut self, table: &TableWriter, totals: Option<&[(u64, u64, u64)]>, row: Row<'a>) {
        let (dot, hlc, entry, alone) = row;
        self.count += 1;
        self.dots.dot(&mut self.dots_out, table, dot);
        self.stamps.push(&mut self.stamps_out, hlc);
        self.containers.push(&mut self.containers_out, table, dot, entry.container, self.seed);
        self.push_shape(Shape::of(entry.slot, entry.kind, entry.entity));
        let out = &mut self.contents_out;
        match entry.slot {
            SlotRef::Key(key) => {
                let known = if alone { None } else { self.keys.number(key, self.keys_given, || self.seed) };
                match known.and_then(|known| self.keys.place(known)) {
                    Some(number) => self.key_heads.push(out, (number as u64) << 1, false),
                    None => {
                        self.keys_given += 1;
                        self.key_heads.push(out, new_key(key), !key.is_empty());
                        put(out, key.as_bytes());
                    }
                }
            }
            SlotRef::Member(member) => self.value_heads.push_value(out, member),
            SlotRef::Position { bunch, backward } => self.push_position(dot, bunch, backward),
            SlotRef::Unit | SlotRef::Owner => {}
        }
        match entry.payload {
            PayloadRef::Value(value) => self.value_heads.push_value(&mut self.contents_out, value),
            _ => write_payload(&mut self.contents_out, totals, dot, entry),
        }
    }

    fn push_shape(&mut self, shape: Shape) {
        if self.shape != Some(shape) || !is_paid_for(shape) {
            self.finish_shape();
            self.shape = Some(shape);
        }
        self.shape_len += 1;
    }

    fn finish_shape(&mut self) {
        if let Some(shape) = self.shape {
            write_run(&mut self.shapes_out, shape.code(), self.shape_len);
            self.shape_len = 0;
        }
    }

    fn push_position(&mut self, dot: Dot, bunch: u64, backward: bool) {
        if self.position_len == 0 || self.position != (bunch, backward) {
            write_run(&mut self.positions_out, self.position_head, self.position_len);
            self.position_head = position_head(dot, bunch, backward);
            (self.position, self.position_len) = ((bunch, backward), 0);
        }
        self.position_len += 1;
    }

    /// How many entries were taken in.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Appends the column of dots.
    pub(crate) fn write_dots(&mut self, out: &mut Vec<u8>) {
        self.dots.finish(&mut self.dots_out);
        put(out, &self.dots_out);
    }

    /// Appends the column of stamps.
    pub(crate) fn write_stamps(&mut self, out: &mut Vec<u8>) {
        self.stamps.finish(&mut self.stamps_out);
        put(out, &self.stamps_out);
    }

    /// Appends everything else.
    pub(crate) fn write_entries(self, out: &mut Vec<u8>, table: &TableWriter) {
        let contents = self.write_columns(out, table);
        put(out, &contents);
    }

    /// Appends everything else but the last column, the contents, which it returns: they are most of it all.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn write_columns(mut self, out: &mut Vec<u8>, table: &TableWriter) -> Vec<u8> {
        self.containers.finish(&mut self.containers_out, table);
        self.finish_shape();
        write_run(&mut self.positions_out, self.position_head, self.position_len);
        for column in [&self.containers_out, &self.shapes_out, &self.positions_out] {
            put(out, column);
        }
        self.contents_out
    }
}

fn position_head(dot: Dot, bunch: u64, backward: bool) -> u64 {
    dot.seq.wrapping_sub(bunch) << 1 | u64::from(backward)
}

/// The head of a key that did not occur before.
fn new_key(key: &str) -> u64 {
    (key.len() as u64) << 1 | 1
}

impl Heads {
    fn push_value(&mut self, out: &mut Vec<u8>, value: &Value) {
        let head = value::head(value);
        self.push(out, head.into(), value::has_body(head));
        value::write_body(out, value);
    }

    fn read_value(&mut self, reader: &mut Reader<'_>) -> Value {
        let head = match self.repeated(reader) {
            Some(head) => head as u8,
            None => {
                let head = reader.byte();
                self.read(reader, head.into(), value::has_body(head));
                head
            }
        };
        reader.value(head)
    }
}

fn write_payload(out: &mut Vec<u8>, totals: Option<&[(u64, u64, u64)]>, dot: Dot, entry: EntryRef<'_>) {
    debug_assert!(PayloadClass::of(entry.kind).fits(entry.payload), "VALID-1: the payload is of the entry's kind");
    match (entry.payload, totals) {
        (PayloadRef::Empty, _) => {}
        (PayloadRef::Value(value), _) => value::write(out, value),
        (PayloadRef::Total { plus, minus }, None) => {
            varint::write(out, plus);
            varint::write(out, minus);
        }
        (PayloadRef::Total { plus, minus }, Some(totals)) => {
            let before = totals.binary_search_by(|total| total.0.cmp(&dot.seq)).ok();
            let before = before.and_then(|before| totals.get(before));
            write_total(out, (plus, minus), before.map(|before| (before.1, before.2)));
        }
        (PayloadRef::Rights(rights), _) => write_rights(out, rights),
        (PayloadRef::Opaque(bytes), _) => put_sized(out, bytes),
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

// Totals in deltas: a head says which of the two sums are there and which of them moved, and by how much.

const HAS_PLUS: u64 = 1;
const HAS_MINUS: u64 = 2;
const PLUS_MOVED: u64 = 4;
const MINUS_MOVED: u64 = 8;
const STEP_SHIFT: u32 = 4;
/// A step from here on has no room in the head, which says 0 instead; it comes last.
const LONG_STEP: u64 = 1 << (u64::BITS - STEP_SHIFT);

/// Appends a total and what it overwrites.
#[cfg_attr(target_family = "wasm", inline(never))]
fn write_total(out: &mut Vec<u8>, now: (u64, u64), before: Option<(u64, u64)>) {
    let mut head = if now.0 > 0 { HAS_PLUS } else { 0 };
    if now.1 > 0 {
        head |= HAS_MINUS;
    }
    let (mut second, mut long) = (None, None);
    if let Some(before) = before {
        let steps = (now.0.wrapping_sub(before.0), now.1.wrapping_sub(before.1));
        let (step, moved) = match steps {
            (plus, 0) if plus > 0 => (plus, PLUS_MOVED),
            (0, minus) if minus > 0 => (minus, MINUS_MOVED),
            (plus, minus) => {
                second = Some(minus);
                (plus, PLUS_MOVED | MINUS_MOVED)
            }
        };
        long = Some(step).filter(|step| *step >= LONG_STEP);
        head |= moved | if long.is_none() { step << STEP_SHIFT } else { 0 };
    }
    varint::write(out, head);
    for number in [now.0, now.1] {
        if number > 0 {
            varint::write(out, number);
        }
    }
    for step in [second, long].into_iter().flatten() {
        varint::write(out, step);
    }
}

/// Reads what [`write_total`] wrote.
#[cfg_attr(target_family = "wasm", inline(never))]
fn read_total(reader: &mut Reader<'_>, seq: u64, totals: &mut TotalsBefore) -> Result<Payload, Refused> {
    let head = reader.varint();
    let mut sum = |flag| {
        if head & flag == 0 {
            return 0;
        }
        let sum = reader.varint();
        if sum == 0 {
            reader.not_canonical("a sum of nothing, written");
        }
        sum
    };
    let (plus, minus) = (sum(HAS_PLUS), sum(HAS_MINUS));
    let (mut step, moved) = (head >> STEP_SHIFT, head & (PLUS_MOVED | MINUS_MOVED));
    if moved == 0 {
        if step > 0 {
            return Err(reader.unknown("head of a total", head));
        }
        return Ok(Payload::Total { plus, minus });
    }
    let both = moved == (PLUS_MOVED | MINUS_MOVED);
    let second = if both { reader.varint() } else { 0 };
    if step == 0 && (!both || second > 0) {
        step = reader.varint();
        if step < LONG_STEP {
            return Err(reader.not_canonical("a step of a total, written as another kind of step"));
        }
    } else if both && step > 0 && second == 0 {
        return Err(reader.not_canonical("a step of a total, written as another kind of step"));
    }
    let steps = if moved == MINUS_MOVED { (0, step) } else { (step, second) };
    if steps.0 > plus || steps.1 > minus {
        return Err(reader.invalid("a total that is less than what was added to it"));
    }
    totals.push((seq, plus - steps.0, minus - steps.1));
    Ok(Payload::Total { plus, minus })
}

// Reading.

/// The columns of runs, as they were read: what neighbours have alike.
pub(crate) struct Columns {
    /// How many entries there are.
    pub(crate) count: usize,
    /// Replica, first, last.
    pub(crate) dots: Few<(ReplicaId, u64, u64)>,
    /// Empty in deltas.
    pub(crate) stamps: Few<(Hlc, usize)>,
    containers: Few<(Container, usize)>,
    shapes: Few<(Shape, usize)>,
    positions: Few<(u64, usize)>,
}

impl Columns {
    pub(crate) const fn new(count: usize) -> Self {
        Self {
            count,
            dots: Few::new(),
            stamps: Few::new(),
            containers: Few::new(),
            shapes: Few::new(),
            positions: Few::new(),
        }
    }

    /// Reads the column of dots.
    pub(crate) fn read_dots(&mut self, reader: &mut Reader<'_>, table: &mut TableReader) -> Result<(), Refused> {
        read_runs(reader, table, self.count, &mut self.dots)
    }

    /// Reads the columns of runs of the entries, whose dots are known. The caller has checked that the remaining bytes can
    /// hold that many.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn read_columns(&mut self, reader: &mut Reader<'_>, table: &mut TableReader) -> Result<(), Refused> {
        let Self { dots, containers, count, .. } = self;
        containers::read(reader, table, &|run| dots.get(run).copied(), *count, containers)?;
        self.read_shapes(reader)?;
        self.read_positions(reader)
    }

    /// The containers that entries are in, each at least once.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().map(|(container, _)| container)
    }

    fn read_shapes(&mut self, reader: &mut Reader<'_>) -> Result<(), Refused> {
        let mut before = None;
        let mut left = self.count;
        while left > 0 {
            let (shape, len) = read_shape(reader, before, left)?;
            before = Some(shape);
            left -= len;
            self.shapes.push((shape, len));
        }
        Ok(())
    }

    fn read_positions(&mut self, reader: &mut Reader<'_>) -> Result<(), Refused> {
        let placed = self.shapes.iter().filter(|(shape, _)| shape.class == POSITION);
        let mut left = placed.map(|(_, len)| len).sum();
        while left > 0 {
            let head = reader.varint();
            let len = reader.run_len(head, left)?;
            left -= len;
            self.positions.push((head, len));
        }
        Ok(())
    }

    /// Reads what the entries hold, and gives each to `intake`.
    #[inline(never)]
    pub(crate) fn read_contents<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        mut totals: Option<&mut TotalsBefore>,
        intake: &mut dyn Intake<'a>,
    ) -> Result<(), Refused> {
        let (mut keys, mut values) = (KeyHeads::new(), Heads::new(true));
        let (mut stamps, mut containers) = (Cursor::default(), Cursor::default());
        let (mut shapes, mut positions) = (Cursor::default(), Cursor::default());
        let mut place = None;
        for (replica, first, last) in self.dots.iter() {
            for seq in *first..=*last {
                let dot = Dot::new(*replica, seq);
                let hlc = stamps.next(&self.stamps).map_or(Hlc(0), |(stamp, _)| *stamp);
                let (Some((container, len)), Some((shape, _))) =
                    (containers.next(&self.containers), shapes.next(&self.shapes))
                else {
                    return Err(reader.invalid("more dots than entries"));
                };
                if shape.class == POSITION {
                    let begins = positions.left == 0;
                    let head = positions.next(&self.positions).map_or(0, |(head, _)| *head);
                    if begins {
                        place = next_place(reader, place, dot, head)?;
                    }
                }
                let heads = (&mut keys, &mut values, &mut totals);
                let (slot, payload) = read_entry(reader, heads, dot, (container, *shape), place, intake)?;
                let (run, kind, entity) = ((containers.at, *len), shape.kind, shape.entity);
                intake.entry(reader, dot, hlc, Incoming { run, container, slot, kind, entity, payload });
            }
        }
        keys.heads.finish(reader);
        values.finish(reader);
        reader.ok()
    }
}

/// Reads a run of shapes, of the `left` entries that are to come.
fn read_shape(reader: &mut Reader<'_>, before: Option<Shape>, left: usize) -> Result<(Shape, usize), Refused> {
    let head = reader.varint();
    let Some(shape) = Shape::from_code(head >> 1) else { return Err(reader.unknown("shape", head >> 1)) };
    if shape.kind == Kind::CHARACTER {
        return Err(reader.invalid("DOT-1: a character outside of text"));
    }
    if is_paid_for(shape) {
        if before == Some(shape) {
            return Err(reader.not_canonical("neighbouring runs of one shape"));
        }
    } else if head & 1 == 1 {
        return Err(reader.not_canonical("a run of a shape that is written for each entry"));
    }
    Ok((shape, reader.run_len(head, left)?))
}

/// Reads what [`write_one`] wrote: the only entry of a message, which has this dot.
pub(crate) fn read_one(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    totals: Option<&mut TotalsBefore>,
    dot: Dot,
) -> Result<Entry, Refused> {
    let container = containers::read_one(reader, table, dot)?;
    let (shape, _) = read_shape(reader, None, 1)?;
    let mut place = None;
    if shape.class == POSITION {
        let head = reader.varint();
        reader.run_len(head, 1)?;
        place = next_place(reader, None, dot, head)?;
    }
    let (mut keys, mut values, mut only) = (KeyHeads::new(), Heads::new(true), Only::default());
    let heads = (&mut keys, &mut values, &mut { totals });
    let (slot, payload) = read_entry(reader, heads, dot, (&container, shape), place, &mut only)?;
    let slot = slot.with_key(|_| only.key);
    Ok(Entry { container, slot, kind: shape.kind, entity: shape.entity, payload })
}

/// Reads what an entry has by itself: its key or member, and its payload.
fn read_entry<'a>(
    reader: &mut Reader<'a>,
    (keys, values, totals): (&mut KeyHeads, &mut Heads, &mut Option<&mut TotalsBefore>),
    dot: Dot,
    (container, shape): (&Container, Shape),
    place: Option<(u64, bool)>,
    intake: &mut dyn Intake<'a>,
) -> Result<(IncomingSlot, Payload), Refused> {
    // An entity of the same replica is older than the first entry of its first run by construction; a later entry or run may
    // be of another replica, or of dots that precede it.
    if let Container::Entity(entity) = container
        && entity.replica == dot.replica
        && entity.seq >= dot.seq
    {
        return Err(reader.invalid("CAUSAL-2: an entry in a container that is not older than itself"));
    }
    let slot = match shape.class {
        KEY => IncomingSlot::Key(keys.read(reader, intake)?),
        MEMBER => IncomingSlot::Member(values.read_value(reader)),
        OWNER => IncomingSlot::Owner,
        POSITION => {
            let (bunch, backward) = place.unwrap_or_default();
            // The lowest index to the left is -1: index 0 has one form.
            if bunch == 0 || bunch > dot.seq || (backward && bunch == dot.seq) {
                return Err(reader.invalid("SEQ-2: a position that its dot cannot have"));
            }
            IncomingSlot::Position { bunch, backward }
        }
        _ => IncomingSlot::Unit,
    };
    let payload = match (PayloadClass::of(shape.kind), totals) {
        (PayloadClass::Empty, _) => Payload::Empty,
        (PayloadClass::Value, _) => Payload::Value(values.read_value(reader)),
        (PayloadClass::Rights, _) => Payload::Rights(Arc::new(read_rights(reader, dot.replica)?)),
        (PayloadClass::Opaque, _) => {
            let len = reader.length("payload length");
            Payload::Opaque(reader.blob(len))
        }
        (PayloadClass::Total, None) => Payload::Total { plus: reader.varint(), minus: reader.varint() },
        (PayloadClass::Total, Some(totals)) => read_total(reader, dot.seq, totals)?,
    };
    reader.ok()?;
    Ok((slot, payload))
}

/// The place that a run of positions begins at; it must be another than that of the run before.
fn next_place(
    reader: &mut Reader<'_>,
    before: Option<(u64, bool)>,
    dot: Dot,
    head: u64,
) -> Result<Option<(u64, bool)>, Refused> {
    let here = Some((dot.seq.saturating_sub(head >> 2), head & 2 != 0));
    if before == here {
        return Err(reader.not_canonical("neighbouring runs of one bunch"));
    }
    Ok(here)
}

/// Where in a list of runs the next entry is.
#[derive(Default)]
struct Cursor {
    at: usize,
    left: usize,
}

impl Cursor {
    /// The run of the next entry.
    fn next<'r, T>(&mut self, runs: &'r Few<(T, usize)>) -> Option<&'r (T, usize)> {
        if self.left == 0 {
            self.left = runs.get(self.at)?.1;
            self.at += 1;
        }
        self.left -= 1;
        runs.get(self.at - 1)
    }
}

/// The heads of the keys that were read, and how many keys were written in full.
struct KeyHeads {
    heads: Heads,
    given: usize,
}

impl KeyHeads {
    const fn new() -> Self {
        Self { heads: Heads::new(false), given: 0 }
    }

    /// The number of the next key, which is written in full where it first occurs.
    fn read<'a>(&mut self, reader: &mut Reader<'a>, intake: &mut dyn Intake<'a>) -> Result<usize, Refused> {
        let head = match self.heads.repeated(reader) {
            Some(head) => head,
            None => {
                let head = reader.varint();
                // The head of a known key, or of an empty one, is all there is of it.
                self.heads.read(reader, head, head & 1 == 1 && head > 1);
                head
            }
        };
        if head & 1 == 0 {
            return match usize::try_from(head >> 1) {
                Ok(number) if number < self.given => Ok(number),
                _ => Err(reader.invalid("the number of a key that did not occur")),
            };
        }
        let len = reader.fits("key length", head >> 1, 1, MAX_KEY_BYTES as u64);
        let text = reader.str(len);
        reader.ok()?;
        if !intake.key(reader, text) {
            return Err(reader.not_canonical("a key that is written twice"));
        }
        self.given += 1;
        Ok(self.given - 1)
    }
}
