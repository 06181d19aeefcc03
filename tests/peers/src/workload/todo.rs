//! Todo lists on several replicas that are partitioned at random and come together again.
//!
//! In each round every replica edits its own list, one transaction per edit; then the network falls into random groups, and in each group
//! the replicas bring each other up to date. At the end all are brought together. The trace knows what each replica had seen at each
//! edit, so that it only edits what is there for all it knows, and can tell which todos were edited by two at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rng, text};
use crate::peer::{Contents, Edit};

/// How many replicas there are.
pub const REPLICAS: usize = 5;

/// Indices of replicas.
pub type Replicas = Vec<usize>;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A replica runs a transaction of one edit.
    Edit(usize, Edit),
    /// These replicas, and only these, bring each other up to date.
    Meet(Replicas),
}

/// The whole trace.
pub struct TodoTrace {
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What is there in the end, without the contested todos.
    pub expected: Contents,
    /// The todos that two replicas edited without knowing of each other's edit, or whose deletion was not known to an editor.
    pub contested: BTreeSet<String>,
}

/// New todos of each replica in a round …
const FRESH: usize = 40;
/// … and its edits of those that are there.
const TOGGLES: usize = 20;
const RETITLES: usize = 10;
const DELETIONS: usize = 5;

/// A trace in which `todos` are created in all.
pub fn todo_trace(seed: u64, todos: usize) -> TodoTrace {
    let mut rng = Rng::new(seed);
    let mut world = World::default();
    for _ in 0..todos.div_ceil(REPLICAS * FRESH) {
        for replica in 0..REPLICAS {
            for _ in 0..FRESH {
                let edit = Edit::NewTodo { id: text(&mut rng, 16), title: text(&mut rng, 32) };
                world.edit(replica, edit);
            }
            for kind in 0..TOGGLES + RETITLES + DELETIONS {
                let id = rng.pick(&world.sees[replica].order).clone();
                let edit = match kind {
                    kind if kind < TOGGLES => Edit::SetDone { done: !world.sees[replica].done[&id], id },
                    kind if kind < TOGGLES + RETITLES => Edit::SetTitle { id, title: text(&mut rng, 32) },
                    _ => Edit::DeleteTodo { id },
                };
                world.edit(replica, edit);
            }
        }
        for group in groups(&mut rng) {
            world.meet(group);
        }
    }
    world.meet((0..REPLICAS).collect());
    world.finish()
}

/// The replicas, fallen apart into one to three groups.
fn groups(rng: &mut Rng) -> Vec<Replicas> {
    let count = rng.below(3) + 1;
    let mut groups = vec![Vec::new(); count];
    for replica in 0..REPLICAS {
        groups[rng.below(count)].push(replica);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// How many edits of each replica are known.
type Clock = [usize; REPLICAS];

#[derive(Default)]
struct World {
    steps: Vec<Step>,
    /// Every edit of each replica with what was known when it was made, itself included.
    log: [Vec<(Edit, Clock)>; REPLICAS],
    /// The same, in an order that respects what was known.
    order: Vec<(usize, usize)>,
    known: [Clock; REPLICAS],
    sees: [View; REPLICAS],
}

/// What one replica sees, as far as it matters for what it may edit.
#[derive(Clone, Default)]
struct View {
    done: BTreeMap<String, bool>,
    /// The keys of `done`, to draw from.
    order: Vec<String>,
    /// Deletion wins in most libraries; those where it does not keep half a record. Nobody edits such a todo again.
    deleted: BTreeSet<String>,
}

impl View {
    fn apply(&mut self, edit: &Edit) {
        match edit {
            // Ids are fresh, and each edit is applied once: it is not there yet.
            Edit::NewTodo { id, .. } if !self.deleted.contains(id) => {
                self.done.insert(id.clone(), false);
                self.order.push(id.clone());
            }
            Edit::SetDone { id, done } => {
                self.done.entry(id.clone()).and_modify(|old| *old = *done);
            }
            Edit::DeleteTodo { id } => {
                self.deleted.insert(id.clone());
                if self.done.remove(id).is_some() {
                    let at = self.order.iter().position(|other| other == id).expect("what is there is in the order");
                    self.order.swap_remove(at);
                }
            }
            _ => {}
        }
    }
}

impl World {
    fn edit(&mut self, replica: usize, edit: Edit) {
        self.known[replica][replica] += 1;
        self.order.push((replica, self.log[replica].len()));
        self.log[replica].push((edit.clone(), self.known[replica]));
        self.sees[replica].apply(&edit);
        self.steps.push(Step::Edit(replica, edit));
    }

    fn meet(&mut self, group: Replicas) {
        let mut together: Clock = [0; REPLICAS];
        for &replica in &group {
            for (most, known) in together.iter_mut().zip(self.known[replica]) {
                *most = (*most).max(known);
            }
        }
        for &replica in &group {
            for (log, (known, together)) in self.log.iter().zip(self.known[replica].into_iter().zip(together)) {
                log[known..together].iter().for_each(|(edit, _)| self.sees[replica].apply(edit));
            }
            self.known[replica] = together;
        }
        self.steps.push(Step::Meet(group));
    }

    fn finish(self) -> TodoTrace {
        let mut expected = Contents::default();
        let mut touched: BTreeMap<&str, Vec<(usize, Clock)>> = BTreeMap::new();
        let mut contested = BTreeSet::new();
        for &(replica, index) in &self.order {
            let (edit, clock) = &self.log[replica][index];
            expected.apply(edit);
            let id = todo_of(edit);
            let before = touched.entry(id).or_default();
            // An edit follows another if it knew of it.
            if before.iter().any(|(other, seen)| clock[*other] < seen[*other]) {
                contested.insert(id.to_owned());
            }
            before.push((replica, *clock));
        }
        let expected = expected.without(&contested);
        TodoTrace { steps: self.steps, expected, contested }
    }
}

fn todo_of(edit: &Edit) -> &str {
    match edit {
        Edit::NewTodo { id, .. } | Edit::SetDone { id, .. } | Edit::SetTitle { id, .. } | Edit::DeleteTodo { id } => id,
        other => panic!("{other:?} is no edit of a todo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_trace_twice() {
        assert_eq!(todo_trace(1, 400).steps, todo_trace(1, 400).steps);
        assert_ne!(todo_trace(1, 400).steps, todo_trace(2, 400).steps);
    }

    #[test]
    fn some_todos_are_contested_and_most_are_not() {
        let trace = todo_trace(1, 2_000);
        assert!(!trace.contested.is_empty());
        assert!(trace.expected.todos.len() > 10 * trace.contested.len(), "{} contested", trace.contested.len());
    }

    #[test]
    fn replicas_edit_only_what_they_know_and_have_not_deleted() {
        let trace = todo_trace(3, 1_000);
        let mut created = [(); REPLICAS].map(|()| BTreeSet::new());
        for step in &trace.steps {
            match step {
                Step::Edit(replica, Edit::NewTodo { id, .. }) => {
                    created[*replica].insert(id.clone());
                }
                Step::Edit(replica, edit) => assert!(created[*replica].contains(todo_of(edit)), "{edit:?}"),
                Step::Meet(group) => {
                    let all: BTreeSet<String> = group.iter().flat_map(|replica| created[*replica].clone()).collect();
                    for replica in group {
                        created[*replica] = all.clone();
                    }
                }
            }
            if let Step::Edit(replica, Edit::DeleteTodo { id }) = step {
                created[*replica].remove(id);
            }
        }
    }

    #[test]
    fn the_last_step_brings_all_together() {
        assert_eq!(todo_trace(1, 100).steps.last(), Some(&Step::Meet((0..REPLICAS).collect())));
    }
}
