//! DSON 0.3: a bag of types, of which each root is one, an `OrMap` with its causal context. Changes are deltas, made by the `api` level.
//!
//! Its transactions clone the whole store when they begin and join every edit into it at once, which is a pass over the map each time; its
//! documentation sends whoever cannot afford that to the functions below them. So here the edits of a transaction are deltas made against a
//! context that goes along with them, joined with each other first and with the store once. Single edits that are not sent stay in such a
//! group of up to 1 000 even across transactions, until somebody reads, syncs or saves, or touches a key of the group again: the best that
//! can be done for it. What is sent is joined at once. A join moves every entry of the store, however small the delta, and so does applying
//! one: each edit of a large map takes a time that grows with the map, so that few of the edits of [`Row::EditLarge`] are done in its time.
//!
//! It has no bytes of its own but serde, and a flattened field that formats which do not describe themselves refuse; its comments name
//! MessagePack, which is also the smallest of those that work. It has no sync either, but what one needs: `subset_for_inflation_from` leaves
//! out removals, "an exercise for the caller", to whom `compute_deletions_unknown_to` is offered. So a replica asks with its context and the
//! dots that live in it. Identifiers have 20 bits and are given out by whoever runs the network: here, in the order in which replicas
//! appear.
//!
//! It has registers, maps and arrays, but neither sets nor counters. What its users can do instead: a map of `true`; a map with one total
//! per client, summed up by the reader. Registers keep concurrent values; shown is the last, as its documentation advises.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Mutex;

use ::dson::crdts::mvreg::MvRegValue;
use ::dson::crdts::{NoExtensionTypes, TypeVariantValue, ValueRef};
use ::dson::sentinel::DummySentinel;
use ::dson::{
    CausalContext, CausalDotStore, ComputeDeletionsArg, DotStore, Identifier, MAX_APPLICATION_ID, OrMap, api,
    compute_deletions_unknown_to,
};

use crate::peer::{Contents, Edit, Peer, Scan, Todo, Traffic, Value};
use crate::row::Row;

type Map = OrMap<String>;
type Store = CausalDotStore<Map>;
/// What a replica says of a root when it asks: all the dots that it has seen, and those that live.
type Question = (CausalContext, CausalContext);

/// A replica in DSON.
pub struct Dson {
    id: Identifier,
    /// The client's name as a key of counters.
    client: String,
    /// By the numbers below. Reading joins what waits in the group, hence the cells.
    roots: [RefCell<Root>; 5],
}

const MAP: usize = 0;
const COUNTER: usize = 1;
const COUNTERS: usize = 2;
const SET: usize = 3;
const TODOS: usize = 4;

/// How many edits a group takes at most.
const GROUP: usize = 1_000;

#[derive(Default)]
struct Root {
    store: Store,
    /// Deltas that are not joined yet, no two of one key.
    group: Vec<Store>,
    touched: HashSet<String>,
    /// The store's and the group's.
    context: CausalContext,
}

impl Peer for Dson {
    const NAME: &'static str = "dson";

    fn supports(row: Row) -> bool {
        !row.is_text() && !row.is_list()
    }

    fn new(replica: u64) -> Self {
        Self::of(<[Store; 5]>::default(), replica)
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        let mut sent: [Vec<Store>; 5] = Default::default();
        for edit in edits {
            let (root, delta) = self.edit(edit);
            if send {
                sent[root].push(delta.clone());
            }
            self.roots[root].get_mut().add(delta);
        }
        if edits.len() > 1 {
            self.join_groups();
        }
        send.then(|| {
            let deltas: Vec<(usize, Store)> =
                sent.into_iter().map(joined).enumerate().filter(|(_, delta)| !delta.context.is_empty()).collect();
            let bytes = encode(&deltas);
            deltas.iter().for_each(|(root, _)| self.roots[*root].get_mut().join_group());
            bytes
        })
    }

    fn apply(&mut self, sent: &[u8]) {
        for (root, delta) in decode::<Vec<(usize, Store)>>(sent) {
            self.roots[root].get_mut().join(delta);
        }
    }

    fn apply_all(&mut self, sent: &[Vec<u8>]) {
        let mut received: [Vec<Store>; 5] = Default::default();
        for (root, delta) in sent.iter().flat_map(|one| decode::<Vec<(usize, Store)>>(one)) {
            received[root].push(delta);
        }
        for (root, deltas) in self.roots.iter_mut().zip(received) {
            root.get_mut().join(joined(deltas));
        }
    }

    fn save(&mut self) -> Vec<u8> {
        self.join_groups();
        encode(&self.roots.each_mut().map(|root| &root.get_mut().store))
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        Self::of(decode(bytes), replica)
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.read(MAP, |map| map.get(key).and_then(shown))
    }

    fn scan(&self) -> Scan {
        self.read(MAP, |map| {
            let mut scan = Scan::default();
            for (key, value) in map.inner().iter() {
                let weight = match last(value) {
                    Some(MvRegValue::String(text)) => text.len() as u64,
                    _ => shown(value).map_or(0, |value| value.weight()),
                };
                scan.entries += 1;
                scan.bytes += key.len() as u64 + weight;
            }
            scan
        })
    }

    fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        self.read(MAP, |map| {
            let shown = map.inner().iter().filter_map(|(key, value)| Some((key.clone(), shown(value)?)));
            contents.map = shown.collect();
        });
        self.read(COUNTER, |clients| contents.counter = clients.inner().values().map(total).sum());
        self.read(COUNTERS, |counters| {
            for (key, clients) in counters.inner().iter() {
                contents.counters.insert(key.clone(), clients.map.inner().values().map(total).sum());
            }
        });
        self.read(SET, |set| contents.set = set.inner().iter().map(|(member, _)| member.clone()).collect());
        self.read(TODOS, |todos| {
            for (id, todo) in todos.inner().iter() {
                let title = match todo.map.get("title").and_then(last) {
                    Some(MvRegValue::String(title)) => Some(title.clone()),
                    _ => None,
                };
                let done = match todo.map.get("done").and_then(last) {
                    Some(MvRegValue::Bool(done)) => Some(*done),
                    _ => None,
                };
                contents.todos.insert(id.clone(), Todo { title, done });
            }
        });
        contents
    }

    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic {
        let mut traffic = Traffic::default();
        let asked = encode(&other.question());
        traffic.count(&asked);
        // Where both want to know, the answer is followed by a question, in one message.
        let answer = encode(&(self.answer(&decode(&asked)), both_ways.then(|| self.question())));
        traffic.count(&answer);
        let (answer, asked): ([Store; 5], Option<[Question; 5]>) = decode(&answer);
        // The answer back is to what was asked, so it is made of what was there before.
        let back = asked.map(|asked| encode(&other.answer(&asked)));
        other.join_all(answer);
        if let Some(back) = back {
            traffic.count(&back);
            self.join_all(decode(&back));
        }
        traffic
    }
}

impl Dson {
    fn of(stores: [Store; 5], replica: u64) -> Self {
        let id = identifier(replica);
        let root = |store: Store| RefCell::new(Root { context: store.context.clone(), store, ..Root::default() });
        Self { id, client: id.bits().to_string(), roots: stores.map(root) }
    }

    /// What an edit does, and to which root.
    fn edit(&mut self, edit: &Edit) -> (usize, Store) {
        let client = self.client.clone();
        let text = |text: &String| MvRegValue::String(text.clone());
        match edit {
            Edit::Put { key, value: Value::Text(new) } => self.write(MAP, key, |_| text(new)),
            Edit::Put { key, value: Value::Number(new) } => self.write(MAP, key, |_| MvRegValue::I64(*new)),
            Edit::Put { key, value: Value::Object(fields) } => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), text(value)));
                self.replace(MAP, key, fields)
            }
            Edit::RemoveKey { key } => self.remove(MAP, key),
            Edit::Increment { counter: None, by } => {
                self.write(COUNTER, &client, |own| MvRegValue::I64(own.map_or(0, total) + by))
            }
            Edit::Increment { counter: Some(key), by } => {
                self.write_in(COUNTERS, key, &client, |own| MvRegValue::I64(own.map_or(0, total) + by))
            }
            Edit::Add { member } => self.write(SET, member, |_| MvRegValue::Bool(true)),
            Edit::Remove { member } => self.remove(SET, member),
            Edit::NewTodo { id, title } => {
                self.replace(TODOS, id, [("title", text(title)), ("done", MvRegValue::Bool(false))])
            }
            Edit::SetDone { id, done } => self.write_in(TODOS, id, "done", |_| MvRegValue::Bool(*done)),
            Edit::SetTitle { id, title } => self.write_in(TODOS, id, "title", |_| text(title)),
            Edit::DeleteTodo { id } => self.remove(TODOS, id),
            Edit::Splice { .. } | Edit::List { .. } => unreachable!("rows with texts and lists are not supported"),
        }
    }

    /// Writes a register, knowing what is there.
    fn write(
        &mut self,
        root: usize,
        key: &str,
        value: impl FnOnce(Option<&TypeVariantValue<NoExtensionTypes>>) -> MvRegValue,
    ) -> (usize, Store) {
        let id = self.id;
        let (map, context) = self.before(root, key);
        let value = value(map.get(key));
        (
            root,
            map.apply_to_register(|register, context, id| register.write(value, context, id), key.into(), context, id),
        )
    }

    /// Writes a register in the map that is at the key.
    fn write_in(
        &mut self,
        root: usize,
        key: &str,
        field: &str,
        value: impl FnOnce(Option<&TypeVariantValue<NoExtensionTypes>>) -> MvRegValue,
    ) -> (usize, Store) {
        let id = self.id;
        let (map, context) = self.before(root, key);
        let write = |inner: &Map, context: &CausalContext, id| {
            let value = value(inner.get(field));
            inner.apply_to_register(
                |register, context, id| register.write(value, context, id),
                field.into(),
                context,
                id,
            )
        };
        (root, map.apply_to_map(write, key.into(), context, id))
    }

    /// A map with these fields, and no others, at the key.
    fn replace<'a>(
        &mut self,
        root: usize,
        key: &str,
        fields: impl IntoIterator<Item = (&'a str, MvRegValue)>,
    ) -> (usize, Store) {
        let id = self.id;
        let (map, context) = self.before(root, key);
        let make = |inner: &Map, context: &CausalContext, id| {
            let mut seen = context.clone();
            let mut made = Store { store: Map::default(), context: inner.dots() };
            for (name, value) in fields {
                let field = api::map::apply_to_register(
                    |register: &::dson::MvReg, context: &CausalContext, id| register.write(value, context, id),
                    name.to_owned(),
                )(inner, &seen, id);
                seen.union(&field.context);
                made.join_or_replace_with(field.store, &field.context);
            }
            made
        };
        (root, map.apply_to_map(make, key.into(), context, id))
    }

    fn remove(&mut self, root: usize, key: &str) -> (usize, Store) {
        let id = self.id;
        let (map, context) = self.before(root, key);
        (root, map.remove(key, context, id))
    }

    /// The map to make a delta of, which knows the key's last state, and the context that the delta follows.
    fn before(&mut self, root: usize, key: &str) -> (&Map, &CausalContext) {
        let root = self.roots[root].get_mut();
        if root.group.len() >= GROUP || !root.touched.insert(key.to_owned()) {
            root.join_group();
            root.touched.insert(key.to_owned());
        }
        (&root.store.store, &root.context)
    }

    fn read<T>(&self, root: usize, read: impl FnOnce(&Map) -> T) -> T {
        let mut root = self.roots[root].borrow_mut();
        root.join_group();
        read(&root.store.store)
    }

    fn question(&self) -> [Question; 5] {
        self.roots.each_ref().map(|root| {
            let mut root = root.borrow_mut();
            root.join_group();
            (root.store.context.clone(), root.store.store.dots())
        })
    }

    /// What whoever asked lacks: additions, and removals of what lives there but not here.
    fn answer(&self, asked: &[Question; 5]) -> [Store; 5] {
        std::array::from_fn(|index| {
            let mut root = self.roots[index].borrow_mut();
            root.join_group();
            let (known, live) = &asked[index];
            let mut answer = root.store.subset_for_inflation_from(known);
            let removals = compute_deletions_unknown_to(ComputeDeletionsArg {
                known_dots: &root.store.context,
                live_dots: &root.store.store.dots(),
                ignorant: live,
            });
            answer.context.union(&removals);
            answer
        })
    }

    fn join_groups(&mut self) {
        self.roots.iter_mut().for_each(|root| root.get_mut().join_group());
    }

    fn join_all(&mut self, answer: [Store; 5]) {
        for (root, delta) in self.roots.iter_mut().zip(answer) {
            root.get_mut().join(delta);
        }
    }
}

impl Root {
    fn add(&mut self, delta: Store) {
        if !delta.context.is_empty() {
            self.context.union(&delta.context);
            self.group.push(delta);
        }
    }

    fn join_group(&mut self) {
        self.touched.clear();
        if !self.group.is_empty() {
            let group = joined(std::mem::take(&mut self.group));
            self.store.join_or_replace_with(group.store, &group.context);
        }
    }

    fn join(&mut self, delta: Store) {
        self.join_group();
        // An empty delta changes nothing, but joining it is a pass over the map.
        if !delta.context.is_empty() {
            self.store.join_or_replace_with(delta.store, &delta.context);
            self.context = self.store.context.clone();
        }
    }
}

/// One delta of many: joined by twos, since a join moves every entry of both.
fn joined(mut deltas: Vec<Store>) -> Store {
    while deltas.len() > 1 {
        let mut rest = deltas.into_iter();
        let mut halves = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(one) = rest.next() {
            halves.push(match rest.next() {
                Some(other) => one.join(other, &mut DummySentinel).expect("this sentinel lets all pass"),
                None => one,
            });
        }
        deltas = halves;
    }
    deltas.pop().unwrap_or_default()
}

/// The last of the concurrent values of a register.
fn last(value: &TypeVariantValue<NoExtensionTypes>) -> Option<&MvRegValue> {
    api::register::values(&value.reg).last()
}

fn shown(value: &TypeVariantValue<NoExtensionTypes>) -> Option<Value> {
    if value.is_bottom() {
        return None;
    }
    Some(match value.coerce_to_value_ref() {
        ValueRef::Register(_) => match last(value)? {
            MvRegValue::String(text) => Value::Text(text.clone()),
            MvRegValue::I64(number) => Value::Number(*number),
            other => panic!("{other:?} is nothing that was put"),
        },
        ValueRef::Map(fields) => {
            let text = |value| match last(value) {
                Some(MvRegValue::String(text)) => text.clone(),
                other => panic!("{other:?} is nothing that was put"),
            };
            let mut fields: Vec<(String, String)> =
                fields.inner().iter().map(|(name, value)| (name.clone(), text(value))).collect();
            fields.sort();
            Value::Object(fields)
        }
        _ => panic!("neither arrays nor types of one's own were put"),
    })
}

/// A client's own total, which nobody else writes.
fn total(value: &TypeVariantValue<NoExtensionTypes>) -> i64 {
    match last(value) {
        Some(MvRegValue::I64(total)) => *total,
        other => panic!("{other:?} is no total"),
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("types that describe themselves")
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    rmp_serde::from_slice(bytes).expect("what was encoded")
}

/// The replica's number in the network, as if somebody gave them out: cut down to 20 bits, random ids would meet each other.
fn identifier(replica: u64) -> Identifier {
    static GIVEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().expect("nobody panics with the list");
    let number = given.iter().position(|known| *known == replica).unwrap_or_else(|| {
        given.push(replica);
        given.len() - 1
    });
    let applications = usize::from(MAX_APPLICATION_ID) + 1;
    let node = u8::try_from(number / applications).expect("fewer than a million replicas");
    Identifier::new(node, (number % applications) as u16)
}

#[cfg(test)]
mod tests {
    use super::super::common::{self, put};
    use super::*;
    use crate::workload::replica;

    #[test]
    fn every_row_converges_when_small() {
        common::every_row_converges_when_small::<Dson>();
    }

    #[test]
    fn catching_up_takes_removals_along_in_both_directions() {
        let (mut one, mut other) = (Dson::new(replica(1)), Dson::new(replica(2)));
        one.transact(&[put("a", "1"), put("b", "2"), put("c", "3")], false);
        one.catch_up(&mut other, false);
        one.transact(&[Edit::RemoveKey { key: "a".into() }, put("b", "4")], false);
        other.transact(&[Edit::RemoveKey { key: "c".into() }], false);
        other.transact(&[Edit::Increment { counter: Some("k".into()), by: 7 }], false);
        one.transact(&[Edit::Increment { counter: Some("k".into()), by: -2 }], false);
        let traffic = one.catch_up(&mut other, true);
        assert_eq!(traffic.messages, 3);
        assert_eq!(one.contents(), other.contents());
        assert_eq!(one.contents().map.into_iter().collect::<Vec<_>>(), [("b".into(), Value::Text("4".into()))]);
        assert_eq!(one.contents().counters["k"], 5);
    }

    #[test]
    fn one_transaction_may_touch_a_key_again_and_is_one_delta() {
        let (mut one, mut other) = (Dson::new(replica(1)), Dson::new(replica(2)));
        let remove = Edit::RemoveKey { key: "gone".into() };
        let edits = [put("a", "1"), put("gone", "x"), put("a", "2"), remove, Edit::Increment { counter: None, by: 3 }];
        let sent = one.transact(&edits, true).expect("something changed");
        other.apply(&sent);
        assert_eq!(one.contents(), other.contents());
        assert_eq!(other.get("a"), Some(Value::Text("2".into())));
        assert_eq!((other.get("gone"), other.contents().counter), (None, 3));
        let loaded = Dson::load(&one.save(), replica(3));
        assert_eq!(loaded.contents(), one.contents());
    }

    #[test]
    fn edits_that_wait_in_a_group_are_read_at_once() {
        let mut peer = Dson::new(replica(1));
        for round in 0..3 {
            for key in ["a", "b", "c"] {
                peer.transact(&[put(key, &round.to_string())], false);
            }
        }
        assert_eq!(peer.get("b"), Some(Value::Text("2".into())));
        assert_eq!(peer.scan(), Scan { entries: 3, bytes: 6 });
    }
}
