//! The rows of the comparison: what is done with every library that has what it takes.
//!
//! Not here: which numbers a row has ([`crate::cells`]), and what they must reach, which is for whoever runs the cells.

/// What is compared. [`Row::name`] is its name on the command line and in the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Many keys set once.
    MapSet,
    /// Few keys overwritten often.
    MapOverwrite,
    /// One counter incremented often.
    CounterOne,
    /// Many counters in a map.
    CounterMap,
    /// Members added to a set, then half of them removed.
    SetAdd,
    /// Members added and removed again and again.
    SetChurn,
    /// Single edits of a small map, each sent and applied by itself.
    EditMap,
    /// Single increments, sent and applied.
    EditCounter,
    /// Single toggles of members of a set, sent and applied.
    EditSet,
    /// Single edits of a large map, sent and applied.
    EditLarge,
    /// The first edit applied after a large map was loaded.
    FirstApply,
    /// Catching up on a large map.
    CatchUp {
        /// How many edits were missed.
        missed: u32,
        /// Whether both sides edited.
        concurrent: bool,
        /// Whether both sides were loaded just now.
        loaded: bool,
    },
    /// A large map at rest.
    Snapshot,
    /// Many clients set one key at once, to a number each.
    B3Number,
    /// … to an object each.
    B3Object,
    /// … to a long string each.
    B3String,
    /// … or increment one counter.
    B3Counter,
    /// Todo lists on several replicas with partitions.
    Todo,
    /// A paper, typed by one author.
    TextPaper,
    /// A program, written by one author.
    TextRust,
    /// A text typed by several at once.
    TextConcurrent,
    /// Single characters inserted and deleted anywhere in a large text.
    TextRandom,
    /// A very large text pasted.
    TextPaste,
    /// Typing, each key sent and applied by itself.
    TextTyped,
    /// Many elements added to a list.
    ListPush,
    /// Elements inserted anywhere into a large list.
    ListInsert,
    /// Elements of a large list moved.
    ListMove,
    /// Elements of a large list deleted.
    ListDelete,
}

/// How many edits are missed in the rows of [`Row::CatchUp`].
pub const MISSED: [u32; 3] = [10, 1_000, 10_000];

impl Row {
    /// Those that edit a text.
    pub const TEXTS: [Self; 6] =
        [Self::TextPaper, Self::TextRust, Self::TextConcurrent, Self::TextRandom, Self::TextPaste, Self::TextTyped];
    /// Those that edit a list.
    pub const LISTS: [Self; 4] = [Self::ListPush, Self::ListInsert, Self::ListMove, Self::ListDelete];

    /// Whether it edits a text.
    pub fn is_text(self) -> bool {
        Self::TEXTS.contains(&self)
    }

    /// Whether it edits a list.
    pub fn is_list(self) -> bool {
        Self::LISTS.contains(&self)
    }

    /// Every row.
    pub fn all() -> Vec<Self> {
        let mut rows = vec![
            Self::MapSet,
            Self::MapOverwrite,
            Self::CounterOne,
            Self::CounterMap,
            Self::SetAdd,
            Self::SetChurn,
            Self::EditMap,
            Self::EditCounter,
            Self::EditSet,
            Self::EditLarge,
            Self::FirstApply,
        ];
        for concurrent in [false, true] {
            for loaded in [false, true] {
                rows.extend(MISSED.map(|missed| Self::CatchUp { missed, concurrent, loaded }));
            }
        }
        rows.extend([Self::Snapshot, Self::B3Number, Self::B3Object, Self::B3String, Self::B3Counter, Self::Todo]);
        rows.extend(Self::TEXTS);
        rows.extend(Self::LISTS);
        rows
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        match self {
            Self::MapSet => "map-set".into(),
            Self::MapOverwrite => "map-overwrite".into(),
            Self::CounterOne => "counter-one".into(),
            Self::CounterMap => "counter-map".into(),
            Self::SetAdd => "set-add".into(),
            Self::SetChurn => "set-churn".into(),
            Self::EditMap => "edit-map".into(),
            Self::EditCounter => "edit-counter".into(),
            Self::EditSet => "edit-set".into(),
            Self::EditLarge => "edit-large-map".into(),
            Self::FirstApply => "first-apply".into(),
            Self::CatchUp { missed, concurrent, loaded } => {
                let side = if concurrent { "both-ways" } else { "one-way" };
                let state = if loaded { "loaded" } else { "warm" };
                format!("catch-up-{side}-{state}-{missed}")
            }
            Self::Snapshot => "snapshot".into(),
            Self::B3Number => "b3-number".into(),
            Self::B3Object => "b3-object".into(),
            Self::B3String => "b3-string".into(),
            Self::B3Counter => "b3-counter".into(),
            Self::Todo => "todo".into(),
            Self::TextPaper => "text-paper".into(),
            Self::TextRust => "text-rust".into(),
            Self::TextConcurrent => "text-concurrent".into(),
            Self::TextRandom => "text-random".into(),
            Self::TextPaste => "text-paste".into(),
            Self::TextTyped => "text-typed".into(),
            Self::ListPush => "list-push".into(),
            Self::ListInsert => "list-insert".into(),
            Self::ListMove => "list-move".into(),
            Self::ListDelete => "list-delete".into(),
        }
    }
}
