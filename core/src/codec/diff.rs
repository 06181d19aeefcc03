//! Diffs.
//!
//! The table of replicas is exactly the replicas that the base or the head covers, so how far each is covered is a column
//! beside it, and every dot of the diff can be checked against it.
//!
//! Rules: BYTES-2; DIFF-3 those who removed have new dots; DIFF-4 a full diff has an empty base and tells no removals, one of the
//! digest tier tells them without removers, within the base; VALID-1
//! every dot that is named is covered by the head or the base. That chains of bunches are whole, and that containers do not
//! contain each other, is for whoever applies the diff to find.

use alloc::vec::Vec;

use super::bunches::Hung;
use super::columns::{Scope, TableReader, TableWriter, ascends, read_set, read_stamps, write_set};
use super::entries::{Columns, EntryWriter, Rows};
use super::intake::{Intake, Listed};
use super::reader::{Reader, Refused};
use super::version::write_entry;
use super::writer::{put, put_byte};
use super::{DecodeError, FORMAT_VERSION, bunches, removals, text, varint};
use crate::clock::{Dot, DotRuns, Tag, VersionEntry, VersionVector};
use crate::diff::{Diff, Tier};
use crate::fault::{self, Fault};
use crate::sequence::BunchRecord;
use crate::store::Container;

const TIER_VERSION: u8 = 0;
const TIER_FULL: u8 = 1;
const TIER_DIGEST: u8 = 2;

/// The bytes of a diff. O(bytes · log n). The tags of its base are not written, since nobody looks at them.
pub fn encode_diff(diff: &Diff) -> Vec<u8> {
    let mut table = TableWriter::sorted();
    note(&mut table, diff);
    let mut out = Vec::with_capacity(64 + 24 * table.ids().len() + 16 * diff.adds.len());
    put_byte(&mut out, FORMAT_VERSION);
    let tier = match diff.tier {
        Tier::Version => TIER_VERSION,
        Tier::Digest => TIER_DIGEST,
        Tier::Full => TIER_FULL,
    };
    put_byte(&mut out, tier);
    table.write(&mut out);
    let contents = write_columns(&mut out, &table, diff, &diff.adds);
    put(&mut out, &contents);
    text::write_in_diff(&mut out, &table, &diff.bunches, &diff.text);
    match diff.tier {
        Tier::Version => removals::write_told(&mut out, &table, &diff.removes),
        Tier::Digest => write_set(&mut out, &table, &diff.dead),
        Tier::Full => debug_assert!(diff.removes.is_empty(), "DIFF-4: a full diff tells deaths by absence"),
    }
    out
}

/// Reads what [`encode_diff`] wrote. The tags of the base are zeros.
///
/// # Errors
/// When the bytes are not the encoding of a diff that keeps the rules. Nothing is allocated beyond a constant factor of
/// their length.
pub fn decode_diff(bytes: &[u8]) -> Result<Diff, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut diff = empty();
    let result = read(&mut reader, &mut diff);
    reader.outcome(result, diff)
}

/// A full diff without anything, to be filled in.
pub(super) fn empty() -> Diff {
    Diff {
        tier: Tier::Full,
        base: VersionVector::new(),
        ahead: VersionVector::new(),
        head: VersionVector::new(),
        heads: Vec::new(),
        adds: Vec::new(),
        text: Vec::new(),
        removes: Vec::new(),
        dead: DotRuns::new(),
        bunches: Vec::new(),
    }
}

fn read<'a>(reader: &mut Reader<'a>, diff: &mut Diff) -> Result<(), Refused> {
    reader.format_version();
    diff.tier = match reader.byte() {
        TIER_VERSION => Tier::Version,
        TIER_FULL => Tier::Full,
        TIER_DIGEST => Tier::Digest,
        code => return Err(reader.unknown("tier", code.into())),
    };
    let mut table = TableReader::default();
    table.read(reader, false)?;
    let mut intake = Listed::new();
    read_body(reader, &mut table, diff, &mut intake)?;
    (diff.adds, diff.text) = (intake.adds, intake.text);
    reader.finish()
}

/// Notes every replica that the diff names.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(super) fn note(table: &mut TableWriter, diff: &Diff) {
    for version in [&diff.base, &diff.ahead, &diff.head] {
        table.note_version(version);
    }
    for head in &diff.heads {
        table.note(head.replica);
    }
    bunches::note(table, &diff.bunches);
    text::note(table, &diff.text);
    removals::note_told(table, &diff.removes);
    table.note_set(&diff.dead);
}

/// Appends everything behind the tier and the table up to the contents of the entries, which it returns, with `adds` for
/// those of the diff. On the full tier nothing follows them but text.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(super) fn write_columns(out: &mut Vec<u8>, table: &TableWriter, diff: &Diff, adds: &dyn Rows) -> Vec<u8> {
    write_progress(out, table, diff);
    let scope = Scope::new(&diff.base, &diff.head);
    let heads = if fault::active(Fault::CodecForgetsHeads) { &[][..] } else { &diff.heads };
    varint::write_len(out, heads.len());
    let mut before = 0;
    for head in heads {
        let number = table.number(head.replica);
        let distance = scope.seq(head.replica).wrapping_sub(head.seq);
        varint::write(out, number.wrapping_sub(before) << 1 | u64::from(distance != 0));
        if distance != 0 {
            varint::write(out, distance);
        }
        before = number;
    }
    varint::write_len(out, diff.bunches.len());
    bunches::write(out, table, &diff.bunches);
    let mut rows = EntryWriter::new(adds.seed());
    adds.each(&mut |row| rows.push(table, None, row));
    varint::write_len(out, rows.count());
    rows.write_dots(out);
    rows.write_stamps(out);
    rows.write_columns(out, table)
}

/// Reads everything behind the tier and the table into a diff that has its tier and nothing else; its live entries go to `intake`.
#[cfg_attr(target_family = "wasm", inline(never))]
pub(super) fn read_body<'a>(
    reader: &mut Reader<'a>,
    table: &mut TableReader,
    diff: &mut Diff,
    intake: &mut dyn Intake<'a>,
) -> Result<(), Refused> {
    read_progress(reader, table, diff)?;
    let scope = Scope::new(&diff.base, &diff.head);
    read_heads(reader, table, &scope, &mut diff.heads)?;
    let hung = read_bunches(reader, table, &scope, &mut diff.bunches)?;
    read_adds(reader, table, diff, &hung, intake)?;
    let scope = Scope::new(&diff.base, &diff.head);
    text::read_in_diff(reader, table, &scope, &diff.bunches, intake)?;
    match diff.tier {
        Tier::Version => removals::read_told(reader, table, &scope, intake, &mut diff.removes),
        Tier::Digest => {
            read_set(reader, table, &mut diff.dead)?;
            for (replica, _, last) in diff.dead.runs() {
                if !diff.base.covers(Dot::new(replica, last)) {
                    return Err(
                        reader.invalid("DIFF-1: a dead dot beyond what the digest and its answer have in common")
                    );
                }
            }
            Ok(())
        }
        Tier::Full => Ok(()),
    }
}

/// For each replica of the table how far the base covers it (not on the full tier), how much further the head, and the tag
/// there if it does. On the digest tier the step is signed: a negative one says how much further the digest covers it.
fn write_progress(out: &mut Vec<u8>, table: &TableWriter, diff: &Diff) {
    for replica in table.ids() {
        let base = diff.base.seq(*replica);
        if diff.tier != Tier::Full {
            varint::write(out, base);
        }
        let ahead = diff.ahead.seq(*replica);
        if diff.tier == Tier::Digest && ahead > 0 {
            varint::write_signed(out, base.wrapping_sub(ahead) as i64);
        } else if diff.tier == Tier::Digest {
            let head = diff.head.get(*replica);
            varint::write_signed(out, head.map_or(0, |head| head.seq.wrapping_sub(base)) as i64);
            if let Some(head) = head {
                put(out, head.tag.as_bytes());
            }
        } else {
            write_entry(out, diff.head.get(*replica), base);
        }
    }
}

fn read_progress(reader: &mut Reader<'_>, table: &TableReader, diff: &mut Diff) -> Result<(), Refused> {
    let no_tag = Tag::from_bytes([0; 8]);
    for replica in table.ids() {
        let from = if diff.tier == Tier::Full { 0 } else { reader.varint() };
        let (mut step, mut ahead) = (0, 0);
        if diff.tier == Tier::Digest {
            match reader.signed() {
                further @ 0.. => step = further.unsigned_abs(),
                short => ahead = short.unsigned_abs(),
            }
        } else {
            step = reader.varint();
        }
        let seq = reader.seq_at_most_max(from.saturating_add(step).saturating_add(ahead));
        if seq == 0 {
            return Err(reader.not_canonical("a replica in the table that nothing covers"));
        }
        diff.base.set(*replica, VersionEntry { seq: from, tag: no_tag });
        if ahead > 0 {
            diff.ahead.set(*replica, VersionEntry { seq, tag: no_tag });
        }
        if step > 0 {
            diff.head.set(*replica, VersionEntry { seq, tag: reader.tag() });
        }
    }
    reader.ok()
}

/// Heads are named by the distance of their numbers, and by their distance from what is covered, which for almost all is 0.
fn read_heads(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    scope: &Scope<'_>,
    heads: &mut Vec<Dot>,
) -> Result<(), Refused> {
    let count = reader.count("number of heads", 1, u64::MAX);
    heads.reserve_exact(count);
    let mut number = 0u64;
    for _ in 0..count {
        let head = reader.varint();
        number = number.saturating_add(head >> 1);
        let replica = table.id(reader, number);
        let distance = if head & 1 == 1 { reader.varint() } else { 0 };
        if head & 1 == 1 && distance == 0 {
            return Err(reader.not_canonical("a distance of 0"));
        }
        let seq = scope.seq(replica).saturating_sub(distance);
        if seq == 0 {
            return Err(reader.invalid("a head before the first dot"));
        }
        let head = Dot::new(replica, seq);
        ascends(reader, heads.last(), head)?;
        heads.push(head);
    }
    Ok(())
}

fn read_bunches(
    reader: &mut Reader<'_>,
    table: &mut TableReader,
    scope: &Scope<'_>,
    bunches: &mut Vec<BunchRecord>,
) -> Result<Vec<Hung>, Refused> {
    let count = reader.count("number of bunches", 1, u64::MAX);
    let hung = bunches::read(reader, table, count, bunches)?;
    // Many of one replica follow one another.
    let mut last = None;
    let mut covers = |dot: Dot| {
        let seq = match last {
            Some((replica, seq)) if replica == dot.replica => seq,
            _ => scope.seq(dot.replica),
        };
        last = Some((dot.replica, seq));
        dot.seq <= seq
    };
    for bunch in bunches {
        let parent_written = bunch.parent == bunches::START || bunches::dot_at(bunch.parent).is_some_and(&mut covers);
        if !covers(bunch.id) || !parent_written {
            return Err(reader.invalid("VALID-1: a bunch of dots that nobody wrote"));
        }
    }
    Ok(hung)
}

fn read_adds<'a>(
    reader: &mut Reader<'a>,
    table: &mut TableReader,
    diff: &Diff,
    hung: &[Hung],
    intake: &mut dyn Intake<'a>,
) -> Result<(), Refused> {
    let scope = Scope::new(&diff.base, &diff.head);
    let count = reader.count("number of entries", 1, u64::MAX);
    let mut columns = Columns::new(count);
    columns.read_dots(reader, table)?;
    for (replica, first, last) in columns.dots.iter() {
        if !scope.is_new(Dot::new(*replica, *first)) || !scope.is_new(Dot::new(*replica, *last)) {
            return Err(reader.invalid("VALID-1: an entry that is not beyond the base, or that nobody wrote"));
        }
    }
    read_stamps(reader, count, &mut columns.stamps)?;
    columns.read_columns(reader, table)?;
    for container in columns.containers() {
        if let Container::Entity(entity) = container
            && !scope.covers(*entity)
        {
            return Err(reader.invalid("VALID-1: an entry in a container that nobody created"));
        }
    }
    intake.begin(reader, diff, hung, count);
    reader.ok()?;
    columns.read_contents(reader, None, intake)
}
