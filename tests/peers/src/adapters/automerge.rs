//! Automerge 0.12: one document per replica, driven through `Automerge` itself, whose transactions record no patches.
//!
//! The roots are maps (and one counter) made by a first change that is the same at every replica, as its documentation advises: made by
//! each replica for itself they would be conflicting objects of one name. Members of the set are keys with `true`, objects and todos are
//! maps, made whole by `batch_create_object`. Strings are plain strings, except for the text, whose indices are scalar values by default.
//!
//! What is sent for a transaction is its change, as `get_change_by_hash` gives it and as its sync messages carry it: not deflated. It is
//! applied by `load_incremental`; many at once by one `apply_changes`, since applying costs a pass over the whole document whatever comes.
//! Saved are `save_nocompress` and `save` (deflated columns), loaded is with `load`, which checks the hashes of the heads: its
//! documentation keeps `load_unverified_heads` for debugging. Catching up is its sync protocol with fresh states: Bloom filters of all
//! changes, rounds until neither has more to say. The one that is behind speaks first, which saves a round. The protocol always goes both
//! ways.
//!
//! It has counters, but no sets and no objects as plain values, and nothing moves in its lists. Two counters made under one key at once are a conflict of which one shows.
//! Not here: its patches and its history, which nothing asks for, but which it keeps.

use std::collections::HashMap;

use ::automerge::hydrate;
use ::automerge::sync::{Message, State, SyncDoc};
use ::automerge::transaction::{CommitOptions, Transactable, Transaction};
use ::automerge::{
    ActorId, Automerge as Document, Change, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, ScalarValueRef, ValueRef,
};

use crate::peer::{Contents, Edit, ListEdit, Peer, Scan, Todo, Traffic, Value};
use crate::row::Row;

/// A replica in Automerge.
pub struct Automerge {
    document: Document,
    roots: Roots,
}

/// The ids of the maps: looked up once, as an application would.
struct Roots {
    map: ObjId,
    counters: ObjId,
    set: ObjId,
    todos: ObjId,
    text: ObjId,
    list: ObjId,
}

const COUNTER: &str = "c";

impl Peer for Automerge {
    const NAME: &'static str = "automerge";

    fn supports(row: Row) -> bool {
        row != Row::ListMove
    }

    fn new(replica: u64) -> Self {
        let mut document = Document::new().with_actor(ActorId::from([0; 16]));
        let mut first = document.transaction();
        for root in ["m", "k", "s", "t"] {
            first.put_object(ROOT, root, ObjType::Map).expect("a map in the root");
        }
        first.put_object(ROOT, "x", ObjType::Text).expect("a text in the root");
        first.put_object(ROOT, "l", ObjType::List).expect("a list in the root");
        first.put(ROOT, COUNTER, ScalarValue::counter(0)).expect("a counter in the root");
        first.commit_with(CommitOptions::default().with_time(0));
        Self::of(document, replica)
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        let mut transaction = self.document.transaction();
        for edit in edits {
            self.roots.edit(&mut transaction, edit);
        }
        let (hash, _) = transaction.commit();
        // There is no hash where nothing changed: a key put to the value that it has.
        let hash = hash.filter(|_| send)?;
        let change = self.document.get_change_by_hash(&hash).expect("what was just committed is there");
        Some(change.raw_bytes().to_vec())
    }

    fn apply(&mut self, sent: &[u8]) {
        self.document.load_incremental(sent).expect("a change that follows what is here");
    }

    fn apply_all(&mut self, sent: &[Vec<u8>]) {
        let changes: Vec<Change> =
            sent.iter().map(|bytes| Change::from_bytes(bytes.clone()).expect("a change")).collect();
        self.document.apply_changes(changes).expect("changes that follow what is here");
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.save_nocompress()
    }

    fn save_compressed(&mut self) -> Vec<u8> {
        self.document.save()
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        Self::of(Document::load(bytes).expect("a saved document"), replica)
    }

    fn get(&self, key: &str) -> Option<Value> {
        let (value, id) = self.document.get(&self.roots.map, key).expect("the root is a map")?;
        Some(match value {
            ::automerge::Value::Scalar(scalar) => match scalar.as_ref() {
                ScalarValue::Str(text) => Value::Text(text.to_string()),
                ScalarValue::Int(number) => Value::Number(*number),
                other => panic!("{other:?} is nothing that was put"),
            },
            ::automerge::Value::Object(_) => Value::Object(self.object(&id)),
        })
    }

    fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for item in self.document.map_range(&self.roots.map, ..) {
            scan.entries += 1;
            scan.bytes += item.key.len() as u64
                + match &item.value {
                    ValueRef::Scalar(ScalarValueRef::Str(text)) => text.len() as u64,
                    _ => self.value(&item.value, || item.id()).weight(),
                };
        }
        scan
    }

    fn contents(&self) -> Contents {
        let document = &self.document;
        let mut contents = Contents::default();
        for item in document.map_range(&self.roots.map, ..) {
            contents.map.insert(item.key.to_string(), self.value(&item.value, || item.id()));
        }
        let (counter, _) = document.get(ROOT, COUNTER).expect("the root is a map").expect("the counter is there");
        contents.counter = counter.as_i64().expect("a counter");
        for item in document.map_range(&self.roots.counters, ..) {
            let ValueRef::Scalar(value) = &item.value else { panic!("{:?} is no counter", item.value) };
            contents.counters.insert(item.key.to_string(), value.as_i64());
        }
        contents.set = document.keys(&self.roots.set).collect();
        for item in document.map_range(&self.roots.todos, ..) {
            contents.todos.insert(item.key.to_string(), self.todo(&item.id()));
        }
        contents.text = self.text();
        contents.list = self.list();
        contents
    }

    fn text(&self) -> String {
        self.document.text(&self.roots.text).expect("the root is a text")
    }

    fn list(&self) -> Vec<i64> {
        let integer = |value: &ValueRef<'_>| match value {
            ValueRef::Scalar(ScalarValueRef::Int(number)) => *number,
            other => panic!("{other:?} is nothing that was inserted"),
        };
        self.document.list_range(&self.roots.list, ..).map(|item| integer(&item.value)).collect()
    }

    fn catch_up(&mut self, other: &mut Self, _both_ways: bool) -> Traffic {
        let (mut here, mut there) = (State::new(), State::new());
        let mut traffic = Traffic::default();
        loop {
            let up = deliver(other, &mut there, self, &mut here, &mut traffic);
            let down = deliver(self, &mut here, other, &mut there, &mut traffic);
            if !up && !down {
                return traffic;
            }
        }
    }
}

/// Takes what `from` has to say to `to`, if anything.
fn deliver(
    from: &mut Automerge,
    from_state: &mut State,
    to: &mut Automerge,
    to_state: &mut State,
    traffic: &mut Traffic,
) -> bool {
    let Some(message) = from.document.generate_sync_message(from_state) else { return false };
    let bytes = message.encode();
    traffic.count(&bytes);
    let message = Message::decode(&bytes).expect("what was just encoded");
    to.document.receive_sync_message(to_state, message).expect("changes that follow what is here");
    true
}

impl Automerge {
    fn of(document: Document, replica: u64) -> Self {
        let id = |root: &str| document.get(ROOT, root).expect("the root is a map").expect("the first change made it").1;
        let roots =
            Roots { map: id("m"), counters: id("k"), set: id("s"), todos: id("t"), text: id("x"), list: id("l") };
        Self { document: document.with_actor(actor(replica)), roots }
    }

    /// `id` is asked for objects only: making it costs a copy of an actor.
    fn value(&self, value: &ValueRef<'_>, id: impl FnOnce() -> ObjId) -> Value {
        match value {
            ValueRef::Scalar(ScalarValueRef::Str(text)) => Value::Text(text.to_string()),
            ValueRef::Scalar(ScalarValueRef::Int(number)) => Value::Number(*number),
            ValueRef::Object(_) => Value::Object(self.object(&id())),
            other => panic!("{other:?} is nothing that was put"),
        }
    }

    fn object(&self, id: &ObjId) -> Vec<(String, String)> {
        self.document
            .map_range(id, ..)
            .map(|item| match item.value {
                ValueRef::Scalar(ScalarValueRef::Str(text)) => (item.key.to_string(), text.to_string()),
                other => panic!("{other:?} is nothing that was put"),
            })
            .collect()
    }

    fn todo(&self, id: &ObjId) -> Todo {
        let field = |name: &str| self.document.get(id, name).expect("a todo is a map").map(|(value, _)| value);
        Todo {
            title: field("title").and_then(|title| title.into_string().ok()),
            done: field("done").and_then(|done| done.as_bool()),
        }
    }
}

impl Roots {
    fn edit(&self, transaction: &mut Transaction<'_>, edit: &Edit) {
        match edit {
            Edit::Put { key, value: Value::Text(text) } => transaction.put(&self.map, key, text.as_str()),
            Edit::Put { key, value: Value::Number(number) } => transaction.put(&self.map, key, *number),
            Edit::Put { key, value: Value::Object(fields) } => {
                let object = fields.iter().map(|(name, value)| (name.as_str(), value.as_str().into()));
                make(transaction, &self.map, key, object.collect())
            }
            Edit::RemoveKey { key } => transaction.delete(&self.map, key),
            Edit::Increment { counter: None, by } => transaction.increment(ROOT, COUNTER, *by),
            Edit::Increment { counter: Some(key), by } => {
                match transaction.get(&self.counters, key).expect("the root is a map") {
                    Some(_) => transaction.increment(&self.counters, key, *by),
                    None => transaction.put(&self.counters, key, ScalarValue::counter(*by)),
                }
            }
            Edit::Add { member } => transaction.put(&self.set, member, true),
            Edit::Remove { member } => transaction.delete(&self.set, member),
            Edit::NewTodo { id, title } => {
                let fields = [("title", title.as_str().into()), ("done", ScalarValue::Boolean(false).into())];
                make(transaction, &self.todos, id, fields.into())
            }
            Edit::SetDone { id, done } => {
                let todo = self.todo(transaction, id);
                transaction.put(todo, "done", *done)
            }
            Edit::SetTitle { id, title } => {
                let todo = self.todo(transaction, id);
                transaction.put(todo, "title", title.as_str())
            }
            Edit::DeleteTodo { id } => transaction.delete(&self.todos, id),
            Edit::Splice { at, delete, insert } => transaction.splice_text(&self.text, *at, *delete as isize, insert),
            Edit::List { at, edit, .. } => match edit {
                ListEdit::Insert(number) => transaction.insert(&self.list, *at, *number),
                ListEdit::Delete => transaction.delete(&self.list, *at),
                ListEdit::Move(_) => unreachable!("rows with moves are not supported"),
            },
        }
        .expect("an edit of what is there");
    }

    fn todo(&self, transaction: &Transaction<'_>, id: &str) -> ObjId {
        transaction.get(&self.todos, id).expect("the root is a map").expect("a todo that is known").1
    }
}

fn make(
    transaction: &mut Transaction<'_>,
    parent: &ObjId,
    key: &str,
    fields: HashMap<&str, hydrate::Value>,
) -> Result<(), ::automerge::AutomergeError> {
    transaction.batch_create_object(parent, key, &fields.into(), false).map(drop)
}

/// Its own ids are 16 random bytes.
fn actor(replica: u64) -> ActorId {
    let low = replica.to_be_bytes();
    let high = replica.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low);
    bytes[8..].copy_from_slice(&high);
    ActorId::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::common::{self, put};
    use super::*;
    use crate::workload::replica;

    #[test]
    fn every_row_converges_when_small() {
        common::every_row_converges_when_small::<Automerge>();
    }

    #[test]
    fn replicas_begin_with_the_same_change_and_add_to_the_same_roots() {
        let (mut one, mut other) = (Automerge::new(replica(1)), Automerge::new(replica(2)));
        assert_eq!(one.document.get_heads(), other.document.get_heads());
        for (peer, key, by) in [(&mut one, "a", 7), (&mut other, "b", -2)] {
            peer.transact(&[put(key, "1"), Edit::Increment { counter: None, by }], false);
        }
        one.catch_up(&mut other, true);
        assert_eq!(one.contents(), other.contents());
        assert_eq!(one.contents().counter, 5);
        assert_eq!(one.scan(), Scan { entries: 2, bytes: 4 });
    }

    #[test]
    fn a_transaction_is_one_change_and_none_where_nothing_changes() {
        let (mut one, mut other) = (Automerge::new(replica(1)), Automerge::new(replica(2)));
        let sent = one.transact(&[put("a", "2"), put("b", "3")], true).expect("something changed");
        assert_eq!(one.transact(&[put("a", "2")], true), None, "nothing changed");
        other.apply(&sent);
        assert_eq!(one.contents(), other.contents());
        assert_eq!(one.document.get_heads(), other.document.get_heads());
    }

    #[test]
    fn both_ways_of_saving_open() {
        let mut one = Automerge::new(replica(1));
        let title = "buy milk".to_owned();
        let fields = vec![("name".to_owned(), "one".to_owned())];
        let object = Edit::Put { key: "o".into(), value: Value::Object(fields) };
        one.transact(&[Edit::NewTodo { id: "t".into(), title }, object], false);
        one.transact(&[Edit::SetDone { id: "t".into(), done: true }], false);
        for saved in [one.save(), one.save_compressed()] {
            assert_eq!(Automerge::load(&saved, replica(2)).contents(), one.contents());
        }
        let todo = Todo { title: Some("buy milk".into()), done: Some(true) };
        assert_eq!(one.contents().todos["t"], todo);
    }
}
