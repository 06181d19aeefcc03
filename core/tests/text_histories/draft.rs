//! One transaction, planned on what its writer sees: a plain list of values that is spliced.

use weftline::{Document, Dot, EditError, ListMut, ReplicaId, TextMut, Transaction, VersionVector};

use super::story::{Item, Stories, Story};

/// Where something is edited: two texts and two lists, of each one a root and one under a key of a map, where it may have
/// several incarnations.
pub(crate) const PLACES: [Place; 4] = [
    Place { list: false, keyed: false },
    Place { list: false, keyed: true },
    Place { list: true, keyed: false },
    Place { list: true, keyed: true },
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) list: bool,
    pub(crate) keyed: bool,
}

impl Place {
    fn text<'t, 'd>(
        self,
        tx: &'t mut Transaction<'d>,
        then: &mut dyn FnMut(&mut TextMut<'_, 'd>) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        if self.keyed { then(&mut tx.map("m")?.text("t")?) } else { then(&mut tx.text("t")?) }
    }

    fn list<'t, 'd>(
        self,
        tx: &'t mut Transaction<'d>,
        then: &mut dyn FnMut(&mut ListMut<'_, 'd>) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        if self.keyed { then(&mut tx.map("m")?.list("l")?) } else { then(&mut tx.list("l")?) }
    }

    /// The text that a document shows here.
    pub(crate) fn read_text(self, document: &Document) -> String {
        let text = if self.keyed { document.map("m").text("t") } else { document.text("t") };
        text.to_string()
    }

    /// The elements that a document shows here.
    pub(crate) fn read_list(self, document: &Document) -> Vec<Dot> {
        let list = if self.keyed { document.map("m").list("l") } else { document.list("l") };
        list.ids().collect()
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Items, from an index on.
    Insert(usize, Vec<Item>),
    Delete(usize, usize),
    /// The element, by the item it was inserted as, and its new index.
    Move(Item, usize),
    /// All incarnations that are seen go.
    RemoveWhole,
}

/// A transaction in the making.
pub(crate) struct Draft {
    pub(crate) place: usize,
    writer: ReplicaId,
    saw: VersionVector,
    previous: Option<Item>,
    run: Option<usize>,
    /// What is seen by now: a position each, and whose element it is.
    pub(crate) seen: Vec<(Item, Item)>,
    ops: Vec<Op>,
    /// What came, and whose element it is.
    pub(crate) born: Vec<(Item, Item)>,
}

impl Draft {
    pub(crate) fn new(
        place: usize,
        document: &Document,
        (previous, run): (Option<Item>, Option<usize>),
        seen: Vec<(Item, Item)>,
    ) -> Self {
        let writer = document.writer().expect("every document here is written to");
        let saw = document.version();
        Self { place, writer, saw, previous, run, seen, ops: Vec::new(), born: Vec::new() }
    }

    /// Where its writer is now.
    pub(crate) fn hand(&self) -> (Option<Item>, Option<usize>) {
        (self.previous, self.run)
    }

    fn item(&mut self, stories: &mut Stories, index: usize) -> Item {
        let left = index.checked_sub(1).map(|before| self.seen[before].0);
        let right = self.seen.get(index).map(|seen| seen.0);
        let (writer, saw, previous) = (self.writer, self.saw.clone(), self.previous);
        let item = stories.begin(Story { left, right, writer, saw, previous, dot: None });
        self.previous = Some(item);
        item
    }

    /// Puts so many values in from an index on, in one go.
    pub(crate) fn insert(&mut self, stories: &mut Stories, index: usize, count: usize) {
        let mut items = Vec::new();
        for at in index..index + count {
            let item = self.item(stories, at);
            self.run = Some(stories.goes_on(self.run, self.place, item));
            self.seen.insert(at, (item, item));
            self.born.push((item, item));
            items.push(item);
        }
        self.ops.push(Op::Insert(index, items));
    }

    pub(crate) fn delete(&mut self, index: usize, count: usize) {
        self.seen.drain(index..index + count);
        self.ops.push(Op::Delete(index, count));
    }

    /// Moves an element so that it is at an index afterwards.
    pub(crate) fn move_to(&mut self, stories: &mut Stories, from: usize, to: usize) {
        if from == to {
            return;
        }
        let (_, element) = self.seen.remove(from);
        let item = self.item(stories, to);
        self.seen.insert(to, (item, element));
        self.born.push((item, element));
        self.ops.push(Op::Move(element, to));
    }

    pub(crate) fn remove_whole(&mut self) {
        self.seen.clear();
        self.ops.push(Op::RemoveWhole);
    }

    /// Does it.
    pub(crate) fn perform(&self, tx: &mut Transaction<'_>, stories: &mut Stories) -> Result<(), EditError> {
        let place = PLACES[self.place];
        for op in &self.ops {
            match op {
                Op::RemoveWhole => drop(tx.map("m")?.remove(if place.list { "l" } else { "t" })?),
                _ if place.list => place.list(tx, &mut |list| perform_in_list(list, op, stories))?,
                _ => place.text(tx, &mut |text| perform_in_text(text, op))?,
            }
        }
        Ok(())
    }
}

fn perform_in_text(text: &mut TextMut<'_, '_>, op: &Op) -> Result<(), EditError> {
    match op {
        Op::Insert(index, items) => text.insert(*index, &items.iter().copied().map(character).collect::<String>()),
        Op::Delete(index, count) => text.delete(*index..*index + *count),
        _ => unreachable!("no edit of a text"),
    }
}

fn perform_in_list(list: &mut ListMut<'_, '_>, op: &Op, stories: &mut Stories) -> Result<(), EditError> {
    match op {
        Op::Insert(index, items) => {
            for (at, item) in items.iter().enumerate() {
                let id = list.insert(index + at, *item as i64)?;
                stories.bind(*item, id);
            }
            Ok(())
        }
        Op::Delete(index, count) => (0..*count).try_for_each(|_| list.remove_at(*index)),
        Op::Move(element, to) => list.move_to(stories.dot(*element).expect("it is there"), *to),
        Op::RemoveWhole => unreachable!("no edit of a list"),
    }
}

/// The character of a value: each another one, of every length in UTF-8 and UTF-16, line feeds among them.
pub(crate) fn character(item: Item) -> char {
    let nth = item as u32 / 4;
    let code = match item % 4 {
        0 if nth == 0 => 0x0a,
        0 if nth < 95 => 0x20 + nth,
        1 => 0x4e00 + nth,
        2 => 0x1_f000 + nth,
        _ => 0x100 + 2 * nth + u32::from(item % 4 == 3),
    };
    char::from_u32(code).expect("a scalar value")
}
