//! Golden vectors: bytes of every kind with what they say, kept for ever, so that whoever writes another reader can hold it against ours.
//!
//! A vector is a name, a kind, the bytes in hexadecimal, and their content in a neutral form ([`content`]). The files in `tests/vectors/v1` are
//! read by the Rust codec, by the npm package and by `tests/vectors/reader`, a reader that was written from the format's document alone. What
//! is in the files must be read for ever; what [`story`] makes must come out byte by byte as it is in them.

pub mod content;
mod story;

use serde_json::{Value as Json, json};
use weftline::testing::{History, Options};
use weftline::{Cursor, Delta, Document, Tag, codec};

pub use story::story;

/// Some bytes, and what they say.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// What it is about.
    pub name: String,
    /// What the bytes are.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Of a delta: the tag before it.
    pub before: Option<Tag>,
    /// What they say.
    pub content: Json,
    /// Of a snapshot, where it is told: what its document shows.
    pub shows: Option<Json>,
}

/// What bytes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Delta::decode`].
    Delta,
    /// [`codec::decode_diff`].
    Diff,
    /// [`codec::decode_snapshot`].
    Snapshot,
    /// [`codec::decode_version`].
    Version,
    /// [`codec::decode_digest`].
    Digest,
    /// [`Cursor::from_bytes`]. Its content is not public: only that it is read and written again.
    Cursor,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Delta, Self::Diff, Self::Snapshot, Self::Version, Self::Digest, Self::Cursor];

    /// Its name in the files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Diff => "diff",
            Self::Snapshot => "snapshot",
            Self::Version => "version",
            Self::Digest => "digest",
            Self::Cursor => "cursor",
        }
    }
}

/// Bytes that the library read: what they say, and how it writes that.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// What they say.
    pub content: Json,
    /// The same, encoded again.
    pub again: Vec<u8>,
}

impl Vector {
    /// A vector of bytes that the library wrote.
    ///
    /// # Panics
    /// When it does not read them.
    #[must_use]
    pub fn of(name: impl Into<String>, kind: Kind, bytes: &[u8], before: Option<Tag>) -> Self {
        let mut vector =
            Self { name: name.into(), kind, bytes: bytes.to_vec(), before, content: Json::Null, shows: None };
        let reading = vector.read().unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        vector.content = reading.content;
        vector
    }

    /// Reads the bytes, whatever the content is said to be.
    ///
    /// # Errors
    /// When the library refuses them.
    pub fn read(&self) -> Result<Reading, Box<dyn std::error::Error>> {
        let bytes = self.bytes.as_slice();
        Ok(match self.kind {
            Kind::Delta => {
                let delta = Delta::decode(bytes, self.before.ok_or("a delta without the tag before it")?)?;
                let parts = delta.parts().into_owned();
                Reading { content: content::delta(&delta), again: codec::encode_delta(&parts) }
            }
            Kind::Diff => {
                let diff = codec::decode_diff(bytes)?;
                Reading { content: content::diff(&diff), again: codec::encode_diff(&diff) }
            }
            Kind::Snapshot => {
                let snapshot = codec::decode_snapshot(bytes)?;
                Reading { content: content::snapshot(&snapshot), again: codec::encode_snapshot(&snapshot) }
            }
            Kind::Version => {
                let version = codec::decode_version(bytes)?;
                let content = json!({ "entries": content::version(&version), "hash": content::hex(&version.hash()) });
                Reading { content, again: codec::encode_version(&version) }
            }
            Kind::Digest => {
                let digest = codec::decode_digest(bytes)?;
                Reading { content: content::digest(&digest), again: codec::encode_digest(&digest) }
            }
            Kind::Cursor => Reading { content: Json::Null, again: Cursor::from_bytes(bytes)?.to_bytes() },
        })
    }

    fn to_json(&self) -> Json {
        let mut json = json!({ "name": self.name, "kind": self.kind.name(), "bytes": content::hex(&self.bytes) });
        if let Some(before) = self.before {
            json["before"] = json!(content::hex(before.as_bytes()));
        }
        if !self.content.is_null() {
            json["content"] = self.content.clone();
        }
        if let Some(shows) = &self.shows {
            json["shows"] = shows.clone();
        }
        json
    }

    fn from_json(json: &Json) -> Option<Self> {
        let name = json["name"].as_str()?.to_owned();
        let kind = Kind::ALL.into_iter().find(|kind| json["kind"] == kind.name())?;
        let bytes = content::unhex(json["bytes"].as_str()?)?;
        let before = json["before"].as_str().map(|tag| Some(Tag::from_bytes(content::unhex(tag)?.try_into().ok()?)));
        let before = if let Some(before) = before { Some(before?) } else { None };
        Some(Self { name, kind, bytes, before, content: json["content"].clone(), shows: json.get("shows").cloned() })
    }
}

/// The text of a file: a list with one vector on a line.
#[must_use]
pub fn to_file(vectors: &[Vector]) -> String {
    let lines: Vec<String> = vectors.iter().map(|vector| vector.to_json().to_string()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// The vectors of a file.
///
/// # Errors
/// Says which one is none.
pub fn from_file(text: &str) -> Result<Vec<Vector>, String> {
    let lines: Vec<Json> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let vector = |(at, json): (usize, &Json)| Vector::from_json(json).ok_or_else(|| format!("vector {at} is none"));
    lines.iter().enumerate().map(vector).collect()
}

/// What random histories make: every delta, and what their documents say to each other at the end.
///
/// # Panics
/// When a history fails: the laws' tests say more.
#[must_use]
pub fn random(histories: u64) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for seed in 0..histories {
        let options = Options { undo: seed % 2 == 1, ..Options::default() };
        let history = History::grow(seed, &options).unwrap_or_else(|failure| panic!("seed {seed}: {}", failure.what));
        for delta in history.spec().deltas() {
            let name = format!("seed {seed}, delta {}", delta.dot());
            vectors.push(Vector::of(name, Kind::Delta, delta.bytes(), Some(delta.prev_tag())));
        }
        for (index, document) in history.documents().iter().enumerate() {
            let name = |what| format!("seed {seed}, document {index}, {what}");
            vectors.extend(at_rest(name, document));
            let other = &history.documents()[(index + 1) % history.documents().len()];
            vectors.push(diff(name("diff to the next"), &document.diff_since(&other.version())));
            vectors.push(diff(name("diff to the next by digest"), &document.diff_for(&other.digest())));
        }
    }
    vectors
}

/// A document as it is kept and as it tells what it has.
fn at_rest(name: impl Fn(&'static str) -> String, document: &Document) -> [Vector; 3] {
    [
        Vector::of(name("snapshot"), Kind::Snapshot, &document.snapshot(), None),
        Vector::of(name("version"), Kind::Version, &codec::encode_version(&document.version()), None),
        Vector::of(name("digest"), Kind::Digest, &codec::encode_digest(&document.digest()), None),
    ]
}

fn diff(name: String, diff: &weftline::Diff) -> Vector {
    Vector::of(name, Kind::Diff, &codec::encode_diff(diff), None)
}
