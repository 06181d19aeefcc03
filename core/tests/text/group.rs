//! Several replicas that edit one text, each character of which is another one, so that whoever looks for it finds it.

use weftline::testing::Random;
use weftline::{Commit, Delta, Document, EditError, ReplicaId, TextMut, TextRef, Timestamp};

pub(crate) struct Group {
    pub(crate) random: Random,
    pub(crate) documents: Vec<Document>,
    deltas: Vec<Delta>,
    next: u32,
    now: u64,
}

impl Group {
    pub(crate) fn new(seed: u64, replicas: u64) -> Self {
        let mut random = Random::seeded(seed);
        let mut id = || ReplicaId::from((u128::from(random.next_u64()) << 64) | 7);
        let documents = (0..replicas).map(|_| Document::with_writer(id())).collect();
        Self { random, documents, deltas: Vec::new(), next: 0x4e00, now: 0 }
    }

    pub(crate) fn text(&self, at: usize) -> TextRef<'_> {
        self.documents[at].text("t")
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

    pub(crate) fn edit(&mut self, at: usize, edit: impl FnOnce(&mut TextMut<'_, '_>) -> Result<(), EditError>) {
        self.now += 1;
        let commit = self.documents[at].transact(Timestamp(self.now), |tx| edit(&mut tx.text("t")?));
        let Commit { delta, .. } = commit.expect("nothing forbids it");
        self.deltas.extend(delta);
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
