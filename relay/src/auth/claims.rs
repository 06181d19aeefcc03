//! What a token says: whose it is, until when, and what may be done with it.
//!
//! ```json
//! {
//!   "sub": "alice", "exp": 1790000000, "nbf": 1789996000, "iat": 1789996400, "jti": "7f3a", "aud": "relay.example",
//!   "documents": { "todo/*": "write", "news": "read" },
//!   "presence": true,
//!   "replicas": { "new": 8, "only": ["0123456789abcdef0123456789abcdef"] },
//!   "limits": { "max_documents": 10 }
//! }
//! ```
//!
//! `sub` and `exp` must be there, the rest may be left out; without `documents` nothing is allowed. Members that are not known are left
//! alone, as RFC 7519 asks for. But a right, a limit or a restriction that this relay does not know refuses the whole token: what it was
//! to keep from happening would happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use weftline::ReplicaId;

use super::pattern::Pattern;
pub use crate::limits::TokenLimits;

/// The longest subject or token id. They are kept, compared and logged.
pub const MAX_NAME: usize = 256;

/// What may be done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading and writing.
    Write,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// Whose it is.
    pub sub: String,
    /// From when on it counts no more, in seconds since 1970.
    #[serde(deserialize_with = "seconds")]
    pub exp: u64,
    /// From when on it counts.
    #[serde(default, deserialize_with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was made. Without it a token counts as older than any revocation of its subject.
    #[serde(default, deserialize_with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Which it is, to be revoked by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Audience::is_empty")]
    pub aud: Audience,
    /// What may be done with which documents: the most that any pattern allows.
    #[serde(default, deserialize_with = "documents", serialize_with = "documents_as_they_were")]
    pub documents: Vec<(Pattern, Access)>,
    /// Whether its bearer is shown to others, and may show itself.
    #[serde(default = "yes")]
    pub presence: bool,
    /// Under which ids its bearer may write.
    #[serde(default, skip_serializing_if = "Replicas::is_any")]
    pub replicas: Replicas,
    /// Limits of the connection that are to be lower than the relay's own.
    #[serde(default, skip_serializing_if = "TokenLimits::is_none")]
    pub limits: TokenLimits,
    /// Everything else that stands there. It means something to the webhook alone.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// For whom a token is: one name, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Audience(pub Vec<String>);

impl Audience {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Under which replica ids a bearer may write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// How many ids nobody has written under yet the subject may bring to a document, over all its connections, for as long as the relay
    /// has the document open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<usize>,
    /// The only ids of which deltas are taken.
    #[serde(default, deserialize_with = "ids", skip_serializing_if = "Option::is_none", serialize_with = "ids_as_hex")]
    pub only: Option<Arc<[ReplicaId]>>,
}

impl Replicas {
    fn is_any(&self) -> bool {
        *self == Self::default()
    }
}

impl Claims {
    /// Claims that allow nothing yet.
    #[must_use]
    pub fn new(sub: impl Into<String>, exp: u64) -> Self {
        Self {
            sub: sub.into(),
            exp,
            nbf: None,
            iat: None,
            jti: None,
            aud: Audience::default(),
            documents: Vec::new(),
            presence: true,
            replicas: Replicas::default(),
            limits: TokenLimits::default(),
            other: serde_json::Map::new(),
        }
    }

    /// What is allowed with a document; nothing if no pattern covers it. O(patterns).
    #[must_use]
    pub fn access(&self, document: &str) -> Option<Access> {
        self.documents.iter().filter(|(pattern, _)| pattern.covers(document)).map(|(_, access)| *access).max()
    }

    /// The whole is in order as far as that can be said without knowing the time.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.sub.is_empty() || self.sub.len() > MAX_NAME {
            return Err("sub is empty or too long");
        }
        if self.jti.as_ref().is_some_and(|jti| jti.is_empty() || jti.len() > MAX_NAME) {
            return Err("jti is empty or too long");
        }
        Ok(())
    }
}

const fn yes() -> bool {
    true
}

/// A time may have a fraction, by RFC 7519.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(from)?;
    // What is beyond this is beyond any calendar, and the numbers up to it are exact.
    if (0.0..9e15).contains(&number) { Ok(number as u64) } else { Err(D::Error::custom("not a time")) }
}

fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    seconds(from).map(Some)
}

fn documents<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Pattern, Access)>, D::Error> {
    let parse = |(pattern, access): (String, Access)| Ok((pattern.parse().map_err(D::Error::custom)?, access));
    BTreeMap::<String, Access>::deserialize(from)?.into_iter().map(parse).collect()
}

fn documents_as_they_were<S: serde::Serializer>(documents: &[(Pattern, Access)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(documents.iter().map(|(pattern, access)| (pattern.to_string(), access)))
}

fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<[ReplicaId]>>, D::Error> {
    let parse = |text: String| text.parse::<ReplicaId>().map_err(D::Error::custom);
    Vec::<String>::deserialize(from)?.into_iter().map(parse).collect::<Result<_, _>>().map(Some)
}

fn ids_as_hex<S: serde::Serializer>(ids: &Option<Arc<[ReplicaId]>>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(ids.iter().flat_map(|ids| ids.iter()).map(ToString::to_string))
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMore {
            One(String),
            More(Vec<String>),
        }
        Ok(Self(match OneOrMore::deserialize(from)? {
            OneOrMore::One(name) => vec![name],
            OneOrMore::More(names) => names,
        }))
    }
}
