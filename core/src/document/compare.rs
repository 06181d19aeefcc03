//! Comparing a delta with what lives here under its dots: what is left to go by where its chain is not known any more.
//!
//! Rules: DOT-1 a dot is bound to one payload. FORK-2 two deltas at one dot are a fork, also where no tag is left to show it.

use alloc::vec::Vec;

use super::Document;
use crate::clock::{Dot, LocalDot};
use crate::delta::Delta;
use crate::ordered::Map;
use crate::store::Entry;

impl Document {
    /// Whether what lives here under the dots of the delta is what the delta bound to them. `None` where nothing lives there: what is
    /// dead, or was never here, tells nothing. O(delta · log live).
    pub fn agrees(&self, delta: &Delta) -> Option<bool> {
        let state = &self.state;
        let (parts, seqs) = (delta.parts(), delta.first_seq()..=delta.last_seq());
        let origin = state.origins.local(Dot::new(delta.replica(), *seqs.start())).map(LocalDot::origin)?;
        let mut said: Map<u64, &Entry> = Map::new();
        for (seq, entry) in parts.adds.iter() {
            said.insert(*seq, entry);
        }
        let (mut lives, mut same) = (false, true);
        for (dot, live) in state.store.range(origin, seqs.clone()) {
            let live: &crate::store::Live = live;
            lives = true;
            same &= said.get(&dot.seq()).is_some_and(|entry| live.hlc == parts.hlc && state.export(live) == **entry);
        }
        let mut runs = Vec::new();
        state.export_text(origin, seqs, &mut runs);
        if !runs.is_empty() {
            let mut typed: Map<u64, Entry> = Map::new();
            for (dot, entry) in parts.text.iter().flat_map(|run| run.entries()) {
                typed.insert(dot.seq, entry);
            }
            lives = true;
            same &= runs.iter().flat_map(|run| run.entries()).all(|(dot, entry)| typed.get(&dot.seq) == Some(&entry));
        }
        lives.then_some(same)
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Timestamp;
    use crate::replica_id::ReplicaId;
    use crate::{Delta, Document, EditError, Transaction};

    fn write(document: &mut Document, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Delta {
        document.transact(Timestamp(1), edit).unwrap().delta.unwrap()
    }

    #[test]
    fn fork_2_a_delta_is_compared_by_what_lives_of_it() {
        type Edit = fn(&mut Transaction<'_>, &str) -> Result<(), EditError>;
        let edits: [Edit; 3] = [
            |tx, value| tx.map("m")?.put("k", value).map(drop),
            |tx, value| tx.text("t")?.insert(0, value).map(drop),
            |tx, value| tx.list("l")?.push(value).map(drop),
        ];
        for edit in edits {
            let mut document = Document::with_writer(ReplicaId::from(1));
            let mut other = document.clone();
            let (ours, theirs) = (write(&mut document, |tx| edit(tx, "abc")), write(&mut other, |tx| edit(tx, "abd")));
            assert_eq!(ours.dot(), theirs.dot());
            assert_eq!((document.agrees(&ours), document.agrees(&theirs)), (Some(true), Some(false)));
            // Nobody can tell the dead from each other.
            write(&mut document, |tx| {
                tx.map("m")?.clear()?;
                tx.list("l")?.clear()?;
                let mut text = tx.text("t")?;
                text.clear().map(drop)
            });
            assert_eq!((document.agrees(&ours), document.agrees(&theirs)), (None, None));
            assert_eq!(Document::new().agrees(&ours), None);
        }
        // Nothing is bound to a dot there that something lives under here.
        let mut document = Document::with_writer(ReplicaId::from(2));
        let mut other = document.clone();
        for (document, second) in [(&mut document, "set"), (&mut other, "clear")] {
            write(document, |tx| tx.map("m")?.put("k", 1).map(drop));
            let last = write(document, |tx| match second {
                "set" => tx.map("m")?.put("k", 2).map(drop),
                _ => tx.map("m")?.clear().map(drop),
            });
            if second == "clear" {
                assert_eq!(document.agrees(&last), None);
            }
        }
        let cleared = {
            let mut again = Document::with_writer(ReplicaId::from(2));
            write(&mut again, |tx| tx.map("m")?.put("k", 1).map(drop));
            write(&mut again, |tx| tx.map("m")?.clear().map(drop))
        };
        assert_eq!(document.agrees(&cleared), Some(false));
    }
}
