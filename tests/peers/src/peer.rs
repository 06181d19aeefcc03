//! What every library must do to be compared: edit, send, apply, save, load, read, catch up.
//!
//! An adapter drives one library the way its documentation tells users to. Every document has the same roots, named by one letter, and
//! a library that is a bag of types instead of a document holds one value of its types for each:
//!
//! | root | holds | edits |
//! |---|---|---|
//! | `m` | a map of strings, numbers and small objects | [`Edit::Put`], [`Edit::RemoveKey`] |
//! | `c` | one counter | [`Edit::Increment`] without a key |
//! | `k` | a map of counters | [`Edit::Increment`] with a key |
//! | `s` | a set of strings; a map of `true` where there is no set | [`Edit::Add`], [`Edit::Remove`] |
//! | `t` | todos: a map of maps with `title` and `done` | [`Edit::NewTodo`] and the three after it |
//! | `x` | a text | [`Edit::Splice`] |
//! | `l` | a list of numbers | [`Edit::List`] of [`List::Fixed`] |
//! | `o` | a list of numbers that users put in order, where a library has another type for that | … of [`List::Ordered`] |
//!
//! An application makes a root before it edits it; adapters may do so in [`Peer::new`], at no cost to anybody's row.
//! Not here: what is compared ([`crate::row`]), what is edited ([`crate::workload`]), and what is measured ([`crate::cells`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::row::Row;

/// One edit. Strings are owned by the workload; what a library copies is its own cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    /// `m[key] = value`.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Value,
    },
    /// Removes `m[key]`.
    RemoveKey {
        /// The key.
        key: String,
    },
    /// Adds to a counter: to `c`, or to `k[key]`, which is made at the first increment.
    Increment {
        /// Which counter of `k`; `c` if none.
        counter: Option<String>,
        /// How much; may be negative.
        by: i64,
    },
    /// Adds a member to `s`.
    Add {
        /// The member.
        member: String,
    },
    /// Removes a member from `s`, where it is.
    Remove {
        /// The member.
        member: String,
    },
    /// `t[id] = { title, done: false }`, with a fresh id.
    NewTodo {
        /// Its id.
        id: String,
        /// Its title.
        title: String,
    },
    /// `t[id].done = done`.
    SetDone {
        /// Its id. The todo is known here, and still there.
        id: String,
        /// Done or not.
        done: bool,
    },
    /// `t[id].title = title`, as a register, not as a text.
    SetTitle {
        /// Its id. The todo is known here, and still there.
        id: String,
        /// The new title.
        title: String,
    },
    /// Removes `t[id]` with what is in it.
    DeleteTodo {
        /// Its id. The todo is known here, and still there.
        id: String,
    },
    /// Edits the text `x`: some of it goes, something takes its place. Positions and lengths are in Unicode scalar values, and no text has
    /// any beyond U+FFFF, so that UTF-16 units count the same.
    Splice {
        /// Where.
        at: usize,
        /// How many go.
        delete: usize,
        /// What comes.
        insert: String,
    },
    /// Edits a list.
    List {
        /// Which.
        list: List,
        /// The index of what is edited.
        at: usize,
        /// How.
        edit: ListEdit,
    },
}

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum List {
    /// `l`, where nothing is ever moved.
    Fixed,
    /// `o`, where elements are moved.
    Ordered,
}

/// What is done at an index of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListEdit {
    /// A number comes to be there.
    Insert(i64),
    /// What is there goes.
    Delete,
    /// What is there comes to be at this index.
    Move(usize),
}

/// What `m` holds under a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
    /// A small object of strings. A plain value where the library has such values, else a nested map.
    Object(Vec<(String, String)>),
}

impl Value {
    /// The bytes of the strings in it, 8 for a number: what [`Peer::scan`] adds up.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Number(_) => 8,
            Self::Object(fields) => fields.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum(),
        }
    }
}

/// Everything a document shows, in one shape for all libraries: to see that replicas agree, with each other and with the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// `m`. A library that keeps several concurrent values shows the one its users would see.
    pub map: BTreeMap<String, Value>,
    /// `c`.
    pub counter: i64,
    /// `k`.
    pub counters: BTreeMap<String, i64>,
    /// `s`.
    pub set: BTreeSet<String>,
    /// `t`.
    pub todos: BTreeMap<String, Todo>,
    /// `x`.
    pub text: String,
    /// `l`.
    pub list: Vec<i64>,
    /// `o`.
    pub order: Vec<i64>,
}

/// One todo. A field is missing where concurrent edits left half a record, which some libraries allow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Todo {
    /// Its title.
    pub title: Option<String>,
    /// Whether it is done.
    pub done: Option<bool>,
}

/// What a pass over the whole of `m` saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// How many keys.
    pub entries: u64,
    /// The lengths of all keys, and [`Value::weight`] of all values.
    pub bytes: u64,
}

/// What a catch-up cost on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages, both directions together.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one message.
    pub fn count(&mut self, message: &[u8]) {
        self.messages += 1;
        self.bytes += message.len() as u64;
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// One replica of a document in one library.
pub trait Peer: Sized {
    /// The library, as it is called on crates.io.
    const NAME: &'static str;

    /// Whether the library has what the row needs.
    fn supports(row: Row) -> bool;

    /// An empty document. `replica` is well mixed already ([`crate::workload::replica`]): take as many bits of it as the library's own
    /// random ids have, and stretch it where they have more.
    fn new(replica: u64) -> Self;

    /// Runs `edits` as one transaction (where there are none: as what the library calls an edit, one after the other). With `send`,
    /// returns the bytes that a live session would send for it; without, the application does not ask for them.
    fn transact(&mut self, edits: &[Edit], send: bool) -> Option<Vec<u8>>;

    /// Applies what [`Peer::transact`] of another replica returned. All that its writer had seen is here.
    fn apply(&mut self, sent: &[u8]);

    /// Applies many at once, the way the library prefers.
    fn apply_all(&mut self, sent: &[Vec<u8>]) {
        for one in sent {
            self.apply(one);
        }
    }

    /// The document as bytes, without optional compression.
    fn save(&mut self) -> Vec<u8>;

    /// The document as bytes, as small as the library makes it: with its own optional compression where it has one, else deflated as
    /// whoever stores it might do.
    fn save_compressed(&mut self) -> Vec<u8> {
        deflate(&self.save())
    }

    /// Opens what [`Peer::save`] gave, to go on under `replica`.
    fn load(bytes: &[u8], replica: u64) -> Self;

    /// Reads `m[key]`.
    fn get(&self, key: &str) -> Option<Value>;

    /// Goes over every key and value of `m`, as cheaply as the library's public reading allows.
    fn scan(&self) -> Scan;

    /// Everything in all roots.
    fn contents(&self) -> Contents;

    /// All of `x`, as cheaply as the library's public reading allows.
    fn text(&self) -> String {
        self.contents().text
    }

    /// All of `l`, likewise.
    fn list(&self) -> Vec<i64> {
        self.contents().list
    }

    /// Brings `other` up to date from `self` the way the library's own sync works between two peers that have just connected and remember
    /// nothing of each other; with `both_ways`, also `self` from `other`. Counts every message.
    fn catch_up(&mut self, other: &mut Self, both_ways: bool) -> Traffic;
}

/// What storage would make of bytes that it compresses.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes every byte")
}
