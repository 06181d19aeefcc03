//! Several replicas that edit one text, each character of which is another one, so that whoever looks for it finds it.

use std::collections::BTreeMap;
use weftline::testing::Random;

use weftline::testing::Spec;
use weftline::{
    Changes, Commit, Container, Delta, Document, EditError, Kind, ReplicaId, TextMut, TextRef, Timestamp, Value,
};

pub(crate) struct Group {
    pub(crate) random: Random,
    pub(crate) documents: Vec<Document>,
    deltas: Vec<Delta>,
    pub(crate) spec: Spec,
    /// Whether the text is under a key of a map, where it may be removed and created again.
    nested: bool,
    next: u32,
    now: u64,
}

impl Group {
    pub(crate) fn new(seed: u64, replicas: u64) -> Self {
        let mut random = Random::seeded(seed);
        let mut id = || ReplicaId::from((u128::from(random.next_u64()) << 64) | 7);
        let documents = (0..replicas).map(|_| Document::with_writer(id())).collect();
        let (deltas, spec) = (Vec::new(), Spec::default());
        Self { random, documents, deltas, spec, nested: false, next: 0x4e00, now: 0 }
    }

    /// One whose text is in a map.
    pub(crate) fn nested(seed: u64, replicas: u64) -> Self {
        Self { nested: true, ..Self::new(seed, replicas) }
    }

    pub(crate) fn text(&self, at: usize) -> TextRef<'_> {
        let document = &self.documents[at];
        if self.nested { document.map("m").text("t") } else { document.text("t") }
    }

    /// Each character with what is said of it.
    pub(crate) fn marked(&self, at: usize) -> Vec<(char, BTreeMap<String, Value>)> {
        marked(self.text(at))
    }

    /// The same by the specification.
    pub(crate) fn specified(&self, at: usize) -> Vec<(char, BTreeMap<String, Value>)> {
        let version = self.documents[at].version();
        let containers = if self.nested {
            self.spec.incarnations(&version, "m", "t", Kind::TEXT)
        } else {
            vec![Container::Root { name: "t".into(), kind: Kind::TEXT }]
        };
        self.spec.marked(&version, &containers)
    }

    pub(crate) fn pick(&mut self) -> usize {
        self.random.below(self.documents.len())
    }

    /// Characters that nobody typed yet.
    pub(crate) fn fresh(&mut self, most: usize) -> String {
        let len = 1 + self.random.below(most);
        let fresh = (self.next..).take(len).filter_map(char::from_u32).collect();
        self.next += len as u32;
        fresh
    }

    pub(crate) fn edit(
        &mut self,
        at: usize,
        edit: impl FnOnce(&mut TextMut<'_, '_>) -> Result<(), EditError>,
    ) -> Changes {
        self.now += self.random.below(2) as u64;
        let nested = self.nested;
        let commit = self.documents[at].transact(Timestamp(self.now), |tx| {
            if nested { edit(&mut tx.map("m")?.text("t")?) } else { edit(&mut tx.text("t")?) }
        });
        self.sent(commit)
    }

    /// Removes the text as a whole.
    pub(crate) fn remove(&mut self, at: usize) {
        let commit = self.documents[at].transact(Timestamp(self.now), |tx| tx.map("m")?.remove("t").map(drop));
        self.sent(commit);
    }

    fn sent(&mut self, commit: Result<Commit<()>, EditError>) -> Changes {
        let Commit { delta, changes, .. } = commit.expect("nothing forbids it");
        if let Some(delta) = delta {
            self.spec.record(&delta);
            self.deltas.push(delta);
        }
        changes
    }

    /// Somebody types, deletes, or gets what another typed.
    pub(crate) fn step(&mut self) {
        let at = self.pick();
        let len = self.text(at).len();
        let index = self.random.below(len + 1);
        match self.random.below(8) {
            0..=2 => {
                let text = self.fresh(3);
                self.edit(at, |t| t.insert(index, &text));
            }
            3 if len > 0 => {
                let end = len.min(index + 1 + self.random.below(4));
                self.edit(at, |t| t.delete(index.min(end)..end));
            }
            _ if !self.deltas.is_empty() => {
                let delta = self.random.pick(&self.deltas).clone();
                let applied = self.documents[at].apply(&delta);
                assert!(applied.is_ok(), "{applied:?}");
            }
            _ => {}
        }
    }

    /// Everybody gets everything.
    pub(crate) fn settle(&mut self) {
        for from in 0..self.documents.len() {
            for to in 0..self.documents.len() {
                let diff = self.documents[from].diff_since(&self.documents[to].version());
                self.documents[to].apply_diff(&diff).expect("a diff for this version applies");
            }
        }
        for to in 0..self.documents.len() - 1 {
            let diff = self.documents.last().expect("there are some").diff_since(&self.documents[to].version());
            self.documents[to].apply_diff(&diff).expect("a diff for this version applies");
        }
    }

    /// Forgets all dead structure, everywhere.
    pub(crate) fn forget(&mut self) {
        self.documents.iter_mut().for_each(Document::truncate_removals);
    }
}

/// Each character of a text with what is said of it.
pub(crate) fn marked(text: TextRef<'_>) -> Vec<(char, BTreeMap<String, Value>)> {
    let mut all = Vec::new();
    for span in text.spans() {
        let said: BTreeMap<String, Value> =
            span.marks.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        assert_eq!(said.len(), span.marks.len(), "a key has one value");
        assert!(!span.text.is_empty());
        all.extend(span.text.chars().map(|c| (c, said.clone())));
    }
    all
}
