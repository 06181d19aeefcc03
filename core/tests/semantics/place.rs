//! Where a story is told: two replicas and one map that both know, wherever in the document it is.

use std::fmt::Debug;

use weftline::{Document, EditError, Kind, MapMut, MapRef, NodeMut, NodeRef, Path, PathStep, Transaction};

use crate::common::{copy, edit, meet, same, writer};

/// An edit in the map that the story is about.
pub(crate) type Edit = fn(&mut MapMut<'_, '_>) -> Result<(), EditError>;

/// Two replicas that know the same at the beginning, and then edit one map apart.
pub(crate) struct Pair {
    pub(crate) a: Document,
    pub(crate) b: Document,
    map: Path,
    /// The live dots at the beginning.
    size: usize,
    pub(crate) clock: u64,
}

/// Tells a story in every place that a map can be in.
#[track_caller]
pub(crate) fn everywhere(story: fn(&mut Pair)) {
    for begin in [at_a_root, nested, in_an_element, after_a_removal, after_two_creations] {
        let mut pair = begin();
        meet(&mut pair.a, &mut pair.b);
        pair.size = pair.a.live_count();
        story(&mut pair);
    }
}

fn at(map: Path) -> Pair {
    Pair { a: writer(1), b: writer(2), map, size: 0, clock: 1_000 }
}

fn map_at(path: &[&str]) -> Path {
    let key = |key: &&str| PathStep::Key { key: (*key).into(), kind: Kind::MAP };
    path.iter().map(key).fold(Path::root("root", Kind::MAP), |path, step| path.join(step))
}

fn at_a_root() -> Pair {
    at(map_at(&[]))
}

fn nested() -> Pair {
    let mut pair = at(map_at(&["x", "y"]));
    pair.a(|_| Ok(()));
    pair
}

fn in_an_element() -> Pair {
    let mut pair = at(Path::root("rows", Kind::LIST));
    let created = edit(&mut pair.b, 1, |tx| tx.list("rows")?.insert_container(0, Kind::MAP).map(drop));
    pair.map = pair.map.join(PathStep::Element(created.dot()));
    pair
}

fn after_a_removal() -> Pair {
    let mut pair = at(map_at(&["x"]));
    pair.a(|map| {
        map.put("k", "of the removed map")?;
        map.counter("n")?.add(1_000)?;
        map.list("l")?.push("of the removed map")?;
        map.set("s")?.add("x")?;
        map.enable("f")
    });
    meet(&mut pair.a, &mut pair.b);
    edit(&mut pair.b, 1, |tx| tx.map("root")?.remove("x").map(drop));
    meet(&mut pair.a, &mut pair.b);
    pair.a(|_| Ok(()));
    pair
}

fn after_two_creations() -> Pair {
    let mut pair = at(map_at(&["x"]));
    pair.a(|_| Ok(())).b(|_| Ok(()));
    pair
}

fn inside(tx: &mut Transaction<'_>, path: &Path, edit: Edit) -> Result<(), EditError> {
    match tx.at(path)? {
        NodeMut::Map(mut map) => edit(&mut map),
        other => panic!("{other:?} is no map"),
    }
}

impl Pair {
    /// `a` edits the map.
    #[track_caller]
    pub(crate) fn a(&mut self, story: Edit) -> &mut Self {
        self.clock += 10;
        edit(&mut self.a, self.clock, |tx| inside(tx, &self.map, story));
        self
    }

    /// `b` edits the map.
    #[track_caller]
    pub(crate) fn b(&mut self, story: Edit) -> &mut Self {
        self.clock += 10;
        edit(&mut self.b, self.clock, |tx| inside(tx, &self.map, story));
        self
    }

    /// Both learn what the other did.
    #[track_caller]
    pub(crate) fn meet(&mut self) -> &mut Self {
        meet(&mut self.a, &mut self.b);
        self
    }

    /// Both know what this edit made.
    #[track_caller]
    pub(crate) fn begin(&mut self, story: Edit) -> &mut Self {
        self.a(story).meet()
    }

    /// Meets, and reads the same at both.
    #[track_caller]
    pub(crate) fn both<T: PartialEq + Debug>(&mut self, read: impl Fn(MapRef<'_>) -> T) -> T {
        self.meet();
        let map =
            |doc: &Document| read(doc.at(&self.map).as_ref().and_then(NodeRef::as_map).expect("nobody removes it"));
        same(&self.a, &self.b, map)
    }

    /// Somebody who knows no more than `knows` edits the map, and `a` hears of it.
    #[track_caller]
    pub(crate) fn third(&mut self, knows: &Document, story: Edit) -> &mut Self {
        let mut third = copy(knows, 3);
        self.clock += 10;
        let delta = edit(&mut third, self.clock, |tx| inside(tx, &self.map, story));
        self.a.apply(&delta).expect("the delta applies");
        self
    }

    /// Nothing lives that was not there at the beginning.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        assert_eq!(self.a.live_count(), self.size, "nothing is left behind");
    }

    /// The transaction that edits the map, for those who want it to fail.
    pub(crate) fn try_a(&mut self, story: Edit) -> Result<(), EditError> {
        self.clock += 10;
        let now = weftline::Timestamp(self.clock);
        let commit: Result<weftline::Commit<()>, EditError> = self.a.transact(now, |tx| inside(tx, &self.map, story));
        commit.map(drop)
    }
}
