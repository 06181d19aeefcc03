//! Runs of text: where each run is, and then all their characters as one piece of UTF-8, in the order of the dots.
//!
//! In a delta the runs follow one another from its first dot, and a bunch is named by its distance. In a diff, which carries
//! every bunch that its text is in, by its place among those: mostly it is the last one that is not younger than the run. A
//! character takes a byte at least, so a declared number of them never exceeds the bytes that are left.
//!
//! Rules: BYTES-2 runs are as long as they can be. SEQ-1, SEQ-2 a character's bunch is of its replica, and not younger.

use alloc::vec::Vec;

use super::columns::{OwnRange, Scope, TableReader, TableWriter};
use super::containers::{self, ContainerWriter};
use super::intake::{IncomingText, Intake};
use super::reader::{Reader, Refused};
use super::writer::{put, put_sized};
use super::{bunches, varint};
use crate::clock::Dot;
use crate::few::Few;
use crate::sequence::BunchRecord;
use crate::store::{Container, TextRun};
use crate::string::characters;

/// Notes the replicas that the containers of runs name.
pub(crate) fn note(table: &mut TableWriter, runs: &[TextRun]) {
    for run in runs {
        if let Container::Entity(entity) = run.container {
            table.note(entity.replica);
        }
    }
}

/// How many characters there are.
pub(crate) fn count(runs: &[TextRun]) -> u64 {
    let mut count = 0;
    for run in runs {
        count += run.dots();
    }
    count
}

/// Appends the runs of a delta that begins at `first_seq`. `all`: every dot of it is a character.
pub(crate) fn write_in_delta(out: &mut Vec<u8>, table: &TableWriter, first_seq: u64, all: bool, runs: &[TextRun]) {
    let mut next = first_seq;
    for (at, run) in runs.iter().enumerate() {
        let (dots, another) = (run.dots(), at + 1 < runs.len());
        if !all {
            varint::write(out, run.first.seq.wrapping_sub(next));
        }
        let distance = run.first.seq.wrapping_sub(run.bunch);
        varint::write(out, distance << 2 | u64::from(run.backward) << 1 | u64::from(another));
        if another || !all {
            varint::write(out, dots.wrapping_sub(1));
        }
        next = run.first.seq.wrapping_add(dots);
    }
    write_containers(out, table, runs);
    for run in runs {
        put(out, run.text.as_bytes());
    }
}

/// Reads what [`write_in_delta`] wrote, to the end of the input.
pub(crate) fn read_in_delta(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    own: OwnRange,
    all: bool,
    each: &mut dyn FnMut(TextRun),
) -> Result<(), Refused> {
    let mut heads = Few::new();
    let end = own.first_seq.saturating_add(own.dots);
    let mut next = own.first_seq;
    loop {
        if !all {
            next = next.saturating_add(reader.varint());
        }
        let head = reader.varint();
        let another = head & 1 == 1;
        let dots = if another || !all { reader.varint().saturating_add(1) } else { end.saturating_sub(next) };
        reader.ok()?;
        let bunch = next.checked_sub(head >> 2);
        let after = next.saturating_add(dots);
        let Some(bunch) = bunch.filter(|_| dots > 0 && after <= end) else {
            return Err(reader.invalid("characters that are not the delta's own, or in a bunch of no dot"));
        };
        heads.push(Head { first: Dot::new(own.replica, next), dots, bunch, place: 0, backward: head & 2 != 0 });
        next = after;
        if !another {
            break;
        }
    }
    let containers = read_containers(reader, table, &heads)?;
    let text = reader.remaining();
    read_characters(reader, &heads, &containers, text, &mut |run| each(run.own()))
}

/// Appends the runs of a diff that carries these bunches.
#[inline(never)]
pub(crate) fn write_in_diff(out: &mut Vec<u8>, table: &TableWriter, known: &[BunchRecord], runs: &[TextRun]) {
    varint::write_len(out, runs.len());
    if runs.is_empty() {
        return;
    }
    let mut before = (0, 1);
    let (mut bytes, mut near) = (0, 0);
    for run in runs {
        let (number, dots) = (table.number(run.first.replica), run.dots());
        let step = number.wrapping_sub(before.0);
        let gap = run.first.seq.wrapping_sub(if step == 0 { before.1 } else { 1 });
        let place = bunches::place_of(known, Dot::new(run.first.replica, run.bunch)).unwrap_or(known.len());
        near = latest(known, near, run.first);
        let back = near.wrapping_sub(place);
        let plain = back == 0 && !run.backward;
        varint::write(out, gap << 3 | u64::from(!plain) << 2 | u64::from(step != 0) << 1 | u64::from(dots > 1));
        if step != 0 {
            varint::write(out, step.wrapping_sub(1));
        }
        if dots > 1 {
            varint::write(out, dots.wrapping_sub(2));
        }
        if !plain {
            varint::write(out, (back as u64) << 1 | u64::from(run.backward));
        }
        before = (number, run.first.seq.wrapping_add(dots));
        bytes += run.text.len();
    }
    write_containers(out, table, runs);
    let mut text = Vec::with_capacity(bytes);
    for run in runs {
        put(&mut text, run.text.as_bytes());
    }
    put_sized(out, &text);
}

/// Reads what [`write_in_diff`] wrote, behind the entries of the same diff, which `intake` has.
#[inline(never)]
pub(crate) fn read_in_diff<'a>(
    reader: &mut Reader<'a>,
    table: &mut TableReader,
    scope: &Scope<'_>,
    known: &[BunchRecord],
    intake: &mut dyn Intake<'a>,
) -> Result<(), Refused> {
    let count = reader.count("number of runs of text", 2, u64::MAX);
    if count == 0 {
        return reader.ok();
    }
    let mut heads = Vec::with_capacity(count);
    let (mut number, mut next, mut near) = (0u64, 1u64, 0);
    // Many runs of one replica follow one another.
    let (mut replica, mut base, mut end) = (None, 0, 0);
    for _ in 0..count {
        let head = reader.varint();
        if head & 2 != 0 {
            (number, next) = (number.saturating_add(reader.varint()).saturating_add(1), 1);
            replica = None;
        }
        let replica = *replica.get_or_insert_with(|| {
            let replica = table.id(reader, number);
            (base, end) = scope.bounds(replica);
            replica
        });
        let first = Dot::new(replica, reader.seq_at_most_max(next.saturating_add(head >> 3)));
        let dots = if head & 1 == 1 { reader.varint().saturating_add(2) } else { 1 };
        next = first.seq.saturating_add(dots);
        let last = reader.seq_at_most_max(next - 1);
        let reference = if head & 4 != 0 { reader.varint() } else { 0 };
        if head & 4 != 0 && reference == 0 {
            return Err(reader.not_canonical("a bunch that need not be said"));
        }
        reader.ok()?;
        if first.seq <= base || last > end {
            return Err(reader.invalid("VALID-1: text that is not beyond the base, or that nobody wrote"));
        }
        if intake.has(first, Dot::new(replica, last)) {
            return Err(reader.invalid("DOT-1: a dot that is a character and something else"));
        }
        near = latest(known, near, first);
        let back = usize::try_from(reference >> 1).unwrap_or(usize::MAX);
        let place = near.checked_sub(back).unwrap_or(usize::MAX);
        let bunch = known.get(place).map(|bunch| bunch.id);
        let Some(bunch) = bunch.filter(|bunch| bunch.replica == replica && bunch.seq <= first.seq) else {
            return Err(reader.invalid("SEQ-3: text in a bunch that is not told"));
        };
        heads.push(Head { first, dots, bunch: bunch.seq, place, backward: reference & 1 == 1 });
    }
    let containers = read_containers(reader, table, &heads)?;
    for (container, _) in &containers {
        if let Container::Entity(entity) = container
            && !scope.covers(*entity)
        {
            return Err(reader.invalid("VALID-1: text in a container that nobody created"));
        }
    }
    let bytes = reader.length("length of text");
    read_characters(reader, &heads, &containers, bytes, &mut |run| intake.text(run))
}

/// The place of the last bunch that is not beyond a dot, in the order of all dots; of none before it the first. Dots ascend, so
/// it is not before that of the last dot, and mostly the next.
fn latest(known: &[BunchRecord], near: usize, dot: Dot) -> usize {
    let is_beyond = |bunch: &BunchRecord| match bunch.id.replica == dot.replica {
        true => bunch.id.seq > dot.seq,
        false => bunch.id.replica > dot.replica,
    };
    for few in near..near + 8 {
        if known.get(few).is_none_or(is_beyond) {
            return few.saturating_sub(1).max(near);
        }
    }
    let rest = known.get(near..).unwrap_or_default();
    near + rest.partition_point(|bunch| !is_beyond(bunch)).saturating_sub(1)
}

fn write_containers(out: &mut Vec<u8>, table: &TableWriter, runs: &[TextRun]) {
    if let [only] = runs {
        return containers::write_run(out, table, only.first, (&only.container).into(), None, 1);
    }
    // Whoever aims at the table of hashes would have to know all that is written.
    let seed = runs.iter().fold(1, |seed: u64, run| seed.rotate_left(7) ^ run.first.seq ^ run.bunch << 20);
    let mut writer = ContainerWriter::new();
    for run in runs {
        writer.push(out, table, run.first, (&run.container).into(), seed);
    }
    writer.finish(out, table);
}

/// What a run says of itself before its characters.
struct Head {
    first: Dot,
    dots: u64,
    bunch: u64,
    /// Of a diff, the place of the bunch among those it carries.
    place: usize,
    backward: bool,
}

impl Head {
    fn goes_on_in(&self, next: &Self) -> bool {
        next.first.replica == self.first.replica
            && next.first.seq == self.first.seq.saturating_add(self.dots)
            && (next.bunch, next.backward) == (self.bunch, self.backward)
    }
}

type Containers = Few<(Container, usize)>;

fn read_containers(reader: &mut Reader<'_>, table: &mut TableReader, heads: &[Head]) -> Result<Containers, Refused> {
    let mut containers = Few::new();
    let dots = |at: usize| heads.get(at).map(|head| (head.first.replica, head.first.seq, head.first.seq));
    containers::read(reader, table, &dots, heads.len(), &mut containers)?;
    reader.ok()?;
    Ok(containers)
}

/// Reads the characters of runs, which take the next `bytes`.
fn read_characters<'a>(
    reader: &mut Reader<'a>,
    heads: &[Head],
    containers: &Containers,
    bytes: usize,
    each: &mut dyn FnMut(IncomingText<'_, 'a>),
) -> Result<(), Refused> {
    let mut text = reader.str(bytes);
    reader.ok()?;
    // So many bytes to come are characters of one byte each, for all that is known.
    let mut plain = plain_bytes(text);
    let mut of_runs = containers.iter().enumerate();
    let (mut run, mut container, mut left) = (0, None, 0);
    let mut before: Option<(&Head, usize)> = None;
    for (at, head) in heads.iter().enumerate() {
        if left == 0
            && let Some((number, next)) = of_runs.next()
        {
            (run, container, left) = (number, Some(&next.0), next.1);
        }
        left = left.saturating_sub(1);
        let dots = usize::try_from(head.dots).unwrap_or(usize::MAX);
        let own = if dots <= plain { dots } else { bytes_of(text, dots) };
        let (Some(container), Some((own, rest))) = (container, text.split_at_checked(own)) else {
            return Err(reader.invalid("fewer characters than dots"));
        };
        plain = if dots <= plain { plain - dots } else { plain_bytes(rest) };
        text = rest;
        if head.backward && head.bunch == head.first.seq {
            return Err(reader.invalid("SEQ-1: the first dot of a bunch, backward"));
        }
        if head.bunch == 0 {
            return Err(reader.invalid("a bunch of no dot"));
        }
        // Older than the first run in it by construction; another one may be of another replica, or of dots before.
        if let Container::Entity(entity) = container
            && entity.replica == head.first.replica
            && entity.seq >= head.first.seq
        {
            return Err(reader.invalid("CAUSAL-2: text in a container that is not older than itself"));
        }
        // Runs of one container do not follow one another.
        if before.is_some_and(|before| before.0.goes_on_in(head) && before.1 == run) {
            return Err(reader.not_canonical("neighbouring runs of text"));
        }
        before = Some((head, run));
        each(IncomingText {
            run,
            container,
            first: head.first,
            dots: head.dots,
            bunch: head.bunch,
            place: head.place,
            backward: head.backward,
            text: own,
            left: heads.len() - at - 1,
        });
    }
    if !text.is_empty() {
        return Err(reader.invalid("more characters than dots"));
    }
    reader.ok()
}

/// How many bytes at the beginning are known to be ASCII, at a glance: no less than there are, but for the last few.
fn plain_bytes(text: &str) -> usize {
    let mut plain = 0;
    for block in text.as_bytes().as_chunks::<64>().0 {
        if !block.is_ascii() {
            break;
        }
        plain += block.len();
    }
    plain
}

/// The bytes of the first `chars` characters, of which there is one at least; too many if there are not so many characters.
fn bytes_of(text: &str, chars: usize) -> usize {
    // Most text is ASCII, which needs not be counted one by one.
    if text.as_bytes().get(..chars).is_some_and(<[u8]>::is_ascii) {
        return chars;
    }
    match text.char_indices().nth(chars) {
        Some((at, _)) => at,
        None if characters(text) == chars => text.len(),
        None => usize::MAX,
    }
}
