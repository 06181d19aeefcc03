//! What documents cost: the numbers of the table in `core/README.md` are measured here.

mod common;

use std::fs;

use common::{edit, meet, writer};
use weftline::{Document, EditError, Kind, Transaction};

/// So many entries of one type are measured, with keys and values of so many bytes each.
const ENTRIES: usize = 1_000;
const BYTES: usize = 4;

/// Adds an entry, and says how many bytes of it are the key and the value.
type Add = fn(&mut Transaction<'_>, &str) -> Result<usize, EditError>;

const TYPES: &[(&str, Add)] = &[
    ("register, value under a key", |tx, text| tx.map("root")?.put(text, text).and(Ok(2 * BYTES))),
    ("flag", |tx, text| tx.map("root")?.enable(text).and(Ok(BYTES))),
    ("counter", |tx, text| tx.map("root")?.counter(text)?.add(1).and(Ok(BYTES))),
    ("set", |tx, text| tx.set("root")?.add(text).and(Ok(BYTES))),
    ("map", |tx, text| tx.map("root")?.map(text).and(Ok(BYTES))),
    ("list", |tx, text| tx.list("root")?.push(text).and(Ok(BYTES))),
];

fn text(index: usize) -> String {
    format!("{index:0width$}", width = BYTES)
}

/// The last cell of a row of the table of costs.
fn promised(readme: &str, name: &str) -> usize {
    let row = readme.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("the type has a row");
    let cell = row.trim_end_matches(" |").rsplit(" | ").next().expect("a row has cells");
    let number = cell.strip_suffix(" B").and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{cell} is no number of bytes"))
}

#[test]
fn an_entry_at_rest_takes_no_more_than_the_table_says() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("it can be read");
    for (name, add) in TYPES {
        let mut doc = writer(1);
        edit(&mut doc, 1, |tx| add(tx, &text(0)).map(drop));
        let mut content = 0;
        let one = doc.snapshot().len();
        edit(&mut doc, 2, |tx| (1..=ENTRIES).try_for_each(|index| add(tx, &text(index)).map(|bytes| content += bytes)));
        let beside = (doc.snapshot().len() - one - content).div_ceil(ENTRIES);
        let promised = promised(&readme, name);
        assert!(beside <= promised, "an entry of a {name} takes {beside} B beside key and value, not {promised}");
    }
}

#[test]
fn what_was_overwritten_and_removed_takes_nothing() {
    let history: fn(&mut Document) = |doc| {
        for round in 0..5_000 {
            edit(doc, round, |tx| {
                tx.map("m")?.put("k", round as i64)?;
                tx.counter("c")?.add(1)?;
                tx.set("s")?.add("x")?;
                tx.map("m")?.enable("f")?;
                let mut list = tx.list("l")?;
                list.push("x")?;
                if list.read().len() > 1 { list.remove_at(0) } else { Ok(()) }
            });
        }
        doc.truncate_removals();
    };
    let (mut long, mut short) = (writer(1), writer(1));
    history(&mut long);
    edit(&mut short, 1, |tx| {
        tx.map("m")?.put("k", 4_999)?;
        tx.counter("c")?.add(5_000)?;
        tx.set("s")?.add("x")?;
        tx.map("m")?.enable("f")?;
        tx.list("l")?.push("x").map(drop)
    });
    assert_eq!(long.live_count(), short.live_count());
    let (long, short) = (long.snapshot().len(), short.snapshot().len());
    assert!(long <= short + 40, "{long} B after 5 000 rounds, {short} B after one: only numbers are longer");
}

#[test]
fn a_counter_takes_one_entry_a_replica_and_a_diff_what_was_missed() {
    let (mut a, mut b) = (writer(1), writer(2));
    edit(&mut a, 1, |tx| (0..ENTRIES).try_for_each(|index| tx.list("l")?.insert_container(index, Kind::MAP).map(drop)));
    meet(&mut a, &mut b);
    let (before, live) = (b.version(), a.live_count());
    for round in 0..40 {
        edit(&mut a, round, |tx| tx.counter("c")?.add(1));
        edit(&mut b, round, |tx| tx.counter("c")?.add(1));
    }
    meet(&mut a, &mut b);
    assert_eq!(a.live_count(), live + 2);
    let diff = a.diff_since(&before);
    assert_eq!(diff.adds.len(), 2, "of eighty increments, what they add up to");
}
