//! Loro 1.17: a document whose roots are its own, so that nobody has to make them.
//!
//! The set is a map of `true`; an object is a plain value; a todo is a child map, made by `insert_container` since its id is fresh; a
//! counter in a map is looked up, and made by `ensure_mergeable_counter` where it is not there, as its documentation asks of children that
//! two may make at once.
//!
//! What is sent is what a subscription to local updates is given at `commit`; a document that sends nothing has no subscription. It is
//! applied by `import`, many by `import_batch`. Timestamps are off and changes merge for a thousand seconds, both by default. Catching up
//! is `oplog_vv` of one, answered with `ExportMode::updates` of the other.
//!
//! Saved is `ExportMode::Snapshot`, the mode that can still be brought up to date from anywhere: state and history, in blocks that are
//! LZ4-compressed already, which cannot be turned off. As small as it gets is a shallow snapshot of the latest version, deflated: it can no
//! longer take edits that were made beside what it dropped. Loading is lazy: a container is decoded when it is first read, and the
//! cheapest way to read a large map is its value.
//!
//! The list is a `LoroList`, and the one whose elements move a `LoroMovableList`, which costs more. Indices of texts are scalar values.
//!
//! It has counters (sums in `f64`), but no sets. Not here: its event graph, time travel and undo, which nothing asks for.

use std::sync::{Arc, Mutex};

use ::loro::{
    Container, ContainerTrait, ExportMode, LoroCounter, LoroDoc, LoroList, LoroMap, LoroMapValue, LoroMovableList,
    LoroResult, LoroText, LoroValue, Subscription, ValueOrContainer, VersionVector,
};

use super::{Answers, question_and_answer};
use crate::peer::{self, Contents, Edit, List, ListEdit, Peer, Scan, Todo, Traffic, Value};
use crate::row::Row;

/// A replica in Loro.
pub struct Loro {
    doc: LoroDoc,
    map: LoroMap,
    counter: LoroCounter,
    counters: LoroMap,
    set: LoroMap,
    todos: LoroMap,
    text: LoroText,
    list: LoroList,
    order: LoroMovableList,
    outbox: Option<Outbox>,
}

/// Where the subscription leaves what a commit says to others.
struct Outbox {
    update: Arc<Mutex<Vec<u8>>>,
    _subscription: Subscription,
}

impl Peer for Loro {
    const NAME: &'static str = "loro";

    fn supports(_: Row) -> bool {
        true
    }

    fn new(replica: u64) -> Self {
        Self::of(LoroDoc::new(), replica)
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        if !send {
            self.outbox = None;
        } else if self.outbox.is_none() {
            self.outbox = Some(Outbox::of(&self.doc));
        }
        for edit in edits {
            self.edit(edit);
        }
        self.doc.commit();
        // An edit that changes nothing, such as a key put to the value that it has, is no operation, and nothing is sent.
        self.outbox.as_ref().map(Outbox::take).filter(|update| !update.is_empty())
    }

    fn apply(&mut self, sent: &[u8]) {
        let status = self.doc.import(sent).expect("an update");
        assert!(status.pending.is_none(), "all that the writer had seen is here");
    }

    fn apply_all(&mut self, sent: &[Vec<u8>]) {
        let status = self.doc.import_batch(sent).expect("updates");
        assert!(status.pending.is_none(), "all that the writers had seen is here");
    }

    fn save(&mut self) -> Vec<u8> {
        self.doc.export(ExportMode::Snapshot).expect("a document without pending updates")
    }

    fn save_compressed(&mut self) -> Vec<u8> {
        let latest = self.doc.oplog_frontiers();
        let shallow = self.doc.export(ExportMode::shallow_snapshot(&latest)).expect("its latest version is known");
        peer::deflate(&shallow)
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        Self::of(LoroDoc::from_snapshot(bytes).expect("a snapshot"), replica)
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.map.get(key).map(|value| match value {
            ValueOrContainer::Value(plain) => value_of(&plain),
            ValueOrContainer::Container(container) => panic!("{container:?} is nothing that was put"),
        })
    }

    fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for (key, value) in values(&self.map).iter() {
            scan.entries += 1;
            scan.bytes += key.len() as u64
                + match value {
                    LoroValue::String(text) => text.len() as u64,
                    other => value_of(other).weight(),
                };
        }
        scan
    }

    fn contents(&self) -> Contents {
        let mut contents = Contents {
            map: values(&self.map).iter().map(|(key, value)| (key.clone(), value_of(value))).collect(),
            counter: sum(&self.counter),
            set: self.set.keys().map(|member| member.to_string()).collect(),
            text: self.text(),
            list: self.list(),
            order: integers(self.order.get_value()),
            ..Contents::default()
        };
        self.counters.for_each(|key, value| {
            let counter: LoroCounter = child(Some(value)).expect("a counter");
            contents.counters.insert(key.to_owned(), sum(&counter));
        });
        self.todos.for_each(|id, value| {
            let todo: LoroMap = child(Some(value)).expect("a todo is a map");
            let fields = values(&todo);
            let title = fields.get("title").map(text_of);
            let done = fields.get("done").and_then(|done| done.as_bool().copied());
            contents.todos.insert(id.to_owned(), Todo { title, done });
        });
        contents
    }

    fn text(&self) -> String {
        self.text.to_string()
    }

    fn list(&self) -> Vec<i64> {
        integers(self.list.get_value())
    }

    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic {
        question_and_answer(self, other, both_ways)
    }
}

impl Answers for Loro {
    fn question(&self) -> Vec<u8> {
        self.doc.oplog_vv().encode()
    }

    fn answer(&self, asked: &[u8]) -> Vec<u8> {
        let known = VersionVector::decode(asked).expect("what was just encoded");
        self.doc.export(ExportMode::updates(&known)).expect("the whole history is here")
    }

    fn take(&mut self, answer: &[u8]) {
        self.apply(answer);
    }
}

impl Loro {
    fn of(doc: LoroDoc, replica: u64) -> Self {
        doc.set_peer_id(replica).expect("a document without an open transaction");
        Self {
            map: doc.get_map("m"),
            counter: doc.get_counter("c"),
            counters: doc.get_map("k"),
            set: doc.get_map("s"),
            todos: doc.get_map("t"),
            text: doc.get_text("x"),
            list: doc.get_list("l"),
            order: doc.get_movable_list("o"),
            outbox: None,
            doc,
        }
    }

    fn edit(&self, edit: &Edit) {
        match edit {
            Edit::Put { key, value: Value::Text(text) } => self.map.insert(key, text.as_str()),
            Edit::Put { key, value: Value::Number(number) } => self.map.insert(key, *number),
            Edit::Put { key, value: Value::Object(fields) } => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), LoroValue::from(value.as_str())));
                self.map.insert(key, LoroValue::Map(fields.collect()))
            }
            Edit::RemoveKey { key } => self.map.delete(key),
            Edit::Increment { counter: None, by } => self.counter.increment(*by as f64),
            Edit::Increment { counter: Some(key), by } => {
                let counter = child(self.counters.get(key))
                    .unwrap_or_else(|| self.counters.ensure_mergeable_counter(key).expect("the key holds counters"));
                counter.increment(*by as f64)
            }
            Edit::Add { member } => self.set.insert(member, true),
            Edit::Remove { member } => self.set.delete(member),
            Edit::NewTodo { id, title } => {
                let todo = self.todos.insert_container(id, LoroMap::new()).expect("the root is there");
                todo.insert("title", title.as_str()).and_then(|()| todo.insert("done", false))
            }
            Edit::SetDone { id, done } => self.todo(id).insert("done", *done),
            Edit::SetTitle { id, title } => self.todo(id).insert("title", title.as_str()),
            Edit::DeleteTodo { id } => self.todos.delete(id),
            Edit::Splice { at, delete, insert } => self.splice(*at, *delete, insert),
            Edit::List { list: List::Fixed, at, edit } => match edit {
                ListEdit::Insert(number) => self.list.insert(*at, *number),
                ListEdit::Delete => self.list.delete(*at, 1),
                ListEdit::Move(_) => unreachable!("nothing moves in this list"),
            },
            Edit::List { list: List::Ordered, at, edit } => match edit {
                ListEdit::Insert(number) => self.order.insert(*at, *number),
                ListEdit::Delete => self.order.delete(*at, 1),
                ListEdit::Move(to) => self.order.mov(*at, *to),
            },
        }
        .expect("an edit of what is there");
    }

    fn splice(&self, at: usize, delete: usize, insert: &str) -> LoroResult<()> {
        if delete > 0 {
            self.text.delete(at, delete)?;
        }
        if insert.is_empty() { Ok(()) } else { self.text.insert(at, insert) }
    }

    fn todo(&self, id: &str) -> LoroMap {
        child(self.todos.get(id)).expect("a todo that is known")
    }
}

impl Outbox {
    fn of(doc: &LoroDoc) -> Self {
        let update = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::clone(&update);
        let subscription = doc.subscribe_local_update(Box::new(move |bytes| {
            left.lock().expect("nobody panics with the outbox").clone_from(bytes);
            true
        }));
        Self { update, _subscription: subscription }
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.update.lock().expect("nobody panics with the outbox"))
    }
}

fn child<C: ContainerTrait>(value: Option<ValueOrContainer>) -> Option<C> {
    let ValueOrContainer::Container(container) = value? else { return None };
    C::try_from_container(container as Container)
}

/// What a map holds, without what its children hold.
fn values(map: &LoroMap) -> LoroMapValue {
    map.get_value().into_map().expect("the value of a map")
}

/// What is in a list.
fn integers(list: LoroValue) -> Vec<i64> {
    let list = list.into_list().expect("the value of a list");
    list.iter().map(|value| *value.as_i64().expect("a number was inserted")).collect()
}

fn value_of(value: &LoroValue) -> Value {
    match value {
        LoroValue::String(text) => Value::Text(text.to_string()),
        LoroValue::I64(number) => Value::Number(*number),
        LoroValue::Map(fields) => {
            let mut fields: Vec<(String, String)> =
                fields.iter().map(|(name, value)| (name.clone(), text_of(value))).collect();
            fields.sort();
            Value::Object(fields)
        }
        other => panic!("{other:?} is nothing that was put"),
    }
}

fn text_of(value: &LoroValue) -> String {
    value.as_string().expect("a string was put").to_string()
}

/// Exact up to 2⁵³, far beyond what the workloads add up to.
fn sum(counter: &LoroCounter) -> i64 {
    counter.get() as i64
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::common::{self, put};
    use super::*;
    use crate::workload::replica;

    #[test]
    fn every_row_converges_when_small() {
        common::every_row_converges_when_small::<Loro>();
    }

    #[test]
    fn counters_that_two_make_under_one_key_at_once_are_one() {
        let (mut one, mut other) = (Loro::new(replica(1)), Loro::new(replica(2)));
        for (peer, by) in [(&mut one, 7), (&mut other, -2)] {
            peer.transact(&[Edit::Increment { counter: Some("k".into()), by }], false);
        }
        assert_eq!(one.catch_up(&mut other, true).messages, 3);
        assert_eq!(one.contents(), other.contents());
        assert_eq!(one.contents().counters["k"], 5);
    }

    #[test]
    fn what_a_commit_says_is_sent_once_and_only_where_it_is_asked_for() {
        let (mut one, mut other) = (Loro::new(replica(1)), Loro::new(replica(2)));
        assert_eq!(one.transact(&[put("a", "1")], false), None);
        one.catch_up(&mut other, false);
        let sent = one.transact(&[put("a", "2"), put("b", "3")], true).expect("something changed");
        assert_eq!(one.transact(&[put("a", "2")], true), None, "nothing changed");
        other.apply(&sent);
        assert_eq!(one.contents(), other.contents());
        assert_eq!(other.scan(), Scan { entries: 2, bytes: 4 });
    }

    #[test]
    fn what_is_saved_small_opens_and_goes_on() {
        let mut one = Loro::new(replica(1));
        for value in ["1", "2", "3"] {
            one.transact(&[put("a", value), Edit::Increment { counter: None, by: 1 }], false);
        }
        let mut shallow = Vec::new();
        let small = one.save_compressed();
        flate2::read::DeflateDecoder::new(small.as_slice()).read_to_end(&mut shallow).expect("what was deflated");
        let mut other = Loro::load(&shallow, replica(2));
        assert_eq!(other.contents(), one.contents());
        other.transact(&[put("b", "4")], false);
        other.catch_up(&mut one, true);
        assert_eq!(other.contents(), one.contents());
        assert_eq!(one.get("b"), Some(Value::Text("4".into())));
    }
}
