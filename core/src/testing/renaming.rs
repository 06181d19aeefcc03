//! Renamed branches beside the log's, one kind of content after the other, and random ones of all kinds.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Random, Shape, Spec, content, dump, random_edit};
use crate::clock::{Dot, DotRuns, Hlc, Tag, Timestamp, VoidFact};
use crate::delta::{Delta, DeltaParts};
use crate::document::{Document, EditError, Outcome, Renaming, Transaction};
use crate::few::Few;
use crate::replica_id::ReplicaId;
use crate::store::Kind;

fn id(number: u128) -> ReplicaId {
    // Spread, so that they are in no order beside the derived ones.
    ReplicaId::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// A document, and what was done to it since somebody asked.
#[derive(Clone)]
struct Copy {
    document: Document,
    deltas: Vec<Delta>,
    now: u64,
}

impl Copy {
    fn new(replica: u128) -> Self {
        Self { document: Document::with_writer(id(replica)), deltas: Vec::new(), now: 1 }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> &mut Self {
        self.now += 1;
        let commit = self.document.transact(Timestamp(self.now), edit).expect("it can be done");
        self.deltas.extend(commit.delta);
        self
    }

    /// A copy under the same id, which nobody ever makes on purpose: what it does is a branch.
    fn branch(&self) -> Self {
        Self { deltas: Vec::new(), ..self.clone() }
    }

    fn apply<'d>(&mut self, deltas: impl IntoIterator<Item = &'d Delta>) -> &mut Self {
        for delta in deltas {
            let applied = self.document.apply(delta).expect("it fits");
            assert_ne!(applied.outcome, Outcome::Parked, "it is ready: {delta:?}");
        }
        self
    }

    fn fact(&self) -> VoidFact {
        let first = &self.deltas[0];
        VoidFact { replica: first.replica(), first_seq: first.first_seq(), tag: first.tag() }
    }

    /// What it did, renamed.
    fn renamed(&self) -> Vec<Delta> {
        let mut renaming = Renaming::default();
        renaming.add(self.fact());
        renamed(&mut renaming, &self.deltas)
    }
}

fn renamed(renaming: &mut Renaming, deltas: &[Delta]) -> Vec<Delta> {
    deltas.iter().for_each(|delta| renaming.learn(delta));
    let renamed: Vec<_> = deltas.iter().map(|delta| renaming.rename(delta)).collect();
    for delta in &renamed {
        let read = Delta::decode(delta.bytes(), delta.prev_tag());
        assert_eq!(read.as_ref(), Ok(delta), "BYTES-2: what is renamed is canonical");
    }
    renamed
}

/// Two branches of one replica: what both hold together.
fn joined(log: &Copy, void: &Copy) -> Document {
    let mut log = log.clone();
    let deltas = void.renamed();
    log.apply(&deltas).apply(&void.renamed());
    log.document
}

#[test]
fn fork_3_totals_of_a_void_branch_begin_at_zero() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.counter("n")?.add(5));
    let (mut log, mut void) = (store.branch(), store.branch());
    log.edit(|tx| tx.counter("n")?.add(10));
    void.edit(|tx| tx.counter("n")?.add(100)).edit(|tx| tx.counter("n")?.add(-1)).edit(|tx| tx.counter("m")?.add(7));
    let both = joined(&log, &void);
    assert_eq!((both.counter("n").value(), both.counter("m").value()), (114, 7));
    // Where the log did not overwrite the total, it is there all the same.
    let both = joined(&store, &void);
    assert_eq!(both.counter("n").value(), 104);
}

#[test]
fn own_1_nobody_else_takes_a_total_away() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.counter("n")?.add(5)).edit(|tx| tx.bounded_counter("b")?.add(5));
    let mut deltas = store.deltas.clone();
    let mut forged = Copy::new(2);
    forged.apply(&deltas);
    let total: DotRuns = [Dot::new(id(1), 1), Dot::new(id(1), 2)].into_iter().collect();
    let parts = DeltaParts {
        replica: id(2),
        first_seq: 1,
        dots: 1,
        deps: forged.document.heads().into(),
        hlc: Hlc::default(),
        bunches: Vec::new(),
        adds: Few::new(),
        text: Few::new(),
        totals_before: Few::new(),
        removes: total,
    };
    deltas.push(Delta::seal(parts, Tag::start(id(2))));
    let mut reader = Copy::new(3);
    reader.apply(&deltas);
    assert_eq!((reader.document.counter("n").value(), reader.document.bounded_counter("b").value()), (5, 5));
    // Nor where a diff tells it.
    let mut late = Copy::new(4);
    late.apply(&deltas[..2]);
    let diff = reader.document.diff_since(&late.document.version());
    assert_eq!(late.document.apply_diff(&diff).map(|applied| applied.outcome), Ok(Outcome::Applied));
    assert_eq!(late.document.counter("n").value(), 5);
    assert_eq!(late.document.beacon(), reader.document.beacon());
}

#[test]
fn fork_3_rights_of_a_void_branch_go_with_it_but_in_its_own_counters() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.bounded_counter("stock")?.add(5));
    let (mut log, mut void) = (store.branch(), store.branch());
    log.edit(|tx| tx.bounded_counter("stock")?.subtract(4));
    void.edit(|tx| tx.bounded_counter("stock")?.subtract(5));
    void.edit(|tx| tx.map("m")?.bounded_counter("new")?.add(3));
    let both = joined(&log, &void);
    assert_eq!(both.bounded_counter("stock").value(), 1, "nobody sold the same twice");
    assert_eq!(both.map("m").bounded_counter("new").value(), 3);
}

#[test]
fn fork_3_entities_of_a_void_branch_hold_what_it_put_into_them() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.map("rows")?.map("old")?.put("n", 1));
    let (mut log, mut void) = (store.branch(), store.branch());
    log.edit(|tx| tx.map("rows")?.map("log")?.put("n", 2)).edit(|tx| tx.map("rows")?.map("log")?.put("n", 3));
    void.edit(|tx| tx.map("rows")?.map("void")?.put("n", 4)).edit(|tx| tx.map("rows")?.map("void")?.put("m", 5));
    void.edit(|tx| tx.map("rows")?.map("old")?.put("n", 6));
    let both = joined(&log, &void);
    let rows = both.map("rows");
    assert_eq!((rows.map("void").get_as("n"), rows.map("void").get_as("m")), (Some(4), Some(5)));
    assert_eq!((rows.map("log").get_as("n"), rows.map("old").get_as("n")), (Some(3), Some(6)));
}

#[test]
fn fork_3_removals_of_a_void_branch_are_of_its_own_dots_and_of_older_ones() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.set("s")?.add("old")).edit(|tx| tx.set("s")?.add("kept"));
    let (mut log, mut void) = (store.branch(), store.branch());
    log.edit(|tx| tx.set("s")?.add("log")).edit(|tx| tx.set("s")?.add("log 2"));
    void.edit(|tx| tx.set("s")?.add("taken back")).edit(|tx| tx.set("s")?.add("void"));
    void.edit(|tx| tx.set("s")?.remove(&"taken back".into()).map(drop))
        .edit(|tx| tx.set("s")?.remove(&"old".into()).map(drop));
    let both = joined(&log, &void);
    let members: Vec<_> = both.set("s").iter().filter_map(|member| member.as_str()).collect();
    assert_eq!(members, ["kept", "log", "log 2", "void"]);
}

#[test]
fn fork_3_text_of_a_void_branch_is_where_it_was_typed() {
    // Whatever the order of the ids is.
    for author in 2..12 {
        let mut store = Copy::new(1);
        store.edit(|tx| tx.text("t")?.push("ab"));
        // Somebody else typed behind the last character, so that something hangs there.
        let mut other = Copy::new(author);
        other.apply(&store.deltas).edit(|tx| tx.text("t")?.push("!"));
        store.apply(&other.deltas);
        let (mut log, mut void) = (store.branch(), store.branch());
        log.edit(|tx| tx.text("t")?.insert(2, "LOG"));
        void.edit(|tx| tx.text("t")?.insert(2, "cd")).edit(|tx| tx.text("t")?.insert(3, "x"));
        void.edit(|tx| tx.text("t")?.insert(0, "^")).edit(|tx| tx.text("t")?.insert(0, "__"));
        assert_eq!(void.document.text("t").to_string(), "__^abcxd!");
        assert_eq!(joined(&store, &void).text("t").to_string(), "__^abcxd!");
        assert_eq!(joined(&log, &void).text("t").to_string(), "__^abLOGcxd!");
    }
}

#[test]
fn fork_3_list_elements_and_moves_of_a_void_branch_are_where_they_were() {
    let mut store = Copy::new(1);
    for value in ["a", "b", "c"] {
        store.edit(|tx| tx.list("l")?.push(value).map(drop));
    }
    let (mut log, mut void) = (store.branch(), store.branch());
    log.edit(|tx| tx.list("l")?.push("log").map(drop));
    void.edit(|tx| tx.list("l")?.push("d").map(drop));
    let moved = void.document.list("l").id_at(0).expect("an element");
    void.edit(|tx| tx.list("l")?.move_to(moved, 3));
    let values = |document: &Document| -> Vec<String> {
        let list = document.list("l");
        (0..list.len()).filter_map(|at| Some(list.get(at)?.as_str()?.to_owned())).collect()
    };
    assert_eq!(values(&void.document), ["b", "c", "d", "a"]);
    assert_eq!(values(&joined(&store, &void)), ["b", "c", "d", "a"]);
    assert_eq!(values(&joined(&log, &void)), ["b", "c", "log", "d", "a"]);
}

#[test]
fn fork_3_marks_of_a_void_branch_are_on_its_text() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.text("t")?.push("plain "));
    let (mut log, mut void) = (store.branch(), store.branch());
    log.edit(|tx| tx.text("t")?.push("other "));
    void.edit(|tx| tx.text("t")?.push("bold")).edit(|tx| tx.text("t")?.mark(6..10, "b", true, crate::Expand::After));
    let both = joined(&log, &void);
    let text = both.text("t");
    let marked: Vec<_> = text.spans().into_iter().filter(|span| !span.marks.is_empty()).map(|span| span.text).collect();
    assert_eq!(marked, ["bold"]);
}

#[test]
fn fork_3_the_beginning_of_a_branch_is_renamed_as_in_the_whole() {
    for seed in 0..40 {
        let mut random = Random::seeded(seed);
        let mut store = Copy::new(1);
        scribble(&mut store, &mut random, 6);
        let mut void = store.branch();
        scribble(&mut void, &mut random, 8);
        if void.deltas.is_empty() {
            continue;
        }
        let whole = void.renamed();
        for count in 1..=void.deltas.len() {
            let begun = Copy { deltas: void.deltas[..count].to_vec(), ..void.clone() };
            assert_eq!(begun.renamed(), whole[..count]);
        }
    }
}

#[test]
fn fork_3_branches_that_build_upon_each_other_are_renamed_together() {
    let mut store = Copy::new(1);
    store.edit(|tx| tx.text("t")?.push("a"));
    let mut log = store.branch();
    log.edit(|tx| tx.text("t")?.push("?"));
    let mut void = store.branch();
    void.edit(|tx| tx.text("t")?.push("b")).edit(|tx| tx.map("m")?.map("row").map(drop));
    // The store goes on under another id before it knows.
    let first = void.fact();
    void.document.set_writer(Some(id(9))).unwrap();
    void.edit(|tx| tx.text("t")?.push("c")).edit(|tx| tx.map("m")?.map("row")?.put("k", 1));
    let later = VoidFact { replica: id(9), first_seq: 1, tag: void.deltas[2].tag() };
    let mut renaming = Renaming::default();
    renaming.add(first);
    renaming.add(later);
    log.apply(&renamed(&mut renaming, &void.deltas));
    assert_eq!(log.document.text("t").to_string(), "a?bc");
    assert_eq!(log.document.map("m").map("row").get_as("k"), Some(1));
}

fn scribble(copy: &mut Copy, random: &mut Random, edits: usize) {
    for _ in 0..edits {
        copy.edit(|tx| random_edit(tx, random, false));
    }
}

#[test]
fn fork_3_a_renamed_branch_shows_what_the_branch_showed() {
    for seed in 0..150 {
        let mut random = Random::seeded(seed);
        let (mut store, mut other) = (Copy::new(1), Copy::new(2));
        for _ in 0..4 {
            scribble(&mut store, &mut random, 3);
            scribble(&mut other, &mut random, 2);
            let theirs = core::mem::take(&mut other.deltas);
            store.apply(&theirs);
            let ours = core::mem::take(&mut store.deltas);
            other.apply(&ours);
            // Ties between stamps are broken by ids: those do change.
            store.now += 1 + random.below(3) as u64;
            other.now = store.now + 1_000;
            store.now += 2_000;
        }
        let mut void = store.branch();
        void.now += 5_000;
        scribble(&mut void, &mut random, 10);
        if void.deltas.is_empty() {
            continue;
        }
        let shown = without_rights(content(&void.document));
        assert_eq!(without_rights(content(&joined(&store, &void))), shown, "seed {seed}");

        // Beside the log's branch, in every order, it is what the specification says.
        let mut log = store.branch();
        scribble(&mut log, &mut random, 6);
        let renamed = void.renamed();
        let (mut first, mut last) = (store.clone(), store.clone());
        first.apply(&renamed).apply(&log.deltas);
        last.apply(&log.deltas).apply(&renamed);
        assert_eq!(first.document.version(), last.document.version());
        assert_eq!(dump(&first.document), dump(&last.document), "seed {seed}");
        assert_eq!(first.document.beacon(), last.document.beacon(), "seed {seed}");
    }
}

type Shown = alloc::collections::BTreeMap<(String, Kind), Shape>;

/// Without bounded counters, whose rights go with the branch.
fn without_rights(mut shown: Shown) -> Shown {
    fn blank(shape: &mut Shape) {
        match shape {
            Shape::Bounded { value, .. } => *value = 0,
            Shape::Map(keys) => keys.values_mut().for_each(blank),
            Shape::List(elements) => elements.iter_mut().for_each(|(_, shape)| blank(shape)),
            _ => {}
        }
    }
    shown.retain(|(_, kind), _| *kind != Kind::BOUNDED_COUNTER);
    shown.values_mut().for_each(blank);
    shown
}

#[test]
fn fork_3_the_specification_agrees_with_what_is_joined() {
    for seed in 1_000..1_040 {
        let mut random = Random::seeded(seed);
        let mut store = Copy::new(1);
        scribble(&mut store, &mut random, 8);
        let (mut log, mut void) = (store.branch(), store.branch());
        scribble(&mut log, &mut random, 8);
        scribble(&mut void, &mut random, 8);
        if log.deltas.is_empty() || void.deltas.is_empty() {
            continue;
        }
        let mut spec = Spec::default();
        let renamed = void.renamed();
        store.deltas.iter().chain(&log.deltas).chain(&renamed).for_each(|delta| spec.record(delta));
        log.apply(&renamed);
        assert_eq!(dump(&log.document), spec.dump(&log.document.version()), "seed {seed}");
    }
}
