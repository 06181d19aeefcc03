//! Tokens: JWTs (RFC 7519) that say what their bearer may do, signed by a key that the relay knows.
//!
//! What is refused is refused with a reason that says what was wrong, and that never repeats the token: neither a log nor an answer
//! does. The time is an argument, in seconds since 1970.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation};

use super::claims::Claims;
use super::keys::{Key, KeyError, Keys};

/// The longest token: what a proxy lets through as a header, and room for some hundred patterns.
pub const MAX_TOKEN: usize = 8 << 10;

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Longer than is looked at.
    #[error("the token is {len} bytes long, the limit is {MAX_TOKEN}")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// Not a JWT, or with a header that asks for what is not done here, such as to be believed unsigned.
    #[error("this is not a JSON Web Token signed by EdDSA or HS256")]
    Malformed,
    /// No key of that name.
    #[error("the token is signed with a key that this relay does not know")]
    UnknownKey,
    /// The key is one of another algorithm.
    #[error("the token says to be signed by another algorithm than its key is for")]
    OtherAlgorithm,
    /// The signature is not of that key and this token.
    #[error("the signature of the token is wrong")]
    Signature,
    /// What it says is not what a token here says.
    #[error("the claims of the token are not in order: {problem}")]
    Claims {
        /// What is the matter.
        problem: String,
    },
    /// Over.
    #[error("the token expired {ago_s} s ago")]
    Expired {
        /// How long it has been over.
        ago_s: u64,
    },
    /// Not begun.
    #[error("the token counts only in {in_s} s")]
    NotYet {
        /// How long it takes until then.
        in_s: u64,
    },
    /// Valid for longer than tokens may be.
    #[error("the token would be valid for another {for_s} s, the limit is {limit_s}")]
    TooLongLived {
        /// How long it would be.
        for_s: u64,
        /// How long it may be.
        limit_s: u64,
    },
    /// Made for another relay, or for somebody in particular where this relay has no name.
    #[error("the token is for another audience than this relay")]
    Audience,
    /// Its subject or itself was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// It is to replace one of somebody else.
    #[error("the token is of another subject than the one that it is to replace")]
    OtherSubject,
}

/// What a token has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The relay's own name, if tokens are to be for it.
    pub audience: Option<String>,
    /// How far clocks may differ, in seconds.
    pub leeway_s: u64,
    /// How far away the end of a token may be, in seconds.
    pub longest_s: u64,
}

/// Verifies a token: its signature first, then what it says. Costs a signature check.
///
/// # Errors
/// [`Refusal::UnknownKey`] may be worth another look at the file that the keys are from; nothing else is.
pub fn verify(token: &[u8], keys: &Keys, rules: &Rules, now_s: u64) -> Result<Claims, Refusal> {
    verify_by(token, keys, rules, now_s).map(|(claims, _)| claims)
}

/// The same, and by which key.
pub(super) fn verify_by(token: &[u8], keys: &Keys, rules: &Rules, now_s: u64) -> Result<(Claims, Arc<Key>), Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::TooLong { len: token.len() });
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Malformed)?;
    // What a header calls critical must be understood, and nothing of that sort is.
    if header.crit.is_some() {
        return Err(Refusal::Malformed);
    }
    let key = keys.find(header.kid.as_deref()).ok_or(Refusal::UnknownKey)?;
    let mut validation = Validation::new(key.algorithm.of_jwt());
    // Times and audience are looked at below, by a clock that is an argument.
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifying, &validation);
    let claims = decoded.map_err(|error| refusal_of(error.kind()))?.claims;
    claims.check().map_err(|problem| Refusal::Claims { problem: problem.into() })?;
    let Rules { audience, leeway_s, longest_s } = rules;
    match audience {
        Some(audience) if !claims.aud.0.contains(audience) => return Err(Refusal::Audience),
        None if !claims.aud.is_empty() => return Err(Refusal::Audience),
        _ => {}
    }
    if now_s >= claims.exp.saturating_add(*leeway_s) {
        return Err(Refusal::Expired { ago_s: now_s - claims.exp });
    }
    let for_s = claims.exp.saturating_sub(now_s);
    if for_s > longest_s.saturating_add(*leeway_s) {
        return Err(Refusal::TooLongLived { for_s, limit_s: *longest_s });
    }
    match claims.nbf {
        Some(nbf) if nbf > now_s.saturating_add(*leeway_s) => Err(Refusal::NotYet { in_s: nbf - now_s }),
        _ => Ok((claims, Arc::clone(key))),
    }
}

/// Makes a token: for development, and for services that use this as a library. Signs with the last key that can, or that of this name.
///
/// # Errors
/// When no key can.
pub fn mint(claims: &Claims, keys: &Keys, key: Option<&str>) -> Result<String, KeyError> {
    let (key, signing) = keys.signing(key)?;
    let header = Header { kid: key.id.clone(), ..Header::new(key.algorithm.of_jwt()) };
    jsonwebtoken::encode(&header, claims, signing).map_err(|_| KeyError::CannotSign)
}

fn refusal_of(error: &ErrorKind) -> Refusal {
    match error {
        ErrorKind::InvalidAlgorithm => Refusal::OtherAlgorithm,
        ErrorKind::InvalidSignature => Refusal::Signature,
        // Of what is signed by a key that is trusted, the words of the parser may be told: they are what helps.
        ErrorKind::Json(error) => Refusal::Claims { problem: error.to_string() },
        _ => Refusal::Malformed,
    }
}

#[cfg(test)]
mod tests;
