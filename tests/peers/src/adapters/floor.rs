//! No CRDT at all: collections of the standard library, and a rope (`ropey`) for the text, written with postcard. What any library has to
//! pay for, and a bound on what it can hope for.
//!
//! It has no replicas that edit at once: whoever catches up takes a copy of everything.

use ropey::Rope;

use crate::peer::{Contents, Edit, Peer, Scan, Traffic, Value};
use crate::row::Row;
use crate::workload::trace::splice_rope;

/// The collections, without a text in them, and the text.
pub struct Floor(Contents, Rope);

impl Peer for Floor {
    const NAME: &'static str = "floor";

    fn supports(row: Row) -> bool {
        // Edits of one thing at once have no outcome here, except that increments commute.
        let concurrent = matches!(row, Row::CatchUp { .. } | Row::Todo | Row::TextConcurrent);
        !concurrent && !matches!(row, Row::B3Number | Row::B3Object | Row::B3String)
    }

    fn new(_replica: u64) -> Self {
        Self(Contents::default(), Rope::new())
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        edits.iter().for_each(|edit| self.edit(edit));
        send.then(|| postcard::to_stdvec(edits).expect("edits can be written"))
    }

    fn apply(&mut self, sent: &[u8]) {
        let edits: Vec<Edit> = postcard::from_bytes(sent).expect("what was written can be read");
        edits.iter().for_each(|edit| self.edit(edit));
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.text = self.1.to_string();
        let bytes = postcard::to_stdvec(&self.0).expect("collections can be written");
        self.0.text = String::new();
        bytes
    }

    fn load(bytes: &[u8], _replica: u64) -> Self {
        let mut contents: Contents = postcard::from_bytes(bytes).expect("what was written can be read");
        let text = Rope::from(std::mem::take(&mut contents.text));
        Self(contents, text)
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.0.map.get(key).cloned()
    }

    fn scan(&self) -> Scan {
        self.0.scan()
    }

    fn contents(&self) -> Contents {
        Contents { text: self.text(), ..self.0.clone() }
    }

    fn text(&self) -> String {
        self.1.to_string()
    }

    fn list(&self) -> Vec<i64> {
        self.0.list.clone()
    }

    fn catch_up(&mut self, other: &mut Self, _both_ways: bool) -> Traffic {
        let mut traffic = Traffic::default();
        let all = self.save();
        traffic.count(&all);
        *other = Self::load(&all, 0);
        traffic
    }
}

impl Floor {
    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Splice { .. } => splice_rope(&mut self.1, edit),
            other => self.0.apply(other),
        }
    }
}
