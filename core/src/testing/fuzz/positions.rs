//! Messages that hold positions, as anybody may have written them: deltas, diffs, chains at rest, cursors, marks.
//!
//! The first byte says which of them the rest is. What decodes must encode to the same bytes, and a small document that takes it in,
//! or refuses it, must go on as before: it can be saved, loaded, compared, read and edited.
//!
//! Rules: BYTES-1, BYTES-2, SEQ-3, SEQ-5.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::{Random, dump};
use crate::sequence::BunchRecord;
use crate::{
    Bias, Commit, Cursor, Delta, DeltaParts, Diff, Document, EditError, Expand, ReplicaId, Tag, Timestamp, Transaction,
    VersionVector, codec,
};

const DELTA: u8 = 0;
const DIFF: u8 = 1;
const CHAINS: u8 = 2;
const CURSOR: u8 = 3;
const MARK: u8 = 4;
const SORTS: u8 = 5;

/// What bytes may be.
enum Message {
    Delta(DeltaParts),
    Diff(Diff),
    Chains(Vec<BunchRecord>),
    Cursor(Cursor),
    Mark(codec::MarkParts),
}

/// Reads a message, and does nothing with it: what takes memory by the word of others. Says whether there was one.
pub fn decode(bytes: &[u8]) -> bool {
    read(bytes).is_some()
}

/// Reads a message, writes it, and has a document take it in.
///
/// # Panics
/// When a rule is broken.
pub fn positions(bytes: &[u8]) {
    let Some(message) = read(bytes) else { return };
    let again = match &message {
        Message::Delta(parts) => codec::encode_delta(parts),
        Message::Diff(diff) => codec::encode_diff(diff),
        Message::Chains(chains) => codec::encode_positions(chains),
        Message::Cursor(cursor) => cursor.to_bytes(),
        Message::Mark(mark) => codec::encode_mark(mark),
    };
    let bytes = &bytes[1..];
    assert_eq!(again, bytes, "BYTES-2: what was read is written as it was");

    let mut document = small().document;
    match &message {
        Message::Delta(parts) => take_delta(&mut document, parts.replica, bytes),
        Message::Diff(diff) => {
            let (before, version) = (document.beacon(), document.version());
            let result = document.apply_diff(diff);
            assert!(result.is_ok() || (document.beacon(), document.version()) == (before, version), "all or nothing");
        }
        Message::Chains(chains) => {
            for delta in small().later {
                let result = document.check_upon(&delta, chains);
                drop(result.map(|_| document.apply(&delta)));
            }
        }
        Message::Cursor(cursor) => {
            let text = document.text("t");
            assert!(text.index_of(cursor).is_none_or(|index| index <= text.len()));
        }
        // Whatever anybody wrote into a mark is passed on in deltas and diffs; here only its form is looked at.
        Message::Mark(_) => return,
    }
    goes_on(document);
}

/// Byte strings to begin with: what replicas that edit a text and a list tell one another, and some that say more than that.
pub fn valid_positions() -> Vec<Vec<u8>> {
    let small = small();
    let sort = |sort: u8, bytes: &[u8]| [&[sort], bytes].concat();
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut chains: Vec<BunchRecord> = Vec::new();
    for delta in small.earlier.iter().chain(&small.later) {
        all.push(sort(DELTA, delta.bytes()));
        chains.extend(&delta.parts().bunches);
        for (_, entry) in &delta.parts().adds {
            if let crate::Payload::Opaque(mark) = &entry.payload {
                all.push(sort(MARK, mark));
            }
        }
    }
    chains.sort_by_key(|bunch| bunch.id);
    all.push(sort(CHAINS, &codec::encode_positions(&chains)));
    let mut later = small.document.clone();
    for delta in &small.later {
        later.apply(delta).expect("it is honest");
    }
    let at_start = Document::new().digest();
    for diff in [
        later.diff_since(&VersionVector::new()),
        later.diff_since(&small.document.version()),
        later.diff_for(&small.document.digest()),
        later.diff_for(&at_start),
    ] {
        all.push(sort(DIFF, &codec::encode_diff(&diff)));
    }
    let text = later.text("t");
    for index in [0, 3, text.len() / 2, text.len()] {
        for bias in [Bias::Left, Bias::Right] {
            let cursor = text.cursor(index, bias).expect("it is within the text");
            all.push(sort(CURSOR, &cursor.to_bytes()));
        }
    }
    all.sort();
    all.dedup();
    all
}

fn read(bytes: &[u8]) -> Option<Message> {
    let (sort, bytes) = bytes.split_first()?;
    match sort % SORTS {
        DELTA => codec::decode_delta(bytes).ok().map(Message::Delta),
        DIFF => codec::decode_diff(bytes).ok().map(Message::Diff),
        CHAINS => codec::decode_positions(bytes).ok().map(Message::Chains),
        CURSOR => Cursor::from_bytes(bytes).ok().map(Message::Cursor),
        _ => codec::decode_mark(bytes).map(Message::Mark),
    }
}

/// Applies a delta where its writer's chain stands.
fn take_delta(document: &mut Document, writer: ReplicaId, bytes: &[u8]) {
    let prev_tag = document.version().get(writer).map_or(Tag::start(writer), |entry| entry.tag);
    let delta = Delta::decode(bytes, prev_tag).expect("BYTES-2: it was read before");
    let before = (document.beacon(), document.version());
    let readiness = document.check(&delta);
    let result = document.apply(&delta);
    assert_eq!(readiness.is_ok(), result.is_ok(), "what is checked is applied: {readiness:?}, {result:?}");
    assert!(result.is_ok() || (document.beacon(), document.version()) == before, "all or nothing");
}

/// A document that took something in can still do everything.
fn goes_on(mut document: Document) {
    let loaded = Document::load(&document.snapshot()).expect("what was saved loads");
    assert_eq!(loaded.beacon(), document.beacon());
    assert_eq!(dump(&loaded), dump(&document));
    let mut told = Document::new();
    told.apply_diff(&document.diff_since(&VersionVector::new())).expect("what a document tells applies");
    assert_eq!((told.beacon(), dump(&told)), (document.beacon(), dump(&document)));

    let text = document.text("t");
    let len = text.len();
    let chars: String = text.chars().collect();
    assert_eq!((chars.chars().count(), chars.encode_utf16().count()), (len, text.len_utf16()));
    for index in [0, len / 2, len] {
        let cursor = text.cursor(index, Bias::Right).expect("it is within the text");
        assert_eq!(text.index_of(&cursor), Some(index), "SEQ-4: it is where it was put");
    }
    // Replicas whose numbers or clock others used up may edit no more; then nothing happens.
    document.set_writer(Some(ReplicaId::from(77))).expect("no transaction is open");
    let edited = edit(&mut document, |tx| {
        tx.text("t")?.insert(len / 2, "xy")?;
        tx.text("t")?.delete(..len / 2)?;
        tx.list("l")?.push("z")
    });
    if let Some(delta) = edited {
        assert_eq!(document.text("t").len(), len + 2 - len / 2);
        told.apply(&delta).expect("what a document did applies where all else is known");
        assert_eq!((told.beacon(), dump(&told)), (document.beacon(), dump(&document)));
    }
}

/// What the messages meet.
struct Small {
    document: Document,
    /// What it has applied.
    earlier: Vec<Delta>,
    /// What is to come.
    later: Vec<Delta>,
}

/// Two replicas that wrote a text and a list, partly at once; and what they and a third did then.
fn small() -> Small {
    let mut documents = [1u128, 2, 3].map(|id| Document::with_writer(ReplicaId::from(id)));
    let mut random = Random::seeded(1);
    let mut rounds: [Vec<Delta>; 3] = Default::default();
    for deltas in &mut rounds {
        for document in &mut documents {
            deltas.extend(edit(document, |tx| scribble(tx, &mut random)));
            deltas.extend(edit(document, |tx| scribble(tx, &mut random)));
        }
        for document in &mut documents {
            for delta in deltas.iter() {
                document.apply(delta).expect("it is honest");
            }
        }
    }
    let [first, second, later] = rounds;
    let earlier = [first, second].concat();
    let mut document = Document::new();
    for delta in &earlier {
        document.apply(delta).expect("it is honest");
    }
    Small { document, earlier, later }
}

fn scribble(tx: &mut Transaction<'_>, random: &mut Random) -> Result<(), EditError> {
    let mut text = tx.text("t")?;
    let len = text.read().len();
    let words = *random.pick(&["ab", "é", "🦀\n", "some words"]);
    text.insert(random.below(len + 1), words)?;
    let at = random.below(len + 1);
    text.delete(at..(at + 2).min(len))?;
    text.insert(at.min(text.read().len()), "y")?;
    let len = text.read().len();
    let at = random.below(len);
    text.mark(at..len, "bold", true, Expand::After)?;
    let mut list = tx.list("l")?;
    let len = list.read().len();
    let id = list.insert(random.below(len + 1), random.next_u64() as i64)?;
    list.move_to(id, random.below(len + 1))?;
    if len > 4 { list.remove_at(random.below(len)) } else { Ok(()) }
}

fn edit<T>(document: &mut Document, body: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError>) -> Option<Delta> {
    let commit: Result<Commit<T>, EditError> = document.transact(Timestamp(1), body);
    commit.ok().and_then(|commit| commit.delta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_message_is_among_the_first_and_is_read() {
        let all = valid_positions();
        for sort in 0..SORTS {
            assert!(all.iter().any(|bytes| bytes[0] == sort), "none of sort {sort}");
        }
        for bytes in all {
            assert!(decode(&bytes), "{bytes:?}");
            positions(&bytes);
        }
        assert!(!decode(&[]) && !decode(&[DELTA]));
    }
}
