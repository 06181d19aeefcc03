//! `crdts`: a bag of types without a document. Edits travel as operations; who missed some takes the whole state and merges it, since the
//! library has no deltas.
//!
//! Bytes are written with serde, as the library leaves it to its users; postcard is the most compact of the usual choices. A removal takes
//! the context that was read from the map, as the documentation shows.
//!
//! A write to a field of a todo takes less context than the documentation shows: what the register itself holds, instead of all that the
//! map has seen. A map that learns of a key by merging takes for removed whatever it had seen itself that the key's own clock does not
//! name, and strips that from the contexts of the registers below it; the same value then has different contexts on different replicas,
//! and one that was overwritten comes back beside its successor where they meet, although nobody wrote at the same time. Three replicas
//! are enough (see the tests). The context of a register alone holds no writes but those of its own key, so nothing of it is taken for
//! removed unless it was. The rows of `m` have two replicas that edit, or writes that are all concurrent: there the documented context
//! does.

use crdts::ctx::AddCtx;
use crdts::{CmRDT, CvRDT, MVReg, Map, Orswot, PNCounter};
use serde::{Deserialize, Serialize};

use crate::peer::{Contents, Edit, Peer, Scan, Todo, Traffic, Value};
use crate::row::Row;

type Actor = u64;
type Register<V> = MVReg<V, Actor>;

/// The types of the library, one for each root.
pub struct Crdts {
    actor: Actor,
    state: State,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    map: Map<String, Register<Value>, Actor>,
    counter: PNCounter<Actor>,
    counters: Map<String, PNCounter<Actor>, Actor>,
    set: Orswot<String, Actor>,
    todos: Map<String, Map<String, Register<Field>, Actor>, Actor>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Field {
    Title(String),
    Done(bool),
}

#[derive(Clone, Serialize, Deserialize)]
enum Op {
    Map(crdts::map::Op<String, Register<Value>, Actor>),
    Counter(crdts::pncounter::Op<Actor>),
    Counters(crdts::map::Op<String, PNCounter<Actor>, Actor>),
    Set(crdts::orswot::Op<String, Actor>),
    Todos(crdts::map::Op<String, Map<String, Register<Field>, Actor>, Actor>),
}

impl Crdts {
    fn edit(&mut self, edit: &Edit, sent: &mut Option<Vec<Op>>) {
        let actor = self.actor;
        let state = &mut self.state;
        let op = match edit {
            Edit::Put { key, value } => {
                let context = state.map.read_ctx().derive_add_ctx(actor);
                Op::Map(
                    state.map.update(key.as_str(), context, |register, context| register.write(value.clone(), context)),
                )
            }
            Edit::RemoveKey { key } => Op::Map(state.map.rm(key.as_str(), state.map.get(key).derive_rm_ctx())),
            Edit::Increment { counter: None, by } => Op::Counter(increment(&state.counter, actor, *by)),
            Edit::Increment { counter: Some(key), by } => {
                let context = state.counters.read_ctx().derive_add_ctx(actor);
                Op::Counters(state.counters.update(key.as_str(), context, |counter, _| increment(counter, actor, *by)))
            }
            Edit::Add { member } => Op::Set(state.set.add(member.clone(), state.set.read_ctx().derive_add_ctx(actor))),
            Edit::Remove { member } => {
                Op::Set(state.set.rm(member.clone(), state.set.contains(member).derive_rm_ctx()))
            }
            Edit::NewTodo { id, title } => {
                self.set_field(id, "title", Field::Title(title.clone()), sent);
                self.set_field(id, "done", Field::Done(false), sent);
                return;
            }
            Edit::SetDone { id, done } => return self.set_field(id, "done", Field::Done(*done), sent),
            Edit::SetTitle { id, title } => return self.set_field(id, "title", Field::Title(title.clone()), sent),
            Edit::DeleteTodo { id } => Op::Todos(state.todos.rm(id.as_str(), state.todos.get(id).derive_rm_ctx())),
            Edit::Splice { .. } | Edit::List { .. } => unreachable!("rows with texts and lists are not supported"),
        };
        self.done(op, sent);
    }

    fn set_field(&mut self, id: &str, name: &str, field: Field, sent: &mut Option<Vec<Op>>) {
        let context = self.state.todos.read_ctx().derive_add_ctx(self.actor);
        let op = self.state.todos.update(id, context, |todo, context| {
            todo.update(name, context, |register, context| register.write(field, own_context(register, context)))
        });
        self.done(Op::Todos(op), sent);
    }

    fn done(&mut self, op: Op, sent: &mut Option<Vec<Op>>) {
        if let Some(sent) = sent {
            sent.push(op.clone());
        }
        self.state.apply(op);
    }
}

impl State {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Map(op) => self.map.apply(op),
            Op::Counter(op) => self.counter.apply(op),
            Op::Counters(op) => self.counters.apply(op),
            Op::Set(op) => self.set.apply(op),
            Op::Todos(op) => self.todos.apply(op),
        }
    }

    fn merge(&mut self, other: Self) {
        self.map.merge(other.map);
        self.counter.merge(other.counter);
        self.counters.merge(other.counters);
        self.set.merge(other.set);
        self.todos.merge(other.todos);
    }
}

impl Peer for Crdts {
    const NAME: &'static str = "crdts";

    fn supports(row: Row) -> bool {
        !row.is_text() && !row.is_list()
    }

    fn new(replica: u64) -> Self {
        Self { actor: replica, state: State::default() }
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        let mut sent = send.then(Vec::new);
        edits.iter().for_each(|edit| self.edit(edit, &mut sent));
        sent.map(|ops| postcard::to_stdvec(&ops).expect("operations can be written"))
    }

    fn apply(&mut self, sent: &[u8]) {
        let ops: Vec<Op> = postcard::from_bytes(sent).expect("what was written can be read");
        ops.into_iter().for_each(|op| self.state.apply(op));
    }

    fn save(&mut self) -> Vec<u8> {
        postcard::to_stdvec(&self.state).expect("the state can be written")
    }

    fn load(bytes: &[u8], replica: u64) -> Self {
        Self { actor: replica, state: postcard::from_bytes(bytes).expect("what was written can be read") }
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.state.map.get(&key.to_owned()).val.and_then(|register| winner(&register))
    }

    fn scan(&self) -> Scan {
        self.state.map.iter().fold(Scan::default(), |scan, item| {
            let (key, register) = item.val;
            let bytes = key.len() as u64 + winner(register).map_or(0, |value| value.weight());
            Scan { entries: scan.entries + 1, bytes: scan.bytes + bytes }
        })
    }

    fn contents(&self) -> Contents {
        let state = &self.state;
        let map = state.map.iter().filter_map(|item| Some((item.val.0.clone(), winner(item.val.1)?)));
        let counters = state.counters.iter().map(|item| (item.val.0.clone(), value(item.val.1)));
        let todos = state.todos.iter().map(|item| {
            let field = |name: &str| item.val.1.get(&name.to_owned()).val.and_then(|register| winner(&register));
            let title =
                field("title").and_then(|field| if let Field::Title(title) = field { Some(title) } else { None });
            let done = field("done").and_then(|field| if let Field::Done(done) = field { Some(done) } else { None });
            (item.val.0.clone(), Todo { title, done })
        });
        Contents {
            map: map.collect(),
            counter: value(&state.counter),
            counters: counters.collect(),
            set: state.set.iter().map(|item| item.val.clone()).collect(),
            todos: todos.collect(),
            ..Contents::default()
        }
    }

    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic {
        let mut traffic = Traffic::default();
        let mut send = |state: &State| -> State {
            let message = postcard::to_stdvec(state).expect("the state can be written");
            traffic.count(&message);
            postcard::from_bytes(&message).expect("what was written can be read")
        };
        let all = send(&self.state);
        other.state.merge(all);
        if both_ways {
            let all = send(&other.state);
            self.state.merge(all);
        }
        traffic
    }
}

/// The context of a write that has seen only what the register holds. The dot stays the map's.
fn own_context<V: Clone + std::fmt::Debug>(register: &Register<V>, context: AddCtx<Actor>) -> AddCtx<Actor> {
    let mut clock = register.read_ctx().add_clock;
    clock.apply(context.dot);
    AddCtx { clock, ..context }
}

fn increment(counter: &PNCounter<Actor>, actor: Actor, by: i64) -> crdts::pncounter::Op<Actor> {
    let steps = by.unsigned_abs();
    if by < 0 { counter.dec_many(actor, steps) } else { counter.inc_many(actor, steps) }
}

fn value(counter: &PNCounter<Actor>) -> i64 {
    // The library counts in integers without bounds.
    counter.read().to_string().parse().expect("the workload counts within 64 bits")
}

/// The library keeps concurrent values side by side; an application that wants one takes the greatest, which is the same everywhere.
fn winner<V: Clone + Ord + std::fmt::Debug>(register: &Register<V>) -> Option<V> {
    register.read().val.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::super::common;
    use super::*;
    use crate::cells::{self, Scale};
    use crate::workload::replica;

    #[test]
    fn every_row_converges_when_small() {
        common::every_row_converges_when_small::<Crdts>();
    }

    #[test]
    fn todos_that_meet_many_times_show_what_was_last_written() {
        // The row itself asserts it. At a tenth of its size the documented contexts already go wrong.
        cells::run::<Crdts>(Row::Todo, Scale(10), None);
    }

    /// Three replicas write one key after one another, each knowing all that was written before; what the first shows in the end.
    fn written_in_turn(context: fn(&Register<char>, AddCtx<Actor>) -> AddCtx<Actor>) -> Vec<char> {
        let mut maps: [Map<String, Register<char>, Actor>; 3] = Default::default();
        let write = |maps: &mut [Map<_, Register<char>, _>; 3], by: usize, key: &str, value| {
            let add = maps[by].read_ctx().derive_add_ctx(by as Actor);
            let op = maps[by].update(key, add, |register, add| register.write(value, context(register, add)));
            maps[by].apply(op);
        };
        let learn = |maps: &mut [Map<_, _, _>; 3], who: usize, from: usize| {
            let all = maps[from].clone();
            maps[who].merge(all);
        };
        write(&mut maps, 2, "other", 'o');
        learn(&mut maps, 0, 2);
        write(&mut maps, 0, "key", 'z');
        learn(&mut maps, 1, 0);
        write(&mut maps, 1, "key", 'a');
        // New to the third, who has written before: where the context of `a` names that write, it is stripped of it here.
        learn(&mut maps, 2, 1);
        learn(&mut maps, 0, 2);
        maps[0].get(&"key".to_owned()).val.expect("nobody removed it").read().val
    }

    #[test]
    fn the_context_of_the_map_brings_overwritten_values_back_and_that_of_the_register_does_not() {
        assert_eq!(written_in_turn(|_, context| context), ['z', 'a']);
        assert_eq!(written_in_turn(own_context), ['a']);
    }

    #[test]
    fn a_todo_edited_in_turn_by_three_shows_the_last_edit() {
        let id = || "t".to_owned();
        let [mut one, mut two, mut three] = [1, 2, 3].map(|number| Crdts::new(replica(number)));
        three.transact(&[Edit::NewTodo { id: "other".into(), title: "o".into() }], false);
        three.catch_up(&mut one, false);
        one.transact(&[Edit::NewTodo { id: id(), title: "z".into() }], false);
        one.catch_up(&mut two, false);
        two.transact(&[Edit::SetTitle { id: id(), title: "a".into() }], false);
        two.catch_up(&mut three, false);
        three.catch_up(&mut one, false);
        for peer in [&one, &two, &three] {
            assert_eq!(peer.contents().todos["t"], Todo { title: Some("a".into()), done: Some(false) });
        }
    }
}
