//! The keys that tokens are signed with, and the files that hold them.
//!
//! A file is one of three things, told apart by how it begins: a JWK or a set of them (RFC 7517: `OKP` with `Ed25519`, and `oct`), a PEM
//! key of Ed25519, or a bare secret for HS256. The algorithm is a property of the key (RFC 8725, 3.1): what a token's header says is
//! compared with it and never chosen by, so a public key is never taken for a secret. What a file holds beyond these is refused as a
//! whole: a relay must not start with fewer keys than its operator believes.
//!
//! Not here: when a file is read again (`key_file`).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};

/// The shortest secret: as long as what HS256 makes of it (RFC 7518, 3.2).
pub const MIN_SECRET: usize = 32;

/// The most keys in a file.
pub const MAX_KEYS: usize = 100;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519: who can verify cannot sign.
    EdDsa,
    /// HMAC with SHA-256: one secret, which both sides have.
    Hs256,
}

impl Algorithm {
    pub(super) const fn of_jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// What a key file holds instead of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither JSON nor PEM nor text.
    #[error("neither JSON Web Keys, nor a PEM key, nor a secret")]
    Unreadable,
    /// JSON that is not a set of keys.
    #[error("JSON that is no set of keys, at line {line}, column {column}")]
    Json {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// PEM of another kind.
    #[error("a PEM file that does not hold an Ed25519 key")]
    Pem,
    /// No key at all, or far too many.
    #[error("{count} keys; there must be one at least, and {MAX_KEYS} at most")]
    Count {
        /// How many.
        count: usize,
    },
    /// A key of a kind that is not supported, or not for signing.
    #[error("key {number}: {problem}")]
    Key {
        /// Which, from 1.
        number: usize,
        /// What is the matter.
        problem: &'static str,
    },
    /// Two keys of one name, or one without among several.
    #[error("key {number} must have a `kid` that no other key has")]
    Name {
        /// Which, from 1.
        number: usize,
    },
    /// A secret that can be guessed.
    #[error("a secret of {len} bytes; HS256 needs {MIN_SECRET} at least")]
    ShortSecret {
        /// How long it is.
        len: usize,
    },
    /// No key of the file can sign.
    #[error("no key that can sign; is this the public half?")]
    CannotSign,
}

/// One key.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
    /// There if the file holds what signing takes.
    signing: Option<EncodingKey>,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Some keys, told apart by their `kid`.
#[derive(Debug)]
pub struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// Reads a key file. What its first bytes are says what it is.
    ///
    /// # Errors
    /// When it is none, or holds anything but keys of the two algorithms.
    pub fn parse(file: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(file).map_err(|_| KeyError::Unreadable)?.trim();
        let keys = if text.starts_with('{') {
            jwks(text)?
        } else if text.starts_with("-----BEGIN") {
            vec![of_pem(text)?]
        } else {
            vec![of_secret(text.as_bytes(), None)?]
        };
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(KeyError::Count { count: keys.len() });
        }
        for (index, key) in keys.iter().enumerate().filter(|_| keys.len() > 1) {
            if key.id.is_none() || keys[..index].iter().any(|before| before.id == key.id) {
                return Err(KeyError::Name { number: index + 1 });
            }
        }
        Ok(Self(keys.into_iter().map(Arc::new).collect()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// With how many of them tokens can be made.
    pub(super) fn signing_len(&self) -> usize {
        self.0.iter().filter(|key| key.signing.is_some()).count()
    }

    /// Whether there are none, which no file is read as.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a token is to be verified with, by the name that its header gives. A single key without a name is for all.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Arc<Key>> {
        match &self.0[..] {
            [only] if only.id.is_none() || id.is_none() => Some(only),
            keys => keys.iter().find(|key| key.id.is_some() && key.id.as_deref() == id),
        }
    }

    /// The same, where what was there before is what it was: whoever holds a key can see whether it is still there.
    pub(super) fn keeping(self, before: &Self) -> Self {
        let same = |key: &Key, other: &Key| {
            let bytes = |key: &Key| key.verifying.try_get_as_bytes().ok().map(<[u8]>::to_vec);
            (&key.id, key.algorithm, bytes(key)) == (&other.id, other.algorithm, bytes(other))
        };
        let keep = |key: Arc<Key>| match before.0.iter().find(|other| same(&key, other)) {
            Some(other) => Arc::clone(other),
            None => key,
        };
        Self(self.0.into_iter().map(keep).collect())
    }

    /// Whether this very key is one of them.
    pub(super) fn have(&self, key: &Arc<Key>) -> bool {
        self.0.iter().any(|other| Arc::ptr_eq(key, other))
    }

    /// The last key that can sign, or the one of this name.
    pub(super) fn signing(&self, id: Option<&str>) -> Result<(&Arc<Key>, &EncodingKey), KeyError> {
        let mut keys = self.0.iter().rev().filter(|key| id.is_none() || key.id.as_deref() == id);
        keys.find_map(|key| Some((key, key.signing.as_ref()?))).ok_or(KeyError::CannotSign)
    }
}

/// A key as RFC 7517 and RFC 8037 write it. Everything else that may stand in one is left alone.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Jwk {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    used_for: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<String>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct JwkSet {
    keys: Vec<Jwk>,
}

/// A fresh key: the file that can sign, and, where that is another one, the file that only verifies.
#[derive(Clone)]
pub struct Minted {
    /// To be kept by whoever makes tokens.
    pub private: String,
    /// For the relay. A secret has no such half: the relay needs the secret itself.
    pub public: Option<String>,
}

impl fmt::Debug for Minted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Minted").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Minted {
    /// A key of this name from 32 random bytes, beside those of other sets: files as they were written by this before.
    ///
    /// # Errors
    /// When those files are not sets of keys, or hold one of that name.
    pub fn new(algorithm: Algorithm, id: &str, random: [u8; 32], beside: Option<&Self>) -> Result<Self, KeyError> {
        let encoded = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let (kid, alg, used_for) = (Some(id.to_owned()), Some(algorithm.name().to_owned()), Some("sig".to_owned()));
        let public = match algorithm {
            Algorithm::EdDsa => {
                let x = encoded(SigningKey::from_bytes(&random).verifying_key().as_bytes());
                Jwk { kty: "OKP".into(), kid, alg, used_for, crv: Some("Ed25519".into()), x, d: None, k: None }
            }
            Algorithm::Hs256 => Jwk { kty: "oct".into(), kid, alg, used_for, crv: None, x: None, d: None, k: None },
        };
        let (d, k) = match algorithm {
            Algorithm::EdDsa => (encoded(&random), None),
            Algorithm::Hs256 => (None, encoded(&random)),
        };
        let private = Jwk { d, k, ..public.clone() };
        let with = |file: Option<&str>, key: Jwk| {
            let mut set = file.map_or(Ok(JwkSet { keys: Vec::new() }), |file| {
                serde_json::from_str(file).map_err(|error| json(&error))
            })?;
            set.keys.push(key);
            let text = serde_json::to_string_pretty(&set).expect("keys are plain JSON") + "\n";
            Keys::parse(text.as_bytes()).map(|_| text)
        };
        let before = |half: fn(&Self) -> Option<&str>| beside.and_then(half);
        Ok(Self {
            private: with(before(|minted| Some(&minted.private)), private)?,
            public: match algorithm {
                Algorithm::EdDsa => Some(with(before(|minted| minted.public.as_deref()), public)?),
                Algorithm::Hs256 => None,
            },
        })
    }
}

fn json(error: &serde_json::Error) -> KeyError {
    // Its own words may quote what stands there.
    KeyError::Json { line: error.line(), column: error.column() }
}

fn jwks(text: &str) -> Result<Vec<Key>, KeyError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum File {
        Set(JwkSet),
        One(Box<Jwk>),
    }
    // An untagged enum cannot say where it failed.
    let _: serde::de::IgnoredAny = serde_json::from_str(text).map_err(|error| json(&error))?;
    let keys = match serde_json::from_str(text).map_err(|error| json(&error))? {
        File::Set(JwkSet { keys }) => keys,
        File::One(key) => vec![*key],
    };
    keys.iter().enumerate().map(|(index, key)| of_jwk(key, index + 1)).collect()
}

fn of_jwk(jwk: &Jwk, number: usize) -> Result<Key, KeyError> {
    let fault = |problem| KeyError::Key { number, problem };
    let decoded = |text: &Option<String>, problem| {
        text.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(fault(problem))
    };
    if jwk.used_for.as_deref().is_some_and(|used_for| used_for != "sig") {
        return Err(fault("its `use` is not `sig`"));
    }
    let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => {
            let half = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| fault("not 32 bytes of Ed25519"));
            let public = half(decoded(&jwk.x, "`x` is not base64url")?)?;
            let public = VerifyingKey::from_bytes(&public).map_err(|_| fault("`x` is not a key of Ed25519"))?;
            let private = match &jwk.d {
                Some(_) => Some(SigningKey::from_bytes(&half(decoded(&jwk.d, "`d` is not base64url")?)?)),
                None => None,
            };
            if private.as_ref().is_some_and(|private| private.verifying_key() != public) {
                return Err(fault("`x` and `d` are not of one key"));
            }
            of_ed25519(public, private, jwk.kid.clone()).map_err(fault)?
        }
        ("oct", None) => of_secret(&decoded(&jwk.k, "`k` is not base64url")?, jwk.kid.clone())?,
        _ => return Err(fault("neither Ed25519 nor a secret")),
    };
    // RFC 9864 gives Ed25519 a name of its own.
    match jwk.alg.as_deref() {
        None => {}
        Some(alg) if alg == key.algorithm.name() => {}
        Some("Ed25519") if key.algorithm == Algorithm::EdDsa => {}
        Some(_) => return Err(fault("its `alg` is neither EdDSA nor HS256, or that of another kind of key")),
    }
    Ok(key)
}

fn of_pem(text: &str) -> Result<Key, KeyError> {
    let (public, private) = match SigningKey::from_pkcs8_pem(text) {
        Ok(private) => (private.verifying_key(), Some(private)),
        Err(_) => (VerifyingKey::from_public_key_pem(text).map_err(|_| KeyError::Pem)?, None),
    };
    of_ed25519(public, private, None).map_err(|_| KeyError::Pem)
}

fn of_ed25519(public: VerifyingKey, private: Option<SigningKey>, id: Option<String>) -> Result<Key, &'static str> {
    // A point of small order verifies signatures that nobody made.
    if public.is_weak() {
        return Err("a weak key");
    }
    let signing = match private {
        Some(private) => {
            let der = private.to_pkcs8_der().map_err(|_| "a key that cannot be encoded")?;
            Some(EncodingKey::from_ed_der(der.as_bytes()))
        }
        None => None,
    };
    let verifying = DecodingKey::from_ed_der(public.as_bytes());
    Ok(Key { id, algorithm: Algorithm::EdDsa, verifying, signing })
}

fn of_secret(secret: &[u8], id: Option<String>) -> Result<Key, KeyError> {
    if secret.len() < MIN_SECRET {
        return Err(KeyError::ShortSecret { len: secret.len() });
    }
    Ok(Key {
        id,
        algorithm: Algorithm::Hs256,
        verifying: DecodingKey::from_secret(secret),
        signing: Some(EncodingKey::from_secret(secret)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

    fn refused(file: &str) -> KeyError {
        Keys::parse(file.as_bytes()).expect_err(file)
    }

    fn key(members: &str) -> String {
        format!(r#"{{"keys":[{{{members}}}]}}"#)
    }

    #[test]
    fn a_file_is_json_or_pem_or_a_secret_and_its_beginning_says_which() {
        let minted = Minted::new(Algorithm::EdDsa, "a", [7; 32], None).unwrap();
        for (file, algorithm, signs) in [
            (minted.private.as_str(), Algorithm::EdDsa, true),
            (minted.public.as_deref().unwrap(), Algorithm::EdDsa, false),
            (&Minted::new(Algorithm::Hs256, "a", [7; 32], None).unwrap().private, Algorithm::Hs256, true),
            (PUBLIC_PEM, Algorithm::EdDsa, false),
            (PRIVATE_PEM, Algorithm::EdDsa, true),
            ("  a secret that is long enough to be one\n", Algorithm::Hs256, true),
        ] {
            let keys = Keys::parse(file.as_bytes()).unwrap();
            assert_eq!((keys.len(), keys.find(None).unwrap().algorithm), (1, algorithm), "{file}");
            assert_eq!(keys.signing(None).is_ok(), signs, "{file}");
        }
    }

    #[test]
    fn keys_are_found_by_their_name_and_a_single_one_without_a_name_is_for_all() {
        let first = Minted::new(Algorithm::EdDsa, "first", [1; 32], None).unwrap();
        let both = Minted::new(Algorithm::EdDsa, "second", [2; 32], Some(&first)).unwrap();
        for file in [&both.private, both.public.as_ref().unwrap()] {
            let keys = Keys::parse(file.as_bytes()).unwrap();
            assert_eq!(keys.find(Some("first")).unwrap().id.as_deref(), Some("first"));
            assert_eq!(keys.find(Some("second")).unwrap().id.as_deref(), Some("second"));
            assert!(keys.find(Some("third")).is_none() && keys.find(None).is_none());
        }
        let keys = Keys::parse(both.private.as_bytes()).unwrap();
        assert_eq!(keys.signing(None).unwrap().0.id.as_deref(), Some("second"), "the newest signs");
        assert_eq!(keys.signing(Some("first")).unwrap().0.id.as_deref(), Some("first"));
        assert_eq!(keys.signing(Some("third")).err(), Some(KeyError::CannotSign));
        let named = Keys::parse(first.private.as_bytes()).unwrap();
        assert!(named.find(None).is_some() && named.find(Some("other")).is_none());
        assert!(Keys::parse(PUBLIC_PEM.as_bytes()).unwrap().find(Some("any")).is_some());
        let again = Minted::new(Algorithm::EdDsa, "first", [3; 32], Some(&both));
        assert_eq!(again.unwrap_err(), KeyError::Name { number: 3 });
    }

    #[test]
    fn what_is_not_wholly_understood_is_refused_as_a_whole() {
        let x = r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
        assert!(Keys::parse(key(&format!(r#""kty":"OKP","crv":"Ed25519",{x}"#)).as_bytes()).is_ok());
        for members in [
            r#""kty":"RSA","n":"AQAB","e":"AQAB""#.to_owned(),
            format!(r#""kty":"OKP","crv":"X25519",{x}"#),
            format!(r#""kty":"OKP","crv":"Ed25519","alg":"HS256",{x}"#),
            format!(r#""kty":"OKP","crv":"Ed25519","use":"enc",{x}"#),
            format!(r#""kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B",{x}"#),
            r#""kty":"OKP","crv":"Ed25519","x":"11qY""#.to_owned(),
            r#""kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#.to_owned(),
            r#""kty":"OKP","crv":"Ed25519""#.to_owned(),
            r#""kty":"oct","k":"not base64!""#.to_owned(),
            r#""kty":"oct","alg":"HS512","k":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA""#.to_owned(),
        ] {
            assert!(matches!(refused(&key(&members)), KeyError::Key { number: 1, .. }), "{members}");
        }
        assert_eq!(refused(&key(r#""kty":"oct","k":"c2hvcnQ""#)), KeyError::ShortSecret { len: 5 });
        assert_eq!(refused("short"), KeyError::ShortSecret { len: 5 });
        assert_eq!(refused(r#"{"keys":[]}"#), KeyError::Count { count: 0 });
        assert_eq!(refused(&PUBLIC_PEM.replace("PUBLIC", "RSA PUBLIC")), KeyError::Pem);
        assert_eq!(refused(&PUBLIC_PEM.replace("MCow", "MCox")), KeyError::Pem);
        assert!(matches!(refused("{\"keys\":\n["), KeyError::Json { line: 2, .. }));
        assert!(matches!(refused(r#"{"nothing":1}"#), KeyError::Json { .. }));
        assert_eq!(Keys::parse(&[0xff; 40]).err(), Some(KeyError::Unreadable));
    }

    #[test]
    fn what_is_shown_of_a_key_is_not_the_key() {
        let minted = Minted::new(Algorithm::Hs256, "name", [b'x'; 32], None).unwrap();
        let keys = Keys::parse(minted.private.as_bytes()).unwrap();
        let shown = format!("{minted:?} {keys:?}");
        assert!(shown.contains("name") && !shown.contains("eHh4") && !shown.contains("xxx"), "{shown}");
    }
}
