//! Documents that are built anew, at a relay that kept everything, and at one that did not.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::EditError;
use crate::clock::Timestamp;
use crate::document::{Outcome, Transaction};

fn id(number: u128) -> ReplicaId {
    ReplicaId::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Numbers that look random and follow from a seed.
struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A store: its document, and what waits for its ack.
#[derive(Clone)]
struct Store {
    document: Document,
    waiting: Vec<Delta>,
    /// What they depend on, by their names.
    deps: Map<Dot, Vec<(Dot, Tag)>>,
    acked: Vec<Delta>,
    now: u64,
}

impl Store {
    fn new(replica: u128) -> Self {
        let document = Document::with_writer(id(replica));
        Self { document, waiting: Vec::new(), deps: Map::new(), acked: Vec::new(), now: 1 }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> &mut Self {
        self.now += 1;
        let commit = self.document.transact(Timestamp(self.now), edit).expect("it can be done");
        if let Some(delta) = commit.delta {
            self.deps.insert(delta.dot(), self.document.deps_of(&delta));
            self.waiting.push(delta);
        }
        self
    }

    fn write_as(&mut self, replica: u128) -> &mut Self {
        self.document.set_writer(Some(id(replica))).expect("no transaction is open");
        self
    }

    /// Pushes what waits, and takes in what the relay has.
    fn sync(&mut self, relay: &mut Document) -> &mut Self {
        for delta in self.waiting.drain(..) {
            assert_ne!(relay.apply(&delta).expect("it fits").outcome, Outcome::Parked);
            self.acked.push(delta);
        }
        self.catch_up(relay)
    }

    fn catch_up(&mut self, relay: &Document) -> &mut Self {
        let diff = relay.diff_since(&self.document.version());
        self.document.apply_diff(&diff).expect("it fits");
        self
    }

    fn chains(&self) -> Chains {
        let mut chains = Chains::new();
        for delta in &self.waiting {
            let positions = self.document.positions_of(delta);
            let chain: &mut Vec<Waiting> = chains.get_or_insert_with(delta.replica(), Vec::new);
            chain.push(Waiting {
                delta: delta.clone(),
                deps: self.deps.get(&delta.dot()).expect("it is known of each").clone(),
                positions,
            });
        }
        chains
    }

    /// Finds out that the relay's log contradicts it, and repairs that.
    fn repair(&mut self, relay: &Document, known: &[VoidFact], contradicted: &[ReplicaId]) -> Moved {
        let everything = relay.diff_since(&VersionVector::new());
        let contradicted = contradicted.iter().copied().fold(Set::new(), |mut all, id| {
            all.insert(id);
            all
        });
        let repaired = repair(&self.document, Document::new(), &everything, self.chains(), known, &contradicted);
        let Repaired { document, chains, moved } = repaired.expect("what is honest hangs together");
        self.document = document;
        for waiting in chains.values().flatten() {
            self.deps.insert(waiting.delta.dot(), waiting.deps.clone());
        }
        // In the order in which they are ready.
        let mut left: Vec<Delta> =
            chains.values().flat_map(|chain| chain.iter().map(|waiting| waiting.delta.clone())).collect();
        let mut relay = relay.clone();
        refill_relay(&self.document, &mut relay, &left);
        self.waiting.clear();
        while !left.is_empty() {
            let at = left.iter().position(|delta| relay.check(delta) != Ok(Readiness::NotReady)).expect("one is ready");
            let delta = left.remove(at);
            let _ = relay.apply(&delta);
            self.waiting.push(delta);
        }
        moved
    }
}

/// What the relay lacks and nothing that waits brings goes up as a diff, with all that waits.
fn refill_relay(document: &Document, relay: &mut Document, waiting: &[Delta]) {
    let first = |replica| {
        let first = waiting.iter().filter(|delta| delta.replica() == replica).map(Delta::first_seq).min();
        first.unwrap_or(u64::MAX)
    };
    let lacks = |relay: &Document| {
        document.version().iter().any(|(replica, entry)| relay.seq(replica) < entry.seq.min(first(replica) - 1))
    };
    if lacks(relay) {
        relay.apply_diff(&document.diff_for(&relay.digest())).expect("a refill fits");
    }
}

/// All are given everything, whoever comes first.
fn converge(relay: &mut Document, stores: &mut [&mut Store]) {
    for _ in 0..2 {
        for store in stores.iter_mut() {
            refill_relay(&store.document, relay, &store.waiting);
            store.sync(relay);
        }
    }
    for store in stores.iter() {
        assert_eq!(store.document.version(), relay.version());
        assert_eq!(store.document.digest(), relay.digest());
        assert_eq!(store.document.beacon(), relay.beacon());
    }
}

#[test]
fn id_8_only_the_branch_is_renumbered_and_not_what_both_have() {
    let mut relay = Document::new();
    let mut store = Store::new(1);
    store.edit(|tx| tx.counter("n")?.add(1)).sync(&mut relay);
    // Two edits that were not acked, when the store was copied.
    store.edit(|tx| tx.counter("n")?.add(10)).edit(|tx| tx.counter("n")?.add(100));
    let mut copy = store.clone();
    copy.edit(|tx| tx.counter("n")?.add(1_000)).sync(&mut relay);
    store.edit(|tx| tx.counter("n")?.add(10_000)).edit(|tx| tx.counter("n")?.add(100_000));
    let fact = fact_of(&store.waiting[2]);
    let moved = store.repair(&relay, &[fact], &[]);
    assert_eq!((moved.facts, moved.dots.dot_count()), (vec![fact], 2));
    converge(&mut relay, &mut [&mut store, &mut copy]);
    assert_eq!(relay.counter("n").value(), 111_111);
}

#[test]
fn fork_3_two_copies_that_rename_the_same_branch_apart_make_the_same_of_it() {
    // A clone with a non-empty outbox: both copies hold the branch, and both are told of it.
    let mut relay = Document::new();
    let mut first = Store::new(1);
    first.edit(|tx| tx.text("t")?.push("a")).sync(&mut relay);
    let mut log = first.clone();
    log.edit(|tx| tx.text("t")?.push("!").and(tx.counter("n")?.add(1))).sync(&mut relay);
    first.edit(|tx| tx.text("t")?.push("b")).edit(|tx| tx.counter("n")?.add(20));
    let mut second = first.clone();
    first.edit(|tx| tx.text("t")?.push("c"));
    second.edit(|tx| tx.text("t")?.push("d")).edit(|tx| tx.counter("n")?.add(300));
    let fact = fact_of(&first.waiting[0]);
    first.repair(&relay, &[fact], &[]);
    second.repair(&relay, &[fact], &[]);
    first.sync(&mut relay);
    // The branch of the second goes another way from its third edit on: it is void there as well, by the same rule.
    let later = fact_of(&second.waiting[2]);
    assert!(relay.apply(&second.waiting[2]).is_err());
    second.repair(&relay, &[fact, later], &[]);
    converge(&mut relay, &mut [&mut first, &mut second, &mut log]);
    assert_eq!(relay.counter("n").value(), 321);
    let mut characters: Vec<char> = relay.text("t").chars().collect();
    characters.sort_unstable();
    assert_eq!(characters, ['!', 'a', 'b', 'c', 'd']);
}

#[test]
fn fork_3_what_was_written_upon_the_branch_under_another_id_goes_with_it() {
    let mut relay = Document::new();
    let mut store = Store::new(1);
    store.edit(|tx| tx.map("m")?.put("k", 0)).sync(&mut relay);
    let mut copy = store.clone();
    copy.edit(|tx| tx.map("m")?.put("k", 1)).edit(|tx| tx.map("m")?.put("k", 2)).sync(&mut relay);
    store.edit(|tx| tx.map("m")?.map("row").map(drop));
    let fact = fact_of(&store.waiting[0]);
    store.write_as(2).edit(|tx| tx.map("m")?.map("row")?.put("by", "another id"));
    store.repair(&relay, &[fact], &[]);
    converge(&mut relay, &mut [&mut store, &mut copy]);
    assert_eq!(relay.map("m").map("row").get_as("by"), Some("another id"));
}

#[test]
fn fork_3_what_was_written_upon_the_logs_branch_is_not_taken_for_written_upon_the_void_one() {
    let mut relay = Document::new();
    let mut store = Store::new(1);
    store.edit(|tx| tx.map("m")?.put("k", 0)).sync(&mut relay);
    let mut copy = store.clone();
    copy.edit(|tx| tx.map("m")?.put("k", 1)).sync(&mut relay);
    store.edit(|tx| tx.map("m")?.put("j", 1));
    let fact = fact_of(&store.waiting[0]);
    // Another tab of the same store has what the log has under that name, and takes it away.
    let mut tab = Store::new(2);
    tab.catch_up(&relay).edit(|tx| tx.map("m")?.remove("k").map(drop));
    let upon = tab.waiting[0].clone();
    assert_eq!(upon.deps_on_others(), [store.waiting[0].dot()]);
    store.waiting.push(upon.clone());
    store.deps.insert(upon.dot(), tab.document.deps_of(&upon));
    let moved = store.repair(&relay, &[fact], &[]);
    assert_eq!(moved.facts, [fact]);
    converge(&mut relay, &mut [&mut store, &mut copy, &mut tab]);
    assert_eq!((relay.map("m").get_as("k"), relay.map("m").get_as("j")), (None::<i64>, Some(1)));
}

#[test]
fn fork_5_what_is_left_of_a_branch_that_the_relay_acked_and_lost_is_moved() {
    let mut relay = Document::new();
    let (mut store, mut third) = (Store::new(1), Store::new(3));
    store.edit(|tx| tx.text("t")?.push("ab")).sync(&mut relay);
    let (backup, mut copy) = (relay.clone(), store.clone());
    store.edit(|tx| tx.text("t")?.push("cd")).edit(|tx| tx.map("m")?.map("row")?.put("k", 1));
    store.sync(&mut relay);
    third.catch_up(&relay).edit(|tx| tx.map("m")?.map("row")?.put("third", 3)).edit(|tx| tx.text("t")?.push("e"));
    third.sync(&mut relay);
    // The relay is put back, and a copy of the store comes first.
    let mut relay = backup;
    copy.edit(|tx| tx.text("t")?.push("XY")).edit(|tx| tx.text("t")?.push("Z")).sync(&mut relay);
    let moved = [store.repair(&relay, &[], &[id(1)]), third.repair(&relay, &[], &[id(1)])];
    assert!(moved.iter().all(|moved| !moved.dots.is_empty()), "the application is told");
    converge(&mut relay, &mut [&mut store, &mut third, &mut copy]);
    let rows = relay.map("m");
    assert_eq!((rows.map("row").get_as("k"), rows.map("row").get_as("third")), (Some(1), Some(3)));
    let text = relay.text("t").to_string();
    for piece in ["ab", "cd", "XYZ", "e"] {
        assert!(text.contains(piece), "{piece} is lost: {text}");
    }
}

#[test]
fn fork_5_who_holds_the_same_moves_the_same() {
    let mut relay = Document::new();
    let mut store = Store::new(1);
    store.edit(|tx| tx.set("s")?.add("old")).sync(&mut relay);
    let (mut backup, mut copy) = (relay.clone(), store.clone());
    store.edit(|tx| tx.list("l")?.push("acked").map(drop)).sync(&mut relay);
    let mut readers = [Store::new(3), Store::new(4)];
    for reader in &mut readers {
        reader.catch_up(&relay);
    }
    copy.edit(|tx| tx.set("s")?.add("log")).sync(&mut backup);
    let [first, second] = &mut readers;
    for holder in [&mut store, first, second] {
        holder.repair(&backup, &[], &[id(1)]);
    }
    let [first, second] = &mut readers;
    converge(&mut backup, &mut [&mut store, first, second, &mut copy]);
    assert_eq!(backup.list("l").len(), 1);
}

#[test]
fn fork_5_a_removal_by_a_branch_that_is_gone_does_not_part_those_who_agree_on_everything_else() {
    let mut relay = Document::new();
    let (mut store, mut other) = (Store::new(1), Store::new(2));
    store.edit(|tx| tx.set("s")?.add("a")).sync(&mut relay);
    let (mut backup, mut copy) = (relay.clone(), store.clone());
    other.catch_up(&relay).edit(|tx| tx.set("s")?.add("b")).sync(&mut relay);
    let mut witness = Store::new(5);
    witness.catch_up(&relay);
    store.catch_up(&relay).edit(|tx| tx.set("s")?.remove(&"b".into()).map(drop)).sync(&mut relay);
    copy.edit(|tx| tx.set("s")?.add("log")).sync(&mut backup);
    store.repair(&backup, &[], &[id(1)]);
    converge(&mut backup, &mut [&mut store, &mut witness, &mut copy]);
    assert!(backup.set("s").contains(&"log".into()));
}

/// The members and texts that edits made, each of which names its edit.
fn marked(tx: &mut Transaction<'_>, number: usize) -> Result<(), EditError> {
    tx.counter("count")?.add(1)?;
    tx.set("edits")?.add(number as i64)?;
    tx.list("list")?.push(number as i64)?;
    tx.text("text")?.push(&piece(number))
}

/// Nobody types any of these characters twice.
fn piece(number: usize) -> String {
    (0..3).filter_map(|at| char::from_u32(0x4e00 + 3 * number as u32 + at)).collect()
}

fn holds_once(document: &Document, edits: usize, seed: u64) {
    assert_eq!(document.counter("count").value(), edits as i128, "seed {seed}");
    let text = document.text("text").to_string();
    let list = document.list("list");
    for number in 0..edits {
        let piece = piece(number);
        assert_eq!(text.matches(&piece).count(), 1, "seed {seed}: edit {number} in {text}");
        let times = (0..list.len()).filter(|at| list.get_as(*at) == Some(number as i64)).count();
        assert_eq!((times, document.set("edits").contains(&(number as i64).into())), (1, true), "seed {seed}");
    }
}

#[test]
fn fork_3_random_histories_of_copies_converge_with_every_edit_once() {
    let mut forks = 0;
    for seed in 0..120 {
        let mut random = Random::seeded(seed);
        let mut relay = Document::new();
        let (mut store, mut other) = (Store::new(1), Store::new(2));
        let mut edits = 0;
        let mut write = |store: &mut Store, random: &mut Random, most: usize| {
            for _ in 0..random.below(most) {
                store.edit(|tx| marked(tx, edits));
                edits += 1;
                store.edit(|tx| harmless_edit(tx, random));
            }
        };
        for _ in 0..3 {
            write(&mut store, &mut random, 4);
            write(&mut other, &mut random, 3);
            store.sync(&mut relay);
            other.sync(&mut relay);
        }
        let backup = relay.clone();
        write(&mut other, &mut random, 3);
        other.sync(&mut relay);
        store.catch_up(&relay);
        write(&mut store, &mut random, 3);
        let mut copy = store.clone();
        write(&mut store, &mut random, 4);
        if random.one_in(2) {
            // It goes on under another id.
            store.write_as(9);
            write(&mut store, &mut random, 3);
        }
        write(&mut copy, &mut random, 4);
        if random.one_in(3) {
            relay = backup;
        }
        refill_relay(&copy.document, &mut relay, &copy.waiting);
        copy.sync(&mut relay);
        // What the other pushes is what the relay says is next; where its log contradicts, it names the delta.
        let known = contradiction(&store.waiting, &relay, &copy.acked);
        if !known.is_empty() {
            forks += 1;
            store.repair(&relay, &known, &[]);
        }
        converge(&mut relay, &mut [&mut store, &mut copy, &mut other]);
        holds_once(&relay, edits, seed);
    }
    assert!(forks > 30, "{forks} forks show little");
}

/// The first delta that contradicts what the relay has: of these deltas.
fn contradiction(waiting: &[Delta], relay: &Document, log: &[Delta]) -> Vec<VoidFact> {
    let differs = |delta: &&Delta| {
        delta.first_seq() <= relay.seq(delta.replica()) && log.iter().all(|other| other.tag() != delta.tag())
    };
    waiting.iter().find(differs).map(fact_of).into_iter().collect()
}

fn harmless_edit(tx: &mut Transaction<'_>, random: &mut Random) -> Result<(), EditError> {
    let key = ["a", "b", "c"][random.below(3)];
    let value = random.below(100) as i64;
    match random.below(5) {
        0 => tx.map("m")?.put(key, value),
        1 => tx.map("m")?.remove(key).map(drop),
        2 => tx.map("m")?.map(key)?.put("x", value),
        3 => tx.set("s")?.add(value),
        _ => tx.text("other")?.insert(0, key),
    }
}

#[test]
fn fork_5_random_histories_with_relays_that_lost_the_branch_converge_and_lose_nothing() {
    let mut times = 0;
    for seed in 0..120 {
        let mut random = Random::seeded(seed);
        let mut relay = Document::new();
        let (mut store, mut other) = (Store::new(1), Store::new(2));
        let mut edits = 0;
        let mut write = |store: &mut Store, random: &mut Random, most: usize| {
            for _ in 0..random.below(most) {
                store.edit(|tx| marked(tx, edits));
                edits += 1;
                store.edit(|tx| harmless_edit(tx, random));
            }
        };
        for _ in 0..2 {
            write(&mut store, &mut random, 3);
            write(&mut other, &mut random, 3);
            store.sync(&mut relay);
            other.sync(&mut relay);
        }
        store.catch_up(&relay);
        let (mut backup, mut copy) = (relay.clone(), store.clone());
        let same = relay.seq(id(1));
        for _ in 0..2 {
            write(&mut store, &mut random, 3);
            store.sync(&mut relay);
            other.catch_up(&relay);
            write(&mut other, &mut random, 3);
            other.sync(&mut relay);
        }
        write(&mut store, &mut random, 2);
        write(&mut copy, &mut random, 5);
        copy.sync(&mut backup);
        let forks = backup.seq(id(1)) > same && store.document.seq(id(1)) > same;
        if forks {
            times += 1;
            store.repair(&backup, &[], &[id(1)]);
            refill_relay(&store.document, &mut backup, &store.waiting);
            other.repair(&backup, &[], &[id(1)]);
        }
        converge(&mut backup, &mut [&mut store, &mut other, &mut copy]);
        let text = backup.text("text").to_string();
        let list = backup.list("list");
        for number in 0..edits {
            let piece = piece(number);
            assert!(text.contains(&piece), "seed {seed}: edit {number} in {text}");
            assert!((0..list.len()).any(|at| list.get_as(at) == Some(number as i64)), "seed {seed}");
            assert!(backup.set("edits").contains(&(number as i64).into()), "seed {seed}");
        }
    }
    assert!(times > 30, "{times} forks show little");
}
