//! No CRDT at all: collections of the standard library, written with postcard. What any library has to pay for, and a bound on what it can
//! hope for.
//!
//! It has no replicas that edit at once: whoever catches up takes a copy of everything.

use crate::peer::{Contents, Edit, Peer, Row, Scan, Traffic, Value};

/// The collections.
pub struct Floor(Contents);

impl Peer for Floor {
    const NAME: &'static str = "floor";

    fn supports(row: Row) -> bool {
        // Edits of one thing at once have no outcome here, except that increments commute.
        !matches!(row, Row::CatchUp { .. } | Row::Todo | Row::B3Number | Row::B3Object | Row::B3String)
    }

    fn new(_replica: u64) -> Self {
        Self(Contents::default())
    }

    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>> {
        edits.iter().for_each(|edit| self.0.apply(edit));
        send.then(|| postcard::to_stdvec(edits).expect("edits can be written"))
    }

    fn apply(&mut self, sent: &[u8]) {
        let edits: Vec<Edit> = postcard::from_bytes(sent).expect("what was written can be read");
        edits.into_iter().for_each(|edit| self.0.apply(&edit));
    }

    fn save(&mut self) -> Vec<u8> {
        postcard::to_stdvec(&self.0).expect("collections can be written")
    }

    fn load(bytes: &[u8], _replica: u64) -> Self {
        Self(postcard::from_bytes(bytes).expect("what was written can be read"))
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.0.map.get(key).cloned()
    }

    fn scan(&self) -> Scan {
        self.0.scan()
    }

    fn contents(&self) -> Contents {
        self.0.clone()
    }

    fn catch_up(&mut self, other: &mut Self, _both_ways: bool) -> Traffic {
        let mut traffic = Traffic::default();
        let all = self.save();
        traffic.count(&all);
        *other = Self::load(&all, 0);
        traffic
    }
}
