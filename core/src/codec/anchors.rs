//! Anchors: places between values, each with the whole chain of the bunch that it is next to; cursors and marks.
//!
//! The chains come first, since an anchor names its bunch by the place among them. Nothing else is among them: what nobody
//! hangs on would be another encoding of the same.
//!
//! Rules: BYTES-1, BYTES-2; SEQ-3 an anchor carries all that its bunch hangs on.

use alloc::vec;
use alloc::vec::Vec;

use super::limits::MAX_KEY_BYTES;
use super::reader::{Reader, Refused};
use super::writer::{put_byte, put_sized};
use super::{DecodeError, FORMAT_VERSION, bunches, positions, value, varint};
use crate::sequence::{Anchor, Bias, BunchRecord, Position};
use crate::string::Str;
use crate::value::Value;

const START: u64 = 0;
const END: u64 = 1;
/// Two for each bunch, by bias.
const FIRST: u64 = 2;

/// The bytes of one anchor with its chain, whose bunches ascend by id.
pub(crate) fn encode_cursor(anchor: Anchor, chain: &[BunchRecord]) -> Vec<u8> {
    let mut out = vec![FORMAT_VERSION];
    write(&mut out, &[anchor], chain);
    out
}

/// Reads what [`encode_cursor`] wrote.
///
/// # Errors
/// When the bytes are not the encoding of an anchor. Nothing is allocated beyond a constant factor of their length.
pub(crate) fn decode_cursor(bytes: &[u8]) -> Result<(Anchor, Vec<BunchRecord>), DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut anchors, mut chains) = ([Anchor::START], Vec::new());
    reader.format_version();
    let result = read(&mut reader, &mut anchors, &mut chains).and_then(|()| reader.finish());
    reader.outcome(result, (anchors[0], chains))
}

/// Appends anchors, and before them the bunches of all their chains, which ascend by id.
pub(super) fn write(out: &mut Vec<u8>, anchors: &[Anchor], chains: &[BunchRecord]) {
    positions::write(out, chains);
    for anchor in anchors {
        let right = u64::from(anchor.bias == Bias::Right);
        match bunches::place_of(chains, anchor.at.bunch) {
            Some(place) => {
                varint::write(out, FIRST + 2 * place as u64 + right);
                varint::write_signed(out, anchor.at.index);
            }
            None => put_byte(out, (START + right) as u8),
        }
    }
}

/// Reads as many anchors as there is room for, with their chains.
pub(super) fn read(
    reader: &mut Reader<'_>,
    anchors: &mut [Anchor],
    chains: &mut Vec<BunchRecord>,
) -> Result<(), Refused> {
    positions::read(reader, chains)?;
    let mut used = vec![false; chains.len()];
    for anchor in anchors {
        let head = reader.varint();
        *anchor = match head {
            START => Anchor::START,
            END => Anchor::END,
            _ => {
                let place = usize::try_from((head - FIRST) / 2).unwrap_or(usize::MAX);
                let bias = if head & 1 == 0 { Bias::Left } else { Bias::Right };
                let Some(bunch) = chains.get(place) else {
                    return Err(reader.invalid("an anchor in none of the bunches that came with it"));
                };
                let at = Position { bunch: bunch.id, index: reader.signed() };
                if bunches::dot_at(at).is_none() {
                    return Err(reader.invalid("a position that no dot can have"));
                }
                mark_chain(chains, at, &mut used);
                Anchor { at, bias }
            }
        };
    }
    if used.contains(&false) {
        return Err(reader.not_canonical("a bunch that no anchor hangs on"));
    }
    reader.ok()
}

/// Marks a bunch and those above it, up to the first that is marked.
fn mark_chain(chains: &[BunchRecord], at: Position, used: &mut [bool]) {
    let mut at = at;
    while let Some(place) = bunches::place_of(chains, at.bunch)
        && let (Some(record), Some(used @ false)) = (chains.get(place), used.get_mut(place))
    {
        *used = true;
        at = record.parent;
    }
}

/// What a mark of a text says, and where: the payload of its entry, which those who do not know the kind keep byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkParts {
    pub(crate) key: Str,
    /// Null where the key is taken off.
    pub(crate) value: Value,
    pub(crate) start: Anchor,
    pub(crate) end: Anchor,
    /// All bunches that the anchors hang on, ascending by id.
    pub(crate) chains: Vec<BunchRecord>,
}

/// The bytes of a mark.
pub(crate) fn encode_mark(mark: &MarkParts) -> Vec<u8> {
    let mut out = Vec::new();
    put_sized(&mut out, mark.key.as_bytes());
    value::write(&mut out, &mark.value);
    write(&mut out, &[mark.start, mark.end], &mark.chains);
    out
}

/// Reads what [`encode_mark`] wrote; nothing if somebody else wrote something else.
pub(crate) fn decode_mark(bytes: &[u8]) -> Option<MarkParts> {
    let mut reader = Reader::new(bytes);
    let len = reader.count("bytes of a key", 1, MAX_KEY_BYTES as u64);
    let key = Str::from(reader.str(len));
    let head = reader.byte();
    let value = reader.value(head);
    let (mut anchors, mut chains) = ([Anchor::START, Anchor::END], Vec::new());
    let result = read(&mut reader, &mut anchors, &mut chains).and_then(|()| reader.finish());
    let [start, end] = anchors;
    reader.outcome(result, MarkParts { key, value, start, end, chains }).ok()
}
