//! Cursors stay where they are.

use weftline::testing::Random;
use weftline::{Bias, Cursor, Document, ReplicaId, Timestamp};

use crate::group::Group;

fn typed(text: &str) -> Document {
    let mut document = Document::with_writer(ReplicaId::from(1));
    let typed = document.transact(Timestamp(1), |tx| tx.text("t")?.push(text)).expect("it fits");
    assert!(typed.delta.is_some());
    document
}

fn edit(document: &mut Document, range: core::ops::Range<usize>, text: &str) {
    let edited = document.transact(Timestamp(2), |tx| tx.text("t")?.replace(range, text)).expect("in range");
    assert!(edited.delta.is_some());
}

#[test]
fn a_cursor_keeps_to_its_neighbour() {
    let mut document = typed("abcd");
    let [left, right] = [Bias::Left, Bias::Right].map(|bias| document.text("t").cursor(2, bias).unwrap());
    edit(&mut document, 2..2, "xyz");
    assert_eq!(document.text("t").index_of(&left), Some(2), "abxyzcd");
    assert_eq!(document.text("t").index_of(&right), Some(5));
    edit(&mut document, 0..1, "");
    assert_eq!(document.text("t").index_of(&left), Some(1));
    assert_eq!(document.text("t").index_of(&right), Some(4));
    // What they keep to goes: they stay where it was.
    edit(&mut document, 0..1, "");
    edit(&mut document, 3..4, "");
    assert_eq!(document.text("t"), "xyzd");
    assert_eq!(document.text("t").index_of(&left), Some(0));
    assert_eq!(document.text("t").index_of(&right), Some(3));
}

#[test]
fn at_the_ends_a_cursor_keeps_to_the_end_or_goes_with_the_text() {
    let mut document = typed("ab");
    let at = |index, bias| document.text("t").cursor(index, bias).unwrap();
    let cursors = [at(0, Bias::Left), at(0, Bias::Right), at(2, Bias::Left), at(2, Bias::Right)];
    assert_eq!(document.text("t").cursor(3, Bias::Left), None);
    assert_eq!(document.text("t").cursor(3, Bias::Right), None);
    edit(&mut document, 0..0, "<");
    edit(&mut document, 3..3, ">");
    let indexes = |document: &Document| cursors.clone().map(|cursor| document.text("t").index_of(&cursor).unwrap());
    assert_eq!(indexes(&document), [0, 1, 3, 4], "<ab>");
    edit(&mut document, 0..4, "");
    assert_eq!(indexes(&document), [0; 4]);
    // An empty text has two places.
    let empty = Document::new();
    assert_eq!(empty.text("t").cursor(1, Bias::Left), None);
    for (bias, index) in [(Bias::Left, 0), (Bias::Right, 2)] {
        let cursor = empty.text("t").cursor(0, bias).unwrap();
        assert_eq!(empty.text("t").index_of(&cursor), Some(0));
        assert_eq!(typed("ab").text("t").index_of(&cursor), Some(index));
    }
}

#[test]
fn a_cursor_at_what_has_not_come_yet_has_no_index() {
    let mut author = typed("ab");
    let mut reader = Document::new();
    let cursor = author.text("t").cursor(1, Bias::Left).unwrap();
    assert_eq!(reader.text("t").index_of(&cursor), None);
    // Also where what it keeps to was deleted before it came.
    edit(&mut author, 0..2, "cd");
    assert_eq!(reader.text("t").index_of(&cursor), None);
    reader.apply_diff(&author.diff_since(&reader.version())).unwrap();
    assert_eq!(reader.text("t"), "cd");
    assert_eq!(reader.text("t").index_of(&cursor), author.text("t").index_of(&cursor));
    assert!(reader.text("t").index_of(&cursor).is_some());
}

/// A cursor, and what was before and behind it when it was made.
struct Placed {
    cursor: Cursor,
    left: Option<char>,
    right: Option<char>,
}

#[test]
fn seq_4_a_cursor_is_between_its_neighbours_and_equal_everywhere_whatever_was_dropped() {
    let (mut resolved, mut dead, mut bytes) = (0, 0, 0);
    for seed in 0..60 {
        let mut group = Group::new(seed, 3);
        let mut placed: Vec<Placed> = Vec::new();
        for step in 0..120 {
            group.step();
            if seed % 2 == 0 {
                group.forget();
            }
            if step % 4 == 0 {
                let at = group.pick();
                let index = group.random.below(group.text(at).len() + 1);
                let bias = if group.random.one_in(2) { Bias::Left } else { Bias::Right };
                let all: Vec<char> = group.text(at).chars().collect();
                let cursor = group.text(at).cursor(index, bias).unwrap();
                assert_eq!(group.text(at).index_of(&cursor), Some(index));
                let read = Cursor::from_bytes(&cursor.to_bytes()).expect("what was written is read");
                assert_eq!(read, cursor);
                bytes += cursor.to_bytes().len();
                let left = index.checked_sub(1).map(|index| all[index]);
                placed.push(Placed { cursor: read, left, right: all.get(index).copied() });
            }
            for at in 0..group.documents.len() {
                let all: Vec<char> = group.text(at).chars().collect();
                for Placed { cursor, left, right } in &placed {
                    let Some(index) = group.text(at).index_of(cursor) else { continue };
                    let find = |c: Option<char>| c.and_then(|c| all.iter().position(|other| *other == c));
                    assert!(find(*left).is_none_or(|left| left < index), "seed {seed}, step {step}");
                    assert!(find(*right).is_none_or(|right| right >= index), "seed {seed}, step {step}");
                    // What it keeps to is right beside it, as long as that lives.
                    match cursor.bias() {
                        Bias::Left => assert!(find(*left).is_none_or(|left| left + 1 == index)),
                        Bias::Right => assert!(find(*right).is_none_or(|right| right == index)),
                    }
                    resolved += 1;
                }
            }
        }
        group.settle();
        group.forget();
        let saved = Document::load(&group.documents[0].snapshot()).expect("what was saved loads");
        let chars: Vec<char> = group.text(0).chars().collect();
        for Placed { cursor, left, right } in &placed {
            let index = saved.text("t").index_of(cursor);
            assert!(index.is_some(), "everything has come");
            for at in 0..group.documents.len() {
                assert_eq!(group.text(at).index_of(cursor), index, "seed {seed}");
            }
            let kept = if cursor.bias() == Bias::Left { left } else { right };
            dead += usize::from(kept.is_some_and(|kept| !chars.contains(&kept)));
        }
    }
    assert!(resolved > 10_000 && dead > 100, "{resolved} looked up, {dead} of them beside what is gone");
    assert!(bytes < 60 * 30 * 120, "{bytes} bytes");
}

#[test]
fn bytes_1_no_bytes_are_a_cursor_that_breaks_anything() {
    let mut group = Group::new(5, 3);
    let mut cursors = Vec::new();
    for _ in 0..150 {
        group.step();
        let at = group.pick();
        let index = group.random.below(group.text(at).len() + 1);
        cursors.push(group.text(at).cursor(index, Bias::Right).unwrap().to_bytes());
    }
    let mut random = Random::seeded(1);
    let mut read = 0;
    for _ in 0..40_000 {
        let mut bytes = random.pick(&cursors).clone();
        match random.below(4) {
            0 => bytes.truncate(random.below(bytes.len())),
            1 => bytes.push(random.next_u64() as u8),
            _ => {
                let at = random.below(bytes.len());
                bytes[at] = random.next_u64() as u8;
            }
        }
        let Ok(cursor) = Cursor::from_bytes(&bytes) else { continue };
        assert_eq!(cursor.to_bytes(), bytes, "BYTES-2");
        read += 1;
        for at in 0..group.documents.len() {
            let text = group.text(at);
            assert!(text.index_of(&cursor).is_none_or(|index| index <= text.len()));
        }
    }
    assert!(read > 100, "{read} were read all the same");
}
