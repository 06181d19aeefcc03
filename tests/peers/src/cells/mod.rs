//! Cells: one library, one row, one size, and what it cost. Each runs in a process of its own.
//!
//! Time is CPU time of the process, which a busy machine stretches less than the wall's. What a cell prepares (the edits, the documents to
//! start from) is done before the clock runs. Each cell ends by asserting that replicas of the library agree with each other and with the
//! workload's model: what is fast and wrong has no number.

mod b3;
mod bulk;
mod catch_up;
mod concurrent;
mod edits;
mod list;
mod snapshot;
mod text;
mod todo;

use std::path::Path;
use std::time::Duration;

use cpu_time::ProcessTime;

use crate::peer::{Contents, Edit, Peer};
use crate::row::Row;
use crate::workload::SEED;

/// How many operations a transaction of the bulk rows has.
pub const BATCH: usize = 1_000;

/// One measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What was measured.
    pub name: &'static str,
    /// In what.
    pub unit: &'static str,
    /// How much.
    pub value: f64,
}

/// The sizes of the rows, divided for quick runs.
#[derive(Clone, Copy, Debug)]
pub struct Scale(pub usize);

impl Scale {
    /// `full` divided, but at least 10.
    pub fn of(self, full: usize) -> usize {
        (full / self.0).max(10)
    }

    /// Single edits go on for no longer: libraries that go over the whole document for each would take minutes, and the time of one edit is
    /// known by then.
    pub fn longest(self) -> Duration {
        Duration::from_secs(10) / u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

/// Runs a cell of one library. Recorded traces are taken from `traces`, where they are there.
pub fn run<P: Peer>(row: Row, scale: Scale, traces: Option<&Path>) -> Vec<Metric> {
    match row {
        Row::MapSet => bulk::map_set::<P>(scale),
        Row::MapOverwrite => bulk::map_overwrite::<P>(scale),
        Row::CounterOne => bulk::counter_one::<P>(scale),
        Row::CounterMap => bulk::counter_map::<P>(scale),
        Row::SetAdd => bulk::set_add::<P>(scale),
        Row::SetChurn => bulk::set_churn::<P>(scale),
        Row::EditMap => edits::map::<P>(scale),
        Row::EditCounter => edits::counter::<P>(scale),
        Row::EditSet => edits::set::<P>(scale),
        Row::EditLarge => edits::large::<P>(scale),
        Row::FirstApply => edits::first_apply::<P>(scale),
        Row::CatchUp { missed, concurrent, loaded } => {
            catch_up::run::<P>(scale, scale.of(missed as usize), concurrent, loaded)
        }
        Row::Snapshot => snapshot::run::<P>(scale),
        Row::B3Number => b3::number::<P>(scale),
        Row::B3Object => b3::object::<P>(scale),
        Row::B3String => b3::string::<P>(scale),
        Row::B3Counter => b3::counter::<P>(scale),
        Row::Todo => todo::run::<P>(scale),
        Row::TextPaper => text::paper::<P>(scale, traces),
        Row::TextRust => text::rust::<P>(scale, traces),
        Row::TextConcurrent => concurrent::run::<P>(scale, traces),
        Row::TextRandom => text::random::<P>(scale),
        Row::TextPaste => text::paste::<P>(scale),
        Row::TextTyped => edits::typed::<P>(scale, traces),
        Row::ListPush => list::push::<P>(scale),
        Row::ListInsert => list::insert::<P>(scale),
        Row::ListMove => list::moves::<P>(scale),
        Row::ListDelete => list::delete::<P>(scale),
    }
}

/// Runs `work` and measures its CPU time.
fn time<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = ProcessTime::now();
    let result = work();
    (result, start.elapsed())
}

fn ms(name: &'static str, time: Duration) -> Metric {
    Metric { name, unit: "ms", value: time.as_secs_f64() * 1e3 }
}

/// Time of each of `count` operations.
fn us_each(name: &'static str, time: Duration, count: usize) -> Metric {
    Metric { name, unit: "µs", value: time.as_secs_f64() * 1e6 / count as f64 }
}

fn bytes(name: &'static str, bytes: usize) -> Metric {
    Metric { name, unit: "B", value: bytes as f64 }
}

/// Runs edits in transactions of [`BATCH`].
fn edit_in_batches<P: Peer>(peer: &mut P, edits: &[Edit]) {
    for batch in edits.chunks(BATCH) {
        peer.transact(batch, false);
    }
}

/// Runs edits in a transaction each, as a user makes them.
fn edit_singly<P: Peer>(peer: &mut P, edits: &[Edit]) {
    for edit in edits.chunks(1) {
        peer.transact(edit, false);
    }
}

/// Asserts that the peer shows what the workload says, and that a replica that starts from nothing ends up the same.
fn assert_converges<P: Peer>(peer: &mut P, expected: &Contents) {
    let mut other = P::new(crate::workload::replica(99));
    peer.catch_up(&mut other, false);
    assert_shows(peer, expected);
    assert_shows(&other, expected);
}

/// Asserts that the text is this one; where it is not, says where it parts from it.
fn assert_text<P: Peer>(peer: &P, expected: &str) {
    let shown = peer.text();
    if shown != expected {
        let at = shown.bytes().zip(expected.bytes()).take_while(|(shown, expected)| shown == expected).count();
        panic!(
            "{} shows {} bytes of text instead of {}, other from byte {at} on",
            P::NAME,
            shown.len(),
            expected.len()
        );
    }
}

fn assert_shows<P: Peer>(peer: &P, expected: &Contents) {
    // Contents are large: what differs is worth more than both sides of it.
    let shown = peer.contents();
    if shown != *expected {
        let differing = expected.map.iter().find(|(key, value)| shown.map.get(*key) != Some(*value));
        panic!(
            "{} shows something else than the workload's model: {} against {} keys, first that differs {differing:?}, counters {} \
             against {}, {} against {} counters in a map, {} against {} members, {} against {} todos, {} against {} bytes of text, \
             {} and {} against {} and {} elements of lists",
            P::NAME,
            shown.map.len(),
            expected.map.len(),
            shown.counter,
            expected.counter,
            shown.counters.len(),
            expected.counters.len(),
            shown.set.len(),
            expected.set.len(),
            shown.todos.len(),
            expected.todos.len(),
            shown.text.len(),
            expected.text.len(),
            shown.list.len(),
            shown.order.len(),
            expected.list.len(),
            expected.order.len(),
        );
    }
}
