//! The todo list inside the document: the only file that knows its layout.
//!
//! Root map `list` → key `todos` → a list; each todo is a map with the register `title` and the flag `completed`. The
//! web page uses the same layout. Nobody sets the list up: whoever writes first creates it, and lists that two
//! replicas created before they met are shown merged. Elements of another shape may have been put there by other
//! programs: they are not shown and not touched.

use weftline::{Document, Dot, EditError, Kind, ListMut, ListRef, Transaction};

const ROOT: &str = "list";
const TODOS: &str = "todos";
const TITLE: &str = "title";
const COMPLETED: &str = "completed";

/// One todo as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Todo {
    /// What names it, at every replica and for ever.
    pub(crate) id: Dot,
    /// What is to be done.
    pub(crate) title: String,
    /// Whether it is.
    pub(crate) completed: bool,
}

/// The name of the document that holds a list.
pub(crate) fn document_name(list: &str) -> String {
    format!("todo/{list}")
}

/// The todos in their order.
pub(crate) fn todos(document: &Document) -> Vec<Todo> {
    read(document.map(ROOT).list(TODOS))
}

/// Appends a todo.
pub(crate) fn add(tx: &mut Transaction<'_>, title: &str) -> Result<Dot, EditError> {
    edit(tx, |list| {
        let id = list.insert_container(list.read().len(), Kind::MAP)?;
        list.map(id)?.put(TITLE, title)?;
        Ok(id)
    })
}

/// Gives a todo another title.
pub(crate) fn rename(tx: &mut Transaction<'_>, id: Dot, title: &str) -> Result<(), EditError> {
    edit(tx, |list| list.map(id)?.put(TITLE, title))
}

/// Marks a todo as completed or active.
pub(crate) fn complete(tx: &mut Transaction<'_>, id: Dot, completed: bool) -> Result<(), EditError> {
    edit(tx, |list| {
        let mut todo = list.map(id)?;
        if completed { todo.enable(COMPLETED) } else { todo.disable(COMPLETED) }
    })
}

/// Moves a todo to the place that another one has now; what is between them moves up or down by one.
pub(crate) fn move_to(tx: &mut Transaction<'_>, id: Dot, place_of: Dot) -> Result<(), EditError> {
    edit(tx, |list| {
        let index = list.read().index_of(place_of).ok_or(EditError::NoSuchElement)?;
        list.move_to(id, index)
    })
}

/// Removes todos.
pub(crate) fn remove(tx: &mut Transaction<'_>, ids: &[Dot]) -> Result<(), EditError> {
    edit(tx, |list| ids.iter().try_for_each(|&id| list.remove(id)))
}

fn edit<T>(
    tx: &mut Transaction<'_>,
    body: impl FnOnce(&mut ListMut<'_, '_>) -> Result<T, EditError>,
) -> Result<T, EditError> {
    body(&mut tx.map(ROOT)?.list(TODOS)?)
}

fn read(list: ListRef<'_>) -> Vec<Todo> {
    let maps = list.iter().filter_map(|(id, node)| Some((id, node.as_map()?)));
    maps.map(|(id, todo)| {
        let title = todo.get_as(TITLE).unwrap_or_default();
        Todo { id, title, completed: todo.flag(COMPLETED).is_enabled() }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weftline::{Delta, ReplicaId, Timestamp};

    fn document(replica: u128) -> Document {
        Document::with_writer(ReplicaId::from(replica))
    }

    fn transact<T>(
        document: &mut Document,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError>,
    ) -> (T, Delta) {
        let commit = document.transact(Timestamp(1), body).unwrap();
        (commit.value, commit.delta.unwrap())
    }

    fn lines(document: &Document) -> Vec<String> {
        let mark = |todo: &Todo| if todo.completed { 'x' } else { ' ' };
        todos(document).iter().map(|todo| format!("[{}] {}", mark(todo), todo.title)).collect()
    }

    #[test]
    fn a_list_is_edited() {
        let mut document = document(1);
        let ids: Vec<Dot> =
            ["milk", "bread", "tea"].into_iter().map(|title| transact(&mut document, |tx| add(tx, title)).0).collect();
        transact(&mut document, |tx| complete(tx, ids[1], true));
        transact(&mut document, |tx| rename(tx, ids[2], "green tea"));
        transact(&mut document, |tx| move_to(tx, ids[2], ids[0]));
        assert_eq!(lines(&document), ["[ ] green tea", "[ ] milk", "[x] bread"]);
        transact(&mut document, |tx| move_to(tx, ids[2], ids[1]));
        assert_eq!(lines(&document), ["[ ] milk", "[x] bread", "[ ] green tea"]);
        transact(&mut document, |tx| complete(tx, ids[1], false));
        transact(&mut document, |tx| remove(tx, &ids[..1]));
        assert_eq!(lines(&document), ["[ ] bread", "[ ] green tea"]);
    }

    #[test]
    fn lists_created_apart_merge() {
        let (mut a, mut b) = (document(1), document(2));
        let (_, from_a) = transact(&mut a, |tx| add(tx, "from a"));
        let (_, from_b) = transact(&mut b, |tx| add(tx, "from b"));
        a.apply(&from_b).unwrap();
        b.apply(&from_a).unwrap();
        assert_eq!(lines(&a), lines(&b));
        assert_eq!(lines(&a).len(), 2);
    }

    #[test]
    fn elements_of_other_shapes_are_left_alone() {
        let mut document = document(1);
        let (milk, _) = transact(&mut document, |tx| add(tx, "milk"));
        transact(&mut document, |tx| edit(tx, |list| list.insert(0, "a plain value")));
        let (tea, _) = transact(&mut document, |tx| add(tx, "tea"));
        transact(&mut document, |tx| move_to(tx, tea, milk));
        assert_eq!(lines(&document), ["[ ] tea", "[ ] milk"]);
    }
}
