//! The edits, the same for every library: drawn from a seed, before any clock runs.
//!
//! Keys are 16 bytes, values 32, as an application's ids and short texts are. A model goes along with the edits and says what a document
//! must show at the end; where replicas edit one thing at once, libraries differ in what they promise, and the model says which keys
//! those are: there the replicas must agree with each other only.
//!
//! Not here: how edits are grouped into transactions and what is timed ([`crate::cells`]).

mod list;
mod rng;
mod todo;
pub mod trace;
pub mod typing;

use std::collections::BTreeSet;

pub use list::{list_deletes, list_inserts, list_moves, list_pushes};
pub use rng::{Rng, replica};
pub use todo::{REPLICAS, Step, TodoTrace, todo_trace};

use crate::peer::{Contents, Edit, List, ListEdit, Scan, Value};

/// The seed of all workloads.
pub const SEED: u64 = 2_024;

/// Edits with what a document shows after them.
pub struct Workload {
    /// In the order in which they are done.
    pub edits: Vec<Edit>,
    /// What is there in the end.
    pub expected: Contents,
}

/// A string that looks like an id or a short text: `len` hexadecimal digits.
pub fn text(rng: &mut Rng, len: usize) -> String {
    let mut text = String::with_capacity(len);
    while text.len() < len {
        text.push_str(&format!("{:016x}", rng.next()));
    }
    text.truncate(len);
    text
}

fn key(rng: &mut Rng) -> String {
    text(rng, 16)
}

fn value(rng: &mut Rng) -> Value {
    Value::Text(text(rng, 32))
}

/// `count` distinct strings of 16 bytes, in no order.
pub fn keys(rng: &mut Rng, count: usize) -> Vec<String> {
    // 64 bits from a generator that is a permutation of a counter: they do not repeat.
    (0..count).map(|_| key(rng)).collect()
}

/// Sets `count` fresh keys.
pub fn map_set(seed: u64, count: usize) -> Workload {
    let mut rng = Rng::new(seed);
    let edits: Vec<Edit> =
        keys(&mut rng, count).into_iter().map(|key| Edit::Put { key, value: value(&mut rng) }).collect();
    Workload::of(edits)
}

/// Sets `count` times one of the keys.
pub fn map_overwrite(seed: u64, count: usize, keys: &[String]) -> Workload {
    let mut rng = Rng::new(seed);
    let edits = (0..count).map(|_| Edit::Put { key: rng.pick(keys).clone(), value: value(&mut rng) }).collect();
    Workload::of(edits)
}

/// Edits of a map that is there: eight of ten overwrite, one adds a key, one removes one. `present` is the map's keys, and is kept up to
/// date.
pub fn map_edits(seed: u64, count: usize, present: &mut Vec<String>) -> Vec<Edit> {
    let mut rng = Rng::new(seed);
    (0..count)
        .map(|_| match rng.below(10) {
            0 => {
                let key = key(&mut rng);
                present.push(key.clone());
                Edit::Put { key, value: value(&mut rng) }
            }
            1 if present.len() > 1 => Edit::RemoveKey { key: present.swap_remove(rng.below(present.len())) },
            _ => Edit::Put { key: rng.pick(present).clone(), value: value(&mut rng) },
        })
        .collect()
}

/// Adds 1 to 9 to one counter, `count` times.
pub fn counter_one(seed: u64, count: usize) -> Workload {
    let mut rng = Rng::new(seed);
    let edits = (0..count).map(|_| Edit::Increment { counter: None, by: rng.below(9) as i64 + 1 }).collect();
    Workload::of(edits)
}

/// Adds 1 to 9 to one of the counters, `count` times.
pub fn counter_map(seed: u64, count: usize, keys: &[String]) -> Workload {
    let mut rng = Rng::new(seed);
    let edits = (0..count)
        .map(|_| Edit::Increment { counter: Some(rng.pick(keys).clone()), by: rng.below(9) as i64 + 1 })
        .collect();
    Workload::of(edits)
}

/// Adds every member.
pub fn set_add(members: &[String]) -> Workload {
    Workload::of(members.iter().map(|member| Edit::Add { member: member.clone() }).collect())
}

/// Removes every second member.
pub fn set_remove_half(members: &[String]) -> Vec<Edit> {
    members.iter().step_by(2).map(|member| Edit::Remove { member: member.clone() }).collect()
}

/// Toggles one of the members, `count` times: adds it where it is absent, removes it where it is there.
pub fn set_churn(seed: u64, count: usize, members: &[String]) -> Workload {
    let mut rng = Rng::new(seed);
    let mut there = vec![false; members.len()];
    let edits = (0..count)
        .map(|_| {
            let index = rng.below(members.len());
            there[index] = !there[index];
            let member = members[index].clone();
            if there[index] { Edit::Add { member } } else { Edit::Remove { member } }
        })
        .collect();
    Workload::of(edits)
}

/// What client `index` of `clients` does in the rows that follow the public crdt-benchmarks: all at once, to one key.
pub fn b3_number(index: usize) -> Edit {
    Edit::Put { key: "v".into(), value: Value::Number(index as i64) }
}

/// See [`b3_number`].
pub fn b3_object(index: usize) -> Edit {
    let fields = vec![("address".into(), "here".into()), ("name".into(), index.to_string())];
    Edit::Put { key: "v".into(), value: Value::Object(fields) }
}

/// See [`b3_number`]. The strings are long: the client's number, as often as there are clients.
pub fn b3_string(index: usize, clients: usize) -> Edit {
    Edit::Put { key: "v".into(), value: Value::Text(index.to_string().repeat(clients)) }
}

/// See [`b3_number`].
pub fn b3_counter(index: usize) -> Edit {
    Edit::Increment { counter: None, by: index as i64 + 1 }
}

impl Workload {
    /// The edits, and what they lead to from nothing.
    pub fn of(edits: Vec<Edit>) -> Self {
        let mut expected = Contents::default();
        for edit in &edits {
            expected.apply(edit);
        }
        Self { edits, expected }
    }
}

impl Contents {
    /// What one edit by one user does.
    pub fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Put { key, value } => {
                self.map.insert(key.clone(), value.clone());
            }
            Edit::RemoveKey { key } => {
                self.map.remove(key);
            }
            Edit::Increment { counter: None, by } => self.counter += by,
            Edit::Increment { counter: Some(key), by } => *self.counters.entry(key.clone()).or_default() += by,
            Edit::Add { member } => {
                self.set.insert(member.clone());
            }
            Edit::Remove { member } => {
                self.set.remove(member);
            }
            Edit::NewTodo { id, title } => {
                let todo = crate::peer::Todo { title: Some(title.clone()), done: Some(false) };
                self.todos.insert(id.clone(), todo);
            }
            Edit::SetDone { id, done } => {
                self.todos.entry(id.clone()).and_modify(|todo| todo.done = Some(*done));
            }
            Edit::SetTitle { id, title } => {
                self.todos.entry(id.clone()).and_modify(|todo| todo.title = Some(title.clone()));
            }
            Edit::DeleteTodo { id } => {
                self.todos.remove(id);
            }
            Edit::Splice { at, delete, insert } => {
                let byte = |index: usize| self.text.char_indices().nth(index).map_or(self.text.len(), |(byte, _)| byte);
                let range = byte(*at)..byte(*at + *delete);
                self.text.replace_range(range, insert);
            }
            Edit::List { list, at, edit } => {
                let list = if *list == List::Fixed { &mut self.list } else { &mut self.order };
                match edit {
                    ListEdit::Insert(number) => list.insert(*at, *number),
                    ListEdit::Delete => drop(list.remove(*at)),
                    ListEdit::Move(to) => {
                        let moved = list.remove(*at);
                        list.insert(*to, moved);
                    }
                }
            }
        }
    }

    /// What [`crate::peer::Peer::scan`] must see.
    pub fn scan(&self) -> Scan {
        let bytes = self.map.iter().map(|(key, value)| key.len() as u64 + value.weight()).sum();
        Scan { entries: self.map.len() as u64, bytes }
    }

    /// The same without the keys of `m` and `t` that are in `contested`.
    pub fn without(&self, contested: &BTreeSet<String>) -> Self {
        let mut rest = self.clone();
        rest.map.retain(|key, _| !contested.contains(key));
        rest.todos.retain(|id, _| !contested.contains(id));
        rest
    }
}

/// The keys of `m` that edits on both sides touched.
pub fn contested(one: &[Edit], other: &[Edit]) -> BTreeSet<String> {
    let touched = |edits: &[Edit]| -> BTreeSet<String> {
        edits
            .iter()
            .filter_map(|edit| match edit {
                Edit::Put { key, .. } | Edit::RemoveKey { key } => Some(key.clone()),
                _ => None,
            })
            .collect()
    };
    touched(one).intersection(&touched(other)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_edits_twice_and_another_seed_gives_others() {
        let members = keys(&mut Rng::new(9), 50);
        let all = |seed| {
            let mut present = members.clone();
            [
                map_set(seed, 100).edits,
                map_overwrite(seed, 100, &members).edits,
                map_edits(seed, 100, &mut present),
                counter_one(seed, 100).edits,
                counter_map(seed, 100, &members).edits,
                set_churn(seed, 100, &members).edits,
            ]
        };
        assert_eq!(all(1), all(1));
        for (one, other) in all(1).iter().zip(all(2).iter()) {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn keys_have_16_bytes_and_values_32_and_no_key_comes_twice() {
        let set = map_set(1, 1_000);
        assert_eq!(set.expected.map.len(), 1_000);
        assert_eq!(set.expected.scan(), Scan { entries: 1_000, bytes: 48_000 });
    }

    #[test]
    fn edits_of_a_map_keep_track_of_what_is_there() {
        let base = map_set(1, 200);
        let mut present: Vec<String> = base.expected.map.keys().cloned().collect();
        let edits = map_edits(2, 1_000, &mut present);
        let mut model = base.expected;
        for edit in &edits {
            if let Edit::RemoveKey { key } = edit {
                assert!(model.map.contains_key(key), "only what is there is removed");
            }
            model.apply(edit);
        }
        assert_eq!(present.into_iter().collect::<BTreeSet<_>>(), model.map.into_keys().collect());
        let removals = edits.iter().filter(|edit| matches!(edit, Edit::RemoveKey { .. })).count();
        assert!((50..150).contains(&removals), "{removals} removals");
    }

    #[test]
    fn churn_adds_what_is_absent_and_removes_what_is_there() {
        let members = keys(&mut Rng::new(1), 10);
        let churn = set_churn(2, 1_000, &members);
        let mut there = BTreeSet::new();
        for edit in &churn.edits {
            match edit {
                Edit::Add { member } => assert!(there.insert(member.clone())),
                Edit::Remove { member } => assert!(there.remove(member)),
                other => panic!("{other:?} is no edit of a set"),
            }
        }
        assert_eq!(there, churn.expected.set);
    }

    #[test]
    fn a_text_counts_characters_and_a_list_moves_to_where_its_element_comes_to_be() {
        let splice = |at, delete, insert: &str| Edit::Splice { at, delete, insert: insert.into() };
        let list = |at, edit| Edit::List { list: List::Ordered, at, edit };
        let mut edits = vec![splice(0, 0, "é!"), splice(1, 1, "tat"), splice(4, 0, "s")];
        edits.extend((0..4).map(|number| list(number, ListEdit::Insert(number as i64))));
        edits.extend([list(0, ListEdit::Move(2)), list(1, ListEdit::Delete)]);
        let expected = Workload::of(edits).expected;
        assert_eq!((expected.text.as_str(), expected.order), ("états", vec![1, 0, 3]));
    }

    #[test]
    fn contested_are_the_keys_that_both_touch() {
        let put = |key: &str| Edit::Put { key: key.into(), value: Value::Number(1) };
        let one = [put("a"), put("b")];
        let other = [Edit::RemoveKey { key: "b".into() }, put("c")];
        assert_eq!(contested(&one, &other), BTreeSet::from(["b".to_owned()]));
    }

    #[test]
    fn the_clients_of_b3_set_what_the_public_benchmark_sets() {
        assert_eq!(b3_number(7), Edit::Put { key: "v".into(), value: Value::Number(7) });
        assert_eq!(b3_string(12, 3), Edit::Put { key: "v".into(), value: Value::Text("121212".into()) });
        assert_eq!(b3_counter(5), Edit::Increment { counter: None, by: 6 });
        let Edit::Put { value: Value::Object(fields), .. } = b3_object(3) else { panic!("an object") };
        assert_eq!(fields, [("address".into(), "here".into()), ("name".into(), "3".into())]);
    }
}
