//! What a document must be, by the specification: a function of the deltas that it covers.

use std::collections::BTreeMap;

use weftline::testing::{Shape, Spec, dump};
use weftline::{Container, Document, Kind, VersionVector};

use super::{Checked, World};

impl World<'_> {
    /// All that was written to a room and not lost.
    pub(super) fn spec(&self, room: usize) -> Spec {
        let mut spec = Spec::default();
        let edits = self.edits.iter().filter(|edit| edit.room == room && !edit.lost);
        for delta in edits.map(|edit| &edit.delta).chain(self.relay.rooms[room].newer.deltas()) {
            spec.record(delta);
        }
        spec
    }

    /// A step of the plan: somebody's document is looked at, whatever it has got so far.
    pub(super) fn inspect(&mut self, index: usize) -> Checked {
        let peer = &self.peers[index];
        let Some(replica) = &peer.replica else { return Ok(()) };
        if self.settings.faults.copies() {
            return Ok(());
        }
        self.report.compared += 1;
        let checked = compare(&self.spec(peer.room), replica.document());
        checked.map_err(|what| format!("a document is not what was written: that of peer {index} {what}"))
    }
}

/// Holds a document against the specification.
pub(super) fn compare(spec: &Spec, document: &Document) -> Checked {
    let version: VersionVector = document.version();
    let expected = spec.dump(&version);
    let mut shown = dump(document);
    // A map of nothing but kinds that nobody here knows is there, and shows nothing.
    shown.retain(|_, shape| *shape != Shape::Map(BTreeMap::new()));
    if shown != expected {
        return Err(format!("shows\n{shown:#?}\nand should show\n{expected:#?}"));
    }
    let live = spec.live(&version).len();
    if live != document.live_count() {
        return Err(format!("has {} live dots, and should have {live}", document.live_count()));
    }
    let (heads, expected) = (document.heads(), spec.heads(&version));
    if heads != expected {
        return Err(format!("has the heads {heads:?}, and should have {expected:?}"));
    }
    for ((name, kind), shape) in &shown {
        if let (Kind::TEXT, Shape::Text(_)) = (*kind, shape) {
            compare_marks(spec, document, name)?;
        }
    }
    Ok(())
}

fn compare_marks(spec: &Spec, document: &Document, name: &str) -> Checked {
    let container = Container::Root { name: name.into(), kind: Kind::TEXT };
    let expected = spec.marked(&document.version(), &[container]);
    let mut at = expected.iter();
    for span in document.text(name).spans() {
        for character in span.text.chars() {
            let here = at.next().ok_or("shows more than was typed")?;
            let mut marks = here.1.iter().zip(&span.marks);
            let same = marks.all(|(expected, shown)| *expected.0 == *shown.0 && *expected.1 == shown.1);
            if here.0 != character || here.1.len() != span.marks.len() || !same {
                return Err(format!("marks {character:?} with {:?}, and should with {here:?}", span.marks));
            }
        }
    }
    Ok(())
}
