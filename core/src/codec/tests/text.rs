//! Text in deltas and diffs: what decodes, and what does not.

use super::invalid::{assert_says, at, bunch, dot, entry, root, valid, valid_diff};
use crate::clock::{Dot, DotRuns, Hlc};
use crate::codec::bunches::START;
use crate::codec::{self, DecodeError};
use crate::delta::DeltaParts;
use crate::diff::Diff;
use crate::store::{Container, Entry, Kind, Payload, TextRun};

fn run(first: Dot, bunch: u64, text: &str) -> TextRun {
    TextRun { first, container: root(), bunch, backward: false, text: text.into() }
}

/// Replica 1, dots 10 to 15: an entry, two characters, nothing, and two characters at the left end of an older bunch.
fn valid_text() -> DeltaParts {
    let backward = TextRun { backward: true, ..run(dot(1, 14), 7, "dé") };
    DeltaParts {
        dots: 6,
        adds: [(10, entry(root()))].into(),
        bunches: [bunch(dot(1, 11), START)].into(),
        text: [run(dot(1, 11), 11, "ab"), backward].into(),
        ..valid()
    }
}

#[track_caller]
fn text_refused(change: impl FnOnce(&mut DeltaParts)) -> DecodeError {
    let mut parts = valid_text();
    assert_eq!(codec::decode_delta(&codec::encode_delta(&parts)).as_ref(), Ok(&parts));
    change(&mut parts);
    codec::decode_delta(&codec::encode_delta(&parts)).expect_err("refused")
}

#[test]
fn bytes_2_runs_of_text_are_as_long_as_they_can_be() {
    let error = text_refused(|parts| parts.text[1] = run(dot(1, 13), 11, "c"));
    assert!(matches!(error, DecodeError::NotCanonical { .. }), "{error}");
    // Another direction, bunch or container is another run.
    let backward = TextRun { backward: true, ..run(dot(1, 13), 11, "c") };
    let elsewhere = TextRun { container: Container::Entity(dot(1, 10)), ..run(dot(1, 13), 11, "c") };
    for other in [backward, elsewhere, run(dot(1, 13), 12, "c")] {
        let mut parts = valid_text();
        parts.bunches.push(bunch(dot(1, 12), START));
        parts.text[1] = other;
        assert_eq!(codec::decode_delta(&codec::encode_delta(&parts)).as_ref(), Ok(&parts));
    }
}

#[test]
fn dot_1_text_has_dots_of_its_own() {
    assert_says(&text_refused(|parts| parts.adds.push((12, entry(root())))), "DOT-1");
    text_refused(|parts| parts.text[1].first.seq = 12);
    text_refused(|parts| parts.text[1].text = "def".into());
    text_refused(|parts| parts.text[0].first.seq = 9);
    text_refused(|parts| parts.text[0].text = "".into());
    let character = Entry { kind: Kind::CHARACTER, payload: Payload::Opaque([].into()), ..entry(root()) };
    assert_says(&text_refused(|parts| parts.adds[0].1 = character), "DOT-1");
}

#[test]
fn seq_1_and_seq_5_text_is_in_a_bunch_that_can_be() {
    text_refused(|parts| parts.text[1].bunch = 0);
    text_refused(|parts| parts.text[1].bunch = 15);
    assert_says(&text_refused(|parts| parts.text[1].bunch = 14), "SEQ-1");
    assert_says(&text_refused(|parts| parts.text[1].bunch = 13), "SEQ-5");
    assert_says(&text_refused(|parts| parts.bunches.clear()), "SEQ-5");
}

#[test]
fn causal_2_text_is_in_what_is_older_and_not_removed() {
    text_refused(|parts| parts.text[0].container = Container::Entity(dot(1, 11)));
    let error = text_refused(|parts| {
        parts.text[0].container = Container::Entity(dot(2, 3));
        parts.text[1].container = Container::Entity(dot(2, 3));
        parts.removes.insert(dot(2, 3));
    });
    assert_says(&error, "CAUSAL-2");
}

#[test]
fn bytes_1_characters_and_dots_are_as_many() {
    let bytes = codec::encode_delta(&valid_text());
    for end in [&[][..], b"x", "é".as_bytes(), &[0xff]] {
        let cut = if end.is_empty() { 2 } else { 0 };
        let mut other = bytes[..bytes.len() - cut].to_vec();
        other.extend_from_slice(end);
        assert!(codec::decode_delta(&other).is_err());
    }
    // Characters are cut between, never within.
    let mut other = bytes.clone();
    other.truncate(bytes.len() - 1);
    assert!(codec::decode_delta(&other).is_err());
}

#[test]
fn bytes_2_a_delta_of_characters_alone_says_so() {
    let mut parts = valid_text();
    parts.adds.clear();
    parts.hlc = Hlc(0);
    (parts.first_seq, parts.dots) = (11, 5);
    parts.deps = [dot(1, 10)].into();
    parts.text[1].first.seq = 13;
    parts.text[1].text = "déf".into();
    let bytes = codec::encode_delta(&parts);
    assert_eq!(codec::decode_delta(&bytes).as_ref(), Ok(&parts));
    // The same with its dots listed: flags, first dot, dots, and then how it removes.
    let header = 2 + 16;
    assert_eq!(bytes[header..header + 3], [0b0101_0101, 11, 3]);
    let mut other = bytes[..header + 3].to_vec();
    other[header] = 0b1110_0101;
    other.push(0);
    // One bunch at the first dot, on START.
    other.extend(&bytes[header + 3..header + 6]);
    // Both runs: gap, head, length. Then their containers, and the characters.
    other.extend([0, 1, 1, 0, 6 << 2 | 2, 2]);
    let rest = bytes.len() - "abdéf".len();
    let containers = rest - 4;
    other.extend(&bytes[containers..]);
    let error = codec::decode_delta(&other).expect_err("refused");
    assert_says(&error, "nothing but characters");
}

#[test]
fn text_of_a_diff_is_new_alone_and_where_a_bunch_is() {
    let mut diff = valid_diff();
    diff.bunches = [bunch(dot(1, 2), START), bunch(dot(1, 8), START), bunch(dot(2, 3), at(dot(1, 2), 1))].into();
    diff.text = [run(dot(1, 8), 2, "t")].into();
    let read = |diff: &Diff| codec::decode_diff(&codec::encode_diff(diff));
    assert_eq!(read(&diff).as_ref(), Ok(&diff));
    let refused = |change: &dyn Fn(&mut TextRun)| {
        let mut diff = diff.clone();
        change(&mut diff.text[0]);
        read(&diff).expect_err("refused")
    };
    assert_says(&refused(&|run| run.text = "to".into()), "VALID-1");
    assert_says(&refused(&|run| run.first.seq = 5), "VALID-1");
    assert_says(&refused(&|run| run.first.seq = 7), "DOT-1");
    assert_says(&refused(&|run| run.container = Container::Entity(dot(2, 6))), "VALID-1");
    assert_says(&refused(&|run| run.bunch = 3), "SEQ-3");
    assert_says(&refused(&|run| (run.bunch, run.backward) = (8, true)), "SEQ-1");
    let mut removed = diff.clone();
    removed.adds.clear();
    removed.text[0].first.seq = 6;
    removed.removes = [(dot(1, 8).replica, DotRuns::from_iter([dot(1, 6)]))].into();
    assert_says(&read(&removed).expect_err("refused"), "both live and removed");
}
