//! What counts no more although it has not expired: subjects up to a moment, and single tokens.
//!
//! Kept only as long as a token of that time could still count; in memory, and in a file if there is one, which is written anew as a whole at each
//! revocation. Without a file a relay that starts again has forgotten them: until then the time that a token lasts is what protects, or taking
//! its key out of the key file, which outlives everything.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// What to revoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// All tokens of a subject that were made up to now, by their `iat`; and those that do not say when they were made.
    Subject(String),
    /// The token with this `jti`.
    Token(String),
}

/// Why revocations do not outlive the relay.
#[derive(Debug, thiserror::Error)]
#[error("--auth-revocations {}: {source}", path.display())]
pub struct RevocationError {
    path: PathBuf,
    source: io::Error,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revocations {
    /// The last second whose tokens do not count, and when that may be forgotten.
    subjects: BTreeMap<String, (u64, u64)>,
    /// When it may be forgotten.
    tokens: BTreeMap<String, u64>,
}

impl Revocations {
    /// Reads those of a file; none, if it is not there yet.
    pub(super) fn load(path: &Path) -> Result<Self, RevocationError> {
        let failed = |source| RevocationError { path: path.to_owned(), source };
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes them to a file, in the place of what was there, and waits for the disk.
    pub(super) fn store(&self, path: &Path) -> Result<(), RevocationError> {
        let write = || {
            let mut name = path.as_os_str().to_owned();
            name.push(".new");
            let mut new = File::create(&name)?;
            new.write_all(&serde_json::to_vec(self)?)?;
            new.sync_all()?;
            fs::rename(&name, path)
        };
        write().map_err(|source| RevocationError { path: path.to_owned(), source })
    }

    /// Notes a revocation, and forgets those that no token can be about any more, `longest_s` after they were made.
    pub(super) fn add(&mut self, what: &Revocation, now_s: u64, longest_s: u64) {
        self.subjects.retain(|_, (_, until)| *until > now_s);
        self.tokens.retain(|_, until| *until > now_s);
        let until = now_s.saturating_add(longest_s);
        match what {
            Revocation::Subject(sub) => _ = self.subjects.insert(sub.clone(), (now_s, until)),
            Revocation::Token(jti) => _ = self.tokens.insert(jti.clone(), until),
        }
    }

    /// Whether a token was revoked.
    pub(super) fn cover(&self, claims: &Claims) -> bool {
        let subject = self.subjects.get(&claims.sub).is_some_and(|(upto, _)| claims.iat.is_none_or(|iat| iat <= *upto));
        subject || claims.jti.as_ref().is_some_and(|jti| self.tokens.contains_key(jti))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocations_outlive_the_relay_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked.json");
        let mut revocations = Revocations::load(&path).unwrap();
        revocations.add(&Revocation::Subject("alice".into()), 100, 50);
        revocations.store(&path).unwrap();
        revocations.add(&Revocation::Token("t1".into()), 100, 50);
        revocations.store(&path).unwrap();
        assert_eq!(Revocations::load(&path).unwrap(), revocations);
        // One that cannot be read is no reason to believe that nothing was revoked.
        fs::write(&path, "{").unwrap();
        assert!(Revocations::load(&path).is_err());
        assert!(revocations.store(&folder.path().join("nowhere/revoked.json")).is_err());
    }

    fn claims(sub: &str, iat: Option<u64>, jti: Option<&str>) -> Claims {
        Claims { iat, jti: jti.map(Into::into), ..Claims::new(sub, 10_000) }
    }

    #[test]
    fn a_subject_is_revoked_up_to_now_and_a_token_for_as_long_as_it_may_last() {
        let mut revocations = Revocations::default();
        revocations.add(&Revocation::Subject("alice".into()), 100, 50);
        revocations.add(&Revocation::Token("t1".into()), 110, 50);
        for (sub, iat, jti, expected) in [
            ("alice", Some(99), None, true),
            ("alice", Some(100), None, true),
            ("alice", None, None, true),
            ("alice", Some(101), None, false),
            ("bob", Some(1), None, false),
            ("bob", None, Some("t1"), true),
            ("bob", None, Some("t2"), false),
            ("t1", None, None, false),
        ] {
            assert_eq!(revocations.cover(&claims(sub, iat, jti)), expected, "{sub} {iat:?} {jti:?}");
        }
        revocations.add(&Revocation::Token("t3".into()), 155, 50);
        assert!(!revocations.cover(&claims("alice", Some(1), None)), "its tokens have expired");
        assert!(revocations.cover(&claims("bob", None, Some("t1"))));
        revocations.add(&Revocation::Token("t3".into()), 160, 50);
        assert!(!revocations.cover(&claims("bob", None, Some("t1"))));
    }
}
