//! What the clients write, and what a document must then show.
//!
//! Every edit has a number that nobody else has, and what it does follows from its number alone; which places it does
//! it at is drawn. So whoever reads a document, at any time and anywhere, can say from the numbers in it what else it
//! must show, each thing exactly once: an edit that was applied twice, in part, or without what it builds upon shows.
//!
//! Not here: which numbers must be there; that is known to whoever started the clients.

use std::collections::{BTreeMap, BTreeSet};

use weftline::{Document, EditError, MapRef, Transaction, Value};
use weftline_tests::Rng;

/// The set of the numbers of all edits.
const EDITS: &str = "edits";
/// A counter.
const COUNT: &str = "count";
/// A list with the number of the edit that inserted each element.
const LIST: &str = "list";
/// A text made of one token for each edit that typed.
const TEXT: &str = "text";
/// A map with a key for each edit that put.
const PUTS: &str = "puts";
/// A map with a key for each client, under which it puts the last of its numbers.
const LAST: &str = "last";
/// A map of maps that several clients create at once.
const TREE: &str = "tree";
/// What each removing edit has removed: the number of an edit, or nothing.
const GONE: &str = "gone";
/// A map in which few clients overwrite much, so that stores have something to compact.
const PADS: &str = "pads";

/// How many runs a client can have, and how many edits a run in one document.
const RUNS: i64 = 10_000;
const EDITS_OF_A_RUN: i64 = 1_000_000;

/// The longest token of a text, with room to spare.
const TOKEN: usize = 24;

/// The number of the `nth` edit, counted from 1, of a run of a client in a document.
pub(crate) fn number(client: i64, run: i64, nth: i64) -> i64 {
    (client * RUNS + run) * EDITS_OF_A_RUN + nth
}

fn client_of(number: i64) -> i64 {
    number / EDITS_OF_A_RUN / RUNS
}

/// What an edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Count(i64),
    Insert,
    Move,
    Type,
    Put,
    Last,
    Tree(u64),
    Pad,
    RemoveFromList,
    RemoveFromText,
    RemovePut,
}

fn deed(number: i64) -> Deed {
    let drawn = Rng::new(number.unsigned_abs()).bits();
    let detail = drawn >> 32;
    match drawn % 20 {
        0..=3 => Deed::Count((detail % 9) as i64 - 3),
        4..=6 => Deed::Insert,
        7 => Deed::Move,
        8..=11 => Deed::Type,
        12 | 13 => Deed::Put,
        14 => Deed::Last,
        15 => Deed::Tree(detail % 4),
        16 => Deed::Pad,
        17 => Deed::RemoveFromList,
        18 => Deed::RemoveFromText,
        _ => Deed::RemovePut,
    }
}

/// Makes the edit with this number.
///
/// # Errors
/// What the document says; nothing here should make it say anything.
pub(crate) fn edit(tx: &mut Transaction<'_>, rng: &mut Rng, number: i64) -> Result<(), EditError> {
    tx.set(EDITS)?.add(number)?;
    let client = client_of(number).to_string();
    match deed(number) {
        Deed::Count(amount) => tx.counter(COUNT)?.add(amount),
        Deed::Insert => {
            let mut list = tx.list(LIST)?;
            let at = rng.below(list.read().len() + 1);
            list.insert(at, number).map(drop)
        }
        Deed::Move => {
            let mut list = tx.list(LIST)?;
            let len = list.read().len();
            let picked = list.read().id_at(rng.below(len));
            picked.map_or(Ok(()), |id| list.move_to(id, rng.below(len)))
        }
        Deed::Type => {
            let mut text = tx.text(TEXT)?;
            let (len, near) = (text.read().len(), rng.below(text.read().len() + 1));
            // Between two tokens, so that every token stays in one piece.
            let behind = text.read().slice(near..len.min(near + TOKEN));
            let at = if near == 0 { 0 } else { behind.find('<').map_or(len, |to_next| near + to_next) };
            text.insert(at, &format!("<{number}>"))
        }
        Deed::Put => tx.map(PUTS)?.put(&number.to_string(), number),
        Deed::Last => tx.map(LAST)?.put(&client, number),
        Deed::Tree(branch) => tx.map(TREE)?.map(&branch.to_string())?.put(&number.to_string(), number),
        Deed::Pad => tx.map(PADS)?.put(&client, format!("{number} {}", "pad ".repeat(rng.below(6_000)))),
        Deed::RemoveFromList => {
            let mut list = tx.list(LIST)?;
            let at = rng.below(list.read().len());
            let gone = list.read().get_as::<i64>(at);
            if gone.is_some() {
                list.remove_at(at)?;
            }
            note_gone(tx, number, gone)
        }
        Deed::RemoveFromText => {
            let mut text = tx.text(TEXT)?;
            let len = text.read().len();
            let from = rng.below(len);
            let piece = text.read().slice(from..len.min(from + 2 * TOKEN));
            let token = piece.find('<').and_then(|start| Some((start, start + piece[start..].find('>')?)));
            let gone = token.and_then(|(start, end)| piece[start + 1..end].parse().ok());
            if let Some((start, end)) = token {
                text.delete(from + start..=from + end)?;
            }
            note_gone(tx, number, gone)
        }
        Deed::RemovePut => {
            let mut puts = tx.map(PUTS)?;
            let nth = rng.below(puts.read().len());
            let key = puts.read().keys().nth(nth).map(str::to_owned);
            if let Some(key) = &key {
                puts.remove(key)?;
            }
            note_gone(tx, number, key.and_then(|key| key.parse().ok()))
        }
    }
}

fn note_gone(tx: &mut Transaction<'_>, number: i64, gone: Option<i64>) -> Result<(), EditError> {
    tx.map(GONE)?.put(&number.to_string(), gone.map_or(Value::Null, Value::Int))
}

/// The numbers of all edits that a document shows, as runs of consecutive ones.
pub(crate) fn runs(document: &Document) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers(document) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn numbers(document: &Document) -> BTreeSet<i64> {
    document.set(EDITS).iter().filter_map(Value::as_int).collect()
}

/// What a document shows that does not follow from the edits in it. `twice` and `missing` are counted by the caller.
pub(crate) fn wrong(document: &Document) -> Wrong {
    let mut wrong = Wrong::default();
    let numbers = numbers(document);
    let mut count = 0;
    let (mut list, mut text, mut puts, mut tree) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut gone = BTreeSet::new();
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for &number in &numbers {
        match deed(number) {
            Deed::Count(amount) => count += i128::from(amount),
            Deed::Insert => list.push(number),
            Deed::Move | Deed::Pad => {}
            Deed::Type => text.push(number),
            Deed::Put => puts.push(number),
            Deed::Last => drop(last.insert(client_of(number), number)),
            Deed::Tree(branch) => tree.push((branch, number)),
            Deed::RemoveFromList | Deed::RemoveFromText | Deed::RemovePut => {
                match document.map(GONE).get(&number.to_string()) {
                    Some(Value::Int(removed)) => drop(gone.insert(removed)),
                    Some(Value::Null) => {}
                    other => wrong.missing.push(format!("what {number} removed is {other:?}")),
                }
            }
        }
    }
    for unknown in gone.iter().filter(|removed| !numbers.contains(removed)) {
        wrong.missing.push(format!("{unknown} was removed and has never been there"));
    }
    let value = document.counter(COUNT).value();
    if value != count {
        let text = format!("{COUNT} is {value}, and the edits make {count}");
        // Amounts have both signs: which of the two it is cannot be told.
        wrong.twice.push(text);
    }
    let kept = |numbers: Vec<i64>| numbers.into_iter().filter(|number| !gone.contains(number)).collect();
    wrong.compare(LIST, kept(list), document.list(LIST).ids().filter_map(|id| int(document.list(LIST).value(id))));
    let shown = document.text(TEXT).slice(..);
    wrong.compare(TEXT, kept(text), shown.split_inclusive('>').filter_map(|token| wrong_token(token).ok()));
    for token in shown.split_inclusive('>').filter_map(|token| wrong_token(token).err()) {
        wrong.missing.push(format!("{TEXT} holds {token:?}"));
    }
    wrong.compare(PUTS, kept(puts), keys(&document.map(PUTS)));
    for branch in 0..4 {
        let expected = tree.iter().filter(|(of, _)| *of == branch).map(|(_, number)| *number).collect();
        wrong.compare(TREE, expected, keys(&document.map(TREE).map(&branch.to_string())));
    }
    for (client, number) in last {
        let shown = document.map(LAST).values(&client.to_string());
        if !shown.contains(&Value::Int(number)) {
            wrong.missing.push(format!("the last of client {client} is {shown:?}, and should be {number}"));
        }
    }
    wrong
}

fn int(value: Option<Value>) -> Option<i64> {
    value.as_ref().and_then(Value::as_int)
}

fn keys(map: &MapRef<'_>) -> impl Iterator<Item = i64> {
    map.keys().filter_map(|key| key.parse().ok())
}

/// The number in a token of the text, or the token if it is none.
fn wrong_token(token: &str) -> Result<i64, &str> {
    let inside = token.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inside.and_then(|digits| digits.parse().ok()).ok_or(token)
}

/// What a document shows and should not, in words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// More than the edits in it explain.
    pub(crate) twice: Vec<String>,
    /// Less than the edits in it explain.
    pub(crate) missing: Vec<String>,
}

impl Wrong {
    fn compare(&mut self, what: &str, expected: Vec<i64>, shown: impl Iterator<Item = i64>) {
        let mut counts: BTreeMap<i64, i64> = expected.into_iter().map(|number| (number, -1)).collect();
        for number in shown {
            *counts.entry(number).or_default() += 1;
        }
        for (number, difference) in counts {
            match difference {
                0 => {}
                1.. => self.twice.push(format!("{what} shows {number} {difference} times too often")),
                _ => self.missing.push(format!("{what} lacks {number}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weftline::{ReplicaId, Timestamp};

    fn written(client: u64, edits: i64) -> Document {
        let mut document = Document::with_writer(ReplicaId::from(u128::from(client)));
        let mut rng = Rng::new(client);
        for nth in 1..=edits {
            let number = number(client as i64, 1, nth);
            let commit = document.transact(Timestamp(1_000 + nth as u64), |tx| edit(tx, &mut rng, number)).unwrap();
            assert!(commit.delta.is_some());
        }
        document
    }

    /// A document with edits of two clients that did not know of each other.
    fn joined() -> Document {
        let mut document = written(1, 300);
        let other = written(2, 300);
        document.apply_diff(&other.diff_since(&document.version())).unwrap();
        document
    }

    fn tamper(edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Wrong {
        let mut document = joined();
        assert!(document.transact(Timestamp(9_000), edit).unwrap().delta.is_some());
        wrong(&document)
    }

    fn first(deed_of: Deed) -> i64 {
        (1..300).map(|nth| number(1, 1, nth)).find(|&number| deed(number) == deed_of).unwrap()
    }

    #[test]
    fn what_the_clients_write_is_as_it_should_be_also_when_they_are_joined() {
        assert_eq!(wrong(&joined()), Wrong::default());
        assert_eq!(runs(&joined()), [(number(1, 1, 1), number(1, 1, 300)), (number(2, 1, 1), number(2, 1, 300))]);
    }

    #[test]
    fn what_is_there_twice_is_noticed() {
        assert_eq!(tamper(|tx| tx.counter(COUNT)?.add(1)).twice.len(), 1);
        assert_eq!(tamper(|tx| tx.list(LIST)?.push(first(Deed::Insert)).map(drop)).twice.len(), 1);
        assert_eq!(tamper(|tx| tx.text(TEXT)?.push(&format!("<{}>", first(Deed::Type)))).twice.len(), 1);
        assert_eq!(tamper(|tx| tx.map(PUTS)?.put(&first(Deed::Move).to_string(), 1)).twice.len(), 1);
    }

    #[test]
    fn what_is_missing_is_noticed() {
        assert_eq!(tamper(|tx| tx.list(LIST)?.remove_at(0)).missing.len(), 1);
        assert!(!tamper(|tx| tx.text(TEXT)?.delete(1..2)).missing.is_empty());
        assert!(!tamper(|tx| tx.map(TREE)?.map("0")?.clear()).missing.is_empty());
        assert_eq!(tamper(|tx| tx.map(LAST)?.put("1", 0)).missing.len(), 1);
        let removing = (1..300).map(|nth| number(1, 1, nth)).find(|&number| deed(number) == Deed::RemovePut).unwrap();
        assert!(!tamper(|tx| tx.map(GONE)?.put(&removing.to_string(), "")).missing.is_empty());
    }

    #[test]
    fn an_edit_that_is_there_in_part_is_noticed() {
        let wrong = tamper(|tx| tx.set(EDITS)?.add(first(Deed::Insert) + 1_000_000_000).map(drop));
        // Whatever that number would have done was not done.
        assert_ne!(wrong, Wrong::default());
    }
}
