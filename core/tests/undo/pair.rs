//! Two replicas, one of which can undo.

use weftline::{Commit, Document, EditError, ReplicaId, Timestamp, Transaction, UndoLimits};

pub(crate) const ANN: ReplicaId = ReplicaId::from_bytes(1u128.to_be_bytes());
pub(crate) const BOB: ReplicaId = ReplicaId::from_bytes(2u128.to_be_bytes());

pub(crate) type Edit = fn(&mut Transaction<'_>) -> Result<(), EditError>;

/// Ann can undo; Bob is somebody else.
pub(crate) struct Pair {
    pub(crate) ann: Document,
    pub(crate) bob: Document,
    pub(crate) clock: u64,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let mut ann = Document::with_writer(ANN);
        ann.keep_undo(Some(UndoLimits::default()));
        Self { ann, bob: Document::with_writer(BOB), clock: 1_000 }
    }

    /// Both start from what Bob made.
    pub(crate) fn after(setup: Edit) -> Self {
        let mut pair = Self::new();
        pair.bob(setup).meet();
        pair
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        self.clock += 10;
        Timestamp(self.clock)
    }

    pub(crate) fn ann(&mut self, edit: Edit) -> &mut Self {
        let now = self.now();
        let _: Commit<()> = self.ann.transact(now, edit).expect("the edit is possible");
        self
    }

    pub(crate) fn bob(&mut self, edit: Edit) -> &mut Self {
        let now = self.now();
        let _: Commit<()> = self.bob.transact(now, edit).expect("the edit is possible");
        self
    }

    #[track_caller]
    pub(crate) fn undo(&mut self) -> &mut Self {
        let now = self.now();
        let commit = self.ann.undo(now).expect("it is possible").expect("there is something to undo");
        assert!(commit.delta.is_some());
        self
    }

    #[track_caller]
    pub(crate) fn redo(&mut self) -> &mut Self {
        let now = self.now();
        let commit = self.ann.redo(now).expect("it is possible").expect("there is something to redo");
        assert!(commit.delta.is_some());
        self
    }

    /// Nothing that could be undone is left of what was done.
    #[track_caller]
    pub(crate) fn undoes_nothing(&mut self) -> &mut Self {
        let now = self.now();
        let before = self.ann.version();
        assert_eq!(self.ann.undo(now), Ok(None));
        assert_eq!(self.ann.version(), before, "no dot is taken");
        self
    }

    pub(crate) fn meet(&mut self) -> &mut Self {
        let to_ann = self.bob.diff_since(&self.ann.version());
        let to_bob = self.ann.diff_since(&self.bob.version());
        self.ann.apply_diff(&to_ann).expect("the diff applies");
        self.bob.apply_diff(&to_bob).expect("the diff applies");
        assert_eq!(self.ann.version(), self.bob.version());
        assert_eq!(self.ann.beacon(), self.bob.beacon());
        self
    }

    /// Meets, and reads the same at both.
    #[track_caller]
    pub(crate) fn both<T: PartialEq + std::fmt::Debug>(&mut self, read: impl Fn(&Document) -> T) -> T {
        self.meet();
        let (ann, bob) = (read(&self.ann), read(&self.bob));
        assert_eq!(ann, bob, "both replicas show the same");
        ann
    }
}
