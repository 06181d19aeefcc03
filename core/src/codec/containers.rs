//! The column of containers.
//!
//! Runs of entries in one container. A container is written where it first occurs and by number after that; there is no
//! dictionary in front, so there is nothing in it that could be unused or in another order. An entity is mostly named by
//! the distance from the first entry in it: a new row of a table is one or two dots before its fields.
//!
//! Rule: CAUSAL-2 an entry is in a container that is older than itself.

use alloc::vec::Vec;

use super::columns::{TableReader, TableWriter, write_run_len};
use super::limits::MAX_KEY_BYTES;
use super::numbers::Numbers;
use super::reader::{Reader, Refused};
use super::varint;
use super::writer::{put, put_byte};
use crate::clock::Dot;
use crate::few::Few;
use crate::replica_id::ReplicaId;
use crate::store::{Container, ContainerRef, Kind};

const KNOWN: u64 = 0;
const ROOT: u64 = 1;
const ENTITY_OF_SAME_REPLICA: u64 = 2;
const ENTITY_OF_OTHER_REPLICA: u64 = 3;
const CLASS_SHIFT: u32 = 1;
const REST_SHIFT: u32 = 3;

/// Writes the containers of entries, one after the other.
pub(crate) struct ContainerWriter<'a> {
    known: Numbers<ContainerRef<'a>>,
    /// The run that is not written yet: its first dot, its container, its number if it occurred before, its length.
    open: Option<(Dot, ContainerRef<'a>, Option<u64>, usize)>,
}

impl<'a> ContainerWriter<'a> {
    pub(crate) const fn new() -> Self {
        Self { known: Numbers::new(), open: None }
    }

    /// Takes in the container of the next entry.
    pub(crate) fn push(
        &mut self,
        out: &mut Vec<u8>,
        table: &TableWriter,
        dot: Dot,
        container: ContainerRef<'a>,
        seed: u64,
    ) {
        if let Some((_, open, _, len)) = &mut self.open
            && is_same(*open, container)
        {
            *len += 1;
            return;
        }
        self.finish(out, table);
        let number = self.known.number(container, 0, || seed);
        self.open = Some((dot, container, number, 1));
    }

    /// Appends the last run.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>, table: &TableWriter) {
        if let Some((dot, container, number, len)) = self.open.take() {
            write_run(out, table, dot, container, number, len);
        }
    }
}

/// Whether two are one. Names that lie in one place need not be compared.
fn is_same(a: ContainerRef<'_>, b: ContainerRef<'_>) -> bool {
    match (a, b) {
        (ContainerRef::Root { name: a, kind: of_a }, ContainerRef::Root { name: b, kind: of_b }) => {
            of_a == of_b && (core::ptr::eq(a, b) || a == b)
        }
        _ => a == b,
    }
}

/// Appends a run of entries in one container, the first of which has this dot.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn write_run(
    out: &mut Vec<u8>,
    table: &TableWriter,
    dot: Dot,
    container: ContainerRef<'_>,
    number: Option<u64>,
    len: usize,
) {
    let head = |class: u64, rest: u64| rest << REST_SHIFT | class << CLASS_SHIFT | u64::from(len > 1);
    match (number, container) {
        (Some(number), _) => varint::write(out, head(KNOWN, number)),
        (None, ContainerRef::Root { name, kind }) => {
            varint::write(out, head(ROOT, name.len() as u64));
            put_byte(out, kind.0);
            put(out, name.as_bytes());
        }
        (None, ContainerRef::Entity(entity)) if entity.replica == dot.replica && entity.seq < dot.seq => {
            varint::write(out, head(ENTITY_OF_SAME_REPLICA, dot.seq - entity.seq));
        }
        (None, ContainerRef::Entity(entity)) => {
            varint::write(out, head(ENTITY_OF_OTHER_REPLICA, table.number(entity.replica)));
            varint::write(out, entity.seq);
        }
    }
    write_run_len(out, len);
}

/// Reads the containers of `count` entries, as runs; `dots` gives those of the entries, run by run: whose, the first and the last.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    table: &mut TableReader,
    dots: &dyn Fn(usize) -> Option<(ReplicaId, u64, u64)>,
    count: usize,
    runs: &mut Few<(Container, usize)>,
) -> Result<(), Refused> {
    let mut known: Numbers<ContainerRef<'a>> = Numbers::new();
    // Which run of dots the entry is in, and how many of that run are before it.
    let (mut run, mut skipped) = (0, 0u64);
    let mut before = None;
    let mut left = count;
    while left > 0 {
        let dot = loop {
            let Some((replica, first, last)) = dots(run) else {
                return Err(reader.invalid("more entries than dots"));
            };
            match first.checked_add(skipped).filter(|seq| *seq <= last) {
                Some(seq) => break Dot::new(replica, seq),
                None => skipped -= last - first + 1,
            }
            run += 1;
        };
        let head = reader.varint();
        let (class, rest) = (head >> CLASS_SHIFT & 3, head >> REST_SHIFT);
        let container = if class == KNOWN {
            if before == Some(rest) {
                return Err(reader.not_canonical("neighbouring runs of one container"));
            }
            before = Some(rest);
            let first = known.place(rest).and_then(|place| runs.get(place));
            let Some((container, _)) = first else {
                return Err(reader.invalid("the number of a container that did not occur"));
            };
            container.clone()
        } else {
            let identity = read_new(reader, table, dot, class, rest)?;
            // Alone in its message, nothing can say it twice.
            if count > 1 {
                before = Some(known.given());
                if known.number(identity, runs.len(), || reader.seed()).is_some() {
                    return Err(reader.not_canonical("a container that is written twice"));
                }
            }
            own(identity)
        };
        let len = reader.run_len(head, left)?;
        left -= len;
        skipped += len as u64;
        runs.push((container, len));
    }
    Ok(())
}

/// Reads the container of the only entry of a message.
pub(crate) fn read_one(reader: &mut Reader<'_>, table: &mut TableReader, dot: Dot) -> Result<Container, Refused> {
    let head = reader.varint();
    let class = head >> CLASS_SHIFT & 3;
    if class == KNOWN {
        return Err(reader.invalid("the number of a container that did not occur"));
    }
    let container = read_new(reader, table, dot, class, head >> REST_SHIFT)?;
    reader.run_len(head, 1)?;
    Ok(own(container))
}

fn own(container: ContainerRef<'_>) -> Container {
    match container {
        ContainerRef::Root { name, kind } => Container::Root { name: name.into(), kind },
        ContainerRef::Entity(entity) => Container::Entity(entity),
    }
}

/// Reads a container in full, as it is said at the first entry in it.
fn read_new<'a>(
    reader: &mut Reader<'a>,
    table: &mut TableReader,
    dot: Dot,
    class: u64,
    rest: u64,
) -> Result<ContainerRef<'a>, Refused> {
    let container = match class {
        ROOT => {
            let len = reader.fits("name length", rest, 1, MAX_KEY_BYTES as u64);
            let kind = Kind(reader.byte());
            ContainerRef::Root { name: reader.str(len), kind }
        }
        ENTITY_OF_SAME_REPLICA => {
            if rest == 0 || rest >= dot.seq {
                return Err(reader.invalid("CAUSAL-2: an entry in a container that is not older than itself"));
            }
            ContainerRef::Entity(Dot::new(dot.replica, dot.seq - rest))
        }
        _ => {
            let entity = table.dot(reader, rest);
            if entity.replica == dot.replica {
                return Err(reader.not_canonical("an entity of the same replica, named in full"));
            }
            ContainerRef::Entity(entity)
        }
    };
    reader.ok()?;
    Ok(container)
}
