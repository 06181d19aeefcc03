//! Golden vectors: bytes of every kind with what they say, kept for ever, so that whoever writes another reader can hold it against ours.
//!
//! A vector is a name, a kind, the bytes in hexadecimal, and their content in a neutral form ([`content`]). The files in `tests/vectors/v1` are
//! read by the Rust codec, by the npm package and by `tests/vectors/reader`, a reader that was written from the format's document alone. What
//! is in the files must be read for ever; what [`story`] makes must come out byte by byte as it is in them.

pub mod content;
pub mod protocol;
mod story;

use serde_json::{Value as Json, json};
use weftline::sync::{Record, Roster, Row, Unpacked, pack, unpack};
use weftline::testing::{History, Options};
use weftline::{Cursor, Delta, Document, ReplicaId, Tag, Timestamp, VersionVector, codec};

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
    /// Of a packed row: the ids of the roster in the order of their numbers, and its time.
    pub roster: Option<(Vec<ReplicaId>, u64)>,
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
    /// [`protocol::decode`].
    Message,
    /// [`weftline::sync::Record::decode`].
    Record,
    /// [`unpack`]: a row as it is within a session.
    Packed,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Delta,
        Self::Diff,
        Self::Snapshot,
        Self::Version,
        Self::Digest,
        Self::Cursor,
        Self::Message,
        Self::Record,
        Self::Packed,
    ];

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
            Self::Message => "message",
            Self::Record => "record",
            Self::Packed => "packed",
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
        let mut vector = Self {
            name: name.into(),
            kind,
            bytes: bytes.to_vec(),
            before,
            content: Json::Null,
            roster: None,
            shows: None,
        };
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
            Kind::Message => {
                let message = protocol::decode(bytes)?;
                Reading { content: protocol::message(&message)?, again: protocol::encode(&message) }
            }
            Kind::Record => {
                let record = Record::decode(bytes)?;
                Reading { content: protocol::record(&record)?, again: record.encode() }
            }
            Kind::Packed => {
                let roster = self.roster().ok_or("a packed row without a roster")?;
                let (tag, row) = match unpack(bytes, &roster)? {
                    Unpacked::Row(row) => (true, row),
                    Unpacked::Next { bytes, .. } => (false, Row::Delta { prev_tag: Tag::from_bytes([0; 8]), bytes }),
                };
                let Row::Delta { prev_tag, bytes } = &row else { return Err("only deltas have vectors".into()) };
                let tag_said = tag.then(|| content::hex(prev_tag.as_bytes()));
                let content = json!({ "tag": tag_said, "delta": content::hex(bytes) });
                Reading { content, again: pack(&row, &roster, !tag) }
            }
            Kind::Cursor => Reading { content: Json::Null, again: Cursor::from_bytes(bytes)?.to_bytes() },
        })
    }

    fn roster(&self) -> Option<Roster> {
        let (ids, since) = self.roster.as_ref()?;
        let mut roster = Roster::new(Timestamp(*since), &VersionVector::new());
        ids.iter().for_each(|id| roster.add(*id));
        Some(roster)
    }

    /// The row of a delta as it is within a session whose roster this is, with the tag before it or without.
    fn packed(name: String, delta: &Delta, (ids, since): (Vec<ReplicaId>, u64), follows: bool) -> Self {
        let roster = Some((ids, since));
        let mut vector = Self {
            name,
            kind: Kind::Packed,
            bytes: Vec::new(),
            before: None,
            content: Json::Null,
            roster,
            shows: None,
        };
        vector.bytes = pack(&Row::of(delta), &vector.roster().expect("it was just set"), follows);
        vector.content = vector.read().unwrap_or_else(|error| panic!("{}: {error}", vector.name)).content;
        vector
    }

    fn to_json(&self) -> Json {
        let mut json = json!({ "name": self.name, "kind": self.kind.name(), "bytes": content::hex(&self.bytes) });
        if let Some(before) = self.before {
            json["before"] = json!(content::hex(before.as_bytes()));
        }
        if !self.content.is_null() {
            json["content"] = self.content.clone();
        }
        if let Some((ids, since)) = &self.roster {
            json["roster"] = json!({ "ids": ids.iter().copied().map(content::id).collect::<Vec<_>>(), "since": since });
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
        let roster = json.get("roster").map(|roster| {
            let id = |id: &Json| Some(ReplicaId::from_bytes(content::unhex(id.as_str()?)?.try_into().ok()?));
            let ids: Option<Vec<ReplicaId>> = roster["ids"].as_array()?.iter().map(id).collect();
            Some((ids?, roster["since"].as_u64()?))
        });
        let roster = if let Some(roster) = roster { Some(roster?) } else { None };
        let (content, shows) = (json["content"].clone(), json.get("shows").cloned());
        Some(Self { name, kind, bytes, before, content, roster, shows })
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
            let roster = (writers(delta), delta.parts().hlc.millis().saturating_sub(seed));
            vectors.push(Vector::packed(format!("{name}, packed"), delta, roster, seed % 3 == 0));
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

/// Some of the replicas that a delta names, its writer not first.
fn writers(delta: &Delta) -> Vec<ReplicaId> {
    let mut ids: Vec<ReplicaId> = delta.parts().deps.iter().map(|dep| dep.replica).collect();
    ids.retain(|id| *id != delta.replica());
    if delta.first_seq() % 2 == 1 {
        ids.push(delta.replica());
    }
    ids
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
