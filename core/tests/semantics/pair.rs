//! Two replicas that edit apart and meet.

use weftline::{Commit, Document, EditError, ReplicaId, Timestamp, Transaction, Value};

/// Two replicas that have not met, or have met and then edit apart.
pub(crate) struct Pair {
    pub(crate) a: Document,
    pub(crate) b: Document,
    pub(crate) clock: u64,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let writer = |id: u128| Document::with_writer(ReplicaId::from(id));
        Self { a: writer(1), b: writer(2), clock: 1_000 }
    }

    /// Both start from what `setup` made at `a`.
    pub(crate) fn after(setup: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Self {
        let mut pair = Self::new();
        pair.a(setup);
        pair.meet();
        pair
    }

    pub(crate) fn a(&mut self, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> &mut Self {
        self.clock += 10;
        let _: Commit<()> = self.a.transact(Timestamp(self.clock), edit).expect("the edit is possible");
        self
    }

    pub(crate) fn b(&mut self, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> &mut Self {
        self.clock += 10;
        let _: Commit<()> = self.b.transact(Timestamp(self.clock), edit).expect("the edit is possible");
        self
    }

    /// Both learn what the other did.
    pub(crate) fn meet(&mut self) -> &mut Self {
        let to_a = self.b.diff_since(&self.a.version());
        let to_b = self.a.diff_since(&self.b.version());
        self.a.apply_diff(&to_a).expect("the diff applies");
        self.b.apply_diff(&to_b).expect("the diff applies");
        assert_eq!(self.a.version(), self.b.version());
        assert_eq!(self.a.beacon(), self.b.beacon());
        self
    }

    /// Meets, and reads the same at both.
    #[track_caller]
    pub(crate) fn both<T: PartialEq + std::fmt::Debug>(&mut self, read: impl Fn(&Document) -> T) -> T {
        self.meet();
        let (a, b) = (read(&self.a), read(&self.b));
        assert_eq!(a, b, "both replicas show the same");
        a
    }
}

pub(crate) fn texts(values: Vec<Value>) -> Vec<String> {
    values.iter().map(|value| value.as_str().unwrap_or("?").to_string()).collect()
}
