//! Weftline itself.

use std::cell::RefCell;
use std::collections::BTreeMap;

use weftline::codec::{decode_diff, decode_version, encode_diff, encode_version};
use weftline::sync::{Roster, Row as Sent, Said, Unpacked};
use weftline::{
    CounterMut, Delta, Document, EditError, ListMut, ListRef, MapMut, MapRef, ReplicaId, SetMut, Tag, TextMut,
    Timestamp, Transaction, VersionVector,
};

use super::{Answers, question_and_answer};
use crate::peer::{Contents, Edit, List, ListEdit, Peer, Scan, Todo, Traffic, Value};
use crate::row::Row;

/// When every cell begins.
const START: Timestamp = Timestamp(1_700_000_000_000);

/// A document, and what a session keeps beside it.
pub struct Weftline {
    document: Document,
    now: Timestamp,
    session: Session,
}

impl Weftline {
    fn of(mut document: Document, replica: u64) -> Self {
        document.set_writer(Some(id(replica))).expect("no transaction is open");
        ROSTER.with_borrow_mut(|roster| roster.add(id(replica)));
        // No library is asked here what changed.
        document.tell_changes(false);
        Self { document, now: START, session: Session::new() }
    }
}

impl Peer for Weftline {
    const NAME: &'static str = "weftline";

    fn supports(_row: Row) -> bool {
        true
    }

    fn new(replica: u64) -> Self {
        Self::of(Document::new(), replica)
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        self.now.0 += 1;
        let commit = self.document.transact(self.now, |tx| edit(tx, edits)).expect("the workload edits what is there");
        let delta = commit.delta?;
        send.then(|| self.session.write(&delta))
    }

    fn apply(&mut self, sent: &[u8]) {
        let delta = self.session.read(sent);
        self.document.apply(&delta).expect("a delta of a replica applies");
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.snapshot()
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        let document = Document::load(bytes).expect("what was written can be read");
        let mut peer = Self::of(document, replica);
        peer.session.resume(&peer.document);
        peer
    }

    fn get(&self, key: &str) -> Option<Value> {
        read(&self.document.map("m"), key)
    }

    fn scan(&self) -> Scan {
        self.document.map("m").iter().fold(Scan::default(), |scan, (key, node)| {
            let value = node.value().map_or(0, |value| value.byte_len() as u64);
            Scan { entries: scan.entries + 1, bytes: scan.bytes + key.len() as u64 + value }
        })
    }

    fn contents(&self) -> Contents {
        let document = &self.document;
        let (map, counters, todos) = (document.map("m"), document.map("k"), document.map("t"));
        let todo = |id: &str| Todo {
            title: todos.map(id).get("title").and_then(|title| title.as_str().map(str::to_owned)),
            done: todos.map(id).get("done").and_then(|done| done.as_bool()),
        };
        Contents {
            map: map.keys().filter_map(|key| Some((key.to_owned(), read(&map, key)?))).collect(),
            counter: document.counter("c").value() as i64,
            counters: counters.keys().map(|key| (key.to_owned(), counters.counter(key).value() as i64)).collect(),
            set: document.set("s").iter().filter_map(|member| member.as_str().map(str::to_owned)).collect(),
            todos: todos.keys().map(|id| (id.to_owned(), todo(id))).collect(),
            list: numbers(&document.list("l")),
            order: numbers(&document.list("o")),
            text: self.text(),
        }
    }

    fn text(&self) -> String {
        self.document.text("x").to_string()
    }

    fn list(&self) -> Vec<i64> {
        numbers(&self.document.list("l"))
    }

    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic {
        question_and_answer(self, other, both_ways)
    }
}

impl Answers for Weftline {
    fn question(&self) -> Vec<u8> {
        encode_version(&self.document.version())
    }

    fn answer(&self, asked: &[u8]) -> Vec<u8> {
        let version = decode_version(asked).expect("what was written can be read");
        encode_diff(&self.document.diff_since(&version))
    }

    fn take(&mut self, answer: &[u8]) {
        let diff = decode_diff(answer).expect("what was written can be read");
        self.document.apply_diff(&diff).expect("a diff for this version applies");
        self.session.resume(&self.document);
    }
}

/// What both ends of a session know, so that it need not travel: numbers for ids, how far each writer's chain has come, and what
/// was said last. What a relay sends on has the same form as what it was sent.
struct Session {
    tags: BTreeMap<ReplicaId, Tag>,
    said: Said,
    heard: Said,
}

thread_local! {
    /// The numbers that a relay gives to ids. One for all sessions of a process, whose replicas have all been seen.
    static ROSTER: RefCell<Roster> = RefCell::new(Roster::new(START, &VersionVector::new()));
}

impl Session {
    fn new() -> Self {
        Self { tags: BTreeMap::new(), said: Said::new(), heard: Said::of_log() }
    }

    /// A delta as a session sends it.
    fn write(&mut self, delta: &Delta) -> Vec<u8> {
        ROSTER.with_borrow(|roster| self.said.pack(&Sent::of(delta), roster))
    }

    fn read(&mut self, sent: &[u8]) -> Delta {
        let (replica, prev_tag, bytes) =
            match ROSTER.with_borrow(|roster| self.heard.unpack(sent, roster)).expect("what was written can be read") {
                Unpacked::Next { replica, bytes, .. } => {
                    let tag = self.tags.get(&replica).copied().expect("a delta follows what was sent before");
                    (replica, tag, bytes)
                }
                Unpacked::Row(Sent::Delta { prev_tag, bytes }) => (ReplicaId::NIL, prev_tag, bytes),
                Unpacked::Row(_) => unreachable!("deltas are sent"),
            };
        let delta = Delta::decode_shared(&bytes, prev_tag).expect("what was written can be read");
        debug_assert!(replica == ReplicaId::NIL || replica == delta.replica(), "the writer is said once");
        self.tags.insert(delta.replica(), delta.tag());
        delta
    }

    fn resume(&mut self, document: &Document) {
        self.tags = document.version().iter().map(|(replica, entry)| (replica, entry.tag)).collect();
    }
}

/// A random id has 16 bytes.
fn id(replica: u64) -> ReplicaId {
    let mut random = [0; 16];
    random[..8].copy_from_slice(&replica.to_le_bytes());
    random[8..].copy_from_slice(&replica.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    ReplicaId::from_random(random)
}

/// Runs edits in order, those of one root through one handle: what a program that fills a container does.
fn edit(tx: &mut Transaction<'_>, edits: &[Edit]) -> Result<(), EditError> {
    for run in edits.chunk_by(|a, b| root(a) == root(b)) {
        match root(&run[0]) {
            "c" => {
                let mut counter = tx.counter("c")?;
                run.iter().try_for_each(|one| increment(&mut counter, one))?;
            }
            "s" => {
                let mut set = tx.set("s")?;
                run.iter().try_for_each(|one| toggle(&mut set, one))?;
            }
            "x" => {
                let mut text = tx.text("x")?;
                run.iter().try_for_each(|one| splice(&mut text, one))?;
            }
            name @ ("l" | "o") => {
                let mut list = tx.list(name)?;
                run.iter().try_for_each(|one| arrange(&mut list, one))?;
            }
            name => {
                let mut map = tx.map(name)?;
                run.iter().try_for_each(|one| change(&mut map, one))?;
            }
        }
    }
    Ok(())
}

/// The root that an edit is of.
fn root(edit: &Edit) -> &'static str {
    match edit {
        Edit::Put { .. } | Edit::RemoveKey { .. } => "m",
        Edit::Increment { counter: None, .. } => "c",
        Edit::Increment { counter: Some(_), .. } => "k",
        Edit::Add { .. } | Edit::Remove { .. } => "s",
        Edit::NewTodo { .. } | Edit::SetDone { .. } | Edit::SetTitle { .. } | Edit::DeleteTodo { .. } => "t",
        Edit::Splice { .. } => "x",
        Edit::List { list: List::Fixed, .. } => "l",
        Edit::List { list: List::Ordered, .. } => "o",
    }
}

fn increment(counter: &mut CounterMut<'_, '_>, edit: &Edit) -> Result<(), EditError> {
    if let Edit::Increment { by, .. } = edit { counter.add(*by) } else { Ok(()) }
}

fn toggle(set: &mut SetMut<'_, '_>, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::Add { member } => set.add(member.as_str()),
        Edit::Remove { member } => set.remove(&member.as_str().into()).map(drop),
        _ => Ok(()),
    }
}

fn change(map: &mut MapMut<'_, '_>, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::Put { key, value: Value::Text(text) } => map.put(key, text.as_str()),
        Edit::Put { key, value: Value::Number(number) } => map.put(key, *number),
        Edit::Put { key, value: Value::Object(fields) } => {
            // An object is a map of its own, in place of what was there.
            map.remove(key)?;
            let mut object = map.map(key)?;
            fields.iter().try_for_each(|(name, value)| object.put(name, value.as_str()))
        }
        Edit::RemoveKey { key } => map.remove(key).map(drop),
        Edit::Increment { counter: Some(key), by } => map.counter(key)?.add(*by),
        Edit::NewTodo { id, title } => {
            let mut todo = map.map(id)?;
            todo.put("title", title.as_str())?;
            todo.put("done", false)
        }
        Edit::SetDone { id, done } => map.map(id)?.put("done", *done),
        Edit::SetTitle { id, title } => map.map(id)?.put("title", title.as_str()),
        Edit::DeleteTodo { id } => map.remove(id).map(drop),
        _ => Ok(()),
    }
}

fn splice(text: &mut TextMut<'_, '_>, edit: &Edit) -> Result<(), EditError> {
    let Edit::Splice { at, delete, insert } = edit else { return Ok(()) };
    if *delete > 0 {
        text.delete(*at..*at + *delete)?;
    }
    if insert.is_empty() { Ok(()) } else { text.insert(*at, insert) }
}

fn arrange(list: &mut ListMut<'_, '_>, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::List { at, edit: ListEdit::Insert(number), .. } => list.insert(*at, *number).map(drop),
        Edit::List { at, edit: ListEdit::Delete, .. } => list.remove_at(*at),
        Edit::List { at, edit: ListEdit::Move(to), .. } => {
            let moved = list.read().id_at(*at).ok_or(EditError::NoSuchElement)?;
            list.move_to(moved, *to)
        }
        _ => Ok(()),
    }
}

fn numbers(list: &ListRef<'_>) -> Vec<i64> {
    list.values().filter_map(|value| value.as_int()).collect()
}

fn read(map: &MapRef<'_>, key: &str) -> Option<Value> {
    match map.get(key) {
        Some(value) => {
            value.as_str().map(|text| Value::Text(text.to_owned())).or_else(|| value.as_int().map(Value::Number))
        }
        None => {
            let object = map.map(key);
            let field = |name: &str| Some((name.to_owned(), object.get(name)?.as_str()?.to_owned()));
            let fields: Vec<(String, String)> = object.keys().filter_map(field).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
    }
}
