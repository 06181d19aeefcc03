//! What counts no more although it has not expired: subjects up to a moment, and single tokens.
//!
//! Kept in memory, and only as long as a token of that time could still count. A relay that starts again has forgotten them: until then the
//! time that a token lasts is what protects, or taking its key out of the key file, which outlives everything.

use std::collections::BTreeMap;

use super::claims::Claims;

/// What to revoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// All tokens of a subject that were made up to now, by their `iat`; and those that do not say when they were made.
    Subject(String),
    /// The token with this `jti`.
    Token(String),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    /// The last second whose tokens do not count, and when that may be forgotten.
    subjects: BTreeMap<String, (u64, u64)>,
    /// When it may be forgotten.
    tokens: BTreeMap<String, u64>,
}

impl Revocations {
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
