//! Characters that are typed and deleted.

use weftline::MapMut;

use crate::place::everywhere;

fn typed(map: &mut MapMut<'_, '_>, index: usize, text: &str) -> Result<(), weftline::EditError> {
    map.text("t")?.insert(index, text)
}

#[test]
fn what_is_typed_into_a_deleted_range_survives() {
    everywhere(|pair| {
        pair.begin(|map| typed(map, 0, "abcdef"));
        pair.a(|map| map.text("t")?.delete(1..5)).b(|map| typed(map, 3, "new"));
        assert_eq!(pair.both(|map| map.text("t").to_string()), "anewf");
        pair.a(|map| map.remove("t").map(drop)).meet().nothing_is_left();
    });
}

#[test]
fn a_character_that_both_delete_is_gone_once() {
    everywhere(|pair| {
        pair.begin(|map| typed(map, 0, "abcdef"));
        pair.a(|map| map.text("t")?.delete(1..4)).b(|map| map.text("t")?.delete(2..6));
        assert_eq!(pair.both(|map| map.text("t").to_string()), "a");
    });
}

#[test]
fn what_both_type_at_one_place_stays_whole() {
    everywhere(|pair| {
        pair.begin(|map| typed(map, 0, "[]"));
        // Key by key, forwards and backwards, with something taken back.
        pair.a(|map| typed(map, 1, "h")).a(|map| typed(map, 2, "el")).a(|map| typed(map, 4, "lo"));
        pair.b(|map| typed(map, 1, "d")).b(|map| typed(map, 1, "rl")).b(|map| typed(map, 1, "wo"));
        pair.b(|map| typed(map, 6, "?")).b(|map| map.text("t")?.replace(6..7, "!"));
        let text = pair.both(|map| map.text("t").to_string());
        assert!(["[helloworld!]", "[world!hello]"].contains(&&*text), "{text}");
    });
}

#[test]
fn texts_created_under_one_key_are_one_and_die_each_on_its_own() {
    everywhere(|pair| {
        pair.a(|map| typed(map, 0, "here")).b(|map| typed(map, 0, "there"));
        let text = pair.both(|map| map.text("t").to_string());
        assert!(["herethere", "therehere"].contains(&&*text), "{text}");
        // What is put between two goes with the one before it.
        pair.a(|map| typed(map, 9, "!")).meet();
        // What a removal did not see stays, wholly.
        pair.a(|map| map.remove("t").map(drop)).b(|map| map.remove("t").map(drop)).b(|map| typed(map, 0, "anew"));
        assert_eq!(pair.both(|map| map.text("t").to_string()), "anew");
        pair.a(|map| map.remove("t").map(drop)).meet().nothing_is_left();
    });
}

#[test]
fn removing_a_text_wins_over_typing_into_it() {
    everywhere(|pair| {
        pair.begin(|map| typed(map, 0, "draft"));
        pair.a(|map| map.remove("t").map(drop)).b(|map| typed(map, 5, " two"));
        assert!(pair.both(|map| !map.contains("t") && map.text("t").is_empty()));
        pair.a(|map| typed(map, 0, "fresh"));
        assert_eq!(pair.both(|map| map.text("t").to_string()), "fresh");
    });
}

#[test]
fn what_clearing_a_text_did_not_see_survives() {
    everywhere(|pair| {
        pair.begin(|map| typed(map, 0, "old"));
        pair.a(|map| map.text("t")?.clear()).b(|map| typed(map, 1, "-"));
        assert_eq!(pair.both(|map| map.text("t").to_string()), "-");
    });
}
