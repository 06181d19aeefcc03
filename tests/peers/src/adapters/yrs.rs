//! `yrs`: a document of shared types. Updates travel in its v1 encoding, as providers send them; catching up is its sync protocol, a state
//! vector answered with what lacks.
//!
//! Offsets in texts are counted in UTF-16 units, as they must be for a document that is shared with a browser.
//!
//! It has neither counters nor sets, and nothing moves in its arrays. What its users do instead: a map with one total per client, summed up by the reader; a map of `true`.

use std::collections::HashMap;

use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, ArrayRef, ClientID, Doc, GetString, Map, MapPrelim, MapRef, OffsetKind, Options, Out, ReadTxn,
    StateVector, Text, TextRef, Transact, TransactionMut, Update,
};

use super::{Answers, question_and_answer};
use crate::peer::{self, Contents, Edit, ListEdit, Peer, Scan, Todo, Traffic, Value};
use crate::row::Row;

/// A document with its roots.
pub struct Yrs {
    doc: Doc,
    /// The client's name as a key of counters.
    client: String,
    map: MapRef,
    counter: MapRef,
    counters: MapRef,
    set: MapRef,
    todos: MapRef,
    text: TextRef,
    list: ArrayRef,
}

impl Yrs {
    fn edit(&self, txn: &mut TransactionMut<'_>, edit: &Edit) {
        match edit {
            Edit::Put { key, value } => {
                self.map.insert(txn, key.as_str(), any(value));
            }
            Edit::RemoveKey { key } => {
                self.map.remove(txn, key);
            }
            Edit::Increment { counter: None, by } => add(&self.counter, txn, &self.client, *by),
            Edit::Increment { counter: Some(key), by } => {
                add(&self.counters, txn, &format!("{key}/{}", self.client), *by);
            }
            Edit::Add { member } => {
                self.set.insert(txn, member.as_str(), true);
            }
            Edit::Remove { member } => {
                self.set.remove(txn, member);
            }
            Edit::NewTodo { id, title } => {
                let fields = [("title", Any::from(title.as_str())), ("done", Any::from(false))];
                self.todos.insert(txn, id.as_str(), MapPrelim::from(fields));
            }
            Edit::SetDone { id, done } => {
                self.todo(txn, id).insert(txn, "done", *done);
            }
            Edit::SetTitle { id, title } => {
                self.todo(txn, id).insert(txn, "title", title.as_str());
            }
            Edit::DeleteTodo { id } => {
                self.todos.remove(txn, id);
            }
            Edit::Splice { at, delete, insert } => {
                if *delete > 0 {
                    self.text.remove_range(txn, *at as u32, *delete as u32);
                }
                if !insert.is_empty() {
                    self.text.insert(txn, *at as u32, insert);
                }
            }
            Edit::List { at, edit, .. } => match edit {
                ListEdit::Insert(number) => drop(self.list.insert(txn, *at as u32, *number)),
                ListEdit::Delete => self.list.remove(txn, *at as u32),
                ListEdit::Move(_) => unreachable!("rows with moves are not supported"),
            },
        }
    }

    fn todo(&self, txn: &impl ReadTxn, id: &str) -> MapRef {
        let Some(Out::YMap(todo)) = self.todos.get(txn, id) else { panic!("the workload edits what is there") };
        todo
    }
}

impl Peer for Yrs {
    const NAME: &'static str = "yrs";

    fn supports(row: Row) -> bool {
        row != Row::ListMove
    }

    fn new(replica: u64) -> Self {
        let options = Options::with_client_id(ClientID::new(replica >> 11));
        let doc = Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..options });
        Self {
            client: doc.client_id().get().to_string(),
            map: doc.get_or_insert_map("m"),
            counter: doc.get_or_insert_map("c"),
            counters: doc.get_or_insert_map("k"),
            set: doc.get_or_insert_map("s"),
            todos: doc.get_or_insert_map("t"),
            text: doc.get_or_insert_text("x"),
            list: doc.get_or_insert_array("l"),
            doc,
        }
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        let mut txn = self.doc.transact_mut();
        edits.iter().for_each(|edit| self.edit(&mut txn, edit));
        send.then(|| txn.encode_update_v1())
    }

    fn apply(&mut self, sent: &[u8]) {
        apply_to(&mut self.doc.transact_mut(), sent);
    }

    fn apply_all(&mut self, sent: &[Vec<u8>]) {
        let mut txn = self.doc.transact_mut();
        sent.iter().for_each(|one| apply_to(&mut txn, one));
    }

    fn save(&mut self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    fn save_compressed(&mut self) -> Vec<u8> {
        let columns = self.doc.transact().encode_state_as_update_v2(&StateVector::default());
        peer::deflate(&columns)
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        let mut peer = Self::new(replica);
        peer.apply(bytes);
        peer
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.map.get(&self.doc.transact(), key).map(|out| value(&out))
    }

    fn scan(&self) -> Scan {
        let txn = self.doc.transact();
        self.map.iter(&txn).fold(Scan::default(), |scan, (key, out)| {
            let bytes = key.len() as u64 + weight(&out);
            Scan { entries: scan.entries + 1, bytes: scan.bytes + bytes }
        })
    }

    fn contents(&self) -> Contents {
        let txn = &self.doc.transact();
        let mut contents = Contents {
            map: self.map.iter(txn).map(|(key, out)| (key.to_owned(), value(&out))).collect(),
            counter: self.counter.iter(txn).map(|(_, out)| integer(&out)).sum(),
            set: self.set.keys(txn).map(str::to_owned).collect(),
            text: self.text.get_string(txn),
            list: self.list.iter(txn).map(|out| integer(&out)).collect(),
            ..Contents::default()
        };
        for (key, out) in self.counters.iter(txn) {
            let (counter, _) = key.split_once('/').expect("a counter's key and a client");
            *contents.counters.entry(counter.to_owned()).or_default() += integer(&out);
        }
        for (id, out) in self.todos.iter(txn) {
            let Out::YMap(todo) = out else { panic!("a todo is a map") };
            let title = todo.get(txn, "title").map(|title| title.to_string(txn));
            let done = todo.get(txn, "done").map(|done| matches!(done, Out::Any(Any::Bool(true))));
            contents.todos.insert(id.to_owned(), Todo { title, done });
        }
        contents
    }

    fn text(&self) -> String {
        self.text.get_string(&self.doc.transact())
    }

    fn list(&self) -> Vec<i64> {
        let txn = self.doc.transact();
        self.list.iter(&txn).map(|out| integer(&out)).collect()
    }

    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic {
        question_and_answer(self, other, both_ways)
    }
}

impl Answers for Yrs {
    fn question(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    fn answer(&self, asked: &[u8]) -> Vec<u8> {
        let state = StateVector::decode_v1(asked).expect("what was written can be read");
        self.doc.transact().encode_state_as_update_v1(&state)
    }

    fn take(&mut self, answer: &[u8]) {
        self.apply(answer);
    }
}

fn apply_to(txn: &mut TransactionMut<'_>, sent: &[u8]) {
    let update = Update::decode_v1(sent).expect("what was written can be read");
    txn.apply_update(update).expect("an update of a replica applies");
}

/// Adds to the client's own total.
fn add(counter: &MapRef, txn: &mut TransactionMut<'_>, own: &str, by: i64) {
    let total = counter.get(txn, own).map_or(0, |out| integer(&out));
    counter.insert(txn, own, total + by);
}

fn any(value: &Value) -> Any {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(number) => (*number).into(),
        Value::Object(fields) => {
            let fields: HashMap<String, Any> =
                fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            fields.into()
        }
    }
}

fn value(out: &Out) -> Value {
    match out {
        Out::Any(Any::String(text)) => Value::Text(text.to_string()),
        Out::Any(Any::Map(fields)) => {
            let text = |any: &Any| if let Any::String(text) = any { text.to_string() } else { String::new() };
            let mut fields: Vec<(String, String)> =
                fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            fields.sort();
            Value::Object(fields)
        }
        other => Value::Number(integer(other)),
    }
}

fn weight(out: &Out) -> u64 {
    match out {
        Out::Any(Any::String(text)) => text.len() as u64,
        other => value(other).weight(),
    }
}

fn integer(out: &Out) -> i64 {
    out.clone().cast().expect("the workload put an integer")
}
