//! Text: typing, deleting, and what comes back with its container.

use crate::pair::{Edit, Pair};
use weftline::{Commit, Document, Expand, Kind, Timestamp, UndoLimits};

fn text(document: &Document) -> String {
    document.text("t").to_string()
}

const HELLO: Edit = |tx| tx.text("t")?.push("hello");

// ---- typing ----

#[test]
fn typing_is_undone_and_redone() {
    let mut pair = Pair::after(HELLO);
    pair.ann(|tx| tx.text("t")?.insert(2, "üx🎈")).undo();
    assert_eq!(pair.both(text), "hello");
    pair.redo();
    assert_eq!(pair.both(text), "heüx🎈llo");
    pair.undo().undoes_nothing();
    assert_eq!(pair.both(text), "hello");
    pair.redo();
    assert_eq!(pair.both(text), "heüx🎈llo");
}

#[test]
fn undo_1_undoing_typing_takes_away_only_what_was_typed() {
    let mut pair = Pair::after(HELLO);
    pair.ann(|tx| tx.text("t")?.insert(2, "abc")).meet();
    pair.bob(|tx| tx.text("t")?.insert(3, "BOB")).meet().undo();
    assert_eq!(pair.both(text), "heBOBllo");
    pair.redo();
    assert_eq!(pair.both(text), "heaBOBbcllo", "what Bob wrote stays in the middle");
    pair.undo();
    assert_eq!(pair.both(text), "heBOBllo");
}

#[test]
fn undo_2_typing_that_another_replica_deleted_in_part_is_undone_and_redone_for_the_rest() {
    let mut pair = Pair::after(HELLO);
    pair.ann(|tx| tx.text("t")?.insert(5, "abcd")).meet();
    pair.bob(|tx| tx.text("t")?.delete(6..8)).meet().undo();
    assert_eq!(pair.both(text), "hello");
    pair.redo();
    assert_eq!(pair.both(text), "helload");
}

#[test]
fn keystrokes_that_follow_one_another_are_undone_together() {
    let mut pair = Pair::new();
    pair.ann.keep_undo(Some(UndoLimits { group_ms: 100, ..UndoLimits::default() }));
    pair.ann(|tx| tx.text("t")?.push("a")).ann(|tx| tx.text("t")?.push("bc")).ann(|tx| tx.text("t")?.delete(1..2));
    pair.clock += 1_000;
    pair.ann(|tx| tx.text("t")?.insert(0, "x")).ann(|tx| tx.text("t")?.push("y"));
    assert_eq!(text(&pair.ann), "xacy");
    pair.undo();
    assert_eq!(pair.both(text), "ac");
    pair.undo().undoes_nothing();
    assert_eq!(pair.both(text), "");
    pair.redo();
    assert_eq!(pair.both(text), "ac");
    pair.redo();
    assert_eq!(pair.both(text), "xacy");
}

// ---- deleting ----

#[test]
fn deleted_text_comes_back_where_it_was() {
    for (start, end) in [(0, 2), (1, 4), (3, 5), (0, 5)] {
        let mut pair = Pair::after(HELLO);
        let now = pair.now();
        let deleted = pair.ann.transact(now, |tx| tx.text("t")?.delete(start..end));
        assert!(deleted.expect("it is possible").delta.is_some());
        let left = pair.both(text);
        for _ in 0..2 {
            pair.undo();
            assert_eq!(pair.both(text), "hello");
            pair.redo();
            assert_eq!(pair.both(text), left);
        }
    }
}

#[test]
fn what_others_insert_beside_and_inside_of_deleted_text_stays_on_its_side() {
    let mut pair = Pair::after(HELLO);
    pair.ann(|tx| tx.text("t")?.delete(1..4));
    pair.bob(|tx| {
        let mut text = tx.text("t")?;
        text.insert(4, ">")?;
        text.insert(3, "-")?;
        text.insert(2, "=")?;
        text.insert(1, "<")
    });
    assert_eq!(pair.both(text), "h<=->o");
    pair.undo();
    assert_eq!(pair.both(text), "h<e=l-l>o");
    pair.redo();
    assert_eq!(pair.both(text), "h<=->o");
    pair.undo();
    assert_eq!(pair.both(text), "h<e=l-l>o");
}

#[test]
fn deleted_text_comes_back_at_its_place_when_its_neighbours_are_gone() {
    let mut pair = Pair::after(|tx| tx.text("t")?.push("0123456789"));
    pair.ann(|tx| tx.text("t")?.delete(4..6)).meet();
    pair.bob(|tx| tx.text("t")?.delete(2..6));
    assert_eq!(pair.both(text), "0189");
    pair.undo();
    assert_eq!(pair.both(text), "014589");
}

/// Overwrites so much that nobody knows any more where the text was that had been deleted before.
fn forget(document: &mut Document, clock: u64) {
    for nth in 0..6_000u64 {
        let overwritten = document.transact(Timestamp(clock), |tx| {
            tx.leave_out_of_undo();
            let key = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59;
            tx.map("m")?.put(&key.to_string(), nth as i64)
        });
        let _: Commit<()> = overwritten.expect("it is possible");
    }
}

#[test]
fn deleted_text_comes_back_between_its_neighbours_when_its_bunch_is_forgotten() {
    for (delete, left, shown) in
        [(1..6, "[]", "[hello]"), (0..6, "]", "[hello]"), (1..7, "[", "[hello]"), (0..7, "", "[hello]")]
    {
        let mut pair = Pair::new();
        pair.ann(|tx| tx.text("t")?.push("[]")).meet().bob(|tx| tx.text("t")?.insert(1, "hello")).meet();
        let now = pair.now();
        let deleted: Commit<()> = pair.ann.transact(now, |tx| tx.text("t")?.delete(delete)).expect("it is possible");
        assert!(deleted.delta.is_some());
        forget(&mut pair.ann, now.0);
        assert_eq!(pair.both(text), left);
        pair.undo();
        assert_eq!(pair.both(text), shown);
    }
}

#[test]
fn undo_2_what_another_replica_deleted_too_does_not_come_back() {
    let mut pair = Pair::after(HELLO);
    pair.ann(|tx| tx.text("t")?.delete(0..4)).bob(|tx| tx.text("t")?.delete(1..3)).meet().undo();
    assert_eq!(pair.both(text), "hlo");
    pair.redo();
    assert_eq!(pair.both(text), "o");
}

#[test]
fn undo_1_what_came_back_stays_the_text_of_who_wrote_it() {
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.text("t").map(drop)).meet();
    pair.bob(|tx| tx.map("m")?.text("t")?.push("bob's")).meet();
    pair.ann(|tx| tx.map("m")?.text("t")?.delete(0..5)).undo();
    let shown = |document: &Document| document.map("m").text("t").to_string();
    assert_eq!(pair.both(shown), "bob's");
    pair.undoes_nothing();
    assert_eq!(pair.both(shown), "bob's", "the text that Ann made stays, with the copy inside");
}

#[test]
fn undo_3_steps_go_back_through_text_that_was_deleted_and_came_back() {
    let mut pair = Pair::new();
    let edits: [Edit; 6] = [
        HELLO,
        |tx| tx.text("t")?.insert(2, "XY"),
        |tx| tx.text("t")?.delete(1..3),
        |tx| tx.text("t")?.replace(1..4, "über"),
        |tx| tx.text("t")?.clear(),
        |tx| tx.text("t")?.push("anew"),
    ];
    let mut shown = vec![String::new()];
    for edit in edits {
        pair.ann(edit);
        shown.push(pair.both(text));
    }
    for _ in 0..3 {
        for before in shown.iter().rev().skip(1) {
            pair.undo();
            assert_eq!(pair.both(text), *before);
        }
        pair.undoes_nothing();
        for after in &shown[1..] {
            pair.redo();
            assert_eq!(pair.both(text), *after);
        }
    }
}

#[test]
fn a_replacement_of_pieces_that_lie_inside_of_one_another_is_undone_in_order() {
    let mut pair = Pair::after(|tx| tx.text("t")?.push("ad"));
    pair.bob(|tx| tx.text("t")?.insert(1, "bc")).meet();
    pair.ann(|tx| {
        let mut text = tx.text("t")?;
        text.delete(1..3)?;
        text.delete(0..2)?;
        text.push("xyz")
    });
    pair.undo();
    assert_eq!(pair.both(text), "abcd");
    pair.redo();
    assert_eq!(pair.both(text), "xyz");
}

// ---- with its container ----

#[test]
fn a_removed_container_comes_back_with_its_text_in_order_also_nested() {
    let mut pair = Pair::after(|tx| {
        let mut map = tx.map("m")?;
        let mut inner = map.map("inner")?;
        let mut text = inner.text("note")?;
        text.push("ac")?;
        text.insert(1, "b")?;
        text.insert(0, "🎈 ")?;
        let mut list = tx.list("l")?;
        let id = list.insert_container(0, Kind::TEXT)?;
        list.text(id)?.push("row")
    });
    let shown = |document: &Document| {
        let list = document.list("l");
        let row = list.id_at(0).map(|id| list.text(id).to_string());
        (document.map("m").map("inner").text("note").to_string(), row)
    };
    let before = pair.both(shown);
    assert_eq!(before, ("🎈 abc".into(), Some("row".into())));
    pair.ann(|tx| {
        tx.map("m")?.remove("inner")?;
        let id = tx.document().list("l").id_at(0).ok_or(weftline::EditError::NoSuchElement)?;
        tx.list("l")?.remove(id).map(drop)
    });
    let gone = pair.both(shown);
    assert_eq!(gone, (String::new(), None));
    for _ in 0..2 {
        pair.undo();
        assert_eq!(pair.both(shown), before);
        pair.redo();
        assert_eq!(pair.both(shown), gone);
    }
}

#[test]
fn what_was_typed_before_its_container_was_removed_is_undone_after_it_came_back() {
    let mut pair = Pair::after(|tx| tx.map("m")?.text("note")?.push("ab"));
    let shown = |document: &Document| document.map("m").text("note").to_string();
    pair.ann(|tx| tx.map("m")?.text("note")?.insert(1, "typed"));
    pair.ann(|tx| tx.map("m")?.text("note")?.delete(0..1));
    pair.ann(|tx| tx.map("m")?.remove("note").map(drop)).undo();
    assert_eq!(pair.both(shown), "typedb");
    pair.undo();
    assert_eq!(pair.both(shown), "atypedb");
    pair.undo();
    assert_eq!(pair.both(shown), "ab");
    pair.redo().redo();
    assert_eq!(pair.both(shown), "typedb");
    pair.redo();
    assert_eq!(pair.both(shown), "");
}

#[test]
fn undo_1_a_text_that_was_created_goes_only_while_nobody_else_typed_into_it() {
    let shown = |document: &Document| (document.map("m").len(), document.map("m").text("note").to_string());
    let mut pair = Pair::new();
    pair.ann(|tx| tx.map("m")?.text("note")?.push("ann's")).undo();
    assert_eq!(pair.both(shown), (0, String::new()));
    pair.redo().meet();
    pair.bob(|tx| tx.map("m")?.text("note")?.push(" bob's")).meet().undo();
    assert_eq!(pair.both(shown), (1, " bob's".into()));
}

// ---- what it takes ----

#[test]
fn kept_text_counts_by_its_bytes() {
    let mut document = Document::with_writer(1.into());
    document.keep_undo(Some(UndoLimits { bytes: 40_000, ..UndoLimits::default() }));
    let long = "x".repeat(30_000);
    let mut clock = 0;
    let mut edit = |document: &mut Document, edit: &dyn Fn(&mut weftline::TextMut<'_, '_>)| {
        clock += 10;
        let done = document.transact(Timestamp(clock), |tx| {
            edit(&mut tx.text("t")?);
            Ok::<(), weftline::EditError>(())
        });
        assert!(done.expect("it is possible").delta.is_some());
    };
    edit(&mut document, &|text| text.push(&long).expect("it fits"));
    edit(&mut document, &|text| text.clear().expect("it is possible"));
    edit(&mut document, &|text| text.push(&long).expect("it fits"));
    edit(&mut document, &|text| text.clear().expect("it is possible"));
    let mut undone = 0;
    while document.undo(Timestamp(1_000)).expect("it is possible").is_some() {
        undone += 1;
    }
    assert_eq!(undone, 2, "the second deletion left no room for the first one");
}

// ---- marks ----

fn marked(document: &Document) -> Vec<(String, bool)> {
    let spans = document.text("t").spans();
    spans.into_iter().map(|span| (span.text, !span.marks.is_empty())).collect()
}

const BOLD: Edit = |tx| tx.text("t")?.mark(1..4, "bold", true, Expand::None);

#[test]
fn a_mark_that_goes_with_its_text_comes_back_with_it() {
    let mut pair = Pair::after(HELLO);
    pair.ann(BOLD);
    let bold = pair.both(marked);
    assert_eq!(bold, [("h".into(), false), ("ell".into(), true), ("o".into(), false)]);
    pair.ann(|tx| tx.text("t")?.delete(1..4));
    for _ in 0..2 {
        pair.undo();
        assert_eq!(pair.both(marked), bold);
        pair.redo();
        assert_eq!(pair.both(marked), [("ho".into(), false)]);
    }
    pair.undo().undo();
    assert_eq!(pair.both(marked), [("hello".into(), false)], "the mark is undone");
    pair.redo();
    assert_eq!(pair.both(marked), bold, "and is where the text is that came back");
}

#[test]
fn marks_come_back_with_the_container_they_are_in() {
    let mut pair = Pair::after(|tx| tx.map("m")?.text("t")?.push("hello"));
    pair.ann(|tx| tx.map("m")?.text("t")?.mark(1..4, "bold", true, Expand::After));
    let shown = |document: &Document| document.map("m").text("t").marks();
    let bold = pair.both(shown);
    assert_eq!(bold.len(), 1);
    pair.ann(|tx| tx.map("m")?.remove("t").map(drop));
    assert_eq!(pair.both(shown), []);
    pair.undo();
    assert_eq!(pair.both(shown), bold);
    pair.redo().undo();
    assert_eq!(pair.both(shown), bold);
}
