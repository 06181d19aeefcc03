//! What simulated users do: small edits of every type, nested and not.

use weftline::testing::random_edit;
use weftline::{EditError, Expand, GrowOnlySetRef, Kind, ListMut, MapMut, TextMut, Transaction, Value};

use crate::rng::Rng;

/// The set that every edit leaves its number in. Nothing removes from it, no undo either, so an edit is there if its number is.
pub const EDITS: &str = "simulated edits";

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// One transaction: one to three edits anywhere, and the number of the edit.
///
/// # Errors
/// What the document says; nothing here should make it say anything.
pub fn edit(tx: &mut Transaction<'_>, rng: &mut Rng, number: u64) -> Result<(), EditError> {
    for _ in 0..rng.between(1, 3) {
        step(tx, rng)?;
    }
    leave_number(tx, number)
}

/// Leaves the number of an edit.
///
/// # Errors
/// As for any edit.
pub fn leave_number(tx: &mut Transaction<'_>, number: u64) -> Result<(), EditError> {
    tx.grow_only_set(EDITS)?.add(i64::try_from(number).unwrap_or(i64::MAX)).map(drop)
}

/// The list that every edit leaves its number in where it matters how often it is there, and the counter that it counts in.
pub(crate) const COUNTED: &str = "simulated counts";

/// Leaves the number of an edit where it would show that an edit is there twice.
pub(crate) fn leave_countable(tx: &mut Transaction<'_>, number: u64) -> Result<(), EditError> {
    tx.counter(COUNTED)?.add(1)?;
    tx.list(COUNTED)?.push(i64::try_from(number).unwrap_or(i64::MAX)).map(drop)
}

/// Whether a document shows the edit with this number.
#[must_use]
pub fn shows(edits: &GrowOnlySetRef<'_>, number: u64) -> bool {
    edits.contains(&Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// One edit somewhere.
pub(crate) fn step(tx: &mut Transaction<'_>, rng: &mut Rng) -> Result<(), EditError> {
    match rng.below(16) {
        0 => tx.register("title")?.set(value(rng)),
        1 => tx.counter("count")?.add(amount(rng)),
        2 => {
            let mut flag = tx.flag("flag")?;
            if rng.chance(50) { flag.enable() } else { flag.disable() }
        }
        3 => {
            let mut set = tx.set("tags")?;
            if rng.chance(60) { set.add(value(rng)) } else { set.remove(&value(rng)).map(drop) }
        }
        4..=6 => step_in_map(&mut tx.map("map")?, rng, 0),
        7..=9 => step_in_list(&mut tx.list("list")?, rng, 0),
        10 | 11 => step_in_text(&mut tx.text("text")?, rng),
        // Where the core's own histories go: every kind below every kind, few places, so that edits meet.
        _ => random_edit(tx, rng.random(), true),
    }
}

fn step_in_map(map: &mut MapMut<'_, '_>, rng: &mut Rng, depth: u32) -> Result<(), EditError> {
    let key = KEYS[rng.below(KEYS.len())];
    match rng.below(13) {
        0..=2 => map.put(key, value(rng)),
        3 => map.remove(key).map(drop),
        4 if rng.chance(30) => map.clear(),
        4 | 5 => {
            if rng.chance(60) {
                map.enable(key)
            } else {
                map.disable(key)
            }
        }
        6 => map.counter(key)?.add(amount(rng)),
        7 => map.set(key)?.add(value(rng)),
        8 | 9 if depth < 3 => step_in_map(&mut map.map(key)?, rng, depth + 1),
        10 | 11 if depth < 3 => step_in_list(&mut map.list(key)?, rng, depth + 1),
        12 => step_in_text(&mut map.text(key)?, rng),
        _ => map.put(key, value(rng)),
    }
}

fn step_in_list(list: &mut ListMut<'_, '_>, rng: &mut Rng, depth: u32) -> Result<(), EditError> {
    let len = list.read().len();
    let at = rng.below(len.max(1));
    match rng.below(10) {
        0..=2 => list.insert(rng.below(len + 1), value(rng)).map(drop),
        3 if depth < 3 => {
            let id = list.insert_container(rng.below(len + 1), Kind::MAP)?;
            step_in_map(&mut list.map(id)?, rng, depth + 1)
        }
        4 if len > 0 => list.remove_at(at),
        5 | 6 if len > 0 => {
            let id = list.read().id_at(at).expect("the index is in the list");
            list.move_to(id, rng.below(len))
        }
        7 if len > 0 => {
            let id = list.read().id_at(at).expect("the index is in the list");
            match list.read().kind(id) {
                Some(Kind::MAP) => step_in_map(&mut list.map(id)?, rng, depth + 1),
                Some(Kind::REGISTER) => list.put(id, value(rng)),
                _ => Ok(()),
            }
        }
        8 if len > 12 => list.clear(),
        _ => list.push(value(rng)).map(drop),
    }
}

/// Typing, mostly where one typed last; deleting, replacing, marking.
fn step_in_text(text: &mut TextMut<'_, '_>, rng: &mut Rng) -> Result<(), EditError> {
    const WORDS: [&str; 5] = ["word ", "ü", "a\n", "🎈b", "typed by somebody "];
    let len = text.read().len();
    let start = rng.below(len + 1);
    let end = start + rng.below((len - start).min(9) + 1);
    match rng.below(12) {
        0..=3 => text.push(WORDS[rng.below(WORDS.len())]),
        4 | 5 => text.insert(start, WORDS[rng.below(WORDS.len())]),
        6 | 7 => text.delete(start..end),
        8 => text.replace(start..end, WORDS[rng.below(WORDS.len())]),
        9 => {
            let shown = text.read().slice(..);
            let kept: String = shown.chars().filter(|_| !rng.chance(15)).take(60).collect();
            text.set_text(&(kept + WORDS[rng.below(WORDS.len())]))
        }
        10 => {
            let expand = *rng.pick(&[Expand::After, Expand::None, Expand::Both, Expand::Before]);
            text.mark(start..end, ["bold", "link"][rng.below(2)], value(rng), expand)
        }
        _ => text.unmark(start..end, ["bold", "link"][rng.below(2)]),
    }
}

fn value(rng: &mut Rng) -> Value {
    match rng.below(6) {
        0 => Value::Null,
        1 => Value::from(rng.chance(50)),
        2 => Value::from(rng.below(1000) as f64 / 8.0),
        3 => Value::from(format!("text {}", rng.below(100))),
        4 => Value::from(&rng.bits().to_le_bytes()[..]),
        _ => Value::from(rng.below(50) as i64),
    }
}

fn amount(rng: &mut Rng) -> i64 {
    rng.below(21) as i64 - 10
}
