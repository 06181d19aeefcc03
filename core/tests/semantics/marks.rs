//! Ranges of text that are marked, typed into, deleted.

use weftline::{Expand, MapRef};

use crate::place::everywhere;

/// A text with its marks in brackets: `[bold=1|text]`.
fn read(map: MapRef<'_>) -> String {
    let mut all = String::new();
    for span in map.text("t").spans() {
        let marks: Vec<String> =
            span.marks.iter().map(|(key, value)| format!("{key}={}", value.as_int().unwrap())).collect();
        all += &if marks.is_empty() { span.text } else { format!("[{}|{}]", marks.join(","), span.text) };
    }
    all
}

#[test]
fn of_two_marks_of_one_key_the_later_one_is_seen() {
    everywhere(|pair| {
        pair.begin(|map| map.text("t")?.push("abcdef"));
        pair.a(|map| map.text("t")?.mark(0..4, "colour", 1, Expand::After));
        pair.b(|map| map.text("t")?.mark(2..6, "colour", 2, Expand::After));
        assert_eq!(pair.both(read), "[colour=1|ab][colour=2|cdef]");
        pair.a(|map| map.remove("t").map(drop)).meet().nothing_is_left();
    });
}

#[test]
fn marks_of_different_keys_are_beside_each_other() {
    everywhere(|pair| {
        pair.begin(|map| map.text("t")?.push("abcdef"));
        pair.a(|map| map.text("t")?.mark(0..4, "bold", 1, Expand::After));
        pair.b(|map| map.text("t")?.mark(2..6, "italic", 1, Expand::After));
        assert_eq!(pair.both(read), "[bold=1|ab][bold=1,italic=1|cd][italic=1|ef]");
    });
}

#[test]
fn what_is_typed_into_a_range_that_is_marked_is_marked() {
    everywhere(|pair| {
        pair.begin(|map| map.text("t")?.push("abcdef"));
        pair.a(|map| map.text("t")?.mark(1..3, "bold", 1, Expand::After));
        pair.a(|map| map.text("t")?.mark(4..6, "link", 2, Expand::None));
        pair.b(|map| {
            let mut text = map.text("t")?;
            [6, 4, 3, 2, 1].into_iter().try_for_each(|index| text.insert(index, "+"))
        });
        assert_eq!(pair.both(read), "a+[bold=1|b+c+]d+[link=2|ef]+");
    });
}

#[test]
fn a_mark_survives_what_did_not_see_it() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.text("t")?.push("abcdef")?;
            map.text("t")?.mark(0..3, "bold", 1, Expand::After)
        });
        // What is taken off wholly, and marked again: whoever took it off did not see that.
        pair.a(|map| map.text("t")?.mark(0..4, "bold", 2, Expand::After));
        pair.b(|map| map.text("t")?.unmark(0..3, "bold"));
        assert_eq!(pair.both(read), "[bold=2|abcd]ef");
        // What cuts is a mark itself.
        pair.a(|map| map.text("t")?.mark(0..6, "bold", 3, Expand::After));
        pair.b(|map| map.text("t")?.unmark(1..2, "bold"));
        assert_eq!(pair.both(read), "[bold=3|a]b[bold=3|cdef]");
    });
}

#[test]
fn a_mark_goes_with_what_it_was_on() {
    everywhere(|pair| {
        pair.begin(|map| {
            map.text("t")?.push("abcdef")?;
            map.text("t")?.mark(1..4, "bold", 1, Expand::Both)
        });
        pair.a(|map| map.text("t")?.delete(1..4)).b(|map| map.text("t")?.insert(2, "new"));
        assert_eq!(pair.both(read), "anewef");
        pair.a(|map| map.remove("t").map(drop)).meet().nothing_is_left();
    });
}
