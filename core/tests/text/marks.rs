//! Rich text: what is marked, by whom, and what two replicas make of it. The first half tells the examples of the paper.

use weftline::{
    ChangeKind, Document, EditError, Expand, Kind, ReplicaId, TextMut, TextRef, Timestamp, UndoLimits, Value,
};

use crate::group::{Group, marked};

/// Two replicas that show one text.
fn pair(text: &str) -> [Document; 2] {
    let mut documents = [1, 2].map(|id| Document::with_writer(ReplicaId::from(id)));
    edit(&mut documents[0], 1, |t| t.push(text));
    sync(&mut documents);
    documents
}

fn edit(document: &mut Document, now: u64, edit: impl FnOnce(&mut TextMut<'_, '_>) -> Result<(), EditError>) {
    let commit = document.transact(Timestamp(now), |tx| edit(&mut tx.text("t")?)).expect("nothing forbids it");
    assert!(commit.delta.is_some());
}

/// Both get what the other did.
fn sync(documents: &mut [Document; 2]) {
    let [a, b] = documents;
    let (to_a, to_b) = (b.diff_since(&a.version()), a.diff_since(&b.version()));
    a.apply_diff(&to_a).expect("a diff for this version applies");
    b.apply_diff(&to_b).expect("a diff for this version applies");
    assert_eq!(a.beacon(), b.beacon());
    assert_eq!(read(a.text("t")), read(b.text("t")));
}

/// A text with its marks in brackets: `[bold,colour=red|text]`.
fn read(text: TextRef<'_>) -> String {
    let mut read = String::new();
    for span in text.spans() {
        let mut keys = Vec::new();
        for (key, value) in &span.marks {
            let value =
                if *value == Value::Bool(true) { String::new() } else { format!("={}", value.as_str().unwrap()) };
            keys.push(format!("{key}{value}"));
        }
        read += &if keys.is_empty() { span.text } else { format!("[{}|{}]", keys.join(","), span.text) };
    }
    read
}

fn bold(document: &mut Document, range: core::ops::Range<usize>) {
    edit(document, 2, |t| t.mark(range, "bold", true, Expand::After));
}

/// How many live entries it has.
fn entries(document: &Document) -> usize {
    document.diff_since(&weftline::VersionVector::new()).adds.len()
}

#[test]
fn example_1_what_is_typed_into_a_range_that_is_marked_at_that_moment_is_marked() {
    let mut both = pair("The fox jumped.");
    bold(&mut both[0], 0..15);
    edit(&mut both[1], 2, |t| t.insert(4, "brown "));
    sync(&mut both);
    assert_eq!(read(both[0].text("t")), "[bold|The brown fox jumped.]");
}

#[test]
fn example_2_of_two_ranges_that_overlap_all_is_bold() {
    let mut both = pair("The fox jumped.");
    bold(&mut both[0], 0..7);
    bold(&mut both[1], 4..14);
    sync(&mut both);
    assert_eq!(read(both[0].text("t")), "[bold|The fox jumped].");
}

#[test]
fn example_3_different_keys_are_beside_each_other() {
    let mut both = pair("The fox jumped.");
    bold(&mut both[0], 0..7);
    edit(&mut both[1], 2, |t| t.mark(4..14, "italic", true, Expand::After));
    sync(&mut both);
    assert_eq!(read(both[0].text("t")), "[bold|The ][bold,italic|fox][italic| jumped].");
}

#[test]
fn example_4_where_two_colours_overlap_the_later_one_is_seen() {
    for (now, seen) in
        [(1, "[colour=green|The fox][colour=red| jumped]."), (9, "[colour=green|The ][colour=red|fox jumped].")]
    {
        let mut both = pair("The fox jumped.");
        edit(&mut both[0], 5, |t| t.mark(0..7, "colour", "green", Expand::After));
        edit(&mut both[1], now, |t| t.mark(4..14, "colour", "red", Expand::After));
        sync(&mut both);
        assert_eq!(read(both[0].text("t")), seen);
    }
}

#[test]
fn example_5_bold_and_not_bold_of_the_same_characters_is_the_later_of_the_two() {
    for (now, seen) in [(3, "[bold|The] [bold|fox jumped]."), (9, "[bold|The] fox [bold|jumped].")] {
        let mut both = pair("The fox jumped.");
        bold(&mut both[0], 0..7);
        sync(&mut both);
        edit(&mut both[0], 5, |t| t.mark(4..14, "bold", true, Expand::After));
        edit(&mut both[1], now, |t| t.unmark(3..8, "bold"));
        sync(&mut both);
        assert_eq!(read(both[0].text("t")), seen);
    }
}

#[test]
fn example_6_comments_have_keys_of_their_own() {
    let mut both = pair("The fox jumped.");
    edit(&mut both[0], 2, |t| t.mark(0..7, "comment:1", "nice", Expand::None));
    edit(&mut both[1], 2, |t| t.mark(4..14, "comment:2", "really?", Expand::None));
    sync(&mut both);
    let seen = "[comment:1=nice|The ][comment:1=nice,comment:2=really?|fox][comment:2=really?| jumped].";
    assert_eq!(read(both[0].text("t")), seen);
}

#[test]
fn example_7_bold_grows_behind_and_not_before() {
    let mut both = pair("The fox jumped.");
    bold(&mut both[0], 4..7);
    edit(&mut both[1], 2, |t| {
        t.insert(7, "es")?;
        t.insert(4, "quick ")
    });
    sync(&mut both);
    assert_eq!(read(both[0].text("t")), "The quick [bold|foxes] jumped.");
}

#[test]
fn example_8_a_link_does_not_grow() {
    let mut both = pair("The fox jumped.");
    edit(&mut both[0], 2, |t| t.mark(4..7, "link", "fox.example", Expand::None));
    edit(&mut both[1], 2, |t| {
        t.insert(7, "es")?;
        t.insert(4, "quick ")
    });
    sync(&mut both);
    assert_eq!(read(both[0].text("t")), "The quick [link=fox.example|fox]es jumped.");
    // Also when it was there before, and with the text at its end deleted.
    edit(&mut both[0], 3, |t| t.delete(9..12));
    edit(&mut both[1], 3, |t| t.insert(13, "!"));
    sync(&mut both);
    assert_eq!(read(both[0].text("t")), "The quick[link=fox.example|x]!es jumped.");
}

#[test]
fn a_mark_expands_as_it_says_at_both_ends_of_the_text_too() {
    let expected = [
        (Expand::None, "<[k|ab]>"),
        (Expand::Before, "[k|<ab]>"),
        (Expand::After, "<[k|ab>]"),
        (Expand::Both, "[k|<ab>]"),
    ];
    for (expand, seen) in expected {
        for around in ["", "--"] {
            let mut both = pair(&format!("{around}ab{around}"));
            let from = around.len();
            edit(&mut both[0], 2, |t| t.mark(from..from + 2, "k", true, expand));
            edit(&mut both[1], 2, |t| {
                t.insert(from + 2, ">")?;
                t.insert(from, "<")
            });
            sync(&mut both);
            assert_eq!(read(both[0].text("t")), format!("{around}{seen}{around}"), "{expand:?}");
        }
    }
}

#[test]
fn mark_2_the_state_is_as_large_as_what_is_shown() {
    let [mut document, _] = pair("The fox jumped.");
    for now in 2..50 {
        let expand = if now % 3 == 0 { Expand::None } else { Expand::After };
        edit(&mut document, now, |t| t.mark(4..7, "bold", true, expand));
    }
    assert!(entries(&document) <= 2, "one of each sort");
    edit(&mut document, 50, |t| t.mark(0..9, "bold", true, Expand::After));
    assert_eq!(entries(&document), 1);
    // Taken off wholly, nothing is left; in part, what says so.
    edit(&mut document, 51, |t| t.unmark(.., "bold"));
    assert_eq!(entries(&document), 0);
    bold(&mut document, 0..15);
    edit(&mut document, 52, |t| t.unmark(4..7, "bold"));
    assert_eq!((entries(&document), read(document.text("t")).as_str()), (2, "[bold|The ]fox[bold| jumped.]"));
    edit(&mut document, 53, |t| t.insert(7, "es"));
    assert_eq!(read(document.text("t")), "[bold|The ]foxes[bold| jumped.]", "what cuts grows like what is cut");
    // What covers nothing any more goes.
    edit(&mut document, 54, |t| t.delete(3..9));
    assert_eq!((entries(&document), read(document.text("t")).as_str()), (1, "[bold|The jumped.]"));
    edit(&mut document, 55, |t| t.clear());
    assert_eq!(entries(&document), 0);
    // One by one as well.
    edit(&mut document, 56, |t| t.push("ab"));
    bold(&mut document, 0..2);
    edit(&mut document, 57, |t| t.delete(0..1));
    edit(&mut document, 58, |t| t.delete(0..1));
    assert_eq!(entries(&document), 0);
}

#[test]
fn marks_and_their_limits() {
    let [mut document, _] = pair("abc");
    let beacon = document.beacon();
    let mut refused = |edit: &dyn Fn(&mut TextMut<'_, '_>) -> Result<(), EditError>| {
        document.transact(Timestamp(2), |tx| edit(&mut tx.text("t")?)).unwrap_err()
    };
    let long = "k".repeat(1025);
    assert_eq!(refused(&|t| t.mark(0..4, "k", 1, Expand::None)), EditError::OutOfRange { index: 4, len: 3 });
    assert_eq!(refused(&|t| t.mark(.., &long, 1, Expand::None)), EditError::KeyTooLong { len: 1025, limit: 1024 });
    assert!(matches!(
        refused(&|t| t.mark(.., "k", long.as_str(), Expand::None)),
        EditError::TooLarge { limit: 1024, .. }
    ));
    for nothing in [1, 2] {
        let commit = document.transact(Timestamp(3), |tx| {
            let mut text = tx.text("t")?;
            text.unmark(.., "k")?;
            text.mark(nothing..nothing, "k", 1, Expand::Both)
        });
        assert!(commit.expect("it is allowed").delta.is_none());
    }
    assert_eq!(document.beacon(), beacon);
    let mark = |document: &mut Document, value: Value| {
        let commit = document.transact(Timestamp(4), |tx| tx.text("t")?.mark(1..3, "k", value, Expand::None));
        commit.expect("it fits").changes.list
    };
    let told = |kind: &ChangeKind| *kind == ChangeKind::Marks { start: 1, end: 3, key: "k".into() };
    let changes = mark(&mut document, 1.into());
    assert!(matches!(&changes[..], [change] if told(&change.kind) && change.new == Some(1.into())), "{changes:?}");
    let changes = mark(&mut document, 2.into());
    assert!(changes.iter().all(|change| told(&change.kind)), "{changes:?}");
    assert!(changes.iter().any(|change| change.old == Some(1.into())));
    assert!(changes.iter().any(|change| change.new == Some(2.into())));
    let changes = mark(&mut document, Value::Null);
    assert!(matches!(&changes[..], [change] if change.old == Some(2.into())), "{changes:?}");
    assert_eq!(document.text("t").marks(), []);
    assert_eq!(document.text("t").spans().len(), 1);
    assert_eq!(Document::new().text("t").spans(), []);
}

#[test]
fn valid_1_a_mark_that_cannot_be_read_is_held_hidden_and_passed_on() {
    use weftline::{Container, Entry, Payload, Slot};
    let [mut document, mut other] = pair("abc");
    bold(&mut document, 0..2);
    let mut diff = document.diff_since(&weftline::VersionVector::new());
    let payload = diff.adds[0].entry.payload.clone();
    let Payload::Opaque(bytes) = payload else { panic!("{payload:?}") };
    let container = Container::Root { name: "t".into(), kind: Kind::TEXT };
    for broken in [&bytes[..bytes.len() - 1], &[], &[0xff; 40]] {
        let payload = Payload::Opaque(broken.into());
        diff.adds[0].entry =
            Entry { container: container.clone(), slot: Slot::Unit, kind: Kind::MARK, entity: false, payload };
        let mut reader = Document::new();
        reader.apply_diff(&diff).expect("its header is in order");
        assert_eq!(read(reader.text("t")), "abc");
        assert_eq!(reader.diff_since(&weftline::VersionVector::new()).adds, diff.adds);
        assert_eq!(Document::load(&reader.snapshot()).expect("it loads").beacon(), reader.beacon());
    }
    let diff = document.diff_since(&other.version());
    other.apply_diff(&diff).expect("it applies");
    assert_eq!(read(other.text("t")), "[bold|ab]c");
}

#[test]
fn undo_3_marks_are_taken_back_and_what_they_replaced_comes_back() {
    let [mut document, _] = pair("The fox jumped.");
    document.keep_undo(Some(UndoLimits::default()));
    let seen = |document: &Document| read(document.text("t"));
    bold(&mut document, 0..3);
    edit(&mut document, 3, |t| t.mark(0..7, "bold", "very", Expand::After));
    edit(&mut document, 4, |t| t.unmark(0..9, "bold"));
    let states = ["The fox jumped.", "[bold|The] fox jumped.", "[bold=very|The fox] jumped.", "The fox jumped."];
    for before in states[..3].iter().rev() {
        let undone = document.undo(Timestamp(5)).expect("it is allowed").expect("there is something");
        assert!(undone.delta.is_some());
        assert_eq!(seen(&document), *before);
    }
    for after in &states[1..] {
        let redone = document.redo(Timestamp(6)).expect("it is allowed").expect("there is something");
        assert!(redone.delta.is_some());
        assert_eq!(seen(&document), *after);
    }
}

#[test]
fn undo_2_a_mark_that_would_hide_a_later_one_of_another_replica_stays_away() {
    let [mut document, mut other] = pair("The fox jumped.");
    document.keep_undo(Some(UndoLimits::default()));
    edit(&mut document, 7, |t| t.mark(0..3, "colour", "red", Expand::None));
    edit(&mut document, 8, |t| t.unmark(0..3, "colour"));
    other.apply_diff(&document.diff_since(&other.version())).expect("it applies");
    edit(&mut other, 9, |t| t.mark(2..5, "colour", "green", Expand::None));
    document.apply_diff(&other.diff_since(&document.version())).expect("it applies");
    assert_eq!(document.undo(Timestamp(10)), Ok(None), "nothing is left to do");
    assert_eq!(read(document.text("t")), "Th[colour=green|e f]ox jumped.");
}

#[test]
fn bytes_1_no_bytes_are_a_mark_that_breaks_anything() {
    use weftline::Payload;
    let mut group = Group::new(3, 3);
    for _ in 0..60 {
        step(&mut group, false);
    }
    group.settle();
    let diff = group.documents[0].diff_since(&weftline::VersionVector::new());
    assert!(!diff.adds.is_empty());
    let mut shown = 0;
    for _ in 0..4_000 {
        let mut diff = diff.clone();
        let at = group.random.below(diff.adds.len());
        let Payload::Opaque(bytes) = &diff.adds[at].entry.payload else { panic!("these are marks alone") };
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + group.random.below(2) {
            let place = group.random.below(bytes.len());
            bytes[place] = group.random.next_u64() as u8;
        }
        diff.adds[at].entry.payload = Payload::Opaque(bytes.into());
        let mut reader = Document::with_writer(ReplicaId::from(9));
        reader.apply_diff(&diff).expect("its header is in order");
        let all = marked(reader.text("t"));
        assert_eq!(all.len(), reader.text("t").len());
        shown += usize::from(all != group.marked(0));
        edit(&mut reader, 900, |t| {
            t.push("!")?;
            t.mark(.., "bold", 1, Expand::None)
        });
        assert!(marked(reader.text("t")).iter().all(|(_, said)| said["bold"] == Value::Int(1)));
    }
    assert!(shown > 500, "{shown} were read, as something else");
}

fn random_mark(group: &mut Group, at: usize) {
    let len = group.text(at).len();
    let (a, b) = (group.random.below(len + 1), group.random.below(len + 1));
    let range = a.min(b)..a.max(b);
    let key = *group.random.pick(&["bold", "link", "colour"]);
    let value = match group.random.below(4) {
        0 => Value::Null,
        n => Value::Int(n as i64),
    };
    let expand = *group.random.pick(&[Expand::None, Expand::Before, Expand::After, Expand::Both]);
    let before = group.marked(at);
    let take_off = value == Value::Null && group.random.one_in(2);
    let expected = value.clone();
    let changes = group.edit(at, |t| match take_off {
        true => t.unmark(range.clone(), key),
        false => t.mark(range.clone(), key, value, expand),
    });
    // At once everything in the range reads so, and nothing else changed.
    let after = group.marked(at);
    for (index, ((_, was), (_, is))) in before.iter().zip(&after).enumerate() {
        let mut was = was.clone();
        if range.contains(&index) {
            was.remove(key);
            if expected != Value::Null {
                was.insert(key.into(), expected.clone());
            }
        }
        assert_eq!(was, *is, "at {index}");
    }
    let told = changes.list.iter().any(|change| matches!(change.kind, ChangeKind::Marks { .. }));
    assert!(told || before == after, "MARK-1: what changed is told");
}

fn step(group: &mut Group, nested: bool) {
    let at = group.pick();
    match group.random.below(12) {
        0..=2 => random_mark(group, at),
        3 if group.random.one_in(3) => {
            // What is rolled back leaves nothing, and brings back what it removed.
            let (before, beacon) = (group.marked(at), group.documents[at].beacon());
            let all = |text: &mut TextMut<'_, '_>| {
                text.mark(.., "bold", 9, Expand::Both)?;
                text.clear()?;
                text.push("?")?;
                text.mark(.., "link", 9, Expand::Both)?;
                Err::<(), EditError>(EditError::Gone)
            };
            let refused = group.documents[at].transact(Timestamp(1), |tx| match nested {
                true => all(&mut tx.map("m")?.text("t")?),
                false => all(&mut tx.text("t")?),
            });
            assert_eq!(refused.unwrap_err(), EditError::Gone);
            assert_eq!((group.marked(at), group.documents[at].beacon()), (before, beacon));
        }
        3 if group.random.one_in(3) => {
            // Several from one handle, with edits in between, are as if each were by itself.
            let (text, len) = (group.fresh(2), group.text(at).len());
            let cuts: Vec<usize> = (0..6).map(|_| group.random.below(len + 1)).collect();
            let range = |at: usize| cuts[at].min(cuts[at + 1])..cuts[at].max(cuts[at + 1]);
            group.edit(at, |t| {
                t.mark(range(0), "bold", 4, Expand::After)?;
                t.mark(range(1), "bold", 5, Expand::After)?;
                t.insert(cuts[0], &text)?;
                t.unmark(range(2), "bold")?;
                t.mark(range(3), "bold", 6, Expand::Both)?;
                t.delete(range(4))?;
                t.mark(0..cuts[5].min(t.read().len()), "bold", 7, Expand::None)
            });
            let end = cuts[5].min(group.text(at).len());
            assert!(group.marked(at)[..end].iter().all(|(_, said)| said["bold"] == Value::Int(7)));
        }
        3 if group.random.one_in(2) => {
            // Anchors at characters that nobody ever sees.
            let (text, index) = (group.fresh(3), group.random.below(group.text(at).len() + 1));
            group.edit(at, |t| {
                t.insert(index, &text)?;
                t.mark(index..index + 1, "bold", 7, Expand::Both)?;
                t.mark(index..t.read().len(), "link", 8, Expand::None)?;
                t.delete(index..index + 1)
            });
        }
        4 => {
            let from = group.pick();
            let diff = match group.random.below(3) {
                0 => group.documents[from].diff_since(&group.documents[at].version()),
                1 => group.documents[from].diff_since(&weftline::VersionVector::new()),
                _ => group.documents[from].diff_for(&group.documents[at].digest()),
            };
            group.documents[at].apply_diff(&diff).expect("it answers what was asked");
        }
        5 if nested && group.random.one_in(4) => group.remove(at),
        _ => group.step(),
    }
}

#[test]
fn mark_1_spans_are_what_the_specification_says_at_every_replica_on_every_tier() {
    let (mut shown, mut incarnations) = (0, 0);
    for seed in 0..40 {
        let nested = seed % 2 == 1;
        let mut group = if nested { Group::nested(seed, 3) } else { Group::new(seed, 3) };
        for number in 0..100 {
            step(&mut group, nested);
            if seed % 4 < 2 {
                group.forget();
            }
            let at = number % group.documents.len();
            let marked = group.marked(at);
            assert_eq!(marked, group.specified(at), "seed {seed}, step {number}, replica {at}");
            shown += marked.iter().filter(|(_, said)| !said.is_empty()).count();
            let version = group.documents[at].version();
            incarnations += usize::from(group.spec.incarnations(&version, "m", "t", Kind::TEXT).len() > 1);
        }
        group.settle();
        for at in 0..group.documents.len() {
            assert_eq!(group.marked(at), group.marked(0), "seed {seed}");
            assert_eq!(group.documents[at].beacon(), group.documents[0].beacon());
            let saved = Document::load(&group.documents[at].snapshot()).expect("what was saved loads");
            let text = if nested { saved.map("m").text("t") } else { saved.text("t") };
            assert_eq!(marked(text), group.marked(0), "seed {seed}: snapshot");
        }
    }
    assert!(shown > 2_000 && incarnations > 50, "{shown} characters, {incarnations} merged texts");
}
